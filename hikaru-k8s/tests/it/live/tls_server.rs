//! An API server behind TLS as a test says: whose certificate it shows, whose it wants. It answers every list with an empty
//! one. And an authority that signs certificates.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

/// Who signs.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// From when to when a certificate is valid; `None`: long ago, or for ever.
pub(super) type Validity = (Option<SystemTime>, Option<SystemTime>);

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for 127.0.0.1 and its key.
    pub(super) fn sign(&self, (from, until): Validity) -> (String, String) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        if let Some(from) = from {
            params.not_before = from.into();
        }
        if let Some(until) = until {
            params.not_after = until.into();
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// Runs until the test's process ends.
pub(super) struct TlsServer {
    address: SocketAddr,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    accepted: Arc<AtomicUsize>,
}

/// What a server shows and wants.
pub(super) fn config(
    (certificate, key): &(String, String),
    clients: Option<&Authority>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let ca = authority.pem();
            let ca = CertificateDer::from_pem_slice(ca.as_bytes()).expect("a certificate");
            roots.add(ca).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let config = builder.with_single_cert(vec![chain], key);
    Arc::new(config.expect("a configuration"))
}

impl TlsServer {
    pub(super) fn start(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let config = Arc::new(Mutex::new(config));
        let shared = config.clone();
        let accepted = Arc::<AtomicUsize>::default();
        let count = accepted.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let config = shared.lock().expect("no panic").clone();
                std::thread::spawn(move || serve(stream, config));
            }
        });
        Self {
            address,
            config,
            accepted,
        }
    }

    /// From the next connection on.
    pub(super) fn change(&self, config: Arc<ServerConfig>) {
        *self.config.lock().expect("no panic") = config;
    }

    /// How many connections there were.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

/// One request a connection.
fn serve(stream: TcpStream, config: Arc<ServerConfig>) {
    const LIST: &str = "{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}";
    drop(stream.set_read_timeout(Some(Duration::from_secs(60))));
    let connection = ServerConnection::new(config).expect("a connection");
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
        line.clear();
    }
    if line.trim_end().is_empty() {
        let stream = stream.get_mut();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
        let sent = write!(
            stream,
            "{head}\r\nContent-Length: {}\r\n\r\n{LIST}",
            LIST.len()
        );
        drop(sent.and_then(|()| stream.flush()));
        stream.conn.send_close_notify();
        drop(stream.flush());
    }
}
