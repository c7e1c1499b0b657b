//! The name of a Job.

use std::{fmt, str::FromStr};

use crate::{
    Text,
    text::Excerpt,
    workload::{NameError, check_namespace, name::check_name},
};

/// A Job's name: `shop/migrate`.
///
/// ```
/// use hikaru_core::jobs::JobName;
/// let name: JobName = "shop/migrate".parse()?;
/// assert_eq!((&**name.namespace(), &**name.name()), ("shop", "migrate"));
/// assert!("shop/../secrets".parse::<JobName>().is_err());
/// # Ok::<(), hikaru_core::workload::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobName {
    namespace: Text,
    name: Text,
}

impl JobName {
    /// A checked name: both parts can stand in a path.
    ///
    /// # Errors
    /// [`NameError::Name`]: the namespace is no RFC 1123 label, or the name no RFC 1123 subdomain.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NameError> {
        check_namespace(namespace)?;
        check_name("name", " or `.`", 253, name)?;
        Ok(Self {
            namespace: namespace.into(),
            name: name.into(),
        })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Text {
        &self.namespace
    }

    /// Its name.
    pub fn name(&self) -> &Text {
        &self.name
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for JobName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((namespace, name)) if !name.contains('/') => Self::new(namespace, name),
            _ => Err(NameError::Pair {
                found: Excerpt::of(text),
            }),
        }
    }
}
