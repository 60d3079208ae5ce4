//! What leaves a node.

use dx_agents::event::{Event, RefusedBecause};
use dx_agents::id::ReplyTo;
use dx_agents::message::{Body, MAX_MESSAGE};
use dx_agents::remote::outbox::{Offered, Waiting};
use dx_agents::runtime::Reason;
use dx_agents::{AgentId, AskError, Lane, MailboxBounds, WhenFull};

use super::{Frame, Outgoing, Parcel, Unsent};
use crate::schedule::Due;
use crate::sim::Sim;
use crate::sim::deliver::{Delivered, Post};
use crate::trace::{Measured, Unsendable, fold};

impl Sim {
    /// Sends a message to an agent of another node.
    pub(crate) fn send_remote(
        &mut self,
        node: u32,
        at: u32,
        post: Post,
        policy: WhenFull,
    ) -> Delivered {
        let lane = post.body.lane();
        let measured = match self.trace.measure(&post.body, MAX_MESSAGE) {
            Ok(measured) => measured,
            Err(error) => {
                self.nodes[node as usize].bury(Reason::Unsendable, 1);
                return Delivered::No(lane, too_much(&error));
            }
        };
        let Measured { hash, bytes } = measured;
        self.tell_sent(&post, hash);
        let Post { from, to, ask, body } = post;
        let question = ask.map(|ask| ReplyTo { agent: from, ask });
        if let Some(ReplyTo { agent, ask }) = question {
            let peer = self.nodes[at as usize].id;
            let given_up = self.nodes[node as usize].asks.ask(agent, ask, peer);
            if let Some(oldest) = given_up {
                self.fail_question(node, oldest, AskError::Refused(RefusedBecause::Full));
            }
        }
        let outgoing =
            Outgoing { from, to, ask, body: self.on_the_wire(body, hash), bytes, hash, lane };
        if self.is_datagram(to) {
            self.send_datagram(node, at, outgoing);
            return Delivered::Yes;
        }
        match self.send_credited(node, at, outgoing, policy) {
            Ok(()) => Delivered::Yes,
            Err(unsent) => {
                if let Some(question) = question {
                    // Whoever asked is told by the caller.
                    let _ = self.nodes[node as usize].asks.answer(question);
                }
                self.tell_lost(from, to, hash, "not sent: there is no room");
                match unsent {
                    Unsent::Refused(why) => Delivered::No(lane, why),
                    // A question always has an end.
                    Unsent::Dropped if question.is_some() => {
                        Delivered::No(lane, RefusedBecause::Full)
                    }
                    Unsent::Dropped => Delivered::Yes,
                }
            }
        }
    }

    /// Of the messages between nodes, too, some really pass their encoding.
    fn on_the_wire(&self, body: Body, hash: u64) -> Body {
        let drawn = ((fold(self.config.seed, hash) >> 32) * 1000) >> 32;
        if drawn < u64::from(self.config.round_trip)
            && let Body::Typed(message) = &body
            && let Ok(encoded) = message.encode()
        {
            return encoded.into();
        }
        body
    }

    fn bounds_of(&self, to: AgentId) -> MailboxBounds {
        self.plans.get(&to).map_or(MailboxBounds::DEFAULT, |plan| plan.options.mailbox)
    }

    fn is_datagram(&self, to: AgentId) -> bool {
        !self.config.datagram_kinds.is_empty()
            && self.plans.get(&to).is_some_and(|plan| plan.is_datagram)
    }

    fn send_credited(
        &mut self,
        node: u32,
        at: u32,
        outgoing: Outgoing,
        policy: WhenFull,
    ) -> Result<(), Unsent> {
        let bounds = self.bounds_of(outgoing.to);
        let (pair, way) = self.links.make(node, at);
        let (lane, bytes) = (outgoing.lane, outgoing.bytes);
        let account = self.links.pairs[pair as usize].ways[way].account(outgoing.to, &bounds);
        let is_free = account.outbox.as_ref().is_none_or(|outbox| outbox.front(lane).is_none());
        if is_free && account.allowance.may_take(bytes) {
            account.allowance.take(bytes);
            self.leave(node, at, Frame::Letter(outgoing));
            return Ok(());
        }
        let (from, ask) = (outgoing.from, outgoing.ask);
        let waiting = Waiting { bytes: bytes as usize, cost: bytes, from, ask, frame: outgoing };
        match account.outbox.get_or_insert_default().offer(lane, waiting, policy) {
            Offered::Kept(dropped) => {
                self.bury_waiting(node, dropped);
                Ok(())
            }
            Offered::Refused => {
                self.nodes[node as usize].bury(Reason::Refused, 1);
                Err(Unsent::Refused(RefusedBecause::Full))
            }
            Offered::Dropped => {
                self.nodes[node as usize].bury(Reason::OutboxFull, 1);
                Err(Unsent::Dropped)
            }
        }
    }

    /// Older messages gave way to a newer one.
    fn bury_waiting(&mut self, node: u32, dropped: Vec<Waiting<Outgoing>>) {
        if dropped.is_empty() {
            return;
        }
        self.nodes[node as usize].bury(Reason::OutboxFull, dropped.len() as u64);
        for Waiting { from, ask, frame, .. } in dropped {
            self.tell_lost(from, frame.to, frame.hash, "dropped: there is no room");
            let Some(ask) = ask else { continue };
            let question = ReplyTo { agent: from, ask };
            if self.nodes[node as usize].asks.answer(question) {
                self.fail_question(node, question, AskError::Refused(RefusedBecause::Full));
            }
        }
    }

    pub(super) fn fail_question(&mut self, node: u32, question: ReplyTo, error: AskError) {
        self.tell_on(node, question.agent, Event::Reply(question.ask, Err(error)));
    }

    /// Sends what waits for an agent, as far as its credit goes, and says who has room again.
    pub(super) fn flush(&mut self, node: u32, at: u32, to: AgentId) {
        let Some((pair, way)) = self.links.find(node, at) else { return };
        for lane in Lane::ALL {
            loop {
                let way = &mut self.links.pairs[pair as usize].ways[way];
                let Some(account) = way.accounts.get_mut(&to) else { return };
                let Some(outbox) = &mut account.outbox else { break };
                let Some(first) = outbox.front(lane) else { break };
                if !account.allowance.may_take(first.cost) {
                    break;
                }
                account.allowance.take(first.cost);
                let waiting = outbox.pop(lane).expect("it is the first");
                self.leave(node, at, Frame::Letter(waiting.frame));
            }
        }
        let Some(account) = self.links.pairs[pair as usize].ways[way].accounts.get_mut(&to) else {
            return;
        };
        let Some(outbox) = &mut account.outbox else { return };
        let writable = outbox.writable();
        if outbox.is_empty() {
            account.outbox = None;
        }
        for sender in writable {
            self.tell_on(node, sender, Event::Writable(to));
        }
    }

    /// Answers a question of another node's agent.
    pub(crate) fn answer_remote(
        &mut self,
        node: u32,
        at: u32,
        from: AgentId,
        to: ReplyTo,
        answer: Result<Body, AskError>,
    ) {
        let answer = match answer {
            Ok(body) => match self.trace.measure(&body, MAX_MESSAGE) {
                Ok(Measured { hash, .. }) => Ok(self.on_the_wire(body, hash)),
                Err(error) => {
                    self.nodes[node as usize].bury(Reason::Unsendable, 1);
                    Err(AskError::Refused(too_much(&error)))
                }
            },
            Err(error) => Err(error),
        };
        self.leave(node, at, Frame::Answer { to, from, answer });
    }

    /// Wants to be told, or no longer, of the end of another node's agent.
    pub(crate) fn watch_remote(
        &mut self,
        node: u32,
        at: u32,
        me: AgentId,
        who: AgentId,
        is_on: bool,
    ) {
        let (pair, way) = self.links.make(node, at);
        if self.links.pairs[pair as usize].ways[way].watches.set(me, who, is_on) {
            self.leave(node, at, Frame::Watch { who, is_on });
        }
    }

    /// A frame leaves a node for another: at once if there is a link, else when there is.
    pub(crate) fn leave(&mut self, node: u32, at: u32, frame: Frame) {
        if self.is_of_bytes() {
            return self.say(node, at, &frame);
        }
        let (pair, way) = self.links.make(node, at);
        self.meet(pair);
        let link = &self.links.pairs[pair as usize];
        // A new life has no part in the session of the one before, even if nobody noticed yet.
        if link.is_up && link.lives[way] == self.nodes[node as usize].life {
            self.transmit(pair, way, frame);
        } else {
            self.links.pairs[pair as usize].ways[way].backlog.push_back(frame);
        }
    }

    /// A frame sets out.
    pub(super) fn transmit(&mut self, pair: u32, way: usize, frame: Frame) {
        let network = self.config.network;
        let departs = self.departs.max(self.now);
        let took = network.delay.draw(&mut self.choices).as_nanos() as u64;
        let link = &mut self.links.pairs[pair as usize];
        let session = link.session;
        let direction = &mut link.ways[way];
        let mut left = departs;
        if let Some(took) = (frame.bytes() * 1_000_000_000).checked_div(network.bandwidth) {
            left = left.max(direction.free_at) + took;
            direction.free_at = left;
        }
        let at = match frame {
            // It comes behind all that was sent before, in whatever line.
            Frame::Probe { .. } => {
                let behind = direction.last_of_all + 1;
                direction.in_line(frame.line(), (left + took).max(behind), self.now)
            }
            _ => direction.in_line(frame.line(), left + took, self.now),
        };
        self.links.tally.sent += 1;
        let parcel = self.links.parcels.put(Parcel { pair, up: way == 0, session, frame });
        self.schedule.add(at, Due::Arrival { parcel }, &mut self.choices);
    }

    /// A datagram sets out; or is lost, or comes twice.
    fn send_datagram(&mut self, node: u32, at: u32, outgoing: Outgoing) {
        let (pair, way) = self.links.make(node, at);
        let network = self.config.network;
        let again = self.choices.chance("duplicate", network.duplication);
        let copies = 1 + u32::from(again);
        let mut outgoing = Some(outgoing);
        for copy in 1..=copies {
            if self.choices.chance("lose", network.loss) {
                self.links.tally.dropped += 1;
                if copies == 1
                    && let Some(letter) = &outgoing
                {
                    let (from, to, hash) = (letter.from, letter.to, letter.hash);
                    self.tell_lost(from, to, hash, "lost");
                }
                continue;
            }
            let original =
                if copy == copies { outgoing.take() } else { outgoing.as_ref().and_then(copy_of) };
            let Some(outgoing) = original else { continue };
            self.links.tally.duplicated += u64::from(copy > 1);
            let took = network.delay.draw(&mut self.choices).as_nanos() as u64;
            let frame = Frame::Datagram(outgoing);
            let parcel = self.links.parcels.put(Parcel { pair, up: way == 0, session: 0, frame });
            let at = self.departs.max(self.now) + took;
            self.links.tally.sent += 1;
            self.schedule.add(at, Due::Arrival { parcel }, &mut self.choices);
        }
    }
}

/// The same message once more: it goes by its encoding, as it does between machines.
pub(crate) fn copy_of(original: &Outgoing) -> Option<Outgoing> {
    let encoded = match &original.body {
        Body::Typed(message) => message.encode().ok()?,
        Body::Wire(wire) => wire.encoded.clone(),
    };
    let Outgoing { from, to, ask, bytes, hash, lane, .. } = *original;
    Some(Outgoing { from, to, ask, body: encoded.into(), bytes, hash, lane })
}

fn too_much(error: &Unsendable) -> RefusedBecause {
    match *error {
        Unsendable::TooLarge(len) => RefusedBecause::TooLarge { len, limit: MAX_MESSAGE },
        Unsendable::Unencodable => RefusedBecause::Unencodable,
    }
}
