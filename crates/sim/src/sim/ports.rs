//! What a test does to its ports, and what they hear.

use std::num::NonZeroU64;
use std::time::Duration;

use dx_agents::id::ReplyTo;
use dx_agents::message::Body;
use dx_agents::runtime::Reason;
use dx_agents::{
    AgentId, Answer, AskError, AskId, MailboxBounds, Message, NodeId, RefusedBecause, WhenFull,
};

use super::deliver::{Delivered, Post};
use super::{Place, Seat, Sim};
use crate::mailbox::Letter;
use crate::node::Standing;
use crate::port::{Heard, Inlet, Port};
use crate::schedule::Due;

/// The first of the numbers of nodes that ports have to themselves.
pub(crate) const CLIENTS: u32 = 0x8000_0000;

impl Sim {
    /// A port on a machine of its own: it reaches agents over the network, as a client does.
    pub fn port(&mut self) -> Port {
        let node = NodeId(CLIENTS + self.ports.len() as u32);
        let place = self.node_place(node);
        let directory = std::sync::Arc::clone(&self.directory);
        let (seed, now) = (self.config.seed, self.now);
        let node = &mut self.nodes[place as usize];
        node.begin(seed, &directory, now);
        debug_assert_eq!(node.standing, Standing::Up);
        self.add_port(place)
    }

    /// A port on a node of the deployment, which must be up.
    ///
    /// # Panics
    /// If there is no such node, or it is down.
    pub fn port_on(&mut self, node: NodeId) -> Port {
        let place = self.node_places.get(&node).copied();
        let place = place.filter(|place| self.nodes[*place as usize].is_up());
        self.add_port(place.unwrap_or_else(|| panic!("node {node} is not up")))
    }

    fn add_port(&mut self, node: u32) -> Port {
        let id = self.nodes[node as usize].cx.world_mut().ids.next();
        let place = self.ports.len() as u32;
        self.ports.push(Inlet { id, node, ..Inlet::default() });
        self.places.insert(id, Place { node, seat: Seat::Port(place) });
        self.told(|story, _| story.is_of_kind(id, "client"));
        Port { place, id }
    }

    /// Sends a message from a port.
    ///
    /// # Errors
    /// If there is no room for it, or no such agent.
    pub fn send<M: Message>(
        &mut self,
        port: Port,
        to: AgentId,
        message: M,
    ) -> Result<(), RefusedBecause> {
        self.post_from(port, to, None, message)
    }

    /// Asks a question from a port. Its end is [heard](Self::heard) as [`Heard::Reply`].
    pub fn ask<M: Message>(
        &mut self,
        port: Port,
        to: AgentId,
        question: M,
        within: Duration,
    ) -> AskId {
        let at = self.after(within);
        let inlet = &mut self.ports[port.place as usize];
        inlet.asked += 1;
        let ask = AskId(NonZeroU64::new(inlet.asked).expect("it was incremented"));
        inlet.open.insert(ask);
        let due = Due::PortDeadline { port: port.place, ask };
        self.schedule.add(at, due, &mut self.choices);
        if let Err(why) = self.post_from(port, to, Some(ask), question) {
            self.answer_port(port.place, ask, Err(AskError::Refused(why)));
        }
        ask
    }

    /// Answers a question that a port heard.
    pub fn reply<M: Message>(&mut self, port: Port, to: ReplyTo, answer: M) {
        let node = self.ports[port.place as usize].node;
        self.departs = self.now;
        self.answer(node, port.id, to, Ok(Body::Typed(Box::new(answer))));
    }

    /// The next thing that a port heard.
    pub fn heard(&mut self, port: Port) -> Option<Heard> {
        self.told(|story, _| story.look_at(port.id));
        let inlet = &mut self.ports[port.place as usize];
        let heard = inlet.heard.pop_front()?;
        if matches!(heard, Heard::Message(_)) {
            inlet.messages -= 1;
        }
        if inlet.messages <= MailboxBounds::DEFAULT.messages / 2 {
            let who = inlet.id;
            for agent in std::mem::take(&mut inlet.waiting) {
                self.tell(agent, dx_agents::event::Event::Writable(who));
            }
        }
        Some(heard)
    }

    /// A port wants to hear of an agent's end.
    pub fn monitor(&mut self, port: Port, who: AgentId) {
        let node = self.ports[port.place as usize].node;
        self.watch(node, port.id, who, true);
    }

    fn post_from<M: Message>(
        &mut self,
        port: Port,
        to: AgentId,
        ask: Option<AskId>,
        message: M,
    ) -> Result<(), RefusedBecause> {
        let node = self.ports[port.place as usize].node;
        self.departs = self.now;
        let post = Post { from: port.id, to, ask, body: Body::Typed(Box::new(message)) };
        match self.post(node, post, WhenFull::Refuse) {
            Delivered::Yes => Ok(()),
            Delivered::No(_, why) => Err(why),
        }
    }

    /// A message comes to a port.
    pub(super) fn push_port(&mut self, node: u32, port: u32, letter: Letter) -> Delivered {
        let inlet = &mut self.ports[port as usize];
        let (id, from, hash) = (inlet.id, letter.envelope.from, letter.hash);
        if letter.credit.is_none() && inlet.messages >= MailboxBounds::DEFAULT.messages {
            inlet.waiting.insert(letter.envelope.from);
            self.nodes[node as usize].bury(Reason::Refused, 1);
            self.tell_lost(from, id, hash, "refused: the port is full");
            return Delivered::No(letter.envelope.body.lane(), RefusedBecause::Full);
        }
        inlet.messages += 1;
        self.tell_heard(id, from, hash);
        if let Some(credit) = letter.credit {
            // A client is always ready: its test decides when it looks.
            self.free(node, id, credit);
        }
        self.hear(port, Heard::Message(letter.envelope));
        Delivered::Yes
    }

    /// A port's question ends; false if it had ended before.
    pub(super) fn answer_port(
        &mut self,
        port: u32,
        ask: AskId,
        answer: Result<Answer, AskError>,
    ) -> bool {
        let was_open = self.ports[port as usize].open.remove(&ask);
        if was_open {
            self.clear_alarm();
            let (by, now) = (self.ports[port as usize].id, self.now);
            self.told(|story, _| {
                if !story.is_answered(now, by, ask) {
                    let why = answer.as_ref().err().map_or(String::new(), |why| format!(": {why}"));
                    story.steps(now, by, format!("question {} ends{why}", ask.0));
                }
            });
            self.hear(port, Heard::Reply(ask, answer));
        }
        was_open
    }
}
