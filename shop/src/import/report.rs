//! What an import says: progress, refusals, and a summary.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::counters::Counters;
use super::problem::Problem;

/// Problems shown on the screen; the report file has all of them.
const SHOWN_PROBLEMS: u64 = 20;
/// Between two lines of progress where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

enum ReportFile {
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Lines(BufWriter<File>),
}

#[derive(Serialize)]
struct ReportRow<'a> {
    severity: &'a str,
    file: &'a str,
    line: u64,
    product: &'a str,
    field: &'a str,
    value: &'a str,
    problem: &'a str,
    message: &'a str,
    advice: &'a str,
}

/// Writes problems to the screen and to the report file.
pub struct Report {
    file: Option<ReportFile>,
    path: Option<PathBuf>,
    shown: u64,
    hidden: u64,
}

impl Report {
    /// A report, into a file when there is one: JSON lines when its name ends in `.json` or `.jsonl`, else CSV.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = path
            .map(|path| {
                let writer = BufWriter::new(File::create(path)?);
                let json = path
                    .extension()
                    .is_some_and(|extension| extension == "json" || extension == "jsonl");
                Ok::<_, io::Error>(if json {
                    ReportFile::Lines(writer)
                } else {
                    ReportFile::Csv(Box::new(csv::Writer::from_writer(writer)))
                })
            })
            .transpose()?;
        Ok(Self {
            file,
            path: path.map(Path::to_owned),
            shown: 0,
            hidden: 0,
        })
    }

    /// Notes a problem of a file.
    ///
    /// # Errors
    /// The report file cannot be written.
    pub fn problem(
        &mut self,
        severity: &str,
        file: &str,
        problem: &Problem,
        screen: &Screen,
    ) -> io::Result<()> {
        if self.shown < SHOWN_PROBLEMS {
            self.shown += 1;
            screen.line(&format!("{severity}: {file}, {problem}"));
        } else {
            self.hidden += 1;
        }
        let row = ReportRow {
            severity,
            file,
            line: problem.line,
            product: &problem.product,
            field: &problem.field,
            value: &problem.value,
            problem: problem.kind.code(),
            message: &problem.message,
            advice: &problem.advice,
        };
        match &mut self.file {
            None => Ok(()),
            Some(ReportFile::Csv(writer)) => writer.serialize(row).map_err(io::Error::other),
            Some(ReportFile::Lines(writer)) => {
                serde_json::to_writer(&mut *writer, &row).map_err(io::Error::other)?;
                writer.write_all(b"\n")
            }
        }
    }

    /// Finishes the file and says where the rest is.
    ///
    /// # Errors
    /// The report file cannot be written.
    pub fn finish(&mut self, screen: &Screen) -> io::Result<()> {
        if self.hidden > 0 {
            let rest = match &self.path {
                Some(path) => format!("… and {} more: all are in {}", self.hidden, path.display()),
                None => format!(
                    "… and {} more: give --report FILE to have them all",
                    self.hidden
                ),
            };
            screen.line(&rest);
        }
        match &mut self.file {
            None => Ok(()),
            Some(ReportFile::Csv(writer)) => writer.flush(),
            Some(ReportFile::Lines(writer)) => writer.flush(),
        }
    }
}

/// Progress: a bar on a terminal, a line every few seconds elsewhere.
pub struct Screen {
    bar: Option<ProgressBar>,
    total: u64,
    started: Instant,
    last_line: std::cell::Cell<Instant>,
}

impl Screen {
    /// Progress towards a number of bytes, or of products.
    #[must_use]
    pub fn new(total: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let style =
                ProgressStyle::with_template("{bar:30} {percent}% {msg} [{elapsed}, {eta} left]");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self {
            bar,
            total: total.max(1),
            started: Instant::now(),
            last_line: std::cell::Cell::new(Instant::now()),
        }
    }

    /// Says how far it is.
    pub fn progress(&self, position: u64, records: u64) {
        let rate = records.saturating_mul(1_000)
            / u64::try_from(self.started.elapsed().as_millis())
                .unwrap_or(1)
                .max(1);
        match &self.bar {
            Some(bar) => {
                bar.set_position(position.min(self.total));
                bar.set_message(format!("{records} products, {rate}/s"));
            }
            None if self.last_line.get().elapsed() >= LINE_INTERVAL => {
                self.last_line.set(Instant::now());
                let percent = position.min(self.total).saturating_mul(100) / self.total;
                self.line(&format!("{percent}%: {records} products, {rate}/s"));
            }
            None => {}
        }
    }

    /// Says how many pictures are drawn.
    pub fn pictures(&self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(count.min(self.total));
            bar.set_message(format!("{count} pictures"));
        }
    }

    /// Writes a line above the bar.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            // Nobody can be told when stderr is closed.
            None => drop(writeln!(io::stderr(), "{text}")),
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How an import ended.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// How much was done.
    pub counters: Counters,
    /// Entries that an earlier run had committed.
    pub resumed_at: u64,
    /// True when nothing was written.
    pub dry_run: bool,
    /// Paths of new categories.
    pub new_categories: BTreeSet<String>,
}

impl Summary {
    /// 0 when everything was taken, 3 when some was refused, 1 when nothing could be taken.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let Counters {
            products_created,
            products_updated,
            products_unchanged,
            additions_applied,
            additions_unchanged,
            ..
        } = self.counters;
        let taken = products_created
            + products_updated
            + products_unchanged
            + additions_applied
            + additions_unchanged;
        match (taken, self.counters.products_refused) {
            (_, 0) => 0,
            (0, _) => 1,
            (_, _) => 3,
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counters = &self.counters;
        if self.dry_run {
            writeln!(
                formatter,
                "Dry run: nothing was written. An import would give:"
            )?;
        }
        if self.resumed_at > 0 {
            writeln!(
                formatter,
                "Went on after {} entries that an earlier run had committed.",
                self.resumed_at
            )?;
        }
        writeln!(
            formatter,
            "products    {} created, {} updated, {} unchanged, {} refused",
            counters.products_created,
            counters.products_updated,
            counters.products_unchanged,
            counters.products_refused
        )?;
        if counters.additions_applied + counters.additions_unchanged > 0 {
            writeln!(
                formatter,
                "additions   {} applied, {} unchanged",
                counters.additions_applied, counters.additions_unchanged
            )?;
        }
        writeln!(
            formatter,
            "variants    {} created, {} updated, {} archived",
            counters.variants_created, counters.variants_updated, counters.variants_archived
        )?;
        writeln!(
            formatter,
            "categories  {} created",
            counters.categories_created
        )?;
        writeln!(formatter, "brands      {} created", counters.brands_created)?;
        writeln!(
            formatter,
            "prices      {} created, {} ended",
            counters.prices_created, counters.prices_ended
        )?;
        write!(
            formatter,
            "stock       {} created, {} updated",
            counters.stock_created, counters.stock_updated
        )
    }
}
