//! `hikaru serve`: listener, tokens, signals. What is answered is decided in hikaru-http.

mod callers;
mod lines;

use std::{io::IsTerminal as _, net::SocketAddr, sync::Arc};

use callers::{CALLERS_FILE, CallerFigures, Known, Sources, TOKEN, TOKEN_FILE};
use hikaru_core::TagFormats;
use hikaru_http::{Authentication, Bound, Callers, Draining, Limits};
use hikaru_k8s::SystemClock;
use rustix::process::{Resource, getrlimit};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{Signal, SignalKind, signal},
};
use tracing::{info, warn};

use super::{End, Exit, Failure};
use crate::{
    args::{Args, Log, LogFormat, Serve},
    cluster::{self, Settings, Watched},
    metrics::{Figures, Measured},
};

/// How many connections wait to be accepted at most, if the system allows so many.
const BACKLOG: u32 = 4096;

pub(super) fn run(args: &Serve) -> Result<End, Failure> {
    log(args.log, args.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let formats = super::formats()?;
    let known = known(args, &|name| std::env::var(name).ok())?;
    runtime.block_on(serve(args, formats, known))
}

async fn serve(args: &Serve, formats: TagFormats, known: Option<Known>) -> Result<End, Failure> {
    let mut signals =
        Signals::new().map_err(|error| format!("cannot listen to signals: {error}"))?;
    let is_for_all = known.is_none() && !args.insecure_no_auth;
    if is_for_all && !args.listen.ip().is_loopback() {
        let message = format!(
            "--listen {}: without a token hikaru listens on a loopback address only: set {TOKEN}, {TOKEN_FILE} or \
             {CALLERS_FILE}, or --insecure-no-auth if the network is protected by other means",
            args.listen
        );
        Args::usage_error("serve", &message);
    }
    let settings = Settings::read()?;
    let Watched { ports, seen } = cluster::watch(&args.cluster, &settings).await?;
    let reviews_tokens = seen.as_ref().map(|(_, live)| Arc::new(live.clone()));
    let clock = Arc::new(SystemClock::default());
    let figures_of_callers = CallerFigures::default();
    let figures = Figures::new(seen, |registry| {
        if known.is_some() {
            figures_of_callers.register(registry);
        }
    });
    let figures = Arc::new(figures);
    let cluster = Arc::new(Measured::new(ports.workloads, figures.clone()));
    let listener = listen(args.listen)?;
    let probes = args.probe_listen.map(listen).transpose()?;
    let authentication = match known {
        Some(known) => {
            let mut callers = Callers::new(known.set().clone(), clock.clone());
            match reviews_tokens {
                Some(live) => callers = callers.token_reviews(live),
                None if known.trusts_service_accounts() => warn!(
                    "a folder has no ServiceAccounts: trusts of kind: kubernetes admit nobody beside --manifests"
                ),
                None => {}
            }
            let callers = Arc::new(callers);
            known.follow(callers.clone(), figures_of_callers);
            Authentication::Callers(callers)
        }
        None if args.insecure_no_auth => {
            warn!("no authentication: whoever reaches this address can deploy");
            Authentication::Insecure
        }
        None => Authentication::Loopback,
    };
    let descriptors = getrlimit(Resource::Nofile).current;
    let limits = limits(descriptors);
    info!(
        descriptors,
        connections = limits.connections,
        "connections are served at once, at most half of RLIMIT_NOFILE"
    );
    let mut bound = Bound::new(listener, cluster, clock, authentication)
        .map_err(|error| error.to_string())?
        .jobs(ports.jobs)
        .rollouts(ports.rollouts)
        .formats(formats)
        .limits(limits)
        .kinds(settings.kind_names())
        .metrics(figures.clone())
        .observer(figures);
    if let Some(listener) = probes {
        let address = listener.local_addr();
        let address = address.map_err(|error| format!("the listener has no address: {error}"))?;
        info!(%address, "listening for probes and metrics");
        bound = bound.probes(listener);
    }
    info!(address = %bound.address(), version = env!("CARGO_PKG_VERSION"), "listening");
    let serving = bound.serve();
    let first = signals.next().await;
    info!(
        signal = first,
        "draining: what was begun is finished, a second signal aborts"
    );
    let mut draining: Draining = serving.drain();
    tokio::select! {
        () = draining.finished() => {
            info!("drained");
            Ok(End::Done)
        }
        second = signals.next() => {
            let unfinished = draining.abort();
            warn!(signal = second, unfinished, "aborted: repeating upgrades is safe");
            let why = format!("aborted by {second}, {unfinished} upgrades or Jobs were not finished");
            Ok(End::Failed(Failure::new(Exit::Repeat, why)))
        }
    }
}

/// Opens a listener. Many clients can wait to be accepted; the system drops the others, and they try again a second later.
fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let listener = listener.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    });
    listener.map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// The limits of a process that may have so many file descriptors. Those who wait leave three quarters of the connections to others.
fn limits(descriptors: Option<u64>) -> Limits {
    let mut limits = Limits::default();
    limits.connections = share(descriptors, 2, limits.connections);
    limits.probe_connections = share(descriptors, 8, limits.probe_connections);
    limits.waits = limits.waits.min(limits.connections / 4).max(1);
    limits
}

/// How many connections are served at once: the usual number, or the share of the file descriptors that the process may
/// have: a half, an eighth. The others are for the cluster and for files.
fn share(descriptors: Option<u64>, part: u64, usual: usize) -> usize {
    let share = descriptors.map(|all| usize::try_from(all / part).unwrap_or(usize::MAX));
    share.unwrap_or(usual).clamp(1, usual)
}

/// SIGTERM and SIGINT, which end the service, and SIGHUP, which does not.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one that ends the service. The closing of a terminal and a habitual `kill -HUP` do not.
    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => info!(signal = "SIGHUP", "nothing is read on this signal: files of callers are read when they change"),
            }
        }
    }
}

/// Text for people on a terminal, JSON otherwise, if nothing is said of it: on standard error, a line an event.
fn log(level: Log, format: Option<LogFormat>) {
    let level = match level {
        Log::Error => tracing::Level::ERROR,
        Log::Warn => tracing::Level::WARN,
        Log::Info => tracing::Level::INFO,
        Log::Debug => tracing::Level::DEBUG,
    };
    // Libraries write lines at debug level that say nothing of hikaru.
    let ours = tracing_subscriber::filter::Targets::new()
        .with_default(level.min(tracing::Level::WARN))
        .with_targets([
            ("hikaru", level),
            ("hikaru_core", level),
            ("hikaru_http", level),
            ("hikaru_k8s", level),
        ]);
    use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};
    let terminal = std::io::stderr().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let by_default = match terminal {
        true => LogFormat::Text,
        false => LogFormat::Json,
    };
    let lines = if format.unwrap_or(by_default) == LogFormat::Text {
        let colors = terminal && !plain;
        lines
            .with_ansi(colors)
            .with_target(false)
            .fmt_fields(lines::text())
            .boxed()
    } else {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(|| lines::Json(std::io::stderr()))
            .boxed()
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(ours))
        .init();
}

/// Who may call, if variables say it.
fn known(args: &Serve, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Known>, String> {
    match (Sources::of(variable), args.insecure_no_auth) {
        (None, _) => Ok(None),
        (Some(sources), false) => Known::read(sources).map(Some),
        (Some(_), true) => Err(format!(
            "--insecure-no-auth and callers in {TOKEN}, {TOKEN_FILE} or {CALLERS_FILE}: expected one of them"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    /// What comes of these variables and flags.
    fn check(variables: &[(&str, &str)], flags: &[&str]) -> Result<String, String> {
        let arguments = ["hikaru", "serve"].iter().chain(flags);
        let crate::args::Command::Serve(args) = crate::args::Args::parse_from(arguments).command
        else {
            return Err("another command".to_owned());
        };
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let known = known(&args, &variable)?;
        Ok(known.map_or("nobody".to_owned(), |known| {
            let callers = known.set().callers.iter();
            let names: Vec<&str> = callers.map(|known| &*known.caller.name).collect();
            names.join(", ")
        }))
    }

    #[test]
    fn connections_and_waits_follow_the_limit_on_file_descriptors() {
        for (descriptors, api, probes, waits) in [
            (None, 1024, 64, 256),
            (Some(1_048_576), 1024, 64, 256),
            (Some(2048), 1024, 64, 256),
            (Some(1024), 512, 64, 128),
            (Some(256), 128, 32, 32),
            (Some(0), 1, 1, 1),
        ] {
            let limits = limits(descriptors);
            let found = (limits.connections, limits.probe_connections, limits.waits);
            assert_eq!(found, (api, probes, waits), "{descriptors:?}");
        }
    }

    #[test]
    fn who_may_call() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(check(&[], &[]), ok("nobody"));
        assert_eq!(check(&[], &["--insecure-no-auth"]), ok("nobody"));
        assert_eq!(
            check(&[(TOKEN, "a-secret-of-20-bytes")], &[]),
            ok("token 1")
        );
        assert_eq!(
            check(
                &[(TOKEN, "the-old-token-of-a-team\nthe-new-token-of-a-team")],
                &[]
            ),
            ok("token 1, token 2")
        );
        for (variables, flags, message) in [
            (
                vec![(TOKEN, " ")],
                vec![],
                "HIKARU_API_TOKEN: expected a token, found an empty text",
            ),
            (
                vec![(TOKEN, "a\nb\nc")],
                vec![],
                "expected at most two tokens, found 3",
            ),
            (
                vec![(TOKEN, "se cret")],
                vec![],
                "expected a token of visible ASCII characters",
            ),
            (
                vec![(TOKEN, "fifteen-letters")],
                vec![],
                "HIKARU_API_TOKEN or HIKARU_API_TOKEN_FILE: the token has 15 bytes: expected at least 16",
            ),
            (
                vec![(TOKEN, "a")],
                vec!["--insecure-no-auth"],
                "expected one of them",
            ),
            (
                vec![(TOKEN_FILE, "/nowhere")],
                vec![],
                "HIKARU_API_TOKEN_FILE: /nowhere: cannot be read: ",
            ),
        ] {
            let error = check(&variables, &flags).expect_err(message);
            assert!(
                error.contains(message) && !error.contains("se cret"),
                "{error}"
            );
        }
    }
}
