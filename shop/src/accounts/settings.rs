//! What customers change about their own accounts.

use time::OffsetDateTime;

use super::address::AddressInput;
use super::email::Email;
use super::password::Password;
use super::register::{checked_name, confirm_password, page_url, password_changed};
use super::session::{Session, Token};
use super::sign_in::{take_code, totp_context};
use super::store_address::{self, Entry};
use super::store_customer::{self, Account};
use super::store_link::{self, Link, Purpose};
use super::throttle::{self, Count};
use super::{store_session, totp};
use crate::notify::mail::{self, Mail, Template};
use crate::secret::Keys;
use crate::storefront::i18n::Locale;
use crate::web::error::{ApiError, Code};
use crate::web::private::{PrivateState, PublicId};

fn wrong(field: &str, message: &str) -> ApiError {
    ApiError::new(Code::Unprocessable)
        .detail("see `errors`")
        .field(field, message)
}

/// The account of somebody who is signed in.
///
/// # Errors
/// 401 when it is gone; what the database answers.
pub async fn account(state: &PrivateState, customer: i64) -> Result<Account, ApiError> {
    state
        .read(move |connection| {
            Box::pin(async move { Ok(store_customer::by_id(connection, customer).await?) })
        })
        .await?
        .ok_or_else(|| ApiError::new(Code::SignInRequired))
}

/// Changes name and language.
///
/// # Errors
/// `unprocessable` for a name that is too long.
pub async fn set_profile(
    state: &PrivateState,
    customer: i64,
    name: &str,
    locale: Locale,
) -> Result<(), ApiError> {
    let name = checked_name(name)?;
    state
        .db
        .transaction(move |connection| {
            let name = name.clone();
            Box::pin(async move {
                store_customer::set_profile(connection, customer, (&name, locale.tag())).await?;
                Ok::<_, ApiError>(())
            })
        })
        .await
}

/// Changes the password. Every other session ends, and this one gets another token.
///
/// # Errors
/// `unprocessable` for a wrong or unacceptable password; `too_many_attempts`; `overloaded`.
pub async fn set_password(
    state: &PrivateState,
    session: &Session,
    user_agent: &str,
    (present, chosen): (&str, &str),
) -> Result<Token, ApiError> {
    let account = account(state, session.customer.id).await?;
    let password = Password::chosen(chosen, &account.email)
        .map_err(|message| wrong("/new_password", message))?;
    confirm_password(state, &account, present).await?;
    let hash = state.passwords.hash(password).await?;
    let notice = password_changed(state, &account);
    let token = Token::random();
    let (token_hash, user_agent) = (token.hash(), user_agent.to_owned());
    let customer = account.id;
    state
        .db
        .transaction(move |connection| {
            let (hash, notice, account) = (hash.clone(), notice.clone(), account.clone());
            let (token_hash, user_agent) = (token_hash.clone(), user_agent.clone());
            Box::pin(async move {
                let now = store_customer::lock(connection, customer).await?;
                if now.is_none_or(|now| now.password_hash != account.password_hash) {
                    return Err(wrong("/password", "was changed a moment ago"));
                }
                store_customer::set_password(connection, customer, &hash).await?;
                store_link::void(connection, customer, None).await?;
                store_session::revoke_others(connection, customer, 0).await?;
                let stage = super::session::Stage::Full;
                store_session::insert(connection, &token_hash, customer, stage, &user_agent)
                    .await?;
                mail::enqueue(connection, &notice).await?;
                Ok(())
            })
        })
        .await?;
    Ok(token)
}

/// Mails a link to another address, to which the account moves when it is used. Whether that address has an account is not told.
///
/// # Errors
/// `unprocessable` for what is no address or a wrong password.
pub async fn ask_email(
    state: &PrivateState,
    customer: i64,
    email: &str,
    password: &str,
) -> Result<(), ApiError> {
    let email = Email::parse(email).map_err(|error| wrong("/email", &error.to_string()))?;
    let account = account(state, customer).await?;
    confirm_password(state, &account, password).await?;
    let to = Count::of_email(&state.keys, throttle::MAIL_TO, &email);
    if !throttle::has_one_left(state, to).await? {
        return Ok(());
    }
    let token = Token::random();
    let hash = token.hash();
    let path = format!("/verify?token={}", token.reveal());
    let link = Link {
        customer_id: customer,
        purpose: Purpose::Email,
        email: email.typed().to_owned(),
        email_key: email.key().to_owned(),
    };
    let mail = Mail {
        to: email.typed().to_owned(),
        locale: account.locale.clone(),
        template: Template::VerifyEmail {
            link: page_url(state, &account.locale, &path),
            name: account.name,
            valid_until: OffsetDateTime::now_utc() + Purpose::Email.life(),
        },
    };
    state
        .db
        .transaction(move |connection| {
            let (hash, link, mail) = (hash.clone(), link.clone(), mail.clone());
            Box::pin(async move {
                store_link::void(connection, customer, Some(Purpose::Email)).await?;
                store_link::insert(connection, &hash, &link).await?;
                mail::enqueue(connection, &mail).await?;
                Ok::<_, ApiError>(())
            })
        })
        .await
}

/// The name outside of a row that has none of its own.
#[must_use]
pub fn outside_id(keys: &Keys, kind: &str, id: i64) -> PublicId {
    PublicId::derived(&keys.keyed_hash(kind, &id.to_be_bytes()))
}

/// The sessions of a customer.
///
/// # Errors
/// What the database answers.
pub async fn sessions(
    state: &PrivateState,
    customer: i64,
) -> Result<Vec<store_session::Listed>, ApiError> {
    state
        .read(move |connection| {
            Box::pin(async move { Ok(store_session::list(connection, customer).await?) })
        })
        .await
}

/// Ends one session of a customer, or all but the current one.
///
/// # Errors
/// 404 when the customer has no such session.
pub async fn end_sessions(
    state: &PrivateState,
    session: &Session,
    one: Option<PublicId>,
) -> Result<(), ApiError> {
    let (customer, current) = (session.customer.id, session.id);
    let wanted = match one {
        None => None,
        Some(one) => {
            let listed = sessions(state, customer).await?;
            let found = listed
                .into_iter()
                .find(|listed| outside_id(&state.keys, "session", listed.id) == one)
                .ok_or_else(|| ApiError::new(Code::NotFound))?;
            Some(found.id)
        }
    };
    state
        .db
        .transaction(move |connection| {
            Box::pin(async move {
                match wanted {
                    Some(id) => {
                        store_session::revoke(connection, customer, id).await?;
                    }
                    None => store_session::revoke_others(connection, customer, current).await?,
                }
                Ok::<_, ApiError>(())
            })
        })
        .await
}

/// A second factor that is yet to be confirmed.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// The secret as it is typed into an app.
    pub secret: String,
    /// What a QR code says to an app.
    pub uri: String,
}

fn enrolment(state: &PrivateState, account: &Account, secret: &[u8]) -> Enrolment {
    Enrolment {
        secret: totp::spelled(secret),
        uri: totp::uri(secret, &state.site.name, &account.email),
    }
}

/// Makes a secret for an app, which [`confirm_totp`] turns on.
///
/// # Errors
/// `unprocessable` for a wrong password; `conflict` when a second factor is on.
pub async fn begin_totp(
    state: &PrivateState,
    customer: i64,
    password: &str,
) -> Result<Enrolment, ApiError> {
    let account = account(state, customer).await?;
    confirm_password(state, &account, password).await?;
    let secret = totp::new_secret();
    let sealed = state
        .keys
        .seal(totp::SEALED_FOR, &totp_context(customer), &secret);
    let kept = state
        .db
        .transaction(move |connection| {
            let sealed = sealed.clone();
            Box::pin(async move {
                Ok::<_, ApiError>(
                    store_customer::set_totp_secret(connection, customer, &sealed).await?,
                )
            })
        })
        .await?;
    if kept {
        Ok(enrolment(state, &account, &secret))
    } else {
        Err(ApiError::new(Code::Conflict).detail("a second factor is on; turn it off first"))
    }
}

/// The secret that waits to be confirmed, if there is one.
///
/// # Errors
/// What the database answers.
pub fn pending_totp(
    state: &PrivateState,
    account: &Account,
) -> Result<Option<Enrolment>, ApiError> {
    match &account.totp_secret {
        Some(sealed) if !account.totp_enabled => {
            let secret = state
                .keys
                .open(totp::SEALED_FOR, &totp_context(account.id), sealed)
                .map_err(ApiError::internal)?;
            Ok(Some(enrolment(state, account, &secret)))
        }
        _ => Ok(None),
    }
}

/// Turns the second factor on with a first code, and gives the recovery codes, once.
///
/// # Errors
/// `unprocessable` for a wrong code; `conflict` when there is nothing to confirm.
pub async fn confirm_totp(
    state: &PrivateState,
    customer: i64,
    code: &str,
) -> Result<Vec<String>, ApiError> {
    let account = account(state, customer).await?;
    if account.totp_enabled || account.totp_secret.is_none() {
        return Err(
            ApiError::new(Code::Conflict).detail("there is no second factor to be confirmed")
        );
    }
    take_code(state, &account, code).await?;
    let (codes, hashes) = recovery(&state.keys, customer);
    let on = state
        .db
        .transaction(move |connection| {
            let hashes = hashes.clone();
            Box::pin(async move {
                let step = OffsetDateTime::now_utc().unix_timestamp().div_euclid(30);
                let last = store_customer::lock(connection, customer)
                    .await?
                    .and_then(|account| account.totp_last_step);
                let on =
                    store_customer::enable_totp(connection, customer, last.unwrap_or(step)).await?;
                if on {
                    store_customer::set_recovery_codes(connection, customer, &hashes).await?;
                }
                Ok::<_, ApiError>(on)
            })
        })
        .await?;
    if on {
        Ok(codes)
    } else {
        Err(ApiError::new(Code::Conflict).detail("there is no second factor to be confirmed"))
    }
}

fn recovery(keys: &Keys, customer: i64) -> (Vec<String>, Vec<String>) {
    let codes = totp::recovery_codes();
    let hashes = codes
        .iter()
        .filter_map(|code| totp::recovery_hash(keys, customer, code))
        .collect();
    (codes, hashes)
}

/// Turns the second factor off.
///
/// # Errors
/// `unprocessable` for a wrong password or code.
pub async fn end_totp(
    state: &PrivateState,
    customer: i64,
    password: &str,
    code: &str,
) -> Result<(), ApiError> {
    let account = account(state, customer).await?;
    confirm_password(state, &account, password).await?;
    if account.totp_enabled {
        take_code(state, &account, code).await?;
    }
    state
        .db
        .transaction(move |connection| {
            Box::pin(async move {
                store_customer::disable_totp(connection, customer).await?;
                Ok::<_, ApiError>(())
            })
        })
        .await
}

/// Replaces the recovery codes.
///
/// # Errors
/// `unprocessable` for a wrong password; `conflict` without a second factor.
pub async fn new_recovery_codes(
    state: &PrivateState,
    customer: i64,
    password: &str,
) -> Result<Vec<String>, ApiError> {
    let account = account(state, customer).await?;
    confirm_password(state, &account, password).await?;
    if !account.totp_enabled {
        return Err(ApiError::new(Code::Conflict).detail("there is no second factor"));
    }
    let (codes, hashes) = recovery(&state.keys, customer);
    state
        .db
        .transaction(move |connection| {
            let hashes = hashes.clone();
            Box::pin(async move {
                store_customer::set_recovery_codes(connection, customer, &hashes).await?;
                Ok::<_, ApiError>(())
            })
        })
        .await?;
    Ok(codes)
}

/// The address book of a customer.
///
/// # Errors
/// What the database answers.
pub async fn addresses(state: &PrivateState, customer: i64) -> Result<Vec<Entry>, ApiError> {
    state
        .read(move |connection| {
            Box::pin(async move { Ok(store_address::list(connection, customer).await?) })
        })
        .await
}

/// The address of a book with this name outside.
///
/// # Errors
/// 404 when the customer has none such.
pub async fn address(state: &PrivateState, customer: i64, id: PublicId) -> Result<Entry, ApiError> {
    addresses(state, customer)
        .await?
        .into_iter()
        .find(|entry| outside_id(&state.keys, "address", entry.id) == id)
        .ok_or_else(|| ApiError::new(Code::NotFound))
}

/// Adds an address, or changes the one with this row.
///
/// # Errors
/// `unprocessable` with the fields that are wrong; `conflict` when the book is full; 404 when the address is gone.
pub async fn put_address(
    state: &PrivateState,
    customer: i64,
    row: Option<i64>,
    input: &AddressInput,
    is_default: bool,
) -> Result<i64, ApiError> {
    let address = input.check("").map_err(|fields| {
        let mut error = ApiError::new(Code::Unprocessable).detail("see `errors`");
        error.fields = fields;
        error
    })?;
    state
        .db
        .transaction(move |connection| {
            let address = address.clone();
            Box::pin(async move {
                let count = store_address::lock_all(connection, customer).await?;
                match row {
                    Some(id) => {
                        let entry = Entry {
                            id,
                            address,
                            is_default,
                        };
                        if !store_address::update(connection, customer, &entry).await? {
                            return Err(ApiError::new(Code::NotFound));
                        }
                        Ok(id)
                    }
                    None if count >= store_address::MOST => Err(ApiError::new(Code::Conflict)
                        .detail("the address book is full; delete an address first")),
                    None => {
                        let first = count == 0;
                        let default = is_default || first;
                        Ok(store_address::insert(connection, customer, &address, default).await?)
                    }
                }
            })
        })
        .await
}

/// Deletes an address.
///
/// # Errors
/// 404 when the customer has none such.
pub async fn delete_address(state: &PrivateState, customer: i64, row: i64) -> Result<(), ApiError> {
    let deleted = state
        .db
        .transaction(move |connection| {
            Box::pin(async move {
                Ok::<_, ApiError>(store_address::delete(connection, customer, row).await?)
            })
        })
        .await?;
    if deleted {
        Ok(())
    } else {
        Err(ApiError::new(Code::NotFound))
    }
}
