//! Members of database groups, as far as the operator sees them: for each pod of one an agent's interface, and behind all of a Shop's
//! a group that does what it is told at once and never fails by itself. Members of namespaces that nobody named are silent.
//!
//! It stands for MySQL and its agents where what is tested is what an API server tells. What members really do is tested on real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{Api, ListParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt as _};
use panono_operator::agent::api::{
    API_VERSION, COMMANDS_PATH, Command, DataDirectory, Done, Failover, InUse, LastView, Member,
    MemberRole, MemberState, Passwords, STATUS_PATH, Server, Status, Transactions, Verb, View,
    ViewId,
};
use panono_operator::agent::{config, tls};
use panono_operator::desired::group::{
    ACCOUNTS, AGENT_PORT, CONTAINER, GENERATION_KEY, TLS, shop_key,
};
use panono_operator::names::{COMPONENT_LABEL, SHOP_LABEL};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::JoinHandle;

/// The version that every member says it runs.
pub const VERSION: &str = "9.7.0";

/// Agents for the pods of every group of a cluster. They end with this value.
#[derive(Debug)]
pub struct Members {
    task: JoinHandle<()>,
    groups: Groups,
    namespaces: Namespaces,
}

type Namespaces = Arc<Mutex<BTreeSet<String>>>;
type Groups = Arc<Mutex<BTreeMap<(String, String), Group>>>;

/// A group and its data, which outlive pods.
#[derive(Debug, Default)]
struct Group {
    name: Option<String>,
    epoch: i64,
    counter: u64,
    primary: Option<u32>,
    /// Members that have data of the group.
    joined: BTreeSet<u32>,
    /// Members that run, with the identity of the pod.
    running: BTreeMap<u32, Running>,
    /// What was told, in its order.
    told: Vec<(u32, Verb)>,
    /// What was not as it should have been when something was told.
    problems: Vec<String>,
    /// Which passwords accounts take, and which they take with none before them.
    passwords: (i64, i64),
    /// What the primary tells of how it became it.
    failover: Option<Failover>,
}

#[derive(Debug)]
struct Running {
    pod_uid: String,
    /// It left and stays out.
    out: bool,
    server: Option<ServerHandle>,
    /// What its server was started with, or was told to take since.
    has: Files,
}

/// What is in the volumes of a member's pod, by digests and numbers.
#[derive(Clone, Debug, Default)]
struct Files {
    passwords: i64,
    certificate: String,
    settings: String,
}

impl Members {
    /// Starts them.
    pub fn start(client: Client) -> Self {
        let (groups, namespaces) = (Groups::default(), Namespaces::default());
        Self {
            task: tokio::spawn(serve(client, Arc::clone(&groups), Arc::clone(&namespaces))),
            groups,
            namespaces,
        }
    }

    /// Lets the members of a namespace answer whose pods appear from now on.
    pub fn answer_in(&self, namespace: &str) {
        let mut namespaces = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        namespaces.insert(namespace.to_owned());
    }

    /// Everything that members of a Shop were told, with their ordinals, in its order.
    #[must_use]
    pub fn told(&self, namespace: &str, shop: &str) -> Vec<(u32, Verb)> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups
            .get(&(namespace.to_owned(), shop.to_owned()))
            .map_or_else(Vec::new, |group| group.told.clone())
    }

    /// What was not as it should have been when members of a Shop were told something, in words.
    #[must_use]
    pub fn problems(&self, namespace: &str, shop: &str) -> Vec<String> {
        self.of(namespace, shop, |group| group.problems.clone())
    }

    /// Another member becomes the primary by itself. How long nobody took writes is told later, by [`Members::tell_gap`].
    pub fn fail_over(&self, namespace: &str, shop: &str, to: u32) {
        self.of(namespace, shop, |group| {
            group.primary = Some(to);
            group.failover = None;
            group.counter += 1;
        });
    }

    /// The primary has taken its first write.
    pub fn tell_gap(&self, namespace: &str, shop: &str, milliseconds: u64) {
        let at_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
        self.of(namespace, shop, |group| {
            group.failover = Some(Failover {
                from_uuid: None,
                at_ms,
                write_gap_ms: milliseconds,
            });
        });
    }

    fn of<T>(&self, namespace: &str, shop: &str, what: impl FnOnce(&mut Group) -> T) -> T {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), shop.to_owned());
        what(groups.entry(key).or_default())
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: Client, groups: Groups, namespaces: Namespaces) {
    let pods: Api<Pod> = Api::all(client.clone());
    let chosen = watcher::Config::default().labels(&format!("{COMPONENT_LABEL}=database"));
    let mut events = watcher(pods, chosen).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(pod) | Event::InitApply(pod)) => {
                let answers = {
                    let namespaces = namespaces.lock().unwrap_or_else(PoisonError::into_inner);
                    namespaces.contains(&pod.namespace().unwrap_or_default())
                };
                if !answers {
                    continue;
                }
                if let Err(error) = appeared(&client, &groups, &pod).await {
                    eprintln!("a member cannot be served: {error:#}");
                }
            }
            Ok(Event::Delete(pod)) => gone(&groups, &pod),
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// The Shop and the ordinal of a pod that has an agent.
fn place(pod: &Pod) -> Option<((String, String), u32)> {
    let spec = pod.spec.as_ref()?;
    let has_agent = spec.containers.iter().any(|container| {
        container
            .ports
            .iter()
            .flatten()
            .any(|port| port.container_port == i32::from(AGENT_PORT))
    });
    let shop = pod.labels().get(SHOP_LABEL).filter(|_| has_agent)?;
    let (_, ordinal) = pod.metadata.name.as_deref()?.rsplit_once('-')?;
    Some((
        (pod.namespace()?, shop.clone()),
        ordinal.parse::<u32>().ok()?,
    ))
}

/// Whether the member's container runs, as far as its node has told.
fn runs(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let mut containers = status
        .and_then(|status| status.container_statuses.as_ref())
        .into_iter()
        .flatten();
    containers.any(|container| container.name == CONTAINER && container.ready)
}

async fn appeared(client: &Client, groups: &Groups, pod: &Pod) -> Result<()> {
    let Some((shop, ordinal)) = place(pod).filter(|_| runs(pod)) else {
        return Ok(());
    };
    let address = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ip.as_deref());
    let Some(address) = address.and_then(|address| address.parse::<IpAddr>().ok()) else {
        return Ok(());
    };
    let pod_uid = pod.uid().unwrap_or_default();
    let served = {
        let groups = groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups
            .get(&shop)
            .and_then(|group| group.running.get(&ordinal))
            .is_some_and(|running| running.pod_uid == pod_uid)
    };
    if served {
        return Ok(());
    }
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &shop.0);
    let secret = secrets.get(&format!("{}-{TLS}", shop.1)).await?;
    let config = certificates(&secret)?;
    let has = files(client, &shop).await?;
    let state = web::Data::new(Here {
        client: client.clone(),
        groups: Arc::clone(groups),
        shop: shop.clone(),
        ordinal,
    });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .route(STATUS_PATH, web::get().to(status))
            .route(COMMANDS_PATH, web::post().to(command))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .bind_rustls_0_23(SocketAddr::new(address, AGENT_PORT), config)
    .with_context(|| format!("{address} cannot be listened on"))?
    .run();
    let handle = server.handle();
    tokio::spawn(server);
    let mut groups = groups.lock().unwrap_or_else(PoisonError::into_inner);
    let group = groups.entry(shop).or_default();
    group.counter += 1;
    let before = group.running.insert(
        ordinal,
        Running {
            pod_uid,
            out: false,
            server: Some(handle),
            has,
        },
    );
    drop(before.and_then(|before| before.server).map(stop));
    group.settle();
    Ok(())
}

/// What is in the volumes of a Shop's members now.
async fn files(client: &Client, (namespace, shop): &(String, String)) -> Result<Files> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let tls = secrets.get(&format!("{shop}-{TLS}")).await?;
    let tls = tls.data.unwrap_or_default();
    let bytes = |key: &str| tls.get(key).map_or(&[][..], |value| &value.0);
    let accounts = secrets.get(&format!("{shop}-{ACCOUNTS}")).await?;
    let accounts = accounts.data.unwrap_or_default();
    let generation = accounts
        .get(GENERATION_KEY)
        .context("passwords have no number")?;
    let settings = maps.get(&format!("{shop}-database")).await?;
    let live = settings.data.unwrap_or_default().remove("live.json");
    Ok(Files {
        passwords: String::from_utf8_lossy(&generation.0).parse()?,
        certificate: tls::digest(bytes("ca.crt"), bytes("tls.crt")),
        settings: config::digest(&[&live.context("there are no settings")?]),
    })
}

/// Pods of a Shop that would be locked out if only the passwords of this generation were taken.
async fn locked_out(
    client: &Client,
    (namespace, shop): &(String, String),
    generation: i64,
) -> Result<Vec<String>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let labels = format!("{SHOP_LABEL}={shop},{COMPONENT_LABEL} in (web,worker)");
    let found = pods.list(&ListParams::default().labels(&labels)).await?;
    Ok(found
        .into_iter()
        .filter(|pod| {
            !serde_json::to_string(&pod.spec)
                .unwrap_or_default()
                .contains(&format!("\"{}\"", shop_key(generation)))
        })
        .map(|pod| format!("{} uses the passwords before", pod.name_any()))
        .collect())
}

fn stop(server: ServerHandle) -> JoinHandle<()> {
    tokio::spawn(async move { server.stop(false).await })
}

fn gone(groups: &Groups, pod: &Pod) {
    let Some((shop, ordinal)) = place(pod) else {
        return;
    };
    let mut groups = groups.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = groups.get_mut(&shop) else {
        return;
    };
    let is_same = group
        .running
        .get(&ordinal)
        .is_some_and(|running| Some(&running.pod_uid) == pod.uid().as_ref());
    if is_same && let Some(running) = group.running.remove(&ordinal) {
        drop(running.server.map(stop));
        group.counter += 1;
        group.settle();
    }
}

fn certificates(secret: &Secret) -> Result<ServerConfig> {
    let data = secret.data.clone().unwrap_or_default();
    let get = |key: &str| {
        data.get(key)
            .map(|bytes| bytes.0.clone())
            .with_context(|| format!("the Secret has no {key}"))
    };
    let chain = CertificateDer::pem_slice_iter(&get("tls.crt")?).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&get("tls.key")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

impl Group {
    /// Whoever runs and was not told to stay out is in the group once there is one; one of them is the primary.
    fn settle(&mut self) {
        if self.name.is_none() {
            return;
        }
        let online: Vec<u32> = self.online().collect();
        self.joined.extend(&online);
        if self
            .primary
            .is_none_or(|primary| !online.contains(&primary))
        {
            self.primary = online.first().copied();
        }
    }

    fn online(&self) -> impl Iterator<Item = u32> {
        self.running
            .iter()
            .filter(|(_, running)| !running.out)
            .map(|(ordinal, _)| *ordinal)
    }

    fn status(&self, ordinal: u32, files: Files) -> Option<Status> {
        let running = self.running.get(&ordinal)?;
        let data = match &self.name {
            Some(name) if self.joined.contains(&ordinal) => DataDirectory::Owned {
                group_name: name.clone(),
            },
            _ => DataDirectory::Fresh,
        };
        let id = ViewId {
            epoch: self.epoch,
            prefix: "stand-in".to_owned(),
            counter: self.counter,
        };
        let is_in = self.name.is_some() && !running.out;
        let role = |other: u32| {
            Some(if self.primary == Some(other) {
                MemberRole::Primary
            } else {
                MemberRole::Secondary
            })
        };
        let members: Vec<Member> = self
            .online()
            .map(|other| Member {
                uuid: uuid(other),
                address: format!("member-{other}:3306"),
                state: MemberState::Online,
                role: role(other),
                version: VERSION.to_owned(),
                applier_queue: 0,
            })
            .collect();
        let transactions = self.name.as_ref().map(|name| Transactions {
            executed: format!("{name}:1-9"),
            received: String::new(),
            purged: String::new(),
        });
        Some(Status {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            api_version: API_VERSION,
            pod_uid: running.pod_uid.clone(),
            ordinal,
            epoch: self.epoch,
            data,
            server: Server::Running {
                version: VERSION.to_owned(),
            },
            server_uuid: Some(uuid(ordinal)),
            last_view: is_in.then(|| LastView {
                id: id.clone(),
                members: members.iter().map(|member| member.uuid.clone()).collect(),
                primary_uuid: self.primary.map(uuid),
            }),
            view: Some(View {
                state: if is_in {
                    MemberState::Online
                } else {
                    MemberState::Offline
                },
                role: role(ordinal).filter(|_| is_in),
                majority: is_in,
                primary_uuid: self.primary.map(uuid).filter(|_| is_in),
                id: is_in.then_some(id),
                members: if is_in { members } else { Vec::new() },
                applier_queue: 0,
            }),
            transactions,
            failover: self
                .failover
                .clone()
                .filter(|_| self.primary == Some(ordinal)),
            passwords: Passwords {
                files: files.passwords,
                set: self.passwords.0,
                only: self.passwords.1,
                member: self.passwords.0,
            },
            certificate: InUse {
                files: files.certificate,
                server: running.has.certificate.clone(),
            },
            settings: InUse {
                files: files.settings,
                server: running.has.settings.clone(),
            },
            ..Status::default()
        })
    }

    fn carry_out(&mut self, ordinal: u32, command: Command, files: Files) {
        self.epoch = self.epoch.max(command.epoch);
        match &command.verb {
            Verb::Bootstrap { group_name } | Verb::Rebuild { group_name } => {
                self.name = Some(group_name.clone());
                self.joined.insert(ordinal);
                self.primary = Some(ordinal);
                if self.passwords.0 == 0 {
                    self.passwords = (files.passwords, files.passwords);
                }
            }
            Verb::Switchover { to_uuid, .. } => {
                let chosen = self.online().find(|other| uuid(*other) == *to_uuid);
                self.primary = chosen;
            }
            Verb::Fence { .. } | Verb::Leave {} => {
                if let Some(running) = self.running.get_mut(&ordinal) {
                    running.out = true;
                }
            }
            Verb::Release {} | Verb::Reclone { .. } => {
                if let Some(running) = self.running.get_mut(&ordinal) {
                    running.out = false;
                }
            }
            Verb::RotatePasswords {
                generation,
                discard_old,
            } => {
                if self.primary != Some(ordinal) || files.passwords != *generation {
                    self.problems
                        .push(format!("member {ordinal}: {:?}", command.verb));
                } else if *discard_old {
                    self.passwords.1 = *generation;
                } else {
                    self.passwords.0 = *generation;
                }
            }
            Verb::ReloadTls {} => {
                if let Some(running) = self.running.get_mut(&ordinal) {
                    running.has.certificate = files.certificate;
                }
            }
            Verb::ApplySettings {} => {
                if let Some(running) = self.running.get_mut(&ordinal) {
                    running.has.settings = files.settings;
                }
            }
            Verb::SetCommunicationProtocol { .. } => {}
        }
        self.counter += 1;
        self.told.push((ordinal, command.verb));
        self.settle();
    }
}

/// The identity of a member's data.
fn uuid(ordinal: u32) -> String {
    format!("6f1c2b9e-0000-4000-8000-{ordinal:012}")
}

/// Whose interface it is.
#[derive(Clone)]
struct Here {
    client: Client,
    groups: Groups,
    shop: (String, String),
    ordinal: u32,
}

async fn status(here: web::Data<Here>) -> HttpResponse {
    let Ok(files) = files(&here.client, &here.shop).await else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    let groups = here.groups.lock().unwrap_or_else(PoisonError::into_inner);
    let status = groups
        .get(&here.shop)
        .and_then(|group| group.status(here.ordinal, files));
    status.map_or_else(
        || HttpResponse::ServiceUnavailable().finish(),
        |status| HttpResponse::Ok().json(status),
    )
}

async fn command(here: web::Data<Here>, body: web::Bytes) -> HttpResponse {
    let Ok(command) = serde_json::from_slice::<Command>(&body) else {
        return HttpResponse::BadRequest().finish();
    };
    let late = match &command.verb {
        Verb::RotatePasswords {
            generation,
            discard_old: true,
        } => locked_out(&here.client, &here.shop, *generation).await,
        _ => Ok(Vec::new()),
    };
    let (Ok(files), Ok(late)) = (files(&here.client, &here.shop).await, late) else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    let mut groups = here.groups.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(group) = groups.get_mut(&here.shop) else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    group.problems.extend(late);
    group.carry_out(here.ordinal, command, files);
    HttpResponse::Ok().json(Done::default())
}
