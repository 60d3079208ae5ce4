//! Twins: an agent that runs twice under one identity, of which others hear one, the other or both.
//!
//! Two honest copies with one name do most of what a Byzantine replica can: they equivocate, vote
//! twice and forget what they locked, without a line of code that lies (Bano et al., "Twins: BFT
//! systems made robust", OPODIS 2021).
//!
//! ```text
//!            peer a --- first:  node 3, agent 3 \   one id, one name of its node, the same random
//!   peer b --- both <                            >  numbers; a disk and a clock for each
//!            peer c --- second: node 3, agent 3 /
//! ```
//!
//! Time is cut into rounds. In each the network draws, for every node that has to do with the
//! agent, which of the two it deals with: with that one alone it exchanges messages and answers.
//! Neither twin knows of the other, nor does it hear what the other is told.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::id::ReplyTo;
use dx_agents::message::Body;
use dx_agents::{AgentId, AskError, Incarnation, NodeId, WhenFull};

use crate::byzantine::ByzantineError;
use crate::choices::Choices;
use crate::node::Node;
use crate::sim::deliver::{Delivered, Post};
use crate::sim::{Place, Seat, Sim};

/// Which of two twins a node deals with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    /// The one that would be there anyway.
    First,
    /// The one that is there in addition.
    Second,
    /// Both of them: it hears each, and each hears it.
    Both,
}

impl Hears {
    /// In the order of the choices: the plainest first.
    const ALL: [Self; 3] = [Self::First, Self::Second, Self::Both];

    fn includes(self, twin: usize) -> bool {
        match self {
            Self::First => twin == 0,
            Self::Second => twin == 1,
            Self::Both => true,
        }
    }
}

/// The twins of a world.
#[derive(Default)]
pub(crate) struct Twins {
    by_id: BTreeMap<AgentId, Twin>,
    /// The places of nodes that are there for a second twin.
    homes: BTreeMap<u32, Home>,
    /// Messages that their receiver was not to hear.
    pub unheard: u64,
}

/// The two of one id.
struct Twin {
    /// The nodes of the first and the second.
    places: [u32; 2],
    /// In nanoseconds.
    round: u64,
    /// What a test has set, by the place of the peer.
    set: BTreeMap<u32, Hears>,
    /// What was drawn, for which round.
    drawn: BTreeMap<u32, (u64, Hears)>,
    /// They are not kept apart any more.
    is_joined: bool,
}

/// A node that is there for a second twin.
struct Home {
    of: AgentId,
    seats: BTreeMap<AgentId, Seat>,
}

impl Twins {
    pub fn ids(&self) -> Vec<AgentId> {
        self.by_id.keys().copied().collect()
    }

    #[inline]
    pub fn are_any(&self) -> bool {
        !self.by_id.is_empty()
    }

    /// All are heard by all from now on.
    pub fn join(&mut self) {
        self.by_id.values_mut().for_each(|twin| twin.is_joined = true);
    }

    /// The nodes of both, if this id is theirs or of an agent that one of them spawned.
    fn of(&self, id: AgentId) -> Option<AgentId> {
        if self.by_id.contains_key(&id) {
            return Some(id);
        }
        id.spawned_by()?;
        self.homes.values().find(|home| home.seats.contains_key(&id)).map(|home| home.of)
    }

    /// Whose second twin a node is there for.
    pub fn home_of(&self, node: u32) -> Option<AgentId> {
        self.homes.get(&node).map(|home| home.of)
    }

    /// The nodes that are there for second twins of agents of this one.
    pub fn second_homes(&self, node: u32) -> Vec<u32> {
        let twins = self.by_id.values().filter(|twin| twin.places[0] == node);
        twins.map(|twin| twin.places[1]).collect()
    }

    fn hears(&mut self, id: AgentId, peer: u32, now: u64, choices: &mut Choices) -> Hears {
        let Some(twin) = self.by_id.get_mut(&id).filter(|twin| !twin.is_joined) else {
            return Hears::Both;
        };
        if let Some(hears) = twin.set.get(&peer) {
            return *hears;
        }
        let round = now / twin.round;
        match twin.drawn.get(&peer) {
            Some((of, hears)) if *of == round => *hears,
            _ => {
                let hears = Hears::ALL[choices.choose("twin", Hears::ALL.len() as u64) as usize];
                twin.drawn.insert(peer, (round, hears));
                hears
            }
        }
    }
}

impl Sim {
    /// Lets an agent of the deployment run twice. Every `round` it is drawn anew whom of the two
    /// each node deals with; agents of its own node always deal with the first. It counts against
    /// what [`allow_byzantine`](Self::allow_byzantine) allows.
    ///
    /// Faults of nodes and links, and what a test looks at, concern the first.
    ///
    /// # Errors
    /// If there is no such agent, as many are Byzantine as may, or the world has begun: twins are
    /// born together.
    pub fn twin(&mut self, agent: AgentId, round: Duration) -> Result<(), ByzantineError> {
        let spec = self.directory.agent(agent).ok_or(ByzantineError::NoSuchAgent(agent))?;
        let id = spec.node;
        let first = self.node_places[&id];
        if self.twins.by_id.contains_key(&agent) || self.nodes[first as usize].life > 0 {
            return Err(ByzantineError::HasBegun(agent));
        }
        self.spend_on(agent)?;
        let second = self.nodes.len() as u32;
        self.nodes.push(Node::new(id, &self.directory));
        let round = u64::try_from(round.as_nanos()).unwrap_or(u64::MAX).max(1);
        let twin = Twin {
            places: [first, second],
            round,
            set: BTreeMap::new(),
            drawn: BTreeMap::new(),
            is_joined: false,
        };
        self.twins.by_id.insert(agent, twin);
        self.twins.homes.insert(second, Home { of: agent, seats: BTreeMap::new() });
        Ok(())
    }

    /// From now on a node deals with this one of an agent's twins, or with both; it is not drawn
    /// any more. The node of a [port](Self::port) is that of its id:
    /// [`spawned_by`](AgentId::spawned_by).
    ///
    /// # Panics
    /// If the agent has no twin, or there is no such node.
    pub fn set_hears(&mut self, agent: AgentId, peer: NodeId, hears: Hears) {
        let place = self.node_places.get(&peer).copied();
        let place = place.unwrap_or_else(|| panic!("there is no node {peer} in this world"));
        let twin = self.twins.by_id.get_mut(&agent);
        let twin = twin.unwrap_or_else(|| panic!("agent {agent} has no twin"));
        twin.set.insert(place, hears);
    }

    /// From now on all deal with both twins of all agents that have one, as after
    /// [`heal`](Self::heal): what follows is to make progress.
    pub fn join_twins(&mut self) {
        self.twins.join();
    }

    /// The second of an agent's twins, as what it is.
    #[must_use]
    pub fn second_twin<T: 'static>(&self, agent: AgentId) -> Option<&T> {
        let second = self.twins.by_id.get(&agent)?.places[1];
        let Seat::Agent(slot) = self.seat_on(second, agent)? else { return None };
        self.resident(slot)?.cell.agent()
    }

    /// What an id stands for on a node, if it is there.
    #[inline]
    pub(crate) fn seat_on(&self, node: u32, id: AgentId) -> Option<Seat> {
        if self.twins.are_any()
            && let Some(home) = self.twins.homes.get(&node)
        {
            return home.seats.get(&id).copied();
        }
        self.places.get(&id).filter(|place| place.node == node).map(|place| place.seat)
    }

    /// An agent is on a node from now on.
    pub(crate) fn settle(&mut self, node: u32, id: AgentId, seat: Seat) {
        match self.twins.homes.get_mut(&node) {
            Some(home) => drop(home.seats.insert(id, seat)),
            None => drop(self.places.insert(id, Place { node, seat })),
        }
    }

    /// An agent is not at its place any more; another one may be.
    pub(crate) fn unsettle(&mut self, node: u32, id: AgentId, slot: u32) {
        if !matches!(self.seat_on(node, id), Some(Seat::Agent(at)) if at == slot) {
            return;
        }
        match self.twins.homes.get_mut(&node) {
            Some(home) => drop(home.seats.remove(&id)),
            None => drop(self.places.remove(&id)),
        }
    }

    /// A node has started: so do the second twins of its agents, in the same instant, that they
    /// may not be told apart.
    pub(crate) fn boot_twins(&mut self, node: u32) {
        for second in self.twins.second_homes(node) {
            if self.nodes[second as usize].is_up() {
                continue;
            }
            let Incarnation(first) = self.nodes[node as usize].incarnation;
            self.nodes[second as usize].incarnation = Incarnation(first - 1);
            self.boot(second);
        }
    }

    /// Posts a message in a world with twins.
    pub(crate) fn post_among_twins(
        &mut self,
        node: u32,
        post: Post,
        policy: WhenFull,
    ) -> Delivered {
        let to = post.to;
        let Some(heard_by) = self.twins_addressed(node, to) else {
            if !self.is_heard(node, post.from, to) {
                self.twins.unheard += 1;
                return Delivered::Yes;
            }
            return self.post_one(node, post, policy);
        };
        let Some((last, others)) = heard_by.split_last() else { return Delivered::Yes };
        for at in others {
            let Some(body) = copy_of(&post.body) else { continue };
            let copy = Post { body, ..post };
            // If only one of them has no room the sender is not told.
            let _ = self.send_remote(node, *at, copy, policy);
        }
        self.send_remote(node, *last, post, policy)
    }

    /// Answers a question in a world with twins; false if none of them has to do with it.
    pub(crate) fn answer_among_twins(
        &mut self,
        node: u32,
        from: AgentId,
        to: ReplyTo,
        answer: &Result<Body, AskError>,
    ) -> bool {
        let Some(heard_by) = self.twins_addressed(node, to.agent) else {
            let is_heard = self.is_heard(node, from, to.agent);
            self.twins.unheard += u64::from(!is_heard);
            return !is_heard;
        };
        for at in heard_by {
            let copy = match answer {
                Ok(body) => copy_of(body).map(Ok),
                Err(error) => Some(Err(*error)),
            };
            if let Some(copy) = copy {
                self.answer_remote(node, at, from, to, copy);
            }
        }
        true
    }

    /// The nodes of the twins that hear what a node says to this id; `None` if it is no twin's, or
    /// that of a twin of this very node.
    fn twins_addressed(&mut self, node: u32, to: AgentId) -> Option<Vec<u32>> {
        let id = self.twins.of(to)?;
        let places = self.twins.by_id[&id].places;
        if places.contains(&node) {
            return None;
        }
        let hears = self.twins.hears(id, node, self.now, &mut self.choices);
        let heard_by = (0..2).filter(|twin| hears.includes(*twin)).map(|twin| places[twin]);
        Some(heard_by.collect())
    }

    /// Whether what a twin says is heard by the node where the receiver is.
    fn is_heard(&mut self, node: u32, from: AgentId, to: AgentId) -> bool {
        let Some(id) = self.twins.home_of(node).or_else(|| self.twins.of(from)) else {
            return true;
        };
        let Some(twin) = self.twins.by_id[&id].places.iter().position(|at| *at == node) else {
            return true;
        };
        match self.elsewhere(node, to) {
            None => true,
            // Others of its own node.
            Some(peer) if peer == self.twins.by_id[&id].places[0] => twin == 0,
            Some(peer) => self.twins.hears(id, peer, self.now, &mut self.choices).includes(twin),
        }
    }
}

/// The same message once more, by its encoding; `None` if it has none.
fn copy_of(body: &Body) -> Option<Body> {
    match body {
        Body::Typed(message) => message.encode().ok().map(Body::from),
        Body::Wire(wire) => Some(wire.encoded.clone().into()),
    }
}
