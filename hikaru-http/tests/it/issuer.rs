//! An issuer of OpenID Connect that the tests start themselves: discovery and keys over https on loopback, with an authority of its
//! own; it signs any header and any claims, and misbehaves as it is told. Tests of hikaru-bin include this file, too.
//!
//! It runs on threads, so that tests with and without a runtime can use it. Which tokens hikaru takes is not said here.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};

/// The pair of keys of every RS256 signature of the tests: ring makes none. It protects nothing.
const RSA: &str = include_str!("issuer/rsa.pem");

/// More than anybody should read.
const HUGE: usize = 100 << 20;

/// An issuer. It runs until the test's process ends.
pub(crate) struct Issuer {
    state: Arc<State>,
    url: String,
    ca: String,
}

/// What the issuer does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It answers.
    Fine,
    /// It closes each connection at once.
    Away,
    /// It answers only after [`Issuer::be`] has been called with something else.
    Silent,
    /// It answers with this status and a plain body.
    Status(u16),
    /// It sends the client to this address.
    Redirect(String),
    /// Its document of discovery has this member with this value.
    Discovery(&'static str, Value),
    /// Each of its documents is this text.
    Garbage(&'static str),
    /// Its keys are followed by 100 MB of blanks.
    HugeKeys,
    /// Its keys are this document.
    Keys(Value),
}

struct State {
    path: String,
    keys: Mutex<VecDeque<SigningKey>>,
    manner: Mutex<Manner>,
    changed: Condvar,
    requests: Mutex<Vec<String>>,
    sent: AtomicUsize,
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signs {
    Rs256,
    Es256,
    EdDsa,
}

/// A pair of keys with its id.
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As the parts of a token are written.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a clock after 1970").as_secs()
}

impl SigningKey {
    /// A key of this kind. All RSA keys are the same one.
    pub(crate) fn new(kid: &str, signs: Signs) -> Self {
        let random = SystemRandom::new();
        let pair = match signs {
            Signs::Rs256 => {
                let key = PrivatePkcs8KeyDer::from_pem_slice(RSA.as_bytes()).expect("a key");
                let pair = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("a pair");
                Pair::Rsa(Box::new(pair))
            }
            Signs::Es256 => {
                let form = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let key = EcdsaKeyPair::generate_pkcs8(form, &random).expect("a key");
                let pair = EcdsaKeyPair::from_pkcs8(form, key.as_ref(), &random);
                Pair::P256(Box::new(pair.expect("a pair")))
            }
            Signs::EdDsa => {
                let key = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
                let pair = Ed25519KeyPair::from_pkcs8(key.as_ref()).expect("a pair");
                Pair::Ed25519(Box::new(pair))
            }
        };
        let kid = kid.to_owned();
        Self { kid, pair }
    }

    /// The word of a header for how it signs.
    pub(crate) fn alg(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// The public key, as RFC 7517 writes it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": base64url(parts.n), "e": base64url(parts.e)})
            }
            Pair::P256(pair) => {
                // 4, then both coordinates.
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..])})
            }
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key())})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.alg());
        jwk["use"] = json!("sig");
        jwk
    }

    /// The signature of these bytes.
    pub(crate) fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .expect("a signature");
                signature
            }
            Pair::P256(pair) => {
                let signature = pair.sign(&random, message).expect("a signature");
                signature.as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The header of its tokens.
    pub(crate) fn header(&self) -> Value {
        json!({"typ": "JWT", "alg": self.alg(), "kid": self.kid})
    }

    /// A token with any header and any claims, signed with this key.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// The same with texts that need not be JSON.
    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", base64url(signature))
    }
}

impl Issuer {
    /// An issuer at the root of its host, with one key of this kind.
    pub(crate) fn start(signs: Signs) -> Self {
        Self::start_at("", signs)
    }

    /// An issuer whose address ends with a path: `/api/actions`.
    pub(crate) fn start_at(path: &str, signs: Signs) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let SocketAddr::V4(address) = listener.local_addr().expect("its address") else {
            panic!("expected an address of IPv4");
        };
        let (ca, config) = certificates();
        let state = Arc::new(State {
            path: path.to_owned(),
            keys: Mutex::new([SigningKey::new("key-1", signs)].into()),
            manner: Mutex::new(Manner::Fine),
            changed: Condvar::new(),
            requests: Mutex::default(),
            sent: AtomicUsize::new(0),
        });
        let url = format!("https://{address}{path}");
        let server = (state.clone(), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ((state, url), config) = (server.clone(), config.clone());
                std::thread::spawn(move || state.serve(&url, stream, config));
            }
        });
        Self { state, url, ca }
    }

    /// Its address, as `iss` has it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of its authority, as PEM.
    pub(crate) fn ca(&self) -> &str {
        &self.ca
    }

    /// Does from now on as it is told.
    pub(crate) fn be(&self, manner: Manner) {
        *lock(&self.state.manner) = manner;
        self.state.changed.notify_all();
    }

    /// The paths of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.state.requests).clone()
    }

    /// How many bytes of bodies it has sent so far.
    pub(crate) fn sent(&self) -> usize {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// Publishes one more key, and signs with it from now on.
    pub(crate) fn add_key(&self, key: SigningKey) {
        lock(&self.state.keys).push_front(key);
    }

    /// Signs with a new key of this kind from now on, and publishes no other.
    pub(crate) fn rotate(&self, kid: &str, signs: Signs) {
        let mut keys = lock(&self.state.keys);
        keys.clear();
        keys.push_front(SigningKey::new(kid, signs));
    }

    /// A token with these claims, signed with its newest key.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let keys = lock(&self.state.keys);
        let key = keys.front().expect("a key");
        key.sign(&key.header(), claims)
    }

    /// What every token says: issuer, subject, audience and its times; valid for ten minutes from now on.
    pub(crate) fn claims(&self, audience: &str, now: u64) -> Value {
        json!({
            "iss": self.url, "aud": audience, "sub": "the subject",
            "iat": now, "nbf": now, "exp": now + 600, "jti": "a token",
        })
    }

    /// What GitHub Actions says of a push to a branch of a repository: `acme/shop`, `main`.
    pub(crate) fn github(
        &self,
        audience: &str,
        repository: &str,
        branch: &str,
        sha: &str,
    ) -> Value {
        let mut claims = self.claims(audience, now());
        let owner = repository.split('/').next().unwrap_or_default();
        for (claim, value) in [
            (
                "sub",
                json!(format!("repo:{repository}:ref:refs/heads/{branch}")),
            ),
            ("repository", json!(repository)),
            ("repository_id", json!("74")),
            ("repository_owner", json!(owner)),
            ("repository_owner_id", json!("65")),
            ("ref", json!(format!("refs/heads/{branch}"))),
            ("ref_type", json!("branch")),
            ("ref_protected", json!("true")),
            ("sha", json!(sha)),
            ("event_name", json!("push")),
            ("run_id", json!("1658821493")),
            ("run_number", json!("10")),
        ] {
            claims[claim] = value;
        }
        claims
    }

    /// What GitLab says of a push to a branch of a project: `acme/team/shop`, `main`.
    pub(crate) fn gitlab(&self, audience: &str, project: &str, branch: &str, sha: &str) -> Value {
        let mut claims = self.claims(audience, now());
        for (claim, value) in [
            (
                "sub",
                json!(format!(
                    "project_path:{project}:ref_type:branch:ref:{branch}"
                )),
            ),
            ("project_path", json!(project)),
            ("project_id", json!("22")),
            ("namespace_id", json!("72")),
            ("ref", json!(branch)),
            ("ref_type", json!("branch")),
            ("ref_path", json!(format!("refs/heads/{branch}"))),
            ("ref_protected", json!("true")),
            ("pipeline_source", json!("push")),
            ("sha", json!(sha)),
            ("job_id", json!("302")),
        ] {
            claims[claim] = value;
        }
        claims
    }
}

/// The authority's certificate, and what a server needs that has one of it for 127.0.0.1.
fn certificates() -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("a certificate");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    let certificate = CertificateDer::from_pem_slice(certificate.pem().as_bytes());
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.expect("a certificate")],
            key.expect("a key"),
        )
        .expect("a certificate and its key");
    (authority.pem(), Arc::new(config))
}

impl State {
    /// Answers one request, in the manner of the moment.
    fn serve(&self, url: &str, stream: TcpStream, config: Arc<ServerConfig>) {
        if *lock(&self.manner) == Manner::Away {
            return;
        }
        let connection = ServerConnection::new(config).expect("a connection");
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line.trim_end().is_empty() => break,
                Ok(_) => head.push(line),
            }
        }
        let target = head.first().and_then(|line| line.split(' ').nth(1));
        let target = target.unwrap_or_default().to_owned();
        lock(&self.requests).push(target.clone());
        let manner = self.manner_when_it_speaks();
        let stream = stream.get_mut();
        // A client that has read enough hangs up.
        let _ = self.answer(url, &target, &manner, stream);
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }

    fn manner_when_it_speaks(&self) -> Manner {
        let manner = lock(&self.manner);
        let is_silent = |manner: &mut Manner| *manner == Manner::Silent;
        let waited = self.changed.wait_while(manner, is_silent);
        waited.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer(
        &self,
        url: &str,
        target: &str,
        manner: &Manner,
        out: &mut impl Write,
    ) -> std::io::Result<()> {
        let is_discovery = target == format!("{}/.well-known/openid-configuration", self.path);
        let is_keys = target == format!("{}/keys", self.path);
        let (status, more, body) = match manner {
            Manner::Status(status) => (*status, String::new(), "misbehaves".to_owned()),
            Manner::Redirect(to) => (302, format!("Location: {to}\r\n"), String::new()),
            Manner::Garbage(text) => (200, String::new(), (*text).to_owned()),
            _ if is_discovery => (200, String::new(), self.discovery(url, manner).to_string()),
            Manner::Keys(keys) if is_keys => (200, String::new(), keys.to_string()),
            _ if is_keys => (200, String::new(), self.jwks().to_string()),
            _ => (404, String::new(), "not here".to_owned()),
        };
        write!(
            out,
            "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nConnection: close\r\n{more}\r\n"
        )?;
        self.send(out, body.as_bytes())?;
        if is_keys && *manner == Manner::HugeKeys {
            let blanks = [b' '; 1 << 16];
            for _ in 0..HUGE / blanks.len() {
                self.send(out, &blanks)?;
            }
        }
        Ok(())
    }

    fn send(&self, out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
        out.write_all(bytes)?;
        self.sent.fetch_add(bytes.len(), Ordering::SeqCst);
        Ok(())
    }

    fn discovery(&self, url: &str, manner: &Manner) -> Value {
        let mut document = json!({
            "issuer": url, "jwks_uri": format!("{url}/keys"),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
        });
        if let Manner::Discovery(member, value) = manner {
            document[*member] = value.clone();
        }
        document
    }

    fn jwks(&self) -> Value {
        let keys: Vec<Value> = lock(&self.keys).iter().map(SigningKey::jwk).collect();
        json!({ "keys": keys })
    }
}
