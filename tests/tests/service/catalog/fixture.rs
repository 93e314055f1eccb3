//! A small catalogue made by hand.

use panono_shop::catalog::index::{Reindexed, reindex};
use panono_shop::catalog::listing::{
    Facet, Filters, ListingError, ListingPage, ListingQuery, Sort, Start,
};
use panono_shop::catalog::model::{Currency, Locale, Slug};
use panono_shop::catalog::store_listing::listing_page;
use panono_shop::catalog::tree::place_category;
use panono_tests::mysql::TestDatabase;
use sqlx::{Connection, MySqlConnection};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// The instant at which these tests take place.
pub const NOW: OffsetDateTime = datetime!(2026-06-15 12:00 UTC);

pub fn euro() -> Currency {
    "EUR".parse().unwrap()
}

pub fn locale(tag: &str) -> Locale {
    tag.parse().unwrap()
}

pub fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

pub fn days(number: i64) -> Duration {
    Duration::days(number)
}

/// A database with the schema and a connection to it.
pub struct Catalogue {
    pub connection: MySqlConnection,
    pub locales: Vec<Locale>,
    pub currencies: Vec<Currency>,
    pub database: TestDatabase<'static>,
}

/// A product to insert. Its price is in euro.
pub struct Product<'a> {
    pub slug: &'a str,
    pub name: &'a str,
    pub description: &'a str,
    pub price: i64,
    pub stock: i64,
    pub categories: &'a [i64],
    pub position: i32,
    pub published_at: Option<OffsetDateTime>,
    pub unpublished_at: Option<OffsetDateTime>,
    pub attributes: &'a [(&'a str, &'a str)],
    pub brand: Option<&'a str>,
}

impl Default for Product<'_> {
    fn default() -> Self {
        Self {
            slug: "thing",
            name: "Thing",
            description: "",
            price: 1000,
            stock: 50,
            categories: &[],
            position: 0,
            published_at: Some(NOW - days(10)),
            unpublished_at: None,
            attributes: &[],
            brand: None,
        }
    }
}

/// The ids of a product and its variant.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    pub product: i64,
    pub variant: i64,
}

impl Catalogue {
    pub async fn new() -> Self {
        let database = TestDatabase::shared().await.unwrap();
        let mut connection = database.connect().await.unwrap();
        panono_shop::migrations::MIGRATOR
            .run(&mut connection)
            .await
            .unwrap();
        Self {
            connection,
            locales: vec![locale("en"), locale("de"), locale("zh")],
            currencies: vec![euro(), "JPY".parse().unwrap()],
            database,
        }
    }

    pub async fn execute(&mut self, statement: &'static str, values: &[i64]) -> i64 {
        let mut query = sqlx::query(statement);
        for value in values {
            query = query.bind(*value);
        }
        let done = query.execute(&mut self.connection).await.unwrap();
        i64::try_from(done.last_insert_id()).unwrap()
    }

    pub async fn category(&mut self, text: &str, parent: Option<i64>) -> i64 {
        let id = sqlx::query("INSERT INTO category (slug) VALUES (?)")
            .bind(text)
            .execute(&mut self.connection)
            .await
            .unwrap()
            .last_insert_id();
        let id = i64::try_from(id).unwrap();
        sqlx::query("INSERT INTO category_translation (category_id, locale, name, description) VALUES (?, 'en', ?, '')")
            .bind(id)
            .bind(text)
            .execute(&mut self.connection)
            .await
            .unwrap();
        assert!(
            place_category(&mut self.connection, id, parent)
                .await
                .unwrap()
        );
        id
    }

    pub async fn attribute_value(&mut self, code: &str, value: &str) -> i64 {
        sqlx::query("INSERT INTO attribute (code, name) VALUES (?, ?) ON DUPLICATE KEY UPDATE code = VALUES(code)")
            .bind(code)
            .bind(code)
            .execute(&mut self.connection)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO attribute_value (attribute_id, value) SELECT id, ? FROM attribute WHERE code = ? \
             ON DUPLICATE KEY UPDATE attribute_value.value = attribute_value.value",
        )
        .bind(value)
        .bind(code)
        .execute(&mut self.connection)
        .await
        .unwrap();
        sqlx::query_scalar(
            "SELECT v.id FROM attribute_value v JOIN attribute a ON a.id = v.attribute_id \
             WHERE a.code = ? AND v.value = ?",
        )
        .bind(code)
        .bind(value)
        .fetch_one(&mut self.connection)
        .await
        .unwrap()
    }

    /// Inserts a product with one variant, and does not derive anything.
    pub async fn insert(&mut self, product: &Product<'_>) -> Ids {
        let brand: Option<u64> = match product.brand {
            None => None,
            Some(name) => Some(
                sqlx::query("INSERT INTO brand (slug, name) VALUES (?, ?) ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)")
                    .bind(name.to_lowercase())
                    .bind(name)
                    .execute(&mut self.connection)
                    .await
                    .unwrap()
                    .last_insert_id(),
            ),
        };
        let id = sqlx::query(
            "INSERT INTO product (slug, brand_id, status, published_at, unpublished_at) VALUES (?, ?, 'active', ?, ?)",
        )
        .bind(product.slug)
        .bind(brand)
        .bind(product.published_at)
        .bind(product.unpublished_at)
        .execute(&mut self.connection)
        .await
        .unwrap()
        .last_insert_id();
        let id = i64::try_from(id).unwrap();
        self.translate(id, "en", product.name, product.description)
            .await;
        for category in product.categories {
            self.execute(
                "INSERT INTO product_category (product_id, category_id, position) VALUES (?, ?, ?)",
                &[id, *category, i64::from(product.position)],
            )
            .await;
        }
        for (code, value) in product.attributes {
            let value = self.attribute_value(code, value).await;
            self.execute(
                "INSERT INTO product_attribute (product_id, value_id) VALUES (?, ?)",
                &[id, value],
            )
            .await;
        }
        let variant = self
            .variant(id, &format!("{}-1", product.slug), product.stock)
            .await;
        self.price(variant, product.price, NOW - days(200), None)
            .await;
        Ids {
            product: id,
            variant,
        }
    }

    /// Inserts a product with one variant, and derives what follows.
    pub async fn product(&mut self, product: &Product<'_>) -> Ids {
        let ids = self.insert(product).await;
        self.reindex(&[ids.product]).await;
        ids
    }

    pub async fn translate(&mut self, product: i64, tag: &str, name: &str, description: &str) {
        sqlx::query("INSERT INTO product_translation (product_id, locale, name, description) VALUES (?, ?, ?, ?)")
            .bind(product)
            .bind(tag)
            .bind(name)
            .bind(description)
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    pub async fn variant(&mut self, product: i64, sku: &str, stock: i64) -> i64 {
        let id = sqlx::query("INSERT INTO variant (product_id, sku) VALUES (?, ?)")
            .bind(product)
            .bind(sku)
            .execute(&mut self.connection)
            .await
            .unwrap()
            .last_insert_id();
        let id = i64::try_from(id).unwrap();
        self.execute(
            "INSERT INTO stock (variant_id, on_hand) VALUES (?, ?)",
            &[id, stock],
        )
        .await;
        id
    }

    pub async fn price(
        &mut self,
        variant: i64,
        amount: i64,
        starts: OffsetDateTime,
        ends: Option<OffsetDateTime>,
    ) {
        sqlx::query("INSERT INTO price (variant_id, currency, amount, starts_at, ends_at) VALUES (?, 'EUR', ?, ?, ?)")
            .bind(variant)
            .bind(amount)
            .bind(starts)
            .bind(ends)
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    pub async fn reindex(&mut self, products: &[i64]) -> Reindexed {
        self.reindex_at(products, NOW).await
    }

    /// Derives in a transaction of its own, as the shop does.
    pub async fn reindex_at(&mut self, products: &[i64], now: OffsetDateTime) -> Reindexed {
        let mut transaction = self.connection.begin().await.unwrap();
        let reindexed = reindex(
            &mut transaction,
            &self.currencies,
            &self.locales,
            || now,
            products,
        )
        .await
        .unwrap();
        transaction.commit().await.unwrap();
        reindexed
    }

    pub async fn list(&mut self, query: &ListingQuery) -> ListingPage {
        self.try_list(query).await.unwrap()
    }

    pub async fn try_list(&mut self, query: &ListingQuery) -> Result<ListingPage, ListingError> {
        listing_page(&mut self.connection, query, NOW).await
    }
}

/// A listing in euro and English, two cards a page.
pub fn listing(category: i64) -> ListingQuery {
    ListingQuery {
        category,
        currency: euro(),
        locale: locale("en"),
        default_locale: locale("en"),
        sort: Sort::Position,
        filters: Filters::default(),
        start: Start::First,
        limit: 2,
    }
}

pub fn filters(attributes: &[(&str, &[&str])]) -> Filters {
    let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
    Filters {
        attributes: attributes
            .iter()
            .map(|(code, wanted)| ((*code).to_owned(), values(wanted)))
            .collect(),
        ..Filters::default()
    }
}

pub fn slugs(page: &ListingPage) -> Vec<&str> {
    page.items.iter().map(|card| card.slug.as_str()).collect()
}

/// The counts of a facet, by value.
pub fn counts<'a>(facets: &'a [Facet], code: &str) -> Vec<(&'a str, i64)> {
    let mut counts: Vec<(&str, i64)> = facets
        .iter()
        .filter(|facet| facet.code == code)
        .flat_map(|facet| &facet.values)
        .map(|value| (value.value.as_str(), value.count))
        .collect();
    counts.sort_unstable();
    counts
}
