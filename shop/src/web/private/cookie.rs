//! The shop's two cookies (RFC 6265bis): the session of an account, and the cart.

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use time::Duration;

use super::id::PublicId;

/// Longest `Cookie` header that is looked at, in bytes.
const MAXIMUM_HEADER: usize = 8192;

/// How long a browser keeps a session that nobody ends; the session itself ends earlier when it is not used.
pub const SESSION_AGE: Duration = Duration::days(30);
/// How long a browser keeps a cart.
pub const CART_AGE: Duration = Duration::days(60);

/// The names of the cookies, and how they are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookies {
    is_secure: bool,
}

impl Cookies {
    /// For a shop at this origin: with `https` the names have the prefix `__Host-`, which browsers take from this host alone and
    /// over TLS alone.
    #[must_use]
    pub fn for_origin(origin: &str) -> Self {
        Self {
            is_secure: origin.starts_with("https://"),
        }
    }

    /// The name of the session's cookie.
    #[must_use]
    pub const fn session_name(self) -> &'static str {
        if self.is_secure {
            "__Host-panono-session"
        } else {
            "panono-session"
        }
    }

    /// The name of the cart's cookie.
    #[must_use]
    pub const fn cart_name(self) -> &'static str {
        if self.is_secure {
            "__Host-panono-cart"
        } else {
            "panono-cart"
        }
    }

    /// The session's token of a request.
    #[must_use]
    pub fn session(self, headers: &HeaderMap) -> Option<String> {
        find(headers, self.session_name())
    }

    /// The cart of a request.
    #[must_use]
    pub fn cart(self, headers: &HeaderMap) -> Option<PublicId> {
        find(headers, self.cart_name())?.parse().ok()
    }

    /// `Set-Cookie` that gives a browser its session.
    #[must_use]
    pub fn set_session(self, token: &str) -> HeaderValue {
        self.set(self.session_name(), token, SESSION_AGE)
    }

    /// `Set-Cookie` that gives a browser its cart.
    #[must_use]
    pub fn set_cart(self, cart: PublicId) -> HeaderValue {
        self.set(self.cart_name(), cart.as_str(), CART_AGE)
    }

    /// `Set-Cookie` that takes the session away.
    #[must_use]
    pub fn clear_session(self) -> HeaderValue {
        self.set(self.session_name(), "", Duration::ZERO)
    }

    /// `Set-Cookie` that takes the cart away.
    #[must_use]
    pub fn clear_cart(self) -> HeaderValue {
        self.set(self.cart_name(), "", Duration::ZERO)
    }

    fn set(self, name: &str, value: &str, age: Duration) -> HeaderValue {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let text = format!(
            "{name}={value}; Max-Age={}; Path=/; HttpOnly; SameSite=Lax{secure}",
            age.whole_seconds()
        );
        // Tokens and ids are letters and digits, so that this is always a field value.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }
}

/// The first cookie with this name, as browsers send the most specific one first.
fn find(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .filter_map(|value| value.to_str().ok())
        .filter(|value| value.len() <= MAXIMUM_HEADER)
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, value)| *known == name && !value.is_empty())
        .map(|(_, value)| value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static(cookie));
        headers
    }

    #[test]
    fn cookies_are_found_by_their_exact_name() {
        let cookies = Cookies::for_origin("http://127.0.0.1");
        let found = cookies.session(&headers("a=b; panono-session=t; panono-session=u"));
        assert_eq!(found.as_deref(), Some("t"));
        for other in ["", "xpanono-session=t", "panono-session", "panono-session="] {
            assert_eq!(cookies.session(&headers(other)), None, "{other}");
        }
        let secure = Cookies::for_origin("https://shop.example");
        assert_eq!(secure.session(&headers("panono-session=t")), None);
    }

    #[test]
    fn a_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let secure = Cookies::for_origin("https://shop.example");
        assert_eq!(
            secure.set_session("t").to_str().unwrap(),
            "__Host-panono-session=t; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        let plain = Cookies::for_origin("http://127.0.0.1:8080");
        assert_eq!(
            plain.clear_cart().to_str().unwrap(),
            "panono-cart=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
        );
    }
}
