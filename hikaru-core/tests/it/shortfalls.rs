//! Why a report is no success for its caller, which reason comes first, and what repeating the call can help.

use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId,
    policy::Change,
    port::{ClusterError, Fault, Found, Freshness, Severity, Written},
    testing::MockWorkloadPort,
    upgrade,
    upgrade::{ShortfallKind, Terms},
};

const POSTED: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";
const BEFORE: &str = "acme/web:acme_web_main_1.4.0_6_0123abcd";
/// The same build of another commit: only a person can mend it.
const CONFLICTING: &str = "acme/web:acme_web_main_1.4.0_7_4567cdef";
/// Another branch's build of the same version: only a strict caller minds.
const OTHER_BRANCH: &str = "acme/web:acme_web_other_1.4.0_7_0123abcd";

/// What a post comes to on a cluster of these workloads, each with its image and what its write is answered.
struct Scene {
    workloads: Vec<(&'static str, &'static str, Result<(), ClusterError>)>,
    faults: Vec<Fault>,
}

type Told = Option<(ShortfallKind, String)>;

impl Scene {
    fn of(workloads: &[(&'static str, &'static str, Result<(), ClusterError>)]) -> Self {
        Self {
            workloads: workloads.to_vec(),
            faults: Vec::new(),
        }
    }

    fn with(mut self, severity: Severity, place: &str) -> Self {
        self.faults.push(Fault::new(severity, place, "no YAML"));
        self
    }

    fn with_timeout(mut self, place: &str) -> Self {
        let error = ClusterError::Unavailable {
            message: "no answer".into(),
            retry_after: None,
        };
        let fault = Fault::of_error(Severity::Failure, place, &error);
        self.faults.push(fault);
        self
    }

    /// The shortfall for a lenient caller, the usual one and a strict one.
    async fn check(self, allow_none: bool) -> [Told; 3] {
        let mut port = MockWorkloadPort::new();
        port.expect_freshness().return_const(Freshness::Fresh);
        let found = self.workloads.iter().map(|(name, image, _)| {
            let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", *name));
            workload.labels = IdentityLabels::new("acme", "web", "main");
            workload.containers.push(Container::new("web", *image));
            workload.into()
        });
        let found = Found::new(found.collect(), self.faults);
        port.expect_find().returning(move |_| Ok(found.clone()));
        let answers = self.workloads;
        port.expect_write_all().returning(move |changes, _| {
            let answer = |change: &Change| {
                let written = answers
                    .iter()
                    .find(|(name, ..)| *name == &*change.judged().id.name);
                let answer = written.map_or(Ok(()), |(_, _, answer)| answer.clone());
                answer.map(|()| Written::default())
            };
            changes.iter().map(answer).collect()
        });
        let build = Build::parse(POSTED, &TagFormats::default()).expect("a build");
        let report = upgrade(
            &port,
            &hikaru_core::testing::StillClock::default(),
            Request::new(build),
            Mode::Commit,
        )
        .await;
        let report = report.expect("a report");
        [Terms::Lenient, Terms::Usual, Terms::Strict].map(|terms| {
            let shortfall = report.shortfall(terms, allow_none)?;
            Some((shortfall.kind, shortfall.sentence))
        })
    }
}

fn all(kind: ShortfallKind, sentence: &str) -> [Told; 3] {
    [0; 3].map(|_| Some((kind, sentence.to_owned())))
}

fn denied() -> Result<(), ClusterError> {
    Err(ClusterError::Invalid("denied".into()))
}

fn down() -> Result<(), ClusterError> {
    Err(ClusterError::Unavailable {
        message: "reset".into(),
        retry_after: None,
    })
}

#[tokio::test]
async fn what_failed_comes_first_and_says_whether_repeating_can_help() {
    use ShortfallKind::{Refused, Unfinished, Unread};
    let fine = ("fine", BEFORE, Ok(()));
    let unread = "something could not be read, so workloads may be missing: a.yaml:1:2: no YAML";
    for (scene, kind, sentence) in [
        (
            Scene::of(&[fine.clone(), ("web", BEFORE, denied())]),
            Refused,
            "1 of 2 workloads could not be upgraded, and repeating the call does not help: shop/Deployment/web: refused: \
             denied",
        ),
        (
            Scene::of(&[(
                "web",
                BEFORE,
                Err(ClusterError::Forbidden("no right".into())),
            )]),
            Refused,
            "1 of 1 workload could not be upgraded, and repeating the call does not help: shop/Deployment/web: not \
             allowed: no right",
        ),
        (
            Scene::of(&[
                ("a", BEFORE, denied()),
                ("b", BEFORE, down()),
                ("c", CONFLICTING, Ok(())),
            ]),
            Unfinished,
            "2 of 2 workloads could not be upgraded, and repeating the call can help: shop/Deployment/b: unavailable: reset \
             (and 1 more)",
        ),
        (
            Scene::of(&[(
                "web",
                BEFORE,
                Err(ClusterError::NotFound("shop/Deployment/web".into())),
            )]),
            Unfinished,
            "1 of 1 workload could not be upgraded, and repeating the call can help: shop/Deployment/web: there is no shop/Deployment/web",
        ),
        (
            Scene::of(&[("web", BEFORE, down())]).with(Severity::Failure, "a.yaml:1:2"),
            Unfinished,
            "1 of 1 workload could not be upgraded, and repeating the call can help: shop/Deployment/web: unavailable: \
             reset",
        ),
        (
            Scene::of(&[("web", BEFORE, denied())]).with(Severity::Failure, "a.yaml:1:2"),
            Unread,
            unread,
        ),
        (
            Scene::of(&[]).with(Severity::Failure, "a.yaml:1:2"),
            Unread,
            unread,
        ),
        (
            Scene::of(&[("web", BEFORE, denied())])
                .with(Severity::Failure, "a.yaml:1:2")
                .with_timeout("daemonsets.apps"),
            Unfinished,
            "something could not be read, so workloads may be missing: daemonsets.apps: unavailable: no answer (and 1 more); \
             repeating the call can help",
        ),
        (
            Scene::of(&[fine])
                .with(Severity::Failure, "a.yaml:1:2")
                .with(Severity::Failure, "b.yaml"),
            Unread,
            "something could not be read, so workloads may be missing: a.yaml:1:2: no YAML (and 1 more)",
        ),
    ] {
        assert_eq!(scene.check(true).await, all(kind, sentence));
    }
}

#[tokio::test]
async fn what_is_no_success_depends_on_the_caller() {
    use ShortfallKind::{NothingMatched, StaysBehind};
    let told = |kind, sentence: &str| Some((kind, sentence.to_owned()));
    let nothing = told(NothingMatched, "nothing matched");
    let none = || Scene::of(&[]).with(Severity::Warning, "a.yaml:1:2");
    assert_eq!(none().check(false).await, [None, nothing.clone(), nothing]);
    assert_eq!(none().check(true).await, [None, None, None]);
    let one = told(StaysBehind, "1 container stays behind: conflicting-build");
    let both = told(
        StaysBehind,
        "2 containers stay behind: conflicting-build, other-branch",
    );
    let other = told(StaysBehind, "1 container stays behind: other-branch");
    let (a, b) = (("a", CONFLICTING, Ok(())), ("b", OTHER_BRANCH, Ok(())));
    let fine = ("fine", BEFORE, Ok(()));
    let behind = Scene::of(&[a, b.clone(), fine.clone()]);
    assert_eq!(behind.check(true).await, [None, one, both]);
    let behind = Scene::of(&[b, fine.clone()]);
    assert_eq!(behind.check(false).await, [None, None, other]);
    let done = Scene::of(&[fine]).with(Severity::Warning, "a.yaml:1:2");
    assert_eq!(done.check(false).await, [None, None, None]);
}
