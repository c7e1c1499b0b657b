//! A connection by kubeconfigs: files merged, a context chosen, and credentials taken from where they stand. Parsing and
//! plugins for credentials are kube's.

use std::path::{Path, PathBuf};

use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Connection, Origin, without_defaults};
use crate::live::connect::{
    credentials::Credentials,
    error::{ConnectionError, KubeconfigFault, TokenError},
    pem::{Content, Pem},
    plugin::Plugin,
    token::{self, TokenFile},
};

/// Files merged as kubectl merges them. Of several, those that are missing are passed over.
pub(super) async fn connection(
    files: &[PathBuf],
    context: Option<&String>,
    home: Option<String>,
) -> Result<Connection, ConnectionError> {
    let shown: Vec<String> = files.iter().map(|f| show(f, home.as_deref())).collect();
    let place = shown.join(":");
    let fault = |reason| ConnectionError::Kubeconfig {
        place: place.clone(),
        reason,
    };
    let mut merged = Kubeconfig::default();
    let there = files.iter().filter(|file| file.exists());
    let there: Vec<&PathBuf> = if there.clone().next().is_none() {
        files.iter().collect()
    } else {
        there.collect()
    };
    for file in there {
        let read = Kubeconfig::read_from(file).map_err(|error| match error {
            KubeconfigError::ReadConfig(reason, path) => ConnectionError::File {
                what: "the kubeconfig".to_owned(),
                path,
                reason,
            },
            other => fault(said(&other)),
        })?;
        merged = merged.merge(read).map_err(|error| fault(said(&error)))?;
    }
    let name = context.or(merged.current_context.as_ref());
    let name = name.filter(|name| !name.is_empty()).cloned();
    let name = name.ok_or_else(|| fault(KubeconfigFault::NoCurrentContext))?;
    let context = merged.contexts.iter().find(|known| known.name == name);
    let Some(context) = context.and_then(|named| named.context.as_ref()) else {
        return Err(fault(KubeconfigFault::NoContext(name)));
    };
    let cluster = merged.clusters.iter().find(|c| c.name == context.cluster);
    let cluster = cluster.and_then(|named| named.cluster.as_ref());
    if cluster.is_some_and(|cluster| given(cluster.proxy_url.as_ref()).is_some()) {
        return Err(fault(KubeconfigFault::Proxy(name)));
    }
    let part = |part: &str| format!("{part} of context {name} of {place}");
    let mut trust = format!(
        "what this machine trusts ({} is not set)",
        part("certificate-authority")
    );
    let mut credentials = Credentials::default();
    if let Some(cluster) = cluster {
        let (data, path) = (
            given(cluster.certificate_authority_data.as_ref()),
            given(cluster.certificate_authority.as_ref()),
        );
        credentials.ca = pem(
            part("certificate-authority"),
            Content::Certificates,
            data,
            path,
        )?;
    }
    if let Some(ca) = &credentials.ca {
        trust = ca.to_string();
        // kube would read it, too, with errors that name no file.
        ca.certificates()?;
    }
    let options = KubeConfigOptions {
        context: Some(name.clone()),
        ..KubeConfigOptions::default()
    };
    let loaded = Config::from_custom_kubeconfig(merged, &options).await;
    let mut config = loaded.map_err(|error| fault(said(&error)))?;
    let auth = &mut config.auth_info;
    credentials.identity = identity(auth, part)?;
    let basic = auth.username.is_some() && auth.password.is_some();
    if !basic {
        credentials.token = token_file(auth, part)?;
    }
    check_token(auth).map_err(|reason| ConnectionError::Token {
        place: format!("the token of context {name} of {place}"),
        reason,
    })?;
    // As for kube: a token or a password that stands there wins, and an old provider over both.
    let idle = basic || auth.token.is_some() || auth.auth_provider.is_some();
    let plugin = auth.exec.take().filter(|_| !idle).map(Plugin::new);
    credentials.read()?;
    without_defaults(&mut config);
    Ok(Connection {
        config,
        plugin,
        credentials,
        trust,
        credentials_name: format!("those of context {name} of {place}"),
        warning: basic.then(|| super::basic_warning(&part("username and password"))),
        origin: Origin::Context { name, place },
    })
}

/// What is given: an empty text is nothing.
fn given(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

/// Data win over a file.
fn pem(
    what: String,
    content: Content,
    data: Option<&String>,
    path: Option<&String>,
) -> Result<Option<Pem>, ConnectionError> {
    match (data, path) {
        (Some(data), _) => Pem::of_data(what, content, data).map(Some),
        (None, Some(path)) => Ok(Some(Pem::file(what, content, path.into()))),
        (None, None) => Ok(None),
    }
}

/// Takes certificate and key out of a user's credentials: kube would read their files once.
fn identity(
    auth: &mut AuthInfo,
    part: impl Fn(&str) -> String,
) -> Result<Option<(Pem, Pem)>, ConnectionError> {
    const CERTIFICATE: &str = "client-certificate";
    const KEY: &str = "client-key";
    let (data, path) = (
        auth.client_certificate_data.take(),
        auth.client_certificate.take(),
    );
    let certificate = pem(
        part(CERTIFICATE),
        Content::Certificates,
        given(data.as_ref()),
        given(path.as_ref()),
    )?;
    let (data, path) = (auth.client_key_data.take(), auth.client_key.take());
    let data = data.map(|data| data.expose_secret().to_owned());
    let key = pem(
        part(KEY),
        Content::Key,
        given(data.as_ref()),
        given(path.as_ref()),
    )?;
    let half = |one: &str, missing: &str| ConnectionError::Half {
        one: part(one),
        missing: missing.to_owned(),
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(half(CERTIFICATE, KEY)),
        (None, Some(_)) => Err(half(KEY, CERTIFICATE)),
    }
}

/// Takes the file of a token out of a user's credentials: kube refuses one that ends in a line break. As with kubectl it
/// wins over a token and over a plugin; if it cannot be read, the token is used.
fn token_file(
    auth: &mut AuthInfo,
    part: impl Fn(&str) -> String,
) -> Result<Option<TokenFile>, ConnectionError> {
    let path = auth.token_file.take();
    let Some(path) = given(path.as_ref()) else {
        return Ok(None);
    };
    let file = TokenFile::new(part("tokenFile"), path.into());
    match file.read() {
        Ok(_) => {
            (auth.token, auth.exec) = (None, None);
            Ok(Some(file))
        }
        Err(_) if auth.token.is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// kube panics when it makes a header of a token with a line feed: it is trimmed, and what no header can hold refused.
fn check_token(auth: &mut AuthInfo) -> Result<(), TokenError> {
    if let Some(token) = &auth.token {
        let sound: SecretString = token::check(token.expose_secret())?.to_owned().into();
        auth.token = Some(sound);
    }
    Ok(())
}

/// What can be said of a kubeconfig: the words of a YAML error quote the lines around it, tokens and all.
fn said(error: &KubeconfigError) -> KubeconfigFault {
    match error {
        KubeconfigError::Parse(error) => {
            let place = error.location();
            let (line, column) = place.map_or((0, 0), |place| (place.line(), place.column()));
            KubeconfigFault::Yaml { line, column }
        }
        other => KubeconfigFault::Other(other.to_string()),
    }
}

/// A path as a person writes it.
fn show(path: &Path, home: Option<&str>) -> String {
    match home
        .filter(|home| !home.is_empty())
        .map(|home| path.strip_prefix(home))
    {
        Some(Ok(rest)) => format!("~/{}", rest.display()),
        _ => path.display().to_string(),
    }
}
