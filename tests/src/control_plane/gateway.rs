//! A gateway before an API server that counts requests and makes some of them fail, as networks and busy servers do.
//!
//! It speaks HTTP without TLS to its clients, so that it sees what they ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::stream;

use super::ControlPlane;
use crate::ports::Port;

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PATCH` …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// What was sent.
    pub body: Bytes,
}

impl Request {
    /// Whether it changes something. Leases and events do not count: the one is renewed all the time, the other is for people.
    pub fn is_write(&self) -> bool {
        self.method != "GET" && !self.path.contains("/leases") && !self.path.contains("/events")
    }
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status and does nothing.
    Answer(u16),
    /// It is not passed on, and there is no answer.
    CutBefore,
    /// It is done, and there is no answer.
    CutAfter,
    /// It waits for so long before it is passed on.
    Delay(Duration),
}

type Decide = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

struct State {
    url: String,
    client: reqwest::Client,
    requests: Mutex<Vec<Request>>,
    decide: Mutex<Option<Decide>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The gateway. It ends with this value.
pub struct Gateway {
    state: Arc<State>,
    port: Port,
    handle: ServerHandle,
}

impl Gateway {
    /// Starts one before `plane`.
    ///
    /// # Errors
    /// When there is no port for it.
    pub fn start(plane: &ControlPlane) -> Result<Self> {
        crate::http::install_tls();
        let port = Port::take()?;
        let state = Arc::new(State {
            url: plane.url(),
            client: reqwest::Client::builder()
                .tls_danger_accept_invalid_certs(true)
                .no_proxy()
                .build()
                .context("failed to make a client")?,
            requests: Mutex::default(),
            decide: Mutex::default(),
        });
        let data = web::Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(8 << 20))
                .default_service(web::to(pass))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(0)
        .bind(port.address())?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self {
            state,
            port,
            handle,
        })
    }

    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// Decides from now on what happens to requests.
    pub fn decide(&self, decide: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        *locked(&self.state.decide) = Some(Box::new(decide));
    }

    /// Passes everything on from now on.
    pub fn pass(&self) {
        *locked(&self.state.decide) = None;
    }

    /// Requests so far.
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.state.requests).clone()
    }

    /// Requests so far that change something.
    pub fn writes(&self) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(Request::is_write)
            .collect()
    }

    /// Waits for `time` and names the first request that changed something meanwhile and that `concerns` accepts.
    ///
    /// # Errors
    /// When there was one.
    pub async fn quiet(&self, time: Duration, concerns: impl Fn(&Request) -> bool) -> Result<()> {
        let before = self.requests().len();
        let until = std::time::Instant::now() + time;
        while std::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let requests = self.requests();
            let found = requests
                .get(before..)
                .unwrap_or_default()
                .iter()
                .find(|request| request.is_write() && concerns(request));
            if let Some(found) = found {
                anyhow::bail!("{} {} was not to be expected", found.method, found.path);
            }
        }
        Ok(())
    }

    /// Forgets what was counted.
    pub fn forget(&self) {
        locked(&self.state.requests).clear();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The future need not be awaited for the server to be told.
        drop(self.handle.stop(false));
    }
}

async fn pass(request: HttpRequest, body: Bytes, state: web::Data<State>) -> HttpResponse {
    let noted = Request {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        body: body.clone(),
    };
    locked(&state.requests).push(noted.clone());
    let fault = locked(&state.decide)
        .as_mut()
        .and_then(|decide| decide(&noted));
    match fault {
        Some(Fault::Answer(code)) => return failure(code),
        Some(Fault::CutBefore) => return cut(),
        Some(Fault::Delay(pause)) => tokio::time::sleep(pause).await,
        Some(Fault::CutAfter) | None => {}
    }
    let target = format!(
        "{}{}",
        state.url,
        request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str())
    );
    let method = match *request.method() {
        Method::GET => reqwest::Method::GET,
        Method::POST => reqwest::Method::POST,
        Method::PUT => reqwest::Method::PUT,
        Method::PATCH => reqwest::Method::PATCH,
        _ => reqwest::Method::DELETE,
    };
    let mut passed = state.client.request(method, target).body(body);
    for name in ["authorization", "content-type", "accept"] {
        if let Some(value) = request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
        {
            passed = passed.header(name, value);
        }
    }
    let Ok(answer) = passed.send().await else {
        return cut();
    };
    if fault == Some(Fault::CutAfter) {
        return cut();
    }
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::build(status);
    if let Some(kind) = answer
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
    {
        response.content_type(kind);
    }
    // Watches are answers without an end.
    let chunks = stream::unfold(answer, |mut answer| async move {
        match answer.chunk().await {
            Ok(Some(chunk)) => Some((Ok::<_, std::io::Error>(chunk), answer)),
            _ => None,
        }
    });
    response.streaming(Box::pin(chunks))
}

/// An answer that breaks off before its end: what a client sees of a connection that was cut.
fn cut() -> HttpResponse {
    let broken = stream::once(async {
        Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    HttpResponse::Ok()
        .content_type("application/json")
        .streaming(Box::pin(broken))
}

fn failure(code: u16) -> HttpResponse {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(serde_json::json!({
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "message": "made to fail by a test",
        "reason": status.canonical_reason().unwrap_or_default().replace(' ', ""),
        "code": code,
    }))
}
