//! An HTTP client for tests.

use std::sync::Once;
use std::time::Duration;

static PROVIDER: Once = Once::new();

/// A client that goes straight to the server, follows no redirect and gives up after a minute, so that a test sees what the
/// server says and does not hang.
///
/// # Panics
/// When the machine cannot make one.
pub fn client() -> reqwest::Client {
    // Which library does TLS is decided by the program; an error here means that it is decided already.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .expect("an HTTP client can be made")
}
