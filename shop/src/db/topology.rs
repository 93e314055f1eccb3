//! Who of the database members can be written to and read from. Pure: evidence in, roles out.

use std::time::Duration;

/// What one member said of itself when it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Whether it answered within the probe's limit.
    pub answered: bool,
    /// Its place in a group, if it is in one.
    pub group: Option<GroupEvidence>,
    /// `@@GLOBAL.super_read_only` or `@@GLOBAL.read_only`
    pub read_only: bool,
    /// The newest sequence of the invalidation log whose changes it has certainly applied.
    pub applied_sequence: i64,
}

/// What a member of a group said of its group (`performance_schema.replication_group_members`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEvidence {
    /// `MEMBER_STATE` of itself is `ONLINE`.
    pub online: bool,
    /// `MEMBER_ROLE` of itself is `PRIMARY`.
    pub primary: bool,
    /// Members that it sees in state `ONLINE` or `RECOVERING`.
    pub reachable: i64,
    /// Members in its view.
    pub members: i64,
}

/// How the members were named to the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrangement {
    /// The first is the writer, the others are readers, whatever they say of themselves.
    Fixed,
    /// A group which elects its primary.
    Group,
}

/// The roles at one moment, as indexes into the list of members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// Who accepts writes.
    pub primary: Option<usize>,
    /// Who can be read from, the primary excepted.
    pub replicas: Vec<usize>,
}

/// Decides the roles from what the members said.
///
/// In a group a member is followed as primary only if it says so itself, is writable, and sees a majority: an old primary that
/// was cut off sees none. Of two that say so (the old one's evidence is a moment older) neither is trusted until one stops.
#[must_use]
pub fn decide(arrangement: Arrangement, evidence: &[Evidence]) -> Roles {
    match arrangement {
        Arrangement::Fixed => {
            let primary = evidence
                .first()
                .filter(|first| first.answered && !first.read_only)
                .map(|_| 0);
            let replicas = answering(evidence)
                .filter(|(index, _)| *index != 0 || primary.is_none())
                .map(|(index, _)| index)
                .collect();
            Roles { primary, replicas }
        }
        Arrangement::Group => {
            let online = |evidence: &Evidence| {
                evidence
                    .group
                    .as_ref()
                    .is_some_and(|group| group.online && 2 * group.reachable > group.members)
            };
            let mut claims = answering(evidence).filter(|(_, evidence)| {
                online(evidence)
                    && !evidence.read_only
                    && evidence.group.as_ref().is_some_and(|group| group.primary)
            });
            let primary = match (claims.next(), claims.next()) {
                (Some((index, _)), None) => Some(index),
                _ => None,
            };
            let replicas = answering(evidence)
                .filter(|(index, evidence)| Some(*index) != primary && online(evidence))
                .map(|(index, _)| index)
                .collect();
            Roles { primary, replicas }
        }
    }
}

fn answering(evidence: &[Evidence]) -> impl Iterator<Item = (usize, &Evidence)> {
    evidence
        .iter()
        .enumerate()
        .filter(|(_, evidence)| evidence.answered)
}

/// How often a member is asked: often while it lags behind or nobody is primary, else seldom.
#[must_use]
pub fn probe_interval(settled: bool) -> Duration {
    if settled {
        Duration::from_millis(250)
    } else {
        Duration::from_millis(50)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(primary: bool, reachable: i64, members: i64) -> Evidence {
        Evidence {
            answered: true,
            group: Some(GroupEvidence {
                online: true,
                primary,
                reachable,
                members,
            }),
            read_only: !primary,
            applied_sequence: 0,
        }
    }

    fn silent() -> Evidence {
        Evidence {
            answered: false,
            ..member(true, 3, 3)
        }
    }

    #[test]
    fn the_primary_of_a_majority_is_followed() {
        let roles = decide(
            Arrangement::Group,
            &[member(false, 3, 3), member(true, 3, 3), silent()],
        );
        assert_eq!(roles.primary, Some(1));
        assert_eq!(roles.replicas, vec![0]);
    }

    #[test]
    fn a_primary_without_a_majority_is_neither_written_to_nor_read_from() {
        let roles = decide(
            Arrangement::Group,
            &[member(true, 1, 3), silent(), silent()],
        );
        assert_eq!(roles, Roles::default());
    }

    #[test]
    fn of_two_primaries_none_is_trusted() {
        let roles = decide(
            Arrangement::Group,
            &[member(true, 3, 3), member(true, 2, 3), member(false, 2, 3)],
        );
        assert_eq!(roles.primary, None);
    }

    #[test]
    fn a_primary_that_is_still_read_only_is_waited_for() {
        let mut elected = member(true, 2, 2);
        elected.read_only = true;
        let roles = decide(Arrangement::Group, &[elected]);
        assert_eq!(roles.primary, None);
        assert_eq!(roles.replicas, vec![0]);
    }

    #[test]
    fn a_fixed_writer_that_turned_read_only_is_only_read_from() {
        let mut writer = member(true, 1, 1);
        writer.group = None;
        writer.read_only = true;
        let mut reader = writer.clone();
        reader.answered = false;
        let roles = decide(Arrangement::Fixed, &[writer, reader]);
        assert_eq!(roles.primary, None);
        assert_eq!(roles.replicas, vec![0]);
    }
}
