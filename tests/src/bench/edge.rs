//! What Varnish answers from its memory with the shop's configuration, beside Varnish with next to none.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use panono_shop::edge::vcl::VARNISHD_PARAMETERS;

use crate::ports::Port;
use crate::varnish::Varnish;
use crate::wait::wait_until;

use super::bed::Bed;
use super::nginx::Answer;
use super::{Measure, load};

const LIMIT: Duration = Duration::from_secs(180);
/// For so long after it was stored an answer is compared with the newest purge at each hit. What is asked for often is nearly always
/// older, and is measured so.
const YOUNG: Duration = Duration::from_secs(60);

/// Requests per second of one product's page: `edge_hit`.
///
/// # Errors
/// When a server does not start, or answers with an error.
pub async fn run(bed: &Bed<'_>) -> Result<Measure> {
    let product = bed.some(0, 1)?.first().context("there is no product")?;
    let port = Port::take()?;
    let environment = bed
        .environment
        .clone()
        .with("PANONO_PUBLIC_URL", &format!("http://{}", port.address()));
    let shop = environment.serve().await?;
    let backend = shop.address().to_string();
    let vcl = environment
        .output(&["edge-config", "--backends", &backend])
        .await?;
    let edge = Varnish::start_on(port, &vcl, VARNISHD_PARAMETERS).await?;
    let bare = Varnish::start_on(
        Port::take()?,
        &bare_vcl(shop.address()),
        VARNISHD_PARAMETERS,
    )
    .await?;
    let mut urls = Vec::new();
    for varnish in [&edge, &bare] {
        load::pin(varnish.process())?;
        let url = format!("{}{}", varnish.url(), product.html());
        Answer::of(&url).await?;
        urls.push(url);
    }
    // An edge that has just started keeps nothing for long: what was purged before it came may not have reached the shop yet.
    wait_until(
        "what the edge keeps to be as old as usual",
        LIMIT,
        async || {
            let asked = crate::http::client().get(&urls[0]);
            let answer = asked.header("accept-encoding", "gzip").send().await?;
            let text = |name| {
                let value = answer.headers().get(name);
                value
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default()
            };
            let (status, age) = (text("cache-status"), text("age").parse::<u64>().ok());
            ensure!(
                status.contains("panono-edge; hit") && age > Some(YOUNG.as_secs()),
                "{status}, {age:?}"
            );
            Ok(())
        },
    )
    .await?;
    // From here on nobody is behind them: what was not a hit would be an error.
    drop(shop);
    let (of_edge, of_bare) = (Answer::of(&urls[0]).await?, Answer::of(&urls[1]).await?);
    ensure!(
        of_edge.length() == of_bare.length(),
        "the two answers differ in length: {} and {}",
        of_edge.length(),
        of_bare.length()
    );
    let (value, yardstick) = load::compare(&urls[0], &urls[1]).await?;
    Ok(Measure::beside("edge_hit", value, yardstick, "ratio>=0.95"))
}

/// Nothing but an origin and a lifetime, since Varnish by itself does not read the field that has it.
fn bare_vcl(origin: std::net::SocketAddr) -> String {
    format!(
        "vcl 4.1;\nbackend default {{ .host = \"{}\"; .port = \"{}\"; }}\n\
         sub vcl_backend_response {{ set beresp.ttl = 1h; }}\n",
        origin.ip(),
        origin.port()
    )
}
