//! Which addresses are private. The edge is told the same list (`edge::vcl`): what begins so is never stored.

/// First segments of private pages, after the language.
pub const PAGES: &[&str] = &[
    "account", "cart", "checkout", "login", "logout", "orders", "pay", "register", "reset",
    "returns", "verify",
];

/// What private parts of the API begin with, after `/api/v1`. The staff API has a scope of its own.
pub const API: &[&str] = &[
    "auth", "carts", "checkout", "me", "orders", "returns", "session", "webhooks",
];

/// Whether an address belongs to the private scope. Escapes and the case of letters do not matter: whatever could be read as a
/// private address by any program on the way is answered as one.
#[must_use]
pub fn is_private(path: &str) -> bool {
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8_lossy()
        .to_ascii_lowercase();
    let mut segments = path
        .split(['/', '\\'])
        .filter(|segment| !segment.is_empty())
        .map(|segment| segment.split([';', '?', '#']).next().unwrap_or_default());
    match (segments.next(), segments.next(), segments.next()) {
        (Some("api"), Some("v1"), Some(name)) => API.contains(&name),
        (Some(locale), Some(name), _) => is_locale(locale) && PAGES.contains(&name),
        _ => false,
    }
}

/// Whether a segment has the form of a language, offered or not: two or three letters, and what follows a hyphen.
fn is_locale(segment: &str) -> bool {
    let language = segment.split('-').next().unwrap_or_default();
    (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_may_be_read_as_private_is_private() {
        for path in [
            "/en/cart",
            "/en/cart/",
            "/en/cart/style.css",
            "/en/account/addresses",
            "/zh-cn/orders/abc",
            "/EN/Cart",
            "/en/%63art",
            "/en//cart",
            "/en/cart;x.css",
            "/en/cart%2fx.css",
            "/en%2fcart",
            "/de/cart",
            "/api/v1/session",
            "/api/v1/carts/x/lines",
            "/api/v1/ME",
        ] {
            assert!(is_private(path), "{path}");
        }
        for path in [
            "/",
            "/en",
            "/en/p/cart",
            "/en/carts",
            "/cart",
            "/api/v1/products",
            "/api/v1/admin/orders",
            "/assets/cart",
        ] {
            assert!(!is_private(path), "{path}");
        }
    }
}
