//! The live cluster: on the real control plane where the feature `cluster` is set, and on an API server that plays a
//! script, with the faults that a real one has too seldom.

#[cfg(feature = "cluster")]
mod added;
mod batches;
#[cfg(feature = "cluster")]
mod connections;
#[cfg(feature = "cluster")]
mod contract;
#[cfg(feature = "cluster")]
mod crowd;
mod echoes;
mod faults;
mod faults_jobs;
mod faults_watch;
#[cfg(feature = "cluster")]
mod guarded;
mod handshakes;
#[cfg(feature = "cluster")]
mod job_rules;
#[cfg(feature = "cluster")]
mod jobs;
#[cfg(feature = "cluster")]
mod revisions;
#[cfg(feature = "cluster")]
mod rig;
#[cfg(feature = "cluster")]
mod rights;
mod rollouts;
mod rotation;
mod scripted;
mod scripted_watch;
#[cfg(feature = "cluster")]
mod stories;
mod stub;
mod tls_server;
mod token_reviews;
