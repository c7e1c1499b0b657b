//! `hikaru status`: what runs where.

use std::collections::BTreeSet;

use comfy_table::Cell;
use hikaru_core::{
    IdentityLabels,
    port::{Scope, Select},
    rollout::Rollouts,
    upgrade::Shortfall,
};
use hikaru_http::wire::rollout::{Status, StatusContainer};

use super::{End, Failure, json, report, rollouts::without_name};
use crate::{
    args::{Output, rollout::Status as Args},
    terminal::{self, cell},
};

pub(super) async fn run(args: &Args, rollouts: &Rollouts) -> Result<End, Failure> {
    let formats = super::formats()?;
    let labels = match &args.source {
        Some(source) => source.0.clone(),
        None => IdentityLabels::default(),
    };
    let mut scope = Scope::new(Select::Labeled(labels));
    scope.namespaces = args.namespace.clone();
    let (rows, faults) = rollouts.status(&scope).await?;
    let rows: Vec<Status> = rows.iter().map(|row| Status::new(row, &formats)).collect();
    match args.output.output {
        Output::Json => terminal::print(&json(&rows))?,
        Output::Table if rows.is_empty() => {
            terminal::tell("no workload that hikaru looks at names such a source by its labels");
        }
        Output::Table => terminal::print(&table(&rows))?,
    }
    let unseen: BTreeSet<&String> = rows.iter().flat_map(|row| &row.unseen).collect();
    for unseen in unseen {
        terminal::tell(unseen);
    }
    report::tell_faults(&faults);
    Ok(Shortfall::unread(&faults).into())
}

fn table(rows: &[Status]) -> String {
    let in_files = rows.iter().any(|row| row.file.is_some());
    let mut header = vec![
        "WORKLOAD", "SOURCE", "BUILD", "COMMIT", "READY", "STATE", "MARK", "WHY",
    ];
    if in_files {
        header.insert(1, "FILE");
    }
    let cells = |row: &Status| {
        let mut cells: Vec<Cell> = vec![
            cell(format!("{}/{}/{}", row.namespace, row.kind, row.name)),
            cell(format!("{}/{}/{}", row.owner, row.repo, row.branch)),
            cell(each(row, |container| {
                let tag = || {
                    container
                        .image
                        .rsplit(['/', ':'])
                        .next()
                        .unwrap_or_default()
                        .to_owned()
                };
                Some(container.version_and_build().unwrap_or_else(tag))
            })),
            cell(each(row, |container| container.commit.clone())),
            cell(match (row.ready, row.desired) {
                (Some(ready), Some(desired)) => format!("{ready}/{desired}"),
                _ => "-".to_owned(),
            }),
            terminal::verdict(&row.state),
            cell(each(row, |container| container.mark.clone())),
            cell(why(row)),
        ];
        if in_files {
            cells.insert(1, cell(row.file.as_deref().unwrap_or("-")));
        }
        cells
    };
    terminal::table(&header, rows.iter().map(cells).collect())
}

/// What the containers have that run a build, each once: if none does, of all. `-`: nothing.
fn each(row: &Status, part: impl Fn(&StatusContainer) -> Option<String>) -> String {
    let has_build = row
        .containers
        .iter()
        .any(|container| container.commit.is_some());
    let containers = row.containers.iter();
    let containers = containers.filter(|c| !has_build || c.commit.is_some());
    let mut parts: Vec<String> = containers.filter_map(part).collect();
    parts.dedup();
    match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join(", "),
    }
}

/// The sentences on a rollout that is not complete, and on why builds do not go out.
fn why(row: &Status) -> String {
    let workload = format!("{}/{}/{}", row.namespace, row.kind, row.name);
    let sentence = (row.state != "complete").then_some(&row.sentence);
    let sentences = sentence.into_iter().chain(&row.remarks).chain(&row.why);
    let sentences: Vec<&str> = sentences
        .map(|sentence| without_name(sentence, &workload))
        .collect();
    match sentences.is_empty() {
        true => "-".to_owned(),
        false => sentences.join("; "),
    }
}
