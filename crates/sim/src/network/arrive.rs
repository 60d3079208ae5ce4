//! What comes to a node.

use dx_agents::event::{Envelope, Event, RefusedBecause};
use dx_agents::id::ReplyTo;
use dx_agents::remote::credit::{self, Allowance, Amount, OPENING, Quota};
use dx_agents::runtime::Reason;
use dx_agents::{AgentId, Answer, AskError, Down, Lane, MailboxBounds};

use super::{Frame, Outgoing, Parcel};
use crate::mailbox::{Credit, Letter};
use crate::sim::deliver::Delivered;
use crate::sim::{CLIENTS, Seat, Sim};
use crate::stuck::Hindrance;
use crate::trace::{Happened, What};

impl Sim {
    /// A parcel comes to the end of its way, if the way is free.
    pub(crate) fn arrive(&mut self, number: u32) {
        let Some(parcel) = self.links.parcels.get(number) else { return };
        let Parcel { pair, up, session, ref frame } = *parcel;
        let link = &self.links.pairs[pair as usize];
        let way = usize::from(!up);
        let (from, to) = (link.nodes[way], link.nodes[1 - way]);
        let is_datagram = matches!(frame, Frame::Datagram(_));
        let is_by_hand = self.is_by_hand(from, to, frame);
        let is_gone = if self.is_of_bytes() && !is_datagram {
            // It has come by its session already, and was held by hand.
            !self.nodes[to as usize].is_up()
        } else if is_datagram && is_by_hand {
            false
        } else if is_datagram {
            link.ways[way].is_blocked(self.now) || !self.nodes[to as usize].is_running()
        } else {
            session != link.session || self.now > link.ways[way].ends_at
        };
        if is_gone {
            self.lose(number);
            return;
        }
        if is_by_hand || !is_datagram && self.obstacle(pair, way).is_some() {
            self.links.pairs[pair as usize].ways[way].held.push_back(number);
            return;
        }
        self.let_in(number);
    }

    /// What keeps a way from delivering, other than a test.
    pub(crate) fn obstacle(&self, pair: u32, way: usize) -> Option<Hindrance> {
        let link = &self.links.pairs[pair as usize];
        let to = &self.nodes[link.nodes[1 - way] as usize];
        if !to.is_up() {
            Some(Hindrance::Down)
        } else if !to.is_running() {
            Some(Hindrance::StandsStill)
        } else if self.is_of_bytes() {
            // What is held there has come by its session already.
            None
        } else if link.ways[way].is_cut {
            Some(Hindrance::Cut)
        } else if link.ways[way].is_blocked(self.now) {
            Some(Hindrance::Clogged)
        } else if !link.is_up || link.lives[1 - way] != to.life {
            Some(Hindrance::NoLink)
        } else {
            None
        }
    }

    /// A parcel is where it was to come.
    pub(crate) fn let_in(&mut self, number: u32) {
        let Some(Parcel { pair, up, frame, .. }) = self.links.parcels.take(number) else { return };
        let nodes = self.links.pairs[pair as usize].nodes;
        let (from, to) = if up { (nodes[0], nodes[1]) } else { (nodes[1], nodes[0]) };
        self.links.tally.arrived += 1;
        self.departs = self.now;
        let life = self.nodes[from as usize].life;
        self.accept(from, to, frame, life);
    }

    /// A parcel is lost.
    pub(crate) fn lose(&mut self, number: u32) {
        let Some(parcel) = self.links.parcels.take(number) else { return };
        self.tell_frame_lost(&parcel.frame);
        match parcel.frame {
            Frame::Datagram(_) => self.links.tally.dropped += 1,
            _ => self.links.tally.lost += 1,
        }
    }

    /// A frame has arrived that a node sent in this `life`.
    pub(super) fn accept(&mut self, from: u32, to: u32, frame: Frame, life: u32) {
        match frame {
            Frame::Letter(outgoing) => self.accept_letter(from, to, outgoing, life),
            Frame::Datagram(outgoing) => {
                // A datagram has no credit: if there is no room it is gone.
                let _ = self.hand_over(to, outgoing, None);
            }
            Frame::Answer { to: question, from: who, answer } => {
                let is_open = self.nodes[to as usize].asks.answer(question);
                let answer = answer.map(|body| Answer::new(who, body));
                let event = Event::Reply(question.ask, answer);
                if !is_open || !self.tell_on(to, question.agent, event) {
                    self.nodes[to as usize].bury(Reason::LateAnswer, 1);
                }
            }
            Frame::Watch { who, is_on } => {
                // One entry for the whole node, however many of its agents watch.
                let watcher = AgentId::dynamic(self.nodes[from as usize].id, 0);
                if !self.watch_here(to, watcher, who, is_on) && is_on {
                    self.leave(to, from, Frame::Down { who, why: Down::Unknown });
                }
            }
            Frame::Down { who, why } => self.accept_down(from, to, who, why),
            Frame::Grant { to: agent, freed, share } => {
                self.credited(to, from, agent, |allowance| allowance.granted(freed, share));
            }
            Frame::Held { to: agent, round, held } => {
                self.credited(to, from, agent, |allowance| allowance.settle(round, held));
            }
            Frame::Probe { to: agent, round } => self.accept_probe(from, to, agent, round),
        }
    }

    fn accept_letter(&mut self, from: u32, to: u32, outgoing: Outgoing, life: u32) {
        let (who, bytes) = (outgoing.to, outgoing.bytes);
        let question = outgoing.ask.map(|ask| ReplyTo { agent: outgoing.from, ask });
        let refused = if self.admit(from, to, who, bytes) {
            let credit = Credit { node: from, life, bytes };
            match self.hand_over(to, outgoing, Some(credit)) {
                Delivered::Yes => None,
                Delivered::No(_, why) => {
                    self.free(to, who, credit);
                    Some(why)
                }
            }
        } else if self.bounds_here(to, who).is_some() {
            // The sender kept no account of what it may send: a bug of the credits themselves.
            self.nodes[to as usize].bury(Reason::Refused, 1);
            self.fail("a node sends no more than it has credit for", format!("to {who}"));
            Some(RefusedBecause::Full)
        } else {
            self.nodes[to as usize].bury(Reason::NoSuchAgent, 1);
            let freed = Amount { messages: 1, bytes };
            self.leave(to, from, Frame::Grant { to: who, freed, share: OPENING });
            Some(RefusedBecause::Unknown)
        };
        if let (Some(why), Some(question)) = (refused, question) {
            let answer = Err(AskError::Refused(why));
            self.leave(to, from, Frame::Answer { to: question, from: who, answer });
        }
    }

    fn hand_over(&mut self, node: u32, outgoing: Outgoing, credit: Option<Credit>) -> Delivered {
        let Outgoing { from, to, ask, body, bytes, hash, lane } = outgoing;
        let happened =
            Happened { at: self.now, to, what: What::Arrived, detail: from.0, payload: hash };
        self.trace.note(happened);
        let Some(seat) = self.seat_on(node, to) else {
            self.nodes[node as usize].bury(Reason::NoSuchAgent, 1);
            self.tell_lost(from, to, hash, "nobody is there");
            return Delivered::No(lane, RefusedBecause::Unknown);
        };
        let envelope = Envelope { from, ask, body };
        self.push(node, seat, to, Letter { envelope, weight: bytes as usize, hash, credit })
    }

    /// The bounds of an agent of this node, if it is there.
    fn bounds_here(&self, node: u32, who: AgentId) -> Option<MailboxBounds> {
        match self.seat_on(node, who)? {
            Seat::Port(_) => Some(MailboxBounds::DEFAULT),
            Seat::Agent(slot) => {
                let resident = self.resident(slot).filter(|it| it.is_here())?;
                Some(resident.plan.options.mailbox)
            }
        }
    }

    /// Whether a node has a place for one more message to an agent.
    fn admit(&mut self, from: u32, to: u32, who: AgentId, bytes: u64) -> bool {
        let Some((pair, way)) = self.links.find(from, to) else { return false };
        self.open_quota(from, to, who);
        let way = &mut self.links.pairs[pair as usize].ways[way];
        way.quotas.get_mut(&who).is_some_and(|quota| quota.admit(bytes))
    }

    /// How many nodes share the mailboxes of each: those of the deployment, of which no more come.
    /// If clients counted, a node's next life could have less to give than others had from the one
    /// before.
    fn deployed(&self) -> usize {
        self.nodes.iter().filter(|node| node.id.0 < CLIENTS).count().max(1)
    }

    /// Makes a place for a node's messages to an agent, if there is none and the agent exists.
    fn open_quota(&mut self, from: u32, to: u32, who: AgentId) {
        let Some((pair, way)) = self.links.find(from, to) else { return };
        if self.links.pairs[pair as usize].ways[way].quotas.contains_key(&who) {
            return;
        }
        let Some(bounds) = self.bounds_here(to, who) else { return };
        let share = credit::share(&bounds, self.deployed() - 1);
        let way = &mut self.links.pairs[pair as usize].ways[way];
        way.clean_quotas();
        way.quotas.insert(who, Quota::new(share));
        let freed = Amount::default();
        self.leave(to, from, Frame::Grant { to: who, freed, share });
    }

    /// A probe has come in one lane.
    pub(super) fn accept_probe_of(
        &mut self,
        from: u32,
        to: u32,
        who: AgentId,
        round: u64,
        lane: Lane,
    ) {
        // What comes in the other lanes before their probes must be counted.
        self.open_quota(from, to, who);
        let Some((pair, way)) = self.links.find(from, to) else { return };
        let quota = self.links.pairs[pair as usize].ways[way].quotas.get_mut(&who);
        let held = match quota {
            Some(quota) => {
                let share = quota.share();
                let held = quota.probe(round, lane as usize);
                if held.is_some() {
                    // What it was told of it may have been lost with the session.
                    let freed = Amount::default();
                    self.leave(to, from, Frame::Grant { to: who, freed, share });
                }
                held
            }
            // Where there is no agent nothing is ever held. One answer is enough.
            None => (lane == Lane::Bulk).then(Amount::default),
        };
        if let Some(held) = held {
            self.leave(to, from, Frame::Held { to: who, round, held });
        }
    }

    /// A message has left a mailbox: its place is given back to the node that had it.
    pub(crate) fn free(&mut self, node: u32, who: AgentId, credit: Credit) {
        let Credit { node: from, life, bytes } = credit;
        if self.nodes[from as usize].life != life {
            // What was granted to an earlier life is no longer owed.
            return;
        }
        let Some((pair, way)) = self.links.find(from, node) else { return };
        let way = &mut self.links.pairs[pair as usize].ways[way];
        let Some(quota) = way.quotas.get_mut(&who) else { return };
        let share = quota.share();
        if let Some(freed) = quota.free(bytes) {
            self.leave(node, from, Frame::Grant { to: who, freed, share });
        }
    }

    /// The same for several, which have left the mailbox of the agent at this place.
    pub(crate) fn free_all(&mut self, node: u32, slot: u32, letters: &[Letter]) {
        let Some(who) = self.resident(slot).map(|resident| resident.cell.id()) else { return };
        for credit in letters.iter().filter_map(|letter| letter.credit) {
            self.free(node, who, credit);
        }
    }

    /// Places are given back to a node that needs them no more.
    pub(crate) fn give_back(&mut self, from: u32, at: u32, to: AgentId, freed: Amount) {
        let Some((pair, way)) = self.links.find(from, at) else { return };
        let way = &self.links.pairs[pair as usize].ways[way];
        let Some(share) = way.accounts.get(&to).map(|account| account.allowance.share()) else {
            return;
        };
        self.credited(from, at, to, |allowance| allowance.granted(freed, share));
    }

    fn credited(&mut self, node: u32, at: u32, to: AgentId, change: impl FnOnce(&mut Allowance)) {
        let Some((pair, way)) = self.links.find(node, at) else { return };
        let way = &mut self.links.pairs[pair as usize].ways[way];
        let Some(account) = way.accounts.get_mut(&to) else { return };
        change(&mut account.allowance);
        self.flush(node, at, to);
    }

    fn accept_probe(&mut self, from: u32, to: u32, who: AgentId, round: u64) {
        let Some((pair, way)) = self.links.find(from, to) else { return };
        let way = &mut self.links.pairs[pair as usize].ways[way];
        // This parcel stands for the probes of all three lanes: it came behind all of them.
        let (held, share) = match way.quotas.get_mut(&who) {
            Some(quota) => {
                let held = (0..3).filter_map(|lane| quota.probe(round, lane)).next_back();
                (held, Some(quota.share()))
            }
            // Where there is no agent nothing is ever held.
            None => (Some(Amount::default()), None),
        };
        if let Some(share) = share {
            // What it was told of it may have been lost with the session.
            self.leave(to, from, Frame::Grant { to: who, freed: Amount::default(), share });
        }
        if let Some(held) = held {
            self.leave(to, from, Frame::Held { to: who, round, held });
        }
    }

    fn accept_down(&mut self, from: u32, to: u32, who: AgentId, why: Down) {
        let Some((pair, way)) = self.links.find(to, from) else { return };
        let watches = &mut self.links.pairs[pair as usize].ways[way].watches;
        for watcher in watches.down(who, why) {
            self.tell_on(to, watcher, Event::Down(who, why));
        }
    }
}
