//! Rollouts on the real control plane, as stories: a workload runs, another build is posted, the pods do what a word in its image
//! says (docs/testing.md), and hikaru says how it is. The judge of its states is `kubectl rollout status`, the judge of its causes
//! the story. Answers that a real cluster does not give are in the scripted tests.

mod changes;
mod images;
mod nodes;
mod refused;
mod running;
mod stateful;
mod story;

use std::{future::Future, pin::Pin};

type Telling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs stories at once, each in a namespace of its own: most of their time they wait.
async fn run_at_once(stories: Vec<(&'static str, Telling)>) {
    let running: Vec<_> = stories
        .into_iter()
        .map(|(name, story)| (name, tokio::spawn(story)))
        .collect();
    let mut failed = Vec::new();
    for (name, story) in running {
        if story.await.is_err() {
            failed.push(name);
        }
    }
    assert!(
        failed.is_empty(),
        "these stories failed, each says above why: {failed:?}"
    );
}

/// `together`, by the names of the functions.
macro_rules! together {
    ($($story:ident),+ $(,)?) => {
        super::run_at_once(vec![$((stringify!($story), Box::pin($story()))),+]).await
    };
}
use together;
