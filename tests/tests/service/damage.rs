//! A file that is damaged in every way that files are: the good rows arrive, the bad ones are named.

use anyhow::{Context, Result};
use panono_tests::mysql::TestDatabase;
use panono_tests::process::Folder;
use panono_tests::shop::Environment;

const COLUMNS: &[&str] = &[
    "slug",
    "status",
    "published_at",
    "unpublished_at",
    "brand",
    "featured",
    "categories",
    "name:en",
    "attribute:width:number:cm:Width",
    "option1_name",
    "option1_value",
    "sku",
    "price:USD",
    "compare_at:USD",
    "scheduled_prices",
    "tracked",
    "on_hand",
    "low_threshold",
    "weight_grams",
    "image_url",
    "image_hash",
];

/// A row that is right but for these fields.
fn row(slug: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    let fields: Vec<String> = COLUMNS
        .iter()
        .map(|column| {
            if let Some((_, value)) = changes.iter().find(|(name, _)| name == column) {
                return (*value).to_owned();
            }
            match *column {
                "slug" => slug.to_owned(),
                "status" => "active".to_owned(),
                "name:en" => format!("Product {slug}"),
                "sku" => format!("SKU-{slug}"),
                "price:USD" => "12.50".to_owned(),
                "on_hand" => "3".to_owned(),
                _ => String::new(),
            }
        })
        .collect();
    fields.join(",").into_bytes()
}

/// The field that is damaged, its value, and what the report must say of it.
const VALUES: &[(&str, &str, &str)] = &[
    ("price:USD", "cheap", "bad_number"),
    ("price:USD", "\"12,50\"", "bad_number"),
    ("price:USD", "12.505", "bad_number"),
    ("price:USD", "99999999999999999999", "bad_number"),
    ("price:USD", "-1.00", "negative"),
    ("compare_at:USD", "1O.00", "bad_number"),
    ("on_hand", "1.5", "bad_number"),
    ("on_hand", "-3", "negative"),
    ("low_threshold", "few", "bad_number"),
    ("weight_grams", "heavy", "bad_number"),
    ("featured", "yes", "bad_number"),
    ("tracked", "perhaps", "unknown_value"),
    ("status", "acitve", "unknown_value"),
    ("published_at", "31/12/2026", "bad_date"),
    ("published_at", "2026-02-30", "bad_date"),
    ("unpublished_at", "2026-13-01T00:00:00Z", "bad_date"),
    ("slug", "Not A Slug", "bad_slug"),
    ("sku", "", "missing"),
    ("categories", "Home > > Kitchen", "bad_category"),
    (
        "categories",
        "A > B > C > D > E > F > G > H > I > J > K",
        "bad_category",
    ),
    ("attribute:width:number:cm:Width", "wide", "bad_number"),
    ("image_hash", "0123", "bad_media"),
    (
        "scheduled_prices",
        "XXQ 9.99 from 2026-12-01T00:00:00Z",
        "unknown_currency",
    ),
    ("scheduled_prices", "USD 9.99 from soon", "bad_date"),
    (
        "scheduled_prices",
        "USD 9.99 from 2026-12-31T00:00:00Z until 2026-12-01T00:00:00Z",
        "bad_period",
    ),
];

struct Damage {
    rows: Vec<Vec<u8>>,
    field: &'static str,
    problem: &'static str,
}

fn damages() -> Vec<Damage> {
    let mut damages: Vec<Damage> = VALUES
        .iter()
        .enumerate()
        .map(|(number, (field, value, problem))| Damage {
            rows: vec![row(&format!("bad-{number}"), &[(field, value)])],
            field,
            problem,
        })
        .collect();
    let mut add = |rows: Vec<Vec<u8>>, field: &'static str, problem: &'static str| {
        damages.push(Damage {
            rows,
            field,
            problem,
        });
    };
    let long = "x".repeat(300);
    add(
        vec![row("long", &[("name:en", &long)])],
        "name:en",
        "too_long",
    );
    let ends = [
        ("published_at", "2026-06-01"),
        ("unpublished_at", "2026-05-01"),
    ];
    add(vec![row("ends", &ends)], "unpublished_at", "bad_period");
    add(
        vec![row("good-1", &[("sku", "SKU-again")])],
        "slug",
        "duplicate_slug",
    );
    add(
        vec![row("same-sku", &[("sku", "SKU-good-1")])],
        "sku",
        "duplicate_sku",
    );
    add(
        vec![row("nameless", &[("name:en", "")])],
        "",
        "unknown_product",
    );
    let size = |sku: &'static str| {
        [
            ("option1_name", "Size"),
            ("option1_value", "L"),
            ("sku", sku),
        ]
    };
    add(
        vec![row("twins", &size("T-1")), row("twins", &size("T-2"))],
        "",
        "option_mismatch",
    );
    add(vec![b"few,active".to_vec()], "", "column_count");
    let mut many = row("many", &[]);
    many.extend_from_slice(b",more");
    add(vec![many], "", "column_count");
    add(
        vec![row("open", &[("brand", "\"never closed")])],
        "",
        "broken_quoting",
    );
    add(
        vec![row("after", &[("brand", "\"closed\" too early")])],
        "",
        "broken_quoting",
    );
    let mut bytes = row("bytes", &[("brand", "?")]);
    for byte in &mut bytes {
        if *byte == b'?' {
            *byte = 0xff;
        }
    }
    add(vec![bytes], "", "invalid_utf8");
    let huge = "x".repeat(5 * 1024 * 1024);
    add(vec![row("huge", &[("brand", &huge)])], "", "too_large");
    damages
}

#[tokio::test]
async fn good_rows_arrive_and_each_bad_one_is_named_with_its_line_and_reason() -> Result<()> {
    let database = TestDatabase::shared().await?;
    let environment = Environment::for_urls(&database).await?;
    environment.run(&["migrate"]).await?;
    let damages = damages();
    let mut text = COLUMNS.join(",").into_bytes();
    text.push(b'\n');
    let mut line = 1_u64;
    let mut lines = Vec::new();
    let mut good = 0_i64;
    let mut push = |text: &mut Vec<u8>, row: &[u8]| {
        text.extend_from_slice(row);
        text.push(b'\n');
        line += 1;
        line
    };
    push(&mut text, &row("good-1", &[]));
    for damage in &damages {
        let at = push(&mut text, &damage.rows[0]);
        lines.push(at);
        for more in &damage.rows[1..] {
            push(&mut text, more);
        }
        // A good row after each: what is damaged takes nothing with it.
        good += 1;
        push(&mut text, &row(&format!("good-{}", good + 1), &[]));
    }
    good += 1;
    let folder = Folder::new("damage")?;
    let (file, report) = (
        folder.path().join("damaged.csv"),
        folder.path().join("report.jsonl"),
    );
    std::fs::write(&file, text)?;
    let (file, report) = (file.display().to_string(), report.display().to_string());
    let output = environment
        .command(&["import", &file, "--format", "panono", "--report", &report])?
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");

    let rows: Vec<serde_json::Value> = std::fs::read_to_string(&report)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let mut missing = Vec::new();
    for (damage, line) in damages.iter().zip(&lines) {
        let of_line: Vec<_> = rows
            .iter()
            .filter(|row| {
                row["severity"] == "refused"
                    && row["line"]
                        .as_u64()
                        .is_some_and(|at| (*line..line + damage.rows.len() as u64).contains(&at))
            })
            .collect();
        let named = of_line.iter().any(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            // The field is named by its column, or by the part of the product that it becomes.
            row["problem"] == damage.problem
                && (text("field").contains(damage.field) || damage.field.contains(text("field")))
                && !text("message").is_empty()
                && !text("advice").is_empty()
        });
        if !named {
            missing.push(format!(
                "line {line}, {} {}: {of_line:?}",
                damage.field, damage.problem
            ));
        }
    }
    assert!(missing.is_empty(), "{}\n{said}", missing.join("\n"));
    let kinds: std::collections::BTreeSet<_> = damages
        .iter()
        .map(|damage| (damage.field, damage.problem))
        .collect();
    println!("{} kinds of damage in {} rows", kinds.len(), damages.len());
    assert!(kinds.len() >= 20);

    let mut connection = database.connect().await?;
    let imported: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM product WHERE slug LIKE 'good-%'")
        .fetch_one(&mut connection)
        .await
        .context("products")?;
    let all: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM product")
        .fetch_one(&mut connection)
        .await?;
    // The two products that use one SKU, and the two that use one slug, are both in question: the first of them counts.
    assert_eq!((imported, all), (good, good), "{said}");
    let again = environment
        .command(&["import", &file, "--format", "panono"])?
        .output()?;
    let said = String::from_utf8_lossy(&again.stdout).into_owned()
        + &String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(3));
    assert!(
        said.contains("0 created") && said.contains("0 updated"),
        "{said}"
    );
    Ok(())
}
