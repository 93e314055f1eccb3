//! What is written is read back, and every other spelling leads there.

use proptest::prelude::*;

use super::*;

const OFFERED: &[Currency] = &[Currency::EUR, Currency::USD, Currency::JPY];
const CATEGORY: ListingRules<'_> = ListingRules {
    page: ListingPage::Category,
    currencies: OFFERED,
    default_currency: Currency::EUR,
};
const SEARCH: ListingRules<'_> = ListingRules {
    page: ListingPage::Search,
    ..CATEGORY
};

fn redirect(query: &str, rules: ListingRules<'_>) -> String {
    match ListingQuery::parse(query, rules).unwrap() {
        Parsed::Canonical(_) => query.to_owned(),
        Parsed::Redirect(parsed) => parsed.to_query(rules.page, rules.default_currency),
    }
}

#[test]
fn every_spelling_leads_to_one_address() {
    let table = [
        ("", ""),
        ("f.color=blue,red", "f.color=blue,red"),
        // Order of parameters and of values, repetition, form fields left empty.
        ("sort=newest&f.color=blue", "f.color=blue&sort=newest"),
        ("f.color=red,blue", "f.color=blue,red"),
        ("f.color=red&f.color=blue&f.color=red", "f.color=blue,red"),
        ("f.color=&max_price=&min_price=&sort=&after=", ""),
        ("f.color=,,", ""),
        // Unknown parameters, and the parameter of another page.
        ("utm_source=mail&gclid=1&q=mug", ""),
        ("f.=x&f.%3Cb%3E=x", ""),
        // Defaults.
        ("sort=featured&currency=EUR", ""),
        ("sort=newest&sort=price_asc", "sort=price_asc"),
        // Prices.
        (
            "min_price=019.9&max_price=20.00",
            "max_price=20&min_price=19.90",
        ),
        ("min_price=500&currency=JPY", "currency=JPY&min_price=500"),
        // Encodings of one text.
        ("f.size=10%20cm", "f.size=10+cm"),
        ("f.size=10+cm", "f.size=10+cm"),
        ("f.size=%31%30", "f.size=10"),
        ("f.name=a%2Cb", "f.name=a%2Cb"),
        ("f%2Ecolor=blue", "f.color=blue"),
        ("f.farbe=gr%c3%bcn", "f.farbe=gr%C3%BCn"),
        ("&&f.color=blue&", "f.color=blue"),
        // The edge sorts whole parameters: a dash and digits come before the equals sign.
        (
            "f.color=red&f.color-family=warm&f.size=1&f.size2=2",
            "f.color-family=warm&f.color=red&f.size2=2&f.size=1",
        ),
    ];
    for (given, expected) in table {
        assert_eq!(redirect(given, CATEGORY), expected, "{given}");
    }
    assert_eq!(redirect("q=++stone+++mug+", SEARCH), "q=stone+mug");
    assert_eq!(
        redirect("sort=relevance&q=mug&f.color=red", SEARCH),
        "f.color=red&q=mug"
    );
}

#[test]
fn bad_values_are_all_named() {
    let query = "min_price=cheap&max_price=1.234&sort=best&currency=XYZ&after=%00&before=<>";
    let problems = ListingQuery::parse(query, CATEGORY).unwrap_err();
    let mut texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.sort();
    assert_eq!(
        texts,
        [
            "`after` must be plain text in UTF-8",
            "`before` must be taken from a link of the listing",
            "`currency` must be one of EUR, USD, JPY",
            "`max_price` must not have more than 2 decimals",
            "`min_price` must be a number such as 20 or 19.90",
            "`sort` must be one of featured, newest, price_asc, price_desc",
        ]
    );
}

#[test]
fn contradictions_and_excess_are_refused() {
    for query in ["after=a&before=b", "min_price=20&max_price=10"] {
        assert!(ListingQuery::parse(query, CATEGORY).is_err(), "{query}");
    }
    let many_values: Vec<String> = (0..=MAX_VALUES).map(|number| number.to_string()).collect();
    assert!(ListingQuery::parse(&format!("f.a={}", many_values.join(",")), CATEGORY).is_err());
    let many_attributes: Vec<String> = (0..=MAX_FILTERED_ATTRIBUTES)
        .map(|number| format!("f.a{number}=1"))
        .collect();
    assert!(ListingQuery::parse(&many_attributes.join("&"), CATEGORY).is_err());
    assert!(
        ListingQuery::parse(
            &format!("f.a={}", "x".repeat(MAX_VALUE_CHARACTERS + 1)),
            CATEGORY
        )
        .is_err()
    );
    assert!(
        ListingQuery::parse(
            &format!("q={}", "x".repeat(MAX_SEARCH_CHARACTERS + 1)),
            SEARCH
        )
        .is_err()
    );
}

#[test]
fn a_change_of_the_listing_begins_at_its_beginning() {
    let Parsed::Canonical(query) =
        ListingQuery::parse("after=abc&f.color=blue&max_price=20&sort=newest", CATEGORY).unwrap()
    else {
        panic!("is canonical")
    };
    let text = |query: &ListingQuery| query.to_query(ListingPage::Category, Currency::EUR);
    assert_eq!(
        text(&query.toggled("color", "red")),
        "f.color=blue,red&max_price=20&sort=newest"
    );
    assert_eq!(
        text(&query.toggled("color", "blue")),
        "max_price=20&sort=newest"
    );
    assert_eq!(text(&query.without_filters()), "sort=newest");
    assert_eq!(
        text(&query.sorted_by(ListingPage::Category, Sort::Featured)),
        "f.color=blue&max_price=20"
    );
    assert_eq!(
        text(&query.in_currency(Currency::USD)),
        "currency=USD&f.color=blue&sort=newest"
    );
    assert_eq!(text(&query.in_currency(Currency::EUR)), text(&query));
    assert_eq!(
        text(&query.at(Cursor::Before("x".to_owned()))),
        "before=x&f.color=blue&max_price=20&sort=newest"
    );
}

fn any_query(page: ListingPage) -> impl Strategy<Value = ListingQuery> {
    let values = prop::collection::btree_set("[^\\p{Cc}\\s]([^\\p{Cc}]{0,10}[^\\p{Cc}\\s])?", 1..4);
    let filters = prop::collection::btree_map("[a-z][a-z0-9_.-]{0,10}", values, 0..4);
    let cursor = prop::option::of(("[A-Za-z0-9_-]{1,20}", any::<bool>()).prop_map(
        |(place, forward)| {
            if forward {
                Cursor::After(place)
            } else {
                Cursor::Before(place)
            }
        },
    ));
    let sort = prop::sample::select(page.sorts().to_vec());
    let search = prop::option::of("[^\\p{Cc}\\s]{1,8}( [^\\p{Cc}\\s]{1,8}){0,2}");
    let currency = prop::sample::select(OFFERED.to_vec());
    let prices = (
        prop::option::of(0..10_000_i64),
        prop::option::of(10_000..99_999_i64),
    );
    (filters, cursor, sort, search, currency, prices).prop_map(
        move |(filters, cursor, sort, search, currency, (low, high))| ListingQuery {
            search: search.filter(|_| page == ListingPage::Search),
            filters,
            min_price: low.map(|amount| Money::new(amount, currency)),
            max_price: high.map(|amount| Money::new(amount, currency)),
            sort: (sort != page.default_sort()).then_some(sort),
            cursor,
            currency,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(query in any_query(ListingPage::Search)) {
        let text = query.to_query(ListingPage::Search, Currency::EUR);
        prop_assume!(text.len() <= 2_048);
        prop_assert_eq!(ListingQuery::parse(&text, SEARCH), Ok(Parsed::Canonical(query)));
    }

    #[test]
    fn a_canonical_query_stays_as_it_is_when_an_edge_sorts_it(query in any_query(ListingPage::Search)) {
        let text = query.to_query(ListingPage::Search, Currency::EUR);
        let mut sorted: Vec<&str> = text.split('&').collect();
        sorted.sort_unstable();
        prop_assert_eq!(sorted.join("&"), text);
    }

    #[test]
    fn a_redirect_leads_to_an_address_that_is_not_redirected(
        text in "((after|before|currency|f\\.[a-z]{1,3}|max_price|min_price|q|sort|[a-z]{1,3})=[a-zA-Z0-9%+,. =é]{0,8}&?){0,6}"
    ) {
        if let Ok(Parsed::Redirect(query)) = ListingQuery::parse(&text, CATEGORY) {
            let target = query.to_query(ListingPage::Category, Currency::EUR);
            prop_assert_eq!(ListingQuery::parse(&target, CATEGORY), Ok(Parsed::Canonical(query)));
        }
    }

    #[test]
    fn no_text_breaks_the_reader(text in any::<String>()) {
        if let Ok(Parsed::Redirect(query)) = ListingQuery::parse(&text, SEARCH) {
            let target = query.to_query(ListingPage::Search, Currency::EUR);
            if target.len() <= 2_048 {
                prop_assert_eq!(ListingQuery::parse(&target, SEARCH), Ok(Parsed::Canonical(query)));
            }
        }
    }
}
