//! Agents on real threads.
//!
//! ```text
//! Port, other nodes ---> Mailbox ---> Worker (its agents take turns) ---> effects ---+
//!                           ^                                                        |
//!                           +--- local letters, timers, completions, journal <-------+
//! ```
//!
//! - A *worker* is one thread's agents: one of the shared pool, a heavyweight agent's own, or the
//!   thread that does a mesh's I/O. All run the same [`Cell`](crate::cell::Cell) steps.
//! - A *mailbox* is the only thing of an agent that other threads touch. Its bound is enforced
//!   where a message is sent, so a sender learns at once.
//! - A *crew* of threads carries out what agents hand to their shared states.

mod alarms;
mod birth;
mod crew;
mod dead_letters;
mod failure;
mod journaling;
pub(crate) mod mailbox;
mod port;
mod recorder;
mod resident;
mod routes;
pub(crate) mod shared;
mod stage;
mod status;
mod supervise;
mod thread;
pub(crate) mod worker;
mod worker_handle;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant as Clock};

use dx_transport::id::{Incarnation, NodeId};

pub use self::dead_letters::Reason;
pub use self::journaling::{JournalError, RETRY_EVERY};
pub use self::port::{Heard, Port, Received};
pub use self::recorder::{Recorded, What};
pub use self::status::{AgentStatus, RuntimeStatus, Stall};
pub use self::supervise::{Condition, Failures, MAX_BACKOFF};
pub use self::worker::{SLOW_STEP, TURN};

use self::birth::Birth;
use self::crew::Crew;
use self::failure::Failure;
use self::journaling::Journaling;
use self::shared::Shared;
use self::worker::Worker;
use self::worker_handle::Ending;
use crate::context::DynamicIds;
use crate::directory::Directory;
use crate::event::{Event, Recovered};
use crate::id::AgentId;
use crate::registry::{MakeError, Registry};
use crate::spawn::{Factory, Plan, Spawn};
use crate::spec::{AgentSpec, MailboxBounds, Placement};

/// How a runtime is to be.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// The node that it is.
    pub node: NodeId,
    /// The node's life.
    pub incarnation: Incarnation,
    /// Who is in the deployment.
    pub directory: Arc<Directory>,
    /// Threads of the shared pool; 0: one for each processor.
    pub pool: usize,
    /// Threads for shared states; 0: one for each processor.
    pub crew: usize,
    /// What random numbers are drawn from; `None`: the operating system's.
    pub seed: Option<u64>,
    /// Whether every local message passes its encoding, to prove that it survives it.
    pub round_trip: bool,
    /// The folder of the node's journal; `None`: agents cannot persist.
    pub journal: Option<PathBuf>,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            node: NodeId(1),
            incarnation: Incarnation(1),
            directory: Arc::default(),
            pool: 0,
            crew: 0,
            seed: None,
            round_trip: false,
            journal: None,
        }
    }
}

/// A runtime cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system gives no threads.
    #[error("failed to start a thread: {0}")]
    Threads(#[source] io::Error),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// An agent cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartAgentError {
    /// Its kind is unknown, or does not accept its attributes.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// There is one with this id.
    #[error("there is an agent {0} on this node already")]
    Taken(AgentId),
}

/// A node's agents at work. Dropped, it stops them at once; to let them finish, [`stop`](Self::stop).
pub struct Runtime {
    shared: Arc<Shared>,
}

impl Runtime {
    /// Starts a runtime without agents.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left of it.
    pub fn start(config: RuntimeConfig) -> Result<Self, StartError> {
        let processors = available_parallelism().map_or(1, usize::from);
        let or_all = |count| if count == 0 { processors } else { count };
        let seed = config.seed.unwrap_or_else(ambient_seed);
        let failure = Arc::new(Failure::default());
        let journal = match &config.journal {
            Some(folder) => Some(Journaling::open(folder, seed, Arc::clone(&failure))?),
            None => None,
        };
        let shared = Arc::new(Shared {
            node: config.node,
            incarnation: config.incarnation,
            directory: config.directory,
            ids: Arc::new(DynamicIds::new(config.node, config.incarnation)),
            seed,
            started: Clock::now(),
            routes: routes::Routes::of(config.node),
            dead_letters: dead_letters::DeadLetters::default(),
            workers: Mutex::default(),
            pool: OnceLock::new(),
            placed: AtomicUsize::new(0),
            io: OnceLock::new(),
            recorders: Mutex::default(),
            crew: Crew::new(or_all(config.crew)),
            remote: OnceLock::new(),
            journal,
            failure,
            round_trip: config.round_trip,
            threads: Mutex::default(),
            stops: OnceLock::new(),
        });
        let runtime = Self { shared };
        let mut pool = Vec::new();
        for index in 0..or_all(config.pool) {
            let worker = Worker::new(Arc::clone(&runtime.shared), None);
            pool.push(Arc::clone(worker.handle()));
            let thread = thread::run(&format!("dx-pool-{index}"), worker, None)
                .map_err(StartError::Threads)?;
            runtime.shared.keep_thread(thread);
        }
        let _ = runtime.shared.pool.set(pool);
        Ok(runtime)
    }

    /// The node that it is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shared.node
    }

    /// Who is in the deployment.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.shared.directory
    }

    /// Starts an agent of the deployment.
    ///
    /// # Errors
    /// If its kind is unknown or does not accept it, or its id is taken; nothing has changed.
    pub fn start_agent(
        &self,
        spec: &AgentSpec,
        registry: &Registry,
    ) -> Result<(), StartAgentError> {
        registry.make(spec, &self.shared.directory)?;
        let (registry, again) = (registry.clone(), spec.clone());
        let directory = Arc::clone(&self.shared.directory);
        let factory: Factory = Arc::new(move || {
            registry.make(&again, &directory).expect("a spec that was accepted once is accepted")
        });
        let plan = Plan { kind: spec.kind.as_str().into(), options: spec.options.clone(), factory };
        let recovered = self.shared.recovered(spec.id);
        let birth = Birth { id: spec.id, spawn: Spawn(Arc::new(plan)), recovered };
        self.bear(birth).then_some(()).ok_or(StartAgentError::Taken(spec.id))
    }

    /// Starts an agent that is not of the deployment.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn spawn(&self, spawn: &Spawn) -> AgentId {
        let id = self.shared.ids.next();
        let birth = Birth { id, spawn: spawn.clone(), recovered: Recovered::default() };
        let is_free = self.bear(birth);
        assert!(is_free, "the node has spawned 2^32 agents");
        id
    }

    /// A port with an id of its own.
    #[must_use]
    pub fn port(&self) -> Port {
        let id = self.shared.ids.next();
        self.port_as(id).expect("a new id is free")
    }

    /// A port under a chosen id; `None` if it is taken.
    #[must_use]
    pub fn port_as(&self, id: AgentId) -> Option<Port> {
        Port::new(Arc::clone(&self.shared), id, MailboxBounds::default())
    }

    /// How things stand.
    #[must_use]
    pub fn status(&self) -> RuntimeStatus {
        status::of(&self.shared)
    }

    /// Waits until something happens after which the node must stop: its journal has failed.
    pub async fn failed(&self) -> String {
        self.shared.failure.happened().await
    }

    /// What the flight recorder holds: the last steps of all workers, in the order of time.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        let recorders = self.shared.recorders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut steps: Vec<_> = recorders.iter().flat_map(|recorder| recorder.last()).collect();
        steps.sort_by_key(|step| step.at);
        steps
    }

    /// Asks all agents to stop, and waits until they have; after `within` they are stopped anyway.
    /// Returns who had to be. Must not be called by an agent.
    #[expect(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn stop(self, within: Duration) -> Vec<AgentId> {
        let deadline = *self.shared.stops.get_or_init(|| self.shared.now() + within);
        let mailboxes = self.shared.routes.mailboxes();
        for mailbox in mailboxes.iter().rev() {
            self.shared.tell(mailbox.id, Event::Stopping { deadline });
        }
        // The first worker stays until all others have ended: it keeps the deadlines of ports.
        let first = Arc::clone(&self.shared.workers()[0]);
        for worker in self.shared.workers().iter().filter(|worker| !Arc::ptr_eq(worker, &first)) {
            worker.order(|incoming| incoming.ending = Some(Ending::WhenDone));
        }
        let (done, all_done) = std::sync::mpsc::channel();
        let shared = Arc::clone(&self.shared);
        let waiting = std::thread::spawn(move || {
            // Agents may have started others meanwhile.
            while let Some((thread, is_last)) = shared.next_thread() {
                if is_last {
                    first.order(|incoming| {
                        incoming.ending.get_or_insert(Ending::WhenDone);
                    });
                }
                // A worker's thread ends by returning: what panics are agents, and those are caught.
                let _ = thread.join();
            }
            // The receiver has gone if it waited long enough.
            let _ = done.send(());
        });
        let mut late = Vec::new();
        if all_done.recv_timeout(within).is_err() {
            late = self.shared.routes.mailboxes().iter().map(|mailbox| mailbox.id).collect();
            self.end(Ending::Now);
        }
        // An agent that never returns from a step is left to the end of the process.
        if all_done.recv_timeout(LAST_STEP).is_ok() || waiting.is_finished() {
            let _ = waiting.join();
        }
        self.shared.crew.end();
        late
    }

    /// A worker for the thread that does a mesh's I/O. Light agents are at home there from now on;
    /// those that are slow move to the pool.
    #[cfg(feature = "mesh")]
    pub(crate) fn io_worker(&self) -> Worker {
        let pool = self.shared.pool.get().expect("a runtime has a pool from its start");
        let worker = Worker::new(Arc::clone(&self.shared), pool.first().cloned());
        let is_first = self.shared.io.set(Arc::clone(worker.handle())).is_ok();
        assert!(is_first, "a runtime belongs to one mesh");
        worker
    }

    #[cfg(feature = "mesh")]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// From now on agents of other nodes are reached.
    #[cfg(feature = "mesh")]
    pub(crate) fn connect(&self, remote: Arc<dyn shared::Remote>) {
        let is_first = self.shared.remote.set(remote).is_ok();
        assert!(is_first, "a runtime has one way to other nodes");
    }

    /// [`stop`](Self::stop) also waits until this returns.
    #[cfg(feature = "mesh")]
    pub(crate) fn wait_also_for(&self, end: impl FnOnce() + Send + 'static) {
        self.shared.keep_thread(std::thread::spawn(end));
    }

    fn bear(&self, birth: Birth) -> bool {
        if let Placement::Thread { pin } = birth.spawn.0.options.placement {
            return thread::spawn_own(&self.shared, birth, pin);
        }
        let worker = self.shared.pool_worker();
        let Some(resident) = birth.settle(&self.shared, worker) else { return false };
        worker.order(|incoming| incoming.arriving.push(resident.into()));
        true
    }

    fn end(&self, ending: Ending) {
        for worker in &*self.shared.workers() {
            worker.order(|incoming| incoming.ending = Some(ending));
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shared.stops.get_or_init(|| self.shared.now());
        self.end(Ending::Now);
        self.shared.routes.end_questions();
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("node", &self.shared.node).finish_non_exhaustive()
    }
}

/// How long the step may take that an agent is in when its time is over.
const LAST_STEP: Duration = Duration::from_secs(1);

/// A seed that differs from run to run.
fn ambient_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
