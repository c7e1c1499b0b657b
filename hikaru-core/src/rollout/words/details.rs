//! What is told of a cause beside its sentence, by keys that a program can read.

use super::{phrases::signal, spec};
use crate::{
    rollout::{
        cause::CauseCode,
        times::{Told, age},
        trouble::{Trouble, missing_object},
        view::View,
    },
    text::excerpt::{Cut, Ending, Quoted},
};

/// The longest text of the cluster among the details, in characters.
const LONGEST: usize = 1_000;

/// What is known beside the sentence of a trouble.
pub(super) fn of(view: &View<'_>, trouble: &Trouble<'_>) -> Vec<(&'static str, String)> {
    use CauseCode as Code;
    let mut details = Vec::new();
    let mut add = |key, value: String| {
        if !value.is_empty() {
            details.push((key, value));
        }
    };
    if let Some(container) = trouble.container {
        add("image", Cut(&container.image).to_string());
        if container.restarts > 0 {
            add("restarts", container.restarts.to_string());
        }
    }
    if let Some(ended) = trouble.ended {
        add("exitCode", ended.exit_code.to_string());
        add("signal", signal(ended).unwrap_or_default().to_owned());
        add("reason", Cut(&ended.reason).to_string());
        if let (Some(started), Some(finished)) = (ended.started, ended.finished) {
            add("ranFor", Told(age(started, finished)).to_string());
        }
        add(
            "terminationMessage",
            Ending(&ended.message, LONGEST).to_string(),
        );
    }
    let spec = spec(view, trouble);
    if trouble.code == Code::OutOfMemory {
        let limit = spec.and_then(|spec| spec.memory_limit.as_deref());
        add("memoryLimit", Cut(limit.unwrap_or("none")).to_string());
    }
    let probe = spec.and_then(|spec| match trouble.code {
        Code::StartupFailed => spec.startup.as_ref(),
        Code::LivenessFailed => spec.liveness.as_ref(),
        Code::NotReady => spec.readiness.as_ref(),
        _ => None,
    });
    if let Some(probe) = probe {
        add("probe", Cut(&probe.action).to_string());
    }
    let missing = missing_object(trouble.said).filter(|_| trouble.code == Code::ConfigMissing);
    if let Some((kind, name, key)) = missing {
        add(
            if kind == "Secret" {
                "secret"
            } else {
                "configMap"
            },
            Cut(name).to_string(),
        );
        add("key", Cut(key.unwrap_or_default()).to_string());
    }
    if let Some(named) = trouble.named {
        let key = match trouble.code {
            Code::ImagePullForbidden => "pullSecret",
            Code::QuotaExceeded => "quota",
            Code::WebhookFailed => "webhook",
            Code::ReadinessGate => "gate",
            _ => "policy",
        };
        add(key, Cut(named).to_string());
    }
    let key = match trouble.code {
        _ if trouble.ended.is_some()
            && !matches!(trouble.code, Code::StartupFailed | Code::LivenessFailed) =>
        {
            return details;
        }
        // It can name an account.
        Code::ImagePullRateLimited => return details,
        Code::StartupFailed | Code::LivenessFailed | Code::NotReady => "probeSaid",
        Code::Unschedulable => "scheduler",
        _ => "said",
    };
    add(key, Quoted(trouble.said, LONGEST).to_string());
    if let Some(node) = trouble.pod.and_then(|pod| pod.node.as_deref()) {
        add("node", Cut(node).to_string());
    }
    details
}
