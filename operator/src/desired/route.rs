//! How visitors come in: the shop's Service, and an Ingress or an HTTPRoute to it.

use panono_crds::{Gateway, Ingress, Mode};
use serde_json::{Value, json};

use super::Plan;
use crate::object::{Kind, Object, insert};

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    let owner = &plan.shop.owner;
    let mut objects = vec![owner.object(
        Kind::Service,
        owner.name.clone(),
        "shop",
        json!({"spec": {
            "type": "ClusterIP",
            "selector": owner.selector(entrance(plan)),
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        }}),
    )];
    if let Some(exposure) = &plan.shop.spec.exposure {
        if let Some(given) = &exposure.ingress {
            objects.push(ingress(plan, given));
        }
        if let Some(given) = &exposure.gateway {
            objects.push(http_route(plan, given));
        }
    }
    objects
}

/// The component that visitors meet.
pub(crate) fn entrance(plan: &Plan<'_>) -> &'static str {
    match plan.mode() {
        Mode::Maintenance => "maintenance",
        Mode::Running | Mode::ReadOnly | Mode::Hibernated => {
            if plan.shop.spec.edge.managed.is_some() {
                "edge"
            } else {
                "web"
            }
        }
    }
}

fn ingress(plan: &Plan<'_>, given: &Ingress) -> Object {
    let owner = &plan.shop.owner;
    let backend = json!({"service": {"name": owner.name, "port": {"name": "http"}}});
    let rules: Vec<Value> = plan
        .shop
        .host
        .all
        .iter()
        .map(|host| {
            json!({"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}})
        })
        .collect();
    let mut spec = json!({"rules": rules});
    if let Some(class) = &given.class_name {
        insert(&mut spec, "ingressClassName", class.clone());
    }
    if let Some(secret) = &given.tls_secret_name {
        insert(
            &mut spec,
            "tls",
            json!([{"hosts": plan.shop.host.all, "secretName": secret}]),
        );
    }
    let mut object = owner.object(
        Kind::Ingress,
        owner.name.clone(),
        "shop",
        json!({"spec": spec}),
    );
    if !given.annotations.is_empty()
        && let Some(metadata) = object
            .body
            .get_mut("metadata")
            .and_then(Value::as_object_mut)
    {
        metadata.insert("annotations".to_owned(), json!(given.annotations));
    }
    object
}

fn http_route(plan: &Plan<'_>, given: &Gateway) -> Object {
    let owner = &plan.shop.owner;
    let mut parent = json!({"name": given.name});
    if let Some(namespace) = &given.namespace {
        insert(&mut parent, "namespace", namespace.clone());
    }
    if let Some(section) = &given.section_name {
        insert(&mut parent, "sectionName", section.clone());
    }
    owner.object(
        Kind::HTTPRoute,
        owner.name.clone(),
        "shop",
        json!({"spec": {
            "parentRefs": [parent],
            "hostnames": plan.shop.host.all,
            "rules": [{"backendRefs": [{"name": owner.name, "port": 80}]}],
        }}),
    )
}
