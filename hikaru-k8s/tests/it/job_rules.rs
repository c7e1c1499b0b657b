//! The rules on what a Job's pods may ask for, variant by variant. The real API server's opinion of the same variants is
//! asked in `live/job_rules.rs`; docs/job-rules.md has the rules in words.

use std::collections::BTreeSet;

use hikaru_core::{
    Mode,
    jobs::{JobRequest, JobSource},
};

use super::scene::Scene;

/// Where a variant puts its line of YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// Into the pod's annotations.
    Annotation,
    /// Into the pod's spec.
    Pod,
    /// Into the pod's securityContext.
    PodContext,
    /// Into the container.
    Container,
    /// Into the container's securityContext.
    Context,
    /// Into an init container's securityContext.
    InitContext,
}
use Put::{Annotation, Container, Context, InitContext, Pod, PodContext};

/// Rules that the Pod Security standard baseline has, and rules beyond it.
pub(super) const BASELINE: [&str; 12] = [
    "apparmor",
    "capabilities",
    "host-namespaces",
    "host-path",
    "host-ports",
    "host-process",
    "privileged",
    "probe-hosts",
    "proc-mount",
    "seccomp",
    "selinux",
    "sysctls",
];
const BEYOND: [&str; 5] = [
    "git-repo",
    "mounted-credentials",
    "node-name",
    "priority-class",
    "unknown-member",
];

/// Hostile variants: the rule that refuses each, and what it says.
pub(super) const HOSTILE: &[(&str, Put, &str)] = &[
    ("host-namespaces", Pod, "hostNetwork: true"),
    ("host-namespaces", Pod, "hostPID: true"),
    ("host-namespaces", Pod, "hostIPC: true"),
    ("host-namespaces", Pod, "hostNetwork: yes"),
    ("privileged", Context, "privileged: true"),
    ("privileged", InitContext, "privileged: true"),
    ("privileged", Context, "privileged: true, runAsUser: 1000"),
    (
        "host-process",
        PodContext,
        "windowsOptions: {hostProcess: true}",
    ),
    (
        "host-process",
        Context,
        "windowsOptions: {hostProcess: true}",
    ),
    (
        "host-process",
        InitContext,
        "windowsOptions: {hostProcess: true}",
    ),
    ("capabilities", Context, "capabilities: {add: [SYS_ADMIN]}"),
    ("capabilities", Context, "capabilities: {add: [NET_RAW]}"),
    ("capabilities", Context, "capabilities: {add: [NET_ADMIN]}"),
    ("capabilities", Context, "capabilities: {add: [SYS_PTRACE]}"),
    ("capabilities", Context, "capabilities: {add: [SYS_MODULE]}"),
    ("capabilities", Context, "capabilities: {add: [SYS_TIME]}"),
    (
        "capabilities",
        Context,
        "capabilities: {add: [DAC_READ_SEARCH]}",
    ),
    ("capabilities", Context, "capabilities: {add: [BPF]}"),
    ("capabilities", Context, "capabilities: {add: [PERFMON]}"),
    ("capabilities", Context, "capabilities: {add: [SYSLOG]}"),
    ("capabilities", Context, "capabilities: {add: [ALL]}"),
    ("capabilities", Context, "capabilities: {add: [all]}"),
    ("capabilities", Context, "capabilities: {add: [chown]}"),
    ("capabilities", Context, "capabilities: {add: [CAP_CHOWN]}"),
    (
        "capabilities",
        Context,
        "capabilities: {add: [CHOWN, SYS_ADMIN]}",
    ),
    (
        "capabilities",
        Context,
        "capabilities: {drop: [ALL], add: [SYS_ADMIN]}",
    ),
    (
        "capabilities",
        InitContext,
        "capabilities: {add: [SYS_ADMIN]}",
    ),
    (
        "host-path",
        Pod,
        "volumes: [{name: v, hostPath: {path: /}}]",
    ),
    (
        "host-path",
        Pod,
        "volumes: [{name: e, emptyDir: {}}, {name: v, hostPath: {path: /var/run, type: Directory}}]",
    ),
    (
        "git-repo",
        Pod,
        "volumes: [{name: v, gitRepo: {repository: 'https://git.example/x'}}]",
    ),
    (
        "host-ports",
        Container,
        "ports: [{containerPort: 80, hostPort: 80}]",
    ),
    (
        "host-ports",
        Container,
        "ports: [{containerPort: 53, hostPort: 53, protocol: UDP}]",
    ),
    (
        "host-ports",
        Container,
        "ports: [{containerPort: 80}, {containerPort: 81, hostPort: 81}]",
    ),
    (
        "probe-hosts",
        Container,
        "livenessProbe: {httpGet: {port: 80, host: 10.0.0.1}}",
    ),
    (
        "probe-hosts",
        Container,
        "livenessProbe: {httpGet: {port: 80, host: 127.0.0.1}}",
    ),
    (
        "probe-hosts",
        Container,
        "readinessProbe: {httpGet: {port: 80, host: metadata}}",
    ),
    (
        "probe-hosts",
        Container,
        "startupProbe: {httpGet: {port: 80, host: 169.254.169.254}}",
    ),
    (
        "probe-hosts",
        Container,
        "livenessProbe: {tcpSocket: {port: 80, host: 10.0.0.1}}",
    ),
    (
        "probe-hosts",
        Container,
        "readinessProbe: {tcpSocket: {port: 80, host: 10.0.0.1}}",
    ),
    (
        "probe-hosts",
        Container,
        "startupProbe: {tcpSocket: {port: 80, host: localhost}}",
    ),
    (
        "probe-hosts",
        Container,
        "lifecycle: {postStart: {httpGet: {port: 80, host: 10.0.0.1}}}",
    ),
    (
        "probe-hosts",
        Container,
        "lifecycle: {preStop: {httpGet: {port: 80, host: 10.0.0.1}}}",
    ),
    (
        "probe-hosts",
        Container,
        "lifecycle: {postStart: {tcpSocket: {port: 80, host: 10.0.0.1}}}",
    ),
    (
        "probe-hosts",
        Container,
        "lifecycle: {preStop: {tcpSocket: {port: 80, host: 10.0.0.1}}}",
    ),
    (
        "apparmor",
        PodContext,
        "appArmorProfile: {type: Unconfined}",
    ),
    ("apparmor", Context, "appArmorProfile: {type: Unconfined}"),
    (
        "apparmor",
        InitContext,
        "appArmorProfile: {type: Unconfined}",
    ),
    ("apparmor", Context, "appArmorProfile: {}"),
    (
        "apparmor",
        Annotation,
        "container.apparmor.security.beta.kubernetes.io/c: unconfined",
    ),
    (
        "apparmor",
        Annotation,
        "container.apparmor.security.beta.kubernetes.io/i: unconfined",
    ),
    (
        "apparmor",
        Annotation,
        "container.apparmor.security.beta.kubernetes.io/c: something",
    ),
    ("selinux", PodContext, "seLinuxOptions: {type: spc_t}"),
    ("selinux", Context, "seLinuxOptions: {type: spc_t}"),
    ("selinux", InitContext, "seLinuxOptions: {type: spc_t}"),
    (
        "selinux",
        Context,
        "seLinuxOptions: {type: container_logreader_t}",
    ),
    ("selinux", PodContext, "seLinuxOptions: {user: system_u}"),
    ("selinux", Context, "seLinuxOptions: {user: system_u}"),
    ("selinux", PodContext, "seLinuxOptions: {role: system_r}"),
    (
        "selinux",
        Context,
        "seLinuxOptions: {role: system_r, type: container_t}",
    ),
    ("proc-mount", Context, "procMount: Unmasked"),
    ("proc-mount", Context, "procMount: \"\""),
    ("proc-mount", InitContext, "procMount: Unmasked"),
    ("seccomp", PodContext, "seccompProfile: {type: Unconfined}"),
    ("seccomp", Context, "seccompProfile: {type: Unconfined}"),
    ("seccomp", InitContext, "seccompProfile: {type: Unconfined}"),
    ("seccomp", Context, "seccompProfile: {}"),
    ("seccomp", Context, "seccompProfile: {type: \"\"}"),
    (
        "seccomp",
        Annotation,
        "seccomp.security.alpha.kubernetes.io/pod: unconfined",
    ),
    (
        "seccomp",
        Annotation,
        "container.seccomp.security.alpha.kubernetes.io/c: unconfined",
    ),
    (
        "sysctls",
        PodContext,
        "sysctls: [{name: kernel.msgmax, value: '1'}]",
    ),
    (
        "sysctls",
        PodContext,
        "sysctls: [{name: net.core.somaxconn, value: '1'}]",
    ),
    (
        "sysctls",
        PodContext,
        "sysctls: [{name: net.ipv4.ip_forward, value: '1'}]",
    ),
    (
        "sysctls",
        PodContext,
        "sysctls: [{name: net/ipv4/tcp_syncookies, value: '1'}]",
    ),
    (
        "sysctls",
        PodContext,
        "sysctls: [{name: net.ipv4.tcp_syncookies, value: '1'}, {name: kernel.shmmax, value: '1'}]",
    ),
    (
        "unknown-member",
        Context,
        "ulimits: [{name: nofile, hard: 1}]",
    ),
    ("unknown-member", Context, "Privileged: true"),
    (
        "unknown-member",
        Context,
        "capabilities: {Add: [SYS_ADMIN]}",
    ),
    (
        "unknown-member",
        Context,
        "cgroupOptions: {mountMode: ReadWrite}",
    ),
    ("unknown-member", PodContext, "privileged: true"),
    ("unknown-member", PodContext, "procMount: Unmasked"),
    (
        "unknown-member",
        PodContext,
        "seccompProfile: {type: RuntimeDefault, future: 1}",
    ),
    (
        "unknown-member",
        PodContext,
        "sysctls: [{name: net.ipv4.tcp_syncookies, value: '1', future: 1}]",
    ),
    ("node-name", Pod, "nodeName: control-plane-1"),
    (
        "priority-class",
        Pod,
        "priorityClassName: system-node-critical",
    ),
    (
        "priority-class",
        Pod,
        "priorityClassName: system-cluster-critical",
    ),
    (
        "mounted-credentials",
        Pod,
        "volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t, audience: vault}}]}}]",
    ),
    (
        "mounted-credentials",
        Pod,
        "volumes: [{name: v, projected: {sources: [{configMap: {name: m}}, {serviceAccountToken: {path: t, audience: 'https://x'}}]}}]",
    ),
    (
        "mounted-credentials",
        Pod,
        "volumes: [{name: v, projected: {sources: [{podCertificate: {signerName: example.com/s, keyType: ED25519, \
         credentialBundlePath: b.pem}}]}}]",
    ),
];

/// Variants that the baseline allows, and the rules of hikaru, too.
pub(super) const HARMLESS: &[(Put, &str)] = &[
    (Pod, "hostNetwork: false, hostPID: false, hostIPC: false"),
    (Pod, "shareProcessNamespace: true"),
    (Pod, "priorityClassName: \"\""),
    (
        Pod,
        "volumes: [{name: e, emptyDir: {}}, {name: m, configMap: {name: m, optional: true}}]",
    ),
    (
        Pod,
        "volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}]",
    ),
    (
        Context,
        "privileged: false, runAsUser: 0, readOnlyRootFilesystem: true",
    ),
    (
        Context,
        "allowPrivilegeEscalation: true, runAsNonRoot: false, runAsGroup: 0",
    ),
    (
        Context,
        "capabilities: {drop: [ALL], add: [AUDIT_WRITE, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, \
         NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID, SYS_CHROOT]}",
    ),
    (Context, "procMount: Default"),
    (
        Context,
        "seLinuxOptions: {type: container_t, level: 's0:c1,c2'}",
    ),
    (Context, "seLinuxOptions: {type: container_init_t}"),
    (Context, "seLinuxOptions: {type: container_kvm_t}"),
    (
        PodContext,
        "seLinuxOptions: {type: \"\", user: \"\", role: \"\"}",
    ),
    (Context, "seccompProfile: {type: RuntimeDefault}"),
    (
        PodContext,
        "seccompProfile: {type: Localhost, localhostProfile: p.json}",
    ),
    (Context, "appArmorProfile: {type: RuntimeDefault}"),
    (
        PodContext,
        "appArmorProfile: {type: Localhost, localhostProfile: p}",
    ),
    (
        Annotation,
        "container.apparmor.security.beta.kubernetes.io/c: runtime/default",
    ),
    (Annotation, "example.com/unconfined: unconfined"),
    (
        PodContext,
        "sysctls: [{name: kernel.shm_rmid_forced, value: '1'}, {name: net.ipv4.ip_local_port_range, value: '1024 65535'}, \
         {name: net.ipv4.tcp_syncookies, value: '1'}, {name: net.ipv4.ping_group_range, value: '0 0'}, \
         {name: net.ipv4.ip_unprivileged_port_start, value: '80'}, {name: net.ipv4.ip_local_reserved_ports, value: '80'}, \
         {name: net.ipv4.tcp_keepalive_time, value: '1'}, {name: net.ipv4.tcp_fin_timeout, value: '1'}, \
         {name: net.ipv4.tcp_keepalive_intvl, value: '1'}, {name: net.ipv4.tcp_keepalive_probes, value: '1'}]",
    ),
    (
        PodContext,
        "fsGroup: 1, fsGroupChangePolicy: Always, supplementalGroups: [1], supplementalGroupsPolicy: Merge",
    ),
    (Container, "ports: [{containerPort: 80, hostPort: 0}]"),
    (
        Container,
        "livenessProbe: {httpGet: {port: 80, host: \"\"}}, lifecycle: {preStop: {exec: {command: [x]}}}",
    ),
];

/// A pod's metadata and spec with a line of YAML somewhere, in flow style.
pub(super) fn template(put: Put, line: &str) -> (String, String) {
    let at = |here| if put == here { line } else { "" };
    let after = |here| match at(here) {
        "" => String::new(),
        line => format!(", {line}"),
    };
    let annotations = format!("annotations: {{{}}}", at(Annotation));
    let spec = format!(
        "{{restartPolicy: Never, securityContext: {{{}}}, initContainers: [{{name: i, image: i:1, securityContext: {{{}}}}}], \
         containers: [{{name: c, image: c:1, securityContext: {{{}}}{}}}]{}}}",
        at(PodContext),
        at(InitContext),
        at(Context),
        after(Container),
        after(Pod)
    );
    (annotations, spec)
}

/// A Job of such pods.
fn job(put: Put, line: &str) -> JobRequest {
    let (annotations, spec) = template(put, line);
    let yaml = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: a}}\nspec: {{template: {{metadata: {{{annotations}}}, spec: {spec}}}}}\n"
    );
    JobRequest::new(JobSource::Yaml(yaml.into()))
}

#[tokio::test]
async fn each_hostile_job_is_refused_by_its_rule() {
    let scene = Scene::new();
    let jobs = scene.jobs();
    assert!(HOSTILE.len() >= 60);
    for (rule, put, line) in HOSTILE {
        let refused = jobs.run(&job(*put, line), Mode::DryRun).await;
        let words = refused.expect_err(line).to_string();
        assert!(words.starts_with("not allowed: "), "{line}: {words}");
        assert!(words.contains(&format!("(rule {rule})")), "{line}: {words}");
        assert!(
            words.ends_with("allowed only in privileged Jobs"),
            "{words}"
        );
    }
    for (put, line) in HARMLESS {
        let allowed = jobs.run(&job(*put, line), Mode::DryRun).await;
        assert!(allowed.is_ok(), "{line}: {allowed:?}");
    }
}

#[test]
fn the_document_has_each_rule() {
    let document = include_str!("../../../docs/job-rules.md");
    let rows = document.lines().filter_map(|line| {
        if line.contains("HIKARU_") {
            return None;
        }
        let mut cells = line.strip_prefix("| `")?.split('|');
        let rule = cells.next()?.trim().trim_end_matches('`').to_owned();
        Some((rule, cells.next_back()?.to_owned(), line))
    });
    let rows: Vec<_> = rows.collect();
    let documented: BTreeSet<&str> = rows.iter().map(|(rule, ..)| rule.as_str()).collect();
    let tested: BTreeSet<&str> = HOSTILE.iter().map(|(rule, ..)| *rule).collect();
    let known: BTreeSet<&str> = BASELINE.into_iter().chain(BEYOND).collect();
    assert_eq!(documented, tested);
    assert_eq!(documented, known);
    for (rule, _, line) in &rows {
        let whose = if BASELINE.contains(&rule.as_str()) {
            "| baseline |"
        } else {
            "| beyond it |"
        };
        assert!(line.ends_with(whose), "{line}");
    }
}
