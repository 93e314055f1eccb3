//! A group with a majority: what is done with its members, one after the other.

use panono_crds::{MemberState, OperationKind, OperationStatus, Reason, RotationPhase};

use super::decide::{Act, Decision, Proposal, Stall, Step};
use super::evidence::{Evidence, Verb, Version};
use super::outage::at_rest;
use super::rotation;

/// Transactions that may wait in each member when another is stopped. Under load there are always some.
const QUEUE: u64 = 100;

pub(super) fn step(evidence: &Evidence, group: &str) -> Step {
    if evidence.recovers() {
        return Step::Record(Decision::RecoveryDone);
    }
    if evidence.does(OperationKind::Recovery) {
        return Step::Record(Decision::OperationDone { done: true });
    }
    let held = evidence
        .record
        .operation
        .as_ref()
        .filter(|operation| {
            matches!(
                operation.kind,
                OperationKind::Leave | OperationKind::Reclone
            )
        })
        .map(|operation| operation.ordinal);
    // All hear of each decision before the next one: what was told before and is still on its way is refused then. Who was told
    // to stay out in an outage, or left and is to be a member after all, comes back by it.
    let released = evidence.current().find(|(ordinal, answer)| {
        answer.epoch < evidence.record.epoch
            && *ordinal < evidence.record.replicas
            && held != Some(*ordinal)
    });
    if let Some((ordinal, _)) = released {
        return Step::Act(Act::Release {
            ordinal,
            epoch: evidence.record.epoch,
        });
    }
    let unmarked = evidence.live(group).find(|(ordinal, _)| {
        evidence
            .claims
            .get(ordinal)
            .is_some_and(|claim| claim.marker.is_none())
    });
    if let Some((ordinal, _)) = unmarked {
        return Step::Act(Act::MarkClaim { ordinal });
    }
    if let Some(operation) = &evidence.record.operation {
        return proceed(evidence, group, operation);
    }
    if let Some(step) = rotation::unknown(evidence, group) {
        return step;
    }
    let rotation = evidence
        .record
        .passwords
        .as_ref()
        .and_then(|passwords| passwords.rotation.as_ref());
    let Some(rotation) = rotation else {
        return order(evidence, group)
            .or_else(|| quarantine(evidence, group))
            .or_else(|| resize(evidence, group))
            .or_else(|| settings(evidence, group))
            .or_else(|| update(evidence, group))
            .or_else(|| protocol(evidence, group))
            .unwrap_or_else(|| rest(evidence, group));
    };
    let all = (0..evidence.record.replicas).all(|ordinal| is_live(evidence, group, ordinal));
    if !all {
        // What brings a member back is not put off until passwords are changed: that waits for it.
        return order(evidence, group)
            .or_else(|| quarantine(evidence, group))
            .or_else(|| update(evidence, group))
            .unwrap_or_else(|| rest(evidence, group));
    }
    if others_stand(evidence, group, u32::MAX) {
        rotation::proceed(evidence, group, rotation)
    } else {
        Step::Wait("Passwords are being changed: members catch up".to_owned())
    }
}

/// Whether a member can be stopped: all others are in the group and have little to catch up, and there is one primary.
fn others_stand(evidence: &Evidence, group: &str, stopped: u32) -> bool {
    let alone = evidence.record.replicas <= 1;
    let others = (0..evidence.record.replicas).filter(|ordinal| *ordinal != stopped);
    all_stand(evidence, group, others) && (alone || evidence.primary(group).is_some())
}

/// Whether a member can be taken out. Others that are to go, too, may never come: they hold nobody up.
fn those_that_stay_stand(evidence: &Evidence, group: &str) -> bool {
    let stay = 0..evidence.wanted.members.max(1);
    all_stand(evidence, group, stay) && evidence.primary(group).is_some()
}

fn all_stand(evidence: &Evidence, group: &str, mut ordinals: impl Iterator<Item = u32>) -> bool {
    ordinals.all(|ordinal| {
        evidence
            .answer(ordinal)
            .is_some_and(|answer| answer.is_live(group) && answer.queue <= QUEUE)
    })
}

fn is_live(evidence: &Evidence, group: &str, ordinal: u32) -> bool {
    evidence
        .answer(ordinal)
        .is_some_and(|answer| answer.is_live(group))
}

fn begin(evidence: &Evidence, kind: OperationKind, ordinal: u32, action: Option<&String>) -> Step {
    Step::Record(Decision::Operation {
        kind,
        ordinal,
        pod_uid: evidence
            .pods
            .get(&ordinal)
            .map(|pod| pod.uid.clone())
            .unwrap_or_default(),
        action: action.cloned(),
    })
}

/// What was begun goes on until it is done, or cannot be.
fn proceed(evidence: &Evidence, group: &str, operation: &OperationStatus) -> Step {
    let ordinal = operation.ordinal;
    let pod = evidence.pods.get(&ordinal);
    let answer = evidence.answer(ordinal);
    let live = is_live(evidence, group, ordinal);
    let ended = |done| Step::Record(Decision::OperationDone { done });
    let wait = |what: &str| Step::Wait(format!("{:?} of member {ordinal}: {what}", operation.kind));
    match operation.kind {
        OperationKind::Replace => match pod {
            None => wait("its pod is being made"),
            Some(pod) if pod.leaving => wait("its pod is ending"),
            Some(pod) if pod.uid == operation.pod_uid => {
                if others_stand(evidence, group, ordinal) {
                    Step::Act(Act::Replace {
                        ordinal,
                        pod_uid: pod.uid.clone(),
                    })
                } else {
                    // Meanwhile another member fell.
                    ended(false)
                }
            }
            Some(_) if live => ended(true),
            Some(_) if answer.is_some_and(|answer| answer.state == MemberState::Quarantined) => {
                ended(false)
            }
            // What was wanted did not come up, and now something else is wanted.
            Some(pod) if pod.revision != evidence.wanted.revision => begin(
                evidence,
                OperationKind::Replace,
                ordinal,
                operation.action.as_ref(),
            ),
            Some(_) => wait(&format!(
                "its pod is not in the group yet; it is {}",
                evidence.about(ordinal)
            )),
        },
        OperationKind::Switchover => {
            if evidence.primary(group) == Some(ordinal) {
                ended(true)
            } else if !live || evidence.overdue {
                ended(false)
            } else {
                Step::Act(Act::Switchover {
                    ordinal,
                    epoch: operation.epoch,
                })
            }
        }
        OperationKind::Leave => {
            let left = answer
                .is_some_and(|answer| answer.epoch >= operation.epoch && at_rest(answer.state));
            if left {
                Step::Record(Decision::Replicas(ordinal))
            } else if evidence.wanted.members > ordinal || !those_that_stay_stand(evidence, group) {
                ended(false)
            } else if answer.is_some() {
                Step::Act(Act::Leave {
                    ordinal,
                    epoch: operation.epoch,
                })
            } else if evidence.overdue {
                // It takes no part, and the others do without it.
                Step::Record(Decision::Replicas(ordinal))
            } else {
                wait("it does not answer")
            }
        }
        OperationKind::Reclone => match answer {
            Some(_) if live => ended(true),
            // Said again as long as it is at rest: its agent knows whether the copy was begun, is whole, or has to be begun again.
            Some(answer) if at_rest(answer.state) => {
                let donor = evidence
                    .live(group)
                    // The primary has other things to do.
                    .min_by_key(|(_, answer)| (answer.primary, answer.queue));
                match donor {
                    Some((donor, _)) if others_stand(evidence, group, ordinal) => {
                        Step::Act(Act::Reclone {
                            ordinal,
                            donor,
                            epoch: operation.epoch,
                        })
                    }
                    _ => wait("the other members are not all in the group"),
                }
            }
            _ => wait("its data is being copied"),
        },
        // It is ended before anything else, in a group with a majority.
        OperationKind::Recovery => ended(true),
    }
}

/// What was asked for.
fn order(evidence: &Evidence, group: &str) -> Option<Step> {
    // New passwords wait until everything else is as it should be.
    let order = evidence
        .orders
        .iter()
        .find(|order| order.verb != Verb::Rotate || may_rotate(evidence, group))?;
    let end = |done: bool, message: String| {
        Some(Step::Act(Act::End {
            action: order.action.clone(),
            done,
            message,
        }))
    };
    match &order.verb {
        Verb::Rebuild { .. } => end(
            false,
            "The group has a majority: there is nothing to rebuild".to_owned(),
        ),
        Verb::Rotate => Some(Step::Record(Decision::Rotation {
            phase: Some(RotationPhase::Making),
            action: Some(order.action.clone()),
        })),
        Verb::Switchover(wanted) => {
            let Some(primary) = evidence.primary(group) else {
                return Some(Step::Wait("No member is known as the primary".to_owned()));
            };
            let target = wanted.or_else(|| successor(evidence, group, primary));
            match target {
                None => end(false, "No other member could be the primary now".to_owned()),
                Some(target) if target == primary => {
                    end(true, format!("Member {target} is the primary"))
                }
                Some(target) if !is_live(evidence, group, target) => end(
                    false,
                    format!("Member {target} is not in the group: it cannot be the primary"),
                ),
                Some(target) if is_newer(evidence, group, target) => end(
                    false,
                    format!(
                        "Member {target} runs a newer version than others: it cannot be the primary until they do"
                    ),
                ),
                Some(target) => Some(begin(
                    evidence,
                    OperationKind::Switchover,
                    target,
                    Some(&order.action),
                )),
            }
        }
        Verb::Reclone(ordinal) => {
            if *ordinal >= evidence.record.replicas {
                end(false, format!("There is no member {ordinal}"))
            } else if is_live(evidence, group, *ordinal) {
                end(
                    false,
                    format!(
                        "Member {ordinal} is in the group: its data is good. To have it on another volume, delete its claim and its pod"
                    ),
                )
            } else if !others_stand(evidence, group, *ordinal) {
                Some(Step::Wait(format!(
                    "Member {ordinal} is copied anew when all others are in the group"
                )))
            } else {
                Some(begin(
                    evidence,
                    OperationKind::Reclone,
                    *ordinal,
                    Some(&order.action),
                ))
            }
        }
    }
}

fn may_rotate(evidence: &Evidence, group: &str) -> bool {
    let passwords = evidence.record.passwords.as_ref();
    passwords.is_some_and(|passwords| passwords.rotation.is_none())
        && evidence.shop.settled
        && others_stand(evidence, group, u32::MAX)
}

/// Settings that changed: a member that has them in its files takes those that it can take while it runs.
fn settings(evidence: &Evidence, group: &str) -> Option<Step> {
    let wanted = &evidence.wanted.settings;
    let (ordinal, _) = evidence.live(group).find(|(_, answer)| {
        !wanted.is_empty() && answer.settings.files == *wanted && answer.settings.server != *wanted
    })?;
    Some(Step::Act(Act::ApplySettings {
        ordinal,
        epoch: evidence.record.epoch,
    }))
}

/// When all members run a version, the group may use what members of that version understand. Members of an older one could not
/// join it any longer.
fn protocol(evidence: &Evidence, group: &str) -> Option<Step> {
    let mut version = None;
    for ordinal in 0..evidence.record.replicas {
        let answer = evidence
            .answer(ordinal)
            .filter(|answer| answer.is_live(group))?;
        let own = answer.version?;
        if *version.get_or_insert(own) != own {
            return None;
        }
    }
    let version = version?;
    let recorded = evidence
        .record
        .protocol_version
        .as_deref()
        .and_then(Version::of);
    if recorded.is_some_and(|recorded| recorded >= version) {
        return None;
    }
    let adopted = evidence
        .record
        .bootstrap
        .as_ref()
        .is_none_or(|bootstrap| bootstrap.adopted);
    let primary = evidence.primary(group)?;
    let done = evidence
        .answer(primary)
        .is_some_and(|answer| answer.protocol_for == Some(version));
    // A group that was made by this version has its protocol.
    Some(if done || recorded.is_none() && !adopted {
        Step::Record(Decision::Protocol(version))
    } else {
        Step::Act(Act::SetProtocol {
            ordinal: primary,
            version,
            epoch: evidence.record.epoch,
        })
    })
}

/// The member that is primary next, all things being equal.
fn successor(evidence: &Evidence, group: &str, primary: u32) -> Option<u32> {
    evidence
        .live(group)
        .filter(|(ordinal, _)| {
            *ordinal != primary
                && *ordinal < evidence.record.replicas
                && !is_newer(evidence, group, *ordinal)
        })
        .min_by_key(|(ordinal, answer)| (answer.queue, *ordinal))
        .map(|(ordinal, _)| ordinal)
}

/// Whether a member runs a newer version than another. The group does not have such a primary.
fn is_newer(evidence: &Evidence, group: &str, ordinal: u32) -> bool {
    let least = evidence
        .live(group)
        .filter_map(|(_, answer)| answer.version)
        .min();
    evidence
        .answer(ordinal)
        .and_then(|answer| answer.version)
        .is_some_and(|version| least.is_some_and(|least| version > least))
}

/// Members with transactions of their own.
fn quarantine(evidence: &Evidence, group: &str) -> Option<Step> {
    let (ordinal, answer) = evidence.current().find(|(ordinal, answer)| {
        answer.state == MemberState::Quarantined && *ordinal < evidence.record.replicas
    })?;
    if evidence.wanted.reclones && !answer.errant.is_empty() {
        return Some(if others_stand(evidence, group, ordinal) {
            begin(evidence, OperationKind::Reclone, ordinal, None)
        } else {
            Step::Wait(format!(
                "Member {ordinal} is copied anew when all others are in the group"
            ))
        });
    }
    Some(Step::Stall(Stall {
        reason: Reason::MemberDiverged,
        message: format!(
            "Member {ordinal} has transactions that the group has not ({}). {}",
            answer.errant,
            Reason::MemberDiverged.advice()
        ),
        proposal: Some(Proposal::Reclone { ordinal }),
    }))
}

/// One member more or less.
fn resize(evidence: &Evidence, group: &str) -> Option<Step> {
    let (now, wanted) = (evidence.record.replicas, evidence.wanted.members.max(1));
    if now < wanted {
        return Some(if others_stand(evidence, group, u32::MAX) {
            Step::Record(Decision::Replicas(now.saturating_add(1)))
        } else {
            Step::Wait("A member is added when all others are in the group".to_owned())
        });
    }
    if now > wanted {
        let last = now.saturating_sub(1);
        if !those_that_stay_stand(evidence, group) {
            return Some(Step::Wait(format!(
                "Member {last} is taken out when all that stay are in the group"
            )));
        }
        if evidence.primary(group) == Some(last) {
            return Some(match successor(evidence, group, last) {
                Some(next) => begin(evidence, OperationKind::Switchover, next, None),
                None => begin(evidence, OperationKind::Leave, last, None),
            });
        }
        return Some(begin(evidence, OperationKind::Leave, last, None));
    }
    None
}

/// Pods of an older template are replaced: secondaries first, then the primary, which hands over before where that is possible.
fn update(evidence: &Evidence, group: &str) -> Option<Step> {
    let newest = evidence
        .live(group)
        .filter_map(|(_, answer)| answer.version)
        .max();
    if let (Some(wanted), Some(newest)) = (evidence.wanted.version, newest)
        && is_downgrade(wanted, newest)
    {
        return Some(Step::Stall(Stall {
            reason: Reason::DowngradeRefused,
            message: format!(
                "database.managed.image has version {wanted}, and the data is of {newest}. {}",
                Reason::DowngradeRefused.advice()
            ),
            proposal: None,
        }));
    }
    let mut outdated: Vec<u32> = (0..evidence.record.replicas)
        .filter(|ordinal| {
            evidence.pods.get(ordinal).is_some_and(|pod| {
                !pod.leaving
                    && (pod.revision != evidence.wanted.revision
                        || needs_restart(evidence, *ordinal))
            })
        })
        .collect();
    let primary = evidence.primary(group);
    // What is down already first, then from the back, the primary last.
    outdated.sort_by_key(|ordinal| {
        (
            is_live(evidence, group, *ordinal),
            Some(*ordinal) == primary,
            std::cmp::Reverse(*ordinal),
        )
    });
    let next = *outdated.first()?;
    if !others_stand(evidence, group, next) {
        return Some(Step::Wait(format!(
            "Member {next} is replaced when all others are in the group and have caught up"
        )));
    }
    if Some(next) == primary
        && let Some(successor) = successor(evidence, group, next)
    {
        return Some(begin(evidence, OperationKind::Switchover, successor, None));
    }
    // Between versions the primary cannot hand over: it leaves in order, and the others elect.
    Some(begin(evidence, OperationKind::Replace, next, None))
}

/// Whether a member has settings that its server takes at its next start only.
fn needs_restart(evidence: &Evidence, ordinal: u32) -> bool {
    evidence.answer(ordinal).is_some_and(|answer| {
        answer.needs_restart && answer.settings.server == evidence.wanted.settings
    })
}

/// A tag without a patch says nothing about it.
fn is_downgrade(wanted: Version, running: Version) -> bool {
    wanted.series < running.series
        || wanted.series == running.series && wanted.patch > 0 && wanted.patch < running.patch
}

fn rest(evidence: &Evidence, group: &str) -> Step {
    let missing = (0..evidence.record.replicas).find(|ordinal| !is_live(evidence, group, *ordinal));
    match missing {
        Some(ordinal) => Step::Wait(format!("Member {ordinal} is {}", evidence.about(ordinal))),
        None if evidence.primary(group).is_none() => {
            Step::Wait("No member is known as the primary".to_owned())
        }
        None => waiting(evidence)
            .map(Step::Wait)
            .or_else(|| rotation::reload(evidence))
            .unwrap_or(Step::Nothing),
    }
}

/// What was asked for and cannot be begun yet.
fn waiting(evidence: &Evidence) -> Option<String> {
    let wanted = &evidence.wanted.settings;
    // An older agent does not tell, and takes them when its pod is replaced.
    let late = evidence.current().find(|(_, answer)| {
        let files = &answer.settings.files;
        !wanted.is_empty() && !files.is_empty() && files != wanted
    });
    if let Some((ordinal, _)) = late {
        return Some(format!(
            "Settings have changed: the files of member {ordinal} are not there yet"
        ));
    }
    let rotates = evidence
        .orders
        .iter()
        .any(|order| order.verb == Verb::Rotate);
    rotates.then(|| {
        "New passwords are made when all members have caught up and no pod of the shop is being replaced"
            .to_owned()
    })
}
