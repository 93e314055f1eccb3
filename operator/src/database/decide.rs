//! The next step, from what is known. Pure.
//!
//! Two things are dangerous: making a group, and discarding data. Both need a decision that is in the Shop's status before it is
//! carried out, and both rest on what members said of themselves, never on what is missing. Everything else can be tried again by
//! anyone.

use panono_crds::{
    BootstrapStatus, DecisionPhase, OperationKind, Reason, RecoveryEvidence, RecoveryRule,
    RotationPhase,
};

use super::evidence::{Data, Evidence, Version};
use super::{outage, planned};
use crate::gtid::GtidSet;

/// What is done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing: all is as it should be.
    Nothing,
    /// Nothing yet: what is waited for, in words that do not change while it lasts.
    Wait(String),
    /// Nothing without a human.
    Stall(Stall),
    /// A decision is written into the status. What follows from it is the next step.
    Record(Decision),
    /// Something is done that can be done again.
    Act(Act),
}

/// Why a human is needed.
#[derive(Clone, Debug, PartialEq)]
pub struct Stall {
    /// For machines.
    pub reason: Reason,
    /// For people: what is known, and what to do.
    pub message: String,
    /// What would go on from here, if a human takes the responsibility.
    pub proposal: Option<Proposal>,
}

/// A `ShopAction` that is ready to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// `rebuildGroup`
    Rebuild {
        /// The member with the most.
        seed: u32,
        /// What others have and it has not.
        accept_loss_of: GtidSet,
        /// The epoch for which this holds.
        epoch: i64,
    },
    /// `reclone`
    Reclone {
        /// The member.
        ordinal: u32,
    },
}

/// What is written into the status before anything is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// A group is made, on this pod and volume alone.
    Bootstrap {
        /// The member that begins.
        ordinal: u32,
        /// Its pod.
        pod_uid: String,
        /// Its volume.
        claim_uid: String,
        /// How many members there are to be.
        members: u32,
    },
    /// The group whose data was found is this Shop's.
    Adopt {
        /// Its name.
        group: String,
        /// Members that it had at least.
        members: u32,
    },
    /// The group was made.
    BootstrapDone,
    /// The group is made again, from this member.
    Recovery {
        /// The member.
        seed: u32,
        /// Its data.
        server_uuid: String,
        /// Why it.
        rule: RecoveryRule,
        /// What members said.
        evidence: Vec<RecoveryEvidence>,
        /// The action that asked for it.
        action: Option<String>,
    },
    /// The group was made again, or will not be in this way.
    RecoveryDone,
    /// Something is begun with one member.
    Operation {
        /// What.
        kind: OperationKind,
        /// With which member.
        ordinal: u32,
        /// Its pod.
        pod_uid: String,
        /// The action that asked for it.
        action: Option<String>,
    },
    /// It has come to its end.
    OperationDone {
        /// It was done; else it was given up.
        done: bool,
    },
    /// There are to be so many members.
    Replicas(u32),
    /// Which passwords the shop's pods have to use is found, and whether the accounts have them already: nothing was recorded.
    Passwords {
        /// How often they were made.
        generation: i64,
        /// The accounts have them.
        set: bool,
    },
    /// The next phase of a change of passwords; nothing when it is done.
    Rotation {
        /// Which.
        phase: Option<RotationPhase>,
        /// The action that asks for it, where it begins.
        action: Option<String>,
    },
    /// The group's protocol is that of this version.
    Protocol(Version),
    /// Members have heard of this epoch, which is not in the status: it was lost, or an older one was restored. What was begun
    /// by it is begun anew.
    CatchUp(i64),
}

/// What is done. Each can be done again, and is refused by a member that has heard of a newer epoch.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// The name of the group is written on a volume.
    MarkClaim {
        /// The member.
        ordinal: u32,
    },
    /// A member whose data is fresh makes the group.
    Bootstrap {
        /// The member.
        ordinal: u32,
        /// Its pod.
        pod_uid: String,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// A member stops taking part in any group, and says what it has.
    Fence {
        /// The member.
        ordinal: u32,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// A member may take part, and hears of the epoch: what was decided before is refused from now on.
    Release {
        /// The member.
        ordinal: u32,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// A fenced member makes the group again.
    Recover {
        /// The member.
        ordinal: u32,
        /// Its data.
        server_uuid: String,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// A member becomes the primary.
    Switchover {
        /// The member.
        ordinal: u32,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// A pod is deleted; another takes its place.
    Replace {
        /// The member.
        ordinal: u32,
        /// The pod.
        pod_uid: String,
    },
    /// A pod that does not run is deleted; one of the wanted template takes its place.
    Remake {
        /// The member.
        ordinal: u32,
        /// The pod.
        pod_uid: String,
    },
    /// A member leaves the group and stays out.
    Leave {
        /// The member.
        ordinal: u32,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// A member's data is replaced by a copy of another's. Transactions that only it has are copied out of its data before.
    Reclone {
        /// The member.
        ordinal: u32,
        /// The member whose data is copied.
        donor: u32,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// New passwords and a new certificate are made. Done if there are newer ones than before.
    MakeSecrets {
        /// How often passwords were made then.
        generation: i64,
    },
    /// The primary gives the accounts new passwords; those before can still be used.
    SetPasswords {
        /// The primary.
        ordinal: u32,
        /// How often they were made.
        generation: i64,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// The primary ends the passwords before.
    DiscardPasswords {
        /// The primary.
        ordinal: u32,
        /// How often those that stay were made.
        generation: i64,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// A member uses the certificate that is in its files.
    ReloadTls {
        /// The member.
        ordinal: u32,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// A member uses the settings that are in its files.
    ApplySettings {
        /// The member.
        ordinal: u32,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// The primary allows the group what this version understands.
    SetProtocol {
        /// The primary.
        ordinal: u32,
        /// The version.
        version: Version,
        /// The epoch of the decision.
        epoch: i64,
    },
    /// An action is ended.
    End {
        /// Its name.
        action: String,
        /// Whether it was done.
        done: bool,
        /// Why, or why not.
        message: String,
    },
}

/// The next step.
pub fn decide(evidence: &Evidence) -> Step {
    if evidence.wanted.hibernated {
        return Step::Nothing;
    }
    if let Some(act) = outdated(evidence) {
        return Step::Act(act);
    }
    let Some(group) = evidence.record.group_name.as_deref() else {
        return first(evidence);
    };
    if let Some(stall) = foreign(evidence, group) {
        return Step::Stall(stall);
    }
    if let Some(heard) = evidence
        .current()
        .map(|(_, answer)| answer.epoch)
        .max()
        .filter(|heard| *heard > evidence.record.epoch)
    {
        return Step::Record(Decision::CatchUp(heard));
    }
    if let Some(bootstrap) = &evidence.record.bootstrap
        && bootstrap.phase == DecisionPhase::InProgress
    {
        return bootstrapping(evidence, group, bootstrap);
    }
    if evidence.live(group).next().is_some() {
        planned::step(evidence, group)
    } else {
        outage::step(evidence, group)
    }
}

/// The member whose volume is to grow to what the Shop asks for, where `step` leaves time for it. It interrupts nobody and may be
/// refused, so it is in the way of nothing; and it is done while a member is waited for, which may lack the room.
pub fn growth(evidence: &Evidence, step: &Step) -> Option<u32> {
    match step {
        Step::Nothing | Step::Wait(_) | Step::Stall(_) if !evidence.wanted.hibernated => {}
        Step::Nothing | Step::Wait(_) | Step::Stall(_) | Step::Record(_) | Step::Act(_) => {
            return None;
        }
    }
    let group = evidence.record.group_name.as_ref()?;
    let mut claims = evidence.claims.iter();
    let small = claims.find(|(_, claim)| {
        claim.marker.as_ref() == Some(group)
            && claim.bytes > 0
            && claim.bytes < evidence.wanted.claim_bytes
    });
    small.map(|(ordinal, _)| *ordinal)
}

/// A pod of another template than is wanted now that does not run: what it was made with may be why. It is on no member's way, so
/// it waits for nothing; its volume stays as it is.
fn outdated(evidence: &Evidence) -> Option<Act> {
    let mut pods = evidence.pods.iter();
    let (ordinal, pod) = pods.find(|(ordinal, pod)| {
        !pod.runs
            && !pod.leaving
            && pod.revision != evidence.wanted.revision
            && evidence.answer(**ordinal).is_none()
    })?;
    Some(Act::Remake {
        ordinal: *ordinal,
        pod_uid: pod.uid.clone(),
    })
}

/// Nothing is recorded: the Shop is new, or another Shop had its name.
fn first(evidence: &Evidence) -> Step {
    let names: std::collections::BTreeSet<&str> = evidence
        .claims
        .values()
        .filter_map(|claim| claim.marker.as_deref())
        .chain(
            evidence
                .current()
                .filter_map(|(_, answer)| match &answer.data {
                    Data::Of(name) => Some(name.as_str()),
                    Data::Unknown | Data::Fresh | Data::Foreign => None,
                }),
        )
        .collect();
    let mut names = names.into_iter();
    match (names.next(), names.next()) {
        (Some(_), Some(_)) => {
            return Step::Stall(Stall {
                reason: Reason::ForeignDataDirectory,
                message: format!(
                    "The volumes of this database are of different groups ({}). {}",
                    claims(evidence),
                    Reason::ForeignDataDirectory.advice()
                ),
                proposal: None,
            });
        }
        (Some(name), None) => {
            // All that have a volume may have been in it, whatever is written on it.
            let highest = evidence
                .claims
                .keys()
                .map(|ordinal| ordinal.saturating_add(1))
                .max()
                .unwrap_or(0);
            return Step::Record(Decision::Adopt {
                group: name.to_owned(),
                members: highest.max(evidence.wanted.members),
            });
        }
        (None, _) => {}
    }
    if let Some((ordinal, _)) = evidence
        .current()
        .find(|(_, answer)| answer.data == Data::Foreign)
    {
        return Step::Stall(Stall {
            reason: Reason::ForeignDataDirectory,
            message: format!(
                "Member {ordinal} has data that is of no group. {}",
                Reason::ForeignDataDirectory.advice()
            ),
            proposal: None,
        });
    }
    // A volume whose content nobody tells may hold the shop's orders.
    if let Some(ordinal) = evidence
        .claims
        .keys()
        .find(|ordinal| **ordinal >= evidence.wanted.members)
    {
        return Step::Stall(Stall {
            reason: Reason::ForeignDataDirectory,
            message: format!(
                "There is a volume of member {ordinal}, and the Shop has {} members: what is on it cannot be told. Delete its claim if \
                 nothing on it is needed, or give the Shop more members",
                evidence.wanted.members
            ),
            proposal: None,
        });
    }
    for ordinal in 0..evidence.wanted.members {
        let fresh = evidence
            .answer(ordinal)
            .is_some_and(|answer| answer.data == Data::Fresh);
        if !fresh || !evidence.claims.contains_key(&ordinal) {
            return Step::Wait(format!(
                "Member {ordinal} has not said yet what its volume holds; without all a group is not made"
            ));
        }
    }
    match (evidence.answer(0), evidence.claims.get(&0)) {
        (Some(answer), Some(claim)) => Step::Record(Decision::Bootstrap {
            ordinal: 0,
            pod_uid: answer.pod_uid.clone(),
            claim_uid: claim.uid.clone(),
            members: evidence.wanted.members,
        }),
        _ => Step::Wait("There are no members yet".to_owned()),
    }
}

/// What each volume says, for people.
fn claims(evidence: &Evidence) -> String {
    evidence
        .claims
        .iter()
        .map(|(ordinal, claim)| {
            format!(
                "{ordinal}: {}",
                claim.marker.as_deref().unwrap_or("not marked")
            )
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// Data of somebody else where a member should be.
fn foreign(evidence: &Evidence, group: &str) -> Option<Stall> {
    let claim = evidence
        .claims
        .iter()
        .find(|(_, claim)| claim.marker.as_deref().is_some_and(|name| name != group))
        .map(|(ordinal, claim)| (*ordinal, claim.marker.clone().unwrap_or_default()));
    let found = claim.or_else(|| {
        evidence
            .current()
            .find_map(|(ordinal, answer)| match &answer.data {
                Data::Of(name) if name != group => Some((ordinal, name.clone())),
                Data::Foreign => Some((ordinal, "no group".to_owned())),
                Data::Of(_) | Data::Fresh | Data::Unknown => None,
            })
    });
    let (ordinal, name) = found?;
    Some(Stall {
        reason: Reason::ForeignDataDirectory,
        message: format!(
            "The volume of member {ordinal} holds data of {name}, and this database is {group}. {}",
            Reason::ForeignDataDirectory.advice()
        ),
        proposal: None,
    })
}

/// It is recorded that a group is made, and not that it was made.
fn bootstrapping(evidence: &Evidence, group: &str, bootstrap: &BootstrapStatus) -> Step {
    let beginner = evidence.answer(bootstrap.ordinal);
    let began = beginner.filter(|answer| answer.is_of(group));
    // It had begun and was interrupted before there was a group.
    let interrupted = began
        .is_some_and(|answer| answer.pod_uid == bootstrap.pod_uid && answer.last_view.is_none());
    if evidence.live(group).next().is_some() || began.is_some() && !interrupted {
        return Step::Record(Decision::BootstrapDone);
    }
    let lost = |what: &str| {
        Step::Stall(Stall {
            reason: Reason::OutageNeedsDecision,
            message: format!(
                "{what}. The shop has not been opened yet: if nothing on the volumes is needed, delete the Shop and the claims of its \
                 database, and apply it again"
            ),
            proposal: None,
        })
    };
    let Some(claim) = evidence
        .claims
        .get(&bootstrap.ordinal)
        .filter(|claim| claim.uid == bootstrap.claim_uid)
    else {
        return lost(&format!(
            "The volume of member {}, on which the group was being made, is gone",
            bootstrap.ordinal
        ));
    };
    if evidence
        .current()
        .any(|(ordinal, answer)| ordinal != bootstrap.ordinal && answer.is_of(group))
    {
        return lost(&format!(
            "The data of member {}, on which the group was made, is gone",
            bootstrap.ordinal
        ));
    }
    if claim.marker.is_none() {
        return Step::Act(Act::MarkClaim {
            ordinal: bootstrap.ordinal,
        });
    }
    match beginner {
        Some(answer) if !outage::at_rest(answer.state) => Step::Wait(format!(
            "Member {}, which makes the group, is {}",
            bootstrap.ordinal,
            evidence.about(bootstrap.ordinal)
        )),
        Some(answer) if interrupted || answer.data == Data::Fresh => {
            if answer.pod_uid == bootstrap.pod_uid {
                Step::Act(Act::Bootstrap {
                    ordinal: bootstrap.ordinal,
                    pod_uid: answer.pod_uid.clone(),
                    epoch: bootstrap.epoch,
                })
            } else {
                // The same volume, on which nothing was begun, under another pod.
                Step::Record(Decision::Bootstrap {
                    ordinal: bootstrap.ordinal,
                    pod_uid: answer.pod_uid.clone(),
                    claim_uid: claim.uid.clone(),
                    members: evidence.record.replicas,
                })
            }
        }
        _ => Step::Wait(format!(
            "Member {}, which makes the group, does not answer yet",
            bootstrap.ordinal
        )),
    }
}
