//! What a web process answers from its memory, beside nginx with the same answer in a file.

use anyhow::{Context, Result, ensure};

use crate::shop::Shop;

use super::bed::Bed;
use super::nginx::{Answer, Nginx};
use super::{Measure, load, say};

/// Requests per second of one product as JSON: `origin_hit_json`.
///
/// # Errors
/// When a server does not start, or answers with an error.
pub async fn json(bed: &Bed<'_>) -> Result<Measure> {
    let product = bed.some(0, 1)?.first().context("there is no product")?;
    hit(bed, "origin_hit_json", &product.json()).await
}

/// Requests per second of one product's page: `origin_hit_html`.
///
/// # Errors
/// When a server does not start, or answers with an error.
pub async fn html(bed: &Bed<'_>) -> Result<Measure> {
    let product = bed.some(0, 1)?.first().context("there is no product")?;
    hit(bed, "origin_hit_html", &product.html()).await
}

async fn hit(bed: &Bed<'_>, name: &'static str, path: &str) -> Result<Measure> {
    let shop = bed
        .environment
        .clone()
        .with("PANONO_THREADS", "1")
        .serve()
        .await?;
    load::pin(shop.process())?;
    let answer = remembered(&shop, path).await?;
    let nginx = Nginx::start(path, &answer).await?;
    load::pin(nginx.process())?;
    say(&format!(
        "{name}: {path}, {} bytes on the wire",
        answer.length()
    ));
    let url = format!("{}{path}", shop.url());
    let (value, yardstick) = load::compare(&url, nginx.url()).await?;
    Ok(Measure::beside(name, value, yardstick, "ratio>=1.00"))
}

/// The answer as it is from the second time on.
async fn remembered(shop: &Shop, path: &str) -> Result<Answer> {
    let url = format!("{}{path}", shop.url());
    Answer::of(&url).await?;
    let answer = Answer::of(&url).await?;
    let status = answer.header("cache-status").unwrap_or_default();
    ensure!(
        status.contains("detail=memory"),
        "{path} is not answered from memory: {status:?}"
    );
    Ok(answer)
}
