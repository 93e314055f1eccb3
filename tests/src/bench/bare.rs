//! The statements of one checkout, run bare: the yardstick of `checkout_rate`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use panono_shop::orders::OrderNumber;
use panono_shop::web::private::PublicId;
use sqlx::mysql::MySqlArguments;
use sqlx::{AssertSqlSafe, Executor as _, MySqlConnection, Row as _};

use crate::market::Cart;

/// What the shop sends to the database for one order, with names for the values that differ between orders.
const CHECKOUT: &str = include_str!("checkout.sql");
/// How often each statement was run in a database, as its server counts it. Preparing one is done once for a connection.
const COUNTED: &str = "SELECT digest_text, CAST(count_star AS SIGNED) FROM performance_schema.events_statements_summary_by_digest \
     WHERE schema_name = DATABASE() AND digest_text NOT LIKE 'PREPARE %'";
/// In the place of events, addresses and answers: of their length.
const DATA: &str = r#"{"data":{"currency":"USD","total":1500},"id":"9h8n916xm4s632wrdc081y9425","kind":"order.created","occurred_at":"2026-01-01T00:00:00Z"}"#;
const URL: &str = "http://127.0.0.1:20000/en/orders/WF4Q-XNGQ-FSA?key=X4RpAoxTieZaAEaNOKZ6gpFS5gAH01wQAgeApc0ZUG0";

/// What is kept of a statement's result, under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    /// The number of the row that was inserted.
    Inserted(&'static str),
    /// The first column of the first row.
    Found(&'static str),
}

#[derive(Debug, PartialEq, Eq)]
struct Step {
    kept: Kept,
    /// With `?` for each value.
    text: String,
    values: Vec<String>,
}

#[derive(Debug, Clone)]
enum Value {
    Null,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The statements of a checkout, in order.
#[derive(Debug)]
pub struct Script(Vec<Step>);

impl Script {
    /// Those of the shop.
    pub fn of_the_shop() -> Self {
        Self(steps(CHECKOUT))
    }

    /// How many statements there are.
    pub fn statements(&self) -> usize {
        self.0.len()
    }

    /// Runs them for a cart of one piece of a product of [`crate::market::Market`].
    ///
    /// # Errors
    /// What the database answers, with the statement; and where it leaves a value unknown that another statement needs.
    pub async fn run(
        &self,
        connection: &mut MySqlConnection,
        cart: &Cart,
        variant: i64,
    ) -> Result<()> {
        let mut known = values(cart, variant);
        for step in &self.0 {
            step.run(connection, &mut known)
                .await
                .with_context(|| step.text.clone())?;
        }
        Ok(())
    }
}

impl Step {
    async fn run(
        &self,
        connection: &mut MySqlConnection,
        known: &mut BTreeMap<&'static str, Value>,
    ) -> Result<()> {
        // The protocol prepares no statement of these.
        if matches!(self.text.as_str(), "BEGIN" | "COMMIT") {
            connection
                .execute(AssertSqlSafe(self.text.as_str()))
                .await?;
            return Ok(());
        }
        let mut query = sqlx::query(AssertSqlSafe(self.text.as_str()));
        for name in &self.values {
            let value = known.get(name.as_str());
            query = bind(query, value.with_context(|| format!("no :{name}"))?);
        }
        match self.kept {
            Kept::Inserted(name) => {
                let done = query.execute(connection).await?;
                known.insert(name, Value::Number(done.last_insert_id().try_into()?));
            }
            Kept::Found(name) => {
                let row = query.fetch_one(connection).await?;
                known.insert(name, Value::Number(row.try_get(0)?));
            }
            Kept::Nothing if self.text.starts_with("SELECT") => {
                query.fetch_all(connection).await?;
            }
            Kept::Nothing => {
                let done = query.execute(connection).await?;
                ensure!(done.rows_affected() > 0, "it changed nothing");
            }
        }
        Ok(())
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::MySql, MySqlArguments>;

fn bind<'q>(query: Query<'q>, value: &'q Value) -> Query<'q> {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Number(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.clone()),
        Value::Bytes(bytes) => query.bind(bytes.clone()),
    }
}

/// What is known of an order before anything was asked. Products of the market have the numbers of their variants, and are
/// named after them.
fn values(cart: &Cart, variant: i64) -> BTreeMap<&'static str, Value> {
    let number = variant - 1;
    let text = |text: &str| Value::Text(text.to_owned());
    let id = || Value::Text(PublicId::random().to_string());
    BTreeMap::from([
        ("null", Value::Null),
        ("scope", Value::Bytes(rand::random::<[u8; 32]>().to_vec())),
        ("cart_id", text(&cart.id)),
        ("email", Value::Text(format!("{}@example.com", cart.id))),
        ("address", text(DATA)),
        ("data", text(DATA)),
        ("url", text(URL)),
        ("number", text(OrderNumber::random().as_str())),
        ("variant", Value::Number(variant)),
        ("variants", Value::Text(format!("[{variant}]"))),
        ("sku", Value::Text(format!("SKU-{number}"))),
        ("name", Value::Text(format!("Mug {number}"))),
        ("slug", Value::Text(format!("mug-{number}"))),
        ("payment_id", id()),
        ("authorisation_id", id()),
        ("capture_id", id()),
        ("reference", id()),
        ("message", id()),
    ])
}

/// Takes a script apart: a statement begins at the margin and goes on in lines that are indented; `--` begins a comment.
fn steps(script: &'static str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let lines = script.lines().filter(|line| !line.starts_with("--"));
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let words = if line.starts_with(' ') {
            line.trim()
        } else {
            let (kept, words) = beginning(line);
            steps.push(Step {
                kept,
                text: String::new(),
                values: Vec::new(),
            });
            words
        };
        if let Some(step) = steps.last_mut() {
            if !step.text.is_empty() {
                step.text.push(' ');
            }
            let (text, values) = placed(words);
            step.text.push_str(&text);
            step.values.extend(values);
        }
    }
    steps
}

fn beginning(line: &'static str) -> (Kept, &'static str) {
    for (arrow, kept) in [
        (" <- ", Kept::Inserted as fn(&'static str) -> Kept),
        (" <= ", Kept::Found),
    ] {
        if let Some((name, words)) = line.split_once(arrow)
            && name.chars().all(|letter| letter.is_ascii_lowercase())
        {
            return (kept(name), words);
        }
    }
    (Kept::Nothing, line)
}

/// Puts `?` for each `:name` that is not within quotes. No text of the script goes over lines with a name in it.
fn placed(words: &str) -> (String, Vec<String>) {
    let (mut text, mut names, mut quoted) = (String::new(), Vec::new(), false);
    let mut letters = words.chars().peekable();
    while let Some(letter) = letters.next() {
        quoted ^= letter == '\'';
        if letter != ':' || quoted {
            text.push(letter);
            continue;
        }
        let mut name = String::new();
        while let Some(letter) = letters.next_if(|next| next.is_ascii_lowercase() || *next == '_') {
            name.push(letter);
        }
        text.push('?');
        names.push(name);
    }
    (text, names)
}

/// How often the server has run each statement in the connection's database; values do not count.
///
/// # Errors
/// When it does not tell.
pub async fn counted(connection: &mut MySqlConnection) -> Result<BTreeMap<String, i64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(COUNTED).fetch_all(connection).await?;
    let mut counts = BTreeMap::new();
    for (statement, count) in rows {
        *counts.entry(statement).or_default() += count;
    }
    Ok(counts)
}

/// Whether two rounds of `orders` ran the same statements equally often. A statement that is not run for every order does not
/// count, and one in twenty may be run again.
///
/// # Errors
/// With the first that differ.
pub fn same(
    shop: &BTreeMap<String, i64>,
    bare: &BTreeMap<String, i64>,
    orders: usize,
) -> Result<()> {
    let orders = i64::try_from(orders)?;
    let mut differ = Vec::new();
    for statement in shop.keys().chain(bare.keys()) {
        let of = |counts: &BTreeMap<String, i64>| counts.get(statement).copied().unwrap_or(0);
        let (shop, bare) = (of(shop), of(bare));
        if shop.max(bare) >= orders / 2 && (shop - bare).abs() > orders / 20 {
            differ.push(format!("{shop} and {bare}: {statement}"));
        }
    }
    differ.dedup();
    differ.truncate(5);
    ensure!(
        differ.is_empty(),
        "checkout.sql is not what the shop runs (shop, script):\n{}",
        differ.join("\n")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Kept, Script, placed, same, steps};
    use std::collections::BTreeMap;

    #[test]
    fn a_script_is_taken_apart() {
        let steps = steps(
            "-- what it is\nid <= SELECT a,\n    b WHERE c = :cart_id\n\nUPDATE d SET e = :e, f = 'g:h'\n",
        );
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].kept, Kept::Found("id"));
        assert_eq!(steps[0].text, "SELECT a, b WHERE c = ?");
        assert_eq!(steps[0].values, ["cart_id"]);
        assert_eq!(steps[1].kept, Kept::Nothing);
        assert_eq!(placed("'it :is' = :is").0, "'it :is' = ?");
        assert_eq!(steps[1].text, "UPDATE d SET e = ?, f = 'g:h'");
    }

    #[test]
    fn the_shops_script_opens_and_ends_its_transactions() {
        let steps = Script::of_the_shop().0;
        let of = |text: &str| steps.iter().filter(|step| step.text == text).count();
        assert_eq!((of("BEGIN"), of("COMMIT")), (7, 7));
    }

    #[test]
    fn what_the_shop_runs_more_or_less_often_is_named() {
        let counts = |of: &[(&str, i64)]| -> BTreeMap<String, i64> {
            of.iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect()
        };
        let shop = counts(&[("a", 100), ("b", 203), ("now and then", 7)]);
        assert!(same(&shop, &counts(&[("a", 100), ("b", 200)]), 100).is_ok());
        let missing = same(&shop, &counts(&[("b", 200)]), 100).unwrap_err();
        assert!(missing.to_string().contains("100 and 0: a"), "{missing}");
        let more = same(&shop, &counts(&[("a", 200), ("b", 200)]), 100).unwrap_err();
        assert!(more.to_string().contains("100 and 200: a"), "{more}");
    }
}
