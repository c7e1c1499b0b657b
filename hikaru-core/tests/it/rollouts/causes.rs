//! Each code: when it fails a rollout, and its sentence.

use std::collections::BTreeSet;

use hikaru_core::rollout::{CauseCode, ContainerFacts, ContainerState, PodFacts, Probe, Role};

use super::scene::{
    NEW, Scene, condition, crashed, daemon_set, deployment, ended, evicted, second, stateful_set,
    unready, unscheduled, waits,
};

/// A Deployment of three whose one new pod is like this, a minute after the change.
fn one(change: impl FnOnce(&mut PodFacts)) -> Scene {
    deployment(3).old(3).pod(change).at(60)
}

/// The words of containerd on a pull.
fn pull(said: &str) -> String {
    format!(
        "Back-off pulling image \"{NEW}\": ErrImagePull: failed to pull and unpack image \"{NEW}\": failed to resolve reference \
         \"{NEW}\": {said}"
    )
}

fn pulls(said: &str) -> impl Fn(&mut PodFacts) + use<> {
    waits("ImagePullBackOff", &pull(said))
}

#[test]
fn an_image_that_is_not_there() {
    one(pulls(&format!("{NEW}: not found"))).is(
        "failed ImageNotFound: 1 of 1 new pods cannot pull the image acme/web:acme_web_main_1.5.0_8_0123abcd of container web: the \
         registry does not have it; check that CI has pushed this tag to this repository",
    );
}

#[test]
fn an_image_that_is_refused() {
    let forbidden = || {
        one(pulls(
            "unexpected status from HEAD request to https://ghcr.io/v2/acme/web: 403 Forbidden",
        ))
    };
    forbidden().gives("progressing ImagePullForbidden").looks_again(Some(61)).at(61).is(
        "failed ImagePullForbidden: 1 of 1 new pods cannot pull the image acme/web:acme_web_main_1.5.0_8_0123abcd of container web: \
         the registry refuses access; check imagePullSecrets and their rights in the registry; some registries answer so, too, if there is no such image",
    );
    let either = "pull access denied, repository does not exist or may require authorization: server message: \
                  insufficient_scope: authorization failed";
    one(pulls(either)).at(61).is(
        "failed ImageNotFoundOrForbidden: 1 of 1 new pods cannot pull the image acme/web:acme_web_main_1.5.0_8_0123abcd of \
         container web: the registry does not have it, or refuses access; it does not say which; check that CI has pushed this \
         tag, then imagePullSecrets",
    );
    // A missing pull secret is the deepest cause of a refused pull.
    let missing = "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.";
    let missing =
        one(pulls(either))
            .at(61)
            .event("pod-3", "FailedToRetrieveImagePullSecret", missing, 5);
    missing.clone().is(
        "failed ImagePullForbidden: 1 of 1 new pods cannot pull the image acme/web:acme_web_main_1.5.0_8_0123abcd of container web: \
         the registry refuses it, and the pull secret regcred is missing in the namespace shop; create it, or name the right one in \
         imagePullSecrets",
    );
    assert_eq!(detail(&missing, "pullSecret"), "regcred");
}

#[test]
fn other_faults_of_images() {
    one(pulls("no match for platform in manifest: not found")).is(
        "failed ImageWrongPlatform: 1 of 1 new pods cannot pull the image acme/web:acme_web_main_1.5.0_8_0123abcd of container web: \
         there is none for the platform of the node node-3; build it for the platforms of your nodes: docker buildx build --platform",
    );
    one(crashed(1, &ended(1, "Error", "exec /app/web: exec format error"))).is(
        "failed ImageWrongPlatform: 1 of 1 new pods cannot run container web: the program in \
         acme/web:acme_web_main_1.5.0_8_0123abcd is made for another platform than that of the node node-3; build the image for \
         the platforms of your nodes: docker buildx build --platform",
    );
    one(pulls("429 Too Many Requests - Server message: toomanyrequests")).at(604).is(
        "failed ImagePullRateLimited: 1 of 1 new pods cannot pull the image acme/web:acme_web_main_1.5.0_8_0123abcd of container \
         web: the registry limits how many pulls it serves; wait, or pull with an account of your own (imagePullSecrets) or through a \
         mirror",
    );
    one(pulls("dial tcp: lookup ghcr.io on 10.0.0.10:53: no such host")).at(604).is(
        "failed RegistryUnreachable: 1 of 1 new pods cannot pull the image acme/web:acme_web_main_1.5.0_8_0123abcd of container \
         web: the node node-3 cannot reach the registry: dial tcp: lookup ghcr.io on 10.0.0.10:53: no such host; check network, \
         DNS and certificates between nodes and registry",
    );
    one(waits("InvalidImageName", "couldn't parse image name")).is(
        "failed ImageNameInvalid: 1 of 1 new pods cannot pull the image of container web: acme/web:acme_web_main_1.5.0_8_0123abcd is \
         no valid image reference; write it as registry/repository:tag",
    );
    one(waits("ErrImageNeverPull", "Container image is not present")).is(
        "failed ImageNotPresent: 1 of 1 new pods cannot start container web: imagePullPolicy is Never, and the image \
         acme/web:acme_web_main_1.5.0_8_0123abcd is not on the node node-3; load it onto the nodes, or change imagePullPolicy",
    );
    one(waits("SignatureValidationFailed", "no signature by a trusted key")).is(
        "failed ImageSignatureInvalid: 1 of 1 new pods cannot pull the image acme/web:acme_web_main_1.5.0_8_0123abcd of container \
         web: its signature is refused: no signature by a trusted key; sign it in CI, or check the signature policy of the nodes",
    );
    one(waits("ImageInspectError", "layer is damaged")).at(61).is(
        "failed ImageBroken: 1 of 1 new pods cannot use the image acme/web:acme_web_main_1.5.0_8_0123abcd of container web: layer is \
         damaged; remove it from the node, or build and push it again",
    );
    one(pulls("something new")).at(604).is(
        "failed ImagePullFailed: 1 of 1 new pods cannot pull the image acme/web:acme_web_main_1.5.0_8_0123abcd of container web: \
         something new; see kubectl describe --namespace shop pod/web-6f5b8c7d9-b5f2n",
    );
    // An older kubelet's back-off does not say what it backs off from.
    let back_off = one(waits(
        "ImagePullBackOff",
        &format!("Back-off pulling image \"{NEW}\""),
    ));
    let event = format!("Failed to pull image \"{NEW}\": {NEW}: not found");
    back_off.clone().gives("progressing ImagePullFailed");
    assert!(back_off.judge().wants_events);
    back_off
        .event("pod-3", "Failed", &event, 5)
        .gives("failed ImageNotFound");
}

#[test]
fn faults_of_a_node_need_all_new_pods_and_those_of_the_template_one() {
    let broken = || waits("ImageInspectError", "layer is damaged");
    deployment(3)
        .ready(2)
        .pod(broken())
        .at(300)
        .gives("progressing ImageBroken");
    deployment(3)
        .pod(broken())
        .pod(broken())
        .pod(broken())
        .at(300)
        .gives("failed ImageBroken");
    deployment(3)
        .ready(2)
        .pod(waits("ErrImageNeverPull", ""))
        .at(300)
        .gives("progressing ImageNotPresent");
    deployment(3)
        .ready(2)
        .pod(pulls("not found"))
        .at(30)
        .gives("failed ImageNotFound");
}

#[test]
fn a_missing_configuration() {
    let config = |said: &str| one(waits("CreateContainerConfigError", said));
    let secret = config("secret \"db\" not found");
    secret.clone().is(
        "failed ConfigMissing: 1 of 1 new pods cannot start container web: the Secret db is missing in the namespace shop; create it, \
         or correct its name in the pod template",
    );
    assert_eq!(detail(&secret, "secret"), "db");
    config("configmap \"settings\" not found").is(
        "failed ConfigMissing: 1 of 1 new pods cannot start container web: the ConfigMap settings is missing in the namespace shop; \
         create it, or correct its name in the pod template",
    );
    let key = config("couldn't find key URL in Secret shop/db");
    key.clone().is(
        "failed ConfigMissing: 1 of 1 new pods cannot start container web: the Secret db has no key URL; add the key, or correct its \
         name in the pod template",
    );
    assert_eq!(
        (detail(&key, "secret"), detail(&key, "key")),
        ("db".into(), "URL".into())
    );
    config("host IP unknown").is(
        "failed ConfigMissing: 1 of 1 new pods cannot start container web: its configuration cannot be made: host IP unknown; correct \
         what the pod template refers to",
    );
    // A volume: the kubelet tries again by itself, with pauses that grow, so it only fails at the limit.
    let volume = one(waits("ContainerCreating", ""));
    let event = "MountVolume.SetUp failed for volume \"db\" : secret \"db\" not found";
    let volume = volume
        .event("pod-3", "FailedMount", event, 50)
        .gives("progressing ConfigMissing");
    volume.at(604).is(
        "failed ConfigMissing: 1 of 1 new pods cannot start the containers: the Secret db is missing in the namespace shop; create \
         it, or correct its name in the pod template",
    );
}

#[test]
fn a_program_that_cannot_start() {
    let no_file = "failed to create containerd task: OCI runtime create failed: exec: \"/app/serve\": stat /app/serve: no such file";
    one(waits("RunContainerError", no_file)).at(5).is(&format!(
        "failed CannotStart: 1 of 1 new pods cannot start container web ({NEW}): {no_file}; check its command and args against what \
         the image holds"
    ));
    one(crashed(1, &ended(127, "Error", ""))).at(5).is(&format!(
        "failed CannotStart: 1 of 1 new pods cannot start container web ({NEW}): it ends with 127; check its command and args \
         against what the image holds"
    ));
    let reserved = || waits("CreateContainerError", "name \"web\" is reserved");
    one(reserved())
        .at(30)
        .gives("progressing CannotStart")
        .at(60)
        .gives("failed CannotStart");
    deployment(2)
        .ready(1)
        .pod(reserved())
        .at(60)
        .gives("progressing CannotStart");
}

#[test]
fn a_hook_that_fails() {
    let hook = |restarts| {
        move |pod: &mut PodFacts| {
            waits("PostStartHookError", "command '/hook' exited with 1")(pod);
            pod.containers[0].restarts = restarts;
        }
    };
    one(hook(0)).at(20).gives("progressing HookFailed");
    one(hook(1)).at(20).is(&format!(
        "failed HookFailed: 1 of 1 new pods cannot start container web ({NEW}): its hook fails: command '/hook' exited with 1; check \
         lifecycle.postStart in the pod template"
    ));
}

#[test]
fn containers_that_end_again_and_again() {
    let message = "starting\nFATAL: cannot connect to database db:5432\n";
    let crash = one(crashed(4, &ended(3, "Error", message)));
    crash.clone().is(&format!(
        "failed CrashLoop: 1 of 1 new pods crash: container web ({NEW}) exits with 3, restarted 4 times: \"FATAL: cannot connect to \
         database db:5432\"; see its log: kubectl logs --namespace shop web-6f5b8c7d9-b5f2n --container web --previous"
    ));
    let details = crash.judge().rollout.cause.expect("a cause").details;
    assert_eq!(
        details,
        [
            ("image", NEW.to_owned()),
            ("restarts", "4".to_owned()),
            ("exitCode", "3".to_owned()),
            ("reason", "Error".to_owned()),
            ("ranFor", "2 s".to_owned()),
            (
                "terminationMessage",
                r"starting\nFATAL: cannot connect to database db:5432\n".to_owned()
            ),
        ]
    );
    one(crashed(3, &ended(143, "Error", ""))).is(&format!(
        "failed CrashLoop: 1 of 1 new pods crash: container web ({NEW}) exits with 143 (SIGTERM), restarted 3 times; see its log: \
         kubectl logs --namespace shop web-6f5b8c7d9-b5f2n --container web --previous"
    ));
    let oom = one(crashed(3, &ended(137, "OOMKilled", "")))
        .template(|web| web.memory_limit = Some("64Mi".into()));
    oom.clone().is(&format!(
        "failed OutOfMemory: 1 of 1 new pods run out of memory: container web ({NEW}) needs more than its limit of 64Mi, restarted 3 \
         times; raise resources.limits.memory, or make it need less"
    ));
    assert_eq!(
        (detail(&oom, "memoryLimit"), detail(&oom, "signal")),
        ("64Mi".into(), "SIGKILL".into())
    );
    one(crashed(3, &ended(0, "Completed", ""))).is(&format!(
        "failed ExitedEarly: 1 of 1 new pods do not keep running: container web ({NEW}) exits with 0, its command has ended, restarted \
         3 times; check its command and args; see its log: kubectl logs --namespace shop web-6f5b8c7d9-b5f2n --container web \
         --previous"
    ));
}

#[test]
fn how_often_a_container_may_crash() {
    let crash = |restarts| crashed(restarts, &ended(1, "Error", ""));
    one(crash(1)).gives("progressing CrashLoop");
    one(crash(2)).gives("failed CrashLoop");
    deployment(2)
        .ready(1)
        .pod(crash(2))
        .at(60)
        .gives("progressing CrashLoop");
    deployment(2)
        .ready(1)
        .pod(crash(3))
        .at(60)
        .gives("failed CrashLoop");
    deployment(2).pod(crash(2)).pod(crash(2)).at(60).is(&format!(
        "failed CrashLoop: 2 of 2 new pods crash: container web ({NEW}) exits with 1, restarted 2 times; see its log: kubectl logs \
         --namespace shop web-6f5b8c7d9-x2b4c --container web --previous"
    ));
}

#[test]
fn containers_that_their_probes_kill() {
    let probed = |event: &str, count| {
        let probed = one(crashed(3, &ended(137, "Error", ""))).template(|web| {
            web.liveness = Some(Probe::new("GET :8080/live"));
            web.startup = Some(Probe::new("the command cat /tmp/started"));
        });
        let mut probed = probed.event("pod-3", "Unhealthy", event, 30);
        probed.facts.events.as_mut().expect("events")[0].count = count;
        probed
    };
    let live = "Liveness probe failed: HTTP probe failed with statuscode: 500";
    let killed = probed(live, 3);
    killed.clone().is(&format!(
        "failed LivenessFailed: 1 of 1 new pods are restarted because container web ({NEW}) fails its liveness probe (GET \
         :8080/live): HTTP probe failed with statuscode: 500, restarted 3 times; mend what the probe asks; if it only starts slowly, \
         give it a startup probe; see its log: kubectl logs --namespace shop web-6f5b8c7d9-b5f2n --container web --previous"
    ));
    assert_eq!(detail(&killed, "probe"), "GET :8080/live");
    assert_eq!(
        detail(&killed, "probeSaid"),
        "HTTP probe failed with statuscode: 500"
    );
    // A probe that failed less often did not kill it.
    probed(live, 2).gives("failed CrashLoop");
    probed("Startup probe failed: cat: /tmp/started: No such file", 30).is(&format!(
        "failed StartupFailed: 1 of 1 new pods are restarted because container web ({NEW}) fails its startup probe (the command cat \
         /tmp/started): cat: /tmp/started: No such file, restarted 3 times; mend the start, or give it more time: failureThreshold × \
         periodSeconds; see its log: kubectl logs --namespace shop web-6f5b8c7d9-b5f2n --container web --previous"
    ));
}

#[test]
fn an_init_container_that_fails() {
    let init = |state: ContainerState, restarts| {
        move |pod: &mut PodFacts| {
            waits("PodInitializing", "")(pod);
            let mut migrate = ContainerFacts::default();
            (migrate.name, migrate.image, migrate.role) =
                ("migrate".into(), NEW.into(), Role::Init);
            (migrate.state, migrate.restarts) = (state, restarts);
            migrate.last = Some(ended(1, "Error", "no table"));
            pod.containers.insert(0, migrate);
        }
    };
    let waiting = || ContainerState::Waiting {
        reason: "CrashLoopBackOff".into(),
        message: "back-off".into(),
    };
    one(init(waiting(), 3)).is(&format!(
        "failed CrashLoop: 1 of 1 new pods crash: init container migrate ({NEW}) exits with 1, restarted 3 times: \"no table\"; see \
         its log: kubectl logs --namespace shop web-6f5b8c7d9-b5f2n --container migrate --previous"
    ));
    one(init(ContainerState::Running { since: None }, 0)).at(612).is(&format!(
        "failed NotReady: 1 of 1 new pods are not ready: init container migrate ({NEW}) has not ended; see its log: kubectl logs \
         --namespace shop web-6f5b8c7d9-b5f2n --container migrate"
    ));
    one(init(
        ContainerState::Terminated(ended(0, "Completed", "")),
        0,
    ))
    .gives("progressing");
}

#[test]
fn a_container_that_is_not_ready() {
    let unready = || {
        one(unready).event(
            "pod-3",
            "Unhealthy",
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
            50,
        )
    };
    unready().is(
        "progressing: 0 of 3 new pods are ready; web-6f5b8c7d9-b5f2n has been starting for 59 s",
    );
    let failed = unready().at(604);
    failed.clone().is(&format!(
        "failed NotReady: 1 of 1 new pods are not ready: container web ({NEW}) runs, and its readiness probe (GET :8080/ready) has not \
         passed: HTTP probe failed with statuscode: 503; see its log: kubectl logs --namespace shop web-6f5b8c7d9-b5f2n --container \
         web"
    ));
    assert_eq!(detail(&failed, "idle"), "10 min");
}

#[test]
fn a_readiness_gate() {
    let gated = |pod: &mut PodFacts| {
        pod.conditions[1].status = "False".into();
        pod.conditions
            .push(condition("ContainersReady", "True", "", "", second(4)));
        pod.readiness_gates
            .push("target-health.elbv2.k8s.aws/web".into());
    };
    one(gated).at(604).is(
        "failed ReadinessGate: 1 of 1 new pods wait for the readiness gate target-health.elbv2.k8s.aws/web; see why its controller \
         does not open it (often that of a load balancer)",
    );
}

#[test]
fn pods_that_are_not_started() {
    let creating = || waits("ContainerCreating", "");
    one(creating())
        .at(60)
        .looks_again(Some(61))
        .at(61)
        .gives("progressing");
    one(creating()).at(604).is(
        "failed NotCreated: 1 of 1 new pods are not started: container web is still to be created; see kubectl describe --namespace \
         shop pod/web-6f5b8c7d9-b5f2n",
    );
    let with = |reason: &str, said: &str| one(creating()).at(604).event("pod-3", reason, said, 50);
    with("FailedCreatePodSandBox", "failed to assign an IP address to container").is(
        "failed SandboxFailed: 1 of 1 new pods cannot be set up on the node node-3: failed to assign an IP address to container; check \
         the node's network plugin and its free addresses",
    );
    with("FailedMount", "Unable to attach or mount volumes: timed out waiting for the condition").is(
        "failed VolumeNotMounted: 1 of 1 new pods cannot mount a volume: Unable to attach or mount volumes: timed out waiting for the \
         condition; check the claim, its storage class and the object that it names; see kubectl describe --namespace shop \
         pod/web-6f5b8c7d9-b5f2n",
    );
    with("FailedAttachVolume", "Multi-Attach error for volume \"pvc-1\"").is(
        "failed VolumeNotMounted: 1 of 1 new pods cannot mount a volume that another pod still holds on another node: Multi-Attach \
         error for volume \"pvc-1\"; a ReadWriteOnce volume and a rolling update do not go together: use the strategy Recreate, or a \
         volume that many nodes can mount",
    );
    with("FailedPrepareDynamicResources", "no device").gives("failed NotCreated");
}

#[test]
fn pods_without_a_node() {
    let said = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.";
    let scene = one(unscheduled("Unschedulable", said)).at(604);
    scene.clone().gives("failed Unschedulable");
    assert_eq!(detail(&scene, "scheduler"), said);
    one(unscheduled("Unschedulable", "")).event("pod-3", "FailedScheduling", said, 5).at(604).is(
        "failed Unschedulable: 1 of 1 new pods find no node: 0/3 nodes are available: 3 node(s) didn't match Pod's node \
         affinity/selector; add or free what is missing, or change what the pods ask for",
    );
    one(unscheduled("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")).at(604).is(
        "failed SchedulingGated: 1 of 1 new pods are held by a scheduling gate: Scheduling is blocked due to non-empty scheduling \
         gates; see why its controller does not remove it",
    );
}

#[test]
fn pods_that_end() {
    let refused = |pod: &mut PodFacts| {
        evicted(pod);
        (pod.reason, pod.message) = (
            "OutOfcpu".into(),
            "Node didn't have enough resource: cpu".into(),
        );
    };
    deployment(3).pod(refused).pod(refused).pod(unready).at(700).is(
        "failed PodRefusedByNode: 2 of 3 new pods were refused by their nodes (OutOfcpu): Node didn't have enough resource: cpu; check \
         what those nodes have left; see kubectl describe --namespace shop pod/web-6f5b8c7d9-x2b4c",
    );
    deployment(3).pod(evicted).pod(evicted).pod(unready).at(700).is(
        "failed PodEvicted: 2 of 3 new pods were evicted: The node was low on resource: memory; give the containers requests that fit \
         what they use, or the nodes more of it",
    );
    // One that was replaced does not say why the others are not ready.
    deployment(3)
        .pod(evicted)
        .pod(unready)
        .pod(unready)
        .at(700)
        .gives("failed NotReady");
    let failed = "Found failed daemon pod shop/web-x2b4c on node node-1, will try to kill it";
    daemon_set(2)
        .ready(1)
        .event("workload", "FailedDaemonPod", failed, 5)
        .at(700)
        .gives("failed PodRefusedByNode");
}

#[test]
fn pods_that_are_refused() {
    let refused = |said: &str| {
        deployment(3).ready(1).set(|set| {
            set.conditions.push(condition(
                "ReplicaFailure",
                "True",
                "FailedCreate",
                said,
                second(1),
            ));
        })
    };
    let webhook = "Internal error occurred: failed calling webhook \"mutate.example\": failed to call webhook: Post \
                   \"https://mutate.shop.svc:443/?timeout=10s\": dial tcp 10.0.0.7:443: connect: connection refused";
    refused(webhook).at(60).gives("progressing WebhookFailed").at(604).is(
        "failed WebhookFailed: 2 of 3 new pods cannot be created: the webhook mutate.example does not answer: Internal error occurred: \
         failed calling webhook \"mutate.example\": failed to call webhook: Post \"https://mutate.shop.svc:443/?…\": dial tcp \
         10.0.0.7:443: connect: connection refused; mend the webhook's service, or its failurePolicy",
    );
    let policy = "pods \"web-6f5b8c7d9-x2b4c\" is forbidden: ValidatingAdmissionPolicy 'no-latest' with binding 'all' denied request: no";
    let policy = refused(policy).at(60);
    policy.clone().is(
        "failed PodsRefused: 2 of 3 new pods cannot be created: ValidatingAdmissionPolicy 'no-latest' with binding 'all' denied \
         request: no; change the pod template, or what refuses it",
    );
    assert_eq!(detail(&policy, "policy"), "no-latest");
    let requests =
        "pods \"web-1\" is forbidden: failed quota: compute: must specify limits.cpu for: web";
    refused(requests).at(60).is(
        "failed PodsRefused: 2 of 3 new pods cannot be created: failed quota: compute: must specify limits.cpu for: web; write the \
         missing requests and limits into the pod template",
    );
    // Somebody may create the account a moment later.
    let account = "pods \"web-1\" is forbidden: error looking up service account shop/web: serviceaccount \"web\" not found";
    refused(account)
        .at(60)
        .gives("progressing PodsRefused")
        .at(604)
        .gives("failed PodsRefused");
}

#[test]
fn nothing_tells_why() {
    let scene = deployment(3).old(2).ready(1).at(604);
    scene.clone().is(
        "failed DeadlineExceeded: nothing new for 10 min: 1 of 3 new pods are ready; 2 pods are still to be created; see kubectl describe \
         --namespace shop deployment/web",
    );
    assert!(scene.judge().wants_events);
    let silent = stateful_set(3)
        .old(3)
        .object(|object| object.observed = 1)
        .at(0)
        .then();
    silent.clone().at(599).gives("progressing");
    silent.at(600).is(
        "failed DeadlineExceeded: nothing new for 10 min: its controller has not acted on the change yet, so 0 of 3 new pods are ready; \
         is kube-controller-manager running?",
    );
}

#[test]
fn the_deepest_cause_of_what_most_pods_have_is_told() {
    let mixed = deployment(4)
        .pod(unready)
        .pod(unready)
        .pod(unscheduled("Unschedulable", "0/1 nodes are available"))
        .pod(crashed(1, &ended(1, "Error", "")));
    mixed.at(700).gives("failed CrashLoop");
    let two_containers = |pod: &mut PodFacts| {
        crashed(1, &ended(1, "Error", ""))(pod);
        let mut proxy = ContainerFacts::default();
        (proxy.name, proxy.image) = ("proxy".into(), "proxy:1".into());
        proxy.state = ContainerState::Waiting {
            reason: "ErrImagePull".into(),
            message: "proxy:1: not found".into(),
        };
        pod.containers.push(proxy);
    };
    one(two_containers).gives("failed ImageNotFound");
}

#[test]
fn what_the_cluster_says_is_escaped_and_cut() {
    let message = format!(
        "\u{1b}[31mFATAL\u{1b}[0m\t{}\n\u{202e}end",
        "é".repeat(4_096)
    );
    let crash = one(crashed(3, &ended(1, "Error", &message)))
        .judge()
        .rollout
        .cause
        .expect("a cause");
    let told = format!("{}{:?}", crash.message, crash.details);
    assert!(
        !told.chars().any(hikaru_core::text::Escaped::escapes),
        "{told}"
    );
    assert!(crash.message.ends_with("\\u{202e}end\"; see its log: kubectl logs --namespace shop web-6f5b8c7d9-b5f2n --container web --previous"), "{}", crash.message);
    let long = crash
        .details
        .iter()
        .map(|(_, value)| value.chars().count())
        .max();
    assert!(long < Some(1_100), "{long:?}");
    let scene = one(waits("RunContainerError", &message)).judge().rollout;
    assert!(scene.sentence.chars().count() < 700, "{}", scene.sentence);
}

fn detail(scene: &Scene, key: &str) -> String {
    let cause = scene.judge().rollout.cause.expect("a cause");
    let mut details = cause.details.into_iter();
    details
        .find(|(k, _)| *k == key)
        .map(|(_, value)| value)
        .unwrap_or_default()
}

#[test]
fn each_code_is_written_once() {
    let codes: BTreeSet<&str> = CauseCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes.len(), CauseCode::ALL.len());
    assert!(CauseCode::ALL.is_sorted());
}
