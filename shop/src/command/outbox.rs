//! `panono-shop outbox`

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use time::format_description::well_known::Rfc3339;

use super::CommandResult;
use crate::config::args::DatabaseArgs;
use crate::config::{self, Collector};
use crate::db::{Db, DbError};
use crate::outbox::dead::{self, DeadLetter};

/// Arguments of `outbox`.
#[derive(Debug, Args)]
pub struct OutboxArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(subcommand)]
    command: OutboxCommand,
}

#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// List what was given up after its last attempt, the latest first
    List {
        /// Only of this topic: event, mail, payment, webhook/NUMBER
        #[arg(long)]
        topic: Option<String>,
    },
    /// Have one row, or the oldest 1000 of a topic, tried again
    Replay {
        /// The number of the row, as `list` shows it
        #[arg(required_unless_present = "topic", conflicts_with = "topic")]
        id: Option<i64>,
        /// All of this topic
        #[arg(long)]
        topic: Option<String>,
    },
    /// Delete one row for good
    Discard {
        /// The number of the row, as `list` shows it
        id: i64,
    },
}

/// Rows read at once.
const PAGE: u32 = 200;

pub(super) async fn run(args: OutboxArgs) -> CommandResult {
    let mut problems = Collector::default();
    let database = config::database(&args.database, &mut problems);
    let db = Db::start(problems.finish(database)?);
    match args.command {
        OutboxCommand::List { topic } => list(&db, topic).await?,
        OutboxCommand::Replay {
            id: Some(id),
            topic: _,
        } => {
            let found = db
                .transaction(move |connection| {
                    Box::pin(async move { Ok::<_, DbError>(dead::replay(connection, id).await?) })
                })
                .await?;
            anyhow::ensure!(found, "there is no dead letter {id}");
            println!("{id} will be tried again");
        }
        OutboxCommand::Replay { id: None, topic } => {
            let topic = topic.unwrap_or_default();
            let name = topic.clone();
            let rows = db
                .transaction(move |connection| {
                    let topic = topic.clone();
                    Box::pin(async move {
                        Ok::<_, DbError>(dead::replay_topic(connection, &topic).await?)
                    })
                })
                .await?;
            println!("{rows} of {name} will be tried again");
        }
        OutboxCommand::Discard { id } => {
            let found = db
                .transaction(move |connection| {
                    Box::pin(async move { Ok::<_, DbError>(dead::discard(connection, id).await?) })
                })
                .await?;
            anyhow::ensure!(found, "there is no dead letter {id}");
            println!("{id} is deleted");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(db: &Db, topic: Option<String>) -> Result<(), anyhow::Error> {
    let mut output = std::io::stdout().lock();
    writeln!(
        output,
        "ID\tTOPIC\tABOUT\tSUBJECT\tATTEMPTS\tGIVEN UP\tERROR"
    )?;
    let mut before = i64::MAX;
    loop {
        let wanted = topic.clone();
        let page = db
            .transaction(move |connection| {
                let wanted = wanted.clone();
                Box::pin(async move {
                    Ok::<_, DbError>(dead::list(connection, wanted.as_deref(), before, PAGE).await?)
                })
            })
            .await?;
        for row in &page {
            writeln!(output, "{}", line(row))?;
        }
        match page.last() {
            Some(last) if page.len() >= PAGE as usize => before = last.id,
            _ => return Ok(()),
        }
    }
}

fn line(row: &DeadLetter) -> String {
    let error = row.last_error.as_deref().unwrap_or_default();
    let error: String = error
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    [
        row.id.to_string(),
        row.topic.clone(),
        row.aggregate.clone(),
        row.subject.clone().unwrap_or_else(|| "-".to_owned()),
        row.attempts.to_string(),
        row.dead_at.format(&Rfc3339).unwrap_or_default(),
        error,
    ]
    .join("\t")
}
