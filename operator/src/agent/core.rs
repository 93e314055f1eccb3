//! What all parts of an agent share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use super::api::{
    Command, Done, Failover, InUse, MemberState, Passwords, Problem, Server, Status, ViewId,
};
use super::client::Client;
use super::config::Config;
use super::metrics::Metrics;
use super::sql::Seen;
use super::store::{Kept, Store, StoreError};
use super::tls::Certificates;
use super::volume;

/// Commands that wait. One is carried out at a time, and who finds a full queue asks again.
const COMMANDS: usize = 4;

/// A command and who waits for its answer.
#[derive(Debug)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Done, Problem>>,
}

/// What is kept on disk, and its present value.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    kept: Mutex<Kept>,
}

impl Ledger {
    /// Reads what is kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(store: Store) -> Result<Self, StoreError> {
        let kept = Mutex::new(store.read()?);
        Ok(Self { store, kept })
    }

    /// What is kept now.
    pub fn kept(&self) -> Kept {
        self.lock().clone()
    }

    /// The folder of what is kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Changes what is kept. When this returns it is on disk; when it fails nothing has changed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn change(&self, change: impl FnOnce(&mut Kept)) -> Result<(), StoreError> {
        let mut kept = self.lock();
        let mut new = kept.clone();
        change(&mut new);
        if new != *kept {
            self.store.write(&new)?;
            *kept = new;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What changes while the agent runs and others are told.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// What the server does.
    pub server: Server,
    /// What it said last, and when.
    pub seen: Option<(Seen, Instant)>,
    /// Transactions that the group has not.
    pub errant: String,
    /// Why it could not join.
    pub join_error: Option<String>,
    /// When it became primary.
    pub failover: Option<Failover>,
    /// Settings that need a restart.
    pub pending_restart: Vec<String>,
    /// Settings that the server was given, by name.
    pub given: BTreeMap<String, String>,
    /// The digest of these, as they were in the file.
    pub server_settings: String,
    /// The digest of the certificates that the server has.
    pub server_certificate: String,
    /// Which passwords the connections to other members are made with.
    pub member_password: i64,
    /// The version for which the group's protocol was set.
    pub protocol_for: Option<String>,
}

/// What all parts of an agent share.
#[derive(Debug)]
pub struct Core {
    config: ArcSwap<Config>,
    config_path: PathBuf,
    client: ArcSwap<Client>,
    /// What is on disk.
    pub ledger: Ledger,
    /// Certificates.
    pub certificates: Certificates,
    /// What Prometheus reads.
    pub metrics: Metrics,
    /// It was told to leave, and stays out.
    pub left: AtomicBool,
    /// Its data is being replaced by a copy, or that failed a moment ago.
    pub copying: AtomicBool,
    /// It is ending.
    pub ending: AtomicBool,
    moment: Mutex<Moment>,
    commands: mpsc::Sender<Request>,
    started: Instant,
    ticked_ms: AtomicU64,
}

impl Core {
    /// Reads configuration, certificates and what is kept. Commands come out of the receiver.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn open(config_path: PathBuf) -> Result<(Arc<Self>, mpsc::Receiver<Request>)> {
        let config = Config::read(&config_path)?;
        std::fs::create_dir_all(&config.run_folder)
            .with_context(|| config.run_folder.display().to_string())?;
        let certificates = Certificates::read(&config.tls)?;
        let client = Client::new(certificates.client())?;
        let ledger = Ledger::open(Store::open(&config.volume)?)?;
        let (commands, requests) = mpsc::channel(COMMANDS);
        let core = Self {
            client: ArcSwap::from_pointee(client),
            config: ArcSwap::from_pointee(config),
            config_path,
            ledger,
            certificates,
            metrics: Metrics::default(),
            left: AtomicBool::new(false),
            copying: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            moment: Mutex::default(),
            commands,
            started: Instant::now(),
            ticked_ms: AtomicU64::new(0),
        };
        Ok((Arc::new(core), requests))
    }

    /// The configuration of now.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Reads the configuration again. What cannot be used changes nothing.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn reload_config(&self) -> Result<Arc<Config>> {
        let config = Arc::new(Config::read(&self.config_path)?);
        self.config.store(Arc::clone(&config));
        Ok(config)
    }

    /// Reads the certificates again; says whether any changed.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn reload_certificates(&self) -> Result<bool> {
        let changed = self.certificates.reload()?;
        if changed {
            self.client
                .store(Arc::new(Client::new(self.certificates.client())?));
        }
        Ok(changed)
    }

    /// A client of the other agents.
    pub fn client(&self) -> Arc<Client> {
        self.client.load_full()
    }

    /// Hands a command over.
    ///
    /// # Errors
    /// The command, when too many wait.
    pub fn submit(&self, request: Request) -> Result<(), Request> {
        self.commands
            .try_send(request)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(request)
                | mpsc::error::TrySendError::Closed(request) => request,
            })
    }

    /// What is so now.
    pub fn moment(&self) -> Moment {
        self.lock().clone()
    }

    /// Changes what is so now.
    pub fn update(&self, change: impl FnOnce(&mut Moment)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Moment> {
        self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop goes round.
    pub fn tick(&self) {
        self.ticked_ms.store(
            u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// Milliseconds since the loop went round.
    pub fn idle_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .saturating_sub(self.ticked_ms.load(Ordering::Relaxed))
    }

    /// Whether it is ending.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// What others are told.
    pub fn status(&self) -> Status {
        let config = self.config();
        let kept = self.ledger.kept();
        let moment = self.moment();
        let out_because = self.out_because(&moment);
        let mut status = Status {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            api_version: super::api::API_VERSION,
            pod_uid: config.pod_uid.clone(),
            ordinal: config.ordinal,
            epoch: kept.epoch,
            age_ms: u64::MAX,
            data: kept.data(
                config.group_name.as_deref(),
                config.volume.join("data").exists(),
            ),
            server: moment.server,
            last_view: kept.last_view.clone(),
            bases: kept.bases.clone(),
            full: volume::full(&config.volume).is_some(),
            fenced: kept.fence.clone(),
            join_error: out_because,
            failover: moment.failover,
            pending_restart: moment.pending_restart,
            passwords: Passwords {
                files: config.generation(),
                member: moment.member_password,
                ..Passwords::default()
            },
            certificate: InUse {
                files: self.certificates.digest(),
                server: moment.server_certificate,
            },
            settings: InUse {
                files: config.live_digest().unwrap_or_default(),
                server: moment.server_settings,
            },
            protocol_for: moment.protocol_for,
            ..Status::default()
        };
        if let Some((seen, at)) = moment.seen {
            status.age_ms = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
            let mut view = seen.view;
            if let Some(id) = &mut view.id {
                id.epoch = epoch_of(&kept, id);
            }
            status.server_uuid = Some(seen.uuid);
            status.view = Some(view);
            status.transactions = Some(seen.transactions);
            (status.passwords.set, status.passwords.only) = seen.passwords;
        }
        if !moment.errant.is_empty() {
            status.quarantine = Some(super::api::Quarantine {
                errant: moment.errant,
                saved: kept.saved,
            });
        }
        status
    }

    /// Why the member is not online, as far as anybody knows.
    pub fn out_because(&self, moment: &Moment) -> Option<String> {
        let state = moment.seen.as_ref().map(|(seen, _)| seen.view.state);
        // The server only says that it waits, or ends without a word that others would understand.
        let full = (state != Some(MemberState::Online))
            .then(|| volume::full(&self.config().volume))
            .flatten();
        full.or_else(|| moment.join_error.clone())
    }
}

/// The epoch of the decision by which the group of this view was made; 0 if it is not known.
#[must_use]
pub fn epoch_of(kept: &Kept, id: &ViewId) -> i64 {
    kept.made
        .as_ref()
        .filter(|made| made.prefix == id.prefix)
        .map_or(0, |made| made.epoch)
}

/// Milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}
