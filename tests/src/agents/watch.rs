//! Tells when the primary is lost, and after how long a shop sells again.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::AgentGroup;
use crate::wait::wait_until;

/// Between two looks at the primary's server.
const LOOK: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(600);

/// Who is primary, in words, and how to kill its server.
///
/// # Errors
/// When there is no primary for a long time.
pub async fn primary_in_words(group: &AgentGroup) -> Result<String> {
    let primary = group.primary().await?;
    let pid = group.member(primary).server_pid()?;
    Ok(format!("member {primary}; lose it: kill -9 {pid}"))
}

/// Waits until the primary's server is lost or another takes its role, then until the shop at this address takes a cart, and says
/// so in words.
///
/// # Errors
/// When the shop does not sell again for a long time.
pub async fn next_failover(group: &AgentGroup, shop: &str) -> Result<String> {
    let old = group.primary().await?;
    let pid = group.member(old).server_pid()?;
    while Path::new(&format!("/proc/{pid}")).exists() && is_primary(group, old).await {
        tokio::time::sleep(LOOK).await;
    }
    let lost = Instant::now();
    let http = crate::http::client();
    wait_until("the shop to sell again", LIMIT, async || {
        let cart = http
            .post(format!("{shop}/api/v1/carts"))
            .json(&serde_json::json!({}))
            .timeout(Duration::from_secs(15))
            .send()
            .await?;
        ensure!(cart.status() == 201, "{}", cart.status());
        anyhow::Ok(())
    })
    .await?;
    let after = lost.elapsed();
    let new = group.primary().await?;
    Ok(format!(
        "member {old} was lost as primary; member {new} took over, and the shop sold again after {:.1} s",
        after.as_secs_f64()
    ))
}

async fn is_primary(group: &AgentGroup, index: usize) -> bool {
    let Ok(status) = group.member(index).status(group.client()).await else {
        // A server that is not seen for a moment is not lost yet; its process tells.
        return true;
    };
    status
        .view
        .is_none_or(|view| panono_operator::agent::view::is_primary(&view))
}
