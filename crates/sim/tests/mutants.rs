//! Planted bugs: each is found, by nothing but its system's promises, and the correct systems
//! raise no false alarm.
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(clippy::print_stdout, reason = "it says how many events each bug took")]

#[path = "mutants/counter.rs"]
mod counter;
#[path = "mutants/election.rs"]
mod election;

use dx_sim::{Choices, Failure, Scenario, Sim};

/// Seeds after which a bug counts as missed.
const SEEDS: u64 = 400;
/// Seeds that a correct system must survive.
const QUIET: u64 = 150;

/// Looks for a bug; then replays what was found from its tape, and demands the same end.
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
}
