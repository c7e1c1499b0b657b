//! docs/rollout-causes.md lists what the rule knows.

use hikaru_core::rollout::{CauseCode, RolloutState};

fn listed(part: &str) -> Vec<&'static str> {
    let page = include_str!("../../../../docs/rollout-causes.md");
    let part = page
        .split(&format!("## {part}\n"))
        .nth(1)
        .expect("the part");
    let part = part.split("\n## ").next().expect("its text");
    let rows = part.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|line| line.split('`').nth(1)).collect()
}

#[test]
fn the_documented_codes_are_all_there_are() {
    let all: Vec<_> = CauseCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed("Causes"), all);
}

#[test]
fn the_documented_states_are_all_there_are() {
    let all: Vec<_> = RolloutState::ALL
        .iter()
        .map(|state| state.as_str())
        .collect();
    assert_eq!(listed("States"), all);
}
