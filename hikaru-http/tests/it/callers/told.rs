//! What the log, the full report and the observers say of a caller. What a token says is text from outside: it forges nothing.

use std::sync::{Arc, Mutex};

use hikaru_core::{
    caller::{Binding, Caller, Issued},
    port::{Event, Happening, Observer},
};
use hikaru_http::{Bound, Denied, Serving};
use serde_json::json;
use tracing::Level;

use super::{Takes, bound, bound_jobs, caller};
use crate::{
    client::{call, call_with_body},
    cluster::{BEFORE, listener, memory, mock_jobs, shop, still_clock, workload},
    log::Log,
};

const TAG: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SUBJECT: &str = "repo:acme/web:ref:refs/heads/main";
const RUN: &str = "https://github.com/acme/web/actions/runs/7";

/// A caller with all rights, whose token says this.
fn issued(issuer: &str, subject: &str, run: Option<&str>) -> Caller {
    let mut caller = caller(&[
        "metrics", "read", "upgrade", "jobs", "logs", "hold", "force",
    ]);
    caller.name = "github".into();
    caller.issued = Some(Issued::new(issuer, subject, run.map(Into::into)));
    caller
}

async fn serve(caller: Caller) -> Serving {
    let mut web = workload("shop", "Deployment", "web", &[("web", BEFORE)]);
    web.containers[0].mark = Some("1.3.0_6_d5ecc80e".into());
    let jobs = mock_jobs(|jobs| {
        jobs.expect_delete().returning(|_, _| Ok(()));
    });
    bound(memory([web]), caller).await.jobs(jobs).serve()
}

/// Calls that make each kind of line: of a request, an upgrade, a removed mark, a deleted Job, a rollout, a refusal.
async fn make_lines(server: &Serving) {
    for (method, path) in [
        ("POST", format!("/api/image/{TAG}?wait=10m")),
        ("DELETE", "/api/hold/shop/deploy/web".to_owned()),
        ("DELETE", "/api/job/shop/migrate".to_owned()),
        ("GET", "/api/job/SHOP".to_owned()),
    ] {
        call(server.address(), method, &path).await;
    }
}

#[tokio::test]
async fn each_line_names_the_caller_and_what_its_token_says() {
    let (log, _guard) = Log::start();
    make_lines(&serve(issued(ISSUER, SUBJECT, Some(RUN))).await).await;
    let info = log.lines(Level::INFO);
    let outcomes: Vec<_> = info.iter().filter_map(|line| line.get("outcome")).collect();
    for outcome in ["upgraded", "unheld", "deleted"] {
        assert!(outcomes.iter().any(|o| **o == *outcome), "{outcomes:?}");
    }
    let mut debug = log.lines(Level::DEBUG);
    debug.retain(|line| matches!(&*line["message"], "refused" | "judged"));
    let count = |message: &str| debug.iter().filter(|l| l["message"] == message).count();
    assert_eq!((count("refused"), count("judged")), (1, 1));
    for line in info.into_iter().chain(log.lines(Level::WARN)).chain(debug) {
        for (field, expected) in [
            ("caller", "github"),
            ("issuer", ISSUER),
            ("subject", SUBJECT),
            ("run", RUN),
        ] {
            let found = line.get(field).map(String::as_str);
            assert_eq!(found, Some(expected), "{field}: {line:?}");
        }
    }
}

#[tokio::test]
async fn a_line_of_a_token_of_hikarus_own_has_its_name_alone() {
    let (log, _guard) = Log::start();
    make_lines(&serve(caller(&["upgrade", "hold", "jobs"])).await).await;
    for line in log.lines(Level::INFO) {
        assert_eq!(line.get("caller").map(String::as_str), Some("ci"));
        for field in ["issuer", "subject", "run"] {
            assert_eq!(line.get(field), None, "{line:?}");
        }
    }
}

/// Texts that a token can hold, and what may be seen of each.
fn hostile() -> [(String, &'static str); 5] {
    [
        (
            "a\nINFO forged caller=admin\r\n".to_owned(),
            r"a\nINFO forged caller=admin\r\n",
        ),
        ("\u{1b}[31mred\u{7}".to_owned(), r"\u{1b}[31mred\u{7}"),
        ("a\" caller=\"admin".to_owned(), "a\" caller=\"admin"),
        ("\u{202e}gnp\u{2028}".to_owned(), r"\u{202e}gnp\u{2028}"),
        ("x".repeat(10_000), "xxx"),
    ]
}

#[tokio::test]
async fn what_a_token_says_forges_no_line_and_no_report() {
    for (text, seen) in hostile() {
        let (log, _guard) = Log::start();
        let mut hostile = issued(&text, &text, Some(&text));
        hostile.name = text.as_str().into();
        let server = serve(hostile).await;
        make_lines(&server).await;
        let path = format!("/api/candidates/{TAG}");
        let report = call(server.address(), "GET", &path).await.json();
        let levels = [Level::INFO, Level::WARN, Level::DEBUG];
        let lines: Vec<_> = levels.iter().flat_map(|level| log.lines(*level)).collect();
        assert!(lines.len() > 5, "{lines:?}");
        let mut told: Vec<String> = Vec::new();
        for line in lines {
            let fields = ["caller", "issuer", "subject", "run"];
            told.extend(fields.iter().filter_map(|field| line.get(*field).cloned()));
        }
        let members = ["name", "issuer", "subject", "run"];
        let of_report = members.map(|member| report["caller"][member].as_str().map(str::to_owned));
        assert!(of_report.iter().all(Option::is_some), "{report}");
        told.extend(of_report.into_iter().flatten());
        for told in told {
            assert!(told.starts_with(seen), "{told}");
            assert!(told.chars().count() <= 301, "{} characters", told.len());
            let is_plain = |c: char| !c.is_control() && !"\u{202e}\u{2028}".contains(c);
            assert!(told.chars().all(is_plain), "{told:?}");
        }
    }
}

/// What the lines of a refused call say of its caller.
async fn lines_of_refused(denied: Denied) -> Vec<[Option<String>; 4]> {
    let (log, _guard) = Log::start();
    let takes = Takes(Err(denied));
    let bound = Bound::new(listener().await, shop(), still_clock(), takes);
    let server = bound.expect("a server").serve();
    call(server.address(), "GET", "/api/status").await;
    let mut lines = log.lines(Level::INFO);
    lines.extend(log.lines(Level::DEBUG));
    lines.retain(|line| matches!(&*line["message"], "refused" | "answered"));
    assert_eq!(lines.len(), 2, "{lines:?}");
    let fields = ["caller", "issuer", "subject", "run"];
    let of_line = |line: &std::collections::BTreeMap<String, String>| {
        fields.map(|field| line.get(field).cloned())
    };
    lines.iter().map(of_line).collect()
}

fn not_trusted(trust: Option<&str>, issued: Issued) -> Denied {
    Denied::NotTrusted {
        why: "why".into(),
        code: "owner",
        trust: trust.map(Into::into),
        issued,
    }
}

#[tokio::test]
async fn the_lines_of_a_refused_call_name_whom_its_issuer_has_named() {
    let issued = || Issued::new(ISSUER, SUBJECT, Some(RUN.into()));
    let expired = Denied::Expired {
        caller: "ci".into(),
    };
    // Nothing is proved of who sent these.
    let bad_token = Denied::BadToken {
        why: SUBJECT.into(),
        code: "signature",
    };
    let unavailable = Denied::Unavailable(SUBJECT.into());
    for (denied, expected) in [
        (
            not_trusted(Some("github"), issued()),
            [Some("github"), Some(ISSUER), Some(SUBJECT), Some(RUN)],
        ),
        (
            not_trusted(None, issued()),
            [None, Some(ISSUER), Some(SUBJECT), Some(RUN)],
        ),
        (expired, [Some("ci"), None, None, None]),
        (bad_token, [None; 4]),
        (unavailable, [None; 4]),
        (Denied::BadCredentials, [None; 4]),
    ] {
        for line in lines_of_refused(denied.clone()).await {
            assert_eq!(
                line.each_ref().map(Option::as_deref),
                expected,
                "{denied:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_a_refused_token_says_forges_no_line() {
    for (text, seen) in hostile() {
        let text = &*text;
        let denied = not_trusted(Some(text), Issued::new(text, text, Some(text.into())));
        for told in lines_of_refused(denied).await.into_iter().flatten() {
            let told = told.expect("a text");
            assert!(told.starts_with(seen), "{told}");
            assert!(told.chars().count() <= 301, "{} characters", told.len());
            let is_plain = |c: char| !c.is_control() && !"\u{202e}\u{2028}".contains(c);
            assert!(told.chars().all(is_plain), "{told:?}");
        }
    }
}

#[tokio::test]
async fn secrets_in_an_address_are_not_told() {
    let (log, _guard) = Log::start();
    let run = "https://user:s3cret@ci.example/run/7";
    let server = serve(issued(ISSUER, SUBJECT, Some(run))).await;
    make_lines(&server).await;
    let path = format!("/api/image/{TAG}?report=full");
    let report = call(server.address(), "POST", &path).await;
    assert!(!report.text.contains("s3cret"), "{}", report.text);
    for level in [Level::INFO, Level::WARN, Level::DEBUG] {
        let lines = format!("{:?}", log.lines(level));
        assert!(!lines.contains("s3cret"), "{lines}");
    }
}

#[tokio::test]
async fn the_full_report_names_the_caller() {
    let with_token = json!({"name": "github", "issuer": ISSUER, "subject": SUBJECT, "run": RUN});
    for (caller, expected) in [
        (issued(ISSUER, SUBJECT, Some(RUN)), with_token),
        (
            issued("", "system:serviceaccount:ci:deployer", None),
            json!({"name": "github", "subject": "system:serviceaccount:ci:deployer"}),
        ),
        (caller(&["read", "upgrade"]), json!({"name": "ci"})),
    ] {
        let server = serve(caller).await;
        let address = server.address();
        let plan = call(address, "GET", &format!("/api/candidates/{TAG}")).await;
        assert_eq!(plan.json()["caller"], expected);
        let none = "/api/verify/acme/none:acme_none_main_1.4.0_7_0123abcd";
        let verify = call(address, "GET", none).await;
        assert_eq!(
            verify.json()["report"]["caller"],
            expected,
            "{}",
            verify.text
        );
        let none = "/api/image/acme/none:acme_none_main_1.4.0_7_0123abcd?strict=true";
        let strict = call(address, "POST", none).await;
        assert_eq!(strict.json()["report"]["caller"], expected);
        let post = call(address, "POST", &format!("/api/image/{TAG}?report=full")).await;
        assert_eq!(post.json()["caller"], expected);
    }
}

/// Writes down the problem and the code of each refusal.
#[derive(Default)]
struct Refusals(Mutex<Vec<String>>);

impl Observer for Refusals {
    fn observe(&self, event: &Event<'_>) {
        if let Happening::Refused { problem, code, .. } = event.what {
            let mut told = self.0.lock().expect("no panic before");
            told.push(format!("{problem} {code}"));
        }
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code() {
    let mut narrowed = caller(&["read", "upgrade", "jobs"]);
    narrowed.namespaces = vec!["shop".into()];
    let mut bound_caller = caller(&["read", "upgrade", "jobs"]);
    bound_caller.binding = Some(Binding::new("acme", "other", "main"));
    let why = || "why".to_owned();
    for (takes, method, path, expected) in [
        (
            Err(Denied::NoCredentials),
            "GET",
            "/api/status",
            "unauthorized no-credentials",
        ),
        (
            Err(Denied::BadCredentials),
            "GET",
            "/api/status",
            "unauthorized bad-credentials",
        ),
        (
            Err(Denied::Expired {
                caller: "ci".into(),
            }),
            "GET",
            "/api/status",
            "unauthorized expired",
        ),
        (
            Err(Denied::BadToken {
                why: why(),
                code: "signature",
            }),
            "GET",
            "/api/status",
            "unauthorized signature",
        ),
        (
            Err(Denied::NotTrusted {
                why: why(),
                code: "owner",
                trust: Some("github".into()),
                issued: Issued::new("https://ci.example", "the subject", None),
            }),
            "GET",
            "/api/status",
            "not-allowed owner",
        ),
        (
            Err(Denied::Unavailable(why())),
            "GET",
            "/api/status",
            "token-unverified token-unverified",
        ),
        (
            Ok(narrowed.clone()),
            "DELETE",
            "/api/hold/shop/deploy/web",
            "not-allowed right",
        ),
        (
            Ok(narrowed.clone()),
            "POST",
            "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd?force=held",
            "not-allowed force",
        ),
        (
            Ok(narrowed.clone()),
            "GET",
            "/api/status?namespace=vault",
            "not-allowed namespace",
        ),
        (
            Ok(narrowed),
            "GET",
            "/api/job/vault",
            "not-allowed namespace",
        ),
        (
            Ok(bound_caller.clone()),
            "GET",
            "/api/job/shop",
            "not-allowed jobs",
        ),
        (
            Ok(bound_caller),
            "GET",
            "/api/candidates/acme/web:acme_web_main_1.4.0_7_0123abcd",
            "not-allowed binding",
        ),
        (
            Ok(caller(&[])),
            "GET",
            "/secret",
            "unknown-route unknown-route",
        ),
    ] {
        let told = Arc::new(Refusals::default());
        let bound = Bound::new(listener().await, shop(), still_clock(), Takes(takes));
        let bound = bound.expect("a server").observer(told.clone());
        let server = bound.jobs(mock_jobs(|_| {})).serve();
        call(server.address(), method, path).await;
        assert_eq!(*told.0.lock().expect("no panic"), [expected], "{path}");
    }
}

#[tokio::test]
async fn a_job_that_is_refused_to_its_caller_is_told_with_the_code() {
    let mut narrowed = caller(&["jobs"]);
    narrowed.namespaces = vec!["vault".into()];
    let told = Arc::new(Refusals::default());
    let bound = bound_jobs(mock_jobs(|_| {}), narrowed).await;
    let server = bound.observer(told.clone()).serve();
    let json = ["Content-Type: application/json"];
    call_with_body(server.address(), "/api/job", &json, "{}").await;
    assert_eq!(*told.0.lock().expect("no panic"), ["not-allowed namespace"]);
}
