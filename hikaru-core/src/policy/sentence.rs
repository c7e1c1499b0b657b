//! Reasons as sentences for people. Made at the edge: a plan over a thousand workloads builds none.

use std::fmt;

use super::{Judged, Mark, Reason, judge::Running};
use crate::{
    build::Build,
    container::mark_key,
    excerpt::Cut,
    workload::{MARK_PREFIX, SETTING_PREFIX, Workload},
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
        let Some(image) = self.build.same_repository(&container.image) else {
            return Ok(());
        };
        let posted = self.build.tag();
        let running = Running::of(&image, self.build.formats());
        let same_identity = match (&running, self.workload.labels.reading()) {
            (Running::Build(build), Some(labels)) => build.identity().names(&labels),
            _ => false,
        };
        match &self.judged.reason {
            Reason::Equal if container.image == *self.build.image() => {
                f.write_str("runs exactly this image")
            }
            Reason::Equal => f.write_str("runs this build already"),
            Reason::Ambiguous { readings } => {
                f.write_str("workloads match by different readings of the tag: ")?;
                for (i, reading) in readings.iter().enumerate() {
                    write!(f, "{}({reading})", if i == 0 { "" } else { " and " })?;
                }
                f.write_str("; choose one by its owner, repo or branch")
            }
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
                match &running {
                    // A build of the same identity is held only while a lower one runs.
                    Running::Build(r) if same_identity => write!(
                        f,
                        "runs {}, lower than {mark} that was deployed before",
                        r.precedence()
                    )?,
                    Running::Build(r) => {
                        write!(f, "runs {}, while {mark} was deployed before", r.as_str())?
                    }
                    Running::Version(v) => write!(f, "runs {v}, while {mark} was deployed before")?,
                    Running::Floating => {
                        write!(
                            f,
                            "runs {}, while {mark} was deployed before",
                            floating(&image)
                        )?;
                    }
                }
                let id = &self.workload.id;
                f.write_str(": rolled back, or re-applied by ")?;
                match &self.workload.owner {
                    Some(owner) => write!(f, "{owner}")?,
                    None => f.write_str("a person or a tool")?,
                }
                write!(
                    f,
                    ". The next build higher than {mark} goes out; to let lower ones out again: "
                )?;
                match &id.origin {
                    Some(origin) => write!(
                        f,
                        "remove the label {MARK_PREFIX}{} in {origin}",
                        mark_key(&container.name)
                    ),
                    None => write!(
                        f,
                        "hikaru unhold {id}, or kubectl label --namespace {} {} {} {MARK_PREFIX}{}-",
                        id.namespace,
                        id.kind.to_ascii_lowercase(),
                        id.name,
                        mark_key(&container.name)
                    ),
                }
            }
            Reason::ConflictingBuild => {
                let commit = |commit: Option<&str>| commit.unwrap_or("none").to_owned();
                let theirs = match &running {
                    Running::Build(r) => commit(r.commit()),
                    _ => commit(None),
                };
                write!(
                    f,
                    "runs {} of commit {theirs}, the posted one is commit {} with the same version and build number: CI \
                     that builds from a shallow clone gives constant build numbers (fetch the whole history), and so can \
                     a rebase",
                    posted.precedence(),
                    commit(posted.commit())
                )
            }
            Reason::OtherBranch => match &running {
                Running::Build(r) => write!(
                    f,
                    "runs {} of {}, another identity's build of the same version",
                    r.precedence(),
                    r.identity().as_str()
                ),
                _ => Ok(()),
            },
            Reason::Obsolete => match &running {
                Running::Build(r) if same_identity => write!(
                    f,
                    "runs {}, higher than the posted {}",
                    r.precedence(),
                    posted.precedence()
                ),
                Running::Build(r) => write!(
                    f,
                    "runs {} of {}, higher than the posted {}",
                    r.precedence(),
                    r.identity().as_str(),
                    posted.version()
                ),
                Running::Version(v) => {
                    write!(f, "runs {v}, higher than the posted {}", posted.version())
                }
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
                        write!(f, "{} {follows} {}", posted.precedence(), r.precedence())
                    }
                    Running::Build(r) => write!(
                        f,
                        "{} {follows} {} of {}",
                        posted.version(),
                        r.version(),
                        r.identity().as_str()
                    ),
                    Running::Version(v) => write!(f, "{} {follows} {v}", posted.precedence()),
                    Running::Floating => write!(f, "{} carries no version", floating(&image)),
                }
            }
        }
    }
}

fn floating<'t>(image: &crate::reference::Reference<'t>) -> &'t str {
    match (image.tag(), image.digest()) {
        (Some(tag), _) => tag,
        (None, Some(_)) => "a digest alone",
        (None, None) => "an image without a tag",
    }
}
