//! A product as staff see it, and what they can do to it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::change::unacceptable;
use super::events::Event;
use super::fields::{
    FromBody, Object, boolean, id, instant, list, long_text, parsed, small_integer, text,
};
use crate::catalog::model::{Locale, Slug};
use crate::web::error::ApiError;

/// Bytes of a column of type TEXT.
const TEXT_BYTES: usize = 65_535;

/// Whether shoppers can see a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not shown.
    Draft,
    /// Shown, from `published_at` to `unpublished_at`.
    Active,
    /// Taken out of the catalogue: its address answers 410.
    Archived,
}

impl Status {
    /// The word in rows and bodies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Draft, Self::Active, Self::Archived]
            .into_iter()
            .find(|status| status.name() == text)
            .ok_or_else(|| "must be draft, active or archived".to_owned())
    }
}

/// What is said of a product or a category in one language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Text {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The title for search engines; the name when empty.
    pub seo_title: String,
    /// The description for search engines.
    pub seo_description: String,
}

impl Text {
    /// Reads a text; absent fields other than the name are empty.
    pub fn read(object: &mut Object<'_>, longest_name: usize) -> Option<Self> {
        let name = object.required("name", text(1, longest_name));
        let description = object.optional("description", long_text(TEXT_BYTES));
        let seo_title = object.optional("seo_title", text(0, 255));
        let seo_description = object.optional("seo_description", text(0, 512));
        Some(Self {
            name: name?,
            description: description?.unwrap_or_default(),
            seo_title: seo_title?.unwrap_or_default(),
            seo_description: seo_description?.unwrap_or_default(),
        })
    }
}

/// Names of products fit the derived search documents.
pub const LONGEST_PRODUCT_NAME: usize = 255;

impl FromBody for Text {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        Text::read(object, LONGEST_PRODUCT_NAME)
    }
}

/// The texts of a body, by locale.
pub fn translations(
    object: &mut Object<'_>,
    longest_name: usize,
) -> Option<BTreeMap<String, Text>> {
    object.object("translations", |object| {
        let mut texts = BTreeMap::new();
        for name in object.names() {
            match name.parse::<Locale>() {
                Ok(locale) if locale.as_str() == name => {
                    if let Some(text) =
                        object.object(&name, |object| Text::read(object, longest_name))
                    {
                        texts.insert(name, text);
                    }
                }
                _ => {
                    object.required(&name, |_| {
                        Err::<(), _>("is not a locale in lower case, such as en-gb".to_owned())
                    });
                }
            }
        }
        Some(texts)
    })
}

/// A category that a product is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Membership {
    /// The category.
    pub category_id: i64,
    /// Its place there: the lowest comes first.
    pub position: i32,
}

/// An option that variants choose a value of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProductOption {
    /// Its name, such as `Size`.
    pub name: String,
    /// Its values in the order in which they are shown.
    pub values: Vec<String>,
}

/// A picture of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Picture {
    /// The SHA-256 of the uploaded bytes.
    pub hash: String,
    /// What it shows, for those who cannot see it.
    pub alt: String,
    /// The variant that it shows, if it shows one.
    pub variant_id: Option<i64>,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Product {
    /// Its number.
    pub id: i64,
    /// The last part of its address.
    pub slug: String,
    /// Whether it is shown.
    pub status: Status,
    /// From when it is shown.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub published_at: Option<OffsetDateTime>,
    /// Until when it is shown.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub unpublished_at: Option<OffsetDateTime>,
    /// Its brand.
    pub brand_id: Option<i64>,
    /// The kind of product, for staff and feeds.
    pub product_type: String,
    /// Which tax rule applies.
    pub tax_category: String,
    /// Higher comes first in every listing.
    pub featured: i32,
    /// Free words, for staff and search.
    pub tags: BTreeSet<String>,
    /// Texts by locale.
    pub translations: BTreeMap<String, Text>,
    /// The categories that it is in.
    pub categories: Vec<Membership>,
    /// Its options.
    pub options: Vec<ProductOption>,
    /// Its pictures in order.
    pub media: Vec<Picture>,
    /// The number in its `ETag`.
    pub version: i64,
}

/// The body that creates a product. It begins as a draft.
#[derive(Debug, Clone, ToSchema)]
pub struct NewProduct {
    /// The last part of its address; made of the name in the shop's first locale when absent.
    #[schema(value_type = Option<String>)]
    pub slug: Option<Slug>,
    /// Texts by locale; the shop's first locale must be among them.
    pub translations: BTreeMap<String, Text>,
    /// Everything else.
    #[schema(inline)]
    pub patch: ProductPatch,
}

impl FromBody for NewProduct {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let slug = object.optional("slug", parsed::<Slug>);
        let translations = translations(object, LONGEST_PRODUCT_NAME);
        let patch = ProductPatch::read(object);
        Some(Self {
            slug: slug?,
            translations: translations?,
            patch: patch?,
        })
    }
}

/// The body that changes a product (RFC 7396): absent fields stay as they are.
#[derive(Debug, Clone, Default, ToSchema)]
#[expect(
    clippy::option_option,
    reason = "absent, null and a value are three things in a merge patch"
)]
pub struct ProductPatch {
    /// The brand; `null` for none.
    #[schema(value_type = Option<i64>)]
    pub brand_id: Option<Option<i64>>,
    /// The kind of product.
    pub product_type: Option<String>,
    /// Which tax rule applies.
    pub tax_category: Option<String>,
    /// Higher comes first in every listing.
    pub featured: Option<i32>,
    /// Free words; replaces all.
    pub tags: Option<Vec<String>>,
}

impl FromBody for ProductPatch {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let brand_id = object.nullable("brand_id", id);
        let product_type = object.optional("product_type", text(0, 190));
        let tax_category = object.optional("tax_category", text(1, 64));
        let featured = object.optional("featured", small_integer);
        let tags = object.optional("tags", list(text(1, 190)));
        Some(Self {
            brand_id: brand_id?,
            product_type: product_type?,
            tax_category: tax_category?,
            featured: featured?,
            tags: tags?,
        })
    }
}

/// The body that publishes, schedules or unpublishes a product.
#[derive(Debug, Clone, ToSchema)]
pub struct Publication {
    /// `true` to show the product, `false` to take it down and make it a draft.
    pub published: bool,
    /// From when it is shown; now, or what it was, when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub published_at: Option<OffsetDateTime>,
    /// Until when it is shown; without end when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub unpublished_at: Option<OffsetDateTime>,
}

impl FromBody for Publication {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let published = object.required("published", boolean);
        let published_at = object.nullable("published_at", instant);
        let unpublished_at = object.nullable("unpublished_at", instant);
        let publication = Self {
            published: published?,
            published_at: published_at?.flatten(),
            unpublished_at: unpublished_at?.flatten(),
        };
        if !publication.published
            && (publication.published_at.is_some() || publication.unpublished_at.is_some())
        {
            object.error("published", "must be true where a date is given");
        }
        if let (Some(start), Some(end)) = (publication.published_at, publication.unpublished_at)
            && end <= start
        {
            object.error("unpublished_at", "must be after published_at");
        }
        Some(publication)
    }
}

/// The body that gives a product or a category another address.
#[derive(Debug, Clone, ToSchema)]
pub struct NewSlug {
    /// The new slug. The old one redirects to it.
    #[schema(value_type = String)]
    pub slug: Slug,
}

impl FromBody for NewSlug {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        Some(Self {
            slug: object.required("slug", parsed::<Slug>)?,
        })
    }
}

/// The body that sets the options of a product.
#[derive(Debug, Clone, ToSchema)]
pub struct Options {
    /// All options in order; what is not among them is removed.
    pub options: Vec<ProductOption>,
}

impl FromBody for Options {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let options = object.objects("options", |object| {
            let name = object.required("name", text(1, 190));
            let values = object.required("values", list(text(1, 190)));
            Some(ProductOption {
                name: name?,
                values: values?,
            })
        })?;
        // The database compares names without regard to case.
        let names: BTreeSet<String> = options
            .iter()
            .map(|option| option.name.to_lowercase())
            .collect();
        if names.len() != options.len() {
            object.error("options", "must not have two options of one name");
        }
        Some(Self { options })
    }
}

/// The body that sets the pictures of a product.
#[derive(Debug, Clone, ToSchema)]
pub struct Pictures {
    /// All pictures in order; what is not among them is detached.
    pub media: Vec<Picture>,
}

impl FromBody for Pictures {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let media = object.objects("media", |object| {
            let hash = object.required("hash", |value| {
                let hash = text(64, 64)(value)?;
                if hash
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                {
                    Ok(hash)
                } else {
                    Err(
                        "must be the hash that the upload answered: 64 digits of 0-9 and a-f"
                            .to_owned(),
                    )
                }
            });
            let alt = object.optional("alt", text(0, 255));
            let variant_id = object.nullable("variant_id", id);
            Some(Picture {
                hash: hash?,
                alt: alt?.unwrap_or_default(),
                variant_id: variant_id?.flatten(),
            })
        })?;
        Some(Self { media })
    }
}

/// The body that puts a product into a category.
#[derive(Debug, Clone, ToSchema)]
pub struct Position {
    /// Its place there: the lowest comes first; 0 when absent.
    pub position: i32,
}

impl FromBody for Position {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let position = object.optional("position", small_integer)?;
        Some(Self {
            position: position.unwrap_or(0),
        })
    }
}

/// One thing that is done to a product.
#[derive(Debug, Clone)]
pub enum ProductEdit {
    /// Changes its own fields.
    Patch(ProductPatch),
    /// Sets (`Some`) or removes its text in a locale.
    Translation(String, Option<Text>),
    /// Sets its options.
    Options(Vec<ProductOption>),
    /// Puts it into a category (`Some`) or takes it out.
    Membership(i64, Option<i32>),
    /// Gives it another address.
    Slug(Slug),
    /// Publishes, schedules, unpublishes.
    Publication(Publication),
    /// Takes it out of the catalogue.
    Archive,
    /// Sets its pictures.
    Media(Vec<Picture>),
}

impl ProductEdit {
    /// The word in the audit log.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Patch(_) => "product.update",
            Self::Translation(..) => "product.translate",
            Self::Options(_) => "product.options",
            Self::Membership(..) => "product.categorise",
            Self::Slug(_) => "product.slug",
            Self::Publication(_) => "product.publication",
            Self::Archive => "product.archive",
            Self::Media(_) => "product.media",
        }
    }

    /// Does it. `first_locale` is the locale that every product has a text in.
    ///
    /// # Errors
    /// 422 when it cannot be.
    pub fn apply(
        &self,
        product: &mut Product,
        first_locale: &str,
        now: OffsetDateTime,
    ) -> Result<(), ApiError> {
        match self {
            Self::Patch(patch) => apply_patch(product, patch),
            Self::Translation(locale, Some(text)) => {
                product.translations.insert(locale.clone(), text.clone());
            }
            Self::Translation(locale, None) => {
                if locale == first_locale {
                    return Err(unacceptable(
                        "locale",
                        format!(
                            "every product keeps its text in {first_locale}, which others fall back to"
                        ),
                    ));
                }
                product.translations.remove(locale);
            }
            Self::Options(options) => product.options.clone_from(options),
            Self::Membership(category_id, position) => {
                product
                    .categories
                    .retain(|membership| membership.category_id != *category_id);
                product
                    .categories
                    .extend(position.map(|position| Membership {
                        category_id: *category_id,
                        position,
                    }));
                product
                    .categories
                    .sort_by_key(|membership| membership.category_id);
            }
            Self::Slug(slug) => slug.as_str().clone_into(&mut product.slug),
            Self::Publication(publication) => return publish(product, publication, now),
            Self::Archive => product.status = Status::Archived,
            Self::Media(media) => product.media.clone_from(media),
        }
        Ok(())
    }
}

fn apply_patch(product: &mut Product, patch: &ProductPatch) {
    let ProductPatch {
        brand_id,
        product_type,
        tax_category,
        featured,
        tags,
    } = patch;
    if let Some(brand_id) = brand_id {
        product.brand_id = *brand_id;
    }
    if let Some(product_type) = product_type {
        product.product_type.clone_from(product_type);
    }
    if let Some(tax_category) = tax_category {
        product.tax_category.clone_from(tax_category);
    }
    if let Some(featured) = featured {
        product.featured = *featured;
    }
    if let Some(tags) = tags {
        product.tags = tags.iter().cloned().collect();
    }
}

fn publish(
    product: &mut Product,
    publication: &Publication,
    now: OffsetDateTime,
) -> Result<(), ApiError> {
    if !publication.published {
        product.status = Status::Draft;
        product.published_at = None;
        product.unpublished_at = None;
        return Ok(());
    }
    let was_active = product.status == Status::Active;
    let kept = product
        .published_at
        .filter(|start| was_active && *start <= now);
    let start = publication.published_at.or(kept).unwrap_or(now);
    if publication.unpublished_at.is_some_and(|end| end <= start) {
        return Err(unacceptable(
            "/unpublished_at",
            "must be after published_at",
        ));
    }
    product.status = Status::Active;
    product.published_at = Some(start);
    product.unpublished_at = publication.unpublished_at;
    Ok(())
}

impl Product {
    /// Whether shoppers can see it at this moment.
    #[must_use]
    pub fn is_public(&self, now: OffsetDateTime) -> bool {
        self.status == Status::Active
            && self.published_at.is_some_and(|start| start <= now)
            && self.unpublished_at.is_none_or(|end| end > now)
    }
}

/// What a change of a product touches, besides what deriving its listings finds out. `categories` are those that it was or
/// is in, up to their roots.
#[must_use]
pub fn events(
    before: &Product,
    after: &Product,
    categories: &BTreeSet<i64>,
    now: OffsetDateTime,
) -> Vec<Event> {
    let product = after.id;
    let mut events = vec![Event::ProductChanged { product }];
    if before.slug != after.slug {
        events.push(Event::ProductMoved {
            product,
            from: before.slug.clone(),
            to: after.slug.clone(),
        });
    }
    let publication =
        |product: &Product| (product.status, product.published_at, product.unpublished_at);
    if publication(before) != publication(after) {
        let (slug, categories) = (after.slug.clone(), categories.clone());
        events.push(
            if before.is_public(now) && !after.is_public(now) || after.status == Status::Archived {
                Event::TakenDown {
                    product,
                    slug,
                    categories,
                }
            } else {
                Event::Published {
                    product,
                    slug,
                    categories,
                }
            },
        );
    }
    if before.categories != after.categories {
        let changed = before
            .categories
            .iter()
            .filter(|membership| !after.categories.contains(membership))
            .chain(
                after
                    .categories
                    .iter()
                    .filter(|membership| !before.categories.contains(membership)),
            );
        events.extend(changed.map(|membership| Event::ListingChanged {
            category: membership.category_id,
        }));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);

    fn product() -> Product {
        Product {
            id: 7,
            slug: "cup".into(),
            status: Status::Draft,
            published_at: None,
            unpublished_at: None,
            brand_id: Some(1),
            product_type: String::new(),
            tax_category: "standard".into(),
            featured: 0,
            tags: BTreeSet::new(),
            translations: BTreeMap::from([(
                "en".into(),
                Text {
                    name: "Cup".into(),
                    ..Text::default()
                },
            )]),
            categories: vec![Membership {
                category_id: 3,
                position: 1,
            }],
            options: vec![],
            media: vec![],
            version: 1,
        }
    }

    fn edited(edit: &ProductEdit, mut product: Product) -> Product {
        edit.apply(&mut product, "en", NOW).unwrap();
        product
    }

    fn publication(
        published: bool,
        from: Option<OffsetDateTime>,
        until: Option<OffsetDateTime>,
    ) -> ProductEdit {
        ProductEdit::Publication(Publication {
            published,
            published_at: from,
            unpublished_at: until,
        })
    }

    #[test]
    fn a_patch_leaves_what_it_does_not_name() {
        let patch = ProductPatch {
            brand_id: Some(None),
            ..ProductPatch::default()
        };
        let after = edited(&ProductEdit::Patch(patch), product());
        assert_eq!(
            after,
            Product {
                brand_id: None,
                ..product()
            }
        );
    }

    #[test]
    fn publishing_again_changes_nothing() {
        let once = edited(&publication(true, None, None), product());
        assert!(once.is_public(NOW));
        let mut twice = once.clone();
        publication(true, None, None)
            .apply(&mut twice, "en", NOW + time::Duration::HOUR)
            .unwrap();
        assert_eq!(once, twice);
        assert!(!edited(&publication(false, None, None), once).is_public(NOW));
        let scheduled = edited(
            &publication(true, Some(NOW + time::Duration::DAY), None),
            product(),
        );
        assert!(!scheduled.is_public(NOW) && scheduled.status == Status::Active);
        let mut past = product();
        assert!(
            publication(true, None, Some(NOW))
                .apply(&mut past, "en", NOW)
                .is_err()
        );
    }

    #[test]
    fn the_text_that_others_fall_back_to_stays() {
        let mut edited = product();
        let removal = ProductEdit::Translation("en".into(), None);
        assert!(removal.apply(&mut edited, "en", NOW).is_err());
        assert_eq!(edited, product());
    }

    #[test]
    fn changes_become_events() {
        let up = BTreeSet::from([1, 3]);
        let changed = Event::ProductChanged { product: 7 };
        let of = |edit: &ProductEdit, before: Product| {
            let after = edited(edit, before.clone());
            let mut events = events(&before, &after, &up, NOW);
            events.retain(|event| *event != changed);
            events
        };
        let public = || edited(&publication(true, None, None), product());
        let slug = || "cup".to_owned();
        assert_eq!(
            of(&publication(true, None, None), product()),
            [Event::Published {
                product: 7,
                slug: slug(),
                categories: up.clone()
            }]
        );
        for takedown in [
            publication(false, None, None),
            ProductEdit::Archive,
            publication(true, Some(NOW + time::Duration::DAY), None),
        ] {
            assert_eq!(
                of(&takedown, public()),
                [Event::TakenDown {
                    product: 7,
                    slug: slug(),
                    categories: up.clone()
                }]
            );
        }
        assert_eq!(
            of(&ProductEdit::Slug("mug".parse().unwrap()), product()),
            [Event::ProductMoved {
                product: 7,
                from: slug(),
                to: "mug".into()
            }]
        );
        assert_eq!(of(&ProductEdit::Membership(3, Some(2)), product()).len(), 2);
        assert_eq!(
            of(&ProductEdit::Membership(3, None), product()),
            [Event::ListingChanged { category: 3 }]
        );
        assert_eq!(
            of(&ProductEdit::Membership(4, Some(1)), product()),
            [Event::ListingChanged { category: 4 }]
        );
    }
}
