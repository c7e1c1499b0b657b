//! Callers that are narrowed, and ServiceAccounts: what is not theirs is not there for them.

use serde_json::json;

use super::{Office, bearer, deployment, image, lines_of, post, refused};
use crate::{
    live::scene::Scene,
    serve::{Answer, Server},
};

const TOKEN: &str = "a-token-of-a-narrowed-caller";

fn get(server: &Server, path: &str, token: &str) -> Answer {
    let answer = server.request("GET", path, &bearer(token));
    answer.expect("an answer")
}

#[test]
fn a_narrowed_caller_sees_nothing_of_others() {
    let scene = Scene::new("narrowed");
    scene.apply(&[
        deployment("shop", ["acme", "shop", "main"]),
        deployment("shop-dev", ["acme", "shop", "dev"]),
        deployment("blog", ["acme", "blog", "main"]),
    ]);
    let office = Office::new(
        &scene,
        "callers:\n- {name: narrowed, tokenSha256: 59f9d4c0635a47215743a2499e0ef1d06d254a61100e3dbc7365593769b67a7f, rights: [read, upgrade], identities: [acme/shop/main]}\n",
    );
    let server = office.serve(&scene);
    let names = |answer: Answer| {
        let rows = answer.is(200).json();
        let rows = rows.as_array().expect("a list").clone();
        let mine = rows
            .iter()
            .filter(|row| row["namespace"] == *scene.namespace);
        let names = mine.map(|row| row["name"].as_str().unwrap_or_default().to_owned());
        names.collect::<Vec<_>>()
    };
    let status = format!("/api/status?namespace={}", scene.namespace);
    assert_eq!(names(get(&server, &status, TOKEN)), ["shop"]);
    let found = get(&server, "/api/image/ghcr.io/acme/shop", TOKEN)
        .is(200)
        .json();
    let mut found = found.as_array().expect("a list").iter();
    let found = found.find(|row| row["namespace"] == *scene.namespace);
    assert_eq!(found.expect("its namespace")["services"], json!(["shop"]));
    // What it names and may not see is not there, and nothing says that it might be.
    for name in ["shop-dev", "blog", "none"] {
        let path = format!("/api/rollout/{}/deployment/{name}", scene.namespace);
        let detail = refused(get(&server, &path, TOKEN), 404, "no-such-workload");
        let expected = format!("there is no {}/Deployment/{name}", scene.namespace);
        assert_eq!(detail, expected);
    }
    let path = format!("/api/candidates/{}", image("acme_blog_main", 2));
    let plan = get(&server, &path, TOKEN).is(200).json();
    for list in ["upgrade", "equal", "obsolete", "skipped"] {
        assert_eq!(plan[list], json!([]), "{plan}");
    }
    // Its own workloads use the repository, too.
    let near = plan["nearMisses"].to_string();
    let own = format!("{}/Deployment/shop uses", scene.namespace);
    assert!(near.contains(&own), "{near}");
    assert!(
        !near.contains("/blog") && !near.contains("/shop-dev"),
        "{near}"
    );
    assert_eq!(
        post(&server, &image("acme_blog_main", 2), "", TOKEN)
            .is(200)
            .body,
        "[]"
    );
    assert_eq!(
        scene.images("deployment", "blog"),
        [image("acme_blog_main", 1)]
    );
    // Each right is asked for by name.
    for (method, path, right) in [
        ("GET", "/metrics".to_owned(), "metrics"),
        ("GET", format!("/api/job/{}/a/log", scene.namespace), "logs"),
        ("DELETE", format!("/api/job/{}/a", scene.namespace), "jobs"),
        (
            "DELETE",
            format!("/api/hold/{}/deployment/shop", scene.namespace),
            "hold",
        ),
    ] {
        let answer = server
            .request(method, &path, &bearer(TOKEN))
            .expect("an answer");
        let detail = refused(answer, 403, "not-allowed");
        assert_eq!(
            detail,
            format!("the caller narrowed lacks the right {right}")
        );
    }
}

#[test]
fn a_service_account_deploys_with_a_token_of_its_audience() {
    let scene = Scene::new("accounts");
    scene.apply(&[
        deployment("shop", ["acme", "shop", "main"]),
        deployment("blog", ["acme", "blog", "main"]),
    ]);
    for name in ["ci", "other"] {
        scene.kubectl(&["create", "serviceaccount", name]);
    }
    let office = Office::new(
        &scene,
        "trusts:\n- {name: in-cluster, kind: kubernetes, audience: hikaru-prod, serviceAccounts: [NAMESPACE/ci], identities: \
         [acme/shop/*], namespaces: [NAMESPACE], rights: [upgrade]}\n",
    );
    let server = office.serve(&scene);
    let token = |name: &str, audience: &[&str]| {
        let args = [&["create", "token", name], audience].concat();
        scene.kubectl(&args).trim().to_owned()
    };
    let ci = token("ci", &["--audience", "hikaru-prod"]);
    let answer = post(&server, &image("acme_shop_main", 2), "?report=full", &ci);
    let report = answer.is(200).json();
    let subject = format!("system:serviceaccount:{}:ci", scene.namespace);
    assert_eq!(report["caller"]["name"], "in-cluster", "{report}");
    assert_eq!(report["caller"]["subject"], *subject, "{report}");
    assert_eq!(
        scene.images("deployment", "shop"),
        [image("acme_shop_main", 2)]
    );
    let lines = lines_of(&server, "in-cluster");
    assert!(
        lines.iter().all(|line| line["subject"] == *subject),
        "{lines:?}"
    );
    assert!(!lines.is_empty());

    assert_eq!(
        post(&server, &image("acme_blog_main", 2), "", &ci)
            .is(200)
            .body,
        "[]"
    );
    let build = image("acme_shop_main", 3);
    let of_a_pod = post(&server, &build, "", &token("ci", &[]));
    let detail = refused(of_a_pod, 401, "unauthorized");
    let expected = "the token is not valid: expected the audience of a trust, found `https://kubernetes.default.svc`";
    assert_eq!(detail, expected);
    let of_another = post(
        &server,
        &build,
        "",
        &token("other", &["--audience", "hikaru-prod"]),
    );
    let detail = refused(of_another, 401, "unauthorized");
    assert!(
        detail.starts_with("the token is not valid: no trust lists its ServiceAccount, or"),
        "{detail}"
    );
    // Both caches forget it.
    scene.kubectl(&["delete", "serviceaccount", "ci"]);
    let status = || post(&server, &build, "?dryRun=true", &ci).status;
    scene.eventually("the token of a deleted ServiceAccount is refused", || {
        status() == 401
    });
    assert_eq!(
        scene.images("deployment", "shop"),
        [image("acme_shop_main", 2)]
    );
    assert!(!server.log().contains(&ci[..40]), "{}", server.log());
}
