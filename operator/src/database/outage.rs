//! No member is in a group with a majority, as far as is known: the group is made again when it is proven that nothing
//! acknowledged is lost by it, and a human is asked otherwise.
//!
//! An acknowledged transaction is durable in the primary of the view in which it was committed, and was received by a majority of
//! that view. Members are asked after they have stopped taking part, so that what they say stays true. Let V be the last view
//! among their answers. Then
//!
//! - (a) a majority of V's members has answered: a later view would have had one of them;
//! - (b) V's primary has answered, or all of V's members have;
//! - (c) one member has everything that all who answered have.
//!
//! What was recorded counts as a view, too: a member that was told to make the group may have done so and have been alone.

use panono_crds::{
    DecisionPhase, MemberState, OperationKind, Reason, RecoveryEvidence, RecoveryRule,
};

use super::decide::{Act, Decision, Proposal, Stall, Step};
use super::evidence::{Answer, Evidence, Verb, View};
use crate::gtid::GtidSet;

pub(super) fn step(evidence: &Evidence, group: &str) -> Step {
    if let Some(step) = recovering(evidence, group) {
        return step;
    }
    let members: Vec<(u32, &Answer)> = evidence
        .current()
        .filter(|(_, answer)| answer.is_of(group))
        .collect();
    if let Some((ordinal, answer)) = members.iter().find(|(_, answer)| !at_rest(answer.state)) {
        return Step::Wait(format!(
            "No member is in a majority; member {ordinal} is {:?}",
            answer.state
        ));
    }
    let Some(operation) = evidence
        .record
        .operation
        .as_ref()
        .filter(|operation| operation.kind == OperationKind::Recovery)
    else {
        // Members that answer are stopped only if that can lead somewhere.
        return match choose(evidence, &members) {
            Err(lacks) if !evidence.waited_long => {
                Step::Wait(format!("No member is in a majority: {lacks}"))
            }
            Ok(_) | Err(_) => Step::Record(Decision::Operation {
                kind: OperationKind::Recovery,
                ordinal: 0,
                pod_uid: String::new(),
                action: None,
            }),
        };
    };
    if let Some((ordinal, _)) = members
        .iter()
        .find(|(_, answer)| answer.fenced != Some(operation.epoch))
    {
        return Step::Act(Act::Fence {
            ordinal: *ordinal,
            epoch: operation.epoch,
        });
    }
    if let Some(step) = ordered(evidence, &members) {
        return step;
    }
    match choose(evidence, &members) {
        Ok((seed, answer)) => Step::Record(Decision::Recovery {
            seed,
            server_uuid: answer.server_uuid.clone(),
            rule: RecoveryRule::Proven,
            evidence: recorded(&members),
            action: None,
        }),
        Err(lacks) if evidence.waited_long => Step::Stall(stall(evidence, &members, &lacks)),
        Err(lacks) => Step::Wait(format!("No member is in a majority: {lacks}")),
    }
}

/// Whether a member in this state does nothing that could still change what it has.
pub(super) fn at_rest(state: MemberState) -> bool {
    match state {
        MemberState::Waiting | MemberState::Fenced | MemberState::Quarantined => true,
        MemberState::Unknown
        | MemberState::Starting
        | MemberState::Recovering
        | MemberState::Online => false,
    }
}

/// It is recorded that the group is made again.
fn recovering(evidence: &Evidence, group: &str) -> Option<Step> {
    let recovery = evidence
        .record
        .recovery
        .as_ref()
        .filter(|recovery| recovery.phase == DecisionPhase::InProgress)?;
    let Some(answer) = evidence.answer(recovery.seed) else {
        let words = format!(
            "Member {}, from which the group is made again, does not answer",
            recovery.seed
        );
        return Some(if evidence.waited_long {
            Step::Stall(Stall {
                reason: Reason::OutageNeedsDecision,
                message: format!(
                    "{words}. Bring its pod back: kubectl describe pod. If its volume is lost, delete its claim and its pod; what is left \
                     is looked at again then"
                ),
                proposal: None,
            })
        } else {
            Step::Wait(words)
        });
    };
    let same = answer.is_of(group) && answer.server_uuid == recovery.server_uuid;
    let made = answer
        .last_view
        .as_ref()
        .is_some_and(|view| view.epoch >= recovery.epoch);
    if !at_rest(answer.state) {
        return Some(Step::Wait(format!(
            "Member {}, from which the group is made again, is {:?}",
            recovery.seed, answer.state
        )));
    }
    Some(if same && !made {
        Step::Act(Act::Recover {
            ordinal: recovery.seed,
            server_uuid: recovery.server_uuid.clone(),
            epoch: recovery.epoch,
        })
    } else {
        // It was made and is down again, or the data is gone: what is left is looked at anew.
        Step::Record(Decision::RecoveryDone)
    })
}

/// The member from which the group can be made again, or what is lacking.
fn choose<'a>(
    evidence: &Evidence,
    members: &[(u32, &'a Answer)],
) -> Result<(u32, &'a Answer), String> {
    let answered = |uuid: &str| members.iter().any(|(_, answer)| answer.server_uuid == uuid);
    let views = || {
        members
            .iter()
            .filter_map(|(_, answer)| answer.last_view.as_ref())
    };
    // Of a group that was made nobody knows when it cannot be said whether it was the last.
    if let Some(unknown) = views().find(|view| view.epoch == 0) {
        return Err(format!(
            "a member has seen view {} of a group of which no member that answers knows when it was made",
            unknown.counter
        ));
    }
    let last = views().max_by_key(|view| view.place());
    begun(evidence, members, last)?;
    match last {
        Some(view) => {
            let present = view.members.iter().filter(|uuid| answered(uuid)).count();
            if present * 2 <= view.members.len() {
                return Err(format!(
                    "{present} of the {} members of the last view that is known answer",
                    view.members.len()
                ));
            }
            let primary = view.primary.as_deref().is_some_and(&answered);
            if !primary && present < view.members.len() {
                return Err(
                    "the primary of the last view does not answer, which may have acknowledged what others have not"
                        .to_owned(),
                );
            }
        }
        // It was recorded who was to make the group, and that member has no view either: there was no group.
        None if evidence
            .record
            .bootstrap
            .as_ref()
            .is_some_and(|bootstrap| !bootstrap.adopted) => {}
        // Who was in a group that nobody saw is not known.
        None => {
            let missing = (0..evidence.record.replicas)
                .find(|ordinal| !members.iter().any(|(answered, _)| answered == ordinal));
            if let Some(ordinal) = missing {
                return Err(format!(
                    "member {ordinal} does not answer, and no other has seen the group"
                ));
            }
        }
    }
    let all = together(members);
    let primary = last.and_then(|view| view.primary.as_deref());
    members
        .iter()
        .filter(|(_, answer)| all.is_subset(&answer.has()))
        .min_by_key(|(ordinal, answer)| (primary != Some(answer.server_uuid.as_str()), *ordinal))
        .copied()
        .ok_or_else(|| "none of the members that answer has all that the others have".to_owned())
}

/// Whoever was told to make the group last must be heard, unless somebody has seen what came of it.
fn begun(
    evidence: &Evidence,
    members: &[(u32, &Answer)],
    last: Option<&View>,
) -> Result<(), String> {
    let seen = last.map(|view| view.epoch);
    if let Some(recovery) = &evidence.record.recovery
        && seen.is_none_or(|epoch| epoch < recovery.epoch)
    {
        let heard = members
            .iter()
            .any(|(_, answer)| answer.server_uuid == recovery.server_uuid);
        if !heard {
            return Err(format!(
                "member {}, from which the group was made again, has not answered with the data that it had",
                recovery.seed
            ));
        }
    }
    if let Some(bootstrap) = &evidence.record.bootstrap
        && !bootstrap.adopted
        && seen.is_none_or(|epoch| epoch < bootstrap.epoch)
    {
        let same = evidence
            .claims
            .get(&bootstrap.ordinal)
            .is_some_and(|claim| claim.uid == bootstrap.claim_uid);
        let heard = members
            .iter()
            .any(|(ordinal, _)| *ordinal == bootstrap.ordinal);
        if !same || !heard {
            return Err(format!(
                "member {}, on which the group was made, has not answered with the data that it had",
                bootstrap.ordinal
            ));
        }
    }
    Ok(())
}

/// Everything that members have.
fn together(members: &[(u32, &Answer)]) -> GtidSet {
    members.iter().fold(GtidSet::default(), |all, (_, answer)| {
        all.union(&answer.has())
    })
}

/// An action says from which member.
fn ordered(evidence: &Evidence, members: &[(u32, &Answer)]) -> Option<Step> {
    let (action, seed, accepted, epoch) =
        evidence.orders.iter().find_map(|order| match &order.verb {
            Verb::Rebuild {
                seed,
                accept_loss_of,
                epoch,
            } => Some((&order.action, *seed, accept_loss_of, *epoch)),
            Verb::Switchover(_) | Verb::Reclone(_) | Verb::Rotate => None,
        })?;
    let refuse = |message: String| {
        Some(Step::Act(Act::End {
            action: action.clone(),
            done: false,
            message,
        }))
    };
    if epoch != evidence.record.epoch {
        return refuse(format!(
            "It was decided for epoch {epoch}, and meanwhile it is {}: look at the status again",
            evidence.record.epoch
        ));
    }
    let Some((_, answer)) = members.iter().find(|(ordinal, _)| *ordinal == seed) else {
        return refuse(format!(
            "Member {seed} does not answer, or has no data of this group"
        ));
    };
    let lost = together(members).subtract(&answer.has());
    let beyond = lost.subtract(accepted);
    if !beyond.is_empty() {
        return refuse(format!(
            "From member {seed} these would be lost besides what acceptLossOf says: {beyond}"
        ));
    }
    Some(Step::Record(Decision::Recovery {
        seed,
        server_uuid: answer.server_uuid.clone(),
        rule: RecoveryRule::Ordered,
        evidence: recorded(members),
        action: Some(action.clone()),
    }))
}

/// What members said, as it is kept.
pub(super) fn recorded(members: &[(u32, &Answer)]) -> Vec<RecoveryEvidence> {
    members
        .iter()
        .map(|(ordinal, answer)| RecoveryEvidence {
            ordinal: *ordinal,
            server_uuid: answer.server_uuid.clone(),
            gtids: answer.has().to_string(),
            last_view: answer
                .last_view
                .as_ref()
                .map(|view| format!("{}:{}", view.epoch, view.counter)),
            primary: answer
                .last_view
                .as_ref()
                .and_then(|view| view.primary.clone()),
        })
        .collect()
}

fn stall(evidence: &Evidence, members: &[(u32, &Answer)], lacks: &str) -> Stall {
    let all = together(members);
    let best = members
        .iter()
        .max_by_key(|(ordinal, answer)| (answer.has().count(), std::cmp::Reverse(*ordinal)));
    let said: Vec<String> = members
        .iter()
        .map(|(ordinal, answer)| {
            format!(
                "member {ordinal} has {} transactions and saw view {}",
                answer.has().count(),
                answer.last_view.as_ref().map_or_else(
                    || "none".to_owned(),
                    |view| format!("{}:{}", view.epoch, view.counter)
                )
            )
        })
        .collect();
    Stall {
        reason: Reason::OutageNeedsDecision,
        message: format!(
            "No member is in a group, and {lacks}. Known: {}. {}",
            if said.is_empty() {
                "nobody answers".to_owned()
            } else {
                said.join("; ")
            },
            Reason::OutageNeedsDecision.advice()
        ),
        proposal: best.map(|(seed, answer)| Proposal::Rebuild {
            seed: *seed,
            accept_loss_of: all.subtract(&answer.has()),
            epoch: evidence.record.epoch,
        }),
    }
}
