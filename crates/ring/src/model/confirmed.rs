//! The model `confirmed`: a token goes round and gives places; who has it sends to all, each of
//! which confirms what came; what all have confirmed, its origin approves, and only then it counts.
//!
//! ```text
//! token      1 ──▶ 2 ──▶ 3 ──▶ 1         with the next place; a few messages at each visit
//! placed     2 ══▶ 1 3
//! receipt    1 3 ──▶ 2
//! approve    2 ══▶ 1 3                    cumulative; the token says it again
//! ```
//!
//! An approval does not die with its origin: what was approved all members hold, in its place, so
//! the next view finds it with any of them.
//!
//! Everything is sent again until it is confirmed, and what comes twice counts once: messages may
//! be lost on the way.
//!
//! Who has something to send sends the same number of messages at each visit, and who has nothing
//! keeps the token until it has delivered all before it: that may make it speak. So it depends on no
//! clock who sends what in which turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use dx_agents::{AgentId, Instant};

use super::{Gap, RingModel, Stage};
use crate::batch::{Batch, Entry};
use crate::marks::Marks;
use crate::message::{ModelMessage, Payload, Token};
use crate::view::View;

/// Messages of a visit of the token; a guess: some 16 KiB of the smallest ones.
const WINDOW: usize = 256;
/// Bytes of a visit: four full batches.
const VISIT_BYTES: usize = 256 * 1024;
/// Own bytes without receipts: half of what an outbox takes.
const UNCONFIRMED_BYTES: usize = 512 * 1024;
/// Own batches without receipts: half of what an outbox takes.
const UNCONFIRMED_BATCHES: usize = 128;
/// What is not confirmed after so long is sent again, and then after twice as long, if its receiver
/// has confirmed nothing else meanwhile. A full batch to each of 16 others takes 84 ms of a link of
/// 100 Mbit/s.
const PATIENCE: Duration = Duration::from_millis(100);
/// The patience is doubled so many times at most.
const MOST_TRIES: u32 = 4;
/// How long a member with nothing to send keeps the token, as others have their say.
const REST: Duration = Duration::from_micros(200);
/// How long, after a round in which nobody had anything to send, if nobody wants it; a guess.
const SLEEP: Duration = Duration::from_millis(50);
/// Batches that came before what precedes them; more are not confirmed, so they come again.
const MOST_EARLY: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct Confirmed {
    window: usize,
    turn: Option<Turn>,
    /// The last hop of the token that came here, or left.
    hop: u64,
    /// Whether it may sleep somewhere, so that whoever wants it has to say so.
    may_sleep: bool,
    /// Whether somebody else has something to send.
    is_wanted: bool,
    passed: Option<Passed>,
    /// Own batches of an earlier view that found no place there.
    again: VecDeque<Batch>,
    /// Payload that came before what precedes it.
    early: BTreeMap<u64, Batch>,
    /// Own batches that not all have confirmed, by place.
    unconfirmed: BTreeMap<u64, Unconfirmed>,
    unconfirmed_bytes: usize,
    /// When each member last confirmed anything: who does is only slow.
    heard: BTreeMap<AgentId, Instant>,
    /// The place of the latest own batch.
    own_end: u64,
    /// Up to where each member approved what is its own.
    approvals: BTreeMap<AgentId, u64>,
    /// Up to where everything is approved.
    approved: u64,
    /// The last place that the view carried over.
    base: u64,
}

/// The token is here.
#[derive(Debug)]
struct Turn {
    token: Token,
    messages: usize,
    bytes: usize,
    /// When the others were asked what they approved.
    asked: Tries,
    /// Since when there is nothing to wait for.
    rests: Option<Instant>,
}

/// The token on its way to the successor.
#[derive(Debug)]
struct Passed {
    token: Token,
    tries: Tries,
}

#[derive(Debug)]
struct Unconfirmed {
    batch: Batch,
    missing: BTreeSet<AgentId>,
    tries: Tries,
}

/// When something was sent, and how often before.
#[derive(Clone, Copy, Debug)]
struct Tries {
    at: Instant,
    count: u32,
}

impl Tries {
    fn first(now: Instant) -> Self {
        Self { at: now, count: 0 }
    }

    /// Whether it is time for another one, which is noted.
    fn again(&mut self, now: Instant) -> bool {
        let is_due = now.since(self.at) >= PATIENCE * (1 << self.count);
        if is_due {
            *self = Self { at: now, count: (self.count + 1).min(MOST_TRIES) };
        }
        is_due
    }
}

impl Default for Confirmed {
    fn default() -> Self {
        Self::with_window(WINDOW)
    }
}

impl RingModel for Confirmed {
    fn begin(&mut self, stage: &mut Stage<'_>) {
        *self = Self::with_window(self.window);
        let ordered = stage.view.seat(stage.me).map_or(0, |it| stage.log.ordered(it.id, it.life));
        self.again = stage.own.flying().filter(|batch| batch.id.sn > ordered).cloned().collect();
        self.base = stage.log.end();
        self.approved = self.base;
        self.own_end = self.base;
        if stage.view.first() == stage.me {
            let next = self.base + 1;
            let token = Token { hop: 0, next, approved: self.base, idle: 0 };
            self.turn = Some(Turn::of(token, stage.now));
        }
    }

    fn message(
        &mut self,
        from: AgentId,
        message: ModelMessage,
        stage: &mut Stage<'_>,
    ) -> Result<(), Gap> {
        match message {
            ModelMessage::Placed { seq, payload } => self.on_placed(from, seq, payload, stage)?,
            ModelMessage::Receipt { seq } => self.on_receipt(from, seq, stage),
            ModelMessage::Approve { seq } => self.approve(from, seq, stage),
            ModelMessage::Ask => {
                let seq = self.approvals.get(&stage.me).copied().unwrap_or(self.base);
                stage.send(from, ModelMessage::Approve { seq });
            }
            ModelMessage::Want => self.is_wanted = true,
            ModelMessage::Token(token) => self.on_token(from, token, stage),
            ModelMessage::TokenGot { hop } => {
                self.passed = self.passed.take().filter(|passed| passed.token.hop > hop);
            }
            _ => return Err(Gap { from }),
        }
        Ok(())
    }

    fn pump(&mut self, stage: &mut Stage<'_>) {
        self.send_again(stage);
        if self.turn.is_none() && self.has_own(stage) && std::mem::take(&mut self.may_sleep) {
            stage.send_all(ModelMessage::Want);
        }
        while let Some(mut turn) = self.turn.take() {
            if !self.is_over(&mut turn, stage) {
                self.turn = Some(turn);
                return;
            }
            self.pass(&turn, stage);
        }
    }

    /// What is carried over is delivered when a majority holds it; after that, what is approved.
    fn deliverable(&self, view: &View, marks: &Marks) -> u64 {
        let majority = marks.majority(view);
        if majority < self.base { majority } else { self.approved }
    }

    fn survives_losses(&self) -> bool {
        true
    }
}

impl Confirmed {
    /// One that sends so many messages at each visit of the token; with 1, as slowly as can be.
    #[must_use]
    pub fn with_window(window: usize) -> Self {
        Self {
            window: window.max(1),
            turn: None,
            hop: 0,
            may_sleep: false,
            is_wanted: false,
            passed: None,
            again: VecDeque::new(),
            early: BTreeMap::new(),
            unconfirmed: BTreeMap::new(),
            unconfirmed_bytes: 0,
            heard: BTreeMap::new(),
            own_end: 0,
            approvals: BTreeMap::new(),
            approved: 0,
            base: 0,
        }
    }

    fn has_own(&self, stage: &Stage<'_>) -> bool {
        !self.again.is_empty() || stage.own.waits()
    }

    /// Sends what this turn is for. Returns whether it ends.
    fn is_over(&mut self, turn: &mut Turn, stage: &mut Stage<'_>) -> bool {
        while turn.messages < self.window && turn.bytes < VISIT_BYTES {
            if !self.has_own(stage) {
                return turn.messages + turn.bytes > 0 || turn.has_rested(self.is_wanted, stage);
            }
            if self.unconfirmed_bytes >= UNCONFIRMED_BYTES
                || self.unconfirmed.len() >= UNCONFIRMED_BATCHES
            {
                return false;
            }
            let left = self.window - turn.messages;
            let Some(batch) = self.again.pop_front().or_else(|| stage.own.cut_of(left)) else {
                // The window opens as what is own is delivered here, with all that precedes it.
                turn.ask_what_is_missing(stage);
                return false;
            };
            turn.messages += batch.cuts.lens.len() - usize::from(batch.cuts.goes_on);
            turn.bytes += batch.bytes.len();
            self.send(turn.token.next, batch, stage);
            turn.token.next += 1;
        }
        true
    }

    fn pass(&mut self, turn: &Turn, stage: &mut Stage<'_>) {
        let is_wanted = std::mem::take(&mut self.is_wanted);
        let is_awake = is_wanted || turn.messages + turn.bytes > 0;
        let idle = if is_awake { 0 } else { turn.token.idle + 1 };
        self.may_sleep = idle > 0;
        let Turn { token: Token { hop, next, approved, .. }, .. } = *turn;
        let approved = approved.max(self.approved);
        let token = Token { hop: hop + 1, next, approved, idle };
        self.hop = token.hop;
        let successor = stage.view.successor(stage.me);
        if successor == stage.me {
            self.turn = Some(Turn::of(token, stage.now));
            return;
        }
        self.passed = Some(Passed { token, tries: Tries::first(stage.now) });
        stage.send(successor, ModelMessage::Token(token));
    }

    fn on_token(&mut self, from: AgentId, token: Token, stage: &mut Stage<'_>) {
        stage.send(from, ModelMessage::TokenGot { hop: token.hop });
        if token.hop <= self.hop {
            return;
        }
        self.hop = token.hop;
        // Whoever got it back knows that it arrived.
        self.passed = None;
        self.approved = self.approved.max(token.approved.min(stage.log.end()));
        self.turn = Some(Turn::of(token, stage.now));
    }

    fn send(&mut self, seq: u64, batch: Batch, stage: &mut Stage<'_>) {
        let missing: BTreeSet<AgentId> =
            stage.view.members().filter(|id| *id != stage.me).collect();
        stage.send_all(ModelMessage::Placed { seq, payload: batch.clone().into() });
        self.own_end = seq;
        let is_alone = missing.is_empty();
        if !is_alone {
            self.unconfirmed_bytes += batch.bytes.len();
            let tries = Tries::first(stage.now);
            self.unconfirmed.insert(seq, Unconfirmed { batch: batch.clone(), missing, tries });
        }
        self.place(seq, batch, stage);
        if is_alone {
            self.approve_own(stage);
        }
    }

    fn on_placed(
        &mut self,
        from: AgentId,
        seq: u64,
        payload: Payload,
        stage: &mut Stage<'_>,
    ) -> Result<(), Gap> {
        if from != payload.origin {
            return Err(Gap { from });
        }
        let batch = stage.batch(payload).ok_or(Gap { from })?;
        if seq > stage.log.end() {
            if self.early.len() >= MOST_EARLY {
                return Ok(());
            }
            self.place(seq, batch, stage);
        }
        stage.send(from, ModelMessage::Receipt { seq });
        Ok(())
    }

    /// A batch has its place; it is held with all that precedes it.
    fn place(&mut self, seq: u64, batch: Batch, stage: &mut Stage<'_>) {
        self.early.insert(seq, batch);
        while let Some(batch) = self.early.remove(&(stage.log.end() + 1)) {
            let id = batch.id;
            stage.log.store(batch);
            stage.bind(id);
        }
        self.advance(stage);
    }

    fn on_receipt(&mut self, from: AgentId, seq: u64, stage: &mut Stage<'_>) {
        self.heard.insert(from, stage.now);
        let Some(unconfirmed) = self.unconfirmed.get_mut(&seq) else { return };
        unconfirmed.missing.remove(&from);
        if unconfirmed.missing.is_empty() {
            self.unconfirmed_bytes -= unconfirmed.batch.bytes.len();
            self.unconfirmed.remove(&seq);
            self.approve_own(stage);
        }
    }

    /// Own batches that all have confirmed, and all own ones before, are approved.
    fn approve_own(&mut self, stage: &mut Stage<'_>) {
        let first = self.unconfirmed.first_key_value().map(|(seq, _)| *seq);
        let seq = first.map_or(self.own_end, |first| first - 1);
        if self.approvals.get(&stage.me).is_none_or(|known| *known < seq) {
            stage.send_all(ModelMessage::Approve { seq });
            self.approve(stage.me, seq, stage);
        }
    }

    fn approve(&mut self, who: AgentId, seq: u64, stage: &Stage<'_>) {
        let approval = self.approvals.entry(who).or_default();
        *approval = seq.max(*approval);
        self.advance(stage);
    }

    fn advance(&mut self, stage: &Stage<'_>) {
        while let Some(Entry::Batch(id)) = stage.log.entry(self.approved + 1)
            && self.approvals.get(&id.origin).is_some_and(|seq| *seq > self.approved)
        {
            self.approved += 1;
        }
    }

    fn send_again(&mut self, stage: &mut Stage<'_>) {
        let now = stage.now;
        if let Some(passed) = &mut self.passed
            && passed.tries.again(now)
        {
            stage.send(stage.view.successor(stage.me), ModelMessage::Token(passed.token));
        }
        for (seq, unconfirmed) in &mut self.unconfirmed {
            let is_silent = |id: &&AgentId| {
                self.heard.get(id).is_none_or(|heard| now.since(*heard) >= PATIENCE)
            };
            let to: Vec<AgentId> = unconfirmed.missing.iter().filter(is_silent).copied().collect();
            if !to.is_empty() && unconfirmed.tries.again(now) {
                let payload = unconfirmed.batch.clone().into();
                stage.sends.push((to, ModelMessage::Placed { seq: *seq, payload }));
            }
        }
    }
}

impl Turn {
    fn of(token: Token, now: Instant) -> Self {
        Self { token, messages: 0, bytes: 0, asked: Tries::first(now), rests: None }
    }

    /// Whether something with a place was not delivered here. Approvals are sent once, and what is
    /// missing holds up whoever has the token: it asks for them again and again.
    fn ask_what_is_missing(&mut self, stage: &mut Stage<'_>) -> bool {
        let is_missing = stage.log.at().seq + 1 < self.token.next;
        if is_missing && self.asked.again(stage.now) {
            stage.send_all(ModelMessage::Ask);
        }
        is_missing
    }

    /// With nothing to send: whether everything before was delivered here, and had its time to be
    /// answered.
    fn has_rested(&mut self, is_wanted: bool, stage: &mut Stage<'_>) -> bool {
        if stage.view.len() == 1 || self.ask_what_is_missing(stage) {
            return false;
        }
        let is_awake = is_wanted || self.token.idle < stage.view.len() as u64;
        let rest = if is_awake { REST } else { SLEEP };
        let rested = stage.now.since(*self.rests.get_or_insert(stage.now));
        if rested < rest {
            stage.again = Some(rest.saturating_sub(rested));
        }
        rested >= rest
    }
}

#[cfg(test)]
mod tests;
