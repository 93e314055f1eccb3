//! A Varnish cache: the edge that a cluster's operator runs.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::ports::Port;
use crate::process::{Folder, Process};
use crate::tools;

/// Compiling the VCL with gcc takes a second on a free machine and many on a busy one.
const START_LIMIT: Duration = Duration::from_secs(180);

/// A Varnish of one's own, with a private work folder.
#[derive(Debug)]
pub struct Varnish {
    process: Process,
    port: Port,
    folder: Folder,
    loaded: u32,
}

impl Varnish {
    /// Starts Varnish with this VCL and these parameters (`("http_gzip_support", "off")`) and 64 MB of memory, and waits
    /// until it serves.
    ///
    /// # Errors
    /// When the program is missing, or with the compiler's words when the VCL is wrong.
    pub async fn start(vcl: &str, parameters: &[(&str, &str)]) -> Result<Self> {
        Self::start_with_storage(vcl, parameters, "malloc,64m").await
    }

    /// As [`Varnish::start`], with a storage of one's own, as `varnishd -s` takes it.
    ///
    /// # Errors
    /// As [`Varnish::start`].
    pub async fn start_with_storage(
        vcl: &str,
        parameters: &[(&str, &str)],
        storage: &str,
    ) -> Result<Self> {
        Self::launch(Port::take()?, vcl, parameters, storage).await
    }

    /// As [`Varnish::start`], on a port of the caller's choice.
    ///
    /// # Errors
    /// As [`Varnish::start`].
    pub async fn start_on(port: Port, vcl: &str, parameters: &[(&str, &str)]) -> Result<Self> {
        Self::launch(port, vcl, parameters, "malloc,256m").await
    }

    async fn launch(
        port: Port,
        vcl: &str,
        parameters: &[(&str, &str)],
        storage: &str,
    ) -> Result<Self> {
        let folder = Folder::new("varnish")?;
        std::fs::write(folder.path().join("boot.vcl"), vcl).context("failed to write the VCL")?;
        let mut command = Command::new(tools::program("varnishd")?);
        command
            .args(["-F", "-j", "none", "-s", storage])
            .args(["-a", &port.address().to_string(), "-T", "127.0.0.1:0"])
            .arg("-n")
            .arg(folder.path().join("work"))
            .arg("-f")
            .arg(folder.path().join("boot.vcl"))
            // The log in shared memory takes 80 MB otherwise.
            .args(["-p", "vsl_space=8M"]);
        for (name, value) in parameters {
            command.args(["-p", &format!("{name}={value}")]);
        }
        let process = Process::start("varnish", command, &folder.path().join("varnish.log"))?;
        let varnish = Self {
            process,
            port,
            folder,
            loaded: 0,
        };
        let serves = async || {
            let status = varnish.administer(&["status"], "1").await?;
            anyhow::ensure!(status.contains("running"), "{status}");
            Ok(())
        };
        varnish
            .process
            .ready("Varnish to serve", START_LIMIT, serves)
            .await?;
        Ok(varnish)
    }

    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// The address on which it serves.
    pub fn address(&self) -> std::net::SocketAddr {
        self.port.address()
    }

    /// The managing process, to pause, resume or kill it with its child.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Runs a command of the administration interface (`ban`, `param.show`, `backend.list` …) and returns its answer.
    ///
    /// # Errors
    /// When Varnish refuses it, with its words.
    pub async fn admin(&self, command: &[&str]) -> Result<String> {
        // Loading a VCL means compiling it.
        self.administer(command, "60").await
    }

    /// `seconds` is also how long the program waits for a Varnish that has not made its files yet.
    async fn administer(&self, command: &[&str], seconds: &str) -> Result<String> {
        let output = tokio::process::Command::new(tools::program("varnishadm")?)
            .arg("-n")
            .arg(self.folder.path().join("work"))
            .args(["-t", seconds])
            .args(command)
            .kill_on_drop(true)
            .output()
            .await
            .context("failed to run varnishadm")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!(
                "varnishadm {}: {text}{}",
                command.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(text)
    }

    /// Loads another VCL and uses it from now on; what is cached stays.
    ///
    /// # Errors
    /// With the compiler's words when the VCL is wrong.
    pub async fn load(&mut self, vcl: &str) -> Result<()> {
        self.loaded += 1;
        let name = format!("loaded{}", self.loaded);
        let path = self.folder.path().join(format!("{name}.vcl"));
        std::fs::write(&path, vcl).context("failed to write the VCL")?;
        self.admin(&["vcl.load", &name, &path.to_string_lossy()])
            .await?;
        self.admin(&["vcl.use", &name]).await?;
        Ok(())
    }
}
