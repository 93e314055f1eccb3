//! The languages of the storefront and every sentence it says.
//!
//! [`Messages`] has a field for each message and each language is one constant of it, so a message that is missing in a
//! language does not compile. Messages with a number in them are functions, because languages count differently.

use serde::{Deserialize, Serialize};

use super::money::group_thousands;

mod en;
mod zh_cn;

/// A language that the storefront is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Locale {
    /// English.
    #[serde(rename = "en")]
    En,
    /// Chinese as written in mainland China.
    #[serde(rename = "zh-CN")]
    ZhCn,
}

impl Locale {
    /// Every language, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::En, Self::ZhCn];

    /// The BCP 47 tag, as the `lang` attribute, `hreflang` and the database have it.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::ZhCn => "zh-CN",
        }
    }

    /// The first path segment of the language's pages: the tag in lower case.
    #[must_use]
    pub const fn segment(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::ZhCn => "zh-cn",
        }
    }

    /// The language whose pages begin with `segment`, which has one spelling.
    #[must_use]
    pub fn from_segment(segment: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|locale| locale.segment() == segment)
    }

    /// The language with this BCP 47 tag, in any case (RFC 5646, 2.1.1).
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|locale| locale.tag().eq_ignore_ascii_case(tag))
    }

    /// The name of the language in itself, for the language switch.
    #[must_use]
    pub const fn endonym(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::ZhCn => "简体中文",
        }
    }

    /// The value of `og:locale` (language_TERRITORY, as the Open Graph protocol asks).
    #[must_use]
    pub const fn open_graph(self) -> &'static str {
        match self {
            Self::En => "en_US",
            Self::ZhCn => "zh_CN",
        }
    }

    /// The catalogue of this language.
    #[must_use]
    pub const fn messages(self) -> &'static Messages {
        match self {
            Self::En => &en::MESSAGES,
            Self::ZhCn => &zh_cn::MESSAGES,
        }
    }

    /// A day as its readers write it: `3 March 2026`, `2026年3月3日`.
    #[must_use]
    pub fn format_date(self, date: time::Date) -> String {
        match self {
            Self::En => format!("{} {} {}", date.day(), date.month(), date.year()),
            Self::ZhCn => format!(
                "{}年{}月{}日",
                date.year(),
                u8::from(date.month()),
                date.day()
            ),
        }
    }

    /// A count with its thousands grouped.
    #[must_use]
    pub fn format_number(self, number: u64) -> String {
        match self {
            Self::En | Self::ZhCn => group_thousands(number),
        }
    }
}

/// Declares the catalogue once: the struct and, for the tests, the list of its plain messages by name.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident),+ ; $($(#[$counted_doc:meta])* fn $counted:ident($($argument:ty),+)),+ $(,)?) => {
        /// Every sentence of the storefront in one language. Plain messages are fields of text; messages with a number
        /// or a name in them are functions.
        #[derive(Debug)]
        pub struct Messages {
            $($(#[$doc])* pub $name: &'static str,)+
            $($(#[$counted_doc])* pub $counted: fn($($argument),+) -> String,)+
        }

        impl Messages {
            /// The plain messages with their names.
            #[cfg(test)]
            fn plain(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name)),+]
            }
        }
    };
}

messages! {
    /// Label of the link that jumps over the header.
    skip_to_content,
    /// The phone menu.
    menu,
    /// Label of the menu's landmark.
    menu_label,
    /// Label of the landmark of links at the end of a page.
    footer_label,
    /// Label of the search field.
    search_label,
    /// What the search field shows while empty.
    search_placeholder,
    /// Button that searches.
    search_button,
    /// Language switch.
    language,
    /// Currency switch.
    currency,
    /// Title of the block of the two switches above.
    language_and_currency,
    /// Link of the breadcrumbs to the home page.
    home,
    /// Label of the breadcrumbs' landmark.
    breadcrumb_label,
    /// Heading of the category tiles.
    shop_by_category,
    /// Link to all products of a section.
    view_all,
    /// Heading of the side bar.
    filters,
    /// Button that shows the side bar on a phone.
    filter_and_sort,
    /// Link that goes from the filters back to the products on a phone.
    show_products,
    /// Heading of the filters that are on.
    active_filters,
    /// Link that removes every filter.
    clear_all,
    /// Label of the sort links.
    sort_by,
    /// The order that the merchant chose.
    sort_featured,
    /// Best match first.
    sort_relevance,
    /// Latest first.
    sort_newest,
    /// Cheapest first.
    sort_price_ascending,
    /// Dearest first.
    sort_price_descending,
    /// Heading of the price range.
    price,
    /// Lower end of the price range.
    price_from,
    /// Upper end of the price range.
    price_to,
    /// Button that applies the price range.
    apply,
    /// Heading of the sub-categories.
    subcategories,
    /// Heading of a listing whose products were not counted.
    products_title,
    /// Label of the page links' landmark.
    paging_label,
    /// Next page.
    next_page,
    /// Previous page.
    previous_page,
    /// First page.
    first_page,
    /// Availability: enough.
    in_stock,
    /// Availability: few left.
    low_stock,
    /// Availability: none.
    out_of_stock,
    /// Badge of new products.
    badge_new,
    /// Badge of reduced products.
    badge_sale,
    /// What stands where a product has no picture.
    no_picture,
    /// Read before the present price of a reduced product, for screen readers.
    price_now,
    /// Read before the former price.
    price_before,
    /// Prices contain value-added tax.
    tax_included,
    /// Heading of the description.
    description,
    /// Heading of the attributes.
    details,
    /// Row with the stock keeping unit.
    sku,
    /// Row with the brand.
    brand,
    /// Heading of the tags.
    tags,
    /// Label of the gallery.
    gallery_label,
    /// Legend of the choice of a variant when it has no name of its own.
    choose_option,
    /// Field with the number of pieces.
    quantity,
    /// Button that puts a product into the cart.
    add_to_cart,
    /// The same button while what is chosen cannot be bought.
    cannot_be_bought,
    /// Link to the cart.
    cart,
    /// Link to the account, or to the page to sign in.
    account,
    /// Heading of related products.
    related,
    /// Title of the search page while nothing is searched.
    search_title,
    /// Heading of suggested searches.
    search_suggestions,
    /// Shown before a corrected query.
    did_you_mean,
    /// First line of help when nothing was found.
    no_results_help,
    /// Ways to find more.
    no_results_tip_spelling,
    /// Ways to find more.
    no_results_tip_general,
    /// Ways to find more.
    no_results_tip_filters,
    /// Heading of the categories offered when nothing was found.
    browse_categories,
    /// Heading of a category or search whose filters leave nothing.
    empty_listing_title,
    /// What to do about it.
    empty_listing_help,
    /// The sentence of the home page under its heading.
    home_text,
    /// Heading of products that staff placed first.
    our_picks,
    /// Heading of the latest products.
    new_arrivals,
    /// Heading of a category without products.
    empty_category_title,
    /// What to do about it.
    empty_category_help,
    /// 404.
    not_found_title,
    /// 404.
    not_found_text,
    /// 410.
    gone_title,
    /// 410.
    gone_text,
    /// 400.
    bad_request_title,
    /// 400.
    bad_request_text,
    /// 503.
    unavailable_title,
    /// 503.
    unavailable_text,
    /// 503, planned.
    maintenance_title,
    /// 503, planned.
    maintenance_text,
    /// 500.
    failure_title,
    /// 500.
    failure_text,
    /// Shown before the number of a request that failed.
    request_id,
    /// Link to the same page, to try again.
    try_again,
    /// Link to the home page.
    back_home
    ;
    /// Number of products.
    fn products(u64),
    /// At least this number of products; counting ended there.
    fn products_at_least(u64),
    /// Number of products beside a filter, for screen readers.
    fn facet_count(u64),
    /// The lowest price of several variants.
    fn price_starting_at(&str),
    /// The lowest price of the 30 days before a reduction (Directive 98/6/EC, article 6a).
    fn lowest_price_30_days(&str),
    /// Reduction in percent.
    fn percent_off(u64),
    /// Link to everything in a category.
    fn all_of(&str),
    /// Shows the rest of a long list of filters: how many more there are.
    fn more_values(u64),
    /// Link that removes one filter.
    fn remove_filter(&str),
    /// Heading of the results of a search.
    fn results_for(&str),
    /// Heading when a search found nothing.
    fn no_results_for(&str),
    /// A picture of a product without a text of its own: name and number.
    fn picture_of(&str, usize),
    /// More from a brand.
    fn more_from(&str),
    /// A price range that is on: both ends.
    fn price_between(&str, &str),
    /// A price range that is on: only an upper end.
    fn price_up_to(&str),
    /// A price range that is on: only a lower end.
    fn price_at_least(&str),
    /// Since when a page is as it is.
    fn updated_on(&str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_says_everything() {
        for locale in Locale::ALL {
            let messages = locale.messages();
            for (name, text) in messages.plain() {
                assert!(!text.trim().is_empty(), "{name} in {}", locale.tag());
            }
            for text in [
                (messages.products)(1_234),
                (messages.products_at_least)(1_234),
                (messages.facet_count)(1_234),
                (messages.more_values)(1_234),
            ] {
                assert!(text.contains("1,234"), "{text}");
            }
            for named in [
                messages.price_starting_at,
                messages.lowest_price_30_days,
                messages.all_of,
                messages.remove_filter,
                messages.results_for,
                messages.no_results_for,
                messages.more_from,
                messages.price_up_to,
                messages.price_at_least,
                messages.updated_on,
            ] {
                assert!(named("Tasse").contains("Tasse"));
            }
            assert!((messages.picture_of)("Tasse", 2).contains('2'));
            let between = (messages.price_between)("€1.00", "€2.00");
            assert!(between.contains("€1.00") && between.contains("€2.00"));
            assert!((messages.percent_off)(20).contains("20"));
        }
    }

    #[test]
    fn languages_differ() {
        let chinese = Locale::ZhCn.messages().plain();
        for ((name, english), (_, chinese)) in
            Locale::En.messages().plain().into_iter().zip(chinese)
        {
            // A stock keeping unit is called the same everywhere.
            if name != "sku" {
                assert_ne!(english, chinese, "{name} was not translated");
            }
        }
    }

    #[test]
    fn one_product_is_not_products() {
        let english = Locale::En.messages();
        assert_eq!((english.products)(0), "0 products");
        assert_eq!((english.products)(1), "1 product");
        assert_eq!((english.products)(2), "2 products");
        assert_eq!((Locale::ZhCn.messages().products)(1), "1 件商品");
    }

    #[test]
    fn a_segment_has_one_spelling() {
        assert_eq!(Locale::from_segment("zh-cn"), Some(Locale::ZhCn));
        assert_eq!(Locale::from_segment("zh-CN"), None);
        assert_eq!(Locale::from_segment("de"), None);
        assert_eq!(Locale::from_tag("ZH-cn"), Some(Locale::ZhCn));
    }

    #[test]
    fn days_are_written_out() {
        let day = time::Date::from_calendar_date(2026, time::Month::March, 3).unwrap();
        assert_eq!(Locale::En.format_date(day), "3 March 2026");
        assert_eq!(Locale::ZhCn.format_date(day), "2026年3月3日");
    }
}
