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
    /// How large it is: a run draws its size, so that shrinking finds the smallest that fails.
    pub sizes: Sizes,
    /// Whether their messages travel as datagrams: each may be lost, come twice or too late.
    pub is_datagrams: bool,
    /// The kind of agents that do operations, and [note](dx_agents::Context::note) how many they
    /// have [done](DONE).
    pub workers: &'static str,
    /// Says what must always hold.
    pub watch: fn(&mut Sim),
    /// What must be achieved when nothing goes wrong any more.
    pub ends: fn(&mut Sim) -> Result<(), Failure>,
    /// How long things go wrong in a run, at most.
    pub torment: Duration,
    /// How long they do in a small system, of which everything is tried: in some runs as long as its
    /// messages travel, in some as long as its timers wait.
    pub small_torments: [Duration; 2],
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
pub struct Size {
    /// Agents of the kind that there may be more or fewer of.
    pub members: u64,
    /// Operations that each worker does.
    pub operations: u64,
}

/// How large a system may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The smallest.
    pub least: Size,
    /// As many agents and operations as it takes to be interesting.
    pub most: Size,
    /// As few as show the bugs: for a search that tries everything.
    pub small: Size,
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
    /// So many members that do so many operations each.
    #[must_use]
    pub const fn new(members: u64, operations: u64) -> Self {
        Self { members, operations }
    }
}

impl Sizes {
    /// One of them, as [`up_to`] draws. The plainest choice is the smallest.
    pub fn draw(&self, choices: &mut Choices) -> Size {
        let mut draw = |label, least, most| match most - least {
            0 => least,
            more => least + up_to(choices, label, more),
        };
        let members = draw("members", self.least.members, self.most.members);
        let operations = draw("operations", self.least.operations, self.most.operations);
        Size { members, operations }
    }
}

impl Sample {
    /// The world of a seed, with this bug in it; without a size it draws one.
    ///
    /// # Panics
    /// If the sample does not know the bug.
    #[must_use]
    pub fn world(
        &self,
        bug: Option<&str>,
        size: Option<Size>,
        seed: u64,
        mut choices: Choices,
    ) -> Sim {
        let size = size.unwrap_or_else(|| self.sizes.draw(&mut choices));
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

/// A number up to `most`, which is not 0: in three of four runs that, since most bugs need much to
/// happen; of the others rather a small one. The plainest is 0.
pub fn up_to(choices: &mut Choices, label: &'static str, most: u64) -> u64 {
    let drawn = choices.choose(label, 8 * most);
    (drawn * drawn / (4 * most)).min(most)
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
