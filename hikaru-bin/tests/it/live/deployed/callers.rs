//! The components of `hikaru-bin/deploy/callers`, and what the program does with exactly these rights.

use serde_json::Value;

use super::{may, serve_as, with_components};
use crate::live::scene::{Scene, image};

/// The file of callers is mounted for the pod alone; with one component more tokens can be reviewed, and that is all; with another
/// one no token has all rights.
pub(super) fn need_the_components(shop: &Scene) {
    let cluster = shop.cluster;
    let apply = |components: &[&str]| {
        let (_guard, overlay) = with_components("base", components);
        let args = ["apply", "--validate=strict", "--kustomize", &overlay];
        let applied = cluster.kubectl(&args).expect("the component is taken");
        assert!(!applied.contains("Warning"), "{applied}");
        let args = [
            "get",
            "deployment",
            "hikaru",
            "--namespace=hikaru",
            "--output=json",
        ];
        let deployed = cluster.kubectl(&args).expect("it is there");
        let deployed: Value = serde_json::from_str(&deployed).expect("JSON");
        deployed["spec"]["template"]["spec"].clone()
    };
    let callers = "trusts:\n- {name: in-cluster, kind: kubernetes, audience: hikaru-prod, serviceAccounts: [shop/ci], identities: \
                   [acme/web/*], namespaces: [shop], rights: [upgrade]}\n";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("callers.yaml");
    std::fs::write(&file, callers).expect("written");
    let file = file.to_str().expect("UTF-8");
    let from_file = format!("--from-file={file}");
    let secret = [
        "create",
        "secret",
        "generic",
        "hikaru-callers",
        "--namespace=hikaru",
        &from_file,
    ];
    cluster.kubectl(&secret).expect("the file");

    let pod = apply(&["callers"]);
    let container = &pod["containers"][0];
    let of = |list: &Value, name: &str| {
        let list = list.as_array().cloned().unwrap_or_default();
        list.into_iter().find(|item| item["name"] == name)
    };
    let variable = of(&container["env"], "HIKARU_CALLERS_FILE").expect("the variable");
    let mount = of(&container["volumeMounts"], "callers").expect("the mount");
    let path = mount["mountPath"].as_str().expect("a path");
    assert_eq!(variable["value"], format!("{path}/callers.yaml"));
    // What is mounted by its subPath never changes.
    assert!(mount["subPath"].is_null(), "{mount}");
    for name in ["callers", "token"] {
        let volume = of(&pod["volumes"], name).expect(name);
        assert_eq!(volume["secret"]["defaultMode"], 0o440, "{volume}");
    }
    assert!(pod["securityContext"]["fsGroup"].is_number(), "{pod}");
    let rolled_out = [
        "rollout",
        "status",
        "deployment/hikaru",
        "--namespace=hikaru",
        "--timeout=120s",
    ];
    cluster.kubectl(&rolled_out).expect("its pods are made");

    // The program with exactly these rights, and a caller with a token of a ServiceAccount.
    shop.kubectl(&["create", "serviceaccount", "ci"]);
    let token = shop.kubectl(&["create", "token", "ci", "--audience=hikaru-prod"]);
    let head = format!("Authorization: Bearer {}\r\n", token.trim());
    let server = serve_as(cluster, &[("HIKARU_CALLERS_FILE", file)]).ready();
    let post = |n: u64| {
        let answer = server.request("POST", &format!("/api/image/{}", image(n)), &head);
        answer.expect("an answer")
    };
    assert!(!may(
        cluster,
        "create",
        "tokenreviews.authentication.k8s.io",
        "shop"
    ));
    let problem = post(6).is(503).json();
    assert_eq!(problem["type"], "urn:hikaru:problem:token-unverified");
    let told = "hikaru needs the right to create tokenreviews (hikaru-bin/deploy/callers/reviews)";
    assert!(!problem.to_string().contains("tokenreviews"), "{problem}");
    shop.eventually("the log names the right", || server.log().contains(told));

    let pod = apply(&["callers", "callers/reviews", "callers/alone"]);
    let container = &pod["containers"][0];
    assert!(
        of(&container["env"], "HIKARU_API_TOKEN_FILE").is_none(),
        "{pod}"
    );
    assert!(
        of(&container["env"], "HIKARU_CALLERS_FILE").is_some(),
        "{pod}"
    );
    assert!(of(&container["volumeMounts"], "token").is_none(), "{pod}");
    assert!(of(&pod["volumes"], "token").is_none(), "{pod}");
    cluster.kubectl(&rolled_out).expect("its pods are made");
    shop.eventually("the right is there", || {
        may(
            cluster,
            "create",
            "tokenreviews.authentication.k8s.io",
            "shop",
        )
    });
    for (verb, what) in [
        ("get", "secrets"),
        ("create", "serviceaccounts/token"),
        ("impersonate", "serviceaccounts"),
        ("create", "subjectaccessreviews.authorization.k8s.io"),
        ("list", "serviceaccounts"),
    ] {
        assert!(!may(cluster, verb, what, "shop"), "{verb} {what}");
    }
    // After a refusal hikaru asks for reviews again only some seconds later.
    shop.eventually("tokens are reviewed", || {
        let path = format!("/api/candidates/{}", image(6));
        let answer = server.request("GET", &path, &head).expect("an answer");
        answer.status != 503
    });
    let answer = post(6).is(200).json();
    assert_eq!(answer.as_array().map(Vec::len), Some(4), "{answer}");
}
