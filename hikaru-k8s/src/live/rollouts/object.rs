//! What a workload's object says of its rollout, and which pods it selects. The containers and settings that verdicts are made of are
//! read in `live::read`.

use std::time::Duration;

use hikaru_core::{
    Text,
    rollout::{ContainerSpec, ObjectFacts, Probe, Role, RolloutKind},
};
use k8s_openapi::{
    api::core::v1::{self as core, PodTemplateSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::core::Selector;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    condition::{Condition, conditions, kept},
    pod::role_of_init,
};
use crate::{
    kind::{Kind, Rollout},
    live::read::applier,
    nullable::nullable,
};

/// `spec.progressDeadlineSeconds` that means that there is none.
const NO_DEADLINE: i32 = i32::MAX;

/// How much of a probe's command is told, in characters.
const COMMAND: usize = 200;

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    /// Read only where the kind is known: in an added one these names may stand for something else.
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(default, deserialize_with = "nullable")]
    generation: i64,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "nullable")]
    annotations: Annotations,
    #[serde(borrow, default)]
    managed_fields: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(default, rename = "deployment.kubernetes.io/revision")]
    deployment_revision: Option<String>,
    #[serde(default, rename = "deprecated.daemonset.template.generation")]
    template_generation: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    replicas: Option<i32>,
    selector: Option<LabelSelector>,
    template: Option<PodTemplateSpec>,
    paused: Option<bool>,
    /// Of a Deployment.
    strategy: Option<Strategy>,
    /// Of the others.
    update_strategy: Option<Strategy>,
    pod_management_policy: Option<String>,
    progress_deadline_seconds: Option<i32>,
    min_ready_seconds: Option<i32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Strategy {
    #[serde(rename = "type")]
    name: Option<String>,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RollingUpdate {
    partition: Option<i32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: i64,
    replicas: i32,
    updated_replicas: i32,
    ready_replicas: i32,
    available_replicas: i32,
    update_revision: Option<String>,
    desired_number_scheduled: i32,
    current_number_scheduled: i32,
    updated_number_scheduled: i32,
    number_ready: i32,
    number_available: i32,
    conditions: Option<Vec<Condition>>,
}

/// Reads an object. Beside what it says: what its pods' labels have to match, if it has rollouts and selects any.
///
/// # Errors
/// What was expected and what was found.
pub(super) fn read(kind: &Kind, json: &str) -> Result<(ObjectFacts, Option<Selector>), String> {
    let object: Object<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let metadata = object.metadata;
    let mut facts = ObjectFacts::default();
    facts.generation = metadata.generation;
    facts.is_deleting = metadata.deletion_timestamp.is_some();
    let managed_fields = metadata.managed_fields.map_or("", RawValue::get);
    facts.changed = applier::last_change(managed_fields, &kind.pod);
    facts.scaled = applier::last_scaling(managed_fields);
    facts.kind = match kind.rollout {
        Rollout::Deployment => RolloutKind::Deployment,
        Rollout::StatefulSet => RolloutKind::StatefulSet,
        Rollout::DaemonSet => RolloutKind::DaemonSet,
        Rollout::None => return Ok((facts, None)),
    };
    let (spec, status): (Spec, Status) = (part(object.spec)?, part(object.status)?);

    facts.observed = status.observed_generation;
    facts.conditions = conditions(status.conditions);
    let replicas = spec.replicas.unwrap_or(1);
    let annotations = metadata.annotations;
    let (revision, numbers) = match kind.rollout {
        Rollout::DaemonSet => (
            annotations.template_generation,
            [
                status.desired_number_scheduled,
                status.current_number_scheduled,
                status.updated_number_scheduled,
                status.number_ready,
                status.number_available,
            ],
        ),
        rollout => (
            match rollout {
                Rollout::StatefulSet => status.update_revision,
                _ => annotations.deployment_revision,
            },
            [
                replicas,
                status.replicas,
                status.updated_replicas,
                status.ready_replicas,
                status.available_replicas,
            ],
        ),
    };
    facts.revision = revision.filter(|text| !text.is_empty()).map(Text::from);
    [
        facts.desired,
        facts.current,
        facts.updated,
        facts.ready,
        facts.available,
    ] = numbers;

    facts.is_paused = spec.paused.unwrap_or_default();
    facts.is_parallel = spec.pod_management_policy.as_deref() == Some("Parallel");
    let is = |strategy: &Option<Strategy>, name: &str| {
        let strategy = strategy.as_ref();
        strategy.and_then(|strategy| strategy.name.as_deref()) == Some(name)
    };
    facts.is_recreate = is(&spec.strategy, "Recreate");
    facts.is_on_delete = is(&spec.update_strategy, "OnDelete");
    let rolling = spec
        .update_strategy
        .and_then(|strategy| strategy.rolling_update);
    facts.partition = rolling.and_then(|rolling| rolling.partition).unwrap_or(0);
    let deadline = spec.progress_deadline_seconds;
    let deadline = deadline.filter(|seconds| *seconds != NO_DEADLINE);
    facts.progress_deadline = deadline.map(|deadline| seconds(Some(deadline), 0));
    facts.min_ready = seconds(spec.min_ready_seconds, 0);
    facts.containers = spec.template.map(containers).unwrap_or_default();
    let selector = spec.selector.map(Selector::try_from).transpose();
    let selector = selector.map_err(|error| format!("spec.selector: {error}"))?;
    Ok((facts, selector))
}

/// A part of the object, or what stands for one that is absent.
fn part<'a, T: Default + Deserialize<'a>>(part: Option<&'a RawValue>) -> Result<T, String> {
    let text = part.map_or("null", RawValue::get);
    let read = serde_json::from_str::<Option<T>>(text);
    let read = read.map_err(|error| error.to_string())?;
    Ok(read.unwrap_or_default())
}

fn seconds(read: Option<i32>, default: u64) -> Duration {
    let seconds = read.and_then(|seconds| seconds.try_into().ok());
    Duration::from_secs(seconds.unwrap_or(default))
}

/// The containers of a pod template, in the order in which they run.
fn containers(template: PodTemplateSpec) -> Vec<ContainerSpec> {
    let pod = template.spec.unwrap_or_default();
    let init = pod.init_containers.into_iter().flatten();
    let init = init.map(|container| {
        let role = role_of_init(container.restart_policy.as_deref());
        (container, role)
    });
    let main = pod.containers.into_iter().map(|one| (one, Role::Main));
    kept(init.chain(main).map(container))
}

fn container((read, role): (core::Container, Role)) -> ContainerSpec {
    let mut spec = ContainerSpec::default();
    spec.name = read.name.into();
    spec.image = read.image.unwrap_or_default().into();
    spec.role = role;
    spec.readiness = read.readiness_probe.and_then(probe);
    spec.liveness = read.liveness_probe.and_then(probe);
    spec.startup = read.startup_probe.and_then(probe);
    let limits = read.resources.and_then(|resources| resources.limits);
    let memory = limits.and_then(|mut limits| limits.remove("memory"));
    spec.memory_limit = memory.map(|memory| memory.0.into());
    spec
}

/// `None`: it does nothing that is known.
fn probe(read: core::Probe) -> Option<Probe> {
    let mut probe = Probe::new(action(&read)?);
    probe.initial_delay = seconds(read.initial_delay_seconds, 0);
    probe.period =
        positive(read.period_seconds).map_or(probe.period, |s| Duration::from_secs(s.into()));
    probe.timeout =
        positive(read.timeout_seconds).map_or(probe.timeout, |s| Duration::from_secs(s.into()));
    probe.failure_threshold = positive(read.failure_threshold).unwrap_or(probe.failure_threshold);
    probe.success_threshold = positive(read.success_threshold).unwrap_or(probe.success_threshold);
    Some(probe)
}

/// A number above 0: 0 stands for the default.
fn positive(read: Option<i32>) -> Option<u32> {
    let number = read?.try_into().ok()?;
    (number > 0).then_some(number)
}

/// What a probe does.
fn action(probe: &core::Probe) -> Option<String> {
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    if let Some(get) = &probe.http_get {
        let scheme = match get.scheme.as_deref() {
            Some("HTTPS") => "https://",
            _ => "",
        };
        let host = get.host.as_deref().unwrap_or_default();
        let path = get.path.as_deref().filter(|path| !path.is_empty());
        Some(format!(
            "GET {scheme}{host}:{}{}",
            port(&get.port),
            path.unwrap_or("/")
        ))
    } else if let Some(exec) = &probe.exec {
        let command = exec.command.iter().flatten();
        let words: Vec<&str> = command.map(String::as_str).collect();
        let mut command = words.join(" ");
        if let Some((end, _)) = command.char_indices().nth(COMMAND) {
            command.truncate(end);
            command.push('…');
        }
        Some(format!("the command {command}"))
    } else if let Some(socket) = &probe.tcp_socket {
        Some(format!("a connection to port {}", port(&socket.port)))
    } else {
        let grpc = probe.grpc.as_ref()?;
        Some(format!("gRPC on port {}", grpc.port))
    }
}

#[cfg(test)]
mod tests;
