//! A real control plane on loopback: etcd, kube-apiserver and, where it is, kube-controller-manager.
//!
//! The programs are looked for in the folder that `KUBEBUILDER_ASSETS` names, then in `/usr/local/kubebuilder/bin`. No package has
//! them; where they are missing, [`assets`] says so and tests are skipped, unless `REQUIRE_CONTROL_PLANE` is set.

mod controllers;
mod gateway;
mod kubelet;
mod members;
mod operator;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, Config};

use crate::ports::Port;
use crate::process::{Folder, Process};
use crate::wait::wait_until;

pub use controllers::Controllers;
pub use gateway::{Fault, Gateway, Request};
pub use kubelet::Kubelet;
pub use members::Members;
pub use operator::Operator;

/// On a busy machine it takes its time.
const START_LIMIT: Duration = Duration::from_secs(120);

/// The administrator's token.
const TOKEN: &str = "panono-test-admin";

/// Where the programs of a control plane are.
///
/// # Errors
/// When they are nowhere, with what to do.
pub fn assets() -> Result<PathBuf> {
    let named = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let folders = named
        .into_iter()
        .chain([PathBuf::from("/usr/local/kubebuilder/bin")]);
    for folder in folders {
        if ["kube-apiserver", "etcd"]
            .iter()
            .all(|name| folder.join(name).is_file())
        {
            return Ok(folder);
        }
    }
    bail!(
        "there is no kube-apiserver and etcd: put them into /usr/local/kubebuilder/bin, or into the folder that KUBEBUILDER_ASSETS names"
    )
}

/// Whether tests of the control plane can run here. Says so where they cannot.
///
/// # Panics
/// Where they cannot and `REQUIRE_CONTROL_PLANE` is set.
pub fn is_here() -> bool {
    match assets() {
        Ok(_) => true,
        Err(error) if std::env::var_os("REQUIRE_CONTROL_PLANE").is_some() => panic!("{error}"),
        Err(error) => {
            eprintln!("skipped: {error}");
            false
        }
    }
}

/// A control plane of one's own.
#[derive(Debug)]
pub struct ControlPlane {
    manager: Option<Process>,
    server: std::sync::Mutex<Option<Process>>,
    _etcd: Process,
    port: Port,
    etcd_port: Port,
    _peer_port: Port,
    manager_port: Port,
    folder: Folder,
}

impl ControlPlane {
    /// Starts one and waits until it answers, with our definitions in it.
    ///
    /// # Errors
    /// When a program is missing or does not come up.
    pub async fn start() -> Result<Self> {
        Self::begin(true).await
    }

    /// Starts one without controllers: nothing happens in it but what its clients do.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn start_without_controllers() -> Result<Self> {
        Self::begin(false).await
    }

    async fn begin(controllers: bool) -> Result<Self> {
        let assets = assets()?;
        let folder = Folder::new("controlplane")?;
        let (port, etcd_port, peer_port, manager_port) =
            (Port::take()?, Port::take()?, Port::take()?, Port::take()?);
        let at = folder.path();
        write_keys(at)?;
        std::fs::write(
            at.join("tokens.csv"),
            format!("{TOKEN},admin,admin,\"system:masters\"\n"),
        )?;
        let mut command = Command::new(assets.join("etcd"));
        let (client_url, peer_url) = (
            format!("http://{}", etcd_port.address()),
            format!("http://{}", peer_port.address()),
        );
        command
            .arg("--data-dir")
            .arg(at.join("etcd"))
            .args(["--listen-client-urls", &client_url])
            .args(["--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url])
            .args(["--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}")])
            .args(["--unsafe-no-fsync", "--log-level", "error"])
            .args(["--quota-backend-bytes", "4294967296"]);
        let etcd = Process::start("etcd", command, &at.join("etcd.log"))?;
        let server = start_server(&assets, at, &port, &etcd_port)?;
        let mut plane = Self {
            manager: None,
            server: std::sync::Mutex::new(Some(server)),
            _etcd: etcd,
            port,
            etcd_port,
            _peer_port: peer_port,
            manager_port,
            folder,
        };
        plane.ready().await?;
        if controllers && assets.join("kube-controller-manager").is_file() {
            plane.manager = Some(plane.start_manager(&assets)?);
        }
        let client = plane.client().await?;
        install_definitions(&client).await?;
        Ok(plane)
    }

    fn start_manager(&self, assets: &Path) -> Result<Process> {
        let at = self.folder.path();
        let kubeconfig = self.kubeconfig("manager", &self.url(), TOKEN)?;
        let mut command = Command::new(assets.join("kube-controller-manager"));
        command
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .arg("--authentication-kubeconfig")
            .arg(&kubeconfig)
            .arg("--authorization-kubeconfig")
            .arg(&kubeconfig)
            .arg("--service-account-private-key-file")
            .arg(at.join("sa.key"))
            .args(["--leader-elect=false", "--bind-address=127.0.0.1"])
            .args(["--secure-port", &self.manager_port.number().to_string()])
            .args(["--kube-api-qps=200", "--kube-api-burst=400"])
            .arg("--controllers=*,-node-ipam-controller,-node-route-controller,-cloud-node-lifecycle-controller,-persistentvolume-attach-detach-controller");
        Process::start("kube-controller-manager", command, &at.join("manager.log"))
    }

    /// Whether controllers run: Deployments make pods, and what has lost its owner is deleted.
    pub fn has_controllers(&self) -> bool {
        self.manager.is_some()
    }

    async fn ready(&self) -> Result<()> {
        let client = self.client().await?;
        let namespaces: Api<Namespace> = Api::all(client);
        let probe = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?;
        wait_until(
            "the API server, its roles and its first namespace",
            START_LIMIT,
            async || {
                // Ready means: with the roles that everybody has.
                let answer = probe
                    .get(format!("{}/readyz", self.url()))
                    .bearer_auth(TOKEN)
                    .send()
                    .await
                    .map_err(|error| error.to_string())?;
                if !answer.status().is_success() {
                    return Err(answer.text().await.unwrap_or_default());
                }
                namespaces
                    .get("default")
                    .await
                    .map(|_| ())
                    .map_err(|error| error.to_string())
            },
        )
        .await
    }

    /// Kills the API server; what is stored stays.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill_server(&self) -> Result<()> {
        let mut server = self.server.lock().expect("no test panics with the lock");
        if let Some(server) = server.take() {
            server.kill()?;
        }
        Ok(())
    }

    /// Starts the API server again, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_server(&self) -> Result<()> {
        let process = start_server(&assets()?, self.folder.path(), &self.port, &self.etcd_port)?;
        *self.server.lock().expect("no test panics with the lock") = Some(process);
        self.ready().await
    }

    /// `https://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("https://{}", self.port.address())
    }

    /// A folder for files that go with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The administrator's token.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// Writes a kubeconfig for `server` with a bearer token, and says where it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn kubeconfig(&self, name: &str, server: &str, token: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(format!("{name}.kubeconfig"));
        let insecure = server.starts_with("https:");
        let text = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": insecure}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        });
        std::fs::write(&path, text.to_string())?;
        Ok(path)
    }

    /// A client of the administrator.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn client(&self) -> Result<Client> {
        self.client_with(TOKEN)
    }

    /// A client with a token.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn client_with(&self, token: &str) -> Result<Client> {
        crate::http::install_tls();
        let mut config = Config::new(self.url().parse()?);
        config.accept_invalid_certs = true;
        config.auth_info.token = Some(token.to_owned().into());
        config.connect_timeout = Some(Duration::from_secs(5));
        Ok(Client::try_from(config)?)
    }
}

fn start_server(assets: &Path, at: &Path, port: &Port, etcd: &Port) -> Result<Process> {
    let mut command = Command::new(assets.join("kube-apiserver"));
    command
        .args(["--etcd-servers", &format!("http://{}", etcd.address())])
        .args(["--secure-port", &port.number().to_string()])
        .args(["--bind-address=127.0.0.1", "--advertise-address=10.0.0.1"])
        .arg("--cert-dir")
        .arg(at.join("certificates"))
        .arg("--token-auth-file")
        .arg(at.join("tokens.csv"))
        .arg("--service-account-key-file")
        .arg(at.join("sa.pub"))
        .arg("--service-account-signing-key-file")
        .arg(at.join("sa.key"))
        .args([
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/14",
            "--authorization-mode=RBAC",
            "--allow-privileged=false",
            // Endpoints of the API server itself are nobody's business here.
            "--endpoint-reconciler-type=none",
            "--max-requests-inflight=2000",
            "--max-mutating-requests-inflight=1000",
        ]);
    Process::start("kube-apiserver", command, &at.join("apiserver.log"))
}

/// The key pair of service accounts, on the curve P-256.
fn write_keys(at: &Path) -> Result<()> {
    let key = rcgen::KeyPair::generate().context("failed to make a key")?;
    std::fs::write(at.join("sa.key"), key.serialize_pem())?;
    std::fs::write(at.join("sa.pub"), key.public_key_pem())?;
    Ok(())
}

/// Applies every definition of ours and waits until the API server serves it.
///
/// # Errors
/// When one is refused.
pub async fn install_definitions(client: &Client) -> Result<()> {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for (_, definition) in panono_crds::definitions() {
        let name = definition.metadata.name.clone().unwrap_or_default();
        api.patch(
            &name,
            &PatchParams::apply("panono-tests").force(),
            &Patch::Apply(&definition),
        )
        .await
        .with_context(|| format!("the definition {name} is refused"))?;
        wait_until("the definition to be served", START_LIMIT, async || {
            let found = api.get(&name).await.map_err(|error| error.to_string())?;
            let conditions = found.status.and_then(|status| status.conditions);
            let established = conditions
                .iter()
                .flatten()
                .any(|condition| condition.type_ == "Established" && condition.status == "True");
            established
                .then_some(())
                .ok_or_else(|| format!("{conditions:?}"))
        })
        .await?;
    }
    Ok(())
}

/// A namespace of one's own.
///
/// # Errors
/// When it cannot be made.
pub async fn namespace(client: &Client, name: &str) -> Result<String> {
    let name = format!("{name}-{:08x}", rand::random::<u32>());
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(serde_json::json!({
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }))?;
    api.create(&PostParams::default(), &namespace).await?;
    Ok(name)
}

/// Objects of any kind in a namespace.
pub fn objects(
    client: &Client,
    namespace: &str,
    kind: panono_operator::object::Kind,
) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind.resource())
}
