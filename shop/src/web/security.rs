//! Header fields that protect pages. The same for every visitor, so pages that carry them can be cached.

/// Fields of every HTML page.
pub const PAGE_HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        crate::storefront::seo::CONTENT_SECURITY_POLICY,
    ),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=()",
    ),
];
