//! Getting links, keeping one, and losing it: as the mesh's task of a peer does.

use dx_transport::handshake::{RejectCode, reject_packet};
use dx_transport::hello::Hello;
use dx_transport::id::{Incarnation, SessionNonce};
use dx_transport::linking::{CROSSING, Decision, DialedBy, Outcome, Situation, decide};
use dx_transport::session::{Attached, CloseCode, Received};
use dx_transport::time::Instant;

use super::end::{End, Live};
use super::{Side, flow};
use crate::sim::Sim;

/// How often dialing is put off: as in the mesh.
const MAX_WAYS_GIVEN: u32 = 8;

/// A link whose handshake is done.
pub(super) struct Candidate {
    pub wire: u32,
    pub hello: Hello,
    pub dialed_by: DialedBy,
    /// The half of the session's identity that this side's hello named.
    pub nonce: SessionNonce,
    /// Bytes of the session that came with the handshake.
    pub first: Vec<u8>,
}

impl Sim {
    /// Starts the attempts that are due; returns whether it did.
    pub(super) fn dial(&mut self, end: &mut End, side: Side) -> bool {
        if self.gives_way(end, side) {
            return false;
        }
        let mut has_started = false;
        while end.dialer.start(side.now).is_some() {
            let wire = self.call(side, end.session.nonce());
            end.attempts.push(wire);
            has_started = true;
        }
        has_started
    }

    /// Waits a little while the peer itself is coming in.
    fn gives_way(&mut self, end: &mut End, side: Side) -> bool {
        let is_due = end.dialer.due().is_some_and(|due| due <= side.now);
        if !is_due || end.live.is_some() || end.ways_given == MAX_WAYS_GIVEN {
            return false;
        }
        let wires = &self.links.wires.all;
        let is_known = |wire: &u32| {
            let greeting = wires.get(wire).and_then(|wire| wire.greetings[side.at].as_ref());
            greeting.is_some_and(|greeting| greeting.is_known)
        };
        if !end.callers.iter().any(is_known) {
            return false;
        }
        end.ways_given += 1;
        end.dialer.postpone(side.now, self.choices.unit("dial-jitter"));
        true
    }

    /// Looks for another link while the one in use is quiet, and stops when it is not.
    pub(super) fn watch_silence(&mut self, end: &mut End, side: Side) {
        let Some(quiet_at) = self.quiet_at(end, side.now) else { return };
        if quiet_at <= side.now {
            end.dialer.probe(side.now);
        } else if !end.dialer.is_idle() {
            self.abort_attempts(end, side);
            end.dialer.rest();
        }
    }

    pub(super) fn quiet_at(&self, end: &End, now: Instant) -> Option<Instant> {
        end.live.as_ref()?;
        let half = self.config.network.silence / 2;
        Some(now + half.saturating_sub(end.session.silence(now)))
    }

    pub(super) fn abort_attempts(&mut self, end: &mut End, side: Side) {
        for wire in std::mem::take(&mut end.attempts) {
            self.let_go(wire, side.at);
        }
    }

    pub(super) fn attempt_failed(&mut self, end: &mut End, side: Side, why: Failed) {
        if end.live.is_some() && end.dialer.is_idle() {
            return;
        }
        let random = self.choices.unit("dial-jitter");
        if why == Failed::Tie {
            self.abort_attempts(end, side);
            end.dialer.lost_tie(side.now, random);
            return;
        }
        let is_refusal = why == Failed::Refused;
        if end.dialer.failed(side.now, is_refusal, random) && end.live.is_none() {
            self.is_down(end, side);
        }
    }

    pub(super) fn situation(
        &self,
        end: &End,
        side: Side,
        hello: &Hello,
        dialer: DialedBy,
    ) -> Situation {
        let is_quiet = end.session.silence(side.now) >= self.config.network.silence / 2;
        let is_young = |live: &&Live| !is_quiet && side.now.since(live.since) < CROSSING;
        let rival = end.live.as_ref().filter(is_young);
        let [us, peer] = [side.node, side.peer].map(|place| self.nodes[place as usize].id);
        Situation {
            us,
            peer,
            known: end.known,
            rival: rival.map(|live| live.dialed_by),
            incarnation: hello.incarnation,
            dialer,
        }
    }

    /// Decides about a link whose handshake is done.
    pub(super) fn consider(&mut self, end: &mut End, side: Side, new: &Candidate) {
        let situation = self.situation(end, side, &new.hello, new.dialed_by);
        match decide(&situation, &end.session, new.nonce, &new.hello) {
            Decision::TurnAway(code) => self.turn_away(end, side, new, code),
            Decision::EndSession => {
                self.give_up_session(end, side);
                self.turn_away(end, side, new, RejectCode::Duplicate);
            }
            Decision::Attach(restarted) => self.attach(end, side, new, restarted),
        }
    }

    fn turn_away(&mut self, end: &mut End, side: Side, new: &Candidate, code: RejectCode) {
        self.links.wires.tally.turned_away += 1;
        match new.dialed_by {
            DialedBy::Peer => self.write(new.wire, side.at, 0, reject_packet(code, "")),
            DialedBy::Us if end.live.is_none() => {
                end.dialer.lost_tie(side.now, self.choices.unit("dial-jitter"));
            }
            DialedBy::Us => end.dialer.discarded(),
        }
        self.let_go(new.wire, side.at);
    }

    fn attach(
        &mut self,
        end: &mut End,
        side: Side,
        new: &Candidate,
        restarted: Option<Incarnation>,
    ) {
        let Some(channels) = self.links.wires.all.get(&new.wire).map(super::Wire::channels) else {
            return;
        };
        self.links.wires.tally.replaced += u64::from(end.live.is_some());
        end.session.close(CloseCode::Replaced, "");
        self.leave_link(end, side, Outcome::Broke);
        let attached = end.session.attach(side.now, channels, &new.hello, &mut end.outbox);
        if new.dialed_by == DialedBy::Us || self.is_smaller(side) {
            self.abort_attempts(end, side);
        }
        end.dialer.attached(new.dialed_by);
        end.ways_given = 0;
        end.down_at = None;
        end.known = Some(new.hello.incarnation);
        self.say_attached(end, side, restarted.is_some(), &attached);
        end.live = Some(Live::new(new.wire, channels, side.now, new.dialed_by));
        self.feed(end, side, &new.first);
    }

    /// Gives bytes to the session that were read before it was attached.
    fn feed(&mut self, end: &mut End, side: Side, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let copy = |slots: &mut [std::io::IoSliceMut<'_>]| {
            slots[0][..bytes.len()].copy_from_slice(bytes);
        };
        let _ = end.session.with_slots(0, copy);
        let mut received = Received::default();
        if let Err(violation) = end.session.on_read(side.now, 0, bytes.len(), &mut received) {
            self.fail("sessions keep to their protocol", violation.to_string());
        }
    }

    fn say_attached(&mut self, end: &mut End, side: Side, restarted: bool, attached: &Attached) {
        let tally = &mut self.links.wires.tally;
        tally.attached += 1;
        tally.resumed += u64::from(attached.resumed);
        if side.at == 0 {
            self.links.tally.resumed += u64::from(attached.resumed);
        }
        if restarted {
            self.has_restarted(end, side);
        }
        self.say_lost(end, side, &attached.lost);
        let was_up = std::mem::replace(&mut end.is_up, true);
        if !was_up || !attached.resumed {
            self.is_met(end, side, attached.resumed);
        }
    }

    /// Ends the session, and tells the peer.
    pub(super) fn give_up_session(&mut self, end: &mut End, side: Side) {
        end.session.close(CloseCode::SessionEnded, "");
        self.leave_link(end, side, Outcome::Broke);
        self.forget_session(end, side);
    }

    /// The session is over. Attempts that are under way speak of it.
    pub(super) fn forget_session(&mut self, end: &mut End, side: Side) {
        let nonce = self.fresh_nonce();
        let lost = end.session.end(nonce);
        if side.at == 0 {
            self.links.tally.ended += 1;
        }
        self.say_lost(end, side, &lost);
        self.abort_attempts(end, side);
        end.dialer.restart(side.now);
    }

    /// Lets the link go, with what is written and the CLOSE frame as its last words.
    fn leave_link(&mut self, end: &mut End, side: Side, outcome: Outcome) {
        let Some(mut live) = end.live.take() else { return };
        if let Some(remains) = flow::remains(end, &mut live, side.now) {
            self.write(live.wire, side.at, 0, remains);
        }
        self.let_go(live.wire, side.at);
        self.unlinked(end, side, &live, outcome);
    }

    /// The link is gone; the session stays.
    pub(super) fn lose_link(&mut self, end: &mut End, side: Side, outcome: Outcome) {
        let Some(live) = end.live.take() else { return };
        if side.at == 0 {
            self.links.tally.broken += 1;
        }
        self.drop_wire(live.wire, side.at);
        self.unlinked(end, side, &live, outcome);
    }

    fn unlinked(&mut self, end: &mut End, side: Side, live: &Live, outcome: Outcome) {
        end.session.check();
        end.session.detach(side.now);
        let age = side.now.since(live.since);
        end.down_at = end.is_up.then(|| side.now + self.config.network.silence);
        let random = self.choices.unit("dial-jitter");
        let _ = end.dialer.detached(side.now, age, outcome, random);
    }

    pub(super) fn is_smaller(&self, side: Side) -> bool {
        self.nodes[side.node as usize].id < self.nodes[side.peer as usize].id
    }
}

/// Why an attempt came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// Nobody listens there.
    Refused,
    /// The peer keeps another link.
    Tie,
    /// It broke, took too long, or was refused for another reason.
    Otherwise,
}
