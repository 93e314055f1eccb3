//! What is made for a database of several members.

use serde_json::{Value, json};

use super::{Stage, desired, grouped, settled, templates, valid};
use crate::desired::group::revision;
use crate::object::Kind;

/// What is rendered for members is what their agent takes, once the init container has added what differs between them.
#[test]
fn the_agent_takes_its_configuration() {
    let objects = settled(&grouped());
    let map = objects
        .iter()
        .find(|object| object.key.kind == Kind::ConfigMap && object.key.name == "demo-database")
        .unwrap();
    let text = map.body["data"]["agent.json"].as_str().unwrap();
    let mut configuration: Value = serde_json::from_str(text).unwrap();
    for (field, value) in [
        ("podUid", json!("uid")),
        ("ordinal", json!(1)),
        ("serverId", json!(2)),
        (
            "host",
            json!("demo-database-1.demo-database-members.shops.svc"),
        ),
        ("admin", json!("10.0.0.7:33062")),
    ] {
        configuration[field] = value;
    }
    configuration["endpointSlice"]["address"] = json!("10.0.0.7");
    configuration["endpointSlice"]["podName"] = json!("demo-database-1");
    // The agent reads both files, one beside the other.
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live.json");
    let text = map.body["data"]["live.json"].as_str().unwrap();
    std::fs::write(&live, text).unwrap();
    configuration["liveFile"] = json!(live);
    let path = folder.path().join("agent.json");
    std::fs::write(&path, configuration.to_string()).unwrap();
    let read = crate::agent::config::Config::read(&path).unwrap();
    let shop = valid(&grouped());
    let managed = shop.spec.database.managed.unwrap();
    assert_eq!(
        read.live_digest().unwrap(),
        crate::desired::group::settings(&managed)
    );
    // What may change while members run is no part of what pods are made from.
    for field in crate::agent::config::LIVE {
        assert!(configuration.get(field).is_none(), "{field}");
    }
    assert!(
        read.peers
            .iter()
            .any(|peer| peer.mysql == format!("{}:{}", read.host, read.port))
    );
    assert_eq!(read.settings["long_query_time"], "2");
}

/// Another StatefulSet is not taken for the members': they would be replaced for ever.
#[test]
fn the_template_of_members_is_told_beside_a_watched_cache() {
    let mut spec = grouped();
    spec["cache"] = json!({"managed": {"replicas": 3}});
    let objects = settled(&spec);
    let sets = objects
        .iter()
        .filter(|object| object.key.kind == Kind::StatefulSet);
    assert_eq!(sets.count(), 2);
    assert!(revision(&objects).is_some());
    assert_eq!(revision(&objects), revision(&settled(&grouped())));
}

/// A member that is to go may be the primary for as long as it is there.
#[test]
fn the_shop_knows_members_that_are_still_there() {
    let shop = valid(&grouped());
    let known = |recorded: Option<u32>| {
        let mut stage = Stage::settled(&shop);
        stage.group.replicas = recorded;
        let objects = desired(&shop, &stage);
        templates(&objects)
            .into_iter()
            .filter(|(object, _)| object.key.name == "demo-web")
            .flat_map(|(_, template)| {
                template["spec"]["containers"][0]["env"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default()
            })
            .find(|variable| variable["name"] == "PANONO_DATABASE_MEMBERS")
            .and_then(|variable| variable["value"].as_str().map(str::to_owned))
            .unwrap()
            .split(',')
            .count()
    };
    assert_eq!(known(None), 3);
    assert_eq!(known(Some(3)), 3);
    assert_eq!(known(Some(5)), 5);
    // One that is to come is looked for already.
    assert_eq!(known(Some(2)), 3);
}
