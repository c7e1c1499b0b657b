//! What is said of files that cannot be read: the file, the line, and whether it fails the call.

use hikaru_core::port::{Scope, Select, WorkloadPort as _};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use super::scene::{Scene, alone, build, deployment, lines, mode, outcomes, unprivileged};

/// One odd file beside a good one: the good one is found, and this is said of the other.
#[track_caller]
fn says(rest: &str, expected: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let scene = Scene::with(&[("good.yaml", &deployment("good", 1)), ("odd.yaml", rest)]);
    let found = runtime.block_on(scene.find(Select::Build(build(2))));
    assert_eq!(lines(&found.faults), expected, "{rest}");
    assert!(
        found
            .workloads
            .iter()
            .any(|found| &*found.id.name == "good")
    );
    // Nothing is ever written to it.
    let report = runtime.block_on(scene.post(2));
    assert_eq!(
        report.has_failures(),
        expected.iter().any(|line| line.starts_with("failure"))
    );
    assert!(outcomes(&report).contains(&"good.yaml#1 good upgrade".to_owned()));
    assert_eq!(scene.text("good.yaml"), deployment("good", 2));
    assert_eq!(scene.names(""), ["good.yaml", "odd.yaml"]);
}

#[test]
fn a_file_that_is_no_yaml_fails_only_if_it_holds_the_repository() {
    says(
        "a: [b\n",
        &["warning odd.yaml:1:4: is no YAML: unclosed bracket '['"],
    );
    says(
        "a: [b\nimage: acme/web:1\n",
        &["failure odd.yaml:2:6: is no YAML: illegal placement of ':' indicator"],
    );
    says(
        "image: ghcr.io/acme/web:1\nb: [a\n",
        &["warning odd.yaml:2:4: is no YAML: unclosed bracket '['"],
    );
    // Only the document that is odd counts.
    says(
        "a: [b\n---\nimage: acme/web:1\n---\nc: [d\n# acme/web\n",
        &[
            "warning odd.yaml:1:4: is no YAML: unclosed bracket '['",
            "failure odd.yaml:5:4: is no YAML: unclosed bracket '['",
        ],
    );
}

#[test]
fn each_bad_input_is_named_with_file_and_line() {
    let head = "apiVersion: apps/v1\nkind: Deployment\n";
    let web = deployment("web", 1);
    for (text, expected) in [
        (
            web.replace("acme, repo", "acme, owner: acme, repo"),
            "failure odd.yaml:5:25: Deployment web: the key owner stands twice in one map, first on line 5: remove one of them",
        ),
        (
            web.replace("owner: acme", "owner: 42"),
            "failure odd.yaml:5:19: Deployment web: label owner must be a string, found the number 42: quote it",
        ),
        (
            web.replace("  name: web\n", ""),
            "failure odd.yaml:1:1: a Deployment without a name: expected metadata.name",
        ),
        (
            web.replace("image: ", "\timage: "),
            "failure odd.yaml:10:21: is no YAML: comment intercepting the multiline text; line 11 is indented with a tab, which YAML does not allow",
        ),
        (
            web.replace("image: ", "image: {{ .Values.image }} # "),
            "failure odd.yaml:11:18: Deployment web: the image of container web must be a string, found a map; `{{` looks like an unrendered template: hikaru reads rendered manifests",
        ),
        (
            format!("{{{{- if .Values.web }}}}\n{web}{{{{- end }}}}\n"),
            "failure odd.yaml:1:3: is no YAML: \"-\" is only valid inside a block; `{{` looks like an unrendered template: hikaru reads rendered manifests",
        ),
        (
            format!("{head}metadata: {{name: x, labels: {{owner: 42}}}}\n"),
            "warning odd.yaml:3:37: Deployment x: label owner must be a string, found the number 42: quote it",
        ),
        (
            format!("a: {}", "[".repeat(10_000)),
            "warning odd.yaml:1:259: is no YAML that hikaru reads: it is nested more than 255 deep",
        ),
    ] {
        says(&text, &[expected]);
    }
    // No fault: nothing to judge.
    says(&format!("{head}metadata: {{name: x}}\n"), &[]);
    says("# a comment\n", &[]);
}

#[test]
fn an_alias_bomb_is_no_fault_where_nobody_looks() {
    let mut bomb = "a0: &a0 acme/web\n".to_owned();
    for n in 1..50 {
        bomb.push_str(&format!(
            "a{n}: &a{n} [{}]\n",
            format!("*a{}, ", n - 1).repeat(10)
        ));
    }
    says(&bomb, &[]);
    says(
        &format!(
            "{bomb}apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x, labels: *a49}}\n"
        ),
        &["failure odd.yaml:50:11: Deployment x: metadata.labels must be a map, found a list"],
    );
}

#[tokio::test]
async fn a_file_that_is_no_text_is_named() {
    let scene = Scene::with(&[("good.yaml", &deployment("good", 1))]);
    scene.file("latin.yaml", b"# gr\xf6\xdfer\nimage: acme/web:1\n");
    scene.file("utf16.json", b"\xff\xfe{\0}\0");
    scene.file("ok/long.yaml", b"a: b\nc: d\xc3");
    let found = scene.find(Select::Build(build(2))).await;
    assert_eq!(
        lines(&found.faults),
        [
            "failure latin.yaml:1:5: is no YAML: it is not UTF-8, found the byte 0xf6",
            "warning ok/long.yaml:2:5: is no YAML: it is not UTF-8, found the byte 0xc3",
            "warning utf16.json: is UTF-16: save it as UTF-8",
        ]
    );
}

#[tokio::test]
async fn a_file_of_100_mb_is_searched_but_not_held() {
    const ALONE: &str = "HIKARU_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // The peak of memory is the process's, so this needs one for itself.
        let output = std::process::Command::new(std::env::current_exe().expect("a program"))
            .args([
                "--exact",
                "bad_input::a_file_of_100_mb_is_searched_but_not_held",
            ])
            .env(ALONE, "1")
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let scene = Scene::with(&[("good.yaml", &deployment("good", 1))]);
    for (name, end) in [
        ("huge.yaml", "image: acme/web:1\n"),
        ("other.yaml", "image: acme/other:1\n"),
    ] {
        let mut file = File::create(scene.path(name)).expect("a file");
        file.seek(SeekFrom::Start(100_000_000)).expect("sparse");
        file.write_all(end.as_bytes()).expect("written");
    }
    let found = scene.find(Select::Build(build(2))).await;
    assert_eq!(
        lines(&found.faults),
        [
            "failure huge.yaml: is too large: 100000018 bytes, and hikaru reads files of up to 16777216",
            "warning other.yaml: is too large: 100000020 bytes, and hikaru reads files of up to 16777216",
        ]
    );
    assert_eq!(found.workloads.len(), 1);
    assert!(peak() < 40_000, "{} kB", peak());
}

/// The most memory that this process ever had, in kB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words = line.into_iter().flat_map(str::split_whitespace);
    words
        .filter_map(|word| word.parse().ok())
        .next()
        .expect("a number")
}

#[tokio::test]
async fn what_is_no_regular_file_is_passed_over() {
    let scene = Scene::with(&[("good.yaml", &deployment("good", 1))]);
    std::os::unix::net::UnixListener::bind(scene.path("socket.yaml")).expect("a socket");
    let status = std::process::Command::new("mkfifo")
        .arg(scene.path("pipe.yaml"))
        .status();
    assert!(status.is_ok_and(|status| status.success()));
    std::fs::create_dir(scene.path("folder.yaml")).expect("a folder");
    let found = scene.find(Select::All).await;
    assert_eq!(
        lines(&found.faults),
        [
            "warning pipe.yaml: is no regular file: passed over",
            "warning socket.yaml: is no regular file: passed over",
        ]
    );
}

#[tokio::test]
async fn a_file_with_a_million_faults_is_said_in_a_hundred_lines() {
    let odd = format!("{}image: [acme/web\n", "a: [\n---\n".repeat(100_000));
    let scene = Scene::with(&[("good.yaml", &deployment("good", 1)), ("odd.yaml", &odd)]);
    let found = scene.find(Select::Build(build(2))).await;
    assert_eq!(found.workloads.len(), 1);
    let faults = lines(&found.faults);
    assert_eq!(faults.len(), 101);
    assert_eq!(
        faults[0],
        "warning odd.yaml:1:4: is no YAML: unclosed bracket '['"
    );
    // The last one holds the repository.
    assert_eq!(
        faults[100],
        "failure odd.yaml: 99901 more of its documents or objects cannot be read"
    );
}

#[tokio::test]
async fn a_name_that_is_no_text_is_said() {
    let scene = Scene::with(&[("good.yaml", &deployment("good", 1))]);
    for (name, text) in [
        (&b"w\xf6rks.yaml"[..], deployment("works", 1)),
        (b"w\xf6rse.yaml", "a: b\n".to_owned()),
    ] {
        let name = std::ffi::OsStr::from_bytes(name);
        std::fs::write(scene.path("").join(name), text).expect("written");
    }
    let found = scene.find(Select::Build(build(2))).await;
    assert_eq!(found.workloads.len(), 1);
    assert_eq!(
        lines(&found.faults),
        [
            "failure w\u{fffd}rks.yaml: is not read: its name is not UTF-8; rename it",
            "warning w\u{fffd}rse.yaml: is not read: its name is not UTF-8; rename it",
        ]
    );
}

#[tokio::test]
async fn how_bad_it_is_depends_on_what_was_asked_for() {
    let scene = Scene::with(&[
        ("good.yaml", &deployment("good", 1)),
        ("odd.yaml", "image: acme/web\na: [b\n"),
    ]);
    let named = |origin: &str| {
        let id = hikaru_core::WorkloadId::new("default", "Deployment", "x").at(origin);
        Select::Named(vec![id])
    };
    for (select, severity) in [
        (Select::Build(build(2)), "failure"),
        (Select::Near(build(2)), "failure"),
        (Select::Repository("docker.io/acme/web".into()), "failure"),
        (Select::Repository("docker.io/acme/other".into()), "warning"),
        (Select::All, "warning"),
        (named("odd.yaml#1"), "failure"),
        (named("good.yaml#1"), "warning"),
    ] {
        let found = scene.folder().find(&Scope::new(select)).await;
        let faults = lines(&found.expect("it is read").faults);
        assert_eq!(
            faults,
            [format!(
                "{severity} odd.yaml:2:4: is no YAML: unclosed bracket '['"
            )]
        );
    }
    let id = hikaru_core::WorkloadId::new("default", "Deployment", "x").at("odd.yaml#1");
    let read = scene.folder().read(&id).await;
    assert_eq!(
        read.map_err(|error| error.to_string()),
        Err("refused: odd.yaml:2:4: is no YAML: unclosed bracket '['".to_owned())
    );
}

#[test]
fn an_ignore_file_that_cannot_be_read_ends_the_call() {
    let careful = "nothing was done, for what it names must not be touched";
    for (file, text, expected) in [
        (
            ".hikaruignore",
            &b"old\n\na{b\n"[..],
            ".hikaruignore:3: is no pattern: error parsing glob 'a{b': unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
        ),
        (
            "a/.hikaruignore",
            b"old\nw\xf6rk\n",
            "a/.hikaruignore: cannot be read: it is not UTF-8",
        ),
        (
            ".hikaruignore",
            b"\xff\xfe",
            ".hikaruignore: is UTF-16: save it as UTF-8",
        ),
        (
            "a/b/.hikaruignore",
            b"closed",
            "a/b/.hikaruignore: cannot be read: Permission denied (os error 13)",
        ),
    ] {
        let web = deployment("web", 1);
        let scene = Scene::with(&[("good.yaml", &web), ("a/b/web.yaml", &web)]);
        scene.file(file, text);
        if text == b"closed" {
            mode(&scene.path(file), 0o000);
        }
        let scope = Scope::new(Select::All);
        let found = unprivileged(|| alone(scene.folder().find(&scope)));
        assert_eq!(
            found
                .map_err(|error| error.to_string())
                .map(|found| found.workloads.len()),
            Err(format!("refused: {expected}; {careful}"))
        );
    }
}
