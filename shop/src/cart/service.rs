//! What can be done with a cart. Pages and API call the same functions.
//!
//! Who knows the id of a cart of a guest may use it; the cart of a customer is that customer's alone, and for everybody else it
//! is not there. Quantities are absolute: what is sent twice has one effect. Every change locks the cart, sees it and what is in
//! it as they are behind the lock, and counts its version up.

use std::collections::BTreeMap;

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::model::{
    Cart, CartLine, CartState, Destination, LARGEST_QUANTITY, MOST_LINES, Priced, merged_quantity,
};
use super::pricing::{PricingSettings, customer_key, facts_ask, line_pointer, price};
use super::store::{self, NewCart};
use super::store_facts;
use crate::accounts::address::Address;
use crate::admin::precondition::IfMatch;
use crate::catalog::model::{Currency, Locale};
use crate::db::Db;
use crate::promotions::model::{CouponCode, MOST_COUPONS};
use crate::promotions::store::{self as promotions, CouponProblem};
use crate::web::error::{ApiError, Code};
use crate::web::private::PublicId;

/// Longest code of a shipping method, as of the column.
const LONGEST_METHOD: usize = 32;

/// A cart and what it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The cart.
    pub cart: Cart,
    /// What it costs now.
    pub priced: Priced,
}

/// A change of a cart.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Lines shall have these quantities, all or none; 0 removes.
    PutLines(Vec<(String, i32)>),
    /// A line shall have so many pieces more.
    AddToLine {
        /// The SKU.
        sku: String,
        /// Pieces that come to those that are there.
        quantity: i32,
        /// The currency of the page on which it was put in: the cart goes over to it.
        currency: Option<Currency>,
    },
    /// Takes a line out, whatever it is of.
    RemoveLine(String),
    /// Puts a coupon in.
    AddCoupon(String),
    /// Takes a coupon out.
    RemoveCoupon(String),
    /// Sets what an order needs to know.
    Details(Box<Details>),
    /// The shopper has seen the prices as they are now.
    Seen,
}

/// What an order needs to know. The outer `None` leaves a field as it is, the inner one empties it.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// The currency of prices.
    pub currency: Option<Currency>,
    /// The language of names.
    pub locale: Option<Locale>,
    /// Where mails about the order go. It was checked.
    pub email: Option<Option<String>>,
    /// Where the goods are to go as far as that is known before there is an address.
    pub destination: Option<Option<Destination>>,
    /// Where the goods are to go.
    pub shipping_address: Option<Option<Address>>,
    /// Who pays.
    pub billing_address: Option<Option<Address>>,
    /// How the goods are sent.
    pub shipping_method: Option<Option<String>>,
}

/// The error for a cart that is not there, or not for who asks: both look the same.
fn not_found() -> ApiError {
    ApiError::new(Code::NotFound).detail("there is no such cart")
}

fn not_open(state: CartState) -> ApiError {
    ApiError::new(Code::CartNotOpen).detail(match state {
        CartState::Completing => {
            "an order is being made of the cart: wait until it is paid or has failed"
        }
        CartState::Ordered => "the cart has become an order: make another cart",
        CartState::Open | CartState::Merged => "the cart was merged into that of the account",
    })
}

/// A cart for whoever may see it. One that was merged is gone.
fn visible(cart: Option<Cart>, customer_id: Option<i64>) -> Result<Cart, ApiError> {
    cart.filter(|cart| cart.customer_id.is_none() || cart.customer_id == customer_id)
        .filter(|cart| cart.state != CartState::Merged)
        .ok_or_else(not_found)
}

/// A cart, locked, for whoever may change it.
///
/// # Errors
/// `not_found`, `cart_not_open`; what the database answers.
pub async fn lock_open(
    connection: &mut MySqlConnection,
    id: &PublicId,
    customer_id: Option<i64>,
) -> Result<Cart, ApiError> {
    let cart = visible(store::lock(connection, id).await?, customer_id)?;
    if cart.state == CartState::Open {
        Ok(cart)
    } else {
        Err(not_open(cart.state))
    }
}

/// A cart and what it costs, for whoever may see it.
///
/// # Errors
/// `not_found`; what the database answers.
pub async fn show(
    connection: &mut MySqlConnection,
    settings: &PricingSettings,
    id: &PublicId,
    customer_id: Option<i64>,
    now: OffsetDateTime,
) -> Result<Shown, ApiError> {
    let cart = visible(store::find(connection, id).await?, customer_id)?;
    let priced = price(connection, &cart, settings, now).await?;
    Ok(Shown { cart, priced })
}

/// The cart that a visitor uses: the customer's, or that of the browser's cookie while it is open and belongs to nobody else.
///
/// # Errors
/// What the database answers.
pub async fn current(
    connection: &mut MySqlConnection,
    customer_id: Option<i64>,
    cookie: Option<PublicId>,
) -> Result<Option<PublicId>, sqlx::Error> {
    if let Some(customer_id) = customer_id
        && let Some(id) = store::open_for(connection, customer_id).await?
    {
        return Ok(Some(id));
    }
    let Some(cookie) = cookie else {
        return Ok(None);
    };
    let cart = store::find(connection, &cookie).await?;
    let usable = cart.filter(|cart| {
        cart.state == CartState::Open
            && (cart.customer_id.is_none() || cart.customer_id == customer_id)
    });
    Ok(usable.map(|cart| cart.public_id))
}

/// Makes a cart with these lines. A customer has one open cart: theirs is answered, with the lines put into it, if there is one.
///
/// # Errors
/// What putting the lines in refuses; what the database answers.
pub async fn create(
    db: &Db,
    settings: &PricingSettings,
    new: NewCart,
    lines: Vec<(String, i32)>,
) -> Result<Shown, ApiError> {
    let shared = std::sync::Arc::new((settings.clone(), new, lines));
    db.transaction(move |connection| {
        let shared = std::sync::Arc::clone(&shared);
        Box::pin(async move {
            let (settings, new, lines) = &*shared;
            let now = OffsetDateTime::now_utc();
            let id = match store::insert(connection, new).await? {
                true => new.public_id,
                false => existing(connection, new).await?,
            };
            let edit = Edit::PutLines(lines.clone());
            let mut cart = lock_open(connection, &id, new.customer_id).await?;
            if !lines.is_empty() {
                apply(connection, settings, &mut cart, &edit, now).await?;
                cart = save(connection, cart).await?;
            }
            let priced = price(connection, &cart, settings, now).await?;
            Ok(Shown { cart, priced })
        })
    })
    .await
}

async fn existing(connection: &mut MySqlConnection, new: &NewCart) -> Result<PublicId, ApiError> {
    let id = match new.customer_id {
        Some(customer_id) => store::open_for(connection, customer_id).await?,
        None => None,
    };
    id.ok_or_else(busy)
}

/// Another request changed the same thing at the same moment.
fn busy() -> ApiError {
    ApiError::new(Code::Conflict).detail("another request did the same at this moment: try again")
}

/// Changes a cart and tells what it costs then.
///
/// # Errors
/// `not_found`, `cart_not_open`, `version_mismatch`; what the edit refuses; what the database answers.
pub async fn edit(
    db: &Db,
    settings: &PricingSettings,
    id: PublicId,
    customer_id: Option<i64>,
    if_match: Option<IfMatch>,
    edit: Edit,
) -> Result<Shown, ApiError> {
    let shared = std::sync::Arc::new((settings.clone(), if_match, edit));
    db.transaction(move |connection| {
        let shared = std::sync::Arc::clone(&shared);
        Box::pin(async move {
            let (settings, if_match, edit) = &*shared;
            let now = OffsetDateTime::now_utc();
            let mut cart = lock_open(connection, &id, customer_id).await?;
            if let Some(if_match) = if_match {
                if_match.check(cart.version)?;
            }
            apply(connection, settings, &mut cart, edit, now).await?;
            let cart = save(connection, cart).await?;
            let priced = price(connection, &cart, settings, now).await?;
            check_method(edit, &cart, &priced)?;
            Ok(Shown { cart, priced })
        })
    })
    .await
}

/// Writes the cart and reads it as it is now.
async fn save(connection: &mut MySqlConnection, cart: Cart) -> Result<Cart, ApiError> {
    if !store::update(connection, &cart).await? {
        return Err(busy());
    }
    store::lock(connection, &cart.public_id)
        .await?
        .ok_or_else(not_found)
}

async fn apply(
    connection: &mut MySqlConnection,
    settings: &PricingSettings,
    cart: &mut Cart,
    edit: &Edit,
    now: OffsetDateTime,
) -> Result<(), ApiError> {
    match edit {
        Edit::PutLines(lines) => put_lines(connection, settings, cart, lines, now).await,
        Edit::AddToLine {
            sku,
            quantity,
            currency,
        } => {
            if let Some(currency) = currency {
                set_currency(connection, cart, *currency).await?;
            }
            let there = match store::variant_of_sku(connection, sku).await? {
                Some(variant) => cart.line(variant).map_or(0, |line| line.quantity),
                None => 0,
            };
            let line = (sku.clone(), there.saturating_add(*quantity));
            put_lines(connection, settings, cart, &[line], now).await
        }
        Edit::RemoveLine(sku) => {
            if let Some(variant) = store::variant_of_sku(connection, sku).await? {
                store::remove_line(connection, cart.id, variant).await?;
            }
            Ok(())
        }
        Edit::AddCoupon(typed) => add_coupon(connection, settings, cart, typed, now).await,
        Edit::RemoveCoupon(typed) => {
            if let Some(code) = CouponCode::parse(typed) {
                store::remove_coupon(connection, cart.id, code.as_str()).await?;
            }
            Ok(())
        }
        Edit::Details(details) => {
            let currency = cart.currency;
            set_details(connection, cart, details).await?;
            // The answer shows the prices of the new currency.
            if cart.currency == currency {
                return Ok(());
            }
            mark_seen(connection, settings, cart, now).await
        }
        Edit::Seen => mark_seen(connection, settings, cart, now).await,
    }
}

/// Notes that the shopper sees the prices as they are now.
async fn mark_seen(
    connection: &mut MySqlConnection,
    settings: &PricingSettings,
    cart: &Cart,
    now: OffsetDateTime,
) -> Result<(), ApiError> {
    let variants: Vec<i64> = cart.lines.iter().map(|line| line.variant_id).collect();
    let facts = store_facts::facts(connection, &variants, &facts_ask(cart, settings, now)).await?;
    for line in &cart.lines {
        let amount = facts.get(&line.variant_id).and_then(|facts| facts.amount);
        if let Some(amount) = amount.filter(|amount| Some(*amount) != line.seen_amount) {
            store::seen(connection, cart.id, line.variant_id, amount).await?;
        }
    }
    Ok(())
}

async fn put_lines(
    connection: &mut MySqlConnection,
    settings: &PricingSettings,
    cart: &Cart,
    lines: &[(String, i32)],
    now: OffsetDateTime,
) -> Result<(), ApiError> {
    let mut wanted: BTreeMap<i64, (&str, i32)> = BTreeMap::new();
    let mut refused = ApiError::new(Code::Unprocessable).detail("see `errors`");
    if lines.len() > MOST_LINES {
        return Err(refused.field("/lines", too_many_lines()));
    }
    for (sku, quantity) in lines {
        match store::variant_of_sku(connection, sku).await? {
            Some(variant) => {
                wanted.insert(variant, (sku, *quantity));
            }
            None if *quantity == 0 => {}
            None => {
                refused = refused.field(line_pointer(sku), "is not a SKU of this shop");
            }
        }
    }
    let variants: Vec<i64> = wanted.keys().copied().collect();
    let facts = store_facts::facts(connection, &variants, &facts_ask(cart, settings, now)).await?;
    let mut sold_out = false;
    let mut count = cart.lines.len();
    for (variant, (sku, quantity)) in &wanted {
        let there = cart.line(*variant);
        let facts = facts.get(variant);
        let problem = match (quantity, facts.and_then(|facts| facts.amount)) {
            (0, _) => {
                if there.is_some() {
                    count -= 1;
                    store::remove_line(connection, cart.id, *variant).await?;
                }
                continue;
            }
            (..0, _) => Some("must be 0 or more".to_owned()),
            (&quantity, _) if quantity > LARGEST_QUANTITY => {
                Some(format!("must be at most {LARGEST_QUANTITY}"))
            }
            (_, None) => Some(format!("is not sold in {}: remove it", cart.currency)),
            (&quantity, Some(amount)) => {
                let available = facts.and_then(|facts| facts.available);
                match available.filter(|available| *available < i64::from(quantity)) {
                    Some(available) => {
                        sold_out = true;
                        Some(match available {
                            0 => "is sold out".to_owned(),
                            left => format!("only {left} are left"),
                        })
                    }
                    None => {
                        let line = CartLine {
                            variant_id: *variant,
                            quantity,
                            seen_amount: Some(amount),
                        };
                        if there.is_none() {
                            count += 1;
                        }
                        if there != Some(&line) {
                            store::put_line(connection, cart.id, &line).await?;
                        }
                        None
                    }
                }
            }
        };
        if let Some(problem) = problem {
            refused = refused.field(line_pointer(sku), problem);
        }
    }
    if count > MOST_LINES {
        refused = refused.field("/lines", too_many_lines());
    }
    if refused.fields.is_empty() {
        return Ok(());
    }
    if sold_out {
        refused.code = Code::OutOfStock;
    }
    Err(refused)
}

fn too_many_lines() -> String {
    format!("a cart has at most {MOST_LINES} lines")
}

async fn add_coupon(
    connection: &mut MySqlConnection,
    settings: &PricingSettings,
    cart: &Cart,
    typed: &str,
    now: OffsetDateTime,
) -> Result<(), ApiError> {
    let refuse = |message: &str| {
        Err(ApiError::new(Code::CouponNotValid)
            .detail("see `errors`")
            .field("/code", message))
    };
    let Some(code) = CouponCode::parse(typed) else {
        return refuse("is not a code of this shop");
    };
    if cart.coupons.iter().any(|there| there == code.as_str()) {
        return Ok(());
    }
    if cart.coupons.len() >= MOST_COUPONS {
        return refuse(&format!("a cart has at most {MOST_COUPONS} coupons"));
    }
    let key = cart
        .email
        .as_deref()
        .map(|email| customer_key(&settings.keys, email));
    let ask = promotions::Ask {
        codes: &cart.coupons,
        customer_key: key.as_ref(),
        locale: cart.locale.as_str(),
        first_locale: settings.first_locale.as_str(),
        now,
    };
    match promotions::coupon_problem(connection, &code, &ask).await? {
        Some(CouponProblem::Unknown) => refuse("is not a code of this shop"),
        Some(CouponProblem::NotYet) => refuse("is not valid yet"),
        Some(CouponProblem::Ended) => refuse("is no longer valid"),
        Some(CouponProblem::UsedUp) => refuse("was used as often as it can be"),
        Some(CouponProblem::UsedByCustomer) => refuse("was used by you as often as it can be"),
        Some(CouponProblem::NotFirstOrder) => refuse("is for a first order"),
        Some(CouponProblem::SamePromotion) => {
            refuse("takes off what another coupon of the cart takes off already")
        }
        None => Ok(store::put_coupon(connection, cart.id, code.as_str()).await?),
    }
}

/// Prices that were seen are forgotten with their currency.
async fn set_currency(
    connection: &mut MySqlConnection,
    cart: &mut Cart,
    currency: Currency,
) -> Result<(), sqlx::Error> {
    if cart.currency == currency {
        return Ok(());
    }
    cart.currency = currency;
    for line in &mut cart.lines {
        line.seen_amount = None;
    }
    store::forget_seen(connection, cart.id).await
}

async fn set_details(
    connection: &mut MySqlConnection,
    cart: &mut Cart,
    details: &Details,
) -> Result<(), ApiError> {
    let Details {
        currency,
        locale,
        email,
        destination,
        shipping_address,
        billing_address,
        shipping_method,
    } = details.clone();
    if let Some(currency) = currency {
        set_currency(connection, cart, currency).await?;
    }
    if let Some(locale) = locale {
        cart.locale = locale;
    }
    if let Some(email) = email {
        cart.email = email;
    }
    if let Some(destination) = destination {
        cart.destination = destination;
    }
    if let Some(address) = shipping_address {
        cart.shipping_address = address;
    }
    if let Some(address) = billing_address {
        cart.billing_address = address;
    }
    if let Some(method) = shipping_method {
        if let Some(code) = &method
            && !may_be_method(code)
        {
            return Err(refuse_method("is not offered".to_owned()));
        }
        cart.shipping_method = method;
    }
    Ok(())
}

/// Whether a text can be the code of a shipping method at all.
fn may_be_method(code: &str) -> bool {
    (1..=LONGEST_METHOD).contains(&code.len()) && code.is_ascii()
}

fn refuse_method(message: String) -> ApiError {
    ApiError::new(Code::Unprocessable)
        .detail("see `errors`")
        .field("/shipping_method", message)
}

/// A method that is chosen must be one that is offered.
fn check_method(edit: &Edit, cart: &Cart, priced: &Priced) -> Result<(), ApiError> {
    let Edit::Details(details) = edit else {
        return Ok(());
    };
    let (Some(Some(_)), None) = (&details.shipping_method, &priced.shipping_method) else {
        return Ok(());
    };
    let offered: Vec<&str> = priced
        .methods
        .iter()
        .map(|method| method.code.as_str())
        .collect();
    let message = if cart.goes_to().is_none() {
        "give the shipping address first: what is offered depends on it".to_owned()
    } else if offered.is_empty() {
        "nothing is offered for this address".to_owned()
    } else {
        format!("is not offered; offered are {}", offered.join(", "))
    };
    Err(refuse_method(message))
}

/// Gives the cart of a guest to a customer, at sign-in or later, and tells which cart is the customer's then.
///
/// Where the customer has no open cart, the guest's becomes theirs. Else what is in it goes into theirs: of each variant the
/// greater of the two quantities ([`merged_quantity`]), as long as there are lines left; coupons as long as there is place; and
/// what the account's cart does not know yet of addresses and shipping. The guest's cart ends. Again has no effect, and a cart that
/// is not open, is not there or belongs to somebody else is left as it is.
///
/// # Errors
/// What the database answers.
pub async fn merge(
    connection: &mut MySqlConnection,
    settings: &PricingSettings,
    customer: (i64, &str),
    guest: Option<PublicId>,
    now: OffsetDateTime,
) -> Result<Option<PublicId>, ApiError> {
    let (customer_id, email) = customer;
    let own = store::open_for(connection, customer_id).await?;
    let Some(guest) = guest.filter(|guest| Some(*guest) != own) else {
        return Ok(own);
    };
    let Some(own) = own else {
        let Some(mut cart) = free(store::lock(connection, &guest).await?) else {
            return Ok(None);
        };
        cart.customer_id = Some(customer_id);
        cart.email.get_or_insert_with(|| email.to_owned());
        if !store::update(connection, &cart).await? {
            return Err(busy());
        }
        return Ok(Some(guest));
    };
    let (Some(account), Some(from)) = lock_both(connection, &own, &guest).await? else {
        return Ok(Some(own));
    };
    let Some(from) = free(Some(from)) else {
        return Ok(Some(own));
    };
    if account.state != CartState::Open {
        return Err(busy());
    }
    merge_lines(connection, settings, &account, &from, now).await?;
    let place_left = MOST_COUPONS.saturating_sub(account.coupons.len());
    let new_coupons = from
        .coupons
        .iter()
        .filter(|code| !account.coupons.contains(code));
    for code in new_coupons.take(place_left) {
        store::put_coupon(connection, account.id, code).await?;
    }
    let account = Cart {
        destination: account.destination.clone().or(from.destination.clone()),
        shipping_address: account
            .shipping_address
            .clone()
            .or(from.shipping_address.clone()),
        billing_address: account
            .billing_address
            .clone()
            .or(from.billing_address.clone()),
        shipping_method: account
            .shipping_method
            .clone()
            .or(from.shipping_method.clone()),
        ..account
    };
    let ended = Cart {
        state: CartState::Merged,
        ..from
    };
    if !store::update(connection, &account).await? || !store::update(connection, &ended).await? {
        return Err(busy());
    }
    Ok(Some(own))
}

/// [`merge`] in a transaction of its own.
///
/// # Errors
/// What the database answers.
pub async fn merge_now(
    db: &Db,
    settings: &PricingSettings,
    customer: (i64, String),
    guest: Option<PublicId>,
) -> Result<Option<PublicId>, ApiError> {
    let shared = std::sync::Arc::new((settings.clone(), customer));
    db.transaction(move |connection| {
        let shared = std::sync::Arc::clone(&shared);
        Box::pin(async move {
            let (settings, (id, email)) = &*shared;
            let now = OffsetDateTime::now_utc();
            merge(connection, settings, (*id, email), guest, now).await
        })
    })
    .await
}

/// A cart that is open and belongs to nobody.
fn free(cart: Option<Cart>) -> Option<Cart> {
    cart.filter(|cart| cart.state == CartState::Open && cart.customer_id.is_none())
}

/// Locks two carts, the older one first, so that two merges never wait for each other in a circle.
async fn lock_both(
    connection: &mut MySqlConnection,
    one: &PublicId,
    other: &PublicId,
) -> Result<(Option<Cart>, Option<Cart>), sqlx::Error> {
    let ids = (
        store::find(connection, one).await?.map(|cart| cart.id),
        store::find(connection, other).await?.map(|cart| cart.id),
    );
    if ids.0 <= ids.1 {
        let first = store::lock(connection, one).await?;
        Ok((first, store::lock(connection, other).await?))
    } else {
        let second = store::lock(connection, other).await?;
        Ok((store::lock(connection, one).await?, second))
    }
}

async fn merge_lines(
    connection: &mut MySqlConnection,
    settings: &PricingSettings,
    account: &Cart,
    from: &Cart,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let variants: Vec<i64> = from.lines.iter().map(|line| line.variant_id).collect();
    let facts =
        store_facts::facts(connection, &variants, &facts_ask(account, settings, now)).await?;
    let mut count = account.lines.len();
    for line in &from.lines {
        let there = account.line(line.variant_id);
        let available = facts
            .get(&line.variant_id)
            .map_or(Some(0), |facts| facts.available);
        let had = there.map_or(0, |line| line.quantity);
        let quantity = merged_quantity(had, line.quantity, available);
        if quantity == had || (there.is_none() && count >= MOST_LINES) {
            continue;
        }
        if there.is_none() {
            count += 1;
        }
        let seen_by_guest = line
            .seen_amount
            .filter(|_| from.currency == account.currency);
        let merged = CartLine {
            variant_id: line.variant_id,
            quantity,
            seen_amount: there.map_or(seen_by_guest, |line| line.seen_amount),
        };
        store::put_line(connection, account.id, &merged).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_method_can_be_called_is_known() {
        assert!(may_be_method("post") && may_be_method(&"p".repeat(LONGEST_METHOD)));
        for wrong in ["", "邮政", &"p".repeat(LONGEST_METHOD + 1)] {
            assert!(!may_be_method(wrong), "{wrong:?}");
        }
    }
}
