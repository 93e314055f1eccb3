//! From a cart to an order over HTTP: nothing is sold that is not there, nobody pays twice, no order is lost.

mod crash;
mod idempotency;
mod lost;
mod orders;
mod rush;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use panono_tests::market::{Buyer, Cart, GOOD_CARD, Market, Reply};
use panono_tests::mysql::TestDatabase;

/// A shop in the shared group, filled.
async fn market(variants: usize, pieces: i64) -> Result<(TestDatabase<'static>, Market)> {
    let database = TestDatabase::shared().await?;
    database.migrate().await?;
    let market = Market::open(&database, variants, pieces).await?;
    Ok((database, market))
}

/// Has all of these carts ordered over so many connections, each once; answers what was answered.
async fn order_all(buyer: &Buyer, carts: Vec<Cart>, connections: usize) -> Result<Vec<Reply>> {
    let (carts, next) = (Arc::new(carts), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (carts, next, buyer) = (Arc::clone(&carts), Arc::clone(&next), buyer.clone());
            tokio::spawn(async move {
                let mut replies = Vec::new();
                while let Some(cart) = carts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    replies.push(buyer.order(cart, &cart.id, GOOD_CARD).await?);
                }
                anyhow::Ok(replies)
            })
        })
        .collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.extend(task.await??);
    }
    Ok(replies)
}

/// How many of the replies have this code; `placed` for orders.
fn counted(replies: &[Reply], code: &str) -> usize {
    let is = |reply: &&Reply| match code {
        "placed" => reply.placed().is_some(),
        code => reply.code() == code,
    };
    replies.iter().filter(is).count()
}

/// Answers that are neither an order nor one of these codes.
fn others<'r>(replies: &'r [Reply], codes: &[&str]) -> Vec<&'r Reply> {
    replies
        .iter()
        .filter(|reply| reply.placed().is_none() && !codes.contains(&reply.code()))
        .collect()
}
