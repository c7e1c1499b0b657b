//! The arguments and the variables that mirror them, `HIKARU_*`. Values of variables are never shown by `--help`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args as Group, Parser, Subcommand, ValueEnum, builder::BoolishValueParser};
use hikaru_core::{Force, IdentityKeys, Text, WorkloadName, check_namespace};

/// Upgrades the Kubernetes workloads that a newly built image is meant for, never backwards, and says for each what it
/// did and why.
///
/// Exit codes: 0 done; 1 failed in part or whole, or nothing matched, or a verdict that only a person can mend; 2 bad
/// flags or arguments.
#[derive(Debug, Parser)]
#[command(name = "hikaru", version, max_term_width = 110)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upgrade the workloads that the image is meant for
    Upgrade(Upgrade),
    /// Say what an upgrade would do; nothing is changed
    Candidates(Candidates),
    /// Say which workloads use an image
    Find(Find),
    /// Remove high-water marks, so that lower builds of a workload go out again
    Unhold(Unhold),
    /// Say what an image's tag tells, or where and why it cannot be read
    Tag(Tag),
    /// Serve the HTTP API
    Serve(Serve),
}

/// The API's tokens have no flag: HIKARU_API_TOKEN, or HIKARU_API_TOKEN_FILE with one token a line; two may be valid
/// while they are rotated. Without one hikaru listens on a loopback address only.
///
/// SIGTERM or SIGINT: what was begun is finished; a second one aborts.
#[derive(Debug, Group)]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8080",
        env = "HIKARU_LISTEN",
        hide_env_values = true
    )]
    pub(crate) listen: SocketAddr,
    /// Let everybody call who reaches the address: for networks that are protected by other means
    #[arg(long, env = "HIKARU_INSECURE_NO_AUTH", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) insecure_no_auth: bool,
    /// What to log
    #[arg(long, value_enum, default_value_t = Log::Info, env = "HIKARU_LOG", hide_env_values = true)]
    pub(crate) log: Log,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Debug, Group)]
pub(crate) struct Unhold {
    /// The workload
    #[arg(value_name = "NAMESPACE/KIND/NAME")]
    pub(crate) workload: WorkloadName,
    /// Only the mark of this container
    #[arg(
        long,
        value_name = "NAME",
        env = "HIKARU_CONTAINER",
        hide_env_values = true
    )]
    pub(crate) container: Option<Text>,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Group)]
pub(crate) struct Upgrade {
    /// Test everything, write nothing
    #[arg(long, env = "HIKARU_DRY_RUN", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) dry_run: bool,
    /// Fail also on what stays behind without anybody having said so: held, other-branch
    #[arg(long, env = "HIKARU_STRICT", hide_env_values = true, value_parser = BoolishValueParser::new(),
          conflicts_with = "allow_none")]
    pub(crate) strict: bool,
    /// Exit 0 when nothing matches: for branches that have no deployment
    #[arg(long, env = "HIKARU_ALLOW_NONE", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) allow_none: bool,
    #[command(flatten)]
    pub(crate) request: Request,
}

#[derive(Debug, Group)]
pub(crate) struct Candidates {
    #[command(flatten)]
    pub(crate) request: Request,
}

#[derive(Debug, Group)]
pub(crate) struct Find {
    /// The image: of a build tag those that an upgrade considers, of another tag or a digest those that run exactly it,
    /// else all of the repository
    pub(crate) image: String,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Group)]
pub(crate) struct Tag {
    /// The image, such as ghcr.io/acme/web:acme_web_main_1.4.0_7_0123abcd
    pub(crate) image: String,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
}

/// A build, and how it is narrowed and forced.
#[derive(Debug, Group)]
pub(crate) struct Request {
    /// The image, its tag made by buildgoggles: {owner}_{repo}_{branch}_{version}_{build}_{commit}
    pub(crate) image: String,
    /// Pass over these verdicts: manual, held, obsolete, conflicting-build, other-branch, constraint; all without codes
    #[arg(long, value_name = "CODES", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          env = "HIKARU_FORCE", hide_env_values = true)]
    pub(crate) force: Option<Force>,
    /// Only in this namespace; can be repeated
    #[arg(long, value_name = "NS", value_delimiter = ',', value_parser = namespace, env = "HIKARU_NAMESPACE",
          hide_env_values = true)]
    pub(crate) namespace: Vec<Text>,
    /// Only this workload; can be repeated
    #[arg(
        long,
        value_name = "NS/KIND/NAME",
        value_delimiter = ',',
        env = "HIKARU_WORKLOAD",
        hide_env_values = true
    )]
    pub(crate) workload: Vec<WorkloadName>,
    /// Read the tag so that this is the owner
    #[arg(long, env = "HIKARU_OWNER", hide_env_values = true)]
    pub(crate) owner: Option<Text>,
    /// Read the tag so that this is the repo
    #[arg(long, env = "HIKARU_REPO", hide_env_values = true)]
    pub(crate) repo: Option<Text>,
    /// Read the tag so that this is the branch
    #[arg(long, env = "HIKARU_BRANCH", hide_env_values = true)]
    pub(crate) branch: Option<Text>,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Group)]
pub(crate) struct OutputFlag {
    /// A table for people or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table, env = "HIKARU_OUTPUT", hide_env_values = true)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

/// Which cluster, and which of its labels count.
#[derive(Debug, Group)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Cluster {
    /// A folder of Kubernetes manifests is the cluster
    #[arg(long, value_name = "DIR", env = "HIKARU_MANIFESTS", hide_env_values = true,
          conflicts_with_all = ["kubeconfig", "context"])]
    pub(crate) manifests: Option<PathBuf>,
    /// The kubeconfig to connect by [default: K8S_URL with K8S_TOKEN and K8S_CA, else KUBECONFIG, else in-cluster,
    /// else ~/.kube/config]
    #[arg(
        long,
        value_name = "FILE",
        env = "HIKARU_KUBECONFIG",
        hide_env_values = true
    )]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(
        long,
        value_name = "NAME",
        env = "HIKARU_CONTEXT",
        hide_env_values = true
    )]
    pub(crate) context: Option<String>,
    /// The label that names the owner
    #[arg(
        long,
        value_name = "KEY",
        default_value = "owner",
        env = "HIKARU_LABEL_OWNER",
        hide_env_values = true
    )]
    label_owner: Text,
    /// The label that names the repo
    #[arg(
        long,
        value_name = "KEY",
        default_value = "repo",
        env = "HIKARU_LABEL_REPO",
        hide_env_values = true
    )]
    label_repo: Text,
    /// The label that names the branch
    #[arg(
        long,
        value_name = "KEY",
        default_value = "branch",
        env = "HIKARU_LABEL_BRANCH",
        hide_env_values = true
    )]
    label_branch: Text,
}

impl Cluster {
    /// The labels that say what a workload is built from.
    pub(crate) fn keys(&self) -> IdentityKeys {
        IdentityKeys {
            owner: self.label_owner.clone(),
            repo: self.label_repo.clone(),
            branch: self.label_branch.clone(),
        }
    }
}

fn namespace(text: &str) -> Result<Text, hikaru_core::NameError> {
    check_namespace(text).map(|()| text.into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_sound() {
        super::Args::command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable_and_shows_no_value() {
        let command = super::Args::command();
        for sub in command.get_subcommands() {
            for arg in sub.get_arguments().filter(|a| a.get_long().is_some()) {
                let long = arg.get_long().unwrap_or_default();
                let variable = format!("HIKARU_{}", long.replace('-', "_").to_uppercase());
                let env = arg.get_env().and_then(|e| e.to_str());
                assert_eq!(env, Some(&*variable), "{} --{long}", sub.get_name());
                assert!(arg.is_hide_env_values_set(), "{} --{long}", sub.get_name());
            }
        }
    }
}
