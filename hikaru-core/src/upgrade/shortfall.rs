//! Why a report is no success for its caller, and whether the same call can help later. What that is as an HTTP status or as
//! an exit code is decided at the edge.

use crate::{
    policy::Code,
    port::{Fault, Severity},
    upgrade::report::{Outcome, Report, Reported},
};

/// What a caller takes for a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Every verdict is an answer, and so is that nothing matched.
    Lenient,
    /// A verdict that only a person can mend ([`Code::needs_a_person`]) is no success, nor is that nothing matched.
    Usual,
    /// Nor is what stays behind without anybody having said so ([`Code::fails_strict`]), nor a pod with two builds
    /// ([`Report::two_builds`]).
    Strict,
}

/// What kind of shortfall it is. If there are several, the first of this list is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ShortfallKind {
    /// Workloads were not upgraded, or something could not be read, and the same call can do some of it later.
    Unfinished,
    /// Something cannot be read, so workloads may be missing.
    Unread,
    /// Workloads were not upgraded, and the same call is refused again.
    Refused,
    /// No container was judged.
    NothingMatched,
    /// Containers stay behind by a verdict that the caller does not accept.
    StaysBehind,
}

/// Why a report is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortfall {
    /// What kind it is.
    pub kind: ShortfallKind,
    /// Why, in a sentence for a person.
    pub sentence: String,
}

impl Shortfall {
    fn new(kind: ShortfallKind, sentence: String) -> Self {
        Self { kind, sentence }
    }

    /// That something could not be read, if one of these faults is a failure. If the same call can read one of them later, it is
    /// [`ShortfallKind::Unfinished`].
    pub fn unread(faults: &[Fault]) -> Option<Self> {
        let failures = faults.iter().filter(|f| f.severity == Severity::Failure);
        let retryable = failures.clone().find(|fault| fault.is_retryable);
        let Fault { place, message, .. } = retryable.or_else(|| failures.clone().next())?;
        let others = others(failures.count() - 1);
        let mut sentence = format!(
            "something could not be read, so workloads may be missing: {place}: {message}{others}"
        );
        if retryable.is_none() {
            return Some(Self::new(ShortfallKind::Unread, sentence));
        }
        sentence.push_str("; repeating the call can help");
        Some(Self::new(ShortfallKind::Unfinished, sentence))
    }
}

impl Report {
    /// Why the report is no success for this caller. `allow_none`: that nothing matched is one.
    ///
    /// ```
    /// use hikaru_core::{Build, Request, TagFormats, Workload, plan, upgrade::{Report, ShortfallKind, Terms}};
    /// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
    /// let report = Report::planned(plan(Request::new(build), None::<Workload>));
    /// let shortfall = report.shortfall(Terms::Usual, false).unwrap();
    /// assert_eq!(shortfall.kind, ShortfallKind::NothingMatched);
    /// assert_eq!(report.shortfall(Terms::Strict, true), None);
    /// # Ok::<(), hikaru_core::image::BuildError>(())
    /// ```
    pub fn shortfall(&self, terms: Terms, allow_none: bool) -> Option<Shortfall> {
        let failed: Vec<(&Reported, String)> = self
            .entries
            .iter()
            .filter_map(|reported| Some((reported, reported.outcome.failure()?)))
            .collect();
        let retryable = failed.iter().find(|(r, _)| r.outcome.is_retryable());
        if let Some(example) = retryable {
            let sentence = self.not_upgraded("repeating the call can help", failed.len(), example);
            return Some(Shortfall::new(ShortfallKind::Unfinished, sentence));
        }
        if let Some(unread) = Shortfall::unread(&self.faults) {
            return Some(unread);
        }
        if let Some(example) = failed.first() {
            let sentence =
                self.not_upgraded("repeating the call does not help", failed.len(), example);
            return Some(Shortfall::new(ShortfallKind::Refused, sentence));
        }
        if self.nothing_matched() {
            let fails = terms != Terms::Lenient && !allow_none;
            let sentence = "nothing matched".to_owned();
            return fails.then(|| Shortfall::new(ShortfallKind::NothingMatched, sentence));
        }
        let fails = |code: &Code| match terms {
            Terms::Lenient => false,
            Terms::Usual => code.needs_a_person(),
            Terms::Strict => code.fails_strict(),
        };
        let mut codes: Vec<Code> = self.codes().filter(fails).collect();
        let stay = match codes.len() {
            0 => None,
            1 => Some("1 container stays behind".to_owned()),
            many => Some(format!("{many} containers stay behind")),
        };
        codes.sort_unstable();
        codes.dedup();
        let codes: Vec<&str> = codes.into_iter().map(Code::as_str).collect();
        let stay = stay.map(|stay| format!("{stay}: {}", codes.join(", ")));
        let two_builds = self.two_builds().filter(|_| terms == Terms::Strict);
        let sentences: Vec<String> = stay.into_iter().chain(two_builds).collect();
        (!sentences.is_empty())
            .then(|| Shortfall::new(ShortfallKind::StaysBehind, sentences.join("; ")))
    }

    /// `1 of 2 workloads could not be upgraded, and repeating the call can help: shop/Deployment/web: …`.
    fn not_upgraded(&self, outlook: &str, failed: usize, example: &(&Reported, String)) -> String {
        let upgraded = self
            .entries
            .iter()
            .filter(|r| r.outcome == Outcome::Upgraded);
        let all = failed + upgraded.count();
        let workloads = if all == 1 { "workload" } else { "workloads" };
        let (reported, reason) = example;
        format!(
            "{failed} of {all} {workloads} could not be upgraded, and {outlook}: {}: {reason}{}",
            reported.entry.workload.id,
            others(failed - 1)
        )
    }
}

/// ` (and 2 more)`.
fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    }
}
