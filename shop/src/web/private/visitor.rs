//! Who asks: extractors of private routes.

use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::{PrivateState, PublicId};
use crate::accounts::session::{Session, Stage, TokenHash};
use crate::accounts::store_session;
use crate::web::error::{ApiError, Code};

/// Longest `User-Agent` that is kept, in characters: what its column holds.
const LONGEST_USER_AGENT: usize = 255;

/// A customer who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The row.
    pub id: i64,
    /// Its name outside.
    pub public_id: PublicId,
    /// The address as it was typed.
    pub email: String,
    /// The name, or nothing.
    pub name: String,
    /// The language, as a BCP 47 tag.
    pub locale: String,
    /// Whether the address was verified.
    pub verified: bool,
}

/// Whoever makes a private request. An extractor that refuses nobody.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who is signed in, if somebody is.
    pub customer: Option<Customer>,
    /// The session: also of somebody who has yet to give the second factor, and is not a customer before.
    pub session: Option<Session>,
    /// The cart of the browser's cookie.
    pub cart: Option<PublicId>,
    /// The address of the client, as the edge says.
    pub ip: IpAddr,
    /// The program of the client, shortened.
    pub user_agent: String,
}

/// A customer who is signed in and their session. An extractor: programs that are not signed in get 401, people the page to sign in.
#[derive(Debug, Clone)]
pub struct SignedIn(pub Customer, pub Session);

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            // A handler may take a visitor and a customer: the session is looked up once.
            let known = request.extensions().get::<Self>().cloned();
            if let Some(known) = known {
                return Ok(known);
            }
            let state = request
                .app_data::<web::Data<PrivateState>>()
                .cloned()
                .ok_or_else(|| ApiError::new(Code::Internal))?;
            let headers = request.headers();
            let token = state.cookies.session(headers);
            let hash = token.as_deref().and_then(TokenHash::of_presented);
            let session = match hash {
                Some(hash) => look_up(&state, hash).await?,
                None => None,
            };
            let visitor = Self {
                customer: session
                    .as_ref()
                    .filter(|session| session.stage == Stage::Full)
                    .map(|session| session.customer.clone()),
                session,
                cart: state.cookies.cart(headers),
                ip: state
                    .client_address
                    .of(request.peer_addr().map(|peer| peer.ip()), headers),
                user_agent: headers
                    .get(header::USER_AGENT)
                    .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                    .unwrap_or_default()
                    .chars()
                    .filter(|letter| !letter.is_control())
                    .take(LONGEST_USER_AGENT)
                    .collect(),
            };
            request.extensions_mut().insert(visitor.clone());
            Ok(visitor)
        })
    }
}

async fn look_up(state: &PrivateState, hash: TokenHash) -> Result<Option<Session>, ApiError> {
    state
        .read(move |connection| {
            Box::pin(async move {
                let found = store_session::find(connection, &hash).await?;
                if let Some(session) = &found
                    && session.is_to_be_marked()
                {
                    store_session::mark_seen(connection, session.id).await?;
                }
                Ok(found)
            })
        })
        .await
}

impl FromRequest for SignedIn {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let visitor = Visitor::from_request(request, payload);
        Box::pin(async move {
            let visitor = visitor.await?;
            match (visitor.customer, visitor.session) {
                (Some(customer), Some(session)) => Ok(Self(customer, session)),
                _ => Err(ApiError::new(Code::SignInRequired)),
            }
        })
    }
}
