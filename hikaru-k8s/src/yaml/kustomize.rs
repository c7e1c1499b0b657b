//! Image rules beside the manifest: the `images` of a Kustomize file, of a Flux Kustomization and of an Argo CD Application.
//! Which manifests they reach is found in the folder's `overrides`.

use super::path::Cursor;
use super::tree::{Mark, Shape, Tree};
use super::{Problem, path::excerpt};

/// One rule of a list of images: it changes images of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageRule {
    pub(crate) mark: Mark,
    name: String,
    new_name: Option<String>,
    new_tag: Option<String>,
    digest: Option<String>,
    tag_suffix: Option<String>,
}

impl ImageRule {
    /// The image after the rule, and whether the rule sets its tag or digest. `None`: the rule changes nothing. Names are
    /// compared letter by letter, as in Kustomize: `web` is not `docker.io/library/web`. (Kustomize 5.5 adds a suffix twice.)
    pub(crate) fn apply(&self, image: &str) -> Option<(String, bool)> {
        let rest = image.strip_prefix(self.name.as_str())?;
        let is_end = rest.is_empty() || rest.starts_with([':', '@']);
        let may_end = |c: char| c.is_ascii_alphanumeric() || "_.{}-:@".contains(c);
        if !is_end || !rest.chars().all(may_end) {
            return None;
        }
        let (tag, digest) = match rest.split_once('@') {
            Some((tag, digest)) => (tag, Some(digest)),
            None => (rest, None),
        };
        let tag = tag.strip_prefix(':');
        let suffixed = self
            .tag_suffix
            .as_ref()
            .map(|suffix| format!("{}{suffix}", tag.unwrap_or_default()));
        // A new tag or a new digest takes the place of both.
        let pins = self.new_tag.is_some() || self.digest.is_some() || suffixed.is_some();
        let (tag, digest) = match (&self.new_tag, &self.digest, &suffixed) {
            (None, None, None) => (tag, digest),
            (None, None, Some(tag)) => (Some(tag.as_str()), None),
            (tag, digest, _) => (tag.as_deref(), digest.as_deref()),
        };
        if !pins && self.new_name.is_none() {
            return None;
        }
        let mut image = self.new_name.as_ref().unwrap_or(&self.name).clone();
        for (sign, part) in [(':', tag), ('@', digest)] {
            if let Some(part) = part {
                image.push(sign);
                image.push_str(part);
            }
        }
        Some((image, pins))
    }

    /// A rule as Argo CD and `kustomize edit set image` write it: `[NAME=]IMAGE[:TAG][@DIGEST]`; `*` keeps a name.
    fn of_text(text: &str, mark: Mark) -> Self {
        let (name, image) = match text.split_once('=') {
            Some((name, image)) => (Some(name), image),
            None => (None, text),
        };
        let (image, digest) = match image.split_once('@') {
            Some((image, digest)) => (image, Some(digest)),
            None => (image, None),
        };
        let (image, tag) = match image.rsplit_once(':') {
            Some((image, tag)) if !tag.contains('/') => (image, Some(tag)),
            _ => (image, None),
        };
        let owned = |part: &str| part.to_owned();
        Self {
            mark,
            name: name.unwrap_or(image).to_owned(),
            new_name: name
                .is_some_and(|name| name != image)
                .then_some(image)
                .filter(|image| *image != "*")
                .map(owned),
            new_tag: tag.filter(|tag| *tag != "*").map(owned),
            digest: digest.map(owned),
            tag_suffix: None,
        }
    }
}

/// A Kustomize file: its image rules, and the paths that it includes.
#[derive(Debug, Default)]
pub(crate) struct Kustomization {
    pub(crate) images: Vec<ImageRule>,
    pub(crate) resources: Vec<String>,
    /// Their rules hold for all of this file's resources.
    pub(crate) components: Vec<String>,
}

/// Reads a file that Kustomize would read for its name.
///
/// # Errors
/// A field that counts here has another type than Kustomize gives it.
pub(crate) fn kustomization(tree: &Tree<'_>) -> Result<Kustomization, Problem> {
    tree.check_lines()?;
    let mut read = Kustomization::default();
    let Some(top) = map(tree, tree.top()?) else {
        return Ok(read);
    };
    let [images, resources, bases, components] = tree.fields(
        top,
        &"the Kustomize file",
        ["images", "resources", "bases", "components"],
    )?;
    read.images = rules(tree, images)?;
    read.resources = texts(tree, resources, "resources")?;
    read.resources.extend(texts(tree, bases, "bases")?);
    read.components = texts(tree, components, "components")?;
    Ok(read)
}

/// An object that has a path of its repository deployed, with other images.
#[derive(Debug)]
pub(crate) struct Deployer {
    pub(crate) path: String,
    pub(crate) images: Vec<ImageRule>,
}

/// The objects of a document that have a path deployed with other images: Flux Kustomizations, Argo CD Applications and
/// ApplicationSets.
///
/// # Errors
/// A field that counts here has another type than their schema gives it.
pub(crate) fn deployers(tree: &Tree<'_>) -> Result<Vec<Deployer>, Problem> {
    tree.check_lines()?;
    let mut found = Vec::new();
    let Some(top) = map(tree, tree.top()?) else {
        return Ok(found);
    };
    let [items] = tree.fields(top, &"the object", ["items"])?;
    match items {
        Some(items) if tree.shape(items.node) == Shape::Sequence => {
            for item in tree.items(items, &"items")? {
                deployer(tree, map(tree, Some(item?)), &mut found)?;
            }
        }
        _ => deployer(tree, Some(top), &mut found)?,
    }
    Ok(found)
}

fn deployer(
    tree: &Tree<'_>,
    object: Option<Cursor>,
    found: &mut Vec<Deployer>,
) -> Result<(), Problem> {
    let Some(object) = object else { return Ok(()) };
    let [kind, version, spec] =
        tree.fields(object, &"the object", ["kind", "apiVersion", "spec"])?;
    let word = |field: Option<Cursor>| tree.string(field?, &"").ok();
    let group = word(version).and_then(|version| version.split_once('/'));
    let Some(spec) = map(tree, spec) else {
        return Ok(());
    };
    match (word(kind), group.map(|(group, _)| group)) {
        (Some("Kustomization"), Some("kustomize.toolkit.fluxcd.io")) => {
            let [path, images] = tree.fields(spec, &"spec", ["path", "images"])?;
            let path = match path {
                Some(path) => tree.string(path, &"spec.path")?,
                None => ".",
            };
            let images = rules(tree, images)?;
            if !images.is_empty() {
                found.push(Deployer {
                    path: path.to_owned(),
                    images,
                });
            }
            Ok(())
        }
        (Some("Application"), Some("argoproj.io")) => sources(tree, spec, found),
        (Some("ApplicationSet"), Some("argoproj.io")) => {
            let [template] = tree.fields(spec, &"spec", ["template"])?;
            let Some(template) = map(tree, template) else {
                return Ok(());
            };
            let [spec] = tree.fields(template, &"spec.template", ["spec"])?;
            match map(tree, spec) {
                Some(spec) => sources(tree, spec, found),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// The sources of an Argo CD Application: one, or a list of them.
fn sources(tree: &Tree<'_>, spec: Cursor, found: &mut Vec<Deployer>) -> Result<(), Problem> {
    let [one, many] = tree.fields(spec, &"spec", ["source", "sources"])?;
    let mut all: Vec<Cursor> = one.into_iter().collect();
    if let Some(many) = many {
        for source in tree.items(many, &"spec.sources")? {
            all.push(source?);
        }
    }
    for source in all {
        let [path, kustomize] = tree.fields(source, &"spec.source", ["path", "kustomize"])?;
        let images = written_rules(tree, kustomize)?;
        if images.is_empty() {
            continue;
        }
        let path = match path {
            Some(path) => tree.string(path, &"spec.source.path")?,
            None => ".",
        };
        found.push(Deployer {
            path: path.to_owned(),
            images,
        });
    }
    Ok(())
}

/// The rules of a `.argocd-source.yaml`, which Argo CD takes for parameters of what is deployed from its folder.
///
/// # Errors
/// A field that counts here has another type than Argo CD gives it.
pub(crate) fn image_rules(tree: &Tree<'_>) -> Result<Vec<ImageRule>, Problem> {
    tree.check_lines()?;
    let Some(top) = map(tree, tree.top()?) else {
        return Ok(Vec::new());
    };
    let [kustomize] = tree.fields(top, &"the file", ["kustomize"])?;
    written_rules(tree, kustomize)
}

/// `kustomize.images` of Argo CD: a list of texts.
fn written_rules(tree: &Tree<'_>, kustomize: Option<Cursor>) -> Result<Vec<ImageRule>, Problem> {
    let Some(kustomize) = kustomize else {
        return Ok(Vec::new());
    };
    let [images] = tree.fields(kustomize, &"kustomize", ["images"])?;
    let Some(images) = images else {
        return Ok(Vec::new());
    };
    let mut rules = Vec::new();
    for image in tree.items(images, &"kustomize.images")? {
        let image = image?;
        let text = tree.string(image, &"an entry of kustomize.images")?;
        rules.push(ImageRule::of_text(text, tree.mark(image.node)));
    }
    Ok(rules)
}

/// `images` of Kustomize and Flux: a list of maps.
fn rules(tree: &Tree<'_>, images: Option<Cursor>) -> Result<Vec<ImageRule>, Problem> {
    let Some(images) = images else {
        return Ok(Vec::new());
    };
    let mut rules = Vec::new();
    for (index, item) in tree.items(images, &"images")?.enumerate() {
        let item = item?;
        let what = format_args!("images[{index}]");
        let keys = ["name", "newName", "newTag", "digest", "tagSuffix"];
        let fields = tree.fields(item, &what, keys)?;
        let mut texts = fields
            .into_iter()
            .zip(keys)
            .map(|(field, key)| match field {
                Some(field) => {
                    let text = tree.string(field, &format_args!("images[{index}].{key}"))?;
                    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
                }
                None => Ok(None),
            });
        let mut next = || texts.next().unwrap_or(Ok(None));
        let [name, new_name, new_tag, digest, tag_suffix] =
            [next()?, next()?, next()?, next()?, next()?];
        rules.push(ImageRule {
            mark: tree.mark(item.node),
            name: name.ok_or_else(|| {
                let source = excerpt(tree.source(item.node));
                Problem::at(
                    tree.mark(item.node),
                    format!("{what} has no name: {source}"),
                )
            })?,
            new_name,
            new_tag,
            digest,
            tag_suffix,
        });
    }
    Ok(rules)
}

fn texts(tree: &Tree<'_>, list: Option<Cursor>, what: &str) -> Result<Vec<String>, Problem> {
    let Some(list) = list else {
        return Ok(Vec::new());
    };
    let mut texts = Vec::new();
    for item in tree.items(list, &what)? {
        texts.push(
            tree.string(item?, &format_args!("an entry of {what}"))?
                .to_owned(),
        );
    }
    Ok(texts)
}

fn map(tree: &Tree<'_>, cursor: Option<Cursor>) -> Option<Cursor> {
    cursor.filter(|cursor| tree.shape(cursor.node) == Shape::Mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(fields: &str) -> ImageRule {
        let text = format!("images: [{{{fields}}}]");
        let Some(super::super::Piece::Document(tree)) = super::super::Documents::new(&text).next()
        else {
            panic!("{text}");
        };
        let mut images = kustomization(&tree).expect(&text).images;
        images.pop().expect("a rule")
    }

    #[test]
    fn images_come_out_as_kustomize_makes_them() {
        let none = None::<(&str, bool)>;
        for (fields, image, expected) in [
            ("name: web, newTag: '2'", "web", Some(("web:2", true))),
            (
                "name: web, newTag: '2'",
                "web:1@sha256:ab",
                Some(("web:2", true)),
            ),
            (
                "name: web, digest: 'sha256:cd'",
                "web:1",
                Some(("web@sha256:cd", true)),
            ),
            (
                "name: web, newTag: '2', digest: 'sha256:cd'",
                "web:1",
                Some(("web:2@sha256:cd", true)),
            ),
            (
                "name: web, newName: a/b",
                "web:1@sha256:ab",
                Some(("a/b:1@sha256:ab", false)),
            ),
            (
                "name: web, newName: a/b, newTag: '2'",
                "web:1",
                Some(("a/b:2", true)),
            ),
            (
                "name: web, tagSuffix: -x",
                "web:1@sha256:ab",
                Some(("web:1-x", true)),
            ),
            ("name: web, newTag: ''", "web:1", none),
            ("name: web", "web:1", none),
            ("name: web, newTag: '2'", "webhook:1", none),
            ("name: web, newTag: '2'", "a/web:1", none),
            ("name: host, newTag: '2'", "host:5000/web", none),
            ("name: web, newTag: '2'", "web:${TAG}", none),
            (
                "name: 'host:5000/web', newTag: '2'",
                "host:5000/web:1",
                Some(("host:5000/web:2", true)),
            ),
        ] {
            let found = rule(fields).apply(image);
            let expected = expected.map(|(image, pins)| (image.to_owned(), pins));
            assert_eq!(found, expected, "{fields} on {image}");
        }
    }

    #[test]
    fn rules_are_written_in_one_text_for_argo_cd() {
        let mark = Mark { line: 1, column: 1 };
        for (text, image, expected) in [
            ("web:2", "web:1", "web:2"),
            ("web@sha256:cd", "web:1", "web@sha256:cd"),
            ("web=a/b:2", "web:1", "a/b:2"),
            ("web=*:2", "web:1", "web:2"),
            ("web=a/b:*", "web:1", "a/b:1"),
            ("web=host:5000/b", "web:1", "host:5000/b:1"),
            (
                "host:5000/web:2@sha256:cd",
                "host:5000/web",
                "host:5000/web:2@sha256:cd",
            ),
        ] {
            let found = ImageRule::of_text(text, mark).apply(image);
            assert_eq!(
                found.map(|(image, _)| image).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }
}
