//! Asking an agent: for the operator, and for agents among themselves.

use std::time::Duration;

use rustls::ClientConfig;

use super::api::{COMMANDS_PATH, Code, Command, Done, Problem, STATUS_PATH, Status};

/// How long an agent may take to tell its status.
const STATUS_LIMIT: Duration = Duration::from_secs(2);
/// How long a command may take: making a group, or a switchover that waits for transactions.
const COMMAND_LIMIT: Duration = Duration::from_secs(150);
/// More than any status has.
const LARGEST: usize = 4 << 20;

/// An agent was not understood, or refused.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It did not answer.
    #[error("the agent at {address} does not answer: {error}")]
    Unreachable {
        /// `host:port`
        address: String,
        /// Why.
        error: reqwest::Error,
    },
    /// It answered something else.
    #[error("the agent at {address} answered {status}: {text}")]
    Unexpected {
        /// `host:port`
        address: String,
        /// The status of the HTTP answer.
        status: u16,
        /// What it said.
        text: String,
    },
    /// It refused.
    #[error("the agent at {address} refused: {problem}")]
    Refused {
        /// `host:port`
        address: String,
        /// Why.
        problem: Problem,
    },
}

impl AskError {
    /// The kind of the refusal, if it is one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { problem, .. } => Some(problem.code),
            _ => None,
        }
    }
}

/// A client of agents.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
}

impl Client {
    /// A client with these certificates; see [`super::tls::client_config`].
    ///
    /// # Errors
    /// When the certificates cannot be used.
    pub fn new(tls: ClientConfig) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .connect_timeout(STATUS_LIMIT)
            .pool_max_idle_per_host(1)
            .build()?;
        Ok(Self { http })
    }

    /// What the agent at `host:port` says of its member.
    ///
    /// # Errors
    /// When it does not answer within two seconds.
    pub async fn status(&self, address: &str) -> Result<Status, AskError> {
        let request = self
            .http
            .get(format!("https://{address}{STATUS_PATH}"))
            .timeout(STATUS_LIMIT);
        answer(address, request).await
    }

    /// Has the agent at `host:port` carry out a command.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn command(&self, address: &str, command: &Command) -> Result<Done, AskError> {
        let request = self
            .http
            .post(format!("https://{address}{COMMANDS_PATH}"))
            .json(command)
            .timeout(COMMAND_LIMIT);
        answer(address, request).await
    }
}

async fn answer<T: serde::de::DeserializeOwned>(
    address: &str,
    request: reqwest::RequestBuilder,
) -> Result<T, AskError> {
    let unreachable = |error: reqwest::Error| AskError::Unreachable {
        address: address.to_owned(),
        error: error.without_url(),
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&piece);
        if body.len() > LARGEST {
            break;
        }
    }
    if status.is_success()
        && let Ok(found) = serde_json::from_slice(&body)
    {
        return Ok(found);
    }
    match serde_json::from_slice(&body) {
        Ok(problem) if !status.is_success() => Err(AskError::Refused {
            address: address.to_owned(),
            problem,
        }),
        _ => Err(AskError::Unexpected {
            address: address.to_owned(),
            status: status.as_u16(),
            text: String::from_utf8_lossy(&body).chars().take(200).collect(),
        }),
    }
}
