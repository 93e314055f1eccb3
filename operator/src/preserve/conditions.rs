//! Whether a shop's backups are new enough, and proven. Pure.

use jiff::{SignedDuration, Timestamp};
use panono_crds::{Backup, BackupStatus, ConditionStatus, ConditionType, Reason};

use crate::status::Verdict;

/// A condition, and when it may change by time alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub kind: ConditionType,
    /// Whether it is so.
    pub status: ConditionStatus,
    /// Why.
    pub verdict: Verdict,
    /// When it is no longer so, if nothing happens until then.
    pub until: Option<Timestamp>,
}

/// What else is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The newest record of a backup has failed: its name, and why.
    pub failed: Option<(String, String)>,
    /// When the Shop was made.
    pub made_at: Option<Timestamp>,
}

fn after(from: Option<Timestamp>, hours: u32) -> Option<Timestamp> {
    from?
        .checked_add(SignedDuration::from_hours(i64::from(hours)))
        .ok()
}

/// Both conditions.
pub fn conditions(
    spec: &Backup,
    status: &BackupStatus,
    known: &Known,
    now: Timestamp,
) -> Vec<Found> {
    vec![
        fresh(spec, status, known, now),
        verified(spec, status, known, now),
    ]
}

fn fresh(spec: &Backup, status: &BackupStatus, known: &Known, now: Timestamp) -> Found {
    let found = |status, reason, message: String, until| Found {
        kind: ConditionType::BackupFresh,
        status,
        verdict: Verdict::new(reason, message),
        until,
    };
    let Some(last) = &status.last else {
        return match &known.failed {
            Some((name, why)) => found(
                ConditionStatus::False,
                Reason::BackupFailed,
                format!(
                    "ShopBackup {name} has failed: {why}. {}",
                    Reason::BackupFailed.advice()
                ),
                None,
            ),
            None => found(
                ConditionStatus::Unknown,
                Reason::BackupPending,
                Reason::BackupPending.meaning().to_owned(),
                None,
            ),
        };
    };
    let until = after(last.at.parse().ok(), spec.max_age_hours);
    let what = format!(
        "The newest full backup is of {} (ShopBackup {})",
        last.at, last.name
    );
    if until.is_some_and(|until| until > now) {
        return found(ConditionStatus::True, Reason::BackedUp, what, until);
    }
    let why = known
        .failed
        .as_ref()
        .map_or_else(String::new, |(name, why)| {
            format!(" ShopBackup {name} has failed since: {why}.")
        });
    found(
        ConditionStatus::False,
        Reason::BackupOverdue,
        format!(
            "{what}, older than {} h.{why} {}",
            spec.max_age_hours,
            Reason::BackupOverdue.advice()
        ),
        None,
    )
}

fn verified(spec: &Backup, status: &BackupStatus, known: &Known, now: Timestamp) -> Found {
    let found = |status, reason, message: String, until| Found {
        kind: ConditionType::BackupVerified,
        status,
        verdict: Verdict::new(reason, message),
        until,
    };
    let hours = spec.verification.max_age_hours;
    let overdue = |what: &str| {
        found(
            ConditionStatus::False,
            Reason::VerificationOverdue,
            format!("{what}. {}", Reason::VerificationOverdue.advice()),
            None,
        )
    };
    let Some(last) = &status.last_verified else {
        let until = after(known.made_at, hours);
        if until.is_some_and(|until| until <= now) {
            return overdue(&format!(
                "No backup was ever restored for trial, for longer than {hours} h"
            ));
        }
        return found(
            ConditionStatus::Unknown,
            Reason::VerificationPending,
            Reason::VerificationPending.meaning().to_owned(),
            until,
        );
    };
    let backup = last.backup.as_deref().unwrap_or("the newest backup");
    if !last.passed {
        return found(
            ConditionStatus::False,
            Reason::VerificationFailed,
            format!(
                "ShopRestore {} found {backup} to be bad: {}. {}",
                last.name,
                last.message.as_deref().unwrap_or("it says no more"),
                Reason::VerificationFailed.advice()
            ),
            None,
        );
    }
    let until = after(last.at.parse().ok(), hours);
    if until.is_none_or(|until| until <= now) {
        return overdue(&format!(
            "The newest verification that passed is of {} (ShopRestore {}), older than {hours} h",
            last.at, last.name
        ));
    }
    let took = last
        .restore_seconds
        .map_or_else(String::new, |seconds| format!(" in {seconds} s"));
    found(
        ConditionStatus::True,
        Reason::Verified,
        format!(
            "{backup} was restored for trial at {}{took}, and all was there",
            last.at
        ),
        until,
    )
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use panono_crds::{
        Backup, BackupStatus, ConditionStatus, LastBackup, LastVerification, Reason,
    };

    use super::{Known, conditions};

    fn spec() -> Backup {
        serde_json::from_value(serde_json::json!({
            "volume": {"size": "1Gi"}, "maxAgeHours": 24, "verification": {"maxAgeHours": 48},
        }))
        .unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn told(status: &BackupStatus, known: &Known, now: &str) -> Vec<(ConditionStatus, Reason)> {
        conditions(&spec(), status, known, at(now))
            .into_iter()
            .map(|found| (found.status, found.verdict.reason))
            .collect()
    }

    #[test]
    fn a_backup_grows_old() {
        let status = BackupStatus {
            last: Some(LastBackup {
                at: "2026-11-01T02:00:00Z".to_owned(),
                ..LastBackup::default()
            }),
            ..BackupStatus::default()
        };
        let fresh = |now| told(&status, &Known::default(), now)[0];
        assert_eq!(
            fresh("2026-11-02T01:59:59Z"),
            (ConditionStatus::True, Reason::BackedUp)
        );
        assert_eq!(
            fresh("2026-11-02T02:00:00Z"),
            (ConditionStatus::False, Reason::BackupOverdue)
        );
        // It is looked at again when that happens.
        let found = conditions(
            &spec(),
            &status,
            &Known::default(),
            at("2026-11-01T03:00:00Z"),
        );
        assert_eq!(found[0].until, Some(at("2026-11-02T02:00:00Z")));
    }

    #[test]
    fn before_the_first_nothing_is_known_unless_it_failed() {
        let none = BackupStatus::default();
        let now = "2026-11-01T00:00:00Z";
        assert_eq!(
            told(&none, &Known::default(), now)[0],
            (ConditionStatus::Unknown, Reason::BackupPending)
        );
        let known = Known {
            failed: Some(("b".to_owned(), "the disk is full".to_owned())),
            ..Known::default()
        };
        let found = conditions(&spec(), &none, &known, at(now));
        assert_eq!(found[0].verdict.reason, Reason::BackupFailed);
        assert!(found[0].verdict.message.contains("the disk is full"));
    }

    #[test]
    fn a_verification_fails_grows_old_or_never_comes() {
        let verified = |passed, at: &str| BackupStatus {
            last_verified: Some(LastVerification {
                at: at.to_owned(),
                passed,
                message: (!passed).then(|| "a table differs".to_owned()),
                restore_seconds: Some(412),
                ..LastVerification::default()
            }),
            ..BackupStatus::default()
        };
        let now = "2026-11-10T00:00:00Z";
        let second = |status: &BackupStatus| told(status, &Known::default(), now)[1];
        assert_eq!(
            second(&verified(true, "2026-11-09T00:00:00Z")),
            (ConditionStatus::True, Reason::Verified)
        );
        assert_eq!(
            second(&verified(true, "2026-11-07T23:00:00Z")),
            (ConditionStatus::False, Reason::VerificationOverdue)
        );
        let bad = verified(false, "2026-11-09T00:00:00Z");
        assert_eq!(
            second(&bad),
            (ConditionStatus::False, Reason::VerificationFailed)
        );
        let found = conditions(&spec(), &bad, &Known::default(), at(now));
        assert!(found[1].verdict.message.contains("a table differs"));
        let none = BackupStatus::default();
        let made = |made_at: &str| Known {
            made_at: Some(at(made_at)),
            ..Known::default()
        };
        assert_eq!(
            told(&none, &made("2026-11-09T00:00:00Z"), now)[1].0,
            ConditionStatus::Unknown
        );
        assert_eq!(
            told(&none, &made("2026-11-01T00:00:00Z"), now)[1],
            (ConditionStatus::False, Reason::VerificationOverdue)
        );
    }
}
