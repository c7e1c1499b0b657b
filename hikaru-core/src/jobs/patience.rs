//! How long somebody is ready to wait, as people write it: `90s`, `10m`, `1h30m`.

use std::{fmt, str::FromStr, time::Duration};

use crate::Excerpt;

/// The longest wait: a day. CI has shorter limits of its own.
const LONGEST: u64 = 24 * 60 * 60;

/// How long to wait, in whole seconds: hours, minutes and seconds, each at most once, in this order.
///
/// ```
/// use hikaru_core::Patience;
/// let patience: Patience = "1h30m".parse()?;
/// assert_eq!(patience.get().as_secs(), 5400);
/// assert_eq!(patience.to_string(), "1h30m");
/// assert!("10".parse::<Patience>().is_err());
/// # Ok::<(), hikaru_core::PatienceError>(())
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
        let wrong = || PatienceError {
            found: Excerpt::of(text),
        };
        let (mut rest, mut seconds, mut units) =
            (text, 0_u64, &[('h', 3600), ('m', 60), ('s', 1)][..]);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            let unit = rest[digits..].chars().next().ok_or_else(wrong)?;
            let at = units
                .iter()
                .position(|(known, _)| *known == unit)
                .ok_or_else(wrong)?;
            let worth = number.checked_mul(units[at].1).ok_or_else(wrong)?;
            seconds = seconds.checked_add(worth).ok_or_else(wrong)?;
            units = &units[at + 1..];
            rest = &rest[digits + unit.len_utf8()..];
        }
        if (1..=LONGEST).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(wrong())
        }
    }
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
    fn times() {
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
