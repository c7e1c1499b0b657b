//! The file of callers changes while the service runs: tokens that are rotated and revoked, a trust that is removed, a file that
//! cannot be read.

use super::{Office, bearer, deployment, image, post};
use crate::{live::scene::Scene, serve::Server};

/// A token, and its SHA-256 as `printf %s TOKEN | sha256sum` prints it.
const OLD: (&str, &str) = (
    "the-old-token-of-the-shop",
    "b11cfe9ff3b511f7abd3a47b2324d9976efa3dc12ff0e87320984124864e36d6",
);
const NEW: (&str, &str) = (
    "the-new-token-of-the-shop",
    "3a7c515c0d4199fe3ff59d84b2e36f8d3fd1ae4e1551638e7fe915fc49d71ffc",
);

fn entry(name: &str, hash: &str) -> String {
    format!(
        "- {{name: {name}, tokenSha256: {hash}, rights: [read, upgrade], identities: [acme/shop/*], namespaces: [NAMESPACE]}}\n"
    )
}

const TRUST: &str = "trusts:\n- {name: github, kind: github, issuer: ISSUER, ca: ca.pem, audience: hikaru-prod, owners: [65], rights: \
                     [read], namespaces: [NAMESPACE]}\n";

/// The status of a call with a token that changes nothing.
fn status(server: &Server, token: &str) -> u16 {
    let path = format!("/api/candidates/{}", image("acme_shop_main", 2));
    let answer = server.request("GET", &path, &bearer(token));
    answer.expect("an answer").status
}

#[test]
fn tokens_are_rotated_and_revoked_without_a_restart() {
    let scene = Scene::new("rotated");
    scene.apply(&[deployment("shop", ["acme", "shop", "main"])]);
    let (old, new) = (entry("shop", OLD.1), entry("shop-2", NEW.1));
    let office = Office::new(&scene, &format!("callers:\n{old}{TRUST}"));
    let server = office.serve(&scene);
    let of_github = office.github("acme/shop");
    assert_eq!(status(&server, OLD.0), 200);
    assert_eq!(status(&server, NEW.0), 401);
    assert_eq!(status(&server, &of_github), 200);

    // Both while the new one is handed out.
    office.write(&format!("callers:\n{old}{new}{TRUST}"));
    scene.eventually("the new token is valid", || status(&server, NEW.0) == 200);
    assert_eq!(status(&server, OLD.0), 200);
    let upgraded = post(&server, &image("acme_shop_main", 2), "", NEW.0).is(200);
    assert!(upgraded.body.contains("\"shop\""), "{}", upgraded.body);

    // The old one is revoked.
    office.write(&format!("callers:\n{new}{TRUST}"));
    scene.eventually("the old token is not valid", || {
        status(&server, OLD.0) == 401
    });
    assert_eq!(status(&server, NEW.0), 200);

    // A file that is cut in the middle changes nothing, and says so.
    let whole = format!("callers:\n{new}");
    office.write(&whole[..whole.len() - 30]);
    let told = || server.get("/readyz").is(200).json()["detail"].clone();
    scene.eventually("the trouble is told", || told().is_string());
    for token in [NEW.0, &of_github] {
        assert_eq!(status(&server, token), 200);
    }
    assert_eq!(status(&server, OLD.0), 401);
    let detail = told().to_string();
    assert!(!detail.contains(&office.path()), "{detail}");
    let log = server.log();
    let mut lines = log
        .lines()
        .filter(|line| line.contains("\"level\":\"WARN\""));
    assert!(lines.any(|line| line.contains("line 2, column ")), "{log}");

    // A whole one is in force again, and the trust is gone.
    office.write(&whole);
    scene.eventually("the trust is gone", || status(&server, &of_github) == 401);
    assert!(told().is_null());
    assert_eq!(status(&server, NEW.0), 200);
    let log = server.log();
    for secret in [OLD.0, NEW.0, OLD.1, NEW.1] {
        assert!(!log.contains(secret), "{log}");
    }
}
