//! How many attempts somebody has, by the generic cell rate algorithm (ITU-T I.371): a burst, and then one each interval.
//!
//! The state is a row in the database, so that a lost cache forgets nothing and every process counts alike.

use std::net::IpAddr;
use std::time::Duration;

use super::email::Email;
use super::store_throttle;
use crate::secret::Keys;
use crate::web::error::{ApiError, Code};
use crate::web::private::{PrivateState, client};

/// A kind of attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Its name in the database.
    pub scope: &'static str,
    /// Attempts that may follow each other at once.
    pub burst: u32,
    /// After how long there is one more.
    pub interval: Duration,
}

impl Rate {
    const fn new(scope: &'static str, burst: u32, seconds: u64) -> Self {
        Self {
            scope,
            burst,
            interval: Duration::from_secs(seconds),
        }
    }

    /// How far ahead of now the next free moment may be for an attempt to be allowed.
    #[must_use]
    pub fn tolerance(self) -> Duration {
        self.interval * self.burst.saturating_sub(1)
    }
}

/// Passwords tried from one address: an office behind one address signs in on Monday morning.
pub const LOGIN_BY_ADDRESS: Rate = Rate::new("login-address", 100, 3);
/// Passwords tried for one account from one address.
pub const LOGIN_BY_BOTH: Rate = Rate::new("login-both", 8, 60);
/// Passwords tried for one account from anywhere. Higher, so that whoever tries cannot easily lock its owner out.
pub const LOGIN_BY_ACCOUNT: Rate = Rate::new("login-account", 60, 60);
/// Second factors tried for one account by somebody who knows the password: with 3 codes of a million right at a time, a year of
/// trying finds one of six.
pub const SECOND_FACTOR: Rate = Rate::new("second-factor", 10, 600);
/// Passwords of staff tried from one address.
pub const STAFF_BY_ADDRESS: Rate = Rate::new("staff-address", 60, 10);
/// Passwords and codes tried for one member of staff from one address.
pub const STAFF_BY_BOTH: Rate = Rate::new("staff-both", 8, 60);
/// Passwords and codes tried for one member of staff from anywhere.
pub const STAFF_BY_ACCOUNT: Rate = Rate::new("staff-account", 30, 120);
/// Passwords that somebody who is signed in gives once more.
pub const CONFIRM: Rate = Rate::new("confirm", 10, 60);
/// Accounts registered from one address.
pub const REGISTER: Rate = Rate::new("register", 60, 30);
/// Mails asked for from one address.
pub const MAIL_BY_ADDRESS: Rate = Rate::new("mail-address", 60, 30);
/// Mails to one recipient; more are not sent, and nobody is told.
pub const MAIL_TO: Rate = Rate::new("mail-to", 4, 600);
/// Links tried from one address.
pub const LINK: Rate = Rate::new("link", 60, 10);
/// Exports of one account.
pub const EXPORT: Rate = Rate::new("export", 5, 600);

/// One count: a kind of attempt and whose it is.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// The kind.
    pub rate: Rate,
    /// A keyed hash of whoever is counted.
    pub subject: [u8; 32],
}

impl Count {
    /// Attempts of one client.
    #[must_use]
    pub fn of_address(keys: &Keys, rate: Rate, address: IpAddr) -> Self {
        Self::of(keys, rate, &client::counted(address))
    }

    /// Attempts for one e-mail address, whether there is an account or not.
    #[must_use]
    pub fn of_email(keys: &Keys, rate: Rate, email: &Email) -> Self {
        Self::of(keys, rate, email.key().as_bytes())
    }

    /// Attempts for one e-mail address by one client.
    #[must_use]
    pub fn of_both(keys: &Keys, rate: Rate, email: &Email, address: IpAddr) -> Self {
        let mut subject = client::counted(address);
        subject.push(0);
        subject.extend_from_slice(email.key().as_bytes());
        Self::of(keys, rate, &subject)
    }

    /// Attempts of one customer, or of one member of staff: `kind` tells them apart.
    #[must_use]
    pub fn of_row(keys: &Keys, rate: Rate, kind: &str, id: i64) -> Self {
        Self::of(keys, rate, format!("{kind} {id}").as_bytes())
    }

    fn of(keys: &Keys, rate: Rate, subject: &[u8]) -> Self {
        Self {
            rate,
            subject: keys.keyed_hash("throttle", subject),
        }
    }
}

/// Counts an attempt in each way, or refuses it.
///
/// # Errors
/// 429 with the time until the next attempt counts; what the database answers.
pub async fn attempt(state: &PrivateState, counts: Vec<Count>) -> Result<(), ApiError> {
    match store_throttle::take(&state.db, counts).await? {
        None => Ok(()),
        Some(wait) => {
            let seconds = u32::try_from(wait.as_secs().saturating_add(1)).unwrap_or(u32::MAX);
            Err(ApiError::new(Code::TooManyAttempts)
                .detail(format!("try again in {seconds} seconds"))
                .retry_after(seconds))
        }
    }
}

/// Counts an attempt, and says whether there was one left. For what is left out silently.
///
/// # Errors
/// What the database answers.
pub async fn has_one_left(state: &PrivateState, count: Count) -> Result<bool, ApiError> {
    Ok(store_throttle::take(&state.db, vec![count])
        .await?
        .is_none())
}
