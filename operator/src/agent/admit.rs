//! Whether a command may be carried out. Pure.

use super::api::{Code, Command, MemberState, Problem, Verb};
use super::config::{Config, is_uuid};
use super::sql::Seen;
use super::store::{Kept, Marker};
use super::view;

/// A command that is not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It was carried out before; this is so now.
    Already(&'static str),
    /// To be carried out.
    Go,
}

/// What a decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Known<'agent> {
    /// The configuration.
    pub config: &'agent Config,
    /// What is on disk.
    pub kept: &'agent Kept,
    /// What the server said just now, if it answers.
    pub seen: Option<&'agent Seen>,
    /// Errant transactions.
    pub errant: &'agent str,
}

/// Whether a command may be carried out.
///
/// # Errors
/// Why not.
pub fn admit(command: &Command, known: Known<'_>) -> Result<Admitted, Problem> {
    let Known { config, kept, .. } = known;
    if command.pod_uid != config.pod_uid {
        return refuse(
            Code::WrongPod,
            format!("this is the pod {}", config.pod_uid),
        );
    }
    if command.epoch < kept.epoch || command.epoch <= 0 {
        return refuse(
            Code::StaleEpoch,
            format!(
                "epoch {} is over: epoch {} is known. Decide again from fresh evidence",
                command.epoch, kept.epoch
            ),
        );
    }
    if matches!(command.verb, Verb::ReloadTls {}) {
        return Ok(Admitted::Go);
    }
    let Some(seen) = known.seen else {
        return refuse(Code::Busy, "the server does not answer yet; ask again");
    };
    let majority = seen.view.majority;
    match &command.verb {
        Verb::Bootstrap { group_name } => bootstrap(group_name, command.epoch, kept, seen),
        Verb::Rebuild { group_name } => rebuild(group_name, command.epoch, kept, majority),
        Verb::Fence { .. } if majority => refuse(
            Code::HasMajority,
            "the member is online with a majority: there is no outage",
        ),
        Verb::Switchover {
            to_uuid,
            timeout_seconds,
        } => switchover(to_uuid, *timeout_seconds, seen),
        Verb::Reclone { donor, save } => reclone(donor, *save, command.epoch, known, majority),
        Verb::RotatePasswords { .. } if !view::is_primary(&seen.view) => refuse(
            Code::WrongState,
            "the member is not the primary; ask the primary",
        ),
        Verb::SetCommunicationProtocol { version } => {
            if version.is_empty()
                || !version
                    .chars()
                    .all(|letter| letter.is_ascii_digit() || letter == '.')
            {
                return refuse(Code::BadRequest, "a version is digits and points");
            }
            if majority {
                Ok(Admitted::Go)
            } else {
                refuse(Code::WrongState, "the member is not online with a majority")
            }
        }
        _ => Ok(Admitted::Go),
    }
}

fn refuse<T>(code: Code, detail: impl Into<String>) -> Result<T, Problem> {
    Err(Problem {
        code,
        detail: detail.into(),
    })
}

fn bootstrap(name: &str, epoch: i64, kept: &Kept, seen: &Seen) -> Result<Admitted, Problem> {
    if !is_uuid(name) {
        return refuse(Code::BadRequest, "the name of a group is a UUID");
    }
    match &kept.marker {
        Marker::Fresh => Ok(Admitted::Go),
        Marker::Owned { group_name } if group_name == name => {
            let made = kept.made.as_ref().is_some_and(|made| made.epoch == epoch);
            let has_data = seen.transactions.executed.contains(name);
            if made {
                Ok(Admitted::Already("the group was made"))
            } else if kept.attempt == Some(epoch) && !has_data {
                Ok(Admitted::Go)
            } else {
                refuse(
                    Code::WrongData,
                    "the data is of this group already, which is never made beside its data; rebuild it from evidence",
                )
            }
        }
        Marker::Owned { group_name } => refuse(
            Code::WrongData,
            format!("the data is of the group {group_name}"),
        ),
        Marker::None | Marker::Making => refuse(Code::Busy, "the data directory is being made"),
    }
}

fn rebuild(name: &str, epoch: i64, kept: &Kept, majority: bool) -> Result<Admitted, Problem> {
    let own = matches!(&kept.marker, Marker::Owned { group_name } if group_name == name);
    if !own {
        return refuse(Code::WrongData, "the data is not of this group");
    }
    if kept.rebuilt == Some(epoch) {
        return Ok(Admitted::Already("the group was made again"));
    }
    if majority {
        return refuse(
            Code::HasMajority,
            "the member is online with a majority: there is no outage",
        );
    }
    match &kept.fence {
        Some(fence) if fence.epoch == epoch => Ok(Admitted::Go),
        _ => refuse(
            Code::WrongState,
            format!("the member was not fenced in epoch {epoch}: its evidence may have changed"),
        ),
    }
}

fn switchover(to: &str, timeout: u32, seen: &Seen) -> Result<Admitted, Problem> {
    if !(1..=600).contains(&timeout) {
        return refuse(Code::BadRequest, "timeoutSeconds is 1 to 600");
    }
    if !seen.view.majority {
        return refuse(Code::WrongState, "the member is not online with a majority");
    }
    if seen.view.primary_uuid.as_deref() == Some(to) {
        return Ok(Admitted::Already("it is the primary"));
    }
    let online = seen
        .view
        .members
        .iter()
        .any(|member| member.uuid == to && member.state == MemberState::Online);
    if online {
        Ok(Admitted::Go)
    } else {
        refuse(
            Code::WrongState,
            format!("no member with the identity {to} is online"),
        )
    }
}

fn reclone(
    donor: &str,
    save: bool,
    epoch: i64,
    known: Known<'_>,
    majority: bool,
) -> Result<Admitted, Problem> {
    if known.kept.recloned == Some(epoch) {
        return Ok(Admitted::Already("the copy was begun"));
    }
    if majority {
        return refuse(
            Code::HasMajority,
            "the member is online with a majority; let it leave first",
        );
    }
    if !known.config.peers.iter().any(|peer| peer.mysql == donor) {
        return refuse(Code::BadRequest, format!("{donor} is none of the peers"));
    }
    if !known.errant.is_empty() && known.kept.saved != known.errant && !save {
        return refuse(
            Code::Unsaved,
            format!(
                "the transactions {} are nowhere else and were not saved",
                known.errant
            ),
        );
    }
    Ok(Admitted::Go)
}

#[cfg(test)]
mod tests {
    use super::{Admitted, Known, admit};
    use crate::agent::api::{Code, Command, Fence, Member, MemberState, Verb, View};
    use crate::agent::config::Config;
    use crate::agent::sql::Seen;
    use crate::agent::store::{Kept, Made, Marker};

    const NAME: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

    fn config() -> Config {
        serde_json::from_str(
            r#"{"volume": "/v", "runFolder": "/r", "podUid": "p", "ordinal": 0, "serverId": 1, "host": "h",
            "peers": [{"mysql": "h2:3306", "api": "h2:1"}], "apiListen": "0.0.0.0:1", "probeListen": "0.0.0.0:2",
            "tls": {"ca": "/c", "certificate": "/c", "key": "/c"},
            "adminAccount": {"user": "a", "passwordFile": "/p"}, "replicationAccount": {"user": "r", "passwordFile": "/p"},
            "bufferPoolMib": 128}"#,
        )
        .unwrap()
    }

    fn online() -> Seen {
        let member = |uuid: &str| Member {
            uuid: uuid.to_owned(),
            state: MemberState::Online,
            ..Member::default()
        };
        Seen {
            view: View {
                state: MemberState::Online,
                majority: true,
                primary_uuid: Some("u1".to_owned()),
                members: vec![member("u1"), member("u2")],
                ..View::default()
            },
            ..Seen::default()
        }
    }

    fn judge(verb: Verb, kept: &Kept, seen: &Seen, errant: &str) -> Result<Admitted, Code> {
        let command = Command {
            pod_uid: "p".to_owned(),
            epoch: 5,
            verb,
        };
        let config = config();
        let known = Known {
            config: &config,
            kept,
            seen: Some(seen),
            errant,
        };
        admit(&command, known).map_err(|problem| problem.code)
    }

    fn owned() -> Kept {
        Kept {
            marker: Marker::Owned {
                group_name: NAME.to_owned(),
            },
            epoch: 5,
            ..Kept::default()
        }
    }

    #[test]
    fn another_pod_and_an_old_epoch_are_refused_whatever_the_verb() {
        let config = config();
        let kept = owned();
        let known = Known {
            config: &config,
            kept: &kept,
            seen: None,
            errant: "",
        };
        let ask = |pod: &str, epoch: i64| {
            let command = Command {
                pod_uid: pod.to_owned(),
                epoch,
                verb: Verb::Release {},
            };
            admit(&command, known).unwrap_err().code
        };
        assert_eq!(ask("q", 9), Code::WrongPod);
        assert_eq!(ask("p", 4), Code::StaleEpoch);
        assert_eq!(ask("p", 5), Code::Busy);
    }

    #[test]
    fn a_group_is_made_on_a_fresh_directory_only() {
        let verb = || Verb::Bootstrap {
            group_name: NAME.to_owned(),
        };
        let fresh = Kept {
            marker: Marker::Fresh,
            ..Kept::default()
        };
        let offline = Seen::default();
        assert_eq!(judge(verb(), &fresh, &offline, ""), Ok(Admitted::Go));
        assert_eq!(judge(verb(), &owned(), &offline, ""), Err(Code::WrongData));
        // The answer was lost: the same epoch again.
        let mut made = owned();
        made.made = Some(Made {
            prefix: "1".to_owned(),
            epoch: 5,
        });
        assert!(matches!(
            judge(verb(), &made, &online(), ""),
            Ok(Admitted::Already(_))
        ));
        // The attempt was interrupted before and after the server had made it.
        let mut tried = owned();
        tried.attempt = Some(5);
        assert_eq!(judge(verb(), &tried, &offline, ""), Ok(Admitted::Go));
        let mut has = Seen::default();
        has.transactions.executed = format!("{NAME}:1-3");
        assert_eq!(judge(verb(), &tried, &has, ""), Err(Code::WrongData));
    }

    #[test]
    fn a_group_is_made_again_only_where_the_fence_of_this_epoch_holds() {
        let verb = || Verb::Rebuild {
            group_name: NAME.to_owned(),
        };
        let offline = Seen::default();
        assert_eq!(judge(verb(), &owned(), &offline, ""), Err(Code::WrongState));
        let mut fenced = owned();
        fenced.fence = Some(Fence {
            epoch: 4,
            reason: String::new(),
        });
        assert_eq!(judge(verb(), &fenced, &offline, ""), Err(Code::WrongState));
        fenced.fence.as_mut().unwrap().epoch = 5;
        assert_eq!(judge(verb(), &fenced, &offline, ""), Ok(Admitted::Go));
        assert_eq!(
            judge(verb(), &fenced, &online(), ""),
            Err(Code::HasMajority)
        );
    }

    #[test]
    fn one_answer_with_a_majority_vetoes_an_outage() {
        let fence = Verb::Fence {
            reason: "outage".to_owned(),
        };
        assert_eq!(
            judge(fence, &owned(), &online(), ""),
            Err(Code::HasMajority)
        );
    }

    #[test]
    fn nothing_is_copied_over_unsaved_transactions() {
        let verb = |save| Verb::Reclone {
            donor: "h2:3306".to_owned(),
            save,
        };
        let offline = Seen::default();
        let mut kept = owned();
        assert_eq!(
            judge(verb(false), &kept, &offline, "x:1"),
            Err(Code::Unsaved)
        );
        assert_eq!(judge(verb(true), &kept, &offline, "x:1"), Ok(Admitted::Go));
        kept.saved = "x:1".to_owned();
        assert_eq!(judge(verb(false), &kept, &offline, "x:1"), Ok(Admitted::Go));
        assert_eq!(
            judge(verb(true), &kept, &online(), ""),
            Err(Code::HasMajority)
        );
        kept.recloned = Some(5);
        assert!(matches!(
            judge(verb(false), &kept, &online(), ""),
            Ok(Admitted::Already(_))
        ));
    }

    #[test]
    fn a_switchover_goes_to_who_is_online() {
        let verb = |to: &str| Verb::Switchover {
            to_uuid: to.to_owned(),
            timeout_seconds: 5,
        };
        assert_eq!(judge(verb("u2"), &owned(), &online(), ""), Ok(Admitted::Go));
        assert!(matches!(
            judge(verb("u1"), &owned(), &online(), ""),
            Ok(Admitted::Already(_))
        ));
        assert_eq!(
            judge(verb("u3"), &owned(), &online(), ""),
            Err(Code::WrongState)
        );
    }
}
