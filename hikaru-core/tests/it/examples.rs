//! The examples say what they are there to show.

#[path = "../../examples/decide.rs"]
mod decide;
#[path = "../../examples/own_port.rs"]
mod own_port;

#[test]
fn decide_only() {
    let _ = decide::main;
    let told = decide::told("ghcr.io/acme/web:acme_web_main_1.10.0_7_9f3c2ab1");
    let expected = [
        "shop/Deployment/canary constraint: 1.10.0 is outside of hikaru.dev/constraint: ~1.9",
        "shop/Deployment/next upgrade: latest carries no version",
        "shop/Deployment/web upgrade: 1.10.0_7 follows 1.9.0_12",
    ];
    assert_eq!(told.expect("a build"), expected);
    assert!(decide::told("ghcr.io/acme/web:latest").is_err());
}

#[tokio::test]
async fn decide_and_act_on_a_port_of_ones_own() {
    let _ = own_port::main;
    let told = own_port::told().await.expect("an answer");
    let expected = [
        "shelf/Service/api Upgraded: 1.10.0_7 follows 1.9.0_12",
        "shelf/Service/worker Unchanged: runs 1.11.0_1, higher than the posted 1.10.0_7",
        "shelf/Service/api Unchanged: is set to this image",
        "shelf/Service/worker Unchanged: runs 1.11.0_1, higher than the posted 1.10.0_7",
    ];
    assert_eq!(told, expected);
}
