//! Decisions, one by one.

mod making;
mod members;
mod rotation;

use panono_crds::{
    BootstrapStatus, DatabaseStatus, DecisionPhase, MemberState, OperationKind, OperationStatus,
};

use crate::database::decide::{Act, Decision, Step, decide};
use crate::database::evidence::{Answer, Claim, Data, Evidence, Order, Pod, Verb, Version, View};
use crate::gtid::{GtidSet, Source};

const GROUP: &str = "6f1c2b9e-0000-4000-8000-0000000000ff";
const OTHER: &str = "6f1c2b9e-0000-4000-8000-0000000000ee";

fn uuid(ordinal: u32) -> String {
    format!("6f1c2b9e-0000-4000-8000-00000000000{ordinal}")
}

fn gtids(last: u64) -> GtidSet {
    let mut set = GtidSet::default();
    add_to(&mut set, GROUP, 1, last);
    set
}

fn add_to(set: &mut GtidSet, source: &str, first: u64, last: u64) {
    set.insert_range(&Source::new(source).unwrap(), first, last);
}

fn view(members: &[u32], primary: u32) -> View {
    View {
        epoch: 1,
        prefix: "1".to_owned(),
        counter: 5,
        members: members.iter().map(|ordinal| uuid(*ordinal)).collect(),
        primary: Some(uuid(primary)),
    }
}

/// Three members that are in the group, the first of which is the primary.
fn up() -> Evidence {
    let mut evidence = Evidence {
        record: DatabaseStatus {
            group_name: Some(GROUP.to_owned()),
            epoch: 7,
            replicas: 3,
            bootstrap: Some(BootstrapStatus {
                phase: DecisionPhase::Done,
                ordinal: 0,
                pod_uid: "pod-0".to_owned(),
                claim_uid: "claim-0".to_owned(),
                epoch: 1,
                adopted: false,
            }),
            protocol_version: Some("9.7.1".to_owned()),
            ..DatabaseStatus::default()
        },
        ..Evidence::default()
    };
    evidence.wanted.members = 3;
    evidence.wanted.revision = "new".to_owned();
    evidence.wanted.reclones = true;
    evidence.wanted.claim_bytes = 10;
    for ordinal in 0..3 {
        add(&mut evidence, ordinal);
    }
    evidence
}

fn add(evidence: &mut Evidence, ordinal: u32) {
    evidence.claims.insert(
        ordinal,
        Claim {
            uid: format!("claim-{ordinal}"),
            marker: Some(GROUP.to_owned()),
            bytes: 10,
        },
    );
    evidence.pods.insert(
        ordinal,
        Pod {
            uid: format!("pod-{ordinal}"),
            revision: "new".to_owned(),
            leaving: false,
            runs: true,
        },
    );
    evidence.answers.insert(
        ordinal,
        Answer {
            pod_uid: format!("pod-{ordinal}"),
            epoch: 7,
            server_uuid: uuid(ordinal),
            data: Data::Of(GROUP.to_owned()),
            state: MemberState::Online,
            majority: true,
            primary: ordinal == 0,
            executed: gtids(100),
            last_view: Some(view(&[0, 1, 2], 0)),
            version: Version::of("9.7.1"),
            ..Answer::default()
        },
    );
}

/// All three are out, and have said so after they were fenced.
fn down() -> Evidence {
    let mut evidence = up();
    evidence.record.operation = Some(operation(OperationKind::Recovery, 0));
    for answer in evidence.answers.values_mut() {
        answer.state = MemberState::Fenced;
        answer.fenced = Some(7);
        answer.majority = false;
        answer.primary = false;
    }
    evidence
}

/// A Shop that has just been applied.
fn new() -> Evidence {
    let mut evidence = up();
    evidence.record = DatabaseStatus::default();
    for claim in evidence.claims.values_mut() {
        claim.marker = None;
    }
    for answer in evidence.answers.values_mut() {
        *answer = Answer {
            pod_uid: answer.pod_uid.clone(),
            server_uuid: answer.server_uuid.clone(),
            data: Data::Fresh,
            state: MemberState::Waiting,
            ..Answer::default()
        };
    }
    evidence
}

/// A pod does not run, and is of a template that is not wanted any longer.
fn broken(evidence: &mut Evidence, ordinal: u32) {
    let pod = evidence.pods.get_mut(&ordinal).unwrap();
    pod.runs = false;
    pod.revision = "old".to_owned();
    evidence.answers.remove(&ordinal);
}

fn operation(kind: OperationKind, ordinal: u32) -> OperationStatus {
    OperationStatus {
        kind,
        ordinal,
        pod_uid: format!("pod-{ordinal}"),
        epoch: 7,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        action: None,
    }
}

fn answer(evidence: &mut Evidence, ordinal: u32) -> &mut Answer {
    evidence.answers.get_mut(&ordinal).unwrap()
}

fn order(verb: Verb) -> Vec<Order> {
    vec![Order {
        action: "act".to_owned(),
        verb,
    }]
}

/// All members have heard of the newest decision.
fn hear(evidence: &mut Evidence, epoch: i64) {
    evidence.record.epoch = epoch;
    for answer in evidence.answers.values_mut() {
        answer.epoch = epoch;
    }
}

/// A word for a step, so that a table can be read.
fn word(step: &Step) -> String {
    match step {
        Step::Nothing => "nothing".to_owned(),
        Step::Wait(_) => "wait".to_owned(),
        Step::Stall(stall) => format!("stall {}", stall.reason),
        Step::Record(decision) => match decision {
            Decision::Bootstrap { ordinal, .. } => format!("record bootstrap {ordinal}"),
            Decision::Adopt { members, .. } => format!("record adopt {members}"),
            Decision::BootstrapDone => "record bootstrap done".to_owned(),
            Decision::Recovery { seed, rule, .. } => format!("record recovery {seed} {rule:?}"),
            Decision::RecoveryDone => "record recovery done".to_owned(),
            Decision::Operation { kind, ordinal, .. } => format!("record {kind:?} {ordinal}"),
            Decision::OperationDone { done } => format!("record done {done}"),
            Decision::Passwords { generation, set } => {
                format!("record passwords {generation} {set}")
            }
            Decision::Rotation { phase, .. } => format!("record rotation {phase:?}"),
            Decision::Protocol(version) => format!("record protocol {version}"),
            Decision::CatchUp(heard) => format!("record epoch {heard}"),
            Decision::Replicas(replicas) => format!("record replicas {replicas}"),
        },
        Step::Act(act) => match act {
            Act::MarkClaim { ordinal } => format!("mark {ordinal}"),
            Act::Bootstrap { ordinal, .. } => format!("bootstrap {ordinal}"),
            Act::Fence { ordinal, .. } => format!("fence {ordinal}"),
            Act::Release { ordinal, .. } => format!("release {ordinal}"),
            Act::Recover { ordinal, .. } => format!("recover {ordinal}"),
            Act::Switchover { ordinal, .. } => format!("switchover {ordinal}"),
            Act::Replace { ordinal, .. } => format!("replace {ordinal}"),
            Act::Remake { ordinal, .. } => format!("remake {ordinal}"),
            Act::Leave { ordinal, .. } => format!("leave {ordinal}"),
            Act::Reclone { ordinal, donor, .. } => format!("reclone {ordinal} from {donor}"),
            Act::MakeSecrets { generation } => format!("make secrets {generation}"),
            Act::SetPasswords { ordinal, .. } => format!("set passwords {ordinal}"),
            Act::DiscardPasswords { ordinal, .. } => format!("discard passwords {ordinal}"),
            Act::ReloadTls { ordinal, .. } => format!("reload {ordinal}"),
            Act::ApplySettings { ordinal, .. } => format!("settings {ordinal}"),
            Act::SetProtocol {
                ordinal, version, ..
            } => format!("protocol {ordinal} {version}"),
            Act::End { done, .. } => format!("end {done}"),
        },
    }
}

type Case = (
    &'static str,
    fn() -> Evidence,
    fn(&mut Evidence),
    &'static str,
);

fn hold(cases: &[Case]) {
    for (what, start, change, wanted) in cases {
        let mut evidence = start();
        change(&mut evidence);
        assert_eq!(word(&decide(&evidence)), *wanted, "{what}");
    }
}
