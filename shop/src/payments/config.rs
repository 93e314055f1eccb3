//! What can be set of payments, shipments and returns.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

use super::stripe::{API_URL, StripeConfig};
use crate::config::Collector;
use crate::outbound::secret::Secret;

/// When money that is held is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum CapturePolicy {
    /// As soon as the order is placed.
    Automatic,
    /// Piece by piece, when shipments leave.
    OnShipment,
}

/// Settings of payments and fulfilment.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Payments and shipping")]
pub struct PaymentArgs {
    /// Offer the built-in test provider, which moves no money. Not together with a live Stripe key
    #[arg(
        long,
        env = "PANONO_PAYMENTS_TEST",
        default_value_t = false,
        action = clap::ArgAction::Set
    )]
    pub payments_test: bool,
    /// Stripe's secret key: sk_… or rk_…
    #[arg(long, env = "PANONO_STRIPE_SECRET_KEY", hide_env_values = true)]
    pub stripe_secret_key: Option<String>,
    /// File with that key
    #[arg(long, env = "PANONO_STRIPE_SECRET_KEY_FILE")]
    pub stripe_secret_key_file: Option<PathBuf>,
    /// Stripe's publishable key: pk_…
    #[arg(long, env = "PANONO_STRIPE_PUBLISHABLE_KEY")]
    pub stripe_publishable_key: Option<String>,
    /// Secrets of Stripe's webhook endpoint: whsec_…; several, separated by commas, while they are exchanged
    #[arg(long, env = "PANONO_STRIPE_WEBHOOK_SECRETS", hide_env_values = true)]
    pub stripe_webhook_secrets: Option<String>,
    /// File with those secrets
    #[arg(long, env = "PANONO_STRIPE_WEBHOOK_SECRETS_FILE")]
    pub stripe_webhook_secrets_file: Option<PathBuf>,
    /// Where Stripe's API is
    #[arg(long, env = "PANONO_STRIPE_API_URL", default_value = API_URL)]
    pub stripe_api_url: String,
    /// When money that is held is taken
    #[arg(long, env = "PANONO_PAYMENT_CAPTURE", default_value = "automatic")]
    pub payment_capture: CapturePolicy,
    /// For how many days after delivery (after shipment, where nobody says when it was delivered) pieces can be given back
    #[arg(long, env = "PANONO_RETURN_DAYS", default_value_t = 30)]
    pub return_days: u64,
    /// Carriers and where their parcels are followed: dhl=https://tracking.example/{number},post=…
    #[arg(long, env = "PANONO_CARRIERS", default_value = "")]
    pub carriers: String,
    /// Secrets with which carriers sign their messages: dhl=…,post=…; a carrier may have several
    #[arg(long, env = "PANONO_CARRIER_SECRETS", hide_env_values = true)]
    pub carrier_secrets: Option<String>,
    /// File with those secrets
    #[arg(long, env = "PANONO_CARRIER_SECRETS_FILE")]
    pub carrier_secrets_file: Option<PathBuf>,
}

/// The settings, checked.
#[derive(Debug, Clone)]
pub struct PaymentSettings {
    /// Whether the test provider is offered.
    pub test: bool,
    /// How to reach Stripe, if the shop uses it.
    pub stripe: Option<StripeConfig>,
    /// When money that is held is taken.
    pub capture: CapturePolicy,
    /// For how long pieces can be given back.
    pub return_period: Duration,
    /// The pattern of the tracking address of each carrier, with `{number}` where the number goes.
    pub carriers: BTreeMap<String, String>,
    /// `carrier=secret` pairs, separated by commas.
    pub carrier_secrets: Option<Secret>,
}

impl PaymentSettings {
    /// A shop without any provider.
    #[must_use]
    pub fn none() -> Self {
        Self {
            test: false,
            stripe: None,
            capture: CapturePolicy::Automatic,
            return_period: Duration::from_hours(24 * 30),
            carriers: BTreeMap::new(),
            carrier_secrets: None,
        }
    }
}

fn one_of(
    problems: &mut Collector,
    (setting, value): (&'static str, Option<&String>),
    (file_setting, file): (&'static str, Option<&PathBuf>),
) -> Option<Secret> {
    match (value, file) {
        (Some(_), Some(_)) => {
            problems.add(
                file_setting,
                format!("set either this or {setting}, not both"),
            );
            None
        }
        (Some(value), None) => Some(Secret::Value(value.clone())),
        (None, Some(file)) => {
            let secret = Secret::File(file.clone());
            problems.take(file_setting, secret.read())?;
            Some(secret)
        }
        (None, None) => None,
    }
}

/// Whether a key of Stripe moves real money: `sk_live_…`, `rk_live_…`.
fn is_live(key: &str) -> bool {
    key.starts_with("sk_live_") || key.starts_with("rk_live_")
}

fn stripe(args: &PaymentArgs, problems: &mut Collector) -> Option<StripeConfig> {
    let secret_key = one_of(
        problems,
        ("PANONO_STRIPE_SECRET_KEY", args.stripe_secret_key.as_ref()),
        (
            "PANONO_STRIPE_SECRET_KEY_FILE",
            args.stripe_secret_key_file.as_ref(),
        ),
    )?;
    let webhook_secrets = one_of(
        problems,
        (
            "PANONO_STRIPE_WEBHOOK_SECRETS",
            args.stripe_webhook_secrets.as_ref(),
        ),
        (
            "PANONO_STRIPE_WEBHOOK_SECRETS_FILE",
            args.stripe_webhook_secrets_file.as_ref(),
        ),
    );
    if webhook_secrets.is_none() {
        problems.add(
            "PANONO_STRIPE_WEBHOOK_SECRETS",
            "is missing; without it nobody can tell Stripe's messages from forged ones",
        );
    }
    if args.stripe_publishable_key.is_none() {
        problems.add(
            "PANONO_STRIPE_PUBLISHABLE_KEY",
            "is missing; the checkout page needs it",
        );
    }
    if let Ok(key) = secret_key.read() {
        if !["sk_", "rk_"].iter().any(|prefix| key.starts_with(prefix)) {
            problems.add(
                "PANONO_STRIPE_SECRET_KEY",
                "must begin with sk_ or rk_, as Stripe's dashboard shows it",
            );
        }
        if is_live(&key) && args.payments_test {
            problems.add(
                "PANONO_PAYMENTS_TEST",
                "must be false with a live Stripe key: anybody could order with a test card and pay nothing",
            );
        }
    }
    let api = match Url::parse(&args.stripe_api_url) {
        Ok(url)
            if matches!(url.scheme(), "https" | "http")
                && url.host_str().is_some()
                && url.query().is_none() =>
        {
            Some(url)
        }
        _ => {
            problems.add(
                "PANONO_STRIPE_API_URL",
                "must be an address such as https://api.stripe.com",
            );
            None
        }
    };
    Some(StripeConfig {
        secret_key,
        webhook_secrets: webhook_secrets?,
        publishable_key: args.stripe_publishable_key.clone()?,
        api: api?,
    })
}

/// Whether a text may name a carrier: it stands in addresses and in the database.
#[must_use]
pub fn is_carrier_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn carriers(text: &str, problems: &mut Collector) -> BTreeMap<String, String> {
    let mut carriers = BTreeMap::new();
    for item in crate::config::list(text) {
        let pattern = item.split_once('=').filter(|(name, pattern)| {
            let example = pattern.replace("{number}", "1");
            is_carrier_name(name)
                && pattern.contains("{number}")
                && pattern.len() <= 400
                && Url::parse(&example).is_ok_and(|url| url.scheme() == "https")
        });
        match pattern {
            Some((name, pattern)) => {
                carriers.insert(name.to_owned(), pattern.to_owned());
            }
            None => problems.add(
                "PANONO_CARRIERS",
                format!("{item:?} is not of the form name=https://…{{number}}…, with a name of lower-case letters, digits and hyphens"),
            ),
        }
    }
    carriers
}

/// Checks the settings.
pub fn settings(args: &PaymentArgs, problems: &mut Collector) -> Option<PaymentSettings> {
    let stripe = stripe(args, problems);
    if !(1..=3650).contains(&args.return_days) {
        problems.add("PANONO_RETURN_DAYS", "must be 1 to 3650");
    }
    let carriers = carriers(&args.carriers, problems);
    let carrier_secrets = one_of(
        problems,
        ("PANONO_CARRIER_SECRETS", args.carrier_secrets.as_ref()),
        (
            "PANONO_CARRIER_SECRETS_FILE",
            args.carrier_secrets_file.as_ref(),
        ),
    );
    Some(PaymentSettings {
        test: args.payments_test,
        stripe,
        capture: args.payment_capture,
        return_period: Duration::from_hours(24 * args.return_days.min(3650)),
        carriers,
        carrier_secrets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct All {
        #[command(flatten)]
        payments: PaymentArgs,
    }

    fn problems(arguments: &[&str]) -> Vec<&'static str> {
        let all = All::parse_from(std::iter::once(&"test").chain(arguments));
        let mut problems = Collector::default();
        let found = settings(&all.payments, &mut problems);
        match problems.finish(found) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.0.iter().map(|problem| problem.setting).collect(),
        }
    }

    const STRIPE: [&str; 3] = [
        "--stripe-secret-key=sk_test_1",
        "--stripe-webhook-secrets=whsec_1",
        "--stripe-publishable-key=pk_test_1",
    ];

    #[test]
    fn a_shop_needs_no_provider_and_may_have_both() {
        assert!(problems(&[]).is_empty());
        assert!(problems(&STRIPE).is_empty());
        let both = [&STRIPE[..], &["--payments-test=true"]].concat();
        assert!(problems(&both).is_empty());
    }

    #[test]
    fn test_cards_are_refused_beside_live_money() {
        let found = problems(&[
            "--payments-test=true",
            "--stripe-secret-key=sk_live_1",
            "--stripe-webhook-secrets=whsec_1",
            "--stripe-publishable-key=pk_live_1",
        ]);
        assert_eq!(found, ["PANONO_PAYMENTS_TEST"]);
    }

    #[test]
    fn stripe_is_set_whole_or_not_at_all() {
        assert_eq!(
            problems(&["--stripe-secret-key=pk_1", "--stripe-api-url=stripe"]),
            [
                "PANONO_STRIPE_WEBHOOK_SECRETS",
                "PANONO_STRIPE_PUBLISHABLE_KEY",
                "PANONO_STRIPE_SECRET_KEY",
                "PANONO_STRIPE_API_URL"
            ]
        );
    }

    #[test]
    fn carriers_lead_to_an_address_with_the_number() {
        assert!(
            problems(&[
                "--carriers=dhl=https://t.example/{number},post=https://p.example/?n={number}"
            ])
            .is_empty()
        );
        for wrong in [
            "--carriers=dhl",
            "--carriers=dhl=https://t.example/",
            "--carriers=dhl=javascript:{number}",
            "--carriers=D HL=https://t.example/{number}",
        ] {
            assert_eq!(problems(&[wrong]), ["PANONO_CARRIERS"], "{wrong}");
        }
    }
}
