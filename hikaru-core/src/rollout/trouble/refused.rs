//! What the API server refuses to create: pods, or a Deployment's ReplicaSet. A ReplicaSet tells it in a condition, StatefulSets and
//! DaemonSets only in events.

use std::time::{Duration, SystemTime};

use super::Trouble;
use crate::rollout::{
    cause::CauseCode,
    facts::{Condition, RolloutKind},
    view::View,
};

/// A refusal that is final: the controller has tried again by then.
const FINAL: Duration = Duration::from_secs(10);
const REPLICA_SET: Duration = Duration::from_secs(15);

/// The pods that are refused.
pub(super) fn pods<'f>(view: &View<'f>, idle_since: SystemTime) -> Option<Trouble<'f>> {
    let (desired, missing) = view.missing();
    if missing == 0 {
        return None;
    }
    let (said, since) = match view.object().kind {
        RolloutKind::Deployment => {
            let failure = replica_failure(view)?;
            (
                &*failure.message,
                failure.since.max(view.changed()).unwrap_or(idle_since),
            )
        }
        _ => {
            let newest = view.new.iter().chain(&view.old).chain(&view.deleting);
            let newest = newest.chain(&view.ended);
            let newest = newest.filter_map(|pod| pod.created).max();
            // A pod that was created later shows that the refusal is over.
            let event = view.own_event(|event| {
                *event.reason == *"FailedCreate" && (event.last.is_none() || event.last >= newest)
            })?;
            (&*event.message, idle_since)
        }
    };
    let (code, named) = kind_of(said);
    let trouble = Trouble {
        named,
        pods: missing,
        of: desired,
        ..Trouble::new(code, said)
    };
    Some(if code == CauseCode::PodsRefused && is_final(said) {
        trouble.after(since.min(view.now()), FINAL)
    } else {
        trouble
    })
}

/// The condition of the present ReplicaSet. The Deployment's own can be of an older one: it counts only where ReplicaSets cannot be
/// read, if it is younger than the change.
fn replica_failure<'f>(view: &View<'f>) -> Option<&'f Condition> {
    let is_failure = |c: &&Condition| *c.kind == *"ReplicaFailure" && *c.status == *"True";
    match view.new_set {
        Some(set) => set.conditions.iter().find(is_failure),
        None if view.sees("replicasets") => None,
        None => {
            let mut own = view.object().conditions.iter();
            own.find(|c| is_failure(c) && view.is_since_change(c.since))
        }
    }
}

/// The ReplicaSet that is refused. The controller does not report the generation then, so its status is of the change all the same.
pub(super) fn replica_set<'f>(view: &View<'f>) -> Option<Trouble<'f>> {
    let mut conditions = view.object().conditions.iter();
    let failure = conditions.find(|c| {
        *c.kind == *"Progressing"
            && *c.status == *"False"
            && *c.reason == *"ReplicaSetCreateError"
            && (!view.is_observed() || view.is_since_change(c.since))
    })?;
    let desired = view.object().desired;
    // Of the next template the controller keeps the times, if it is refused as well.
    let since = failure.since.max(view.changed());
    let since = since.unwrap_or(view.now()).min(view.now());
    let trouble = Trouble {
        named: kind_of(&failure.message).1,
        pods: desired,
        of: desired,
        ..Trouble::new(CauseCode::ReplicaSetCreateError, &failure.message)
    };
    Some(trouble.after(since, REPLICA_SET))
}

/// What follows the name of the pod: the name may hold any of the words that are looked for.
pub(in crate::rollout) fn after_name(said: &str) -> &str {
    let after = said.split_once("\" is ").map(|(_, rest)| rest);
    after.map_or(said, |rest| {
        rest.strip_prefix("forbidden: ").unwrap_or(rest)
    })
}

/// What refuses, and its name.
fn kind_of(said: &str) -> (CauseCode, Option<&str>) {
    let between = |before: &str, after: char| {
        let (_, rest) = said.split_once(before)?;
        rest.split_once(after).map(|(name, _)| name)
    };
    let webhook = between("webhook \"", '"');
    let refusal = after_name(said);
    if refusal.contains("failed calling webhook") || refusal.contains("failed to call webhook") {
        (CauseCode::WebhookFailed, webhook)
    } else if let Some(quota) = between("exceeded quota: ", ',') {
        (CauseCode::QuotaExceeded, Some(quota))
    } else {
        let named = between("failed quota: ", ':')
            .or_else(|| between("PodSecurity \"", '"'))
            .or_else(|| between("ValidatingAdmissionPolicy '", '\''))
            .or(webhook);
        (CauseCode::PodsRefused, named)
    }
}

/// Whether it says that pods like these are never created, whatever time passes.
fn is_final(said: &str) -> bool {
    let refusal = after_name(said);
    refusal.starts_with("invalid")
        || [
            "violates PodSecurity",
            "denied",
            "is invalid",
            "must specify",
            "maximum ",
            "minimum ",
        ]
        .iter()
        .any(|words| refusal.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_api_server() {
        use CauseCode::{PodsRefused, QuotaExceeded, WebhookFailed};
        for (said, code, named, is_over) in [
            (
                "pods \"denied-6f5b8c7d9-x2b4c\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=3, limited: pods=3",
                QuotaExceeded,
                Some("compute"),
                false,
            ),
            (
                "pods \"web-1\" is forbidden: failed quota: compute: must specify limits.cpu for: web",
                PodsRefused,
                Some("compute"),
                true,
            ),
            (
                "pods \"web-1\" is forbidden: violates PodSecurity \"restricted:latest\": privileged (container \"web\" …)",
                PodsRefused,
                Some("restricted:latest"),
                true,
            ),
            (
                "pods \"web-1\" is forbidden: ValidatingAdmissionPolicy 'no-latest' with binding 'all' denied request: no",
                PodsRefused,
                Some("no-latest"),
                true,
            ),
            (
                "admission webhook \"validate.kyverno.svc-fail\" denied the request: blocked",
                PodsRefused,
                Some("validate.kyverno.svc-fail"),
                true,
            ),
            (
                "Internal error occurred: failed calling webhook \"mutate.example\": failed to call webhook: Post \"https://x\": \
                 dial tcp 10.0.0.7:443: connect: connection refused",
                WebhookFailed,
                Some("mutate.example"),
                false,
            ),
            (
                "pods \"web-1\" is forbidden: [maximum memory usage per Container is 1Gi, but limit is 2Gi]",
                PodsRefused,
                None,
                true,
            ),
            (
                "Pod \"web-1\" is invalid: spec.containers[0].name: Required value",
                PodsRefused,
                None,
                true,
            ),
            (
                "pods \"web-denied-1\" is forbidden: error looking up service account shop/web: serviceaccount \"web\" not found",
                PodsRefused,
                None,
                false,
            ),
        ] {
            assert_eq!(kind_of(said), (code, named), "{said}");
            assert_eq!(code == PodsRefused && is_final(said), is_over, "{said}");
        }
    }
}
