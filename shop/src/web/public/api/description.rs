//! The description of the whole API, public and of the staff (OpenAPI 3.1).

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{Content, ContentBuilder, PathItem, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::answer;
use crate::admin::openapi::AdminApi;
use crate::checkout::openapi::CheckoutApi;
use crate::fulfilment::openapi::FulfilmentApi;
use crate::web::error::Problem;
use crate::web::private::cookie::Cookies;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// What the public answers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Panono shop",
        version = "1",
        description = "Catalogue, content and staff API of a shop. Public answers take no credentials and set no cookie; caches keep them by their address, which has one spelling: others are redirected to it."
    ),
    tags(
        (name = "catalogue", description = "Categories, products, search and stock"),
        (name = "content", description = "Pages and posts"),
        (name = "shop", description = "The shop itself"),
    ),
    components(schemas(Problem)),
    modifiers(&Problems),
    paths(
        answer::config,
        answer::categories,
        answer::category,
        answer::products,
        answer::product,
        answer::related,
        answer::availability,
        answer::suggest,
        answer::pages,
        answer::posts,
        answer::page,
        answer::post,
    )
)]
struct PublicApi;

/// The description of the whole API, of a shop whose cookies have these names.
#[must_use]
pub fn description(cookies: Cookies) -> utoipa::openapi::OpenApi {
    let mut description = PublicApi::openapi();
    description.merge(AdminApi::openapi());
    description.merge(crate::cart::route::CartApi::openapi());
    description.merge(CheckoutApi::openapi());
    description.merge(FulfilmentApi::openapi());
    description.merge(crate::accounts::api::AccountApi::openapi());
    let session = ApiKeyValue::with_description(
        cookies.session_name(),
        "The session of an account, as signing in sets it. Its name is `__Host-panono-session` where the shop is behind TLS, and \
         `panono-session` where it is not",
    );
    description
        .components
        .get_or_insert_default()
        .add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    for (path, item) in &mut description.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            name_problems(operation);
        }
    }
    description
}

/// Gives problems their media type (RFC 9457), which routes that answer them do not repeat.
fn name_problems(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else {
            continue;
        };
        let is_problem = |content: &RefOr<Content>| {
            matches!(content, RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. })
                if schema.ref_location.ends_with("/Problem"))
        };
        if response.content.get(JSON).is_some_and(is_problem)
            && let Some(content) = response.content.shift_remove(JSON)
        {
            response.content.insert(PROBLEM.to_owned(), content);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// A name that no other operation has: `get-catalog-products-slug`.
fn operation_id(method: &str, path: &str) -> String {
    let path = path.strip_prefix("/api/v1/").unwrap_or(path);
    let words = path
        .split('/')
        .map(|segment| segment.trim_matches(['{', '}']).replace('_', "-"));
    std::iter::once(method.to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join("-")
}

/// Adds to every public route the answers that all of them may give.
struct Problems;

const MOVED: &str = "Moved";
const INVALID: &str = "InvalidRequest";
const MISSING: &str = "NotFound";
const GONE: &str = "Gone";
const LONG: &str = "UriTooLong";
const AWAY: &str = "Unavailable";

impl Modify for Problems {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let problem = |text: &str| {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("Problem")))
                .build();
            ResponseBuilder::new()
                .description(text)
                .content(PROBLEM, content)
                .build()
        };
        let responses: [(&str, Response); 6] = [
            (
                MOVED,
                Response::new(
                    "`Location` has the canonical spelling of the address, or the present slug",
                ),
            ),
            (
                INVALID,
                problem("A parameter has a value that it cannot have; `errors` names each"),
            ),
            (MISSING, problem("Nothing that is public has this slug")),
            (GONE, problem("What had this slug was taken away for good")),
            (
                LONG,
                problem("The address is longer than any that means something here"),
            ),
            (
                AWAY,
                problem(
                    "The shop cannot answer at the moment; `Retry-After` says when to ask again",
                ),
            ),
        ];
        let components = description.components.get_or_insert_default();
        for (name, response) in responses {
            components
                .responses
                .insert(name.to_owned(), RefOr::T(response));
        }
        for (path, item) in &mut description.paths.paths {
            let named = path.contains("{slug}");
            // A listing names a category in its query.
            let may_miss = named || path.ends_with("/products");
            for (_, operation) in operations(item) {
                let mut add = |status: &str, name: &str| {
                    operation
                        .responses
                        .responses
                        .insert(status.to_owned(), RefOr::Ref(Ref::from_response_name(name)));
                };
                add("301", MOVED);
                add("400", INVALID);
                add("414", LONG);
                add("503", AWAY);
                if may_miss {
                    add("404", MISSING);
                    add("410", GONE);
                }
            }
        }
    }
}
