//! What can go wrong between the shop and its database, and which of it a repetition cures.

use std::time::Duration;

/// Error numbers of the MySQL server that this program reacts to
/// (MySQL 8.4 Error Message Reference, "Server Error Message Reference").
mod number {
    /// `ER_LOCK_DEADLOCK`
    pub const DEADLOCK: u16 = 1213;
    /// `ER_LOCK_WAIT_TIMEOUT`
    pub const LOCK_WAIT: u16 = 1205;
    /// `ER_OPTION_PREVENTS_STATEMENT`: `--super-read-only`
    pub const READ_ONLY: u16 = 1290;
    /// `ER_READ_ONLY_MODE`
    pub const READ_ONLY_MODE: u16 = 1836;
    /// `ER_SERVER_OFFLINE_MODE`
    pub const OFFLINE_MODE: u16 = 3032;
    /// The member hands the primary's role over, and refuses every statement until it has (MySQL 8.4 "group_replication_set_as_primary").
    pub const HANDING_OVER: u16 = 4094;
    /// `ER_BEFORE_DML_VALIDATION_ERROR`: a member says so of any table while it shuts down. Tables that groups refuse cannot be made.
    pub const REFUSED_BY_GROUP: u16 = 3098;
    /// `ER_RUN_HOOK_ERROR`: group replication refused the commit
    pub const HOOK_FAILED: u16 = 3100;
    /// `ER_TRANSACTION_ROLLBACK_DURING_COMMIT`: certification lost
    pub const ROLLED_BACK_AT_COMMIT: u16 = 3101;
    /// `ER_SERVER_SHUTDOWN`
    pub const SHUTDOWN: u16 = 1053;
    /// `ER_QUERY_INTERRUPTED`
    pub const INTERRUPTED: u16 = 1317;
    /// `ER_QUERY_TIMEOUT`: `max_execution_time` was exceeded
    pub const QUERY_TIMEOUT: u16 = 3024;
    /// `ER_DUP_ENTRY`
    pub const DUPLICATE: u16 = 1062;
    /// `ER_CHECK_CONSTRAINT_VIOLATED`
    pub const CHECK: u16 = 3819;
    /// `ER_CON_COUNT_ERROR`
    pub const TOO_MANY_CONNECTIONS: u16 = 1040;
}

/// A failed use of the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A statement failed.
    #[error("failed to run a statement")]
    Query(#[from] sqlx::Error),
    /// No member of the database accepts writes at the moment.
    #[error("no database member accepted writes within {waited:?}")]
    NoPrimary {
        /// How long was waited.
        waited: Duration,
    },
    /// The shop is set to write nothing.
    #[error(
        "the shop shows its pages and changes nothing at the moment (PANONO_DATABASE_READ_ONLY)"
    )]
    ReadOnly,
    /// No member can be read from at the moment.
    #[error("no database member can be read from")]
    NoReader,
    /// COMMIT was sent and its answer was lost: the transaction may be there or not.
    #[error("the answer to a commit was lost; whether it took effect is unknown")]
    CommitUnknown(#[source] sqlx::Error),
    /// The whole transaction was repeated as often as allowed and failed each time.
    #[error("a transaction failed {attempts} times in a row")]
    RetriesExhausted {
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        #[source]
        source: sqlx::Error,
    },
    /// The work did not end within its limit. It goes on in the background and its outcome is unknown.
    #[error("the database did not answer within {0:?}")]
    Deadline(Duration),
    /// The task that held the work ended without an answer.
    #[error("database work was aborted")]
    Aborted,
}

/// What a failure means for who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The transaction was rolled back through no fault of its own: run it again on the same member.
    Conflict,
    /// The member cannot do this now: run it again on whoever is primary then.
    Moved,
    /// The connection broke.
    Disconnected,
    /// The statement itself is at fault; again would fail again.
    Permanent,
}

/// The server's error number, if the server said one.
#[must_use]
pub fn server_number(error: &sqlx::Error) -> Option<u16> {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>())
        .map(sqlx::mysql::MySqlDatabaseError::number)
}

/// Classifies a failure of the driver or the server.
#[must_use]
pub fn classify(error: &sqlx::Error) -> Failure {
    match server_number(error) {
        Some(number) => of_server(number),
        None => match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Failure::Disconnected,
            _ => Failure::Permanent,
        },
    }
}

/// What an error of the server means.
fn of_server(number: u16) -> Failure {
    match number {
        number::DEADLOCK | number::LOCK_WAIT | number::ROLLED_BACK_AT_COMMIT => Failure::Conflict,
        number::READ_ONLY
        | number::READ_ONLY_MODE
        | number::OFFLINE_MODE
        | number::HANDING_OVER
        | number::REFUSED_BY_GROUP
        | number::HOOK_FAILED
        | number::TOO_MANY_CONNECTIONS => Failure::Moved,
        number::SHUTDOWN | number::INTERRUPTED => Failure::Disconnected,
        _ => Failure::Permanent,
    }
}

/// The name of the unique key or check constraint that refused a row, without its table.
///
/// The MySQL protocol has no field for it, so it is taken from the message, whose form
/// (`… for key 'table.key'`, `Check constraint 'name' is violated.`) has not changed since MySQL 8.0.19.
#[must_use]
pub fn violated_constraint(error: &sqlx::Error) -> Option<String> {
    let database = error.as_database_error()?;
    let quoted = match server_number(error)? {
        number::DUPLICATE => database.message().rsplit('\'').nth(1)?,
        number::CHECK => database.message().split('\'').nth(1)?,
        _ => return None,
    };
    Some(quoted.rsplit('.').next().unwrap_or(quoted).to_owned())
}

impl DbError {
    /// Whether the database as a whole could not do it now, and the same request may work later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Query(error) => {
                classify(error) != Failure::Permanent
                    || server_number(error) == Some(number::QUERY_TIMEOUT)
            }
            _ => true,
        }
    }
}

/// An error that may carry a failure of the database, so that the transaction helper can judge it.
pub trait MayBeDatabase {
    /// The driver's error inside, if that is what it is.
    fn database(&self) -> Option<&sqlx::Error>;
}

impl MayBeDatabase for DbError {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Query(error) => Some(error),
            _ => None,
        }
    }
}

impl MayBeDatabase for sqlx::Error {
    fn database(&self) -> Option<&sqlx::Error> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_is_not_the_statements_fault() {
        let io = sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert_eq!(classify(&io), Failure::Disconnected);
        assert_eq!(classify(&sqlx::Error::PoolTimedOut), Failure::Disconnected);
        assert_eq!(classify(&sqlx::Error::RowNotFound), Failure::Permanent);
    }

    #[test]
    fn a_member_that_is_no_longer_the_primary_is_not_the_statements_fault() {
        for number in [1290, 1836, 3032, 3098, 3100, 4094] {
            assert_eq!(of_server(number), Failure::Moved, "{number}");
        }
        assert_eq!(of_server(1064), Failure::Permanent);
    }

    #[test]
    fn lost_answers_are_told_as_unavailable() {
        assert!(DbError::Deadline(Duration::from_secs(1)).is_unavailable());
        assert!(!DbError::Query(sqlx::Error::RowNotFound).is_unavailable());
    }
}
