//! `panono-operator render`

use clap::Args;
use panono_crds::{Shop, to_yaml};

use super::{CommandResult, FileArgs};
use crate::desired::{Stage, desired};
use crate::manifest::Manifest;
use crate::object::Object;
use crate::observe::Served;
use crate::validate::{Referenced, validate};

/// Arguments of `render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    #[command(flatten)]
    file: FileArgs,
    /// API groups that the cluster serves besides its own, such as monitoring.coreos.com, separated by commas
    #[arg(long, value_delimiter = ',')]
    api_groups: Vec<String>,
}

/// What rendering depends on besides the Shop.
#[derive(Clone, Debug)]
pub struct RenderOptions {
    /// What the cluster serves.
    pub served: Served,
}

/// The objects of a Shop of `manifest`, as they are when it has arrived.
///
/// # Errors
/// Why it cannot be built.
pub fn rendered(
    shop: &Shop,
    manifest: &Manifest,
    options: &RenderOptions,
) -> Result<Vec<Object>, String> {
    let referenced = Referenced {
        secrets: manifest.secrets.clone(),
        kinds: options.served.kinds.clone(),
        custom_metrics: options.served.custom_metrics,
    };
    let valid = validate(shop, &referenced)
        .map_err(|invalid| format!("{}: {}", invalid.reason, invalid.message))?;
    Ok(desired(&valid, &Stage::settled(&valid)))
}

pub(super) fn run(args: &RenderArgs) -> CommandResult {
    let manifest = args.file.read()?;
    let options = RenderOptions {
        served: Served::with_groups(args.api_groups.iter().map(String::as_str)),
    };
    let mut out = String::new();
    for shop in &manifest.shops {
        let objects = rendered(shop, &manifest, &options).map_err(anyhow::Error::msg)?;
        for object in objects {
            if !out.is_empty() {
                out.push_str("---\n");
            }
            out.push_str(&to_yaml(&object.body).map_err(anyhow::Error::msg)?);
        }
    }
    super::print_out(&out)
}
