//! What the YAML layer promises, through two checks: `reads` (what is found in a text, and what is
//! said of the rest) and `writes` (the text after an edit). Properties are in `properties`.

use super::*;
use hikaru_core::{Workload, workload::PodList};

mod edits;
mod hostile;
mod objects;
mod properties;
mod second_opinion;

/// What is read from a text, a line an object or problem, in the order of the text:
/// `PLACE namespace/Kind/name [owner/repo/branch] {setting=value} container=image@line:column`.
fn read_lines(text: &str) -> Vec<String> {
    let terms = Terms::default();
    let mut lines = Vec::new();
    let mut at = 0;
    for (index, piece) in Documents::new(text).enumerate() {
        // Pieces are numbered by their order and follow each other: edits count on both.
        let range = match &piece {
            Piece::Broken { range, .. } => range.clone(),
            Piece::Document(tree) => {
                assert_eq!(tree.number, index + 1, "{text:?}");
                tree.range.clone()
            }
        };
        assert!(range.start >= at && range.end >= range.start, "{text:?}");
        assert!(text.get(range.clone()).is_some(), "{text:?}");
        at = range.end;
        match piece {
            Piece::Broken { problem, .. } => lines.push(problem.to_string()),
            Piece::Document(tree) => read(&tree, &terms, &mut |object| {
                lines.push(match object {
                    Ok(object) => line(&object),
                    Err(problem) => problem.to_string(),
                });
            }),
        }
    }
    lines
}

/// The workloads that are read from a text.
fn workloads(text: &str) -> Vec<Workload> {
    let mut workloads = Vec::new();
    for piece in Documents::new(text) {
        if let Piece::Document(tree) = piece {
            read(&tree, &Terms::default(), &mut |object| {
                workloads.extend(object.ok().map(|object| object.workload));
            });
        }
    }
    workloads
}

fn line(object: &Object) -> String {
    let Workload {
        id,
        labels,
        settings,
        containers,
        ..
    } = &object.workload;
    let mut line = format!("{} {id}", object.place);
    if let (Some(owner), Some(repo), Some(branch)) = (&labels.owner, &labels.repo, &labels.branch) {
        line.push_str(&format!(" [{owner}/{repo}/{branch}]"));
    }
    for setting in settings {
        let place = setting.place.to_string();
        line.push_str(&format!(
            " {{{} {}={}}}",
            &place[..1],
            setting.key,
            setting.value
        ));
    }
    for (container, spot) in containers.iter().zip(&object.images) {
        let init = match container.list {
            PodList::InitContainers => "init:",
            _ => "",
        };
        let mark = container
            .mark
            .as_ref()
            .map_or(String::new(), |mark| format!("({mark})"));
        line.push_str(&format!(
            " {init}{}{mark}={}@{}:{}",
            container.name, container.image, spot.mark.line, spot.mark.column
        ));
    }
    line
}

#[track_caller]
fn reads(text: &str, expected: &[&str]) {
    assert_eq!(read_lines(text), expected, "{text}");
}

/// Writes `to` into every container of this name, document by document.
fn upgrade(text: &str, container: &str, to: &str) -> Result<String, String> {
    let terms = Terms::default();
    let mut new = String::new();
    let mut at = 0;
    for piece in Documents::new(text) {
        let Piece::Document(tree) = piece else {
            continue;
        };
        let mut objects = Vec::new();
        read(&tree, &terms, &mut |object| objects.extend(object.ok()));
        let mut edits = Vec::new();
        for object in &objects {
            let containers = &object.workload.containers;
            if let Some(container) = containers.iter().position(|c| &*c.name == container) {
                edits.push(Edit {
                    object,
                    container,
                    to,
                });
            }
        }
        let range = tree.range.clone();
        new.push_str(&text[at..range.start]);
        new.push_str(
            &edit(text, range.clone(), &objects, &edits, &terms).map_err(|p| p.to_string())?,
        );
        at = range.end;
    }
    new.push_str(&text[at..]);
    Ok(new)
}

/// A Deployment whose one container `web` ends in these lines, indented by ten.
fn deployment(tail: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    spec:
      containers:
        - name: web
          {tail}"
    )
}
