//! The limits of the server, each with the reason for its default. They are enforced in `serve` and `api`.

use std::time::Duration;

use crate::wire;

/// The usual limit on header fields is hyper's own, which costs a request least.
pub const HEADERS: usize = 100;

/// How much the server takes on. [`Limits::default`] suits a service that a CI calls.
///
/// ```
/// use std::time::Duration;
/// let mut limits = hikaru_http::Limits::default();
/// limits.answer = Duration::from_secs(60);
/// assert_eq!(limits.connections, 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many header fields a request may have; more are answered 431. Default [`HEADERS`]: a browser sends about 20,
    /// proxies add a handful.
    pub headers: usize,
    /// How many bytes a request's line and header may have together, about: what arrives at once may be a
    /// little more. Beyond are answered 431, or 414 where this is above 64 KiB. Default 32 KiB: an
    /// image of 5,000 characters, each percent-encoded, is 15,000. At least 8 KiB, which is hyper's least.
    pub header_bytes: usize,
    /// How long a connection may take to send a request's header, and so how long an idle one is kept. Default 30 s.
    pub header_time: Duration,
    /// The largest body, in bytes; more is answered 413. Default 64 KiB. Most routes read none: a small one is tolerated
    /// and passed over.
    pub body_bytes: u64,
    /// The largest definition of a Job, in bytes; more is answered 413. Default 1 MiB, and no more than that: an API
    /// server takes objects of about 1.5 MB.
    pub job_bytes: u64,
    /// How long a body that is read may take to arrive, and how long a request waits for its turn to send one. Default
    /// 30 s: 1 MiB in that time is a slow line.
    pub body_time: Duration,
    /// How many Jobs are read and created at once; more wait their turn. Default 8: each holds its definition in memory,
    /// and what an adapter makes of it, some megabytes. At least 1.
    pub jobs: usize,
    /// How many answers with the logs of a Job are held at once; more wait for a place as long as a body may take to arrive,
    /// then they are 503. Default 4: each is 4 MiB until its client has taken it, and twice that while it is made. At
    /// least 1.
    pub job_logs: usize,
    /// How long a request may take until it is answered; then the answer is 504, while an upgrade that was begun goes on.
    /// Default 5 min: an upgrade of thousands of workloads takes that long on a slow API server. A caller that waits for a rollout or
    /// a Job to end has the time that it asked for besides.
    pub answer: Duration,
    /// How long a client may take until it has a whole answer; then its connection is closed. Default 60 s: an answer of a
    /// megabyte in that time is a slow line.
    pub write_time: Duration,
    /// How many bytes of heads of requests are held that are not whole yet, all together; beyond it the connection is closed
    /// that has waited the longest for its own. Default 8 MiB.
    pub heads_bytes: usize,
    /// How many bytes of answers are held for clients that have not taken them yet, all together; beyond it the connection
    /// that has been taking its answer the longest is closed. Default 16 MiB.
    pub answers_bytes: usize,
    /// How many connections are open at once. Default 1,024: each takes about 15 KiB, and a file descriptor, so that a
    /// process with few of those should take fewer. For one more the connection is closed that has sent no whole
    /// head of a request for the longest. If all are busy with requests, an eighth more is accepted, on which probes are
    /// answered, and everything else is 503 with `Retry-After`.
    pub connections: usize,
    /// The same for the listener of probes and metrics, where there is one. Default 64.
    pub probe_connections: usize,
    /// How many requests read the cluster at once for `/api/candidates` and `/api/image`; more wait their turn. Default
    /// 16: each holds all that it finds, until its answer is made. At least 1.
    pub reads: usize,
    /// How many requests look at rollouts at once, for `/api/rollout` and `/api/status`; more wait their turn. They take no permit
    /// of an upgrade. Default 16: a status of a whole cluster holds a row for each workload. At least 1.
    pub rollouts: usize,
    /// How many requests wait for rollouts or Jobs to end at once; one more is 503 with `Retry-After` before it has done anything.
    /// Each holds a connection, so this should be a quarter of those at most. Default 256. At least 1.
    pub waits: usize,
    /// How many upgrades run at once; more wait their turn, in the order of their arrival. Default 8: they outlive their
    /// connections, so the limit on those does not bound them, and one of 2,000 workloads holds 5 MiB. At least 1.
    pub upgrades: usize,
    /// How long new connections are still accepted once a drain has begun, with `/readyz` answering 503: time for a load
    /// balancer to look elsewhere. Default 0.
    pub drain_delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            headers: HEADERS,
            header_bytes: 32 * 1024,
            header_time: Duration::from_secs(30),
            body_bytes: 64 * 1024,
            job_bytes: wire::job::LONGEST_DEFINITION as u64,
            body_time: Duration::from_secs(30),
            jobs: 8,
            job_logs: 4,
            answer: Duration::from_secs(300),
            write_time: Duration::from_secs(60),
            heads_bytes: 8 * 1024 * 1024,
            answers_bytes: 16 * 1024 * 1024,
            connections: 1024,
            probe_connections: 64,
            reads: 16,
            rollouts: 16,
            waits: 256,
            upgrades: 8,
            drain_delay: Duration::ZERO,
        }
    }
}
