//! The model `naive`, for comparison: the token of the left neighbour is its number, and whoever
//! gets it sends the next one to all. Nobody confirms anything, and there are no views.
//!
//! ```text
//! 1 ══ index 1 ══▶ all      2 hears its left neighbour:      2 ══ index 2 ══▶ all
//! ```
//!
//! As long as nothing is lost and nobody dies, all count the same. If something is, those that it
//! did not come to count less, and if it was the token, nobody sends ever again.
//!
//! Stages end by each member's own clock: the first member says when to begin, once all are there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use dx_agents::{Agent, AgentId, Context, TimerKey};

use super::{Command, Plan, Stage, Tally};
use crate::message::{ModelMessage, RingMessage};
use crate::view::{Life, ViewId};

/// A member of a naive run. It speaks like others, though not with them.
#[derive(Debug)]
pub struct NaiveMember {
    members: Vec<AgentId>,
    plan: Plan,
    stage: Stage,
    me: AgentId,
    /// Members that said that they are there.
    here: BTreeSet<AgentId>,
    /// Numbers that came before what precedes them.
    early: BTreeMap<u64, (AgentId, Bytes)>,
    /// The index of the latest number that is in the tally.
    index: u64,
    tally: Tally,
    /// Numbers that this member sent.
    sent: u64,
    /// The last of them, and its index.
    latest: Option<(u64, f64)>,
    /// Numbers that were there when the last turn began.
    before: u64,
}

/// A member says that it is there.
const HERE: TimerKey = TimerKey(1 << 40);
/// A stage may end.
const TURN: TimerKey = TimerKey(2 << 40);
/// A member alone is its own neighbour.
const ALONE: TimerKey = TimerKey(3 << 40);

/// How often it does, until it hears that all are.
const HERE_EVERY: Duration = Duration::from_millis(100);
/// How often a member alone sends.
const ALONE_EVERY: Duration = Duration::from_micros(200);
/// Numbers that may wait for what precedes them; then that is given up.
const MOST_EARLY: usize = 4096;

impl NaiveMember {
    /// One that has not begun.
    #[must_use]
    pub fn new(mut members: Vec<AgentId>, plan: Plan) -> Self {
        members.sort_unstable();
        members.dedup();
        Self {
            members,
            plan,
            stage: Stage::Start,
            me: AgentId::default(),
            here: BTreeSet::new(),
            early: BTreeMap::new(),
            index: 0,
            tally: Tally::default(),
            sent: 0,
            latest: None,
            before: 0,
        }
    }

    /// Whether all members come to the same: not if anything is lost.
    #[must_use]
    pub const fn guarantees_agreement(&self) -> bool {
        false
    }

    /// What the run is at.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What was counted so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What the run came to here, once it is over.
    #[must_use]
    pub fn result(&self) -> Option<Tally> {
        (self.stage == Stage::Stop).then_some(self.tally)
    }

    /// How many numbers this member has sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The last number that this member sent, and its index.
    #[must_use]
    pub fn latest(&self) -> Option<(u64, f64)> {
        self.latest
    }

    fn first(&self) -> AgentId {
        self.members.first().copied().unwrap_or_default()
    }

    /// The member so many places to the right in the ring.
    fn neighbour(&self, right: usize) -> AgentId {
        let count = self.members.len();
        let at = self.members.iter().position(|id| *id == self.me).unwrap_or(0);
        self.members[(at + right) % count]
    }

    /// How many members send: those with the lowest ids.
    fn senders(&self) -> usize {
        self.plan.senders.min(self.members.len())
    }

    fn others(&self) -> Vec<AgentId> {
        self.members.iter().copied().filter(|id| *id != self.me).collect()
    }

    fn view(&self) -> ViewId {
        ViewId { number: 1, coordinator: self.first(), life: Life::default() }
    }

    /// If all are there, the first member says so, and is the first to send.
    fn begin_if_complete(&mut self, cx: &mut Context) {
        let is_complete = self.here.len() + 1 == self.members.len();
        if self.stage == Stage::Start && self.me == self.first() && is_complete {
            cx.send_many(&self.others(), &RingMessage::Beat { view: self.view() });
            self.enter(Stage::Send, cx);
            self.speak(0, cx);
        }
    }

    fn enter(&mut self, stage: Stage, cx: &mut Context) {
        self.stage = stage;
        match stage {
            Stage::Start => {}
            Stage::Send => cx.set_timer(TURN, self.plan.send_for),
            Stage::Grace => cx.set_timer(TURN, self.plan.grace_for),
            Stage::Stop => {
                for (index, (origin, bytes)) in std::mem::take(&mut self.early) {
                    self.count(index, origin, &bytes);
                }
            }
        }
    }

    /// It has the token, and `index` is that of the latest number.
    fn speak(&mut self, index: u64, cx: &mut Context) {
        let is_sender = self.members[..self.senders()].contains(&self.me);
        let view = self.view();
        if !is_sender || self.plan.messages.is_some_and(|messages| self.sent >= messages) {
            let message = ModelMessage::Number { index, bytes: Bytes::new() };
            let right = self.neighbour(1);
            if right != self.me {
                cx.send(right, RingMessage::Model { view, message });
            }
            return;
        }
        self.sent += 1;
        let Plan { seed, size, .. } = self.plan;
        let data = Command::data(seed, self.me, self.sent);
        if let Command::Data(value) = data {
            self.latest = Some((index + 1, value));
        }
        let bytes = data.encode(size);
        let message = ModelMessage::Number { index: index + 1, bytes: bytes.clone() };
        cx.send_many(&self.others(), &RingMessage::Model { view, message });
        self.came(self.me, index + 1, bytes, cx);
        if self.members.len() == 1 {
            cx.set_timer(ALONE, ALONE_EVERY);
        }
    }

    fn on_number(&mut self, from: AgentId, index: u64, bytes: Bytes, cx: &mut Context) {
        if self.stage == Stage::Start {
            // They have begun, and this member has not heard of it; or it was another life that did.
            self.enter(Stage::Send, cx);
        }
        if !bytes.is_empty() {
            self.came(from, index, bytes, cx);
        }
        if self.stage == Stage::Send && from == self.neighbour(self.members.len() - 1) {
            self.speak(index, cx);
        }
    }

    /// Numbers come from several members, and so not always in the order of their indices.
    fn came(&mut self, origin: AgentId, index: u64, bytes: Bytes, cx: &mut Context) {
        if self.stage == Stage::Stop || index <= self.index {
            return;
        }
        self.early.insert(index, (origin, bytes));
        while let Some(entry) = self.early.first_entry() {
            let index = *entry.key();
            if index != self.index + 1 && self.early.len() <= MOST_EARLY {
                break;
            }
            let Some((index, (origin, bytes))) = self.early.pop_first() else { break };
            self.count(index, origin, &bytes);
        }
        let senders = self.senders() as u64;
        let has_all = self.plan.messages.is_some_and(|it| self.tally.count == it * senders);
        if has_all && self.stage == Stage::Send {
            self.enter(Stage::Grace, cx);
        }
    }

    fn count(&mut self, index: u64, origin: AgentId, bytes: &[u8]) {
        self.index = index;
        if let Some(Command::Data(value)) = Command::decode(bytes) {
            self.tally.add(origin, value, bytes);
        }
    }

    /// The time of a stage has passed. A given number of messages is waited for as long as any
    /// come.
    fn turn(&mut self, cx: &mut Context) {
        let came = self.tally.count + self.early.len() as u64;
        let goes_on = self.plan.messages.is_some() && came > self.before;
        self.before = came;
        match self.stage {
            Stage::Send if goes_on => cx.set_timer(TURN, self.plan.send_for),
            Stage::Send => self.enter(Stage::Grace, cx),
            Stage::Grace => self.enter(Stage::Stop, cx),
            Stage::Start | Stage::Stop => {}
        }
    }

    fn say_here(&mut self, cx: &mut Context) {
        if self.stage == Stage::Start {
            let life = Life { node: cx.incarnation().0, restarts: cx.restarts() };
            cx.send_many(&self.others(), &RingMessage::Seek { life, promised: 0 });
            cx.set_timer(HERE, HERE_EVERY);
        }
    }
}

impl Agent for NaiveMember {
    type Message = RingMessage;

    fn start(&mut self, cx: &mut Context) {
        self.me = cx.me();
        self.say_here(cx);
        self.begin_if_complete(cx);
    }

    fn message(&mut self, from: AgentId, message: RingMessage, cx: &mut Context) {
        if !self.members.contains(&from) {
            return;
        }
        match message {
            RingMessage::Seek { .. } => {
                self.here.insert(from);
                self.begin_if_complete(cx);
            }
            RingMessage::Beat { .. } if self.stage == Stage::Start => self.enter(Stage::Send, cx),
            RingMessage::Model { message: ModelMessage::Number { index, bytes }, .. } => {
                self.on_number(from, index, bytes, cx);
            }
            _ => {}
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        match key {
            HERE => self.say_here(cx),
            TURN => self.turn(cx),
            ALONE if self.stage == Stage::Send => self.speak(self.index, cx),
            _ => {}
        }
    }
}
