//! High-water marks at their edges: the longest, and what the sentence of *held* says of another branch.

use hikaru_core::{
    Build, Container, IdentityLabels, Request, Workload, WorkloadId, image::Reference, plan,
    policy::Mark,
};

use crate::verdicts::runs;

#[test]
fn a_mark_as_long_as_a_label_may_be_is_written() {
    let version = format!("1.4.0-{}", "x".repeat(46));
    let mark = format!("{version}_7_d5ecc80e");
    assert_eq!(mark.len(), hikaru_core::policy::MARK_LONGEST);
    runs("acme/web:latest").post(
        &format!("acme/web:acme_web_main_{version}_7_0123abcd"),
        &format!("upgrade: latest carries no version [{mark}]"),
    );
}

/// Builds of two identities have no order: neither is *lower* than the other.
#[test]
fn a_lower_build_of_another_branch_is_something_else_that_runs() {
    runs("acme/web:acme_web_dev_1.3.0_1_0123abcd")
        .mark("1.4.0_7")
        .gives(
            "held: runs acme_web_dev_1.3.0_1_0123abcd, while 1.4.0_7 was deployed before: rolled back, or re-applied by a \
             person or a tool. The next build higher than 1.4.0_7 goes out; to let lower ones out again: \
             kubectl label --namespace shop deployment web high-water.hikaru.dev/web-",
        );
}

/// A format without owner, repo and branch means workloads of any: each gets a mark of its own labels.
#[test]
fn a_mark_is_of_the_labels_of_its_workload() {
    let workload = |branch: &str| {
        let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", branch));
        workload.labels = IdentityLabels::new("acme", "web", branch);
        workload.containers.push(Container::new("web", "acme/web"));
        workload
    };
    let formats = "v".parse().expect("a format");
    let build = Build::parse("acme/web:1.4.0", &formats).expect("a build");
    let all = ["main", "dev", "next", "main"].map(workload);
    let plan = plan(Request::new(build), all);
    assert_eq!(plan.entries.len(), 4);
    let repository = Reference::parse("acme/web").expect("a reference");
    for entry in &plan.entries {
        let labels = entry.workload.labels.reading().expect("labels");
        let hash = Mark::hash_of(&repository.repository(), &labels);
        let change = entry.change.as_ref().expect("a change");
        let mark = change.edits()[0].mark().expect("a mark");
        assert_eq!(**mark, *format!("1.4.0_0_{hash:08x}"), "{labels}");
    }
}
