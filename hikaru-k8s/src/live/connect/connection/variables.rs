//! A connection by the variables `K8S_…`, in both spellings. What is chosen when none of them is set is said in
//! `connection`.

use http::Uri;
use kube::config::Config;

use super::{Connection, Origin, Variable};
use crate::live::connect::{
    authorization::{self, Authorization, TokenFile},
    credentials::Credentials,
    error::ConnectionError,
    pem::{Content, Pem},
};

/// The variables that mean nothing without `K8S_URL` or `K8S_HOST`.
const OTHERS: [&str; 7] = [
    "K8S_TOKEN",
    "K8S_TOKEN_FILE",
    "K8S_CA",
    "K8S_CERT",
    "K8S_KEY",
    "K8S_USERNAME",
    "K8S_PASSWORD",
];

const TOKEN_BY_TLS: &str = "https://, because a token is sent with each request";
const PASSWORD_BY_TLS: &str = "https://, because a password is sent with each request";

const NO_CREDENTIALS: &str =
    "none: neither a token nor certificate and key nor user and password is set in K8S_…";

/// The connection, if `K8S_URL` or `K8S_HOST` is set. Authentication is chosen by what is there: a token, else
/// certificate and key, else user and password.
pub(super) fn connection(variable: Variable<'_>) -> Result<Option<Connection>, ConnectionError> {
    let read = |name: &'static str| read_variable(variable, name);
    let (origin, url) = match (read("K8S_URL")?, read("K8S_HOST")?) {
        (Some(url), _) => ("K8S_URL", parse_url(&url)?),
        (None, Some(host)) => ("K8S_HOST", parse_host(&host)?),
        (None, None) => {
            // A person who sets a token means a cluster, and would get another one.
            for variable in OTHERS {
                if read(variable)?.is_some() {
                    return Err(ConnectionError::Settings(format!(
                        "{variable} is set, but K8S_URL is not"
                    )));
                }
            }
            return Ok(None);
        }
    };
    let (token, file) = (read("K8S_TOKEN")?, read("K8S_TOKEN_FILE")?);
    if token.is_some() && file.is_some() {
        let both = "K8S_TOKEN and K8S_TOKEN_FILE are both set: expected one of them";
        return Err(ConnectionError::Settings(both.to_owned()));
    }
    let identity = pair(variable, "K8S_CERT", "K8S_KEY")?;
    let user = pair(variable, "K8S_USERNAME", "K8S_PASSWORD")?;

    let mut connection = Connection {
        config: Config::new(url),
        plugin: None,
        credentials: Credentials::default(),
        origin: Origin::Variable(origin),
        trust: "what this machine trusts (K8S_CA is not set)".to_owned(),
        credentials_name: String::new(),
        warning: None,
    };
    if let Some(ca) = read("K8S_CA")? {
        let ca = Pem::of_variable("K8S_CA", Content::Certificates, &ca)?;
        connection.trust = ca.to_string();
        connection.credentials.ca = Some(ca);
    }
    let url = &connection.config.cluster_url;
    match (token, file, identity, user) {
        (Some(token), ..) => {
            only_by_tls(url, TOKEN_BY_TLS)?;
            connection.credentials_name = "K8S_TOKEN".to_owned();
            let header = super::header("K8S_TOKEN", authorization::bearer(&token))?;
            connection.credentials.authorization = Some(header);
        }
        (_, Some(path), ..) => {
            only_by_tls(url, TOKEN_BY_TLS)?;
            let file = TokenFile::new("K8S_TOKEN_FILE".to_owned(), path.into());
            connection.credentials_name = file.to_string();
            connection.credentials.authorization = Some(Authorization::File(file));
        }
        (.., Some((certificate, key)), _) => {
            if url.scheme_str() == Some("http") {
                let expected = "https://, because only there K8S_CERT is shown";
                return Err(ConnectionError::expected("K8S_URL", expected, "http://"));
            }
            let certificate = Pem::of_variable("K8S_CERT", Content::Certificates, &certificate)?;
            let key = Pem::of_variable("K8S_KEY", Content::Key, &key)?;
            connection.credentials_name = certificate.to_string();
            connection.credentials.identity = Some((certificate, key));
        }
        (.., Some((user, password))) => {
            only_by_tls(url, PASSWORD_BY_TLS)?;
            if user.contains(':') {
                let expected = "a name, which in basic auth holds no colon";
                return Err(ConnectionError::expected("K8S_USERNAME", expected, "one"));
            }
            connection.credentials_name = "K8S_USERNAME and K8S_PASSWORD".to_owned();
            connection.warning = Some(super::basic_warning(&connection.credentials_name));
            let header = authorization::basic(&user, &password);
            connection.credentials.authorization = Some(super::header("K8S_PASSWORD", header)?);
        }
        _ => connection.credentials_name = NO_CREDENTIALS.to_owned(),
    }
    connection.credentials.read()?;
    Ok(Some(connection))
}

/// Two variables of which one means nothing alone.
fn pair(
    variable: Variable<'_>,
    one: &'static str,
    other: &'static str,
) -> Result<Option<(String, String)>, ConnectionError> {
    match (
        read_variable(variable, one)?,
        read_variable(variable, other)?,
    ) {
        (Some(one), Some(other)) => Ok(Some((one, other))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConnectionError::half(one, other)),
        (None, Some(_)) => Err(ConnectionError::half(other, one)),
    }
}

/// A variable in both spellings, `K8S_URL` and `K8S-URL`, trimmed; empty counts as not set. Of a password only line
/// breaks at its end are cut off.
fn read_variable(
    variable: Variable<'_>,
    name: &'static str,
) -> Result<Option<String>, ConnectionError> {
    let read = |spelling: &str| {
        let value = variable(spelling)?;
        let value = match name {
            "K8S_PASSWORD" => value.trim_end_matches(['\r', '\n']),
            _ => value.trim(),
        };
        (!value.is_empty()).then(|| value.to_owned())
    };
    let hyphens = name.replace('_', "-");
    match (read(name), read(&hyphens)) {
        (Some(one), Some(other)) if one != other => Err(ConnectionError::Settings(format!(
            "{name} and {hyphens} are both set, to different values"
        ))),
        (one, other) => Ok(one.or(other)),
    }
}

fn parse_url(text: &str) -> Result<Uri, ConnectionError> {
    let wrong = |found| {
        let expected = "the URL of the API server, such as https://host:6443";
        ConnectionError::expected("K8S_URL", expected, found)
    };
    // It may hold a password by mistake: it is never quoted as a whole.
    let url: Uri = text.parse().map_err(|_| wrong("what is no URL"))?;
    match url.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(wrong("a URL without http:// or https://")),
    }
    if url.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err(wrong("a user name or password in it"));
    }
    if url.query().is_some() {
        return Err(wrong("a query in it"));
    }
    Ok(url)
}

fn parse_host(text: &str) -> Result<Uri, ConnectionError> {
    let wrong =
        |found| ConnectionError::expected("K8S_HOST", "host[:port] of the API server", found);
    if text.contains(['/', '@', '?', '#']) {
        return Err(wrong("more than that"));
    }
    let url = format!("https://{text}").parse();
    url.map_err(|_| wrong("what is no host"))
}

/// Refuses to send a secret over a network in clear text.
fn only_by_tls(url: &Uri, expected: &str) -> Result<(), ConnectionError> {
    let loopback = url.host().is_some_and(is_loopback);
    if url.scheme_str() != Some("http") || loopback {
        return Ok(());
    }
    Err(ConnectionError::expected("K8S_URL", expected, "http://"))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
