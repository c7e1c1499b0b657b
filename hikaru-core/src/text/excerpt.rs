//! A bounded quotation of bad input, for error messages: nobody wants 5,000 characters in a log line. What is escaped in it
//! is said in `escape`.

use std::fmt;

use crate::text::{
    address::without_secrets,
    escape::{Escaped, write_escaped},
};

/// The longest quotation, in characters.
const LONGEST: usize = 40;
/// The longest text in a sentence, in characters.
const LONGEST_CUT: usize = 200;

/// A piece of input as an error quotes it: what stands at a place, cut after 40 characters, escaped as by
/// [`Escaped`]; *the end* where nothing stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    /// What stands in the text from this byte on.
    pub fn at(text: &str, at: usize) -> Self {
        Self::of(text.get(at..).unwrap_or(""))
    }

    /// The text itself, cut where it is too long.
    pub fn of(text: &str) -> Self {
        match text.char_indices().nth(LONGEST) {
            None => Self(text.into()),
            Some((end, _)) => Self(format!("{}…", &text[..end]).into()),
        }
    }
}

/// A text from outside in a sentence: as [`Quoted`], cut after 200 characters.
pub(crate) struct Cut<'a>(pub(crate) &'a str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Quoted(self.0, LONGEST_CUT).fmt(f)
    }
}

/// A text from outside, cut after this many characters, escaped as by [`Escaped`]; what can be secret in an address is left out.
pub struct Quoted<'a>(pub &'a str, pub usize);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = without_secrets(self.0);
        let mut chars = text.chars();
        for c in chars.by_ref().take(self.1) {
            write_escaped(f, c)?;
        }
        match chars.next() {
            Some(_) => f.write_str("…"),
            None => Ok(()),
        }
    }
}

/// The end of a text from outside, this many characters at most, escaped as by [`Escaped`]; what can be secret in an address is left
/// out.
pub(crate) struct Ending<'a>(pub(crate) &'a str, pub(crate) usize);

impl fmt::Display for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, longest) = (without_secrets(self.0), self.1);
        let start = text.char_indices().rev().take(longest).last();
        let end = start.map_or("", |(at, _)| &text[at..]);
        if end.len() < text.len() {
            f.write_str("…")?;
        }
        Escaped(end).fmt(f)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str("the end")
        } else {
            write!(f, "`{}`", Escaped(&self.0))
        }
    }
}
