//! Structured data: schema.org in JSON-LD.

use serde_json::{Value, json};

use super::super::i18n::Locale;
use super::super::urls::{Preset, Urls};
use super::super::view::{ProductCard, ProductView, Site, Variant};

/// JSON that can stand in a script element: nothing in it ends the element or opens a comment, and its line ends are
/// JavaScript's too. The escapes are JSON's own, so it reads back the same.
#[must_use]
pub fn to_script(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        match character {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text
}

/// The shop as an organisation.
#[must_use]
pub fn organization(site: &Site, icon_path: &str) -> Value {
    let mut value = json!({
        "@context": "https://schema.org",
        "@type": "Organization",
        "@id": format!("{}/#organization", site.origin),
        "name": site.name,
        "url": format!("{}/", site.origin),
        "logo": format!("{}{icon_path}", site.origin),
    });
    if let Some(email) = &site.email {
        set(&mut value, "email", json!(email));
    }
    value
}

/// The site with its search.
#[must_use]
pub fn web_site(site: &Site, urls: &Urls) -> Value {
    let urls = urls.in_default_currency();
    json!({
        "@context": "https://schema.org",
        "@type": "WebSite",
        "name": site.name,
        "inLanguage": urls.locale.tag(),
        "url": format!("{}{}", site.origin, urls.home()),
        "publisher": { "@id": format!("{}/#organization", site.origin) },
        "potentialAction": {
            "@type": "SearchAction",
            "target": {
                "@type": "EntryPoint",
                "urlTemplate": format!("{}{}?q={{search_term_string}}", site.origin, urls.search_action()),
            },
            "query-input": "required name=search_term_string",
        },
    })
}

/// The way from the home page to a page: names with paths, the page itself last.
#[must_use]
pub fn breadcrumbs(site: &Site, steps: &[(String, String)]) -> Value {
    let items: Vec<Value> = (1_u32..)
        .zip(steps)
        .map(|(position, (name, path))| {
            json!({ "@type": "ListItem", "position": position, "name": name, "item": format!("{}{path}", site.origin) })
        })
        .collect();
    json!({ "@context": "https://schema.org", "@type": "BreadcrumbList", "itemListElement": items })
}

/// The products of a listing in their order.
#[must_use]
pub fn item_list(site: &Site, urls: &Urls, products: &[ProductCard]) -> Value {
    let urls = urls.in_default_currency();
    let items: Vec<Value> = (1_u32..)
        .zip(products)
        .map(|(position, product)| {
            json!({
                "@type": "ListItem",
                "position": position,
                "name": product.name,
                "url": format!("{}{}", site.origin, urls.product(&product.slug)),
            })
        })
        .collect();
    json!({ "@context": "https://schema.org", "@type": "ItemList", "itemListElement": items })
}

/// A product with what it costs: one offer, or the range of several.
#[must_use]
pub fn product(site: &Site, urls: &Urls, view: &ProductView, description: &str) -> Value {
    let address = format!("{}{}", site.origin, urls.product(&view.slug));
    let offers: Vec<Value> = view
        .variants
        .iter()
        .map(|variant| offer(site, urls.locale, variant, &address))
        .collect();
    let mut value = json!({
        "@context": "https://schema.org",
        "@type": "Product",
        "@id": format!("{}{}#product", site.origin, urls.in_default_currency().product(&view.slug)),
        "name": view.name,
        "url": address,
        "inLanguage": urls.locale.tag(),
    });
    if !description.is_empty() {
        set(&mut value, "description", json!(description));
    }
    if let Some(brand) = &view.brand {
        set(
            &mut value,
            "brand",
            json!({ "@type": "Brand", "name": brand.name }),
        );
    }
    if let Some(category) = view.categories.last() {
        set(&mut value, "category", json!(category.name));
    }
    let pictures: Vec<String> = view
        .pictures
        .iter()
        .map(|picture| format!("{}{}", site.origin, picture.url(Preset::Zoom)))
        .collect();
    if !pictures.is_empty() {
        set(&mut value, "image", json!(pictures));
    }
    match (view.variants.as_slice(), offers.as_slice()) {
        ([variant], [offer]) => {
            set(&mut value, "sku", json!(variant.sku));
            if let Some(gtin) = &variant.gtin {
                set(&mut value, "gtin", json!(gtin));
            }
            set(&mut value, "offers", offer.clone());
        }
        ([], _) | (_, []) => {}
        (variants, offers) => set(&mut value, "offers", aggregate_offer(variants, offers)),
    }
    value
}

fn offer(site: &Site, locale: Locale, variant: &Variant, address: &str) -> Value {
    let mut value = json!({
        "@type": "Offer",
        "sku": variant.sku,
        "url": address,
        "price": variant.price.amount.decimal(),
        "priceCurrency": variant.price.amount.currency.as_str(),
        "availability": variant.availability.schema(),
        "itemCondition": "https://schema.org/NewCondition",
        "seller": { "@id": format!("{}/#organization", site.origin) },
    });
    if !variant.values.is_empty() {
        set(
            &mut value,
            "name",
            json!(variant.values.join(match locale {
                Locale::En => ", ",
                Locale::ZhCn => "，",
            })),
        );
    }
    if let Some(gtin) = &variant.gtin {
        set(&mut value, "gtin", json!(gtin));
    }
    if let Some(day) = variant.price.valid_until {
        // ISO 8601, as schema.org's Date asks.
        set(
            &mut value,
            "priceValidUntil",
            json!(format!(
                "{:04}-{:02}-{:02}",
                day.year(),
                u8::from(day.month()),
                day.day()
            )),
        );
    }
    value
}

fn aggregate_offer(variants: &[Variant], offers: &[Value]) -> Value {
    let prices = || variants.iter().map(|variant| variant.price.amount);
    let low = prices().min_by_key(|price| price.minor);
    let high = prices().max_by_key(|price| price.minor);
    let best = variants.iter().map(|variant| variant.availability).min();
    json!({
        "@type": "AggregateOffer",
        "lowPrice": low.map(|price| price.decimal()),
        "highPrice": high.map(|price| price.decimal()),
        "priceCurrency": low.map(|price| price.currency.as_str()),
        "offerCount": offers.len(),
        "availability": best.map(|availability| availability.schema()),
        "offers": offers,
    })
}

/// Adds a member to an object.
fn set(object: &mut Value, name: &str, member: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_ends_the_script() {
        let value = json!({ "name": "</script><!--<script>alert('&amp;')\u{2028}\u{2029}" });
        let script = to_script(&value);
        assert!(
            !script.contains(['<', '>', '&', '\u{2028}', '\u{2029}']),
            "{script}"
        );
        assert_eq!(serde_json::from_str::<Value>(&script).unwrap(), value);
    }
}
