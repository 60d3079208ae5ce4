//! What a campaign says that it has seen.

use dx_sim::coverage::{Coverage, Kind, Standing};
use proptest::prelude::*;

const NAMES: [&str; 3] = ["a leader is elected", "the log is cut", "two hold the lock"];

fn record(coverage: &mut Coverage, what: (u8, usize, bool)) {
    let (kind, name, holds) = what;
    match kind {
        0 => drop(coverage.always(NAMES[name], holds)),
        1 => drop(coverage.sometimes(NAMES[name], holds)),
        2 => coverage.reachable(NAMES[name]),
        3 => coverage.unreachable(NAMES[name]),
        4 => drop(coverage.always_or_unreached(NAMES[name], holds)),
        _ => coverage.declare(Kind::Sometimes, NAMES[name]),
    }
}

fn run() -> impl Strategy<Value = Coverage> {
    let seen = prop::collection::vec((0_u8..6, 0..NAMES.len(), any::<bool>()), 0..12);
    (any::<u64>(), seen).prop_map(|(seed, seen)| {
        let mut coverage = Coverage::of_run(seed);
        for what in seen {
            record(&mut coverage, what);
        }
        coverage
    })
}

proptest! {
    #[test]
    fn runs_merge_in_any_order_with_the_same_result(
        runs in prop::collection::vec(run(), 0..6).prop_flat_map(|runs| (Just(runs.clone()), Just(runs).prop_shuffle())),
        cut in 0_usize..6,
    ) {
        let merge = |runs: &[Coverage]| {
            let mut all = Coverage::of_campaign();
            for run in runs {
                all.merge(run);
            }
            all
        };
        let (one, other) = runs;
        let mut halves = merge(&other[..cut.min(other.len())]);
        halves.merge(&merge(&other[cut.min(other.len())..]));
        prop_assert_eq!(&halves, &merge(&one));
        prop_assert_eq!(halves.runs(), one.len() as u64);
    }

    #[test]
    fn what_is_written_is_what_is_read(run in run()) {
        let text = serde_json::to_string(&run).unwrap();
        prop_assert_eq!(serde_json::from_str::<Coverage>(&text).unwrap(), run);
    }

    #[test]
    fn counts_are_the_sums_of_what_was_seen(seen in prop::collection::vec(any::<bool>(), 0..20)) {
        let mut coverage = Coverage::of_run(1);
        for holds in &seen {
            prop_assert_eq!(coverage.sometimes("x", *holds), *holds);
        }
        let held = seen.iter().filter(|holds| **holds).count() as u64;
        let counts: Vec<_> = coverage.points().map(|point| (point.held, point.failed)).collect();
        prop_assert!(seen.is_empty() && counts.is_empty() || counts == [(held, seen.len() as u64 - held)]);
    }
}

#[test]
fn each_kind_demands_what_it_says() {
    use Kind::{Always, AlwaysOrUnreached, Reachable, Sometimes, Unreachable};
    use Standing::{Broken, Hole, Met};
    // Never reached, reached and held, reached and failed, both.
    let table = [
        (Always, [Hole, Met, Broken, Broken]),
        (AlwaysOrUnreached, [Met, Met, Broken, Broken]),
        (Sometimes, [Hole, Met, Hole, Met]),
        (Reachable, [Hole, Met, Hole, Met]),
        (Unreachable, [Met, Met, Broken, Broken]),
    ];
    for (kind, standings) in table {
        for (counts, expected) in [(0, 0), (1, 0), (0, 1), (1, 1)].into_iter().zip(standings) {
            let mut coverage = Coverage::of_run(0);
            coverage.declare(kind, "x");
            let mut point = coverage.points().next().unwrap();
            (point.held, point.failed) = counts;
            assert_eq!(point.standing(), expected, "{kind:?} {counts:?}");
        }
    }
}

#[test]
fn the_table_begins_with_what_is_broken_and_names_a_seed() {
    let mut campaign = Coverage::of_campaign();
    for seed in [9, 4, 7] {
        let mut run = Coverage::of_run(seed);
        run.declare(Kind::Sometimes, "the disk is full");
        run.always("one leader a term", seed == 9);
        run.sometimes("a leader fails", seed == 7);
        campaign.merge(&run);
    }
    let expected = "\
standing  kind                 point                    held      failed  seed
BROKEN    always               one leader a term           1           2  4
hole      sometimes            the disk is full            0           0  -
met       sometimes            a leader fails              1           2  7
3 runs, 3 points, 1 broken, 1 holes";
    assert_eq!(campaign.to_string(), expected);
}
