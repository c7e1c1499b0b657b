//! What requests are sent with, as far as it may stand in files: certificates of a CA, a certificate of our own with its key,
//! and a token. All of it is read and compared at one time. Where it stands is chosen in `connection`, PEM is read in `pem`, tokens
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

type Chain = Vec<CertificateDer<'static>>;

/// Our certificate with those of its issuers, and its key.
type Identity = (Chain, PrivateKeyDer<'static>);

/// The credentials as they were read at one time.
#[derive(PartialEq)]
pub(in crate::live) struct Material {
    ca: Option<Chain>,
    identity: Option<Identity>,
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
        Ok(Material {
            ca: self.read_ca()?,
            identity: self.read_identity()?,
            token: self.read_token()?,
        })
    }

    /// Reads all of it again. A part that cannot be read stays as it was before: a CA that is broken does not keep out a new
    /// token. The first such part is told.
    pub(super) fn read_again(&self, before: &Material) -> (Material, Option<ConnectionError>) {
        let mut fault = None;
        let mut tell = |error| {
            fault.get_or_insert(error);
        };
        let ca = self.read_ca().unwrap_or_else(|error| {
            tell(error);
            before.ca.clone()
        });
        let identity = self.read_identity().unwrap_or_else(|error| {
            tell(error);
            let known = before.identity.as_ref();
            known.map(|(chain, key)| (chain.clone(), key.clone_key()))
        });
        let token = self.read_token().unwrap_or_else(|error| {
            tell(error);
            before.token.clone()
        });
        let material = Material {
            ca,
            identity,
            token,
        };
        (material, fault)
    }

    fn read_ca(&self) -> Result<Option<Chain>, ConnectionError> {
        let Some(pem) = &self.ca else {
            return Ok(None);
        };
        let certificates = pem.certificates()?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            let added = roots.add(certificate.clone());
            added.map_err(|_| pem.wrong("something that is not a certificate"))?;
        }
        Ok(Some(certificates))
    }

    fn read_identity(&self) -> Result<Option<Identity>, ConnectionError> {
        let Some((certificate, key)) = &self.identity else {
            return Ok(None);
        };
        let chain = certificate.certificates()?;
        let secret = key.key()?;
        let provider = ring::default_provider();
        match CertifiedKey::from_der(chain.clone(), secret.clone_key(), &provider) {
            Ok(_) => Ok(Some((chain, secret))),
            Err(rustls::Error::InconsistentKeys(_)) => Err(ConnectionError::Mismatch {
                certificate: certificate.to_string(),
                key: key.to_string(),
            }),
            Err(rustls::Error::InvalidCertificate(_)) => {
                Err(certificate.wrong("something that is not a certificate"))
            }
            Err(_) => Err(key.wrong("a key that cannot be read")),
        }
    }

    fn read_token(&self) -> Result<Option<Token>, ConnectionError> {
        self.token.as_ref().map(TokenFile::read).transpose()
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::live::connect::pem::Content;

    fn certificate(path: &Path) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["ca".to_owned()]).expect("parameters");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(path, certificate.pem()).expect("written");
    }

    #[test]
    fn a_part_that_cannot_be_read_does_not_keep_out_the_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ca, token) = (folder.path().join("ca"), folder.path().join("token"));
        let credentials = Credentials {
            ca: Some(Pem::file(
                "the CA".to_owned(),
                Content::Certificates,
                ca.clone(),
            )),
            identity: None,
            token: Some(TokenFile::new("the token".to_owned(), token.clone())),
        };
        certificate(&ca);
        fs::write(&token, "one").expect("written");
        let before = credentials.read().expect("read");
        fs::write(&ca, "broken").expect("written");
        fs::write(&token, "two").expect("written");
        assert!(credentials.read().is_err());

        let (now, fault) = credentials.read_again(&before);
        assert!(now.ca == before.ca && now.token != before.token);
        assert!(fault.is_some_and(|fault| fault.to_string().contains("the CA")));

        certificate(&ca);
        fs::remove_file(&token).expect("removed");
        let (later, fault) = credentials.read_again(&now);
        assert!(later.ca != now.ca && later.token == now.token);
        assert!(fault.is_some_and(|fault| fault.to_string().contains("the token")));
        let (same, _) = credentials.read_again(&later);
        assert!(same == later);
    }
}
