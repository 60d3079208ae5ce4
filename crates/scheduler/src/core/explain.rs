//! What happened to a task, and why it does not run if it does not.

mod causes;
mod deadlock;
mod steps;

use super::Core;
use super::job::Job;
use super::packed::Packed;
use crate::client::{Answer, Cause, Explanation, RequestError};
use crate::end::{End, Exit, TaskState};
use crate::id::TaskId;

impl Core {
    /// What happened to a task, and why it does not run.
    pub(super) fn explain(&self, id: TaskId) -> Result<Answer, RequestError> {
        let task = self.task_view(id)?;
        let job = self.job(id.job)?;
        let steps = self.steps(job, id.index, task.state);
        let causes = self.causes(job, id.index, task.state);
        Ok(Answer::Explained(Box::new(Explanation { task, steps, causes })))
    }

    /// Why a task neither runs nor has succeeded, in a line. `queued` are the causes that all queued
    /// tasks of the job share.
    pub(super) fn reason(
        &self,
        job: &Job,
        index: u32,
        state: TaskState,
        queued: &mut Option<Vec<Cause>>,
    ) -> Option<String> {
        let first = |causes: &[Cause]| causes.first().map(|cause| cause.what.clone());
        match state {
            TaskState::Skipped | TaskState::Aborted if job.ties.stopped(index).is_some() => {
                Some(self.why_stopped(job, index))
            }
            TaskState::Succeeded | TaskState::Skipped => None,
            TaskState::Queued => {
                first(queued.get_or_insert_with(|| self.causes(job, index, TaskState::Queued)))
            }
            state if !state.is_ended() => first(&self.causes(job, index, state)),
            _ => Some(why_it_ended(job, index, state)),
        }
    }
}

impl Core {
    /// By whose end a task was aborted or skipped, and why that ended so.
    fn why_stopped(&self, job: &Job, index: u32) -> String {
        let Some((via, root)) = job.ties.stopped(index) else { return String::new() };
        let each = job.ties.after.get(&via).is_some_and(|edge| edge.each);
        let named = |id: crate::id::JobId| {
            let name = self.state.job(id).and_then(|it| it.spec.name.as_ref());
            let name = name.map_or(String::new(), |name| format!(" `{name}`"));
            if each { format!("task {}{name}", id.task(index)) } else { format!("job {id}{name}") }
        };
        let when = job.ties.after.get(&via).map(|edge| edge.when);
        let what = match (when, job.state(index)) {
            (Some(crate::job::When::Fail), _) => "did not fail",
            (_, Some(TaskState::Skipped)) => "was skipped",
            _ => "did not succeed",
        };
        let stopped = format!("was stopped by {}, which {what}", named(via));
        let Some(from) = self.state.job(root) else { return stopped };
        let is_worst = |state: &TaskState| state.is_failure() && *state != TaskState::Aborted;
        let worst = from.sets().find(|(state, _)| is_worst(state));
        let why = worst.and_then(|(state, set)| {
            let (first, _) = set.ranges().next()?;
            let which = if each && set.contains(index) { index } else { first };
            Some(format!("task {} {}", root.task(which), why_it_ended(from, which, state)))
        });
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        if via == root {
            format!("{stopped}{why}")
        } else {
            format!("{stopped}; that came from {}{why}", named(root))
        }
    }
}

/// Why a task ended as it did, in a line.
fn why_it_ended(job: &Job, index: u32, state: TaskState) -> String {
    let last = job.row(index).map(|row| row.last).filter(Packed::counts);
    match last.filter(|last| last.end().is_some_and(|end| TaskState::from(end) == state)) {
        Some(last) => end_of(job, index, &last),
        None => {
            let of_it = |indices: &[(u32, u32)]| {
                indices.iter().any(|&(first, last)| (first..=last).contains(&index))
            };
            let deed = job.deeds.iter().rev().find(|deed| of_it(&deed.indices));
            deed.map_or_else(|| "nothing is remembered of it".to_owned(), |deed| deed.what.clone())
        }
    }
}

/// How an attempt ended, for people.
fn end_of(job: &Job, index: u32, attempt: &Packed) -> String {
    let note = job.notes.get(&(index, attempt.number));
    let not_started = note.and_then(|note| note.not_started.as_ref());
    let text = note.and_then(|note| note.text.as_deref());
    let command = match job.spec.commands.len() {
        0 | 1 => String::new(),
        _ => format!("command {} ", attempt.command),
    };
    let what = match (attempt.end(), attempt.exit(), not_started) {
        (_, _, Some(it)) => format!("{command}could not be started: {}", it.reason),
        (Some(End::Failed), Some(Exit::Code(code)), _) => {
            format!("{command}exited with code {code}")
        }
        (Some(End::Failed), Some(Exit::Signal(signal)), _) => {
            format!("{command}died of signal {signal}")
        }
        (Some(End::Failed), None, _) => format!("{command}failed"),
        (Some(End::Succeeded), ..) => "succeeded".to_owned(),
        (Some(End::TimedOut), ..) => "ran for longer than its timeout, and was killed".to_owned(),
        (Some(End::Oom), ..) => "used up its memory, and was killed by the kernel".to_owned(),
        (Some(End::Cancelled), ..) => "was cancelled".to_owned(),
        (Some(End::Lost), ..) => "was lost".to_owned(),
        (None, ..) => "has not ended".to_owned(),
    };
    match text {
        Some(text) => format!("{what}: {text}"),
        None => what,
    }
}
