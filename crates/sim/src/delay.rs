//! How long things take.

use std::time::Duration;

use crate::choices::Choices;
use crate::number::{ln, whole};

/// A distribution of delays. The choice 0 is always the shortest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// Always the same.
    Fixed(Duration),
    /// Anything between two, equally likely.
    Between(Duration, Duration),
    /// At least `least`, and beyond that exponential with the mean `mean`: most are short, a few
    /// are very long. Cut at [`LONGEST`] means.
    Exponential {
        /// The shortest.
        least: Duration,
        /// The mean of what comes on top.
        mean: Duration,
    },
}

/// Means after which an exponential delay is cut: one in 30,000 is longer.
pub const LONGEST: f64 = 10.3;

impl Delay {
    /// One delay.
    #[inline]
    pub fn draw(&self, choices: &mut Choices) -> Duration {
        match *self {
            Self::Fixed(delay) => delay,
            Self::Between(low, high) => {
                low + scaled(high.saturating_sub(low), choices.unit("delay"))
            }
            Self::Exponential { least, mean } => {
                let means = -ln(1.0 - choices.unit("delay"));
                least + scaled(mean, means.min(LONGEST))
            }
        }
    }
}

/// In whole nanoseconds, so that rounding is the same everywhere.
fn scaled(duration: Duration, factor: f64) -> Duration {
    Duration::from_nanos(whole(duration.as_nanos() as f64 * factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;

    #[test]
    fn delays_stay_in_their_bounds() {
        let (low, high) = (Duration::from_micros(10), Duration::from_micros(30));
        let mut choices = Choices::seeded(3);
        let between = Delay::Between(low, high);
        assert!((0..1000).all(|_| (low..=high).contains(&between.draw(&mut choices))));
        let tailed = Delay::Exponential { least: low, mean: high };
        let drawn: Vec<_> = (0..1000).map(|_| tailed.draw(&mut choices)).collect();
        assert!(drawn.iter().all(|delay| *delay >= low && *delay < low + high.mul_f64(LONGEST)));
        assert!(drawn.iter().any(|delay| *delay > low + 2 * high), "there is no tail");
    }

    #[test]
    fn the_plainest_choice_is_the_shortest_delay() {
        let low = Duration::from_micros(10);
        let mut zeros = Choices::replayed(&Tape::new());
        assert_eq!(Delay::Between(low, 9 * low).draw(&mut zeros), low);
        assert_eq!(Delay::Exponential { least: low, mean: low }.draw(&mut zeros), low);
    }
}
