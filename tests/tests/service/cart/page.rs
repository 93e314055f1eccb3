//! The cart's page, as a browser without scripts uses it.

use anyhow::Result;
use panono_tests::http;
use serde_json::json;

use super::{Bed, Reply};

/// A browser: it keeps its cookie and says from where it comes.
struct Browser<'b> {
    bed: &'b Bed,
    cookie: String,
}

impl Browser<'_> {
    async fn get(&mut self, path: &str) -> Result<Reply> {
        let url = format!("{}{path}", self.bed.shop.url());
        let request = http::client().get(url).header("cookie", &self.cookie);
        self.keep(self.bed.send(request).await?)
    }

    async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Result<Reply> {
        let origin = self.bed.shop.url();
        let body: String = url_encoded(form);
        let request = http::client()
            .post(format!("{origin}{path}"))
            .header("cookie", &self.cookie)
            .header("origin", &origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        self.keep(self.bed.send(request).await?)
    }

    fn keep(&mut self, reply: Reply) -> Result<Reply> {
        let cookie = reply.cookie();
        if !cookie.is_empty() {
            self.cookie = cookie;
        }
        assert_eq!(reply.header("cache-control"), "private, no-store");
        Ok(reply)
    }
}

fn url_encoded(form: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    form.iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

#[tokio::test]
async fn from_a_product_to_a_cart_without_scripts() -> Result<()> {
    let bed = Bed::start().await?;
    let made = bed.staff.product("Stone <Mug>", "USD", 1250).await?;
    let sku = format!("SKU-{}", made.product);
    let mut browser = Browser {
        bed: &bed,
        cookie: String::new(),
    };
    let empty = browser.get("/en/cart").await?.expect(200);
    assert!(empty.text.contains("Your cart is empty") && empty.cookie().is_empty());

    // The page of the product stays public: no cookie, and a form that leads to the cart.
    let product = http::client().get(format!("{}/en/p/{}", bed.shop.url(), made.slug));
    let product = bed.send(product).await?;
    assert_eq!(product.status, 200);
    assert!(product.headers.get("set-cookie").is_none());
    assert!(product.text.contains(r#"action="/en/cart/lines""#));
    assert!(
        product
            .text
            .contains(&format!(r#"name="sku" value="{sku}""#))
    );

    let added = browser
        .post("/en/cart/lines", &[("sku", &sku), ("quantity", "2")])
        .await?
        .expect(303);
    assert_eq!(added.header("location"), "/en/cart");
    assert!(
        added.header("set-cookie").contains("HttpOnly")
            && added.header("set-cookie").contains("SameSite=Lax")
    );
    browser
        .post("/en/cart/lines", &[("sku", &sku), ("quantity", "1")])
        .await?
        .expect(303);
    let cart = browser.get("/en/cart").await?.expect(200);
    assert!(cart.text.contains("Stone &#60;Mug&#62;") && !cart.text.contains("Stone <Mug>"));
    assert!(cart.text.contains("$37.50") && cart.text.contains(r#"value="3""#));
    let chinese = browser.get("/zh-cn/cart").await?.expect(200);
    assert!(chinese.text.contains("购物车") && chinese.text.contains("US$37.50"));

    let name = format!("quantity.{sku}");
    browser
        .post("/en/cart", &[("action", "update"), (&name, "5")])
        .await?
        .expect(303);
    assert!(browser.get("/en/cart").await?.text.contains("$62.50"));
    let refused = browser
        .post("/en/cart", &[(&name, "500")])
        .await?
        .expect(422);
    assert!(refused.text.contains("Only 100 left") && refused.text.contains(r#"value="500""#));
    let letters = browser
        .post("/en/cart", &[(&name, "many")])
        .await?
        .expect(422);
    assert!(
        letters.text.contains("Give a number from 0 to 9999")
            && letters.text.contains(r#"aria-invalid="true""#)
    );
    assert!(browser.get("/en/cart").await?.text.contains("$62.50"));
    browser
        .post("/en/cart", &[("remove", &sku), (&name, "5")])
        .await?
        .expect(303);
    assert!(
        browser
            .get("/en/cart")
            .await?
            .text
            .contains("Your cart is empty")
    );
    Ok(())
}

#[tokio::test]
async fn coupons_and_differences_on_the_page() -> Result<()> {
    let bed = Bed::start().await?;
    let made = bed.staff.product("Mug", "USD", 1000).await?;
    let sku = format!("SKU-{}", made.product);
    bed.coupon_promotion("TEN", json!({})).await?;
    let mut browser = Browser {
        bed: &bed,
        cookie: String::new(),
    };
    browser
        .post("/en/cart/lines", &[("sku", &sku)])
        .await?
        .expect(303);
    let wrong = browser
        .post("/en/cart/coupons", &[("code", "<b>nope")])
        .await?
        .expect(422);
    assert!(
        wrong.text.contains("This code is not a code of this shop.")
            && wrong.text.contains("&#60;b&#62;nope")
    );
    browser
        .post("/en/cart/coupons", &[("code", "ten")])
        .await?
        .expect(303);
    let cart = browser.get("/en/cart").await?;
    assert!(
        cart.text.contains("Test offer")
            && cart.text.contains("−$1.00")
            && cart.text.contains("$9.00")
    );
    assert!(browser.get("/zh-cn/cart").await?.text.contains("测试优惠"));
    browser
        .post("/en/cart/coupons", &[("remove", "TEN")])
        .await?
        .expect(303);
    assert!(!browser.get("/en/cart").await?.text.contains("Test offer"));

    bed.staff.set_price(made.variant, "USD", 1500).await?;
    assert!(
        browser
            .get("/en/cart")
            .await?
            .text
            .contains("Mug now costs $15.00 instead of $10.00.")
    );
    browser.post("/en/cart/seen", &[]).await?.expect(303);
    assert!(!browser.get("/en/cart").await?.text.contains("instead of"));
    bed.stock(made.variant, 0).await?;
    let short = browser.get("/en/cart").await?;
    assert!(
        short.text.contains("Sold out at the moment")
            && !short.text.contains(r#"href="/en/checkout""#)
    );
    let sold_out = browser
        .post("/en/cart/lines", &[("sku", &sku)])
        .await?
        .expect(422);
    assert!(sold_out.text.contains("could not be put into the cart"));
    Ok(())
}

#[tokio::test]
async fn a_cart_follows_the_currency_of_the_page() -> Result<()> {
    let bed = Bed::start().await?;
    let made = bed.staff.product("Mug", "USD", 1000).await?;
    bed.staff.set_price(made.variant, "EUR", 900).await?;
    let sku = format!("SKU-{}", made.product);
    let mut browser = Browser {
        bed: &bed,
        cookie: String::new(),
    };
    let added = browser
        .post("/en/cart/lines?currency=EUR", &[("sku", &sku)])
        .await?
        .expect(303);
    assert_eq!(added.header("location"), "/en/cart?currency=EUR");
    assert!(
        browser
            .get("/en/cart?currency=EUR")
            .await?
            .text
            .contains("€9.00")
    );
    assert!(browser.get("/en/cart").await?.text.contains("$10.00"));
    Ok(())
}

#[tokio::test]
async fn a_form_of_another_site_puts_nothing_into_the_cart() -> Result<()> {
    let bed = Bed::start().await?;
    let made = bed.staff.product("Mug", "USD", 1000).await?;
    let forged = http::client()
        .post(format!("{}/en/cart/lines", bed.shop.url()))
        .header("origin", "https://evil.example")
        .header("sec-fetch-site", "cross-site")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("sku=SKU-{}", made.product));
    bed.send(forged).await?.expect(403);
    assert_eq!(bed.number("SELECT COUNT(*) FROM cart").await?, 0);
    for path in [
        "/en/cart/lines",
        "/en/cart/lines.css",
        "/en/cart%2flines",
        "/en/cart/x.js",
    ] {
        let reply = bed
            .send(http::client().get(format!("{}{path}", bed.shop.url())))
            .await?;
        assert!(
            matches!(reply.status, 404 | 405),
            "{path}: {}",
            reply.status
        );
        assert_eq!(reply.header("cache-control"), "private, no-store", "{path}");
    }
    Ok(())
}
