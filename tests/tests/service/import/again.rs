//! Products that the shop has already.

use anyhow::Result;

use super::{Shop, written};

#[tokio::test]
async fn a_sku_of_another_product_is_refused_and_an_old_slug_leads_to_its_product() -> Result<()> {
    let mut shop = Shop::new().await?;
    let (_first, first) = written("first.csv", b"slug,name:en,sku,price:USD\na,A,S-1,1.00\n")?;
    shop.import(&[&first]).await?;
    sqlx::raw_sql("INSERT INTO slug_redirect (kind, slug, target_id) SELECT 'product', 'old-a', id FROM product")
        .execute(&mut shop.connection)
        .await?;
    let (_second, second) = written(
        "second.csv",
        b"slug,name:en,sku,price:USD\nb,B,S-1,1.00\nold-a,A,S-1,2.00\n",
    )?;
    let summary = shop.import(&[&second]).await?;
    // Both rows have the SKU: the first one of the file is refused by the shop, the second one by the file.
    assert_eq!(summary.counters.products_refused, 2);
    let (_third, third) = written(
        "third.csv",
        b"slug,name:en,sku,price:USD\nold-a,A,S-1,2.00\n",
    )?;
    let summary = shop.import(&[&third]).await?;
    assert_eq!(
        (
            summary.counters.products_updated,
            summary.counters.prices_ended
        ),
        (1, 1)
    );
    assert_eq!(shop.count("SELECT COUNT(*) FROM product").await?, 1);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM price WHERE ends_at IS NULL")
            .await?,
        1
    );
    assert_eq!(
        shop.count("SELECT amount FROM listing WHERE category_id = 0")
            .await
            .unwrap_or(0),
        0
    );
    assert_eq!(
        shop.count("SELECT price FROM listing WHERE category_id = 0")
            .await?,
        200
    );

    // Both slugs in one file: the product is what the first of them says.
    let (_fourth, fourth) = written(
        "fourth.csv",
        b"slug,name:en,sku,price:USD\na,A,S-1,3.00\nold-a,A,S-9,4.00\nc,C,S-3,1.00\n",
    )?;
    let summary = shop.import(&[&fourth]).await?;
    assert_eq!(
        (
            summary.counters.products_updated,
            summary.counters.products_refused,
            summary.counters.products_created
        ),
        (1, 1, 1)
    );
    let price = "SELECT l.price FROM listing AS l JOIN product AS p ON p.id = l.product_id \
        WHERE l.category_id = 0 AND p.slug = 'a'";
    assert_eq!(shop.count(price).await?, 300);
    assert_eq!(shop.count("SELECT COUNT(*) FROM variant").await?, 2);
    Ok(())
}

#[tokio::test]
async fn what_a_complete_file_no_longer_has_is_taken_away() -> Result<()> {
    let mut shop = Shop::new().await?;
    let (_first, first) = written(
        "first.csv",
        b"slug,name:en,tags,categories,option1_name,option1_value,sku,price:USD,on_hand\n\
          mug,Mug,a | b,Home,Color,Red,MUG-R,5.00,3\nmug,,,,Color,Blue,MUG-B,5.00,4\n",
    )?;
    shop.import(&[&first]).await?;
    sqlx::raw_sql("UPDATE stock SET reserved = 2")
        .execute(&mut shop.connection)
        .await?;
    let (_second, second) = written(
        "second.csv",
        b"slug,name:en,tags,categories,option1_name,option1_value,sku,price:USD,on_hand\n\
          mug,Mug,b | c,Home > Cups,Color,Red,MUG-R,5.00,1\n",
    )?;
    let counters = shop.import(&[&second]).await?.counters;
    assert_eq!(
        (
            counters.variants_archived,
            counters.stock_updated,
            counters.prices_created
        ),
        (1, 1, 0)
    );
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product_tag WHERE tag IN ('b', 'c')")
            .await?,
        2
    );
    assert_eq!(shop.count("SELECT COUNT(*) FROM product_tag").await?, 2);
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product_category").await?,
        1
    );
    assert_eq!(shop.count("SELECT on_hand FROM stock AS s JOIN variant AS v ON v.id = s.variant_id WHERE sku = 'MUG-R'").await?, 2, "what is reserved is not taken away");
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM variant WHERE status = 'archived' AND sku = 'MUG-B'")
            .await?,
        1
    );
    let counters = shop.import(&[&second]).await?.counters;
    assert_eq!(counters.products_unchanged, 1);
    let counters = shop.import(&[&first]).await?.counters;
    assert_eq!(
        (counters.products_updated, counters.variants_updated),
        (1, 1)
    );

    // A category that was archived is not filled again: one of the same name takes its place, at another address.
    sqlx::raw_sql("UPDATE category SET status = 'archived' WHERE slug = 'home'")
        .execute(&mut shop.connection)
        .await?;
    let counters = shop.import(&[&first]).await?.counters;
    assert_eq!(
        (counters.categories_created, counters.products_updated),
        (1, 1)
    );
    let own = "SELECT COUNT(*) FROM product_category AS pc JOIN category AS c ON c.id = pc.category_id \
        WHERE c.slug = 'home-2' AND c.status = 'active'";
    assert_eq!(shop.count(own).await?, 1);
    // It has the product still, should it come back; files do not speak of it.
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM product_category").await?,
        2
    );
    let counters = shop.import(&[&first]).await?.counters;
    assert_eq!(
        (counters.categories_created, counters.products_unchanged),
        (0, 1)
    );
    Ok(())
}
