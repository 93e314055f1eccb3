//! Who may do what: every private route as nobody, as another customer, and as staff of every role.
//!
//! The routes are those that the source mounts, so that none can be forgotten; what each demands is what the description says.

use std::collections::{BTreeMap, BTreeSet};

use panono_shop::admin::store_token;
use panono_shop::admin::token::Scope;
use panono_shop::web::private::cookie::Cookies;
use panono_shop::web::public::api::description;
use panono_tests::market::{GOOD_CARD, Market, PRICE, SHIPPING};
use panono_tests::routes::{Route, mounted};

use super::*;

/// What the description says of a route.
#[derive(Debug)]
struct Demand {
    /// Works without credentials.
    open: bool,
    /// A customer's session counts.
    session: bool,
    /// A token of staff with this scope is needed.
    scope: Option<Scope>,
}

fn demand(operation: &Value) -> Demand {
    let all = operation["security"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let scope = all.iter().find_map(|one| one["staff"][0].as_str());
    Demand {
        open: all.iter().any(|one| *one == json!({})),
        session: all.iter().any(|one| one.get("session").is_some()),
        scope: scope.map(|scope| scope.parse().unwrap()),
    }
}

/// Every described route outside the catalogue, whose answers are public.
fn described() -> BTreeMap<Route, Demand> {
    let document =
        serde_json::to_value(description(Cookies::for_origin("https://shop.example"))).unwrap();
    let mut routes = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("security").is_some() {
                let route = (method.to_uppercase(), path.clone());
                routes.insert(route, demand(operation));
            }
        }
    }
    routes
}

fn is_page(path: &str) -> bool {
    path.starts_with("/{locale}")
}

fn is_staff(path: &str) -> bool {
    path.starts_with("/api/v1/admin/")
}

/// A path with what stands for its parameters.
fn concrete(path: &str, values: &[(&str, &str)]) -> String {
    path.split('/')
        .map(|part| {
            let found = values.iter().find(|(name, _)| *name == part);
            found.map_or(part, |(_, value)| *value)
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[test]
fn every_mounted_route_is_described_and_the_other_way_round() {
    let mounted: BTreeSet<Route> = mounted()
        .unwrap()
        .into_iter()
        .filter(|(_, path)| !is_page(path))
        .collect();
    let described: BTreeSet<Route> = described().into_keys().collect();
    assert!(mounted.len() > 150, "{}", mounted.len());
    assert_eq!(mounted, described);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_staff_route_refuses_who_has_no_token_or_not_its_scope() -> Result<()> {
    let bench = Bench::start().await?;
    let mut customer = bench.customer("ada@shop.example").await?;
    let db = bench.database.db().await?;
    // One role for each scope, and two as shops have them.
    let mut roles: Vec<(String, Vec<Scope>)> = Scope::ALL
        .iter()
        .map(|scope| (scope.to_string(), vec![*scope]))
        .collect();
    let warehouse = "read:orders,read:shipments,write:shipments,read:catalog,write:stock";
    let scopes = warehouse.split(',').map(|scope| scope.parse().unwrap());
    let mut tokens = Vec::new();
    for (name, scopes) in &roles {
        let secret = store_token::create(&db, name, scopes, None).await?;
        tokens.push(secret.reveal().to_owned());
    }
    let email = "packer@shop.example";
    let password = staff::member(&bench, email, "warehouse", warehouse).await?;
    let login = json!({ "email": email, "password": password });
    tokens.push(staff::token(&mut bench.browser(), login).await?);
    roles.push(("warehouse".to_owned(), scopes.collect()));

    let mut walked = 0;
    for ((method, path), demand) in described() {
        let Some(scope) = demand.scope else {
            continue;
        };
        assert!(is_staff(&path) && !demand.open && !demand.session, "{path}");
        let route = format!("{method} {path}");
        let values = [("{locale}", "en"), ("{currency}", "USD")];
        let address: String = concrete(&path, &values)
            .split('/')
            .map(|part| if part.starts_with('{') { "999" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        let verb: Method = method.parse()?;
        let request = |browser: &Browser| browser.request(verb.clone(), &address).body("{");
        for browser in [&mut bench.browser(), &mut customer] {
            let request = request(browser);
            let refused = browser.send(request).await?.problem(401, "unauthenticated");
            assert_eq!(refused.header("www-authenticate"), "Bearer", "{route}");
        }
        for ((role, scopes), token) in roles.iter().zip(&tokens) {
            let mut browser = bench.browser();
            let request = request(&browser).bearer_auth(token);
            let heard = browser.send(request).await?;
            let status = heard.status.as_u16();
            if scopes.contains(&scope) {
                // It gets further: to what is wrong with the request.
                let refused = matches!(status, 401 | 403 | 405 | 500..);
                assert!(!refused, "{route} as {role}: {status} {}", heard.text);
            } else {
                let heard = heard.problem(403, "forbidden");
                let detail = heard.json()["detail"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                assert!(detail.contains(scope.name()), "{route} as {role}: {detail}");
            }
        }
        walked += 1;
    }
    assert!(walked > 100, "{walked}");
    Ok(())
}

/// A customer with everything that a customer can have, and the paths of it.
struct Ada {
    browser: Browser,
    cart: String,
    order: String,
    address: String,
    session: String,
}

impl Ada {
    async fn new(bench: &Bench, market: &Market) -> Result<Self> {
        let mut browser = bench.customer("ada@shop.example").await?;
        let address = json!({ "name": "Ada Buyer", "line1": "Lindenstraße 1", "city": "Berlin", "postcode": "10969", "country": "DE" });
        let kept = browser
            .post("/api/v1/me/addresses", address.clone())
            .await?;
        let kept = kept.expect(201).json();
        let lines = json!({ "lines": [{ "sku": "SKU-0", "quantity": 2 }] });
        let cart = browser
            .post("/api/v1/carts", lines.clone())
            .await?
            .expect(201)
            .json();
        let cart = cart["id"].as_str().context("no cart")?.to_owned();
        let patch = json!({ "email": "ada@shop.example", "shipping_address": address, "shipping_method": "post" });
        let path = format!("/api/v1/carts/{cart}");
        browser.call(Method::PATCH, &path, patch).await?.expect(200);
        let body = json!({ "expected_total": 2 * PRICE + SHIPPING, "payment": { "provider": "test", "token": GOOD_CARD } });
        let request = browser
            .request(Method::POST, &format!("{path}/complete"))
            .header("idempotency-key", "\"ada\"")
            .json(&body);
        let placed = browser.send(request).await?.expect(201).json();
        let order = placed["number"].as_str().context("no number")?.to_owned();
        // The next cart, which stays one.
        let cart = browser
            .post("/api/v1/carts", lines)
            .await?
            .expect(201)
            .json();
        let sessions = browser.get("/api/v1/me/sessions").await?.expect(200).json();
        assert_eq!(
            market
                .count("SELECT COUNT(*) FROM orders WHERE state = 'placed'")
                .await?,
            1
        );
        Ok(Self {
            cart: cart["id"].as_str().context("no cart")?.to_owned(),
            order,
            address: kept["id"].as_str().context("no address")?.to_owned(),
            session: sessions["items"][0]["id"]
                .as_str()
                .context("no session")?
                .to_owned(),
            browser,
        })
    }

    /// A path to something of hers.
    fn path(&self, path: &str) -> String {
        let id = if path.contains("/carts/") {
            &self.cart
        } else if path.contains("/sessions/") {
            &self.session
        } else {
            &self.address
        };
        let values = [
            ("{id}", id.as_str()),
            ("{number}", self.order.as_str()),
            ("{sku}", "SKU-0"),
            ("{code}", "WELCOME"),
            ("{locale}", "en"),
            ("{reference}", "00000000000000000000000000"),
        ];
        concrete(path, &values)
    }

    /// Everything that is hers, as she sees it.
    async fn everything(&mut self) -> Result<Vec<Value>> {
        let mut seen = Vec::new();
        for path in [
            format!("/api/v1/carts/{}", self.cart),
            format!("/api/v1/orders/{}", self.order),
            format!("/api/v1/orders/{}/returns", self.order),
            "/api/v1/me".to_owned(),
            "/api/v1/me/addresses".to_owned(),
            "/api/v1/me/orders".to_owned(),
        ] {
            seen.push(self.browser.get(&path).await?.expect(200).json());
        }
        Ok(seen)
    }
}

/// A body that a route would take, so that it is not the body that is refused.
fn body(method: &str, path: &str) -> Value {
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("PUT", "{sku}") => json!({ "quantity": 9 }),
        ("POST", "coupons") => json!({ "code": "WELCOME" }),
        ("POST", "complete") => {
            json!({ "expected_total": 1, "payment": { "provider": "test", "token": GOOD_CARD } })
        }
        ("POST", "returns") => json!({ "lines": [{ "line": 0, "quantity": 1 }] }),
        ("PATCH", "{number}") => json!({ "lines": [{ "position": 0, "quantity": 1 }] }),
        ("PUT", "{id}") => {
            json!({ "name": "Eve", "line1": "1 Main St", "city": "Springfield", "region": "IL", "postcode": "62701", "country": "US" })
        }
        _ => json!({}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_customers_refuses_nobody_and_hides_what_is_anothers() -> Result<()> {
    let (bench, market) = Bench::selling().await?;
    let mut ada = Ada::new(&bench, &market).await?;
    let mut eve = bench.customer("eve@shop.example").await?;
    let before = ada.everything().await?;
    let (mut walked, mut named) = (0, 0);
    for ((method, path), demand) in described() {
        if demand.scope.is_some() || is_staff(&path) || path.contains("/webhooks/") {
            continue;
        }
        let route = format!("{method} {path}");
        let verb: Method = method.parse()?;
        let address = ada.path(&path);
        let ask = |browser: &Browser| {
            browser
                .request(verb.clone(), &address)
                .header("idempotency-key", "\"eve\"")
                .header("if-match", "*")
                .json(&body(&method, &path))
        };
        if demand.session && !demand.open {
            let mut nobody = bench.browser();
            let request = ask(&nobody);
            let refused = nobody.send(request).await?;
            assert_eq!(
                refused.status,
                StatusCode::UNAUTHORIZED,
                "{route}: {}",
                refused.text
            );
            walked += 1;
        }
        // What is somebody's is named by a parameter; all else is one's own.
        if path.contains('{') {
            for browser in [&mut bench.browser(), &mut eve] {
                let request = ask(browser);
                let refused = browser.send(request).await?;
                let status = refused.status.as_u16();
                assert!(
                    matches!(status, 401 | 404),
                    "{route}: {status} {}",
                    refused.text
                );
            }
            named += 1;
        }
    }
    assert!(walked >= 18 && named >= 18, "{walked} {named}");
    assert_eq!(ada.everything().await?, before);
    Ok(())
}

/// What a form about an address sends.
const FORM: &str = "name=Eve&line1=1+Main+St&city=Springfield&region=IL&postcode=62701&country=US";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_customers_sends_nobody_to_sign_in_and_hides_what_is_anothers() -> Result<()>
{
    let (bench, market) = Bench::selling().await?;
    let mut ada = Ada::new(&bench, &market).await?;
    let mut eve = bench.customer("eve@shop.example").await?;
    let before = ada.everything().await?;
    let mut walked = 0;
    for (method, path) in mounted()?.into_iter().filter(|(_, path)| is_page(path)) {
        let route = format!("{method} {path}");
        let address = ada.path(&path);
        let verb: Method = method.parse()?;
        let ask = |browser: &Browser| {
            browser
                .request(verb.clone(), &address)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(FORM)
        };
        let of_account = path.starts_with("/{locale}/account") || path == "/{locale}/orders";
        let mut nobody = bench.browser();
        let request = ask(&nobody);
        let answer = nobody.send(request).await?;
        assert!(answer.status.as_u16() < 500, "{route}: {}", answer.text);
        if of_account {
            assert_eq!(
                answer.status,
                StatusCode::SEE_OTHER,
                "{route}: {}",
                answer.text
            );
            let to = answer.header("location");
            assert!(to.starts_with("/en/login?next="), "{route}: {to}");
            walked += 1;
        }
        if path.contains("{id}") || path.contains("{number}") || path.contains("{reference}") {
            let request = ask(&eve);
            let answer = eve.send(request).await?;
            // A form that has other fields is refused before anybody looks whose it is.
            let hidden = matches!(answer.status.as_u16(), 404 | 400);
            assert!(hidden, "{route}: {} {}", answer.status, answer.text);
            assert!(
                !answer.text.contains("Lindenstra"),
                "{route}: {}",
                answer.text
            );
            walked += 1;
        }
    }
    assert!(walked >= 18, "{walked}");
    assert_eq!(ada.everything().await?, before);
    Ok(())
}
