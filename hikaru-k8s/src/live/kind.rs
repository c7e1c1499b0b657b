//! The kinds of workloads, as a table. Kinds that users add will be rows of it, too.

use std::fmt;

use hikaru_core::{Text, check_namespace};

/// A kind with a pod template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    /// The way to the spec of the pod, from the object.
    pub(super) pod: &'static [&'static str],
    /// How the progress of its rollouts is read.
    pub(super) rollout: Rollout,
}

/// How a kind reports its rollouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rollout {
    Deployment,
    StatefulSet,
    DaemonSet,
    /// The next run uses the new template.
    None,
}

const POD: &[&str] = &["spec", "template", "spec"];

/// All kinds.
pub(super) const KINDS: [Kind; 4] = [
    Kind {
        name: "Deployment",
        group: "apps",
        version: "v1",
        plural: "deployments",
        pod: POD,
        rollout: Rollout::Deployment,
    },
    Kind {
        name: "StatefulSet",
        group: "apps",
        version: "v1",
        plural: "statefulsets",
        pod: POD,
        rollout: Rollout::StatefulSet,
    },
    Kind {
        name: "DaemonSet",
        group: "apps",
        version: "v1",
        plural: "daemonsets",
        pod: POD,
        rollout: Rollout::DaemonSet,
    },
    Kind {
        name: "CronJob",
        group: "batch",
        version: "v1",
        plural: "cronjobs",
        pod: &["spec", "jobTemplate", "spec", "template", "spec"],
        rollout: Rollout::None,
    },
];

impl Kind {
    /// The kind of this name, in any case.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KINDS
            .iter()
            .find(|kind| kind.name.eq_ignore_ascii_case(name))
    }

    /// The names of all kinds, for messages.
    pub(super) fn names() -> String {
        KINDS.map(|kind| kind.name).join(", ")
    }

    /// The path of its collection, in one namespace or in all. The namespace has been checked: kube escapes nothing.
    pub(super) fn path(&self, namespace: Option<&Text>) -> String {
        let Self {
            group,
            version,
            plural,
            ..
        } = self;
        match namespace {
            Some(namespace) => {
                debug_assert!(check_namespace(namespace).is_ok());
                format!("/apis/{group}/{version}/namespaces/{namespace}/{plural}")
            }
            None => format!("/apis/{group}/{version}/{plural}"),
        }
    }
}

impl fmt::Display for Kind {
    /// `deployments.apps`, as kubectl and RBAC name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.plural, self.group)
    }
}
