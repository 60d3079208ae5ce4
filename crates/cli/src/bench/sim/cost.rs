//! Cost: what it takes to look at a run while it is simulated.

use dx_agents::AgentId;
use dx_sim::{Sim, SimConfig};

use super::crowd::{Faults, world};
use super::player::Player;
use super::run::{EVENTS, Run, events_per_second};
use crate::bench::report::Params;

/// How a run is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    /// All choices are recorded, for a tape.
    Recording,
    /// All events are kept, to be read.
    Trace,
    /// An agent is looked at after every event.
    Invariant,
}

impl With {
    const ALL: [Self; 3] = [Self::Recording, Self::Trace, Self::Invariant];

    fn name(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Trace => "trace kept",
            Self::Invariant => "an invariant",
        }
    }

    fn world(self, seed: u64) -> anyhow::Result<Sim> {
        let config = SimConfig {
            record: self == Self::Recording,
            keep_trace: self == Self::Trace,
            ..SimConfig::seeded(seed)
        };
        let mut sim = world(config, Faults::Network)?;
        if self == Self::Invariant {
            sim.always("the first player is there", |sim| {
                let player = sim.agent::<Player>(AgentId(1));
                player.map(drop).ok_or_else(|| "it is not".to_owned())
            });
        }
        Ok(sim)
    }
}

/// Measures it, in turn with the same worlds without.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for with in With::ALL {
        let params = Params::new().with("with", with.name().into());
        let measure = move |time| events_per_second(time, |seed| with.world(seed));
        let without = move |time| {
            events_per_second(time, |seed| world(SimConfig::seeded(seed), Faults::Network))
        };
        run.measure(params, EVENTS, Box::new(measure), Some(Box::new(without))).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_be_looked_at_does_not_change_a_run() {
        let hash = |mut sim: Sim| {
            while sim.trace().events() < 20_000 {
                sim.step_once().unwrap();
            }
            sim.trace().hash()
        };
        let plain = hash(world(SimConfig::seeded(7), Faults::Network).unwrap());
        for with in With::ALL {
            assert_eq!(hash(with.world(7).unwrap()), plain, "{with:?}");
        }
    }
}
