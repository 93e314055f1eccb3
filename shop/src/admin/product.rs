//! A product as staff see it, and the bodies that change it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::attribute::Values;
use super::fields::{
    FromBody, Object, boolean, id, instant, list, long_text, parsed, small_integer, text,
};
use crate::catalog::model::{Locale, Slug};
use crate::media::model::MediaHash;

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
    /// Its pictures in order. Those of an import whose bytes have not arrived are not among them.
    pub media: Vec<Picture>,
    /// Its attributes: values by code.
    #[schema(value_type = Object)]
    pub attributes: Values,
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

/// The hash of a picture.
pub fn media_hash(value: serde_json::Value) -> Result<String, String> {
    let hash = text(0, 64)(value)?;
    MediaHash::parse(&hash)
        .map(|hash| hash.as_str().to_owned())
        .ok_or_else(|| {
            "must be the hash that the upload answered: 64 digits of 0-9 and a-f".to_owned()
        })
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
            let hash = object.required("hash", media_hash);
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

impl Product {
    /// Whether shoppers can see it at this moment.
    #[must_use]
    pub fn is_public(&self, now: OffsetDateTime) -> bool {
        self.status == Status::Active
            && self.published_at.is_some_and(|start| start <= now)
            && self.unpublished_at.is_none_or(|end| end > now)
    }
}
