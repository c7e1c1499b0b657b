//! JSON objects one after the other in one file, as kubectl takes them, and kinds that are not looked at.

use hikaru_core::TagFormats;
use hikaru_k8s::{Folder, FolderSettings};

use super::scene::{Scene, deployment, image, lines, outcomes};

fn json(name: &str, n: u64) -> String {
    format!(
        r#"{{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {{"name": "{name}", "labels": {{"owner": "acme", "repo": "web", "branch": "main"}}}}, "spec": {{"template": {{"spec": {{"containers": [{{"name": "web", "image": "{}"}}]}}}}}}}}"#,
        image(n)
    )
}

#[tokio::test]
async fn json_objects_one_after_the_other_are_documents() {
    let text = |n| {
        format!(
            "\u{feff}\r\n{}\n{}{}\n\n{}\t\n",
            json("s1", n),
            json("s2", n),
            r#"{"kind": "ConfigMap", "data": {"a": "} {"}}"#,
            json("s4", n)
        )
    };
    for file in ["all.json", "all.yaml"] {
        let scene = Scene::with(&[(file, &text(1))]);
        let report = scene.post(2).await;
        let expected = [(1, "s1"), (2, "s2"), (4, "s4")];
        let expected = expected.map(|(n, name)| format!("{file}#{n} {name} upgrade"));
        assert_eq!(outcomes(&report), expected);
        assert_eq!(lines(&report.faults), Vec::<String>::new());
        assert_eq!(scene.text(file), text(2));
    }
}

#[tokio::test]
async fn places_in_later_objects_are_those_of_the_file() {
    let odd = json("s3", 1).replace(r#""name": "web""#, r#""name": 7"#);
    let text = format!(
        "{}\n{} {odd}\n{}",
        json("s1", 1),
        json("s2", 1),
        json("s4", 1)
    );
    let scene = Scene::with(&[("all.json", &text)]);
    let report = scene.post(2).await;
    let column = 1 + text
        .lines()
        .nth(1)
        .and_then(|line| line.find("7"))
        .expect("it is there");
    assert_eq!(
        lines(&report.faults),
        [format!(
            "failure all.json:2:{column}: Deployment s3: containers[0].name must be a string, found the number 7: quote it"
        )]
    );
    assert_eq!(report.entries.len(), 3);
    // What is no JSON is read as YAML, from there on.
    let broken = format!(
        "{}\n{}\n{{\"a\": [}}\n---\n{}",
        json("s1", 1),
        json("s2", 1),
        json("s4", 1)
    );
    let scene = Scene::with(&[("all.json", &broken)]);
    let report = scene.post(2).await;
    assert_eq!(report.entries.len(), 3);
    assert_eq!(report.faults.len(), 1);
    assert!(
        report.faults[0].place.starts_with("all.json:3:"),
        "{:?}",
        report.faults
    );
    // YAML that looks like JSON at first.
    let flow = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}\n---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: other}}\n";
    let scene = Scene::with(&[("a.yaml", flow)]);
    assert_eq!(scene.origins().await, ["a.yaml#1", "a.yaml#2"]);
}

const ROLLOUT: &str = "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: r
  labels: {owner: acme, repo: web, branch: main}
spec:
  template:
    spec:
      containers: [{name: web, image: 'acme/web:acme_web_main_1.4.0_1_0123abcd'}]
";

#[tokio::test]
async fn an_object_that_is_not_upgraded_is_named() {
    let added =
        "and HIKARU_KINDS=argoproj.io/v1alpha1/Rollout=spec.template would make hikaru look at it";
    let once = "and is not upgraded: hikaru upgrades no Jobs and no bare Pods";
    let job = ROLLOUT
        .replace("argoproj.io/v1alpha1", "batch/v1")
        .replace("Rollout", "Job");
    let pod = ROLLOUT
        .replace("argoproj.io/v1alpha1", "v1")
        .replace("Rollout", "Pod")
        .replace("  template:\n    spec:\n      ", "  ");
    let post = |expected: String| Some((expected.clone(), expected));
    let way = |text: &str| {
        let indented = text.replace(
            "  template:\n    spec:\n      ",
            "  job:\n    podTemplate:\n      spec:\n        ",
        );
        assert_ne!(indented, text);
        indented
    };
    for (text, expected) in [
        (ROLLOUT.to_owned(), post(format!("Rollout r (r.yaml#1) has the labels and the image, {added}"))),
        (
            format!("apiVersion: v1\nkind: List\nitems:\n- {}", ROLLOUT.trim_end().replace('\n', "\n  ")),
            post(format!("Rollout r (r.yaml#1.1) has the labels and the image, {added}")),
        ),
        (
            way(ROLLOUT),
            post(format!(
                "Rollout r (r.yaml#1) has the labels and the image, {}",
                added.replace("spec.template", "spec.job.podTemplate")
            )),
        ),
        // One of Kubernetes' names cannot be added.
        (
            ROLLOUT.replace("argoproj.io/v1alpha1", "apps.kruise.io/v1beta1").replace("Rollout", "StatefulSet"),
            post("StatefulSet r (r.yaml#1) has the labels and the image, but hikaru looks at no StatefulSet of apps.kruise.io/v1beta1".to_owned()),
        ),
        // Another label: only who asks for the image wants to know.
        (
            ROLLOUT.replace("branch: main", "branch: dev"),
            Some((String::new(), format!("Rollout r (r.yaml#1) has the labels and the image, {added}"))),
        ),
        (
            ROLLOUT.replace(", branch: main", ""),
            Some((String::new(), format!("Rollout r (r.yaml#1) has the image, {added}"))),
        ),
        (ROLLOUT.replace("acme/web:", "acme/other:"), None),
        // What runs once concerns hikaru only if it has the labels.
        (job.clone(), post(format!("Job r (r.yaml#1) has the labels and the image, {once}"))),
        (pod.clone(), post(format!("Pod r (r.yaml#1) has the labels and the image, {once}"))),
        (
            job.replace("branch: main", "branch: dev"),
            Some((String::new(), format!("Job r (r.yaml#1) has the labels and the image, {once}"))),
        ),
        (job.replace(", branch: main", ""), None),
        (pod.replace(", branch: main", ""), None),
        (pod.replace("acme/web:", "acme/other:"), None),
        ("kind: Rollout\nspec: acme/web\n".to_owned(), None),
    ] {
        let scene = Scene::with(&[("r.yaml", &text)]);
        let (of_post, of_find) = expected.unwrap_or_default();
        let line = |words: &str| -> Vec<String> {
            let words = Some(words).filter(|words| !words.is_empty());
            words.map(|words| format!("warning r.yaml: {words}")).into_iter().collect()
        };
        let report = scene.post(2).await;
        assert!(report.nothing_matched() && !report.has_failures());
        assert_eq!(lines(&report.faults), line(&of_post), "{text}");
        let (folder, formats) = (scene.folder(), TagFormats::default());
        let users = hikaru_core::upgrade::find(&folder, "acme/web", &formats).await;
        let users = users.expect("it is read");
        assert_eq!(lines(&users.faults), line(&of_find), "{text}");
        assert_eq!(scene.text("r.yaml"), text);
    }
    // Added, it is looked at.
    let scene = Scene::with(&[("r.yaml", ROLLOUT)]);
    let mut settings = FolderSettings::default();
    let kind = "argoproj.io/v1alpha1/Rollout=spec.template".parse();
    settings.kinds = vec![kind.expect("a kind")];
    let folder = Folder::open(scene.path(""), settings).expect("it opens");
    let report = super::scene::post(&folder, 2, hikaru_core::Mode::Commit).await;
    assert_eq!(outcomes(&report), ["r.yaml#1 r upgrade"]);
    assert_eq!(lines(&report.faults), Vec::<String>::new());
}

#[tokio::test]
async fn a_document_that_is_a_list_of_workloads_is_named() {
    let item = |text: &str| format!("- {}\n", text.trim_end().replace('\n', "\n  "));
    let web = deployment("web", 1);
    let message = "the document is a list, which kubectl does not take: expected objects with `---` between them, or a `kind: \
                   List` with these as its `items`";
    for (text, expected) in [
        (item(&web), Some("failure odd.yaml:1:1")),
        (
            format!(
                "# two\n---\n- kind: Service\n  apiVersion: v1\n{}",
                item(&web)
            ),
            Some("failure odd.yaml:3:1"),
        ),
        (
            item(&web.replace("acme/web", "acme/xyz")),
            Some("warning odd.yaml:1:1"),
        ),
        ("- kind: Service\n  apiVersion: v1\n".to_owned(), None),
        (
            "- acme/web\n- {kind: Deployment of acme/web}\n".to_owned(),
            None,
        ),
    ] {
        let scene = Scene::with(&[("odd.yaml", &text), ("web.yaml", &web)]);
        let report = scene.post(2).await;
        assert_eq!(outcomes(&report), ["web.yaml#1 web upgrade"]);
        let expected: Vec<String> = expected
            .into_iter()
            .map(|place| format!("{place}: {message}"))
            .collect();
        assert_eq!(lines(&report.faults), expected, "{text}");
        assert_eq!(scene.text("odd.yaml"), text);
    }
}
