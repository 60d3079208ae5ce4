//! What a run comes to: bit for bit the same wherever the same was delivered in the same order.

use std::fmt;

use dx_agents::AgentId;
use dx_agents::rng::Rng;
use serde::{Deserialize, Serialize};

/// Count, sum and hash of the numbers delivered so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Numbers.
    pub count: u64,
    /// The sum of `i` times the `i`th, added up in this order.
    pub sum: f64,
    /// Of the origin, index and payload of each and, through the chain, of all before it. Not for
    /// secrets.
    pub hash: u64,
}

impl Tally {
    /// The next number is delivered.
    pub fn add(&mut self, origin: AgentId, value: f64, payload: &[u8]) {
        self.count += 1;
        self.sum += self.count as f64 * value;
        let mut hash = absorb(absorb(self.hash, origin.0), self.count);
        let (words, rest) = payload.as_chunks::<8>();
        for word in words {
            hash = absorb(hash, u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = absorb(hash, u64::from_le_bytes(last));
        self.hash = Rng::new(absorb(hash, payload.len() as u64)).next_u64();
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, sum, hash } = self;
        write!(f, "({count}, {sum}) sum {:016x} hash {hash:016x}", sum.to_bits())
    }
}

/// One step for each possible word is one for each possible result: nothing is lost on the way.
fn absorb(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_differs_shows_in_the_hash() {
        let tally = |added: &[(u64, &[u8])]| {
            let mut tally = Tally::default();
            for (origin, payload) in added {
                tally.add(AgentId(*origin), 0.5, payload);
            }
            tally
        };
        let (one, other): (&[u8], &[u8]) = (b"123456789", b"123456780");
        let all = [
            tally(&[(1, one), (2, one)]),
            tally(&[(2, one), (1, one)]),
            tally(&[(1, one), (2, other)]),
            tally(&[(1, other), (2, one)]),
            tally(&[(1, one)]),
            tally(&[(1, b"12345678\x39\0")]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other.hash != one.hash), "{all:?}");
        }
    }
}
