//! A volume of a database grows, or it is said why it does not. Which one, and when, is in [`super::decide::growth`].

use panono_crds::Reason;
use serde_json::json;

use super::carry_out::Look;
use super::observe::claim_name;
use crate::failure::Failure;
use crate::object::Kind;
use crate::status::Verdict;

/// What is said of a volume that does not grow, after what is said anyway.
pub(super) fn beside(verdict: Option<Verdict>, refused: String) -> Verdict {
    match verdict {
        None => Verdict::new(Reason::Refused, refused),
        Some(verdict) => {
            let before = verdict.message.trim_end_matches('.');
            Verdict::new(verdict.reason, format!("{before}. {refused}"))
        }
    }
}

/// Grows a member's volume to what the Shop asks for. What is refused is told in words: nothing else waits for it.
pub(super) async fn grow(look: Look<'_>, ordinal: u32) -> Result<Result<(), String>, Failure> {
    let owner = &look.shop.owner;
    let managed = look.shop.spec.database.managed.as_ref();
    let size = managed.map(|managed| managed.storage.size.as_str());
    let fields = json!({"spec": {"resources": {"requests": {"storage": size}}}});
    let name = claim_name(owner, ordinal);
    let kind = Kind::PersistentVolumeClaim;
    let answer = look.cluster.change(kind, &owner.namespace, &name, &fields);
    match answer.await {
        Ok(_) => {
            tracing::info!(claim = name, size, "a volume of the database grows");
            Ok(Ok(()))
        }
        Err(failure) if failure.general => Err(failure),
        Err(failure) => {
            tracing::debug!(%failure, "a volume of the database was not grown");
            Ok(Err(format!(
                "The volume of member {ordinal} is not grown to {}: {}. Its StorageClass needs allowVolumeExpansion",
                size.unwrap_or_default(),
                failure.message
            )))
        }
    }
}
