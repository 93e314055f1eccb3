//! The categories and links around every page, kept in the process and judged like any cached answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::MySqlConnection;
use time::OffsetDateTime;

use super::{BuildError, Public};
use crate::cache::page::hash_tag;
use crate::catalog::category::CategoryNode;
use crate::catalog::model::Locale as CatalogueLocale;
use crate::catalog::store_category;
use crate::content::store::{self as content, Kind};
use crate::storefront::i18n::Locale;
use crate::storefront::money::Currency;
use crate::storefront::view::{Frame, Link, LinkGroup, LinkTarget, MenuCategory};

/// Levels of categories in the menu.
const LEVELS: u32 = 2;
/// Links to content pages in the footer.
const FOOTER_LINKS: u32 = 12;

/// The parts of the frame that come from the database, by language.
#[derive(Debug, Default)]
pub struct Menu {
    kept: Mutex<HashMap<Locale, (i64, Arc<Parts>)>>,
}

#[derive(Debug)]
struct Parts {
    menu: Vec<MenuCategory>,
    footer: Vec<LinkGroup>,
    tree: Vec<CategoryNode>,
    /// When a page that is planned joins the footer.
    until: Option<OffsetDateTime>,
}

/// The frame of a page, and the tree of categories that its menu shows.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) frame: Frame,
    parts: Arc<Parts>,
}

impl Surroundings {
    fn new(parts: Arc<Parts>, locale: Locale, currency: Currency) -> Self {
        let frame = Frame {
            locale,
            currency,
            menu: parts.menu.clone(),
            footer: parts.footer.clone(),
        };
        Self { frame, parts }
    }

    /// Until when it is right, if nothing is changed.
    pub(super) fn until(&self) -> Option<OffsetDateTime> {
        self.parts.until
    }

    pub(super) fn tree(&self) -> &[CategoryNode] {
        &self.parts.tree
    }
}

/// How long a private page waits for its menu before it goes without.
const PATIENCE: Duration = Duration::from_secs(2);

/// The frame of a page that has no connection at hand. It is nearly always kept; where it is not and the database does not answer,
/// the page goes without a menu.
pub async fn frame(public: &Arc<Public>, locale: Locale, currency: Currency) -> Frame {
    let maker = Arc::clone(public);
    // A task of its own: a statement that hangs is left to itself, not abandoned half-way on a pooled connection.
    let made = tokio::spawn(async move {
        if let Some(parts) = kept(&maker, locale) {
            return Ok(Surroundings::new(parts, locale, currency));
        }
        let sequence = maker.cache.freshness().sequence();
        let mut reader = maker.db.reader(sequence).await?;
        surroundings(&maker, &mut reader.connection, sequence, locale, currency).await
    });
    match tokio::time::timeout(PATIENCE, made).await {
        Ok(Ok(Ok(surroundings))) => surroundings.frame,
        _ => Frame::bare(locale, currency),
    }
}

/// The parts that are kept for a language, if they are right.
fn kept(public: &Public, locale: Locale) -> Option<Arc<Parts>> {
    let kept = {
        let kept = public
            .menu
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.get(&locale).cloned()
    };
    let tags = [hash_tag("m-menu"), hash_tag("g-any")];
    let (made_at, parts) = kept?;
    let is_due = parts
        .until
        .is_some_and(|until| until <= OffsetDateTime::now_utc());
    (!is_due && public.cache.freshness().is_right(made_at, &tags)).then_some(parts)
}

/// The frame for pages in a language and a currency.
pub(super) async fn surroundings(
    public: &Public,
    connection: &mut MySqlConnection,
    sequence: i64,
    locale: Locale,
    currency: Currency,
) -> Result<Surroundings, BuildError> {
    let parts = match kept(public, locale) {
        Some(parts) => parts,
        None => {
            let parts = Arc::new(load(public, connection, locale).await?);
            let mut kept = public
                .menu
                .kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            kept.insert(locale, (sequence, Arc::clone(&parts)));
            parts
        }
    };
    Ok(Surroundings::new(parts, locale, currency))
}

async fn load(
    public: &Public,
    connection: &mut MySqlConnection,
    locale: Locale,
) -> Result<Parts, BuildError> {
    let language = public.language(locale);
    let default = public.default_language();
    let tree = store_category::navigation(connection, &language, &default, LEVELS).await?;
    let now = OffsetDateTime::now_utc();
    let pages = content::listed(
        connection,
        Kind::Page,
        &language,
        &default,
        now,
        0,
        FOOTER_LINKS,
    )
    .await?;
    let until = content::next_publication(connection, Kind::Page, now).await?;
    let links: Vec<Link> = pages
        .into_iter()
        .map(|page| Link {
            label: page.title,
            target: LinkTarget::Page(page.slug),
        })
        .collect();
    let mut footer = vec![LinkGroup {
        heading: locale.messages().shop_by_category.to_owned(),
        links: tree
            .iter()
            .take(8)
            .map(|node| Link {
                label: node.category.name.clone(),
                target: LinkTarget::Category(node.category.slug.as_str().to_owned()),
            })
            .collect(),
    }];
    if !links.is_empty() {
        footer.push(LinkGroup {
            heading: public.site.name.clone(),
            links,
        });
    }
    Ok(Parts {
        menu: tree.iter().map(menu_category).collect(),
        footer,
        tree,
        until,
    })
}

fn menu_category(node: &CategoryNode) -> MenuCategory {
    MenuCategory {
        slug: node.category.slug.as_str().to_owned(),
        name: node.category.name.clone(),
        children: node.children.iter().map(menu_category).collect(),
    }
}

impl Public {
    /// A language as the catalogue knows it.
    pub(super) fn language(&self, locale: Locale) -> CatalogueLocale {
        let tag = locale.tag();
        self.catalogue
            .locales()
            .find(|known| known.as_str().eq_ignore_ascii_case(tag))
            .unwrap_or(&self.catalogue.default_locale)
            .clone()
    }

    /// The language of texts that are missing in another.
    pub(super) fn default_language(&self) -> CatalogueLocale {
        self.catalogue.default_locale.clone()
    }
}
