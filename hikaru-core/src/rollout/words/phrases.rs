//! The phrases that the sentences on causes are made of. Whatever the cluster said is escaped and cut in them.

use std::fmt;

use crate::{
    rollout::{
        facts::{ContainerFacts, Probe, Role, Terminated},
        trouble::Trouble,
    },
    text::{
        escape::Escaped,
        excerpt::{Cut, Quoted},
    },
    workload::WorkloadId,
};

/// `2 of 3 new pods`.
pub(in crate::rollout) struct Pods(pub(in crate::rollout) i32, pub(in crate::rollout) i32);

impl fmt::Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} new pods", self.0, self.1)
    }
}

/// `1 pod is`, `2 pods are`.
pub(in crate::rollout) struct PodsAre(pub(in crate::rollout) i32);

impl fmt::Display for PodsAre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 pod is"),
            pods => write!(f, "{pods} pods are"),
        }
    }
}

/// `kubectl VERB --namespace shop WHAT`.
pub(in crate::rollout) fn kubectl(id: &WorkloadId, verb: &str, what: &str) -> String {
    format!(
        "kubectl {verb} --namespace {} {what}",
        Escaped(&id.namespace)
    )
}

/// `deployment/web`.
pub(in crate::rollout) fn kind_and_name(id: &WorkloadId) -> String {
    let kind = id.kind.to_ascii_lowercase();
    format!("{}/{}", Escaped(&kind), Escaped(&id.name))
}

/// What a runtime says on a pull, without the image that it repeats before it.
pub(super) fn pull_words<'a>(trouble: &Trouble<'a>) -> &'a str {
    let image = trouble.container.map_or("", |container| &container.image);
    let said = trouble.said.rsplit_once(&format!("{image}\": "));
    said.map_or(trouble.said, |(_, said)| said)
}

/// The last line that is not empty.
pub(super) fn last_line(text: &str) -> &str {
    let mut lines = text.lines().rev().map(str::trim);
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

/// The image of a trouble's container.
pub(super) struct Image<'a>(pub(super) &'a Trouble<'a>);

impl fmt::Display for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Cut(self.0.container.map_or("", |container| &container.image)).fmt(f)
    }
}

/// `container web`, `init container migrate`; without one *its containers*.
pub(super) struct In<'a>(pub(super) &'a Trouble<'a>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.container {
            Some(ContainerFacts { name, role, .. }) => {
                let init = if *role == Role::Init { "init " } else { "" };
                write!(f, "{init}container {}", Escaped(name))
            }
            None => f.write_str("the containers"),
        }
    }
}

/// ` node-1`, with the space before it; ` its node` where it is not known.
pub(super) struct Node<'a>(pub(super) &'a Trouble<'a>);

impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.pod.and_then(|pod| pod.node.as_deref()) {
            Some(node) => write!(f, " the node {}", Escaped(node)),
            None => f.write_str(" the node"),
        }
    }
}

/// `, restarted 4 times`.
pub(super) struct Restarts<'a>(pub(super) Option<&'a ContainerFacts>);

impl fmt::Display for Restarts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map_or(0, |container| container.restarts) {
            0 => Ok(()),
            1 => f.write_str(", restarted once"),
            restarts => write!(f, ", restarted {restarts} times"),
        }
    }
}

/// ` (GET :8080/healthz)`.
pub(super) struct Asks<'a>(pub(super) Option<&'a Probe>);

impl fmt::Display for Asks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(probe) => write!(f, " ({})", Cut(&probe.action)),
            None => Ok(()),
        }
    }
}

/// `137 (SIGKILL)`.
pub(super) struct Exit<'a>(pub(super) &'a Terminated);

impl fmt::Display for Exit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.exit_code)?;
        match signal(self.0) {
            Some(signal) => write!(f, " ({signal})"),
            None => Ok(()),
        }
    }
}

/// The signal that ended a container. A shell, and a container runtime, add 128 to it.
pub(super) fn signal(ended: &Terminated) -> Option<&'static str> {
    let number = match ended.signal {
        0 => ended.exit_code.checked_sub(128)?,
        signal => signal,
    };
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}

/// The cluster's words in a sentence.
pub(super) struct Said<'a>(pub(super) &'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.trim().trim_end_matches('.') {
            "" => f.write_str("nothing tells why"),
            said => Quoted(said, 300).fmt(f),
        }
    }
}
