//! Each planted bug is found, by nothing but what is promised of its sample; and what is right
//! raises no alarm.

use dx_samples::{SAMPLES, Search};

/// Seeds after which a bug counts as missed.
const SEEDS: u64 = 1000;
/// Seeds that what is right must survive here; `./check nightly` has ten thousand.
const QUIET: u64 = 100;

#[test]
fn what_is_right_raises_no_alarm() {
    for sample in SAMPLES {
        for search in Search::ALL {
            search.look(sample, None, QUIET).expect_none();
        }
    }
}

#[test]
fn every_planted_bug_is_found_by_its_rule() {
    for sample in SAMPLES {
        for bug in sample.bugs {
            let name = format!("{}/{}", sample.name, bug.name);
            let failure = Search::Swarm.look(sample, Some(bug.name), SEEDS).failure;
            let failure = failure.unwrap_or_else(|| panic!("{name}: not in {SEEDS} seeds"));
            assert!(bug.breaks.contains(&failure.what.as_str()), "{name}: {failure}");
        }
    }
}
