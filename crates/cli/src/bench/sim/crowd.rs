//! Crowd: a thousand agents on ten nodes, and what breaks.

use std::time::Duration;

use anyhow::ensure;
use dx_sim::{Delay, FaultKind, FaultPlan, Sim, SimConfig};

use super::player::Game;
use super::run::{EVENTS, Run, events_per_second};
use crate::bench::report::Params;

/// The game of a crowd.
pub const GAME: Game = Game { players: 1000, nodes: 10, patience: Some(Duration::from_millis(10)) };

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// Nothing.
    None,
    /// What is between nodes.
    Network,
    /// Everything that can.
    All,
}

impl Faults {
    /// All of these.
    const ALL: [Self; 3] = [Self::None, Self::Network, Self::All];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Network => "network",
            Self::All => "all",
        }
    }

    fn includes(self, kind: FaultKind) -> bool {
        match self {
            Self::None => false,
            Self::Network => kind.is_of_network(),
            Self::All => true,
        }
    }
}

/// The crowd's world, in which a fault comes every millisecond.
///
/// # Errors
/// If it cannot be made.
pub fn world(config: SimConfig, faults: Faults) -> anyhow::Result<Sim> {
    let mut sim = GAME.world(config)?;
    if faults != Faults::None {
        sim.unleash(FaultPlan {
            lasts: Duration::from_hours(1000),
            kinds: FaultKind::ALL.into_iter().filter(|kind| faults.includes(*kind)).collect(),
            every: Duration::from_millis(1),
            mended_after: Duration::from_millis(1),
            most_down: 3,
            delay: Delay::Exponential {
                least: Duration::from_micros(50),
                mean: Duration::from_micros(150),
            },
            loss: 0.0,
        });
    }
    Ok(sim)
}

/// Measures it.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for faults in Faults::ALL {
        let params = Params::new().with("faults", faults.name().into());
        let measure = move |time| {
            check(faults)?;
            events_per_second(time, |seed| world(SimConfig::seeded(seed), faults))
        };
        run.measure(params, EVENTS, Box::new(measure), None).await?;
    }
    Ok(())
}

/// Every kind of fault that is meant to happen does, and no other.
fn check(faults: Faults) -> anyhow::Result<()> {
    let mut sim = world(SimConfig::seeded(0), faults)?;
    sim.run_for(Duration::from_millis(150))?;
    let seen = sim.faults();
    for kind in FaultKind::ALL {
        let happened = seen.iter().any(|(it, _)| *it == kind);
        ensure!(happened == faults.includes(kind), "{kind:?} in a world of {faults:?}: {seen:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_break_does_and_nothing_else() {
        for faults in Faults::ALL {
            check(faults).unwrap();
        }
    }
}
