//! The rules of hikaru: which build may replace which on a Kubernetes workload, and the ports to a cluster.
//! No IO, no Kubernetes client, no HTTP, no serialization; five dependencies.
//!
//! CI pushes an image whose tag says what it was built from, `{owner}_{repo}_{branch}_{version}_{build}_{commit}`. This
//! crate reads it, decides for each workload whether it may have it, and says why; with the ports to a cluster it also acts,
//! so that no order of posts, retries, crashes and replicas ever moves a container backwards.
//!
//! # Read
//!
//! [`Reference`] reads image references as Docker does, [`BuildTag`] what a tag says, [`Version`] and [`Precedence`] the
//! order of builds. They are views on the text that they were read from. A [`Build`] is a posted image: owned, all of that
//! in one.
//!
//! ```
//! use hikaru_core::{Build, TagFormats};
//!
//! let build = Build::parse("ghcr.io/acme/web:acme_web_main_1.10.0_7_9f3c2ab1", &TagFormats::default())?;
//! assert_eq!(build.repository().to_string(), "ghcr.io/acme/web");
//! assert_eq!(build.tag().identity().as_str(), "acme_web_main");
//!
//! let older = Build::parse("ghcr.io/acme/web:acme_web_main_1.9.0_12_0d1e2f3a", &TagFormats::default())?;
//! assert!(build.tag().precedence() > older.tag().precedence());
//!
//! let error = Build::parse("ghcr.io/acme/web:acme_web_main_1.9.0_x_0d1e2f3a", &TagFormats::default()).unwrap_err();
//! assert_eq!(error.to_string(), "build: expected digits, found `x` at byte 20 of the tag");
//! # Ok::<(), hikaru_core::image::BuildError>(())
//! ```
//!
//! # Decide
//!
//! A [`Workload`] is plain data: what the rules read of it. [`plan()`] judges any number of them against a [`Request`] and
//! gives, for each container that has the posted repository, a [`Verdict`] with a stable [`Code`] and a sentence.
//!
//! ```
//! use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
//!     policy::Verdict, workload::{Place, Setting}};
//!
//! let build = Build::parse("acme/web:acme_web_main_1.10.0_7_9f3c2ab1", &TagFormats::default())?;
//! let runs = |name: &str, image: &str| {
//!     let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", name));
//!     workload.labels = IdentityLabels::new("acme", "web", "main");
//!     workload.containers.push(Container::new("web", image));
//!     workload
//! };
//! let mut pinned = runs("pinned", "acme/web:latest");
//! pinned.settings.push(Setting::new(Place::Label, "upgrade", "manual"));
//!
//! let plan = plan(Request::new(build.clone()), [
//!     runs("behind", "acme/web:acme_web_main_1.9.0_12_0d1e2f3a"),
//!     runs("ahead", "acme/web:acme_web_main_1.11.0_1_0d1e2f3a"),
//!     pinned,
//! ]);
//! let told: Vec<String> = plan.entries.iter().map(|entry| {
//!     let judged = &entry.containers[0];
//!     format!("{} {}: {}", entry.workload.id.name, judged.code, judged.reason)
//! }).collect();
//! assert_eq!(told, [
//!     "ahead obsolete: runs 1.11.0_1, higher than the posted 1.10.0_7",
//!     "behind upgrade: 1.10.0_7 follows 1.9.0_12",
//!     "pinned manual: opted out by the label hikaru.dev/upgrade: manual",
//! ]);
//! assert_eq!(plan.entries[1].verdict(), Verdict::Upgrade);
//! # Ok::<(), hikaru_core::image::BuildError>(())
//! ```
//!
//! # Act
//!
//! An entry that is to be upgraded has a [`Change`]. Only the policy makes one, and it knows all that its verdict read, so
//! it can be written to exactly that state or not at all. [`upgrade()`] does the whole of it over a [`WorkloadPort`]: find,
//! plan, write, and where somebody was faster, read and judge again.
//!
//! [`WorkloadPort`] has five methods to implement, and the smallest port as its example; [`JobPort`](port::JobPort) is the port to
//! Jobs. Feature `testing` brings clusters in memory, mocks for expectations on calls, a clock that stands still, and `contract`, the
//! suite that says whether an adapter of yours keeps what the guarantee needs. Without async code, drive [`Attempts`] step by
//! step.
//!
//! ```
//! # futures_util::FutureExt::now_or_never(async {
//! # use hikaru_core::{Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId, upgrade, testing::{MemoryCluster, StillClock}, upgrade::Outcome};
//! # let build = Build::parse("acme/web:acme_web_main_1.10.0_7_9f3c2ab1", &TagFormats::default()).unwrap();
//! # let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
//! # web.labels = IdentityLabels::new("acme", "web", "main");
//! # web.containers.push(Container::new("web", "acme/web:latest"));
//! # let cluster = MemoryCluster::default();
//! # cluster.put(web);
//! let report = upgrade(&cluster, &StillClock::default(), Request::new(build), Mode::Commit).await.unwrap();
//! assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
//! # }).unwrap();
//! ```
//!
//! # Where to go on
//!
//! The examples `decide` (decide only) and `own_port` (decide and act on a port of one's own) are whole programs.
//! hikaru-k8s has adapters for a live cluster and for a folder of manifests.
//!
//! [`Attempts`]: upgrade::Attempts
//! [`BuildTag`]: image::BuildTag
//! [`Change`]: policy::Change
//! [`WorkloadPort`]: port::WorkloadPort
//! [`Code`]: policy::Code
//! [`Precedence`]: image::Precedence
//! [`Reference`]: image::Reference
//! [`Verdict`]: policy::Verdict
//! [`Version`]: image::Version

pub mod caller;
pub mod image;
pub mod jobs;
pub mod policy;
pub mod port;
pub mod rollout;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod upgrade;
pub mod workload;

pub use image::{Build, TagFormats};
pub use policy::{Request, plan};
pub use port::Mode;
pub use upgrade::upgrade;
pub use workload::{Container, IdentityLabels, Workload, WorkloadId};

use std::sync::Arc;

/// A shared text: an adapter hands out the strings that it has interned, so nothing is copied for a workload.
pub type Text = Arc<str>;

/// Compiles and runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
