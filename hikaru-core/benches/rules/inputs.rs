//! The fixed inputs: images of every kind that is posted or found running, those that are refused too, and versions.
//! What is done with them is elsewhere. The bench of allocations and their test have the same inputs.

/// What an input is, and its text.
pub(crate) type Input = (&'static str, String);

const TAG: &str = "acme_web_main_1.4.0_7_0123abcd";

/// Twenty images. The last nine are refused: five as build tags, four as references.
pub(crate) fn images() -> [Input; 20] {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let in_acme = |tag: &str| format!("ghcr.io/acme/web:{tag}");
    [
        ("short", format!("web:{TAG}")),
        ("registry", in_acme(TAG)),
        ("port", format!("registry.example.org:5000/acme/web:{TAG}")),
        ("IPv6", format!("[2001:db8::1]:5000/acme/web:{TAG}")),
        ("digest", format!("{}@{digest}", in_acme(TAG))),
        (
            "many-underscores",
            in_acme(
                "acme_team_a_web_shop_front_end_feature_JIRA_1234_a_b_c_d_e_f_1.4.0_7_0123abcd",
            ),
        ),
        (
            "four-part",
            in_acme("acme_web.git_main_1.0.0.12345_7_0123abcd"),
        ),
        (
            "pre-release",
            in_acme("acme_web_main_1.4.0-rc.11_7_0123abcd"),
        ),
        (
            "v-version",
            in_acme("acme_web_main_v1.4.0_18446744073709551615_none"),
        ),
        (
            "whole-commit",
            in_acme(&format!("acme_web_main_1.4.0_7_{}", "0123abcd".repeat(5))),
        ),
        (
            "longest",
            format!(
                "ghcr.io/{}/web:{}_{TAG}",
                "acme-team/".repeat(25) + "w",
                "a-b-c-d-e_f-g.h".repeat(6) + "1234567"
            ),
        ),
        ("latest", "nginx:latest".to_owned()),
        ("plain-version", "nginx:1.27.3-alpine".to_owned()),
        ("no-tag", "ghcr.io/acme/web".to_owned()),
        ("digest-alone", format!("ghcr.io/acme/web@{digest}")),
        ("bad-version", in_acme("acme_web_main_1.x.0_7_0123abcd")),
        ("capitals", format!("ghcr.io/Acme/web:{TAG}")),
        ("multi-byte", format!("ghcr.io/acme/wéb:{TAG}")),
        (
            "tag-too-long",
            in_acme(&format!("{}_{TAG}", "a_b.c-".repeat(17))),
        ),
        ("short-digest", format!("web:{TAG}@sha256:0a0a")),
    ]
}

/// Versions as the tags of the images have them, and the two that semver refuses.
pub(crate) fn versions() -> [Input; 8] {
    [
        ("short", "1.4.0"),
        ("long-numbers", "2026.1115.184467440737095516"),
        ("pre-release", "1.4.0-rc.11"),
        (
            "long-pre-release",
            "1.4.0-feature.JIRA-1234.add-a-basket.20261115.7",
        ),
        ("refused", "1.x.0"),
        ("refused-late", "1.4.0-rc..1"),
        ("four-part", "1.0.0.12345"),
        ("v-version", "v1.4.0"),
    ]
    .map(|(name, text)| (name, text.to_owned()))
}
