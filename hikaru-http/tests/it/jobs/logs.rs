//! How many answers with logs are held in memory at once, whatever their clients do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hikaru_core::jobs::JobLog;
use hikaru_http::{Authentication, Limits};
use tokio::time::timeout;

use crate::{
    client::{Client, LONG, request},
    cluster::{mock_jobs, serve_jobs_with},
};

/// More than the buffers of a connection take.
const LENGTH: usize = 16 * 1024 * 1024;

#[tokio::test]
async fn clients_that_do_not_read_their_logs_are_bounded_together() {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let jobs = mock_jobs(|jobs| {
        jobs.expect_logs().returning(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(vec![JobLog {
                pod: "migrate-x".into(),
                container: "web".into(),
                text: Ok("x".repeat(LENGTH)),
            }])
        });
    });
    let mut limits = Limits::default();
    limits.job_logs = 3;
    // Who waits for a place is turned away soon, who does not read is kept.
    limits.body_time = Duration::from_millis(50);
    limits.write_time = Duration::from_secs(3600);
    limits.answers_bytes = usize::MAX;
    let server = serve_jobs_with(jobs, Authentication::Loopback, limits).await;
    let asks = request("GET", "/api/job/shop/migrate/log", &[]);
    let mut silent = Vec::new();
    for place in 1..=3 {
        let mut client = Client::connect(server.address()).await;
        client.send(&asks).await;
        silent.push(client);
        let begun = async {
            while read.load(Ordering::SeqCst) < place {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, begun).await.expect("in time");
    }
    for _ in 0..27 {
        let mut client = Client::connect(server.address()).await;
        client.send(&asks).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, &*answer.problem().0), (503, "busy"));
    }
    assert_eq!(read.load(Ordering::SeqCst), 3);

    // A client that goes away gives its place back.
    drop(silent.pop());
    let answered = async {
        loop {
            let mut client = Client::connect(server.address()).await;
            client.send(&asks).await;
            let answer = client.answer().await;
            if answer.status == 200 {
                return answer.text.len();
            }
        }
    };
    let length = timeout(LONG, answered).await.expect("in time");
    assert_eq!(length, LENGTH + "==> migrate-x/web <==\n\n".len());
}
