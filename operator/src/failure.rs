//! Why a Shop could not be brought to where it should be, in words for its status and with a name for metrics.

use std::error::Error as _;

use kube::Error;
use kube::core::Status;
use panono_crds::Reason;

use crate::object::ObjectKey;

/// What went wrong while a Shop was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For machines.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// Whether nothing else can be expected to work.
    pub general: bool,
    /// Whether something was written before. A try that gets further than the one before it need not wait longer.
    pub progressed: bool,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// A failure that concerns one object.
    pub fn of(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            general: false,
            progressed: false,
        }
    }

    /// A failure of nearly everything.
    pub fn general(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            general: true,
            progressed: false,
        }
    }

    /// From an error of the client. `verb` is what was tried.
    pub fn from_client(verb: &str, object: &ObjectKey, error: &Error) -> Self {
        let what = format!("{verb} {object}");
        match error {
            Error::Api(status) => Self::from_status(&what, status),
            other => Self::general(Reason::Unreachable, format!("{what}: {}", chain(other))),
        }
    }

    fn from_status(what: &str, status: &Status) -> Self {
        let message = format!("{what}: {}", status.message);
        match status.code {
            403 if status.message.contains("because it is being terminated") => {
                Self::general(Reason::Terminating, message)
            }
            // Quotas and admission policies answer so, too; what the operator's role lacks is told in these words.
            403 if status.message.contains("cannot ") => Self::of(Reason::Forbidden, message),
            401 => Self::general(Reason::Forbidden, message),
            400 | 403 | 413 | 422 => Self::of(Reason::Refused, message),
            // Between our reading and our writing it was changed; the next try reads again.
            404 | 409 | 410 => Self::of(Reason::Applying, message),
            _ => Self::general(Reason::Unreachable, message),
        }
    }
}

/// An error with everything that caused it, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    // Some errors repeat their cause in their own words.
    for _ in 0..8 {
        let Some(cause) = source else { break };
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

/// As [`chain`], for errors of the client, which say things twice.
pub fn client(error: &Error) -> String {
    match error {
        Error::Api(status) => status.message.clone(),
        other => other.source().map_or_else(
            || other.to_string(),
            |source| format!("{other}: {}", chain(source)),
        ),
    }
}
