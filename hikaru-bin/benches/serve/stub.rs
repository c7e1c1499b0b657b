//! A stub of an API server, behind TLS: it lists Deployments, each with an identity of its own, watches show nothing, and
//! patches are answered at once. When a patch has come is told.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};

use crate::objects::upgraded;

pub(crate) const DEPLOYMENTS: usize = 100_000;

/// The source repository of the n-th Deployment.
pub(crate) fn repo(n: usize) -> String {
    format!("web-{:06}", n % DEPLOYMENTS)
}

/// Of the Deployment of a number.
fn uid(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// Runs until the process ends.
pub(crate) struct Stub {
    pub(crate) url: String,
    /// The certificate that it is known by, PEM.
    pub(crate) ca: String,
    /// When each patch had come whole.
    pub(crate) patched: mpsc::Receiver<Instant>,
}

impl Stub {
    pub(crate) fn start() -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
        let certificate = params.self_signed(&key).expect("a certificate");
        let secret = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret);
        let config = Arc::new(config.expect("a configuration"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let (told, patched) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, told) = (config.clone(), told.clone());
                // A client that hangs up is no news.
                thread::spawn(move || drop(serve(stream, config, &told)));
            }
        });
        Self {
            url,
            ca: certificate.pem(),
            patched,
        }
    }
}

/// Answers until the client hangs up.
fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    told: &mpsc::Sender<Instant>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    loop {
        let mut target = String::new();
        if stream.read_line(&mut target)? == 0 {
            return Ok(());
        }
        let (mut line, mut length) = (String::new(), 0);
        while stream.read_line(&mut line)? > 2 {
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let answer = if target.starts_with("PATCH") {
            let _ = told.send(Instant::now());
            let name = target.split("/deployments/web-").nth(1).unwrap_or_default();
            let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
            let uid = uid(digits.parse().unwrap_or_default());
            format!(r#"{{"kind":"PartialObjectMetadata","metadata":{{"uid":"{uid}"}}}}"#)
        } else if target.contains("watch=") {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let stream = stream.get_mut();
            stream.write_all(head.as_bytes())?;
            stream.flush()?;
            // As long as it was asked for: one that lasts longer is given up.
            let seconds = target.split("timeoutSeconds=").nth(1).unwrap_or("25");
            let digits: String = seconds.chars().take_while(char::is_ascii_digit).collect();
            thread::sleep(Duration::from_secs(digits.parse().unwrap_or(25)));
            let bookmark = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}"#;
            write!(stream, "{:x}\r\n{bookmark}\n\r\n", bookmark.len() + 1)?;
            stream.write_all(b"0\r\n\r\n")?;
            stream.flush()?;
            continue;
        } else if target.contains("/deployments") {
            page(&target)
        } else {
            r#"{"metadata":{"resourceVersion":"1"},"items":[]}"#.to_owned()
        };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
        let answer = format!("{head} {}\r\n\r\n{answer}", answer.len());
        let stream = stream.get_mut();
        stream.write_all(answer.as_bytes())?;
        stream.flush()?;
    }
}

fn page(target: &str) -> String {
    let (_, query) = target
        .split(' ')
        .nth(1)
        .and_then(|path| path.split_once('?'))
        .unwrap_or_default();
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name)?.1.parse().ok()
    };
    let from: usize = parameter("continue").unwrap_or(0);
    let to = DEPLOYMENTS.min(from + parameter("limit").unwrap_or(500));
    let items = (from..to).map(|n| {
        let mut object = upgraded(&format!("{}-0", repo(n)), &repo(n), n);
        object["metadata"]["namespace"] = format!("team-{:04}", n % 2_000).into();
        object["metadata"]["uid"] = uid(n).into();
        object["metadata"]["resourceVersion"] = "1".into();
        object.to_string()
    });
    let items: Vec<String> = items.collect();
    let next = if to < DEPLOYMENTS {
        to.to_string()
    } else {
        String::new()
    };
    format!(
        r#"{{"metadata":{{"resourceVersion":"1","continue":"{next}"}},"items":[{}]}}"#,
        items.join(",")
    )
}
