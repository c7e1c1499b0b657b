//! What is read of objects, and what is said of those that cannot be.

use hikaru_core::{
    Container, IdentityLabels, TagFormats,
    workload::{Owner, Place, PodList, Progress, Setting, StraySetting},
};
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
    assert!(has_annotations(&seen.workload));
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
            assert!(!has_annotations(&seen.workload));
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

/// A pod of every list, of a kind that users added, and of one of Kubernetes.
#[test]
fn what_of_a_pod_names_an_image_is_read() {
    let pod = json!({"spec": {
        "containers": [{"image": "web:1"}, {"name": "side", "image": "side:1"}],
        "volumes": [{"name": "cache", "emptyDir": {}}, {"name": "assets", "image": {"reference": "web:1"}},
            {"name": "empty", "image": {}}, {"name": "null", "image": null}]}});
    let object = json!({"metadata": {"name": "web", "namespace": "shop",
            "labels": {"high-water.hikaru.dev/volume.assets": "1.4.0_1_00000000",
                "high-water.hikaru.dev/containers.0": "1.4.0_2_00000000"}},
        "spec": {"template": pod}})
    .to_string();
    let kinds = Kinds::with(&["serving.knative.dev/v1/Service=spec.template"
        .parse()
        .expect("a kind")]);
    let service = kinds.named("Service").expect("it was added");
    let seen = read(service, &keys(), &object).expect("an object");
    let mut nameless = Container::nameless(PodList::Containers, 0, "web:1");
    nameless.mark = Some("1.4.0_2_00000000".into());
    let mut side = Container::new("side", "side:1");
    side.position = 1;
    let mut assets = Container::volume("assets", "web:1");
    assets.position = 1;
    assets.mark = Some("1.4.0_1_00000000".into());
    assert_eq!(seen.workload.containers, [nameless, side, assets]);
    let odd = read(&kind("Deployment"), &keys(), &object).expect_err("malformed");
    assert!(
        odd.message.contains("containers[0] has no name"),
        "{}",
        odd.message
    );
    let near = Scope::new(Select::Repository("docker.io/library/web".into()));
    assert_eq!(odd.fault(&near).severity, Severity::Failure);
}

/// An added kind may use the name `volumes` for something else: only an image volume is read there.
#[test]
fn odd_volumes_hide_no_workload() {
    let kinds = Kinds::with(&["argoproj.io/v1alpha1/Rollout=spec.template"
        .parse()
        .expect("a kind")]);
    let rollout = kinds.named("Rollout").expect("it was added");
    let read_with = |volumes: Value| {
        let object = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": {"spec":
            {"containers": [{"name": "web", "image": "web:1"}], "volumes": volumes}}}});
        let seen = read(rollout, &keys(), &object.to_string());
        seen.map(|seen| {
            let containers = seen.workload.containers.into_iter();
            containers
                .map(|c| format!("{} {}", c.name, c.image))
                .collect()
        })
        .map_err(|odd| odd.message)
    };
    for volumes in [
        json!("all"),
        json!({"data": {"size": 7}}),
        json!(7),
        json!(null),
        json!([1, "x", null, {"name": 7}, {"image": "x"}, {"image": {}}, {"name": "a", "image": {"reference": null}}]),
    ] {
        let read: Result<Vec<String>, _> = read_with(volumes.clone());
        assert_eq!(read, Ok(vec!["web web:1".to_owned()]), "{volumes}");
    }
    let mixed = json!([7, {"name": "v", "image": {"reference": "web:2"}}]);
    let expected = ["web web:1", "volume v web:2"].map(str::to_owned);
    assert_eq!(read_with(mixed), Ok(expected.to_vec()));
    for (volumes, expected) in [
        (
            json!([{"image": {"reference": "a"}}]),
            "volumes[0] has no name",
        ),
        (
            json!([{"name": "v", "image": {"reference": 1.0}}]),
            "expected a string",
        ),
    ] {
        let words = read_with(volumes.clone()).expect_err("malformed");
        assert!(words.contains(expected), "{volumes}: {words}");
    }
}

#[test]
fn what_keeps_pods_back_and_settings_without_effect_are_read() {
    let check = |kind_name: &str, change: &dyn Fn(&mut Value), expected: &[Hindrance]| {
        let mut object = deployment();
        change(&mut object);
        let seen = read(&kind(kind_name), &keys(), &object.to_string()).expect("an object");
        assert_eq!(seen.workload.hindrances, expected, "{object}");
        seen.workload.stray_settings
    };
    check("Deployment", &|_| {}, &[]);
    let paused = |o: &mut Value| o["spec"]["paused"] = json!(true);
    check("Deployment", &paused, &[Hindrance::Paused]);
    let strategy =
        |strategy: Value| move |o: &mut Value| o["spec"]["updateStrategy"] = strategy.clone();
    let on_delete = strategy(json!({"type": "OnDelete"}));
    check("StatefulSet", &on_delete, &[Hindrance::OnDelete]);
    check("DaemonSet", &on_delete, &[Hindrance::OnDelete]);
    for (partition, expected) in [(0, &[][..]), (2, &[Hindrance::Partition(2)])] {
        let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}});
        check("StatefulSet", &strategy(rolling), expected);
    }
    let suspended = |o: &mut Value| o["spec"]["suspend"] = json!(true);
    check("CronJob", &suspended, &[Hindrance::Suspended]);
    let deleted =
        |o: &mut Value| o["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    check("Deployment", &deleted, &[Hindrance::Terminating]);

    let strays = check(
        "Deployment",
        &|o| {
            o["spec"]["template"]["metadata"] = json!({"labels": {"hikaru.dev/upgrade": "manual", "app": "web"},
                "annotations": {"hikaru.dev/constraint": "~1", "hikaru.dev/last-upgrade": "{}"}});
        },
        &[],
    );
    let stray = |place, key: &str, metadata: &str| StraySetting {
        place,
        key: key.into(),
        metadata: metadata.into(),
    };
    let template = "spec.template.metadata";
    assert_eq!(
        strays,
        [
            stray(Place::Label, "upgrade", template),
            stray(Place::Annotation, "constraint", template)
        ]
    );
    let strays = check(
        "CronJob",
        &|o| {
            let metadata = json!({"annotations": {"hikaru.dev/upgrade": "manual"}});
            o["spec"] = json!({"jobTemplate": {"metadata": metadata, "spec": {"template": {"metadata": metadata}}}});
        },
        &[],
    );
    let job = "spec.jobTemplate.metadata";
    let pod = "spec.jobTemplate.spec.template.metadata";
    assert_eq!(
        strays,
        [job, pod].map(|metadata| stray(Place::Annotation, "upgrade", metadata))
    );
}
