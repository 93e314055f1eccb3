//! `panono-shop staff`: makes, lists and changes staff and their roles.

use std::io::Write;

use clap::{Args, Subcommand};

use super::route_login::totp_context;
use super::store_staff::{self, Change};
use super::token::Scope;
use crate::accounts::email::{Email, InvalidEmail};
use crate::accounts::password::{Password, Passwords};
use crate::accounts::totp;
use crate::db::{Db, DbError, MayBeDatabase, violated_constraint};
use crate::secret::Keys;
use crate::web::error::ApiError;
use crate::web::private::PublicId;

/// Staff and roles.
#[derive(Debug, Clone, Args)]
pub struct StaffArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: StaffCommand,
}

/// What to do with staff.
#[derive(Debug, Clone, Subcommand)]
pub enum StaffCommand {
    /// Makes a member of staff and prints their first password, once, on standard output.
    Create {
        /// The address that they sign in with; it is the actor in the audit log.
        email: String,
        /// How they are called.
        #[arg(long)]
        name: String,
        /// Their role.
        #[arg(long)]
        role: String,
    },
    /// Lists all staff.
    List,
    /// Gives a member of staff another role; it counts within five seconds.
    Role {
        /// Their address.
        email: String,
        /// The role.
        role: String,
    },
    /// Gives a member of staff a new password, printed once, and turns the second factor off. Their sessions end.
    Reset {
        /// Their address.
        email: String,
    },
    /// Turns the second factor on and prints what goes into the app, once.
    Totp {
        /// Their address.
        email: String,
    },
    /// Lets a member of staff in no more. Their sessions end within five seconds.
    Disable {
        /// Their address.
        email: String,
    },
    /// Lets a member of staff in again.
    Enable {
        /// Their address.
        email: String,
    },
    /// Lists all roles with what they allow.
    Roles,
    /// Makes a role, or changes what it allows.
    PutRole {
        /// Its name.
        name: String,
        /// What it allows, as `verb:resource`; give it once for each scope, or several with commas.
        #[arg(
            long = "scope",
            value_delimiter = ',',
            required_unless_present = "every_scope"
        )]
        scopes: Vec<Scope>,
        /// It allows everything that this release knows.
        #[arg(long, conflicts_with = "scopes")]
        every_scope: bool,
    },
    /// Deletes a role that nobody has.
    DeleteRole {
        /// Its name.
        name: String,
    },
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// The address is none.
    #[error("{0:?} is not an e-mail address")]
    Email(String, #[source] InvalidEmail),
    /// The address is taken.
    #[error("there is a member of staff with the address {0}")]
    Taken(String),
    /// There is no member of staff with the address.
    #[error("there is no member of staff with the address {0}; see `panono-shop staff list`")]
    Unknown(String),
    /// There is no such role.
    #[error("there is no role {0:?}, or somebody has it; see `panono-shop staff roles`")]
    Role(String),
    /// A name is empty or too long.
    #[error("a name has 1 to 64 characters without control characters")]
    Name,
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Hash(#[source] ApiError),
    /// The database failed.
    #[error("failed to use the database")]
    Database(#[from] DbError),
    /// The output could not be written, or no thread started.
    #[error("failed to write the output")]
    Output(#[from] std::io::Error),
}

impl MayBeDatabase for StaffError {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => error.database(),
            _ => None,
        }
    }
}

fn email(text: &str) -> Result<Email, StaffError> {
    Email::parse(text).map_err(|error| StaffError::Email(text.chars().take(64).collect(), error))
}

fn checked_name(name: &str) -> Result<String, StaffError> {
    let name = name.trim();
    if (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        Ok(name.to_owned())
    } else {
        Err(StaffError::Name)
    }
}

/// A first password: 100 random bits in groups.
fn first_password() -> String {
    let id = PublicId::random().to_string();
    let letters: Vec<char> = id.chars().take(20).collect();
    let groups: Vec<String> = letters
        .chunks(5)
        .map(|group| group.iter().collect())
        .collect();
    groups.join("-")
}

async fn hashed(password: &str) -> Result<String, StaffError> {
    let passwords = Passwords::start()?;
    passwords
        .hash(Password::presented(password))
        .await
        .map_err(StaffError::Hash)
}

async fn changed(db: &Db, email: Email, change: Change) -> Result<(), StaffError> {
    let key = email.key().to_owned();
    let found = db
        .transaction(move |connection| {
            let (key, change) = (key.clone(), change.clone());
            Box::pin(async move {
                store_staff::change(connection, &key, &change)
                    .await
                    .map_err(|error| StaffError::from(DbError::from(error)))
            })
        })
        .await?;
    if found {
        Ok(())
    } else {
        Err(StaffError::Unknown(email.typed().to_owned()))
    }
}

async fn role_id(db: &Db, name: &str) -> Result<i64, StaffError> {
    let wanted = name.to_owned();
    let found = db
        .transaction(move |connection| {
            let wanted = wanted.clone();
            Box::pin(async move {
                store_staff::role_by_name(connection, &wanted)
                    .await
                    .map_err(|error| StaffError::from(DbError::from(error)))
            })
        })
        .await?;
    found.ok_or_else(|| StaffError::Role(name.to_owned()))
}

async fn create(db: &Db, text: &str, name: &str, role: &str) -> Result<String, StaffError> {
    let email = email(text)?;
    let name = checked_name(name)?;
    let role = role_id(db, role).await?;
    let password = first_password();
    let hash = hashed(&password).await?;
    db.transaction(move |connection| {
        let (email, name, hash) = (email.clone(), name.clone(), hash.clone());
        Box::pin(async move {
            let addresses = (email.typed(), email.key());
            match store_staff::insert(connection, addresses, &name, role, &hash).await {
                Ok(()) => Ok(()),
                Err(error)
                    if violated_constraint(&error).as_deref() == Some("staff_user_email") =>
                {
                    Err(StaffError::Taken(email.typed().to_owned()))
                }
                Err(error) => Err(DbError::from(error).into()),
            }
        })
    })
    .await?;
    Ok(password)
}

async fn put_role(db: &Db, name: &str, scopes: Vec<Scope>) -> Result<(), StaffError> {
    let name = checked_name(name)?;
    db.transaction(move |connection| {
        let (name, scopes) = (name.clone(), scopes.clone());
        Box::pin(async move {
            store_staff::put_role(connection, &name, &scopes)
                .await
                .map_err(|error| StaffError::from(DbError::from(error)))
        })
    })
    .await
}

async fn list(db: &Db, output: &mut impl Write) -> Result<(), StaffError> {
    writeln!(output, "ADDRESS\tNAME\tROLE\tSTATE\tSECOND FACTOR")?;
    let mut after = 0;
    loop {
        let page = db
            .transaction(move |connection| {
                Box::pin(async move {
                    store_staff::members(connection, after)
                        .await
                        .map_err(|error| StaffError::from(DbError::from(error)))
                })
            })
            .await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.id;
        for member in &page {
            writeln!(
                output,
                "{}\t{}\t{}\t{}\t{}",
                member.email,
                member.name,
                member.role,
                if member.disabled {
                    "disabled"
                } else {
                    "active"
                },
                if member.totp_enabled { "on" } else { "off" },
            )?;
        }
    }
}

/// Runs the command. What is meant for programs (a password, a list) goes to `output`.
///
/// # Errors
/// See [`StaffError`].
pub async fn run(
    db: &Db,
    keys: &Keys,
    shop: &str,
    arguments: &StaffArguments,
    output: &mut impl Write,
) -> Result<(), StaffError> {
    match &arguments.command {
        StaffCommand::Create {
            email: text,
            name,
            role,
        } => {
            let password = create(db, text, name, role).await?;
            writeln!(output, "{password}")?;
        }
        StaffCommand::List => list(db, output).await?,
        StaffCommand::Role { email: text, role } => {
            let role = role_id(db, role).await?;
            changed(db, email(text)?, Change::Role(role)).await?;
        }
        StaffCommand::Reset { email: text } => {
            let password = first_password();
            let hash = hashed(&password).await?;
            changed(db, email(text)?, Change::Password(hash)).await?;
            writeln!(output, "{password}")?;
        }
        StaffCommand::Totp { email: text } => {
            let email = email(text)?;
            let secret = totp::new_secret();
            let context = totp_context(email.key());
            let sealed = keys.seal(totp::SEALED_FOR, &context, &secret);
            let uri = totp::uri(&secret, shop, email.typed());
            changed(db, email, Change::Totp(sealed)).await?;
            writeln!(output, "{}\n{uri}", totp::spelled(&secret))?;
        }
        StaffCommand::Disable { email: text } => {
            changed(db, email(text)?, Change::Disable).await?;
        }
        StaffCommand::Enable { email: text } => {
            changed(db, email(text)?, Change::Enable).await?;
        }
        StaffCommand::Roles => {
            let roles = db
                .transaction(|connection| {
                    Box::pin(async move {
                        store_staff::roles(connection)
                            .await
                            .map_err(|error| StaffError::from(DbError::from(error)))
                    })
                })
                .await?;
            writeln!(output, "ROLE\tSCOPES")?;
            for role in roles {
                writeln!(output, "{}\t{}", role.name, role.scopes.join(","))?;
            }
        }
        StaffCommand::PutRole {
            name,
            scopes,
            every_scope,
        } => {
            let scopes = if *every_scope {
                Scope::ALL.to_vec()
            } else {
                scopes.clone()
            };
            put_role(db, name, scopes).await?;
        }
        StaffCommand::DeleteRole { name } => {
            let wanted = name.clone();
            let deleted = db
                .transaction(move |connection| {
                    let wanted = wanted.clone();
                    Box::pin(async move {
                        store_staff::delete_role(connection, &wanted)
                            .await
                            .map_err(|error| StaffError::from(DbError::from(error)))
                    })
                })
                .await?;
            if !deleted {
                return Err(StaffError::Role(name.clone()));
            }
        }
    }
    Ok(())
}
