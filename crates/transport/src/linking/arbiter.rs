//! The tie-break: which of two links between the same two nodes stays.
//!
//! Both ends apply it to the same facts and come to the same answer, without asking each other.

use std::time::Duration;

use crate::handshake::RejectCode;
use crate::hello::Hello;
use crate::id::{Incarnation, NodeId, SessionNonce};
use crate::session::Session;

/// How long after a link came up the peer may still be dialing without knowing of it: longer than
/// any handshake takes from its last packet on.
pub const CROSSING: Duration = Duration::from_secs(1);

/// Which end dialed a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialedBy {
    /// This node.
    Us,
    /// The peer.
    Peer,
}

/// What is known when a new link comes in.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// This node.
    pub us: NodeId,
    /// The node at the other end.
    pub peer: NodeId,
    /// The incarnation of the peer that was last attached, if any was.
    pub known: Option<Incarnation>,
    /// Who dialed the link that is in use, if one is, was heard lately, and is so young that the
    /// peer may have dialed the new one without knowing of it.
    pub rival: Option<DialedBy>,
    /// The incarnation that the new link's handshake named.
    pub incarnation: Incarnation,
    /// Who dialed the new link.
    pub dialer: DialedBy,
}

/// What becomes of the new link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes its place, and the place of the old one if there is one.
    Accept,
    /// The peer was restarted: the old session ends, and the link starts a new one.
    Restarted {
        /// The incarnation that is over.
        old: Incarnation,
    },
    /// It is closed: the link in use stays.
    Duplicate,
    /// It is closed: a newer incarnation of the peer is known.
    Stale {
        /// The newest incarnation known.
        known: Incarnation,
    },
}

/// Which of two links stays.
#[must_use]
pub fn arbitrate(new: &Situation) -> Verdict {
    match new.known {
        Some(known) if new.incarnation < known => return Verdict::Stale { known },
        Some(old) if new.incarnation > old => return Verdict::Restarted { old },
        _ => {}
    }
    let greater = if new.us > new.peer { DialedBy::Us } else { DialedBy::Peer };
    match new.rival {
        Some(rival) if rival != new.dialer && rival == greater => Verdict::Duplicate,
        _ => Verdict::Accept,
    }
}

/// What is done with a new link whose handshake is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is attached; the peer had this incarnation before, if it was restarted.
    Attach(Option<Incarnation>),
    /// It is closed, with this word to the peer.
    TurnAway(RejectCode),
    /// The session ends, and the link is closed as a duplicate.
    EndSession,
}

/// Decides about a new link: `nonce` is the one that this side's hello named, `hello` the peer's.
#[must_use]
pub fn decide(
    situation: &Situation,
    session: &Session,
    nonce: SessionNonce,
    hello: &Hello,
) -> Decision {
    match arbitrate(situation) {
        Verdict::Duplicate => Decision::TurnAway(RejectCode::Duplicate),
        Verdict::Stale { .. } => Decision::TurnAway(RejectCode::StaleIncarnation),
        // The session that the handshake spoke of is over. The next one names the new one.
        _ if nonce != session.nonce() => Decision::TurnAway(RejectCode::Duplicate),
        // One side knows of the end of a session and the other does not, or this handshake is
        // older than the session: with a fresh nonce the next one cannot be mistaken.
        Verdict::Accept if session.is_bound_to_other(hello) => Decision::EndSession,
        Verdict::Accept => Decision::Attach(None),
        Verdict::Restarted { old } => Decision::Attach(Some(old)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_link(rival: Option<DialedBy>, dialer: DialedBy) -> Situation {
        Situation {
            us: NodeId(1),
            peer: NodeId(2),
            known: Some(Incarnation(7)),
            rival,
            incarnation: Incarnation(7),
            dialer,
        }
    }

    fn seen_from_the_other_end(link: Situation) -> Situation {
        let turn = |dialer| match dialer {
            DialedBy::Us => DialedBy::Peer,
            DialedBy::Peer => DialedBy::Us,
        };
        Situation {
            us: link.peer,
            peer: link.us,
            rival: link.rival.map(turn),
            dialer: turn(link.dialer),
            ..link
        }
    }

    #[test]
    fn a_link_without_rival_is_accepted() {
        for dialer in [DialedBy::Us, DialedBy::Peer] {
            assert_eq!(arbitrate(&new_link(None, dialer)), Verdict::Accept);
        }
    }

    #[test]
    fn of_two_dialers_the_greater_node_wins_in_any_order() {
        let late_loser = new_link(Some(DialedBy::Peer), DialedBy::Us);
        let late_winner = new_link(Some(DialedBy::Us), DialedBy::Peer);
        assert_eq!(arbitrate(&late_loser), Verdict::Duplicate);
        assert_eq!(arbitrate(&late_winner), Verdict::Accept);
    }

    #[test]
    fn of_one_dialer_the_newer_link_wins() {
        for dialer in [DialedBy::Us, DialedBy::Peer] {
            assert_eq!(arbitrate(&new_link(Some(dialer), dialer)), Verdict::Accept);
        }
    }

    #[test]
    fn both_ends_come_to_the_same_verdict() {
        for rival in [None, Some(DialedBy::Us), Some(DialedBy::Peer)] {
            for dialer in [DialedBy::Us, DialedBy::Peer] {
                let link = new_link(rival, dialer);
                assert_eq!(arbitrate(&link), arbitrate(&seen_from_the_other_end(link)));
            }
        }
    }

    #[test]
    fn a_newer_incarnation_wins_over_any_link() {
        let mut link = new_link(Some(DialedBy::Peer), DialedBy::Us);
        link.incarnation = Incarnation(8);
        assert_eq!(arbitrate(&link), Verdict::Restarted { old: Incarnation(7) });
    }

    #[test]
    fn a_stale_incarnation_loses_even_without_rival() {
        let mut link = new_link(None, DialedBy::Peer);
        link.incarnation = Incarnation(6);
        assert_eq!(arbitrate(&link), Verdict::Stale { known: Incarnation(7) });
    }
}
