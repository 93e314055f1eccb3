//! The worker's part of payments: what was recorded is carried out, what is uncertain is asked for, messages that were kept are
//! processed, and the test provider works.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use serde::Deserialize;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{LEASE, Payments, store, store_event, test_provider, webhook};
use crate::outbox::consumer::{Claimed, Handled, Handler};
use crate::web::error::{ApiError, Code, chain};

/// How often due work is looked for.
const INTERVAL: Duration = Duration::from_millis(500);
/// Payments, operations and messages taken in one round.
const BATCH: u32 = 32;
/// Payments asked about at once.
const AT_ONCE: usize = 8;
/// A message that no web process has taken up for so long is processed here.
const LEFT: Duration = Duration::from_secs(3);
/// Messages are kept for so long after they were processed: a provider repeats one for some days.
const KEPT: Duration = Duration::from_hours(24 * 30);
const PRUNE_EVERY: Duration = Duration::from_mins(10);
const PRUNE_BATCH: u32 = 1000;
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// Carries out operations from the outbox.
#[derive(Debug, Clone)]
pub struct Commands(pub Payments);

#[derive(Debug, Deserialize)]
struct Command {
    operation: String,
}

impl Handler for Commands {
    fn handle<'a>(
        &'a self,
        claimed: &'a Claimed,
    ) -> Pin<Box<dyn Future<Output = Handled> + Send + 'a>> {
        Box::pin(async move {
            let command: Command = match serde_json::from_value(claimed.row.payload.clone()) {
                Ok(command) => command,
                Err(error) => return Handled::Hopeless(error.to_string()),
            };
            match self.0.carry_out(&command.operation).await {
                Ok(()) => Handled::Done,
                Err(error) if error.code == Code::NotFound => Handled::Hopeless(chain(&error)),
                Err(error) => Handled::Failed(chain(&error)),
            }
        })
    }
}

/// The job.
#[derive(Debug, Clone)]
pub struct PaymentWorker {
    payments: Payments,
}

impl PaymentWorker {
    /// The job for these payments.
    #[must_use]
    pub const fn new(payments: Payments) -> Self {
        Self { payments }
    }

    /// Works until told to stop and what is under way has ended. Any number of workers may: each takes a payment, an operation for
    /// itself first.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut pruned: Option<Instant> = None;
        let mut measured: Option<Instant> = None;
        while !*stop.borrow_and_update() {
            let rounds = [
                ("payments", self.payments_due().await),
                ("operations", self.operations_due().await),
                ("messages", self.messages_due().await),
                ("test provider", self.test_provider().await),
            ];
            for (what, round) in rounds {
                if let Err(error) = round {
                    tracing::warn!(
                        what,
                        error = chain(&error),
                        "payments could not be looked after; trying again"
                    );
                }
            }
            if is_time(&mut measured, MEASURE_EVERY)
                && let Err(error) = self.measure().await
            {
                tracing::debug!(error = chain(&error), "payments could not be measured");
            }
            if is_time(&mut pruned, PRUNE_EVERY)
                && let Err(error) = self.prune().await
            {
                tracing::warn!(error = chain(&error), "old messages could not be deleted");
            }
            let _ = tokio::time::timeout(INTERVAL, stop.changed()).await;
        }
    }

    /// Looks after payments that are due. One that fails does not keep the others.
    async fn payments_due(&self) -> Result<(), ApiError> {
        let mut primary = self.payments.db().primary().await?;
        let due = store::due(&mut primary.connection, BATCH).await?;
        let mut mine = Vec::new();
        for id in due {
            if store::claim(&mut primary.connection, id, LEASE).await? {
                mine.push(id);
            }
        }
        drop(primary);
        for_each(mine, |id| {
            let payments = self.payments.clone();
            async move {
                if let Err(error) = payments.look_after(id).await {
                    tracing::warn!(
                        payment_id = id,
                        error = chain(&error),
                        "a payment could not be looked after; trying again"
                    );
                }
            }
        })
        .await;
        Ok(())
    }

    async fn operations_due(&self) -> Result<(), ApiError> {
        let mut primary = self.payments.db().primary().await?;
        let due = store::operations_due(&mut primary.connection, BATCH).await?;
        drop(primary);
        for_each(due, |id| {
            let payments = self.payments.clone();
            async move {
                if let Err(error) = payments.take_over(id).await {
                    tracing::warn!(
                        operation_id = id,
                        error = chain(&error),
                        "an operation could not be carried out; trying again"
                    );
                }
            }
        })
        .await;
        Ok(())
    }

    async fn messages_due(&self) -> Result<(), ApiError> {
        let mut primary = self.payments.db().primary().await?;
        let due =
            store_event::due(&mut primary.connection, webhook::MOST_ATTEMPTS, LEFT, BATCH).await?;
        drop(primary);
        for_each(due, |event| {
            let payments = self.payments.clone();
            async move {
                payments
                    .process_or_note(&event.provider, &event.event_id, &event.payload)
                    .await;
            }
        })
        .await;
        Ok(())
    }

    /// The test provider ends what it was working on and sends its messages: signed, and taken as those of any other provider.
    async fn test_provider(&self) -> Result<(), ApiError> {
        let Some(provider) = self.payments.test_provider() else {
            return Ok(());
        };
        provider.settle_due().await?;
        let now = OffsetDateTime::now_utc();
        for message in provider.due_messages(now).await? {
            let taken = self
                .payments
                .receive(test_provider::NAME, &message.signature, &message.body, now)
                .await?;
            provider.message_sent(message.id).await?;
            if let webhook::Taken::New(event_id) = taken {
                self.payments
                    .process_or_note(test_provider::NAME, &event_id, &message.body)
                    .await;
            }
        }
        Ok(())
    }

    async fn measure(&self) -> Result<(), ApiError> {
        let mut primary = self.payments.db().primary().await?;
        let open = store::count_open(&mut primary.connection).await?;
        self.payments.metrics().uncertain.set(open);
        Ok(())
    }

    async fn prune(&self) -> Result<(), ApiError> {
        let mut primary = self.payments.db().primary().await?;
        store_event::prune(&mut primary.connection, KEPT, PRUNE_BATCH).await?;
        Ok(())
    }
}

/// Works on all of these, some of them at once: one for which a provider does not answer keeps few others waiting.
pub(crate) async fn for_each<T, F>(items: Vec<T>, work: impl Fn(T) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    for item in items {
        if under_way.len() >= AT_ONCE {
            under_way.join_next().await;
        }
        under_way.spawn(work(item));
    }
    while under_way.join_next().await.is_some() {}
}

fn is_time(last: &mut Option<Instant>, every: Duration) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= every);
    if due {
        *last = Some(Instant::now());
    }
    due
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn one_does_not_keep_the_next_waiting() {
        // None ends before all have begun.
        let all = Arc::new(Barrier::new(AT_ONCE));
        for_each((0..AT_ONCE).collect(), |_| {
            let all = Arc::clone(&all);
            async move {
                all.wait().await;
            }
        })
        .await;
    }
}
