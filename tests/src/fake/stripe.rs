//! Stripe as its documentation describes it, as far as a shop with manual capture needs it: PaymentIntents, captures in parts,
//! cancellation, refunds, idempotent replays, error classes and signed webhooks, spoken over real HTTP.
//!
//! Written from Stripe's public API reference ("PaymentIntents", "Refunds", "Idempotent requests", "Errors") and its guide to webhook
//! signatures. Payment methods are Stripe's own test names: `pm_card_visa`, `pm_card_chargeDeclined`,
//! `pm_card_threeDSecure2Required`, and so on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Context, Result, ensure};
use panono_shop::payments::signature;
use serde_json::{Value, json};

use super::{FakeService, Reply, Request};
use crate::http;

/// The secret key that the fake accepts.
pub const SECRET_KEY: &str = "sk_test_panono";
/// The secret of its webhook endpoint.
pub const WEBHOOK_SECRET: &str = "whsec_panono";

/// What happens to the next request of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is carried out, and the connection is cut before the answer.
    LoseAnswer,
    /// The connection is cut before anything is done.
    LoseRequest,
    /// Stripe's own failure, nothing done: 500. As Stripe does, a repetition with the same key gives the same answer.
    Fail,
    /// 429: nothing done, try later.
    TooMany,
    /// 409: another request with this key is under way.
    InUse,
    /// A refusal: 400 with this code.
    Refuse(&'static str),
}

#[derive(Debug, Default)]
struct Books {
    intents: BTreeMap<String, Value>,
    refunds: Vec<Value>,
    answers: BTreeMap<String, (String, u16, Value)>,
    effects: Vec<(String, String, i64)>,
    events: Vec<Value>,
    troubles: VecDeque<(&'static str, Trouble)>,
    several_captures: bool,
    pending_refunds: bool,
    next: u64,
}

impl Books {
    fn id(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}_{:06}", self.next)
    }

    fn tell(&mut self, kind: &str, object: &Value) {
        let id = self.id("evt");
        self.events.push(
            json!({ "id": id, "object": "event", "type": kind, "data": { "object": object } }),
        );
    }
}

/// The fake. It ends when dropped.
pub struct FakeStripe {
    service: FakeService,
    books: Arc<Mutex<Books>>,
}

impl std::fmt::Debug for FakeStripe {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FakeStripe").finish_non_exhaustive()
    }
}

fn locked(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().expect("no test panics with the lock")
}

impl FakeStripe {
    /// Starts it on a port of its own.
    pub async fn start() -> Self {
        let books = Arc::new(Mutex::new(Books {
            several_captures: true,
            ..Books::default()
        }));
        let shared = Arc::clone(&books);
        let service =
            FakeService::start(move |request| answer(&mut locked(&shared), request)).await;
        Self { service, books }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.service.url()
    }

    /// Where it listens, for a proxy.
    pub fn address(&self) -> std::net::SocketAddr {
        self.service.address()
    }

    /// Has this happen to the next request of this kind: `open`, `confirm`, `capture`, `cancel`, `refund`, `report`.
    pub fn trouble(&self, kind: &'static str, trouble: Trouble) {
        locked(&self.books).troubles.push_back((kind, trouble));
    }

    /// Cards allow one capture only from now on, as without "multicapture".
    pub fn one_capture(&self) {
        locked(&self.books).several_captures = false;
    }

    /// Refunds stay pending until [`FakeStripe::end_refunds`].
    pub fn pending_refunds(&self) {
        locked(&self.books).pending_refunds = true;
    }

    /// Pending refunds end so: `succeeded`, `failed`.
    pub fn end_refunds(&self, status: &str) {
        let mut books = locked(&self.books);
        books.pending_refunds = false;
        for refund in &mut books.refunds {
            if refund["status"] == "pending" {
                refund["status"] = json!(status);
            }
        }
    }

    /// What was done, each once: `capture`, `refund`, `cancel`, `authorize`, with the intent and the amount.
    pub fn effects(&self) -> Vec<(String, String, i64)> {
        locked(&self.books).effects.clone()
    }

    /// What was done of a kind, in sum.
    pub fn sum(&self, kind: &str) -> i64 {
        let effects = self.effects();
        let amounts = effects.iter().filter(|(known, _, _)| known == kind);
        amounts.map(|(_, _, amount)| amount).sum()
    }

    /// The intents as they stand.
    pub fn intents(&self) -> Vec<Value> {
        locked(&self.books).intents.values().cloned().collect()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.service.requests()
    }

    /// The events so far, the first first.
    pub fn events(&self) -> Vec<Value> {
        locked(&self.books).events.clone()
    }

    /// The shopper passes or fails the second step of an intent.
    pub fn authenticate(&self, intent: &str, passed: bool) {
        let mut books = locked(&self.books);
        let several = books.several_captures;
        let Some(found) = books.intents.get_mut(intent) else {
            return;
        };
        if found["status"] != "requires_action" {
            return;
        }
        found["next_action"] = Value::Null;
        if passed {
            authorise(found, several);
        } else {
            found["status"] = json!("requires_payment_method");
            found["last_payment_error"] = json!({ "type": "invalid_request_error", "code": "payment_intent_authentication_failure" });
        }
        let found = found.clone();
        if passed {
            let amount = found["amount"].as_i64().unwrap_or(0);
            books
                .effects
                .push(("authorize".to_owned(), intent.to_owned(), amount));
        }
        books.tell(
            if passed {
                "payment_intent.amount_capturable_updated"
            } else {
                "payment_intent.payment_failed"
            },
            &found,
        );
    }

    /// What an intent that is being processed comes to.
    pub fn settle(&self, intent: &str) {
        let mut books = locked(&self.books);
        let several = books.several_captures;
        let Some(found) = books.intents.get_mut(intent) else {
            return;
        };
        if found["status"] == "processing" {
            authorise(found, several);
            let found = found.clone();
            books.tell("payment_intent.amount_capturable_updated", &found);
        }
    }

    /// Sends an event to a shop, signed with a secret at a moment, and answers the status.
    ///
    /// # Errors
    /// When the shop does not answer.
    pub async fn send(
        &self,
        shop: &str,
        event: &Value,
        secret: &str,
        timestamp: i64,
    ) -> Result<u16> {
        let body = event.to_string();
        let header = signature::sign(secret, timestamp, body.as_bytes());
        let answer = http::client()
            .post(format!("{shop}/api/v1/webhooks/payments/stripe"))
            .header("Stripe-Signature", header)
            .header("Content-Type", "application/json")
            .body(body)
            .send()
            .await
            .context("the shop did not take a webhook")?;
        Ok(answer.status().as_u16())
    }

    /// Sends all events so far, as Stripe would.
    ///
    /// # Errors
    /// When the shop does not take one.
    pub async fn send_all(&self, shop: &str) -> Result<()> {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        for event in self.events() {
            let status = self.send(shop, &event, WEBHOOK_SECRET, now).await?;
            ensure!(status == 200, "a webhook was answered with {status}");
        }
        Ok(())
    }
}

fn error(status: u16, kind: &str, code: &str) -> (u16, Value) {
    (
        status,
        json!({ "error": { "type": kind, "code": code, "message": format!("{code} (fake)") } }),
    )
}

fn kind_of(request: &Request) -> &'static str {
    let path = request.target.split('?').next().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("GET", _) => "report",
        (_, "/v1/payment_intents") => "open",
        (_, "/v1/refunds") => "refund",
        (_, path) if path.ends_with("/confirm") => "confirm",
        (_, path) if path.ends_with("/capture") => "capture",
        (_, path) if path.ends_with("/cancel") => "cancel",
        _ => "",
    }
}

fn answer(books: &mut Books, request: &Request) -> Reply {
    let reply = |(status, body): (u16, Value)| Reply::new(status, body.to_string());
    if request.header("authorization") != format!("Bearer {SECRET_KEY}") {
        return reply(error(401, "invalid_request_error", "api_key_invalid"));
    }
    if request.header("stripe-version").is_empty() {
        return reply(error(400, "invalid_request_error", "version_missing"));
    }
    let kind = kind_of(request);
    let trouble = books
        .troubles
        .iter()
        .position(|(of, _)| *of == kind)
        .and_then(|at| books.troubles.remove(at))
        .map(|(_, trouble)| trouble);
    let key = request.header("idempotency-key").to_owned();
    let fingerprint = format!("{} {} {}", request.method, request.target, request.text());
    match trouble {
        Some(Trouble::LoseRequest) => return Reply::Cut,
        Some(Trouble::TooMany) => return reply(error(429, "invalid_request_error", "rate_limit")),
        Some(Trouble::InUse) => {
            return reply(error(409, "idempotency_error", "idempotency_key_in_use"));
        }
        _ => {}
    }
    if let Some((known, status, body)) = books.answers.get(&key)
        && !key.is_empty()
    {
        if *known != fingerprint {
            return reply(error(400, "idempotency_error", "idempotency_key_mismatch"));
        }
        return Reply::new(*status, body.to_string()).with("Idempotent-Replayed", "true");
    }
    let done = match trouble {
        Some(Trouble::Fail) => error(500, "api_error", "internal"),
        Some(Trouble::Refuse(code)) => error(400, "invalid_request_error", code),
        _ => carry_out(books, request),
    };
    if !key.is_empty() {
        books
            .answers
            .insert(key, (fingerprint, done.0, done.1.clone()));
    }
    if trouble == Some(Trouble::LoseAnswer) {
        return Reply::Cut;
    }
    reply(done)
}

fn carry_out(books: &mut Books, request: &Request) -> (u16, Value) {
    let form = pairs(&request.text());
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["v1", "payment_intents"]) => open(books, &form),
        ("GET", ["v1", "payment_intents", id]) => match books.intents.get(*id) {
            Some(intent) => (200, intent.clone()),
            None => error(404, "invalid_request_error", "resource_missing"),
        },
        ("POST", ["v1", "payment_intents", id, "confirm"]) => confirm(books, id, &form),
        ("POST", ["v1", "payment_intents", id, "capture"]) => capture(books, id, &form),
        ("POST", ["v1", "payment_intents", id, "cancel"]) => cancel(books, id),
        ("POST", ["v1", "refunds"]) => refund(books, &form),
        ("GET", ["v1", "refunds"]) => {
            let wanted = pairs(query).get("payment_intent").cloned();
            let data: Vec<&Value> = books
                .refunds
                .iter()
                .rev()
                .filter(|refund| refund["payment_intent"].as_str() == wanted.as_deref())
                .collect();
            (
                200,
                json!({ "object": "list", "data": data, "has_more": false }),
            )
        }
        _ => error(404, "invalid_request_error", "url_invalid"),
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    reqwest::Url::parse(&format!("http://stripe.example/?{text}"))
        .map(|url| url.query_pairs().into_owned().collect())
        .unwrap_or_default()
}

fn number(form: &BTreeMap<String, String>, name: &str) -> Option<i64> {
    form.get(name)?.parse().ok()
}

fn metadata(form: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    form.iter()
        .filter_map(|(name, value)| {
            let key = name.strip_prefix("metadata[")?.strip_suffix(']')?;
            Some((key.to_owned(), value.clone()))
        })
        .collect()
}

fn open(books: &mut Books, form: &BTreeMap<String, String>) -> (u16, Value) {
    let Some(amount) = number(form, "amount").filter(|amount| *amount > 0) else {
        return error(400, "invalid_request_error", "parameter_invalid_integer");
    };
    let id = books.id("pi");
    let intent = json!({
        "id": id, "object": "payment_intent", "amount": amount, "amount_capturable": 0, "amount_received": 0,
        "currency": form.get("currency"), "capture_method": form.get("capture_method"), "status": "requires_payment_method",
        "metadata": metadata(form), "next_action": null, "last_payment_error": null, "latest_charge": null,
    });
    books.intents.insert(id, intent.clone());
    (200, intent)
}

fn authorise(intent: &mut Value, several_captures: bool) {
    intent["status"] = json!("requires_capture");
    intent["amount_capturable"] = intent["amount"].clone();
    intent["latest_charge"] = json!({ "id": "ch_1", "object": "charge", "payment_method_details": { "type": "card", "card": {
        "brand": "visa", "last4": "4242", "country": "US", "fingerprint": "Xt5EWLLDS7FJjR1c",
        "multicapture": { "status": if several_captures { "available" } else { "unavailable" } } } } });
}

fn confirm(books: &mut Books, id: &str, form: &BTreeMap<String, String>) -> (u16, Value) {
    let several = books.several_captures;
    let Some(intent) = books.intents.get_mut(id) else {
        return error(404, "invalid_request_error", "resource_missing");
    };
    if intent["status"] != "requires_payment_method" {
        return error(
            400,
            "invalid_request_error",
            "payment_intent_unexpected_state",
        );
    }
    let decline = match form.get("payment_method").map(String::as_str) {
        Some("pm_card_visa" | "pm_card_mastercard") => {
            authorise(intent, several);
            None
        }
        Some("pm_card_threeDSecure2Required") => {
            intent["status"] = json!("requires_action");
            intent["next_action"] = json!({ "type": "redirect_to_url", "redirect_to_url": {
                "url": format!("https://hooks.stripe.example/redirect/{id}"), "return_url": form.get("return_url") } });
            None
        }
        Some("pm_processing") => {
            intent["status"] = json!("processing");
            None
        }
        Some("pm_card_chargeDeclinedInsufficientFunds") => Some("insufficient_funds"),
        Some("pm_card_chargeDeclined") => Some("generic_decline"),
        _ => return error(400, "invalid_request_error", "resource_missing"),
    };
    if let Some(code) = decline {
        let problem =
            json!({ "type": "card_error", "code": "card_declined", "decline_code": code });
        intent["last_payment_error"] = problem.clone();
        let declined = intent.clone();
        books.tell("payment_intent.payment_failed", &declined);
        return (402, json!({ "error": problem }));
    }
    let intent = intent.clone();
    if intent["status"] == "requires_capture" {
        let amount = intent["amount"].as_i64().unwrap_or(0);
        books
            .effects
            .push(("authorize".to_owned(), id.to_owned(), amount));
        books.tell("payment_intent.amount_capturable_updated", &intent);
    }
    (200, intent)
}

fn capture(books: &mut Books, id: &str, form: &BTreeMap<String, String>) -> (u16, Value) {
    let several = books.several_captures;
    let Some(intent) = books.intents.get_mut(id) else {
        return error(404, "invalid_request_error", "resource_missing");
    };
    let capturable = intent["amount_capturable"].as_i64().unwrap_or(0);
    let amount = number(form, "amount_to_capture").unwrap_or(capturable);
    if intent["status"] != "requires_capture" {
        return error(
            400,
            "invalid_request_error",
            "payment_intent_unexpected_state",
        );
    }
    if amount > capturable || amount <= 0 {
        return error(400, "invalid_request_error", "amount_too_large");
    }
    let last = form.get("final_capture").map(String::as_str) != Some("false");
    if !last && !several {
        return error(400, "invalid_request_error", "multicapture_not_available");
    }
    let received = intent["amount_received"].as_i64().unwrap_or(0) + amount;
    intent["amount_received"] = json!(received);
    let done = last || amount == capturable;
    intent["amount_capturable"] = json!(if done { 0 } else { capturable - amount });
    intent["status"] = json!(if done {
        "succeeded"
    } else {
        "requires_capture"
    });
    for (name, value) in metadata(form) {
        intent["metadata"][name] = json!(value);
    }
    let intent = intent.clone();
    books
        .effects
        .push(("capture".to_owned(), id.to_owned(), amount));
    books.tell(
        "charge.captured",
        &json!({ "object": "charge", "id": "ch_1", "payment_intent": id }),
    );
    (200, intent)
}

fn cancel(books: &mut Books, id: &str) -> (u16, Value) {
    let Some(intent) = books.intents.get_mut(id) else {
        return error(404, "invalid_request_error", "resource_missing");
    };
    if matches!(
        intent["status"].as_str(),
        Some("succeeded" | "canceled" | "processing")
    ) {
        return error(
            400,
            "invalid_request_error",
            "payment_intent_unexpected_state",
        );
    }
    let held = intent["amount_capturable"].as_i64().unwrap_or(0);
    intent["status"] = json!("canceled");
    intent["amount_capturable"] = json!(0);
    let intent = intent.clone();
    books
        .effects
        .push(("cancel".to_owned(), id.to_owned(), held));
    books.tell("payment_intent.canceled", &intent);
    (200, intent)
}

fn refund(books: &mut Books, form: &BTreeMap<String, String>) -> (u16, Value) {
    let Some(id) = form.get("payment_intent").cloned() else {
        return error(400, "invalid_request_error", "parameter_missing");
    };
    let received = books
        .intents
        .get(&id)
        .and_then(|intent| intent["amount_received"].as_i64())
        .unwrap_or(0);
    let before: i64 = books
        .refunds
        .iter()
        .filter(|refund| refund["payment_intent"] == id.as_str() && refund["status"] != "failed")
        .filter_map(|refund| refund["amount"].as_i64())
        .sum();
    let amount = number(form, "amount").unwrap_or(received - before);
    if amount <= 0 || before + amount > received {
        return error(400, "invalid_request_error", "charge_already_refunded");
    }
    let status = if books.pending_refunds {
        "pending"
    } else {
        "succeeded"
    };
    let refund = json!({ "id": books.id("re"), "object": "refund", "amount": amount, "payment_intent": id,
        "status": status, "metadata": metadata(form) });
    books.refunds.push(refund.clone());
    books.effects.push(("refund".to_owned(), id, amount));
    books.tell("refund.updated", &refund);
    (200, refund)
}
