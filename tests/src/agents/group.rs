//! A group of agents.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::{join_all, try_join_all};
use panono_operator::agent::api::{Done, MemberRole, Status, Verb};
use panono_operator::agent::client::Client;
use panono_operator::agent::config::{Durability, Peer};
use panono_operator::agent::tls::client_config;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use super::authority::Authority;
use super::member::{AgentMember, Place};
use super::network::Network;
use crate::ports::Port;
use crate::wait::wait_until;

/// A member comes up in some ten seconds on a free machine; a whole test run may be competing for it.
pub(super) const LIMIT: Duration = Duration::from_secs(240);

/// How a group is made.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// How many members.
    pub members: usize,
    /// Whether servers wait for the disk.
    pub durability: Durability,
    /// Whether each member gets a network of its own, where this machine allows it.
    pub networks: bool,
    /// Further settings of the servers.
    pub settings: BTreeMap<String, String>,
    /// The EndpointSlice that the primary writes, if there is an API server.
    pub endpoint_slice: Option<SliceOptions>,
}

/// An EndpointSlice, and how its API server is reached.
#[derive(Clone, Debug)]
pub struct SliceOptions {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The file that says where the API server is and who the agents are there.
    pub kubeconfig: PathBuf,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            members: 3,
            durability: Durability::Full,
            networks: true,
            settings: BTreeMap::new(),
            endpoint_slice: None,
        }
    }
}

/// Agents whose servers replicate each other. All are killed when this value is dropped.
#[derive(Debug)]
pub struct AgentGroup {
    // Before the network: processes end before their namespaces go.
    members: Vec<AgentMember>,
    network: Option<Network>,
    authority: Authority,
    client: Client,
    pub(super) name: String,
    pub(super) epoch: AtomicI64,
    until: AtomicI32,
}

static FAULTED: OnceCell<Mutex<AgentGroup>> = OnceCell::const_new();

/// A group of three that one test at a time may hurt. The next test finds all of its members online again, whatever was done to
/// them, and any of them as the primary.
///
/// # Errors
/// When it does not come up, or cannot be healed.
pub async fn faulted_agents() -> Result<MutexGuard<'static, AgentGroup>> {
    let group = FAULTED
        .get_or_try_init(async || {
            AgentGroup::start(AgentOptions::default())
                .await
                .map(Mutex::new)
        })
        .await?;
    let group = group.lock().await;
    group.heal().await?;
    Ok(group)
}

impl AgentGroup {
    /// Starts agents on empty volumes, has the first make the group, and waits until all are online.
    ///
    /// # Errors
    /// When a program is missing or the group does not come up.
    pub async fn start(options: AgentOptions) -> Result<Self> {
        let group = Self::prepare(&options)?;
        for member in &group.members {
            member.start()?;
        }
        group.bootstrap().await?;
        group.wait_until_online().await?;
        Ok(group)
    }

    /// Agents that were not started yet.
    ///
    /// # Errors
    /// When a folder or certificate cannot be made.
    pub fn prepare(options: &AgentOptions) -> Result<Self> {
        ensure!(
            (1..=9).contains(&options.members),
            "a group has 1 to 9 members, not {}",
            options.members
        );
        let network = options
            .networks
            .then(|| Network::new(options.members))
            .flatten();
        let authority = Authority::new()?;
        let (certificate, key) = authority.issue("operator", &[])?;
        let tls = client_config(
            authority.pem().as_bytes(),
            certificate.as_bytes(),
            key.as_bytes(),
        )?;
        let members = (0..options.members)
            .map(|index| {
                AgentMember::prepare(index, place(index, network.as_ref())?, &authority, options)
            })
            .collect::<Result<Vec<_>>>()?;
        let peers: Vec<Peer> = members
            .iter()
            .map(|member| Peer {
                mysql: member.address(),
                api: member.api(),
            })
            .collect();
        for member in &members {
            member.configure(&peers, options)?;
        }
        Ok(Self {
            members,
            network,
            authority,
            client: Client::new(tls)?,
            name: group_name(),
            epoch: AtomicI64::new(0),
            until: AtomicI32::new(2500),
        })
    }

    /// All members, in the order of their numbers.
    pub fn members(&self) -> &[AgentMember] {
        &self.members
    }

    /// The member with this number, from 0.
    ///
    /// # Panics
    /// When there is none.
    pub fn member(&self, index: usize) -> &AgentMember {
        &self.members[index]
    }

    /// Members' networks, where this machine allows them.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// A client of the agents.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The name of the group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives all members one new certificate, signed by the same authority and good for a year longer than the one before. Says
    /// by what digest agents know it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn renew_certificates(&self) -> Result<String> {
        let year = self.until.fetch_add(1, Ordering::SeqCst) + 1;
        let hosts: Vec<String> = self
            .members
            .iter()
            .filter_map(|member| Some(member.address().rsplit_once(':')?.0.to_owned()))
            .collect();
        let (certificate, key) = self.authority.issue_until("members", &hosts, year)?;
        for member in &self.members {
            let folder = member.folder().join("tls");
            std::fs::write(folder.join("tls.crt"), &certificate)?;
            std::fs::write(folder.join("tls.key"), &key)?;
        }
        Ok(panono_operator::agent::tls::digest(
            self.authority.pem().as_bytes(),
            certificate.as_bytes(),
        ))
    }

    /// The year in which the newest certificate ends.
    pub fn certified_until(&self) -> String {
        self.until.load(Ordering::SeqCst).to_string()
    }

    /// Breaks all connections of members among each other, in the network: a `KILL` in the server would close sockets that the
    /// group's engine goes on using, and with them whatever connection of a client is given the same number next. Where this
    /// machine does not allow it nothing is done, and that is said.
    ///
    /// # Errors
    /// When members had no connections.
    pub fn cut_connections_of_members(&self) -> Result<()> {
        let Some(network) = &self.network else {
            eprintln!("members' connections are not cut: they have no networks of their own");
            return Ok(());
        };
        network.reset_between_members()
    }

    /// `host:port` of all servers.
    pub fn addresses(&self) -> Vec<String> {
        self.members.iter().map(AgentMember::address).collect()
    }

    /// What each member's agent says, in order; nothing of those that do not answer.
    pub async fn statuses(&self) -> Vec<Option<Status>> {
        let asked = self
            .members
            .iter()
            .map(async |member| member.status(&self.client).await.ok());
        join_all(asked).await
    }

    /// The epoch of the next decision.
    pub fn next_epoch(&self) -> i64 {
        self.epoch.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Has a member's agent carry out a command, with the newest epoch.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn command(&self, index: usize, verb: Verb) -> Result<Done> {
        self.command_of(index, verb, self.epoch.load(Ordering::SeqCst))
            .await
    }

    /// Has a member's agent carry out a command of this epoch.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn command_of(&self, index: usize, verb: Verb, epoch: i64) -> Result<Done> {
        let member = self.member(index);
        let command = panono_operator::agent::api::Command {
            pod_uid: member.pod_uid(),
            epoch,
            verb,
        };
        self.client
            .command(&member.api(), &command)
            .await
            .map_err(Into::into)
    }

    /// Has the first member make the group.
    ///
    /// # Errors
    /// When it does not do so for a long time.
    pub async fn bootstrap(&self) -> Result<()> {
        let epoch = self.next_epoch();
        wait_until("the first member to make the group", LIMIT, async || {
            let verb = Verb::Bootstrap {
                group_name: self.name.clone(),
            };
            self.command_of(0, verb, epoch).await
        })
        .await?;
        Ok(())
    }

    /// The member that takes writes, as soon as a majority agrees on it.
    ///
    /// # Errors
    /// When there is none for a long time.
    pub async fn primary(&self) -> Result<usize> {
        wait_until("a primary with a majority", LIMIT, async || {
            let statuses = self.statuses().await;
            let primaries: Vec<usize> = statuses
                .iter()
                .enumerate()
                .filter(|(_, status)| {
                    status
                        .as_ref()
                        .and_then(|status| status.view.as_ref())
                        .is_some_and(|view| view.majority && view.role == Some(MemberRole::Primary))
                })
                .map(|(index, _)| index)
                .collect();
            match primaries.as_slice() {
                [one] => Ok(*one),
                _ => bail!("primaries: {primaries:?}; {}", told(&statuses)),
            }
        })
        .await
    }

    /// Members that follow the primary, in order.
    ///
    /// # Errors
    /// When there is no primary for a long time.
    pub async fn secondaries(&self) -> Result<Vec<usize>> {
        let primary = self.primary().await?;
        Ok((0..self.members.len())
            .filter(|index| *index != primary && self.member(*index).is_running())
            .collect())
    }

    /// Waits until all members that run are online with each other and take connections.
    ///
    /// # Errors
    /// When that is not so for a long time.
    pub async fn wait_until_online(&self) -> Result<()> {
        let running = self
            .members
            .iter()
            .filter(|member| member.is_running())
            .count();
        wait_until("all members to be ready", LIMIT, async || {
            let http = crate::http::client();
            for member in self.members.iter().filter(|member| member.is_running()) {
                let answer = http.get(member.probe("readyz")).send().await?;
                let (status, text) = (answer.status(), answer.text().await?);
                ensure!(status.is_success(), "member {}: {text}", member.index());
                let status = member.status(&self.client).await?;
                let view = status.view.context("no view")?;
                ensure!(
                    view.members.len() == running,
                    "member {} sees {} members",
                    member.index(),
                    view.members.len()
                );
            }
            anyhow::Ok(())
        })
        .await
    }

    /// Waits until all members that run have applied what the primary has now.
    ///
    /// # Errors
    /// When one of them does not get there.
    pub async fn wait_until_applied(&self) -> Result<()> {
        let primary = self.primary().await?;
        let set = self.member(primary).value("@@GLOBAL.gtid_executed").await?;
        let set = set.replace('\n', "");
        for member in self.members.iter().filter(|member| member.is_running()) {
            let query = format!("GTID_SUBSET('{set}', @@GLOBAL.gtid_executed)");
            let what = format!("member {} to have applied all", member.index());
            wait_until(&what, LIMIT, async || {
                let applied = member.value(&query).await?;
                ensure!(applied == "1", "not yet");
                anyhow::Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Brings every member back that was killed, paused, cut off, fenced or told to leave, and waits until all are online.
    ///
    /// # Errors
    /// When one of them does not come back.
    pub async fn heal(&self) -> Result<()> {
        for member in &self.members {
            if let Some(network) = &self.network {
                network.reconnect(member.index())?;
            }
            if member.is_running() {
                member.signal_server(rustix::process::Signal::CONT).ok();
            } else {
                member.start()?;
            }
        }
        self.wait_until_online().await
    }

    /// Makes this member the primary.
    ///
    /// # Errors
    /// When the group refuses it.
    pub async fn switch_to(&self, index: usize) -> Result<Done> {
        let primary = self.primary().await?;
        let status = self.member(index).status(&self.client).await?;
        let verb = Verb::Switchover {
            to_uuid: status.server_uuid.context("no identity")?,
            timeout_seconds: 5,
        };
        self.command(primary, verb).await
    }

    /// Processes of agents and servers, by which it is seen who was started again.
    ///
    /// # Errors
    /// When one does not run.
    pub fn processes(&self, indexes: &[usize]) -> Result<Vec<(u32, i32)>> {
        indexes
            .iter()
            .map(|index| {
                let member = self.member(*index);
                Ok((member.agent_pid()?, member.server_pid()?))
            })
            .collect()
    }

    /// Deletes all members, one after the other.
    ///
    /// # Errors
    /// When one does not end in order.
    pub async fn shut_down(&self) -> Result<()> {
        let running = self.members.iter().filter(|member| member.is_running());
        try_join_all(running.map(AgentMember::delete)).await?;
        Ok(())
    }
}

impl Drop for AgentGroup {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.members.iter().for_each(AgentMember::print_log_tail);
        }
        self.members.clear();
    }
}

fn place(index: usize, network: Option<&Network>) -> Result<Place> {
    if let Some(network) = network {
        return Ok(Place {
            address: IpAddr::V4(network.address(index)),
            namespace: Some(network.namespace(index)),
            ports: [3306, 8443, 8081],
            _held: Vec::new(),
        });
    }
    let held = vec![Port::take()?, Port::take()?, Port::take()?];
    Ok(Place {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        namespace: None,
        ports: [held[0].number(), held[1].number(), held[2].number()],
        _held: held,
    })
}

pub(super) fn told(statuses: &[Option<Status>]) -> String {
    statuses
        .iter()
        .map(|status| match status {
            None => "silent".to_owned(),
            Some(status) => format!(
                "{:?}{}",
                status.view.as_ref().map(|view| view.state),
                status
                    .join_error
                    .as_ref()
                    .map_or_else(String::new, |error| format!(" ({error})"))
            ),
        })
        .collect::<Vec<_>>()
        .join("; ")
}

/// A random name in the form of a UUID, version 4.
fn group_name() -> String {
    let value: u128 =
        (rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{value:032x}");
    [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ]
    .join("-")
}
