//! Passwords, certificates and settings that change while shops write: real servers and agents, told what to do by the operator's
//! own decisions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use panono_crds::{BootstrapStatus, DatabaseStatus, DecisionPhase, PasswordsStatus, RotationPhase};
use panono_operator::agent::api::Verb;
use panono_operator::database::carry_out::verb;
use panono_operator::database::decide::{Act, Decision, Step, decide};
use panono_operator::database::evidence::{Claim, Evidence, Order, Pod, Verb as Wish};
use panono_operator::database::observe::answer;
use panono_operator::database::record;
use panono_operator::names::Owner;
use panono_tests::agents::{AgentGroup, AgentOptions, PASSWORD};
use panono_tests::wait::wait_until;
use serde_json::json;
use sqlx::{Connection as _, Executor as _};
use tokio::task::JoinHandle;

const GUARD: Duration = Duration::from_secs(240);

/// A pod of the shop: it writes with the password that it was made with, now on a connection that it keeps, now on a new one.
struct ShopPod {
    uses: i64,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ShopPod {
    async fn start(group: &Arc<AgentGroup>, uses: i64, password: &str) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let failures = Arc::<Mutex<Vec<String>>>::default();
        let primary = group.primary().await?;
        let task = tokio::spawn({
            let (group, password) = (Arc::clone(group), password.to_owned());
            let (stop, written, failures) = (
                Arc::clone(&stop),
                Arc::clone(&written),
                Arc::clone(&failures),
            );
            async move {
                let member = group.member(primary);
                let mut kept = member.connect_as(&password).await.unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let wrote = async {
                        kept.execute("INSERT INTO orders (via) VALUES ('kept')")
                            .await?;
                        let mut new = member.connect_as(&password).await?;
                        new.execute("INSERT INTO orders (via) VALUES ('new')")
                            .await?;
                        new.close().await?;
                        anyhow::Ok(())
                    };
                    if let Err(error) = wrote.await {
                        failures
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(format!("{error:#}"));
                    } else {
                        written.fetch_add(2, Ordering::Relaxed);
                    }
                }
            }
        });
        let pod = Self {
            uses,
            stop,
            written,
            failures,
            task,
        };
        pod.goes_on().await?;
        Ok(pod)
    }

    async fn goes_on(&self) -> Result<()> {
        let before = self.written.load(Ordering::Relaxed);
        wait_until("a pod of the shop to write", GUARD, async || {
            let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            ensure!(
                self.written.load(Ordering::Relaxed) > before,
                "it does not: {:?}",
                failures.first()
            );
            Ok(())
        })
        .await
    }

    /// Ends, and says how much was written and what failed.
    async fn end(self) -> Result<(u64, Vec<String>)> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?;
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((self.written.load(Ordering::Relaxed), failures.clone()))
    }
}

/// What the operator has, without a cluster: the record, the Secret, and the shop's pods.
struct Operator {
    group: Arc<AgentGroup>,
    owner: Owner,
    record: DatabaseStatus,
    passwords: BTreeMap<i64, String>,
    certificate: String,
    settings: String,
    orders: Vec<Order>,
    pods: Vec<ShopPod>,
    written: u64,
    failures: Vec<String>,
    phases: Vec<RotationPhase>,
}

impl Operator {
    async fn new(group: AgentGroup) -> Result<Self> {
        let group = Arc::new(group);
        let status = group.member(0).status(group.client()).await?;
        let version = answer(&status).version.context("no version")?;
        let record = DatabaseStatus {
            group_name: Some(group.name().to_owned()),
            epoch: status.epoch,
            replicas: 3,
            bootstrap: Some(BootstrapStatus {
                phase: DecisionPhase::Done,
                ..BootstrapStatus::default()
            }),
            passwords: Some(PasswordsStatus {
                generation: 1,
                rotation: None,
            }),
            protocol_version: Some(version.to_string()),
            ..DatabaseStatus::default()
        };
        Ok(Self {
            group,
            owner: Owner {
                name: "demo".to_owned(),
                namespace: "shops".to_owned(),
                uid: None,
            },
            record,
            passwords: BTreeMap::from([(1, PASSWORD.to_owned())]),
            certificate: String::new(),
            settings: String::new(),
            orders: Vec::new(),
            pods: Vec::new(),
            written: 0,
            failures: Vec::new(),
            phases: Vec::new(),
        })
    }

    fn newest(&self) -> i64 {
        self.passwords.keys().max().copied().unwrap_or(1)
    }

    async fn evidence(&self) -> Evidence {
        let mut evidence = Evidence {
            record: self.record.clone(),
            orders: self.orders.clone(),
            ..Evidence::default()
        };
        evidence.wanted.members = 3;
        evidence.wanted.settings.clone_from(&self.settings);
        evidence.secrets.passwords = self.newest();
        evidence.secrets.certificate.clone_from(&self.certificate);
        evidence.shop.settled = true;
        evidence.shop.oldest = self.pods.iter().map(|pod| pod.uses).min();
        for (ordinal, status) in (0..).zip(self.group.statuses().await) {
            evidence.claims.insert(
                ordinal,
                Claim {
                    marker: self.record.group_name.clone(),
                    ..Claim::default()
                },
            );
            let Some(status) = status else { continue };
            evidence.pods.insert(
                ordinal,
                Pod {
                    uid: status.pod_uid.clone(),
                    ..Pod::default()
                },
            );
            evidence.answers.insert(ordinal, answer(&status));
        }
        evidence
    }

    /// Looks and takes steps until there is nothing left to do.
    async fn settle(&mut self) -> Result<()> {
        wait_until("nothing to be left to do", GUARD, async || {
            self.roll_out().await?;
            let evidence = self.evidence().await;
            let step = decide(&evidence);
            match &step {
                Step::Nothing => return Ok(()),
                Step::Wait(_) | Step::Stall(_) => {}
                Step::Record(decision) => self.write(decision),
                Step::Act(act) => self.act(&evidence, act).await?,
            }
            bail!("{step:?} {:?}", self.record.passwords)
        })
        .await
    }

    fn write(&mut self, decision: &Decision) {
        self.record = record(&self.record, decision, "2026-01-01T00:00:00Z", "");
        if let Decision::Rotation { phase, .. } = decision {
            self.phases.extend(phase);
            if phase.is_none() {
                self.orders.clear();
            }
        }
    }

    async fn act(&mut self, evidence: &Evidence, act: &Act) -> Result<()> {
        if let Act::MakeSecrets { generation } = act {
            let password = format!("password {generation}");
            self.passwords.insert(*generation, password.clone());
            self.certificate = self.group.renew_certificates()?;
            // Files of pods are not replaced at one moment: a look of the operator comes between.
            for (index, member) in self.group.members().iter().enumerate() {
                member.set_password(&password, *generation)?;
                let seen = self.evidence().await;
                if index < 2 {
                    let early = decide(&seen);
                    ensure!(
                        !matches!(early, Step::Act(Act::SetPasswords { .. })),
                        "passwords are set before all files are there"
                    );
                }
            }
            return Ok(());
        }
        let group = self.record.group_name.clone().unwrap_or_default();
        let (ordinal, epoch, verb) =
            verb(&self.owner, evidence, &group, act).with_context(|| format!("{act:?}"))?;
        let index = usize::try_from(ordinal)?;
        // What cannot be done now is decided anew.
        if let Err(error) = self.group.command_of(index, verb, epoch).await {
            println!("{act:?}: {error:#}");
        }
        Ok(())
    }

    /// What controllers do with the shop's pods: one more with the new password, then one less with the one before.
    async fn roll_out(&mut self) -> Result<()> {
        let Some(passwords) = &self.record.passwords else {
            return Ok(());
        };
        let uses = match &passwords.rotation {
            Some(rotation)
                if matches!(
                    rotation.phase,
                    RotationPhase::RollingOut | RotationPhase::Discarding
                ) =>
            {
                rotation.generation
            }
            _ => passwords.generation,
        };
        if let Some(old) = self.pods.iter().position(|pod| pod.uses != uses) {
            let password = self.passwords.get(&uses).context("no password")?;
            let new = ShopPod::start(&self.group, uses, password).await?;
            self.pods.push(new);
            let (written, failures) = self.pods.remove(old).end().await?;
            self.written += written;
            self.failures.extend(failures);
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_certificates_change_and_no_statement_fails() {
    let group = AgentGroup::start(AgentOptions::default()).await.unwrap();
    let processes = group.processes(&[0, 1, 2]).unwrap();
    let mut operator = Operator::new(group).await.unwrap();
    let group = Arc::clone(&operator.group);
    operator.certificate = group.renew_certificates().unwrap();
    let primary = group.primary().await.unwrap();
    group
        .member(primary)
        .execute("CREATE TABLE panono.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, via VARCHAR(8) NOT NULL)")
        .await
        .unwrap();
    for _ in 0..2 {
        let pod = ShopPod::start(&group, 1, PASSWORD).await.unwrap();
        operator.pods.push(pod);
    }
    for generation in [2, 3] {
        operator.orders.push(Order {
            action: "rotate".to_owned(),
            verb: Wish::Rotate,
        });
        operator.settle().await.unwrap();
        for pod in &operator.pods {
            assert_eq!(pod.uses, generation);
            pod.goes_on().await.unwrap();
        }
        // Nobody gets in any longer with the one before.
        let before = &operator.passwords[&(generation - 1)];
        for member in group.members() {
            assert!(member.connect_as(before).await.is_err());
            let until = member.status_of_server("Ssl_server_not_after").await;
            assert!(
                until.unwrap().contains(&group.certified_until()),
                "the server shows the certificate before"
            );
        }
    }
    assert_eq!(
        operator.phases,
        [
            RotationPhase::Making,
            RotationPhase::Setting,
            RotationPhase::RollingOut,
            RotationPhase::Discarding
        ]
        .repeat(2)
    );
    // Members that lose each other find each other again, though the password with which they met has ended.
    group.cut_connections_of_members().unwrap();
    for pod in &operator.pods {
        pod.goes_on().await.unwrap();
    }
    group.wait_until_online().await.unwrap();
    assert_eq!(group.primary().await.unwrap(), primary);
    assert_eq!(
        group.processes(&[0, 1, 2]).unwrap(),
        processes,
        "a process was started again"
    );
    for pod in operator.pods.drain(..) {
        let (written, failures) = pod.end().await.unwrap();
        operator.written += written;
        operator.failures.extend(failures);
    }
    println!(
        "{} statements, half of them on new connections; {} failed",
        operator.written,
        operator.failures.len()
    );
    assert!(
        operator.failures.is_empty(),
        "statements failed: {:?}",
        operator.failures
    );
    assert!(operator.written > 0);
    group.wait_until_applied().await.unwrap();
    // Who starts now knows only what is in its files.
    let other = group.secondaries().await.unwrap()[0];
    group.member(other).power_off().unwrap();
    group.member(other).start().unwrap();
    group.wait_until_online().await.unwrap();
}

/// Its own data then takes none of the passwords that it knows, neither for its agent nor for the members.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_away_while_passwords_changed_twice_comes_back() {
    let group = AgentGroup::start(AgentOptions::default()).await.unwrap();
    group.wait_until_applied().await.unwrap();
    let primary = group.primary().await.unwrap();
    let away = group.secondaries().await.unwrap()[0];
    group.member(away).power_off().unwrap();
    for generation in [2, 3] {
        let password = format!("password {generation}");
        for member in group.members() {
            member.set_password(&password, generation).unwrap();
        }
        for discard_old in [false, true] {
            let verb = Verb::RotatePasswords {
                generation,
                discard_old,
            };
            wait_until("the primary to change passwords", GUARD, async || {
                group.command(primary, verb.clone()).await
            })
            .await
            .unwrap();
        }
    }
    group
        .member(primary)
        .execute("CREATE TABLE panono.after_them (id INT PRIMARY KEY); INSERT INTO panono.after_them VALUES (1)")
        .await
        .unwrap();
    group.member(away).start().unwrap();
    group.wait_until_online().await.unwrap();
    group.wait_until_applied().await.unwrap();
    let member = group.member(away);
    let there = member.value("SELECT COUNT(*) FROM panono.after_them").await;
    assert_eq!(there.unwrap(), "1");
    // It takes what all take, and nothing else; what made that possible is no transaction of its own.
    for (password, works) in [
        (PASSWORD, false),
        ("password 2", false),
        ("password 3", true),
    ] {
        let connected = member.connect_as(password).await;
        assert_eq!(connected.is_ok(), works, "{password}");
    }
    let own = member.value("@@GLOBAL.gtid_executed").await.unwrap();
    let rest = format!("GTID_SUBTRACT('{own}', @@GLOBAL.gtid_executed)");
    assert_eq!(group.member(primary).value(&rest).await.unwrap(), "");
    assert!(!member.folder().join("run/start.sql").exists());
    // Members reach each other anew.
    group.cut_connections_of_members().unwrap();
    group.wait_until_online().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_live_where_mysql_can_and_say_so_where_it_cannot() {
    let group = AgentGroup::start(AgentOptions::default()).await.unwrap();
    let processes = group.processes(&[0, 1, 2]).unwrap();
    let mut operator = Operator::new(group).await.unwrap();
    let group = Arc::clone(&operator.group);
    let live = async |operator: &mut Operator, fields: serde_json::Value| {
        for member in group.members() {
            member.set_live(&fields).unwrap();
        }
        operator.settings = panono_operator::agent::config::digest(&[&fields.to_string()]);
    };
    live(
        &mut operator,
        json!({"maxConnections": 123, "bufferPoolMib": 192, "settings": {"long_query_time": "2"}}),
    )
    .await;
    operator.settle().await.unwrap();
    for member in group.members() {
        assert_eq!(
            member.value("@@GLOBAL.max_connections").await.unwrap(),
            "123"
        );
        let pool = member.value("@@GLOBAL.innodb_buffer_pool_size").await;
        assert_eq!(pool.unwrap(), (192 << 20).to_string());
        let slow = member.value("@@GLOBAL.long_query_time = 2").await.unwrap();
        assert_eq!(slow, "1");
    }
    // What is not given any longer is what it is without a Shop's word, and what cannot be set is told.
    live(
        &mut operator,
        json!({"settings": {"innodb_read_io_threads": "7"}}),
    )
    .await;
    let evidence = operator.evidence().await;
    let Step::Act(act) = decide(&evidence) else {
        panic!("settings are not applied");
    };
    operator.act(&evidence, &act).await.unwrap();
    let status = group.member(0).status(group.client()).await.unwrap();
    assert_eq!(status.pending_restart, ["innodb_read_io_threads"]);
    let slow = group.member(0).value("@@GLOBAL.long_query_time = 10").await;
    assert_eq!(slow.unwrap(), "1");
    assert_eq!(group.processes(&[0, 1, 2]).unwrap(), processes);
    // A restart takes it over.
    group.member(0).delete().await.unwrap();
    group.member(0).start().unwrap();
    group.wait_until_online().await.unwrap();
    let threads = group
        .member(0)
        .value("@@GLOBAL.innodb_read_io_threads")
        .await;
    assert_eq!(threads.unwrap(), "7");
    let status = group.member(0).status(group.client()).await.unwrap();
    assert!(status.pending_restart.is_empty());
    assert_eq!(status.settings.server, operator.settings);
}

/// The newest protocol that MySQL has is that of 8.0.27, and with one leader it has no older one: what can be seen is that the group
/// takes the command, for the version that it runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_protocol_is_set_for_the_version_that_all_run() {
    let group = AgentGroup::start(AgentOptions::default()).await.unwrap();
    let mut operator = Operator::new(group).await.unwrap();
    let group = Arc::clone(&operator.group);
    let version = operator.record.protocol_version.clone();
    operator.record.protocol_version = Some("8.4.0".to_owned());
    operator.settle().await.unwrap();
    assert_eq!(operator.record.protocol_version, version);
    let primary = group.primary().await.unwrap();
    let status = group.member(primary).status(group.client()).await.unwrap();
    assert_eq!(status.protocol_for, version);
}
