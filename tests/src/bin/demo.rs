//! `make demo`: a whole shop on this machine.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use anyhow::{Context, Result};
use panono_operator::agent::config::Durability;
use panono_tests::agents::{AgentGroup, AgentOptions, DATABASE, watch};
use panono_tests::smtp::SmtpSink;
use panono_tests::stack::{Stack, StackOptions};

/// Where shoppers find the demo, unless something else is there.
const PORT: u16 = 8080;
/// What the demo's token allows.
const SCOPES: &str = "read:catalog,write:products,write:prices,write:stock,write:categories,write:publication,\
write:cache,read:audit,read:orders,write:orders,read:payments,capture:payments,refund:payments,read:shipments,\
write:shipments,read:returns,write:returns,read:customers,read:promotions,write:promotions,read:shipping,write:shipping,\
read:taxes,write:taxes,read:risk,write:risk,read:webhooks,write:webhooks";
/// Cards of the test provider that a newcomer tries first: numbers, and what happens.
const CARDS: &[(&str, &str)] = &[
    ("4242 4242 4242 4242", "is accepted"),
    ("4000 0000 0000 3220", "needs a second step"),
    (
        "4000 0000 0000 0002",
        "is declined; docs/payments.md has more",
    ),
];

#[tokio::main]
async fn main() -> Result<()> {
    panono_tests::http::install_tls();
    say(
        "starting three database members under their agents, and forming their group (some 20 seconds)",
    );
    let group = AgentGroup::start(AgentOptions {
        durability: Durability::Relaxed,
        // Everything of the demo is on 127.0.0.1.
        networks: false,
        ..AgentOptions::default()
    })
    .await?;
    let mails = std::env::current_dir()?.join(".demo/mails");
    let smtp = SmtpSink::into_folder(&mails).await?;
    let mut variables = vec![
        ("PANONO_SHOP_NAME".to_owned(), "Panono".to_owned()),
        ("PANONO_CURRENCIES".to_owned(), "USD,EUR,CNY".to_owned()),
        ("PANONO_PAYMENTS_TEST".to_owned(), "true".to_owned()),
        // Endpoints of the demo are programs on this machine.
        (
            "PANONO_WEBHOOK_PRIVATE_TARGETS".to_owned(),
            "true".to_owned(),
        ),
    ];
    variables.extend(smtp.variables());
    say("starting the cache server, two web processes, the edge cache and a worker");
    let stack = Stack::on(
        &group.addresses(),
        DATABASE,
        StackOptions {
            edge_port: Some(PORT),
            variables,
            ..StackOptions::default()
        },
    )
    .await?;
    say("filling the catalogue, with pictures");
    stack.environment.run(&["seed", "--demo"]).await?;
    let token = stack
        .environment
        .output(&["token", "create", "demo", "--scope", SCOPES])
        .await
        .context("failed to make a token")?;
    let first = stack.shops.first().context("there is no web process")?;
    println!();
    println!("  storefront   {}/en", stack.edge.url());
    println!("  staff        {}/api/v1/admin/products", stack.edge.url());
    println!("  token        {}", token.trim());
    for (line, (number, what)) in CARDS.iter().enumerate() {
        let name = if line == 0 { "cards" } else { "" };
        println!("  {name:<12} {number} {what}");
    }
    println!("  coupon       {}", panono_shop::seed::selling::COUPON);
    println!("  API          {}/openapi.json", stack.edge.url());
    println!("  mails        {} (.html to look at)", mails.display());
    println!("  metrics      {}/metrics", first.operations_url());
    println!();
    println!(
        "  curl -H 'Authorization: Bearer {}' {}/api/v1/admin/products",
        token.trim(),
        stack.edge.url()
    );
    println!();
    println!("  database     {}", watch::primary_in_words(&group).await?);
    println!();
    say("running; Ctrl-C ends everything");
    tokio::select! {
        () = stopped() => {}
        failed = tell_failovers(&group, first.url()) => failed?,
    }
    say("ending");
    for shop in stack.shops.iter().chain(std::iter::once(&stack.worker)) {
        let _ = shop.process().terminate(Duration::from_secs(10)).await;
    }
    drop(stack);
    drop(group);
    Ok(())
}

fn say(text: &str) {
    println!("demo: {text}");
}

/// Says of each loss of the primary after how long the shop sold again.
async fn tell_failovers(group: &AgentGroup, shop: String) -> Result<()> {
    loop {
        say(&watch::next_failover(group, &shop).await?);
        say(&format!(
            "primary: {}",
            watch::primary_in_words(group).await?
        ));
    }
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
