//! What attempts go through.

use std::sync::Arc;

use crate::core::effect::{Effect, Effects};
use crate::core::event::{EndOf, How, Loss, Then};
use crate::core::job::Note;
use crate::core::node::Node;
use crate::core::packed::Packed;
use crate::core::state::State;
use crate::end::{End, Fault, Finish, TaskState};
use crate::id::{AttemptId, ShimId};
use crate::message::Assigned;

impl State {
    pub(super) fn assigned(&mut self, shim: ShimId, runs: &[Assigned], out: &mut Effects) {
        let at = self.at;
        for run in runs {
            let job = self.jobs.get_mut(&run.job).expect("the job is there");
            let last = run.first + (run.count - 1);
            let attempt = Packed::new(run.number, shim.node, shim.incarnation, at);
            let rows = job.rows.len();
            job.open_attempts(run.first, last, attempt);
            self.rows += job.rows.len() - rows;
            let need = Arc::new(job.need.clone());
            let node = self.nodes.get_mut(&shim.node).expect("the node has joined");
            for attempt in each(run) {
                node.give(attempt, &need);
            }
            self.refresh(run.job, out);
        }
        out.tell.push(Effect::Assign(shim, runs.to_vec()));
        out.nodes = true;
    }

    pub(super) fn moved(&mut self, is_running: bool, runs: &[Assigned], out: &mut Effects) {
        let at = self.at;
        let state = if is_running { TaskState::Running } else { TaskState::Starting };
        for run in runs {
            let job = self.jobs.get_mut(&run.job).expect("the job is there");
            if is_running {
                job.started = job.started.or(Some(at));
            }
            for attempt in each(run) {
                let index = attempt.task.index;
                job.set_row_state(index, state);
                let row = job.row_mut(index).expect("it has an attempt");
                row.hold = false;
                if is_running {
                    row.last.started = at;
                }
                let node = row.last.life().node;
                self.nodes.get_mut(&node).expect("the node has joined").begin(attempt);
            }
            out.touched.insert(run.job);
        }
    }

    pub(super) fn attempts_ended(&mut self, ends: &[EndOf], out: &mut Effects) {
        let mut before = None;
        for end in ends {
            self.attempt_ended(end, out);
            let job = end.attempt.task.job;
            if before.is_some_and(|before| before != job) {
                self.refresh(before.expect("it is some"), out);
            }
            before = Some(job);
        }
        if let Some(job) = before {
            self.refresh(job, out);
        }
        out.nodes = true;
    }

    fn attempt_ended(&mut self, it: &EndOf, out: &mut Effects) {
        let at = self.at;
        let AttemptId { task, number } = it.attempt;
        let job = self.jobs.get_mut(&task.job).expect("the job is there");
        let row = job.row_mut(task.index).expect("it has an attempt");
        let shim = row.last.life();
        let node = self.nodes.get(&shim.node).expect("the node has joined");
        let blame = blame(&it.how, node);
        let (end, finish, note) = told(&it.how, it.then, blame);
        row.last.finish(at, end, finish);
        let started = row.last.started;
        let was_doomed = row.doom.take().is_some();
        (row.doom_now, row.hold) = (false, false);
        match blame {
            Blame::Job => row.counted = row.counted.saturating_add(1),
            Blame::Node => row.faults = row.faults.saturating_add(1),
            Blame::Nobody => {}
        }
        job.doomed -= u64::from(was_doomed);
        if started != 0 {
            job.started = Some(job.started.map_or(started, |before| before.min(started)));
        }
        if let Some(note) = note {
            job.notes.insert((task.index, number), note);
        }
        match it.then {
            Then::Over(state) => {
                job.set_row_state(task.index, state);
                self.unended -= 1;
            }
            Then::Again(due) if due <= at => job.set_row_state(task.index, TaskState::Queued),
            Then::Again(due) => {
                job.set_row_state(task.index, TaskState::Backoff);
                job.due.set(task.index, due);
            }
        }
        if matches!(it.then, Then::Over(_)) {
            self.tasks_ended(task.job, (task.index, task.index), out);
        }
        self.waits.forget(it.attempt);
        let node = self.nodes.get_mut(&shim.node).expect("the node has joined");
        node.take(it.attempt);
        match blame {
            // Silence is no fault of the node, and the death of its shim is one fault, however much
            // ran there: it is counted when the next life joins.
            Blame::Node if end == End::Lost => {}
            // It was there already.
            Blame::Node if node.is_quarantined(at) => {}
            Blame::Node => node.faults = node.faults.saturating_add(1),
            Blame::Job => (node.faults, node.rounds) = (0, 0),
            Blame::Nobody => {}
        }
        if finish.is_some() {
            out.recorded(shim, it.attempt);
        }
    }

    pub(super) fn returned(&mut self, runs: &[Assigned], then: TaskState, out: &mut Effects) {
        for run in runs {
            for attempt in each(run) {
                let job = self.jobs.get_mut(&run.job).expect("the job is there");
                let index = attempt.task.index;
                let row = job.row_mut(index).expect("it has an attempt");
                row.last.give_back();
                let (was_doomed, shim) = (row.doom.take().is_some(), row.last.life());
                (row.doom_now, row.hold) = (false, false);
                job.doomed -= u64::from(was_doomed);
                job.set_row_state(index, then);
                self.unended -= u64::from(then.is_ended());
                self.waits.forget(attempt);
                self.nodes.get_mut(&shim.node).expect("the node has joined").take(attempt);
                if then.is_ended() {
                    self.tasks_ended(run.job, (index, index), out);
                }
            }
            self.refresh(run.job, out);
        }
        out.nodes = true;
    }

    /// Whether it is new that an attempt ran past the end of its lease. Of one that is not
    /// remembered, nothing is.
    pub(in crate::core) fn is_overran_new(&self, attempt: AttemptId) -> bool {
        let AttemptId { task, number } = attempt;
        self.jobs.get(&task.job).is_some_and(|job| {
            let text = job.notes.get(&(task.index, number)).and_then(|note| note.text.as_deref());
            job.attempts(task.index).any(|it| it.number == number) && text != Some(OVERRAN)
        })
    }

    pub(super) fn overran(&mut self, attempts: &[AttemptId], out: &mut Effects) {
        for attempt in attempts {
            let job = self.jobs.get_mut(&attempt.task.job).expect("the job is there");
            let note = job.notes.entry((attempt.task.index, attempt.number)).or_default();
            note.text = Some(OVERRAN.to_owned());
            out.touched.insert(attempt.task.job);
        }
    }
}

/// What is said of an attempt that may have overlapped.
const OVERRAN: &str = "its machine was stopped past the end of its lease: it may have run while \
                       the next attempt did";

/// The attempts of a run.
pub fn each(run: &Assigned) -> impl Iterator<Item = AttemptId> + use<> {
    let Assigned { job, first, count, number } = *run;
    (first..=first + (count - 1)).map(move |index| job.task(index).attempt(number))
}

/// Whose fault it is that an attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The job's own: it counts as one of its attempts.
    Job,
    /// The node's.
    Node,
    /// Somebody wanted the node to be used no longer.
    Nobody,
}

/// Whose fault an end on a node is. What is lost on a node that is drained was ended with it: a node
/// that stops in good order drains itself first, and whoever stops a cluster each evening is to find
/// all of its work in the morning. No budget bounds this, and none has to: such a node is given nothing.
pub fn blame(how: &How, node: &Node) -> Blame {
    let is_lost = match how {
        How::Lost(_) => true,
        How::Told(finish) => finish.end == End::Lost,
    };
    let is_unfit = match how {
        How::Lost(_) => false,
        How::Told(finish) => finish.not_started.as_ref().is_some_and(|it| it.fault == Fault::Node),
    };
    match is_lost {
        true if node.drained.is_some() => Blame::Nobody,
        true => Blame::Node,
        false if is_unfit => Blame::Node,
        false => Blame::Job,
    }
}

/// What is kept of how an attempt ended.
fn told(how: &How, then: Then, blame: Blame) -> (End, Option<&Finish>, Option<Note>) {
    match how {
        How::Lost(loss) => {
            let text = match loss {
                Loss::Silence => "its node was silent until the end of its lease",
                Loss::Forgotten => "its shim died, and with it what it ran",
            };
            (End::Lost, None, Some(Note { text: Some(text.to_owned()), not_started: None }))
        }
        How::Told(finish) => {
            // The shim was told to end it, and does not know that its time was over.
            let is_late = finish.end == End::Cancelled && then == Then::Over(TaskState::TimedOut);
            let end = if is_late { End::TimedOut } else { finish.end };
            let text = match blame {
                Blame::Nobody => Some("its node was stopped"),
                Blame::Job | Blame::Node => is_late.then_some("the job's deadline passed"),
            };
            let text = text.map(str::to_owned);
            let not_started = finish.not_started.clone();
            let note =
                (text.is_some() || not_started.is_some()).then_some(Note { text, not_started });
            (end, Some(finish), note)
        }
    }
}
