//! What a TLS handshake that failed means, in words that name the variable or the file. The handshake is rustls'.

use std::{error::Error, io};

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError, pki_types::UnixTime};

/// A time of a certificate.
pub(super) fn time(time: UnixTime) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.as_secs()).ok()?).ok()
}

/// The fault of a handshake among an error's causes.
pub(super) fn fault<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(fault) = error.downcast_ref() {
        return Some(fault);
    }
    // Of an error of IO the source is what its content comes from, not the content itself.
    let content = error.downcast_ref::<io::Error>().map(io::Error::get_ref);
    match content {
        Some(Some(content)) => fault(content),
        _ => fault(error.source()?),
    }
}

/// Whether a handshake failed by a certificate, the server's or ours, so that others may help. No request was read then.
pub(super) fn is_of_certificates(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(_) => true,
        rustls::Error::AlertReceived(alert) => of_ours(*alert).is_some(),
        _ => false,
    }
}

/// Why a handshake failed, where more can be said than rustls says, with the names of what we trust and of what we show.
pub(super) fn words(error: &rustls::Error, trust: &str, credentials: &str) -> Option<String> {
    match error {
        rustls::Error::InvalidCertificate(fault) => {
            let why = of_server(fault, trust)?;
            Some(format!("the certificate of the API server {why}"))
        }
        rustls::Error::AlertReceived(alert) => {
            let why = of_ours(*alert)?;
            Some(format!(
                "the API server does not take our credentials ({credentials}): {why}"
            ))
        }
        _ => None,
    }
}

/// What is wrong with the server's certificate.
fn of_server(fault: &CertificateError, trust: &str) -> Option<String> {
    let on = |at: &UnixTime| time(*at).map(|time| format!(" {time}")).unwrap_or_default();
    Some(match fault {
        // Of two CAs with the same name, as many clusters' have, the other one's signature is bad.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("is not signed by {trust}")
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let host = expected.to_str();
            format!("is not for {host}, but for {}", some_of(presented))
        }
        // The verifiers of some operating systems say no time.
        CertificateError::Expired => "expired".to_owned(),
        CertificateError::NotValidYet => "is not valid yet: is the clock right?".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => format!("expired{}", on(not_after)),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("is not valid before{}: is the clock right?", on(not_before))
        }
        _ => return None,
    })
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

/// Why the server does not take our certificate, or that it wants one: it has read no request.
fn of_ours(alert: AlertDescription) -> Option<&'static str> {
    use AlertDescription as Alert;
    Some(match alert {
        Alert::CertificateRequired | Alert::NoCertificate => "it wants a client certificate",
        Alert::CertificateExpired => "the certificate has expired",
        Alert::CertificateRevoked => "the certificate is revoked",
        Alert::UnknownCA => "it does not know who signed the certificate",
        // Of two CAs with the same name the other one's signature is bad.
        Alert::DecryptError
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::AccessDenied => "it refuses the certificate",
        _ => return None,
    })
}
