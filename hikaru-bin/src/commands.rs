//! The commands: each reads its arguments, asks the core, prints what came of it and says how it went.

mod find;
mod report;
mod serve;
mod tag;
mod unhold;
mod upgrade;

use std::process::ExitCode;

use hikaru_core::ClusterPort;
use serde::Serialize;

use crate::{
    args::{Args, Cluster, Command},
    cluster, terminal,
};

/// How a command ended, if not in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// All is done.
    Done,
    /// Failed in part, nothing matched, or only a person can mend it. It has been told why.
    Unfinished,
}

impl End {
    fn done_if(done: bool) -> Self {
        if done { Self::Done } else { Self::Unfinished }
    }
}

/// Runs a command.
pub(crate) fn run(args: Args) -> ExitCode {
    let end = match args.command {
        Command::Tag(args) => Ok(tag::run(&args)),
        Command::Serve(args) => serve::run(&args),
        Command::Unhold(args) => on(&args.cluster, async |port| unhold::run(&args, port).await),
        Command::Find(args) => on(&args.cluster, async |port| find::run(&args, port).await),
        Command::Upgrade(args) => on(&args.request.cluster, async |port| {
            upgrade::upgrade(&args, port).await
        }),
        Command::Candidates(args) => on(&args.request.cluster, async |port| {
            upgrade::candidates(&args, port).await
        }),
    };
    match end {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Unfinished) => ExitCode::from(1),
        Err(error) => {
            terminal::tell(&format!("error: {error}"));
            ExitCode::from(1)
        }
    }
}

/// Runs a command on the cluster that the arguments name.
fn on(
    args: &Cluster,
    command: impl AsyncFnOnce(&dyn ClusterPort) -> Result<End, String>,
) -> Result<End, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        let cluster = cluster::connect(args).await?;
        command(&*cluster).await
    })
}

fn json(value: &impl Serialize) -> String {
    // Text and lists alone: they always have a JSON form.
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}
