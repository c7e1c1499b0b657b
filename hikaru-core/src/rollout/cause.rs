//! What can go wrong with a rollout: stable codes, each with one sentence and details. How a cause is found is in `trouble`, its
//! words are in `words`.

use std::fmt;

use crate::Text;

/// What went wrong. The code is stable: docs/rollout-causes.md lists each, with when it fails a rollout and what to do.
///
/// The order is that of depth: of two causes in one pod the earlier one is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CauseCode {
    /// The API server refuses the new ReplicaSet.
    ReplicaSetCreateError,
    /// A pod of an older revision is not ready, and its StatefulSet does not replace it.
    StatefulSetBlocked,
    /// Pods are refused for good: by Pod Security, a policy, a webhook, or as invalid.
    PodsRefused,
    /// A webhook that has to admit the pods does not answer.
    WebhookFailed,
    /// A quota is used up.
    QuotaExceeded,
    /// The image is no reference.
    ImageNameInvalid,
    /// There is no image for the node's platform.
    ImageWrongPlatform,
    /// The registry does not have the image.
    ImageNotFound,
    /// The registry does not have the image or does not show it: it tells no difference.
    ImageNotFoundOrForbidden,
    /// The registry refuses to show the image.
    ImagePullForbidden,
    /// The image's signature is refused.
    ImageSignatureInvalid,
    /// The image must not be pulled, and the node does not have it.
    ImageNotPresent,
    /// The registry limits how often it may be asked.
    ImagePullRateLimited,
    /// The registry cannot be reached.
    RegistryUnreachable,
    /// The node cannot use the image that it has.
    ImageBroken,
    /// The image cannot be pulled, and the node's words do not tell why.
    ImagePullFailed,
    /// A ConfigMap, a Secret or a key in it is missing.
    ConfigMissing,
    /// The container's program cannot be started.
    CannotStart,
    /// A hook of the container fails.
    HookFailed,
    /// The container needs more memory than it may have.
    OutOfMemory,
    /// The container is killed by its startup probe.
    StartupFailed,
    /// The container is killed by its liveness probe.
    LivenessFailed,
    /// The container ends with 0, and was to go on.
    ExitedEarly,
    /// The container ends with an error, again and again.
    CrashLoop,
    /// A volume cannot be mounted.
    VolumeNotMounted,
    /// The node cannot make the pod's network.
    SandboxFailed,
    /// No node can take the pod.
    Unschedulable,
    /// A scheduling gate holds the pod.
    SchedulingGated,
    /// Nodes refuse the pods that were bound to them.
    PodRefusedByNode,
    /// Pods are evicted.
    PodEvicted,
    /// A pod does not end, and its successor waits for that.
    PodTerminating,
    /// A container is not created, and nothing tells why.
    NotCreated,
    /// A readiness gate is not open.
    ReadinessGate,
    /// A container runs and does not become ready.
    NotReady,
    /// Nothing new was reached for too long, and nothing tells why.
    DeadlineExceeded,
}

impl CauseCode {
    /// Every code.
    pub const ALL: &[Self] = &[
        Self::ReplicaSetCreateError,
        Self::StatefulSetBlocked,
        Self::PodsRefused,
        Self::WebhookFailed,
        Self::QuotaExceeded,
        Self::ImageNameInvalid,
        Self::ImageWrongPlatform,
        Self::ImageNotFound,
        Self::ImageNotFoundOrForbidden,
        Self::ImagePullForbidden,
        Self::ImageSignatureInvalid,
        Self::ImageNotPresent,
        Self::ImagePullRateLimited,
        Self::RegistryUnreachable,
        Self::ImageBroken,
        Self::ImagePullFailed,
        Self::ConfigMissing,
        Self::CannotStart,
        Self::HookFailed,
        Self::OutOfMemory,
        Self::StartupFailed,
        Self::LivenessFailed,
        Self::ExitedEarly,
        Self::CrashLoop,
        Self::VolumeNotMounted,
        Self::SandboxFailed,
        Self::Unschedulable,
        Self::SchedulingGated,
        Self::PodRefusedByNode,
        Self::PodEvicted,
        Self::PodTerminating,
        Self::NotCreated,
        Self::ReadinessGate,
        Self::NotReady,
        Self::DeadlineExceeded,
    ];

    /// The code as it is told: `ImageNotFound`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReplicaSetCreateError => "ReplicaSetCreateError",
            Self::StatefulSetBlocked => "StatefulSetBlocked",
            Self::PodsRefused => "PodsRefused",
            Self::WebhookFailed => "WebhookFailed",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::ImageNameInvalid => "ImageNameInvalid",
            Self::ImageWrongPlatform => "ImageWrongPlatform",
            Self::ImageNotFound => "ImageNotFound",
            Self::ImageNotFoundOrForbidden => "ImageNotFoundOrForbidden",
            Self::ImagePullForbidden => "ImagePullForbidden",
            Self::ImageSignatureInvalid => "ImageSignatureInvalid",
            Self::ImageNotPresent => "ImageNotPresent",
            Self::ImagePullRateLimited => "ImagePullRateLimited",
            Self::RegistryUnreachable => "RegistryUnreachable",
            Self::ImageBroken => "ImageBroken",
            Self::ImagePullFailed => "ImagePullFailed",
            Self::ConfigMissing => "ConfigMissing",
            Self::CannotStart => "CannotStart",
            Self::HookFailed => "HookFailed",
            Self::OutOfMemory => "OutOfMemory",
            Self::StartupFailed => "StartupFailed",
            Self::LivenessFailed => "LivenessFailed",
            Self::ExitedEarly => "ExitedEarly",
            Self::CrashLoop => "CrashLoop",
            Self::VolumeNotMounted => "VolumeNotMounted",
            Self::SandboxFailed => "SandboxFailed",
            Self::Unschedulable => "Unschedulable",
            Self::SchedulingGated => "SchedulingGated",
            Self::PodRefusedByNode => "PodRefusedByNode",
            Self::PodEvicted => "PodEvicted",
            Self::PodTerminating => "PodTerminating",
            Self::NotCreated => "NotCreated",
            Self::ReadinessGate => "ReadinessGate",
            Self::NotReady => "NotReady",
            Self::DeadlineExceeded => "DeadlineExceeded",
        }
    }

    /// Whether it is what each slow start looks like, too: told only when nothing else is known.
    pub(super) fn is_vague(self) -> bool {
        matches!(
            self,
            Self::PodTerminating | Self::NotCreated | Self::ReadinessGate | Self::NotReady
        )
    }

    /// Whether a container with it has run, so that its log may tell more.
    pub(super) fn has_log(self) -> bool {
        matches!(
            self,
            Self::CannotStart
                | Self::HookFailed
                | Self::OutOfMemory
                | Self::StartupFailed
                | Self::LivenessFailed
                | Self::ExitedEarly
                | Self::CrashLoop
                | Self::NotReady
        )
    }
}

impl fmt::Display for CauseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a rollout failed, or what holds it up so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cause {
    /// What kind of cause it is.
    pub code: CauseCode,
    /// One sentence: workload, container, image, how many pods, what happened, and what to do next.
    pub message: String,
    /// More about it: what it is, as a key such as `exitCode`, and its value, control characters escaped and cut.
    pub details: Vec<(&'static str, String)>,
    /// One pod that has it. `None`: there is no pod.
    pub pod: Option<Text>,
    /// That pod's uid.
    pub pod_uid: Option<Text>,
    /// The container that has it. `None`: the pod as a whole.
    pub container: Option<Text>,
    /// Whether that container was restarted, so that its previous log tells.
    pub restarted: bool,
    /// How many new pods have it.
    pub count: usize,
}
