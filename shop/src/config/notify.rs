//! Mails, webhooks, and orders that look like fraud.

use std::net::IpAddr;
use std::time::Duration;

use lettre::message::Mailbox;

use super::Collector;
use super::args::{MailArgs, RiskArgs, SiteArgs, WebhookArgs};
use crate::notify::mail::send::{SmtpConfig, SmtpTls};
use crate::notify::webhook::target::Targets;
use crate::outbound::secret::Secret;
use crate::risk::RiskSettings;

/// How long one command to the SMTP server may take.
const SMTP_TIMEOUT: Duration = Duration::from_secs(20);

/// The SMTP server. The outer `None` says that a problem was noted, the inner one that there is no server.
#[must_use]
pub fn mail(
    args: &MailArgs,
    site: &SiteArgs,
    problems: &mut Collector,
) -> Option<Option<SmtpConfig>> {
    let Some(server) = &args.smtp_server else {
        return Some(None);
    };
    let server = server.rsplit_once(':').and_then(|(host, port)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((host.to_owned(), port.parse::<u16>().ok()?)).filter(|(host, _)| !host.is_empty())
    });
    if server.is_none() {
        problems.add(
            "PANONO_SMTP_SERVER",
            "is not of the form host:port, such as smtp.example:587",
        );
    }
    if args.smtp_tls == SmtpTls::None
        && let Some((host, _)) = &server
        && !is_this_machine(host)
    {
        problems.add(
            "PANONO_SMTP_TLS",
            "none is for a server on this machine (127.0.0.1, ::1, localhost); use starttls or tls",
        );
    }
    let password = match (&args.smtp_password, &args.smtp_password_file) {
        (Some(_), Some(_)) => {
            problems.add(
                "PANONO_SMTP_PASSWORD_FILE",
                "set either this or PANONO_SMTP_PASSWORD, not both",
            );
            None
        }
        (Some(password), None) => Some(Secret::Value(password.clone())),
        (None, Some(file)) => Some(Secret::File(file.clone())),
        (None, None) => None,
    };
    let login = match (&args.smtp_user, password) {
        (Some(user), Some(password)) => Some((user.clone(), password)),
        (Some(_), None) => {
            problems.add(
                "PANONO_SMTP_PASSWORD",
                "is missing; PANONO_SMTP_USER needs it, or PANONO_SMTP_PASSWORD_FILE",
            );
            None
        }
        (None, Some(_)) => {
            problems.add("PANONO_SMTP_USER", "is missing; a password needs it");
            None
        }
        (None, None) => None,
    };
    let form = "must be an address such as orders@shop.example, or Shop <orders@shop.example>";
    let from = match (&args.mail_from, &site.shop_email) {
        (Some(from), _) => problems.take(
            "PANONO_MAIL_FROM",
            from.parse::<Mailbox>().map_err(|_| form),
        ),
        (None, Some(email)) => match email.parse() {
            Ok(address) => Some(Mailbox::new(Some(site.shop_name.clone()), address)),
            Err(_) => {
                problems.add("PANONO_SHOP_EMAIL", form);
                None
            }
        },
        (None, None) => {
            problems.add(
                "PANONO_MAIL_FROM",
                "is missing; PANONO_SMTP_SERVER needs it, or PANONO_SHOP_EMAIL",
            );
            None
        }
    };
    let (host, port) = server?;
    Some(Some(SmtpConfig {
        host,
        port,
        tls: args.smtp_tls,
        authority: args.smtp_ca.clone(),
        login,
        from: from?,
        timeout: SMTP_TIMEOUT,
    }))
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Where webhooks may go.
#[must_use]
pub const fn webhook_targets(args: &WebhookArgs) -> Targets {
    if args.webhook_private_targets {
        Targets::Private
    } else {
        Targets::Public
    }
}

/// From which scores on orders are looked at or refused.
#[must_use]
pub fn risk(args: &RiskArgs, problems: &mut Collector) -> Option<RiskSettings> {
    if args.risk_review_from < 1 || args.risk_refuse_from < args.risk_review_from {
        problems.add(
            "PANONO_RISK_REFUSE_FROM",
            "must not be below PANONO_RISK_REVIEW_FROM, which must be at least 1",
        );
        return None;
    }
    Some(RiskSettings {
        review_from: args.risk_review_from,
        refuse_from: args.risk_refuse_from,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct All {
        #[command(flatten)]
        site: SiteArgs,
        #[command(flatten)]
        mail: MailArgs,
    }

    fn read(arguments: &[&str]) -> (Option<Option<SmtpConfig>>, String) {
        let all = All::parse_from(std::iter::once(&"test").chain(arguments));
        let mut problems = Collector::default();
        let config = mail(&all.mail, &all.site, &mut problems);
        let text = problems
            .0
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        (config, text)
    }

    #[test]
    fn without_a_server_mails_wait() {
        let (config, problems) = read(&[]);
        assert!(matches!(config, Some(None)) && problems.is_empty());
    }

    #[test]
    fn a_server_needs_a_sender_and_protection() {
        let (_, problems) = read(&["--smtp-server=smtp.example:587"]);
        assert!(problems.contains("PANONO_MAIL_FROM"), "{problems}");
        let from = "--mail-from=Shop <orders@shop.example>";
        let (_, problems) = read(&["--smtp-server=smtp.example:587", "--smtp-tls=none", from]);
        assert!(problems.contains("PANONO_SMTP_TLS"), "{problems}");
        for wrong in ["smtp.example", ":25", "smtp.example:many"] {
            let (_, problems) = read(&[&format!("--smtp-server={wrong}"), from]);
            assert!(problems.contains("PANONO_SMTP_SERVER"), "{problems}");
        }
        let (_, problems) = read(&["--smtp-server=smtp.example:587", "--smtp-user=u", from]);
        assert!(problems.contains("PANONO_SMTP_PASSWORD"), "{problems}");
        let (config, problems) = read(&["--smtp-server=[::1]:2525", "--smtp-tls=none", from]);
        let config = config.unwrap().unwrap();
        assert_eq!(problems, "");
        assert_eq!((config.host.as_str(), config.port), ("::1", 2525));
        assert_eq!(config.from.email.to_string(), "orders@shop.example");
    }
}
