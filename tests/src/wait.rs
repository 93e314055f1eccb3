//! Waiting for a condition, never for a time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What a probe found: the thing waited for, or the state in which it is not there yet.
pub trait Probed {
    /// What is waited for.
    type Found;
    /// The thing, or words on the state that was seen instead.
    fn found(self) -> Result<Self::Found, String>;
}

impl<T> Probed for Option<T> {
    type Found = T;
    fn found(self) -> Result<T, String> {
        self.ok_or_else(|| "not yet".to_owned())
    }
}

impl<T, E: Debug> Probed for Result<T, E> {
    type Found = T;
    fn found(self) -> Result<T, String> {
        self.map_err(|state| format!("{state:?}"))
    }
}

impl Probed for bool {
    type Found = ();
    fn found(self) -> Result<(), String> {
        if self {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Asks `probe` again and again until it has found what is waited for, at most for `limit`. An error of the probe is a
/// state like any other: what is not reachable yet may be in a moment.
///
/// # Errors
/// When `limit` has passed, with the last state seen.
pub async fn wait_until<P: Probed>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> P,
) -> Result<P::Found> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match probe().await.found() {
            Ok(found) => return Ok(found),
            Err(state) if start.elapsed() >= limit => {
                bail!("waited {limit:?} in vain for: {what}; last state: {state}")
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
