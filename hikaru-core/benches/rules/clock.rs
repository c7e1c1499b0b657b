//! Times: each figure is the median of rounds; in a round everything that is compared has its turn.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use hikaru_core::{
    Build, TagFormats,
    image::{Reference, Version},
    plan,
    policy::Code,
    rollout::{Reached, judge},
};

use crate::{inputs, rollouts, workloads};

const ROUNDS: usize = 31;
/// How often something small is done in one turn.
const TURN: u32 = 1_000;
/// The containers whose verdicts are timed: the difference between a workload with one more and one with one.
const CONTAINERS: u32 = 100;

/// Prints everything.
pub(crate) fn print() {
    references();
    versions();
    verdicts();
    plans();
    rollouts();
}

/// Something that is timed: each call is one turn, and gives the time of one operation.
type Subject<'a> = Box<dyn FnMut() -> Duration + 'a>;

fn small<'a, T>(mut run: impl FnMut() -> T + 'a) -> Subject<'a> {
    Box::new(move || {
        let start = Instant::now();
        for _ in 0..TURN {
            black_box(run());
        }
        start.elapsed() / TURN
    })
}

/// The times of all rounds in nanoseconds, the lowest first. One more round, the first, warms up.
fn rounds<const N: usize>(mut subjects: [Subject<'_>; N]) -> [Vec<f64>; N] {
    let mut times = [const { Vec::new() }; N];
    for round in 0..=ROUNDS {
        for (subject, times) in subjects.iter_mut().zip(&mut times) {
            let time = subject();
            if round > 0 {
                times.push(time.as_secs_f64() * 1e9);
            }
        }
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    times
}

fn median(times: &[f64]) -> f64 {
    times[times.len() / 2]
}

fn medians<const N: usize>(subjects: [Subject<'_>; N]) -> [f64; N] {
    rounds(subjects).map(|times| median(&times))
}

/// Reads a reference and its tag, as views.
fn view(image: &str, formats: &TagFormats) -> bool {
    let reference = Reference::parse(black_box(image));
    let tag = reference.as_ref().ok().and_then(Reference::tag);
    black_box(tag.map(|tag| formats.read(tag))).is_some_and(|read| read.is_ok())
}

fn references() {
    println!("ns to read            view  owned  oci-spec  view/oci-spec");
    let formats = TagFormats::default();
    for (name, image) in inputs::images() {
        let [ours, owned, oci] = medians([
            small(|| view(&image, &formats)),
            small(|| Build::parse(black_box(&image), &formats)),
            small(|| black_box(image.as_str()).parse::<oci_spec::distribution::Reference>()),
        ]);
        let refused = match image.parse::<oci_spec::distribution::Reference>() {
            Ok(_) => "",
            Err(_) => " (refused by oci-spec)",
        };
        println!(
            "  {name:<18} {ours:>6.0} {owned:>6.0} {oci:>9.0} {:>14.2}{refused}",
            ours / oci
        );
    }
}

fn versions() {
    println!("ns to read           ours  semver  ours/semver");
    for (name, text) in inputs::versions() {
        let [ours, semver] = medians([
            small(|| Version::parse(black_box(&text))),
            small(|| semver::Version::parse(black_box(&text))),
        ]);
        let refused = match semver::Version::parse(&text) {
            Ok(_) => "",
            Err(_) => " (refused by semver)",
        };
        println!(
            "  {name:<18} {ours:>5.0} {semver:>7.0} {:>12.2}{refused}",
            ours / semver
        );
    }
}

/// What one more container costs in a plan: its image is read, and judged.
fn verdicts() {
    println!("ns of a verdict, the running image read with it, the edit and its mark made");
    for kind in &workloads::KINDS {
        let planned = |containers: u32| -> Subject<'_> {
            let request = workloads::request();
            let workload = kind.workload(containers as usize);
            Box::new(move || {
                let turns = 20;
                let mut time = Duration::ZERO;
                for _ in 0..turns {
                    let (request, workload) = (request.clone(), workload.clone());
                    let start = Instant::now();
                    let plan = black_box(plan(request, [workload]));
                    time += start.elapsed();
                    let codes: Vec<Code> = plan.entries[0].codes().collect();
                    assert!(
                        codes.iter().all(|code| code.as_str() == kind.code()),
                        "{codes:?}"
                    );
                }
                time / turns
            })
        };
        let [one, more] = medians([planned(1), planned(1 + CONTAINERS)]);
        let name = kind.name;
        println!("  {name:<22} {:>5.0}", (more - one) / f64::from(CONTAINERS));
    }
}

/// A plan for a thousand workloads, the copies made and the plan dropped outside of the time; and one of its workloads
/// judged again, what it takes to copy it taken off.
fn plans() {
    let thousand = workloads::thousand();
    let request = workloads::request();
    let whole = || {
        let (request, workloads) = (request.clone(), thousand.clone());
        let start = Instant::now();
        let plan = black_box(plan(request, workloads));
        let time = start.elapsed();
        let upgraded = plan.entries.iter().filter(|entry| entry.change.is_some());
        assert_eq!(upgraded.count(), 1_000);
        time
    };
    let ready = plan(request.clone(), thousand.clone());
    let again = small(|| ready.judge_again(thousand[0].clone()));
    let copied = small(|| thousand[0].clone());
    let [again, copied] = medians([again, copied]);
    let [whole] = rounds([Box::new(whole)]);
    println!(
        "a plan for 1,000 workloads: {:.3} ms, the lowest {:.3} ms",
        median(&whole) / 1e6,
        whole[0] / 1e6
    );
    println!("a workload judged again, dropped: {:.0} ns", again - copied);
}

/// The state of a rollout of three pods, judged a second time: what was reached is known. The facts are not copied.
fn rollouts() {
    println!("ns of the state of a rollout of three pods");
    let asked = rollouts::asked();
    for (name, facts) in rollouts::all() {
        let reached = judge(&Reached::default(), Some(&facts), &asked).reached;
        let judged = || judge(&reached, Some(black_box(&facts)), &asked);
        let [ours] = medians([small(judged)]);
        println!("  {name:<22} {ours:>5.0}");
    }
}
