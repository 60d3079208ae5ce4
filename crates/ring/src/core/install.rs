//! Installing a view: what is missing of its cut is fetched first.

use std::collections::{BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use dx_agents::{AgentId, Instant};

use super::{Core, Phase};
use crate::batch::{Batch, BatchId, Entry};
use crate::log::Log;
use crate::marks::Marks;
use crate::message::{NewView, RingMessage, StateHead};
use crate::model::RingModel;
use crate::output::Output;
use crate::view::ViewId;

/// Batches that are asked for ahead: half of what an outbox takes, if all are full.
const MAX_ASKED: usize = 8;
/// Bytes of a piece of a snapshot.
const PIECE: usize = 256 * 1024;

/// A view on its way to be installed.
#[derive(Debug)]
pub(super) struct Installing {
    new: NewView,
    state: State,
    /// What to ask for, and whom.
    wanted: VecDeque<(AgentId, BatchId)>,
    asked: BTreeSet<BatchId>,
}

#[derive(Debug)]
enum State {
    /// The member's own will do.
    Own,
    /// Another's is on its way.
    Coming(StateHead, BytesMut),
    /// It is here.
    Here(StateHead, Bytes),
}

/// State of this member for those that a view admits.
#[derive(Debug)]
pub(super) struct Served {
    view: ViewId,
    head: StateHead,
    snapshot: Option<Bytes>,
    /// Who asked too early, and from where.
    early: Vec<(AgentId, u64)>,
}

impl Core {
    /// The coordinator has decided. Taken by those who promised exactly this view.
    pub(super) fn on_new_view(&mut self, from: AgentId, new: NewView, now: Instant) {
        let is_open = matches!(self.phase, Phase::Waiting | Phase::Gathering(_));
        let is_promised = new.view.id == self.promised && from == self.promised.coordinator;
        if !is_open || !is_promised || !new.view.has(self.me) {
            return;
        }
        if new.source == self.me && !new.needy.is_empty() {
            self.serve(new.view.id);
        }
        if new.view.is_founding {
            // Whatever an earlier founding left was never counted.
            self.log = Log::default();
        }
        let mut installing =
            Installing { state: State::Own, wanted: VecDeque::new(), asked: BTreeSet::new(), new };
        if installing.new.needy.contains(&self.me) {
            installing.state = State::Coming(StateHead::default(), BytesMut::new());
            let (view, source) = (installing.new.view.id, installing.new.source);
            self.send(vec![source], RingMessage::FetchState { view, from: 0 });
        } else {
            installing.want(&self.log, self.log.at().seq);
        }
        self.enter(Phase::Installing(Box::new(installing)), now);
        self.get_on(now);
    }

    pub(super) fn on_fetch(&mut self, from: AgentId, view: ViewId, ids: Vec<BatchId>) {
        if view != self.promised {
            return;
        }
        for id in ids.into_iter().take(MAX_ASKED) {
            if let Some(batch) = self.log.batch(id).cloned() {
                self.send(vec![from], RingMessage::Fetched { view, batch });
            }
        }
    }

    pub(super) fn on_fetched(&mut self, view: ViewId, batch: Batch, now: Instant) {
        if let Phase::Installing(installing) = &mut self.phase
            && installing.new.view.id == view
            && installing.asked.remove(&batch.id)
        {
            self.log.store(batch);
            self.since = now;
            self.get_on(now);
        }
    }

    pub(super) fn on_fetch_state(&mut self, from: AgentId, view: ViewId, offset: u64) {
        if view != self.promised {
            return;
        }
        match &mut self.served {
            Some(Served { snapshot: None, early, .. }) => early.push((from, offset)),
            Some(Served { snapshot: Some(snapshot), head, .. }) => {
                let start = (offset as usize).min(snapshot.len());
                let piece = snapshot.slice(start..(start + PIECE).min(snapshot.len()));
                let head = Box::new(head.clone());
                self.send(vec![from], RingMessage::State { view, head, piece });
            }
            None => {
                // The decision has not come yet: what is asked for is not known.
                let head = StateHead::default();
                let early = vec![(from, offset)];
                self.served = Some(Served { view, head, snapshot: None, early });
            }
        }
    }

    pub(super) fn on_state(
        &mut self,
        from: AgentId,
        view: ViewId,
        head: StateHead,
        piece: &Bytes,
        now: Instant,
    ) {
        let Phase::Installing(installing) = &mut self.phase else { return };
        let (id, source) = (installing.new.view.id, installing.new.source);
        let State::Coming(before, bytes) = &mut installing.state else { return };
        if id != view || from != source || !(bytes.is_empty() || *before == head) {
            return;
        }
        before.clone_from(&head);
        bytes.extend_from_slice(piece);
        self.since = now;
        if (bytes.len() as u64) < head.len {
            let from = bytes.len() as u64;
            return self.send(vec![source], RingMessage::FetchState { view, from });
        }
        let bytes = std::mem::take(bytes).freeze();
        let seq = head.position.seq;
        installing.state = State::Here(head, bytes);
        installing.want(&self.log, seq);
        self.get_on(now);
    }

    /// The application's state as it is after all deliveries that were asked for so far.
    pub fn snapshot(&mut self, bytes: Bytes) {
        let Some(served) = &mut self.served else { return };
        served.head.len = bytes.len() as u64;
        served.snapshot = Some(bytes);
        let view = served.view;
        for (from, offset) in std::mem::take(&mut served.early) {
            self.on_fetch_state(from, view, offset);
        }
    }

    /// Those that the view admits will ask for state: it is that of now, before the cut.
    fn serve(&mut self, view: ViewId) {
        let early = self.served.take().map(|served| served.early).unwrap_or_default();
        let head = StateHead { position: self.log.at().clone(), len: 0 };
        self.served = Some(Served { view, head, snapshot: None, early });
        self.out.push_back(Output::Snapshot);
    }

    /// Asks for what is missing; with nothing missing, the view is installed.
    fn get_on(&mut self, now: Instant) {
        let Phase::Installing(installing) = &mut self.phase else { return };
        if matches!(installing.state, State::Coming(..)) {
            return;
        }
        let view = installing.new.view.id;
        let mut asks = Vec::new();
        while installing.asked.len() < MAX_ASKED
            && let Some((holder, id)) = installing.wanted.pop_front()
        {
            installing.asked.insert(id);
            asks.push((holder, id));
        }
        let is_all_here = installing.asked.is_empty();
        for (holder, id) in asks {
            self.send(vec![holder], RingMessage::Fetch { view, ids: vec![id] });
        }
        if is_all_here && let Phase::Installing(installing) = &mut self.phase {
            let state = std::mem::replace(&mut installing.state, State::Own);
            let new = installing.new.clone();
            self.install(new, state, now);
        }
    }

    fn install(&mut self, new: NewView, state: State, now: Instant) {
        if let State::Here(head, snapshot) = state {
            let effect = head.position.effect.clone();
            self.log.jump(head.position);
            self.out.push_back(Output::Restore(snapshot, effect));
        }
        let NewView { view, first, entries, .. } = new;
        let skip = (self.log.at().seq + 1).saturating_sub(first) as usize;
        self.log.replace(entries.into_iter().skip(skip));
        self.log.forget_unordered();
        debug_assert_eq!(self.log.held(), self.log.end(), "all of the cut is here");
        let delivered = self.log.at().origins.get(&self.me).copied();
        if let Some((_, sn)) = delivered.filter(|(life, _)| *life == self.life) {
            self.own.settled(sn);
        }
        self.is_active = !view.is_founding;
        if self.is_active {
            self.mark();
        }
        self.marks = Marks::default();
        self.marks.set(self.me, self.installed_mark(&view));
        self.trouble = None;
        self.detector.excuse(view.members(), now);
        self.installed = Some(view.clone());
        self.announce_installed(&view);
        self.enter(Phase::Working, now);
        self.with_model(now, RingModel::begin);
        self.catch_up(now);
    }
}

impl Installing {
    /// What of the entries after `seq` is not in `log`.
    fn want(&mut self, log: &Log, seq: u64) {
        let skip = (seq + 1).saturating_sub(self.new.first) as usize;
        let entries = self.new.entries.iter().zip(&self.new.holders).skip(skip);
        self.wanted = entries
            .filter_map(|(entry, holder)| match entry {
                Entry::Batch(id) if log.batch(*id).is_none() => Some((*holder, *id)),
                _ => None,
            })
            .collect();
    }
}
