//! Rust source as words: enough to see what is used, blind to comments and to what stands in strings.
//!
//! What may be used is not known here.

/// A name, a number or one punctuation mark; `::` is one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) text: String,
}

/// The words of a source file.
pub(super) fn words(source: &str) -> Vec<Word> {
    let mut reader = Reader {
        rest: source,
        line: 1,
    };
    let mut words = Vec::new();
    while let Some(first) = reader.rest.chars().next() {
        let line = reader.line;
        let length = if reader.skip() {
            continue;
        } else if is_name(first) {
            reader
                .rest
                .find(|c| !is_name(c))
                .unwrap_or(reader.rest.len())
        } else if reader.rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        words.push(Word {
            line,
            text: reader.take(length).to_owned(),
        });
    }
    words
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Skips a space, a comment, a string, a character or a lifetime, if one begins here.
    fn skip(&mut self) -> bool {
        let rest = self.rest;
        let length = if rest.starts_with(char::is_whitespace) {
            rest.find(|c: char| !c.is_whitespace())
                .unwrap_or(rest.len())
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if let Some(quoted) = ["\"", "b\"", "c\""]
            .iter()
            .find(|start| rest.starts_with(**start))
        {
            quoted.len() + until_unescaped(&rest[quoted.len()..], '"')
        } else if let Some(quoted) = ["'", "b'"].iter().find(|start| rest.starts_with(**start)) {
            character_or_lifetime(rest, quoted.len())
        } else {
            return false;
        };
        self.take(length);
        true
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find(|prefix| rest.starts_with(prefix))?;
    let after = &rest[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inside = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(prefix.len() + hashes + 1 + length)
}

/// The length up to and with the first `end` that no backslash precedes.
fn until_unescaped(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == end => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn character_or_lifetime(rest: &str, quote: usize) -> usize {
    let inside = &rest[quote..];
    let mut chars = inside.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quote + until_unescaped(inside, '\''),
        // A lifetime: its name is no use of anything.
        _ => quote + inside.find(|c| !is_name(c)).unwrap_or(inside.len()),
    }
}

/// The modules of `std` that a source names, also in `use std::{fs, net}`; where each is named.
pub(super) fn modules_of_std(words: &[Word]) -> Vec<Word> {
    let mut found = Vec::new();
    for (at, pair) in words.windows(2).enumerate() {
        if pair[0].text != "std" || pair[1].text != "::" {
            continue;
        }
        let mut depth = 0_usize;
        let mut is_first = true;
        for word in &words[at + 2..] {
            match word.text.as_str() {
                "{" => depth += 1,
                "}" if depth <= 1 => break,
                "}" => depth -= 1,
                "," if depth == 1 => is_first = true,
                _ if is_first && depth <= 1 => {
                    found.push(word.clone());
                    is_first = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &[&str]) {
        let texts: Vec<_> = words(source).into_iter().map(|word| word.text).collect();
        assert_eq!(texts, expected, "{source}");
    }

    #[test]
    fn comments_strings_and_characters_are_no_words() {
        check("a // b\nc /* d /* e */ f */ g", &["a", "c", "g"]);
        check(
            r##"a("b \" c", r#"d " e"#, b"f", br"g", c"h") i"##,
            &["a", "(", ",", ",", ",", ",", ")", "i"],
        );
        check(
            r"a 'b' '\'' '\u{1f600}' b'c' &'d e x: 'é'",
            &["a", "&", "e", "x", ":"],
        );
        check("std::fs r#type", &["std", "::", "fs", "r", "#", "type"]);
        check("\"never closed", &[]);
        check("/* never closed", &[]);
        check("'", &[]);
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let source = "a\n/* \n */ b \"\n\n\" c\n// d\nr\"\n\" e";
        let lines: Vec<_> = words(source)
            .into_iter()
            .map(|word| (word.text, word.line))
            .collect();
        let expected = [("a", 1), ("b", 3), ("c", 5), ("e", 8)];
        assert_eq!(lines, expected.map(|(text, line)| (text.to_owned(), line)));
    }

    #[test]
    fn modules_are_seen_in_every_form_of_use() {
        let source = "use std::fs;\nuse std::{fmt, net::{Ipv4Addr, env}, process};\nlet x = ::std::env::args();";
        let found: Vec<_> = modules_of_std(&words(source))
            .into_iter()
            .map(|word| (word.text, word.line))
            .collect();
        let expected = [
            ("fs", 1),
            ("fmt", 2),
            ("net", 2),
            ("process", 2),
            ("env", 3),
        ];
        assert_eq!(found, expected.map(|(text, line)| (text.to_owned(), line)));
    }
}
