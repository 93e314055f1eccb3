//! The shop's own processes: the migration, web and workers, from the image of the release.

use panono_crds::{
    AccessMode, Autoscaling, CloudflarePlan, Component, Edge, Mode, ShopSpec, Spread, Tls,
};
use serde_json::{Map, Value, json};

use super::pod::{
    self, Beside, Pod, mebibytes, mount, mount_read_only, variable, variable_from_secret,
};
use super::{CREDENTIALS, Plan, commerce, group, pod::USER};
use crate::object::{Kind, Object, digest, insert, short};
use crate::validate::ValidatedShop;

/// Where shoppers and edges come in.
pub(crate) const PORT: u16 = 8080;

/// Metrics and probes.
pub(crate) const OPS_PORT: u16 = 9090;

const DATABASE_FOLDER: &str = "/etc/panono/database";
const KEYS_FOLDER: &str = "/etc/panono/keys";
const TOKENS_FOLDER: &str = "/etc/panono/tokens";
const MEDIA_FOLDER: &str = "/var/lib/panono/media";

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    let owner = &plan.shop.owner;
    let spec = &plan.shop.spec;
    let web = owner.component(Component::Web);
    let mut objects = vec![
        owner.object(
            Kind::Service,
            web.clone(),
            "web",
            json!({"spec": {
                "type": "ClusterIP",
                "selector": owner.selector("web"),
                "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
            }}),
        ),
        disruption(plan, "worker", owner.component(Component::Worker)),
    ];
    // Pods that can run on one node only go all at once when it is drained: what held one back would hold up the drain for ever.
    if !on_one_node(spec) {
        objects.push(disruption(plan, "web", web));
    }
    if let Some(volume) = &spec.media.volume {
        let mut claim = json!({
            "accessModes": [match volume.access_mode {
                AccessMode::ReadWriteOnce => "ReadWriteOnce",
                AccessMode::ReadWriteMany => "ReadWriteMany",
            }],
            "resources": {"requests": {"storage": volume.size}},
        });
        if let Some(class) = &volume.class_name {
            insert(&mut claim, "storageClassName", class.clone());
        }
        let content = json!({"spec": claim});
        let name = owner.with("media");
        let kind = Kind::PersistentVolumeClaim;
        objects.push(owner.data_object(spec.deletion_policy, kind, name, "web", content));
    }
    let migrates = match plan.mode() {
        Mode::Running | Mode::Maintenance => plan.stage.database_ready,
        Mode::ReadOnly | Mode::Hibernated => false,
    };
    if migrates {
        objects.push(migration(plan));
    }
    if let Some(autoscaling) = &spec.web.autoscaling
        && plan.mode() != Mode::Hibernated
    {
        objects.push(autoscaler(plan, autoscaling));
    }
    if let Some(image) = &plan.stage.serving {
        objects.push(web_deployment(plan, image));
        objects.push(worker_deployment(plan, image));
    }
    objects
}

/// Whether web processes share a volume that one node at a time can mount.
fn on_one_node(spec: &ShopSpec) -> bool {
    spec.media
        .volume
        .as_ref()
        .is_some_and(|volume| volume.access_mode == AccessMode::ReadWriteOnce)
}

/// The name of the Job that brings the schema to the release of `shop`.
pub fn migration_job_name(shop: &ValidatedShop, stage: &super::Stage) -> String {
    migration(&Plan { shop, stage }).key.name
}

fn disruption(plan: &Plan<'_>, part: &'static str, name: String) -> Object {
    let owner = &plan.shop.owner;
    owner.object(
        Kind::PodDisruptionBudget,
        name,
        part,
        json!({"spec": {"maxUnavailable": 1, "selector": {"matchLabels": owner.selector(part)}}}),
    )
}

/// A Job cannot be changed. Its name has a digest of all that is in it, so that another one is made instead.
fn migration(plan: &Plan<'_>) -> Object {
    let owner = &plan.shop.owner;
    let release = &plan.shop.spec.release;
    let part = "migration";
    let mut pod = Pod::new(part, None, USER);
    pod.restart_policy = "Never";
    let (mut environment, mut mounts) = (Vec::new(), Vec::new());
    database(plan, 2, &mut environment, &mut mounts, &mut pod);
    log(plan, &mut environment);
    let seconds = release.migration_timeout_seconds;
    // The program gives up before the Job does, and says why.
    environment.push(variable(
        "PANONO_MIGRATE_DEADLINE",
        seconds.saturating_sub(15).max(15).to_string(),
    ));
    pod.containers.push(json!({
        "name": "migrate",
        "image": release.image,
        "imagePullPolicy": release.pull_policy,
        "command": ["panono-shop"],
        "args": ["migrate"],
        "env": environment,
        "securityContext": pod::security(),
        "resources": pod::resources(None, "100m", 256),
        "volumeMounts": mounts,
        // What it said last is what the status tells.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }));
    let spec = json!({
        "backoffLimit": 2,
        "activeDeadlineSeconds": seconds,
        "template": pod.template(plan),
    });
    let name = owner.with(&format!("migrate-{}", short(digest(&spec))));
    owner.object(Kind::Job, name, part, json!({"spec": spec}))
}

fn web_deployment(plan: &Plan<'_>, image: &str) -> Object {
    let owner = &plan.shop.owner;
    let spec = &plan.shop.spec;
    let web = &spec.web;
    let mut pod = Pod::new("web", Some(Component::Web), USER);
    if on_one_node(spec) {
        pod.beside = Beside::Always(owner.selector("web"));
    } else {
        pod.spread = web.spread;
    }
    // Draining, requests under way (15 s), and a little.
    pod.grace_seconds = web.drain_seconds.saturating_add(30);
    credentials(plan, &mut pod);
    let (mut environment, mut mounts) = (Vec::new(), Vec::new());
    database(
        plan,
        web.database_connections,
        &mut environment,
        &mut mounts,
        &mut pod,
    );
    if plan.mode() == Mode::ReadOnly {
        environment.push(variable("PANONO_DATABASE_READ_ONLY", "true"));
    }
    secret_key(plan, &mut environment, &mut mounts, &mut pod);
    site(plan, &mut environment);
    commerce::selling(plan, &mut environment, &mut mounts, &mut pod);
    if let Some(header) = client_address(&spec.edge) {
        environment.push(variable("PANONO_CLIENT_ADDRESS_HEADER", header));
    }
    if spec.edge.cloudfront.is_some() {
        // It knows no `CDN-Cache-Control`.
        environment.push(variable("PANONO_EDGE_LIFETIME", "s-maxage"));
    }
    cache(plan, &mut environment);
    environment.extend([
        variable("PANONO_CACHE_MEMORY", web.answers_memory.clone()),
        variable(
            "PANONO_REQUEST_DEADLINE",
            web.request_deadline_seconds.to_string(),
        ),
        // Below the pool's size, so that answers in the making leave connections to checkouts.
        variable(
            "PANONO_FILL_CONCURRENCY",
            (web.database_connections * 3 / 4).max(1).to_string(),
        ),
        variable("PANONO_DRAIN", web.drain_seconds.to_string()),
    ]);
    if let Some(bucket) = &spec.media.bucket {
        environment.push(variable("PANONO_MEDIA_URL", bucket.url.clone()));
        aws(&bucket.secret_name, &mut environment);
    } else {
        environment.push(variable(
            "PANONO_MEDIA_URL",
            format!("file://{MEDIA_FOLDER}"),
        ));
        mounts.push(mount("media", MEDIA_FOLDER));
        pod.volumes.push(
            json!({"name": "media", "persistentVolumeClaim": {"claimName": owner.with("media")}}),
        );
    }
    pod.scratch("tmp", "1Gi");
    mounts.push(mount("tmp", "/tmp"));
    log(plan, &mut environment);
    let memory = 384_u64.saturating_add(mebibytes(&web.answers_memory).saturating_mul(2));
    pod.containers.push(json!({
        "name": "web",
        "image": image,
        "imagePullPolicy": spec.release.pull_policy,
        "command": ["panono-shop"],
        "args": ["serve"],
        "env": environment,
        "ports": [
            {"name": "http", "containerPort": PORT, "protocol": "TCP"},
            {"name": "ops", "containerPort": OPS_PORT, "protocol": "TCP"},
        ],
        "startupProbe": {"httpGet": {"path": "/livez", "port": "ops"}, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 600},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "ops"}, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "ops"}, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6},
        "securityContext": pod::security(),
        "resources": pod::resources(web.resources.as_ref(), "200m", memory),
        "volumeMounts": mounts,
    }));
    let mut deployment = json!({
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "selector": {"matchLabels": owner.selector("web")},
        "template": pod.template(plan),
    });
    // Where an autoscaler decides, the number is not ours to apply.
    if web.autoscaling.is_none() || plan.mode() == Mode::Hibernated {
        insert(&mut deployment, "replicas", plan.replicas(web.replicas));
    }
    owner.object(
        Kind::Deployment,
        owner.component(Component::Web),
        "web",
        json!({"spec": deployment}),
    )
}

fn worker_deployment(plan: &Plan<'_>, image: &str) -> Object {
    let owner = &plan.shop.owner;
    let spec = &plan.shop.spec;
    let worker = &spec.worker;
    let mut pod = Pod::new("worker", Some(Component::Worker), USER);
    pod.spread = Spread::Node;
    // Running work gets 20 s.
    pod.grace_seconds = 40;
    credentials(plan, &mut pod);
    let (mut environment, mut mounts) = (Vec::new(), Vec::new());
    database(
        plan,
        worker.database_connections,
        &mut environment,
        &mut mounts,
        &mut pod,
    );
    secret_key(plan, &mut environment, &mut mounts, &mut pod);
    site(plan, &mut environment);
    commerce::selling(plan, &mut environment, &mut mounts, &mut pod);
    commerce::mail(plan, &mut environment, &mut mounts, &mut pod);
    purging(plan, &mut environment, &mut mounts, &mut pod);
    log(plan, &mut environment);
    pod.containers.push(json!({
        "name": "worker",
        "image": image,
        "imagePullPolicy": spec.release.pull_policy,
        "command": ["panono-shop"],
        "args": ["worker"],
        "env": environment,
        "ports": [{"name": "ops", "containerPort": OPS_PORT, "protocol": "TCP"}],
        "startupProbe": {"httpGet": {"path": "/livez", "port": "ops"}, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 600},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "ops"}, "periodSeconds": 5, "timeoutSeconds": 5},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "ops"}, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6},
        "securityContext": pod::security(),
        "resources": pod::resources(worker.resources.as_ref(), "50m", 256),
        "volumeMounts": mounts,
    }));
    let replicas = match plan.mode() {
        // Workers have nothing to do where nothing can be written.
        Mode::ReadOnly | Mode::Hibernated => 0,
        Mode::Running | Mode::Maintenance => worker.replicas,
    };
    owner.object(
        Kind::Deployment,
        owner.component(Component::Worker),
        "worker",
        json!({"spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": owner.selector("worker")},
            "template": pod.template(plan),
        }}),
    )
}

fn autoscaler(plan: &Plan<'_>, autoscaling: &Autoscaling) -> Object {
    let owner = &plan.shop.owner;
    let web = owner.component(Component::Web);
    let mut metrics = vec![json!({"type": "Resource", "resource": {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": autoscaling.cpu_percent},
    }})];
    if let Some(rate) = autoscaling
        .requests_per_second
        .filter(|_| plan.shop.referenced.custom_metrics)
    {
        metrics.push(json!({"type": "Pods", "pods": {
            "metric": {"name": "http_requests_per_second"},
            "target": {"type": "AverageValue", "averageValue": rate.to_string()},
        }}));
    }
    owner.object(
        Kind::HorizontalPodAutoscaler,
        web.clone(),
        "web",
        json!({"spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": web},
            "minReplicas": autoscaling.min_replicas,
            "maxReplicas": autoscaling.max_replicas,
            "metrics": metrics,
            "behavior": {
                // Visitors come in waves that are steep on one side: double at once, go back slowly.
                "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                ]},
                "scaleDown": {"stabilizationWindowSeconds": autoscaling.scale_down_seconds, "policies": [
                    {"type": "Percent", "value": 25, "periodSeconds": 60},
                ]},
            },
        }}),
    )
}

/// What pods read at their start only, so that they are replaced when it changes: passwords, and Secrets of others.
fn credentials(plan: &Plan<'_>, pod: &mut Pod) {
    pod.annotations.insert(
        "panono.dev/credentials".to_owned(),
        plan.stage.credentials.to_string().into(),
    );
    let digests: Map<String, Value> = crate::validate::secrets(&plan.shop.spec)
        .into_iter()
        // Processes of the shop know nothing of backups.
        .filter(|needed| !needed.field.starts_with("backup."))
        .filter_map(|needed| {
            let found = plan.shop.referenced.secrets.get(&needed.name)?;
            Some((needed.name, found.digest.clone().into()))
        })
        .collect();
    if !digests.is_empty() {
        pod.annotations.insert(
            "panono.dev/secrets".to_owned(),
            short(digest(&digests.into())).into(),
        );
    }
}

fn database(
    plan: &Plan<'_>,
    connections: u32,
    environment: &mut Vec<Value>,
    mounts: &mut Vec<Value>,
    pod: &mut Pod,
) {
    let owner = &plan.shop.owner;
    let database = &plan.shop.spec.database;
    if let Some(managed) = database.managed.as_ref().filter(|_| database.is_group()) {
        members(plan, managed.members, environment, mounts, pod);
        environment.push(variable(
            "PANONO_DATABASE_POOL_MAX",
            connections.to_string(),
        ));
        return;
    }
    environment.push(variable(
        "PANONO_DATABASE_WRITER_URL_FILE",
        format!("{DATABASE_FOLDER}/writer-url"),
    ));
    mounts.push(mount_read_only("database", DATABASE_FOLDER));
    let mut items = vec![json!({"key": "writer-url", "path": "writer-url"})];
    let secret = if let Some(external) = &database.external {
        environment.push(variable_from_secret(
            "PANONO_DATABASE_READER_URLS",
            &external.secret_name,
            "reader-urls",
            true,
        ));
        let tls = match external.tls {
            Tls::Preferred => "preferred",
            Tls::Required => "required",
            Tls::VerifyCa => {
                items.push(json!({"key": "ca.crt", "path": "ca.crt"}));
                environment.push(variable(
                    "PANONO_DATABASE_CA",
                    format!("{DATABASE_FOLDER}/ca.crt"),
                ));
                "verify-ca"
            }
        };
        environment.push(variable("PANONO_DATABASE_TLS", tls));
        external.secret_name.clone()
    } else {
        // The server makes a certificate for itself; nobody could vouch for it.
        environment.push(variable("PANONO_DATABASE_TLS", "required"));
        owner.with(CREDENTIALS)
    };
    pod.volumes
        .push(json!({"name": "database", "secret": {"secretName": secret, "items": items}}));
    environment.push(variable(
        "PANONO_DATABASE_POOL_MAX",
        connections.to_string(),
    ));
}

/// A group, which the shop's program follows by itself.
fn members(
    plan: &Plan<'_>,
    members: u32,
    environment: &mut Vec<Value>,
    mounts: &mut Vec<Value>,
    pod: &mut Pod,
) {
    let owner = &plan.shop.owner;
    // One that is to go may be the primary until it has gone.
    let members = members.max(plan.stage.group.replicas.unwrap_or(0));
    let hosts: Vec<String> = (0..members)
        .map(|ordinal| format!("{}:{}", group::host(owner, ordinal), group::PORT))
        .collect();
    environment.extend([
        variable("PANONO_DATABASE_MEMBERS", hosts.join(",")),
        variable("PANONO_DATABASE_NAME", super::DATABASE),
        variable("PANONO_DATABASE_USER", super::USER),
        variable(
            "PANONO_DATABASE_PASSWORD_FILE",
            format!("{DATABASE_FOLDER}/password"),
        ),
        variable("PANONO_DATABASE_TLS", "verify-ca"),
        variable("PANONO_DATABASE_CA", format!("{DATABASE_FOLDER}/ca.crt")),
    ]);
    // A pod has one password for as long as it lives: another one ends only when no such pod is left.
    let generation = plan.stage.group.passwords.unwrap_or(1);
    pod.annotations
        .insert(group::PASSWORDS.to_owned(), generation.to_string().into());
    mounts.push(mount_read_only("database", DATABASE_FOLDER));
    pod.volumes.push(json!({"name": "database", "projected": {"sources": [
        {"secret": {"name": owner.with(group::ACCOUNTS), "items": [{"key": group::shop_key(generation), "path": "password"}]}},
        {"secret": {"name": owner.with(group::TLS), "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]}}));
}

/// The key of the shop, which all its processes share.
fn secret_key(
    plan: &Plan<'_>,
    environment: &mut Vec<Value>,
    mounts: &mut Vec<Value>,
    pod: &mut Pod,
) {
    environment.push(variable(
        "PANONO_SECRET_KEY_FILE",
        format!("{KEYS_FOLDER}/secret-key"),
    ));
    mounts.push(mount_read_only("keys", KEYS_FOLDER));
    pod.volumes.push(json!({"name": "keys", "secret": {
        "secretName": plan.shop.owner.with(CREDENTIALS),
        "items": [{"key": "secret-key", "path": "secret-key"}],
    }}));
}

fn site(plan: &Plan<'_>, environment: &mut Vec<Value>) {
    let spec = &plan.shop.spec;
    environment.push(variable("PANONO_PUBLIC_URL", spec.url.clone()));
    if !spec.aliases.is_empty() {
        environment.push(variable("PANONO_ALLOWED_HOSTS", spec.aliases.join(",")));
    }
    environment.push(variable("PANONO_SHOP_NAME", spec.name.clone()));
    environment.push(variable("PANONO_SHOP_TAGLINE", spec.tagline.clone()));
    if let Some(email) = &spec.email {
        environment.push(variable("PANONO_SHOP_EMAIL", email.clone()));
    }
    environment.push(variable("PANONO_LOCALES", spec.locales.join(",")));
    environment.push(variable("PANONO_CURRENCIES", spec.currencies.join(",")));
}

/// Where a CDN says whose request it is. Our own edge says it as the program expects.
fn client_address(edge: &Edge) -> Option<&'static str> {
    if edge.fastly.is_some() {
        Some("fastly-client-ip")
    } else if edge.cloudflare.is_some() {
        Some("cf-connecting-ip")
    } else if edge.cloudfront.is_some() {
        Some("cloudfront-viewer-address")
    } else {
        None
    }
}

fn cache(plan: &Plan<'_>, environment: &mut Vec<Value>) {
    let owner = &plan.shop.owner;
    let (secret, key) = match &plan.shop.spec.cache.external {
        Some(external) => (external.secret_name.clone(), "url"),
        None => (owner.with(CREDENTIALS), "cache-url"),
    };
    environment.push(variable_from_secret(
        "PANONO_CACHE_URL",
        &secret,
        key,
        false,
    ));
    let managed = plan.shop.spec.cache.managed.as_ref();
    if managed.is_some_and(panono_crds::ManagedCache::is_watched) {
        environment.push(variable(
            "PANONO_CACHE_SENTINELS",
            super::cache_watched::sentinels(owner),
        ));
    }
    // Shops of any namespace may share an external server.
    environment.push(variable(
        "PANONO_CACHE_PREFIX",
        format!("{}.{}", owner.namespace, owner.name),
    ));
}

fn purging(plan: &Plan<'_>, environment: &mut Vec<Value>, mounts: &mut Vec<Value>, pod: &mut Pod) {
    let owner = &plan.shop.owner;
    let edge = &plan.shop.spec.edge;
    let mut token = |variable_name: &str, secret: String, key: &str| {
        environment.push(variable(variable_name, format!("{TOKENS_FOLDER}/{key}")));
        mounts.push(mount_read_only("tokens", TOKENS_FOLDER));
        pod.volumes.push(json!({"name": "tokens", "secret": {
            "secretName": secret,
            "items": [{"key": key, "path": key}],
        }}));
    };
    if edge.managed.is_some() {
        token(
            "PANONO_PURGE_VARNISH_TOKEN_FILE",
            owner.with(CREDENTIALS),
            "purge-token",
        );
        environment.push(variable(
            "PANONO_PURGE_VARNISH",
            format!("http://{}:{PORT}", owner.with("edge-members")),
        ));
    } else if let Some(fastly) = &edge.fastly {
        token(
            "PANONO_PURGE_FASTLY_TOKEN_FILE",
            fastly.secret_name.clone(),
            "token",
        );
        environment.push(variable(
            "PANONO_PURGE_FASTLY_SERVICE",
            fastly.service_id.clone(),
        ));
    } else if let Some(cloudflare) = &edge.cloudflare {
        token(
            "PANONO_PURGE_CLOUDFLARE_TOKEN_FILE",
            cloudflare.secret_name.clone(),
            "token",
        );
        environment.push(variable(
            "PANONO_PURGE_CLOUDFLARE_ZONE",
            cloudflare.zone_id.clone(),
        ));
        environment.push(variable(
            "PANONO_PURGE_CLOUDFLARE_PLAN",
            match cloudflare.plan {
                CloudflarePlan::Free => "free",
                CloudflarePlan::Pro => "pro",
                CloudflarePlan::Business => "business",
                CloudflarePlan::Enterprise => "enterprise",
            },
        ));
    } else if let Some(cloudfront) = &edge.cloudfront {
        environment.push(variable(
            "PANONO_PURGE_CLOUDFRONT_DISTRIBUTION",
            cloudfront.distribution_id.clone(),
        ));
        aws(&cloudfront.secret_name, environment);
    }
}

fn aws(secret: &str, environment: &mut Vec<Value>) {
    for (name, key) in [
        ("AWS_ACCESS_KEY_ID", "access-key-id"),
        ("AWS_SECRET_ACCESS_KEY", "secret-access-key"),
    ] {
        environment.push(variable_from_secret(name, secret, key, false));
    }
}

fn log(plan: &Plan<'_>, environment: &mut Vec<Value>) {
    environment.push(variable("PANONO_LOG", plan.shop.spec.log.clone()));
    environment.push(variable("PANONO_LOG_FORMAT", "json"));
}
