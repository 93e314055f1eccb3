//! What stands in for the operator when all members were down: it fences them, compares what they have, and has one make the
//! group again, or says that a human has to decide.

use anyhow::{Context, Result, bail};
use panono_operator::agent::api::{Code, LastView, Status, Verb};
use panono_operator::agent::client::AskError;

use super::AgentGroup;
use super::group::{LIMIT, told};
use crate::wait::wait_until;

/// How a recovery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// There was no outage: this member is online with a majority.
    NoOutage(usize),
    /// This member made the group again.
    Rebuilt(usize),
    /// What members said proves nothing; their identities, last views and transactions.
    NeedsDecision(Vec<(String, Option<LastView>, String)>),
}

impl AgentGroup {
    /// Fences everybody who answers, and has the group made again if what they say proves who has everything.
    ///
    /// # Errors
    /// When a member that answered does not carry out what it is told.
    pub async fn recover(&self) -> Result<Recovery> {
        let epoch = self.next_epoch();
        let running: Vec<usize> = (0..self.members().len())
            .filter(|index| self.member(*index).is_running())
            .collect();
        let mut answers: Vec<(usize, Status)> = Vec::new();
        for index in &running {
            match self.fence(*index, epoch).await? {
                Fenced::Yes(status) => answers.push((*index, *status)),
                Fenced::HasMajority => {
                    for other in &running {
                        self.command_of(*other, Verb::Release {}, epoch).await.ok();
                    }
                    return Ok(Recovery::NoOutage(*index));
                }
            }
        }
        let Some(seed) = self.proven(&answers).await? else {
            return Ok(Recovery::NeedsDecision(
                answers
                    .into_iter()
                    .map(|(_, status)| {
                        let transactions = status.transactions.clone().unwrap_or_default();
                        (
                            status.server_uuid.unwrap_or_default(),
                            status.last_view,
                            panono_operator::agent::view::join_sets(
                                &transactions.executed,
                                &transactions.received,
                            ),
                        )
                    })
                    .collect(),
            ));
        };
        self.rebuild(seed, epoch).await?;
        for index in running.iter().filter(|index| **index != seed) {
            self.command_of(*index, Verb::Release {}, epoch).await?;
        }
        Ok(Recovery::Rebuilt(seed))
    }

    /// Has this member make the group again, whatever others have.
    ///
    /// # Errors
    /// When it does not do so.
    pub async fn rebuild(&self, seed: usize, epoch: i64) -> Result<()> {
        let verb = || Verb::Rebuild {
            group_name: self.name.clone(),
        };
        wait_until("the group to be made again", LIMIT, async || {
            self.command_of(seed, verb(), epoch).await
        })
        .await?;
        Ok(())
    }

    async fn fence(&self, index: usize, epoch: i64) -> Result<Fenced> {
        let verb = || Verb::Fence {
            reason: "all members are down".to_owned(),
        };
        wait_until("a member to be fenced", LIMIT, async || {
            let told = self.command_of(index, verb(), epoch).await;
            if let Err(error) = &told
                && let Some(AskError::Refused { problem, .. }) = error.downcast_ref()
                && problem.code == Code::HasMajority
            {
                return Ok(Fenced::HasMajority);
            }
            told?;
            let status = self.member(index).status(self.client()).await?;
            // What it had before it was fenced is no evidence.
            let out = status.view.as_ref().is_some_and(|view| {
                view.state == panono_operator::agent::api::MemberState::Offline
            });
            if status.fenced.is_none() || !out || status.transactions.is_none() {
                bail!("{}", told_of(&status));
            }
            anyhow::Ok(Fenced::Yes(Box::new(status)))
        })
        .await
    }

    /// Who certainly has every acknowledged transaction: the answers are a majority of the last view with its primary among them,
    /// or all of it, and one has everything that the others have.
    async fn proven(&self, answers: &[(usize, Status)]) -> Result<Option<usize>> {
        let last = answers
            .iter()
            .filter_map(|(_, status)| status.last_view.as_ref())
            .max_by_key(|view| (view.id.epoch, view.id.counter));
        let Some(last) = last else {
            return Ok(None);
        };
        let answered = |uuid: &String| {
            answers
                .iter()
                .any(|(_, status)| status.server_uuid.as_ref() == Some(uuid))
        };
        let present = last.members.iter().filter(|uuid| answered(uuid)).count();
        let with_primary = last.primary_uuid.as_ref().is_some_and(answered);
        if present * 2 <= last.members.len() || !(with_primary || present == last.members.len()) {
            return Ok(None);
        }
        let set = |status: &Status| {
            let transactions = status.transactions.clone().unwrap_or_default();
            panono_operator::agent::view::join_sets(&transactions.executed, &transactions.received)
        };
        for (index, status) in answers {
            let own = set(status);
            let mut superset = true;
            for (_, other) in answers {
                let query = format!("GTID_SUBSET('{}', '{own}')", set(other));
                superset &= self.member(*index).value(&query).await? == "1";
            }
            if superset {
                return Ok(Some(*index));
            }
        }
        Ok(None)
    }
}

enum Fenced {
    Yes(Box<Status>),
    HasMajority,
}

impl std::fmt::Debug for Fenced {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Fenced")
    }
}

fn told_of(status: &Status) -> String {
    told(std::slice::from_ref(&Some(status.clone())))
}

impl AgentGroup {
    /// The evidence of a member that cannot be fenced because it does not answer is missing; this is what it last kept.
    ///
    /// # Errors
    /// When nothing was kept.
    pub fn kept_view(&self, index: usize) -> Result<LastView> {
        let text = std::fs::read_to_string(self.member(index).volume().join("agent/state.json"))?;
        let kept: panono_operator::agent::store::Kept = serde_json::from_str(&text)?;
        kept.last_view.context("no view was kept")
    }
}
