//! `panono-operator run`

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use kube::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::CommandResult;
use crate::controller::{Operator, Settings, clients};
use crate::server;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where /metrics, /livez and /readyz are
    #[arg(long, env = "PANONO_OPERATOR_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Shops that are looked at at the same time
    #[arg(long, env = "PANONO_OPERATOR_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// The namespace of the Lease by which one of several processes leads; without one, that of the pod
    #[arg(long, env = "PANONO_OPERATOR_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,
    /// The name of the Lease
    #[arg(long, env = "PANONO_OPERATOR_LEASE", default_value = "panono-operator")]
    lease: String,
    /// The name of this process, unlike that of any other
    #[arg(long, env = "PANONO_OPERATOR_IDENTITY")]
    identity: Option<String>,
    /// The image with panono-agent, for databases of several members that are made from now on; without one that of this version
    #[arg(long, env = "PANONO_OPERATOR_AGENT_IMAGE")]
    agent_image: Option<String>,
}

pub(super) async fn run(args: RunArgs) -> CommandResult {
    let config = Config::infer()
        .await
        .context("there is no cluster: not in a pod, and no KUBECONFIG that can be used")?;
    let namespace = args
        .lease_namespace
        .unwrap_or_else(|| config.default_namespace.clone());
    let identity = args
        .identity
        .unwrap_or_else(|| format!("panono-operator-{:016x}", rand::random::<u64>()));
    let (client, watching) = clients(config).context("failed to make a client")?;
    let operator = Operator::new(Settings {
        concurrency: usize::from(args.concurrency),
        lease: Some((namespace, args.lease)),
        identity,
        agent_image: args.agent_image.unwrap_or_else(crate::desired::agent_image),
    });
    let (handle, server) = server::serve(args.listen, &operator.vitals())
        .with_context(|| format!("failed to listen on {}", args.listen))?;
    let serving = tokio::spawn(server);
    let (stop, stopped) = oneshot::channel();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = tokio::spawn(operator.run(client, watching, stopped));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("ending");
    stop.send(()).ok();
    running.await.context("the operator ended unexpectedly")?;
    handle.stop(true).await;
    serving.await.context("the server ended unexpectedly")??;
    Ok(ExitCode::SUCCESS)
}
