//! The verdict on one container: the table of the design, line by line. The first line that fits decides.

use std::{cmp::Ordering, sync::Arc};

use super::{Force, MARK_LONGEST, Mark, MarkError, Reason, Rules, UnreadableSetting};
use crate::{
    Text,
    image::{
        build::{Build, ImageUse},
        reference::Reference,
        tag::{BuildTag, Reading, TagFormats},
        version::{Precedence, Version},
    },
    workload::{Place, container::Container},
};

/// What a running image says of its version.
pub(super) enum Running<'t> {
    /// A build tag of any of the formats.
    Build(BuildTag<'t>),
    /// A whole tag that is a version, or one with build metadata.
    Version(Version<'t>),
    /// Nothing: any other tag, no tag, a digest alone.
    Floating,
}

impl<'t> Running<'t> {
    pub(super) fn of(image: &Reference<'t>, formats: &TagFormats) -> Self {
        let Some(tag) = image.tag() else {
            return Self::Floating;
        };
        if let Ok(build) = formats.read(tag) {
            return Self::Build(build);
        }
        Version::of_running_tag(tag).map_or(Self::Floating, Self::Version)
    }

    /// Its place in the order of builds, if it has one.
    pub(super) fn precedence(&self) -> Option<Precedence<'t>> {
        match *self {
            Self::Build(build) => Some(build.precedence()),
            Self::Version(version) => Some(Precedence { version, build: 0 }),
            Self::Floating => None,
        }
    }
}

/// What the verdicts on the containers of one workload have in common: read once for all of them.
pub(super) struct Case<'a> {
    build: &'a Build,
    posted: BuildTag<'a>,
    /// What the workload's labels say.
    labels: Reading<'a>,
    /// The hash of marks of this repository and these labels.
    hash: u32,
    manual: Option<Place>,
    /// The constraint that the posted version is outside of, if there is one.
    constraint: Option<&'a Text>,
    /// The readings that are in conflict, if the tag is ambiguous.
    ambiguous: Option<&'a Arc<[Text]>>,
    /// The setting that cannot be read, if there is one.
    unreadable: Option<&'a Arc<UnreadableSetting>>,
    force: Force,
}

/// A container's high-water mark, and where the posted build stands to it.
pub(super) struct Marked<'c> {
    mark: Mark<'c>,
    posted: Ordering,
}

impl Marked<'_> {
    /// Whether the mark keeps the posted build out. `same`: the running build, if it has the workload's identity.
    ///
    /// Where the marked build runs, or something higher, nobody took anything back: what follows in the table says better
    /// why a build stays out. Over something floating the marked build itself goes out again: somebody who applies a
    /// manifest with `latest` and posts the same build again means to deploy it.
    fn holds(&self, running: &Running<'_>, same: Option<&BuildTag<'_>>) -> bool {
        let mark = &self.mark.precedence;
        match (running, same) {
            (Running::Floating, _) => self.posted.is_lt(),
            (_, Some(r)) => self.posted.is_le() && r.precedence() < *mark,
            (Running::Build(r), None) => self.posted.is_le() && r.version() <= mark.version,
            (Running::Version(version), None) => self.posted.is_le() && *version <= mark.version,
        }
    }
}

impl<'a> Case<'a> {
    pub(super) fn new(
        build: &'a Build,
        labels: Reading<'a>,
        rules: &'a Rules,
        ambiguous: Option<&'a Arc<[Text]>>,
        unreadable: Option<&'a Arc<UnreadableSetting>>,
        force: Force,
    ) -> Self {
        let posted = build.tag();
        Self {
            build,
            posted,
            labels,
            hash: Mark::hash_of(&build.repository(), &labels),
            manual: rules.manual,
            constraint: rules.outside(posted.version()),
            ambiguous,
            unreadable,
            force,
        }
    }

    /// The verdict on a container whose image has to do with the posted build.
    pub(super) fn judge(&self, image: &ImageUse<'_>, marked: Option<&Marked<'_>>) -> Reason {
        let posted = &self.posted;
        let ambiguous = || {
            let readings = self.ambiguous?.clone();
            Some(Reason::Ambiguous { readings })
        };
        let ImageUse::Runs(image) = image else {
            return ambiguous().unwrap_or(Reason::UnreadableImage);
        };
        let is_same_digest = match (image.digest(), self.build.digest()) {
            (Some(runs), Some(posted)) => runs == posted,
            _ => true,
        };
        // The same tag is the same build: no need to read it once more.
        if is_same_digest && image.tag() == Some(posted.as_str()) {
            return Reason::Equal;
        }
        let running = Running::of(image, self.build.formats());
        let (same, other) = match &running {
            Running::Build(build) if build.identity().names(&self.labels) => (Some(build), None),
            Running::Build(build) => (None, Some(build)),
            _ => (None, None),
        };
        // Where the posted build stands to what runs: by version and build in the same identity, else by version alone.
        let order = match (&running, same) {
            (_, Some(r)) => posted.precedence().cmp(&r.precedence()),
            (Running::Build(r), None) => posted.version().cmp(&r.version()),
            (Running::Version(version), _) => posted.version().cmp(version),
            (Running::Floating, _) => Ordering::Greater,
        };
        if order.is_eq() && is_same_digest && same.is_some_and(|r| r.same_commit(posted)) {
            return Reason::Equal;
        }
        if let Some(reason) = ambiguous() {
            return reason;
        }
        if let Some(setting) = self.unreadable {
            return Reason::UnreadableSetting(setting.clone());
        }
        let held = || marked.is_some_and(|marked| marked.holds(&running, same));
        let manual = || self.manual.map(|place| Reason::Manual { place });
        let constraint = || {
            let constraint = self.constraint?.clone();
            Some(Reason::Constraint { constraint })
        };
        let lines: [&dyn Fn() -> Option<Reason>; 6] = [
            &manual,
            &constraint,
            &|| held().then_some(Reason::Held),
            &|| (same.is_some() && order.is_eq()).then_some(Reason::ConflictingBuild),
            &|| (other.is_some() && order.is_eq()).then_some(Reason::OtherBranch),
            &|| order.is_lt().then_some(Reason::Obsolete),
        ];
        let mut forced = Force::NONE;
        for line in lines {
            match line() {
                Some(reason) if self.force.has(reason.code()) => forced.insert(reason.code()),
                Some(reason) => return reason,
                None => {}
            }
        }
        Reason::Upgrade { forced }
    }

    /// The verdict on a container whose image something beside the manifest decides: a tag that is written into the manifest
    /// has no effect. Equal if the posted build comes out wherever it is decided.
    pub(super) fn judge_overridden(&self, container: &Container) -> Reason {
        let is_equal = |image: &Text| {
            let image = self.build.same_repository(image);
            image.is_some_and(|image| self.judge(&ImageUse::Runs(image), None) == Reason::Equal)
        };
        match self.ambiguous {
            _ if container.running().all(is_equal) => Reason::Equal,
            Some(readings) => Reason::Ambiguous {
                readings: readings.clone(),
            },
            None => Reason::Overridden,
        }
    }

    /// The container's high-water mark, if it is one of this repository and identity.
    ///
    /// # Errors
    /// When the label's value is no mark at all.
    pub(super) fn mark<'c>(
        &self,
        container: &'c Container,
    ) -> Result<Option<Marked<'c>>, MarkError> {
        let Some(value) = &container.mark else {
            return Ok(None);
        };
        let mark = Mark::parse(value)?;
        Ok((mark.hash == self.hash).then(|| Marked {
            mark,
            posted: self.posted.precedence().cmp(&mark.precedence),
        }))
    }

    /// The mark to write with an upgrade. Marks never go down: a forced lower build leaves the higher one.
    pub(super) fn next_mark(&self, marked: Option<&Marked<'_>>) -> NextMark {
        if marked.is_some_and(|marked| marked.posted.is_le()) {
            return NextMark::Stays;
        }
        let mark = Mark {
            precedence: self.posted.precedence(),
            hash: self.hash,
        };
        let text = mark.to_string();
        if text.len() > MARK_LONGEST {
            NextMark::TooLong(text.len())
        } else {
            NextMark::Write(text.into())
        }
    }
}

/// What becomes of a container's mark.
#[derive(Clone, Debug)]
pub(super) enum NextMark {
    /// It is as high already.
    Stays,
    /// This is its new value.
    Write(Text),
    /// No label can hold it: it would be this many bytes long.
    TooLong(usize),
}
