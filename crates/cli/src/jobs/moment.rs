//! Times as people read them at a glance.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long ago `at` was, at `now`, as `5m ago`. Clocks of machines differ a little: what is to
/// come is now.
#[must_use]
pub fn ago(at: u64, now: u64) -> String {
    match now.saturating_sub(at) {
        0..1_000 => "now".to_owned(),
        millis => format!("{} ago", coarse(millis)),
    }
}

fn coarse(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long something took, as `250ms`, `1.5s`, `2m05s` or `3h20m`.
#[must_use]
pub fn lasted(millis: u64) -> String {
    let seconds = millis / 1_000;
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}.{}s", seconds, millis % 1_000 / 100),
        60_000..3_600_000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_and_their_units_fit() {
        let ago = |millis: u64| ago(1_000_000_000 - millis, 1_000_000_000);
        for (millis, expected) in [
            (0, "now"),
            (999, "now"),
            (12_000, "12s ago"),
            (120_000, "2m ago"),
            (7_200_000, "2h ago"),
            (260_000_000, "3d ago"),
        ] {
            assert_eq!(ago(millis), expected);
        }
        for (millis, expected) in
            [(7, "7ms"), (1_560, "1.5s"), (125_000, "2m05s"), (12_060_000, "3h21m")]
        {
            assert_eq!(lasted(millis), expected);
        }
    }

    #[test]
    fn what_another_clock_calls_the_future_is_now() {
        assert_eq!(ago(5, 1), "now");
    }
}
