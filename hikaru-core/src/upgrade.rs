//! What a user asks of hikaru about an image, over any port: the use cases (`run`, `users`), the steps of an upgrade under way
//! (`apply`, `attempts`), and what came of it (`report`, `shortfall`).

pub(crate) mod apply;
pub(crate) mod attempts;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod shortfall;
pub(crate) mod users;

pub use apply::apply;
pub use attempts::{Attempts, LOST_READS, LOST_WRITES, Step};
pub use report::{ATTEMPTS, Miss, NearMiss, Outcome, Overtaken, Report, Reported, near_misses};
pub use run::{candidates, upgrade};
pub use shortfall::{Shortfall, ShortfallKind, Terms};
pub use users::{FindError, Users, find};
