//! Keys, certificates, tokens and kubeconfigs of one cluster, made new for each.
//!
//! All keys are of the curve P-256, the ServiceAccounts' too: they are made in no time, where an RSA key
//! takes up to a second.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use super::{ClusterError, ClusterOptions, flags};
use crate::supervisor::Endpoints;

/// The kubeconfig of the administrator.
pub(super) const KUBECONFIG: &str = "kubeconfig";

const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
const SCHEDULER: &str = "system:kube-scheduler";
const KWOK: &str = "kwok";

/// The names that the components write under.
pub(super) const COMPONENTS: [&str; 3] = [CONTROLLER_MANAGER, SCHEDULER, KWOK];

/// The group that RBAC lets do everything.
const MASTERS: &str = "system:masters";

#[derive(Debug)]
pub(super) struct Credentials {
    authority: CertifiedIssuer<'static, KeyPair>,
    ca_pem: String,
    /// User names and tokens, `admin` first.
    tokens: Vec<(String, String)>,
}

impl Credentials {
    /// Makes all of them and writes the files that [`flags`] and kubeconfigs name.
    pub(super) fn make(
        folder: &Path,
        endpoints: Endpoints,
        options: &ClusterOptions,
    ) -> Result<Self, ClusterError> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|source| ClusterError::File { path, source })
        };

        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "hikaru test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let mut credentials = Self {
            ca_pem: authority.pem(),
            authority,
            tokens: Vec::new(),
        };
        write("ca.crt", &credentials.ca_pem)?;

        let (certificate, key) = credentials.server_certificate(endpoints)?;
        write("apiserver.crt", &certificate)?;
        write("apiserver.key", &key)?;

        let accounts = KeyPair::generate()?;
        write("service-accounts.key", &accounts.serialize_pem())?;
        write("service-accounts.pub", &accounts.public_key_pem())?;

        let admin = ("admin".to_owned(), vec![MASTERS.to_owned()]);
        let mut table = String::new();
        for (number, (user, groups)) in std::iter::once(&admin).chain(&options.users).enumerate() {
            let token = random_text()?;
            table.push_str(&format!(
                "{token},{user},user-{number},\"{}\"\n",
                groups.join(",")
            ));
            credentials.tokens.push((user.clone(), token));
        }
        write("tokens.csv", &table)?;

        // The components are in the group of those who may do everything, each by its own name: the
        // audit log tells them apart.
        for (name, user) in [
            (KUBECONFIG, "admin"),
            (flags::CONTROLLER_MANAGER_KUBECONFIG, CONTROLLER_MANAGER),
            (flags::SCHEDULER_KUBECONFIG, SCHEDULER),
            (flags::KWOK_KUBECONFIG, KWOK),
        ] {
            let (certificate, key) = credentials.client_certificate(user, MASTERS, None)?;
            let files = [format!("{name}.crt"), format!("{name}.key")];
            write(&files[0], &certificate)?;
            write(&files[1], &key)?;
            write(name, &kubeconfig(folder, endpoints, &files))?;
        }
        Ok(credentials)
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(super) fn admin_token(&self) -> &str {
        self.tokens.first().map_or("", |(_, token)| token)
    }

    pub(super) fn token(&self, user: &str) -> Option<&str> {
        self.tokens
            .iter()
            .find(|(name, _)| name == user)
            .map(|(_, token)| token.as_str())
    }

    pub(super) fn client_certificate(
        &self,
        user: &str,
        group: &str,
        until: Option<SystemTime>,
    ) -> Result<(String, String), ClusterError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if let Some(until) = until {
            params.not_after = until.into();
        }
        self.sign(params)
    }

    fn server_certificate(&self, endpoints: Endpoints) -> Result<(String, String), ClusterError> {
        let names = [
            "localhost",
            "kubernetes.default.svc",
            "127.0.0.1",
            "10.0.0.1",
            &endpoints.address.to_string(),
        ];
        let mut params = CertificateParams::new(names.map(str::to_owned))?;
        params
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<(String, String), ClusterError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok((
            params.signed_by(&key, &self.authority)?.pem(),
            key.serialize_pem(),
        ))
    }
}

/// A kubeconfig in JSON, which is YAML.
fn kubeconfig(folder: &Path, endpoints: Endpoints, [certificate, key]: &[String; 2]) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "hikaru-test", "cluster": {
            "server": flags::url(endpoints), "certificate-authority": folder.join("ca.crt"),
        }}],
        "users": [{"name": "hikaru-test", "user": {
            "client-certificate": folder.join(certificate), "client-key": folder.join(key),
        }}],
        "contexts": [{"name": "hikaru-test", "context": {"cluster": "hikaru-test", "user": "hikaru-test"}}],
        "current-context": "hikaru-test",
    })
    .to_string()
}

/// 32 random hex digits.
pub(super) fn random_text() -> Result<String, ClusterError> {
    let path = PathBuf::from("/dev/urandom");
    let mut bytes = [0; 16];
    let read = std::fs::File::open(&path).and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|source| ClusterError::File { path, source })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
