//! Latencies, and the percentiles that they are enough for.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A percentile is stated only if at least this many samples lie above it; with fewer it is the
/// luck of a handful.
const MIN_SAMPLES_ABOVE: f64 = 10.0;

/// Significant digits of a recorded value; 3 cost 0.1 % at most.
const DIGITS: u8 = 3;

/// The largest value that is told from larger ones: an hour in nanoseconds, or 3.6 TB.
const MAX: u64 = 3_600_000_000_000;

/// A distribution of non-negative integers: nanoseconds, or bytes.
#[derive(Clone, Debug)]
pub struct Distribution {
    histogram: Histogram<u64>,
}

/// The percentiles that the benches state, by name.
pub const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

impl Distribution {
    /// Without samples.
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_max(MAX, DIGITS)
            .expect("3 digits and an hour are in the supported range");
        Self { histogram }
    }

    /// Adds a sample.
    pub fn record(&mut self, value: u64) {
        self.histogram.saturating_record(value);
    }

    /// Adds a duration, in nanoseconds.
    pub fn record_duration(&mut self, duration: Duration) {
        self.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds all samples of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("both have the same range");
    }

    /// How many samples there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The value that the share `quantile` of samples does not exceed, if there are enough
    /// samples above it.
    #[must_use]
    pub fn percentile(&self, quantile: f64) -> Option<f64> {
        let above = self.histogram.len() as f64 * (1.0 - quantile);
        // The slack is for 1.0 - 0.999 falling short of 0.001.
        (above >= MIN_SAMPLES_ABOVE - 1e-6)
            .then(|| self.histogram.value_at_quantile(quantile) as f64)
    }

    /// [`Self::percentile`] of durations, in microseconds.
    #[must_use]
    pub fn percentile_us(&self, quantile: f64) -> Option<f64> {
        self.percentile(quantile).map(|nanoseconds| nanoseconds / 1e3)
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: u64) -> Distribution {
        let mut distribution = Distribution::new();
        (1..=count).for_each(|value| distribution.record(value));
        distribution
    }

    #[test]
    fn a_percentile_needs_ten_samples_above_it() {
        assert_eq!(samples(19).percentile(0.5), None);
        assert!(samples(20).percentile(0.5).is_some());
        assert_eq!(samples(999).percentile(0.99), None);
        assert!(samples(1000).percentile(0.99).is_some());
        assert_eq!(samples(9_999).percentile(0.999), None);
        assert!(samples(10_000).percentile(0.999).is_some());
    }

    #[test]
    fn a_percentile_is_within_a_thousandth() {
        let p99 = samples(10_000).percentile(0.99).unwrap();
        assert!((p99 - 9_900.0).abs() <= 9.9, "{p99}");
    }

    #[test]
    fn merged_rounds_count_together() {
        let mut both = samples(500);
        both.merge(&samples(500));
        assert_eq!(both.count(), 1000);
        assert!(both.percentile(0.99).is_some());
    }
}
