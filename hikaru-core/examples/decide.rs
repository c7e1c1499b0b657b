//! Decide only: which of these workloads may have a build, and why. No cluster, no async.
//!
//! ```sh
//! cargo run -p hikaru-core --example decide -- ghcr.io/acme/web:acme_web_main_1.10.0_7_9f3c2ab1
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program that talks to a person"
)]

use std::process::ExitCode;

use hikaru_core::{
    Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId,
    image::BuildError,
    plan,
    workload::{Place, Setting},
};

/// What runs: where it comes from does not matter to the rules. A real caller fills it in from a cluster, a database or
/// files.
fn workloads() -> Vec<Workload> {
    let workload = |name: &str, branch: &str, tag: &str| {
        let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", name));
        workload.labels = IdentityLabels::new("acme", "web", branch);
        let image = format!("ghcr.io/acme/web:{tag}");
        workload.containers = vec![Container::new("web", image)];
        workload
    };
    let mut canary = workload("canary", "main", "acme_web_main_1.9.0_12_0d1e2f3a");
    let constraint = Setting::new(Place::Annotation, "constraint", "~1.9");
    canary.settings.push(constraint);
    vec![
        canary,
        workload("web", "main", "acme_web_main_1.9.0_12_0d1e2f3a"),
        workload("next", "main", "latest"),
        workload(
            "preview",
            "feature-x",
            "acme_web_feature-x_1.9.0_3_0badcafe",
        ),
    ]
}

/// A line for each container that has the posted repository.
pub(crate) fn told(image: &str) -> Result<Vec<String>, BuildError> {
    let build = Build::parse(image, &TagFormats::default())?;
    let plan = plan(Request::new(build.clone()), workloads());
    let mut lines = Vec::new();
    for entry in &plan.entries {
        for judged in &entry.containers {
            let (workload, code) = (&entry.workload.id, judged.code);
            lines.push(format!("{workload} {code}: {}", judged.reason));
        }
    }
    Ok(lines)
}

pub(crate) fn main() -> ExitCode {
    let default = "ghcr.io/acme/web:acme_web_main_1.10.0_7_9f3c2ab1";
    let image = std::env::args().nth(1);
    match told(image.as_deref().unwrap_or(default)) {
        Ok(lines) => {
            println!("{}", lines.join("\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
