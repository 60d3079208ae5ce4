//! What comes from other nodes, on its way to agents. Runs on the I/O thread and waits for nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dx_transport::id::{Incarnation, NodeId};
use dx_transport::{Batch, Message as Received};
use rustc_hash::FxHashMap;

use crate::event::{Answer, AskError, Credit, Down, Event, RefusedBecause};
use crate::id::{AgentId, AskId, ReplyTo};
use crate::lane::Lane;
use crate::mesh::link::Link;
use crate::mesh::links::Links;
use crate::mesh::seat::Seat;
use crate::mesh::wire::{Amount, BadFrame, Content, Frame, Head};
use crate::message::{Body, Wire};
use crate::remote::credit::{self, OPENING};
use crate::remote::parcel;
use crate::runtime::Reason;
use crate::runtime::mailbox::Weighed;
use crate::runtime::shared::{Letter, Shared};
use crate::runtime::worker::{AtOnce, Worker};

/// Agents of which a node may have messages waiting, or be owed credit.
pub const MAX_SEATS: usize = 65_536;
/// Agents of whose end a node may want to be told.
pub const MAX_WATCHED: usize = 65_536;

/// See the module.
pub struct Intake {
    agents: Arc<Shared>,
    links: Arc<Links>,
    sources: FxHashMap<NodeId, Source>,
    /// Kept between batches for its buffer.
    run: VecDeque<Weighed>,
}

/// A node that sends.
struct Source {
    link: Arc<Link>,
    incarnation: Incarnation,
    places: FxHashMap<AgentId, Place>,
    /// Places at which the last cleaning stopped.
    kept: usize,
}

/// What a node has with one agent.
struct Place {
    seat: Arc<Seat>,
    /// Of lives before, with messages that wait still.
    former: Vec<Arc<Seat>>,
}

impl Intake {
    pub fn new(agents: Arc<Shared>, links: Arc<Links>) -> Self {
        Self { agents, links, sources: FxHashMap::default(), run: VecDeque::new() }
    }

    /// Passes a batch on.
    pub fn take(&mut self, batch: &Batch, worker: &mut Worker) {
        let node = batch.peer();
        let Some(link) = self.links.find(node) else { return };
        let incarnation = batch.incarnation();
        let source = self.sources.entry(node).or_insert_with(|| Source::new(link, incarnation));
        if !source.live(incarnation) {
            self.agents.dead_letters.add(Reason::FormerLife, messages(batch));
            return;
        }
        worker.arrived();
        // Lanes are those that this crate configured.
        let lane = Lane::ALL[batch.lane().index()];
        let mut desk = Desk {
            agents: &self.agents,
            links: &self.links,
            source,
            lane,
            worker,
            vouched: None,
            to: None,
            hearing: None,
            run: &mut self.run,
        };
        for message in batch {
            if let Err(bad) = desk.take(message) {
                let violations = desk.source.link.violations.fetch_add(1, Ordering::Relaxed);
                if violations == 0 {
                    tracing::warn!("node {node} sent what is no frame: {bad}");
                }
            }
        }
        desk.attend(None);
    }
}

impl Source {
    fn new(link: Arc<Link>, incarnation: Incarnation) -> Self {
        Self { link, incarnation, places: FxHashMap::default(), kept: 0 }
    }

    /// The node lives this life: what was granted to an earlier one is no longer owed. False if a
    /// later one was heard of, which can come first in another lane: with a seat for each turn from
    /// life to life, a probe of which some lanes were counted before would never be answered.
    fn live(&mut self, incarnation: Incarnation) -> bool {
        if self.incarnation >= incarnation {
            return self.incarnation == incarnation;
        }
        self.incarnation = incarnation;
        for (&agent, place) in &mut self.places {
            let share = place.seat.share();
            let seat = Seat::new(agent, Arc::clone(&self.link), incarnation, share);
            let former = std::mem::replace(&mut place.seat, seat);
            former.end();
            place.former.push(former);
            place.former.retain(|seat| seat.held().messages > 0);
        }
        true
    }

    /// What the node has with `agent`, if there is no more to it than that seat.
    fn seat(&mut self, agents: &Shared, links: &Links, agent: AgentId) -> Option<Arc<Seat>> {
        let place = self.place(agents, links, agent)?;
        place.former.is_empty().then(|| Arc::clone(&place.seat))
    }

    /// The seat for one more message to `agent`; `None` if the node has no place for it.
    #[inline]
    fn admit(
        &mut self,
        agents: &Shared,
        links: &Links,
        agent: AgentId,
        bytes: u64,
    ) -> Option<Arc<Seat>> {
        let place = self.place(agents, links, agent)?;
        if !place.former.is_empty() {
            let former: u64 = place.former.iter().map(|seat| seat.held().messages).sum();
            // A life that begins knows nothing of what the one before left: together they may have
            // two shares. A node cannot fill memory by restarting.
            if former + place.seat.held().messages >= 2 * place.seat.share().messages {
                return None;
            }
        }
        place.seat.admit(bytes).then(|| Arc::clone(&place.seat))
    }

    fn place(&mut self, agents: &Shared, links: &Links, agent: AgentId) -> Option<&mut Place> {
        if !self.places.contains_key(&agent) {
            self.open(agents, links, agent);
        }
        let place = self.places.get_mut(&agent)?;
        if !place.former.is_empty() {
            place.former.retain(|seat| seat.held().messages > 0);
        }
        Some(place)
    }

    /// Makes a seat with an agent, if it exists, there is none, and the node has not too many.
    fn open(&mut self, agents: &Shared, links: &Links, agent: AgentId) {
        if self.places.contains_key(&agent) {
            return;
        }
        let Some(bounds) = agents.routes.bounds(agent) else { return };
        if self.places.len() > 2 * self.kept + MIN_PLACES || self.places.len() >= MAX_SEATS {
            self.places.retain(|_, place| {
                place.former.retain(|seat| seat.held().messages > 0);
                !place.seat.clear() || !place.former.is_empty()
            });
            self.kept = self.places.len();
        }
        if self.places.len() < MAX_SEATS {
            let share = credit::share(&bounds, links.len());
            let seat = Seat::new(agent, Arc::clone(&self.link), self.incarnation, share);
            self.places.insert(agent, Place { seat, former: Vec::new() });
        }
    }
}

/// Where the frames of one batch are dealt with.
struct Desk<'a> {
    agents: &'a Arc<Shared>,
    links: &'a Arc<Links>,
    source: &'a mut Source,
    lane: Lane,
    worker: &'a mut Worker,
    /// An agent for which the node may speak.
    vouched: Option<AgentId>,
    /// Whom the messages at hand are for.
    to: Option<AgentId>,
    /// That agent, if it hears them at once.
    hearing: Option<Hearing>,
    /// Those that it gets together later.
    run: &'a mut VecDeque<Weighed>,
}

/// An agent that hears messages at once.
struct Hearing {
    turn: AtOnce,
    /// What the node has with it.
    seat: Arc<Seat>,
    /// Whether a message has passed that seat since the agent is attended to.
    has_passed: bool,
}

impl Desk<'_> {
    fn take(&mut self, message: Received<'_>) -> Result<(), BadFrame> {
        let frame = Frame::read(message.as_slice())?;
        if !matches!(frame, Frame::Content(Head::Tell { .. } | Head::Ask { .. }, _)) {
            // It comes after the messages at hand.
            self.attend(None);
        }
        match frame {
            Frame::Content(head, content) => self.content(head, content, message),
            Frame::Failed { to, from, error } => {
                if self.vouch(from) {
                    self.answer(to, Err(error));
                }
            }
            Frame::Watch(who) => self.watch(who),
            Frame::Unwatch(who) => {
                self.source.link.watched().remove(&who);
                self.agents.watch_here(self.watcher(), who, false);
            }
            Frame::Down(who, why) => {
                if self.vouch(who) {
                    self.down(who, why);
                }
            }
            Frame::Grant { life, to, freed, share } => {
                if life == self.agents.incarnation {
                    self.source.link.granted(to, freed, share);
                }
            }
            Frame::Probe { to, round } => self.probe(to, round),
            Frame::Held { life, to, round, held } => {
                if life == self.agents.incarnation {
                    self.source.link.settled(to, round, held);
                }
            }
        }
        Ok(())
    }

    /// Whether the node may speak for an agent: only for its own.
    fn vouch(&mut self, from: AgentId) -> bool {
        if self.vouched == Some(from) {
            return true;
        }
        let is_own = self.agents.directory.node_of(from) == Some(self.source.link.node);
        if is_own {
            self.vouched = Some(from);
        } else {
            self.agents.dead_letters.add(Reason::Forged, 1);
            self.source.link.violations.fetch_add(1, Ordering::Relaxed);
        }
        is_own
    }

    fn content(&mut self, head: Head, content: Content<'_>, message: Received<'_>) {
        let (to, from, ask) = match head {
            Head::Tell { to, from } => (to, from, None),
            Head::Ask { to, from, ask } => (to, from, Some(ask)),
            Head::Reply { to, from } => {
                if self.vouch(from) {
                    let body = parcel::read(content, message, self.lane).into();
                    self.answer(to, Ok(Answer { from, body }));
                }
                return;
            }
        };
        if !self.vouch(from) {
            return;
        }
        self.attend(Some(to));
        let bytes = content.value.len() + content.body.len();
        let delivered = match &mut self.hearing {
            Some(it) if !it.seat.pass(bytes as u64, it.has_passed) => {
                Err(self.turn_away(to, bytes))
            }
            Some(it) => {
                it.has_passed = true;
                let raw = parcel::raw(content, message);
                if !self.worker.hear_at_once(&mut it.turn, (from, ask), raw) {
                    self.take_turns(to);
                }
                Ok(())
            }
            None => self.deliver((from, ask), to, content, message),
        };
        if let (Err(why), Some(ask)) = (delivered, ask) {
            let (question, error) = (ReplyTo { agent: from, ask }, AskError::Refused(why));
            self.source.link.say(&Frame::Failed { to: question, from: to, error });
        }
    }

    /// From now on messages are for `to`. Whom they were for before has them first.
    #[inline]
    fn attend(&mut self, to: Option<AgentId>) {
        if self.to != to {
            self.attend_another(to);
        }
    }

    fn attend_another(&mut self, to: Option<AgentId>) {
        if let Some(Hearing { turn, .. }) = self.hearing.take() {
            self.worker.end_at_once(turn);
        }
        self.hand_over();
        self.to = to;
        if let Some(to) = to
            && let Some(seat) = self.source.seat(self.agents, self.links, to)
        {
            let turn = self.worker.begin_at_once(to);
            self.hearing = turn.map(|turn| Hearing { turn, seat, has_passed: false });
        }
    }

    /// A turn is over. The next is that of the same agent, unless others wait for theirs.
    fn take_turns(&mut self, to: AgentId) {
        if let Some(Hearing { turn, seat, has_passed }) = self.hearing.take() {
            self.worker.end_at_once(turn);
            let turn = self.worker.begin_at_once(to);
            self.hearing = turn.map(|turn| Hearing { turn, seat, has_passed });
        }
    }

    /// A message goes to its agent's mailbox.
    fn deliver(
        &mut self,
        (from, ask): (AgentId, Option<AskId>),
        to: AgentId,
        content: Content<'_>,
        message: Received<'_>,
    ) -> Result<(), RefusedBecause> {
        let bytes = content.value.len() + content.body.len();
        let Some(seat) = self.source.admit(self.agents, self.links, to, bytes as u64) else {
            return Err(self.turn_away(to, bytes));
        };
        let wire = Wire {
            encoded: parcel::read(content, message, self.lane),
            credit: Some(Credit::new(seat, bytes)),
        };
        let body = Body::Wire(Box::new(wire));
        if ask.is_some() {
            self.hand_over();
            return self.worker.deliver(Letter { from, to, ask, body });
        }
        self.run.push_back(Weighed::new(from, body));
        Ok(())
    }

    /// Gives the agent its messages, before anything that came after them is dealt with.
    fn hand_over(&mut self) {
        if let Some(to) = self.to.filter(|_| !self.run.is_empty()) {
            self.worker.deliver_run(to, self.run);
        }
    }

    /// A message has no place: the agent does not exist, or the node sent more than it may.
    fn turn_away(&self, to: AgentId, bytes: usize) -> RefusedBecause {
        // Either way it takes no place, and its sender counts with one.
        let share = self.source.places.get(&to).map_or(OPENING, |place| place.seat.share());
        let freed = Amount { messages: 1, bytes: bytes as u64 };
        let life = self.source.incarnation;
        self.source.link.say(&Frame::Grant { life, to, freed, share });
        if self.agents.routes.bounds(to).is_some() {
            self.source.link.violations.fetch_add(1, Ordering::Relaxed);
            self.agents.dead_letters.add(Reason::Refused, 1);
            return RefusedBecause::Full;
        }
        self.agents.dead_letters.add(Reason::NoSuchAgent, 1);
        RefusedBecause::Unknown
    }

    fn answer(&mut self, to: ReplyTo, answer: Result<Answer, AskError>) {
        let is_open = self.links.asks().answer(to);
        if !is_open || !self.worker.tell(to.agent, Event::Reply(to.ask, answer)) {
            self.agents.dead_letters.add(Reason::LateAnswer, 1);
        }
    }

    /// Stands for the whole node among the watchers of an agent: one entry, however many of its
    /// agents watch. No single agent of another node is ever among them.
    fn watcher(&self) -> AgentId {
        AgentId::dynamic(self.source.link.node, 0)
    }

    fn watch(&mut self, who: AgentId) {
        {
            let mut watched = self.source.link.watched();
            if watched.len() >= MAX_WATCHED && !watched.contains(&who) {
                self.source.link.violations.fetch_add(1, Ordering::Relaxed);
                return;
            }
            watched.insert(who);
        }
        if !self.agents.watch_here(self.watcher(), who, true) {
            self.source.link.watched().remove(&who);
            self.source.link.say(&Frame::Down(who, Down::Unknown));
        }
    }

    fn down(&mut self, who: AgentId, why: Down) {
        let watchers = self.links.watchers(self.source.link.node, who, why);
        for watcher in watchers {
            self.worker.tell(watcher, Event::Down(who, why));
        }
    }

    fn probe(&mut self, to: AgentId, round: u64) {
        let lane = self.lane as usize;
        // What comes in the other lanes before their probes must be counted.
        self.source.open(self.agents, self.links, to);
        let held = match self.source.places.get(&to) {
            Some(place) => {
                let held = place.seat.probe(round, lane);
                if held.is_some() {
                    // What it was told of its share may have been lost with the session: then it
                    // would wait for places to be given back that this side does not see it need.
                    place.seat.announce();
                }
                held
            }
            // Where there is no agent nothing is ever held. One answer is enough.
            None => (self.lane == Lane::Bulk).then(Amount::default),
        };
        if let Some(held) = held {
            let life = self.source.incarnation;
            self.source.link.say(&Frame::Held { life, to, round, held });
        }
    }
}

/// How many of a batch's frames are for agents; the others say how the sender stood.
fn messages(batch: &Batch) -> u64 {
    let is_content = |it: &Received<'_>| {
        matches!(Frame::read(it.as_slice()), Ok(Frame::Content(..) | Frame::Failed { .. }))
    };
    batch.into_iter().filter(is_content).count() as u64
}

/// Agents that are remembered for a node before those with nothing waiting are forgotten.
const MIN_PLACES: usize = 1024;
