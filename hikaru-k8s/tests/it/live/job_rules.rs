//! The hostile Jobs of `job_rules`, as the real API server's Pod Security standard *baseline* sees them: what it objects
//! to, hikaru's rules refuse. It enforces on pods, so pods of the same template are asked for, in a dry run.

use std::collections::BTreeSet;

use xtask::Cluster;

use super::rig;
use crate::job_rules::{BASELINE, HARMLESS, HOSTILE, Put, template};

/// Rules of the baseline that this server has no need of: it runs without `--allow-privileged` and wants `hostUsers: false`
/// beside an unmasked `/proc`, so such a pod is invalid before it is judged.
const UNASKED: [&str; 3] = ["host-process", "privileged", "proc-mount"];

/// Creates a pod for each template in a dry run: what kubectl prints, or why it failed. Each pod is sent, whatever the server
/// answers to those before it.
async fn create(
    namespace: &str,
    variants: impl Iterator<Item = (Put, &str)>,
) -> Result<String, String> {
    let mut pods = String::new();
    for (index, (put, line)) in variants.enumerate() {
        let (annotations, spec) = template(put, line);
        pods += &format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: v{index}, {annotations}}}\nspec: {spec}\n"
        );
    }
    let args = [
        "create",
        "--dry-run=server",
        "--namespace",
        namespace,
        "--filename=-",
        "--output=name",
    ];
    let args = args.map(str::to_owned);
    rig::blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let done = Cluster::shared().kubectl_with_input(&args, &pods);
        done.map_err(|error| error.to_string())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_servers_baseline_objects_to_is_refused_by_our_rules() {
    let namespace = rig::namespace("baseline").await;
    let label = "pod-security.kubernetes.io/enforce=baseline";
    rig::kubectl(&["label", "namespace", &namespace, label], "").await;
    let hostile = HOSTILE.iter().map(|(_, put, line)| (*put, *line));
    let answer = create(&namespace, hostile).await;
    let words = answer.expect_err("most are refused");
    let of_variant = |index: usize| {
        let name = format!("\"v{index}\"");
        words.lines().find(|line| line.contains(&name))
    };
    let mut objected = BTreeSet::new();
    for (index, (rule, _, line)) in HOSTILE.iter().enumerate() {
        let told = of_variant(index).unwrap_or_default();
        if told.contains("violates PodSecurity") {
            // That our rule refuses it is tested without a cluster.
            objected.insert(*rule);
            assert!(BASELINE.contains(rule), "{line}: {told}");
        }
    }
    let asked = BASELINE.into_iter().filter(|rule| !UNASKED.contains(rule));
    let unheard: Vec<_> = asked.filter(|rule| !objected.contains(rule)).collect();
    assert!(unheard.is_empty(), "{unheard:?}: {words}");
    // The server accepts each harmless pod: no rule of ours hides behind another refusal of the server.
    let accepted = create(&namespace, HARMLESS.iter().copied()).await;
    let accepted = accepted.expect("none is refused");
    let names: Vec<&str> = accepted.lines().collect();
    let expected: Vec<String> = (0..HARMLESS.len())
        .map(|index| format!("pod/v{index}"))
        .collect();
    assert_eq!(names, expected);
}
