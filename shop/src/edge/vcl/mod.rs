//! The Varnish configuration that belongs to this release of the shop.
//!
//! [`render`] is pure. What the VCL does, the headers it exchanges with the origin and its purge interface are described
//! in `docs/edge.md`; why the shop renders it is decision 2.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

mod check;
mod config;

pub use config::{ContentCoding, PurgeToken, Scheme, VclConfig, VclError};

use check::{checked_backend, checked_host, checked_network, checked_path, escape_regex};

/// The VCL in the order of a request's way; `@PLACES@` are filled by [`render`].
const TEMPLATE: &str = concat!(
    include_str!("../varnish/head.vcl"),
    "\n",
    include_str!("../varnish/request.vcl"),
    "\n",
    include_str!("../varnish/purge.vcl"),
    "\n",
    include_str!("../varnish/lookup.vcl"),
    "\n",
    include_str!("../varnish/fetch.vcl"),
    "\n",
    include_str!("../varnish/answer.vcl"),
);

/// Answered by the edge itself with 200, for any host: the process runs and its VCL is loaded.
/// It does not ask the origin, because an edge without origin still serves what it has.
pub const EDGE_HEALTH_PATH: &str = "/.well-known/panono-edge/health";

/// The longest that anything is kept fresh, whatever the origin allows. Varnish keeps lifetimes in single precision:
/// at 30 days that is a quarter of a second, at a year two seconds, and stale objects are told apart to the second.
pub const MAXIMUM_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// The longest from the moment at which an answer's head is there to the one at which the request that fetched it looks for
/// purges in between: usually less than a millisecond, and more on a machine that is out of processors.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The parts of `Panono-Edge` on a stored answer: when it was stored, for how long it may be shown stale while it is refreshed, for
/// how long if that fails, the name of its fetch, and what was purged until then. (Whether the fetch was in the background follows.)
const EDGE_TIMES: &str = "^([^ ]+) ([^ ]+) ([^ ]+) (fetch [0-9]+) floor ([0-9]+);.*$";

/// Changes with the headers that are kept on a stored answer.
const STORED_FORMAT: &str = "3";

/// What browsers send: with TLS those of today and of some years ago, and without it.
const USUAL_ENCODINGS: [&str; 3] = [
    "gzip, deflate, br, zstd",
    "gzip, deflate, br",
    "gzip, deflate",
];

/// Parameters that varnishd should be started with (`-p name=value`), each one known to every Varnish 7.
///
/// The VCL relies on `http_gzip_support=off` (variants come from the origin), on the zero defaults (what has no explicit
/// lifetime has none) and on the limits of restarts and retries; the rest bounds what a client or a header may cost.
/// Small objects, answers that are passed on and failures live in the storage named `Transient`, which has no bound
/// unless one is given: start varnishd with `-s Transient=malloc,64m` or the like.
pub const VARNISHD_PARAMETERS: &[(&str, &str)] = &[
    ("default_ttl", "0"),
    ("default_grace", "0"),
    ("default_keep", "0"),
    ("http_gzip_support", "off"),
    ("vcc_allow_inline_c", "off"),
    ("feature", "-http2"),
    ("max_restarts", "5"),
    ("max_retries", "4"),
    // 4 KB of tags arrive twice and are stored once more; 8 KB is the longest URL with room to spare.
    ("http_req_hdr_len", "12k"),
    ("http_req_size", "32k"),
    ("http_resp_hdr_len", "12k"),
    ("http_resp_size", "48k"),
    ("http_max_hdr", "96"),
    ("workspace_client", "192k"),
    ("workspace_backend", "192k"),
    // The dictionary grammar recurses a few levels; the default of 20 is for machines without the compiled matcher.
    ("pcre2_depth_limit", "200"),
    ("pcre2_match_limit", "100000"),
    // Each hit takes some headers away; that they were there is in the log already.
    ("vsl_mask", "-RespUnset"),
    ("thread_pools", "2"),
    ("thread_pool_min", "50"),
    ("thread_pool_max", "1000"),
    ("thread_queue_limit", "200"),
    ("timeout_idle", "30"),
    ("send_timeout", "60"),
    ("idle_send_timeout", "30"),
];

/// The VCL for `config`.
///
/// # Errors
/// If something in `config` cannot be meant, or could not be written into VCL safely. The first one found is named.
pub fn render(config: &VclConfig) -> Result<String, VclError> {
    check(config)?;
    let fills = [
        ("@PROBE@", probe(config)?),
        ("@BACKENDS@", backends(config)?),
        ("@PURGERS@", networks("purge_from", &config.purge_from)?),
        (
            "@TRUSTED_PROXIES@",
            networks("trusted_proxies", &config.trusted_proxies)?,
        ),
        ("@DIRECTOR@", director(config)),
        ("@PRIVATE_PATHS@", private_paths(config)?),
        ("@SCHEME@", scheme(config.scheme).to_owned()),
        ("@EDGE_HEALTH_PATH@", EDGE_HEALTH_PATH.to_owned()),
        ("@MAXIMUM_TARGET@", config.maximum_target.to_string()),
        ("@HOSTS@", hosts(config)?),
        ("@DROPPED_PARAMETERS@", dropped_parameters(config)?),
        ("@ENCODINGS@", encodings(config)),
        ("@KEY_SPACE@", key_space(config)?),
        ("@KEY_HOST@", key_host(config)?),
        ("@EDGE_TIMES@", EDGE_TIMES.to_owned()),
        ("@USUAL_ENCODINGS@", usual_encodings(config)),
        ("@PURGE_TOKEN@", purge_token(config)),
        ("@KEEP@", seconds(config.keep)),
        ("@HIT_FOR_MISS@", seconds(config.hit_for_miss)),
        ("@FAILURE_HOLD@", seconds(config.failure_hold)),
        ("@SETTLE@", seconds(config.settle)),
        ("@LOOK_AGAIN@", LOOK_AGAIN.as_secs().to_string()),
        ("@MAXIMUM_LIFETIME@", MAXIMUM_LIFETIME.as_secs().to_string()),
    ];
    Ok(fills
        .iter()
        .fold(TEMPLATE.to_owned(), |text, (place, value)| {
            text.replace(place, value)
        }))
}

fn check(config: &VclConfig) -> Result<(), VclError> {
    // Each list is searched for each request, or probed: these are far beyond what a shop has.
    for (name, length, least, most) in [
        ("backends", config.backends.len(), 1, 64),
        ("hosts", config.hosts.len(), 1, 256),
        ("purge_from", config.purge_from.len(), 1, 256),
        ("trusted_proxies", config.trusted_proxies.len(), 0, 256),
        ("private_paths", config.private_paths.len(), 1, 256),
        (
            "dropped_parameters",
            config.dropped_parameters.len(),
            1,
            256,
        ),
        ("encodings", config.encodings.len(), 0, 3),
    ] {
        if length < least {
            return Err(VclError::Empty(name));
        }
        if length > most {
            return Err(VclError::TooMany(name, most));
        }
    }
    let minute = Duration::from_secs(60);
    let day = Duration::from_secs(86_400);
    let millisecond = Duration::from_millis(1);
    for (name, value, least, most, least_text, most_text) in [
        (
            "probe_interval",
            config.probe_interval,
            Duration::from_millis(100),
            minute,
            "100 ms",
            "1 min",
        ),
        (
            "connect_timeout",
            config.connect_timeout,
            millisecond,
            minute,
            "1 ms",
            "1 min",
        ),
        (
            "first_byte_timeout",
            config.first_byte_timeout,
            millisecond,
            minute * 5,
            "1 ms",
            "5 min",
        ),
        (
            "between_bytes_timeout",
            config.between_bytes_timeout,
            millisecond,
            minute * 5,
            "1 ms",
            "5 min",
        ),
        (
            "hit_for_miss",
            config.hit_for_miss,
            Duration::from_secs(1),
            day,
            "1 s",
            "1 day",
        ),
        (
            "failure_hold",
            config.failure_hold,
            millisecond,
            minute,
            "1 ms",
            "1 min",
        ),
        (
            "keep",
            config.keep,
            Duration::ZERO,
            day * 30,
            "0",
            "30 days",
        ),
        (
            "settle",
            config.settle,
            Duration::ZERO,
            minute * 5,
            "0",
            "5 min",
        ),
    ] {
        if !(least..=most).contains(&value) {
            return Err(VclError::Range {
                name,
                least: least_text,
                most: most_text,
            });
        }
    }
    if !(1..=100_000).contains(&config.maximum_connections) {
        return Err(VclError::Range {
            name: "maximum_connections",
            least: "1",
            most: "100000",
        });
    }
    if !(256..=8000).contains(&config.maximum_target) {
        return Err(VclError::Range {
            name: "maximum_target",
            least: "256",
            most: "8000",
        });
    }
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}

fn scheme(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    }
}

/// A backend counts as healthy until two probes have failed: an edge that just started should serve at once.
fn probe(config: &VclConfig) -> Result<String, VclError> {
    let host = config.hosts.first().ok_or(VclError::Empty("hosts"))?;
    let path = checked_path(&config.health_path)?;
    let interval = seconds(config.probe_interval);
    Ok(format!(
        "probe health {{\n\t.request =\n\t    \"GET {path} HTTP/1.1\"\n\t    \"Host: {host}\"\n\t    \"User-Agent: panono-edge\"\n\t    \
         \"Connection: close\";\n\t.interval = {interval}s;\n\t.timeout = 1s;\n\t.window = 3;\n\t.threshold = 2;\n\t.initial = 3;\n}}\n"
    ))
}

fn backends(config: &VclConfig) -> Result<String, VclError> {
    let mut text = String::new();
    for (index, backend) in config.backends.iter().enumerate() {
        let (host, port) = checked_backend(backend)?;
        text.push_str(&format!(
            "backend web{index} {{\n\t.host = \"{host}\";\n\t.port = \"{port}\";\n\t.probe = health;\n\t.connect_timeout = {}s;\n\t\
             .first_byte_timeout = {}s;\n\t.between_bytes_timeout = {}s;\n\t.max_connections = {};\n}}\n",
            seconds(config.connect_timeout),
            seconds(config.first_byte_timeout),
            seconds(config.between_bytes_timeout),
            config.maximum_connections,
        ));
    }
    Ok(text)
}

fn director(config: &VclConfig) -> String {
    let mut text = "\tnew shop = directors.round_robin();".to_owned();
    for index in 0..config.backends.len() {
        text.push_str(&format!("\n\tshop.add_backend(web{index});"));
    }
    text
}

fn networks(name: &'static str, list: &[String]) -> Result<String, VclError> {
    if list.is_empty() {
        // An ACL may not be empty; this one matches nobody.
        return Ok("\t! \"0.0.0.0\"/0;\n\t! \"::\"/0;".to_owned());
    }
    let mut lines = Vec::new();
    for entry in list {
        let line = checked_network(entry)?;
        // A repeated entry is a mistake in VCL, but harmless here.
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.is_empty() {
        Err(VclError::Empty(name))
    } else {
        Ok(lines.join("\n"))
    }
}

fn hosts(config: &VclConfig) -> Result<String, VclError> {
    let mut names = Vec::new();
    for host in &config.hosts {
        names.push(escape_regex(checked_host(host)?));
    }
    Ok(format!("^(?:{})$", names.join("|")))
}

/// What is found at the first look passed the rules of the configuration by which it was stored. Where other rules hold, or other
/// headers are kept, other keys do.
fn key_space(config: &VclConfig) -> Result<String, VclError> {
    let rules = [STORED_FORMAT, &hosts(config)?, &private_paths(config)?].join("\n");
    Ok(format!("{:016x}", xxh3_64(rules.as_bytes())))
}

/// The host without the port of the public address, which requests have at the first look.
fn key_host(config: &VclConfig) -> Result<String, VclError> {
    let whole = "hash_data(req.http.Host);\n";
    let Some(port) = config.public_port else {
        return Ok(format!("\t{whole}"));
    };
    let host = checked_host(config.hosts.first().ok_or(VclError::Empty("hosts"))?)?;
    Ok(format!(
        "\tif (req.http.Host == \"{host}:{port}\") {{\n\t\thash_data(\"{host}\");\n\t}} else {{\n\t\t{whole}\t}}\n"
    ))
}

/// The choice of [`encodings`] for what browsers send, which needs no reading.
fn usual_encodings(config: &VclConfig) -> String {
    let mut cases = Vec::new();
    for usual in USUAL_ENCODINGS {
        let mut tokens = config.encodings.iter().map(|coding| coding.token());
        if let Some(token) = tokens.find(|token| usual.split(", ").any(|one| one == *token)) {
            cases.push(format!(
                "if (req.http.Accept-Encoding == \"{usual}\") {{\n\t\t\t\tset req.http.Accept-Encoding = \"{token}\";\n\t\t\t}}"
            ));
        }
    }
    if cases.is_empty() {
        return String::new();
    }
    // Most of what does not come from browsers comes from CDNs, which ask for this alone: it is left as it is after one look.
    cases.insert(
        0,
        "if (req.http.Accept-Encoding == \"gzip\") {\n\t\t\t\t# As it is.\n\t\t\t}".to_owned(),
    );
    format!("\t\t\t{}\n", cases.join(" else "))
}

/// Compared without regard to case: a path that only the edge takes for private is not stored, the reverse would be.
fn private_paths(config: &VclConfig) -> Result<String, VclError> {
    let mut paths = Vec::new();
    for path in &config.private_paths {
        paths.push(escape_regex(checked_path(path)?));
    }
    Ok(format!(
        "^(?i)(?:/[a-z]{{2,3}}(?:-[a-z0-9]{{2,8}})*)?(?:{})(?:/|\\?|$)",
        paths.join("|")
    ))
}

fn dropped_parameters(config: &VclConfig) -> Result<String, VclError> {
    let mut names = Vec::new();
    for parameter in &config.dropped_parameters {
        let (name, rest) = match parameter.strip_suffix('*') {
            Some(name) => (name, "[^=&]*"),
            None => (parameter.as_str(), ""),
        };
        if name.is_empty()
            || name.len() > 64
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            return Err(VclError::Parameter(parameter.clone()));
        }
        names.push(format!("{name}{rest}"));
    }
    Ok(names.join("|"))
}

fn encodings(config: &VclConfig) -> String {
    let mut text = String::new();
    for coding in &config.encodings {
        let token = coding.token();
        text.push_str(&format!(
            "\t\tif (req.http.Panono-Accepts ~ \",{token}[;,]\") {{\n\
             \t\t\tvar.set(\"weight_text\", regsub(req.http.Panono-Accepts, \"^.*?,{token}(?:;q=([^,;]*))?(?:;[^,]*)?,.*$\", \"q\\1\"));\n\
             \t\t\tcall panono_weight_of_text;\n\
             \t\t}} else {{\n\
             \t\t\tvar.set_real(\"candidate\", var.get_real(\"any\"));\n\
             \t\t}}\n\
             \t\tif (var.get_real(\"candidate\") > var.get_real(\"weight\")) {{\n\
             \t\t\tvar.set(\"encoding\", \"{token}\");\n\
             \t\t\tvar.set_real(\"weight\", var.get_real(\"candidate\"));\n\
             \t\t}}\n"
        ));
    }
    text
}

fn purge_token(config: &VclConfig) -> String {
    match &config.purge_token {
        None => String::new(),
        Some(PurgeToken(token)) => {
            format!(
                "\tif (req.http.Panono-Purge-Token != \"{token}\") {{\n\t\treturn (synth(403));\n\t}}\n"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> VclConfig {
        VclConfig::new(
            vec!["web:8080".to_owned()],
            vec!["shop.example".to_owned()],
            vec!["10.0.0.0/8".to_owned()],
        )
    }

    #[test]
    fn every_place_is_filled() {
        let text = render(&config()).unwrap();
        let left: Vec<&str> = text
            .split('@')
            .skip(1)
            .step_by(2)
            .filter(|part| part.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
            .collect();
        assert_eq!(left, Vec::<&str>::new());
    }

    #[test]
    fn networks_are_addresses_or_cidr() {
        for (given, line) in [
            ("127.0.0.1", "\t\"127.0.0.1\";"),
            ("10.0.0.0/8", "\t\"10.0.0.0\"/8;"),
            ("0.0.0.0/0", "\t\"0.0.0.0\"/0;"),
            ("fd00::/8", "\t\"fd00::\"/8;"),
            ("::1/128", "\t\"::1\";"),
        ] {
            assert_eq!(checked_network(given).as_deref(), Ok(line), "{given}");
        }
        for given in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "web",
            "::/129",
            "1.2.3.4\"; }",
        ] {
            assert_eq!(
                checked_network(given),
                Err(VclError::Network(given.to_owned())),
                "{given}"
            );
        }
        assert_eq!(
            checked_network("10.1.2.3/8"),
            Err(VclError::NetworkBits {
                given: "10.1.2.3/8".to_owned(),
                network: "10.0.0.0/8".to_owned()
            })
        );
    }

    #[test]
    fn backends_are_host_and_port() {
        for (given, host, port) in [
            ("web:8080", "web", 8080),
            ("10.0.0.1:80", "10.0.0.1", 80),
            ("[fd00::1]:80", "fd00::1", 80),
        ] {
            assert_eq!(checked_backend(given), Ok((host, port)));
        }
        for given in [
            "web",
            "web:0",
            "web:70000",
            ":80",
            "a b:80",
            "fd00::1:80",
            "[x]:80",
            "we\"b:80",
            "http://web:80",
        ] {
            assert_eq!(
                checked_backend(given),
                Err(VclError::Backend(given.to_owned())),
                "{given}"
            );
        }
    }

    #[test]
    fn what_could_break_out_of_the_text_is_refused() {
        let mut wrong = config();
        wrong.hosts = vec!["shop.example|.*".to_owned()];
        assert_eq!(
            render(&wrong),
            Err(VclError::Host("shop.example|.*".to_owned()))
        );
        wrong = config();
        wrong.hosts = vec!["Shop.example".to_owned()];
        assert_eq!(
            render(&wrong),
            Err(VclError::Host("Shop.example".to_owned()))
        );
        for path in ["account", "/account/", "/a//b", "/a/../b", "/a\"b", "/", ""] {
            wrong = config();
            wrong.private_paths = vec![path.to_owned()];
            assert_eq!(
                render(&wrong),
                Err(VclError::Path(path.to_owned())),
                "{path}"
            );
        }
        for parameter in ["", "*", "a|b", "a*b", "a=b"] {
            wrong = config();
            wrong.dropped_parameters = vec![parameter.to_owned()];
            assert_eq!(
                render(&wrong),
                Err(VclError::Parameter(parameter.to_owned())),
                "{parameter}"
            );
        }
        assert_eq!(PurgeToken::new("short").err(), Some(VclError::PurgeToken));
        assert_eq!(
            PurgeToken::new("0123456789abcdef\"").err(),
            Some(VclError::PurgeToken)
        );
    }

    #[test]
    fn empty_and_endless_lists_are_refused() {
        let mut wrong = config();
        wrong.backends.clear();
        assert_eq!(render(&wrong), Err(VclError::Empty("backends")));
        wrong = config();
        wrong.purge_from.clear();
        assert_eq!(render(&wrong), Err(VclError::Empty("purge_from")));
        wrong = config();
        wrong.hosts = vec!["a".to_owned(); 257];
        assert_eq!(render(&wrong), Err(VclError::TooMany("hosts", 256)));
        wrong = config();
        wrong.first_byte_timeout = Duration::from_secs(301);
        assert_eq!(
            render(&wrong),
            Err(VclError::Range {
                name: "first_byte_timeout",
                least: "1 ms",
                most: "5 min"
            })
        );
    }

    #[test]
    fn the_token_is_asked_for_and_not_shown() {
        let mut with_token = config();
        with_token.purge_token = Some(PurgeToken::new("0123456789abcdef").unwrap());
        assert!(
            render(&with_token)
                .unwrap()
                .contains("!= \"0123456789abcdef\"")
        );
        assert!(!format!("{with_token:?}").contains("0123456789abcdef"));
        assert!(!render(&config()).unwrap().contains("Panono-Purge-Token !="));
    }
}
