//! Credentials in files that change while we run, against a scripted API server. The real one is asked in `connections`.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use hikaru_core::port::{ClusterError, WorkloadPort as _};
use hikaru_k8s::{Connection, ConnectionOptions, LiveCluster};

use super::stub::{Step, Stub, deployment, id, settings, status};

/// A server that takes one token, which can be changed.
async fn server(taken: &Arc<Mutex<&'static str>>) -> Stub {
    let taken = taken.clone();
    Stub::start(move |asked, _| {
        let expected = format!("Bearer {}", taken.lock().expect("no panic"));
        if asked.headers.get("authorization") == Some(&expected) {
            Step::Answer(200, deployment("web", 1, 1))
        } else {
            Step::Answer(401, status(401, "Unauthorized", "Unauthorized"))
        }
    })
    .await
}

#[tokio::test]
async fn a_token_file_is_read_again_when_its_token_is_refused() {
    let taken = Arc::new(Mutex::new("one"));
    let stub = server(&taken).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let write = |text: &str| fs::write(&path, text).expect("written");
    write("one\n");
    let variable = |name: &str| match name {
        "K8S_URL" => Some(stub.url()),
        "K8S_TOKEN_FILE" => Some(path.display().to_string()),
        _ => None,
    };
    let connection = Connection::choose(&ConnectionOptions::default(), &variable).await;
    let cluster = LiveCluster::new(&connection.expect("a connection"), settings()).await;
    let cluster = cluster.expect("a client");
    let read = async || cluster.read(&id("web")).await.map(|found| found.is_some());
    assert_eq!((read().await, stub.count("GET")), (Ok(true), 1));

    // The file still holds the token that is refused: the request is not sent again.
    *taken.lock().expect("no panic") = "two";
    let refused = read().await;
    assert!(
        matches!(refused, Err(ClusterError::Forbidden(_))),
        "{refused:?}"
    );
    assert_eq!(stub.count("GET"), 2);
    write("two\n");
    assert_eq!((read().await, stub.count("GET")), (Ok(true), 4));

    // What cannot be read changes nothing.
    for broken in ["", "a\nb"] {
        write(broken);
        assert_eq!(read().await, Ok(true));
        *taken.lock().expect("no panic") = "three";
        assert!(read().await.is_err());
        *taken.lock().expect("no panic") = "two";
    }
    fs::remove_file(&path).expect("removed");
    assert_eq!((read().await, stub.count("GET")), (Ok(true), 9));
    *taken.lock().expect("no panic") = "three";
    write("three");
    assert_eq!((read().await, stub.count("GET")), (Ok(true), 11));
}
