//! The verdict on one container: the table of the design, line by line. The first line that fits decides.

use std::cmp::Ordering;

use super::{
    Code, Force, MARK_LONGEST, Mark, MarkError, Rules, UnreadableSetting, running::Running,
    sentence,
};
use crate::{
    Text,
    image::{
        build::{Build, ImageUse},
        reference::Reference,
        tag::{BuildTag, Reading},
        version::Precedence,
    },
    workload::{Place, Workload, container::Container},
};

/// What the verdicts on the containers of one workload have in common: read once for all of them.
pub(super) struct Case<'a> {
    build: &'a Build,
    posted: BuildTag<'a>,
    workload: &'a Workload,
    /// What the workload's labels say.
    labels: Reading<'a>,
    /// The hash of marks of this repository and these labels.
    hash: u32,
    manual: Option<Place>,
    /// The constraint that the posted version is outside of, if there is one.
    constraint: Option<&'a Text>,
    /// The readings that are in conflict, if the tag is ambiguous.
    ambiguous: Option<&'a [Text]>,
    /// The setting that cannot be read, if there is one.
    unreadable: Option<&'a UnreadableSetting>,
    force: Force,
}

/// A container's high-water mark, and where the posted build stands to it.
pub(super) struct Marked<'c> {
    mark: Precedence<'c>,
    posted: Ordering,
}

impl<'c> Marked<'c> {
    /// A mark, and the build that it names as the posted one.
    pub(super) fn posted_again(mark: Precedence<'c>) -> Self {
        let posted = Ordering::Equal;
        Self { mark, posted }
    }

    /// Whether the mark keeps the posted build out.
    ///
    /// Where the marked build or a higher one runs, nobody rolled back, and later lines of the table give the reason. Over a
    /// floating tag the marked build may be deployed again: whoever applies a manifest with `latest` and posts the same build
    /// again means to deploy it.
    pub(super) fn holds(&self, running: &Running<'_>) -> bool {
        match running {
            Running::Floating => self.posted.is_lt(),
            Running::Build(r) => self.posted.is_le() && r.precedence() < self.mark,
            Running::OtherIdentity(r) => self.posted.is_le() && r.version() <= self.mark.version,
            Running::Version(version) => self.posted.is_le() && *version <= self.mark.version,
        }
    }
}

impl<'a> Case<'a> {
    pub(super) fn new(
        build: &'a Build,
        workload: &'a Workload,
        rules: &'a Rules,
        ambiguous: Option<&'a [Text]>,
        unreadable: Option<&'a UnreadableSetting>,
        force: Force,
    ) -> Self {
        let posted = build.tag();
        let labels = workload.labels.reading().unwrap_or_default();
        Self {
            build,
            posted,
            workload,
            labels,
            hash: Mark::hash_of(&build.repository(), &labels),
            manual: rules.manual,
            constraint: rules.outside(posted.version()),
            ambiguous,
            unreadable,
            force,
        }
    }

    /// What an image of the posted repository says of its version.
    pub(super) fn running<'t>(&self, image: &Reference<'t>) -> Running<'t> {
        Running::of(image, self.build.formats(), &self.labels)
    }

    /// The verdict on a container whose image has to do with the posted build, and the sentence that says why.
    pub(super) fn judge(
        &self,
        container: &Container,
        image: &ImageUse<'_>,
        marked: Option<&Marked<'_>>,
    ) -> (Code, String) {
        let posted = &self.posted;
        let image = match image {
            ImageUse::Runs(image) => image,
            ImageUse::Unreadable(error) => {
                return self.ambiguous().unwrap_or_else(|| {
                    let unreadable = sentence::unreadable_image(&container.image, error);
                    (Code::UnreadableImage, unreadable)
                });
            }
        };
        let running = self.running(image);
        if self.is_posted(image, &running) {
            return (Code::Equal, sentence::equal(self.build, container, image));
        }
        if let Some(ambiguous) = self.ambiguous() {
            return ambiguous;
        }
        if let Some(setting) = self.unreadable {
            return (Code::UnreadableSetting, setting.to_string());
        }
        // Where the posted build stands to what runs: by version and build in the same identity, else by version alone.
        let order = match &running {
            Running::Build(r) => posted.precedence().cmp(&r.precedence()),
            Running::OtherIdentity(r) => posted.version().cmp(&r.version()),
            Running::Version(version) => posted.version().cmp(version),
            Running::Floating => Ordering::Greater,
        };
        let manual = || Some((Code::Manual, sentence::manual(self.manual?)));
        let constraint = || {
            let outside = sentence::constraint(posted.version(), self.constraint?);
            Some((Code::Constraint, outside))
        };
        let held = || {
            let mark = marked.filter(|marked| marked.holds(&running))?.mark;
            let held = sentence::held(self.workload, container, image, &running, posted, mark);
            Some((Code::Held, held))
        };
        let same_version = || match &running {
            Running::Build(r) if order.is_eq() => {
                let conflicting = sentence::conflicting_build(self.build, image, r);
                Some((Code::ConflictingBuild, conflicting))
            }
            Running::OtherIdentity(r) if order.is_eq() => {
                Some((Code::OtherBranch, sentence::other_branch(r)))
            }
            _ => None,
        };
        let obsolete = || {
            let obsolete = || (Code::Obsolete, sentence::obsolete(image, &running, posted));
            order.is_lt().then(obsolete)
        };
        let lines: [&dyn Fn() -> Option<(Code, String)>; 5] =
            [&manual, &constraint, &held, &same_version, &obsolete];
        let mut forced = Force::NONE;
        for line in lines {
            match line() {
                Some((code, _)) if self.force.has(code) => forced.insert(code),
                Some(judged) => return judged,
                None => {}
            }
        }
        let upgrade = sentence::upgrade(image, &running, posted, forced);
        (Code::Upgrade, upgrade)
    }

    /// The verdict on a container whose image something beside the manifest decides: a tag that is written into the manifest
    /// has no effect. Equal if the posted build comes out wherever it is decided.
    pub(super) fn judge_overridden(&self, container: &Container) -> (Code, String) {
        let is_equal = |image: &Text| {
            let image = self.build.same_repository(image);
            image.is_some_and(|image| self.is_posted(&image, &self.running(&image)))
        };
        if container.running().all(is_equal) {
            return (Code::Equal, sentence::EQUAL.to_owned());
        }
        let overridden = || (Code::Overridden, sentence::overridden(container));
        self.ambiguous().unwrap_or_else(overridden)
    }

    /// Whether an image is the posted build.
    fn is_posted(&self, image: &Reference<'_>, running: &Running<'_>) -> bool {
        let is_same_digest = match (image.digest(), self.build.digest()) {
            (Some(runs), Some(posted)) => runs == posted,
            _ => true,
        };
        let is_same_build = |r: &BuildTag<'_>| {
            r.precedence() == self.posted.precedence() && r.same_commit(&self.posted)
        };
        is_same_digest && matches!(running, Running::Build(r) if is_same_build(r))
    }

    fn ambiguous(&self) -> Option<(Code, String)> {
        let readings = sentence::ambiguous(self.ambiguous?);
        Some((Code::Ambiguous, readings))
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
            posted: self.posted.precedence().cmp(&mark.precedence),
            mark: mark.precedence,
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
