//! YAML, all of it: a text cut into documents (`documents`), their trees (`tree`), ways through a tree (`path`), what
//! Kubernetes takes for a string (`scalar`), the workloads in a document (`manifest`), objects with pods that are not
//! upgraded (`other_kinds`), what other tools do with images (`kustomize`), a document as JSON (`value`), and edits of image scalars
//! that keep every other byte (`edit`). No file is opened here, and no other part of the house
//! knows the YAML library.

use std::fmt;

mod documents;
mod edit;
mod kustomize;
mod manifest;
mod other_kinds;
mod path;
mod place;
mod scalar;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use documents::{Documents, Piece};
pub(crate) use edit::{Edit, check, edit};
pub(crate) use kustomize::{ImageRule, Kustomization, deployers, image_rules, kustomization};
pub(crate) use manifest::{Object, Terms, read};
pub(crate) use other_kinds::{NotUpgraded, OtherKind, other_kinds};
pub(crate) use path::excerpt;
pub(crate) use place::Place;
pub(crate) use tree::{Mark, Tree};
pub(crate) use value::{Budget, write};

/// What is wrong at a place of a file, in a sentence that can follow `file:line:column: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) mark: Mark,
    pub(crate) message: String,
}

impl Problem {
    fn at(mark: Mark, message: impl Into<String>) -> Self {
        Self {
            mark,
            message: message.into(),
        }
    }

    fn and(mut self, hint: &str) -> Self {
        self.message.push_str("; ");
        self.message.push_str(hint);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}",
            self.mark.line, self.mark.column, self.message
        )
    }
}
