//! `hikaru rollout`: how the rollout of a workload is, now or once it has ended.

use hikaru_core::{
    WorkloadId,
    port::{Scope, Select},
    rollout::{Asked, Awaited, End as RolloutEnd, RolloutState, WaitTerms},
    upgrade::Shortfall,
    workload::WorkloadName,
};
use hikaru_http::wire::rollout::Rollout;

use super::{End, Exit, Failure, json, report, rollouts, rollouts::without_name, waiting};
use crate::{
    args::{
        Output,
        rollout::{Rollout as Args, Target},
    },
    cluster::{Ports, Settings},
    terminal,
};

pub(super) async fn run(args: &Args, settings: &Settings, ports: &Ports) -> Result<End, Failure> {
    let workload = match &args.workload {
        Target::Workload(workload) => workload.clone(),
        Target::Name { namespace, name } => {
            let mut kinds = settings.kind_names();
            kinds.extend(WorkloadName::own_kinds().map(Into::into));
            let named = kinds.into_iter();
            let named = named.map(|kind| WorkloadId::new(namespace.clone(), kind, name.clone()));
            only(named.collect(), &args.workload, ports).await?
        }
    };
    if let Some(terms) = args.wait.terms(true) {
        return wait(args, &workload, terms, ports).await;
    }
    let answer = ports.rollouts.look(&workload, &Asked::default()).await?;
    let gone = || Failure::new(Exit::Person, format!("there is no {workload}"));
    let told = Rollout::new(&answer).ok_or_else(gone)?;
    match args.output.output {
        Output::Json => terminal::print(&json(&told))?,
        Output::Table => rollouts::print(&told)?,
    }
    Ok(end(&workload, answer.rollout.state, &told))
}

async fn wait(
    args: &Args,
    workload: &WorkloadName,
    terms: WaitTerms,
    ports: &Ports,
) -> Result<End, Failure> {
    let awaited = vec![Awaited::workload(workload)];
    let seen = waiting::wait(&ports.rollouts, awaited, terms).await?;
    let again = format!("hikaru rollout {workload} --wait");
    let ended = seen.end(None, &again);
    let Some(followed) = seen.rollouts.first() else {
        return Ok(ended);
    };
    if let (Some(RolloutEnd::Unknown), Some(error)) = (followed.end, &followed.error) {
        return Err(error.clone().into());
    }
    let told = Rollout::followed(followed);
    match args.output.output {
        Output::Json => terminal::print(&json(&told))?,
        Output::Table => rollouts::print(&told)?,
    }
    Ok(match followed.end {
        Some(RolloutEnd::Failed) => end(workload, followed.answer.rollout.state, &told),
        _ => ended,
    })
}

/// The only workload that is there of these.
async fn only(
    ids: Vec<WorkloadId>,
    asked: &Target,
    ports: &Ports,
) -> Result<WorkloadName, Failure> {
    let found = ports
        .workloads
        .find(&Scope::new(Select::Named(ids)))
        .await?;
    report::tell_faults(&found.faults);
    let mut ids: Vec<String> = found.workloads.iter().map(|w| w.id.to_string()).collect();
    ids.sort_unstable();
    match (&ids[..], Shortfall::unread(&found.faults)) {
        // That other kinds cannot be read was told: it does not matter to the one that is there.
        ([one], _) => {
            let named = one.parse();
            named.map_err(|error: hikaru_core::workload::NameError| error.to_string().into())
        }
        (_, Some(unread)) => Err(unread.into()),
        ([], None) => {
            let Target::Name { namespace, name } = asked else {
                return Err(Failure::new(Exit::Person, "there is no such workload"));
            };
            let why = format!("there is no workload {name} in the namespace {namespace}");
            Err(Failure::new(Exit::Person, why))
        }
        (several, None) => {
            let why = format!(
                "expected one workload, found {}: name its kind",
                several.join(", ")
            );
            Err(Failure::new(Exit::Person, why))
        }
    }
}

/// Only what a person has to mend is a failure.
fn end(workload: &WorkloadName, state: RolloutState, told: &Rollout) -> End {
    match state {
        RolloutState::Complete
        | RolloutState::Progressing
        | RolloutState::Superseded
        | RolloutState::NotApplicable => End::Done,
        state => {
            let why = match (&told.cause, state) {
                // Its sentence stands in the answer.
                (Some(cause), RolloutState::Failed) => &cause.code,
                _ => without_name(&told.sentence, &workload.to_string()),
            };
            let why = format!("{workload}: {state}: {why}");
            End::Failed(Failure::new(Exit::Person, why))
        }
    }
}
