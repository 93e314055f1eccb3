//! Translations: `slug,locale,name,description,meta_title,meta_description`, as Spree writes them. One product may have
//! several rows; they add texts to a product that is in the shop.

use super::problem::{Problem, ProblemKind, Problems};
use super::read::Group;
use super::record::{ProductRecord, TextRecord};
use super::spree::at;
use super::text::paragraphs;
use super::value::locale_of;

/// The texts of a group of rows.
///
/// # Errors
/// Everything that is wrong with them.
pub fn product(group: &Group) -> Result<ProductRecord, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut record = ProductRecord {
        line: group.line(),
        slug: group.key.clone(),
        supplement: true,
        ..ProductRecord::default()
    };
    for row in &group.rows {
        let Some(locale) = locale_of(row.get("locale")) else {
            problems.push(at(row, "locale").problem(
                ProblemKind::UnknownValue,
                row.get("locale"),
                "not a locale",
                "write a language tag, as de or zh-CN",
            ));
            continue;
        };
        let stated = |column: &str| row.header().has(column).then(|| row.get(column).to_owned());
        let text = TextRecord {
            name: stated("name"),
            description: stated("description").map(|html| paragraphs(&html)),
            seo_title: stated("meta_title"),
            seo_description: stated("meta_description"),
        };
        if record.texts.insert(locale.clone(), text).is_some() {
            problems.push(at(row, "locale").problem(
                ProblemKind::DuplicateSlug,
                &locale,
                "the product has two rows in this language",
                "keep one of them",
            ));
        }
    }
    group.finish(record, problems)
}
