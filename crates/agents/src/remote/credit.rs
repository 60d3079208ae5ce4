//! How much a node may have waiting in the mailbox of another node's agent: the arithmetic of both
//! sides, and nothing else.
//!
//! The sender counts what is out ([`Allowance`]), the receiver what it holds and what it has not
//! given back yet ([`Quota`]). What is out is never less than those two together, so that a sender
//! which keeps to its share is never refused, and one that does not is found out as soon as more
//! waits than its share. What is handled as it comes never waits.
//!
//! A message may leave if its bytes fit into the share, or if at most half of the share is out: so
//! one that is larger than the share has its turn, too. Freed places are given back by halves: a
//! sender that waits has more than half of its share out, and so hears of it as soon as all that is
//! handled.
//!
//! A sender that has nothing out may have missed what its share is, or have forgotten it: it goes by
//! [`OPENING`] then, and waits at its end. So the first places that are given back to it are half of
//! that, and with them goes the share.

use crate::spec::MailboxBounds;

/// Messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Messages.
    pub messages: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What a node may send to an agent that it never sent to, without asking: so the first message
/// needs no round trip. Every receiver allows it, however many nodes there are.
pub const OPENING: Amount = Amount { messages: 64, bytes: 256 * 1024 };

/// A sender's side, for one receiving agent.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    share: Amount,
    out: Amount,
    /// A new session has begun, and it is not known yet what arrived in the one before: meanwhile
    /// nothing leaves.
    probing: Option<u64>,
}

impl Allowance {
    /// Nothing is out. `bounds` are those of the receiver's mailbox, as far as is known here.
    #[must_use]
    pub fn new(bounds: &MailboxBounds) -> Self {
        Self { share: opening(bounds), out: Amount::default(), probing: None }
    }

    /// Whether a message of so many bytes may leave now.
    #[must_use]
    #[inline]
    pub fn may_take(&self, bytes: u64) -> bool {
        self.probing.is_none() && has_room(self.share, self.out, bytes)
    }

    /// A message leaves.
    #[inline]
    pub fn take(&mut self, bytes: u64) {
        self.out.messages += 1;
        self.out.bytes += bytes;
    }

    /// The receiver gave places back.
    pub fn granted(&mut self, freed: Amount, share: Amount) {
        self.out.messages = self.out.messages.saturating_sub(freed.messages);
        self.out.bytes = self.out.bytes.saturating_sub(freed.bytes);
        self.share = share;
    }

    /// A new session begins. Returns whether the receiver must be asked what arrived.
    pub fn probe(&mut self, round: u64) -> bool {
        let is_in_doubt = self.out.messages > 0 || self.probing.is_some();
        if is_in_doubt {
            self.probing = Some(round);
        }
        is_in_doubt
    }

    /// The receiver says what it holds. Nothing has left since the question.
    pub fn settle(&mut self, round: u64, held: Amount) {
        if self.probing == Some(round) {
            self.probing = None;
            self.out = held;
        }
    }

    /// Whether nothing is out: then it may be forgotten.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.out.messages == 0 && self.probing.is_none()
    }

    /// What is out.
    #[must_use]
    pub fn out(&self) -> Amount {
        self.out
    }

    /// What may be.
    #[must_use]
    pub fn share(&self) -> Amount {
        self.share
    }
}

/// A receiver's side, for one of its agents and one sending node.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    share: Amount,
    held: Amount,
    /// Handled, and not given back yet.
    freed: Amount,
    /// Bytes of the largest message since there was neither.
    largest: u64,
    /// Whether places were given back since the sender may have had nothing out: while it has, it
    /// keeps what it heard with them of its share.
    is_told: bool,
    /// Lanes in which the probe of this round has come.
    probed: (u64, u8),
}

impl Quota {
    /// Nothing is held. `share` is what was, or is about to be, announced.
    #[must_use]
    pub fn new(share: Amount) -> Self {
        let (held, freed) = (Amount::default(), Amount::default());
        Self { share, held, freed, largest: 0, is_told: false, probed: (0, 0) }
    }

    /// Lets a message in; false if the sender has no place for it.
    #[must_use]
    #[inline]
    pub fn admit(&mut self, bytes: u64) -> bool {
        self.is_told &= self.out().messages > 0;
        self.admit_another(bytes)
    }

    /// The same for one that came together with another: when it was sent its sender had that one
    /// out, even if the place of that one is given back already.
    #[must_use]
    #[inline]
    pub fn admit_another(&mut self, bytes: u64) -> bool {
        let out = self.out();
        // Lanes overtake each other: what came last need not be what left last.
        let largest = if out.messages == 0 { bytes } else { self.largest.max(bytes) };
        let fits = |share: Amount| {
            let most = share.bytes.max(share.bytes / 2 + largest);
            out.messages < share.messages && out.bytes + bytes <= most
        };
        // A sender that has not heard of a smaller share yet may use what everybody may.
        let may = fits(self.share) || fits(OPENING);
        if may {
            self.largest = largest;
            self.held.messages += 1;
            self.held.bytes += bytes;
        }
        may
    }

    /// What the sender counts as out, less what is on its way in either direction.
    #[inline]
    fn out(&self) -> Amount {
        Amount {
            messages: self.held.messages + self.freed.messages,
            bytes: self.held.bytes + self.freed.bytes,
        }
    }

    /// A message was handled. Returns what is to be given back, if it is enough to be told.
    #[must_use]
    #[inline]
    pub fn free(&mut self, bytes: u64) -> Option<Amount> {
        self.held.messages -= 1;
        self.held.bytes -= bytes;
        self.freed.messages += 1;
        self.freed.bytes += bytes;
        let known = self.known();
        let is_half = self.freed.messages >= (known.messages / 2).max(1)
            || self.freed.bytes >= (known.bytes / 2).max(1);
        is_half.then(|| self.flush())
    }

    /// What the sender surely goes by.
    fn known(&self) -> Amount {
        if self.is_told {
            return self.share;
        }
        Amount {
            messages: self.share.messages.min(OPENING.messages),
            bytes: self.share.bytes.min(OPENING.bytes),
        }
    }

    /// All that is to be given back.
    #[must_use]
    pub fn flush(&mut self) -> Amount {
        self.is_told |= self.is_owed();
        std::mem::take(&mut self.freed)
    }

    /// A probe came in a lane. Once all of a round have come, all that can come of the sessions
    /// before has: returns what is held, and nothing is owed. Rounds grow; a probe of an older one
    /// may come late, after one of a newer round in another lane.
    #[must_use]
    pub fn probe(&mut self, round: u64, lane: usize) -> Option<Amount> {
        if round > self.probed.0 {
            self.probed = (round, 0);
        }
        if round < self.probed.0 {
            return None;
        }
        self.probed.1 |= 1 << lane;
        (self.probed.1 == ALL_LANES).then(|| {
            self.probed.1 = 0;
            self.freed = Amount::default();
            self.held
        })
    }

    /// Whether it may be forgotten: nothing is held, and no question is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.held.messages == 0 && self.probed.1 == 0
    }

    /// Whether places were freed that are not given back yet.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.freed != Amount::default()
    }

    /// What is held.
    #[must_use]
    pub fn held(&self) -> Amount {
        self.held
    }

    /// What may be.
    #[must_use]
    pub fn share(&self) -> Amount {
        self.share
    }
}

/// The first three lanes.
const ALL_LANES: u8 = 0b111;

#[inline]
fn has_room(share: Amount, out: Amount, bytes: u64) -> bool {
    out.messages < share.messages
        && (out.bytes + bytes <= share.bytes || out.bytes <= share.bytes / 2)
}

fn opening(bounds: &MailboxBounds) -> Amount {
    Amount {
        messages: OPENING.messages.min(bounds.messages as u64).max(1),
        bytes: OPENING.bytes.min(bounds.bytes as u64),
    }
}

/// Each of `nodes` nodes' share of a mailbox.
#[must_use]
pub fn share(bounds: &MailboxBounds, nodes: usize) -> Amount {
    let nodes = nodes.max(1) as u64;
    let opening = opening(bounds);
    Amount {
        messages: (bounds.messages as u64 / nodes).max(opening.messages),
        bytes: (bounds.bytes as u64 / nodes).max(opening.bytes),
    }
}

#[cfg(test)]
mod tests;
