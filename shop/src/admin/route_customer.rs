//! Routes of customers: who they are, closing an account, erasing what tells who somebody was.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::auth::Scoped;
use super::change::run;
use super::page::{Page, Query, limit};
use super::store_customer as store;
use super::token::demand;
use super::{AdminState, Answer};
use crate::accounts::privacy;
use crate::web::error::{ApiError, Code, Problem};
use crate::web::private::PublicId;

/// Filters of the list of customers.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CustomerQuery {
    /// Only the customer with this e-mail address.
    email: Option<String>,
    /// Rows of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next` of the last page.
    after: Option<String>,
}

/// A customer as staff see them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CustomerItem {
    /// The customer's id.
    #[schema(value_type = String)]
    pub id: PublicId,
    /// The e-mail address; empty when the customer was erased.
    pub email: String,
    /// The name; may be empty.
    pub name: String,
    /// The language of mails.
    pub locale: String,
    /// Whether the address was verified.
    pub verified: bool,
    /// Whether a second factor is on.
    pub second_factor: bool,
    /// Whether the account is closed.
    pub disabled: bool,
    /// Whether the customer was erased.
    pub erased: bool,
    /// Since when the account is there.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

/// Lists customers, the latest first.
#[utoipa::path(get, path = "/api/v1/admin/customers", tag = "staff: customers", params(CustomerQuery),
    responses((status = 200, body = Page<CustomerItem>), (status = "default", body = Problem)), security(("staff" = ["read:customers"])))]
pub async fn list(
    _: Scoped<demand::ReadCustomers>,
    state: web::Data<AdminState>,
    query: web::Query<CustomerQuery>,
) -> Answer {
    let CustomerQuery {
        email,
        limit: asked,
        after,
    } = query.into_inner();
    let limit = limit(asked)?;
    let list = Query::new("customers", &email);
    let before = list.after(after.as_deref())?.unwrap_or(i64::MAX);
    let key = email.map(|email| email.trim().to_lowercase());
    let rows = state
        .read(move |connection| {
            Box::pin(async move {
                Ok(store::list(connection, key.as_deref(), before, limit + 1).await?)
            })
        })
        .await?;
    let page = list.page(rows, limit, |row| row.0);
    Ok(HttpResponse::Ok().json(Page {
        items: page.items.into_iter().map(|row| row.1).collect(),
        next: page.next,
    }))
}

/// One customer.
#[utoipa::path(get, path = "/api/v1/admin/customers/{id}", tag = "staff: customers",
    params(("id" = String, Path, description = "the customer's id")),
    responses((status = 200, body = CustomerItem), (status = "default", body = Problem)), security(("staff" = ["read:customers"])))]
pub async fn get(
    _: Scoped<demand::ReadCustomers>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
) -> Answer {
    let id = id.into_inner();
    let found = state
        .read(move |connection| Box::pin(async move { Ok(store::get(connection, id).await?) }))
        .await?;
    let (_, customer) =
        found.ok_or_else(|| ApiError::new(Code::NotFound).detail("there is no such customer"))?;
    Ok(HttpResponse::Ok().json(customer))
}

/// Closes an account: its sessions end, and nobody signs in to it. Closing it again changes nothing.
#[utoipa::path(post, path = "/api/v1/admin/customers/{id}/disable", tag = "staff: customers",
    params(("id" = String, Path, description = "the customer's id")),
    responses((status = 200, body = CustomerItem), (status = "default", body = Problem)), security(("staff" = ["write:customers"])))]
pub async fn disable(
    staff: Scoped<demand::WriteCustomers>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
) -> Answer {
    set_disabled(staff, &state, id.into_inner(), true).await
}

/// Opens a closed account again.
#[utoipa::path(post, path = "/api/v1/admin/customers/{id}/enable", tag = "staff: customers",
    params(("id" = String, Path, description = "the customer's id")),
    responses((status = 200, body = CustomerItem), (status = "default", body = Problem)), security(("staff" = ["write:customers"])))]
pub async fn enable(
    staff: Scoped<demand::WriteCustomers>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
) -> Answer {
    set_disabled(staff, &state, id.into_inner(), false).await
}

async fn set_disabled(
    staff: Scoped<demand::WriteCustomers>,
    state: &AdminState,
    id: PublicId,
    disabled: bool,
) -> Answer {
    let customer = run(
        state,
        staff.actor(),
        (id, disabled),
        |change, (id, disabled)| {
            Box::pin(async move {
                let (row, before) = store::lock(change.connection, *id)
                    .await?
                    .filter(|(_, customer)| !customer.erased)
                    .ok_or_else(|| {
                        ApiError::new(Code::NotFound).detail("there is no such customer")
                    })?;
                if before.disabled == *disabled {
                    return Ok(before);
                }
                store::set_disabled(change.connection, row, *disabled).await?;
                let after = CustomerItem {
                    disabled: *disabled,
                    ..before.clone()
                };
                let action = if *disabled {
                    "customer.disable"
                } else {
                    "customer.enable"
                };
                // Who it is stands in the row of the customer; an audit log that is never erased names the row alone.
                change
                    .audit(
                        action,
                        "customer",
                        row,
                        Some(&before.disabled),
                        Some(&after.disabled),
                    )
                    .await?;
                Ok(after)
            })
        },
    )
    .await?;
    Ok(HttpResponse::Ok().json(customer))
}

/// Erases everything that tells who a customer was. Refused while an order is under way.
#[utoipa::path(post, path = "/api/v1/admin/customers/{id}/erasure", tag = "staff: customers",
    params(("id" = String, Path, description = "the customer's id")),
    responses((status = 204, description = "erased"), (status = "default", body = Problem)), security(("staff" = ["write:customers"])))]
pub async fn erase(
    staff: Scoped<demand::WriteCustomers>,
    state: web::Data<AdminState>,
    id: web::Path<PublicId>,
) -> Answer {
    run(&state, staff.actor(), id.into_inner(), |change, id| {
        Box::pin(async move {
            let (row, _) = store::lock(change.connection, *id)
                .await?
                .ok_or_else(|| ApiError::new(Code::NotFound).detail("there is no such customer"))?;
            privacy::erase_in(change.connection, row).await?;
            change
                .audit::<bool>("customer.erase", "customer", row, None, None)
                .await?;
            Ok(())
        })
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
