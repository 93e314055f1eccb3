//! Every page from the fixture, judged as a reader, a browser and a search engine judge it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::i18n::Locale;
use super::money::Currency;
use super::urls::{Cursor, ListingQuery};
use super::view::*;
use super::{fixture, seo};

/// A text that breaks out of any place that does not escape it.
const HOSTILE: &str = "\"'><script>alert(1)</script><!-- </title> & </script>";

struct Rendered {
    path: String,
    html: String,
}

/// Every kind of page in one language and currency, with the address at which it would stand.
fn pages(locale: Locale, currency: Currency) -> Vec<Rendered> {
    let site = fixture::site();
    let frame = fixture::frame(locale, currency);
    let urls = site.urls(locale, Currency::EUR);
    let mut rendered = Vec::new();
    let mut push = |path: String, html: Result<String, askama::Error>| {
        rendered.push(Rendered {
            path,
            html: html.unwrap(),
        });
    };
    push(
        urls.home(),
        super::home(&fixture::home(locale, currency), &site, &frame),
    );
    let query = fixture::query(currency);
    push(
        urls.category("drinkware"),
        super::category(&fixture::category(locale, query.clone()), &site, &frame),
    );
    let filtered = fixture::category(locale, fixture::filtered_query(currency));
    push(
        urls.category("filtered"),
        super::category(&filtered, &site, &frame),
    );
    let mut last = fixture::category(locale, query.at(Cursor::After("MTIz".to_owned())));
    last.listing.previous = Some(Cursor::Before("MTIz".to_owned()));
    last.listing.next = None;
    push(urls.category("last"), super::category(&last, &site, &frame));
    let mut empty = fixture::category(locale, fixture::filtered_query(currency));
    empty.listing.products.clear();
    empty.listing.total = Some(Total::Exactly(0));
    empty.listing.next = None;
    push(
        urls.category("nothing-matches"),
        super::category(&empty, &site, &frame),
    );
    empty.listing.query = query;
    empty.listing.facets.clear();
    empty.listing.price_bounds = None;
    empty.description.clear();
    empty.children.clear();
    push(
        urls.category("empty"),
        super::category(&empty, &site, &frame),
    );
    push(
        urls.product("stone-mug"),
        super::product(&fixture::product(locale, currency), &site, &frame),
    );
    push(
        urls.product("no-picture"),
        super::product(&fixture::bare_product(locale, currency), &site, &frame),
    );
    push(
        urls.search_action(),
        super::search(&fixture::search(locale, currency), &site, &frame),
    );
    push(
        format!("{}/none", urls.search_action()),
        super::search(
            &fixture::search_without_results(locale, currency),
            &site,
            &frame,
        ),
    );
    push(
        urls.page("shipping"),
        super::content(&fixture::content(locale), &site, &frame),
    );
    let crumb = Crumb {
        slug: "mugs".to_owned(),
        name: "Mugs".to_owned(),
    };
    let bare = Frame::bare(locale, currency);
    for (name, view, frame) in [
        ("404", ErrorView::NotFound, &frame),
        (
            "410",
            ErrorView::Gone {
                category: Some(crumb),
            },
            &frame,
        ),
        (
            "400",
            ErrorView::BadRequest {
                problems: vec!["`sort` must be one of featured, newest".to_owned()],
            },
            &frame,
        ),
        ("503", ErrorView::Unavailable, &bare),
        ("maintenance", ErrorView::Maintenance, &bare),
        (
            "500",
            ErrorView::Failure {
                request_id: "0198c0de".to_owned(),
            },
            &bare,
        ),
    ] {
        push(
            format!("{}/errors/{name}", urls.home()),
            super::error(&view, &site, frame),
        );
    }
    rendered
}

fn all_pages() -> Vec<Rendered> {
    let mut all = pages(Locale::En, Currency::EUR);
    all.extend(pages(Locale::ZhCn, Currency::CNY));
    all
}

fn find(path: &str) -> String {
    all_pages()
        .into_iter()
        .find(|page| page.path == path)
        .unwrap()
        .html
}

/// Elements that have no end (HTML, 13.1.2).
const VOID: &[&str] = &[
    "br", "circle", "hr", "img", "input", "link", "meta", "path", "rect",
];

/// The start tags of a page in order, after checking that it is well formed: every element ends in its parent, no
/// attribute is repeated, no id is given twice, no style or handler is inline.
fn start_tags(page: &Rendered) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut ids: Vec<String> = Vec::new();
    let mut rest = page.html.as_str();
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop().as_deref(),
                Some(name),
                "{}: </{name}> ends nothing",
                page.path
            );
            continue;
        }
        if tag.starts_with('!') {
            continue;
        }
        let name = tag.split([' ', '/', '\n']).next().unwrap().to_owned();
        check_attributes(page, tag, &mut ids);
        if name == "script" {
            rest = rest.split_once("</script>").unwrap().1;
        } else if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
        found.push(tag.to_owned());
    }
    assert_eq!(
        open,
        Vec::<String>::new(),
        "{}: elements without an end",
        page.path
    );
    found
}

fn check_attributes(page: &Rendered, tag: &str, ids: &mut Vec<String>) {
    let mut names: Vec<String> = Vec::new();
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.rsplit([' ', '\n']).next().unwrap().to_owned();
        let (value, after) = after.split_once('"').unwrap();
        assert!(
            !names.contains(&name),
            "{}: {name} twice in <{tag}>",
            page.path
        );
        assert!(
            name != "style" && !name.starts_with("on"),
            "{}: inline {name} in <{tag}>",
            page.path
        );
        if name == "id" {
            assert!(
                !ids.iter().any(|id| id == value),
                "{}: id {value} twice",
                page.path
            );
            ids.push(value.to_owned());
        }
        names.push(name);
        rest = after;
    }
}

#[test]
fn every_page_is_well_formed_and_has_one_heading() {
    for page in all_pages() {
        let tags = start_tags(&page);
        let count = |name: &str| {
            tags.iter()
                .filter(|tag| tag.split(' ').next() == Some(name))
                .count()
        };
        assert_eq!(count("h1"), 1, "{}", page.path);
        assert_eq!(count("main"), 1, "{}", page.path);
        assert_eq!(count("title"), 1, "{}", page.path);
        assert!(page.html.starts_with("<!doctype html>"), "{}", page.path);
        for image in tags.iter().filter(|tag| tag.starts_with("img ")) {
            for attribute in ["alt=", "width=", "height="] {
                assert!(
                    image.contains(attribute),
                    "{}: <{image}> lacks {attribute}",
                    page.path
                );
            }
        }
    }
}

#[test]
fn headings_leave_no_level_out() {
    for page in all_pages() {
        let mut last = 0;
        for tag in start_tags(&page) {
            let level = match tag.split(' ').next().unwrap() {
                "h1" => 1,
                "h2" => 2,
                "h3" => 3,
                _ => continue,
            };
            assert!(
                level <= last + 1,
                "{}: <{tag}> after level {last}",
                page.path
            );
            last = level;
        }
    }
}

#[test]
fn labels_and_fragments_lead_somewhere() {
    for page in all_pages() {
        for (marker, end) in [
            ("href=\"#", '"'),
            ("for=\"", '"'),
            ("aria-labelledby=\"", '"'),
        ] {
            for part in page.html.split(marker).skip(1) {
                let id = part.split(end).next().unwrap();
                assert!(
                    page.html.contains(&format!("id=\"{id}\"")),
                    "{}: {marker}{id} leads nowhere",
                    page.path
                );
            }
        }
    }
}

#[test]
fn a_page_asks_nobody_else_and_runs_nothing_inline() {
    for page in all_pages() {
        for tag in start_tags(&page) {
            let loads = tag.starts_with("script ")
                || tag.starts_with("img ")
                || tag.contains("rel=\"stylesheet\"");
            if loads && !tag.contains("application/ld+json") {
                assert!(
                    tag.contains("src=\"/") || tag.contains("href=\"/"),
                    "{}: <{tag}>",
                    page.path
                );
                assert!(!tag.contains("//"), "{}: <{tag}>", page.path);
            }
        }
    }
}

#[test]
fn nothing_that_a_merchant_writes_becomes_markup() {
    let (locale, currency) = (Locale::En, Currency::EUR);
    let mut site = fixture::site();
    site.name = HOSTILE.to_owned();
    site.tagline = HOSTILE.to_owned();
    site.email = Some(HOSTILE.to_owned());
    let mut frame = fixture::frame(locale, currency);
    for category in &mut frame.menu {
        category.name = HOSTILE.to_owned();
        category.slug = HOSTILE.to_owned();
    }
    let hostile_picture = Picture {
        alt: HOSTILE.to_owned(),
        ..fixture::picture(HOSTILE)
    };
    let mut product = fixture::product(locale, currency);
    product.name = HOSTILE.to_owned();
    product.slug = HOSTILE.to_owned();
    product.pictures = vec![hostile_picture.clone(), hostile_picture.clone()];
    product.options = vec![HOSTILE.to_owned()];
    product.tags = vec![HOSTILE.to_owned()];
    product.description = super::prose::parse(&format!(
        "{HOSTILE}\n\n# {HOSTILE}\n- [{HOSTILE}](https://a.example/\"onclick=\"x)"
    ));
    product.attributes = vec![Attribute {
        name: HOSTILE.to_owned(),
        values: vec![HOSTILE.to_owned()],
    }];
    for variant in &mut product.variants {
        variant.sku = HOSTILE.to_owned();
        variant.values = vec![HOSTILE.to_owned()];
    }
    let mut category =
        fixture::category(locale, fixture::query(currency).toggled("color", HOSTILE));
    category.name = HOSTILE.to_owned();
    category.ancestors = vec![Crumb {
        slug: HOSTILE.to_owned(),
        name: HOSTILE.to_owned(),
    }];
    for card in &mut category.listing.products {
        card.name = HOSTILE.to_owned();
        card.brand = Some(HOSTILE.to_owned());
        card.slug = HOSTILE.to_owned();
        card.picture = Some(hostile_picture.clone());
    }
    let mut search = fixture::search(locale, currency);
    search.listing.query = ListingQuery {
        search: Some(HOSTILE.to_owned()),
        ..fixture::query(currency)
    };
    search.suggestions = vec![HOSTILE.to_owned()];
    search.did_you_mean = Some(HOSTILE.to_owned());
    let mut content = fixture::content(locale);
    content.title = HOSTILE.to_owned();
    let problems = ErrorView::BadRequest {
        problems: vec![HOSTILE.to_owned()],
    };
    for (path, html) in [
        ("product", super::product(&product, &site, &frame)),
        ("category", super::category(&category, &site, &frame)),
        ("search", super::search(&search, &site, &frame)),
        ("content", super::content(&content, &site, &frame)),
        ("error", super::error(&problems, &site, &frame)),
    ] {
        let page = Rendered {
            path: path.to_owned(),
            html: html.unwrap(),
        };
        assert!(!page.html.contains("alert(1)</script><!--"), "{path}");
        assert!(!page.html.contains("<script>"), "{path}");
        start_tags(&page);
        for data in structured(&page.html) {
            assert!(data.is_object(), "{path}");
        }
    }
}

fn structured(html: &str) -> Vec<Value> {
    html.split("<script type=\"application/ld+json\">")
        .skip(1)
        .map(|part| serde_json::from_str(part.split("</script>").next().unwrap()).unwrap())
        .collect()
}

fn structured_of(html: &str, kind: &str) -> Value {
    structured(html)
        .into_iter()
        .find(|data| data["@type"] == kind)
        .unwrap()
}

#[test]
fn a_product_with_variants_is_offered_with_its_range() {
    let data = structured_of(&find("/en/p/stone-mug"), "Product");
    let offers = &data["offers"];
    assert_eq!(data["name"], "Stone mug");
    assert_eq!(data["image"][0], "https://shop.example/media/mug/zoom");
    assert_eq!(offers["@type"], "AggregateOffer");
    assert_eq!(
        (&offers["lowPrice"], &offers["highPrice"]),
        (&"24.00".into(), &"32.00".into())
    );
    assert_eq!(offers["offerCount"], 6);
    assert_eq!(offers["availability"], "https://schema.org/InStock");
    assert_eq!(offers["offers"][0]["name"], "Sand, 0.25 l");
    assert_eq!(offers["offers"][0]["priceValidUntil"], "2026-06-30");
    assert_eq!(
        offers["offers"][5]["availability"],
        "https://schema.org/OutOfStock"
    );
    let crumbs = structured_of(&find("/en/p/stone-mug"), "BreadcrumbList");
    assert_eq!(
        crumbs["itemListElement"][1]["item"],
        "https://shop.example/en/c/kitchen"
    );
    assert_eq!(crumbs["itemListElement"].as_array().unwrap().len(), 4);
}

#[test]
fn a_product_without_options_is_one_offer() {
    let data = structured_of(&find("/en/p/no-picture"), "Product");
    assert_eq!(data["offers"]["@type"], "Offer");
    assert_eq!(data["offers"]["price"], "18.00");
    assert_eq!(data["sku"], "MUG-0-0");
    assert!(data.get("image").is_none() && data.get("brand").is_none());
}

#[test]
fn listings_and_the_site_describe_themselves() {
    let list = structured_of(&find("/en/c/drinkware"), "ItemList");
    assert_eq!(
        list["itemListElement"][0]["url"],
        "https://shop.example/en/p/stone-mug"
    );
    let home = find("/zh-cn");
    assert_eq!(
        structured_of(&home, "WebSite")["potentialAction"]["target"]["urlTemplate"],
        "https://shop.example/zh-cn/search?q={search_term_string}"
    );
    assert_eq!(
        structured_of(&home, "Organization")["email"],
        "hello@shop.example"
    );
}

#[test]
fn search_engines_keep_plain_listings_alone() {
    let canonical = |path| {
        let html = find(path);
        html.split("<link rel=\"canonical\" href=\"")
            .nth(1)
            .map(|part| part.split('"').next().unwrap().to_owned())
    };
    let robots = |path| {
        find(path)
            .split("name=\"robots\" content=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    assert!(robots("/en/c/drinkware").starts_with("index,follow"));
    assert_eq!(
        canonical("/en/c/drinkware").unwrap(),
        "https://shop.example/en/c/drinkware"
    );
    // A filtered listing is not listed and belongs to the plain one.
    assert_eq!(robots("/en/c/filtered"), "noindex,follow");
    assert_eq!(
        canonical("/en/c/filtered").unwrap(),
        "https://shop.example/en/c/drinkware"
    );
    // A later page is a page of its own.
    assert!(robots("/en/c/last").starts_with("index,follow"));
    assert_eq!(
        canonical("/en/c/last").unwrap(),
        "https://shop.example/en/c/drinkware?after=MTIz"
    );
    // Another currency is the same page.
    assert_eq!(
        canonical("/zh-cn/p/stone-mug").unwrap(),
        "https://shop.example/zh-cn/p/stone-mug"
    );
    assert_eq!(robots("/en/search"), "noindex,follow");
    assert_eq!(robots("/en/errors/404"), "noindex");
    assert_eq!(canonical("/en/errors/404"), None);
}

#[test]
fn every_language_of_a_page_names_the_others() {
    for path in ["/en/p/stone-mug", "/zh-cn/p/stone-mug"] {
        let html = find(path);
        for (language, url) in [
            ("en", "/en/p/stone-mug"),
            ("zh-CN", "/zh-cn/p/stone-mug"),
            ("x-default", "/en/p/stone-mug"),
        ] {
            let link = format!(
                "<link rel=\"alternate\" hreflang=\"{language}\" href=\"https://shop.example{url}\">"
            );
            assert!(html.contains(&link), "{path}: {link}");
        }
    }
    let site = fixture::site();
    assert_eq!(
        seo::alternates(&site, &[Locale::ZhCn], |urls| urls.home()),
        Vec::new()
    );
}

#[test]
fn switches_lead_to_the_same_page() {
    let html = find("/zh-cn/p/stone-mug");
    assert!(
        html.contains("href=\"/en/p/stone-mug?currency=CNY\" lang=\"en\""),
        "the language keeps the currency"
    );
    assert!(html.contains("href=\"/zh-cn/p/stone-mug?currency=USD\""));
    assert!(
        html.contains("href=\"/zh-cn/p/stone-mug\" rel=\"nofollow\">EUR"),
        "the default currency has no parameter"
    );
    // The price range of another currency would mean something else.
    assert!(find("/en/c/filtered").contains(
        "?currency=USD&#38;f.brand=Kiku&#38;f.color=black%2C+matt,sand&#38;sort=price_asc\""
    ));
}

#[test]
fn facets_are_links_that_toggle() {
    let html = find("/en/c/filtered");
    let rest = "max_price=99.50&#38;min_price=20&#38;sort=price_asc";
    assert!(
        html.contains(&format!(
            "href=\"/en/c/drinkware?f.brand=Kiku&#38;f.color=sand&#38;{rest}\""
        )),
        "removes one"
    );
    assert!(
        html.contains(&format!(
            "f.brand=Kiku&#38;f.color=black%2C+matt,blue,sand&#38;{rest}\""
        )),
        "adds one"
    );
    assert!(html.contains("€20.00 to €99.50"));
    assert!(html.contains("<input type=\"hidden\" name=\"f.color\" value=\"black, matt\">"));
    assert!(html.contains("4 more"), "long lists are folded");
}

#[test]
fn prices_tell_the_whole_story() {
    let html = find("/en/p/stone-mug");
    assert!(html.contains("€24.00") && html.contains("€29.00"));
    assert!(html.contains("Lowest price of the last 30 days: €26.00"));
    assert!(html.contains("−17%"));
    assert!(
        find("/en").contains("from €64.00"),
        "different variants have a lowest price"
    );
}

#[test]
fn the_first_picture_is_fetched_first_and_the_rest_late() {
    let html = find("/en/p/stone-mug");
    assert_eq!(html.matches("rel=\"preload\" as=\"image\"").count(), 1);
    let main = html
        .split("id=\"picture-1\"")
        .nth(1)
        .unwrap()
        .split("</li>")
        .next()
        .unwrap();
    assert!(main.contains("fetchpriority=\"high\"") && !main.contains("lazy"));
    let second = html
        .split("id=\"picture-2\"")
        .nth(1)
        .unwrap()
        .split("</li>")
        .next()
        .unwrap();
    assert!(second.contains("loading=\"lazy\""));
}

#[test]
fn errors_say_what_to_do() {
    assert!(find("/en/errors/400").contains("`sort` must be one of featured, newest"));
    assert!(find("/en/errors/500").contains("0198c0de"));
    assert!(find("/en/errors/410").contains("href=\"/en/c/mugs\""));
    assert!(find("/zh-cn/errors/503").contains("马上回来"));
}

/// Writes every page with its assets into the folder that `PANONO_PREVIEW` names, to be looked at in a browser behind
/// any file server; into a temporary one otherwise, so that it always works.
#[test]
fn pages_can_be_looked_at() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("PANONO_PREVIEW")
        .map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    for page in all_pages() {
        write(
            &folder,
            &format!("{}/index.html", page.path),
            page.html.as_bytes(),
        );
    }
    let assets = super::assets::assets();
    for asset in [&assets.style, &assets.script, &assets.icon] {
        write(&folder, &asset.url(), asset.content.as_bytes());
    }
    assert!(folder.join("zh-cn/p/stone-mug/index.html").exists());
}

fn write(folder: &Path, path: &str, content: &[u8]) {
    let file = folder.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, content).unwrap();
}
