//! What a decision makes of the status. Pure.

use panono_crds::{
    BootstrapStatus, DatabaseStatus, DecisionPhase, OperationKind, OperationStatus,
    PasswordsStatus, RecoveryStatus, RotationPhase, RotationStatus,
};

use super::decide::Decision;

/// The status with a decision in it. `now` is the time of day, `group` the name of a
/// group that is made.
#[must_use]
pub fn record(
    before: &DatabaseStatus,
    decision: &Decision,
    now: &str,
    group: &str,
) -> DatabaseStatus {
    let mut status = before.clone();
    // A member makes the group again in the epoch in which it stopped taking part.
    if !matches!(decision, Decision::Recovery { .. }) {
        status.epoch = before.epoch.saturating_add(1);
    }
    match decision {
        Decision::Bootstrap {
            ordinal,
            pod_uid,
            claim_uid,
            members,
        } => {
            status.replicas = *members;
            status.group_name.get_or_insert_with(|| group.to_owned());
            status.bootstrap = Some(BootstrapStatus {
                phase: DecisionPhase::InProgress,
                ordinal: *ordinal,
                pod_uid: pod_uid.clone(),
                claim_uid: claim_uid.clone(),
                epoch: status.epoch,
                adopted: false,
            });
        }
        Decision::Adopt { group, members } => {
            status.group_name = Some(group.clone());
            status.replicas = *members;
            status.bootstrap = Some(BootstrapStatus {
                phase: DecisionPhase::Done,
                adopted: true,
                epoch: status.epoch,
                ..BootstrapStatus::default()
            });
        }
        Decision::BootstrapDone => {
            if let Some(bootstrap) = &mut status.bootstrap {
                bootstrap.phase = DecisionPhase::Done;
            }
        }
        Decision::Recovery {
            seed,
            server_uuid,
            rule,
            evidence,
            action,
        } => {
            status.recovery = Some(RecoveryStatus {
                phase: DecisionPhase::InProgress,
                seed: *seed,
                server_uuid: server_uuid.clone(),
                epoch: status.epoch,
                rule: *rule,
                evidence: evidence.clone(),
            });
            if let Some(operation) = &mut status.operation {
                operation.action.clone_from(action);
            }
        }
        Decision::RecoveryDone => {
            if let Some(recovery) = &mut status.recovery {
                recovery.phase = DecisionPhase::Done;
            }
            if status
                .operation
                .as_ref()
                .is_some_and(|operation| operation.kind == OperationKind::Recovery)
            {
                status.operation = None;
            }
        }
        Decision::Operation {
            kind,
            ordinal,
            pod_uid,
            action,
        } => {
            status.operation = Some(OperationStatus {
                kind: *kind,
                ordinal: *ordinal,
                pod_uid: pod_uid.clone(),
                epoch: status.epoch,
                started_at: now.to_owned(),
                action: action.clone(),
            });
        }
        Decision::OperationDone { .. } => status.operation = None,
        Decision::Passwords { generation, set } => {
            status.passwords = Some(PasswordsStatus {
                // Those before are still in the Secret.
                generation: if *set {
                    *generation
                } else {
                    generation.saturating_sub(1)
                },
                rotation: (!set).then(|| RotationStatus {
                    phase: RotationPhase::Setting,
                    generation: *generation,
                    started_at: now.to_owned(),
                    action: None,
                }),
            });
        }
        Decision::Rotation { phase, action } => {
            let passwords = status.passwords.get_or_insert_default();
            match (phase, &mut passwords.rotation) {
                (Some(phase), Some(rotation)) => rotation.phase = *phase,
                (Some(phase), none) => {
                    *none = Some(RotationStatus {
                        phase: *phase,
                        generation: passwords.generation.saturating_add(1),
                        started_at: now.to_owned(),
                        action: action.clone(),
                    });
                }
                (None, rotation) => {
                    if let Some(done) = rotation.take() {
                        passwords.generation = done.generation;
                    }
                }
            }
        }
        Decision::Protocol(version) => status.protocol_version = Some(version.to_string()),
        Decision::CatchUp(heard) => {
            status.epoch = heard.max(&before.epoch).saturating_add(1);
            status.operation = None;
            if let Some(recovery) = &mut status.recovery {
                recovery.phase = DecisionPhase::Done;
            }
            if let Some(bootstrap) = &mut status.bootstrap
                && bootstrap.phase == DecisionPhase::InProgress
            {
                bootstrap.epoch = status.epoch;
            }
        }
        Decision::Replicas(replicas) => {
            status.replicas = *replicas;
            status.operation = None;
        }
    }
    status
}
