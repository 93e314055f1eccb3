//! Changes of a placed order before anything of it has left: where it goes, and fewer pieces.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::MySqlConnection;
use utoipa::ToSchema;

use super::model::{Line, Order};
use super::{change, store};
use crate::accounts::address::{Address, AddressInput};
use crate::notify::event::EventKind;
use crate::payments::operate::{self, Why};
use crate::payments::store as payments;
use crate::stock;
use crate::taxes::store as taxes;
use crate::web::error::{ApiError, Code};

/// Most lines in one change.
const MOST_LINES: usize = 100;

/// The body of a change. Fields that are absent stay as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderEdit {
    /// Where it goes. The country stays, and so does the state or province where other taxes or shipping are due in it.
    #[serde(default)]
    pub shipping_address: Option<AddressInput>,
    /// Who is billed.
    #[serde(default)]
    pub billing_address: Option<AddressInput>,
    /// Lines that shall have fewer pieces.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub lines: Vec<LineEdit>,
}

/// A line that shall have fewer pieces. The quantity is absolute, so that what is sent twice has one effect.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineEdit {
    /// The place of the line, from 0.
    pub position: i32,
    /// Pieces that are wanted, 0 for none.
    #[schema(minimum = 0)]
    pub quantity: i64,
}

/// Changes an order whose row is locked: pieces that are no longer wanted go back to stock and their price to the shopper.
///
/// # Errors
/// `conflict` when something of it has left, or nothing would be left of it; `unprocessable` for addresses and quantities that
/// cannot be; what the database answers.
pub async fn edit_in(
    connection: &mut MySqlConnection,
    order: &mut Order,
    edit: &OrderEdit,
    actor: &str,
) -> Result<(), ApiError> {
    if !order.may_be_edited() {
        return Err(ApiError::new(Code::Conflict)
            .detail("it can be changed between being placed and the first parcel only"));
    }
    let place = place_of(order);
    let addresses = addresses(order, edit)?;
    if let (Some(before), Some(after)) = (place, place_of(order)) {
        stays_in_zone(connection, &before, &after).await?;
    }
    let lines = store::lines(connection, order.id).await?;
    let fewer = fewer(&lines, &edit.lines)?;
    if !addresses && fewer.is_empty() {
        return Ok(());
    }
    let mut removed = 0_i64;
    for piece in &fewer {
        if !store::cancel_pieces(connection, order.id, piece.line_id, piece.pieces).await? {
            return Err(ApiError::new(Code::Conflict)
                .detail("pieces of it have left meanwhile: read the order again"));
        }
        removed = removed.saturating_add(piece.amount);
    }
    let captured = operate::captured_of(connection, order.id).await?;
    let refund = overpaid_by(captured, order.kept_total(&lines), removed);
    store::write_addresses(connection, order).await?;
    let taken_out: Vec<_> = fewer
        .iter()
        .map(|piece| json!({ "position": piece.position, "cancelled": piece.pieces }))
        .collect();
    let data = json!({ "addresses": addresses, "lines": taken_out, "refund": refund });
    change::announce(connection, order, EventKind::OrderEdited, actor, &data).await?;
    if refund > 0 {
        let why = Why::new(actor, "lines were removed");
        give_back(connection, order.id, refund, &why).await?;
    }
    let stock_lines: Vec<(i64, i64)> = fewer
        .iter()
        .map(|piece| (piece.variant_id, piece.pieces))
        .collect();
    if !stock_lines.is_empty() {
        stock::release_some(connection, order.id, &stock_lines)
            .await?
            .map_err(ApiError::internal)?;
    }
    Ok(())
}

/// How much of what was captured is too much once so much is removed from what an order costs. What is only held is captured by the
/// pieces that leave, so nothing is to be given back of it.
fn overpaid_by(captured: i64, cost: i64, removed: i64) -> i64 {
    let too_much = |cost: i64| (captured - cost).max(0);
    too_much(cost - removed) - too_much(cost)
}

/// Refunds an amount of what was captured for an order.
async fn give_back(
    connection: &mut MySqlConnection,
    order_id: i64,
    amount: i64,
    why: &Why,
) -> Result<(), ApiError> {
    let mut left = amount;
    for found in payments::of_order(connection, order_id).await? {
        let Some(mut payment) = payments::lock(connection, found.id).await? else {
            continue;
        };
        let piece = left.min(payment.captured - payment.refunded);
        if piece <= 0 {
            continue;
        }
        if operate::refund_in(connection, &mut payment, piece, why)
            .await?
            .is_err()
        {
            return Err(ApiError::new(Code::Conflict)
                .detail("the payment is being captured at this moment: try again in a minute"));
        }
        left -= piece;
    }
    Ok(())
}

/// Takes the addresses over. Answers whether one is another than before.
fn addresses(order: &mut Order, edit: &OrderEdit) -> Result<bool, ApiError> {
    let mut errors = Vec::new();
    let mut check = |input: &Option<AddressInput>, prefix: &str| match input {
        None => None,
        Some(input) => match input.check(prefix) {
            Ok(address) => Some(address),
            Err(wrong) => {
                errors.extend(wrong);
                None
            }
        },
    };
    let shipping = check(&edit.shipping_address, "/shipping_address");
    let billing = check(&edit.billing_address, "/billing_address");
    if !errors.is_empty() {
        let mut error = ApiError::new(Code::Unprocessable).detail("see `errors`");
        error.fields = errors;
        return Err(error);
    }
    let mut changed = false;
    let mut set = |place: &mut Option<serde_json::Value>, address: Option<Address>| {
        if let Some(address) = address.and_then(|address| serde_json::to_value(address).ok())
            && place.as_ref() != Some(&address)
        {
            *place = Some(address);
            changed = true;
        }
    };
    set(&mut order.shipping_address, shipping);
    set(&mut order.billing_address, billing);
    Ok(changed)
}

/// Country and region that an order goes to.
fn place_of(order: &Order) -> Option<(String, String)> {
    let address = order.shipping_address.as_ref()?;
    let region = address.get("region").and_then(serde_json::Value::as_str);
    Some((
        address.get("country")?.as_str()?.to_owned(),
        region.unwrap_or_default().to_owned(),
    ))
}

/// Refuses another country, and another region that is in another zone: taxes and shipping were those of the zone.
async fn stays_in_zone(
    connection: &mut MySqlConnection,
    (country, region): &(String, String),
    (new_country, new_region): &(String, String),
) -> Result<(), ApiError> {
    let must_stay = |field: &str| {
        Err(ApiError::new(Code::Unprocessable)
            .detail("see `errors`")
            .field(
                format!("/shipping_address/{field}"),
                format!("must stay: taxes and shipping are those of the {field}; cancel the order and place another one"),
            ))
    };
    if country != new_country {
        return must_stay("country");
    }
    if region != new_region {
        let zone = taxes::zone(connection, country, region).await?;
        let new_zone = taxes::zone(connection, new_country, new_region).await?;
        if zone.map(|zone| zone.id) != new_zone.map(|zone| zone.id) {
            return must_stay("region");
        }
    }
    Ok(())
}

struct Fewer {
    line_id: i64,
    position: i32,
    variant_id: i64,
    pieces: i64,
    amount: i64,
}

fn fewer(lines: &[Line], edits: &[LineEdit]) -> Result<Vec<Fewer>, ApiError> {
    let unacceptable = |field: String, message: &str| {
        ApiError::new(Code::Unprocessable)
            .detail("see `errors`")
            .field(field, message)
    };
    if edits.len() > MOST_LINES {
        return Err(unacceptable("/lines".to_owned(), "must be 100 at most"));
    }
    let mut found: Vec<Fewer> = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let Some(line) = lines.iter().find(|line| line.position == edit.position) else {
            let field = format!("/lines/{index}/position");
            return Err(unacceptable(field, "is not a line of the order"));
        };
        if found.iter().any(|other| other.position == edit.position) {
            let field = format!("/lines/{index}/position");
            return Err(unacceptable(field, "is there twice"));
        }
        if !(0..=line.open()).contains(&edit.quantity) {
            let field = format!("/lines/{index}/quantity");
            let message = format!(
                "must be from 0 to {}: pieces can only be taken out",
                line.open()
            );
            return Err(unacceptable(field, &message));
        }
        let pieces = line.open() - edit.quantity;
        found.push(Fewer {
            line_id: line.id,
            position: line.position,
            variant_id: line.variant_id,
            pieces,
            amount: line.amount_of(line.cancelled, pieces),
        });
    }
    found.retain(|piece| piece.pieces > 0);
    let taken: i64 = found.iter().map(|piece| piece.pieces).sum();
    let open: i64 = lines.iter().map(Line::open).sum();
    if taken >= open && taken > 0 {
        return Err(ApiError::new(Code::Conflict)
            .detail("nothing would be left of the order: cancel it instead"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_captured_for_removed_pieces_goes_back() {
        // All was captured; nothing was; a part, which is what the order costs afterwards.
        assert_eq!(overpaid_by(110, 110, 50), 50);
        assert_eq!(overpaid_by(0, 110, 50), 0);
        assert_eq!(overpaid_by(60, 110, 50), 0);
        // What is held covers the first of two removals in part, and nothing of the second.
        assert_eq!(overpaid_by(100, 110, 50), 40);
        assert_eq!(overpaid_by(100, 60, 30), 30);
    }
}
