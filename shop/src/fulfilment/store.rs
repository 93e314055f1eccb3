//! The statements of shipments and returns. Whoever writes has locked the order first.

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::model::{Pieces, Return, ReturnState, Shipment, ShipmentState};

macro_rules! shipment_columns {
    () => {
        "SELECT id, public_id, order_id, carrier, tracking_number, tracking_url, state, shipped_at, \
         delivered_at, version, created_at FROM shipment "
    };
}

macro_rules! return_columns {
    () => {
        "SELECT id, public_id, order_id, state, reason, refund, version, created_at FROM order_return "
    };
}

const SHIPMENT_INSERT: &str =
    "INSERT INTO shipment (public_id, order_id, carrier, state) VALUES (?, ?, ?, 'preparing')";
const SHIPMENT_LINE_INSERT: &str =
    "INSERT INTO shipment_line (shipment_id, order_line_id, quantity) VALUES (?, ?, ?)";
const SHIPMENTS: &str = concat!(
    shipment_columns!(),
    "WHERE order_id = ? ORDER BY id LIMIT 200"
);
const SHIPMENT: &str = concat!(shipment_columns!(), "WHERE public_id = ?");
const SHIPMENT_LOCK: &str = concat!(shipment_columns!(), "WHERE id = ? FOR UPDATE");
const SHIPMENT_ORDER: &str = "SELECT order_id FROM shipment WHERE id = ?";
const SHIPMENT_BY_TRACKING: &str = concat!(
    shipment_columns!(),
    "WHERE carrier = ? AND tracking_number = ?"
);
const SHIPMENT_LINES: &str = "SELECT order_line_id, quantity FROM shipment_line WHERE shipment_id = ? ORDER BY order_line_id";
const SHIPMENT_SHIP: &str = "UPDATE shipment SET state = 'shipped', tracking_number = ?, tracking_url = ?, shipped_at = NOW(6), \
     version = version + 1 WHERE id = ? AND state = 'preparing'";
const SHIPMENT_STATE: &str = "UPDATE shipment SET state = ?, delivered_at = COALESCE(delivered_at, ?), version = version + 1 WHERE id = ?";
const SHIPMENT_DELETE: &str = "DELETE FROM shipment WHERE id = ? AND state = 'preparing'";
const LINE_SHIP: &str = "UPDATE order_line SET shipped = shipped + ? WHERE id = ? AND order_id = ? AND shipped + cancelled + ? <= quantity";
const LINE_RETURN: &str = "UPDATE order_line SET returned = returned + ? WHERE id = ? AND order_id = ? AND returned + ? <= shipped";

const CARRIER_EVENT_INSERT: &str = "INSERT IGNORE INTO carrier_event (carrier, event_id, shipment_id, state, description, happened_at, tracking_number) \
     VALUES (?, ?, ?, ?, ?, ?, ?)";
const CARRIER_EVENTS: &str = "SELECT happened_at, state FROM carrier_event WHERE shipment_id = ? ORDER BY happened_at LIMIT 500";
const CARRIER_EVENTS_ADOPT: &str = "UPDATE carrier_event SET shipment_id = ? WHERE carrier = ? AND shipment_id IS NULL AND tracking_number = ?";

const RETURN_INSERT: &str =
    "INSERT INTO order_return (public_id, order_id, state, reason) VALUES (?, ?, 'requested', ?)";
const RETURN_LINE_INSERT: &str =
    "INSERT INTO order_return_line (return_id, order_line_id, quantity) VALUES (?, ?, ?)";
const RETURNS: &str = concat!(
    return_columns!(),
    "WHERE order_id = ? ORDER BY id LIMIT 200"
);
const RETURN: &str = concat!(return_columns!(), "WHERE public_id = ?");
const RETURN_BY_ID: &str = concat!(return_columns!(), "WHERE id = ?");
const RETURN_LOCK: &str = concat!(return_columns!(), "WHERE id = ? FOR UPDATE");
const RETURNS_LIST: &str = concat!(
    return_columns!(),
    "WHERE state = ? AND id < ? ORDER BY id DESC LIMIT ?"
);
const RETURN_LINES: &str = "SELECT order_line_id, quantity FROM order_return_line WHERE return_id = ? ORDER BY order_line_id";
const RETURN_STATE: &str =
    "UPDATE order_return SET state = ?, version = version + 1 WHERE id = ? AND state = ?";
const RETURN_REFUND: &str =
    "UPDATE order_return SET refund = ?, version = version + 1 WHERE id = ?";
const RETURN_RESTOCKED: &str = "UPDATE order_return_line SET restocked = TRUE WHERE return_id = ?";
const RETURN_PAID_BACK: &str = "SELECT CAST(COALESCE(SUM(IF(state = 'succeeded', amount, 0)), 0) AS SIGNED), \
     CAST(COALESCE(SUM(IF(state IN ('started', 'unknown'), amount, 0)), 0) AS SIGNED) \
     FROM payment_operation JOIN (SELECT id AS of_payment FROM payment WHERE order_id = ?) AS paid ON paid.of_payment = payment_operation.payment_id \
     WHERE kind = 'refund' AND return_id = ?";

/// The statements with their names, to be prepared by a test.
pub const STATEMENTS: &[(&str, &str)] = &[
    ("shipment_insert", SHIPMENT_INSERT),
    ("shipment_line_insert", SHIPMENT_LINE_INSERT),
    ("shipments", SHIPMENTS),
    ("shipment", SHIPMENT),
    ("shipment_lock", SHIPMENT_LOCK),
    ("shipment_order", SHIPMENT_ORDER),
    ("shipment_by_tracking", SHIPMENT_BY_TRACKING),
    ("shipment_lines", SHIPMENT_LINES),
    ("shipment_ship", SHIPMENT_SHIP),
    ("shipment_state", SHIPMENT_STATE),
    ("shipment_delete", SHIPMENT_DELETE),
    ("order_line_ship", LINE_SHIP),
    ("order_line_return", LINE_RETURN),
    ("carrier_event_insert", CARRIER_EVENT_INSERT),
    ("carrier_events", CARRIER_EVENTS),
    ("carrier_events_adopt", CARRIER_EVENTS_ADOPT),
    ("return_insert", RETURN_INSERT),
    ("return_line_insert", RETURN_LINE_INSERT),
    ("returns", RETURNS),
    ("return", RETURN),
    ("return_by_id", RETURN_BY_ID),
    ("return_lock", RETURN_LOCK),
    ("returns_list", RETURNS_LIST),
    ("return_lines", RETURN_LINES),
    ("return_state", RETURN_STATE),
    ("return_refund", RETURN_REFUND),
    ("return_restocked", RETURN_RESTOCKED),
    ("return_paid_back", RETURN_PAID_BACK),
];

#[derive(Debug, sqlx::FromRow)]
struct ShipmentRow {
    id: i64,
    public_id: String,
    order_id: i64,
    carrier: String,
    tracking_number: Option<String>,
    tracking_url: Option<String>,
    state: String,
    shipped_at: Option<OffsetDateTime>,
    delivered_at: Option<OffsetDateTime>,
    version: i64,
    created_at: OffsetDateTime,
}

#[derive(Debug, sqlx::FromRow)]
struct ReturnRow {
    id: i64,
    public_id: String,
    order_id: i64,
    state: String,
    reason: String,
    refund: i64,
    version: i64,
    created_at: OffsetDateTime,
}

async fn pieces(
    connection: &mut MySqlConnection,
    statement: &'static str,
    id: i64,
) -> Result<Vec<Pieces>, sqlx::Error> {
    let rows: Vec<(i64, i32)> = sqlx::query_as(statement)
        .bind(id)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(line_id, quantity)| Pieces {
            line_id,
            quantity: i64::from(quantity),
        })
        .collect())
}

async fn whole_shipment(
    connection: &mut MySqlConnection,
    row: ShipmentRow,
) -> Result<Shipment, sqlx::Error> {
    let state = ShipmentState::from_name(&row.state).ok_or_else(|| {
        sqlx::Error::Decode("a shipment is in a state that this release does not know".into())
    })?;
    Ok(Shipment {
        pieces: pieces(connection, SHIPMENT_LINES, row.id).await?,
        id: row.id,
        public_id: row.public_id,
        order_id: row.order_id,
        carrier: row.carrier,
        tracking_number: row.tracking_number,
        tracking_url: row.tracking_url,
        state,
        shipped_at: row.shipped_at,
        delivered_at: row.delivered_at,
        version: row.version,
        created_at: row.created_at,
    })
}

async fn whole_return(
    connection: &mut MySqlConnection,
    row: ReturnRow,
) -> Result<Return, sqlx::Error> {
    let state = ReturnState::from_name(&row.state).ok_or_else(|| {
        sqlx::Error::Decode("a return is in a state that this release does not know".into())
    })?;
    Ok(Return {
        pieces: pieces(connection, RETURN_LINES, row.id).await?,
        id: row.id,
        public_id: row.public_id,
        order_id: row.order_id,
        state,
        reason: row.reason,
        refund: row.refund,
        version: row.version,
        created_at: row.created_at,
    })
}

/// Writes a parcel that is being packed.
///
/// # Errors
/// What the database answers.
pub async fn shipment_insert(
    connection: &mut MySqlConnection,
    public_id: &str,
    order_id: i64,
    carrier: &str,
    pieces: &[Pieces],
) -> Result<i64, sqlx::Error> {
    let done = sqlx::query(SHIPMENT_INSERT)
        .bind(public_id)
        .bind(order_id)
        .bind(carrier)
        .execute(&mut *connection)
        .await?;
    let id = i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX);
    for piece in pieces {
        sqlx::query(SHIPMENT_LINE_INSERT)
            .bind(id)
            .bind(piece.line_id)
            .bind(piece.quantity)
            .execute(&mut *connection)
            .await?;
    }
    Ok(id)
}

/// The parcels of an order, the first first.
///
/// # Errors
/// What the database answers.
pub async fn shipments(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<Vec<Shipment>, sqlx::Error> {
    let rows: Vec<ShipmentRow> = sqlx::query_as(SHIPMENTS)
        .bind(order_id)
        .fetch_all(&mut *connection)
        .await?;
    let mut shipments = Vec::with_capacity(rows.len());
    for row in rows {
        shipments.push(whole_shipment(connection, row).await?);
    }
    Ok(shipments)
}

/// A parcel by its public id.
///
/// # Errors
/// What the database answers.
pub async fn shipment(
    connection: &mut MySqlConnection,
    public_id: &str,
) -> Result<Option<Shipment>, sqlx::Error> {
    let row: Option<ShipmentRow> = sqlx::query_as(SHIPMENT)
        .bind(public_id)
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => Ok(Some(whole_shipment(connection, row).await?)),
        None => Ok(None),
    }
}

/// The order of which a parcel is a part.
///
/// # Errors
/// What the database answers.
pub async fn shipment_order(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(SHIPMENT_ORDER)
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// Reads a parcel and locks it, after its order.
///
/// # Errors
/// What the database answers.
pub async fn shipment_lock(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Shipment>, sqlx::Error> {
    let row: Option<ShipmentRow> = sqlx::query_as(SHIPMENT_LOCK)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => Ok(Some(whole_shipment(connection, row).await?)),
        None => Ok(None),
    }
}

/// The parcel with this number of a carrier.
///
/// # Errors
/// What the database answers.
pub async fn shipment_by_tracking(
    connection: &mut MySqlConnection,
    carrier: &str,
    tracking_number: &str,
) -> Result<Option<Shipment>, sqlx::Error> {
    let row: Option<ShipmentRow> = sqlx::query_as(SHIPMENT_BY_TRACKING)
        .bind(carrier)
        .bind(tracking_number)
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => Ok(Some(whole_shipment(connection, row).await?)),
        None => Ok(None),
    }
}

/// A parcel leaves. False when it has left before.
///
/// # Errors
/// What the database answers: a tracking number that the carrier has given to another parcel violates `shipment_tracking`.
pub async fn shipment_ship(
    connection: &mut MySqlConnection,
    id: i64,
    tracking_number: Option<&str>,
    tracking_url: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(SHIPMENT_SHIP)
        .bind(tracking_number)
        .bind(tracking_url)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes where a parcel is, and when it arrived.
///
/// # Errors
/// What the database answers.
pub async fn shipment_state(
    connection: &mut MySqlConnection,
    id: i64,
    state: ShipmentState,
    delivered_at: Option<OffsetDateTime>,
) -> Result<(), sqlx::Error> {
    sqlx::query(SHIPMENT_STATE)
        .bind(state.name())
        .bind(delivered_at)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Unpacks a parcel. False when it has left.
///
/// # Errors
/// What the database answers.
pub async fn shipment_delete(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(SHIPMENT_DELETE)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Counts pieces of a line as shipped. False when fewer are left.
///
/// # Errors
/// What the database answers.
pub async fn line_ship(
    connection: &mut MySqlConnection,
    order_id: i64,
    pieces: Pieces,
) -> Result<bool, sqlx::Error> {
    line_count(connection, LINE_SHIP, order_id, pieces).await
}

/// Counts pieces of a line as returned. False when fewer have left.
///
/// # Errors
/// What the database answers.
pub async fn line_return(
    connection: &mut MySqlConnection,
    order_id: i64,
    pieces: Pieces,
) -> Result<bool, sqlx::Error> {
    line_count(connection, LINE_RETURN, order_id, pieces).await
}

async fn line_count(
    connection: &mut MySqlConnection,
    statement: &'static str,
    order_id: i64,
    pieces: Pieces,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(statement)
        .bind(pieces.quantity)
        .bind(pieces.line_id)
        .bind(order_id)
        .bind(pieces.quantity)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A carrier's message to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCarrierEvent {
    /// Who says it.
    pub carrier: String,
    /// The same each time it is sent.
    pub event_id: String,
    /// The parcel's number with the carrier.
    pub tracking_number: String,
    /// Where the parcel is.
    pub state: ShipmentState,
    /// In the carrier's words.
    pub description: String,
    /// When it came there.
    pub happened_at: OffsetDateTime,
}

/// Keeps a message of a carrier. False when it is there already.
///
/// # Errors
/// What the database answers.
pub async fn carrier_event_insert(
    connection: &mut MySqlConnection,
    event: &NewCarrierEvent,
    shipment_id: Option<i64>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(CARRIER_EVENT_INSERT)
        .bind(&event.carrier)
        .bind(&event.event_id)
        .bind(shipment_id)
        .bind(event.state.name())
        .bind(&event.description)
        .bind(event.happened_at)
        .bind(&event.tracking_number)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// What the carrier has said of a parcel.
///
/// # Errors
/// What the database answers.
pub async fn carrier_events(
    connection: &mut MySqlConnection,
    shipment_id: i64,
) -> Result<Vec<(OffsetDateTime, ShipmentState)>, sqlx::Error> {
    let rows: Vec<(OffsetDateTime, String)> = sqlx::query_as(CARRIER_EVENTS)
        .bind(shipment_id)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(at, state)| Some((at, ShipmentState::from_name(&state)?)))
        .collect())
}

/// Gives a parcel the messages that came before its number was known here.
///
/// # Errors
/// What the database answers.
pub async fn carrier_events_adopt(
    connection: &mut MySqlConnection,
    shipment_id: i64,
    carrier: &str,
    tracking_number: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(CARRIER_EVENTS_ADOPT)
        .bind(shipment_id)
        .bind(carrier)
        .bind(tracking_number)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes a return that a shopper asks for.
///
/// # Errors
/// What the database answers.
pub async fn return_insert(
    connection: &mut MySqlConnection,
    public_id: &str,
    order_id: i64,
    reason: &str,
    pieces: &[Pieces],
) -> Result<i64, sqlx::Error> {
    let done = sqlx::query(RETURN_INSERT)
        .bind(public_id)
        .bind(order_id)
        .bind(reason)
        .execute(&mut *connection)
        .await?;
    let id = i64::try_from(done.last_insert_id()).unwrap_or(i64::MAX);
    for piece in pieces {
        sqlx::query(RETURN_LINE_INSERT)
            .bind(id)
            .bind(piece.line_id)
            .bind(piece.quantity)
            .execute(&mut *connection)
            .await?;
    }
    Ok(id)
}

/// The returns of an order, the first first.
///
/// # Errors
/// What the database answers.
pub async fn returns(
    connection: &mut MySqlConnection,
    order_id: i64,
) -> Result<Vec<Return>, sqlx::Error> {
    let rows: Vec<ReturnRow> = sqlx::query_as(RETURNS)
        .bind(order_id)
        .fetch_all(&mut *connection)
        .await?;
    whole_returns(connection, rows).await
}

async fn whole_returns(
    connection: &mut MySqlConnection,
    rows: Vec<ReturnRow>,
) -> Result<Vec<Return>, sqlx::Error> {
    let mut returns = Vec::with_capacity(rows.len());
    for row in rows {
        returns.push(whole_return(connection, row).await?);
    }
    Ok(returns)
}

/// Returns in a state before an id, the latest first.
///
/// # Errors
/// What the database answers.
pub async fn returns_list(
    connection: &mut MySqlConnection,
    state: ReturnState,
    before: i64,
    limit: u32,
) -> Result<Vec<Return>, sqlx::Error> {
    let rows: Vec<ReturnRow> = sqlx::query_as(RETURNS_LIST)
        .bind(state.name())
        .bind(before)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    whole_returns(connection, rows).await
}

/// A return by its public id.
///
/// # Errors
/// What the database answers.
pub async fn return_by_public_id(
    connection: &mut MySqlConnection,
    public_id: &str,
) -> Result<Option<Return>, sqlx::Error> {
    let row: Option<ReturnRow> = sqlx::query_as(RETURN)
        .bind(public_id)
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => Ok(Some(whole_return(connection, row).await?)),
        None => Ok(None),
    }
}

/// A return by its row.
///
/// # Errors
/// What the database answers.
pub async fn return_by_id(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Return>, sqlx::Error> {
    one_return(connection, RETURN_BY_ID, id).await
}

/// Reads a return and locks it, after its order.
///
/// # Errors
/// What the database answers.
pub async fn return_lock(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<Option<Return>, sqlx::Error> {
    one_return(connection, RETURN_LOCK, id).await
}

async fn one_return(
    connection: &mut MySqlConnection,
    statement: &'static str,
    id: i64,
) -> Result<Option<Return>, sqlx::Error> {
    let row: Option<ReturnRow> = sqlx::query_as(statement)
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => Ok(Some(whole_return(connection, row).await?)),
        None => Ok(None),
    }
}

/// Brings a return from one state to another. False when it is in another.
///
/// # Errors
/// What the database answers.
pub async fn return_state(
    connection: &mut MySqlConnection,
    id: i64,
    from: ReturnState,
    to: ReturnState,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(RETURN_STATE)
        .bind(to.name())
        .bind(id)
        .bind(from.name())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes what is given back for a return.
///
/// # Errors
/// What the database answers.
pub async fn return_refund(
    connection: &mut MySqlConnection,
    id: i64,
    amount: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(RETURN_REFUND)
        .bind(amount)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that the pieces of a return are in the warehouse again.
///
/// # Errors
/// What the database answers.
pub async fn return_restocked(
    connection: &mut MySqlConnection,
    id: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(RETURN_RESTOCKED)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// What was given back for a return, and what is about to be.
///
/// # Errors
/// What the database answers.
pub async fn return_paid_back(
    connection: &mut MySqlConnection,
    order_id: i64,
    return_id: i64,
) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(RETURN_PAID_BACK)
        .bind(order_id)
        .bind(return_id)
        .fetch_one(connection)
        .await
}
