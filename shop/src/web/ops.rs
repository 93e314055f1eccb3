//! The port for whoever runs the shop: metrics, liveness, readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus_client::registry::Registry;

use crate::db::Db;
use crate::telemetry;

/// What probes ask about.
#[derive(Debug)]
pub struct Health {
    db: Db,
    schema_is_current: AtomicBool,
    draining: AtomicBool,
    /// Whether the process can do its work only with a primary, as the worker.
    needs_primary: bool,
}

impl Health {
    /// A process that is not ready yet.
    #[must_use]
    pub fn new(db: Db, needs_primary: bool) -> Self {
        Self {
            db,
            schema_is_current: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            needs_primary,
        }
    }

    /// Says that the process is about to end: it is not ready any more, and goes on serving.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the process is about to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Why the process is not ready, if it is not. Browsing needs no primary, so losing it does not take the shop away.
    ///
    /// # Errors
    /// A word for the probe's log.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.is_draining() {
            Err("draining")
        } else if !self.db.is_readable() {
            Err("no database member answers")
        } else if self.needs_primary && !self.db.is_writable() {
            Err("no database member accepts writes")
        } else if !self.schema_is_current.load(Ordering::Relaxed) {
            Err("the schema is older than this release; run `panono-shop migrate`")
        } else {
            Ok(())
        }
    }

    /// Looks at the schema until it is current: asks again every second, since a migration may be under way.
    pub async fn wait_for_schema(self: Arc<Self>) {
        let mut told = false;
        loop {
            let current = match self.db.reader(0).await {
                Ok(mut reader) => crate::db::migrate::is_current(&mut reader.connection)
                    .await
                    .inspect_err(|_| reader.suspect())
                    .ok(),
                Err(_) => None,
            };
            match current {
                Some(true) => {
                    self.schema_is_current.store(true, Ordering::Relaxed);
                    return;
                }
                Some(false) if !told => {
                    told = true;
                    tracing::warn!(
                        "the schema is older than this release; run `panono-shop migrate`"
                    );
                }
                _ => {}
            }
            let pause = if current.is_some() { 1000 } else { 20 };
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
    }
}

struct State {
    health: Arc<Health>,
    registry: Arc<Registry>,
}

/// Serves `/metrics`, `/livez` and `/readyz`.
///
/// # Errors
/// When the address cannot be listened on.
pub fn server(
    listener: std::net::TcpListener,
    health: Arc<Health>,
    registry: Arc<Registry>,
) -> std::io::Result<actix_web::dev::Server> {
    let state = web::Data::new(State { health, registry });
    Ok(HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .route("/metrics", web::get().to(metrics))
            .route("/livez", web::get().to(live))
            .route("/readyz", web::get().to(ready))
    })
    .workers(1)
    .disable_signals()
    .listen(listener)?
    .run())
}

async fn metrics(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(telemetry::encode(&state.registry))
}

/// Alive is whoever answers: no database is asked, or an outage of it would restart every process.
async fn live() -> HttpResponse {
    HttpResponse::Ok().body("alive\n")
}

async fn ready(state: web::Data<State>) -> HttpResponse {
    match state.health.ready() {
        Ok(()) => HttpResponse::Ok().body("ready\n"),
        Err(reason) => HttpResponse::ServiceUnavailable().body(format!("{reason}\n")),
    }
}
