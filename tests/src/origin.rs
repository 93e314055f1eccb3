//! An origin that answers as a test prescribes, for tests of what stands in front of one.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::wait::wait_until;
use crate::wire::{self, Message};

/// An answer is held no longer than this, whatever the test does.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// What a path answers to its n-th request (from 1).
type Script = Arc<dyn Fn(usize, &Message) -> Answer + Send + Sync>;

/// A server on loopback. Paths without a script answer 404 without any cache header.
pub struct Origin {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, Script>,
    requests: HashMap<String, Vec<Message>>,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    gate: Option<Gate>,
    body_gate: Option<Gate>,
    broken: bool,
}

impl Answer {
    /// An answer with this status and body, and no headers but its length.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            gate: None,
            body_gate: None,
            broken: false,
        }
    }

    /// 200 with this body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    /// The connection is closed instead.
    pub fn broken() -> Self {
        Self {
            broken: true,
            ..Self::new(500, "")
        }
    }

    /// With one more header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sent only when the gate is open.
    #[must_use]
    pub fn held(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The head is sent at once, the body only when the gate is open.
    #[must_use]
    pub fn body_held(mut self, gate: &Gate) -> Self {
        self.body_gate = Some(gate.clone());
        self
    }
}

/// Holds answers back until it is opened.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    /// Lets through what waits and what comes.
    pub fn open(&self) {
        self.0.send_replace(true);
    }
}

impl Origin {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("failed to listen")?;
        let address = listener.local_addr().context("failed to read the port")?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A connection ends with its client, which does not outlive the test.
                drop(tokio::spawn(serve(stream, Arc::clone(&shared))));
            }
        });
        Ok(Self {
            address,
            state,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `path` (a target without its query) answers with what `script` makes of the number of the request, from
    /// 1, and the request.
    pub fn on(
        &self,
        path: &str,
        script: impl Fn(usize, &Message) -> Answer + Send + Sync + 'static,
    ) {
        self.state
            .lock()
            .unwrap()
            .scripts
            .insert(path.to_owned(), Arc::new(script));
    }

    /// The requests for `path` so far.
    pub fn requests(&self, path: &str) -> Vec<Message> {
        self.state
            .lock()
            .unwrap()
            .requests
            .get(path)
            .cloned()
            .unwrap_or_default()
    }

    /// How many requests for `path` there were so far.
    pub fn count(&self, path: &str) -> usize {
        self.state
            .lock()
            .unwrap()
            .requests
            .get(path)
            .map_or(0, Vec::len)
    }

    /// Waits for the n-th request for `path`.
    ///
    /// # Errors
    /// When it does not come within half a minute.
    pub async fn asked(&self, path: &str, times: usize) -> Result<()> {
        wait_until(
            &format!("request {times} for {path}"),
            Duration::from_secs(30),
            async || {
                let count = self.count(path);
                if count >= times {
                    Ok(())
                } else {
                    Err(format!("{count} requests"))
                }
            },
        )
        .await
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Origin")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut reader = BufReader::new(stream);
    while let Ok(Some(mut request)) = wire::read_head(&mut reader).await {
        if wire::read_body(&mut reader, &mut request, false)
            .await
            .is_err()
        {
            return;
        }
        let path = request
            .target()
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned();
        let scripted = {
            let mut state = state.lock().unwrap();
            let seen = state.requests.entry(path.clone()).or_default();
            seen.push(request.clone());
            let number = seen.len();
            state
                .scripts
                .get(&path)
                .cloned()
                .map(|script| (script, number))
        };
        let answer = match scripted {
            Some((script, number)) => script(number, &request),
            None => Answer::new(404, "nothing here"),
        };
        wait_for(answer.gate.as_ref()).await;
        let (head, body) = encode(&answer, request.method() == "HEAD");
        if answer.broken || reader.get_mut().write_all(&head).await.is_err() {
            return;
        }
        wait_for(answer.body_gate.as_ref()).await;
        if reader.get_mut().write_all(&body).await.is_err() {
            return;
        }
        if request
            .header("Connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
        {
            return;
        }
    }
}

async fn wait_for(gate: Option<&Gate>) {
    if let Some(Gate(gate)) = gate {
        let mut gate = gate.subscribe();
        let _ = tokio::time::timeout(LONGEST_HOLD, gate.wait_for(|open| *open)).await;
    }
}

/// The head and the body.
fn encode(answer: &Answer, head: bool) -> (Vec<u8>, Vec<u8>) {
    let mut text = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let has_body = !matches!(answer.status, 204 | 304);
    if has_body {
        text.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    text.push_str("\r\n");
    let body = if has_body && !head {
        answer.body.clone()
    } else {
        Vec::new()
    };
    (text.into_bytes(), body)
}
