//! The rules of this repository that no compiler knows. Each test names every place that breaks its rule.
//!
//! Sources are read as text, not parsed: a rule that needs more than a line to be seen belongs into a type.
#![allow(clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What git ignores, and git itself.
const NOT_OURS: [&str; 4] = [".git", "target", ".tools", ".demo"];

/// Longest Rust file, in lines. Some 600 are wished.
const MAXIMUM_LINES: usize = 800;

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// A file of the repository: its path from the root, with `/`, and its text. Files that are not text have none.
struct Source {
    path: String,
    text: Option<String>,
}

impl Source {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Lines with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text().lines().zip(1..).map(|(line, at)| (at, line))
    }

    /// Lines of what runs in production: without comments and without the tests at the end.
    fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let for_tests = self.name().ends_with("tests.rs") || self.name() == "fixture.rs";
        let tests = self.text().find("\n#[cfg(test)]\nmod tests");
        let until = tests.unwrap_or(self.text().len());
        let text = self.text().get(..until).filter(|_| !for_tests);
        let lines = text.unwrap_or_default().lines().zip(1..);
        lines
            .map(|(line, at)| (at, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// All files under `folder`, in the order of their paths.
fn sources(folder: &str) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        for entry in entries {
            let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let name = entry.file_name();
            if NOT_OURS.iter().any(|ignored| name == *ignored) {
                continue;
            }
            // Links are not followed.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    let path = entry.path();
                    let short = path.strip_prefix(&root).unwrap_or(&path);
                    found.push(Source {
                        path: short.to_string_lossy().replace('\\', "/"),
                        text: fs::read_to_string(&path).ok(),
                    });
                }
                _ => {}
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(!found.is_empty(), "there are no files in {folder:?}");
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with one line for each place.
fn none(rule: &str, places: Vec<String>) {
    let lines: Vec<String> = places
        .into_iter()
        .map(|place| format!("  {place}"))
        .collect();
    let count = lines.len();
    assert!(count == 0, "{rule}; {count} of them:\n{}", lines.join("\n"));
}

/// Words of `text` that begin with `prefix` and go on with characters that `more` accepts. A word does not begin within another.
fn words<'a>(text: &'a str, prefix: &str, more: fn(char) -> bool) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let word = text.get(at..).unwrap_or_default();
        let end = word.find(|letter| !more(letter)).unwrap_or(word.len());
        if !before.is_some_and(|letter| more(letter) || letter.is_ascii_alphanumeric()) {
            found.extend(word.get(..end));
        }
    }
    found
}

fn variable(letter: char) -> bool {
    letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'
}

fn metric(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
}

/// Environment variables that `text` names. A prefix such as `PANONO_PURGE_*` is none.
fn variables(text: &str) -> BTreeSet<String> {
    ["PANONO_", "AWS_"]
        .iter()
        .flat_map(|prefix| words(text, prefix, variable))
        .filter(|word| !word.ends_with('_'))
        .map(str::to_owned)
        .collect()
}

/// What is in `left` and not in `right`.
fn missing(left: &BTreeSet<String>, right: &BTreeSet<String>) -> Vec<String> {
    left.difference(right).cloned().collect()
}

/// The cells of a row of a Markdown table, without the backticks round a whole cell.
fn cells(row: &str) -> Option<Vec<&str>> {
    let row = row.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(
        row.split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect(),
    )
}

#[test]
fn no_rust_file_is_too_long() {
    let long = sources("")
        .iter()
        .filter(|file| file.is_rust())
        .map(|file| (file.text().lines().count(), &file.path))
        .filter(|(lines, _)| *lines > MAXIMUM_LINES)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    none(
        "a file of more than 800 lines is two things: divide it",
        long,
    );
}

#[test]
fn sql_is_where_it_belongs() {
    // `db` asks members how they are and reads the schema's version; everything else is the store of a domain.
    let may =
        |file: &Source| file.name().starts_with("store") || file.path.starts_with("shop/src/db/");
    let is_statement = |line: &str| {
        let update = line
            .split_once("UPDATE ")
            .is_some_and(|(_, rest)| rest.split_whitespace().nth(1) == Some("SET"));
        update
            || [
                "SELECT ",
                "INSERT INTO",
                "INSERT IGNORE",
                "REPLACE INTO",
                "DELETE FROM",
            ]
            .iter()
            .any(|start| line.contains(start))
    };
    let mut places = Vec::new();
    for file in sources("shop/src") {
        if file.is_rust() && !may(&file) {
            for (at, line) in file.production().filter(|(_, line)| is_statement(line)) {
                places.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    none(
        "SQL stands in files named store*.rs and in shop/src/db only",
        places,
    );
}

#[test]
fn models_know_neither_the_web_nor_the_database() {
    let mut places = Vec::new();
    for file in sources("shop/src") {
        let pure = file.name() == "model.rs"
            || file.path.starts_with("shop/src/storefront/")
            || [
                "edge/purge/plan.rs",
                "db/topology.rs",
                "web/public/route.rs",
                "admin/events.rs",
            ]
            .iter()
            .any(|path| file.path.ends_with(path));
        for (at, line) in file.production().filter(|_| pure && file.is_rust()) {
            if ["actix_", "sqlx", "redis::", "reqwest", "tokio"]
                .iter()
                .any(|name| line.contains(name))
            {
                places.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    none(
        "what decides does no I/O: it names neither actix nor sqlx nor a client nor tokio",
        places,
    );
}

#[test]
fn banned_crates_are_not_in_the_lockfile() {
    let lock = read("Cargo.lock");
    // One TLS provider (ring), one library for dates (time), nothing that is no longer maintained.
    let banned = [
        "openssl-sys",
        "native-tls",
        "aws-lc-rs",
        "aws-lc-sys",
        "serde_yaml",
        "chrono",
    ];
    let deny = read("deny.toml");
    let mut places: Vec<String> = banned
        .iter()
        .filter(|name| lock.contains(&format!("name = \"{name}\"\n")))
        .map(|name| format!("Cargo.lock: {name}"))
        .collect();
    places.extend(
        banned
            .iter()
            .filter(|name| !deny.contains(&format!("\"{name}\"")))
            .map(|name| format!("deny.toml does not ban {name}")),
    );
    places.extend(
        lock.lines()
            .filter_map(|line| line.strip_prefix("source = "))
            .filter(|source| *source != "\"registry+https://github.com/rust-lang/crates.io-index\"")
            .map(|source| format!("Cargo.lock: a crate from {source}")),
    );
    none("crates that this project does not build with", places);
}

#[test]
fn tests_are_run_and_wait_for_conditions() {
    let ignore = concat!("#[", "ignore");
    let sleeps = [concat!("sl", "eep("), concat!("sl", "eep_until(")];
    let mut places = Vec::new();
    for folder in [
        "tests",
        "shop/src",
        "operator/src",
        "crds/src",
        "pictures/src",
    ] {
        for file in sources(folder).iter().filter(|file| file.is_rust()) {
            let is_test = file.path.starts_with("tests/tests/");
            for (at, line) in file.lines() {
                if line.trim_start().starts_with(ignore)
                    || is_test && sleeps.iter().any(|call| line.contains(call))
                {
                    places.push(format!("{}:{at}: {}", file.path, line.trim()));
                }
            }
        }
    }
    none(
        "a test is not ignored, and waits for a condition instead of a time (panono_tests::wait)",
        places,
    );
}

#[test]
fn every_variable_is_documented_and_every_documented_one_is_read() {
    let documented = variables(&read("docs/configuration.md"));
    let mut read_by_code = BTreeSet::new();
    for folder in ["shop/src", "tests/src"] {
        for file in sources(folder).iter().filter(|file| file.is_rust()) {
            for (_, line) in file.production() {
                read_by_code.extend(variables(line));
            }
        }
    }
    read_by_code.extend(variables(&read("tests/tools.sh")));
    none(
        "variables that docs/configuration.md does not describe",
        missing(&read_by_code, &documented),
    );
    none(
        "variables that docs/configuration.md describes and nothing reads",
        missing(&documented, &read_by_code),
    );
}

#[test]
fn every_variable_of_the_operator_is_documented() {
    let documented = variables(&read("docs/operator.md"));
    // What its pods are given is the shop's to read: docs/configuration.md.
    let commands = sources("operator/src/command");
    let read_by_code: BTreeSet<String> = commands
        .iter()
        .flat_map(|file| file.production())
        .flat_map(|(_, line)| variables(line))
        .collect();
    none(
        "variables of the operator that docs/operator.md does not describe",
        missing(&read_by_code, &documented),
    );
    none(
        "variables that docs/operator.md describes and nothing reads",
        missing(&documented, &read_by_code),
    );
}

#[test]
fn every_variable_of_backups_is_documented() {
    let documented = variables(&read("docs/backups.md"));
    let mut read_by_code: BTreeSet<String> = sources("operator/src/backup")
        .iter()
        .flat_map(|file| file.production())
        .flat_map(|(_, line)| variables(line))
        .collect();
    read_by_code.extend(variables(&read("operator/src/bin/panono-backup.rs")));
    // Any of a bucket's keys can be in a file.
    let of_files = "AWS_ACCESS_KEY_ID_FILE".to_owned();
    read_by_code.insert(of_files);
    none(
        "variables of backups that docs/backups.md does not describe",
        missing(&read_by_code, &documented),
    );
    none(
        "variables that docs/backups.md describes and nothing reads",
        missing(&documented, &read_by_code),
    );
}

#[test]
fn every_metric_of_the_operator_is_documented() {
    let documented: BTreeSet<String> = words(&read("docs/operator.md"), "panono_operator_", metric)
        .into_iter()
        .map(str::to_owned)
        .collect();
    // The text format adds the prefix, `_total` to counters and the unit.
    let source = read("operator/src/metrics.rs");
    let missing: Vec<String> = documented
        .iter()
        .filter(|name| {
            let bare = name.trim_start_matches("panono_operator_");
            let bare = bare.trim_end_matches("_total").trim_end_matches("_seconds");
            !source.contains(&format!("\"{bare}\""))
        })
        .cloned()
        .collect();
    none(
        "metrics that docs/operator.md describes and nothing measures",
        missing,
    );
    let measured = source.matches("registry.register").count();
    assert_eq!(
        measured,
        documented.len(),
        "metrics that docs/operator.md does not describe"
    );
}

#[test]
fn every_reason_is_documented() {
    let documented = read("docs/operator.md");
    let rows: Vec<String> = read("crds/src/reason.rs")
        .lines()
        .filter_map(|line| {
            let mut quoted = line.strip_prefix("    ")?.strip_suffix("\";")?.split('"');
            let name = quoted.next()?.split(',').next()?;
            let meaning = quoted.next()?;
            let advice = quoted.nth(1)?;
            Some(format!("| `{name}` | {meaning} | {advice} |"))
        })
        .collect();
    assert!(rows.len() > 15, "the table of reasons is not found");
    none(
        "rows of the table in crds/src/reason.rs that docs/operator.md lacks",
        rows.into_iter()
            .filter(|row| !documented.contains(row))
            .collect(),
    );
}

#[test]
fn what_decides_for_the_operator_is_pure() {
    let mut places = Vec::new();
    for file in sources("operator/src") {
        let pure = file.path.starts_with("operator/src/desired/")
            || [
                "database/decide.rs",
                "database/evidence.rs",
                "gtid.rs",
                "database/outage.rs",
                "database/planned.rs",
                "database/record.rs",
                "database/rotation.rs",
                "validate.rs",
                "status.rs",
                "live.rs",
                "ownership.rs",
                "object.rs",
                "names.rs",
                "manifest.rs",
            ]
            .iter()
            .any(|name| file.path == format!("operator/src/{name}"));
        for (at, line) in file.production().filter(|_| pure && file.is_rust()) {
            if [
                "kube::Client",
                "Api<",
                "tokio",
                "SystemTime",
                "Timestamp::now",
                "rand::",
            ]
            .iter()
            .any(|name| line.contains(name))
            {
                places.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    none("what decides has no client, no clock and no chance", places);
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_measured() {
    // The text format adds `_total` to counters and the unit to those that have one.
    let bare = |name: &str| {
        ["_total", "_seconds", "_bytes"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name)
            .to_owned()
    };
    let mut measured = BTreeSet::new();
    for file in sources("shop/src").iter().filter(|file| file.is_rust()) {
        for (_, line) in file.production() {
            let literals = line.split('"').skip(1).step_by(2);
            let names =
                literals.filter(|text| text.starts_with("shop_") && text.chars().all(metric));
            measured.extend(names.map(bare));
        }
    }
    let documented: BTreeSet<String> = words(&read("docs/metrics.md"), "shop_", metric)
        .into_iter()
        .map(bare)
        .collect();
    none(
        "metrics that docs/metrics.md does not describe",
        missing(&measured, &documented),
    );
    none(
        "metrics that docs/metrics.md describes and nothing measures",
        missing(&documented, &measured),
    );
}

#[test]
fn the_table_of_errors_is_documented() {
    // `Variant = "code", 400, "Title", Some(1), Level;`
    let source = read("shop/src/web/error.rs");
    let table = source
        .split_once("\ncodes! {\n")
        .and_then(|(_, rest)| rest.split_once("\n}\n"))
        .map_or_else(
            || panic!("shop/src/web/error.rs has no table `codes!`"),
            |(table, _)| table,
        );
    let mut in_code = BTreeSet::new();
    for row in table
        .lines()
        .map(str::trim)
        .filter(|row| !row.starts_with("//"))
    {
        let mut quoted = row.split('"');
        let (Some(_), Some(code), Some(status), Some(title), Some(rest)) = (
            quoted.next(),
            quoted.next(),
            quoted.next(),
            quoted.next(),
            quoted.next(),
        ) else {
            panic!("shop/src/web/error.rs: this row of the table is not on one line: {row}");
        };
        let retry = rest
            .split_once("Some(")
            .and_then(|(_, rest)| rest.split_once(')'))
            .map_or("", |(seconds, _)| seconds);
        let status = status.trim_matches([',', ' ']);
        in_code.insert(format!("{code} | {status} | {retry} | {title}"));
    }
    let documented = read("docs/errors.md")
        .lines()
        .filter_map(cells)
        .filter_map(|cells| match cells.as_slice() {
            [code, status, retry, title, ..] if status.parse::<u16>().is_ok() => {
                Some(format!("{code} | {status} | {retry} | {title}"))
            }
            _ => None,
        })
        .collect();
    none(
        "rows of the table in shop/src/web/error.rs that docs/errors.md lacks",
        missing(&in_code, &documented),
    );
    none(
        "rows of docs/errors.md that the table in shop/src/web/error.rs lacks",
        missing(&documented, &in_code),
    );
}

#[test]
fn migrations_are_numbered_upwards_and_have_one_statement() {
    let mut places = Vec::new();
    // Files come in the order of their names.
    let mut before = String::new();
    for file in &sources("shop/migrations") {
        let number = file.name().split('_').next().unwrap_or_default().to_owned();
        let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || number <= before || !file.name().ends_with(".sql") {
            places.push(format!(
                "{}: four digits above {before}, `_`, a name, `.sql`",
                file.path
            ));
        }
        before = number;
        let statement: String = file
            .text()
            .lines()
            .map(|line| line.split_once("--").map_or(line, |(code, _)| code))
            .collect::<Vec<_>>()
            .join("\n");
        let statement = statement.trim();
        if !statement.ends_with(';') || statement.matches(';').count() != 1 {
            places.push(format!("{}: one statement, ended by `;`", file.path));
        }
    }
    // A migration that fails half-way could otherwise not be repeated: DDL commits by itself.
    none("migrations that cannot be applied one by one", places);
}

#[test]
fn nothing_names_a_machine_or_a_package_registry() {
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
        concat!("crates.io", "/api"),
        concat!("pypi", ".org"),
        concat!("python", "hosted.org"),
        concat!("registry.", "npmjs"),
        concat!("proxy.", "golang.org"),
        concat!("deb.", "debian.org"),
        concat!("ftp.", "debian.org"),
    ];
    let mut places = Vec::new();
    for file in sources("") {
        for (at, line) in file.lines() {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                places.push(format!("{}:{at}: {word}", file.path));
            }
        }
    }
    none(
        "paths of one machine and hosts of package registries: use what the machine is configured with",
        places,
    );
}

#[test]
fn what_the_documents_point_to_is_there() {
    let mut places = Vec::new();
    for file in sources("").iter().filter(|file| file.path.ends_with(".md")) {
        let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
        for (at, line) in file.lines() {
            // `[text](path#part)` and `![text](path)`
            for link in line.split("](").skip(1) {
                let target = link.split([')', '#']).next().unwrap_or_default();
                let external = target.contains("://") || target.starts_with("mailto:");
                if !target.is_empty() && !external && !root().join(folder).join(target).exists() {
                    places.push(format!("{}:{at}: {target}", file.path));
                }
            }
            // `shop/src/…` between backticks; what follows `::` is an item of that file.
            for path in line.split('`').skip(1).step_by(2) {
                let ours = [
                    "shop/",
                    "operator/",
                    "crds/",
                    "charts/",
                    "manifests/",
                    "tests/",
                    "docs/",
                    ".ci/",
                    ".github/",
                ];
                let path = path.split("::").next().unwrap_or_default();
                let pattern = path.contains(|letter| " *<{…".contains(letter));
                if ours.iter().any(|start| path.starts_with(start))
                    && !pattern
                    && !root().join(path).exists()
                {
                    places.push(format!("{}:{at}: {path}", file.path));
                }
            }
        }
    }
    none("links and paths that lead nowhere", places);
}

#[test]
fn the_code_map_has_every_module() {
    let map = read("docs/architecture.md");
    let mut absent = Vec::new();
    for program in ["shop", "operator"] {
        let modules: BTreeSet<String> = read(&format!("{program}/src/lib.rs"))
            .lines()
            .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
            .map(str::to_owned)
            .collect();
        assert!(!modules.is_empty(), "{program}/src/lib.rs names no module");
        absent.extend(
            modules
                .iter()
                .map(|module| format!("{program}/src/{module}"))
                .filter(|module| {
                    !["/`", ".rs`", ".rs::"]
                        .iter()
                        .any(|end| map.contains(&format!("`{module}{end}")))
                }),
        );
    }
    none("modules that docs/architecture.md lacks", absent);
}

#[test]
fn every_invariant_says_where_it_is_kept() {
    // `N. **…** … Kept: …` or `… Not yet: …`
    let text = read("docs/architecture.md");
    let Some((_, text)) = text.split_once("\n## Invariants\n") else {
        panic!("docs/architecture.md has no section `## Invariants`");
    };
    let mut places = Vec::new();
    for number in 1..=23 {
        let start = format!("\n{number}. **");
        let Some((_, rest)) = text.split_once(&start) else {
            places.push(format!("{number} is missing"));
            continue;
        };
        let end = rest.find("\n\n").unwrap_or(rest.len());
        let next = rest.find(&format!("\n{}. **", number + 1)).unwrap_or(end);
        let paragraph = rest.get(..end.min(next)).unwrap_or_default();
        if !paragraph.contains("Kept:") && !paragraph.contains("Not yet:") {
            places.push(format!("{number} says neither `Kept:` nor `Not yet:`"));
        }
    }
    none("invariants in docs/architecture.md", places);
}
