//! How a text from outside is shown: nothing in it can end a line, move a terminal's cursor, or turn the direction of what
//! is written. How long a text may be that an error quotes is said in `excerpt`.

use std::fmt::{self, Write as _};

/// A text from outside, to be displayed in a line of a terminal, a log or a table: control characters (line feeds and
/// tabs, too), the line ends U+0085, U+2028 and U+2029, and the marks that change the direction of a text are shown as
/// escapes, `\n` or `\u{202e}`. Everything else stays as it is. To escape a text twice changes nothing more.
///
/// ```
/// use hikaru_core::text::Escaped;
/// let image = "acme/web:1\nerror: all 12 workloads were deleted";
/// assert_eq!(Escaped(image).to_string(), r"acme/web:1\nerror: all 12 workloads were deleted");
/// assert_eq!(Escaped("a\u{2028}b\u{202e}c").to_string(), r"a\u{2028}b\u{202e}c");
/// assert_eq!(Escaped("größer, “so” \\n").to_string(), "größer, “so” \\n");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escaped<'t>(pub &'t str);

impl Escaped<'_> {
    /// Whether a character is shown as an escape.
    ///
    /// ```
    /// use hikaru_core::text::Escaped;
    /// assert!(Escaped::escapes('\u{85}') && !Escaped::escapes(' '));
    /// ```
    pub fn escapes(c: char) -> bool {
        c.is_control()
            || matches!(
                c,
                '\u{2028}' | '\u{2029}' // line and paragraph separator
                | '\u{061c}' | '\u{200e}' | '\u{200f}' // marks of a direction
                | '\u{202a}'..='\u{202e}' // embeddings and overrides
                | '\u{2066}'..='\u{2069}' // isolates
            )
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| write_escaped(f, c))
    }
}

/// Writes one character, escaped if [`Escaped::escapes`] says so.
pub(crate) fn write_escaped(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    if Escaped::escapes(c) {
        write!(f, "{}", c.escape_default())
    } else {
        f.write_char(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_line_or_turns_a_text_is_escaped() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[2K\u{7f}\u{9b}", r"\u{1b}[2K\u{7f}\u{9b}"),
            ("\0\u{85}\u{2028}\u{2029}", r"\u{0}\u{85}\u{2028}\u{2029}"),
            (
                "\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}",
                r"\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}",
            ),
            ("é 中 🚀 \u{a0}\\ '\"`", "é 中 🚀 \u{a0}\\ '\"`"),
        ] {
            let shown = Escaped(text).to_string();
            assert_eq!(shown, expected);
            assert_eq!(Escaped(&shown).to_string(), expected, "once more");
        }
    }
}
