//! Texts that another reader could take for something else: kubectl reads YAML 1.1, hikaru reads YAML 1.2. What differs is
//! refused, and what hikaru writes is the same for both.

use hikaru_core::{
    Mode,
    jobs::{JobRequest, JobSource},
    port::{Scope, Select, WorkloadPort as _},
};

use super::scene::{Scene, build, deployment, lines, outcomes};

const JOB: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {note: NOTE}}
spec:
  template:
    # COMMENT
    spec:
      restartPolicy: Never
      containers: [{name: c, image: 'i:1', command: [sh, -c, \"a\\nb\"]}]
";

#[tokio::test]
async fn a_comment_that_hides_fields_is_not_written() {
    for end in ['\u{2028}', '\u{2029}', '\u{85}'] {
        let hidden = format!("# x{end}    hostNetwork: true");
        let scene = Scene::new();
        let text = JOB.replace("# COMMENT", &hidden);
        let request = JobRequest::new(JobSource::Yaml(text.as_str().into()));
        let created = scene.jobs().run(&request, Mode::Commit).await;
        created.expect("without its comments it is sound");
        let written = scene.text("migrate.job.yaml");
        assert!(!written.contains("hostNetwork"), "{written}");
        assert!(!written.contains(end), "{written}");
    }
}

#[tokio::test]
async fn a_value_that_holds_such_a_character_is_written_escaped() {
    for note in [
        "\"a\u{2028}b\"",
        "\"a\\Lb\"",
        "\"a\u{85}hostNetwork: true\"",
        "a\u{feff}b",
        "\"a\\x7fb\"",
        "{\"a\u{2029}\": b}",
    ] {
        let scene = Scene::new();
        let text = JOB.replace("NOTE", note);
        let request = JobRequest::new(JobSource::Yaml(text.as_str().into()));
        let created = scene.jobs().run(&request, Mode::Commit).await;
        created.expect(note);
        let written = scene.text("migrate.job.yaml");
        let odd = |c: char| !matches!(c, '\n' | ' '..='~');
        assert!(!written.contains(odd), "{written}");
        assert_eq!(
            scene
                .jobs()
                .list("default")
                .await
                .map(|list| list.jobs.len()),
            Ok(1)
        );
    }
}

#[tokio::test]
async fn a_manifest_that_kubectl_reads_otherwise_is_not_touched() {
    let web = deployment("web", 1);
    let merged = "x: &x\n  image: acme/other:1\n";
    for (text, expected) in [
        (
            web.replace("# the one", "# the one\u{2028}          image: acme/web:1"),
            "failure odd.yaml:10:30: the character U+2028 ends a line for kubectl, which would read something else here: remove it",
        ),
        (
            format!("# a\u{85}kind: Service\n{web}"),
            "failure odd.yaml:1:4: the character U+0085 ends a line for kubectl, which would read something else here: remove it",
        ),
        (
            "a: \"x\u{2029}\"\n".to_owned(),
            "warning odd.yaml:1:6: the character U+2029 ends a line for kubectl, which would read something else here: remove it",
        ),
        // The later one wins for kubectl, whatever it is.
        (
            format!("{merged}{web}          <<: *x\n"),
            "failure odd.yaml:13:11: Deployment web: the key image stands before a merge key << that brings it, too, and kubectl takes the merged one: put << first",
        ),
        (
            format!(
                "{merged}{}",
                web.replace("name: web # the one", "<<: *x\n          name: web")
            ),
            "",
        ),
        (format!("x: &x\n  tty: true\n{web}          <<: *x\n"), ""),
    ] {
        let scene = Scene::with(&[("odd.yaml", &text)]);
        let found = scene.find(Select::Build(build(2))).await;
        let expected: Vec<&str> = Some(expected)
            .into_iter()
            .filter(|e| !e.is_empty())
            .collect();
        assert_eq!(lines(&found.faults), expected, "{text}");
        let report = scene.post(2).await;
        assert_eq!(
            outcomes(&report).len(),
            usize::from(expected.is_empty()),
            "{text}"
        );
        if !expected.is_empty() {
            assert_eq!(scene.text("odd.yaml"), text);
        }
    }
}

#[tokio::test]
async fn patterns_that_are_read_otherwise_than_they_are_meant_end_the_call() {
    let web = deployment("web", 1);
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let lines = "holds a control character or the end of a line that is none here: write one pattern a line, lines ended by line feeds";
    for (patterns, expected) in [
        (
            utf16("web.yaml\n"),
            "is UTF-16: save it as UTF-8".to_owned(),
        ),
        (
            utf16("\u{feff}web.yaml\n"),
            "is UTF-16: save it as UTF-8".to_owned(),
        ),
        (
            b"# x\nweb\xff\n".to_vec(),
            "cannot be read: it is not UTF-8".to_owned(),
        ),
        (b"old.yaml\rweb.yaml\r".to_vec(), format!("line 1 {lines}")),
        (
            "# ours\nold.yaml\u{2028}web.yaml\n".into(),
            format!("line 2 {lines}"),
        ),
        ("# ours\n\u{85}web.yaml\n".into(), format!("line 2 {lines}")),
    ] {
        let scene = Scene::with(&[("web.yaml", &web)]);
        scene.file(".hikaruignore", &patterns);
        let found = scene.folder().find(&Scope::new(Select::All)).await;
        let error = found.expect_err(&expected).to_string();
        assert_eq!(
            error,
            format!(
                "refused: .hikaruignore: {expected}; nothing was done, for what it names must not be touched"
            )
        );
    }
    let scene = Scene::with(&[
        ("web.yaml", &web),
        (".hikaruignore", "\u{feff}web.yaml\r\n"),
    ]);
    assert!(scene.origins().await.is_empty());
}

#[tokio::test]
async fn a_text_of_another_encoding_is_named_by_it() {
    let web = deployment("odd", 1);
    let units = |text: &str, big: bool| -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })
            .collect()
    };
    let chars = |text: &str, big: bool| -> Vec<u8> {
        text.chars()
            .map(u32::from)
            .flat_map(|c| {
                if big {
                    c.to_be_bytes()
                } else {
                    c.to_le_bytes()
                }
            })
            .collect()
    };
    for mark in ["\u{feff}", ""] {
        for big in [true, false] {
            for (severity, text) in [
                ("failure", web.clone()),
                ("warning", web.replace("acme/web", "acme/xyz")),
            ] {
                let text = format!("{mark}{text}");
                for (encoding, bytes) in
                    [("UTF-16", units(&text, big)), ("UTF-32", chars(&text, big))]
                {
                    let scene = Scene::with(&[("good.yaml", &deployment("good", 1))]);
                    scene.file("odd.yaml", &bytes);
                    let report = scene.post(2).await;
                    assert_eq!(outcomes(&report), ["good.yaml#1 good upgrade"]);
                    let expected = format!("{severity} odd.yaml: is {encoding}: save it as UTF-8");
                    assert_eq!(lines(&report.faults), [expected]);
                    assert_eq!(report.has_failures(), severity == "failure");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_large_text_of_another_encoding_is_searched_too() {
    let spaces = " ".repeat(9 * 1024 * 1024);
    for (repository, severity) in [("acme/web", "failure"), ("acme/xyz", "warning")] {
        let text = format!("{spaces}\nimage: {repository}:1\n{spaces}");
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let scene = Scene::new();
        scene.file("odd.yaml", &bytes);
        let found = scene.find(Select::Build(build(2))).await;
        let said = lines(&found.faults);
        let expected = format!("{severity} odd.yaml: is too large: ");
        assert!(
            said.len() == 1 && said[0].starts_with(&expected),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn names_of_files_are_shown_escaped() {
    let scene = Scene::with(&[("a\nerror: b.yaml", "image: [acme/web\n")]);
    let found = scene.find(Select::Build(build(2))).await;
    assert_eq!(
        lines(&found.faults),
        ["failure a\\nerror: b.yaml:1:8: is no YAML: unclosed bracket '['"]
    );
}
