//! Shrinking: the result fails, and nothing plainer next to it does.

use std::collections::BTreeMap;

use dx_sim::choices::Choices;
use dx_sim::shrink::{ShrinkError, Verdict, shrink};
use dx_sim::tape::{Choice, Event, Point, Tape};
use proptest::prelude::*;

use crate::tape::point;

/// A small bank: deposits, withdrawals and crashes, with delays between them. It breaks if there
/// are at least so many of each kind, and a crash with a large enough extent.
#[derive(Clone, Debug)]
struct Bug {
    deposits: usize,
    delay: u64,
    extent: u64,
    is_odd: bool,
}

fn run(bug: &Bug, choices: &mut Choices) -> Verdict {
    let mut deposits = 0;
    let mut longest = 0;
    let mut extents = Vec::new();
    for _ in 0..40 {
        longest = longest.max(choices.choose("delay", 1000));
        deposits += usize::from(choices.event("deposit", 0.3, |_| ()).is_some());
        extents.extend(choices.event("crash", 0.2, |how| how.choose("extent", 64)));
    }
    let is_large = extents.iter().any(|extent| *extent >= bug.extent);
    // Not monotone: one event fewer may pass where two fewer fail.
    let fits = !bug.is_odd || (deposits + extents.len()) % 2 == 1;
    if deposits >= bug.deposits && longest >= bug.delay && is_large && fits {
        Verdict::Fails
    } else {
        Verdict::Passes
    }
}

fn replay(bug: &Bug, tape: &Tape) -> Verdict {
    run(bug, &mut Choices::replayed(tape))
}

/// All tapes that are one event, one choice or one step of a value plainer.
fn plainer(tape: &Tape) -> Vec<Tape> {
    let mut plainer = Vec::new();
    let rebuild = |choices: &BTreeMap<Point, Choice>, events: &BTreeMap<Point, Event>| {
        let mut tape = Tape::new();
        for (at, choice) in choices {
            tape.choose(at.clone(), *choice);
        }
        for (at, event) in events {
            tape.happen(at.clone(), event.clone());
        }
        tape
    };
    for at in tape.events().keys() {
        let mut events = tape.events().clone();
        events.remove(at);
        plainer.push(rebuild(tape.choices(), &events));
    }
    for (at, choice) in tape.choices() {
        for value in [0, choice.value - 1] {
            let mut choices = tape.choices().clone();
            choices.insert(at.clone(), Choice { value, ..*choice });
            plainer.push(rebuild(&choices, tape.events()));
        }
    }
    for (at, event) in tape.events() {
        for (detail, choice) in &event.details {
            for value in [0, choice.value - 1] {
                let mut less = Event::default();
                for (point, kept) in &event.details {
                    let value = if point == detail { value } else { kept.value };
                    less.choose(point.clone(), Choice { value, ..*kept });
                }
                let mut events = tape.events().clone();
                events.insert(at.clone(), less);
                plainer.push(rebuild(tape.choices(), &events));
            }
        }
    }
    plainer
}

fn failing() -> impl Strategy<Value = (Bug, Tape)> {
    let bug = (0_usize..6, 0_u64..900, 0_u64..50, any::<bool>())
        .prop_map(|(deposits, delay, extent, is_odd)| Bug { deposits, delay, extent, is_odd });
    (bug, any::<u64>())
        .prop_map(|(bug, seed)| {
            let mut choices = Choices::seeded(seed).recording();
            let verdict = run(&bug, &mut choices);
            (bug, choices.tape().unwrap(), verdict)
        })
        .prop_filter_map("it does not fail", |(bug, tape, verdict)| {
            (verdict == Verdict::Fails).then_some((bug, tape))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_global_rejects: 5000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_fails_and_nothing_plainer_next_to_it_does((bug, tape) in failing()) {
        let shrunk = shrink(&tape, 100_000, |tape| replay(&bug, tape)).unwrap();
        prop_assert!(shrunk.is_minimal);
        prop_assert_eq!(replay(&bug, &shrunk.tape), Verdict::Fails);
        for tape in plainer(&shrunk.tape) {
            prop_assert_eq!(replay(&bug, &tape), Verdict::Passes, "{:?}", tape);
        }
    }

    #[test]
    fn a_monotone_bug_is_shrunk_to_what_it_needs((bug, tape) in failing()) {
        let bug = Bug { is_odd: false, ..bug };
        let shrunk = shrink(&tape, 100_000, |tape| replay(&bug, tape)).unwrap();
        let size = shrunk.tape.size();
        prop_assert_eq!(size.events, bug.deposits + 1);
        prop_assert_eq!(size.sum, u128::from(bug.delay + bug.extent));
        let deposits = bug.deposits as u128;
        prop_assert_eq!(size.lateness, deposits * deposits.saturating_sub(1) / 2, "the first occasions");
    }

    #[test]
    fn shrinking_is_deterministic_and_keeps_to_its_budget((bug, tape) in failing(), budget in 1_u64..300) {
        let mut runs = 0;
        let first = shrink(&tape, budget, |tape| {
            runs += 1;
            replay(&bug, tape)
        })
        .unwrap();
        prop_assert_eq!(runs, first.runs);
        prop_assert!(runs <= budget);
        prop_assert_eq!(replay(&bug, &first.tape), Verdict::Fails);
        prop_assert!(first.steps.windows(2).all(|pair| pair[1].size < pair[0].size));
        let second = shrink(&tape, budget, |tape| replay(&bug, tape)).unwrap();
        prop_assert_eq!(first, second);
    }
}

#[test]
fn a_tape_that_does_not_fail_is_not_shrunk() {
    assert_eq!(shrink(&Tape::new(), 9, |_| Verdict::Passes), Err(ShrinkError::DoesNotFail));
}

/// The pause can be shorter only once the deposit comes sooner, which is tried last.
#[test]
fn shrinking_goes_on_until_nothing_helps_any_more() {
    let run = |tape: &Tape| {
        let mut choices = Choices::replayed(tape);
        let pause = choices.event("pause", 0.5, |how| how.choose("length", 100));
        let first = (0..20).find(|_| choices.chance("deposit", 0.5));
        let is_long = pause.zip(first).is_some_and(|(length, first)| length >= first);
        if is_long { Verdict::Fails } else { Verdict::Passes }
    };
    let mut tape = Tape::new();
    let mut pause = Event::default();
    pause.choose(point("length", 0), Choice { bound: 100, value: 50 });
    tape.happen(point("pause", 0), pause);
    tape.happen(point("deposit", 10), Event::default());
    let size = shrink(&tape, 1000, run).unwrap().tape.size();
    assert_eq!((size.events, size.sum, size.lateness), (2, 0, 0));
    // The two hold each other: each round brings them a little further.
    let bound = |tape: &Tape| {
        let mut choices = Choices::replayed(tape);
        let length = choices.event("pause", 0.5, |how| how.choose("length", 100));
        let first = (0..60).find(|_| choices.chance("deposit", 0.5));
        let fits = length.zip(first).is_some_and(|(it, first)| (first..first + 9).contains(&it));
        if fits { Verdict::Fails } else { Verdict::Passes }
    };
    let mut tape = Tape::new();
    let mut pause = Event::default();
    pause.choose(point("length", 0), Choice { bound: 100, value: 50 });
    tape.happen(point("pause", 0), pause);
    tape.happen(point("deposit", 45), Event::default());
    let size = shrink(&tape, 1000, bound).unwrap().tape.size();
    assert_eq!((size.events, size.sum, size.lateness), (2, 0, 0));
}

/// A loop that asks for one more until there is none: taking one away needs the later ones to move.
#[test]
fn events_behind_one_that_is_cut_move_up() {
    let run = |tape: &Tape| {
        let mut choices = Choices::replayed(tape);
        let mut sum = 0;
        while let Some(value) = choices.event("more", 0.5, |how| how.choose("value", 100)) {
            sum += u64::from(value == 77);
        }
        if sum == 1 { Verdict::Fails } else { Verdict::Passes }
    };
    let mut tape = Tape::new();
    for (at, value) in (0..).zip([3, 50, 77, 8, 99]) {
        let mut event = Event::default();
        event.choose(point("value", 0), Choice { bound: 100, value });
        tape.happen(point("more", at), event);
    }
    let shrunk = shrink(&tape, 1000, run).unwrap();
    assert_eq!((shrunk.tape.size().events, shrunk.tape.size().sum), (1, 77));
    let report = shrunk.to_string();
    assert!(report.contains("blocks") && report.ends_with("nothing plainer fails"), "{report}");
}
