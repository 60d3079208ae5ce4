//! What a world is like before anything goes wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use dx_transport::linking::Dialing;

use crate::delay::Delay;
use crate::network::Pipes;
use crate::stuck::Patience;

/// How a world is to be. The default is a calm local network and healthy disks.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// What everything is drawn from that is left to chance.
    pub seed: u64,
    /// The network between nodes.
    pub network: Network,
    /// What a node can do.
    pub machine: Machine,
    /// Nodes start within this time, in any order.
    pub boot: Duration,
    /// Of 1,000 messages between agents of one node, so many pass their encoding, to prove that
    /// they survive it. Which, depends on the seed and the message.
    pub round_trip: u32,
    /// Kinds of agents whose messages travel as datagrams: lost, repeated and reordered one by one.
    pub datagram_kinds: BTreeSet<String>,
    /// Whether all choices are recorded, so that a failure can be replayed and made smaller.
    pub record: bool,
    /// Whether what happens is kept, to be read.
    pub keep_trace: bool,
    /// How long the run may get nowhere.
    pub patience: Patience,
}

/// How much of the network is real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fidelity {
    /// The promises of a session are modelled: fast, and enough for what is above them.
    #[default]
    Promises,
    /// The real sessions run, over connections made of bytes: with what is below their promises.
    Bytes,
}

/// The network between nodes.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// How much of it is real.
    pub fidelity: Fidelity,
    /// How long a message takes; with [`Fidelity::Bytes`], each write.
    pub delay: Delay,
    /// Bytes per second in each direction of a link; 0: as fast as can be.
    pub bandwidth: u64,
    /// Silence after which a link counts as broken: the mesh's detector.
    pub silence: Duration,
    /// How long two nodes that can reach each other again need to find out; with
    /// [`Fidelity::Bytes`], `dialing` says so.
    pub redial: Delay,
    /// How long a session outlives its last link.
    pub session_ttl: Duration,
    /// The chance that a datagram is lost.
    pub loss: f64,
    /// The chance that a datagram comes twice.
    pub duplication: f64,
    /// When nodes dial, with [`Fidelity::Bytes`].
    pub dialing: Dialing,
    /// What befalls connections, with [`Fidelity::Bytes`].
    pub pipes: Pipes,
}

/// What a node can do.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Agents that can be in a step at the same time; at least 1.
    pub cores: u32,
    /// What a step takes; at least a nanosecond.
    pub step: Duration,
    /// What each KiB of a message takes on top.
    pub step_per_kib: Duration,
    /// What offloaded work takes.
    pub work: Delay,
    /// What a sync of the disk takes.
    pub sync: Delay,
    /// Whether nodes have a disk, and so a journal.
    pub has_disk: bool,
    /// Bytes after which the journal begins a new segment: small, so that it often does.
    pub segment_bytes: u64,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            network: Network::default(),
            machine: Machine::default(),
            boot: Duration::from_millis(5),
            round_trip: 50,
            datagram_kinds: BTreeSet::new(),
            record: false,
            keep_trace: false,
            patience: Patience::default(),
        }
    }
}

impl SimConfig {
    /// The default with this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            fidelity: Fidelity::default(),
            delay: Delay::Exponential {
                least: Duration::from_micros(50),
                mean: Duration::from_micros(150),
            },
            bandwidth: 0,
            silence: Duration::from_secs(3),
            redial: Delay::Between(Duration::from_millis(1), Duration::from_millis(500)),
            session_ttl: Duration::from_mins(1),
            loss: 0.0,
            duplication: 0.0,
            dialing: Dialing::default(),
            pipes: Pipes::default(),
        }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            cores: 1,
            step: Duration::from_micros(1),
            step_per_kib: Duration::from_nanos(200),
            work: Delay::Exponential {
                least: Duration::from_micros(5),
                mean: Duration::from_micros(50),
            },
            // One fdatasync took 0.11 ms on the machine where the journal was measured.
            sync: Delay::Exponential {
                least: Duration::from_micros(80),
                mean: Duration::from_micros(60),
            },
            has_disk: true,
            segment_bytes: 64 * 1024,
        }
    }
}
