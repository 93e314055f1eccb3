use panono_shop::catalog::index::WHOLE_CATALOGUE;
use panono_shop::catalog::listing::{Filters, ListingError, ListingQuery, Sort, Start, Total};
use panono_shop::catalog::model::Money;

use super::fixture::{
    Catalogue, NOW, Product, counts, days, euro, filters, listing, locale, slugs,
};

/// Nine products in one category: many with the same price, position and date.
async fn nine(shop: &mut Catalogue) -> i64 {
    let shoes = shop.category("shoes", None).await;
    let colours = ["red", "green", "blue"];
    for number in 0..9usize {
        let slug = format!("p{number}");
        let size = if number < 6 { "small" } else { "large" };
        shop.product(&Product {
            slug: &slug,
            name: &slug,
            categories: &[shoes],
            price: [500, 500, 300][number % 3],
            position: [1, 0, 0][number % 3],
            stock: i64::try_from(number % 2).unwrap() * 50,
            published_at: Some(NOW - days([1, 2, 2][number % 3])),
            attributes: &[("colour", colours[number % 3]), ("size", size)],
            ..Product::default()
        })
        .await;
    }
    shoes
}

/// All slugs, page by page to the end, and then back to the beginning.
async fn walk(shop: &mut Catalogue, mut query: ListingQuery) -> (Vec<String>, Vec<String>) {
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    query.start = Start::First;
    let mut page = shop.list(&query).await;
    assert_eq!(page.previous, None, "nothing is before the first page");
    for _ in 0..20 {
        forward.extend(slugs(&page).into_iter().map(str::to_owned));
        let Some(next) = page.next.clone() else { break };
        query.start = Start::After(next);
        page = shop.list(&query).await;
    }
    let mut pages = vec![
        slugs(&page)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    for _ in 0..20 {
        let Some(previous) = page.previous.clone() else {
            break;
        };
        query.start = Start::Before(previous);
        page = shop.list(&query).await;
        pages.push(slugs(&page).into_iter().map(str::to_owned).collect());
    }
    pages.reverse();
    backward.extend(pages.into_iter().flatten());
    (forward, backward)
}

#[tokio::test]
async fn pages_follow_each_other_in_every_order_and_back() {
    let shop = &mut Catalogue::new().await;
    let shoes = nine(shop).await;
    let orders = [
        (
            Sort::Position,
            ["p1", "p2", "p4", "p5", "p7", "p8", "p0", "p3", "p6"],
        ),
        (
            Sort::Newest,
            ["p6", "p3", "p0", "p8", "p7", "p5", "p4", "p2", "p1"],
        ),
        (
            Sort::PriceAscending,
            ["p2", "p5", "p8", "p0", "p1", "p3", "p4", "p6", "p7"],
        ),
        (
            Sort::PriceDescending,
            ["p7", "p6", "p4", "p3", "p1", "p0", "p8", "p5", "p2"],
        ),
    ];
    for (sort, expected) in orders {
        for category in [shoes, WHOLE_CATALOGUE] {
            if category == WHOLE_CATALOGUE && sort == Sort::Position {
                continue; // the whole catalogue has no places but those of featured products
            }
            for limit in [1, 2, 4, 9, 100] {
                let query = ListingQuery {
                    sort,
                    limit,
                    ..listing(category)
                };
                let (forward, backward) = walk(shop, query).await;
                assert_eq!(forward, expected, "{sort:?} by {limit}");
                assert_eq!(backward, expected, "{sort:?} by {limit}, backwards");
            }
        }
        // The same under filters, which find their products in another way.
        let two = filters(&[("colour", &["red", "blue"])]);
        let priced = Filters {
            price_min: Some(400),
            ..Filters::default()
        };
        let stocked = Filters {
            in_stock_only: true,
            ..Filters::default()
        };
        let number = |slug: &str| slug[1..].parse::<usize>().unwrap();
        type Passes = fn(usize) -> bool;
        let passes: [(Filters, Passes); 3] = [
            (two, |number| number % 3 != 1),
            (priced, |number| number % 3 != 2),
            (stocked, |number| number % 2 == 1),
        ];
        for (filters, passes) in passes {
            let query = ListingQuery {
                sort,
                filters: filters.clone(),
                ..listing(shoes)
            };
            let wanted: Vec<&str> = expected
                .into_iter()
                .filter(|slug| passes(number(slug)))
                .collect();
            let (forward, backward) = walk(shop, query).await;
            assert_eq!(
                (&forward, &backward),
                (
                    &wanted.iter().map(|slug| (*slug).to_owned()).collect(),
                    &forward
                ),
                "{sort:?} {filters:?}"
            );
        }
    }
}

#[tokio::test]
async fn facets_total_and_bounds_tell_what_choosing_would_show() {
    let shop = &mut Catalogue::new().await;
    let shoes = nine(shop).await;
    let plain = shop.list(&listing(shoes)).await;
    assert_eq!(
        plain.total,
        Total {
            count: 9,
            more: false
        }
    );
    assert_eq!(
        counts(&plain.facets, "colour"),
        [("blue", 3), ("green", 3), ("red", 3)]
    );
    assert_eq!(counts(&plain.facets, "size"), [("large", 3), ("small", 6)]);
    assert_eq!(
        plain.price_bounds,
        Some((Money::new(300, euro()), Money::new(500, euro())))
    );
    assert!(plain.facets_exact);

    // One attribute: its own counts are as before, the other ones are restricted.
    let mut query = ListingQuery {
        filters: filters(&[("colour", &["red"])]),
        ..listing(shoes)
    };
    let red = shop.list(&query).await;
    assert_eq!(red.total.count, 3);
    assert_eq!(
        counts(&red.facets, "colour"),
        [("blue", 3), ("green", 3), ("red", 3)]
    );
    assert_eq!(counts(&red.facets, "size"), [("large", 1), ("small", 2)]);

    // Two attributes, each restricting the other one only.
    query.filters = filters(&[("colour", &["red", "blue"]), ("size", &["large"])]);
    let both = shop.list(&query).await;
    assert_eq!(both.total.count, 2);
    assert_eq!(
        counts(&both.facets, "colour"),
        [("blue", 1), ("green", 1), ("red", 1)]
    );
    assert_eq!(counts(&both.facets, "size"), [("large", 2), ("small", 4)]);

    // A price restricts all counts, but not the bounds.
    query.filters = Filters {
        price_max: Some(400),
        ..filters(&[("size", &["large"])])
    };
    let cheap = shop.list(&query).await;
    assert_eq!(slugs(&cheap), ["p8"]);
    assert_eq!(counts(&cheap.facets, "size"), [("large", 1), ("small", 2)]);
    assert_eq!(counts(&cheap.facets, "colour"), [("blue", 1)]);
    assert_eq!(cheap.price_bounds, plain.price_bounds);

    // What nothing has is shown as chosen; what does not exist matches nothing.
    query.filters = filters(&[("colour", &["red"]), ("size", &["huge"])]);
    let none = shop.list(&query).await;
    assert_eq!(
        (none.total.count, none.items.len(), none.next.is_none()),
        (0, 0, true)
    );
    shop.attribute_value("size", "huge").await;
    let none = shop.list(&query).await;
    assert!(counts(&none.facets, "size").contains(&("huge", 0)));
    query.filters = filters(&[("shape", &["round"])]);
    assert_eq!(shop.list(&query).await.total.count, 0);

    // Another currency has no products here.
    let yen = ListingQuery {
        currency: "JPY".parse().unwrap(),
        ..listing(shoes)
    };
    let empty = shop.list(&yen).await;
    assert_eq!((empty.total.count, empty.price_bounds), (0, None));
}

#[tokio::test]
async fn names_fall_back_and_foreign_cursors_are_refused() {
    let shop = &mut Catalogue::new().await;
    let one = shop
        .product(&Product {
            slug: "one",
            name: "One",
            attributes: &[("colour", "red")],
            ..Product::default()
        })
        .await;
    shop.product(&Product {
        slug: "two",
        name: "Two",
        ..Product::default()
    })
    .await;
    shop.product(&Product {
        slug: "three",
        name: "Three",
        ..Product::default()
    })
    .await;
    shop.translate(one.product, "de", "Eins", "").await;
    shop.execute(
        "INSERT INTO label_translation VALUES ('de', 'red', 'rot'), ('de', 'colour', 'Farbe')",
        &[],
    )
    .await;
    let german = ListingQuery {
        locale: locale("de"),
        ..listing(0)
    };
    let page = shop.list(&german).await;
    assert_eq!(
        page.items
            .iter()
            .map(|card| card.name.as_str())
            .collect::<Vec<_>>(),
        ["Eins", "Two"]
    );
    let colour = &page.facets[0];
    assert_eq!(
        (
            colour.name.as_str(),
            colour.values[0].label.as_str(),
            colour.values[0].value.as_str()
        ),
        ("Farbe", "rot", "red")
    );

    let cursor = page.next.unwrap();
    let elsewhere = ListingQuery {
        sort: Sort::PriceAscending,
        start: Start::After(cursor.clone()),
        ..listing(0)
    };
    let refused = shop.try_list(&elsewhere).await.unwrap_err();
    assert!(matches!(refused, ListingError::ForeignCursor), "{refused}");
    // In another language the same products follow.
    let english = ListingQuery {
        start: Start::After(cursor),
        ..listing(0)
    };
    assert_eq!(slugs(&shop.list(&english).await), ["three"]);
}

#[tokio::test]
async fn a_listing_is_valid_until_something_in_it_changes() {
    let shop = &mut Catalogue::new().await;
    let shoes = shop.category("shoes", None).await;
    let hats = shop.category("hats", None).await;
    let shoe = shop
        .insert(&Product {
            slug: "shoe",
            categories: &[shoes],
            ..Product::default()
        })
        .await;
    shop.reindex(&[shoe.product]).await;
    assert_eq!(shop.list(&listing(shoes)).await.valid_until, None);
    // A hat that comes tomorrow does not concern the shoes, but the whole catalogue.
    shop.product(&Product {
        slug: "hat",
        categories: &[hats],
        published_at: Some(NOW + days(1)),
        ..Product::default()
    })
    .await;
    assert_eq!(shop.list(&listing(shoes)).await.valid_until, None);
    assert_eq!(
        shop.list(&listing(WHOLE_CATALOGUE)).await.valid_until,
        Some(NOW + days(1))
    );
    shop.product(&Product {
        slug: "boot",
        categories: &[shoes],
        unpublished_at: Some(NOW + days(9)),
        ..Product::default()
    })
    .await;
    assert_eq!(
        shop.list(&listing(shoes)).await.valid_until,
        Some(NOW + days(9))
    );
    shop.price(shoe.variant, 500, NOW + days(2), None).await;
    assert_eq!(
        shop.list(&listing(shoes)).await.valid_until,
        Some(NOW + days(2))
    );
}
