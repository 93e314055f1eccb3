//! What the loop has done beside it, but for joining and commands.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::driver::Finished;
use super::join::GivenUp;
use super::store::Made;
use super::{carry, join};

/// Asks the others by which decision the group was made.
pub(super) async fn learn(core: Arc<Core>) -> Finished {
    let moment = core.moment();
    let prefix = moment
        .seen
        .and_then(|(seen, _)| seen.view.id)
        .map(|id| id.prefix);
    let (answers, _) = join::ask_peers(&core).await;
    let known = answers
        .iter()
        .filter_map(|answer| Some((answer.view.as_ref()?.id.as_ref()?, &answer.bases)))
        .find(|(id, _)| id.epoch > 0 && Some(&id.prefix) == prefix.as_ref());
    if let Some((id, bases)) = known.map(|(id, bases)| (id, bases.clone()))
        && let Err(error) = core.ledger.change(|kept| {
            kept.made = Some(Made {
                prefix: id.prefix.clone(),
                epoch: id.epoch,
            });
            kept.bases = bases;
        })
    {
        tracing::error!(%error, "the disk refuses");
    }
    Finished::Nothing
}

/// Gives the primary's role up, because its volume is full.
pub(super) async fn give_up_for_space(core: Arc<Core>) -> Finished {
    match join::give_up_for_space(&core).await {
        Ok(GivenUp::Kill) => {
            tracing::error!("the volume is full: the server is killed, and another is primary");
            Finished::Killed
        }
        Ok(GivenUp::Handed) => {
            tracing::warn!("the volume is full: another is primary");
            Finished::Nothing
        }
        Ok(GivenUp::Not) => Finished::Nothing,
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "the volume is full, and nobody took the primary's role over"
            );
            Finished::Nothing
        }
    }
}

/// Looks how a copy of another member's data ended.
pub(super) async fn finish_copy(core: Arc<Core>) -> Finished {
    if let Err(error) = carry::finish_copy(&core).await {
        tracing::warn!(
            error = format!("{error:#}"),
            "it is not known yet how the copy ended"
        );
    }
    Finished::Nothing
}

/// Keeps errant transactions.
pub(super) async fn save(core: Arc<Core>, errant: String) -> Finished {
    if let Err(error) = carry::save_errant(&core, &errant).await {
        tracing::error!(
            error = format!("{error:#}"),
            "errant transactions could not be saved"
        );
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    Finished::Nothing
}
