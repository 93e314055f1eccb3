//! A real browser (headless Chromium under chromedriver): what it shows, and what it complains about.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::ports::Port;
use crate::process::{Folder, Process};
use crate::wait::wait_until;
use crate::{http, tools};

/// A browser on a busy machine takes its time.
const LIMIT: Duration = Duration::from_secs(120);

/// What a page is looked at on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// 1280 pixels wide, with a mouse.
    Desktop,
    /// 390 pixels wide, touched.
    Phone,
}

impl Screen {
    /// The word in names of files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Phone => "phone",
        }
    }

    /// Its width in CSS pixels.
    pub const fn width(self) -> u32 {
        match self {
            Self::Desktop => 1280,
            Self::Phone => 390,
        }
    }

    const fn height(self) -> u32 {
        match self {
            Self::Desktop => 900,
            Self::Phone => 844,
        }
    }

    fn options(self, profile: &str, program: &str, scripts: bool) -> Value {
        let (width, height) = (self.width(), self.height());
        let mut options = json!({
            "binary": program,
            "args": [
                "--headless=new",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--lang=en",
                format!("--user-data-dir={profile}"),
                format!("--window-size={width},{height}"),
            ],
        });
        if !scripts {
            options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
        }
        if self == Self::Phone {
            options["mobileEmulation"] = json!({
                "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2.0, "touch": true, "mobile": true },
            });
        }
        options
    }
}

/// A browser with a profile of its own. Everything of it is gone when this value is dropped.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    session: String,
    screen: Screen,
    driver: Process,
    _folder: Folder,
    _port: Port,
}

impl Browser {
    /// Starts one.
    ///
    /// # Errors
    /// When the programs are missing (`make tools` brings them), or do not come up.
    pub async fn start(screen: Screen) -> Result<Self> {
        Self::launch(screen, true).await
    }

    /// Starts one that runs no scripts of pages. What a test runs in a page it runs all the same.
    ///
    /// # Errors
    /// As of [`Browser::start`].
    pub async fn without_scripts(screen: Screen) -> Result<Self> {
        Self::launch(screen, false).await
    }

    async fn launch(screen: Screen, scripts: bool) -> Result<Self> {
        http::install_tls();
        let folder = Folder::new("browser")?;
        let port = Port::take()?;
        let address = port.address();
        let mut command = Command::new(tools::program("chromedriver")?);
        command
            .arg(format!("--port={}", address.port()))
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path());
        let driver = Process::start("chromedriver", command, &folder.path().join("log"))?;
        let url = format!("http://{address}");
        let status = format!("{url}/status");
        driver
            .ready("chromedriver to answer", LIMIT, async || {
                let answer = http::client().get(&status).send().await?;
                ensure!(answer.status().is_success(), "{}", answer.status());
                Ok(())
            })
            .await?;
        let profile = folder.path().join("profile").display().to_string();
        let program = tools::program("chromium")?.display().to_string();
        let capabilities = json!({
            "goog:chromeOptions": screen.options(&profile, &program, scripts),
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else {
            anyhow::bail!("capabilities are an object");
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&url)
            .await
            .context("failed to start a browser")?;
        let session = client
            .session_id()
            .await?
            .context("a browser without session")?;
        Ok(Self {
            client,
            session: format!("{url}/session/{session}"),
            screen,
            driver,
            _folder: folder,
            _port: port,
        })
    }

    /// The session, to find, click, type.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens an address and waits until all pictures are there, those below the first screen too.
    ///
    /// # Errors
    /// When the page does not load, or a picture stays away.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.client
            .goto(url)
            .await
            .context("failed to open a page")?;
        self.settle().await
    }

    /// Waits until all pictures of the page are there, those below the first screen too.
    ///
    /// # Errors
    /// When a picture stays away.
    pub async fn settle(&self) -> Result<()> {
        self.run("for (const picture of document.images) picture.loading = 'eager';")
            .await?;
        wait_until("all pictures", LIMIT, async || {
            let missing = self
                .run(
                    "return Array.from(document.images).filter(picture => !picture.complete || !picture.naturalWidth)\
                     .map(picture => picture.currentSrc || picture.src)",
                )
                .await?;
            ensure!(missing == json!([]), "{missing}");
            Ok(())
        })
        .await
    }

    /// Runs a script in the page.
    ///
    /// # Errors
    /// When it throws.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.client
            .execute(script, Vec::new())
            .await
            .context("failed to run a script in the page")
    }

    /// What the console says (errors and warnings), and which requests failed, since this was last asked.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let mut complaints = Vec::new();
        for entry in self.log("browser").await? {
            if entry["level"] != "INFO" && entry["level"] != "DEBUG" {
                complaints.push(format!("console: {}", entry["message"]));
            }
        }
        // What pages asked for. What the browser asks for by itself, such as its news of versions, is not theirs.
        let mut asked: BTreeMap<String, String> = BTreeMap::new();
        for entry in self.log("performance").await? {
            let text = entry["message"].as_str().unwrap_or_default();
            let event: Value = serde_json::from_str(text).context("not an event")?;
            let (method, parameters) = (&event["message"]["method"], &event["message"]["params"]);
            let response = &parameters["response"];
            let id = parameters["requestId"].as_str().unwrap_or_default();
            if method == "Network.requestWillBeSent" {
                let (of, url) = (&parameters["documentURL"], &parameters["request"]["url"]);
                if of.as_str().is_some_and(|of| of.starts_with("http")) {
                    asked.insert(id.to_owned(), url.to_string());
                }
            }
            if method == "Network.loadingFailed"
                && parameters["canceled"] != true
                && let Some(url) = asked.get(id)
            {
                complaints.push(format!(
                    "request failed: {url}: {}",
                    parameters["errorText"]
                ));
            }
            if method == "Network.responseReceived" && response["status"].as_i64() >= Some(400) {
                complaints.push(format!("{}: {}", response["status"], response["url"]));
            }
        }
        Ok(complaints)
    }

    async fn log(&self, kind: &str) -> Result<Vec<Value>> {
        let answer = self.command("se/log", &json!({ "type": kind })).await?;
        Ok(answer.as_array().cloned().unwrap_or_default())
    }

    /// What the accessibility rules find that is serious or critical: rule, what it is about, and where.
    ///
    /// # Errors
    /// When the rules are missing (`make tools` brings them), or do not run.
    pub async fn accessibility(&self) -> Result<Vec<String>> {
        let path = tools::folder().join("share/axe.min.js");
        let rules = std::fs::read_to_string(&path)
            .with_context(|| format!("{} is missing: run `make tools` once", path.display()))?;
        self.run(&rules).await?;
        let script = "const done = arguments[arguments.length - 1]; \
            axe.run(document, { resultTypes: ['violations'] }).then(found => done(found.violations \
              .filter(violation => ['serious', 'critical'].includes(violation.impact)) \
              .flatMap(violation => violation.nodes.map(node => violation.id + ': ' + violation.help + ': ' \
                + node.target.join(' ') + ' ' + node.html))), error => done(['the rules do not run: ' + error]));";
        let found = self
            .client
            .execute_async(script, Vec::new())
            .await
            .context("failed to run the rules")?;
        serde_json::from_value(found).context("not a list of texts")
    }

    /// What is wider than the screen, so that the page scrolls sideways: how wide the page is, and the elements that stick out.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn overflow(&self) -> Result<Vec<String>> {
        let found = self
            .run(
                "const width = window.innerWidth, page = document.documentElement.scrollWidth; \
                 if (page <= width) return []; \
                 const out = Array.from(document.body.querySelectorAll('*')) \
                   .filter(element => element.getBoundingClientRect().right > width + 1) \
                   .slice(0, 5).map(element => element.outerHTML.slice(0, 120)); \
                 return [`${page} of ${width} pixels`, ...out];",
            )
            .await?;
        serde_json::from_value(found).context("not a list of texts")
    }

    /// A picture of the whole page as PNG, in `target/screenshots/`.
    ///
    /// # Errors
    /// When the picture cannot be made or written.
    pub async fn screenshot(&self, name: &str) -> Result<PathBuf> {
        let parameters = json!({
            "cmd": "Page.captureScreenshot",
            "params": { "format": "png", "captureBeyondViewport": true },
        });
        let answer = self.command("goog/cdp/execute", &parameters).await?;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(answer["data"].as_str().context("no picture")?)
            .context("not base64")?;
        let folder = tools::repository().join("target/screenshots");
        std::fs::create_dir_all(&folder).context("failed to make the folder of screenshots")?;
        let path = folder.join(format!("{name}-{}.png", self.screen.name()));
        std::fs::write(&path, bytes)
            .with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path)
    }

    async fn command(&self, path: &str, parameters: &Value) -> Result<Value> {
        let mut answer: Value = http::client()
            .post(format!("{}/{path}", self.session))
            .json(parameters)
            .send()
            .await?
            .error_for_status()
            .with_context(|| format!("the browser refuses {path}"))?
            .json()
            .await?;
        Ok(answer["value"].take())
    }

    /// Ends the browser and its driver.
    ///
    /// # Errors
    /// When the driver cannot be killed.
    pub async fn close(self) -> Result<()> {
        // The driver ends the browser with the session; what is left of either is killed.
        drop(self.client.close().await);
        self.driver.kill()
    }
}
