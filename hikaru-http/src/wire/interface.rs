//! What an interface adds to the core's sentences: the names of its parameters, flags and commands, which the core does not know.

use hikaru_core::{
    jobs::JobRefused,
    policy::{Code, Entry, Judged},
    port::ClusterError,
    upgrade::Overtaken,
};

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
    /// use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
    ///     upgrade::Report};
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
    /// # Ok::<(), hikaru_core::image::BuildError>(())
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

/// The reason of a judged container. To that of `held` the command is added that removes the mark.
///
/// ```
/// use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// let mut container = Container::new("web", "acme/web:acme_web_main_1.3.0_6_0123abcd");
/// container.mark = Some("1.4.0_7_d5ecc80e".into());
/// web.containers.push(container);
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
/// let plan = plan(Request::new(build), [web]);
/// let entry = &plan.entries[0];
/// let reason = hikaru_http::wire::reason(entry, &entry.containers[0]);
/// assert!(reason.ends_with(" high-water.hikaru.dev/web-, or hikaru unhold shop/Deployment/web"));
/// # Ok::<(), hikaru_core::image::BuildError>(())
/// ```
pub fn reason(entry: &Entry, judged: &Judged) -> String {
    let mut reason = judged.reason.clone();
    let id = &entry.workload.id;
    // In a folder a mark is removed in its file.
    if judged.code == Code::Held && id.origin.is_none() {
        reason.push_str(&format!(", or hikaru unhold {id}"));
    }
    reason
}

/// The sentence of an error of a cluster. Where a rule of hikaru's own refuses a call, it names the variable that changes the
/// rule.
///
/// ```
/// use hikaru_core::port::ClusterError;
/// let outside = ClusterError::Outside { found: "edge".into(), expected: "prod".into() };
/// assert_eq!(
///     hikaru_http::wire::cluster_error(&outside),
///     "the namespace edge is not one of HIKARU_WATCH_NAMESPACES: expected prod"
/// );
/// ```
pub fn cluster_error(error: &ClusterError) -> String {
    match error {
        ClusterError::Outside { found, expected } => format!(
            "the namespace {found} is not one of HIKARU_WATCH_NAMESPACES: expected {expected}"
        ),
        ClusterError::JobRefused(refused) => format!("not allowed: {}", job_refused(refused)),
        error => error.to_string(),
    }
}

/// Why the policy does not allow a Job, with the variable that changes the rule.
pub fn job_refused(refused: &JobRefused) -> String {
    match refused {
        JobRefused::Namespace { found, expected } => format!(
            "HIKARU_JOB_NAMESPACES allows no Jobs of the namespace {found}: expected {expected}"
        ),
        JobRefused::ServiceAccount { .. } => format!("{refused} (HIKARU_JOB_SERVICE_ACCOUNTS)"),
        JobRefused::Privileged { demand } => {
            format!("{demand}: allowed only with HIKARU_JOB_PRIVILEGED=true")
        }
        refused => refused.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use hikaru_core::jobs::JobDemand;

    use super::*;

    #[test]
    fn each_rule_for_jobs_names_its_variable() {
        let demand = JobDemand {
            rule: "host-namespaces",
            place: "spec.template.spec.hostNetwork".into(),
            expected: "false".into(),
            found: "true".into(),
        };
        let (found, expected) = ("admin".into(), "default".to_owned());
        for (refused, told) in [
            (
                JobRefused::ServiceAccount { found, expected }.into(),
                "not allowed: the Job runs as the ServiceAccount admin: expected default (HIKARU_JOB_SERVICE_ACCOUNTS)",
            ),
            (
                JobRefused::Namespace {
                    found: "shop".into(),
                    expected: "none, Jobs are off".into(),
                }
                .into(),
                "not allowed: HIKARU_JOB_NAMESPACES allows no Jobs of the namespace shop: expected none, Jobs are off",
            ),
            (
                JobRefused::Privileged { demand }.into(),
                "not allowed: spec.template.spec.hostNetwork: expected false, found true (rule host-namespaces): allowed only \
                 with HIKARU_JOB_PRIVILEGED=true",
            ),
            (
                ClusterError::Outside {
                    found: "edge".into(),
                    expected: "shop or prod".into(),
                },
                "the namespace edge is not one of HIKARU_WATCH_NAMESPACES: expected shop or prod",
            ),
        ] {
            assert_eq!(cluster_error(&refused), told);
        }
    }
}
