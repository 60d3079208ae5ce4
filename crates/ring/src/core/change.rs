//! From one view to the next: who proposes it, and what is promised.

use std::time::Duration;

use dx_agents::{AgentId, Instant};

use super::decide::{self, Reports, Verdict};
use super::{Core, Phase};
use crate::message::{Report, RingMessage};
use crate::output::Output;
use crate::view::ViewId;

/// A proposal under way.
#[derive(Debug)]
pub(super) struct Gathering {
    view: ViewId,
    reports: Reports,
}

/// A member that is to propose a view and does not is passed over after so much of the patience.
const TAKEOVER: u32 = 2;
/// Reports of members that are there are waited for so much of the patience.
const GATHER: u32 = 4;
/// A member that seeks says so every so many ticks: every 200 ms, if all is as by default.
const SEEK_TICKS: u64 = 8;

impl Core {
    /// In a view that works: beats, and who fails to beat.
    pub(super) fn watch(&mut self, now: Instant) {
        let Some(view) = self.installed.clone() else { return };
        let is_first = view.first() == self.me;
        if self.ticks.is_multiple_of(2) {
            let mut to =
                if is_first { self.others() } else { vec![view.first(), view.successor(self.me)] };
            to.dedup();
            to.retain(|id| !self.stuffed.contains(id));
            self.send(to, RingMessage::Beat { view: view.id });
        }
        let watched: Vec<AgentId> = if is_first {
            view.members().filter(|id| *id != self.me).collect()
        } else {
            vec![view.first(), view.predecessor(self.me)]
        };
        for id in watched {
            if id != self.me && self.detector.suspects(id, now) {
                self.suspect(id, now);
            }
        }
        if let Some(since) = self.trouble {
            let rank = view.members().filter(|id| *id < self.me);
            let rank = rank.filter(|id| self.detector.is_there(*id, now)).count() as u32;
            if now.since(since) >= self.config.patience / TAKEOVER * rank {
                self.propose(now);
            }
        }
    }

    /// Something is wrong with `who`: a view without, or a new beginning with it, is needed.
    pub(super) fn suspect(&mut self, who: AgentId, now: Instant) {
        let Some(view) = self.installed.as_ref().filter(|view| view.has(who)) else { return };
        if !matches!(self.phase, Phase::Working) || self.trouble.is_some() {
            return;
        }
        let id = view.id;
        let is_fit =
            |id: &AgentId| *id == self.me || *id != who && self.detector.is_there(*id, now);
        let next = view.members().find(is_fit);
        self.trouble = Some(now);
        match next {
            Some(next) if next != self.me => {
                self.send(vec![next], RingMessage::Suspect { view: id, who });
            }
            _ => self.propose(now),
        }
    }

    /// Without a view that works: says so, and sees whether it is this member's turn to act.
    pub(super) fn press_on(&mut self, now: Instant) {
        let waited = now.since(self.since);
        match &self.phase {
            Phase::Gathering(gathering) => {
                if waited >= self.config.patience {
                    self.seek(now);
                } else if waited >= self.config.patience / GATHER
                    || self.all_answered(gathering, now)
                {
                    self.conclude(now);
                }
            }
            Phase::Seeking => {
                if self.ticks.is_multiple_of(SEEK_TICKS) {
                    self.say_seek();
                }
                self.take_turn(waited, now);
            }
            _ if waited >= self.config.patience => self.seek(now),
            _ => {}
        }
    }

    pub(super) fn seek(&mut self, now: Instant) {
        self.enter(Phase::Seeking, now);
        self.say_seek();
    }

    pub(super) fn on_beat(&mut self, view: ViewId, now: Instant) {
        self.seen = self.seen.max(view.number);
        let is_mine = self.installed.as_ref().is_some_and(|it| it.id == view);
        if !is_mine || !matches!(self.phase, Phase::Working) {
            self.elsewhere = Some((view, now));
        }
        if matches!(self.phase, Phase::Working) && view.number > self.promised.number {
            // The others went on without asking this one, or without hearing it.
            self.seek(now);
        }
    }

    /// Somebody is in no working view.
    pub(super) fn on_seek(&mut self, from: AgentId, promised: u64, now: Instant) {
        self.seen = self.seen.max(promised);
        let Some(view) = self.installed.as_ref() else { return };
        if !matches!(self.phase, Phase::Working) {
            return;
        }
        let id = view.id;
        let is_first = |it: AgentId| it < self.me && it != from && self.detector.is_there(it, now);
        let is_others = view.members().any(is_first);
        if is_others {
            self.send(vec![from], RingMessage::Beat { view: id });
        } else if self.trouble.is_none() {
            // Proposed at the next tick, for all who seek by then.
            self.trouble = Some(now);
        }
    }

    pub(super) fn on_suspect(&mut self, view: ViewId, who: AgentId, now: Instant) {
        if self.installed.as_ref().is_some_and(|it| it.id == view) {
            self.suspect(who, now);
        }
    }

    /// A promise is for one life of one coordinator of each number, and for numbers that grow.
    pub(super) fn on_prepare(&mut self, from: AgentId, view: ViewId, now: Instant) {
        self.seen = self.seen.max(view.number);
        if from != view.coordinator {
            return;
        }
        if view.number > self.promised.number {
            self.promised = view;
            self.ahead.clear();
            self.served = None;
            self.enter(Phase::Waiting, now);
        } else if view != self.promised {
            let promised = self.promised;
            return self.send(vec![from], RingMessage::Refuse { promised });
        }
        let report = Box::new(self.report());
        self.send(vec![from], RingMessage::Promise { view, report });
    }

    pub(super) fn on_promise(&mut self, from: AgentId, view: ViewId, report: Report, now: Instant) {
        let Phase::Gathering(gathering) = &mut self.phase else { return };
        let known = gathering.reports.get(&from);
        if gathering.view != view || known.is_some_and(|it| it.life > report.life) {
            return;
        }
        gathering.reports.insert(from, report);
        if let Phase::Gathering(gathering) = &self.phase
            && self.all_answered(gathering, now)
        {
            self.conclude(now);
        }
    }

    /// Somebody heard from all members that it is so. No view works after that.
    pub(super) fn on_lost(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Working) {
            self.enter(Phase::Lost, now);
        }
    }

    /// Whoever still seeks a view, perhaps in a new life, hears that there will be none.
    pub(super) fn tell_loss(&mut self, from: AgentId, message: &RingMessage) {
        if matches!(message, RingMessage::Seek { .. } | RingMessage::Prepare { .. }) {
            let view = self.promised;
            self.send(vec![from], RingMessage::Lost { view });
        }
    }

    fn say_seek(&mut self) {
        let to = self.others().into_iter().filter(|id| !self.stuffed.contains(id)).collect();
        let (life, promised) = (self.life, self.promised.number);
        self.send(to, RingMessage::Seek { life, promised });
    }

    /// Members take turns by their ids, so that they do not outbid each other.
    fn take_turn(&mut self, waited: Duration, now: Instant) {
        if self.reached(now) < crate::view::quorum(self.config.members.len()) {
            return;
        }
        let patience = self.config.patience;
        let is_elsewhere = self.elsewhere.is_some_and(|(_, at)| now.since(at) < patience);
        if is_elsewhere && waited < patience * PATIENCE_WITH_VIEW {
            return;
        }
        let lower = self.config.members.iter().filter(|id| **id < self.me);
        let rank = lower.filter(|id| self.detector.is_there(**id, now)).count() as u32;
        if waited >= patience / TAKEOVER * rank {
            self.propose(now);
        }
    }

    /// Proposes the next view, and promises it to itself.
    fn propose(&mut self, now: Instant) {
        self.seen = self.seen.max(self.promised.number) + 1;
        let view = ViewId { number: self.seen, coordinator: self.me, life: self.life };
        self.promised = view;
        self.ahead.clear();
        self.served = None;
        let reports = Reports::from([(self.me, self.report())]);
        self.enter(Phase::Gathering(Gathering { view, reports }), now);
        let others = self.others();
        self.send(others, RingMessage::Prepare { view });
        if self.config.members.len() == 1 {
            self.conclude(now);
        }
    }

    /// What this member knows, as it stops to act.
    fn report(&self) -> Report {
        let entries = (self.log.first()..=self.log.end()).filter_map(|seq| self.log.entry(seq));
        Report {
            life: self.life,
            is_marked: self.is_marked,
            installed: self.installed.clone(),
            installers: self.marks.installers().collect(),
            delivered: self.log.at().seq,
            first: self.log.first(),
            entries: entries.cloned().collect(),
            payload: self.log.batches().collect(),
            pending: self.model.pending(),
        }
    }

    fn all_answered(&self, gathering: &Gathering, now: Instant) -> bool {
        let mut silent =
            self.config.members.iter().filter(|id| !gathering.reports.contains_key(id));
        silent.all(|id| !self.detector.is_there(*id, now))
    }

    fn conclude(&mut self, now: Instant) {
        let Phase::Gathering(Gathering { view, reports }) = &self.phase else { return };
        let (id, configured) = (*view, &self.config.members);
        match decide::decide(id, configured, reports, self.model.as_ref()) {
            Verdict::Wait => {}
            Verdict::Lost => {
                let others = self.others();
                self.send(others, RingMessage::Lost { view: id });
                self.phase = Phase::Lost;
            }
            Verdict::Change(new) => {
                let others = new.view.members().filter(|id| *id != self.me).collect();
                self.send(others, RingMessage::NewView(Box::new(new.clone())));
                self.on_new_view(self.me, new, now);
            }
        }
    }

    /// Asks again to be told of a member's end, after it was.
    pub fn monitor(&mut self, who: AgentId) {
        self.out.push_back(Output::Monitor(who));
    }
}

/// A member that hears of a working view leaves it to that view to admit it for so many times the
/// patience; then it proposes one itself.
const PATIENCE_WITH_VIEW: u32 = 5;
