//! `hikaru find`: which workloads use an image.

use hikaru_core::{port::WorkloadPort, upgrade::Shortfall};
use hikaru_http::wire;

use super::{End, Failure, json, report};
use crate::{
    args::{Find, Output},
    terminal::{self, cell},
};

pub(super) async fn run(args: &Find, port: &dyn WorkloadPort) -> Result<End, Failure> {
    let found = hikaru_core::upgrade::find(port, &args.image, &super::formats()?).await?;
    let users = wire::users(&found);
    match args.output.output {
        Output::Json => terminal::print(&json(&users))?,
        Output::Table if users.is_empty() => {
            terminal::tell("no workload that hikaru looks at uses this image")
        }
        Output::Table => {
            let rows = users.iter().flat_map(|user| {
                let row = |service| vec![cell(&user.namespace), cell(service)];
                user.services.iter().map(row)
            });
            terminal::print(&terminal::table(&["NAMESPACE", "SERVICE"], rows.collect()))?;
        }
    }
    report::tell_faults(&found.faults);
    Ok(Shortfall::unread(&found.faults).into())
}
