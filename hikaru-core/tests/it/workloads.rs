//! What names a workload, when its rollout is done, and what a change to it says of its containers.

use hikaru_core::{
    Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
    workload::{IdentityKeys, Place, Progress, Setting, WorkloadName, check_namespace},
};

#[test]
fn a_workload_is_named_by_namespace_kind_and_name() {
    let name: WorkloadName = "shop/deployment/web".parse().expect("a name");
    assert_eq!(&**name.namespace(), "shop");
    assert_eq!(&**name.kind(), "Deployment");
    assert_eq!(&**name.name(), "web");
    assert_eq!(name.to_string(), "shop/Deployment/web");
    for (namespace, kind, other, named) in [
        ("shop", "Deployment", "web", true),
        ("prod", "Deployment", "web", false),
        ("shop", "StatefulSet", "web", false),
        ("shop", "Deployment", "api", false),
        ("prod", "StatefulSet", "api", false),
    ] {
        let id = WorkloadId::new(namespace, kind, other);
        assert_eq!(name.names(&id), named, "{id}");
    }
}

#[test]
fn a_kind_may_be_written_as_kubectl_takes_it() {
    for (kind, forms) in [
        (
            "Deployment",
            ["deployment", "deployments", "deploy", "Deploy"],
        ),
        ("StatefulSet", ["statefulset", "statefulsets", "sts", "STS"]),
        ("DaemonSet", ["daemonset", "DaemonSets", "ds", "DS"]),
        ("CronJob", ["cronjob", "cronjobs", "cj", "CronJobs"]),
    ] {
        for form in forms {
            let name: WorkloadName = format!("shop/{form}/web").parse().expect("a name");
            assert_eq!(&**name.kind(), kind, "{form}");
            assert_eq!(name.check_kind(&[]), Ok(()), "{form}");
        }
    }
    let rollout: WorkloadName = "shop/rollout/web".parse().expect("a name");
    assert_eq!(&**rollout.kind(), "rollout");
    assert_eq!(rollout.check_kind(&["Rollout".into()]), Ok(()));
    let expected = "expected one of the kinds Deployment (deploy), StatefulSet (sts), DaemonSet (ds), CronJob (cj), Job, \
                    found `rollout`";
    let unknown = rollout
        .check_kind(&["Job".into()])
        .map_err(|e| e.to_string());
    assert_eq!(unknown, Err(expected.to_owned()));
}

#[test]
fn what_names_no_workload_says_why() {
    let parts = |found: &str| format!("expected NAMESPACE/KIND/NAME, found {found}");
    let name = |what: &str, rest: &str| {
        format!(
            "expected a {what} of lower-case letters, digits, {rest}, a letter or digit first and last, found "
        )
    };
    let namespace = |found: &str| name("namespace", "`-`, at most 63 bytes") + found;
    let named = |found: &str| name("name", "`-` or `.`, at most 253 bytes") + found;
    let kind = |found: &str| format!("expected a kind such as Deployment, found {found}");
    for (text, expected) in [
        ("shop/web", parts("`shop/web`")),
        ("shop/Deployment/web/x", parts("`shop/Deployment/web/x`")),
        ("Shop/Deployment/web", namespace("`Shop`")),
        ("-shop/Deployment/web", namespace("`-shop`")),
        ("shop-/Deployment/web", namespace("`shop-`")),
        ("sh_op/Deployment/web", namespace("`sh_op`")),
        ("shop.a/Deployment/web", namespace("`shop.a`")),
        ("/Deployment/web", namespace("the end")),
        ("shop//web", kind("the end")),
        ("shop/Deploy ment/web", kind("`Deploy ment`")),
        ("shop/Deployment/", named("the end")),
        ("shop/Deployment/a..b", named("`a..b`")),
        ("shop/Deployment/a.-b", named("`a.-b`")),
        ("shop/Deployment/a_b", named("`a_b`")),
    ] {
        let found = text.parse::<WorkloadName>().map_err(|e| e.to_string());
        assert_eq!(found, Err(expected), "{text}");
    }
    for text in ["sh-op/apps1/web-1.2", "1/a/1"] {
        assert!(text.parse::<WorkloadName>().is_ok(), "{text}");
    }
}

#[test]
fn names_may_be_as_long_as_kubernetes_lets_them() {
    for (longest, named) in [(63, "{}/a/b"), (253, "a/b/{}")] {
        for length in [longest, longest + 1] {
            let text = named.replace("{}", &"x".repeat(length));
            let read = text.parse::<WorkloadName>().is_ok();
            assert_eq!(read, length == longest, "{length}");
        }
    }
    assert!(check_namespace(&"x".repeat(63)).is_ok());
    assert!(check_namespace(&"x".repeat(64)).is_err());
    assert!(check_namespace("shop/web").is_err());
}

#[test]
fn metadata_says_identity_settings_marks_and_the_last_upgrade() {
    let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    web.containers.push(Container::new("web", "acme/web"));
    web.containers.push(Container::new("proxy", "nginx"));
    let mut keys = IdentityKeys {
        branch: "acme.example/branch".into(),
        ..IdentityKeys::default()
    };
    let last = r#"{"at":"2026-11-24T12:00:00Z","previous":{"web":"acme/web"}}"#;
    web.read_metadata(
        &keys,
        [
            ("app", "web"),
            ("owner", "acme"),
            ("repo", "web"),
            ("branch", "not this one"),
            ("acme.example/branch", "main"),
            ("hikaru.dev/upgrade", "manual"),
            ("hikaru.dev/last-upgrade", "no annotation, so nothing"),
            ("high-water.hikaru.dev/web", "1.4.0_7_d5ecc80e"),
            ("high-water.hikaru.dev/gone", "1.4.0_8_d5ecc80e"),
        ],
        [
            ("owner", "no label, so nothing"),
            ("high-water.hikaru.dev/proxy", "no label, so nothing"),
            ("hikaru.dev/constraint", "~1.4"),
            ("hikaru.dev/last-upgrade", last),
            ("example.com/hikaru.dev/upgrade", "auto"),
        ],
    );
    assert_eq!(web.labels, IdentityLabels::new("acme", "web", "main"));
    let settings = [
        Setting::new(Place::Label, "upgrade", "manual"),
        Setting::new(Place::Annotation, "constraint", "~1.4"),
    ];
    assert_eq!(web.settings, settings);
    let marks = web.containers.iter().map(|c| c.mark.as_deref());
    assert_eq!(marks.collect::<Vec<_>>(), [Some("1.4.0_7_d5ecc80e"), None]);
    assert_eq!(web.last_upgrade.as_deref(), Some(last));
    // One label may serve for two of them.
    keys.branch = keys.owner.clone();
    web.read_metadata(&keys, [("owner", "both")], []);
    assert_eq!(web.labels, IdentityLabels::new("both", "web", "both"));
}

#[test]
fn a_rollout_is_done_when_nothing_of_it_is_missing() {
    let mut done = Progress::default();
    (done.generation, done.observed) = (2, 2);
    (done.desired, done.current, done.updated, done.available) = (3, 3, 3, 3);
    let check = |what: &str, change: fn(&mut Progress), expected: bool| {
        let mut progress = done;
        change(&mut progress);
        assert_eq!(progress.is_complete(), expected, "{what}");
    };
    check("as it is", |_| (), true);
    check("observed ahead", |p| p.observed = 3, true);
    check("scaled down", |p| p.desired = 2, true);
    check("to be observed", |p| p.generation = 3, false);
    check("given up", |p| p.deadline_exceeded = true, false);
    check("to be updated", |p| p.desired = 4, false);
    check("old ones left", |p| p.current = 4, false);
    check("to be available", |p| p.available = 2, false);
}

#[test]
fn an_edit_says_which_container_it_is_for() {
    let mut pod = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    pod.labels = IdentityLabels::new("acme", "web", "main");
    for (name, image) in [
        ("proxy", "nginx"),
        ("web", "acme/web"),
        ("migrate", "acme/web"),
    ] {
        pod.containers.push(Container::new(name, image));
    }
    let build = Build::parse(
        "acme/web:acme_web_main_1.4.0_7_none",
        &TagFormats::default(),
    );
    let plan = plan(Request::new(build.expect("a build")), [pod]);
    let change = plan.entries[0].change.as_ref().expect("a change");
    let edited: Vec<_> = change.edits().iter().map(|edit| edit.container()).collect();
    assert_eq!(edited, [1, 2]);
    let names: Vec<_> = change.edited().map(|(c, _)| &*c.name).collect();
    assert_eq!(names, ["web", "migrate"]);
    let entry = &plan.entries[0];
    let judged = entry
        .containers
        .iter()
        .map(|judged| entry.container(judged));
    let judged: Vec<_> = judged.map(|c| c.map(|c| &*c.name)).collect();
    assert_eq!(judged, [Some("web"), Some("migrate")]);
}
