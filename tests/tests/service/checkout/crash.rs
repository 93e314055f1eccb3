//! A process dies between any two steps; what it began is ended by whoever comes next.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use panono_shop::crash::Point;
use panono_tests::fake::stripe::{FakeStripe, WEBHOOK_SECRET};
use panono_tests::http;
use panono_tests::market::{Buyer, Cart, GOOD_CARD, Market};
use panono_tests::mysql::TestDatabase;
use panono_tests::shop::Shop;
use panono_tests::staff::Staff;
use panono_tests::wait::wait_until;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::market;
use crate::payments::with_stripe;

/// The leases of keys, payments and operations, and some time for a busy machine.
const LIMIT: Duration = Duration::from_secs(300);
/// Needs a second step at the test provider, and at Stripe.
const SECOND_STEP: &str = "4000000000003220";
const STRIPE_SECOND_STEP: &str = "pm_card_threeDSecure2Required";
/// Held by the test provider two seconds after it was asked, and told by a message.
const LATE: &str = "4000000000001034";
/// Processes that are started at a time.
const AT_ONCE: usize = 3;

/// What a web process is asked when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    /// To complete a cart.
    Order,
    /// To complete a cart with a card that needs a second step.
    SecondStep,
    /// By a shopper who comes back from the second step.
    Return,
    /// By the provider, with a message.
    Message,
    /// By the staff, to capture.
    Capture,
}

/// In which scenes a web process passes a point. A new point does not compile before it is in one.
const fn scenes(point: Point) -> &'static [Scene] {
    match point {
        Point::Claimed
        | Point::Drafted
        | Point::Held
        | Point::Prepared
        | Point::Asking
        | Point::Opened
        | Point::Named
        | Point::Confirmed
        | Point::Paid => &[Scene::Order],
        Point::Placing | Point::Placed => &[Scene::Order, Scene::Return, Scene::Message],
        Point::Deferred => &[Scene::SecondStep],
        Point::Reported | Point::Found => &[Scene::Return, Scene::Message],
        Point::MessageKept | Point::MessageProcessed => &[Scene::Message],
        Point::OperationRecorded | Point::OperationAnswered | Point::OperationSettled => {
            &[Scene::Capture]
        }
    }
}

/// Whether a worker that ends an order with a card that pays late passes a point.
const fn is_of_worker(point: Point) -> bool {
    match point {
        Point::Claimed
        | Point::Drafted
        | Point::Held
        | Point::Prepared
        | Point::Asking
        | Point::Opened
        | Point::Named
        | Point::Confirmed
        | Point::Paid
        | Point::Deferred => false,
        Point::Placing
        | Point::Placed
        | Point::MessageKept
        | Point::Reported
        | Point::Found
        | Point::MessageProcessed
        | Point::OperationRecorded
        | Point::OperationAnswered
        | Point::OperationSettled => true,
    }
}

/// Whether the money was held before the process died, so that the order is placed whoever comes next.
fn was_paid(point: Point, scene: Scene) -> bool {
    match scene {
        Scene::Order => point >= Point::Confirmed,
        Scene::SecondStep => false,
        Scene::Return | Scene::Message | Scene::Capture => true,
    }
}

/// What was asked of the process that died, to be asked again.
#[derive(Debug, Clone)]
enum Question {
    Complete(&'static str),
    Page(String),
    Event(Value),
    Capture(String),
}

/// What became of one process.
#[derive(Debug)]
struct Died {
    point: Point,
    scene: Scene,
    cart: Cart,
    question: Question,
}

/// A shop whose processes die, and one process that does not.
struct Bed {
    _database: TestDatabase<'static>,
    market: Market,
    stripe: FakeStripe,
    shop: Shop,
    staff: Staff,
}

impl Bed {
    async fn new() -> Result<Self> {
        let (database, mut market) = market(1, 1_000).await?;
        let stripe = FakeStripe::start().await;
        market.environment = with_stripe(&market.environment, &stripe.url())
            .with("PANONO_CHECKOUT_HOLD", "20")
            .with("PANONO_PAYMENT_CAPTURE", "on_shipment");
        let shop = market.environment.serve().await?;
        let staff = Staff::new(&market.environment, &shop.url()).await?;
        Ok(Self {
            _database: database,
            market,
            stripe,
            shop,
            staff,
        })
    }

    /// Asks a process; answers status and body.
    async fn ask(&self, base: &str, cart: &Cart, question: &Question) -> Result<(u16, Value)> {
        match question {
            Question::Complete(card) => {
                let reply = Buyer::at(base).order(cart, &cart.id, card).await?;
                Ok((reply.status.as_u16(), reply.body))
            }
            Question::Page(path) => {
                let answer = http::client().get(format!("{base}{path}")).send().await?;
                Ok((answer.status().as_u16(), Value::Null))
            }
            Question::Event(event) => {
                let now = OffsetDateTime::now_utc().unix_timestamp();
                let status = self.stripe.send(base, event, WEBHOOK_SECRET, now).await?;
                Ok((status, Value::Null))
            }
            Question::Capture(path) => {
                let key = Some(cart.id.as_str());
                self.staff
                    .at(base)
                    .ask(Method::POST, path, &json!({}), key)
                    .await
            }
        }
    }

    /// Lets the shopper of an order pass the second step at the test provider; answers where that leads to.
    async fn approve(&self, waiting: &Value) -> Result<String> {
        let url = waiting["url"].as_str().context("no second step")?;
        let path = url.split_once("/en/").context("another page")?.1;
        let decided = http::client()
            .post(format!("{}/en/{path}", self.shop.url()))
            .form(&[("decision", "approve")])
            .send()
            .await?;
        let back = decided
            .headers()
            .get("location")
            .context("no way back")?
            .to_str()?;
        let path = back.split_once("/en/").context("another page")?.1;
        Ok(format!("/en/{path}"))
    }

    /// Does what comes before the question in a scene; answers the question.
    async fn lead_to(&self, scene: Scene, cart: &Cart) -> Result<Question> {
        let shop = self.shop.url();
        let complete = async |provider: &str, token: &str| {
            let body = json!({ "expected_total": cart.total, "payment": { "provider": provider, "token": token } });
            Buyer::at(&shop).send(&cart.id, Some("first"), &body).await
        };
        Ok(match scene {
            Scene::Order => Question::Complete(GOOD_CARD),
            Scene::SecondStep => Question::Complete(SECOND_STEP),
            Scene::Return => {
                let waiting = complete("test", SECOND_STEP).await?;
                Question::Page(self.approve(&waiting.body).await?)
            }
            Scene::Message => {
                let waiting = complete("stripe", STRIPE_SECOND_STEP).await?;
                let intent = self.reference(&waiting.body).await?;
                self.stripe.authenticate(&intent, true);
                let told = self
                    .stripe
                    .events()
                    .into_iter()
                    .rfind(|event| event["data"]["object"]["id"] == intent.as_str());
                Question::Event(told.context("Stripe tells nothing")?)
            }
            Scene::Capture => {
                let placed = complete("test", GOOD_CARD).await?;
                ensure!(placed.placed().is_some(), "{placed:?}");
                let payment: String = sqlx::query_scalar("SELECT p.public_id FROM payment p JOIN orders o ON o.id = p.order_id WHERE o.number = ?")
                    .bind(placed.placed())
                    .fetch_one(&self.market.pool)
                    .await?;
                Question::Capture(format!("/payments/{payment}/captures"))
            }
        })
    }

    /// The provider's name of the payment of an order.
    async fn reference(&self, order: &Value) -> Result<String> {
        Ok(sqlx::query_scalar("SELECT p.reference FROM payment p JOIN orders o ON o.id = p.order_id WHERE o.number = ?")
            .bind(order["number"].as_str())
            .fetch_one(&self.market.pool)
            .await?)
    }

    /// Has a web process die at a point.
    async fn die(&self, point: Point, scene: Scene) -> Result<Died> {
        let cart = self
            .market
            .cart(&[(self.market.variants[0], 1)], None)
            .await?;
        let question = self.lead_to(scene, &cart).await?;
        let doomed = self
            .market
            .environment
            .clone()
            .with("PANONO_CRASH_AT", point.name())
            .serve()
            .await?;
        let answer = self.ask(&doomed.url(), &cart, &question).await;
        // A message is acknowledged before it is processed; nobody else is answered.
        ensure!(
            scene == Scene::Message || answer.is_err(),
            "{point:?} in {scene:?}: the process did not die: {answer:?}"
        );
        wait_until("the process to be gone", LIMIT, async || {
            doomed.process().ended().is_ok_and(|ended| ended.is_some())
        })
        .await
        .with_context(|| format!("{point:?} in {scene:?}"))?;
        Ok(Died {
            point,
            scene,
            cart,
            question,
        })
    }

    /// Has a web process die at every point, in every scene in which it passes it.
    async fn die_everywhere(&self) -> Result<Vec<Died>> {
        let all = Point::ALL
            .iter()
            .flat_map(|&point| scenes(point).iter().map(move |&scene| (point, scene)));
        stream::iter(all)
            .map(|(point, scene)| self.die(point, scene))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Asks again what the process that died was asked.
    async fn repeat(&self, died: &Died) -> Result<()> {
        let shop = self.shop.url();
        let wanted = match died.scene {
            Scene::Order | Scene::Capture => 201,
            Scene::SecondStep => 202,
            Scene::Return => 303,
            Scene::Message => 200,
        };
        let again = async || {
            let (status, body) = self.ask(&shop, &died.cart, &died.question).await?;
            ensure!(status == wanted, "{status}: {body}");
            anyhow::Ok(body)
        };
        let first = wait_until("the answer", LIMIT, async || again().await).await?;
        match died.scene {
            Scene::Order | Scene::Capture => ensure!(again().await? == first),
            Scene::SecondStep => {
                let back = self.approve(&first).await?;
                let (status, _) = self.ask(&shop, &died.cart, &Question::Page(back)).await?;
                ensure!(status == 303, "{status}");
            }
            Scene::Return | Scene::Message => {}
        }
        Ok(())
    }

    /// Waits until the worker has nothing to do for any order, and looks whether these and no others are placed, each paid for
    /// once and no other paid for.
    async fn ends_with(&self, placed: &[&Died]) -> Result<()> {
        wait_until("everything to be ended", LIMIT, async || {
            // Orders, payments, operations, messages.
            let open: (i64, i64, i64, i64) = sqlx::query_as(
                "SELECT (SELECT COUNT(*) FROM orders WHERE state = 'pending'), \
                   (SELECT COUNT(*) FROM payment WHERE state IN ('started','unknown','action_required')), \
                   (SELECT COUNT(*) FROM payment_operation WHERE state IN ('started','unknown')), \
                   (SELECT COUNT(*) FROM payment_event WHERE processed_at IS NULL)",
            )
            .fetch_one(&self.market.pool)
            .await?;
            ensure!(open == (0, 0, 0, 0), "{open:?} are open");
            anyhow::Ok(())
        })
        .await?;
        let mut wanted: Vec<&str> = placed.iter().map(|died| died.cart.id.as_str()).collect();
        wanted.sort_unstable();
        let ordered: Vec<String> = sqlx::query_scalar(
            "SELECT c.public_id FROM cart c JOIN orders o ON o.cart_id = c.id WHERE c.state = 'ordered' AND o.state = 'placed' ORDER BY c.public_id",
        )
        .fetch_all(&self.market.pool)
        .await?;
        assert_eq!(ordered, wanted);
        for (wrong, statement) in [
            (
                "carts that nobody can go on with",
                "SELECT COUNT(*) FROM cart WHERE state NOT IN ('ordered', 'open')",
            ),
            (
                "money that is held or kept for nothing",
                "SELECT COUNT(*) FROM test_payment t JOIN orders o ON o.number = t.order_number WHERE o.state <> 'placed' AND (t.authorized > t.captured OR t.captured > t.refunded)",
            ),
            (
                "orders that were paid for twice",
                "SELECT COUNT(*) FROM (SELECT order_number FROM test_payment WHERE authorized > 0 GROUP BY order_number HAVING COUNT(*) > 1) twice",
            ),
            (
                "captures that were made twice",
                "SELECT COUNT(*) FROM test_payment_effect e JOIN test_payment t ON t.reference = e.reference WHERE e.kind = 'capture' AND e.amount <> t.captured",
            ),
        ] {
            assert_eq!(self.market.count(statement).await?, 0, "{wrong}");
        }
        let held: i64 = self
            .stripe
            .intents()
            .iter()
            .filter_map(|intent| intent["amount_capturable"].as_i64())
            .sum();
        let messages = placed
            .iter()
            .filter(|died| died.scene == Scene::Message)
            .map(|died| died.cart.total);
        assert_eq!(held, messages.sum::<i64>());
        self.market.check().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_repeats_the_request_gets_one_order() -> Result<()> {
    let bed = Bed::new().await?;
    let died = bed.die_everywhere().await?;
    // Shoppers need no worker.
    let of_shoppers =
        |died: &&Died| matches!(died.scene, Scene::Order | Scene::SecondStep | Scene::Return);
    for died in died.iter().filter(of_shoppers) {
        bed.repeat(died)
            .await
            .with_context(|| format!("{:?} in {:?}", died.point, died.scene))?;
    }
    let _worker = bed.market.environment.worker().await?;
    for died in died.iter().filter(|died| !of_shoppers(died)) {
        bed.repeat(died)
            .await
            .with_context(|| format!("{:?} in {:?}", died.point, died.scene))?;
    }
    bed.ends_with(&died.iter().collect::<Vec<_>>()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_asks_for_again_is_ended_by_the_worker() -> Result<()> {
    let bed = Bed::new().await?;
    let died = bed.die_everywhere().await?;
    let _worker = bed.market.environment.worker().await?;
    let paid: Vec<_> = died
        .iter()
        .filter(|died| was_paid(died.point, died.scene))
        .collect();
    bed.ends_with(&paid).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_is_followed_by_another() -> Result<()> {
    let (_database, market) = market(1, 1_000).await?;
    let shop = market.environment.serve().await?;
    let buyer = Buyer::at(&shop.url());
    let mut orders = 0;
    for point in Point::ALL.iter().filter(|point| is_of_worker(**point)) {
        let cart = market.cart(&[(market.variants[0], 1)], None).await?;
        let waiting = buyer.order(&cart, &cart.id, LATE).await?;
        ensure!(waiting.status == 202, "{waiting:?}");
        orders += 1;
        let doomed = market
            .environment
            .clone()
            .with("PANONO_CRASH_AT", point.name());
        // It may die before it says that it is ready.
        if let Ok(worker) = doomed.worker().await {
            wait_until("the worker to be gone", LIMIT, async || {
                worker.process().ended().is_ok_and(|ended| ended.is_some())
            })
            .await
            .with_context(|| format!("{point:?}"))?;
        }
    }
    let _worker = market.environment.worker().await?;
    wait_until("every order to be paid", LIMIT, async || {
        let paid = market
            .count("SELECT COUNT(*) FROM orders WHERE state = 'placed' AND payment_state = 'paid'")
            .await
            .map_err(|error| error.to_string())?;
        if paid == orders {
            Ok(())
        } else {
            Err(format!("{paid} of {orders}"))
        }
    })
    .await?;
    let captured = "SELECT COUNT(*) FROM test_payment_effect WHERE kind = 'capture'";
    assert_eq!(market.count(captured).await?, orders);
    market.check().await
}
