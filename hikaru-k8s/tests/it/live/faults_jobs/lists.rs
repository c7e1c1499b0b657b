//! Lists of Jobs and the logs of their pods: bounds, and what cannot be read.

use super::*;

#[tokio::test]
async fn a_list_of_jobs_is_bounded_as_every_list() {
    let page =
        |next: &str| json!({"metadata": {"continue": next}, "items": [job("u", &json!({}))]});
    // The next page is the same page.
    let (stub, jobs) = world(move |_, _| Step::Answer(200, page("a+/="))).await;
    let error = jobs.list("shop").await.expect_err("it never ends");
    assert_eq!(
        error.to_string(),
        "unavailable: the answer cannot be read: the page that follows is the same page"
    );
    assert_eq!(stub.asked()[1].parameter("continue"), "a+/=");
    assert_eq!(stub.count("GET"), 2);
    // There is always another one.
    let (stub, jobs) = world(move |_, before| Step::Answer(200, page(&before.to_string()))).await;
    let error = jobs.list("shop").await.expect_err("it never ends");
    assert!(error.to_string().contains("does not end"), "{error}");
    assert_eq!(stub.count("GET"), 2_000);
    // Each is forgotten.
    let (stub, jobs) = world(move |asked, _| match asked.parameter("continue") {
        "" => Step::Answer(200, page("x")),
        _ => Step::Answer(410, status(410, "Expired", "too old")),
    })
    .await;
    assert!(jobs.list("shop").await.is_err());
    assert_eq!(stub.count("GET"), 8);
    // A page that is too long is asked for in smaller ones.
    let (stub, jobs) = world(move |asked, _| match asked.parameter("limit") {
        "500" => Step::Endless(200),
        _ => Step::Answer(200, page("")),
    })
    .await;
    assert_eq!(jobs.list("shop").await.expect("a list").jobs.len(), 1);
    assert_eq!(stub.count("GET"), 2);
}

#[tokio::test]
async fn an_odd_job_hides_no_other() {
    let mut odd = other("shop", "odd", "u");
    odd["status"] = json!({"active": "many"});
    let mut nameless = job("u", &json!({}));
    nameless["metadata"] = json!({});
    let items = json!({"items": [
        odd, other("shop", "b", "u"), nameless, other("prod", "c", "u"), 7, other("shop", "a", "u"),
        other("shop", "../x", "u"),
    ]});
    let (_stub, jobs) = world(move |_, _| Step::Answer(200, items.clone())).await;
    let list = jobs.list("shop").await.expect("a list");
    let names: Vec<_> = list.jobs.iter().map(|job| &**job.name.name()).collect();
    assert_eq!(names, ["a", "b"]);
    let places: Vec<_> = list.faults.iter().map(|fault| &*fault.place).collect();
    assert_eq!(
        places,
        [
            "shop/odd",
            "item 3 of the list",
            "prod/c",
            "item 5 of the list",
            "shop/../x"
        ],
        "{:?}",
        list.faults
    );
}

#[tokio::test]
async fn an_odd_pod_hides_no_log_and_no_log_fills_the_memory() {
    let pod = |name: &str, container: &str| json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"containers": [{"name": container}]}});
    let pods = json!({"items": [pod("a-2", "c"), {"metadata": {"name": "a-1", "namespace": "shop"}, "spec": 7},
        pod("a-3", "../../secrets"), pod("a-4", "long")]});
    let (stub, jobs) = world(move |asked, _| match &*asked.path {
        path if path.ends_with("/pods") => Step::Answer(200, pods.clone()),
        path if path.ends_with("/a-4/log") => Step::Endless(200),
        path if path.ends_with("/log") => Step::Text(200, "done\n".to_owned()),
        _ => Step::Answer(200, job("u", &json!({}))),
    })
    .await;
    let logs = jobs.logs(&name()).await.expect("logs");
    let told: Vec<_> = logs
        .iter()
        .map(|log| match &log.text {
            Ok(text) => format!("{}: {text}", log.pod),
            Err(why) => format!("{}! {}", log.pod, why.split(':').next().unwrap_or_default()),
        })
        .collect();
    assert_eq!(
        told,
        [
            "a-2: done\n",
            "a-3! expected a name of lower-case letters, digits, `-` or `.`, at most 253 bytes, a letter or digit first \
             and last, found `../../secrets`",
            "a-4! the answer cannot be read",
            "shop/a-1! it cannot be read",
        ]
    );
    // Buffers of the connection apart.
    assert!(stub.taken() < 16 << 20, "{}", stub.taken());
}
