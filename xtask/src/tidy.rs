//! The architecture's invariants, each a plain function from the tree to what offends it.
//!
//! The list here and the list in docs/architecture.md are one: the ids are the same, and the last
//! invariant says so. The tree is data (`tree.rs`), so that each check is tested on a planted fault.

mod code;
mod crates;
mod manifests;
mod sources;
mod tree;

use std::fmt;

pub(crate) use tree::{Tree, packages, root};

/// An invariant that a machine can check.
pub(crate) struct Invariant {
    /// As in docs/architecture.md.
    pub(crate) id: &'static str,
    /// One sentence.
    pub(crate) rule: &'static str,
    check: fn(&Tree) -> Vec<Offense>,
}

/// What offends an invariant, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offense {
    /// `file:line`, or a file.
    place: String,
    what: String,
}

impl Offense {
    fn new(place: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self {
            place: place.to_string(),
            what: what.to_string(),
        }
    }
}

impl fmt::Display for Offense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// All of them. An id is never given to another rule.
pub(crate) const INVARIANTS: &[Invariant] = &[
    Invariant {
        id: "I1",
        rule: "The only edges between crates are core ← k8s, core ← http, core ← its fuzz targets, bin → all; \
               xtask knows no hikaru crate, and only tests of k8s and bin know xtask.",
        check: crates::edges,
    },
    Invariant {
        id: "I2",
        rule: "hikaru-core depends on no kube, k8s-openapi, hyper, tokio or serde crate.",
        check: crates::core_is_free_of_frameworks,
    },
    Invariant {
        id: "I3",
        rule: "hikaru-core has at most five direct dependencies.",
        check: crates::core_is_small,
    },
    Invariant {
        id: "I4",
        rule: "hikaru-core does no IO: its sources use nothing of std::fs, std::net, std::env and std::process.",
        check: sources::core_does_no_io,
    },
    Invariant {
        id: "I5",
        rule: "hikaru-http depends on no kube and no k8s-openapi crate.",
        check: crates::http_is_free_of_kubernetes,
    },
    Invariant {
        id: "I6",
        rule: "All YAML is in hikaru-k8s/src/yaml.rs or the folder of that name.",
        check: sources::yaml_has_one_place,
    },
    Invariant {
        id: "I7",
        rule: "No source file is longer than 600 lines.",
        check: sources::files_are_short,
    },
    Invariant {
        id: "I8",
        rule: "Each source file opens with `//!`: what lives there and what does not.",
        check: sources::files_say_what_they_hold,
    },
    Invariant {
        id: "I9",
        rule: "Nothing is left undone or left out: no #[ignore], no ignored doc test, no todo!, no unimplemented!.",
        check: sources::nothing_is_left_out,
    },
    Invariant {
        id: "I10",
        rule: "No file or folder is named utils, common, types or helpers.",
        check: sources::names_say_something,
    },
    Invariant {
        id: "I11",
        rule: "Each dependency has its line in docs/dependencies.md.",
        check: manifests::dependencies_are_documented,
    },
    Invariant {
        id: "I12",
        rule: "Every crate takes its lints from the workspace, which forbids unsafe code; \
               fuzz targets, no members of it, repeat them word for word.",
        check: manifests::lints_are_shared,
    },
    Invariant {
        id: "I13",
        rule: "Every version of a dependency stands once, in the workspace's Cargo.toml; \
               fuzz targets, no members of it, repeat what stands there.",
        check: manifests::versions_are_shared,
    },
    Invariant {
        id: "I14",
        rule: "docs/architecture.md lists each of these invariants by its id.",
        check: manifests::invariants_are_documented,
    },
];

/// Checks all invariants: each that is offended, with its offenses in order.
pub(crate) fn check(tree: &Tree) -> Vec<(&'static Invariant, Vec<Offense>)> {
    let offended = INVARIANTS.iter().map(|invariant| {
        let mut offenses = (invariant.check)(tree);
        offenses.sort();
        (invariant, offenses)
    });
    offended
        .filter(|(_, offenses)| !offenses.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_counted_from_one() {
        for (index, invariant) in INVARIANTS.iter().enumerate() {
            assert_eq!(invariant.id, format!("I{}", index + 1));
        }
    }

    #[test]
    fn an_empty_tree_lacks_its_documents_only() {
        let ids: Vec<_> = check(&Tree::default())
            .iter()
            .map(|(invariant, _)| invariant.id)
            .collect();
        assert_eq!(ids, ["I12", "I14"]);
    }
}
