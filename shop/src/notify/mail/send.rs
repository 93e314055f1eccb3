//! Sends mails over SMTP (RFC 5321).
//!
//! A mail that the server refuses for good (5yz) is given up at once: asking again would not change its mind, and servers
//! judge senders by that. Everything else passes: no connection, no TLS, no login, 4yz. The `Message-ID` of a row is always
//! the same, so that a mail which was sent and not ticked off is recognised when it comes a second time.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Category;
use lettre::transport::smtp::{AsyncSmtpTransport, PoolConfig};
use lettre::{Address, AsyncTransport as _, Message, Tokio1Executor};
use time::OffsetDateTime;
use xxhash_rust::xxh3::xxh3_64;

use super::Mail;
use super::letter;
use crate::outbound::secret::Secret;
use crate::outbox::consumer::{Claimed, Handled, Handler};
use crate::storefront::i18n::Locale;
use crate::storefront::view::Site;

/// How the connection to the SMTP server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SmtpTls {
    /// Plain at first, then TLS before anything else is said (RFC 3207). A server without it is refused.
    Starttls,
    /// TLS from the beginning (RFC 8314).
    Tls,
    /// None. For servers on this machine only.
    None,
}

/// The SMTP server and what is said to it.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// File with a certificate authority that is trusted beside Mozilla's, PEM.
    pub authority: Option<PathBuf>,
    /// User and password, if the server asks for them.
    pub login: Option<(String, Secret)>,
    /// Whom mails are from.
    pub from: Mailbox,
    /// How long one command may take.
    pub timeout: Duration,
}

/// How long a mail may take from the first command to the last answer; shorter than the lease of its row.
const DEADLINE: Duration = Duration::from_secs(60);
/// Connections kept to the server, and for how long.
const CONNECTIONS: u32 = 8;
const IDLE: Duration = Duration::from_secs(30);
/// Why a mail fails whose login cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The password cannot be read.
    #[error(transparent)]
    Password(#[from] crate::outbound::secret::SecretError),
    /// The certificate authority cannot be read.
    #[error("failed to read the certificate authority {path:?}: {source}")]
    Authority {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// TLS refuses the certificate authority or the name of the server.
    #[error("failed to set up TLS")]
    Tls(#[source] lettre::transport::smtp::Error),
}

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Writes and sends mails: the handler of [`crate::outbox::Topic::MAIL`].
pub struct Mailer {
    config: SmtpConfig,
    site: Site,
    /// The transport, with the password that it was made with.
    transport: Mutex<Option<(Option<String>, Transport)>>,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Mailer")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Mailer {
    /// A mailer of this shop.
    #[must_use]
    pub const fn new(config: SmtpConfig, site: Site) -> Self {
        Self {
            config,
            site,
            transport: Mutex::new(None),
        }
    }

    /// The transport for the password of this moment: a password that was changed works without a restart.
    fn transport(&self) -> Result<Transport, SetUpError> {
        let password = match &self.config.login {
            Some((_, secret)) => Some(secret.read()?),
            None => None,
        };
        let mut kept = self
            .transport
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((with, transport)) = &*kept
            && *with == password
        {
            return Ok(transport.clone());
        }
        let transport = self.build(password.as_deref())?;
        *kept = Some((password, transport.clone()));
        Ok(transport)
    }

    fn build(&self, password: Option<&str>) -> Result<Transport, SetUpError> {
        let config = &self.config;
        let tls = match config.tls {
            SmtpTls::None => Tls::None,
            SmtpTls::Starttls => Tls::Required(self.tls()?),
            SmtpTls::Tls => Tls::Wrapper(self.tls()?),
        };
        let mut builder = Transport::builder_dangerous(&config.host)
            .port(config.port)
            .tls(tls)
            .timeout(Some(config.timeout))
            .hello_name(ClientId::Domain(self.domain().to_owned()))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS).idle_timeout(IDLE));
        if let (Some((user, _)), Some(password)) = (&config.login, password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.to_owned()));
        }
        Ok(builder.build())
    }

    fn tls(&self) -> Result<TlsParameters, SetUpError> {
        let mut builder = TlsParameters::builder(self.config.host.clone())
            .certificate_store(CertificateStore::WebpkiRoots);
        if let Some(path) = &self.config.authority {
            let pem = std::fs::read(path).map_err(|source| SetUpError::Authority {
                path: path.clone(),
                source,
            })?;
            builder =
                builder.add_root_certificate(Certificate::from_pem(&pem).map_err(SetUpError::Tls)?);
        }
        builder.build_rustls().map_err(SetUpError::Tls)
    }

    /// The domain of the sender: who we say we are, and what makes message ids ours.
    fn domain(&self) -> &str {
        self.config.from.email.domain()
    }

    async fn send(&self, claimed: &Claimed) -> Handled {
        let mail: Mail = match serde_json::from_value(claimed.row.payload.clone()) {
            Ok(mail) => mail,
            // It may be from a newer release, whose workers can read it.
            Err(error) => return Handled::Failed(format!("the mail cannot be read: {error}")),
        };
        if mail
            .template
            .valid_until()
            .is_some_and(|until| until <= OffsetDateTime::now_utc())
        {
            tracing::info!(
                id = claimed.row.id,
                template = mail.template.name(),
                "a mail was not sent: its link has expired"
            );
            return Handled::Done;
        }
        let message = match self.message(&mail, claimed) {
            Ok(message) => message,
            Err(error) => return Handled::Hopeless(error),
        };
        let transport = match self.transport() {
            Ok(transport) => transport,
            Err(error) => return Handled::Failed(crate::web::error::chain(&error)),
        };
        match tokio::time::timeout(DEADLINE, transport.send(message)).await {
            Err(_) => Handled::Failed(format!(
                "the SMTP server took longer than {} seconds",
                DEADLINE.as_secs()
            )),
            Ok(Ok(_)) => {
                tracing::debug!(
                    id = claimed.row.id,
                    template = mail.template.name(),
                    "mail sent"
                );
                Handled::Done
            }
            Ok(Err(error)) => judged(&error),
        }
    }

    fn message(&self, mail: &Mail, claimed: &Claimed) -> Result<Message, String> {
        let locale = Locale::from_tag(&mail.locale)
            .filter(|locale| self.site.locales.contains(locale))
            .unwrap_or_else(|| self.site.default_locale());
        let written = letter::write(&mail.template, locale, &self.site)
            .map_err(|error| format!("the mail cannot be written: {error}"))?;
        let to: Address = mail
            .to
            .trim()
            .parse()
            .map_err(|error| format!("the recipient's address cannot be used: {error}"))?;
        let mut builder = Message::builder()
            .from(self.config.from.clone())
            .to(Mailbox::new(None, to))
            .subject(written.subject)
            .message_id(Some(self.message_id(claimed)))
            // Nobody's holiday is answered to (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        let answers: Option<Address> = self.site.email.as_deref().and_then(|at| at.parse().ok());
        if let Some(answers) = answers.filter(|at| *at != self.config.from.email) {
            builder = builder.reply_to(Mailbox::new(Some(self.site.name.clone()), answers));
        }
        builder
            .multipart(MultiPart::alternative_plain_html(
                written.text,
                written.html,
            ))
            .map_err(|error| format!("the mail cannot be put together: {error}"))
    }

    /// The same for each attempt at one row. The digest keeps rows apart whose numbers are used again after a restore.
    fn message_id(&self, claimed: &Claimed) -> String {
        let digest = xxh3_64(claimed.row.payload.to_string().as_bytes());
        format!("<{}.{digest:016x}@{}>", claimed.row.id, self.domain())
    }
}

/// What the server's answer means for the mail.
fn judged(error: &lettre::transport::smtp::Error) -> Handled {
    let text = crate::web::error::chain(error);
    // 53z speaks of the login and of what the connection may do: the settings are wrong, not the mail.
    let of_the_login = error
        .status()
        .is_some_and(|code| code.category == Category::Unspecified3);
    if error.is_permanent() && !of_the_login {
        Handled::Hopeless(text)
    } else {
        Handled::Failed(text)
    }
}

impl Handler for Mailer {
    fn handle<'a>(
        &'a self,
        claimed: &'a Claimed,
    ) -> Pin<Box<dyn Future<Output = Handled> + Send + 'a>> {
        Box::pin(self.send(claimed))
    }
}
