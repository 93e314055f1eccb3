//! The sentences of a domain's private pages, in every language.

/// Declares the sentences of a domain: a struct, and one constant of it for each language.
///
/// ```ignore
/// texts! {
///     /// Sentences of the account pages.
///     AccountTexts {
///         login_title: "Sign in" => "登录",
///     }
///     {
///         fn greeting(&str): |name| format!("Hello, {name}") => |name| format!("你好，{name}"),
///     }
/// }
/// let texts = AccountTexts::of(place.locale);
/// ```
macro_rules! texts {
    ($(#[$doc:meta])* $name:ident {
        $($field:ident: $english:literal => $chinese:literal,)*
    } $({
        $(fn $function:ident($($argument:ty),+): $in_english:expr => $in_chinese:expr,)*
    })?) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name {
            $(pub(crate) $field: &'static str,)*
            $($(pub(crate) $function: fn($($argument),+) -> String,)*)?
        }

        impl $name {
            /// The sentences in one language.
            pub(crate) const fn of(locale: $crate::storefront::i18n::Locale) -> &'static Self {
                const ENGLISH: $name = $name {
                    $($field: $english,)*
                    $($($function: $in_english,)*)?
                };
                const CHINESE: $name = $name {
                    $($field: $chinese,)*
                    $($($function: $in_chinese,)*)?
                };
                match locale {
                    $crate::storefront::i18n::Locale::En => &ENGLISH,
                    $crate::storefront::i18n::Locale::ZhCn => &CHINESE,
                }
            }
        }
    };
}

pub(crate) use texts;
