//! `hikaru job`: what is told before a cluster is asked, and Jobs in a folder of manifests. Jobs that run are in
//! `live/jobs`.

use std::fs;

use super::{command, files, folder, hikaru, hikaru_with, run_with_input, serve::Server};

const JOB: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: web, image: acme/web:1}
";

const CRON_JOB: &str = "apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec:
  schedule: \"0 3 * * *\"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
          - {name: web, image: \"acme/web:1\"}
          - {name: proxy, image: \"acme/proxy:1\"}
";

#[test]
fn bad_flags_and_arguments() {
    for (args, told) in [
        (&["job"][..], "Usage: hikaru job"),
        (&["job", "run"], "--file <FILE>"),
        (&["job", "run", "-f"], "a value is required"),
        (
            &["job", "run", "-f", "-", "--wait=10"],
            "expected a time such as 90s, 10m or 1h30m",
        ),
        (
            &["job", "run", "-f", "-", "--wait", "10m"],
            "unexpected argument '10m'",
        ),
        (
            &["job", "run", "-f", "-", "--namespace", "Shop"],
            "expected a namespace",
        ),
        (
            &["job", "from", "nightly"],
            "expected NAMESPACE/NAME, found `nightly`",
        ),
        (
            &["job", "from", "shop/nightly/x"],
            "expected NAMESPACE/NAME",
        ),
        (&["job", "list"], "<NAMESPACE>"),
        (&["job", "list", "../secrets"], "expected a namespace"),
        (&["job", "status", "shop/Migrate"], "expected a name"),
        (&["job", "log"], "<NAMESPACE/NAME>"),
        (
            &["job", "delete", "shop"],
            "expected NAMESPACE/NAME, found `shop`",
        ),
        (
            &["job", "list", "shop", "--manifests", ".", "--context", "x"],
            "--manifests and --kubeconfig or --context exclude each other",
        ),
    ] {
        let ran = hikaru(args).exits(2);
        assert!(ran.err.contains(told), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_typed_flag_wins_over_a_variable_and_an_empty_one_does_not_count() {
    let (_guard, dir) = folder(&[("a.yaml", "")]);
    let run = |variable: (&str, &str), args: &[&str]| {
        let ran = hikaru_with(&[variable], args);
        (Some(ran.code), ran.err)
    };
    let args = ["job", "list", "shop", "--manifests", &dir];
    let (_, err) = run(("HIKARU_CONTEXT", "x"), &args);
    assert!(err.contains("cluster: the manifests in"), "{err}");
    let args = ["job", "run", "--manifests", &dir];
    let (code, err) = run(("HIKARU_FILE", ""), &args);
    assert!(code == Some(2) && err.contains("--file <FILE>"), "{err}");
    let (code, err) = run(("HIKARU_FILE", "/nowhere/job.yaml"), &args);
    let told = "error: /nowhere/job.yaml cannot be read: ";
    assert!(code == Some(1) && err.contains(told), "{err}");
    let args = ["job", "run", "-f", "-", "--manifests", &dir];
    let (code, err) = run(("HIKARU_WAIT", "soon"), &args);
    assert!(code == Some(2) && !err.contains("soon}"), "{err}");
}

#[test]
fn files_that_are_no_definitions() {
    let (guard, dir) = folder(&[("empty.yaml", " \n")]);
    fs::write(guard.path().join("utf16.yaml"), b"\xff\xfek\0").expect("a file");
    fs::write(guard.path().join("latin1.yaml"), b"name: caf\xe9\n").expect("a file");
    fs::write(guard.path().join("long.yaml"), vec![b' '; 1024 * 1024 + 1]).expect("a file");
    for (name, told) in [
        ("none.yaml", "cannot be read: "),
        ("", "cannot be read: "),
        (
            "empty.yaml",
            "expected the definition of a Job, found nothing",
        ),
        (
            "utf16.yaml",
            "found the byte order mark of UTF-16 (little-endian): save it as UTF-8",
        ),
        (
            "latin1.yaml",
            "expected UTF-8, found another byte at byte 9",
        ),
        (
            "long.yaml",
            "expected a definition of at most 1048576 bytes, found more",
        ),
    ] {
        let path = format!("{dir}/{name}");
        let ran = hikaru(&["job", "run", "-f", &path]).exits(1);
        assert!(
            ran.err.starts_with(&format!("error: {path}")),
            "{}",
            ran.err
        );
        assert!(ran.err.contains(told), "{name}: {}", ran.err);
        assert_eq!(
            ran.err.lines().count(),
            1,
            "no cluster is looked for: {}",
            ran.err
        );
    }
    let ran = hikaru(&["job", "from", "shop/nightly", "--image", "Web"]).exits(1);
    assert!(ran.err.starts_with("error: --image: "), "{}", ran.err);
}

#[test]
fn the_policy_is_read_and_told() {
    let (_guard, dir) = folder(&[("a.yaml", "")]);
    for (name, value, told) in [
        (
            "HIKARU_JOB_NAMESPACES",
            "Shop",
            "HIKARU_JOB_NAMESPACES: expected a namespace",
        ),
        (
            "HIKARU_JOB_SERVICE_ACCOUNTS",
            "a_b",
            "HIKARU_JOB_SERVICE_ACCOUNTS: expected a name",
        ),
        (
            "HIKARU_JOB_PRIVILEGED",
            "yes",
            "HIKARU_JOB_PRIVILEGED: expected true or false, found `yes`",
        ),
    ] {
        let list = ["job", "list", "shop", "--manifests", &dir];
        hikaru_with(&[(name, value)], &list).exits(1).tells(&[told]);
    }
}

#[test]
fn a_namespace_that_is_not_allowed_is_named_by_each_command() {
    let job = format!("{JOB}---\n");
    let (_guard, dir) = folder(&[("a.yaml", &job)]);
    for (variable, told) in [
        (
            "HIKARU_JOB_NAMESPACES",
            "error: not allowed: HIKARU_JOB_NAMESPACES allows no Jobs of the namespace edge: expected prod",
        ),
        (
            "HIKARU_WATCH_NAMESPACES",
            "error: the namespace edge is not one of HIKARU_WATCH_NAMESPACES: expected prod",
        ),
    ] {
        for args in [["list", "edge"], ["status", "edge/a"], ["delete", "edge/a"]] {
            let args = [&["job"], &args[..], &["--manifests", &dir]].concat();
            let ran = hikaru_with(&[(variable, "prod")], &args).exits(3);
            let ran = ran.tells(&[told]);
            assert!(ran.out.is_empty(), "{args:?}");
        }
    }
}

#[test]
fn a_job_is_written_to_a_folder() {
    let (guard, dir) = folder(&[("nightly.yaml", CRON_JOB)]);
    let run = |args: &[&str]| {
        let mut command = command(&[&["job"], args, &["--manifests", &dir]].concat());
        run_with_input(&mut command, JOB)
    };
    run(&["list", "shop"]).exits(0).tells(&["no Jobs in shop"]);
    run(&["run", "-f", "-", "--namespace", "shop", "--dry-run"])
        .exits(0)
        .prints(&["shop/migrate: can be created"])
        .tells(&["dry run: nothing was created"]);
    assert_eq!(files(guard.path()).len(), 1, "nothing was written");
    run(&["run", "-f", "-", "--namespace", "shop"])
        .exits(0)
        .prints(&["shop/migrate: created as "]);
    assert_eq!(files(guard.path()).len(), 2);
    run(&["run", "-f", "-", "--namespace", "shop"])
        .exits(3)
        .tells(&["error: ", "migrate"]);
    let ran = run(&["status", "shop/migrate", "--output", "json"]).exits(0);
    assert_eq!(ran.json()["state"], "pending");
    assert_eq!(ran.json()["namespace"], "shop");
    run(&["list", "shop"])
        .exits(0)
        .prints(&["JOB", "FILE", "shop/migrate", "pending"]);
    let ran = run(&[
        "from",
        "shop/nightly",
        "--image",
        "acme/web:2",
        "--output",
        "json",
    ])
    .exits(0);
    let name = ran.json()["name"].as_str().expect("a name").to_owned();
    assert!(name.starts_with("nightly-"), "{name}");
    let written = files(guard.path());
    let text = written.iter().find(|(_, text)| text.contains("acme/web:2"));
    let (_, text) = text.expect("its file");
    assert!(
        text.contains("kind: Job") && text.contains("acme/proxy:1"),
        "{text}"
    );
    run(&["from", "shop/hourly"])
        .exits(1)
        .tells(&["error: there is no CronJob shop/hourly"]);
    run(&["status", "shop/none"])
        .exits(1)
        .tells(&["error: there is no Job shop/none"]);
    // Nothing runs in a folder, and what is to go is removed by hand.
    run(&["delete", "shop/migrate"])
        .exits(3)
        .tells(&["error: ", "migrate.job.yaml#1"]);
    run(&["log", "shop/migrate"]).exits(3).tells(&["error: "]);
    run(&["run", "-f", "-", "--namespace", "shop", "--replace"])
        .exits(3)
        .tells(&["shop/migrate stands in shop_migrate.job.yaml#1"]);
    let before = files(guard.path());
    run(&["run", "-f", "-", "--namespace", "new", "--wait=1s"])
        .exits(3)
        .tells(&["error: waiting for jobs is not supported here"]);
    run(&["from", "shop/nightly", "--wait=1s"])
        .exits(3)
        .tells(&["error: waiting for jobs is not supported here"]);
    assert_eq!(files(guard.path()), before);
}

#[test]
fn a_job_is_written_to_a_folder_over_http() {
    let (guard, dir) = folder(&[("nightly.yaml", CRON_JOB)]);
    let server = Server::start(&["--manifests", &dir], &[]).ready();
    let yaml = "Content-Type: application/yaml\r\n";
    let dry = server.post_body("/api/job?namespace=shop&dryRun=true", yaml, JOB);
    assert_eq!(
        dry.is(200).body,
        r#"{"namespace":"shop","name":"migrate","file":"shop_migrate.job.yaml"}"#
    );
    server
        .post_body("/api/job?namespace=shop&wait=10s", yaml, JOB)
        .is(501);
    assert_eq!(files(guard.path()).len(), 1);
    let answer = server
        .post_body("/api/job?namespace=shop", yaml, JOB)
        .is(201);
    assert!(
        answer.head.contains("location: /api/job/shop/migrate\r\n"),
        "{}",
        answer.head
    );
    assert_eq!(files(guard.path()).len(), 2);
    let again = server
        .post_body("/api/job?namespace=shop", yaml, JOB)
        .is(409);
    assert_eq!(again.json()["type"], "urn:hikaru:problem:job-exists");
    let answer = server.get("/api/job/shop/migrate").is(200).json();
    assert_eq!(answer["state"], "pending");
    assert_eq!(server.get("/api/job/shop").is(200).json()[0], answer);
    server.post("/api/job/shop/from/nightly").is(201);
    server.post("/api/job/shop/from/hourly").is(404);
    let bad = server.post_body("/api/job", yaml, "a: [b\n").is(400);
    assert_eq!(bad.json()["type"], "urn:hikaru:problem:malformed-job");
    let none = server
        .post_body("/api/job", yaml, "kind: Deployment\n")
        .is(422);
    assert_eq!(none.json()["type"], "urn:hikaru:problem:invalid-job");
    let privileged = JOB.replace(
        "image: acme/web:1",
        "image: x, securityContext: {privileged: true}",
    );
    let refused = server
        .post_body("/api/job", yaml, &privileged)
        .is(403)
        .json();
    assert_eq!(refused["type"], "urn:hikaru:problem:job-forbidden");
    let detail = refused["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("HIKARU_JOB_PRIVILEGED"), "{detail}");
    let figures = server.get("/metrics").is(200).body;
    for line in [
        "hikaru_jobs_total{outcome=\"created\",dry_run=\"false\"} 2\n",
        "hikaru_jobs_total{outcome=\"created\",dry_run=\"true\"} 1\n",
        "hikaru_jobs_total{outcome=\"exists\",dry_run=\"false\"} 1\n",
        "hikaru_jobs_total{outcome=\"malformed\",dry_run=\"false\"} 1\n",
        "hikaru_jobs_total{outcome=\"forbidden\",dry_run=\"false\"} 1\n",
    ] {
        assert!(figures.contains(line), "expected {line:?} in:\n{figures}");
    }
}
