//! `hikaru unhold`: removes high-water marks, so that lower builds go out again.

use hikaru_core::port::WorkloadPort;
use hikaru_http::wire;

use super::{End, Failure, json};
use crate::{
    args::{Output, Unhold},
    terminal,
};

pub(super) async fn run(args: &Unhold, port: &dyn WorkloadPort) -> Result<End, Failure> {
    let removed = port.unhold(&args.workload, args.container.clone()).await?;
    if args.output.output == Output::Json {
        terminal::print(&json(&wire::Unheld::new(&args.workload, &removed)))?;
        return Ok(End::Done);
    }
    for (container, mark) in &removed {
        let line = format!("{}: removed the mark of {container}, {mark}", args.workload);
        terminal::print(&terminal::printable(&line))?;
    }
    if removed.is_empty() {
        let of = match &args.container {
            Some(container) => format!(" of its container {container}"),
            None => String::new(),
        };
        terminal::tell(&format!("{} has no high-water mark{of}", args.workload));
    }
    Ok(End::Done)
}
