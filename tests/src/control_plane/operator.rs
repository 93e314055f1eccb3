//! The operator's program, as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::ports::Port;
use crate::process::{Folder, Process};
use crate::wait::wait_until;

const START_LIMIT: Duration = Duration::from_secs(60);

/// The program `panono-operator`, from beside the running test.
///
/// # Errors
/// When it is not there, with the words to run.
pub fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("failed to find the running program")?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("panono-operator"))
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "there is no panono-operator beside {}: run `cargo build -p panono-operator`",
                own.display()
            )
        })
}

/// A running operator. It is killed with this value.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    port: Port,
    _folder: Folder,
}

impl Operator {
    /// Starts one with this kubeconfig. `more` are arguments besides.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(kubeconfig: &Path, more: &[&str]) -> Result<Self> {
        let folder = Folder::new("operator")?;
        let port = Port::take()?;
        let mut command = Command::new(program()?);
        command
            .arg("run")
            .args(["--listen", &port.address().to_string()])
            .args(more)
            .env("KUBECONFIG", kubeconfig)
            .env("PANONO_LOG", "info,panono_operator=debug");
        if !more.contains(&"--lease-namespace") {
            command.args(["--lease-namespace", "default"]);
        }
        let process = Process::start(
            "panono-operator",
            command,
            &folder.path().join("operator.log"),
        )?;
        Ok(Self {
            process,
            port,
            _folder: folder,
        })
    }

    /// Its process, to kill or to pause it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Where its probes are.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The status of one of its probes and what it says.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask(&self, path: &str) -> Result<(u16, String)> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?;
        let answer = client
            .get(format!("http://{}{path}", self.port.address()))
            .send()
            .await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Waits until it leads and knows everything.
    ///
    /// # Errors
    /// When it does not come to that.
    pub async fn leads(&self) -> Result<()> {
        wait_until("the operator to lead", START_LIMIT, async || {
            self.process.must_run()?;
            let (status, words) = self.ask("/readyz").await?;
            anyhow::ensure!(status == 200 && words == "leading", "{status} {words}");
            Ok(())
        })
        .await
    }

    /// Mebibytes that it holds (`VmRSS`).
    ///
    /// # Errors
    /// When the system does not say.
    pub fn resident_mib(&self) -> Result<f64> {
        crate::process::resident_mib(self.process.id())
    }

    /// The value of a line of its metrics that begins with `name`, all such lines added up; 0 if there are none.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let (_, text) = self.ask("/metrics").await?;
        Ok(text
            .lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }
}
