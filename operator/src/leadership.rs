//! One process acts at a time, by a Lease.
//!
//! The leader renews every 2 s. Others take over when the Lease has not changed for 15 s by *their* clock; the leader stops acting
//! when 10 s have passed since it *began* its last successful renewal, by its own clock. No clock is compared with another one's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Error};
use tokio::time::Instant;

const LEASE: Duration = Duration::from_secs(15);
const ACT: Duration = Duration::from_secs(10);
const RENEW: Duration = Duration::from_secs(2);
const CALL_LIMIT: Duration = Duration::from_secs(4);

/// Whether this process may act.
#[derive(Debug, Default)]
pub struct Leadership {
    until: Mutex<Option<Instant>>,
}

impl Leadership {
    /// For a process that is alone and needs no Lease.
    pub fn always() -> Self {
        let leadership = Self::default();
        leadership.set(Some(
            Instant::now() + Duration::from_secs(100 * 365 * 86_400),
        ));
        leadership
    }

    /// Whether it may act at this moment.
    pub fn holds(&self) -> bool {
        self.until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|until| Instant::now() < until)
    }

    fn set(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// A candidate.
#[derive(Debug)]
pub struct Election {
    /// Its name among the candidates.
    pub identity: String,
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
}

/// What was seen of the Lease, and when it was seen to change last.
#[derive(Debug, Default)]
struct Seen {
    holder: Option<String>,
    renewed: Option<MicroTime>,
    at: Option<Instant>,
}

impl Election {
    fn api(&self, client: &Client) -> Api<Lease> {
        Api::namespaced(client.clone(), &self.namespace)
    }

    /// Waits until this process leads.
    pub async fn win(&self, client: &Client, leadership: &Leadership) {
        let mut seen = Seen::default();
        loop {
            match self.attempt(client, leadership, &mut seen).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = %crate::failure::client(&error), "failed to ask for the lead");
                }
            }
            tokio::time::sleep(RENEW.mul_f64(rand::random_range(0.8..1.2))).await;
        }
    }

    /// Renews until the lead is lost, and returns then.
    pub async fn keep(&self, client: &Client, leadership: &Leadership) {
        let mut seen = Seen::default();
        while leadership.holds() {
            tokio::time::sleep(RENEW).await;
            match self.attempt(client, leadership, &mut seen).await {
                Ok(true) => {}
                Ok(false) => {
                    leadership.set(None);
                    tracing::error!("another process of the operator leads");
                }
                Err(error) => {
                    tracing::warn!(error = %crate::failure::client(&error), "failed to renew the lead");
                }
            }
        }
        leadership.set(None);
    }

    /// Gives the lead back, so that another process need not wait.
    pub async fn resign(&self, client: &Client, leadership: &Leadership) {
        leadership.set(None);
        let api = self.api(client);
        let release = async {
            let mut lease = api.get(&self.name).await?;
            if let Some(spec) = &mut lease.spec
                && spec.holder_identity.as_deref() == Some(&self.identity)
            {
                spec.holder_identity = Some(String::new());
                spec.lease_duration_seconds = Some(1);
                api.replace(&self.name, &PostParams::default(), &lease)
                    .await?;
            }
            Ok::<(), Error>(())
        };
        if tokio::time::timeout(CALL_LIMIT, release).await.is_err() {
            tracing::warn!("failed to give the lead back in time");
        }
    }

    /// Takes or renews the Lease if it may be taken. Says whether this process leads.
    async fn attempt(
        &self,
        client: &Client,
        leadership: &Leadership,
        seen: &mut Seen,
    ) -> Result<bool, Error> {
        let began = Instant::now();
        let outcome = tokio::time::timeout(CALL_LIMIT, self.take(client, seen)).await;
        match outcome {
            Ok(Ok(true)) => {
                leadership.set(Some(began + ACT));
                Ok(true)
            }
            Ok(other) => other,
            Err(_) => {
                tracing::warn!("no answer about the lead in {CALL_LIMIT:?}");
                // Not known; what is held runs out by itself.
                Ok(leadership.holds())
            }
        }
    }

    async fn take(&self, client: &Client, seen: &mut Seen) -> Result<bool, Error> {
        let api = self.api(client);
        let parameters = PostParams::default();
        let now = || MicroTime(k8s_openapi::jiff::Timestamp::now());
        let fresh = |transitions: i32| LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: Some(now()),
            renew_time: Some(now()),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        };
        let Some(mut lease) = api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(fresh(0)),
            };
            return match api.create(&parameters, &lease).await {
                Ok(_) => Ok(true),
                Err(Error::Api(status)) if status.code == 409 => Ok(false),
                Err(error) => Err(error),
            };
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().filter(|name| !name.is_empty());
        if seen.holder != holder || seen.renewed != spec.renew_time || seen.at.is_none() {
            *seen = Seen {
                holder: holder.clone(),
                renewed: spec.renew_time.clone(),
                at: Some(Instant::now()),
            };
        }
        let mine = holder.as_deref() == Some(&self.identity);
        let over = seen.at.is_some_and(|at| at.elapsed() >= LEASE);
        if !mine && holder.is_some() && !over {
            return Ok(false);
        }
        lease.spec = Some(if mine {
            LeaseSpec {
                renew_time: Some(now()),
                ..spec
            }
        } else {
            fresh(spec.lease_transitions.unwrap_or(0).saturating_add(1))
        });
        // With its version: of two that take it at the same time, one is refused.
        match api.replace(&self.name, &parameters, &lease).await {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }
}
