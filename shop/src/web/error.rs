//! Every error that the shop answers with, in one table, as problem details (RFC 9457).

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::{DbError, MayBeDatabase};

/// How loud a failure is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The client's mistake: nobody needs to act.
    Quiet,
    /// Something the shop depends on is away.
    Warn,
    /// A defect of the shop.
    Error,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $status:literal, $title:literal, $retry:expr, $level:ident;)+) => {
        /// The codes of errors. A code never changes its meaning; clients may switch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $variant,)+ }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// The code as it stands in answers.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Code::$variant => $code,)+ } }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 { match self { $(Code::$variant => $status,)+ } }

            /// A short text that is the same for each occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str { match self { $(Code::$variant => $title,)+ } }

            /// After how many seconds the same request may work, if it may.
            #[must_use]
            pub const fn retry_after(self) -> Option<u32> { match self { $(Code::$variant => $retry,)+ } }

            const fn level(self) -> Level { match self { $(Code::$variant => Level::$level,)+ } }
        }
    };
}

codes! {
    /// A parameter or a field has a value that it cannot have. `errors` names each.
    InvalidRequest = "invalid_request", 400, "The request is not valid", None, Quiet;
    /// The body is not JSON, or not of the form that the route takes.
    InvalidBody = "invalid_body", 400, "The body is not valid", None, Quiet;
    /// A page cursor was not made by this route with these parameters.
    InvalidCursor = "invalid_cursor", 400, "The cursor does not belong to this query", None, Quiet;
    /// A request that must have one effect only came without `Idempotency-Key`.
    IdempotencyKeyMissing = "idempotency_key_missing", 400, "Idempotency-Key is needed", None, Quiet;
    /// A message of a payment provider or a carrier that is not signed as theirs are.
    InvalidSignature = "invalid_signature", 400, "The message is not signed by its sender", None, Quiet;
    /// No bearer token, or one that is unknown, expired or revoked.
    Unauthenticated = "unauthenticated", 401, "A valid bearer token is needed", None, Quiet;
    /// Nobody is signed in, and the address is somebody's own.
    SignInRequired = "sign_in_required", 401, "Signing in is needed", None, Quiet;
    /// The payment was declined. The cart is as it was: another card may be tried.
    PaymentDeclined = "payment_declined", 402, "The payment was declined", None, Quiet;
    /// An address and a password that do not open an account, for whatever reason.
    InvalidCredentials = "invalid_credentials", 401, "The address or the password is wrong", None, Quiet;
    /// The token lacks a scope. `detail` names it.
    Forbidden = "forbidden", 403, "The token does not allow this", None, Quiet;
    /// A request with somebody's cookies that was begun by another site.
    CrossSite = "cross_site", 403, "The request does not come from this shop", None, Quiet;
    /// There is nothing at this address.
    NotFound = "not_found", 404, "There is nothing at this address", None, Quiet;
    /// The method is not one that this address knows.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here", None, Quiet;
    /// Another entity has the slug, the SKU or the name already.
    Conflict = "conflict", 409, "It contradicts what is there", None, Quiet;
    /// The cart has become an order, or one is being made of it.
    CartNotOpen = "cart_not_open", 409, "The cart cannot be changed", None, Quiet;
    /// A line has more pieces than are left. `errors` names each.
    OutOfStock = "out_of_stock", 409, "Not enough pieces are left", None, Quiet;
    /// A request with the same `Idempotency-Key` is being worked on.
    IdempotencyInFlight = "idempotency_in_flight", 409, "The same request is being worked on", Some(1), Quiet;
    /// The cart costs another amount than `expected_total`. `total` is the new one, in minor units.
    CartChanged = "cart_changed", 409, "The cart changed", None, Quiet;
    /// A coupon or a promotion of the cart has been used as often as it may be. `detail` names it.
    PromotionUsedUp = "promotion_used_up", 409, "A promotion is used up", None, Quiet;
    /// The cart is being paid for: by another tab, or by a payment whose outcome is not known yet.
    CompletionInProgress = "completion_in_progress", 409, "The cart is being paid for", Some(2), Quiet;
    /// The payment provider refused to move money. `detail` has its code.
    ProviderRefused = "provider_refused", 409, "The payment provider refused", None, Quiet;
    /// There was something at this address, and it is gone for good.
    Gone = "gone", 410, "It is no longer offered", None, Quiet;
    /// `If-Match` names a version that is not the current one.
    VersionMismatch = "version_mismatch", 412, "It was changed by someone else", None, Quiet;
    /// The body is larger than the route takes.
    TooLarge = "too_large", 413, "The body is too large", None, Quiet;
    /// The address is longer than the shop takes.
    UriTooLong = "uri_too_long", 414, "The address is too long", None, Quiet;
    /// The body is of a type that the route does not take.
    UnsupportedMediaType = "unsupported_media_type", 415, "The type of the body is not supported", None, Quiet;
    /// The host is not one of this shop's.
    Misdirected = "misdirected", 421, "This shop does not answer for that host", None, Quiet;
    /// The body is well formed, and says something that cannot be.
    Unprocessable = "unprocessable", 422, "The values cannot be accepted", None, Quiet;
    /// A coupon that is unknown, not yet or no longer valid, or used as often as it can be.
    CouponNotValid = "coupon_not_valid", 422, "The coupon cannot be used", None, Quiet;
    /// The `Idempotency-Key` was sent with another payload before.
    IdempotencyMismatch = "idempotency_mismatch", 422, "The Idempotency-Key belongs to another request", None, Quiet;
    /// The order is not taken online. It does not say why.
    PaymentRefused = "payment_refused", 422, "The order cannot be taken online", None, Quiet;
    /// Something is missing before the cart can be ordered. `errors` names each field.
    CheckoutIncomplete = "checkout_incomplete", 422, "Something is missing before it can be ordered", None, Quiet;
    /// A write without `If-Match`.
    VersionRequired = "version_required", 428, "If-Match with the current version is needed", None, Quiet;
    /// Too many attempts. `Retry-After` says when the next one counts.
    TooManyAttempts = "too_many_attempts", 429, "There were too many attempts", Some(30), Quiet;
    /// The shop failed.
    Internal = "internal", 500, "The shop failed", None, Error;
    /// The database, or another part that the answer needs, is away.
    Unavailable = "unavailable", 503, "The shop cannot answer at the moment", Some(2), Warn;
    /// More requests wait than the shop can serve in time.
    Overloaded = "overloaded", 503, "The shop is busy", Some(1), Warn;
    /// The answer to a commit was lost: the change may have taken effect.
    OutcomeUnknown = "outcome_unknown", 503, "It is not known whether the change took effect; read it again", Some(2), Warn;
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer into the body, or the name of the parameter.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub message: String,
}

/// Problem details (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that identifies the kind of problem: `about:blank#` and the code.
    pub r#type: String,
    /// A short text that is the same for each occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The code, for programs.
    pub code: String,
    /// What was wrong this time and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The fields that are wrong, all of them at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The request's id, to be given to whoever runs the shop. Absent from answers that caches may store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Members that the code adds (RFC 9457, 3.2), such as the new `total`.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extensions: serde_json::Map<String, serde_json::Value>,
}

/// An error on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    /// Which.
    pub code: Code,
    /// What was wrong this time.
    pub detail: Option<String>,
    /// The fields that are wrong.
    pub fields: Vec<FieldError>,
    retry_after: Option<u32>,
    /// Members that the code adds to the answer.
    pub extensions: serde_json::Map<String, serde_json::Value>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// An error without details.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            fields: Vec::new(),
            retry_after: code.retry_after(),
            extensions: serde_json::Map::new(),
            source: None,
        }
    }

    /// Adds what was wrong this time. It is shown to the client: no secrets, no causes.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a field that is wrong.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.fields.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Says after how many seconds the same request may work, where it is known better than the table does.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds a member that the code has beyond those of every problem.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// A failure of the shop itself. The cause goes to the log only.
    pub fn internal(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..Self::new(Code::Internal)
        }
    }

    /// Something that the shop depends on is away. The cause goes to the log only.
    pub fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..Self::new(Code::Unavailable)
        }
    }

    /// The body of the answer.
    #[must_use]
    pub fn problem(&self, request_id: Option<String>) -> Problem {
        Problem {
            r#type: format!("about:blank#{}", self.code.name()),
            title: self.code.title().to_owned(),
            status: self.code.status(),
            code: self.code.name().to_owned(),
            detail: self.detail.clone(),
            errors: self.fields.clone(),
            request_id,
            extensions: self.extensions.clone(),
        }
    }

    /// Logs the error, once, where it leaves the program.
    pub fn log(&self, request_id: &str) {
        let cause = self.source.as_ref().map(|source| chain(source.as_ref()));
        let code = self.code.name();
        match self.code.level() {
            Level::Quiet => {
                tracing::debug!(code, request_id, detail = ?self.detail, "request refused")
            }
            Level::Warn => tracing::warn!(code, request_id, cause, "request could not be served"),
            Level::Error => {
                tracing::error!(code, request_id, cause, detail = ?self.detail, "request failed")
            }
        }
    }
}

/// Prints an error and all its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.code.title())
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn std::error::Error + 'static))
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        let code = match &error {
            DbError::ReadOnly => {
                return Self::new(Code::Unavailable)
                    .detail("the shop can be looked at, and nothing in it changed, at the moment");
            }
            DbError::CommitUnknown(_) => Code::OutcomeUnknown,
            error if error.is_unavailable() => Code::Unavailable,
            _ => Code::Internal,
        };
        Self {
            source: Some(Box::new(error)),
            ..Self::new(code)
        }
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        DbError::from(error).into()
    }
}

impl MayBeDatabase for ApiError {
    fn database(&self) -> Option<&sqlx::Error> {
        self.source
            .as_ref()
            .and_then(|source| source.downcast_ref::<DbError>())
            .and_then(MayBeDatabase::database)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The private form: never stored by any cache, with the request's id.
    fn error_response(&self) -> HttpResponse {
        let request_id = super::request_id::current();
        self.log(request_id.as_deref().unwrap_or("-"));
        let mut response = HttpResponse::build(self.status_code());
        response
            .insert_header((header::CACHE_CONTROL, crate::edge::headers::PRIVATE))
            .insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.code == Code::Unauthenticated {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if matches!(self.code, Code::SignInRequired | Code::InvalidCredentials) {
            // The scheme has no standard; RFC 9110, 15.5.2 asks for one all the same.
            response.insert_header((header::WWW_AUTHENTICATE, "Cookie realm=\"account\""));
        }
        let body = serde_json::to_vec(&self.problem(request_id)).unwrap_or_default();
        response.body(body)
    }
}

/// Explains a bare 405 as every other error: actix answers methods that an address does not know by itself, with `Allow` (RFC 9110,
/// 15.5.6) and nothing else.
#[must_use]
pub fn explained(response: HttpResponse) -> HttpResponse {
    let is_bare = response.status() == StatusCode::METHOD_NOT_ALLOWED
        && !response.headers().contains_key(header::CONTENT_TYPE);
    if !is_bare {
        return response;
    }
    let mut answer = HttpResponse::from_error(ApiError::new(Code::MethodNotAllowed));
    if let Some(methods) = response.headers().get(header::ALLOW) {
        answer.headers_mut().insert(header::ALLOW, methods.clone());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_stable() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn only_what_may_work_later_says_when() {
        for code in Code::ALL {
            assert_eq!(
                code.retry_after().is_some(),
                matches!(code.status(), 429 | 503)
                    || matches!(code, Code::IdempotencyInFlight | Code::CompletionInProgress),
                "{code:?}"
            );
        }
    }

    #[test]
    fn a_cause_is_not_shown_to_the_client() {
        let error = ApiError::internal(std::io::Error::other("password=hunter2"));
        let body = serde_json::to_string(&error.problem(None)).expect("a problem is JSON");
        assert!(!body.contains("hunter2"));
    }
}
