//! The world of the model: what there is, what happens, and what agents do.

use std::collections::BTreeSet;

use panono_crds::{DatabaseStatus, MemberState, RecoveryRule};

use crate::agent::api::{InUse, Passwords};
use crate::database::decide::{Act, Decision, Step, decide};
use crate::database::evidence::{Answer, Claim, Data, Evidence, Order, Pod, ShopPods, Verb, View};
use crate::database::record;
use crate::gtid::{GtidSet, Source};

pub(super) const GROUP: &str = "6f1c2b9e-0000-4000-8000-0000000000ff";

pub(super) fn uuid(number: u32) -> String {
    format!("6f1c2b9e-0000-4000-8000-{number:012}")
}

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// There is no pod.
    Down,
    /// The pod does not come up, and never will.
    Broken,
    /// In no group.
    Out,
    /// In the group with this number.
    In(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) claim: u32,
    pub(super) marker: Option<String>,
    pub(super) pod: u32,
    pub(super) revision: u32,
    pub(super) uuid: u32,
    pub(super) data: Data,
    pub(super) executed: GtidSet,
    pub(super) received: GtidSet,
    pub(super) errant: GtidSet,
    pub(super) run: Run,
    pub(super) epoch: i64,
    pub(super) fenced: Option<i64>,
    pub(super) left: bool,
    pub(super) boot: i64,
    pub(super) recloned: i64,
    pub(super) view: Option<View>,
    /// The passwords in its files, and those with which it reaches others.
    pub(super) files: i64,
    pub(super) member: i64,
    /// The certificate that its server has.
    pub(super) certificate: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) epoch: i64,
    pub(super) counter: u64,
    /// By ordinal.
    pub(super) members: BTreeSet<usize>,
    pub(super) primary: usize,
}

pub(super) struct World {
    pub(super) members: Vec<Member>,
    pub(super) groups: Vec<Group>,
    pub(super) record: DatabaseStatus,
    pub(super) version: u64,
    pub(super) wanted: u32,
    pub(super) revision: u32,
    /// Templates of which no pod comes up.
    pub(super) bad: BTreeSet<u32>,
    pub(super) reclones: bool,
    pub(super) acknowledged: GtidSet,
    pub(super) next: u32,
    pub(super) transaction: u64,
    /// Stopped by us and not in the group again.
    pub(super) ours: BTreeSet<usize>,
    pub(super) bootstraps: u32,
    pub(super) lost_disk: bool,
    pub(super) had_errant: bool,
    pub(super) recreated: bool,
    pub(super) snapshot: Option<(Evidence, u64)>,
    pub(super) delayed: Vec<Act>,
    /// The newest passwords that there are.
    pub(super) secret: i64,
    /// Those that accounts take, and those that they take with none before them.
    pub(super) set: i64,
    pub(super) only: i64,
    /// Those that pods of the shop use.
    pub(super) shop: [i64; 2],
    /// New ones are asked for.
    pub(super) rotate: bool,
    /// The Shop was made anew in the middle of a change: its pods may have been made too early.
    pub(super) confused: bool,
    pub(super) rotations: u32,
}

impl World {
    pub(super) fn new(wanted: u32) -> Self {
        let mut world = Self {
            members: Vec::new(),
            groups: Vec::new(),
            record: DatabaseStatus::default(),
            version: 0,
            wanted,
            revision: 1,
            bad: BTreeSet::new(),
            reclones: true,
            acknowledged: GtidSet::default(),
            next: 100,
            transaction: 0,
            ours: BTreeSet::new(),
            bootstraps: 0,
            lost_disk: false,
            had_errant: false,
            recreated: false,
            snapshot: None,
            delayed: Vec::new(),
            secret: 1,
            set: 0,
            only: 0,
            shop: [1; 2],
            rotate: false,
            confused: false,
            rotations: 0,
        };
        world.pods();
        world
    }

    pub(super) fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    pub(super) fn replicas(&self) -> usize {
        if self.record.replicas == 0 {
            self.wanted as usize
        } else {
            self.record.replicas as usize
        }
    }

    /// The StatefulSet: so many pods as there are to be.
    pub(super) fn pods(&mut self) {
        while self.members.len() < self.replicas() {
            let member = self.fresh();
            self.members.push(member);
        }
        for ordinal in 0..self.members.len() {
            if ordinal >= self.replicas() {
                self.stop(&BTreeSet::from([ordinal]));
                self.members[ordinal].run = Run::Down;
            } else if self.members[ordinal].run == Run::Down {
                let (pod, revision) = (self.number(), self.revision);
                let run = self.starts();
                let member = &mut self.members[ordinal];
                member.pod = pod;
                member.revision = revision;
                member.left = false;
                member.run = run;
            }
        }
    }

    /// What becomes of a pod that is made now.
    pub(super) fn starts(&self) -> Run {
        if self.bad.contains(&self.revision) {
            Run::Broken
        } else {
            Run::Out
        }
    }

    pub(super) fn fresh(&mut self) -> Member {
        Member {
            claim: self.number(),
            marker: None,
            pod: 0,
            revision: self.revision,
            uuid: self.number(),
            data: Data::Fresh,
            executed: GtidSet::default(),
            received: GtidSet::default(),
            errant: GtidSet::default(),
            run: Run::Down,
            epoch: 0,
            fenced: None,
            left: false,
            boot: 0,
            recloned: 0,
            view: None,
            files: self.secret,
            member: 0,
            certificate: self.secret,
        }
    }

    pub(super) fn has(&self, ordinal: usize) -> GtidSet {
        let member = &self.members[ordinal];
        member.executed.union(&member.received)
    }

    pub(super) fn is_in(&self, ordinal: usize, group: usize) -> bool {
        self.members[ordinal].run == Run::In(group)
    }

    pub(super) fn reachable(&self, group: usize) -> Vec<usize> {
        let members = self.groups[group].members.iter().copied();
        members
            .filter(|ordinal| self.is_in(*ordinal, group))
            .collect()
    }

    pub(super) fn has_majority(&self, group: usize) -> bool {
        self.reachable(group).len() * 2 > self.groups[group].members.len()
    }

    pub(super) fn living(&self) -> Option<usize> {
        let mut living = (0..self.groups.len()).filter(|group| self.has_majority(*group));
        let first = living.next();
        assert!(living.next().is_none(), "two groups have a majority");
        first
    }

    /// A new view of those who are still there; what one of them received, all have.
    pub(super) fn change_view(&mut self, group: usize) {
        let present: BTreeSet<usize> = self.reachable(group).into_iter().collect();
        let all = present.iter().fold(GtidSet::default(), |all, ordinal| {
            all.union(&self.has(*ordinal))
        });
        if !present.contains(&self.groups[group].primary)
            && let Some(first) = present.first()
        {
            self.groups[group].primary = *first;
        }
        self.groups[group].members = present.clone();
        self.groups[group].counter += 1;
        let Group {
            epoch,
            counter,
            primary,
            ..
        } = self.groups[group];
        let view = View {
            epoch,
            prefix: group.to_string(),
            counter,
            members: present
                .iter()
                .map(|ordinal| uuid(self.members[*ordinal].uuid))
                .collect(),
            primary: Some(uuid(self.members[primary].uuid)),
        };
        for ordinal in present {
            let member = &mut self.members[ordinal];
            member.received = member.received.union(&all);
            member.view = Some(view.clone());
            if ordinal == primary {
                member.executed = member.executed.union(&all);
            }
        }
    }

    /// Members end at the same moment. What they had received and not applied is gone.
    pub(super) fn stop(&mut self, which: &BTreeSet<usize>) {
        let mut touched = BTreeSet::new();
        for ordinal in which {
            let member = &mut self.members[*ordinal];
            if let Run::In(group) = member.run {
                touched.insert(group);
            }
            if let Run::In(_) = member.run {
                member.run = Run::Out;
            }
            member.received = GtidSet::default();
        }
        for group in touched {
            if self.has_majority(group) {
                self.change_view(group);
            }
        }
    }

    /// Those without a majority give up.
    pub(super) fn give_up(&mut self) {
        for group in 0..self.groups.len() {
            if !self.has_majority(group) {
                for ordinal in self.reachable(group) {
                    self.members[ordinal].run = Run::Out;
                }
            }
        }
    }

    /// A member joins by itself, if it may and there is a group.
    pub(super) fn join(&mut self, ordinal: usize) {
        let member = &self.members[ordinal];
        if member.run != Run::Out || member.fenced.is_some() || member.left {
            return;
        }
        if !matches!(&member.data, Data::Fresh) && member.data != Data::Of(GROUP.to_owned()) {
            return;
        }
        let Some(group) = self.living() else { return };
        let donor = self.groups[group].primary;
        let errant = self.has(ordinal).subtract(&self.has(donor));
        if !errant.is_empty() {
            self.members[ordinal].errant = errant;
            return;
        }
        let executed = self.has(donor);
        let epoch = self.groups[group].epoch;
        let member = &mut self.members[ordinal];
        member.executed = executed;
        member.received = GtidSet::default();
        member.errant = GtidSet::default();
        member.data = Data::Of(GROUP.to_owned());
        member.epoch = member.epoch.max(epoch);
        member.run = Run::In(group);
        member.member = if member.files > self.set {
            member.files - 1
        } else {
            self.set
        };
        self.groups[group].members.insert(ordinal);
        self.ours.remove(&ordinal);
        self.change_view(group);
    }

    pub(super) fn commit(&mut self, receivers: u8) {
        let Some(group) = self.living() else { return };
        let source = Source::new(GROUP).unwrap();
        self.transaction += 1;
        let present = self.reachable(group);
        let majority = self.groups[group].members.len() / 2 + 1;
        let primary = self.groups[group].primary;
        let mut received: Vec<usize> = vec![primary];
        let others: Vec<usize> = present
            .iter()
            .copied()
            .filter(|one| *one != primary)
            .collect();
        let offset = receivers as usize;
        for step in 0..others.len() {
            if received.len() < majority || receivers & (1 << (step % 8)) != 0 {
                received.push(others[(step + offset) % others.len()]);
            }
        }
        for ordinal in received {
            let member = &mut self.members[ordinal];
            if ordinal == primary {
                member
                    .executed
                    .insert_range(&source, self.transaction, self.transaction);
            } else {
                member
                    .received
                    .insert_range(&source, self.transaction, self.transaction);
            }
        }
        self.acknowledged
            .insert_range(&source, self.transaction, self.transaction);
    }

    pub(super) fn observe(&mut self, hidden: u8) {
        let mut evidence = Evidence {
            record: self.record.clone(),
            ..Evidence::default()
        };
        evidence.wanted.members = self.wanted;
        evidence.wanted.revision = self.revision.to_string();
        evidence.wanted.reclones = self.reclones;
        evidence.secrets.passwords = self.secret;
        evidence.secrets.certificate = self.secret.to_string();
        evidence.shop = ShopPods {
            settled: self.shop.iter().all(|uses| *uses == self.in_use()),
            oldest: self.shop.iter().min().copied(),
        };
        if self.rotate {
            evidence.orders.push(Order {
                action: "rotate".to_owned(),
                verb: Verb::Rotate,
            });
        }
        evidence.waited_long = hidden & 0x80 != 0;
        evidence.overdue = hidden & 0x40 != 0;
        for (ordinal, member) in self.members.iter().enumerate() {
            let key = u32::try_from(ordinal).unwrap();
            evidence.claims.insert(
                key,
                Claim {
                    uid: member.claim.to_string(),
                    marker: member.marker.clone(),
                    bytes: 0,
                },
            );
            if member.run == Run::Down {
                continue;
            }
            evidence.pods.insert(
                key,
                Pod {
                    uid: member.pod.to_string(),
                    revision: member.revision.to_string(),
                    leaving: false,
                    runs: member.run != Run::Broken,
                },
            );
            if member.run == Run::Broken {
                continue;
            }
            if hidden & (1 << (ordinal % 6)) != 0 {
                continue;
            }
            let (state, majority, primary) = match member.run {
                Run::In(group) => (
                    MemberState::Online,
                    self.has_majority(group),
                    self.groups[group].primary == ordinal,
                ),
                _ if member.fenced.is_some() => (MemberState::Fenced, false, false),
                _ if !member.errant.is_empty() => (MemberState::Quarantined, false, false),
                _ => (MemberState::Waiting, false, false),
            };
            evidence.answers.insert(
                key,
                Answer {
                    pod_uid: member.pod.to_string(),
                    epoch: member.epoch,
                    server_uuid: uuid(member.uuid),
                    data: member.data.clone(),
                    state,
                    majority,
                    primary,
                    executed: member.executed.clone(),
                    received: member.received.clone(),
                    queue: 0,
                    last_view: member.view.clone(),
                    fenced: member.fenced,
                    errant: member.errant.clone(),
                    passwords: Passwords {
                        files: member.files,
                        set: self.set,
                        only: self.only,
                        member: member.member,
                    },
                    certificate: InUse {
                        files: member.files.to_string(),
                        server: member.certificate.to_string(),
                    },
                    ..Answer::default()
                },
            );
        }
        self.snapshot = Some((evidence, self.version));
    }

    /// The operator decides on what it saw, which may be old by now. `fate`: what becomes of the act.
    pub(super) fn operate(&mut self, fate: u8) -> Option<Step> {
        let (evidence, version) = self.snapshot.clone()?;
        let step = decide(&evidence);
        // What was decided on an older record is neither written nor begun.
        if version != self.version {
            return Some(step);
        }
        match &step {
            Step::Record(decision) if !fate.is_multiple_of(4) => self.write(&evidence, decision),
            Step::Act(act) => {
                self.check(act);
                match fate % 4 {
                    0 => {}
                    1 => self.delayed.push(act.clone()),
                    _ => self.carry_out(act),
                }
            }
            _ => {}
        }
        Some(step)
    }

    pub(super) fn write(&mut self, evidence: &Evidence, decision: &Decision) {
        self.record = record(&evidence.record, decision, "", GROUP);
        self.version += 1;
        if let Decision::Rotation { phase: None, .. } = decision {
            self.rotate = false;
            self.confused = false;
            self.rotations += 1;
        }
        if let Decision::Replicas(replicas) = decision {
            self.ours.retain(|ordinal| *ordinal < *replicas as usize);
        }
        self.pods();
    }

    /// What must be true when something is begun, whatever members do with it.
    pub(super) fn check(&self, act: &Act) {
        if let Act::Bootstrap { ordinal, .. } = act {
            for (other, member) in self.members.iter().enumerate() {
                if other != *ordinal as usize {
                    assert_eq!(member.marker, None, "bootstrap beside a marked volume");
                    assert!(
                        !matches!(member.data, Data::Of(_)) || self.bootstraps > 0,
                        "bootstrap beside data"
                    );
                }
            }
        }
    }

    /// What an agent does when it is told.
    pub(super) fn carry_out(&mut self, act: &Act) {
        match act.clone() {
            Act::MarkClaim { ordinal } => {
                self.members[ordinal as usize].marker = Some(GROUP.to_owned());
            }
            Act::Bootstrap {
                ordinal,
                pod_uid,
                epoch,
            } => {
                let Some(at) = self.heard(ordinal, epoch) else {
                    return;
                };
                let member = &mut self.members[at];
                let interrupted = member.boot == epoch && member.view.is_none();
                if member.pod.to_string() != pod_uid
                    || !(member.data == Data::Fresh || interrupted)
                    || member.run != Run::Out
                {
                    return;
                }
                member.data = Data::Of(GROUP.to_owned());
                member.boot = epoch;
                assert!(
                    !self
                        .members
                        .iter()
                        .enumerate()
                        .any(|(other, member)| other != at && matches!(member.data, Data::Of(_))),
                    "a group was made beside data"
                );
                self.bootstraps += 1;
                assert_eq!(self.bootstraps, 1, "a group was made twice");
                self.form(at, epoch);
            }
            Act::Fence { ordinal, epoch } => {
                let Some(at) = self.heard(ordinal, epoch) else {
                    return;
                };
                if let Run::In(group) = self.members[at].run
                    && self.has_majority(group)
                {
                    return;
                }
                self.stop(&BTreeSet::from([at]));
                self.members[at].fenced = Some(epoch);
            }
            Act::Release { ordinal, epoch } => {
                if let Some(at) = self.heard(ordinal, epoch) {
                    self.members[at].fenced = None;
                    self.members[at].left = false;
                }
            }
            Act::Recover { ordinal, epoch, .. } => {
                let Some(at) = self.heard(ordinal, epoch) else {
                    return;
                };
                if self.members[at].fenced != Some(epoch)
                    || self.members[at].data != Data::Of(GROUP.to_owned())
                {
                    return;
                }
                assert_eq!(self.living(), None, "a second group beside a living one");
                let rule = self.record.recovery.as_ref().unwrap().rule;
                if rule == RecoveryRule::Proven {
                    assert!(
                        self.acknowledged.is_subset(&self.has(at)),
                        "acknowledged transactions are lost: {}",
                        self.acknowledged.subtract(&self.has(at))
                    );
                }
                let all = self.has(at);
                let member = &mut self.members[at];
                member.executed = all;
                member.fenced = None;
                self.form(at, epoch);
            }
            Act::Switchover { ordinal, epoch } => {
                if let (Some(at), Some(group)) = (self.heard(ordinal, epoch), self.living())
                    && self.is_in(at, group)
                {
                    self.groups[group].primary = at;
                    self.change_view(group);
                }
            }
            Act::Replace { ordinal, pod_uid } => {
                let at = ordinal as usize;
                if self.members[at].pod.to_string() == pod_uid && self.members[at].run != Run::Down
                {
                    self.down_by_us(at);
                    self.stop(&BTreeSet::from([at]));
                    self.members[at].run = Run::Down;
                    self.pods();
                }
            }
            Act::Remake { ordinal, pod_uid } => {
                let member = &mut self.members[ordinal as usize];
                if member.pod.to_string() == pod_uid && member.run == Run::Broken {
                    member.run = Run::Down;
                    self.pods();
                }
            }
            Act::Leave { ordinal, epoch } => {
                if let Some(at) = self.heard(ordinal, epoch) {
                    self.down_by_us(at);
                    // Who leaves in order is not missed in the view.
                    if let Run::In(group) = self.members[at].run {
                        self.groups[group].members.remove(&at);
                    }
                    self.stop(&BTreeSet::from([at]));
                    self.members[at].left = true;
                }
            }
            Act::Reclone { ordinal, epoch, .. } => {
                if let Some(at) = self.heard(ordinal, epoch) {
                    if let Run::In(group) = self.members[at].run
                        && self.has_majority(group)
                    {
                        return;
                    }
                    if self.members[at].recloned == epoch {
                        return;
                    }
                    self.members[at].recloned = epoch;
                    self.down_by_us(at);
                    let number = self.number();
                    let member = &mut self.members[at];
                    member.uuid = number;
                    member.executed = GtidSet::default();
                    member.received = GtidSet::default();
                    member.errant = GtidSet::default();
                    member.view = None;
                    member.run = Run::Out;
                }
            }
            Act::MakeSecrets { generation } => self.secret = self.secret.max(generation),
            Act::SetPasswords {
                ordinal,
                generation,
                epoch,
            } => {
                if self.primary_with(ordinal, generation, epoch) && self.set < generation {
                    assert_eq!(self.only, self.set, "the password of somebody ends");
                    self.set = generation;
                }
            }
            Act::DiscardPasswords {
                ordinal,
                generation,
                epoch,
            } => {
                if self.primary_with(ordinal, generation, epoch) && self.set >= generation {
                    self.only = self.only.max(generation);
                }
            }
            Act::ReloadTls { ordinal, epoch } => {
                if let Some(at) = self.heard(ordinal, epoch) {
                    self.members[at].certificate = self.members[at].files;
                }
            }
            Act::ApplySettings { .. } | Act::SetProtocol { .. } | Act::End { .. } => {}
        }
        assert!(
            self.ours.len() <= 1,
            "more than one member down: {:?}",
            self.ours
        );
    }

    pub(super) fn down_by_us(&mut self, at: usize) {
        self.ours.insert(at);
    }

    /// A command reaches an agent that has heard of nothing newer.
    pub(super) fn heard(&mut self, ordinal: u32, epoch: i64) -> Option<usize> {
        let at = ordinal as usize;
        let member = self.members.get_mut(at)?;
        if matches!(member.run, Run::Down | Run::Broken) || epoch < member.epoch {
            return None;
        }
        member.epoch = epoch;
        Some(at)
    }

    pub(super) fn form(&mut self, at: usize, epoch: i64) {
        self.groups.push(Group {
            epoch,
            counter: 0,
            members: BTreeSet::from([at]),
            primary: at,
        });
        let group = self.groups.len() - 1;
        if self.set == 0 {
            self.set = self.members[at].files;
            self.only = self.set;
        }
        self.members[at].member = self.set;
        self.members[at].run = Run::In(group);
        self.ours.remove(&at);
        self.change_view(group);
    }

    pub(super) fn lose_disk(&mut self, at: usize) {
        self.lost_disk = true;
        self.stop(&BTreeSet::from([at]));
        let mut fresh = self.fresh();
        fresh.pod = self.number();
        fresh.run = self.starts();
        self.members[at] = fresh;
        self.forget();
    }

    /// Where there is neither data nor a mark nor a record, nobody can know that there was a group.
    pub(super) fn forget(&mut self) {
        let traces = self
            .members
            .iter()
            .any(|member| member.marker.is_some() || matches!(member.data, Data::Of(_)));
        if !traces && self.record.group_name.is_none() {
            self.bootstraps = 0;
            self.acknowledged = GtidSet::default();
            self.set = 0;
            self.only = 0;
        }
    }
}
