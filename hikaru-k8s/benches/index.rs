//! What `serve` needs to know a large cluster: memory for each Deployment, and how long it takes to find those of a build.
//! An API server that plays a script lists 10,000 Deployments, then 100,000, then the same with another image each; the
//! view of them is the one of `hikaru serve`. With 20 Deployments an identity, and with one; each in several
//! processes of its own. What a lookup takes is the difference between a build of nobody and nothing that is looked up at all.
//!
//! `cargo bench -p hikaru-k8s --bench index`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use hikaru_core::{
    Build, TagFormats, WorkloadId,
    port::{Scope, Select, WorkloadPort as _},
    workload::IdentityKeys,
};
use hikaru_k8s::{
    Connection, ConnectionOptions, LiveCluster, LiveSettings, WatchSettings, WatchedCluster,
};

use xtask::figures::{Figure, Goal, percentile};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const FEW: usize = 10_000;
const MANY: usize = 100_000;
const LOOKUPS: usize = 100_000;
const ROUNDS: usize = 5;

/// Which Deployments there are.
#[derive(Clone, Copy)]
struct Shape {
    identities: usize,
}

impl Shape {
    fn repo(self, n: usize) -> String {
        format!("checkout-{:06}", n % self.identities)
    }

    fn repository(self, n: usize) -> String {
        format!("registry.example.org/acme/{}", self.repo(n))
    }

    fn tag(self, n: usize, build: u64) -> String {
        format!("acme_{}_main_1.4.0_{build}_0123abcd", self.repo(n))
    }

    fn image(self, n: usize, build: u64) -> String {
        format!("{}:{}", self.repository(n), self.tag(n, build))
    }

    /// No two have one name.
    fn id(self, n: usize) -> WorkloadId {
        let namespace = format!("team-{:04}", n % 2_000);
        WorkloadId::new(namespace, "Deployment", format!("{}-{n:06}", self.repo(n)))
    }

    /// A Deployment as the API server lists it after hikaru has upgraded it, about 4 KB.
    fn deployment(self, n: usize, build: u64) -> String {
        let WorkloadId {
            namespace, name, ..
        } = self.id(n);
        let (repo, image) = (self.repo(n), self.image(n, build));
        let previous = self.image(n, build - 1);
        let uid = (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834);
        let uid = format!("{uid:032x}");
        let uid = [
            &uid[..8],
            &uid[8..12],
            &uid[12..16],
            &uid[16..20],
            &uid[20..],
        ]
        .join("-");
        let (minute, second) = (n / 60 % 60, n % 60);
        let fields = r#"{"f:spec":{"f:progressDeadlineSeconds":{},"f:replicas":{},"f:revisionHistoryLimit":{},"f:selector":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}},"f:type":{}},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:env":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:ports":{},"f:resources":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}}}"#;
        format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"{namespace}","uid":"{uid}","resourceVersion":"{n}","generation":12,"creationTimestamp":"2026-01-02T03:04:05Z","labels":{{"app.kubernetes.io/name":"{repo}","owner":"acme","repo":"{repo}","branch":"main","high-water.hikaru.dev/web":"1.4.0_{build}_{n:08x}"}},"annotations":{{"deployment.kubernetes.io/revision":"12","hikaru.dev/last-upgrade":"{{\"at\":\"2026-11-24T09:{minute:02}:{second:02}Z\",\"previous\":{{\"web\":\"{previous}\"}}}}"}},"managedFields":[{{"manager":"hikaru","operation":"Update","fieldsV1":{fields}}},{{"manager":"kubectl","operation":"Apply","fieldsV1":{fields}}}]}},"spec":{{"replicas":3,"selector":{{"matchLabels":{{"app.kubernetes.io/name":"{repo}"}}}},"template":{{"metadata":{{"labels":{{"app.kubernetes.io/name":"{repo}"}}}},"spec":{{"containers":[{{"name":"web","image":"{image}","ports":[{{"name":"http","containerPort":8080,"protocol":"TCP"}}],"env":[{{"name":"DATABASE_URL","valueFrom":{{"secretKeyRef":{{"name":"{repo}","key":"url"}}}}}},{{"name":"LOG","value":"info,web=debug"}}],"resources":{{"requests":{{"cpu":"100m","memory":"128Mi"}},"limits":{{"memory":"256Mi"}}}},"readinessProbe":{{"httpGet":{{"path":"/readyz","port":"http","scheme":"HTTP"}},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent","securityContext":{{"runAsNonRoot":true,"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false,"capabilities":{{"drop":["ALL"]}}}}}}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","securityContext":{{}},"schedulerName":"default-scheduler"}}}},"strategy":{{"type":"RollingUpdate","rollingUpdate":{{"maxUnavailable":"25%","maxSurge":"25%"}}}},"revisionHistoryLimit":10,"progressDeadlineSeconds":600}},"status":{{"observedGeneration":12,"replicas":3,"updatedReplicas":3,"readyReplicas":3,"availableReplicas":3,"conditions":[{{"type":"Available","status":"True","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z","reason":"MinimumReplicasAvailable","message":"Deployment has minimum availability."}},{{"type":"Progressing","status":"True","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z","reason":"NewReplicaSetAvailable","message":"ReplicaSet has successfully progressed."}}]}}}}"#
        )
    }
}

/// What the server has now. It forgets where a watch began when that changes, so that everything is listed anew.
struct World {
    shape: Shape,
    count: AtomicUsize,
    /// The build that each Deployment runs, and the version of all of them.
    build: AtomicU64,
}

impl World {
    fn page(&self, from: usize, limit: usize) -> String {
        let (count, build) = (self.now(&self.count), self.build.load(Ordering::SeqCst));
        let to = count.min(from + limit);
        let objects: Vec<String> = (from..to)
            .map(|n| self.shape.deployment(n, build))
            .collect();
        let next = if to < count {
            to.to_string()
        } else {
            String::new()
        };
        let objects = objects.join(",");
        format!(
            r#"{{"metadata":{{"resourceVersion":"{build}","continue":"{next}"}},"items":[{objects}]}}"#
        )
    }

    fn now(&self, of: &AtomicUsize) -> usize {
        of.load(Ordering::SeqCst)
    }

    /// Answers until the client hangs up.
    fn serve(&self, stream: &TcpStream) -> Outcome {
        let mut reader = BufReader::new(stream);
        let mut out = stream;
        loop {
            let mut target = String::new();
            if reader.read_line(&mut target)? == 0 {
                return Ok(());
            }
            let mut line = String::new();
            while reader.read_line(&mut line)? > 2 {
                line.clear();
            }
            let parameter = |name: &str| {
                let (_, query) = target.split(' ').nth(1)?.split_once('?')?;
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.find(|(key, _)| *key == name)?.1.parse().ok()
            };
            let begun: u64 = parameter("resourceVersion").unwrap_or_default() as u64;
            if target.contains("watch=") {
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                out.write_all(head.as_bytes())?;
                let seconds = parameter("timeoutSeconds").unwrap_or(25) as u64;
                let end = Instant::now() + Duration::from_secs(seconds);
                let is_deployments = target.contains("/deployments");
                while Instant::now() < end {
                    thread::sleep(Duration::from_millis(20));
                    if is_deployments && self.build.load(Ordering::SeqCst) != begun {
                        let gone =
                            "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410}}\n";
                        write!(out, "{:x}\r\n{gone}\r\n", gone.len())?;
                        break;
                    }
                }
                // As the API server does: so a view whose list took long knows that it has caught up.
                let bookmark = format!(
                    "{{\"type\":\"BOOKMARK\",\"object\":{{\"metadata\":{{\"resourceVersion\":\"{begun}\"}}}}}}\n"
                );
                write!(out, "{:x}\r\n{bookmark}\r\n", bookmark.len())?;
                out.write_all(b"0\r\n\r\n")?;
                continue;
            }
            let body = if target.contains("/deployments") {
                let from = parameter("continue").unwrap_or_default();
                self.page(from, parameter("limit").unwrap_or(500))
            } else {
                r#"{"metadata":{"resourceVersion":"1"},"items":[]}"#.to_owned()
            };
            write!(
                out,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            out.write_all(body.as_bytes())?;
        }
    }
}

/// Anonymous memory of this process, in kB: what its heaps and stacks have touched.
fn anonymous() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let words = line.into_iter().flat_map(str::split_whitespace);
    let mut numbers = words.filter_map(|word| word.parse().ok());
    numbers.next().ok_or_else(|| "no RssAnon".into())
}

/// The most anonymous memory while something goes on.
struct Watchman {
    done: Arc<AtomicBool>,
    peak: thread::JoinHandle<u64>,
}

impl Watchman {
    fn start() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let until = done.clone();
        let peak = thread::spawn(move || {
            let mut peak = 0;
            while !until.load(Ordering::SeqCst) {
                peak = peak.max(anonymous().unwrap_or_default());
                thread::sleep(Duration::from_millis(2));
            }
            peak
        });
        Self { done, peak }
    }

    fn peak(self) -> Outcome<u64> {
        self.done.store(true, Ordering::SeqCst);
        self.peak.join().map_err(|_| "the watchman died".into())
    }
}

/// Waits until the last Deployment is seen as it is now, and the list has ended.
async fn shown(watched: &WatchedCluster, world: &World) -> Outcome {
    let last = world.now(&world.count) - 1;
    let image = world.shape.image(last, world.build.load(Ordering::SeqCst));
    let scope = Scope::new(Select::Named(vec![world.shape.id(last)]));
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        // On a slow machine a list can take longer than the view counts as fresh.
        let found = watched.find(&scope).await.unwrap_or_default().workloads;
        let first = found.first();
        if first.is_some_and(|w| *w.containers[0].image == *image) {
            break;
        }
        if Instant::now() > end {
            return Err("the view does not follow".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(())
}

/// Half and nearly all of the lookups take no longer than this, in ns, the clock's own time taken off.
fn measure(watched: &WatchedCluster, scopes: &[Scope], workloads: usize) -> Outcome<[u128; 2]> {
    let mut clock: Vec<u128> = (0..LOOKUPS)
        .map(|_| Instant::now().elapsed().as_nanos())
        .collect();
    clock.sort_unstable();
    let mut took = Vec::with_capacity(scopes.len());
    for scope in scopes {
        let begun = Instant::now();
        let found = watched.find(scope).now_or_never();
        let elapsed = begun.elapsed().as_nanos();
        let found = found.ok_or("it is not answered from memory")??.workloads;
        if found.len() != workloads {
            return Err(format!("expected {workloads} workloads, found {}", found.len()).into());
        }
        took.push(elapsed.saturating_sub(clock[LOOKUPS / 2]));
    }
    took.sort_unstable();
    Ok([took[took.len() / 2], took[took.len() * 99 / 100]])
}

fn scopes(shape: Shape, branch: &str) -> Outcome<Vec<Scope>> {
    let formats = TagFormats::default();
    let scope = |at: usize| {
        // A prime apart: each is far from the one before.
        let image = shape.image(at * 61_987 % shape.identities, 9);
        let image = image.replace("_main_", &format!("_{branch}_"));
        let build = Build::parse(&image, &formats)?;
        Ok(Scope::new(Select::Build(build)))
    };
    (0..LOOKUPS).map(scope).collect()
}

/// What [`FIGURES`] are of.
async fn run(shape: Shape) -> Outcome<Vec<f64>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let world = Arc::new(World {
        shape,
        count: AtomicUsize::new(FEW),
        build: AtomicU64::new(2),
    });
    let of_server = world.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let world = of_server.clone();
            // A client that hangs up is no news.
            thread::spawn(move || world.serve(&stream).unwrap_or_default());
        }
    });
    let variable = |name: &str| (name == "K8S_URL").then(|| url.clone());
    let connection = Connection::choose(&ConnectionOptions::default(), &variable).await?;
    let settings = LiveSettings::new(IdentityKeys::default());
    let live = LiveCluster::new(&connection, settings).await?;
    let mut settings = WatchSettings::default();
    settings.live_look = false;
    let watched = WatchedCluster::start(live, settings);
    watched.synced().await;
    shown(&watched, &world).await?;
    let few = anonymous()?;

    world.count.store(MANY, Ordering::SeqCst);
    world.build.store(3, Ordering::SeqCst);
    shown(&watched, &world).await?;
    let many = anonymous()?;
    let slope = (many - few) as f64 * 1024.0 / (MANY - FEW) as f64;

    let watchman = Watchman::start();
    world.build.store(4, Ordering::SeqCst);
    let begun = Instant::now();
    shown(&watched, &world).await?;
    let relisted = begun.elapsed();
    let over = watchman.peak()?.saturating_sub(many);
    let after = anonymous()?;

    println!(
        "  {few} kB with {FEW}, {many} kB with {MANY}, the server included; all changed and listed anew in {:.1} s, {} kB more \
         afterwards",
        relisted.as_secs_f64(),
        after.saturating_sub(many)
    );
    let nothing = vec![Scope::new(Select::Named(Vec::new())); LOOKUPS];
    let mut measured = vec![slope, over as f64 / 1024.0];
    for (scopes, workloads) in [
        (nothing, 0),
        (scopes(shape, "other")?, 0),
        (scopes(shape, "main")?, MANY / shape.identities),
    ] {
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (of, nanoseconds) in took.iter_mut().zip(measure(&watched, &scopes, workloads)?) {
                of.push(nanoseconds as f64 / 1000.0);
            }
        }
        measured.extend(took.map(|mut of| percentile(&mut of, 0.5)));
    }
    Ok(measured)
}

/// What one process measures, in its order, with the unit and the goal: only the usual shape has goals.
const FIGURES: [(&str, &str, Option<f64>); 8] = [
    ("memory of a Deployment", "B", Some(1280.0)),
    ("peak of a relist above", "MiB", None),
    ("nothing is looked up, p50", "µs", None),
    ("nothing is looked up, p99", "µs", None),
    ("an identity that nobody has, p50", "µs", None),
    ("an identity that nobody has, p99", "µs", None),
    ("the workloads of an identity, p50", "µs", None),
    ("the workloads of an identity, p99", "µs", Some(10.0)),
];

/// Each of the processes has its own luck with where its memory is, and the machine has its moods: a figure is the median of
/// several, minutes apart.
const PROCESSES: usize = 6;

const SHAPES: [usize; 2] = [5_000, MANY];

/// What a process of its own measures.
fn child(identities: usize) -> Outcome<Vec<f64>> {
    let mut child = Command::new(env::current_exe()?);
    let ended = child.arg(identities.to_string()).output()?;
    let (said, errors) = (
        String::from_utf8(ended.stdout)?,
        String::from_utf8_lossy(&ended.stderr),
    );
    if !ended.status.success() {
        return Err(format!("{identities} identities: {}: {errors}", ended.status).into());
    }
    let (told, values) = said.trim_end().rsplit_once('\n').ok_or("it says nothing")?;
    println!("{identities} identities:\n{told}");
    let values: Result<Vec<f64>, _> = values.split(' ').map(str::parse).collect();
    let values = values?;
    if values.len() != FIGURES.len() {
        return Err(format!("expected {} figures, found {}", FIGURES.len(), values.len()).into());
    }
    Ok(values)
}

fn main() -> Outcome {
    let shape = env::args().skip(1).find_map(|arg| arg.parse().ok());
    let Some(identities) = shape else {
        let mut measured = SHAPES.map(|_| Vec::new());
        for _ in 0..PROCESSES {
            for (identities, processes) in SHAPES.into_iter().zip(&mut measured) {
                processes.push(child(identities)?);
            }
        }
        for (identities, processes) in SHAPES.into_iter().zip(measured) {
            for (at, (what, unit, goal)) in FIGURES.into_iter().enumerate() {
                let values: Vec<f64> = processes.iter().map(|values| values[at]).collect();
                let goal = goal.filter(|_| identities < MANY);
                let goal = goal.map_or(Goal::None, Goal::AtMost);
                let name = format!("index, {identities} identities: {what}");
                Figure::alone(&name, unit, &values, goal).record()?;
            }
        }
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let measured = runtime.block_on(run(Shape { identities }))?;
    let measured: Vec<String> = measured.iter().map(f64::to_string).collect();
    println!("{}", measured.join(" "));
    Ok(())
}
