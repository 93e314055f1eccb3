//! The volume of a database of one member. In a StatefulSet the size of claims cannot be changed: it keeps the one with which it was
//! made, and the claim itself grows.

use panono_crds::Component;
use serde_json::{Value, json};

use super::observe::{bytes, claim_name};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::object::Kind;
use crate::validate::ValidatedShop;

/// The size with which claims are made, where there is a StatefulSet of such a database.
///
/// # Errors
/// When the API server does not say.
pub async fn claim_size(
    cluster: &Cluster,
    shop: &ValidatedShop,
) -> Result<Option<String>, Failure> {
    if size(shop).is_none() {
        return Ok(None);
    }
    let owner = &shop.owner;
    let name = owner.component(Component::Database);
    let found = cluster
        .get(Kind::StatefulSet, &owner.namespace, &name)
        .await?;
    Ok(found.and_then(|set| {
        let claims = set.data.pointer("/spec/volumeClaimTemplates/0")?;
        requested(claims).map(str::to_owned)
    }))
}

/// Lets the claim of such a database grow to what the Shop says.
///
/// # Errors
/// When the storage class does not allow it, or the API server does not do it.
pub async fn grow(cluster: &Cluster, shop: &ValidatedShop) -> Result<(), Failure> {
    let Some(size) = size(shop) else {
        return Ok(());
    };
    let owner = &shop.owner;
    let (kind, name) = (Kind::PersistentVolumeClaim, claim_name(owner, 0));
    let found = cluster.get(kind, &owner.namespace, &name).await?;
    let now = found.as_ref().and_then(|claim| requested(&claim.data));
    if now.is_some_and(|now| bytes(now) > 0 && bytes(now) < bytes(size)) {
        let fields = json!({"spec": {"resources": {"requests": {"storage": size}}}});
        cluster
            .change(kind, &owner.namespace, &name, &fields)
            .await?;
    }
    Ok(())
}

/// What the Shop says of it.
fn size(shop: &ValidatedShop) -> Option<&str> {
    let managed = shop.spec.database.managed.as_ref()?;
    (managed.members == 1).then_some(managed.storage.size.as_str())
}

fn requested(claim: &Value) -> Option<&str> {
    claim
        .pointer("/spec/resources/requests/storage")
        .and_then(Value::as_str)
}
