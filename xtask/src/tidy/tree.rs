//! The workspace as data: packages, manifests, sources, documents. No rule is known here.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// All that the invariants are about. Paths are relative to the workspace, with `/`.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The members, and the crates of fuzz targets beside them.
    pub(crate) packages: Vec<Package>,
    /// All `.rs` files.
    pub(crate) sources: Vec<Text>,
    /// The workspace's Cargo.toml.
    pub(crate) workspace: Text,
    /// docs/dependencies.md; empty if it is not there.
    pub(crate) dependencies: Text,
    /// docs/architecture.md; empty if it is not there.
    pub(crate) architecture: Text,
}

/// A file.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A member of the workspace, or a crate of fuzz targets.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// It is a workspace of its own and can take nothing from the main one: a crate of fuzz targets.
    pub(crate) is_apart: bool,
    pub(crate) manifest: Text,
    pub(crate) dependencies: Vec<Dependency>,
    /// The names of its Cargo features.
    pub(crate) features: Vec<String>,
}

impl Package {
    /// Where a dependency stands in the manifest, `file:line`.
    pub(crate) fn place(&self, dependency: &str) -> String {
        let line = self.manifest.text.lines().position(|line| {
            let line = line.trim_start();
            line.strip_prefix(dependency)
                .is_some_and(|rest| rest.starts_with([' ', '.', '=']))
                || line.ends_with(&format!("dependencies.{dependency}]"))
        });
        line.map_or_else(
            || self.manifest.path.clone(),
            |line| format!("{}:{}", self.manifest.path, line + 1),
        )
    }
}

/// A dependency as declared.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

impl Tree {
    /// Reads the workspace that this program was built from.
    pub(crate) fn load() -> Result<Self, String> {
        let root = root();
        let read = |path: &str| Text {
            path: path.to_owned(),
            text: read(&root.join(path)).unwrap_or_default(),
        };
        let mut sources = Vec::new();
        walk(&root, &root, &mut sources)?;
        let mut packages = packages(&root)?;
        packages.extend(fuzz_packages(&root)?);
        Ok(Self {
            packages,
            sources,
            workspace: read("Cargo.toml"),
            dependencies: read("docs/dependencies.md"),
            architecture: read("docs/architecture.md"),
        })
    }
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<MetadataDependency>,
    features: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct MetadataDependency {
    name: String,
    kind: Option<String>,
}

/// The members, as Cargo understands them.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, String> {
    packages_of(root, root)
}

/// The crates of fuzz targets: `*/fuzz`, each a workspace of its own.
fn fuzz_packages(root: &Path) -> Result<Vec<Package>, String> {
    let mut folders = Vec::new();
    let named = |error: std::io::Error| format!("{}: {error}", root.display());
    for entry in std::fs::read_dir(root).map_err(named)? {
        let folder = entry.map_err(named)?.path().join("fuzz");
        if folder.join("Cargo.toml").is_file() {
            folders.push(folder);
        }
    }
    folders.sort();
    let mut all = Vec::new();
    for folder in folders {
        all.extend(packages_of(root, &folder)?);
    }
    for package in &mut all {
        package.is_apart = true;
    }
    Ok(all)
}

/// The members of the workspace in a folder; paths are relative to the root.
fn packages_of(root: &Path, folder: &Path) -> Result<Vec<Package>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(folder);
    let output = command
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let package = |package: MetadataPackage| {
        let text = read(&package.manifest_path)?;
        let manifest = Text {
            path: relative(root, &package.manifest_path),
            text,
        };
        let dependencies = package
            .dependencies
            .into_iter()
            .map(|dependency| Dependency {
                name: dependency.name,
                kind: match dependency.kind.as_deref() {
                    Some("dev") => Kind::Dev,
                    Some("build") => Kind::Build,
                    _ => Kind::Normal,
                },
            });
        let features = package.features.into_iter().map(|(name, _)| name).collect();
        Ok(Package {
            name: package.name,
            is_apart: false,
            manifest,
            dependencies: dependencies.collect(),
            features,
        })
    };
    metadata.packages.into_iter().map(package).collect()
}

/// Collects all `.rs` files but those of hidden folders and of Cargo's output.
fn walk(root: &Path, folder: &Path, sources: &mut Vec<Text>) -> Result<(), String> {
    let named = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(named)? {
        let entry = entry.map_err(named)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let kind = entry.file_type().map_err(named)?;
        if kind.is_dir() && !name.starts_with('.') && name != "target" {
            walk(root, &path, sources)?;
        } else if kind.is_file() && name.ends_with(".rs") {
            sources.push(Text {
                path: relative(root, &path),
                text: read(&path)?,
            });
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
pub(super) mod planted {
    //! Trees with faults, for the tests of the checks.

    use super::*;

    /// A package with a manifest that is as it should be; dependencies are `name`, `dev name`, `build name`.
    pub(crate) fn package(name: &str, dependencies: &[&str]) -> Package {
        let mut text =
            "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n".to_owned();
        let mut declared = Vec::new();
        for dependency in dependencies {
            let (kind, name) = match dependency.split_once(' ') {
                Some(("dev", name)) => (Kind::Dev, name),
                Some(("build", name)) => (Kind::Build, name),
                _ => (Kind::Normal, *dependency),
            };
            text.push_str(&format!("{name}.workspace = true\n"));
            declared.push(Dependency {
                name: name.to_owned(),
                kind,
            });
        }
        let manifest = Text {
            path: format!("{name}/Cargo.toml"),
            text,
        };
        Package {
            name: name.to_owned(),
            is_apart: false,
            manifest,
            dependencies: declared,
            features: Vec::new(),
        }
    }

    /// A crate of fuzz targets with this manifest.
    pub(crate) fn apart(manifest: &str) -> Package {
        let mut package = package("hikaru-core/fuzz", &[]);
        package.is_apart = true;
        package.manifest.text = manifest.to_owned();
        package
    }

    pub(crate) fn packages(packages: Vec<Package>) -> Tree {
        Tree {
            packages,
            ..Tree::default()
        }
    }

    pub(crate) fn sources(sources: &[(&str, &str)]) -> Tree {
        let text = |&(path, text): &(&str, &str)| Text {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        Tree {
            sources: sources.iter().map(text).collect(),
            ..Tree::default()
        }
    }

    /// Offenses as text, sorted.
    pub(crate) fn said(offenses: Vec<super::super::Offense>) -> Vec<String> {
        let mut said: Vec<_> = offenses.iter().map(ToString::to_string).collect();
        said.sort();
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_tree_is_read() {
        let tree = Tree::load().expect("tree");
        let xtask = tree
            .packages
            .iter()
            .find(|package| package.name == "xtask")
            .expect("xtask");
        assert!(xtask.features.iter().any(|feature| feature == "cluster"));
        assert!(
            xtask
                .dependencies
                .iter()
                .any(|dependency| dependency.name == "clap")
        );
        assert!(
            xtask.place("clap").starts_with("xtask/Cargo.toml:"),
            "{}",
            xtask.place("clap")
        );
        assert!(
            tree.sources
                .iter()
                .any(|source| source.path == "xtask/src/tidy/tree.rs")
        );
        assert!(
            tree.sources
                .iter()
                .all(|source| !source.path.contains("target/"))
        );
        assert!(tree.workspace.text.contains("[workspace.dependencies]"));
        let apart = tree.packages.iter().filter(|package| package.is_apart);
        let apart: Vec<_> = apart.map(|package| &*package.manifest.path).collect();
        assert_eq!(apart, ["hikaru-core/fuzz/Cargo.toml"]);
    }
}
