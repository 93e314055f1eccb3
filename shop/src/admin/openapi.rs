//! The description of the staff API (OpenAPI 3.1).

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    route_attribute, route_category, route_content, route_customer, route_login, route_media,
    route_order, route_outbox, route_payment, route_product, route_promotion, route_return,
    route_risk, route_selling, route_shipment, route_stock, route_system, route_variant,
    route_webhook, route_zone,
};

/// All routes of the staff API. Each says which scope of the token it demands.
#[derive(OpenApi)]
#[openapi(
    modifiers(&Staff),
    paths(
        route_product::list,
        route_product::create,
        route_product::get,
        route_product::patch,
        route_product::archive,
        route_product::publication,
        route_product::slug,
        route_product::options,
        route_product::media,
        route_product::attributes,
        route_product::put_translation,
        route_product::delete_translation,
        route_product::put_membership,
        route_product::delete_membership,
        route_variant::list,
        route_variant::create,
        route_variant::get,
        route_variant::patch,
        route_variant::archive,
        route_selling::prices,
        route_selling::put_price,
        route_selling::schedule_price,
        route_selling::cancel_price,
        route_selling::stock,
        route_selling::put_stock,
        route_selling::adjust_stock,
        route_stock::buckets,
        route_stock::put_buckets,
        route_category::list,
        route_category::create,
        route_category::order,
        route_category::get,
        route_category::patch,
        route_category::slug,
        route_category::parent,
        route_category::archive,
        route_category::brands,
        route_category::create_brand,
        route_category::brand,
        route_category::patch_brand,
        route_zone::zones,
        route_zone::zone,
        route_zone::create_zone,
        route_zone::put_zone,
        route_zone::delete_zone,
        route_zone::methods,
        route_zone::method,
        route_zone::create_method,
        route_zone::put_method,
        route_promotion::list,
        route_promotion::get,
        route_promotion::create,
        route_promotion::put,
        route_promotion::coupons,
        route_promotion::create_coupons,
        route_promotion::archive_coupon,
        route_order::list,
        route_order::get,
        route_order::cancel,
        route_order::hold,
        route_order::release,
        route_order::note,
        route_payment::list,
        route_payment::get,
        route_payment::capture,
        route_payment::void,
        route_payment::refund,
        route_shipment::list,
        route_shipment::create,
        route_shipment::get,
        route_shipment::delete,
        route_shipment::ship,
        route_shipment::mark,
        route_return::list,
        route_return::get,
        route_return::approve,
        route_return::reject,
        route_return::receive,
        route_return::refund,
        route_attribute::list,
        route_attribute::create,
        route_attribute::get,
        route_attribute::patch,
        route_attribute::translate,
        route_content::list,
        route_content::create,
        route_content::get,
        route_content::put_translation,
        route_content::delete_translation,
        route_content::publication,
        route_content::delete,
        route_media::upload,
        route_media::get,
        route_system::audit_log,
        route_system::purge,
        route_customer::list,
        route_customer::get,
        route_customer::disable,
        route_customer::enable,
        route_customer::erase,
        route_login::login,
        route_login::logout,
        route_outbox::list,
        route_outbox::replay,
        route_outbox::replay_topic,
        route_outbox::discard,
        route_risk::rules,
        route_risk::rule,
        route_risk::create_rule,
        route_risk::patch_rule,
        route_risk::delete_rule,
        route_risk::lists,
        route_risk::put_list,
        route_risk::delete_list,
        route_risk::reviews,
        route_risk::assessments,
        route_risk::clear,
        route_risk::refuse,
        route_webhook::endpoints,
        route_webhook::create,
        route_webhook::endpoint,
        route_webhook::patch,
        route_webhook::rotate_secret,
        route_webhook::deliveries,
        route_webhook::delivery,
        route_webhook::replay_delivery,
    )
)]
pub struct AdminApi;

/// Adds the scheme that the routes name.
struct Staff;

impl Modify for Staff {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("a token made by `panono-shop token create`"))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("staff", SecurityScheme::Http(scheme));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::token::Scope;

    #[test]
    fn every_route_demands_one_scope_that_exists() {
        let document = serde_json::to_value(AdminApi::openapi()).unwrap();
        let mut operations = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(path.starts_with("/api/v1/admin/"), "{path}");
            // Whoever signs in has no token yet, and whoever signs out needs no right to it.
            if path.ends_with("/login") || path.ends_with("/logout") {
                continue;
            }
            for (method, operation) in item.as_object().unwrap() {
                let scopes = operation["security"][0]["staff"].as_array().unwrap();
                assert_eq!(scopes.len(), 1, "{method} {path}");
                let scope: Scope = scopes[0].as_str().unwrap().parse().unwrap();
                assert_eq!(
                    method == "get",
                    scope.name().starts_with("read:"),
                    "{method} {path}"
                );
                operations += 1;
            }
        }
        assert!(operations > 40, "{operations}");
    }
}
