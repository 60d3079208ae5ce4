//! How a message finds its way to an agent of the same node, and everything else to its agent.

use dx_agents::event::{Envelope, Event};
use dx_agents::id::ReplyTo;
use dx_agents::message::{Body, MAX_MESSAGE};
use dx_agents::runtime::{Condition, Reason};
use dx_agents::{AgentId, Answer, AskError, AskId, Down, Lane, Refusal, RefusedBecause, WhenFull};

use super::{Place, Seat, Sim};
use crate::mailbox::{Letter, Pushed};
use crate::network::Frame;
use crate::port::Heard;
use crate::stage::Output;
use crate::trace::{Happened, Measured, What, fold};

/// A message on its way from a local agent.
pub(crate) struct Post {
    pub from: AgentId,
    pub to: AgentId,
    pub ask: Option<AskId>,
    pub body: Body,
}

/// How a delivery went, for its sender.
pub(crate) enum Delivered {
    /// Done, or counted as a dead letter.
    Yes,
    /// The receiver has no room, or is not there.
    No(Lane, RefusedBecause),
}

impl Sim {
    /// Delivers a message to wherever its receiver is.
    #[inline]
    pub(crate) fn post(&mut self, node: u32, post: Post, policy: WhenFull) -> Delivered {
        if self.twins.are_any() {
            return self.post_among_twins(node, post, policy);
        }
        self.post_one(node, post, policy)
    }

    #[inline]
    pub(crate) fn post_one(&mut self, node: u32, post: Post, policy: WhenFull) -> Delivered {
        match self.seat_on(node, post.to) {
            Some(seat) => self.deliver(node, seat, post),
            None => self.post_elsewhere(node, post, policy),
        }
    }

    fn post_elsewhere(&mut self, node: u32, post: Post, policy: WhenFull) -> Delivered {
        let lane = post.body.lane();
        match self.elsewhere(node, post.to) {
            Some(at) => self.send_remote(node, at, post, policy),
            None => {
                self.nodes[node as usize].bury(Reason::NoSuchAgent, 1);
                Delivered::No(lane, RefusedBecause::Unknown)
            }
        }
    }

    /// The node of an agent that is not on this one.
    pub(crate) fn elsewhere(&self, node: u32, id: AgentId) -> Option<u32> {
        if self.twins.are_any() && self.seat_on(node, id).is_some() {
            return None;
        }
        let at = self.node_of(id)?;
        let place = *self.node_places.get(&at)?;
        (place != node).then_some(place)
    }

    /// Delivers to a local agent.
    fn deliver(&mut self, node: u32, seat: Seat, post: Post) -> Delivered {
        let weight = post.body.weight();
        let measured = self.trace.measure(&post.body, MAX_MESSAGE);
        let hash = match &measured {
            Ok(Measured { hash, .. }) => *hash,
            // A value without an encoding is still one that can be handed over.
            Err(_) => 0,
        };
        self.tell_sent(&post, hash);
        let Post { from, to, ask, mut body } = post;
        let drawn = ((fold(self.config.seed, hash) >> 32) * 1000) >> 32;
        if drawn < u64::from(self.config.round_trip)
            && let Body::Typed(message) = &body
        {
            let Ok(encoded) = message.encode() else {
                self.nodes[node as usize].bury(Reason::Unsendable, 1);
                return Delivered::No(body.lane(), RefusedBecause::Unencodable);
            };
            body = encoded.into();
        }
        let envelope = Envelope { from, ask, body };
        self.push(node, seat, to, Letter { envelope, weight, hash, credit: None })
    }

    /// Puts a message into a mailbox of the node.
    pub(crate) fn push(&mut self, node: u32, seat: Seat, to: AgentId, letter: Letter) -> Delivered {
        let slot = match seat {
            Seat::Agent(slot) => slot,
            Seat::Port(port) => return self.push_port(node, port, letter),
        };
        let (lane, from, hash) = (letter.envelope.body.lane(), letter.envelope.from, letter.hash);
        let Some(resident) = self.agents[slot as usize].as_deref_mut().filter(|it| it.is_here())
        else {
            self.nodes[node as usize].bury(Reason::NoSuchAgent, 1);
            self.tell_lost(from, to, hash, "nobody is there");
            return Delivered::No(lane, RefusedBecause::Unknown);
        };
        let stages = resident.stage.as_ref().is_some_and(|stage| stage.takes_ingress());
        match resident.mailbox.push(letter, stages) {
            Pushed::In => {}
            Pushed::Stage(letter, staged) => {
                let stage = resident.stage.as_mut().expect("it was there when it was asked");
                let task = stage.take_in(letter, staged);
                self.schedule_work(slot, task);
                return Delivered::Yes;
            }
            Pushed::Full => {
                self.nodes[node as usize].bury(Reason::Refused, 1);
                self.tell_lost(from, to, hash, "refused: the mailbox is full");
                return Delivered::No(lane, RefusedBecause::Full);
            }
            Pushed::Dropped(older, newest) => {
                let count = older.len() as u64 + u64::from(newest.is_some());
                self.nodes[node as usize].bury(Reason::MailboxFull, count);
                for letter in older.iter().chain(&newest) {
                    let from = letter.envelope.from;
                    self.tell_lost(from, to, letter.hash, "dropped: the mailbox is full");
                }
                self.free_all(node, slot, &older);
            }
        }
        self.wake(slot);
        Delivered::Yes
    }

    /// Gives an agent or port an event. False if there is none.
    #[inline]
    pub(crate) fn tell(&mut self, to: AgentId, event: Event) -> bool {
        let Some(Place { node, .. }) = self.places.get(&to).copied() else { return false };
        self.tell_on(node, to, event)
    }

    /// The same for an agent or port of this node.
    #[inline]
    pub(crate) fn tell_on(&mut self, node: u32, to: AgentId, event: Event) -> bool {
        let Some(seat) = self.seat_on(node, to) else { return false };
        match seat {
            Seat::Agent(slot) => {
                let Some(resident) = self.agents[slot as usize].as_deref_mut() else {
                    return false;
                };
                if !resident.is_here() {
                    return false;
                }
                resident.mailbox.tell(event);
                self.wake(slot);
            }
            Seat::Port(port) => match event {
                Event::Reply(ask, answer) => return self.answer_port(port, ask, answer),
                Event::Down(who, why) => self.hear(port, Heard::Down(who, why)),
                Event::Writable(who) => self.hear(port, Heard::Writable(who)),
                Event::Refused(refusal) => self.hear(port, Heard::Refused(refusal)),
                _ => return false,
            },
        }
        true
    }

    /// Answers a question, wherever it came from.
    pub(crate) fn answer(
        &mut self,
        node: u32,
        from: AgentId,
        to: ReplyTo,
        answer: Result<Body, AskError>,
    ) {
        self.tell_answered(from, to, &answer);
        if self.twins.are_any() && self.answer_among_twins(node, from, to, &answer) {
            return;
        }
        if let Some(at) = self.elsewhere(node, to.agent) {
            self.answer_remote(node, at, from, to, answer);
            return;
        }
        let answer = answer.map(|body| Answer::new(from, body));
        if !self.tell_on(node, to.agent, Event::Reply(to.ask, answer)) {
            self.nodes[node as usize].bury(Reason::LateAnswer, 1);
        }
    }

    /// Wants to be told, or no longer, of the end of an agent, wherever it is.
    pub(crate) fn watch(&mut self, node: u32, me: AgentId, who: AgentId, is_on: bool) {
        if self.watch_here(node, me, who, is_on) {
            return;
        }
        match self.elsewhere(node, who) {
            Some(at) => self.watch_remote(node, at, me, who, is_on),
            None if is_on => drop(self.tell_on(node, me, Event::Down(who, Down::Unknown))),
            None => {}
        }
    }

    /// The same for an agent of this node; false if there is none.
    pub(crate) fn watch_here(&mut self, node: u32, me: AgentId, who: AgentId, is_on: bool) -> bool {
        let Some(seat) = self.seat_on(node, who) else { return false };
        let watchers = match seat {
            Seat::Agent(slot) => match self.agents[slot as usize].as_deref_mut() {
                Some(resident) if resident.is_here() => &mut resident.watchers,
                _ => return false,
            },
            Seat::Port(port) => &mut self.ports[port as usize].watchers,
        };
        if is_on {
            watchers.insert(me);
        } else {
            watchers.remove(&me);
        }
        true
    }

    /// Tells a watcher, wherever it is.
    pub(crate) fn tell_down(&mut self, node: u32, watcher: AgentId, who: AgentId, why: Down) {
        match self.elsewhere(node, watcher) {
            Some(at) => {
                // A node speaks for its agents under one name, which it shares with their twins.
                for twin in self.twins.second_homes(at) {
                    self.leave(node, twin, Frame::Down { who, why });
                }
                self.leave(node, at, Frame::Down { who, why });
            }
            None => drop(self.tell_on(node, watcher, Event::Down(who, why))),
        }
    }

    /// Offloaded work ends.
    pub(super) fn work(&mut self, slot: u32, task: u32) {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let place = resident.node;
        let Some(stage) = &mut resident.stage else { return };
        for output in stage.end(task) {
            self.put_out(slot, place, output);
        }
    }

    fn put_out(&mut self, slot: u32, place: u32, output: Output) {
        let Some(resident) = self.agents[slot as usize].as_deref_mut() else { return };
        let me = resident.cell.id();
        match output {
            Output::In(letter, staged, credit) => {
                let was_filtered = letter.is_none();
                let is_here = resident.is_here();
                let old = resident.mailbox.unstage(letter, staged);
                if was_filtered {
                    self.nodes[place as usize].bury(Reason::Filtered, 1);
                    if let Some(credit) = credit {
                        self.free(place, me, credit);
                    }
                } else if let Some(letter) = old {
                    let why = if is_here { Down::Restarted } else { Down::Stopped };
                    self.bury_letters(place, slot, std::iter::once(letter).collect(), why);
                }
                self.wake(slot);
            }
            Output::Done(job, outcome) => {
                if resident.condition == Condition::Working {
                    resident.mailbox.tell(Event::Done(job, outcome));
                    self.wake(slot);
                }
            }
            Output::Out { to, ask, body: Some(body) } => {
                let policy = resident.plan.options.full;
                self.departs = self.now;
                let post = Post { from: me, to, ask, body };
                if let Delivered::No(lane, why) = self.post(place, post, policy) {
                    self.tell_refused(place, me, ask, Refusal { to, lane, why, count: 1 });
                }
            }
            Output::Out { body: None, .. } => self.nodes[place as usize].bury(Reason::Filtered, 1),
        }
    }

    /// A port hears something.
    pub(crate) fn hear(&mut self, port: u32, heard: Heard) {
        let to = self.ports[port as usize].id;
        let what = What::Port;
        self.trace.note(Happened { at: self.now, to, what, detail: 0, payload: 0 });
        self.ports[port as usize].heard.push_back(heard);
    }
}
