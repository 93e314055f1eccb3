//! Letting go: of stock, of promotions, of money, of the cart.

use serde_json::json;
use sqlx::MySqlConnection;

use super::store;
use crate::cart::model::{CartState, merged_quantity};
use crate::cart::store as carts;
use crate::orders::{Order, OrderState, Transition, store as orders, transition};
use crate::payments::{PaymentState, Payments, store as payments};
use crate::promotions::store as promotions;
use crate::stock;
use crate::web::error::{ApiError, Code};
use crate::web::private::PublicId;

/// Cancels an order whose row is locked: promotions may be used again, money is let go of, the cart of an order that was never
/// placed is open again, and the pieces, last, can be bought by others.
///
/// # Errors
/// `conflict` when the order cannot be cancelled any more; what the database answers.
pub async fn cancel_in(
    connection: &mut MySqlConnection,
    order: &mut Order,
    why: &str,
    actor: &str,
) -> Result<(), ApiError> {
    let was_pending = order.state == OrderState::Pending;
    if !was_pending && order.fulfilment_state != crate::orders::FulfilmentState::Unfulfilled {
        return Err(ApiError::new(Code::Conflict)
            .detail("pieces of the order have left: it can be returned, not cancelled"));
    }
    let data = json!({ "reason": why });
    transition(connection, order, Transition::Cancel, actor, data).await?;
    promotions::release(connection, order.id).await?;
    let_go_of_money(connection, order, why).await?;
    if was_pending && let Some(cart) = order.cart_id {
        orders::forget_cart(connection, order).await?;
        reopen(connection, cart).await?;
    }
    stock::release(connection, order.id).await?;
    Ok(())
}

/// Has the worker void what is held for an order and refund what was taken. Payments that are not decided are voided as well:
/// should they succeed after all, the money goes back.
pub(super) async fn let_go_of_money(
    connection: &mut MySqlConnection,
    order: &Order,
    why: &str,
) -> Result<(), ApiError> {
    for payment in payments::of_order(connection, order.id).await? {
        match payment.state {
            PaymentState::Failed | PaymentState::Voided => {}
            PaymentState::Started
            | PaymentState::Unknown
            | PaymentState::ActionRequired
            | PaymentState::Authorized
            | PaymentState::Captured => {
                Payments::void_in(connection, payment.id, why).await?;
            }
        }
    }
    Ok(())
}

/// Gives a cart back to its shopper. A customer who has begun another one meanwhile finds the lines in that.
async fn reopen(connection: &mut MySqlConnection, cart_id: i64) -> Result<(), ApiError> {
    let Some(public_id) = store::cart_of(connection, cart_id).await? else {
        return Ok(());
    };
    let public_id: PublicId = public_id.parse().map_err(ApiError::internal)?;
    let Some(mut cart) = carts::lock(connection, &public_id).await? else {
        return Ok(());
    };
    if cart.state != CartState::Completing {
        return Ok(());
    }
    cart.state = CartState::Open;
    if carts::update(connection, &cart).await? {
        return Ok(());
    }
    let other = match cart.customer_id {
        Some(customer) => carts::open_for(connection, customer).await?,
        None => None,
    };
    if let Some(other) = other
        && let Some(other) = carts::lock(connection, &other).await?
    {
        for line in &cart.lines {
            let there = other.line(line.variant_id).map_or(0, |line| line.quantity);
            let merged = crate::cart::model::CartLine {
                quantity: merged_quantity(there, line.quantity, None),
                ..*line
            };
            carts::put_line(connection, other.id, &merged).await?;
        }
        for code in &cart.coupons {
            carts::put_coupon(connection, other.id, code).await?;
        }
        carts::update(connection, &other).await?;
    }
    cart.state = CartState::Merged;
    carts::update(connection, &cart).await?;
    Ok(())
}
