//! What a simulation is of, and how its worlds are made.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::ValueEnum;
use dx_agents::{Directory, Registry};
use dx_sim::{Choices, Delay, NewSimError, Sim, SimConfig};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::console::{self, Console, Transcript};
use super::{Faults, Rules};
use crate::config::{Cluster, units};
use crate::kinds::job_agents;
use crate::program::Program;

/// All that a run follows from, beside its seed and the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The cluster, as its nodes are told it.
    pub cluster: Cluster,
    /// The kinds of faults of which each seed draws some.
    pub faults: Faults,
    /// How much of the network is real.
    #[serde(default)]
    pub fidelity: Fidelity,
    /// How long things break, in the world's time.
    #[serde(with = "units::duration")]
    pub lasts: Duration,
    /// Nodes that may be down at once.
    pub most_down: usize,
    /// Events that a run may take.
    pub events: u64,
}

/// How much of the network is real, in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fidelity {
    /// What sessions promise.
    #[default]
    Promises,
    /// Sessions, over connections made of bytes.
    Bytes,
}

impl From<Fidelity> for dx_sim::Fidelity {
    fn from(fidelity: Fidelity) -> Self {
        match fidelity {
            Fidelity::Promises => Self::Promises,
            Fidelity::Bytes => Self::Bytes,
        }
    }
}

/// A cluster cannot be simulated. Fault of its configuration.
#[derive(Debug, thiserror::Error)]
pub enum CannotSimulate {
    /// Nothing would happen.
    #[error("cluster {0} has no agents: there is nothing to simulate")]
    Empty(String),
    /// A node or an agent cannot be.
    #[error("cluster {name} cannot be simulated: {source}")]
    World {
        /// The cluster.
        name: String,
        /// Why.
        source: NewSimError,
    },
}

/// A setup and the program's kinds: what makes worlds, on any thread.
#[derive(Clone)]
pub struct World {
    pub(super) setup: Setup,
    pub(super) rules: Rules,
    registry: Registry,
    transcript: Option<Transcript>,
}

impl Setup {
    /// All of it as one number.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let text = serde_json::to_vec(self).expect("a setup is made of text and numbers");
        let digest = Sha256::digest(text);
        u64::from_be_bytes(*digest.first_chunk().expect("it has 32 bytes"))
    }
}

impl World {
    /// Looks at everything once.
    ///
    /// # Errors
    /// If the cluster cannot be simulated.
    pub fn new(setup: Setup, program: &Program) -> Result<Self, CannotSimulate> {
        let name = setup.cluster.name.to_string();
        if setup.cluster.agents.is_empty() {
            return Err(CannotSimulate::Empty(name));
        }
        let (registry, rules) = (program.registry().clone(), program.rules().clone());
        let world = Self { setup, rules, registry, transcript: None };
        match world.try_make(0, Choices::seeded(0)) {
            Ok(_) => Ok(world),
            Err(source) => Err(CannotSimulate::World { name, source }),
        }
    }

    /// What it is of.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// From now on what agents print is written down.
    #[must_use]
    pub fn transcribed(mut self, transcript: Transcript) -> Self {
        self.transcript = Some(transcript);
        self
    }

    /// The world of a seed, with these choices.
    #[must_use]
    pub fn make(&self, seed: u64, choices: Choices) -> Sim {
        self.try_make(seed, choices).expect("it was made once")
    }

    fn try_make(&self, seed: u64, choices: Choices) -> Result<Sim, NewSimError> {
        let cluster = &self.setup.cluster;
        let transcript = self.transcript.clone();
        let registry = self
            .registry
            .clone()
            .kind(console::KIND, move |_, _| Ok(Console::new(transcript.clone())));
        let consoles = cluster.nodes.iter().map(|node| console::spec(node.id));
        let directory = Directory::new(
            cluster.agents.iter().cloned().chain(job_agents::specs(cluster)).chain(consoles),
        );
        let mut config = SimConfig::seeded(seed);
        config.network.fidelity = self.setup.fidelity.into();
        config.network.silence = cluster.timing.silence;
        config.network.session_ttl = cluster.timing.session_ttl;
        config.network.redial =
            Delay::Between(cluster.dialing.backoff_min, cluster.dialing.backoff_max);
        let mut sim = Sim::with_choices(config, directory, registry, choices)?;
        self.judged(&mut sim);
        Ok(sim)
    }

    /// The kinds of agents in the cluster.
    pub(super) fn kinds(&self) -> BTreeSet<&str> {
        self.setup.cluster.agents.iter().map(|agent| agent.kind.as_str()).collect()
    }
}
