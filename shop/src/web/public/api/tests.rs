use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::query::DEFAULT_LIMIT;
use super::*;
use crate::catalog::model::Sku;
use crate::storefront::i18n::Locale;
use crate::storefront::money::{Currency, Money};
use crate::storefront::urls::{Cursor, ListingQuery, Sort};
use crate::web::private::cookie::Cookies;

fn site() -> Site {
    Site {
        name: "Shop".to_owned(),
        tagline: String::new(),
        origin: "https://shop.example".to_owned(),
        locales: vec![Locale::En, Locale::ZhCn],
        currencies: vec![Currency::USD, Currency::EUR],
        email: None,
    }
}

fn resolved(target: &str) -> Resolved {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    route::resolve(path, query, &site())
}

/// The template of a route, as its description has it.
fn template(route: &ApiRoute) -> &'static str {
    match route {
        ApiRoute::Config => "/api/v1/config",
        ApiRoute::Categories(_) => "/api/v1/catalog/categories",
        ApiRoute::Category(..) => "/api/v1/catalog/categories/{slug}",
        ApiRoute::Products(_) => "/api/v1/catalog/products",
        ApiRoute::Product(..) => "/api/v1/catalog/products/{slug}",
        ApiRoute::Related(..) => "/api/v1/catalog/products/{slug}/related",
        ApiRoute::Availability(_) => "/api/v1/catalog/availability",
        ApiRoute::Suggest(_) => "/api/v1/catalog/search/suggest",
        ApiRoute::ContentList(Kind::Page, _) => "/api/v1/content/pages",
        ApiRoute::ContentList(Kind::Post, _) => "/api/v1/content/posts",
        ApiRoute::Content(Kind::Page, ..) => "/api/v1/content/pages/{slug}",
        ApiRoute::Content(Kind::Post, ..) => "/api/v1/content/posts/{slug}",
    }
}

fn told(target: &str) -> String {
    match resolved(target) {
        Resolved::Route(Route::Api(route)) => template(&route).to_owned(),
        Resolved::Redirect(to) => format!("-> {to}"),
        Resolved::BadRequest(_, problems) => {
            let mut fields: Vec<_> = problems.into_iter().map(|(field, _)| field).collect();
            fields.dedup();
            format!("bad: {}", fields.join(" "))
        }
        Resolved::NotFound(_) => "none".to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn one_answer_has_one_address() {
    let same = "/api/v1/catalog/products";
    for (asked, expected) in [
        ("config", "config"),
        ("config?utm_source=mail", "-> config"),
        ("config/", "-> config"),
        ("catalog/categories", "catalog/categories"),
        ("catalog/categories?locale=en", "-> catalog/categories"),
        (
            "catalog/categories?locale=zh-cn",
            "-> catalog/categories?locale=zh-CN",
        ),
        (
            "catalog/categories/mugs?locale=zh-CN",
            "catalog/categories/{slug}",
        ),
        ("catalog/products/%6Dug", "-> catalog/products/mug"),
        (
            "catalog/products/%e8%8c%b6?locale=zh-CN&currency=EUR",
            "-> catalog/products/%E8%8C%B6?currency=EUR&locale=zh-CN",
        ),
        ("catalog/products/%E8%8C%B6", "catalog/products/{slug}"),
        (
            "catalog/products/mug/related",
            "catalog/products/{slug}/related",
        ),
        (
            "catalog/products/%6Dug/related?x=1&currency=EUR",
            "-> catalog/products/mug/related?currency=EUR",
        ),
        ("content/posts", "content/posts"),
        ("content/posts?limit=024", "-> content/posts"),
        ("content/pages/imprint", "content/pages/{slug}"),
        ("catalog/availability?sku=A,B", "catalog/availability"),
        (
            "catalog/availability?sku=B,A,,B&sku=a%2Cb",
            "-> catalog/availability?sku=A,B,a%2Cb",
        ),
        ("catalog/search/suggest?q=mu", "catalog/search/suggest"),
        (
            "catalog/search/suggest?q=%20red%20%20mu&locale=en",
            "-> catalog/search/suggest?q=red+mu",
        ),
    ] {
        let expected = match expected.strip_prefix("-> ") {
            Some(to) => format!("-> /api/v1/{to}"),
            None => format!("/api/v1/{expected}"),
        };
        assert_eq!(told(&format!("/api/v1/{asked}")), expected, "{asked}");
    }
    for (asked, expected) in [
        ("", None),
        (
            "?category=mugs&f.color=blue,red&in_stock=true&limit=10",
            None,
        ),
        ("?f.a=1&f.b=2&max_price=20&min_price=10&sort=newest", None),
        // Sorted as an edge sorts: a dash and digits come before the equals sign.
        ("?f.color-family=warm&f.color=red&f.size2=2&f.size=1", None),
        (
            "?f.color=red&f.color-family=warm",
            Some("?f.color-family=warm&f.color=red"),
        ),
        ("?q=mug", None),
        (
            "?limit=24&in_stock=false&sort=featured&currency=USD",
            Some(""),
        ),
        ("?q=mug&sort=relevance", Some("?q=mug")),
        ("?category=", Some("")),
        ("?limit=+5", Some("?limit=5")),
        (
            "?sort=newest&category=mugs&f.color=red,blue&locale=zh-CN&before=abc",
            Some("?before=abc&category=mugs&f.color=blue,red&locale=zh-CN&sort=newest"),
        ),
        ("?color=red&page=2", Some("")),
    ] {
        let expected = expected.map_or_else(|| same.to_owned(), |to| format!("-> {same}{to}"));
        assert_eq!(told(&format!("{same}{asked}")), expected, "{asked}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_names_of_parameters() {
    let many: Vec<String> = (0..51).map(|number| format!("S{number}")).collect();
    let many = format!("catalog/availability?sku={}", many.join(","));
    let long = format!("catalog/search/suggest?q={}", "a".repeat(101));
    let filters: Vec<String> = (0..9).map(|number| format!("f.a{number}=1")).collect();
    let filters = format!("catalog/products?{}", filters.join("&"));
    for (asked, fields) in [
        ("catalog/categories?locale=fr", "locale"),
        (
            "catalog/products/mug?currency=XXX&locale=../x",
            "currency locale",
        ),
        ("catalog/products?limit=0", "limit"),
        ("catalog/products?limit=", "limit"),
        ("content/posts?limit", "limit"),
        ("catalog/products?limit=101", "limit"),
        ("catalog/products?limit=4294967296", "limit"),
        ("catalog/products?limit=1e1", "limit"),
        ("catalog/products?in_stock=yes", "in_stock"),
        ("catalog/products?category=A/b", "category"),
        ("catalog/products?category=%ff", "category"),
        ("catalog/products?after=a&before=b", "before"),
        ("catalog/products?after=%3Cscript%3E", "after"),
        ("catalog/products?sort=relevance", "sort"),
        ("catalog/products?q=mug&sort=featured", "sort"),
        ("catalog/products?q=mug&category=mugs", "category"),
        ("catalog/products?min_price=2&max_price=1", "min_price"),
        ("catalog/products?min_price=1e9", "min_price"),
        (&filters, "f.…"),
        ("catalog/availability", "sku"),
        ("catalog/availability?sku=,", "sku"),
        ("catalog/availability?sku=%00", "sku"),
        (&many, "sku"),
        ("catalog/search/suggest", "q"),
        (&long, "q"),
        ("content/posts?after=%27or%201", "after"),
        ("content/posts?limit=-1", "limit"),
    ] {
        assert_eq!(
            told(&format!("/api/v1/{asked}")),
            format!("bad: {fields}"),
            "{asked}"
        );
    }
}

#[test]
fn what_looks_like_an_address_of_the_api_is_none() {
    for asked in [
        "",
        "catalog",
        "catalog/product/mug",
        "catalog/products/",
        "catalog/products//mug",
        "catalog/products/a%2Fb",
        "catalog/products/..",
        "catalog/products/%2e%2e",
        "catalog/products/mug.json",
        "catalog/products/mug;x=1",
        "catalog/products/Mug",
        "catalog/products/%ff",
        "catalog/products/mug/variants",
        "catalog/products/Mug/related",
        "catalog/products/mug/related/1",
        "content/drafts",
        "content/drafts/x",
        "Config",
        "config.css",
    ] {
        let told = told(&format!("/api/v1/{asked}"));
        // A slash at the end leads to the address without it.
        assert!(
            told == "none" || asked == "catalog/products/" && told == "-> /api/v1/catalog/products",
            "{asked}: {told}"
        );
    }
}

fn present() -> utoipa::openapi::OpenApi {
    description(Cookies::for_origin("https://shop.example"))
}

fn document() -> serde_json::Value {
    serde_json::to_value(present()).unwrap()
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut described = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            assert!(names.insert(operation["operationId"].as_str().unwrap()));
        }
        if path.starts_with("/api/v1/admin/") || crate::web::private::paths::is_private(path) {
            continue;
        }
        let operation = &item["get"];
        let required = operation["parameters"].as_array().into_iter().flatten();
        let query: Vec<String> = required
            .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
            .map(|parameter| format!("{}=a", parameter["name"].as_str().unwrap()))
            .collect();
        let target = format!("{}?{}", path.replace("{slug}", "x"), query.join("&"));
        assert_eq!(told(target.trim_end_matches('?')), *path);
        described.insert(path.as_str());
        for status in ["200", "301", "400", "503"] {
            assert!(!operation["responses"][status].is_null(), "{path} {status}");
        }
        let may_miss = path.contains("{slug}") || path.ends_with("/products");
        for status in ["404", "410"] {
            assert_eq!(
                !operation["responses"][status].is_null(),
                may_miss,
                "{path}"
            );
        }
        assert!(operation["security"].is_null());
    }
    for asked in [
        "config",
        "catalog/categories",
        "catalog/categories/x",
        "catalog/products",
        "catalog/products/x",
        "catalog/products/x/related",
        "catalog/availability?sku=a",
        "catalog/search/suggest?q=a",
        "content/pages",
        "content/pages/x",
        "content/posts",
        "content/posts/x",
    ] {
        let template = told(&format!("/api/v1/{asked}"));
        assert!(
            described.remove(template.as_str()),
            "{asked} is not described"
        );
    }
    assert!(described.is_empty(), "{described:?}");
    assert_eq!(
        document["components"]["securitySchemes"]["staff"]["scheme"],
        "bearer"
    );
}

#[test]
fn every_reference_of_the_description_leads_somewhere() {
    fn references<'v>(value: &'v serde_json::Value, found: &mut BTreeSet<&'v str>) {
        match value {
            serde_json::Value::Object(object) => {
                found.extend(object.get("$ref").and_then(serde_json::Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            serde_json::Value::Array(array) => {
                array.iter().for_each(|value| references(value, found));
            }
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Problem"));
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

/// Public answers and those of the staff share no name for different things: merged, one would hide the other.
#[test]
fn no_two_schemas_have_one_name() {
    use utoipa::OpenApi;
    let whole = document();
    let whole = whole["components"]["schemas"].as_object().unwrap();
    for part in [
        crate::admin::openapi::AdminApi::openapi(),
        crate::cart::route::CartApi::openapi(),
        crate::checkout::openapi::CheckoutApi::openapi(),
        crate::fulfilment::openapi::FulfilmentApi::openapi(),
        crate::accounts::api::AccountApi::openapi(),
    ] {
        let part = serde_json::to_value(part).unwrap();
        for (name, schema) in part["components"]["schemas"].as_object().unwrap() {
            assert_eq!(whole.get(name), Some(schema), "{name}");
        }
    }
}

#[test]
fn problems_have_their_media_type() {
    let document = document();
    let items = document["paths"].as_object().unwrap().values();
    for operation in items.flat_map(|item| item.as_object().unwrap().values()) {
        for response in operation["responses"].as_object().unwrap().values() {
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            assert_ne!(schema, "#/components/schemas/Problem", "{operation}");
        }
    }
}

#[test]
fn the_description_in_the_documentation_is_the_present_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api/openapi.json");
    let present = serde_json::to_string_pretty(&present()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&file, &present).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == present,
        "docs/api/openapi.json is stale: run this test with UPDATE_GENERATED=1 and commit the file"
    );
}

fn products() -> impl Strategy<Value = ProductsQuery> {
    let filters = proptest::collection::btree_map(
        "[a-z][a-z0-9_.-]{0,8}",
        proptest::collection::btree_set("[a-z0-9 ,&=é茶%+]{0,6}[a-z茶]", 1..4),
        0..4,
    );
    let cursor = prop_oneof![
        Just(None),
        "[A-Za-z0-9_-]{1,40}".prop_map(|text| Some(Cursor::After(text))),
        "[A-Za-z0-9_-]{1,40}".prop_map(|text| Some(Cursor::Before(text))),
    ];
    let prices = (
        proptest::option::of(0..100_000_i64),
        proptest::option::of(100_000..200_000_i64),
    );
    let sort = prop_oneof![
        Just(None),
        Just(Some(Sort::Newest)),
        Just(Some(Sort::PriceAscending)),
        Just(Some(Sort::PriceDescending)),
    ];
    let other = (
        proptest::option::of("[a-z茶][a-z0-9_茶-]{0,20}"),
        proptest::option::of("[a-z茶+&=%,]{1,10}( [a-z]{1,5}){0,3}"),
        any::<bool>(),
        1..=100_u32,
        any::<bool>(),
        any::<bool>(),
    );
    (filters, cursor, prices, sort, other).prop_map(
        |(
            filters,
            cursor,
            (low, high),
            sort,
            (category, search, in_stock, limit, euro, chinese),
        )| {
            let currency = if euro { Currency::EUR } else { Currency::USD };
            let filters = filters
                .into_iter()
                .map(|(code, values)| {
                    let trimmed = values.iter().map(|value| value.trim().to_owned());
                    (code, trimmed.collect())
                })
                .collect();
            ProductsQuery {
                category: category
                    .filter(|_| search.is_none())
                    .and_then(|slug| slug.parse().ok()),
                listing: ListingQuery {
                    filters,
                    min_price: low.map(|amount| Money::new(amount, currency)),
                    max_price: high.map(|amount| Money::new(amount, currency)),
                    sort: sort.filter(|_| search.is_none()),
                    search,
                    cursor,
                    ..ListingQuery::empty(currency)
                },
                in_stock,
                limit,
                locale: if chinese { Locale::ZhCn } else { Locale::En },
            }
        },
    )
}

proptest! {
    #[test]
    fn a_listing_reads_what_it_prints(query in products()) {
        let printed = query.to_query(&site());
        let read = ProductsQuery::parse(&printed, &site());
        prop_assert_eq!(read.as_ref(), Ok(&query), "{}", printed);
        prop_assert_eq!(read.unwrap().to_query(&site()), printed);
    }

    #[test]
    fn any_order_of_parameters_leads_to_the_canonical_one(query in products(), seed: usize) {
        let site = site();
        let printed = query.to_query(&site);
        let mut parts: Vec<&str> = printed.split('&').collect();
        let places = parts.len();
        parts.rotate_left(seed % places);
        let read = ProductsQuery::parse(&parts.join("&"), &site);
        prop_assert_eq!(read.map(|read| read.to_query(&site)), Ok(printed));
    }

    #[test]
    fn availability_reads_what_it_prints(skus in proptest::collection::btree_set("[A-Za-z0-9 ,+%&=/茶]{0,20}[A-Z]", 1..50)) {
        let skus: BTreeSet<Sku> = skus.iter().filter_map(|sku| sku.trim().parse().ok()).collect();
        let query = AvailabilityQuery { skus };
        let printed = query.to_query(&site());
        prop_assume!(printed.len() <= 2_048);
        prop_assert_eq!(AvailabilityQuery::parse(&printed, &site()), Ok(query), "{}", printed);
    }

    #[test]
    fn no_query_upsets_the_reader_and_redirects_end(query in "[a-z0-9.=&%,+_ -]{0,80}") {
        for path in ["catalog/products", "catalog/availability", "catalog/products/x", "content/posts"] {
            if let Resolved::Redirect(to) = resolved(&format!("/api/v1/{path}?{query}")) {
                let there = resolved(&to);
                prop_assert!(matches!(there, Resolved::Route(_)), "{} {:?}", to, there);
            }
        }
    }
}

#[test]
fn a_page_has_a_default_size() {
    let Resolved::Route(Route::Api(ApiRoute::Products(query))) =
        resolved("/api/v1/catalog/products")
    else {
        panic!("a listing without parameters is canonical");
    };
    assert_eq!(
        (query.limit, query.in_stock, query.category),
        (DEFAULT_LIMIT, false, None)
    );
}
