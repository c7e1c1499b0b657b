//! `hikaru upgrade` and `hikaru candidates`: from the arguments to a request, from the report to an exit code.

use hikaru_core::{Build, ClusterPort, Code, Force, Mode, Report};

use super::{End, report};
use crate::{
    args::{Candidates, Request, Upgrade},
    terminal,
};

pub(super) async fn upgrade(
    args: &Upgrade,
    request: hikaru_core::Request,
    port: &dyn ClusterPort,
) -> Result<End, String> {
    let mode = if args.dry_run {
        Mode::DryRun
    } else {
        Mode::Commit
    };
    let came = hikaru_core::upgrade(port, request, mode)
        .await
        .map_err(|error| error.to_string())?;
    report::print(&came, args.request.output.output)?;
    if args.dry_run {
        terminal::tell("dry run: nothing was written");
    }
    let fatal = |code: Code| {
        if args.strict {
            code.fails_strict()
        } else {
            code.needs_a_person()
        }
    };
    let unfinished = came.has_failures()
        || (came.nothing_matched() && !args.allow_none)
        || came.codes().any(fatal);
    Ok(End::done_if(!unfinished))
}

pub(super) async fn candidates(
    args: &Candidates,
    request: hikaru_core::Request,
    port: &dyn ClusterPort,
) -> Result<End, String> {
    let planned = hikaru_core::candidates(port, request)
        .await
        .map_err(|error| error.to_string())?;
    report::print(&planned, args.request.output.output)?;
    Ok(End::done_if(!Report::has_failures(&planned)))
}

/// What the arguments ask for.
pub(super) fn request(args: &Request) -> Result<hikaru_core::Request, String> {
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
