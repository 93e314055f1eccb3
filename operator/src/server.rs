//! `/metrics`, `/livez` and `/readyz` of the operator.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};

use crate::controller::Vitals;

/// Serves on `address` until the handle is told to stop.
///
/// # Errors
/// When the address cannot be had.
pub fn serve(
    address: SocketAddr,
    vitals: &Arc<Vitals>,
) -> std::io::Result<(ServerHandle, actix_web::dev::Server)> {
    let vitals = web::Data::from(Arc::clone(vitals));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(vitals.clone())
            .route("/metrics", web::get().to(metrics))
            .route("/livez", web::get().to(livez))
            .route("/readyz", web::get().to(readyz))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(2)
    .bind(address)?
    .run();
    Ok((server.handle(), server))
}

async fn metrics(vitals: web::Data<Vitals>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(vitals.metrics())
}

async fn livez(vitals: web::Data<Vitals>) -> HttpResponse {
    answer(vitals.alive().map(|()| "alive"))
}

async fn readyz(vitals: web::Data<Vitals>) -> HttpResponse {
    answer(vitals.ready())
}

fn answer(state: Result<&'static str, String>) -> HttpResponse {
    match state {
        Ok(words) => HttpResponse::Ok().body(words),
        Err(words) => HttpResponse::ServiceUnavailable().body(words),
    }
}
