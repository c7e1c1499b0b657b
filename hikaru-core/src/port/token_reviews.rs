//! The port to what a cluster says of the tokens of its ServiceAccounts. Who may call with one is decided where callers are.

use async_trait::async_trait;

use super::error::ClusterError;
use crate::Text;

/// Asks a cluster whose token one is. Object-safe: used as `Arc<dyn TokenReviewPort>`.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait TokenReviewPort: Send + Sync {
    /// Whose token it is, if it was issued for one of these audiences. `None`: the token is not valid, or for other audiences.
    /// Without audiences the cluster would take any token that is meant for itself, such as each pod has by default, so an
    /// adapter refuses to ask without any.
    ///
    /// # Errors
    /// When it cannot be found out: [`ClusterError::Forbidden`] where the right to create tokenreviews is missing.
    async fn review<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [Text],
    ) -> Result<Option<TokenUser>, ClusterError>;
}

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenUser {
    /// The name of the user: `system:serviceaccount:shop:ci`.
    pub username: Text,
    /// The audiences of those asked for that the token is for, as the cluster says: at least one.
    pub audiences: Vec<Text>,
}

impl TokenUser {
    /// This user, by a token for these audiences.
    pub fn new(username: impl Into<Text>, audiences: Vec<Text>) -> Self {
        Self {
            username: username.into(),
            audiences,
        }
    }
}
