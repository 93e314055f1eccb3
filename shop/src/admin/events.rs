//! What a change touches in caches: events to tags, without I/O.

use std::collections::BTreeSet;

use crate::edge::tags::{SlugKind, Tag, TagSet};

/// Something that shoppers may see differently now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Texts, options, pictures, brand or price of a product changed, or its availability passed to another band.
    ProductChanged {
        /// The product.
        product: i64,
    },
    /// A category lists other products, in another order, or with other cards or counts.
    ListingChanged {
        /// The category; 0 is the whole catalogue.
        category: i64,
    },
    /// A product appeared at its address, or will.
    Published {
        /// The product.
        product: i64,
        /// Its slug, whose "not found" may be cached.
        slug: String,
        /// The categories that it is in, up to their roots.
        categories: BTreeSet<i64>,
    },
    /// A product was taken down: it must not be shown any more, even while the shop fails.
    TakenDown {
        /// The product.
        product: i64,
        /// Its slug.
        slug: String,
        /// The categories that it is in, up to their roots.
        categories: BTreeSet<i64>,
    },
    /// A product has another address.
    ProductMoved {
        /// The product.
        product: i64,
        /// The slug that redirects now.
        from: String,
        /// The slug that was free.
        to: String,
    },
    /// The name, texts or picture of a category changed.
    CategoryChanged {
        /// The category.
        category: i64,
    },
    /// A category appeared in the menu.
    CategoryAppeared {
        /// The category.
        category: i64,
        /// Its slug.
        slug: String,
        /// The categories above it.
        ancestors: BTreeSet<i64>,
    },
    /// A category has other places above and below it than before.
    CategoryPlaced {
        /// The category, those above it before and now, and those below it.
        touched: BTreeSet<i64>,
    },
    /// A category was taken down.
    CategoryTakenDown {
        /// The category.
        category: i64,
        /// Its slug.
        slug: String,
        /// The categories above it.
        ancestors: BTreeSet<i64>,
    },
    /// A category has another address.
    CategoryMoved {
        /// The category.
        category: i64,
        /// The slug that redirects now.
        from: String,
        /// The slug that was free.
        to: String,
    },
    /// A page of text appeared at its address, or will, or says something else.
    PageChanged {
        /// The page.
        page: i64,
        /// Its slug, whose "not found" may be cached.
        slug: String,
        /// Whether the links to it in the footer of all pages changed.
        linked: bool,
    },
    /// A page of text was taken down.
    PageTakenDown {
        /// The page.
        page: i64,
        /// Its slug.
        slug: String,
        /// Whether the footer of all pages linked to it.
        linked: bool,
    },
    /// Names of attributes or their values changed, which products and filters anywhere may show.
    LabelsChanged,
}

/// The purges of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purges {
    /// What may be shown while the shop fails.
    pub soft: TagSet,
    /// What must not be shown any more.
    pub hard: TagSet,
}

/// What the events of one change touch. A tag that is purged hard is not purged soft, too.
#[must_use]
pub fn purges<'e>(events: impl IntoIterator<Item = &'e Event>) -> Purges {
    let mut purges = Purges::default();
    for event in events {
        match event {
            Event::ProductChanged { product } => {
                purges.soft.insert(Tag::product(*product));
            }
            Event::ListingChanged { category } => {
                purges.soft.insert(Tag::category(*category));
            }
            Event::Published {
                product,
                slug,
                categories,
            } => {
                purges.soft.extend(product_tags(*product, slug, categories));
            }
            Event::TakenDown {
                product,
                slug,
                categories,
            } => {
                purges.hard.extend(product_tags(*product, slug, categories));
            }
            Event::ProductMoved { product, from, to } => {
                purges.soft.extend([
                    Tag::product(*product),
                    Tag::slug(SlugKind::Product, from),
                    Tag::slug(SlugKind::Product, to),
                ]);
            }
            Event::CategoryChanged { category } => {
                purges.soft.extend([Tag::category(*category), Tag::menu()]);
            }
            Event::CategoryAppeared {
                category,
                slug,
                ancestors,
            } => {
                purges
                    .soft
                    .extend(category_tags(*category, slug, ancestors));
            }
            Event::CategoryPlaced { touched } => {
                purges
                    .soft
                    .extend(touched.iter().copied().map(Tag::category));
                purges.soft.insert(Tag::menu());
            }
            Event::CategoryTakenDown {
                category,
                slug,
                ancestors,
            } => {
                purges
                    .hard
                    .extend(category_tags(*category, slug, ancestors));
            }
            Event::CategoryMoved { category, from, to } => {
                purges.soft.extend([
                    Tag::category(*category),
                    Tag::menu(),
                    Tag::slug(SlugKind::Category, from),
                    Tag::slug(SlugKind::Category, to),
                ]);
            }
            Event::PageChanged { page, slug, linked } => {
                purges.soft.extend(page_tags(*page, slug));
                purges.soft.extend(linked.then(Tag::menu));
            }
            Event::PageTakenDown { page, slug, linked } => {
                purges.hard.extend(page_tags(*page, slug));
                // All pages but this one may still be shown while the shop fails.
                purges.soft.extend(linked.then(Tag::menu));
            }
            Event::LabelsChanged => {
                purges.soft.insert(Tag::all());
            }
        }
    }
    for tag in &purges.hard {
        purges.soft.remove(tag);
    }
    purges
}

fn product_tags<'a>(
    product: i64,
    slug: &str,
    categories: &'a BTreeSet<i64>,
) -> impl Iterator<Item = Tag> + use<'a> {
    [Tag::product(product), Tag::slug(SlugKind::Product, slug)]
        .into_iter()
        .chain(categories.iter().copied().map(Tag::category))
}

fn page_tags(page: i64, slug: &str) -> [Tag; 2] {
    [Tag::page(page), Tag::slug(SlugKind::Page, slug)]
}

fn category_tags<'a>(
    category: i64,
    slug: &str,
    ancestors: &'a BTreeSet<i64>,
) -> impl Iterator<Item = Tag> + use<'a> {
    [
        Tag::category(category),
        Tag::menu(),
        Tag::slug(SlugKind::Category, slug),
    ]
    .into_iter()
    .chain(ancestors.iter().copied().map(Tag::category))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(events: &[Event]) -> (String, String) {
        let purges = purges(events);
        (
            purges.soft.separated_by_spaces(),
            purges.hard.separated_by_spaces(),
        )
    }

    fn sorted(tags: &[Tag]) -> String {
        tags.iter()
            .cloned()
            .collect::<TagSet>()
            .separated_by_spaces()
    }

    #[test]
    fn each_event_touches_exactly_its_tags() {
        let categories = BTreeSet::from([1, 2]);
        let product = |slug: &str| Tag::slug(SlugKind::Product, slug);
        let category = |slug: &str| Tag::slug(SlugKind::Category, slug);
        let shown = [
            Tag::product(7),
            product("cup"),
            Tag::category(1),
            Tag::category(2),
        ];
        let menu = [
            Tag::category(3),
            Tag::menu(),
            category("cups"),
            Tag::category(1),
            Tag::category(2),
        ];
        let soft = |tags: &[Tag]| (sorted(tags), String::new());
        let hard = |tags: &[Tag]| (String::new(), sorted(tags));
        let slug = || "cup".to_owned();
        let table = [
            (
                Event::ProductChanged { product: 7 },
                soft(&[Tag::product(7)]),
            ),
            (
                Event::ListingChanged { category: 0 },
                soft(&[Tag::category(0)]),
            ),
            (
                Event::Published {
                    product: 7,
                    slug: slug(),
                    categories: categories.clone(),
                },
                soft(&shown),
            ),
            (
                Event::TakenDown {
                    product: 7,
                    slug: slug(),
                    categories: categories.clone(),
                },
                hard(&shown),
            ),
            (
                Event::ProductMoved {
                    product: 7,
                    from: slug(),
                    to: "mug".into(),
                },
                soft(&[Tag::product(7), product("cup"), product("mug")]),
            ),
            (
                Event::CategoryChanged { category: 3 },
                soft(&[Tag::category(3), Tag::menu()]),
            ),
            (
                Event::CategoryAppeared {
                    category: 3,
                    slug: "cups".into(),
                    ancestors: categories.clone(),
                },
                soft(&menu),
            ),
            (
                Event::CategoryPlaced {
                    touched: categories.clone(),
                },
                soft(&[Tag::category(1), Tag::category(2), Tag::menu()]),
            ),
            (
                Event::CategoryTakenDown {
                    category: 3,
                    slug: "cups".into(),
                    ancestors: categories,
                },
                hard(&menu),
            ),
            (
                Event::CategoryMoved {
                    category: 3,
                    from: "cups".into(),
                    to: "mugs".into(),
                },
                soft(&[
                    Tag::category(3),
                    Tag::menu(),
                    category("cups"),
                    category("mugs"),
                ]),
            ),
            (
                Event::PageChanged {
                    page: 4,
                    slug: "imprint".into(),
                    linked: false,
                },
                soft(&page_tags(4, "imprint")),
            ),
            (
                Event::PageTakenDown {
                    page: 4,
                    slug: "imprint".into(),
                    linked: true,
                },
                (sorted(&[Tag::menu()]), sorted(&page_tags(4, "imprint"))),
            ),
            (Event::LabelsChanged, soft(&[Tag::all()])),
        ];
        for (event, expected) in table {
            assert_eq!(tags(std::slice::from_ref(&event)), expected, "{event:?}");
        }
    }

    #[test]
    fn a_takedown_is_not_weakened_by_other_events_of_the_same_change() {
        let events = [
            Event::ProductChanged { product: 7 },
            Event::ListingChanged { category: 1 },
            Event::ListingChanged { category: 9 },
            Event::TakenDown {
                product: 7,
                slug: "cup".into(),
                categories: BTreeSet::from([1]),
            },
        ];
        let purges = purges(&events);
        assert_eq!(purges.soft.separated_by_spaces(), "c-9");
        assert!(purges.hard.contains(&Tag::product(7)) && purges.hard.contains(&Tag::category(1)));
    }
}
