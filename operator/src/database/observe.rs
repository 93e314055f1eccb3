//! What is known of a database: its pods and volumes from the API server, and from each member's agent what it says of itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod as ApiPod};
use kube::api::DynamicObject;
use panono_crds::{Component, MemberState, Reason};

use super::evidence::{Answer, Claim, Data, Pod, Version, View};
use super::secrets::Keys;
use crate::agent::api::{
    self, COMMANDS_PATH, Command, DataDirectory, Problem, STATUS_PATH, Server, Status,
};
use crate::cluster::Cluster;
use crate::desired::group::{AGENT_PORT, CONTAINER, MARKER, REVISION, host};
use crate::failure::Failure;
use crate::gtid::GtidSet;
use crate::names::{COMPONENT_LABEL, Owner, SHOP_LABEL};
use crate::object::Kind;

/// How long a member may take to say how it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// How long a member may take to do what it is told. Looking at a Shop takes longer at most.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// What a member said longer ago than this is not what it would say now.
const STALE: u64 = 10_000;

/// The largest answer that is read.
const ANSWER_BYTES: usize = 1 << 20;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The volumes.
    pub claims: BTreeMap<u32, Claim>,
    /// The pods.
    pub pods: BTreeMap<u32, Pod>,
    /// What members said, as they said it.
    pub statuses: BTreeMap<u32, Status>,
}

/// How members are asked.
#[derive(Debug)]
pub struct Agents {
    owner: Owner,
    /// With a client for each member that has an address.
    clients: BTreeMap<u32, reqwest::Client>,
}

impl Agents {
    /// Members are asked at the addresses of their pods, and have to show a certificate with their names.
    fn new(owner: &Owner, keys: &Keys, addresses: &BTreeMap<u32, IpAddr>) -> Result<Self, Failure> {
        let broken = |error: reqwest::Error| {
            Failure::of(
                Reason::SecretIncomplete,
                format!(
                    "The certificates in Secret {} cannot be used ({error}): delete it, and they are made anew",
                    owner.with(crate::desired::group::AUTHORITY)
                ),
            )
        };
        let authority =
            reqwest::Certificate::from_pem(keys.authority.as_bytes()).map_err(broken)?;
        let identity = reqwest::Identity::from_pem(keys.identity.as_bytes()).map_err(broken)?;
        let mut clients = BTreeMap::new();
        for (ordinal, address) in addresses {
            let client = reqwest::Client::builder()
                .tls_certs_only([authority.clone()])
                .identity(identity.clone())
                .https_only(true)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(ANSWER_LIMIT)
                .resolve(
                    &host(owner, *ordinal),
                    SocketAddr::new(*address, AGENT_PORT),
                )
                .build()
                .map_err(broken)?;
            clients.insert(*ordinal, client);
        }
        Ok(Self {
            owner: owner.clone(),
            clients,
        })
    }

    fn address(&self, ordinal: u32, path: &str) -> String {
        format!("https://{}:{AGENT_PORT}{path}", host(&self.owner, ordinal))
    }

    /// What a member says of itself. Who says nothing in time is not known.
    async fn status(&self, ordinal: u32, client: &reqwest::Client) -> Option<Status> {
        let asked = async {
            let mut response = client
                .get(self.address(ordinal, STATUS_PATH))
                .send()
                .await?
                .error_for_status()?;
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await? {
                body.extend_from_slice(&piece);
                if body.len() > ANSWER_BYTES {
                    break;
                }
            }
            Ok::<_, reqwest::Error>(body)
        };
        match tokio::time::timeout(ANSWER_LIMIT, asked).await {
            Ok(Ok(body)) => serde_json::from_slice(&body)
                .inspect_err(|error| {
                    tracing::warn!(ordinal, %error, "a database member's status cannot be read");
                })
                .ok(),
            Ok(Err(error)) => {
                tracing::debug!(ordinal, error = %crate::failure::chain(&error), "a database member does not answer");
                None
            }
            Err(_) => None,
        }
    }

    /// Tells a member what to do. Says what came of it, in words.
    ///
    /// # Errors
    /// Why it was not done, in words; it can be told again.
    pub async fn tell(&self, ordinal: u32, command: &Command) -> Result<(), String> {
        let Some(client) = self.clients.get(&ordinal) else {
            return Err(format!("member {ordinal} has no address"));
        };
        let told = async {
            let response = client
                .post(self.address(ordinal, COMMANDS_PATH))
                .json(command)
                .timeout(COMMAND_LIMIT)
                .send()
                .await?;
            let done = response.status().is_success();
            Ok::<_, reqwest::Error>((done, response.bytes().await?))
        };
        let (done, body) = told
            .await
            .map_err(|error| format!("member {ordinal}: {}", crate::failure::chain(&error)))?;
        if done {
            return Ok(());
        }
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        Err(match problem {
            Some(problem) => format!("member {ordinal} refused: {}", problem.detail),
            None => format!("member {ordinal} failed"),
        })
    }
}

/// Looks at the pods and volumes of a database and asks all members.
///
/// # Errors
/// When the API server does not say. Members that do not are left out.
pub async fn observe(
    cluster: &Cluster,
    owner: &Owner,
    keys: &Keys,
) -> Result<(Seen, Agents), Failure> {
    let labels = format!("{SHOP_LABEL}={},{COMPONENT_LABEL}=database", owner.name);
    let mut seen = Seen::default();
    for claim in cluster
        .list(Kind::PersistentVolumeClaim, &owner.namespace, &labels)
        .await?
    {
        if let Some(ordinal) = ordinal(
            &claim_name(owner, 0),
            claim.metadata.name.as_deref().unwrap_or_default(),
        ) {
            seen.claims.insert(ordinal, read_claim(&claim));
        }
    }
    let mut addresses = BTreeMap::new();
    for pod in cluster.pods(&owner.namespace, &labels).await? {
        let Some(ordinal) = ordinal(
            &pod_name(owner, 0),
            pod.metadata.name.as_deref().unwrap_or_default(),
        ) else {
            continue;
        };
        if let Some(address) = pod
            .status
            .as_ref()
            .and_then(|status| status.pod_ip.as_ref())
            .and_then(|address| address.parse().ok())
        {
            addresses.insert(ordinal, address);
        }
        seen.pods.insert(ordinal, read_pod(&pod));
    }
    let agents = Agents::new(owner, keys, &addresses)?;
    let asked = agents.clients.iter().map(|(ordinal, client)| {
        let agents = &agents;
        async move { (*ordinal, agents.status(*ordinal, client).await) }
    });
    for (ordinal, status) in join_all(asked).await {
        // A pod that took the address of another says who it is.
        if let Some(status) = status.filter(|status| status.ordinal == ordinal) {
            seen.statuses.insert(ordinal, status);
        }
    }
    Ok((seen, agents))
}

/// The pod of a member.
pub fn pod_name(owner: &Owner, ordinal: u32) -> String {
    format!("{}-{ordinal}", owner.component(Component::Database))
}

/// The claim of a member.
pub fn claim_name(owner: &Owner, ordinal: u32) -> String {
    format!("data-{}", pod_name(owner, ordinal))
}

/// The number at the end of `name`, where `first` is the name of the first member's.
fn ordinal(first: &str, name: &str) -> Option<u32> {
    let stem = first.strip_suffix('0')?;
    let digits = name.strip_prefix(stem)?;
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits && number < 100).then_some(number)
}

fn read_claim(claim: &DynamicObject) -> Claim {
    Claim {
        uid: claim.metadata.uid.clone().unwrap_or_default(),
        marker: claim
            .metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(MARKER))
            .cloned(),
        bytes: claim
            .data
            .pointer("/spec/resources/requests/storage")
            .and_then(serde_json::Value::as_str)
            .map_or(0, bytes),
    }
}

fn read_pod(pod: &ApiPod) -> Pod {
    Pod {
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        revision: pod
            .metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(REVISION))
            .cloned()
            .unwrap_or_default(),
        leaving: pod.metadata.deletion_timestamp.is_some(),
        runs: runs(pod),
    }
}

/// Whether the member's container runs, or an init container, which may be restoring.
fn runs(pod: &ApiPod) -> bool {
    let Some(status) = &pod.status else {
        return false;
    };
    let running = |container: &ContainerStatus| {
        let state = container.state.as_ref();
        state.is_some_and(|state| state.running.is_some())
    };
    let mut containers = status.container_statuses.iter().flatten();
    let mut before = status.init_container_statuses.iter().flatten();
    containers.any(|container| container.name == CONTAINER && running(container))
        || before.any(running)
}

/// Bytes of `20Gi`, `500Mi`, `1Ti` and what the API server makes of them; 0 of what it is not.
pub fn bytes(quantity: &str) -> u64 {
    let digits = quantity.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().unwrap_or(0);
    let unit: u64 = match quantity.get(digits.len()..) {
        Some("Ki") => 1 << 10,
        Some("Mi") => 1 << 20,
        Some("Gi") => 1 << 30,
        Some("Ti") => 1 << 40,
        Some("") => 1,
        _ => 0,
    };
    number.saturating_mul(unit)
}

/// What a member's words mean for a decision.
pub fn answer(status: &Status) -> Answer {
    let data = match &status.data {
        DataDirectory::Unknown => Data::Unknown,
        DataDirectory::Fresh => Data::Fresh,
        DataDirectory::Owned { group_name } => Data::Of(group_name.clone()),
        DataDirectory::Foreign { group_name } if group_name.is_empty() => Data::Foreign,
        DataDirectory::Foreign { group_name } => Data::Of(group_name.clone()),
    };
    let set = |text: &str| text.parse::<GtidSet>().ok();
    let transactions = status
        .transactions
        .as_ref()
        .and_then(|found| Some((set(&found.executed)?, set(&found.received)?)));
    let state = state(status, transactions.is_some());
    let (executed, received) = transactions.unwrap_or_default();
    let view = status.view.as_ref();
    Answer {
        pod_uid: status.pod_uid.clone(),
        epoch: status.epoch,
        server_uuid: status.server_uuid.clone().unwrap_or_default(),
        data,
        state,
        majority: view.is_some_and(|view| view.majority),
        primary: view.is_some_and(|view| view.role == Some(api::MemberRole::Primary)),
        executed,
        received,
        queue: view.map_or(0, |view| view.applier_queue),
        last_view: status.last_view.as_ref().map(|view| View {
            epoch: view.id.epoch,
            prefix: view.id.prefix.clone(),
            counter: view.id.counter,
            members: view.members.clone(),
            primary: view.primary_uuid.clone(),
        }),
        fenced: status.fenced.as_ref().map(|fence| fence.epoch),
        errant: status
            .quarantine
            .as_ref()
            .and_then(|quarantine| set(&quarantine.errant))
            .unwrap_or_default(),
        version: match &status.server {
            Server::Running { version } => Version::of(version),
            Server::Stopped | Server::Initialising | Server::Starting | Server::Cloning { .. } => {
                None
            }
        },
        passwords: status.passwords,
        certificate: status.certificate.clone(),
        settings: status.settings.clone(),
        needs_restart: !status.pending_restart.is_empty(),
        protocol_for: status.protocol_for.as_deref().and_then(Version::of),
    }
}

/// The state of a member. One whose transactions are not known is never at rest: what it has cannot be told.
fn state(status: &Status, told: bool) -> MemberState {
    match &status.server {
        Server::Stopped | Server::Initialising | Server::Starting => {
            return MemberState::Starting;
        }
        Server::Cloning { .. } => return MemberState::Recovering,
        Server::Running { .. } => {}
    }
    if status.age_ms > STALE {
        return MemberState::Unknown;
    }
    if !told && !matches!(status.data, DataDirectory::Fresh) {
        return MemberState::Starting;
    }
    match status.view.as_ref().map(|view| view.state) {
        Some(api::MemberState::Online | api::MemberState::Unreachable) => MemberState::Online,
        Some(api::MemberState::Recovering) => MemberState::Recovering,
        Some(api::MemberState::Offline | api::MemberState::Error) | None => {
            if status.fenced.is_some() {
                MemberState::Fenced
            } else if status.quarantine.is_some() {
                MemberState::Quarantined
            } else {
                MemberState::Waiting
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod as ApiPod;
    use panono_crds::MemberState;
    use serde_json::{Value, json};

    use super::{answer, bytes, ordinal, runs};
    use crate::agent::api::{
        self, DataDirectory, Fence, LastView, Quarantine, Server, Status, Transactions, View,
        ViewId,
    };
    use crate::database::evidence::Data;

    const GROUP: &str = "6f1c2b9e-0000-4000-8000-0000000000ff";

    fn status() -> Status {
        Status {
            pod_uid: "pod".to_owned(),
            epoch: 3,
            data: DataDirectory::Owned {
                group_name: GROUP.to_owned(),
            },
            server: Server::Running {
                version: "9.7.1".to_owned(),
            },
            view: Some(View {
                state: api::MemberState::Online,
                majority: true,
                ..View::default()
            }),
            last_view: Some(LastView {
                id: ViewId {
                    epoch: 2,
                    prefix: "p".to_owned(),
                    counter: 9,
                },
                ..LastView::default()
            }),
            transactions: Some(Transactions {
                executed: format!("{GROUP}:1-5"),
                received: format!("{GROUP}:3-7"),
                purged: String::new(),
            }),
            ..Status::default()
        }
    }

    #[test]
    fn words_of_members_are_taken_for_no_more_than_they_say() {
        let said = |change: fn(&mut Status)| {
            let mut status = status();
            change(&mut status);
            answer(&status)
        };
        let online = said(|_| {});
        assert!(online.is_live(GROUP));
        assert_eq!(online.has().to_string(), format!("{GROUP}:1-7"));
        assert_eq!(online.last_view.unwrap().place(), (2, 9));
        assert_eq!(
            said(|status| status.server = Server::Starting).state,
            MemberState::Starting
        );
        assert_eq!(
            said(|status| status.age_ms = 60_000).state,
            MemberState::Unknown
        );
        // Who is out but does not say what it has is not at rest.
        assert_eq!(
            said(|status| {
                status.view = None;
                status.transactions = None;
            })
            .state,
            MemberState::Starting
        );
        assert_eq!(
            said(|status| {
                status.view = None;
                status.fenced = Some(Fence {
                    epoch: 3,
                    reason: String::new(),
                });
            })
            .state,
            MemberState::Fenced
        );
        let diverged = said(|status| {
            status.view = None;
            status.quarantine = Some(Quarantine {
                errant: format!("{GROUP}:9"),
                saved: String::new(),
            });
        });
        assert_eq!(diverged.state, MemberState::Quarantined);
        assert_eq!(diverged.errant.to_string(), format!("{GROUP}:9"));
        assert_eq!(
            said(|status| status.data = DataDirectory::Foreign {
                group_name: String::new()
            })
            .data,
            Data::Foreign
        );
    }

    /// A restore is not taken for a pod that does not come up, and another container's running says nothing of the member.
    #[test]
    fn what_runs_is_what_the_node_says() {
        let pod = |init: Value, member: Value| {
            let status = |name: &str, state: Value| json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state});
            let pod: ApiPod = serde_json::from_value(json!({"status": {
                "initContainerStatuses": [status("restore", init)],
                "containerStatuses": [status("archive", json!({"running": {}})), status("mysql", member)],
            }}))
            .unwrap();
            runs(&pod)
        };
        let waiting = || json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let ended = || json!({"terminated": {"exitCode": 0}});
        assert!(pod(ended(), json!({"running": {}})));
        assert!(pod(json!({"running": {}}), waiting()));
        assert!(!pod(ended(), waiting()));
        assert!(!pod(waiting(), waiting()));
        assert!(!runs(&ApiPod::default()), "no node has taken it yet");
    }

    #[test]
    fn members_are_told_by_the_names_of_their_pods() {
        assert_eq!(ordinal("demo-database-0", "demo-database-12"), Some(12));
        for other in [
            "demo-database-x",
            "demo-database-",
            "demo-database-01",
            "demo-web-0",
            "demo-database-members-0",
        ] {
            assert_eq!(ordinal("demo-database-0", other), None, "{other}");
        }
        assert_eq!(bytes("20Gi"), 20 << 30);
        assert_eq!(bytes("1Ti"), 1 << 40);
        assert_eq!(bytes("x"), 0);
    }
}
