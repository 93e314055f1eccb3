//! The managed cache with two servers in reserve, which Sentinels watch.
//!
//! Each pod has a server and a Sentinel. Servers keep nothing on disk, so one that starts is empty. It never takes the primary's role
//! while another has something: if Sentinels still take it for the primary, it waits until they have chosen another; and it cannot be
//! chosen before it has copied what the primary has.

use panono_crds::{CacheEngine, Component, ManagedCache, Spread};
use serde_json::{Value, json};

use super::cache::{PORT, UID, image};
use super::pod::{self, Pod, mebibytes, mount, mount_read_only, variable};
use super::{CREDENTIALS, Plan};
use crate::names::Owner;
use crate::object::{Kind, Object};

/// Where Sentinels listen.
pub(crate) const SENTINEL_PORT: u16 = 26379;

/// Servers, each with a Sentinel. More than half of the Sentinels have to agree.
const MEMBERS: u32 = 3;

/// What both scripts begin with. `PASSWORD_FILE` has `requirepass` and the password; `CLI` is the client's program; `SELF` is
/// this server and `FIRST` the one that begins, as `host:port`; `NODES` are all servers and `SENTINELS` all Sentinels.
const COMMON: &str = r#"
set -eu
read -r _ word < "$PASSWORD_FILE"
export REDISCLI_AUTH="$word" VALKEYCLI_AUTH="$word"
ask() {
  at=$1
  shift
  timeout 5 "$CLI" --no-auth-warning --raw -h "${at%:*}" -p "${at##*:}" "$@" 2>/dev/null
}
primary() {
  for sentinel in $SENTINELS; do
    found=$(ask "$sentinel" SENTINEL GET-MASTER-ADDR-BY-NAME shop | tr '\n' ':') || continue
    case $found in
      *:[0-9]*:) echo "${found%:}"; return ;;
    esac
  done
}
"#;

/// Starts a server. The rest of its settings follow as arguments. That others say nothing is no proof that they have nothing: it is
/// taken for that only after half a minute. Its file comes from a pipe, because Sentinels make servers rewrite their files, and what a
/// server was is not what it is to be when it starts again.
const SERVER: &str = r#"
others() {
  silent=
  for node in $NODES; do
    if [ "$node" != "$SELF" ]; then
      keys=$(ask "$node" DBSIZE) || keys=
      case $keys in
        0) ;;
        ''|*[!0-9]*) silent=1 ;;
        *) echo something; return ;;
      esac
    fi
  done
  if [ -n "$silent" ]; then echo silence; else echo nothing; fi
}
unknown=0
silent=0
while :; do
  now=$(primary)
  if [ -z "$now" ]; then
    unknown=$((unknown + 1))
    if [ "$unknown" -lt 5 ]; then sleep 1; continue; fi
    now=$FIRST
  fi
  if [ "$now" != "$SELF" ]; then
    (
      until ask "$SELF" INFO replication | grep -qE 'role:master|master_link_status:up'; do sleep 1; done
      ask "$SELF" CONFIG SET replica-priority 100
    ) &
    exec "$PROGRAM" - "$@" --replica-priority 0 --replicaof "${now%:*}" "${now##*:}" <<END
requirepass $word
masterauth $word
END
  fi
  case $(others) in
    something) echo "empty, and taken for the primary: waiting until another one is" >&2 ;;
    silence) silent=$((silent + 1)) ;;
    nothing) silent=30 ;;
  esac
  if [ "$silent" -ge 30 ]; then
    exec "$PROGRAM" - "$@" <<END
requirepass $word
masterauth $word
END
  fi
  sleep 1
done
"#;

/// Starts a Sentinel. Its file is in `FOLDER`; it rewrites it while it runs.
const SENTINEL: &str = r#"
while :; do
  now=$(primary)
  : "${now:=$FIRST}"
  if ask "$now" PING | grep -q PONG; then break; fi
  sleep 1
done
cat > "$FOLDER/sentinel.conf" <<END
port $SENTINEL_PORT
dir $FOLDER
requirepass $word
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip ${SELF%:*}
sentinel announce-port $SENTINEL_PORT
sentinel monitor shop ${now%:*} ${now##*:} 2
sentinel auth-pass shop $word
sentinel down-after-milliseconds shop 3000
sentinel failover-timeout shop 10000
sentinel parallel-syncs shop 1
END
exec "$PROGRAM" "$FOLDER/sentinel.conf" --sentinel
"#;

/// The script that starts a server, with its settings as arguments.
#[must_use]
pub fn server_script() -> String {
    format!("{COMMON}{SERVER}")
}

/// The script that starts a Sentinel.
#[must_use]
pub fn sentinel_script() -> String {
    format!("{COMMON}{SENTINEL}")
}

fn host(owner: &Owner, ordinal: &str) -> String {
    format!(
        "{}-{ordinal}.{}.{}.svc",
        owner.component(Component::Cache),
        owner.with("cache-members"),
        owner.namespace
    )
}

fn all(owner: &Owner, port: u16, between: &str) -> String {
    (0..MEMBERS)
        .map(|ordinal| format!("{}:{port}", host(owner, &ordinal.to_string())))
        .collect::<Vec<_>>()
        .join(between)
}

/// The Sentinels, as the shop's program is told them.
pub(crate) fn sentinels(owner: &Owner) -> String {
    all(owner, SENTINEL_PORT, ",")
}

pub(super) fn objects(plan: &Plan<'_>, managed: &ManagedCache) -> Vec<Object> {
    let owner = &plan.shop.owner;
    let part = "cache";
    let selector = owner.selector(part);
    vec![
        owner.object(
            Kind::Service,
            owner.with("cache-members"),
            part,
            json!({"spec": {
                "type": "ClusterIP",
                "clusterIP": "None",
                // They find each other before they are ready.
                "publishNotReadyAddresses": true,
                "selector": selector,
                "ports": [
                    {"name": "cache", "port": PORT, "targetPort": "cache", "protocol": "TCP"},
                    {"name": "sentinel", "port": SENTINEL_PORT, "targetPort": "sentinel", "protocol": "TCP"},
                ],
            }}),
        ),
        owner.object(
            Kind::PodDisruptionBudget,
            owner.component(Component::Cache),
            part,
            json!({"spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}}}),
        ),
        owner.object(
            Kind::StatefulSet,
            owner.component(Component::Cache),
            part,
            stateful_set(plan, managed),
        ),
    ]
}

fn stateful_set(plan: &Plan<'_>, managed: &ManagedCache) -> Value {
    let owner = &plan.shop.owner;
    let part = "cache";
    let pull = plan.shop.spec.release.pull_policy;
    let (program, cli) = match managed.engine {
        CacheEngine::Valkey => ("valkey-server", "valkey-cli"),
        CacheEngine::Redis => ("redis-server", "redis-cli"),
    };
    let memory = mebibytes(&managed.memory).max(1);
    let mut pod = Pod::new(part, Some(Component::Cache), UID);
    pod.spread = Spread::Node;
    pod.annotations.insert(
        "panono.dev/credentials".to_owned(),
        plan.stage.credentials.to_string().into(),
    );
    let environment = vec![
        json!({"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        variable(
            "SELF",
            format!(
                "$(POD).{}.{}.svc:{PORT}",
                owner.with("cache-members"),
                owner.namespace
            ),
        ),
        variable("FIRST", format!("{}:{PORT}", host(owner, "0"))),
        variable("NODES", all(owner, PORT, " ")),
        variable("SENTINELS", all(owner, SENTINEL_PORT, " ")),
        variable("SENTINEL_PORT", SENTINEL_PORT.to_string()),
        variable("PASSWORD_FILE", "/etc/panono/cache/cache.conf"),
        variable("PROGRAM", program),
        variable("CLI", cli),
        variable("FOLDER", "/data"),
    ];
    let mounts = |data: &str| {
        json!([
            mount_read_only("config", "/etc/panono/cache"),
            mount(data, "/data")
        ])
    };
    let memory_limit = memory.saturating_add(memory / 4).saturating_add(96);
    pod.containers.push(json!({
        "name": "cache",
        "image": image(managed),
        "imagePullPolicy": pull,
        "command": ["sh", "-c", server_script(), "sh"],
        "args": [
            "--port", PORT.to_string(),
            "--bind", "* -::*",
            "--dir", "/data",
            "--save", "",
            "--appendonly", "no",
            "--maxmemory", format!("{memory}mb"),
            "--maxmemory-policy", "allkeys-lru",
            "--replica-announce-ip", format!("$(POD).{}.{}.svc", owner.with("cache-members"), owner.namespace),
        ],
        "env": environment,
        "ports": [{"name": "cache", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": {"tcpSocket": {"port": "cache"}, "periodSeconds": 5, "timeoutSeconds": 3},
        // It may wait for another to take over before it starts.
        "startupProbe": {"tcpSocket": {"port": "cache"}, "periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 300},
        "livenessProbe": {"tcpSocket": {"port": "cache"}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "securityContext": pod::security(),
        // Buffers of clients and replicas and fragmentation come on top of the entries.
        "resources": pod::resources(managed.resources.as_ref(), "100m", memory_limit),
        "volumeMounts": mounts("data"),
    }));
    pod.containers.push(json!({
        "name": "sentinel",
        "image": image(managed),
        "imagePullPolicy": pull,
        "command": ["sh", "-c", sentinel_script()],
        "env": environment,
        "ports": [{"name": "sentinel", "containerPort": SENTINEL_PORT, "protocol": "TCP"}],
        "livenessProbe": {"tcpSocket": {"port": "sentinel"}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "startupProbe": {"tcpSocket": {"port": "sentinel"}, "periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 300},
        "securityContext": pod::security(),
        "resources": pod::resources(None, "20m", 64),
        "volumeMounts": mounts("sentinel"),
    }));
    pod.volumes.push(json!({"name": "config", "secret": {
        "secretName": owner.with(CREDENTIALS),
        "items": [{"key": "cache.conf", "path": "cache.conf"}],
    }}));
    pod.scratch("data", "64Mi");
    pod.scratch("sentinel", "16Mi");
    json!({"spec": {
        "replicas": plan.replicas(MEMBERS),
        "serviceName": owner.with("cache-members"),
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "selector": {"matchLabels": owner.selector(part)},
        "template": pod.template(plan),
    }})
}
