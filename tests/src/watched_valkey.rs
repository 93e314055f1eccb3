//! Valkey servers that Sentinels watch, started by the scripts that pods have.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use panono_operator::desired::cache_watched::{sentinel_script, server_script};

use crate::ports::Port;
use crate::process::{Folder, Process};
use crate::tools;
use crate::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(120);
const PASSWORD: &str = "word";

/// Three servers without persistence, each with a Sentinel. A server that is started again is empty.
#[derive(Debug)]
pub struct WatchedValkey {
    servers: Vec<Option<Process>>,
    sentinels: Vec<Process>,
    ports: Vec<Port>,
    sentinel_ports: Vec<Port>,
    folder: Folder,
}

impl WatchedValkey {
    /// Starts all and waits until they follow each other.
    ///
    /// # Errors
    /// When a program is missing or one does not come up.
    pub async fn start() -> Result<Self> {
        let folder = Folder::new("watched")?;
        std::fs::write(
            folder.path().join("cache.conf"),
            format!("requirepass {PASSWORD}\n"),
        )?;
        let ports = || (0..3).map(|_| Port::take()).collect::<Result<Vec<_>>>();
        let mut watched = Self {
            servers: Vec::new(),
            sentinels: Vec::new(),
            ports: ports()?,
            sentinel_ports: ports()?,
            folder,
        };
        for index in 0..3 {
            let server = watched.launch(index)?;
            watched.servers.push(Some(server));
            let mut command = watched.command(index, &sentinel_script())?;
            command.arg("sh");
            let name = format!("sentinel{index}");
            let log = watched.folder.path().join(&name);
            watched
                .sentinels
                .push(Process::start(&name, command, &log)?);
        }
        watched.settles().await?;
        Ok(watched)
    }

    /// What the shop is told: the URL and the Sentinels.
    pub fn settings(&self) -> (String, String) {
        let sentinels: Vec<String> = self.sentinel_ports.iter().map(address).collect();
        (
            // Nobody is there.
            format!("redis://:{PASSWORD}@127.0.0.1:1"),
            sentinels.join(","),
        )
    }

    /// Waits until one server that runs is the primary, and all others that run have copied it.
    ///
    /// # Errors
    /// When that does not come to be.
    pub async fn settles(&self) -> Result<usize> {
        wait_until("the servers to agree", LIMIT, async || {
            let mut primaries = Vec::new();
            for index in self.running() {
                let told = self.info(index).await?;
                if told.contains("role:master") {
                    primaries.push(index);
                } else {
                    ensure!(told.contains("master_link_status:up"), "{index}: {told}");
                }
            }
            let [primary] = primaries.as_slice() else {
                bail!("primaries: {primaries:?}");
            };
            let followers = self.running().len() - 1;
            let told = self.info(*primary).await?;
            ensure!(
                told.contains(&format!("connected_slaves:{followers}")),
                "{told}"
            );
            // What Sentinels say is what is so.
            for port in &self.sentinel_ports {
                let mut connection = connect(port.address()).await?;
                let (_, said): (String, u16) = redis::cmd("SENTINEL")
                    .arg("GET-MASTER-ADDR-BY-NAME")
                    .arg("shop")
                    .query_async(&mut connection)
                    .await?;
                ensure!(
                    said == self.ports[*primary].number(),
                    "a Sentinel says {said}"
                );
            }
            Ok(*primary)
        })
        .await
    }

    /// Kills a server.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self, index: usize) -> Result<()> {
        self.servers[index]
            .take()
            .context("it does not run")?
            .kill()
    }

    /// Starts a server that was killed. It is empty.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch_again(&mut self, index: usize) -> Result<()> {
        self.servers[index] = Some(self.launch(index)?);
        Ok(())
    }

    /// How many keys a server has.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn keys(&self, index: usize) -> Result<u64> {
        let mut connection = connect(self.ports[index].address()).await?;
        Ok(redis::cmd("DBSIZE").query_async(&mut connection).await?)
    }

    /// Whether Sentinels may make a server the primary.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn may_be_primary(&self, index: usize) -> Result<bool> {
        let mut connection = connect(self.ports[index].address()).await?;
        let (_, priority): (String, String) = redis::cmd("CONFIG")
            .arg("GET")
            .arg("replica-priority")
            .query_async(&mut connection)
            .await?;
        Ok(priority != "0")
    }

    fn running(&self) -> Vec<usize> {
        (0..3)
            .filter(|index| self.servers[*index].is_some())
            .collect()
    }

    async fn info(&self, index: usize) -> Result<String> {
        let mut connection = connect(self.ports[index].address()).await?;
        Ok(redis::cmd("INFO")
            .arg("replication")
            .query_async(&mut connection)
            .await?)
    }

    fn launch(&self, index: usize) -> Result<Process> {
        let name = format!("cache{index}");
        let data = self.folder.path().join(format!("{name}.d"));
        std::fs::create_dir_all(&data)?;
        let mut command = self.command(index, &server_script())?;
        command
            .args(["sh", "--bind", "127.0.0.1", "--port"])
            .arg(self.ports[index].number().to_string())
            .args(["--save", "", "--appendonly", "no"])
            .args(["--replica-announce-ip", "127.0.0.1", "--dir"])
            .arg(&data);
        Process::start(&name, command, &self.folder.path().join(&name))
    }

    fn command(&self, index: usize, script: &str) -> Result<Command> {
        let all = |ports: &[Port]| ports.iter().map(address).collect::<Vec<_>>().join(" ");
        let data = self.folder.path().join(format!("sentinel{index}.d"));
        std::fs::create_dir_all(&data)?;
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .env("SELF", address(&self.ports[index]))
            .env("FIRST", address(&self.ports[0]))
            .env("NODES", all(&self.ports))
            .env("SENTINELS", all(&self.sentinel_ports))
            .env(
                "SENTINEL_PORT",
                self.sentinel_ports[index].number().to_string(),
            )
            .env("PASSWORD_FILE", self.folder.path().join("cache.conf"))
            .env("PROGRAM", tools::program("valkey-server")?)
            .env("CLI", tools::program("valkey-cli")?)
            .env("FOLDER", data);
        Ok(command)
    }
}

fn address(port: &Port) -> String {
    port.address().to_string()
}

async fn connect(address: SocketAddr) -> Result<redis::aio::MultiplexedConnection> {
    let client = redis::Client::open(format!("redis://:{PASSWORD}@{address}"))?;
    Ok(client.get_multiplexed_async_connection().await?)
}
