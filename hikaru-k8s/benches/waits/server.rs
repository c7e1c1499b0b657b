//! An API server that plays rollouts, for benches of those who wait: Deployments, each with a ReplicaSet and a pod, that are listed,
//! given and watched as by a real one, and that change when a bench says so. Plain HTTP/1.1, a thread for each connection. It needs
//! nothing but the standard library, so that the benches of other crates can include this file.

use std::{
    io::{BufRead as _, BufReader, Result, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Where objects are: below the namespace, and the path of all namespaces.
const KINDS: [(&str, &str); 3] = [
    ("/apis/apps/v1", "deployments"),
    ("/apis/apps/v1", "replicasets"),
    ("/api/v1", "pods"),
];

const DEPLOYMENTS: usize = 0;
const PODS: usize = 2;

/// How a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its pod is there and not ready; the controller counts it as updated.
    Progressing,
    /// Its pod is ready; the controller does not count it yet.
    Ready,
    /// The controller counts it as available.
    Complete,
}

/// Runs until the process ends.
pub(crate) struct Server {
    pub(crate) url: String,
    world: Arc<World>,
}

struct World {
    namespaces: usize,
    /// Whether all are of one source repository.
    alike: bool,
    state: Mutex<State>,
    requests: AtomicUsize,
    watches: AtomicUsize,
}

struct State {
    version: u64,
    /// Of each workload, with the version of its last change.
    stages: Vec<(Stage, u64)>,
    watching: Vec<(Narrowed, Sender<String>)>,
}

/// What a request is about.
#[derive(Clone)]
struct Narrowed {
    kind: usize,
    /// `None`: all of them.
    namespace: Option<String>,
    /// The workload, by the label `app` or by the object's own name.
    app: Option<String>,
}

impl Server {
    /// So many workloads in so many namespaces, all of them progressing. Each is of a source repository of its own.
    pub(crate) fn start(workloads: usize, namespaces: usize) -> Self {
        Self::with(workloads, namespaces, false)
    }

    /// The same, all of one source repository: the first image is meant for each.
    #[allow(dead_code, reason = "not each bench waits for many in one call")]
    pub(crate) fn start_alike(workloads: usize, namespaces: usize) -> Self {
        Self::with(workloads, namespaces, true)
    }

    fn with(workloads: usize, namespaces: usize, alike: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let world = Arc::new(World {
            namespaces,
            alike,
            state: Mutex::new(State {
                version: 1,
                stages: vec![(Stage::Progressing, 1); workloads],
                watching: Vec::new(),
            }),
            requests: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
        });
        let serving = world.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let world = serving.clone();
                // A client that hangs up is no news.
                thread::spawn(move || drop(world.serve(&stream)));
            }
        });
        Self { url, world }
    }

    /// The n-th workload: `team-0001/deployment/web-000001`.
    #[allow(dead_code, reason = "not each bench names it")]
    pub(crate) fn workload(&self, n: usize) -> String {
        format!("{}/deployment/{}", self.world.namespace(n), app(n))
    }

    /// The image that the n-th workload is set to.
    #[allow(dead_code, reason = "not each bench posts")]
    pub(crate) fn image(&self, n: usize) -> String {
        image(&self.world.repo(n))
    }

    /// Changes the n-th workload, and tells the watches: of its pod when that gets ready, of the Deployment when its controller counts
    /// it, of both when it begins anew. When that was.
    pub(crate) fn change(&self, n: usize, stage: Stage) -> Instant {
        let kinds: &[usize] = match stage {
            Stage::Ready => &[PODS],
            Stage::Complete => &[DEPLOYMENTS],
            Stage::Progressing => &[PODS, DEPLOYMENTS],
        };
        let (namespace, app) = (self.world.namespace(n), app(n));
        let mut state = self.world.state();
        state.version += 1;
        state.stages[n] = (stage, state.version);
        let lines = kinds.iter().map(|kind| {
            let object = self.world.object(*kind, n, stage, state.version);
            (*kind, modified(&object))
        });
        let lines: Vec<_> = lines.collect();
        let begun = Instant::now();
        for (kind, line) in lines {
            state.watching.retain(|(narrowed, sender)| {
                !narrowed.is(kind, &namespace, &app) || sender.send(line.clone()).is_ok()
            });
        }
        begun
    }

    /// How many requests there were that open no watch, and how many that do.
    pub(crate) fn requests(&self) -> (usize, usize) {
        let number = |of: &AtomicUsize| of.load(Ordering::SeqCst);
        (number(&self.world.requests), number(&self.world.watches))
    }
}

impl Narrowed {
    fn is(&self, kind: usize, namespace: &str, app: &str) -> bool {
        self.kind == kind
            && self.namespace.as_deref().is_none_or(|n| n == namespace)
            && self.app.as_deref().is_none_or(|wanted| wanted == app)
    }

    /// `None`: there is nothing of that path.
    fn of(path: &str, query: &str) -> Option<Self> {
        let narrowed_to = |key: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(found, _)| *found == key)?;
            let (_, value) = value.split_once("%3D")?;
            Some(value.to_owned())
        };
        let kind = |plural: &str| KINDS.iter().position(|(_, known)| *known == plural);
        let (_, rest) = KINDS
            .iter()
            .find_map(|(root, _)| Some((root, path.strip_prefix(root)?.strip_prefix('/')?)))?;
        let parts: Vec<&str> = rest.split('/').collect();
        let (namespace, plural, name) = match parts[..] {
            [plural] => (None, plural, None),
            ["namespaces", namespace, plural] => (Some(namespace), plural, None),
            ["namespaces", namespace, plural, name] => (Some(namespace), plural, Some(name)),
            _ => return None,
        };
        let app = name.map(str::to_owned);
        Some(Self {
            kind: kind(plural)?,
            namespace: namespace.map(str::to_owned),
            app: app
                .or_else(|| narrowed_to("labelSelector"))
                .or_else(|| narrowed_to("fieldSelector")),
        })
    }
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn namespace(&self, n: usize) -> String {
        format!("team-{:04}", n % self.namespaces)
    }

    fn repo(&self, n: usize) -> String {
        app(if self.alike { 0 } else { n })
    }

    fn object(&self, kind: usize, n: usize, stage: Stage, version: u64) -> String {
        object(kind, n, &self.repo(n), &self.namespace(n), stage, version)
    }

    /// Answers until the client hangs up.
    fn serve(&self, stream: &TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        let mut out = stream;
        loop {
            let mut first = String::new();
            if reader.read_line(&mut first)? == 0 {
                return Ok(());
            }
            let mut line = String::new();
            while reader.read_line(&mut line)? > 2 {
                line.clear();
            }
            let target = first.split(' ').nth(1).unwrap_or_default();
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let narrowed = Narrowed::of(path, query);
            if query.contains("watch=") {
                self.watches.fetch_add(1, Ordering::SeqCst);
                self.watch(out, narrowed, query)?;
                continue;
            }
            self.requests.fetch_add(1, Ordering::SeqCst);
            let body = match narrowed {
                Some(of) if path.ends_with(KINDS[of.kind].1) => self.page(&of, query),
                Some(of) => {
                    let (found, _) = self.objects(&of);
                    found.into_iter().next().unwrap_or_default()
                }
                None => r#"{"metadata":{"resourceVersion":"1"},"items":[]}"#.to_owned(),
            };
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
            out.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes())?;
        }
    }

    /// The objects, and the version of all.
    fn objects(&self, of: &Narrowed) -> (Vec<String>, u64) {
        let state = self.state();
        let all = state.stages.iter().enumerate();
        let wanted = all.filter_map(|(n, (stage, version))| {
            let namespace = self.namespace(n);
            of.is(of.kind, &namespace, &app(n))
                .then(|| self.object(of.kind, n, *stage, *version))
        });
        (wanted.collect(), state.version)
    }

    fn page(&self, of: &Narrowed, query: &str) -> String {
        let (objects, version) = self.objects(of);
        let from = number(query, "continue").unwrap_or(0).min(objects.len());
        let to = objects
            .len()
            .min(from + number(query, "limit").unwrap_or(500));
        let next = match to < objects.len() {
            true => to.to_string(),
            false => String::new(),
        };
        let items = objects[from..to].join(",");
        format!(
            r#"{{"metadata":{{"resourceVersion":"{version}","continue":"{next}"}},"items":[{items}]}}"#
        )
    }

    /// What has changed since the version that was asked for, and what changes from now on, as long as it was asked for.
    fn watch(&self, mut out: &TcpStream, of: Option<Narrowed>, query: &str) -> Result<()> {
        let (sender, lines): (_, Receiver<String>) = channel();
        let since = number(query, "resourceVersion").unwrap_or_default() as u64;
        if let Some(of) = of {
            let mut state = self.state();
            for (n, (stage, version)) in state.stages.iter().enumerate() {
                let namespace = self.namespace(n);
                if *version > since && of.is(of.kind, &namespace, &app(n)) {
                    let object = self.object(of.kind, n, *stage, *version);
                    // The receiver is there.
                    let _ = sender.send(modified(&object));
                }
            }
            state.watching.push((of, sender.clone()));
        }
        out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let seconds = number(query, "timeoutSeconds").unwrap_or(25) as u64;
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = match lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            };
            out.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes())?;
        }
        let version = self.state().version;
        let bookmark = format!(
            "{{\"type\":\"BOOKMARK\",\"object\":{{\"metadata\":{{\"resourceVersion\":\"{version}\"}}}}}}\n"
        );
        out.write_all(format!("{:x}\r\n{bookmark}\r\n0\r\n\r\n", bookmark.len()).as_bytes())
    }
}

fn modified(object: &str) -> String {
    format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}\n")
}

fn number(query: &str, key: &str) -> Option<usize> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| *found == key)?.1.parse().ok()
}

fn app(n: usize) -> String {
    format!("web-{n:06}")
}

fn image(repo: &str) -> String {
    format!("registry.example/acme/{repo}:acme_{repo}_main_1.4.0_2_0123abcd")
}

/// An object as a real API server has it, with fields that nothing reads.
fn object(
    kind: usize,
    n: usize,
    repo: &str,
    namespace: &str,
    stage: Stage,
    version: u64,
) -> String {
    let (app, image) = (app(n), image(repo));
    let uid = |kind: usize| format!("00000000-0000-4000-800{kind}-{n:012x}");
    let owner = |kind: &str, of: usize| {
        format!(
            r#""ownerReferences":[{{"apiVersion":"apps/v1","kind":"{kind}","name":"{app}","uid":"{}","controller":true,"blockOwnerDeletion":true}}]"#,
            uid(of)
        )
    };
    let time = "2026-11-29T09:00:00Z";
    let fields = r#"{"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:env":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:ports":{},"f:resources":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}}}"#;
    let managed = format!(
        r#""managedFields":[{{"manager":"hikaru","operation":"Update","time":"{time}","fieldsV1":{fields}}}]"#
    );
    let container = format!(
        r#"{{"name":"web","image":"{image}","ports":[{{"name":"http","containerPort":8080,"protocol":"TCP"}}],"env":[{{"name":"DATABASE_URL","valueFrom":{{"secretKeyRef":{{"name":"{app}","key":"url"}}}}}}],"resources":{{"limits":{{"memory":"256Mi"}}}},"readinessProbe":{{"httpGet":{{"path":"/readyz","port":"http","scheme":"HTTP"}},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}}"#
    );
    let template = format!(
        r#"{{"metadata":{{"labels":{{"app":"{app}"}}}},"spec":{{"containers":[{container}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst"}}}}"#
    );
    let revision = r#""annotations":{"deployment.kubernetes.io/revision":"2"}"#;
    let available = u8::from(stage == Stage::Complete);
    let condition = |kind: &str, is: bool| {
        let status = if is { "True" } else { "False" };
        format!(
            r#"{{"type":"{kind}","status":"{status}","lastProbeTime":null,"lastTransitionTime":"{time}"}}"#
        )
    };
    match KINDS[kind].1 {
        "deployments" => format!(
            r#"{{"kind":"Deployment","apiVersion":"apps/v1","metadata":{{"name":"{app}","namespace":"{namespace}","uid":"{}","resourceVersion":"{version}","generation":2,"creationTimestamp":"{time}","labels":{{"app":"{app}","owner":"acme","repo":"{repo}","branch":"main"}},{revision},{managed}}},"spec":{{"replicas":1,"selector":{{"matchLabels":{{"app":"{app}"}}}},"template":{template},"strategy":{{"type":"RollingUpdate","rollingUpdate":{{"maxUnavailable":"25%","maxSurge":"25%"}}}},"revisionHistoryLimit":10,"progressDeadlineSeconds":600}},"status":{{"observedGeneration":2,"replicas":1,"updatedReplicas":1,"readyReplicas":{available},"availableReplicas":{available},"conditions":[{},{}]}}}}"#,
            uid(kind),
            condition("Available", stage == Stage::Complete),
            condition("Progressing", true),
        ),
        "replicasets" => format!(
            r#"{{"kind":"ReplicaSet","apiVersion":"apps/v1","metadata":{{"name":"{app}-7c9f","namespace":"{namespace}","uid":"{}","resourceVersion":"{version}","generation":1,"creationTimestamp":"{time}","labels":{{"app":"{app}","pod-template-hash":"7c9f"}},{revision},{},{managed}}},"spec":{{"replicas":1,"selector":{{"matchLabels":{{"app":"{app}","pod-template-hash":"7c9f"}}}},"template":{template}}},"status":{{"replicas":1,"readyReplicas":{available},"availableReplicas":{available},"observedGeneration":1}}}}"#,
            uid(kind),
            owner("Deployment", DEPLOYMENTS),
        ),
        _ => {
            let is_ready = stage != Stage::Progressing;
            format!(
                r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"{app}-7c9f-x7k2p","namespace":"{namespace}","uid":"{}","resourceVersion":"{version}","creationTimestamp":"{time}","labels":{{"app":"{app}","pod-template-hash":"7c9f"}},{},{managed}}},"spec":{{"nodeName":"node-{}","containers":[{container}],"restartPolicy":"Always","terminationGracePeriodSeconds":30}},"status":{{"phase":"Running","conditions":[{},{},{},{},{}],"hostIP":"10.0.0.1","podIP":"10.1.0.1","startTime":"{time}","containerStatuses":[{{"name":"web","state":{{"running":{{"startedAt":"{time}"}}}},"lastState":{{}},"ready":{is_ready},"restartCount":0,"image":"{image}","imageID":"{image}@sha256:{n:064x}","started":true}}]}}}}"#,
                uid(kind),
                owner("ReplicaSet", 1),
                n % 50,
                condition("PodReadyToStartContainers", true),
                condition("Initialized", true),
                condition("Ready", is_ready),
                condition("ContainersReady", is_ready),
                condition("PodScheduled", true),
            )
        }
    }
}
