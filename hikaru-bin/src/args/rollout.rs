//! The arguments of `hikaru rollout` and `hikaru status`. How they are read, and what all commands have in common, is in `args`.

use std::str::FromStr;

use clap::Args as Group;
use hikaru_core::{
    IdentityLabels, Text,
    text::Excerpt,
    workload::{NameError, WorkloadName},
};

use super::{Cluster, OutputFlag, namespace, waiting::Wait};

/// Says how the rollout of a workload is: whether its pods run what it is set to, and if not, why.
///
/// Exit codes: 0 complete, or still progressing, or a kind without rollouts; 1 it failed, is paused, waits for pods to be deleted,
/// was reverted or deleted, or there is no such workload; 2 bad flags or arguments; 3 the cluster refuses; 4 the cluster cannot
/// be reached. With --wait: 0 also if it waits for pods to be deleted, 4 if it still goes on when the time is over.
#[derive(Debug, Group)]
pub(crate) struct Rollout {
    /// The workload; without a kind the only one of that name
    #[arg(value_name = "NAMESPACE/[KIND/]NAME")]
    pub(crate) workload: Target,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// Says what runs where: of each workload that names its source by labels the build, the ready pods, how its rollout is, and why
/// builds do not go out to it.
#[derive(Debug, Group)]
pub(crate) struct Status {
    /// Only workloads of this source; without it all that name one
    #[arg(value_name = "OWNER/REPO[/BRANCH]")]
    pub(crate) source: Option<Source>,
    /// Only in this namespace; can be repeated
    #[arg(long, value_name = "NS", value_delimiter = ',', value_parser = namespace, env = "HIKARU_NAMESPACE",
          hide_env_values = true)]
    pub(crate) namespace: Vec<Text>,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// A workload as a person names it who may leave its kind out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// With its kind.
    Workload(WorkloadName),
    /// Without.
    Name {
        /// Its namespace.
        namespace: Text,
        /// Its name.
        name: Text,
    },
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let told = |error: NameError| error.to_string();
        match text.split('/').collect::<Vec<_>>()[..] {
            [namespace, name] => {
                // What a name may be does not depend on the kind.
                let checked = format!("{namespace}/Deployment/{name}").parse::<WorkloadName>();
                let checked = checked.map_err(told)?;
                Ok(Self::Name {
                    namespace: checked.namespace().clone(),
                    name: checked.name().clone(),
                })
            }
            [_, _, _] => text.parse().map(Self::Workload).map_err(told),
            _ => Err(format!(
                "expected NAMESPACE/NAME or NAMESPACE/KIND/NAME, found {}",
                Excerpt::of(text)
            )),
        }
    }
}

/// The source of workloads: what their labels are to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source(pub(crate) IdentityLabels);

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let mut labels = IdentityLabels::default();
        match parts[..] {
            [owner, repo] if !owner.is_empty() && !repo.is_empty() => {
                (labels.owner, labels.repo) = (Some(owner.into()), Some(repo.into()));
            }
            [owner, repo, branch] if parts.iter().all(|part| !part.is_empty()) => {
                labels = IdentityLabels::new(owner, repo, branch);
            }
            _ => {
                return Err(format!(
                    "expected OWNER/REPO or OWNER/REPO/BRANCH, as the labels say them, found {}",
                    Excerpt::of(text)
                ));
            }
        }
        Ok(Self(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_named_with_or_without_its_kind() {
        let (namespace, name) = ("shop".into(), "web.v2".into());
        assert_eq!("shop/web.v2".parse(), Ok(Target::Name { namespace, name }));
        let named = "shop/deploy/web".parse().map(Target::Workload);
        assert_eq!(
            "shop/deploy/web".parse::<Target>(),
            named.map_err(|e: NameError| e.to_string())
        );
        for (text, expected) in [
            (
                "",
                "expected NAMESPACE/NAME or NAMESPACE/KIND/NAME, found the end",
            ),
            (
                "web",
                "expected NAMESPACE/NAME or NAMESPACE/KIND/NAME, found `web`",
            ),
            (
                "a/b/c/d",
                "expected NAMESPACE/NAME or NAMESPACE/KIND/NAME, found `a/b/c/d`",
            ),
            ("Shop/web", "expected a namespace of lower-case letters"),
            (
                "shop/../web",
                "expected a kind such as Deployment, found `..`",
            ),
            ("shop/we b", "expected a name of lower-case letters"),
            ("shop/", "expected a name of lower-case letters"),
        ] {
            let error = text.parse::<Target>().expect_err(text);
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_source_has_two_or_three_parts() {
        let labels = |text: &str| text.parse::<Source>().map(|source| source.0);
        assert_eq!(
            labels("acme/web/main"),
            Ok(IdentityLabels::new("acme", "web", "main"))
        );
        let two = labels("acme/web").expect("a source");
        assert_eq!(
            (two.owner.as_deref(), two.repo.as_deref(), two.branch),
            (Some("acme"), Some("web"), None)
        );
        for text in ["", "acme", "acme/", "/web", "a/b/", "a/b/c/d"] {
            let error = labels(text).expect_err(text);
            assert!(
                error.starts_with("expected OWNER/REPO or OWNER/REPO/BRANCH"),
                "{error}"
            );
        }
    }
}
