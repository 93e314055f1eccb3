//! New passwords and a new certificate for a group, in phases, while shoppers go on buying. Pure.
//!
//! At each moment every process knows a password that the accounts take: the old one ends when nobody is left who uses it. Members
//! use new ones when their files have them; a pod of the shop uses those with which it was made, for as long as it lives.

use panono_crds::{RotationPhase, RotationStatus};

use super::decide::{Act, Decision, Step};
use super::evidence::{Answer, Evidence};

/// The shop was made anew, or is: which passwords its pods have to use is found.
pub(super) fn unknown(evidence: &Evidence, group: &str) -> Option<Step> {
    let generation = evidence.secrets.passwords;
    if evidence.record.passwords.is_some() || generation == 0 {
        return None;
    }
    let primary = evidence.primary(group)?;
    let set = evidence
        .answer(primary)
        .is_some_and(|answer| answer.passwords.set >= generation);
    Some(Step::Record(Decision::Passwords {
        generation,
        // The first ones are those with which members were made.
        set: set || generation == 1,
    }))
}

/// What was begun goes on. All members are in the group.
pub(super) fn proceed(evidence: &Evidence, group: &str, rotation: &RotationStatus) -> Step {
    let target = rotation.generation;
    let wait = |what: String| Step::Wait(format!("Passwords are being changed: {what}"));
    let next = |phase| {
        Step::Record(Decision::Rotation {
            phase,
            action: None,
        })
    };
    let epoch = evidence.record.epoch;
    let Some((ordinal, primary)) = evidence
        .primary(group)
        .and_then(|ordinal| Some((ordinal, evidence.answer(ordinal)?)))
    else {
        return wait("no member is known as the primary".to_owned());
    };
    match rotation.phase {
        RotationPhase::Making if evidence.secrets.passwords >= target => {
            next(Some(RotationPhase::Setting))
        }
        RotationPhase::Making => Step::Act(Act::MakeSecrets { generation: target }),
        RotationPhase::Setting => {
            if let Some(member) = member(evidence, |answer| answer.passwords.files < target) {
                return wait(format!("the files of member {member} are not there yet"));
            }
            if primary.passwords.set < target {
                return Step::Act(Act::SetPasswords {
                    ordinal,
                    generation: target,
                    epoch,
                });
            }
            let behind = member(evidence, |answer| {
                answer.passwords.set < target || answer.passwords.member < target
            });
            if let Some(member) = behind {
                return wait(format!("member {member} takes them over"));
            }
            certificate(evidence, epoch)
                .map(|step| step.unwrap_or_else(wait))
                .unwrap_or_else(|| next(Some(RotationPhase::RollingOut)))
        }
        RotationPhase::RollingOut => {
            let old = evidence.shop.oldest.is_some_and(|oldest| oldest < target);
            if old || !evidence.shop.settled {
                wait("the shop's pods are being replaced".to_owned())
            } else {
                next(Some(RotationPhase::Discarding))
            }
        }
        RotationPhase::Discarding if primary.passwords.only >= target => next(None),
        RotationPhase::Discarding => Step::Act(Act::DiscardPasswords {
            ordinal,
            generation: target,
            epoch,
        }),
    }
}

fn member(evidence: &Evidence, lacks: impl Fn(&Answer) -> bool) -> Option<u32> {
    (0..evidence.record.replicas).find(|ordinal| evidence.answer(*ordinal).is_some_and(&lacks))
}

/// Whether a member uses another certificate than that of the Secret: what is done about it, or what is waited for.
fn certificate(evidence: &Evidence, epoch: i64) -> Option<Result<Step, String>> {
    let wanted = &evidence.secrets.certificate;
    if let Some(member) = member(evidence, |answer| answer.certificate.files != *wanted) {
        return Some(Err(format!(
            "the certificate of member {member} is not there yet"
        )));
    }
    member(evidence, |answer| answer.certificate.server != *wanted)
        .map(|ordinal| Ok(Step::Act(Act::ReloadTls { ordinal, epoch })))
}

/// A member that has a new certificate in its files, and does not use it yet. Members do so by themselves, too.
pub(super) fn reload(evidence: &Evidence) -> Option<Step> {
    let wanted = &evidence.secrets.certificate;
    if wanted.is_empty() {
        return None;
    }
    let ordinal = member(evidence, |answer| {
        answer.certificate.files == *wanted && answer.certificate.server != *wanted
    })?;
    Some(Step::Act(Act::ReloadTls {
        ordinal,
        epoch: evidence.record.epoch,
    }))
}
