//! Signing in as staff: a bearer token for one working day, with what the role allows.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Answer;
use super::fields::{Body, FromBody, Object, text};
use super::store_staff::{self, Credentials, LONGEST, known};
use super::token::{Secret, SecretHash};
use crate::accounts::email::Email;
use crate::accounts::password::Password;
use crate::accounts::throttle::{self, Count};
use crate::accounts::totp;
use crate::web::error::{ApiError, Code, Problem};
use crate::web::private::PrivateState;

/// Address, password and, where a second factor is on, its code.
#[derive(Debug, ToSchema)]
pub struct StaffLogin {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The code of an app.
    pub code: Option<String>,
}

impl FromBody for StaffLogin {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let email = object.required("email", text(1, 254));
        let password = object.required("password", text(1, 256));
        let code = object.optional("code", text(1, 32));
        Some(Self {
            email: email?,
            password: password?,
            code: code?,
        })
    }
}

/// A token of a staff session.
#[derive(Debug, Serialize, ToSchema)]
pub struct StaffSession {
    /// The bearer token. It is shown once.
    pub token: String,
    /// When it ceases to work.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: OffsetDateTime,
    /// How the member of staff is called.
    pub name: String,
    /// What the role allows.
    pub scopes: Vec<String>,
}

fn wrong() -> ApiError {
    ApiError::new(Code::InvalidCredentials)
        .detail("the address, the password or the code is wrong, or the code is missing")
}

/// Signs a member of staff in. Nothing tells which of the three was wrong.
#[utoipa::path(post, path = "/api/v1/admin/login", tag = "staff: sessions", request_body = StaffLogin,
    responses((status = 200, body = StaffSession), (status = "default", body = Problem)), security(()))]
pub async fn login(
    private: web::Data<PrivateState>,
    request: HttpRequest,
    body: Body<StaffLogin>,
) -> Answer {
    let Body(login) = body;
    let email = Email::parse(&login.email).map_err(|_| wrong())?;
    let peer = request.peer_addr().map(|peer| peer.ip());
    let address = private.client_address.of(peer, request.headers());
    let keys = &private.keys;
    // Staff and customers are counted apart: one address may be both.
    let counts = vec![
        Count::of_address(keys, throttle::STAFF_BY_ADDRESS, address),
        Count::of_both(keys, throttle::STAFF_BY_BOTH, &email, address),
        Count::of_email(keys, throttle::STAFF_BY_ACCOUNT, &email),
    ];
    throttle::attempt(&private, counts).await?;
    let key = email.key().to_owned();
    let found = private
        .read(move |connection| {
            Box::pin(async move { Ok(store_staff::by_key(connection, &key).await?) })
        })
        .await?;
    let hash = found.as_ref().and_then(|found| found.password_hash.clone());
    let right = private
        .passwords
        .verify(Password::presented(&login.password), hash)
        .await?;
    let member = found
        .filter(|member| right && !member.disabled)
        .ok_or_else(wrong)?;
    let step = step(&private, &member, login.code.as_deref())?;
    let secret = Secret::random();
    let (hash, id) = (secret.hash(), member.id);
    private
        .db
        .transaction(move |connection| {
            let hash = hash.clone();
            Box::pin(async move {
                if let Some(step) = step
                    && !store_staff::use_step(connection, id, step).await?
                {
                    return Err(wrong());
                }
                store_staff::insert_session(connection, &hash, id).await?;
                Ok::<_, ApiError>(())
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(StaffSession {
        token: secret.reveal().to_owned(),
        expires_at: OffsetDateTime::now_utc() + LONGEST,
        name: member.name,
        scopes: known(&member.scopes)
            .iter()
            .map(|scope| scope.name().to_owned())
            .collect(),
    }))
}

/// Whose a sealed secret of staff is.
#[must_use]
pub fn totp_context(email_key: &str) -> Vec<u8> {
    format!("staff {email_key}").into_bytes()
}

fn step(
    private: &PrivateState,
    member: &Credentials,
    code: Option<&str>,
) -> Result<Option<i64>, ApiError> {
    if !member.totp_enabled {
        return Ok(None);
    }
    let code = code.and_then(totp::typed).ok_or_else(wrong)?;
    let sealed = member.totp_secret.as_deref().ok_or_else(wrong)?;
    let key = Email::parse(&member.email).map_err(ApiError::internal)?;
    let secret = private
        .keys
        .open(totp::SEALED_FOR, &totp_context(key.key()), sealed)
        .map_err(ApiError::internal)?;
    totp::step_of(
        &secret,
        code,
        OffsetDateTime::now_utc(),
        member.totp_last_step,
    )
    .map(Some)
    .ok_or_else(wrong)
}

/// Ends the staff session of the token. A token made by `panono-shop token` stays; it is revoked there.
#[utoipa::path(post, path = "/api/v1/admin/logout", tag = "staff: sessions",
    responses((status = 204, description = "ended"), (status = "default", body = Problem)), security(()))]
pub async fn logout(private: web::Data<PrivateState>, request: HttpRequest) -> Answer {
    let hash = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .and_then(|(_, secret)| SecretHash::of_presented(secret.trim()))
        .ok_or_else(|| ApiError::new(Code::Unauthenticated))?;
    private
        .db
        .transaction(move |connection| {
            let hash = hash.clone();
            Box::pin(async move {
                store_staff::revoke_session(connection, &hash).await?;
                Ok::<_, ApiError>(())
            })
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
