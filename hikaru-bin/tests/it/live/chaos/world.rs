//! The small world of the chaos: five identities, three of them with a repository of their own, fifty Deployments, and
//! the ladder of builds that is posted. What an image says is read here by hand: the rules under test are not asked.

use std::fmt::Write as _;

/// Owner, repo, branch. The first two share their repositories.
pub(super) const IDENTITIES: [[&str; 3]; 5] = [
    ["acme", "web", "main"],
    ["acme", "web", "dev"],
    ["acme", "api", "main"],
    ["acme", "cart", "main"],
    ["shop", "api", "main"],
];

pub(super) const NAMESPACES: [&str; 2] = ["red", "blue"];

pub(super) const DEPLOYMENTS: usize = 50;

/// From here on a person scales and sets variables, and leaves images, labels and settings alone.
pub(super) const QUIET: usize = 40;

/// How many builds a version has: past nine, as text sorts them otherwise.
const BUILDS: u64 = 12;

/// Whose container an image is made for: one source repository, two images, the same tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    App,
    Worker,
}

pub(super) fn repository(identity: usize, part: Part) -> String {
    let [owner, repo, _] = IDENTITIES[identity];
    let suffix = match part {
        Part::App => "",
        Part::Worker => "-worker",
    };
    format!("registry.example/{owner}/{repo}{suffix}")
}

/// The image of a rung of the ladder. `commit` tells two builds of one number apart.
pub(super) fn image(identity: usize, part: Part, rung: u64, commit: u64) -> String {
    let [owner, repo, branch] = IDENTITIES[identity];
    let (minor, build) = (8 + rung / BUILDS, 1 + rung % BUILDS);
    let commit = (rung * 31 + 7) * 10 + commit;
    format!(
        "{}:{owner}_{repo}_{branch}_1.{minor}.0_{build}_{commit:08x}",
        repository(identity, part)
    )
}

/// Which rung a build is of.
pub(super) fn rung(rank: Rank) -> u64 {
    (rank.version[1].saturating_sub(8)) * BUILDS + rank.build - 1
}

/// `namespace/name` of a Deployment.
pub(super) fn object(number: usize) -> String {
    format!("{}/web-{number:02}", NAMESPACES[number % 2])
}

/// Its manifest, in JSON.
pub(super) fn manifest(number: usize) -> serde_json::Value {
    let identity = number % IDENTITIES.len();
    let [owner, repo, branch] = IDENTITIES[identity];
    let start = |part| {
        let repository = repository(identity, part);
        match number % 4 {
            0 => format!("{repository}:latest"),
            1 => image(identity, part, 0, 0),
            2 => format!("{repository}:1.0.0"),
            _ => repository,
        }
    };
    let env = serde_json::json!([{"name": "MODE", "value": "first"}]);
    let mut containers = vec![
        serde_json::json!({"name": "proxy", "image": "registry.example/proxy:2.0"}),
        serde_json::json!({"name": "app", "image": start(Part::App), "env": env}),
    ];
    if number.is_multiple_of(2) {
        containers.push(serde_json::json!({"name": "worker", "image": start(Part::Worker)}));
    }
    let mut pod = serde_json::json!({"containers": containers});
    if number % 10 == 3 {
        pod["initContainers"] =
            serde_json::json!([{"name": "migrate", "image": start(Part::Worker)}]);
    }
    let object = object(number);
    let (namespace, name) = object.split_once('/').expect("a namespace");
    serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "namespace": namespace, "name": name,
            "labels": {"owner": owner, "repo": repo, "branch": branch, "tier": "shop"},
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    })
}

/// What an image says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told<'a> {
    pub(super) repository: &'a str,
    pub(super) tag: Tag<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag<'a> {
    Build {
        identity: &'a str,
        rank: Rank,
        commit: &'a str,
    },
    Version([u64; 3]),
    Floating,
}

/// The order of builds: version, then build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) version: [u64; 3],
    pub(super) build: u64,
}

impl<'a> Told<'a> {
    pub(super) fn of(image: &'a str) -> Self {
        let (repository, tag) = image.rsplit_once(':').unwrap_or((image, ""));
        let tag = match (build(tag), version(tag)) {
            (Some(build), _) => build,
            (None, Some(version)) => Tag::Version(version),
            (None, None) => Tag::Floating,
        };
        Self { repository, tag }
    }

    pub(super) fn build(image: &'a str) -> Option<(&'a str, Rank)> {
        match Self::of(image).tag {
            Tag::Build { identity, rank, .. } => Some((identity, rank)),
            _ => None,
        }
    }
}

fn build(tag: &str) -> Option<Tag<'_>> {
    let mut parts = tag.rsplitn(4, '_');
    let (commit, number, text, identity) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let rank = Rank {
        version: version(text)?,
        build: number.parse().ok()?,
    };
    Some(Tag::Build {
        identity,
        rank,
        commit,
    })
}

fn version(text: &str) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = text.split('.').map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// A high-water mark: what was deployed, and the hash of whose it is.
pub(super) fn mark(value: &str) -> Option<(Rank, &str)> {
    let mut parts = value.rsplitn(3, '_');
    let (hash, build, text) = (parts.next()?, parts.next()?, parts.next()?);
    let rank = Rank {
        version: version(text)?,
        build: build.parse().ok()?,
    };
    Some((rank, hash))
}

/// The hash of a mark: FNV-1a of the repository, a line feed and the identity.
pub(super) fn hash(repository: &str, identity: &str) -> String {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in format!("{repository}\n{identity}").bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let mut text = String::new();
    let _ = write!(text, "{hash:08x}");
    text
}
