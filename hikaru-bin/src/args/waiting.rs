//! The arguments of `hikaru verify`, and how commands wait for rollouts. How they are read, and what all commands have in common, is in
//! `args`.

use std::time::Duration;

use clap::{Args as Group, builder::BoolishValueParser};
use hikaru_core::{rollout::WaitTerms, text::Excerpt};
use hikaru_http::wire::Patience;

use super::{Args, Cluster, Narrow, OutputFlag};

/// Says whether every workload that an image is meant for runs it, and whether its rollout is complete. Nothing is written.
///
/// Exit codes: 0 they all run it, or something higher; 1 one does not, its rollout failed, or nothing matched; 2 bad flags or
/// arguments; 3 the cluster refuses; 4 one is not complete, within the time of --wait if there is one, or the cluster cannot be
/// reached: repeating can help.
#[derive(Debug, Group)]
pub(crate) struct Verify {
    /// The image, its tag made by buildgoggles: {owner}_{repo}_{branch}_{version}_{build}_{commit}
    pub(crate) image: String,
    /// Exit 0 when nothing matches: for branches that have no deployment
    #[arg(long, env = "HIKARU_ALLOW_NONE", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) allow_none: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) several: WaitForSeveral,
    #[command(flatten)]
    pub(crate) narrow: Narrow,
    #[command(flatten)]
    pub(crate) output: OutputFlag,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

/// Whether a command waits until rollouts have ended.
#[derive(Debug, Group)]
pub(crate) struct Wait {
    /// Wait until the rollouts have ended, 15m without a time (a time stands behind an equals sign: --wait=5m); exits 1 if one
    /// fails and 4 if the time is over
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "15m",
          env = "HIKARU_WAIT", hide_env_values = true)]
    pub(crate) wait: Option<Patience>,
    /// With --wait: a rollout is complete once its new pods have been ready, without a restart, for so long, at most the time of
    /// --wait [default: 10s where a changed container has no readiness probe, else no time]
    #[arg(long, value_name = "TIME", value_parser = stable_for, env = "HIKARU_STABLE_FOR", hide_env_values = true)]
    pub(crate) stable_for: Option<Duration>,
}

/// What matters only where several rollouts are waited for.
#[derive(Debug, Group)]
pub(crate) struct WaitForSeveral {
    /// With --wait: go on with the others when a rollout has failed
    #[arg(long, env = "HIKARU_NO_FAIL_FAST", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub(crate) no_fail_fast: bool,
}

/// What --wait cannot stand beside.
pub(super) struct Hindrance {
    /// The id of its flag.
    pub(super) id: &'static str,
    pub(super) holds: bool,
    /// The flag, and why it excludes --wait.
    pub(super) why: &'static str,
}

pub(super) const DRY_RUN: &str = "--dry-run: a dry run writes nothing that could be waited for";
pub(super) const MANIFESTS: &str = "--manifests: in a folder of manifests nothing rolls out";

impl Wait {
    /// How is waited, if it is.
    pub(crate) fn terms(&self, fail_fast: bool) -> Option<WaitTerms> {
        let mut terms = WaitTerms::new(self.wait?.get());
        terms.stable_for = self.stable_for;
        terms.fail_fast = fail_fast;
        Some(terms)
    }

    /// Ends the process as for bad arguments where --wait cannot be, or what needs it was typed without it. A variable that waits,
    /// set for a whole pipeline, gives way to what was typed; whatever keeps from writing never does.
    pub(super) fn settle(
        &mut self,
        subcommand: &str,
        typed: &dyn Fn(&str) -> bool,
        hindrances: &[Hindrance],
    ) {
        for hindrance in hindrances.iter().filter(|h| h.holds) {
            if self.wait.is_some() && typed(hindrance.id) && !typed("wait") {
                self.wait = None;
            }
            if self.wait.is_some() {
                let message = format!("--wait cannot be used with {}", hindrance.why);
                Args::usage_error(subcommand, &message);
            }
        }
        for (id, flag) in [
            ("stable_for", "--stable-for"),
            ("no_fail_fast", "--no-fail-fast"),
        ] {
            if self.wait.is_none() && typed(id) {
                Args::usage_error(subcommand, &format!("{flag} needs --wait"));
            }
        }
        if let (Some(wait), Some(stable_for)) = (self.wait, self.stable_for)
            && stable_for > wait.get()
        {
            let message = format!("--stable-for: expected at most the time of --wait, {wait}");
            Args::usage_error(subcommand, &message);
        }
    }
}

fn stable_for(text: &str) -> Result<Duration, String> {
    if text == "0s" {
        return Ok(Duration::ZERO);
    }
    let time = text.parse::<Patience>();
    time.map(Patience::get).map_err(|_| {
        let found = Excerpt::of(text);
        format!("expected 0s or a time such as 90s, 10m or 1h30m, up to 24h, found {found}")
    })
}

/// One look at each workload.
pub(crate) fn one_look() -> WaitTerms {
    WaitTerms::new(Duration::ZERO)
}
