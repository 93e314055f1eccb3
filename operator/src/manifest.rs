//! Files with Shops, read without a cluster: what `render` and `diff` take.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use panono_crds::{GROUP, MAXIMUM_NAME, Shop, VERSION};
use serde_json::Value;

use crate::observe::found_secret;
use crate::validate::FoundSecret;

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// Its Shops, with the defaults of their definition.
    pub shops: Vec<Shop>,
    /// Its Secrets: what Shops may refer to.
    pub secrets: BTreeMap<String, FoundSecret>,
}

/// Reads a file of YAML documents. Documents that are neither Shops nor Secrets are passed over, because files for `kubectl apply`
/// have all sorts of things in them.
///
/// # Errors
/// What is wrong, with its line.
pub fn read(text: &str) -> Result<Manifest, String> {
    let mut manifest = Manifest::default();
    for (first_line, document) in documents(text) {
        let at = |line: usize, words: String| format!("line {}: {words}", first_line + line);
        let value: Value =
            serde_saphyr::from_str(&document).map_err(|error| located(first_line, &error))?;
        if value.is_null() {
            continue;
        }
        let text_of = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        match (text_of("/apiVersion"), text_of("/kind")) {
            (Some("v1"), Some("Secret")) => {
                let name = text_of("/metadata/name").unwrap_or_default().to_owned();
                manifest.secrets.insert(name, secret(&value));
            }
            (Some(version), Some("Shop")) if version == format!("{GROUP}/{VERSION}") => {
                let shop: Shop = serde_saphyr::from_str(&document)
                    .map_err(|error| located(first_line, &error))?;
                if let Some(path) =
                    unknown(&value, &serde_json::to_value(&shop).unwrap_or_default())
                {
                    return Err(at(
                        line_of(&document, &path),
                        format!(
                            "there is no field {:?} in a Shop: kubectl explain shop.spec tells those that there are",
                            path.join(".")
                        ),
                    ));
                }
                let name = shop.metadata.name.clone().unwrap_or_default();
                let good = !name.is_empty()
                    && name.len() <= MAXIMUM_NAME
                    && name.starts_with(|first: char| first.is_ascii_lowercase())
                    && !name.ends_with('-')
                    && name.chars().all(|letter| {
                        letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'
                    });
                if !good {
                    return Err(at(
                        line_of(&document, &["metadata".to_owned(), "name".to_owned()]),
                        format!(
                            "the name of a Shop has at most {MAXIMUM_NAME} lower-case letters, digits and dashes, and begins with a letter; {name:?} does not"
                        ),
                    ));
                }
                manifest.shops.push(shop);
            }
            (Some(version), Some("Shop")) => {
                return Err(at(
                    line_of(&document, &["apiVersion".to_owned()]),
                    format!("a Shop of {version:?} is not known here: {GROUP}/{VERSION} is"),
                ));
            }
            (Some(_), Some(_)) => {}
            _ => {
                return Err(at(
                    0,
                    "a document without apiVersion and kind is no Kubernetes object".to_owned(),
                ));
            }
        }
    }
    if manifest.shops.is_empty() {
        return Err("there is no Shop in it".to_owned());
    }
    Ok(manifest)
}

/// Every document of a file as it is.
///
/// # Errors
/// What is wrong, with its line.
pub fn values(text: &str) -> Result<Vec<Value>, String> {
    documents(text)
        .into_iter()
        .map(|(first_line, document)| {
            serde_saphyr::from_str(&document).map_err(|error| located(first_line, &error))
        })
        .collect()
}

/// The documents of a file, each with the number of its first line.
fn documents(text: &str) -> Vec<(usize, String)> {
    let mut found = vec![(1, String::new())];
    for (line, number) in text.lines().zip(1..) {
        if line.trim_end() == "---" {
            found.push((number + 1, String::new()));
        } else if let Some((_, document)) = found.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    found.retain(|(_, document)| {
        document
            .lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    });
    found
}

fn located(first_line: usize, error: &serde_saphyr::Error) -> String {
    let inner = error.without_snippet();
    match error.location() {
        Some(location) => format!(
            "line {}, column {}: {}",
            first_line
                + usize::try_from(location.line())
                    .unwrap_or(1)
                    .saturating_sub(1),
            location.column(),
            inner
        ),
        None => inner.to_string(),
    }
}

fn secret(value: &Value) -> FoundSecret {
    let mut data = value
        .get("data")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let plain = value.get("stringData").and_then(Value::as_object);
    for (key, text) in plain.into_iter().flatten() {
        // As the API server stores it.
        if let Some(text) = text.as_str() {
            data.insert(key.clone(), STANDARD.encode(text).into());
        }
    }
    found_secret(Some(&Value::Object(data)))
}

/// The path of a field that was given and is not read.
fn unknown(given: &Value, read: &Value) -> Option<Vec<String>> {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => given.iter().find_map(|(name, below)| {
            let path = match read.get(name) {
                Some(read) => unknown(below, read)?,
                None if is_empty(below) => return None,
                None => Vec::new(),
            };
            Some(std::iter::once(name.clone()).chain(path).collect())
        }),
        (Value::Array(given), Value::Array(read)) => {
            given
                .iter()
                .zip(read)
                .enumerate()
                .find_map(|(at, (given, read))| {
                    let path = unknown(given, read)?;
                    Some(std::iter::once(at.to_string()).chain(path).collect())
                })
        }
        _ => None,
    }
}

/// What is not written again because it says nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// The line of a document, from 0, on which the last key of `path` stands, by going down its keys in order.
fn line_of(document: &str, path: &[String]) -> usize {
    let mut from = 0;
    for key in path {
        let found = document.lines().enumerate().skip(from).find(|(_, line)| {
            let line = line.trim_start().trim_start_matches("- ");
            line.strip_prefix(key.as_str())
                .is_some_and(|rest| rest.starts_with(':'))
        });
        if let Some((line, _)) = found {
            from = line;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::read;

    const SHOP: &str = "# a shop\n---\napiVersion: panono.dev/v1alpha1\nkind: Shop\nmetadata:\n  name: demo\nspec:\n  url: https://a.example\n  release:\n    image: r/shop:1\n";

    #[test]
    fn a_file_of_several_documents_is_read() {
        let text = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{token: x, empty: ''}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n}}\n{SHOP}"
        );
        let text = text.replace("# a shop\n", "");
        let manifest = read(&text).unwrap();
        assert_eq!(manifest.shops.len(), 1);
        assert_eq!(
            manifest.shops[0].spec.web.replicas, 2,
            "defaults are filled in"
        );
        let keys: Vec<_> = manifest.secrets["s"].keys.iter().collect();
        assert_eq!(keys, ["token"]);
    }

    #[test]
    fn errors_have_their_lines() {
        for (text, wanted) in [
            (SHOP.replace("    image:", "    imgae:"), "line 1"),
            (
                SHOP.replace("  url:", "  worker: {replicas: many}\n  url:"),
                "line 8",
            ),
            (
                format!("{SHOP}  wbe:\n    replicas: 3\n"),
                "line 11: there is no field \"spec.wbe\"",
            ),
            (
                format!("{SHOP}  web:\n    replica: 3\n"),
                "line 12: there is no field \"spec.web.replica\"",
            ),
            (SHOP.replace("v1alpha1", "v1"), "line 3: a Shop of"),
            (SHOP.replace("name: demo", "name: Demo"), "line 6: the name"),
            (format!("{SHOP}  tagline: [\n"), "line "),
            (
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n".to_owned(),
                "there is no Shop",
            ),
            ("kind: Shop\n".to_owned(), "line 1: a document without"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.starts_with(wanted), "{error:?} for\n{text}");
        }
    }
}
