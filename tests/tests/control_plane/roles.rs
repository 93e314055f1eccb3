//! The chart's own ServiceAccount does the whole reconcile, and nothing more.

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
};
use kube::core::GroupVersionKind;
use kube::{Client, Error};
use panono_operator::object::Kind;
use panono_tests::control_plane::{ControlPlane, Gateway, Kubelet, Operator, namespace, objects};
use panono_tests::wait::wait_until;
use serde_json::{Value, json};

use super::bed::{LIMIT, alone, change, create, reason, shops, with};
use super::charts::helm;

/// Of the release `rights`.
const NAME: &str = "rights-panono-operator";

async fn apply(client: &Client, object: &Value) -> Result<()> {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, version) = text("/apiVersion")
        .split_once('/')
        .unwrap_or(("", text("/apiVersion")));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        "" => Api::all_with(client.clone(), &resource),
        namespace => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    api.patch(
        text("/metadata/name"),
        &PatchParams::apply("chart"),
        &Patch::Apply(object),
    )
    .await
    .with_context(|| object.to_string())?;
    Ok(())
}

fn denied<T>(what: &str, result: Result<T, Error>) -> Result<()> {
    match result {
        Err(Error::Api(status)) if status.code == 403 => Ok(()),
        Err(error) => anyhow::bail!("{what}: denied for another reason: {error}"),
        Ok(_) => anyhow::bail!("{what} is allowed"),
    }
}

#[test]
fn the_charts_role_is_enough_and_no_more() {
    alone(async || {
        let plane = ControlPlane::start().await?;
        let client = plane.client().await?;
        let home = namespace(&client, "home").await?;
        // The chart brings the definitions, too.
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for (_, definition) in panono_crds::definitions() {
            let name = definition.metadata.name.unwrap_or_default();
            definitions.delete(&name, &DeleteParams::default()).await?;
            wait_until("the definition to go", LIMIT, async || {
                match definitions.get_opt(&name).await {
                    Ok(None) => Ok(()),
                    Ok(Some(_)) => Err("still there".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            })
            .await?;
        }
        let admin = plane.kubeconfig("helm", &plane.url(), plane.token())?;
        helm(
            &[
                "install",
                "rights",
                "charts/panono-operator",
                "--namespace",
                &home,
            ],
            &json!({}),
            Some(&admin),
        )?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &home);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let issued = accounts
            .create_token_request(NAME, &PostParams::default(), &request)
            .await?;
        let token = issued
            .status
            .and_then(|status| status.token)
            .context("no token")?;

        let gateway = Gateway::start(&plane)?;
        let kubeconfig = plane.kubeconfig("account", &gateway.url(), &token)?;
        let _kubelet = Kubelet::start(client.clone());
        let operator =
            Operator::start(&kubeconfig, &["--lease-namespace", &home, "--lease", NAME])?;
        operator.leads().await?;
        let shop_namespace = namespace(&client, "shop").await?;
        let everything = with(&[
            ("/exposure/ingress", json!({})),
            ("/web/autoscaling/maxReplicas", json!(4)),
            ("/backup/volume/size", json!("1Gi")),
        ]);
        create(&client, &shop_namespace, "demo", everything).await?;
        reason(&client, &shop_namespace, "demo", "Serving").await?;
        let backups: Api<panono_crds::ShopBackup> =
            Api::namespaced(client.clone(), &shop_namespace);
        wait_until("the first backup", LIMIT, async || {
            let first = backups.get("demo-first").await.ok()?;
            let phase = first.status?.phase;
            (phase == panono_crds::WorkPhase::Succeeded).then_some(())
        })
        .await?;
        // Into a Shop that the operator makes.
        apply(&client, &json!({"apiVersion": "panono.dev/v1alpha1", "kind": "ShopRestore", "metadata": {"name": "again", "namespace": shop_namespace},
            "spec": {"shopName": "demo", "into": {"name": "again", "url": "https://again.example.com"}}})).await?;
        let restores: Api<panono_crds::ShopRestore> =
            Api::namespaced(client.clone(), &shop_namespace);
        wait_until("the new Shop", LIMIT, async || {
            let phase = restores.get("again").await.ok()?.status?.phase;
            (phase == panono_crds::WorkPhase::Succeeded).then_some(())
        })
        .await?;
        // Less, so that things are deleted.
        change(&client, &shop_namespace, "demo", json!({"exposure": null, "backup": null, "edge": {"managed": null, "none": {}}, "web": {"autoscaling": null}})).await?;
        reason(&client, &shop_namespace, "demo", "Serving").await?;
        for kind in ["Restart", "Rotate"] {
            let spec = if kind == "Restart" {
                json!({"restart": {"component": "Web"}})
            } else {
                json!({"rotateSecrets": {}})
            };
            let mut spec = spec;
            spec["shopName"] = "demo".into();
            apply(&client, &json!({"apiVersion": "panono.dev/v1alpha1", "kind": "ShopAction", "metadata": {"name": kind.to_lowercase(), "namespace": shop_namespace}, "spec": spec})).await?;
        }
        let actions: Api<panono_crds::ShopAction> =
            Api::namespaced(client.clone(), &shop_namespace);
        for name in ["restart", "rotate"] {
            wait_until("the action", LIMIT, async || {
                actions
                    .get(name)
                    .await
                    .ok()?
                    .status?
                    .phase
                    .filter(|phase| *phase == panono_crds::ActionPhase::Succeeded)
            })
            .await?;
        }
        reason(&client, &shop_namespace, "demo", "Serving").await?;
        let forbidden = operator
            .metric("panono_operator_api_calls_total{verb=\"get\",result=\"refused\"")
            .await?;
        assert!(forbidden == 0.0, "{}", operator.process().log_tail(20));
        assert!(
            !operator.process().log_text().contains("forbidden"),
            "{}",
            operator.process().log_tail(20)
        );

        let limited = plane.client_with(&token)?;
        let here = |kind| objects(&limited, &shop_namespace, kind);
        denied(
            "deleting a Secret",
            here(Kind::Secret)
                .delete("demo-credentials", &DeleteParams::default())
                .await,
        )?;
        denied(
            "deleting a claim",
            here(Kind::PersistentVolumeClaim)
                .delete("demo-media", &DeleteParams::default())
                .await,
        )?;
        let patch = Patch::Merge(json!({"spec": {"name": "x"}}));
        denied(
            "changing a Shop",
            shops(&limited, &shop_namespace)
                .patch("demo", &PatchParams::default(), &patch)
                .await,
        )?;
        denied(
            "deleting a Shop",
            shops(&limited, &shop_namespace)
                .delete("demo", &DeleteParams::default())
                .await,
        )?;
        let pods: Api<k8s_openapi::api::core::v1::Pod> =
            Api::namespaced(limited.clone(), &shop_namespace);
        denied(
            "deleting pods",
            pods.delete_collection(&DeleteParams::default(), &ListParams::default())
                .await,
        )?;
        denied(
            "changing a record",
            backups_as(&limited, &shop_namespace)
                .patch("demo-first", &PatchParams::default(), &patch)
                .await,
        )?;
        denied("reading a log", pods.logs("x", &Default::default()).await)?;
        let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(limited.clone());
        denied("reading nodes", nodes.list(&ListParams::default()).await)?;
        let roles: Api<k8s_openapi::api::rbac::v1::ClusterRole> = Api::all(limited.clone());
        denied("reading roles", roles.list(&ListParams::default()).await)?;
        let leases: Api<k8s_openapi::api::coordination::v1::Lease> =
            Api::namespaced(limited.clone(), "kube-system");
        denied("reading other leases", leases.get("x").await)
    });
}

fn backups_as(client: &Client, namespace: &str) -> Api<panono_crds::ShopBackup> {
    Api::namespaced(client.clone(), namespace)
}
