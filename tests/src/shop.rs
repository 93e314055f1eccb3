//! The shop's program: web processes, workers and one-time commands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::http;
use crate::mysql::{MysqlGroup, PASSWORD, TestDatabase, USER};
use crate::ports::Port;
use crate::process::{Folder, Process};

/// A debug build on a busy machine needs some seconds to read its catalogue.
const START_LIMIT: Duration = Duration::from_secs(180);
/// Migrations and imports of tests are small.
const COMMAND_LIMIT: Duration = Duration::from_secs(900);

/// The key of every shop of the testbed. Nobody's shop has it.
pub const SECRET_KEY: &str = "746573746265645f6f6e6c795f0102030405060708090a0b0c0d0e0f10111213";

/// The program `panono-shop`: what `PANONO_SHOP_BIN` names, or what was built into the folder in which this test (or demo)
/// was built.
///
/// # Errors
/// When it is not there, with the words to run.
pub fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PANONO_SHOP_BIN") {
        return Ok(path.into());
    }
    crate::tools::beside("panono-shop")
}

/// The environment of the shop's processes. Nothing else of the shop's settings is inherited from the one who runs the
/// tests.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The URLs of the primary and of the secondaries as they are now.
    ///
    /// # Errors
    /// When the database's group has no primary.
    pub async fn for_urls(database: &TestDatabase<'_>) -> Result<Self> {
        let writer = database.writer_url().await?;
        let readers = database.reader_urls().await?.join(",");
        Ok(Self::default()
            .with("PANONO_DATABASE_WRITER_URL", &writer)
            .with("PANONO_DATABASE_READER_URLS", &readers))
    }

    /// The members of the group, among which the shop finds the primary by itself.
    pub fn for_members(group: &MysqlGroup, database: &str) -> Self {
        Self::for_addresses(&group.addresses(), database)
    }

    /// The members at these addresses (`host:port`), among which the shop finds the primary by itself.
    pub fn for_addresses(addresses: &[String], database: &str) -> Self {
        Self::default()
            .with("PANONO_DATABASE_MEMBERS", &addresses.join(","))
            .with("PANONO_DATABASE_NAME", database)
            .with("PANONO_DATABASE_USER", USER)
            .with("PANONO_DATABASE_PASSWORD", PASSWORD)
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Where the cache server is.
    #[must_use]
    pub fn with_cache(self, url: &str) -> Self {
        self.with("PANONO_CACHE_URL", url)
    }

    /// The edge caches to purge.
    #[must_use]
    pub fn with_edges(self, urls: &[String]) -> Self {
        self.with("PANONO_PURGE_VARNISH", &urls.join(","))
    }

    /// The folder for pictures.
    #[must_use]
    pub fn with_media(self, folder: &Path) -> Self {
        self.with("PANONO_MEDIA_URL", &format!("file://{}", folder.display()))
    }

    /// The command that starts the shop's program with this environment, for those who start it themselves.
    ///
    /// # Errors
    /// As of [`program`].
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program()?);
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("PANONO_"))
            {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("PANONO_LOG", "info")
            .env("PANONO_SECRET_KEY", SECRET_KEY)
            .env("PANONO_LOG_FORMAT", "json")
            .envs(&self.variables);
        Ok(command)
    }

    /// Runs a command of the shop to its end (`migrate`, `import …`) and returns what it wrote.
    ///
    /// # Errors
    /// When it does not end well, with what it wrote, or not within a quarter of an hour.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let folder = Folder::new("command")?;
        let name = format!("panono-shop {}", arguments.join(" "));
        let process = Process::start(&name, self.command(arguments)?, &folder.path().join("log"))?;
        let status = process.wait(COMMAND_LIMIT).await?;
        let text = process.log_text();
        if !status.success() {
            bail!("{name} ended with {status}:\n{text}");
        }
        Ok(text)
    }

    /// Runs a command of the shop to its end and returns what it wrote to its standard output alone.
    ///
    /// # Errors
    /// As of [`Environment::run`].
    pub async fn output(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(arguments)?;
        let run = move || command.stdin(std::process::Stdio::null()).output();
        let output = tokio::task::spawn_blocking(run)
            .await?
            .context("failed to run panono-shop")?;
        if !output.status.success() {
            bail!(
                "panono-shop {} ended with {}:\n{}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        String::from_utf8(output.stdout).context("the output is not text")
    }

    /// Starts a web process and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready, with the end of its log.
    pub async fn serve(&self) -> Result<Shop> {
        Shop::start(self.clone(), "serve").await
    }

    /// Starts a worker and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready, with the end of its log.
    pub async fn worker(&self) -> Result<Shop> {
        Shop::start(self.clone(), "worker").await
    }
}

/// A process of the shop. Killed when this value is dropped.
#[derive(Debug)]
pub struct Shop {
    process: Process,
    environment: Environment,
    role: &'static str,
    port: Port,
    operations_port: Port,
    folder: Folder,
}

impl Shop {
    async fn start(environment: Environment, role: &'static str) -> Result<Self> {
        let folder = Folder::new("shop")?;
        let (port, operations_port) = (Port::take()?, Port::take()?);
        let process = launch(&environment, role, &port, &operations_port, &folder)?;
        let shop = Self {
            process,
            environment,
            role,
            port,
            operations_port,
            folder,
        };
        shop.wait_until_ready().await?;
        Ok(shop)
    }

    /// `http://127.0.0.1:<port>`, where shoppers and staff are served.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// Where shoppers and staff are served.
    pub fn address(&self) -> std::net::SocketAddr {
        self.port.address()
    }

    /// `http://127.0.0.1:<port>`, where metrics and probes are.
    pub fn operations_url(&self) -> String {
        format!("http://{}", self.operations_port.address())
    }

    /// The process, to pause, end or kill it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills the process if it runs, starts it on the same ports, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = launch(
            &self.environment,
            self.role,
            &self.port,
            &self.operations_port,
            &self.folder,
        )?;
        self.wait_until_ready().await
    }

    /// Waits until the process says of itself that it is ready.
    ///
    /// # Errors
    /// When it ends, or does not get ready within a minute.
    pub async fn wait_until_ready(&self) -> Result<()> {
        let client = http::client();
        let url = format!("{}/readyz", self.operations_url());
        let ready = async || {
            let answer = client.get(&url).send().await.context("failed to ask")?;
            let status = answer.status();
            let text = answer.text().await.context("failed to read the answer")?;
            anyhow::ensure!(status.is_success(), "{status}: {text}");
            Ok(())
        };
        self.process
            .ready(
                &format!("panono-shop {} to be ready", self.role),
                START_LIMIT,
                ready,
            )
            .await
    }
}

fn launch(
    environment: &Environment,
    role: &str,
    port: &Port,
    operations_port: &Port,
    folder: &Folder,
) -> Result<Process> {
    let mut command = environment.command(&[role])?;
    command
        .env("PANONO_LISTEN", port.address().to_string())
        .env("PANONO_OPS_LISTEN", operations_port.address().to_string());
    if !environment.variables.contains_key("PANONO_PUBLIC_URL") {
        command.env("PANONO_PUBLIC_URL", format!("http://{}", port.address()));
    }
    Process::start(
        &format!("panono-shop {role}"),
        command,
        &folder.path().join("shop.log"),
    )
}
