//! The replica of a run.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dx_agents::message::{Encoded, tag};
use dx_agents::{AgentId, Lane, Message};
use serde::{Deserialize, Serialize};

use super::{Command, Plan, Tally};
use crate::member::{Replica, Ring};
use crate::output::Delivery;
use crate::view::{Life, View};

/// What a run is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// Members come together.
    #[default]
    Start,
    /// They send.
    Send,
    /// They say that they have sent all.
    Grace,
    /// It is over.
    Stop,
}

/// See the module.
pub struct Runner {
    plan: Plan,
    state: State,
    /// The number of the next own message; none before this life is in the view in effect.
    next: Option<u64>,
    has_said_done: bool,
    has_said_fin: bool,
}

/// What is the same at all members at the same place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    stage: Stage,
    view: Option<View>,
    tally: Tally,
    /// Numbers delivered of each origin.
    numbers: BTreeMap<AgentId, u64>,
    done: BTreeSet<AgentId>,
    fin: BTreeSet<(AgentId, Life)>,
    result: Option<Tally>,
}

impl Message for State {
    const NAME: &'static str = "ring-run-state";
}

/// The coordinator's timer.
const TURN: u32 = 1;

impl Runner {
    /// One that has heard nothing yet.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let state = State::default();
        Self { plan, state, next: None, has_said_done: false, has_said_fin: false }
    }

    /// What the run is at.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.state.stage
    }

    /// What was delivered so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.state.tally
    }

    /// What the run came to, once it is over.
    #[must_use]
    pub fn result(&self) -> Option<Tally> {
        self.state.result.filter(|_| self.state.stage == Stage::Stop)
    }

    /// How many numbers this member has broadcast, with those delivered of its former lives.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.next.map_or(0, |next| next - 1)
    }

    /// The view in effect.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        self.state.view.as_ref()
    }

    /// Whether `id` is among those that send.
    fn sends(&self, id: AgentId) -> bool {
        let roll = self.state.view.iter().flat_map(|view| &view.roll);
        roll.take(self.plan.senders).any(|seat| seat.id == id)
    }

    /// A stage begins here, or this member becomes the one that ends it: it does so in time.
    fn arm(&mut self, ring: &mut Ring<'_>) {
        if self.state.view.as_ref().is_none_or(|view| view.first() != ring.me()) {
            return;
        }
        match self.state.stage {
            Stage::Start => say(ring, Command::Send),
            Stage::Send if self.plan.messages.is_some() => self.end_if_done(ring),
            Stage::Send => ring.set_timer(TURN, self.plan.send_for),
            Stage::Grace => ring.set_timer(TURN, self.plan.grace_for),
            Stage::Stop => {}
        }
    }

    fn end_if_done(&mut self, ring: &mut Ring<'_>) {
        let Some(view) = &self.state.view else { return };
        let is_done = |id| self.state.done.contains(&id) || !self.sends(id);
        if view.first() == ring.me() && view.members().all(is_done) {
            say(ring, Command::Grace);
        }
    }

    /// Broadcasts what the ring takes.
    fn send(&mut self, ring: &mut Ring<'_>) {
        let (me, Plan { seed, size, messages, .. }) = (ring.me(), &self.plan);
        let (seed, size, messages) = (*seed, *size, *messages);
        if self.state.stage != Stage::Send || !self.sends(me) {
            return;
        }
        let Some(mut next) = self.next else { return };
        while messages.is_none_or(|messages| next <= messages) {
            if ring.broadcast(Command::data(seed, me, next).encode(size)).is_err() {
                break;
            }
            next += 1;
        }
        self.next = Some(next);
        if messages.is_some_and(|messages| next > messages) && !self.has_said_done {
            self.has_said_done = ring.broadcast(Command::Done.encode(0)).is_ok();
        }
    }

    /// Says FIN, once it is in the view; again later, if there is no room.
    fn finish(&mut self, ring: &mut Ring<'_>) {
        if self.state.stage >= Stage::Grace && self.next.is_some() && !self.has_said_fin {
            self.has_said_fin = ring.broadcast(Command::Fin.encode(0)).is_ok();
        }
    }

    /// Whether the result ends here.
    fn conclude(&mut self) {
        let State { view, fin, result, tally, .. } = &mut self.state;
        let Some(view) = view.as_ref().filter(|_| result.is_none()) else { return };
        let mut members = view.roll.iter().filter(|seat| seat.is_in);
        if members.all(|seat| fin.contains(&(seat.id, seat.life))) {
            *result = Some(*tally);
        }
    }

    fn enter(&mut self, stage: Stage, ring: &mut Ring<'_>) {
        // Only the next one: others come from a coordinator that was late, or are repeated.
        if self.state.stage as u8 + 1 == stage as u8 {
            self.state.stage = stage;
            self.arm(ring);
            self.send(ring);
            self.finish(ring);
        }
    }
}

impl Replica for Runner {
    fn deliver(&mut self, delivery: &Delivery, ring: &mut Ring<'_>) {
        let Delivery { origin, life, payload, .. } = delivery;
        match Command::decode(payload) {
            Some(Command::Data(value)) => {
                *self.state.numbers.entry(*origin).or_default() += 1;
                self.state.tally.add(*origin, value, payload);
            }
            Some(Command::Send) => self.enter(Stage::Send, ring),
            Some(Command::Grace) => self.enter(Stage::Grace, ring),
            Some(Command::Stop) => self.enter(Stage::Stop, ring),
            Some(Command::Done) => {
                self.state.done.insert(*origin);
                if self.state.stage == Stage::Send {
                    self.end_if_done(ring);
                }
            }
            Some(Command::Fin) => {
                self.state.fin.insert((*origin, *life));
                self.conclude();
            }
            None => {}
        }
    }

    fn snapshot(&self) -> Bytes {
        Encoded::of(&self.state).expect("a run's state is small").value
    }

    fn restore(&mut self, snapshot: Bytes, _view: Option<&View>, _ring: &mut Ring<'_>) {
        let (lane, body) = (Lane::Normal, Bytes::new());
        let encoded = Encoded { tag: tag(State::NAME), lane, value: snapshot, body };
        self.state = encoded.decode().expect("it is what another member's snapshot made");
    }

    fn view(&mut self, _seq: u64, view: &View, ring: &mut Ring<'_>) {
        let me = ring.me();
        self.state.view = Some(view.clone());
        // Who is admitted anew may send again what was delivered of its former life.
        for seat in view.roll.iter().filter(|seat| seat.is_in) {
            if seat.id == me && seat.life == ring.life() && self.next.is_none() {
                self.next = Some(self.state.numbers.get(&me).copied().unwrap_or(0) + 1);
            }
        }
        self.conclude();
        self.arm(ring);
        self.send(ring);
        self.finish(ring);
    }

    fn timer(&mut self, _key: u32, ring: &mut Ring<'_>) {
        let is_first = self.state.view.as_ref().is_some_and(|view| view.first() == ring.me());
        match self.state.stage {
            Stage::Start if is_first => say(ring, Command::Send),
            Stage::Send if is_first => say(ring, Command::Grace),
            Stage::Grace if is_first => say(ring, Command::Stop),
            _ => {}
        }
    }

    fn room(&mut self, ring: &mut Ring<'_>) {
        self.send(ring);
        self.finish(ring);
    }
}

/// A command may find no room: it is said again.
fn say(ring: &mut Ring<'_>, command: Command) {
    if ring.broadcast(command.encode(0)).is_err() {
        ring.set_timer(TURN, AGAIN);
    }
}

/// When a command that found no room is said again; a guess.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(10);
