//! A TCP proxy on loopback that does to connections what networks do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::ports::Port;
use crate::wait::wait_until;

const CHUNK: usize = 16 * 1024;
const LISTEN_LIMIT: Duration = Duration::from_secs(30);

/// What the proxy does with bytes and connections from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Pass,
    /// Nothing listens: new connections are refused. Existing ones go on; see [`Proxy::cut`].
    Refuse,
    /// Accepts connections and passes nothing on, in neither direction, as behind a firewall that drops packets.
    BlackHole,
    /// Passes everything on, each piece so much later.
    Delay(Duration),
    /// Passes on what clients say; the first answer that a server gives on a connection is thrown away and the connection is
    /// cut. The server has done what it was asked, and the client does not know.
    LoseAnswer,
    /// As [`Mode::LoseAnswer`], but only for answers to what contains these bytes, such as `COMMIT` in a connection without
    /// TLS. All else passes.
    LoseAnswerTo(Vec<u8>),
    /// As [`Mode::LoseAnswerTo`], once so many of them have passed since the mode was set; what comes after the one that is lost
    /// passes again.
    LoseAnswerToLater(Vec<u8>, u64),
}

struct Shared {
    server: SocketAddr,
    mode: watch::Sender<Mode>,
    cut: Notify,
    accepted: AtomicU64,
    open: AtomicU64,
    lost: AtomicU64,
    /// How often what answers are lost to was seen since the mode was set.
    seen: AtomicU64,
}

/// A proxy before one server. It ends with this value, and with the runtime in which it was started.
pub struct Proxy {
    port: Port,
    shared: Arc<Shared>,
    listening: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy that passes everything on to `server`.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn start(server: SocketAddr) -> Result<Self> {
        let port = Port::take()?;
        let shared = Arc::new(Shared {
            server,
            mode: watch::Sender::new(Mode::Pass),
            cut: Notify::new(),
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            seen: AtomicU64::new(0),
        });
        let (is_listening, listening) = watch::channel(false);
        let task = tokio::spawn(accept(port.address(), Arc::clone(&shared), is_listening));
        let proxy = Self {
            port,
            shared,
            listening,
            task,
        };
        proxy.set(Mode::Pass).await?;
        Ok(proxy)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Changes what the proxy does; when this returns, it does so for new connections and for the next bytes on existing ones.
    ///
    /// # Errors
    /// When the port cannot be opened again after [`Mode::Refuse`].
    pub async fn set(&self, mode: Mode) -> Result<()> {
        let listens = mode != Mode::Refuse;
        self.shared.seen.store(0, Ordering::SeqCst);
        self.shared.mode.send_replace(mode);
        let mut listening = self.listening.clone();
        wait_until("the proxy to follow", LISTEN_LIMIT, async || {
            *listening.borrow_and_update() == listens
        })
        .await
    }

    /// Cuts every connection that there is now.
    pub fn cut(&self) {
        self.shared.cut.notify_waiters();
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many answers were thrown away so far.
    pub fn lost_answers(&self) -> u64 {
        self.shared.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The task owns the connections' tasks; they end with it.
        self.task.abort();
    }
}

async fn accept(address: SocketAddr, shared: Arc<Shared>, listening: watch::Sender<bool>) {
    let mut mode = shared.mode.subscribe();
    let mut connections = JoinSet::new();
    let mut listener = None;
    loop {
        let listens = *mode.borrow_and_update() != Mode::Refuse;
        if !listens {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        listening.send_replace(listener.is_some());
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None if listens => Err(io::ErrorKind::AddrInUse.into()),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accepted => match accepted {
                Ok((client, _)) => {
                    shared.accepted.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(serve(client, Arc::clone(&shared)));
                }
                // The port is not free yet, or there are no file descriptors at the moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            changed = mode.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts an open connection as long as it lives, also when its task is aborted.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    shared.open.fetch_add(1, Ordering::SeqCst);
    let open = Open(Arc::clone(&shared));
    // From here on, so that no cut is missed.
    let cut = shared.cut.notified();
    let exchange = async {
        let server = TcpStream::connect(shared.server)
            .await
            .context("failed to reach the server")?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (client_reader, client_writer) = client.into_split();
        let (server_reader, server_writer) = server.into_split();
        let armed = watch::Sender::new(false);
        // Both directions, because a side that has said all may still be listening.
        tokio::try_join!(
            pass_requests(client_reader, server_writer, &shared, &armed),
            pass_answers(server_reader, client_writer, &shared, &armed),
        )?;
        anyhow::Ok(())
    };
    // Whatever the reason for the end, both sides see the connection closed when its two halves are dropped here.
    tokio::select! {
        () = cut => {}
        _ = exchange => {}
    }
    drop(open);
}

/// Returns when bytes may go on: at once, later, or (in a black hole) when the mode has changed.
async fn hold(mode: &mut watch::Receiver<Mode>) -> Result<()> {
    loop {
        let now = mode.borrow_and_update().clone();
        match now {
            Mode::BlackHole => mode.changed().await.context("the proxy is gone")?,
            Mode::Delay(time) => {
                tokio::time::sleep(time).await;
                return Ok(());
            }
            Mode::Pass
            | Mode::Refuse
            | Mode::LoseAnswer
            | Mode::LoseAnswerTo(_)
            | Mode::LoseAnswerToLater(..) => return Ok(()),
        }
    }
}

async fn pass_requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    armed: &watch::Sender<bool>,
) -> Result<()> {
    let mut mode = shared.mode.subscribe();
    let mut buffer = vec![0; CHUNK];
    // The end of what was passed before, because what is looked for may be cut in two.
    let mut passed = Vec::new();
    loop {
        let length = from.read(&mut buffer).await?;
        hold(&mut mode).await?;
        if length == 0 {
            return to.shutdown().await.context("failed to close");
        }
        let bytes = &buffer[..length];
        passed.extend_from_slice(bytes);
        let now = mode.borrow().clone();
        let lose_at = match now {
            Mode::LoseAnswerTo(wanted) => Some((wanted, None)),
            Mode::LoseAnswerToLater(wanted, later) => Some((wanted, Some(later))),
            _ => None,
        };
        if let Some((wanted, later)) = lose_at {
            if passed
                .windows(wanted.len().max(1))
                .any(|window| window == wanted)
            {
                let seen = shared.seen.fetch_add(1, Ordering::SeqCst);
                if later.is_none_or(|later| later == seen) {
                    armed.send_replace(true);
                }
            }
            let kept = passed.len().saturating_sub(wanted.len().saturating_sub(1));
            passed.drain(..kept);
        } else {
            passed.clear();
        }
        to.write_all(bytes).await?;
    }
}

async fn pass_answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    armed: &watch::Sender<bool>,
) -> Result<()> {
    let mut mode = shared.mode.subscribe();
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = from.read(&mut buffer).await?;
        hold(&mut mode).await?;
        if length == 0 {
            return to.shutdown().await.context("failed to close");
        }
        let lose = match &*mode.borrow() {
            Mode::LoseAnswer => true,
            Mode::LoseAnswerTo(_) | Mode::LoseAnswerToLater(..) => *armed.borrow(),
            Mode::Pass | Mode::Refuse | Mode::BlackHole | Mode::Delay(_) => false,
        };
        if lose {
            shared.lost.fetch_add(1, Ordering::SeqCst);
            anyhow::bail!("an answer was thrown away");
        }
        to.write_all(&buffer[..length]).await?;
    }
}
