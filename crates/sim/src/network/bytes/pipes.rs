//! What can go wrong with the bytes of a connection, and how often it did.

use std::time::Duration;

use crate::choices::Choices;
use crate::delay::Delay;

/// How the connections between nodes are. The chances are those of every single write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pipes {
    /// That it arrives in two parts, torn at any byte, the second one later.
    pub tears: f64,
    /// That its direction stands still for a while.
    pub stalls: f64,
    /// For how long.
    pub stall: Delay,
    /// That the connection breaks: of what is under way in each direction some first part arrives,
    /// and then both ends hear of it.
    pub resets: f64,
    /// That the connection dies in one direction or in both, and not everybody is told.
    pub half_opens: f64,
    /// That a new connection has a channel for each lane, as QUIC has, and not one for all.
    pub channels: f64,
}

impl Default for Pipes {
    /// Nothing goes wrong.
    fn default() -> Self {
        Self {
            tears: 0.0,
            stalls: 0.0,
            stall: Delay::Exponential {
                least: Duration::from_millis(1),
                mean: Duration::from_millis(50),
            },
            resets: 0.0,
            half_opens: 0.0,
            channels: 0.0,
        }
    }
}

impl Pipes {
    /// A mix of faults drawn from `choices`: each kind happens never, or from seldom to often.
    pub fn swarm(choices: &mut Choices) -> Self {
        let mut chance = |often: f64| {
            let is_enabled = choices.choose("pipes-enabled", 2) == 1;
            if is_enabled { choices.log_uniform("pipes-chance", often / 100.0, often) } else { 0.0 }
        };
        Self {
            tears: chance(0.9),
            stalls: chance(0.05),
            resets: chance(0.1),
            half_opens: chance(0.02),
            channels: chance(0.9),
            ..Self::default()
        }
    }
}

/// What the connections between nodes did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipeTally {
    /// Connections that were asked for.
    pub dialed: u64,
    /// Of those, by a node that had a channel for each lane.
    pub with_channels: u64,
    /// That a host refused.
    pub refused: u64,
    /// Links that carried a session, counted at each end.
    pub attached: u64,
    /// Of those, with a session that went on.
    pub resumed: u64,
    /// Links that were turned away, since both nodes had dialed, or for their session's end.
    pub turned_away: u64,
    /// Links that another one replaced.
    pub replaced: u64,
    /// Links on which an end heard nothing for too long.
    pub silent: u64,
    /// Writes.
    pub writes: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Writes that were torn.
    pub torn: u64,
    /// Directions that stood still.
    pub stalled: u64,
    /// Connections that broke.
    pub resets: u64,
    /// Connections that died in silence, at one end at least.
    pub half_opens: u64,
    /// Bytes that were under way when their connection broke, and never arrived.
    pub lost_bytes: u64,
    /// Frames that sessions sent again.
    pub replayed_frames: u64,
    /// Messages that sessions reported lost.
    pub lost_messages: u64,
    /// Times that an end broke the protocol: a bug of the session.
    pub violations: u64,
}
