//! A judge that cannot say no is worth nothing: sound histories, and in each of them one fault that must be found.

use std::time::SystemTime;

use serde_json::{Value, json};
use xtask::AuditEvent;

use super::super::history::{HIKARU, History};
use super::super::world::{Part, Told, hash, image, manifest, object};
use super::{Answered, Findings, Post, Upgraded, Verdict, check};

const APP: &str = "/spec/template/spec/containers/1";
const MARK: &str = "/metadata/labels/high-water.hikaru.dev~1app";

/// What is done to one Deployment, and told of it.
struct Story {
    object: Value,
    events: Vec<AuditEvent>,
    posts: Vec<Post>,
    /// Milliseconds.
    now: u64,
}

fn time(now: u64) -> String {
    let (minutes, seconds) = (now / 60_000, now / 1000 % 60);
    format!(
        "2026-01-01T00:{minutes:02}:{seconds:02}.{:03}000Z",
        now % 1000
    )
}

fn rung(number: u64) -> String {
    image(0, Part::App, number, 0)
}

fn mark(image: &str) -> String {
    let (identity, rank) = Told::build(image).expect("a build");
    let [a, b, c] = rank.version;
    let hash = hash(Told::of(image).repository, identity);
    format!("{a}.{b}.{c}_{}_{hash}", rank.build)
}

impl Story {
    fn new() -> Self {
        let mut story = Self {
            object: manifest(0),
            events: Vec::new(),
            posts: Vec::new(),
            now: 60_000,
        };
        let body = story.object.clone();
        story.event("admin", "create", &body, 201, true);
        story
    }

    fn event(&mut self, user: &str, verb: &str, body: &Value, code: u16, is_whole: bool) {
        self.now += 10;
        let mut answer = self.object.clone();
        answer["metadata"]["resourceVersion"] = json!(self.now.to_string());
        if !is_whole {
            answer = json!({"metadata": answer["metadata"]});
        }
        let event = json!({
            "stage": "ResponseComplete", "verb": verb, "user": {"username": user},
            "objectRef": {"resource": "deployments", "namespace": "red", "name": "web-00"},
            "requestReceivedTimestamp": time(self.now), "stageTimestamp": time(self.now + 5),
            "requestObject": body, "responseStatus": {"code": code},
            "responseObject": if code < 300 { answer } else { Value::Null },
        });
        self.events.push(event.into());
    }

    fn image(&self) -> String {
        let image = &self.object["spec"]["template"]["spec"]["containers"][1]["image"];
        image.as_str().expect("an image").to_owned()
    }

    fn person(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.object);
        self.event("admin", "patch", &json!({}), 200, true);
    }

    fn sets(&mut self, image: &str) {
        let image = json!(image);
        self.person(|o| o["spec"]["template"]["spec"]["containers"][1]["image"] = image);
    }

    /// A patch that is stored; its answer, too, unless the replica was killed.
    fn patch(&mut self, patch: &Value, code: u16) {
        for operation in patch.as_array().expect("operations") {
            let path = operation["path"].as_str().expect("a path");
            let (parent, key) = path.rsplit_once('/').expect("a path");
            let key = key.replace("~1", "/");
            if operation["op"] != "test" {
                let parent = self.object.pointer_mut(parent).expect("a parent");
                parent[key] = operation["value"].clone();
            }
        }
        self.event(HIKARU, "patch", patch, code, false);
    }

    fn upgrade_of(&self, to: &str) -> Value {
        let mark_now = &self.object["metadata"]["labels"]["high-water.hikaru.dev/app"];
        json!([
            {"op": "test", "path": format!("{APP}/image"), "value": self.image()},
            {"op": "test", "path": MARK, "value": mark_now},
            {"op": "replace", "path": format!("{APP}/image"), "value": to},
            {"op": "add", "path": MARK, "value": mark(to)},
        ])
    }

    fn writes(&mut self, to: &str) {
        let patch = self.upgrade_of(to);
        self.patch(&patch, 200);
    }

    fn at(now: u64) -> SystemTime {
        let event = AuditEvent::from(json!({"stageTimestamp": time(now)}));
        event.answered().expect("a time")
    }

    /// A post that began at a time, and is answered now.
    fn post(&mut self, image: &str, began: u64, answer: Option<Answered>) {
        self.now += 10;
        self.posts.push(Post {
            image: image.to_owned(),
            only: None,
            dry_run: false,
            sent: Self::at(began),
            ended: Self::at(self.now),
            answer,
        });
    }

    fn told(&mut self, image: &str, began: u64, from: &str) {
        let upgraded = Upgraded {
            object: object(0),
            container: "app".to_owned(),
            from: from.to_owned(),
        };
        let answer = Answered {
            status: 200,
            upgraded: vec![upgraded],
            ..Answered::default()
        };
        self.post(image, began, Some(answer));
    }

    /// A post that is written and told.
    fn upgrades(&mut self, to: &str) {
        let (began, from) = (self.now, self.image());
        self.writes(to);
        self.told(to, began, &from);
    }

    /// A post that changes nothing, and this verdict.
    fn stays(&mut self, posted: &str, code: &str) {
        let verdict = Verdict {
            object: object(0),
            container: "app".to_owned(),
            from: self.image(),
            code: code.to_owned(),
        };
        let answer = Answered {
            status: 200,
            verdicts: vec![verdict],
            ..Answered::default()
        };
        self.post(posted, self.now, Some(answer));
    }

    fn findings(self) -> Findings {
        let end = [self.object.clone()];
        check(&History::of(self.events, &end), &self.posts)
    }

    #[track_caller]
    fn must_be_sound(self) {
        let findings = self.findings();
        assert!(findings.violations.is_empty(), "{:#?}", findings.violations);
    }

    /// What was planted is found.
    #[track_caller]
    fn must_show(self, words: &str) {
        let found = self.findings().violations;
        assert!(
            found.iter().any(|one| one.contains(words)),
            "{words}: {found:#?}"
        );
    }
}

/// Upgraded to rung 1 and 3, and taken back to 1.
fn taken_back() -> Story {
    let mut story = Story::new();
    story.upgrades(&rung(1));
    story.upgrades(&rung(3));
    story.sets(&rung(1));
    story.now += 60_000;
    story
}

#[test]
fn a_sound_history_is_sound() {
    let mut story = taken_back();
    story.stays(&rung(1), "equal");
    story.stays(&rung(0), "held");
    story.stays(&rung(3), "held");
    story.upgrades(&rung(4));
    story.stays(&rung(2), "obsolete");
    story.stays(&image(0, Part::App, 4, 1), "conflicting-build");
    // A floating tag came back: the marked build goes out again, one below the mark does not.
    let (repository, _) = rung(4)
        .rsplit_once(':')
        .map(|(r, t)| (r.to_owned(), t.to_owned()))
        .expect("a tag");
    story.sets(&format!("{repository}:latest"));
    story.stays(&rung(3), "held");
    story.upgrades(&rung(4));
    story.person(|o| o["spec"]["replicas"] = json!(2));
    story.person(|o| o["metadata"]["labels"]["hikaru.dev/upgrade"] = json!("manual"));
    story.stays(&rung(5), "manual");
    let findings = story.findings();
    assert!(findings.violations.is_empty(), "{:#?}", findings.violations);
    assert_eq!(
        (findings.writes, findings.upgrades, findings.verdicts),
        (4, 4, 7)
    );
}

#[test]
fn a_patch_that_changes_nothing_is_no_state_of_its_own() {
    let mut story = taken_back();
    story.upgrades(&rung(4));
    // The same version, and its line comes first: the answer to hikaru was slower.
    let version = story.now - 10;
    story.now = version - 10;
    story.event("admin", "patch", &json!({}), 200, true);
    story.now = version + 10;
    let nothing = story.events.pop().expect("an event");
    story.events.insert(story.events.len() - 1, nothing);
    story.must_be_sound();
}

#[test]
fn each_wrong_write_is_found() {
    let mut story = taken_back();
    story.upgrades(&rung(2));
    story.must_show("though it was held");

    let mut story = Story::new();
    story.upgrades(&rung(9));
    story.upgrades(&rung(3));
    story.must_show("a downgrade from");

    // Nothing of it is seen by a comparison of texts: 1.9.0 and 1.10.0.
    let mut story = Story::new();
    story.upgrades(&rung(24));
    story.upgrades(&rung(12));
    story.must_show("a downgrade from");

    let mut story = Story::new();
    story.upgrades(&rung(1));
    story.person(|o| o["metadata"]["annotations"] = json!({"hikaru.dev/upgrade": "manual"}));
    story.upgrades(&rung(2));
    story.must_show("though it was manual");

    let mut story = Story::new();
    story.person(|o| o["metadata"]["labels"]["branch"] = json!("dev"));
    story.upgrades(&rung(2));
    story.must_show("not meant for it");

    let mut story = Story::new();
    story.upgrades(&image(0, Part::Worker, 1, 0));
    story.must_show("not meant for it");

    let mut story = Story::new();
    story.upgrades(&rung(1));
    let patch = json!([{"op": "replace", "path": format!("{APP}/image"), "value": rung(2)}]);
    story.patch(&patch, 200);
    story.must_show("was written with the mark");

    let mut story = taken_back();
    story.patch(
        &json!([{"op": "add", "path": MARK, "value": mark(&rung(2))}]),
        200,
    );
    story.must_show("the mark went down");
}

#[test]
fn writes_beside_images_and_marks_are_found() {
    for path in [
        &*format!("{APP}/env"),
        "/spec/replicas",
        "/metadata/labels/tier",
        "/metadata/labels/hikaru.dev~1upgrade",
    ] {
        let mut story = Story::new();
        let mut patch = story.upgrade_of(&rung(1));
        let touch = json!({"op": "add", "path": path, "value": "touched"});
        patch.as_array_mut().expect("operations").push(touch);
        story.patch(&patch, 200);
        story.must_show("hikaru wrote");
    }

    // Not in the patch, but in the answer.
    let mut story = Story::new();
    let patch = story.upgrade_of(&rung(1));
    story.object["metadata"]["labels"]["tier"] = json!("touched");
    story.patch(&patch, 200);
    story.must_show("shows other labels");

    // A write that went elsewhere, or past the log.
    let mut story = Story::new();
    story.upgrades(&rung(1));
    story.object["spec"]["template"]["spec"]["containers"][1]["env"][0]["value"] = json!("lost");
    story.must_show("the log adds up to");

    let mut story = Story::new();
    story.event(HIKARU, "update", &json!({}), 200, true);
    story.must_show("hikaru's update");
}

#[test]
fn what_is_told_and_what_was_written_are_the_same() {
    let mut story = Story::new();
    story.writes(&rung(1));
    story.must_show("nobody was told");

    let mut story = Story::new();
    let (began, from) = (story.now, story.image());
    story.told(&rung(1), began, &from);
    story.must_show("but that was not written");

    // Two replicas that both take it for theirs.
    let mut story = Story::new();
    let (began, from) = (story.now, story.image());
    story.upgrades(&rung(1));
    story.told(&rung(1), began, &from);
    story.must_show("but that was not written");

    let mut story = Story::new();
    story.upgrades(&rung(1));
    story.now += 60_000;
    let ended = story.now;
    story.post(
        &rung(2),
        ended,
        Some(Answered {
            status: 200,
            ..Answered::default()
        }),
    );
    story.must_show("was acknowledged and not written");

    let mut story = taken_back();
    story.stays(&rung(4), "held");
    story.must_show("told within");

    // It was so, but a minute ago.
    let mut story = taken_back();
    story.upgrades(&rung(4));
    story.now += 60_000;
    story.sets(&rung(1));
    story.stays(&rung(0), "obsolete");
    story.must_show("told within");
}

#[test]
fn a_write_whose_replica_was_killed_is_found_out_from_what_follows() {
    let killed = |next: &dyn Fn(&mut Story)| {
        let mut story = Story::new();
        story.upgrades(&rung(1));
        // One that was not stored, one that was.
        let patch = story.upgrade_of(&rung(5));
        story.event(HIKARU, "patch", &patch, 504, false);
        let patch = story.upgrade_of(&rung(2));
        story.patch(&patch, 504);
        next(&mut story);
        story
    };
    let nexts: [&dyn Fn(&mut Story); 3] = [&|_| {}, &|story| story.upgrades(&rung(3)), &|story| {
        story.sets(&rung(0))
    }];
    for next in nexts {
        let mut story = killed(next);
        story.post(&rung(2), 60_000, None);
        let findings = story.findings();
        assert!(findings.violations.is_empty(), "{:#?}", findings.violations);
        assert_eq!(findings.untold, 1);
        killed(next).must_show("nobody was told");
    }
    let mut story = killed(&|_| {});
    story.upgrades(&rung(3));
    story.post(&rung(2), 60_000, None);
    story.must_be_sound();
}
