//! An HTTP client for tests.

use std::sync::Once;
use std::time::Duration;

static PROVIDER: Once = Once::new();

/// Decides which library does TLS. An error here means that it is decided already.
pub fn install_tls() {
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// A client that goes straight to the server, follows no redirect and gives up after a minute, so that a test sees what the
/// server says and does not hang.
///
/// # Panics
/// When the machine cannot make one.
pub fn client() -> reqwest::Client {
    install_tls();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .expect("an HTTP client can be made")
}
