//! Failures become short enough to be read.

use dx_samples::short::READABLE;
use dx_samples::{SAMPLES, Search, Short, Trouble, counter};
use dx_sim::Effort;

/// One of each sample that is quick to shrink; `./check nightly` has all.
const QUICK: [&str; 7] = [
    "counter/dedup-in-memory",
    "rpc/table-in-memory",
    "lock/lends-by-rumour",
    "token/makes-alone",
    "register/small-quorum",
    "commit/majority-commits",
    "election/votes-again",
];

#[test]
fn what_there_is_to_read_of_a_failure_fits_on_a_page() {
    let trouble = Trouble { seeds: 40, failures: 8, shrunk: 1, runs: 120 };
    let mut seen = 0;
    for sample in SAMPLES {
        for bug in sample.bugs {
            let name = format!("{}/{}", sample.name, bug.name);
            if !QUICK.contains(&name.as_str()) {
                continue;
            }
            seen += 1;
            let short = Short::of(sample, bug, &trouble);
            let short = short.unwrap_or_else(|| panic!("{name} is not found"));
            assert!(short.rows() < READABLE, "{name}: {}\n{}", short.rows(), short.explanation);
            assert!(bug.breaks.contains(&short.failure.what.as_str()), "{name}: {}", short.failure);
        }
    }
    assert_eq!(seen, QUICK.len());
}

#[test]
fn what_was_shrunk_and_what_it_was_made_of_both_replay() {
    for bug in counter::SAMPLE.bugs {
        let report = Search::Swarm.look(&counter::SAMPLE, Some(bug.name), 0..200, 2);
        let failure = report.first().unwrap();
        let scenario = Search::Swarm.scenario(&counter::SAMPLE, Some(bug.name));
        let (mut runs, effort) = (0, Effort { runs: 120, ..Effort::default() });
        let smaller = scenario.shrink(failure, &effort, |seen| runs = seen.runs).unwrap().failure;
        assert_eq!(smaller.what, failure.what, "{} became another failure", bug.name);
        let size = |it: &dx_sim::Failure| it.tape.as_ref().unwrap().size();
        assert!(runs <= effort.runs && size(&smaller) < size(failure), "{}: {runs}", bug.name);
        for it in [&smaller, failure] {
            assert_eq!(scenario.replay(it).1.as_ref(), Some(it), "{} replays no more", bug.name);
        }
    }
}
