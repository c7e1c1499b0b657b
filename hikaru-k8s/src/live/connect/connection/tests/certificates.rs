//! Certificates, keys and CAs in each form; which credentials are chosen; and what is said of those that are none.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::*;

/// The forms in which a variable can hold PEM: text, base64, base64 in lines as the program of that name writes it, and a
/// path, of a file that is made here.
fn forms(machine: &Machine, name: &str, pem: &str) -> [String; 4] {
    let packed = BASE64_STANDARD.encode(pem);
    let lines = packed.as_bytes().chunks(76);
    let lines: Vec<&str> = lines
        .map(|l| std::str::from_utf8(l).expect("ASCII"))
        .collect();
    let path = machine.path(name);
    fs::write(&path, pem).expect("written");
    [pem.to_owned(), packed.clone(), lines.join("\n"), path]
}

#[tokio::test]
async fn a_ca_is_text_or_base64_or_a_path() {
    let mut machine = Machine::new().with("K8S-URL", "https://h.example");
    for (pem, count) in [(ca(), 1), (format!("{}{}", ca(), ca()), 2)] {
        for (n, ca) in forms(&machine, "ca.crt", &pem).iter().enumerate() {
            machine = machine.with("K8S-CA", ca);
            let connection = machine.choose().await.expect("a connection");
            let file = machine.path("ca.crt");
            let trust = if n == 3 {
                format!("K8S_CA {file}")
            } else {
                "K8S_CA".to_owned()
            };
            assert_eq!(connection.trust, trust);
            assert_eq!(connection.credentials.has_files(), n == 3);
            let read = connection.credentials.read().expect("certificates");
            assert_eq!(read.ca.map(|roots| roots.len()), Some(count));
            assert!(format!("{connection:?}").len() < 100, "{connection:?}");
        }
    }
}

/// A certificate and its key.
fn identity() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["me".to_owned()]).expect("parameters");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    (certificate, key.serialize_pem())
}

#[tokio::test]
async fn a_certificate_and_its_key_are_text_or_base64_or_paths() {
    let (certificate, key) = identity();
    // As the kubelet keeps both.
    let both = format!("{certificate}{key}");
    let mut machine = Machine::new().with("K8S_URL", "https://h.example");
    for (certificate, key) in [(&certificate, &key), (&both, &both)] {
        for certificate in forms(&machine, "tls.crt", certificate) {
            for key in forms(&machine, "tls.key", key) {
                machine = machine.with("K8S_CERT", &certificate).with("K8S-KEY", &key);
                let connection = machine.choose().await.expect("a connection");
                let shown = format!(
                    "{connection:?} {connection} {}",
                    connection.credentials_name
                );
                assert!(
                    !shown.contains("BEGIN") && shown.contains("K8S_CERT"),
                    "{shown}"
                );
                let read = connection.credentials.read().expect("a pair");
                assert_eq!(read.identity.expect("a certificate").cert.len(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_or_key_that_is_none_is_told_and_not_shown() {
    let (certificate, key) = identity();
    let (_, other) = identity();
    let body = key.lines().nth(1).expect("a line").to_owned();
    let raw: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    let slash = format!("/{body}");
    let locked = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let broken = key.replace(&body, &body[1..]);
    const NO_PEM: &str = "K8S_KEY: expected a private key as PEM text, as base64 of PEM, or the path of a PEM file, \
                          found no PEM and no file of that name";
    for (certificate, key, expected) in [
        (&*certificate, &*raw, NO_PEM),
        (&*certificate, &*slash, NO_PEM),
        (&*certificate, "tls.key", NO_PEM),
        (
            &*certificate,
            "/absent/tls.key",
            "K8S_KEY /absent/tls.key: No such file or directory (os error 2)",
        ),
        (
            "./absent.crt",
            &*key,
            "K8S_CERT ./absent.crt: No such file or directory (os error 2)",
        ),
        (
            &*certificate,
            &*other,
            "K8S_KEY is not the key of the certificate in K8S_CERT",
        ),
        (
            &*certificate,
            &*certificate,
            "K8S_KEY: expected a private key as PEM text, as base64 of PEM, or the path of a PEM file, found no private key",
        ),
        (
            &*certificate,
            &*locked,
            "K8S_KEY: expected a private key as PEM text, as base64 of PEM, or the path of a PEM file, found an \
             encrypted key, which hikaru cannot decrypt",
        ),
        (
            &*certificate,
            &*broken,
            "K8S_KEY: expected a private key as PEM text, as base64 of PEM, or the path of a PEM file, found a key that cannot be read",
        ),
        (
            &*key,
            &*certificate,
            "K8S_CERT: expected certificates as PEM text, as base64 of PEM, or the path of a PEM file, found no certificate",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            &*key,
            "K8S_CERT: expected certificates as PEM text, as base64 of PEM, or the path of a PEM file, found something that is not a certificate",
        ),
    ] {
        let machine = Machine::new().with("K8S_URL", "https://h.example");
        let machine = machine.with("K8S_CERT", certificate).with("K8S_KEY", key);
        let said = machine.says().await;
        assert_eq!(said, expected);
        assert!(!said.contains(&body[1..20]));
    }
    // In files: which file it is.
    let machine = Machine::new()
        .file("tls.crt", &certificate)
        .file("tls.key", &other);
    let (crt, key) = (machine.path("tls.crt"), machine.path("tls.key"));
    let machine = machine.with("K8S_URL", "https://h.example");
    let machine = machine.with("K8S_CERT", &crt).with("K8S_KEY", &key);
    assert_eq!(
        machine.says().await,
        "K8S_KEY tls.key is not the key of the certificate in K8S_CERT tls.crt"
    );
    let machine = machine.file("tls.key", "none");
    assert_eq!(
        machine.says().await,
        "K8S_KEY tls.key: expected a private key in PEM, found no private key"
    );
}

#[tokio::test]
async fn authentication_is_chosen_by_what_is_there() {
    let (certificate, key) = identity();
    let mut machine = Machine::new().with("K8S_URL", "https://h.example");
    let none = machine.choose().await.expect("a connection");
    assert!(
        none.credentials_name.starts_with("none: "),
        "{}",
        none.credentials_name
    );
    let basic = format!("Basic {}", BASE64_STANDARD.encode("me: s3cr3t "));
    for (name, value, other, expected, header) in [
        (
            "K8S_USERNAME",
            "me",
            ("K8S_PASSWORD", " s3cr3t \n"),
            "K8S_USERNAME and K8S_PASSWORD",
            Some(&*basic),
        ),
        (
            "K8S_CERT",
            &*certificate,
            ("K8S_KEY", &*key),
            "K8S_CERT",
            None,
        ),
        (
            "K8S_TOKEN",
            SECRET,
            ("K8S_CA", &ca()),
            "K8S_TOKEN",
            Some("Bearer s3cr3t"),
        ),
    ] {
        machine = machine.with(name, value).with(other.0, other.1);
        let chosen = machine.choose().await.expect("a connection");
        assert_eq!(chosen.credentials_name, expected);
        let read = chosen.credentials.read().expect("credentials");
        assert_eq!(read.identity.is_some(), name == "K8S_CERT");
        let sent = read.authorization.as_ref();
        assert_eq!(sent.map(|sent| sent.to_str().expect("ASCII")), header);
        assert_eq!(chosen.warning().is_some(), name == "K8S_USERNAME");
        machine.says().await;
    }
}

#[tokio::test]
async fn a_kubeconfig_names_files_that_are_read_again() {
    let (certificate, key) = identity();
    let user = "{client-certificate: tls.crt, client-key: tls.key}";
    let text = kubeconfig("a", user).replace(":6443'", ":6443', certificate-authority: ca.crt");
    let mut machine = Machine::new();
    for (name, text) in [
        ("given", &text),
        ("tls.crt", &certificate),
        ("tls.key", &key),
        ("ca.crt", &ca()),
    ] {
        machine = machine.file(name, text);
    }
    machine.options.kubeconfig = Some(machine.path("given").into());
    let connection = machine.choose().await.expect("a connection");
    assert!(connection.credentials.has_files());
    let trust = "certificate-authority of context a of given ca.crt";
    assert_eq!(connection.trust.replace(&machine.path(""), ""), trust);

    let machine = machine.file("tls.key", &identity().1);
    assert_eq!(
        machine.says().await,
        "client-key of context a of given tls.key is not the key of the certificate in client-certificate of context a \
         of given tls.crt"
    );
    let half = text.replace(", client-key: tls.key", "");
    let machine = machine.file("given", &half);
    assert_eq!(
        machine.says().await,
        "client-certificate of context a of given is set, but client-key is not: expected both"
    );
    let absent = text.replace("ca.crt", "absent.crt");
    let machine = machine.file("given", &absent);
    assert_eq!(
        machine.says().await,
        "certificate-authority of context a of given absent.crt: No such file or directory (os error 2)"
    );
    // kube would refuse the line break at its end.
    let machine = machine.file("token", "s3cr3t\n");
    let machine = machine.file(
        "given",
        &kubeconfig("a", "{tokenFile: token, token: other}"),
    );
    let sent = async || {
        let connection = machine.choose().await.expect("a connection");
        let read = connection.credentials.read().expect("a token");
        read.authorization.expect("a header")
    };
    assert_eq!(sent().await, "Bearer s3cr3t");
    fs::remove_file(machine.path("token")).expect("removed");
    assert_eq!(sent().await, "Bearer other");
    let machine = machine.file("given", &kubeconfig("a", "{tokenFile: token}"));
    assert_eq!(
        machine.says().await,
        "tokenFile of context a of given token: No such file or directory (os error 2)"
    );
    let machine = machine.file(
        "given",
        &kubeconfig("a", "{username: me, password: s3cr3t, token: other}"),
    );
    let connection = machine.choose().await.expect("a connection");
    let warning = connection.warning().expect("a warning");
    assert!(
        warning.starts_with("username and password of context a of "),
        "{warning}"
    );
}
