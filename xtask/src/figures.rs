//! Figures of benches: how pairs of measurements become one figure with its interval, and the table of all figures of a
//! run. The benches measure.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The variable that names the file in which a run of benches gathers its figures.
pub const FILE: &str = "XTASK_FIGURES";

/// The chance that the interval holds the true median, if there are at least six values.
const CONFIDENCE: f64 = 0.95;

/// A median and its interval: free of any distribution, from order statistics. The k-th lowest and the k-th highest value
/// hold the true median between them with the chance that among n flips of a coin neither side comes up fewer than k times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The median.
    pub median: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The chance that the true median is in it: at least 0.95, or what the lowest and the highest of a few values give.
    pub confidence: f64,
    /// Of how many values.
    pub values: usize,
}

impl Interval {
    /// The narrowest with at least 95 % confidence, else the widest. Of no values all is NaN.
    #[must_use]
    pub fn of_median(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
        // The chance of at most `below` heads among n flips, term by term.
        let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
        let mut tail = term;
        let (mut below, mut confidence) = (0, 1.0 - 2.0 * tail);
        for k in 1..n / 2 {
            term *= (n + 1 - k) as f64 / k as f64;
            tail += term;
            if 1.0 - 2.0 * tail < CONFIDENCE {
                break;
            }
            (below, confidence) = (k, 1.0 - 2.0 * tail);
        }
        Self {
            median: f64::midpoint(at(n.saturating_sub(1) / 2), at(n / 2)),
            low: at(below),
            high: at(n.saturating_sub(below + 1)),
            confidence: confidence.max(0.0),
            values: n,
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            median, low, high, ..
        } = self;
        write!(
            f,
            "{} [{} to {}]",
            Short(*median),
            Short(*low),
            Short(*high)
        )
    }
}

/// A number with three digits that count.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size >= 100.0 {
            write!(f, "{:.0}", self.0)
        } else if size >= 10.0 {
            write!(f, "{:.1}", self.0)
        } else {
            write!(f, "{:.2}", self.0)
        }
    }
}

/// The value at this share of the way from the lowest to the highest, 0.99 for the 99th percentile.
#[must_use]
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index below the length"
    )]
    let rank = (values.len() as f64 * share).ceil() as usize;
    let index = rank.saturating_sub(1).min(values.len().saturating_sub(1));
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// The goal of a figure: of the ratio if it has a baseline, else of the value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Goal {
    /// Lower is better.
    AtMost(f64),
    /// Higher is better.
    AtLeast(f64),
    /// There is no goal.
    None,
}

/// One figure of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    name: String,
    unit: String,
    ours: Interval,
    baseline: Option<Interval>,
    ratio: Option<Interval>,
    goal: Goal,
}

impl Figure {
    /// Measured alone. The goal is of the median.
    #[must_use]
    pub fn alone(name: &str, unit: &str, values: &[f64], goal: Goal) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            ours: Interval::of_median(values),
            baseline: None,
            ratio: None,
            goal,
        }
    }

    /// Measured in pairs, ours and the baseline by turns. The goal is of the median of the pairs' ratios.
    #[must_use]
    pub fn paired(name: &str, unit: &str, pairs: &[(f64, f64)], goal: Goal) -> Self {
        let of = |pick: fn(&(f64, f64)) -> f64| {
            Interval::of_median(&pairs.iter().map(pick).collect::<Vec<_>>())
        };
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            ours: of(|(ours, _)| *ours),
            baseline: Some(of(|(_, baseline)| *baseline)),
            ratio: Some(of(|(ours, baseline)| ours / baseline)),
            goal,
        }
    }

    /// What the goal is compared with.
    fn judged(&self) -> Interval {
        self.ratio.unwrap_or(self.ours)
    }

    fn verdict(&self) -> &'static str {
        let value = self.judged().median;
        match self.goal {
            Goal::None => "",
            Goal::AtMost(most) if value <= most => "reached",
            Goal::AtLeast(least) if value >= least => "reached",
            Goal::AtMost(_) | Goal::AtLeast(_) => "missed",
        }
    }

    fn columns(&self) -> [String; 6] {
        let unit = if self.ratio.is_some() {
            "x"
        } else {
            &self.unit
        };
        let with_unit = |interval: &Interval| format!("{} {}", Short(interval.median), self.unit);
        let ours = match (&self.ratio, self.ours.values) {
            (None, 2..) => format!("{} {}", self.ours, self.unit),
            _ => with_unit(&self.ours),
        };
        let goal = match self.goal {
            Goal::AtMost(most) => format!("≤ {} {unit}", Short(most)),
            Goal::AtLeast(least) => format!("≥ {} {unit}", Short(least)),
            Goal::None => String::new(),
        };
        let ratio = self.ratio.map_or_else(String::new, |ratio| {
            format!("{ratio}, {} pairs", ratio.values)
        });
        [
            self.name.clone(),
            ours,
            self.baseline.as_ref().map_or_else(String::new, with_unit),
            ratio,
            goal,
            self.verdict().to_owned(),
        ]
    }

    /// Prints the figure, and adds it to the run's file if there is one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&self) -> std::io::Result<()> {
        let columns = self.columns();
        let [name, rest @ ..] = &columns;
        let rest: Vec<&str> = rest
            .iter()
            .map(String::as_str)
            .filter(|c| !c.is_empty())
            .collect();
        println!("{name}: {}", rest.join("; "));
        let Some(path) = std::env::var_os(FILE) else {
            return Ok(());
        };
        let line = serde_json::to_string(self)?;
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        writeln!(file, "{line}")
    }
}

/// The table of the figures in a file, for people.
///
/// # Errors
/// When the file cannot be read. Lines that are no figures are passed over.
pub fn table(path: &Path) -> std::io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    let figures: Vec<Figure> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let head = [
        "figure",
        "ours",
        "baseline",
        "ratio, median and interval",
        "goal",
        "",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(figures.iter().map(Figure::columns));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 6] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells = row.iter().zip(widths);
            let cells: Vec<String> = cells
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect();
    let judged = figures.iter().map(Figure::judged);
    let unsure = judged
        .filter(|interval| interval.values > 1)
        .map(|interval| interval.confidence)
        .fold(f64::INFINITY, f64::min);
    if unsure.is_finite() {
        lines.push(format!(
            "intervals hold the true median with at least {:.1} % (order statistics, no distribution assumed)",
            unsure * 100.0
        ));
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables_of_the_sign_test() {
        // The ranks that a table of the sign test's confidence intervals gives for 95 %.
        for (n, low, high, confidence) in [
            (1, 1, 1, 0.0),
            (5, 1, 5, 0.9375),
            (6, 1, 6, 0.9688),
            (8, 1, 8, 0.9922),
            (9, 2, 8, 0.9609),
            (15, 4, 12, 0.9648),
            (20, 6, 15, 0.9586),
            (21, 6, 16, 0.9734),
        ] {
            let values: Vec<f64> = (1..=n).rev().map(f64::from).collect();
            let interval = Interval::of_median(&values);
            assert_eq!(
                (interval.low, interval.high),
                (f64::from(low), f64::from(high)),
                "{n}"
            );
            assert!(
                (interval.confidence - confidence).abs() < 0.0001,
                "{n}: {}",
                interval.confidence
            );
            assert_eq!(interval.median, f64::from(n + 1) / 2.0);
        }
        assert!(Interval::of_median(&[]).median.is_nan());
    }

    #[test]
    fn a_percentile_is_the_value_at_its_rank() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 0.99), 99.0);
        assert_eq!(percentile(&mut values, 0.5), 50.0);
        assert_eq!(percentile(&mut values[..1], 0.99), 1.0);
    }

    #[test]
    fn the_table_says_which_goals_are_reached() {
        let pairs = [(2.0, 2.0), (3.0, 2.0), (2.2, 2.0)];
        let slow = Figure::paired("slow", "s", &pairs, Goal::AtMost(1.05));
        let small = Figure::alone("small", "MiB", &[3.5], Goal::AtMost(4.0));
        let file = tempfile::NamedTempFile::new().expect("a file");
        let lines = [&slow, &small].map(|figure| serde_json::to_string(figure).expect("JSON"));
        std::fs::write(file.path(), lines.join("\n")).expect("written");
        let table = table(file.path()).expect("a table");
        let expected = "\
figure  ours      baseline  ratio, median and interval    goal
slow    2.20 s    2.00 s    1.10 [1.00 to 1.50], 3 pairs  ≤ 1.05 x    missed
small   3.50 MiB                                          ≤ 4.00 MiB  reached
intervals hold the true median with at least 75.0 % (order statistics, no distribution assumed)";
        assert_eq!(table, expected);
    }
}
