//! A purchase from the search to the refund, as a shopper makes it in a browser: with scripts on a phone, in Chinese, and without
//! scripts on a desktop, in English.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fantoccini::Locator;
use panono_tests::browser::{Browser, Screen};
use panono_tests::mysql::TestDatabase;
use panono_tests::smtp::SmtpSink;
use panono_tests::stack::{Stack, StackOptions};
use panono_tests::staff::Staff;
use panono_tests::wait::wait_until;
use reqwest::Method;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(120);
const PASSWORD: &str = "a long enough sentence";
/// A card of the test provider that asks for a second step.
const CARD: &str = "4000 0000 0000 3220";

/// A browser, and what was wrong with the pages that it showed.
struct Shopper {
    browser: Browser,
    base: String,
    locale: &'static str,
    scripts: bool,
    pages: usize,
    faults: Vec<String>,
}

impl Shopper {
    async fn element(&self, css: &str) -> Result<fantoccini::elements::Element> {
        let wait = self.browser.client().wait().at_most(LIMIT);
        let found = wait.for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => Ok(element),
            Err(error) => {
                let url = self.browser.client().current_url().await?;
                let text = self.browser.run("return document.body.innerText").await?;
                Err(error).with_context(|| format!("no {css} at {url}: {text}"))
            }
        }
    }

    async fn text(&self, css: &str) -> Result<String> {
        Ok(self.element(css).await?.text().await?)
    }

    async fn fill(&self, css: &str, text: &str) -> Result<()> {
        let element = self.element(css).await?;
        element.clear().await?;
        Ok(element.send_keys(text).await?)
    }

    /// Clicks, and waits for what the next page has.
    async fn press(&self, css: &str, next: &str) -> Result<()> {
        self.element(css).await?.click().await?;
        self.element(next).await?;
        Ok(())
    }

    /// Clicks, and waits for the next page's address.
    async fn go(&self, css: &str, address: &str) -> Result<()> {
        self.element(css).await?.click().await?;
        wait_until(&format!("a page at {address}"), LIMIT, async || {
            let url = self.browser.client().current_url().await?;
            ensure!(url.as_str().contains(address), "{url}");
            anyhow::Ok(())
        })
        .await?;
        self.element("footer").await?;
        Ok(())
    }

    async fn open(&self, path: &str) -> Result<()> {
        let url = format!("{}/{}{path}", self.base, self.locale);
        self.browser.open(&url).await
    }

    /// Looks at a page: a picture of it, what the browser complains about, what sticks out, what cannot be used by everybody.
    async fn look(&mut self, name: &str) -> Result<()> {
        self.browser.settle().await?;
        self.pages += 1;
        let kind = if self.scripts { "scripts" } else { "plain" };
        let name = format!("journey-{kind}-{:02}-{name}", self.pages);
        let mut found = self.browser.complaints().await?;
        found.extend(self.browser.overflow().await?);
        let picture = self.browser.screenshot(&name).await?;
        println!("{}", picture.display());
        if self.scripts {
            found.extend(self.browser.accessibility().await?);
        }
        self.faults
            .extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
        Ok(())
    }
}

/// The goods: found, two variants of one product put into the cart.
async fn fill_the_cart(shopper: &mut Shopper) -> Result<()> {
    shopper.open("/search?q=mug").await?;
    shopper.look("search").await?;
    shopper.go("main a[href*='/p/']", "/p/").await?;
    let product = shopper.browser.client().current_url().await?;
    shopper.look("product").await?;
    shopper
        .element(".choice-values label:first-child")
        .await?
        .click()
        .await?;
    shopper.press(".purchase button", ".cart-lines li").await?;
    shopper.browser.open(product.as_str()).await?;
    shopper
        .element(".choice-values label:last-child")
        .await?
        .click()
        .await?;
    shopper
        .press(".purchase button", ".cart-lines li:nth-child(2)")
        .await?;
    shopper.look("cart").await
}

/// An account, confirmed by the link of a mail.
async fn register(shopper: &mut Shopper, sink: &SmtpSink, email: &str) -> Result<()> {
    shopper.open("/register").await?;
    shopper.fill("[name=name]", "Ada Lovelace").await?;
    shopper.fill("[name=email]", email).await?;
    shopper.fill("[name=password]", PASSWORD).await?;
    shopper.look("register").await?;
    shopper.go("main form button", "done=sent").await?;
    shopper.look("registered").await?;
    let mail = wait_until("the mail with the link", LIMIT, async || {
        sink.mails_to(email).pop()
    })
    .await?;
    let text = mail.text();
    let link = text
        .split_whitespace()
        .find(|word| word.contains("/verify?token="))
        .with_context(|| format!("no link in {text}"))?;
    shopper.browser.open(link).await?;
    shopper.fill("[name=password]", PASSWORD).await?;
    shopper.look("verify").await?;
    shopper.go("main form button", "/account").await?;
    shopper.look("account").await
}

/// Coupon, address, shipping, card and second step. Answers the address of the order and its number.
async fn order(shopper: &mut Shopper) -> Result<(String, String)> {
    shopper.open("/cart").await?;
    shopper.fill("[name=code]", "WELCOME10").await?;
    shopper
        .press(".inline-form button", ".coupon-state.is-good")
        .await?;
    shopper.look("coupon").await?;
    shopper.go(".cart-side a.button", "/checkout").await?;
    shopper.fill("[name=name]", "Ada Lovelace").await?;
    shopper.fill("[name=line1]", "Lindenstraße 1").await?;
    shopper.fill("[name=postcode]", "10969").await?;
    shopper.fill("[name=city]", "Berlin").await?;
    shopper
        .element("[name=country] option[value=DE]")
        .await?
        .click()
        .await?;
    let method = ".radio-rows li:last-child [name=shipping_method]";
    shopper.press("button[value=update]", method).await?;
    shopper.element(method).await?.click().await?;
    let chosen = format!("{method}[checked]");
    shopper.press("button[value=update]", &chosen).await?;
    shopper.look("checkout").await?;
    shopper.fill("[name=token]", CARD).await?;
    shopper.go("button[value=pay]", "/pay/").await?;
    shopper.look("second-step").await?;
    shopper.go("button[value=approve]", "placed=1").await?;
    shopper.look("confirmation").await?;
    let url = shopper.browser.client().current_url().await?;
    let number = shopper.text(".order-number").await?;
    Ok((url.as_str().replace("&placed=1", ""), number))
}

/// The warehouse packs, ships and delivers everything.
async fn send(shopper: &mut Shopper, staff: &Staff, url: &str, number: &str) -> Result<()> {
    let order = format!("/orders/{number}");
    let found = staff.send(Method::GET, &order, &json!({})).await?;
    let lines: Vec<Value> = found["lines"]
        .as_array()
        .context("no lines")?
        .iter()
        .map(|line| json!({ "line": line["position"], "quantity": line["quantity"] }))
        .collect();
    ensure!(lines.len() == 2, "{found}");
    let parcel = json!({ "carrier": "flat", "lines": lines });
    let packed = staff
        .send(Method::POST, &format!("{order}/shipments"), &parcel)
        .await?;
    let shipment = format!("/shipments/{}", packed["id"].as_str().context("no id")?);
    let tracking = json!({ "tracking_number": "TN-77" });
    staff
        .send(Method::POST, &format!("{shipment}/ship"), &tracking)
        .await?;
    shopper.browser.open(url).await?;
    shopper.look("shipped").await?;
    let parcels = shopper.text("[aria-labelledby=order-parcels]").await?;
    ensure!(parcels.contains("TN-77"), "{parcels}");
    let delivered = json!({ "state": "delivered" });
    staff
        .send(Method::PUT, &format!("{shipment}/state"), &delivered)
        .await?;
    shopper.browser.open(url).await?;
    shopper.look("delivered").await
}

/// One piece goes back, and its money.
async fn give_back(shopper: &mut Shopper, staff: &Staff, url: &str, number: &str) -> Result<()> {
    let section = "[aria-labelledby=order-returns]";
    shopper
        .go(&format!("{section} .actions-row a"), "/return")
        .await?;
    shopper
        .fill(".return-items li:first-child input", "1")
        .await?;
    shopper.look("return").await?;
    shopper
        .press(".return-form button", &format!("{section} .parcel-list li"))
        .await?;
    shopper.look("return-asked-for").await?;
    let list = staff.send(Method::GET, "/returns", &json!({})).await?;
    let asked = &list["items"][0];
    ensure!(asked["order"] == number, "{list}");
    let path = format!("/returns/{}", asked["id"].as_str().context("no id")?);
    for (step, body) in [
        ("approve", json!({})),
        ("receive", json!({ "restock": true })),
    ] {
        staff
            .send(Method::POST, &format!("{path}/{step}"), &body)
            .await?;
    }
    let refunds = format!("{path}/refunds");
    let (status, refunded) = staff
        .ask(Method::POST, &refunds, &json!({}), Some("refund"))
        .await?;
    ensure!(status == 201, "{refunded}");
    let amount = refunded["refunds"][0]["amount"]
        .as_i64()
        .context("no amount")?;
    let amount = format!("{}.{:02}", amount / 100, amount % 100);
    shopper.browser.open(url).await?;
    shopper.look("refunded").await?;
    let returns = shopper.text(section).await?;
    ensure!(returns.contains(&amount), "{returns} has no {amount}");
    Ok(())
}

async fn journey(screen: Screen, locale: &'static str, scripts: bool) -> Result<()> {
    let database = TestDatabase::shared().await?;
    let sink = SmtpSink::start().await?;
    let mut variables = sink.variables();
    for (name, value) in [
        ("PANONO_SHOP_NAME", "Panono"),
        ("PANONO_CURRENCIES", "USD,EUR,CNY"),
        ("PANONO_PAYMENTS_TEST", "true"),
    ] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    let options = StackOptions {
        shops: 1,
        variables,
        ..StackOptions::default()
    };
    let stack = Stack::start(&database, options).await?;
    stack.environment.run(&["seed", "--demo"]).await?;
    let staff = Staff::new(&stack.environment, &stack.edge.url()).await?;
    let browser = if scripts {
        Browser::start(screen).await?
    } else {
        Browser::without_scripts(screen).await?
    };
    let mut shopper = Shopper {
        browser,
        base: stack.edge.url(),
        locale,
        scripts,
        pages: 0,
        faults: Vec::new(),
    };
    let email = "ada@example.com";
    fill_the_cart(&mut shopper).await?;
    register(&mut shopper, &sink, email).await?;
    let (url, number) = order(&mut shopper).await?;
    send(&mut shopper, &staff, &url, &number).await?;
    give_back(&mut shopper, &staff, &url, &number).await?;
    shopper.open("/orders").await?;
    shopper.look("orders").await?;
    for page in ["addresses/new", "security", "privacy"] {
        shopper.open(&format!("/account/{page}")).await?;
        shopper.look(&page.replace('/', "-")).await?;
    }
    // Address, order, shipped, arrived, return asked for, approved, received, refund.
    let mails = wait_until("the mails", LIMIT, async || {
        let mails = sink.mails_to(email);
        let subjects: Vec<String> = mails.iter().map(|mail| mail.subject()).collect();
        if mails.len() == 8 {
            Ok(mails)
        } else {
            Err(subjects)
        }
    })
    .await?;
    for mail in mails.iter().skip(1) {
        assert!(mail.subject().contains(&number), "{}", mail.subject());
        let link = format!("/{locale}/orders/{number}?key=");
        assert!(mail.text().contains(&link), "{}", mail.text());
    }
    shopper.browser.close().await?;
    assert!(shopper.faults.is_empty(), "{}", shopper.faults.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopper_buys_and_gives_back_with_scripts_on_a_phone() -> Result<()> {
    journey(Screen::Phone, "zh-cn", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopper_buys_and_gives_back_without_scripts() -> Result<()> {
    journey(Screen::Desktop, "en", false).await
}
