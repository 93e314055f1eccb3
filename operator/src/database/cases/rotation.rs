//! Passwords, certificates, settings and the protocol of a group that goes on meanwhile.

use panono_crds::{MemberState, OperationKind, PasswordsStatus, RotationPhase, RotationStatus};

use super::{answer, hold, operation, order, up};
use crate::agent::api::{InUse, Passwords};
use crate::database::evidence::{Evidence, Verb, Version};

/// All is as it should be with the passwords of generation 3.
fn at_rest() -> Evidence {
    let mut evidence = up();
    evidence.record.passwords = Some(PasswordsStatus {
        generation: 3,
        rotation: None,
    });
    evidence.secrets.passwords = 3;
    evidence.secrets.certificate = "one".to_owned();
    evidence.wanted.settings = "x".to_owned();
    evidence.shop.settled = true;
    for answer in evidence.answers.values_mut() {
        answer.passwords = Passwords {
            files: 3,
            set: 3,
            only: 3,
            member: 3,
        };
        answer.certificate = both("one");
        answer.settings = both("x");
    }
    evidence
}

fn both(digest: &str) -> InUse {
    InUse {
        files: digest.to_owned(),
        server: digest.to_owned(),
    }
}

fn in_phase(phase: RotationPhase) -> Evidence {
    let mut evidence = at_rest();
    evidence.record.passwords.as_mut().unwrap().rotation = Some(RotationStatus {
        phase,
        generation: 4,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        action: Some("act".to_owned()),
    });
    evidence
}

fn making() -> Evidence {
    in_phase(RotationPhase::Making)
}

/// New Secrets are made, and files have what is in them.
fn setting() -> Evidence {
    let mut evidence = in_phase(RotationPhase::Setting);
    evidence.secrets.passwords = 4;
    evidence.secrets.certificate = "two".to_owned();
    for answer in evidence.answers.values_mut() {
        answer.passwords.files = 4;
        answer.certificate.files = "two".to_owned();
    }
    evidence
}

/// All members use them.
fn rolling() -> Evidence {
    let mut evidence = setting();
    let passwords = evidence.record.passwords.as_mut().unwrap();
    passwords.rotation.as_mut().unwrap().phase = RotationPhase::RollingOut;
    for answer in evidence.answers.values_mut() {
        answer.passwords.set = 4;
        answer.passwords.member = 4;
        answer.certificate = both("two");
    }
    evidence.shop.oldest = Some(3);
    evidence
}

fn discarding() -> Evidence {
    let mut evidence = rolling();
    let passwords = evidence.record.passwords.as_mut().unwrap();
    passwords.rotation.as_mut().unwrap().phase = RotationPhase::Discarding;
    evidence.shop.oldest = Some(4);
    evidence
}

#[test]
fn passwords_change_in_phases() {
    hold(&[
        ("all is well", at_rest, |_| {}, "nothing"),
        (
            "asked for",
            at_rest,
            |e| e.orders = order(Verb::Rotate),
            "record rotation Some(Making)",
        ),
        (
            "the shop is being rolled out",
            at_rest,
            |e| {
                e.orders = order(Verb::Rotate);
                e.shop.settled = false;
            },
            "wait",
        ),
        (
            "what else is asked for does not wait for it",
            at_rest,
            |e| {
                e.orders = order(Verb::Rotate);
                e.orders.extend(order(Verb::Switchover(Some(1))));
                e.shop.settled = false;
            },
            "record Switchover 1",
        ),
        (
            "something else is being done",
            at_rest,
            |e| {
                e.orders = order(Verb::Rotate);
                e.record.operation = Some(operation(OperationKind::Replace, 2));
            },
            "replace 2",
        ),
        ("it begins", making, |_| {}, "make secrets 4"),
        (
            "they are made",
            making,
            |e| e.secrets.passwords = 4,
            "record rotation Some(Setting)",
        ),
        (
            "files are late",
            setting,
            |e| answer(e, 2).passwords.files = 3,
            "wait",
        ),
        ("files are there", setting, |_| {}, "set passwords 0"),
        (
            "another is the primary",
            setting,
            |e| {
                answer(e, 0).primary = false;
                answer(e, 1).primary = true;
            },
            "set passwords 1",
        ),
        (
            "nothing else is done meanwhile",
            setting,
            |e| {
                e.orders = order(Verb::Switchover(Some(1)));
                e.wanted.members = 5;
                e.pods.get_mut(&1).unwrap().revision = "old".to_owned();
            },
            "set passwords 0",
        ),
        (
            "a member has not applied it",
            setting,
            |e| answer(e, 0).passwords.set = 4,
            "wait",
        ),
        (
            "a member uses the one before",
            rolling,
            |e| {
                let passwords = e.record.passwords.as_mut().unwrap();
                passwords.rotation.as_mut().unwrap().phase = RotationPhase::Setting;
                answer(e, 1).passwords.member = 3;
            },
            "wait",
        ),
        (
            "a server has the certificate before",
            rolling,
            |e| {
                let passwords = e.record.passwords.as_mut().unwrap();
                passwords.rotation.as_mut().unwrap().phase = RotationPhase::Setting;
                answer(e, 1).certificate.server = "one".to_owned();
            },
            "reload 1",
        ),
        (
            "members have all",
            rolling,
            |e| {
                let passwords = e.record.passwords.as_mut().unwrap();
                passwords.rotation.as_mut().unwrap().phase = RotationPhase::Setting;
            },
            "record rotation Some(RollingOut)",
        ),
        ("a pod has the one before", rolling, |_| {}, "wait"),
        (
            "a pod is being made",
            rolling,
            |e| {
                e.shop.oldest = Some(4);
                e.shop.settled = false;
            },
            "wait",
        ),
        (
            "all pods have the new one",
            rolling,
            |e| e.shop.oldest = Some(4),
            "record rotation Some(Discarding)",
        ),
        (
            "the old one ends",
            discarding,
            |_| {},
            "discard passwords 0",
        ),
        (
            "a member is out, which would know only older ones",
            discarding,
            |e| answer(e, 2).state = MemberState::Recovering,
            "wait",
        ),
        (
            "a member is out, and its pod is of another template",
            discarding,
            |e| {
                answer(e, 2).state = MemberState::Recovering;
                e.pods.get_mut(&2).unwrap().revision = "old".to_owned();
            },
            "record Replace 2",
        ),
        (
            "it has ended",
            discarding,
            |e| answer(e, 0).passwords.only = 4,
            "record rotation None",
        ),
    ]);
}

#[test]
fn which_passwords_are_used_is_found() {
    hold(&[
        (
            "a new group",
            at_rest,
            |e| {
                e.record.passwords = None;
                e.secrets.passwords = 1;
                answer(e, 0).passwords.set = 0;
            },
            "record passwords 1 true",
        ),
        (
            "a Shop that was made again",
            at_rest,
            |e| e.record.passwords = None,
            "record passwords 3 true",
        ),
        (
            "in the middle of a change",
            at_rest,
            |e| {
                e.record.passwords = None;
                e.secrets.passwords = 4;
            },
            "record passwords 4 false",
        ),
    ]);
}

#[test]
fn certificates_and_settings_change_without_a_restart_where_that_can_be() {
    hold(&[
        (
            "a certificate was renewed, and is not in the files",
            at_rest,
            |e| e.secrets.certificate = "two".to_owned(),
            "nothing",
        ),
        (
            "it is in the files",
            at_rest,
            |e| {
                e.secrets.certificate = "two".to_owned();
                answer(e, 1).certificate.files = "two".to_owned();
            },
            "reload 1",
        ),
        (
            "settings are not in the files",
            at_rest,
            |e| e.wanted.settings = "y".to_owned(),
            "wait",
        ),
        (
            "settings are in the files",
            at_rest,
            |e| {
                e.wanted.settings = "y".to_owned();
                answer(e, 2).settings.files = "y".to_owned();
            },
            "settings 2",
        ),
        (
            "one of them needs a restart",
            at_rest,
            |e| answer(e, 2).needs_restart = true,
            "record Replace 2",
        ),
        (
            "and the primary hands over before",
            at_rest,
            |e| answer(e, 0).needs_restart = true,
            "record Switchover 1",
        ),
        (
            "what needs a restart was taken back",
            at_rest,
            |e| {
                answer(e, 2).needs_restart = true;
                e.wanted.settings = "y".to_owned();
                answer(e, 2).settings.files = "y".to_owned();
            },
            "settings 2",
        ),
    ]);
}

#[test]
fn the_protocol_follows_when_all_run_a_version() {
    fn upgraded(evidence: &mut Evidence) {
        for answer in evidence.answers.values_mut() {
            answer.version = Version::of("9.8.0");
        }
    }
    hold(&[
        ("all do", at_rest, upgraded, "protocol 0 9.8.0"),
        (
            "one does not",
            at_rest,
            |e| {
                upgraded(e);
                answer(e, 1).version = Version::of("9.7.1");
            },
            "nothing",
        ),
        (
            "one is out",
            at_rest,
            |e| {
                upgraded(e);
                answer(e, 1).state = MemberState::Recovering;
            },
            "wait",
        ),
        (
            "it was set",
            at_rest,
            |e| {
                upgraded(e);
                answer(e, 0).protocol_for = Version::of("9.8.0");
            },
            "record protocol 9.8.0",
        ),
        (
            "a group that was made by it",
            at_rest,
            |e| e.record.protocol_version = None,
            "record protocol 9.7.1",
        ),
        (
            "a group that was found",
            at_rest,
            |e| {
                e.record.protocol_version = None;
                e.record.bootstrap.as_mut().unwrap().adopted = true;
            },
            "protocol 0 9.7.1",
        ),
        (
            "an older release of the series",
            at_rest,
            |e| {
                for answer in e.answers.values_mut() {
                    answer.version = Version::of("9.7.0");
                }
            },
            "nothing",
        ),
    ]);
}
