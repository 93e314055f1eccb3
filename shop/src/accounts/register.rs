//! Registering, verifying an address, choosing a new password.
//!
//! Every request for a mail answers the same, at the same time, whatever mail was sent: a link to verify, the word that there is an
//! account already, or none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::email::Email;
use super::password::Password;
use super::session::{Stage, Token, TokenHash};
use super::sign_in::{self, Opened};
use super::store_customer::{self, Account, NewAccount};
use super::store_link::{self, Link, Purpose};
use super::store_session;
use super::throttle::{self, Count};
use crate::db::violated_constraint;
use crate::notify::mail::{self, Mail, Template};
use crate::storefront::i18n::Locale;
use crate::web::error::{ApiError, Code};
use crate::web::private::{PrivateState, PublicId, Visitor};

/// Answers whose time could tell something are given at multiples of this: far above the difference of a few statements.
const GRAIN: Duration = Duration::from_millis(250);

/// Waits until the time since `began` is a multiple of the grain.
pub(super) async fn even_out(began: Instant) {
    let grain = GRAIN.as_micros();
    let rest = grain - began.elapsed().as_micros() % grain;
    tokio::time::sleep(Duration::from_micros(
        u64::try_from(rest).unwrap_or_default(),
    ))
    .await;
}

/// The whole address of a private page, for mails.
pub(super) fn page_url(state: &PrivateState, locale: &str, path: &str) -> String {
    let locale = Locale::from_tag(locale)
        .filter(|locale| state.site.locales.contains(locale))
        .unwrap_or(state.site.default_locale());
    format!("{}/{}{path}", state.site.origin, locale.segment())
}

/// Longest name of a customer, in characters: what its column holds.
const LONGEST_NAME: usize = 190;

/// A name as it is kept.
///
/// # Errors
/// `unprocessable` when it is too long or has control characters.
pub fn checked_name(name: &str) -> Result<String, ApiError> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(ApiError::new(Code::Unprocessable)
            .detail("see `errors`")
            .field("/name", "must be at most 190 characters"));
    }
    Ok(name)
}

/// What somebody registers with.
#[derive(Debug, Clone)]
pub struct Registration<'a> {
    /// The address.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// The name, or nothing.
    pub name: &'a str,
    /// The language of mails, as a BCP 47 tag.
    pub locale: Locale,
}

/// Registers an address: a mail goes to it, whether it has an account or not.
///
/// # Errors
/// `unprocessable` with the fields that are wrong; `too_many_attempts`; `overloaded`.
pub async fn register(
    state: &PrivateState,
    visitor: &Visitor,
    form: &Registration<'_>,
) -> Result<(), ApiError> {
    let began = Instant::now();
    let mut errors = ApiError::new(Code::Unprocessable).detail("see `errors`");
    let email = Email::parse(form.email);
    if let Err(error) = &email {
        errors = errors.field("/email", error.to_string());
    }
    let password = Password::chosen(form.password, form.email);
    if let Err(message) = &password {
        errors = errors.field("/password", *message);
    }
    let name = checked_name(form.name);
    if let Err(error) = &name {
        errors.fields.extend(error.fields.clone());
    }
    let (Ok(email), Ok(password), Ok(name)) = (email, password, name) else {
        return Err(errors);
    };
    let count = Count::of_address(&state.keys, throttle::REGISTER, visitor.ip);
    throttle::attempt(state, vec![count]).await?;
    let to = Count::of_email(&state.keys, throttle::MAIL_TO, &email);
    let may_mail = throttle::has_one_left(state, to).await?;
    let password_hash = state.passwords.hash(password).await?;
    let account = NewAccount {
        public_id: PublicId::random(),
        email,
        name,
        locale: form.locale.tag().to_owned(),
        password_hash,
    };
    let token = Token::random();
    let locale = form.locale.tag();
    let links = [
        page_url(state, locale, &format!("/verify?token={}", token.reveal())),
        page_url(state, locale, "/login"),
        page_url(state, locale, "/reset"),
    ];
    let work = Arc::new((account, token.hash(), links));
    state
        .db
        .transaction(move |connection| {
            let work = Arc::clone(&work);
            Box::pin(async move {
                let (account, hash, links) = &*work;
                register_in(connection, account, may_mail.then_some((hash, links))).await
            })
        })
        .await?;
    even_out(began).await;
    Ok(())
}

async fn register_in(
    connection: &mut MySqlConnection,
    account: &NewAccount,
    mail_with: Option<(&TokenHash, &[String; 3])>,
) -> Result<(), ApiError> {
    let there = store_customer::lock_by_key(connection, account.email.key()).await?;
    let id = match &there {
        Some(there) if there.verified || there.disabled => None,
        Some(there) => {
            store_customer::set_unverified(connection, there.id, account).await?;
            Some(there.id)
        }
        None => match store_customer::insert(connection, account).await {
            Ok(id) => Some(id),
            // Registered twice at once: the other one's mail is as good.
            Err(error) if violated_constraint(&error).as_deref() == Some("customer_email") => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        },
    };
    let Some((hash, [verify_link, login_link, reset_link])) = mail_with else {
        return Ok(());
    };
    let template = match (id, there) {
        (Some(id), _) => {
            let link = Link {
                customer_id: id,
                purpose: Purpose::Verify,
                email: account.email.typed().to_owned(),
                email_key: account.email.key().to_owned(),
            };
            store_link::insert(connection, hash, &link).await?;
            Template::VerifyEmail {
                name: account.name.clone(),
                link: verify_link.clone(),
                valid_until: OffsetDateTime::now_utc() + Purpose::Verify.life(),
            }
        }
        (None, there) => Template::AlreadyRegistered {
            name: there.map(|there| there.name).unwrap_or_default(),
            login_link: login_link.clone(),
            reset_link: reset_link.clone(),
        },
    };
    let mail = Mail {
        to: account.email.typed().to_owned(),
        locale: account.locale.clone(),
        template,
    };
    mail::enqueue(connection, &mail).await?;
    Ok(())
}

pub(super) fn worthless_link() -> ApiError {
    ApiError::new(Code::Unprocessable)
        .detail("the link was used already or is too old; ask for a new one")
        .field(
            "/token",
            "was used already or is too old; ask for a new one",
        )
}

/// A link with whose it is.
pub(super) async fn find_link(
    state: &PrivateState,
    visitor: &Visitor,
    token: &str,
) -> Result<(TokenHash, Link, Account), ApiError> {
    let count = Count::of_address(&state.keys, throttle::LINK, visitor.ip);
    throttle::attempt(state, vec![count]).await?;
    let hash = TokenHash::of_presented(token).ok_or_else(worthless_link)?;
    let wanted = hash.clone();
    let found = state
        .read(move |connection| {
            Box::pin(async move {
                let Some(link) = store_link::find(connection, &wanted).await? else {
                    return Ok(None);
                };
                let account = store_customer::by_id(connection, link.customer_id).await?;
                Ok(account.map(|account| (link, account)))
            })
        })
        .await?;
    let (link, account) = found
        .filter(|(_, account)| !account.disabled)
        .ok_or_else(worthless_link)?;
    Ok((hash, link, account))
}

/// What a link of a mail did.
#[derive(Debug)]
pub enum Verified {
    /// The address is verified, and its customer signed in.
    Opened(Opened),
    /// The account moved to the address.
    Moved,
}

/// Verifies an address with the link that was mailed to it and the password of the account: whoever only owns the mailbox may not
/// know that somebody registered in their name, and is not let into what somebody else chose the password of.
///
/// # Errors
/// `unprocessable` for a link that is worthless or a wrong password; `conflict` when another account has the address now.
pub async fn verify(
    state: &PrivateState,
    visitor: &Visitor,
    token: &str,
    password: &str,
) -> Result<Verified, ApiError> {
    let (hash, link, account) = find_link(state, visitor, token).await?;
    if link.purpose == Purpose::Reset {
        return Err(worthless_link());
    }
    confirm_password(state, &account, password).await?;
    let (customer, purpose) = (account.id, link.purpose);
    let moved_to = (purpose == Purpose::Email).then(|| link.email.clone());
    let old = account.clone();
    state
        .db
        .transaction(move |connection| {
            let (hash, link) = (hash.clone(), link.clone());
            let old = old.clone();
            Box::pin(async move {
                let now = store_customer::lock(connection, customer)
                    .await?
                    .ok_or_else(worthless_link)?;
                let is_right = now.password_hash == old.password_hash
                    && (purpose == Purpose::Email
                        || now.email_key.as_deref() == Some(link.email_key.as_str()));
                if !is_right || !store_link::take(connection, &hash).await? {
                    return Err(worthless_link());
                }
                if purpose == Purpose::Email {
                    move_in(connection, customer, &link).await?;
                } else {
                    store_customer::verify(connection, customer).await?;
                }
                store_link::void(connection, customer, Some(purpose)).await?;
                Ok(())
            })
        })
        .await?;
    if moved_to.is_some() {
        return Ok(Verified::Moved);
    }
    let opened = sign_in::open(state, visitor, account, Stage::Full, None).await?;
    Ok(Verified::Opened(opened))
}

async fn move_in(
    connection: &mut MySqlConnection,
    customer: i64,
    link: &Link,
) -> Result<(), ApiError> {
    match store_customer::set_email(connection, customer, (&link.email, &link.email_key)).await {
        Ok(()) => Ok(()),
        Err(error) if violated_constraint(&error).as_deref() == Some("customer_email") => {
            Err(ApiError::new(Code::Conflict).detail("the address has an account of its own now"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether somebody who is known gives their password.
///
/// # Errors
/// `unprocessable` when it is wrong; `too_many_attempts`; `overloaded`.
pub async fn confirm_password(
    state: &PrivateState,
    account: &Account,
    password: &str,
) -> Result<(), ApiError> {
    let count = Count::of_row(&state.keys, throttle::CONFIRM, "customer", account.id);
    throttle::attempt(state, vec![count]).await?;
    let hash = account.password_hash.clone();
    let right = state
        .passwords
        .verify(Password::presented(password), hash)
        .await?;
    if right {
        Ok(())
    } else {
        Err(ApiError::new(Code::Unprocessable)
            .detail("see `errors`")
            .field("/password", "is wrong"))
    }
}

/// Mails a link to choose a new password, if the address has an account.
///
/// # Errors
/// `unprocessable` when the text is no address; `too_many_attempts`.
pub async fn ask_reset(
    state: &PrivateState,
    visitor: &Visitor,
    email: &str,
) -> Result<(), ApiError> {
    let began = Instant::now();
    let email = Email::parse(email).map_err(|error| {
        ApiError::new(Code::Unprocessable)
            .detail("see `errors`")
            .field("/email", error.to_string())
    })?;
    let count = Count::of_address(&state.keys, throttle::MAIL_BY_ADDRESS, visitor.ip);
    throttle::attempt(state, vec![count]).await?;
    let to = Count::of_email(&state.keys, throttle::MAIL_TO, &email);
    let may_mail = throttle::has_one_left(state, to).await?;
    let token = Token::random();
    let (hash, path) = (token.hash(), format!("/reset/new?token={}", token.reveal()));
    let links: Vec<(String, String)> = state
        .site
        .locales
        .iter()
        .map(|locale| {
            (
                locale.tag().to_owned(),
                page_url(state, locale.tag(), &path),
            )
        })
        .collect();
    let fallback = page_url(state, "", &path);
    let work = Arc::new((email, hash, links, fallback));
    state
        .db
        .transaction(move |connection| {
            let work = Arc::clone(&work);
            Box::pin(async move {
                let (email, hash, links, fallback) = &*work;
                let account = store_customer::by_key(connection, email.key()).await?;
                let Some(account) = account.filter(|account| may_mail && !account.disabled) else {
                    return Ok(());
                };
                let link = Link {
                    customer_id: account.id,
                    purpose: Purpose::Reset,
                    email: account.email.clone(),
                    email_key: email.key().to_owned(),
                };
                store_link::insert(connection, hash, &link).await?;
                let url = links
                    .iter()
                    .find(|(tag, _)| *tag == account.locale)
                    .map_or(fallback, |(_, url)| url);
                let mail = Mail {
                    to: account.email,
                    locale: account.locale,
                    template: Template::ResetPassword {
                        name: account.name,
                        link: url.clone(),
                        valid_until: OffsetDateTime::now_utc() + Purpose::Reset.life(),
                    },
                };
                mail::enqueue(connection, &mail).await?;
                Ok::<_, ApiError>(())
            })
        })
        .await?;
    even_out(began).await;
    Ok(())
}

/// Chooses a new password with a link. All sessions end; the second factor stays.
///
/// # Errors
/// `unprocessable` for a worthless link or a password that is not accepted.
pub async fn reset(
    state: &PrivateState,
    visitor: &Visitor,
    token: &str,
    password: &str,
) -> Result<(), ApiError> {
    let (hash, link, account) = find_link(state, visitor, token).await?;
    if link.purpose != Purpose::Reset
        || account.email_key.as_deref() != Some(link.email_key.as_str())
    {
        return Err(worthless_link());
    }
    let chosen = Password::chosen(password, &account.email).map_err(|message| {
        ApiError::new(Code::Unprocessable)
            .detail("see `errors`")
            .field("/password", message)
    })?;
    let password_hash = state.passwords.hash(chosen).await?;
    let notice = password_changed(state, &account);
    let customer = account.id;
    state
        .db
        .transaction(move |connection| {
            let (hash, password_hash, notice) =
                (hash.clone(), password_hash.clone(), notice.clone());
            Box::pin(async move {
                store_customer::lock(connection, customer)
                    .await?
                    .ok_or_else(worthless_link)?;
                if !store_link::take(connection, &hash).await? {
                    return Err(worthless_link());
                }
                store_customer::set_password(connection, customer, &password_hash).await?;
                // Whoever reads the mailbox owns the address.
                store_customer::verify(connection, customer).await?;
                store_link::void(connection, customer, None).await?;
                store_session::revoke_others(connection, customer, 0).await?;
                mail::enqueue(connection, &notice).await?;
                Ok::<_, ApiError>(())
            })
        })
        .await
}

/// The word that the password was changed.
pub(super) fn password_changed(state: &PrivateState, account: &Account) -> Mail {
    Mail {
        to: account.email.clone(),
        locale: account.locale.clone(),
        template: Template::PasswordChanged {
            name: account.name.clone(),
            changed_at: OffsetDateTime::now_utc(),
            reset_link: page_url(state, &account.locale, "/reset"),
        },
    }
}
