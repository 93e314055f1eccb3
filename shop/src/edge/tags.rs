//! Cache tags: what an answer was made of, and what a change touches.
//!
//! The alphabet and the limits are the intersection of what Varnish xkey, Fastly, Cloudflare and CloudFront accept, so
//! one list serves them all. An answer that would carry too many tags carries coarser ones instead; every change is
//! purged under its own tag and under the coarse tag of its family, so the coarser answer is still found.

use std::collections::BTreeSet;
use std::collections::btree_set;
use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Most tags that one answer carries. CloudFront silently drops every tag after the 50th.
pub const MAXIMUM_TAGS_PER_ANSWER: usize = 50;
/// Most characters in one tag.
pub const MAXIMUM_TAG_LENGTH: usize = 64;
/// Most bytes of a tag header. Varnish and most proxies refuse headers of 8 KiB and more; half of it leaves room.
pub const MAXIMUM_TAG_BYTES_PER_ANSWER: usize = 4096;

/// Which kind of address a slug belongs to. The same word may name a product and a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlugKind {
    /// `/p/{slug}`
    Product,
    /// `/c/{slug}`
    Category,
    /// A content page.
    Page,
}

impl SlugKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Category => "category",
            Self::Page => "page",
        }
    }
}

/// The families of tags that have a coarse form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Product,
    Category,
    Page,
    Slug,
}

impl Family {
    const ALL: [Self; 4] = [Self::Product, Self::Category, Self::Page, Self::Slug];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Product => "p-",
            Self::Category => "c-",
            Self::Page => "g-",
            Self::Slug => "s-",
        }
    }

    const fn coarse(self) -> &'static str {
        match self {
            Self::Product => "p-any",
            Self::Category => "c-any",
            Self::Page => "g-any",
            Self::Slug => "s-any",
        }
    }

    fn of(tag: &Tag) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|family| tag.0.starts_with(family.prefix()))
    }
}

/// One cache tag: 1 to 64 characters of `[a-z0-9-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

/// A text that is not a cache tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a cache tag: use 1 to 64 characters of a-z, 0-9 and '-'")]
pub struct InvalidTag(String);

impl Tag {
    /// Reads a tag, for example from a row or from a staff request.
    ///
    /// # Errors
    /// When the text is empty, longer than 64 characters, or has a character outside `[a-z0-9-]`.
    pub fn parse(text: &str) -> Result<Self, InvalidTag> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > MAXIMUM_TAG_LENGTH || !text.bytes().all(allowed) {
            return Err(InvalidTag(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_owned()))
    }

    /// Everything that shows the product with this id.
    #[must_use]
    pub fn product(id: i64) -> Self {
        Self(format!("p-{id}"))
    }

    /// Everything that lists the category with this id: its members, their order, its name.
    #[must_use]
    pub fn category(id: i64) -> Self {
        Self(format!("c-{id}"))
    }

    /// Everything that shows the content page with this id.
    #[must_use]
    pub fn page(id: i64) -> Self {
        Self(format!("g-{id}"))
    }

    /// The address itself: carried by "not found" answers and redirects, purged when the address begins or ceases to exist.
    #[must_use]
    pub fn slug(kind: SlugKind, slug: &str) -> Self {
        Self(format!(
            "s-{:016x}",
            xxh3_64(format!("{}/{slug}", kind.name()).as_bytes())
        ))
    }

    /// Everything that shows the menu.
    #[must_use]
    pub fn menu() -> Self {
        Self("m-menu".to_owned())
    }

    /// Everything that depends on the settings of the shop.
    #[must_use]
    pub fn settings() -> Self {
        Self("m-settings".to_owned())
    }

    /// Every public answer carries this one.
    #[must_use]
    pub fn all() -> Self {
        Self("all".to_owned())
    }

    /// The text of the tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The coarse tag that stands for this one in answers that would carry too many tags.
    #[must_use]
    pub fn coarse(&self) -> Option<Self> {
        Family::of(self).map(|family| Self(family.coarse().to_owned()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for Tag {
    type Error = InvalidTag;

    fn try_from(text: String) -> Result<Self, InvalidTag> {
        Self::parse(&text)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

/// A set of tags, sorted, without duplicates. Not limited by itself: see [`TagSet::for_answer`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TagSet(BTreeSet<Tag>);

impl TagSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tag; says whether it was new.
    pub fn insert(&mut self, tag: Tag) -> bool {
        self.0.insert(tag)
    }

    /// The set with one more tag.
    #[must_use]
    pub fn with(mut self, tag: Tag) -> Self {
        self.insert(tag);
        self
    }

    /// Takes a tag out; says whether it was there.
    pub fn remove(&mut self, tag: &Tag) -> bool {
        self.0.remove(tag)
    }

    /// Whether the tag is in the set.
    #[must_use]
    pub fn contains(&self, tag: &Tag) -> bool {
        self.0.contains(tag)
    }

    /// How many tags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags in order.
    pub fn iter(&self) -> btree_set::Iter<'_, Tag> {
        self.0.iter()
    }

    /// The tags as an answer may carry them: with `all`, at most 50, under 4 KiB as a header.
    ///
    /// While there are too many, the family with the most tags (the products of a long list, say) is replaced by its
    /// coarse tag, which every purge of a member of that family purges too. Such an answer is fresh, only purged more often.
    #[must_use]
    pub fn for_answer(mut self) -> Self {
        self.insert(Tag::all());
        while self.len() > MAXIMUM_TAGS_PER_ANSWER
            || self.header_bytes() >= MAXIMUM_TAG_BYTES_PER_ANSWER
        {
            let members = |family: Family| {
                self.0
                    .iter()
                    .filter(|tag| Family::of(tag) == Some(family))
                    .count()
            };
            let largest = Family::ALL
                .into_iter()
                .max_by_key(|family| members(*family));
            let Some(family) = largest.filter(|family| members(*family) > 1) else {
                // Only tags without a family are left, more than an answer can carry: they all become `all`.
                return Self::from_iter([Tag::all()]);
            };
            self.0.retain(|tag| Family::of(tag) != Some(family));
            self.insert(Tag(family.coarse().to_owned()));
        }
        self
    }

    /// The tags as a purge names them: with the coarse tag of each family in the set.
    #[must_use]
    pub fn for_purge(mut self) -> Self {
        let coarse: Vec<Tag> = self.0.iter().filter_map(Tag::coarse).collect();
        self.0.extend(coarse);
        self
    }

    /// The value of `Surrogate-Key` and `xkey`: separated by spaces.
    #[must_use]
    pub fn separated_by_spaces(&self) -> String {
        self.joined(" ")
    }

    /// The value of `Cache-Tag`: separated by commas.
    #[must_use]
    pub fn separated_by_commas(&self) -> String {
        self.joined(",")
    }

    fn joined(&self, separator: &str) -> String {
        let mut text = String::with_capacity(self.header_bytes());
        for tag in &self.0 {
            if !text.is_empty() {
                text.push_str(separator);
            }
            text.push_str(tag.as_str());
        }
        text
    }

    fn header_bytes(&self) -> usize {
        self.0
            .iter()
            .map(|tag| tag.0.len() + 1)
            .sum::<usize>()
            .saturating_sub(1)
    }
}

impl FromIterator<Tag> for TagSet {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        Self(tags.into_iter().collect())
    }
}

impl Extend<Tag> for TagSet {
    fn extend<I: IntoIterator<Item = Tag>>(&mut self, tags: I) {
        self.0.extend(tags);
    }
}

impl IntoIterator for TagSet {
    type Item = Tag;
    type IntoIter = btree_set::IntoIter<Tag>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a TagSet {
    type Item = &'a Tag;
    type IntoIter = btree_set::Iter<'a, Tag>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constructor_makes_a_portable_tag() {
        let longest = "x".repeat(4000);
        let tags = [
            Tag::product(i64::MAX),
            Tag::product(i64::MIN),
            Tag::category(1),
            Tag::page(7),
            Tag::slug(SlugKind::Page, &longest),
            Tag::slug(SlugKind::Product, "Ünïcode/../ %20"),
            Tag::menu(),
            Tag::settings(),
            Tag::all(),
        ];
        for tag in &tags {
            assert_eq!(Tag::parse(tag.as_str()).as_ref(), Ok(tag));
            if let Some(coarse) = tag.coarse() {
                assert_eq!(Tag::parse(coarse.as_str()), Ok(coarse));
            }
        }
        assert_ne!(
            Tag::slug(SlugKind::Page, "a"),
            Tag::slug(SlugKind::Product, "a")
        );
    }

    #[test]
    fn what_is_not_a_tag_is_refused_with_the_rule() {
        for text in ["", "A", "a b", "a,b", "ä", "a_b", &"a".repeat(65)] {
            let error = Tag::parse(text).unwrap_err();
            assert!(
                error.to_string().contains("1 to 64 characters of a-z"),
                "{error}"
            );
        }
        assert!(serde_json::from_str::<TagSet>(r#"["p-1","NO"]"#).is_err());
    }

    #[test]
    fn an_answer_within_the_limits_keeps_its_tags() {
        let tags: TagSet = (0..40)
            .map(Tag::product)
            .chain([Tag::category(3), Tag::menu()])
            .collect();
        let answer = tags.clone().for_answer();
        assert_eq!(answer, tags.with(Tag::all()));
    }

    #[test]
    fn a_long_list_degrades_to_the_coarse_tag_of_its_largest_family_only() {
        let tags: TagSet = (0..60)
            .map(Tag::product)
            .chain([Tag::category(3), Tag::menu()])
            .collect();
        let answer = tags.for_answer();
        assert_eq!(answer.separated_by_spaces(), "all c-3 m-menu p-any");
    }

    #[test]
    fn families_degrade_one_after_the_other_and_unknown_tags_become_all() {
        let tags: TagSet = (0..200)
            .map(Tag::product)
            .chain((0..100).map(Tag::category))
            .collect();
        assert_eq!(tags.for_answer().separated_by_spaces(), "all c-any p-any");
        let unknown: TagSet = (0..60)
            .map(|number| Tag::parse(&format!("x{number}")).unwrap())
            .collect();
        assert_eq!(unknown.for_answer().separated_by_spaces(), "all");
    }

    #[test]
    fn whatever_an_answer_was_made_of_is_found_by_the_purge_of_any_part() {
        let parts: Vec<Tag> = (0..80)
            .map(Tag::product)
            .chain((0..5).map(Tag::category))
            .collect();
        let answer: TagSet = parts.iter().cloned().collect::<TagSet>().for_answer();
        for part in parts {
            let purge = TagSet::from_iter([part.clone()]).for_purge();
            assert!(
                purge.iter().any(|tag| answer.contains(tag)),
                "{part} would not be purged"
            );
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn an_answer_never_passes_the_limits(texts in proptest::collection::vec("(p-|c-|g-|s-|m-)?[a-z0-9-]{1,60}", 0..120)) {
            let tags: TagSet = texts.iter().filter_map(|text| Tag::parse(text).ok()).collect();
            let answer = tags.for_answer();
            assert!(answer.len() <= MAXIMUM_TAGS_PER_ANSWER);
            assert!(answer.separated_by_commas().len() < MAXIMUM_TAG_BYTES_PER_ANSWER);
            assert!(answer.contains(&Tag::all()));
        }
    }
}
