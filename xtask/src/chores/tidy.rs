//! `cargo xtask tidy`: rules about the sources that no compiler checks. docs/architecture.md lists them.
//!
//! Each rule is a function from what it reads to a list of offenses, `file: what is wrong`.

mod crates;
mod imports;
mod sources;

use crate::workspace::{members, packages_of, root, with_dependencies};

/// Checks every rule, and prints every offense.
pub(crate) fn run() -> Result<(), String> {
    let root = root();
    let read = |path: &str| {
        let text = std::fs::read_to_string(root.join(path));
        text.map_err(|error| format!("{path}: {error}"))
    };
    let mut packages = members()?;
    let sources = sources::read(&root)?;
    let mut offenses: Vec<String> = sources.iter().flat_map(sources::offenses).collect();
    for name in packages.iter().map(|package| &*package.name) {
        if !read(&format!("{name}/Cargo.toml"))?.contains("\n[lints]\nworkspace = true\n") {
            offenses.push(format!("{name}: has lints apart from the workspace's"));
        }
        let tree = imports::Crate::read(&format!("{name}/src"), &sources)?;
        if name == "hikaru-core" {
            offenses.extend(sources::io(&tree));
        }
        offenses.extend(tree.circles());
    }
    offenses.extend(crates::newer_than_ours(&with_dependencies()?));
    packages.extend(packages_of("hikaru-core/fuzz/Cargo.toml")?);
    packages.extend(packages_of("hikaru-http/fuzz/Cargo.toml")?);
    offenses.extend(crates::edges(&packages));
    let document = read("docs/dependencies.md")?;
    offenses.extend(crates::documented(&packages, &document));
    if !offenses.is_empty() {
        let count = offenses.len();
        eprintln!("{}", offenses.join("\n"));
        return Err(format!(
            "{count} offenses; docs/architecture.md has the rules"
        ));
    }
    println!("{} files are tidy", sources.len());
    Ok(())
}
