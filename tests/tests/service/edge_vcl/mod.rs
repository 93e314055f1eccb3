//! The rendered VCL on a real Varnish, in front of an origin that answers as each test prescribes.

mod failure;
mod freshness;
mod purging;
mod requests;
mod storing;

use std::time::Duration;

use anyhow::Result;
use panono_shop::edge::vcl::{self, VclConfig};
use panono_tests::origin::{Answer, Origin};
use panono_tests::varnish::Varnish;
use panono_tests::wire::{self, Message};

const HOST: &str = "shop.example";
const LIMIT: Duration = Duration::from_secs(120);

struct Edge {
    varnish: Varnish,
    origin: Origin,
}

impl Edge {
    async fn start() -> Result<Self> {
        Self::with(|_| ()).await
    }

    /// With a configuration changed from one that keeps objects from the start.
    async fn with(change: impl FnOnce(&mut VclConfig)) -> Result<Self> {
        Self::edited(change, |vcl| vcl).await
    }

    /// As [`Edge::with`], with the rendered text changed too.
    async fn edited(
        change: impl FnOnce(&mut VclConfig),
        edit: impl FnOnce(String) -> String,
    ) -> Result<Self> {
        let origin = Origin::start().await?;
        origin.on("/healthz", |_, _| Answer::ok("ok"));
        let mut config = VclConfig::new(
            vec![origin.address().to_string()],
            vec![HOST.to_owned()],
            vec!["127.0.0.1".to_owned()],
        );
        config.settle = Duration::ZERO;
        change(&mut config);
        let text = edit(vcl::render(&config)?);
        let varnish = Varnish::start(&text, vcl::VARNISHD_PARAMETERS).await?;
        Ok(Self { varnish, origin })
    }

    async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Message> {
        let mut all = vec![("Host", HOST)];
        all.extend_from_slice(headers);
        wire::send(self.varnish.address(), method, target, &all).await
    }

    async fn get(&self, target: &str) -> Result<Message> {
        self.send("GET", target, &[]).await
    }

    async fn purge(&self, tags: &str, kind: &str, sequence: &str) -> Result<Message> {
        self.send(
            "PURGE",
            "/",
            &[
                ("Surrogate-Key", tags),
                ("Panono-Purge", kind),
                ("Panono-Sequence", sequence),
            ],
        )
        .await
    }
}

/// An answer with this body that may be kept for an hour.
fn page(body: impl Into<Vec<u8>>) -> Answer {
    Answer::ok(body)
        .header("CDN-Cache-Control", "max-age=3600")
        .header("Cache-Control", "public, max-age=0, must-revalidate")
}

/// An answer that goes stale a second from now, to be kept after that as `directives` say.
fn soon_stale(body: impl Into<Vec<u8>>, directives: &str) -> Answer {
    Answer::ok(body)
        .header("CDN-Cache-Control", format!("max-age=3600, {directives}"))
        .header("Age", "3599")
}

/// An answer with tags, made at this sequence.
fn tagged(body: impl Into<Vec<u8>>, directives: &str, tags: &str, sequence: &str) -> Answer {
    Answer::ok(body)
        .header("CDN-Cache-Control", directives)
        .header("Surrogate-Key", tags)
        .header("Cache-Tag", tags.replace(' ', ","))
        .header("Panono-Sequence", sequence)
}

fn status_of(message: &Message) -> String {
    message.header("Cache-Status").unwrap_or_default()
}

fn is_hit(message: &Message) -> bool {
    status_of(message).contains("panono-edge; hit")
}

/// The value of a parameter of our own member of Cache-Status.
fn parameter(message: &Message, name: &str) -> Option<String> {
    let status = status_of(message);
    let own = status
        .split(", ")
        .find(|member| member.starts_with("panono-edge"))?;
    own.split("; ").find_map(|part| {
        part.strip_prefix(name)?
            .strip_prefix('=')
            .map(str::to_owned)
    })
}

fn seconds(message: &Message, name: &str) -> i64 {
    parameter(message, name)
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {}", status_of(message)))
}
