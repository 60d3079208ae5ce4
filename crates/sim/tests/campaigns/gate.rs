use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dx_agents::NodeId;
use dx_sim::{Campaign, Failure, Scenario, Sim};

use crate::dice::make;

const JOBS: Campaign =
    Campaign { jobs: 4, events: u64::MAX, failures: 1, order: dx_sim::Order::Drawn };

#[test]
fn runs_are_the_same_beside_others_as_alone() {
    let play = |sim: &mut Sim| sim.torment(Duration::from_secs(1), 1).map(drop);
    let scenario = Scenario { make, play };
    scenario.determined(0..10).unwrap();
    scenario.determined_with(0..40, &JOBS).unwrap();
}

/// Lets a clock run faster in each run than in the one before: what a counter does that all runs
/// share.
fn shared(seen: &AtomicU64) -> impl Fn(&mut Sim) -> Result<(), Failure> + '_ {
    move |sim| {
        sim.run_for(Duration::from_millis(100))?;
        let runs = seen.fetch_add(1, Ordering::Relaxed);
        sim.drift_clock(NodeId(1), runs as i32 * 1000);
        sim.run_for(Duration::from_secs(1))
    }
}

#[test]
fn what_depends_on_more_than_its_seed_is_found_and_the_first_event_named() {
    let seen = AtomicU64::new(0);
    let undetermined = Scenario { make, play: shared(&seen) }.determined(3..5).unwrap_err();
    assert_eq!(undetermined.seed, 3);
    let text = undetermined.to_string();
    // The timer of the node with that clock.
    assert!(text.contains("1 Timer 1") && text.contains("and then"), "{text}");
    let seen = AtomicU64::new(0);
    assert!(Scenario { make, play: shared(&seen) }.determined_with(3..9, &JOBS).is_err());
}
