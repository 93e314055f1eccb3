//! What a view of the group means. Pure.

use super::api::{Base, LastView, Member, MemberRole, MemberState, Status, View};

/// Whether a member that sees this is online, and more than half of all members are online or recovering.
#[must_use]
pub fn has_majority(view: &View) -> bool {
    let present = view
        .members
        .iter()
        .filter(|member| matches!(member.state, MemberState::Online | MemberState::Recovering))
        .count();
    view.state == MemberState::Online && present * 2 > view.members.len()
}

/// Whether the member is in a group, as far as it sees.
#[must_use]
pub fn is_in_group(view: &View) -> bool {
    matches!(view.state, MemberState::Online | MemberState::Recovering)
}

/// Whether it may take writes.
#[must_use]
pub fn is_primary(view: &View) -> bool {
    view.majority && view.role == Some(MemberRole::Primary)
}

/// Who should be primary after this member: online, not known to be `full`, of the lowest version (others are refused), least behind.
#[must_use]
pub fn successor<'view>(view: &'view View, own: &str, full: &[String]) -> Option<&'view Member> {
    view.members
        .iter()
        .filter(|member| {
            member.uuid != own
                && member.state == MemberState::Online
                && !full.contains(&member.uuid)
        })
        .min_by_key(|member| {
            (
                version(&member.version),
                member.applier_queue,
                member.uuid.as_str(),
            )
        })
}

fn version(text: &str) -> Vec<u32> {
    text.split(['.', '-'])
        .map_while(|part| part.parse().ok())
        .collect()
}

/// The view to keep on disk, without its epoch. Nothing while there is no majority.
#[must_use]
pub fn to_keep(view: &View, epoch: i64) -> Option<LastView> {
    if !view.majority {
        return None;
    }
    let mut id = view.id.clone()?;
    id.epoch = epoch;
    let mut members: Vec<String> = view
        .members
        .iter()
        .map(|member| member.uuid.clone())
        .collect();
    members.sort();
    Some(LastView {
        id,
        members,
        // Also one that cannot be reached for the moment: until the next view nobody else is.
        primary_uuid: view
            .members
            .iter()
            .find(|member| member.role == Some(MemberRole::Primary))
            .map(|member| member.uuid.clone()),
    })
}

/// What other agents said about a group to join.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prospect {
    /// The name of the group.
    pub group_name: String,
    /// Addresses of members that are online.
    pub seeds: Vec<String>,
    /// The part of its view identifier that is new each time, and the epoch by which it was made.
    pub made: Option<(String, i64)>,
    /// From what it was made again each time.
    pub bases: Vec<Base>,
    /// What its primary has, applied or received, if it was among those who answered.
    pub transactions: Option<String>,
    /// Its members cannot give all transactions from their binary logs.
    pub purged: bool,
    /// Which passwords its accounts take; 0 if nobody knows.
    pub passwords: i64,
}

/// The group to join, of what others answered: one that a member is in, online and with a majority.
#[must_use]
pub fn prospect(answers: &[Status]) -> Option<Prospect> {
    let live = answers.iter().filter(|answer| {
        answer.view.as_ref().is_some_and(|view| view.majority)
            && matches!(answer.data, super::api::DataDirectory::Owned { .. })
    });
    // Of two groups the one that was made later; the other is one of a minority that has not noticed yet.
    let best = live.max_by_key(|answer| {
        answer
            .view
            .as_ref()
            .and_then(|view| view.id.as_ref())
            .map(|id| (id.epoch, id.counter))
    })?;
    let view = best.view.as_ref()?;
    let super::api::DataDirectory::Owned { group_name } = &best.data else {
        return None;
    };
    let primary = answers
        .iter()
        .find(|answer| answer.server_uuid.is_some() && answer.server_uuid == view.primary_uuid);
    let transactions = primary
        .and_then(|answer| answer.transactions.as_ref())
        .map(|sets| join_sets(&sets.executed, &sets.received));
    Some(Prospect {
        group_name: group_name.clone(),
        seeds: view
            .members
            .iter()
            .filter(|member| member.state == MemberState::Online)
            .map(|member| member.address.clone())
            .collect(),
        made: view
            .id
            .as_ref()
            .filter(|id| id.epoch > 0)
            .map(|id| (id.prefix.clone(), id.epoch)),
        bases: best.bases.clone(),
        transactions,
        passwords: answers
            .iter()
            .map(|answer| answer.passwords.set)
            .max()
            .unwrap_or(0),
        purged: primary
            .and_then(|answer| answer.transactions.as_ref())
            .is_some_and(|sets| !sets.purged.is_empty()),
    })
}

/// Whether a group with a majority still counts the member with this address in: it was there before, and has not been expelled yet.
#[must_use]
pub fn is_listed(answers: &[Status], address: &str) -> bool {
    answers
        .iter()
        .filter_map(|answer| answer.view.as_ref())
        .filter(|view| view.majority)
        .any(|view| view.members.iter().any(|member| member.address == address))
}

/// How often a group may have been made again and its members still tell each time apart.
const BASES: usize = 100;

/// What a member may have at most whose data is of the group as it was made in `epoch`: what the group was made from the next time.
///
/// MySQL gives out the lowest number that is free. What a member has beyond that was lost when the group was made again, and others
/// have its numbers now, so a comparison with what the group has today does not show it. Nothing if the group was not made again since.
#[must_use]
pub fn base(bases: &[Base], epoch: i64) -> Option<&str> {
    let next = bases.iter().position(|base| base.epoch > epoch)?;
    // Those before the oldest are forgotten, and what the member had then cannot be told.
    if next == 0 && bases.len() >= BASES {
        return Some("");
    }
    bases.get(next).map(|base| base.transactions.as_str())
}

/// Bases with that of another time when the group is made again. What was noted for this epoch stays: an attempt that was interrupted
/// may have given numbers out already.
#[must_use]
pub fn with_base(bases: &[Base], epoch: i64, transactions: &str) -> Vec<Base> {
    let mut all = bases.to_vec();
    if all.iter().all(|base| base.epoch != epoch) {
        all.push(Base {
            epoch,
            transactions: transactions.to_owned(),
        });
    }
    let surplus = all.len().saturating_sub(BASES);
    all.split_off(surplus)
}

/// Two sets of transactions as one.
#[must_use]
pub fn join_sets(one: &str, other: &str) -> String {
    match (one.is_empty(), other.is_empty()) {
        (_, true) => one.to_owned(),
        (true, false) => other.to_owned(),
        (false, false) => format!("{one},{other}"),
    }
}

/// How many transactions a set has.
#[must_use]
pub fn count(set: &str) -> u64 {
    let mut all = 0_u64;
    for part in set.split([',', ':']) {
        let part = part.trim();
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u64>(), last.parse::<u64>()) {
            all = all.saturating_add(last.saturating_sub(first).saturating_add(1));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{
        BASES, base, count, has_majority, is_listed, prospect, successor, to_keep, with_base,
    };
    use crate::agent::api::{
        DataDirectory, Member, MemberRole, MemberState, Status, Transactions, View, ViewId,
    };

    fn member(uuid: &str, state: MemberState) -> Member {
        Member {
            uuid: uuid.to_owned(),
            address: format!("{uuid}:3306"),
            state,
            role: Some(MemberRole::Secondary),
            version: "9.7.0".to_owned(),
            applier_queue: 0,
        }
    }

    fn view(states: &[MemberState]) -> View {
        let members: Vec<Member> = states
            .iter()
            .enumerate()
            .map(|(index, state)| member(&format!("m{index}"), *state))
            .collect();
        let mut view = View {
            state: states[0],
            members,
            id: Some(ViewId {
                epoch: 0,
                prefix: "17".to_owned(),
                counter: 4,
            }),
            ..View::default()
        };
        view.majority = has_majority(&view);
        view
    }

    #[test]
    fn a_majority_counts_who_can_be_reached() {
        use MemberState::{Offline, Online, Recovering, Unreachable};
        for (states, wanted) in [
            (vec![Online], true),
            (vec![Online, Online, Unreachable], true),
            (vec![Online, Recovering, Unreachable], true),
            (vec![Online, Unreachable, Unreachable], false),
            (vec![Online, Unreachable], false),
            (vec![Recovering, Online, Online], false),
            (vec![Offline], false),
        ] {
            assert_eq!(view(&states).majority, wanted, "{states:?}");
        }
    }

    #[test]
    fn who_is_not_expelled_yet_is_listed_where_there_is_a_majority() {
        use MemberState::{Online, Unreachable};
        let says = |states: &[MemberState]| Status {
            view: Some(view(states)),
            ..Status::default()
        };
        let before = [says(&[Online, Online, Unreachable])];
        assert!(is_listed(&before, "m2:3306"));
        assert!(!is_listed(&[says(&[Online, Online])], "m2:3306"));
        // Who has no majority expels nobody, and need not be waited for.
        assert!(!is_listed(&[says(&[Online, Unreachable])], "m1:3306"));
        assert!(!is_listed(&[Status::default()], "m1:3306"));
    }

    #[test]
    fn without_a_majority_no_view_is_kept() {
        use MemberState::{Online, Unreachable};
        assert!(to_keep(&view(&[Online, Unreachable]), 1).is_none());
        let mut seen = view(&[Online, Online, Unreachable]);
        seen.members[2].role = Some(MemberRole::Primary);
        assert_eq!(
            to_keep(&seen, 3).unwrap().primary_uuid.as_deref(),
            Some("m2")
        );
        let kept = to_keep(&view(&[Online, Online]), 3).unwrap();
        assert_eq!((kept.id.epoch, kept.id.counter), (3, 4));
        assert_eq!(kept.members, ["m0", "m1"]);
    }

    #[test]
    fn the_successor_is_online_of_the_lowest_version_and_least_behind() {
        let mut view = view(&[MemberState::Online; 5]);
        view.members[1].version = "9.10.0".to_owned();
        view.members[2].applier_queue = 5;
        view.members[3].applier_queue = 2;
        view.members[4].state = MemberState::Recovering;
        assert_eq!(successor(&view, "m0", &[]).unwrap().uuid, "m3");
        assert_eq!(
            successor(&view, "m0", &["m3".to_owned()]).unwrap().uuid,
            "m2"
        );
        assert!(successor(&super::View::default(), "m0", &[]).is_none());
    }

    #[test]
    fn a_member_joins_the_latest_group_that_has_a_majority() {
        let status = |uuid: &str, epoch: i64, majority: bool| {
            let mut view = view(&[MemberState::Online; 3]);
            view.majority = majority;
            view.primary_uuid = Some(uuid.to_owned());
            view.id.as_mut().unwrap().epoch = epoch;
            Status {
                server_uuid: Some(uuid.to_owned()),
                data: DataDirectory::Owned {
                    group_name: format!("group {epoch}"),
                },
                view: Some(view),
                transactions: Some(Transactions {
                    executed: "a:1-3".to_owned(),
                    received: "a:4".to_owned(),
                    purged: String::new(),
                }),
                ..Status::default()
            }
        };
        assert!(prospect(&[status("x", 1, false)]).is_none());
        let found = prospect(&[status("x", 1, true), status("y", 2, true)]).unwrap();
        assert_eq!(found.group_name, "group 2");
        assert_eq!(found.transactions.as_deref(), Some("a:1-3,a:4"));
        assert_eq!(found.made, Some(("17".to_owned(), 2)));
    }

    #[test]
    fn transactions_are_counted() {
        assert_eq!(count(""), 0);
        assert_eq!(
            count(
                "6f9619ff-8b86-4011-b42d-00c04fc964ff:1-10:12,7f9619ff-8b86-4011-b42d-00c04fc964ff:5"
            ),
            12
        );
    }

    #[test]
    fn what_a_group_was_made_from_bounds_what_older_data_may_have() {
        let bases = with_base(&with_base(&[], 4, "g:1-98"), 9, "g:1-150");
        for (epoch, expected) in [
            (0, Some("g:1-98")),
            (3, Some("g:1-98")),
            // It was in the group that was made in epoch 4.
            (4, Some("g:1-150")),
            (9, None),
        ] {
            assert_eq!(base(&bases, epoch), expected, "{epoch}");
        }
        assert_eq!(base(&[], 0), None);
        // The attempt was interrupted, and the member has more by now.
        assert_eq!(with_base(&bases, 9, "g:1-160"), bases);
    }

    #[test]
    fn who_was_away_for_longer_than_is_known_may_have_nothing() {
        let mut bases = Vec::new();
        for epoch in 1..=i64::try_from(BASES).unwrap() + 5 {
            bases = with_base(&bases, epoch, "g:1-7");
        }
        assert_eq!(bases.len(), BASES);
        assert_eq!(base(&bases, 3), Some(""));
        assert_eq!(base(&bases, 6), Some("g:1-7"));
    }
}
