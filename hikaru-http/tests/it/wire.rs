//! Golden JSON of the wire types. What a server answers is in `answers`.

use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId,
    testing::MemoryCluster, upgrade,
};
use hikaru_http::wire;
use serde_json::{Value, json};

const POSTED: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";

fn golden(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("JSON")
}

async fn post(cluster: &MemoryCluster) -> Value {
    let build = Build::parse(POSTED, &TagFormats::default()).expect("a build");
    let report = upgrade(
        cluster,
        &hikaru_core::testing::StillClock::default(),
        Request::new(build),
        Mode::Commit,
    )
    .await
    .expect("an answer");
    golden(wire::Report::new(&report, wire::Interface::Http))
}

#[tokio::test]
async fn a_full_report() {
    let cluster = MemoryCluster::default();
    let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web").at("web.yaml#1"));
    web.labels = IdentityLabels::new("acme", "web", "main");
    web.containers
        .push(Container::new("web", "acme/web:latest"));
    web.containers
        .push(Container::new("old", "acme/web:acme_web_main_1.5.0_1_none"));
    cluster.put(web);
    let readings = json!([{"owner": "acme", "repo": "web", "branch": "main"}]);
    let build =
        json!({"version": "1.4.0", "build": "7", "commit": "0123abcd", "readings": readings});
    let two_builds = "two builds in one pod: the posted one in web, while old stays on acme/web:acme_web_main_1.5.0_1_none";
    assert_eq!(
        post(&cluster).await,
        json!({
            "image": POSTED,
            "build": build,
            "upgrade": [{
                "namespace": "shop", "kind": "Deployment", "name": "web", "file": "web.yaml#1",
                "warnings": [two_builds],
                "containers": [
                    {"name": "web", "from": "acme/web:latest", "to": POSTED, "verdict": "upgrade", "code": "upgrade",
                     "reason": "latest carries no version"},
                    {"name": "old", "from": "acme/web:acme_web_main_1.5.0_1_none", "to": POSTED,
                     "verdict": "obsolete", "code": "obsolete",
                     "reason": "runs 1.5.0_1, higher than the posted 1.4.0_7"},
                ],
            }],
            "equal": [], "obsolete": [], "skipped": [],
        })
    );
}

#[tokio::test]
async fn a_report_of_near_misses() {
    let cluster = MemoryCluster::default();
    let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    web.containers
        .push(Container::new("web", "acme/web:latest"));
    cluster.put(web);
    assert_eq!(
        post(&cluster).await["nearMisses"],
        json!([
            "shop/Deployment/web uses the repository, but its labels say no owner, no repo and no branch, while the tag \
             says acme_web_main"
        ])
    );
}

#[test]
fn the_parts_of_an_image_as_json() {
    let read = |text| wire::Image::read(text, &TagFormats::default());
    assert_eq!(
        golden(read("web:a_b_c_d_1.0_2_none").expect("an image")),
        json!({
            "registry": "docker.io", "repository": "library/web", "tag": "a_b_c_d_1.0_2_none", "digest": null,
            "build": {"version": "1.0", "build": "2", "commit": "none", "readings": [
                {"owner": "a", "repo": "b", "branch": "c_d"},
                {"owner": "a", "repo": "b_c", "branch": "d"},
                {"owner": "a_b", "repo": "c", "branch": "d"},
            ]},
        })
    );
    let latest = golden(read("localhost:5000/web:latest").expect("an image"));
    assert_eq!(
        (&latest["build"], &latest["registry"]),
        (&Value::Null, &json!("localhost:5000"))
    );
    assert!(
        latest["reason"]
            .as_str()
            .is_some_and(|r| r.contains("is no build tag"))
    );
    let no_image = golden(read("Web:latest").expect_err("no image"));
    assert_eq!(no_image["repository"], Value::Null);
    assert!(
        no_image["error"]
            .as_str()
            .is_some_and(|e| e.starts_with("not an image reference: "))
    );
}
