//! How files are written: the image's bytes and nothing else, in one step, and never over what
//! somebody else has written meanwhile.

use hikaru_core::{
    Mode, Request, plan,
    policy::Change,
    port::{ClusterError, Scope, Select, WorkloadPort as _},
};
use hikaru_k8s::Folder;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::scene::{
    Scene, alone, build, deployment, image, lines, mode, outcomes, post, unprivileged,
};

/// The changes that a post of build `n` makes of what stands there now.
async fn changes(folder: &Folder, n: u64) -> Vec<Change> {
    let scope = Scope::new(Select::Build(build(n)));
    let found = folder.find(&scope).await.expect("it is read");
    let plan = plan(Request::new(build(n)), found.workloads);
    plan.entries
        .into_iter()
        .filter_map(|entry| entry.change)
        .collect()
}

#[tokio::test]
async fn only_the_images_change() {
    let crlf = deployment("crlf", 1).replace('\n', "\r\n");
    let many = format!(
        "\u{feff}# größer\n{}---\n{}---\n{}",
        deployment("a", 1),
        deployment("b", 3),
        deployment("c", 1).trim_end()
    );
    let list = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n\t{0}, {0}]}}",
        r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"j","labels":{"owner":"acme","repo":"web","branch":"main"}},"spec":{"template":{"spec":{"containers":[{"image":"IMAGE","name":"web"}],"initContainers":[{"image":"IMAGE","name":"init"}]}}}}"#
    )
    .replace("IMAGE", &image(1));
    let other = deployment("other", 1).replace("branch: main", "branch: dev");
    let scene = Scene::with(&[
        ("crlf.yaml", &crlf),
        ("many.yaml", &many),
        ("list.json", &list),
        ("other.yaml", &other),
    ]);
    let report = scene.post(2).await;
    assert_eq!(
        outcomes(&report),
        [
            "many.yaml#1 a upgrade",
            "many.yaml#2 b obsolete",
            "many.yaml#3 c upgrade",
            "crlf.yaml#1 crlf upgrade",
            "list.json#1.1 j upgrade,upgrade",
            "list.json#1.2 j upgrade,upgrade",
        ]
    );
    let upgraded = |text: &str| text.replace(&image(1), &image(2));
    assert_eq!(scene.text("crlf.yaml"), upgraded(&crlf));
    assert_eq!(scene.text("many.yaml"), upgraded(&many));
    assert_eq!(scene.text("list.json"), upgraded(&list));
    assert_eq!(scene.text("other.yaml"), other);
    assert_eq!(
        scene.names(""),
        ["crlf.yaml", "list.json", "many.yaml", "other.yaml"]
    );
    // Once more changes nothing, and writes nothing.
    let inode = |path: &str| fs::metadata(scene.path(path)).expect("there").ino();
    let before = inode("crlf.yaml");
    let report = scene.post(2).await;
    assert!(outcomes(&report).contains(&"crlf.yaml#1 crlf equal".to_owned()));
    assert_eq!(inode("crlf.yaml"), before);
    // No mark is written, and one that is there is honored.
    let marked = upgraded(&crlf).replace(
        "branch: main",
        "branch: main, high-water.hikaru.dev/web: 1.4.0_9_b4e0c6a5",
    );
    let hash = hikaru_core::policy::Mark::hash_of(
        &build(1).repository(),
        &hikaru_core::image::Reading::new(Some("acme"), Some("web"), Some("main")),
    );
    scene.file(
        "crlf.yaml",
        marked.replace("b4e0c6a5", &format!("{hash:08x}")),
    );
    let report = scene.post(8).await;
    assert!(outcomes(&report).contains(&"crlf.yaml#1 crlf held".to_owned()));
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let scene = Scene::with(&[("web.yaml", &deployment("web", 1))]);
    let times = || {
        let time = |path: &str| {
            let metadata = fs::metadata(scene.path(path)).expect("there");
            (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
        };
        (time("web.yaml"), time(""))
    };
    let before = times();
    let report = post(&scene.folder(), 2, Mode::DryRun).await;
    assert_eq!(outcomes(&report), ["web.yaml#1 web upgrade"]);
    assert!(!report.has_failures());
    assert_eq!(times(), before);
    assert_eq!(scene.text("web.yaml"), deployment("web", 1));
}

#[tokio::test]
async fn mode_and_owner_are_kept() {
    let scene = Scene::with(&[
        ("a.yaml", &deployment("a", 1)),
        ("b.yaml", &deployment("b", 1)),
    ]);
    mode(&scene.path("a.yaml"), 0o640);
    mode(&scene.path("b.yaml"), 0o444);
    let root = rustix::process::geteuid().is_root();
    if root {
        // Only root can give files away.
        let given = std::os::unix::fs::chown(scene.path("a.yaml"), Some(65_534), Some(65_533));
        given.expect("root may");
    }
    assert!(!scene.post(2).await.has_failures());
    let metadata = |path: &str| fs::metadata(scene.path(path)).expect("there");
    assert_eq!(metadata("a.yaml").permissions().mode() & 0o7777, 0o640);
    assert_eq!(metadata("b.yaml").permissions().mode() & 0o7777, 0o444);
    if root {
        assert_eq!(metadata("a.yaml").uid(), 65_534);
        assert_eq!(metadata("a.yaml").gid(), 65_533);
    }
}

#[tokio::test]
async fn the_target_of_a_symlink_is_written_and_the_link_stays() {
    let scene = Scene::with(&[(".data/web.yaml", &deployment("web", 1))]);
    scene.link("web.yaml", ".data/web.yaml");
    let report = scene.post(2).await;
    assert_eq!(outcomes(&report), ["web.yaml#1 web upgrade"]);
    assert!(scene.path("web.yaml").is_symlink());
    assert_eq!(scene.text(".data/web.yaml"), deployment("web", 2));
}

#[tokio::test]
async fn a_link_that_was_bent_out_of_the_folder_is_not_written() {
    let web = deployment("web", 1);
    let scene = Scene::with(&[("real.yaml", &web), ("../outside.yaml", &web)]);
    let folder = scene.folder();
    let changes = changes(&folder, 2).await;
    fs::remove_file(scene.path("real.yaml")).expect("there");
    scene.link("real.yaml", "../outside.yaml");
    let written = folder.write(&changes[0], Mode::Commit).await;
    assert!(
        matches!(&written, Err(ClusterError::Forbidden(why)) if why.starts_with("real.yaml: leads out of the folder, to ")),
        "{written:?}"
    );
    assert_eq!(scene.text("../outside.yaml"), web);
}

#[tokio::test]
async fn what_changed_between_reading_and_writing_is_judged_again() {
    let scene = Scene::with(&[
        ("newer.yaml", &deployment("newer", 1)),
        ("edited.yaml", &deployment("edited", 1)),
        ("gone.yaml", &deployment("gone", 1)),
        ("manual.yaml", &deployment("manual", 1)),
        (
            "moved.yaml",
            &format!("{}---\n{}", deployment("first", 1), deployment("moved", 1)),
        ),
        ("broken.yaml", &deployment("broken", 1)),
        ("relabeled.yaml", &deployment("relabeled", 1)),
    ]);
    let folder = scene.folder();
    let scope = Scope::new(Select::Build(build(2)));
    let found = folder.find(&scope).await.expect("it is read");
    let plan = plan(Request::new(build(2)), found.workloads);

    let edited = format!(
        "# mine\n{}# mine too\n",
        deployment("edited", 1).replace("template:", "replicas: 3\n  template:")
    );
    scene.file("edited.yaml", &edited);
    scene.file("newer.yaml", deployment("newer", 3));
    fs::remove_file(scene.path("gone.yaml")).expect("there");
    let manual = deployment("manual", 1).replace("{owner", "{hikaru.dev/upgrade: manual, owner");
    scene.file("manual.yaml", &manual);
    let moved = format!(
        "# new\n---\n{}---\n{}",
        deployment("first", 1),
        deployment("moved", 1)
    );
    scene.file("moved.yaml", &moved);
    scene.file("broken.yaml", "a: [b\n");
    scene.file(
        "relabeled.yaml",
        deployment("relabeled", 1).replace("branch: main", "branch: dev"),
    );

    let report = hikaru_core::upgrade::apply(
        &folder,
        &hikaru_k8s::SystemClock::default(),
        plan,
        Mode::Commit,
    )
    .await;
    assert_eq!(
        outcomes(&report),
        [
            "broken.yaml#1 broken refused: broken.yaml:1:4: is no YAML: unclosed bracket '['",
            "edited.yaml#1 edited upgrade",
            "moved.yaml#1 first upgrade",
            "gone.yaml#1 gone there is no default/Deployment/gone",
            "manual.yaml#1 manual manual",
            "moved.yaml#2 moved upgrade",
            "newer.yaml#1 newer obsolete",
        ]
    );
    assert_eq!(
        lines(&report.faults),
        [
            "warning default/Deployment/relabeled: no longer matches: it was relabeled, or its image replaced, while the call was under way"
        ]
    );
    assert_eq!(
        scene.text("edited.yaml"),
        edited.replace(&image(1), &image(2))
    );
    assert_eq!(scene.text("newer.yaml"), deployment("newer", 3));
    assert_eq!(scene.text("manual.yaml"), manual);
    assert_eq!(
        scene.text("moved.yaml"),
        moved.replace(&image(1), &image(2))
    );
    assert_eq!(scene.text("broken.yaml"), "a: [b\n");
}

#[tokio::test]
async fn documents_that_moved_are_found_by_their_name() {
    let (a, b) = (deployment("a", 1), deployment("b", 1));
    let scene = Scene::with(&[("web.yaml", &format!("{a}---\n{b}"))]);
    let folder = scene.folder();
    let all = changes(&folder, 2).await;
    // Each stands where the other was.
    scene.file("web.yaml", format!("{b}---\n{a}"));
    for change in &all {
        let written = folder.write(change, Mode::Commit).await;
        assert_eq!(written, Err(ClusterError::Stale));
        let now = folder.read(&change.judged().id).await.expect("it is read");
        let now = now.expect("it is there");
        assert_eq!(now.id.name, change.judged().id.name);
        assert_ne!(now.id.origin, change.judged().id.origin);
    }
    assert!(!scene.post(2).await.has_failures());
    let expected = format!("{}---\n{}", deployment("b", 2), deployment("a", 2));
    assert_eq!(scene.text("web.yaml"), expected);
}

#[tokio::test]
async fn an_image_by_alias_or_merge_is_refused_and_the_others_go_on() {
    let alias = deployment("alias", 1).replace("image: ", "image: &shared ");
    let alias = format!(
        "{alias}        - {{name: side, image: *shared}}\n---\n{}",
        deployment("fine", 1)
    );
    let merge = format!(
        "x: &c {{image: '{}'}}\n{}",
        image(1),
        deployment("merge", 1).replace(&format!("image: {}", image(1)), "<<: *c")
    );
    let scene = Scene::with(&[("alias.yaml", &alias), ("merge.yaml", &merge)]);
    for mode in [Mode::DryRun, Mode::Commit] {
        let report = post(&scene.folder(), 2, mode).await;
        assert_eq!(
            outcomes(&report),
            [
                "alias.yaml#1 alias refused: alias.yaml:11:26: the image of container web was not written: the anchored value at line 11, column 26 is used elsewhere too and would change there; write the other one out",
                "alias.yaml#2 fine upgrade",
                "merge.yaml#1 merge refused: merge.yaml:1:15: the image of container web was not written: it comes by the merge key << at line 12, column 11; give the container an image of its own",
            ]
        );
    }
    let (refused, fine) = alias.split_once("---").expect("two documents");
    let fine = fine.replace(&image(1), &image(2));
    assert_eq!(scene.text("alias.yaml"), format!("{refused}---{fine}"));
    assert_eq!(scene.text("merge.yaml"), merge);
}

#[test]
fn a_folder_that_cannot_be_written_to_says_why_and_keeps_its_files() {
    let scene = Scene::with(&[
        ("closed/web.yaml", &deployment("web", 1)),
        ("open/web.yaml", &deployment("web", 1)),
    ]);
    mode(&scene.path("closed"), 0o555);
    mode(&scene.path("open"), 0o777);
    for mode in [Mode::DryRun, Mode::Commit] {
        let report = unprivileged(|| alone(post(&scene.folder(), 2, mode)));
        assert_eq!(
            outcomes(&report),
            [
                "closed/web.yaml#1 web not allowed: closed/web.yaml: cannot be written: Permission denied (os error 13)",
                "open/web.yaml#1 web upgrade",
            ]
        );
    }
    assert_eq!(scene.text("closed/web.yaml"), deployment("web", 1));
    assert_eq!(scene.text("open/web.yaml"), deployment("web", 2));
    assert_eq!(scene.names("closed"), ["web.yaml"]);
    mode(&scene.path("closed"), 0o755);
}

/// Two hikarus (and their threads) post many builds to one file with many workloads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_writers_never_lose_each_others_work() {
    const WORKLOADS: usize = 20;
    const BUILDS: u64 = 12;
    let text: String = (0..WORKLOADS)
        .map(|n| format!("# {n}\n{}---\n", deployment(&format!("web-{n:02}"), 0)))
        .collect();
    let scene = Scene::with(&[("all.yaml", &text)]);
    // Two folders share nothing but the file system, as two processes would.
    let folders = [scene.folder(), scene.folder()];
    let posts = (1..=BUILDS).flat_map(|n| folders.iter().map(move |folder| (folder.clone(), n)));
    let tasks: Vec<_> = posts
        .map(|(folder, n)| tokio::spawn(async move { post(&folder, n, Mode::Commit).await }))
        .collect();
    // A reader sees a whole file at each moment.
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let now = scene.text("all.yaml");
                assert!(now.ends_with("---\n"));
                assert_eq!(now.matches("image: acme/web:").count(), WORKLOADS);
            }
        });
        tokio::task::block_in_place(|| {
            let runtime = tokio::runtime::Handle::current();
            for task in tasks {
                let report = runtime.block_on(task).expect("it ends");
                // Others may have been faster five times in a row; repeating the call is safe.
                for line in outcomes(&report) {
                    let safe = ["upgrade", "equal", "obsolete", "contended"];
                    assert!(safe.iter().any(|code| line.contains(code)), "{line}");
                }
            }
        });
        done.store(true, Ordering::Relaxed);
    });
    scene.post(BUILDS).await;
    assert_eq!(
        scene.text("all.yaml"),
        text.replace(&image(0), &image(BUILDS))
    );
    assert_eq!(scene.names(""), ["all.yaml"]);
}

#[tokio::test]
async fn a_write_waits_for_the_lock_of_another_program() {
    let scene = Scene::with(&[("web.yaml", &deployment("web", 1))]);
    let locked = fs::File::open(scene.path("web.yaml")).expect("there");
    locked.lock().expect("a lock");
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        locked.unlock().expect("unlocked");
    });
    let start = Instant::now();
    let report = scene.post(2).await;
    assert_eq!(outcomes(&report), ["web.yaml#1 web upgrade"]);
    assert!(start.elapsed() >= Duration::from_millis(250));
    thread.join().expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_does_not_hold_up_a_post_to_another_file() {
    let scene = Scene::with(&[
        ("a.yaml", &deployment("a", 1)),
        ("b.yaml", &deployment("b", 1)),
    ]);
    let folder = scene.folder();
    let post = |name: &str| {
        let folder = folder.clone();
        let mut request = Request::new(build(2));
        let name = format!("default/deployment/{name}");
        request.workloads = vec![name.parse().expect("a name")];
        async move {
            let clock = hikaru_k8s::SystemClock::default();
            hikaru_core::upgrade(&folder, &clock, request, Mode::Commit).await
        }
    };
    let locked = fs::File::open(scene.path("a.yaml")).expect("there");
    locked.lock().expect("a lock");
    let waits = tokio::spawn(post("a"));
    let report = post("b").await.expect("a report");
    assert_eq!(outcomes(&report), ["b.yaml#1 b upgrade"]);
    assert_eq!(scene.text("a.yaml"), deployment("a", 1));
    locked.unlock().expect("unlocked");
    let report = waits.await.expect("it ends").expect("a report");
    assert_eq!(outcomes(&report), ["a.yaml#1 a upgrade"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_workloads_in_one_file_are_not_written_one_by_one() {
    let text: String = (0..1_000)
        .map(|n| format!("{}---\n", deployment(&format!("web-{n}"), 1)))
        .collect();
    let scene = Scene::with(&[("all.yaml", &text)]);
    // Each write puts a new file in the place of the old one. A busy machine sees fewer of them, never more.
    let (path, over) = (scene.path("all.yaml"), AtomicBool::new(false));
    let inode = || fs::metadata(&path).map(|file| file.ino()).ok();
    let (report, seen) = std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                seen.extend(inode());
            }
            seen
        });
        let report = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(scene.post(2))
        });
        over.store(true, Ordering::Relaxed);
        (report, looks.join().expect("it looks"))
    });
    assert_eq!(report.entries.len(), 1_000);
    assert!(!report.has_failures());
    assert_eq!(scene.text("all.yaml"), text.replace(&image(1), &image(2)));
    assert!(seen.len() < 50, "{} files", seen.len());
}
