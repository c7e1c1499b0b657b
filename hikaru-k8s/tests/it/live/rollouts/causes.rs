//! Causes that the control plane of the tests does not play, from what an API server says of a pod to the code that is told. Those
//! that it plays are in `stories`.

use hikaru_core::rollout::{Asked, Cause, RolloutState, Rollouts};

use super::*;

const EVENTS: &str = "/api/v1/namespaces/shop/events";

/// A Deployment that was changed an hour ago, with one new pod: its limit is over.
struct Scene {
    template: Value,
    pod: Value,
    /// How many such pods there are.
    copies: usize,
    /// Reasons and messages.
    events: Vec<(&'static str, &'static str)>,
}

/// A pod with this status.
fn scene(status: Value) -> Scene {
    let container = json!({"name": "web", "image": "ghcr.io/acme/web:1.5.0"});
    Scene {
        template: json!({"spec": {"containers": [container]}}),
        pod: json!({"spec": {"nodeName": "node-3", "containers": [container]}, "status": status}),
        copies: 1,
        events: Vec::new(),
    }
}

/// A pod whose container waits.
fn waits(reason: &str, message: &str) -> Scene {
    scene(
        json!({"phase": "Pending", "containerStatuses": [{"name": "web", "restartCount": 0, "ready": false,
        "state": {"waiting": {"reason": reason, "message": message}}}]}),
    )
}

/// A pod whose container has crashed four times.
fn crashes(exit_code: i32) -> Scene {
    scene(
        json!({"phase": "Running", "containerStatuses": [{"name": "web", "restartCount": 4, "ready": false,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"exitCode": exit_code, "reason": "Error"}}}]}),
    )
}

impl Scene {
    fn event(mut self, reason: &'static str, message: &'static str) -> Self {
        self.events.push((reason, message));
        self
    }

    fn container(mut self, key: &str, value: Value) -> Self {
        self.template["spec"]["containers"][0][key] = value;
        self
    }

    fn pod(mut self, key: &str, value: Value) -> Self {
        self.pod[key] = value;
        self
    }

    async fn cause(self) -> Cause {
        let settings = patient();
        let now = jiff::Timestamp::try_from(settings.clock.now()).expect("a time");
        let ago = json!((now - Duration::from_secs(3_600)).to_string());
        let owned = |name: &str, owner: &str| {
            json!({"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "creationTimestamp": ago,
                "labels": {"app": "web"}, "ownerReferences": [{"uid": owner, "controller": true}]})
        };
        let mut object = workload("web");
        let revision = json!({"deployment.kubernetes.io/revision": "2"});
        object["metadata"]["annotations"] = revision.clone();
        object["metadata"]["creationTimestamp"] = ago.clone();
        object["spec"]["replicas"] = json!(1);
        object["spec"]["progressDeadlineSeconds"] = json!(600);
        object["spec"]["template"] = self.template;
        object["status"] = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1});
        let mut set = json!({"metadata": owned("web-7c9f", "uid-web"), "spec": {"replicas": 1}});
        set["metadata"]["annotations"] = revision;
        let pods = ["b5f2n", "c6g3p", "d7h4q"].map(|end| {
            let mut pod = self.pod.clone();
            pod["metadata"] = owned(&format!("web-7c9f-{end}"), "uid-web-7c9f");
            pod
        });
        let pods = pods[..self.copies].to_vec();
        let events = self.events.iter().map(|(reason, message)| {
            json!({"metadata": {"creationTimestamp": ago}, "type": "Warning", "reason": reason, "message": message, "count": 5,
                "lastTimestamp": now.to_string(),
                "involvedObject": {"kind": "Pod", "name": "web-7c9f-b5f2n", "uid": "uid-web-7c9f-b5f2n"}})
        });
        let events: Vec<Value> = events.collect();
        let stub = Stub::start(move |asked, _| {
            let items = match &*asked.path {
                PODS => &pods,
                REPLICA_SETS => &vec![set.clone()],
                EVENTS => &events,
                _ => return Step::Answer(200, object.clone()),
            };
            Step::Answer(200, list(items, 7))
        })
        .await;
        let cluster = Arc::new(connected(&stub).await);
        let clock = settings.clock;
        let rollouts = Rollouts::new(cluster.clone(), Some(cluster), clock, false);
        let answer = rollouts.look(&name("web"), &Asked::default()).await;
        let rollout = answer.expect("an answer").rollout;
        assert_eq!(rollout.state, RolloutState::Failed, "{}", rollout.sentence);
        rollout.cause.expect("a cause")
    }

    /// The code, and words of the sentence.
    async fn gives(self, code: &str, words: &[&str]) {
        let cause = self.cause().await;
        assert_eq!(cause.code.as_str(), code, "{}", cause.message);
        for word in [&["shop/Deployment/web", "new pods"], words].concat() {
            assert!(cause.message.contains(word), "{word}: {}", cause.message);
        }
    }
}

#[tokio::test]
async fn images() {
    let pull = |message| waits("ErrImagePull", message);
    waits("InvalidImageName", "couldn't parse image name")
        .gives("ImageNameInvalid", &["container web"])
        .await;
    waits("ErrImageNeverPull", "Container image is not present")
        .gives("ImageNotPresent", &["imagePullPolicy is Never", "node-3"])
        .await;
    waits("SignatureValidationFailed", "no signature")
        .gives("ImageSignatureInvalid", &["no signature"])
        .await;
    waits("ImageInspectError", "failed to inspect image")
        .gives("ImageBroken", &["failed to inspect image"])
        .await;
    pull("dial tcp 10.0.0.1:443: i/o timeout")
        .gives("RegistryUnreachable", &["node-3", "i/o timeout"])
        .await;
    pull("layer does not fit")
        .gives("ImagePullFailed", &["layer does not fit"])
        .await;
    pull("unexpected status: 403 Forbidden")
        .event(
            "FailedToRetrieveImagePullSecret",
            "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.",
        )
        .gives("ImagePullForbidden", &["the pull secret regcred is missing"])
        .await;
}

#[tokio::test]
async fn containers_that_start_and_end() {
    let probe = json!({"httpGet": {"path": "/up", "port": 8080}, "failureThreshold": 3});
    crashes(137)
        .container("startupProbe", probe.clone())
        .event(
            "Unhealthy",
            "Startup probe failed: HTTP probe failed with statuscode: 503",
        )
        .gives("StartupFailed", &["/up", "statuscode: 503"])
        .await;
    crashes(137)
        .container("livenessProbe", probe)
        .event("Unhealthy", "Liveness probe failed: connection refused")
        .gives("LivenessFailed", &["/up", "connection refused"])
        .await;
    waits("PostStartHookError", "the hook exited with 1")
        .gives("HookFailed", &["the hook exited with 1"])
        .await;
}

#[tokio::test]
async fn pods_that_do_not_get_so_far() {
    let creating = || waits("ContainerCreating", "");
    creating()
        .event(
            "FailedMount",
            "MountVolume.SetUp failed for volume \"data\"",
        )
        .gives("VolumeNotMounted", &["data"])
        .await;
    creating()
        .event("FailedCreatePodSandBox", "no free addresses")
        .gives("SandboxFailed", &["no free addresses", "node-3"])
        .await;
    creating().gives("NotCreated", &["container web"]).await;
    let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "message": "its words"});
    let gated = condition("PodScheduled", "False", "SchedulingGated");
    scene(json!({"phase": "Pending", "conditions": [gated]}))
        .gives("SchedulingGated", &["its words"])
        .await;
    let runs = json!([{"name": "web", "ready": true, "started": true, "restartCount": 0, "state": {"running": {}}}]);
    let conditions = [
        condition("Ready", "False", "ReadinessGatesNotReady"),
        condition("ContainersReady", "True", ""),
        condition("example.com/balanced", "False", ""),
    ];
    let gates = json!({"containers": [{"name": "web", "image": "ghcr.io/acme/web:1.5.0"}],
        "readinessGates": [{"conditionType": "example.com/balanced"}]});
    scene(json!({"phase": "Running", "conditions": conditions, "containerStatuses": runs}))
        .pod("spec", gates)
        .gives("ReadinessGate", &["example.com/balanced", "its words"])
        .await;
}
