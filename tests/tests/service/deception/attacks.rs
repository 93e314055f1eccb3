//! The table: what attackers send.

/// One way to make a cache keep the wrong thing under a page's address.
pub struct Attack {
    pub name: &'static str,
    method: &'static str,
    /// `@` is the page's address, `~` the shop's host, `{slug}` the end of the page's address.
    target: &'static str,
    /// Header lines as they are sent. `Host` is added if none of them is one; `~host~` is the shop's host.
    lines: Vec<String>,
    body: &'static str,
    /// The status at the edge, where only one will do.
    pub at_edge: Option<u16>,
    /// The status at the shop itself, where only one will do.
    pub at_shop: Option<u16>,
    /// For requests that only an edge may send to the shop.
    pub only_edge: bool,
    /// A server may close the connection without a word.
    pub may_hang_up: bool,
}

impl Attack {
    fn new(name: &'static str, target: &'static str, lines: &[&str]) -> Self {
        Self {
            name,
            method: "GET",
            target,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            body: "",
            at_edge: None,
            at_shop: None,
            only_edge: false,
            may_hang_up: false,
        }
    }

    fn answered(mut self, status: u16) -> Self {
        self.at_edge = Some(status);
        self.at_shop = Some(status);
        self
    }

    fn answered_by_edge(mut self, status: u16) -> Self {
        self.at_edge = Some(status);
        self
    }

    /// Whether it asks for the page's own address.
    pub fn is_for_page(&self) -> bool {
        self.target == "@"
    }

    fn with(mut self, method: &'static str, body: &'static str) -> Self {
        self.method = method;
        self.body = body;
        self
    }

    fn rude(mut self) -> Self {
        self.may_hang_up = true;
        self
    }

    fn at_edge_only(mut self) -> Self {
        self.only_edge = true;
        self
    }

    /// The bytes of the request.
    pub fn request(&self, page: &str, host: &str) -> Vec<u8> {
        let slug = page.rsplit('/').next().unwrap_or_default();
        let target = self
            .target
            .replace('@', page)
            .replace('~', host)
            .replace("{slug}", slug);
        let mut text = format!("{} {target} HTTP/1.1\r\n", self.method);
        let names_host = |line: &String| {
            line.get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case("host:"))
        };
        if !self.lines.iter().any(names_host) {
            text.push_str(&format!("Host: {host}\r\n"));
        }
        if !self.lines.iter().any(|line| line.starts_with("Connection")) {
            text.push_str("Connection: close\r\n");
        }
        for line in &self.lines {
            text.push_str(&line.replace("~host~", host));
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(self.body);
        text.into_bytes()
    }
}

/// Attacks that ask for a page, in a way of their own.
pub fn on_pages() -> Vec<Attack> {
    let mut rows = Vec::new();
    rows.extend(headers_beside_the_key());
    rows.extend(hosts());
    rows.extend(paths());
    rows.extend(queries());
    rows.extend(methods_and_bodies());
    rows.extend(conditions_and_ranges());
    rows.extend(oversized_and_malformed());
    rows
}

/// Header fields that a server might heed and that are in no key. None of them may change anything.
fn headers_beside_the_key() -> Vec<Attack> {
    [
        ("forwarded host", "X-Forwarded-Host: evil.example"),
        ("forwarded scheme", "X-Forwarded-Proto: evil"),
        ("forwarded scheme, plain", "X-Forwarded-Proto: http"),
        ("forwarded scheme, another name", "X-Forwarded-Scheme: evil"),
        ("forwarded port", "X-Forwarded-Port: 666"),
        ("forwarded prefix", "X-Forwarded-Prefix: /evil"),
        ("forwarded server", "X-Forwarded-Server: evil.example"),
        ("forwarded for", "X-Forwarded-For: evil, 127.0.0.1"),
        (
            "forwarded",
            "Forwarded: for=127.0.0.1;host=evil.example;proto=http",
        ),
        ("host, another name", "X-Host: evil.example"),
        ("host with an underscore", "X_Forwarded_Host: evil.example"),
        ("original URL", "X-Original-URL: /evil"),
        (
            "original URL of staff",
            "X-Original-URL: /api/v1/admin/products",
        ),
        ("rewrite URL", "X-Rewrite-URL: /evil"),
        ("original URI", "X-Original-URI: /evil"),
        ("method override", "X-HTTP-Method-Override: DELETE"),
        ("method", "X-HTTP-Method: PUT"),
        ("method override, short", "X-Method-Override: HEAD"),
        ("real address", "X-Real-IP: evil"),
        ("client address", "True-Client-IP: 127.0.0.1"),
        ("address of a content network", "CF-Connecting-IP: evil"),
        ("a proxy", "Proxy: http://evil.example"),
        ("request id", "X-Request-Id: evil"),
        (
            "a cookie",
            "Cookie: session=evil; locale=zh-cn; currency=EUR",
        ),
        ("a token", "Authorization: Bearer evil"),
        ("a password", "Authorization: Basic ZXZpbDpldmls"),
        ("language", "Accept-Language: zh-CN, evil;q=0.5"),
        (
            "user agent, phone",
            "User-Agent: Mozilla/5.0 (iPhone; evil)",
        ),
        ("user agent, crawler", "User-Agent: Googlebot/2.1 evil"),
        ("media type, JSON", "Accept: application/json"),
        ("media type, unknown", "Accept: evil/evil"),
        ("origin", "Origin: https://evil.example"),
        ("origin, none", "Origin: null"),
        ("referrer", "Referer: https://evil.example/"),
        ("a script's request", "X-Requested-With: XMLHttpRequest"),
        ("client hints", "Save-Data: on"),
        ("privacy", "DNT: 1"),
        ("country", "CF-IPCountry: CN"),
        ("an upgrade", "Upgrade: websocket"),
        ("an upgrade to HTTP/2", "Upgrade: h2c"),
        ("hops", "Max-Forwards: 0"),
        ("tags", "Surrogate-Key: evil"),
        ("capability", "Surrogate-Capability: evil=\"ESI/1.0\""),
        ("a purge token", "Panono-Purge-Token: evil"),
        ("a mark of the edge", "Panono-Stale: 1"),
        ("a mark of the edge, fetch", "Panono-Fetch: 1"),
        ("a mark of the edge, private", "Panono-Private: 1"),
        ("no cache", "Cache-Control: no-cache"),
        ("no store", "Cache-Control: no-store"),
        ("no cache, old", "Pragma: no-cache"),
        ("what the connection drops", "X-Evil: 1"),
        ("coding", "Accept-Encoding: br"),
        ("coding, unknown", "Accept-Encoding: evil, *;q=0"),
        ("coding, weights", "Accept-Encoding: gzip;q=evil, br;q=1.5"),
        ("trailers", "TE: trailers"),
        ("a type for no body", "Content-Type: application/evil"),
    ]
    .into_iter()
    .map(|(name, line)| {
        // The coding is part of the key; its bodies are compared elsewhere.
        let row = Attack::new(name, "@", &[line]);
        if line.starts_with("Accept-Encoding: br") {
            row.encoded()
        } else {
            row.answered(200)
        }
    })
    .chain([
        Attack::new("a floor", "@", &["Panono-Floor: 999999999999999"])
            .answered(200)
            .at_edge_only(),
        Attack::new(
            "two hosts forwarded",
            "@",
            &["X-Forwarded-Host: ~host~", "X-Forwarded-Host: evil.example"],
        )
        .answered(200),
        Attack::new("two cookies", "@", &["Cookie: a=1", "Cookie: a=evil"]).answered(200),
        Attack::new(
            "the connection drops the host",
            "@",
            &["Connection: close, Host"],
        ),
        Attack::new(
            "the connection drops the coding",
            "@",
            &["Connection: close, Accept-Encoding, X-Forwarded-For"],
        ),
        Attack::new(
            "only what is stored",
            "@",
            &["Cache-Control: only-if-cached"],
        ),
    ])
    .collect()
}

impl Attack {
    /// The body may be in another coding.
    fn encoded(mut self) -> Self {
        self.method = "HEAD";
        self
    }
}

fn hosts() -> Vec<Attack> {
    vec![
        Attack::new("a foreign host", "@", &["Host: evil.example"]).answered(421),
        Attack::new(
            "a foreign host before ours",
            "@",
            &["Host: evil.example:~host~"],
        )
        .answered(421),
        Attack::new("a user before the host", "@", &["Host: evil@~host~"]).answered(421),
        Attack::new("a host with a path", "@", &["Host: ~host~/evil"]),
        Attack::new("a host with a space", "@", &["Host: ~host~ evil.example"]),
        Attack::new("two hosts in a line", "@", &["Host: ~host~, evil.example"]),
        Attack::new("two hosts", "@", &["Host: ~host~", "Host: evil.example"]).answered(400),
        Attack::new(
            "two hosts, ours last",
            "@",
            &["Host: evil.example", "Host: ~host~"],
        )
        .answered(400),
        Attack::new(
            "another name of the shop in upper case",
            "@",
            &["Host: LOCALHOST"],
        )
        .answered(200),
        Attack::new(
            "another name of the shop with a port",
            "@",
            &["Host: localhost:666"],
        )
        .answered(200),
        Attack::new(
            "another name of the shop with a dot",
            "@",
            &["Host: localhost.:80"],
        )
        .answered(200),
        Attack::new("a host with a colon", "@", &["Host: localhost:"]),
        Attack::new("an empty host", "@", &["Host:"]),
        Attack::new("a foreign host in the target", "http://evil.example@", &[]),
        Attack::new(
            "a foreign host in the target, ours beside",
            "http://evil.example@",
            &["Host: ~host~"],
        ),
        Attack::new(
            "a foreign host beside ours in the target",
            "http://~@",
            &["Host: evil.example"],
        ),
        Attack::new("our host in the target", "http://~@", &[]),
        Attack::new("a scheme in the target", "evil://~@", &[]),
    ]
}

fn paths() -> Vec<Attack> {
    [
        ("an encoded slash", "@%2Fevil", 404),
        ("an encoded slash, lower case", "@%2fevil", 404),
        ("an encoded backslash", "@%5Cevil", 404),
        ("dot segments", "/evil/..@", 404),
        ("encoded dot segments", "/evil/%2e%2e@", 404),
        ("half encoded dot segments", "/evil/.%2E@", 404),
        ("a dot segment", "/.@", 404),
        ("a dot segment at the end", "@/.", 404),
        ("dots at the end", "@..", 404),
        ("a dot at the end", "@.", 404),
        ("an encoded dot at the end", "@%2e", 404),
        ("a parameter of the path", "@;evil", 404),
        ("an encoded parameter of the path", "@%3Bevil", 404),
        ("two slashes", "/@", 404),
        ("slashes at the end", "@//", 404),
        ("a slash at the end", "@/", 301),
        ("an encoded question mark", "@%3Fevil=1", 404),
        ("an encoded hash", "@%23evil", 404),
        ("a hash", "@#evil", 404),
        ("an encoded percent sign", "@%2525", 404),
        ("encoded twice", "@%252e%252e", 404),
        ("an encoded zero", "@%00", 404),
        ("an encoded line", "@%0d%0aX-Evil:1", 404),
        ("an encoded space", "@%20", 404),
        ("a static suffix", "@.css", 404),
        ("a static file below", "@/evil.css", 404),
        ("no escape", "@%zz", 400),
        ("half an escape", "@%", 400),
        ("an overlong slash", "@%c0%af", 404),
        ("a backslash", "@\\evil", 404),
    ]
    .into_iter()
    .map(|(name, target, status)| Attack::new(name, target, &[]).answered_by_edge(status))
    .chain([
        Attack::new("an encoded letter", "/en/%70/{slug}", &[]),
        Attack::new("another encoded letter", "/e%6e/p/{slug}", &[]),
        Attack::new("the language in upper case", "/EN/p/{slug}", &[]),
    ])
    .collect()
}

fn queries() -> Vec<Attack> {
    [
        ("an unknown parameter", "@?evil=1"),
        ("an unknown parameter without a value", "@?evil"),
        ("an empty query", "@?"),
        ("an empty parameter", "@?&"),
        (
            "a parameter of advertisers",
            "@?utm_source=evil&utm_content=%22%3E%3Cscript%3E",
        ),
        ("a callback", "@?callback=evil"),
        ("a method", "@?_method=DELETE"),
        ("a language", "@?lang=evil&locale=zh-cn"),
        ("the currency that is used anyway", "@?currency=USD"),
        ("a currency in lower case", "@?currency=usd"),
        ("an encoded currency", "@?currency=%55SD"),
        ("an unknown currency", "@?currency=EVL"),
        ("two currencies", "@?currency=EUR&currency=USD"),
        (
            "two currencies, unsorted",
            "@?evil=1&currency=USD&currency=EUR",
        ),
        ("a currency of a list", "@?currency[]=EUR"),
        ("a semicolon", "@?currency=USD;currency=EUR"),
        ("an encoded ampersand", "@?evil%26currency=EUR"),
        ("a parameter with a zero", "@?currency=USD%00evil"),
        ("a parameter that is no text", "@?currency=%ff"),
        ("an escape that is none", "@?currency=%"),
        ("a parameter with a line", "@?evil=%0d%0aSet-Cookie:evil=1"),
        ("a question in a question", "@??currency=EUR"),
        ("a path in a query", "@?/../evil"),
    ]
    .into_iter()
    .map(|(name, target)| Attack::new(name, target, &[]))
    .collect()
}

fn methods_and_bodies() -> Vec<Attack> {
    const SMUGGLED: &str = "0\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil.example\r\nX: ";
    vec![
        Attack::new("a body", "@", &["Content-Length: 4"])
            .with("GET", "evil")
            .answered(400),
        Attack::new("a body in chunks", "@", &["Transfer-Encoding: chunked"])
            .with("GET", "4\r\nevil\r\n0\r\n\r\n")
            .answered(400),
        Attack::new(
            "a form in a body",
            "@",
            &[
                "Content-Type: application/x-www-form-urlencoded",
                "Content-Length: 12",
            ],
        )
        .with("GET", "currency=EUR")
        .answered(400),
        Attack::new("no body, said so", "@", &["Content-Length: 0"]).answered(200),
        Attack::new(
            "two lengths",
            "@",
            &["Content-Length: 0", "Content-Length: 4"],
        )
        .with("GET", "evil")
        .rude(),
        Attack::new("a length that is none", "@", &["Content-Length: +4"])
            .with("GET", "evil")
            .rude(),
        Attack::new(
            "length and chunks",
            "@",
            &["Content-Length: 4", "Transfer-Encoding: chunked"],
        )
        .with("GET", SMUGGLED)
        .rude(),
        Attack::new(
            "length and chunks in a POST",
            "@",
            &["Content-Length: 61", "Transfer-Encoding: chunked"],
        )
        .with("POST", SMUGGLED)
        .rude(),
        Attack::new(
            "chunks in another spelling",
            "@",
            &["Transfer-Encoding: xchunked"],
        )
        .with("GET", SMUGGLED)
        .rude(),
        Attack::new("chunks with a space", "@", &["Transfer-Encoding : chunked"])
            .with("GET", SMUGGLED)
            .rude(),
        Attack::new("HEAD", "@", &[]).with("HEAD", "").answered(200),
        Attack::new(
            "HEAD as something else",
            "@",
            &["X-HTTP-Method-Override: GET"],
        )
        .with("HEAD", "")
        .answered(200),
        Attack::new("POST", "@", &["Content-Length: 4"])
            .with("POST", "evil")
            .answered(405),
        Attack::new(
            "POST as GET",
            "@",
            &["X-HTTP-Method-Override: GET", "Content-Length: 0"],
        )
        .with("POST", "")
        .answered(405),
        Attack::new("PUT", "@", &["Content-Length: 4"])
            .with("PUT", "evil")
            .answered(405),
        Attack::new("DELETE", "@", &["Content-Length: 0"])
            .with("DELETE", "")
            .answered(405),
        Attack::new(
            "OPTIONS",
            "@",
            &[
                "Origin: https://evil.example",
                "Access-Control-Request-Method: GET",
            ],
        )
        .with("OPTIONS", "")
        .answered(405),
        Attack::new("TRACE", "@", &["X-Evil: 1"])
            .with("TRACE", "")
            .answered(405),
        Attack::new("a method of nobody", "@", &[])
            .with("EVIL", "")
            .answered(405),
        Attack::new("a method in lower case", "@", &[])
            .with("get", "")
            .answered(405),
        Attack::new("what is expected", "@", &["Expect: 100-continue"]).rude(),
    ]
}

fn conditions_and_ranges() -> Vec<Attack> {
    [
        ("a part", "Range: bytes=0-9"),
        ("the end", "Range: bytes=-5"),
        ("two parts", "Range: bytes=0-1,4-5"),
        ("no part", "Range: bytes=99999999-"),
        ("a part of evil", "Range: evil=0-1"),
        ("the same, whatever it is", "If-None-Match: *"),
        ("another one", "If-None-Match: \"evil\""),
        ("not a tag", "If-None-Match: evil"),
        (
            "changed since the future",
            "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
        ),
        ("not a time", "If-Modified-Since: evil"),
        ("only if it is evil", "If-Match: \"evil\""),
        (
            "unchanged since long ago",
            "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
        ),
    ]
    .into_iter()
    .map(|(name, line)| Attack::new(name, "@", &[line]))
    .chain([Attack::new(
        "a part of another one",
        "@",
        &["Range: bytes=0-9", "If-Range: \"evil\""],
    )])
    .collect()
}

fn oversized_and_malformed() -> Vec<Attack> {
    let long = |name: &str, length: usize| format!("{name}: {}", "evil".repeat(length / 4));
    let one = |name: &'static str, line: String| Attack::new(name, "@", &[&line]).rude();
    let many: Vec<String> = (0..200)
        .map(|number| format!("X-Evil-{number}: 1"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    vec![
        one("a long cookie", long("Cookie", 8_000)),
        one("a cookie that is too long", long("Cookie", 20_000)),
        one("a field that is far too long", long("X-Evil", 60_000)),
        one("a long coding", long("Accept-Encoding", 9_000)),
        one("a long condition", long("If-None-Match", 9_000)),
        Attack::new("many fields", "@", &many).rude(),
        Attack::new(
            "a folded field",
            "@",
            &["X-Evil: a", " X-Forwarded-Host: evil.example"],
        )
        .rude(),
        Attack::new("a field without a name", "@", &[": evil"]).rude(),
        Attack::new("a line that is no field", "@", &["evil"]).rude(),
        Attack::new("a field with a zero", "@", &["X-Evil: a\0b"]).rude(),
        Attack::new(
            "a name with a space",
            "@",
            &["X-Forwarded-Host : evil.example"],
        )
        .rude(),
        Attack::new(
            "a host with a space in its name",
            "@",
            &["Host : evil.example"],
        )
        .rude(),
        Attack::new(
            "a field after a bare line feed",
            "@",
            &["X-Evil: a\nX-Forwarded-Host: evil.example"],
        )
        .rude(),
        Attack::new(
            "a field after a bare carriage return",
            "@",
            &["X-Evil: a\rHost: evil.example"],
        )
        .rude(),
    ]
}

/// Addresses behind which staff see a draft, and what could be taken for them.
pub fn on_private_paths(draft: i64) -> Vec<String> {
    let mut targets: Vec<String> = [
        "",
        ".css",
        "/x.css",
        "/x.jpg",
        "/.css",
        "/",
        ";x.css",
        ";/x.css",
        "?x.css",
        "?utm_source=x.css",
        "?",
        "%2Fx.css",
        "%2fx.css",
        "%252Fx.css",
        "%3Fx.css",
        "%3fx.css",
        "%23x.css",
        "#x.css",
        "%3Bx.css",
        "%5Cx.css",
        "\\x.css",
        "%00.css",
        "%0a.css",
        "%0A.css",
        "%20.css",
        "%09.css",
        "/%2e%2e/x.css",
        "/..%2fx.css",
        "/../x.css",
        "/.",
        ".",
        "..",
        "%2e",
        "%2Ecss",
        "//x.css",
        "!x.css",
        "$x.css",
        ",x.css",
        "@x.css",
        "~x.css",
        "/manifest.json",
        "/favicon.ico",
        "/robots.txt",
    ]
    .into_iter()
    .flat_map(|suffix| {
        [
            format!("/api/v1/admin/products/{draft}{suffix}"),
            format!("/api/v1/admin/products{suffix}"),
        ]
    })
    .collect();
    for path in [
        "//api/v1/admin/products",
        "/api//v1/admin/products",
        "/api/v1//admin/products",
        "/api/v1/./admin/products",
        "/api/v1/%2e/admin/products",
        "/en/../api/v1/admin/products",
        "/en/%2e%2e/api/v1/admin/products",
        "/en/p/..%2f..%2f..%2fapi/v1/admin/products",
        "/assets/../api/v1/admin/products",
        "/assets/%2e%2e/api/v1/admin/products",
        "/assets/..%2Fapi/v1/admin/products",
        "/media/..;/api/v1/admin/products",
        "/%61pi/v1/admin/products",
        "/api/v1/%61dmin/products",
        "/api/v1/a%64min/products.css",
        "/api%2Fv1%2Fadmin%2Fproducts",
        "/api/v1/admin%2Fproducts",
        "/api/v1/admin;x=.css/products",
        "/API/v1/admin/products",
        "/api/V1/Admin/products",
        "/api/v1/ADMIN/products",
        "/api/v1/admin./products",
        "/api/v1/admin%20/products",
        "/api/v1/admin\\products",
        "/en/api/v1/admin/products",
        "/en-gb/api/v1/admin/products",
        "/zh-cn/api/v1/admin/products/x.css",
        "/api/v1/admin",
        "/api/v1/admin.css",
        "/api/v1/administrators",
        "/api/v1/products/../admin/products",
        "/robots.txt/../api/v1/admin/products",
        "/account.css",
        "/account/x.css",
        "/account%2Fx.css",
        "/account;x.css",
        "/en/account/orders.js",
        "/en/account.png",
        "/cart.css",
        "/checkout/style.css",
    ] {
        targets.push(path.to_owned());
    }
    targets
}

/// Visitors who have nothing in common.
pub fn visitors() -> [(&'static str, &'static [(&'static str, &'static str)]); 8] {
    [
        ("somebody new", &[]),
        (
            "somebody with a cookie",
            &[("Cookie", "session=abc; locale=zh-cn; currency=EUR; cart=17")],
        ),
        (
            "staff",
            &[
                ("Authorization", "Bearer panono_evil"),
                ("Cookie", "staff=1"),
            ],
        ),
        (
            "somebody in China",
            &[
                ("Accept-Language", "zh-CN,zh;q=0.9"),
                ("CF-IPCountry", "CN"),
                ("X-Forwarded-For", "1.2.4.8"),
                ("X-Geo-Country", "CN"),
            ],
        ),
        (
            "a phone",
            &[
                (
                    "User-Agent",
                    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)",
                ),
                ("Sec-CH-UA-Mobile", "?1"),
                ("Save-Data", "on"),
                ("Viewport-Width", "390"),
                ("DPR", "3"),
            ],
        ),
        (
            "a crawler",
            &[
                (
                    "User-Agent",
                    "Googlebot/2.1 (+http://www.google.com/bot.html)",
                ),
                ("From", "googlebot(at)googlebot.com"),
            ],
        ),
        (
            "a program",
            &[
                ("Accept", "application/json"),
                ("X-Requested-With", "XMLHttpRequest"),
                ("Origin", "https://evil.example"),
            ],
        ),
        (
            "somebody private",
            &[
                ("DNT", "1"),
                ("Sec-GPC", "1"),
                ("Cache-Control", "no-cache"),
                ("Pragma", "no-cache"),
            ],
        ),
    ]
}
