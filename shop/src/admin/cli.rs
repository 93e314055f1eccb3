//! `panono-shop token`: makes, lists and revokes bearer tokens of the staff API.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::store_token::{self, TokenError};
use super::token::{Scope, Token};
use crate::db::{Db, DbError};

/// Tokens of the staff API.
#[derive(Debug, Clone, Args)]
pub struct TokenArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// What to do with tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenCommand {
    /// Makes a token and prints its secret, once, on standard output.
    Create {
        /// The name of its user or program; it is the actor in the audit log.
        name: String,
        /// What it allows, as `verb:resource`; give it once for each scope, or several with commas.
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// For how long it works, such as `90d`, `12h`, `30m` or `45s`. Without it, until it is revoked.
        #[arg(long, value_parser = parse_duration)]
        ttl: Option<Duration>,
    },
    /// Lists all tokens, without secrets.
    List,
    /// Revokes a token; it is refused everywhere within five seconds.
    Revoke {
        /// The name of the token.
        name: String,
    },
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text:?} is not a duration: give a number and one of d, h, m, s, such as 90d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return Err(wrong()),
    };
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The token could not be made or revoked.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The output could not be written.
    #[error("failed to write the output")]
    Output(#[from] std::io::Error),
}

/// Runs the command. What is meant for programs (the secret, the list) goes to `output`.
///
/// # Errors
/// See [`RunError`].
pub async fn run(
    db: &Db,
    arguments: &TokenArguments,
    output: &mut impl Write,
) -> Result<(), RunError> {
    match &arguments.command {
        TokenCommand::Create { name, scopes, ttl } => {
            let secret = store_token::create(db, name, scopes, *ttl).await?;
            writeln!(output, "{}", secret.reveal())?;
        }
        TokenCommand::Revoke { name } => store_token::revoke(db, name).await?,
        TokenCommand::List => {
            writeln!(output, "NAME\tSTATE\tSCOPES\tCREATED\tEXPIRES")?;
            let mut after = 0;
            loop {
                let page = list_page(db, after).await?;
                let Some(last) = page.last() else { break };
                after = last.id;
                let now = OffsetDateTime::now_utc();
                for token in &page {
                    writeln!(output, "{}", line(token, now))?;
                }
            }
        }
    }
    Ok(())
}

async fn list_page(db: &Db, after: i64) -> Result<Vec<Token>, TokenError> {
    db.transaction(move |connection| {
        Box::pin(async move {
            store_token::list(connection, after)
                .await
                .map_err(|error| TokenError::from(DbError::from(error)))
        })
    })
    .await
}

fn line(token: &Token, now: OffsetDateTime) -> String {
    let state = match (token.revoked_at, token.is_valid(now)) {
        (Some(_), _) => "revoked",
        (None, true) => "valid",
        (None, false) => "expired",
    };
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.name()).collect();
    let instant = |instant: OffsetDateTime| instant.format(&Rfc3339).unwrap_or_default();
    format!(
        "{}\t{state}\t{}\t{}\t{}",
        token.name,
        scopes.join(","),
        instant(token.created_at),
        token.expires_at.map_or_else(|| "never".to_owned(), instant)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        token: TokenArguments,
    }

    #[test]
    fn scopes_and_lifetimes_are_checked_while_arguments_are_read() {
        let arguments = [
            "x",
            "create",
            "erp",
            "--scope",
            "read:catalog,write:stock",
            "--ttl",
            "90d",
        ];
        let parsed = Program::try_parse_from(arguments)
            .ok()
            .unwrap()
            .token
            .command;
        let TokenCommand::Create { scopes, ttl, .. } = parsed else {
            panic!()
        };
        assert_eq!(scopes, [Scope::ReadCatalog, Scope::WriteStock]);
        assert_eq!(ttl, Some(Duration::from_secs(90 * 86_400)));
        for wrong in [
            &["x", "create", "erp"][..],
            &["x", "create", "erp", "--scope", "write:world"],
            &[
                "x",
                "create",
                "erp",
                "--scope",
                "read:catalog",
                "--ttl",
                "soon",
            ],
            &[
                "x",
                "create",
                "erp",
                "--scope",
                "read:catalog",
                "--ttl",
                "ä",
            ],
        ] {
            assert!(Program::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
