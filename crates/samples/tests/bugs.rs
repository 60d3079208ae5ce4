//! Each planted bug is found, by nothing but what is promised of its sample; and what is right
//! raises no alarm.

use dx_samples::{SAMPLES, Search};
use dx_sim::coverage::Standing;

/// Whether this build takes its time, as those of tests do: fewer seeds then.
const IS_SLOW: bool = cfg!(debug_assertions);
/// Seeds after which a bug counts as missed; in a slow build `./check nightly` finds the others.
const SEEDS: u64 = if IS_SLOW { 10 } else { 1000 };
/// Bugs that so few seeds may miss.
const MISSED: usize = if IS_SLOW { 22 } else { 0 };
/// Seeds that what is right must survive here; `./check nightly` has ten thousand.
const QUIET: u64 = if IS_SLOW { 20 } else { 100 };

#[test]
fn what_is_right_raises_no_alarm_and_gets_to_where_the_bugs_are() {
    for sample in SAMPLES {
        let report = Search::Swarm.look(sample, None, 0..QUIET, 2);
        report.expect_none();
        let holes: Vec<_> = report.coverage.standing(Standing::Hole).collect();
        assert!(holes.is_empty(), "{}: {holes:?}", sample.name);
    }
}

#[test]
fn what_is_right_raises_no_alarm_under_all_faults_at_once() {
    for sample in SAMPLES {
        Search::Random.look(sample, None, 0..QUIET, 2).expect_none();
    }
}

#[test]
fn every_planted_bug_that_is_not_rare_is_found_by_its_rule() {
    let mut missed = Vec::new();
    for sample in SAMPLES {
        for bug in sample.bugs {
            let name = format!("{}/{}", sample.name, bug.name);
            let report = Search::Swarm.look(sample, Some(bug.name), 0..SEEDS, 2);
            let Some(failure) = report.first() else {
                missed.push(name);
                continue;
            };
            assert!(bug.breaks.contains(&failure.what.as_str()), "{name}: {failure}");
        }
    }
    assert!(missed.len() <= MISSED, "not in {SEEDS} seeds: {missed:?}");
}

#[test]
fn a_bug_that_was_found_is_found_again_by_its_tape() {
    for sample in SAMPLES {
        let mut bugs = sample.bugs.iter();
        let found = bugs.find_map(|bug| {
            let report = Search::Swarm.look(sample, Some(bug.name), 0..SEEDS, 1);
            Some((bug.name, report.first()?.clone()))
        });
        let (bug, failure) = found.unwrap();
        let (_, again) = Search::Swarm.scenario(sample, Some(bug)).replay(&failure);
        assert_eq!(again.as_ref(), Some(&failure), "{}/{bug}", sample.name);
    }
}
