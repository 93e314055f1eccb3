//! Answers that are not pages: sitemaps, robots.txt, the assets, the description of the API.

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::{BuildError, Public, api};
use crate::cache::Draft;
use crate::cache::page::LifetimeClass;
use crate::catalog::index::WHOLE_CATALOGUE;
use crate::catalog::store_sitemap;
use crate::edge::tags::{Tag, TagSet};
use crate::storefront::assets::{Asset, assets};
use crate::storefront::seo::{self, sitemap};
use crate::storefront::urls::Urls;
use crate::web::private::cookie::Cookies;

/// Products read from the database at once for a sitemap.
const BATCH: u32 = 5_000;
/// Categories in their sitemap.
const MAXIMUM_CATEGORIES: usize = 10_000;

const TEXT: &str = "text/plain; charset=utf-8";
const XML: &str = "application/xml; charset=utf-8";

fn draft(content_type: &'static str, body: impl Into<bytes::Bytes>) -> Draft {
    Draft {
        status: 200,
        content_type,
        body: body.into(),
        tags: TagSet::new().with(Tag::settings()),
        lifetime: LifetimeClass::Content,
        valid_until: None,
        location: None,
        link: None,
    }
}

/// `/` leads to the default language. Not for good: the default may change.
pub(super) fn root(public: &Public) -> Draft {
    let site = &public.site;
    let home = site
        .urls(site.default_locale(), site.default_currency())
        .home();
    Draft {
        status: 302,
        lifetime: LifetimeClass::Redirect,
        location: Some(home),
        ..draft(TEXT, "")
    }
}

pub(super) fn robots(public: &Public) -> Draft {
    draft(TEXT, sitemap::robots_txt(&public.site, "/sitemap.xml"))
}

pub(super) fn asset(asset: &'static Asset) -> Draft {
    Draft {
        lifetime: LifetimeClass::Immutable,
        tags: TagSet::new(),
        ..draft(asset.content_type, asset.content)
    }
}

pub(super) fn favicon() -> Draft {
    Draft {
        status: 302,
        lifetime: LifetimeClass::Redirect,
        location: Some(assets().icon.url()),
        ..draft(TEXT, "")
    }
}

pub(super) fn open_api(public: &Public) -> Result<Draft, BuildError> {
    let cookies = Cookies::for_origin(&public.site.origin);
    let text = serde_json::to_vec_pretty(&api::description(cookies))
        .map_err(|error| BuildError::Write(Box::new(error)))?;
    Ok(draft("application/json", text))
}

/// Products in one sitemap file: each has an address in every language.
fn shard_size(public: &Public) -> u32 {
    let languages = u32::try_from(public.site.locales.len().max(1)).unwrap_or(1);
    store_sitemap::MAX_URLS / languages
}

pub(super) async fn sitemap_index(
    public: &Public,
    connection: &mut MySqlConnection,
) -> Result<Draft, BuildError> {
    let shards = store_sitemap::sitemap_shards(connection, shard_size(public)).await?;
    let address = |name: &str| sitemap::SitemapShard {
        url: format!("{}/sitemaps/{name}.xml", public.site.origin),
        changed_at: None,
    };
    let shards: Vec<_> = std::iter::once(address("categories"))
        .chain(
            shards
                .iter()
                .map(|shard| address(&format!("products-{shard}"))),
        )
        .collect();
    let xml =
        sitemap::sitemap_index(&shards).map_err(|error| BuildError::Write(Box::new(error)))?;
    Ok(Draft {
        tags: TagSet::new().with(Tag::category(WHOLE_CATALOGUE)),
        ..draft(XML, xml)
    })
}

/// `categories`, or `products-{number}`; anything else does not exist.
pub(super) async fn sitemap(
    public: &Public,
    connection: &mut MySqlConnection,
    name: &str,
) -> Result<Draft, BuildError> {
    let entries = if name == "categories" {
        Some(category_entries(public, connection).await?)
    } else {
        match name
            .strip_prefix("products-")
            .and_then(|number| number.parse().ok())
        {
            Some(shard) => Some(product_entries(public, connection, shard).await?)
                .filter(|entries| !entries.is_empty()),
            None => None,
        }
    };
    let tags = TagSet::new()
        .with(Tag::category(WHOLE_CATALOGUE))
        .with(Tag::menu());
    let Some(entries) = entries else {
        return Ok(Draft {
            status: 404,
            lifetime: LifetimeClass::Negative,
            tags,
            ..draft(TEXT, "There is no such sitemap.\n")
        });
    };
    let xml =
        sitemap::sitemap_shard(&entries).map_err(|error| BuildError::Write(Box::new(error)))?;
    Ok(Draft {
        tags,
        ..draft(XML, xml)
    })
}

/// The addresses of one thing in every language.
fn entries(
    public: &Public,
    changed_at: OffsetDateTime,
    path: impl Fn(&Urls) -> String,
) -> Vec<sitemap::SitemapEntry> {
    let site = &public.site;
    let alternates = seo::alternates(site, &site.locales, &path);
    site.locales
        .iter()
        .map(|locale| sitemap::SitemapEntry {
            url: format!(
                "{}{}",
                site.origin,
                path(&site.urls(*locale, site.default_currency()))
            ),
            changed_at: Some(changed_at),
            alternates: alternates.clone(),
        })
        .collect()
}

async fn product_entries(
    public: &Public,
    connection: &mut MySqlConnection,
    shard: i64,
) -> Result<Vec<sitemap::SitemapEntry>, BuildError> {
    let size = shard_size(public);
    let now = OffsetDateTime::now_utc();
    let mut all = Vec::new();
    let mut after = -1;
    loop {
        let rows =
            store_sitemap::sitemap_products(connection, shard, size, after, BATCH, now).await?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        let complete = rows.len() < BATCH as usize;
        for row in rows {
            all.extend(entries(public, row.updated_at, |urls| {
                urls.product(row.slug.as_str())
            }));
        }
        if complete {
            break;
        }
    }
    Ok(all)
}

async fn category_entries(
    public: &Public,
    connection: &mut MySqlConnection,
) -> Result<Vec<sitemap::SitemapEntry>, BuildError> {
    let mut all = Vec::new();
    let mut after = 0;
    let mut read = 0;
    while read < MAXIMUM_CATEGORIES {
        let rows = store_sitemap::sitemap_categories(connection, after, BATCH).await?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        read += rows.len();
        let complete = rows.len() < BATCH as usize;
        for row in rows {
            all.extend(entries(public, row.updated_at, |urls| {
                urls.category(row.slug.as_str())
            }));
        }
        if complete {
            break;
        }
    }
    Ok(all)
}
