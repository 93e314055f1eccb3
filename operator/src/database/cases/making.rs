//! Making a group, and making it again.

use panono_crds::{DecisionPhase, MemberState, OperationKind, RecoveryRule, RecoveryStatus};

use super::{
    GROUP, OTHER, add, add_to, answer, broken, down, gtids, hold, new, operation, order, up, uuid,
    view, word,
};
use crate::database::decide::{Decision, Proposal, Step, decide, growth};
use crate::database::evidence::{Data, Evidence, Verb};
use crate::database::record;
use crate::gtid::GtidSet;

#[test]
fn a_group_is_made_once_and_never_beside_data() {
    hold(&[
        ("all members are fresh", new, |_| {}, "record bootstrap 0"),
        (
            "one does not answer",
            new,
            |e| {
                e.answers.remove(&2);
            },
            "wait",
        ),
        (
            "an answer of a pod before",
            new,
            |e| answer(e, 1).pod_uid = "before".to_owned(),
            "wait",
        ),
        (
            "a claim is not there yet",
            new,
            |e| {
                e.claims.remove(&1);
            },
            "wait",
        ),
        (
            "one volume is marked",
            new,
            |e| e.claims.get_mut(&2).unwrap().marker = Some(GROUP.to_owned()),
            "record adopt 3",
        ),
        (
            "a volume of a member that is not wanted is marked",
            new,
            |e| {
                add(e, 4);
                e.answers.remove(&4);
            },
            "record adopt 5",
        ),
        (
            "one has data of a group",
            new,
            |e| answer(e, 2).data = Data::Of(GROUP.to_owned()),
            "record adopt 3",
        ),
        (
            "volumes of two groups",
            new,
            |e| {
                e.claims.get_mut(&0).unwrap().marker = Some(GROUP.to_owned());
                e.claims.get_mut(&1).unwrap().marker = Some(OTHER.to_owned());
            },
            "stall ForeignDataDirectory",
        ),
        (
            "data without a group",
            new,
            |e| answer(e, 1).data = Data::Foreign,
            "stall ForeignDataDirectory",
        ),
        (
            "a volume nobody can be asked about",
            new,
            |e| {
                add(e, 3);
                e.claims.get_mut(&3).unwrap().marker = None;
                e.answers.remove(&3);
            },
            "stall ForeignDataDirectory",
        ),
        (
            "nothing is to run",
            new,
            |e| e.wanted.hibernated = true,
            "nothing",
        ),
    ]);
}

/// A pod that does not run has nothing to lose by being made anew, and nobody who waits for it comes further without.
#[test]
fn pods_that_do_not_run_are_made_from_the_wanted_template() {
    hold(&[
        (
            "no pod of a new Shop comes up",
            new,
            |e| (0..3).for_each(|ordinal| broken(e, ordinal)),
            "remake 0",
        ),
        (
            "there is none of another template",
            new,
            |e| {
                broken(e, 1);
                e.pods.get_mut(&1).unwrap().revision = "new".to_owned();
            },
            "wait",
        ),
        (
            "it runs, and does not answer",
            new,
            |e| {
                broken(e, 1);
                e.pods.get_mut(&1).unwrap().runs = true;
            },
            "wait",
        ),
        (
            "it is ending",
            new,
            |e| {
                broken(e, 1);
                e.pods.get_mut(&1).unwrap().leaving = true;
            },
            "wait",
        ),
        (
            "its node has not told yet that it runs",
            new,
            |e| {
                let pod = e.pods.get_mut(&1).unwrap();
                pod.runs = false;
                pod.revision = "old".to_owned();
            },
            "record bootstrap 0",
        ),
        (
            "the member that makes the group",
            beginning,
            |e| broken(e, 0),
            "remake 0",
        ),
        (
            "all members are down",
            down,
            |e| (0..3).for_each(|ordinal| broken(e, ordinal)),
            "remake 0",
        ),
        (
            "two of them wait for each other",
            up,
            |e| (1..3).for_each(|ordinal| broken(e, ordinal)),
            "remake 1",
        ),
        (
            "one is being replaced",
            up,
            |e| {
                e.record.operation = Some(operation(OperationKind::Replace, 2));
                broken(e, 2);
            },
            "remake 2",
        ),
    ]);
}

/// A volume grows when nothing else is done, and also while a member is waited for.
#[test]
fn volumes_grow_beside_everything_else() {
    let grows = |start: fn() -> Evidence, change: fn(&mut Evidence)| {
        let mut evidence = start();
        evidence.wanted.claim_bytes = 20;
        change(&mut evidence);
        growth(&evidence, &decide(&evidence))
    };
    assert_eq!(grows(up, |_| {}), Some(0));
    assert_eq!(
        grows(up, |e| e.claims.get_mut(&0).unwrap().bytes = 20),
        Some(1)
    );
    assert_eq!(grows(up, |e| e.answers.clear()), Some(0), "nobody answers");
    assert_eq!(grows(down, |_| {}), None, "the group is made again first");
    assert_eq!(
        grows(up, |e| e.orders = order(Verb::Switchover(Some(1)))),
        None,
        "what was asked for comes first"
    );
    assert_eq!(grows(up, |e| e.wanted.hibernated = true), None);
    assert_eq!(grows(new, |_| {}), None);
    let foreign = |e: &mut Evidence| {
        for claim in e.claims.values_mut() {
            claim.marker = Some(OTHER.to_owned());
        }
    };
    assert_eq!(grows(up, foreign), None, "volumes of somebody else");
}

fn beginning() -> Evidence {
    let mut evidence = new();
    let Step::Record(decision) = decide(&evidence) else {
        panic!("no decision");
    };
    evidence.record = record(&evidence.record, &decision, "", GROUP);
    evidence
}

#[test]
fn a_recorded_bootstrap_is_carried_out_on_its_own_volume_alone() {
    let marked = || {
        let mut evidence = beginning();
        evidence.claims.get_mut(&0).unwrap().marker = Some(GROUP.to_owned());
        evidence
    };
    hold(&[
        ("its volume is marked first", beginning, |_| {}, "mark 0"),
        ("then it begins", marked, |_| {}, "bootstrap 0"),
        (
            "it does not answer",
            marked,
            |e| {
                e.answers.remove(&0);
            },
            "wait",
        ),
        (
            "it has begun and there is no group yet",
            marked,
            |e| answer(e, 0).data = Data::Of(GROUP.to_owned()),
            "bootstrap 0",
        ),
        (
            "it has begun and starts",
            marked,
            |e| {
                answer(e, 0).data = Data::Of(GROUP.to_owned());
                answer(e, 0).state = MemberState::Starting;
            },
            "wait",
        ),
        (
            "the group is there",
            marked,
            |e| {
                let answer = answer(e, 0);
                answer.data = Data::Of(GROUP.to_owned());
                answer.last_view = Some(view(&[0], 0));
                answer.state = MemberState::Online;
                answer.majority = true;
            },
            "record bootstrap done",
        ),
        (
            "the group was there and is down",
            marked,
            |e| {
                let answer = answer(e, 0);
                answer.data = Data::Of(GROUP.to_owned());
                answer.last_view = Some(view(&[0], 0));
            },
            "record bootstrap done",
        ),
        (
            "another pod has the same fresh volume",
            marked,
            |e| {
                e.pods.get_mut(&0).unwrap().uid = "pod-9".to_owned();
                answer(e, 0).pod_uid = "pod-9".to_owned();
            },
            "record bootstrap 0",
        ),
        (
            "the volume is another",
            marked,
            |e| e.claims.get_mut(&0).unwrap().uid = "claim-9".to_owned(),
            "stall OutageNeedsDecision",
        ),
        (
            "its data is gone, and another has some",
            marked,
            |e| answer(e, 1).data = Data::Of(GROUP.to_owned()),
            "stall OutageNeedsDecision",
        ),
    ]);
}

#[test]
fn after_an_outage_the_group_is_made_again_on_proof_alone() {
    hold(&[
        (
            "all have the same",
            down,
            |_| {},
            "record recovery 0 Proven",
        ),
        (
            "a secondary has most",
            down,
            |e| answer(e, 1).received = gtids(120),
            "record recovery 1 Proven",
        ),
        (
            "two of three with the primary",
            down,
            |e| {
                e.answers.remove(&2);
            },
            "record recovery 0 Proven",
        ),
        (
            "the primary does not answer",
            down,
            |e| {
                e.answers.remove(&0);
            },
            "wait",
        ),
        (
            "the primary has not answered for long",
            down,
            |e| {
                e.answers.remove(&0);
                e.waited_long = true;
            },
            "stall OutageNeedsDecision",
        ),
        (
            "no majority answers",
            down,
            |e| {
                e.answers.remove(&1);
                e.answers.remove(&2);
            },
            "wait",
        ),
        (
            "the view of another shows that two are enough",
            down,
            |e| {
                e.answers.remove(&0);
                let mut later = view(&[1, 2], 1);
                later.counter = 6;
                answer(e, 1).last_view = Some(later);
            },
            "record recovery 1 Proven",
        ),
        (
            "nobody has all",
            down,
            |e| {
                add_to(&mut answer(e, 0).executed, OTHER, 1, 1);
                add_to(&mut answer(e, 1).executed, OTHER, 2, 2);
                e.waited_long = true;
            },
            "stall OutageNeedsDecision",
        ),
        (
            "one has not been fenced",
            down,
            |e| {
                answer(e, 1).state = MemberState::Waiting;
                answer(e, 1).fenced = None;
            },
            "fence 1",
        ),
        (
            "one was fenced for something else",
            down,
            |e| answer(e, 1).fenced = Some(3),
            "fence 1",
        ),
        (
            "one is starting",
            down,
            |e| answer(e, 2).state = MemberState::Starting,
            "wait",
        ),
        (
            "one is in a majority after all",
            down,
            |e| {
                let answer = answer(e, 2);
                answer.state = MemberState::Online;
                answer.majority = true;
                answer.fenced = None;
            },
            "record done true",
        ),
        (
            "a view of nobody knows when",
            down,
            |e| answer(e, 2).last_view.as_mut().unwrap().epoch = 0,
            "wait",
        ),
        (
            "an older status was restored",
            down,
            |e| answer(e, 1).epoch = 12,
            "record epoch 12",
        ),
        (
            "nothing is recorded yet",
            down,
            |e| e.record.operation = None,
            "record Recovery 0",
        ),
        (
            "nothing is recorded, and it would lead nowhere",
            down,
            |e| {
                e.record.operation = None;
                e.answers.remove(&0);
            },
            "wait",
        ),
        (
            "an upgrade was under way",
            down,
            |e| e.record.operation = Some(operation(OperationKind::Replace, 2)),
            "record Recovery 0",
        ),
        (
            "the disk of the member that recovered before is gone",
            down,
            |e| {
                e.record.recovery = Some(RecoveryStatus {
                    phase: DecisionPhase::Done,
                    seed: 1,
                    server_uuid: uuid(9),
                    epoch: 6,
                    ..RecoveryStatus::default()
                });
                e.waited_long = true;
            },
            "stall OutageNeedsDecision",
        ),
    ]);
}

fn recovering() -> Evidence {
    let mut evidence = down();
    let Step::Record(decision) = decide(&evidence) else {
        panic!("no decision");
    };
    evidence.record = record(&evidence.record, &decision, "", GROUP);
    assert_eq!(evidence.record.recovery.as_ref().unwrap().evidence.len(), 3);
    evidence
}

#[test]
fn a_recorded_recovery_is_carried_out_once() {
    hold(&[
        ("it begins", recovering, |_| {}, "recover 0"),
        (
            "its member does not answer",
            recovering,
            |e| {
                e.answers.remove(&0);
            },
            "wait",
        ),
        (
            "its member has other data",
            recovering,
            |e| answer(e, 0).server_uuid = uuid(9),
            "record recovery done",
        ),
        (
            "it was made and fell again",
            recovering,
            |e| answer(e, 0).last_view.as_mut().unwrap().epoch = 7,
            "record recovery done",
        ),
        (
            "the group is there",
            recovering,
            |e| {
                let answer = answer(e, 0);
                answer.state = MemberState::Online;
                answer.majority = true;
            },
            "record recovery done",
        ),
        (
            "others are let in again",
            up,
            |e| {
                answer(e, 2).state = MemberState::Fenced;
                answer(e, 2).fenced = Some(6);
                answer(e, 2).epoch = 6;
            },
            "release 2",
        ),
    ]);
}

#[test]
fn a_human_may_decide_within_what_was_told() {
    let mut evidence = down();
    evidence.answers.remove(&0);
    evidence.waited_long = true;
    answer(&mut evidence, 1).executed = gtids(90);
    add_to(&mut answer(&mut evidence, 1).executed, OTHER, 1, 1);
    let Step::Stall(stall) = decide(&evidence) else {
        panic!("not stalled");
    };
    let Some(Proposal::Rebuild {
        seed,
        accept_loss_of,
        epoch,
    }) = stall.proposal
    else {
        panic!("no proposal");
    };
    assert_eq!((seed, epoch), (2, 7));
    assert_eq!(accept_loss_of.to_string(), format!("{OTHER}:1"));
    let rebuild = |seed, accept_loss_of: &GtidSet, epoch| {
        order(Verb::Rebuild {
            seed,
            accept_loss_of: accept_loss_of.clone(),
            epoch,
        })
    };
    let mut ordered = |orders| {
        evidence.orders = orders;
        word(&decide(&evidence))
    };
    assert_eq!(
        ordered(rebuild(2, &accept_loss_of, 7)),
        "record recovery 2 Ordered"
    );
    assert_eq!(
        ordered(rebuild(2, &accept_loss_of, 6)),
        "end false",
        "of an epoch before"
    );
    assert_eq!(
        ordered(rebuild(2, &GtidSet::default(), 7)),
        "end false",
        "more would be lost"
    );
    assert_eq!(
        ordered(rebuild(0, &accept_loss_of, 7)),
        "end false",
        "a member that does not answer"
    );
    hold(&[(
        "a group with a majority is not rebuilt",
        up,
        |e| {
            e.orders = order(Verb::Rebuild {
                seed: 0,
                accept_loss_of: GtidSet::default(),
                epoch: 7,
            });
        },
        "end false",
    )]);
}

#[test]
fn what_is_ordered_is_recorded_with_its_reason() {
    let before = recovering().record;
    let recovery = before.recovery.clone().unwrap();
    assert_eq!(recovery.rule, RecoveryRule::Proven);
    assert_eq!(recovery.evidence[0].gtids, gtids(100).to_string());
    assert_eq!(recovery.evidence[0].last_view.as_deref(), Some("1:5"));
    // The member is fenced in the epoch in which it makes the group again; letting others in is decided later.
    assert_eq!(recovery.epoch, before.epoch);
    let after = record(&before, &Decision::RecoveryDone, "", GROUP);
    assert!(after.epoch > before.epoch);
    assert!(after.operation.is_none());
}
