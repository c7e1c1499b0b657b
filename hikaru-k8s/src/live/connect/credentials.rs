//! What requests are sent with, as far as it may stand in files: certificates of a CA, a certificate of our own with its key,
//! and the header `Authorization`. All of it is read and compared at one time. Where it stands is chosen in `connection`, PEM is read
//! in `pem`, tokens in `authorization`; when it is read again is in `transport`.

use std::sync::Arc;

use http::HeaderValue;
use jiff::Timestamp;
use rustls::{
    CertificateError, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime},
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};

use super::{
    authorization::Authorization, error::ConnectionError, pem::Pem, plugin::Granted, tls::time,
};

/// Where the certificates of the CA, our own certificate and the header `Authorization` are, if there are any.
#[derive(Clone, Default)]
pub(in crate::live) struct Credentials {
    pub(in crate::live) ca: Option<Pem>,
    /// Our certificate, and its key.
    pub(in crate::live) identity: Option<(Pem, Pem)>,
    pub(in crate::live) authorization: Option<Authorization>,
}

/// The credentials as they were read at one time.
#[derive(Clone)]
pub(in crate::live) struct Material {
    pub(in crate::live) ca: Option<Vec<CertificateDer<'static>>>,
    /// Our certificate with those of its issuers, and its key.
    pub(in crate::live) identity: Option<Arc<CertifiedKey>>,
    pub(in crate::live) authorization: Option<HeaderValue>,
}

impl PartialEq for Material {
    fn eq(&self, other: &Self) -> bool {
        // A certificate has one key only.
        let chain = |of: &Self| of.identity.as_ref().map(|identity| identity.cert.clone());
        self.ca == other.ca
            && chain(self) == chain(other)
            && self.authorization == other.authorization
    }
}

impl Credentials {
    /// Whether a part of them is in a file, so that it may change.
    pub(in crate::live) fn has_files(&self) -> bool {
        let identity = self.identity.iter().flat_map(|(one, other)| [one, other]);
        matches!(self.authorization, Some(Authorization::File(_)))
            || self.ca.iter().chain(identity).any(Pem::is_file)
    }

    /// Reads all of it, and checks what can be checked without a server. The files are small and local: it takes
    /// microseconds.
    pub(in crate::live) fn read(&self) -> Result<Material, ConnectionError> {
        Ok(Material {
            ca: self.read_ca()?,
            identity: self.read_identity()?,
            authorization: self.read_authorization()?,
        })
    }

    /// Reads all of it again. A part that cannot be read stays as it was before: a CA that is broken does not keep out a new
    /// token. The first such part is told.
    pub(super) fn read_again(&self, before: &Material) -> (Material, Option<ConnectionError>) {
        let mut now = before.clone();
        let mut fault = None;
        match self.read_ca() {
            Ok(ca) => now.ca = ca,
            Err(error) => fault = Some(error),
        }
        match self.read_identity() {
            Ok(identity) => now.identity = identity,
            Err(error) => _ = fault.get_or_insert(error),
        }
        match self.read_authorization() {
            Ok(authorization) => now.authorization = authorization,
            Err(error) => _ = fault.get_or_insert(error),
        }
        (now, fault)
    }

    fn read_ca(&self) -> Result<Option<Vec<CertificateDer<'static>>>, ConnectionError> {
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

    fn read_identity(&self) -> Result<Option<Arc<CertifiedKey>>, ConnectionError> {
        let pair = self.identity.as_ref();
        pair.map(|(certificate, key)| certified(certificate, key))
            .transpose()
    }

    fn read_authorization(&self) -> Result<Option<HeaderValue>, ConnectionError> {
        match &self.authorization {
            None => Ok(None),
            Some(Authorization::Header(header)) => Ok(Some(header.clone())),
            Some(Authorization::File(file)) => file.read().map(Some),
        }
    }

    /// When our certificate expired, if it has.
    pub(in crate::live) fn expired(&self) -> Option<Timestamp> {
        let identity = self.read_identity().ok()??;
        let certificate = identity.end_entity_cert().ok()?;
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
    /// With what a plugin gave, which takes the place of what stands in files.
    pub(super) fn with(mut self, granted: &Granted) -> Result<Self, ConnectionError> {
        if let Some(header) = &granted.authorization {
            self.authorization = Some(header.clone());
        }
        if let Some((certificate, key)) = &granted.identity {
            self.identity = Some(certified(certificate, key)?);
        }
        Ok(self)
    }
}

/// A certificate with its key, if they belong together.
fn certified(certificate: &Pem, key: &Pem) -> Result<Arc<CertifiedKey>, ConnectionError> {
    let (chain, secret) = (certificate.certificates()?, key.key()?);
    match CertifiedKey::from_der(chain, secret, &ring::default_provider()) {
        Ok(identity) => Ok(Arc::new(identity)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(ConnectionError::Settings(format!(
            "{key} is not the key of the certificate in {certificate}"
        ))),
        Err(rustls::Error::InvalidCertificate(_)) => {
            Err(certificate.wrong("something that is not a certificate"))
        }
        Err(_) => Err(key.wrong("a key that cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::live::connect::{authorization::TokenFile, pem::Content};

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
            authorization: Some(Authorization::File(TokenFile::new(
                "the token".to_owned(),
                token.clone(),
            ))),
        };
        certificate(&ca);
        fs::write(&token, "one").expect("written");
        let before = credentials.read().expect("read");
        fs::write(&ca, "broken").expect("written");
        fs::write(&token, "two").expect("written");
        assert!(credentials.read().is_err());

        let (now, fault) = credentials.read_again(&before);
        assert!(now.ca == before.ca && now.authorization != before.authorization);
        assert!(fault.is_some_and(|fault| fault.to_string().contains("the CA")));

        certificate(&ca);
        fs::remove_file(&token).expect("removed");
        let (later, fault) = credentials.read_again(&now);
        assert!(later.ca != now.ca && later.authorization == now.authorization);
        assert!(fault.is_some_and(|fault| fault.to_string().contains("the token")));
        let (same, _) = credentials.read_again(&later);
        assert!(same == later);
    }
}
