//! What others refer to: the service account, the generated passwords.

use serde_json::json;

use super::{CREDENTIALS, Plan};
use crate::object::{Kind, Object};

pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Object> {
    let owner = &plan.shop.owner;
    let account = owner.object(
        Kind::ServiceAccount,
        owner.name.clone(),
        "shop",
        json!({"automountServiceAccountToken": false}),
    );
    // Its values are made once and are not among the fields that are applied: no apply can ever change them.
    let name = owner.with(CREDENTIALS);
    let content = json!({"type": "Opaque"});
    let policy = plan.shop.spec.deletion_policy;
    let credentials = owner.data_object(policy, Kind::Secret, name, "shop", content);
    vec![account, credentials]
}
