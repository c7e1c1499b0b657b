//! The fields of a Job's pods that only a privileged policy allows: what Kubernetes' Pod Security standard *baseline*
//! forbids, and some rules beyond it. docs/job-rules.md has a row for each rule. Whether they are allowed is decided in
//! hikaru-core.
//!
//! Where Kubernetes' versions differ the stricter one holds: `host` in probes (1.34), `gitRepo` volumes, `ulimits` (1.37,
//! a member of a securityContext that is not known here), and `procMount` whatever `hostUsers` says.

use hikaru_core::jobs::JobDemand;
use serde_json::Value;

use super::fields::{Fields, shown};

/// The capabilities that a container may add.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// The sysctls that concern their pod alone.
const SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

const SELINUX_TYPES: [&str; 5] = [
    "",
    "container_engine_t",
    "container_init_t",
    "container_kvm_t",
    "container_t",
];

const PROFILES: [&str; 2] = ["RuntimeDefault", "Localhost"];

/// Annotations that were profiles before there were fields for them: how their keys begin, the rule, and what is allowed
/// besides `localhost/` and a name.
const ANNOTATIONS: [(&str, &str, &[&str]); 3] = [
    (
        "container.apparmor.security.beta.kubernetes.io/",
        "apparmor",
        &["", "runtime/default"],
    ),
    (
        "seccomp.security.alpha.kubernetes.io/",
        "seccomp",
        &["runtime/default", "docker/default"],
    ),
    (
        "container.seccomp.security.alpha.kubernetes.io/",
        "seccomp",
        &["runtime/default", "docker/default"],
    ),
];

/// The members of a securityContext that are known here, of a pod and of a container; and those of their maps.
const OF_POD: [&str; 13] = [
    "appArmorProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seLinuxChangePolicy",
    "seLinuxOptions",
    "seccompProfile",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "sysctls",
    "windowsOptions",
];
const OF_CONTAINER: [&str; 12] = [
    "allowPrivilegeEscalation",
    "appArmorProfile",
    "capabilities",
    "privileged",
    "procMount",
    "readOnlyRootFilesystem",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seLinuxOptions",
    "seccompProfile",
    "windowsOptions",
];
const OF_MAPS: [(&str, &[&str]); 5] = [
    ("appArmorProfile", &["type", "localhostProfile"]),
    ("capabilities", &["add", "drop"]),
    ("seLinuxOptions", &["level", "role", "type", "user"]),
    ("seccompProfile", &["type", "localhostProfile"]),
    (
        "windowsOptions",
        &[
            "gmsaCredentialSpec",
            "gmsaCredentialSpecName",
            "hostProcess",
            "runAsUserName",
        ],
    ),
];

/// The first field of a pod template that a rule forbids.
///
/// # Errors
/// A field that a rule reads has another type than Kubernetes gives it.
pub(super) fn demand(template: &Fields<'_>) -> Result<Option<JobDemand>, String> {
    let mut demands = Demands(None);
    demands.of_annotations(&template.map("metadata")?.map("annotations")?)?;
    demands.of_pod(&template.map("spec")?)?;
    Ok(demands.0)
}

/// The first one is kept, however many there are.
struct Demands(Option<JobDemand>);

impl Demands {
    fn add(&mut self, rule: &'static str, place: String, expected: &str, found: String) {
        self.0.get_or_insert_with(|| JobDemand {
            rule,
            place: place.into(),
            expected: expected.into(),
            found: found.into(),
        });
    }

    /// The field is to be false or absent.
    fn never_true(&mut self, rule: &'static str, of: &Fields<'_>, key: &str) -> Result<(), String> {
        if of.truth(key)? {
            self.add(rule, of.way(key), "false", "true".to_owned());
        }
        Ok(())
    }

    /// The field is to be absent; an empty text is as good.
    fn never_set(&mut self, rule: &'static str, of: &Fields<'_>, key: &str) {
        match of.value(key) {
            None => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(value) => self.add(rule, of.way(key), "no such field", shown(value)),
        }
    }

    /// The field is to be absent or one of these texts.
    fn one_of(&mut self, rule: &'static str, of: &Fields<'_>, key: &str, allowed: &[&str]) {
        match of.value(key) {
            None => {}
            Some(Value::String(text)) if allowed.contains(&text.as_str()) => {}
            Some(value) => self.add(rule, of.way(key), &any_of(allowed), shown(value)),
        }
    }

    fn of_annotations(&mut self, annotations: &Fields<'_>) -> Result<(), String> {
        for name in annotations.names() {
            let text = annotations.text(name)?.unwrap_or_default();
            for (prefix, rule, allowed) in ANNOTATIONS {
                if name.starts_with(prefix)
                    && !allowed.contains(&text)
                    && !text.starts_with("localhost/")
                {
                    let expected = format!("{} or localhost/ and a name", any_of(allowed));
                    let found = shown(&Value::from(text));
                    self.add(rule, annotations.way(name), &expected, found);
                }
            }
        }
        Ok(())
    }

    fn of_pod(&mut self, pod: &Fields<'_>) -> Result<(), String> {
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            self.never_true("host-namespaces", pod, field)?;
        }
        let context = pod.map("securityContext")?;
        self.of_context(&context, &OF_POD)?;
        for sysctl in context.list("sysctls")? {
            self.known(&sysctl, &["name", "value"]);
            let name = sysctl.text("name")?.unwrap_or_default();
            if !SYSCTLS.contains(&name) {
                let found = shown(&Value::from(name));
                self.add("sysctls", sysctl.way("name"), &any_of(&SYSCTLS), found);
            }
        }
        for volume in pod.list("volumes")? {
            self.never_set("host-path", &volume, "hostPath");
            self.never_set("git-repo", &volume, "gitRepo");
            for source in volume.map("projected")?.list("sources")? {
                let token = source.map("serviceAccountToken")?;
                self.never_set("mounted-credentials", &token, "audience");
                self.never_set("mounted-credentials", &source, "podCertificate");
            }
        }
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            for container in pod.list(list)? {
                self.of_container(&container)?;
            }
        }
        self.never_set("node-name", pod, "nodeName");
        if let Some(class) = pod.text("priorityClassName")?
            && class.starts_with("system-")
        {
            let place = pod.way("priorityClassName");
            let expected = "a class whose name does not begin with system-";
            self.add(
                "priority-class",
                place,
                expected,
                shown(&Value::from(class)),
            );
        }
        Ok(())
    }

    fn of_container(&mut self, container: &Fields<'_>) -> Result<(), String> {
        let context = container.map("securityContext")?;
        self.never_true("privileged", &context, "privileged")?;
        for (place, name) in context.map("capabilities")?.texts("add")? {
            if !CAPABILITIES.contains(&name) {
                let found = shown(&Value::from(name));
                self.add("capabilities", place, &any_of(&CAPABILITIES), found);
            }
        }
        self.one_of("proc-mount", &context, "procMount", &["Default"]);
        self.of_context(&context, &OF_CONTAINER)?;
        for port in container.list("ports")? {
            if let Some(number) = port.value("hostPort")
                && number.as_u64() != Some(0)
            {
                self.add("host-ports", port.way("hostPort"), "0", shown(number));
            }
        }
        let lifecycle = container.map("lifecycle")?;
        for handler in [
            container.map("livenessProbe")?,
            container.map("readinessProbe")?,
            container.map("startupProbe")?,
            lifecycle.map("postStart")?,
            lifecycle.map("preStop")?,
        ] {
            for action in ["httpGet", "tcpSocket"] {
                self.never_set("probe-hosts", &handler.map(action)?, "host");
            }
        }
        Ok(())
    }

    /// What the contexts of pods and of containers have in common.
    fn of_context(&mut self, context: &Fields<'_>, members: &[&str]) -> Result<(), String> {
        let windows = context.map("windowsOptions")?;
        self.never_true("host-process", &windows, "hostProcess")?;
        let selinux = context.map("seLinuxOptions")?;
        self.one_of("selinux", &selinux, "type", &SELINUX_TYPES);
        self.never_set("selinux", &selinux, "user");
        self.never_set("selinux", &selinux, "role");
        for (field, rule) in [
            ("seccompProfile", "seccomp"),
            ("appArmorProfile", "apparmor"),
        ] {
            let profile = context.map(field)?;
            // A profile without a type is no default.
            if context.value(field).is_some() && profile.value("type").is_none() {
                let expected = any_of(&PROFILES);
                self.add(rule, profile.way("type"), &expected, "nothing".to_owned());
            }
            self.one_of(rule, &profile, "type", &PROFILES);
        }
        self.known(context, members);
        for (field, members) in OF_MAPS {
            self.known(&context.map(field)?, members);
        }
        Ok(())
    }

    /// Refuses members that hikaru does not know: a later Kubernetes may add one that lets a pod reach its node.
    fn known(&mut self, map: &Fields<'_>, members: &[&str]) {
        for name in map.names().filter(|name| !members.contains(name)) {
            let found = shown(&Value::from(name));
            let expected = "a member that hikaru knows";
            self.add("unknown-member", map.way(name), expected, found);
        }
    }
}

/// `a`, `a or b`, `a, b or c`. Whether an empty text is allowed is not worth a word.
fn any_of(allowed: &[&str]) -> String {
    let allowed: Vec<&str> = allowed.iter().copied().filter(|t| !t.is_empty()).collect();
    match &*allowed {
        [some @ .., last] if !some.is_empty() => format!("{} or {last}", some.join(", ")),
        _ => allowed.concat(),
    }
}
