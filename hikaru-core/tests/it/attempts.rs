//! The attempts at one workload, step by step: lost answers, answers that nobody waits for, another reading.

use std::time::Duration;

use hikaru_core::{
    Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
    port::{ClusterError, Written},
    upgrade::{ATTEMPTS, Attempts, LOST_READS, LOST_WRITES, Outcome, Step},
    workload::{Place, Setting},
};

const OLD: &str = "acme/web:acme_web_main_1.4.0_6_0123abcd";
const POSTED: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";
const MARK: &str = "1.4.0_7_d5ecc80e";
const HIGHER_MARK: &str = "1.4.0_8_d5ecc80e";

fn web(image: &str) -> Workload {
    let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    workload.uid = "uid-1".into();
    workload.labels = IdentityLabels::new("acme", "web", "main");
    workload.containers.push(Container::new("web", image));
    workload
}

fn attempts(image: &str, force: &str, judged: Workload) -> Attempts {
    let build = Build::parse(image, &TagFormats::default()).expect("a build");
    let mut request = Request::new(build);
    if !force.is_empty() {
        request.force = force.parse().expect("codes");
    }
    let mut all = Attempts::of(plan(request, [judged]));
    all.next().expect("an entry")
}

fn lost() -> Result<Written, ClusterError> {
    Err(ClusterError::Lost("connection reset".into()))
}

type Meanwhile = fn(&mut Workload);

#[test]
fn after_a_lost_answer_image_mark_and_uid_tell_whose_write_it_was() {
    let written: Meanwhile = |w| {
        w.containers[0].image = POSTED.into();
        w.containers[0].mark = Some(MARK.into());
    };
    let same_image: Meanwhile = |w| w.containers[0].image = POSTED.into();
    let opted_out: Meanwhile = |w| {
        let manual = Setting::new(Place::Annotation, "upgrade", "manual");
        w.settings.push(manual);
    };
    let recreated: Meanwhile = |w| {
        w.uid = "uid-2".into();
        w.containers[0].image = POSTED.into();
        w.containers[0].mark = Some(MARK.into());
    };
    let written_and_relabeled: Meanwhile = |w| {
        w.containers[0].image = POSTED.into();
        w.containers[0].mark = Some(MARK.into());
        w.labels = IdentityLabels::new("acme", "web", "dev");
    };
    let relabeled: Meanwhile = |w| w.labels = IdentityLabels::new("acme", "web", "dev");
    for (what, meanwhile, expected) in [
        ("our write", written, Outcome::Upgraded),
        (
            "our write, and a relabel after it",
            written_and_relabeled,
            Outcome::Upgraded,
        ),
        ("no write, a relabel", relabeled, Outcome::Withdrawn),
        (
            "a person's, who leaves no mark",
            same_image,
            Outcome::Unchanged,
        ),
        ("no write, an opt-out", opted_out, Outcome::Unchanged),
        ("another object", recreated, Outcome::Unchanged),
    ] {
        let mut attempts = attempts(POSTED, "", web(OLD));
        attempts.written(lost());
        assert!(matches!(attempts.step(), Step::Read(_)), "{what}");
        let mut now = web(OLD);
        meanwhile(&mut now);
        attempts.read(Ok(Some(now)));
        assert_eq!(attempts.finish().outcome, expected, "{what}");
    }
    // A forced lower build writes no mark: the image alone tells.
    let mut held = web(OLD);
    held.containers[0].mark = Some(HIGHER_MARK.into());
    let mut attempts = attempts(POSTED, "held", held.clone());
    attempts.written(lost());
    same_image(&mut held);
    attempts.read(Ok(Some(held)));
    assert_eq!(attempts.finish().outcome, Outcome::Upgraded);
}

fn unavailable() -> ClusterError {
    ClusterError::Unavailable {
        message: "no leader".into(),
        retry_after: None,
    }
}

/// What is waited before each write and before each read, while writes and reads are answered so.
fn drive(
    attempts: &mut Attempts,
    written: impl Fn(usize) -> Result<Written, ClusterError>,
    read: impl Fn(usize) -> Result<Option<Workload>, ClusterError>,
) -> [Vec<Duration>; 2] {
    let [mut writes, mut reads] = [Vec::new(), Vec::new()];
    loop {
        let pause = attempts.pause();
        match attempts.step() {
            Step::Write(_) => {
                attempts.written(written(writes.len()));
                writes.push(pause);
            }
            Step::Read(_) => {
                attempts.read(read(reads.len()));
                reads.push(pause);
            }
            Step::Done => return [writes, reads],
        }
    }
}

/// At once for the first time, then longer each time.
#[track_caller]
fn grow(pauses: &[Duration], times: usize) {
    assert_eq!(pauses.len(), times);
    assert_eq!(pauses[0], Duration::ZERO);
    assert!(pauses.windows(2).all(|p| p[0] < p[1]), "{pauses:?}");
}

#[test]
fn writes_whose_answers_are_lost_are_few_and_further_and_further_apart() {
    let mut attempts = attempts(POSTED, "", web(OLD));
    let [writes, reads] = drive(&mut attempts, |_| lost(), |_| Ok(Some(web(OLD))));
    grow(&writes, LOST_WRITES);
    assert_eq!(reads, [Duration::ZERO; LOST_WRITES]);
    // It was read that none of them was applied.
    let outcome = attempts.finish().outcome;
    let error = ClusterError::Lost("connection reset".into());
    assert_eq!(outcome, Outcome::Failed(error));
    assert!(outcome.is_retryable());
}

#[test]
fn what_cannot_be_read_after_a_lost_answer_is_unknown() {
    let mut attempts_all = attempts(POSTED, "", web(OLD));
    let [writes, reads] = drive(&mut attempts_all, |_| lost(), |_| Err(unavailable()));
    grow(&writes, 1);
    grow(&reads, LOST_READS);
    let outcome = attempts_all.finish().outcome;
    let expected = Outcome::Unknown {
        lost: ClusterError::Lost("connection reset".into()),
        unread: unavailable(),
    };
    assert_eq!(outcome, expected);
    assert!(outcome.is_retryable());

    // Asking again does not help with this one; and what was done is not known all the same.
    let forbidden = || ClusterError::Forbidden("no".into());
    let mut refused = attempts(POSTED, "", web(OLD));
    let [_, reads] = drive(&mut refused, |_| lost(), |_| Err(forbidden()));
    grow(&reads, 1);
    let outcome = refused.finish().outcome;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");

    // Where nothing of ours can have been applied, it has failed.
    let mut stale = attempts(POSTED, "", web(OLD));
    let refusal = |_| Err(ClusterError::Stale);
    let [_, reads] = drive(&mut stale, refusal, |_| Err(unavailable()));
    grow(&reads, 1);
    assert_eq!(stale.finish().outcome, Outcome::Failed(unavailable()));
}

#[test]
fn a_reading_that_fails_for_a_moment_is_repeated() {
    let written = || {
        let mut written = web(OLD);
        written.containers[0].image = POSTED.into();
        written.containers[0].mark = Some(MARK.into());
        written
    };
    let mut attempts = attempts(POSTED, "", web(OLD));
    let read = |times| match times {
        0..3 => Err(unavailable()),
        _ => Ok(Some(written())),
    };
    let [writes, reads] = drive(&mut attempts, |_| lost(), read);
    grow(&writes, 1);
    grow(&reads, 4);
    assert_eq!(attempts.finish().outcome, Outcome::Upgraded);
}

/// A proxy held the first write back: it lands after it was read that nothing had been written, and refuses the second.
#[test]
fn a_lost_write_that_lands_late_is_told_as_ours() {
    let mut attempts = attempts(POSTED, "", web(OLD));
    attempts.written(lost());
    attempts.read(Ok(Some(web(OLD))));
    assert!(matches!(attempts.step(), Step::Write(_)));
    attempts.written(Err(ClusterError::Stale));
    let mut now = web(OLD);
    now.containers[0].image = POSTED.into();
    now.containers[0].mark = Some(MARK.into());
    attempts.read(Ok(Some(now)));
    assert_eq!(attempts.finish().outcome, Outcome::Upgraded);
}

#[test]
fn what_others_change_is_tried_often_and_at_once() {
    let mut attempts = attempts(POSTED, "", web(OLD));
    let refusal = |_| Err(ClusterError::Stale);
    let [writes, reads] = drive(&mut attempts, refusal, |_| Ok(Some(web(OLD))));
    assert_eq!(writes, [Duration::ZERO; ATTEMPTS]);
    assert_eq!(reads, [Duration::ZERO; ATTEMPTS]);
    assert_eq!(attempts.finish().outcome, Outcome::Contended);
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut attempts = attempts(POSTED, "", web(OLD));
    attempts.read(Ok(None));
    assert!(matches!(attempts.step(), Step::Write(_)));
    attempts.written(Err(ClusterError::Stale));
    attempts.written(Ok(Written::default()));
    assert!(matches!(attempts.step(), Step::Read(_)));
    attempts.read(Ok(Some(web(OLD))));
    attempts.written(Ok(Written::default()));
    attempts.written(Err(ClusterError::NotFound("it".into())));
    attempts.read(Ok(None));
    assert!(matches!(attempts.step(), Step::Done));
    assert_eq!(attempts.finish().outcome, Outcome::Upgraded);
}

#[test]
fn another_workload_than_the_one_to_be_read_is_a_failure() {
    let mut attempts = attempts(POSTED, "", web(OLD));
    attempts.written(Err(ClusterError::Stale));
    let mut other = web(OLD);
    other.id = WorkloadId::new("shop", "Deployment", "other");
    attempts.read(Ok(Some(other)));
    let failure = attempts.finish().outcome.failure();
    let expected = "refused: expected shop/Deployment/web to be read, found shop/Deployment/other";
    assert_eq!(failure.as_deref(), Some(expected));
}

/// The plan was made when all matched by one reading of the tag.
#[test]
fn what_is_relabeled_to_another_reading_meanwhile_is_ambiguous() {
    let mut judged = web("acme/web:latest");
    judged.labels = IdentityLabels::new("a", "b", "c_d");
    let posted = "acme/web:a_b_c_d_1.4.0_7_0123abcd";
    let mut attempts = attempts(posted, "", judged.clone());
    attempts.written(Err(ClusterError::Stale));
    judged.labels = IdentityLabels::new("a_b", "c", "d");
    attempts.read(Ok(Some(judged)));
    let reported = attempts.finish();
    assert_eq!(reported.outcome, Outcome::Unchanged);
    let entry = &reported.entry;
    assert_eq!(
        entry.containers[0].reason,
        "workloads match by different readings of the tag: (owner a, repo b, branch c_d) and (owner a_b, repo c, branch d); \
         choose one by its owner, repo or branch"
    );
}
