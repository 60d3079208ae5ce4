//! What runners say, and what it comes to.

use std::collections::BTreeSet;

use dx_agents::NodeId;

use super::Core;
use super::apply::blame;
use super::event::{EndOf, Event, How, Loss};
use super::retry;
use super::rows::Row;
use super::waits::Stage;
use crate::end::TaskState;
use crate::id::{AttemptId, ShimId};
use crate::job::Resources;
use crate::message::{Assigned, Join, Report, ToController, ToRunner, Waiting};
use crate::processor::KillRun;

/// How a life of a shim stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It is counted with.
    Current,
    /// It was given up, or another came after it.
    Over,
    /// It was not heard of before.
    New,
}

impl Core {
    /// The runner of a node says something.
    pub fn hear(&mut self, from: NodeId, message: ToController) {
        let shim = match &message {
            ToController::Join(join) => join.shim,
            ToController::Beat { shim, .. }
            | ToController::Reports { shim, .. }
            | ToController::Usage { shim, .. } => *shim,
        };
        if shim.node != from || !self.config.nodes.contains_key(&from) {
            self.live.tally.foreign += 1;
            return;
        }
        let term = self.state.term;
        let life = self.life(shim);
        if life == Life::Over {
            self.live.tally.foreign += 1;
            self.replies.push((from, ToRunner::Fenced { term, shim }));
            return;
        }
        if let ToController::Join(join) = message {
            return self.join(join);
        }
        if life == Life::New || !self.live.nodes.get(&from).is_some_and(|node| node.is_here) {
            // It was not welcomed in this term, or was away since.
            self.live.tally.foreign += 1;
            self.replies.push((from, ToRunner::Who { term }));
            return;
        }
        let node = self.live.nodes.get_mut(&from).expect("it is here");
        node.heard = Some(self.at);
        match message {
            ToController::Join(_) => {}
            ToController::Beat { clock, .. } => {
                node.leased = self.at;
                self.replies.push((from, ToRunner::Granted { term, shim, clock }));
            }
            ToController::Usage { usage, .. } => {
                node.usage = Some((self.at, usage));
                self.live.is_changed = true;
            }
            ToController::Reports { reports, .. } => self.reports(shim, reports),
        }
    }

    /// The way to a node is cut, or its runner is gone: nothing is given to it until it joins again.
    pub fn away(&mut self, node: NodeId) {
        if let Some(node) = self.live.nodes.get_mut(&node) {
            node.is_here = false;
            self.live.is_changed = true;
        }
    }

    fn life(&self, shim: ShimId) -> Life {
        match self.state.node(shim.node) {
            Some(node) if node.shim == Some(shim.incarnation) => Life::Current,
            Some(node) if shim.incarnation <= node.gone.max(node.shim.unwrap_or(0)) => Life::Over,
            _ => Life::New,
        }
    }

    fn join(&mut self, join: Join) {
        let Join { number, shim, capacity, kill, memory, holds, overran } = join;
        if serde_json::from_str::<Resources>(&capacity).is_err() {
            self.live.tally.foreign += 1;
            return;
        }
        let holds: BTreeSet<AttemptId> = holds.into_iter().collect();
        let before = self.state.node(shim.node);
        let open: Vec<AttemptId> =
            before.map(|node| node.open.keys().copied().collect()).unwrap_or_default();
        let is_new = self.life(shim) == Life::New;
        if is_new {
            // What ended under an earlier life and is kept on the disk is told by this one.
            let lost = open.iter().filter(|attempt| !holds.contains(attempt));
            let lost: Vec<AttemptId> = lost.copied().collect();
            self.lose(&lost, Loss::Forgotten);
        }
        let offer = self.state.node(shim.node).and_then(|node| node.offer.as_ref());
        let is_same = offer
            .is_some_and(|it| it.capacity == capacity && it.kill == kill && it.memory == memory);
        if is_new || !is_same {
            self.record(Event::Joined { shim, capacity, kill, memory });
        }
        let overran: Vec<AttemptId> =
            overran.into_iter().filter(|it| self.state.is_overran_new(*it)).collect();
        if !overran.is_empty() {
            self.record(Event::Overran(overran));
        }
        let node = self.live.nodes.entry(shim.node).or_default();
        (node.is_here, node.heard, node.leased) = (true, Some(self.at), self.at);
        node.told.clear();
        node.retracting.clear();
        self.live.is_changed = true;
        self.welcome(shim, number, &open, &holds);
    }

    /// What of a node's work goes on, is sent again, or is to end.
    fn welcome(
        &mut self,
        shim: ShimId,
        join: u64,
        open: &[AttemptId],
        holds: &BTreeSet<AttemptId>,
    ) {
        let term = self.state.term;
        let (keep, missing): (Vec<_>, Vec<_>) = open
            .iter()
            .copied()
            .filter(|it| self.state.open_row(*it).is_some())
            .partition(|it| holds.contains(it));
        let kills = keep.iter().filter_map(|attempt| {
            let (_, row) = self.state.open_row(*attempt)?;
            row.doom.map(|_| KillRun { attempt: *attempt, now: row.doom_now })
        });
        let kills: Vec<KillRun> = kills.collect();
        let waits: Vec<Waiting> =
            keep.iter().filter_map(|attempt| self.waiting(*attempt)).collect();
        let lease = self.config.lease.saturating_mul(1_000_000);
        self.replies.push((shim.node, ToRunner::Welcome { term, join, shim, lease, keep }));
        if !kills.is_empty() {
            self.replies.push((shim.node, ToRunner::Kill { term, shim, attempts: kills }));
        }
        if !waits.is_empty() {
            self.replies.push((shim.node, ToRunner::Waits { term, shim, waits }));
        }
        // What is not to run any more is not sent again, only to be ended there.
        let (mut wanted, back): (Vec<_>, Vec<_>) = missing.into_iter().partition(|attempt| {
            let row = self.state.open_row(*attempt).map(|(_, row)| row);
            row.is_some_and(|row| once_back(&row) == TaskState::Queued)
        });
        for attempt in back {
            let (_, row) = self.state.open_row(attempt).expect("it is open");
            let then = once_back(&row);
            self.returned(shim.node, attempt, then);
        }
        // In the order in which they were given, as they begin there.
        let node = self.state.node(shim.node);
        wanted.sort_by_key(|it| node.and_then(|node| node.open.get(it)).map(|hold| hold.at));
        self.assign_again(shim, wanted);
    }

    /// What a runner must know of an attempt that has not its room.
    fn waiting(&self, attempt: AttemptId) -> Option<Waiting> {
        let wait = self.state.waits.get(attempt)?;
        let is_over = wait.stage == Stage::Returning;
        (wait.stage != Stage::Over).then_some(Waiting { attempt, round: wait.round, is_over })
    }

    /// Attempts end, and nobody knows how.
    pub(super) fn lose(&mut self, attempts: &[AttemptId], loss: Loss) {
        let ends: Vec<EndOf> = attempts
            .iter()
            .filter_map(|attempt| {
                let (job, row) = self.state.open_row(*attempt)?;
                let how = How::Lost(loss);
                let blame = blame(&how, self.state.node(row.last.life().node)?);
                let then = retry::after(job, &row, &how, blame, self.at, &mut self.rng);
                Some(EndOf { attempt: *attempt, how, then })
            })
            .collect();
        if !ends.is_empty() {
            self.record(Event::Ended(ends));
        }
    }

    fn reports(&mut self, shim: ShimId, reports: Vec<Report>) {
        let mut late = Vec::new();
        for report in reports {
            let (Report::Starting(attempt)
            | Report::Started(attempt)
            | Report::Ended(attempt, _)
            | Report::Returned(attempt)
            | Report::Resumed(attempt, _)
            | Report::Progress(attempt, _)) = report;
            let is_open = |(_, row): &(_, Row)| row.last.life() == shim;
            let Some((job, row)) = self.state.open_row(attempt).filter(is_open) else {
                self.live.tally.late += 1;
                if matches!(report, Report::Ended(..)) {
                    late.push(attempt);
                }
                continue;
            };
            match report {
                Report::Starting(_) if row.state == TaskState::Assigned => {
                    self.moved(attempt, false);
                }
                // One that is blocked runs already: after each welcome it is said again.
                Report::Started(_) if row.state < TaskState::Running => self.moved(attempt, true),
                Report::Resumed(_, round) if self.returns(attempt, round) => self.resumed(attempt),
                Report::Starting(_) | Report::Started(_) | Report::Resumed(..) => {
                    self.live.tally.late += 1;
                }
                Report::Progress(_, progress) => {
                    self.live.progress.insert(attempt.task, (attempt, progress));
                    self.effects.touched.insert(attempt.task.job);
                }
                Report::Ended(_, finish) => {
                    let how = How::Told(Box::new(finish));
                    let blame = blame(&how, self.state.node(shim.node).expect("it has joined"));
                    let then = retry::after(job, &row, &how, blame, self.at, &mut self.rng);
                    self.ended(shim.node, EndOf { attempt, how, then });
                }
                Report::Returned(_) => {
                    let then = once_back(&row);
                    self.returned(shim.node, attempt, then);
                }
            }
        }
        if !late.is_empty() {
            // It was not told that they are known, or forgot it.
            let term = self.state.term;
            self.replies.push((shim.node, ToRunner::Recorded { term, shim, attempts: late }));
        }
    }

    fn moved(&mut self, attempt: AttemptId, is_running: bool) {
        let run = single(attempt);
        // In one event with the one before, if that is of the same kind.
        let is_same = matches!(self.events.last(), Some(Event::Moved { is_running: it, .. }) if *it == is_running);
        self.apply_only(&Event::Moved { is_running, runs: vec![run] });
        match self.events.last_mut() {
            Some(Event::Moved { runs, .. }) if is_same => push(runs, run),
            _ => self.events.push(Event::Moved { is_running, runs: vec![run] }),
        }
    }

    /// Whether an attempt is to have its room again, in this round.
    fn returns(&self, attempt: AttemptId, round: u32) -> bool {
        let wait = self.state.waits.get(attempt);
        wait.is_some_and(|wait| wait.stage == Stage::Returning && wait.round == round)
    }

    fn resumed(&mut self, attempt: AttemptId) {
        self.apply_only(&Event::Resumed(vec![attempt]));
        match self.events.last_mut() {
            Some(Event::Resumed(attempts)) => attempts.push(attempt),
            _ => self.events.push(Event::Resumed(vec![attempt])),
        }
    }

    fn returned(&mut self, node: NodeId, attempt: AttemptId, then: TaskState) {
        if let Some(node) = self.live.nodes.get_mut(&node) {
            node.retracting.remove(&attempt);
        }
        let run = single(attempt);
        self.apply_only(&Event::Returned { runs: vec![run], then });
        match self.events.last_mut() {
            Some(Event::Returned { runs, then: it }) if *it == then => push(runs, run),
            _ => self.events.push(Event::Returned { runs: vec![run], then }),
        }
    }

    fn ended(&mut self, node: NodeId, end: EndOf) {
        self.live.progress.remove(&end.attempt.task);
        if let Some(node) = self.live.nodes.get_mut(&node) {
            node.retracting.remove(&end.attempt);
            node.count_end(self.at);
        }
        let event = Event::Ended(vec![end]);
        self.apply_only(&event);
        match (self.events.last_mut(), event) {
            (Some(Event::Ended(ends)), Event::Ended(one)) => ends.extend(one),
            (_, event) => self.events.push(event),
        }
    }

    /// An event happens that becomes a part of another one in the batch.
    fn apply_only(&mut self, event: &Event) {
        self.state.apply(self.at, event, &mut self.effects);
    }
}

/// What a task is when its attempt comes back before anything of it ran.
fn once_back(row: &Row) -> TaskState {
    match (row.doom, row.hold) {
        (Some(super::Doom::Cancel), _) => TaskState::Cancelled,
        (Some(super::Doom::Deadline), _) => TaskState::Expired,
        (Some(super::Doom::Siblings), _) => TaskState::Aborted,
        (None, true) => TaskState::Held,
        (None, false) => TaskState::Queued,
    }
}

fn single(attempt: AttemptId) -> Assigned {
    let AttemptId { task, number } = attempt;
    Assigned { job: task.job, first: task.index, count: 1, number }
}

/// Adds a run to others: to the last, if it goes on there.
pub(super) fn push(runs: &mut Vec<Assigned>, run: Assigned) {
    match runs.last_mut() {
        Some(last)
            if (last.job, last.number) == (run.job, run.number)
                && last.first.checked_add(last.count) == Some(run.first) =>
        {
            last.count += run.count;
        }
        _ => runs.push(run),
    }
}
