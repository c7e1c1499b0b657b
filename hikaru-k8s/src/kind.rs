//! The kinds of workloads, as a table: those of Kubernetes, and those that users add because they carry a pod template,
//! too. How the server names an added kind's collection is found out by `discovery`.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, OnceLock},
};

use hikaru_core::{Text, text::Excerpt, workload::check_namespace};

/// A kind with a pod template.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: Text,
    /// Empty: the core group.
    pub(crate) group: Text,
    pub(crate) version: Text,
    /// The name of its collection, once it is known.
    pub(crate) plural: OnceLock<Text>,
    /// The way to the spec of the pod, from the object.
    pub(crate) pod: Vec<Text>,
    /// How the progress of its rollouts is read.
    pub(crate) rollout: Rollout,
    /// Whether users added it: what Kubernetes checks in the pods of its own kinds may not hold for it, and not every server
    /// has it.
    pub(crate) added: bool,
}

/// How a kind reports its rollouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rollout {
    Deployment,
    StatefulSet,
    DaemonSet,
    /// The next run uses the new template, or hikaru does not know how the kind reports its rollouts.
    None,
}

const POD: &str = "spec.template.spec";

/// Group, version, name, plural, way to the spec of the pod, how rollouts are reported.
const KINDS: [(&str, &str, &str, &str, &str, Rollout); 4] = [
    (
        "apps",
        "v1",
        "Deployment",
        "deployments",
        POD,
        Rollout::Deployment,
    ),
    (
        "apps",
        "v1",
        "StatefulSet",
        "statefulsets",
        POD,
        Rollout::StatefulSet,
    ),
    (
        "apps",
        "v1",
        "DaemonSet",
        "daemonsets",
        POD,
        Rollout::DaemonSet,
    ),
    (
        "batch",
        "v1",
        "CronJob",
        "cronjobs",
        "spec.jobTemplate.spec.template.spec",
        Rollout::None,
    ),
];

/// The kinds that are looked at.
#[derive(Clone, Debug)]
pub(crate) struct Kinds(Vec<Arc<Kind>>);

impl Kinds {
    /// Those of Kubernetes, and these. One of a name that is there already is left out: workloads are told apart by it.
    pub(crate) fn with(added: &[AddedKind]) -> Self {
        let ours = KINDS.map(|(group, version, name, plural, pod, rollout)| Kind {
            name: name.into(),
            group: group.into(),
            version: version.into(),
            plural: OnceLock::from(Text::from(plural)),
            pod: pod.split('.').map(Text::from).collect(),
            rollout,
            added: false,
        });
        let mut kinds: Vec<Arc<Kind>> = ours.into_iter().map(Arc::new).collect();
        for added in added {
            if !kinds.iter().any(|kind| kind.is_named(&added.name)) {
                kinds.push(Arc::new(added.kind()));
            }
        }
        Self(kinds)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.0.iter()
    }

    /// The kind of this name, in any case.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Kind>> {
        self.0.iter().find(|kind| kind.is_named(name))
    }

    /// The kind of the typed list of this name, `DeploymentList`.
    pub(crate) fn listed(&self, name: &str) -> Option<&Arc<Kind>> {
        let item = name.strip_suffix("List")?;
        self.0.iter().find(|kind| *kind.name == *item)
    }

    /// The kind of exactly this name.
    pub(crate) fn spelled(&self, name: &str) -> Option<&Arc<Kind>> {
        self.0.iter().find(|kind| *kind.name == *name)
    }

    /// The names of all kinds, for messages.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|kind| &*kind.name).collect();
        names.join(", ")
    }
}

impl Kind {
    fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// `apps/v1`; `v1` in the core group.
    pub(crate) fn api_version(&self) -> String {
        let Self { group, version, .. } = self;
        if group.is_empty() {
            version.to_string()
        } else {
            format!("{group}/{version}")
        }
    }

    /// The path of its API group in its version.
    pub(crate) fn root(&self) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        format!("/{root}/{}", self.api_version())
    }

    /// The path of its collection, in one namespace or in all. The namespace has been checked: kube escapes nothing.
    pub(crate) fn path(&self, plural: &str, namespace: Option<&Text>) -> String {
        let root = self.root();
        match namespace {
            Some(namespace) => {
                debug_assert!(check_namespace(namespace).is_ok());
                format!("{root}/namespaces/{namespace}/{plural}")
            }
            None => format!("{root}/{plural}"),
        }
    }
}

impl fmt::Display for Kind {
    /// `deployments.apps`, as kubectl and RBAC name it; `rollout.argoproj.io` while the plural is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.plural.get() {
            Some(plural) => f.write_str(plural)?,
            None => f.write_str(&self.name.to_ascii_lowercase())?,
        }
        if self.group.is_empty() {
            Ok(())
        } else {
            write!(f, ".{}", self.group)
        }
    }
}

/// A kind that carries a pod template, besides those that Kubernetes has: `argoproj.io/v1alpha1/Rollout=spec.template`.
///
/// ```
/// use hikaru_k8s::AddedKind;
/// let rollout: AddedKind = "argoproj.io/v1alpha1/Rollout=spec.template".parse()?;
/// assert_eq!(rollout.to_string(), "argoproj.io/v1alpha1/Rollout=spec.template");
/// assert!("Rollout".parse::<AddedKind>().is_err());
/// # Ok::<(), hikaru_k8s::AddedKindError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedKind {
    group: Text,
    version: Text,
    name: Text,
    template: Vec<Text>,
}

/// Why a text names no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected GROUP/VERSION/KIND=PATH, such as argoproj.io/v1alpha1/Rollout=spec.template, found {found}: {reason}"
)]
pub struct AddedKindError {
    found: Excerpt,
    reason: &'static str,
}

impl FromStr for AddedKind {
    type Err = AddedKindError;

    fn from_str(text: &str) -> Result<Self, AddedKindError> {
        let wrong = |reason| AddedKindError {
            found: Excerpt::of(text),
            reason,
        };
        let Some((kind, template)) = text.trim().split_once('=') else {
            return Err(wrong("no `=` and the way to the pod template"));
        };
        let parts: Vec<&str> = kind.split('/').collect();
        let (group, version, name) = match parts[..] {
            [version, name] => ("", version, name),
            [group, version, name] => (group, version, name),
            _ => return Err(wrong("not two or three parts before the `=`")),
        };
        // What stands in a path is checked: nothing escapes it there.
        let label = |part: &str| check_namespace(part).is_ok();
        if !group.is_empty() && !group.split('.').all(label) {
            return Err(wrong("the group is no DNS name"));
        }
        if !label(version) || !version.starts_with('v') {
            return Err(wrong("the version is not one such as v1 or v1alpha1"));
        }
        let word = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic())
                && part.chars().all(|c| c.is_ascii_alphanumeric())
        };
        if !word(name) {
            return Err(wrong("the kind is not made of letters and digits"));
        }
        if KINDS
            .iter()
            .any(|(.., known, _, _, _)| known.eq_ignore_ascii_case(name))
        {
            return Err(wrong("hikaru knows a kind of that name already"));
        }
        if !template.split('.').all(word) {
            return Err(wrong(
                "the way to the pod template is not made of keys with dots between",
            ));
        }
        if template.split('.').next() != Some("spec") {
            return Err(wrong(
                "the way to the pod template does not begin with spec",
            ));
        }
        Ok(Self {
            group: group.into(),
            version: version.into(),
            name: name.into(),
            template: template.split('.').map(Text::from).collect(),
        })
    }
}

impl fmt::Display for AddedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        let template = self.template.join(".");
        write!(f, "{}/{}={template}", self.version, self.name)
    }
}

impl AddedKind {
    /// The kind's name, `Rollout`.
    pub fn name(&self) -> &Text {
        &self.name
    }

    fn kind(&self) -> Kind {
        let mut pod = self.template.clone();
        pod.push("spec".into());
        Kind {
            name: self.name.clone(),
            group: self.group.clone(),
            version: self.version.clone(),
            plural: OnceLock::new(),
            pod,
            rollout: Rollout::None,
            added: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_kinds() {
        let kinds = |texts: &[&str]| {
            let added: Vec<AddedKind> = texts.iter().map(|t| t.parse().expect(t)).collect();
            Kinds::with(&added)
        };
        let rollout = "argoproj.io/v1alpha1/Rollout=spec.template";
        let all = kinds(&[rollout, "v1/ReplicationController=spec.template", rollout]);
        assert_eq!(
            all.names(),
            "Deployment, StatefulSet, DaemonSet, CronJob, Rollout, ReplicationController"
        );
        let rollout = all.named("rollout").expect("it was added");
        assert_eq!(rollout.pod.join("."), "spec.template.spec");
        assert_eq!(rollout.to_string(), "rollout.argoproj.io");
        rollout.plural.set("rollouts".into()).expect("not set yet");
        assert_eq!(rollout.to_string(), "rollouts.argoproj.io");
        assert_eq!(
            rollout.path("rollouts", Some(&"shop".into())),
            "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts"
        );
        let core = all.named("ReplicationController").expect("it was added");
        assert_eq!(core.path("x", None), "/api/v1/x");
    }

    #[test]
    fn what_is_no_kind_says_why() {
        for (text, reason) in [
            ("", "no `=` and the way to the pod template"),
            (
                "Rollout=spec.template",
                "not two or three parts before the `=`",
            ),
            (
                "a/b/v1/Rollout=spec.template",
                "not two or three parts before the `=`",
            ),
            ("Argo/v1/Rollout=spec.template", "the group is no DNS name"),
            ("../v1/Rollout=spec.template", "the group is no DNS name"),
            (
                "argoproj.io/1/Rollout=spec.template",
                "the version is not one such as v1 or v1alpha1",
            ),
            (
                "argoproj.io/v1/Roll-out=spec.template",
                "the kind is not made of letters and digits",
            ),
            (
                "example.com/v1/deployment=spec.template",
                "hikaru knows a kind of that name already",
            ),
            (
                "argoproj.io/v1/Rollout=spec..template",
                "the way to the pod template is not made of keys with dots between",
            ),
            (
                "argoproj.io/v1/Rollout=template",
                "the way to the pod template does not begin with spec",
            ),
            (
                "argoproj.io/v1/Rollout=",
                "the way to the pod template is not made of keys with dots between",
            ),
        ] {
            let error = text.parse::<AddedKind>().expect_err(text).to_string();
            assert!(error.ends_with(&format!(": {reason}")), "{text}: {error}");
        }
    }
}
