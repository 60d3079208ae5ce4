//! Times and sizes as people write them: `30s`, `64MiB`.

/// Durations, as in `250ms`, `30s` or `1h 30m`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// The duration that `text` means.
    ///
    /// # Errors
    /// If it has no unit, or no number.
    pub fn parse(text: &str) -> Result<Duration, String> {
        humantime::parse_duration(text).map_err(|_| match text.trim().parse::<f64>() {
            Ok(_) => format!("a unit is missing: write `{0}s` or `{0}ms`", text.trim()),
            Err(_) => "write a number and a unit, as in `250ms`, `30s` or `5min`".to_owned(),
        })
    }

    /// `duration` as [`parse`] reads it.
    #[must_use]
    pub fn text(duration: Duration) -> String {
        humantime::format_duration(duration).to_string()
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(*duration))
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Numbers of bytes, as in `64KiB` or `16MiB`.
pub mod size {
    use bytesize::ByteSize;
    use serde::{Deserialize, Deserializer, Serializer};

    /// The number of bytes that `text` means.
    ///
    /// # Errors
    /// If it has no unit, no number, or is no whole number of bytes.
    pub fn parse(text: &str) -> Result<usize, String> {
        if text.trim().parse::<f64>().is_ok() {
            return Err(format!("a unit is missing: write `{0}KiB` or `{0}B`", text.trim()));
        }
        let size: ByteSize = text.parse().map_err(|_| {
            "write a number and a unit, as in `512B`, `64KiB` or `16MiB`".to_owned()
        })?;
        usize::try_from(size.as_u64())
            .map_err(|_| "it is more than this machine can address".into())
    }

    /// `bytes` as [`parse`] reads it, in the largest unit that keeps it whole.
    #[must_use]
    pub fn text(bytes: usize) -> String {
        let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let whole = units.iter().find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift);
        whole.map_or_else(
            || format!("{bytes}B"),
            |(unit, shift)| format!("{}{unit}", bytes >> shift),
        )
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// If the serializer fails.
    pub fn serialize<S: Serializer>(bytes: &usize, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&text(*bytes))
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for millis in [0, 1, 20, 300, 1000, 60_000, 90_061_001] {
            let time = Duration::from_millis(millis);
            assert_eq!(duration::parse(&duration::text(time)), Ok(time));
        }
        for bytes in [0, 1, 1023, 1024, 1025, 16 << 20, 3 << 30] {
            assert_eq!(size::parse(&size::text(bytes)), Ok(bytes));
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_one_that_has() {
        assert_eq!(duration::parse("5").unwrap_err(), "a unit is missing: write `5s` or `5ms`");
        assert_eq!(size::parse("64").unwrap_err(), "a unit is missing: write `64KiB` or `64B`");
        for wrong in ["", "s", "five seconds", "-1s", "5 parsecs"] {
            assert!(duration::parse(wrong).is_err(), "`{wrong}` is a duration");
            assert!(size::parse(wrong).is_err(), "`{wrong}` is a size");
        }
    }
}
