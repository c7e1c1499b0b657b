//! A connection by kubeconfigs: files merged, a context chosen, and credentials taken from where they stand. Parsing is
//! kube's.

use std::path::{Path, PathBuf};

use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use secrecy::ExposeSecret as _;

use super::{Connection, Origin, header};
use crate::live::connect::{
    authorization::{Authorization, TokenFile, basic, bearer},
    credentials::Credentials,
    error::ConnectionError,
    pem::{Content, Pem},
    plugin::Plugin,
};

/// Files merged as kubectl merges them. Of several, those that are missing are passed over.
pub(super) async fn connection(
    files: &[PathBuf],
    context: Option<&String>,
    home: Option<String>,
) -> Result<Connection, ConnectionError> {
    let shown: Vec<String> = files.iter().map(|f| show(f, home.as_deref())).collect();
    let place = shown.join(":");
    let fault = |reason: String| ConnectionError::Settings(format!("{place}: {reason}"));
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
    let missing = "it has no current-context: expected one, or --context";
    let name = name.ok_or_else(|| fault(missing.to_owned()))?;
    let context = merged.contexts.iter().find(|known| known.name == name);
    let Some(context) = context.and_then(|named| named.context.as_ref()) else {
        return Err(fault(format!("there is no context {name}")));
    };
    let cluster = merged.clusters.iter().find(|c| c.name == context.cluster);
    let cluster = cluster.and_then(|named| named.cluster.as_ref());
    if cluster.is_some_and(|cluster| given(cluster.proxy_url.as_ref()).is_some()) {
        return Err(fault(format!(
            "the context {name} names a proxy-url, which is not supported yet"
        )));
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
    credentials.authorization = authorization(auth, part)?;
    // What stands there wins over a plugin, as with kubectl.
    let exec = auth.exec.take();
    let plugin = exec.filter(|_| credentials.authorization.is_none());
    credentials.read()?;
    Ok(Connection {
        config,
        plugin: plugin.map(Plugin::new),
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
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConnectionError::half(part(CERTIFICATE), KEY)),
        (None, Some(_)) => Err(ConnectionError::half(part(KEY), CERTIFICATE)),
    }
}

/// The header of a provider's token; else of a user with a password; else of a token in a file, which as with kubectl wins over
/// a token that stands there; if the file cannot be read, the token is used.
fn authorization(
    auth: &AuthInfo,
    part: impl Fn(&str) -> String,
) -> Result<Option<Authorization>, ConnectionError> {
    if let Some(provider) = &auth.auth_provider {
        // kubectl knows no other one any more.
        let found = match provider.config.get("id-token") {
            Some(token) if provider.name == "oidc" => {
                return header(&part("id-token"), bearer(token)).map(Some);
            }
            None if provider.name == "oidc" => "oidc without one",
            _ => &provider.name,
        };
        let expected = "oidc with an id-token, or a plugin instead (exec)";
        let place = part("auth-provider");
        return Err(ConnectionError::expected(place, expected, found));
    }
    if let (Some(user), Some(password)) = (&auth.username, &auth.password) {
        let basic = basic(user, password.expose_secret());
        return header(&part("username and password"), basic).map(Some);
    }
    if let Some(path) = given(auth.token_file.as_ref()) {
        let file = TokenFile::new(part("tokenFile"), path.into());
        match file.read() {
            Err(error) if auth.token.is_none() => return Err(error),
            Err(_) => {}
            Ok(_) => return Ok(Some(Authorization::File(file))),
        }
    }
    let token = auth.token.as_ref();
    token
        .map(|token| header(&part("the token"), bearer(token.expose_secret())))
        .transpose()
}

/// What can be said of a kubeconfig: the words of a YAML error quote the lines around it, tokens and all.
fn said(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(error) => {
            let place = error.location();
            let (line, column) = place.map_or((0, 0), |place| (place.line(), place.column()));
            format!("no kubeconfig: line {line}, column {column} is not as expected")
        }
        other => other.to_string(),
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
