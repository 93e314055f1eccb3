//! Magento 2's (Adobe Commerce's) product CSV. A configurable product names its simple products, which may stand
//! anywhere in the file. A first pass notes on disk where each SKU is and which are part of another; the second pass
//! fetches the parts by their place. Memory does not grow with the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use time::Duration;
use time::macros::datetime;

use super::csv::{Next, Row, Rows};
use super::problem::{Problem, ProblemKind, Problems};
use super::read::{EntryReader, ReadError, ReadOptions, finish};
use super::record::{
    AttributeKind, AttributeRecord, Entry, MediaRecord, PriceRecord, ProductRecord, Status,
    StockRecord, TextRecord, VARIANTS_PER_PRODUCT, VariantRecord,
};
use super::seen::SeenKeys;
use super::spree::{UNLIMITED_BACKORDER, at, list, tax_category};
use super::text::paragraphs;
use super::value::{self, code_of, slug_of, title_of};

/// Reads products of a Magento file.
pub struct MagentoReader {
    rows: Rows,
    /// SKU to the place of its own row.
    offsets: SeenKeys,
    /// SKU to the line of its own row.
    lines: SeenKeys,
    /// SKUs that are part of a configurable product.
    parts: SeenKeys,
    options: ReadOptions,
}

impl MagentoReader {
    /// Opens a file and makes the first pass.
    ///
    /// # Errors
    /// The file cannot be read or is of another format.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, ReadError> {
        let temporary = |source| ReadError::Temporary { source };
        let mut first = Rows::open(path)?;
        first
            .header()
            .require("magento", &["sku", "product_type", "name"])?;
        let mut offsets = SeenKeys::new().map_err(temporary)?;
        let mut lines = SeenKeys::new().map_err(temporary)?;
        let mut parts = SeenKeys::new().map_err(temporary)?;
        while let Some(next) = first.next_row()? {
            let Next::Row(row) = next else { continue };
            if row.filled("store_view_code").is_some() || row.get("sku").is_empty() {
                continue;
            }
            offsets
                .insert(row.get("sku"), row.offset)
                .map_err(temporary)?;
            lines.insert(row.get("sku"), row.line).map_err(temporary)?;
            for (sku, _) in variations(&row).into_iter().take(VARIANTS_PER_PRODUCT) {
                parts.insert(&sku, 1).map_err(temporary)?;
            }
        }
        Ok(Self {
            rows: Rows::open(path)?,
            offsets,
            lines,
            parts,
            options: options.clone(),
        })
    }

    fn row_of(&mut self, sku: &str) -> Result<Option<Row>, ReadError> {
        let temporary = |source| ReadError::Temporary { source };
        match (
            self.lines.get(sku).map_err(temporary)?,
            self.offsets.get(sku).map_err(temporary)?,
        ) {
            (Some(line), Some(offset)) => Ok(self
                .rows
                .row_at(line, offset)?
                .filter(|row| row.get("sku") == sku)),
            _ => Ok(None),
        }
    }

    /// The product of a row that is not part of another one.
    fn product(&mut self, row: &Row) -> Result<Result<ProductRecord, Vec<Problem>>, ReadError> {
        let mut problems = Problems::default();
        let mut record = ProductRecord {
            line: row.line,
            slug: slug(row),
            variants_complete: true,
            ..ProductRecord::default()
        };
        describe(row, &mut record, &self.options, &mut problems);
        let mut media = pictures(row, None);
        match row.get("product_type") {
            "simple" | "virtual" | "downloadable" | "" => {
                record
                    .variants
                    .push(variant(row, Vec::new(), &self.options, &mut problems));
            }
            "configurable" => {
                let labels: BTreeMap<String, String> =
                    pairs(row.get("configurable_variation_labels"))
                        .into_iter()
                        .collect();
                for (sku, chosen) in variations(row) {
                    let Some(part) = self.row_of(&sku)? else {
                        problems.push(at(row, "configurable_variations").problem(
                            ProblemKind::UnknownVariant,
                            &sku,
                            "the file has no row for this variant",
                            "export the simple products together with the configurable ones",
                        ));
                        continue;
                    };
                    let chosen = chosen
                        .into_iter()
                        .map(|(code, value)| {
                            (
                                labels
                                    .get(&code)
                                    .cloned()
                                    .unwrap_or_else(|| title_of(&code)),
                                value,
                            )
                        })
                        .collect();
                    record
                        .variants
                        .push(variant(&part, chosen, &self.options, &mut problems));
                    for picture in pictures(&part, Some(&sku)) {
                        if !media.iter().any(|known| known.url == picture.url) {
                            media.push(picture);
                        }
                    }
                }
                if record.variants.is_empty() && problems.is_empty() {
                    problems.push(at(row, "configurable_variations").problem(
                        ProblemKind::Missing,
                        "",
                        "a configurable product without variants",
                        "name its simple products in configurable_variations",
                    ));
                }
            }
            other => problems.push(at(row, "product_type").problem(
                ProblemKind::UnknownValue,
                other,
                "products of this type are not sold by this shop",
                "import simple, virtual, downloadable and configurable products",
            )),
        }
        if row.header().has("base_image") || row.header().has("additional_images") {
            record.media = Some(media);
        }
        let slug = record.slug.clone();
        Ok(finish(record, &mut problems).ok_or_else(|| problems.into_list(&slug)))
    }

    /// Texts of a store view, which add to the product of the same SKU.
    fn translation(&mut self, row: &Row) -> Result<Result<ProductRecord, Vec<Problem>>, ReadError> {
        let mut problems = Problems::default();
        let Some(base) = self.row_of(row.get("sku"))? else {
            return Ok(Err(vec![at(row, "sku").problem(
                ProblemKind::UnknownProduct,
                row.get("sku"),
                "texts of a store view for a product that the file does not have",
                "export the default store view as well",
            )]));
        };
        // Store views are named by their merchants; those named after a locale can be understood.
        let Some(locale) = value::locale_of(row.get("store_view_code")) else {
            return Ok(Err(vec![at(row, "store_view_code").problem(
                ProblemKind::UnknownValue,
                row.get("store_view_code"),
                "the store view is not named after a locale",
                "rename the code to a language tag, as de or zh_CN, or leave its rows out",
            )]));
        };
        let mut record = ProductRecord {
            line: row.line,
            slug: slug(&base),
            supplement: true,
            ..ProductRecord::default()
        };
        // An empty field of a store view means: as in the default view.
        let filled = |column: &str| row.filled(column).map(str::to_owned);
        record.texts.insert(
            locale,
            TextRecord {
                name: filled("name").or_else(|| base.filled("name").map(str::to_owned)),
                description: filled("description").map(|html| paragraphs(&html)),
                seo_title: filled("meta_title"),
                seo_description: filled("meta_description"),
            },
        );
        let slug = record.slug.clone();
        Ok(finish(record, &mut problems).ok_or_else(|| problems.into_list(&slug)))
    }
}

impl EntryReader for MagentoReader {
    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            let row = match self.rows.next_row()? {
                None => return Ok(None),
                Some(Next::Damaged(problem)) => return Ok(Some(Entry::Refused(vec![problem]))),
                Some(Next::Row(row)) => row,
            };
            if row.get("sku").is_empty() {
                let problem = at(&row, "sku").problem(
                    ProblemKind::Missing,
                    "",
                    "the row has no SKU",
                    "fill the column",
                );
                return Ok(Some(Entry::Refused(vec![problem])));
            }
            let part = self
                .parts
                .get(row.get("sku"))
                .map_err(|source| ReadError::Temporary { source })?
                .is_some();
            if part {
                continue;
            }
            let result = if row.filled("store_view_code").is_some() {
                self.translation(&row)?
            } else {
                self.product(&row)?
            };
            return Ok(Some(match result {
                Ok(record) => Entry::Product(Box::new(record)),
                Err(problems) => Entry::Refused(problems),
            }));
        }
    }

    fn position(&self) -> u64 {
        self.rows.position()
    }
}

fn slug(row: &Row) -> String {
    slug_of(
        row.filled("url_key")
            .or_else(|| row.filled("name"))
            .unwrap_or_default(),
    )
}

fn describe(row: &Row, record: &mut ProductRecord, options: &ReadOptions, problems: &mut Problems) {
    let stated = |column: &str| row.header().has(column).then(|| row.get(column).to_owned());
    let description = row
        .filled("description")
        .or_else(|| row.filled("short_description"))
        .map(paragraphs);
    record.texts.insert(
        options.locale.clone(),
        TextRecord {
            name: stated("name"),
            description: description.or_else(|| row.header().has("description").then(String::new)),
            seo_title: stated("meta_title"),
            seo_description: stated("meta_description"),
        },
    );
    record.status = match row.get("product_online") {
        "" => None,
        "1" => Some(Status::Active),
        "0" | "2" => Some(Status::Draft),
        other => {
            problems.push(at(row, "product_online").problem(
                ProblemKind::UnknownValue,
                other,
                "not a status",
                "write 1 or 2",
            ));
            None
        }
    };
    if row
        .get("visibility")
        .eq_ignore_ascii_case("Not Visible Individually")
        && record.status == Some(Status::Active)
    {
        record.status = Some(Status::Draft);
    }
    if let Some(text) = row.filled("created_at") {
        record.published_at = problems
            .take(value::american_instant(text, at(row, "created_at")))
            .map(Some);
    }
    record.product_type =
        stated("attribute_set_code").map(|set| if set == "Default" { String::new() } else { set });
    if let Some(class) = row.filled("tax_class_name") {
        record.tax_category = Some(tax_category(class));
    }
    if row.header().has("categories") {
        let paths: BTreeSet<Vec<String>> = list(row.get("categories"), ',')
            .into_iter()
            // The first level is the root of the store, which shoppers do not see.
            .map(|path| {
                path.split('/')
                    .skip(1)
                    .map(|name| name.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .filter(|path| !path.is_empty())
            .collect();
        record.categories = Some(paths.into_iter().collect());
    }
    if row.header().has("additional_attributes") {
        let mut attributes = Vec::new();
        for (key, text) in pairs(row.get("additional_attributes")) {
            if matches!(key.as_str(), "manufacturer" | "brand") {
                record.brand = Some(Some(text));
                continue;
            }
            let code = code_of(&key);
            let values: BTreeSet<String> = list(&text, '|').into_iter().collect();
            if !code.is_empty() && !values.is_empty() {
                let values = values.into_iter().collect();
                attributes.push(AttributeRecord {
                    code,
                    name: title_of(&key),
                    kind: AttributeKind::Text,
                    unit: String::new(),
                    values,
                });
            }
        }
        record.attributes = Some(attributes);
    }
}

fn variant(
    row: &Row,
    chosen: Vec<(String, String)>,
    options: &ReadOptions,
    problems: &mut Problems,
) -> VariantRecord {
    let currency = &options.currency;
    let mut money = |column: &str| {
        row.filled(column)
            .and_then(|text| problems.take(value::money(text, currency, at(row, column))))
    };
    let (price, special) = (money("price"), money("special_price"));
    let mut date = |column: &str| {
        row.filled(column)
            .and_then(|text| problems.take(value::american_instant(text, at(row, column))))
    };
    let from = date("special_price_from_date");
    // The last day of a special price is a whole day.
    let until = date("special_price_to_date").and_then(|day| day.checked_add(Duration::DAY));
    let mut prices = Vec::new();
    if let Some(amount) = price {
        let base = |amount, compare_at, starts_at, ends_at| PriceRecord {
            currency: currency.clone(),
            starts_at,
            ends_at,
            amount,
            compare_at,
        };
        match special {
            Some(special) if from.is_none() && until.is_none() => {
                prices.push(base(special, Some(amount), None, None))
            }
            Some(special) => {
                prices.push(base(amount, None, None, None));
                // Without a first day it has always held; a price list tells its prices apart by their beginnings.
                let from = from.unwrap_or(datetime!(2000-01-01 0:00));
                prices.push(base(special, Some(amount), Some(from), until));
            }
            None => prices.push(base(amount, None, None, None)),
        }
    }
    let tracked = row
        .filled("manage_stock")
        .and_then(|text| problems.take(value::boolean(text, at(row, "manage_stock"))));
    let use_config = row.get("use_config_manage_stock") == "1";
    let on_hand = row
        .filled("qty")
        .and_then(|text| problems.take(value::whole(text, at(row, "qty"))))
        .map(|quantity| quantity.max(0));
    let backorder_limit = row
        .filled("allow_backorders")
        .map(|word| if word == "0" { 0 } else { UNLIMITED_BACKORDER });
    let weight_grams = row
        .filled("weight")
        .and_then(|text| problems.take(value::grams(text, &options.weight_unit, at(row, "weight"))))
        .map(Some);
    VariantRecord {
        line: row.line,
        sku: row.get("sku").to_owned(),
        options: Some(chosen),
        prices,
        stock: StockRecord {
            tracked: if use_config { Some(true) } else { tracked },
            on_hand,
            backorder_limit,
            low_threshold: None,
        },
        barcode: None,
        weight_grams,
        length_mm: None,
        width_mm: None,
        height_mm: None,
    }
}

fn pictures(row: &Row, sku: Option<&str>) -> Vec<MediaRecord> {
    let labels = list(row.get("additional_image_labels"), ',');
    let base = row
        .filled("base_image")
        .map(|url| (url.to_owned(), row.get("base_image_label").to_owned()));
    let others = list(row.get("additional_images"), ',')
        .into_iter()
        .enumerate()
        .map(|(index, url)| (url, labels.get(index).cloned().unwrap_or_default()));
    let mut pictures: Vec<MediaRecord> = Vec::new();
    for (url, alt) in base.into_iter().chain(others) {
        if !pictures.iter().any(|known| known.url == url) {
            pictures.push(MediaRecord {
                url,
                hash: None,
                alt,
                sku: sku.map(str::to_owned),
            });
        }
    }
    pictures
}

/// `sku=A,color=Red|sku=B,color=Blue`.
fn variations(row: &Row) -> Vec<(String, Vec<(String, String)>)> {
    row.get("configurable_variations")
        .split('|')
        .filter_map(|part| {
            let mut all = pairs(part);
            let place = all.iter().position(|(key, _)| key == "sku")?;
            let (_, sku) = all.remove(place);
            Some((sku, all))
        })
        .collect()
}

/// `a=1,b=2,3,c=4`: a comma parts two pairs only when a key follows it.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in text.split(',') {
        let key = part.split_once('=').filter(|(key, _)| {
            let key = key.trim();
            !key.is_empty()
                && key
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        match (key, pairs.last_mut()) {
            (Some((key, value)), _) => pairs.push((
                key.trim().to_owned(),
                value.trim().trim_matches('"').to_owned(),
            )),
            (None, Some((_, value))) => {
                value.push(',');
                value.push_str(part);
            }
            (None, None) => {}
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_commas() {
        assert_eq!(
            pairs("material=Wool, soft,color=Red,size=\"L\""),
            [
                ("material".to_owned(), "Wool, soft".to_owned()),
                ("color".to_owned(), "Red".to_owned()),
                ("size".to_owned(), "L".to_owned()),
            ]
        );
    }
}
