//! Tokens of the cluster's ServiceAccounts: who has one. Which of them are trusted is in `trust`.

use std::sync::Arc;

use hikaru_core::{
    caller::Caller,
    port::{Clock, TokenReviewPort},
};

use super::{Denied, Trust};

/// Asks the cluster whose tokens they are.
pub(super) struct TokenReviews;

impl TokenReviews {
    pub(super) fn new(_port: Arc<dyn TokenReviewPort>, _clock: Arc<dyn Clock>) -> Self {
        Self
    }

    /// Who has a token. The trusts are those of the kind `kubernetes`; the first one that admits it counts.
    pub(super) async fn caller(&self, _token: &str, _trusts: &[&Trust]) -> Result<Caller, Denied> {
        Err(Denied::BadCredentials)
    }
}
