//! The plan: the verdicts for all workloads that a posted build is meant for.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Code, Force, Judged, Rules, Verdict, Warning,
    judge::{Case, NextMark},
    running::Running,
};
use crate::{
    Text,
    image::{
        build::{Build, ImageUse},
        tag::{Reading, Segment},
    },
    policy::change::{Change, Edit},
    text::escape::Escaped,
    workload::{
        Workload,
        container::Container,
        name::{WorkloadName, is_among},
    },
};

/// What somebody asks for: a build, and how it is narrowed and forced.
///
/// All narrowing is done before ambiguity is looked for: of two workloads that match by different readings, a call that
/// leaves in one of them names it, by its namespace as well as by its owner.
///
/// ```
/// use hikaru_core::{Build, Request, TagFormats, policy::Force};
/// let build = Build::parse("acme/web:a_b_c_d_1.4.0_7_none", &TagFormats::default())?;
/// let mut request = Request::new(build);
/// request.namespaces = vec!["shop".into()];
/// request.workloads = vec!["shop/deployment/web".parse().unwrap()];
/// // The tag can be read in three ways: this one is meant.
/// request.branch = Some("c_d".into());
/// request.force = "held".parse().unwrap();
/// # Ok::<(), hikaru_core::image::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The posted build.
    pub build: Build,
    /// Only in these namespaces; empty: in all.
    pub namespaces: Vec<Text>,
    /// Only these workloads; empty: all.
    pub workloads: Vec<WorkloadName>,
    /// Only the reading with this owner.
    pub owner: Option<Text>,
    /// Only the reading with this repo.
    pub repo: Option<Text>,
    /// Only the reading with this branch.
    pub branch: Option<Text>,
    /// What may be passed over.
    pub force: Force,
    /// Whether to look for near misses when nothing matches. That costs a second question to the cluster. Default: true.
    pub near_misses: bool,
}

impl Request {
    /// All workloads that the build is meant for; nothing is forced.
    pub fn new(build: Build) -> Self {
        Self {
            build,
            namespaces: Vec::new(),
            workloads: Vec::new(),
            owner: None,
            repo: None,
            branch: None,
            force: Force::NONE,
            near_misses: true,
        }
    }

    /// The choice of a reading.
    fn chosen(&self) -> Reading<'_> {
        Reading::new(
            self.owner.as_deref(),
            self.repo.as_deref(),
            self.branch.as_deref(),
        )
    }

    /// Whether owner, repo or branch is chosen.
    pub(crate) fn chooses_a_reading(&self) -> bool {
        self.chosen() != Reading::default()
    }

    /// Whether a workload is in the namespaces, and has one of the names, that the caller asks for.
    pub(crate) fn is_where_asked(&self, workload: &Workload) -> bool {
        is_among(&self.namespaces, &self.workloads, &workload.id)
    }

    /// How the call is narrowed, for a sentence: `in the namespace prod`.
    pub(crate) fn narrowing(&self) -> String {
        let listed = |one: &str, several: &str, texts: Vec<String>| match &*texts {
            [] => None,
            [text] => Some(format!("{one} {text}")),
            _ => Some(format!("{several} {}", texts.join(", "))),
        };
        let namespaces = self.namespaces.iter().map(|n| Escaped(n).to_string());
        let names = self.workloads.iter().map(ToString::to_string);
        let parts = [
            listed(
                "in the namespace",
                "in the namespaces",
                namespaces.collect(),
            ),
            listed("with the name", "with the names", names.collect()),
            self.chooses_a_reading()
                .then(|| format!("with {}", self.chosen())),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Whether the caller's narrowing leaves this workload in: namespaces, names, and the choice of a reading.
    pub fn narrows_to(&self, workload: &Workload) -> bool {
        let chosen = self.chosen();
        let labels = &workload.labels;
        let actual = Reading::new(
            labels.owner.as_deref(),
            labels.repo.as_deref(),
            labels.branch.as_deref(),
        );
        let same =
            |chosen: Option<&str>, actual: Option<&str>| chosen.is_none() || chosen == actual;
        self.is_where_asked(workload)
            && same(chosen.owner, actual.owner)
            && same(chosen.repo, actual.repo)
            && same(chosen.branch, actual.branch)
    }

    /// Whether the workload is judged: meant by the tag, left in by the narrowing, and it uses the repository.
    fn admits(&self, workload: &Workload) -> bool {
        self.build.is_meant_for(&workload.labels)
            && self.narrows_to(workload)
            && self.build.is_used_by(workload)
    }
}

/// The verdicts on one workload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The workload as it was judged.
    pub workload: Arc<Workload>,
    /// The verdict on each judged container, in the workload's order: at least one.
    pub containers: Vec<Judged>,
    /// What else is to be said of it.
    pub warnings: Vec<Warning>,
    /// What to write, if any container is to be upgraded.
    pub change: Option<Change>,
}

impl Entry {
    /// The first verdict of its containers among upgrade, skipped, obsolete, equal.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.containers.iter().map(|c| c.verdict());
        verdicts.min().unwrap_or(Verdict::Equal)
    }

    /// The container that a verdict is on.
    pub fn container(&self, judged: &Judged) -> Option<&Container> {
        self.workload.containers.get(judged.container)
    }

    /// The codes of its containers.
    pub fn codes(&self) -> impl Iterator<Item = Code> + '_ {
        self.containers.iter().map(|c| c.code)
    }

    /// Whether some containers of the pod have the posted build, or are to have it, and others stay on another one.
    pub fn has_two_builds(&self) -> bool {
        let is_of_two = |warning: &Warning| matches!(warning, Warning::TwoBuilds { .. });
        self.warnings.iter().any(is_of_two)
    }

    /// The container that runs the highest of the builds that make the posted one obsolete, and its entry.
    pub(crate) fn highest_running<'e>(
        entries: impl Iterator<Item = &'e Self>,
        build: &Build,
    ) -> Option<(&'e Self, &'e Container)> {
        let obsolete = entries.flat_map(|entry| {
            let obsolete = entry.containers.iter();
            let obsolete = obsolete.filter(|judged| judged.code == Code::Obsolete);
            obsolete.filter_map(move |judged| Some((entry, entry.container(judged)?)))
        });
        let place = |entry: &'e Self, container: &'e Container| {
            let image = build.same_repository(&container.image)?;
            let labels = entry.workload.labels.reading()?;
            Running::of(&image, build.formats(), &labels).precedence()
        };
        let placed = obsolete.map(|(entry, container)| (place(entry, container), entry, container));
        let highest = placed.reduce(|best, next| if next.0 > best.0 { next } else { best });
        highest.map(|(_, entry, container)| (entry, container))
    }

    /// The image that a judged container gets, or would get: tag and digest of the posted one, its own spelling of the
    /// repository.
    pub fn image_for(&self, build: &Build, judged: &Judged) -> Text {
        match self.container(judged) {
            Some(container) => build.in_place_of(&container.image),
            None => build.image().clone(),
        }
    }
}

/// The verdicts for a request, sorted by namespace, kind and name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// An entry for each workload of which a container was judged.
    pub entries: Vec<Entry>,
    reading: Agreement,
}

/// By which readings the matching workloads match.
#[derive(Clone, Debug)]
enum Agreement {
    /// None matched.
    None,
    /// All by the one that this workload matches by.
    One(Arc<Workload>),
    /// By these, so nobody can know which was meant.
    Several(Arc<[Text]>),
}

/// Judges all workloads that the request's build is meant for; others may be among those that are given and are passed
/// over. Pure and total; the order of the workloads does not matter.
///
/// ```
/// use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
///     policy::Verdict};
/// let build = Build::parse("acme/web:acme_web_main_1.10.0_1_0123abcd", &TagFormats::default())?;
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:acme_web_main_1.9.0_7_0123abcd"));
///
/// let plan = plan(Request::new(build), [web]);
/// assert_eq!(plan.entries[0].verdict(), Verdict::Upgrade);
/// # Ok::<(), hikaru_core::image::BuildError>(())
/// ```
pub fn plan(
    request: Request,
    workloads: impl IntoIterator<Item = impl Into<Arc<Workload>>>,
) -> Plan {
    let mut workloads: Vec<Arc<Workload>> = workloads
        .into_iter()
        .map(Into::into)
        .filter(|workload| request.admits(workload))
        .collect();
    workloads.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let reading = agreement(&request.build, &workloads);
    let mut plan = Plan {
        request,
        entries: Vec::with_capacity(workloads.len()),
        reading,
    };
    for workload in workloads {
        let entry = plan.judge(workload);
        // None is judged when the workload's own settings leave out each container that uses the repository.
        if !entry.containers.is_empty() {
            plan.entries.push(entry);
        }
    }
    plan
}

impl Plan {
    /// Judges a workload again that was found changed. `None`: the request no longer means it.
    pub fn judge_again(&self, workload: Workload) -> Option<Entry> {
        if !self.request.admits(&workload) {
            return None;
        }
        let entry = self.judge(Arc::new(workload));
        (!entry.containers.is_empty()).then_some(entry)
    }

    fn judge(&self, workload: Arc<Workload>) -> Entry {
        let build = &self.request.build;
        let mut warnings = Warning::of_settings(&workload);
        let (rules, unreadable) = match Rules::read(&workload) {
            Ok(rules) => (rules, None),
            Err(unreadable) => (Rules::default(), Some(unreadable)),
        };
        for name in rules.containers.iter().flatten() {
            if workload.container(name).is_none() {
                warnings.push(Warning::UnknownContainer { name: name.clone() });
            }
        }
        let relabeled;
        let ambiguous = match &self.reading {
            Agreement::Several(readings) => Some(&**readings),
            // Another reading: it was relabeled since the plan was made.
            Agreement::One(first) => {
                let readings = [first, &workload].map(|w| projection(build, w));
                if readings[0] == readings[1] {
                    None
                } else {
                    relabeled = readings.map(spelled_out);
                    Some(&relabeled[..])
                }
            }
            Agreement::None => None,
        };
        let case = Case::new(
            build,
            &workload,
            &rules,
            ambiguous,
            unreadable.as_ref(),
            self.request.force,
        );
        let mut containers = Vec::new();
        let mut edits = Vec::new();
        for (index, container) in workload.containers.iter().enumerate() {
            let image = build.use_of(&container.image);
            let mut running = container.running();
            if image.is_none() && !running.any(|image| build.same_repository(image).is_some()) {
                continue;
            }
            if !rules.judges(&container.name) {
                continue;
            }
            let pinned = container.overridden.iter().any(|other| other.pins);
            let Some(image) = image.filter(|_| !pinned) else {
                let (code, reason) = case.judge_overridden(container);
                containers.push(Judged {
                    container: index,
                    code,
                    reason,
                });
                continue;
            };
            let marked = case.mark(container).unwrap_or_else(|_| {
                warnings.push(Warning::UnreadableMark {
                    container: container.name.clone(),
                    value: container.mark.clone().unwrap_or_default(),
                });
                None
            });
            let (code, reason) = case.judge(container, &image, marked.as_ref());
            if code == Code::Upgrade {
                let mark = match case.next_mark(marked.as_ref()) {
                    NextMark::Stays => None,
                    NextMark::Write(_) if container.mark_key().is_none() => {
                        let container = container.name.clone();
                        warnings.push(Warning::NoMarkKey { container });
                        None
                    }
                    NextMark::Write(mark) => Some(mark),
                    NextMark::TooLong(length) => {
                        warnings.push(Warning::MarkTooLong {
                            container: container.name.clone(),
                            length,
                        });
                        None
                    }
                };
                if let ImageUse::Runs(image) = &image {
                    if image.digest().is_some() && build.digest().is_none() {
                        let container = container.name.clone();
                        warnings.push(Warning::PinRemoved { container });
                    }
                    let running = case.running(image);
                    warnings.extend(Warning::of_floating_version(container, image, &running));
                }
                edits.push(Edit {
                    container: index,
                    to: build.in_place_of(&container.image),
                    mark,
                });
            }
            containers.push(Judged {
                container: index,
                code,
                reason,
            });
        }
        warnings.extend(Warning::of_two_builds(&workload, &containers));
        if !edits.is_empty() {
            warnings.extend(workload.owner.clone().map(Warning::Owned));
            let hindrances = workload.hindrances.iter().copied();
            warnings.extend(hindrances.map(Warning::Hindered));
        }
        let change = (!edits.is_empty()).then(|| Change {
            posted: build.image().clone(),
            judged: workload.clone(),
            containers: containers.iter().map(|c| c.container).collect(),
            edits,
        });
        Entry {
            workload,
            containers,
            warnings,
            change,
        }
    }
}

fn spelled_out(reading: Reading<'_>) -> Text {
    reading.to_string().into()
}

/// The part of a workload's labels that the tag speaks of.
fn projection<'a>(build: &Build, workload: &'a Workload) -> Reading<'a> {
    let labels = workload.labels.reading().unwrap_or_default();
    let mut reading = Reading::default();
    for segment in build.tag().identity().fields().iter() {
        match segment {
            Segment::Owner => reading.owner = labels.owner,
            Segment::Repo => reading.repo = labels.repo,
            _ => reading.branch = labels.branch,
        }
    }
    reading
}

fn agreement(build: &Build, workloads: &[Arc<Workload>]) -> Agreement {
    let Some(first) = workloads.first() else {
        return Agreement::None;
    };
    let of_first = projection(build, first);
    if workloads.iter().all(|w| projection(build, w) == of_first) {
        return Agreement::One(first.clone());
    }
    let readings: BTreeSet<Reading<'_>> = workloads.iter().map(|w| projection(build, w)).collect();
    Agreement::Several(readings.into_iter().map(spelled_out).collect())
}
