//! `hikaru find`: which workloads use an image.

use hikaru_core::{ClusterPort, Severity};
use hikaru_http::wire;

use super::{End, json, report};
use crate::{
    args::{Find, Output},
    terminal::{self, cell},
};

pub(super) async fn run(args: &Find, port: &dyn ClusterPort) -> Result<End, String> {
    let found = hikaru_core::find(port, &args.image, &super::formats()?)
        .await
        .map_err(|error| error.to_string())?;
    let users = wire::users(&found);
    match args.output.output {
        Output::Json => terminal::print(&json(&users))?,
        Output::Table if users.is_empty() => terminal::tell("no workload uses this image"),
        Output::Table => {
            let rows = users.iter().flat_map(|user| {
                let row = |service| vec![cell(&user.namespace), cell(service)];
                user.services.iter().map(row)
            });
            terminal::print(&terminal::table(&["NAMESPACE", "SERVICE"], rows.collect()))?;
        }
    }
    report::tell_faults(&found.faults);
    let whole = found
        .faults
        .iter()
        .all(|fault| fault.severity == Severity::Warning);
    Ok(End::done_if(whole))
}
