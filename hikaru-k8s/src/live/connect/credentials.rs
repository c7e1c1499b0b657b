//! What requests are sent with, as far as it may stand in files: certificates of a CA, a certificate of our own with its key,
//! and a token. All of it is read and compared at once. Where it stands is chosen in `connection`, PEM is read in `pem`, tokens
//! in `token`; when it is read again is in `transport`.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use kube::config::Config;
use rustls::{
    CertificateError, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};

use super::{
    error::ConnectionError,
    pem::Pem,
    tls::time,
    token::{Token, TokenFile},
};

/// Where the certificates of the CA, our own certificate and a token are, if there are any.
#[derive(Clone, Default)]
pub(in crate::live) struct Credentials {
    pub(in crate::live) ca: Option<Pem>,
    /// Our certificate, and its key.
    pub(in crate::live) identity: Option<(Pem, Pem)>,
    /// A token that stands in a file.
    pub(in crate::live) token: Option<TokenFile>,
}

/// The credentials as they were read at one time.
#[derive(PartialEq)]
pub(in crate::live) struct Material {
    ca: Option<Vec<CertificateDer<'static>>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    token: Option<Token>,
}

impl Credentials {
    /// Whether a part of them is in a file, so that it may change.
    pub(in crate::live) fn has_files(&self) -> bool {
        let identity = self.identity.iter().flat_map(|(one, other)| [one, other]);
        self.token.is_some() || self.ca.iter().chain(identity).any(Pem::is_file)
    }

    /// Reads all of it, and checks what can be checked without a server. The files are small and local: it takes
    /// microseconds.
    pub(in crate::live) fn read(&self) -> Result<Material, ConnectionError> {
        let ca = self.ca.as_ref().map(|pem| {
            let certificates = pem.certificates()?;
            let mut roots = RootCertStore::empty();
            for certificate in &certificates {
                let added = roots.add(certificate.clone());
                added.map_err(|_| pem.wrong("something that is not a certificate"))?;
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
                    Err(certificate.wrong("something that is not a certificate"))
                }
                Err(_) => Err(key.wrong("a key that cannot be read")),
            }
        });
        Ok(Material {
            ca: ca.transpose()?,
            identity: identity.transpose()?,
            token: self.token.as_ref().map(TokenFile::read).transpose()?,
        })
    }

    /// When our certificate expired, if it has.
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
    /// Puts it into a configuration of kube.
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
        if let Some(token) = &self.token {
            config.auth_info.token = Some(token.secret());
        }
    }
}

fn armored(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}
