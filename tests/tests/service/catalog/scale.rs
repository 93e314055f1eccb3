//! Every statement is one that the server takes, and at 100,000 products none of those that a page waits for reads a
//! whole table or sorts a whole category. The server's own plan tells; no time is measured.

use panono_shop::catalog::listing::{Filters, Sort, Start};
use panono_shop::catalog::statements;
use panono_shop::search::{self, MysqlSearch, SearchProvider, SearchQuery};
use panono_tests::mysql::{MysqlGroup, TestDatabase};
use sqlx::{AssertSqlSafe, Executor, MySqlConnection, Row, SqlSafeStr};

use super::fixture::{Catalogue, NOW, euro, locale};

#[tokio::test]
async fn the_server_takes_every_statement() {
    let shop = &mut Catalogue::new().await;
    let mut names = std::collections::BTreeSet::new();
    for (name, statement) in statements() {
        assert!(names.insert(name), "{name} is listed twice");
        if let Err(error) = (&mut shop.connection)
            .prepare(AssertSqlSafe(statement).into_sql_str())
            .await
        {
            panic!("{name}: {error}\n{statement}");
        }
    }
    assert!(names.len() > 60);
}

/// So many products: half in one category, all with a brand, a colour and a size. Half have the word `left`, half `right`, one both.
const SEED: &[&str] = &[
    "SET SESSION cte_max_recursion_depth = 200000, SESSION explain_json_format_version = 2, SESSION foreign_key_checks = 0, SESSION unique_checks = 0",
    "CREATE TABLE number (id BIGINT PRIMARY KEY) AS \
       WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {products}) SELECT id FROM n",
    "INSERT INTO category (id, slug) VALUES (1, 'half'), (2, 'few')",
    "INSERT INTO category_closure VALUES (1, 1, 0), (2, 2, 0)",
    "INSERT INTO attribute (id, code, name) VALUES (1, 'colour', 'Colour'), (2, 'size', 'Size'), (3, 'rare', 'Rare')",
    "INSERT INTO attribute_value (id, attribute_id, value) SELECT id, 1 + (id > 50), CONCAT('v', id) FROM number WHERE id <= 100",
    "INSERT INTO attribute_value (id, attribute_id, value) VALUES (200, 3, 'rare')",
    "INSERT INTO product (id, slug, status, published_at) \
       SELECT id, CONCAT('p', id), 'active', '2026-01-01' + INTERVAL id DIV 7 SECOND FROM number",
    "INSERT INTO brand (id, slug, name) SELECT id, CONCAT('b', id), CONCAT('B ', id) FROM number WHERE id <= 5000",
    "UPDATE product SET brand_id = 1 + id % 5000",
    "INSERT INTO media SELECT SHA2(id, 256), 'image/png', 1, 1, 1, NOW() FROM number WHERE id <= 5000",
    "INSERT INTO product_media (product_id, position, hash) SELECT id, 1, SHA2(1 + id % 5000, 256) FROM number",
    "INSERT INTO product_translation (product_id, locale, name, description) \
       SELECT id, 'en', CONCAT('Product ', id), '' FROM number",
    "INSERT INTO product_category (product_id, category_id) SELECT id, IF(id % 1000 = 0, 2, 1) FROM number WHERE id % 2 = 0",
    "INSERT INTO variant (id, product_id, sku) SELECT id, id, CONCAT('s', id) FROM number",
    "INSERT INTO price (variant_id, currency, amount, starts_at) SELECT id, 'EUR', id % 997 * 100, '2026-01-01' FROM number",
    "INSERT INTO listing (category_id, currency, product_id, price, price_max, position, published_at, band) \
       SELECT 0, 'EUR', id, id % 997 * 100, id % 997 * 100, 0, '2026-01-01' + INTERVAL id DIV 7 SECOND, \
         IF(id % 9 = 0, 'out', 'in_stock') FROM number \
       UNION ALL SELECT 1, 'EUR', id, id % 997 * 100, id % 997 * 100, 0, '2026-01-01' + INTERVAL id DIV 7 SECOND, \
         IF(id % 9 = 0, 'out', 'in_stock') FROM number WHERE id % 2 = 0",
    "INSERT INTO listing_facet SELECT 0, 1 + id % 50, id FROM number UNION ALL SELECT 0, 51 + id % 47, id FROM number",
    "INSERT INTO listing_facet SELECT 1, 1 + id % 50, id FROM number WHERE id % 2 = 0 \
       UNION ALL SELECT 1, 51 + id % 47, id FROM number WHERE id % 2 = 0 \
       UNION ALL SELECT 1, 200, id FROM number WHERE id % 1000 = 0",
    "INSERT INTO category_facet SELECT category_id, value_id, COUNT(*) FROM listing_facet GROUP BY 1, 2",
    "INSERT INTO search_word (product_id, locale, title, body) \
       SELECT id, 'en', CONCAT('product ', id), \
         CONCAT('group', id % 500, IF(id % 2, ' left', ' right'), IF(id = 3, ' right', '')) FROM number WHERE id <= 20000",
    "ANALYZE TABLE brand, media, product_media, attribute_value, product, product_translation, product_category, variant, price, listing, listing_facet, search_word",
];

const MANY: &str = "100000";

async fn seed(connection: &mut MySqlConnection, products: &str) {
    panono_shop::migrations::MIGRATOR
        .run(&mut *connection)
        .await
        .unwrap();
    for statement in SEED {
        let statement = statement.replace("{products}", products);
        sqlx::raw_sql(AssertSqlSafe(statement.clone()))
            .execute(&mut *connection)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{statement}"));
    }
}

/// A statement with the values of its parameters as SQL, so that the plan is the one of these values.
fn with_values(name: &str, values: &[&str]) -> String {
    let (_, statement) = statements()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("no statement {name}"));
    let mut parts = statement.split('?');
    let mut text = parts.next().unwrap().to_owned();
    let mut values = values.iter();
    for part in parts {
        text.push_str(
            values
                .next()
                .unwrap_or_else(|| panic!("{name}: too few values")),
        );
        text.push_str(part);
    }
    assert_eq!(values.next(), None, "{name}: too many values");
    text
}

async fn plan(connection: &mut MySqlConnection, statement: &str) -> serde_json::Value {
    let explain = format!("EXPLAIN FORMAT=JSON {statement}");
    let row = connection
        .fetch_one(AssertSqlSafe(explain))
        .await
        .unwrap_or_else(|error| panic!("{error}\n{statement}"));
    let bytes: Vec<u8> = row.get_unchecked(0);
    serde_json::from_slice(&bytes).unwrap()
}

/// Rows beyond which a table is not read as a whole. Attributes, say, are few.
const SMALL: f64 = 1_000.0;

/// Tables of the shop that a plan reads as a whole.
fn whole_tables(node: &serde_json::Value, found: &mut Vec<String>) {
    let whole = node["access_type"] == "table" || node["index_access_type"] == "index_scan";
    if whole
        && node["schema_name"].is_string()
        && node["estimated_rows"].as_f64().unwrap_or(f64::MAX) > SMALL
    {
        found.push(node["operation"].to_string());
    }
    for input in inputs(node) {
        whole_tables(input, found);
    }
}

/// Whether a plan sorts rows of listings, and not only what was made of them.
fn sorts_listings(node: &serde_json::Value, sorting: bool) -> bool {
    let kind = node["access_type"].as_str().unwrap_or_default();
    let sorting = match kind {
        "sort" => true,
        "materialize" | "temp_table_aggregate" | "aggregate" => false,
        _ => sorting,
    };
    (sorting && node["table_name"] == "listing")
        || inputs(node).any(|input| sorts_listings(input, sorting))
}

fn inputs(node: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    ["inputs", "inputs_from_select_list"]
        .into_iter()
        .filter_map(|name| node[name].as_array())
        .flatten()
}

#[tokio::test]
async fn no_page_reads_a_whole_table_or_sorts_a_whole_category() {
    let group = MysqlGroup::single().await.unwrap();
    let database = TestDatabase::create(&group).await.unwrap();
    let mut connection = database.connect().await.unwrap();
    seed(&mut connection, MANY).await;

    let (now, en) = ("TIMESTAMP'2026-06-01 00:00:00'", "'en'");
    let big = i64::MAX.to_string();
    let any_price: [&str; 3] = ["0", &big, "TRUE"];
    let mut plans: Vec<(&str, String, bool)> = Vec::new();
    let mut add = |name: &'static str, sorts: bool, values: &[&[&str]]| {
        plans.push((name, with_values(name, &values.concat()), sorts));
    };
    for category in ["0", "1"] {
        let here = [category, "'EUR'"];
        let page = ["25", en, en];
        let one = ["'[[5,1],[6,1]]'", category, "1"];
        let both = ["'[[5,1],[60,2]]'", category, "3"];
        for (kind, from) in [
            ("position", "0"),
            ("price", "49000"),
            ("published", "'2026-01-01 01:00'"),
        ] {
            for back in ["", "_back"] {
                let name = format!("listing_walk_{kind}{back}");
                let name = statements().find(|(known, _)| *known == name).unwrap().0;
                add(
                    name,
                    false,
                    &[&here, &any_price, &[from, from, "50000"], &page],
                );
                add(
                    name,
                    false,
                    &[&here, &["0", &big, "FALSE"], &[from, from, "50000"], &page],
                );
                let name = format!("listing_walk_filtered_{kind}{back}");
                let name = statements().find(|(known, _)| *known == name).unwrap().0;
                add(
                    name,
                    false,
                    &[
                        &here,
                        &any_price,
                        &[from, from, "50000"],
                        &["'[[5,1],[6,1]]'", "1"],
                        &page,
                    ],
                );
                // These sort what they found: at most 10,000 products, see the total.
                let name = format!("listing_find_filtered_{kind}{back}");
                let name = statements().find(|(known, _)| *known == name).unwrap().0;
                add(
                    name,
                    true,
                    &[&both, &here, &any_price, &[from, from, "50000"], &page],
                );
            }
        }
        add(
            "listing_find_priced_position",
            true,
            &[&here, &["100", "900", "TRUE", "0", "0", "5"], &page],
        );
        add(
            "listing_find_priced_published_back",
            true,
            &[
                &here,
                &["100", "900", "TRUE", "'2026-01-01'", "'2026-01-01'", "5"],
                &page,
            ],
        );
        add(
            "listing_total",
            false,
            &[&here, &here, &here, &any_price, &["10001"]],
        );
        add(
            "listing_total",
            false,
            &[&here, &here, &here, &["100", "900", "FALSE", "10001"]],
        );
        add(
            "listing_total_filtered",
            false,
            &[&here, &here, &one, &here, &any_price, &["10001"]],
        );
        add(
            "listing_selected",
            false,
            &[&["'[[\"colour\",\"v5\"]]'", category, en, en]],
        );
        add(
            "listing_facets",
            false,
            &[&[category, category, category, en, en]],
        );
        add(
            "listing_facets_restricted",
            false,
            &[&here, &["100", "900", "TRUE", "20000"], &[category, en, en]],
        );
        add(
            "listing_facets_filtered",
            false,
            &[
                &["'[[5,1],[60,2]]'", category, "1"],
                &here,
                &any_price,
                &["20000", category, en, en],
            ],
        );
        let shown = ["'[1,2,3]'", "'EUR'", now];
        let publication = [now, category, category, now];
        add(
            "listing_valid_until",
            false,
            &[&shown, &shown, &publication, &publication],
        );
        add(
            "listing_related",
            false,
            &[&here, &["5000", "9"], &here, &["9", en, en]],
        );
    }
    add(
        "listing_cards_of",
        false,
        &[&["'[5,6,7]'", "'EUR'", en, en]],
    );
    add("product_by_slug", false, &[&[en, en, "'p77'"]]);
    add("product_redirect", false, &[&["'p77'"]]);
    add("product_variants", false, &[&["77", "500", en, en]]);
    add("product_prices", false, &[&["'EUR'", "77", now]]);
    add("product_attributes", false, &[&[en, en, "77"]]);
    add("product_categories", false, &[&[en, en, "77"]]);
    add(
        "product_availability",
        false,
        &[&["'[\"s5\",\"s6\"]'", now, now]],
    );
    add("sitemap_next_product", false, &[&["50000"]]);
    add(
        "sitemap_products",
        false,
        &[&["50000", "100000", now, now, "1000"]],
    );
    add(
        "index_due_transitions",
        false,
        &[
            &[now, "TIMESTAMP'2026-06-02 00:00:00'"].repeat(4),
            &["0", "500"],
        ],
    );
    add("index_listings", false, &[&["'[5,6,7]'"]]);
    add("index_facets", false, &[&["'[5,6,7]'"]]);
    add(
        "search_word_hits",
        true,
        &[&[
            "'+product +group5*'",
            "'+product +group5*'",
            "4000",
            "'EUR'",
        ]],
    );
    let patterns = [
        "'% product %'",
        "'% group5%'",
        "'%'",
        "'%'",
        "'%'",
        "'%'",
        "'%'",
        "'%'",
    ];
    let index = ["'+group5*'", "'+group5*'", "10000"];
    for kind in ["hits", "titles"] {
        let more: &[&str] = if kind == "hits" {
            &["4000", "'EUR'"]
        } else {
            &["200", "'EUR'", en, en, en, "10"]
        };
        let named = |plan| {
            let name = format!("search_word_{kind}_{plan}");
            statements().find(|(known, _)| *known == name).unwrap().0
        };
        add(named("narrowed"), true, &[&index, &patterns, more]);
        add(named("walked"), true, &[&["10000", en], &patterns, more]);
    }
    let places = [
        "0", "2500", "5000", "7500", "10000", "12500", "15000", "17500",
    ];
    add("search_word_sample", false, &[&patterns, &places]);
    add("search_hit_values", false, &[&["'[5,6,7]'"]]);

    // The check itself sees what it is to see.
    let scan = plan(
        &mut connection,
        "SELECT id FROM product WHERE product_type = 'x'",
    )
    .await;
    let mut whole = Vec::new();
    whole_tables(&scan["query_plan"], &mut whole);
    assert_eq!(whole.len(), 1, "{scan:#}");
    let sort = "SELECT product_id FROM listing WHERE category_id = 1 AND currency = 'EUR' ORDER BY price_max LIMIT 5";
    let sort = plan(&mut connection, sort).await;
    assert!(sorts_listings(&sort["query_plan"], false), "{sort:#}");

    let mut found = Vec::new();
    for (name, statement, may_sort) in &plans {
        let plan = plan(&mut connection, statement).await;
        let root = &plan["query_plan"];
        assert!(root.is_object(), "{name}: {plan:#}");
        let mut whole = Vec::new();
        whole_tables(root, &mut whole);
        let sorted = sorts_listings(root, false);
        if !whole.is_empty() || (sorted && !may_sort) {
            found.push(format!(
                "{name}: whole {whole:?}, sorted {sorted}\n{statement}\n{plan:#}"
            ));
        }
    }
    assert!(
        found.is_empty(),
        "{} of {} plans:\n{}",
        found.len(),
        plans.len(),
        found.join("\n\n")
    );
    assert_eq!(
        Sort::ALL.len(),
        4,
        "a new order needs its plans checked above"
    );
}

/// Rows that this connection has read backwards along an index.
async fn read_backwards(connection: &mut MySqlConnection) -> u64 {
    let row = connection
        .fetch_one("SHOW SESSION STATUS LIKE 'Handler_read_prev'")
        .await
        .unwrap();
    row.get::<String, _>(1).parse().unwrap()
}

/// Slugs of the first page, how many were found, and whether there are more.
type Found = (Vec<String>, i64, bool);

async fn found(connection: &mut MySqlConnection, search: &MysqlSearch, text: &str) -> Found {
    let query = SearchQuery {
        text: text.to_owned(),
        currency: euro(),
        locale: locale("en"),
        filters: Filters::default(),
        sort: search::Sort::Relevance,
        start: Start::First,
        limit: 24,
    };
    let page = search.search(connection, &query, NOW).await.unwrap();
    let slugs = page.items.iter().map(|card| card.slug.to_string());
    (slugs.collect(), page.total.count, page.total.more)
}

#[tokio::test]
async fn a_word_that_all_have_is_not_looked_up_in_all() {
    let group = MysqlGroup::single().await.unwrap();
    let database = TestDatabase::create(&group).await.unwrap();
    let mut connection = database.connect().await.unwrap();
    seed(&mut connection, "20000").await;
    // What was indexed last is moved out of memory in the background, and a search misses it for that moment.
    let optimise = format!("OPTIMIZE TABLE `{}`.search_word", database.name());
    for statement in ["SET GLOBAL innodb_optimize_fulltext_only = ON", &optimise] {
        group.members()[0].execute(statement).await.unwrap();
    }
    let exact = MysqlSearch::new(vec![locale("en")]);
    let search = exact.clone().common_from(20_000);
    let connection = &mut connection;

    let before = read_backwards(connection).await;
    let (slugs, count, more) = found(connection, &search, "product").await;
    let walked = read_backwards(connection).await - before;
    assert_eq!((slugs.len(), count, more), (24, 1_000, true));
    assert!(
        (1_000..5_000).contains(&walked),
        "{walked} of 20,000 documents were read"
    );

    // With a rarer word they are exactly those that the index finds, and none is read one after the other.
    let before = read_backwards(connection).await;
    for text in [
        "product group7",
        "left group499",
        "group499 left",
        "product 1234 rig",
    ] {
        let expected = found(connection, &exact, text).await;
        assert!(expected.1 > 0 && !expected.2, "{text}: {expected:?}");
        assert_eq!(found(connection, &search, text).await, expected, "{text}");
    }
    assert_eq!(read_backwards(connection).await, before);
    let none = (Vec::new(), 0, false);
    assert_eq!(found(connection, &search, "right group499").await, none);

    // Each is common, but hardly any product has both: only the index knows which.
    let both = (vec!["p3".to_owned()], 1, false);
    assert_eq!(found(connection, &search, "left right").await, both);

    let before = read_backwards(connection).await;
    let suggestions = search
        .suggest(connection, "pro", euro(), &locale("en"))
        .await
        .unwrap();
    let walked = read_backwards(connection).await - before;
    assert_eq!(suggestions.len(), 10);
    assert!(
        suggestions
            .iter()
            .all(|suggestion| suggestion.text.starts_with("Product ")),
        "{suggestions:?}"
    );
    assert!((100..1_000).contains(&walked), "{walked} titles were read");
}
