//! What is told beside a verdict: owners, and what can be forced.

use super::*;

#[test]
fn an_owner_is_warned_of_when_it_matters_and_named_when_it_holds() {
    let owned = |image: &str, owner: Owner| {
        let mut on = runs(image);
        on.workload.owner = Some(owner);
        on
    };
    let text = |text: &str| text.into();
    for (owner, warning) in [
        (
            Owner::Helm {
                release: text("web"),
            },
            "the Helm release web owns it, too: the next helm upgrade puts its own image back (Helm 3) or fails with a \
             conflict (Helm 4), unless it is given the running tag",
        ),
        (
            Owner::ArgoCd {
                application: Some(text("shop")),
            },
            "the Argo CD application shop owns it, too: its next sync puts the image from git back, unless differences \
             in images are ignored there",
        ),
        (
            Owner::Flux {
                kind: text("Kustomization"),
                name: text("apps"),
            },
            "the Flux Kustomization apps owns it, too: its next reconciliation puts the image from git back",
        ),
        (
            Owner::Controller {
                kind: text("Shop"),
                name: text("main"),
            },
            "the controller of Shop main owns it, too: it may put its own image back",
        ),
        (
            Owner::Applier {
                manager: text("kubectl"),
            },
            "the field manager kubectl owns it, too: its next server-side apply fails with a conflict on the image, or \
             puts its own image back if it is forced, unless it is given the running tag",
        ),
    ] {
        owned("acme/web:latest", owner.clone()).gives(&format!(
            "upgrade: latest carries no version [1.4.0_7_d5ecc80e] ({warning})"
        ));
        owned(POSTED, owner).gives("equal: is set to this image");
    }
    let helm = Owner::Helm {
        release: text("web"),
    };
    owned("acme/web:latest", helm).mark("1.4.0_8").gives(
        "held: runs latest, while 1.4.0_8 was deployed before: rolled back, or re-applied by the Helm release web. The \
         next build higher than 1.4.0_8 goes out; to let lower ones out again: \
         kubectl label --namespace shop deployment web high-water.hikaru.dev/web-",
    );
}

#[test]
fn what_can_be_forced() {
    for (text, expected) in [
        ("manual, held", "manual,held"),
        (
            "true",
            "manual,constraint,held,conflicting-build,other-branch,obsolete",
        ),
        (
            "ambiguous",
            "expected `true`, or any of manual, constraint, held, conflicting-build, other-branch, obsolete, separated \
             by commas, found `ambiguous`",
        ),
        (
            "",
            "expected `true`, or any of manual, constraint, held, conflicting-build, other-branch, obsolete, separated \
             by commas, found the end",
        ),
    ] {
        let found = match text.parse::<Force>() {
            Ok(force) => force
                .codes()
                .map(|c| c.as_str())
                .collect::<Vec<_>>()
                .join(","),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{text}");
    }
}
