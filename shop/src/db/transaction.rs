//! The one way to run a transaction.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use sqlx::{Connection, MySqlConnection};

use super::Db;
use super::error::{DbError, Failure, MayBeDatabase, classify};

/// How often a whole transaction is run before its conflict is given to the caller.
const MAX_ATTEMPTS: u32 = 5;

/// The work of a transaction: it may run several times, so it must not do anything but SQL.
pub type Work<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;

/// How one attempt ended, if not well.
enum Ended<E> {
    /// Not committed, for a reason that a repetition may cure.
    Again(Failure, sqlx::Error),
    /// Not committed, or unknown: the caller's to judge.
    Final(E),
}

impl Db {
    /// Runs `work` in a transaction on the primary and commits it.
    ///
    /// Deadlocks, lost certifications, broken connections before COMMIT and a change of primary re-run the *whole*
    /// work, at most 5 times and within the configured deadline for writes. The work runs in a task of its own, so
    /// that a caller who goes away cannot leave a connection half-way through a statement.
    ///
    /// # Errors
    /// What `work` returned; else a [`DbError`]: [`DbError::NoPrimary`], [`DbError::RetriesExhausted`],
    /// [`DbError::CommitUnknown`] when the answer to COMMIT was lost.
    pub async fn transaction<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> Fn(&'c mut MySqlConnection) -> Work<'c, T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<DbError> + MayBeDatabase + Send + 'static,
    {
        let db = self.clone();
        tokio::spawn(async move { db.run_transaction(work).await })
            .await
            .unwrap_or_else(|_| Err(DbError::Aborted.into()))
    }

    async fn run_transaction<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> Fn(&'c mut MySqlConnection) -> Work<'c, T, E> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<DbError> + MayBeDatabase + Send + 'static,
    {
        let until = Instant::now() + self.write_deadline();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let member = self.wait_for_primary(until).await?;
            let failure = match attempt_once(&member.pool, &work).await {
                Ok(value) => return Ok(value),
                Err(Ended::Final(error)) => return Err(error),
                Err(Ended::Again(failure, error)) => {
                    if failure != Failure::Conflict {
                        member.suspect();
                    }
                    self.metrics().transaction_retry(failure);
                    tracing::debug!(attempt, member = %member.name, error = %error, "running a transaction again");
                    error
                }
            };
            if attempt >= MAX_ATTEMPTS || Instant::now() >= until {
                return Err(DbError::RetriesExhausted {
                    attempts: attempt,
                    source: failure,
                }
                .into());
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
    }
}

async fn attempt_once<T, E, F>(pool: &sqlx::MySqlPool, work: &F) -> Result<T, Ended<E>>
where
    F: for<'c> Fn(&'c mut MySqlConnection) -> Work<'c, T, E> + Send + Sync + 'static,
    E: From<DbError> + MayBeDatabase,
{
    let mut connection = pool.acquire().await.map_err(before_commit)?;
    let mut transaction = connection.begin().await.map_err(before_commit)?;
    match work(&mut transaction).await {
        Ok(value) => match transaction.commit().await {
            Ok(()) => Ok(value),
            Err(error) => match classify(&error) {
                // The server answered, so it is certain that nothing was committed.
                failure @ (Failure::Conflict | Failure::Moved) => Err(Ended::Again(failure, error)),
                Failure::Disconnected => Err(Ended::Final(DbError::CommitUnknown(error).into())),
                Failure::Permanent => Err(Ended::Final(DbError::Query(error).into())),
            },
        },
        Err(error) => {
            let failure = error.database().map(classify);
            // A connection that broke cannot be rolled back; the server does it.
            let _ = transaction.rollback().await;
            match failure {
                None | Some(Failure::Permanent) => Err(Ended::Final(error)),
                Some(failure) => Err(Ended::Again(
                    failure,
                    sqlx::Error::Protocol(format!("{}", DisplayDatabase(&error))),
                )),
            }
        }
    }
}

fn before_commit<E: From<DbError>>(error: sqlx::Error) -> Ended<E> {
    match classify(&error) {
        Failure::Permanent => Ended::Final(DbError::Query(error).into()),
        failure => Ended::Again(failure, error),
    }
}

struct DisplayDatabase<'a, E>(&'a E);

impl<E: MayBeDatabase> std::fmt::Display for DisplayDatabase<'_, E> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.database() {
            Some(error) => write!(formatter, "{error}"),
            None => formatter.write_str("unknown"),
        }
    }
}

/// 10 ms, doubled each time, with as much again at random so that two that collided do not collide again.
fn backoff(attempt: u32) -> Duration {
    let base = 10_u64 << attempt.min(6);
    Duration::from_millis(base / 2 + rand::random_range(0..=base / 2))
}
