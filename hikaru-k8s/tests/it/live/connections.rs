//! Every way to the real API server: by each variable in each form, by the files of a pod, by kubeconfigs and plugins; and
//! credentials that change while we run. Who the API server took us for is read in its audit log.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use hikaru_core::{
    WorkloadId,
    port::{ClusterError, Scope, Select, WorkloadPort as _},
    upgrade::Outcome,
};
use hikaru_k8s::{Connection, ConnectionOptions, LiveCluster};
use serde_json::{Value, json};
use xtask::Cluster;

use super::{
    rig,
    stub::{Step, Stub},
};

const MASTERS: &str = "system:masters";

/// Variables, options and files of one test.
struct Way {
    folder: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    options: ConnectionOptions,
}

impl Way {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            variables: BTreeMap::new(),
            options: ConnectionOptions::default(),
        }
    }

    /// By `K8S_URL` and `K8S_CA` to the shared cluster.
    fn to_cluster() -> Self {
        let cluster = Cluster::shared();
        let way = Self::new().set("K8S_URL", &cluster.url());
        way.set("K8S_CA", cluster.ca_pem())
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Writes a file, and says where it is.
    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("written");
        self.path(name)
    }

    async fn connection(&self) -> Connection {
        let variable = |name: &str| self.variables.get(name).cloned();
        let chosen = Connection::choose(&self.options, &variable).await;
        chosen.expect("a connection")
    }

    async fn client(&self) -> LiveCluster {
        let client = LiveCluster::new(&self.connection().await, rig::settings()).await;
        client.expect("a client")
    }
}

/// A namespace with one Deployment, `web`, that runs build 1.
async fn namespace() -> String {
    let namespace = rig::namespace("connect").await;
    rig::create(&[rig::object("Deployment", &namespace, "web")]).await;
    namespace
}

/// Posts build `n` and says whom the API server took us for.
async fn post_as(live: &LiveCluster, n: u64, namespace: &str) -> String {
    let report = rig::post(live, n, namespace).await;
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded, "{report:?}");
    let writes = rig::our_writes(namespace).await;
    let last = writes.last().expect("a write");
    assert!(
        last.request_body()
            .is_some_and(|body| body.to_string().contains(&rig::image(n)))
    );
    last.user().to_owned()
}

async fn read(live: &LiveCluster, namespace: &str) -> Result<(), ClusterError> {
    let id = WorkloadId::new(namespace, "Deployment", "web");
    live.read(&id).await.map(drop)
}

/// The forms in which a variable holds PEM: text, base64, a path.
fn forms(way: &Way, name: &str, pem: &str) -> [String; 3] {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    [
        pem.to_owned(),
        BASE64_STANDARD.encode(pem),
        way.file(name, pem),
    ]
}

/// A ServiceAccount that may do everything in its namespace, and a token of it.
async fn account(namespace: &str, name: &str) -> String {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace}});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]});
    rig::create(&[account, binding]).await;
    let args = ["create", "token", name, "--namespace", namespace];
    rig::kubectl(&args, "").await.trim().to_owned()
}

/// Deletes a ServiceAccount, and waits until the API server takes its token no more.
async fn revoke(namespace: &str, name: &str, token: &str) {
    let args = ["delete", "serviceaccount", name, "--namespace", namespace];
    rig::kubectl(&args, "").await;
    let way = Way::to_cluster().set("K8S_TOKEN", token);
    let live = way.client().await;
    eventually("the token is revoked", async || {
        matches!(
            read(&live, namespace).await,
            Err(ClusterError::Forbidden(_))
        )
    })
    .await;
    let Err(ClusterError::Forbidden(words)) = read(&live, namespace).await else {
        panic!("it is taken again");
    };
    let expected = "the API server does not take our credentials (K8S_TOKEN): Unauthorized";
    assert_eq!(words, expected);
}

async fn eventually(what: &str, done: impl AsyncFn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !done().await {
        assert!(Instant::now() < until, "{what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_inline_and_from_a_file_with_each_form_of_the_ca_and_the_address() {
    let (cluster, namespace) = (Cluster::shared(), namespace().await);
    let way = Way::new();
    let token = format!("{}\n", cluster.admin_token());
    let file = way.file("token", &token);
    let url = cluster.url();
    let host = url.strip_prefix("https://").expect("https").to_owned();
    let cas = forms(&way, "ca.crt", cluster.ca_pem());
    let mut way = way;
    for (n, (ca, (address, at), (name, value))) in [
        (&cas[0], ("K8S_URL", &url), ("K8S_TOKEN", &token)),
        (&cas[1], ("K8S_HOST", &host), ("K8S_TOKEN_FILE", &file)),
        (&cas[2], ("K8S-URL", &url), ("K8S-TOKEN", &token)),
        (&cas[2], ("K8S-HOST", &host), ("K8S-TOKEN-FILE", &file)),
    ]
    .into_iter()
    .enumerate()
    {
        way.variables.clear();
        way = way.set("K8S_CA", ca).set(address, at).set(name, value);
        let user = post_as(&way.client().await, n as u64 + 2, &namespace).await;
        assert_eq!(user, "admin", "{address} {name}");
    }
    // The URL wins, and the same in both spellings is no contradiction.
    let mut way = way.set("K8S-URL", &url).set("K8S_URL", &url);
    way.variables.remove("K8S-HOST");
    let way = way.set("K8S_HOST", "absent.example");
    assert_eq!(read(&way.client().await, &namespace).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_taken_in_each_form() {
    let (cluster, namespace) = (Cluster::shared(), namespace().await);
    let made = cluster.client_certificate("by-certificate", MASTERS);
    let (certificate, key) = made.expect("a certificate");
    let way = Way::to_cluster();
    let pairs = forms(&way, "tls.crt", &certificate).into_iter();
    let pairs = pairs.zip(forms(&way, "tls.key", &key));
    let mut way = way;
    for (n, (certificate, key)) in pairs.enumerate() {
        way = way.set("K8S_CERT", &certificate).set("K8S-KEY", &key);
        let user = post_as(&way.client().await, n as u64 + 2, &namespace).await;
        assert_eq!(user, "by-certificate");
    }
    // A token wins.
    let way = way.set("K8S_TOKEN", cluster.admin_token());
    assert_eq!(post_as(&way.client().await, 7, &namespace).await, "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_rotates_is_taken_up_when_the_old_one_is_revoked() {
    let namespace = namespace().await;
    let (one, two) = (
        account(&namespace, "one").await,
        account(&namespace, "two").await,
    );
    let way = Way::to_cluster();
    let file = way.file("token", &one);
    let way = way.set("K8S_TOKEN_FILE", &file);
    let live = way.client().await;
    let user = |name: &str| format!("system:serviceaccount:{namespace}:{name}");
    assert_eq!(post_as(&live, 2, &namespace).await, user("one"));
    revoke(&namespace, "one", &one).await;
    let Err(ClusterError::Forbidden(words)) = read(&live, &namespace).await else {
        panic!("it was revoked");
    };
    let expected = format!(
        "the API server does not take our credentials (K8S_TOKEN_FILE {file}): Unauthorized"
    );
    assert_eq!(words, expected);
    way.file("token", &two);
    assert_eq!(post_as(&live, 3, &namespace).await, user("two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_rotates_is_taken_up_when_the_old_one_expires() {
    let (cluster, namespace) = (Cluster::shared(), namespace().await);
    let until = SystemTime::now() + Duration::from_secs(6);
    let made = cluster.client_certificate_until("one", MASTERS, until);
    let (certificate, key) = made.expect("a certificate");
    let way = Way::to_cluster();
    let (crt, pem) = (way.file("tls.crt", &certificate), way.file("tls.key", &key));
    let way = way.set("K8S_CERT", &crt).set("K8S_KEY", &pem);
    let live = way.client().await;
    assert_eq!(post_as(&live, 2, &namespace).await, "one");
    // On a connection that was made with it, too.
    eventually("it expires", async || {
        read(&live, &namespace).await.is_err()
    })
    .await;
    // Times in certificates are whole seconds.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let Err(ClusterError::Forbidden(words)) = read(&live, &namespace).await else {
        panic!("it has expired");
    };
    let begins =
        format!("the API server does not take our credentials (K8S_CERT {crt}, which expired 20");
    assert!(
        words.starts_with(&begins) && words.ends_with("Z): Unauthorized"),
        "{words}"
    );

    let made = cluster.client_certificate("two", MASTERS);
    let (certificate, key) = made.expect("a certificate");
    way.file("tls.crt", &certificate);
    assert!(
        read(&live, &namespace).await.is_err(),
        "the key is the old one's"
    );
    way.file("tls.key", &key);
    assert_eq!(post_as(&live, 3, &namespace).await, "two");

    // Without any refusal, too; an idle connection is not used on.
    let made = cluster.client_certificate("three", MASTERS);
    let (certificate, key) = made.expect("a certificate");
    way.file("tls.crt", &certificate);
    way.file("tls.key", &key);
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    assert_eq!(post_as(&live, 4, &namespace).await, "three");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_the_server_does_not_know_is_told() {
    let namespace = namespace().await;
    let stranger = super::tls_server::Authority::new("hikaru test CA");
    let (certificate, key) = stranger.sign((None, None));
    let way = Way::to_cluster();
    let (crt, pem) = (way.file("tls.crt", &certificate), way.file("tls.key", &key));
    let way = way.set("K8S_CERT", &crt).set("K8S_KEY", &pem);
    let Err(ClusterError::Forbidden(words)) = read(&way.client().await, &namespace).await else {
        panic!("it is a stranger");
    };
    let expected =
        format!("the API server does not take our credentials (K8S_CERT {crt}): Unauthorized");
    assert_eq!(words, expected);
    // The other way round.
    let way = way.set("K8S_CA", &stranger.pem());
    let Err(ClusterError::Unavailable { message, .. }) =
        read(&way.client().await, &namespace).await
    else {
        panic!("the server is a stranger");
    };
    let expected = "no connection: the certificate of the API server is not signed by K8S_CA";
    assert_eq!(message, expected);
}

/// A proxy that knows one user, asks the API server as administrator for what is read, and has kubectl send patches.
async fn proxy() -> Stub {
    Stub::start(|asked, _| {
        // me:s3cr3t
        if asked.headers.get("authorization").map(String::as_str) != Some("Basic bWU6czNjcjN0") {
            return Step::Html(401);
        }
        let parts: Vec<&str> = asked.path.split('/').collect();
        let answer = if asked.method == "PATCH" {
            let [.., namespace, kind, name] = parts[..] else {
                return Step::Html(404);
            };
            let body = asked.body.to_string();
            let patch = [
                "patch",
                kind,
                name,
                "--namespace",
                namespace,
                "--type=json",
                "--output=json",
                "--patch",
            ];
            Cluster::shared().kubectl(&[&patch[..], &[&body]].concat())
        } else {
            let query: Vec<String> = asked
                .query
                .iter()
                .map(|(k, v)| format!("{k}={}", v.replace(' ', "%20")))
                .collect();
            let target = format!("{}?{}", asked.path, query.join("&"));
            Cluster::shared().kubectl(&["get", &format!("--raw={target}")])
        };
        match answer {
            Ok(text) => Step::Answer(200, serde_json::from_str(&text).expect("JSON")),
            Err(error) => Step::Answer(500, json!({"error": error.to_string()})),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_are_taken_by_a_proxy_that_knows_them() {
    let (namespace, proxy) = (namespace().await, proxy().await);
    let way = Way::new().set("K8S_URL", &proxy.url());
    let way = way
        .set("K8S_USERNAME", "me")
        .set("K8S_PASSWORD", "s3cr3t\n");
    let connection = way.connection().await;
    assert_eq!(
        connection.warning(),
        Some(
            "K8S_USERNAME and K8S_PASSWORD: kube-apiserver has taken no basic auth since 1.19; only a proxy before it may \
             take it"
        )
    );
    let shown = format!("{connection:?} {connection}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    let live = way.client().await;
    let report = rig::post(&live, 2, &namespace).await;
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded, "{report:?}");
    let images = [
        "get",
        "deployment",
        "web",
        "--namespace",
        &namespace,
        "--output=jsonpath={..image}",
    ];
    assert_eq!(rig::kubectl(&images, "").await, rig::image(2));

    let way = way.set("K8S_PASSWORD", "0ther");
    let Err(ClusterError::Forbidden(words)) = read(&way.client().await, &namespace).await else {
        panic!("the password is wrong");
    };
    let begins = "the API server does not take our credentials (K8S_USERNAME and K8S_PASSWORD): ";
    assert!(
        words.starts_with(begins) && !words.contains("0ther"),
        "{words}"
    );
    // kube-apiserver itself takes none.
    let way = Way::to_cluster()
        .set("K8S_USERNAME", "me")
        .set("K8S_PASSWORD", "s3cr3t");
    let Err(ClusterError::Forbidden(words)) = read(&way.client().await, &namespace).await else {
        panic!("there is no basic auth");
    };
    assert!(
        words.contains("system:anonymous") || words.starts_with(begins),
        "{words}"
    );
}

/// A kubeconfig with two contexts, `admin` by files and `other` with this user.
fn kubeconfig(way: &Way, other: &Value) -> PathBuf {
    let cluster = Cluster::shared();
    let ca = way.file("ca.crt", cluster.ca_pem());
    let made = cluster.client_certificate("by-files", MASTERS);
    let (certificate, key) = made.expect("a certificate");
    way.file("admin.crt", &certificate);
    way.file("admin.key", &key);
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "admin",
        "clusters": [{"name": "c", "cluster": {"server": cluster.url(), "certificate-authority": ca}}],
        "users": [
            {"name": "files", "user": {"client-certificate": "admin.crt", "client-key": "admin.key"}},
            {"name": "other", "user": other},
        ],
        "contexts": [
            {"name": "admin", "context": {"cluster": "c", "user": "files"}},
            {"name": "other", "context": {"cluster": "c", "user": "other"}},
        ],
    });
    way.file("config", &text.to_string()).into()
}

/// A plugin that prints what stands in `FOLDER/credential`, and the user that has it.
fn plugin(folder: &Path) -> Value {
    let path = folder.join("plugin.sh");
    let script = format!(
        "#!/bin/sh\necho ran >> '{0}/ran'\ncat '{0}/credential'\n",
        folder.display()
    );
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("executable");
    json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": path, "interactiveMode": "Never"}})
}

fn credential(status: &Value) -> String {
    let kind = "ExecCredential";
    json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": kind, "status": status})
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_is_followed_by_its_contexts_files_and_plugins() {
    let (cluster, namespace) = (Cluster::shared(), namespace().await);
    let mut way = Way::new();
    let user = plugin(way.folder.path());
    let file = kubeconfig(&way, &user);
    way = way.set("KUBECONFIG", &file.display().to_string());
    assert_eq!(
        post_as(&way.client().await, 2, &namespace).await,
        "by-files"
    );

    way.options.context = Some("other".to_owned());
    let (one, two) = (
        account(&namespace, "one").await,
        account(&namespace, "two").await,
    );
    way.file("credential", &credential(&json!({"token": one})));
    let live = way.client().await;
    let user = |name: &str| format!("system:serviceaccount:{namespace}:{name}");
    assert_eq!(post_as(&live, 3, &namespace).await, user("one"));
    // It named no time at which its token expires; it is run again when the token is refused.
    way.file("credential", &credential(&json!({"token": two})));
    revoke(&namespace, "one", &one).await;
    eventually("it is run again", async || {
        read(&live, &namespace).await.is_ok()
    })
    .await;
    assert_eq!(post_as(&live, 4, &namespace).await, user("two"));

    let made = cluster.client_certificate("by-plugin", MASTERS);
    let (certificate, key) = made.expect("a certificate");
    let pair = json!({"clientCertificateData": certificate, "clientKeyData": key});
    way.file("credential", &credential(&pair));
    assert_eq!(
        post_as(&way.client().await, 5, &namespace).await,
        "by-plugin"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_kubeconfig_names_may_rotate() {
    let (cluster, namespace) = (Cluster::shared(), namespace().await);
    let mut way = Way::new();
    let token = account(&namespace, "by-file").await;
    way.file("token", &format!("{token}\n"));
    let file = kubeconfig(&way, &json!({"tokenFile": "token"}));
    way.options.kubeconfig = Some(file);
    let live = way.client().await;
    assert_eq!(post_as(&live, 2, &namespace).await, "by-files");
    let made = cluster.client_certificate("by-other-files", MASTERS);
    let (certificate, key) = made.expect("a certificate");
    way.file("admin.crt", &certificate);
    way.file("admin.key", &key);
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    assert_eq!(post_as(&live, 3, &namespace).await, "by-other-files");
    way.options.context = Some("other".to_owned());
    let user = format!("system:serviceaccount:{namespace}:by-file");
    assert_eq!(post_as(&way.client().await, 4, &namespace).await, user);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_pod_may_rotate() {
    let namespace = namespace().await;
    let (one, two) = (
        account(&namespace, "one").await,
        account(&namespace, "two").await,
    );
    let mut way = Way::new();
    way.file("token", &one);
    way.file("ca.crt", Cluster::shared().ca_pem());
    way.options.in_cluster = Some(way.folder.path().to_owned());
    let url = Cluster::shared().url();
    let address = url.strip_prefix("https://").expect("a URL");
    let (host, port) = address.rsplit_once(':').expect("a port");
    let way = way
        .set("KUBERNETES_SERVICE_HOST", host)
        .set("KUBERNETES_SERVICE_PORT", port);
    let live = way.client().await;
    let user = |name: &str| format!("system:serviceaccount:{namespace}:{name}");
    assert_eq!(post_as(&live, 2, &namespace).await, user("one"));
    // As the kubelet does it: a link that is moved.
    fs::write(way.path("next"), two).expect("written");
    fs::rename(way.path("next"), way.path("token")).expect("renamed");
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    assert_eq!(post_as(&live, 3, &namespace).await, user("two"));
    assert!(
        live.find(&Scope::new(Select::All)).await.is_err(),
        "of its namespace only"
    );
}
