//! Sitemaps and robots.txt (sitemaps.org protocol 0.9, RFC 9309).

use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::view::Site;
use super::Alternate;

/// Most addresses of one sitemap, by the protocol.
pub const MAX_SHARD_URLS: usize = 50_000;
/// Most bytes of one sitemap, uncompressed, by the protocol.
const MAX_SHARD_BYTES: usize = 50 * 1024 * 1024;
/// Most sitemaps of one index, by the protocol.
const MAX_INDEX_SHARDS: usize = 50_000;

/// A page in a sitemap.
#[derive(Clone, Debug)]
pub struct SitemapEntry {
    /// The absolute, canonical address.
    pub url: String,
    /// When its content last changed.
    pub changed_at: Option<OffsetDateTime>,
    /// The page in every language, this one included.
    pub alternates: Vec<Alternate>,
}

/// A sitemap in the index.
#[derive(Clone, Debug)]
pub struct SitemapShard {
    /// Its absolute address.
    pub url: String,
    /// When something in it last changed.
    pub changed_at: Option<OffsetDateTime>,
}

/// Why a sitemap cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SitemapError {
    /// It must be split.
    #[error("a sitemap holds at most {limit} addresses, not {count}: split it into more shards")]
    TooManyAddresses {
        /// The limit of the protocol.
        limit: usize,
        /// What was asked for.
        count: usize,
    },
    /// It must be split.
    #[error("a sitemap is at most {limit} bytes long: put fewer addresses into a shard")]
    TooLong {
        /// The limit of the protocol.
        limit: usize,
    },
    /// A time that RFC 3339 cannot say.
    #[error("failed to write a time of the sitemap")]
    WriteTime(#[source] time::error::Format),
}

/// Writes one sitemap.
///
/// # Errors
/// When there is too much for one.
pub fn sitemap_shard(entries: &[SitemapEntry]) -> Result<String, SitemapError> {
    if entries.len() > MAX_SHARD_URLS {
        return Err(SitemapError::TooManyAddresses {
            limit: MAX_SHARD_URLS,
            count: entries.len(),
        });
    }
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\" \
         xmlns:xhtml=\"http://www.w3.org/1999/xhtml\">\n",
    );
    for entry in entries {
        let _ = write!(xml, "<url><loc>{}</loc>", escape(&entry.url));
        push_time(&mut xml, entry.changed_at)?;
        for alternate in &entry.alternates {
            let (language, url) = (alternate.language, escape(&alternate.url));
            let _ = write!(
                xml,
                "<xhtml:link rel=\"alternate\" hreflang=\"{language}\" href=\"{url}\"/>"
            );
        }
        xml.push_str("</url>\n");
        if xml.len() > MAX_SHARD_BYTES {
            return Err(SitemapError::TooLong {
                limit: MAX_SHARD_BYTES,
            });
        }
    }
    xml.push_str("</urlset>\n");
    Ok(xml)
}

/// Writes the list of sitemaps.
///
/// # Errors
/// When there are too many for one list.
pub fn sitemap_index(shards: &[SitemapShard]) -> Result<String, SitemapError> {
    if shards.len() > MAX_INDEX_SHARDS {
        return Err(SitemapError::TooManyAddresses {
            limit: MAX_INDEX_SHARDS,
            count: shards.len(),
        });
    }
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for shard in shards {
        let _ = write!(xml, "<sitemap><loc>{}</loc>", escape(&shard.url));
        push_time(&mut xml, shard.changed_at)?;
        xml.push_str("</sitemap>\n");
    }
    xml.push_str("</sitemapindex>\n");
    Ok(xml)
}

/// Writes robots.txt: everything public may be read, what belongs to one visitor not.
#[must_use]
pub fn robots_txt(site: &Site, sitemap_path: &str) -> String {
    let mut text = String::from("User-agent: *\n");
    for path in ["/account", "/admin", "/api/", "/cart", "/checkout"] {
        let _ = writeln!(text, "Disallow: {path}");
    }
    text.push_str("Allow: /\n\n");
    let _ = writeln!(text, "Sitemap: {}{sitemap_path}", site.origin);
    text
}

fn push_time(xml: &mut String, time: Option<OffsetDateTime>) -> Result<(), SitemapError> {
    if let Some(time) = time {
        let whole_seconds = time.replace_nanosecond(0).unwrap_or(time);
        let text = whole_seconds
            .format(&Rfc3339)
            .map_err(SitemapError::WriteTime)?;
        let _ = write!(xml, "<lastmod>{text}</lastmod>");
    }
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(url: &str) -> SitemapEntry {
        SitemapEntry {
            url: url.to_owned(),
            changed_at: None,
            alternates: Vec::new(),
        }
    }

    #[test]
    fn a_shard_names_pages_with_their_languages() {
        let page = SitemapEntry {
            changed_at: Some(
                OffsetDateTime::from_unix_timestamp_nanos(1_767_225_600_123_456_789).unwrap(),
            ),
            alternates: vec![Alternate {
                language: "zh-CN",
                url: "https://shop.example/zh-cn/p/a?b&c".to_owned(),
            }],
            ..entry("https://shop.example/en/p/a?b&c")
        };
        let xml = sitemap_shard(&[page]).unwrap();
        assert!(xml.contains(
            "<url><loc>https://shop.example/en/p/a?b&amp;c</loc><lastmod>2026-01-01T00:00:00Z</lastmod>\
             <xhtml:link rel=\"alternate\" hreflang=\"zh-CN\" href=\"https://shop.example/zh-cn/p/a?b&amp;c\"/></url>"
        ));
    }

    #[test]
    fn a_shard_has_an_end() {
        let full = vec![entry("https://shop.example/en"); MAX_SHARD_URLS];
        assert_eq!(
            sitemap_shard(&full).unwrap().matches("<loc>").count(),
            MAX_SHARD_URLS
        );
        let more = [full, vec![entry("https://shop.example/en")]].concat();
        assert!(matches!(
            sitemap_shard(&more),
            Err(SitemapError::TooManyAddresses { count: 50_001, .. })
        ));
        let long = vec![entry(&format!("https://shop.example/{}", "a".repeat(2_000))); 40_000];
        assert!(matches!(
            sitemap_shard(&long),
            Err(SitemapError::TooLong { .. })
        ));
    }

    #[test]
    fn the_index_names_shards() {
        let shard = SitemapShard {
            url: "https://shop.example/sitemap-products-1.xml".to_owned(),
            changed_at: None,
        };
        let xml = sitemap_index(&[shard]).unwrap();
        assert!(
            xml.contains(
                "<sitemap><loc>https://shop.example/sitemap-products-1.xml</loc></sitemap>"
            )
        );
    }
}
