//! A system, what must hold of it, and the bugs that can be planted in it.

use std::time::Duration;

use dx_agents::{AgentId, AgentSpec, AttrError, Directory, NodeId, Options, Registry};
use dx_sim::{Choices, Failure, Sim, SimConfig};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A small distributed system.
pub struct Sample {
    /// One word.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What can be wrong with it.
    pub bugs: &'static [Planted],
    /// Its kinds of agents.
    pub registry: fn() -> Registry,
    /// Its agents, each on a node of its own.
    pub agents: fn(Size) -> Vec<AgentSpec>,
    /// Whether their messages travel as datagrams: each may be lost, come twice or too late.
    pub is_datagrams: bool,
    /// The kind of agents that do operations, and [note](dx_agents::Context::note) how many they
    /// have [done](DONE).
    pub workers: &'static str,
    /// Says what must always hold.
    pub watch: fn(&mut Sim),
    /// What must be achieved when nothing goes wrong any more.
    pub ends: fn(&mut Sim) -> Result<(), Failure>,
    /// How long things go wrong in a run.
    pub torment: Duration,
    /// Nodes that it bears to be down at once.
    pub most_down: usize,
}

/// A bug that can be planted.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// A word, as `--bug` takes it.
    pub name: &'static str,
    /// What is wrong.
    pub about: &'static str,
    /// The rules that it may break: it counts as found if one of them is.
    pub breaks: &'static [&'static str],
}

/// How large a system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As many agents and operations as it takes to be interesting.
    Full,
    /// As few as show the bugs: for a search that tries everything.
    Small,
}

/// What every agent of a sample is told by its attributes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attr<B> {
    /// The bug that it has.
    #[serde(default = "none")]
    pub bug: Option<B>,
    /// How many operations it does, if it does any.
    #[serde(default)]
    pub operations: u64,
}

/// The note by which workers tell how many operations they have done.
pub const DONE: &str = "done";

/// How long things go wrong, as a rule.
pub const TORMENT: Duration = Duration::from_secs(1);

/// How long it may take, when all is mended, until the work is done.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Seeds that go into a sample's [hash](Sample::hash).
pub const HASHED: u64 = 20;

impl Size {
    /// One of two numbers.
    #[must_use]
    pub const fn of<T: Copy>(self, full: T, small: T) -> T {
        match self {
            Self::Full => full,
            Self::Small => small,
        }
    }
}

impl Sample {
    /// The world of a seed, with this bug in it.
    ///
    /// # Panics
    /// If the sample does not know the bug.
    #[must_use]
    pub fn world(&self, bug: Option<&str>, size: Size, seed: u64, choices: Choices) -> Sim {
        let (registry, directory) = ((self.registry)(), self.directory(bug, size));
        let mut config = SimConfig::seeded(seed);
        if self.is_datagrams {
            config.network.duplication = 0.02;
            config.datagram_kinds = registry.names().map(str::to_owned).collect();
        }
        let world = Sim::with_choices(config, directory, registry, choices);
        let mut sim = world.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        (self.watch)(&mut sim);
        sim
    }

    /// Its agents, with this bug.
    #[must_use]
    pub fn directory(&self, bug: Option<&str>, size: Size) -> Directory {
        let mut agents = (self.agents)(size);
        for spec in &mut agents {
            spec.attr["bug"] = bug.into();
        }
        Directory::new(agents)
    }

    /// A few runs as one number: the same in every build, on every machine, with any number of
    /// threads.
    #[must_use]
    pub fn hash(&self, jobs: usize) -> u64 {
        crate::Search::Swarm.look(self, None, 0..HASHED, jobs).hash
    }

    /// The bug of this name.
    #[must_use]
    pub fn bug(&self, name: &str) -> Option<&'static Planted> {
        self.bugs.iter().find(|bug| bug.name == name)
    }
}

/// An agent on a node of its own, of the same number.
#[must_use]
pub fn agent(id: AgentId, kind: &str, operations: u64) -> AgentSpec {
    AgentSpec {
        id,
        kind: kind.to_owned(),
        node: NodeId(u32::try_from(id.0).expect("samples have few agents")),
        attr: serde_json::json!({ "operations": operations }),
        options: Options::default(),
    }
}

/// An agent's attributes.
///
/// # Errors
/// If the kind has no such bug.
pub fn attr<B: DeserializeOwned>(spec: &AgentSpec) -> Result<Attr<B>, AttrError> {
    spec.attr()
}

fn none<B>() -> Option<B> {
    None
}
