//! Who was heard lately.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::{AgentId, Instant};

/// A member that was suspected without reason is given more time, up to so many times as much.
const MOST_PATIENCE: u32 = 8;

/// Suspects whoever is silent for too long. It may be wrong: then only time is lost.
#[derive(Debug)]
pub struct Detector {
    patience: Duration,
    peers: BTreeMap<AgentId, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    heard: Option<Instant>,
    times: u32,
    is_suspected: bool,
}

impl Detector {
    /// Nobody was heard yet.
    pub fn new(patience: Duration) -> Self {
        Self { patience, peers: BTreeMap::new() }
    }

    /// Something came from `id`.
    pub fn heard(&mut self, id: AgentId, now: Instant) {
        let peer = self.peers.entry(id).or_default();
        peer.heard = Some(now);
        if std::mem::take(&mut peer.is_suspected) {
            peer.times = (peer.times.max(1) * 2).min(MOST_PATIENCE);
        }
    }

    /// Whether `id` was heard lately.
    pub fn is_there(&self, id: AgentId, now: Instant) -> bool {
        let Some(peer) = self.peers.get(&id) else { return false };
        peer.heard.is_some_and(|heard| now.since(heard) <= self.patience * peer.times.max(1))
    }

    /// Suspects `id` if it was not heard lately.
    pub fn suspects(&mut self, id: AgentId, now: Instant) -> bool {
        let is_there = self.is_there(id, now);
        self.peers.entry(id).or_default().is_suspected |= !is_there;
        !is_there
    }

    /// This process stood still: that is no silence of others. Neither is what they had no reason
    /// to say before a view began.
    pub fn excuse(&mut self, ids: impl Iterator<Item = AgentId>, now: Instant) {
        for id in ids {
            self.peers.entry(id).or_default().heard = Some(now);
        }
    }

    /// This process stood still for so long. Whoever was heard meanwhile was not heard later than
    /// now: else ticks that are late again and again would excuse a silence for ever.
    pub fn discount(&mut self, stall: Duration, now: Instant) {
        for peer in self.peers.values_mut() {
            peer.heard = peer.heard.map(|heard| (heard + stall).min(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(400);

    fn at(ms: u64) -> Instant {
        Instant(0) + Duration::from_millis(ms)
    }

    #[test]
    fn a_stall_of_this_process_is_nobodys_silence() {
        let mut detector = Detector::new(PATIENCE);
        detector.heard(AgentId(2), at(0));
        detector.discount(Duration::from_secs(9), at(9_000));
        assert!(!detector.suspects(AgentId(2), at(9_400)));
        assert!(detector.suspects(AgentId(2), at(9_401)));
    }

    #[test]
    fn late_ticks_excuse_no_silence_that_is_still_to_come() {
        let mut detector = Detector::new(PATIENCE);
        // Heard while the tick was late: it was not this process that stood still for all of it.
        for second in 1..10 {
            detector.heard(AgentId(2), at(1_000 * second));
            detector.discount(Duration::from_secs(1), at(1_000 * second));
        }
        assert!(!detector.suspects(AgentId(2), at(9_400)));
        assert!(detector.suspects(AgentId(2), at(9_401)));
    }
}
