//! The world: nodes, their agents and the network, in one thread and on virtual time.

mod birth;
mod boot;
mod carry_out;
pub(crate) mod deliver;
mod inspect;
mod journal;
mod lifecycle;
mod ports;
mod running;
mod seen;
pub(crate) mod telling;
mod turn;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dx_agents::{AgentId, Directory, Instant, NodeId, Registry};
use rustc_hash::FxHashMap;

use crate::byzantine::Liars;
use crate::choices::Choices;
use crate::config::SimConfig;
use crate::control::Which;
use crate::coverage::Coverage;
use crate::delay::Delay;
use crate::disk::Damage;
use crate::failure::Failure;
use crate::network::Links;
use crate::node::Node;
use crate::plan::{FaultKind, FaultPlan, Storm};
use crate::port::Inlet;
use crate::resident::{Plan, Resident};
use crate::schedule::{Due, NodeDue, Schedule};
use crate::stuck::Watch;
use crate::trace::Trace;
use crate::twins::Twins;

pub use self::birth::NewSimError;
pub(crate) use self::ports::CLIENTS;
use self::seen::Hope;

/// A world of agents. All that happens in it follows from its configuration, its agents and its
/// choices.
pub struct Sim {
    pub(crate) config: SimConfig,
    pub(crate) directory: Arc<Directory>,
    pub(crate) registry: Registry,
    pub(crate) now: u64,
    pub(crate) choices: Choices,
    pub(crate) schedule: Schedule,
    pub(crate) trace: Trace,
    pub(crate) nodes: Vec<Node>,
    pub(crate) node_places: FxHashMap<NodeId, u32>,
    /// By place; a place is not used again.
    pub(crate) agents: Vec<Option<Box<Resident>>>,
    pub(crate) places: FxHashMap<AgentId, Place>,
    pub(crate) plans: FxHashMap<AgentId, Arc<Plan>>,
    pub(crate) ports: Vec<Inlet>,
    pub(crate) links: Links,
    pub(crate) checks: Vec<Check>,
    pub(crate) hopes: Vec<Hope>,
    pub(crate) coverage: Coverage,
    /// Whether some note of an agent is a point.
    pub(crate) watches_notes: bool,
    /// Events after which the run is over.
    pub(crate) most_events: u64,
    pub(crate) failure: Option<Box<Failure>>,
    pub(crate) damage: Damage,
    /// The first agent that panicked, and with what.
    pub(crate) panicked: Option<(AgentId, String)>,
    pub(crate) may_panic: bool,
    pub(crate) plan: Option<FaultPlan>,
    pub(crate) storm: Storm,
    pub(crate) faults_until: u64,
    /// How long messages take while nothing is wrong.
    pub(crate) calm: Delay,
    pub(crate) faults: [u64; FaultKind::ALL.len()],
    /// Nodes that crash on purpose and when, after that, they come back.
    pub(crate) revive_at: BTreeMap<u32, Duration>,
    pub(crate) liars: Liars,
    pub(crate) twins: Twins,
    pub(crate) watch: Watch,
    /// What a test holds.
    pub(crate) holds: Vec<Which>,
    /// When what the current step sends leaves the node.
    pub(crate) departs: u64,
    /// What agents are called in diagrams.
    pub(crate) names: BTreeMap<AgentId, String>,
}

/// Where an agent or port is reached.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub node: u32,
    pub seat: Seat,
}

/// What is reached there.
#[derive(Clone, Copy)]
pub(crate) enum Seat {
    Agent(u32),
    Port(u32),
}

/// Something that must always hold.
pub(crate) struct Check {
    pub name: String,
    pub holds: Holds,
    /// Whether it was looked at, and held.
    pub has_held: bool,
    pub has_failed: bool,
}

type Holds = Box<dyn FnMut(&Sim) -> Result<(), String>>;

/// Stands for no agent on a core.
pub(crate) const NOBODY: u32 = u32::MAX;

impl Sim {
    /// A world of the deployment `directory`, whose nodes are about to start.
    ///
    /// # Errors
    /// If the registry does not know a kind or does not accept its attributes.
    pub fn new(
        config: SimConfig,
        directory: Directory,
        registry: Registry,
    ) -> Result<Self, NewSimError> {
        let choices = Choices::seeded(config.seed);
        let choices = if config.record { choices.recording() } else { choices };
        Self::with_choices(config, directory, registry, choices)
    }

    /// The same with choices from elsewhere: those of a tape, to see a run again.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn with_choices(
        config: SimConfig,
        directory: Directory,
        registry: Registry,
        choices: Choices,
    ) -> Result<Self, NewSimError> {
        let coverage = Coverage::of_run(config.seed);
        let calm = config.network.delay;
        let mut sim = Self {
            config,
            directory: Arc::new(directory),
            registry,
            now: 0,
            choices,
            schedule: Schedule::default(),
            trace: Trace::default(),
            nodes: Vec::new(),
            node_places: FxHashMap::default(),
            agents: Vec::new(),
            places: FxHashMap::default(),
            plans: FxHashMap::default(),
            ports: Vec::new(),
            links: Links::default(),
            checks: Vec::new(),
            hopes: Vec::new(),
            coverage,
            watches_notes: false,
            most_events: u64::MAX,
            failure: None,
            damage: Damage::default(),
            panicked: None,
            may_panic: false,
            plan: None,
            storm: Storm::default(),
            faults_until: 0,
            calm,
            faults: [0; FaultKind::ALL.len()],
            revive_at: BTreeMap::new(),
            liars: Liars::default(),
            twins: Twins::default(),
            watch: Watch::default(),
            holds: Vec::new(),
            departs: 0,
            names: BTreeMap::new(),
        };
        if sim.config.keep_trace {
            sim.trace.keep();
        }
        sim.plan_agents()?;
        sim.schedule_boots();
        Ok(sim)
    }

    /// The time, in the world's own nanoseconds.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant(self.now)
    }

    /// Where the run's choices come from, and its tape if it is recorded.
    #[must_use]
    pub fn choices(&self) -> &Choices {
        &self.choices
    }

    /// Where a scenario asks what it leaves open, so that it is recorded, shrunk and searched with all
    /// the rest. Operations of clients are best [events](Choices::event): shrinking leaves out those
    /// that the failure does not need, and the others stay what they are.
    ///
    /// ```
    /// # fn play(sim: &mut dx_sim::Sim, port: dx_sim::Port) {
    /// for _ in 0..20 {
    ///     let to = sim.choices_mut().event("transfer", 0.5, |how| how.choose("account", 3));
    ///     if let Some(account) = to {
    ///         // sim.send(port, ..) to that account
    ///     }
    ///     // sim.run_for(..): the time between two operations is the same whether they happen
    /// }
    /// # }
    /// ```
    /// The size of the world can be a choice too, if it is asked in `make` before the world is made:
    /// `let nodes = 3 + choices.choose("more-nodes", 3)`.
    pub fn choices_mut(&mut self) -> &mut Choices {
        &mut self.choices
    }

    pub(crate) fn into_choices(self) -> Choices {
        self.choices
    }

    /// What happened so far.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// From now on what happens is kept, to be read.
    pub fn keep_trace(&mut self) {
        self.trace.keep();
    }

    /// What must hold after every event: the run fails where it does not.
    pub fn always(
        &mut self,
        name: impl Into<String>,
        holds: impl FnMut(&Self) -> Result<(), String> + 'static,
    ) {
        let (name, holds) = (name.into(), Box::new(holds));
        self.checks.push(Check { name, holds, has_held: false, has_failed: false });
    }

    /// Agents may panic: then they end, or start anew as their options say. Without this a run fails
    /// with [`PANIC`](crate::PANIC) where one does, so that what agents assert is judged too.
    pub fn allow_panics(&mut self) {
        self.may_panic = true;
    }

    /// Events that the run may take in all, from its beginning. One that takes more fails with
    /// [`OUT_OF_EVENTS`](crate::OUT_OF_EVENTS): it may never end.
    pub fn limit_events(&mut self, events: u64) {
        self.most_events = events;
    }

    /// Nodes of the deployment start within the configured time, in any order.
    fn schedule_boots(&mut self) {
        for node in 0..self.nodes.len() as u32 {
            let spread = u64::try_from(self.config.boot.as_nanos()).unwrap_or(u64::MAX);
            let at = (self.choices.choose_finely("boot", 1 << 10) * spread) >> 10;
            let due = Due::Node { node, life: self.nodes[node as usize].life, what: NodeDue::Boot };
            self.schedule.add(at, due, &mut self.choices);
        }
    }

    pub(crate) fn after(&self, delay: Duration) -> u64 {
        self.now.saturating_add(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seed, now) = (self.config.seed, self.now());
        f.debug_struct("Sim").field("seed", &seed).field("now", &now).finish_non_exhaustive()
    }
}
