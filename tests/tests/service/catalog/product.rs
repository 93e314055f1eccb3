use panono_shop::catalog::category::{Answer, Lookup};
use panono_shop::catalog::model::{AvailabilityBand, Sku};
use panono_shop::catalog::product::ProductPage;
use panono_shop::catalog::store_product::{availability, product_by_slug, related_products};
use panono_shop::catalog::store_sitemap::{sitemap_categories, sitemap_products, sitemap_shards};

use super::fixture::{Catalogue, NOW, Product, days, euro, locale, slug};

async fn answer(shop: &mut Catalogue, text: &str, tag: &str) -> Answer<ProductPage> {
    product_by_slug(
        &mut shop.connection,
        &slug(text),
        euro(),
        &locale(tag),
        &locale("en"),
        NOW,
    )
    .await
    .unwrap()
}

async fn page(shop: &mut Catalogue, text: &str, tag: &str) -> ProductPage {
    match answer(shop, text, tag).await.found {
        Lookup::Found(page) => page,
        other => panic!("{other:?}"),
    }
}

async fn related(shop: &mut Catalogue, page: &ProductPage) -> Vec<String> {
    related_products(
        &mut shop.connection,
        page,
        euro(),
        &locale("en"),
        &locale("en"),
    )
    .await
    .unwrap()
    .iter()
    .map(|card| card.slug.to_string())
    .collect()
}

#[tokio::test]
async fn a_product_page_shows_all_that_there_is() {
    let shop = &mut Catalogue::new().await;
    let men = shop.category("men", None).await;
    let shirts = shop.category("shirts", Some(men)).await;
    let shirt = shop
        .insert(&Product {
            slug: "shirt",
            name: "Shirt",
            description: "Of cotton",
            categories: &[shirts],
            brand: Some("Acme"),
            attributes: &[("material", "cotton"), ("care", "30 °C")],
            ..Product::default()
        })
        .await;
    let large = shop.variant(shirt.product, "shirt-xl", 2).await;
    shop.price(large, 1500, NOW - days(100), None).await;
    shop.price(large, 1200, NOW - days(3), Some(NOW + days(4)))
        .await;
    shop.execute("UPDATE variant SET position = 1 WHERE id = ?", &[large])
        .await;
    let gone = shop.variant(shirt.product, "shirt-old", 9).await;
    shop.execute(
        "UPDATE variant SET status = 'archived' WHERE id = ?",
        &[gone],
    )
    .await;
    let size = shop
        .execute(
            "INSERT INTO product_option (product_id, position, name) VALUES (?, 2, 'Size')",
            &[shirt.product],
        )
        .await;
    let colour = shop
        .execute(
            "INSERT INTO product_option (product_id, position, name) VALUES (?, 1, 'Colour')",
            &[shirt.product],
        )
        .await;
    let value = "INSERT INTO product_option_value (option_id, position, value) VALUES (?, ?, CONCAT('v', ?))";
    let extra_large = shop.execute(value, &[size, 2, 2]).await;
    let small = shop.execute(value, &[size, 1, 1]).await;
    let red = shop.execute(value, &[colour, 1, 3]).await;
    for (variant, option, value) in [
        (shirt.variant, size, small),
        (shirt.variant, colour, red),
        (large, size, extra_large),
        (large, colour, red),
    ] {
        shop.execute(
            "INSERT INTO variant_option VALUES (?, ?, ?)",
            &[variant, option, value],
        )
        .await;
    }
    shop.execute(
        "INSERT INTO product_tag VALUES (?, 'summer'), (?, 'new')",
        &[shirt.product, shirt.product],
    )
    .await;
    shop.execute(
        "INSERT INTO media (hash, content_type, width, height, size_bytes) \
         VALUES (REPEAT('a', 64), 'image/png', 10, 20, 1), (REPEAT('b', 64), 'image/png', 30, 40, 1)",
        &[],
    )
    .await;
    shop.execute(
        "INSERT INTO product_media (product_id, position, variant_id, hash, alt) VALUES \
         (?, 2, NULL, REPEAT('b', 64), 'back'), (?, 1, ?, REPEAT('a', 64), 'front'), (?, 0, NULL, NULL, 'not fetched yet')",
        &[shirt.product, shirt.product, large, shirt.product],
    )
    .await;
    shop.execute("INSERT INTO label_translation VALUES ('de', 'Size', 'Größe'), ('de', 'v1', 'klein'), ('de', 'cotton', 'Baumwolle')", &[]).await;
    shop.translate(shirt.product, "de", "Hemd", "Aus Baumwolle")
        .await;
    shop.reindex(&[shirt.product]).await;
    for name in ["other", "another"] {
        shop.product(&Product {
            slug: name,
            name,
            categories: &[shirts],
            ..Product::default()
        })
        .await;
    }

    let shown = page(shop, "shirt", "de").await;
    assert_eq!(
        (shown.name.as_str(), shown.description.as_str()),
        ("Hemd", "Aus Baumwolle")
    );
    assert_eq!(shown.brand.as_ref().unwrap().name, "Acme");
    assert_eq!(shown.tags, ["new", "summer"]);
    let options: Vec<(&str, Vec<&str>)> = shown
        .options
        .iter()
        .map(|option| {
            (
                option.name.as_str(),
                option
                    .values
                    .iter()
                    .map(|value| value.label.as_str())
                    .collect(),
            )
        })
        .collect();
    assert_eq!(
        options,
        [("Colour", vec!["v3"]), ("Größe", vec!["klein", "v2"])]
    );
    let skus: Vec<&str> = shown
        .variants
        .iter()
        .map(|variant| variant.sku.as_str())
        .collect();
    assert_eq!(skus, ["shirt-1", "shirt-xl"]);
    assert_eq!(shown.variants[0].option_values, [red, small]);
    let reduced = &shown.variants[1];
    assert_eq!(
        (
            reduced.price.unwrap().minor,
            reduced.lowest_before_reduction.unwrap().minor
        ),
        (1200, 1500)
    );
    assert_eq!(
        (reduced.band, shown.band()),
        (AvailabilityBand::Low, AvailabilityBand::InStock)
    );
    assert_eq!(shown.variants[0].lowest_before_reduction, None);
    let media: Vec<(&str, i32, Option<i64>)> = shown
        .media
        .iter()
        .map(|media| {
            (
                media.image.alt.as_str(),
                media.image.width,
                media.variant_id,
            )
        })
        .collect();
    assert_eq!(media, [("front", 10, Some(large)), ("back", 30, None)]);
    let attributes: Vec<(&str, &str)> = shown
        .attributes
        .iter()
        .map(|attribute| (attribute.code.as_str(), attribute.values[0].as_str()))
        .collect();
    assert_eq!(attributes, [("care", "30 °C"), ("material", "Baumwolle")]);
    assert_eq!(
        shown
            .breadcrumbs()
            .iter()
            .map(|link| link.id)
            .collect::<Vec<_>>(),
        [men, shirts]
    );
    assert_eq!(related(shop, &shown).await, ["other", "another"]);
    let other = page(shop, "other", "en").await;
    assert_eq!(
        related(shop, &other).await,
        ["another", "shirt"],
        "after the last one the first ones follow"
    );

    assert_eq!(
        answer(shop, "shirt", "de").await.valid_until,
        Some(NOW + days(4))
    );
    let card = shop
        .list(&super::fixture::listing(shirts))
        .await
        .items
        .remove(0);
    assert_eq!(card.image.unwrap().alt, "front");
    assert_eq!(
        page(shop, "shirt", "zh").await.name,
        "Shirt",
        "what is not translated is in the default language"
    );
}

#[tokio::test]
async fn addresses_of_products_are_found_moved_gone_or_unknown() {
    let shop = &mut Catalogue::new().await;
    let here = shop
        .product(&Product {
            slug: "here",
            ..Product::default()
        })
        .await;
    let soon = shop
        .product(&Product {
            slug: "soon",
            published_at: Some(NOW + days(1)),
            ..Product::default()
        })
        .await;
    let over = shop
        .product(&Product {
            slug: "over",
            unpublished_at: Some(NOW),
            ..Product::default()
        })
        .await;
    let draft = shop
        .product(&Product {
            slug: "draft",
            published_at: None,
            ..Product::default()
        })
        .await;
    let archived = shop
        .product(&Product {
            slug: "archived",
            ..Product::default()
        })
        .await;
    shop.execute(
        "UPDATE product SET status = 'archived' WHERE id = ?",
        &[archived.product],
    )
    .await;
    shop.execute(
        "INSERT INTO slug_redirect (kind, slug, target_id) VALUES ('product', 'was-here', ?), \
         ('product', 'was-archived', ?), ('product', 'was-soon', ?), ('product', 'was-deleted', 999999)",
        &[here.product, archived.product, soon.product],
    )
    .await;
    let expected = [
        ("was-here", Lookup::Moved(slug("here")), None),
        (
            "soon",
            Lookup::NotFound(Some(soon.product)),
            Some(NOW + days(1)),
        ),
        (
            "was-soon",
            Lookup::NotFound(Some(soon.product)),
            Some(NOW + days(1)),
        ),
        ("over", Lookup::Gone(over.product), None),
        ("archived", Lookup::Gone(archived.product), None),
        ("was-archived", Lookup::Gone(archived.product), None),
        ("draft", Lookup::NotFound(Some(draft.product)), None),
        ("was-deleted", Lookup::NotFound(None), None),
        ("never", Lookup::NotFound(None), None),
    ];
    for (text, found, valid_until) in expected {
        assert_eq!(
            answer(shop, text, "en").await,
            Answer { found, valid_until },
            "{text}"
        );
    }
    assert_eq!(page(shop, "here", "en").await.id, here.product);
}

#[tokio::test]
async fn availability_is_told_of_what_can_be_bought() {
    let shop = &mut Catalogue::new().await;
    let thing = shop
        .product(&Product {
            slug: "thing",
            stock: 3,
            ..Product::default()
        })
        .await;
    shop.execute(
        "UPDATE stock SET reserved = 1 WHERE variant_id = ?",
        &[thing.variant],
    )
    .await;
    let service = shop.variant(thing.product, "service", 0).await;
    shop.execute(
        "UPDATE stock SET tracked = FALSE WHERE variant_id = ?",
        &[service],
    )
    .await;
    let uncounted = shop.variant(thing.product, "uncounted", 0).await;
    shop.execute("DELETE FROM stock WHERE variant_id = ?", &[uncounted])
        .await;
    shop.product(&Product {
        slug: "hidden",
        published_at: None,
        ..Product::default()
    })
    .await;
    let skus: Vec<Sku> = [
        "thing-1",
        "service",
        "uncounted",
        "hidden-1",
        "\"'),(",
        "THING-1",
    ]
    .iter()
    .map(|text| text.parse().unwrap())
    .collect();
    let told: Vec<(String, AvailabilityBand, Option<i64>)> =
        availability(&mut shop.connection, &skus, NOW)
            .await
            .unwrap()
            .into_iter()
            .map(|told| (told.sku.to_string(), told.band, told.available))
            .collect();
    assert_eq!(
        told,
        [
            ("thing-1".to_owned(), AvailabilityBand::Low, Some(2)),
            ("service".to_owned(), AvailabilityBand::InStock, None),
            ("uncounted".to_owned(), AvailabilityBand::Out, Some(0)),
        ]
    );
}

#[tokio::test]
async fn sitemaps_list_what_is_published_once() {
    let shop = &mut Catalogue::new().await;
    assert!(
        sitemap_shards(&mut shop.connection, 10)
            .await
            .unwrap()
            .is_empty()
    );
    let shoes = shop.category("shoes", None).await;
    for (id, published_at) in [
        (7, Some(NOW)),
        (9, None),
        (10, Some(NOW)),
        (31, Some(NOW)),
        (35, Some(NOW)),
    ] {
        let name = format!("p{id}");
        let ids = shop
            .insert(&Product {
                slug: &name,
                published_at,
                ..Product::default()
            })
            .await;
        shop.execute("SET FOREIGN_KEY_CHECKS = 0", &[]).await;
        shop.execute("UPDATE product SET id = ? WHERE id = ?", &[id, ids.product])
            .await;
        shop.execute("SET FOREIGN_KEY_CHECKS = 1", &[]).await;
    }
    assert_eq!(
        sitemap_shards(&mut shop.connection, 10).await.unwrap(),
        [0, 1, 3]
    );
    let mut ids = async |shard, after, limit| -> Vec<i64> {
        let entries = sitemap_products(&mut shop.connection, shard, 10, after, limit, NOW)
            .await
            .unwrap();
        entries.into_iter().map(|entry| entry.id).collect()
    };
    assert_eq!(ids(0, 0, 100).await, [7]);
    assert_eq!(ids(1, 0, 100).await, [10]);
    assert_eq!(ids(3, 0, 1).await, [31]);
    assert_eq!(ids(3, 31, 1).await, [35]);
    assert!(ids(3, 35, 1).await.is_empty());
    let categories = sitemap_categories(&mut shop.connection, 0, 10)
        .await
        .unwrap();
    assert_eq!(
        categories.iter().map(|entry| entry.id).collect::<Vec<_>>(),
        [shoes]
    );
}
