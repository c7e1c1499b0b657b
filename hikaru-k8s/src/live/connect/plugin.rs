//! Plugins for credentials, `exec` of a kubeconfig: how one is run, within a time, and what it answers. Which one it is, is
//! said in `connection`; when it is run again, in `transport`.
//!
//! kube runs them, too, but waits for ever, and leaves what it started behind.

use std::{
    io::{self, IsTerminal as _},
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use http::HeaderValue;
use jiff::Timestamp;
use kube::config::{ExecConfig, ExecInteractiveMode};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    join,
    process::{Child, Command},
    time::timeout,
};

use super::{
    authorization,
    pem::{Content, Pem},
};
use crate::{
    job::BUDGET,
    yaml::{Documents, Piece},
};

/// How long a plugin may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a plugin may take if a user may have to log in.
const PERSON: Duration = Duration::from_secs(300);
/// Most bytes that are read of a plugin's answer, and of its error output.
const LONGEST: u64 = 1 << 20;
/// How much of a plugin's error output is repeated, in characters.
const EXCERPT: usize = 300;

/// A plugin of a kubeconfig.
#[derive(Clone)]
pub(in crate::live) struct Plugin {
    exec: Arc<ExecConfig>,
    limit: Option<Duration>,
}

/// What a plugin gives.
#[derive(Clone)]
pub(in crate::live) struct Granted {
    pub(super) authorization: Option<HeaderValue>,
    /// A certificate and its key.
    pub(super) identity: Option<(Pem, Pem)>,
    /// When it expires, if that is known.
    expires: Option<Timestamp>,
}

impl Granted {
    /// How long it is valid, if that is known.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = Timestamp::now().duration_until(self.expires?);
        Some(Duration::try_from(left).unwrap_or_default())
    }
}

/// The answer of a plugin, as Kubernetes has it.
#[derive(Deserialize)]
struct ExecCredential {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<SecretString>,
    client_certificate_data: Option<String>,
    client_key_data: Option<SecretString>,
    expiration_timestamp: Option<String>,
}

impl Plugin {
    pub(in crate::live) fn new(exec: ExecConfig) -> Self {
        Self {
            exec: Arc::new(exec),
            limit: None,
        }
    }

    /// With another limit.
    #[cfg(test)]
    pub(in crate::live) fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Runs it. After its time limit it is killed, together with the processes that it started.
    ///
    /// # Errors
    /// Why it gave no credentials. Neither its input nor its answer is shown, because they may be secrets.
    pub(in crate::live) async fn run(&self) -> Result<Granted, String> {
        let exec = &*self.exec;
        let name = exec.command.as_deref();
        let name = name.ok_or("the plugin for credentials has no command")?;
        // As in kubectl: a user can be asked where standard input is a terminal.
        let person =
            exec.interactive_mode != Some(ExecInteractiveMode::Never) && io::stdin().is_terminal();
        let limit = self.limit.unwrap_or(if person { PERSON } else { LIMIT });
        let child = start(exec, name, person)?;
        match timeout(limit, ended(child, person)).await {
            Ok(ended) => answer(name, ended),
            Err(_) => Err(format!(
                "the plugin for credentials {name} has not ended within {} s",
                limit.as_secs_f32()
            )),
        }
    }
}

fn start(exec: &ExecConfig, name: &str, person: bool) -> Result<Child, String> {
    let mut spec = json!({"interactive": person});
    if exec.provide_cluster_info {
        let cluster = exec.cluster.as_ref();
        let cluster = cluster.and_then(|cluster| serde_json::to_value(cluster).ok());
        spec["cluster"] = cluster.ok_or(
            "the plugin for credentials wants to know the cluster, of which the kubeconfig says nothing",
        )?;
    }
    let asked = json!({"apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec});
    let mut command = Command::new(name);
    command.args(exec.args.iter().flatten());
    for variable in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            command.env(name, value);
        }
    }
    command.env("KUBERNETES_EXEC_INFO", asked.to_string());
    command.stdout(Stdio::piped()).kill_on_drop(true);
    if person {
        command.stdin(Stdio::inherit()).stderr(Stdio::inherit());
    } else {
        // A process group of its own, so that all of it can be killed. On a terminal such a group could not read.
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command.process_group(0);
    }
    command.spawn().map_err(|reason| match reason.kind() {
        io::ErrorKind::NotFound => {
            let hint = words(exec.install_hint.as_deref().unwrap_or_default());
            let hint = Some(hint).filter(|hint| !hint.is_empty());
            let hint = hint.unwrap_or("the kubeconfig has no installHint for it".to_owned());
            format!("the plugin for credentials {name} is not there: {hint}")
        }
        _ => format!("the plugin for credentials {name} cannot be started: {reason}"),
    })
}

/// A text in one line, truncated.
fn words(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(EXCERPT).collect()
}

/// Kills a process group when it is dropped, unless the plugin has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Waits for its end, and reads what it writes.
async fn ended(mut child: Child, person: bool) -> io::Result<Output> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let group = id.filter(|_| !person).and_then(Pid::from_raw);
    let mut group = Group(group);
    let (stdout, stderr) = (whole(child.stdout.take()), whole(child.stderr.take()));
    let (stdout, stderr, status) = join!(stdout, stderr, child.wait());
    // From now on another process may have its number.
    group.0 = None;
    Ok(Output {
        status: status?,
        stdout: stdout?,
        stderr: stderr?,
    })
}

/// What is written, up to a limit. Then the pipe is closed, which ends a program that writes on.
async fn whole(from: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(from) = from {
        from.take(LONGEST).read_to_end(&mut read).await?;
    }
    Ok(read)
}

fn answer(name: &str, ended: io::Result<Output>) -> Result<Granted, String> {
    let ended = ended.map_err(|reason| {
        format!(
            "the plugin for credentials {name} was started, but waiting for its answer failed: {reason}"
        )
    })?;
    if !ended.status.success() {
        let complaint = words(&String::from_utf8_lossy(&ended.stderr));
        let joint = if complaint.is_empty() { "" } else { ": " };
        return Err(format!(
            "the plugin for credentials ended with {}{joint}{complaint}",
            ended.status
        ));
    }
    let answer =
        read(&ended.stdout).ok_or("the answer of the plugin for credentials cannot be read")?;
    let status = answer
        .status
        .ok_or("the answer of the plugin for credentials has no status")?;
    let token = status
        .token
        .as_ref()
        .map(|token| authorization::bearer(token.expose_secret()));
    let authorization = token
        .transpose()
        .map_err(|reason| format!("the token of the plugin for credentials: {reason}"))?;
    let pem = |what: &str, content, text: &str| {
        let what = format!("the {what} of the plugin for credentials");
        Pem::text(what, content, text.as_bytes().to_vec())
    };
    let pair = status.client_certificate_data.zip(status.client_key_data);
    let identity = pair.map(|(certificate, key)| {
        (
            pem("certificate", Content::Certificates, &certificate),
            pem("key", Content::Key, key.expose_secret()),
        )
    });
    if authorization.is_none() && identity.is_none() {
        return Err(
            "the answer of the plugin for credentials has a status without a token and without a certificate and its key"
                .to_owned(),
        );
    }
    Ok(Granted {
        authorization,
        identity,
        expires: status
            .expiration_timestamp
            .and_then(|time| time.parse().ok()),
    })
}

fn read(output: &[u8]) -> Option<ExecCredential> {
    let text = std::str::from_utf8(output).ok()?;
    // kubectl takes YAML, too, and JSON is YAML.
    let Some(Piece::Document(tree)) = Documents::new(text).at_most(BUDGET.values).next() else {
        return None;
    };
    serde_json::from_value(tree.json(BUDGET).ok()??).ok()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    use super::*;

    fn plugin(command: &str, args: &[&str]) -> Plugin {
        Plugin::new(ExecConfig {
            command: Some(command.to_owned()),
            args: Some(args.iter().map(|arg| (*arg).to_owned()).collect()),
            interactive_mode: Some(ExecInteractiveMode::Never),
            ..ExecConfig::default()
        })
    }

    async fn says(plugin: &Plugin) -> String {
        match plugin.run().await {
            Ok(_) => "credentials".to_owned(),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn one_that_is_not_there_is_named_with_its_hint() {
        let mut absent = plugin("hikaru-has-no-such-plugin", &[]);
        let begins = "the plugin for credentials hikaru-has-no-such-plugin is not there: ";
        let expected = format!("{begins}the kubeconfig has no installHint for it");
        assert_eq!(says(&absent).await, expected);
        Arc::make_mut(&mut absent.exec).install_hint =
            Some("Get it with\n  brew install such-a-plugin".to_owned());
        let expected = format!("{begins}Get it with brew install such-a-plugin");
        assert_eq!(says(&absent).await, expected);
    }

    #[test]
    fn one_that_cannot_be_waited_for_is_not_told_as_one_that_cannot_be_started() {
        let failed = Err(io::Error::other("no child processes"));
        assert_eq!(
            answer("sh", failed).err().as_deref(),
            Some(
                "the plugin for credentials sh was started, but waiting for its answer failed: no child processes"
            )
        );
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > '{}'; wait", file.display());
        let hangs = plugin("sh", &["-c", &script]).within(Duration::from_secs(1));
        let told = says(&hangs).await;
        let expected = "the plugin for credentials sh has not ended within 1 s";
        assert_eq!(told, expected);
        let started = std::fs::read_to_string(file).unwrap_or_default();
        let stat = format!("/proc/{}/stat", started.trim());
        let gone = async {
            // A process that was killed and that nobody has waited for yet is a zombie.
            while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, gone).await.expect("it is killed");
    }

    #[tokio::test]
    async fn what_it_answers_is_taken() {
        for (script, expected) in [
            (r#"echo '{"status": {"token": "abc\n"}}'"#, "credentials"),
            ("printf 'status:\\n  token: abc\\n'", "credentials"),
            (
                r#"echo '{"status": {"clientCertificateData": "c", "clientKeyData": "k"}}'"#,
                "credentials",
            ),
            (
                r#"echo '{"status": {"clientCertificateData": "c"}}'"#,
                "the answer of the plugin for credentials has a status without a token and without a certificate and its key",
            ),
            (
                "echo '{}'",
                "the answer of the plugin for credentials has no status",
            ),
            (
                r#"echo '{"status": {"token": "a b"}}'"#,
                "the token of the plugin for credentials: expected a token of visible ASCII characters, found a space after 1 of them",
            ),
            (
                "echo '{s3cr3t'",
                "the answer of the plugin for credentials cannot be read",
            ),
            (
                ":",
                "the answer of the plugin for credentials cannot be read",
            ),
            (
                "exec yes",
                "the plugin for credentials ended with signal: 13 (SIGPIPE)",
            ),
            (
                "echo Log  in first. >&2; exit 3",
                "the plugin for credentials ended with exit status: 3: Log in first.",
            ),
        ] {
            assert_eq!(says(&plugin("sh", &["-c", script])).await, expected);
        }
        let script = r#"echo "{\"status\": {\"token\": \"abc\", \"expirationTimestamp\": \"2026-03-01T10:00:00Z\"}}""#;
        let granted = plugin("sh", &["-c", script]).run().await;
        let granted = granted.unwrap_or_else(|error| panic!("{error}"));
        let expected: Timestamp = "2026-03-01T10:00:00Z".parse().expect("a time");
        assert_eq!(granted.expires, Some(expected));
        assert_eq!(granted.authorization.expect("a header"), "Bearer abc");
    }

    #[tokio::test]
    async fn it_is_told_what_is_asked_for() {
        let mut asks = plugin(
            "sh",
            &[
                "-c",
                r#"echo "{\"status\": {\"token\": \"$(printf %s "$KUBERNETES_EXEC_INFO$OWN" | base64 | tr -d '\n')\"}}""#,
            ],
        );
        let exec = Arc::make_mut(&mut asks.exec);
        exec.api_version = Some("client.authentication.k8s.io/v1".to_owned());
        let variable = [("name", "OWN"), ("value", "!")];
        let variable = variable.map(|(key, value)| (key.to_owned(), value.to_owned()));
        exec.env = Some(vec![variable.into()]);
        let granted = asks.run().await.unwrap_or_else(|error| panic!("{error}"));
        let header = granted.authorization.expect("a header");
        let token = header
            .to_str()
            .expect("ASCII")
            .trim_start_matches("Bearer ");
        let asked = BASE64_STANDARD.decode(token);
        assert_eq!(
            String::from_utf8(asked.expect("base64")).expect("UTF-8"),
            r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}!"#
        );
    }
}
