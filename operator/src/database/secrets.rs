//! The Secrets of a group: passwords of its accounts, and the certificates by which members, operator and shop know each other.
//!
//! Each Shop has an authority of its own, whose key no pod sees. Members share a certificate with all their names; the operator
//! has one to ask them with. Both are made anew when a third of their time is left, and the members' together with new passwords.
//! Nobody is restarted for a certificate: members read it while they run.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kube::api::DynamicObject;
use panono_crds::Reason;
use rand::distr::{Alphanumeric, SampleString as _};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::credentials::{MANAGER, appeared, own_secret};
use crate::desired::group::{ACCOUNTS, AUTHORITY, GENERATION_KEY, TLS, host, shop_key};
use crate::failure::Failure;
use crate::names::Owner;
use crate::object::{Kind, digest, insert, short};

const RENEW: &str = "panono.dev/renew-after";
const ISSUER: &str = "panono.dev/authority";

/// Days that a certificate is good for, and after which it is made anew.
const DAYS: i32 = 180;
const RENEW_DAYS: i32 = 120;

/// Days that an authority is good for.
const AUTHORITY_DAYS: i32 = 3650;

/// What the operator asks members with.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The authority's certificate.
    pub authority: String,
    /// The operator's certificate and key, in PEM.
    pub identity: String,
    /// The digest of the members' certificate.
    pub certificate: String,
    /// How often the passwords of accounts were made.
    pub passwords: i64,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys do not get into logs.
        write!(formatter, "Keys({})", self.certificate)
    }
}

type Data = BTreeMap<String, String>;

/// Makes sure that there are passwords and certificates.
///
/// # Errors
/// When a Secret's name is taken, a certificate cannot be made, or the API server does not do it.
pub async fn ensure(cluster: &Cluster, owner: &Owner) -> Result<Keys, Failure> {
    let store = Store { cluster, owner };
    let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
    let accounts = store.get(ACCOUNTS).await?;
    let passwords = match passwords(&data(accounts.as_ref())) {
        Some(passwords) => passwords,
        None => {
            let data = first_passwords(data(accounts.as_ref()));
            store.put(ACCOUNTS, accounts, data, &[]).await?;
            1
        }
    };
    let authority = store.authority(today).await?;
    let ca = value(Some(&authority), "ca.crt").unwrap_or_default();
    let members = store.get(TLS).await?;
    let current = members.as_ref().is_some_and(|found| {
        annotation(found, ISSUER) == Some(&short(digest(&Value::from(ca.clone()))))
            && annotation(found, RENEW).is_some_and(|date| *date > today.to_string())
            && value(Some(found), "tls.key").is_some_and(|key| !key.is_empty())
    });
    let members = match members {
        Some(found) if current => found,
        members => store.certify(&authority, members, today).await?,
    };
    Ok(Keys {
        identity: format!(
            "{}{}",
            value(Some(&authority), "tls.crt").unwrap_or_default(),
            value(Some(&authority), "tls.key").unwrap_or_default()
        ),
        certificate: crate::agent::tls::digest(
            ca.as_bytes(),
            value(Some(&members), "tls.crt")
                .unwrap_or_default()
                .as_bytes(),
        ),
        authority: ca,
        passwords,
    })
}

/// Makes new passwords, unless there are those of this generation already, and a new certificate. Those before are kept beside
/// them: the one before of each account, and what pods of the shop were made with.
///
/// # Errors
/// As of [`ensure`].
pub async fn renew(cluster: &Cluster, owner: &Owner, generation: i64) -> Result<(), Failure> {
    let store = Store { cluster, owner };
    let accounts = store.get(ACCOUNTS).await?;
    let before = data(accounts.as_ref());
    if passwords(&before).is_none_or(|there| there >= generation) {
        return Ok(());
    }
    // The certificate first: that the passwords are there says that all is.
    let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
    let authority = store.authority(today).await?;
    let members = store.get(TLS).await?;
    store.certify(&authority, members, today).await?;
    let data = next_passwords(&before, generation);
    store.put(ACCOUNTS, accounts, data, &[]).await?;
    Ok(())
}

/// Accounts with a password each.
const NAMES: [&str; 3] = ["agent", "replication", "shop"];

/// How often the passwords were made. Nothing if one is missing.
fn passwords(data: &Data) -> Option<i64> {
    let generation: i64 = data.get(GENERATION_KEY)?.parse().ok()?;
    NAMES
        .iter()
        .map(|name| (*name).to_owned())
        .chain([shop_key(generation)])
        .all(|key| data.get(&key).is_some_and(|word| !word.is_empty()))
        .then_some(generation)
}

fn word() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 32)
}

/// With what is missing.
fn first_passwords(mut data: Data) -> Data {
    for name in NAMES {
        let there = data.entry(name.to_owned()).or_default();
        if there.is_empty() {
            *there = word();
        }
    }
    let shop = data.get("shop").cloned().unwrap_or_default();
    data.insert(shop_key(1), shop);
    data.insert(GENERATION_KEY.to_owned(), 1.to_string());
    data
}

/// New ones for all accounts.
fn next_passwords(before: &Data, generation: i64) -> Data {
    let mut data = Data::from([(GENERATION_KEY.to_owned(), generation.to_string())]);
    for name in NAMES {
        let old = before.get(name).cloned().unwrap_or_default();
        data.insert(format!("{name}-old"), old);
        data.insert(name.to_owned(), word());
    }
    let old = before.get("shop").cloned().unwrap_or_default();
    let new = data.get("shop").cloned().unwrap_or_default();
    data.insert(shop_key(generation.saturating_sub(1)), old);
    data.insert(shop_key(generation), new);
    data
}

/// The values of a Secret.
fn data(found: Option<&DynamicObject>) -> Data {
    let keys = found
        .and_then(|found| found.data.get("data"))
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|data| data.keys());
    keys.filter_map(|key| Some((key.clone(), value(found, key)?)))
        .collect()
}

struct Store<'a> {
    cluster: &'a Cluster,
    owner: &'a Owner,
}

impl Store<'_> {
    async fn get(&self, suffix: &str) -> Result<Option<DynamicObject>, Failure> {
        own_secret(self.cluster, self.owner, suffix).await
    }

    /// Writes the values of a Secret, if it is still as it was found.
    async fn put(
        &self,
        suffix: &str,
        found: Option<DynamicObject>,
        data: Data,
        notes: &[(&str, String)],
    ) -> Result<DynamicObject, Failure> {
        let data: BTreeMap<String, String> = data
            .into_iter()
            .map(|(key, value)| (key, STANDARD.encode(value)))
            .collect();
        if let Some(mut found) = found {
            insert(&mut found.data, "data", json!(data));
            let annotations = found.metadata.annotations.get_or_insert_default();
            for (name, text) in notes {
                annotations.insert((*name).to_owned(), text.clone());
            }
            found.metadata.managed_fields = None;
            return self.cluster.replace(MANAGER, Kind::Secret, &found).await;
        }
        let name = self.owner.with(suffix);
        let content = json!({"type": "Opaque", "data": data});
        // Whether it goes with its Shop is a field that is applied: who makes it must not hold that, too.
        let mut object = self
            .owner
            .kept_object(Kind::Secret, name.clone(), "database", content);
        for (note, text) in notes {
            object.annotate(note, text.clone());
        }
        appeared(&name, self.cluster.create(MANAGER, &object).await?)
    }

    /// A new certificate of the members.
    async fn certify(
        &self,
        authority: &DynamicObject,
        members: Option<DynamicObject>,
        today: Date,
    ) -> Result<DynamicObject, Failure> {
        let ca = value(Some(authority), "ca.crt").unwrap_or_default();
        let key = value(Some(authority), "ca.key").unwrap_or_default();
        let names = names(self.owner);
        let (certificate, leaf_key) = leaf(&ca_name(self.owner), &key, &names, "members", today)?;
        let issuer = short(digest(&Value::from(ca.clone())));
        let data = Data::from([
            ("ca.crt".to_owned(), ca),
            ("tls.crt".to_owned(), certificate),
            ("tls.key".to_owned(), leaf_key),
        ]);
        let notes = [
            (ISSUER, issuer),
            (RENEW, plus(today, RENEW_DAYS).to_string()),
        ];
        self.put(TLS, members, data, &notes).await
    }

    /// The authority, with a certificate for the operator that is good for some time yet.
    async fn authority(&self, today: Date) -> Result<DynamicObject, Failure> {
        let found = self.get(AUTHORITY).await?;
        let text = |key| value(found.as_ref(), key).filter(|value| !value.is_empty());
        let known = text("ca.crt").zip(text("ca.key"));
        let fresh = found.as_ref().is_some_and(|found| {
            annotation(found, RENEW).is_some_and(|date| *date > today.to_string())
        });
        if let Some(found) = found.clone().filter(|_| fresh && known.is_some()) {
            return Ok(found);
        }
        let name = ca_name(self.owner);
        let (ca, key) = match known {
            Some(known) => known,
            None => authority(&name, today)?,
        };
        let names = [self.owner.with("operator")];
        let (certificate, leaf_key) = leaf(&name, &key, &names, "operator", today)?;
        let data = Data::from([
            ("ca.crt".to_owned(), ca),
            ("ca.key".to_owned(), key),
            ("tls.crt".to_owned(), certificate),
            ("tls.key".to_owned(), leaf_key),
        ]);
        let notes = [(RENEW, plus(today, RENEW_DAYS).to_string())];
        self.put(AUTHORITY, found, data, &notes).await
    }
}

fn ca_name(owner: &Owner) -> String {
    format!("{}/{} database", owner.namespace, owner.name)
}

/// Every name under which a member is reached, for as many members as a group can have.
fn names(owner: &Owner) -> Vec<String> {
    let mut names: Vec<String> = (0..9).map(|ordinal| host(owner, ordinal)).collect();
    for service in ["db-rw", "db-ro"] {
        let name = owner.with(service);
        names.push(format!("{name}.{}.svc", owner.namespace));
        names.push(name);
    }
    names
}

fn annotation<'a>(found: &'a DynamicObject, name: &str) -> Option<&'a String> {
    found.metadata.annotations.as_ref()?.get(name)
}

fn value(found: Option<&DynamicObject>, key: &str) -> Option<String> {
    let text = found?.data.get("data")?.get(key)?.as_str()?;
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

fn plus(date: Date, days: i32) -> Date {
    date.saturating_add(Span::new().days(days))
}

fn params(
    name: &str,
    names: &[String],
    from: Date,
    days: i32,
) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let moment = |date: Date| {
        date_time_ymd(
            i32::from(date.year()),
            u8::try_from(date.month()).unwrap_or(1),
            u8::try_from(date.day()).unwrap_or(1),
        )
    };
    // Clocks differ.
    params.not_before = moment(plus(from, -1));
    params.not_after = moment(plus(from, days));
    Ok(params)
}

fn authority_params(name: &str, from: Date) -> Result<CertificateParams, Failure> {
    let mut params = params(name, &[], from, AUTHORITY_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// An authority: its certificate and its key.
fn authority(name: &str, today: Date) -> Result<(String, String), Failure> {
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = authority_params(name, today)?
        .self_signed(&key)
        .map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// A certificate for `names` and its key, from the authority called `authority` with this key.
fn leaf(
    authority: &str,
    authority_key: &str,
    names: &[String],
    name: &str,
    today: Date,
) -> Result<(String, String), Failure> {
    let issuer = Issuer::new(
        authority_params(authority, today)?,
        KeyPair::from_pem(authority_key).map_err(failed)?,
    );
    let mut params = params(name, names, today, DAYS)?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

// By value, as `map_err` gives it.
#[allow(clippy::needless_pass_by_value)]
fn failed(error: rcgen::Error) -> Failure {
    Failure::of(
        Reason::SecretIncomplete,
        format!("A certificate of the database cannot be made: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::civil::date;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::{Data, authority, first_passwords, leaf, names, next_passwords, passwords};
    use crate::desired::group::shop_key;
    use crate::names::Owner;

    /// Whoever knows a password of the generation before still finds it.
    #[test]
    fn passwords_before_stay_beside_new_ones() {
        let first = first_passwords(Data::new());
        assert_eq!(passwords(&first), Some(1));
        let second = next_passwords(&first, 2);
        assert_eq!(passwords(&second), Some(2));
        for name in ["agent", "replication", "shop"] {
            assert_ne!(second[name], first[name]);
            assert_eq!(second[&format!("{name}-old")], first[name]);
        }
        assert_eq!(second[&shop_key(1)], first["shop"]);
        assert_eq!(second[&shop_key(2)], second["shop"]);
        let third = next_passwords(&second, 3);
        assert!(!third.contains_key(&shop_key(1)), "{:?}", third.keys());
        assert_eq!(third["shop-old"], second["shop"]);
        // One that is missing is made, and the others stay.
        let mut broken = first.clone();
        broken.remove("generation");
        broken.remove("agent");
        assert_eq!(passwords(&broken), None);
        assert_eq!(first_passwords(broken)["shop"], first["shop"]);
    }

    /// What the authority signs is good for each member's name, and for no other.
    #[test]
    fn members_are_known_by_their_names() {
        let owner = Owner {
            name: "demo".to_owned(),
            namespace: "shops".to_owned(),
            uid: None,
        };
        let today = date(2026, 3, 31);
        let (ca, key) = authority("shops/demo database", today).unwrap();
        let (certificate, _) = leaf(
            "shops/demo database",
            &key,
            &names(&owner),
            "members",
            today,
        )
        .unwrap();
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(der(&ca)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_775_000_000));
        let verify = |name: &str| {
            use rustls::client::danger::ServerCertVerifier as _;
            verifier.verify_server_cert(
                &der(&certificate),
                &[],
                &ServerName::try_from(name.to_owned()).unwrap(),
                &[],
                now,
            )
        };
        verify("demo-database-2.demo-database-members.shops.svc").unwrap();
        verify("demo-db-rw").unwrap();
        assert!(verify("other-db-rw").is_err());
    }
}
