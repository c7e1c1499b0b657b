//! `hikaru verify` and the flags of waiting: what is told before a cluster is asked, and in a folder of manifests. Rollouts of a
//! cluster are waited for in `live`.

use super::{Ran, example, files, hikaru, hikaru_with};

const NEW: &str = "ghcr.io/acme/shop:acme_shop_main_1.4.0_7_9f3c2ab1";

#[test]
fn times_are_checked_and_stand_behind_an_equals_sign() {
    let time = "expected a time such as 90s, 10m or 1h30m, from 1s to 24h";
    for (flags, told) in [
        (&["--wait=0s"][..], time),
        (&["--wait=8760h"], time),
        (&["--wait=soon"], time),
        (&["--wait="], time),
        (&["--wait", "5m"], "unexpected argument"),
        (
            &["--wait", "--stable-for", "a minute"],
            "expected 0s or a time such as 90s, 10m or 1h30m, up to 24h, found `a minute`",
        ),
        (
            &["--wait=1m", "--stable-for", "61s"],
            "--stable-for: expected at most the time of --wait, 1m",
        ),
        (&["--stable-for", "30s"], "--stable-for needs --wait"),
    ] {
        for command in [
            &["upgrade", NEW][..],
            &["verify", NEW],
            &["rollout", "shop/web"],
        ] {
            hikaru(&[command, flags].concat()).exits(2).tells(&[told]);
        }
    }
    for command in ["upgrade", "verify"] {
        let needs = "--no-fail-fast needs --wait";
        hikaru(&[command, NEW, "--no-fail-fast"])
            .exits(2)
            .tells(&[needs]);
    }
    hikaru(&["rollout", "shop/web", "--wait", "--no-fail-fast"])
        .exits(2)
        .tells(&["unexpected argument"]);
    hikaru_with(&[("HIKARU_WAIT", "soon")], &["verify", NEW])
        .exits(2)
        .tells(&[time, "HIKARU_WAIT, the variable of --wait"]);
}

#[test]
fn what_cannot_roll_out_is_not_waited_for_and_nothing_is_written() {
    let (guard, shop) = example("shop");
    let before = files(guard.path());
    let dry_run = "--wait cannot be used with --dry-run: a dry run writes nothing";
    let manifests =
        "--wait cannot be used with --manifests: in a folder of manifests nothing rolls out";
    let folder = ["--manifests", &shop];
    for (variables, flags, told) in [
        (&[][..], &["--wait", "--dry-run"][..], dry_run),
        (&[("HIKARU_DRY_RUN", "true")], &["--wait"], dry_run),
        (
            &[("HIKARU_DRY_RUN", "true"), ("HIKARU_WAIT", "5m")],
            &[],
            dry_run,
        ),
        (&[], &["--wait"], manifests),
        (
            &[("HIKARU_NO_FAIL_FAST", "true")],
            &["--wait=1m"],
            manifests,
        ),
    ] {
        let args = [&["upgrade", NEW][..], &folder, flags].concat();
        hikaru_with(variables, &args).exits(2).tells(&[told]);
    }
    let variables = [("HIKARU_MANIFESTS", &*shop), ("HIKARU_WAIT", "5m")];
    for command in ["upgrade", "verify"] {
        hikaru_with(&variables, &[command, NEW])
            .exits(2)
            .tells(&[manifests]);
    }
    assert_eq!(files(guard.path()), before);

    // A variable that waits gives way to what was typed; so do those that need it.
    let variables = [("HIKARU_WAIT", "5m"), ("HIKARU_STABLE_FOR", "30s")];
    let args = [&["upgrade", NEW, "--dry-run"][..], &folder].concat();
    hikaru_with(&variables, &args)
        .exits(0)
        .tells(&["dry run: nothing was written"]);
    assert_eq!(files(guard.path()), before);
    let args = [&["upgrade", NEW][..], &folder].concat();
    hikaru_with(&variables, &args)
        .exits(0)
        .prints(&["2 upgraded"]);
}

#[test]
fn verify_says_what_runs_an_image_and_what_does_not() {
    let (guard, shop) = example("shop");
    let verify = |flags: &[&str]| -> Ran {
        let args = [&["verify", NEW, "--manifests", &shop][..], flags].concat();
        hikaru(&args)
    };
    let storefront = ["--workload", "shop/deploy/storefront"];
    let before = files(guard.path());
    verify(&storefront)
        .exits(1)
        .prints(&[
            "storefront.yaml#1",
            "not-deployed",
            "the build is not written yet: 1.4.0_7 follows 1.4.0_6",
        ])
        .tells(&["error: 1 of 1 rollout failed: shop/Deployment/storefront: "]);
    assert_eq!(files(guard.path()), before);
    hikaru(&["upgrade", NEW, "--manifests", &shop]).exits(0);
    let ran = verify(&storefront).exits(0);
    ran.prints(&["not-applicable", "1 rollout ended well"]);
    // One that runs something higher is no fault; one that a person keeps from it is.
    verify(&["--workload", "shop/sts/search"])
        .exits(0)
        .prints(&["superseded"]);
    let ran = verify(&[]).exits(1);
    ran.prints(&[
        "does not run the build (manual): opted out by",
        "does not run the build (other-branch)",
    ])
    .tells(&["error: 2 of 5 rollouts failed: shop/Deployment/checkout: "]);
    let rollouts = verify(&["--output", "json"]).exits(1).json();
    let states = rollouts.as_array().expect("a list").iter();
    let states: Vec<_> = states.map(|rollout| rollout["state"].as_str()).collect();
    let [none, kept, higher] = ["not-applicable", "not-deployed", "superseded"].map(Some);
    assert_eq!(states, [none, kept, none, higher, kept]);

    let misspelt = NEW.replace("_main_", "_mian_");
    let args = ["verify", &misspelt, "--manifests", &shop];
    hikaru(&args).exits(1).tells(&[
        "error: nothing matched, so nothing runs the image; with --allow-none this is no error",
        "near: shop/Deployment/storefront",
    ]);
    hikaru(&[&args[..], &["--allow-none"]].concat()).exits(0);
    hikaru(&["verify", "ghcr.io/acme/shop:latest", "--manifests", &shop]).exits(1);
}
