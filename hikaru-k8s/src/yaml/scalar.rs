//! What a plain scalar is to Kubernetes. kubectl and the API server read YAML with
//! sigs.k8s.io/yaml, whose parser follows YAML 1.1 here: `yes` is a boolean, `017` and `1_000`
//! are numbers, dates are strings. The rules are those of its `goyaml.v2/resolve.go`.
//! Quoted and block scalars are strings and never come here.

/// The type that Kubernetes gives to a plain scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Null,
    Bool,
    Number,
    Text,
}

pub(super) fn plain(value: &str) -> Plain {
    match value {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" | "n"
        | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Plain::Bool;
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return Plain::Number,
        _ => {}
    }
    let number = match value.as_bytes().first() {
        // Underscores are dropped only where a digit or a sign comes first.
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let bare: String = value.chars().filter(|c| *c != '_').collect();
            !date(value) && (integer(&bare) || float(&bare))
        }
        Some(b'.') => float(&without_separators(value)),
        _ => false,
    };
    if number { Plain::Number } else { Plain::Text }
}

/// Whether a plain scalar that is a boolean is true.
pub(super) fn truth(value: &str) -> bool {
    matches!(
        value,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON"
    )
}

/// A number as Go reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Numeric {
    Unsigned(u64),
    Signed(i64),
    /// Never infinite, and a number.
    Float(f64),
}

/// The value of a plain scalar that is a number. `None`: `.inf` and `.nan`, which JSON does not have.
pub(super) fn number(value: &str) -> Option<Numeric> {
    let bare = match value.as_bytes().first() {
        Some(b'.') => without_separators(value),
        _ => value.chars().filter(|c| *c != '_').collect(),
    };
    let (negative, digits) = match bare.strip_prefix(['+', '-']) {
        Some(digits) => (bare.starts_with('-'), digits),
        None => (false, bare.as_str()),
    };
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        // A leading zero is an octal number, if all its digits are.
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    let whole = |digits: &str| digits.chars().all(|c| c.is_digit(radix));
    if !digits.is_empty() && whole(digits) {
        if !negative && let Ok(number) = u64::from_str_radix(digits, radix) {
            return Some(Numeric::Unsigned(number));
        }
        if negative && let Ok(number) = i64::from_str_radix(&format!("-{digits}"), radix) {
            return Some(Numeric::Signed(number));
        }
    }
    let float: f64 = bare.parse().ok()?;
    float.is_finite().then_some(Numeric::Float(float))
}

/// Go's integer literals with a prefix: `0x`, `0o`, `0b`, and a leading `0` for octal. They count
/// as numbers as far as 64 bits go. Decimal ones of any length are floats at least.
fn integer(text: &str) -> bool {
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ => return false,
    };
    // Rust would take a second sign.
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return false;
    }
    match sign {
        "" => u64::from_str_radix(digits, radix).is_ok(),
        sign => i64::from_str_radix(&format!("{sign}{digits}"), radix).is_ok(),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, as far as 64 bits go.
fn float(text: &str) -> bool {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    let numeric = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
    // Rust's own words, `inf` and `nan`, begin with a letter.
    bare.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && bare.bytes().all(numeric)
        && text.parse().is_ok_and(f64::is_finite)
}

/// Drops the underscores that stand between two digits.
fn without_separators(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    text.char_indices()
        .filter(|(at, c)| !(*c == '_' && *at > 0 && digit(at - 1) && digit(at + 1)))
        .map(|(_, c)| c)
        .collect()
}

/// `2026-11-23` and longer forms: dates stay strings for a target without a type. Their dashes
/// already keep them from being numbers; this says so.
fn date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 4 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_type_that_kubernetes_gives_them() {
        #[rustfmt::skip]
        let table = [
            (Plain::Null, "~ null Null NULL"),
            (Plain::Bool, "y Y n N yes Yes YES no true True false on On off OFF"),
            (Plain::Number, "0 42 017 08 0x1F 0o17 0b101 -1 +1 1.20 1. .5 .1_0 1e3 1E-3 1_000 1_2 12345678901234567890123 0xFFFFFFFFFFFFFFFF -0b1 1e308 .inf -.inf .nan 1__"),
            (Plain::Text, "yEs nO tRue acme 1.2.3 v1 2026-11-23 2026-1-1 0x 0xg 09a _1 1-2 - + . .e3 1e e3 1.2e 12h 10:20 nil None +.nan ._5 .5_ a_b 1e400 0xFFFFFFFFFFFFFFFFF -0xFFFFFFFFFFFFFFFF +-1 0x+1 inf nan"),
        ];
        for (expected, values) in table {
            for value in values.split(' ') {
                assert_eq!(plain(value), expected, "{value}");
            }
        }
        assert_eq!(plain(""), Plain::Null);
    }

    #[test]
    fn numbers_have_the_value_that_go_gives_them() {
        use Numeric::{Float, Signed, Unsigned};
        for (text, expected) in [
            ("0", Some(Unsigned(0))),
            ("42", Some(Unsigned(42))),
            ("-1", Some(Signed(-1))),
            ("+1", Some(Unsigned(1))),
            ("0644", Some(Unsigned(420))),
            ("08", Some(Float(8.0))),
            ("0o17", Some(Unsigned(15))),
            ("0x1F", Some(Unsigned(31))),
            ("-0b1", Some(Signed(-1))),
            ("1_000", Some(Unsigned(1000))),
            ("1.20", Some(Float(1.2))),
            (".5", Some(Float(0.5))),
            ("1e3", Some(Float(1000.0))),
            ("18446744073709551615", Some(Unsigned(u64::MAX))),
            ("18446744073709551616", Some(Float(18446744073709551616.0))),
            (".inf", None),
            (".nan", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn plain_scalars_have_the_type_that_sigs_k8s_io_yaml_gives_them() {
        for line in include_str!("tests/plain_scalars.tsv").lines() {
            if !line.starts_with('#') {
                let (value, expected) = line.split_once('\t').expect("two columns");
                assert_eq!(format!("{:?}", plain(value)), expected, "{value}");
            }
        }
    }
}
