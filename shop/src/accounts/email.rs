//! E-mail addresses: when two are the same, and which cannot be one.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

/// Longest address (RFC 5321, 4.5.3.1.3 less the brackets), in bytes.
const LONGEST: usize = 254;
/// Longest part before the `@` (RFC 5321, 4.5.3.1.1), in bytes.
const LONGEST_LOCAL: usize = 64;

/// An address that a mail can be sent to, as it was typed and in the form by which addresses are the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email {
    typed: String,
    key: String,
}

/// A text that is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address, such as name@example.com")]
pub struct InvalidEmail;

impl Email {
    /// Reads an address. Quoted local parts and addresses in brackets are refused: nobody has one, and much software fails on them.
    ///
    /// # Errors
    /// [`InvalidEmail`]
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let typed = text.trim();
        if typed.len() > LONGEST {
            return Err(InvalidEmail);
        }
        let (local, domain) = typed.rsplit_once('@').ok_or(InvalidEmail)?;
        let allowed =
            |letter: char| letter.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(letter);
        let is_local = (1..=LONGEST_LOCAL).contains(&local.len())
            && local.chars().all(allowed)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let host = match url::Host::parse(domain) {
            Ok(url::Host::Domain(host)) => host,
            _ => return Err(InvalidEmail),
        };
        let is_host = host.contains('.')
            && !host.ends_with('.')
            && host.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            });
        if !is_local || !is_host {
            return Err(InvalidEmail);
        }
        let key = format!("{}@{host}", folded(local));
        if key.len() > LONGEST {
            return Err(InvalidEmail);
        }
        Ok(Self {
            typed: typed.to_owned(),
            key,
        })
    }

    /// The address as it was typed: mails go to it.
    #[must_use]
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// The form by which addresses are the same.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Addresses do not belong into logs.
impl fmt::Debug for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Email(…)")
    }
}

fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_reach_the_same_mailbox_are_the_same() {
        let key = |text: &str| Email::parse(text).unwrap().key().to_owned();
        assert_eq!(key(" Ada@Shop.Example "), "ada@shop.example");
        assert_eq!(key("ada@bücher.example"), key("ada@xn--bcher-kva.example"));
        assert_ne!(key("ada+x@shop.example"), key("ada@shop.example"));
        assert_eq!(
            Email::parse("Ada@Shop.Example").unwrap().typed(),
            "Ada@Shop.Example"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "ada",
            "@shop.example",
            "ada@",
            "ada@localhost",
            "a da@shop.example",
            "ada@shop.example\r\nBcc: x@y.example",
            "ada@shop..example",
            ".ada@shop.example",
            "ada@-shop.example",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "\"a\"@shop.example",
            "a,b@shop.example",
            "<ada@shop.example>",
            &format!("{}@shop.example", "a".repeat(65)),
            &format!("a@{}.example", "b".repeat(250)),
        ] {
            assert_eq!(Email::parse(text), Err(InvalidEmail), "{text:?}");
        }
    }
}
