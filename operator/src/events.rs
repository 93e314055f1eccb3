//! Events for what an admin would want to read: a Shop arrives, gets stuck, is put back.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use panono_crds::{GROUP, Reason, Resolution, VERSION};

use crate::object::ShopKey;

/// Writes events.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Events")
    }
}

impl Events {
    /// Writes as the process named `instance`.
    pub fn new(client: Client, instance: String) -> Self {
        Self {
            recorder: Recorder::new(
                client,
                Reporter {
                    controller: "panono-operator".to_owned(),
                    instance: Some(instance),
                },
            ),
        }
    }

    /// Writes one. A failure is logged and nothing else: nothing depends on events.
    pub async fn write(&self, shop: &ShopKey, uid: &str, reason: Reason, note: &str) {
        let about = ObjectReference {
            api_version: Some(format!("{GROUP}/{VERSION}")),
            kind: Some("Shop".to_owned()),
            name: Some(shop.name.clone()),
            namespace: Some(shop.namespace.clone()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: if reason.resolution() == Resolution::Act {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: reason.name().to_owned(),
            // The API has a limit of 1 KB.
            note: Some(note.chars().take(900).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let written = tokio::time::timeout(
            std::time::Duration::from_secs(5),
            self.recorder.publish(&event, &about),
        );
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%shop, error = %crate::failure::client(&error), "failed to write an event");
            }
            Err(_) => tracing::warn!(%shop, "failed to write an event in time"),
        }
    }
}
