//! A group of MySQL servers.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use sqlx::{AssertSqlSafe, Connection};

use super::member::{Member, MemberState, Role, read_view};
use super::{Durability, PASSWORD, ROOT};
use crate::wait::wait_until;

/// Joining takes three seconds on a free machine; a whole test run may be competing for it.
const JOIN_LIMIT: Duration = Duration::from_secs(120);
const CATCH_UP_LIMIT: Duration = Duration::from_secs(180);

const RECEIVED: &str = "SELECT COALESCE(MAX(RECEIVED_TRANSACTION_SET), '') \
    FROM performance_schema.replication_connection_status WHERE CHANNEL_NAME = 'group_replication_applier'";
const IS_SUBSET: &str = "SELECT GTID_SUBSET(?, ?)";

/// How a group is made.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// How many servers.
    pub members: usize,
    /// Whether they wait for the disk.
    pub durability: Durability,
    /// `group_replication_member_expel_timeout`: how long a silent member is kept after the five seconds until it is
    /// suspected.
    pub expel_timeout: Duration,
    /// Further lines of the option files.
    pub settings: Vec<(String, String)>,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            members: 3,
            durability: Durability::Relaxed,
            // With 0 a killed primary is replaced some seven seconds later. With anything more it takes over twenty, because
            // the server then looks at its suspects every fifteen seconds only.
            expel_timeout: Duration::ZERO,
            settings: Vec::new(),
        }
    }
}

/// MySQL servers that replicate each other, or one alone. All are killed when this value is dropped.
#[derive(Debug)]
pub struct MysqlGroup {
    members: Vec<Member>,
    replicated: bool,
}

impl MysqlGroup {
    /// Starts a group of so many members and waits until all are online.
    ///
    /// # Errors
    /// When the program is missing or the group does not come up.
    pub async fn start(members: usize) -> Result<Self> {
        Self::start_with(GroupOptions {
            members,
            ..GroupOptions::default()
        })
        .await
    }

    /// Starts a group and waits until all members are online.
    ///
    /// # Errors
    /// When the program is missing or the group does not come up.
    pub async fn start_with(options: GroupOptions) -> Result<Self> {
        let group = Self::launch(options, true).await?;
        group.bootstrap(0).await?;
        try_join_all(group.members[1..].iter().map(|member| group.join(member))).await?;
        group.wait_until_online().await?;
        Ok(group)
    }

    /// Starts one server without replication, which is ready sooner.
    ///
    /// # Errors
    /// When the program is missing or the server does not come up.
    pub async fn single() -> Result<Self> {
        Self::single_with(GroupOptions::default()).await
    }

    /// Starts one server without replication, with the settings of these options.
    ///
    /// # Errors
    /// When the program is missing or the server does not come up.
    pub async fn single_with(options: GroupOptions) -> Result<Self> {
        let one = GroupOptions {
            members: 1,
            ..options
        };
        Self::launch(one, false).await
    }

    async fn launch(options: GroupOptions, replicated: bool) -> Result<Self> {
        if options.members == 0 || options.members > 9 {
            bail!("a group has 1 to 9 members, not {}", options.members);
        }
        let count = options.members;
        let prepare = move || (0..count).map(Member::prepare).collect::<Result<Vec<_>>>();
        let members = tokio::task::spawn_blocking(prepare)
            .await
            .context("failed to copy data directories")??;
        let addresses = members
            .iter()
            .map(Member::address)
            .collect::<Vec<_>>()
            .join(",");
        let name = group_name();
        for member in &members {
            member.configure(
                &options,
                replicated.then_some((name.as_str(), addresses.as_str())),
            )?;
        }
        try_join_all(members.iter().map(Member::launch)).await?;
        Ok(Self {
            members,
            replicated,
        })
    }

    /// All members, in the order of their numbers.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with this number, from 0.
    ///
    /// # Panics
    /// When there is none.
    pub fn member(&self, index: usize) -> &Member {
        &self.members[index]
    }

    /// `host:port` of all members.
    pub fn addresses(&self) -> Vec<String> {
        self.members.iter().map(Member::address).collect()
    }

    /// The member that takes writes, as soon as a majority agrees on it.
    ///
    /// # Errors
    /// When there is none for a long time.
    pub async fn primary(&self) -> Result<&Member> {
        if !self.replicated {
            return Ok(&self.members[0]);
        }
        wait_until(
            "a primary that a majority agrees on",
            JOIN_LIMIT,
            async || self.current_primary().await,
        )
        .await
    }

    /// The members that follow the primary and are online.
    ///
    /// # Errors
    /// When there is no primary for a long time.
    pub async fn secondaries(&self) -> Result<Vec<&Member>> {
        if !self.replicated {
            return Ok(Vec::new());
        }
        let view = self.primary().await?.view().await?;
        let follows = |member: &&Member| {
            view.iter().any(|seen| {
                seen.port == member.port()
                    && seen.state == "ONLINE"
                    && seen.role == Some(Role::Secondary)
            })
        };
        Ok(self.members.iter().filter(follows).collect())
    }

    /// The URL for writes to `database`.
    ///
    /// # Errors
    /// When there is no primary for a long time.
    pub async fn writer_url(&self, database: &str) -> Result<String> {
        Ok(self.primary().await?.url(database))
    }

    /// The URLs for reads from `database`: those of the secondaries, or of the primary if it is alone.
    ///
    /// # Errors
    /// When there is no primary for a long time.
    pub async fn reader_urls(&self, database: &str) -> Result<Vec<String>> {
        let secondaries = self.secondaries().await?;
        if secondaries.is_empty() {
            return Ok(vec![self.writer_url(database).await?]);
        }
        Ok(secondaries
            .iter()
            .map(|member| member.url(database))
            .collect())
    }

    /// Makes an empty database and waits until every member that is online has it.
    ///
    /// # Errors
    /// When the primary refuses it.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        self.primary()
            .await?
            .execute(&format!("CREATE DATABASE `{name}`"))
            .await?;
        self.wait_until_applied().await
    }

    /// Waits until every member that is online has applied what the primary has applied now.
    ///
    /// # Errors
    /// When one of them does not get there.
    pub async fn wait_until_applied(&self) -> Result<()> {
        let set = self.primary().await?.executed().await?;
        for member in self.secondaries().await? {
            let what = format!("MySQL member {} to apply {set}", member.index());
            wait_until(&what, CATCH_UP_LIMIT, async || {
                if member.has_applied(&set).await? {
                    Ok(())
                } else {
                    bail!("applied: {}", member.executed().await?)
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Starts a member that was killed or shut down; it joins the group and this returns when it is online.
    ///
    /// # Errors
    /// When it does not come up, or no other member is online.
    pub async fn restart(&self, index: usize) -> Result<()> {
        let member = self.member(index);
        if member.is_running() {
            member.kill()?;
        }
        member.launch().await?;
        if self.replicated {
            self.join(member).await?;
            self.wait_until_member_online(member).await?;
        }
        Ok(())
    }

    /// Brings the group back after all of its members were lost at once: starts those that do not run, bootstraps the one that
    /// has every transaction that any of them has, and joins the others.
    ///
    /// # Errors
    /// When a member does not come up, or none has all transactions.
    pub async fn recover_from_outage(&self) -> Result<()> {
        try_join_all(
            self.members
                .iter()
                .filter(|member| !member.is_running())
                .map(Member::launch),
        )
        .await?;
        if !self.replicated {
            return Ok(());
        }
        let mut sets = Vec::new();
        for member in &self.members {
            let mut connection = member.connect().await?;
            let received: String = sqlx::query_scalar(RECEIVED)
                .fetch_one(&mut connection)
                .await
                .context("failed to read a GTID set")?;
            connection
                .close()
                .await
                .context("failed to close a connection")?;
            sets.push([member.executed().await?, received].join(","));
        }
        let mut connection = self.members[0].connect().await?;
        for (index, whole) in sets.iter().enumerate() {
            let mut superset = true;
            for part in &sets {
                let within: i64 = sqlx::query_scalar(IS_SUBSET)
                    .bind(part.trim_matches(','))
                    .bind(whole.trim_matches(','))
                    .fetch_one(&mut connection)
                    .await
                    .context("failed to compare GTID sets")?;
                superset &= within == 1;
            }
            if superset {
                self.bootstrap(index).await?;
                let others = self.members.iter().filter(|member| member.index() != index);
                try_join_all(others.map(|member| self.join(member))).await?;
                return self.wait_until_online().await;
            }
        }
        bail!("no member has every transaction: {sets:?}")
    }

    /// Brings every member back that was killed, paused or expelled, and waits until all are online.
    ///
    /// # Errors
    /// When one of them does not come back.
    pub async fn heal(&self) -> Result<()> {
        for member in self.members.iter().filter(|member| member.is_running()) {
            member.resume()?;
        }
        if !self.replicated {
            return if self.members[0].is_running() {
                Ok(())
            } else {
                self.restart(0).await
            };
        }
        let Ok(primary) = self.current_primary().await else {
            for member in self.members.iter().filter(|member| member.is_running()) {
                member.kill()?;
            }
            return self.recover_from_outage().await;
        };
        let view = primary.view().await?;
        let online = |member: &&Member| {
            view.iter()
                .any(|seen| seen.port == member.port() && seen.state == "ONLINE")
        };
        for member in self
            .members
            .iter()
            .filter(|member| !online(member) || !member.is_running())
        {
            self.restart(member.index()).await?;
        }
        self.wait_until_online().await
    }

    /// Makes another member the primary, as a planned switchover does.
    ///
    /// # Errors
    /// When the group refuses it.
    pub async fn switch_primary(&self, index: usize) -> Result<()> {
        let member = self.member(index);
        let identity = member.value("SELECT @@server_uuid").await?;
        member
            .value(&format!(
                "SELECT group_replication_set_as_primary('{identity}')"
            ))
            .await?;
        wait_until("the new primary", JOIN_LIMIT, async || {
            let primary = self.current_primary().await?;
            if primary.index() == index {
                Ok(())
            } else {
                bail!("the primary is member {}", primary.index())
            }
        })
        .await
    }

    /// Waits until every member sees every member online.
    ///
    /// # Errors
    /// When that is not so for a long time.
    pub async fn wait_until_online(&self) -> Result<()> {
        wait_until("all members to be online", JOIN_LIMIT, async || {
            for member in &self.members {
                let view = member.view().await?;
                if view.len() != self.members.len()
                    || view.iter().any(|seen| seen.state != "ONLINE")
                {
                    bail!("member {} sees {view:?}", member.index());
                }
            }
            Ok(())
        })
        .await
    }

    async fn wait_until_member_online(&self, member: &Member) -> Result<()> {
        wait_until(
            &format!("member {} to be online", member.index()),
            JOIN_LIMIT,
            async || {
                let view = self.primary().await?.view().await?;
                if view
                    .iter()
                    .any(|seen| seen.port == member.port() && seen.state == "ONLINE")
                {
                    Ok(())
                } else {
                    bail!("the primary sees {view:?}")
                }
            },
        )
        .await
    }

    async fn current_primary(&self) -> Result<&Member> {
        let mut seen = Vec::new();
        for member in self.members.iter().filter(|member| member.is_running()) {
            // A paused server accepts connections and says nothing: what it sees is of no use, and the others are asked.
            match tokio::time::timeout(
                Duration::from_secs(2),
                tokio::spawn(read_view(member.port())),
            )
            .await
            {
                Ok(Ok(Ok(view))) => {
                    if let Some(port) = primary_in(&view, member.port()) {
                        return self
                            .members
                            .iter()
                            .find(|member| member.port() == port)
                            .context("the primary is none of our members");
                    }
                    seen.push(format!("{}: {view:?}", member.index()));
                }
                Ok(Ok(Err(error))) => seen.push(format!("{}: {error:#}", member.index())),
                Ok(Err(error)) => seen.push(format!("{}: {error}", member.index())),
                Err(_) => seen.push(format!("{}: silent", member.index())),
            }
        }
        bail!("{}", seen.join("; "))
    }

    async fn bootstrap(&self, index: usize) -> Result<()> {
        let member = self.member(index);
        member
            .execute("SET GLOBAL group_replication_bootstrap_group = ON")
            .await?;
        let started = self.join(member).await;
        member
            .execute("SET GLOBAL group_replication_bootstrap_group = OFF")
            .await?;
        started?;
        self.wait_until_member_online(member).await
    }

    /// A member that asks while others join may be turned away; it asks again.
    async fn join(&self, member: &Member) -> Result<()> {
        let statement = format!("START GROUP_REPLICATION USER='{ROOT}', PASSWORD='{PASSWORD}'");
        let what = format!("MySQL member {} to join", member.index());
        wait_until(&what, JOIN_LIMIT, async || {
            let mut connection = member.connect().await?;
            let joined = sqlx::raw_sql(AssertSqlSafe(statement.as_str()))
                .execute(&mut connection)
                .await;
            connection
                .close()
                .await
                .context("failed to close a connection")?;
            match joined {
                Ok(_) => anyhow::Ok(()),
                // A try of before may have gone through after all.
                Err(error) => match member
                    .view()
                    .await?
                    .iter()
                    .find(|seen| seen.port == member.port())
                {
                    Some(seen) if seen.state == "ONLINE" || seen.state == "RECOVERING" => Ok(()),
                    _ => Err(error.into()),
                },
            }
        })
        .await
    }
}

/// The port of the primary, if the member on `port` sees itself online in a majority.
fn primary_in(view: &[MemberState], port: u16) -> Option<u16> {
    let online = |seen: &&MemberState| seen.state == "ONLINE";
    let reachable = view
        .iter()
        .filter(|seen| seen.state == "ONLINE" || seen.state == "RECOVERING")
        .count();
    view.iter().filter(online).find(|seen| seen.port == port)?;
    if reachable * 2 <= view.len() {
        return None;
    }
    view.iter()
        .filter(online)
        .find(|seen| seen.role == Some(Role::Primary))
        .map(|seen| seen.port)
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
