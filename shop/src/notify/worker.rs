//! What the worker runs for mails and webhooks.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fan_out::{FanOut, OrderLink};
use super::mail::send::{Mailer, SmtpConfig};
use super::webhook::deliver::{DEADLINE, Sender};
use super::webhook::lanes::{LaneSettings, Lanes};
use super::webhook::target::Targets;
use crate::db::Db;
use crate::orders::link;
use crate::orders::number::OrderNumber;
use crate::outbound::ClientError;
use crate::outbox::Topic;
use crate::outbox::consumer::{Consumer, ConsumerMetrics, ConsumerSettings};
use crate::secret::Keys;
use crate::storefront::i18n::Locale;
use crate::storefront::view::Site;

/// What mails and webhooks need.
#[derive(Debug, Clone)]
pub struct Notifications {
    /// The database.
    pub db: Db,
    /// The shop's key.
    pub keys: Keys,
    /// The shop.
    pub site: Site,
    /// The SMTP server; without one, mails wait in the outbox.
    pub mail: Option<SmtpConfig>,
    /// Where webhooks may go.
    pub targets: Targets,
    /// Where the consumers of the process are measured.
    pub metrics: ConsumerMetrics,
}

impl Notifications {
    /// Starts the consumers of events, mails and webhooks. Each works until `stop` turns true.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn start(self, stop: &watch::Receiver<bool>) -> Result<Vec<JoinHandle<()>>, ClientError> {
        let sender = Sender {
            db: self.db.clone(),
            keys: self.keys.clone(),
            targets: self.targets,
            client: self.targets.client(DEADLINE)?,
        };
        let lanes = Lanes::new(sender, LaneSettings::default(), self.metrics.clone());
        let mut tasks = vec![tokio::spawn(lanes.run(stop.clone()))];
        let consumer = |topic, handler| {
            let settings = ConsumerSettings::default();
            let metrics = self.metrics.clone();
            Consumer::new(self.db.clone(), topic, settings, handler, metrics)
        };
        let events = FanOut::new(self.db.clone(), order_link(&self.site, self.keys.clone()));
        let events = consumer(Topic::EVENT, Arc::new(events));
        tasks.push(tokio::spawn(events.run(stop.clone())));
        match self.mail.clone() {
            Some(config) => {
                let mailer = Mailer::new(config, self.site.clone());
                let mails = consumer(Topic::MAIL, Arc::new(mailer));
                tasks.push(tokio::spawn(mails.run(stop.clone())));
            }
            None => tracing::warn!("PANONO_SMTP_SERVER is not set: mails wait in the outbox"),
        }
        Ok(tasks)
    }
}

/// Where shoppers follow their orders without an account.
fn order_link(site: &Site, keys: Keys) -> OrderLink {
    let origin = site.origin.clone();
    let default = site.default_locale();
    Arc::new(move |number, tag| {
        let locale = Locale::from_tag(tag).unwrap_or(default);
        let page = format!("{origin}/{}/orders/{number}", locale.segment());
        match number.parse::<OrderNumber>() {
            Ok(number) => format!("{page}?key={}", link::sign(&keys, &number)),
            // It was not made by this release; whoever has an account finds it there.
            Err(_) => page,
        }
    })
}
