//! Mutual TLS of the agents' interface. Certificates can be replaced while it serves.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};

use super::config::Tls;

/// The certificates of an agent as they are now.
#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    verifier: Arc<dyn ClientCertVerifier>,
    client: Arc<ClientConfig>,
    digest: u64,
    name: String,
}

/// The certificates of an agent, for serving and asking.
#[derive(Clone, Debug)]
pub struct Certificates {
    files: Tls,
    current: Arc<ArcSwap<Current>>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// When one is missing or holds nothing that can be used.
    pub fn read(files: &Tls) -> Result<Self> {
        Ok(Self {
            files: files.clone(),
            current: Arc::new(ArcSwap::from_pointee(read(files)?)),
        })
    }

    /// Reads the files again; says whether anything changed. What cannot be used changes nothing.
    ///
    /// # Errors
    /// As of [`Certificates::read`].
    pub fn reload(&self) -> Result<bool> {
        let new = read(&self.files)?;
        let changed = new.digest != self.current.load().digest;
        self.current.store(Arc::new(new));
        Ok(changed)
    }

    /// A digest of the authority and the certificate of the moment; see [`digest`].
    #[must_use]
    pub fn digest(&self) -> String {
        self.current.load().name.clone()
    }

    /// What a server is made with: it shows the certificate of the moment, and takes clients whose certificate was signed by
    /// the authority of the moment.
    ///
    /// # Errors
    /// When the provider has no TLS version.
    pub fn server(&self) -> Result<ServerConfig> {
        let moment = Arc::new(self.clone());
        Ok(ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::<Self>::clone(&moment))
            .with_cert_resolver(moment))
    }

    /// What a client is made with, of this moment.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        ClientConfig::clone(&self.current.load().client)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a client is made with that holds a certificate of the operator or of an agent.
///
/// # Errors
/// When a text holds nothing that can be used.
pub fn client_config(ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<ClientConfig> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(ca)?)
        .with_client_auth_cert(chain(certificate)?, private_key(key)?)?)
}

/// By which it is known which certificate somebody has: the authority's and its own, in PEM.
#[must_use]
pub fn digest(ca: &[u8], certificate: &[u8]) -> String {
    format!(
        "{:016x}",
        xxhash_rust::xxh3::xxh3_64(&[ca, certificate].concat())
    )
}

fn roots(ca: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(ca)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .context("this is no certificate in PEM")?;
    if chain.is_empty() {
        bail!("there is no certificate");
    }
    Ok(chain)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem).context("this is no private key in PEM")
}

fn read(files: &Tls) -> Result<Current> {
    let bytes = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    let (ca, certificate, key) = (
        bytes(&files.ca)?,
        bytes(&files.certificate)?,
        bytes(&files.key)?,
    );
    let client = client_config(&ca, &certificate, &key)
        .with_context(|| files.certificate.display().to_string())?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&ca)?), provider()).build()?;
    let key_of_chain = CertifiedKey::from_der(
        chain(&certificate)?,
        private_key(&key)?,
        provider().as_ref(),
    )
    .with_context(|| files.key.display().to_string())?;
    let name = digest(&ca, &certificate);
    Ok(Current {
        name,
        key: Arc::new(key_of_chain),
        verifier,
        client: Arc::new(client),
        digest: xxhash_rust::xxh3::xxh3_64(&[ca, certificate, key].concat()),
    })
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

impl ClientCertVerifier for Certificates {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.current
            .load()
            .verifier
            .verify_client_cert(certificate, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current
            .load()
            .verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current
            .load()
            .verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().verifier.supported_verify_schemes()
    }
}
