//! A whole shop: database, cache server, web processes, worker, edge, as a cluster would have them.

use anyhow::{Context, Result};
use panono_shop::edge::vcl::VARNISHD_PARAMETERS;

use crate::mysql::TestDatabase;
use crate::ports::Port;
use crate::process::Folder;
use crate::shop::{Environment, Shop};
use crate::valkey::Valkey;
use crate::varnish::Varnish;

/// What a stack is made of.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Web processes behind the edge.
    pub shops: usize,
    /// Variables that all processes of the shop get.
    pub variables: Vec<(String, String)>,
    /// The edge's port; any free one if it is taken, or none is given.
    pub edge_port: Option<u16>,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            shops: 2,
            variables: Vec::new(),
            edge_port: None,
        }
    }
}

/// A running shop. Everything is killed when this value is dropped.
#[derive(Debug)]
pub struct Stack {
    /// The edge that shoppers reach.
    pub edge: Varnish,
    /// The web processes.
    pub shops: Vec<Shop>,
    /// The worker.
    pub worker: Shop,
    /// The cache server.
    pub valkey: Valkey,
    /// What all processes of the shop are started with.
    pub environment: Environment,
    _media: Folder,
}

impl Stack {
    /// Starts everything on a database of the group, whose primary the shop follows by itself.
    ///
    /// # Errors
    /// When a part does not start, with the end of its log.
    pub async fn start(database: &TestDatabase<'_>, options: StackOptions) -> Result<Self> {
        Self::on(&database.group().addresses(), database.name(), options).await
    }

    /// As [`Stack::start`], with a database of the members at these addresses (`host:port`).
    ///
    /// # Errors
    /// As of [`Stack::start`].
    pub async fn on(addresses: &[String], database: &str, options: StackOptions) -> Result<Self> {
        let valkey = Valkey::start().await?;
        let media = Folder::new("media")?;
        let edge_port = match options.edge_port {
            Some(number) => Port::exactly(number).or_else(|_| Port::take())?,
            None => Port::take()?,
        };
        let edge_url = format!("http://{}", edge_port.address());
        let mut environment = Environment::for_addresses(addresses, database)
            .with_cache(&valkey.url())
            .with_media(media.path())
            .with_edges(std::slice::from_ref(&edge_url))
            .with("PANONO_PUBLIC_URL", &edge_url)
            .with("PANONO_ALLOWED_HOSTS", "localhost")
            .with("PANONO_DATABASE_POOL_MAX", "8");
        for (name, value) in &options.variables {
            environment = environment.with(name, value);
        }
        environment.run(&["migrate"]).await?;
        let mut shops = Vec::new();
        for _ in 0..options.shops {
            shops.push(environment.serve().await?);
        }
        let backends: Vec<String> = shops
            .iter()
            .map(|shop| shop.address().to_string())
            .collect();
        let vcl = environment
            .output(&["edge-config", "--backends", &backends.join(",")])
            .await
            .context("failed to make the configuration of the edge")?;
        let edge = Varnish::start_on(edge_port, &vcl, VARNISHD_PARAMETERS).await?;
        let worker = environment.worker().await?;
        Ok(Self {
            edge,
            shops,
            worker,
            valkey,
            environment,
            _media: media,
        })
    }
}
