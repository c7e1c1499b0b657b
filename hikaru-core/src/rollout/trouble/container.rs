//! What is wrong with one container of a pod, as far as its own status tells.

use std::time::{Duration, SystemTime};

use super::{Trouble, image};
use crate::rollout::{
    cause::CauseCode,
    facts::{ContainerFacts, ContainerState, PodFacts, Probe, Role, Terminated},
    times::{age, between},
    view::{View, condition},
};

/// One more pull has been tried by then: the kubelet waits 10 s after the first one.
const NOT_FOUND: Duration = Duration::from_secs(20);
/// Credentials that are valid for a short time, or a Secret that is created a moment later.
const FORBIDDEN: Duration = Duration::from_secs(60);
const BROKEN: Duration = Duration::from_secs(60);
/// Another controller may create the object a moment later.
const CONFIG: Duration = Duration::from_secs(15);
/// What a node may get over by itself.
const NODE: Duration = Duration::from_secs(30);
/// After running so long a container that ends is restarted as if for the first time: the kubelet's pauses begin anew.
const STEADY: Duration = Duration::from_secs(600);
/// Restarts of one container after which it has failed.
const RESTARTS: u32 = 3;
/// Restarts of all new pods after which they have failed.
const RESTARTS_OF_ALL: u32 = 2;

pub(super) fn trouble<'f>(
    view: &View<'f>,
    pod: &'f PodFacts,
    container: &'f ContainerFacts,
    fallback: SystemTime,
) -> Option<Trouble<'f>> {
    let found = match &container.state {
        ContainerState::Waiting { reason, message } => {
            let since = since(view, pod, container, fallback);
            waits(view, pod, container, reason, message, since)
        }
        ContainerState::Terminated(ended) => {
            let is_done = container.role == Role::Init && ended.exit_code == 0;
            (!is_done).then(|| crashed(view, pod, container, ended, true))
        }
        ContainerState::Running { .. } if !container.is_ready && container.restarts > 0 => {
            let last = container.last.as_ref();
            last.map(|ended| crashed(view, pod, container, ended, false))
        }
        _ => None,
    };
    found.map(|trouble| Trouble {
        pod: Some(pod),
        container: Some(container),
        ..trouble
    })
}

/// Since when a container may have waited: since its pod has a node, the init containers before it have ended, and it has ended
/// itself. No status tells more.
fn since(
    view: &View<'_>,
    pod: &PodFacts,
    container: &ContainerFacts,
    fallback: SystemTime,
) -> SystemTime {
    let now = view.now();
    let scheduled = condition(pod, "PodScheduled").filter(|c| *c.status == *"True");
    let inits = pod.containers.iter().filter(|c| c.role == Role::Init);
    let inits = inits.filter_map(|init| match &init.state {
        ContainerState::Terminated(ended) => ended.finished,
        _ => None,
    });
    let own = container.last.as_ref().and_then(|ended| ended.finished);
    let moments = inits.chain(own).chain(scheduled.and_then(|c| c.since));
    let moments = moments.map(|moment| between(pod.created, moment, now));
    moments
        .chain(pod.created)
        .max()
        .unwrap_or(fallback)
        .min(now)
}

fn waits<'f>(
    view: &View<'f>,
    pod: &'f PodFacts,
    container: &'f ContainerFacts,
    reason: &str,
    message: &'f str,
    since: SystemTime,
) -> Option<Trouble<'f>> {
    let trouble = |code| Trouble::new(code, message);
    let at_once = Duration::ZERO;
    Some(match reason {
        "ErrImagePull" | "ImagePullBackOff" => {
            return Some(pull(view, pod, container, message, since));
        }
        "RegistryUnavailable" => trouble(CauseCode::RegistryUnreachable),
        "InvalidImageName" => trouble(CauseCode::ImageNameInvalid).after(since, at_once),
        "ErrImageNeverPull" => trouble(CauseCode::ImageNotPresent).after_if_all(since, at_once),
        "SignatureValidationFailed" => {
            trouble(CauseCode::ImageSignatureInvalid).after(since, at_once)
        }
        "ImageInspectError" | "ImageVolumeMountFailed" | "RROUnsupported" => {
            trouble(CauseCode::ImageBroken).after_if_all(since, BROKEN)
        }
        // The kubelet's own cache lags: it goes on by itself.
        "CreateContainerConfigError" if message.contains("failed to sync") => return None,
        "CreateContainerConfigError" => trouble(CauseCode::ConfigMissing).after(since, CONFIG),
        "RunContainerError" | "CreateContainerError" if message.contains("is reserved") => {
            trouble(CauseCode::CannotStart).after_if_all(since, NODE)
        }
        // The node is slow, or short of something: it tries again.
        "RunContainerError" | "CreateContainerError" if message.contains("deadline exceeded") => {
            trouble(CauseCode::CannotStart)
        }
        "RunContainerError" | "CreateContainerError" => {
            let ended = container
                .last
                .as_ref()
                .filter(|ended| ended.exit_code == 128);
            match ended {
                Some(ended) if !is_of_template(message) => {
                    let finished = ended.finished.unwrap_or(since).min(view.now());
                    trouble(CauseCode::CannotStart).after_if_all(finished, NODE)
                }
                _ => trouble(CauseCode::CannotStart).after(since, at_once),
            }
        }
        "PostStartHookError" | "PreCreateHookError" | "PreStartHookError" => {
            let grace = if container.restarts > 0 {
                at_once
            } else {
                NODE
            };
            trouble(CauseCode::HookFailed).after(since, grace)
        }
        "CrashLoopBackOff" => {
            let ended = container.last.as_ref();
            return Some(match ended {
                Some(ended) => crashed(view, pod, container, ended, true),
                None => loops(trouble(CauseCode::CrashLoop), view, container),
            });
        }
        "CreatePodSandboxError" | "ConfigPodSandboxError" => trouble(CauseCode::SandboxFailed),
        _ => return None,
    })
}

fn pull<'f>(
    view: &View<'f>,
    pod: &'f PodFacts,
    container: &'f ContainerFacts,
    message: &'f str,
    since: SystemTime,
) -> Trouble<'f> {
    let mut said = message;
    let mut code = image::code(said, &container.image);
    // An older kubelet's back-off does not say what it backs off from; the event of the pull does.
    if code == CauseCode::ImagePullFailed
        && let Some(event) = view.event(&pod.uid, |event| {
            *event.reason == *"Failed" && event.message.starts_with("Failed to pull image")
        })
    {
        said = &event.message;
        code = image::code(said, &container.image);
    }
    let mut trouble = Trouble::new(code, said);
    if matches!(
        code,
        CauseCode::ImagePullForbidden | CauseCode::ImageNotFoundOrForbidden
    ) && let Some(secrets) = missing_pull_secrets(view, pod)
    {
        (trouble.code, trouble.named) = (CauseCode::ImagePullForbidden, Some(secrets));
    }
    match code {
        CauseCode::ImageWrongPlatform => trouble.after(since, Duration::ZERO),
        CauseCode::ImageNotFound => trouble.after(since, NOT_FOUND),
        CauseCode::ImagePullForbidden | CauseCode::ImageNotFoundOrForbidden => {
            trouble.after(since, FORBIDDEN)
        }
        // They pass.
        _ => trouble,
    }
}

/// `Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.`
fn missing_pull_secrets<'f>(view: &View<'f>, pod: &PodFacts) -> Option<&'f str> {
    let event = view.event(&pod.uid, |event| {
        *event.reason == *"FailedToRetrieveImagePullSecret"
    })?;
    let (_, named) = event.message.split_once("secrets (")?;
    named.split_once(')').map(|(named, _)| named)
}

/// A container that has ended, and was to go on. `is_down`: it does not run now.
fn crashed<'f>(
    view: &View<'f>,
    pod: &'f PodFacts,
    container: &'f ContainerFacts,
    ended: &'f Terminated,
    is_down: bool,
) -> Trouble<'f> {
    let said = &*ended.message;
    let ended_by = |code| Trouble {
        ended: Some(ended),
        ..Trouble::new(code, said)
    };
    let never_ran = matches!(&*ended.reason, "ContainerCannotRun" | "StartError")
        || matches!(ended.exit_code, 126 | 127);
    let now = view.now();
    // What runs again was only hindered for a moment.
    if said.contains("exec format error") && is_down {
        return ended_by(CauseCode::ImageWrongPlatform).after(now, Duration::ZERO);
    }
    if never_ran && is_down {
        let cannot_start = ended_by(CauseCode::CannotStart);
        return if ended.exit_code == 128 && !is_of_template(said) {
            let finished = ended.finished.or(pod.created).unwrap_or(now).min(now);
            cannot_start.after_if_all(finished, NODE)
        } else {
            cannot_start.after(now, Duration::ZERO)
        };
    }
    let spec = view.object().spec(&container.name);
    let probed =
        |probe: Option<&Probe>, words| probe.and_then(|probe| killed_by(view, pod, probe, words));
    let trouble = if *ended.reason == *"OOMKilled" {
        ended_by(CauseCode::OutOfMemory)
    } else if let Some(said) = probed(spec.and_then(|s| s.startup.as_ref()), "Startup probe") {
        Trouble {
            said,
            ..ended_by(CauseCode::StartupFailed)
        }
    } else if let Some(said) = probed(spec.and_then(|s| s.liveness.as_ref()), "Liveness probe") {
        Trouble {
            said,
            ..ended_by(CauseCode::LivenessFailed)
        }
    } else if ended.exit_code == 0 {
        ended_by(CauseCode::ExitedEarly)
    } else if never_ran {
        ended_by(CauseCode::CannotStart)
    } else {
        ended_by(CauseCode::CrashLoop)
    };
    let is_new_start = match (ended.started, ended.finished) {
        (Some(started), Some(finished)) => age(started, finished) < STEADY,
        _ => true,
    };
    if is_down && is_new_start {
        loops(trouble, view, container)
    } else {
        trouble
    }
}

/// Whether a container cannot be started because of what its pod template or its image says, on any node.
fn is_of_template(said: &str) -> bool {
    let texts = [
        "no such file or directory",
        "executable file not found",
        "permission denied",
    ];
    texts.iter().any(|text| said.contains(text))
}

/// Once or twice it may have waited for something that was not there yet.
fn loops<'f>(trouble: Trouble<'f>, view: &View<'_>, container: &ContainerFacts) -> Trouble<'f> {
    match container.restarts {
        RESTARTS.. => trouble.after(view.now(), Duration::ZERO),
        RESTARTS_OF_ALL.. => trouble.after_if_all(view.now(), Duration::ZERO),
        _ => trouble,
    }
}

/// What a probe said that has failed as often as it takes to kill the container.
fn killed_by<'f>(view: &View<'f>, pod: &PodFacts, probe: &Probe, words: &str) -> Option<&'f str> {
    let event = view.event(&pod.uid, |event| {
        *event.reason == *"Unhealthy"
            && event.count >= probe.failure_threshold
            && event.message.starts_with(words)
    })?;
    Some(probe_words(&event.message))
}

/// `HTTP probe failed with statuscode: 503` of `Readiness probe failed: HTTP probe failed with statuscode: 503`.
pub(super) fn probe_words(message: &str) -> &str {
    message.split_once(": ").map_or(message, |(_, said)| said)
}
