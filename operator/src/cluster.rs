//! The API server, as the operator talks to it: every request is counted, bounded in time, and made only while this process
//! leads.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions,
    ValidationDirective,
};
use kube::{Client, Error};
use serde_json::Value;

use crate::failure::Failure;
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use crate::object::{Kind, Object, ObjectKey, ShopKey};
use crate::ownership::FIELD_MANAGER;

/// How long an answer may take. The client's own limit is on silence; this one is on the whole.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// The API server.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    metrics: Arc<Metrics>,
    leadership: Arc<Leadership>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Cluster")
    }
}

/// What is written to: for errors.
fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey {
        kind,
        name: name.to_owned(),
    }
}

impl Cluster {
    /// The API server behind `client`. Writes are made only while `leadership` holds.
    pub fn new(client: Client, metrics: Arc<Metrics>, leadership: Arc<Leadership>) -> Self {
        Self {
            client,
            metrics,
            leadership,
        }
    }

    /// The client, for what is not of a Shop.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    /// Runs one request within its limit and counts it.
    async fn call<T>(
        &self,
        verb: &'static str,
        object: &ObjectKey,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        let answer = tokio::time::timeout(CALL_LIMIT, request).await;
        let (result, answer) = match answer {
            Ok(Ok(value)) => ("ok", Ok(value)),
            Ok(Err(error)) => (
                match &error {
                    Error::Api(status) if status.code == 404 => "missing",
                    Error::Api(status) if status.code == 409 => "conflict",
                    Error::Api(status) if status.code < 500 => "refused",
                    _ => "failed",
                },
                Err(Failure::from_client(verb, object, &error)),
            ),
            Err(_) => (
                "timeout",
                Err(Failure::general(
                    panono_crds::Reason::Unreachable,
                    format!("{verb} {object}: no answer in {CALL_LIMIT:?}"),
                )),
            ),
        };
        self.metrics.called(verb, result);
        answer
    }

    fn may_write(&self) -> Result<(), Failure> {
        if self.leadership.holds() {
            Ok(())
        } else {
            Err(Failure::general(
                panono_crds::Reason::Unreachable,
                "another process of the operator leads now",
            ))
        }
    }

    /// The object, if it exists.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn get(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<DynamicObject>, Failure> {
        let api = self.api(&kind.resource(), namespace);
        self.call("get", &key(kind, name), api.get_opt(name)).await
    }

    /// Applies an object.
    ///
    /// # Errors
    /// When it is refused or there is no answer.
    pub async fn apply(&self, object: &Object) -> Result<DynamicObject, Failure> {
        self.apply_as(FIELD_MANAGER, &object.key, &object.body)
            .await
    }

    /// Applies fields of an object in the name of `manager`.
    ///
    /// # Errors
    /// When they are refused or there is no answer.
    pub async fn apply_as(
        &self,
        manager: &str,
        object: &ObjectKey,
        body: &Value,
    ) -> Result<DynamicObject, Failure> {
        self.may_write()?;
        let namespace = body
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or("default");
        let api = self.api(&object.kind.resource(), namespace);
        let mut parameters = PatchParams::apply(manager).force();
        parameters.field_validation = Some(ValidationDirective::Strict);
        self.call(
            "apply",
            object,
            api.patch(&object.name, &parameters, &Patch::Apply(body)),
        )
        .await
    }

    /// What an apply would make of an object, without doing it.
    ///
    /// # Errors
    /// When it would be refused or there is no answer.
    pub async fn dry_run(&self, object: &Object) -> Result<DynamicObject, Failure> {
        let namespace = object
            .body
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or("default");
        let api = self.api(&object.key.kind.resource(), namespace);
        let mut parameters = PatchParams::apply(FIELD_MANAGER).force();
        parameters.dry_run = true;
        parameters.field_validation = Some(ValidationDirective::Strict);
        self.call(
            "apply",
            &object.key,
            api.patch(&object.key.name, &parameters, &Patch::Apply(&object.body)),
        )
        .await
    }

    /// Makes an object that must not exist yet. Nothing when it does.
    ///
    /// # Errors
    /// When it is refused or there is no answer.
    pub async fn create(
        &self,
        manager: &str,
        object: &Object,
    ) -> Result<Option<DynamicObject>, Failure> {
        self.may_write()?;
        let namespace = object
            .body
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or("default");
        let api = self.api(&object.key.kind.resource(), namespace);
        let parameters = PostParams {
            field_manager: Some(manager.to_owned()),
            ..PostParams::default()
        };
        let typed: DynamicObject = serde_json::from_value(object.body.clone())
            .map_err(|error| Failure::of(panono_crds::Reason::Refused, error.to_string()))?;
        let request = async {
            match api.create(&parameters, &typed).await {
                Ok(made) => Ok(Some(made)),
                Err(Error::Api(status)) if status.code == 409 => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.call("create", &object.key, request).await
    }

    /// Replaces an object, if it is still at the version that `body` names.
    ///
    /// # Errors
    /// When it is not, or it is refused, or there is no answer.
    pub async fn replace(
        &self,
        manager: &str,
        kind: Kind,
        object: &DynamicObject,
    ) -> Result<DynamicObject, Failure> {
        self.may_write()?;
        let name = object.metadata.name.clone().unwrap_or_default();
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let api = self.api(&kind.resource(), &namespace);
        let parameters = PostParams {
            field_manager: Some(manager.to_owned()),
            ..PostParams::default()
        };
        self.call(
            "update",
            &key(kind, &name),
            api.replace(&name, &parameters, object),
        )
        .await
    }

    /// Deletes an object, if it is still the same. Its dependents go after it.
    ///
    /// # Errors
    /// When it is refused or there is no answer.
    pub async fn delete(
        &self,
        object: &ObjectKey,
        namespace: &str,
        uid: &str,
    ) -> Result<(), Failure> {
        self.may_write()?;
        let api = self.api(&object.kind.resource(), namespace);
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::background()
        };
        let request = async {
            match api.delete(&object.name, &parameters).await {
                Ok(_) => Ok(()),
                Err(Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
                Err(error) => Err(error),
            }
        };
        self.call("delete", object, request).await
    }

    /// Writes the status of a custom resource of ours.
    ///
    /// # Errors
    /// When it is refused or there is no answer.
    pub async fn write_status(
        &self,
        resource: &ApiResource,
        shop: &ShopKey,
        name: &str,
        body: &Value,
    ) -> Result<DynamicObject, Failure> {
        self.may_write()?;
        let api = self.api(resource, &shop.namespace);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        // For messages the kind does not matter much; the name does.
        let named = key(Kind::ConfigMap, name);
        self.call(
            "apply_status",
            &named,
            api.patch_status(name, &parameters, &Patch::Apply(body)),
        )
        .await
        .map_err(|failure| Failure {
            message: failure
                .message
                .replace("ConfigMap", &format!("status of {}", resource.kind)),
            ..failure
        })
    }
}
