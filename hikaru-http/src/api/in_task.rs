//! Calls that change the cluster and must not stop half-way: each runs in a task of its own. The task goes on when the client
//! hangs up and when the time for the answer is over; only an abort of the server ends it.

use std::{future::pending, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{sync::oneshot, time::timeout_at};

use super::{
    Answer, Api,
    answer::{Outcome, respond},
    internal,
    problem::{Kind, Refusal},
};
use crate::access_log::AccessLog;

/// What came of the work of a call, with the line of the call.
pub(super) type Done<T> = (Box<AccessLog>, Result<T, Box<Refusal>>);

/// Runs `work` in a task of its own and gives what came of it. If that takes longer than [`Limits::answer`], there is an answer
/// instead, 504 with the sentence `late`, and the task goes on. Where nobody waits for it any more, the task ends the call's line
/// with what `answer` says.
///
/// [`Limits::answer`]: crate::Limits::answer
pub(super) async fn run<T: Send + 'static>(
    api: Arc<Api>,
    mut line: Box<AccessLog>,
    late: &'static str,
    answer: impl FnOnce(T) -> Outcome + Send + 'static,
    work: impl for<'l> FnOnce(&'l mut AccessLog) -> BoxFuture<'l, Result<T, Box<Refusal>>>
    + Send
    + 'static,
) -> Result<Done<T>, Answer> {
    let deadline = line.started + api.limits.answer;
    let (id, unread) = (line.id.clone(), line.unread);
    let (sender, receiver) = oneshot::channel();
    // A drain waits for this call from here on, also if the task has not run yet.
    let under_way = api.life.begin();
    tokio::spawn(async move {
        let _under_way = under_way;
        let done = AssertUnwindSafe(work(&mut line)).catch_unwind();
        let done = tokio::select! {
            biased;
            () = api.life.aborted() => return,
            done = done => done.unwrap_or_else(|_| Err(internal())),
        };
        if let Err((line, done)) = sender.send((line, done)) {
            api.finish(line, done.and_then(answer));
        }
    });
    match timeout_at(deadline, receiver).await {
        Ok(Ok(done)) => Ok(done),
        // The server was aborted, which ends this connection, too: its client is not answered.
        Ok(Err(_)) => pending().await,
        Err(_) => {
            tracing::warn!(request_id = id, "answered 504, the call goes on");
            let refusal = Refusal::new(Kind::Timeout, late);
            Err(respond(&id, unread, Err(refusal)))
        }
    }
}
