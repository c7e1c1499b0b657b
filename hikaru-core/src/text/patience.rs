//! How long somebody is ready to wait, as people write it: `90s`, `10m`, `1h30m`.

use std::{fmt, str::FromStr, time::Duration};

use crate::text::excerpt::Excerpt;

/// The longest wait, in seconds: a day. CI has shorter limits.
const LONGEST: u64 = 24 * 60 * 60;

/// How long to wait, in whole seconds: hours, minutes and seconds, each at most once, in this order.
///
/// ```
/// use hikaru_core::text::Patience;
/// let patience: Patience = "1h30m".parse()?;
/// assert_eq!(patience.get().as_secs(), 5400);
/// assert_eq!(patience.to_string(), "1h30m");
/// assert!("10".parse::<Patience>().is_err());
/// # Ok::<(), hikaru_core::text::PatienceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Patience(u64);

/// Why a text says no time to wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 90s, 10m or 1h30m, from 1s to 24h, found {found}")]
pub struct PatienceError {
    found: Excerpt,
}

impl Patience {
    /// As a duration.
    pub fn get(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Patience {
    type Err = PatienceError;

    fn from_str(text: &str) -> Result<Self, PatienceError> {
        match seconds(text) {
            Some(seconds @ 1..=LONGEST) => Ok(Self(seconds)),
            _ => Err(PatienceError {
                found: Excerpt::of(text),
            }),
        }
    }
}

fn seconds(text: &str) -> Option<u64> {
    let (mut seconds, mut rest) = (0_u64, text);
    for (unit, length) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            // `parse` takes a sign, too.
            let digits = Some(number).filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?;
            let of_unit = digits.parse::<u64>().ok()?.checked_mul(length)?;
            (seconds, rest) = (seconds.checked_add(of_unit)?, after);
        }
    }
    rest.is_empty().then_some(seconds)
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, number) in [
            ('h', self.0 / 3600),
            ('m', self.0 / 60 % 60),
            ('s', self.0 % 60),
        ] {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_minutes_and_seconds_in_order_up_to_a_day() {
        for (text, seconds) in [
            ("1s", 1),
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5400),
            ("24h", 86400),
            ("0h1s", 1),
        ] {
            assert_eq!(text.parse::<Patience>().map(|p| p.0), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "10",
            "s",
            "m1",
            "-1s",
            "1.5h",
            "1d",
            "0s",
            "25h",
            "1m1h",
            "1s1s",
            "1 m",
            "99999999999999999999s",
            "9999999999999999999h",
            "1é",
            "+1s",
            "h",
        ] {
            let error = text.parse::<Patience>().expect_err(text).to_string();
            assert!(error.starts_with("expected a time such as 90s"), "{error}");
        }
        assert_eq!(
            "3661s".parse::<Patience>().expect("a time").to_string(),
            "1h1m1s"
        );
    }
}
