//! One typed configuration, checked whole: every problem is told at once.

pub mod args;
pub mod notify;
pub mod site;
pub mod size;

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::http::header::HeaderName;
use args::{CacheArgs, ClientArgs, DatabaseArgs, DatabaseTls, SecretArgs, ServerArgs, SiteArgs};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use url::Url;

use crate::cache::CacheConfig;
use crate::db::{Arrangement, DatabaseConfig, PoolSize};
use crate::edge::headers::LifetimeField;
use crate::secret::Keys;
use crate::web::private::client::{ClientAddress, Network};

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The environment variable.
    pub setting: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.setting, self.message)
    }
}

/// All the settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} of the settings cannot be used:\n{}", .0.len(), .0.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// Collects problems while settings are read.
#[derive(Debug, Default)]
pub struct Collector(Vec<Problem>);

impl Collector {
    /// Notes a problem.
    pub fn add(&mut self, setting: &'static str, message: impl Into<String>) {
        self.0.push(Problem {
            setting,
            message: message.into(),
        });
    }

    /// The value, or nothing and a problem.
    pub fn take<T, E: std::fmt::Display>(
        &mut self,
        setting: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(setting, error.to_string());
                None
            }
        }
    }

    /// The configuration if there was no problem.
    ///
    /// # Errors
    /// All problems that were noted.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Problems(self.0)),
        }
    }
}

/// A secret from its setting or from the file that another setting names. Line ends at its end are dropped.
pub fn secret(
    problems: &mut Collector,
    (setting, value): (&'static str, Option<&String>),
    (file_setting, file): (&'static str, Option<&PathBuf>),
) -> Option<String> {
    match (value, file) {
        (Some(_), Some(_)) => {
            problems.add(
                file_setting,
                format!("set either this or {setting}, not both"),
            );
            None
        }
        (Some(value), None) => Some(value.clone()),
        (None, Some(file)) => problems.take(file_setting, read_secret(file)),
        (None, None) => None,
    }
}

fn read_secret(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file)
        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|error| format!("cannot read {}: {error}", file.display()))
}

/// The shop's key.
pub fn secret_key(args: &SecretArgs, problems: &mut Collector) -> Option<Keys> {
    let before = problems.0.len();
    let text = secret(
        problems,
        ("PANONO_SECRET_KEY", args.secret_key.as_ref()),
        ("PANONO_SECRET_KEY_FILE", args.secret_key_file.as_ref()),
    );
    match text {
        Some(text) => problems.take("PANONO_SECRET_KEY", Keys::parse(&text)),
        None => {
            if problems.0.len() == before {
                problems.add(
                    "PANONO_SECRET_KEY",
                    "is missing; set it, or PANONO_SECRET_KEY_FILE, to what `openssl rand -hex 32` prints, once for all processes",
                );
            }
            None
        }
    }
}

/// Who says whose a request is.
pub fn client_address(args: &ClientArgs, problems: &mut Collector) -> Option<ClientAddress> {
    let header = problems.take(
        "PANONO_CLIENT_ADDRESS_HEADER",
        HeaderName::from_bytes(args.client_address_header.to_ascii_lowercase().as_bytes())
            .map_err(|_| "is not the name of a header"),
    );
    let mut trusted = Vec::new();
    for text in list(&args.trusted_proxies) {
        trusted.extend(problems.take("PANONO_TRUSTED_PROXIES", text.parse::<Network>()));
    }
    Some(ClientAddress {
        header: header?,
        trusted,
    })
}

/// Items of a list that is separated by commas.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// How to reach the database.
pub fn database(args: &DatabaseArgs, problems: &mut Collector) -> Option<DatabaseConfig> {
    let writer = secret(
        problems,
        (
            "PANONO_DATABASE_WRITER_URL",
            args.database_writer_url.as_ref(),
        ),
        (
            "PANONO_DATABASE_WRITER_URL_FILE",
            args.database_writer_url_file.as_ref(),
        ),
    );
    let (arrangement, members) = match (writer, &args.database_members) {
        (Some(_), Some(_)) => {
            problems.add(
                "PANONO_DATABASE_MEMBERS",
                "set either this or PANONO_DATABASE_WRITER_URL, not both",
            );
            return None;
        }
        (None, None) => {
            problems.add(
                "PANONO_DATABASE_WRITER_URL",
                "is missing; set it to mysql://user:password@host:3306/name, or set PANONO_DATABASE_MEMBERS",
            );
            return None;
        }
        (Some(writer), None) => {
            let mut members = Vec::new();
            members.extend(member_url(problems, "PANONO_DATABASE_WRITER_URL", &writer));
            for reader in list(args.database_reader_urls.as_deref().unwrap_or_default()) {
                members.extend(member_url(problems, "PANONO_DATABASE_READER_URLS", reader));
            }
            (Arrangement::Fixed, members)
        }
        (None, Some(members)) => (Arrangement::Group, group_members(args, members, problems)),
    };
    let members = members
        .into_iter()
        .map(|options| protect(options, args, problems))
        .collect();
    if args.database_pool_max == 0 {
        problems.add("PANONO_DATABASE_POOL_MAX", "must be at least 1");
    }
    if args.database_pool_min > args.database_pool_max {
        problems.add(
            "PANONO_DATABASE_POOL_MIN",
            format!(
                "must not be above PANONO_DATABASE_POOL_MAX ({})",
                args.database_pool_max
            ),
        );
    }
    Some(DatabaseConfig {
        arrangement,
        members,
        pool: PoolSize {
            max: args.database_pool_max.max(1),
            min: args.database_pool_min,
            acquire: Duration::from_secs(2),
        },
        write_deadline: Duration::from_secs(20),
        read_only: args.database_read_only,
    })
}

fn member_url(
    problems: &mut Collector,
    setting: &'static str,
    text: &str,
) -> Option<MySqlConnectOptions> {
    // The URL holds a password: neither it nor the parser's message is repeated.
    let refuse = |problems: &mut Collector| {
        problems.add(
            setting,
            "is not of the form mysql://user:password@host:3306/name",
        );
        None
    };
    let Ok(url) = Url::parse(text) else {
        return refuse(problems);
    };
    if url.scheme() != "mysql" || url.host_str().is_none() || url.path().len() < 2 {
        return refuse(problems);
    }
    match text.parse() {
        Ok(options) => Some(options),
        Err(_) => refuse(problems),
    }
}

fn group_members(
    args: &DatabaseArgs,
    members: &str,
    problems: &mut Collector,
) -> Vec<MySqlConnectOptions> {
    let password = secret(
        problems,
        ("PANONO_DATABASE_PASSWORD", args.database_password.as_ref()),
        (
            "PANONO_DATABASE_PASSWORD_FILE",
            args.database_password_file.as_ref(),
        ),
    );
    let mut required = |setting, value: Option<&String>| match value {
        Some(value) => value.clone(),
        None => {
            problems.add(
                setting,
                "is missing; it is needed with PANONO_DATABASE_MEMBERS",
            );
            String::new()
        }
    };
    let name = required("PANONO_DATABASE_NAME", args.database_name.as_ref());
    let user = required("PANONO_DATABASE_USER", args.database_user.as_ref());
    let password = required("PANONO_DATABASE_PASSWORD", password.as_ref());
    let mut options = Vec::new();
    for member in list(members) {
        match member
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        {
            Some((host, port)) if !host.is_empty() => options.push(
                MySqlConnectOptions::new()
                    .host(host)
                    .port(port)
                    .username(&user)
                    .password(&password)
                    .database(&name),
            ),
            _ => problems.add(
                "PANONO_DATABASE_MEMBERS",
                format!("{member:?} is not of the form host:port"),
            ),
        }
    }
    if options.is_empty() {
        problems.add("PANONO_DATABASE_MEMBERS", "names no member");
    }
    options
}

fn protect(
    options: MySqlConnectOptions,
    args: &DatabaseArgs,
    problems: &mut Collector,
) -> MySqlConnectOptions {
    match (args.database_tls, &args.database_ca) {
        (DatabaseTls::Disabled, _) => options.ssl_mode(MySqlSslMode::Disabled),
        (DatabaseTls::Preferred, _) => options.ssl_mode(MySqlSslMode::Preferred),
        (DatabaseTls::Required, _) => options.ssl_mode(MySqlSslMode::Required),
        (DatabaseTls::VerifyCa, Some(file)) => {
            options.ssl_mode(MySqlSslMode::VerifyCa).ssl_ca(file)
        }
        (DatabaseTls::VerifyCa, None) => {
            problems.add(
                "PANONO_DATABASE_CA",
                "is missing; PANONO_DATABASE_TLS=verify-ca needs the certificate authority's file",
            );
            options
        }
    }
}

/// The caches.
pub fn cache(
    args: &CacheArgs,
    server: &ServerArgs,
    problems: &mut Collector,
) -> Option<CacheConfig> {
    let memory = problems.take("PANONO_CACHE_MEMORY", size::parse(&args.cache_memory))?;
    if let Some(url) = &args.cache_url
        && redis::Client::open(url.as_str()).is_err()
    {
        problems.add(
            "PANONO_CACHE_URL",
            "is not of the form redis://[user:password@]host:6379",
        );
    }
    for address in &args.cache_sentinels {
        let right = address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !right {
            problems.add(
                "PANONO_CACHE_SENTINELS",
                "is not of the form host:26379,host:26379",
            );
        }
    }
    if !args.cache_sentinels.is_empty() && args.cache_url.is_none() {
        problems.add(
            "PANONO_CACHE_URL",
            "is missing; PANONO_CACHE_SENTINELS needs its password",
        );
    }
    if args.cache_prefix.is_empty() || args.cache_prefix.contains(char::is_whitespace) {
        problems.add("PANONO_CACHE_PREFIX", "must be a word");
    }
    if server.fill_concurrency == 0 {
        problems.add("PANONO_FILL_CONCURRENCY", "must be at least 1");
    }
    if !(1..=60).contains(&server.request_deadline) {
        problems.add("PANONO_REQUEST_DEADLINE", "must be 1 to 60 seconds");
    }
    Some(CacheConfig {
        l1_bytes: memory,
        l2_url: args.cache_url.clone(),
        l2_sentinels: args.cache_sentinels.clone(),
        l2_prefix: args.cache_prefix.clone(),
        fill_deadline: Duration::from_secs(server.request_deadline),
        fill_concurrency: server.fill_concurrency,
        fill_queue: server.fill_queue,
    })
}

/// Where to listen.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// For shoppers and edges.
    pub listen: std::net::SocketAddr,
    /// For probes and metrics.
    pub ops_listen: std::net::SocketAddr,
    /// Threads that serve requests.
    pub threads: usize,
    /// How long to go on serving after SIGTERM.
    pub drain: Duration,
    /// Hosts that the shop answers for, in lower case, without ports.
    pub hosts: Vec<String>,
    /// Where the edge in front looks for a lifetime.
    pub lifetime_field: LifetimeField,
}

/// The servers.
pub fn server(
    args: &ServerArgs,
    site: &SiteArgs,
    problems: &mut Collector,
) -> Option<ServerConfig> {
    let listen = problems.take("PANONO_LISTEN", address(&args.listen));
    let ops_listen = problems.take("PANONO_OPS_LISTEN", address(&args.ops_listen));
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, Into::into));
    if !(1..=256).contains(&threads) {
        problems.add("PANONO_THREADS", "must be 1 to 256");
    }
    if args.drain > 600 {
        problems.add("PANONO_DRAIN", "must be at most 600 seconds");
    }
    let mut hosts: Vec<String> = list(&site.allowed_hosts)
        .map(str::to_ascii_lowercase)
        .collect();
    if let Some(origin) = public_origin(site, problems)
        && let Some(host) = origin.host_str()
    {
        hosts.push(host.to_ascii_lowercase());
    }
    Some(ServerConfig {
        listen: listen?,
        ops_listen: ops_listen?,
        threads,
        drain: Duration::from_secs(args.drain),
        hosts,
        lifetime_field: args.edge_lifetime,
    })
}

fn address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not an address and a port, such as 0.0.0.0:8080"))
}

/// The URL under which shoppers know the shop.
pub fn public_origin(site: &SiteArgs, problems: &mut Collector) -> Option<Url> {
    let form =
        "must be http:// or https:// and a host, without a path, such as https://shop.example";
    match Url::parse(&site.public_url) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some()
                && url.path() == "/"
                && url.query().is_none()
                && url.username().is_empty() =>
        {
            Some(url)
        }
        _ => {
            problems.add("PANONO_PUBLIC_URL", form);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct All {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        site: SiteArgs,
        #[command(flatten)]
        cache: CacheArgs,
        #[command(flatten)]
        server: ServerArgs,
    }

    fn problems(arguments: &[&str]) -> Vec<Problem> {
        let all = All::parse_from(std::iter::once(&"test").chain(arguments));
        let mut problems = Collector::default();
        database(&all.database, &mut problems);
        cache(&all.cache, &all.server, &mut problems);
        server(&all.server, &all.site, &mut problems);
        problems.0
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let found = problems(&[
            "--database-pool-max=0",
            "--cache-memory=lots",
            "--listen=here",
            "--public-url=shop.example/path",
            "--drain=10000",
        ]);
        let settings: Vec<_> = found.iter().map(|problem| problem.setting).collect();
        for setting in [
            "PANONO_DATABASE_WRITER_URL",
            "PANONO_CACHE_MEMORY",
            "PANONO_LISTEN",
            "PANONO_PUBLIC_URL",
            "PANONO_DRAIN",
        ] {
            assert!(settings.contains(&setting), "{setting} in {settings:?}");
        }
    }

    #[test]
    fn a_wrong_url_is_not_repeated_with_its_password() {
        let found = problems(&["--database-writer-url=postgres://u:hunter2@h/d"]);
        let text: String = found.iter().map(ToString::to_string).collect();
        assert!(text.contains("PANONO_DATABASE_WRITER_URL"));
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn members_need_their_credentials_and_ports() {
        let found = problems(&["--database-members=a:3306,b"]);
        let text: String = found.iter().map(ToString::to_string).collect();
        for part in [
            "PANONO_DATABASE_NAME",
            "PANONO_DATABASE_USER",
            "PANONO_DATABASE_PASSWORD",
            "\"b\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_plain_configuration_has_no_problem() {
        assert_eq!(
            problems(&["--database-writer-url=mysql://u:p@127.0.0.1:3306/shop"]),
            vec![]
        );
    }

    #[test]
    fn two_ways_to_the_database_contradict() {
        let found = problems(&[
            "--database-writer-url=mysql://u:p@127.0.0.1:3306/shop",
            "--database-members=a:3306",
        ]);
        assert_eq!(
            found.first().map(|problem| problem.setting),
            Some("PANONO_DATABASE_MEMBERS")
        );
    }
}
