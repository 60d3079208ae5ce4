//! The linearizability checker, on histories of the size of a simulated run.
#![allow(missing_docs, reason = "criterion's macros make items without")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dx_agents::rng::Rng;
use dx_sim::history::History;
use dx_sim::linear::{Kv, KvInput, KvOutput, Specification, Verdict, check};

const OPERATIONS: usize = 10_000;
const BUDGET: u64 = 10_000_000;

/// A correct history: operations take effect at a random moment between call and answer. One in
/// `open_one_in` is never answered; half of those take effect.
fn history(clients: usize, keys: u64, open_one_in: u64) -> History<KvInput<u64>, KvOutput> {
    let (kv, mut rng) = (Kv::new(), Rng::new(1));
    let mut states = vec![kv.initial(); keys as usize];
    let mut history = History::new();
    let mut under_way: Vec<_> = (0..clients).map(|_| None).collect();
    let mut called = 0;
    for time in 0.. {
        let client = rng.below(clients as u64) as usize;
        match under_way[client].take() {
            None if called == OPERATIONS => break,
            None => {
                called += 1;
                let input = input(&mut rng, keys);
                let call = history.call(client as u32, time, input.clone());
                under_way[client] = Some((call, input, None));
            }
            Some((call, input, None)) => {
                let is_open = rng.below(open_one_in) == 0;
                if is_open && rng.below(2) == 0 {
                    continue;
                }
                let state = &mut states[kv.key(&input) as usize];
                let (after, output) = kv.step(state, &input);
                *state = after;
                under_way[client] = (!is_open).then_some((call, input, Some(output)));
            }
            Some((call, _, Some(output))) => history.answer(call, time, output),
        }
    }
    history
}

fn input(rng: &mut Rng, keys: u64) -> KvInput<u64> {
    let key = rng.below(keys);
    match rng.below(4) {
        0 => KvInput::Put(key, rng.below(100).to_string()),
        1 => KvInput::Cas { key, expected: None, new: "first".to_owned() },
        _ => KvInput::Get(key),
    }
}

fn checker(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("linear/10k operations");
    group.throughput(Throughput::Elements(OPERATIONS as u64));
    for (name, clients, keys, open_one_in) in [
        ("10 clients, 100 keys", 10, 100, u64::MAX),
        ("50 clients, 100 keys, 1% open", 50, 100, 100),
        ("10 clients, 1 key", 10, 1, u64::MAX),
        ("10 clients, 1 key, 1% open", 10, 1, 100),
    ] {
        let history = history(clients, keys, open_one_in);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let verdict = check(&Kv::new(), black_box(&history), BUDGET);
                assert!(matches!(verdict, Verdict::Linearizable(_)), "{verdict:?}");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, checker);
criterion_main!(benches);
