//! A service that is not asked about rollouts looks at no pods, ReplicaSets and events: the API server's metrics count every
//! request for them.

use super::scene::{LABELS, Scene, image, workload};

/// How many requests for pods, ReplicaSets and events the API server has had, and how many watches of them there are now.
fn requests(scene: &Scene) -> u64 {
    let metrics = scene.kubectl(&["get", "--raw=/metrics"]);
    let counts = metrics.lines().filter(|line| {
        let is_ours = [
            "apiserver_request_total{",
            "apiserver_longrunning_requests{",
        ]
        .iter()
        .any(|name| line.starts_with(name));
        is_ours
            && ["pods", "replicasets", "events"]
                .iter()
                .any(|resource| line.contains(&format!("resource=\"{resource}\"")))
    });
    let values = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.map(|value| value as u64).sum()
}

#[test]
fn a_service_that_is_not_asked_about_rollouts_sends_no_requests_for_them() {
    // Without controllers and pods hikaru is the only one that could ask.
    let scene = Scene::alone("unasked");
    scene.apply(&[workload("Deployment", "web", LABELS, 3, &image(1))]);
    let before = requests(&scene);
    let server = scene.serve();
    server.post(&scene.post(2)).is(200);
    server.post(&scene.post(2)).is(200);
    let candidates = format!("/api/candidates/{}?namespace={}", image(3), scene.namespace);
    server.get(&candidates).is(200);
    server.get(&format!("/api/image/{}", image(2))).is(200);
    for path in ["/metrics", "/readyz", "/livez"] {
        server.get(path).is(200);
    }
    assert_eq!(requests(&scene), before);

    server
        .get(&format!("/api/rollout/{}/deployment/web", scene.namespace))
        .is(200);
    assert!(requests(&scene) > before);
}
