//! An agent's shared state at work. Its code runs at once and in full; what comes of it is only
//! seen later, and in any order, but for the order of each source.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use dx_agents::event::Envelope;
use dx_agents::message::Body;
use dx_agents::shared::Job;
use dx_agents::{AgentId, AskId, JobId, Outcome, SharedState};

use crate::mailbox::{Credit, Letter, Staged};
use crate::slab::Slab;

/// Jobs and outgoing messages that one agent may have under way, as on threads.
pub const MAX_UNDER_WAY: usize = 4096;

/// See the module.
pub struct Stage {
    state: Arc<dyn SharedState>,
    lines: BTreeMap<Source, Line>,
    tasks: Slab<Task>,
    under_way: usize,
}

/// Whose order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    In(AgentId),
    Work(u64),
    Out(AgentId),
}

#[derive(Default)]
struct Line {
    /// The number of the first place.
    first: u64,
    places: VecDeque<Option<Output>>,
}

struct Task {
    source: Source,
    place: u64,
    output: Output,
}

/// What came of a task.
pub enum Output {
    /// A message for the agent; what it was if it is dropped.
    In(Option<Letter>, Staged, Option<Credit>),
    /// A job has ended.
    Done(JobId, Outcome),
    /// A message leaves the agent; `None` if the shared state panicked over it.
    Out {
        /// To whom.
        to: AgentId,
        /// The question that it is.
        ask: Option<AskId>,
        /// The message.
        body: Option<Body>,
    },
}

impl Stage {
    pub fn new(state: Arc<dyn SharedState>) -> Self {
        Self { state, lines: BTreeMap::new(), tasks: Slab::default(), under_way: 0 }
    }

    /// The agent was restarted, and has another shared state.
    pub fn restart(&mut self, state: Arc<dyn SharedState>) {
        self.state = state;
    }

    pub fn takes_ingress(&self) -> bool {
        self.state.takes_ingress()
    }

    pub fn takes_egress(&self) -> bool {
        self.state.takes_egress()
    }

    /// Takes a message that the mailbox has let in: the task's number.
    pub fn take_in(&mut self, letter: Letter, staged: Staged) -> u32 {
        let Letter { envelope, weight, hash, credit } = letter;
        let source = Source::In(envelope.from);
        let seen = guarded(|| self.state.ingress(envelope)).flatten();
        let seen = seen.map(|envelope: Envelope| Letter { envelope, weight, hash, credit });
        self.submit(source, Output::In(seen, staged, credit))
    }

    /// Takes a job: the task's number. `None` if too much is under way.
    pub fn take_work(&mut self, job: JobId, source: u64, work: Job) -> Option<u32> {
        self.reserve()?;
        let outcomes = guarded(|| self.state.work(vec![work]));
        let outcome = outcomes.and_then(|mut outcomes| outcomes.pop()).unwrap_or(Outcome::Failed);
        Some(self.submit(Source::Work(source), Output::Done(job, outcome)))
    }

    /// Takes a message that leaves the agent. It comes back if too much is under way.
    pub fn take_out(&mut self, to: AgentId, ask: Option<AskId>, body: Body) -> Result<u32, Body> {
        if self.reserve().is_none() {
            return Err(body);
        }
        let body = guarded(|| self.state.egress(to, body));
        Ok(self.submit(Source::Out(to), Output::Out { to, ask, body }))
    }

    /// A task ends: what is now at the head of its line.
    pub fn end(&mut self, task: u32) -> Vec<Output> {
        let Some(Task { source, place, output }) = self.tasks.take(task) else { return Vec::new() };
        let Some(line) = self.lines.get_mut(&source) else { return Vec::new() };
        line.places[(place - line.first) as usize] = Some(output);
        let mut outputs = Vec::new();
        while line.places.front().is_some_and(Option::is_some) {
            line.first += 1;
            outputs.extend(line.places.pop_front().flatten());
        }
        if line.places.is_empty() {
            self.lines.remove(&source);
        }
        let bounded = |output: &&Output| !matches!(output, Output::In(..));
        self.under_way -= outputs.iter().filter(bounded).count();
        outputs
    }

    fn reserve(&mut self) -> Option<()> {
        let has_room = self.under_way < MAX_UNDER_WAY;
        self.under_way += usize::from(has_room);
        has_room.then_some(())
    }

    fn submit(&mut self, source: Source, output: Output) -> u32 {
        let line = self.lines.entry(source).or_default();
        line.places.push_back(None);
        let place = line.first + line.places.len() as u64 - 1;
        self.tasks.put(Task { source, place, output })
    }
}

/// The result, unless it panicked.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
