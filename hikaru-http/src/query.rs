//! Query parameters: each route says which it takes, everything else is refused by name. Lists may be repeated or
//! separated by commas; what has one value may be given once.

use hikaru_core::{Build, Excerpt, Force, Request, Text, WorkloadName, check_namespace};

use crate::{
    problem::{Kind, Refusal},
    route::decode,
};

/// What may be asked for with a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// No parameter: who uses an image.
    Nothing,
    /// How the request is narrowed and forced: what a plan takes.
    Plan,
    /// That, and how the upgrade is done and told.
    Upgrade,
}

const PLAN: [&str; 6] = ["force", "namespace", "workload", "owner", "repo", "branch"];
const UPGRADE: [&str; 3] = ["dryRun", "report", "strict"];

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
}

impl Parameters {
    /// Reads a query.
    pub(crate) fn read(query: Option<&str>, takes: Takes) -> Result<Self, Box<Refusal>> {
        let mut parameters = Self::default();
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|p| !p.is_empty())
        {
            parameters
                .take(pair, takes)
                .map_err(|detail| Refusal::new(Kind::BadQuery, detail))?;
        }
        Ok(parameters)
    }

    fn take(&mut self, pair: &str, takes: Takes) -> Result<(), String> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // As HTML forms and most clients write a space in a query; no value that is taken here has a plus of its own.
        let plain = |part: &str| decode(&part.replace('+', " "));
        let name = plain(name).map_err(|e| format!("a parameter's name: {e}"))?;
        let known = (takes != Takes::Nothing && PLAN.contains(&&*name))
            || (takes == Takes::Upgrade && UPGRADE.contains(&&*name));
        if !known {
            return Err(unknown(&name, takes));
        }
        let value = plain(value).map_err(|e| format!("{name}: {e}"))?;
        self.set(&name, &value).map_err(|e| format!("{name}: {e}"))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
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
            _ if value == "full" => once(&mut self.full, true),
            _ => Err(format!("expected full, found {}", Excerpt::of(value))),
        }
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

    /// What is asked for.
    pub(crate) fn request(self, build: Build) -> Request {
        let mut request = Request::new(build);
        request.namespaces = self.namespaces;
        request.workloads = self.workloads;
        request.owner = self.owner;
        request.repo = self.repo;
        request.branch = self.branch;
        request.force = self.force.unwrap_or(Force::NONE);
        request
    }
}

fn unknown(name: &str, takes: Takes) -> String {
    let found = Excerpt::of(name);
    let expected = match takes {
        _ if name == "wait" && takes == Takes::Upgrade => {
            return "this version does not know wait: it answers once the upgrade is written"
                .into();
        }
        Takes::Nothing => return format!("this route takes no parameters, found {found}"),
        Takes::Plan => PLAN.join(", "),
        Takes::Upgrade => [&UPGRADE[..], &PLAN].concat().join(", "),
    };
    format!("expected one of {expected}, found {found}")
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
                     &owner=acme&repo=web&branch=main&report=full&strict=false&";
        let read = Parameters::read(Some(query), Takes::Upgrade).expect("parameters");
        assert!(read.dry_run() && read.full() && !read.strict());
        assert_eq!(read.namespaces, ["a", "b", "c"].map(Text::from));
        assert_eq!(read.workloads.len(), 2);
        assert_eq!(read.force, Some("held,manual".parse().expect("codes")));
        let names = [&read.owner, &read.repo, &read.branch].map(|part| part.as_deref());
        assert_eq!(names, [Some("acme"), Some("web"), Some("main")]);
        let none = Parameters::read(None, Takes::Nothing).expect("none");
        assert_eq!(none, Parameters::default());
    }

    #[test]
    fn what_is_refused() {
        use Takes::{Nothing, Plan, Upgrade};
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
                "expected one of dryRun, report, strict, force, namespace, workload, owner, repo, branch, found `dryrun`",
            ),
            (
                "wait=5m",
                Upgrade,
                "this version does not know wait: it answers once the upgrade is written",
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
