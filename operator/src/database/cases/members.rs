//! Members of a group with a majority, one after the other.

use panono_crds::{DecisionPhase, MemberState, OperationKind, OperationStatus};

use super::{GROUP, OTHER, add, add_to, answer, hear, hold, new, operation, order, up};
use crate::database::decide::{Step, decide};
use crate::database::evidence::{Data, Evidence, Verb, Version};

#[test]
fn one_member_is_stopped_at_a_time() {
    fn outdated(evidence: &mut Evidence) {
        for pod in evidence.pods.values_mut() {
            pod.revision = "old".to_owned();
        }
    }
    hold(&[
        ("all is well", up, |_| {}, "nothing"),
        (
            "secondaries from the back",
            up,
            outdated,
            "record Replace 2",
        ),
        (
            "one is out",
            up,
            |e| {
                outdated(e);
                answer(e, 1).state = MemberState::Recovering;
            },
            "record Replace 1",
        ),
        (
            "one is out and would come back by itself",
            up,
            |e| {
                outdated(e);
                e.pods.get_mut(&1).unwrap().revision = "new".to_owned();
                answer(e, 1).state = MemberState::Recovering;
            },
            "wait",
        ),
        (
            "one does not answer",
            up,
            |e| {
                outdated(e);
                e.answers.remove(&0);
            },
            "wait",
        ),
        (
            "one has to catch up",
            up,
            |e| {
                outdated(e);
                answer(e, 1).queue = 5000;
            },
            "wait",
        ),
        (
            "the primary hands over first",
            up,
            |e| e.pods.get_mut(&0).unwrap().revision = "old".to_owned(),
            "record Switchover 1",
        ),
        (
            "between versions it cannot",
            up,
            |e| {
                e.pods.get_mut(&0).unwrap().revision = "old".to_owned();
                answer(e, 1).version = Version::of("9.8.0");
                answer(e, 2).version = Version::of("9.8.0");
            },
            "record Replace 0",
        ),
        (
            "an older version",
            up,
            |e| {
                outdated(e);
                e.wanted.version = Version::of("8.4");
            },
            "stall DowngradeRefused",
        ),
        (
            "the same series",
            up,
            |e| {
                outdated(e);
                e.wanted.version = Version::of("9.7");
            },
            "record Replace 2",
        ),
        (
            "begun, and not done",
            up,
            |e| e.record.operation = Some(operation(OperationKind::Replace, 2)),
            "replace 2",
        ),
        (
            "begun, and another fell",
            up,
            |e| {
                e.record.operation = Some(operation(OperationKind::Replace, 2));
                answer(e, 1).majority = false;
            },
            "record done false",
        ),
        (
            "the pod is ending",
            up,
            |e| {
                e.record.operation = Some(operation(OperationKind::Replace, 2));
                e.pods.get_mut(&2).unwrap().leaving = true;
            },
            "wait",
        ),
        (
            "the new pod is not in the group",
            up,
            |e| {
                e.record.operation = Some(operation(OperationKind::Replace, 2));
                e.pods.get_mut(&2).unwrap().uid = "pod-9".to_owned();
                outdated(e);
                e.pods.get_mut(&2).unwrap().revision = "new".to_owned();
            },
            "wait",
        ),
        (
            "the new pod does not come up, and something else is wanted",
            up,
            |e| {
                e.record.operation = Some(operation(OperationKind::Replace, 2));
                e.pods.get_mut(&2).unwrap().uid = "pod-9".to_owned();
                outdated(e);
            },
            "record Replace 2",
        ),
        (
            "the new pod is in the group",
            up,
            |e| {
                e.record.operation = Some(operation(OperationKind::Replace, 2));
                e.pods.get_mut(&2).unwrap().uid = "pod-9".to_owned();
                answer(e, 2).pod_uid = "pod-9".to_owned();
            },
            "record done true",
        ),
    ]);
}

#[test]
fn members_are_added_and_taken_out_one_by_one() {
    fn five(evidence: &mut Evidence) {
        add(evidence, 3);
        add(evidence, 4);
        evidence.record.replicas = 5;
    }
    hold(&[
        ("more", up, |e| e.wanted.members = 5, "record replicas 4"),
        (
            "more, and one is out",
            up,
            |e| {
                e.wanted.members = 5;
                answer(e, 2).majority = false;
            },
            "wait",
        ),
        ("fewer", up, five, "record Leave 4"),
        (
            "fewer, and another that is to go never joins",
            up,
            |e| {
                five(e);
                answer(e, 3).majority = false;
            },
            "record Leave 4",
        ),
        (
            "fewer, and one that stays is out",
            up,
            |e| {
                five(e);
                answer(e, 1).majority = false;
            },
            "wait",
        ),
        (
            "fewer, and the last is the primary",
            up,
            |e| {
                five(e);
                answer(e, 0).primary = false;
                answer(e, 4).primary = true;
            },
            "record Switchover 0",
        ),
        (
            "others hear of it first",
            up,
            |e| {
                five(e);
                e.record.operation = Some(OperationStatus {
                    epoch: 8,
                    ..operation(OperationKind::Leave, 4)
                });
                e.record.epoch = 8;
            },
            "release 0",
        ),
        (
            "it leaves",
            up,
            |e| {
                five(e);
                e.record.operation = Some(OperationStatus {
                    epoch: 8,
                    ..operation(OperationKind::Leave, 4)
                });
                hear(e, 8);
                answer(e, 4).epoch = 7;
            },
            "leave 4",
        ),
        (
            "it leaves, and another that is to go never joins",
            up,
            |e| {
                five(e);
                e.record.operation = Some(OperationStatus {
                    epoch: 8,
                    ..operation(OperationKind::Leave, 4)
                });
                hear(e, 8);
                answer(e, 3).majority = false;
                answer(e, 4).epoch = 7;
            },
            "leave 4",
        ),
        (
            "it has left",
            up,
            |e| {
                five(e);
                e.record.operation = Some(operation(OperationKind::Leave, 4));
                answer(e, 4).state = MemberState::Waiting;
            },
            "record replicas 4",
        ),
        (
            "it is wanted again",
            up,
            |e| {
                five(e);
                e.wanted.members = 5;
                e.record.operation = Some(OperationStatus {
                    epoch: 8,
                    ..operation(OperationKind::Leave, 4)
                });
                hear(e, 8);
                answer(e, 4).epoch = 7;
            },
            "record done false",
        ),
        (
            "a new volume is marked",
            up,
            |e| e.claims.get_mut(&2).unwrap().marker = None,
            "mark 2",
        ),
        (
            "a volume of somebody else",
            up,
            |e| e.claims.get_mut(&2).unwrap().marker = Some(OTHER.to_owned()),
            "stall ForeignDataDirectory",
        ),
        (
            "data of somebody else",
            up,
            |e| answer(e, 2).data = Data::Of(OTHER.to_owned()),
            "stall ForeignDataDirectory",
        ),
    ]);
}

#[test]
fn a_member_that_diverged_is_copied_anew_when_the_others_stand() {
    fn diverged(evidence: &mut Evidence) {
        let answer = answer(evidence, 2);
        answer.state = MemberState::Quarantined;
        answer.majority = false;
        add_to(&mut answer.errant, OTHER, 1, 3);
    }
    hold(&[
        ("by itself", up, diverged, "record Reclone 2"),
        (
            "when a human says so",
            up,
            |e| {
                diverged(e);
                e.wanted.reclones = false;
            },
            "stall MemberDiverged",
        ),
        (
            "a human says so",
            up,
            |e| {
                diverged(e);
                e.wanted.reclones = false;
                e.orders = order(Verb::Reclone(2));
            },
            "record Reclone 2",
        ),
        (
            "another is out",
            up,
            |e| {
                diverged(e);
                answer(e, 1).majority = false;
            },
            "wait",
        ),
        (
            "it begins",
            up,
            |e| {
                diverged(e);
                e.record.operation = Some(operation(OperationKind::Reclone, 2));
            },
            "reclone 2 from 1",
        ),
        (
            "it is copying",
            up,
            |e| {
                answer(e, 2).state = MemberState::Recovering;
                e.record.operation = Some(operation(OperationKind::Reclone, 2));
            },
            "wait",
        ),
        (
            "it is in the group",
            up,
            |e| e.record.operation = Some(operation(OperationKind::Reclone, 2)),
            "record done true",
        ),
        (
            "one that is in the group is not copied",
            up,
            |e| e.orders = order(Verb::Reclone(1)),
            "end false",
        ),
        (
            "there is no such member",
            up,
            |e| e.orders = order(Verb::Reclone(8)),
            "end false",
        ),
    ]);
}

#[test]
fn the_primary_changes_when_asked() {
    hold(&[
        (
            "to any",
            up,
            |e| e.orders = order(Verb::Switchover(None)),
            "record Switchover 1",
        ),
        (
            "to this one",
            up,
            |e| e.orders = order(Verb::Switchover(Some(2))),
            "record Switchover 2",
        ),
        (
            "to the one that is",
            up,
            |e| e.orders = order(Verb::Switchover(Some(0))),
            "end true",
        ),
        (
            "to one that is out",
            up,
            |e| {
                e.orders = order(Verb::Switchover(Some(2)));
                answer(e, 2).state = MemberState::Recovering;
            },
            "end false",
        ),
        (
            "to a newer one",
            up,
            |e| {
                e.orders = order(Verb::Switchover(Some(2)));
                answer(e, 2).version = Version::of("9.8.0");
            },
            "end false",
        ),
        (
            "it is asked",
            up,
            |e| e.record.operation = Some(operation(OperationKind::Switchover, 2)),
            "switchover 2",
        ),
        (
            "it is",
            up,
            |e| e.record.operation = Some(operation(OperationKind::Switchover, 0)),
            "record done true",
        ),
        (
            "it takes too long",
            up,
            |e| {
                e.record.operation = Some(operation(OperationKind::Switchover, 2));
                e.overdue = true;
            },
            "record done false",
        ),
    ]);
}

/// Whoever waits for a member is told what the member says of itself.
#[test]
fn why_a_member_is_out_is_told_in_its_own_words() {
    let told = |mut evidence: Evidence| {
        evidence.said.insert(2, "the disk is full".to_owned());
        answer(&mut evidence, 2).state = MemberState::Starting;
        match decide(&evidence) {
            Step::Wait(words) => words,
            other => panic!("{other:?}"),
        }
    };
    let mut group = up();
    answer(&mut group, 2).majority = false;
    assert_eq!(told(group), "Member 2 is Starting: the disk is full");

    let mut making = new();
    making.record = up().record;
    if let Some(bootstrap) = &mut making.record.bootstrap {
        bootstrap.phase = DecisionPhase::InProgress;
        bootstrap.ordinal = 2;
        bootstrap.pod_uid = "pod-2".to_owned();
        bootstrap.claim_uid = "claim-2".to_owned();
    }
    making.claims.get_mut(&2).unwrap().marker = Some(GROUP.to_owned());
    // A command would be refused, and say less.
    assert_eq!(
        told(making),
        "Member 2, which makes the group, is Starting: the disk is full"
    );
}
