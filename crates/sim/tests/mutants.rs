//! Planted bugs: each is found, by nothing but its system's promises, and the correct systems
//! raise no false alarm.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(clippy::print_stdout, reason = "it says how many events each bug took")]

#[path = "mutants/counter.rs"]
mod counter;
#[path = "mutants/election.rs"]
mod election;

use dx_sim::{Choices, Effort, Failure, Scenario, Sim};

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
