//! What is shown of jobs, tasks and nodes.

use std::collections::BTreeMap;

use super::Core;
use super::job::Job;
use super::packed::Packed;
use crate::client::{
    Answer, AttemptView, Cause, Counts, JobQuery, JobState, JobView, MAX_PAGE, Motion, NodeState,
    NodeView, Pair, Removal, RequestError, TaskQuery, TaskView, Validity, Verdict,
};
use crate::end::{End, Exit, TaskState};
use crate::id::{JobId, TaskId};
use crate::processor::Progress;
use dx_agents::NodeId;

/// The most characters of a command, or of a task's own value, that are shown.
const MAX_COMMAND: usize = 200;

/// The most values of a task that are shown.
const MAX_VALUES: usize = 16;

/// The most tasks of a job whose progress is shown with it.
const MAX_PROGRESS: usize = 16;

impl Core {
    /// Jobs, newest first.
    pub(super) fn jobs(&self, query: &JobQuery) -> Answer {
        let limit = query.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE) as usize;
        let before = query.before.unwrap_or(JobId(u64::MAX));
        let is_wanted = |job: &Job| {
            (query.states.is_empty() || query.states.contains(&state_of(job)))
                && query.name.as_ref().is_none_or(|name| job.spec.name.as_ref() == Some(name))
                && query.labels.iter().all(|label| has_label(job, label))
                && query.since.is_none_or(|since| self.live.version_of(job.id) > since)
                && query
                    .request_id
                    .as_ref()
                    .is_none_or(|id| job.spec.request_id.as_ref() == Some(id))
                && query.node.is_none_or(|node| self.has_open(node, job.id))
        };
        let jobs = self.state.jobs.range(..before).rev().map(|(_, job)| job);
        let mut found: Vec<&Job> = jobs.filter(|job| is_wanted(job)).take(limit + 1).collect();
        let next = (found.len() > limit).then(|| {
            found.truncate(limit);
            found[limit - 1].id
        });
        let jobs = found.into_iter().map(|job| self.view_job(job)).collect();
        Answer::Jobs { jobs, next, version: self.live.version }
    }

    /// A job as it is shown.
    pub(super) fn job_view(&self, id: JobId) -> Result<JobView, RequestError> {
        Ok(self.view_job(self.job(id)?))
    }

    /// A job.
    pub(super) fn job(&self, id: JobId) -> Result<&Job, RequestError> {
        self.state.job(id).ok_or(RequestError::NoJob(id))
    }

    fn view_job(&self, job: &Job) -> JobView {
        let state = state_of(job);
        let runs = [TaskState::Starting, TaskState::Running, TaskState::Blocked];
        let is_moving = job.count_where(|state| runs.contains(&state)) > 0;
        let status = match state {
            JobState::Succeeded => Verdict::Good,
            JobState::Failed | JobState::Cancelled => Verdict::Error,
            JobState::Waiting | JobState::Held | JobState::Running => Verdict::Unknown,
        };
        let pair =
            Pair { state: if is_moving { Motion::Running } else { Motion::Stopped }, status };
        let command = job.spec.commands.first().map(|it| it.exec.join(" ")).unwrap_or_default();
        JobView {
            id: job.id,
            name: job.spec.name.clone(),
            command: command.chars().take(MAX_COMMAND).collect(),
            state,
            pair,
            counts: Counts(job.sets().map(|(state, set)| (state, set.len())).collect()),
            tasks: u64::from(job.indices.len()),
            by: job.by.clone(),
            request_id: job.spec.request_id.clone(),
            labels: job.spec.labels.clone(),
            priority: job.priority,
            submitted: job.submitted,
            started: job.started,
            ended: job.ended,
            version: self.live.version_of(job.id),
            exit: job.ended.map(|_| exit_of(job)),
            progress: self.progress_of(job.id),
        }
    }

    /// Whether something of a job is on a node, and has not ended.
    fn has_open(&self, node: NodeId, job: JobId) -> bool {
        let open = self.state.node(node).map(|node| &node.open);
        let all = job.task(0).attempt(0)..=job.task(u32::MAX).attempt(u32::MAX);
        open.is_some_and(|open| open.range(all).next().is_some())
    }

    fn progress_of(&self, job: JobId) -> BTreeMap<u32, Progress> {
        let all = self.live.progress.range(job.task(0)..=job.task(u32::MAX));
        all.take(MAX_PROGRESS).map(|(task, (_, progress))| (task.index, progress.clone())).collect()
    }

    /// Tasks of a job by index.
    pub(super) fn tasks(&self, query: &TaskQuery) -> Result<Answer, RequestError> {
        let job = self.job(query.job)?;
        let limit = query.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE) as usize;
        let is = |state| query.states.is_empty() || query.states.contains(&state);
        let found = job.first_in(query.from, limit + 1, is);
        let next = found.get(limit).copied();
        let mut queued = None;
        let shown = found.iter().take(limit);
        let tasks = shown.map(|index| self.view_task(job, *index, &mut queued)).collect();
        Ok(Answer::Tasks { tasks, next })
    }

    /// One task as it is shown.
    pub(super) fn task_view(&self, id: TaskId) -> Result<TaskView, RequestError> {
        let job = self.job(id.job)?;
        job.state(id.index).ok_or(RequestError::NoTask(id))?;
        Ok(self.view_task(job, id.index, &mut None))
    }

    fn view_task(&self, job: &Job, index: u32, queued: &mut Option<Vec<Cause>>) -> TaskView {
        let state = job.state(index).expect("it is of the job");
        let progress = self.live.progress.get(&job.id.task(index));
        TaskView {
            job: job.id,
            index,
            values: values_of(job, index),
            state,
            reason: self.reason(job, index, state, queued),
            due: job.due.get(index),
            progress: progress.map(|(_, progress)| progress.clone()),
            attempts: job.attempts(index).map(|it| self.view_attempt(job, index, &it)).collect(),
        }
    }

    fn view_attempt(&self, job: &Job, index: u32, it: &Packed) -> AttemptView {
        let note = job.notes.get(&(index, it.number));
        let not_started = note.and_then(|note| note.not_started.as_ref());
        let record = it.record(not_started, note.and_then(|note| note.text.clone()));
        AttemptView { record, node_name: self.node_name(NodeId(it.node)) }
    }

    /// The name of a node, or its number if it is not in the cluster any more.
    pub(super) fn node_name(&self, node: NodeId) -> String {
        let named = self.config.nodes.get(&node).map(|it| it.name.clone());
        named.unwrap_or_else(|| node.to_string())
    }

    /// Whether a job is still to run, and if not, why it left the queue.
    pub(super) fn validity(&self, id: JobId) -> Result<Validity, RequestError> {
        let job = self.job(id)?;
        if !job.has_ended() {
            return Ok(Validity { is_valid: true, removed: None });
        }
        let has = |state| job.count(state) > 0;
        let removed = if state_of(job) == JobState::Succeeded {
            Removal::Completed
        } else if has(TaskState::TimedOut) || has(TaskState::Expired) {
            Removal::TimedOut
        } else if job.spec.retry.max_attempts > 1 && was_tried_enough(job) {
            Removal::TooManyExecutions
        } else {
            Removal::Failed
        };
        Ok(Validity { is_valid: false, removed: Some(removed) })
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> Vec<NodeView> {
        self.config.nodes.keys().map(|id| self.node_view(*id)).collect()
    }

    fn node_view(&self, id: NodeId) -> NodeView {
        let unknown = super::node::Node::default();
        let node = self.state.node(id).unwrap_or(&unknown);
        let live = self.live.nodes.get(&id);
        let (state, reason) = self.node_state(id);
        let config = &self.config.nodes[&id];
        let offer = node.offer.as_ref();
        NodeView {
            id,
            name: config.name.clone(),
            state,
            reason,
            labels: config.labels.clone(),
            capacity: node.resources(),
            used: (&node.used).into(),
            attempts: node.open.len() as u64,
            shim: node.shim,
            kill: offer.map(|it| it.kill),
            memory_enforced: offer.map(|it| it.memory),
            heard: live.and_then(|live| live.heard),
            usage: live.and_then(|live| live.usage.clone()),
            quarantined_until: node
                .quarantine
                .as_ref()
                .map(|it| it.until)
                .filter(|it| *it > self.at),
            faults: node.faults,
        }
    }

    /// How a node stands, and why if it takes no work.
    pub(super) fn node_state(&self, id: NodeId) -> (NodeState, Option<String>) {
        let Some(node) = self.state.node(id) else { return (NodeState::Unknown, None) };
        let is_here = self.live.nodes.get(&id).is_some_and(|live| live.is_here);
        if let Some(drained) = &node.drained {
            let state = if node.open.is_empty() { NodeState::Drained } else { NodeState::Draining };
            return (state, drained.reason.clone());
        }
        if node.shim.is_none() {
            return match node.gone {
                0 => (NodeState::Unknown, None),
                _ => (NodeState::Lost, Some("it was silent past the end of its lease".to_owned())),
            };
        }
        if !is_here {
            let was_heard = self.live.nodes.get(&id).is_some_and(|live| live.heard.is_some());
            return if was_heard {
                (NodeState::Silent, Some("the way to it is cut".to_owned()))
            } else {
                (NodeState::Unknown, None)
            };
        }
        match &node.quarantine {
            Some(it) if node.is_quarantined(self.at) => {
                (NodeState::Quarantined, Some(it.reason.clone()))
            }
            _ => (NodeState::Ready, None),
        }
    }
}

/// What of a task's environment is its own, shortened.
fn values_of(job: &Job, index: u32) -> BTreeMap<String, String> {
    let short = |text: &str| match text.char_indices().nth(MAX_COMMAND) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    let values = job.spec.variables(index).into_iter().take(MAX_VALUES);
    values.map(|(name, value)| (short(name), short(value))).collect()
}

/// How a job stands.
pub fn state_of(job: &Job) -> JobState {
    if job.has_ended() {
        return if job.count(TaskState::Cancelled) > 0 {
            JobState::Cancelled
        } else if job.count_where(TaskState::is_failure) > 0 {
            JobState::Failed
        } else {
            JobState::Succeeded
        };
    }
    if job.count_where(|state| !state.is_ended() && state != TaskState::Held) == 0 {
        return JobState::Held;
    }
    let runs = job.count(TaskState::Starting) + job.count(TaskState::Running) > 0;
    if runs || job.started.is_some() { JobState::Running } else { JobState::Waiting }
}

/// The exit status that stands for a job that has ended.
fn exit_of(job: &Job) -> i32 {
    if job.count_where(TaskState::is_failure) == 0 {
        return 0;
    }
    if job.indices.len() > 1 {
        return 1;
    }
    let row = job.rows.from(0).next().map(|(_, row)| row);
    match row.and_then(|row| row.last.exit()) {
        Some(Exit::Code(code)) if code != 0 => code,
        Some(Exit::Signal(signal)) => 128 + signal,
        _ => 1,
    }
}

/// Whether a task of it failed as often as it may.
fn was_tried_enough(job: &Job) -> bool {
    let most = job.spec.retry.max_attempts;
    let ends = [End::Failed, End::TimedOut, End::Oom];
    job.rows.from(0).any(|(_, row)| {
        u32::from(row.counted) >= most && row.last.end().is_some_and(|end| ends.contains(&end))
    })
}

fn has_label(job: &Job, label: &str) -> bool {
    match label.split_once('=') {
        Some((name, value)) => job.spec.labels.get(name).is_some_and(|it| it == value),
        None => job.spec.labels.contains_key(label),
    }
}
