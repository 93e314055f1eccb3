//! What web processes and workers are told of selling: providers of payments, mail, parcels, risk.

use panono_crds::{Capture, MailTls};
use serde_json::{Value, json};

use super::Plan;
use super::pod::{Pod, mount_read_only, variable, variable_from_secret};

const STRIPE_FOLDER: &str = "/etc/panono/stripe";
const CARRIERS_FOLDER: &str = "/etc/panono/carriers";
const MAIL_FOLDER: &str = "/etc/panono/mail";

/// A folder with keys of a Secret.
fn secret(
    name: &str,
    folder: &str,
    secret: &str,
    keys: &[&str],
    mounts: &mut Vec<Value>,
    pod: &mut Pod,
) {
    let items: Vec<Value> = keys
        .iter()
        .map(|key| json!({"key": key, "path": key}))
        .collect();
    mounts.push(mount_read_only(name, folder));
    pod.volumes
        .push(json!({"name": name, "secret": {"secretName": secret, "items": items}}));
}

/// Of web processes and workers, which need the same values.
pub(crate) fn selling(
    plan: &Plan<'_>,
    environment: &mut Vec<Value>,
    mounts: &mut Vec<Value>,
    pod: &mut Pod,
) {
    let spec = &plan.shop.spec;
    let payments = &spec.payments;
    environment.push(variable("PANONO_PAYMENTS_TEST", payments.test.to_string()));
    environment.push(variable(
        "PANONO_PAYMENT_CAPTURE",
        match payments.capture {
            Capture::Automatic => "automatic",
            Capture::OnShipment => "on_shipment",
        },
    ));
    if let Some(stripe) = &payments.stripe {
        environment.extend([
            variable(
                "PANONO_STRIPE_SECRET_KEY_FILE",
                format!("{STRIPE_FOLDER}/secret-key"),
            ),
            variable(
                "PANONO_STRIPE_WEBHOOK_SECRETS_FILE",
                format!("{STRIPE_FOLDER}/webhook-secrets"),
            ),
            variable(
                "PANONO_STRIPE_PUBLISHABLE_KEY",
                stripe.publishable_key.clone(),
            ),
        ]);
        secret(
            "stripe",
            STRIPE_FOLDER,
            &stripe.secret_name,
            &["secret-key", "webhook-secrets"],
            mounts,
            pod,
        );
    }
    let fulfilment = &spec.fulfilment;
    environment.push(variable(
        "PANONO_RETURN_DAYS",
        fulfilment.return_days.to_string(),
    ));
    if !fulfilment.carriers.is_empty() {
        let carriers: Vec<String> = fulfilment
            .carriers
            .iter()
            .map(|carrier| format!("{}={}", carrier.name, carrier.tracking_url))
            .collect();
        environment.push(variable("PANONO_CARRIERS", carriers.join(",")));
    }
    if let Some(name) = &fulfilment.secret_name {
        environment.push(variable(
            "PANONO_CARRIER_SECRETS_FILE",
            format!("{CARRIERS_FOLDER}/carrier-secrets"),
        ));
        secret(
            "carriers",
            CARRIERS_FOLDER,
            name,
            &["carrier-secrets"],
            mounts,
            pod,
        );
    }
    environment.extend([
        variable("PANONO_RISK_REVIEW_FROM", spec.risk.review_from.to_string()),
        variable("PANONO_RISK_REFUSE_FROM", spec.risk.refuse_from.to_string()),
    ]);
}

/// Of workers.
pub(crate) fn mail(
    plan: &Plan<'_>,
    environment: &mut Vec<Value>,
    mounts: &mut Vec<Value>,
    pod: &mut Pod,
) {
    let Some(mail) = &plan.shop.spec.mail else {
        return;
    };
    environment.push(variable("PANONO_SMTP_SERVER", mail.server.clone()));
    environment.push(variable(
        "PANONO_SMTP_TLS",
        match mail.tls {
            MailTls::StartTls => "starttls",
            MailTls::Tls => "tls",
        },
    ));
    if let Some(from) = &mail.from {
        environment.push(variable("PANONO_MAIL_FROM", from.clone()));
    }
    if let Some(name) = &mail.secret_name {
        environment.push(variable_from_secret(
            "PANONO_SMTP_USER",
            name,
            "user",
            false,
        ));
        environment.push(variable(
            "PANONO_SMTP_PASSWORD_FILE",
            format!("{MAIL_FOLDER}/password"),
        ));
        secret("mail", MAIL_FOLDER, name, &["password"], mounts, pod);
    }
}
