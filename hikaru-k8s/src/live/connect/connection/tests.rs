//! Which connection is chosen, and what is said of variables and files that are wrong.

mod certificates;

use std::{collections::BTreeMap, fs};

use super::*;

/// A person's machine: variables and a home folder.
struct Machine {
    folder: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    options: ConnectionOptions,
}

const SECRET: &str = "s3cr3t";

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = ConnectionOptions {
            in_cluster: Some(folder.path().join("pod")),
            ..ConnectionOptions::default()
        };
        let machine = Self {
            folder,
            variables: BTreeMap::new(),
            options,
        };
        let home = machine.path("");
        machine.with("HOME", &home)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
        self
    }

    async fn choose(&self) -> Result<Connection, ConnectionError> {
        let variable = |name: &str| self.variables.get(name).cloned();
        Connection::choose(&self.options, &variable).await
    }

    /// How the choice is shown, or what is wrong; the folder's name left out.
    async fn says(&self) -> String {
        let chosen = self.choose().await;
        let shown = format!("{chosen:?}");
        assert!(!shown.contains(SECRET), "{shown}");
        let said = match chosen {
            Ok(connection) => connection.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(!said.contains(SECRET), "{said}");
        said.replace(&self.path(""), "")
    }
}

fn kubeconfig(context: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {context}\n\
         clusters: [{{name: c, cluster: {{server: 'https://{context}.example:6443'}}}}]\n\
         users: [{{name: u, user: {user}}}]\n\
         contexts: [{{name: {context}, context: {{cluster: c, user: u}}}}]\n"
    )
}

fn ca() -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["ca".to_owned()]).expect("parameters");
    params.self_signed(&key).expect("a certificate").pem()
}

#[tokio::test]
async fn the_order_is_flags_variables_kubeconfig_pod_home() {
    let token = format!("{{token: {SECRET}}}");
    let mut machine = Machine::new();
    assert_eq!(
        machine.says().await,
        "no cluster: expected --kubeconfig, --context, K8S_URL, KUBECONFIG, a pod's ServiceAccount, or .kube/config"
    );
    machine = machine.file(".kube/config", &kubeconfig("home", &token));
    assert_eq!(machine.says().await, "context home of ~/.kube/config");
    machine = machine
        .file("pod/token", &format!("{SECRET}\n"))
        .file("pod/ca.crt", &ca())
        .with("KUBERNETES_SERVICE_HOST", "fd00::1")
        .with("KUBERNETES_SERVICE_PORT", "443");
    assert_eq!(
        machine.says().await,
        "the cluster that this runs in, https://[fd00::1]:443"
    );
    let list = format!("{}:{}", machine.path("absent"), machine.path("named"));
    machine = machine
        .file("named", &kubeconfig("named", &token))
        .with("KUBECONFIG", &list);
    assert_eq!(machine.says().await, "context named of ~/absent:~/named");
    machine = machine.with("K8S_HOST", "host.example");
    assert_eq!(
        machine.says().await,
        "the API server https://host.example (K8S_HOST)"
    );
    machine = machine
        .with("K8S_URL", "https://url.example:6443/")
        .with("K8S_TOKEN", SECRET);
    assert_eq!(
        machine.says().await,
        "the API server https://url.example:6443 (K8S_URL)"
    );
    machine.options.context = Some("named".to_owned());
    assert_eq!(machine.says().await, "context named of ~/absent:~/named");
    machine = machine.file("given", &kubeconfig("given", &token));
    machine.options.kubeconfig = Some(machine.path("given").into());
    assert_eq!(machine.says().await, "given: there is no context named");
    machine.options.context = None;
    assert_eq!(machine.says().await, "context given of given");
}

#[tokio::test]
async fn what_is_wrong_is_said_by_its_variable() {
    const URL: (&str, &str) = ("K8S_URL", "https://h.example");
    for (variables, expected) in [
        (
            &[("K8S_TOKEN", SECRET)][..],
            "K8S_TOKEN is set, but K8S_URL is not",
        ),
        (&[("K8S_CA", "/x")], "K8S_CA is set, but K8S_URL is not"),
        (
            &[("K8S_URL", "h.example:6443")],
            "K8S_URL: expected the URL of the API server, such as https://host:6443, found a URL without http:// or https://",
        ),
        (
            &[("K8S_URL", "https://me:s3cr3t@h.example")],
            "K8S_URL: expected the URL of the API server, such as https://host:6443, found a user name or password in it",
        ),
        (
            &[("K8S_URL", "https://h h/s3cr3t")],
            "K8S_URL: expected the URL of the API server, such as https://host:6443, found what is no URL",
        ),
        (
            &[("K8S_URL", "http://h.example"), ("K8S_TOKEN", SECRET)],
            "K8S_URL: expected https://, because a token is sent with each request, found http://",
        ),
        (
            &[("K8S_HOST", "https://h.example")],
            "K8S_HOST: expected host[:port] of the API server, found more than that",
        ),
        (
            &[
                ("K8S_URL", "https://a.example"),
                ("K8S-URL", "https://b.example"),
            ],
            "K8S_URL and K8S-URL are both set, to different values",
        ),
        (
            &[URL, ("K8S_TOKEN", "s3cr3t\ns3cr3t")],
            "K8S_TOKEN: expected a token of visible ASCII characters, found a line break after 6 of them",
        ),
        (
            &[URL, ("K8S_TOKEN", SECRET), ("K8S_TOKEN_FILE", "/x")],
            "K8S_TOKEN and K8S_TOKEN_FILE are both set: expected one of them",
        ),
        (
            &[URL, ("K8S_TOKEN_FILE", "/absent/token")],
            "K8S_TOKEN_FILE /absent/token: No such file or directory (os error 2)",
        ),
        (
            &[URL, ("K8S_CA", "/absent/ca.crt")],
            "K8S_CA /absent/ca.crt: No such file or directory (os error 2)",
        ),
        (
            &[URL, ("K8S_CA", "-----BEGIN CERTIFICATE-----\nx\n")],
            "K8S_CA: expected certificates as PEM text, as base64 of PEM, or the path of a PEM file, found no certificate",
        ),
        (
            &[URL, ("K8S_PASSWORD", SECRET)],
            "K8S_PASSWORD is set, but K8S_USERNAME is not: expected both",
        ),
        (
            &[URL, ("K8S-USERNAME", "me")],
            "K8S_USERNAME is set, but K8S_PASSWORD is not: expected both",
        ),
        (
            &[URL, ("K8S_CERT", "/x"), ("K8S_TOKEN", SECRET)],
            "K8S_CERT is set, but K8S_KEY is not: expected both",
        ),
        (
            &[URL, ("K8S_KEY", SECRET)],
            "K8S_KEY is set, but K8S_CERT is not: expected both",
        ),
        (&[("K8S_KEY", SECRET)], "K8S_KEY is set, but K8S_URL is not"),
        (
            &[
                URL,
                ("K8S_PASSWORD", SECRET),
                ("K8S-PASSWORD", "s3cr3t "),
                ("K8S_USERNAME", "me"),
            ],
            "K8S_PASSWORD and K8S-PASSWORD are both set, to different values",
        ),
        (
            &[URL, ("K8S_PASSWORD", SECRET), ("K8S_USERNAME", "me:you")],
            "K8S_USERNAME: expected a name, which in basic auth holds no colon, found one",
        ),
        (
            &[
                ("K8S_URL", "http://h.example"),
                ("K8S_PASSWORD", SECRET),
                ("K8S_USERNAME", "me"),
            ],
            "K8S_URL: expected https://, because a password is sent with each request, found http://",
        ),
        (
            &[
                ("K8S_URL", "http://127.0.0.1"),
                ("K8S_CERT", "/x"),
                ("K8S_KEY", "/x"),
            ],
            "K8S_URL: expected https://, because only there K8S_CERT is shown, found http://",
        ),
    ] {
        let machine = variables
            .iter()
            .fold(Machine::new(), |m, (name, value)| m.with(name, value));
        assert_eq!(machine.says().await, expected);
    }
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_says_why() {
    let given = |text: &str| {
        let mut machine = Machine::new().file("given", text);
        machine.options.kubeconfig = Some(machine.path("given").into());
        machine
    };
    assert_eq!(
        given("").says().await,
        "given: it has no current-context: expected one, or --context"
    );
    let text = kubeconfig("a", "{}").replace("current-context: a", "current-context: b");
    assert_eq!(given(&text).says().await, "given: there is no context b");
    let text = kubeconfig("a", "{}").replace("cluster: c,", "cluster: d,");
    assert_eq!(
        given(&text).says().await,
        "given: failed to load the cluster of context: d"
    );
    let text = kubeconfig("a", "{}").replace(":6443'", ":6443', proxy-url: 'http://p'");
    assert_eq!(
        given(&text).says().await,
        "given: the context a names a proxy-url, which is not supported yet"
    );
    let text = kubeconfig("a", "{token: \"s3cr3t\\ns3cr3t\"}");
    assert_eq!(
        given(&text).says().await,
        "the token of context a of given: expected a token of visible ASCII characters, found a line break after 6 of them"
    );
    let machine = given(&kubeconfig("a", "{token: \"s3cr3t\\n\"}"));
    assert_eq!(machine.says().await, "context a of given");
    let mut machine = Machine::new();
    machine.options.kubeconfig = Some(machine.path("absent").into());
    assert_eq!(
        machine.says().await,
        "the kubeconfig absent: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn of_auth_provider_the_id_token_of_oidc_is_taken_and_no_other() {
    let given = |provider: &str| {
        let mut machine = Machine::new();
        machine.options.kubeconfig = Some(machine.path("given").into());
        let user = format!("{{auth-provider: {provider}, exec: {{command: p}}, token: t}}");
        machine.file("given", &kubeconfig("a", &user))
    };
    let machine = given("{name: oidc, config: {id-token: \"s3cr3t\\n\"}}");
    let chosen = machine.choose().await.expect("a connection");
    let read = chosen.credentials.read().expect("a token");
    assert_eq!(read.authorization.expect("a header"), "Bearer s3cr3t");
    assert!(chosen.plugin.is_none());
    let begins = "auth-provider of context a of given: expected oidc with an id-token, or a plugin instead (exec), found";
    for (provider, found) in [
        ("{name: gcp, config: {id-token: s3cr3t}}", "gcp"),
        (
            "{name: oidc, config: {refresh-token: s3cr3t}}",
            "oidc without one",
        ),
    ] {
        assert_eq!(given(provider).says().await, format!("{begins} {found}"));
    }
    assert_eq!(
        given("{name: oidc, config: {id-token: s3cr3t s3cr3t}}")
            .says()
            .await,
        "id-token of context a of given: expected a token of visible ASCII characters, found a space after 6 of them"
    );
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_parsed_shows_no_line_of_it() {
    for (text, line) in [
        (
            "users:\n- name: u\n  user:\n    token: s3cr3t\n   bad: [\n",
            5,
        ),
        ("users:\n- name: u\n  user: {token: [s3cr3t]}\n", 3),
        ("apiVersion: v1\nusers:\n- name: u\n  user: s3cr3t\n", 4),
        ("users: s3cr3t\n", 1),
        (
            "users:\n- name: u\n  user:\n    token: s3cr3t\n    token: s3cr3t\n",
            5,
        ),
    ] {
        let mut machine = Machine::new().file("given", text);
        machine.options.kubeconfig = Some(machine.path("given").into());
        let said = machine.says().await;
        let expected = format!("given: no kubeconfig: line {line}, column ");
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[tokio::test]
async fn a_plugin_for_credentials_that_fails_shows_no_secret() {
    let plugin = |script: &str| {
        format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, \
             args: ['-c', '{script}'], env: [{{name: SECRET, value: {SECRET}}}]}}}}"
        )
    };
    for (script, expected) in [
        (
            "echo s3cr3t; echo Log in first. >&2; exit 3",
            "the plugin for credentials ended with exit status: 3: Log in first.",
        ),
        (
            "echo \"{token: [s3cr3t\"",
            "the answer of the plugin for credentials cannot be read",
        ),
        (
            "echo \"{apiVersion: client.authentication.k8s.io/v1, kind: ExecCredential}\"",
            "the answer of the plugin for credentials has no status",
        ),
    ] {
        let machine = Machine::new().file(".kube/config", &kubeconfig("a", &plugin(script)));
        let connection = machine.choose().await.expect("a connection");
        let settings = crate::LiveSettings::new(hikaru_core::workload::IdentityKeys::default());
        let error = crate::LiveCluster::new(&connection, settings).await;
        let error = error.expect_err("no credentials").to_string();
        assert_eq!(error, format!("context a of ~/.kube/config: {expected}"));
    }
}
