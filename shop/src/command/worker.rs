//! `panono-shop worker`

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::CommandResult;
use crate::cart::pricing::PricingSettings;
use crate::checkout::config::CheckoutArgs;
use crate::checkout::worker::CheckoutWorker;
use crate::checkout::{self, Checkout};
use crate::config::args::{DatabaseArgs, MailArgs, SecretArgs, SiteArgs, WatchArgs, WebhookArgs};
use crate::config::{self, Collector};
use crate::db::Db;
use crate::edge::purge::{DeliverySettings, PurgeConfig, PurgeMetrics, PurgeWorker};
use crate::invariants::{self, InvariantMetrics};
use crate::notify::worker::Notifications;
use crate::outbox::consumer::{Consumer, ConsumerMetrics, ConsumerSettings};
use crate::outbox::dispatch::{DispatchMetrics, DispatchSettings, Dispatcher};
use crate::payments::config::PaymentArgs;
use crate::payments::worker::PaymentWorker;
use crate::payments::{self, Payments};
use crate::risk::RiskSettings;
use crate::stock::follow::Follow;
use crate::web::ops::{self, Health};
use crate::worker::schedule::Schedule;

/// Arguments of `worker`. Edges to purge are set by PANONO_PURGE_* variables (docs/configuration.md).
#[derive(Debug, Args)]
pub struct WorkerArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    payments: PaymentArgs,
    #[command(flatten)]
    checkout: CheckoutArgs,
    #[command(flatten)]
    mail: MailArgs,
    #[command(flatten)]
    webhook: WebhookArgs,
    #[command(flatten)]
    watch: WatchArgs,
    /// Where metrics, /livez and /readyz are
    #[arg(long, env = "PANONO_OPS_LISTEN", default_value = "0.0.0.0:9090")]
    ops_listen: std::net::SocketAddr,
}

/// How long running work may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(20);

pub(super) async fn run(args: WorkerArgs) -> CommandResult {
    let mut problems = Collector::default();
    let database = config::database(&args.database, &mut problems);
    let catalogue = config::site::catalogue(&args.site, &mut problems);
    let purge = purge_config(&mut problems);
    let keys = config::secret_key(&args.secret, &mut problems);
    let site = config::site::site(&args.site, &mut problems);
    let payments = payments::config::settings(&args.payments, &mut problems);
    let mail = config::notify::mail(&args.mail, &args.site, &mut problems);
    let all = database
        .zip(mail)
        .zip(catalogue)
        .zip(purge)
        .zip(keys)
        .zip(site)
        .zip(payments)
        .zip(checkout::config::hold(&args.checkout, &mut problems));
    let (((((((database, mail), catalogue), purge), keys), site), payments), hold) =
        problems.finish(all)?;

    let db = Db::start(database);
    let mut registry = Registry::default();
    db.metrics().register(&mut registry);
    let dispatch_metrics = DispatchMetrics::default();
    dispatch_metrics.register(&mut registry);
    let consumer_metrics = ConsumerMetrics::default();
    consumer_metrics.register(&mut registry);
    let payments = Payments::new(payments, db.clone(), keys.clone(), &site.origin)?;
    let checkout = Checkout {
        db: db.clone(),
        keys: keys.clone(),
        pricing: PricingSettings {
            first_locale: catalogue.default_locale.clone(),
            keys: keys.clone(),
        },
        payments: payments.clone(),
        risk: RiskSettings::default(),
        hold,
        origin: site.origin.clone(),
    };
    checkout.follow_payments();
    let invariant_metrics = InvariantMetrics::default();
    invariant_metrics.register(&mut registry);
    payments.metrics().register(&mut registry);
    let purge_metrics = PurgeMetrics::default();
    purge_metrics.register(&mut registry);

    let health = Arc::new(Health::new(db.clone(), true));
    let listener = std::net::TcpListener::bind(args.ops_listen)
        .map_err(|error| anyhow::anyhow!("cannot listen on {}: {error}", args.ops_listen))?;
    let ops = ops::server(listener, Arc::clone(&health), Arc::new(registry))?;
    let ops_handle = ops.handle();
    tokio::spawn(ops);

    let (stop, stopped) = watch::channel(false);
    let head = watch::Sender::new(0);
    let schema = tokio::spawn(Arc::clone(&health).wait_for_schema());
    let jobs = async {
        // Without its tables no job can do anything but fail.
        let _ = schema.await;
        tracing::info!("worker started");
        let dispatcher = Dispatcher::new(db.clone(), DispatchSettings::default(), dispatch_metrics);
        let purger = PurgeWorker::new(
            purge,
            db.clone(),
            DeliverySettings::default(),
            purge_metrics,
        )?;
        let carts = crate::cart::sweep::Sweep { db: db.clone() };
        let schedule = Schedule {
            db: db.clone(),
            currencies: catalogue.currencies().collect(),
            locales: catalogue.locales().cloned().collect(),
        };
        let follow = Follow {
            db: db.clone(),
            currencies: schedule.currencies.clone(),
            locales: schedule.locales.clone(),
        };
        let payment_commands = Consumer::new(
            db.clone(),
            payments::operate::TOPIC,
            ConsumerSettings::default(),
            Arc::new(payments::worker::Commands(payments.clone())),
            consumer_metrics.clone(),
        );
        let notifications = Notifications {
            db: db.clone(),
            keys,
            site,
            mail,
            targets: config::notify::webhook_targets(&args.webhook),
            metrics: consumer_metrics,
        };
        let payment_worker = PaymentWorker::new(payments.clone());
        let checkouts = CheckoutWorker { checkout };
        let mut tasks = vec![
            tokio::spawn(checkouts.run(stopped.clone())),
            tokio::spawn(payment_commands.run(stopped.clone())),
            tokio::spawn(payment_worker.run(stopped.clone())),
            tokio::spawn(dispatcher.run(head.clone(), stopped.clone())),
            tokio::spawn(purger.run(head, stopped.clone())),
            tokio::spawn(follow.run(stopped.clone())),
            tokio::spawn(carts.run(stopped.clone())),
            tokio::spawn(schedule.run(stopped.clone())),
            tokio::spawn(crate::accounts::sweep::run(db.clone(), stopped.clone())),
        ];
        tasks.extend(notifications.start(&stopped)?);
        if args.watch.invariants_every > 0 {
            let every = Duration::from_secs(args.watch.invariants_every);
            let watch = invariants::run(db.clone(), every, invariant_metrics, stopped);
            tasks.push(tokio::spawn(watch));
        }
        for task in tasks {
            task.await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let mut jobs = Box::pin(jobs);
    tokio::select! {
        ended = &mut jobs => {
            ended?;
            anyhow::bail!("a job of the worker ended by itself");
        }
        () = super::asked_to_stop() => {}
    }
    tracing::info!("stopping");
    health.drain();
    stop.send_replace(true);
    if tokio::time::timeout(GRACE, jobs).await.is_err() {
        tracing::warn!("work did not end in time; it will be taken over by another worker");
    }
    ops_handle.stop(true).await;
    Ok(ExitCode::SUCCESS)
}

fn purge_config(problems: &mut Collector) -> Option<PurgeConfig> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match PurgeConfig::parse(&variables) {
        Ok(config) => Some(config),
        Err(found) => {
            for problem in found {
                problems.add(problem.variable, problem.problem);
            }
            None
        }
    }
}
