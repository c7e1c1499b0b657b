//! The ports: what the rules need of a cluster, and its errors. Adapters implement them; nothing here knows of Kubernetes' API,
//! files or HTTP.

pub(crate) mod changes;
pub(crate) mod clock;
pub(crate) mod confined;
pub(crate) mod error;
pub(crate) mod found;
pub(crate) mod freshness;
pub(crate) mod jobs;
pub(crate) mod observer;
pub(crate) mod rollouts;
pub(crate) mod scope;
pub(crate) mod seen;
pub(crate) mod token_reviews;
pub(crate) mod workloads;

pub use changes::{Changed, Changes};
pub use clock::Clock;
pub use confined::Confined;
pub use error::ClusterError;
pub use found::{Fault, Found, Severity, Written};
pub use freshness::Freshness;
#[cfg(feature = "testing")]
pub use jobs::MockJobPort;
pub use jobs::{JobPods, JobPort};
pub use observer::{Event, Happening, Observer};
#[cfg(feature = "testing")]
pub use rollouts::MockRolloutPort;
pub use rollouts::RolloutPort;
pub use scope::{Scope, Select};
pub use seen::Seen;
#[cfg(feature = "testing")]
pub use token_reviews::MockTokenReviewPort;
pub use token_reviews::{TokenReviewPort, TokenUser};
#[cfg(feature = "testing")]
pub use workloads::MockWorkloadPort;
pub use workloads::{Mode, WorkloadPort};
