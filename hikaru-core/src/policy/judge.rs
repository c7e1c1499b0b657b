//! The verdict on one container: the table of the design, line by line. The first line that fits decides.

use super::{Force, Mark, Reason, Rules};
use crate::{
    Text,
    build::Build,
    reference::Reference,
    tag::{BuildTag, Reading, TagFormats},
    version::Version,
    workload::Container,
};

/// What a running image says of its version.
pub(super) enum Running<'t> {
    /// A build tag of any of the formats.
    Build(BuildTag<'t>),
    /// A whole tag that is a version.
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
        Version::of_tag(tag).map_or(Self::Floating, Self::Version)
    }
}

/// What the verdicts on the containers of one workload have in common.
pub(super) struct Case<'a> {
    pub(super) build: &'a Build,
    /// What the workload's labels say.
    pub(super) labels: Reading<'a>,
    pub(super) rules: &'a Rules,
    /// The readings that are in conflict, if the tag is ambiguous.
    pub(super) ambiguous: Option<&'a std::sync::Arc<[Text]>>,
    /// The setting that cannot be read, if there is one.
    pub(super) unreadable: Option<&'a std::sync::Arc<super::UnreadableSetting>>,
    pub(super) force: Force,
}

impl Case<'_> {
    /// The verdict on a container whose image has the posted repository.
    pub(super) fn judge(&self, container: &Container, image: &Reference<'_>) -> Reason {
        let posted = self.build.tag();
        let running = Running::of(image, self.build.formats());
        let same_text = container.image == *self.build.image()
            || Reference::parse(self.build.image()).as_ref() == Ok(image);
        let (same, other) = match &running {
            Running::Build(build) if build.identity().names(&self.labels) => (Some(build), None),
            Running::Build(build) => (None, Some(build)),
            _ => (None, None),
        };
        let same_place = same.is_some_and(|r| r.precedence() == posted.precedence());
        if same_text || (same_place && same.is_some_and(|r| r.same_commit(&posted))) {
            return Reason::Equal;
        }
        if let Some(readings) = self.ambiguous {
            return Reason::Ambiguous {
                readings: readings.clone(),
            };
        }
        if let Some(setting) = self.unreadable {
            return Reason::UnreadableSetting(setting.clone());
        }
        let lower = match (&running, same) {
            (_, Some(r)) => posted.precedence() < r.precedence(),
            (Running::Build(r), None) => posted.version() < r.version(),
            (Running::Version(version), _) => posted.version() < *version,
            (Running::Floating, _) => false,
        };
        // Something else than the marked build runs. Where that one runs, or a higher one, nobody took anything back:
        // what follows in the table says better why a build stays out.
        let held = || {
            self.mark(container).is_some_and(|mark| {
                posted.precedence() <= mark.precedence
                    && same.is_none_or(|r| r.precedence() < mark.precedence)
            })
        };
        let manual = || self.rules.manual.map(|place| Reason::Manual { place });
        let constraint = || {
            let constraint = self.rules.outside(posted.version())?.clone();
            Some(Reason::Constraint { constraint })
        };
        let lines: [&dyn Fn() -> Option<Reason>; 6] = [
            &manual,
            &constraint,
            &|| held().then_some(Reason::Held),
            &|| same_place.then_some(Reason::ConflictingBuild),
            &|| {
                other
                    .is_some_and(|r| r.version() == posted.version())
                    .then_some(Reason::OtherBranch)
            },
            &|| lower.then_some(Reason::Obsolete),
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

    /// The container's high-water mark, if it is one of this repository and identity.
    pub(super) fn mark<'c>(&self, container: &'c Container) -> Option<Mark<'c>> {
        let mark = Mark::parse(container.mark.as_deref()?).ok()?;
        (mark.hash == Mark::hash_of(&self.build.repository(), &self.labels)).then_some(mark)
    }

    /// The mark to write with an upgrade. Marks never go down: a forced lower build leaves the higher one.
    pub(super) fn next_mark(&self, container: &Container) -> NextMark {
        let precedence = self.build.tag().precedence();
        if self
            .mark(container)
            .is_some_and(|mark| mark.precedence >= precedence)
        {
            return NextMark::Stays;
        }
        let hash = Mark::hash_of(&self.build.repository(), &self.labels);
        let text = Mark { precedence, hash }.to_string();
        if text.len() > super::MARK_LONGEST {
            NextMark::TooLong(text.len())
        } else {
            NextMark::Write(text.into())
        }
    }
}

/// What becomes of a container's mark.
pub(super) enum NextMark {
    /// It is as high already.
    Stays,
    /// This is its new value.
    Write(Text),
    /// It cannot be written: so many bytes.
    TooLong(usize),
}
