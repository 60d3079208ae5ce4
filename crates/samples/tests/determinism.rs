//! The same seed is the same run: twice, on several threads, in every build and on every machine.

use dx_samples::{SAMPLES, Search};
use dx_sim::Campaign;

const SEEDS: u64 = if cfg!(debug_assertions) { 4 } else { 50 };

#[test]
fn every_seed_is_the_same_run_twice_and_on_any_number_of_threads() {
    for sample in SAMPLES {
        let scenario = Search::Swarm.scenario(sample, None);
        scenario.determined(0..SEEDS).unwrap();
        let how = Campaign { jobs: 4, ..Campaign::default() };
        scenario.determined_with(0..SEEDS, &how).unwrap();
    }
}

#[test]
fn every_sample_has_the_hash_that_it_has_everywhere() {
    // Whoever changes what is chosen, scheduled or hashed changes these numbers knowingly:
    // `cargo run --release -p dx-samples -- hashes > crates/samples/tests/golden.txt`
    let hashes: Vec<String> = SAMPLES
        .iter()
        .map(|sample| {
            let [one, four] = [1, 4].map(|jobs| sample.hash(jobs));
            assert_eq!(one, four, "{}: it depends on the number of threads", sample.name);
            format!("{} {one:#018x}\n", sample.name)
        })
        .collect();
    assert_eq!(hashes.concat(), include_str!("golden.txt"));
}
