//! What can be set, by flags and by environment variables of the same name.

use std::path::PathBuf;

use crate::edge::headers::LifetimeField;
use crate::notify::mail::send::SmtpTls;
use clap::{Args, ValueEnum};

/// How lines are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for programs.
    Json,
    /// For people at a terminal.
    Human,
}

/// How connections to the database are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatabaseTls {
    /// No TLS, where something else protects what passes: a loopback, a mesh.
    Disabled,
    /// TLS if the server offers it, without checking who it is.
    Preferred,
    /// TLS, without checking who the server is.
    Required,
    /// TLS, and the server's certificate is checked against `--database-ca`.
    VerifyCa,
}

/// Settings of every command that logs.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// What is logged: a level, or a filter such as `info,panono_shop::cache=debug`
    #[arg(
        long = "log",
        env = "PANONO_LOG",
        default_value = "info",
        global = true
    )]
    pub filter: String,
    /// How it is logged; by default human on a terminal, else JSON
    #[arg(long = "log-format", env = "PANONO_LOG_FORMAT", global = true)]
    pub format: Option<LogFormat>,
}

/// Where the database is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// URL of the member that takes writes: mysql://user:password@host:3306/name
    #[arg(long, env = "PANONO_DATABASE_WRITER_URL", hide_env_values = true)]
    pub database_writer_url: Option<String>,
    /// File with that URL, where secrets are mounted
    #[arg(long, env = "PANONO_DATABASE_WRITER_URL_FILE")]
    pub database_writer_url_file: Option<PathBuf>,
    /// URLs of members that are only read from, separated by commas
    #[arg(long, env = "PANONO_DATABASE_READER_URLS", hide_env_values = true)]
    pub database_reader_urls: Option<String>,
    /// Instead of URLs: the members of a replication group as host:port, separated by commas. Its primary is found and
    /// followed
    #[arg(long, env = "PANONO_DATABASE_MEMBERS")]
    pub database_members: Option<String>,
    /// With members: name of the database
    #[arg(long, env = "PANONO_DATABASE_NAME")]
    pub database_name: Option<String>,
    /// With members: user
    #[arg(long, env = "PANONO_DATABASE_USER")]
    pub database_user: Option<String>,
    /// With members: password
    #[arg(long, env = "PANONO_DATABASE_PASSWORD", hide_env_values = true)]
    pub database_password: Option<String>,
    /// With members: file with the password
    #[arg(long, env = "PANONO_DATABASE_PASSWORD_FILE")]
    pub database_password_file: Option<PathBuf>,
    /// How connections are protected
    #[arg(long, env = "PANONO_DATABASE_TLS", default_value = "preferred")]
    pub database_tls: DatabaseTls,
    /// File with the certificate authority of the members, PEM
    #[arg(long, env = "PANONO_DATABASE_CA")]
    pub database_ca: Option<PathBuf>,
    /// Connections to each member at most. All processes together must stay below the server's max_connections
    #[arg(long, env = "PANONO_DATABASE_POOL_MAX", default_value_t = 16)]
    pub database_pool_max: u32,
    /// Connections to each member that are kept open
    #[arg(long, env = "PANONO_DATABASE_POOL_MIN", default_value_t = 2)]
    pub database_pool_min: u32,
    /// Write nothing: pages are served, and whoever would change something is told that it cannot be done now
    #[arg(long, env = "PANONO_DATABASE_READ_ONLY")]
    pub database_read_only: bool,
}

/// What the shop is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Shop")]
pub struct SiteArgs {
    /// Where the shop is for shoppers, without a path: https://shop.example
    #[arg(
        long,
        env = "PANONO_PUBLIC_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub public_url: String,
    /// Other hosts that the shop answers for, separated by commas
    #[arg(long, env = "PANONO_ALLOWED_HOSTS", default_value = "")]
    pub allowed_hosts: String,
    /// Name of the shop
    #[arg(long, env = "PANONO_SHOP_NAME", default_value = "Panono")]
    pub shop_name: String,
    /// Line under the name
    #[arg(long, env = "PANONO_SHOP_TAGLINE", default_value = "Things that last")]
    pub shop_tagline: String,
    /// Address for questions, shown on pages
    #[arg(long, env = "PANONO_SHOP_EMAIL")]
    pub shop_email: Option<String>,
    /// Languages, the default first: en, zh-CN
    #[arg(long, env = "PANONO_LOCALES", default_value = "en,zh-CN")]
    pub locales: String,
    /// Currencies (ISO 4217), the default first
    #[arg(long, env = "PANONO_CURRENCIES", default_value = "USD")]
    pub currencies: String,
    /// Where pictures are kept: file:///folder or s3://bucket/prefix?region=…&endpoint=…
    #[arg(
        long,
        env = "PANONO_MEDIA_URL",
        default_value = "file:///var/lib/panono/media"
    )]
    pub media_url: String,
}

/// Secrets of the shop.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Secrets")]
pub struct SecretArgs {
    /// Key of the shop: 32 random bytes as 64 hexadecimal digits, the same for all processes. Needed
    #[arg(long, env = "PANONO_SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<String>,
    /// File with that key
    #[arg(long, env = "PANONO_SECRET_KEY_FILE")]
    pub secret_key_file: Option<PathBuf>,
}

/// Who the clients are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clients")]
pub struct ClientArgs {
    /// Header in which the edge or the CDN says the address of the client: x-real-ip of our edge, fastly-client-ip,
    /// cf-connecting-ip, cloudfront-viewer-address
    #[arg(
        long,
        env = "PANONO_CLIENT_ADDRESS_HEADER",
        default_value = "x-real-ip"
    )]
    pub client_address_header: String,
    /// Addresses and networks from where that header counts, separated by commas; from elsewhere the peer is the client
    #[arg(
        long,
        env = "PANONO_TRUSTED_PROXIES",
        default_value = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"
    )]
    pub trusted_proxies: String,
}

/// Mails.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Mail")]
pub struct MailArgs {
    /// SMTP server as host:port, such as smtp.example:587. Without one, mails wait in the outbox
    #[arg(long, env = "PANONO_SMTP_SERVER")]
    pub smtp_server: Option<String>,
    /// How the connection to it is protected; none is for servers on this machine
    #[arg(long, env = "PANONO_SMTP_TLS", default_value = "starttls")]
    pub smtp_tls: SmtpTls,
    /// File with a certificate authority that is trusted beside Mozilla's, PEM
    #[arg(long, env = "PANONO_SMTP_CA")]
    pub smtp_ca: Option<PathBuf>,
    /// User, if the server asks for one
    #[arg(long, env = "PANONO_SMTP_USER")]
    pub smtp_user: Option<String>,
    /// Password of that user
    #[arg(long, env = "PANONO_SMTP_PASSWORD", hide_env_values = true)]
    pub smtp_password: Option<String>,
    /// File with that password; it is read again for each mail
    #[arg(long, env = "PANONO_SMTP_PASSWORD_FILE")]
    pub smtp_password_file: Option<PathBuf>,
    /// Whom mails are from: orders@shop.example, or Shop <orders@shop.example>. By default PANONO_SHOP_EMAIL
    #[arg(long, env = "PANONO_MAIL_FROM")]
    pub mail_from: Option<String>,
}

/// Webhooks to merchants.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Webhooks")]
pub struct WebhookArgs {
    /// Let webhooks go to addresses of private networks and of this machine, and by plain HTTP: true or false
    #[arg(
        long,
        env = "PANONO_WEBHOOK_PRIVATE_TARGETS",
        default_value_t = false,
        action = clap::ArgAction::Set
    )]
    pub webhook_private_targets: bool,
}

/// Orders that look like fraud.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Risk")]
pub struct RiskArgs {
    /// Score of the risk rules from which on a person must look at an order before it is fulfilled
    #[arg(long, env = "PANONO_RISK_REVIEW_FROM", default_value_t = 50)]
    pub risk_review_from: i32,
    /// Score from which on an order is refused
    #[arg(long, env = "PANONO_RISK_REFUSE_FROM", default_value_t = 100)]
    pub risk_refuse_from: i32,
}

/// What is watched.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Watching")]
pub struct WatchArgs {
    /// Seconds between two verifications of what must always be true of stock, orders and payments; 0: never
    #[arg(long, env = "PANONO_INVARIANTS_EVERY", default_value_t = 600)]
    pub invariants_every: u64,
}

/// Caches.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Caches")]
pub struct CacheArgs {
    /// Valkey or Redis: redis://host:6379. Without one every process keeps its own answers only
    #[arg(long, env = "PANONO_CACHE_URL", hide_env_values = true)]
    pub cache_url: Option<String>,
    /// Sentinels of that server, host:port with commas between: they say which of several it is at the moment, and the URL's host is
    /// not used. They know the servers by the name "shop", and take the same password
    #[arg(long, env = "PANONO_CACHE_SENTINELS", value_delimiter = ',')]
    pub cache_sentinels: Vec<String>,
    /// Prefix of all keys, so that shops can share a server
    #[arg(long, env = "PANONO_CACHE_PREFIX", default_value = "panono")]
    pub cache_prefix: String,
    /// Memory for ready answers in each process, such as 32MiB
    #[arg(long, env = "PANONO_CACHE_MEMORY", default_value = "32MiB")]
    pub cache_memory: String,
}

/// The servers of `serve` and `worker`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Where shoppers and edges connect
    #[arg(long, env = "PANONO_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: String,
    /// Where metrics, /livez and /readyz are
    #[arg(long, env = "PANONO_OPS_LISTEN", default_value = "0.0.0.0:9090")]
    pub ops_listen: String,
    /// Threads that serve requests; by default one for each CPU
    #[arg(long, env = "PANONO_THREADS")]
    pub threads: Option<usize>,
    /// How long a request waits for its answer to be made, in seconds
    #[arg(long, env = "PANONO_REQUEST_DEADLINE", default_value_t = 6)]
    pub request_deadline: u64,
    /// Answers that are made at the same time
    #[arg(long, env = "PANONO_FILL_CONCURRENCY", default_value_t = 12)]
    pub fill_concurrency: usize,
    /// Answers that may wait to be made; beyond it requests are refused with 503
    #[arg(long, env = "PANONO_FILL_QUEUE", default_value_t = 256)]
    pub fill_queue: usize,
    /// After SIGTERM: how long to go on serving as not ready, so that balancers notice, in seconds
    #[arg(long, env = "PANONO_DRAIN", default_value_t = 0)]
    pub drain: u64,
    /// Where the edge in front looks for a lifetime: cdn-cache-control, or s-maxage for CloudFront
    #[arg(
        long,
        env = "PANONO_EDGE_LIFETIME",
        default_value = "cdn-cache-control"
    )]
    pub edge_lifetime: LifetimeField,
}
