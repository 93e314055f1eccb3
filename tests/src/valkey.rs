//! A Valkey server.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::ports::Port;
use crate::process::{Folder, Process};
use crate::tools;

const START_LIMIT: Duration = Duration::from_secs(120);

/// A Valkey server of one's own, without persistence: what is killed comes back empty, as a cache does.
#[derive(Debug)]
pub struct Valkey {
    process: Process,
    port: Port,
    folder: Folder,
}

impl Valkey {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// When the program is missing or the server does not come up.
    pub async fn start() -> Result<Self> {
        let folder = Folder::new("valkey")?;
        let port = Port::take()?;
        let process = launch(&folder, &port)?;
        let valkey = Self {
            process,
            port,
            folder,
        };
        valkey.ready().await?;
        Ok(valkey)
    }

    /// `redis://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("redis://{}", self.port.address())
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.port.address()
    }

    /// The server's process, to pause, resume or kill it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// A connection of one's own.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect(&self) -> Result<redis::aio::MultiplexedConnection> {
        let client =
            redis::Client::open(self.url()).context("failed to read the address of the cache")?;
        client
            .get_multiplexed_async_connection()
            .await
            .context("failed to reach the cache")
    }

    /// Forgets every key.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn flush(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        redis::cmd("FLUSHALL")
            .exec_async(&mut connection)
            .await
            .context("failed to empty the cache")
    }

    /// Kills the server if it runs and starts an empty one on the same port.
    ///
    /// # Errors
    /// When the server does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = launch(&self.folder, &self.port)?;
        self.ready().await
    }

    async fn ready(&self) -> Result<()> {
        let answer = async || {
            let mut connection = self.connect().await?;
            redis::cmd("PING")
                .exec_async(&mut connection)
                .await
                .context("the cache server does not answer")
        };
        self.process
            .ready("an answer of the cache server", START_LIMIT, answer)
            .await
    }
}

fn launch(folder: &Folder, port: &Port) -> Result<Process> {
    let mut command = Command::new(tools::program("valkey-server")?);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.number().to_string()])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder.path());
    Process::start("valkey", command, &folder.path().join("valkey.log"))
}
