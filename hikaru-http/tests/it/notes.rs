//! What is said beside a list: why nothing is deployed, that a pod has two builds, how many match elsewhere, and what is
//! written.

use serde_json::json;

use crate::{
    client::call,
    cluster::{BEFORE, POSTED, memory, serve, shop, workload},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";
const CANDIDATES: &str = "/api/candidates/acme/web:acme_web_main_1.4.0_7_0123abcd";
const WRONG: &str = "acme/web:acme_web_main_999999999.0.0_1_deadbeef";

#[tokio::test]
async fn a_post_that_something_higher_stands_against_says_so() {
    let cluster = memory([workload("shop", "Deployment", "web", &[("web", WRONG)])]);
    let server = serve(cluster).await;
    let note = "nothing to deploy: what matched runs a higher build, acme_web_main_999999999.0.0_1_deadbeef \
                (shop/Deployment/web); if that one is a mistake, post this one with force=obsolete, and then remove the \
                high-water marks with unhold, so that the next builds go out";
    let list = call(server.address(), "POST", POST).await;
    assert_eq!((list.status, &*list.text), (200, "[]"));
    assert_eq!(list.header("x-hikaru-note"), Some(note));
    let full = format!("{POST}?report=full");
    for (method, target) in [("POST", &*full), ("GET", CANDIDATES)] {
        let answer = call(server.address(), method, target).await;
        assert_eq!(answer.header("x-hikaru-note"), Some(note), "{target}");
        assert_eq!(answer.json()["note"], note, "{target}");
    }
    // The way out, and nothing to say any more.
    let forced = call(server.address(), "POST", &format!("{POST}?force=obsolete")).await;
    assert_eq!(forced.json()[0]["containers"][0]["to"], POSTED);
    let again = call(server.address(), "POST", POST).await;
    assert_eq!(again.header("x-hikaru-note"), None);
}

#[tokio::test]
async fn two_builds_in_one_pod_fail_a_strict_post() {
    let higher = "acme/web:acme_web_main_1.5.0_1_0123abcd";
    let images = [("api", BEFORE), ("worker", higher)];
    let cluster = memory([workload("shop", "Deployment", "web", &images)]);
    let server = serve(cluster).await;
    // The second post finds it no better.
    for list in ["upgrade", "obsolete"] {
        let answer = call(server.address(), "POST", &format!("{POST}?strict=true")).await;
        let expected = "two builds in one pod: shop/Deployment/web, see its warning";
        assert_eq!(answer.status, 409);
        assert_eq!(answer.problem(), ("strict".into(), expected.into()));
        assert_eq!(
            answer.json()["report"][list][0]["warnings"],
            json!([format!(
                "two builds in one pod: the posted one in api, while worker stays on {higher}"
            )])
        );
    }
}

#[tokio::test]
async fn a_post_that_was_narrowed_away_says_so() {
    let server = serve(shop()).await;
    let narrowed = format!("{POST}?strict=true&namespace=shopp");
    let answer = call(server.address(), "POST", &narrowed).await;
    let expected = "nothing matched in the namespace shopp; shop/Deployment/web does";
    let detail = "nothing matched: see nearMisses of the report";
    assert_eq!(answer.problem(), ("strict".into(), detail.into()));
    assert_eq!(answer.json()["report"]["nearMisses"], json!([expected]));
}

#[tokio::test]
async fn what_is_written_is_told() {
    let cluster = memory([workload(
        "shop",
        "Deployment",
        "web",
        &[("web", "docker.io/acme/web:1.0")],
    )]);
    let server = serve(cluster).await;
    let written = format!("docker.io/{POSTED}");
    let planned = call(server.address(), "GET", CANDIDATES).await;
    assert_eq!(
        planned.json()["upgrade"][0]["containers"][0]["to"],
        *written
    );
    let list = call(server.address(), "POST", POST).await;
    assert_eq!(list.json()[0]["containers"][0]["to"], *written);
}
