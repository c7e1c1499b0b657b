//! Rules about dependencies: which crate may have which, and what is written down about them.

use std::collections::BTreeSet;

use crate::workspace::Package;

/// A crate of this repository, and one that it may depend on.
const EDGES: [(&str, &str); 8] = [
    ("hikaru-core-fuzz", "hikaru-core"),
    ("hikaru-http-fuzz", "hikaru-core"),
    ("hikaru-http-fuzz", "hikaru-http"),
    ("hikaru-k8s", "hikaru-core"),
    ("hikaru-http", "hikaru-core"),
    ("hikaru-bin", "hikaru-core"),
    ("hikaru-bin", "hikaru-k8s"),
    ("hikaru-bin", "hikaru-http"),
];

/// The same for its tests alone. A crate that lists itself sets a feature of its own for them.
const EDGES_OF_TESTS: [(&str, &str); 3] = [
    ("hikaru-core", "hikaru-core"),
    ("hikaru-k8s", "xtask"),
    ("hikaru-bin", "xtask"),
];

/// A crate, and a family of crates that it must not ship; its tests may use them. `kube` is kube-client and kube_core, too.
const BANNED: [(&str, &str); 14] = [
    ("hikaru-core", "kube"),
    ("hikaru-core", "k8s-openapi"),
    ("hikaru-core", "hyper"),
    ("hikaru-core", "tokio"),
    ("hikaru-core", "serde"),
    ("hikaru-http", "kube"),
    ("hikaru-http", "k8s-openapi"),
    // All manifests are read in one place: two readers would see two different documents. hikaru-http reads the file of callers.
    ("hikaru-core", "granit"),
    ("hikaru-http", "granit"),
    ("hikaru-bin", "granit"),
    ("hikaru-bin", "serde-saphyr"),
    // It is archived and takes quadratic time: tests compare with it, programs do not use it.
    ("hikaru-k8s", "serde_yaml"),
    ("hikaru-http", "serde_yaml"),
    ("hikaru-bin", "serde_yaml"),
];

fn is_ours(name: &str) -> bool {
    name == "xtask" || name.starts_with("hikaru-")
}

/// Dependencies that are not allowed.
pub(super) fn edges(packages: &[Package]) -> Vec<String> {
    let mut offenses = Vec::new();
    for package in packages {
        for dependency in &package.dependencies {
            let (from, to) = (&*package.name, &*dependency.name);
            let is_for_tests = dependency.kind.as_deref() == Some("dev");
            let is_allowed = if is_ours(to) {
                EDGES.contains(&(from, to)) || is_for_tests && EDGES_OF_TESTS.contains(&(from, to))
            } else {
                is_for_tests || !BANNED.iter().any(|ban| ban.0 == from && is_of(to, ban.1))
            };
            if !is_allowed {
                offenses.push(format!("{from}: must not depend on {to}"));
            }
        }
    }
    offenses
}

fn is_of(name: &str, family: &str) -> bool {
    let rest = name.strip_prefix(family);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// Dependencies without a row in the table of docs/dependencies.md, and rows without a dependency.
pub(super) fn documented(packages: &[Package], document: &str) -> Vec<String> {
    let row = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let rows: BTreeSet<_> = document.lines().filter_map(row).collect();
    let names = packages.iter().flat_map(|package| &package.dependencies);
    let names = names.map(|dependency| dependency.name.clone());
    let names: BTreeSet<_> = names.filter(|name| !is_ours(name)).collect();
    let differing = names.symmetric_difference(&rows);
    let wrong = "docs/dependencies.md: has no row, or a needless one, for";
    differing.map(|name| format!("{wrong} {name}")).collect()
}

/// Packages that need a newer Rust than the crates of this repository say.
pub(super) fn newer_than_ours(packages: &[Package]) -> Vec<String> {
    let version = |package: &Package| {
        let text = package.rust_version.as_deref().unwrap_or_default();
        let mut numbers = text
            .split('.')
            .map(|number| number.parse().unwrap_or(0_u32));
        [(); 3].map(|()| numbers.next().unwrap_or(0))
    };
    let ours = packages.iter().filter(|package| is_ours(&package.name));
    let ours = ours.map(version).min();
    let newer = packages
        .iter()
        .filter(|package| Some(version(package)) > ours);
    let name = |package: &Package| format!("{}: needs a newer Rust than hikaru", package.name);
    newer.map(name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A package with these dependencies: `name`, or `dev name` for one of its tests.
    fn package(name: &str, rust_version: &str, dependencies: &[&str]) -> Package {
        let dependency = |text: &&str| match text.split_once(' ') {
            Some((kind, name)) => json!({"name": name, "kind": kind}),
            None => json!({"name": text, "kind": null}),
        };
        let dependencies: Vec<_> = dependencies.iter().map(dependency).collect();
        let package = json!({
            "id": name, "name": name, "manifest_path": "Cargo.toml", "rust_version": rust_version,
            "dependencies": dependencies, "features": {}, "targets": [],
        });
        serde_json::from_value(package).expect("package")
    }

    #[test]
    fn an_edge_that_is_not_drawn_is_refused() {
        let allowed = [
            package("hikaru-core", "1", &["semver", "dev hikaru-core"]),
            package("hikaru-k8s", "1", &["hikaru-core", "kube", "dev xtask"]),
            package("hikaru-http", "1", &["hikaru-core", "hyper"]),
            package(
                "hikaru-bin",
                "1",
                &["hikaru-core", "hikaru-k8s", "hikaru-http", "dev xtask"],
            ),
            package("xtask", "1", &["clap"]),
        ];
        assert_eq!(edges(&allowed), [""; 0]);
        let planted = [
            package("hikaru-core", "1", &["hikaru-k8s"]),
            package("hikaru-http", "1", &["dev hikaru-k8s"]),
            package("hikaru-k8s", "1", &["build hikaru-http", "xtask"]),
            package("xtask", "1", &["dev hikaru-core"]),
            package("hikaru-new", "1", &["hikaru-core"]),
        ];
        assert_eq!(
            edges(&planted),
            [
                "hikaru-core: must not depend on hikaru-k8s",
                "hikaru-http: must not depend on hikaru-k8s",
                "hikaru-k8s: must not depend on hikaru-http",
                "hikaru-k8s: must not depend on xtask",
                "xtask: must not depend on hikaru-core",
                "hikaru-new: must not depend on hikaru-core",
            ]
        );
    }

    #[test]
    fn a_framework_is_refused_by_its_family() {
        let planted = [
            package(
                "hikaru-core",
                "1",
                &["serde_json", "kubert", "build tokio-util", "dev hyper"],
            ),
            package("hikaru-http", "1", &["kube-client", "serde"]),
            package("hikaru-bin", "1", &["serde-saphyr", "dev granit-parser"]),
        ];
        assert_eq!(
            edges(&planted),
            [
                "hikaru-core: must not depend on serde_json",
                "hikaru-core: must not depend on tokio-util",
                "hikaru-http: must not depend on kube-client",
                "hikaru-bin: must not depend on serde-saphyr",
            ]
        );
    }

    #[test]
    fn a_dependency_without_a_row_and_a_row_without_a_dependency_are_found() {
        let packages = [
            package("hikaru-core", "1", &["semver", "dev proptest"]),
            package("hikaru-k8s", "1", &["hikaru-core", "kube"]),
        ];
        let document = "| name | what for |\n|---|---|\n| `semver` | versions |\n| `kube` | `proptest` |\n| `gone` | x |\n";
        assert_eq!(
            documented(&packages, document),
            [
                "docs/dependencies.md: has no row, or a needless one, for gone",
                "docs/dependencies.md: has no row, or a needless one, for proptest",
            ]
        );
    }

    #[test]
    fn a_dependency_that_needs_a_newer_rust_is_found() {
        let packages = |kube| {
            [
                package("hikaru-k8s", "1.89", &[]),
                package("kube", kube, &[]),
            ]
        };
        assert_eq!(newer_than_ours(&packages("1.89.0")), [""; 0]);
        assert_eq!(newer_than_ours(&packages("1.9.1")), [""; 0]);
        assert_eq!(
            newer_than_ours(&packages("1.90.0")),
            ["kube: needs a newer Rust than hikaru"]
        );
    }
}
