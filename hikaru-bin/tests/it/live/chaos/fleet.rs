//! Three replicas of the service, those who call it, and what happens to the replicas meanwhile: killed, or drained, and
//! started again.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::TcpStream,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use xtask::Cluster;

use super::history::HIKARU;
use super::oracle::{Answered, Post, Upgraded, Verdict};
use super::posts::Planned;
use crate::serve::{Answer, Server, request};

pub(super) struct Fleet<'c> {
    cluster: &'c Cluster,
    replicas: Vec<RwLock<Arc<Server>>>,
    deaths: Mutex<BTreeMap<&'static str, u64>>,
}

impl<'c> Fleet<'c> {
    pub(super) fn start(cluster: &'c Cluster) -> Self {
        let replicas = (0..3).map(|_| RwLock::new(Arc::new(serve(cluster).ready())));
        Self {
            cluster,
            replicas: replicas.collect(),
            deaths: Mutex::default(),
        }
    }

    /// How often replicas were killed and drained.
    pub(super) fn deaths(&self) -> BTreeMap<&'static str, u64> {
        self.deaths.lock().expect("deaths").clone()
    }

    /// Waits until each of them is ready.
    pub(super) fn all_ready(&self) {
        for number in 0..self.replicas.len() {
            let begun = Instant::now();
            while self.replica(number).get("/readyz").status != 200 {
                assert!(begun.elapsed() < Duration::from_secs(60), "not ready");
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Waits until each of them has seen all that was done so far: a watch tells in order, so what is made last shows it.
    pub(super) fn all_caught_up(&self) {
        let image = "registry.example/sentinel";
        let option = format!("--image={image}");
        let args = ["create", "deployment", "sentinel", &option, "--replicas=0"];
        self.cluster.kubectl(&args).expect("created");
        for number in 0..self.replicas.len() {
            let begun = Instant::now();
            let path = format!("/api/image/{image}");
            while !self.replica(number).get(&path).body.contains("sentinel") {
                assert!(begun.elapsed() < Duration::from_secs(60), "far behind");
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Posts all of it, by so many callers at once, while a replica goes after each so many posts; until a time at the
    /// latest.
    pub(super) fn storm(
        &self,
        planned: &[Planned],
        callers: usize,
        per_death: usize,
        until: Option<Instant>,
    ) -> Vec<Post> {
        let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let posts = Mutex::new(Vec::with_capacity(planned.len()));
        thread::scope(|scope| {
            let reaper = scope.spawn(|| {
                let mut deaths = 0;
                while !over.load(Ordering::Relaxed) {
                    if next.load(Ordering::Relaxed) / per_death > deaths {
                        self.end_one(deaths);
                        deaths += 1;
                    }
                    thread::sleep(Duration::from_millis(20));
                }
            });
            let call = || {
                while until.is_none_or(|until| Instant::now() < until) {
                    let Some(planned) = planned.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    let mut made = vec![self.post(planned, planned.replica)];
                    let unanswered =
                        |post: &Post| post.answer.as_ref().is_none_or(|told| told.status == 503);
                    if planned.tries_again && unanswered(&made[0]) {
                        made.push(self.post(planned, (planned.replica + 1) % 3));
                    }
                    posts.lock().expect("posts").extend(made);
                }
            };
            let callers: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
            for caller in callers {
                caller.join().expect("a caller");
            }
            over.store(true, Ordering::Relaxed);
            reaper.join().expect("the replicas' fate");
        });
        posts.into_inner().expect("posts")
    }

    /// Posts each image once; each must be answered.
    pub(super) fn last_round(&self, images: &[String]) -> Vec<Post> {
        let each = images.iter().enumerate().map(|(number, image)| {
            let post = self.post(&Planned::plain(image.clone(), number % 3), number % 3);
            let status = post.answer.as_ref().map(|answer| answer.status);
            assert_eq!(status, Some(200), "{image}");
            post
        });
        each.collect()
    }

    fn replica(&self, number: usize) -> Arc<Server> {
        self.replicas[number].read().expect("a replica").clone()
    }

    /// By SIGKILL and by SIGTERM in turn. Callers meet nobody for a moment, and then one that is not ready yet.
    fn end_one(&self, death: usize) {
        let (signal, how) = [("KILL", "killed"), ("TERM", "drained")][death % 2];
        let number = death % self.replicas.len();
        self.replica(number).signal(signal);
        *self.deaths.lock().expect("deaths").entry(how).or_default() += 1;
        thread::sleep(Duration::from_millis(200));
        let anew = Arc::new(serve(self.cluster));
        let old = std::mem::replace(
            &mut *self.replicas[number].write().expect("a replica"),
            anew,
        );
        // It is waited for when its last caller lets go of it; a drain may take as long as its posts.
        if signal == "TERM" {
            let begun = Instant::now();
            while Arc::strong_count(&old) > 1 && begun.elapsed() < Duration::from_secs(30) {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn post(&self, planned: &Planned, replica: usize) -> Post {
        let server = self.replica(replica);
        let path = planned.path();
        let sent = SystemTime::now();
        let answer = if planned.hangs_up {
            hang_up(server.address(), &path);
            None
        } else {
            request(server.address(), "POST", &path, "").ok()
        };
        // Nobody knows yet what was done when it is still under way.
        let answer = answer.filter(|answer| answer.status != 504);
        Post {
            image: planned.image.clone(),
            only: planned.only.clone(),
            dry_run: planned.dry_run,
            sent,
            ended: SystemTime::now(),
            answer: answer.map(|answer| answered(&answer, planned.full)),
        }
    }
}

fn serve(cluster: &Cluster) -> Server {
    let (url, token) = (cluster.url(), cluster.token(HIKARU).expect("a token"));
    let variables = [
        ("K8S_URL", &*url),
        ("K8S_CA", cluster.ca_pem()),
        ("K8S_TOKEN", token),
    ];
    Server::start(&[], &variables)
}

/// Sends a post and is gone before its answer.
fn hang_up(address: &str, path: &str) {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return;
    };
    let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
    thread::sleep(Duration::from_millis(fastrand::u64(..10)));
}

fn answered(answer: &Answer, full: bool) -> Answered {
    let status = answer.status;
    let body = answer.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = |entry: &Value| format!("{}/{}", text(&entry["namespace"]), text(&entry["name"]));
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut answered = Answered {
        status,
        ..Answered::default()
    };
    // Of a failure: what was done all the same, and what was not.
    let failed = list(&body["failed"]);
    answered.failed = failed.iter().map(object).collect();
    let report = if status == 200 {
        &body
    } else {
        &body["report"]
    };
    let upgraded = if status == 200 && !full {
        list(&body)
    } else if status == 200 {
        list(&body["upgrade"])
    } else {
        list(&body["upgraded"])
    };
    let is_change = |container: &Value| container.get("code").is_none_or(|code| code == "upgrade");
    for entry in &upgraded {
        for container in list(&entry["containers"]).iter().filter(|c| is_change(c)) {
            answered.upgraded.push(Upgraded {
                object: object(entry),
                container: text(&container["name"]),
                from: text(&container["from"]),
            });
        }
    }
    for entry in ["upgrade", "equal", "obsolete", "skipped"]
        .iter()
        .flat_map(|of| list(&report[of]))
    {
        for container in list(&entry["containers"]) {
            answered.verdicts.push(Verdict {
                object: object(&entry),
                container: text(&container["name"]),
                from: text(&container["from"]),
                code: text(&container["code"]),
            });
        }
    }
    answered
}
