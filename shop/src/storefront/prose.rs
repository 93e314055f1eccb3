//! Text with a little structure: what merchants write into descriptions and content pages.
//!
//! The source is plain text in a small subset of Markdown: paragraphs parted by empty lines, `#` headings, `-` or `1.`
//! lists, `>` quotations, `**strong**`, `*emphasis*` and `[links](target)`. It is read into a tree and written by
//! templates that escape every text, so no markup of a merchant reaches a page.

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading below the heading of the page.
    Heading(Vec<Inline>),
    /// A heading below a heading.
    Subheading(Vec<Inline>),
    /// A paragraph.
    Paragraph(Vec<Inline>),
    /// A list without numbers.
    List(Vec<Vec<Inline>>),
    /// A list with numbers.
    NumberedList(Vec<Vec<Inline>>),
    /// A quotation.
    Quotation(Vec<Inline>),
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inline {
    /// As it is.
    Text(String),
    /// Of importance.
    Strong(String),
    /// Stressed.
    Emphasis(String),
    /// A link.
    Link {
        /// What is read.
        text: String,
        /// Where it leads: a path of this site, or an `https:`, `mailto:` or `tel:` address.
        href: String,
    },
}

/// Reads a text.
#[must_use]
pub fn parse(source: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Open> = None;
    for line in source.lines().map(str::trim) {
        let line = Line::read(line);
        open = match (open, line) {
            (open, Line::Empty) => {
                blocks.extend(open.map(Open::close));
                None
            }
            (open, Line::Heading(text)) => {
                blocks.extend(open.map(Open::close));
                blocks.push(Block::Heading(inlines(text)));
                None
            }
            (open, Line::Subheading(text)) => {
                blocks.extend(open.map(Open::close));
                blocks.push(Block::Subheading(inlines(text)));
                None
            }
            (Some(Open::List(mut items)), Line::Item(text)) => {
                items.push(text.to_owned());
                Some(Open::List(items))
            }
            (Some(Open::NumberedList(mut items)), Line::NumberedItem(text)) => {
                items.push(text.to_owned());
                Some(Open::NumberedList(items))
            }
            (Some(Open::Quotation(text)), Line::Quotation(more)) => {
                Some(Open::Quotation(joined(&text, more)))
            }
            (Some(Open::Paragraph(text)), Line::Text(more)) => {
                Some(Open::Paragraph(joined(&text, more)))
            }
            // A line below an item goes on with the item.
            (Some(Open::List(mut items)), Line::Text(more)) => {
                if let Some(last) = items.last_mut() {
                    *last = joined(last, more);
                }
                Some(Open::List(items))
            }
            (Some(Open::NumberedList(mut items)), Line::Text(more)) => {
                if let Some(last) = items.last_mut() {
                    *last = joined(last, more);
                }
                Some(Open::NumberedList(items))
            }
            (open, Line::Item(text)) => {
                blocks.extend(open.map(Open::close));
                Some(Open::List(vec![text.to_owned()]))
            }
            (open, Line::NumberedItem(text)) => {
                blocks.extend(open.map(Open::close));
                Some(Open::NumberedList(vec![text.to_owned()]))
            }
            (open, Line::Quotation(text)) => {
                blocks.extend(open.map(Open::close));
                Some(Open::Quotation(text.to_owned()))
            }
            (open, Line::Text(text)) => {
                blocks.extend(open.map(Open::close));
                Some(Open::Paragraph(text.to_owned()))
            }
        };
    }
    blocks.extend(open.map(Open::close));
    blocks
}

/// The text alone, cut between words after at most `limit` characters: for descriptions in search results.
#[must_use]
pub fn excerpt(blocks: &[Block], limit: usize) -> String {
    let mut words = String::new();
    let mut length = 0;
    for block in blocks {
        let lines: Vec<&Vec<Inline>> = match block {
            Block::Heading(_) | Block::Subheading(_) => continue,
            Block::Paragraph(line) | Block::Quotation(line) => vec![line],
            Block::List(lines) | Block::NumberedList(lines) => lines.iter().collect(),
        };
        for line in lines {
            if length > 0 {
                words.push(' ');
                length += 1;
            }
            for inline in line {
                let (Inline::Text(text)
                | Inline::Strong(text)
                | Inline::Emphasis(text)
                | Inline::Link { text, .. }) = inline;
                words.push_str(text);
                length += text.chars().count();
            }
            if length > limit {
                return shorten(&words, limit);
            }
        }
    }
    words
}

fn shorten(text: &str, limit: usize) -> String {
    let head: String = text.chars().take(limit).collect();
    // Chinese has no spaces to cut at; a word longer than a third of the text is cut too.
    let cut = head
        .rfind(' ')
        .filter(|cut| *cut > head.len() / 3 * 2)
        .and_then(|cut| head.get(..cut))
        .unwrap_or(&head);
    format!("{}…", cut.trim_end_matches([' ', ',', ';', ':', '.']))
}

fn joined(first: &str, second: &str) -> String {
    format!("{first} {second}")
}

enum Line<'text> {
    Empty,
    Heading(&'text str),
    Subheading(&'text str),
    Item(&'text str),
    NumberedItem(&'text str),
    Quotation(&'text str),
    Text(&'text str),
}

impl<'text> Line<'text> {
    fn read(line: &'text str) -> Self {
        if line.is_empty() {
            return Self::Empty;
        }
        let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
        if (1..=6).contains(&hashes)
            && let Some(text) = line.get(hashes..).and_then(|rest| rest.strip_prefix(' '))
        {
            return if hashes <= 2 {
                Self::Heading(text.trim())
            } else {
                Self::Subheading(text.trim())
            };
        }
        if let Some(text) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
            return Self::Item(text.trim());
        }
        if let Some(text) = line.strip_prefix("> ") {
            return Self::Quotation(text.trim());
        }
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=3).contains(&digits)
            && let Some(text) = line.get(digits..).and_then(|rest| rest.strip_prefix(". "))
        {
            return Self::NumberedItem(text.trim());
        }
        Self::Text(line)
    }
}

enum Open {
    Paragraph(String),
    Quotation(String),
    List(Vec<String>),
    NumberedList(Vec<String>),
}

impl Open {
    fn close(self) -> Block {
        let all = |items: Vec<String>| items.iter().map(|item| inlines(item)).collect();
        match self {
            Self::Paragraph(text) => Block::Paragraph(inlines(&text)),
            Self::Quotation(text) => Block::Quotation(inlines(&text)),
            Self::List(items) => Block::List(all(items)),
            Self::NumberedList(items) => Block::NumberedList(all(items)),
        }
    }
}

/// Reads the marks within a line. A mark that does not close is text.
fn inlines(text: &str) -> Vec<Inline> {
    let mut found = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((inline, after)) = marked(rest) {
            if !plain.is_empty() {
                found.push(Inline::Text(std::mem::take(&mut plain)));
            }
            found.push(inline);
            rest = after;
        } else {
            plain.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    if !plain.is_empty() {
        found.push(Inline::Text(plain));
    }
    found
}

fn marked(rest: &str) -> Option<(Inline, &str)> {
    if let Some(inside) = rest.strip_prefix("**") {
        let (text, after) = inside.split_once("**")?;
        return is_tight(text).then(|| (Inline::Strong(text.to_owned()), after));
    }
    if let Some(inside) = rest.strip_prefix('*') {
        let (text, after) = inside.split_once('*')?;
        return is_tight(text).then(|| (Inline::Emphasis(text.to_owned()), after));
    }
    let (text, after) = rest.strip_prefix('[')?.split_once("](")?;
    let (href, after) = after.split_once(')')?;
    (is_tight(text) && is_safe_target(href)).then(|| {
        (
            Inline::Link {
                text: text.to_owned(),
                href: href.to_owned(),
            },
            after,
        )
    })
}

fn is_tight(text: &str) -> bool {
    !text.is_empty() && text.trim() == text
}

/// A path of this site or one of a few schemes: never a script, never another site without encryption.
fn is_safe_target(href: &str) -> bool {
    let own_path = href.starts_with('/') && !href.starts_with("//") && !href.starts_with("/\\");
    let known_scheme = ["https://", "mailto:", "tel:"]
        .iter()
        .any(|scheme| href.starts_with(scheme));
    (own_path || known_scheme)
        && !href
            .chars()
            .any(|character| character.is_control() || character.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<Inline> {
        vec![Inline::Text(text.to_owned())]
    }

    #[test]
    fn structure_is_read() {
        let blocks = parse(
            "First line\nsecond line\n\n## Care\n- By hand\n- or in\n  the machine\n\n1. One\n2. Two\n> Said\n### Small",
        );
        assert_eq!(
            blocks,
            [
                Block::Paragraph(text("First line second line")),
                Block::Heading(text("Care")),
                Block::List(vec![text("By hand"), text("or in the machine")]),
                Block::NumberedList(vec![text("One"), text("Two")]),
                Block::Quotation(text("Said")),
                Block::Subheading(text("Small")),
            ]
        );
    }

    #[test]
    fn marks_are_read_where_they_close() {
        let line = |source: &str| match parse(source).remove(0) {
            Block::Paragraph(line) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            line("Is **very** *good*, see [care](/en/pages/care)."),
            [
                Inline::Text("Is ".to_owned()),
                Inline::Strong("very".to_owned()),
                Inline::Text(" ".to_owned()),
                Inline::Emphasis("good".to_owned()),
                Inline::Text(", see ".to_owned()),
                Inline::Link {
                    text: "care".to_owned(),
                    href: "/en/pages/care".to_owned()
                },
                Inline::Text(".".to_owned()),
            ]
        );
        for plain in [
            "2 * 3 * 4",
            "**open",
            "[a](b",
            "[x](javascript:alert(1))",
            "[x](//evil.example)",
            "[x](http://a)",
            "<b>",
        ] {
            assert_eq!(line(plain), text(plain), "{plain}");
        }
    }

    #[test]
    fn an_excerpt_ends_between_words() {
        let blocks = parse("# Title\nThe quick brown fox jumps over the lazy dog.\n\n- and more");
        assert_eq!(
            excerpt(&blocks, 200),
            "The quick brown fox jumps over the lazy dog. and more"
        );
        assert_eq!(excerpt(&blocks, 22), "The quick brown fox…");
        assert_eq!(
            excerpt(&parse("敏捷的棕色狐狸跳过懒狗"), 6),
            "敏捷的棕色狐…"
        );
    }

    #[test]
    fn hostile_texts_end() {
        for source in [
            "*".repeat(2_000),
            "[".repeat(2_000),
            "**a".repeat(700),
            "[a](".repeat(500),
            "#".repeat(99),
        ] {
            assert!(!parse(&source).is_empty());
        }
    }
}
