use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use panono_shop::catalog::index::{
    WHOLE_CATALOGUE, due_transitions, recount_due_categories, reindex,
};
use panono_shop::catalog::model::AvailabilityBand;
use panono_shop::db::{Arrangement, DatabaseConfig, Db, PoolSize};
use panono_shop::worker::schedule::Schedule;
use panono_tests::wait::wait_until;
use sqlx::Connection;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use time::OffsetDateTime;

use super::fixture::{Catalogue, NOW, Product, counts, days, filters, listing, slugs};

#[tokio::test]
async fn deriving_writes_what_differs_and_tells_what_changed() {
    let shop = &mut Catalogue::new().await;
    let men = shop.category("men", None).await;
    let shoes = shop.category("shoes", Some(men)).await;
    let boot = shop
        .insert(&Product {
            slug: "boot",
            categories: &[shoes],
            attributes: &[("colour", "red")],
            brand: Some("Acme"),
            ..Product::default()
        })
        .await;
    let first = shop.reindex(&[boot.product]).await;
    assert_eq!(first.gained, [WHOLE_CATALOGUE, men, shoes].into());
    assert_eq!(
        (
            first.lost.len(),
            first.resorted.len(),
            first.products.clone()
        ),
        (0, 0, [boot.product].into())
    );
    assert!(first.rows_written > 0);

    // Nothing differs: nothing is written, and no category is to be purged.
    let again = shop.reindex(&[boot.product]).await;
    assert_eq!(
        (
            again.rows_written,
            again.products.len(),
            again.categories().len()
        ),
        (0, 0, 0)
    );

    // A price moves the product in all of its categories.
    shop.execute(
        "UPDATE price SET amount = 900 WHERE variant_id = ?",
        &[boot.variant],
    )
    .await;
    let repriced = shop.reindex(&[boot.product]).await;
    assert_eq!(repriced.resorted, [WHOLE_CATALOGUE, men, shoes].into());
    assert_eq!(
        (
            repriced.rows_written,
            repriced.gained.len(),
            repriced.refaceted.len()
        ),
        (3, 0, 0)
    );

    // By another name it is found by other searches, which belong to the whole catalogue.
    shop.execute(
        "UPDATE product_translation SET name = 'Wader' WHERE product_id = ?",
        &[boot.product],
    )
    .await;
    let renamed = shop.reindex(&[boot.product]).await;
    assert_eq!(renamed.products, [boot.product].into());
    assert_eq!(renamed.categories(), [WHOLE_CATALOGUE].into());

    // Stock that gets low changes the card and no order; stock that runs out does.
    shop.execute(
        "UPDATE stock SET reserved = 46 WHERE variant_id = ?",
        &[boot.variant],
    )
    .await;
    let low = shop.reindex(&[boot.product]).await;
    assert_eq!((low.products.len(), low.categories().len()), (1, 0));
    shop.execute(
        "UPDATE stock SET reserved = 50 WHERE variant_id = ?",
        &[boot.variant],
    )
    .await;
    assert_eq!(shop.reindex(&[boot.product]).await.resorted.len(), 3);
    assert_eq!(
        shop.list(&listing(shoes)).await.items[0].band,
        AvailabilityBand::Out
    );
    let second = shop.variant(boot.product, "boot-2", 3).await;
    shop.price(second, 2000, NOW - days(1), None).await;
    shop.reindex(&[boot.product]).await;
    let card = shop.list(&listing(shoes)).await.items.remove(0);
    assert_eq!(
        (card.band, card.price.minor, card.price_max.minor),
        (AvailabilityBand::Low, 900, 2000)
    );

    // Archived, and then deleted: every derived row goes.
    shop.execute(
        "UPDATE product SET status = 'archived' WHERE id = ?",
        &[boot.product],
    )
    .await;
    let archived = shop.reindex(&[boot.product]).await;
    assert_eq!(archived.lost, [WHOLE_CATALOGUE, men, shoes].into());
    shop.execute(
        "UPDATE product SET status = 'active' WHERE id = ?",
        &[boot.product],
    )
    .await;
    shop.reindex(&[boot.product]).await;
    shop.execute("DELETE FROM product WHERE id = ?", &[boot.product])
        .await;
    assert_eq!(
        shop.reindex(&[boot.product]).await.lost,
        [WHOLE_CATALOGUE, men, shoes].into()
    );
    for table in [
        "SELECT COUNT(*) FROM listing",
        "SELECT COUNT(*) FROM listing_facet",
        "SELECT COUNT(*) FROM search_word",
        "SELECT COUNT(*) FROM search_ngram",
    ] {
        let rows: i64 = sqlx::query_scalar(table)
            .fetch_one(&mut shop.connection)
            .await
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn periods_of_prices_and_publications_begin_and_end() {
    let shop = &mut Catalogue::new().await;
    let sale = shop
        .insert(&Product {
            slug: "sale",
            price: 1000,
            ..Product::default()
        })
        .await;
    shop.price(sale.variant, 700, NOW + days(2), Some(NOW + days(4)))
        .await;
    let coming = shop
        .insert(&Product {
            slug: "coming",
            published_at: Some(NOW + days(3)),
            ..Product::default()
        })
        .await;
    let going = shop
        .insert(&Product {
            slug: "going",
            unpublished_at: Some(NOW + days(5)),
            ..Product::default()
        })
        .await;
    let all = [sale.product, coming.product, going.product];
    shop.reindex(&all).await;
    let page = shop.list(&listing(WHOLE_CATALOGUE)).await;
    assert_eq!(slugs(&page), ["sale", "going"]);
    assert_eq!(
        page.valid_until,
        Some(NOW + days(2)),
        "a shown price changes first"
    );

    let mut due = async |from: i64, to: i64| {
        due_transitions(
            &mut shop.connection,
            NOW + days(from),
            NOW + days(to),
            0,
            100,
        )
        .await
        .unwrap()
    };
    assert!(due(0, 1).await.is_empty());
    assert_eq!(due(1, 2).await, [sale.product]);
    assert_eq!(
        due(2, 3).await,
        [coming.product],
        "a period begins after its first instant"
    );
    assert_eq!(due(0, 10).await, all);
    let page = due_transitions(&mut shop.connection, NOW, NOW + days(10), sale.product, 1)
        .await
        .unwrap();
    assert_eq!(page, [coming.product]);

    let price = async |shop: &mut Catalogue| shop.list(&listing(0)).await.items[0].price.minor;
    for (day, expected, listed) in [(2, 700, 2), (3, 700, 3), (4, 1000, 3), (5, 1000, 2)] {
        shop.reindex_at(&all, NOW + days(day)).await;
        let mut query = listing(WHOLE_CATALOGUE);
        query.limit = 10;
        assert_eq!(
            (price(shop).await, shop.list(&query).await.items.len()),
            (expected, listed),
            "day {day}"
        );
    }
}

#[tokio::test]
async fn what_took_effect_while_a_change_waited_is_derived_by_it() {
    let shop = &mut Catalogue::new().await;
    let mug = shop.product(&Product::default()).await;
    shop.price(mug.variant, 700, NOW + days(1), None).await;
    let mut holder = shop.database.connect().await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("SELECT id FROM product WHERE id = ? FOR UPDATE")
        .bind(mug.product)
        .execute(&mut *held)
        .await
        .unwrap();
    let mine: i64 = sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS SIGNED)")
        .fetch_one(&mut shop.connection)
        .await
        .unwrap();

    let day = AtomicI64::new(0);
    let products = [mug.product];
    let deriving = async {
        let mut transaction = shop.connection.begin().await.unwrap();
        let clock = || NOW + days(day.load(Ordering::SeqCst));
        reindex(
            &mut transaction,
            &shop.currencies,
            &shop.locales,
            clock,
            &products,
        )
        .await
        .unwrap();
        transaction.commit().await.unwrap();
    };
    let releasing = async {
        let waits = "SELECT COUNT(*) > 0 FROM performance_schema.data_lock_waits waits \
            JOIN performance_schema.threads ON threads.thread_id = waits.requesting_thread_id \
            WHERE threads.processlist_id = ?";
        wait_until("the change to wait", Duration::from_secs(60), async || {
            sqlx::query_scalar::<_, bool>(waits)
                .bind(mine)
                .fetch_one(&mut *held)
                .await
                .is_ok_and(|waits| waits)
        })
        .await
        .unwrap();
        day.store(1, Ordering::SeqCst);
        held.commit().await.unwrap();
    };
    tokio::join!(deriving, releasing);
    let card = shop.list(&listing(WHOLE_CATALOGUE)).await.items.remove(0);
    assert_eq!(card.price.minor, 700);
}

#[tokio::test]
async fn a_scheduled_change_that_was_committed_late_takes_effect() {
    let shop = &mut Catalogue::new().await;
    let mug = shop.product(&Product::default()).await;
    let cup = shop
        .product(&Product {
            slug: "cup",
            ..Product::default()
        })
        .await;
    let url = shop.database.writer_url().await.unwrap();
    let options: MySqlConnectOptions = url.parse().unwrap();
    let schedule = Schedule {
        db: Db::start(DatabaseConfig {
            arrangement: Arrangement::Fixed,
            members: vec![options.ssl_mode(MySqlSslMode::Disabled)],
            pool: PoolSize {
                min: 1,
                max: 2,
                acquire: Duration::from_secs(10),
            },
            write_deadline: Duration::from_secs(60),
            read_only: false,
        }),
        currencies: shop.currencies.clone(),
        locales: shop.locales.clone(),
    };
    let now = OffsetDateTime::now_utc().max(NOW);
    let minutes = |minutes: i64| now + time::Duration::minutes(minutes);
    assert_eq!(schedule.round(now).await.unwrap(), 0);

    // The job has passed the moment at which this price begins, and has not seen it. The other one it sees in time.
    let seconds = time::Duration::seconds(1);
    shop.price(mug.variant, 700, now - seconds, None).await;
    shop.price(cup.variant, 800, now + seconds, None).await;
    assert_eq!(schedule.round(minutes(2)).await.unwrap(), 1);
    let prices: Vec<i64> = {
        let page = shop.list(&listing(WHOLE_CATALOGUE)).await;
        page.items.iter().map(|card| card.price.minor).collect()
    };
    assert_eq!(prices, [700, 800]);

    // Looking again at what has taken effect writes and purges nothing.
    shop.price(cup.variant, 900, minutes(3), None).await;
    assert_eq!(schedule.round(minutes(4)).await.unwrap(), 1);
    let mut purges = async || {
        sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM outbox")
            .fetch_one(&mut shop.connection)
            .await
            .unwrap()
    };
    let before = purges().await;
    assert_eq!(schedule.round(minutes(9)).await.unwrap(), 0);
    assert_eq!(purges().await, before);
}

#[tokio::test]
async fn options_and_brands_can_be_filtered_by_like_attributes() {
    let shop = &mut Catalogue::new().await;
    let shirt = shop
        .insert(&Product {
            slug: "shirt",
            brand: Some("Acme"),
            ..Product::default()
        })
        .await;
    let option = shop
        .execute(
            "INSERT INTO product_option (product_id, position, name) VALUES (?, 1, 'Größe')",
            &[shirt.product],
        )
        .await;
    let value = shop
        .execute(
            "INSERT INTO product_option_value (option_id, position, value) VALUES (?, 1, 'XL')",
            &[option],
        )
        .await;
    shop.execute(
        "INSERT INTO variant_option VALUES (?, ?, ?)",
        &[shirt.variant, option, value],
    )
    .await;
    shop.reindex(&[shirt.product]).await;
    let page = shop.list(&listing(WHOLE_CATALOGUE)).await;
    assert_eq!(
        counts(&page.facets, "grosse").len() + counts(&page.facets, "größe").len(),
        0,
        "codes are ASCII"
    );
    assert_eq!(counts(&page.facets, "brand"), [("Acme", 1)]);
    let size = page
        .facets
        .iter()
        .find(|facet| facet.name == "Größe")
        .unwrap();
    assert_eq!(
        (size.kind.as_str(), size.values[0].value.as_str()),
        ("option", "XL")
    );
    let mut query = listing(WHOLE_CATALOGUE);
    let code = size.code.clone();
    query.filters = filters(&[(&code, &["XL"]), ("brand", &["Acme"])]);
    assert_eq!(slugs(&shop.list(&query).await), ["shirt"]);
    // Staff can take an attribute out of the filters.
    shop.execute(
        "UPDATE attribute SET filterable = FALSE WHERE code = 'brand'",
        &[],
    )
    .await;
    shop.reindex(&[shirt.product]).await;
    assert!(counts(&shop.list(&listing(0)).await.facets, "brand").is_empty());
}

#[tokio::test]
async fn counts_of_large_categories_are_kept() {
    let shop = &mut Catalogue::new().await;
    let shoes = shop.category("shoes", None).await;
    let mut ids = Vec::new();
    for (name, colour) in [("a", "red"), ("b", "red"), ("c", "blue")] {
        let product = Product {
            slug: name,
            categories: &[shoes],
            attributes: &[("colour", colour)],
            ..Product::default()
        };
        ids.push(shop.product(&product).await.product);
    }
    // "Large" from three products on.
    let changed = recount_due_categories(&mut shop.connection, 3, 10)
        .await
        .unwrap();
    assert_eq!(changed, [WHOLE_CATALOGUE, shoes].into());
    let kept = "SELECT COUNT(*) FROM category_facet";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(kept)
            .fetch_one(&mut shop.connection)
            .await
            .unwrap(),
        4
    );
    assert_eq!(
        counts(&shop.list(&listing(shoes)).await.facets, "colour"),
        [("blue", 1), ("red", 2)]
    );

    shop.execute(
        "UPDATE product SET status = 'draft' WHERE id = ?",
        &[ids[0]],
    )
    .await;
    shop.reindex(&ids).await;
    let changed = recount_due_categories(&mut shop.connection, 3, 10)
        .await
        .unwrap();
    assert_eq!(changed, [WHOLE_CATALOGUE, shoes].into());
    assert_eq!(
        sqlx::query_scalar::<_, i64>(kept)
            .fetch_one(&mut shop.connection)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        counts(&shop.list(&listing(shoes)).await.facets, "colour"),
        [("blue", 1), ("red", 1)]
    );
    assert!(
        recount_due_categories(&mut shop.connection, 3, 10)
            .await
            .unwrap()
            .is_empty()
    );
}
