//! The state machine: events in, grants out.

use proptest::{collection::vec, prelude::*};

use super::*;

/// Seats, and who sits on them.
struct Rig {
    seats: Seats,
    now: Instant,
    /// Whose each ticket is.
    asked: HashMap<Ticket, Lane>,
    sitting: VecDeque<(Ticket, Round)>,
    /// All who ever got a seat, in order.
    served: Vec<Lane>,
}

fn post(name: &str) -> Lane {
    Lane::Post(name.into())
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn well(took: u64) -> Ending {
    Ending::Answered(Some(millis(took)))
}

impl Rig {
    fn new(most: usize) -> Self {
        Self {
            seats: Seats::new(most),
            now: Instant::now(),
            asked: HashMap::new(),
            sitting: VecDeque::new(),
            served: Vec::new(),
        }
    }

    fn ask(&mut self, lane: &Lane, times: usize) {
        for _ in 0..times {
            let ticket = self.seats.ask(lane);
            self.asked.insert(ticket, lane.clone());
        }
        self.grant();
    }

    fn grant(&mut self) {
        while let Some((ticket, round)) = self.seats.grant(self.now) {
            self.sitting.push_back((ticket, round));
            self.served.push(self.asked[&ticket].clone());
        }
    }

    /// Whoever sat down first leaves, so many times.
    fn leave(&mut self, times: usize, ending: impl Fn(&Self) -> Ending) {
        for _ in 0..times {
            let ending = ending(self);
            let (_, round) = self.sitting.pop_front().expect("somebody sits");
            self.seats.leave(round, ending, self.now);
            self.grant();
        }
    }
}

#[test]
fn a_call_for_one_does_not_wait_behind_a_call_for_a_thousand() {
    let mut rig = Rig::new(MOST);
    rig.ask(&post("many"), 1000);
    rig.ask(&post("one"), 1);
    rig.ask(&Lane::Reading, 3);
    assert_eq!(rig.served, vec![post("many"); USUAL]);
    rig.leave(8, |_| Ending::Unknown);
    let many = || post("many");
    let expected = [
        many(),
        post("one"),
        Lane::Reading,
        many(),
        Lane::Reading,
        many(),
        Lane::Reading,
        many(),
    ];
    assert_eq!(rig.served[USUAL..], expected);
}

#[test]
fn the_number_follows_the_server() {
    let refused = |_: &Rig| Ending::TurnedAway(Duration::ZERO);
    let steady = |_: &Rig| well(10);
    // Behind a narrow door each waits for all before it.
    let queue = |rig: &Rig| well(3 * rig.sitting.len() as u64);
    type Step<'s> = (usize, &'s dyn Fn(&Rig) -> Ending);
    let cases: &[(&str, usize, &[Step<'_>], usize)] = &[
        ("nothing has happened", MOST, &[], 16),
        ("one window", MOST, &[(16, &steady)], 17),
        ("latency holds", MOST, &[(3_000, &steady)], 64),
        ("no more than we are told", 20, &[(3_000, &steady)], 20),
        ("one is one", 1, &[(3_000, &steady), (9, &refused)], 1),
        ("none is one", 0, &[], 1),
        (
            "latency grows with the number",
            MOST,
            &[(2_000, &queue)],
            34,
        ),
        ("one refusal", MOST, &[(1, &refused)], 8),
        ("all refused at once", MOST, &[(16, &refused)], 8),
        ("and those after them", MOST, &[(16 + 8, &refused)], 4),
        ("never below the least", MOST, &[(100, &refused)], 2),
        ("silence", MOST, &[(16, &|_| Ending::Silent)], 8),
        (
            "nothing is known",
            MOST,
            &[(3_000, &|_| Ending::Unknown)],
            16,
        ),
        (
            "nothing comparable",
            MOST,
            &[(3_000, &|_| Ending::Answered(None))],
            16,
        ),
        ("it recovers", MOST, &[(100, &refused), (64, &steady)], 6),
        (
            "to the usual number, at any latency",
            MOST,
            &[(64, &steady), (100, &refused), (1_000, &|_| well(100))],
            16,
        ),
        ("slower than promised", MOST, &[(16, &|_| well(1_100))], 14),
        ("and for long", MOST, &[(3_000, &|_| well(1_100))], 2),
    ];
    for (what, most, steps, expected) in cases {
        let mut rig = Rig::new(*most);
        rig.ask(&post("many"), 10_000);
        for (times, ending) in *steps {
            rig.leave(*times, ending);
        }
        assert_eq!(rig.seats.limit, *expected, "{what}");
        assert!(rig.seats.in_flight >= *expected, "{what}");
    }
}

#[test]
fn it_does_not_grow_while_nobody_waits() {
    let mut rig = Rig::new(MOST);
    for _ in 0..1_000 {
        rig.ask(&post("one"), 1);
        rig.leave(1, |_| well(3));
    }
    assert_eq!(rig.seats.limit, USUAL);
    // But it has learned what a light load is: behind a narrow door it stays where it was.
    rig.ask(&post("many"), 10_000);
    rig.leave(1_000, |rig| well(3 * rig.sitting.len() as u64));
    assert_eq!(rig.seats.limit, USUAL);
}

#[test]
fn a_server_that_asks_for_patience_is_left_alone_for_a_while() {
    for (lull, pause) in [(0, 0), (200, 200), (1_000, 1_000), (30_000, 1_000)] {
        let mut rig = Rig::new(MOST);
        rig.ask(&post("many"), 1_000);
        let (_, round) = rig.sitting.pop_front().expect("somebody sits");
        let again = rig
            .seats
            .leave(round, Ending::TurnedAway(millis(lull)), rig.now);
        assert_eq!(
            again,
            (pause > 0).then(|| rig.now + millis(pause)),
            "{lull}"
        );
        // What is under way comes to its end.
        let begun = rig.served.len();
        rig.leave(15, |_| well(3));
        assert_eq!(rig.served.len() > begun, pause == 0, "{lull}");
        if pause > 0 {
            rig.now += millis(pause - 1);
            rig.grant();
            assert_eq!(rig.sitting.len(), 0, "{lull}");
            rig.now += millis(1);
            rig.grant();
        }
        assert_eq!(rig.sitting.len(), 8, "{lull}");
    }
}

#[derive(Clone, Debug)]
enum Event {
    Ask(u8),
    GiveUp(usize),
    Leave(usize, Ending),
    Later(u64),
}

fn events() -> impl Strategy<Value = Event> {
    let ending = prop_oneof![
        4 => (0..3_000u64).prop_map(well),
        1 => Just(Ending::Answered(None)),
        1 => (0..2_000u64).prop_map(|lull| Ending::TurnedAway(millis(lull))),
        1 => Just(Ending::Silent),
        1 => Just(Ending::Unknown),
    ];
    prop_oneof![
        4 => (0..4u8).prop_map(Event::Ask),
        1 => any::<usize>().prop_map(Event::GiveUp),
        4 => (any::<usize>(), ending).prop_map(|(who, how)| Event::Leave(who, how)),
        1 => (0..2_000u64).prop_map(Event::Later),
    ]
}

proptest! {
    /// Nobody sits where there is no seat, nobody waits where there is one, nobody is lost.
    #[test]
    fn seats_are_neither_lost_nor_made(events in vec(events(), 0..200), most in 0..40usize) {
        let mut rig = Rig::new(most);
        let mut waiting: Vec<Ticket> = Vec::new();
        for event in events {
            let before = rig.sitting.len();
            match event {
                Event::Ask(lane) => {
                    rig.ask(&post(&lane.to_string()), 1);
                    waiting.push(rig.seats.tickets);
                }
                Event::GiveUp(who) if !waiting.is_empty() => {
                    let ticket = waiting.swap_remove(who % waiting.len());
                    let lane = rig.asked[&ticket].clone();
                    rig.seats.give_up(&lane, ticket);
                }
                Event::Leave(who, how) if !rig.sitting.is_empty() => {
                    rig.sitting.rotate_left(who % before);
                    rig.leave(1, |_| how);
                }
                Event::Later(passed) => {
                    rig.now += millis(passed);
                    rig.grant();
                }
                _ => {}
            }
            waiting.retain(|ticket| !rig.sitting.iter().any(|(sitting, _)| sitting == ticket));
            let Seats { limit, paused, .. } = rig.seats;
            prop_assert!((LEAST.min(most.max(1))..=most.max(1)).contains(&limit));
            prop_assert!(rig.sitting.len() <= limit.max(before));
            let paused = paused.is_some_and(|until| rig.now < until);
            prop_assert!(waiting.is_empty() || rig.sitting.len() >= limit || paused);
            prop_assert_eq!(rig.seats.in_flight, rig.sitting.len());
            let lanes = &rig.seats.lanes;
            prop_assert_eq!(lanes.values().map(VecDeque::len).sum::<usize>(), waiting.len());
            prop_assert_eq!(lanes.len(), rig.seats.turns.len());
        }
    }
}
