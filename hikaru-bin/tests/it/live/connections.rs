//! The built program and a real API server that it cannot talk to: what is told, and that a service recovers.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use xtask::{Cluster, Component};

use super::scene::{LABELS, Scene, image, workload};
use crate::{Ran, command, run, serve::Server};

/// `hikaru find` in the shared cluster with these variables.
fn find(variables: &[(&str, &str)]) -> Ran {
    let mut find = command(&["find", &image(1)]);
    find.env("K8S_URL", Cluster::shared().url());
    run(find.envs(variables.iter().copied()))
}

#[test]
fn credentials_that_fit_are_taken_and_others_are_named() {
    const MASTERS: &str = "system:masters";
    let cluster = Cluster::shared();
    let ca = ("K8S_CA", cluster.ca_pem());
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (certificate, key) = cluster
        .client_certificate("me", MASTERS)
        .expect("a certificate");
    let (_, other) = cluster
        .client_certificate("other", MASTERS)
        .expect("a certificate");
    let past = SystemTime::now() - Duration::from_secs(3600);
    let old = cluster.client_certificate_until("me", MASTERS, past);
    let (old, old_key) = old.expect("a certificate");
    let (crt, key, other) = (
        write("tls.crt", &certificate),
        write("tls.key", &key),
        write("other.key", &other),
    );

    let token = write("token", cluster.admin_token());
    find(&[ca, ("K8S-TOKEN-FILE", &token)]).exits(0);
    find(&[ca, ("K8S_CERT", &crt), ("K8S_KEY", &key)]).exits(0);

    let mismatch =
        format!("error: K8S_KEY {other} is not the key of the certificate in K8S_CERT {crt}");
    find(&[ca, ("K8S_CERT", &crt), ("K8S_KEY", &other)])
        .exits(1)
        .tells(&[&mismatch]);
    let (crt, key) = (write("old.crt", &old), write("old.key", &old_key));
    let expired = format!(
        "error: not allowed: the API server does not take our credentials (K8S_CERT {crt}, which expired 20"
    );
    find(&[ca, ("K8S_CERT", &crt), ("K8S_KEY", &key)])
        .exits(3)
        .tells(&[&expired]);
    let refused = "error: not allowed: the API server does not take our credentials (K8S_TOKEN): Unauthorized";
    let ran = find(&[ca, ("K8S_TOKEN", "s3cr3t")])
        .exits(3)
        .tells(&[refused]);
    assert!(!ran.err.contains("s3cr3t"), "{}", ran.err);

    // A certificate of somebody else as the CA.
    let crt = write("ca.crt", &certificate);
    let stranger =
        format!("no connection: the certificate of the API server is not signed by K8S_CA {crt}");
    find(&[("K8S_CA", &crt), ("K8S_TOKEN_FILE", &token)])
        .exits(4)
        .tells(&[&stranger]);
    find(&[("K8S_TOKEN_FILE", &token)])
        .exits(4)
        .tells(&["not signed by what this machine trusts (K8S_CA is not set)"]);
}

/// On a cluster of its own, whose API server is not there at first.
#[test]
fn a_service_starts_without_its_api_server_and_is_ready_when_it_comes() {
    let scene = Scene::alone("late");
    let cluster = scene.cluster;
    scene.apply(&[workload("Deployment", "web", LABELS, 0, &image(1))]);
    cluster.kill(Component::Apiserver).expect("killed");
    let (url, token) = (cluster.url(), cluster.admin_token());
    let variables = [
        ("K8S_URL", &*url),
        ("K8S_CA", cluster.ca_pem()),
        ("K8S_TOKEN", token),
    ];
    let server = Server::start(&[], &variables);
    server.get("/livez").is(200);
    server.get("/readyz").is(503);
    server.post(&scene.post(2)).is(503);
    cluster.launch(Component::Apiserver).expect("started");
    let server = server.ready();
    server.post(&scene.post(2)).is(200);
    assert_eq!(scene.images("deployment", "web"), [image(2)]);
    assert!(!server.log().contains(token), "{}", server.log());
}
