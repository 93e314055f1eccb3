//! The one EndpointSlice behind the Service for writes, which belongs to the primary.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use kube::api::PostParams;
use kube::{Api, Client};

use super::config::{Config, EndpointSliceRef};
use super::core::Core;
use super::view;

/// The view in which the slice was written: `epoch:prefix:counter`.
pub const VIEW_ANNOTATION: &str = "panono.dev/gr-view";

const EVERY: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(5);

/// Has the slice point to this member, as long as it is not dropped. Without a slice in the configuration nothing is done.
pub async fn own(core: Arc<Core>) {
    loop {
        let config = core.config();
        let Some(slice) = &config.endpoint_slice else {
            tokio::time::sleep(EVERY).await;
            continue;
        };
        let written = match tokio::time::timeout(LIMIT, write(&core, &config, slice)).await {
            Ok(written) => written,
            Err(_) => Err(anyhow::anyhow!(
                "the API server did not answer in {LIMIT:?}"
            )),
        };
        if let Err(error) = written {
            tracing::warn!(
                error = format!("{error:#}"),
                slice = slice.name,
                "clients of the Service for writes may not reach this member"
            );
            tokio::time::sleep(AGAIN).await;
        } else {
            tokio::time::sleep(EVERY).await;
        }
    }
}

async fn write(core: &Core, config: &Config, slice: &EndpointSliceRef) -> Result<()> {
    let status = core.status();
    let Some(found) = status.view.filter(view::is_primary) else {
        return Ok(());
    };
    let Some(id) = found.id.filter(|id| id.epoch > 0) else {
        anyhow::bail!("the epoch of the group is not known yet");
    };
    let client = Client::try_default().await.context("no API server")?;
    let api: Api<EndpointSlice> = Api::namespaced(client, &slice.namespace);
    let mut object = api.get(&slice.name).await?;
    let place = (id.epoch, id.counter);
    if let Some(stored) = stored(&object)
        && stored > place
    {
        // A later view wrote it: this member has not noticed yet that it is no longer the primary.
        return Ok(());
    }
    let annotation = format!("{}:{}:{}", id.epoch, id.prefix, id.counter);
    let endpoints = Some(vec![endpoint(slice)]);
    let port = i32::from(config.port);
    let same = object.endpoints == endpoints
        && object
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(VIEW_ANNOTATION))
            == Some(&annotation);
    if same {
        return Ok(());
    }
    object.endpoints = endpoints;
    object.ports = Some(vec![EndpointPort {
        name: Some("mysql".to_owned()),
        port: Some(port),
        protocol: Some("TCP".to_owned()),
        ..EndpointPort::default()
    }]);
    object
        .metadata
        .annotations
        .get_or_insert_default()
        .insert(VIEW_ANNOTATION.to_owned(), annotation);
    object.metadata.managed_fields = None;
    // With the version that was read: who wrote it meanwhile is not overwritten.
    api.replace(&slice.name, &PostParams::default(), &object)
        .await?;
    tracing::info!(slice = slice.name, "the Service for writes leads here");
    Ok(())
}

fn endpoint(slice: &EndpointSliceRef) -> Endpoint {
    Endpoint {
        addresses: vec![slice.address.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(true),
            ..EndpointConditions::default()
        }),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            name: Some(slice.pod_name.clone()),
            namespace: Some(slice.namespace.clone()),
            ..ObjectReference::default()
        }),
        ..Endpoint::default()
    }
}

/// The place of the view in which a slice was written. What cannot be read counts as none.
#[must_use]
pub fn stored(object: &EndpointSlice) -> Option<(i64, u64)> {
    let text = object.metadata.annotations.as_ref()?.get(VIEW_ANNOTATION)?;
    let (epoch, rest) = text.split_once(':')?;
    let (_, counter) = rest.rsplit_once(':')?;
    Some((epoch.parse().ok()?, counter.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{VIEW_ANNOTATION, stored};

    #[test]
    fn views_are_in_the_order_of_their_epochs_then_counters() {
        let of = |text: &str| {
            let mut slice = k8s_openapi::api::discovery::v1::EndpointSlice::default();
            slice
                .metadata
                .annotations
                .get_or_insert_default()
                .insert(VIEW_ANNOTATION.to_owned(), text.to_owned());
            stored(&slice)
        };
        assert_eq!(of("2:17123:9"), Some((2, 9)));
        assert!(of("2:17123:1") > of("1:17200:40"));
        assert_eq!(of("nonsense"), None);
    }
}
