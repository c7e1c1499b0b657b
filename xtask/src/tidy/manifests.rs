//! Checks of manifests and of the documents that go with them.

use toml::{Table, Value};

use super::{INVARIANTS, Offense, Tree};

/// The tables of a manifest that list dependencies, also under `[target.…]`.
const LISTS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn dependencies_are_documented(tree: &Tree) -> Vec<Offense> {
    let documented: Vec<_> = tree
        .dependencies
        .text
        .lines()
        .filter_map(documented)
        .collect();
    let mut offenses = Vec::new();
    for package in &tree.packages {
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let is_ours = tree.packages.iter().any(|package| package.name == name);
            if !is_ours && !documented.contains(&name) {
                let what = format!(
                    "{name} has no line in docs/dependencies.md (`| \\`{name}\\` | what for | …`)"
                );
                offenses.push(Offense::new(package.place(name), what.replace("\\`", "`")));
            }
        }
    }
    offenses
}

/// The name in backticks that a table row or list item begins with.
fn documented(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix(['|', '-', '*'])?;
    let (name, _) = rest.trim_start().strip_prefix('`')?.split_once('`')?;
    Some(name)
}

pub(super) fn lints_are_shared(tree: &Tree) -> Vec<Offense> {
    let mut offenses = Vec::new();
    let shared = flag(&tree.workspace.text, "workspace.lints");
    for package in &tree.packages {
        // What is no member cannot take its lints from the workspace, so it has to repeat them.
        if package.is_apart {
            if flag(&package.manifest.text, "lints") != shared {
                let what = "[lints] are not those of the workspace, word for word";
                offenses.push(Offense::new(&package.manifest.path, what));
            }
        } else if flag(&package.manifest.text, "lints.workspace") != Some(Value::Boolean(true)) {
            offenses.push(Offense::new(
                &package.manifest.path,
                "no [lints] workspace = true",
            ));
        }
    }
    let unsafe_code = flag(&tree.workspace.text, "workspace.lints.rust.unsafe_code");
    if unsafe_code != Some(Value::String("forbid".to_owned())) {
        offenses.push(Offense::new(
            "Cargo.toml",
            "[workspace.lints.rust] does not say unsafe_code = \"forbid\"",
        ));
    }
    offenses
}

/// The value at a dotted path of a manifest.
fn flag(manifest: &str, path: &str) -> Option<Value> {
    let table: Table = manifest.parse().ok()?;
    path.split('.')
        .try_fold(Value::Table(table), |value, key| value.get(key).cloned())
}

pub(super) fn versions_are_shared(tree: &Tree) -> Vec<Offense> {
    let mut offenses = Vec::new();
    let shared = flag(&tree.workspace.text, "workspace.dependencies");
    for package in &tree.packages {
        let table: Table = match package.manifest.text.parse() {
            Ok(table) => table,
            Err(error) => {
                offenses.push(Offense::new(&package.manifest.path, error));
                continue;
            }
        };
        let targets = table
            .get("target")
            .and_then(Value::as_table)
            .into_iter()
            .flatten();
        let tables = targets
            .filter_map(|(_, target)| target.as_table())
            .chain([&table]);
        let lists =
            tables.flat_map(|table| LISTS.iter().filter_map(|list| table.get(*list)?.as_table()));
        for (name, value) in lists.flatten() {
            if package.is_apart {
                // It repeats what the workspace says of a crate; a path leads to a crate of the house.
                let of_workspace = shared.as_ref().and_then(|shared| shared.get(name));
                let is_ours = value.get("path").is_some();
                if !is_ours && of_workspace.is_some_and(|shared| shared != value) {
                    let what = format!("{name} is not as in the workspace's Cargo.toml");
                    offenses.push(Offense::new(package.place(name), what));
                }
                continue;
            }
            let is_itself = *name == package.name && value.get("version").is_none();
            if !is_itself && value.get("workspace") != Some(&Value::Boolean(true)) {
                let what = format!(
                    "{name} does not take its version from the workspace ({name}.workspace = true)"
                );
                offenses.push(Offense::new(package.place(name), what));
            }
        }
    }
    offenses
}

pub(super) fn invariants_are_documented(tree: &Tree) -> Vec<Offense> {
    let text = &tree.architecture.text;
    let is_listed = |id: &str| {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == id)
    };
    let missing = INVARIANTS
        .iter()
        .filter(|invariant| !is_listed(invariant.id));
    missing
        .map(|invariant| {
            Offense::new(
                "docs/architecture.md",
                format!("does not list {}", invariant.id),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::Text;
    use super::super::tree::planted::{apart, package, packages, said};
    use super::*;

    #[test]
    fn dependencies_without_a_line_are_seen() {
        let mut tree = packages(vec![
            package("hikaru-core", &["semver", "dev proptest"]),
            package("hikaru-k8s", &["hikaru-core", "kube"]),
        ]);
        tree.dependencies.text = "| crate | for |\n|---|---|\n| `semver` | versions |\n- `kube`: the client\nsee `proptest`\n".to_owned();
        let expected = "hikaru-core/Cargo.toml:9: proptest has no line in docs/dependencies.md (`| `proptest` | what for | …`)";
        assert_eq!(said(dependencies_are_documented(&tree)), [expected]);
    }

    #[test]
    fn lints_of_ones_own_are_seen() {
        let mut bad = package("hikaru-k8s", &[]);
        bad.manifest.text =
            "[package]\nname = \"x\"\n[lints.rust]\nmissing_docs = \"allow\"\n".to_owned();
        let mut tree = packages(vec![package("hikaru-core", &[]), bad]);
        tree.workspace.text = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n".to_owned();
        assert_eq!(
            said(lints_are_shared(&tree)),
            ["hikaru-k8s/Cargo.toml: no [lints] workspace = true"]
        );
        tree.workspace.text = "[workspace.lints.rust]\nunsafe_code = \"warn\"\n".to_owned();
        assert_eq!(lints_are_shared(&tree).len(), 2);
    }

    #[test]
    fn lints_of_fuzz_targets_are_compared() {
        let lints = "rust.unsafe_code = \"forbid\"\nclippy.all = \"warn\"\n";
        let mut tree = packages(vec![
            package("hikaru-core", &[]),
            apart(&format!("[lints]\n{lints}")),
        ]);
        tree.workspace.text = format!("[workspace.lints]\n{lints}");
        assert_eq!(said(lints_are_shared(&tree)), [""; 0]);
        tree.packages[1] = apart("[lints]\nrust.unsafe_code = \"allow\"\nclippy.all = \"warn\"\n");
        assert_eq!(
            said(lints_are_shared(&tree)),
            ["hikaru-core/fuzz/Cargo.toml: [lints] are not those of the workspace, word for word"]
        );
        tree.packages[1] = apart("");
        assert_eq!(lints_are_shared(&tree).len(), 1);
    }

    #[test]
    fn versions_of_fuzz_targets_are_compared() {
        let manifest = |semver: &str| {
            apart(&format!(
                "[dependencies]\nhikaru-core = {{ path = \"..\" }}\nlibfuzzer-sys = \"0.4\"\nsemver = {semver}\n"
            ))
        };
        let mut tree = packages(vec![manifest("{ version = \"1.0.28\" }")]);
        tree.workspace.text = "[workspace.dependencies]\nsemver = { version = \"1.0.28\" }\n\
                               hikaru-core = { path = \"hikaru-core\" }\n"
            .to_owned();
        assert_eq!(said(versions_are_shared(&tree)), [""; 0]);
        tree.packages[0] = manifest("\"1\"");
        assert_eq!(
            said(versions_are_shared(&tree)),
            ["hikaru-core/fuzz/Cargo.toml:4: semver is not as in the workspace's Cargo.toml"]
        );
    }

    #[test]
    fn versions_of_ones_own_are_seen() {
        let mut bad = package("hikaru-k8s", &[]);
        bad.manifest.text = "[dependencies]\nkube = \"5\"\nserde.workspace = true\n\
                             tokio = { workspace = true, features = [\"net\"] }\n\
                             [dev-dependencies]\nproptest = { version = \"1\" }\n\
                             [target.'cfg(unix)'.dependencies]\nrustix = { path = \"x\" }\n\
                             hikaru-k8s = { path = \".\" }\n"
            .to_owned();
        let tree = packages(vec![package("hikaru-core", &["semver"]), bad]);
        assert_eq!(
            said(versions_are_shared(&tree)),
            [
                "hikaru-k8s/Cargo.toml:2: kube does not take its version from the workspace (kube.workspace = true)",
                "hikaru-k8s/Cargo.toml:6: proptest does not take its version from the workspace (proptest.workspace = true)",
                "hikaru-k8s/Cargo.toml:8: rustix does not take its version from the workspace (rustix.workspace = true)",
            ]
        );
    }

    #[test]
    fn an_invariant_without_its_line_is_seen() {
        let all = INVARIANTS
            .iter()
            .filter(|invariant| invariant.id != "I1")
            .map(|invariant| format!("**{}** …\n", invariant.id));
        let architecture = Text {
            path: "docs/architecture.md".to_owned(),
            text: all.collect(),
        };
        let tree = Tree {
            architecture,
            ..Tree::default()
        };
        assert_eq!(
            said(invariants_are_documented(&tree)),
            ["docs/architecture.md: does not list I1"]
        );
    }
}
