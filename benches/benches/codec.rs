//! Headers, batches and handshake bodies.
#![allow(missing_docs, reason = "criterion's macros make items without")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dx_transport::codec;
use dx_transport::frame::{self, Header, Kind};
use dx_transport::limits::MAX_HANDSHAKE;

fn header(criterion: &mut Criterion) {
    let header = Header::control(Kind::Data, 4096);
    let bytes = header.encode();
    criterion
        .bench_function("header/encode", |bencher| bencher.iter(|| black_box(&header).encode()));
    criterion.bench_function("header/decode", |bencher| {
        bencher.iter(|| Header::decode(black_box(&bytes)));
    });
}

fn batch(criterion: &mut Criterion) {
    const COUNT: u32 = 1000;
    let mut body = Vec::new();
    for _ in 0..COUNT {
        body.push(64);
        body.extend_from_slice(&[7; 64]);
    }
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(u64::from(COUNT)));
    group.bench_function("check 64 B", |bencher| {
        bencher.iter(|| frame::holds_messages(black_box(&body), COUNT, 64));
    });
}

fn hello(criterion: &mut Criterion) {
    let hello = dx_benches::hello(1);
    let bytes = codec::encode(&hello, MAX_HANDSHAKE).expect("it fits");
    criterion.bench_function("hello/encode", |bencher| {
        bencher.iter(|| codec::encode(black_box(&hello), MAX_HANDSHAKE));
    });
    criterion.bench_function("hello/decode", |bencher| {
        bencher.iter(|| codec::decode::<dx_transport::hello::Hello>(black_box(&bytes)));
    });
}

criterion_group!(benches, header, batch, hello);
criterion_main!(benches);
