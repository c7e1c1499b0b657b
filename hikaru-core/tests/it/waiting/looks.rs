//! How often a workload is looked at that is waited for.

use hikaru_core::rollout::{WaitOutcome, WaitTerms};

use super::{NEW, scene, starting, told};
use crate::rollouts::scene::{deployment, seconds};

/// Where nothing is told, looks are seldom: each may ask an API server. Of events nobody tells, so there they are not.
#[tokio::test]
async fn how_often_is_looked_where_nothing_is_told() {
    let within = WaitTerms::new(seconds(120));
    let refused = || {
        let facts = deployment(1).at(5);
        facts.object(|object| object.progress_deadline = Some(seconds(3_600)))
    };
    for (facts, looks) in [(starting(), 2..=4), (refused(), 12..=14)] {
        let scene = scene(NEW, [told(facts)]);
        let (_, waited) = scene.verified(within).await;
        assert_eq!(waited.outcome, WaitOutcome::Unfinished);
        let looked = *scene.play.looks.lock().expect("no panic");
        assert!(looks.contains(&looked), "{looked}: {waited:#?}");
    }
}
