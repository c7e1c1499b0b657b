//! What the values of settings may be: names of containers, pre-releases in a constraint.

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
