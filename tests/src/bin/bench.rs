//! `make bench`: what the shop does, beside yardsticks; and `make soakproducts`. `docs/benchmarks.md` says how to read it.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result, bail};
use panono_tests::agents::{AgentGroup, AgentOptions};
use panono_tests::bench::bed::Bed;
use panono_tests::bench::traffic::Traffic;
use panono_tests::bench::{
    Measure, archive, checkout, commits, edge, fleet, gaps, lifecycle, login, miss, origin, say,
    soak,
};
use panono_tests::mysql::{Durability, GroupOptions, MysqlGroup};
use panono_tests::tools;

/// Benches of one web process, with a catalogue of some thousand products.
const SMALL: &[&str] = &[
    "origin_hit_json",
    "origin_hit_html",
    "origin_miss",
    "edge_hit",
    "start_to_ready_ms",
    "login_isolation",
    "resident_mib",
];
/// Benches of a whole shop with a large catalogue.
const WHOLE: &[&str] = &["hit_ratio", "purge_delay_p99_ms"];
/// Benches of buying, on a database that waits for its disk.
const BUYING: &[&str] = &["checkout_rate", "hot_sku_rate", "archiving_cost"];
/// Benches of the database's primary, on agents.
const GAPS: &[&str] = &[
    "write_gap_switchover_ms",
    "write_gap_crash_ms",
    "write_gap_partition_ms",
];
/// The bench that starts its own servers.
const ALONE: &[&str] = &["group_commit_rate"];
/// Benches of the operator, which are one run.
const FLEET: &[&str] = &[
    "shops_1000_converge_s",
    "shops_1000_calls_per_shop",
    "shops_1000_resident_mib",
    "shops_1000_writes_at_rest",
];
/// More than any bench of [`SMALL`] needs: some of the products are drafts.
const PRODUCTS: usize = miss::PRODUCTS + 500;
const MEMBERS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    panono_tests::http::install_tls();
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted == ["soak"] {
        return soak::run().await;
    }
    let known: Vec<&str> = [SMALL, BUYING, WHOLE, ALONE, GAPS, FLEET].concat();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        bail!(
            "there is no bench {unknown}; there are: {}",
            known.join(", ")
        );
    }
    if cfg!(debug_assertions) {
        say("this is a debug build: its numbers mean nothing; run `make bench`");
    }
    let chosen = |names: &[&'static str]| -> Vec<&'static str> {
        let is_chosen = |name: &&str| wanted.is_empty() || wanted.iter().any(|other| other == name);
        names.iter().copied().filter(is_chosen).collect()
    };
    let mut measures = Vec::new();
    let mut failed = Vec::new();
    small(&chosen(SMALL), &mut measures, &mut failed).await?;
    buying(&chosen(BUYING), &mut measures, &mut failed).await?;
    whole(&chosen(WHOLE), &mut measures, &mut failed).await?;
    for name in chosen(ALONE) {
        note(name, commits::of_group().await, &mut measures, &mut failed);
    }
    database(&chosen(GAPS), &mut measures, &mut failed).await?;
    fleet(&chosen(FLEET), &mut measures, &mut failed).await;
    let folder = tools::repository().join("target");
    std::fs::create_dir_all(&folder).context("failed to make target/")?;
    std::fs::write(
        folder.join("bench.json"),
        serde_json::to_string_pretty(&measures)? + "\n",
    )
    .context("failed to write target/bench.json")?;
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("could not run: {}", failed.join(", "))
    }
}

async fn small(
    names: &[&'static str],
    measures: &mut Vec<Measure>,
    failed: &mut Vec<&'static str>,
) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let group = MysqlGroup::start(1).await?;
    let bed = Bed::new(&group, PRODUCTS).await?;
    for name in names {
        let measured = match *name {
            "origin_hit_json" => origin::json(&bed).await,
            "origin_hit_html" => origin::html(&bed).await,
            "origin_miss" => miss::run(&bed).await,
            "edge_hit" => edge::run(&bed).await,
            "start_to_ready_ms" => lifecycle::start_to_ready(&bed).await,
            "login_isolation" => login::run(&bed).await,
            _ => lifecycle::resident(&bed).await,
        };
        note(name, measured, measures, failed);
    }
    Ok(())
}

async fn buying(
    names: &[&'static str],
    measures: &mut Vec<Measure>,
    failed: &mut Vec<&'static str>,
) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let options = GroupOptions {
        members: 1,
        durability: Durability::Full,
        ..GroupOptions::default()
    };
    let group = MysqlGroup::start_with(options).await?;
    for name in names {
        let measured = match *name {
            "checkout_rate" => checkout::rate_of_checkouts(&group).await,
            "archiving_cost" => archive::run(&group).await,
            _ => checkout::rate_of_one_product(&group).await,
        };
        note(name, measured, measures, failed);
    }
    Ok(())
}

async fn whole(
    names: &[&'static str],
    measures: &mut Vec<Measure>,
    failed: &mut Vec<&'static str>,
) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let group = MysqlGroup::start(MEMBERS).await?;
    let traffic = Traffic::start(&group).await?;
    for name in names {
        let measured = match *name {
            "hit_ratio" => traffic.hit_ratio().await,
            _ => traffic.purge_delay().await,
        };
        note(name, measured, measures, failed);
    }
    Ok(())
}

async fn database(
    names: &[&'static str],
    measures: &mut Vec<Measure>,
    failed: &mut Vec<&'static str>,
) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let group = AgentGroup::start(AgentOptions::default()).await?;
    for name in names {
        let measured = match *name {
            "write_gap_switchover_ms" => gaps::switchover(&group).await,
            "write_gap_crash_ms" => gaps::crash(&group).await,
            _ => gaps::partition(&group).await,
        };
        note(name, measured, measures, failed);
    }
    Ok(())
}

async fn fleet(
    names: &[&'static str],
    measures: &mut Vec<Measure>,
    failed: &mut Vec<&'static str>,
) {
    if names.is_empty() {
        return;
    }
    if let Err(error) = panono_tests::control_plane::assets() {
        say(&format!("left out: {}: {error}", names.join(", ")));
        return;
    }
    match fleet::run().await {
        Ok(found) => {
            for measure in found
                .into_iter()
                .filter(|found| names.contains(&found.name))
            {
                note(measure.name, Ok(measure), measures, failed);
            }
        }
        Err(error) => {
            say(&format!("{} could not run: {error:#}", names.join(", ")));
            failed.extend(names);
        }
    }
}

/// One bench that could not run does not take the others away.
fn note(
    name: &'static str,
    measured: Result<Measure>,
    measures: &mut Vec<Measure>,
    failed: &mut Vec<&'static str>,
) {
    match measured {
        Ok(measure) => {
            println!("{measure}");
            measures.push(measure);
        }
        Err(error) => {
            say(&format!("{name} could not run: {error:#}"));
            failed.push(name);
        }
    }
}
