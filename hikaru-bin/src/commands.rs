//! The commands: each reads its arguments, asks the core, prints what came of it and says how it went. What the exit codes
//! mean is in `exit`.

mod exit;
mod find;
mod job;
mod report;
mod rollout;
mod rollouts;
mod serve;
mod status;
mod tag;
mod token;
mod unhold;
mod upgrade;
mod verify;
mod waiting;

use std::process::ExitCode;

use exit::{End, Exit, Failure};
use hikaru_core::{
    TagFormats,
    image::{BuildError, Reference},
    text::Escaped,
};
use serde::Serialize;

use crate::{
    args::{Args, Cluster, Command, Output, rollout::Target},
    cluster::{self, Ports, Settings},
    terminal,
};

/// The variable that names the tag formats.
const TAG_FORMATS: &str = "HIKARU_TAG_FORMATS";

/// Runs a command. If it does not end with 0, one line on standard error says why. Where JSON is asked for, standard output
/// has JSON in any case: the result, or the error in its place.
pub(crate) fn run(args: Args) -> ExitCode {
    let output = args.command.output();
    let failure = match run_command(args.command) {
        Ok(End::Done) => return ExitCode::SUCCESS,
        Ok(End::Failed(failure)) => failure,
        Err(failure) => {
            if output == Some(Output::Json) {
                let error = serde_json::json!({ "error": failure.why });
                // If this cannot be written, either, the line below still says what went wrong first.
                let _ = terminal::print(&json(&error));
            }
            failure
        }
    };
    terminal::tell_error(&failure.why);
    failure.exit.into()
}

fn run_command(command: Command) -> Result<End, Failure> {
    match command {
        Command::Tag(args) => tag::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Token(args) => token::run(&args.command),
        Command::Job(args) => job::run(&args.command),
        Command::Unhold(args) => {
            let settings = Settings::read()?;
            upgrade::check_kinds("unhold", std::slice::from_ref(&args.workload), &settings);
            on(&args.cluster, &settings, async |ports| {
                unhold::run(&args, &*ports.workloads).await
            })
        }
        Command::Rollout(args) => {
            if args.cluster.manifests.is_some() {
                let why =
                    "in a folder of manifests nothing rolls out: hikaru rollout needs a cluster";
                return Err(Failure::new(Exit::Refused, why));
            }
            let settings = Settings::read()?;
            if let Target::Workload(workload) = &args.workload {
                upgrade::check_kinds("rollout", std::slice::from_ref(workload), &settings);
            }
            on(&args.cluster, &settings, async |ports| {
                rollout::run(&args, &settings, ports).await
            })
        }
        Command::Status(args) => on(&args.cluster, &Settings::read()?, async |ports| {
            status::run(&args, &ports.rollouts).await
        }),
        // An image that cannot be read is told before a cluster is looked for.
        Command::Find(args) => {
            Reference::parse(&args.image).map_err(|e| BuildError::from(e).to_string())?;
            on(&args.cluster, &Settings::read()?, async |ports| {
                find::run(&args, &*ports.workloads).await
            })
        }
        Command::Upgrade(args) => {
            let settings = Settings::read()?;
            let request = upgrade::forced("upgrade", &args.request, &settings)?;
            on(&args.request.cluster, &settings, async |ports| {
                upgrade::upgrade(&args, request, ports).await
            })
        }
        Command::Candidates(args) => {
            let settings = Settings::read()?;
            let request = upgrade::forced("candidates", &args.request, &settings)?;
            on(&args.request.cluster, &settings, async |ports| {
                upgrade::candidates(&args, request, &*ports.workloads).await
            })
        }
        Command::Verify(args) => {
            let settings = Settings::read()?;
            let request = upgrade::request("verify", &args.image, &args.narrow, &settings)?;
            on(&args.cluster, &settings, async |ports| {
                verify::run(&args, request, ports).await
            })
        }
    }
}

/// The formats that tags are read by: `HIKARU_TAG_FORMATS`, else buildgoggles' own.
fn formats() -> Result<TagFormats, String> {
    match std::env::var(TAG_FORMATS) {
        Ok(formats) if !formats.is_empty() => {
            let formats = formats.parse();
            formats.map_err(|error| format!("{TAG_FORMATS}: {error}"))
        }
        _ => Ok(TagFormats::default()),
    }
}

/// Runs a command on the cluster that the arguments name.
fn on(
    args: &Cluster,
    settings: &Settings,
    command: impl AsyncFnOnce(&Ports) -> Result<End, Failure>,
) -> Result<End, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let end = runtime.block_on(async {
        let ports = cluster::connect(args, settings).await?;
        command(&ports).await
    });
    // The lookup of a host's name may still run in a thread: the program does not wait for it.
    runtime.shutdown_background();
    end
}

/// A value as JSON. What could move a terminal's cursor is written as JSON's own escape, which programs read as the same.
fn json(value: &impl Serialize) -> String {
    // Text and lists alone: they always have a JSON form.
    let text = serde_json::to_string_pretty(value);
    let text = text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    tame(&text)
}

/// JSON with its own escapes for what could end a line, move a terminal's cursor or turn the direction of a text.
fn tame(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // All of them are below U+10000. A line feed is never inside a string of JSON.
            c if c != '\n' && Escaped::escapes(c) => {
                shown.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => shown.push(c),
        }
    }
    shown
}
