//! How the documents of an issuer are fetched: over https alone, without redirects, bounded in size. Which documents they are, and
//! how long one may take, is in `issuers`.

use std::sync::Arc;

use async_trait::async_trait;
use hikaru_core::text::Excerpt;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, StatusCode, Uri,
    body::Bytes,
    header::{ACCEPT, LOCATION, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;

/// The largest document, in bytes. The keys of GitHub are 6 KiB.
pub(super) const MAX_DOCUMENT: usize = 1 << 20;

/// Fetches the documents of issuers. An embedder whose issuers are behind a proxy has its own.
#[async_trait]
pub trait FetchDocument: Send + Sync {
    /// The body of the answer to a GET of this address, which begins with `https://`. The issuer's certificate may also be one that is
    /// issued by those of `ca`, which is PEM. Redirects are not followed, and no more than 1 MiB is read. It need not
    /// be bounded in time.
    ///
    /// # Errors
    /// Why there is none, in a sentence that the caller may be shown: *answers with 500*.
    async fn fetch(&self, address: &Uri, ca: Option<&str>) -> Result<Bytes, String>;
}

/// Fetches documents by https with the certificates of the system. Each document has a connection of its own: an issuer is
/// asked for both about every ten minutes.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpsFetch;

#[async_trait]
impl FetchDocument for HttpsFetch {
    async fn fetch(&self, address: &Uri, ca: Option<&str>) -> Result<Bytes, String> {
        let ca = ca.map(str::to_owned);
        // It blocks: it reads all certificates that the machine trusts.
        let connector = tokio::task::spawn_blocking(move || connector(ca.as_deref()));
        let connector = connector.await.map_err(|error| error.to_string())??;
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        let request = Request::get(address)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("hikaru/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let answer = client.request(request).await;
        let answer = answer.map_err(|error| format!("does not answer: {}", chain(&error)))?;
        let status = answer.status();
        if status.is_redirection() {
            let to = answer.headers().get(LOCATION).map(|to| to.as_bytes());
            let to = Excerpt::of(&String::from_utf8_lossy(to.unwrap_or_default()));
            return Err(format!("redirects to {to}, and redirects are not followed"));
        }
        if status != StatusCode::OK {
            return Err(format!("answers with {}", status.as_u16()));
        }
        let body = Limited::new(answer.into_body(), MAX_DOCUMENT)
            .collect()
            .await;
        let body = body.map_err(|error| format!("cannot be read: {}", chain(&*error)))?;
        Ok(body.to_bytes())
    }
}

/// An error with those below it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let below = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = below.map(ToString::to_string).collect();
    texts.join(": ")
}

/// Takes certificates from PEM.
///
/// # Errors
/// When there is none in it, or one cannot be read.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = read.map_err(|error| format!("expected certificates as PEM: {error}"))?;
    match certificates.is_empty() {
        true => Err("expected certificates as PEM, found none".to_owned()),
        false => Ok(certificates),
    }
}

fn connector(ca: Option<&str>) -> Result<HttpsConnector<HttpConnector>, String> {
    let extra = ca.map_or(Ok(Vec::new()), certificates)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let text = |error: rustls::Error| error.to_string();
    let verifier = Verifier::new_with_extra_roots(extra, provider.clone()).map_err(text)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(text)?
        // The verifier of the system is not among those that rustls knows, so it counts as one of our own.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .build())
}
