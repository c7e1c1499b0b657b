//! Why a container has its verdict, as sentences for people. Each is made from what `judge` decided by; which one is due is
//! decided there.

use super::{Force, running::Running};
use crate::{
    Text,
    image::{
        build::Build,
        reference::{Reference, ReferenceError},
        tag::{BuildTag, VersionAndBuild},
        version::{Precedence, Version},
    },
    text::{escape::Escaped, excerpt::Cut},
    workload::{
        MARK_PREFIX, Place, SETTING_PREFIX, Workload,
        container::{Container, mark_key},
    },
};

pub(super) const EQUAL: &str = "is set to this build";

pub(super) fn equal(build: &Build, container: &Container, image: &Reference<'_>) -> String {
    let is_overridden = !container.overridden.is_empty();
    let equal = match (image.digest(), build.digest()) {
        _ if is_overridden => EQUAL,
        (None, Some(_)) => {
            "is set to this build, but not pinned: its image names no digest, and the posted one does"
        }
        (runs, posted) if runs == posted && image.tag() == Some(build.tag().as_str()) => {
            "is set to this image"
        }
        _ => EQUAL,
    };
    equal.to_owned()
}

pub(super) fn ambiguous(readings: &[Text]) -> String {
    let readings: Vec<String> = readings.iter().map(|r| format!("({r})")).collect();
    format!(
        "workloads match by different readings of the tag: {}; choose one by its owner, repo or branch",
        readings.join(" and ")
    )
}

/// Places that are named before the rest is only counted.
const PLACES: usize = 3;

/// `kustomization.yaml:3:3 decides which image runs: ghcr.io/acme/web:…`.
pub(super) fn overridden(container: &Container) -> String {
    let others = container.overridden.iter();
    let mut others = others.filter(|other| other.pins || other.image != container.image);
    let named = others.by_ref().take(PLACES).enumerate().map(|(i, other)| {
        let verb = match i {
            0 => "decides which image runs:",
            _ => "says",
        };
        format!("{} {verb} {}", Cut(&other.place), Cut(&other.image))
    });
    let mut told = named.collect::<Vec<_>>().join(", ");
    if let more @ 1.. = others.count() {
        told.push_str(&format!(", and {more} more places say others"));
    }
    told + "; hikaru does not edit that: write the posted image there"
}

pub(super) fn unreadable_image(image: &str, error: &ReferenceError) -> String {
    format!(
        "its image \"{}\" begins with the posted repository, but is no image reference: {error}",
        Cut(image)
    )
}

pub(super) fn manual(place: Place) -> String {
    format!("opted out by the {place} {SETTING_PREFIX}upgrade: manual")
}

pub(super) fn constraint(posted: Version<'_>, constraint: &str) -> String {
    format!(
        "{posted} is outside of {SETTING_PREFIX}constraint: {}",
        Cut(constraint)
    )
}

pub(super) fn held(
    workload: &Workload,
    container: &Container,
    image: &Reference<'_>,
    running: &Running<'_>,
    posted: &BuildTag<'_>,
    mark: Precedence<'_>,
) -> String {
    // Where the tag's format has no build, the 0 that stands for it is not shown.
    let mark = VersionAndBuild(mark, posted.has_build() || mark.build > 0);
    let runs = match running {
        // A build of the same identity is held only while a lower one runs.
        Running::Build(r) => {
            let runs = r.version_and_build();
            format!("{runs}, lower than {mark} that was deployed before")
        }
        _ => format!("{}, while {mark} was deployed before", tag_of(image)),
    };
    let by = match &workload.owner {
        Some(owner) => owner.to_string(),
        None => "a person or a tool".to_owned(),
    };
    format!(
        "runs {runs}: rolled back, or re-applied by {by}. The next build higher than {mark} goes out; to let lower ones out \
         again: {}",
        way_out(workload, container)
    )
}

/// How the mark of a container is removed.
fn way_out(workload: &Workload, container: &Container) -> String {
    let id = &workload.id;
    let key = mark_key(&container.name);
    let key = Escaped(&key);
    match &id.origin {
        Some(origin) => format!("remove the label {MARK_PREFIX}{key} in {}", Escaped(origin)),
        None => format!(
            "kubectl label --namespace {} {} {} {MARK_PREFIX}{key}-",
            Escaped(&id.namespace),
            Escaped(&id.kind.to_ascii_lowercase()),
            Escaped(&id.name),
        ),
    }
}

pub(super) fn conflicting_build(
    build: &Build,
    image: &Reference<'_>,
    running: &BuildTag<'_>,
) -> String {
    let posted = build.tag();
    let place = posted.version_and_build();
    match (image.digest(), build.digest()) {
        (Some(runs), Some(digest)) if running.same_commit(&posted) => format!(
            "runs {place} with the digest {runs}, the posted one has {digest}: the same build was made twice, and which one \
             is meant cannot be known from its tag; give each a build number of its own"
        ),
        _ => format!(
            "runs {place} of commit {}, the posted one is commit {} with the same version and build number: CI that builds \
             from a shallow clone gives constant build numbers (fetch the whole history), and so can a rebase",
            running.commit().unwrap_or("none"),
            posted.commit().unwrap_or("none")
        ),
    }
}

pub(super) fn other_branch(running: &BuildTag<'_>) -> String {
    format!(
        "runs {} of {}, another identity's build of the same version",
        running.version_and_build(),
        running.identity().as_str()
    )
}

pub(super) fn obsolete(
    image: &Reference<'_>,
    running: &Running<'_>,
    posted: &BuildTag<'_>,
) -> String {
    match running {
        Running::Build(r) => format!(
            "runs {}, higher than the posted {}",
            r.version_and_build(),
            posted.version_and_build()
        ),
        Running::OtherIdentity(r) => format!(
            "runs {} of {}, higher than the posted {}",
            r.version_and_build(),
            r.identity().as_str(),
            posted.version()
        ),
        _ => format!(
            "runs {}, higher than the posted {}",
            tag_of(image),
            posted.version()
        ),
    }
}

pub(super) fn upgrade(
    image: &Reference<'_>,
    running: &Running<'_>,
    posted: &BuildTag<'_>,
    forced: Force,
) -> String {
    let codes: Vec<&str> = forced.codes().map(|code| code.as_str()).collect();
    let (past, follows) = match &*codes {
        [] => (String::new(), "follows"),
        _ => (format!("forced past {}: ", codes.join(", ")), "replaces"),
    };
    let place = posted.version_and_build();
    match running {
        Running::Build(r) => format!("{past}{place} {follows} {}", r.version_and_build()),
        Running::OtherIdentity(r) => format!(
            "{past}{} {follows} {} of {}",
            posted.version(),
            r.version(),
            r.identity().as_str()
        ),
        Running::Version(_) => format!("{past}{place} {follows} {}", tag_of(image)),
        Running::Floating => format!("{past}{} carries no version", tag_of(image)),
    }
}

/// What an image has in place of a build tag, or that tag.
fn tag_of<'t>(image: &Reference<'t>) -> &'t str {
    match (image.tag(), image.digest()) {
        (Some(tag), _) => tag,
        (None, Some(_)) => "a digest alone",
        (None, None) => "an image without a tag",
    }
}
