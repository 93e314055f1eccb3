//! `make demo`: a whole shop on this machine.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use anyhow::{Context, Result};
use panono_tests::mysql::{Durability, GroupOptions, MysqlGroup};
use panono_tests::smtp::SmtpSink;
use panono_tests::stack::{Stack, StackOptions};

/// The database of the demo's shop.
const DATABASE: &str = "panono_demo";
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
    say("starting three database members and forming their group (some 15 seconds)");
    let group = MysqlGroup::start_with(GroupOptions {
        durability: Durability::Relaxed,
        ..GroupOptions::default()
    })
    .await?;
    group.create_database(DATABASE).await?;
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
        &group,
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
    println!("  staff        {}/api/v1/admin", stack.edge.url());
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
    say("running; Ctrl-C ends everything");
    stopped().await;
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
