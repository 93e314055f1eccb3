//! What the agent asks its server, and tells it. All of it on the server's socket.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::api::{Member, MemberRole, MemberState, Transactions, View, ViewId};
use super::config::Config;
use super::option_file::{Paths, Secret, quoted};

/// A server that answers at all answers these within a second.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(3);

const SELF: &str = "SELECT @@GLOBAL.server_uuid, @@GLOBAL.version, @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged, \
    CAST(@@GLOBAL.offline_mode AS SIGNED), CAST(@@GLOBAL.super_read_only AS SIGNED)";
const MEMBERS: &str = "SELECT m.MEMBER_ID, m.MEMBER_HOST, m.MEMBER_PORT, m.MEMBER_STATE, m.MEMBER_ROLE, m.MEMBER_VERSION, \
    COALESCE(s.VIEW_ID, ''), CAST(COALESCE(s.COUNT_TRANSACTIONS_REMOTE_IN_APPLIER_QUEUE, 0) AS UNSIGNED) \
    FROM performance_schema.replication_group_members m \
    LEFT JOIN performance_schema.replication_group_member_stats s USING (MEMBER_ID)";
const RECEIVED: &str = "SELECT COALESCE(MAX(RECEIVED_TRANSACTION_SET), '') \
    FROM performance_schema.replication_connection_status WHERE CHANNEL_NAME = 'group_replication_applier'";
const CLONING: &str = "SELECT p.STAGE, CAST(COALESCE(p.DATA, 0) AS UNSIGNED), CAST(COALESCE(p.ESTIMATE, 0) AS UNSIGNED) \
    FROM performance_schema.clone_progress p JOIN performance_schema.clone_status s ON s.ID = p.ID \
    WHERE s.STATE = 'In Progress' AND p.STATE = 'In Progress' LIMIT 1";

/// When the last copy of another member's data was begun, and whether it is whole. The server keeps it on disk.
const COPY: &str = "SELECT COALESCE(CAST(MAX(BEGIN_TIME) AS CHAR), ''), COALESCE(CAST(MAX(STATE = 'Completed') AS SIGNED), 0) \
    FROM performance_schema.clone_status";

const PASSWORDS: &str = "SELECT given, only_given FROM panono_agent.passwords WHERE id = 1";

/// What a server said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The identity of its data.
    pub uuid: String,
    /// Its version.
    pub version: String,
    /// Its transactions.
    pub transactions: Transactions,
    /// It takes no shop's connections.
    pub offline_mode: bool,
    /// It takes no writes.
    pub read_only: bool,
    /// The group as it sees it.
    pub view: View,
    /// The copy that it takes: stage, bytes done, bytes in all.
    pub cloning: Option<(String, u64, u64)>,
    /// Which passwords accounts take, and which they take with none before them, as far as that was applied.
    pub passwords: (i64, i64),
}

/// A connection as the agent's account. The password before the present one is tried, too.
///
/// # Errors
/// When the server does not answer, or knows neither password.
pub async fn connect(config: &Config) -> Result<MySqlConnection> {
    let secret = Secret::read(&config.admin_account)?;
    let options = |password: &str| {
        MySqlConnectOptions::new()
            .socket(Paths::of(config).socket)
            .username(&secret.account.user)
            .password(password)
            .ssl_mode(MySqlSslMode::Required)
            .disable_statement_logging()
    };
    let connected = limited(ANSWER_LIMIT, options(&secret.password).connect()).await;
    match (connected, &secret.old_password) {
        (Ok(connection), _) => Ok(connection),
        (Err(_), Some(old)) => limited(ANSWER_LIMIT, options(old).connect()).await,
        (Err(error), None) => Err(error),
    }
}

/// Waits for an answer no longer than this.
///
/// # Errors
/// Those of the question, or that the limit has passed.
pub async fn limited<T, E: Into<anyhow::Error>>(
    limit: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => bail!("the server did not answer within {limit:?}"),
    }
}

/// Runs one statement.
///
/// # Errors
/// When the server refuses it, or does not answer in time.
pub async fn run(
    connection: &mut MySqlConnection,
    limit: Duration,
    statement: impl Into<String>,
) -> Result<()> {
    let statement: String = statement.into();
    limited(
        limit,
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection),
    )
    .await?;
    Ok(())
}

/// Runs statements for this server alone, outside of any group: they are no transactions. Its doors for a shop stay closed.
///
/// # Errors
/// When the server refuses one, or does not answer in time.
pub async fn run_unlogged(connection: &mut MySqlConnection, statements: &[String]) -> Result<()> {
    let open = "SET SESSION sql_log_bin = 0, GLOBAL super_read_only = OFF";
    let close = "SET SESSION sql_log_bin = 1, GLOBAL super_read_only = ON";
    run(connection, ANSWER_LIMIT, open).await?;
    let mut done = Ok(());
    for statement in statements {
        done = run(connection, ANSWER_LIMIT, statement).await;
        if done.is_err() {
            break;
        }
    }
    done.and(run(connection, ANSWER_LIMIT, close).await)
}

/// Whether the server is there and refuses the agent's passwords.
#[must_use]
pub fn is_refused(error: &anyhow::Error) -> bool {
    let Some(sqlx::Error::Database(error)) = error.downcast_ref::<sqlx::Error>() else {
        return false;
    };
    error
        .try_downcast_ref::<MySqlDatabaseError>()
        .is_some_and(|error| error.number() == 1045)
}

/// The one text that a query has.
///
/// # Errors
/// When the server refuses it, or does not answer in time.
pub async fn value(
    connection: &mut MySqlConnection,
    limit: Duration,
    query: impl Into<String>,
) -> Result<String> {
    let query: String = query.into();
    limited(
        limit,
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(connection),
    )
    .await
}

type SelfRow = (String, String, String, String, i64, i64);
type MemberRow = (
    String,
    String,
    Option<i32>,
    String,
    String,
    String,
    String,
    u64,
);

/// Asks a server for everything that its agent goes by.
///
/// # Errors
/// When it does not answer in time.
pub async fn observe(connection: &mut MySqlConnection) -> Result<Seen> {
    limited(ANSWER_LIMIT, read(connection)).await
}

async fn read(connection: &mut MySqlConnection) -> Result<Seen> {
    let (uuid, version, executed, purged, offline, read_only): SelfRow =
        sqlx::query_as(SELF).fetch_one(&mut *connection).await?;
    let rows: Vec<MemberRow> = sqlx::query_as(MEMBERS).fetch_all(&mut *connection).await?;
    let received: String = sqlx::query_scalar(RECEIVED)
        .fetch_one(&mut *connection)
        .await?;
    let cloning: Option<(String, u64, u64)> = sqlx::query_as(CLONING)
        .fetch_optional(&mut *connection)
        .await?;
    let passwords = passwords(&mut *connection).await?;
    let without_lines = |set: String| set.replace(['\n', ' '], "");
    Ok(Seen {
        view: view(&uuid, rows),
        uuid,
        version,
        transactions: Transactions {
            executed: without_lines(executed),
            received: without_lines(received),
            purged: without_lines(purged),
        },
        offline_mode: offline == 1,
        read_only: read_only == 1,
        cloning,
        passwords,
    })
}

/// When the last copy of another member's data was begun, as text, and whether it is whole. Nothing if there was none.
///
/// # Errors
/// When the server does not answer in time.
pub async fn copy(connection: &mut MySqlConnection) -> Result<(String, bool)> {
    let asked = sqlx::query_as(COPY).fetch_one(connection);
    let (begun, whole): (String, i64) = limited(ANSWER_LIMIT, asked).await?;
    Ok((begun, whole == 1))
}

/// Which passwords accounts take, and which they take with none before them. 0 before they were changed or the group was made.
///
/// # Errors
/// When the server does not answer.
pub async fn passwords(connection: &mut MySqlConnection) -> Result<(i64, i64), sqlx::Error> {
    let found: Result<Option<(i64, i64)>, _> =
        sqlx::query_as(PASSWORDS).fetch_optional(connection).await;
    match found {
        Ok(found) => Ok(found.unwrap_or_default()),
        // The table is made together with the group: there is no such database, or no such table.
        Err(sqlx::Error::Database(error))
            if error
                .try_downcast_ref::<MySqlDatabaseError>()
                .is_some_and(|error| matches!(error.number(), 1049 | 1146)) =>
        {
            Ok((0, 0))
        }
        Err(error) => Err(error),
    }
}

fn view(uuid: &str, rows: Vec<MemberRow>) -> View {
    let mut view = View::default();
    for (id, host, port, state, role, version, view_id, queue) in rows {
        // A server that was never in a group lists itself without an identity.
        if id.is_empty() {
            continue;
        }
        let member = Member {
            uuid: id,
            address: format!("{host}:{}", port.unwrap_or(0)),
            state: match state.as_str() {
                "ONLINE" => MemberState::Online,
                "RECOVERING" => MemberState::Recovering,
                "ERROR" => MemberState::Error,
                "UNREACHABLE" => MemberState::Unreachable,
                _ => MemberState::Offline,
            },
            role: match role.as_str() {
                "PRIMARY" => Some(MemberRole::Primary),
                "SECONDARY" => Some(MemberRole::Secondary),
                _ => None,
            },
            version,
            applier_queue: queue,
        };
        if member.uuid == uuid {
            view.state = member.state;
            view.role = member.role;
            view.applier_queue = queue;
            view.id = view_id
                .rsplit_once(':')
                .and_then(|(prefix, counter)| Some((prefix, counter.parse().ok()?)))
                .map(|(prefix, counter)| ViewId {
                    epoch: 0,
                    prefix: prefix.to_owned(),
                    counter,
                });
        }
        view.members.push(member);
    }
    view.majority = super::view::has_majority(&view);
    view.primary_uuid = view
        .members
        .iter()
        .find(|member| {
            member.role == Some(MemberRole::Primary) && member.state == MemberState::Online
        })
        .map(|member| member.uuid.clone());
    view
}

/// What `set` has and `other` has not.
///
/// # Errors
/// When the server does not answer, or a set is none.
pub async fn subtract(connection: &mut MySqlConnection, set: &str, other: &str) -> Result<String> {
    let rest: String = limited(
        ANSWER_LIMIT,
        sqlx::query_scalar("SELECT GTID_SUBTRACT(?, ?)")
            .bind(set)
            .bind(other.trim_matches(','))
            .fetch_one(connection),
    )
    .await?;
    Ok(rest.replace(['\n', ' '], ""))
}

/// With which account and password members reach each other from now on. What `START GROUP_REPLICATION` is given itself could not
/// be changed before the next one: a member whose connections break would then stay alone, once that password has ended.
#[must_use]
pub fn source_statement(replication: &Secret) -> String {
    format!(
        "CHANGE REPLICATION SOURCE TO SOURCE_USER = {}, SOURCE_PASSWORD = {} FOR CHANNEL 'group_replication_recovery'",
        quoted(&replication.account.user),
        quoted(&replication.password)
    )
}

/// Takes no more of a shop's connections and writes. Commits that wait for a majority can keep the second from being set.
///
/// # Errors
/// When the server does not do so in time.
pub async fn close_doors(config: &Config) -> Result<()> {
    let mut connection = connect(config).await?;
    run(
        &mut connection,
        ANSWER_LIMIT,
        "SET GLOBAL offline_mode = ON",
    )
    .await
    .context("offline_mode")?;
    run(
        &mut connection,
        ANSWER_LIMIT,
        "SET GLOBAL super_read_only = ON",
    )
    .await
    .context("super_read_only")?;
    connection.close().await.ok();
    Ok(())
}
