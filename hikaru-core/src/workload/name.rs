//! Names that come from outside: of workloads, namespaces and kinds. What they follow is checked here, so that nothing else
//! ever reaches a URL or a file name. A Job's name is in `job`.

use std::{fmt, str::FromStr};

use crate::{Text, text::excerpt::Excerpt, workload::WorkloadId};

/// Kubernetes' own kinds of workloads: the name, kubectl's plural form, kubectl's short name.
const KINDS: [[&str; 3]; 4] = [
    ["Deployment", "deployments", "deploy"],
    ["StatefulSet", "statefulsets", "sts"],
    ["DaemonSet", "daemonsets", "ds"],
    ["CronJob", "cronjobs", "cj"],
];

/// A workload's name as a person gives it: `namespace/kind/name`, the kind in any case, and of Kubernetes' own kinds in the
/// forms that kubectl takes: `deployment`, `deployments`, `deploy`. Names follow RFC 1123, so that nothing else ever reaches
/// a URL or a file name.
///
/// ```
/// use hikaru_core::{WorkloadId, workload::WorkloadName};
/// let name: WorkloadName = "shop/deploy/web".parse()?;
/// assert!(name.names(&WorkloadId::new("shop", "Deployment", "web")));
/// assert!("shop/deployment/../secrets".parse::<WorkloadName>().is_err());
/// # Ok::<(), hikaru_core::workload::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkloadName {
    namespace: Text,
    kind: Text,
    name: Text,
}

/// Whether a workload is in one of these namespaces and has one of these names. An empty list leaves none out.
pub(crate) fn is_among(namespaces: &[Text], names: &[WorkloadName], id: &WorkloadId) -> bool {
    (namespaces.is_empty() || namespaces.contains(&id.namespace))
        && (names.is_empty() || names.iter().any(|name| name.names(id)))
}

impl WorkloadName {
    /// Whether this names the workload.
    pub fn names(&self, id: &WorkloadId) -> bool {
        self.namespace == id.namespace
            && self.kind.eq_ignore_ascii_case(&id.kind)
            && self.name == id.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Text {
        &self.namespace
    }

    /// Its kind: as Kubernetes spells it if it is one of Kubernetes' own, else as it was written.
    pub fn kind(&self) -> &Text {
        &self.kind
    }

    /// Kubernetes' own kinds of workloads.
    pub fn own_kinds() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|[name, ..]| *name)
    }

    /// Checks that its kind is one of Kubernetes' own, or one of these, which a user has added.
    ///
    /// # Errors
    /// [`NameError::UnknownKind`], which lists the kinds.
    ///
    /// ```
    /// # use hikaru_core::workload::WorkloadName;
    /// let name: WorkloadName = "shop/rollout/web".parse()?;
    /// assert!(name.check_kind(&["Rollout".into()]).is_ok());
    /// assert_eq!(
    ///     name.check_kind(&[]).unwrap_err().to_string(),
    ///     "expected one of the kinds Deployment (deploy), StatefulSet (sts), DaemonSet (ds), CronJob (cj), found `rollout`"
    /// );
    /// # Ok::<(), hikaru_core::workload::NameError>(())
    /// ```
    pub fn check_kind(&self, added: &[Text]) -> Result<(), NameError> {
        let is_it = |name: &str| self.kind.eq_ignore_ascii_case(name);
        if Self::own_kinds().any(is_it) || added.iter().any(|name| is_it(name)) {
            return Ok(());
        }
        let own = KINDS
            .iter()
            .map(|[name, _, short]| format!("{name} ({short})"));
        let known: Vec<_> = own.chain(added.iter().map(ToString::to_string)).collect();
        Err(NameError::UnknownKind {
            known: known.join(", ").into(),
            found: Excerpt::of(&self.kind),
        })
    }

    /// Its name.
    pub fn name(&self) -> &Text {
        &self.name
    }
}

impl fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind, self.name)
    }
}

/// Why a text names no workload, no Job or no namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not three parts.
    #[error("expected NAMESPACE/KIND/NAME, found {found}")]
    Parts {
        /// The text.
        found: Excerpt,
    },
    /// Not two parts.
    #[error("expected NAMESPACE/NAME, found {found}")]
    Pair {
        /// The text.
        found: Excerpt,
    },
    /// A part that Kubernetes would not take.
    #[error(
        "expected a {what} of lower-case letters, digits, `-`{dot}, at most {longest} bytes, a letter or digit first and last, found {found}"
    )]
    Name {
        /// `namespace` or `name`.
        what: &'static str,
        /// Whether dots are allowed.
        dot: &'static str,
        /// The longest allowed, in bytes.
        longest: usize,
        /// The part.
        found: Excerpt,
    },
    /// A kind is made of letters and digits.
    #[error("expected a kind such as Deployment, found {found}")]
    Kind {
        /// The part.
        found: Excerpt,
    },
    /// The kind is none that is looked at.
    #[error("expected one of the kinds {known}, found {found}")]
    UnknownKind {
        /// The kinds that are looked at, with their short names.
        known: Text,
        /// The kind as it was written.
        found: Excerpt,
    },
}

/// Checks a namespace: an RFC 1123 label, at most 63 bytes.
///
/// # Errors
/// [`NameError::Name`].
///
/// ```
/// assert!(hikaru_core::workload::check_namespace("shop").is_ok());
/// assert!(hikaru_core::workload::check_namespace("kube-system/secrets").is_err());
/// ```
pub fn check_namespace(text: &str) -> Result<(), NameError> {
    check_name("namespace", "", 63, text)
}

pub(crate) fn check_name(
    what: &'static str,
    dot: &'static str,
    longest: usize,
    text: &str,
) -> Result<(), NameError> {
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let sound = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(alnum)
            && bytes.last().is_some_and(alnum)
            && bytes.iter().all(|b| alnum(b) || *b == b'-')
    };
    let parts_sound = if dot.is_empty() {
        sound(text)
    } else {
        text.split('.').all(sound)
    };
    if parts_sound && text.len() <= longest {
        Ok(())
    } else {
        Err(NameError::Name {
            what,
            dot,
            longest,
            found: Excerpt::of(text),
        })
    }
}

impl FromStr for WorkloadName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut parts = text.split('/');
        let (Some(namespace), Some(kind), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NameError::Parts {
                found: Excerpt::of(text),
            });
        };
        check_namespace(namespace)?;
        check_name("name", " or `.`", 253, name)?;
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(NameError::Kind {
                found: Excerpt::of(kind),
            });
        }
        let is = |form: &&str| kind.eq_ignore_ascii_case(form);
        let own = KINDS.iter().find(|forms| forms.iter().any(is));
        Ok(Self {
            namespace: namespace.into(),
            kind: own.map_or(kind, |[name, ..]| *name).into(),
            name: name.into(),
        })
    }
}
