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
        Some(b'.') => float(value),
        _ => false,
    };
    if number { Plain::Number } else { Plain::Text }
}

/// Go's integer literals: decimal, `0x`, `0o`, `0b`, and a leading `0` for octal. Of any length:
/// what does not fit 64 bits becomes a big integer there.
fn integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && digits(text)
    });
    mantissa && exponent
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
            (Plain::Number, "0 42 017 08 0x1F 0o17 0b101 -1 +1 1.20 1. .5 1e3 1E-3 1_000 1_2 12345678901234567890123 -0b1 .inf -.inf .nan 1__"),
            (Plain::Text, "yEs nO tRue acme 1.2.3 v1 2026-11-23 2026-1-1 0x 0xg 09a _1 1-2 - + . .e3 1e e3 1.2e 12h 10:20 nil None +.nan ._5 .1_0 a_b"),
        ];
        for (expected, values) in table {
            for value in values.split(' ') {
                assert_eq!(plain(value), expected, "{value}");
            }
        }
        assert_eq!(plain(""), Plain::Null);
    }
}
