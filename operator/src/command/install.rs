//! `panono-operator install-agent`: the init container of a database member.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::CommandResult;
use crate::desired::group::PORT;
use crate::object::insert;

/// The program that is put into the pod.
const PROGRAM: &str = "panono-agent";

/// Arguments of `install-agent`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The configuration that all members share
    #[arg(long)]
    template: PathBuf,
    /// Where the program and the member's configuration go
    #[arg(long)]
    folder: PathBuf,
    /// The domain of all members
    #[arg(long)]
    domain: String,
    /// The name of the pod, which ends with the member's number
    #[arg(long, env = "POD_NAME")]
    pod_name: String,
    /// The identity of the pod
    #[arg(long, env = "POD_UID")]
    pod_uid: String,
    /// The address of the pod
    #[arg(long, env = "POD_IP")]
    pod_ip: IpAddr,
}

/// Copies the agent that lies beside this program, and writes the member's configuration.
pub(super) fn install(args: &InstallArgs) -> CommandResult {
    let text = std::fs::read_to_string(&args.template)
        .with_context(|| format!("failed to read {}", args.template.display()))?;
    let template: Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is not JSON", args.template.display()))?;
    let configuration = member(template, args)?;
    let source = std::env::current_exe()
        .context("failed to find this program")?
        .with_file_name(PROGRAM);
    put(&source, &args.folder.join(PROGRAM))?;
    let target = args.folder.join("agent.json");
    std::fs::write(&target, configuration.to_string())
        .with_context(|| format!("failed to write {}", target.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Under another name first: a container that is started again finds the whole program or none.
fn put(source: &Path, target: &Path) -> Result<(), anyhow::Error> {
    let part = target.with_extension("part");
    std::fs::copy(source, &part).with_context(|| {
        format!(
            "failed to copy {} to {}",
            source.display(),
            target.display()
        )
    })?;
    std::fs::rename(&part, target)
        .with_context(|| format!("failed to rename {}", part.display()))?;
    Ok(())
}

/// What is different for each member.
fn member(mut template: Value, args: &InstallArgs) -> Result<Value, anyhow::Error> {
    let ordinal: u32 = args
        .pod_name
        .rsplit_once('-')
        .and_then(|(_, number)| number.parse().ok())
        .with_context(|| format!("{:?} does not end with a number", args.pod_name))?;
    insert(&mut template, "podUid", args.pod_uid.clone());
    insert(&mut template, "ordinal", ordinal);
    insert(&mut template, "serverId", ordinal.saturating_add(1));
    insert(
        &mut template,
        "host",
        format!("{}.{}", args.pod_name, args.domain),
    );
    insert(
        &mut template,
        "admin",
        std::net::SocketAddr::new(args.pod_ip, ADMIN_PORT).to_string(),
    );
    if let Some(slice) = template.get_mut("endpointSlice") {
        insert(slice, "address", args.pod_ip.to_string());
        insert(slice, "podName", args.pod_name.clone());
    }
    if template.get("port").is_none() {
        insert(&mut template, "port", json!(PORT));
    }
    Ok(template)
}

/// Where the server answers its agent when all other connections are taken.
const ADMIN_PORT: u16 = 33_062;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{InstallArgs, member};

    fn args(pod_name: &str) -> InstallArgs {
        InstallArgs {
            template: "/t".into(),
            folder: "/f".into(),
            domain: "demo-database-members.shops.svc".to_owned(),
            pod_name: pod_name.to_owned(),
            pod_uid: "uid".to_owned(),
            pod_ip: "10.0.0.7".parse().unwrap(),
        }
    }

    #[test]
    fn each_member_has_its_name_number_and_address() {
        let template =
            json!({"port": 3306, "endpointSlice": {"namespace": "shops", "name": "demo-db-rw"}});
        assert_eq!(
            member(template.clone(), &args("demo-database-2")).unwrap(),
            json!({
                "port": 3306, "podUid": "uid", "ordinal": 2, "serverId": 3,
                "host": "demo-database-2.demo-database-members.shops.svc", "admin": "10.0.0.7:33062",
                "endpointSlice": {"namespace": "shops", "name": "demo-db-rw", "address": "10.0.0.7", "podName": "demo-database-2"},
            })
        );
        assert!(member(template, &args("demo")).is_err());
    }
}
