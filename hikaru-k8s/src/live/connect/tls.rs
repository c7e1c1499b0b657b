//! What TLS is made with: whom we trust and who we are, read again as files rotate; and what a handshake that failed
//! means, in words that name the variable or the file. Where these come from is said in `connection`, how PEM is read in
//! `pem`; the handshake is rustls'.

use std::{error::Error, io, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use kube::config::Config;
use rustls::{
    AlertDescription, CertificateError, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};

use super::{error::ConnectionError, pem::Pem};

/// Where the certificates of the CA and those of our own are.
#[derive(Clone, Default)]
pub(in crate::live) struct Tls {
    pub(in crate::live) ca: Option<Pem>,
    /// Our certificate, and its key.
    pub(in crate::live) identity: Option<(Pem, Pem)>,
}

/// What stood there at one time.
#[derive(PartialEq)]
pub(in crate::live) struct Material {
    ca: Option<Vec<CertificateDer<'static>>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Tls {
    /// Whether it may read otherwise next time.
    pub(in crate::live) fn has_files(&self) -> bool {
        let identity = self.identity.iter().flat_map(|(one, other)| [one, other]);
        self.ca.iter().chain(identity).any(Pem::is_file)
    }

    /// Reads all of it, and checks what can be checked without a server. Small files of a local volume: it takes
    /// microseconds.
    pub(in crate::live) fn read(&self) -> Result<Material, ConnectionError> {
        let ca = self.ca.as_ref().map(|pem| {
            let certificates = pem.certificates()?;
            let mut roots = RootCertStore::empty();
            for certificate in &certificates {
                let added = roots.add(certificate.clone());
                added.map_err(|_| pem.wrong("one that is none"))?;
            }
            Ok(certificates)
        });
        let identity = self.identity.as_ref().map(|(certificate, key)| {
            let chain = certificate.certificates()?;
            let secret = key.key()?;
            let provider = ring::default_provider();
            match CertifiedKey::from_der(chain.clone(), secret.clone_key(), &provider) {
                Ok(_) => Ok((chain, secret)),
                Err(rustls::Error::InconsistentKeys(_)) => Err(ConnectionError::Mismatch {
                    certificate: certificate.to_string(),
                    key: key.to_string(),
                }),
                Err(rustls::Error::InvalidCertificate(_)) => {
                    Err(certificate.wrong("one that is none"))
                }
                Err(_) => Err(key.wrong("one that cannot be read")),
            }
        });
        Ok(Material {
            ca: ca.transpose()?,
            identity: identity.transpose()?,
        })
    }

    /// Since when our certificate is of no use, if it is.
    pub(in crate::live) fn expired(&self) -> Option<Timestamp> {
        let (chain, _) = self.read().ok()?.identity?;
        let certificate = chain.first()?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).ok()?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let verifier = verifier.build().ok()?;
        match verifier.verify_client_cert(certificate, &[], UnixTime::now()) {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after,
                ..
            })) => time(not_after),
            _ => None,
        }
    }
}

impl Material {
    /// Hands it to kube.
    pub(in crate::live) fn put_into(&self, config: &mut Config) {
        if let Some(ca) = &self.ca {
            config.root_cert = Some(ca.iter().map(|certificate| certificate.to_vec()).collect());
        }
        if let Some((chain, key)) = &self.identity {
            let chain = chain.iter().map(|one| armored("CERTIFICATE", one));
            let chain = BASE64_STANDARD.encode(chain.collect::<String>());
            let label = match key {
                PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
                PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
                _ => "PRIVATE KEY",
            };
            let key = BASE64_STANDARD.encode(armored(label, key.secret_der()));
            let auth = &mut config.auth_info;
            auth.client_certificate_data = Some(chain);
            auth.client_key_data = Some(key.into());
        }
    }
}

fn armored(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn time(time: UnixTime) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.as_secs()).ok()?).ok()
}

/// The first of many names.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(String::as_str);
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "no host".to_owned(),
        1..=SHOWN => shown,
        all => format!("{shown} and {} more", all - SHOWN),
    }
}

/// Why there is no TLS with a server, where we know more than rustls says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::live) enum Fault {
    /// The server's certificate is signed by somebody whom we do not trust.
    Stranger,
    /// The server's certificate is not valid any more.
    Expired(Option<Timestamp>),
    /// The server's certificate is not valid yet.
    Early(Option<Timestamp>),
    /// The server's certificate is for another host than this, and for which.
    Elsewhere(String, String),
    /// The server does not take our certificate, or wants one: it has read no request.
    Refused(&'static str),
}

impl Fault {
    /// The one in an error's causes.
    pub(in crate::live) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(fault) = error.downcast_ref().and_then(Self::of_rustls) {
            return Some(fault);
        }
        // Of an error of IO the source is what its content comes from, not the content itself.
        let content = error.downcast_ref::<io::Error>().map(io::Error::get_ref);
        match content {
            Some(Some(content)) => Self::of(content),
            _ => Self::of(error.source()?),
        }
    }

    fn of_rustls(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::InvalidCertificate(fault) => match fault {
                // Of two CAs with the same name, as many clusters' have, the other one's signature is bad.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    Some(Self::Stranger)
                }
                CertificateError::NotValidForNameContext {
                    expected,
                    presented,
                } => Some(Self::Elsewhere(
                    expected.to_str().into_owned(),
                    some_of(presented),
                )),
                CertificateError::Expired => Some(Self::Expired(None)),
                CertificateError::ExpiredContext { not_after, .. } => {
                    Some(Self::Expired(time(*not_after)))
                }
                CertificateError::NotValidYet => Some(Self::Early(None)),
                CertificateError::NotValidYetContext { not_before, .. } => {
                    Some(Self::Early(time(*not_before)))
                }
                _ => None,
            },
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                    Some(Self::Refused("it wants a client certificate"))
                }
                AlertDescription::CertificateExpired => {
                    Some(Self::Refused("the certificate has expired"))
                }
                AlertDescription::CertificateRevoked => {
                    Some(Self::Refused("the certificate is revoked"))
                }
                AlertDescription::UnknownCA => {
                    Some(Self::Refused("it does not know who signed the certificate"))
                }
                // Of two CAs with the same name the other one's signature is bad.
                AlertDescription::DecryptError
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied => {
                    Some(Self::Refused("it refuses the certificate"))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// A sentence, with the names of what we trust and of what we show.
    pub(in crate::live) fn words(&self, trust: &str, credentials: &str) -> String {
        let on = |time: &Option<Timestamp>| time.map(|time| format!(" {time}")).unwrap_or_default();
        match self {
            Self::Stranger => {
                format!("the certificate of the API server is not signed by {trust}")
            }
            Self::Expired(time) => {
                format!("the certificate of the API server expired{}", on(time))
            }
            Self::Early(time) => format!(
                "the certificate of the API server is not valid before{}: is the clock right?",
                on(time)
            ),
            Self::Elsewhere(host, others) => {
                format!("the certificate of the API server is not for {host}, but for {others}")
            }
            Self::Refused(why) => {
                format!("the API server does not take our credentials ({credentials}): {why}")
            }
        }
    }
}
