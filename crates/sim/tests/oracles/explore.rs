//! Systematic search, on models whose runs can be counted.

use std::collections::BTreeSet;

use dx_sim::choices::Choices;
use dx_sim::explore::{Bounds, Completeness, NotRepeatable, Outcome, Search, Switches, explore};
use proptest::prelude::*;

/// Two processes that enter a critical section, one atomic step after the other. Answer 0 lets
/// whoever ran last go on.
#[derive(Clone, Default)]
struct Mutex {
    at: [u8; 2],
    wants: [bool; 2],
    turn: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    /// Peterson: "Myths about the mutual exclusion problem" (IPL 1981).
    Peterson,
    /// Looks at the other's flag before it raises its own.
    LooksFirst,
}

const DONE: u8 = 4;

impl Mutex {
    fn can_step(&self, me: usize, protocol: Protocol) -> bool {
        let other = 1 - me;
        match (self.at[me], protocol) {
            (DONE, _) => false,
            (2, Protocol::Peterson) => !self.wants[other] || self.turn == me,
            (0, Protocol::LooksFirst) => !self.wants[other],
            _ => true,
        }
    }

    fn step(&mut self, me: usize, protocol: Protocol) {
        match (self.at[me], protocol) {
            (0, Protocol::Peterson) | (1, Protocol::LooksFirst) => self.wants[me] = true,
            (1, Protocol::Peterson) => self.turn = 1 - me,
            (3, _) => self.wants[me] = false,
            _ => {}
        }
        self.at[me] += 1;
    }

    /// Both are past the entry and not yet out.
    fn is_violated(&self) -> bool {
        self.at == [3, 3]
    }
}

fn run(protocol: Protocol, choices: &mut Choices) -> Outcome {
    let mut mutex = Mutex::default();
    let mut last = 0;
    loop {
        let ready: Vec<usize> =
            [last, 1 - last].into_iter().filter(|me| mutex.can_step(*me, protocol)).collect();
        if ready.is_empty() {
            let is_over = mutex.at == [DONE, DONE];
            return if is_over { Outcome::Fine } else { Outcome::Violated("deadlock".to_owned()) };
        }
        last = ready[choices.switch("next", ready.len() as u64) as usize];
        mutex.step(last, protocol);
        if mutex.is_violated() {
            return Outcome::Violated("both are in".to_owned());
        }
    }
}

/// How many ways there are from here to the end: by counting, without choices.
fn ways(mutex: &Mutex, protocol: Protocol) -> u64 {
    let ready: Vec<usize> = (0..2).filter(|me| mutex.can_step(*me, protocol)).collect();
    let ways_after = |me: &usize| {
        let mut after = mutex.clone();
        after.step(*me, protocol);
        ways(&after, protocol)
    };
    if ready.is_empty() { 1 } else { ready.iter().map(ways_after).sum() }
}

#[test]
fn petersons_algorithm_excludes_in_each_of_its_interleavings() {
    let search = explore(&Bounds::default(), |choices| run(Protocol::Peterson, choices)).unwrap();
    assert_eq!(search.completeness, Completeness::All);
    assert_eq!(search.found, None);
    assert_eq!(search.runs, ways(&Mutex::default(), Protocol::Peterson));
}

#[test]
fn two_preemptions_show_that_looking_first_excludes_nobody() {
    let search = |preemptions| {
        let switches = Switches::Preemptions(preemptions);
        let bounds = Bounds { switches, ..Bounds::default() };
        explore(&bounds, |choices| run(Protocol::LooksFirst, choices)).unwrap()
    };
    assert_eq!(search(0).runs, 1);
    let none = search(1);
    assert_eq!(none.found, None);
    assert_eq!(
        none.completeness.to_string(),
        "complete within the bounds: runs with more switches were not tried"
    );
    let found = search(2).found.expect("it is broken");
    assert_eq!(found.what, "both are in");
    let again = run(Protocol::LooksFirst, &mut Choices::replayed(&found.tape));
    assert_eq!(again, Outcome::Violated("both are in".to_owned()));
}

/// Two processes of `steps` steps each, that never wait.
fn straight(steps: u32, choices: &mut Choices) -> Vec<usize> {
    let mut left = [steps; 2];
    let mut order = Vec::new();
    let mut last = 0;
    while left != [0, 0] {
        let ready: Vec<usize> = [last, 1 - last].into_iter().filter(|me| left[*me] > 0).collect();
        last = ready[choices.switch("next", ready.len() as u64) as usize];
        left[last] -= 1;
        order.push(last);
    }
    order
}

fn runs(bounds: &Bounds, steps: u32) -> (Search, BTreeSet<Vec<usize>>) {
    let mut orders = BTreeSet::new();
    let search = explore(bounds, |choices| {
        assert!(orders.insert(straight(steps, choices)), "a run came twice");
        Outcome::Fine
    })
    .unwrap();
    assert_eq!(search.runs, orders.len() as u64);
    (search, orders)
}

/// Switches away from one that could go on; at the start the first is the one that goes on.
fn preemptions(order: &[usize], steps: u32) -> u64 {
    let mut left = [steps; 2];
    let mut last = 0;
    let mut count = 0;
    for &next in order {
        count += u64::from(next != last && left[last] > 0);
        left[next] -= 1;
        last = next;
    }
    count
}

#[test]
fn two_processes_of_n_steps_have_2n_over_n_interleavings() {
    for (steps, expected) in [(0, 1), (1, 2), (2, 6), (3, 20), (4, 70), (6, 924)] {
        let (search, _) = runs(&Bounds::default(), steps);
        assert_eq!((search.runs, search.completeness), (expected, Completeness::All));
    }
}

#[test]
fn a_bound_leaves_exactly_the_runs_within_it() {
    let (_, all) = runs(&Bounds::default(), 4);
    for most in 0..9 {
        // Of two, passing one by is preempting it: both bounds are the same here.
        for switches in [Switches::Preemptions(most), Switches::Delays(most)] {
            let (search, orders) = runs(&Bounds { switches, ..Bounds::default() }, 4);
            let within = |order: &&Vec<usize>| preemptions(order, 4) <= most;
            let expected: BTreeSet<_> = all.iter().filter(within).cloned().collect();
            assert_eq!(orders, expected, "{switches:?}");
            let is_all = expected.len() == all.len();
            assert_eq!(search.completeness == Completeness::All, is_all, "{switches:?}");
        }
    }
}

#[test]
fn passing_several_by_costs_several_delays_and_one_preemption() {
    let count = |switches| {
        let bounds = Bounds { switches, ..Bounds::default() };
        let search = explore(&bounds, |choices| {
            choices.switch("a", 4);
            choices.switch("b", 4);
            Outcome::Fine
        });
        search.unwrap().runs
    };
    assert_eq!(count(Switches::Any), 16);
    assert_eq!(count(Switches::Preemptions(1)), 1 + 3 + 3);
    assert_eq!(count(Switches::Delays(2)), 6, "00 01 02 10 11 20");
}

#[test]
fn events_are_bounded_and_their_details_are_not() {
    let count = |events| {
        let bounds = Bounds { events, ..Bounds::default() };
        let search = explore(&bounds, |choices| {
            for _ in 0..3 {
                choices.event("crash", 0.001, |how| how.choose("node", 2));
            }
            Outcome::Fine
        });
        search.map(|search| (search.runs, search.completeness)).unwrap()
    };
    let within = Completeness::WithinBounds { depth: false, switches: false, events: true };
    assert_eq!(count(0), (1, within));
    assert_eq!(count(1), (1 + 3 * 2, within));
    assert_eq!(count(2), (1 + 3 * 2 + 3 * 4, within));
    assert_eq!(count(3), (27, Completeness::All));
}

#[test]
fn depth_and_number_of_runs_are_bounded_and_it_is_said() {
    let search = |bounds: &Bounds| {
        explore(bounds, |choices| {
            for _ in 0..5 {
                choices.choose("x", 2);
            }
            Outcome::Fine
        })
        .unwrap()
    };
    let shallow = search(&Bounds { depth: 3, ..Bounds::default() });
    assert_eq!((shallow.runs, shallow.deepest, shallow.choices), (8, 5, 40));
    assert_eq!(
        shallow.to_string(),
        "8 runs, 40 choices, at most 5 in a run; complete within the bounds: runs with more choices were not tried"
    );
    let few = search(&Bounds { runs: 31, ..Bounds::default() });
    assert_eq!((few.runs, few.completeness), (31, Completeness::OutOfRuns));
    let enough = search(&Bounds { runs: 32, ..Bounds::default() });
    assert_eq!((enough.runs, enough.completeness), (32, Completeness::All));
}

#[test]
fn a_run_that_depends_on_more_than_its_choices_is_told() {
    let mut calls = 0;
    let result = explore(&Bounds::default(), |choices| {
        calls += 1;
        choices.choose("x", 2 + calls);
        Outcome::Fine
    });
    let expected = NotRepeatable {
        choice: 0,
        before: "x 0, below 3".to_owned(),
        now: "x 0, below 4".to_owned(),
    };
    assert_eq!(result, Err(expected));

    let mut calls = 0;
    let result = explore(&Bounds::default(), |choices| {
        calls += 1;
        for _ in calls..3 {
            choices.choose("x", 2);
        }
        Outcome::Fine
    });
    assert_eq!(result.unwrap_err().now, "the end");
}

proptest! {
    #[test]
    fn the_tape_of_each_run_replays_it(bounds in prop::collection::vec(1_u64..4, 0..5)) {
        let run = |choices: &mut Choices| -> Vec<u64> {
            bounds.iter().map(|bound| choices.choose("x", *bound)).collect()
        };
        let product: u64 = bounds.iter().product();
        for wanted in 0..product {
            let mut seen = 0;
            let search = explore(&Bounds::default(), |choices| {
                let answers = run(choices);
                seen += 1;
                if seen > wanted { Outcome::Violated(format!("{answers:?}")) } else { Outcome::Fine }
            })
            .unwrap();
            let found = search.found.unwrap();
            let again = run(&mut Choices::replayed(&found.tape));
            prop_assert_eq!(format!("{again:?}"), found.what);
        }
    }
}
