//! What arrives at the origin, and what does not.

use anyhow::Result;
use panono_tests::origin::Answer;

use super::*;

#[tokio::test]
async fn hosts_are_those_of_the_shop_in_whatever_spelling() -> Result<()> {
    let edge = Edge::with(|config| config.hosts.push("www.shop.example".to_owned())).await?;
    edge.origin
        .on("/p/lamp", |number, _| page(number.to_string()));
    for (host, status) in [
        ("shop.example", 200),
        ("SHOP.Example", 200),
        ("shop.example:8080", 200),
        ("shop.example.", 200),
        ("shop.example.:443", 200),
        ("evil.example", 421),
        ("shop.example.evil.example", 421),
        ("evil.example:shop.example", 421),
        ("shop.example@evil.example", 421),
        ("user@shop.example", 421),
        ("xshop.example", 421),
        ("shopxexample", 421),
        ("shop.example:80:80", 421),
        ("shop.example:", 421),
        ("127.0.0.1", 421),
        ("shop.example, evil.example", 421),
        ("", 400),
    ] {
        let answer =
            wire::send(edge.varnish.address(), "GET", "/p/lamp", &[("Host", host)]).await?;
        // An empty Host is no host.
        assert!(
            answer.status() == status || (host.is_empty() && answer.status() == 421),
            "{host}: {}",
            answer.start
        );
        if status != 200 {
            assert_eq!(
                answer.header("Cache-Control").as_deref(),
                Some("no-store"),
                "{host}"
            );
            assert!(
                host.is_empty() || !answer.text().contains(host),
                "{host} is echoed"
            );
        }
    }
    assert_eq!(
        edge.origin.count("/p/lamp"),
        1,
        "all spellings are one object"
    );
    assert_eq!(
        edge.origin.requests("/p/lamp")[0].header("Host").as_deref(),
        Some("shop.example")
    );
    // Another host of the same shop is another object.
    wire::send(
        edge.varnish.address(),
        "GET",
        "/p/lamp",
        &[("Host", "www.shop.example")],
    )
    .await?;
    assert_eq!(edge.origin.count("/p/lamp"), 2);
    let missing = wire::exchange(
        edge.varnish.address(),
        b"GET /p/lamp HTTP/1.1\r\nConnection: close\r\n\r\n",
    )
    .await?;
    assert_eq!(missing.status(), 400);
    let twice = wire::exchange(edge.varnish.address(), b"GET /p/lamp HTTP/1.1\r\nHost: shop.example\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await?;
    assert_eq!(twice.status(), 400);
    // In its absolute form a target names the host that counts.
    let absolute = b"GET http://evil.example/p/lamp HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
    assert!(
        wire::exchange(edge.varnish.address(), absolute)
            .await?
            .status()
            >= 400
    );
    assert_eq!(
        wire::send(
            edge.varnish.address(),
            "GET",
            vcl::EDGE_HEALTH_PATH,
            &[("Host", "10.0.0.7:80")]
        )
        .await?
        .status(),
        200
    );
    Ok(())
}

#[tokio::test]
async fn the_origin_hears_only_what_selects_a_public_answer() -> Result<()> {
    let edge = Edge::start().await?;
    let tricks = [
        ("Cookie", "session=1"),
        ("Authorization", "Bearer x"),
        ("Accept-Language", "de"),
        ("Accept", "application/json"),
        ("Origin", "https://evil.example"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Server", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Port", "1"),
        ("X-Forwarded-Prefix", "/evil"),
        ("Forwarded", "host=evil.example"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-HTTP-Method", "DELETE"),
        ("X-Method-Override", "DELETE"),
        ("Proxy", "http://evil.example"),
        ("X-Host", "evil.example"),
        ("X-Real-IP", "192.0.2.1"),
        ("True-Client-IP", "192.0.2.1"),
        ("CF-Connecting-IP", "192.0.2.1"),
        ("X-Request-Id", "mine"),
        ("Panono-Floor", "99"),
        ("Panono-Stale", "1"),
        ("Panono-Fetch", "1"),
        ("panono-private", "1"),
        ("Surrogate-Capability", "x"),
        ("Surrogate-Key", "p-1"),
        ("X_Forwarded_Host", "evil.example"),
        ("Upgrade", "websocket"),
        ("Via", "1.1 evil"),
        ("X-Requested-With", "x"),
        ("X-Varnish", "1"),
    ];
    edge.origin.on("/p/lamp", |_, _| page("x"));
    edge.origin.on("/account", |_, _| Answer::ok("mine"));
    edge.send("GET", "/p/lamp", &tricks).await?;
    edge.send("GET", "/account", &tricks).await?;
    let public = edge.origin.requests("/p/lamp").remove(0);
    let private = edge.origin.requests("/account").remove(0);
    for (name, value) in tricks {
        let only_private = [
            "Cookie",
            "Authorization",
            "Accept-Language",
            "Accept",
            "Origin",
            "X-Requested-With",
        ]
        .contains(&name);
        assert_ne!(public.header(name).as_deref(), Some(value), "{name}");
        assert_eq!(
            private.header(name).as_deref() == Some(value),
            only_private,
            "{name}"
        );
    }
    for request in [&public, &private] {
        assert_eq!(
            request.header("X-Forwarded-For").as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(
            request.header("X-Forwarded-Proto").as_deref(),
            Some("https")
        );
        let id = request.header("X-Request-Id").unwrap();
        let shape: Vec<usize> = id.split('-').map(str::len).collect();
        assert!(
            shape == [8, 4, 4, 4, 12]
                && id
                    .bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_hexdigit()),
            "{id}"
        );
    }
    assert_ne!(
        public.header("X-Request-Id"),
        private.header("X-Request-Id")
    );
    assert!(
        !public
            .headers
            .iter()
            .any(|(name, _)| name.to_ascii_lowercase().starts_with("panono-")
                && name != "Panono-Floor"),
        "{public:?}"
    );

    let fronted = Edge::with(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
        config.scheme = vcl::Scheme::Http;
    })
    .await?;
    for (sent, address, scheme) in [
        (
            vec![
                ("X-Forwarded-For", "192.0.2.1"),
                ("X-Forwarded-Proto", "https"),
            ],
            "192.0.2.1, 127.0.0.1",
            "https",
        ),
        (
            vec![
                ("X-Forwarded-For", "<script>"),
                ("X-Forwarded-Proto", "gopher"),
            ],
            "127.0.0.1",
            "http",
        ),
        (vec![], "127.0.0.1", "http"),
    ] {
        fronted.send("GET", "/account", &sent).await?;
        let seen = fronted.origin.requests("/account").pop().unwrap();
        assert_eq!(seen.header("X-Forwarded-For").as_deref(), Some(address));
        assert_eq!(seen.header("X-Forwarded-Proto").as_deref(), Some(scheme));
    }
    Ok(())
}

#[tokio::test]
async fn private_paths_are_passed_on_with_cookies_and_never_stored() -> Result<()> {
    let edge = Edge::start().await?;
    for path in [
        "/account",
        "/account/orders",
        "/account/x.css",
        "/en/account",
        "/en-gb/cart",
        "/cart/lines",
        "/checkout/pay",
        "/admin",
        "/Account",
        "/api/v1/me",
        "/api/v1/session",
        "/api/v1/carts/1",
        "/api/v1/checkout",
        "/api/v1/orders/1",
        "/api/v1/auth/login",
        "/api/v1/admin/x",
        "/api/v1/webhooks/psp",
    ] {
        edge.origin.on(path, |_, request| {
            page(request.header("Cookie").unwrap_or_default()).header("Set-Cookie", "seen=1")
        });
        for shopper in ["session=1", "session=2"] {
            let answer = edge.send("GET", path, &[("Cookie", shopper)]).await?;
            assert_eq!(answer.text(), shopper, "{path}");
            assert!(
                status_of(&answer).contains("fwd=bypass") && !status_of(&answer).contains("stored"),
                "{path}: {}",
                status_of(&answer)
            );
            assert_eq!(answer.header("Set-Cookie").as_deref(), Some("seen=1"));
        }
    }
    edge.origin.on("/account/plain", |_, _| Answer::ok("x"));
    assert_eq!(
        edge.get("/account/plain")
            .await?
            .header("Cache-Control")
            .as_deref(),
        Some("private, no-store")
    );
    // Not a private path, only something that begins like one.
    edge.origin.on("/cartoons", |_, request| {
        page(request.header("Cookie").unwrap_or_default())
    });
    edge.send("GET", "/cartoons", &[("Cookie", "session=1")])
        .await?;
    let other = edge
        .send("GET", "/cartoons", &[("Cookie", "session=2")])
        .await?;
    assert_eq!((other.text().as_str(), is_hit(&other)), ("", true));
    Ok(())
}

#[tokio::test]
async fn targets_that_could_be_read_in_two_ways_do_not_reach_the_origin() -> Result<()> {
    let edge = Edge::start().await?;
    for (target, status) in [
        ("/account%2Fx.css", 404),
        ("/account%2fx.css", 404),
        ("/account;x.css", 404),
        ("//account", 404),
        ("/p//lamp", 404),
        ("/account%5Cx.css", 404),
        ("/account\\x.css", 404),
        ("/p/..%2faccount", 404),
        ("/p/%2e%2e/account", 404),
        ("/p/../account", 404),
        ("/p/./lamp", 404),
        ("/p/..", 404),
        ("/account%00.css", 404),
        ("/account%0a.css", 404),
        ("/account%3Bx.css", 404),
        ("/account%3fx.css", 404),
        ("/account%23x.css", 404),
        ("/account#x.css", 404),
        ("/account%252Fx.css", 404),
        ("/p/%zz", 400),
        ("/p/%", 400),
        ("/p/100%25", 404),
        ("/p/lamp?q=%", 400),
        ("p/lamp", 400),
        ("*", 400),
    ] {
        let answer = edge.get(target).await?;
        assert_eq!(answer.status(), status, "{target}");
        assert_eq!(
            answer.header("Cache-Control").as_deref(),
            Some("no-store"),
            "{target}"
        );
        assert_eq!(edge.origin.count(target), 0, "{target}");
    }
    for bytes in [
        &b"GET /p/\xc3\xa9 HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"[..],
        b"GET /p/\x01 HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n",
    ] {
        assert_eq!(
            wire::exchange(edge.varnish.address(), bytes)
                .await?
                .status(),
            400
        );
    }
    let long = format!("/{}", "x".repeat(4096));
    assert_eq!(edge.get(&long).await?.status(), 414);
    assert_eq!(edge.get(&long[..4096]).await?.status(), 404);
    Ok(())
}

#[tokio::test]
async fn queries_are_sorted_and_lose_what_only_advertisers_read() -> Result<()> {
    let edge = Edge::start().await?;
    edge.origin
        .on("/c/lamps", |_, request| page(request.target().to_owned()));
    for (target, canonical) in [
        (
            "/c/lamps?sort=price&colour=red",
            "/c/lamps?colour=red&sort=price",
        ),
        (
            "/c/lamps?utm_source=x&colour=red&utm_medium=y&sort=price&gclid=z",
            "/c/lamps?colour=red&sort=price",
        ),
        ("/c/lamps?utm_source=x", "/c/lamps"),
        ("/c/lamps?gclid", "/c/lamps"),
        ("/c/lamps?fbclid=a&msclkid=b&mc_cid=c&_ga=d", "/c/lamps"),
        ("/c/lamps?", "/c/lamps"),
        ("/c/lamps?xgclid=1", "/c/lamps?xgclid=1"),
        ("/c/lamps?gclidx=1", "/c/lamps?gclidx=1"),
        ("/c/lamps?a=utm_source=x", "/c/lamps?a=utm_source=x"),
        ("/c/lamps?a=1&a=0", "/c/lamps?a=0&a=1"),
        // Whole parameters are compared, as the shop does: a dash and digits come before the equals sign.
        (
            "/c/lamps?f.size=1&f.size2=2&f.color=red&f.color-family=warm",
            "/c/lamps?f.color-family=warm&f.color=red&f.size2=2&f.size=1",
        ),
    ] {
        assert_eq!(edge.get(target).await?.text(), canonical, "{target}");
    }
    // A private request is nobody's business but the shop's.
    edge.origin.on("/api/v1/webhooks/psp", |_, request| {
        Answer::ok(request.target().to_owned())
    });
    assert_eq!(
        edge.get("/api/v1/webhooks/psp?b=1&a=2&gclid=3")
            .await?
            .text(),
        "/api/v1/webhooks/psp?b=1&a=2&gclid=3"
    );
    Ok(())
}

#[tokio::test]
async fn methods_and_bodies_are_what_they_should_be() -> Result<()> {
    let edge = Edge::start().await?;
    for method in ["TRACE", "CONNECT", "PROPFIND", "BAN", "REFRESH", "get"] {
        let answer = edge.send(method, "/p/lamp", &[]).await?;
        assert_eq!(
            (answer.status(), answer.header("Allow").is_some()),
            (405, true),
            "{method}"
        );
    }
    edge.origin.on("/p/lamp", |number, request| {
        page(format!("{} {number}", request.method()))
    });
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for _ in 0..2 {
            let answer = edge
                .send(method, "/p/lamp", &[("Content-Length", "0")])
                .await?;
            assert!(
                status_of(&answer).contains("fwd=method") && !status_of(&answer).contains("stored"),
                "{method}: {}",
                status_of(&answer)
            );
            assert!(answer.text().starts_with(method));
        }
    }
    for (headers, body) in [
        ("Content-Length: 1", "x"),
        ("Transfer-Encoding: chunked", "1\r\nx\r\n0\r\n\r\n"),
    ] {
        let request = format!(
            "GET /p/lamp HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{headers}\r\n\r\n{body}"
        );
        assert_eq!(
            wire::exchange(edge.varnish.address(), request.as_bytes())
                .await?
                .status(),
            400,
            "{headers}"
        );
    }
    let request = format!(
        "POST /checkout HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: 5\r\n\r\norder"
    );
    edge.origin.on("/checkout", |_, request| {
        Answer::new(201, request.body.clone())
    });
    assert_eq!(
        wire::exchange(edge.varnish.address(), request.as_bytes())
            .await?
            .text(),
        "order"
    );
    Ok(())
}
