//! What is read of objects, and what is said of those that cannot be.

use hikaru_core::{Container, IdentityLabels, Owner, PodList, Progress, TagFormats};
use serde_json::{Value, json};

use super::*;
use crate::kind::Kinds;
use std::sync::Arc;

fn keys() -> IdentityKeys {
    IdentityKeys::default()
}

fn deployment() -> Value {
    json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 3,
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:x": {}}}],
            "labels": {"owner": "acme", "repo": "web", "branch": "main", "app": "web",
                "hikaru.dev/upgrade": "auto", "high-water.hikaru.dev/web": "1.4.0_1_00000000",
                "high-water.hikaru.dev/gone": "1.4.0_9_00000000"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Shop", "name": "main", "uid": "s", "controller": true}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{…}",
                "argocd.argoproj.io/tracking-id": "apps:apps/Deployment:shop/web",
                "hikaru.dev/constraint": "~1.4", "hikaru.dev/last-upgrade": "{}"},
        },
        "spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
            "volumes": [],
            "containers": [{"name": "none"}, {"name": "web", "image": "web:1", "env": [{"name": "x"}]}],
            "initContainers": [{"name": "migrate", "image": "web:0"}]}}},
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1},
    })
}

fn kind(name: &str) -> Arc<Kind> {
    let kinds = Kinds::with(&[]);
    kinds.named(name).expect("a kind").clone()
}

#[test]
fn what_the_rules_read_is_read() {
    let seen = read(&kind("Deployment"), &keys(), &deployment().to_string()).expect("an object");
    assert!(seen.annotated);
    assert_eq!(seen.resource_version, "7");
    let marks: Vec<_> = seen.marks.iter().map(|(c, v)| (&**c, &**v)).collect();
    assert_eq!(
        marks,
        [("gone", "1.4.0_9_00000000"), ("web", "1.4.0_1_00000000")]
    );
    let mut expected = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    expected.uid = "u".into();
    expected.labels = IdentityLabels::new("acme", "web", "main");
    expected.settings = vec![
        Setting::new(Place::Label, "upgrade", "auto"),
        Setting::new(Place::Annotation, "constraint", "~1.4"),
    ];
    let mut web = Container::new("web", "web:1");
    web.position = 1;
    web.mark = Some("1.4.0_1_00000000".into());
    let mut migrate = Container::new("migrate", "web:0");
    migrate.list = PodList::InitContainers;
    expected.containers = vec![web, migrate];
    expected.last_upgrade = Some("{}".into());
    expected.owner = Some(Owner::ArgoCd {
        application: Some("apps".into()),
    });
    let mut progress = Progress::default();
    (progress.generation, progress.observed, progress.desired) = (3, 3, 2);
    (progress.current, progress.updated, progress.available) = (2, 2, 1);
    expected.progress = Some(progress);
    assert_eq!(seen.workload, expected);
}

#[test]
fn what_is_absent_or_null_is_empty() {
    for object in [
        json!({"metadata": {"name": "web", "namespace": "shop"}}),
        json!({"metadata": {"name": "web", "namespace": "shop", "labels": null, "annotations": null},
            "spec": null, "status": null}),
        json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": null}}),
        json!({"metadata": {"name": "web", "namespace": "shop"},
            "spec": {"template": {"spec": {"containers": null}}}, "status": {"conditions": null}}),
    ] {
        for kind in Kinds::with(&[]).iter() {
            let seen = read(kind, &keys(), &object.to_string()).expect("an object");
            assert_eq!(seen.workload.containers, [], "{object}");
            assert!(!seen.annotated);
        }
    }
}

#[test]
fn a_cron_job_has_its_pod_deeper_and_no_rollout() {
    let pod = json!({"spec": {"containers": [{"name": "web", "image": "web:1"}]}});
    let object = json!({"metadata": {"name": "web", "namespace": "shop"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": pod}}},
        "status": {"active": []}});
    let seen = read(&kind("CronJob"), &keys(), &object.to_string()).expect("an object");
    assert_eq!(seen.workload.containers, [Container::new("web", "web:1")]);
    assert_eq!(seen.workload.progress, None);
}

#[test]
fn one_label_can_serve_for_two() {
    let keys = IdentityKeys {
        owner: "team/name".into(),
        repo: "app".into(),
        branch: "app".into(),
    };
    let object =
        json!({"metadata": {"name": "web", "labels": {"team/name": "acme", "app": "web"}}});
    let seen = read(&kind("Deployment"), &keys, &object.to_string()).expect("an object");
    assert_eq!(
        seen.workload.labels,
        IdentityLabels::new("acme", "web", "web")
    );
}

#[test]
fn a_malformed_object_is_named_and_weighed() {
    let mut object = deployment();
    object["metadata"]["labels"]["owner"] = json!({"x": 1});
    object["spec"]["template"]["spec"]["containers"][1]["image"] =
        json!("acme/web:acme_web_main_1.4.0_1_0123abcd");
    let odd = read(&kind("Deployment"), &keys(), &object.to_string()).expect_err("malformed");
    assert_eq!(odd.id, WorkloadId::new("shop", "Deployment", "web"));
    assert!(odd.message.contains("expected a string"), "{}", odd.message);
    let formats = TagFormats::default();
    let build = |image: &str| {
        let image = format!("{image}:acme_web_main_1.4.0_2_0123abcd");
        Build::parse(&image, &formats).expect("a build")
    };
    for (select, severity) in [
        (Select::Build(build("acme/web")), Severity::Failure),
        (Select::Build(build("acme/api")), Severity::Warning),
        (
            Select::Repository("docker.io/acme/web".into()),
            Severity::Failure,
        ),
        (Select::Named(vec![odd.id.clone()]), Severity::Failure),
        (Select::All, Severity::Warning),
    ] {
        let fault = odd.fault(&Scope::new(select.clone()));
        assert_eq!(fault.severity, severity, "{select:?}");
        assert_eq!(&*fault.place, "shop/Deployment/web");
    }
    let odd = read(&kind("Deployment"), &keys(), "[]").expect_err("malformed");
    assert_eq!(odd.id.to_string(), "?/Deployment/?");
}
