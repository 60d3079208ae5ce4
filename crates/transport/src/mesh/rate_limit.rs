//! A token bucket per source address, in a table of bounded size.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::time::Instant;

/// Limits how often each address may connect.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: f64,
    burst: f64,
    capacity: usize,
    buckets: HashMap<IpAddr, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl RateLimit {
    /// Allows `burst` connections at once and `per_second` after that, for up to `capacity`
    /// addresses at a time.
    pub(crate) fn new(per_second: u32, burst: u32, capacity: usize) -> Self {
        Self {
            per_second: f64::from(per_second.max(1)),
            burst: f64::from(burst.max(1)),
            capacity: capacity.max(1),
            buckets: HashMap::new(),
        }
    }

    /// Whether `from` may connect now.
    ///
    /// When the table is full of addresses that are all short of tokens, a new address is refused:
    /// a flood from many addresses must not grow memory.
    pub(crate) fn allow(&mut self, now: Instant, from: IpAddr) -> bool {
        let key = network(from);
        if !self.buckets.contains_key(&key) && self.buckets.len() >= self.capacity {
            self.forget_idle(now);
            if self.buckets.len() >= self.capacity {
                return false;
            }
        }
        let full = Bucket { tokens: self.burst, filled: now };
        let bucket = self.buckets.entry(key).or_insert(full);
        bucket.refill(now, self.per_second, self.burst);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    /// A full bucket says the same as none.
    fn forget_idle(&mut self, now: Instant) {
        let (per_second, burst) = (self.per_second, self.burst);
        self.buckets.retain(|_, bucket| {
            bucket.refill(now, per_second, burst);
            bucket.tokens < burst
        });
    }
}

impl Bucket {
    fn refill(&mut self, now: Instant, per_second: f64, burst: f64) {
        let earned = now.since(self.filled).as_secs_f64() * per_second;
        self.tokens = (self.tokens + earned).min(burst);
        self.filled = now;
    }
}

/// Whoever has one IPv6 address usually has its whole /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_only_the_rate() {
        let mut limit = RateLimit::new(2, 3, 8);
        let now = Instant(0);
        let from = address("192.0.2.1");
        assert_eq!((0..5).filter(|_| limit.allow(now, from)).count(), 3);
        let later = now + Duration::from_secs(1);
        assert_eq!((0..5).filter(|_| limit.allow(later, from)).count(), 2);
    }

    #[test]
    fn addresses_do_not_share_a_bucket_but_a_64_bit_network_does() {
        let mut limit = RateLimit::new(1, 1, 8);
        let now = Instant(0);
        assert!(limit.allow(now, address("192.0.2.1")));
        assert!(limit.allow(now, address("192.0.2.2")));
        assert!(limit.allow(now, address("2001:db8::1")));
        assert!(!limit.allow(now, address("2001:db8::2")));
        assert!(!limit.allow(now, address("::ffff:192.0.2.1")));
    }

    #[test]
    fn a_full_table_refuses_new_addresses_until_an_old_one_is_idle() {
        let mut limit = RateLimit::new(1, 1, 2);
        let now = Instant(0);
        assert!(limit.allow(now, address("192.0.2.1")));
        assert!(limit.allow(now, address("192.0.2.2")));
        assert!(!limit.allow(now, address("192.0.2.3")));
        assert!(limit.allow(now + Duration::from_secs(1), address("192.0.2.3")));
    }
}
