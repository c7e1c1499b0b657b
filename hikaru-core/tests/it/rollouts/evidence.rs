//! What shows a cause: events and the end of a log.

use hikaru_core::rollout::{Cause, EventFacts, Evidence, LogWanted, event_objects};

use super::scene::{
    Scene, condition, crashed, daemon_set, deployment, ended, event, second, seconds, stateful_set,
    waits,
};

fn cause(scene: &Scene) -> Cause {
    scene.judge().rollout.cause.expect("a cause")
}

fn crash() -> Scene {
    deployment(2)
        .ready(1)
        .pod(crashed(3, &ended(1, "Error", "")))
        .at(60)
}

#[track_caller]
fn groups(scene: &Scene, events: &[EventFacts], expected: &[&str]) -> Evidence {
    let evidence = Evidence::of(&scene.facts, events, &cause(scene));
    let told = evidence
        .events
        .iter()
        .map(|g| format!("{} × {} {}: {}", g.count, g.object, g.reason, g.message));
    assert_eq!(told.collect::<Vec<_>>(), expected);
    evidence
}

#[test]
fn events_are_grouped_and_counted() {
    let mut normal = event("pod-1", "Pulled", "pulled", 5);
    normal.is_warning = false;
    let mut often = event(
        "pod-1",
        "BackOff",
        "Back-off restarting failed container web",
        30,
    );
    often.count = 7;
    let mut early = event("set", "FailedCreate", "an earlier change", 0);
    early.last = Some(second(0) - seconds(60));
    let create = |end: &str, before: &str| {
        let said = format!(
            "{before}Error creating: pods \"web-6f5b8c7d9-{end}\" is forbidden: exceeded quota: compute"
        );
        event("set", "FailedCreate", &said, 5)
    };
    let events = [
        normal,
        often,
        early,
        create("x2b4c", ""),
        create("q7wzk", ""),
        create("m4d9t", "(combined from similar events): "),
        event("pod-0", "Unhealthy", "that of another pod", 5),
        event("foreign", "Failed", "that of something else", 5),
    ];
    groups(
        &crash(),
        &events,
        &[
            "7 × Pod pod-1 BackOff: Back-off restarting failed container web",
            "3 × Pod set FailedCreate: Error creating: pods \"web-6f5b8c7d9-*\" is forbidden: exceeded quota: compute",
        ],
    );
}

#[test]
fn only_generated_names_are_replaced() {
    let said = |scene: &Scene, message: &str| {
        let evidence = Evidence::of(
            &scene.facts,
            &[event("workload", "FailedCreate", message, 5)],
            &cause(&crash()),
        );
        evidence.events[0].message.clone()
    };
    let deployed = crash();
    for kept in [
        "secret \"web-creds\" not found",
        "web-6f5b8c7d9 has no pods",
        "my-web-6f5b8c7d9-x2b4c",
        "web-6f5b8c7d9-x2b4ce",
        "web-6f5b8c7d9-apple",
    ] {
        assert_eq!(said(&deployed, kept), kept);
    }
    assert_eq!(
        said(&deployed, "web-6f5b8c7d9-x2b4c, web-6f5b8c7d9-q7wzk"),
        "web-6f5b8c7d9-*, web-6f5b8c7d9-*"
    );
    let daemons = daemon_set(1).at(10);
    assert_eq!(
        said(&daemons, "pods \"web-x2b4c\" of web, web-creds"),
        "pods \"web-*\" of web, web-creds"
    );
    let stateful = stateful_set(1).at(10);
    assert_eq!(
        said(&stateful, "create Pod web-12 in StatefulSet web"),
        "create Pod web-* in StatefulSet web"
    );
    assert_eq!(said(&stateful, "data-web-0, web-0x"), "data-web-0, web-0x");
}

#[test]
fn ten_thousand_events_stay_few_groups() {
    let events: Vec<EventFacts> = (0..10_000)
        .map(|n| {
            event(
                "workload",
                "FailedCreate",
                &format!("reason {}", n % 500),
                5,
            )
        })
        .collect();
    let scene = crash();
    let evidence = Evidence::of(&scene.facts, &events, &cause(&scene));
    assert_eq!(evidence.events.len(), 20);
    assert_eq!(evidence.events[0].count, 20);
    assert_eq!(evidence.unseen, ["480 more kinds of events are not shown"]);
}

#[test]
fn what_events_say_is_escaped_cut_and_shows_no_account() {
    let long = format!("\u{1b}[31m{}", "x".repeat(2_000));
    let limited =
        "toomanyrequests: You have reached your pull rate limit as 'acme-bot': dckr_jti_1";
    let account = "dial postgres://ann:hunter2@db/shop?sslkey=k: refused";
    let signed = "Get \"https://cdn.example/blob?X-Signature=abc\": EOF";
    let events = [
        event("pod-1", "A", &long, 5),
        event("pod-1", "B", limited, 5),
        event("pod-1", "C", signed, 5),
        event("pod-1", "D", account, 5),
    ];
    let expected = format!("1 × Pod pod-1 A: \\u{{1b}}[31m{}…", "x".repeat(495));
    groups(
        &crash(),
        &events,
        &[
            &expected,
            "1 × Pod pod-1 B: toomanyrequests: You have reached your pull rate limit as …",
            "1 × Pod pod-1 C: Get \"https://cdn.example/blob?…\": EOF",
            "1 × Pod pod-1 D: dial postgres://…@db/shop?… refused",
        ],
    );
}

#[test]
fn events_of_a_pod_count_whatever_its_node_takes_for_the_time() {
    let mut event = event("pod-1", "BackOff", "Back-off", 5);
    event.last = Some(second(0) - seconds(3_600));
    groups(&crash(), &[event], &["1 × Pod pod-1 BackOff: Back-off"]);
}

#[test]
fn events_of_these_objects_are_asked_for() {
    let uids = event_objects(&crash().facts);
    assert_eq!(
        uids.iter().map(|uid| &**uid).collect::<Vec<_>>(),
        ["pod-1", "set", "workload"]
    );
    let blocked = stateful_set(2).ready(1).old_pod(super::scene::unready);
    let uids = event_objects(&blocked.facts);
    assert_eq!(
        uids.iter().map(|uid| &**uid).collect::<Vec<_>>(),
        ["pod-1", "workload"]
    );
    let many = (0..500).fold(daemon_set(500), |scene, _| {
        scene.pod(waits("ContainerCreating", ""))
    });
    assert_eq!(event_objects(&many.facts).len(), 21);
}

#[test]
fn the_log_of_one_pod() {
    let wanted = LogWanted::of(&cause(&crash())).expect("a log");
    assert_eq!(
        (&*wanted.pod, &*wanted.container, wanted.is_previous),
        ("web-6f5b8c7d9-q7wzk", "web", true)
    );
    let text: String = (1..=30).map(|n| format!("line {n}\r\n")).collect();
    let excerpt = wanted.clone().excerpt(&text);
    assert_eq!(excerpt.lines.len(), 25);
    assert_eq!(
        (&*excerpt.lines[0], &*excerpt.lines[24]),
        ("line 6", "line 30")
    );
    let odd = wanted
        .clone()
        .excerpt(&format!("\u{1b}[31mred\tand�\n\n{}\n\n", "x".repeat(9_000)));
    assert_eq!(
        odd.lines,
        [
            r"\u{1b}[31mred\tand�".to_owned(),
            String::new(),
            format!("{}…", "x".repeat(500))
        ]
    );
    assert_eq!(wanted.excerpt("").lines, [""; 0]);
    let image = deployment(1).pod(waits("InvalidImageName", "")).at(10);
    assert_eq!(LogWanted::of(&cause(&image)), None);
    let refused = deployment(1).at(30).set(|set| {
        let said = "Pod \"web-1\" is invalid: spec";
        set.conditions.push(condition(
            "ReplicaFailure",
            "True",
            "FailedCreate",
            said,
            second(1),
        ));
    });
    assert_eq!(LogWanted::of(&cause(&refused)), None);
}
