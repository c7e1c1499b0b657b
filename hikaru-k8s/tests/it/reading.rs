//! Which files of a folder are read, and in which order.

use hikaru_core::{
    Workload, WorkloadId,
    port::{Select, WorkloadPort as _},
    workload::IdentityKeys,
};
use hikaru_k8s::Folder;
use std::{fs, sync::Arc};

use super::scene::{Scene, alone, build, deployment, lines, mode, unprivileged};

#[tokio::test]
async fn all_manifests_below_the_folder_are_read_in_order() {
    let web = deployment("web", 1);
    let scene = Scene::with(&[
        ("b.yaml", &web),
        ("a/z.yml", &format!("{web}---\n# none\n---\n{web}")),
        (
            "a/b/c.json",
            r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "j"}}]}"#,
        ),
        ("a.yaml", &web),
        ("web#1.yaml", &web),
        ("notes.txt", &web),
        ("yaml", &web),
        ("values.yaml", "image: acme/web\n"),
        ("empty.yaml", ""),
    ]);
    assert_eq!(
        scene.origins().await,
        [
            "a.yaml#1",
            "a/b/c.json#1.1",
            "a/z.yml#1",
            "a/z.yml#3",
            "b.yaml#1",
            "web#1.yaml#1",
        ]
    );
    for workload in scene.find(Select::All).await.workloads {
        let read = scene.folder().read(&workload.id).await;
        assert_eq!(read, Ok(Some(Arc::unwrap_or_clone(workload))));
    }
}

#[tokio::test]
async fn some_files_are_passed_over() {
    let web = deployment("web", 1);
    let scene = Scene::with(&[
        ("../.hikaruignore", "*\n"),
        ("../.gitignore", "*\n"),
        (".gitignore", "*\n"),
        (".ignore", "*\n"),
        (
            ".hikaruignore",
            "# ours\n/old/\n*.draft.yaml\n!keep.draft.yaml\n",
        ),
        (".git/web.yaml", &web),
        (".web.yaml", &web),
        ("a/.hidden/web.yaml", &web),
        ("old/web.yaml", &web),
        ("a/old/web.yaml", &web),
        ("a/x.draft.yaml", &web),
        ("a/keep.draft.yaml", &web),
        ("a/.hikaruignore", "inner.yaml\n"),
        ("a/inner.yaml", &web),
        ("inner.yaml", &web),
        ("chart/Chart.yaml", "name: chart\n"),
        ("chart/values.yaml", "a: b\n"),
        ("chart/templates/web.yaml", "{{ broken\n"),
        ("chart/templates/deep/web.yaml", &web),
        ("chart/charts/sub/Chart.yaml", "name: sub\n"),
        ("chart/charts/sub/templates/web.yaml", &web),
        ("templates/web.yaml", &web),
    ]);
    assert_eq!(
        scene.origins().await,
        [
            ".web.yaml#1",
            "a/keep.draft.yaml#1",
            "a/old/web.yaml#1",
            "inner.yaml#1",
            "templates/web.yaml#1",
        ]
    );
    assert!(scene.find(Select::All).await.faults.is_empty());
    // A hidden folder that somebody names himself is no hidden folder.
    let hidden = Folder::open(scene.path(".git"), IdentityKeys::default()).expect("it opens");
    let workload = WorkloadId::new("default", "Deployment", "web").at("web.yaml#1");
    assert!(
        hidden
            .read(&workload)
            .await
            .is_ok_and(|found| found.is_some())
    );
}

#[tokio::test]
async fn symlinks_are_followed_but_never_out_of_the_folder() {
    let web = deployment("web", 1);
    let scene = Scene::with(&[
        ("real/web.yaml", &web),
        (".data/side.yaml", &web),
        ("../outside/web.yaml", &web),
    ]);
    scene.link("a-link.yaml", "real/web.yaml");
    scene.link("all", "real");
    scene.link("data", ".data");
    scene.link("again", ".data");
    scene.link("out", "../outside");
    scene.link("out.yaml", "../outside/web.yaml");
    scene.link("nowhere.yaml", "missing.yaml");
    scene.link("nowhere.txt", "missing");
    scene.link(".nowhere.yaml", "missing.yaml");
    scene.link("self.yaml", "self.yaml");
    scene.link("real/loop", "..");
    let found = scene.find(Select::All).await;
    assert_eq!(
        scene.origins().await,
        ["again/side.yaml#1", "real/web.yaml#1"]
    );
    let outside = fs::canonicalize(scene.path("../outside")).expect("it is there");
    let outside = outside.display();
    assert_eq!(
        lines(&found.faults),
        [
            "warning nowhere.yaml: is a symlink that leads nowhere: No such file or directory (os error 2)".to_owned(),
            format!("warning out: is a symlink that leaves the folder, to {outside}: not followed"),
            format!("warning out.yaml: is a symlink that leaves the folder, to {outside}/web.yaml: not followed"),
            "warning real/loop: is a symlink that leads back to .: not followed".to_owned(),
            "warning self.yaml: is a symlink that leads nowhere: Too many levels of symbolic links (os error 40)".to_owned(),
        ]
    );
    // What was a file of the folder yesterday may be a way out today.
    for origin in ["out.yaml#1", "../outside/web.yaml#1", "out/web.yaml#1"] {
        let id = WorkloadId::new("default", "Deployment", "web").at(origin);
        let read = scene.folder().read(&id).await.map_err(|e| e.to_string());
        let file = origin.trim_end_matches("#1");
        let expected =
            format!("not allowed: {file}: leads out of the folder, to {outside}/web.yaml");
        assert_eq!(read, Err(expected));
    }
}

#[tokio::test]
async fn a_folder_that_is_a_symlink_is_a_folder() {
    let scene = Scene::with(&[("../real/web.yaml", &deployment("web", 1))]);
    scene.link("link", "../real");
    let folder = Folder::open(scene.path("link"), IdentityKeys::default()).expect("it opens");
    let found = folder
        .find(&hikaru_core::port::Scope::new(Select::All))
        .await;
    assert_eq!(found.expect("it is read").workloads.len(), 1);
}

#[tokio::test]
async fn links_to_links_cost_no_more_than_the_folder_is_large() {
    let scene = Scene::with(&[("d00/web.yaml", &deployment("web", 1))]);
    // Two ways to each next one: 2^24 ways to the last, which would take minutes.
    for n in 1..24 {
        for way in ["a", "b"] {
            scene.link(&format!("d{n:02}/{way}"), &format!("../d{:02}", n - 1));
        }
    }
    assert_eq!(scene.origins().await, ["d00/web.yaml#1"]);
}

#[tokio::test]
async fn other_labels_can_make_the_identity() {
    let text = deployment("web", 1).replace("owner: acme", "acme.org/team: acme");
    let scene = Scene::with(&[("web.yaml", &text)]);
    assert!(
        scene
            .find(Select::Build(build(2)))
            .await
            .workloads
            .is_empty()
    );
    let keys = IdentityKeys {
        owner: "acme.org/team".into(),
        ..IdentityKeys::default()
    };
    let folder = Folder::open(scene.path(""), keys).expect("it opens");
    let scope = hikaru_core::port::Scope::new(Select::Build(build(2)));
    let found = folder.find(&scope).await.expect("it is read");
    assert_eq!(found.workloads.len(), 1);
}

#[tokio::test]
async fn the_same_workload_in_two_files_is_two_workloads() {
    let web = deployment("web", 1);
    let scene = Scene::with(&[("base/web.yaml", &web), ("overlay/web.yaml", &web)]);
    let found = scene.find(Select::Build(build(2))).await.workloads;
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].id, found[1].id);
    let named = scene.find(Select::Named(vec![found[1].id.clone()])).await;
    assert_eq!(named.workloads, [found[1].clone()]);
    // Without a file nobody knows which is meant.
    let read = scene
        .folder()
        .read(&WorkloadId::new("default", "Deployment", "web"))
        .await;
    assert_eq!(
        read.map_err(|error| error.to_string()),
        Err("refused: default/Deployment/web stands in several places: base/web.yaml#1, overlay/web.yaml#1".to_owned())
    );
    fs::remove_file(scene.path("base/web.yaml")).expect("it is there");
    let read = scene
        .folder()
        .read(&WorkloadId::new("default", "Deployment", "web"))
        .await;
    assert_eq!(read, Ok(Some(Workload::clone(&found[1]))));
}

#[tokio::test]
async fn what_is_not_there_is_not_read() {
    let scene = Scene::with(&[("web.yaml", &deployment("web", 1))]);
    for (name, origin) in [
        ("web", "web.yaml#2.1.x"),
        ("other", "web.yaml#1"),
        ("web", "missing.yaml#1"),
        ("web", "web.yaml/x.yaml#1"),
        ("web", "web.yaml"),
    ] {
        let id = WorkloadId::new("default", "Deployment", name).at(origin);
        let read = scene.folder().read(&id).await;
        // Where documents have moved, the one of that name is it.
        let there = name == "web" && origin.starts_with("web.yaml#");
        assert_eq!(
            read.map(|found| found.is_some()),
            Ok(there),
            "{name} at {origin}"
        );
    }
}

#[test]
fn a_folder_that_cannot_be_used_says_why() {
    let scene = Scene::with(&[("web.yaml", ""), ("closed/web.yaml", "")]);
    mode(&scene.path("closed"), 0o000);
    let open = |path: &str| {
        let path = scene.path(path);
        let opened = unprivileged(|| Folder::open(&path, IdentityKeys::default()).map(drop));
        let error = opened.expect_err("it must not open").to_string();
        error.replace(&scene.path("").display().to_string(), "")
    };
    assert_eq!(open("missing"), "there is no folder missing");
    assert_eq!(open("web.yaml"), "web.yaml is no folder");
    assert_eq!(open("web.yaml/x"), "web.yaml/x is no folder");
    assert_eq!(
        open("closed"),
        "the folder closed cannot be read: Permission denied (os error 13)"
    );
}

#[test]
fn what_the_system_does_not_let_us_read_is_a_failure_and_the_others_go_on() {
    let web = deployment("web", 1);
    let scene = Scene::with(&[
        ("a.yaml", &web),
        ("closed/web.yaml", &web),
        ("secret.yaml", &web),
        ("z.yaml", &web),
    ]);
    mode(&scene.path("closed"), 0o000);
    mode(&scene.path("secret.yaml"), 0o000);
    let found = unprivileged(|| alone(scene.find(Select::All)));
    assert_eq!(found.workloads.len(), 2);
    assert_eq!(
        lines(&found.faults),
        [
            "failure closed: cannot be read: Permission denied (os error 13)",
            "failure secret.yaml: cannot be read: Permission denied (os error 13)",
        ]
    );
    mode(&scene.path("closed"), 0o755);
}

#[tokio::test]
async fn an_empty_folder_has_no_workloads() {
    let found = Scene::new().find(Select::All).await;
    assert!(found.workloads.is_empty() && found.faults.is_empty());
}
