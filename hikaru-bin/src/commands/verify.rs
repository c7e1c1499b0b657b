//! `hikaru verify`: does everything that an image is meant for run it, complete? How is waited, and what the end means, is in `waiting`.

use hikaru_core::{
    rollout::Awaited,
    upgrade::{Report, ShortfallKind, Terms},
};
use hikaru_http::wire::rollout::Rollout;

use super::{End, Failure, json, report, rollouts, waiting};
use crate::{
    args::{
        Output,
        waiting::{Verify, one_look},
    },
    cluster::Ports,
    terminal,
};

pub(super) async fn run(
    args: &Verify,
    request: hikaru_core::Request,
    ports: &Ports,
) -> Result<End, Failure> {
    let plan = hikaru_core::upgrade::candidates(&*ports.workloads, request).await?;
    report::tell(&plan);
    let shortfall = shortfall(&plan, args.allow_none);
    let terms = args.wait.terms(!args.several.no_fail_fast);
    // By default what may be missing is told at once, as a rollout that failed is.
    let terms = terms.filter(|terms| !(terms.fail_fast && shortfall.is_some()));
    let terms = terms.unwrap_or_else(one_look);
    let seen = waiting::wait(&ports.rollouts, Awaited::meant(&plan), terms).await?;
    match args.output.output {
        Output::Json => {
            terminal::print(&json(&Rollout::all(&seen.rollouts)))?;
        }
        Output::Table => {
            rollouts::print_all(&seen.rollouts)?;
            if let Some(sentence) = seen.success().filter(|_| !plan.nothing_matched()) {
                terminal::print(&format!("\n{sentence}"))?;
            }
        }
    }
    let again = waiting::verify(plan.build(), &args.narrow);
    Ok(seen.end(shortfall, &again))
}

/// Why the plan is no success, whatever runs. What stays behind is told as a rollout.
fn shortfall(plan: &Report, allow_none: bool) -> Option<hikaru_core::upgrade::Shortfall> {
    let mut shortfall = plan.shortfall(Terms::Usual, allow_none)?;
    if shortfall.kind == ShortfallKind::NothingMatched {
        shortfall
            .sentence
            .push_str(", so nothing runs the image; with --allow-none this is no error");
    }
    (shortfall.kind != ShortfallKind::StaysBehind).then_some(shortfall)
}
