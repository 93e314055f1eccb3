//! Certificates of members and of who commands them.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Who signs the certificates of one group.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authority")
    }
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate().context("failed to make a key")?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "testbed authority");
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// The certificate by which it is known.
    pub fn pem(&self) -> &str {
        &self.certificate
    }

    /// A certificate and its key, in PEM.
    pub fn issue(&self, name: &str, hosts: &[String]) -> Result<(String, String)> {
        self.issue_until(name, hosts, 2500)
    }

    /// A certificate that is good until the end of a year, and its key, in PEM.
    pub fn issue_until(&self, name: &str, hosts: &[String], year: i32) -> Result<(String, String)> {
        let key = KeyPair::generate().context("failed to make a key")?;
        let mut params = CertificateParams::new(hosts.to_vec())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// Writes `ca.crt`, `tls.crt` and `tls.key` for a member at this address.
    pub fn write(&self, folder: &Path, address: IpAddr) -> Result<()> {
        let (certificate, key) = self.issue("member", &[address.to_string()])?;
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("ca.crt"), self.pem())?;
        std::fs::write(folder.join("tls.crt"), certificate)?;
        std::fs::write(folder.join("tls.key"), key)?;
        Ok(())
    }
}
