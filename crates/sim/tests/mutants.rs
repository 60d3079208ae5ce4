//! Planted bugs: each is found, by nothing but its system's promises, and the correct systems
//! raise no false alarm.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(clippy::print_stdout, reason = "it says how many events each bug took")]

#[path = "mutants/counter.rs"]
mod counter;
#[path = "mutants/election.rs"]
mod election;

use std::ops::ControlFlow;
use std::time::Duration;

use dx_sim::explore::{Bounds, Completeness, Switches};
use dx_sim::{Campaign, Choices, Effort, Failure, Order, Priorities, Scenario, Sim, Systematic};

/// Seeds after which a bug counts as missed.
const SEEDS: u64 = 400;
/// Seeds that a correct system must survive.
const QUIET: u64 = 150;

/// Runs in which a failure is made smaller: here not to the smallest, which takes up to a thousand.
const TRIES: u64 = 120;

/// Looks for a bug; replays what was found from its tape, and demands the same end; makes it
/// smaller, and demands that both still are what they were.
fn hunt<M, P>(name: &str, scenario: &Scenario<M, P>)
where
    M: Fn(u64, Choices) -> Sim,
    P: Fn(&mut Sim) -> Result<(), Failure>,
{
    let report = scenario.explore(0..SEEDS);
    let Some(failure) = report.first().cloned() else {
        panic!("{name} was not found in {SEEDS} seeds")
    };
    println!("{name}: seed {}, {} events in all: {}", failure.seed, report.events, failure.what);
    let (_, again) = scenario.replay(&failure);
    assert_eq!(again.as_ref(), Some(&failure), "{name} is another failure when it is replayed");
    let (mut runs, effort) = (0, Effort { runs: TRIES, ..Effort::default() });
    let smaller = scenario.shrink(&failure, &effort, |seen| runs = seen.runs).unwrap();
    let size = |failure: &Failure| failure.tape.as_ref().unwrap().size();
    let (less, more) = (size(&smaller.failure), size(&failure));
    println!("  {runs} runs: {} events for {}, {less:?}", smaller.failure.events, failure.events);
    assert_eq!(smaller.failure.what, failure.what, "{name} became another failure");
    assert!(runs <= TRIES && less < more, "{less:?} of {more:?} after {runs} runs");
    assert_eq!(scenario.replay(&smaller.failure).1.as_ref(), Some(&smaller.failure));
    assert_eq!(scenario.replay(&failure).1.as_ref(), Some(&failure), "{name} replays no more");
}

/// By priorities, with waits up to `window`.
fn by_priorities(window: Duration) -> Campaign {
    let priorities = Priorities { window, ..Priorities::default() };
    Campaign { order: Order::Priorities(priorities), ..Campaign::default() }
}

/// Looks for a bug among the orders that random priorities make, and replays it.
fn prioritize<M, P>(name: &str, scenario: &Scenario<M, P>, window: Duration)
where
    M: Fn(u64, Choices) -> Sim + Sync,
    P: Fn(&mut Sim) -> Result<(), Failure> + Sync,
{
    let how = by_priorities(window);
    let report = scenario.campaign(0..60, &how, |_| ControlFlow::Continue(()));
    let Some(failure) = report.first() else { panic!("{name} was not found by priorities") };
    println!("{name} by priorities: seed {}, {} events in all", failure.seed, report.events);
    assert_eq!(scenario.replay(failure).1.as_ref(), Some(failure));
}

/// Looks for a bug among all orders with up to two delays, replays it and makes it smaller.
fn search<M, P>(name: &str, scenario: &Scenario<M, P>, window: Duration)
where
    M: Fn(u64, Choices) -> Sim,
    P: Fn(&mut Sim) -> Result<(), Failure>,
{
    let searched = scenario.search(1, &systematic(window, 2), |_| ()).unwrap();
    let Some(failure) = &searched.failure else { panic!("{name} was not found: {searched}") };
    println!("{name} by search: {} runs, {} events in all", searched.runs, searched.events);
    assert_eq!(searched.completeness, Completeness::Stopped);
    assert_eq!(scenario.replay(failure).1.as_ref(), Some(failure));
    let effort = Effort { runs: 40, ..Effort::default() };
    let smaller = scenario.shrink(failure, &effort, |_| ()).unwrap();
    assert!(smaller.failure.events <= 2 * failure.events);
}

fn systematic(window: Duration, delays: u64) -> Systematic {
    let switches = Switches::Delays(delays);
    let bounds = Bounds { switches, runs: 1000, events: 0, depth: usize::MAX };
    Systematic { bounds, window, ..Systematic::default() }
}

/// No order with one delay, nor any that priorities make, breaks a correct system; and the search
/// says how far it went.
fn hold_in_every_order<M, P>(scenario: &Scenario<M, P>, window: Duration)
where
    M: Fn(u64, Choices) -> Sim + Sync,
    P: Fn(&mut Sim) -> Result<(), Failure> + Sync,
{
    let searched = scenario.search(1, &systematic(window, 1), |_| ()).unwrap();
    let within = Completeness::WithinBounds { depth: false, switches: true, events: false };
    assert_eq!((&searched.failure, searched.completeness), (&None, within), "{searched}");
    assert!(searched.runs > 10 && searched.cut == 0, "{searched}");
    let few = Systematic { events: 50, ..systematic(window, 0) };
    assert_eq!(scenario.search(1, &few, |_| ()).unwrap().cut, 1, "a cut run is told");
    let how = by_priorities(window);
    scenario.campaign(0..20, &how, |_| ControlFlow::Continue(())).expect_none();
}
