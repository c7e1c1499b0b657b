//! What somebody should know of a workload, whatever its verdict: warnings as data, and their sentences. When each is due
//! is decided in `plan` and `settings`.

use std::fmt;

use super::{Judged, Verdict, change::SETTINGS, running::Running};
use crate::{
    Text,
    image::{reference::Reference, version::has_dotted_numbers},
    text::{escape::Escaped, excerpt::Cut},
    workload::{
        MARK_PREFIX, Owner, Place, SETTING_PREFIX, StraySetting, Workload,
        container::{Container, mark_key},
        hindrance::Hindrance,
    },
};

/// What somebody should know of a workload, whatever its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A label or annotation with hikaru's prefix that means nothing.
    UnknownSetting {
        /// Where it stands.
        place: Place,
        /// Its key without the prefix.
        key: Text,
    },
    /// `hikaru.dev/containers` names a container that is not there.
    UnknownContainer {
        /// The name.
        name: Text,
    },
    /// The value of a mark's label cannot be read as a mark. The container is judged as if it had no mark.
    UnreadableMark {
        /// The container's name.
        container: Text,
        /// The label's value.
        value: Text,
    },
    /// Some containers of the pod are set to the posted build, or are to be, and others stay on another one.
    TwoBuilds {
        /// The names of those that have the posted build.
        posted: Vec<Text>,
        /// The others: name and image.
        others: Vec<(Text, Text)>,
    },
    /// The running tag contains a version, but is not a version as a whole, so any build replaces it.
    FloatingVersion {
        /// The container's name.
        container: Text,
        /// The tag.
        tag: Text,
    },
    /// The workload is upgraded although somebody else writes its image, too.
    Owned(Owner),
    /// The high-water mark is too long for a label's value and is not written.
    MarkTooLong {
        /// The container's name.
        container: Text,
        /// How long it would be, in bytes.
        length: usize,
    },
    /// No label can have the key of the high-water mark, so it is not written.
    NoMarkKey {
        /// The container's name.
        container: Text,
    },
    /// What looks like a setting stands where none counts.
    Stray(StraySetting),
    /// The workload is upgraded, but its pods do not follow.
    Hindered(Hindrance),
    /// The digest that pins a container goes, as the posted image has none.
    PinRemoved {
        /// The container's name.
        container: Text,
    },
    /// The cluster warned of the write.
    OfCluster {
        /// Its own words.
        words: Text,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSetting { place, key } => {
                // `on-failure` is read and has no effect yet, so it is not offered.
                let known = SETTINGS.into_iter();
                let offered: Vec<&str> = known.filter(|key| *key != "on-failure").collect();
                write!(
                    f,
                    "the {place} {SETTING_PREFIX}{} means nothing: expected one of {}",
                    Cut(key),
                    offered.join(", ")
                )
            }
            Self::UnknownContainer { name } => write!(
                f,
                "{SETTING_PREFIX}containers names {name}, but there is no such container"
            ),
            Self::UnreadableMark { container, value } => write!(
                f,
                "the label {MARK_PREFIX}{} is \"{}\", which is no high-water mark: it counts as not there",
                Cut(&mark_key(container)),
                Cut(value)
            ),
            Self::TwoBuilds { posted, others } => {
                f.write_str("two builds in one pod: the posted one in ")?;
                for (i, name) in posted.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { ", " }, Cut(name))?;
                }
                for (i, (name, image)) in others.iter().enumerate() {
                    let joint = if i == 0 { ", while" } else { " and" };
                    write!(f, "{joint} {} stays on {}", Cut(name), Cut(image))?;
                }
                Ok(())
            }
            Self::FloatingVersion { container, tag } => write!(
                f,
                "the tag {tag} of {} holds a version, but is none as a whole: it gives way to any build",
                Cut(container)
            ),
            Self::Owned(owner) => {
                let will = match owner {
                    Owner::Helm { .. } => {
                        "the next helm upgrade puts its own image back (Helm 3) or fails with a conflict (Helm 4), \
                         unless it is given the running tag"
                    }
                    Owner::ArgoCd { .. } => {
                        "its next sync puts the image from git back, unless differences in images are ignored there"
                    }
                    Owner::Flux { .. } => "its next reconciliation puts the image from git back",
                    Owner::Controller { .. } => "it may put its own image back",
                    Owner::Applier { .. } => {
                        "its next server-side apply fails with a conflict on the image, or puts its own image back if \
                         it is forced, unless it is given the running tag"
                    }
                };
                write!(f, "{owner} owns it, too: {will}")
            }
            Self::MarkTooLong { container, length } => write!(
                f,
                "the high-water mark of {} would be {length} bytes, longer than a label's value may be ({}): it is not \
                 written, so a rollback by a person would not be seen",
                Cut(container),
                super::MARK_LONGEST
            ),
            Self::NoMarkKey { container } => write!(
                f,
                "the high-water mark of {} is not written, because no label can have the key {MARK_PREFIX}{}: a \
                 rollback by a person would not be seen",
                Cut(container),
                Cut(&mark_key(container))
            ),
            Self::Stray(StraySetting {
                place,
                key,
                metadata,
            }) => write!(
                f,
                "the {place} {SETTING_PREFIX}{} has no effect in {metadata}: settings stand in the metadata of the workload \
                 itself",
                Escaped(key)
            ),
            Self::Hindered(hindrance) => write!(f, "{hindrance}"),
            Self::PinRemoved { container } => write!(
                f,
                "{} was pinned to a digest and no longer is, as the posted image has none: post it with its digest to \
                 keep the pin",
                Cut(container)
            ),
            Self::OfCluster { words } => write!(f, "the API server warns: {}", Escaped(words)),
        }
    }
}

impl Warning {
    /// The settings of a workload that hikaru does not know, and those that stand where it does not read them.
    pub(super) fn of_settings(workload: &Workload) -> Vec<Self> {
        let settings = workload.settings.iter();
        let unknown = settings.filter(|setting| !SETTINGS.contains(&&*setting.key));
        let unknown = unknown.map(|setting| Self::UnknownSetting {
            place: setting.place,
            key: setting.key.clone(),
        });
        let strays = workload.stray_settings.iter().cloned();
        unknown.chain(strays.map(Self::Stray)).collect()
    }

    /// What is said of a tag that holds a version and gives way all the same.
    pub(super) fn of_floating_version(
        container: &Container,
        image: &Reference<'_>,
        running: &Running<'_>,
    ) -> Option<Self> {
        let tag = image.tag().filter(|tag| has_dotted_numbers(tag))?;
        matches!(running, Running::Floating).then(|| Self::FloatingVersion {
            container: container.name.clone(),
            tag: tag.into(),
        })
    }

    /// Of the judged containers alone: what somebody's setting leaves out is meant to stay.
    pub(super) fn of_two_builds(workload: &Workload, judged: &[Judged]) -> Option<Self> {
        let (mut posted, mut others) = (Vec::new(), Vec::new());
        for judged in judged {
            let container = workload.containers.get(judged.container)?;
            match judged.verdict() {
                Verdict::Upgrade | Verdict::Equal => posted.push(container.name.clone()),
                Verdict::Skipped | Verdict::Obsolete => {
                    let stays_on = container.running().next().unwrap_or(&container.image);
                    others.push((container.name.clone(), stays_on.clone()));
                }
            }
        }
        let are_two = !posted.is_empty() && !others.is_empty();
        are_two.then_some(Self::TwoBuilds { posted, others })
    }
}
