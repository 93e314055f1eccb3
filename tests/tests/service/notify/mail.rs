//! Mails: from an event to a mail server that keeps them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use panono_shop::db::Db;
use panono_shop::notify::event::EventKind;
use panono_shop::notify::mail::send::{Mailer, SmtpConfig, SmtpTls};
use panono_shop::notify::mail::{Mail, Template, enqueue};
use panono_shop::outbound::secret::Secret;
use panono_shop::outbox::consumer::{Consumer, ConsumerSettings, Drained};
use panono_shop::outbox::{Topic, dead};
use panono_tests::smtp::{At, Fault, SmtpSink};
use panono_tests::wait::wait_until;
use serde_json::json;
use time::OffsetDateTime;

use super::{LIMIT, consumer, count, drain, fan_out, happen, order, patient, quick, shop, site};

fn config(sink: &SmtpSink) -> SmtpConfig {
    let address: std::net::SocketAddr = sink.address().parse().unwrap();
    SmtpConfig {
        host: address.ip().to_string(),
        port: address.port(),
        tls: SmtpTls::None,
        authority: None,
        login: None,
        from: "Panono <orders@shop.example>".parse().unwrap(),
        timeout: Duration::from_secs(5),
    }
}

fn mailer(db: &Db, config: SmtpConfig) -> Consumer {
    mailer_with(db, config, quick())
}

fn mailer_with(db: &Db, config: SmtpConfig, settings: ConsumerSettings) -> Consumer {
    consumer(
        db,
        Topic::MAIL,
        settings,
        Arc::new(Mailer::new(config, site())),
    )
}

fn reset(to: &str, valid_for: Duration) -> Mail {
    Mail {
        to: to.to_owned(),
        locale: "en".to_owned(),
        template: Template::ResetPassword {
            name: "Ada".to_owned(),
            link: "https://shop.example/en/reset?token=secret".to_owned(),
            valid_until: OffsetDateTime::now_utc() + valid_for,
        },
    }
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn an_order_is_confirmed_in_the_language_of_its_shopper() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let sink = SmtpSink::start().await?;
    order(&mut connection, "PX-1", "ada@example.com", "en").await?;
    order(&mut connection, "PX-2", "li@example.com", "zh-CN").await?;
    happen(&db, EventKind::OrderPlaced, "PX-1", json!({})).await?;
    happen(&db, EventKind::OrderPlaced, "PX-2", json!({})).await?;
    assert_eq!(drain(&fan_out(&db)).await?.done, 2);
    assert_eq!(drain(&mailer(&db, config(&sink))).await?.done, 2);
    assert_eq!(count(&mut connection, "outbox").await?, 0);

    let mail = sink
        .mail("ada@example.com", "Your order PX-1 at Panono")
        .await?;
    assert_eq!(mail.sender, "orders@shop.example");
    assert_eq!(mail.header("From"), "Panono <orders@shop.example>");
    assert_eq!(mail.header("Reply-To"), "Panono <help@shop.example>");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(
        mail.message_id().ends_with("@shop.example>"),
        "{}",
        mail.message_id()
    );
    let text = mail.text();
    for part in [
        "Hello Ada Lovelace,",
        "2 × Lamp (Brass)  €40.00",
        "Total: €39.90",
        "1 Main Street",
        "https://shop.example/en/orders/PX-1?key=k",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(
        mail.html()
            .contains("href=\"https://shop.example/en/orders/PX-1?key=k\"")
    );

    let mail = sink.mail("li@example.com", "订单 PX-2").await?;
    assert!(mail.text().contains("合计: €39.90"), "{}", mail.text());
    assert!(mail.html().contains("lang=\"zh-CN\""));
    Ok(())
}

#[tokio::test]
async fn each_event_that_matters_to_a_shopper_is_told() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let sink = SmtpSink::start().await?;
    let id = order(&mut connection, "PX-1", "ada@example.com", "en").await?;
    let line: i64 = sqlx::query_scalar("SELECT id FROM order_line WHERE order_id = ?")
        .bind(id)
        .fetch_one(&mut connection)
        .await?;
    let (shipment, asked) = ("0".repeat(26), "1".repeat(26));
    let shipment_id = sqlx::query(
        "INSERT INTO shipment (public_id, order_id, carrier, tracking_number, tracking_url, state) \
         VALUES (?, ?, 'post', 'TN-77', 'https://carrier.example/TN-77', 'shipped')",
    )
    .bind(&shipment)
    .bind(id)
    .execute(&mut connection)
    .await?
    .last_insert_id();
    sqlx::query(
        "INSERT INTO shipment_line (shipment_id, order_line_id, quantity) VALUES (?, ?, 1)",
    )
    .bind(shipment_id)
    .bind(line)
    .execute(&mut connection)
    .await?;
    let return_id = sqlx::query(
        "INSERT INTO order_return (public_id, order_id, state) VALUES (?, ?, 'requested')",
    )
    .bind(&asked)
    .bind(id)
    .execute(&mut connection)
    .await?
    .last_insert_id();
    sqlx::query(
        "INSERT INTO order_return_line (return_id, order_line_id, quantity) VALUES (?, ?, 1)",
    )
    .bind(return_id)
    .bind(line)
    .execute(&mut connection)
    .await?;
    let told = [
        (
            EventKind::ShipmentShipped,
            json!({"shipment": shipment}),
            "on its way",
            "TN-77",
        ),
        (
            EventKind::ShipmentDelivered,
            json!({"shipment": shipment}),
            "has arrived",
            "1 × Lamp (Brass)",
        ),
        (
            EventKind::ReturnRequested,
            json!({"return": asked}),
            "Your return for order",
            "1 × Lamp (Brass)",
        ),
        (
            EventKind::ReturnApproved,
            json!({"return": asked}),
            "You can send back",
            "1 × Lamp (Brass)",
        ),
        (
            EventKind::ReturnRejected,
            json!({"return": asked}),
            "We cannot take back",
            "sorry",
        ),
        (
            EventKind::ReturnReceived,
            json!({"return": asked}),
            "has arrived",
            "1 × Lamp (Brass)",
        ),
        (
            EventKind::OrderPartiallyRefunded,
            json!({"amount": 1250}),
            "Refund for order",
            "€12.50",
        ),
        (
            EventKind::OrderCancelled,
            json!({"reason": "customer"}),
            "was cancelled",
            "Lamp",
        ),
    ];
    let untold = [
        EventKind::OrderPaid,
        EventKind::ShipmentInTransit,
        EventKind::ReturnRefunded,
        EventKind::OrderHeld,
    ];
    for (kind, data, _, _) in &told {
        happen(&db, *kind, "PX-1", data.clone()).await?;
    }
    for kind in untold {
        happen(&db, kind, "PX-1", json!({})).await?;
    }
    drain(&fan_out(&db)).await?;
    assert_eq!(
        count(&mut connection, "outbox WHERE topic = 'mail'").await?,
        8
    );
    let mailer = mailer(&db, config(&sink));
    assert_eq!(drain(&mailer).await?.done, 8);
    let mails = sink.mails();
    for (mail, (kind, _, subject, part)) in mails.iter().zip(&told) {
        assert!(
            mail.subject().contains(subject),
            "{kind}: {}",
            mail.subject()
        );
        assert!(mail.text().contains(part), "{kind}: {}", mail.text());
        assert!(
            mail.text().contains("orders/PX-1?key=k"),
            "{kind}: {}",
            mail.text()
        );
    }

    // An order that was never placed is nobody's matter, and neither is one that is gone.
    sqlx::query("UPDATE orders SET placed_at = NULL, state = 'cancelled' WHERE id = ?")
        .bind(id)
        .execute(&mut connection)
        .await?;
    happen(&db, EventKind::OrderCancelled, "PX-1", json!({})).await?;
    happen(&db, EventKind::OrderPlaced, "PX-9", json!({})).await?;
    drain(&fan_out(&db)).await?;
    assert_eq!(count(&mut connection, "outbox").await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_the_server_refuses_for_good_is_given_up_at_once() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let sink = SmtpSink::start().await?;
    sink.fail([Fault::Answer(At::Recipient, "550 5.1.1 no such user")]);
    enqueue(&mut connection, &reset("nobody@example.com", HOUR)).await?;
    let mailer = mailer(&db, config(&sink));
    assert_eq!(drain(&mailer).await?, Drained { done: 0, failed: 1 });
    let letters = dead::list(&mut connection, Some("mail"), i64::MAX, 10).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].attempts, 1);
    let error = letters[0].last_error.clone().unwrap();
    assert!(
        error.contains("550") || error.contains("no such user"),
        "{error}"
    );
    assert_eq!(letters[0].subject.as_deref(), Some("reset_password"));
    assert!(
        !format!("{letters:?}").contains("secret"),
        "links of mails are not shown"
    );
    assert!(
        !format!("{letters:?}").contains("nobody@"),
        "addresses are not shown"
    );
    // A mail that can never be addressed is hopeless as well.
    enqueue(&mut connection, &reset("not an address", HOUR)).await?;
    drain(&mailer).await?;
    assert_eq!(
        count(&mut connection, "outbox WHERE dead_at IS NOT NULL").await?,
        2
    );
    // The address was mended; the letter is replayed.
    dead::replay(&mut connection, letters[0].id).await?;
    assert_eq!(drain(&mailer).await?.done, 1);
    assert_eq!(sink.mails_to("nobody@example.com").len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_may_pass_is_tried_again() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let sink = SmtpSink::start().await?;
    for (number, fault) in [
        Fault::Answer(At::Greeting, "421 4.3.2 too busy"),
        Fault::Answer(At::Sender, "451 4.3.0 later"),
        Fault::Answer(At::Recipient, "450 4.2.1 greylisted"),
        Fault::Answer(At::Content, "452 4.3.1 no room"),
    ]
    .into_iter()
    .enumerate()
    {
        let what = format!("{fault:?}");
        let to = format!("shopper-{number}@example.com");
        // A connection that was kept would pass by the greeting.
        let mailer = mailer(&db, config(&sink));
        sink.fail([fault]);
        enqueue(&mut connection, &reset(&to, HOUR)).await?;
        wait_until(&what, LIMIT, async || {
            drain(&mailer).await.unwrap();
            (sink.mails_to(&to).len() == 1).then_some(())
        })
        .await?;
        wait_until("the row to go", LIMIT, async || {
            count(&mut connection, "outbox").await.unwrap() == 0
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_holds_mails_up_and_loses_none() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let sink = SmtpSink::start().await?;
    let mut away = config(&sink);
    // A port on which nobody listens.
    away.port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.local_addr()?.port()
    };
    enqueue(&mut connection, &reset("ada@example.com", HOUR)).await?;
    assert!(drain(&mailer_with(&db, away, patient())).await?.failed >= 1);
    assert_eq!(
        count(
            &mut connection,
            "outbox WHERE dead_at IS NULL AND attempts >= 1 AND last_error IS NOT NULL"
        )
        .await?,
        1
    );
    let mailer = mailer(&db, config(&sink));
    wait_until("the mail to be sent", LIMIT, async || {
        drain(&mailer).await.unwrap();
        sink.mails().len() == 1
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_mail_whose_answer_was_lost_comes_again_under_the_same_id() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let sink = SmtpSink::start().await?;
    sink.fail([Fault::LostAnswer]);
    enqueue(&mut connection, &reset("ada@example.com", HOUR)).await?;
    enqueue(&mut connection, &reset("bob@example.com", HOUR)).await?;
    let mailer = mailer(&db, config(&sink));
    wait_until("the mail to come twice", LIMIT, async || {
        drain(&mailer).await.unwrap();
        sink.mails().len() == 3
    })
    .await?;
    let mut ids: Vec<String> = sink.mails().iter().map(|mail| mail.message_id()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2, "{ids:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_without_tls_is_told_nothing_when_tls_is_demanded() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let sink = SmtpSink::start().await?;
    for (number, tls) in [SmtpTls::Starttls, SmtpTls::Tls].into_iter().enumerate() {
        enqueue(&mut connection, &reset("ada@example.com", HOUR)).await?;
        let mailer = consumer(
            &db,
            Topic::MAIL,
            // One attempt for each, however slow the machine is.
            ConsumerSettings {
                attempts: 1,
                ..quick()
            },
            Arc::new(Mailer::new(
                SmtpConfig {
                    tls,
                    ..config(&sink)
                },
                site(),
            )),
        );
        assert_eq!(drain(&mailer).await?, Drained { done: 0, failed: 1 });
        let given_up = i64::try_from(number)? + 1;
        assert_eq!(
            count(&mut connection, "outbox WHERE dead_at IS NOT NULL").await?,
            given_up
        );
    }
    assert!(sink.mails().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_the_settings_fault_and_works_when_it_is_mended() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let sink = SmtpSink::start().await?;
    sink.demand_login("shop", "right");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("password");
    std::fs::write(&file, "wrong\n")?;
    let mailer = mailer_with(
        &db,
        SmtpConfig {
            login: Some(("shop".to_owned(), Secret::File(file.clone()))),
            ..config(&sink)
        },
        patient(),
    );
    enqueue(&mut connection, &reset("ada@example.com", HOUR)).await?;
    assert!(drain(&mailer).await?.failed >= 1);
    assert_eq!(
        count(&mut connection, "outbox WHERE dead_at IS NULL").await?,
        1,
        "the mail is not given up"
    );
    std::fs::write(&file, "right\n")?;
    wait_until("the mail to be sent", LIMIT, async || {
        drain(&mailer).await.unwrap();
        sink.mails().len() == 1
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_link_that_has_expired_is_not_sent() -> Result<()> {
    let (database, db) = shop().await?;
    let mut connection = database.connect().await?;
    let sink = SmtpSink::start().await?;
    enqueue(&mut connection, &reset("ada@example.com", Duration::ZERO)).await?;
    assert_eq!(drain(&mailer(&db, config(&sink))).await?.done, 1);
    assert!(sink.mails().is_empty());
    assert_eq!(count(&mut connection, "outbox").await?, 0);
    Ok(())
}
