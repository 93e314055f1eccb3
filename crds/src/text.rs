//! YAML as this project writes it.

use serde::Serialize;

/// Writes a Kubernetes object as YAML, without what is null, with the keys in the order that readers expect: `apiVersion`,
/// `kind`, `metadata`, `spec`, then the rest. The text depends on the object alone.
///
/// # Errors
/// When the object cannot be written at all, with the serialiser's words.
pub fn to_yaml(object: &impl Serialize) -> Result<String, String> {
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    let mut out = String::new();
    write_value(&mut out, &value, 0, Place::Document);
    Ok(out)
}

/// Where a value stands: what has to be written in front of it.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Document,
    AfterKey,
    AfterDash,
}

fn write_value(out: &mut String, value: &serde_json::Value, indent: usize, place: Place) {
    use serde_json::Value;
    match value {
        Value::Object(map) if map.values().any(|value| !value.is_null()) => {
            let mut keys: Vec<&String> = map
                .keys()
                .filter(|key| map.get(*key).is_some_and(|value| !value.is_null()))
                .collect();
            keys.sort_by_key(|key| (rank(key), (*key).clone()));
            for (at, key) in keys.iter().enumerate() {
                match place {
                    Place::AfterDash if at == 0 => out.push(' '),
                    Place::Document if at == 0 => {}
                    _ => {
                        out.push('\n');
                        out.extend(std::iter::repeat_n(' ', indent));
                    }
                }
                out.push_str(&scalar(key, indent));
                out.push(':');
                if let Some(value) = map.get(*key) {
                    let deeper = if value.is_array() { indent } else { indent + 2 };
                    write_value(out, value, deeper, Place::AfterKey);
                }
            }
            if place == Place::Document {
                out.push('\n');
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                if !out.is_empty() {
                    out.push('\n');
                }
                out.extend(std::iter::repeat_n(' ', indent));
                out.push('-');
                write_value(out, item, indent + 2, Place::AfterDash);
            }
        }
        other => {
            if place != Place::Document {
                out.push(' ');
            }
            match other {
                Value::String(text) => out.push_str(&scalar(text, indent)),
                Value::Object(_) => out.push_str("{}"),
                other => out.push_str(&other.to_string()),
            }
        }
    }
}

fn rank(key: &str) -> usize {
    ["apiVersion", "kind", "metadata", "spec"]
        .iter()
        .position(|first| *first == key)
        .unwrap_or(usize::MAX)
}

/// Text as YAML reads it back: bare where nothing can be mistaken, a block where it has lines, else quoted as JSON does.
fn scalar(text: &str, indent: usize) -> String {
    let block = text.contains('\n')
        && text.lines().all(|line| {
            !line.ends_with([' ', '\t'])
                && line
                    .chars()
                    .all(|letter| !letter.is_control() || letter == '\t')
        })
        && !text.starts_with([' ', '\n', '\t'])
        && !text.ends_with("\n\n");
    if block {
        let mut out = String::from(if text.ends_with('\n') { "|" } else { "|-" });
        let pad = " ".repeat(indent.max(2));
        for line in text.lines() {
            out.push('\n');
            if !line.is_empty() {
                out.push_str(&pad);
                out.push_str(line);
            }
        }
        return out;
    }
    let plain = text
        .starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '$')
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || " -_./$()=,;+".contains(letter))
        && !text.ends_with(' ')
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::to_yaml;

    #[test]
    fn what_is_written_is_read_back() {
        let object = json!({
            "spec": {"list": ["a", {"b": 1, "c": []}, [1, 2], {}], "text": "one\ntwo\n", "no": "no", "number": "12",
                "tricky": ["- x", "a: b", "# c", "", " d", "*", "1.5", "é", "a #b", "tab\tx", "x:", "line\n\nend", "\n"]},
            "kind": "Thing", "apiVersion": "v1", "metadata": {"name": "n", "labels": {"a.b/c": "d", "200": "x"}},
            "nothing": null,
        });
        let text = to_yaml(&object).unwrap();
        let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let mut wanted = object;
        wanted.as_object_mut().unwrap().remove("nothing");
        assert_eq!(read, wanted, "{text}");
        assert!(
            text.starts_with("apiVersion: v1\nkind: Thing\nmetadata:\n  labels:\n"),
            "{text}"
        );
    }
}
