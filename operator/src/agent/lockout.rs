//! A server that does not let its own agent in: its data is older than the passwords that the agent has. It is started again with
//! the agent's password, as an administrator would do it who has forgotten theirs.

use std::time::{Duration, Instant};

use super::accounts;
use super::config::Config;
use super::option_file::Paths;

/// So long the agent has to be refused. Files are not all replaced at one moment, and passwords of the group are applied in order.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// Between two starts that are meant to help.
const AGAIN: Duration = Duration::from_secs(300);

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing, as yet.
    Wait,
    /// The server is asked to end, and started with [`Lockout::statements`].
    Restart,
    /// The same once more: it did not help, or the server did not end.
    Kill,
}

/// How long the agent is not let in.
#[derive(Debug, Default)]
pub(super) struct Lockout {
    since: Option<Instant>,
    last: Option<Instant>,
    set: bool,
}

impl Lockout {
    /// The agent was refused.
    pub(super) fn refused(&mut self, now: Instant) -> Remedy {
        let since = *self.since.get_or_insert(now);
        let too_soon = self.last.is_some_and(|last| now < last + AGAIN);
        if now < since + REFUSED_FOR || too_soon {
            return Remedy::Wait;
        }
        self.set = true;
        self.since = None;
        match self.last.replace(now) {
            None => Remedy::Restart,
            Some(_) => Remedy::Kill,
        }
    }

    /// The agent was let in.
    pub(super) fn ended(&mut self, config: &Config) {
        self.since = None;
        if std::mem::take(&mut self.set) {
            self.last = None;
            // It has a password in it.
            if let Err(error) = std::fs::remove_file(Paths::of(config).statements) {
                tracing::warn!(%error, "the statements of the start could not be removed");
            }
        }
    }

    /// What the server runs as it starts, if anything.
    pub(super) fn statements(&self, config: &Config) -> Option<String> {
        if !self.set {
            return None;
        }
        accounts::own_statements(config)
            .inspect_err(|error| {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the agent's password cannot be set"
                );
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{AGAIN, Lockout, REFUSED_FOR, Remedy};

    #[test]
    fn a_server_is_restarted_once_it_refuses_for_long_and_not_in_a_row() {
        let mut lockout = Lockout::default();
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(lockout.refused(start), Remedy::Wait);
        assert_eq!(lockout.refused(start + second), Remedy::Wait);
        let first = start + REFUSED_FOR;
        assert_eq!(lockout.refused(first), Remedy::Restart);
        for later in [second, REFUSED_FOR, REFUSED_FOR * 3] {
            assert_eq!(lockout.refused(first + later), Remedy::Wait);
        }
        assert_eq!(lockout.refused(first + AGAIN), Remedy::Kill);
    }
}
