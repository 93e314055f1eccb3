//! Routes of risk: rules, lists, and orders that wait for a person.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::types::Json;
use utoipa::ToSchema;

use super::auth::Scoped;
use super::change::{conflict, not_found, run, unacceptable};
use super::fields::{Body, FromBody, Object, integer, text};
use super::page::{Page, Query, limit};
use super::precondition::{IfMatch, mismatch};
use super::token::demand;
use super::{AdminState, Answer, answer, created};
use crate::checkout::Checkout;
use crate::checkout::cancel::cancel_in;
use crate::checkout::model::reason;
use crate::db::violated_constraint;
use crate::orders::{Order, OrderNumber, Transition, store as orders, transition};
use crate::risk::lists::ListKind;
use crate::risk::model::Condition;
use crate::risk::store_staff::{self as store, ListEntry, Recorded, Review, RuleRow};
use crate::web::error::{ApiError, Code, Problem};

/// Most rules; an order is judged by all of them.
const MOST_RULES: i64 = 200;
/// Longest name of a rule.
const LONGEST_NAME: usize = 100;

#[expect(
    clippy::needless_pass_by_value,
    reason = "a reader takes the value out of its object"
)]
fn mode(value: Value) -> Result<String, String> {
    match value.as_str() {
        Some(mode @ ("off" | "shadow" | "active")) => Ok(mode.to_owned()),
        _ => Err("must be off, shadow or active".to_owned()),
    }
}

fn weight(value: Value) -> Result<i32, String> {
    let weight = integer(-1000, 1000)(value)?;
    i32::try_from(weight).map_err(|error| error.to_string())
}

fn parameters(value: Value) -> Result<Value, String> {
    if value.is_object() {
        Ok(value)
    } else {
        Err("must be an object".to_owned())
    }
}

fn check(kind: &str, parameters: &Value) -> Result<(), ApiError> {
    Condition::read(kind, parameters)
        .map(drop)
        .map_err(|message| unacceptable("/parameters", message))
}

fn name_taken(error: sqlx::Error) -> ApiError {
    if violated_constraint(&error).is_some() {
        conflict("/name", "another rule has this name")
    } else {
        error.into()
    }
}

/// A rule to be made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NewRule {
    /// Its name: the reason that is recorded.
    pub name: String,
    /// velocity_account, velocity_address, velocity_ip, velocity_card, amount, new_account, country_mismatch, address_mismatch or
    /// coupon_abuse.
    pub kind: String,
    /// `{"minutes": 60, "more_than": 3}` of velocities and coupon_abuse, `{"currency": "EUR", "at_least": 50000}` of amount,
    /// `{"younger_than_hours": 24, "guests": false}` of new_account, `{}` of the others.
    #[schema(value_type = Object)]
    pub parameters: Value,
    /// What it adds to the score, -1000 to 1000.
    pub weight: i32,
    /// `off`, `shadow` (the default) or `active`.
    pub mode: String,
}

impl FromBody for NewRule {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let name = object.required("name", text(1, LONGEST_NAME));
        let kind = object.required("kind", text(1, 32));
        let parameters = object.optional("parameters", parameters);
        let weight = object.required("weight", weight);
        let mode = object.optional("mode", mode);
        Some(Self {
            name: name?,
            kind: kind?,
            parameters: parameters?.unwrap_or_else(|| json!({})),
            weight: weight?,
            mode: mode?.unwrap_or_else(|| "shadow".to_owned()),
        })
    }
}

/// Changes of a rule; what is absent stays. Its kind is for good.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RulePatch {
    /// Its name.
    pub name: Option<String>,
    /// What it looks for, whole.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// What it adds to the score.
    pub weight: Option<i32>,
    /// `off`, `shadow` or `active`.
    pub mode: Option<String>,
}

impl FromBody for RulePatch {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let name = object.optional("name", text(1, LONGEST_NAME));
        let parameters = object.optional("parameters", parameters);
        let weight = object.optional("weight", weight);
        let mode = object.optional("mode", mode);
        Some(Self {
            name: name?,
            parameters: parameters?,
            weight: weight?,
            mode: mode?,
        })
    }
}

/// A page of a list.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// Lists rules.
#[utoipa::path(get, path = "/api/v1/admin/risk/rules", tag = "staff: risk", params(PageQuery),
    responses((status = 200, body = Page<RuleRow>), (status = "default", body = Problem)), security(("staff" = ["read:risk"])))]
pub async fn rules(
    _: Scoped<demand::ReadRisk>,
    state: web::Data<AdminState>,
    query: web::Query<PageQuery>,
) -> Answer {
    let limit = limit(query.limit)?;
    let list = Query::new("risk-rules", &());
    let after = list.after(query.after.as_deref())?.unwrap_or(0);
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::rules(connection, after, limit + 1).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

/// Shows a rule.
#[utoipa::path(get, path = "/api/v1/admin/risk/rules/{id}", tag = "staff: risk", params(("id" = i64, Path)),
    responses((status = 200, body = RuleRow), (status = "default", body = Problem)), security(("staff" = ["read:risk"])))]
pub async fn rule(
    _: Scoped<demand::ReadRisk>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
) -> Answer {
    let id = id.into_inner();
    let rule = state
        .read(move |connection| {
            Box::pin(async move {
                store::rule(connection, id)
                    .await?
                    .ok_or_else(|| not_found("risk rule", id))
            })
        })
        .await?;
    Ok(answer(rule.version, &rule))
}

/// Makes a rule. It is in shadow unless it is said to be active.
#[utoipa::path(post, path = "/api/v1/admin/risk/rules", tag = "staff: risk", request_body = NewRule,
    responses((status = 201, body = RuleRow), (status = "default", body = Problem)), security(("staff" = ["write:risk"])))]
pub async fn create_rule(
    staff: Scoped<demand::WriteRisk>,
    state: web::Data<AdminState>,
    body: Body<NewRule>,
) -> Answer {
    check(&body.0.kind, &body.0.parameters)?;
    let rule = run(&state, staff.actor(), body.0, |change, new| {
        Box::pin(async move {
            if store::count_rules(change.connection).await? >= MOST_RULES {
                return Err(ApiError::new(Code::Conflict)
                    .detail(format!("there are {MOST_RULES} rules already: delete one")));
            }
            let what = (new.name.as_str(), new.kind.as_str(), &new.parameters);
            let id = store::insert_rule(change.connection, what, new.weight, &new.mode)
                .await
                .map_err(name_taken)?;
            let rule = store::rule(change.connection, id)
                .await?
                .ok_or_else(|| not_found("risk rule", id))?;
            change
                .audit("risk_rule.create", "risk_rule", id, None, Some(&rule))
                .await?;
            Ok(rule)
        })
    })
    .await?;
    Ok(created(
        format!("/api/v1/admin/risk/rules/{}", rule.id),
        rule.version,
        &rule,
    ))
}

/// Changes a rule.
#[utoipa::path(patch, path = "/api/v1/admin/risk/rules/{id}", tag = "staff: risk",
    params(("id" = i64, Path), ("If-Match" = String, Header)), request_body(content = RulePatch, content_type = "application/merge-patch+json"),
    responses((status = 200, body = RuleRow), (status = "default", body = Problem)), security(("staff" = ["write:risk"])))]
pub async fn patch_rule(
    staff: Scoped<demand::WriteRisk>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
    body: Body<RulePatch>,
) -> Answer {
    let input = (id.into_inner(), if_match, body.0);
    let rule = run(
        &state,
        staff.actor(),
        input,
        |change, (id, if_match, patch)| {
            Box::pin(async move {
                let before = store::rule_for_update(change.connection, *id)
                    .await?
                    .ok_or_else(|| not_found("risk rule", *id))?;
                if_match.check(before.version)?;
                let mut after = before.clone();
                if let Some(name) = &patch.name {
                    after.name.clone_from(name);
                }
                if let Some(parameters) = &patch.parameters {
                    check(&before.kind, parameters)?;
                    after.parameters = Json(parameters.clone());
                }
                if let Some(weight) = patch.weight {
                    after.weight = weight;
                }
                if let Some(mode) = &patch.mode {
                    after.mode.clone_from(mode);
                }
                if after == before {
                    return Ok(before);
                }
                if !store::update_rule(change.connection, &after, before.version)
                    .await
                    .map_err(name_taken)?
                {
                    return Err(mismatch(before.version));
                }
                after.version += 1;
                change
                    .audit(
                        "risk_rule.update",
                        "risk_rule",
                        *id,
                        Some(&before),
                        Some(&after),
                    )
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(answer(rule.version, &rule))
}

/// Deletes a rule. What it found stays recorded with the orders.
#[utoipa::path(delete, path = "/api/v1/admin/risk/rules/{id}", tag = "staff: risk", params(("id" = i64, Path), ("If-Match" = String, Header)),
    responses((status = 204), (status = "default", body = Problem)), security(("staff" = ["write:risk"])))]
pub async fn delete_rule(
    staff: Scoped<demand::WriteRisk>,
    state: web::Data<AdminState>,
    id: web::Path<i64>,
    if_match: IfMatch,
) -> Answer {
    let input = (id.into_inner(), if_match);
    run(&state, staff.actor(), input, |change, (id, if_match)| {
        Box::pin(async move {
            let rule = store::rule_for_update(change.connection, *id)
                .await?
                .ok_or_else(|| not_found("risk rule", *id))?;
            if_match.check(rule.version)?;
            store::delete_rule(change.connection, *id).await?;
            change
                .audit("risk_rule.delete", "risk_rule", *id, Some(&rule), None)
                .await
        })
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A value to be put on a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NewListEntry {
    /// `allow` or `deny`.
    pub list: String,
    /// `email`, `ip`, `card` (the fingerprint that a payment shows) or `country` (ISO 3166-1 alpha-2).
    pub kind: String,
    /// The value. Only a hash of it is kept.
    #[serde(skip)]
    pub value: String,
    /// Why.
    pub note: String,
}

impl FromBody for NewListEntry {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let list = object.required("list", |value| match value.as_str() {
            Some(list @ ("allow" | "deny")) => Ok(list.to_owned()),
            _ => Err("must be allow or deny".to_owned()),
        });
        let kind = object.required("kind", |value| {
            match value.as_str().and_then(ListKind::from_name) {
                Some(kind) => Ok(kind.name().to_owned()),
                None => Err("must be email, ip, card or country".to_owned()),
            }
        });
        let value = object.required("value", text(1, 254));
        let note = object.optional("note", text(0, 190));
        Some(Self {
            list: list?,
            kind: kind?,
            value: value?,
            note: note?.unwrap_or_default(),
        })
    }
}

/// Lists who is always let through or refused.
#[utoipa::path(get, path = "/api/v1/admin/risk/lists", tag = "staff: risk", params(PageQuery),
    responses((status = 200, body = Page<ListEntry>), (status = "default", body = Problem)), security(("staff" = ["read:risk"])))]
pub async fn lists(
    _: Scoped<demand::ReadRisk>,
    state: web::Data<AdminState>,
    query: web::Query<PageQuery>,
) -> Answer {
    let limit = limit(query.limit)?;
    let list = Query::new("risk-lists", &());
    let after: (String, String) = list.after(query.after.as_deref())?.unwrap_or_default();
    let rows = state
        .read(move |connection| {
            Box::pin(
                async move { Ok(store::lists(connection, (&after.0, &after.1), limit + 1).await?) },
            )
        })
        .await?;
    let key = |row: &ListEntry| (row.kind.clone(), row.value_key.clone());
    Ok(HttpResponse::Ok().json(list.page(rows, limit, key)))
}

/// Puts a value on a list. It leaves the other one, if it is there.
#[utoipa::path(put, path = "/api/v1/admin/risk/lists", tag = "staff: risk", request_body = NewListEntry,
    responses((status = 204), (status = "default", body = Problem)), security(("staff" = ["write:risk"])))]
pub async fn put_list(
    staff: Scoped<demand::WriteRisk>,
    state: web::Data<AdminState>,
    body: Body<NewListEntry>,
) -> Answer {
    let new = body.0;
    let kind = ListKind::from_name(&new.kind)
        .ok_or_else(|| unacceptable("/kind", "must be email, ip, card or country"))?;
    let key = kind
        .key(state.keys(), &new.value)
        .map_err(|message| unacceptable("/value", message))?;
    run(&state, staff.actor(), (new, key), |change, (new, key)| {
        Box::pin(async move {
            let what = (new.list.as_str(), new.kind.as_str(), new.note.as_str());
            store::put_list(change.connection, what, key).await?;
            let audited = json!({"list": new.list, "kind": new.kind, "value_key": hex::encode(key), "note": new.note});
            change
                .audit("risk_list.put", "risk_list", 0, None, Some(&audited))
                .await
        })
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Takes a value from its list.
#[utoipa::path(delete, path = "/api/v1/admin/risk/lists/{kind}/{value_key}", tag = "staff: risk",
    params(("kind" = String, Path), ("value_key" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)), security(("staff" = ["write:risk"])))]
pub async fn delete_list(
    staff: Scoped<demand::WriteRisk>,
    state: web::Data<AdminState>,
    entry: web::Path<(String, String)>,
) -> Answer {
    run(
        &state,
        staff.actor(),
        entry.into_inner(),
        |change, (kind, key)| {
            Box::pin(async move {
                let is_key = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
                if !is_key || !store::delete_list(change.connection, kind, key).await? {
                    return Err(
                        ApiError::new(Code::NotFound).detail("there is no such entry on a list")
                    );
                }
                let audited = json!({"kind": kind, "value_key": key});
                change
                    .audit("risk_list.delete", "risk_list", 0, Some(&audited), None)
                    .await
            })
        },
    )
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lists orders that wait for a person, the oldest first. Nothing of them is sent meanwhile.
#[utoipa::path(get, path = "/api/v1/admin/risk/reviews", tag = "staff: risk", params(PageQuery),
    responses((status = 200, body = Page<Review>), (status = "default", body = Problem)), security(("staff" = ["read:risk"])))]
pub async fn reviews(
    _: Scoped<demand::ReadRisk>,
    state: web::Data<AdminState>,
    query: web::Query<PageQuery>,
) -> Answer {
    let limit = limit(query.limit)?;
    let list = Query::new("risk-reviews", &());
    let after = list.after(query.after.as_deref())?.unwrap_or(0);
    let rows = state
        .read(move |connection| {
            Box::pin(async move { Ok(store::reviews(connection, after, limit + 1).await?) })
        })
        .await?;
    Ok(HttpResponse::Ok().json(list.page(rows, limit, |row| row.id)))
}

fn unknown_order(number: &str) -> ApiError {
    let number: String = number.chars().take(40).collect();
    ApiError::new(Code::NotFound).detail(format!("there is no order {number}"))
}

/// What was judged of one order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Assessments {
    /// The order's number.
    pub number: String,
    /// What became of the review: none, pending, cleared, refused.
    pub review_state: String,
    /// The judgements, in their order.
    pub assessments: Vec<Recorded>,
}

/// Shows what was judged of an order, and why.
#[utoipa::path(get, path = "/api/v1/admin/risk/orders/{number}", tag = "staff: risk", params(("number" = String, Path)),
    responses((status = 200, body = Assessments), (status = "default", body = Problem)), security(("staff" = ["read:risk"])))]
pub async fn assessments(
    _: Scoped<demand::ReadRisk>,
    state: web::Data<AdminState>,
    number: web::Path<String>,
) -> Answer {
    let number = number.into_inner();
    let found = state
        .read(move |connection| {
            Box::pin(async move {
                let parsed: OrderNumber = number.parse().map_err(|_| unknown_order(&number))?;
                let order = orders::find_by_number(connection, &parsed)
                    .await?
                    .ok_or_else(|| unknown_order(&number))?;
                Ok(Assessments {
                    number: order.number.to_string(),
                    review_state: order.review_state.as_str().to_owned(),
                    assessments: store::assessments(connection, order.id).await?,
                })
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(found))
}

/// What a decision made of an order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Decided {
    /// The order's number.
    pub number: String,
    /// `cleared` or `refused`.
    pub review_state: String,
    /// The state of the order.
    pub state: String,
}

impl Decided {
    fn of(order: &Order) -> Self {
        Self {
            number: order.number.to_string(),
            review_state: order.review_state.as_str().to_owned(),
            state: order.state.as_str().to_owned(),
        }
    }
}

async fn decide(
    state: &AdminState,
    staff: &Scoped<demand::WriteRisk>,
    checkout: &Checkout,
    number: String,
    verdict: Transition,
) -> Answer {
    let parsed: OrderNumber = number.parse().map_err(|_| unknown_order(&number))?;
    let actor = staff.actor();
    let name = format!("staff:{}", actor.name);
    let input = (parsed, verdict, name, checkout.payments.clone());
    let decided = run(
        state,
        actor,
        input,
        |change, (number, verdict, name, payments)| {
            Box::pin(async move {
                let found = orders::find_by_number(change.connection, number)
                    .await?
                    .ok_or_else(|| unknown_order(number.as_str()))?;
                let mut order = orders::lock(change.connection, found.id)
                    .await?
                    .ok_or_else(|| unknown_order(number.as_str()))?;
                let before = Decided::of(&order);
                transition(change.connection, &mut order, *verdict, name, json!({})).await?;
                let action = if *verdict == Transition::Refuse {
                    cancel_in(change.connection, &mut order, reason::RISK, name).await?;
                    "risk_review.refuse"
                } else {
                    payments
                        .released_in(change.connection, &order, name)
                        .await?;
                    "risk_review.clear"
                };
                let after = Decided::of(&order);
                change
                    .audit(action, "order", order.id, Some(&before), Some(&after))
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(HttpResponse::Ok().json(decided))
}

/// Clears an order that waits: it may be fulfilled. Where the shop takes money at once, it is taken now.
#[utoipa::path(post, path = "/api/v1/admin/risk/reviews/{number}/clear", tag = "staff: risk", params(("number" = String, Path)),
    responses((status = 200, body = Decided), (status = "default", body = Problem)), security(("staff" = ["write:risk"])))]
pub async fn clear(
    staff: Scoped<demand::WriteRisk>,
    state: web::Data<AdminState>,
    checkout: web::Data<Checkout>,
    number: web::Path<String>,
) -> Answer {
    let number = number.into_inner();
    decide(&state, &staff, &checkout, number, Transition::Clear).await
}

/// Refuses an order that waits: it is cancelled, its stock is free, and its money is voided or refunded. Not once something of it has left.
#[utoipa::path(post, path = "/api/v1/admin/risk/reviews/{number}/refuse", tag = "staff: risk", params(("number" = String, Path)),
    responses((status = 200, body = Decided), (status = "default", body = Problem)), security(("staff" = ["write:risk"])))]
pub async fn refuse(
    staff: Scoped<demand::WriteRisk>,
    state: web::Data<AdminState>,
    checkout: web::Data<Checkout>,
    number: web::Path<String>,
) -> Answer {
    let number = number.into_inner();
    decide(&state, &staff, &checkout, number, Transition::Refuse).await
}
