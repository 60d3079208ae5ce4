//! Messages from outbox to batch through two sessions, without link, lock or clock.
#![allow(missing_docs, reason = "criterion's macros make items without")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dx_benches::Pair;

fn small(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session/small");
    for len in [8, 64, 256, 1024] {
        let message = vec![7; len];
        let count = 200_000 / (len + 1);
        group.throughput(Throughput::Elements(count as u64));
        let mut pair = Pair::default();
        group.bench_function(format!("{len} B"), |bencher| {
            bencher.iter(|| {
                (0..count).for_each(|_| pair.send(&message));
                pair.exchange()
            });
        });
    }
}

fn large(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session/large");
    for (name, len) in [("64 KiB", 64 << 10), ("1 MiB", 1 << 20), ("16 MiB", 16 << 20)] {
        let message = Bytes::from(vec![7; len]);
        group.throughput(Throughput::Bytes(len as u64));
        let mut pair = Pair::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                pair.send_bytes(message.clone());
                pair.exchange()
            });
        });
    }
}

fn round_trip(criterion: &mut Criterion) {
    let mut pair = Pair::default();
    criterion.bench_function("session/one message", |bencher| {
        bencher.iter(|| {
            pair.send(&[7; 64]);
            pair.exchange()
        });
    });
}

criterion_group!(benches, small, large, round_trip);
criterion_main!(benches);
