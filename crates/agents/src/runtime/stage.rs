//! One agent's shared state at work: many threads at once, and yet the order of each source.
//!
//! Every task takes a place in its source's line. Tasks end in any order; a place leaves the line
//! when it is done and all before it have left.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rustc_hash::FxHashMap;

use crate::event::{AskError, Down, Envelope, Event, Outcome};
use crate::id::{AgentId, JobId};
use crate::message::Body;
use crate::runtime::crew::Crew;
use crate::runtime::dead_letters::Reason;
use crate::runtime::mailbox::{Mailbox, Staged, Unstaged};
use crate::runtime::shared::{Delivered, Letter, Shared};
use crate::shared::{Job, SharedState};
use crate::spec::WhenFull;

/// Jobs and outgoing messages that one agent may have under way. What comes in is bounded by the
/// mailbox.
pub const MAX_UNDER_WAY: usize = 4096;

/// See the module.
pub struct Stage {
    node: Weak<Shared>,
    mailbox: OnceLock<Weak<Mailbox>>,
    crew: Arc<Crew>,
    state: Mutex<Arc<dyn SharedState>>,
    inward: Mutex<Lines>,
    /// Apart from `inward`: what leaves one agent enters another while this is locked, and never
    /// the other way round, so that two agents cannot wait for each other.
    outward: Mutex<Lines>,
    under_way: AtomicUsize,
}

/// Whose order is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    /// Messages from this agent.
    In(AgentId),
    /// Jobs of this source.
    Work(u64),
    /// Messages to this agent.
    Out(AgentId),
}

type Lines = FxHashMap<Source, Line>;

#[derive(Default)]
struct Line {
    /// The number of the first place.
    first: u64,
    places: VecDeque<Option<Output>>,
}

/// Something to do, and its place in the line.
pub struct Task {
    source: Source,
    place: u64,
    input: Input,
}

enum Input {
    In(Envelope, Staged),
    Work(JobId, Job),
    Out(Letter, WhenFull),
}

enum Output {
    In(Option<Envelope>, Staged),
    Done(JobId, Outcome),
    Out(Option<Letter>, WhenFull),
}

impl Stage {
    /// The stage of an agent with the shared state `state`, to be carried out by `crew`.
    pub fn new(node: Weak<Shared>, state: Arc<dyn SharedState>, crew: Arc<Crew>) -> Self {
        Self {
            node,
            mailbox: OnceLock::new(),
            crew,
            state: Mutex::new(state),
            inward: Mutex::default(),
            outward: Mutex::default(),
            under_way: AtomicUsize::new(0),
        }
    }

    /// Says where what comes in goes to.
    pub fn attach(&self, mailbox: &Arc<Mailbox>) {
        // A stage belongs to one agent: it is attached once.
        let _ = self.mailbox.set(Arc::downgrade(mailbox));
    }

    /// The agent was restarted, and has another shared state.
    pub fn restart(&self, state: Arc<dyn SharedState>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Whether the agent's messages pass through here before they reach it.
    pub fn takes_ingress(&self) -> bool {
        self.state().takes_ingress()
    }

    /// Whether what the agent sends passes through here.
    pub fn takes_egress(&self) -> bool {
        self.state().takes_egress()
    }

    /// Takes a message that the mailbox has let in.
    pub fn take_in(self: &Arc<Self>, envelope: Envelope, staged: Staged) {
        self.submit(Source::In(envelope.from), Input::In(envelope, staged));
    }

    /// Takes a job. False if too much is under way.
    pub fn take_work(self: &Arc<Self>, job: JobId, source: u64, work: Job) -> bool {
        let has_room = self.reserve();
        if has_room {
            self.submit(Source::Work(source), Input::Work(job, work));
        }
        has_room
    }

    /// Takes a message that leaves the agent. It comes back if too much is under way.
    pub fn take_out(self: &Arc<Self>, letter: Letter, policy: WhenFull) -> Option<Letter> {
        if !self.reserve() {
            return Some(letter);
        }
        self.submit(Source::Out(letter.to), Input::Out(letter, policy));
        None
    }

    fn reserve(&self) -> bool {
        let has_room = self.under_way.load(Ordering::Relaxed) < MAX_UNDER_WAY;
        if has_room {
            self.under_way.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    fn submit(self: &Arc<Self>, source: Source, input: Input) {
        let place = {
            let mut lines = self.lines(source);
            let line = lines.entry(source).or_default();
            line.places.push_back(None);
            line.first + line.places.len() as u64 - 1
        };
        let task = Task { source, place, input };
        if let Err(error) = self.crew.submit(Arc::clone(self), task) {
            // Without threads nothing that depends on them can go on.
            panic!("failed to start the threads of shared states: {error}");
        }
    }

    /// Carries out tasks, on a thread of the crew.
    pub fn carry_out(&self, tasks: Vec<Task>) {
        let state = self.state();
        let mut jobs = Vec::new();
        let mut places = Vec::new();
        for task in tasks {
            let (source, place) = (task.source, task.place);
            match task.input {
                Input::Work(job, work) => {
                    jobs.push(work);
                    places.push((source, place, job));
                }
                Input::In(envelope, staged) => {
                    let seen = guarded(|| state.ingress(envelope)).flatten();
                    self.end(source, place, Output::In(seen, staged));
                }
                Input::Out(letter, policy) => {
                    let Letter { from, to, ask, body } = letter;
                    let body = guarded(|| state.egress(to, body));
                    let letter = body.map(|body: Body| Letter { from, to, ask, body });
                    self.end(source, place, Output::Out(letter, policy));
                }
            }
        }
        if !jobs.is_empty() {
            let mut outcomes = work_out(&*state, jobs).into_iter();
            for (source, place, job) in places {
                let outcome = outcomes.next().unwrap_or(Outcome::Failed);
                self.end(source, place, Output::Done(job, outcome));
            }
        }
    }

    /// A task has ended: what is now at the head of its line leaves, in order.
    fn end(&self, source: Source, place: u64, output: Output) {
        let mut lines = self.lines(source);
        let Some(line) = lines.get_mut(&source) else { return };
        line.places[(place - line.first) as usize] = Some(output);
        // Under the lock, so that no other thread overtakes.
        while line.places.front().is_some_and(Option::is_some) {
            line.first += 1;
            if let Some(output) = line.places.pop_front().flatten() {
                self.put_out(output);
            }
        }
        if line.places.is_empty() {
            lines.remove(&source);
        }
    }

    fn put_out(&self, output: Output) {
        let Some(node) = self.node.upgrade() else { return };
        let Some(mailbox) = self.mailbox.get().and_then(Weak::upgrade) else { return };
        match output {
            Output::In(envelope, staged) => {
                let asked = envelope.as_ref().and_then(Envelope::reply_to);
                let (home, lost) = match mailbox.unstage(envelope, staged) {
                    Unstaged::In(home) => (home, None),
                    Unstaged::Filtered(home) => (home, Some(Reason::Filtered)),
                    Unstaged::Restarted(home) => (home, Some(Reason::Restarted)),
                    Unstaged::Stopped => (None, Some(Reason::Stopped)),
                };
                if let Some(reason) = lost {
                    node.dead_letters.add(reason, 1);
                }
                let why = match lost {
                    Some(Reason::Restarted) => Some(Down::Restarted),
                    Some(Reason::Stopped) => Some(Down::Stopped),
                    _ => None,
                };
                if let (Some(to), Some(why)) = (asked, why) {
                    node.answer(mailbox.id, to, Err(AskError::Down(why)));
                }
                if let Some(home) = home {
                    home.worker.schedule(home.slot);
                }
            }
            Output::Done(job, outcome) => {
                self.under_way.fetch_sub(1, Ordering::Relaxed);
                node.tell(mailbox.id, Event::Done(job, outcome));
            }
            Output::Out(letter, policy) => {
                self.under_way.fetch_sub(1, Ordering::Relaxed);
                match letter {
                    Some(letter) => send(&node, letter, policy),
                    None => node.dead_letters.add(Reason::Filtered, 1),
                }
            }
        }
    }

    fn lines(&self, source: Source) -> MutexGuard<'_, Lines> {
        let lines = match source {
            Source::In(_) | Source::Work(_) => &self.inward,
            Source::Out(_) => &self.outward,
        };
        lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> Arc<dyn SharedState> {
        Arc::clone(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn send(node: &Shared, letter: Letter, policy: WhenFull) {
    let (from, to, ask) = (letter.from, letter.to, letter.ask);
    if let Delivered::No(lane, why) = node.post(letter, policy) {
        node.tell_refused(from, to, ask, lane, why);
    }
}

fn work_out(state: &dyn SharedState, mut jobs: Vec<Job>) -> Vec<Outcome> {
    if jobs.len() == 1 {
        return guarded(|| state.work(jobs)).unwrap_or_default();
    }
    // A panic fails the job that caused it, not its neighbours: jobs are data that is gone with
    // the panic, so each is worked on by itself unless the state says that it wants batches.
    if state.takes_batches() {
        return guarded(|| state.work(jobs)).unwrap_or_default();
    }
    let one = |job| guarded(|| state.work(vec![job])).and_then(|mut outcomes| outcomes.pop());
    jobs.drain(..).map(|job| one(job).unwrap_or(Outcome::Failed)).collect()
}

/// The result, unless it panicked. The default hook has reported the panic.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
