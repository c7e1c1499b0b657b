//! Query parameters: each route says which it takes, everything else is refused by name. Lists may be repeated or
//! separated by commas; what has one value may be given once.

use std::{borrow::Cow, time::Duration};

use hikaru_core::{
    Build, IdentityLabels, Request, Text,
    caller::Caller,
    policy::Force,
    port::{Scope, Select},
    rollout::WaitTerms,
    text::Excerpt,
    workload::{WorkloadName, check_namespace},
};

use super::{
    path::decode,
    problem::{Kind, Refusal},
};
use crate::wire::Patience;

/// What may be asked for with a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// No parameter: who uses an image.
    Nothing,
    /// How the request is narrowed and forced: what a plan takes.
    Plan,
    /// That, and how the upgrade is done and told.
    Upgrade,
    /// Which workloads a status is of.
    Status,
    /// Whether all that an image is meant for run it.
    Verify,
    /// How one rollout is.
    Rollout,
}

impl Takes {
    /// The names of the parameters.
    fn names(self) -> Vec<&'static str> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Plan => [&["force"][..], &NARROWED].concat(),
            Self::Upgrade => [&UPGRADE[..], &WAIT, &["failFast", "force"], &NARROWED].concat(),
            Self::Status => STATUS.to_vec(),
            Self::Verify => [&["allowNone"][..], &WAIT, &["failFast"], &NARROWED].concat(),
            Self::Rollout => WAIT.to_vec(),
        }
    }
}

const NARROWED: [&str; 5] = ["namespace", "workload", "owner", "repo", "branch"];
const WAIT: [&str; 2] = ["wait", "stableFor"];
const STATUS: [&str; 4] = ["owner", "repo", "branch", "namespace"];
const UPGRADE: [&str; 4] = ["dryRun", "report", "strict", "allowNone"];

/// The parameters of a request, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parameters {
    force: Option<Force>,
    namespaces: Vec<Text>,
    workloads: Vec<WorkloadName>,
    owner: Option<Text>,
    repo: Option<Text>,
    branch: Option<Text>,
    dry_run: Option<bool>,
    full: Option<bool>,
    strict: Option<bool>,
    allow_none: Option<bool>,
    wait: Option<Patience>,
    stable_for: Option<Duration>,
    fail_fast: Option<bool>,
}

impl Parameters {
    /// Reads a query.
    pub(crate) fn read(query: Option<&str>, takes: Takes) -> Result<Self, Box<Refusal>> {
        let mut parameters = Self::default();
        let names = takes.names();
        let known = |name: &str| match names.contains(&name) {
            true => Ok(()),
            false => Err(unknown(name, takes)),
        };
        each(query, known, |name, value| parameters.set(name, value))?;
        match parameters.contradiction() {
            Some(detail) => Err(Refusal::new(Kind::BadQuery, detail)),
            None => Ok(parameters),
        }
    }

    /// Why two of the parameters do not go together.
    fn contradiction(&self) -> Option<String> {
        let Some(wait) = self.wait else {
            let beside_wait = [
                ("stableFor", self.stable_for.is_some()),
                ("failFast", self.fail_fast.is_some()),
            ];
            let (name, _) = beside_wait.into_iter().find(|(_, is_given)| *is_given)?;
            return Some(format!(
                "{name}: expected wait beside it: without it nothing is waited for"
            ));
        };
        if self.dry_run() {
            return Some("expected dryRun or wait: a dry run makes nothing to wait for".into());
        }
        let is_longer = self.stable_for.is_some_and(|stable| stable > wait.get());
        is_longer.then(|| format!("stableFor: expected at most the time of wait, {wait}"))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "wait" => once(&mut self.wait, value.parse().map_err(text)?),
            "stableFor" => once(&mut self.stable_for, stable_for(value)?),
            "failFast" => once(&mut self.fail_fast, truth(value)?),
            "force" => once(&mut self.force, value.parse::<Force>().map_err(text)?),
            "namespace" => {
                for item in value.split(',').map(str::trim) {
                    check_namespace(item).map_err(text)?;
                    self.namespaces.push(item.into());
                }
                Ok(())
            }
            "workload" => {
                for item in value.split(',').map(str::trim) {
                    self.workloads.push(item.parse().map_err(text)?);
                }
                Ok(())
            }
            "owner" => once(&mut self.owner, label(value)?),
            "repo" => once(&mut self.repo, label(value)?),
            "branch" => once(&mut self.branch, label(value)?),
            "dryRun" => once(&mut self.dry_run, truth(value)?),
            "strict" => once(&mut self.strict, truth(value)?),
            "allowNone" => once(&mut self.allow_none, truth(value)?),
            _ if value == "full" => once(&mut self.full, true),
            _ => Err(format!("expected full, found {}", Excerpt::of(value))),
        }
    }

    /// Checks that each workload is of a kind that is looked at: Kubernetes' own, or one of these.
    pub(crate) fn check_kinds(&self, added: &[Text]) -> Result<(), Box<Refusal>> {
        let mut workloads = self.workloads.iter();
        workloads
            .try_for_each(|workload| workload.check_kind(added))
            .map_err(|error| Refusal::new(Kind::BadQuery, format!("workload: {error}")))
    }

    /// Whether everything is tested and nothing written.
    pub(crate) fn dry_run(&self) -> bool {
        self.dry_run.unwrap_or_default()
    }

    /// Whether the answer is the full report.
    pub(crate) fn full(&self) -> bool {
        self.full.unwrap_or_default()
    }

    /// Whether what stays behind makes the answer a failure.
    pub(crate) fn strict(&self) -> bool {
        self.strict.unwrap_or_default()
    }

    /// Whether that nothing matched is no failure for a strict caller.
    pub(crate) fn allow_none(&self) -> bool {
        self.allow_none.unwrap_or_default()
    }

    /// How long, and in which way, the answer waits. `None`: it does not.
    pub(crate) fn wait(&self) -> Option<WaitTerms> {
        let mut terms = WaitTerms::new(self.wait?.get());
        terms.stable_for = self.stable_for;
        terms.fail_fast = self.fail_fast.unwrap_or(true);
        Some(terms)
    }

    /// The workloads that a status is asked for by this caller.
    pub(crate) fn scope(self, caller: &Caller) -> Result<Scope, Box<Refusal>> {
        for namespace in &self.namespaces {
            caller.check_namespace(namespace)?;
        }
        let mut labels = IdentityLabels::default();
        (labels.owner, labels.repo, labels.branch) = (self.owner, self.repo, self.branch);
        let mut scope = Scope::new(Select::Labeled(labels));
        scope.namespaces = self.namespaces;
        Ok(scope)
    }

    /// What this caller asks for, if it may. Nothing has been read of the cluster before.
    pub(crate) fn request(&self, build: Build, caller: &Caller) -> Result<Request, Box<Refusal>> {
        let mut request = Request::new(build);
        request.namespaces.clone_from(&self.namespaces);
        request.workloads.clone_from(&self.workloads);
        request.owner.clone_from(&self.owner);
        request.repo.clone_from(&self.repo);
        request.branch.clone_from(&self.branch);
        request.force = self.force.unwrap_or(Force::NONE);
        caller.check_request(&request)?;
        Ok(request)
    }
}

/// The container whose mark is to be removed; `None`: the marks of all.
pub(crate) fn held_container(query: Option<&str>) -> Result<Option<Text>, Box<Refusal>> {
    let mut container = None;
    let known = |name: &str| match name {
        "container" => Ok(()),
        _ => Err(format!("expected container, found {}", Excerpt::of(name))),
    };
    each(query, known, |_, value| match value {
        "" => Err("expected the name of a container, found nothing".into()),
        value => once(&mut container, value.into()),
    })?;
    Ok(container)
}

/// The parameters of a request that runs a Job, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct JobParameters {
    /// The namespace of a definition that names none.
    pub(crate) namespace: Option<Text>,
    replace: Option<bool>,
    dry_run: Option<bool>,
    /// How long the answer waits for the Job to end.
    pub(crate) wait: Option<Patience>,
}

impl JobParameters {
    /// Reads the query of a definition.
    pub(crate) fn of_definition(query: Option<&str>) -> Result<Self, Box<Refusal>> {
        Self::read(query, &["namespace", "replace", "dryRun", "wait"])
    }

    /// Reads the query of a CronJob's template, which has its namespace in the path and a name of its own.
    pub(crate) fn of_template(query: Option<&str>) -> Result<Self, Box<Refusal>> {
        Self::read(query, &["dryRun", "wait"])
    }

    fn read(query: Option<&str>, takes: &[&str]) -> Result<Self, Box<Refusal>> {
        let mut parameters = Self::default();
        let known = |name: &str| {
            if takes.contains(&name) {
                return Ok(());
            }
            let found = Excerpt::of(name);
            Err(format!(
                "expected one of {}, found {found}",
                takes.join(", ")
            ))
        };
        each(query, known, |name, value| parameters.set(name, value))?;
        if parameters.dry_run() && parameters.wait.is_some() {
            let detail = "expected dryRun or wait: a dry run makes nothing to wait for";
            return Err(Refusal::new(Kind::BadQuery, detail));
        }
        Ok(parameters)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "namespace" => {
                check_namespace(value).map_err(text)?;
                once(&mut self.namespace, value.into())
            }
            "replace" => once(&mut self.replace, truth(value)?),
            "dryRun" => once(&mut self.dry_run, truth(value)?),
            _ => once(&mut self.wait, value.parse().map_err(text)?),
        }
    }

    /// Whether a Job of that name is deleted first.
    pub(crate) fn replace(&self) -> bool {
        self.replace.unwrap_or_default()
    }

    /// Whether everything is tested and nothing created.
    pub(crate) fn dry_run(&self) -> bool {
        self.dry_run.unwrap_or_default()
    }
}

/// Hands out each parameter, once its name is known.
fn each(
    query: Option<&str>,
    known: impl Fn(&str) -> Result<(), String>,
    mut set: impl FnMut(&str, &str) -> Result<(), String>,
) -> Result<(), Box<Refusal>> {
    // As HTML forms and most clients write a space in a query; no value that is taken here has a plus of its own.
    let plain = |part: &str| decode(&part.replace('+', " ")).map(Cow::into_owned);
    let mut take = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = plain(name).map_err(|e| format!("a parameter's name: {e}"))?;
        known(&name)?;
        let value = plain(value).map_err(|e| format!("{name}: {e}"))?;
        set(&name, &value).map_err(|e| format!("{name}: {e}"))
    };
    let pairs = query.unwrap_or_default().split('&');
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        take(pair).map_err(|detail| Refusal::new(Kind::BadQuery, detail))?;
    }
    Ok(())
}

fn unknown(name: &str, takes: Takes) -> String {
    let found = Excerpt::of(name);
    match &*takes.names() {
        [] => format!("this route takes no parameters, found {found}"),
        names => format!("expected one of {}, found {found}", names.join(", ")),
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err("expected once, found it again".into()),
    }
}

fn truth(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!(
            "expected true or false, found {}",
            Excerpt::of(value)
        )),
    }
}

fn stable_for(value: &str) -> Result<Duration, String> {
    if value == "0s" {
        return Ok(Duration::ZERO);
    }
    let time = value.parse::<Patience>();
    time.map(Patience::get).map_err(|_| {
        let found = Excerpt::of(value);
        format!("expected 0s or a time such as 90s, 10m or 1h30m, up to 24h, found {found}")
    })
}

fn label(value: &str) -> Result<Text, String> {
    if value.is_empty() {
        Err("expected a label's value, found nothing".into())
    } else {
        Ok(value.into())
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str, takes: Takes) -> String {
        Parameters::read(Some(query), takes)
            .expect_err(query)
            .detail
    }

    #[test]
    fn what_is_read() {
        let query = "dryRun=true&force=held%2Cmanual&namespace=a,b&namespace=c&workload=a/deployment/web%2C+b/Job/x\
                     &owner=acme&repo=web&branch=main&report=full&strict=false&allowNone=true&";
        let read = Parameters::read(Some(query), Takes::Upgrade).expect("parameters");
        assert!(read.dry_run() && read.full() && !read.strict());
        assert!(read.allow_none());
        assert_eq!(read.namespaces, ["a", "b", "c"].map(Text::from));
        assert_eq!(read.workloads.len(), 2);
        assert_eq!(read.force, Some("held,manual".parse().expect("codes")));
        let names = [&read.owner, &read.repo, &read.branch].map(|part| part.as_deref());
        assert_eq!(names, [Some("acme"), Some("web"), Some("main")]);
        let none = Parameters::read(None, Takes::Nothing).expect("none");
        assert_eq!(none, Parameters::default());
    }

    #[test]
    fn what_is_read_of_jobs() {
        let query = Some("namespace=shop&replace=true&wait=1m30s");
        let read = JobParameters::of_definition(query).expect("parameters");
        assert_eq!(read.namespace.as_deref(), Some("shop"));
        assert!(read.replace() && !read.dry_run());
        assert_eq!(read.wait.map(|wait| wait.get().as_secs()), Some(90));
        let none = JobParameters::of_template(None).expect("none");
        assert_eq!(none, JobParameters::default());
        for (query, expected) in [
            (
                "force=true",
                "expected one of namespace, replace, dryRun, wait, found `force`",
            ),
            ("replace", "replace: expected true or false, found the end"),
            ("replace=1", "replace: expected true or false, found `1`"),
            (
                "wait",
                "wait: expected a time such as 90s, 10m or 1h30m, from 1s to 24h, found the end",
            ),
            (
                "wait=",
                "wait: expected a time such as 90s, 10m or 1h30m, from 1s to 24h, found the end",
            ),
            (
                "wait=5",
                "wait: expected a time such as 90s, 10m or 1h30m, from 1s to 24h, found `5`",
            ),
            ("wait=5m&wait=5m", "wait: expected once, found it again"),
            (
                "wait=5m&dryRun=true",
                "expected dryRun or wait: a dry run makes nothing to wait for",
            ),
            (
                "namespace=a,b",
                "namespace: expected a namespace of lower-case letters, digits, `-`, at most 63 bytes, a letter or \
                 digit first and last, found `a,b`",
            ),
        ] {
            let refused = JobParameters::of_definition(Some(query)).expect_err(query);
            assert_eq!(refused.detail, expected, "{query}");
        }
        let refused = JobParameters::of_template(Some("replace=true")).expect_err("not here");
        assert_eq!(
            refused.detail,
            "expected one of dryRun, wait, found `replace`"
        );
    }

    #[test]
    fn what_is_refused() {
        use Takes::{Nothing, Plan, Status, Upgrade};
        for (query, takes, expected) in [
            ("x=1", Nothing, "this route takes no parameters, found `x`"),
            (
                "dryRun=true",
                Plan,
                "expected one of force, namespace, workload, owner, repo, branch, found `dryRun`",
            ),
            (
                "dryrun=true",
                Upgrade,
                "expected one of dryRun, report, strict, allowNone, wait, stableFor, failFast, force, namespace, workload, owner, \
                 repo, branch, found `dryrun`",
            ),
            (
                "dryRun",
                Upgrade,
                "dryRun: expected true or false, found the end",
            ),
            (
                "dryRun=1",
                Upgrade,
                "dryRun: expected true or false, found `1`",
            ),
            (
                "dryRun=true&dryRun=true",
                Upgrade,
                "dryRun: expected once, found it again",
            ),
            (
                "strict=yes",
                Upgrade,
                "strict: expected true or false, found `yes`",
            ),
            ("report=all", Upgrade, "report: expected full, found `all`"),
            (
                "owner=",
                Plan,
                "owner: expected a label's value, found nothing",
            ),
            (
                "owner=a&owner=b",
                Plan,
                "owner: expected once, found it again",
            ),
            (
                "force=held&force=held",
                Plan,
                "force: expected once, found it again",
            ),
            (
                "force=all",
                Plan,
                "force: expected `true`, or any of manual, constraint, held, conflicting-build, other-branch, \
                 obsolete, separated by commas, found `all`",
            ),
            (
                "force=true",
                Status,
                "expected one of owner, repo, branch, namespace, found `force`",
            ),
            (
                "namespace=a,",
                Plan,
                "namespace: expected a namespace of lower-case letters, digits, `-`, at most 63 bytes, a letter or \
                 digit first and last, found the end",
            ),
            (
                "workload=web",
                Plan,
                "workload: expected NAMESPACE/KIND/NAME, found `web`",
            ),
            (
                "namespace=%",
                Plan,
                "namespace: expected two hex digits after `%`, found `%` at byte 0",
            ),
            (
                "%ff=1",
                Plan,
                "a parameter's name: expected UTF-8, found another byte at byte 0 of the decoded text",
            ),
        ] {
            assert_eq!(refused(query, takes), expected, "{query}");
        }
    }
}
