//! Certificates that do not fit, on both sides, and those that rotate in files: on a TLS server of our own, with the faults
//! that a real control plane does not show.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use hikaru_core::port::{ClusterError, Scope, Select, WorkloadPort as _};
use hikaru_k8s::{Connection, ConnectionOptions, LiveCluster};

use super::{
    stub::settings,
    tls_server::{Authority, TlsServer, Validity, config},
};

const ALWAYS: Validity = (None, None);

/// A client by variables.
async fn client(variables: &[(&str, &str)]) -> LiveCluster {
    let variable = |name: &str| {
        let set = variables.iter().find(|(known, _)| *known == name);
        set.map(|(_, value)| (*value).to_owned())
    };
    let connection = Connection::choose(&ConnectionOptions::default(), &variable).await;
    let mut settings = settings();
    settings.deadline = Duration::from_secs(10);
    let cluster = LiveCluster::new(&connection.expect("a connection"), settings).await;
    cluster.expect("a client")
}

/// What comes of asking for everything.
async fn ask(cluster: &LiveCluster) -> Result<(), String> {
    match cluster.find(&Scope::new(Select::All)).await {
        Ok(_) => Ok(()),
        Err(ClusterError::Unavailable { message, .. }) => Err(message),
        Err(other) => panic!("{other:?}"),
    }
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(3600 * hours)
}

#[tokio::test]
async fn a_server_whose_certificate_does_not_fit_is_not_talked_to() {
    let (ours, namesake, other) = (
        Authority::new("kubernetes"),
        Authority::new("kubernetes"),
        Authority::new("other"),
    );
    let now = SystemTime::now();
    let stranger = "no connection: the certificate of the API server is not signed by K8S_CA";
    for (authority, validity, expected) in [
        (&ours, ALWAYS, None),
        (&other, ALWAYS, Some(stranger)),
        (&namesake, ALWAYS, Some(stranger)),
        (
            &ours,
            (None, Some(now - hours(24))),
            Some("no connection: the certificate of the API server expired 20"),
        ),
        (
            &ours,
            (Some(now + hours(24)), None),
            Some("no connection: the certificate of the API server is not valid before 20"),
        ),
    ] {
        let server = TlsServer::start(config(&authority.sign(validity), None));
        let (url, ca) = (server.url(), ours.pem());
        let answer = ask(&client(&[("K8S_URL", &url), ("K8S_CA", &ca)]).await).await;
        match (answer, expected) {
            (Ok(()), None) => {}
            (Err(said), Some(expected)) => assert!(said.starts_with(expected), "{said}"),
            (answer, expected) => panic!("{answer:?}, expected {expected:?}"),
        }
    }
    let server = TlsServer::start(config(&ours.sign(ALWAYS), None));
    let url = server.url();
    let said = ask(&client(&[("K8S_URL", &url)]).await)
        .await
        .expect_err("a stranger");
    let expected = "no connection: the certificate of the API server is not signed by what this machine trusts (K8S_CA \
                    is not set)";
    assert_eq!(said, expected);
    // Its certificate is for an address, not for a name.
    let (url, ca) = (url.replace("127.0.0.1", "localhost"), ours.pem());
    let said = ask(&client(&[("K8S_URL", &url), ("K8S_CA", &ca)]).await).await;
    let said = said.expect_err("another name");
    let expected =
        "no connection: the certificate of the API server is not for localhost, but for ";
    assert!(
        said.starts_with(expected) && said.contains("127.0.0.1"),
        "{said}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_take_our_certificate_has_read_no_request() {
    let (ours, other) = (Authority::new("kubernetes"), Authority::new("other"));
    let server = TlsServer::start(config(&ours.sign(ALWAYS), Some(&ours)));
    let (url, ca) = (server.url(), ours.pem());
    let past = SystemTime::now() - hours(24);
    for (identity, expected) in [
        (Some(ours.sign(ALWAYS)), ""),
        (
            None,
            "(none: neither a token nor certificate and key nor user and password is set in K8S_…): it wants a client \
             certificate",
        ),
        (
            Some(other.sign(ALWAYS)),
            "(K8S_CERT): it does not know who signed the certificate",
        ),
        (
            Some(ours.sign((None, Some(past)))),
            "): the certificate has expired",
        ),
    ] {
        let mut variables = vec![("K8S_URL", &*url), ("K8S_CA", &*ca)];
        if let Some((certificate, key)) = &identity {
            variables.extend([("K8S_CERT", &**certificate), ("K8S_KEY", &**key)]);
        }
        match ask(&client(&variables).await).await {
            Ok(()) => assert_eq!(expected, ""),
            Err(said) => {
                let prefix = "no connection: the API server does not take our credentials (";
                assert!(said.starts_with(prefix) && !expected.is_empty(), "{said}");
                assert!(said.ends_with(expected), "{said}");
                let expired = said.contains("(K8S_CERT, which expired 20");
                assert_eq!(expired, expected.ends_with("has expired"), "{said}");
            }
        }
    }
}

fn write(folder: &Path, (certificate, key): &(String, String)) {
    fs::write(folder.join("tls.crt"), certificate).expect("written");
    fs::write(folder.join("tls.key"), key).expect("written");
}

#[tokio::test]
async fn certificates_in_files_are_taken_up_when_they_are_needed() {
    let (one, two) = (Authority::new("kubernetes"), Authority::new("kubernetes"));
    let server = TlsServer::start(config(&one.sign(ALWAYS), Some(&one)));
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (url, ca, crt, key) = (
        server.url(),
        path("ca.crt"),
        path("tls.crt"),
        path("tls.key"),
    );
    fs::write(&ca, one.pem()).expect("written");
    write(folder.path(), &one.sign(ALWAYS));
    let variables = [
        ("K8S_URL", &*url),
        ("K8S_CA", &ca),
        ("K8S_CERT", &crt),
        ("K8S_KEY", &key),
    ];
    let cluster = client(&variables).await;
    assert_eq!(ask(&cluster).await, Ok(()));

    // The server goes on with another authority. Ours is taken up when the handshake fails, half-written files are not.
    server.change(config(&two.sign(ALWAYS), Some(&one)));
    let said = ask(&cluster).await.expect_err("a stranger");
    assert!(
        said.ends_with(&format!("not signed by K8S_CA {ca}")),
        "{said}"
    );
    fs::write(&ca, &two.pem()[..200]).expect("written");
    assert!(ask(&cluster).await.is_err());
    fs::write(&ca, two.pem()).expect("written");
    assert_eq!(ask(&cluster).await, Ok(()));

    // And then it takes other clients only.
    server.change(config(&two.sign(ALWAYS), Some(&two)));
    let said = ask(&cluster).await.expect_err("refused");
    assert!(said.contains(&format!("(K8S_CERT {crt})")), "{said}");
    let identity = two.sign(ALWAYS);
    fs::write(&crt, &identity.0).expect("written");
    assert!(ask(&cluster).await.is_err(), "the key is the old one's");
    fs::write(&key, &identity.1[..60]).expect("written");
    assert!(ask(&cluster).await.is_err(), "half a key");
    fs::write(&key, &identity.1).expect("written");
    assert_eq!(ask(&cluster).await, Ok(()));

    // What is gone, or does not fit, changes nothing as long as the server takes what we have.
    fs::remove_file(&key).expect("removed");
    fs::write(&ca, "").expect("written");
    assert_eq!(ask(&cluster).await, Ok(()));
}

#[tokio::test]
async fn certificates_in_files_are_taken_up_within_ten_seconds() {
    let authority = Authority::new("kubernetes");
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    write(folder.path(), &old.sign(ALWAYS));
    let server = TlsServer::start(config(&authority.sign(ALWAYS), Some(&old)));
    let (url, ca) = (server.url(), authority.pem());
    let (crt, key) = (path("tls.crt"), path("tls.key"));
    let variables = [
        ("K8S_URL", &*url),
        ("K8S_CA", &ca),
        ("K8S_CERT", &crt),
        ("K8S_KEY", &key),
    ];
    let cluster = client(&variables).await;
    write(folder.path(), &new.sign(ALWAYS));
    assert_eq!(ask(&cluster).await, Ok(()), "the old one is fresh enough");
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    // Nothing was refused before.
    server.change(config(&authority.sign(ALWAYS), Some(&new)));
    let before = server.accepted();
    assert_eq!(ask(&cluster).await, Ok(()));
    assert_eq!(server.accepted() - before, 4, "one a kind");
}
