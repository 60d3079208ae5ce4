//! Logarithm and exponential from additions, multiplications and divisions only: those are exact to
//! the bit everywhere, while a platform's own functions differ in the last ones, and with them a
//! whole run.

use std::f64::consts::LN_2;

/// Terms after which the series below are exact to about 12 digits, which delays do not need.
const TERMS: u32 = 14;

/// The natural logarithm of a positive normal number.
pub fn ln(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let exponent = (bits >> 52).cast_signed() - 1023;
    let mantissa = f64::from_bits((bits & MANTISSA) | 1.0_f64.to_bits());
    // ln m = 2 artanh ((m - 1) / (m + 1)), and m < 2, so the argument is below 1/3.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let mut power = s;
    let mut sum = 0.0;
    for term in 0..TERMS {
        sum += power / f64::from(2 * term + 1);
        power *= s * s;
    }
    exponent as f64 * LN_2 + 2.0 * sum
}

/// The exponential of a number whose result is a positive normal one.
pub fn exp(x: f64) -> f64 {
    let twos = (x / LN_2).floor();
    let rest = x - twos * LN_2;
    let mut term = 1.0;
    let mut sum = 1.0;
    for at in 1..=TERMS + 4 {
        term = term * rest / f64::from(at);
        sum += term;
    }
    sum * f64::from_bits((twos as i64 + 1023).cast_unsigned() << 52)
}

/// The whole part of a number; 0 if it is negative.
#[expect(clippy::cast_sign_loss, reason = "what is negative becomes 0")]
pub fn whole(x: f64) -> u64 {
    x as u64
}

/// Nanoseconds as milliseconds, for people.
pub fn milliseconds(nanoseconds: u64) -> String {
    format!("{}.{:03}", nanoseconds / 1_000_000, nanoseconds / 1_000 % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_with_the_platform_as_far_as_delays_can_tell() {
        for x in [1e-7, 0.001, 0.3, 0.999_999, 1.0, 1.5, 2.0, 7.0, 1e9] {
            assert!((ln(x) - x.ln()).abs() <= 1e-10 * x.ln().abs().max(1.0), "ln {x}");
        }
        for x in [-16.0, -1.0, -0.1, 0.0, 0.5, 1.0, 13.8] {
            assert!((exp(x) - x.exp()).abs() <= 1e-10 * x.exp(), "exp {x}");
        }
    }
}
