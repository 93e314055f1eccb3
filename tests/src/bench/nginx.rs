//! nginx with one worker process, sending a recorded answer from a file.

use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName};

use crate::http;
use crate::ports::Port;
use crate::process::{Folder, Process};
use crate::tools;

/// An answer as it came over the wire.
#[derive(Clone, Debug)]
pub struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// Asks as the load generator does.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub async fn of(url: &str) -> Result<Self> {
        let answer = http::client()
            .get(url)
            .header("accept-encoding", "gzip")
            .send()
            .await
            .with_context(|| format!("failed to ask for {url}"))?;
        ensure!(
            answer.status() == StatusCode::OK,
            "{url}: {}",
            answer.status()
        );
        Ok(Self {
            headers: answer.headers().clone(),
            body: answer.bytes().await.context("failed to read an answer")?,
        })
    }

    /// How long the body is on the wire.
    pub fn length(&self) -> usize {
        self.body.len()
    }

    /// A field of the head.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The fields that are not of the connection or of the moment, in order.
    fn fields(&self) -> Result<Vec<(&str, &str)>> {
        let own = |name: &HeaderName| {
            !matches!(
                name.as_str(),
                "connection" | "keep-alive" | "date" | "server"
            )
        };
        let mut fields = self
            .headers
            .iter()
            .filter(|(name, _)| own(name))
            .map(|(name, value)| Ok((name.as_str(), value.to_str()?)))
            .collect::<Result<Vec<_>>>()?;
        fields.sort_unstable();
        Ok(fields)
    }
}

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    url: String,
    _port: Port,
    _folder: Folder,
}

impl Nginx {
    /// Starts nginx with `answer` at `path`, and makes sure that what it sends is the same: all fields but `Server`,
    /// `Connection` and `Date`, and the body.
    ///
    /// # Errors
    /// When it does not start, or sends something else.
    pub async fn start(path: &str, answer: &Answer) -> Result<Self> {
        let (folder, port) = (Folder::new("nginx")?, Port::take()?);
        let root = folder.path();
        std::fs::write(root.join("body"), &answer.body).context("failed to write the body")?;
        let configuration = configuration(root, &port.address().to_string(), path, answer)?;
        std::fs::write(root.join("nginx.conf"), configuration)
            .context("failed to write the configuration")?;
        let mut command = Command::new(tools::program("nginx")?);
        command
            .arg("-p")
            .arg(root)
            .arg("-c")
            .arg(root.join("nginx.conf"))
            .arg("-e")
            .arg(root.join("error.log"));
        let process = Process::start("nginx", command, &root.join("log"))?;
        let url = format!("http://{}{path}", port.address());
        let sent = process
            .ready("nginx to serve", Duration::from_secs(20), async || {
                Answer::of(&url).await
            })
            .await?;
        if sent.fields()? != answer.fields()? || sent.body != answer.body {
            bail!(
                "nginx does not send what the shop sends:\n{:?}\n{:?}",
                sent.fields()?,
                answer.fields()?
            );
        }
        Ok(Self {
            process,
            url,
            _port: port,
            _folder: folder,
        })
    }

    /// Where the answer is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The managing process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

fn configuration(
    root: &std::path::Path,
    address: &str,
    path: &str,
    answer: &Answer,
) -> Result<String> {
    let root = root.display();
    let mut text = format!(
        "daemon off;\nworker_processes 1;\nuser root;\npid {root}/pid;\n\
         events {{ worker_connections 1024; multi_accept on; }}\n\
         http {{\naccess_log off;\nserver_tokens off;\netag off;\nmax_ranges 0;\ntypes {{ }}\n\
         sendfile on;\ntcp_nopush on;\nkeepalive_timeout 75s;\nkeepalive_requests 1000000000;\n\
         open_file_cache max=16 inactive=300s;\nopen_file_cache_valid 300s;\nopen_file_cache_min_uses 1;\n"
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "{kind}_temp_path {root}/{kind};")?;
    }
    let content_type = answer
        .header("content-type")
        .context("there is no Content-Type")?;
    write!(
        text,
        "server {{\nlisten {address};\nlocation = {path} {{\nalias {root}/body;\ndefault_type {};\n\
         add_header Last-Modified '';\n",
        quoted(content_type)?
    )?;
    for (name, value) in answer.fields()? {
        if !matches!(name, "content-type" | "content-length") {
            writeln!(text, "add_header {name} {};", quoted(value)?)?;
        }
    }
    text.push_str("}\n}\n}\n");
    Ok(text)
}

/// A value for the configuration file, in which `$` would begin a variable.
fn quoted(value: &str) -> Result<String> {
    ensure!(
        !value.contains('$'),
        "nginx cannot send a field with a dollar sign: {value}"
    );
    Ok(format!(
        "'{}'",
        value.replace('\\', "\\\\").replace('\'', "\\'")
    ))
}
