//! One look at a group: observe, decide, and take the one step that was decided.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use panono_crds::{
    ConditionStatus, ConditionType, DatabaseStatus, DecisionPhase, Divergence, FailoverStatus,
    MemberStatus, Mode, Reason, ShopAction,
};
use serde_json::json;

use super::decide::{Act, Decision, Proposal, Step, decide, growth};
use super::evidence::{Evidence, Order, Secrets, ShopPods, Verb, Version, Wanted};
use super::growth::{beside, grow};
use super::observe::{Agents, Seen, answer, bytes, claim_name, observe, pod_name};
use super::record;
use super::secrets::{self, Keys};
use crate::agent::api::{self, Command};
use crate::cluster::Cluster;
use crate::desired::group::{MARKER, PORT, host};
use crate::failure::Failure;
use crate::names::Owner;
use crate::object::Kind;
use crate::status::Verdict;
use crate::validate::ValidatedShop;

/// How long members that do not answer are waited for before a human is told.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long an operation may take before it is given up, where that is possible.
const OPERATION: Duration = Duration::from_secs(600);

/// Until the next look: at a group that is as it should be, at one that is not, and after a step.
const REST: Duration = Duration::from_secs(10);
const WATCH: Duration = Duration::from_secs(2);
const NEXT: Duration = Duration::from_millis(200);

/// Seconds after which a switchover ends transactions that are still running.
const SWITCHOVER: u32 = 10;

/// What a look needs.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The API server.
    pub cluster: &'a Cluster,
    /// The shop.
    pub shop: &'a ValidatedShop,
    /// What is in its status.
    pub previous: &'a panono_crds::ShopStatus,
    /// How members are asked.
    pub keys: &'a Keys,
    /// The digest of the template of pods.
    pub revision: &'a str,
    /// The digest of the settings that can change while members run.
    pub settings: &'a str,
    /// The shop's own pods.
    pub pods: ShopPods,
    /// What was asked for and is not done.
    pub actions: &'a [Arc<ShopAction>],
}

/// What came of a look.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is to be in the status.
    pub status: DatabaseStatus,
    /// A decision is in it, which must be stored before anything follows from it.
    pub decided: bool,
    /// What is to be said, if not all is as it should be.
    pub verdict: Option<Verdict>,
    /// A member takes writes.
    pub writable: bool,
    /// One member can be lost.
    pub redundant: bool,
    /// When to look again.
    pub pause: Duration,
    /// Actions that came to their end: name, whether it was done, and why.
    pub ended: Vec<(String, bool, String)>,
}

/// Looks at a group and takes one step. A decision is returned and not yet stored; nothing was done on it.
///
/// # Errors
/// When the API server does not do its part. Members that do not are asked again.
pub async fn look(look: Look<'_>) -> Result<Outcome, Failure> {
    let owner = &look.shop.owner;
    let (seen, agents) = observe(look.cluster, owner, look.keys).await?;
    let now = Timestamp::now();
    let (evidence, mut ended) = gather(look, &seen, now);
    let step = decide(&evidence);
    let grown = match growth(&evidence, &step) {
        Some(ordinal) => Some(grow(look, ordinal).await?),
        None => None,
    };
    let mut outcome = told(&evidence, &seen, owner, now);
    tracing::debug!(?step, "decided");
    match step {
        Step::Nothing => {}
        Step::Wait(words) => {
            outcome.verdict = Some(Verdict::new(waiting(&evidence), words));
            outcome.pause = WATCH;
        }
        Step::Stall(stall) => {
            outcome.status.proposal = stall
                .proposal
                .as_ref()
                .map(|proposal| proposed(owner, proposal));
            outcome.verdict = Some(Verdict::new(stall.reason, stall.message));
        }
        Step::Record(decision) => {
            tracing::info!(?decision, "recording a decision about the database");
            if let Some(end) = end_of(&evidence.record, &decision) {
                ended.push(end);
            }
            let group = uuid();
            outcome.status = merged(
                record(&evidence.record, &decision, &whole_seconds(now), &group),
                &outcome.status,
            );
            outcome.decided = true;
            outcome.verdict = Some(Verdict::new(
                waiting(&evidence),
                waiting(&evidence).meaning(),
            ));
            outcome.pause = NEXT;
        }
        Step::Act(Act::End {
            action,
            done,
            message,
        }) => {
            ended.push((action, done, message));
            outcome.pause = NEXT;
        }
        Step::Act(act) => {
            tracing::info!(?act, "acting on the database");
            let (words, pause) = match carry_out(look, &agents, &evidence, &act).await? {
                Ok(()) => (waiting(&evidence).meaning().to_owned(), NEXT),
                Err(problem) => {
                    tracing::warn!(?act, problem, "a step on the database was not taken");
                    (problem, WATCH)
                }
            };
            // A new certificate changes nothing for anybody.
            if !matches!(act, Act::ReloadTls { .. }) || evidence.rotates() {
                outcome.verdict = Some(Verdict::new(waiting(&evidence), words));
            }
            outcome.pause = pause;
        }
    }
    match grown {
        Some(Ok(())) => outcome.pause = NEXT,
        Some(Err(refused)) => outcome.verdict = Some(beside(outcome.verdict.take(), refused)),
        None => {}
    }
    outcome.ended = ended;
    Ok(outcome)
}

/// What is waited for, by how far the group is.
fn waiting(evidence: &Evidence) -> Reason {
    let group = evidence.record.group_name.as_deref().unwrap_or_default();
    let made = evidence
        .record
        .bootstrap
        .as_ref()
        .is_some_and(|bootstrap| bootstrap.phase == DecisionPhase::Done);
    if !made {
        Reason::DatabaseStarting
    } else if evidence.live(group).next().is_none() {
        Reason::DatabaseRecovering
    } else {
        Reason::RollingOut
    }
}

/// Joins what was read, and refuses actions that cannot be read.
fn gather(look: Look<'_>, seen: &Seen, now: Timestamp) -> (Evidence, Vec<(String, bool, String)>) {
    let record = look.previous.database.clone().unwrap_or_default();
    let managed = look.shop.spec.database.managed.clone().unwrap_or_default();
    let since = |text: &str| {
        text.parse::<Timestamp>()
            .ok()
            .and_then(|then| Duration::try_from(now.duration_since(then)).ok())
            .unwrap_or_default()
    };
    let writable = look
        .previous
        .conditions
        .iter()
        .find(|condition| condition.kind == ConditionType::DatabaseWritable);
    let waited_long = writable.is_some_and(|condition| {
        condition.status == ConditionStatus::False
            && since(&condition.last_transition_time) > PATIENCE
    });
    let overdue = record
        .operation
        .as_ref()
        .is_some_and(|operation| since(&operation.started_at) > OPERATION);
    let mut ended = Vec::new();
    let orders = orders(look.actions, &mut ended);
    let mut evidence = Evidence {
        wanted: Wanted {
            members: managed.members,
            revision: look.revision.to_owned(),
            version: Version::of_image(&managed.image),
            claim_bytes: bytes(&managed.storage.size),
            hibernated: look.shop.spec.mode == Mode::Hibernated,
            reclones: managed.group.unwrap_or_default().divergence == Divergence::SaveThenReclone,
            settings: look.settings.to_owned(),
        },
        record,
        claims: seen.claims.clone(),
        pods: seen.pods.clone(),
        answers: seen
            .statuses
            .iter()
            .map(|(ordinal, status)| (*ordinal, answer(status)))
            .collect(),
        said: seen
            .statuses
            .iter()
            .filter_map(|(ordinal, status)| {
                let words = status.join_error.as_ref()?;
                // The whole is in the pod's log.
                Some((*ordinal, words.chars().take(300).collect()))
            })
            .collect(),
        orders,
        waited_long,
        overdue,
        secrets: Secrets {
            passwords: look.keys.passwords,
            certificate: look.keys.certificate.clone(),
        },
        shop: look.pods,
    };
    evidence.learn_epochs();
    (evidence, ended)
}

/// What actions ask for.
fn orders(actions: &[Arc<ShopAction>], ended: &mut Vec<(String, bool, String)>) -> Vec<Order> {
    let mut orders = Vec::new();
    for action in actions {
        let name = action.metadata.name.clone().unwrap_or_default();
        let spec = &action.spec;
        let verb = if spec.rotate_secrets.is_some() {
            Verb::Rotate
        } else if let Some(switchover) = &spec.switchover {
            Verb::Switchover(switchover.to)
        } else if let Some(reclone) = &spec.reclone {
            Verb::Reclone(reclone.member)
        } else if let Some(rebuild) = &spec.rebuild_group {
            match rebuild.accept_loss_of.parse() {
                Ok(accept_loss_of) => Verb::Rebuild {
                    seed: rebuild.seed,
                    accept_loss_of,
                    epoch: rebuild.epoch,
                },
                Err(error) => {
                    ended.push((name, false, format!("rebuildGroup.acceptLossOf: {error}")));
                    continue;
                }
            }
        } else {
            continue;
        };
        orders.push(Order { action: name, verb });
    }
    orders
}

/// The action that a decision brings to its end.
fn end_of(before: &DatabaseStatus, decision: &Decision) -> Option<(String, bool, String)> {
    if let Decision::Rotation { phase: None, .. } = decision {
        let rotation = before.passwords.as_ref()?.rotation.as_ref()?;
        let words = "Passwords and certificates were made anew and are used everywhere; the old passwords have ended";
        return Some((rotation.action.clone()?, true, words.to_owned()));
    }
    let operation = before.operation.as_ref()?;
    let action = operation.action.clone()?;
    match decision {
        Decision::OperationDone { done } => Some((
            action,
            *done,
            if *done {
                format!(
                    "{:?} of member {} is done",
                    operation.kind, operation.ordinal
                )
            } else {
                format!(
                    "{:?} of member {} was given up: members changed meanwhile, or it took too long",
                    operation.kind, operation.ordinal
                )
            },
        )),
        Decision::RecoveryDone => Some((action, true, "The group was made again".to_owned())),
        Decision::Bootstrap { .. }
        | Decision::Adopt { .. }
        | Decision::BootstrapDone
        | Decision::Recovery { .. }
        | Decision::Operation { .. }
        | Decision::CatchUp(_)
        | Decision::Passwords { .. }
        | Decision::Rotation { .. }
        | Decision::Protocol(_)
        | Decision::Replicas(_) => None,
    }
}

/// What members told, as it stands in the status.
fn told(evidence: &Evidence, seen: &Seen, owner: &Owner, now: Timestamp) -> Outcome {
    let mut status = evidence.record.clone();
    let group = status.group_name.clone().unwrap_or_default();
    status.proposal = None;
    status.members = (0..status.replicas)
        .map(|ordinal| {
            let answer = evidence.answer(ordinal);
            MemberStatus {
                ordinal,
                state: answer.map(|answer| answer.state).unwrap_or_default(),
                version: answer
                    .and_then(|answer| answer.version)
                    .map(|version| version.to_string()),
                server_uuid: answer
                    .map(|answer| answer.server_uuid.clone())
                    .filter(|uuid| !uuid.is_empty()),
                errant: answer
                    .filter(|answer| !answer.errant.is_empty())
                    .map(|answer| answer.errant.to_string()),
            }
        })
        .collect();
    let primary = evidence.primary(&group);
    let name = primary.map(|ordinal| pod_name(owner, ordinal));
    if let Some(name) = &name
        && status.primary.as_ref() != Some(name)
    {
        if let Some(from) = status.primary.clone() {
            tracing::info!(from, to = name, "the database has another primary");
            status.last_failover = Some(FailoverStatus {
                at: whole_seconds(now),
                from: Some(from),
                to: name.clone(),
                write_gap_ms: None,
            });
        }
        // The last one that is known stays, so that a change over a time without any is seen.
        status.primary = Some(name.clone());
    }
    // It is told when the first write was taken, which is after the change was seen.
    if let (Some(failover), Some(ordinal)) = (&mut status.last_failover, primary)
        && failover.write_gap_ms.is_none()
        && name.as_ref() == Some(&failover.to)
    {
        failover.write_gap_ms = gap(seen, ordinal, failover);
    }
    let live = evidence
        .live(&group)
        .filter(|(ordinal, _)| *ordinal < status.replicas)
        .count();
    let replicas = usize::try_from(status.replicas).unwrap_or(usize::MAX);
    Outcome {
        decided: false,
        verdict: None,
        writable: primary.is_some(),
        redundant: primary.is_some() && live == replicas && replicas >= 3,
        pause: REST,
        ended: Vec::new(),
        status,
    }
}

/// Before this, what a member tells of a change of the primary is of another one. Clocks differ, and looks are apart.
const SAME_FAILOVER: Duration = Duration::from_secs(300);

/// The gap of this change of the primary, if the new one has told it.
fn gap(seen: &Seen, ordinal: u32, failover: &FailoverStatus) -> Option<i64> {
    let told = seen.statuses.get(&ordinal)?.failover.as_ref()?;
    let at: Timestamp = failover.at.parse().ok()?;
    let first = Timestamp::from_millisecond(i64::try_from(told.at_ms).ok()?).ok()?;
    let apart = first.duration_since(at).unsigned_abs();
    (apart < SAME_FAILOVER)
        .then(|| i64::try_from(told.write_gap_ms).ok())
        .flatten()
}

/// A decision together with what members told.
fn merged(decided: DatabaseStatus, told: &DatabaseStatus) -> DatabaseStatus {
    DatabaseStatus {
        members: told.members.clone(),
        primary: told.primary.clone(),
        last_failover: told.last_failover.clone(),
        proposal: None,
        ..decided
    }
}

/// An action as a file for `kubectl apply -f -`.
fn proposed(owner: &Owner, proposal: &Proposal) -> String {
    let (name, verb) = match proposal {
        Proposal::Rebuild {
            seed,
            accept_loss_of,
            epoch,
        } => (
            format!("{}-rebuild-{epoch}", owner.name),
            json!({"rebuildGroup": {"seed": seed, "acceptLossOf": accept_loss_of.to_string(), "epoch": epoch}}),
        ),
        Proposal::Reclone { ordinal } => (
            format!("{}-reclone-{ordinal}", owner.name),
            json!({"reclone": {"member": ordinal}}),
        ),
    };
    let mut spec = json!({"shopName": owner.name});
    if let (Some(spec), Some(verb)) = (spec.as_object_mut(), verb.as_object()) {
        spec.extend(verb.clone());
    }
    let action = json!({
        "apiVersion": format!("{}/{}", panono_crds::GROUP, panono_crds::VERSION),
        "kind": "ShopAction",
        "metadata": {"name": name, "namespace": owner.namespace},
        "spec": spec,
    });
    panono_crds::to_yaml(&action).unwrap_or_else(|_| action.to_string())
}

/// Takes a step. What a member refuses is told in words; it is decided anew.
async fn carry_out(
    look: Look<'_>,
    agents: &Agents,
    evidence: &Evidence,
    act: &Act,
) -> Result<Result<(), String>, Failure> {
    let owner = &look.shop.owner;
    let namespace = &owner.namespace;
    let group = evidence.record.group_name.clone().unwrap_or_default();
    if let Some((ordinal, epoch, verb)) = verb(owner, evidence, &group, act) {
        let Some(pod) = evidence.pods.get(&ordinal) else {
            return Ok(Err(format!("member {ordinal} has no pod")));
        };
        let command = Command {
            pod_uid: pod.uid.clone(),
            epoch,
            verb,
        };
        return Ok(agents.tell(ordinal, &command).await);
    }
    match act {
        Act::MarkClaim { ordinal } => {
            let fields = json!({"metadata": {"annotations": {MARKER: group}}});
            let name = claim_name(owner, *ordinal);
            look.cluster
                .change(Kind::PersistentVolumeClaim, namespace, &name, &fields)
                .await?;
        }
        Act::Replace { ordinal, pod_uid } => {
            return look
                .cluster
                .evict(namespace, &pod_name(owner, *ordinal), pod_uid)
                .await;
        }
        Act::Remake { ordinal, pod_uid } => {
            let name = pod_name(owner, *ordinal);
            look.cluster.delete_pod(namespace, &name, pod_uid).await?;
        }
        Act::MakeSecrets { generation } => {
            secrets::renew(look.cluster, owner, *generation).await?;
        }
        Act::SetPasswords { .. }
        | Act::DiscardPasswords { .. }
        | Act::ReloadTls { .. }
        | Act::ApplySettings { .. }
        | Act::SetProtocol { .. }
        | Act::Bootstrap { .. }
        | Act::Fence { .. }
        | Act::Release { .. }
        | Act::Recover { .. }
        | Act::Switchover { .. }
        | Act::Leave { .. }
        | Act::Reclone { .. }
        | Act::End { .. } => {}
    }
    Ok(Ok(()))
}

/// The step as a member is told it: which member, in which epoch, what. Nothing for what is done without one.
pub fn verb(
    owner: &Owner,
    evidence: &Evidence,
    group: &str,
    act: &Act,
) -> Option<(u32, i64, api::Verb)> {
    Some(match act {
        Act::Bootstrap { ordinal, epoch, .. } => (
            *ordinal,
            *epoch,
            api::Verb::Bootstrap {
                group_name: group.to_owned(),
            },
        ),
        Act::Fence { ordinal, epoch } => (
            *ordinal,
            *epoch,
            api::Verb::Fence {
                reason: "no member is known to be in a majority".to_owned(),
            },
        ),
        Act::Release { ordinal, epoch } => (*ordinal, *epoch, api::Verb::Release {}),
        Act::Recover { ordinal, epoch, .. } => (
            *ordinal,
            *epoch,
            api::Verb::Rebuild {
                group_name: group.to_owned(),
            },
        ),
        Act::Switchover { ordinal, epoch } => (
            *ordinal,
            *epoch,
            api::Verb::Switchover {
                to_uuid: evidence.answer(*ordinal)?.server_uuid.clone(),
                timeout_seconds: SWITCHOVER,
            },
        ),
        Act::Leave { ordinal, epoch } => (*ordinal, *epoch, api::Verb::Leave {}),
        Act::Reclone {
            ordinal,
            donor,
            epoch,
        } => (
            *ordinal,
            *epoch,
            api::Verb::Reclone {
                donor: format!("{}:{PORT}", host(owner, *donor)),
                // Never without: what only this member has is kept.
                save: true,
            },
        ),
        Act::SetPasswords {
            ordinal,
            generation,
            epoch,
        } => (
            *ordinal,
            *epoch,
            api::Verb::RotatePasswords {
                generation: *generation,
                discard_old: false,
            },
        ),
        Act::DiscardPasswords {
            ordinal,
            generation,
            epoch,
        } => (
            *ordinal,
            *epoch,
            api::Verb::RotatePasswords {
                generation: *generation,
                discard_old: true,
            },
        ),
        Act::ReloadTls { ordinal, epoch } => (*ordinal, *epoch, api::Verb::ReloadTls {}),
        Act::ApplySettings { ordinal, epoch } => (*ordinal, *epoch, api::Verb::ApplySettings {}),
        Act::SetProtocol {
            ordinal,
            version,
            epoch,
        } => (
            *ordinal,
            *epoch,
            api::Verb::SetCommunicationProtocol {
                version: version.to_string(),
            },
        ),
        Act::MarkClaim { .. }
        | Act::Replace { .. }
        | Act::Remake { .. }
        | Act::MakeSecrets { .. }
        | Act::End { .. } => return None,
    })
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> String {
    let bits: u128 = rand::random();
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{bits:032x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default().to_owned();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

fn whole_seconds(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}

#[cfg(test)]
mod tests {
    use panono_crds::ShopAction;

    use super::{Act, Proposal, api, proposed, uuid, verb};
    use crate::agent::config::is_uuid;
    use crate::database::evidence::Evidence;
    use crate::names::Owner;

    fn owner() -> Owner {
        Owner {
            name: "demo".to_owned(),
            namespace: "shops".to_owned(),
            uid: None,
        }
    }

    #[test]
    fn what_is_proposed_can_be_applied() {
        for proposal in [
            Proposal::Rebuild {
                seed: 1,
                accept_loss_of: "6f1c2b9e-0000-4000-8000-0000000000ff:1-3".parse().unwrap(),
                epoch: 9,
            },
            Proposal::Reclone { ordinal: 2 },
        ] {
            let text = proposed(&owner(), &proposal);
            let action: ShopAction = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(action.spec.shop_name, "demo");
            match proposal {
                Proposal::Rebuild { .. } => {
                    let rebuild = action.spec.rebuild_group.unwrap();
                    assert_eq!((rebuild.seed, rebuild.epoch), (1, 9));
                    assert!(rebuild.accept_loss_of.ends_with(":1-3"));
                }
                Proposal::Reclone { .. } => assert_eq!(action.spec.reclone.unwrap().member, 2),
            }
        }
    }

    /// Data is never replaced without saving what only this member has.
    #[test]
    fn a_copy_is_never_taken_without_saving() {
        let act = Act::Reclone {
            ordinal: 2,
            donor: 1,
            epoch: 4,
        };
        let (ordinal, epoch, verb) = verb(&owner(), &Evidence::default(), "g", &act).unwrap();
        assert_eq!((ordinal, epoch), (2, 4));
        assert_eq!(
            verb,
            api::Verb::Reclone {
                donor: "demo-database-1.demo-database-members.shops.svc:3306".to_owned(),
                save: true
            }
        );
    }

    #[test]
    fn groups_have_names_of_their_own() {
        assert!(is_uuid(&uuid()));
        assert_ne!(uuid(), uuid());
    }
}
