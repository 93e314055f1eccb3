//! The cart's page, and the forms that lead to it.
//!
//! A cart follows the page: it has the language and the currency of the pages that it is looked at from. Every form answers 303 to
//! the cart when it was done, and the cart with the reason beside the field when it was refused.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use askama::Template;
use time::OffsetDateTime;

use super::model::{
    Cart, CouponState, Difference, DifferenceKind, LARGEST_QUANTITY, Priced, RequirementCode,
};
use super::route::customer_of;
use super::service::{self, Details, Edit, Shown};
use super::store::NewCart;
use crate::catalog::listing::Image;
use crate::catalog::model::Locale as CatalogueLocale;
use crate::storefront::i18n::Locale;
use crate::storefront::money::{Currency, Money};
use crate::storefront::urls::{Preset, media};
use crate::web::error::{ApiError, Code};
use crate::web::private::texts::texts;
use crate::web::private::{Answer, Place, PrivateState, PublicId, Visitor, see_other};

texts! {
    /// Sentences of the cart's page.
    CartTexts {
        title: "Your cart" => "购物车",
        empty_title: "Your cart is empty" => "购物车是空的",
        empty_text: "What you put in stays here while you look around." => "您放入的商品会一直保留在这里。",
        browse: "Look around" => "去逛逛",
        each: "each" => "单价",
        remove: "Remove" => "移除",
        update: "Update quantities" => "更新数量",
        no_longer_sold: "No longer sold" => "已下架",
        sold_out: "Sold out at the moment" => "暂时售罄",
        bad_quantity: "Give a number from 0 to 9999" => "请输入 0 到 9999 的数字",
        refused: "That could not be put into the cart." => "无法加入购物车。",
        busy: "Something else changed the cart at the same moment. Here is how it stands now." => "购物车刚刚发生了变化，以下是最新状态。",
        not_open: "An order is being made of this cart, so it cannot be changed now." => "该购物车正在结算，暂时无法修改。",
        changes_title: "Since you looked last" => "与您上次查看时相比",
        noted: "All right" => "知道了",
        summary: "Summary" => "合计",
        subtotal: "Goods" => "商品小计",
        shipping: "Shipping" => "运费",
        free: "Free" => "免运费",
        shipping_later: "Chosen at checkout" => "结算时选择",
        tax: "Tax" => "税费",
        tax_later: "Worked out at checkout" => "结算时计算",
        total: "Total" => "总计",
        tax_within: "Tax included" => "含税",
        before_tax: "Before tax and shipping" => "未含税费和运费",
        checkout: "Go to checkout" => "去结算",
        first_mend: "Change or remove the lines marked above, then go to checkout." => "请先调整或移除上面标出的商品，再去结算。",
        coupon: "Coupon code" => "优惠码",
        coupon_add: "Use it" => "使用",
        coupon_wrong: "This code cannot be used." => "该优惠码无法使用。",
        coupon_applied: "Applied" => "已生效",
        coupon_below: "Counts once there is more in the cart" => "未达到最低消费",
        coupon_nothing: "Nothing in the cart it is for" => "购物车中没有适用商品",
        coupon_better: "You get something better already" => "您已享受更优惠的价格",
        coupon_not_valid: "Not valid any more" => "已失效",
        coupon_used_up: "Used up" => "已用完",
        coupon_not_for_you: "Not for another order of yours" => "您已无法再次使用",
        go_on: "Look for more" => "继续购物",
    }
    {
        fn pieces(i64): |number| if number == 1 { "1 item".to_owned() } else { format!("{number} items") } => |number| format!("共 {number} 件"),
        fn only_left(i64): |number| format!("Only {number} left") => |number| format!("仅剩 {number} 件"),
        fn price_changed(&str, &str, &str): |name, before, now| format!("{name} now costs {now} instead of {before}.") => |name, before, now| format!("{name} 的价格由 {before} 变为 {now}。"),
        fn fewer(&str, i64): |name, left| format!("Of {name} only {left} are left.") => |name, left| format!("{name} 仅剩 {left} 件。"),
        fn gone(&str): |name| format!("{name} is no longer sold.") => |name| format!("{name} 已下架。"),
        fn none_left(&str): |name| format!("{name} is sold out at the moment.") => |name| format!("{name} 暂时售罄。"),
        fn quantity_of(&str): |name| format!("Quantity of {name}") => |name| format!("{name} 的数量"),
        fn shipping_named(&str): |name| format!("Shipping, {name}") => |name| format!("运费（{name}）"),
    }
}

/// A picture of a line.
struct LinePicture {
    url: String,
    dense_url: String,
    width: u32,
    height: u32,
    alt: String,
}

/// A line as the page shows it.
struct LineRow {
    sku: String,
    name: String,
    options: String,
    /// Where its product is; none where that is gone.
    url: Option<String>,
    picture: Option<LinePicture>,
    unit: String,
    quantity: String,
    total: String,
    /// The total without discounts, where there are some.
    before: Option<String>,
    problem: Option<String>,
    is_gone: bool,
}

struct CouponRow {
    code: String,
    state: &'static str,
    is_applied: bool,
}

struct SumRow {
    label: String,
    amount: String,
    is_reduction: bool,
}

/// What was typed and refused, to be shown with the reason.
#[derive(Default)]
struct Typed {
    notice: Option<String>,
    quantities: Vec<(String, String, String)>,
    coupon: String,
    coupon_problem: Option<String>,
}

#[derive(Template)]
#[template(path = "private/cart.html")]
struct CartPage<'a> {
    texts: &'static CartTexts,
    notice: Option<&'a str>,
    pieces: String,
    differences: Vec<String>,
    lines: Vec<LineRow>,
    sums: Vec<SumRow>,
    total: String,
    total_note: &'static str,
    coupons: Vec<CouponRow>,
    coupon: &'a str,
    coupon_problem: Option<&'a str>,
    can_check_out: bool,
    cart_url: String,
    coupons_url: String,
    seen_url: String,
    checkout_url: String,
    home_url: String,
}

/// The language of a page as the catalogue knows it.
fn locale_of(place: &Place) -> Option<CatalogueLocale> {
    place.locale.tag().parse().ok()
}

fn money(minor: i64, currency: Currency, locale: Locale) -> String {
    Money::new(minor, currency).format(locale)
}

fn picture(image: &Image, name: &str) -> LinePicture {
    let side = |length: i32| u32::try_from(length).unwrap_or(0);
    let (width, height) = Preset::Thumb.fit(side(image.width), side(image.height));
    LinePicture {
        url: media(&image.hash, Preset::Thumb),
        dense_url: media(&image.hash, Preset::Card),
        width,
        height,
        alt: if image.alt.is_empty() {
            name
        } else {
            &image.alt
        }
        .to_owned(),
    }
}

impl CartTexts {
    fn difference(&self, difference: &Difference, amount: &dyn Fn(i64) -> String) -> String {
        let Difference {
            kind,
            sku: _,
            name,
            before,
            now,
        } = difference;
        match kind {
            DifferenceKind::PriceChanged => (self.price_changed)(
                name,
                &amount(before.unwrap_or(0)),
                &amount(now.unwrap_or(0)),
            ),
            DifferenceKind::FewerAvailable => (self.fewer)(name, now.unwrap_or(0)),
            DifferenceKind::SoldOut => (self.none_left)(name),
            DifferenceKind::Gone => (self.gone)(name),
        }
    }

    const fn coupon_state(&self, state: CouponState) -> &'static str {
        match state {
            CouponState::Applied => self.coupon_applied,
            CouponState::BelowMinimum => self.coupon_below,
            CouponState::NothingConcerned => self.coupon_nothing,
            CouponState::BetterOffer => self.coupon_better,
            CouponState::NotValid => self.coupon_not_valid,
            CouponState::UsedUp => self.coupon_used_up,
            CouponState::NotForCustomer => self.coupon_not_for_you,
        }
    }

    fn shortage(&self, available: i64) -> String {
        if available == 0 {
            self.sold_out.to_owned()
        } else {
            (self.only_left)(available)
        }
    }
}

fn rows(shown: &Shown, place: &Place, texts: &CartTexts, typed: &Typed) -> Vec<LineRow> {
    let amount = |minor| money(minor, shown.priced.currency, place.locale);
    let mut rows = Vec::new();
    for line in &shown.priced.lines {
        let refused = typed.quantities.iter().find(|(sku, ..)| *sku == line.sku);
        let short = line
            .available
            .filter(|available| *available < i64::from(line.quantity))
            .map(|available| texts.shortage(available));
        let net = line.subtotal - line.discount;
        rows.push(LineRow {
            name: line.name.clone(),
            options: line.options_text.clone(),
            url: Some(place.urls().product(&line.slug)),
            picture: line
                .picture
                .as_ref()
                .map(|image| picture(image, &line.name)),
            unit: amount(line.unit_amount),
            quantity: refused.map_or_else(
                || line.quantity.to_string(),
                |(_, quantity, _)| quantity.clone(),
            ),
            total: amount(net),
            before: (line.discount > 0).then(|| amount(line.subtotal)),
            problem: refused.map(|(.., problem)| problem.clone()).or(short),
            is_gone: false,
            sku: line.sku.clone(),
        });
    }
    rows.extend(shown.priced.gone.iter().map(|line| {
        LineRow {
            sku: line.sku.clone(),
            name: line.name.clone(),
            options: line.options_text.clone(),
            url: None,
            picture: line
                .picture
                .as_ref()
                .map(|image| picture(image, &line.name)),
            unit: String::new(),
            quantity: line.quantity.to_string(),
            total: String::new(),
            before: None,
            problem: Some(texts.no_longer_sold.to_owned()),
            is_gone: true,
        }
    }));
    rows
}

fn sums(priced: &Priced, place: &Place, texts: &CartTexts) -> Vec<SumRow> {
    let amount = |minor| money(minor, priced.currency, place.locale);
    let row = |label: String, amount: String| SumRow {
        label,
        amount,
        is_reduction: false,
    };
    let mut rows = vec![row(texts.subtotal.to_owned(), amount(priced.subtotal))];
    for discount in &priced.discounts {
        rows.push(SumRow {
            label: discount.label.clone(),
            amount: match (discount.amount, discount.shipping_saved) {
                (0, _) => texts.free.to_owned(),
                (taken, _) => format!("−{}", amount(taken)),
            },
            is_reduction: true,
        });
    }
    rows.push(match (&priced.shipping_method, priced.shipping) {
        (None, _) => row(texts.shipping.to_owned(), texts.shipping_later.to_owned()),
        (Some(_), shipping) => row(
            (texts.shipping_named)(&priced.shipping_name),
            if shipping == 0 {
                texts.free.to_owned()
            } else {
                amount(shipping)
            },
        ),
    });
    if priced.destination.is_none() {
        rows.push(row(texts.tax.to_owned(), texts.tax_later.to_owned()));
    } else if !priced.prices_include_tax {
        rows.push(row(texts.tax.to_owned(), amount(priced.tax)));
    }
    rows
}

async fn render(
    state: &PrivateState,
    place: &Place,
    shown: Option<&Shown>,
    status: StatusCode,
    typed: &Typed,
) -> Answer {
    // The switches of language and currency lead to the cart, wherever a form was sent.
    let place = Place {
        path: "/cart".to_owned(),
        ..place.clone()
    };
    let texts = CartTexts::of(place.locale);
    let priced = shown.map(|shown| &shown.priced);
    let amount = |minor: i64, priced: &Priced| money(minor, priced.currency, place.locale);
    let page = CartPage {
        texts,
        notice: typed.notice.as_deref(),
        pieces: (texts.pieces)(shown.map_or(0, |shown| shown.cart.pieces())),
        differences: priced.map_or_else(Vec::new, |priced| {
            priced
                .differences
                .iter()
                .map(|difference| texts.difference(difference, &|minor| amount(minor, priced)))
                .collect()
        }),
        lines: shown.map_or_else(Vec::new, |shown| rows(shown, &place, texts, typed)),
        sums: priced.map_or_else(Vec::new, |priced| sums(priced, &place, texts)),
        total: priced.map_or_else(String::new, |priced| amount(priced.total, priced)),
        total_note: match priced {
            Some(priced) if priced.prices_include_tax => texts.tax_within,
            Some(priced) if priced.destination.is_none() => texts.before_tax,
            _ => "",
        },
        coupons: priced.map_or_else(Vec::new, |priced| {
            priced
                .coupons
                .iter()
                .map(|coupon| CouponRow {
                    code: coupon.code.clone(),
                    state: texts.coupon_state(coupon.state),
                    is_applied: coupon.state == CouponState::Applied,
                })
                .collect()
        }),
        coupon: &typed.coupon,
        coupon_problem: typed.coupon_problem.as_deref(),
        can_check_out: priced.is_some_and(|priced| {
            !priced.requirements.iter().any(|requirement| {
                matches!(
                    requirement.code,
                    RequirementCode::CartEmpty
                        | RequirementCode::LineGone
                        | RequirementCode::LineShort
                )
            })
        }),
        cart_url: place.url("/cart"),
        coupons_url: place.url("/cart/coupons"),
        seen_url: place.url("/cart/seen"),
        checkout_url: place.url("/checkout"),
        home_url: place.urls().home(),
    };
    state.page(&place, status, texts.title, &page).await
}

/// The cart of a visitor.
async fn current(state: &PrivateState, visitor: &Visitor) -> Result<Option<PublicId>, ApiError> {
    let (customer, cookie) = (customer_of(visitor), visitor.cart);
    state
        .read(move |connection| {
            Box::pin(async move { Ok(service::current(connection, customer, cookie).await?) })
        })
        .await
}

async fn show(state: &PrivateState, id: PublicId, visitor: &Visitor) -> Result<Shown, ApiError> {
    let (settings, customer) = (state.pricing(), customer_of(visitor));
    state
        .read(move |connection| {
            Box::pin(async move {
                let now = OffsetDateTime::now_utc();
                service::show(connection, &settings, &id, customer, now).await
            })
        })
        .await
}

/// What makes a cart follow the page, if anything has to.
fn follow(cart: &Cart, place: &Place) -> Option<Edit> {
    let currency = Some(place.currency).filter(|currency| *currency != cart.currency);
    let locale = locale_of(place).filter(|locale| *locale != cart.locale);
    (currency.is_some() || locale.is_some()).then(|| {
        Edit::Details(Box::new(Details {
            currency,
            locale,
            ..Details::default()
        }))
    })
}

async fn edit(
    state: &PrivateState,
    id: PublicId,
    visitor: &Visitor,
    edit: Edit,
) -> Result<Shown, ApiError> {
    let customer = customer_of(visitor);
    service::edit(&state.db, &state.pricing(), id, customer, None, edit).await
}

/// The cart's page.
///
/// # Errors
/// What the database answers.
pub async fn page(place: Place, visitor: Visitor, state: web::Data<PrivateState>) -> Answer {
    let Some(id) = current(&state, &visitor).await? else {
        return render(&state, &place, None, StatusCode::OK, &Typed::default()).await;
    };
    let mut shown = show(&state, id, &visitor).await?;
    if let Some(following) = follow(&shown.cart, &place) {
        shown = match edit(&state, id, &visitor, following).await {
            Ok(shown) => shown,
            // An order was begun meanwhile: what is shown is still right.
            Err(error) if error.code == Code::CartNotOpen => shown,
            Err(error) => return Err(error),
        };
    }
    let mut response = render(
        &state,
        &place,
        Some(&shown),
        StatusCode::OK,
        &Typed::default(),
    )
    .await?;
    if visitor.cart != Some(id) {
        remember(&state, &mut response, id);
    }
    Ok(response)
}

fn remember(state: &PrivateState, response: &mut HttpResponse, id: PublicId) {
    response
        .headers_mut()
        .append(header::SET_COOKIE, state.cookies.set_cart(id));
}

/// The cart again, with why a form was refused.
async fn refused(
    state: &PrivateState,
    place: &Place,
    visitor: &Visitor,
    error: ApiError,
    explain: impl FnOnce(&CartTexts, &ApiError, Option<&Shown>) -> Typed,
) -> Answer {
    if error.code.status() >= 500 {
        return Err(error);
    }
    let shown = match current(state, visitor).await? {
        Some(id) => Some(show(state, id, visitor).await?),
        None => None,
    };
    let texts = CartTexts::of(place.locale);
    let typed = match error.code {
        Code::CartNotOpen | Code::NotFound => Typed {
            notice: Some(texts.not_open.to_owned()),
            ..Typed::default()
        },
        Code::Conflict | Code::VersionMismatch => Typed {
            notice: Some(texts.busy.to_owned()),
            ..Typed::default()
        },
        _ => explain(texts, &error, shown.as_ref()),
    };
    let status = match error.code {
        Code::CartNotOpen | Code::Conflict => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    render(state, place, shown.as_ref(), status, &typed).await
}

/// The fields of a form, in order.
type Fields = web::Form<Vec<(String, String)>>;

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|(field, _)| field == name)
        .map(|(_, value)| value.as_str())
}

/// The number of pieces that somebody typed.
fn number(typed: &str, minimum: i32) -> Option<i32> {
    let number: i32 = typed.trim().parse().ok()?;
    (minimum..=LARGEST_QUANTITY)
        .contains(&number)
        .then_some(number)
}

/// Puts pieces of a SKU into the cart, from the page of a product.
///
/// # Errors
/// What the database answers.
pub async fn add_line(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    fields: Fields,
) -> Answer {
    let fields = fields.into_inner();
    let sku = field(&fields, "sku").unwrap_or_default().to_owned();
    let Some(quantity) = number(field(&fields, "quantity").unwrap_or("1"), 1) else {
        let error = ApiError::new(Code::Unprocessable);
        return refused(&state, &place, &visitor, error, |texts, _, _| Typed {
            notice: Some(texts.bad_quantity.to_owned()),
            ..Typed::default()
        })
        .await;
    };
    let added = match current(&state, &visitor).await? {
        Some(id) => {
            let adding = Edit::AddToLine {
                sku: sku.clone(),
                quantity,
                currency: Some(place.currency),
            };
            edit(&state, id, &visitor, adding).await
        }
        None => {
            let new = NewCart {
                public_id: PublicId::random(),
                customer_id: customer_of(&visitor),
                currency: place.currency,
                locale: locale_of(&place).unwrap_or_else(|| state.catalogue.default_locale.clone()),
                email: visitor
                    .customer
                    .as_ref()
                    .map(|customer| customer.email.clone()),
            };
            let lines = vec![(sku.clone(), quantity)];
            service::create(&state.db, &state.pricing(), new, lines).await
        }
    };
    match added {
        Ok(shown) => {
            let mut response = see_other(&place.url("/cart"));
            remember(&state, &mut response, shown.cart.public_id);
            Ok(response)
        }
        Err(error) => {
            refused(&state, &place, &visitor, error, |texts, error, _| Typed {
                notice: Some(match (error.code, place.locale) {
                    (Code::OutOfStock, Locale::En) => match error.fields.first() {
                        Some(field) => format!("{} ({})", texts.refused, field.message),
                        None => texts.refused.to_owned(),
                    },
                    (Code::OutOfStock, Locale::ZhCn) => {
                        format!("{}{}", texts.refused, texts.sold_out)
                    }
                    _ => texts.refused.to_owned(),
                }),
                ..Typed::default()
            })
            .await
        }
    }
}

/// Sets the quantities of the cart's lines, or removes one.
///
/// # Errors
/// What the database answers.
pub async fn update(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    fields: Fields,
) -> Answer {
    let fields = fields.into_inner();
    let Some(id) = current(&state, &visitor).await? else {
        return Ok(see_other(&place.url("/cart")));
    };
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    for (name, typed) in &fields {
        let Some(sku) = name.strip_prefix("quantity.") else {
            continue;
        };
        match number(typed, 0) {
            Some(quantity) => lines.push((sku.to_owned(), quantity)),
            None => wrong.push((sku.to_owned(), typed.chars().take(12).collect::<String>())),
        }
    }
    let result = match field(&fields, "remove") {
        Some(sku) => edit(&state, id, &visitor, Edit::RemoveLine(sku.to_owned())).await,
        None if wrong.is_empty() => edit(&state, id, &visitor, Edit::PutLines(lines.clone())).await,
        None => Err(ApiError::new(Code::Unprocessable)),
    };
    let Err(error) = result else {
        return Ok(see_other(&place.url("/cart")));
    };
    refused(&state, &place, &visitor, error, |texts, _, shown| {
        let mut quantities: Vec<(String, String, String)> = wrong
            .into_iter()
            .map(|(sku, typed)| (sku, typed, texts.bad_quantity.to_owned()))
            .collect();
        let there = shown.map_or(&[][..], |shown| shown.priced.lines.as_slice());
        for (sku, quantity) in lines {
            let line = there.iter().find(|line| line.sku == sku);
            let available = line.and_then(|line| line.available);
            if let Some(available) = available.filter(|left| *left < i64::from(quantity)) {
                quantities.push((sku, quantity.to_string(), texts.shortage(available)));
            }
        }
        Typed {
            quantities,
            ..Typed::default()
        }
    })
    .await
}

/// Puts a coupon into the cart, or takes one out.
///
/// # Errors
/// What the database answers.
pub async fn coupons(
    place: Place,
    visitor: Visitor,
    state: web::Data<PrivateState>,
    fields: Fields,
) -> Answer {
    let fields = fields.into_inner();
    let Some(id) = current(&state, &visitor).await? else {
        return Ok(see_other(&place.url("/cart")));
    };
    let code = field(&fields, "code").unwrap_or_default().to_owned();
    let change = match field(&fields, "remove") {
        Some(code) => Edit::RemoveCoupon(code.to_owned()),
        None => Edit::AddCoupon(code.clone()),
    };
    let Err(error) = edit(&state, id, &visitor, change).await else {
        return Ok(see_other(&place.url("/cart")));
    };
    refused(&state, &place, &visitor, error, |texts, error, _| Typed {
        coupon: code.chars().take(64).collect(),
        coupon_problem: Some(match (error.fields.first(), place.locale) {
            (Some(field), Locale::En) => format!("This code {}.", field.message),
            _ => texts.coupon_wrong.to_owned(),
        }),
        ..Typed::default()
    })
    .await
}

/// Notes that the shopper has seen what changed.
///
/// # Errors
/// What the database answers.
pub async fn seen(place: Place, visitor: Visitor, state: web::Data<PrivateState>) -> Answer {
    if let Some(id) = current(&state, &visitor).await?
        && let Err(error) = edit(&state, id, &visitor, Edit::Seen).await
    {
        return refused(&state, &place, &visitor, error, |_, _, _| Typed::default()).await;
    }
    Ok(see_other(&place.url("/cart")))
}
