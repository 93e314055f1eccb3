//! What has to be written for a product to be as a record states it. Pure: the shop's state and the time are arguments.

use std::collections::{BTreeMap, BTreeSet};

use time::PrimitiveDateTime;

use super::changes::{
    AttributeDefinition, AttributeRow, AttributeValue, Changes, MediaRow, OptionRow,
    OptionValueRow, PairRow, PriceEnd, PriceRow, ProductRow, StockRow, TextRow, VariantOptionRow,
    VariantRow,
};
use super::counters::Counters;
use super::prices;
use super::problem::{Problem, ProblemKind};
use super::record::{MediaRecord, ProductRecord, Status, VariantRecord};
use super::state::{
    Current, CurrentMedia, CurrentProduct, CurrentStock, CurrentText, CurrentVariant,
};
use super::value::{instant_text, slug_of};

/// Units at which stock is called low, where a file does not say.
const LOW_THRESHOLD: i64 = 5;

/// What a record did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The product is new.
    Created,
    /// Something changed.
    Updated,
    /// Nothing changed.
    Unchanged,
}

/// Surroundings of a comparison.
pub struct Context<'a> {
    /// What the shop has.
    pub current: &'a Current,
    /// Slug of a brand by its name.
    pub brands: &'a BTreeMap<String, String>,
    /// Ids of the record's categories, in the order of its paths.
    pub category_ids: Option<Vec<i64>>,
    /// The time of the change.
    pub now: PrimitiveDateTime,
}

/// Compares a record with the shop and adds what has to be written.
///
/// # Errors
/// Why the product is refused; nothing was added then.
pub fn compare(
    record: &ProductRecord,
    context: &Context<'_>,
    changes: &mut Changes,
    counters: &mut Counters,
    notices: &mut Vec<Problem>,
) -> Result<Effect, Vec<Problem>> {
    let current = context.current.products.get(&record.slug);
    let refusals = refusals(record, current, context.current);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut comparison = Comparison {
        slug: current.map_or_else(|| record.slug.clone(), |current| current.slug.clone()),
        record,
        current,
        context,
        changes,
        counters,
        notices,
        changed: current.is_none(),
    };
    comparison.texts();
    comparison.sets();
    comparison.options();
    comparison.variants();
    comparison.media();
    comparison.product();
    let (slug, changed) = (comparison.slug, comparison.changed);
    if changed {
        changes.touched.insert(slug);
    }
    Ok(match (current, changed) {
        (None, _) => Effect::Created,
        (Some(_), true) => Effect::Updated,
        (Some(_), false) => Effect::Unchanged,
    })
}

fn refusals(
    record: &ProductRecord,
    current: Option<&CurrentProduct>,
    shop: &Current,
) -> Vec<Problem> {
    let mut refusals = Vec::new();
    let problem = |line: u64, kind: ProblemKind, message: &str, advice: &str| {
        Problem::new(line, kind, message, advice).with_product(&record.slug)
    };
    let slug = current.map_or(record.slug.as_str(), |current| current.slug.as_str());
    for variant in &record.variants {
        if let Some(owner) = shop.sku_owners.get(&variant.sku)
            && owner != slug
        {
            refusals.push(
                problem(
                    variant.line,
                    ProblemKind::DuplicateSku,
                    &format!("the SKU belongs to the product {owner}"),
                    "give the variant its own SKU, or use the slug of the product that has it",
                )
                .with_field("sku", &variant.sku),
            );
        }
        let known = current.and_then(|current| current.variants.get(&variant.sku));
        // A described product without options has variants without options.
        let described = !record.supplement && record.option_names().is_empty();
        if known.is_none() && variant.options.is_none() && !described {
            refusals.push(
                problem(
                    variant.line,
                    ProblemKind::UnknownVariant,
                    "the row adds to a variant that the product does not have",
                    "describe the variant first, or correct the SKU",
                )
                .with_field("sku", &variant.sku),
            );
        }
    }
    match current {
        None if record.supplement => {
            refusals.clear();
            refusals.push(problem(
                record.line,
                ProblemKind::UnknownProduct,
                "there is no product with this slug",
                "import the product first; it may have been refused further up",
            ));
        }
        None if record.variants.is_empty() => refusals.push(problem(
            record.line,
            ProblemKind::Missing,
            "the product has nothing to sell",
            "give it at least one variant with a SKU",
        )),
        None | Some(_) => {}
    }
    for (locale, text) in &record.texts {
        let named = text.name.is_some()
            || current.is_some_and(|current| current.texts.contains_key(locale));
        if !named {
            refusals.push(
                problem(
                    record.line,
                    ProblemKind::Missing,
                    &format!("the product has no name in {locale}"),
                    "give a name with the other texts",
                )
                .with_field("name", ""),
            );
        }
    }
    refusals
}

struct Comparison<'a, 'b> {
    slug: String,
    record: &'a ProductRecord,
    current: Option<&'a CurrentProduct>,
    context: &'a Context<'a>,
    changes: &'b mut Changes,
    counters: &'b mut Counters,
    notices: &'b mut Vec<Problem>,
    changed: bool,
}

impl Comparison<'_, '_> {
    fn texts(&mut self) {
        for (locale, text) in &self.record.texts {
            let own = self.current.and_then(|current| current.texts.get(locale));
            let mut target = own.cloned().unwrap_or_default();
            let CurrentText {
                name,
                description,
                seo_title,
                seo_description,
            } = &mut target;
            for (field, stated) in [
                (name, &text.name),
                (description, &text.description),
                (seo_title, &text.seo_title),
                (seo_description, &text.seo_description),
            ] {
                if let Some(stated) = stated {
                    stated.clone_into(field);
                }
            }
            if own != Some(&target) {
                self.changed = true;
                let CurrentText {
                    name,
                    description,
                    seo_title,
                    seo_description,
                } = target;
                self.changes.text.push(TextRow {
                    slug: self.slug.clone(),
                    locale: locale.clone(),
                    name,
                    description,
                    seo_title,
                    seo_description,
                });
            }
        }
    }

    /// Categories, tags and attribute values: sets of which the difference is written.
    fn sets(&mut self) {
        if let Some(ids) = &self.context.category_ids {
            let stated: BTreeSet<i64> = ids.iter().copied().collect();
            let own = self
                .current
                .map(|current| current.categories.clone())
                .unwrap_or_default();
            self.changed |= own != stated;
            self.changes
                .category_delete
                .extend(own.difference(&stated).map(|id| pair(&self.slug, *id)));
            self.changes
                .category_insert
                .extend(stated.difference(&own).map(|id| pair(&self.slug, *id)));
        }
        if let Some(stated) = &self.record.tags {
            let own = self
                .current
                .map(|current| current.tags.clone())
                .unwrap_or_default();
            self.changed |= own != *stated;
            self.changes.tag_delete.extend(
                own.difference(stated)
                    .map(|tag| pair(&self.slug, tag.clone())),
            );
            self.changes.tag_insert.extend(
                stated
                    .difference(&own)
                    .map(|tag| pair(&self.slug, tag.clone())),
            );
        }
        if let Some(attributes) = &self.record.attributes {
            let own = self
                .current
                .map(|current| current.attributes.clone())
                .unwrap_or_default();
            let mut stated = BTreeSet::new();
            for attribute in attributes {
                for value in &attribute.values {
                    if !stated.insert((attribute.code.clone(), value.clone())) {
                        continue;
                    }
                    if own.contains(&(attribute.code.clone(), value.clone())) {
                        continue;
                    }
                    self.changes
                        .attribute
                        .entry(attribute.code.clone())
                        .or_insert_with(|| AttributeDefinition {
                            code: attribute.code.clone(),
                            name: attribute.name.clone(),
                            kind: attribute.kind.word(),
                            unit: attribute.unit.clone(),
                        });
                    let number = value
                        .parse::<f64>()
                        .ok()
                        .filter(|number| number.is_finite());
                    self.changes.attribute_value.insert(AttributeValue {
                        code: attribute.code.clone(),
                        value: value.clone(),
                        number: number.map(|number| number.to_string()),
                    });
                }
            }
            self.changed |= own != stated;
            let row = |(code, value): &(String, String)| AttributeRow {
                slug: self.slug.clone(),
                code: code.clone(),
                value: value.clone(),
            };
            self.changes
                .attribute_delete
                .extend(own.difference(&stated).map(row));
            self.changes
                .attribute_insert
                .extend(stated.difference(&own).map(row));
        }
    }

    fn options(&mut self) {
        let names = self.record.option_names();
        let none = BTreeMap::new();
        let own = self.current.map_or(&none, |current| &current.options);
        if self.record.variants_complete {
            for (name, option) in own {
                if !names.contains(&name.as_str()) {
                    self.changed = true;
                    self.changes.option_delete.push(option.id);
                }
            }
        }
        for (position, name) in names.iter().enumerate() {
            let known = own.get(*name);
            // A row that only adds does not know the order of all options.
            let moved = self.record.variants_complete
                && known.is_some_and(|known| i64::try_from(position) != Ok(known.position));
            if known.is_none() || moved {
                self.changed = true;
                self.changes.option.push(OptionRow {
                    slug: self.slug.clone(),
                    name: (*name).to_owned(),
                    position,
                });
            }
            self.option_values(name, known.map(|known| &known.values));
        }
    }

    fn option_values(&mut self, name: &str, known: Option<&BTreeMap<String, (i64, i64)>>) {
        let listed = self
            .record
            .options
            .as_ref()
            .and_then(|options| options.iter().find(|option| option.name == name));
        let mut stated: Vec<&str> = listed
            .map(|option| option.values.iter().map(String::as_str).collect())
            .unwrap_or_default();
        let used = self
            .record
            .variants
            .iter()
            .filter_map(|variant| variant.options.as_ref())
            .flatten();
        for (option, value) in used {
            if option == name && !stated.contains(&value.as_str()) {
                stated.push(value);
            }
        }
        let mut last = known
            .into_iter()
            .flat_map(|known| known.values().map(|(_, position)| *position))
            .max()
            .unwrap_or(-1);
        for (index, value) in stated.iter().enumerate() {
            let own = known.and_then(|known| known.get(*value));
            let position = match (own, listed) {
                (Some((_, position)), None) => *position,
                (_, Some(_)) => i64::try_from(index).unwrap_or(i64::MAX),
                (None, None) => {
                    last += 1;
                    last
                }
            };
            if own.is_none_or(|(_, own)| *own != position) {
                self.changed = true;
                self.changes.option_value.push(OptionValueRow {
                    slug: self.slug.clone(),
                    name: name.to_owned(),
                    value: (*value).to_owned(),
                    position,
                });
            }
        }
        if listed.is_some() && self.record.variants_complete {
            let gone = known
                .into_iter()
                .flatten()
                .filter(|(value, _)| !stated.contains(&value.as_str()));
            for (_, (id, _)) in gone {
                self.changed = true;
                self.changes.option_value_delete.push(*id);
            }
        }
    }

    fn variants(&mut self) {
        let none = BTreeMap::new();
        let own = self.current.map_or(&none, |current| &current.variants);
        for (index, variant) in self.record.variants.iter().enumerate() {
            let known = own.get(&variant.sku);
            let position = match known {
                Some(known) if !self.record.variants_complete => known.position,
                None if !self.record.variants_complete => {
                    own.values().map(|known| known.position).max().unwrap_or(-1)
                        + 1
                        + i64::try_from(index).unwrap_or(0)
                }
                Some(_) | None => i64::try_from(index).unwrap_or(i64::MAX),
            };
            self.variant(variant, known, position);
            self.prices(variant, known);
            self.stock(variant, known.and_then(|known| known.stock.as_ref()));
        }
        if self.record.variants_complete {
            for (sku, known) in own {
                if known.active
                    && !self
                        .record
                        .variants
                        .iter()
                        .any(|variant| variant.sku == *sku)
                {
                    self.changed = true;
                    self.counters.variants_archived += 1;
                    self.changes
                        .variant_update
                        .push(variant_row(&self.slug, sku, known, "archived"));
                }
            }
        }
    }

    fn variant(&mut self, variant: &VariantRecord, known: Option<&CurrentVariant>, position: i64) {
        let target = CurrentVariant {
            id: 0,
            position,
            // A row that only adds a price does not bring back what is no longer sold.
            active: !self.record.supplement
                || variant.options.is_some()
                || known.is_some_and(|known| known.active),
            barcode: variant
                .barcode
                .clone()
                .or_else(|| known.map(|known| known.barcode.clone()))
                .unwrap_or_default(),
            weight_grams: variant
                .weight_grams
                .unwrap_or_else(|| known.and_then(|known| known.weight_grams)),
            length_mm: variant
                .length_mm
                .unwrap_or_else(|| known.and_then(|known| known.length_mm)),
            width_mm: variant
                .width_mm
                .unwrap_or_else(|| known.and_then(|known| known.width_mm)),
            height_mm: variant
                .height_mm
                .unwrap_or_else(|| known.and_then(|known| known.height_mm)),
            options: BTreeMap::new(),
            prices: Vec::new(),
            stock: None,
        };
        let status = if target.active { "active" } else { "archived" };
        let row = variant_row(&self.slug, &variant.sku, &target, status);
        let own = |known: &CurrentVariant| CurrentVariant {
            id: 0,
            options: BTreeMap::new(),
            prices: Vec::new(),
            stock: None,
            ..known.clone()
        };
        let mut altered = known.is_some_and(|known| own(known) != target);
        for (name, value) in variant.options.iter().flatten() {
            if known.and_then(|known| known.options.get(name)) != Some(value) {
                altered = true;
                self.changes.variant_option.push(VariantOptionRow {
                    sku: variant.sku.clone(),
                    name: name.clone(),
                    value: value.clone(),
                });
            }
        }
        if known.is_none() {
            self.changed = true;
            self.counters.variants_created += 1;
            self.changes.variant_insert.push(row);
        } else if altered {
            self.changed = true;
            self.counters.variants_updated += 1;
            self.changes.variant_update.push(row);
        }
    }

    fn prices(&mut self, variant: &VariantRecord, known: Option<&CurrentVariant>) {
        let currencies: BTreeSet<&str> = variant
            .prices
            .iter()
            .map(|price| price.currency.as_str())
            .collect();
        for currency in currencies {
            let live: Vec<_> = known
                .into_iter()
                .flat_map(|known| &known.prices)
                .filter(|price| price.currency == currency)
                .cloned()
                .collect();
            let stated: Vec<_> = variant
                .prices
                .iter()
                .filter(|price| price.currency == currency)
                .cloned()
                .collect();
            let changed = prices::changes(&live, &stated, self.context.now);
            self.changed |= !changed.end.is_empty() || !changed.add.is_empty();
            for (id, ends_at) in changed.end {
                self.counters.prices_ended += 1;
                self.changes.price_end.push(PriceEnd {
                    id,
                    ends_at: stamp(ends_at),
                });
            }
            for new in changed.add {
                self.counters.prices_created += 1;
                self.changes.price_insert.push(PriceRow {
                    sku: variant.sku.clone(),
                    currency: new.price.currency,
                    amount: new.price.amount,
                    compare_at: new.price.compare_at,
                    starts_at: stamp(new.starts_at),
                    ends_at: new.price.ends_at.map(stamp),
                });
            }
        }
    }

    fn stock(&mut self, variant: &VariantRecord, known: Option<&CurrentStock>) {
        let stated = &variant.stock;
        let mut target = CurrentStock {
            tracked: stated
                .tracked
                .or(known.map(|known| known.tracked))
                .unwrap_or(true),
            on_hand: stated
                .on_hand
                .or(known.map(|known| known.on_hand))
                .unwrap_or(0),
            reserved: known.map_or(0, |known| known.reserved),
            backorder_limit: stated
                .backorder_limit
                .or(known.map(|known| known.backorder_limit))
                .unwrap_or(0),
            low_threshold: stated
                .low_threshold
                .or(known.map(|known| known.low_threshold))
                .unwrap_or(LOW_THRESHOLD),
        };
        let needed = target.reserved - target.backorder_limit;
        if target.tracked && target.on_hand < needed {
            self.notices.push(
                Problem::new(
                    variant.line,
                    ProblemKind::BelowReserved,
                    format!(
                        "{} units are reserved for orders: stock was set to {needed}",
                        target.reserved
                    ),
                    "count again when the orders have been sent",
                )
                .with_product(&self.slug)
                .with_field("stock", &target.on_hand.to_string()),
            );
            target.on_hand = needed;
        }
        if known == Some(&target) {
            return;
        }
        self.changed = true;
        if known.is_some() {
            self.counters.stock_updated += 1;
        } else {
            self.counters.stock_created += 1;
        }
        self.changes.stock.push(StockRow {
            sku: variant.sku.clone(),
            tracked: u8::from(target.tracked),
            on_hand: target.on_hand,
            backorder_limit: target.backorder_limit,
            low_threshold: target.low_threshold,
        });
    }

    fn media(&mut self) {
        let Some(stated) = &self.record.media else {
            return;
        };
        let none = Vec::new();
        let own = self.current.map_or(&none, |current| &current.media);
        let target: Vec<CurrentMedia> = stated
            .iter()
            .map(|picture| self.picture(picture, own))
            .collect();
        if *own == target {
            return;
        }
        self.changed = true;
        if !own.is_empty() {
            self.changes.media_delete.push(self.slug.clone());
        }
        for (position, picture) in target.into_iter().enumerate() {
            let CurrentMedia {
                hash,
                url,
                alt,
                sku,
            } = picture;
            self.changes.media_insert.push(MediaRow {
                slug: self.slug.clone(),
                position,
                sku,
                hash,
                url,
                alt,
            });
        }
    }

    /// A picture that was fetched since keeps its bytes as long as the file names the same address.
    fn picture(&self, picture: &MediaRecord, own: &[CurrentMedia]) -> CurrentMedia {
        let stated = picture
            .hash
            .clone()
            .filter(|hash| self.context.current.hashes.contains(hash));
        let fetched = own
            .iter()
            .find(|own| !own.url.is_empty() && own.url == picture.url)
            .and_then(|own| own.hash.clone());
        CurrentMedia {
            hash: stated.or(fetched),
            url: picture.url.clone(),
            alt: picture.alt.clone(),
            sku: picture.sku.clone(),
        }
    }

    /// The product's own row, last: its version counts every change.
    fn product(&mut self) {
        let (record, current) = (self.record, self.current);
        let brand = match &record.brand {
            None => current.and_then(|current| current.brand.clone()),
            Some(None) => None,
            Some(Some(name)) => {
                let slug = self
                    .context
                    .brands
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| slug_of(name));
                if !slug.is_empty()
                    && current.and_then(|current| current.brand.as_ref()) != Some(&slug)
                {
                    self.changes
                        .brands
                        .entry(slug.clone())
                        .or_insert_with(|| name.clone());
                }
                (!slug.is_empty()).then_some(slug)
            }
        };
        let status = record
            .status
            .or(current.map(|current| current.status))
            .unwrap_or(Status::Active);
        let mut published_at = record
            .published_at
            .unwrap_or_else(|| current.and_then(|current| current.published_at));
        if published_at.is_none() && status == Status::Active && record.published_at.is_none() {
            published_at = Some(self.context.now);
        }
        let target = CurrentProduct {
            id: 0,
            slug: self.slug.clone(),
            brand,
            status,
            published_at,
            unpublished_at: record
                .unpublished_at
                .unwrap_or_else(|| current.and_then(|current| current.unpublished_at)),
            product_type: record
                .product_type
                .clone()
                .or_else(|| current.map(|current| current.product_type.clone()))
                .unwrap_or_default(),
            tax_category: record
                .tax_category
                .clone()
                .or_else(|| current.map(|current| current.tax_category.clone()))
                .unwrap_or_else(|| "standard".to_owned()),
            featured: record
                .featured
                .or(current.map(|current| current.featured))
                .unwrap_or(0),
            ..empty_product()
        };
        let own = current.map(|current| CurrentProduct {
            id: 0,
            texts: BTreeMap::new(),
            categories: BTreeSet::new(),
            tags: BTreeSet::new(),
            attributes: BTreeSet::new(),
            options: BTreeMap::new(),
            variants: BTreeMap::new(),
            media: Vec::new(),
            ..current.clone()
        });
        self.changed |= own.as_ref() != Some(&target);
        if !self.changed {
            return;
        }
        self.changes.takedown |= current.is_some_and(|current| current.status == Status::Active)
            && status != Status::Active;
        let row = ProductRow {
            slug: target.slug,
            brand: target.brand,
            status: target.status.word(),
            published_at: target.published_at.map(stamp),
            unpublished_at: target.unpublished_at.map(stamp),
            product_type: target.product_type,
            tax_category: target.tax_category,
            featured: target.featured,
        };
        if current.is_some() {
            self.changes.product_update.push(row);
        } else {
            self.changes.product_insert.push(row);
        }
    }
}

fn pair<T>(slug: &str, item: T) -> PairRow<T> {
    PairRow {
        slug: slug.to_owned(),
        item,
    }
}

fn empty_product() -> CurrentProduct {
    CurrentProduct {
        id: 0,
        slug: String::new(),
        brand: None,
        status: Status::Draft,
        published_at: None,
        unpublished_at: None,
        product_type: String::new(),
        tax_category: String::new(),
        featured: 0,
        texts: BTreeMap::new(),
        categories: BTreeSet::new(),
        tags: BTreeSet::new(),
        attributes: BTreeSet::new(),
        options: BTreeMap::new(),
        variants: BTreeMap::new(),
        media: Vec::new(),
    }
}

fn variant_row(
    slug: &str,
    sku: &str,
    variant: &CurrentVariant,
    status: &'static str,
) -> VariantRow {
    VariantRow {
        slug: slug.to_owned(),
        sku: sku.to_owned(),
        position: variant.position,
        status,
        barcode: variant.barcode.clone(),
        weight_grams: variant.weight_grams,
        length_mm: variant.length_mm,
        width_mm: variant.width_mm,
        height_mm: variant.height_mm,
    }
}

/// As a DATETIME(6) is written.
fn stamp(instant: PrimitiveDateTime) -> String {
    instant_text(instant)
        .trim_end_matches('Z')
        .replacen('T', " ", 1)
}
