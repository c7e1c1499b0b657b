//! `cargo xtask linear`, a stage of `cargo xtask test`, too: whether reading is linear, for each parser of the core and each kind of bad input: an input that is ten times longer
//! takes at most about ten times as many instructions. Counted, not timed, so that it fails only for a reason.

use super::{Failure, callgrind::Callgrind};

/// How many times more instructions the longer input may take. More than ten, for what grows by steps, as memory does.
const MOST: u64 = 12;
/// How often each input is read: more than once, so that a first time that costs more does not hide what follows.
const TIMES: &str = "5";

/// The instructions for a short input, and for one that is ten times as long.
#[derive(Clone, Copy)]
struct Growth {
    short: u64,
    long: u64,
}

impl Growth {
    /// What is wrong with it, if something is.
    fn offense(self) -> Option<String> {
        let Self { short, long } = self;
        if short == 0 || long == 0 {
            return Some("nothing was counted".to_owned());
        }
        (long > MOST * short).then(|| {
            format!(
                "{:.1} times the instructions for ten times the length ({short}, {long})",
                long as f64 / short as f64
            )
        })
    }
}

/// Counts all series of the bench, and prints what it found.
pub(crate) fn chore() -> Result<(), String> {
    println!("{}", run()?);
    Ok(())
}

/// Counts all series of the bench. Says how many there are.
pub(crate) fn run() -> Result<String, Failure> {
    let callgrind = Callgrind::of_the_bench()?;
    let series = callgrind.list("series")?;
    let mut offenses = Vec::new();
    for name in &series {
        // Each run makes both inputs. What that takes, and to start, is counted alone, and taken off.
        let count = |short, long| callgrind.instructions(&["grow", name, short, long]);
        let empty = count("0", "0")?;
        let growth = Growth {
            short: count(TIMES, "0")?.saturating_sub(empty),
            long: count("0", TIMES)?.saturating_sub(empty),
        };
        if let Some(offense) = growth.offense() {
            offenses.push(format!("{name}: {offense}"));
        }
    }
    match offenses.as_slice() {
        [] if series.is_empty() => Err("the bench has no series".to_owned().into()),
        [] => Ok(format!("reading is linear, by {} series", series.len())),
        offenses => Err(format!("not linear: {}", offenses.join("; ")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a parser with these costs does.
    fn growth(cost: impl Fn(u64) -> u64) -> Growth {
        Growth {
            short: cost(2_000),
            long: cost(20_000),
        }
    }

    #[test]
    fn linear_passes_and_quadratic_does_not() {
        for (what, is_linear, growth) in [
            ("linear", true, growth(|n| 7 * n)),
            ("linear with a start", true, growth(|n| 5_000 + 7 * n)),
            ("in steps", true, growth(|n| 7 * n + (n / 1_000) * 500)),
            ("n log n", false, growth(|n| n * u64::from(n.ilog2()))),
            ("quadratic", false, growth(|n| n * n)),
            (
                "a little quadratic",
                false,
                growth(|n| 10 * n + n * n / 500),
            ),
            ("nothing", false, growth(|_| 0)),
            ("refused at once", true, growth(|_| 300)),
        ] {
            assert_eq!(
                growth.offense().is_none(),
                is_linear,
                "{what}: {:?}",
                growth.offense()
            );
        }
    }
}
