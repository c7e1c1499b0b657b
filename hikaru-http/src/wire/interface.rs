//! What an interface adds to the core's sentences: the names of its parameters, flags and commands, which the core does not know.

use hikaru_core::Overtaken;

/// How a caller talks to hikaru.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interface {
    /// Over HTTP, by parameters and routes.
    Http,
    /// By the command `hikaru` and its flags.
    Command,
}

impl Interface {
    /// Why nothing is deployed, and what to do if the build that runs is a mistake.
    ///
    /// ```
    /// use hikaru_core::{Build, Container, IdentityLabels, Report, Request, TagFormats, Workload, WorkloadId, plan};
    /// use hikaru_http::wire::Interface;
    /// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    /// web.labels = IdentityLabels::new("acme", "web", "main");
    /// web.containers.push(Container::new("web", "acme/web:2.0.0"));
    /// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
    /// let report = Report::planned(plan(Request::new(build), [web]));
    /// assert_eq!(
    ///     Interface::Command.overtaken(&report.overtaken().unwrap()),
    ///     "nothing to deploy: what matched runs a higher build, 2.0.0 (shop/Deployment/web); if that one is a mistake, post \
    ///      this one with --force=obsolete, and then remove the high-water marks with hikaru unhold, so that the next builds \
    ///      go out",
    /// );
    /// # Ok::<(), hikaru_core::BuildError>(())
    /// ```
    pub fn overtaken(self, overtaken: &Overtaken) -> String {
        let (force, unhold) = match self {
            Self::Http => ("force=obsolete", "unhold"),
            Self::Command => ("--force=obsolete", "hikaru unhold"),
        };
        let mut sentence =
            format!("{overtaken}; if that one is a mistake, post this one with {force}");
        if overtaken.may_be_marked() {
            sentence.push_str(&format!(
                ", and then remove the high-water marks with {unhold}, so that the next builds go out"
            ));
        }
        sentence
    }
}
