//! The arguments of `hikaru token`. How they are read, and what all commands have in common, is in `args`.

use clap::{Args as Group, Subcommand};

/// Tokens for callers of `hikaru serve`.
#[derive(Debug, Group)]
pub(crate) struct Token {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, and print it with its entry of the file of callers
    New(TokenNew),
}

/// The token is shown here and nowhere else: the file of callers (HIKARU_CALLERS_FILE) has its hash alone. Nothing is written and
/// nothing is asked for over the network.
#[derive(Debug, Group)]
pub(crate) struct TokenNew {
    /// The caller's name, as logs and reports have it
    pub(crate) name: String,
    /// What the caller may do: metrics, read, upgrade, force, force:CODE, jobs, logs, hold
    #[arg(
        long,
        value_name = "RIGHTS",
        value_delimiter = ',',
        default_value = "read,upgrade",
        env = "HIKARU_RIGHTS",
        hide_env_values = true
    )]
    pub(crate) rights: Vec<String>,
    /// The caller sees only workloads that fit, such as acme/shop/*; can be repeated
    #[arg(
        long,
        value_name = "OWNER/REPO/BRANCH",
        value_delimiter = ',',
        env = "HIKARU_IDENTITY",
        hide_env_values = true
    )]
    pub(crate) identity: Vec<String>,
    /// The caller sees only this namespace; can be repeated
    #[arg(
        long,
        value_name = "NS",
        value_delimiter = ',',
        env = "HIKARU_NAMESPACE",
        hide_env_values = true
    )]
    pub(crate) namespace: Vec<String>,
    /// The last day of the token, such as 2027-06-30 [default: it does not expire]
    #[arg(
        long,
        value_name = "DAY",
        env = "HIKARU_EXPIRES",
        hide_env_values = true
    )]
    pub(crate) expires: Option<String>,
}
