//! Orders: what needs no fault is found by trying orders alone, and what is right holds in each.

use std::time::Duration;

use dx_samples::{Sample, counter, election, rpc};
use dx_sim::explore::{Bounds, Completeness, Switches};
use dx_sim::{Choices, Effort, Failure, Scenario, Sim, Systematic};

/// A small world in which nothing goes wrong for a time: only orders are open.
fn calm(
    sample: &'static Sample,
    bug: Option<&'static str>,
    lasts: Duration,
) -> Scenario<impl Fn(u64, Choices) -> Sim, impl Fn(&mut Sim) -> Result<(), Failure>> {
    Scenario {
        make: move |seed, choices| sample.world(bug, Some(sample.sizes.small), seed, choices),
        play: move |sim: &mut Sim| sim.run_for(lasts),
    }
}

/// What is due within `window` may come in any order, with so many delays in all.
fn within(window: Duration, delays: u64) -> Systematic {
    let switches = Switches::Delays(delays);
    let bounds = Bounds { switches, runs: 1000, events: 0, depth: usize::MAX };
    Systematic { bounds, window, ..Systematic::default() }
}

const SOON: Duration = Duration::from_millis(60);

#[test]
fn a_bug_that_needs_an_order_is_found_by_search_and_replayed_and_shrunk() {
    let bugs = [(&counter::SAMPLE, "no-dedup"), (&election::SAMPLE, "votes-again")];
    for (sample, bug) in bugs {
        let scenario = calm(sample, Some(bug), SOON);
        let searched = scenario.search(1, &within(SOON, 2), |_| ()).unwrap();
        let failure = searched.failure.as_ref();
        let failure = failure.unwrap_or_else(|| panic!("{bug} was not found: {searched}"));
        assert_eq!(searched.completeness, Completeness::Stopped);
        assert_eq!(scenario.replay(failure).1.as_ref(), Some(failure));
        let effort = Effort { runs: 40, ..Effort::default() };
        let smaller = scenario.shrink(failure, &effort, |_| ()).unwrap();
        assert!(smaller.failure.events <= 2 * failure.events);
    }
}

#[test]
fn what_is_right_holds_in_every_order_with_one_delay() {
    for sample in [&counter::SAMPLE, &rpc::SAMPLE, &election::SAMPLE] {
        let scenario = calm(sample, None, SOON);
        let searched = scenario.search(1, &within(SOON, 1), |_| ()).unwrap();
        // Datagrams could be lost as well, and none is.
        let all = matches!(
            searched.completeness,
            Completeness::WithinBounds { depth: false, switches: true, .. }
        );
        assert!(all && searched.failure.is_none(), "{}: {searched}", sample.name);
        assert!(searched.runs > 2 && searched.cut == 0, "{}: {searched}", sample.name);
    }
}

#[test]
fn a_run_that_is_cut_at_its_events_is_told() {
    let few = Systematic { events: 5, ..within(SOON, 0) };
    let searched = calm(&counter::SAMPLE, None, SOON).search(1, &few, |_| ()).unwrap();
    assert_eq!(searched.cut, 1);
}
