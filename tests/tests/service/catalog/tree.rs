use panono_shop::catalog::category::Lookup;
use panono_shop::catalog::index::recount_due_categories;
use panono_shop::catalog::store_category::{category_by_slug, navigation};
use panono_shop::catalog::tree::{
    MAX_DEPTH, PlaceCategoryError, place_category, products_below, rebuild_closure,
};

use super::fixture::{Catalogue, Product, listing, locale, slug, slugs};

type Closure = Vec<(i64, i64, i32)>;

async fn closure(shop: &mut Catalogue) -> Closure {
    sqlx::query_as("SELECT ancestor_id, descendant_id, depth FROM category_closure ORDER BY 1, 2")
        .fetch_all(&mut shop.connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_tree_of_categories_is_kept_consistent() {
    let shop = &mut Catalogue::new().await;
    let men = shop.category("men", None).await;
    let shoes = shop.category("shoes", Some(men)).await;
    let boots = shop.category("boots", Some(shoes)).await;
    let sale = shop.category("sale", None).await;

    // A circle is refused, also the smallest one, and nothing changes.
    let before = closure(shop).await;
    for parent in [men, shoes, boots] {
        let refused = place_category(&mut shop.connection, men, Some(parent))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, PlaceCategoryError::Cycle { .. }),
            "{refused}"
        );
    }
    let refused = place_category(&mut shop.connection, men, Some(999_999))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, PlaceCategoryError::UnknownParent(999_999)),
        "{refused}"
    );
    let refused = place_category(&mut shop.connection, 999_999, None)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, PlaceCategoryError::UnknownCategory(999_999)),
        "{refused}"
    );
    assert!(
        !place_category(&mut shop.connection, shoes, Some(men))
            .await
            .unwrap()
    );
    assert_eq!(closure(shop).await, before);

    // A product follows its category to where that moves.
    let boot = shop
        .product(&Product {
            slug: "boot",
            categories: &[boots],
            ..Product::default()
        })
        .await;
    assert_eq!(slugs(&shop.list(&listing(men)).await), ["boot"]);
    assert!(
        place_category(&mut shop.connection, shoes, Some(sale))
            .await
            .unwrap()
    );
    let below = products_below(&mut shop.connection, shoes, 0, 10)
        .await
        .unwrap();
    assert_eq!(below, [boot.product]);
    let reindexed = shop.reindex(&below).await;
    assert_eq!(
        (reindexed.gained, reindexed.lost),
        ([sale].into(), [men].into())
    );
    assert!(shop.list(&listing(men)).await.items.is_empty());
    assert_eq!(slugs(&shop.list(&listing(sale)).await), ["boot"]);
    assert_eq!(closure(shop).await, {
        let mut all = vec![
            (men, men, 0),
            (shoes, shoes, 0),
            (shoes, boots, 1),
            (boots, boots, 0),
            (sale, sale, 0),
            (sale, shoes, 1),
            (sale, boots, 2),
        ];
        all.sort_unstable();
        all
    });

    // A table that was damaged is derived anew from the parents; one that was not is left alone.
    let good = closure(shop).await;
    assert_eq!(rebuild_closure(&mut shop.connection).await.unwrap(), 0);
    shop.execute("DELETE FROM category_closure WHERE depth = 2", &[])
        .await;
    shop.execute(
        "UPDATE category_closure SET depth = 7 WHERE depth = 1 AND ancestor_id = ?",
        &[sale],
    )
    .await;
    shop.execute(
        "INSERT INTO category_closure VALUES (?, ?, 1)",
        &[men, sale],
    )
    .await;
    assert!(rebuild_closure(&mut shop.connection).await.unwrap() > 0);
    assert_eq!(closure(shop).await, good);

    // There is a last level.
    let mut deepest = boots;
    for level in 4..=MAX_DEPTH {
        deepest = shop
            .category(&format!("level-{level}"), Some(deepest))
            .await;
    }
    let beyond = shop
        .execute("INSERT INTO category (slug) VALUES ('beyond')", &[])
        .await;
    let refused = place_category(&mut shop.connection, beyond, Some(deepest))
        .await
        .unwrap_err();
    assert!(matches!(refused, PlaceCategoryError::TooDeep), "{refused}");
    let refused = place_category(&mut shop.connection, sale, Some(men))
        .await
        .unwrap_err();
    assert!(matches!(refused, PlaceCategoryError::TooDeep), "{refused}");
}

#[tokio::test]
async fn categories_are_found_named_and_counted() {
    let shop = &mut Catalogue::new().await;
    let men = shop.category("men", None).await;
    let shoes = shop.category("shoes", Some(men)).await;
    let hats = shop.category("hats", Some(men)).await;
    shop.execute("UPDATE category SET position = 1 WHERE id = ?", &[shoes])
        .await;
    shop.execute(
        "INSERT INTO category_translation (category_id, locale, name, description) VALUES (?, 'de', 'Schuhe', 'Für Füße')",
        &[shoes],
    )
    .await;
    shop.product(&Product {
        slug: "boot",
        categories: &[shoes],
        ..Product::default()
    })
    .await;
    let changed = recount_due_categories(&mut shop.connection, 20_000, 100)
        .await
        .unwrap();
    assert_eq!(changed, [men, shoes].into());
    assert!(
        recount_due_categories(&mut shop.connection, 20_000, 100)
            .await
            .unwrap()
            .is_empty()
    );

    let (german, english) = (locale("de"), locale("en"));
    let tree = navigation(&mut shop.connection, &german, &english, 3)
        .await
        .unwrap();
    assert_eq!(
        (
            tree.len(),
            tree[0].category.name.as_str(),
            tree[0].category.product_count
        ),
        (1, "men", 1)
    );
    let names: Vec<&str> = tree[0]
        .children
        .iter()
        .map(|node| node.category.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["hats", "Schuhe"],
        "in the order of positions, with names in German where there are some"
    );
    assert!(
        navigation(&mut shop.connection, &german, &english, 1)
            .await
            .unwrap()[0]
            .children
            .is_empty()
    );

    let found = category_by_slug(&mut shop.connection, &slug("shoes"), &german, &english)
        .await
        .unwrap()
        .found;
    let Lookup::Found(page) = found else {
        panic!("{found:?}")
    };
    assert_eq!(
        (page.category.name.as_str(), page.description.as_str()),
        ("Schuhe", "Für Füße")
    );
    assert_eq!(
        page.breadcrumbs
            .iter()
            .map(|link| link.id)
            .collect::<Vec<_>>(),
        [men]
    );
    let found = category_by_slug(&mut shop.connection, &slug("men"), &german, &english)
        .await
        .unwrap()
        .found;
    let Lookup::Found(page) = found else {
        panic!("{found:?}")
    };
    assert_eq!(
        page.children.iter().map(|link| link.id).collect::<Vec<_>>(),
        [hats, shoes]
    );

    // An address that was, one that is no more, one below what is hidden, and one that never was.
    shop.execute(
        "INSERT INTO slug_redirect (kind, slug, target_id) VALUES ('category', 'footwear', ?)",
        &[shoes],
    )
    .await;
    let mut found = async |text: &str| {
        category_by_slug(&mut shop.connection, &slug(text), &german, &english)
            .await
            .unwrap()
            .found
    };
    assert_eq!(found("footwear").await, Lookup::Moved(slug("shoes")));
    assert_eq!(found("nothing").await, Lookup::NotFound(None));
    shop.execute(
        "UPDATE category SET status = 'archived' WHERE id = ?",
        &[hats],
    )
    .await;
    shop.execute("UPDATE category SET status = 'draft' WHERE id = ?", &[men])
        .await;
    let mut found = async |text: &str| {
        category_by_slug(&mut shop.connection, &slug(text), &german, &english)
            .await
            .unwrap()
            .found
    };
    assert_eq!(found("hats").await, Lookup::Gone(hats));
    assert_eq!(found("men").await, Lookup::NotFound(Some(men)));
    assert_eq!(found("shoes").await, Lookup::NotFound(Some(shoes)));
}
