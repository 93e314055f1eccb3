//! Having an order paid: the provider is asked once, and what it does not answer is found out.

use std::sync::Arc;
use std::time::Duration;

use sqlx::MySqlConnection;

use super::model::{
    MethodInput, OperationKind, OperationState, PaymentState, Report, Standing, Status,
};
use super::provider::{Confirming, Failure, Moving, Opening, Provider};
use super::store::{self, NewOperation};
use super::{AGAIN, LEASE, Payment, Payments, unknown_payment};
use crate::catalog::model::Money;
use crate::crash::{self, Point};
use crate::db::DbError;
use crate::web::error::{ApiError, Code};
use crate::web::private::PublicId;

/// The code of a payment for which nobody could be asked.
pub const UNAVAILABLE: &str = "provider_unavailable";
/// The code of a payment that nobody went on with.
pub const ABANDONED: &str = "abandoned";
/// A confirmation that was asked for and has not arrived for so long never will: whoever asked has given up long ago.
const NEVER_ARRIVED: Duration = Duration::from_secs(90);

/// What is needed to ask a provider.
#[derive(Debug, Clone)]
struct Begun {
    payment: Payment,
    order_number: String,
    locale: String,
    operation: String,
    /// Whether it was asked before, by a process that is gone.
    again: bool,
}

enum Beginning {
    /// Ask.
    Ask(Box<Begun>),
    /// Somebody asks, or has asked.
    Stands(Box<Payment>),
}

impl Payments {
    /// Has a payment paid with what the shopper gave, and says what stands. `return_url` is where the provider sends the shopper after
    /// a second step. No transaction may be open.
    ///
    /// The provider is asked once for each payment, however often this is called: later calls say what stands.
    ///
    /// # Errors
    /// 404 when there is no such payment; those of the database. What the provider says or does not say is a standing, not an error.
    pub async fn authorise(
        &self,
        payment_id: i64,
        method: &MethodInput,
        return_url: &str,
    ) -> Result<Standing, ApiError> {
        self.authorise_in_task(payment_id, method, return_url, false)
            .await
    }

    /// Goes on with a payment whose process died while it had it paid: what became of it is asked first, and where it was not paid it is
    /// asked for again with the same keys. The caller knows that the process is gone.
    ///
    /// # Errors
    /// As of [`Payments::authorise`].
    pub async fn authorise_again(
        &self,
        payment_id: i64,
        method: &MethodInput,
        return_url: &str,
    ) -> Result<Standing, ApiError> {
        self.authorise_in_task(payment_id, method, return_url, true)
            .await
    }

    async fn authorise_in_task(
        &self,
        payment_id: i64,
        method: &MethodInput,
        return_url: &str,
        again: bool,
    ) -> Result<Standing, ApiError> {
        let this = self.clone();
        let (method, return_url) = (method.clone(), return_url.to_owned());
        // In a task of its own: whoever asked may go away, and what the provider answers must be written all the same.
        tokio::spawn(async move {
            let begun = match this.begin(payment_id, again).await? {
                Beginning::Ask(begun) => *begun,
                Beginning::Stands(payment) if again && payment.state.is_open() => {
                    return Ok(this.look(payment_id).await?.0.standing());
                }
                Beginning::Stands(payment) => return Ok(payment.standing()),
            };
            this.authorise_once(begun, method, return_url).await
        })
        .await
        .unwrap_or_else(|_| Err(DbError::Aborted.into()))
    }

    async fn authorise_once(
        &self,
        begun: Begun,
        method: MethodInput,
        return_url: String,
    ) -> Result<Standing, ApiError> {
        let payment_id = begun.payment.id;
        let Some(provider) = self.provider(&begun.payment.provider) else {
            return self.fail(payment_id, UNAVAILABLE).await;
        };
        if begun.again && begun.payment.reference.is_some() {
            let (payment, answered) = self.look(payment_id).await?;
            if !answered || payment.state != PaymentState::Started {
                return Ok(payment.standing());
            }
        }
        let opening = opening(&begun);
        crash::here(Point::Asking);
        let opened = provider.open(&opening).await;
        crash::here(Point::Opened);
        self.count(&*provider, "open", &opened);
        let reference = match opened {
            Ok(reference) => reference,
            // An open payment holds no money, so that this is a failure whether it was opened or not.
            Err(failure) => {
                tracing::warn!(payment = %begun.payment.public_id, cause = failure.text(), "a payment could not be opened");
                let code = match failure {
                    Failure::Refused { code } => code,
                    Failure::NotAsked(_) | Failure::Unknown(_) => UNAVAILABLE.to_owned(),
                };
                return self.fail(payment_id, &code).await;
            }
        };
        if !self.keep_reference(payment_id, &reference).await? {
            return Ok(self.payment(payment_id).await?.standing());
        }
        crash::here(Point::Named);
        let confirming = Confirming {
            reference,
            key: begun.operation,
            method,
            return_url,
            locale: begun.locale,
        };
        let confirmed = provider.confirm(&confirming).await;
        crash::here(Point::Confirmed);
        self.count(&*provider, OperationKind::Authorize.name(), &confirmed);
        match confirmed {
            Ok(report) => Ok(self.record(payment_id, report).await?.payment.standing()),
            Err(Failure::Refused { code }) => self.fail(payment_id, &code).await,
            Err(Failure::NotAsked(cause)) => {
                tracing::warn!(payment = %begun.payment.public_id, cause = crate::web::error::chain(cause.as_ref()), "a payment provider could not be asked");
                self.fail(payment_id, UNAVAILABLE).await
            }
            Err(Failure::Unknown(cause)) => {
                tracing::warn!(payment = %begun.payment.public_id, cause = crate::web::error::chain(cause.as_ref()), "what became of a payment is not known; the provider will be asked");
                self.note_unknown(payment_id).await?;
                Ok(Standing::Pending)
            }
        }
    }

    async fn begin(&self, payment_id: i64, again: bool) -> Result<Beginning, ApiError> {
        let operation = PublicId::random();
        self.db()
            .transaction(move |connection| {
                Box::pin(async move {
                    let payment = store::lock(connection, payment_id)
                        .await?
                        .ok_or_else(unknown_payment)?;
                    let asked = store::operations(connection, payment_id)
                        .await?
                        .into_iter()
                        .find(|known| known.kind == OperationKind::Authorize);
                    if payment.state != PaymentState::Started || (asked.is_some() && !again) {
                        return Ok(Beginning::Stands(Box::new(payment)));
                    }
                    let (order_number, locale) =
                        store::order_of(connection, payment.order_id).await?;
                    let again = asked.is_some();
                    let operation = match asked {
                        Some(asked) => {
                            store::operation_renew(connection, asked.id).await?;
                            asked.public_id
                        }
                        None => {
                            ask_first(connection, &payment, operation).await?;
                            operation.to_string()
                        }
                    };
                    store::schedule(connection, payment_id, Some(LEASE)).await?;
                    Ok(Beginning::Ask(Box::new(Begun {
                        payment,
                        order_number,
                        locale,
                        operation,
                        again,
                    })))
                })
            })
            .await
    }

    /// Writes the provider's name of a payment. False when somebody has given the payment up meanwhile.
    async fn keep_reference(&self, payment_id: i64, reference: &str) -> Result<bool, ApiError> {
        let reference = Arc::new(reference.to_owned());
        self.db()
            .transaction(move |connection| {
                let reference = Arc::clone(&reference);
                Box::pin(async move {
                    let payment = store::lock(connection, payment_id)
                        .await?
                        .ok_or_else(unknown_payment)?;
                    if !payment.state.is_open() {
                        return Ok(false);
                    }
                    Ok::<_, ApiError>(
                        store::set_reference(connection, payment_id, &reference).await?,
                    )
                })
            })
            .await
    }

    async fn note_unknown(&self, payment_id: i64) -> Result<(), ApiError> {
        self.db()
            .transaction(move |connection| {
                Box::pin(async move {
                    let mut payment = store::lock(connection, payment_id)
                        .await?
                        .ok_or_else(unknown_payment)?;
                    // A message of the provider may have been quicker.
                    if payment.state == PaymentState::Started {
                        payment.state = PaymentState::Unknown;
                        store::update(connection, &payment).await?;
                        store::schedule(connection, payment_id, Some(AGAIN.jittered(1))).await?;
                    }
                    Ok::<_, ApiError>(())
                })
            })
            .await
    }

    /// Reads a payment.
    pub(crate) async fn payment(&self, payment_id: i64) -> Result<Payment, ApiError> {
        let mut primary = self.db().primary().await?;
        store::find(&mut primary.connection, payment_id)
            .await?
            .ok_or_else(unknown_payment)
    }

    /// Asks the provider what became of a payment, and says what stands. No transaction may be open.
    ///
    /// # Errors
    /// 404 when there is no such payment; those of the database. A provider that does not answer leaves the payment as it is.
    pub async fn refresh(&self, payment_id: i64) -> Result<Standing, ApiError> {
        let this = self.clone();
        tokio::spawn(async move { Ok(this.look(payment_id).await?.0.standing()) })
            .await
            .unwrap_or_else(|_| Err(DbError::Aborted.into()))
    }

    /// Asks what became of a payment. Answers it, and whether the provider has said something, if there is anybody to ask.
    pub(crate) async fn look(&self, payment_id: i64) -> Result<(Payment, bool), ApiError> {
        let payment = self.payment(payment_id).await?;
        let Some(reference) = payment.reference.clone() else {
            return Ok((payment, true));
        };
        let Some(provider) = self.provider(&payment.provider) else {
            return Ok((payment, true));
        };
        let reported = provider.report(&reference).await;
        self.count(&*provider, "report", &reported);
        crash::here(Point::Reported);
        match reported {
            Ok(report) => {
                let recorded = self.record(payment_id, report).await?;
                crash::here(Point::Found);
                Ok((recorded.payment, true))
            }
            Err(failure) => {
                tracing::warn!(payment = %payment.public_id, cause = failure.text(), "a payment provider did not say what became of a payment");
                Ok((payment, false))
            }
        }
    }

    /// Looks after a payment that is due: the worker's part of an authorisation. Nobody may be asking the provider at the same time,
    /// which the lease of the payment's row sees to.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn look_after(&self, payment_id: i64) -> Result<(), ApiError> {
        let payment = self.payment(payment_id).await?;
        if payment.state.is_open() {
            self.find_out(&payment).await?;
        }
        let payment = self.payment(payment_id).await?;
        if payment.state.is_open() {
            let checks = u32::try_from(payment.checks).unwrap_or(1);
            return self
                .look_again(payment_id, Some(AGAIN.jittered(checks)))
                .await;
        }
        self.run_after(payment.order_id).await?;
        self.look_again(payment_id, None).await
    }

    async fn look_again(
        &self,
        payment_id: i64,
        check_in: Option<Duration>,
    ) -> Result<(), ApiError> {
        let mut primary = self.db().primary().await?;
        Ok(store::schedule(&mut primary.connection, payment_id, check_in).await?)
    }

    async fn find_out(&self, payment: &Payment) -> Result<(), ApiError> {
        let asked = self.authorisation(payment.id).await?;
        let (Some((key, age)), Some(provider)) = (asked, self.provider(&payment.provider)) else {
            // Nobody asked, and nobody is about to: whoever comes too late finds a payment that has failed.
            self.fail(payment.id, ABANDONED).await?;
            return Ok(());
        };
        let Some(reference) = payment.reference.clone() else {
            // Without a name it was never confirmed, and whoever opened it now is told that it has failed.
            self.fail(payment.id, ABANDONED).await?;
            return Ok(());
        };
        let reported = provider.report(&reference).await;
        self.count(&*provider, "report", &reported);
        crash::here(Point::Reported);
        let report = match reported {
            Ok(report) => report,
            Err(failure) => {
                tracing::warn!(payment = %payment.public_id, cause = failure.text(), "a payment provider did not say what became of a payment");
                return Ok(());
            }
        };
        if report.status != Status::Waiting {
            self.record(payment.id, report).await?;
            crash::here(Point::Found);
            return Ok(());
        }
        if age >= NEVER_ARRIVED && self.give_up(payment.id).await? {
            // The confirmation may still be on its way, so that the payment is closed at the provider before it is closed here.
            self.close(payment, &*provider, &reference, &key).await?;
        }
        Ok(())
    }

    /// Notes that a payment is about to be closed: from now on nobody goes on with it. False when somebody has just done so.
    async fn give_up(&self, payment_id: i64) -> Result<bool, ApiError> {
        self.db()
            .transaction(move |connection| {
                Box::pin(async move {
                    let mut payment = store::lock(connection, payment_id)
                        .await?
                        .ok_or_else(unknown_payment)?;
                    let asked = store::operations(connection, payment_id)
                        .await?
                        .into_iter()
                        .find(|known| known.kind == OperationKind::Authorize);
                    if !payment.state.is_open()
                        || asked.is_none_or(|asked| asked.age < NEVER_ARRIVED)
                    {
                        return Ok(false);
                    }
                    if payment.state == PaymentState::Started {
                        payment.state = PaymentState::Unknown;
                        store::update(connection, &payment).await?;
                    }
                    Ok::<_, ApiError>(true)
                })
            })
            .await
    }

    async fn close(
        &self,
        payment: &Payment,
        provider: &dyn Provider,
        reference: &str,
        key: &str,
    ) -> Result<(), ApiError> {
        let moving = Moving {
            reference: reference.to_owned(),
            key: format!("{key}-close"),
            amount: Money::new(payment.amount, payment.currency),
            last: false,
        };
        let closed = provider.void(&moving).await;
        self.count(provider, "close", &closed);
        match closed {
            Ok(_) => {
                self.fail(payment.id, ABANDONED).await?;
            }
            Err(failure) => {
                tracing::warn!(payment = %payment.public_id, cause = failure.text(), "an abandoned payment could not be closed at its provider");
            }
        }
        Ok(())
    }

    /// The key of the question whether a payment can be paid, and how long ago it was asked.
    async fn authorisation(&self, payment_id: i64) -> Result<Option<(String, Duration)>, ApiError> {
        let mut primary = self.db().primary().await?;
        let operations = store::operations(&mut primary.connection, payment_id).await?;
        Ok(operations
            .into_iter()
            .find(|operation| operation.kind == OperationKind::Authorize)
            .map(|operation| (operation.public_id, operation.age)))
    }

    /// Writes that a payment has failed, unless it has succeeded meanwhile.
    async fn fail(&self, payment_id: i64, code: &str) -> Result<Standing, ApiError> {
        let payment = self.payment(payment_id).await?;
        let report = Report {
            reference: payment.reference.unwrap_or_default(),
            status: Status::Failed {
                code: code.to_owned(),
            },
            authorized: 0,
            captured: 0,
            method: None,
            fingerprint: None,
            operations: Vec::new(),
        };
        Ok(self.record(payment_id, report).await?.payment.standing())
    }

    pub(crate) fn count<T>(
        &self,
        provider: &dyn Provider,
        kind: &'static str,
        answer: &Result<T, Failure>,
    ) {
        let result = match answer {
            Ok(_) => "answered",
            Err(Failure::Refused { .. }) => "refused",
            Err(Failure::NotAsked(_)) => "not_asked",
            Err(Failure::Unknown(_)) => "unknown",
        };
        self.metrics().asked(provider.name(), kind, result);
    }
}

/// Records that a provider is about to be asked whether a payment can be paid.
async fn ask_first(
    connection: &mut MySqlConnection,
    payment: &Payment,
    operation: PublicId,
) -> Result<(), sqlx::Error> {
    let row = NewOperation {
        public_id: operation.as_str(),
        payment_id: payment.id,
        kind: OperationKind::Authorize,
        state: OperationState::Started,
        amount: payment.amount,
        is_last: false,
        reference: None,
        return_id: None,
        reason: "",
        actor: "customer",
    };
    // It is looked after together with its payment, which has the time for it.
    store::operation_insert(connection, &row, None).await?;
    Ok(())
}

fn opening(begun: &Begun) -> Opening {
    Opening {
        key: begun.payment.public_id.clone(),
        amount: Money::new(begun.payment.amount, begun.payment.currency),
        order_number: begun.order_number.clone(),
    }
}

/// What is offered must be there.
///
/// # Errors
/// 422 when the shop does not have the provider.
pub fn require(payments: &Payments, provider: &str) -> Result<(), ApiError> {
    if payments.provider(provider).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = payments
        .offers()
        .iter()
        .map(super::Offer::provider)
        .collect();
    Err(ApiError::new(Code::Unprocessable)
        .detail("see `errors`")
        .field(
            "/payment/provider",
            format!("must be one of: {}", known.join(", ")),
        ))
}
