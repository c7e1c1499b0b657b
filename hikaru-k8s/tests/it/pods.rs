//! What of a pod is upgraded in a folder beside its named containers, and what is said of a workload there.

use hikaru_core::{
    Mode, Request,
    port::{Select, WorkloadPort as _},
    upgrade,
    upgrade::Outcome,
};
use hikaru_k8s::{Folder, FolderSettings};

use super::scene::{Scene, build, deployment, image, lines, outcomes};

/// The warnings on all workloads of a report, in their order.
fn warnings(report: &hikaru_core::upgrade::Report) -> Vec<String> {
    let entries = report.entries.iter();
    let warnings = entries.flat_map(|reported| reported.entry.warnings.iter());
    warnings.map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_image_volume_is_upgraded_with_its_pod() {
    let volumes = format!(
        "      volumes:\n        - name: web\n          image: {{reference: '{0}', pullPolicy: Always}} # files\n        - name: \
         cache\n          emptyDir: {{}}\n        - {{name: other, image: {{reference: \"acme/other:1\"}}}}\n",
        image(1)
    );
    let text = deployment("web", 1) + &volumes;
    let scene = Scene::with(&[("web.yaml", &text)]);
    let repository = Select::Repository("docker.io/acme/other".into());
    assert_eq!(scene.find(repository).await.workloads.len(), 1);
    let report = scene.post(2).await;
    assert_eq!(outcomes(&report), ["web.yaml#1 web upgrade,upgrade"]);
    let told = report.entries[0].entry.workload.containers.iter();
    let told: Vec<&str> = told.map(|container| &*container.name).collect();
    assert_eq!(told, ["web", "volume web", "volume other"]);
    assert_eq!(scene.text("web.yaml"), text.replace(&image(1), &image(2)));

    // A mark that somebody wrote is honored, and told by its place.
    let hash = hikaru_core::policy::Mark::hash_of(
        &build(1).repository(),
        &hikaru_core::image::Reading::new(Some("acme"), Some("web"), Some("main")),
    );
    let marked = format!("branch: main, high-water.hikaru.dev/volume.web: 1.4.0_9_{hash:08x}");
    let text = text.replace("branch: main", &marked);
    scene.file("web.yaml", &text);
    let report = scene.post(8).await;
    assert_eq!(outcomes(&report), ["web.yaml#1 web upgrade,held"]);
    let name = "default/deployment/web".parse().expect("a name");
    let folder = scene.folder();
    let refused = folder.unhold(&name, Some("volume web".into()));
    let refused = refused.await.expect_err("no file is changed").to_string();
    assert!(
        refused.contains("web.yaml:5:") && refused.ends_with("high-water.hikaru.dev/volume.web"),
        "{refused}"
    );
}

/// Volumes are looked at for images alone: a template among them hides nothing.
#[tokio::test]
async fn odd_volumes_hide_no_workload() {
    for volumes in [
        "{{ toYaml .Values.volumes }}",
        "[1, {image: x}, {image: {}}, {name: a}]",
        "~",
    ] {
        let text = format!("{}      volumes: {volumes}\n", deployment("web", 1));
        let scene = Scene::with(&[("web.yaml", &text)]);
        let report = scene.post(2).await;
        assert_eq!(outcomes(&report), ["web.yaml#1 web upgrade"], "{volumes}");
    }
    for (volumes, expected) in [
        ("[{image: {reference: a}}]", "volumes[0] has no name"),
        (
            "[{name: v, image: {reference: a}}, {name: v, image: {reference: b}}]",
            "two volumes have the name v",
        ),
        (
            "[{name: v, image: {reference: 1.0}}]",
            "the image of volume v must be a string, found the number 1.0: quote it",
        ),
    ] {
        let text = format!("{}      volumes: {volumes}\n", deployment("web", 1));
        let scene = Scene::with(&[("web.yaml", &text)]);
        let found = lines(&scene.find(Select::All).await.faults);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{volumes}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_container_of_an_added_kind_needs_no_name() {
    let service = deployment("hello", 1)
        .replace("apps/v1", "serving.knative.dev/v1")
        .replace("Deployment", "Service")
        .replace("- name: web # the one\n          image", "- image");
    let scene = Scene::with(&[("ksvc.yaml", &service)]);
    let kind = "serving.knative.dev/v1/Service=spec.template";
    let mut settings = FolderSettings::default();
    settings.kinds = vec![kind.parse().expect("a kind")];
    let folder = Folder::open(scene.path(""), settings).expect("it opens");
    let report = upgrade(
        &folder,
        &hikaru_k8s::SystemClock::default(),
        Request::new(build(2)),
        Mode::Commit,
    )
    .await;
    let report = report.expect("a report");
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
    let containers = &report.entries[0].entry.workload.containers;
    assert_eq!(&*containers[0].name, "containers[0]");
    assert_eq!(
        scene.text("ksvc.yaml"),
        service.replace(&image(1), &image(2))
    );

    // Kubernetes' own kinds need one.
    let deployment =
        deployment("web", 1).replace("- name: web # the one\n          image", "- image");
    let scene = Scene::with(&[("web.yaml", &deployment)]);
    let found = lines(&scene.find(Select::All).await.faults);
    assert!(
        found.len() == 1 && found[0].contains("containers[0] has no name"),
        "{found:?}"
    );
}

#[tokio::test]
async fn what_keeps_pods_back_and_settings_without_effect_are_told() {
    let web = |spec: &str, template: &str| {
        let text = deployment("web", 1).replace(
            "spec:\n  template:\n",
            &format!("spec:\n{spec}  template:\n{template}"),
        );
        Scene::with(&[("web.yaml", &text)])
    };
    for (spec, template, expected) in [
        ("", "", &[][..]),
        ("  paused: true\n", "", &["its rollout is paused"]),
        ("  paused: \"true\"\n  suspend: off\n", "", &[]),
        ("  suspend: yes\n", "", &["it is suspended"]),
        (
            "  updateStrategy: {type: OnDelete}\n",
            "",
            &["its update strategy is OnDelete"],
        ),
        (
            "  updateStrategy: {rollingUpdate: {partition: 3}}\n",
            "",
            &["its update strategy has the partition 3"],
        ),
        ("  updateStrategy: {{ .Values.strategy }}\n", "", &[]),
        (
            "",
            "    metadata: {labels: {hikaru.dev/upgrade: manual}, annotations: {hikaru.dev/x: y, other: z}}\n",
            &[
                "the label hikaru.dev/upgrade has no effect in spec.template.metadata",
                "the annotation hikaru.dev/x has no effect in spec.template.metadata",
            ],
        ),
        ("", "    metadata: {labels: {{ include }}}\n", &[]),
    ] {
        let report = web(spec, template).post(2).await;
        assert_eq!(
            outcomes(&report),
            ["web.yaml#1 web upgrade"],
            "{spec}{template}"
        );
        let found = warnings(&report);
        let told = |expected: &[&str]| {
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(found, expected)| found.starts_with(expected))
        };
        assert!(told(expected), "{spec}{template}: {found:?}");
    }
}
