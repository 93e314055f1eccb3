//! The statements that read listings.

/// Columns of a card and the tables that they come from, around a derived table `page` of listing rows.
macro_rules! cards {
    ($page:expr) => {
        concat!(
            "SELECT page.product_id, p.slug, COALESCE(t.name, d.name, p.slug) AS name, b.name AS brand_name, \
             b.slug AS brand_slug, page.price, page.price_max, page.compare_at, page.band, page.published_at, \
             page.position, m.hash, pm.alt, m.width, m.height FROM (",
            $page,
            ") page STRAIGHT_JOIN product p ON p.id = page.product_id \
             LEFT JOIN product_translation t ON t.product_id = p.id AND t.locale = ? \
             LEFT JOIN product_translation d ON d.product_id = p.id AND d.locale = ? \
             LEFT JOIN brand b ON b.id = p.brand_id \
             LEFT JOIN product_media pm ON pm.product_id = p.id AND pm.position = ( \
               SELECT MIN(first.position) FROM product_media first \
               WHERE first.product_id = p.id AND first.hash IS NOT NULL) \
             LEFT JOIN media m ON m.hash = pm.hash"
        )
    };
}

macro_rules! listing_columns {
    () => {
        "SELECT l.product_id, l.price, l.price_max, l.compare_at, l.band, l.published_at, l.position FROM "
    };
}

/// The rest of a page's statement: the filters of rows, the cursor, the order.
macro_rules! restrict {
    ($column:literal, $beyond:literal, $direction:literal) => {
        concat!(
            " AND l.price >= ? AND l.price <= ? AND (? OR l.band <> 'out') AND (l.",
            $column,
            " ",
            $beyond,
            " ? OR (l.",
            $column,
            " = ? AND l.product_id ",
            $beyond,
            " ?))",
        )
    };
}

macro_rules! ordered {
    ($column:literal, $direction:literal) => {
        concat!(
            " ORDER BY l.",
            $column,
            " ",
            $direction,
            ", l.product_id ",
            $direction,
            " LIMIT ?"
        )
    };
}

/// Values filtered by, with the bits of their attributes.
macro_rules! selected {
    () => {
        "JSON_TABLE(?, '$[*]' COLUMNS (value_id BIGINT PATH '$[0]', bit BIGINT PATH '$[1]')) chosen"
    };
}

/// Products with some value filtered by, each with the mask of the attributes that it passes.
macro_rules! masks {
    () => {
        concat!(
            "SELECT f.product_id, CAST(BIT_OR(chosen.bit) AS SIGNED) AS mask FROM ",
            selected!(),
            " STRAIGHT_JOIN listing_facet f ON f.category_id = ? AND f.value_id = chosen.value_id GROUP BY f.product_id"
        )
    };
}

/// Walks the index of an order and takes what passes.
macro_rules! walk {
    ($index:literal, $column:literal, $beyond:literal, $direction:literal) => {
        cards!(concat!(
            listing_columns!(),
            "listing l FORCE INDEX (",
            $index,
            ") WHERE l.category_id = ? AND l.currency = ?",
            restrict!($column, $beyond, $direction),
            ordered!($column, $direction)
        ))
    };
}

/// Walks the index of an order and takes what passes the filters of attributes too.
macro_rules! walk_filtered {
    ($index:literal, $column:literal, $beyond:literal, $direction:literal) => {
        cards!(concat!(
            listing_columns!(),
            "listing l FORCE INDEX (",
            $index,
            ") WHERE l.category_id = ? AND l.currency = ?",
            restrict!($column, $beyond, $direction),
            " AND (SELECT BIT_OR(chosen.bit) FROM listing_facet own FORCE INDEX (listing_facet_product) JOIN ",
            selected!(),
            " ON chosen.value_id = own.value_id WHERE own.product_id = l.product_id \
               AND own.category_id = l.category_id) = ?",
            ordered!($column, $direction)
        ))
    };
}

/// Finds what has the values filtered by, and sorts it.
macro_rules! find_filtered {
    ($column:literal, $beyond:literal, $direction:literal) => {
        cards!(concat!(
            listing_columns!(),
            "(",
            masks!(),
            " HAVING mask = ?) passing STRAIGHT_JOIN listing l ON l.category_id = ? AND l.currency = ? \
               AND l.product_id = passing.product_id WHERE TRUE",
            restrict!($column, $beyond, $direction),
            ordered!($column, $direction)
        ))
    };
}

/// Finds what is within the prices filtered by, and sorts it.
macro_rules! find_priced {
    ($column:literal, $beyond:literal, $direction:literal) => {
        cards!(concat!(
            listing_columns!(),
            "listing l FORCE INDEX (listing_price) WHERE l.category_id = ? AND l.currency = ?",
            restrict!($column, $beyond, $direction),
            ordered!($column, $direction)
        ))
    };
}

pub(super) const WALK_POSITION: &str = walk!("listing_position", "position", ">", "ASC");
pub(super) const WALK_POSITION_BACK: &str = walk!("listing_position", "position", "<", "DESC");
pub(super) const WALK_PRICE: &str = walk!("listing_price", "price", ">", "ASC");
pub(super) const WALK_PRICE_BACK: &str = walk!("listing_price", "price", "<", "DESC");
pub(super) const WALK_PUBLISHED: &str = walk!("listing_newest", "published_at", ">", "ASC");
pub(super) const WALK_PUBLISHED_BACK: &str = walk!("listing_newest", "published_at", "<", "DESC");
pub(super) const WALK_FILTERED_POSITION: &str =
    walk_filtered!("listing_position", "position", ">", "ASC");
pub(super) const WALK_FILTERED_POSITION_BACK: &str =
    walk_filtered!("listing_position", "position", "<", "DESC");
pub(super) const WALK_FILTERED_PRICE: &str = walk_filtered!("listing_price", "price", ">", "ASC");
pub(super) const WALK_FILTERED_PRICE_BACK: &str =
    walk_filtered!("listing_price", "price", "<", "DESC");
pub(super) const WALK_FILTERED_PUBLISHED: &str =
    walk_filtered!("listing_newest", "published_at", ">", "ASC");
pub(super) const WALK_FILTERED_PUBLISHED_BACK: &str =
    walk_filtered!("listing_newest", "published_at", "<", "DESC");
pub(super) const FIND_FILTERED_POSITION: &str = find_filtered!("position", ">", "ASC");
pub(super) const FIND_FILTERED_POSITION_BACK: &str = find_filtered!("position", "<", "DESC");
pub(super) const FIND_FILTERED_PRICE: &str = find_filtered!("price", ">", "ASC");
pub(super) const FIND_FILTERED_PRICE_BACK: &str = find_filtered!("price", "<", "DESC");
pub(super) const FIND_FILTERED_PUBLISHED: &str = find_filtered!("published_at", ">", "ASC");
pub(super) const FIND_FILTERED_PUBLISHED_BACK: &str = find_filtered!("published_at", "<", "DESC");
pub(super) const FIND_PRICED_POSITION: &str = find_priced!("position", ">", "ASC");
pub(super) const FIND_PRICED_POSITION_BACK: &str = find_priced!("position", "<", "DESC");
pub(super) const FIND_PRICED_PUBLISHED: &str = find_priced!("published_at", ">", "ASC");
pub(super) const FIND_PRICED_PUBLISHED_BACK: &str = find_priced!("published_at", "<", "DESC");

pub(super) const TOTAL: &str = "SELECT COUNT(*), (SELECT MIN(price) FROM listing WHERE category_id = ? AND currency = ?), \
       (SELECT MAX(price) FROM listing WHERE category_id = ? AND currency = ?) FROM ( \
       SELECT l.product_id FROM listing l WHERE l.category_id = ? AND l.currency = ? AND l.price >= ? AND l.price <= ? \
         AND (? OR l.band <> 'out') LIMIT ?) passing";
pub(super) const TOTAL_FILTERED: &str = concat!(
    "SELECT COUNT(*), (SELECT MIN(price) FROM listing WHERE category_id = ? AND currency = ?), \
       (SELECT MAX(price) FROM listing WHERE category_id = ? AND currency = ?) FROM ( \
       SELECT l.product_id FROM (",
    masks!(),
    " HAVING mask = ?) passing STRAIGHT_JOIN listing l ON l.category_id = ? AND l.currency = ? \
       AND l.product_id = passing.product_id WHERE l.price >= ? AND l.price <= ? AND (? OR l.band <> 'out') LIMIT ?) passing"
);

/// Names of values, in another language where there are some, around a derived table `counted`.
macro_rules! labelled {
    ($counted:expr) => {
        concat!(
            "SELECT counted.value_id, counted.mask, counted.products, a.code, COALESCE(an.text, a.name) AS name, a.kind, \
             a.unit, v.value, COALESCE(vn.text, v.value) AS label, v.number_value, a.position FROM (",
            $counted,
            ") counted STRAIGHT_JOIN attribute_value v ON v.id = counted.value_id \
             STRAIGHT_JOIN attribute a ON a.id = v.attribute_id AND a.filterable \
             LEFT JOIN label_translation an ON an.locale = ? AND an.label = a.name \
             LEFT JOIN label_translation vn ON vn.locale = ? AND vn.label = v.value"
        )
    };
}

pub(super) const SELECTED: &str = labelled!(
    "SELECT v.id AS value_id, 0 AS mask, COALESCE(kept.product_count, 0) AS products FROM JSON_TABLE(?, '$[*]' COLUMNS ( \
       code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PATH '$[0]', \
       value VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$[1]')) wanted \
     STRAIGHT_JOIN attribute a ON a.code = wanted.code \
     STRAIGHT_JOIN attribute_value v ON v.attribute_id = a.id AND v.value = wanted.value \
     LEFT JOIN category_facet kept ON kept.category_id = ? AND kept.value_id = v.id"
);
pub(super) const FACETS: &str = labelled!(
    "SELECT kept.value_id, 0 AS mask, kept.product_count AS products FROM category_facet kept WHERE kept.category_id = ? \
     UNION ALL SELECT f.value_id, 0, COUNT(*) FROM listing_facet f \
       WHERE f.category_id = ? AND NOT EXISTS (SELECT 1 FROM category_facet big WHERE big.category_id = ?) \
       GROUP BY f.value_id \
     ORDER BY products DESC LIMIT 2000"
);
pub(super) const FACETS_RESTRICTED: &str = labelled!(
    "SELECT f.value_id, 0 AS mask, COUNT(*) AS products FROM ( \
       SELECT l.product_id FROM listing l WHERE l.category_id = ? AND l.currency = ? AND l.price >= ? AND l.price <= ? \
         AND (? OR l.band <> 'out') LIMIT ?) passing \
     STRAIGHT_JOIN listing_facet f FORCE INDEX (listing_facet_product) \
       ON f.product_id = passing.product_id AND f.category_id = ? \
     GROUP BY f.value_id ORDER BY products DESC LIMIT 2000"
);
pub(super) const FACETS_FILTERED: &str = labelled!(concat!(
    "SELECT f.value_id, passing.mask, COUNT(*) AS products FROM ( \
       SELECT l.product_id, masked.mask FROM (",
    masks!(),
    " HAVING BIT_COUNT(mask) >= ?) masked STRAIGHT_JOIN listing l ON l.category_id = ? AND l.currency = ? \
         AND l.product_id = masked.product_id \
       WHERE l.price >= ? AND l.price <= ? AND (? OR l.band <> 'out') LIMIT ?) passing \
     STRAIGHT_JOIN listing_facet f FORCE INDEX (listing_facet_product) \
       ON f.product_id = passing.product_id AND f.category_id = ? \
     GROUP BY f.value_id, passing.mask ORDER BY products DESC LIMIT 4000"
));

/// The next publication or end of one in a category. Looks at the next 1,000 of the shop; where the category has none
/// among those, the last of them is the answer, which is early but never late.
macro_rules! next_publication {
    ($index:literal, $column:literal) => {
        concat!(
            "SELECT MIN(soon.at) AS at FROM (SELECT id, ",
            $column,
            " AS at FROM product FORCE INDEX (",
            $index,
            ") WHERE ",
            $column,
            " > ? AND status = 'active' ORDER BY ",
            $column,
            " LIMIT 1000) soon WHERE ? = 0 OR EXISTS (SELECT 1 FROM product_category pc \
               STRAIGHT_JOIN category_closure above ON above.descendant_id = pc.category_id AND above.ancestor_id = ? \
               WHERE pc.product_id = soon.id) \
             UNION ALL (SELECT ",
            $column,
            " FROM product FORCE INDEX (",
            $index,
            ") WHERE ",
            $column,
            " > ? AND status = 'active' ORDER BY ",
            $column,
            " LIMIT 1 OFFSET 999)"
        )
    };
}

/// The next price that begins or ends among some products.
macro_rules! next_price {
    ($column:literal) => {
        concat!(
            "SELECT MIN(p.",
            $column,
            ") AS at FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) shown \
             STRAIGHT_JOIN variant v ON v.product_id = shown.id \
             STRAIGHT_JOIN price p ON p.variant_id = v.id AND p.currency = ? WHERE v.status = 'active' AND p.",
            $column,
            " > ?"
        )
    };
}

pub(super) const VALID_UNTIL: &str = concat!(
    "SELECT MIN(at) FROM (",
    next_price!("starts_at"),
    " UNION ALL ",
    next_price!("ends_at"),
    " UNION ALL ",
    next_publication!("product_published", "published_at"),
    " UNION ALL ",
    next_publication!("product_unpublished", "unpublished_at"),
    ") changes"
);

pub(super) const CARDS_OF: &str = cards!(
    "SELECT l.product_id, l.price, l.price_max, l.compare_at, l.band, l.published_at, l.position \
     FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) ids STRAIGHT_JOIN listing l \
       ON l.category_id = 0 AND l.currency = ? AND l.product_id = ids.id"
);

pub(super) const VALUES: &str = labelled!(
    "SELECT ids.id AS value_id, 0 AS mask, 0 AS products FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) ids"
);
pub(super) const RELATED: &str = cards!(
    "(SELECT l.product_id, l.price, l.price_max, l.compare_at, l.band, l.published_at, l.position \
     FROM listing own STRAIGHT_JOIN listing l FORCE INDEX (listing_position) \
       ON l.category_id = own.category_id AND l.currency = own.currency \
       AND (l.position > own.position OR (l.position = own.position AND l.product_id >= own.product_id)) \
     WHERE own.category_id = ? AND own.currency = ? AND own.product_id = ? ORDER BY l.position, l.product_id LIMIT ?) \
     UNION (SELECT l.product_id, l.price, l.price_max, l.compare_at, l.band, l.published_at, l.position \
     FROM listing l FORCE INDEX (listing_position) WHERE l.category_id = ? AND l.currency = ? \
     ORDER BY l.position, l.product_id LIMIT ?)"
);

/// The statements of this module with their names.
pub static STATEMENTS: &[(&str, &str)] = &[
    ("listing_walk_position", WALK_POSITION),
    ("listing_walk_position_back", WALK_POSITION_BACK),
    ("listing_walk_price", WALK_PRICE),
    ("listing_walk_price_back", WALK_PRICE_BACK),
    ("listing_walk_published", WALK_PUBLISHED),
    ("listing_walk_published_back", WALK_PUBLISHED_BACK),
    ("listing_walk_filtered_position", WALK_FILTERED_POSITION),
    (
        "listing_walk_filtered_position_back",
        WALK_FILTERED_POSITION_BACK,
    ),
    ("listing_walk_filtered_price", WALK_FILTERED_PRICE),
    ("listing_walk_filtered_price_back", WALK_FILTERED_PRICE_BACK),
    ("listing_walk_filtered_published", WALK_FILTERED_PUBLISHED),
    (
        "listing_walk_filtered_published_back",
        WALK_FILTERED_PUBLISHED_BACK,
    ),
    ("listing_find_filtered_position", FIND_FILTERED_POSITION),
    (
        "listing_find_filtered_position_back",
        FIND_FILTERED_POSITION_BACK,
    ),
    ("listing_find_filtered_price", FIND_FILTERED_PRICE),
    ("listing_find_filtered_price_back", FIND_FILTERED_PRICE_BACK),
    ("listing_find_filtered_published", FIND_FILTERED_PUBLISHED),
    (
        "listing_find_filtered_published_back",
        FIND_FILTERED_PUBLISHED_BACK,
    ),
    ("listing_find_priced_position", FIND_PRICED_POSITION),
    (
        "listing_find_priced_position_back",
        FIND_PRICED_POSITION_BACK,
    ),
    ("listing_find_priced_published", FIND_PRICED_PUBLISHED),
    (
        "listing_find_priced_published_back",
        FIND_PRICED_PUBLISHED_BACK,
    ),
    ("listing_total", TOTAL),
    ("listing_total_filtered", TOTAL_FILTERED),
    ("listing_selected", SELECTED),
    ("listing_facets", FACETS),
    ("listing_facets_restricted", FACETS_RESTRICTED),
    ("listing_facets_filtered", FACETS_FILTERED),
    ("listing_valid_until", VALID_UNTIL),
    ("listing_cards_of", CARDS_OF),
    ("listing_related", RELATED),
    ("listing_values", VALUES),
];
