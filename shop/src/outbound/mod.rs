//! The HTTP client for services outside the shop: CDN interfaces, edges, object stores.

pub mod secret;
pub mod sigv4;

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up the HTTP client")]
pub struct ClientError(#[from] reqwest::Error);

/// A client whose every request ends within `deadline`, body included.
///
/// Trusted are Mozilla's roots, built in, so that an image without certificates works, and those of the system, so that
/// a private authority can be added through `SSL_CERT_FILE`. Redirects are not followed: none of these services answers
/// with one, and a signed request must not go elsewhere.
///
/// # Errors
/// When TLS cannot be set up.
pub fn http_client(deadline: Duration) -> Result<Client, ClientError> {
    Ok(builder(deadline)?.build()?)
}

/// The client of [`http_client`] before it is built, for what else it must or must not do.
///
/// # Errors
/// When a built-in certificate cannot be read.
pub fn builder(deadline: Duration) -> Result<ClientBuilder, ClientError> {
    // The error says that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Client::builder()
        .tls_certs_merge(roots)
        .redirect(Policy::none())
        .timeout(deadline)
        .connect_timeout(deadline.min(Duration::from_secs(3)))
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("panono-shop/", env!("CARGO_PKG_VERSION"))))
}
