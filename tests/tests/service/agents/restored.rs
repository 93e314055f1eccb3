//! A group that begins from a backup of another shop, and its archive over a change of the primary.

use std::process::Command;
use std::time::Duration;

use panono_operator::agent::api::DataDirectory;
use panono_operator::agent::config::Durability;
use panono_operator::backup::catalogue::Catalogue;
use panono_operator::backup::full::{Donor, FullOptions, take};
use panono_operator::backup::plan::Until;
use panono_operator::backup::progress::Progress;
use panono_operator::backup::restore::{RestoreOptions, restore};
use panono_operator::backup::seal::Key;
use panono_operator::backup::server::ServerOptions;
use panono_operator::backup::store::Store;
use panono_operator::gtid::GtidSet;
use panono_tests::agents::{AgentGroup, AgentOptions, PASSWORD};
use panono_tests::process::{Folder, Process};
use panono_tests::tools;
use panono_tests::wait::wait_until;

const GUARD: Duration = Duration::from_secs(240);
const KEY: &str = "a1";
/// The account by which backups are made.
const BACKUP: &str = "panono_backup";

fn options(members: usize) -> AgentOptions {
    AgentOptions {
        members,
        networks: false,
        durability: Durability::Relaxed,
        ..AgentOptions::default()
    }
}

fn target(folder: &Folder) -> Catalogue {
    let location = format!("file://{}/target", folder.path().display());
    Catalogue {
        store: Store::open(&location, |_| None).unwrap(),
        key: Key::parse(&KEY.repeat(32)).unwrap(),
    }
}

fn servers() -> ServerOptions {
    ServerOptions {
        program: tools::program("mysqld").unwrap(),
        memory_mib: 64,
    }
}

/// Writes the account of backups into the configuration of every member, and has the agents read it.
async fn with_account(group: &AgentGroup) {
    for member in group.members() {
        let path = member.folder().join("agent.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let account = serde_json::json!({
            "user": BACKUP, "passwordFile": member.folder().join("password"),
            "grants": [panono_operator::desired::backup::GRANTS],
        });
        config["accounts"].as_array_mut().unwrap().push(account);
        std::fs::write(&path, config.to_string()).unwrap();
        if member.is_running() {
            member.delete().await.unwrap();
            member.start().unwrap();
            group.wait_until_online().await.unwrap();
        }
    }
}

async fn rows(group: &AgentGroup, index: usize) -> String {
    let query = "SELECT COUNT(*) FROM panono.lamps";
    group.member(index).value(query).await.unwrap()
}

/// The data has the accounts, passwords and identity of another shop; what begins from it has its own, and all of the rows. What was
/// made once is not made again from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_begins_from_restored_data_once() {
    let folder = Folder::new("restored").unwrap();
    let catalogue = target(&folder);
    let source = AgentGroup::prepare(&options(1)).unwrap();
    with_account(&source).await;
    let first = source.member(0);
    first.start().unwrap();
    source.bootstrap().await.unwrap();
    source.wait_until_online().await.unwrap();
    first
        .execute(
            "CREATE TABLE panono.lamps (id INT PRIMARY KEY); INSERT INTO panono.lamps VALUES (1), (2), (3); \
             ALTER USER panono_replication@'%' IDENTIFIED BY 'of another shop'; \
             ALTER USER panono@'%' IDENTIFIED BY 'of another shop'; \
             ALTER USER panono_agent@localhost IDENTIFIED BY 'of another shop'; \
             UPDATE panono_agent.passwords SET given = 3, only_given = 3",
        )
        .await
        .unwrap();
    let address = first.address();
    let (host, port) = address.rsplit_once(':').unwrap();
    let donor = Donor {
        host: host.to_owned(),
        port: port.parse().unwrap(),
        user: BACKUP.to_owned(),
        password: PASSWORD.to_owned(),
        tls: true,
    };
    let full = FullOptions {
        server: servers(),
        work: folder.path().join("work"),
        bandwidth_mib: 0,
    };
    let progress = Progress::default();
    let manifest = Box::pin(take(&catalogue, &donor, &full, &progress))
        .await
        .unwrap();
    drop(source);

    let group = AgentGroup::prepare(&options(3)).unwrap();
    let begins = group.member(0);
    let restoring = RestoreOptions {
        server: servers(),
        data: begins.volume().join("data"),
        until: Until::End,
        backup: None,
        replace: false,
        compare: true,
    };
    Box::pin(restore(&catalogue, &restoring, &progress))
        .await
        .unwrap();
    for member in group.members() {
        member.start().unwrap();
    }
    // It takes part in nothing until it is told to.
    wait_until("the restored member to be fresh", GUARD, async || {
        let status = begins.status(group.client()).await?;
        anyhow::ensure!(status.data == DataDirectory::Fresh, "{:?}", status.data);
        anyhow::ensure!(status.transactions.is_some(), "its server does not answer");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    group.bootstrap().await.unwrap();
    group.wait_until_online().await.unwrap();
    for index in 0..3 {
        assert_eq!(rows(&group, index).await, "3", "member {index}");
    }
    assert_eq!(group.primary().await.unwrap(), 0);
    // The shop reaches it with its own password, and nothing of the other shop's history is missing.
    begins.connect().await.unwrap();
    // Its passwords are its first, whatever the other shop's were, and who backed that one up knows none of this one's.
    let status = begins.status(group.client()).await.unwrap();
    assert_eq!((status.passwords.set, status.passwords.only), (1, 1));
    let known = format!("SELECT COUNT(*) FROM mysql.user WHERE user = '{BACKUP}'");
    assert_eq!(begins.value(&known).await.unwrap(), "0");
    let executed: GtidSet = begins
        .value("@@GLOBAL.gtid_executed")
        .await
        .unwrap()
        .replace('\n', "")
        .parse()
        .unwrap();
    assert!(manifest.executed.is_subset(&executed));

    // From here on it is this group's data as any other.
    begins
        .execute("INSERT INTO panono.lamps VALUES (4)")
        .await
        .unwrap();
    begins.delete().await.unwrap();
    begins.start().unwrap();
    group.wait_until_online().await.unwrap();
    assert_eq!(rows(&group, 0).await, "4");
    assert_eq!(
        begins
            .log_text()
            .matches("has the accounts of this shop")
            .count(),
        1
    );
}

/// Each member has an archiver, and that of the primary archives: after a failover another goes on, and nothing is there twice.
#[tokio::test(flavor = "multi_thread")]
async fn the_archive_follows_the_primary() {
    let folder = Folder::new("follow").unwrap();
    let catalogue = target(&folder);
    let group = AgentGroup::start(options(3)).await.unwrap();
    // An account that is new to the configuration is made by whoever is the primary then.
    with_account(&group).await;
    for member in group.members() {
        wait_until("the account to be there", GUARD, async || {
            let count = format!("SELECT COUNT(*) FROM mysql.user WHERE user = '{BACKUP}'");
            let count = member.value(&count).await?;
            anyhow::ensure!(count == "1", "{count}");
            anyhow::Ok(())
        })
        .await
        .unwrap();
    }
    std::fs::write(folder.path().join("key"), KEY.repeat(32)).unwrap();
    let archivers: Vec<Process> = group
        .members()
        .iter()
        .map(|member| {
            let mut command = Command::new(tools::beside("panono-backup").unwrap());
            command
                .args([
                    "archive",
                    "--primary",
                    "--every-seconds",
                    "1",
                    "--user",
                    BACKUP,
                ])
                .arg(format!(
                    "--target=file://{}/target",
                    folder.path().display()
                ))
                .arg(format!("--key-file={}/key", folder.path().display()))
                .arg(format!("--member={}", member.address()))
                .arg(format!(
                    "--password-file={}/password",
                    member.folder().display()
                ));
            let name = format!("archive{}", member.index());
            Process::start(&name, command, &folder.path().join(&name)).unwrap()
        })
        .collect();
    let archived = async |set: String| {
        let set: GtidSet = set.replace('\n', "").parse().unwrap();
        wait_until("everything to be archived", GUARD, async || {
            let heads = catalogue.heads().await?;
            let has = heads
                .iter()
                .fold(GtidSet::default(), |all, head| all.union(&head.executed));
            let missing = set.subtract(&has);
            anyhow::ensure!(missing.is_empty(), "{missing} is missing");
            anyhow::Ok(())
        })
        .await
        .unwrap();
    };
    let before = group.primary().await.unwrap();
    let primary = group.member(before);
    primary
        .execute(
            "CREATE TABLE panono.lamps (id INT PRIMARY KEY); INSERT INTO panono.lamps VALUES (1)",
        )
        .await
        .unwrap();
    archived(primary.value("@@GLOBAL.gtid_executed").await.unwrap()).await;
    primary.power_off().unwrap();
    let next = group.primary().await.unwrap();
    assert_ne!(next, before);
    let next = group.member(next);
    next.execute("INSERT INTO panono.lamps VALUES (2)")
        .await
        .unwrap();
    archived(next.value("@@GLOBAL.gtid_executed").await.unwrap()).await;
    drop(archivers);
    let mut all = GtidSet::default();
    for key in catalogue.segments().await.unwrap() {
        let header = catalogue.segment_header(&key).await.unwrap();
        let again = header
            .transactions
            .subtract(&header.transactions.subtract(&all));
        assert!(again.is_empty(), "{key} has {again} a second time");
        all.extend(&header.transactions);
    }
}
