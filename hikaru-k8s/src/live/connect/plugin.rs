//! Plugins for credentials, `exec` of a kubeconfig: how one is run, within a time, and what it answers. Which one it is, is
//! said in `connection`; when it is run again, in `transport`.
//!
//! kube runs them, too, but waits for ever, and leaves what it started behind.

use std::{
    io::{self, IsTerminal as _},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    time::timeout,
};

use super::{error::TokenError, token};
use crate::{
    job::BUDGET,
    yaml::{Documents, Piece},
};

/// How long a plugin may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a plugin may take if a user may have to log in.
const PERSON: Duration = Duration::from_secs(300);
/// How much of a plugin's output is read, in bytes.
const LONGEST: u64 = 1 << 20;
/// How much of a plugin's error output is repeated, in characters.
const EXCERPT: usize = 300;

/// A plugin of a kubeconfig.
#[derive(Clone)]
pub(in crate::live) struct Plugin {
    exec: Arc<ExecConfig>,
    limit: Option<Duration>,
}

/// The credentials that a plugin gives.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::live) struct Credential {
    #[serde(deserialize_with = "secret")]
    token: Option<SecretString>,
    client_certificate_data: Option<String>,
    #[serde(deserialize_with = "secret")]
    client_key_data: Option<SecretString>,
    expiration_timestamp: Option<String>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.map(SecretString::from))
}

#[derive(Deserialize)]
struct Answer {
    status: Option<Credential>,
}

/// Why a plugin gave no credentials. Neither its input nor its answer is shown, because they may be secrets.
#[derive(Debug, thiserror::Error)]
pub(in crate::live) enum PluginError {
    #[error("the plugin for credentials has no command")]
    NoCommand,
    #[error("the plugin for credentials {command} is not there: {hint}")]
    Missing { command: String, hint: String },
    #[error("the plugin for credentials {command} cannot be started: {reason}")]
    Start { command: String, reason: io::Error },
    #[error(
        "the plugin for credentials {command} was started, but waiting for its answer failed: {reason}"
    )]
    Wait { command: String, reason: io::Error },
    #[error("the plugin for credentials {command} has not ended within {} s", .limit.as_secs_f32())]
    Slow { command: String, limit: Duration },
    #[error("the plugin for credentials ended with {0}{1}")]
    Failed(ExitStatus, String),
    #[error("the answer of the plugin for credentials cannot be read")]
    Unreadable,
    #[error("the answer of the plugin for credentials has no status")]
    NoStatus,
    #[error(
        "the answer of the plugin for credentials has a status without a token and without a certificate and its key"
    )]
    Nothing,
    #[error("the token of the plugin for credentials: {0}")]
    Token(TokenError),
    #[error(
        "the plugin for credentials wants to know the cluster, of which the kubeconfig says nothing"
    )]
    NoCluster,
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
    pub(in crate::live) async fn run(&self) -> Result<Credential, PluginError> {
        let exec = &*self.exec;
        let command = exec.command.clone().ok_or(PluginError::NoCommand)?;
        // As in kubectl: a user can be asked where standard input is a terminal.
        let person =
            exec.interactive_mode != Some(ExecInteractiveMode::Never) && io::stdin().is_terminal();
        let limit = self.limit.unwrap_or(if person { PERSON } else { LIMIT });
        let child = start(exec, &command, person)?;
        match timeout(limit, ended(child, person)).await {
            Ok(ended) => answer_of(command, ended),
            Err(_) => Err(PluginError::Slow { command, limit }),
        }
    }
}

/// The credentials of a plugin that was started and waited for.
fn answer_of(command: String, ended: io::Result<Ended>) -> Result<Credential, PluginError> {
    answer(ended.map_err(|reason| PluginError::Wait { command, reason })?)
}

fn start(exec: &ExecConfig, name: &str, person: bool) -> Result<Child, PluginError> {
    let mut spec = json!({"interactive": person});
    if exec.provide_cluster_info {
        let cluster = exec.cluster.as_ref().ok_or(PluginError::NoCluster)?;
        spec["cluster"] = serde_json::to_value(cluster).map_err(|_| PluginError::NoCluster)?;
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
    command.spawn().map_err(|reason| {
        let command = name.to_owned();
        match reason.kind() {
            io::ErrorKind::NotFound => PluginError::Missing {
                command,
                hint: hint(exec),
            },
            _ => PluginError::Start { command, reason },
        }
    })
}

/// The kubeconfig's hint about a plugin that is not installed.
fn hint(exec: &ExecConfig) -> String {
    let hint = exec.install_hint.as_deref().unwrap_or_default().trim();
    match hint.is_empty() {
        true => "the kubeconfig has no installHint for it".to_owned(),
        false => words(hint),
    }
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

struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Waits for its end, and reads what it writes.
async fn ended(mut child: Child, person: bool) -> io::Result<Ended> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let group = id.filter(|_| !person).and_then(Pid::from_raw);
    let mut group = Group(group);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr, status) = tokio::join!(whole(out), whole(err), child.wait());
    // From now on another process may have its number.
    group.0 = None;
    Ok(Ended {
        status: status?,
        stdout: stdout?,
        stderr: stderr?,
    })
}

async fn whole(from: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(from) = from {
        from.take(LONGEST).read_to_end(&mut read).await?;
    }
    Ok(read)
}

fn answer(ended: Ended) -> Result<Credential, PluginError> {
    if !ended.status.success() {
        let complaint = words(&String::from_utf8_lossy(&ended.stderr));
        let joint = if complaint.is_empty() { "" } else { ": " };
        return Err(PluginError::Failed(
            ended.status,
            format!("{joint}{complaint}"),
        ));
    }
    let text = std::str::from_utf8(&ended.stdout).map_err(|_| PluginError::Unreadable)?;
    // kubectl takes YAML, too, and JSON is YAML.
    let value = match Documents::new(text).at_most(BUDGET.values).next() {
        Some(Piece::Document(tree)) => tree.json(BUDGET).ok().flatten(),
        _ => None,
    };
    let answer = value.and_then(|value| serde_json::from_value::<Answer>(value).ok());
    let credential = answer.ok_or(PluginError::Unreadable)?.status;
    let mut credential = credential.ok_or(PluginError::NoStatus)?;
    if let Some(token) = &credential.token {
        let sound = token::check(token.expose_secret()).map_err(PluginError::Token)?;
        credential.token = Some(sound.to_owned().into());
    }
    let pair = credential
        .client_certificate_data
        .as_ref()
        .zip(credential.client_key_data.as_ref());
    if credential.token.is_none() && pair.is_none() {
        return Err(PluginError::Nothing);
    }
    Ok(credential)
}

impl Credential {
    /// When it expires, if that is known.
    pub(in crate::live) fn expires(&self) -> Option<Timestamp> {
        self.expiration_timestamp.as_ref()?.parse().ok()
    }

    /// Hands it to kube.
    pub(in crate::live) fn put_into(&self, auth: &mut AuthInfo) {
        auth.token = self.token.clone();
        if let (Some(certificate), Some(key)) =
            (&self.client_certificate_data, &self.client_key_data)
        {
            auth.client_certificate_data = Some(BASE64_STANDARD.encode(certificate));
            let key = BASE64_STANDARD.encode(key.expose_secret());
            auth.client_key_data = Some(key.into());
        }
    }
}

#[cfg(test)]
mod tests {
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
            Err(error) => error.to_string(),
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
        let told = answer_of("sh".to_owned(), failed).err();
        assert_eq!(
            told.map(|error| error.to_string()).as_deref(),
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
                "echo Log  in first. >&2; exit 3",
                "the plugin for credentials ended with exit status: 3: Log in first.",
            ),
        ] {
            assert_eq!(says(&plugin("sh", &["-c", script])).await, expected);
        }
        let script = r#"echo "{\"status\": {\"token\": \"abc\", \"expirationTimestamp\": \"2026-03-01T10:00:00Z\"}}""#;
        let credential = plugin("sh", &["-c", script]).run().await;
        let credential = credential.expect("credentials");
        let expected: Timestamp = "2026-03-01T10:00:00Z".parse().expect("a time");
        assert_eq!(credential.expires(), Some(expected));
        let mut auth = AuthInfo::default();
        credential.put_into(&mut auth);
        let token = auth.token.expect("a token");
        assert_eq!(token.expose_secret(), "abc");
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
        let credential = asks.run().await.expect("credentials");
        let token = credential.token.expect("a token");
        let asked = BASE64_STANDARD.decode(token.expose_secret());
        assert_eq!(
            String::from_utf8(asked.expect("base64")).expect("UTF-8"),
            r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}!"#
        );
    }
}
