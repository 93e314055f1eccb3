//! What a storm of sign-ins does to those who look at pages: `login_isolation`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::http;

use super::bed::{Bed, read};
use super::{Measure, median, percentile, say};

/// Browsers that read a page again and again.
const READERS: usize = 4;
/// Sign-ins under way: as many as keep the threads that hash busy, and fewer than are refused.
const SIGN_INS: usize = 48;
/// How long each half of a round is measured.
const HALF: Duration = Duration::from_secs(5);
/// Rounds, of which the middle one counts.
const ROUNDS: usize = 5;

/// The 99th percentile of the time of a page from memory, in milliseconds, during a storm of sign-ins and without one.
///
/// # Errors
/// When the shop does not start, a page is not answered, or nobody's password was hashed.
pub async fn run(bed: &Bed<'_>) -> Result<Measure> {
    let shop = bed.environment.serve().await?;
    let product = bed.some(0, 1)?.first().context("there is no product")?;
    let page = format!("{}{}", shop.url(), product.html());
    read(&http::client(), &page).await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        without.push(pages(&page).await?);
        let stop = Arc::new(AtomicBool::new(false));
        let hashed = Arc::new(AtomicU64::new(0));
        let storm: Vec<_> = (0..SIGN_INS)
            .map(|_| {
                let url = format!("{}/api/v1/auth/login", shop.url());
                tokio::spawn(sign_in(url, Arc::clone(&stop), Arc::clone(&hashed)))
            })
            .collect();
        // Half of the storm's first second is its beginning; the threads are busy after it.
        let during = pages(&page).await;
        stop.store(true, Ordering::Relaxed);
        for task in storm {
            task.await??;
        }
        let hashed = hashed.load(Ordering::Relaxed);
        ensure!(hashed > 0, "no password was hashed");
        let during = during?;
        say(&format!(
            "login_isolation: round {round}: {during:.2} ms with {hashed} sign-ins, {:.2} ms without",
            without.last().copied().unwrap_or_default()
        ));
        with.push(during);
    }
    Ok(Measure::beside(
        "login_isolation",
        median(with),
        median(without),
        "ratio<=2.00",
    ))
}

/// The 99th percentile of the time of a page, in milliseconds.
async fn pages(url: &str) -> Result<f64> {
    let until = Instant::now() + HALF;
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let url = url.to_owned();
            tokio::spawn(async move {
                let client = http::client();
                let mut times = Vec::new();
                while Instant::now() < until {
                    let began = Instant::now();
                    read(&client, &url).await?;
                    times.push(began.elapsed().as_secs_f64() * 1000.0);
                }
                Ok::<_, anyhow::Error>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for reader in readers {
        times.extend(reader.await??);
    }
    ensure!(!times.is_empty(), "no page was read");
    Ok(percentile(times, 99))
}

/// Tries passwords of addresses that have none, from everywhere, until it is told to stop.
async fn sign_in(url: String, stop: Arc<AtomicBool>, hashed: Arc<AtomicU64>) -> Result<()> {
    let client = http::client();
    while !stop.load(Ordering::Relaxed) {
        let number: u32 = rand::random();
        let [one, two, three, four] = number.to_be_bytes();
        let answer = client
            .post(&url)
            .header("x-real-ip", format!("{one}.{two}.{three}.{four}"))
            .json(&json!({ "email": format!("{number}@shop.example"), "password": "a guess" }))
            .send()
            .await?;
        match answer.status().as_u16() {
            401 => {
                hashed.fetch_add(1, Ordering::Relaxed);
            }
            status => ensure!(status == 503, "a sign-in was answered with {status}"),
        }
    }
    Ok(())
}
