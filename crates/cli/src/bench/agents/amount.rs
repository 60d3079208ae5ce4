//! How many operations fill a given time.

use std::time::Duration;

use anyhow::Context;
use tokio::time::timeout;

/// Operations of the first attempt; any number that takes a few milliseconds at most.
const FIRST: u64 = 1000;

/// The most by which one attempt exceeds the one before: an attempt that was disturbed misleads by
/// no more.
const STEP: u64 = 8;

/// An attempt that takes this share of the time is long enough to go by.
const SHARE: u32 = 8;

/// Beyond what it should take, a measurement may take this long: then something was lost.
const SLACK: Duration = Duration::from_secs(30);

/// Finds how many operations take about `time`; `measure` does so many and says how long they
/// took. Warms up on the way.
///
/// # Errors
/// If `measure` fails, or does not end.
pub async fn filling(
    time: Duration,
    mut measure: impl AsyncFnMut(u64) -> anyhow::Result<Duration>,
) -> anyhow::Result<u64> {
    let mut count = FIRST;
    loop {
        let took = within(limit(time), measure(count)).await?;
        if took >= time / SHARE {
            return Ok(scaled(count, time, took));
        }
        count = scaled(count, time / SHARE, took).clamp(count * 2, count * STEP);
    }
}

/// How long a measurement may take that should take about `time`.
#[must_use]
pub fn limit(time: Duration) -> Duration {
    time * 4 + SLACK
}

/// The result of a measurement that ends within `limit`.
///
/// # Errors
/// If it fails, or does not end.
pub async fn within<T>(
    limit: Duration,
    measurement: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    timeout(limit, measurement).await.context("it does not end: something was lost")?
}

#[expect(clippy::cast_sign_loss, reason = "counts and times are not negative")]
fn scaled(count: u64, time: Duration, took: Duration) -> u64 {
    let factor = time.as_secs_f64() / took.as_secs_f64().max(1e-9);
    ((count as f64 * factor) as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_number_that_fills_the_time_is_found_whatever_an_operation_takes() {
        for nanos in [3, 400, 90_000] {
            let measure = async |count| Ok(Duration::from_nanos(nanos) * u32::try_from(count)?);
            let found = filling(800 * MS, measure).await.unwrap();
            let takes = found as f64 * nanos as f64 / 1e9;
            assert!((takes - 0.8).abs() < 0.01, "{found} operations of {nanos} ns");
        }
    }

    #[tokio::test]
    async fn what_does_not_end_is_an_error() {
        let error =
            within(Duration::ZERO, std::future::pending::<anyhow::Result<()>>()).await.unwrap_err();
        assert!(error.to_string().contains("does not end"));
    }
}
