use panono_shop::catalog::listing::{Filters, ListingError, Start};
use panono_shop::search::{
    MysqlSearch, SearchError, SearchPage, SearchProvider, SearchQuery, Sort, SuggestionKind,
};

use super::fixture::{Catalogue, NOW, Product, counts, euro, filters, locale};

fn query(text: &str, tag: &str) -> SearchQuery {
    SearchQuery {
        text: text.to_owned(),
        currency: euro(),
        locale: locale(tag),
        filters: Filters::default(),
        sort: Sort::Relevance,
        start: Start::First,
        limit: 24,
    }
}

async fn search(shop: &mut Catalogue, query: &SearchQuery) -> Result<SearchPage, SearchError> {
    let provider = MysqlSearch::new(shop.locales.clone());
    provider.search(&mut shop.connection, query, NOW).await
}

async fn found(shop: &mut Catalogue, text: &str, tag: &str) -> Vec<String> {
    let page = search(shop, &query(text, tag)).await.unwrap();
    page.items
        .into_iter()
        .map(|card| card.slug.to_string())
        .collect()
}

async fn some_products(shop: &mut Catalogue) {
    let shoes = shop.category("Shoes", None).await;
    let hill = Product {
        slug: "hill",
        name: "Trail runner",
        description: "A light shoe for the hills, not in red",
        categories: &[shoes],
        attributes: &[("colour", "blue")],
        brand: Some("Sholto"),
        price: 9000,
        ..Product::default()
    };
    let hill = shop.product(&hill).await;
    let red = Product {
        slug: "red",
        name: "Red shoe",
        description: "For every day",
        categories: &[shoes],
        attributes: &[("colour", "red")],
        price: 5000,
        ..Product::default()
    };
    let red = shop.product(&red).await;
    shop.product(&Product {
        slug: "tv",
        name: "4K TV by The Who",
        price: 50_000,
        ..Product::default()
    })
    .await;
    shop.product(&Product {
        slug: "secret",
        name: "Red shoe of next year",
        published_at: None,
        ..Product::default()
    })
    .await;
    shop.translate(hill.product, "zh", "越野跑鞋", "iPad 不包括在内")
        .await;
    shop.translate(red.product, "zh", "红色鞋子", "每天穿")
        .await;
    shop.translate(red.product, "de", "Roter Schuh", "Für jeden Tag")
        .await;
    shop.reindex(&[hill.product, red.product]).await;
}

#[tokio::test]
async fn products_are_found_by_their_words_best_first() {
    let shop = &mut Catalogue::new().await;
    some_products(shop).await;
    assert_eq!(
        found(shop, "shoe red", "en").await,
        ["red", "hill"],
        "a word in the title counts more"
    );
    assert_eq!(
        found(shop, "SHOE ru", "en").await,
        ["hill"],
        "the last word may not be finished"
    );
    assert_eq!(found(shop, "sholto", "en").await, ["hill"], "by brand");
    assert_eq!(
        found(shop, "blue", "en").await,
        ["hill"],
        "by the value of an attribute"
    );
    assert_eq!(found(shop, "tv-1", "en").await, ["tv"], "by SKU");
    for text in ["tv", "4k", "the who", "The"] {
        assert!(
            found(shop, text, "en").await.contains(&"tv".to_owned()),
            "{text}: short words and stop words count"
        );
    }
    assert_eq!(
        found(shop, "ｒｅｄ　ｓｈｏｅ", "en").await,
        ["red", "hill"],
        "wide letters are letters"
    );
    assert!(
        found(shop, "shoe tv", "en").await.is_empty(),
        "all words are wanted"
    );
    assert!(
        found(shop, "next year", "en").await.is_empty(),
        "what is not published is not found"
    );

    // Each language by its own words; where there are none, by those of the default one.
    assert_eq!(found(shop, "roter schuh", "de").await, ["red"]);
    assert!(found(shop, "schuh", "en").await.is_empty());
    assert_eq!(found(shop, "runner", "de").await, ["hill"]);

    // No price in yen.
    let yen = SearchQuery {
        currency: "JPY".parse().unwrap(),
        ..query("shoe", "en")
    };
    assert!(search(shop, &yen).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn chinese_is_found_without_spaces() {
    let shop = &mut Catalogue::new().await;
    some_products(shop).await;
    assert_eq!(found(shop, "跑鞋", "zh").await, ["hill"]);
    assert_eq!(found(shop, "红色", "zh").await, ["red"]);
    assert_eq!(found(shop, "红", "zh").await, ["red"]);
    assert_eq!(found(shop, "iPad", "zh").await, ["hill"]);
    assert_eq!(found(shop, "ipad 越野", "zh").await, ["hill"]);
    assert_eq!(
        found(shop, "红色", "en").await,
        ["red"],
        "typed in the English shop, too"
    );
    assert_eq!(
        found(shop, "4k", "zh").await,
        ["tv"],
        "what is not translated is found in the default language"
    );
    let page = search(shop, &query("红色", "en")).await.unwrap();
    assert_eq!(page.items[0].name, "Red shoe");
}

#[tokio::test]
async fn what_was_found_can_be_filtered_and_paged() {
    let shop = &mut Catalogue::new().await;
    some_products(shop).await;
    let page = search(shop, &query("shoe", "en")).await.unwrap();
    assert_eq!((page.total.count, page.total.more), (2, false));
    assert_eq!(counts(&page.facets, "colour"), [("blue", 1), ("red", 1)]);
    let bounds = page.price_bounds.unwrap();
    assert_eq!((bounds.0.minor, bounds.1.minor), (5000, 9000));

    let blue = SearchQuery {
        filters: filters(&[("colour", &["blue"])]),
        ..query("shoe", "en")
    };
    let page = search(shop, &blue).await.unwrap();
    assert_eq!((page.items.len(), page.items[0].slug.as_str()), (1, "hill"));
    assert_eq!(counts(&page.facets, "colour"), [("blue", 1), ("red", 1)]);
    assert_eq!(counts(&page.facets, "brand"), [("Sholto", 1)]);
    let cheap = SearchQuery {
        filters: Filters {
            price_max: Some(6000),
            ..Filters::default()
        },
        ..query("shoe", "en")
    };
    assert_eq!(
        search(shop, &cheap).await.unwrap().items[0].slug.as_str(),
        "red"
    );

    let mut one = SearchQuery {
        limit: 1,
        ..query("shoe", "en")
    };
    let first = search(shop, &one).await.unwrap();
    assert_eq!(first.previous, None);
    one.start = Start::After(first.next.unwrap());
    let second = search(shop, &one).await.unwrap();
    assert_eq!(
        (first.items[0].slug.as_str(), second.items[0].slug.as_str()),
        ("red", "hill")
    );
    assert_eq!(second.next, None);
    one.start = Start::Before(second.previous.unwrap());
    assert_eq!(
        search(shop, &one).await.unwrap().items[0].slug.as_str(),
        "red"
    );
    one.text = "runner".to_owned();
    let refused = search(shop, &one).await.unwrap_err();
    assert!(
        matches!(refused, SearchError::Listing(ListingError::ForeignCursor)),
        "{refused}"
    );
}

#[tokio::test]
async fn hostile_input_finds_nothing_and_breaks_nothing() {
    let shop = &mut Catalogue::new().await;
    some_products(shop).await;
    let provider = MysqlSearch::new(shop.locales.clone());
    for text in [
        "+",
        "*",
        "\"",
        "((((",
        "a* b* c*",
        "-red",
        "+-shoe",
        "shoe)",
        "\"shoe",
        "@5 shoe",
        "shoe' OR 1=1 --",
        "%",
        "_",
        "\\",
        "shoe\u{0}",
        "\u{202e}shoe",
        "🙂",
        "a",
        "红*",
        "\"红",
        "ไ",
        "e\u{301}\u{301}\u{301}",
        "ﷺ",
    ] {
        for tag in ["en", "de", "zh"] {
            match search(shop, &query(text, tag)).await {
                Ok(_) | Err(SearchError::Empty) => {}
                Err(error) => panic!("{text:?} in {tag}: {error:?}"),
            }
            provider
                .suggest(&mut shop.connection, text, euro(), &locale(tag))
                .await
                .unwrap();
        }
    }
    assert_eq!(
        found(shop, "-red", "en").await,
        ["red", "hill"],
        "an operator is no operator"
    );
    assert!(matches!(
        search(shop, &query(" \n ", "en")).await,
        Err(SearchError::Empty)
    ));
    assert!(matches!(
        search(shop, &query(&"a".repeat(101), "en")).await,
        Err(SearchError::TooLong)
    ));
}

#[tokio::test]
async fn suggestions_complete_what_is_typed() {
    let shop = &mut Catalogue::new().await;
    some_products(shop).await;
    let provider = MysqlSearch::new(shop.locales.clone());
    let mut suggested = async |text: &str, tag: &str| -> Vec<(SuggestionKind, String)> {
        let suggestions = provider
            .suggest(&mut shop.connection, text, euro(), &locale(tag))
            .await
            .unwrap();
        suggestions
            .into_iter()
            .map(|suggestion| (suggestion.kind, suggestion.text))
            .collect()
    };
    assert_eq!(
        suggested("sho", "en").await,
        [
            (SuggestionKind::Category, "Shoes".to_owned()),
            (SuggestionKind::Brand, "Sholto".to_owned()),
            (SuggestionKind::Product, "Red shoe".to_owned()),
        ]
    );
    assert_eq!(
        suggested("rot", "de").await,
        [(SuggestionKind::Product, "Roter Schuh".to_owned())]
    );
    assert_eq!(
        suggested("跑", "zh").await,
        [(SuggestionKind::Product, "越野跑鞋".to_owned())]
    );
    assert!(suggested("%", "en").await.is_empty());
    assert!(suggested("", "en").await.is_empty());
    assert!(suggested(&"x".repeat(500), "en").await.is_empty());
}
