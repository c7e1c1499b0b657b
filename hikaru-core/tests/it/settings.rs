//! What the values of settings may be: names of containers, pre-releases in a constraint.

use hikaru_core::{
    Workload, WorkloadId,
    policy::{RequiredRollout, Rules},
    workload::{Place, Setting},
};

use crate::verdicts::runs;

#[test]
fn containers_are_named_as_kubernetes_names_them() {
    let on = |names: &str| {
        runs("acme/web:acme_web_main_1.4.0_8_0123abcd").annotation("containers", names)
    };
    let obsolete = "obsolete: runs 1.4.0_8, higher than the posted 1.4.0_7";
    on("web").gives(obsolete);
    on("web, my-proxy").gives(&format!(
        "{obsolete} (hikaru.dev/containers names my-proxy, but there is no such container)"
    ));
    on("web,0").gives(&format!(
        "{obsolete} (hikaru.dev/containers names 0, but there is no such container)"
    ));
    for names in [
        "",
        "web,",
        "web,-proxy",
        "web,proxy-",
        "web,my_proxy",
        "web,my.proxy",
        "web,Proxy",
    ] {
        on(names).gives(&format!(
            "unreadable-setting: the annotation hikaru.dev/containers is \"{names}\": expected names of containers, \
             separated by commas"
        ));
    }
}

/// Semver refuses leading zeros in a pre-release, our grammar does not: a number is compared as a number.
#[test]
fn a_constraint_compares_numbers_of_a_pre_release_as_numbers() {
    for (constraint, prerelease, inside) in [
        (">=1.5.0-rc.0", "rc.0", true),
        (">=1.5.0-rc.0", "rc.000", true),
        (">=1.5.0-rc.1", "rc.0", false),
        (">=1.5.0-rc.2", "rc.02", true),
        (">=1.5.0-rc.3", "rc.02", false),
        (">=1.5.0-0a", "0a", true),
        (">=1.5.0-a", "0a", false),
    ] {
        let outside = format!(
            "constraint: 1.5.0-{prerelease} is outside of hikaru.dev/constraint: {constraint}"
        );
        let upgrade = format!("upgrade: latest carries no version [1.5.0-{prerelease}_1_d5ecc80e]");
        runs("acme/web:latest")
            .annotation("constraint", constraint)
            .post(
                &format!("acme/web:acme_web_main_1.5.0-{prerelease}_1_0123abcd"),
                if inside { &upgrade } else { &outside },
            );
    }
}

#[test]
fn the_settings_of_rollouts() {
    let rules = |label: &str, annotation: &str, key: &str| {
        let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
        for (place, value) in [(Place::Label, label), (Place::Annotation, annotation)] {
            if !value.is_empty() {
                web.settings.push(Setting::new(place, key, value));
            }
        }
        Rules::read(&web).expect("readable")
    };
    let deadline = |label: &str, annotation: &str| {
        let deadline = rules(label, annotation, "progress-deadline").progress_deadline;
        deadline.map(|deadline| deadline.as_secs())
    };
    assert_eq!(deadline("", ""), None);
    assert_eq!(deadline("90s", ""), Some(90));
    assert_eq!(deadline("", "1h30m"), Some(5_400));
    assert_eq!(deadline("90s", "10m"), Some(600), "the longer one");
    assert_eq!(deadline("10m", "90s"), Some(600), "the longer one");
    let required = |label: &str, annotation: &str| {
        rules(label, annotation, "required-rollout").required_rollout
    };
    assert_eq!(required("", ""), RequiredRollout::Full);
    assert_eq!(required("full", ""), RequiredRollout::Full);
    assert_eq!(required("", "1%"), RequiredRollout::Percent(1));
    assert_eq!(required("", "100%"), RequiredRollout::Percent(100));
    assert_eq!(required("50%", "60%"), RequiredRollout::Percent(60));
    assert_eq!(required("full", "60%"), RequiredRollout::Full);
    for (key, value, expected) in [
        (
            "progress-deadline",
            "600",
            "a time such as 90s, 10m or 1h30m, from 1s to 24h",
        ),
        (
            "progress-deadline",
            "0s",
            "a time such as 90s, 10m or 1h30m, from 1s to 24h",
        ),
        (
            "progress-deadline",
            "2d",
            "a time such as 90s, 10m or 1h30m, from 1s to 24h",
        ),
        (
            "required-rollout",
            "Full",
            "full or a percentage, 1% to 100%",
        ),
        ("required-rollout", "0%", "full or a percentage, 1% to 100%"),
        (
            "required-rollout",
            "101%",
            "full or a percentage, 1% to 100%",
        ),
        (
            "required-rollout",
            "+5%",
            "full or a percentage, 1% to 100%",
        ),
        ("required-rollout", "50", "full or a percentage, 1% to 100%"),
        ("required-rollout", "", "full or a percentage, 1% to 100%"),
    ] {
        runs("acme/web:latest").annotation(key, value).gives(&format!(
            "unreadable-setting: the annotation hikaru.dev/{key} is \"{value}\": expected {expected}"
        ));
    }
}
