//! What staff can do to a product, and what that touches. Pure.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::attribute::Values;
use super::change::unacceptable;
use super::events::Event;
use super::product::{
    Membership, Picture, Product, ProductOption, ProductPatch, Publication, Status, Text,
};
use crate::catalog::model::Slug;
use crate::web::error::ApiError;

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
    /// Sets its attributes.
    Attributes(Values),
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
            Self::Attributes(_) => "product.attributes",
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
            Self::Attributes(attributes) => product.attributes.clone_from(attributes),
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
    use std::collections::BTreeMap;
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
            attributes: Values::new(),
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
