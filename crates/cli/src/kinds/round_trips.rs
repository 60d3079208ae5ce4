//! Round trips in numbers.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// How long round trips took.
#[derive(Clone, Debug)]
pub struct RoundTrips(Histogram<u64>);

/// The longest that is told apart: an hour, in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;

impl Default for RoundTrips {
    fn default() -> Self {
        // Three digits cost 100 KiB at most; a microsecond is what people compare.
        let histogram = Histogram::new_with_bounds(1000, LONGEST, 3);
        Self(histogram.expect("the bounds are in order"))
    }
}

impl RoundTrips {
    /// Adds one.
    pub fn add(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(LONGEST));
    }
}

impl fmt::Display for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let histogram = &self.0;
        let at = |quantile| millis(histogram.value_at_quantile(quantile));
        write!(
            f,
            "RTT min {}, p50 {}, p99 {}, max {}",
            millis(histogram.min()),
            at(0.5),
            at(0.99),
            millis(histogram.max())
        )
    }
}

/// Nanoseconds as milliseconds of three significant digits or so.
fn millis(nanos: u64) -> String {
    let millis = nanos as f64 / 1e6;
    let digits = match millis {
        ..1.0 => 3,
        1.0..100.0 => 2,
        _ => 0,
    };
    format!("{millis:.digits$} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_added() {
        let mut trips = RoundTrips::default();
        for millis in 1..=100 {
            trips.add(Duration::from_millis(millis));
        }
        trips.add(Duration::from_micros(83));
        let text = trips.to_string();
        assert!(text.starts_with("RTT min 0.083 ms, p50 50.0"), "{text}");
        assert!(text.ends_with("max 100 ms"), "{text}");
    }
}
