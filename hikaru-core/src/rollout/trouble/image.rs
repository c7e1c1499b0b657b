//! Which words of a container runtime on a pull that failed mean what. They overlap: for an image of another platform containerd's end
//! with *not found*, and a registry's refusal can say that the repository *does not exist*.

use crate::{image::reference::Reference, rollout::cause::CauseCode};

/// Texts that stand for a cause, lower case, in the order in which they are looked for.
const PLATFORM: &[&str] = &[
    "no match for platform",
    "no matching manifest",
    "does not match the specified platform",
    "exec format error",
];
const RATE: &[&str] = &[
    "toomanyrequests",
    "too many requests",
    "rate limit",
    "status: 429",
    "status code 429",
];
const PERMISSION: &[&str] = &[
    "unauthorized",
    "denied",
    "forbidden",
    "authentication required",
    "authorization failed",
    "require authorization",
    "insufficient_scope",
    "no basic auth credentials",
    "status: 401",
    "status: 403",
    "status code 401",
    "status code 403",
];
const ABSENT: &[&str] = &[
    "not found",
    "does not exist",
    "may not exist",
    "manifest unknown",
    "manifest_unknown",
    "name unknown",
    "name_unknown",
    "status: 404",
    "status code 404",
];
const UNREACHABLE: &[&str] = &[
    "no such host",
    "i/o timeout",
    "timeout",
    "deadline exceeded",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "no route to host",
    "failure in name resolution",
    "dial tcp",
    "x509",
    "tls:",
    "eof",
    "bad gateway",
    "service unavailable",
    "internal server error",
    "status: 5",
    "status code 5",
];

/// What the words on a pull that failed mean.
pub(super) fn code(said: &str, image: &str) -> CauseCode {
    let said = without_image(said, image);
    let has = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    match () {
        () if has(PLATFORM) => CauseCode::ImageWrongPlatform,
        () if has(RATE) => CauseCode::ImagePullRateLimited,
        () if has(PERMISSION) && has(ABSENT) => CauseCode::ImageNotFoundOrForbidden,
        () if has(PERMISSION) => CauseCode::ImagePullForbidden,
        // A host that is not found is no image that is not found.
        () if has(&["no such host", "dial tcp"]) => CauseCode::RegistryUnreachable,
        () if has(ABSENT) => CauseCode::ImageNotFound,
        () if has(UNREACHABLE) => CauseCode::RegistryUnreachable,
        () => CauseCode::ImagePullFailed,
    }
}

/// The words in lower case, without the image: its name and tag may hold any of the texts that are looked for.
fn without_image(said: &str, image: &str) -> String {
    let reference = Reference::parse(image).ok();
    let tag = reference.as_ref().and_then(|r| r.tag());
    // A short tag could be a part of another word.
    let tag = tag.filter(|tag| tag.len() > 3);
    let path = reference.as_ref().map(|r| r.repository().path());
    let parts = [Some(image), tag, path.as_deref()];
    let mut said = said.to_lowercase();
    for part in parts.into_iter().flatten().filter(|part| !part.is_empty()) {
        said = said.replace(&part.to_lowercase(), "…");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_runtimes_and_registries() {
        use CauseCode::*;
        let image = "ghcr.io/acme/denied:acme_web_main_1.5.0-missing_403_0123abcd";
        let pull = format!("failed to pull and unpack image \"{image}\": ");
        for (said, expected) in [
            (format!("failed to resolve reference \"{image}\": {image}: not found"), ImageNotFound),
            ("manifest unknown: manifest unknown".into(), ImageNotFound),
            (format!("manifest for {image} not found"), ImageNotFound),
            ("no match for platform in manifest: not found".into(), ImageWrongPlatform),
            ("no matching manifest for linux/arm64/v8 in the manifest list entries".into(), ImageWrongPlatform),
            (
                "pull access denied, repository does not exist or may require authorization: server message: \
                 insufficient_scope: authorization failed".into(),
                ImageNotFoundOrForbidden,
            ),
            (
                "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to \
                 https://ghcr.io/token: 403 Forbidden".into(),
                ImagePullForbidden,
            ),
            ("unauthorized: authentication required".into(), ImagePullForbidden),
            ("no basic auth credentials".into(), ImagePullForbidden),
            (
                "httpReadSeeker: failed open: unexpected status code https://registry.example/v2/: 429 Too Many Requests - \
                 Server message: toomanyrequests: You have reached your pull rate limit as 'acme-bot'".into(),
                ImagePullRateLimited,
            ),
            ("dial tcp: lookup registry.example on 10.0.0.10:53: no such host".into(), RegistryUnreachable),
            ("tls: failed to verify certificate: x509: certificate signed by unknown authority".into(), RegistryUnreachable),
            ("context deadline exceeded".into(), RegistryUnreachable),
            ("unexpected status code https://ghcr.io/v2/: 503 Service Unavailable".into(), RegistryUnreachable),
            (
                "Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource (or it may not exist)".into(),
                ImageNotFoundOrForbidden,
            ),
            ("layer does not fit".into(), ImagePullFailed),
            (String::new(), ImagePullFailed),
        ] {
            assert_eq!(code(&format!("{pull}{said}"), image), expected, "{said}");
            assert_eq!(code(&said, image), expected, "{said}");
        }
    }
}
