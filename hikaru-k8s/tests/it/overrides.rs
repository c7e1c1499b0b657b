//! Kustomize, Flux and Argo CD decide which image runs: nothing is written that would have no effect, and each place is named.

use hikaru_core::{Mode, TagFormats, Workload, port::Select};

use super::scene::{Scene, build, deployment, image, lines, outcomes, post};

/// A list of images with one rule, as Kustomize and Flux write it.
fn images(rule: &str) -> String {
    format!("images:\n- {{name: acme/web, {rule}}}\n")
}

/// Runs build 1 as written; posts build 2 to these files beside it.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut all = vec![("web.yaml", deployment("web", 1))];
    all.extend(files.iter().map(|(file, text)| (*file, (*text).to_owned())));
    let all: Vec<(&str, &str)> = all.iter().map(|(f, t)| (*f, t.as_str())).collect();
    let scene = Scene::with(&all);
    for mode in [Mode::DryRun, Mode::Commit] {
        let report = runtime.block_on(post(&scene.folder(), 2, mode));
        assert_eq!(outcomes(&report), expected, "{files:?}");
        assert_eq!(lines(&report.faults), Vec::<String>::new());
    }
    let upgraded = expected == ["web.yaml#1 web upgrade"];
    let written = deployment("web", if upgraded { 2 } else { 1 });
    assert_eq!(scene.text("web.yaml"), written, "{files:?}");
}

const OVERRIDDEN: &[&str] = &["web.yaml#1 web overridden"];
const UPGRADE: &[&str] = &["web.yaml#1 web upgrade"];
const EQUAL: &[&str] = &["web.yaml#1 web equal"];

#[test]
fn the_images_of_a_kustomize_file_hold_for_what_it_includes() {
    let pinned = images("newTag: v1");
    let of = |more: &str| format!("{pinned}{more}");
    let own = of("resources: [web.yaml]\n");
    for name in ["kustomization.yaml", "kustomization.yml", "Kustomization"] {
        check(&[(name, &own)], OVERRIDDEN);
    }
    let digest = images(&format!("digest: \"sha256:{}\"", "ab".repeat(32)));
    check(
        &[(
            "kustomization.yaml",
            &format!("{digest}bases: [./web.yaml]\n"),
        )],
        OVERRIDDEN,
    );
    check(
        &[(
            "kustomization.yaml",
            &format!("{}resources: [web.yaml]\n", images("tagSuffix: -x")),
        )],
        OVERRIDDEN,
    );
    // From an overlay, by a base, by a component.
    let base = ("kustomization.yaml", "resources: [web.yaml]\n");
    let overlay = |more: &str| format!("{pinned}{more}");
    check(
        &[
            base,
            ("prod/kustomization.yaml", &overlay("resources: [..]\n")),
        ],
        OVERRIDDEN,
    );
    check(
        &[
            base,
            ("prod/kustomization.yaml", &overlay("bases: [../]\n")),
        ],
        OVERRIDDEN,
    );
    let component = format!("kind: Component\n{pinned}");
    check(
        &[
            base,
            ("pin/kustomization.yaml", &component),
            (
                "prod/kustomization.yaml",
                "resources: [..]\ncomponents: [../pin]\n",
            ),
        ],
        OVERRIDDEN,
    );
    // What it does not include, what it says of other images, and what it leaves as it is.
    check(
        &[("kustomization.yaml", &of("resources: [other.yaml]\n"))],
        UPGRADE,
    );
    let other = "resources: [web.yaml]\nimages: [{name: acme/other, newTag: v1}, {name: web, newTag: v1}]\n";
    check(&[("kustomization.yaml", other)], UPGRADE);
    check(&[base], UPGRADE);
    let renamed = format!(
        "{}resources: [web.yaml]\n",
        images("newName: mirror.example/web")
    );
    check(&[("kustomization.yaml", &renamed)], UPGRADE);
    // An ignored one does not count, as nothing does that is named there.
    check(
        &[
            ("kustomization.yaml", &own),
            (".hikaruignore", "kustomization.yaml\n"),
        ],
        UPGRADE,
    );
    // Ways that lead nowhere, out of the folder, or in a circle.
    let odd = of("resources: [web.yaml, missing.yaml, ../../x, 'https://example.com/x', .]\n");
    check(&[("kustomization.yaml", &odd)], OVERRIDDEN);
}

/// As `kubectl kustomize` makes it of the same files, but that kustomize 5.5 adds each suffix twice.
#[tokio::test]
async fn the_rules_of_a_component_hold_for_what_was_included_before_it() {
    let component = |name: &str, more: &str| {
        format!(
            "kind: Component\nresources: [web.yaml]\n{more}images: [{{name: acme/web, tagSuffix: -{name}}}]\n"
        )
    };
    let of = |name: &str| deployment(name, 1).replace(&image(1), "acme/web:1");
    let scene = Scene::with(&[
        ("base/web.yaml", &of("base")),
        ("base/kustomization.yaml", "resources: [web.yaml]\n"),
        ("one/web.yaml", &of("one")),
        ("one/kustomization.yaml", &component("one", "")),
        ("two/web.yaml", &of("two")),
        (
            "two/kustomization.yaml",
            &component("two", "components: [../inner]\n"),
        ),
        ("inner/web.yaml", &of("inner")),
        ("inner/kustomization.yaml", &component("inner", "")),
        (
            "prod/kustomization.yaml",
            "resources: [../base]\ncomponents: [../one, ../two]\nimages: [{name: acme/web, tagSuffix: -prod}]\n",
        ),
    ]);
    let found = scene.find(Select::All).await.workloads;
    let images: Vec<String> = found
        .iter()
        .map(|workload| {
            let overridden = &workload.containers[0].overridden;
            let images: Vec<&str> = overridden.iter().map(|other| &*other.image).collect();
            format!("{} {}", workload.id.name, images.join(" "))
        })
        .collect();
    assert_eq!(
        images,
        [
            "base acme/web:1-one-inner-two-prod",
            "inner acme/web:1-inner-two-prod",
            "one acme/web:1-one-inner-two-prod",
            "two acme/web:1-inner-two-prod",
        ]
    );
}

/// Newer versions of Kustomize replace images of volumes, older ones do not.
#[tokio::test]
async fn an_image_volume_that_a_kustomization_names_is_overridden() {
    let volume = deployment("web", 1).replace(
        "      containers:\n",
        &format!(
            "      volumes: [{{name: v, image: {{reference: '{}'}}}}]\n      containers:\n",
            image(1)
        ),
    );
    let scene = Scene::with(&[
        ("web.yaml", &volume),
        (
            "kustomization.yaml",
            "resources: [web.yaml]\nimages: [{name: acme/web, newTag: v1}]\n",
        ),
    ]);
    let report = scene.post(2).await;
    assert_eq!(outcomes(&report), ["web.yaml#1 web overridden,overridden"]);
}

#[test]
fn where_the_posted_build_comes_out_everywhere_it_is_equal() {
    let tag = "newTag: acme_web_main_1.4.0_2_0123abcd";
    let posted = format!("{}resources: [web.yaml]\n", images(tag));
    check(&[("kustomization.yaml", &posted)], EQUAL);
    // An outer rule has the last word.
    let overlay = |rule: &str| format!("{}resources: [..]\n", images(rule));
    check(
        &[
            ("kustomization.yaml", &posted),
            ("prod/kustomization.yaml", &overlay("newTag: v1")),
        ],
        OVERRIDDEN,
    );
    let base = format!("{}resources: [web.yaml]\n", images("newTag: v1"));
    check(
        &[
            ("kustomization.yaml", &base),
            ("prod/kustomization.yaml", &overlay(tag)),
        ],
        EQUAL,
    );
    // Of two overlays one does not say it, or leaves it as it is written.
    let plain = ("kustomization.yaml", "resources: [web.yaml]\n");
    let prod = overlay(tag);
    for staging in [overlay("newTag: v1"), "resources: [..]\n".to_owned()] {
        check(
            &[
                plain,
                ("prod/kustomization.yaml", &prod),
                ("staging/kustomization.yaml", &staging),
            ],
            OVERRIDDEN,
        );
    }
}

#[test]
fn flux_and_argo_cd_decide_too() {
    let flux = |path: &str| {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: web}}\nspec:\n  path: {path}\n  images: [{{name: acme/web, newTag: v1}}]\n"
        )
    };
    let argo = |spec: &str, more: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application{more}\nmetadata: {{name: web}}\nspec: {{{spec}}}\n"
        )
    };
    for path in ["./", ".", "/", "''"] {
        check(&[("flux/web.yaml", &flux(path))], OVERRIDDEN);
    }
    check(&[("flux.yaml", &flux("./apps"))], UPGRADE);
    check(
        &[
            ("flux.yaml", &flux("./apps")),
            ("apps/kustomization.yaml", "resources: [../web.yaml]\n"),
        ],
        OVERRIDDEN,
    );
    // Without a Kustomize file all below the path counts, and a Kustomize file below it for what it includes.
    check(
        &[
            ("flux.yaml", &flux(".")),
            ("apps/kustomization.yaml", "resources: [../web.yaml]\n"),
        ],
        OVERRIDDEN,
    );
    let source = "source: {path: ., kustomize: {images: [acme/web:v1]}}";
    check(&[("argo.yaml", &argo(source, ""))], OVERRIDDEN);
    let sources =
        "sources: [{path: other}, {path: ., kustomize: {images: ['acme/web=acme/web:v1']}}]";
    check(&[("argo.yaml", &argo(sources, ""))], OVERRIDDEN);
    check(
        &[(
            "argo.yaml",
            &argo(&format!("template: {{spec: {{{source}}}}}"), "Set"),
        )],
        OVERRIDDEN,
    );
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}",
        argo(source, "").trim_end().replace('\n', "\n  ")
    );
    check(&[("argo.yaml", &list)], OVERRIDDEN);
    check(
        &[(
            ".argocd-source-web.yaml",
            "kustomize: {images: [acme/web:v1]}\n",
        )],
        OVERRIDDEN,
    );
    check(&[("argo.yaml", &argo("source: {path: .}", ""))], UPGRADE);
    // Another group's kind.
    check(
        &[("flux.yaml", &flux(".").replace("fluxcd.io", "example.com"))],
        UPGRADE,
    );
}

#[tokio::test]
async fn the_place_is_named_and_a_placeholder_is_seen() {
    let placeholder = deployment("web", 1).replace(&image(1), "web");
    let scene = Scene::with(&[
        ("base/web.yaml", &placeholder),
        ("base/kustomization.yaml", "resources: [web.yaml]\n"),
        (
            "prod/kustomization.yaml",
            "# prod\nresources: [../base]\nimages:\n- name: web\n  newName: acme/web\n  newTag: acme_web_main_1.3.0_6_51c0ffee\n",
        ),
    ]);
    let report = scene.post(2).await;
    let entry = &report.entries[0].entry;
    assert_eq!(
        entry.containers[0].reason,
        "prod/kustomization.yaml:4:3 decides which image runs: acme/web:acme_web_main_1.3.0_6_51c0ffee; hikaru does not edit that: write the posted image there"
    );
    assert_eq!(scene.text("base/web.yaml"), placeholder);
    // Read alone it is the same.
    let found = scene.find(Select::Build(build(2))).await.workloads;
    let read = hikaru_core::port::WorkloadPort::read(&scene.folder(), &found[0].id).await;
    assert_eq!(read, Ok(Some(Workload::clone(&found[0]))));
    // Who uses an image: what comes out, not what is written.
    for (image, expected) in [
        ("acme/web", 1),
        ("acme/web:acme_web_main_1.3.0_6_51c0ffee", 1),
        ("web", 0),
    ] {
        let (folder, formats) = (scene.folder(), TagFormats::default());
        let users = hikaru_core::upgrade::find(&folder, image, &formats).await;
        let users = users.expect("it is read");
        assert_eq!(users.namespaces.len(), expected, "{image}");
    }
}

#[tokio::test]
async fn an_upgrade_beside_an_overridden_container_is_written() {
    let two =
        deployment("web", 1) + "        - name: side\n          image: docker.io/acme/web:1\n";
    let scene = Scene::with(&[
        ("web.yaml", &two),
        (
            "kustomization.yaml",
            "resources: [web.yaml]\nimages: [{name: docker.io/acme/web, newTag: '1'}]\n",
        ),
    ]);
    let report = scene.post(2).await;
    assert_eq!(outcomes(&report), ["web.yaml#1 web upgrade,overridden"]);
    assert_eq!(scene.text("web.yaml"), two.replace(&image(1), &image(2)));
}

#[tokio::test]
async fn an_odd_kustomize_file_is_named() {
    let web = deployment("web", 1);
    let odd = |text: &'static str| [("k/kustomization.yaml", text), ("web.yaml", web.as_str())];
    for (text, expected) in [
        (
            "images: [{name: acme/web, newTag: 1.4}]\n",
            "failure k/kustomization.yaml:1:35: images[0].newTag must be a string, found the number 1.4: quote it",
        ),
        (
            "images: {name: other}\n",
            "warning k/kustomization.yaml:1:9: images must be a list, found a map",
        ),
        (
            "images: [{newTag: '1'}]\n",
            "warning k/kustomization.yaml:1:10: images[0] has no name: {newTag: '1'}",
        ),
        (
            "resources: web.yaml # acme/web\n",
            "failure k/kustomization.yaml:1:12: resources must be a list, found the text \"web.yaml\"",
        ),
    ] {
        let scene = Scene::with(&odd(text));
        let report = scene.post(2).await;
        assert_eq!(lines(&report.faults), [expected]);
        assert_eq!(outcomes(&report), ["web.yaml#1 web upgrade"]);
    }
    let scene = Scene::with(&[
        ("Kustomization", "images: [\n# acme/web\n"),
        ("web.yaml", &web),
    ]);
    let report = scene.post(2).await;
    assert_eq!(
        lines(&report.faults),
        ["failure Kustomization:1:9: is no YAML: unclosed bracket '['"]
    );
}

#[tokio::test]
async fn kustomize_files_that_include_one_another_without_end_end_the_call() {
    let web = deployment("web", 1);
    let scene = Scene::with(&[("web.yaml", &web)]);
    let pinned = images("newTag: v1");
    for n in 0..200 {
        let text = format!("{pinned}resources: [../k{}, ../web.yaml]\n", n + 1);
        scene.file(&format!("k{n}/kustomization.yaml"), text);
    }
    let request = hikaru_core::Request::new(build(2));
    let ended = hikaru_core::upgrade(
        &scene.folder(),
        &hikaru_k8s::SystemClock::default(),
        request,
        Mode::Commit,
    )
    .await;
    let error = ended.expect_err("it must not go on").to_string();
    assert_eq!(
        error,
        "refused: k101: Kustomize files include one another more than 100 deep: nothing was done, for nobody knows which images come out"
    );
    // Two ways to each next one: 2^40 ways to the last.
    let scene = Scene::with(&[("web.yaml", &web)]);
    for n in 0..40 {
        for way in ["a", "b"] {
            let next = n + 1;
            let text = format!("{pinned}resources: [../a{next}, ../b{next}, ../web.yaml]\n");
            scene.file(&format!("{way}{n}/kustomization.yaml"), text);
        }
    }
    ends_the_call(&scene, "both").await;
    assert_eq!(scene.text("web.yaml"), web);
    // The same where no way leads to a manifest: by components, and by resources.
    for field in ["components", "resources"] {
        let scene = Scene::with(&[("web.yaml", &web)]);
        for n in 0..40 {
            let next = n + 1;
            let text = format!("{field}: [../c{next}, ../d{next}]\n");
            scene.file(&format!("c{n}/kustomization.yaml"), &text);
            scene.file(&format!("d{n}/kustomization.yaml"), &text);
        }
        ends_the_call(&scene, field).await;
    }
}

/// An upgrade ends with the sentence on too many ways.
async fn ends_the_call(scene: &Scene, what: &str) {
    let request = hikaru_core::Request::new(build(2));
    let ended = hikaru_core::upgrade(
        &scene.folder(),
        &hikaru_k8s::SystemClock::default(),
        request,
        Mode::Commit,
    )
    .await;
    let error = ended.expect_err("it must not go on").to_string();
    assert!(
        error.contains("in more than 200000 ways: nothing was done"),
        "{what}: {error}"
    );
}
