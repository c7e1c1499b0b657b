//! The arguments and the variables that mirror them, `HIKARU_*`. Values of variables are never shown by `--help`.

pub(crate) mod job;
pub(crate) mod rollout;
pub(crate) mod token;
pub(crate) mod waiting;

use std::{net::SocketAddr, path::PathBuf};

use clap::{
    ArgMatches, Args as Group, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    ValueEnum,
    builder::BoolishValueParser,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use hikaru_core::{
    Text,
    policy::Force,
    workload::{IdentityKeys, WorkloadName, check_namespace},
};

use waiting::Hindrance;

/// Upgrades the Kubernetes workloads that a newly built image is meant for, never backwards, and says for each what it
/// did and why.
///
/// Exit codes: 0 done; 1 nothing matched, or a person has to mend something; 2 bad flags or arguments; 3 the cluster refuses;
/// 4 the cluster cannot be reached, or something did not end in time: repeating can help; 130 and 143 a signal ended the waiting.
/// If the code is not 0, one line that begins with `error:` says why.
#[derive(Debug, Parser)]
#[command(name = "hikaru", version, max_term_width = 110)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// Reads the arguments and variables of this process; help and errors end it. An empty variable counts as not set, because
    /// CI sets the variables of absent expressions so. Where flags exclude each other, one that was typed wins over a variable.
    pub(crate) fn read() -> Self {
        let empty = |arg: &clap::Arg| {
            let variable = arg.get_env().and_then(std::env::var_os);
            variable.is_some_and(|value| value.is_empty())
        };
        let without_empty = |arg: clap::Arg| {
            if empty(&arg) {
                arg.env(clap::builder::Resettable::Reset)
            } else {
                arg
            }
        };
        let mut command = Self::command().mut_subcommands(|sub| {
            sub.mut_args(without_empty)
                .mut_subcommands(|sub| sub.mut_args(without_empty))
        });
        let matches = command.try_get_matches_from_mut(std::env::args_os());
        let matches = matches.unwrap_or_else(|error| named_by_variable(error, &command).exit());
        let mut args = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        let (mut names, mut innermost) = (Vec::new(), &matches);
        while let Some((name, matches)) = innermost.subcommand() {
            names.push(name);
            innermost = matches;
        }
        args.settle(&names.join(" "), innermost);
        args
    }

    /// Ends the process as clap does for bad flags: with the usage of the subcommand, such as `job run`, and 2.
    pub(crate) fn usage_error(subcommand: &str, message: &str) -> ! {
        let mut command = Self::command();
        command.build();
        let mut innermost = &mut command;
        for name in subcommand.split(' ') {
            // The names are those that clap has just read.
            innermost = match innermost.find_subcommand_mut(name) {
                Some(sub) => sub,
                None => Self::command()
                    .error(ErrorKind::ArgumentConflict, message)
                    .exit(),
            };
        }
        innermost.error(ErrorKind::ArgumentConflict, message).exit()
    }

    fn settle(&mut self, name: &str, matches: &ArgMatches) {
        let typed = |id: &str| {
            let is_one = matches.try_contains_id(id).is_ok();
            is_one && matches.value_source(id) == Some(ValueSource::CommandLine)
        };
        if let Some(cluster) = self.command.cluster()
            && cluster.manifests.is_some()
            && (cluster.kubeconfig.is_some() || cluster.context.is_some())
        {
            match (typed("manifests"), typed("kubeconfig") || typed("context")) {
                (true, false) => (cluster.kubeconfig, cluster.context) = (None, None),
                (false, true) => cluster.manifests = None,
                (true, true) => Self::usage_error(
                    name,
                    "--manifests and --kubeconfig or --context exclude each other: expected one cluster",
                ),
                (false, false) => Self::usage_error(
                    name,
                    "HIKARU_MANIFESTS and HIKARU_KUBECONFIG or HIKARU_CONTEXT exclude each other: expected one cluster",
                ),
            }
        }
        self.settle_wait(name, &typed);
    }

    fn settle_wait(&mut self, name: &str, typed: &dyn Fn(&str) -> bool) {
        let manifests = |cluster: &Cluster| Hindrance {
            id: "manifests",
            holds: cluster.manifests.is_some(),
            why: waiting::MANIFESTS,
        };
        match &mut self.command {
            Command::Upgrade(args) => {
                let dry_run = Hindrance {
                    id: "dry_run",
                    holds: args.dry_run,
                    why: waiting::DRY_RUN,
                };
                let hindrances = [dry_run, manifests(&args.request.cluster)];
                args.wait.settle(name, typed, &hindrances);
            }
            Command::Verify(args) => {
                args.wait.settle(name, typed, &[manifests(&args.cluster)]);
            }
            // In a folder it is refused with or without --wait.
            Command::Rollout(args) => args.wait.settle(name, typed, &[]),
            _ => {}
        }
    }
}

/// clap names the flag whose value cannot be read. If it was not typed, its value came from its variable: then the error names
/// the variable.
fn named_by_variable(mut error: clap::Error, command: &clap::Command) -> clap::Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    // `--namespace <NS>`, or `--file <FILE>` where the flag has a short form, too.
    let flag = shown.split([' ', '[', '=']).next().unwrap_or_default();
    let is_typed = |arg: &clap::Arg| {
        let short = arg.get_short().map(|short| format!("-{short}"));
        std::env::args().any(|typed| {
            let is_long = typed.split('=').next() == Some(flag);
            is_long || short.as_ref().is_some_and(|short| typed.starts_with(short))
        })
    };
    let subs = command.get_subcommands();
    let mut args = subs.flat_map(|sub| {
        let inner = sub.get_subcommands().flat_map(clap::Command::get_arguments);
        sub.get_arguments().chain(inner)
    });
    let arg = args.find(|arg| {
        arg.get_long()
            .is_some_and(|long| flag == format!("--{long}"))
    });
    let Some(arg) = arg.filter(|arg| !is_typed(arg)) else {
        return error;
    };
    let Some(variable) = arg.get_env().and_then(|name| name.to_str()) else {
        return error;
    };
    let named = format!("{variable}, the variable of {flag}");
    error.insert(ContextKind::InvalidArg, ContextValue::String(named));
    error
}

impl Command {
    /// How the result is printed. `None`: as text alone.
    pub(crate) fn output(&self) -> Option<Output> {
        let flag = match self {
            Self::Upgrade(args) => &args.request.output,
            Self::Candidates(args) => &args.request.output,
            Self::Find(args) => &args.output,
            Self::Unhold(args) => &args.output,
            Self::Verify(args) => &args.output,
            Self::Rollout(args) => &args.output,
            Self::Status(args) => &args.output,
            Self::Job(args) => args.command.output()?,
            Self::Tag(args) => &args.output,
            Self::Serve(_) | Self::Token(_) => return None,
        };
        Some(flag.output)
    }

    fn cluster(&mut self) -> Option<&mut Cluster> {
        match self {
            Self::Upgrade(args) => Some(&mut args.request.cluster),
            Self::Candidates(args) => Some(&mut args.request.cluster),
            Self::Find(args) => Some(&mut args.cluster),
            Self::Unhold(args) => Some(&mut args.cluster),
            Self::Verify(args) => Some(&mut args.cluster),
            Self::Rollout(args) => Some(&mut args.cluster),
            Self::Status(args) => Some(&mut args.cluster),
            Self::Serve(args) => Some(&mut args.cluster),
            Self::Job(args) => Some(args.command.cluster()),
            Self::Tag(_) | Self::Token(_) => None,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upgrade the workloads that the image is meant for
    Upgrade(Upgrade),
    /// Say what an upgrade would do; nothing is changed
    Candidates(Candidates),
    /// Say whether all workloads that the image is meant for run it
    Verify(waiting::Verify),
    /// Say which workloads use an image
    Find(Find),
    /// Remove high-water marks, so that lower builds of a workload go out again
    Unhold(Unhold),
    /// Say how the rollout of a workload is, and why it failed
    Rollout(rollout::Rollout),
    /// Say what runs where
    Status(rollout::Status),
    /// Run Jobs, say what became of them, delete them
    Job(job::Job),
    /// Say what an image's tag tells, or where and why it cannot be read
    Tag(Tag),
    /// Serve the HTTP API
    Serve(Serve),
    /// Make tokens for callers of the HTTP API
    Token(token::Token),
}

/// Who may call has no flag: HIKARU_API_TOKEN or the file HIKARU_API_TOKEN_FILE, one token with all rights a line, two while
/// they are rotated; HIKARU_CALLERS_FILE says who may do what (docs/callers.md). Files are read again when they change. Without
/// any of them hikaru listens on a loopback address only.
///
/// SIGTERM or SIGINT: what was begun is finished; a second one aborts. SIGHUP changes nothing.
#[derive(Debug, Group)]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8080", value_parser = listen,
        env = "HIKARU_LISTEN",
        hide_env_values = true
    )]
    pub(crate) listen: SocketAddr,
    /// A second address that answers only probes and metrics; callers of the API cannot use up its connections
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        value_parser = listen,
        env = "HIKARU_PROBE_LISTEN",
        hide_env_values = true
    )]
    pub(crate) probe_listen: Option<SocketAddr>,
    /// Let everybody call who reaches the address: for networks that are protected by other means
    #[arg(long, env = "HIKARU_INSECURE_NO_AUTH", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) insecure_no_auth: bool,
    /// What to log
    #[arg(long, value_enum, default_value_t = Log::Info, env = "HIKARU_LOG", hide_env_values = true)]
    pub(crate) log: Log,
    /// How the log is written, a line an event [default: text on a terminal, else json]
    #[arg(long, value_enum, env = "HIKARU_LOG_FORMAT", hide_env_values = true)]
    pub(crate) log_format: Option<LogFormat>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
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
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Group)]
pub(crate) struct Upgrade {
    /// Test everything, write nothing
    #[arg(long, env = "HIKARU_DRY_RUN", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) dry_run: bool,
    /// Fail also on another branch's build of the same version, and on two builds in one pod
    #[arg(long, env = "HIKARU_STRICT", hide_env_values = true, value_parser = BoolishValueParser::new() )]
    pub(crate) strict: bool,
    /// Exit 0 when nothing matches: for branches that have no deployment
    #[arg(long, env = "HIKARU_ALLOW_NONE", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) allow_none: bool,
    #[command(flatten)]
    pub(crate) wait: waiting::Wait,
    #[command(flatten)]
    pub(crate) several: waiting::WaitForSeveral,
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
    #[command(flatten)]
    pub(crate) narrow: Narrow,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// Which of the workloads that a build is meant for count, and how its tag is read.
#[derive(Debug, Group)]
pub(crate) struct Narrow {
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
    #[arg(long, value_parser = label, env = "HIKARU_OWNER", hide_env_values = true)]
    pub(crate) owner: Option<Text>,
    /// Read the tag so that this is the repo
    #[arg(long, value_parser = label, env = "HIKARU_REPO", hide_env_values = true)]
    pub(crate) repo: Option<Text>,
    /// Read the tag so that this is the branch
    #[arg(long, value_parser = label, env = "HIKARU_BRANCH", hide_env_values = true)]
    pub(crate) branch: Option<Text>,
}

impl Narrow {
    /// As a person would type it again: ` --namespace shop`.
    pub(crate) fn typed(&self) -> String {
        let namespaces = self
            .namespace
            .iter()
            .map(|ns| ("namespace", ns.to_string()));
        let workloads = self.workload.iter().map(|w| ("workload", w.to_string()));
        let label = |flag, value: &Option<Text>| Some((flag, value.as_ref()?.to_string()));
        let labels = [
            label("owner", &self.owner),
            label("repo", &self.repo),
            label("branch", &self.branch),
        ];
        let all = namespaces
            .chain(workloads)
            .chain(labels.into_iter().flatten());
        all.map(|(flag, value)| format!(" --{flag} {value}"))
            .collect()
    }
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
    #[arg(
        long,
        value_name = "DIR",
        env = "HIKARU_MANIFESTS",
        hide_env_values = true
    )]
    pub(crate) manifests: Option<PathBuf>,
    /// The kubeconfig to connect by [default: K8S_URL with K8S_CA and K8S_TOKEN, K8S_TOKEN_FILE, K8S_CERT and K8S_KEY,
    /// or K8S_USERNAME and K8S_PASSWORD; else KUBECONFIG, else in-cluster, else ~/.kube/config]
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

fn label(text: &str) -> Result<Text, &'static str> {
    if text.is_empty() {
        return Err("expected a label's value, found an empty text");
    }
    Ok(text.into())
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an address and a port such as 127.0.0.1:8080 or [::1]:8080".to_owned()
    })
}

fn namespace(text: &str) -> Result<Text, hikaru_core::workload::NameError> {
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
        let subs = command.get_subcommands();
        for sub in subs.flat_map(|sub| sub.get_subcommands().chain([sub])) {
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
