//! What decides which image runs, beside the manifest: Kustomize files, Flux Kustomizations and Argo CD Applications of the
//! folder, and which manifests each of them reaches. How their fields are read is `crate::yaml`'s business.
//!
//! What is not seen: files outside of the folder, patches that replace images, and Helm values.

use hikaru_core::{
    Text, Workload,
    port::{Fault, Severity},
    workload::Override,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::severity::Concern;
use super::text;
use super::walk::{Manifest, Walked};
use crate::yaml::{self, Documents, ImageRule, Piece};

/// What Kustomize reads in a folder, by its name.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A text without one of these holds no object that has a path deployed.
const GROUPS: [&str; 2] = ["kustomize.toolkit.fluxcd.io", "argoproj.io"];

/// Kustomize files that include one another, one in the other.
const DEEPEST: usize = 100;
/// Ways from a Kustomize file to another one or to a manifest, all together.
const WAYS: usize = 200_000;

/// The manifests whose images other files override, by their real path.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    ways: HashMap<PathBuf, Vec<Arc<Way>>>,
}

/// One way from an outermost file to a manifest, and what is done with images on it.
#[derive(Debug)]
struct Way {
    /// The outermost file.
    file: Text,
    /// The image rules, in the order in which they are applied.
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    place: Text,
    rule: ImageRule,
}

impl Overrides {
    /// Reads the overrides in the folder's files. A field that cannot be read is a fault.
    ///
    /// # Errors
    /// Kustomize files include one another too deep or in too many ways: which images come out is not known.
    pub(super) fn read(
        walked: &Walked,
        root: &Path,
        concern: &Concern<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<Self, String> {
        let mut sources = Sources::default();
        for manifest in walked.manifests.iter().chain(&walked.kustomizations) {
            sources.take(manifest, root, concern, faults);
        }
        sources.resolve(root, walked)
    }

    /// Sets the overrides of a workload's containers; `file` is the real path of its manifest.
    pub(super) fn apply(&self, file: &Path, workload: &mut Workload) {
        let Some(ways) = self.ways.get(file) else {
            return;
        };
        // Older versions of Kustomize leave the images of volumes as they are written. Which one runs is not known.
        for container in &mut workload.containers {
            let mut others: Vec<Override> = Vec::new();
            let mut as_written = None;
            for way in ways {
                let (mut image, mut place, mut pins) = (container.image.to_string(), None, false);
                for Rule { place: at, rule } in &way.rules {
                    if let Some((next, pinned)) = rule.apply(&image) {
                        (image, place, pins) = (next, Some(at), pins || pinned);
                    }
                }
                let Some(place) = place else {
                    as_written.get_or_insert(&way.file);
                    continue;
                };
                let mut other = Override::new(place.clone(), image);
                other.pins = pins;
                if !others.contains(&other) {
                    others.push(other);
                }
            }
            // On another way it is rendered as it is written: that image runs, too.
            if let (Some(file), false) = (as_written, others.is_empty()) {
                let mut own = Override::new(file.clone(), container.image.clone());
                own.pins = false;
                others.push(own);
            }
            container.overridden = others;
        }
    }
}

/// What the files say, before it is known which manifests that reaches.
#[derive(Debug, Default)]
struct Sources {
    /// Kustomize files by their folder's real path.
    kustomizations: BTreeMap<PathBuf, Source>,
    /// Paths that an object has deployed with other images. The path is real.
    deployed: Vec<(PathBuf, Way)>,
}

/// A Kustomize file.
#[derive(Debug)]
struct Source {
    file: Text,
    images: Vec<Rule>,
    /// Real paths below the folder.
    resources: Vec<PathBuf>,
    components: Vec<PathBuf>,
}

impl Sources {
    fn take(
        &mut self,
        manifest: &Manifest,
        root: &Path,
        concern: &Concern<'_>,
        faults: &mut Vec<Fault>,
    ) {
        let name = manifest.path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        let Some(folder) = manifest.path.parent() else {
            return;
        };
        let is_kustomization = NAMES.contains(&name);
        let is_argo_source = name.starts_with(".argocd-source");
        let text = match text::read(&manifest.path) {
            Ok(text) => text,
            // A manifest is read again for its workloads, and told then.
            Err(_) if is_kustomization && !is_manifest(name) => {
                let message =
                    "cannot be read as text: the images that it may override are not known";
                return faults.push(Fault::new(Severity::Failure, &*manifest.file, message));
            }
            Err(_) => return,
        };
        if !is_kustomization && !is_argo_source && !GROUPS.iter().any(|group| text.contains(group))
        {
            return;
        }
        for piece in Documents::new(&text) {
            let taken = match piece {
                Piece::Document(tree) if is_kustomization => yaml::kustomization(&tree)
                    .map(|found| self.kustomization(manifest, folder, root, found)),
                Piece::Document(tree) if is_argo_source => yaml::image_rules(&tree).map(|found| {
                    self.deployed(manifest, folder.to_owned(), found);
                }),
                Piece::Document(tree) => yaml::deployers(&tree).map(|found| {
                    for deployer in found {
                        if let Some(path) = deployed_path(root, &deployer.path) {
                            self.deployed(manifest, path, deployer.images);
                        }
                    }
                }),
                // A broken manifest is told when its workloads are read.
                Piece::Broken { .. } if is_manifest(name) => Ok(()),
                Piece::Broken { problem, .. } => Err(problem),
            };
            if let Err(problem) = taken {
                let place = text::place(&manifest.file, problem.mark);
                let severity = concern.severity(&manifest.file, text.as_bytes());
                faults.push(Fault::new(severity, place, problem.message));
            }
        }
    }

    fn kustomization(
        &mut self,
        manifest: &Manifest,
        folder: &Path,
        root: &Path,
        found: yaml::Kustomization,
    ) {
        // Paths that lead out of the folder, or nowhere, are left out.
        let below = |paths: Vec<String>| -> Vec<PathBuf> {
            let real = paths.iter().map(|path| fs::canonicalize(folder.join(path)));
            let real = real.filter_map(Result::ok);
            real.filter(|path| path.starts_with(root)).collect()
        };
        let source = Source {
            file: manifest.file.as_str().into(),
            images: placed(manifest, found.images),
            resources: below(found.resources),
            components: below(found.components),
        };
        self.kustomizations.insert(folder.to_owned(), source);
    }

    fn deployed(&mut self, manifest: &Manifest, path: PathBuf, images: Vec<ImageRule>) {
        let way = Way {
            file: manifest.file.as_str().into(),
            rules: placed(manifest, images),
        };
        self.deployed.push((path, way));
    }

    fn resolve(self, root: &Path, walked: &Walked) -> Result<Overrides, String> {
        let mut resolver = Resolver {
            sources: &self,
            root,
            walked,
            left: WAYS,
            stack: Vec::new(),
            seen: BTreeSet::new(),
            found: Overrides::default(),
        };
        // Folders that another Kustomize file includes, or that Flux or Argo CD deploys, are rendered from there alone.
        let mut inner: BTreeSet<&PathBuf> = self.deployed.iter().map(|(path, _)| path).collect();
        for source in self.kustomizations.values() {
            inner.extend(source.resources.iter().chain(&source.components));
        }
        for (folder, source) in &self.kustomizations {
            if !inner.contains(folder) {
                resolver.render(folder, &[], &source.file)?;
            }
        }
        for (path, way) in &self.deployed {
            resolver.render(path, &way.rules, &way.file)?;
        }
        // Kustomize files in a circle have no outermost one.
        for (folder, source) in &self.kustomizations {
            if !resolver.seen.contains(folder) {
                resolver.render(folder, &[], &source.file)?;
            }
        }
        Ok(resolver.found)
    }
}

/// Follows each Kustomize file, and each path that is deployed, to the manifests that it includes.
struct Resolver<'r> {
    sources: &'r Sources,
    root: &'r Path,
    walked: &'r Walked,
    left: usize,
    /// The folders of the Kustomize files on the way to the current one, and of all that were met.
    stack: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    found: Overrides,
}

impl Resolver<'_> {
    /// Follows a path to all manifests that it includes. `outer`: the rules applied after its own; `file`: where the way
    /// begins.
    fn render(&mut self, path: &Path, outer: &[Rule], file: &Text) -> Result<(), String> {
        let sources = self.sources;
        let Some(source) = sources.kustomizations.get(path) else {
            return self.plain(path, outer, file);
        };
        if !self.enter(path)? {
            return Ok(());
        }
        let mut rules = source.images.clone();
        rules.extend_from_slice(outer);
        // Kustomize runs the components in turn on all that was included so far, and the file's own rules at last. So from
        // the last component to the first: what one includes is changed by its own rules and by those after it.
        for component in source.components.iter().rev() {
            if sources.kustomizations.contains_key(component) {
                self.render(component, &rules, file)?;
                let mut before = Vec::new();
                self.component_rules(component, &mut before)?;
                before.append(&mut rules);
                rules = before;
            }
        }
        let way = Arc::new(Way {
            file: file.clone(),
            rules,
        });
        for next in &source.resources {
            if sources.kustomizations.contains_key(next) {
                self.render(next, &way.rules, file)?;
            } else {
                self.reach(next, &way)?;
            }
        }
        self.stack.pop();
        Ok(())
    }

    /// The rules of a component after those of the components that it includes, in the order in which they are applied to
    /// what was included before the component.
    fn component_rules(&mut self, path: &Path, rules: &mut Vec<Rule>) -> Result<(), String> {
        let Some(source) = self.sources.kustomizations.get(path) else {
            return Ok(());
        };
        if !self.enter(path)? {
            return Ok(());
        }
        for component in &source.components {
            self.component_rules(component, rules)?;
        }
        rules.extend(source.images.iter().cloned());
        self.stack.pop();
        Ok(())
    }

    /// Puts a Kustomize file's folder on the stack. `false`: it is there already. Kustomize refuses circles; what is in one
    /// comes out once here.
    fn enter(&mut self, path: &Path) -> Result<bool, String> {
        self.spend()?;
        if self.stack.len() > DEEPEST {
            let path = path.strip_prefix(self.root).unwrap_or(path).display();
            return Err(format!(
                "{path}: Kustomize files include one another more than {DEEPEST} deep: nothing was done, for nobody knows \
                 which images come out"
            ));
        }
        // As texts: these paths are real ones, and comparing their parts is slow.
        if self
            .stack
            .iter()
            .any(|folder| folder.as_os_str() == path.as_os_str())
        {
            return Ok(false);
        }
        self.seen.insert(path.to_owned());
        self.stack.push(path.to_owned());
        Ok(true)
    }

    /// A folder without a Kustomize file: Flux takes all manifests below it, and each Kustomize file on the way for what
    /// is below that.
    fn plain(&mut self, path: &Path, outer: &[Rule], file: &Text) -> Result<(), String> {
        let way = Arc::new(Way {
            file: file.clone(),
            rules: outer.to_vec(),
        });
        let mut inner: BTreeSet<&Path> = BTreeSet::new();
        for manifest in &self.walked.manifests {
            let Ok(below) = manifest.path.strip_prefix(path) else {
                continue;
            };
            // The outermost Kustomize file between the folder and the manifest.
            let between = below.ancestors().skip(1).collect::<Vec<_>>();
            let known = between.iter().rev().find_map(|way| {
                let known = self.sources.kustomizations.get_key_value(&path.join(way));
                known.map(|(folder, _)| folder.as_path())
            });
            match known {
                Some(folder) => drop(inner.insert(folder)),
                None => self.reach(&manifest.path, &way)?,
            }
        }
        for folder in inner {
            self.render(folder, outer, file)?;
        }
        Ok(())
    }

    fn reach(&mut self, manifest: &Path, way: &Arc<Way>) -> Result<(), String> {
        self.spend()?;
        let ways = self.found.ways.entry(manifest.to_owned()).or_default();
        ways.push(Arc::clone(way));
        Ok(())
    }

    /// Counts one of the ways.
    fn spend(&mut self) -> Result<(), String> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            format!(
                "the Kustomize files of the folder include one another in more than {WAYS} ways: nothing was done, for \
                 nobody knows which images come out"
            )
        })?;
        Ok(())
    }
}

fn placed(manifest: &Manifest, images: Vec<ImageRule>) -> Vec<Rule> {
    let rule = |rule: ImageRule| Rule {
        place: text::place(&manifest.file, rule.mark).into(),
        rule,
    };
    images.into_iter().map(rule).collect()
}

fn is_manifest(name: &str) -> bool {
    name != NAMES[2]
}

/// The real path that an object has deployed. It counts from the root of the repository: that is the folder, or one of
/// those that it is in, up to the one with `.git`.
fn deployed_path(root: &Path, path: &str) -> Option<PathBuf> {
    let path = path.trim_start_matches('/');
    let mut tops = Vec::new();
    for top in root.ancestors() {
        tops.push(top);
        if top.join(".git").exists() {
            break;
        }
    }
    // Without a repository around it the folder is the root.
    if !tops.last().is_some_and(|top| top.join(".git").exists()) {
        tops.truncate(1);
    }
    let real = tops.iter().map(|top| fs::canonicalize(top.join(path)));
    let real = real.filter_map(Result::ok).next()?;
    // What is above the folder reaches all of it.
    if root.starts_with(&real) {
        return Some(root.to_owned());
    }
    real.starts_with(root).then_some(real)
}
