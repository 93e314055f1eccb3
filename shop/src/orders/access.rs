//! Who may see an order: its customer, whoever has its signed link, and nobody else.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::IntoParams;

use super::number::OrderNumber;
use super::view::Whole;
use super::{Order, link, store};
use crate::secret::Keys;
use crate::web::error::{ApiError, Code};
use crate::web::private::{PrivateState, Visitor};

/// The signature of an order's link, as its address has it.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LinkKey {
    /// The `key` of the order's link, for who is not signed in.
    #[param(max_length = 64)]
    pub key: Option<String>,
}

/// The error for an order that is not there, or not for who asks: both look the same.
#[must_use]
pub fn not_found() -> ApiError {
    ApiError::new(Code::NotFound).detail("there is no such order, or not for you")
}

/// Reads a number from an address.
///
/// # Errors
/// `not_found` when it is none.
pub fn number(text: &str) -> Result<OrderNumber, ApiError> {
    text.parse().map_err(|_| not_found())
}

/// What a visitor has to show for an order.
#[derive(Debug, Clone)]
pub struct Pass {
    /// Which order.
    pub number: OrderNumber,
    customer_id: Option<i64>,
    by_link: bool,
}

impl Pass {
    /// What this visitor shows.
    ///
    /// # Errors
    /// `not_found` when the address has no number, or the link is forged and nobody is signed in.
    pub fn of(
        keys: &Keys,
        visitor: &Visitor,
        number_text: &str,
        link_key: &LinkKey,
    ) -> Result<Self, ApiError> {
        let number = number(number_text)?;
        let by_link = link_key
            .key
            .as_deref()
            .is_some_and(|key| link::verify(keys, &number, key));
        let customer_id = visitor.customer.as_ref().map(|customer| customer.id);
        if !by_link && customer_id.is_none() {
            return Err(not_found());
        }
        Ok(Self {
            number,
            customer_id,
            by_link,
        })
    }

    /// Whether it opens this order.
    #[must_use]
    pub fn opens(&self, order: &Order) -> bool {
        order.number == self.number
            && (self.by_link
                || (order.customer_id.is_some() && order.customer_id == self.customer_id))
    }

    /// The order that it opens, as somebody sees it who has a right to.
    ///
    /// # Errors
    /// `not_found`; what the database answers.
    pub async fn show(&self, state: &PrivateState) -> Result<Whole, ApiError> {
        let pass = Arc::new(self.clone());
        state
            .read(move |connection| {
                Box::pin(async move {
                    let order = store::find_by_number(connection, &pass.number)
                        .await?
                        .filter(|order| pass.opens(order))
                        .ok_or_else(not_found)?;
                    whole(connection, order).await
                })
            })
            .await
    }
}

/// An order with its lines and discounts.
///
/// # Errors
/// What the database answers.
pub async fn whole(
    connection: &mut sqlx::MySqlConnection,
    order: Order,
) -> Result<Whole, ApiError> {
    let lines = store::lines(connection, order.id).await?;
    let discounts = store::discounts(connection, order.id).await?;
    Ok(Whole {
        order,
        lines,
        discounts,
    })
}
