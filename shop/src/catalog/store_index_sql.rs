//! The statements that derive listings, facets and search documents.

use crate::stock::store_columns::stock_columns;

/// `JSON_TABLE` of a list of ids, the driving table of a statement.
macro_rules! ids {
    () => {
        "JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) ids"
    };
}

pub(super) const PRODUCTS_FOR_UPDATE: &str = concat!(
    "SELECT p.id, p.status = 'active', p.published_at, p.unpublished_at, p.featured, b.name FROM ",
    ids!(),
    " STRAIGHT_JOIN product p ON p.id = ids.id LEFT JOIN brand b ON b.id = p.brand_id FOR UPDATE OF p"
);
pub(super) const CATEGORIES: &str = concat!(
    "SELECT pc.product_id, cc.ancestor_id, MIN(pc.position) FROM ",
    ids!(),
    " STRAIGHT_JOIN product_category pc ON pc.product_id = ids.id \
     STRAIGHT_JOIN category own ON own.id = pc.category_id AND own.status <> 'archived' \
     STRAIGHT_JOIN category_closure cc ON cc.descendant_id = pc.category_id GROUP BY pc.product_id, cc.ancestor_id"
);
pub(super) const VARIANTS: &str = concat!(
    "SELECT v.product_id, v.id, v.sku, ",
    stock_columns!(),
    " FROM ",
    ids!(),
    " STRAIGHT_JOIN variant v ON v.product_id = ids.id LEFT JOIN stock s ON s.variant_id = v.id \
     WHERE v.status = 'active' ORDER BY v.product_id, v.position, v.id"
);
pub(super) const PRICES: &str = concat!(
    "SELECT v.product_id, p.variant_id, p.currency, p.id, p.amount, p.compare_at, p.starts_at, p.ends_at FROM ",
    ids!(),
    " STRAIGHT_JOIN variant v ON v.product_id = ids.id STRAIGHT_JOIN price p ON p.variant_id = v.id \
     WHERE v.status = 'active' AND p.starts_at <= ? AND (p.ends_at IS NULL OR p.ends_at > ?)"
);
pub(super) const ATTRIBUTES: &str = concat!(
    "SELECT pa.product_id, pa.value_id, av.value, a.filterable FROM ",
    ids!(),
    " STRAIGHT_JOIN product_attribute pa ON pa.product_id = ids.id STRAIGHT_JOIN attribute_value av ON av.id = pa.value_id \
     STRAIGHT_JOIN attribute a ON a.id = av.attribute_id ORDER BY pa.product_id, a.position, pa.value_id"
);
pub(super) const OPTIONS: &str = concat!(
    "SELECT DISTINCT v.product_id, o.name, ov.value FROM ",
    ids!(),
    " STRAIGHT_JOIN variant v ON v.product_id = ids.id STRAIGHT_JOIN variant_option vo ON vo.variant_id = v.id \
     STRAIGHT_JOIN product_option o ON o.id = vo.option_id STRAIGHT_JOIN product_option_value ov ON ov.id = vo.value_id \
     WHERE v.status = 'active'"
);
pub(super) const TRANSLATIONS: &str = concat!(
    "SELECT t.product_id, t.locale, t.name, t.description FROM ",
    ids!(),
    " STRAIGHT_JOIN product_translation t ON t.product_id = ids.id"
);
pub(super) const TAGS: &str = concat!(
    "SELECT t.product_id, t.tag FROM ",
    ids!(),
    " STRAIGHT_JOIN product_tag t ON t.product_id = ids.id ORDER BY t.product_id, t.tag"
);
pub(super) const LABELS: &str = "SELECT t.locale, t.label, t.text FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       locale VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin PATH '$[0]', \
       label VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$[1]')) wanted \
     STRAIGHT_JOIN label_translation t ON t.locale = wanted.locale AND t.label = wanted.label";
pub(super) const LISTINGS: &str = concat!(
    "SELECT l.category_id, l.currency, l.product_id, l.price, l.price_max, l.compare_at, l.position, l.published_at, \
     l.band FROM ",
    ids!(),
    " STRAIGHT_JOIN listing l FORCE INDEX (listing_product) ON l.product_id = ids.id"
);
pub(super) const LISTING_DELETE: &str = "DELETE l FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       category_id BIGINT PATH '$[0]', currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin PATH '$[1]', \
       product_id BIGINT PATH '$[2]')) gone \
     STRAIGHT_JOIN listing l ON l.category_id = gone.category_id AND l.currency = gone.currency \
       AND l.product_id = gone.product_id";
pub(super) const LISTING_UPSERT: &str = "INSERT INTO listing (category_id, currency, product_id, price, price_max, compare_at, \
       position, published_at, band) \
     SELECT made.category_id, made.currency, made.product_id, made.price, made.price_max, made.compare_at, \
       made.position, made.published_at, made.band FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       category_id BIGINT PATH '$[0]', currency CHAR(3) CHARACTER SET ascii COLLATE ascii_bin PATH '$[1]', \
       product_id BIGINT PATH '$[2]', price BIGINT PATH '$[3]', price_max BIGINT PATH '$[4]', \
       compare_at BIGINT PATH '$[5]', position BIGINT PATH '$[6]', published_at DATETIME(6) PATH '$[7]', \
       band VARCHAR(8) PATH '$[8]')) made \
     ON DUPLICATE KEY UPDATE price = made.price, price_max = made.price_max, compare_at = made.compare_at, \
       position = made.position, published_at = made.published_at, band = made.band";
pub(super) const FACETS: &str = concat!(
    "SELECT f.category_id, f.value_id, f.product_id FROM ",
    ids!(),
    " STRAIGHT_JOIN listing_facet f FORCE INDEX (listing_facet_product) ON f.product_id = ids.id"
);
pub(super) const FACET_DELETE: &str = "DELETE f FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       category_id BIGINT PATH '$[0]', value_id BIGINT PATH '$[1]', product_id BIGINT PATH '$[2]')) gone \
     STRAIGHT_JOIN listing_facet f ON f.category_id = gone.category_id AND f.value_id = gone.value_id \
       AND f.product_id = gone.product_id";
pub(super) const FACET_INSERT: &str = "INSERT INTO listing_facet (category_id, value_id, product_id) \
     SELECT made.category_id, made.value_id, made.product_id FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       category_id BIGINT PATH '$[0]', value_id BIGINT PATH '$[1]', product_id BIGINT PATH '$[2]')) made";
/// Pairs of attribute code and value, as statements on mirrored values take them.
macro_rules! mirrored {
    () => {
        "JSON_TABLE(?, '$[*]' COLUMNS ( \
           code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PATH '$[0]', name VARCHAR(190) PATH '$[1]', \
           value VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$[2]')) wanted"
    };
}
pub(super) const MIRRORED: &str = concat!(
    "SELECT a.code, v.value, v.id, a.filterable FROM ",
    mirrored!(),
    " STRAIGHT_JOIN attribute a ON a.code = wanted.code \
      STRAIGHT_JOIN attribute_value v ON v.attribute_id = a.id AND v.value = wanted.value"
);
pub(super) const MIRRORED_ATTRIBUTE_INSERT: &str = concat!(
    "INSERT INTO attribute (code, name, kind) SELECT wanted.code, MIN(wanted.name), \
     IF(wanted.code = 'brand', 'brand', 'option') FROM ",
    mirrored!(),
    " LEFT JOIN attribute a ON a.code = wanted.code WHERE a.id IS NULL GROUP BY wanted.code \
      ON DUPLICATE KEY UPDATE attribute.code = attribute.code"
);
pub(super) const MIRRORED_VALUE_INSERT: &str = concat!(
    "INSERT INTO attribute_value (attribute_id, value) SELECT a.id, wanted.value FROM ",
    mirrored!(),
    " STRAIGHT_JOIN attribute a ON a.code = wanted.code \
      ON DUPLICATE KEY UPDATE attribute_value.value = attribute_value.value"
);
pub(super) const WORDS: &str = concat!(
    "SELECT s.product_id, s.locale, SHA2(CONCAT(s.title, '\\n', s.body), 256) FROM ",
    ids!(),
    " STRAIGHT_JOIN search_word s ON s.product_id = ids.id"
);
pub(super) const NGRAMS: &str = concat!(
    "SELECT s.product_id, s.locale, SHA2(CONCAT(s.title, '\\n', s.body), 256) FROM ",
    ids!(),
    " STRAIGHT_JOIN search_ngram s ON s.product_id = ids.id"
);
/// Keys of documents, as statements that delete them take them.
macro_rules! documents_gone {
    () => {
        "JSON_TABLE(?, '$[*]' COLUMNS ( product_id BIGINT PATH '$[0]', \
           locale VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin PATH '$[1]')) gone"
    };
}
pub(super) const WORD_DELETE: &str = concat!(
    "DELETE s FROM ",
    documents_gone!(),
    " STRAIGHT_JOIN search_word s ON s.product_id = gone.product_id AND s.locale = gone.locale"
);
pub(super) const NGRAM_DELETE: &str = concat!(
    "DELETE s FROM ",
    documents_gone!(),
    " STRAIGHT_JOIN search_ngram s ON s.product_id = gone.product_id AND s.locale = gone.locale"
);
/// Documents, as statements that write them take them.
macro_rules! documents_made {
    () => {
        "SELECT made.product_id, made.locale, made.title, made.body FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
           product_id BIGINT PATH '$[0]', locale VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin PATH '$[1]', \
           title VARCHAR(255) PATH '$[2]', body TEXT PATH '$[3]')) made"
    };
}
// A document that changed is deleted and inserted. InnoDB refuses to change an indexed text under the same FTS_DOC_ID, and
// of a REPLACE of several rows it leaves some out of the index.
pub(super) const WORD_INSERT: &str = concat!(
    "INSERT INTO search_word (product_id, locale, title, body) ",
    documents_made!()
);
pub(super) const NGRAM_INSERT: &str = concat!(
    "INSERT INTO search_ngram (product_id, locale, title, body) ",
    documents_made!()
);
pub(super) const RECOUNT_MARK: &str = concat!(
    "INSERT INTO category_recount (category_id, due_since) SELECT ids.id, CURRENT_TIMESTAMP(6) FROM ",
    ids!(),
    " ON DUPLICATE KEY UPDATE due_since = VALUES(due_since)"
);
pub(super) const RECOUNTS_DUE: &str =
    "SELECT category_id, due_since FROM category_recount ORDER BY due_since LIMIT ?";
pub(super) const RECOUNT_DONE: &str =
    "DELETE FROM category_recount WHERE category_id = ? AND due_since = ?";
pub(super) const PRODUCTS_COUNT: &str =
    "SELECT COUNT(DISTINCT product_id) FROM listing WHERE category_id = ?";
pub(super) const CATEGORY_COUNT_UPDATE: &str = "UPDATE category SET product_count = ?, updated_at = updated_at \
     WHERE id = ? AND product_count <> ?";
pub(super) const FACET_COUNTS_LIVE: &str =
    "SELECT value_id, COUNT(*) FROM listing_facet WHERE category_id = ? GROUP BY value_id";
pub(super) const FACET_COUNTS_KEPT: &str =
    "SELECT value_id, product_count FROM category_facet WHERE category_id = ?";
pub(super) const FACET_COUNTS_DELETE: &str = concat!(
    "DELETE f FROM ",
    ids!(),
    " STRAIGHT_JOIN category_facet f ON f.value_id = ids.id AND f.category_id = ?"
);
pub(super) const FACET_COUNTS_UPSERT: &str = "INSERT INTO category_facet (category_id, value_id, product_count) \
     SELECT ?, made.value_id, made.counted FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       value_id BIGINT PATH '$[0]', counted BIGINT PATH '$[1]')) made \
     ON DUPLICATE KEY UPDATE product_count = made.counted";
pub(super) const DUE_TRANSITIONS: &str = "SELECT due.product_id FROM ( \
       SELECT v.product_id FROM price p FORCE INDEX (price_starts) STRAIGHT_JOIN variant v ON v.id = p.variant_id \
         WHERE p.starts_at > ? AND p.starts_at <= ? \
       UNION SELECT v.product_id FROM price p FORCE INDEX (price_ends) STRAIGHT_JOIN variant v ON v.id = p.variant_id \
         WHERE p.ends_at > ? AND p.ends_at <= ? \
       UNION SELECT id FROM product FORCE INDEX (product_published) WHERE published_at > ? AND published_at <= ? \
       UNION SELECT id FROM product FORCE INDEX (product_unpublished) WHERE unpublished_at > ? AND unpublished_at <= ? \
     ) due WHERE due.product_id > ? ORDER BY due.product_id LIMIT ?";

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("index_products_for_update", PRODUCTS_FOR_UPDATE),
    ("index_categories", CATEGORIES),
    ("index_variants", VARIANTS),
    ("index_prices", PRICES),
    ("index_attributes", ATTRIBUTES),
    ("index_options", OPTIONS),
    ("index_translations", TRANSLATIONS),
    ("index_tags", TAGS),
    ("index_labels", LABELS),
    ("index_listings", LISTINGS),
    ("index_listing_delete", LISTING_DELETE),
    ("index_listing_upsert", LISTING_UPSERT),
    ("index_facets", FACETS),
    ("index_facet_delete", FACET_DELETE),
    ("index_facet_insert", FACET_INSERT),
    ("index_mirrored", MIRRORED),
    ("index_mirrored_attribute_insert", MIRRORED_ATTRIBUTE_INSERT),
    ("index_mirrored_value_insert", MIRRORED_VALUE_INSERT),
    ("index_words", WORDS),
    ("index_ngrams", NGRAMS),
    ("index_word_delete", WORD_DELETE),
    ("index_ngram_delete", NGRAM_DELETE),
    ("index_word_insert", WORD_INSERT),
    ("index_ngram_insert", NGRAM_INSERT),
    ("index_recount_mark", RECOUNT_MARK),
    ("index_recounts_due", RECOUNTS_DUE),
    ("index_recount_done", RECOUNT_DONE),
    ("index_products_count", PRODUCTS_COUNT),
    ("index_category_count_update", CATEGORY_COUNT_UPDATE),
    ("index_facet_counts_live", FACET_COUNTS_LIVE),
    ("index_facet_counts_kept", FACET_COUNTS_KEPT),
    ("index_facet_counts_delete", FACET_COUNTS_DELETE),
    ("index_facet_counts_upsert", FACET_COUNTS_UPSERT),
    ("index_due_transitions", DUE_TRANSITIONS),
];
