//! Upgrade a live cluster: the workloads that an image is meant for, by the rules, with a line for each.
//!
//! ```sh
//! cargo run -p hikaru-k8s --example upgrade -- ghcr.io/acme/web:acme_web_main_1.10.0_7_9f3c2ab1
//! ```

#![expect(
    clippy::print_stdout,
    reason = "it is a program that talks to a person"
)]

use std::{env, error::Error};

use hikaru_core::{Build, Mode, Request, TagFormats, upgrade, workload::IdentityKeys};
use hikaru_k8s::{Connection, ConnectionOptions, LiveCluster, LiveSettings};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let image = env::args().nth(1).ok_or("expected an image")?;
    let build = Build::parse(&image, &TagFormats::default())?;
    // K8S_URL and its kind, KUBECONFIG, a pod's ServiceAccount, or ~/.kube/config.
    let options = ConnectionOptions::default();
    let connection = Connection::choose(&options, &|name| env::var(name).ok()).await?;
    let settings = LiveSettings::new(IdentityKeys::default());
    let cluster = LiveCluster::new(&connection, settings).await?;

    let report = upgrade(
        &cluster,
        &hikaru_k8s::SystemClock::default(),
        Request::new(build.clone()),
        Mode::Commit,
    )
    .await?;
    for reported in &report.entries {
        for judged in &reported.entry.containers {
            let sentence = &judged.reason;
            let (workload, outcome) = (&reported.entry.workload.id, &reported.outcome);
            println!("{workload} {outcome:?}: {sentence}");
        }
    }
    for fault in &report.faults {
        println!("{}: {}", fault.place, fault.message);
    }
    Ok(())
}
