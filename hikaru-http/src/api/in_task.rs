//! Calls that change the cluster and must not stop half-way: each runs in a task of its own. The task goes on when the client
//! hangs up and when the time for the answer is over; only an abort of the server ends it.

use std::{future::pending, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::time::timeout_at;

use super::{
    Answer, Api,
    answer::{Outcome, respond},
    internal,
    problem::{Kind, Refusal},
};
use crate::access_log::AccessLog;

/// Runs `work` in a task of its own and answers with its outcome. If that takes longer than [`Limits::answer`], the answer is
/// 504 with the sentence `late`, and the task goes on.
///
/// [`Limits::answer`]: crate::Limits::answer
pub(super) async fn run(
    api: Arc<Api>,
    mut line: Box<AccessLog>,
    late: &'static str,
    work: impl for<'l> FnOnce(&'l mut AccessLog) -> BoxFuture<'l, Outcome> + Send + 'static,
) -> Answer {
    let deadline = line.started + api.limits.answer;
    let (id, unread) = (line.id.clone(), line.unread);
    // A drain waits for this call from here on, also if the task has not run yet.
    let under_way = api.life.begin();
    let task = tokio::spawn(async move {
        let _under_way = under_way;
        let outcome = AssertUnwindSafe(work(&mut line)).catch_unwind();
        tokio::select! {
            biased;
            () = api.life.aborted() => Err(()),
            outcome = outcome => {
                Ok(api.finish(line, outcome.unwrap_or_else(|_| Err(internal()))))
            }
        }
    });
    match timeout_at(deadline, task).await {
        Ok(Ok(Ok(answer))) => answer,
        // The server was aborted, which ends this connection, too: its client is not answered.
        Ok(Ok(Err(()))) => pending().await,
        Ok(Err(_)) => respond(&id, unread, Err(internal())),
        Err(_) => {
            tracing::warn!(request_id = id, "answered 504, the call goes on");
            respond(&id, unread, Err(Refusal::new(Kind::Timeout, late)))
        }
    }
}
