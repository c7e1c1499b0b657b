//! The guarantee (docs/guarantee.md): every interleaving of posts, replicas, retries, lost answers, crashes and a person's
//! hands, and a random walk far beyond them; each fault planted on purpose is found. The checker is stateright; what it
//! visits is in `guarantee/model.rs`, the code under test behind `guarantee/world.rs`.

mod model;
mod scene;
mod world;

use std::collections::BTreeSet;

use hikaru_core::policy::Code;
use model::{Action, State, Violation};
use scene::{
    B8, B9, B10, B10_OTHER_COMMIT, DEV, DEV_1_10, ELSEWHERE, Fault, HANDS, Hand, LATEST, Scene,
    V1_10,
};
use stateright::{Checker, Model};
use world::{End, World};

/// A variable that makes the scenes larger: some minutes and some gigabytes, by hand.
const DEEP: &str = "HIKARU_GUARANTEE_DEEP";

fn is_deep() -> bool {
    std::env::var_os(DEEP).is_some()
}

/// What was visited.
#[derive(Debug, Default)]
struct Visited {
    scenes: usize,
    states: usize,
    steps: usize,
    told: BTreeSet<End>,
}

impl Visited {
    /// Visits every state of a scene, and fails with the shortest way to one where the guarantee does not hold.
    fn all_of(&mut self, scene: Scene) {
        let name = format!("{scene:?}");
        let checker = World::new(scene).checker().threads(2).spawn_bfs().join();
        if let Some(path) = checker.discovery("the guarantee") {
            panic!("{name}\n{path}\n{:?}", path.last_state());
        }
        self.scenes += 1;
        self.states += checker.unique_state_count();
        self.steps += checker.state_count();
        let told = checker.model().told.lock().expect("no panic before");
        self.told.extend(told.iter());
    }

    #[expect(clippy::print_stdout, reason = "the counts are for docs/guarantee.md")]
    fn tell(&self, what: &str) {
        println!(
            "{what}: {} scenes, {} states, {} steps; clients were told {:?}",
            self.scenes, self.states, self.steps, self.told
        );
    }

    #[track_caller]
    fn were_told(&self, expected: &[End]) {
        for end in expected {
            assert!(self.told.contains(end), "{end:?} in {:?}", self.told);
        }
    }
}

const EQUAL: End = End::Unchanged(Code::Equal);
const OBSOLETE: End = End::Unchanged(Code::Obsolete);
const HELD: End = End::Unchanged(Code::Held);
const MANUAL: End = End::Unchanged(Code::Manual);
const CONFLICTING: End = End::Unchanged(Code::ConflictingBuild);
const OTHER_BRANCH: End = End::Unchanged(Code::OtherBranch);

/// Each choice of so many of these, in rising order, an image as often as it likes.
fn choices(images: &[u8], many: usize) -> Vec<Vec<u8>> {
    let Some(less) = many.checked_sub(1) else {
        return vec![Vec::new()];
    };
    let shorter = choices(images, less);
    let longer = shorter.iter().flat_map(|choice| {
        let from = choice.last().copied().unwrap_or_default();
        let next = images.iter().filter(move |image| **image >= from);
        next.map(|image| [&choice[..], &[*image]].concat())
    });
    longer.collect()
}

#[test]
fn four_posts_in_every_interleaving() {
    let mut visited = Visited::default();
    for posts in choices(&[B9, B10, B10_OTHER_COMMIT, V1_10], 4) {
        visited.all_of(Scene::of(posts).trouble(1, 1));
    }
    visited.all_of(Scene::of([B9, B10, B10_OTHER_COMMIT, V1_10]).trouble(2, 2));
    visited.tell("four posts");
    visited.were_told(&[End::Upgraded, EQUAL, OBSOLETE, CONFLICTING, End::Failed]);
    assert_eq!(visited.scenes, 36);
}

#[test]
fn a_person_in_between() {
    let mut visited = Visited::default();
    // The same build twice; what a person does hits each step of four posts.
    let duplicates = Scene::of([B9, B9, B10, V1_10]).trouble(1, 1);
    visited.all_of(duplicates.hands(1, HANDS));
    // More deeds, fewer posts: undone and deployed again, opted out and in, relabeled and back.
    let deeds = if is_deep() { 3 } else { 2 };
    visited.all_of(Scene::of([B9, B10]).trouble(1, 1).hands(deeds, HANDS));
    if is_deep() {
        let all_other = Scene::of([B9, B10, B10_OTHER_COMMIT, V1_10]).trouble(1, 1);
        visited.all_of(all_other.hands(1, HANDS));
        let three = Scene::of([B9, B10, V1_10]).trouble(1, 1);
        visited.all_of(three.hands(2, HANDS));
    }
    visited.tell("a person in between");
    visited.were_told(&[End::Upgraded, EQUAL, OBSOLETE, HELD, MANUAL]);
    visited.were_told(&[End::Withdrawn, End::Failed]);
}

#[test]
fn two_branches_and_force() {
    let mut visited = Visited::default();
    let relabel = [Hand::Relabel("dev"), Hand::Relabel("main"), Hand::Undo(B8)];
    let branches = [B9, V1_10, DEV, DEV_1_10];
    visited.all_of(Scene::of(branches).trouble(1, 1).hands(2, relabel));
    let back = [Hand::Undo(B8), Hand::Unhold, Hand::OptOutByLabel];
    for forced in [B9, B10] {
        visited.all_of(
            Scene::of([B9, B10])
                .forced(forced)
                .trouble(1, 1)
                .hands(1, back),
        );
        if is_deep() {
            let more = Scene::of([B9, B10, V1_10]).forced(forced).trouble(1, 1);
            visited.all_of(more.hands(1, back));
        }
    }
    visited.tell("two branches and force");
    visited.were_told(&[End::Upgraded, EQUAL, OBSOLETE, HELD, OTHER_BRANCH]);
    visited.were_told(&[End::Withdrawn, End::Failed]);
}

/// A walk through a scene that is far too large to be visited as a whole.
#[test]
#[expect(clippy::print_stdout, reason = "a walk can be repeated by its seed")]
fn a_random_walk_of_a_million_steps() {
    const STEPS: usize = 1_000_000;
    let seed = std::env::var("HIKARU_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |s| s.parse().expect("a number"));
    println!("HIKARU_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let posts = [B8, B9, B9, B10, B10_OTHER_COMMIT, V1_10, DEV, DEV_1_10];
    let scene = Scene::of(posts).forced(B9).trouble(20, 20).hands(20, HANDS);
    let world = World::new(Scene {
        attempts: 20,
        ..scene
    });
    let (mut steps, mut walks) = (0, 0);
    while steps < STEPS {
        walks += 1;
        let mut way: Vec<Action> = Vec::new();
        let mut state: State = world.init_states().remove(0);
        loop {
            let mut actions = Vec::new();
            world.actions(&state, &mut actions);
            let Some(action) = random.choice(actions) else {
                break;
            };
            way.push(action);
            let Some(next) = world.next_state(&state, action) else {
                continue;
            };
            state = next;
            steps += 1;
            assert_eq!(state.violation, None, "HIKARU_SEED={seed} {way:?}");
        }
    }
    println!("a random walk: {steps} steps in {walks} walks");
    let told = world.told.lock().expect("no panic before");
    let all = [EQUAL, OBSOLETE, CONFLICTING, HELD, MANUAL, OTHER_BRANCH];
    for end in all.iter().chain(&[End::Upgraded, End::Withdrawn]) {
        assert!(told.contains(end), "{end:?} in {told:?}");
    }
}

/// A test that cannot fail is worth nothing: each of these is found, in a scene that is sound without it.
#[test]
fn each_planted_fault_is_found() {
    let one = || Scene::of([B9]);
    let two = || Scene::of([B9, B10]);
    for (fault, scene, expected) in [
        (
            Fault::NoImageTest,
            one().hands(1, [Hand::SetImage(B10)]),
            Violation::Lowered,
        ),
        (
            Fault::NoImageTest,
            one().hands(1, [Hand::SetImage(ELSEWHERE)]),
            Violation::OtherRepository,
        ),
        (
            Fault::NoMarkTest,
            two().hands(1, [Hand::Undo(B8)]),
            Violation::BelowAnEarlierOne,
        ),
        (
            Fault::NoOptOutTest,
            one().hands(1, [Hand::OptOutByLabel]),
            Violation::OptedOut,
        ),
        (
            Fault::NoOptOutTest,
            one().hands(1, [Hand::OptOutByAnnotation]),
            Violation::OptedOut,
        ),
        (
            Fault::NoLabelsTest,
            one().hands(1, [Hand::Relabel("dev")]),
            Violation::OtherLabels,
        ),
        (
            Fault::NoUidTest,
            one().hands(1, [Hand::Recreate]),
            Violation::OtherObject,
        ),
        (
            Fault::NoMark,
            Scene::of([B9, B9]).hands(1, [Hand::Undo(B8)]),
            Violation::BelowAnEarlierOne,
        ),
        (
            Fault::NoMark,
            Scene::of([B9, B10]).hands(1, [Hand::SetImage(LATEST)]),
            Violation::BelowAnEarlierOne,
        ),
        (
            Fault::MarkGoesDown,
            Scene::of([B10]).forced(B9),
            Violation::MarkWentDown,
        ),
        (
            Fault::ComparedAsText,
            Scene {
                start: B10,
                ..one()
            },
            Violation::Lowered,
        ),
        (Fault::NotJudgedAgain, two(), Violation::Lowered),
        (
            Fault::LostCountsAsDone,
            one().trouble(1, 0),
            Violation::NeverWritten,
        ),
    ] {
        let found = |scene: Scene| {
            let checker = World::new(scene).checker().spawn_bfs().join();
            let path = checker.discovery("the guarantee");
            path.and_then(|path| path.last_state().violation)
        };
        assert_eq!(found(scene.clone()), None, "{fault:?}: sound without it");
        assert_eq!(found(scene.with(fault)), Some(expected), "{fault:?}");
    }
}
