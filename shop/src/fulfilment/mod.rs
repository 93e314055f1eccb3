//! What happens after an order was placed: parcels leave, arrive, and come back.
//!
//! A parcel is a part of an order; the order's fulfilment state follows from what has left and arrived. Carriers say where parcels are
//! ([`carriers`]); shoppers ask to give pieces back, staff decide and refund ([`returns`]). Whoever changes something locks the order
//! first, then its parcels and returns, and stock last.

pub mod carriers;
pub mod model;
pub mod openapi;
pub mod page;
pub mod returns;
pub mod route;
pub mod sections;
pub mod shipments;
pub mod store;
pub mod view;

use actix_web::web;

use crate::web::private::resource;

/// Mounts the routes of shoppers and carriers in the private scope.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            resource("/api/v1/webhooks/carriers/{carrier}").route(web::post().to(carriers::post)),
        )
        .service(
            resource("/api/v1/orders/{number}/returns")
                .route(web::get().to(route::list_returns))
                .route(web::post().to(route::request_return)),
        )
        .service(
            resource("/api/v1/orders/{number}/shipments")
                .route(web::get().to(route::list_shipments)),
        )
        .service(
            resource("/{locale}/orders/{number}/return")
                .route(web::get().to(page::form))
                .route(web::post().to(page::submit)),
        );
}
