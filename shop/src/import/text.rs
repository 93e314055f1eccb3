//! Descriptions of other systems are HTML; the shop keeps plain paragraphs, which can do no harm.

/// Elements whose content is no text for readers.
const UNREAD: [&str; 7] = [
    "script", "style", "template", "iframe", "object", "svg", "noscript",
];
/// Elements that begin and end a paragraph.
const BLOCKS: [&str; 26] = [
    "p",
    "div",
    "section",
    "article",
    "header",
    "footer",
    "aside",
    "main",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "dl",
    "table",
    "tbody",
    "thead",
    "blockquote",
    "pre",
    "figure",
    "figcaption",
    "hr",
    "form",
];
/// Elements that begin a line.
const LINES: [&str; 5] = ["br", "tr", "dt", "dd", "option"];

/// Plain paragraphs of an HTML fragment. Text without any markup keeps its lines.
#[must_use]
pub fn paragraphs(html: &str) -> String {
    if !html.contains(['<', '&']) {
        return tidy(html);
    }
    let markup = has_tags(html);
    let mut plain = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        push_text(&mut plain, rest.get(..at).unwrap_or_default(), markup);
        rest = rest.get(at..).unwrap_or_default();
        rest = if rest.starts_with('<') {
            tag(rest, &mut plain)
        } else {
            entity(rest, &mut plain)
        };
    }
    push_text(&mut plain, rest, markup);
    tidy(&plain)
}

fn has_tags(html: &str) -> bool {
    html.split('<')
        .skip(1)
        .any(|after| after.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/'))
}

/// In HTML a line break is a space; in plain text it is a line break.
fn push_text(plain: &mut String, text: &str, markup: bool) {
    if markup {
        plain.extend(text.chars().map(|character| {
            if character == '\n' || character == '\r' {
                ' '
            } else {
                character
            }
        }));
    } else {
        plain.push_str(text);
    }
}

/// Reads one tag, comment or lone `<` and gives what follows it.
fn tag<'a>(text: &'a str, plain: &mut String) -> &'a str {
    if let Some(comment) = text.strip_prefix("<!--") {
        return comment
            .find("-->")
            .and_then(|end| comment.get(end + 3..))
            .unwrap_or_default();
    }
    let body = text.get(1..).unwrap_or_default();
    let closing = body.starts_with('/');
    let named = body.trim_start_matches('/');
    if !named.starts_with(|first: char| first.is_ascii_alphabetic() || first == '!' || first == '?')
    {
        plain.push('<');
        return body;
    }
    let name: String = named
        .chars()
        .take_while(|character| character.is_ascii_alphanumeric())
        .map(|character| character.to_ascii_lowercase())
        .collect();
    let after = end_of_tag(body);
    if !closing && UNREAD.contains(&name.as_str()) {
        let lower = after.to_ascii_lowercase();
        return lower
            .find(&format!("</{name}"))
            .and_then(|end| after.get(end..))
            .map(|end| end_of_tag(end.get(1..).unwrap_or_default()))
            .unwrap_or_default();
    }
    if BLOCKS.contains(&name.as_str()) {
        plain.push_str("\n\n");
    } else if LINES.contains(&name.as_str()) {
        plain.push('\n');
    } else if name == "li" {
        plain.push_str(if closing { "" } else { "\n• " });
    } else if name == "td" || name == "th" {
        plain.push(' ');
    }
    after
}

/// What follows the `>` of a tag; a `>` within a quoted attribute does not end it.
fn end_of_tag(body: &str) -> &str {
    let mut quote = None;
    for (at, character) in body.char_indices() {
        match (quote, character) {
            (None, '>') => return body.get(at + 1..).unwrap_or_default(),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    // A quote that is never closed: the tag ends at the first `>` after all.
    body.find('>')
        .and_then(|at| body.get(at + 1..))
        .unwrap_or_default()
}

fn entity<'a>(text: &'a str, plain: &mut String) -> &'a str {
    let body = text.get(1..).unwrap_or_default();
    let known = body
        .bytes()
        .take(12)
        .position(|byte| byte == b';')
        .and_then(|end| {
            let name = body.get(..end)?;
            let character = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" => ' ',
                "ndash" => '–',
                "mdash" => '—',
                "hellip" => '…',
                "lsquo" => '‘',
                "rsquo" => '’',
                "ldquo" => '“',
                "rdquo" => '”',
                "bull" => '•',
                "middot" => '·',
                "deg" => '°',
                "times" => '×',
                "reg" => '®',
                "copy" => '©',
                "trade" => '™',
                "eacute" => 'é',
                "egrave" => 'è',
                "auml" => 'ä',
                "ouml" => 'ö',
                "uuml" => 'ü',
                "szlig" => 'ß',
                "euro" => '€',
                "pound" => '£',
                "frac12" => '½',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)
                        .filter(|character| !character.is_control() || *character == '\n')?
                }
            };
            Some((character, end + 1))
        });
    match known {
        Some((character, length)) => {
            plain.push(character);
            body.get(length..).unwrap_or_default()
        }
        None => {
            plain.push('&');
            body
        }
    }
}

/// Single spaces, single line breaks, one empty line between paragraphs, nothing at the ends.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut empty_lines = 0_u32;
    for line in text.replace("\r\n", "\n").replace('\r', "\n").split('\n') {
        let words: Vec<&str> = line
            .split(|character: char| {
                character.is_whitespace() || (character.is_control() && character != '\n')
            })
            .filter(|word| !word.is_empty())
            .collect();
        if words.is_empty() || words == ["•"] {
            empty_lines += 1;
            continue;
        }
        if !tidied.is_empty() {
            tidied.push_str(if empty_lines > 0 { "\n\n" } else { "\n" });
        }
        empty_lines = 0;
        tidied.push_str(&words.join(" "));
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_paragraphs() {
        assert_eq!(
            paragraphs(
                "<p>Warm &amp; dry.<br>Light</p>\n<ul><li>Wool</li><li>1 &lt; 2</li></ul><p>End</p>"
            ),
            "Warm & dry.\nLight\n\n• Wool\n• 1 < 2\n\nEnd"
        );
    }

    #[test]
    fn nothing_that_runs_remains() {
        let text = paragraphs(
            "a<script>alert('x')</script><img src=x onerror=\"a>b\">b<!-- c --><style>p{}</style><iframe>d",
        );
        assert_eq!(text, "ab");
        assert_eq!(paragraphs("<p>1 < 2 & 3</p>"), "1 < 2 & 3");
        assert_eq!(paragraphs("<scr"), "");
        assert_eq!(paragraphs("&#x41;&#66;&unknown;&#1;"), "AB&unknown;&#1;");
    }

    #[test]
    fn plain_text_keeps_its_lines() {
        assert_eq!(
            paragraphs("one\r\ntwo  three\r\n\r\n\r\nfour "),
            "one\ntwo three\n\nfour"
        );
    }
}
