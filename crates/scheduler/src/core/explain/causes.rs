//! Why a task does not run.

use dx_agents::NodeId;

use crate::client::{Cause, NodeState};
use crate::core::Core;
use crate::core::amounts::Amounts;
use crate::core::graph::Edge;
use crate::core::job::Job;
use crate::core::place::{is_met, meets};
use crate::core::queue::{Class, turn};
use crate::core::wait::MAX_BLOCKED;
use crate::end::TaskState;
use crate::job::Constraint;

/// The most nodes that are named in a line.
pub(super) const MAX_NAMED: usize = 8;

impl Core {
    /// Why a task neither runs nor has ended; the most telling first.
    pub(in crate::core) fn causes(&self, job: &Job, index: u32, state: TaskState) -> Vec<Cause> {
        let id = job.id.task(index);
        match state {
            TaskState::Held => {
                let hint = format!("dx job release {id}");
                vec![cause("held", "it is held until somebody releases it", Some(hint))]
            }
            TaskState::Waiting => vec![self.why_waiting(job, index)],
            TaskState::Backoff => {
                let due = job.due.get(index).unwrap_or(self.at).saturating_sub(self.at);
                let span = humantime::format_duration(std::time::Duration::from_millis(due));
                let number = job.row(index).map_or(1, |row| row.last.number + 1);
                let what = format!("attempt {number} waits for its time, {span} from now");
                vec![cause("backoff", what, None)]
            }
            TaskState::Queued => self.why_queued(job),
            TaskState::Assigned | TaskState::Starting => self.why_not_started(job, index, state),
            TaskState::Blocked | TaskState::Running => self.why_waits(job, index),
            _ => Vec::new(),
        }
    }

    /// For whom a task waits.
    fn why_waiting(&self, job: &Job, index: u32) -> Cause {
        let left = job.ties.after.iter().filter_map(|(on, edge)| {
            let on = self.state.job(*on)?;
            let is_over = if edge.each {
                on.state(index).is_none_or(TaskState::is_ended)
            } else {
                on.ended.is_some()
            };
            (!is_over).then_some((on, edge))
        });
        let mut names = Vec::new();
        let (mut more, mut first) = (0_u64, None);
        for (on, edge) in left {
            first = first.or(Some(on.id));
            if names.len() < MAX_NAMED {
                names.push(waited_for(on, *edge, index));
            } else {
                more += 1;
            }
        }
        if more > 0 {
            names.push(format!("{more} more"));
        }
        let hint = first.map(|on| format!("dx job explain {on}"));
        cause("waiting", format!("it waits for {} to end", names.join(", ")), hint)
    }

    /// For whom a task waits that runs, and where its room is.
    fn why_waits(&self, job: &Job, index: u32) -> Vec<Cause> {
        let Some(row) = job.row(index) else { return Vec::new() };
        let attempt = job.id.task(index).attempt(row.last.number);
        let name = self.node_name(NodeId(row.last.node));
        if let Some(on) = self.state.waits.blocked_on(attempt) {
            let named = on.iter().filter_map(|on| self.state.job(*on)).take(MAX_NAMED);
            let mut names: Vec<String> = named.map(said_job).collect();
            if on.len() > MAX_NAMED {
                names.push(format!("{} more", on.len() - MAX_NAMED));
            }
            let what = format!("it waits for {} to end, without processors", names.join(", "));
            let hint = on.first().map(|on| format!("dx job explain {on}"));
            let deadlock = self.blocked_for_ever(attempt).into_iter();
            return deadlock.chain([cause("blocked", what, hint)]).collect();
        }
        if row.state == TaskState::Blocked {
            let what = format!(
                "what it waited for is over; before it goes on, its processors on node {name} must \
                 be free again"
            );
            return vec![cause("returning", what, None)];
        }
        if self.live.is_waiting(attempt) && self.is_full_of_blocked(attempt) {
            let what = format!(
                "it waits for others, and keeps its processors: node {name} has {MAX_BLOCKED} \
                 blocked tasks, the most"
            );
            return vec![cause("keeps_slot", what, None)];
        }
        Vec::new()
    }

    /// Why a task that was given to a node has not begun there.
    fn why_not_started(&self, job: &Job, index: u32, state: TaskState) -> Vec<Cause> {
        let Some(row) = job.row(index) else { return Vec::new() };
        let attempt = job.id.task(index).attempt(row.last.number);
        let node = NodeId(row.last.node);
        let name = self.node_name(node);
        let (node_state, _) = self.node_state(node);
        if matches!(node_state, NodeState::Silent | NodeState::Unknown) {
            let what = format!("node {name}, which it was given to, cannot be reached");
            return vec![cause("node_silent", what, Some(format!("dx nodes show {name}")))];
        }
        let waits = self.state.node(node).and_then(|node| node.open.get(&attempt));
        if waits.is_some_and(|hold| !hold.is_charged) {
            let what = format!("it waits on node {name} for something there to end");
            let kept = self.callers_keep_room(&[node]).into_iter();
            return kept.chain([cause("node_busy", what, None)]).collect();
        }
        match state {
            TaskState::Starting => {
                vec![cause("starting", format!("node {name} is starting it"), None)]
            }
            _ => vec![cause("assigned", format!("it is on its way to node {name}"), None)],
        }
    }

    /// Why a task that could run does not.
    fn why_queued(&self, job: &Job) -> Vec<Cause> {
        let most = job.spec.max_running.map(u64::from);
        if most.is_some_and(|most| job.open() >= most) {
            let what =
                format!("{} tasks of the job run, as many as max_running allows", job.open());
            return vec![cause("max_running", what, None)];
        }
        let class = Class::of(&job.spec);
        let fitting = match self.nodes_that_could(&class) {
            Ok(fitting) => fitting,
            Err(cause) => return vec![cause],
        };
        let mut causes = Vec::new();
        let ready: Vec<NodeId> = fitting
            .iter()
            .copied()
            .filter(|node| self.node_state(*node).0 == NodeState::Ready)
            .collect();
        if ready.is_empty() {
            return vec![self.none_is_ready(&fitting)];
        }
        if let Some(cause) = self.is_behind(job) {
            causes.push(cause);
        }
        causes.push(self.no_room(&class, &ready));
        if let Some(cause) = self.callers_keep_room(&ready) {
            causes.insert(0, cause);
        }
        causes
    }

    /// The nodes that could run tasks of a class if nothing else ran there.
    pub(in crate::core) fn nodes_that_could(&self, class: &Class) -> Result<Vec<NodeId>, Cause> {
        let nodes = &self.config.nodes;
        if nodes.is_empty() {
            let hint = "give a node the role `runner`".to_owned();
            return Err(cause("no_nodes", "no node of the cluster runs jobs", Some(hint)));
        }
        let is_met_by = |constraint: &Constraint| {
            nodes.values().any(|node| is_met(constraint, &node.name, &node.labels))
        };
        let hint = Some("dx nodes ls".to_owned());
        if let Some(unmet) = class.constraints.iter().find(|it| !is_met_by(it)) {
            let what = format!("no node has {unmet}");
            return Err(cause("no_node_with_label", what, hint));
        }
        let meeting =
            nodes.iter().filter(|(_, it)| meets(&class.constraints, &it.name, &it.labels));
        let meeting: Vec<NodeId> = meeting.map(|(id, _)| *id).collect();
        if meeting.is_empty() {
            let what = "each of its constraints is met by some node, but all by none";
            return Err(cause("no_node_with_labels", what, hint));
        }
        let offers = |id: &NodeId| self.state.node(*id).filter(|node| node.offer.is_some());
        let offering: Vec<NodeId> =
            meeting.iter().copied().filter(|id| offers(id).is_some()).collect();
        if offering.is_empty() {
            let what = format!("nothing was heard yet of {}", self.named(&meeting));
            return Err(cause("no_node_heard", what, hint));
        }
        let lack = |id: &NodeId| {
            let capacity = &offers(id)?.capacity;
            Amounts::default().lack(&class.need, capacity)
        };
        let fitting: Vec<NodeId> =
            offering.iter().copied().filter(|id| lack(id).is_none()).collect();
        if fitting.is_empty() {
            let lacks = offering.iter().find_map(lack).unwrap_or_default();
            let all = offering.iter().filter_map(offers).map(|node| &node.capacity);
            let (_, most) = all.map(|it| it.of(&lacks)).max().unwrap_or_default();
            let (_, need) = class.need.of(&lacks);
            let what = format!(
                "it needs {need} of {lacks}, and no node that meets its constraints has more than \
                 {most} at all"
            );
            return Err(cause("too_large", what, hint));
        }
        Ok(fitting)
    }

    fn none_is_ready(&self, fitting: &[NodeId]) -> Cause {
        let states = fitting.iter().take(MAX_NAMED).map(|id| {
            let (state, reason) = self.node_state(*id);
            let state = format!("{state:?}").to_lowercase();
            let reason = reason.map_or(String::new(), |reason| format!(" ({reason})"));
            format!("{} is {state}{reason}", self.node_name(*id))
        });
        let states: Vec<String> = states.collect();
        let what = format!("no node that could run it takes work: {}", states.join(", "));
        let are_drained = fitting.iter().all(|id| self.is_drained(*id));
        let code = if are_drained { "all_drained" } else { "no_node_ready" };
        cause(code, what, Some("dx nodes ls".to_owned()))
    }

    fn is_drained(&self, id: NodeId) -> bool {
        matches!(self.node_state(id).0, NodeState::Drained | NodeState::Draining)
    }

    /// Those that go before it.
    fn is_behind(&self, job: &Job) -> Option<Cause> {
        let mine = turn(job);
        let before = self.state.queue.classes().flat_map(|(_, jobs)| jobs.range(..mine));
        let before = before.filter_map(|turn| self.state.job(turn.1));
        let (mut higher, mut earlier) = (0, 0);
        for other in before {
            let count = other.count(TaskState::Queued);
            if other.priority > job.priority {
                higher += count;
            } else {
                earlier += count;
            }
        }
        let what = match (higher, earlier) {
            (0, 0) => return None,
            (higher, 0) => format!("{higher} tasks of higher priority go before it"),
            (0, earlier) => format!("{earlier} tasks of earlier jobs go before it"),
            (higher, earlier) => format!(
                "{higher} tasks of higher priority and {earlier} of earlier jobs go before it"
            ),
        };
        Some(cause("behind", what, Some(format!("dx job priority {} N", job.id))))
    }

    fn no_room(&self, class: &Class, ready: &[NodeId]) -> Cause {
        let lacks = ready.iter().find_map(|id| {
            let node = self.state.node(*id)?;
            node.used.lack(&class.need, &node.capacity)
        });
        let what = match lacks {
            Some(lacks) => {
                format!("there is no room now on {}: not enough {lacks}", self.named(ready))
            }
            None => format!("what is free now on {} is kept for others", self.named(ready)),
        };
        cause("no_room_now", what, None)
    }

    pub(super) fn named(&self, nodes: &[NodeId]) -> String {
        let names: Vec<String> =
            nodes.iter().take(MAX_NAMED).map(|id| self.node_name(*id)).collect();
        match nodes.len() - names.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// A job, or a task of it, that is waited for, with how it stands.
fn waited_for(on: &Job, edge: Edge, index: u32) -> String {
    if edge.each {
        return match on.state(index) {
            Some(state) => format!("task {} ({})", on.id.task(index), word(state)),
            None => format!("task {}", on.id.task(index)),
        };
    }
    said_job(on)
}

/// A job that is waited for as a whole, with how it stands.
fn said_job(on: &Job) -> String {
    let left = on.count_where(|state| !state.is_ended());
    let name = on.spec.name.as_ref().map_or(String::new(), |name| format!(" `{name}`"));
    let waiting = on.count(TaskState::Waiting);
    match on.indices.len() {
        1 => {
            let state = on.sets().next().map_or("", |(state, _)| word(state));
            format!("job {}{name} ({state})", on.id)
        }
        _ if waiting == left => format!("job {}{name} ({left} tasks waiting)", on.id),
        _ => format!("job {}{name} ({left} tasks left)", on.id),
    }
}

/// A state that is not over, for people.
fn word(state: TaskState) -> &'static str {
    match state {
        TaskState::Waiting => "waiting",
        TaskState::Held => "held",
        TaskState::Queued => "queued",
        TaskState::Backoff => "to be tried again",
        TaskState::Assigned | TaskState::Starting => "starting",
        TaskState::Running => "running",
        TaskState::Blocked => "waiting for others itself",
        _ => "over",
    }
}

pub(super) fn cause(code: &str, what: impl Into<String>, hint: Option<String>) -> Cause {
    Cause { code: code.to_owned(), what: what.into(), hint }
}
