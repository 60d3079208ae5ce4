//! Handshakes under way, in a turn of one side.

use dx_transport::handshake::{HandshakeError, RejectCode, Step};
use dx_transport::hello::{Hello, LaneOffer};
use dx_transport::id::{NodeId, SessionNonce};
use dx_transport::linking::{DialedBy, Verdict, arbitrate};

use super::Side;
use super::end::End;
use super::link::{Candidate, Failed};
use super::wire::Greeting;
use crate::sim::Sim;

/// How far a handshake has come.
enum Progress {
    Waits,
    Done(Box<Candidate>),
    Failed(Failed),
}

impl Sim {
    /// Carries handshakes on. Returns whether another look is needed.
    pub(super) fn greet(&mut self, end: &mut End, side: Side) -> bool {
        let mut has_more = false;
        for (wire, dialed_by) in under_way(end) {
            let is_here = |list: &[u32]| list.contains(&wire);
            if !is_here(&end.attempts) && !is_here(&end.callers) {
                // Given up meanwhile, for another one.
                continue;
            }
            let progress = self.carry_on(end, side, wire, dialed_by);
            if matches!(progress, Progress::Waits) {
                continue;
            }
            has_more = true;
            end.attempts.retain(|it| *it != wire);
            end.callers.retain(|it| *it != wire);
            match progress {
                Progress::Waits => {}
                Progress::Done(new) => self.consider(end, side, &new),
                Progress::Failed(why) => {
                    self.let_go(wire, side.at);
                    if dialed_by == DialedBy::Us {
                        self.attempt_failed(end, side, why);
                    }
                }
            }
        }
        has_more
    }

    fn carry_on(&mut self, end: &End, side: Side, wire: u32, dialed_by: DialedBy) -> Progress {
        let Some(it) = self.links.wires.all.get_mut(&wire) else {
            return Progress::Failed(Failed::Otherwise);
        };
        if it.is_refused {
            return Progress::Failed(Failed::Refused);
        }
        let Some(mut greeting) = it.greetings[side.at].take() else {
            return Progress::Failed(Failed::Otherwise);
        };
        let is_open = it.is_open || dialed_by == DialedBy::Peer;
        let progress =
            if is_open { self.shake(end, side, wire, &mut greeting) } else { Progress::Waits };
        if matches!(progress, Progress::Waits) {
            if self.now >= greeting.until {
                return Progress::Failed(Failed::Otherwise);
            }
            if let Some(it) = self.links.wires.all.get_mut(&wire) {
                it.greetings[side.at] = Some(greeting);
            }
        }
        progress
    }

    fn shake(&mut self, end: &End, side: Side, wire: u32, greeting: &mut Greeting) -> Progress {
        loop {
            if let Some(packet) = greeting.handshake.output() {
                self.write(wire, side.at, 0, packet);
            }
            let want = greeting.handshake.want();
            let Some(it) = self.links.wires.all.get_mut(&wire) else {
                return Progress::Failed(Failed::Otherwise);
            };
            let dialed_by = if it.dialer == side.at { DialedBy::Us } else { DialedBy::Peer };
            let pipe = &mut it.pipes[1 - side.at][0];
            let Some(bytes) = pipe.take(want) else {
                let is_over = pipe.is_ended();
                return if is_over { Progress::Failed(Failed::Otherwise) } else { Progress::Waits };
            };
            match greeting.handshake.input(&bytes) {
                Ok(Step::More) => {}
                Ok(Step::PeerHello(hello)) => {
                    if let Err(code) = self.seat(end, side, &hello) {
                        greeting.handshake.reject(code);
                        self.say_last(side, wire, greeting);
                        self.links.wires.tally.turned_away += 1;
                        return Progress::Failed(Failed::Otherwise);
                    }
                    greeting.is_known = true;
                    greeting.nonce = end.session.nonce();
                    greeting.handshake.reply(greeting.nonce);
                }
                Ok(Step::Done(hello)) => {
                    let is_ours = dialed_by == DialedBy::Us;
                    let first = if is_ours { bytes } else { Vec::new() };
                    let nonce = greeting.nonce;
                    return Progress::Done(Box::new(Candidate {
                        wire,
                        hello,
                        dialed_by,
                        nonce,
                        first,
                    }));
                }
                Err(error) => {
                    self.say_last(side, wire, greeting);
                    return Progress::Failed(match error {
                        HandshakeError::Rejected { code: RejectCode::Duplicate, .. } => Failed::Tie,
                        _ => Failed::Otherwise,
                    });
                }
            }
        }
    }

    fn say_last(&mut self, side: Side, wire: u32, greeting: &mut Greeting) {
        if let Some(packet) = greeting.handshake.output() {
            self.write(wire, side.at, 0, packet);
        }
    }

    /// Whoever would lose in the end is told at once.
    fn seat(&self, end: &End, side: Side, hello: &Hello) -> Result<(), RejectCode> {
        match arbitrate(&self.situation(end, side, hello, DialedBy::Peer)) {
            Verdict::Duplicate => Err(RejectCode::Duplicate),
            Verdict::Stale { .. } => Err(RejectCode::StaleIncarnation),
            Verdict::Accept | Verdict::Restarted { .. } => Ok(()),
        }
    }

    /// What a node says about itself.
    pub(super) fn hello(
        &mut self,
        node: u32,
        expects: Option<NodeId>,
        session: SessionNonce,
    ) -> Hello {
        let config = self.session_config();
        let challenge = self.fresh();
        let node = &self.nodes[node as usize];
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&challenge.to_le_bytes());
        Hello {
            features: 0,
            cluster: "simulated".parse().expect("it is a name"),
            node: node.id,
            incarnation: node.incarnation,
            expects,
            session,
            lanes: config.lanes.iter().map(LaneOffer::of).collect(),
            challenge: bytes,
        }
    }
}

fn under_way(end: &End) -> Vec<(u32, DialedBy)> {
    let ours = end.attempts.iter().map(|wire| (*wire, DialedBy::Us));
    ours.chain(end.callers.iter().map(|wire| (*wire, DialedBy::Peer))).collect()
}
