//! A cause in words: what happened, and what to do next. What the sentences are made of is in `phrases`, what is told beside them in
//! `details`.

mod details;
mod phrases;

pub(super) use phrases::{Pods, PodsAre, kind_and_name, kubectl};

use phrases::{Asks, Exit, Image, In, Node, Restarts, Said, last_line, pull_words};

use super::{
    cause::{Cause, CauseCode},
    facts::{ContainerSpec, Role, RolloutKind},
    limit::Limit,
    times::Told,
    trouble::{Group, Trouble, after_name, missing_object},
    view::View,
};
use crate::text::{escape::Escaped, excerpt::Cut};

/// What happened, and what to do next; the workload and the number of pods stand before it.
struct Words {
    problem: String,
    next: String,
}

fn words(problem: impl Into<String>, next: impl Into<String>) -> Words {
    Words {
        problem: problem.into(),
        next: next.into(),
    }
}

/// The cause that a group of troubles is.
pub(super) fn cause(view: &View<'_>, group: &Group<'_>) -> Cause {
    let trouble = &group.first;
    let id = &view.facts.workload.id;
    let Words { problem, next } = of_code(view, trouble);
    let pods = Pods(group.pods, group.of);
    let message = match trouble.code {
        CauseCode::ReplicaSetCreateError => {
            let pods = Pods(0, group.of);
            format!("{id}: {pods} are created, because {problem}; {next}")
        }
        CauseCode::StatefulSetBlocked => format!("{id}: {problem}; {next}"),
        // No pod of a Job is newer than the others.
        _ if view.object().kind == RolloutKind::Job => {
            format!(
                "{id}: {} of {} pods {problem}; {next}",
                group.pods, group.of
            )
        }
        _ => format!("{id}: {pods} {problem}; {next}"),
    };
    Cause {
        code: trouble.code,
        message,
        details: details::of(view, trouble),
        pod: trouble.pod.map(|pod| pod.name.clone()),
        pod_uid: trouble.pod.map(|pod| pod.uid.clone()),
        container: trouble.container.map(|container| container.name.clone()),
        restarted: trouble.container.is_some_and(|c| c.restarts > 0),
        count: usize::try_from(group.pods).unwrap_or_default(),
    }
}

/// The cause where nothing is wrong that anything tells. `awaited`: what the rollout waits for.
pub(super) fn nothing_new(view: &View<'_>, limit: &Limit, awaited: &str) -> Cause {
    let id = &view.facts.workload.id;
    let next = if view.is_observed() {
        format!("see {}", kubectl(id, "describe", &kind_and_name(id)))
    } else {
        "is kube-controller-manager running?".to_owned()
    };
    Cause {
        code: CauseCode::DeadlineExceeded,
        message: format!(
            "{id}: nothing new for {}: {awaited}; {next}",
            Told(limit.idle)
        ),
        details: vec![("idle", Told(limit.idle).to_string())],
        pod: None,
        pod_uid: None,
        container: None,
        restarted: false,
        count: 0,
    }
}

fn of_code(view: &View<'_>, trouble: &Trouble<'_>) -> Words {
    use CauseCode as Code;
    match trouble.code {
        Code::ImageNameInvalid
        | Code::ImageWrongPlatform
        | Code::ImageNotFound
        | Code::ImageNotFoundOrForbidden
        | Code::ImagePullForbidden
        | Code::ImageSignatureInvalid
        | Code::ImageNotPresent
        | Code::ImagePullRateLimited
        | Code::RegistryUnreachable
        | Code::ImageBroken
        | Code::ImagePullFailed => of_image(view, trouble),
        Code::ConfigMissing
        | Code::CannotStart
        | Code::HookFailed
        | Code::OutOfMemory
        | Code::StartupFailed
        | Code::LivenessFailed
        | Code::ExitedEarly
        | Code::CrashLoop => of_start(view, trouble),
        Code::ReplicaSetCreateError
        | Code::PodsRefused
        | Code::WebhookFailed
        | Code::QuotaExceeded => of_refusal(trouble),
        _ => of_pod(view, trouble),
    }
}

fn of_image(view: &View<'_>, trouble: &Trouble<'_>) -> Words {
    use CauseCode as Code;
    let (image, container) = (Image(trouble), In(trouble));
    let (said, node) = (Said(pull_words(trouble)), Node(trouble));
    let pull = format!("cannot pull the image {image} of {container}");
    match trouble.code {
        Code::ImageNameInvalid => words(
            format!("cannot pull the image of {container}: {image} is no valid image reference"),
            "write it as registry/repository:tag",
        ),
        Code::ImageWrongPlatform if trouble.ended.is_some() => words(
            format!(
                "cannot run {container}: the program in {image} is made for another platform than that of{node}"
            ),
            "build the image for the platforms of your nodes: docker buildx build --platform",
        ),
        Code::ImageWrongPlatform => words(
            format!("{pull}: there is none for the platform of{node}"),
            "build it for the platforms of your nodes: docker buildx build --platform",
        ),
        Code::ImageNotFound => words(
            format!("{pull}: the registry does not have it"),
            "check that CI has pushed this tag to this repository",
        ),
        Code::ImagePullForbidden => match trouble.named {
            Some(secrets) => words(
                format!(
                    "{pull}: the registry refuses it, and the pull secret {} is missing in the namespace {}",
                    Cut(secrets),
                    Escaped(&view.facts.workload.id.namespace)
                ),
                "create it, or name the right one in imagePullSecrets",
            ),
            None => words(
                format!("{pull}: the registry refuses access"),
                "check imagePullSecrets and their rights in the registry; some registries answer so, too, if there is no such image",
            ),
        },
        Code::ImageNotFoundOrForbidden => words(
            format!(
                "{pull}: the registry does not have it, or refuses access; it does not say which"
            ),
            "check that CI has pushed this tag, then imagePullSecrets",
        ),
        Code::ImageSignatureInvalid => words(
            format!("{pull}: its signature is refused: {said}"),
            "sign it in CI, or check the signature policy of the nodes",
        ),
        Code::ImageNotPresent => words(
            format!(
                "cannot start {container}: imagePullPolicy is Never, and the image {image} is not on{node}"
            ),
            "load it onto the nodes, or change imagePullPolicy",
        ),
        // The registry's own words can name an account.
        Code::ImagePullRateLimited => words(
            format!("{pull}: the registry limits how many pulls it serves"),
            "wait, or pull with an account of your own (imagePullSecrets) or through a mirror",
        ),
        Code::RegistryUnreachable => words(
            format!("{pull}:{node} cannot reach the registry: {said}"),
            "check network, DNS and certificates between nodes and registry",
        ),
        Code::ImageBroken => words(
            format!("cannot use the image {image} of {container}: {said}"),
            "remove it from the node, or build and push it again",
        ),
        _ => words(format!("{pull}: {said}"), describe(view, trouble)),
    }
}

fn of_start(view: &View<'_>, trouble: &Trouble<'_>) -> Words {
    use CauseCode as Code;
    let (image, container) = (Image(trouble), In(trouble));
    let (said, logs) = (Said(trouble.said), logs(view, trouble));
    let restarts = Restarts(trouble.container);
    let namespace = Escaped(&view.facts.workload.id.namespace);
    match trouble.code {
        Code::ConfigMissing => match missing_object(trouble.said) {
            Some((kind, name, None)) => words(
                format!(
                    "cannot start {container}: the {kind} {} is missing in the namespace {namespace}",
                    Cut(name)
                ),
                "create it, or correct its name in the pod template",
            ),
            Some((kind, name, Some(key))) => words(
                format!(
                    "cannot start {container}: the {kind} {} has no key {}",
                    Cut(name),
                    Cut(key)
                ),
                "add the key, or correct its name in the pod template",
            ),
            None => words(
                format!("cannot start {container}: its configuration cannot be made: {said}"),
                "correct what the pod template refers to",
            ),
        },
        Code::CannotStart => {
            let why = match trouble.ended {
                Some(ended) if trouble.said.is_empty() => format!("it ends with {}", Exit(ended)),
                _ => said.to_string(),
            };
            words(
                format!("cannot start {container} ({image}): {why}"),
                "check its command and args against what the image holds",
            )
        }
        Code::HookFailed => words(
            format!("cannot start {container} ({image}): its hook fails: {said}"),
            "check lifecycle.postStart in the pod template",
        ),
        Code::OutOfMemory => {
            let limit = spec(view, trouble).and_then(|spec| spec.memory_limit.as_deref());
            let limit = match limit {
                Some(limit) => format!("its limit of {}", Cut(limit)),
                None => "it may have".to_owned(),
            };
            words(
                format!(
                    "run out of memory: {container} ({image}) needs more than {limit}{restarts}"
                ),
                "raise resources.limits.memory, or make it need less",
            )
        }
        Code::StartupFailed | Code::LivenessFailed => {
            let is_startup = trouble.code == Code::StartupFailed;
            let spec = spec(view, trouble);
            let (name, probe, next) = if is_startup {
                let next = "mend the start, or give it more time: failureThreshold × periodSeconds";
                ("startup", spec.and_then(|s| s.startup.as_ref()), next)
            } else {
                let next =
                    "mend what the probe asks; if it only starts slowly, give it a startup probe";
                ("liveness", spec.and_then(|s| s.liveness.as_ref()), next)
            };
            words(
                format!(
                    "are restarted because {container} ({image}) fails its {name} probe{}: {said}{restarts}",
                    Asks(probe)
                ),
                format!("{next}; {logs}"),
            )
        }
        Code::ExitedEarly => words(
            format!(
                "do not keep running: {container} ({image}) exits with 0, its command has ended{restarts}"
            ),
            format!("check its command and args; {logs}"),
        ),
        _ => {
            let exit = match trouble.ended {
                Some(ended) => format!("exits with {}", Exit(ended)),
                None => "crashes".to_owned(),
            };
            let said = match last_line(trouble.said) {
                "" => String::new(),
                line => format!(": \"{}\"", Cut(line)),
            };
            words(
                format!("crash: {container} ({image}) {exit}{restarts}{said}"),
                logs,
            )
        }
    }
}

fn of_refusal(trouble: &Trouble<'_>) -> Words {
    let (refusal, named) = (Said(after_name(trouble.said)), trouble.named.map(Cut));
    match (trouble.code, named) {
        (CauseCode::QuotaExceeded, Some(quota)) => {
            let (_, used) = trouble
                .said
                .split_once("exceeded quota: ")
                .unwrap_or_default();
            let (_, used) = used.split_once(", ").unwrap_or_default();
            words(
                format!(
                    "cannot be created: the quota {quota} is used up ({})",
                    Said(used)
                ),
                "raise it, or free some of it",
            )
        }
        (CauseCode::WebhookFailed, Some(webhook)) => words(
            format!("cannot be created: the webhook {webhook} does not answer: {refusal}"),
            "mend the webhook's service, or its failurePolicy",
        ),
        (CauseCode::ReplicaSetCreateError, _) => words(
            format!(
                "its new ReplicaSet cannot be created: {}",
                Said(trouble.said)
            ),
            "change what refuses it, or the pod template",
        ),
        _ => {
            let next = if trouble.said.contains("quota") {
                "write the missing requests and limits into the pod template"
            } else if trouble.said.contains("PodSecurity") {
                "change the pod template, or the namespace's Pod Security level"
            } else {
                "change the pod template, or what refuses it"
            };
            words(format!("cannot be created: {refusal}"), next)
        }
    }
}

fn of_pod(view: &View<'_>, trouble: &Trouble<'_>) -> Words {
    use CauseCode as Code;
    let id = &view.facts.workload.id;
    let (said, node, container) = (Said(trouble.said), Node(trouble), In(trouble));
    let name = trouble.pod.map_or("", |pod| &*pod.name);
    let name = Escaped(name);
    let words_said = |before: &str| match trouble.said {
        "" => String::new(),
        _ => format!("{before}{said}"),
    };
    match trouble.code {
        Code::StatefulSetBlocked => words(
            format!(
                "{name} is of an older revision and not ready, and a StatefulSet replaces no pod before all are ready: {} of {} \
                 pods are updated, and a corrected template does not help",
                view.object().updated,
                view.object().desired
            ),
            format!(
                "delete the pod: {}",
                kubectl(id, "delete pod", &name.to_string())
            ),
        ),
        Code::VolumeNotMounted if trouble.said.contains("Multi-Attach") => words(
            format!("cannot mount a volume that another pod still holds on another node: {said}"),
            "a ReadWriteOnce volume and a rolling update do not go together: use the strategy Recreate, or a volume that many \
             nodes can mount",
        ),
        Code::VolumeNotMounted => words(
            format!("cannot mount a volume: {said}"),
            format!(
                "check the claim, its storage class and the object that it names; {}",
                describe(view, trouble)
            ),
        ),
        Code::SandboxFailed => words(
            format!("cannot be set up on{node}: {said}"),
            "check the node's network plugin and its free addresses",
        ),
        Code::Unschedulable => words(
            format!("find no node{}", words_said(": ")),
            "add or free what is missing, or change what the pods ask for",
        ),
        Code::SchedulingGated => words(
            format!("are held by a scheduling gate{}", words_said(": ")),
            "see why its controller does not remove it",
        ),
        Code::PodRefusedByNode => {
            let reason = trouble.pod.map_or("", |pod| &*pod.reason);
            let reason = if reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", Cut(reason))
            };
            words(
                format!("were refused by their nodes{reason}{}", words_said(": ")),
                format!(
                    "check what those nodes have left; {}",
                    describe(view, trouble)
                ),
            )
        }
        Code::PodEvicted => words(
            format!("were evicted{}", words_said(": ")),
            "give the containers requests that fit what they use, or the nodes more of it",
        ),
        Code::PodTerminating => {
            let grace = trouble.pod.map(|pod| pod.grace).unwrap_or_default();
            words(
                format!(
                    "wait for {name} to end, which has a grace of {}",
                    Told(grace)
                ),
                match trouble.pod.and_then(|pod| pod.deleted) {
                    Some(end) if end > view.now() => "it may take so long".to_owned(),
                    _ => format!(
                        "its node or a finalizer holds it: {}",
                        kubectl(id, "get pod", &format!("{name} --output yaml"))
                    ),
                },
            )
        }
        Code::NotCreated => words(
            match trouble.container {
                Some(_) => format!(
                    "are not started: {container} is still to be created{}",
                    words_said(": ")
                ),
                None => format!(
                    "are not started: their containers are still to be created{}",
                    words_said(": ")
                ),
            },
            describe(view, trouble),
        ),
        Code::ReadinessGate => words(
            format!(
                "wait for the readiness gate {}{}",
                Cut(trouble.named.unwrap_or_default()),
                words_said(": ")
            ),
            "see why its controller does not open it (often that of a load balancer)",
        ),
        _ => {
            let spec = spec(view, trouble);
            let has_started = trouble.container.is_some_and(|c| c.is_started);
            let startup = spec.and_then(|spec| spec.startup.as_ref());
            let is_init = trouble.container.is_some_and(|c| c.role == Role::Init);
            let awaits = match (startup, spec.and_then(|spec| spec.readiness.as_ref())) {
                _ if is_init => "has not ended".to_owned(),
                (Some(startup), _) if !has_started => {
                    format!(
                        "runs, and its startup probe{} has not passed",
                        Asks(Some(startup))
                    )
                }
                (_, Some(readiness)) => {
                    format!(
                        "runs, and its readiness probe{} has not passed",
                        Asks(Some(readiness))
                    )
                }
                _ => "runs, but is not ready".to_owned(),
            };
            words(
                format!(
                    "are not ready: {container} ({}) {awaits}{}",
                    Image(trouble),
                    words_said(": ")
                ),
                logs(view, trouble),
            )
        }
    }
}

fn spec<'f>(view: &View<'f>, trouble: &Trouble<'_>) -> Option<&'f ContainerSpec> {
    view.object().spec(&trouble.container?.name)
}

/// How to see the log that tells more.
fn logs(view: &View<'_>, trouble: &Trouble<'_>) -> String {
    let (Some(pod), Some(container)) = (trouble.pod, trouble.container) else {
        return describe(view, trouble);
    };
    let (pod, name) = (Escaped(&pod.name), Escaped(&container.name));
    let previous = if container.restarts > 0 {
        " --previous"
    } else {
        ""
    };
    let what = format!("{pod} --container {name}{previous}");
    format!(
        "see its log: {}",
        kubectl(&view.facts.workload.id, "logs", &what)
    )
}

/// How to see all that is known of the pod.
fn describe(view: &View<'_>, trouble: &Trouble<'_>) -> String {
    let id = &view.facts.workload.id;
    let what = match trouble.pod {
        Some(pod) => format!("pod/{}", Escaped(&pod.name)),
        None => kind_and_name(id),
    };
    format!("see {}", kubectl(id, "describe", &what))
}
