//! The wire types: the JSON that hikaru answers with, over HTTP and on the command line. camelCase; made from the core's
//! values, which know nothing of JSON.

mod caller;
mod hold;
mod image;
mod interface;
pub mod job;
mod problem;
mod report;
pub mod rollout;
mod upgraded;

pub use caller::Caller;
pub use hikaru_core::text::{Patience, PatienceError};
pub use hold::{RemovedMark, Unheld};
pub use image::{Build, Image, Reading, Unreadable, Users, users};
pub use interface::{Interface, cluster_error, job_refused, reason};
pub use problem::{Health, Members, Problem};
pub use report::{Container, Entry, Fault, Report, complete};
pub use upgraded::{Failed, Replaced, Upgraded, awaited, failed, upgraded};
