//! Who may deploy, on the real control plane: jobs of CI systems with tokens of the tests' own issuer, which run the scripts of
//! docs/callers.md as they stand there. Changes of the file are in `changes`, ServiceAccounts and narrowed callers in `seen`.

mod changes;
mod seen;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::Arc,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::scene::{Scene, workload};
use crate::{
    issuer::{Issuer, Signs},
    serve::{Answer, Server},
};

const DOCUMENT: &str = include_str!("../../../../docs/callers.md");

/// The page with the scripts of pipelines, which take their token from a variable.
const PIPELINES: &str = include_str!("../../../../docs/ci.md");

/// The audience that the document chooses.
const AUDIENCE: &str = "hikaru-prod";

/// The commit of all builds.
const COMMIT: &str = "9f3c2ab19f3c2ab19f3c2ab19f3c2ab19f3c2ab1";

/// An image of `ghcr.io/acme/shop` with this identity and build.
fn image(identity: &str, build: u64) -> String {
    format!("ghcr.io/acme/shop:{identity}_1.4.0_{build}_9f3c2ab1")
}

/// A Deployment of this name without pods, with these three labels, that runs build 1 of them.
fn deployment(name: &str, labels: [&str; 3]) -> String {
    let [owner, repo, branch] = labels;
    let text = format!("owner: {owner}, repo: {repo}, branch: {branch}");
    let first = image(&labels.join("_"), 1);
    workload("Deployment", name, &text, 0, &first)
}

/// A file of callers, and the issuer that it trusts. In the file `ISSUER` stands for the issuer's address, `NAMESPACE` for the scene's
/// namespace, and the issuer's certificates are in `ca.pem`.
struct Office {
    issuer: Arc<Issuer>,
    folder: TempDir,
    namespace: String,
}

impl Office {
    /// The issuer has an address as that of an Enterprise Server of GitHub: so the address of a run can be known.
    fn new(scene: &Scene, file: &str) -> Self {
        let issuer = Issuer::start_at("/_services/token", Signs::Rs256);
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("ca.pem"), issuer.ca()).expect("written");
        let office = Self {
            issuer: Arc::new(issuer),
            folder,
            namespace: scene.namespace.clone(),
        };
        office.write(file);
        office
    }

    fn path(&self) -> String {
        let path = self.folder.path().join("callers.yaml");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Replaces the file.
    fn write(&self, file: &str) {
        let file = file.replace("ISSUER", self.issuer.url());
        let file = file.replace("NAMESPACE", &self.namespace);
        let new = self.folder.path().join("new");
        fs::write(&new, file).expect("written");
        fs::rename(&new, self.path()).expect("renamed");
    }

    /// A service on the cluster whose callers are those of the file.
    fn serve(&self, scene: &Scene) -> Server {
        let kubeconfig = scene.cluster.kubeconfig();
        let args = ["--kubeconfig", kubeconfig.to_str().expect("UTF-8")];
        Server::start(&args, &[("HIKARU_CALLERS_FILE", &self.path())]).ready()
    }

    /// A token of GitHub for a job of this repository on main.
    fn github(&self, repository: &str) -> String {
        let claims = self.issuer.github(AUDIENCE, repository, "main", COMMIT);
        self.issuer.token(&claims)
    }
}

/// A header with a token.
fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Posts an image with a token.
#[track_caller]
fn post(server: &Server, image: &str, query: &str, token: &str) -> Answer {
    let path = format!("/api/image/{image}{query}");
    let answer = server.request("POST", &path, &bearer(token));
    answer.expect("an answer")
}

/// The detail of a problem of this status and type.
#[track_caller]
fn refused(answer: Answer, status: u16, problem: &str) -> String {
    let problem = (
        answer.is(status).json(),
        format!("urn:hikaru:problem:{problem}"),
    );
    assert_eq!(problem.0["type"], *problem.1, "{}", problem.0);
    problem.0["detail"].as_str().expect("a detail").to_owned()
}

/// What GitHub gives a job that may ask for tokens: where it asks, and with which token.
struct TokenEndpoint {
    url: String,
}

/// The token of the endpoint.
const REQUEST_TOKEN: &str = "the-token-of-the-runner";

impl TokenEndpoint {
    /// An endpoint that gives the token for an audience. It runs until the test's process ends.
    fn start(token: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that has gone wants no answer.
                let _ = answer(stream, &token);
            }
        });
        let url = format!("http://{address}/idtoken/a-job?api-version=2.0");
        Self { url }
    }
}

fn answer(stream: TcpStream, token: &impl Fn(&str) -> String) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let target = head.split(' ').nth(1).unwrap_or_default();
    let audience = target
        .rsplit_once("&audience=")
        .map(|(_, audience)| audience);
    let may = head.lines().any(|line| {
        let value = line
            .split_once(": ")
            .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        value.is_some_and(|(_, value)| value == format!("Bearer {REQUEST_TOKEN}"))
    });
    let (status, body) = match audience.filter(|_| may) {
        Some(audience) => (
            200,
            json!({"count": 1857, "value": token(audience)}).to_string(),
        ),
        None => (401, String::new()),
    };
    let length = body.len();
    write!(
        stream.get_mut(),
        "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The script of a section of the document.
fn script(section: &str) -> &'static str {
    let heading = format!("\n## {section}\n");
    let (_, text) = DOCUMENT.split_once(&*heading).expect(section);
    let text = text.split("\n## ").next().unwrap_or_default();
    let script = text.split("```sh\n").nth(1).expect("a script");
    script.split("\n```").next().expect("an end")
}

/// The script of docs/ci.md that shows the progress, with a new token of GitHub for each call, as the page on callers says.
fn progress_with_tokens_of_github() -> String {
    let (_, script) = PIPELINES.split_once("```bash\n").expect("a script");
    let script = script.split("\n```").next().expect("an end");
    let (_, token) = self::script("GitHub Actions")
        .split_once("token() {")
        .expect("a function");
    let (token, _) = token.split_once("\n}\n").expect("its end");
    format!(
        "token() {{{token}\n}}\n{}",
        script.replace("$TOKEN", "$(token)")
    )
}

/// Runs a script with this shell, as a step of a job does: its exit code, and what it has written.
fn run(
    shell: &str,
    script: &str,
    server: &Server,
    image: &str,
    variables: &[(&str, &str)],
) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(shell)
        .args(["-eu", "-c", script])
        .current_dir(folder.path())
        .env("HIKARU", format!("http://{}", server.address()))
        .env("IMAGE", image)
        .envs(variables.iter().copied())
        .output();
    let output = output.expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    (output.status.code(), said)
}

/// The lines of the log that name this caller.
fn lines_of(server: &Server, caller: &str) -> Vec<Value> {
    let log = server.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["caller"] == caller)
        .collect()
}

#[test]
fn a_job_of_github_deploys_its_own_repository_and_nothing_else() {
    let scene = Scene::new("github");
    // With a readiness probe it is complete as soon as it is ready.
    let shop = deployment("shop", ["acme", "shop", "main"]).replace("replicas: 0", "replicas: 1");
    let first = format!("\"{}\"", image("acme_shop_main", 1));
    let shop = shop.replace(
        &first,
        &format!("{first}, readinessProbe: {{httpGet: {{port: 80}}}}"),
    );
    scene.apply(&[
        shop,
        deployment("blog", ["acme", "blog", "main"]),
        deployment("shop-dev", ["acme", "shop", "dev"]),
    ]);
    let office = Office::new(
        &scene,
        "trusts:\n- {name: github, kind: github, issuer: ISSUER, ca: ca.pem, audience: hikaru-prod, owners: [65], rights: [upgrade], \
         namespaces: [NAMESPACE]}\n",
    );
    let server = office.serve(&scene);
    let issuer = office.issuer.clone();
    let endpoint = TokenEndpoint::start(move |audience| {
        issuer.token(&issuer.github(audience, "acme/shop", "main", COMMIT))
    });
    let variables = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &*endpoint.url),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", REQUEST_TOKEN),
    ];
    let script = script("GitHub Actions");

    let good = image("acme_shop_main", 2);
    let (code, said) = run("sh", script, &server, &good, &variables);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\"state\":\"complete\""), "{said}");
    assert_eq!(
        scene.images("deployment", "shop"),
        std::slice::from_ref(&good)
    );

    let progress = progress_with_tokens_of_github();
    let (code, said) = run("bash", &progress, &server, &good, &variables);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("data: {\"status\":200,"), "{said}");

    let of_another_commit = good.replace("9f3c2ab1", "0123abcd").replace("_2_", "_3_");
    for (image, line) in [
        (image("acme_blog_main", 2), 0),
        (image("acme_shop_dev", 2), 1),
        (of_another_commit, 2),
        (image("acme_shop_HEAD", 2), 3),
    ] {
        let (code, said) = run("sh", script, &server, &image, &variables);
        assert_eq!(code, Some(1), "{said}");
        let problem: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
        assert_eq!(problem["type"], "urn:hikaru:problem:not-allowed", "{said}");
        assert_eq!(problem["detail"], REFUSED[line]);
    }
    let token = office.github("acme/shop");
    let lower = image("acme_shop_main", 1);
    let forced = post(&server, &lower, "?force=obsolete", &token);
    assert_eq!(refused(forced, 403, "not-allowed"), REFUSED[4]);
    // The claims of another owner, of another event, for another audience.
    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = office.issuer.github(AUDIENCE, "acme/shop", "main", COMMIT);
        change(&mut claims);
        office.issuer.token(&claims)
    };
    for (token, status, problem, line) in [
        (
            claims(&|claims| claims["repository_owner_id"] = json!("66")),
            403,
            "not-allowed",
            5,
        ),
        (
            claims(&|claims| claims["event_name"] = json!("pull_request_target")),
            403,
            "not-allowed",
            6,
        ),
        (
            claims(&|claims| claims["aud"] = json!("hikaru-dev")),
            401,
            "unauthorized",
            7,
        ),
    ] {
        let answer = post(&server, &good, "", &token);
        assert_eq!(refused(answer, status, problem), REFUSED[line]);
    }
    for detail in REFUSED {
        assert!(DOCUMENT.contains(detail), "docs/callers.md lacks: {detail}");
    }
    assert_eq!(scene.images("deployment", "shop"), [good]);
    assert_eq!(
        scene.images("deployment", "blog"),
        [image("acme_blog_main", 1)]
    );
    assert_eq!(
        scene.images("deployment", "shop-dev"),
        [image("acme_shop_dev", 1)]
    );
    scene.images_only_rise();

    // Each line says who it was, and none has a token.
    let lines = lines_of(&server, "github");
    assert!(lines.len() >= 6, "{lines:?}");
    let host = office.issuer.url().strip_suffix("/_services/token");
    let run = format!(
        "{}/acme/shop/actions/runs/1658821493",
        host.expect("a host")
    );
    for line in &lines {
        assert_eq!(line["issuer"], *office.issuer.url(), "{line}");
        assert_eq!(
            line["subject"], "repo:acme/shop:ref:refs/heads/main",
            "{line}"
        );
        assert_eq!(line["run"], *run, "{line}");
    }
    let log = server.log();
    let (_, signature) = token.rsplit_once('.').expect("a JWT");
    assert!(
        !log.contains(signature) && !log.contains(&token[..40]),
        "{log}"
    );
}

/// What jobs of acme/shop are told that may not do what they ask for.
const REFUSED: [&str; 8] = [
    "the caller github: the token is for owner acme, repo shop, branch main, and the tag is of owner acme, repo blog, branch main",
    "the caller github: the token is for owner acme, repo shop, branch main, and the tag is of owner acme, repo shop, branch dev",
    "the caller github: the token is for the commit 9f3c2ab19f3c2ab19f3c2ab19f3c2ab19f3c2ab1, and the tag is of 0123abcd",
    "the caller github: the token is for owner acme, repo shop, branch main, and the tag is of owner acme, repo shop, branch HEAD (HEAD \
     is what git says of a detached checkout: CI has to check the branch out before the image is tagged)",
    "the caller github lacks the right force:obsolete",
    "the trust github does not admit the token: expected `repository_owner_id` to be 65, found `66`",
    "the trust github does not admit the token: expected `event_name` to be push, found `pull_request_target`",
    "the token is not valid: expected the audience hikaru-prod, found `hikaru-dev`",
];

/// The tag acme_my_service_main is read as acme, my_service and as acme_my, service.
#[test]
fn a_job_of_gitlab_upgrades_its_own_project_where_a_tag_has_two_readings() {
    let scene = Scene::new("gitlab");
    scene.apply(&[
        deployment("of-acme", ["acme", "my_service", "main"]),
        deployment("of-acme-my", ["acme_my", "service", "main"]),
    ]);
    let office = Office::new(
        &scene,
        "trusts:\n- {name: gitlab, kind: gitlab, issuer: ISSUER, ca: ca.pem, audience: hikaru-prod, owners: [72], protected: true, rights: \
         [upgrade], namespaces: [NAMESPACE]}\n",
    );
    let server = office.serve(&scene);
    let script = script("GitLab CI");
    let token = |project: &str, branch: &str| {
        let claims = office.issuer.gitlab(AUDIENCE, project, branch, COMMIT);
        office.issuer.token(&claims)
    };
    let both = ["of-acme", "of-acme-my"];
    let images = || both.map(|name| scene.images("deployment", name).concat());
    let build = |n| image("acme_my_service_main", n);
    for (project, n, expected) in [
        ("acme_my/service", 2, [build(1), build(2)]),
        ("acme/my_service", 3, [build(3), build(2)]),
        ("Acme_My/Service", 4, [build(3), build(4)]),
    ] {
        let variables = [("TOKEN", &*token(project, "main"))];
        let (code, said) = run("sh", script, &server, &build(n), &variables);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(images(), expected, "{said}");
    }
    // Without a reading that is its own, or a branch that is.
    for (token, image, words) in [
        (
            token("acme/service", "main"),
            build(5),
            "however it is read",
        ),
        (
            token("acme_my/service", "dev"),
            build(5),
            "repo service, branch dev",
        ),
        (
            token("acme_my/service", "main"),
            image("acme_my_service_HEAD", 5),
            "HEAD is what git says of a detached checkout",
        ),
    ] {
        let (code, said) = run("sh", script, &server, &image, &[("TOKEN", &*token)]);
        assert_eq!(code, Some(22), "{said}");
        assert!(
            said.contains(words) && said.contains("not-allowed"),
            "{said}"
        );
    }
    let mut claims = office
        .issuer
        .gitlab(AUDIENCE, "acme_my/service", "main", COMMIT);
    claims["ref_protected"] = json!("false");
    let answer = post(&server, &build(5), "", &office.issuer.token(&claims));
    let detail = refused(answer, 403, "not-allowed");
    assert!(detail.contains("`ref_protected`"), "{detail}");
    assert_eq!(images(), [build(3), build(4)]);
    let lines = lines_of(&server, "gitlab");
    let job = format!("{}/acme_my/service/-/jobs/302", office.issuer.url());
    assert!(lines.iter().any(|line| line["run"] == *job), "{lines:?}");
}
