//! Checks of who depends on whom.

use super::tree::{Kind, Package};
use super::{Offense, Tree};

/// The edges of the house: a crate, the workspace's crates it may depend on, and those its tests may use besides.
const EDGES: &[(&str, &[&str], &[&str])] = &[
    ("hikaru-core", &[], &[]),
    ("hikaru-core-fuzz", &["hikaru-core"], &[]),
    ("hikaru-k8s", &["hikaru-core"], &["xtask"]),
    ("hikaru-http", &["hikaru-core"], &[]),
    (
        "hikaru-bin",
        &["hikaru-core", "hikaru-k8s", "hikaru-http"],
        &["xtask"],
    ),
    ("xtask", &[], &[]),
];

pub(super) fn edges(tree: &Tree) -> Vec<Offense> {
    let mut offenses = Vec::new();
    for package in &tree.packages {
        let Some((_, normal, dev)) = EDGES.iter().find(|(name, ..)| *name == package.name) else {
            let what = format!(
                "the crate {} has no place in the list of edges",
                package.name
            );
            offenses.push(Offense::new(&package.manifest.path, what));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let is_ours = EDGES.iter().any(|(ours, ..)| *ours == name)
                || tree.packages.iter().any(|package| package.name == name);
            let is_dev = dependency.kind == Kind::Dev;
            // A crate may list itself for its tests: that is how they set a feature of it.
            let is_allowed =
                normal.contains(&name) || is_dev && (dev.contains(&name) || name == package.name);
            if is_ours && !is_allowed {
                let what = format!("{} must not depend on {name}", package.name);
                offenses.push(Offense::new(package.place(name), what));
            }
        }
    }
    offenses
}

/// Whether a crate is of a family: `kube` stands for kube-runtime and kube_core too.
fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// Dependencies on families of crates, but for tests.
fn without(tree: &Tree, crate_name: &str, families: &[&str]) -> Vec<Offense> {
    let mut offenses = Vec::new();
    for package in tree
        .packages
        .iter()
        .filter(|package| package.name == crate_name)
    {
        for dependency in shipped(package) {
            if families.iter().any(|family| is_of(dependency, family)) {
                let what = format!("{crate_name} must not depend on {dependency}");
                offenses.push(Offense::new(package.place(dependency), what));
            }
        }
    }
    offenses
}

fn shipped(package: &Package) -> impl Iterator<Item = &str> {
    let shipped = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != Kind::Dev);
    shipped.map(|dependency| dependency.name.as_str())
}

pub(super) fn core_is_free_of_frameworks(tree: &Tree) -> Vec<Offense> {
    without(
        tree,
        "hikaru-core",
        &["kube", "k8s-openapi", "hyper", "tokio", "serde"],
    )
}

pub(super) fn http_is_free_of_kubernetes(tree: &Tree) -> Vec<Offense> {
    without(tree, "hikaru-http", &["kube", "k8s-openapi"])
}

pub(super) fn core_is_small(tree: &Tree) -> Vec<Offense> {
    const MOST: usize = 5;
    let cores = tree
        .packages
        .iter()
        .filter(|package| package.name == "hikaru-core");
    let counted = cores.map(|package| (package, shipped(package).collect::<Vec<_>>()));
    let large = counted.filter(|(_, names)| names.len() > MOST);
    large
        .map(|(package, names)| {
            let what = format!(
                "{} dependencies, at most {MOST}: {}",
                names.len(),
                names.join(", ")
            );
            Offense::new(&package.manifest.path, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::planted::{package, packages, said};
    use super::*;

    #[test]
    fn the_house_as_designed_is_fine() {
        let tree = packages(vec![
            package(
                "hikaru-core",
                &[
                    "thiserror",
                    "semver",
                    "dev proptest",
                    "dev tokio",
                    "dev hikaru-core",
                ],
            ),
            package("hikaru-core-fuzz", &["hikaru-core", "libfuzzer-sys"]),
            package("hikaru-k8s", &["hikaru-core", "kube", "dev xtask"]),
            package("hikaru-http", &["hikaru-core", "hyper"]),
            package(
                "hikaru-bin",
                &["hikaru-core", "hikaru-k8s", "hikaru-http", "dev xtask"],
            ),
            package("xtask", &["clap"]),
        ]);
        for check in [
            edges,
            core_is_free_of_frameworks,
            http_is_free_of_kubernetes,
            core_is_small,
        ] {
            assert_eq!(check(&tree), []);
        }
    }

    #[test]
    fn wrong_edges_are_named() {
        let tree = packages(vec![
            package("hikaru-core", &["hikaru-k8s"]),
            package(
                "hikaru-http",
                &["hikaru-core", "dev hikaru-k8s", "dev xtask"],
            ),
            package("hikaru-k8s", &["build hikaru-http", "xtask"]),
            package("hikaru-core-fuzz", &["hikaru-k8s"]),
            package("xtask", &["dev hikaru-core"]),
            package("hikaru-new", &[]),
        ]);
        assert_eq!(
            said(edges(&tree)),
            [
                "hikaru-core-fuzz/Cargo.toml:8: hikaru-core-fuzz must not depend on hikaru-k8s",
                "hikaru-core/Cargo.toml:8: hikaru-core must not depend on hikaru-k8s",
                "hikaru-http/Cargo.toml:10: hikaru-http must not depend on xtask",
                "hikaru-http/Cargo.toml:9: hikaru-http must not depend on hikaru-k8s",
                "hikaru-k8s/Cargo.toml:8: hikaru-k8s must not depend on hikaru-http",
                "hikaru-k8s/Cargo.toml:9: hikaru-k8s must not depend on xtask",
                "hikaru-new/Cargo.toml: the crate hikaru-new has no place in the list of edges",
                "xtask/Cargo.toml:8: xtask must not depend on hikaru-core",
            ]
        );
    }

    #[test]
    fn frameworks_are_kept_out() {
        let tree = packages(vec![
            package(
                "hikaru-core",
                &["serde_json", "kubert", "build tokio-util", "dev hyper"],
            ),
            package("hikaru-http", &["kube-client", "k8s-openapi", "serde"]),
        ]);
        assert_eq!(
            said(core_is_free_of_frameworks(&tree)),
            [
                "hikaru-core/Cargo.toml:10: hikaru-core must not depend on tokio-util",
                "hikaru-core/Cargo.toml:8: hikaru-core must not depend on serde_json",
            ]
        );
        assert_eq!(
            said(http_is_free_of_kubernetes(&tree)),
            [
                "hikaru-http/Cargo.toml:8: hikaru-http must not depend on kube-client",
                "hikaru-http/Cargo.toml:9: hikaru-http must not depend on k8s-openapi",
            ]
        );
    }

    #[test]
    fn a_sixth_dependency_of_the_core_is_too_many() {
        let tree = packages(vec![package(
            "hikaru-core",
            &["a", "b", "c", "d", "e", "dev g"],
        )]);
        assert_eq!(core_is_small(&tree), []);
        let tree = packages(vec![package(
            "hikaru-core",
            &["a", "b", "c", "d", "e", "f"],
        )]);
        let expected = "hikaru-core/Cargo.toml: 6 dependencies, at most 5: a, b, c, d, e, f";
        assert_eq!(said(core_is_small(&tree)), [expected]);
    }
}
