//! What all parts of a node's runtime share, and how a letter finds its way between them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use dx_transport::id::{Incarnation, NodeId};
use dx_transport::time::Instant;

use crate::context::{DynamicIds, JournalState, World};
use crate::directory::Directory;
use crate::event::{Answer, AskError, Down, Envelope, Event, Recovered, Refusal, RefusedBecause};
use crate::id::{AgentId, AskId, ReplyTo};
use crate::lane::Lane;
use crate::message::{BadMessage, Body};
use crate::runtime::crew::Crew;
use crate::runtime::dead_letters::{DeadLetters, Reason};
use crate::runtime::failure::Failure;
use crate::runtime::journaling::Journaling;
use crate::runtime::mailbox::{Discarded, Pushed, Weighed};
use crate::runtime::recorder::Recorder;
use crate::runtime::routes::{Route, Routes};
use crate::runtime::worker_handle::WorkerHandle;
use crate::spec::WhenFull;

/// See the module.
pub struct Shared {
    pub node: NodeId,
    pub incarnation: Incarnation,
    pub directory: Arc<Directory>,
    pub ids: Arc<DynamicIds>,
    pub seed: u64,
    pub started: Clock,
    pub routes: Routes,
    pub dead_letters: DeadLetters,
    pub workers: Mutex<Vec<Arc<WorkerHandle>>>,
    /// Those among them that light agents share, and how many agents were given to them.
    pub pool: OnceLock<Vec<Arc<WorkerHandle>>>,
    pub placed: AtomicUsize,
    /// The worker on the thread that does a mesh's I/O: home of light agents, if there is one.
    pub io: OnceLock<Arc<WorkerHandle>>,
    pub recorders: Mutex<Vec<Arc<Recorder>>>,
    /// Threads for the shared states of agents that have none of their own.
    pub crew: Arc<Crew>,
    /// The way to other nodes, once there is one.
    pub remote: OnceLock<Arc<dyn Remote>>,
    pub journal: Option<Arc<Journaling>>,
    pub failure: Arc<Failure>,
    /// Every local message passes its encoding.
    pub round_trip: bool,
    /// Threads of workers, to be waited for.
    pub threads: Mutex<Vec<JoinHandle<()>>>,
    /// Set when the node is on its way down: when whoever is left is stopped.
    pub stops: OnceLock<Instant>,
}

/// A message on its way from a local agent.
#[derive(Debug)]
pub struct Letter {
    pub from: AgentId,
    pub to: AgentId,
    pub ask: Option<AskId>,
    pub body: Body,
}

/// The way to other nodes.
pub trait Remote: Send + Sync {
    /// Sends a letter to an agent of `node`. Where there is neither credit nor room in the outbox,
    /// `policy` says what happens; what it drops is counted and no error.
    ///
    /// # Errors
    /// If it cannot leave, and the policy is to say so.
    fn send(&self, node: NodeId, letter: Letter, policy: WhenFull) -> Result<(), RefusedBecause>;

    /// Sends the first of `run` to an agent of `node`, as many as there is credit and room for;
    /// what is left is to be sent one by one.
    fn send_run(&self, node: NodeId, from: AgentId, to: AgentId, run: &mut VecDeque<Weighed>);

    /// Answers a question of another node's agent.
    fn answer(&self, node: NodeId, from: AgentId, to: ReplyTo, answer: Result<Body, AskError>);

    /// Wants to be told, or no longer, of the end of another node's agent.
    fn watch(&self, node: NodeId, me: AgentId, who: AgentId, is_on: bool);

    /// Tells another node, which wants to know, of the end of a local agent.
    fn down(&self, node: NodeId, who: AgentId, why: Down);
}

/// How a delivery went, for its sender.
pub enum Delivered {
    /// Done, or counted as a dead letter.
    Yes,
    /// Done; the agent at this place of the caller's own worker must be run.
    WakeHere(u32),
    /// The receiver has no room, or is not there.
    No(Lane, RefusedBecause),
}

impl Shared {
    /// The time on the runtime's clock.
    #[inline]
    pub fn now(&self) -> Instant {
        Instant(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Whether the node is on its way down.
    pub fn is_stopping(&self) -> bool {
        self.stops.get().is_some()
    }

    /// What the journal holds of an agent that is about to start; once.
    pub fn recovered(&self, agent: AgentId) -> Recovered {
        self.journal.as_ref().map(|journal| journal.recovered(agent)).unwrap_or_default()
    }

    /// How the journal is.
    pub fn journal_state(&self) -> JournalState {
        self.journal.as_ref().map_or(JournalState::None, |journal| journal.state())
    }

    /// The world that a worker's steps see.
    pub fn world(&self) -> World {
        let started = self.started;
        let clock =
            move || Instant(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        let journal = self.journal.clone();
        World {
            node: self.node,
            incarnation: self.incarnation,
            directory: Arc::clone(&self.directory),
            ids: Arc::clone(&self.ids),
            seed: self.seed,
            clock: Box::new(clock),
            journal: Box::new(move || {
                journal.as_ref().map_or(JournalState::None, |log| log.state())
            }),
        }
    }

    /// The node of an agent that is not here.
    pub fn elsewhere(&self, id: AgentId) -> Option<(NodeId, &Arc<dyn Remote>)> {
        let node = self.directory.node_of(id).filter(|node| *node != self.node)?;
        self.remote.get().map(|remote| (node, remote))
    }

    /// Delivers a letter to wherever its receiver is.
    pub fn post(&self, letter: Letter, policy: WhenFull) -> Delivered {
        match self.routes.find(letter.to) {
            Some(route) => self.deliver(&route, letter, None),
            None => self.post_elsewhere(letter, policy),
        }
    }

    /// Delivers a letter to an agent that is not on this node.
    pub fn post_elsewhere(&self, letter: Letter, policy: WhenFull) -> Delivered {
        let lane = letter.body.lane();
        let sent = match self.elsewhere(letter.to) {
            Some((node, remote)) => remote.send(node, letter, policy),
            None => {
                self.dead_letters.add(Reason::NoSuchAgent, 1);
                Err(RefusedBecause::Unknown)
            }
        };
        sent.map_or_else(|why| Delivered::No(lane, why), |()| Delivered::Yes)
    }

    /// Delivers a letter to a local agent.
    #[inline]
    pub fn deliver(
        &self,
        route: &Route,
        letter: Letter,
        here: Option<&Arc<WorkerHandle>>,
    ) -> Delivered {
        let Letter { from, ask, body, .. } = letter;
        let body = match body {
            Body::Typed(message) if self.round_trip => match message.encode() {
                Ok(encoded) => encoded.into(),
                Err(_) => {
                    self.dead_letters.add(Reason::Unsendable, 1);
                    return Delivered::No(message.any_lane(), RefusedBecause::Unencodable);
                }
            },
            body => body,
        };
        let envelope = Envelope { from, ask, body };
        match route {
            Route::Agent(mailbox) => {
                let mut lost = Vec::new();
                let pushed = mailbox.push(envelope, here, &mut lost);
                if !lost.is_empty() {
                    self.dead_letters.add(Reason::MailboxFull, lost.len() as u64);
                }
                self.pushed(pushed)
            }
            Route::Port(inlet) => {
                let delivered = inlet.push(envelope);
                match delivered {
                    Delivered::No(_, RefusedBecause::Unknown) => {
                        self.dead_letters.add(Reason::NoSuchAgent, 1);
                    }
                    Delivered::No(..) => self.dead_letters.add(Reason::Refused, 1),
                    Delivered::Yes | Delivered::WakeHere(_) => {}
                }
                delivered
            }
        }
    }

    /// Counts what found no room, and wakes whoever must be.
    #[inline]
    pub fn pushed(&self, pushed: Pushed) -> Delivered {
        match pushed {
            Pushed::In | Pushed::Staged => Delivered::Yes,
            Pushed::WakeHere(slot) => Delivered::WakeHere(slot),
            Pushed::Wake(home) => {
                home.worker.schedule(home.slot);
                Delivered::Yes
            }
            Pushed::Full(lane) => {
                self.dead_letters.add(Reason::Refused, 1);
                Delivered::No(lane, RefusedBecause::Full)
            }
            Pushed::Dropped => {
                self.dead_letters.add(Reason::MailboxFull, 1);
                Delivered::Yes
            }
            Pushed::Closed(lane) => {
                self.dead_letters.add(Reason::NoSuchAgent, 1);
                Delivered::No(lane, RefusedBecause::Unknown)
            }
        }
    }

    /// Gives an agent of this node an event, from any thread. False if there is no such agent.
    pub fn tell(&self, to: AgentId, event: Event) -> bool {
        match self.routes.find(to) {
            Some(Route::Agent(mailbox)) => wake(mailbox.push_system(event, None)),
            Some(Route::Port(inlet)) => inlet.push_system(event),
            None => false,
        }
    }

    /// Answers a question, wherever it came from.
    pub fn answer(&self, from: AgentId, to: ReplyTo, answer: Result<Body, AskError>) {
        if let Some((node, remote)) = self.elsewhere(to.agent) {
            remote.answer(node, from, to, answer);
            return;
        }
        let answer = answer.map(|body| Answer { from, body });
        if !self.tell(to.agent, Event::Reply(to.ask, answer)) {
            self.dead_letters.add(Reason::LateAnswer, 1);
        }
    }

    /// Tells a local sender that its letter came back; if it was a question, as its answer.
    pub fn tell_refused(
        &self,
        from: AgentId,
        to: AgentId,
        ask: Option<AskId>,
        lane: Lane,
        why: RefusedBecause,
    ) {
        if let Some(ask) = ask {
            self.tell(from, Event::Reply(ask, Err(AskError::Refused(why))));
            return;
        }
        match self.routes.find(from) {
            Some(Route::Agent(mailbox)) => {
                wake(mailbox.push_refusal(to, lane, why, None));
            }
            Some(Route::Port(inlet)) => {
                inlet.push_system(Event::Refused(Refusal { to, lane, why, count: 1 }));
            }
            None => {}
        }
    }

    /// Tells a watcher, wherever it is.
    pub fn tell_down(&self, watcher: AgentId, who: AgentId, why: Down) {
        match self.elsewhere(watcher) {
            Some((node, remote)) => remote.down(node, who, why),
            None => drop(self.tell(watcher, Event::Down(who, why))),
        }
    }

    /// Wants to be told, or no longer, of the end of an agent, wherever it is.
    pub fn watch(&self, me: AgentId, who: AgentId, is_on: bool) {
        if self.watch_here(me, who, is_on) {
            return;
        }
        match self.elsewhere(who) {
            Some((node, remote)) => remote.watch(node, me, who, is_on),
            None if is_on => drop(self.tell(me, Event::Down(who, Down::Unknown))),
            None => {}
        }
    }

    /// The same for an agent of this node; false if there is none.
    pub fn watch_here(&self, me: AgentId, who: AgentId, is_on: bool) -> bool {
        match self.routes.find(who) {
            Some(Route::Agent(mailbox)) => mailbox.watch(me, is_on),
            Some(Route::Port(inlet)) => inlet.watch(me, is_on),
            None => false,
        }
    }

    /// Sets the deadline of a port's question.
    pub fn set_deadline(&self, port: AgentId, ask: AskId, within: Duration) {
        let at = self.now() + within;
        let workers = self.workers();
        let first = workers.first().expect("a runtime has at least one worker");
        first.order(|incoming| incoming.deadlines.push((at, port, ask)));
    }

    /// Tells those who were refused that there is room. They are all local: what other nodes may
    /// send is bounded by credit, and never refused.
    pub fn tell_writable(&self, waiting: BTreeSet<AgentId>, who: AgentId) {
        for agent in waiting {
            self.tell(agent, Event::Writable(who));
        }
    }

    /// Deals with what an agent never came to: its letters are counted, those who asked are told.
    pub fn bury(&self, who: AgentId, discarded: Discarded, why: Down) -> BTreeSet<AgentId> {
        let reason = if why == Down::Restarted { Reason::Restarted } else { Reason::Stopped };
        self.dead_letters.add(reason, discarded.messages.len() as u64);
        for Weighed { envelope, .. } in discarded.messages {
            if let Some(to) = envelope.reply_to() {
                self.answer(who, to, Err(AskError::Down(why)));
            }
        }
        self.tell_writable(discarded.waiting, who);
        discarded.watchers
    }

    /// Counts a message that the receiver does not take.
    pub fn reject(&self, bad: &BadMessage) {
        self.dead_letters.add(
            match bad {
                BadMessage::WrongType { .. } => Reason::WrongType,
                BadMessage::Malformed(_) => Reason::Malformed,
            },
            1,
        );
    }

    /// A new worker's handle and recorder.
    pub fn enlist(&self) -> (Arc<WorkerHandle>, Arc<Recorder>) {
        let mut workers = self.workers();
        // Those that have ended, and that no mailbox leads to.
        workers.retain(|worker| Arc::strong_count(worker) > 1);
        let handle = Arc::new(WorkerHandle::default());
        workers.push(Arc::clone(&handle));
        let recorder = Arc::new(Recorder::default());
        let mut recorders = self.recorders.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ended = |recorder: &Arc<Recorder>| Arc::strong_count(recorder) == 1;
        if recorders.iter().filter(|recorder| is_ended(recorder)).count() >= MAX_ENDED_RECORDERS {
            let oldest = recorders.iter().position(is_ended);
            oldest.map(|at| recorders.remove(at));
        }
        recorders.push(Arc::clone(&recorder));
        (handle, recorder)
    }

    /// The worker that is to take a light agent in: the one that does I/O, or the one of the pool
    /// whose turn it is.
    pub fn pool_worker(&self) -> &Arc<WorkerHandle> {
        if let Some(io) = self.io.get() {
            return io;
        }
        let pool = self.pool.get().expect("agents come after the pool");
        &pool[self.placed.fetch_add(1, Ordering::Relaxed) % pool.len()]
    }

    /// Keeps a worker's thread to be waited for, unless it ends before others come.
    pub fn keep_thread(&self, thread: JoinHandle<()>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }

    /// A thread to be waited for, and whether it is the last: that of the first worker.
    pub fn next_thread(&self) -> Option<(JoinHandle<()>, bool)> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.pop().map(|thread| (thread, threads.is_empty()))
    }

    /// All workers; the first is one of the pool.
    pub fn workers(&self) -> MutexGuard<'_, Vec<Arc<WorkerHandle>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Workers that have ended and whose last steps are kept: an agent on a thread of its own that
/// failed is looked into soon, and there may be many more to come. A guess.
const MAX_ENDED_RECORDERS: usize = 16;

/// Wakes the receiver of what is no message. False if it is gone; that is no dead letter.
fn wake(pushed: Pushed) -> bool {
    match pushed {
        Pushed::Wake(home) => home.worker.schedule(home.slot),
        Pushed::Closed(_) => return false,
        _ => {}
    }
    true
}
