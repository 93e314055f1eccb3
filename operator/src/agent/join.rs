//! Making a group, joining one, leaving one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::future::join_all;
use sqlx::mysql::MySqlConnection;

use super::api::{MemberState, Status};
use super::core::Core;
use super::option_file::quoted;
use super::sql::{self, ANSWER_LIMIT, Seen};
use super::store::{Made, Marker};
use super::{accounts, view, volume};

/// `START GROUP_REPLICATION` waits until the member is in a view, which a busy machine may take long for.
const START_LIMIT: Duration = Duration::from_secs(120);
/// A member that does not answer is suspected after five seconds; what is added is for a busy machine, and the time after which those
/// who are suspected are expelled.
const EXPELLED_LIMIT: Duration = Duration::from_secs(20);
/// `STOP GROUP_REPLICATION` waits until what was received is applied.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// With more transactions than this to catch up with, a new member copies another's data.
const CLONE_ABOVE: u64 = 200_000;
const NEVER: u64 = i64::MAX.unsigned_abs();

/// How an attempt to join ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// In the group, perhaps still catching up.
    Yes,
    /// No other member is online with a majority.
    Nobody {
        /// Others that did not answer.
        silent: usize,
    },
    /// It has transactions that the group has not.
    Errant(String),
}

/// What all other agents answered, and how many did not.
pub async fn ask_peers(core: &Arc<Core>) -> (Vec<Status>, usize) {
    let config = core.config();
    let own = format!("{}:{}", config.host, config.port);
    let client = core.client();
    let asked = config
        .peers
        .iter()
        .filter(|peer| peer.mysql != own)
        .map(|peer| client.status(&peer.api));
    let answers = join_all(asked).await;
    let all = answers.len();
    let answers: Vec<Status> = answers.into_iter().filter_map(Result::ok).collect();
    let silent = all - answers.len();
    (answers, silent)
}

/// The same, once the group has expelled what this member was before it ended. Who joins earlier is not let in, and MySQL says so only
/// after a minute and a half.
async fn ask_once_expelled(core: &Arc<Core>) -> (Vec<Status>, usize) {
    let config = core.config();
    let own = format!("{}:{}", config.host, config.port);
    let limit = EXPELLED_LIMIT + Duration::from_secs(u64::from(config.expel_timeout_seconds));
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        let asked = ask_peers(core).await;
        if !view::is_listed(&asked.0, &own) || tokio::time::Instant::now() > deadline {
            return asked;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Tries to join once. With `blind` also if nobody says that there is a group, because some did not answer.
///
/// # Errors
/// When the server refuses.
pub async fn join(core: &Arc<Core>, blind: bool) -> Result<Joined> {
    let config = core.config();
    let kept = core.ledger.kept();
    let (answers, silent) = ask_once_expelled(core).await;
    let own_name = match &kept.marker {
        Marker::Owned { group_name } => Some(group_name.clone()),
        _ => config.group_name.clone(),
    };
    let prospect = match (view::prospect(&answers), &own_name) {
        (Some(found), _) => found,
        (None, Some(name)) if blind && silent > 0 => view::Prospect {
            group_name: name.clone(),
            seeds: config.peers.iter().map(|peer| peer.mysql.clone()).collect(),
            ..view::Prospect::default()
        },
        (None, _) => return Ok(Joined::Nobody { silent }),
    };
    if let Some(name) = own_name
        && name != prospect.group_name
    {
        bail!(
            "the others are in the group {}, and this member is of {name}",
            prospect.group_name
        );
    }
    core.metrics.joins.inc();
    let mut connection = sql::connect(&config).await?;
    let mut seen = sql::observe(&mut connection).await?;
    if seen.view.state != MemberState::Offline {
        sql::run(&mut connection, STOP_LIMIT, "STOP GROUP_REPLICATION").await?;
        seen = sql::observe(&mut connection).await?;
    }
    let epoch = kept.made.as_ref().map_or(0, |made| made.epoch);
    if let Some(base) = view::base(&prospect.bases, epoch) {
        let own = view::join_sets(&seen.transactions.executed, &seen.transactions.received);
        let errant = sql::subtract(&mut connection, &own, base).await?;
        if !errant.is_empty() {
            return Ok(Joined::Errant(errant));
        }
    }
    if let Some(theirs) = &prospect.transactions {
        let errant = errant(core, &mut connection, &seen, theirs).await?;
        if !errant.is_empty() {
            return Ok(Joined::Errant(errant));
        }
    }
    // What follows can bring the group's transactions into the data, so it is the group's from here on.
    let fresh = kept.marker == Marker::Fresh;
    core.ledger.change(|kept| {
        kept.marker = Marker::Owned {
            group_name: prospect.group_name.clone(),
        };
        if let Some((prefix, epoch)) = &prospect.made {
            kept.made = Some(Made {
                prefix: prefix.clone(),
                epoch: *epoch,
            });
            kept.bases.clone_from(&prospect.bases);
        }
    })?;
    let large = prospect
        .transactions
        .as_deref()
        .is_some_and(|set| view::count(set) > CLONE_ABOVE);
    let threshold = if fresh && (prospect.purged || large) {
        1
    } else {
        NEVER
    };
    prepare(&mut connection, &prospect.group_name, &prospect.seeds).await?;
    sql::run(
        &mut connection,
        ANSWER_LIMIT,
        format!("SET GLOBAL group_replication_clone_threshold = {threshold}"),
    )
    .await?;
    let set = prospect.passwords.max(seen.passwords.0);
    if accounts::is_older(config.generation(), seen.passwords.0, set) {
        accounts::let_in(&config, &mut connection).await?;
    }
    start(core, &mut connection, set).await?;
    Ok(Joined::Yes)
}

/// The transactions that this member has and the group has not. Asked twice: what the others said is older than what they have.
async fn errant(
    core: &Arc<Core>,
    connection: &mut MySqlConnection,
    seen: &Seen,
    theirs: &str,
) -> Result<String> {
    let own = view::join_sets(&seen.transactions.executed, &seen.transactions.received);
    let rest = sql::subtract(connection, &own, theirs).await?;
    if rest.is_empty() {
        return Ok(rest);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (answers, _) = ask_peers(core).await;
    match view::prospect(&answers).and_then(|prospect| prospect.transactions) {
        Some(theirs) => sql::subtract(connection, &rest, &theirs).await,
        // The primary changed meanwhile: nothing is proven, and the next attempt looks again.
        None => bail!("the primary of the group was lost during the comparison"),
    }
}

async fn prepare(connection: &mut MySqlConnection, name: &str, seeds: &[String]) -> Result<()> {
    for (variable, value) in [
        ("group_replication_group_name", name),
        ("group_replication_group_seeds", &seeds.join(",")),
    ] {
        let statement = format!("SET GLOBAL {variable} = {}", quoted(value));
        sql::run(connection, ANSWER_LIMIT, statement)
            .await
            .with_context(|| variable.to_owned())?;
    }
    Ok(())
}

/// `set`: which passwords the accounts have; 0 if nobody knows.
async fn start(core: &Arc<Core>, connection: &mut MySqlConnection, set: i64) -> Result<()> {
    let set = if set == 0 { i64::MAX } else { set };
    let (secret, generation) = accounts::replication(&core.config(), set)?;
    sql::run(connection, ANSWER_LIMIT, sql::source_statement(&secret)).await?;
    sql::run(connection, START_LIMIT, "START GROUP_REPLICATION").await?;
    core.update(|moment| moment.member_password = generation);
    Ok(())
}

/// Makes the group, from this member alone; `again` if there was one already.
///
/// # Errors
/// When the server refuses. Whatever happened, the server is not left with permission to do it again: if that cannot be taken
/// back, `Err` has [`MayStillBootstrap`] in it and the server has to be killed.
pub async fn bootstrap(core: &Arc<Core>, name: &str, epoch: i64, again: bool) -> Result<()> {
    let config = core.config();
    let mut connection = sql::connect(&config).await?;
    let seen = sql::observe(&mut connection).await?;
    if seen.view.state != MemberState::Offline {
        sql::run(&mut connection, STOP_LIMIT, "STOP GROUP_REPLICATION").await?;
    }
    if again {
        // Before a number is given out that another member, which is away, may have for something else.
        let own = view::join_sets(&seen.transactions.executed, &seen.transactions.received);
        core.ledger.change(|kept| {
            kept.bases = view::with_base(&kept.bases, epoch, &own);
        })?;
    }
    let own = format!("{}:{}", config.host, config.port);
    prepare(&mut connection, name, &[own]).await?;
    let allow = "SET GLOBAL group_replication_bootstrap_group = ON";
    let forbid = "SET GLOBAL group_replication_bootstrap_group = OFF";
    sql::run(&mut connection, ANSWER_LIMIT, allow).await?;
    let started = start(core, &mut connection, seen.passwords.0).await;
    if sql::run(&mut connection, ANSWER_LIMIT, forbid)
        .await
        .is_err()
    {
        let mut other = sql::connect(&config).await.context(MayStillBootstrap)?;
        sql::run(&mut other, ANSWER_LIMIT, forbid)
            .await
            .context(MayStillBootstrap)?;
    }
    started?;
    let deadline = tokio::time::Instant::now() + START_LIMIT;
    loop {
        let seen = sql::observe(&mut connection).await?;
        if view::is_primary(&seen.view)
            && !seen.read_only
            && let Some(id) = &seen.view.id
        {
            // With its view, by which others know that it was made, even if the server ends before the next look at it.
            core.ledger.change(|kept| {
                kept.made = Some(Made {
                    prefix: id.prefix.clone(),
                    epoch,
                });
                kept.last_view = view::to_keep(&seen.view, epoch).or(kept.last_view.take());
            })?;
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            bail!("the member did not become the primary of its group in time");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The server may still have permission to make a group.
#[derive(Debug, thiserror::Error)]
#[error("the permission to make a group could not be taken back")]
pub struct MayStillBootstrap;

/// Hands the primary's role over, if this member has it and another can take it.
///
/// # Errors
/// When the others do not take it in time.
pub async fn hand_over(core: &Arc<Core>) -> Result<()> {
    // Better one of those than nobody.
    hand_over_but_to(core, &[]).await
}

/// How a primary whose volume is full gives its role up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// It does not: the others have no more space.
    Not,
    /// It was handed over.
    Handed,
    /// It cannot be handed over: what is committed waits for space, and the role for what is committed. The server has to be killed.
    Kill,
}

/// Gives the primary's role up to a member that has space, because this one has none.
///
/// # Errors
/// When the other does not take it in time.
pub async fn give_up_for_space(core: &Arc<Core>) -> Result<GivenUp> {
    let (answers, _) = ask_peers(core).await;
    // Of who does not answer it is not known.
    let has_space = |uuid: &String| {
        answers
            .iter()
            .any(|answer| answer.server_uuid.as_ref() == Some(uuid) && !answer.full)
    };
    let Some((seen, _)) = core.moment().seen else {
        return Ok(GivenUp::Not);
    };
    let all = seen.view.members.iter().map(|member| member.uuid.clone());
    let full: Vec<String> = all.filter(|uuid| !has_space(uuid)).collect();
    if !view::is_primary(&seen.view) || view::successor(&seen.view, &seen.uuid, &full).is_none() {
        return Ok(GivenUp::Not);
    }
    if volume::is_exhausted(&core.config().volume) {
        return Ok(GivenUp::Kill);
    }
    hand_over_but_to(core, &full).await?;
    Ok(GivenUp::Handed)
}

async fn hand_over_but_to(core: &Arc<Core>, full: &[String]) -> Result<()> {
    let config = core.config();
    let mut connection = sql::connect(&config).await?;
    let seen = sql::observe(&mut connection).await?;
    if !view::is_primary(&seen.view) {
        return Ok(());
    }
    let Some(successor) = view::successor(&seen.view, &seen.uuid, full) else {
        return Ok(());
    };
    let to = successor.uuid.clone();
    tracing::info!(to, "handing the primary's role over");
    let query = format!(
        "SELECT group_replication_set_as_primary({}, 5)",
        quoted(&to)
    );
    sql::value(&mut connection, Duration::from_secs(20), query).await?;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while tokio::time::Instant::now() < deadline {
        if !view::is_primary(&sql::observe(&mut connection).await?.view) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("{to} did not become primary in time")
}

/// Leaves the group, so that its majority is counted without this member.
///
/// # Errors
/// When the server does not do so in time.
pub async fn leave(core: &Arc<Core>) -> Result<()> {
    let mut connection = sql::connect(&core.config()).await?;
    let seen = sql::observe(&mut connection).await?;
    if seen.view.state == MemberState::Offline {
        return Ok(());
    }
    sql::run(&mut connection, STOP_LIMIT, "STOP GROUP_REPLICATION").await
}
