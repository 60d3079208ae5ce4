//! What every contender is given to carry, and how arrivals are counted.
//!
//! The messages and their checks are those of `dx bench`, so that making and checking a message
//! costs every contender the same.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, bail};
use bytes::Bytes;
use dx::bench::latency::Distribution;
use dx::bench::payload::{Checked, Checker, Message, Source};
use dx::bench::subject::{Flow, Meter, PING_BYTES, Window};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

/// Requests that are under way at once in the test of request rates.
pub const IN_FLIGHT: usize = 64;

/// The clock is read once per so many bytes, and at least once per [`MOST_PER_READING`] messages:
/// where a contender hands over single messages, reading it for each would be part of the result.
const BYTES_PER_READING: usize = 64 * 1024;

/// See [`BYTES_PER_READING`].
const MOST_PER_READING: usize = 64;

/// The next message as the contender's own copy, or as a share of a large one.
pub fn next(source: &mut Source) -> Bytes {
    match source.message() {
        Message::Copied(bytes) => Bytes::copy_from_slice(bytes),
        Message::Shared(bytes) => bytes,
    }
}

/// Tells the sender of a one-way flow that the window is over.
#[derive(Clone, Debug, Default)]
pub struct Enough(Arc<AtomicBool>);

impl Enough {
    /// Whether it is.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// It is.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The receiving end of a one-way flow.
pub struct Receiver {
    checker: Checker,
    meter: Meter,
    size: usize,
    per_reading: u64,
    unread: u64,
    flow: Option<Flow>,
}

impl Receiver {
    /// For messages of `size` bytes; the window begins now.
    pub fn new(size: usize, window: Window) -> Self {
        let per_reading = (BYTES_PER_READING / size).clamp(1, MOST_PER_READING) as u64;
        let (checker, meter) = (Checker::new(size), Meter::new(window));
        Self { checker, meter, size, per_reading, unread: 0, flow: None }
    }

    /// Checks and counts `message`. Returns whether it was the end of the stream.
    ///
    /// # Errors
    /// If it is not the next one, or not as it was sent.
    pub fn take(&mut self, message: &[u8]) -> anyhow::Result<bool> {
        if self.checker.check(message)? == Checked::End {
            return Ok(true);
        }
        self.unread += 1;
        if self.unread == self.per_reading && self.flow.is_none() {
            let count = std::mem::take(&mut self.unread);
            self.flow = self.meter.add(count, count * self.size as u64);
        }
        Ok(false)
    }

    /// What went through, once the window is over.
    pub fn flow(&self) -> Option<Flow> {
        self.flow
    }

    /// The same at the end of the stream.
    ///
    /// # Errors
    /// If the stream ended before the window.
    pub fn finish(self) -> anyhow::Result<Flow> {
        self.flow.context("the sender ended before the window did")
    }
}

/// Sends one request after the other; returns their latencies in nanoseconds.
///
/// # Errors
/// If a request fails, or the reply is not what was sent.
pub async fn one_at_a_time<F, R>(window: Window, mut request: F) -> anyhow::Result<Distribution>
where
    F: FnMut(Bytes) -> R,
    R: Future<Output = anyhow::Result<Bytes>>,
{
    let (mut source, mut checker) = (Source::new(PING_BYTES), Checker::new(PING_BYTES));
    let mut latencies = Distribution::new();
    let begin = Instant::now();
    loop {
        let sent = Instant::now();
        let reply = request(next(&mut source)).await?;
        checker.check(&reply)?;
        let now = Instant::now();
        if now - begin >= window.warmup {
            latencies.record_duration(now - sent);
        }
        if now - begin >= window.whole() {
            return Ok(latencies);
        }
    }
}

/// Keeps [`IN_FLIGHT`] requests of `size` bytes under way, and counts those that were answered.
/// `is_answer` gets every reply and the number of replies before it, since replies may overtake
/// each other.
///
/// # Errors
/// If a request fails, or the reply is not right.
pub async fn pipelined<F, R, T>(
    size: usize,
    window: Window,
    mut request: F,
    mut is_answer: impl FnMut(T, u64) -> anyhow::Result<()>,
) -> anyhow::Result<Flow>
where
    F: FnMut(Bytes) -> R,
    R: Future<Output = anyhow::Result<T>>,
{
    let mut source = Source::new(size);
    let mut meter = Meter::new(window);
    let mut under_way: FuturesUnordered<R> =
        (0..IN_FLIGHT).map(|_| request(next(&mut source))).collect();
    let mut answered = 0;
    while let Some(reply) = under_way.next().await {
        is_answer(reply?, answered)?;
        answered += 1;
        if let Some(flow) = meter.add(1, size as u64) {
            return Ok(flow);
        }
        under_way.push(request(next(&mut source)));
    }
    bail!("no request is under way")
}

/// Checks an echo of [`PING_BYTES`] that may have overtaken others.
///
/// # Errors
/// If its bytes are not those of a message that was sent about then.
pub fn is_echo(reply: Bytes, expected: u64) -> anyhow::Result<()> {
    let number = Checker::number(&reply, PING_BYTES, expected)?;
    let number = number.context("an end arrived where an echo was due")?;
    anyhow::ensure!(
        number.abs_diff(expected) <= IN_FLIGHT as u64,
        "echo {number} arrived where about {expected} was due"
    );
    Ok(())
}
