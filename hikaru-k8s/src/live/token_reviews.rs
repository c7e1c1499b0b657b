//! The port to reviews of tokens, on a live cluster: what the API server is asked, and which of its answers count. Who may call with
//! a ServiceAccount's token is decided in hikaru-http.

use async_trait::async_trait;
use hikaru_core::{
    Text,
    port::{ClusterError, TokenReviewPort, TokenUser},
    text::Escaped,
};
use http::{HeaderValue, Request, header};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};

use super::{
    LiveCluster,
    client::{
        Answer, Expected,
        refusal::{self, unreadable},
    },
    connect::secrets::Secrets,
    error::{RequestError, short},
};

const TARGET: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

#[async_trait]
impl TokenReviewPort for LiveCluster {
    async fn review<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [Text],
    ) -> Result<Option<TokenUser>, ClusterError> {
        if audiences.is_empty() {
            let why = "a review of a token without audiences: expected at least one";
            return Err(ClusterError::Invalid(why.to_owned()));
        }
        // What no header can hold is no token, and the API server calls a review without one invalid.
        let header = HeaderValue::from_str(&format!("Bearer {token}"));
        let header = header.ok().filter(|_| !token.is_empty());
        let Some(header) = header else {
            return Ok(None);
        };
        // A server may repeat what it was sent.
        let secrets = Secrets::default();
        secrets.remember(&header);
        let status = self.ask_about(token, audiences).await;
        let status = status.map_err(|error| without(error, &secrets))?;
        if let Some(words) = status.error.filter(|words| !words.is_empty()) {
            let words = secrets.out_of_text(&words);
            tracing::debug!(
                "the API server says of a token: {}",
                Escaped(&short(&words))
            );
        }
        if status.authenticated != Some(true) {
            return Ok(None);
        }
        let told = status.audiences.unwrap_or_default();
        let both = audiences.iter().filter(|a| told.iter().any(|t| *t == ***a));
        let both: Vec<Text> = both.cloned().collect();
        if both.is_empty() {
            // An API server that does not know audiences takes each token that is meant for itself.
            tracing::warn!(
                "the API server takes a token and does not say that it is for one of the audiences that it was asked for: it \
                 counts as not valid"
            );
            return Ok(None);
        }
        let username = status.user.and_then(|user| user.username);
        let username = username.filter(|name| !name.is_empty());
        let username = username.ok_or_else(|| unreadable("the review has no name of a user"))?;
        Ok(Some(TokenUser::new(username, both)))
    }
}

impl LiveCluster {
    async fn ask_about(
        &self,
        token: &str,
        audiences: &[Text],
    ) -> Result<TokenReviewStatus, ClusterError> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(audiences.iter().map(ToString::to_string).collect()),
                token: Some(token.to_owned()),
            },
            ..TokenReview::default()
        };
        let body = serde_json::to_vec(&review).map_err(unreadable)?;
        let answer = match self.send_review(body.clone()).await {
            // A review leaves nothing behind, and a server that restarts leaves dead connections in the pool.
            Err(RequestError::Lost(_)) => self.send_review(body).await,
            answer => answer,
        };
        let what = "resource tokenreviews in authentication.k8s.io/v1";
        let answer = answer.map_err(|error| refusal::of_read(error, &what))?;
        let review: TokenReview = serde_json::from_slice(&answer.body).map_err(unreadable)?;
        review
            .status
            .ok_or_else(|| unreadable("the review has no status"))
    }

    async fn send_review(&self, body: Vec<u8>) -> Result<Answer, RequestError> {
        let request = Request::post(TARGET)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        let request = request.map_err(|error| RequestError::NotSent(error.to_string()))?;
        self.inner.api.send(request, Expected::Object).await
    }
}

/// An error whose words do not hold the token.
fn without(error: ClusterError, token: &Secrets) -> ClusterError {
    match error {
        ClusterError::Forbidden(words) => ClusterError::Forbidden(token.out_of_text(&words)),
        ClusterError::Invalid(words) => ClusterError::Invalid(token.out_of_text(&words)),
        ClusterError::Unavailable {
            message,
            retry_after,
        } => ClusterError::Unavailable {
            message: token.out_of_text(&message),
            retry_after,
        },
        error => error,
    }
}
