//! The contract between the operator and the programs that its pods run: what is rendered for the smallest Shop is given to the real
//! programs on this machine, and a shopper is served. No cluster is needed: a pod is a folder for each of its volumes and a process
//! for each of its containers; names of Services and places in the file system are replaced, and nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use panono_operator::command::{RenderOptions, rendered};
use panono_operator::manifest::{Manifest, read};
use panono_operator::names::Owner;
use panono_operator::object::{Kind, Object};
use panono_operator::observe::Served;
use panono_tests::ports::Port;
use panono_tests::process::{Folder, Process};
use panono_tests::tools::{self, repository};
use panono_tests::wait::wait_until;
use serde_json::{Value, json};

/// A sample shop draws many pictures.
const LIMIT: Duration = Duration::from_secs(900);

/// A machine that stands in for a cluster.
struct Machine {
    objects: Vec<Object>,
    secret: BTreeMap<&'static str, String>,
    folder: Folder,
    /// Where each component listens, by its label.
    ports: BTreeMap<&'static str, Port>,
}

impl Machine {
    fn new(objects: Vec<Object>) -> Result<Self> {
        let owner = Owner {
            name: "demo".to_owned(),
            namespace: "default".to_owned(),
            uid: None,
        };
        let mut ports = BTreeMap::new();
        for part in ["database", "cache", "web", "web-ops", "worker-ops", "edge"] {
            ports.insert(part, Port::take()?);
        }
        Ok(Self {
            objects,
            secret: panono_operator::credentials::generate(&owner),
            folder: Folder::new("contract")?,
            ports,
        })
    }

    fn at(&self, part: &str) -> String {
        self.ports[part].address().to_string()
    }

    fn object(&self, kind: Kind, start: &str) -> &Object {
        let found = self
            .objects
            .iter()
            .find(|object| object.key.kind == kind && object.key.name.starts_with(start));
        found.unwrap_or_else(|| panic!("there is no {} {start}", kind.name()))
    }

    /// Names of Services as addresses.
    fn located(&self, text: &str) -> String {
        [
            ("demo-database:3306", "database"),
            ("demo-cache:6379", "cache"),
            ("demo-web:8080", "web"),
            ("demo-edge-members:8080", "edge"),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, part)| {
            text.replace(name, &self.at(part))
        })
    }

    /// The folder of a volume of a pod, filled as the kubelet fills it.
    fn volume(&self, pod: &str, volume: &Value) -> Result<PathBuf> {
        let name = volume["name"].as_str().unwrap();
        let path = if volume.get("persistentVolumeClaim").is_some() {
            self.folder.path().join("claims").join(name)
        } else {
            self.folder.path().join(pod).join(name)
        };
        std::fs::create_dir_all(&path)?;
        if let Some(secret) = volume.get("secret") {
            ensure!(secret["secretName"] == "demo-credentials", "{secret}");
            for item in secret["items"].as_array().unwrap() {
                let value = &self.secret[item["key"].as_str().unwrap()];
                std::fs::write(
                    path.join(item["path"].as_str().unwrap()),
                    self.located(value),
                )?;
            }
        }
        if let Some(config) = volume.get("configMap") {
            let object = self.object(Kind::ConfigMap, config["name"].as_str().unwrap());
            for (name, text) in object.body["data"].as_object().unwrap() {
                std::fs::write(path.join(name), self.located(text.as_str().unwrap()))?;
            }
        }
        Ok(path)
    }

    /// The command of a container, with its places on this machine. `more` are replacements of its own.
    fn command(
        &self,
        pod: &str,
        template: &Value,
        container: &Value,
        more: &[(&str, String)],
    ) -> Result<Command> {
        let mut places: Vec<(String, String)> = Vec::new();
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let name = &mount["name"];
            let volumes = template["spec"]["volumes"].as_array();
            let path = match volumes
                .into_iter()
                .flatten()
                .find(|volume| &volume["name"] == name)
            {
                Some(volume) => self.volume(pod, volume)?,
                // From a template of claims.
                None => self.volume(
                    pod,
                    &serde_json::json!({"name": name, "persistentVolumeClaim": {}}),
                )?,
            };
            places.push((
                mount["mountPath"].as_str().unwrap().to_owned(),
                path.display().to_string(),
            ));
        }
        // The longest first, so that a place within another one is found.
        places.sort_by_key(|(place, _)| std::cmp::Reverse(place.len()));
        let placed = |text: &str| {
            let text = self.located(text);
            let text = more
                .iter()
                .fold(text, |text, (from, to)| text.replace(from, to));
            // Placeholders keep what was replaced from being replaced again.
            let marked = places
                .iter()
                .enumerate()
                .fold(text, |text, (at, (place, _))| {
                    text.replace(place.as_str(), &format!("\u{1}{at}\u{2}"))
                });
            places
                .iter()
                .enumerate()
                .fold(marked, |text, (at, (_, path))| {
                    text.replace(&format!("\u{1}{at}\u{2}"), path)
                })
        };
        // Files that are mounted speak of places, too.
        for (_, path) in &places {
            for entry in std::fs::read_dir(path)?.flatten() {
                if entry.path().extension().is_some_and(|end| end == "cnf") {
                    let text = std::fs::read_to_string(entry.path())?;
                    std::fs::write(entry.path(), placed(&text))?;
                }
            }
        }
        let words: Vec<String> = ["command", "args"]
            .iter()
            .filter_map(|field| container[field].as_array())
            .flatten()
            .map(|word| placed(word.as_str().unwrap()))
            .collect();
        let (program, arguments) = words.split_first().context("a container has a command")?;
        let program = match program.as_str() {
            "panono-shop" => panono_tests::shop::program()?,
            "sh" => PathBuf::from("/bin/sh"),
            other => tools::program(other)?,
        };
        let mut command = Command::new(program);
        let path = format!(
            "{}:{}",
            tools::folder().join("bin").display(),
            std::env::var("PATH")?
        );
        command.env_clear().env("PATH", path).args(arguments);
        for variable in container["env"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap();
            let value = match variable.pointer("/valueFrom/secretKeyRef") {
                Some(reference) => self.located(&self.secret[reference["key"].as_str().unwrap()]),
                None => placed(variable["value"].as_str().unwrap()),
            };
            command.env(name, value);
        }
        Ok(command)
    }

    /// Runs the init containers of a pod to their ends and starts its container.
    async fn start(
        &self,
        kind: Kind,
        name: &str,
        more: &[(&str, String)],
        variables: &[(&str, String)],
    ) -> Result<Process> {
        let object = self.object(kind, name);
        let template = &object.body["spec"]["template"];
        let log = self.folder.path().join(format!("{name}.log"));
        for container in template["spec"]["initContainers"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let command = self.command(name, template, container, more)?;
            let process = Process::start(&format!("{name} init"), command, &log)?;
            let status = process.wait(LIMIT).await?;
            ensure!(
                status.success(),
                "{name} init: {status}\n{}",
                process.log_text()
            );
        }
        let mut command = self.command(name, template, &template["spec"]["containers"][0], more)?;
        for (name, value) in variables {
            command.env(name, value);
        }
        Process::start(name, command, &log)
    }
}

#[test]
fn what_is_rendered_runs_the_real_programs() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let result = runtime.block_on(buys());
    if let Err(error) = result {
        panic!("{error:#}");
    }
}

/// Buys the first product of a list, through the edge.
async fn order(client: &reqwest::Client, at: &str, products: &str) -> Result<()> {
    let send = async |method: reqwest::Method, path: &str, body: Value| {
        let answer = client
            .request(method, format!("http://{at}{path}"))
            .header("Host", "demo.example.com")
            .header("Idempotency-Key", "\"contract\"")
            .json(&body)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        anyhow::Ok(serde_json::from_str::<Value>(&text)?)
    };
    let products: Value = serde_json::from_str(products)?;
    let slug = first(&products, "slug").context("no product has a slug")?;
    let product = client
        .get(format!("http://{at}/api/v1/catalog/products/{slug}"))
        .header("Host", "demo.example.com")
        .send()
        .await?
        .text()
        .await?;
    let sku = first(&serde_json::from_str(&product)?, "sku").context("no variant has a SKU")?;
    let lines = json!({"lines": [{"sku": sku, "quantity": 1}]});
    let cart = send(reqwest::Method::POST, "/api/v1/carts", lines).await?;
    let path = format!("/api/v1/carts/{}", cart["id"].as_str().context("no cart")?);
    let cart = send(
        reqwest::Method::PATCH,
        &path,
        json!({
            "email": "ada@example.com",
            "shipping_method": "standard-eu",
            "shipping_address": {"name": "Ada Buyer", "line1": "Lindenstraße 1", "city": "Berlin", "postcode": "10969", "country": "DE"},
        }),
    )
    .await?;
    let payment = json!({
        "expected_total": cart["totals"]["total"],
        "payment": {"provider": "test", "token": "4242424242424242"},
    });
    let placed = send(reqwest::Method::POST, &format!("{path}/complete"), payment).await?;
    ensure!(placed["status"] == "placed", "{placed}");
    Ok(())
}

/// The first text of a field of this name, in the order of the document.
fn first(value: &Value, name: &str) -> Option<String> {
    match value {
        Value::Object(map) => map
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .or_else(|| map.values().find_map(|below| first(below, name))),
        Value::Array(items) => items.iter().find_map(|below| first(below, name)),
        _ => None,
    }
}

async fn buys() -> Result<()> {
    let text = std::fs::read_to_string(repository().join("manifests/smallest.yaml"))?;
    let manifest: Manifest = read(&text).map_err(anyhow::Error::msg)?;
    let options = RenderOptions {
        served: Served::with_groups([]),
    };
    let objects = rendered(&manifest.shops[0], &manifest, &options).map_err(anyhow::Error::msg)?;
    let machine = Machine::new(objects)?;
    let port = |part: &str| machine.ports[part].number();

    let root = if rustix::process::getuid().is_root() {
        "\nuser=root"
    } else {
        ""
    };
    let listen = format!("port={}\nbind_address=127.0.0.1{root}", port("database"));
    let _database = machine
        .start(
            Kind::StatefulSet,
            "demo-database",
            &[("port=3306", listen)],
            &[],
        )
        .await?;
    let bind = [
        ("6379", port("cache").to_string()),
        ("* -::*", "127.0.0.1".to_owned()),
    ];
    let cache = machine
        .start(Kind::Deployment, "demo-cache", &bind, &[])
        .await?;

    let migration = machine.start(Kind::Job, "demo-migrate", &[], &[]).await?;
    let status = migration.wait(LIMIT).await?;
    ensure!(status.success(), "{status}\n{}", migration.log_text());

    let listens = [
        ("PANONO_LISTEN", machine.at("web")),
        ("PANONO_OPS_LISTEN", machine.at("web-ops")),
    ];
    let web = machine
        .start(Kind::Deployment, "demo-web", &[], &listens)
        .await?;
    let listens = [("PANONO_OPS_LISTEN", machine.at("worker-ops"))];
    let worker = machine
        .start(Kind::Deployment, "demo-worker", &[], &listens)
        .await?;
    let client = panono_tests::http::client();
    let get = async |part: &str, path: &str| {
        let answer = client
            .get(format!("http://{}{path}", machine.at(part)))
            .header("Host", "demo.example.com")
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        anyhow::Ok(text)
    };
    for (process, part) in [(&web, "web-ops"), (&worker, "worker-ops")] {
        process
            .ready("the process to be ready", LIMIT, async || {
                get(part, "/readyz").await.map(|_| ())
            })
            .await?;
    }
    let listen = [(
        "http=:8080,HTTP",
        format!("http={},HTTP", machine.at("edge")),
    )];
    let edge = machine
        .start(Kind::Deployment, "demo-edge", &listen, &[])
        .await?;
    edge.ready("the edge to answer", LIMIT, async || {
        get("edge", "/.well-known/panono-edge/health")
            .await
            .map(|_| ())
    })
    .await?;

    // A catalogue, by the same program with the same environment as the web process.
    let template = &machine.object(Kind::Deployment, "demo-web").body["spec"]["template"];
    let mut seed = machine.command("seed", template, &template["spec"]["containers"][0], &[])?;
    let mut arguments: Vec<std::ffi::OsString> = vec!["seed".into(), "--demo".into()];
    let mut command = Command::new(seed.get_program());
    command.args(arguments.drain(..)).env_clear();
    for (name, value) in seed.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    seed = command;
    let seeding = Process::start("seed", seed, &machine.folder.path().join("seed.log"))?;
    let status = seeding.wait(LIMIT).await?;
    ensure!(status.success(), "{status}\n{}", seeding.log_text());

    // A shopper, through the edge.
    let page = wait_until("a page with products", LIMIT, async || {
        let text = get("edge", "/api/v1/catalog/products")
            .await
            .map_err(|error| format!("{error:#}"))?;
        let list: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let some = list.to_string().contains("\"slug\"");
        some.then_some(text.clone()).ok_or(text)
    })
    .await?;
    ensure!(page.len() > 100, "{page}");
    let home = get("edge", "/en").await?;
    ensure!(home.contains("<html"), "{home}");
    order(&client, &machine.at("edge"), &page).await?;
    for process in [&cache, &web, &worker, &edge] {
        process.must_run()?;
    }
    Ok(())
}
