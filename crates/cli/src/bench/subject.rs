//! What can be measured between two ends: dx over one of its transports, or a floor.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::bench::cpu;
use crate::bench::latency::Distribution;

/// A boxed future, so that subjects are picked at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Two ends of a connection in this process, each on its own thread.
pub trait Subject: Send {
    /// Sends messages of `size` bytes one way as fast as they go, and counts at the receiver.
    fn one_way(&mut self, size: usize, window: Window) -> BoxFuture<'_, anyhow::Result<Flow>>;

    /// Sends messages of [`PING_BYTES`] and has them sent back; returns the latencies, in
    /// nanoseconds.
    fn round_trips(
        &mut self,
        load: Load,
        window: Window,
    ) -> BoxFuture<'_, anyhow::Result<Distribution>>;
}

/// Size of the messages whose latency is measured.
pub const PING_BYTES: usize = 64;

/// When the next ping is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// When the one before has come back.
    ClosedLoop,
    /// So many times per second, whatever became of those before.
    PerSecond(u32),
}

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Time at the start that does not count: buffers, windows and clocks come up to speed.
    pub warmup: Duration,
    /// Time that counts.
    pub measure: Duration,
}

impl Window {
    /// Both together.
    #[must_use]
    pub fn whole(&self) -> Duration {
        self.warmup + self.measure
    }

    /// How many messages fall into the warm-up and into the whole at `per_second`.
    #[must_use]
    #[expect(clippy::cast_sign_loss, reason = "seconds and a rate are not negative")]
    pub fn messages(&self, per_second: u32) -> (u64, u64) {
        let count = |time: Duration| (time.as_secs_f64() * f64::from(per_second)) as u64;
        (count(self.warmup), count(self.whole()))
    }
}

/// What went through in a window, counted at the receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// Messages that the application received.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// From the first count to the last.
    pub elapsed: Duration,
    /// CPU time of the process meanwhile: both ends.
    pub cpu: Duration,
}

impl Flow {
    /// Messages per second.
    #[must_use]
    pub fn messages_per_second(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }

    /// Million bytes per second.
    #[must_use]
    pub fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.elapsed.as_secs_f64()
    }

    /// CPU seconds per 10^9 bytes.
    #[must_use]
    pub fn cpu_per_gigabyte(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.bytes as f64 / 1e9)
    }

    /// CPU seconds per million messages.
    #[must_use]
    pub fn cpu_per_million(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.messages as f64 / 1e6)
    }
}

/// Counts at the receiver, from the end of the warm-up to the end of the window.
///
/// It starts and stops with an arrival, so that a rate is a number of messages over the time in
/// which exactly those arrived.
#[derive(Debug)]
pub struct Meter {
    window: Window,
    begin: Instant,
    counting: Option<Start>,
    messages: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Start {
    at: Instant,
    cpu: Duration,
}

impl Meter {
    /// The window begins now.
    #[must_use]
    pub fn new(window: Window) -> Self {
        Self { window, begin: Instant::now(), counting: None, messages: 0, bytes: 0 }
    }

    /// So much arrived now. Returns the result when the window is over.
    pub fn add(&mut self, messages: u64, bytes: u64) -> Option<Flow> {
        self.add_at(Instant::now(), messages, bytes)
    }

    fn add_at(&mut self, now: Instant, messages: u64, bytes: u64) -> Option<Flow> {
        let Some(start) = &self.counting else {
            if now.duration_since(self.begin) >= self.window.warmup {
                self.counting = Some(Start { at: now, cpu: cpu::time() });
            }
            return None;
        };
        self.messages += messages;
        self.bytes += bytes;
        let elapsed = now.duration_since(start.at);
        (elapsed >= self.window.measure).then(|| Flow {
            messages: self.messages,
            bytes: self.bytes,
            elapsed,
            cpu: cpu::time().saturating_sub(start.cpu),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_meter_counts_from_the_end_of_the_warm_up() {
        let mut meter = Meter::new(Window { warmup: 10 * MS, measure: 100 * MS });
        let begin = meter.begin;
        assert_eq!(meter.add_at(begin + 5 * MS, 1000, 8000), None);
        assert_eq!(meter.add_at(begin + 10 * MS, 1000, 8000), None);
        assert_eq!(meter.add_at(begin + 60 * MS, 50, 400), None);
        let flow = meter.add_at(begin + 210 * MS, 150, 1200).unwrap();
        assert_eq!((flow.messages, flow.bytes, flow.elapsed), (200, 1600, 200 * MS));
        assert!((flow.messages_per_second() - 1000.0).abs() < 1e-9);
        assert!((flow.megabytes_per_second() - 0.008).abs() < 1e-9);
    }

    #[test]
    fn cpu_time_is_per_gigabyte_and_per_million() {
        let second = Duration::from_secs(1);
        let flow = Flow { messages: 2_000_000, bytes: 500_000_000, elapsed: second, cpu: second };
        assert!((flow.cpu_per_gigabyte() - 2.0).abs() < 1e-9);
        assert!((flow.cpu_per_million() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_window_holds_rate_times_time() {
        let window = Window { warmup: 100 * MS, measure: 900 * MS };
        assert_eq!(window.messages(1000), (100, 1000));
    }
}
