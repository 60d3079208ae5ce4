//! Numbers as people read them: three digits and a fitting unit.

use crate::bench::report::{Param, Unit};

/// `value` with its unit.
#[must_use]
pub fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::MessagesPerSecond | Unit::PerSecond => format!("{}/s", decimal(value)),
        Unit::MegabytesPerSecond => format!("{}B/s", decimal(value * 1e6)),
        Unit::Microseconds => time(value),
        Unit::Seconds => time(value * 1e6),
        Unit::Bytes => bytes(value),
        Unit::Count => count(value),
        Unit::Percent => format!("{} %", digits(value)),
        Unit::Ratio => digits(value),
    }
}

/// A parameter.
#[must_use]
pub fn param(param: &Param) -> String {
    match param {
        Param::Text(text) => text.clone(),
        Param::Count(n) => count(*n as f64),
        Param::Bytes(n) => bytes(*n as f64),
        Param::PerSecond(n) => format!("{}/s", decimal(*n as f64).replace(' ', "")),
    }
}

/// Three significant digits, without an exponent.
#[must_use]
pub fn digits(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        m if m >= 99.95 || m == 0.0 => 0,
        m if m >= 9.995 => 1,
        m if m >= 0.9995 => 2,
        m if m >= 0.0995 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

fn count(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e6 { format!("{value:.0}") } else { decimal(value) }
}

fn decimal(value: f64) -> String {
    scaled(value, 1000.0, &["", "k", "M", "G", "T"]).trim_end().to_owned()
}

fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

fn time(microseconds: f64) -> String {
    match microseconds {
        us if us < 999.5 => format!("{} us", digits(us)),
        us if us < 999_500.0 => format!("{} ms", digits(us / 1e3)),
        us => format!("{} s", digits(us / 1e6)),
    }
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut scaled = value;
    let mut units = units.iter();
    let mut unit = units.next().expect("every scale has a first unit");
    // 999.5 would be printed with four digits.
    while scaled.abs() >= step - 0.5 {
        let Some(larger) = units.next() else { break };
        unit = larger;
        scaled /= step;
    }
    let number = if scaled.fract() == 0.0 { format!("{scaled:.0}") } else { digits(scaled) };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_fitting_unit() {
        for (number, unit, text) in [
            (12_345_678.0, Unit::MessagesPerSecond, "12.3 M/s"),
            (999_900.0, Unit::MessagesPerSecond, "1.00 M/s"),
            (640.0, Unit::MessagesPerSecond, "640/s"),
            (3_674.2, Unit::MegabytesPerSecond, "3.67 GB/s"),
            (24.93, Unit::Microseconds, "24.9 us"),
            (999.6, Unit::Microseconds, "1.00 ms"),
            (2_000_000.0, Unit::Microseconds, "2.00 s"),
            (0.4123, Unit::Seconds, "412 ms"),
            (524_288.0, Unit::Bytes, "512 KiB"),
            (0.0, Unit::Count, "0"),
            (1000.0, Unit::Count, "1000"),
            (0.21, Unit::Percent, "0.210 %"),
        ] {
            assert_eq!(value(number, unit), text);
        }
    }

    #[test]
    fn parameters_are_short() {
        assert_eq!(param(&Param::Bytes(8)), "8 B");
        assert_eq!(param(&Param::Bytes(64 * 1024)), "64 KiB");
        assert_eq!(param(&Param::PerSecond(50_000)), "50k/s");
        assert_eq!(param(&"tcp".into()), "tcp");
    }
}
