//! From a file to the workloads in it, and how bad it is that something cannot be read. Which files there are is in `walk`,
//! how the bytes of one become text in `text`.

use hikaru_core::{
    Text, Workload,
    port::{Fault, Found, Scope, Select, Severity},
};
use std::fs::File;
use std::io::{self, Seek};
use std::sync::Arc;

use super::overrides::Overrides;
use super::severity::Concern;
use super::text::{self, Unreadable, place};
use super::walk::Manifest;
use crate::yaml::{self, Documents, NotUpgraded, Object, OtherKind, Piece, Place, Terms};

/// Most faults of one file that are told one by one: a file of 16 MiB can have a million.
const FAULTS: usize = 100;

/// Reads the documents of a text, and hands out each object that can be read. A problem goes to `odd` with the text of its
/// document. `see` gets each document that was read, with its text.
pub(super) fn objects(
    text: &str,
    terms: &Terms,
    odd: &mut dyn FnMut(yaml::Problem, &str),
    see: &mut dyn FnMut(&yaml::Tree<'_>, &str),
    take: &mut dyn FnMut(Object),
) {
    for piece in Documents::new(text) {
        match piece {
            Piece::Broken { range, problem } => odd(problem, text.get(range).unwrap_or_default()),
            Piece::Document(tree) => {
                let part = text.get(tree.range.clone()).unwrap_or_default();
                yaml::read(&tree, terms, &mut |object| match object {
                    Ok(object) => take(object),
                    Err(problem) => odd(problem, part),
                });
                see(&tree, part);
            }
        }
    }
}

/// The workload of an object, with the file and its place in it as its origin.
pub(super) fn workload(file: &str, place: &Place, mut workload: Workload) -> Workload {
    workload.id.origin = Some(Text::from(format!("{file}#{place}")));
    workload
}

/// What is looked for in the files, and what is known of the folder as a whole.
pub(super) struct Reader<'r> {
    pub(super) terms: &'r Terms,
    pub(super) scope: &'r Scope,
    pub(super) concern: &'r Concern<'r>,
    pub(super) overrides: &'r Overrides,
}

impl Reader<'_> {
    /// The workloads of a file that are looked for, and what is wrong with the rest.
    pub(super) fn manifest(&self, manifest: &Manifest, found: &mut Found) {
        let (file, concern) = (manifest.file.as_str(), self.concern);
        let Found {
            workloads, faults, ..
        } = found;
        let Some(text) = self.text(manifest, faults) else {
            return;
        };
        let (mut said, mut worst) = (0, Severity::Warning);
        // A document with a thousand problems is searched once.
        let mut searched: Option<((*const u8, usize), Severity)> = None;
        let mut odd = |problem: yaml::Problem, part: &str| {
            let this = (part.as_ptr(), part.len());
            let severity = match searched {
                Some((known, severity)) if known == this => severity,
                _ => concern.severity(file, part.as_bytes()),
            };
            searched = Some((this, severity));
            if said < FAULTS {
                let place = place(file, problem.mark);
                faults.push(Fault::new(severity, place, problem.message));
            } else {
                worst = worst.max(severity);
            }
            said += 1;
        };
        let mut others = Vec::new();
        let mut see = |tree: &yaml::Tree<'_>, part: &str| {
            if concern.is_mentioned(part) {
                others.extend(yaml::other_kinds(tree, self.terms));
            }
        };
        let admits = self.scope.filter();
        let mut take = |object: Object| {
            let mut workload = workload(file, &object.place, object.workload);
            self.overrides.apply(&manifest.path, &mut workload);
            if admits(&workload) {
                workloads.push(Arc::new(workload));
            }
        };
        objects(&text, self.terms, &mut odd, &mut see, &mut take);
        if said > FAULTS {
            let message = format!(
                "{} more of its documents or objects cannot be read",
                said - FAULTS
            );
            faults.push(Fault::new(worst, file, message));
        }
        for other in others.into_iter().take(FAULTS) {
            faults.extend(self.not_upgraded(file, &other));
        }
    }

    /// The text of a file. A file that cannot be opened may hold what is looked for: that is a failure.
    fn text(&self, manifest: &Manifest, faults: &mut Vec<Fault>) -> Option<String> {
        let (file, concern) = (manifest.file.as_str(), self.concern);
        let mut handle = match File::open(&manifest.path) {
            Ok(handle) => handle,
            // It was deleted since the walk.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                let (place, message) = Unreadable::Io(error).explain(file);
                faults.push(Fault::new(Severity::Failure, place, message));
                return None;
            }
        };
        let severity_of = |mut handle: &File| {
            let severity = handle
                .rewind()
                .and_then(|()| concern.severity_of(file, handle));
            severity.unwrap_or(Severity::Failure)
        };
        if !manifest.named {
            let message = "is not read: its name is not UTF-8; rename it";
            faults.push(Fault::new(severity_of(&handle), file, message));
            return None;
        }
        let unreadable = match text::text(&mut handle) {
            Ok(text) => return Some(text),
            Err(unreadable) => unreadable,
        };
        let severity = match &unreadable {
            Unreadable::NotUtf8(bytes, _) | Unreadable::Encoded(bytes, _) => {
                concern.severity(file, bytes)
            }
            Unreadable::TooLarge(_) => severity_of(&handle),
            // It may hold what is looked for.
            Unreadable::Io(_) => Severity::Failure,
        };
        let (place, message) = unreadable.explain(file);
        faults.push(Fault::new(severity, place, message));
        None
    }

    /// Says of an object that is looked for why it is not upgraded.
    fn not_upgraded(&self, file: &str, other: &OtherKind) -> Option<Fault> {
        let workload = workload(file, &other.object.place, other.object.workload.clone());
        let labeled = workload.labels.reading().is_some();
        let has = match &self.scope.select {
            Select::Build(build) if build.is_meant_for(&workload.labels) => {
                "has the labels and the image"
            }
            Select::Repository(_) if labeled => "has the labels and the image",
            // Many Jobs and Pods use the image, and hikaru has nothing to do with them.
            Select::Repository(_) if !matches!(other.why, NotUpgraded::RunsOnce) => "has the image",
            // A build with other labels, or a search that other kinds do not matter to.
            _ => return None,
        };
        if !self.scope.admits(&workload) {
            return None;
        }
        let (kind, name) = (&workload.id.kind, &workload.id.name);
        let origin = workload.id.origin.as_deref().unwrap_or(file);
        let why = match &other.why {
            NotUpgraded::RunsOnce => {
                "and is not upgraded: hikaru upgrades no Jobs and no bare Pods".to_owned()
            }
            NotUpgraded::NotAdded(added) => {
                format!("and HIKARU_KINDS={added} would make hikaru look at it")
            }
            NotUpgraded::SameName(api_version) => {
                format!("but hikaru looks at no {kind} of {api_version}")
            }
        };
        let message = format!("{kind} {name} ({origin}) {has}, {why}");
        Some(Fault::new(Severity::Warning, file, message))
    }
}
