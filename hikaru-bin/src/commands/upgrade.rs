//! `hikaru upgrade` and `hikaru candidates`: from the arguments to a request, from the report to an exit code.

use hikaru_core::{
    Build, Mode,
    policy::Force,
    port::WorkloadPort,
    rollout::Awaited,
    upgrade::{Report, Shortfall, ShortfallKind, Terms},
    workload::WorkloadName,
};
use hikaru_k8s::SystemClock;

use super::{End, Failure, report, rollouts, waiting};
use crate::{
    args::{Args, Candidates, Narrow, Output, Request, Upgrade},
    cluster::{Ports, Settings},
    terminal,
};

pub(super) async fn upgrade(
    args: &Upgrade,
    request: hikaru_core::Request,
    ports: &Ports,
) -> Result<End, Failure> {
    let mode = if args.dry_run {
        Mode::DryRun
    } else {
        Mode::Commit
    };
    let port = &*ports.workloads;
    let came = hikaru_core::upgrade(port, &SystemClock::default(), request, mode).await?;
    let output = args.request.output.output;
    // By default a write that failed is told at once, as a rollout is.
    let has_failed = shortfall(args, &came).is_some_and(|s| waiting::is_of_writes(&s));
    let terms = args.wait.terms(!args.several.no_fail_fast);
    if let Some(terms) = terms.filter(|terms| !(terms.fail_fast && has_failed)) {
        report::tell(&came);
        let seen = waiting::wait(&ports.rollouts, Awaited::upgraded(&came), terms).await?;
        report::print(&came, output, report::Done::Really, Some(&seen.rollouts))?;
        if output == Output::Table && !seen.rollouts.is_empty() {
            if let Some(sentence) = seen.success() {
                terminal::print(sentence)?;
            }
            rollouts::print_causes(&seen.rollouts)?;
        }
        let again = waiting::verify(came.build(), &args.request.narrow);
        return Ok(seen.end(shortfall(args, &came), &again));
    }
    let done = match mode {
        Mode::Commit => report::Done::Really,
        Mode::DryRun => report::Done::Not,
    };
    report::print(&came, output, done, None)?;
    report::tell(&came);
    if args.dry_run {
        terminal::tell("dry run: nothing was written");
    }
    Ok(shortfall(args, &came).into())
}

/// Why the report is no success, by the arguments.
fn shortfall(args: &Upgrade, report: &Report) -> Option<Shortfall> {
    let terms = match args.strict {
        true => Terms::Strict,
        false => Terms::Usual,
    };
    let mut shortfall = report.shortfall(terms, args.allow_none);
    if let Some(shortfall) = &mut shortfall
        && shortfall.kind == ShortfallKind::NothingMatched
    {
        shortfall
            .sentence
            .push_str(", so nothing is upgraded; with --allow-none this is no error");
    }
    shortfall
}

pub(super) async fn candidates(
    args: &Candidates,
    request: hikaru_core::Request,
    port: &dyn WorkloadPort,
) -> Result<End, Failure> {
    let planned = hikaru_core::upgrade::candidates(port, request).await?;
    let output = args.request.output.output;
    report::print(&planned, output, report::Done::Not, None)?;
    report::tell(&planned);
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
pub(super) fn forced(
    subcommand: &str,
    args: &Request,
    settings: &Settings,
) -> Result<hikaru_core::Request, Failure> {
    let mut request = request(subcommand, &args.image, &args.narrow, settings)?;
    request.force = args.force.unwrap_or(Force::NONE);
    Ok(request)
}

/// The same without force.
pub(super) fn request(
    subcommand: &str,
    image: &str,
    narrow: &Narrow,
    settings: &Settings,
) -> Result<hikaru_core::Request, Failure> {
    check_kinds(subcommand, &narrow.workload, settings);
    let build = Build::parse(image, &super::formats()?).map_err(|e| e.to_string())?;
    let mut request = hikaru_core::Request::new(build);
    request.namespaces = narrow.namespace.clone();
    request.workloads = narrow.workload.clone();
    request.owner = narrow.owner.clone();
    request.repo = narrow.repo.clone();
    request.branch = narrow.branch.clone();
    Ok(request)
}
