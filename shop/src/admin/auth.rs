//! Who asks, and whether they may.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, ResponseError as _, web};
use moka::sync::Cache;
use time::OffsetDateTime;

use super::AdminState;
use super::token::{Demand, SecretHash, Token};
use super::{store_staff, store_token};
use crate::web::error::{ApiError, Code};
use crate::web::request_id;

/// For how long a token that was found is not looked up again: the time a revoked token may still work.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Tokens remembered at once; more than a shop's staff and programs have.
const MOST_REMEMBERED: u64 = 1000;

/// Tokens found lately.
#[derive(Debug, Clone)]
pub struct TokenCache(Cache<SecretHash, Arc<Token>>);

impl Default for TokenCache {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MOST_REMEMBERED)
                .time_to_live(REMEMBERED)
                .build(),
        )
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Staff(Arc<Token>);

/// Who makes a change, for the audit log.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The name of the token.
    pub name: String,
    /// The request in which the change is made.
    pub request_id: String,
}

/// Middleware: finds the token of a request before its body is read. Without a valid one it answers 401 by itself, so that the
/// answer passes the middleware around this one as any other.
///
/// # Errors
/// Those of the handler.
pub async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let found = match request.app_data::<web::Data<AdminState>>().cloned() {
        Some(state) => find(&state, &request).await,
        None => Err(ApiError::new(Code::Internal).detail("the staff API is not set up")),
    };
    match found {
        Ok(token) => {
            request.extensions_mut().insert(Staff(token));
            next.call(request)
                .await
                .map(ServiceResponse::map_into_left_body)
        }
        Err(error) => Ok(request
            .into_response(error.error_response())
            .map_into_right_body()),
    }
}

async fn find(state: &AdminState, request: &ServiceRequest) -> Result<Arc<Token>, ApiError> {
    let refused = |detail: &str| ApiError::new(Code::Unauthenticated).detail(detail);
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (Some(value), None) = (headers.next(), headers.next()) else {
        return Err(refused("send one header `Authorization: Bearer panono_…`"));
    };
    let (scheme, secret) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or_else(|| refused("the header must be `Authorization: Bearer panono_…`"))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused("the scheme of `Authorization` must be `Bearer`"));
    }
    let invalid = || {
        refused(
            "the token is unknown, expired or revoked; make one with `panono-shop token create`, or sign in",
        )
    };
    let hash = SecretHash::of_presented(secret.trim()).ok_or_else(invalid)?;
    let token = match state.tokens.0.get(&hash) {
        Some(token) => token,
        None => {
            let wanted = hash.clone();
            let found = state
                .read(move |connection| {
                    Box::pin(async move {
                        // A program's token, or that of a member of staff who signed in.
                        match store_token::find(connection, &wanted).await? {
                            Some(token) => Ok(Some(token)),
                            None => Ok(store_staff::find_session(connection, &wanted).await?),
                        }
                    })
                })
                .await?;
            let token = Arc::new(found.ok_or_else(invalid)?);
            state.tokens.0.insert(hash, Arc::clone(&token));
            token
        }
    };
    if token.is_valid(OffsetDateTime::now_utc()) {
        Ok(token)
    } else {
        Err(invalid())
    }
}

/// A request whose token has the scope of `D`.
#[derive(Debug)]
pub struct Scoped<D> {
    staff: Staff,
    demand: PhantomData<D>,
}

impl<D> Scoped<D> {
    /// Who makes the change of this request.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor {
            name: self.staff.0.name.clone(),
            request_id: request_id::current().unwrap_or_default(),
        }
    }
}

impl<D: Demand + 'static> FromRequest for Scoped<D> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let staff = request.extensions().get::<Staff>().cloned();
        ready(match staff {
            None => Err(ApiError::new(Code::Unauthenticated)),
            Some(staff) if !staff.0.scopes.contains(&D::SCOPE) => {
                Err(ApiError::new(Code::Forbidden)
                    .detail(format!("the token lacks the scope {}", D::SCOPE)))
            }
            Some(staff) => Ok(Self {
                staff,
                demand: PhantomData,
            }),
        })
    }
}
