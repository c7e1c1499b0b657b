//! What a TLS handshake that failed means, in words that name the variable or the file. The handshake is rustls'.

use std::{error::Error, io};

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, pki_types::UnixTime};

/// A time of a certificate.
pub(super) fn time(time: UnixTime) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.as_secs()).ok()?).ok()
}

/// The first names of a list.
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

/// Why a TLS handshake failed, where more can be said than rustls says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::live) enum HandshakeFault {
    /// The server's certificate is not signed by a CA that we trust.
    UnknownIssuer,
    /// The server's certificate has expired, then.
    Expired(Option<Timestamp>),
    /// The server's certificate is not valid before this time.
    NotYetValid(Option<Timestamp>),
    /// The server's certificate is not for this host, but for those.
    WrongHost(String, String),
    /// The server does not take our certificate, or wants one: it has read no request.
    Refused(&'static str),
}

impl HandshakeFault {
    /// The fault among an error's causes.
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
                    Some(Self::UnknownIssuer)
                }
                CertificateError::NotValidForNameContext {
                    expected,
                    presented,
                } => Some(Self::WrongHost(
                    expected.to_str().into_owned(),
                    some_of(presented),
                )),
                CertificateError::Expired => Some(Self::Expired(None)),
                CertificateError::ExpiredContext { not_after, .. } => {
                    Some(Self::Expired(time(*not_after)))
                }
                CertificateError::NotValidYet => Some(Self::NotYetValid(None)),
                CertificateError::NotValidYetContext { not_before, .. } => {
                    Some(Self::NotYetValid(time(*not_before)))
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
            Self::UnknownIssuer => {
                format!("the certificate of the API server is not signed by {trust}")
            }
            Self::Expired(time) => {
                format!("the certificate of the API server expired{}", on(time))
            }
            Self::NotYetValid(time) => format!(
                "the certificate of the API server is not valid before{}: is the clock right?",
                on(time)
            ),
            Self::WrongHost(host, others) => {
                format!("the certificate of the API server is not for {host}, but for {others}")
            }
            Self::Refused(why) => {
                format!("the API server does not take our credentials ({credentials}): {why}")
            }
        }
    }
}
