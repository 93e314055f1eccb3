//! The loop of the agent: look at the server, and do the next thing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::mysql::MySqlConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::admit::{Admitted, Known, admit};
use super::api::{DataDirectory, Done, MemberState, Problem, Server, Verb};
use super::core::{Core, Request, epoch_of};
use super::errands::{finish_copy, give_up_for_space, learn, save};
use super::join::{self, Joined, MayStillBootstrap};
use super::lockout::{Lockout, Remedy};
use super::process::{self, Mysqld, RESTART};
use super::sql::{self, Seen};
use super::store::Marker;
use super::{accounts, carry, endpoints, heartbeat, missing, restored, settings, view, volume};

/// Between two looks at the server.
const TICK: Duration = Duration::from_millis(200);
/// Between two attempts to join; up to as much again is added, so that members do not try in step.
const JOIN_PAUSE: Duration = Duration::from_millis(800);
/// After so long an attempt is made even if no other agent says that there is a group.
const BLIND_AFTER: Duration = Duration::from_secs(30);
/// A member that lost its majority and does not even answer its agent is killed so long after it should have closed its doors.
const HARD_AFTER: Duration = Duration::from_secs(5);
/// After so many ends in a row others are told.
const CRASHES: u32 = 3;
/// How long the server may take to shut down.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(90);
/// A primary whose volume is full for so long gives its role up; and tries again after as long.
const FULL_FOR: Duration = Duration::from_secs(3);
/// Between two looks whether files were replaced.
const FILES_EVERY: Duration = Duration::from_secs(3);

/// Something that takes long, and is done beside the loop. One at a time.
#[derive(Debug)]
struct Work {
    task: JoinHandle<Finished>,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Join,
    Learn,
    Save,
    GiveUp,
    Command,
}

/// How such work ended.
#[derive(Debug)]
pub(super) enum Finished {
    Joined(Result<Joined>),
    Nothing,
    Killed,
}

/// The agent's loop.
#[derive(Debug)]
pub struct Driver {
    core: Arc<Core>,
    requests: mpsc::Receiver<Request>,
    server: Option<Mysqld>,
    connection: Option<MySqlConnection>,
    ends: u32,
    start_at: Instant,
    minority_since: Option<Instant>,
    closed: bool,
    work: Option<Work>,
    join_at: Instant,
    alone_since: Option<Instant>,
    roles: Vec<JoinHandle<()>>,
    files_at: Instant,
    full_since: Option<Instant>,
    lockout: Lockout,
}

impl Driver {
    /// A loop that has not begun.
    #[must_use]
    pub fn new(core: Arc<Core>, requests: mpsc::Receiver<Request>) -> Self {
        let now = Instant::now();
        Self {
            core,
            requests,
            server: None,
            connection: None,
            ends: 0,
            start_at: now,
            minority_since: None,
            closed: false,
            work: None,
            join_at: now,
            alone_since: None,
            roles: Vec::new(),
            files_at: now,
            full_since: None,
            lockout: Lockout::default(),
        }
    }

    /// Runs until told to stop, then hands over, leaves and shuts the server down.
    ///
    /// # Errors
    /// When the data directory cannot be made, or the disk refuses what has to be kept.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) -> Result<()> {
        tokio::select! {
            made = self.prepare() => made?,
            _ = &mut stop => return Ok(()),
        }
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stop => break,
                _ = ticks.tick() => self.tick().await?,
                Some(request) = self.requests.recv() => self.take(request).await,
                ended = ended(self.server.as_mut()) => self.server_ended(ended),
            }
        }
        self.end().await;
        Ok(())
    }

    /// Makes the data directory where there is none.
    async fn prepare(&self) -> Result<()> {
        let config = self.core.config();
        let data = config.volume.join("data");
        let kept = self.core.ledger.kept();
        if data.exists() {
            // What a backup was restored to is fresh once it has this shop's accounts; other data without a mark is foreign.
            let restored = kept.marker == Marker::None && restored::is_restored(&config);
            if restored {
                self.core
                    .update(|moment| moment.server = Server::Initialising);
                self.alive_while(restored::adopt(&config)).await?;
                self.core.update(|moment| moment.server = Server::Stopped);
            }
            if kept.marker == Marker::Making || restored {
                self.core
                    .ledger
                    .change(|kept| kept.marker = Marker::Fresh)?;
            }
            if restored::is_restored(&config) {
                restored::forget(&config)?;
            }
            return Ok(());
        }
        if matches!(kept.marker, Marker::Owned { .. }) {
            anyhow::bail!(
                "{} is gone, though {} says that it was of a group; restore it, or replace the volume",
                data.display(),
                self.core.ledger.store().folder().display()
            );
        }
        self.core
            .update(|moment| moment.server = Server::Initialising);
        self.core
            .ledger
            .change(|kept| kept.marker = Marker::Making)?;
        self.alive_while(process::initialise(&config)).await?;
        self.core
            .ledger
            .change(|kept| kept.marker = Marker::Fresh)?;
        self.core.update(|moment| moment.server = Server::Stopped);
        Ok(())
    }

    /// The loop does not go round meanwhile, and is alive.
    async fn alive_while(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(TICK) => self.core.tick(),
            }
        }
    }

    async fn tick(&mut self) -> Result<()> {
        self.core.tick();
        self.finish_work().await;
        if self.server.is_none() {
            self.start_server();
            return Ok(());
        }
        let seen = self.observe().await;
        self.close_without_majority(seen.as_ref()).await;
        let Some(seen) = seen else {
            return Ok(());
        };
        self.keep_view(&seen);
        self.follow(&seen).await;
        self.next_work(&seen);
        self.follow_files().await;
        Ok(())
    }

    /// Starts the server. What is foreign is left alone.
    fn start_server(&mut self) {
        if Instant::now() < self.start_at
            || matches!(self.core.status().data, DataDirectory::Foreign { .. })
        {
            return;
        }
        // It may have changed since, and the server reads it as it is now. The digest first: at worst it is an older one.
        let live = self.core.config().live_digest().unwrap_or_default();
        let config = self.core.reload_config().unwrap_or_else(|error| {
            tracing::error!(
                error = format!("{error:#}"),
                "the new configuration cannot be used; the old one stays"
            );
            self.core.config()
        });
        match Mysqld::start(&config, self.lockout.statements(&config).as_deref()) {
            Ok(server) => {
                self.core.metrics.starts.inc();
                self.server = Some(server);
                let certificate = self.core.certificates.digest();
                self.core.update(|moment| {
                    moment.server = Server::Starting;
                    moment.given = settings::of(&config);
                    moment.server_settings = live;
                    moment.server_certificate = certificate;
                    moment.pending_restart.clear();
                    moment.member_password = 0;
                });
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "mysqld could not be started");
                self.ends = self.ends.saturating_add(1);
                self.start_at = Instant::now() + process::pause(self.ends);
            }
        }
    }

    fn server_ended(&mut self, ended: Result<std::process::ExitStatus>) {
        let stable = self.server.as_ref().is_some_and(Mysqld::was_stable);
        self.server = None;
        self.connection = None;
        self.drop_roles();
        self.core.update(|moment| {
            moment.server = Server::Stopped;
            moment.seen = None;
        });
        let wanted = matches!(&ended, Ok(status) if status.code() == Some(RESTART));
        self.ends = if stable || wanted {
            1
        } else {
            self.ends.saturating_add(1)
        };
        let pause = process::pause(self.ends);
        self.start_at = Instant::now() + pause;
        self.join_at = Instant::now();
        self.minority_since = None;
        if self.ends >= CRASHES
            && let Ok(status) = &ended
        {
            let words = format!(
                "mysqld ended with {status}, {} times in a row; the log of the pod tells why",
                self.ends
            );
            self.core.update(|moment| moment.join_error = Some(words));
        }
        match ended {
            Ok(status) => tracing::warn!(%status, ?pause, "mysqld ended; it is started again"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "mysqld was lost"),
        }
    }

    async fn connect(&mut self) -> Option<MySqlConnection> {
        let config = self.core.config();
        let error = match sql::connect(&config).await {
            Ok(connection) => {
                self.lockout.ended(&config);
                return Some(connection);
            }
            Err(error) => error,
        };
        if sql::is_refused(&error) {
            let remedy = self.lockout.refused(Instant::now());
            let server = self.server.as_mut().filter(|_| remedy != Remedy::Wait);
            if let Some(server) = server {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the server does not let its agent in: it is started again with the agent's password"
                );
                if remedy == Remedy::Kill {
                    server.kill();
                } else {
                    server.terminate();
                }
            }
        }
        None
    }

    async fn observe(&mut self) -> Option<Seen> {
        if self.connection.is_none() {
            self.connection = self.connect().await;
        }
        let connection = self.connection.as_mut()?;
        match sql::observe(connection).await {
            Ok(seen) => {
                let server = match &seen.cloning {
                    Some((stage, done_bytes, total_bytes)) => Server::Cloning {
                        stage: stage.clone(),
                        done_bytes: *done_bytes,
                        total_bytes: *total_bytes,
                    },
                    None => Server::Running {
                        version: seen.version.clone(),
                    },
                };
                self.core.update(|moment| {
                    moment.server = server;
                    moment.seen = Some((seen.clone(), Instant::now()));
                });
                Some(seen)
            }
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "the server does not answer");
                self.connection = None;
                None
            }
        }
    }

    /// A member that was in a group and has no majority for long takes no more of a shop's connections. MySQL does the same by
    /// itself; either is enough.
    async fn close_without_majority(&mut self, seen: Option<&Seen>) {
        if let Some(seen) = seen {
            if !view::is_in_group(&seen.view)
                || seen.view.majority
                || seen.view.state == MemberState::Recovering
            {
                self.minority_since = None;
                self.closed = false;
                return;
            }
            self.minority_since.get_or_insert_with(Instant::now);
        }
        let Some(since) = self.minority_since else {
            return;
        };
        let limit = Duration::from_secs(u64::from(self.core.config().majority_timeout_seconds));
        if since.elapsed() < limit || self.closed {
            return;
        }
        let closed = if seen.is_some() {
            sql::close_doors(&self.core.config()).await
        } else if since.elapsed() < limit + HARD_AFTER {
            return;
        } else {
            Err(anyhow::anyhow!("the server does not answer"))
        };
        self.core.metrics.self_fences.inc();
        self.closed = true;
        match closed {
            Ok(()) => tracing::warn!("no majority for {limit:?}: the server's doors are closed"),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "no majority for {limit:?}, and the server's doors could not be closed: it is killed"
                );
                if let Some(server) = &mut self.server {
                    server.kill();
                }
            }
        }
    }

    /// Has the view on disk before anything else is done in it.
    fn keep_view(&self, seen: &Seen) {
        let kept = self.core.ledger.kept();
        let Some(id) = &seen.view.id else {
            return;
        };
        let epoch = epoch_of(&kept, id);
        if epoch == 0 {
            return;
        }
        if let Some(view) = view::to_keep(&seen.view, epoch)
            && kept.last_view.as_ref() != Some(&view)
        {
            tracing::info!(
                epoch,
                counter = view.id.counter,
                members = view.members.len(),
                primary = view.primary_uuid,
                "a new view of the group"
            );
            // The others keep it, too; a full disk does not end the member.
            if let Err(error) = self.core.ledger.change(|kept| kept.last_view = Some(view)) {
                tracing::error!(%error, "the view could not be kept");
            }
        }
    }

    /// Opens the doors of a member that is in a group with a majority, and begins or ends what goes with the primary's role.
    async fn follow(&mut self, seen: &Seen) {
        if seen.view.majority {
            self.alone_since = None;
            self.core.update(|moment| {
                moment.join_error = None;
                moment.errant.clear();
            });
            if seen.offline_mode && self.core.ledger.kept().fence.is_none() {
                self.open_doors().await;
            }
        }
        if !view::is_primary(&seen.view) {
            self.drop_roles();
        } else if self.roles.is_empty() {
            let core = || Arc::clone(&self.core);
            self.roles = vec![
                tokio::spawn(heartbeat::beat(core(), seen.uuid.clone())),
                tokio::spawn(endpoints::own(core())),
                tokio::spawn(missing::keep(core())),
            ];
        }
    }

    async fn open_doors(&mut self) {
        if let Some(connection) = &mut self.connection {
            let statement = "SET GLOBAL offline_mode = OFF";
            if let Err(error) = sql::run(connection, sql::ANSWER_LIMIT, statement).await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "offline_mode could not be ended"
                );
                self.connection = None;
            }
        }
    }

    fn drop_roles(&mut self) {
        self.roles.drain(..).for_each(|role| role.abort());
    }

    fn next_work(&mut self, seen: &Seen) {
        if self.work.is_some() || seen.cloning.is_some() {
            return;
        }
        let kept = self.core.ledger.kept();
        let out = kept.fence.is_some() || self.core.left.load(Ordering::Relaxed);
        let errant = self.core.moment().errant;
        if view::is_in_group(&seen.view) && out {
            // It was joining when it was told to stay out.
            let core = Arc::clone(&self.core);
            self.begin(Kind::Join, async move {
                if let Err(error) = join::leave(&core).await {
                    tracing::warn!(error = format!("{error:#}"), "the group was not left");
                }
                Finished::Nothing
            });
        } else if view::is_in_group(&seen.view) {
            let unknown = seen
                .view
                .id
                .as_ref()
                .is_some_and(|id| epoch_of(&kept, id) == 0);
            if unknown && Instant::now() >= self.join_at {
                self.join_at = Instant::now() + JOIN_PAUSE;
                self.begin(Kind::Learn, learn(Arc::clone(&self.core)));
            } else if self.is_full_primary(seen) {
                self.begin(Kind::GiveUp, give_up_for_space(Arc::clone(&self.core)));
            }
        } else if kept.copying.is_some() {
            if !self.core.copying.load(Ordering::Relaxed) && Instant::now() >= self.join_at {
                self.join_at = Instant::now() + JOIN_PAUSE;
                self.begin(Kind::Learn, finish_copy(Arc::clone(&self.core)));
            }
        } else if !errant.is_empty() && kept.saved != errant {
            self.begin(Kind::Save, save(Arc::clone(&self.core), errant));
        } else if !out && Instant::now() >= self.join_at && self.may_join() {
            let blind = self
                .alone_since
                .is_some_and(|since| since.elapsed() >= BLIND_AFTER);
            if blind {
                self.alone_since = Some(Instant::now());
            }
            let core = Arc::clone(&self.core);
            self.begin(Kind::Join, async move {
                Finished::Joined(join::join(&core, blind).await)
            });
        }
    }

    /// Whether it is time to give the primary's role up: the server may go on for as long as its logs have space, and refuse what its
    /// tables have none for.
    fn is_full_primary(&mut self, seen: &Seen) -> bool {
        if !view::is_primary(&seen.view) || volume::full(&self.core.config().volume).is_none() {
            self.full_since = None;
            return false;
        }
        let since = *self.full_since.get_or_insert_with(Instant::now);
        let due = since.elapsed() >= FULL_FOR;
        if due {
            self.full_since = None;
        }
        due
    }

    fn may_join(&self) -> bool {
        !matches!(
            self.core.ledger.kept().marker,
            Marker::None | Marker::Making
        )
    }

    fn begin(&mut self, kind: Kind, work: impl Future<Output = Finished> + Send + 'static) {
        self.work = Some(Work {
            task: tokio::spawn(work),
            kind,
        });
    }

    async fn finish_work(&mut self) {
        let Some(work) = &mut self.work else {
            return;
        };
        if !work.task.is_finished() {
            return;
        }
        let finished = (&mut work.task).await;
        self.work = None;
        let pause = JOIN_PAUSE + JOIN_PAUSE.mul_f64(rand::random::<f64>());
        match finished {
            Ok(Finished::Joined(result)) => {
                self.join_at = Instant::now() + pause;
                self.joined(result);
            }
            Ok(Finished::Killed) => {
                if let Some(server) = &mut self.server {
                    server.kill();
                }
            }
            Ok(Finished::Nothing) => {}
            Err(error) if error.is_cancelled() => {}
            Err(error) => tracing::error!(%error, "a task broke"),
        }
    }

    fn joined(&mut self, result: Result<Joined>) {
        let error = match result {
            Ok(Joined::Yes) => {
                tracing::info!("in the group");
                self.core.update(|moment| moment.errant.clear());
                None
            }
            Ok(Joined::Nobody { silent }) => {
                self.alone_since.get_or_insert_with(Instant::now);
                Some(format!(
                    "no other member is online with a majority; {silent} did not answer"
                ))
            }
            Ok(Joined::Errant(errant)) => {
                self.core.update(|moment| moment.errant = errant.clone());
                // It is looked at again, much less often: the group may get what it lacks.
                self.join_at = Instant::now() + BLIND_AFTER;
                Some(format!(
                    "the group does not have the transactions {errant} of this member, which therefore stays out"
                ))
            }
            Err(error) => Some(format!("{error:#}")),
        };
        self.core.update(|moment| {
            if moment.join_error != error
                && let Some(error) = &error
            {
                tracing::warn!(error, "not in the group");
            }
            moment.join_error = error;
        });
    }

    async fn take(&mut self, request: Request) {
        self.finish_work().await;
        let core = Arc::clone(&self.core);
        let config = core.config();
        let kept = core.ledger.kept();
        let moment = core.moment();
        let known = Known {
            config: &config,
            kept: &kept,
            seen: moment
                .seen
                .as_ref()
                .filter(|(_, at)| at.elapsed() < 5 * sql::ANSWER_LIMIT)
                .map(|(seen, _)| seen),
            errant: &moment.errant,
        };
        let command = request.command;
        match admit(&command, known) {
            Err(problem) => {
                request.answer.send(Err(problem)).ok();
            }
            Ok(Admitted::Already(words)) => {
                let kept = core
                    .ledger
                    .change(|kept| kept.epoch = kept.epoch.max(command.epoch));
                let detail = words.to_owned();
                let answer = kept.map(|()| Done { detail }).map_err(|error| Problem {
                    code: super::api::Code::Failed,
                    detail: error.to_string(),
                });
                request.answer.send(answer).ok();
            }
            Ok(Admitted::Go) => {
                if let Some(work) = &self.work {
                    // Joining can be tried again; whatever else goes on is waited for.
                    if work.kind == Kind::Command {
                        let busy = Problem {
                            code: super::api::Code::Busy,
                            detail: "another command is being carried out; ask again".to_owned(),
                        };
                        request.answer.send(Err(busy)).ok();
                        return;
                    }
                    work.task.abort();
                }
                tracing::info!(epoch = command.epoch, verb = ?command.verb, "a command");
                let release = matches!(command.verb, Verb::Release {});
                if release {
                    self.join_at = Instant::now();
                }
                let answer = request.answer;
                self.begin(Kind::Command, async move {
                    let done = carry::carry_out(&core, &command).await;
                    let kill = matches!(&done, Err(problem)
                        if problem.detail.contains(&MayStillBootstrap.to_string()));
                    answer.send(done).ok();
                    if kill {
                        Finished::Killed
                    } else {
                        Finished::Nothing
                    }
                });
            }
        }
    }

    /// Certificates that were replaced are used without being told, and so are passwords that the group was given.
    async fn follow_files(&mut self) {
        if self.files_at.elapsed() < FILES_EVERY {
            return;
        }
        self.files_at = Instant::now();
        if let Err(error) = self.core.reload_certificates() {
            tracing::error!(
                error = format!("{error:#}"),
                "the new certificates cannot be used; the old ones stay"
            );
        }
        if self.core.moment().server_certificate != self.core.certificates.digest() {
            match carry::reload_tls(&self.core).await {
                Ok(_) => tracing::info!("new certificates"),
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "the server did not take the new certificates"
                ),
            }
        }
        // Whoever commands sees that it was not done, and waits.
        if accounts::is_behind(&self.core)
            && let Err(error) = accounts::take_new(&self.core).await
        {
            tracing::error!(
                error = format!("{error:#}"),
                "the new password of replication was not taken"
            );
        }
    }

    /// Hands the role over, leaves, and shuts the server down.
    async fn end(&mut self) {
        self.core.ending.store(true, Ordering::Relaxed);
        if let Some(work) = self.work.take() {
            work.task.abort();
        }
        if let Err(error) = join::hand_over(&self.core).await {
            tracing::warn!(error = format!("{error:#}"), "nobody took the role over");
        }
        self.drop_roles();
        if let Err(error) = join::leave(&self.core).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "the group was not left in order"
            );
        }
        let Some(server) = &mut self.server else {
            return;
        };
        server.terminate();
        match tokio::time::timeout(SHUTDOWN_LIMIT, server.ended()).await {
            Ok(_) => tracing::info!("mysqld was shut down"),
            Err(_) => {
                tracing::error!("mysqld did not shut down in {SHUTDOWN_LIMIT:?}; it is killed");
                server.kill();
                server.ended().await.ok();
            }
        }
        self.server = None;
        self.core.update(|moment| moment.server = Server::Stopped);
    }
}

async fn ended(server: Option<&mut Mysqld>) -> Result<std::process::ExitStatus> {
    match server {
        Some(server) => server.ended().await,
        None => std::future::pending().await,
    }
}
