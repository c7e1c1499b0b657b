//! The arguments of `hikaru job`. How they are read, and what all commands have in common, is in `args`.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand, builder::BoolishValueParser};
use hikaru_core::{Text, jobs::JobName};
use hikaru_http::wire::Patience;

use super::{Cluster, OutputFlag, namespace};

/// Jobs: tasks that run once, such as migrations and smoke tests after a deployment.
///
/// Jobs of the connection's own namespace alone are touched, unless HIKARU_JOB_NAMESPACES names others (separated by
/// commas; `*`: all). A Job runs as the ServiceAccount default, unless HIKARU_JOB_SERVICE_ACCOUNTS names others (`*`:
/// any), and nothing in it is privileged (docs/job-rules.md), unless HIKARU_JOB_PRIVILEGED is true.
///
/// Exit codes: 0 done, and with --wait complete; 1 the Job failed, or only a person can mend it; 2 bad flags or arguments;
/// 3 refused; 4 the cluster cannot be reached, or the Job has not ended in time: look (hikaru job status) before it is run
/// again.
#[derive(Debug, Group)]
pub(crate) struct Job {
    #[command(subcommand)]
    pub(crate) command: JobCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Run a Job that a file defines
    Run(JobRun),
    /// Run a Job from the template of a CronJob
    From(JobFrom),
    /// List the Jobs of a namespace
    List(JobList),
    /// Say what became of a Job; exits 1 if it has failed
    Status(JobStatus),
    /// Print what the containers of a Job have written
    Log(JobNamed),
    /// Delete a Job with its pods
    Delete(JobNamed),
}

impl JobCommand {
    pub(super) fn output(&self) -> Option<&OutputFlag> {
        match self {
            Self::Run(args) => Some(&args.output),
            Self::From(args) => Some(&args.output),
            Self::List(args) => Some(&args.output),
            Self::Status(args) => Some(&args.output),
            Self::Log(_) | Self::Delete(_) => None,
        }
    }

    pub(super) fn cluster(&mut self) -> &mut Cluster {
        match self {
            Self::Run(args) => &mut args.cluster,
            Self::From(args) => &mut args.cluster,
            Self::List(args) => &mut args.cluster,
            Self::Status(args) => &mut args.cluster,
            Self::Log(args) | Self::Delete(args) => &mut args.cluster,
        }
    }
}

#[derive(Debug, Group)]
pub(crate) struct JobRun {
    /// The definition, JSON or YAML, at most 1 MiB; `-`: standard input
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "HIKARU_FILE",
        hide_env_values = true
    )]
    pub(crate) file: PathBuf,
    /// The namespace, where the definition names none
    #[arg(long, value_name = "NS", value_parser = namespace, env = "HIKARU_NAMESPACE", hide_env_values = true)]
    pub(crate) namespace: Option<Text>,
    /// Delete a Job of that name first
    #[arg(long, env = "HIKARU_REPLACE", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) course: Course,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Group)]
pub(crate) struct JobFrom {
    /// The CronJob
    #[arg(value_name = "NAMESPACE/CRONJOB")]
    pub(crate) cronjob: JobName,
    /// The image that its containers of the same repository run
    #[arg(long, env = "HIKARU_IMAGE", hide_env_values = true)]
    pub(crate) image: Option<Text>,
    #[command(flatten)]
    pub(crate) course: Course,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// Whether a Job is created at all, and whether the command waits for its end.
#[derive(Debug, Group)]
pub(crate) struct Course {
    /// Test everything, create nothing
    #[arg(long, env = "HIKARU_DRY_RUN", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) dry_run: bool,
    /// Wait until the Job has ended, 10m without a time; exits 1 if it fails and 4 if it has not ended
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "10m",
          env = "HIKARU_WAIT", hide_env_values = true)]
    pub(crate) wait: Option<Patience>,
}

#[derive(Debug, Group)]
pub(crate) struct JobList {
    /// The namespace
    #[arg(value_name = "NAMESPACE", value_parser = namespace)]
    pub(crate) namespace: Text,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Group)]
pub(crate) struct JobStatus {
    /// The Job
    #[arg(value_name = "NAMESPACE/NAME")]
    pub(crate) job: JobName,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Group)]
pub(crate) struct JobNamed {
    /// The Job
    #[arg(value_name = "NAMESPACE/NAME")]
    pub(crate) job: JobName,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}
