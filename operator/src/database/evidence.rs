//! What is known when the next step is decided: what was recorded, what is wanted, and what each member said just now.

use std::collections::BTreeMap;

use panono_crds::{DatabaseStatus, DecisionPhase, MemberState, OperationKind};

use crate::agent::api::{InUse, Passwords};
use crate::gtid::GtidSet;

/// Everything on which a decision rests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// What was decided before. Read before members were asked, and written with its version only.
    pub record: DatabaseStatus,
    /// What there is to be.
    pub wanted: Wanted,
    /// The volumes that exist, of any ordinal.
    pub claims: BTreeMap<u32, Claim>,
    /// The pods that exist, of any ordinal.
    pub pods: BTreeMap<u32, Pod>,
    /// What members said. Who did not answer, or not in time, is not here.
    pub answers: BTreeMap<u32, Answer>,
    /// Why members are not in the group, in their own words. For people: nothing is decided on it.
    pub said: BTreeMap<u32, String>,
    /// What was asked for and is not done.
    pub orders: Vec<Order>,
    /// Members that did not answer have been waited for long enough that a human should be told.
    pub waited_long: bool,
    /// The operation under way takes longer than it ever should.
    pub overdue: bool,
    /// What is in the Secrets.
    pub secrets: Secrets,
    /// The shop's own pods.
    pub shop: ShopPods,
}

/// What is in the Secrets of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// How often passwords were made.
    pub passwords: i64,
    /// The digest of the members' certificate.
    pub certificate: String,
}

/// The pods that use the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShopPods {
    /// They are as they should be: none is being replaced.
    pub settled: bool,
    /// The oldest passwords that one of them may use. Nothing if none runs, or if that was not looked at.
    pub oldest: Option<i64>,
}

/// What there is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Members.
    pub members: u32,
    /// Changes when pods have to be replaced: a digest of their template.
    pub revision: String,
    /// The version of the server, where the name of the image tells it.
    pub version: Option<Version>,
    /// The least size of a claim, in bytes.
    pub claim_bytes: u64,
    /// Nothing is to run.
    pub hibernated: bool,
    /// Members that have transactions of their own are cloned over, once these are saved. Else a human has to ask for it.
    pub reclones: bool,
    /// The digest of the settings that can change while members run.
    pub settings: String,
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Its identity.
    pub uid: String,
    /// The group whose data it holds, as far as that was written on it.
    pub marker: Option<String>,
    /// The size that is asked for, in bytes.
    pub bytes: u64,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its identity.
    pub uid: String,
    /// The digest of its template.
    pub revision: String,
    /// It is being deleted.
    pub leaving: bool,
    /// Its node says that the member runs in it, or that what comes before is under way. What a node has said last stays so when it
    /// is silent.
    pub runs: bool,
}

/// What a member said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The pod that said it.
    pub pod_uid: String,
    /// The newest epoch that it has heard of.
    pub epoch: i64,
    /// The identity of its data.
    pub server_uuid: String,
    /// What its data directory is.
    pub data: Data,
    /// Its state.
    pub state: MemberState,
    /// In its own view it is online, and more than half of the members are reachable.
    pub majority: bool,
    /// It is the primary of its view.
    pub primary: bool,
    /// Transactions that it has applied.
    pub executed: GtidSet,
    /// Transactions that it has received from the group, applied or not.
    pub received: GtidSet,
    /// Transactions that wait to be applied.
    pub queue: u64,
    /// The last view that it was in.
    pub last_view: Option<View>,
    /// It takes no part in any group until an epoch after this one allows it.
    pub fenced: Option<i64>,
    /// Transactions that the group has not, which keep it out.
    pub errant: GtidSet,
    /// The version of its server.
    pub version: Option<Version>,
    /// Which passwords it has and knows.
    pub passwords: Passwords,
    /// Its certificate.
    pub certificate: InUse,
    /// Its settings.
    pub settings: InUse,
    /// It has settings that its server takes at its next start only.
    pub needs_restart: bool,
    /// The version for which it has set the group's protocol.
    pub protocol_for: Option<Version>,
}

/// What a data directory is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Data {
    /// Not known yet.
    #[default]
    Unknown,
    /// It was made and never in a group.
    Fresh,
    /// It is of the group of this name.
    Of(String),
    /// There is data that is of no group.
    Foreign,
}

/// A view of a group. Later ones are greater: the epoch of the decision by which the group was made, then a counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The epoch of the decision by which the group was made; 0 where that is not known.
    pub epoch: i64,
    /// What is new each time a group is made.
    pub prefix: String,
    /// Counts the changes of the group.
    pub counter: u64,
    /// The members, by the identities of their data.
    pub members: Vec<String>,
    /// The primary.
    pub primary: Option<String>,
}

impl View {
    /// What orders views.
    pub fn place(&self) -> (i64, u64) {
        (self.epoch, self.counter)
    }
}

/// The version of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The series: 8.4, 9.7.
    pub series: (u32, u32),
    /// The release within it, where it is known.
    pub patch: u32,
}

impl Version {
    /// Of `9.7.1`, `9.7.1-debian`, or `9.7`.
    pub fn of(text: &str) -> Option<Self> {
        let digits = text
            .split(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .next()?;
        let mut parts = digits.split('.').map(str::parse::<u32>);
        let major = parts.next()?.ok()?;
        let minor = parts.next()?.ok()?;
        let patch = match parts.next() {
            Some(patch) => patch.ok()?,
            None => 0,
        };
        Some(Self {
            series: (major, minor),
            patch,
        })
    }

    /// Of the tag of an image.
    pub fn of_image(image: &str) -> Option<Self> {
        let name = image.split('@').next()?;
        let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
        let (_, tag) = last.split_once(':')?;
        Self::of(tag)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{}.{}.{}",
            self.series.0, self.series.1, self.patch
        )
    }
}

/// Something that a `ShopAction` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The name of the action.
    pub action: String,
    /// What it asks for.
    pub verb: Verb,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// New passwords.
    Rotate,
    /// Another primary: this one, or any.
    Switchover(Option<u32>),
    /// A member's data is replaced by a copy.
    Reclone(u32),
    /// The group is made again from one member, though others may have had more.
    Rebuild {
        /// The member.
        seed: u32,
        /// Transactions of others that are given up.
        accept_loss_of: GtidSet,
        /// The epoch for which this was decided.
        epoch: i64,
    },
}

impl Answer {
    /// Everything that it has.
    pub fn has(&self) -> GtidSet {
        self.executed.union(&self.received)
    }

    /// Whether it is in the group of this name and could commit.
    pub fn is_live(&self, group: &str) -> bool {
        self.is_of(group) && self.state == MemberState::Online && self.majority
    }

    /// Whether its data is of the group of this name.
    pub fn is_of(&self, group: &str) -> bool {
        matches!(&self.data, Data::Of(name) if name == group)
    }
}

impl Evidence {
    /// Members that have not learnt yet when their group was made are told by others who have.
    pub fn learn_epochs(&mut self) {
        let known: BTreeMap<String, i64> = self
            .answers
            .values()
            .filter_map(|answer| answer.last_view.as_ref())
            .filter(|view| view.epoch > 0)
            .map(|view| (view.prefix.clone(), view.epoch))
            .collect();
        for view in self
            .answers
            .values_mut()
            .filter_map(|answer| answer.last_view.as_mut())
            .filter(|view| view.epoch == 0)
        {
            if let Some(epoch) = known.get(&view.prefix) {
                view.epoch = *epoch;
            }
        }
    }

    /// What the pod that exists now said. What an earlier pod of the ordinal said is about another process.
    pub fn answer(&self, ordinal: u32) -> Option<&Answer> {
        let pod = self.pods.get(&ordinal)?;
        self.answers
            .get(&ordinal)
            .filter(|answer| answer.pod_uid == pod.uid && !pod.leaving)
    }

    /// All such answers.
    pub fn current(&self) -> impl Iterator<Item = (u32, &Answer)> {
        self.answers
            .keys()
            .filter_map(|ordinal| Some((*ordinal, self.answer(*ordinal)?)))
    }

    /// Members that are in a majority.
    pub fn live(&self, group: &str) -> impl Iterator<Item = (u32, &Answer)> {
        self.current()
            .filter(move |(_, answer)| answer.is_live(group))
    }

    /// The member that is the primary, if exactly one says so.
    pub fn primary(&self, group: &str) -> Option<u32> {
        let mut primaries = self.live(group).filter(|(_, answer)| answer.primary);
        match (primaries.next(), primaries.next()) {
            (Some((ordinal, _)), None) => Some(ordinal),
            _ => None,
        }
    }

    /// How a member is, for people.
    pub fn about(&self, ordinal: u32) -> String {
        let state = self.answer(ordinal).map(|answer| answer.state);
        let state = format!("{:?}", state.unwrap_or_default());
        match self.said.get(&ordinal) {
            Some(words) => format!("{state}: {words}"),
            None => state,
        }
    }

    /// Whether the operation under way is of this kind.
    pub fn does(&self, kind: OperationKind) -> bool {
        self.record
            .operation
            .as_ref()
            .is_some_and(|operation| operation.kind == kind)
    }

    /// Whether passwords are being changed.
    pub fn rotates(&self) -> bool {
        self.record
            .passwords
            .as_ref()
            .is_some_and(|passwords| passwords.rotation.is_some())
    }

    /// Whether a group is being made again.
    pub fn recovers(&self) -> bool {
        self.record
            .recovery
            .as_ref()
            .is_some_and(|recovery| recovery.phase == DecisionPhase::InProgress)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_read_off_images() {
        let version = |major, minor, patch| {
            Some(Version {
                series: (major, minor),
                patch,
            })
        };
        for (image, wanted) in [
            ("docker.io/library/mysql:9.7", version(9, 7, 0)),
            ("registry:5000/mysql:8.4.6-debian", version(8, 4, 6)),
            ("mysql:9.7.1@sha256:00", version(9, 7, 1)),
            ("registry:5000/mysql", None),
            ("mysql:latest", None),
            ("mysql", None),
        ] {
            assert_eq!(Version::of_image(image), wanted, "{image}");
        }
        assert!(version(9, 7, 0) > version(8, 4, 6));
    }
}
