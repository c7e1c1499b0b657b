//! A running `hikaru serve` and a caller that speaks plain HTTP to it, as curl does; and the service on a folder.

mod callers;
mod folder;
mod metrics;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::command;

/// For what takes milliseconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running service. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
}

/// An answer: status, header in lower case, body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.body))
    }

    /// The answer, if its status is this one.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
}

impl Server {
    /// Starts `hikaru serve` on a free port, with these arguments and variables, and waits until it listens.
    pub(crate) fn start(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut serve = command(&["serve", "--listen", "127.0.0.1:0"]);
        serve.args(args).envs(variables.iter().copied());
        Self::of(serve)
    }

    fn of(mut serve: Command) -> Self {
        let mut child = serve.stderr(Stdio::piped()).spawn().expect("hikaru runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!(
                    "hikaru ended: {:?} {}",
                    child.wait(),
                    log.lock().expect("log")
                );
            };
            let event: Option<serde_json::Value> = serde_json::from_str(&line).ok();
            log.lock().expect("log").push_str(&format!("{line}\n"));
            let listening = event.filter(|event| event["message"] == "listening");
            if let Some(address) =
                listening.and_then(|event| Some(event["address"].as_str()?.to_owned()))
            {
                break address;
            }
        };
        let rest = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                rest.lock().expect("log").push_str(&format!("{line}\n"));
            }
        });
        Self {
            child,
            address,
            log,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("log").clone()
    }

    /// Sends a request with these header lines, each ending in CR LF.
    pub(crate) fn request(&self, method: &str, path: &str, head: &str) -> std::io::Result<Answer> {
        request(&self.address, method, path, head)
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str) -> Answer {
        self.request("POST", path, "").expect("an answer")
    }

    /// Posts a body with these header lines.
    #[track_caller]
    pub(crate) fn post_body(&self, path: &str, head: &str, body: &str) -> Answer {
        send(&self.address, "POST", path, head, body).expect("an answer")
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "").expect("an answer")
    }

    /// Waits until it is ready.
    #[track_caller]
    pub(crate) fn ready(self) -> Self {
        let start = Instant::now();
        while self.get("/readyz").status != 200 {
            assert!(start.elapsed() < PATIENCE, "not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    /// Sends it a signal by its process id.
    pub(crate) fn signal(&self, signal: &str) {
        // The shell's own: not every machine has a program of that name.
        let sent = Command::new("sh")
            .args(["-c", "kill -\"$0\" \"$1\"", signal])
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.expect("a shell").success());
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "it does not end: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request on a connection of its own.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    head: &str,
) -> std::io::Result<Answer> {
    send(address, method, path, head, "")
}

fn send(
    address: &str,
    method: &str,
    path: &str,
    head: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let host = if head.to_ascii_lowercase().contains("host:") {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {}\r\n{head}\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.ok_or(std::io::ErrorKind::InvalidData)?,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}
