//! The network step by step, for tests that want one certain order: hold everything, look at what
//! waits, deliver this, discard that.

use dx_agents::remote::credit::Amount;
use dx_agents::{AgentId, NodeId};

use crate::network::{Frame, Line};
use crate::sim::Sim;

/// A message between nodes that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its number.
    pub number: u32,
    /// From which node.
    pub from_node: NodeId,
    /// To which node.
    pub to_node: NodeId,
    /// From whom.
    pub from: AgentId,
    /// To whom.
    pub to: AgentId,
    /// Whether it is an answer.
    pub is_answer: bool,
}

/// A held message cannot be dealt with as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// It is not held, or not any more.
    #[error("message {0} is not held: `held` lists those that are")]
    NotHeld(u32),
    /// Messages of one sender to one receiver arrive in order.
    #[error(
        "message {0} comes behind message {1} of the same sender and receiver: deliver that first"
    )]
    OutOfOrder(u32, u32),
}

impl Sim {
    /// Holds everything between all nodes that there are now, until it is
    /// [delivered](Self::deliver_held) or [released](Self::release_all). What nodes tell each other
    /// by themselves is not held.
    pub fn hold_all(&mut self) {
        for from in 0..self.nodes.len() as u32 {
            for to in (0..self.nodes.len() as u32).filter(|to| *to != from) {
                let (pair, way) = self.links.make(from, to);
                self.links.pairs[pair as usize].ways[way].is_by_hand = true;
            }
        }
    }

    /// Lets everything go.
    pub fn release_all(&mut self) {
        for pair in 0..self.links.pairs.len() as u32 {
            for way in 0..2 {
                self.links.pairs[pair as usize].ways[way].is_by_hand = false;
                self.release(pair, way);
            }
        }
    }

    /// Messages that have come as far as they can, in the order in which they did on each way.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        let mut held = Vec::new();
        for pair in &self.links.pairs {
            for (way, direction) in pair.ways.iter().enumerate() {
                let nodes = [pair.nodes[way], pair.nodes[1 - way]];
                let [from_node, to_node] = nodes.map(|place| self.nodes[place as usize].id);
                for &number in &direction.held {
                    let Some(parcel) = self.links.parcels.get(number) else { continue };
                    let (from, to, is_answer) = match &parcel.frame {
                        Frame::Letter(outgoing) => (outgoing.from, outgoing.to, false),
                        Frame::Answer { to, from, .. } => (*from, to.agent, true),
                        _ => continue,
                    };
                    held.push(Held { number, from_node, to_node, from, to, is_answer });
                }
            }
        }
        held
    }

    /// Delivers one message that is held; what it causes is next to happen.
    ///
    /// # Errors
    /// See [`ControlError`]; nothing has changed.
    pub fn deliver_held(&mut self, number: u32) -> Result<(), ControlError> {
        let (pair, way, at) = self.find_held(number).ok_or(ControlError::NotHeld(number))?;
        let line = self.line_of(number);
        let held = &self.links.pairs[pair as usize].ways[way].held;
        if let Some(first) = held.iter().take(at).find(|it| self.line_of(**it) == line) {
            return Err(ControlError::OutOfOrder(number, *first));
        }
        let direction = &mut self.links.pairs[pair as usize].ways[way];
        direction.held.remove(at);
        let was = std::mem::replace(&mut direction.is_by_hand, false);
        self.arrive(number);
        self.links.pairs[pair as usize].ways[way].is_by_hand = was;
        Ok(())
    }

    /// Discards one message that is held. A session never does that to a single message: it shows
    /// what an agent makes of it.
    ///
    /// # Errors
    /// [`ControlError::NotHeld`]; nothing has changed.
    pub fn discard_held(&mut self, number: u32) -> Result<(), ControlError> {
        let (pair, way, at) = self.find_held(number).ok_or(ControlError::NotHeld(number))?;
        let link = &mut self.links.pairs[pair as usize];
        link.ways[way].held.remove(at);
        let nodes = [link.nodes[way], link.nodes[1 - way]];
        let parcel = self.links.parcels.take(number).ok_or(ControlError::NotHeld(number))?;
        self.links.tally.lost += 1;
        if let Frame::Letter(outgoing) = parcel.frame {
            // It takes no place in the mailbox.
            let freed = Amount { messages: 1, bytes: outgoing.bytes };
            self.give_back(nodes[0], nodes[1], outgoing.to, freed);
        }
        Ok(())
    }

    fn find_held(&self, number: u32) -> Option<(u32, usize, usize)> {
        let parcel = self.links.parcels.get(number)?;
        let (pair, way) = (parcel.pair, usize::from(!parcel.up));
        let held = &self.links.pairs[pair as usize].ways[way].held;
        Some((pair, way, held.iter().position(|it| *it == number)?))
    }

    fn line_of(&self, number: u32) -> Option<Line> {
        self.links.parcels.get(number).map(|parcel| parcel.frame.line())
    }
}
