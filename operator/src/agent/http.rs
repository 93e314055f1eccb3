//! What the agent answers over HTTP: probes and metrics to whoever asks, the interface to holders of a certificate.

use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context as _, Result};
use tokio::sync::oneshot;

use super::api::{COMMANDS_PATH, Code, Command, MemberState, Problem, STATUS_PATH};
use super::core::{Core, Request};

/// A loop that has not gone round for so long hangs.
const ALIVE_MS: u64 = 60_000;
/// What readiness rests on may be so old.
const FRESH_MS: u64 = 3_000;
/// More than any command has.
const LARGEST: usize = 64 << 10;

/// Starts both servers.
///
/// # Errors
/// When an address cannot be had.
pub fn serve(core: &Arc<Core>) -> Result<(Vec<ServerHandle>, Vec<Server>)> {
    let config = core.config();
    let data = web::Data::from(Arc::clone(core));
    let probes_data = data.clone();
    let probes = HttpServer::new(move || {
        App::new()
            .app_data(probes_data.clone())
            .route("/livez", web::get().to(livez))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(metrics))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .bind(config.probe_listen)
    .with_context(|| format!("failed to listen on {}", config.probe_listen))?
    .run();
    let api = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(LARGEST))
            .route(STATUS_PATH, web::get().to(status))
            .route(COMMANDS_PATH, web::post().to(command))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .bind_rustls_0_23(config.api_listen, core.certificates.server()?)
    .with_context(|| format!("failed to listen on {}", config.api_listen))?
    .run();
    Ok((vec![probes.handle(), api.handle()], vec![probes, api]))
}

/// Alive is whoever's loop goes round; it says nothing of replication. While it ends it takes the time that it needs.
async fn livez(core: web::Data<Core>) -> HttpResponse {
    if core.is_ending() || core.idle_ms() < ALIVE_MS {
        HttpResponse::Ok().body("alive")
    } else {
        HttpResponse::ServiceUnavailable().body("the agent's loop hangs")
    }
}

/// Ready is who is online with a majority and takes connections, by an answer of the server that is not old.
async fn readyz(core: web::Data<Core>) -> HttpResponse {
    let moment = core.moment();
    let problem = match &moment.seen {
        _ if core.is_ending() => Some("ending".to_owned()),
        None => Some("the server does not answer yet".to_owned()),
        Some((_, at)) if at.elapsed().as_millis() > u128::from(FRESH_MS) => {
            Some("the server does not answer".to_owned())
        }
        Some((seen, _)) if seen.view.state != MemberState::Online => Some(format!(
            "the member is {:?}{}",
            seen.view.state,
            core.out_because(&moment)
                .map_or_else(String::new, |error| format!(": {error}"))
        )),
        Some((seen, _)) if !seen.view.majority => Some("no majority".to_owned()),
        Some((seen, _)) if seen.offline_mode => Some("no connections are taken yet".to_owned()),
        Some(_) => None,
    };
    match problem {
        None => HttpResponse::Ok().body("ready"),
        Some(words) => HttpResponse::ServiceUnavailable().body(words),
    }
}

async fn metrics(core: web::Data<Core>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(core.metrics.text(&core.status()))
}

async fn status(core: web::Data<Core>) -> HttpResponse {
    HttpResponse::Ok().json(core.status())
}

async fn command(core: web::Data<Core>, body: web::Bytes) -> HttpResponse {
    let command: Command = match serde_json::from_slice(&body) {
        Ok(command) => command,
        Err(error) => {
            return refused(&Problem {
                code: Code::BadRequest,
                detail: error.to_string(),
            });
        }
    };
    let (answer, answered) = oneshot::channel();
    let busy = Problem {
        code: Code::Busy,
        detail: "the agent is at other commands, or ending; ask again".to_owned(),
    };
    if core.submit(Request { command, answer }).is_err() {
        return refused(&busy);
    }
    match answered.await {
        Ok(Ok(done)) => HttpResponse::Ok().json(done),
        Ok(Err(problem)) => refused(&problem),
        Err(_) => refused(&busy),
    }
}

fn refused(problem: &Problem) -> HttpResponse {
    actix_web::http::StatusCode::from_u16(problem.code.http_status())
        .map_or_else(|_| HttpResponse::InternalServerError(), HttpResponse::build)
        .json(problem)
}
