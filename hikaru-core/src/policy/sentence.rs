//! Reasons as sentences for people. Made at the edge: a plan over a thousand workloads builds none.

use std::fmt;

use super::{Judged, Mark, Reason, judge::Running};
use crate::{
    Text,
    image::{
        build::{Build, ImageUse},
        reference::Reference,
        tag::VersionAndBuild,
    },
    text::{escape::Escaped, excerpt::Cut},
    workload::{
        MARK_PREFIX, SETTING_PREFIX, Workload,
        container::{Container, Override, mark_key},
    },
};

/// The reason of a verdict on a container, to be displayed. It names the two versions, or the rule.
#[derive(Clone, Copy, Debug)]
pub struct Sentence<'a> {
    pub(super) build: &'a Build,
    pub(super) workload: &'a Workload,
    pub(super) judged: &'a Judged,
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(container) = self.workload.containers.get(self.judged.container) else {
            return Ok(());
        };
        match self.judged.reason {
            Reason::Overridden => return overridden(f, container),
            Reason::Equal if !container.overridden.is_empty() => {
                return f.write_str("is set to this build");
            }
            _ => {}
        }
        let image = match self.build.use_of(&container.image) {
            Some(ImageUse::Runs(image)) => image,
            Some(ImageUse::Unreadable) => return self.unreadable(f, &container.image),
            None => return Ok(()),
        };
        let posted = self.build.tag();
        let posted_place = posted.version_and_build();
        let running = Running::of(&image, self.build.formats());
        let same_identity = match (&running, self.workload.labels.reading()) {
            (Running::Build(build), Some(labels)) => build.identity().names(&labels),
            _ => false,
        };
        match &self.judged.reason {
            Reason::Equal if self.build.digest().is_some() && image.digest().is_none() => f.write_str(
                "is set to this build, but not pinned: its image names no digest, and the posted one does",
            ),
            Reason::Equal
                if image.tag() == Some(posted.as_str()) && image.digest() == self.build.digest() =>
            {
                f.write_str("is set to this image")
            }
            Reason::Equal => f.write_str("is set to this build"),
            Reason::Ambiguous { readings } => ambiguous(f, readings),
            // Of an image that can be read this is never the reason.
            Reason::UnreadableImage => Ok(()),
            // Told above.
            Reason::Overridden => Ok(()),
            Reason::UnreadableSetting(setting) => write!(f, "{setting}"),
            Reason::Manual { place } => {
                write!(
                    f,
                    "opted out by the {place} {SETTING_PREFIX}upgrade: manual"
                )
            }
            Reason::Constraint { constraint } => write!(
                f,
                "{} is outside of {SETTING_PREFIX}constraint: {}",
                posted.version(),
                Cut(constraint)
            ),
            Reason::Held => {
                let mark = container.mark.as_deref().and_then(|m| Mark::parse(m).ok());
                let Some(mark) = mark.map(|m| m.precedence) else {
                    return Ok(());
                };
                // Where the tag's format has no build, the 0 that stands for it is not shown.
                let mark = VersionAndBuild(mark, posted.has_build() || mark.build > 0);
                match &running {
                    // A build of the same identity is held only while a lower one runs.
                    Running::Build(r) if same_identity => write!(
                        f,
                        "runs {}, lower than {mark} that was deployed before",
                        r.version_and_build()
                    )?,
                    Running::Build(r) => {
                        write!(f, "runs {}, while {mark} was deployed before", r.as_str())?
                    }
                    Running::Version(_) | Running::Floating => write!(
                        f,
                        "runs {}, while {mark} was deployed before",
                        tag_of(&image)
                    )?,
                }
                f.write_str(": rolled back, or re-applied by ")?;
                match &self.workload.owner {
                    Some(owner) => write!(f, "{owner}")?,
                    None => f.write_str("a person or a tool")?,
                }
                write!(
                    f,
                    ". The next build higher than {mark} goes out; to let lower ones out again: "
                )?;
                self.way_out(f, &container.name)
            }
            Reason::ConflictingBuild => {
                let commit = |commit: Option<&str>| commit.unwrap_or("none").to_owned();
                let (theirs, is_same_commit) = match &running {
                    Running::Build(r) => (commit(r.commit()), r.same_commit(&posted)),
                    _ => (commit(None), false),
                };
                match (image.digest(), self.build.digest()) {
                    (Some(runs), Some(digest)) if is_same_commit => write!(
                        f,
                        "runs {posted_place} with the digest {runs}, the posted one has {digest}: the same build was made \
                         twice, and which one is meant cannot be known from its tag; give each a build number of its own"
                    ),
                    _ => write!(
                        f,
                        "runs {posted_place} of commit {theirs}, the posted one is commit {} with the same version and \
                         build number: CI that builds from a shallow clone gives constant build numbers (fetch the whole \
                         history), and so can a rebase",
                        commit(posted.commit())
                    ),
                }
            }
            Reason::OtherBranch => match &running {
                Running::Build(r) => write!(
                    f,
                    "runs {} of {}, another identity's build of the same version",
                    r.version_and_build(),
                    r.identity().as_str()
                ),
                _ => Ok(()),
            },
            Reason::Obsolete => match &running {
                Running::Build(r) if same_identity => write!(
                    f,
                    "runs {}, higher than the posted {posted_place}",
                    r.version_and_build(),
                ),
                Running::Build(r) => write!(
                    f,
                    "runs {} of {}, higher than the posted {}",
                    r.version_and_build(),
                    r.identity().as_str(),
                    posted.version()
                ),
                Running::Version(_) => write!(
                    f,
                    "runs {}, higher than the posted {}",
                    tag_of(&image),
                    posted.version()
                ),
                Running::Floating => Ok(()),
            },
            Reason::Upgrade { forced } => {
                let mut by_force = forced.codes().peekable();
                if by_force.peek().is_some() {
                    f.write_str("forced past ")?;
                    for (i, code) in by_force.enumerate() {
                        write!(f, "{}{code}", if i == 0 { "" } else { ", " })?;
                    }
                    f.write_str(": ")?;
                }
                let follows = if forced.is_none() {
                    "follows"
                } else {
                    "replaces"
                };
                match &running {
                    Running::Build(r) if same_identity => {
                        write!(f, "{posted_place} {follows} {}", r.version_and_build())
                    }
                    Running::Build(r) => write!(
                        f,
                        "{} {follows} {} of {}",
                        posted.version(),
                        r.version(),
                        r.identity().as_str()
                    ),
                    Running::Version(_) => {
                        write!(f, "{posted_place} {follows} {}", tag_of(&image))
                    }
                    Running::Floating => write!(f, "{} carries no version", tag_of(&image)),
                }
            }
        }
    }
}

impl Sentence<'_> {
    /// The reason of a container whose image is no reference.
    fn unreadable(&self, f: &mut fmt::Formatter<'_>, image: &str) -> fmt::Result {
        if let Reason::Ambiguous { readings } = &self.judged.reason {
            return ambiguous(f, readings);
        }
        write!(
            f,
            "its image \"{}\" begins with the posted repository, ",
            Cut(image)
        )?;
        match Reference::parse(image) {
            Err(error) => write!(f, "but is no image reference: {error}"),
            Ok(_) => f.write_str("but was no image reference when it was judged"),
        }
    }

    /// How the mark of a container is removed.
    fn way_out(&self, f: &mut fmt::Formatter<'_>, container: &str) -> fmt::Result {
        let id = &self.workload.id;
        let key = mark_key(container);
        let key = Escaped(&key);
        match &id.origin {
            Some(origin) => write!(
                f,
                "remove the label {MARK_PREFIX}{key} in {}",
                Escaped(origin)
            ),
            None => write!(
                f,
                "kubectl label --namespace {} {} {} {MARK_PREFIX}{key}-",
                Escaped(&id.namespace),
                Escaped(&id.kind.to_ascii_lowercase()),
                Escaped(&id.name),
            ),
        }
    }
}

fn ambiguous(f: &mut fmt::Formatter<'_>, readings: &[Text]) -> fmt::Result {
    f.write_str("workloads match by different readings of the tag: ")?;
    for (i, reading) in readings.iter().enumerate() {
        write!(f, "{}({reading})", if i == 0 { "" } else { " and " })?;
    }
    f.write_str("; choose one by its owner, repo or branch")
}

/// Places that are named before the rest is only counted.
const PLACES: usize = 3;

/// `kustomization.yaml:3:3 decides which image runs: ghcr.io/acme/web:…`.
fn overridden(f: &mut fmt::Formatter<'_>, container: &Container) -> fmt::Result {
    let decides = |other: &&Override| other.pins || other.image != container.image;
    let mut others = container.overridden.iter().filter(decides);
    for (i, other) in others.by_ref().take(PLACES).enumerate() {
        let (joint, verb) = match i {
            0 => ("", "decides which image runs: "),
            _ => (", ", "says "),
        };
        let (place, image) = (Cut(&other.place), Cut(&other.image));
        write!(f, "{joint}{place} {verb}{image}")?;
    }
    if let more @ 1.. = others.count() {
        write!(f, ", and {more} more places say others")?;
    }
    f.write_str("; hikaru does not edit that: write the posted image there")
}

/// What an image has in place of a build tag.
fn tag_of<'t>(image: &Reference<'t>) -> &'t str {
    match (image.tag(), image.digest()) {
        (Some(tag), _) => tag,
        (None, Some(_)) => "a digest alone",
        (None, None) => "an image without a tag",
    }
}
