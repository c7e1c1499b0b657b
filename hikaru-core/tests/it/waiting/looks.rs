//! How often a workload is looked at that is waited for, and what the last look tells.

use hikaru_core::rollout::{CauseCode, WaitOutcome, WaitTerms};

use super::{NEW, OLD, scene, starting, told};
use crate::rollouts::scene::{deployment, seconds};

/// Where nothing is told, looks are seldom: each may ask an API server. Of events nobody tells, so there they are not.
#[tokio::test]
async fn how_often_is_looked_where_nothing_is_told() {
    let within = WaitTerms::new(seconds(120));
    let refused = || {
        let facts = deployment(1).at(5);
        facts.object(|object| object.progress_deadline = Some(seconds(3_600)))
    };
    for (facts, looks) in [(starting(), 3..=7), (refused(), 12..=17)] {
        let scene = scene(NEW, [told(facts)]);
        let (_, waited) = scene.verified(within).await;
        assert_eq!(waited.outcome, WaitOutcome::Unfinished);
        let looked = *scene.play.looks.lock().expect("no panic");
        assert!(looks.contains(&looked), "{looked}: {waited:#?}");
    }
}

/// A pod that is not ready may just need its time, so that is told at the end alone.
#[tokio::test]
async fn the_last_look_tells_what_may_pass() {
    let scene = scene(OLD, [told(starting())]);
    let (told, waited) = scene.posted(WaitTerms::new(seconds(60))).await;
    assert_eq!(told, ["web progressing", "web progressing"]);
    let cause = waited.rollouts[0].answer.rollout.cause.as_ref();
    assert_eq!(cause.map(|cause| cause.code), Some(CauseCode::NotReady));
}
