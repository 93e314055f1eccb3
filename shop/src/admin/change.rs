//! One change by staff: rows, derived tables, audit and purges, in one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::auth::Actor;
use super::events::{Event, purges};
use super::fields::microseconds;
use super::{AdminState, CatalogueSettings, store_audit};
use crate::catalog::index;
use crate::db::transaction::Work;
use crate::outbox::{PurgeKind, enqueue_purge};
use crate::web::error::{ApiError, Code};

/// A change under way. What it notes is carried out, in the same transaction, when its work has ended well.
#[derive(Debug)]
pub struct Change<'c> {
    /// The connection of the transaction.
    pub connection: &'c mut MySqlConnection,
    /// The settings of the catalogue.
    pub settings: &'c CatalogueSettings,
    /// The moment of the change.
    pub now: OffsetDateTime,
    actor: &'c Actor,
    products: BTreeSet<i64>,
    events: BTreeSet<Event>,
}

impl Change<'_> {
    /// Says that what shoppers may see has changed.
    pub fn event(&mut self, event: Event) {
        self.events.insert(event);
    }

    /// Has the derived rows of products derived anew before the transaction ends.
    pub fn derive(&mut self, products: impl IntoIterator<Item = i64>) {
        self.products.extend(products);
    }

    /// Writes a row of the audit log.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn audit<T: Serialize + Sync>(
        &mut self,
        action: &'static str,
        entity: &'static str,
        entity_id: i64,
        before: Option<&T>,
        after: Option<&T>,
    ) -> Result<(), ApiError> {
        let json = |value: Option<&T>| {
            value
                .map(serde_json::to_value)
                .transpose()
                .map_err(ApiError::internal)
        };
        let row = store_audit::NewRow {
            actor: self.actor,
            action,
            entity,
            entity_id,
            before: json(before)?,
            after: json(after)?,
        };
        Ok(store_audit::insert(self.connection, &row).await?)
    }

    async fn finish(mut self) -> Result<(), ApiError> {
        if !self.products.is_empty() {
            let products: Vec<i64> = self.products.iter().copied().collect();
            let derived = index::reindex(
                self.connection,
                &self.settings.currencies,
                &self.settings.locales,
                index::clock_from(self.now),
                &products,
            )
            .await?;
            let listings = derived.categories().into_iter();
            self.events
                .extend(listings.map(|category| Event::ListingChanged { category }));
            let products = derived.products.into_iter();
            self.events
                .extend(products.map(|product| Event::ProductChanged { product }));
        }
        let purges = purges(&self.events);
        enqueue_purge(self.connection, &purges.hard, PurgeKind::Hard).await?;
        enqueue_purge(self.connection, &purges.soft, PurgeKind::Soft).await?;
        Ok(())
    }
}

/// The work of a change. It may run several times, so it takes its input by reference.
pub type ChangeWork<I, T> = for<'w, 'c> fn(&'w mut Change<'c>, &'w I) -> Work<'w, T, ApiError>;

/// Runs a change and commits it.
///
/// # Errors
/// What the work answers; what the database answers.
pub async fn run<I, T>(
    state: &AdminState,
    actor: Actor,
    input: I,
    work: ChangeWork<I, T>,
) -> Result<T, ApiError>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
{
    let shared = Arc::new((actor, input, Arc::clone(&state.settings)));
    state
        .db
        .transaction(move |connection| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (actor, input, settings) = &*shared;
                let mut change = Change {
                    connection,
                    settings,
                    now: microseconds(OffsetDateTime::now_utc()),
                    actor,
                    products: BTreeSet::new(),
                    events: BTreeSet::new(),
                };
                let answer = work(&mut change, input).await?;
                change.finish().await?;
                Ok(answer)
            })
        })
        .await
}

/// The error for something that is not there.
#[must_use]
pub fn not_found(what: &str, id: i64) -> ApiError {
    ApiError::new(Code::NotFound).detail(format!("there is no {what} {id}"))
}

/// The error for values that cannot be accepted, for one field.
#[must_use]
pub fn unacceptable(field: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(Code::Unprocessable)
        .detail("see `errors`")
        .field(field, message)
}

/// The error for a value that another entity has.
#[must_use]
pub fn conflict(field: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(Code::Conflict)
        .detail("see `errors`")
        .field(field, message)
}
