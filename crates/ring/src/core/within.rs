//! What goes on within a view that works.

use std::time::Duration;

use dx_agents::{AgentId, Instant};

use super::{Core, Phase};
use crate::batch::{Batch, Entry};
use crate::message::RingMessage;
use crate::model::{Gap, RingModel, Stage};
use crate::output::{Delivery, Output};
use crate::view::{Life, View};

/// While busy, a member tells how far it is once per so many bytes of payload and eight members.
const MARK_EVERY: u64 = 64 * 1024;
/// While not, at least so much time lies between.
const MARK_PAUSE: Duration = Duration::from_micros(200);
/// Bytes of marks in a second: half a hundredth of a link of 100 Mbit/s, so that places, beats and
/// receipts have room below two.
const CONTROL_RATE: u64 = 62_500;
/// Bytes of one mark to one member.
const MARK_BYTES: u64 = 38;

/// What the others were told.
#[derive(Debug, Default)]
pub(super) struct Announced {
    seq: u64,
    bytes: u64,
    at: Instant,
    /// When the timer is due, if it runs.
    pub due: Option<Instant>,
}

impl Core {
    /// After every input: sends, tells, delivers and forgets what is due.
    pub(super) fn settle(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Working) || !self.is_begun() {
            return;
        }
        loop {
            self.with_model(now, RingModel::pump);
            self.marks.set(self.me, self.log.held());
            self.announce(now);
            self.deliver();
            if !self.forget() {
                break;
            }
        }
        if self.own.has_room() {
            self.out.push_back(Output::Room);
        }
    }

    /// Held, or what a model says: for this view, or for the one that is about to be installed.
    pub(super) fn on_view_message(&mut self, from: AgentId, message: RingMessage, now: Instant) {
        let (RingMessage::Held { view: id, .. } | RingMessage::Model { view: id, .. }) = message
        else {
            return;
        };
        let is_working = matches!(self.phase, Phase::Working);
        let Some(view) = self.installed.as_ref().filter(|it| it.id == id && is_working) else {
            let is_ahead = id == self.promised && !is_working && self.ahead.len() < MAX_AHEAD;
            if is_ahead {
                self.ahead.push((from, message));
            }
            return;
        };
        if !view.has(from) {
            return;
        }
        match message {
            RingMessage::Held { seq, .. } => self.marks.set(from, seq),
            RingMessage::Model { message, .. } => {
                let done = self.with_model(now, |model, stage| model.message(from, message, stage));
                if let Some(Err(Gap { from })) = done {
                    self.suspect(from, now);
                }
            }
            _ => {}
        }
    }

    /// What came for this view before it was installed.
    pub(super) fn catch_up(&mut self, now: Instant) {
        for (from, message) in std::mem::take(&mut self.ahead) {
            self.on_view_message(from, message, now);
        }
    }

    pub(super) fn with_model<T>(
        &mut self,
        now: Instant,
        act: impl FnOnce(&mut dyn RingModel, &mut Stage<'_>) -> T,
    ) -> Option<T> {
        let view = self.installed.as_ref()?;
        let id = view.id;
        let mut stage = Stage {
            me: self.me,
            view,
            now,
            log: &mut self.log,
            own: &mut self.own,
            marks: &mut self.marks,
            sends: Vec::new(),
            again: None,
        };
        let done = act(self.model.as_mut(), &mut stage);
        let Stage { sends, again, .. } = stage;
        for (to, message) in sends {
            self.send(to, RingMessage::Model { view: id, message });
        }
        if let Some(after) = again {
            self.pace_after(after, now);
        }
        Some(done)
    }

    /// There is one timer, for whatever is due first.
    fn pace_after(&mut self, after: Duration, now: Instant) {
        let due = now + after;
        if self.announced.due.is_none_or(|set| due < set) {
            self.announced.due = Some(due);
            self.out.push_back(Output::Pace(after));
        }
    }

    /// Whether the view's deliveries have begun. The founding view's do when all have installed
    /// it: a ring of which nobody is sure to remember anything must not count.
    fn is_begun(&mut self) -> bool {
        let Some(view) = &self.installed else { return false };
        if !self.is_active && self.marks.is_complete(view) {
            self.is_active = true;
            self.mark();
        }
        self.is_active
    }

    /// From now on a later life must not be taken for a member that never was in the ring.
    pub(super) fn mark(&mut self) {
        if !std::mem::replace(&mut self.is_marked, true) {
            self.out.push_back(Output::Mark);
        }
    }

    /// What it says of a member that it has installed a view: that it holds all of the cut. The
    /// founding view's holds nothing that counts, before it is written down that it did.
    pub(super) fn installed_mark(&self, view: &View) -> u64 {
        if view.is_founding { 0 } else { self.log.held() }
    }

    /// Tells all members that this one has installed a view.
    pub(super) fn announce_installed(&mut self, view: &View) {
        let seq = self.installed_mark(view);
        self.announced.seq = seq;
        self.announced.bytes = self.log.held_bytes();
        let others = view.members().filter(|id| *id != self.me).collect();
        self.send(others, RingMessage::Held { view: view.id, seq });
    }

    fn announce(&mut self, now: Instant) {
        let Some((count, id)) = self.installed.as_ref().map(|view| (view.len() as u64, view.id))
        else {
            return;
        };
        if self.log.held() == self.announced.seq || count == 1 {
            return;
        }
        let is_much =
            self.log.held_bytes() - self.announced.bytes >= MARK_EVERY * (count / 8).max(1);
        let pause = Duration::from_nanos((count - 1) * MARK_BYTES * 1_000_000_000 / CONTROL_RATE);
        let pause = pause.max(MARK_PAUSE);
        let passed = now.since(self.announced.at);
        if !is_much && passed < pause {
            return self.pace_after(pause.saturating_sub(passed), now);
        }
        let seq = self.log.held();
        self.announced =
            Announced { seq, bytes: self.log.held_bytes(), at: now, due: self.announced.due };
        let is_told = self.with_model(now, RingModel::announce) == Some(true);
        if !is_told {
            let others = self
                .installed
                .as_ref()
                .map(|view| view.members().filter(|id| *id != self.me).collect::<Vec<_>>());
            self.send(others.unwrap_or_default(), RingMessage::Held { view: id, seq });
        }
    }

    fn deliver(&mut self) {
        let Some(view) = &self.installed else { return };
        let upto = self.model.deliverable(view, &self.marks);
        while self.log.at().seq < upto {
            let Some((entry, batch)) = self.log.deliver() else { return };
            match (entry, batch) {
                (Entry::View(view), _) => {
                    self.out.push_back(Output::View(self.log.at().seq, view));
                }
                (Entry::Batch(_), Some(batch)) => self.deliver_batch(&batch),
                (Entry::Batch(id), None) => unreachable!("{id:?} is held, so its payload is here"),
            }
        }
    }

    fn deliver_batch(&mut self, batch: &Batch) {
        let (origin, life) = (batch.id.origin, batch.id.life);
        let pieces = batch.pieces();
        let count = pieces.len();
        for (at, piece) in pieces.into_iter().enumerate() {
            if batch.cuts.goes_on && at + 1 == count {
                self.log.part(origin).extend_from_slice(&piece);
                continue;
            }
            let payload = match self.log.whole(origin) {
                None => piece,
                Some(mut whole) => {
                    whole.extend_from_slice(&piece);
                    whole.into()
                }
            };
            let (seq, index) = (self.log.at().seq, self.log.count());
            let delivery = Delivery { seq, index, origin, life, payload };
            self.out.push_back(Output::Deliver(delivery));
        }
    }

    /// Forgets what all hold. Returns whether that may have opened this member's window.
    fn forget(&mut self) -> bool {
        let Some(view) = &self.installed else { return false };
        let gone = self.log.forget(self.marks.all(view));
        let (me, life): (AgentId, Life) = (self.me, self.life);
        let own = gone.iter().filter(|id| id.origin == me && id.life == life);
        match own.map(|id| id.sn).max() {
            Some(sn) => {
                self.own.settled(sn);
                true
            }
            None => false,
        }
    }
}

/// Messages kept for a view before it is installed. More are dropped: that shows as a gap, and
/// leads to another view.
const MAX_AHEAD: usize = 16 * 1024;
