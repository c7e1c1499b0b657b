//! The settings on a workload: what its people allow. Labels or annotations; where both are there, the more careful
//! one wins.

use std::{fmt, time::Duration};

use semver::{Prerelease, VersionReq};

use crate::{
    Text,
    image::version::Version,
    policy::change::SETTINGS,
    text::{excerpt::Cut, patience::Patience},
    workload::{
        Place, SETTING_PREFIX, Workload,
        container::{PodList, mark_key, marked_name},
    },
};

/// What to do when a rollout of hikaru's own fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OnFailure {
    /// Leave it to people: the default, and the more careful one.
    #[default]
    Keep,
    /// Put the previous image back.
    Rollback,
}

/// How much of a rollout has to be there for it to be complete. The higher one is the more careful one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequiredRollout {
    /// This many percent of the pods that are to be there are new and available: 1 to 100. Old ones may still be there.
    Percent(u8),
    /// All pods are new and available, and no old one is left, as `kubectl rollout status` has it: the default.
    #[default]
    Full,
}

/// The settings of a workload, read.
///
/// ```
/// use hikaru_core::{Workload, WorkloadId, policy::Rules, workload::{Place, Setting}};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.settings = vec![
///     Setting::new(Place::Label, "upgrade", "manual"),
///     Setting::new(Place::Annotation, "upgrade", "auto"),
/// ];
/// // The more careful one wins.
/// let rules = Rules::read(&web).unwrap();
/// assert_eq!(rules.manual, Some(Place::Label));
///
/// web.settings = vec![Setting::new(Place::Label, "upgrade", "never")];
/// let error = Rules::read(&web).unwrap_err();
/// assert_eq!(error.to_string(), "the label hikaru.dev/upgrade is \"never\": expected auto or manual");
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Rules {
    /// Where the workload is opted out, if it is.
    pub manual: Option<Place>,
    /// The names of the containers that are judged. `None`: all are.
    pub containers: Option<Vec<Text>>,
    /// What a posted version has to meet: all of them. With their texts.
    pub constraints: Vec<(VersionReq, Text)>,
    /// What to do when a rollout fails.
    pub on_failure: OnFailure,
    /// How long its rollout may reach nothing new before it has failed. `None`: the setting is not there.
    pub progress_deadline: Option<Duration>,
    /// How much of its rollout has to be there for it to be complete.
    pub required_rollout: RequiredRollout,
}

/// A setting whose value cannot be read, or names nothing that is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UnreadableSetting {
    place: Place,
    key: Text,
    value: Text,
    expected: String,
}

impl fmt::Display for UnreadableSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            key,
            value,
            expected,
        } = self;
        write!(
            f,
            "the {place} {SETTING_PREFIX}{key} is \"{}\": expected {expected}",
            Cut(value)
        )
    }
}

impl Rules {
    /// Reads the settings of a workload. Unknown ones are passed over here; a plan warns of them.
    ///
    /// # Errors
    /// The first setting that cannot be read, in the order of the keys, labels first; if all can be, `containers` where it
    /// names none of the workload's containers.
    pub fn read(workload: &Workload) -> Result<Self, UnreadableSetting> {
        let mut rules = Self::default();
        let (mut on_failure, mut required) = (None, None);
        for key in SETTINGS {
            for place in [Place::Label, Place::Annotation] {
                let Some(value) = workload.setting(place, key) else {
                    continue;
                };
                let unreadable = |expected: String| UnreadableSetting {
                    place,
                    key: key.into(),
                    value: value.clone(),
                    expected,
                };
                match (key, &**value) {
                    ("upgrade", "auto") => {}
                    ("upgrade", "manual") => rules.manual = rules.manual.or(Some(place)),
                    ("upgrade", _) => return Err(unreadable("auto or manual".into())),
                    ("on-failure", "keep") => on_failure = Some(OnFailure::Keep),
                    ("on-failure", "rollback") => {
                        on_failure = on_failure.or(Some(OnFailure::Rollback));
                    }
                    ("on-failure", _) => return Err(unreadable("keep or rollback".into())),
                    ("constraint", text) => match VersionReq::parse(text) {
                        Ok(requirement) => rules.constraints.push((requirement, value.clone())),
                        Err(error) => {
                            return Err(unreadable(format!(
                                "a version requirement such as ~1.4 or >=1.2, <2 ({error})"
                            )));
                        }
                    },
                    ("progress-deadline", text) => {
                        let patience: Patience =
                            text.parse().map_err(|_| unreadable(A_TIME.into()))?;
                        // The longer one: the rollout fails later, and whatever follows from a failure is done later.
                        rules.progress_deadline = rules.progress_deadline.max(Some(patience.get()));
                    }
                    ("required-rollout", text) => {
                        let read = required_rollout(text)
                            .ok_or_else(|| unreadable("full or a percentage, 1% to 100%".into()))?;
                        required = required.max(Some(read));
                    }
                    (_, text) => {
                        let names = container_names(text).ok_or_else(|| {
                            unreadable("names of containers, separated by commas".into())
                        })?;
                        rules.containers = Some(match rules.containers.take() {
                            None => names,
                            Some(before) => {
                                before.into_iter().filter(|n| names.contains(n)).collect()
                            }
                        });
                    }
                }
            }
        }
        rules.on_failure = on_failure.unwrap_or_default();
        rules.required_rollout = required.unwrap_or_default();
        match rules.names_none(workload) {
            Some(unreadable) => Err(unreadable),
            None => Ok(rules),
        }
    }

    /// The error of a `containers` setting that names no container of the pod. Without it a misspelt name would leave the
    /// workload behind in silence.
    fn names_none(&self, workload: &Workload) -> Option<UnreadableSetting> {
        let judged = self.containers.as_ref()?;
        let of_pod = || workload.containers.iter().map(|container| &container.name);
        if workload.containers.is_empty() || of_pod().any(|name| judged.contains(name)) {
            return None;
        }
        let places = [Place::Label, Place::Annotation];
        let set = |place| Some((place, workload.setting(place, "containers")?.clone()));
        let mut set = places.into_iter().filter_map(set);
        let (place, value) = set.next()?;
        let mut expected: Vec<&str> = of_pod().map(|name| &**name).collect();
        let mut which = "one of the pod's containers: ";
        if let Some((_, other)) = set.next() {
            // As label and annotation, only those in both are judged.
            which = "one of the pod's containers that the annotation names, too: ";
            let others = container_names(&other).unwrap_or_default();
            expected.retain(|name| others.iter().any(|other| **other == **name));
        }
        let expected = match &*expected.join(", ") {
            "" => "one of the pod's containers; the annotation names none".to_owned(),
            names => format!("{which}{}", Cut(names)),
        };
        Some(UnreadableSetting {
            place,
            key: "containers".into(),
            value,
            expected,
        })
    }

    /// The constraint that a version is outside of, if there is one. Judged on its first three numbers and its
    /// pre-release; a missing number is 0; a number that does not fit into 64 bits is outside.
    pub(super) fn outside(&self, version: Version<'_>) -> Option<&Text> {
        if self.constraints.is_empty() {
            return None;
        }
        let comparable = comparable(version);
        self.constraints
            .iter()
            .find(|(requirement, _)| !comparable.as_ref().is_some_and(|v| requirement.matches(v)))
            .map(|(_, text)| text)
    }

    /// Whether a container of this name is judged.
    pub(super) fn judges(&self, name: &str) -> bool {
        self.containers
            .as_ref()
            .is_none_or(|names| names.iter().any(|n| &**n == name))
    }
}

/// What a time looks like.
const A_TIME: &str = "a time such as 90s, 10m or 1h30m, from 1s to 24h";

fn required_rollout(text: &str) -> Option<RequiredRollout> {
    if text == "full" {
        return Some(RequiredRollout::Full);
    }
    let percent = text.strip_suffix('%')?;
    let is_plain = percent.bytes().all(|byte| byte.is_ascii_digit());
    let percent = percent.parse().ok().filter(|_| is_plain)?;
    (1..=100)
        .contains(&percent)
        .then_some(RequiredRollout::Percent(percent))
}

/// A comma-separated list of names by which containers and image volumes are told. A label's value cannot hold all of them,
/// so what their marks' labels say (`volume.assets`, `containers.0`) is taken for them, too.
fn container_names(text: &str) -> Option<Vec<Text>> {
    text.split(',')
        .map(|name| {
            let key = mark_key(name.trim());
            is_container_key(&key).then(|| marked_name(&key).into())
        })
        .collect()
}

/// Whether a container or an image volume can have this name, or this place, as the label of its mark spells it.
fn is_container_key(key: &str) -> bool {
    // RFC 1123.
    let is_label = |name: &str| {
        let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        name.starts_with(alnum)
            && name.ends_with(alnum)
            && name.chars().all(|c| alnum(c) || c == '-')
    };
    match key.split_once('.') {
        None => is_label(key),
        Some(("volume", name)) => is_label(name),
        Some((list, position)) => {
            PodList::ALL.iter().any(|known| known.key() == list) && position.parse::<u32>().is_ok()
        }
    }
}

/// The version as the semver crate compares it.
fn comparable(version: Version<'_>) -> Option<semver::Version> {
    let mut numbers = version.numbers().take(3).map(|n| n.parse::<u64>().ok());
    let mut next = || numbers.next().unwrap_or(Some(0));
    let mut comparable = semver::Version::new(next()?, next()?, next()?);
    if let Some(text) = version.prerelease() {
        // Our grammar lets leading zeros through, semver's does not: 01 is compared as 1.
        let identifiers: Vec<&str> = text
            .split('.')
            .map(|identifier| {
                let numeric = identifier.bytes().all(|b| b.is_ascii_digit());
                match identifier.trim_start_matches('0') {
                    "" => "0",
                    trimmed if numeric => trimmed,
                    _ => identifier,
                }
            })
            .collect();
        comparable.pre = Prerelease::new(&identifiers.join(".")).ok()?;
    }
    Some(comparable)
}
