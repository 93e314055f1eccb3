//! The API server, as the operator talks to it: every request is counted, bounded in time, and made only while this process
//! leads.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, EvictParams, ListParams, Patch, PatchParams,
    PostParams, Preconditions, ValidationDirective,
};
use kube::{Client, Error};
use serde_json::Value;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::leadership::Leadership;
use crate::metrics::Metrics;
use crate::object::{Kind, Object, ObjectKey, ShopKey};
use crate::ownership::FIELD_MANAGER;

/// How long an answer may take, with all tries. The client's own limit is on silence; this one is on the whole.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// How often a request is made at most, and the pause after the first try. What fails for longer is the queue's to repeat.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause that a busy API server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Members of a database, and their volumes, are far fewer.
const LIST_LIMIT: u32 = 100;

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

/// How a request ended, for metrics.
fn result<T>(answer: &Result<T, Error>) -> &'static str {
    match answer {
        Ok(_) => "ok",
        Err(Error::Api(status)) if status.code == 404 => "missing",
        Err(Error::Api(status)) if status.code == 409 => "conflict",
        Err(Error::Api(status)) if status.code < 500 => "refused",
        Err(_) => "failed",
    }
}

/// The pause that is asked for before the same request may be made again, if that is of use.
fn patience(error: &Error) -> Option<Duration> {
    match error {
        Error::Api(status) if status.code == 429 || status.code >= 500 => {
            let seconds = status
                .details
                .as_ref()
                .map_or(0, |details| details.retry_after_seconds);
            Some(Duration::from_secs(seconds.into()).min(LONGEST_PAUSE))
        }
        Error::Api(_) => None,
        _ => Some(Duration::ZERO),
    }
}

/// What is written to: for errors.
fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey {
        kind,
        name: name.to_owned(),
    }
}

/// Only if it is still the same.
fn same(uid: &str, parameters: DeleteParams) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..parameters
    }
}

/// What is gone already, or is another one by now, need not be deleted.
fn gone<T>(answer: Result<T, Error>) -> Result<(), Error> {
    match answer {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        Err(error) => Err(error),
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

    /// Runs one request within its limit, counts it, and repeats it when the API server was busy or not to be reached. Requests are
    /// such that it does not matter whether the one before was done.
    async fn call<T, F: Future<Output = Result<T, Error>>>(
        &self,
        verb: &'static str,
        object: &ObjectKey,
        writes: bool,
        request: impl Fn() -> F,
    ) -> Result<T, Failure> {
        let until = Instant::now() + CALL_LIMIT;
        let mut pause = FIRST_PAUSE;
        for attempt in 1_u32.. {
            // The lead may be lost between two tries.
            if writes {
                self.may_write()?;
            }
            let answer = tokio::time::timeout_at(until, request()).await;
            let Ok(answer) = answer else {
                self.metrics.called(verb, "timeout");
                break;
            };
            self.metrics.called(verb, result(&answer));
            let error = match answer {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let wait = patience(&error)
                .map(|asked| asked.max(pause.mul_f64(rand::random_range(0.5..1.0))));
            match wait {
                Some(wait) if attempt < TRIES && Instant::now() + wait < until => {
                    tracing::debug!(verb, %object, ?wait, error = %crate::failure::client(&error), "asking again");
                    tokio::time::sleep(wait).await;
                    pause = pause.saturating_mul(3);
                }
                _ => return Err(Failure::from_client(verb, object, &error)),
            }
        }
        Err(Failure::general(
            panono_crds::Reason::Unreachable,
            format!("{verb} {object}: no answer in {CALL_LIMIT:?}"),
        ))
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
        self.call("get", &key(kind, name), false, || api.get_opt(name))
            .await
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
        let namespace = body
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or("default");
        let api = self.api(&object.kind.resource(), namespace);
        let mut parameters = PatchParams::apply(manager).force();
        parameters.field_validation = Some(ValidationDirective::Strict);
        self.call("apply", object, true, || async {
            api.patch(&object.name, &parameters, &Patch::Apply(body))
                .await
        })
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
        self.call("apply", &object.key, false, || async {
            api.patch(&object.key.name, &parameters, &Patch::Apply(&object.body))
                .await
        })
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
        let request = || async {
            match api.create(&parameters, &typed).await {
                Ok(made) => Ok(Some(made)),
                Err(Error::Api(status)) if status.code == 409 => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.call("create", &object.key, true, request).await
    }

    /// Makes a record of ours: a custom resource that must not exist yet. Nothing when it does.
    ///
    /// # Errors
    /// When it is refused or there is no answer.
    pub async fn create_record<T: serde::de::DeserializeOwned>(
        &self,
        resource: &ApiResource,
        shop: &ShopKey,
        body: &Value,
    ) -> Result<Option<T>, Failure> {
        let api = self.api(resource, &shop.namespace);
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let broken =
            |error: serde_json::Error| Failure::of(panono_crds::Reason::Refused, error.to_string());
        let typed: DynamicObject = serde_json::from_value(body.clone()).map_err(broken)?;
        let request = || async {
            match api.create(&parameters, &typed).await {
                Ok(made) => Ok(Some(made)),
                Err(Error::Api(status)) if status.code == 409 => Ok(None),
                Err(error) => Err(error),
            }
        };
        let name = typed.metadata.name.as_deref().unwrap_or_default();
        // For messages the kind does not matter much; the name does.
        let made = self
            .call("create", &key(Kind::ConfigMap, name), true, request)
            .await?;
        made.map(|made| serde_json::to_value(made).and_then(serde_json::from_value))
            .transpose()
            .map_err(broken)
    }

    /// Deletes a record of ours, if it is still the same.
    ///
    /// # Errors
    /// When it is refused or there is no answer.
    pub async fn delete_record(
        &self,
        resource: &ApiResource,
        shop: &ShopKey,
        name: &str,
        uid: &str,
    ) -> Result<(), Failure> {
        let api = self.api(resource, &shop.namespace);
        let parameters = same(uid, DeleteParams::background());
        let request = || async { gone(api.delete(name, &parameters).await) };
        self.call("delete", &key(Kind::ConfigMap, name), true, request)
            .await
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
        let name = object.metadata.name.clone().unwrap_or_default();
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let api = self.api(&kind.resource(), &namespace);
        let parameters = PostParams {
            field_manager: Some(manager.to_owned()),
            ..PostParams::default()
        };
        self.call("update", &key(kind, &name), true, || {
            api.replace(&name, &parameters, object)
        })
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
        let api = self.api(&object.kind.resource(), namespace);
        let parameters = same(uid, DeleteParams::background());
        let request = || async { gone(api.delete(&object.name, &parameters).await) };
        self.call("delete", object, true, request).await
    }

    /// Objects of a kind that have these labels.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn list(
        &self,
        kind: Kind,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<DynamicObject>, Failure> {
        let api = self.api(&kind.resource(), namespace);
        let parameters = ListParams::default().labels(labels).limit(LIST_LIMIT);
        self.call("list", &key(kind, ""), false, || async {
            api.list(&parameters).await
        })
        .await
        .map(|found| found.items)
    }

    /// Pods that have these labels.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn pods(&self, namespace: &str, labels: &str) -> Result<Vec<Pod>, Failure> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let parameters = ListParams::default().labels(labels).limit(LIST_LIMIT);
        self.call("list", &key(Kind::StatefulSet, "pods"), false, || async {
            api.list(&parameters).await
        })
        .await
        .map(|found| found.items)
    }

    /// Deletes a pod, if it is still the same, whatever its PodDisruptionBudget says: that counts one that does not run, too.
    ///
    /// # Errors
    /// When it is refused or there is no answer.
    pub async fn delete_pod(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Failure> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let parameters = same(uid, DeleteParams::default());
        let request = || async { gone(api.delete(name, &parameters).await) };
        self.call("delete", &key(Kind::StatefulSet, name), true, request)
            .await
    }

    /// Asks for the eviction of a pod, if it is still the same. Says in words why not, where a PodDisruptionBudget does not allow it
    /// now: asking again at once would not help.
    ///
    /// # Errors
    /// When it is refused for another reason or there is no answer.
    pub async fn evict(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<Result<(), String>, Failure> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let parameters = EvictParams {
            delete_options: Some(same(uid, DeleteParams::default())),
            ..EvictParams::default()
        };
        let request = || async {
            match api.evict(name, &parameters).await {
                Ok(_) => Ok(Ok(())),
                Err(Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(Ok(())),
                // A busy server answers with the same code, and other words.
                Err(Error::Api(status))
                    if status.code == 429 && status.message.contains("disruption budget") =>
                {
                    Ok(Err(format!(
                        "Pod {name} is not replaced yet: {}",
                        status.message
                    )))
                }
                Err(error) => Err(error),
            }
        };
        self.call("evict", &key(Kind::StatefulSet, name), true, request)
            .await
    }

    /// Changes some fields of an object.
    ///
    /// # Errors
    /// When that is refused or there is no answer.
    pub async fn change(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        fields: &Value,
    ) -> Result<DynamicObject, Failure> {
        let api = self.api(&kind.resource(), namespace);
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.call("patch", &key(kind, name), true, || async {
            api.patch(name, &parameters, &Patch::Merge(fields)).await
        })
        .await
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
        manager: &str,
    ) -> Result<DynamicObject, Failure> {
        let api = self.api(resource, &shop.namespace);
        let parameters = PatchParams::apply(manager).force();
        // For messages the kind does not matter much; the name does.
        let named = key(Kind::ConfigMap, name);
        self.call("apply_status", &named, true, || async {
            api.patch_status(name, &parameters, &Patch::Apply(body))
                .await
        })
        .await
        .map_err(|failure| Failure {
            message: failure
                .message
                .replace("ConfigMap", &format!("status of {}", resource.kind)),
            ..failure
        })
    }
}
