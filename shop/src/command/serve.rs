//! `panono-shop serve`

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use clap::Args;
use prometheus_client::registry::Registry;

use super::CommandResult;
use crate::accounts::password::Passwords;
use crate::admin::{self, AdminState};
use crate::cache::freshness::Freshness;
use crate::cache::{self, CacheConfig, PageCache};
use crate::cart::pricing::PricingSettings;
use crate::checkout::config::CheckoutArgs;
use crate::checkout::{self, Checkout};
use crate::config::args::{
    CacheArgs, ClientArgs, DatabaseArgs, SecretArgs, ServerArgs, SiteArgs, WebhookArgs,
};
use crate::config::site::CatalogueSettings;
use crate::config::{self, Collector, Problems, ServerConfig};
use crate::db::{DatabaseConfig, Db};
use crate::media::MediaStore;
use crate::notify::webhook::target::Targets;
use crate::payments::config::PaymentArgs;
use crate::payments::{self, PaymentSettings, Payments};
use crate::risk::RiskSettings;
use crate::secret::Keys;
use crate::storefront::view::Site;
use crate::web::ops::{self, Health};
use crate::web::private::client::ClientAddress;
use crate::web::private::{self, PrivateState};
use crate::web::public::menu::Menu;
use crate::web::public::{self, Public};

/// How often the invalidation log is asked for changes.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);
/// Seconds that requests under way may take to end after SIGTERM.
const SHUTDOWN_SECONDS: u64 = 15;
/// Idle connections stay open longer than those of balancers in front (60 s as a rule): whoever closes last is not
/// surprised by a request on a closed connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    client: ClientArgs,
    #[command(flatten)]
    payments: PaymentArgs,
    #[command(flatten)]
    checkout: CheckoutArgs,
    #[command(flatten)]
    webhook: WebhookArgs,
}

/// The configuration of `serve`, checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) database: DatabaseConfig,
    pub(super) cache: CacheConfig,
    server: ServerConfig,
    catalogue: CatalogueSettings,
    site: Site,
    media_url: String,
    keys: Keys,
    client_address: ClientAddress,
    payments: PaymentSettings,
    hold: Duration,
    webhook_targets: Targets,
}

impl ServeArgs {
    /// Checks the arguments.
    pub(super) fn settings(&self) -> Result<Settings, Problems> {
        let mut problems = Collector::default();
        let database = config::database(&self.database, &mut problems);
        let cache = config::cache(&self.cache, &self.server, &mut problems);
        let server = config::server(&self.server, &self.site, &mut problems);
        let catalogue = config::site::catalogue(&self.site, &mut problems);
        let site = config::site::site(&self.site, &mut problems);
        let keys = config::secret_key(&self.secret, &mut problems);
        let client_address = config::client_address(&self.client, &mut problems);
        let payments = payments::config::settings(&self.payments, &mut problems);
        let hold = checkout::config::hold(&self.checkout, &mut problems);
        let settings = (|| {
            Some(Settings {
                database: database?,
                cache: cache?,
                server: server?,
                catalogue: catalogue?,
                site: site?,
                media_url: self.site.media_url.clone(),
                keys: keys?,
                client_address: client_address?,
                payments: payments?,
                hold: hold?,
                webhook_targets: config::notify::webhook_targets(&self.webhook),
            })
        })();
        problems.finish(settings)
    }
}

pub(super) async fn run(args: ServeArgs) -> CommandResult {
    let settings = args.settings()?;
    let server = settings.server.clone();
    let listen = std::net::TcpListener::bind(server.listen)
        .map_err(|error| anyhow::anyhow!("cannot listen on {}: {error}", server.listen))?;
    let ops_listen = std::net::TcpListener::bind(server.ops_listen)
        .map_err(|error| anyhow::anyhow!("cannot listen on {}: {error}", server.ops_listen))?;

    let db = Db::start(settings.database);
    let freshness = Arc::new(Freshness::new());
    tokio::spawn(Arc::clone(&freshness).follow(db.clone(), FOLLOW_INTERVAL));
    let mut registry = Registry::default();
    db.metrics().register(&mut registry);
    let metrics = cache::Metrics::default();
    metrics.register(&mut registry);
    let cache = PageCache::new(&settings.cache, &release(), freshness, metrics)?;
    let media = MediaStore::open(&settings.media_url, &std::env::vars().collect())
        .await
        .map_err(|error| anyhow::anyhow!("PANONO_MEDIA_URL: {error}"))?;

    let payments = Payments::new(
        settings.payments,
        db.clone(),
        settings.keys.clone(),
        &settings.site.origin,
    )?;
    payments.metrics().register(&mut registry);

    let health = Arc::new(Health::new(db.clone(), false));
    tokio::spawn(Arc::clone(&health).wait_for_schema());
    let ops = ops::server(ops_listen, Arc::clone(&health), Arc::new(registry))?;
    let ops_handle = ops.handle();
    tokio::spawn(ops);

    let admin = web::Data::new(
        AdminState::new(
            db.clone(),
            admin::CatalogueSettings {
                currencies: settings.catalogue.currencies().collect(),
                locales: settings.catalogue.locales().cloned().collect(),
            },
            settings.keys.clone(),
            media.clone(),
        )
        .with_webhook_targets(settings.webhook_targets),
    );
    let public = web::Data::new(Public {
        cache: Arc::new(cache),
        db: db.clone(),
        site: settings.site,
        catalogue: settings.catalogue,
        media,
        hosts: server.hosts.clone(),
        lifetime_field: server.lifetime_field,
        menu: Menu::default(),
        health: Arc::clone(&health),
    });
    let checkout = Checkout {
        db: db.clone(),
        keys: settings.keys.clone(),
        pricing: PricingSettings {
            first_locale: public.catalogue.default_locale.clone(),
            keys: settings.keys.clone(),
        },
        payments: payments.clone(),
        risk: RiskSettings::default(),
        hold: settings.hold,
        origin: public.site.origin.clone(),
    };
    checkout.follow_payments();
    let checkout = web::Data::new(checkout);
    let private = web::Data::new(PrivateState::new(
        public.clone().into_inner(),
        settings.keys,
        settings.client_address,
        payments,
        Passwords::start()?,
    ));
    tracing::info!(
        listen = %server.listen,
        ops_listen = %server.ops_listen,
        public_url = public.site.origin,
        members = db.members().len(),
        "serving"
    );
    let web_server = HttpServer::new(move || {
        App::new()
            .app_data(public.clone())
            .app_data(admin.clone())
            .app_data(private.clone())
            .app_data(checkout.clone())
            .configure(admin::configure)
            .configure(private::configure)
            .default_service(web::to(public::entry))
    })
    .workers(server.threads)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(Duration::from_secs(10))
    .client_disconnect_timeout(Duration::from_secs(2))
    .max_connections(10_000)
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .disable_signals()
    .listen(listen)?
    .run();
    let handle = web_server.handle();
    let mut serving = tokio::spawn(web_server);

    tokio::select! {
        ended = &mut serving => {
            ended??;
            anyhow::bail!("the server ended by itself");
        }
        () = super::asked_to_stop() => {}
    }
    tracing::info!("draining");
    health.drain();
    tokio::time::sleep(server.drain).await;
    handle.stop(true).await;
    serving.await??;
    db.close().await;
    ops_handle.stop(true).await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// What tells releases apart that may render differently: the version, and the program's own file.
fn release() -> String {
    let file = std::env::current_exe().and_then(std::fs::metadata);
    let stamp = file.map_or((0, 0), |file| {
        let modified = file
            .modified()
            .ok()
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |at| at.as_millis());
        (file.len(), modified)
    });
    format!("{}-{:x}-{:x}", env!("CARGO_PKG_VERSION"), stamp.0, stamp.1)
}
