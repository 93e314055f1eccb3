//! Products of files that a mapping describes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::csv::{Next, Row, Rows};
use super::expression::{Scope, evaluate};
use super::json::{Element, Elements};
use super::mapping::{Expression, Mapping, TextSection};
use super::problem::{Problem, ProblemKind, Problems};
use super::read::{EntryReader, JsonReader, ReadError, ReadOptions, finish, grouped};
use super::record::{
    AttributeKind, AttributeRecord, Entry, MediaRecord, PriceRecord, ProductRecord, Status,
    StockRecord, TextRecord, VariantRecord,
};
use super::spree::tax_category;
use super::text::paragraphs;
use super::value::{self, Decimal, Place, slug_of};

/// Opens a file that a mapping describes.
///
/// # Errors
/// The file cannot be read, or lacks columns that the mapping names.
pub fn open(
    path: &Path,
    json: bool,
    mapping: &Mapping,
    options: &ReadOptions,
) -> Result<Box<dyn EntryReader>, ReadError> {
    let reader = Mapped {
        mapping: mapping.clone(),
        options: with_mapping(options, mapping),
    };
    if json {
        return Ok(Box::new(JsonReader {
            elements: Elements::open(path)?,
            convert: Box::new(move |element| reader.element(element)),
        }));
    }
    let rows = Rows::open(path)?;
    let needed: BTreeSet<&str> = mapping
        .expressions()
        .iter()
        .flat_map(|(_, expression)| expression.from.iter().chain(&expression.percent_off))
        .map(|source| source.trim_start_matches('^'))
        .chain(mapping.file.group.as_deref())
        .collect();
    rows.header()
        .require("mapped", &needed.into_iter().collect::<Vec<_>>())?;
    Ok(match &mapping.file.group {
        Some(column) => grouped(rows, column, move |group| {
            let items: Vec<Value> = group.rows.iter().map(object).collect();
            let lines: Vec<u64> = group.rows.iter().map(|row| row.line).collect();
            let mut problems = Problems::default();
            let record = reader.product(&items, &lines, &mut problems);
            group.finish(record, problems)
        }),
        None => Box::new(RowReader { rows, reader }),
    })
}

fn with_mapping(options: &ReadOptions, mapping: &Mapping) -> ReadOptions {
    let pick =
        |stated: &Option<String>, other: &String| stated.clone().unwrap_or_else(|| other.clone());
    ReadOptions {
        locale: value::locale_of(&pick(&mapping.file.locale, &options.locale)).unwrap_or_default(),
        currency: pick(&mapping.file.currency, &options.currency),
        weight_unit: pick(&mapping.file.weight_unit, &options.weight_unit),
        length_unit: pick(&mapping.file.length_unit, &options.length_unit),
    }
}

fn object(row: &Row) -> Value {
    Value::Object(
        row.pairs()
            .map(|(column, field)| (column.to_owned(), Value::String(field.to_owned())))
            .collect::<Map<_, _>>(),
    )
}

struct RowReader {
    rows: Rows,
    reader: Mapped,
}

impl EntryReader for RowReader {
    fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let row = match self.rows.next_row()? {
            None => return Ok(None),
            Some(Next::Damaged(problem)) => return Ok(Some(Entry::Refused(vec![problem]))),
            Some(Next::Row(row)) => row,
        };
        Ok(Some(match self.reader.one(&object(&row), row.line) {
            Ok(record) => Entry::Product(Box::new(record)),
            Err(problems) => Entry::Refused(problems),
        }))
    }

    fn position(&self) -> u64 {
        self.rows.position()
    }
}

struct Mapped {
    mapping: Mapping,
    options: ReadOptions,
}

impl Mapped {
    fn element(&self, element: &Element) -> Result<ProductRecord, Vec<Problem>> {
        let item: Value = element.parse().map_err(|problem| vec![problem])?;
        self.one(&item, element.line)
    }

    fn one(&self, item: &Value, line: u64) -> Result<ProductRecord, Vec<Problem>> {
        let mut problems = Problems::default();
        let record = self.product(std::slice::from_ref(item), &[line], &mut problems);
        let slug = record.slug.clone();
        finish(record, &mut problems).ok_or_else(|| problems.into_list(&slug))
    }

    /// One product of one element or of a group of rows.
    fn product(&self, items: &[Value], lines: &[u64], problems: &mut Problems) -> ProductRecord {
        let (Some(root), Some(line)) = (items.first(), lines.first().copied()) else {
            return ProductRecord::default();
        };
        let scope = Scope {
            root,
            item: root,
            line,
        };
        let section = &self.mapping.product;
        let name = self
            .one_of(&section.name, "product.name", scope, problems)
            .unwrap_or_default();
        let slug = match &section.slug {
            Some(expression) => self
                .one_of(expression, "product.slug", scope, problems)
                .unwrap_or_default(),
            None => slug_of(&name),
        };
        let mut record = ProductRecord {
            line,
            slug,
            variants_complete: true,
            ..ProductRecord::default()
        };
        let stated = |expression: &Option<Expression>, field: &str, problems: &mut Problems| {
            expression.as_ref().map(|expression| {
                self.one_of(expression, field, scope, problems)
                    .unwrap_or_default()
            })
        };
        record.texts.insert(
            self.options.locale.clone(),
            TextRecord {
                name: Some(name),
                description: stated(&section.description, "product.description", problems)
                    .map(|text| paragraphs(&text)),
                seo_title: stated(&section.seo_title, "product.seo_title", problems),
                seo_description: stated(
                    &section.seo_description,
                    "product.seo_description",
                    problems,
                ),
            },
        );
        record.brand = stated(&section.brand, "product.brand", problems)
            .map(|brand| (!brand.is_empty()).then_some(brand));
        record.product_type = stated(&section.product_type, "product.product_type", problems);
        record.tax_category = stated(&section.tax_category, "product.tax_category", problems)
            .map(|category| tax_category(&category));
        record.status = match stated(&section.status, "product.status", problems).as_deref() {
            None | Some("") => Some(Status::Active),
            Some(word) => {
                let status = Status::of_word(word);
                if status.is_none() {
                    let place = Place {
                        line,
                        field: "product.status",
                    };
                    problems.push(place.problem(
                        ProblemKind::UnknownValue,
                        word,
                        "not a status",
                        "turn it into draft, active or archived with a lookup table",
                    ));
                }
                status
            }
        };
        let date = |expression: &Option<Expression>, field: &str, problems: &mut Problems| {
            let text = stated(expression, field, problems)?;
            if text.is_empty() {
                Some(None)
            } else {
                problems
                    .take(value::instant(&text, Place { line, field }))
                    .map(Some)
            }
        };
        record.published_at = date(&section.published_at, "product.published_at", problems);
        record.unpublished_at = date(&section.unpublished_at, "product.unpublished_at", problems);
        let featured = section
            .featured
            .as_ref()
            .and_then(|expression| self.one_of(expression, "product.featured", scope, problems));
        record.featured = featured.and_then(|text| {
            problems.take(value::whole(
                &text,
                Place {
                    line,
                    field: "product.featured",
                },
            ))
        });
        record.tags = section.tags.as_ref().map(|expression| {
            self.list(expression, "product.tags", scope, problems)
                .into_iter()
                .collect()
        });
        record.categories = section.categories.as_ref().map(|categories| {
            let paths: BTreeSet<Vec<String>> = self
                .list(&categories.paths, "product.categories", scope, problems)
                .iter()
                .map(|path| {
                    path.split(&categories.separator)
                        .map(|name| name.trim().to_owned())
                        .collect()
                })
                .collect();
            paths.into_iter().collect()
        });
        self.texts(&mut record, scope, problems);
        self.attributes(&mut record, scope, problems);
        self.variants(&mut record, items, lines, problems);
        self.media(&mut record, scope, problems);
        record
    }

    fn texts(&self, record: &mut ProductRecord, scope: Scope<'_>, problems: &mut Problems) {
        for (locale, section) in &self.mapping.text {
            let TextSection {
                name,
                description,
                seo_title,
                seo_description,
            } = section;
            // A product that has no name in a language has no text in it.
            let Some(name) = self.one_of(name, &format!("text.{locale}.name"), scope, problems)
            else {
                continue;
            };
            let mut stated = |expression: &Option<Expression>, key: &str| {
                let field = format!("text.{locale}.{key}");
                expression.as_ref().map(|expression| {
                    self.one_of(expression, &field, scope, problems)
                        .unwrap_or_default()
                })
            };
            let text = TextRecord {
                name: Some(name),
                description: stated(description, "description").map(|text| paragraphs(&text)),
                seo_title: stated(seo_title, "seo_title"),
                seo_description: stated(seo_description, "seo_description"),
            };
            record
                .texts
                .extend(value::locale_of(locale).map(|locale| (locale, text)));
        }
    }

    fn attributes(&self, record: &mut ProductRecord, scope: Scope<'_>, problems: &mut Problems) {
        if self.mapping.attribute.is_empty() {
            return;
        }
        let mut attributes: BTreeMap<&str, AttributeRecord> = BTreeMap::new();
        for section in &self.mapping.attribute {
            let field = format!("attribute.{}", section.code);
            let values: BTreeSet<String> = self
                .list(&section.values, &field, scope, problems)
                .into_iter()
                .collect();
            if values.is_empty() {
                continue;
            }
            attributes
                .entry(&section.code)
                .or_insert_with(|| AttributeRecord {
                    code: section.code.clone(),
                    name: section.name.clone(),
                    kind: AttributeKind::of_word(&section.kind).unwrap_or(AttributeKind::Text),
                    unit: section.unit.clone(),
                    values: Vec::new(),
                })
                .values
                .extend(values);
        }
        record.attributes = Some(attributes.into_values().collect());
    }

    fn variants(
        &self,
        record: &mut ProductRecord,
        items: &[Value],
        lines: &[u64],
        problems: &mut Problems,
    ) {
        let Some(root) = items.first() else { return };
        match &self.mapping.variants.each {
            Some(pointer) => match root.pointer(pointer) {
                Some(Value::Array(elements)) => {
                    for item in elements {
                        let scope = Scope {
                            root,
                            item,
                            line: record.line,
                        };
                        record.variants.push(self.variant(scope, problems));
                    }
                }
                _ => problems.push(
                    Problem::new(
                        record.line,
                        ProblemKind::WrongType,
                        "no array of variants",
                        "correct variants.each in the mapping",
                    )
                    .with_field(pointer, ""),
                ),
            },
            None => {
                for (item, line) in items.iter().zip(lines) {
                    let scope = Scope {
                        root,
                        item,
                        line: *line,
                    };
                    record.variants.push(self.variant(scope, problems));
                }
            }
        }
    }

    fn variant(&self, scope: Scope<'_>, problems: &mut Problems) -> VariantRecord {
        let section = &self.mapping.variant;
        let line = scope.line;
        let one = |expression: &Option<Expression>, field: &str, problems: &mut Problems| {
            expression
                .as_ref()
                .and_then(|expression| self.one_of(expression, field, scope, problems))
        };
        let currency = match one(&section.currency, "variant.currency", problems) {
            Some(code) => problems.take(value::currency(
                &code,
                Place {
                    line,
                    field: "variant.currency",
                },
            )),
            None => Some(self.options.currency.clone()),
        };
        let mut prices = Vec::new();
        if let Some(currency) = currency {
            let amount = |expression: &Option<Expression>, field: &str, problems: &mut Problems| {
                let text = one(expression, field, problems)?;
                let computed = expression.as_ref().is_some_and(Expression::computes);
                problems.take(amount(
                    &text,
                    &currency,
                    section.minor_units,
                    computed,
                    Place { line, field },
                ))
            };
            let compare_at = amount(&section.compare_at, "variant.compare_at", problems)
                .filter(|amount| *amount > 0);
            if let Some(amount) = amount(&section.price, "variant.price", problems) {
                let compare_at = compare_at.filter(|compare_at| *compare_at > amount);
                prices.push(PriceRecord {
                    currency,
                    starts_at: None,
                    ends_at: None,
                    amount,
                    compare_at,
                });
            }
        }
        let count = |expression: &Option<Expression>, field: &str, problems: &mut Problems| {
            let text = one(expression, field, problems)?;
            problems.take(value::count(&text, Place { line, field }))
        };
        let on_hand = count(&section.stock, "variant.stock", problems);
        let backorder_limit = count(
            &section.backorder_limit,
            "variant.backorder_limit",
            problems,
        );
        let low_threshold = count(&section.low_threshold, "variant.low_threshold", problems);
        let length = |expression: &Option<Expression>, field: &str, problems: &mut Problems| {
            let text = one(expression, field, problems)?;
            problems
                .take(value::millimetres(
                    &text,
                    &self.options.length_unit,
                    Place { line, field },
                ))
                .map(Some)
        };
        let length_mm = length(&section.length, "variant.length", problems);
        let width_mm = length(&section.width, "variant.width", problems);
        let height_mm = length(&section.height, "variant.height", problems);
        let weight_grams = one(&section.weight, "variant.weight", problems)
            .and_then(|text| {
                problems.take(value::grams(
                    &text,
                    &self.options.weight_unit,
                    Place {
                        line,
                        field: "variant.weight",
                    },
                ))
            })
            .map(Some);
        let tracked = one(&section.tracked, "variant.tracked", problems).and_then(|text| {
            problems.take(value::boolean(
                &text,
                Place {
                    line,
                    field: "variant.tracked",
                },
            ))
        });
        let barcode = one(&section.barcode, "variant.barcode", problems);
        let sku = one(&section.sku, "variant.sku", problems).unwrap_or_default();
        let options = self
            .mapping
            .option
            .iter()
            .filter_map(|option| {
                let name = self.one_of(&option.name, "option.name", scope, problems)?;
                let value = self.one_of(&option.value, "option.value", scope, problems)?;
                Some((name, value))
            })
            .collect();
        VariantRecord {
            line,
            sku,
            options: Some(options),
            prices,
            stock: StockRecord {
                tracked,
                on_hand,
                backorder_limit,
                low_threshold,
            },
            barcode,
            weight_grams,
            length_mm,
            width_mm,
            height_mm,
        }
    }

    fn media(&self, record: &mut ProductRecord, scope: Scope<'_>, problems: &mut Problems) {
        if self.mapping.media.is_empty() {
            return;
        }
        let mut media: Vec<MediaRecord> = Vec::new();
        for section in &self.mapping.media {
            let items: Vec<&Value> = match &section.each {
                None => vec![scope.item],
                Some(pointer) => match scope.item.pointer(pointer) {
                    Some(Value::Array(elements)) => elements.iter().collect(),
                    Some(_) | None => Vec::new(),
                },
            };
            for item in items {
                let scope = Scope { item, ..scope };
                let alt = section
                    .alt
                    .as_ref()
                    .and_then(|alt| self.one_of(alt, "media.alt", scope, problems));
                for url in self.list(&section.url, "media.url", scope, problems) {
                    if !media.iter().any(|known| known.url == url) {
                        media.push(MediaRecord {
                            url,
                            hash: None,
                            alt: alt.clone().unwrap_or_default(),
                            sku: None,
                        });
                    }
                }
            }
        }
        record.media = Some(media);
    }

    fn one_of(
        &self,
        expression: &Expression,
        field: &str,
        scope: Scope<'_>,
        problems: &mut Problems,
    ) -> Option<String> {
        let values = self.list(expression, field, scope, problems);
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The values of an expression, without empty ones.
    fn list(
        &self,
        expression: &Expression,
        field: &str,
        scope: Scope<'_>,
        problems: &mut Problems,
    ) -> Vec<String> {
        let place = Place {
            line: scope.line,
            field,
        };
        match evaluate(expression, &self.mapping.lookup, scope, place) {
            Ok(values) => values,
            Err(problem) => {
                problems.push(problem);
                Vec::new()
            }
        }
    }
}

fn amount(
    text: &str,
    currency: &str,
    minor_units: bool,
    computed: bool,
    place: Place<'_>,
) -> Result<i64, Problem> {
    if minor_units {
        return value::count(text, place);
    }
    if !computed {
        return value::money(text, currency, place);
    }
    let decimals = value::currency_decimals(currency).unwrap_or(2);
    let minor = Decimal::parse(text, place)?
        .scaled(1, 1, decimals)
        .ok_or_else(|| {
            place.problem(
                ProblemKind::BadNumber,
                text,
                "too large",
                "check the decimal point",
            )
        })?;
    value::money(
        &value::money_text(i64::try_from(minor).unwrap_or(i64::MAX), currency),
        currency,
        place,
    )
}
