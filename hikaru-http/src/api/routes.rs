//! The routes, as one table: what a method and a path ask for, the `Allow` of another method, the sentence of an unknown path and
//! the names in the log come from it. What each answers is in `api`.

use hikaru_core::caller::Right;
use hyper::Method;

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Upgrade,
    Candidates,
    Find,
    Verify,
    RunJob,
    RunFromCronJob,
    ListJobs,
    JobStatus,
    DeleteJob,
    JobLog,
    RemoveMarks,
    Rollout,
    Status,
    Live,
    Ready,
    Metrics,
}

/// Who may ask for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Callers that have one of these rights.
    Callers(&'static [Right]),
    /// Callers that have the right `metrics`, and everybody on the listener of probes.
    Metrics,
    /// Everybody.
    Probes,
}

impl Access {
    /// One of these is needed where a caller is asked for.
    pub(crate) fn rights(self) -> &'static [Right] {
        match self {
            Self::Callers(rights) => rights,
            Self::Metrics => &[Right::Metrics],
            Self::Probes => &[],
        }
    }

    /// Whether the listener of probes does not have it.
    pub(crate) fn is_of_api(self) -> bool {
        matches!(self, Self::Callers(_))
    }
}

/// A method that a route can have. GET stands for HEAD, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Get,
    Post,
    Delete,
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    verb: Verb,
    /// The path: `{image}` at its end stands for the rest of the path, any other name in braces for one part of it.
    pub(crate) pattern: &'static str,
    pub(crate) operation: Operation,
    pub(crate) access: Access,
}

/// All routes. Of two that a method and a path fit, the first one counts.
pub(crate) const ROUTES: [Route; 16] = {
    use Access::{Callers, Metrics, Probes};
    use Operation as O;
    use Right::{Hold, Jobs, Logs, Read, Upgrade};
    use Verb::{Delete, Get, Post};
    const fn route(
        verb: Verb,
        pattern: &'static str,
        operation: Operation,
        access: Access,
    ) -> Route {
        Route {
            verb,
            pattern,
            operation,
            access,
        }
    }
    // What a caller that upgrades has to know: what it would do, and what became of it.
    const PLAN: Access = Callers(&[Read, Upgrade]);
    const JOBS: Access = Callers(&[Jobs]);
    const SEE_JOBS: Access = Callers(&[Read, Jobs]);
    const READ: Access = Callers(&[Read]);
    const UPGRADE: Access = Callers(&[Upgrade]);
    const LOGS: Access = Callers(&[Logs]);
    const HOLD: Access = Callers(&[Hold]);
    const JOB: &str = "/api/job/{namespace}/{name}";
    const FROM: &str = "/api/job/{namespace}/from/{cronjob}";
    const LOG: &str = "/api/job/{namespace}/{name}/log";
    const MARKS: &str = "/api/hold/{namespace}/{kind}/{name}";
    const ROLLOUT: &str = "/api/rollout/{namespace}/{kind}/{name}";
    [
        route(Post, "/api/image/{image}", O::Upgrade, UPGRADE),
        route(Get, "/api/image/{image}", O::Find, READ),
        route(Get, "/api/candidates/{image}", O::Candidates, PLAN),
        route(Get, "/api/verify/{image}", O::Verify, PLAN),
        route(Post, "/api/job", O::RunJob, JOBS),
        route(Get, "/api/job/{namespace}", O::ListJobs, SEE_JOBS),
        route(Get, JOB, O::JobStatus, SEE_JOBS),
        route(Delete, JOB, O::DeleteJob, JOBS),
        route(Post, FROM, O::RunFromCronJob, JOBS),
        route(Get, LOG, O::JobLog, LOGS),
        route(Delete, MARKS, O::RemoveMarks, HOLD),
        route(Get, ROLLOUT, O::Rollout, PLAN),
        route(Get, "/api/status", O::Status, READ),
        route(Get, "/livez", O::Live, Probes),
        route(Get, "/readyz", O::Ready, Probes),
        route(Get, "/metrics", O::Metrics, Metrics),
    ]
};

/// The route that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match<'p> {
    pub(crate) route: &'static Route,
    /// What stands in the path for each name in braces, not decoded.
    pub(crate) parts: Vec<&'p str>,
    /// Whether the route has the request's method. If none of the path has it, `route` is the first of the path.
    pub(crate) has_method: bool,
}

/// The route of a method and a path. `None`: no route has the path.
pub(crate) fn resolve<'p>(method: &Method, path: &'p str) -> Option<Match<'p>> {
    let mut first = None;
    for route in &ROUTES {
        let Some(parts) = parts_of(route.pattern, path) else {
            continue;
        };
        let found = Match {
            route,
            parts,
            has_method: route.verb.is(method),
        };
        if found.has_method {
            return Some(found);
        }
        first.get_or_insert(found);
    }
    first
}

/// The methods of all routes that have this path, as `Allow` has them.
pub(crate) fn allowed(path: &str) -> String {
    let of_path = ROUTES
        .iter()
        .filter(|route| parts_of(route.pattern, path).is_some());
    let mut verbs: Vec<Verb> = of_path.map(|route| route.verb).collect();
    verbs.sort_unstable();
    let names: Vec<&str> = verbs.into_iter().map(Verb::names).collect();
    names.join(", ")
}

/// `expected /api/image/{image}, … or /metrics`: the paths of the routes that these may ask for.
pub(crate) fn expected(may: impl Fn(Access) -> bool) -> String {
    let routes = ROUTES.iter().filter(|route| may(route.access));
    let mut patterns: Vec<&str> = routes.map(|route| route.pattern).collect();
    // Those of one path stand beside each other.
    patterns.dedup();
    match patterns.split_last() {
        Some((last, first)) if !first.is_empty() => {
            format!("expected {} or {last}", first.join(", "))
        }
        _ => format!("expected {}", patterns.concat()),
    }
}

/// What stands in a path for the names of a pattern, if it has this form.
fn parts_of<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    if let Some(prefix) = pattern.strip_suffix("/{image}") {
        let rest = path.strip_prefix(prefix)?;
        // The prefix alone has an empty image.
        return match rest {
            "" => Some(vec![rest]),
            _ => Some(vec![rest.strip_prefix('/')?]),
        };
    }
    let mut parts = Vec::new();
    let mut of_path = path.split('/');
    for expected in pattern.split('/') {
        let part = of_path.next()?;
        if expected.starts_with('{') {
            parts.push(part);
        } else if part != expected {
            return None;
        }
    }
    of_path.next().is_none().then_some(parts)
}

impl Verb {
    fn is(self, method: &Method) -> bool {
        match self {
            Self::Get => matches!(*method, Method::GET | Method::HEAD),
            Self::Post => *method == Method::POST,
            Self::Delete => *method == Method::DELETE,
        }
    }

    fn names(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_their_routes_and_parts() {
        use Operation::{
            Candidates, Find, JobLog, JobStatus, ListJobs, Live, RemoveMarks, Rollout,
            RunFromCronJob, RunJob, Status, Verify,
        };
        for (path, expected) in [
            ("/livez", Some((Live, &[][..]))),
            ("/livez/", None),
            ("/", None),
            ("", None),
            ("*", None),
            ("/api", None),
            ("/api/images/web", None),
            ("//api/image/web", None),
            ("/api/image", Some((Find, &[""]))),
            ("/api/image/", Some((Find, &[""]))),
            ("/api/image/web/", Some((Find, &["web/"]))),
            ("/api/image//web", Some((Find, &["/web"]))),
            (
                "/api/image/host:5000/a/b:t@sha256:0",
                Some((Find, &["host:5000/a/b:t@sha256:0"])),
            ),
            (
                "/api/candidates/../image/web",
                Some((Candidates, &["../image/web"])),
            ),
            ("/api/verify/a/b:c", Some((Verify, &["a/b:c"]))),
            ("/%61pi/image/web", None),
            ("/api/job", Some((RunJob, &[]))),
            ("/api/jobs", None),
            ("/api/job/", Some((ListJobs, &[""]))),
            ("/api/job/shop", Some((ListJobs, &["shop"]))),
            ("/api/job/shop/", Some((JobStatus, &["shop", ""]))),
            ("/api/job/shop/from", Some((JobStatus, &["shop", "from"]))),
            ("/api/job/shop/m%2Fx", Some((JobStatus, &["shop", "m%2Fx"]))),
            ("/api/job/shop/m/log", Some((JobLog, &["shop", "m"]))),
            (
                "/api/job/shop/from/m",
                Some((RunFromCronJob, &["shop", "m"])),
            ),
            ("/api/job/shop/from/log", Some((JobLog, &["shop", "from"]))),
            ("/api/job/shop/m/logs", None),
            ("/api/job/shop/m/log/", None),
            ("/api/job/shop/from/m/log", None),
            ("/api/hold", None),
            ("/api/hold/shop/web", None),
            ("/api/hold/a/b/c/d", None),
            ("/api/hold/a/b/c", Some((RemoveMarks, &["a", "b", "c"]))),
            ("/api/hold/a/b/", Some((RemoveMarks, &["a", "b", ""]))),
            ("/api/rollout/a/b", None),
            ("/api/rollout/a/b/c", Some((Rollout, &["a", "b", "c"]))),
            ("/api/status", Some((Status, &[]))),
            ("/api/status/", None),
        ] {
            let found = resolve(&Method::GET, path);
            let found = found
                .as_ref()
                .map(|found| (found.route.operation, &*found.parts));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn the_method_decides_between_routes_of_one_path() {
        for (method, path, expected) in [
            (Method::HEAD, "/api/image/web", Some(Operation::Find)),
            (Method::POST, "/api/image/web", Some(Operation::Upgrade)),
            (
                Method::POST,
                "/api/job/shop/from/log",
                Some(Operation::RunFromCronJob),
            ),
            (
                Method::DELETE,
                "/api/job/shop/from",
                Some(Operation::DeleteJob),
            ),
            (Method::PUT, "/api/image/web", None),
            (Method::GET, "/api/job", None),
        ] {
            let found = resolve(&method, path).expect("a route");
            let operation = found.has_method.then_some(found.route.operation);
            assert_eq!(operation, expected, "{method} {path}");
        }
    }

    #[test]
    fn the_document_lists_every_route() {
        // Read when it runs: the document is no part of the crate's package, which has to compile.
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http-api.md");
        let document = std::fs::read_to_string(path).expect(path);
        for route in ROUTES {
            let verb = match route.verb {
                Verb::Get => "GET",
                Verb::Post => "POST",
                Verb::Delete => "DELETE",
            };
            let rights = route.access.rights().iter();
            let rights: Vec<String> = rights.map(|right| format!("`{right}`")).collect();
            let rights = match route.access {
                Access::Probes => "none".to_owned(),
                _ => rights.join(" or "),
            };
            assert!(!rights.is_empty(), "no caller has a right to {route:?}");
            let row = format!("| `{verb} {}` | {rights} |", route.pattern);
            assert!(document.contains(&row), "docs/http-api.md lacks: {row}");
        }
    }

    #[test]
    fn the_sentence_of_an_unknown_path_names_each_route_once() {
        assert_eq!(
            expected(|_| true),
            "expected /api/image/{image}, /api/candidates/{image}, /api/verify/{image}, /api/job, /api/job/{namespace}, \
             /api/job/{namespace}/{name}, /api/job/{namespace}/from/{cronjob}, /api/job/{namespace}/{name}/log, \
             /api/hold/{namespace}/{kind}/{name}, /api/rollout/{namespace}/{kind}/{name}, /api/status, /livez, /readyz or \
             /metrics"
        );
        assert_eq!(
            expected(|access| !access.is_of_api()),
            "expected /livez, /readyz or /metrics"
        );
    }
}
