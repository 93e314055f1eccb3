//! `panono-shop edge-config`

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::CommandResult;
use crate::config::args::SiteArgs;
use crate::config::{self, Collector, list};
use crate::edge::vcl::{self, PurgeToken, Scheme, VARNISHD_PARAMETERS, VclConfig};

/// Arguments of `edge-config`.
#[derive(Debug, Args)]
pub struct EdgeConfigArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// The web processes as host:port, separated by commas
    #[arg(
        long,
        env = "PANONO_EDGE_BACKENDS",
        required_unless_present = "parameters"
    )]
    backends: Option<String>,
    /// Addresses and networks that may purge, separated by commas: those of the workers
    #[arg(long, env = "PANONO_EDGE_PURGE_FROM", default_value = "127.0.0.1")]
    purge_from: String,
    /// Proxies in front of the edge whose X-Forwarded-For is believed, separated by commas
    #[arg(long, env = "PANONO_EDGE_TRUSTED_PROXIES", default_value = "")]
    trusted_proxies: String,
    /// Secret that must come with each purge
    #[arg(long, env = "PANONO_PURGE_VARNISH_TOKEN", hide_env_values = true)]
    purge_token: Option<String>,
    /// File with that secret
    #[arg(long, env = "PANONO_PURGE_VARNISH_TOKEN_FILE")]
    purge_token_file: Option<std::path::PathBuf>,
    /// Print the parameters that varnishd must be started with instead, one `name=value` a line
    #[arg(long)]
    parameters: bool,
    /// Print nothing and write two files into this folder: `edge.vcl`, and `parameters.cli`, which sets the parameters when
    /// varnishd is started with `-I`
    #[arg(long, conflicts_with = "parameters")]
    write_to: Option<std::path::PathBuf>,
}

pub(super) fn run(args: &EdgeConfigArgs) -> CommandResult {
    if args.parameters {
        for (name, value) in VARNISHD_PARAMETERS {
            println!("{name}={value}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut problems = Collector::default();
    let owned = |text: &str| list(text).map(str::to_owned).collect::<Vec<_>>();
    let token = config::secret(
        &mut problems,
        ("PANONO_PURGE_VARNISH_TOKEN", args.purge_token.as_ref()),
        (
            "PANONO_PURGE_VARNISH_TOKEN_FILE",
            args.purge_token_file.as_ref(),
        ),
    );
    let token =
        token.and_then(|token| problems.take("PANONO_PURGE_VARNISH_TOKEN", PurgeToken::new(token)));
    let origin = config::public_origin(&args.site, &mut problems);
    let origin = problems.finish(origin)?;
    let mut hosts: Vec<String> = origin.host_str().map(str::to_owned).into_iter().collect();
    hosts.extend(owned(&args.site.allowed_hosts));
    let config = VclConfig {
        purge_token: token,
        public_port: origin.port(),
        trusted_proxies: owned(&args.trusted_proxies),
        scheme: if origin.scheme() == "http" {
            Scheme::Http
        } else {
            Scheme::Https
        },
        ..VclConfig::new(
            owned(args.backends.as_deref().unwrap_or_default()),
            hosts,
            owned(&args.purge_from),
        )
    };
    let text = vcl::render(&config)?;
    let Some(folder) = &args.write_to else {
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    };
    let mut commands = String::new();
    for (name, value) in VARNISHD_PARAMETERS {
        commands.push_str(&format!("param.set {name} {value}\n"));
    }
    for (name, content) in [("edge.vcl", text), ("parameters.cli", commands)] {
        let path = folder.join(name);
        std::fs::write(&path, content)
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
