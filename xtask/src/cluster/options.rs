//! What a test can choose about its cluster.

/// How a cluster differs from the usual one.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    pub(super) controllers: bool,
    pub(super) pods: bool,
    pub(super) users: Vec<(String, Vec<String>)>,
    pub(super) audited_groups: Vec<String>,
    pub(super) audited_components: bool,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            controllers: true,
            pods: true,
            users: Vec::new(),
            audited_groups: vec!["apps".to_owned(), "batch".to_owned()],
            audited_components: true,
        }
    }
}

impl ClusterOptions {
    /// Whether kube-controller-manager and kube-scheduler run. Without them objects stay what they were
    /// made: for benchmarks, and for tests that play the controllers themselves.
    #[must_use]
    pub fn controllers(mut self, run: bool) -> Self {
        self.controllers = run;
        self
    }

    /// Whether kwok runs, which makes pods ready. Without it they stay pending.
    #[must_use]
    pub fn pods(mut self, run: bool) -> Self {
        self.pods = run;
        self
    }

    /// Adds a user with a bearer token, which [`Cluster::token`](crate::Cluster::token) tells. What the
    /// user may do is for RBAC objects to say.
    #[must_use]
    pub fn user(mut self, name: &str, groups: &[&str]) -> Self {
        self.users.push((
            name.to_owned(),
            groups.iter().map(|&group| group.to_owned()).collect(),
        ));
        self
    }

    /// Adds an API group whose writes are recorded in the audit log, beside `apps` and `batch`.
    #[must_use]
    pub fn audit(mut self, group: &str) -> Self {
        self.audited_groups.push(group.to_owned());
        self
    }

    /// Records no writes: the audit log of a hundred thousand objects is a gigabyte.
    #[must_use]
    pub fn unaudited(mut self) -> Self {
        self.audited_groups.clear();
        self
    }

    /// Whether the audit log has the writes of the control plane's own components, too. A rollout is a dozen of them,
    /// each with a whole object: a test that upgrades thousands leaves them out.
    #[must_use]
    pub fn audit_components(mut self, record: bool) -> Self {
        self.audited_components = record;
        self
    }
}
