//! The running operator: leads or waits, watches, works off the queue, and ends in order.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::{Client, Config};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::events::Events;
use crate::failure;
use crate::index::Index;
use crate::leadership::{Election, Leadership};
use crate::metrics::Metrics;
use crate::object::{Kind, ShopKey};
use crate::observe::Catalogue;
use crate::queue::Queue;
use crate::reconcile::{Context, Looked, reconcile};
use crate::watch::Watches;

/// How long looking at one Shop may take: some thirty objects, each with an answer within seconds.
const DEADLINE: Duration = Duration::from_secs(90);

/// How often is looked whether the cluster has learned a kind.
const CATALOGUE: Duration = Duration::from_secs(60);

/// How long Shops that are being looked at have to end when the program ends.
const GRACE: Duration = Duration::from_secs(15);

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Shops that are looked at at the same time.
    pub concurrency: usize,
    /// The Lease by which one process leads; nothing for a process that is alone.
    pub lease: Option<(String, String)>,
    /// The name of this process among candidates.
    pub identity: String,
    /// The image with the agent of database members.
    pub agent_image: String,
}

/// What the probes and metrics of the process look at.
#[derive(Debug)]
pub struct Vitals {
    metrics: Arc<Metrics>,
    index: Arc<Index>,
    queue: Mutex<Arc<Queue>>,
    started: Instant,
    /// Milliseconds after the start.
    beat: AtomicU64,
    done: AtomicU64,
    synced: AtomicBool,
    leads: AtomicBool,
}

impl Vitals {
    fn new(metrics: Arc<Metrics>, index: Arc<Index>) -> Self {
        Self {
            metrics,
            index,
            queue: Mutex::default(),
            started: Instant::now(),
            beat: AtomicU64::new(0),
            done: AtomicU64::new(0),
            synced: AtomicBool::new(false),
            leads: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why the process should be restarted, if it should. An API server that does not answer is no reason: a new process would
    /// not be answered either.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn alive(&self) -> Result<(), String> {
        let since = |mark: &AtomicU64| {
            Duration::from_millis(self.now().saturating_sub(mark.load(Ordering::Relaxed)))
        };
        let queue = self.queue();
        alive(
            since(&self.beat),
            queue.longest(),
            queue.overdue(),
            since(&self.done),
        )
    }

    /// Why the process is of no use yet, if it is not.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn ready(&self) -> Result<&'static str, String> {
        self.alive()?;
        if !self.leads.load(Ordering::Relaxed) {
            return Ok("another process leads; this one is ready to take over");
        }
        if self.synced.load(Ordering::Relaxed) {
            Ok("leading")
        } else {
            Err("what exists is still being read".to_owned())
        }
    }

    /// Metrics in the text format.
    pub fn metrics(&self) -> String {
        self.metrics.text(self.index.shops(), self.queue().depth())
    }
}

/// Whether there is progress: the program's clock has been silent for so long, one Shop looked at for so long, the next one overdue
/// for so long, and none looked at to the end for so long.
fn alive(
    silent: Duration,
    longest: Duration,
    overdue: Duration,
    idle: Duration,
) -> Result<(), String> {
    if silent > Duration::from_secs(30) {
        return Err(format!("the program's clock has not ticked for {silent:?}"));
    }
    if longest > DEADLINE * 2 {
        return Err(format!("one Shop has been looked at for {longest:?}"));
    }
    if overdue > DEADLINE * 2 && idle > DEADLINE * 2 {
        return Err(format!(
            "a Shop waits for {overdue:?}, and none was looked at for {idle:?}"
        ));
    }
    Ok(())
}

/// The two clients: one whose answers are limited in time, and one for watches, on which it is silent for long.
///
/// # Errors
/// When the configuration of the cluster cannot be used.
pub fn clients(mut config: Config) -> Result<(Client, Client), kube::Error> {
    config.connect_timeout = Some(Duration::from_secs(5));
    config.write_timeout = Some(Duration::from_secs(15));
    // Shops have pauses of their own, which grow; a request that is repeated within one would not be counted.
    config.default_retry = false;
    let watching = Client::try_from(config.clone())?;
    config.read_timeout = Some(Duration::from_secs(15));
    config.reset_reader_on_write = true;
    Ok((Client::try_from(config)?, watching))
}

/// A running operator: what its probes look at, and the task that ends when it does.
#[derive(Debug)]
pub struct Operator {
    settings: Settings,
    vitals: Arc<Vitals>,
    metrics: Arc<Metrics>,
    index: Arc<Index>,
}

impl Operator {
    /// An operator that does nothing yet.
    pub fn new(settings: Settings) -> Self {
        let metrics = Arc::new(Metrics::default());
        let index = Arc::new(Index::default());
        Self {
            settings,
            vitals: Arc::new(Vitals::new(Arc::clone(&metrics), Arc::clone(&index))),
            metrics,
            index,
        }
    }

    /// What probes look at.
    pub fn vitals(&self) -> Arc<Vitals> {
        Arc::clone(&self.vitals)
    }

    /// Runs until `stop` is told.
    pub async fn run(self, client: Client, watching: Client, stop: oneshot::Receiver<()>) {
        let beating = tokio::spawn({
            let vitals = self.vitals();
            async move {
                loop {
                    vitals.beat.store(vitals.now(), Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        });
        let mut stop = stop;
        loop {
            let election = self
                .settings
                .lease
                .as_ref()
                .map(|(namespace, name)| Election {
                    identity: self.settings.identity.clone(),
                    namespace: namespace.clone(),
                    name: name.clone(),
                });
            let leadership = Arc::new(if election.is_some() {
                Leadership::default()
            } else {
                Leadership::always()
            });
            if let Some(election) = &election {
                tracing::info!(identity = election.identity, "asking for the lead");
                tokio::select! {
                    () = election.win(&client, &leadership) => {}
                    _ = &mut stop => break,
                }
            }
            tracing::info!("leading");
            self.vitals.leads.store(true, Ordering::Relaxed);
            self.metrics.set_leader(true);
            let ended = {
                let lost = async {
                    match &election {
                        Some(election) => election.keep(&client, &leadership).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::pin!(lost);
                self.lead(&client, &watching, &leadership, lost.as_mut(), &mut stop)
                    .await
            };
            self.vitals.leads.store(false, Ordering::Relaxed);
            self.vitals.synced.store(false, Ordering::Relaxed);
            self.metrics.set_leader(false);
            if ended {
                if let Some(election) = &election {
                    election.resign(&client, &leadership).await;
                }
                break;
            }
        }
        beating.abort();
    }

    /// Leads until the lead is lost or the program is to end. Says whether it is to end.
    async fn lead(
        &self,
        client: &Client,
        watching: &Client,
        leadership: &Arc<Leadership>,
        mut lost: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
        stop: &mut oneshot::Receiver<()>,
    ) -> bool {
        let queue = Arc::new(Queue::default());
        *self
            .vitals
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&queue);
        // What was known may be wrong by now.
        for key in self.index.keys() {
            self.index.remove_shop(&key);
        }
        self.index.retain_shops(&HashSet::new());
        let cluster = Cluster::new(
            client.clone(),
            Arc::clone(&self.metrics),
            Arc::clone(leadership),
        );
        let context = Arc::new(Context {
            cluster,
            index: Arc::clone(&self.index),
            metrics: Arc::clone(&self.metrics),
            catalogue: Arc::new(Catalogue::default()),
            events: Events::new(client.clone(), self.settings.identity.clone()),
            agent_image: self.settings.agent_image.clone(),
        });
        let watches = Watches {
            client: watching.clone(),
            index: Arc::clone(&self.index),
            queue: Arc::clone(&queue),
            metrics: Arc::clone(&self.metrics),
        };
        // All tasks end with this value.
        let mut tasks = JoinSet::new();
        let begin = self.begin(&context, &watches, &mut tasks);
        tokio::select! {
            () = begin => {}
            () = &mut lost => return false,
            _ = &mut *stop => return true,
        }
        self.vitals.synced.store(true, Ordering::Relaxed);
        self.vitals.done.store(self.vitals.now(), Ordering::Relaxed);
        tracing::info!(
            shops = self.index.shops(),
            "everything that exists is known"
        );
        for key in self.index.keys() {
            queue.soon(key);
        }
        tasks.spawn(follow_catalogue(
            Arc::clone(&context),
            watches,
            Arc::clone(&queue),
        ));
        let mut workers = JoinSet::new();
        for _ in 0..self.settings.concurrency.max(1) {
            workers.spawn(work(
                Arc::clone(&context),
                Arc::clone(&queue),
                self.vitals(),
            ));
        }
        let ended = tokio::select! {
            () = &mut lost => false,
            _ = &mut *stop => true,
        };
        queue.close();
        if ended {
            // A Shop that is being looked at may end what it began; the lead is kept meanwhile.
            let all = async { while workers.join_next().await.is_some() {} };
            tokio::select! {
                () = all => {}
                () = &mut lost => {}
                () = tokio::time::sleep(GRACE) => tracing::warn!("ending while Shops are being looked at"),
            }
        }
        ended
    }

    /// Starts the watches and waits until everything that exists is known.
    async fn begin(&self, context: &Context, watches: &Watches, tasks: &mut JoinSet<()>) {
        loop {
            match context.catalogue.refresh(context.cluster.client()).await {
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(error = %failure::client(&error), "failed to ask what the cluster serves");
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
        }
        let mut waiting = Vec::new();
        let mut synced = || {
            let (tell, told) = oneshot::channel();
            waiting.push(told);
            tell
        };
        for kind in Kind::ALL.iter().copied().filter(|kind| kind.is_builtin()) {
            tasks.spawn(watches.clone().objects(kind, Some(synced())));
        }
        tasks.spawn(watches.clone().pods(synced()));
        tasks.spawn(watches.clone().actions(synced()));
        tasks.spawn(watches.clone().backups(synced()));
        tasks.spawn(watches.clone().restores(synced()));
        tasks.spawn(watches.clone().shops(synced()));
        let served = context.catalogue.served();
        for kind in Kind::ALL
            .iter()
            .copied()
            .filter(|kind| !kind.is_builtin() && served.kinds.contains(kind))
        {
            tasks.spawn(watches.clone().objects(kind, Some(synced())));
        }
        for told in waiting {
            told.await.ok();
        }
    }
}

/// Looks now and then whether the cluster has learned a kind or forgotten one.
async fn follow_catalogue(context: Arc<Context>, watches: Watches, queue: Arc<Queue>) {
    let mut followed = context.catalogue.served().kinds;
    let mut tasks: JoinSet<()> = JoinSet::new();
    loop {
        tokio::time::sleep(CATALOGUE).await;
        queue.retain(&context.index.keys().into_iter().collect());
        match context.catalogue.refresh(context.cluster.client()).await {
            Ok(true) => {
                let served = context.catalogue.served().kinds;
                for kind in served.difference(&followed) {
                    tasks.spawn(watches.clone().objects(*kind, None));
                }
                followed.extend(served);
                for key in context.index.keys() {
                    queue.soon(key);
                }
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = %failure::client(&error), "failed to ask what the cluster serves");
            }
        }
    }
}

/// Works off the queue until it is closed.
async fn work(context: Arc<Context>, queue: Arc<Queue>, vitals: Arc<Vitals>) {
    while let Some(key) = queue.next().await {
        let began = Instant::now();
        // In a task of its own: a Shop that makes the program panic stops no other.
        let look = tokio::spawn({
            let (context, key) = (Arc::clone(&context), key.clone());
            async move { tokio::time::timeout(DEADLINE, look(&context, &key)).await }
        });
        let abort = look.abort_handle();
        let guard = Abort(abort);
        let outcome = look.await;
        drop(guard);
        let took = began.elapsed();
        match outcome {
            Ok(Ok(Ok(Looked::Gone))) => {
                queue.succeeded(&key);
                context.metrics.reconciled("gone", "", took);
            }
            Ok(Ok(Ok(Looked::Again(pause, reason)))) => {
                queue.succeeded(&key);
                context.metrics.reconciled("ok", reason.name(), took);
                queue.after(key.clone(), pause.mul_f64(rand::random_range(0.9..1.1)));
            }
            Ok(Ok(Err(failure))) => {
                // What others refuse is not to be tried at each second, however much else is written.
                if failure.general && failure.progressed {
                    queue.succeeded(&key);
                }
                let pause = queue.again(key.clone());
                context
                    .metrics
                    .reconciled("failed", failure.reason.name(), took);
                tracing::warn!(shop = %key, %failure, ?pause, "failed to bring a Shop where it should be");
            }
            Ok(Err(_)) => {
                let pause = queue.again(key.clone());
                context.metrics.reconciled("timeout", "", took);
                tracing::error!(shop = %key, ?pause, "looking at a Shop took longer than {DEADLINE:?}");
            }
            Err(error) => {
                let pause = queue.again(key.clone());
                context.metrics.reconciled("panic", "", took);
                tracing::error!(shop = %key, ?pause, %error, "looking at a Shop failed unexpectedly");
            }
        }
        vitals.done.store(vitals.now(), Ordering::Relaxed);
        queue.done(&key);
    }
}

/// Ends a task when it is dropped, so that nothing goes on after its worker.
struct Abort(tokio::task::AbortHandle);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tracing::instrument(name = "reconcile", skip_all, fields(shop = %key))]
async fn look(context: &Context, key: &ShopKey) -> Result<Looked, failure::Failure> {
    Box::pin(reconcile(context, key)).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DEADLINE, alive};

    /// A process that hangs is one to restart; one that rests, is within a deadline, or works through many Shops is not.
    #[test]
    fn liveness_tells_whether_there_is_progress() {
        let (none, short, long) = (Duration::ZERO, Duration::from_secs(5), DEADLINE * 3);
        assert_eq!(alive(short, none, none, long), Ok(()), "nothing to do");
        assert_eq!(alive(short, DEADLINE, none, long), Ok(()));
        assert_eq!(alive(short, short, long, short), Ok(()), "much to do");
        for (hangs, words) in [
            (alive(long, none, none, none), "clock"),
            (alive(short, long, none, none), "one Shop"),
            (alive(short, none, long, long), "a Shop waits"),
        ] {
            assert!(hangs.is_err_and(|found| found.contains(words)), "{words}");
        }
    }
}
