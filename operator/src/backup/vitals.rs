//! What Prometheus reads of an archiver. Names are in docs/backups.md.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::{App, HttpResponse, HttpServer, web};
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::archive::Pass;
use super::error::BackupError;

/// All metrics of the process.
#[derive(Debug)]
pub struct Vitals {
    registry: Mutex<Registry>,
    archiving: Gauge,
    archived_at: Gauge,
    bytes: Counter,
    transactions: Counter,
    failures: Counter,
}

impl Default for Vitals {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("panono_backup");
        let vitals = Self {
            registry: Mutex::default(),
            archiving: Gauge::default(),
            archived_at: Gauge::default(),
            bytes: Counter::default(),
            transactions: Counter::default(),
            failures: Counter::default(),
        };
        registry.register(
            "archiving",
            "1 while this member's commits are archived from here: it is the primary",
            vitals.archiving.clone(),
        );
        registry.register(
            "archived_timestamp_seconds",
            "Everything that was committed before this moment is archived",
            vitals.archived_at.clone(),
        );
        registry.register(
            "archived_bytes",
            "Bytes that were written to the target",
            vitals.bytes.clone(),
        );
        registry.register(
            "archived_transactions",
            "Transactions that were archived",
            vitals.transactions.clone(),
        );
        registry.register(
            "archive_failures",
            "Passes of the archive that failed",
            vitals.failures.clone(),
        );
        *vitals
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = registry;
        vitals
    }
}

impl Vitals {
    /// A pass that began at `at` has succeeded.
    pub fn passed(&self, pass: &Pass, at: Timestamp) {
        self.archiving.set(1);
        self.bytes.inc_by(pass.bytes);
        self.transactions.inc_by(pass.transactions);
        if pass.caught_up {
            self.archived_at.set(at.as_second());
        }
    }

    /// A pass has failed.
    pub fn failed(&self) {
        self.archiving.set(1);
        self.failures.inc();
    }

    /// Another member is the primary.
    pub fn resting(&self) {
        self.archiving.set(0);
    }

    /// In the text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).ok();
        text
    }
}

/// Serves `/metrics` until the process ends.
///
/// # Errors
/// When the address cannot be had.
pub fn serve(vitals: &Arc<Vitals>, listen: SocketAddr) -> Result<(), BackupError> {
    let data = web::Data::from(Arc::clone(vitals));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .route("/metrics", web::get().to(metrics))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(listen)
    .map_err(BackupError::disk(
        "listen for",
        std::path::Path::new("/metrics"),
    ))?
    .run();
    tokio::spawn(server);
    Ok(())
}

async fn metrics(vitals: web::Data<Vitals>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(vitals.text())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Pass, Vitals};

    #[test]
    fn only_what_is_archived_is_said_to_be() {
        let vitals = Vitals::default();
        let pass = |caught_up: bool, second: i64| {
            let pass = Pass {
                transactions: 2,
                caught_up,
                ..Pass::default()
            };
            vitals.passed(&pass, Timestamp::from_second(second).unwrap());
            vitals.text()
        };
        let at = |text: &str, second: u32| {
            let line = format!("panono_backup_archived_timestamp_seconds {second}\n");
            assert!(text.contains(&line), "{text}");
        };
        at(&pass(true, 10), 10);
        // Passes go on, and there is something that none of them takes.
        let behind = pass(false, 20);
        at(&behind, 10);
        assert!(behind.contains("panono_backup_archived_transactions_total 4\n"));
        at(&pass(true, 30), 30);
    }
}
