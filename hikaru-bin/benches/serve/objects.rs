//! Deployments and images of the benches, and the guarded patch that hikaru makes of one, by hand.

use serde_json::{Value, json};

/// An image of a source repository, the n-th build.
pub(crate) fn image(repo: &str, n: u64) -> String {
    format!("registry.example/acme/{repo}:acme_{repo}_main_1.4.0_{n}_0123abcd")
}

/// A Deployment without replicas.
pub(crate) fn deployment(name: &str, repo: &str) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "labels": {"owner": "acme", "repo": repo, "branch": "main"}},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": image(repo, 1)}]},
            },
        },
    })
}

/// The same after an upgrade by hikaru: mark and `hikaru.dev/last-upgrade` are set.
pub(crate) fn upgraded(name: &str, repo: &str, hash: usize) -> Value {
    let mut object = deployment(name, repo);
    let mark = format!("1.4.0_1_{hash:08x}");
    object["metadata"]["labels"]["high-water.hikaru.dev/web"] = json!(mark);
    let last = json!({"at": "2026-11-24T09:00:00Z", "previous": {"web": image(repo, 0)},
        "to": {"web": image(repo, 1)}});
    object["metadata"]["annotations"] = json!({"hikaru.dev/last-upgrade": last.to_string()});
    object
}

/// A guarded patch as hikaru makes it, to the n-th build.
pub(crate) fn patch(object: &Value, repo: &str, n: u64) -> Value {
    let metadata = &object["metadata"];
    let container = "/spec/template/spec/containers/0";
    let mark = "/metadata/labels/high-water.hikaru.dev~1web";
    let last = "/metadata/annotations/hikaru.dev~1last-upgrade";
    let test = |path: &str, value: &Value| json!({"op": "test", "path": path, "value": value});
    let mut patch = vec![test("/metadata/uid", &metadata["uid"])];
    for key in ["owner", "repo", "branch"] {
        let path = format!("/metadata/labels/{key}");
        patch.push(test(&path, &metadata["labels"][key]));
    }
    for key in [
        "upgrade",
        "containers",
        "constraint",
        "on-failure",
        "progress-deadline",
        "required-rollout",
    ] {
        for map in ["labels", "annotations"] {
            let path = format!("/metadata/{map}/hikaru.dev~1{key}");
            patch.push(test(&path, &Value::Null));
        }
    }
    let runs = &object["spec"]["template"]["spec"]["containers"][0];
    patch.push(test(&format!("{container}/name"), &runs["name"]));
    patch.push(test(&format!("{container}/image"), &runs["image"]));
    let marked = &metadata["labels"]["high-water.hikaru.dev/web"];
    patch.push(test(mark, marked));
    let dated = &metadata["annotations"]["hikaru.dev/last-upgrade"];
    patch.push(test(last, dated));
    let to = image(repo, n);
    patch.push(json!({"op": "replace", "path": format!("{container}/image"), "value": to}));
    patch.push(json!({"op": "add", "path": mark, "value": format!("1.4.0_{n}_f73d5a39")}));
    let cause = "/metadata/annotations/kubernetes.io~1change-cause";
    let tag = to.rsplit(':').next().unwrap_or_default();
    patch.push(json!({"op": "add", "path": cause, "value": format!("hikaru: web to {tag}")}));
    let previous = json!({"at": "2026-01-01T00:00:00Z", "previous": {"web": runs["image"]},
        "to": {"web": to}});
    patch.push(json!({"op": "add", "path": last, "value": previous.to_string()}));
    Value::Array(patch)
}
