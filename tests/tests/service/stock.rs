//! Stock under many buyers at once: exactly what is there is sold.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Result, ensure};
use panono_shop::db::{Db, DbError, MayBeDatabase};
use panono_shop::stock::{self, NotReserved, SoldOut, Wanted, store_rows};
use panono_tests::mysql::TestDatabase;
use sqlx::{Connection, MySqlConnection};

/// A shop with variants of one product, each with so many pieces.
struct Store {
    database: TestDatabase<'static>,
    db: Db,
    variants: Vec<i64>,
}

/// What a buyer is answered.
#[derive(Debug)]
enum Refused {
    SoldOut(SoldOut),
    NotReserved(#[expect(dead_code, reason = "shown when a test fails")] NotReserved),
    Database(DbError),
}

impl From<DbError> for Refused {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl MayBeDatabase for Refused {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => error.database(),
            _ => None,
        }
    }
}

impl Store {
    async fn open(variants: usize, pieces: i64) -> Result<Self> {
        let database = TestDatabase::shared().await?;
        database.migrate().await?;
        let db = database.db().await?;
        let mut connection = database.connect().await?;
        sqlx::query("INSERT INTO product (id, slug) VALUES (1, 'drop')")
            .execute(&mut connection)
            .await?;
        let mut ids = Vec::new();
        for number in 0..variants {
            let done = sqlx::query("INSERT INTO variant (product_id, sku) VALUES (1, ?)")
                .bind(format!("SKU-{number}"))
                .execute(&mut connection)
                .await?;
            let id = i64::try_from(done.last_insert_id())?;
            sqlx::query("INSERT INTO stock (variant_id, on_hand) VALUES (?, ?)")
                .bind(id)
                .bind(pieces)
                .execute(&mut connection)
                .await?;
            ids.push(id);
        }
        connection.close().await?;
        Ok(Self {
            database,
            db,
            variants: ids,
        })
    }

    async fn run<F>(&self, work: F) -> Result<(), Refused>
    where
        F: for<'c> Fn(
                &'c mut MySqlConnection,
            ) -> panono_shop::db::transaction::Work<'c, (), Refused>
            + Send
            + Sync
            + 'static,
    {
        self.db.transaction(work).await
    }

    async fn hold(&self, order: i64, lines: Vec<(i64, i64)>) -> Result<(), Refused> {
        self.run(move |connection| {
            let lines = lines.clone();
            Box::pin(async move {
                let mut wanted = Vec::new();
                for (variant_id, quantity) in lines {
                    let buckets = "SELECT buckets FROM stock WHERE variant_id = ?";
                    wanted.push(Wanted {
                        variant_id,
                        quantity,
                        buckets: sqlx::query_scalar(buckets)
                            .bind(variant_id)
                            .fetch_one(&mut *connection)
                            .await?,
                    });
                }
                stock::hold(connection, order, &wanted)
                    .await?
                    .map_err(Refused::SoldOut)
            })
        })
        .await
    }

    /// As [`Store::hold`] of one piece, by who believes that there are so many buckets.
    async fn hold_believing(
        &self,
        order: i64,
        variant_id: i64,
        buckets: i16,
    ) -> Result<(), Refused> {
        self.run(move |connection| {
            Box::pin(async move {
                let wanted = Wanted {
                    variant_id,
                    quantity: 1,
                    buckets,
                };
                stock::hold(connection, order, &[wanted])
                    .await?
                    .map_err(Refused::SoldOut)
            })
        })
        .await
    }

    async fn divide(&self, variant: i64, buckets: i16) -> Result<(), Refused> {
        self.run(move |connection| {
            Box::pin(async move {
                store_rows::divide(connection, variant, buckets).await?;
                Ok(())
            })
        })
        .await
    }

    /// Promised pieces, as stock has it and as orders have it.
    async fn promised(&self) -> Result<(i64, i64)> {
        let mut connection = self.database.connect().await?;
        let told = "SELECT CAST((SELECT COALESCE(SUM(reserved), 0) FROM stock) + (SELECT COALESCE(SUM(reserved), 0) FROM stock_bucket) AS SIGNED), \
             CAST((SELECT COALESCE(SUM(quantity), 0) FROM stock_reservation) AS SIGNED)";
        Ok(sqlx::query_as(told).fetch_one(&mut connection).await?)
    }
}

/// Buyers over 64 tasks; answers how many were served.
async fn rush(
    store: &Arc<Store>,
    buyers: i64,
    lines: impl Fn(i64) -> Vec<(i64, i64)> + Send + Sync + 'static,
) -> Result<i64> {
    let (next, served) = (Arc::new(AtomicI64::new(1)), Arc::new(AtomicI64::new(0)));
    let lines = Arc::new(lines);
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (store, next, served, lines) = (
                Arc::clone(store),
                Arc::clone(&next),
                Arc::clone(&served),
                Arc::clone(&lines),
            );
            tokio::spawn(async move {
                loop {
                    let order = next.fetch_add(1, Ordering::Relaxed);
                    if order > buyers {
                        return Ok(());
                    }
                    match store.hold(order, lines(order)).await {
                        Ok(()) => {
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(Refused::SoldOut(_)) => {}
                        Err(other) => anyhow::bail!("order {order}: {other:?}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(served.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_is_there_is_sold() -> Result<()> {
    for buckets in [0, 16] {
        let store = Arc::new(Store::open(1, 500).await?);
        let variant = store.variants[0];
        store.divide(variant, buckets).await.unwrap();
        let served = rush(&store, 800, move |_| vec![(variant, 1)]).await?;
        assert_eq!(served, 500, "{buckets} buckets");
        assert_eq!(store.promised().await?, (500, 500), "{buckets} buckets");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_several_lines_never_wait_in_a_circle() -> Result<()> {
    let store = Arc::new(Store::open(20, 30).await?);
    let variants = store.variants.clone();
    store.divide(variants[3], 4).await.unwrap();
    let lines = move |order: i64| {
        // Three of twenty, in an order of their own; the second and the third may be the same.
        [7, 11, 13]
            .map(|factor| {
                let place = usize::try_from(order * factor % 20).unwrap();
                (variants[place], 1 + order % 2)
            })
            .to_vec()
    };
    let served = rush(&store, 400, lines).await?;
    let (stock, orders) = store.promised().await?;
    assert_eq!(stock, orders);
    assert!(served > 50, "{served}");
    Ok(())
}

#[tokio::test]
async fn who_saw_other_buckets_is_served_all_the_same() -> Result<()> {
    for (there, believed) in [(0, 4), (4, 0), (4, 1), (4, 16), (4, -1)] {
        let store = Store::open(1, 3).await?;
        let variant = store.variants[0];
        store.divide(variant, there).await.unwrap();
        for order in 13..16 {
            store
                .hold_believing(order, variant, believed)
                .await
                .unwrap_or_else(|error| panic!("{there}, {believed}, {order}: {error:?}"));
        }
        assert!(
            matches!(
                store.hold_believing(16, variant, believed).await,
                Err(Refused::SoldOut(SoldOut { variant_id })) if variant_id == variant
            ),
            "{there}, {believed}"
        );
        assert_eq!(store.promised().await?, (3, 3), "{there}, {believed}");
        // Each knows where its own piece is.
        for order in 13..16 {
            store
                .run(move |connection| {
                    Box::pin(async move { Ok(stock::release(connection, order).await?) })
                })
                .await
                .unwrap();
        }
        assert_eq!(store.promised().await?, (0, 0), "{there}, {believed}");
    }
    Ok(())
}

#[tokio::test]
async fn what_no_bucket_has_alone_is_put_together() -> Result<()> {
    let store = Store::open(1, 8).await?;
    let variant = store.variants[0];
    store.divide(variant, 4).await.unwrap();
    store.hold(1, vec![(variant, 5)]).await.unwrap();
    store.hold(2, vec![(variant, 3)]).await.unwrap();
    assert!(matches!(
        store.hold(3, vec![(variant, 1)]).await,
        Err(Refused::SoldOut(SoldOut { variant_id })) if variant_id == variant
    ));
    // Put together again, promises stay with their orders, and can be shipped.
    store.divide(variant, 0).await.unwrap();
    assert_eq!(store.promised().await?, (8, 8));
    store
        .run(move |connection| {
            Box::pin(async move {
                stock::allocate(connection, 1).await?;
                stock::ship(connection, 1, &[(variant, 4)])
                    .await?
                    .map_err(Refused::NotReserved)
            })
        })
        .await
        .unwrap();
    let refused = store
        .run(move |connection| {
            Box::pin(async move {
                stock::ship(connection, 1, &[(variant, 2)])
                    .await?
                    .map_err(Refused::NotReserved)
            })
        })
        .await;
    assert!(matches!(refused, Err(Refused::NotReserved(_))));
    assert_eq!(store.promised().await?, (4, 4));
    // What is given back can be bought by somebody else, once.
    for _ in 0..2 {
        store
            .run(|connection| Box::pin(async move { Ok(stock::release(connection, 2).await?) }))
            .await
            .unwrap();
    }
    store.hold(4, vec![(variant, 3)]).await.unwrap();
    assert!(store.hold(5, vec![(variant, 1)]).await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_may_be_made_and_unmade_while_everybody_buys() -> Result<()> {
    let store = Arc::new(Store::open(1, 300).await?);
    let variant = store.variants[0];
    let dividing = Arc::clone(&store);
    let divider = tokio::spawn(async move {
        for buckets in [8, 2, 16, 0, 4].iter().cycle().take(20) {
            dividing
                .divide(variant, *buckets)
                .await
                .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        }
        anyhow::Ok(())
    });
    let served = rush(&store, 500, move |_| vec![(variant, 1)]).await?;
    divider.await??;
    ensure!(served == 300, "{served}");
    assert_eq!(store.promised().await?, (300, 300));
    Ok(())
}

#[tokio::test]
async fn a_band_that_changes_is_announced_once() -> Result<()> {
    let store = Store::open(1, 7).await?;
    let variant = store.variants[0];
    let mut connection = store.database.connect().await?;
    let mut announced = async || -> Result<i64> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM outbox WHERE topic = 'stock'")
                .fetch_one(&mut connection)
                .await?,
        )
    };
    // Seven: in stock; five or fewer: low; none: out.
    for (order, pieces, told) in [(1, 1, 0), (2, 1, 1), (3, 4, 1), (4, 1, 2)] {
        store.hold(order, vec![(variant, pieces)]).await.unwrap();
        assert_eq!(announced().await?, told, "after order {order}");
    }
    store
        .run(|connection| Box::pin(async move { Ok(stock::release(connection, 3).await?) }))
        .await
        .unwrap();
    assert_eq!(announced().await?, 3);
    Ok(())
}
