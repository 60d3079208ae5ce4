//! The tie-break: which of two links between the same two nodes stays.
//!
//! Both ends apply it to the same facts and come to the same answer, without asking each other.

use crate::id::{Incarnation, NodeId};

/// Which end dialed a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialer {
    /// This node.
    Us,
    /// The peer.
    Peer,
}

/// What the peer task knows when a new link comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// This node.
    pub us: NodeId,
    /// The node at the other end.
    pub peer: NodeId,
    /// The incarnation of the peer that was last attached, if any was.
    pub known: Option<Incarnation>,
    /// Who dialed the link that is in use, if one is, was heard lately, and is so young that the
    /// peer may have dialed the new one without knowing of it.
    pub rival: Option<Dialer>,
    /// The incarnation that the new link's handshake named.
    pub incarnation: Incarnation,
    /// Who dialed the new link.
    pub dialer: Dialer,
}

/// What becomes of the new link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
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

/// Decides about a new link.
pub(crate) fn arbitrate(new: &Situation) -> Verdict {
    match new.known {
        Some(known) if new.incarnation < known => return Verdict::Stale { known },
        Some(old) if new.incarnation > old => return Verdict::Restarted { old },
        _ => {}
    }
    let greater = if new.us > new.peer { Dialer::Us } else { Dialer::Peer };
    match new.rival {
        Some(rival) if rival != new.dialer && rival == greater => Verdict::Duplicate,
        _ => Verdict::Accept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_link(rival: Option<Dialer>, dialer: Dialer) -> Situation {
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
            Dialer::Us => Dialer::Peer,
            Dialer::Peer => Dialer::Us,
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
        for dialer in [Dialer::Us, Dialer::Peer] {
            assert_eq!(arbitrate(&new_link(None, dialer)), Verdict::Accept);
        }
    }

    #[test]
    fn of_two_dialers_the_greater_node_wins_in_any_order() {
        let late_loser = new_link(Some(Dialer::Peer), Dialer::Us);
        let late_winner = new_link(Some(Dialer::Us), Dialer::Peer);
        assert_eq!(arbitrate(&late_loser), Verdict::Duplicate);
        assert_eq!(arbitrate(&late_winner), Verdict::Accept);
    }

    #[test]
    fn of_one_dialer_the_newer_link_wins() {
        for dialer in [Dialer::Us, Dialer::Peer] {
            assert_eq!(arbitrate(&new_link(Some(dialer), dialer)), Verdict::Accept);
        }
    }

    #[test]
    fn both_ends_come_to_the_same_verdict() {
        for rival in [None, Some(Dialer::Us), Some(Dialer::Peer)] {
            for dialer in [Dialer::Us, Dialer::Peer] {
                let link = new_link(rival, dialer);
                assert_eq!(arbitrate(&link), arbitrate(&seen_from_the_other_end(link)));
            }
        }
    }

    #[test]
    fn a_newer_incarnation_wins_over_any_link() {
        let mut link = new_link(Some(Dialer::Peer), Dialer::Us);
        link.incarnation = Incarnation(8);
        assert_eq!(arbitrate(&link), Verdict::Restarted { old: Incarnation(7) });
    }

    #[test]
    fn a_stale_incarnation_loses_even_without_rival() {
        let mut link = new_link(None, Dialer::Peer);
        link.incarnation = Incarnation(6);
        assert_eq!(arbitrate(&link), Verdict::Stale { known: Incarnation(7) });
    }
}
