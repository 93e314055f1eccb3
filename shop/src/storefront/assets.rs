//! The storefront's style, script and icon, carried in the program itself.
//!
//! The address of each holds a hash of its content, so that it can be cached for ever and a new release has new addresses.

use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64;

/// A file of the storefront.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    name: &'static str,
    extension: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its content.
    pub content: &'static str,
    hash: u64,
}

impl Asset {
    fn new(
        name: &'static str,
        extension: &'static str,
        content_type: &'static str,
        content: &'static str,
    ) -> Self {
        Self {
            name,
            extension,
            content_type,
            content,
            hash: xxh3_64(content.as_bytes()),
        }
    }

    /// `{name}.{hash}.{extension}`
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{:016x}.{}", self.name, self.hash, self.extension)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("/assets/{}", self.file_name())
    }
}

/// Every asset of the storefront.
#[derive(Debug)]
pub struct Assets {
    /// The style sheet.
    pub style: Asset,
    /// What pages of one visitor need beyond the style sheet.
    pub private: Asset,
    /// The script, without which everything works too.
    pub script: Asset,
    /// The icon of the browser tab.
    pub icon: Asset,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new(
        "storefront",
        "css",
        "text/css; charset=utf-8",
        include_str!("../../assets/storefront.css"),
    ),
    private: Asset::new(
        "private",
        "css",
        "text/css; charset=utf-8",
        include_str!("../../assets/private.css"),
    ),
    script: Asset::new(
        "storefront",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/storefront.js"),
    ),
    icon: Asset::new(
        "icon",
        "svg",
        "image/svg+xml",
        include_str!("../../assets/icon.svg"),
    ),
});

/// The assets of this release.
#[must_use]
pub fn assets() -> &'static Assets {
    &ASSETS
}

/// The asset with this file name. Names of other releases are not found.
#[must_use]
pub fn find(file_name: &str) -> Option<&'static Asset> {
    let Assets {
        style,
        private,
        script,
        icon,
    } = assets();
    [style, private, script, icon]
        .into_iter()
        .find(|asset| asset.file_name() == file_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_found_by_its_address_alone() {
        for asset in [
            &assets().style,
            &assets().private,
            &assets().script,
            &assets().icon,
        ] {
            let file_name = asset.url().strip_prefix("/assets/").unwrap().to_owned();
            assert_eq!(find(&file_name).unwrap().content, asset.content);
        }
        assert!(find("storefront.css").is_none());
        assert!(find("storefront.0000000000000000.css").is_none());
    }

    #[test]
    fn the_style_sheet_is_small_and_asks_nobody_else() {
        let style = assets().style.content;
        assert!(style.len() < 30_000, "{} bytes", style.len());
        assert!(assets().private.content.len() < 20_000);
        assert!(
            !style.contains("http:") && !style.contains("https:") && !style.contains("@import")
        );
        assert!(assets().script.content.len() < 8_000);
    }
}
