//! Which file of a crate names things of which other file, and the circles among them.
//!
//! `syn` reads the files. A path is followed to the file that defines what it names: a re-export leads on to what it
//! re-exports. Code for tests alone (`#[cfg(test)]`) is left out. A glob leads to its module and no further, and a macro
//! is looked into only if its arguments are expressions.

use std::collections::{BTreeMap, BTreeSet};

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Ident, ItemMod, ItemUse, Macro, Token, UseTree};

/// A source file: its path below the workspace's folder, and its text.
pub(super) type Source = (String, String);

/// The names on the way from the root of a crate to a module, or of a path in the source.
type Names = Vec<String>;

/// The modules of a crate and every path in them.
#[derive(Default)]
pub(super) struct Crate {
    modules: BTreeMap<Names, Module>,
    /// Each with the module in which it stands.
    paths: Vec<(Names, Names)>,
}

struct Module {
    file: String,
    /// What a `use` brings here, by its name here.
    imports: BTreeMap<String, Names>,
}

impl Crate {
    /// Reads the files below a folder, `hikaru-core/src`, but for those of tests.
    pub(super) fn read(folder: &str, sources: &[Source]) -> Result<Self, String> {
        let mut reader = Reader::default();
        for (file, text) in sources {
            let Some(path) = module_path(file).strip_prefix(folder) else {
                continue;
            };
            let names = path.split('/').filter(|name| !name.is_empty());
            reader.module = names.map(str::to_owned).collect();
            if reader.module.iter().any(|name| name == "tests") {
                continue;
            }
            let source = syn::parse_file(text);
            let source = source.map_err(|error| format!("{file}: {error}"))?;
            file.clone_into(&mut reader.file);
            reader.enter();
            reader.visit_file(&source);
        }
        Ok(reader.tree)
    }

    /// Every path of the sources and of what `use` brings, each with its file.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&str, &Names)> {
        let paths = self.paths.iter();
        paths.map(|(module, path)| (&*self.modules[module].file, path))
    }

    /// The file that defines what a path in `module` names. What another crate defines counts as defined where its name
    /// comes into this crate.
    fn definition(&self, module: &[String], path: &[String], hops: usize) -> Option<&str> {
        let mut at = module.to_vec();
        let mut rest = path;
        while let [name, after @ ..] = rest {
            match &**name {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                name => {
                    let below = [&*at, &[name.to_owned()]].concat();
                    if !self.modules.contains_key(&below) {
                        break;
                    }
                    at = below;
                }
            }
            rest = after;
        }
        let here = self.modules.get(&at)?;
        match rest {
            // The limit ends the search for a name of another crate, which can lead to itself.
            [name, after @ ..] if hops < 16 && here.imports.contains_key(name) => {
                self.definition(&at, &[&here.imports[name], after].concat(), hops + 1)
            }
            _ => Some(&here.file),
        }
    }

    /// The imports that are on a circle of files. A module and those below it do not count: they are one thing in
    /// several files.
    pub(super) fn circles(&self) -> Vec<String> {
        let mut edges: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (module, path) in &self.paths {
            let from = &*self.modules[module].file;
            let to = self.definition(module, path, 0).unwrap_or(from);
            let [above, below] = [from, to].map(|file| format!("{}/", module_path(file)));
            if !above.starts_with(&*below) && !below.starts_with(&*above) {
                edges.entry(from).or_default().insert(to);
            }
        }
        let leads_back = |from: &str, to: &str| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![to]);
            while let Some(file) = next.pop() {
                if seen.insert(file) {
                    next.extend(edges.get(file).into_iter().flatten());
                }
            }
            seen.contains(from)
        };
        let mut circles = Vec::new();
        for (from, all) in &edges {
            for to in all.iter().filter(|to| leads_back(from, to)) {
                circles.push(format!("{from}: imports {to} in a circle"));
            }
        }
        circles
    }
}

/// A file without its extension: below it are the files of its children. For the root of a crate that is its folder.
fn module_path(file: &str) -> &str {
    let roots = ["/lib.rs", "/main.rs", ".rs"];
    let path = roots.iter().find_map(|end| file.strip_suffix(end));
    path.unwrap_or(file)
}

/// Walks through a file and gathers its paths.
#[derive(Default)]
struct Reader {
    tree: Crate,
    module: Names,
    file: String,
}

impl Reader {
    fn enter(&mut self) {
        let module = Module {
            file: self.file.clone(),
            imports: BTreeMap::new(),
        };
        self.tree.modules.insert(self.module.clone(), module);
    }

    /// Gathers what a `use` brings, below the path that leads to this part of it.
    fn gather(&mut self, tree: &UseTree, path: &[String]) {
        let below = |name: &Ident| [path, &[name.to_string()]].concat();
        let (name, path) = match tree {
            UseTree::Path(tree) => return self.gather(&tree.tree, &below(&tree.ident)),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.gather(tree, path));
            }
            UseTree::Glob(_) => ("*".to_owned(), path.to_vec()),
            UseTree::Name(tree) if tree.ident == "self" => {
                (path.last().cloned().unwrap_or_default(), path.to_vec())
            }
            UseTree::Name(tree) => (tree.ident.to_string(), below(&tree.ident)),
            UseTree::Rename(tree) => (tree.rename.to_string(), below(&tree.ident)),
        };
        self.tree.paths.push((self.module.clone(), path.clone()));
        if let Some(here) = self.tree.modules.get_mut(&self.module) {
            here.imports.insert(name, path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_some() && !is_for_tests(&item.attrs) {
            self.module.push(item.ident.to_string());
            self.enter();
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.gather(&item.tree, &[]);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.tree.paths.push((self.module.clone(), names.collect()));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let arguments = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        arguments
            .iter()
            .flatten()
            .for_each(|argument| Reader::visit_expr(self, argument));
        visit::visit_macro(self, call);
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let word = attribute.parse_args::<Ident>();
        attribute.path().is_ident("cfg") && word.is_ok_and(|word| word == "test")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(files: &[(&str, &str)]) -> Crate {
        let sources = files
            .iter()
            .map(|(path, text)| (format!("src/{path}"), (*text).to_owned()));
        Crate::read("src", &sources.collect::<Vec<_>>()).expect("a crate")
    }

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        assert_eq!(planted(files).circles(), expected);
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        check(
            &[
                ("lib.rs", "mod a; mod b; mod c; mod d;"),
                ("a.rs", "use crate::b::B; pub struct A;"),
                ("b.rs", "use super::{a::{self, A}, d::D}; pub struct B;"),
                ("c.rs", "use crate::a::A;"),
                ("d.rs", "pub struct D;"),
            ],
            &[
                "src/a.rs: imports src/b.rs in a circle",
                "src/b.rs: imports src/a.rs in a circle",
            ],
        );
    }

    #[test]
    fn a_path_in_code_or_in_a_macro_counts_like_an_import() {
        check(
            &[
                ("a.rs", "fn f(b: crate::b::B<u8>) {}"),
                ("b.rs", "fn f() { g(super::c::C) }"),
                ("c.rs", "fn f() { println!(\"{}\", crate::a::f()) }"),
                ("lib.rs", "mod a; mod b; mod c;"),
            ],
            &[
                "src/a.rs: imports src/b.rs in a circle",
                "src/b.rs: imports src/c.rs in a circle",
                "src/c.rs: imports src/a.rs in a circle",
            ],
        );
    }

    #[test]
    fn a_re_export_leads_to_the_file_that_defines_the_name() {
        // `a` names `B` by the crate's root, and `b` names `A` by the folder's module under another name.
        check(
            &[
                ("lib.rs", "mod folder; mod b; pub use b::B;"),
                ("folder.rs", "mod a; pub use a::A as Other;"),
                ("folder/a.rs", "use crate::B; pub struct A;"),
                ("b.rs", "use crate::folder::Other; pub struct B;"),
            ],
            &[
                "src/b.rs: imports src/folder/a.rs in a circle",
                "src/folder/a.rs: imports src/b.rs in a circle",
            ],
        );
        // `b` names what `c` defines, so it does not depend on the folder's module, which names `b`.
        check(
            &[
                ("lib.rs", "mod folder; mod b;"),
                ("folder.rs", "mod c; pub use c::C; use crate::b::B;"),
                ("folder/c.rs", "pub struct C;"),
                ("b.rs", "use crate::folder::C; pub struct B;"),
            ],
            &[],
        );
    }

    #[test]
    fn a_module_and_its_children_may_name_each_other() {
        check(
            &[
                ("lib.rs", "mod a; fn f() { a::g() }"),
                (
                    "a.rs",
                    "mod b; use b::B; pub struct A; mod inline { use super::b::B; }",
                ),
                ("a/b.rs", "use super::A; use crate::f; pub struct B;"),
            ],
            &[],
        );
    }

    #[test]
    fn tests_and_other_crates_count_for_nothing() {
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                (
                    "a.rs",
                    "use b::b; use std::fmt; #[cfg(test)] mod tests { use crate::b::B; }",
                ),
                ("a/tests.rs", "use crate::b::B;"),
                ("b.rs", "use crate::a::A; pub struct B;"),
            ],
            &[],
        );
    }

    #[test]
    fn a_file_that_is_no_rust_is_an_error() {
        let sources = [("src/a.rs".to_owned(), "fn".to_owned())];
        let error = Crate::read("src", &sources).err();
        assert_eq!(
            error.as_deref(),
            Some("src/a.rs: unexpected end of input, expected identifier")
        );
    }
}
