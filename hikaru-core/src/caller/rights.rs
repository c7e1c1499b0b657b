//! What a caller may do, as words of a file: `read`, `upgrade`, `force:held`.

use std::{fmt, str::FromStr};

use crate::{policy::Force, text::excerpt::Excerpt};

/// Something that a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Right {
    /// To read the figures at `/metrics`.
    Metrics,
    /// To see what runs where, what an image would change, and Jobs.
    Read,
    /// To upgrade, and to see what became of it.
    Upgrade,
    /// To run and delete Jobs.
    Jobs,
    /// To see the ends of logs: of Jobs, and in the evidence of rollouts.
    Logs,
    /// To remove high-water marks.
    Hold,
}

impl Right {
    /// Every right but `force`, which has codes.
    pub const ALL: [Self; 6] = [
        Self::Metrics,
        Self::Read,
        Self::Upgrade,
        Self::Jobs,
        Self::Logs,
        Self::Hold,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Read => "read",
            Self::Upgrade => "upgrade",
            Self::Jobs => "jobs",
            Self::Logs => "logs",
            Self::Hold => "hold",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a caller may do. The default: nothing.
///
/// ```
/// use hikaru_core::{caller::{Right, Rights}, policy::Code};
/// let mut rights = Rights::NONE;
/// rights.grant("upgrade")?;
/// rights.grant("force:held")?;
/// assert!(rights.has(Right::Upgrade) && !rights.has(Right::Jobs));
/// assert!(rights.force().has(Code::Held) && !rights.force().has(Code::Manual));
/// assert!(rights.grant("deploy").is_err());
/// # Ok::<(), hikaru_core::caller::RightError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    granted: u8,
    force: Force,
}

/// Why a word is no right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected metrics, read, upgrade, force, force:CODE, jobs, logs or hold, found {found}{why}"
)]
pub struct RightError {
    found: Excerpt,
    why: String,
}

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self {
        granted: 0,
        force: Force::NONE,
    };

    /// Everything.
    pub const ALL: Self = Self {
        granted: u8::MAX,
        force: Force::ALL,
    };

    /// Adds what a word says.
    ///
    /// # Errors
    /// When it says no right.
    pub fn grant(&mut self, word: &str) -> Result<(), RightError> {
        if let Some(right) = Right::ALL.into_iter().find(|right| right.as_str() == word) {
            self.granted |= right.bit();
            return Ok(());
        }
        let force = match word.split_once(':') {
            None if word == "force" => Ok(Force::ALL),
            Some(("force", code)) => Force::from_str(code).map_err(|error| format!(" ({error})")),
            _ => Err(String::new()),
        };
        let refused = |why| RightError {
            found: Excerpt::of(word),
            why,
        };
        self.force = self.force.union(force.map_err(refused)?);
        Ok(())
    }

    /// Whether it is among them.
    pub fn has(self, right: Right) -> bool {
        self.granted & right.bit() != 0
    }

    /// What may be forced.
    pub fn force(self) -> Force {
        self.force
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Code;

    #[test]
    fn words_are_rights() {
        let mut rights = Rights::NONE;
        for right in Right::ALL {
            assert!(!rights.has(right));
            rights.grant(right.as_str()).expect("a right");
            assert!(rights.has(right));
        }
        assert!(rights.force().is_none());
        rights.grant("force:manual").expect("a code");
        rights.grant("force:held").expect("a code");
        assert!(rights.force().codes().eq([Code::Manual, Code::Held]));
        rights.grant("force").expect("all codes");
        assert_eq!(rights.force(), Force::ALL);
        for right in Right::ALL {
            assert!(Rights::ALL.has(right));
        }
    }

    #[test]
    fn other_words_are_refused() {
        for word in [
            "",
            "Read",
            "deploy",
            "force:",
            "force:equal",
            "forced",
            "read ",
            "jobs:run",
        ] {
            let error = Rights::NONE.clone().grant(word).expect_err(word);
            let error = error.to_string();
            assert!(error.starts_with("expected metrics, read, "), "{error}");
        }
    }
}
