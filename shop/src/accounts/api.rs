//! The routes of accounts: `/api/v1/session`, `/api/v1/auth`, `/api/v1/me`.

use actix_web::http::header;
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{OpenApi, ToSchema};

use super::address::{Address, AddressInput};
use super::register::{self, Registration, Verified};
use super::session::Stage;
use super::sign_in::{self, Opened};
use super::store_address::Entry;
use super::{privacy, settings, totp};
use crate::cart::store as cart_store;
use crate::storefront::i18n::Locale;
use crate::web::error::{ApiError, Code, Problem};
use crate::web::private::strict::JsonObject;
use crate::web::private::{Answer, Customer, PrivateState, PublicId, SignedIn, Visitor, resource};

type State = Data<PrivateState>;

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerView {
    /// The customer's id.
    #[schema(value_type = String)]
    pub id: PublicId,
    /// The e-mail address.
    pub email: String,
    /// The name; may be empty.
    pub name: String,
    /// The language of mails, as a BCP 47 tag.
    pub locale: String,
    /// Whether the address was verified.
    pub verified: bool,
}

impl From<&Customer> for CustomerView {
    fn from(customer: &Customer) -> Self {
        Self {
            id: customer.public_id,
            email: customer.email.clone(),
            name: customer.name.clone(),
            locale: customer.locale.clone(),
            verified: customer.verified,
        }
    }
}

/// What the header of a page shows of its visitor.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Who is signed in; `null` for guests.
    pub customer: Option<CustomerView>,
    /// Whether a sign-in waits for its second factor.
    pub second_factor: bool,
    /// The cart; `null` without one.
    pub cart: Option<CartCount>,
}

/// How much is in the cart.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartCount {
    /// The cart's id.
    #[schema(value_type = String)]
    pub id: PublicId,
    /// Pieces in it.
    pub pieces: i64,
}

/// What became of a sign-in.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenedView {
    /// Whether a second factor is asked for: send it to `/api/v1/auth/second-factor`.
    pub second_factor: bool,
}

/// What somebody registers with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterBody {
    /// The e-mail address.
    pub email: String,
    /// At least 10 characters.
    pub password: String,
    /// The name.
    #[serde(default)]
    pub name: String,
    /// The language of mails, as a BCP 47 tag.
    #[serde(default)]
    pub locale: String,
}

/// An address and a password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialsBody {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
}

/// A link of a mail, and a password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkBody {
    /// `token` of the link.
    pub token: String,
    /// The password: the account's own to verify, the new one to reset.
    pub password: String,
}

/// A code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeBody {
    /// Six digits of an app, or a recovery code.
    pub code: String,
}

/// An e-mail address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailBody {
    /// The address.
    pub email: String,
}

/// A password given once more, with a code where a second factor is on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmBody {
    /// The password.
    pub password: String,
    /// A code, where a second factor is on.
    #[serde(default)]
    pub code: String,
}

/// Changes of a profile; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileBody {
    /// The name.
    pub name: Option<String>,
    /// The language of mails, as a BCP 47 tag.
    pub locale: Option<String>,
}

/// A new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    /// The password until now.
    pub password: String,
    /// The password from now on.
    pub new_password: String,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionItem {
    /// Its id.
    #[schema(value_type = String)]
    pub id: PublicId,
    /// The program that it was opened with.
    pub user_agent: String,
    /// When it was opened.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
    /// When it was last marked as used.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: OffsetDateTime,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionList {
    /// The sessions, the latest used first.
    pub items: Vec<SessionItem>,
}

/// A second factor to be confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnrolmentView {
    /// The secret, to be typed into an app.
    pub secret: String,
    /// The same as an `otpauth:` address.
    pub uri: String,
    /// That address as a QR code, as SVG.
    pub qr_code: String,
}

/// Recovery codes. They are shown once.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each works once instead of a code of an app.
    pub recovery_codes: Vec<String>,
}

/// An address to be put into the book.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AddressBody {
    /// The address.
    #[serde(flatten)]
    pub address: AddressInput,
    /// Whether it is offered first.
    #[serde(default)]
    pub default: bool,
}

/// An address of the book.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddressItem {
    /// Its id.
    #[schema(value_type = String)]
    pub id: PublicId,
    /// Whether it is offered first.
    pub default: bool,
    /// The address.
    pub address: Address,
}

/// The address book.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddressList {
    /// The addresses, the default one first.
    pub items: Vec<AddressItem>,
}

fn item(state: &PrivateState, entry: Entry) -> AddressItem {
    AddressItem {
        id: settings::outside_id(&state.keys, "address", entry.id),
        default: entry.is_default,
        address: entry.address,
    }
}

/// The answer that gives a browser its session, and the cart that is the customer's.
pub(super) fn with_session(
    state: &PrivateState,
    mut response: HttpResponseBuilder,
    opened: &Opened,
) -> HttpResponseBuilder {
    response.append_header((
        header::SET_COOKIE,
        state.cookies.set_session(opened.token.reveal()),
    ));
    if let Some(cart) = opened.cart {
        response.append_header((header::SET_COOKIE, state.cookies.set_cart(cart)));
    }
    response
}

fn locale(state: &PrivateState, tag: &str) -> Result<Locale, ApiError> {
    if tag.is_empty() {
        return Ok(state.site.default_locale());
    }
    Locale::from_tag(tag)
        .filter(|locale| state.site.locales.contains(locale))
        .ok_or_else(|| {
            ApiError::new(Code::Unprocessable)
                .detail("see `errors`")
                .field("/locale", "is not a language of this shop")
        })
}

fn opened(state: &PrivateState, opened: &Opened) -> HttpResponse {
    with_session(state, HttpResponse::Ok(), opened).json(OpenedView {
        second_factor: opened.stage == Stage::SecondFactor,
    })
}

/// Tells what the header of a page shows of its visitor.
#[utoipa::path(get, path = "/api/v1/session", tag = "account", responses((status = 200, body = SessionView), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn session(state: State, visitor: Visitor) -> Answer {
    let customer = visitor.customer.as_ref().map(|customer| customer.id);
    let guest = visitor.cart;
    let cart = if customer.is_none() && guest.is_none() {
        None
    } else {
        state
            .read(move |connection| {
                Box::pin(async move {
                    let own = match customer {
                        Some(customer) => cart_store::open_for(connection, customer).await?,
                        None => None,
                    };
                    let Some(id) = own.or(guest) else {
                        return Ok(None);
                    };
                    let pieces = cart_store::pieces(connection, &id, customer).await?;
                    Ok(Some(CartCount { id, pieces }))
                })
            })
            .await?
    };
    Ok(HttpResponse::Ok().json(SessionView {
        customer: visitor.customer.as_ref().map(CustomerView::from),
        second_factor: visitor
            .session
            .is_some_and(|session| session.stage == Stage::SecondFactor),
        cart,
    }))
}

/// Registers an e-mail address. The answer is the same whether it has an account or not; a mail says the rest.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "account", request_body = RegisterBody, responses((status = 202, description = "a mail was sent"), (status = "default", body = Problem)), security(()))]
pub async fn register(state: State, visitor: Visitor, body: JsonObject<RegisterBody>) -> Answer {
    let form = Registration {
        email: &body.email,
        password: &body.password,
        name: &body.name,
        locale: locale(&state, &body.locale)?,
    };
    register::register(&state, &visitor, &form).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Verifies an e-mail address with the link of a mail.
#[utoipa::path(post, path = "/api/v1/auth/verify", tag = "account", request_body = LinkBody, responses((status = 200, body = OpenedView), (status = 204, description = "the account moved to the address"), (status = "default", body = Problem)), security(()))]
pub async fn verify(state: State, visitor: Visitor, body: JsonObject<LinkBody>) -> Answer {
    match register::verify(&state, &visitor, &body.token, &body.password).await? {
        Verified::Opened(session) => Ok(opened(&state, &session)),
        Verified::Moved => Ok(HttpResponse::NoContent().finish()),
    }
}

/// Signs in. A browser gets its session as a cookie.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "account", request_body = CredentialsBody, responses((status = 200, body = OpenedView), (status = "default", body = Problem)), security(()))]
pub async fn login(state: State, visitor: Visitor, body: JsonObject<CredentialsBody>) -> Answer {
    let session = sign_in::sign_in(&state, &visitor, &body.email, &body.password).await?;
    Ok(opened(&state, &session))
}

/// Gives the second factor of a sign-in.
#[utoipa::path(post, path = "/api/v1/auth/second-factor", tag = "account", request_body = CodeBody, responses((status = 200, body = OpenedView), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn second_factor(
    state: State,
    visitor: Visitor,
    body: Result<JsonObject<CodeBody>, actix_web::Error>,
) -> Result<HttpResponse, actix_web::Error> {
    // Who has not begun to sign in is told that, whatever else is wrong.
    if visitor.session.is_none() {
        return Err(ApiError::new(Code::Unauthenticated).into());
    }
    let body = body?;
    let session = sign_in::second_factor(&state, &visitor, &body.code).await?;
    Ok(opened(&state, &session))
}

/// Signs out. Without a session nothing happens.
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "account", responses((status = 204, description = "signed out"), (status = "default", body = Problem)), security((), ("session" = [])))]
pub async fn logout(state: State, visitor: Visitor) -> Answer {
    sign_in::sign_out(&state, visitor.session.as_ref()).await?;
    Ok(HttpResponse::NoContent()
        .append_header((header::SET_COOKIE, state.cookies.clear_session()))
        .append_header((header::SET_COOKIE, state.cookies.clear_cart()))
        .finish())
}

/// Asks for a link to choose a new password. The answer is the same whether the address has an account or not.
#[utoipa::path(post, path = "/api/v1/auth/reset-request", tag = "account", request_body = EmailBody, responses((status = 202, description = "a mail was sent, if there is an account"), (status = "default", body = Problem)), security(()))]
pub async fn reset_request(state: State, visitor: Visitor, body: JsonObject<EmailBody>) -> Answer {
    register::ask_reset(&state, &visitor, &body.email).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Chooses a new password with the link of a mail. All sessions end.
#[utoipa::path(post, path = "/api/v1/auth/reset", tag = "account", request_body = LinkBody, responses((status = 204, description = "changed"), (status = "default", body = Problem)), security(()))]
pub async fn reset(state: State, visitor: Visitor, body: JsonObject<LinkBody>) -> Answer {
    register::reset(&state, &visitor, &body.token, &body.password).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The customer who is signed in.
#[utoipa::path(get, path = "/api/v1/me", tag = "account", responses((status = 200, body = CustomerView), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn me(signed_in: SignedIn) -> Answer {
    Ok(HttpResponse::Ok().json(CustomerView::from(&signed_in.0)))
}

/// Changes name and language.
#[utoipa::path(patch, path = "/api/v1/me", tag = "account", request_body = ProfileBody, responses((status = 200, body = CustomerView), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn patch_me(state: State, signed_in: SignedIn, body: JsonObject<ProfileBody>) -> Answer {
    let customer = signed_in.0;
    let name = body.name.as_deref().unwrap_or(&customer.name);
    let tag = body.locale.as_deref().unwrap_or(&customer.locale);
    let locale = locale(&state, tag)?;
    settings::set_profile(&state, customer.id, name, locale).await?;
    let view = CustomerView {
        name: register::checked_name(name)?,
        locale: locale.tag().to_owned(),
        ..CustomerView::from(&customer)
    };
    Ok(HttpResponse::Ok().json(view))
}

/// Asks to move the account to another e-mail address; a link is mailed there.
#[utoipa::path(post, path = "/api/v1/me/email", tag = "account", request_body = CredentialsBody, responses((status = 202, description = "a mail was sent"), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn move_me(
    state: State,
    signed_in: SignedIn,
    body: JsonObject<CredentialsBody>,
) -> Answer {
    settings::ask_email(&state, signed_in.0.id, &body.email, &body.password).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Changes the password. Every other session ends.
#[utoipa::path(put, path = "/api/v1/me/password", tag = "account", request_body = PasswordBody, responses((status = 204, description = "changed"), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn put_password(
    state: State,
    visitor: Visitor,
    signed_in: SignedIn,
    body: JsonObject<PasswordBody>,
) -> Answer {
    let passwords = (body.password.as_str(), body.new_password.as_str());
    let token =
        settings::set_password(&state, &signed_in.1, &visitor.user_agent, passwords).await?;
    Ok(HttpResponse::NoContent()
        .append_header((
            header::SET_COOKIE,
            state.cookies.set_session(token.reveal()),
        ))
        .finish())
}

/// Lists the sessions that work.
#[utoipa::path(get, path = "/api/v1/me/sessions", tag = "account", responses((status = 200, body = SessionList), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn sessions(state: State, signed_in: SignedIn) -> Answer {
    let listed = settings::sessions(&state, signed_in.0.id).await?;
    let items = listed
        .into_iter()
        .map(|session| SessionItem {
            id: settings::outside_id(&state.keys, "session", session.id),
            current: session.id == signed_in.1.id,
            user_agent: session.user_agent,
            created_at: session.created_at,
            seen_at: session.seen_at,
        })
        .collect();
    Ok(HttpResponse::Ok().json(SessionList { items }))
}

/// Ends every session but the one that asks.
#[utoipa::path(delete, path = "/api/v1/me/sessions", tag = "account", responses((status = 204, description = "ended"), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn end_sessions(state: State, signed_in: SignedIn) -> Answer {
    settings::end_sessions(&state, &signed_in.1, None).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends a session.
#[utoipa::path(delete, path = "/api/v1/me/sessions/{id}", tag = "account", params(("id" = String, Path, description = "the session's id")), responses((status = 204, description = "ended"), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn end_session(state: State, signed_in: SignedIn, id: Path<PublicId>) -> Answer {
    settings::end_sessions(&state, &signed_in.1, Some(id.into_inner())).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Makes a secret for an app, to be confirmed with a first code.
#[utoipa::path(post, path = "/api/v1/me/totp", tag = "account", request_body = ConfirmBody, responses((status = 201, body = EnrolmentView), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn begin_totp(
    state: State,
    signed_in: SignedIn,
    body: JsonObject<ConfirmBody>,
) -> Answer {
    let enrolment = settings::begin_totp(&state, signed_in.0.id, &body.password).await?;
    Ok(HttpResponse::Created().json(EnrolmentView {
        qr_code: totp::qr_code(&enrolment.uri),
        secret: enrolment.secret,
        uri: enrolment.uri,
    }))
}

/// Turns the second factor on with a first code.
#[utoipa::path(put, path = "/api/v1/me/totp", tag = "account", request_body = CodeBody, responses((status = 200, body = RecoveryCodes), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn confirm_totp(state: State, signed_in: SignedIn, body: JsonObject<CodeBody>) -> Answer {
    let recovery_codes = settings::confirm_totp(&state, signed_in.0.id, &body.code).await?;
    Ok(HttpResponse::Ok().json(RecoveryCodes { recovery_codes }))
}

/// Turns the second factor off.
#[utoipa::path(post, path = "/api/v1/me/totp/removal", tag = "account", request_body = ConfirmBody, responses((status = 204, description = "off"), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn end_totp(state: State, signed_in: SignedIn, body: JsonObject<ConfirmBody>) -> Answer {
    settings::end_totp(&state, signed_in.0.id, &body.password, &body.code).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Replaces the recovery codes.
#[utoipa::path(post, path = "/api/v1/me/recovery-codes", tag = "account", request_body = ConfirmBody, responses((status = 200, body = RecoveryCodes), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn recovery_codes(
    state: State,
    signed_in: SignedIn,
    body: JsonObject<ConfirmBody>,
) -> Answer {
    let recovery_codes =
        settings::new_recovery_codes(&state, signed_in.0.id, &body.password).await?;
    Ok(HttpResponse::Ok().json(RecoveryCodes { recovery_codes }))
}

/// The address book.
#[utoipa::path(get, path = "/api/v1/me/addresses", tag = "account", responses((status = 200, body = AddressList), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn addresses(state: State, signed_in: SignedIn) -> Answer {
    let entries = settings::addresses(&state, signed_in.0.id).await?;
    let items = entries
        .into_iter()
        .map(|entry| item(&state, entry))
        .collect();
    Ok(HttpResponse::Ok().json(AddressList { items }))
}

/// Puts an address into the book.
#[utoipa::path(post, path = "/api/v1/me/addresses", tag = "account", request_body = AddressBody, responses((status = 201, body = AddressItem), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn add_address(
    state: State,
    signed_in: SignedIn,
    body: JsonObject<AddressBody>,
) -> Answer {
    let customer = signed_in.0.id;
    let row = settings::put_address(&state, customer, None, &body.address, body.default).await?;
    let id = settings::outside_id(&state.keys, "address", row);
    let entry = settings::address(&state, customer, id).await?;
    Ok(HttpResponse::Created().json(item(&state, entry)))
}

/// Changes an address of the book.
#[utoipa::path(put, path = "/api/v1/me/addresses/{id}", tag = "account", params(("id" = String, Path, description = "the address's id")), request_body = AddressBody, responses((status = 200, body = AddressItem), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn put_address(
    state: State,
    signed_in: SignedIn,
    id: Path<PublicId>,
    body: JsonObject<AddressBody>,
) -> Answer {
    let customer = signed_in.0.id;
    let row = settings::address(&state, customer, *id).await?.id;
    settings::put_address(&state, customer, Some(row), &body.address, body.default).await?;
    let entry = settings::address(&state, customer, *id).await?;
    Ok(HttpResponse::Ok().json(item(&state, entry)))
}

/// Takes an address out of the book.
#[utoipa::path(delete, path = "/api/v1/me/addresses/{id}", tag = "account", params(("id" = String, Path, description = "the address's id")), responses((status = 204, description = "gone"), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn delete_address(state: State, signed_in: SignedIn, id: Path<PublicId>) -> Answer {
    let customer = signed_in.0.id;
    let row = settings::address(&state, customer, *id).await?.id;
    settings::delete_address(&state, customer, row).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Everything that is kept of the customer.
#[utoipa::path(get, path = "/api/v1/me/export", tag = "account", responses((status = 200, description = "the data, as a file"), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn export(state: State, signed_in: SignedIn) -> Answer {
    let data = privacy::export(&state, signed_in.0.id).await?;
    Ok(HttpResponse::Ok()
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"my-data.json\"",
        ))
        .json(data))
}

/// Erases the account. Orders keep what accounting needs, and nothing that tells who placed them.
#[utoipa::path(post, path = "/api/v1/me/erasure", tag = "account", request_body = ConfirmBody, responses((status = 204, description = "erased"), (status = "default", body = Problem)), security(("session" = [])))]
pub async fn erase(state: State, signed_in: SignedIn, body: JsonObject<ConfirmBody>) -> Answer {
    privacy::erase(&state, signed_in.0.id, &body.password, &body.code).await?;
    Ok(HttpResponse::NoContent()
        .append_header((header::SET_COOKIE, state.cookies.clear_session()))
        .append_header((header::SET_COOKIE, state.cookies.clear_cart()))
        .finish())
}

/// The routes of accounts.
#[derive(Debug, OpenApi)]
#[openapi(paths(
    session,
    register,
    verify,
    login,
    second_factor,
    logout,
    reset_request,
    reset,
    me,
    patch_me,
    move_me,
    put_password,
    sessions,
    end_sessions,
    end_session,
    begin_totp,
    confirm_totp,
    end_totp,
    recovery_codes,
    addresses,
    add_address,
    put_address,
    delete_address,
    export,
    erase
))]
pub struct AccountApi;

/// Mounts the routes.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v1/session").route(web::get().to(session)))
        .service(resource("/api/v1/auth/register").route(web::post().to(register)))
        .service(resource("/api/v1/auth/verify").route(web::post().to(verify)))
        .service(resource("/api/v1/auth/login").route(web::post().to(login)))
        .service(resource("/api/v1/auth/second-factor").route(web::post().to(second_factor)))
        .service(resource("/api/v1/auth/logout").route(web::post().to(logout)))
        .service(resource("/api/v1/auth/reset-request").route(web::post().to(reset_request)))
        .service(resource("/api/v1/auth/reset").route(web::post().to(reset)))
        .service(
            resource("/api/v1/me")
                .route(web::get().to(me))
                .route(web::patch().to(patch_me)),
        )
        .service(resource("/api/v1/me/email").route(web::post().to(move_me)))
        .service(resource("/api/v1/me/password").route(web::put().to(put_password)))
        .service(
            resource("/api/v1/me/sessions")
                .route(web::get().to(sessions))
                .route(web::delete().to(end_sessions)),
        )
        .service(resource("/api/v1/me/sessions/{id}").route(web::delete().to(end_session)))
        .service(
            resource("/api/v1/me/totp")
                .route(web::post().to(begin_totp))
                .route(web::put().to(confirm_totp)),
        )
        .service(resource("/api/v1/me/totp/removal").route(web::post().to(end_totp)))
        .service(resource("/api/v1/me/recovery-codes").route(web::post().to(recovery_codes)))
        .service(
            resource("/api/v1/me/addresses")
                .route(web::get().to(addresses))
                .route(web::post().to(add_address)),
        )
        .service(
            resource("/api/v1/me/addresses/{id}")
                .route(web::put().to(put_address))
                .route(web::delete().to(delete_address)),
        )
        .service(resource("/api/v1/me/export").route(web::get().to(export)))
        .service(resource("/api/v1/me/erasure").route(web::post().to(erase)));
}
