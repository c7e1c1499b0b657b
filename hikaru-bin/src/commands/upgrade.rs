//! `hikaru upgrade` and `hikaru candidates`: from the arguments to a request, from the report to an exit code.

use hikaru_core::{
    Build, Mode,
    policy::Force,
    port::WorkloadPort,
    upgrade::{ShortfallKind, Terms},
    workload::WorkloadName,
};
use hikaru_k8s::SystemClock;

use super::{End, Failure, report};
use crate::{
    args::{Args, Candidates, Request, Upgrade},
    cluster::Settings,
    terminal,
};

pub(super) async fn upgrade(
    args: &Upgrade,
    request: hikaru_core::Request,
    port: &dyn WorkloadPort,
) -> Result<End, Failure> {
    let mode = if args.dry_run {
        Mode::DryRun
    } else {
        Mode::Commit
    };
    let came = hikaru_core::upgrade(port, &SystemClock::default(), request, mode).await?;
    let done = match mode {
        Mode::Commit => report::Done::Really,
        Mode::DryRun => report::Done::Not,
    };
    report::print(&came, args.request.output.output, done)?;
    if args.dry_run {
        terminal::tell("dry run: nothing was written");
    }
    let terms = match args.strict {
        true => Terms::Strict,
        false => Terms::Usual,
    };
    let mut shortfall = came.shortfall(terms, args.allow_none);
    if let Some(shortfall) = &mut shortfall
        && shortfall.kind == ShortfallKind::NothingMatched
    {
        shortfall
            .sentence
            .push_str(", so nothing is upgraded; with --allow-none this is no error");
    }
    Ok(shortfall.into())
}

pub(super) async fn candidates(
    args: &Candidates,
    request: hikaru_core::Request,
    port: &dyn WorkloadPort,
) -> Result<End, Failure> {
    let planned = hikaru_core::upgrade::candidates(port, request).await?;
    report::print(&planned, args.request.output.output, report::Done::Not)?;
    Ok(planned.shortfall(Terms::Lenient, true).into())
}

/// Ends the process as for bad arguments if one of these workloads, which the arguments of this subcommand name, is of a kind
/// that is not looked at.
pub(super) fn check_kinds(subcommand: &str, workloads: &[WorkloadName], settings: &Settings) {
    let added = settings.kind_names();
    for workload in workloads {
        if let Err(error) = workload.check_kind(&added) {
            Args::usage_error(subcommand, &error.to_string());
        }
    }
}

/// What the arguments of this subcommand ask for.
pub(super) fn request(
    subcommand: &str,
    args: &Request,
    settings: &Settings,
) -> Result<hikaru_core::Request, Failure> {
    check_kinds(subcommand, &args.workload, settings);
    let build = Build::parse(&args.image, &super::formats()?).map_err(|e| e.to_string())?;
    let mut request = hikaru_core::Request::new(build);
    request.namespaces = args.namespace.clone();
    request.workloads = args.workload.clone();
    request.owner = args.owner.clone();
    request.repo = args.repo.clone();
    request.branch = args.branch.clone();
    request.force = args.force.unwrap_or(Force::NONE);
    Ok(request)
}
