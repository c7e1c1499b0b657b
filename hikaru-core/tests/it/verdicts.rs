//! The verdict table, line by line: what runs, what is posted, what is set, what comes out.

use hikaru_core::{
    Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
    policy::{Code, Force, OnFailure, Rules},
    workload::{Owner, Place, Setting},
};

mod beside;
mod images;

const POSTED: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";

/// One workload `shop/Deployment/web`, labeled acme, web, main, with one container `web`.
pub(crate) struct On {
    workload: Workload,
    force: Force,
    formats: TagFormats,
}

pub(crate) fn runs(image: &str) -> On {
    let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    workload.labels = IdentityLabels::new("acme", "web", "main");
    workload.containers.push(Container::new("web", image));
    On {
        workload,
        force: Force::NONE,
        formats: TagFormats::default(),
    }
}

impl On {
    fn set(mut self, place: Place, key: &str, value: &str) -> Self {
        self.workload.settings.push(Setting::new(place, key, value));
        self
    }

    pub(crate) fn label(self, key: &str, value: &str) -> Self {
        self.set(Place::Label, key, value)
    }

    pub(crate) fn annotation(self, key: &str, value: &str) -> Self {
        self.set(Place::Annotation, key, value)
    }

    /// A mark of docker.io/acme/web and acme_web_main.
    pub(crate) fn mark(self, build: &str) -> Self {
        self.raw_mark(&format!("{build}_d5ecc80e"))
    }

    fn raw_mark(mut self, value: &str) -> Self {
        self.workload.containers[0].mark = Some(value.into());
        self
    }

    pub(crate) fn force(mut self, codes: &str) -> Self {
        self.force = codes.parse().expect(codes);
        self
    }

    fn formats(mut self, formats: &str) -> Self {
        self.formats = formats.parse().expect(formats);
        self
    }

    /// Posts and expects `code: sentence`; for an upgrade, the mark that is written stands behind it.
    #[track_caller]
    pub(crate) fn post(self, image: &str, expected: &str) {
        let build = Build::parse(image, &self.formats).expect(image);
        let mut request = Request::new(build.clone());
        request.force = self.force;
        let plan = plan(request, [self.workload]);
        let entry = plan.entries.first().expect("an entry");
        let judged = &entry.containers[0];
        let mut found = format!("{}: {}", judged.code, judged.reason);
        if let Some(change) = &entry.change {
            let mark = change.edits()[0].mark();
            found.push_str(&format!(" [{}]", mark.map_or("no new mark", |m| m)));
        }
        for warning in &entry.warnings {
            found.push_str(&format!(" ({warning})"));
        }
        assert_eq!(found, expected);
    }

    #[track_caller]
    pub(crate) fn gives(self, expected: &str) {
        self.post(POSTED, expected);
    }
}

#[test]
fn unreadable_setting() {
    runs("acme/web:latest").annotation("upgrade", "never").gives(
        "unreadable-setting: the annotation hikaru.dev/upgrade is \"never\": expected auto or manual",
    );
    runs("acme/web:latest").label("upgrade", "Manual").gives(
        "unreadable-setting: the label hikaru.dev/upgrade is \"Manual\": expected auto or manual",
    );
    runs("acme/web:latest").annotation("on-failure", "undo").gives(
        "unreadable-setting: the annotation hikaru.dev/on-failure is \"undo\": expected keep or rollback",
    );
    runs("acme/web:latest").annotation("containers", "web,,api").gives(
        "unreadable-setting: the annotation hikaru.dev/containers is \"web,,api\": expected names of containers, \
         separated by commas",
    );
    runs("acme/web:latest").annotation("constraint", "~1.x.y").force("true").gives(
        "unreadable-setting: the annotation hikaru.dev/constraint is \"~1.x.y\": expected a version requirement such \
         as ~1.4 or >=1.2, <2 (unexpected character after wildcard in version req)",
    );
    // A name that no container has: it is not left behind in silence.
    runs("acme/web:latest").annotation("containers", "wbe").force("true").gives(
        "unreadable-setting: the annotation hikaru.dev/containers is \"wbe\": expected one of the pod's containers: web",
    );
    runs("acme/web:latest")
        .annotation("containers", "web")
        .label("containers", "proxy")
        .gives(
            "unreadable-setting: the label hikaru.dev/containers is \"proxy\": expected one of the pod's containers that \
             the annotation names, too: web",
        );
    runs("acme/web:latest")
        .annotation("containers", "proxy")
        .label("containers", "web")
        .gives(
            "unreadable-setting: the label hikaru.dev/containers is \"web\": expected one of the pod's containers; the \
             annotation names none",
        );
    runs("acme/web:latest").annotation("containers", "wbe, web").gives(
        "upgrade: latest carries no version [1.4.0_7_d5ecc80e] (hikaru.dev/containers names wbe, but there is no such \
         container)",
    );
    runs("acme/web:latest").annotation("upgrades", "manual").gives(
        "upgrade: latest carries no version [1.4.0_7_d5ecc80e] (the annotation hikaru.dev/upgrades means nothing: \
         expected one of upgrade, containers, constraint, progress-deadline, required-rollout)",
    );
}

#[test]
fn manual() {
    runs("acme/web:latest")
        .annotation("upgrade", "manual")
        .gives("manual: opted out by the annotation hikaru.dev/upgrade: manual");
    // The more careful one of both wins.
    runs("acme/web:latest")
        .annotation("upgrade", "auto")
        .label("upgrade", "manual")
        .gives("manual: opted out by the label hikaru.dev/upgrade: manual");
    runs("acme/web:latest")
        .label("upgrade", "auto")
        .gives("upgrade: latest carries no version [1.4.0_7_d5ecc80e]");
    runs("acme/web:latest")
        .annotation("upgrade", "manual")
        .force("manual")
        .gives("upgrade: forced past manual: latest carries no version [1.4.0_7_d5ecc80e]");
    // Order still holds for a promotion to an opted-out workload.
    runs("acme/web:acme_web_main_1.5.0_1_0123abcd")
        .annotation("upgrade", "manual")
        .force("manual")
        .gives("obsolete: runs 1.5.0_1, higher than the posted 1.4.0_7");
}

#[test]
fn constraint() {
    let latest = || runs("acme/web:latest");
    latest()
        .annotation("constraint", "~1.3")
        .gives("constraint: 1.4.0 is outside of hikaru.dev/constraint: ~1.3");
    latest()
        .annotation("constraint", ">=1.2, <2")
        .gives("upgrade: latest carries no version [1.4.0_7_d5ecc80e]");
    latest()
        .annotation("constraint", ">=1.2, <2")
        .label("constraint", "1.5")
        .gives("constraint: 1.4.0 is outside of hikaru.dev/constraint: 1.5");
    let post = |constraint: &str, version: &str, expected: &str| {
        latest().annotation("constraint", constraint).post(
            &format!("acme/web:acme_web_main_{version}_1_0123abcd"),
            expected,
        );
    };
    post(
        "1.4",
        "v1.4",
        "upgrade: latest carries no version [v1.4_1_d5ecc80e]",
    );
    post(
        "=1.4.0",
        "1.4.0.9",
        "upgrade: latest carries no version [1.4.0.9_1_d5ecc80e]",
    );
    post(
        "1.4",
        "1.5.0-rc.1",
        "constraint: 1.5.0-rc.1 is outside of hikaru.dev/constraint: 1.4",
    );
    post(
        ">=1.5.0-rc.1",
        "1.5.0-rc.02",
        "upgrade: latest carries no version [1.5.0-rc.02_1_d5ecc80e]",
    );
    post(
        ">=1",
        "18446744073709551616",
        "constraint: 18446744073709551616 is outside of hikaru.dev/constraint: >=1",
    );
    latest()
        .annotation("constraint", "~1.3")
        .force("constraint")
        .gives("upgrade: forced past constraint: latest carries no version [1.4.0_7_d5ecc80e]");
}

#[test]
fn held() {
    let way_out = "The next build higher than 1.4.0_7 goes out; to let lower ones out again: \
                   kubectl label --namespace shop deployment web high-water.hikaru.dev/web-";
    let held = |what: &str| {
        format!("held: {what}: rolled back, or re-applied by a person or a tool. {way_out}")
    };
    let older = || runs("acme/web:acme_web_main_1.4.0_6_0123abcd");
    older().mark("1.4.0_7").gives(&held(
        "runs 1.4.0_6, lower than 1.4.0_7 that was deployed before",
    ));
    // Something floating came back, by somebody who applies a manifest with `latest` and then posts, perhaps twice: the
    // marked build goes out again, one below the mark does not.
    let again = "[no new mark]";
    runs("acme/web:latest")
        .mark("1.4.0_7")
        .gives(&format!("upgrade: latest carries no version {again}"));
    runs("acme/web").mark("1.4.0_7").gives(&format!(
        "upgrade: an image without a tag carries no version {again}"
    ));
    let higher = |what: &str| held(what).replace("1.4.0_7", "1.4.0_8");
    runs("acme/web:latest")
        .mark("1.4.0_8")
        .gives(&higher("runs latest, while 1.4.0_8 was deployed before"));
    runs("acme/web").mark("1.4.0_8").gives(&higher(
        "runs an image without a tag, while 1.4.0_8 was deployed before",
    ));
    runs("acme/web:latest")
        .mark("1.4.0_6")
        .gives("upgrade: latest carries no version [1.4.0_7_d5ecc80e]");
    runs("acme/web:1.4.0_5")
        .mark("1.4.0_7")
        .gives(&held("runs 1.4.0_5, while 1.4.0_7 was deployed before"));
    runs("acme/web:1.3.0")
        .mark("1.4.0_7")
        .gives(&held("runs 1.3.0, while 1.4.0_7 was deployed before"));
    older()
        .mark("1.4.0_6")
        .gives("upgrade: 1.4.0_7 follows 1.4.0_6 [1.4.0_7_d5ecc80e]");
    // While the marked build runs, or a higher one, nobody took anything back: the lines below say why.
    runs("acme/web:acme_web_main_1.4.0_8_0123abcd")
        .mark("1.4.0_8")
        .gives("obsolete: runs 1.4.0_8, higher than the posted 1.4.0_7");
    runs("acme/web:acme_web_main_1.4.0_9_0123abcd")
        .mark("1.4.0_8")
        .gives("obsolete: runs 1.4.0_9, higher than the posted 1.4.0_7");
    // Another identity's build or a version alone is held against the mark's version: over a lower one, or the same, a
    // build stays out for the mark, over a higher one because it is obsolete.
    runs("acme/web:acme_web_dev_1.4.0_9_0123abcd")
        .mark("1.4.0_8")
        .gives(&higher(
            "runs acme_web_dev_1.4.0_9_0123abcd, while 1.4.0_8 was deployed before",
        ));
    runs("acme/web:acme_web_dev_1.5.0_1_0123abcd")
        .mark("1.4.0_8")
        .gives("obsolete: runs 1.5.0_1 of acme_web_dev, higher than the posted 1.4.0");
    runs("acme/web:1.5.0")
        .mark("1.4.0_8")
        .gives("obsolete: runs 1.5.0, higher than the posted 1.4.0");
    // A mark of another repository or identity is none.
    older()
        .raw_mark("1.4.0_7_00000000")
        .gives("upgrade: 1.4.0_7 follows 1.4.0_6 [1.4.0_7_d5ecc80e]");
    older().raw_mark("frozen").gives(
        "upgrade: 1.4.0_7 follows 1.4.0_6 [1.4.0_7_d5ecc80e] (the label high-water.hikaru.dev/web is \"frozen\", which \
         is no high-water mark: it counts as not there)",
    );
    // A forced lower build leaves the higher mark.
    older()
        .mark("1.4.0_8")
        .force("held")
        .gives("upgrade: forced past held: 1.4.0_7 replaces 1.4.0_6 [no new mark]");
}

#[test]
fn conflicting_build() {
    let sentence = "conflicting-build: runs 1.4.0_7 of commit fffffff, the posted one is commit 0123abcd with the same \
                    version and build number: CI that builds from a shallow clone gives constant build numbers (fetch \
                    the whole history), and so can a rebase";
    let other = || runs("acme/web:acme_web_main_1.4.0_7_fffffff");
    other().gives(sentence);
    // Each upgrade leaves a mark: the second commit of one build number is a conflict all the same.
    other().mark("1.4.0_7").gives(sentence);
    runs("acme/web:acme_web_main_1.4.0_7_none").gives(&sentence.replace("fffffff", "none"));
    other().force("conflicting-build").gives(
        "upgrade: forced past conflicting-build: 1.4.0_7 replaces 1.4.0_7 [1.4.0_7_d5ecc80e]",
    );
    // The same build with another digest was made twice: it is not equal, whatever its tag.
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let twice = format!(
        "conflicting-build: runs 1.4.0_7 with the digest {}, the posted one has {}: the same build was made twice, and which \
         one is meant cannot be known from its tag; give each a build number of its own",
        digest("1"),
        digest("2")
    );
    let posted = format!("{POSTED}@{}", digest("2"));
    for runs_now in [POSTED, "acme/web:acme_web_main_1.4.0_7_0123abcdef"] {
        let pinned = || runs(&format!("{runs_now}@{}", digest("1")));
        pinned().post(&posted, &twice);
        pinned().mark("1.4.0_7").post(&posted, &twice);
        pinned().force("conflicting-build").post(
            &posted,
            "upgrade: forced past conflicting-build: 1.4.0_7 replaces 1.4.0_7 [1.4.0_7_d5ecc80e]",
        );
    }
}

#[test]
fn other_branch() {
    runs("acme/web:acme_web_dev_1.4.0_9_0123abcd").gives(
        "other-branch: runs 1.4.0_9 of acme_web_dev, another identity's build of the same version",
    );
    runs("acme/web:acme_web_dev_1.4.0_9_0123abcd")
        .force("true")
        .gives("upgrade: forced past other-branch: 1.4.0 replaces 1.4.0 of acme_web_dev [1.4.0_7_d5ecc80e]");
}

#[test]
fn obsolete() {
    runs("acme/web:acme_web_main_1.4.0_10_0123abcd")
        .gives("obsolete: runs 1.4.0_10, higher than the posted 1.4.0_7");
    runs("acme/web:acme_web_main_1.10.0_1_0123abcd")
        .gives("obsolete: runs 1.10.0_1, higher than the posted 1.4.0_7");
    runs("acme/web:acme_web_dev_1.5.0_1_0123abcd")
        .gives("obsolete: runs 1.5.0_1 of acme_web_dev, higher than the posted 1.4.0");
    runs("acme/web:1.4.1").gives("obsolete: runs 1.4.1, higher than the posted 1.4.0");
    runs("acme/web:v2").gives("obsolete: runs v2, higher than the posted 1.4.0");
    // Helm writes semver's + as _.
    runs("acme/web:1.9.0_5").gives("obsolete: runs 1.9.0_5, higher than the posted 1.4.0");
    runs("acme/web:v2_build.7").gives("obsolete: runs v2_build.7, higher than the posted 1.4.0");
    runs("acme/web:acme_web_main_1.4.0_10_0123abcd")
        .force("obsolete")
        .gives("upgrade: forced past obsolete: 1.4.0_7 replaces 1.4.0_10 [1.4.0_7_d5ecc80e]");
}

#[test]
fn upgrade() {
    let mark = "[1.4.0_7_d5ecc80e]";
    for (image, why) in [
        ("acme/web", "an image without a tag carries no version"),
        ("acme/web:latest", "latest carries no version"),
        ("acme/web:20260115", "20260115 carries no version"),
        ("acme/web:16-alpine", "16-alpine carries no version"),
        ("acme/web:2026-10-03", "2026-10-03 carries no version"),
        (
            "acme/web:acme_web_main_2026-9-30_1_9f3c2ab1",
            "acme_web_main_2026-9-30_1_9f3c2ab1 carries no version",
        ),
        ("acme/web:1.4.0_99", "1.4.0_7 follows 1.4.0_99"),
        ("acme/web:1.4.0", "1.4.0_7 follows 1.4.0"),
        ("acme/web:1.4.0-rc.1", "1.4.0_7 follows 1.4.0-rc.1"),
        (
            "acme/web:acme_web_main_1.4.0_6_0123abcd",
            "1.4.0_7 follows 1.4.0_6",
        ),
        (
            "acme/web:acme_web_main_1.3.9_99_none",
            "1.4.0_7 follows 1.3.9_99",
        ),
        (
            "acme/web:acme_web_dev_1.3.0_99_0123abcd",
            "1.4.0 follows 1.3.0 of acme_web_dev",
        ),
    ] {
        runs(image).gives(&format!("upgrade: {why} {mark}"));
    }
    let digest = format!("acme/web@sha256:{}", "0a".repeat(32));
    runs(&digest).gives(&format!(
        "upgrade: a digest alone carries no version {mark} (web was pinned to a digest and no longer is, as the posted image \
         has none: post it with its digest to keep the pin)"
    ));
    // A tag that holds a version gives way, and it is said.
    for tag in [
        "release-1.9.0",
        "1.9.0_5_6",
        "acme_web_main_1.9.0_x_0123abcd",
    ] {
        runs(&format!("acme/web:{tag}")).gives(&format!(
            "upgrade: {tag} carries no version {mark} (the tag {tag} of web holds a version, but is none as a whole: it \
             gives way to any build)"
        ));
    }
}

/// Formats without a build number, or with a version alone: no build is told of that nobody has.
/// What is written keeps the spelling of the repository that the workload has.
/// A workload on which every line fits, but for the last: taken away one by one, from the top of the table to its end.
#[test]
fn the_first_line_of_the_table_that_fits_decides() {
    let on = |lines: &[&str]| {
        let has = |line| lines.contains(&line);
        let running = match () {
            () if has("conflicting-build") => "acme/web:acme_web_main_1.4.0_7_fffffff",
            () if has("other-branch") => "acme/web:acme_web_dev_1.4.0_9_0123abcd",
            () if has("obsolete") => "acme/web:acme_web_main_1.4.0_9_0123abcd",
            () => "acme/web:acme_web_main_1.4.0_6_0123abcd",
        };
        let mut on = runs(running);
        if has("held") {
            on = on.mark("1.4.0_8");
        }
        if has("constraint") {
            on = on.annotation("constraint", "~1.3");
        }
        if has("manual") {
            on = on.annotation("upgrade", "manual");
        }
        if has("unreadable-setting") {
            on = on.label("on-failure", "undo");
        }
        on
    };
    let lines = [
        "unreadable-setting",
        "manual",
        "constraint",
        "held",
        "conflicting-build",
    ];
    let code = |on: On, others: Vec<Workload>| {
        let build = Build::parse(POSTED, &TagFormats::default()).expect("a build");
        let mut request = Request::new(build);
        request.force = on.force;
        let id = on.workload.id.clone();
        let plan = plan(request, others.into_iter().chain([on.workload]));
        let entry = plan.entries.iter().find(|e| e.workload.id == id);
        entry.and_then(|e| e.codes().next()).expect("a code")
    };
    for first in 0..lines.len() {
        let expected = lines[first];
        let found = code(on(&lines[first..]), Vec::new());
        assert_eq!(found.as_str(), expected);
    }
    for line in ["other-branch", "obsolete", "upgrade"] {
        assert_eq!(code(on(&[line]), Vec::new()).as_str(), line);
        // What is above in the table comes first.
        assert_eq!(code(on(&[line, "manual"]), Vec::new()).as_str(), "manual");
    }
    assert_eq!(
        code(on(&["held", "other-branch"]), Vec::new()).as_str(),
        "held"
    );
    // Forced lines are passed over, one after the other.
    for (forced, expected) in [
        ("manual", "constraint"),
        ("manual,constraint", "held"),
        ("manual,constraint,held", "conflicting-build"),
        ("constraint,held", "manual"),
        ("true", "upgrade"),
    ] {
        let found = code(on(&lines[1..]).force(forced), Vec::new());
        assert_eq!(found.as_str(), expected, "{forced}");
        // Not an unreadable setting.
        let found = code(on(&lines).force(forced), Vec::new());
        assert_eq!(found.as_str(), "unreadable-setting", "{forced}");
    }
    // Two readings of one tag: before all but equal, and not to be forced.
    let ambiguous = |text: &str| {
        let image = "acme/web:a_b_c_d_1.4.0_7_0123abcd";
        let build = Build::parse(image, &TagFormats::default()).expect("a build");
        let mut one = on(&lines).workload;
        one.labels = IdentityLabels::new("a", "b", "c_d");
        one.containers[0].image = text.into();
        let mut two = one.clone();
        two.id = WorkloadId::new("shop", "Deployment", "z");
        two.labels = IdentityLabels::new("a_b", "c", "d");
        let mut request = Request::new(build);
        request.force = Force::ALL;
        let plan = plan(request, [one, two]);
        plan.entries[0].codes().next().expect("a code")
    };
    assert_eq!(ambiguous("acme/web:latest").as_str(), "ambiguous");
    assert_eq!(
        ambiguous("acme/web:a_b_c_d_1.4_7_0123abcd").as_str(),
        "equal"
    );
}

/// `kubectl rollout undo` puts the annotations of the old revision in place of all, and leaves labels: an opt-out by
/// annotation can go and come that way, one by label stays.
#[test]
fn an_undo_can_drop_an_opt_out_and_bring_one_back() {
    let latest = || runs("acme/web:latest");
    let manual = |place| format!("manual: opted out by the {place} hikaru.dev/upgrade: manual");
    let upgraded = "upgrade: latest carries no version [1.4.0_7_d5ecc80e]";
    // Opted out, then undone to a revision from before: as an annotation it is gone, as a label it is there.
    latest().gives(upgraded);
    latest().label("upgrade", "manual").gives(&manual("label"));
    // Opted in again by annotation, then undone to a revision from when it was opted out.
    latest()
        .annotation("upgrade", "manual")
        .gives(&manual("annotation"));
    latest()
        .label("upgrade", "auto")
        .annotation("upgrade", "manual")
        .gives(&manual("annotation"));
    latest()
        .label("upgrade", "manual")
        .annotation("upgrade", "auto")
        .gives(&manual("label"));
    // The same of the other settings: both constraints, the containers in both.
    latest()
        .label("constraint", "1.4")
        .annotation("constraint", "~1.3")
        .gives("constraint: 1.4.0 is outside of hikaru.dev/constraint: ~1.3");
    latest()
        .label("containers", "web")
        .annotation("containers", "web,proxy")
        .gives(upgraded);
    let on_failure = |on: On| {
        let rules = Rules::read(&on.workload);
        rules.expect("readable").on_failure
    };
    let rollback = || latest().label("on-failure", "rollback");
    assert_eq!(on_failure(latest()), OnFailure::Keep);
    assert_eq!(on_failure(rollback()), OnFailure::Rollback);
    assert_eq!(
        on_failure(rollback().annotation("on-failure", "rollback")),
        OnFailure::Rollback
    );
    assert_eq!(
        on_failure(rollback().annotation("on-failure", "keep")),
        OnFailure::Keep
    );
    assert_eq!(
        on_failure(
            latest()
                .label("on-failure", "keep")
                .annotation("on-failure", "rollback")
        ),
        OnFailure::Keep
    );
}

#[test]
fn the_documented_codes_are_all_there_are() {
    let rules = include_str!("../../../docs/rules.md");
    let table = rules.split("## Verdicts").nth(1).expect("the part");
    let rows = table.lines().skip_while(|line| !line.starts_with("| `"));
    let rows = rows.take_while(|line| line.starts_with("| `"));
    let documented: Vec<_> = rows.filter_map(|line| line.split('`').nth(1)).collect();
    let all: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(documented, all);
}

#[test]
fn a_mark_that_is_too_long_is_not_written() {
    runs("acme/web:latest").post(
        &format!("acme/web:acme_web_main_1.4.0-{}_7_0123abcd", "x".repeat(48)),
        "upgrade: latest carries no version [no new mark] (the high-water mark of web would be 65 bytes, longer than a \
         label's value may be (63): it is not written, so a rollback by a person would not be seen)",
    );
}
