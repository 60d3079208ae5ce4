//! Rally: two agents and one ball. The least that an event can cost.

use anyhow::ensure;
use dx_sim::SimConfig;

use super::player::{Game, Player};
use super::run::{EVENTS, Run, WORLD, events_per_second};
use crate::bench::report::{Param, Params};

/// Measures it on one node, where a message is an event, and on two, where its arrival is another.
pub(super) async fn run(run: &mut Run<'_>) -> anyhow::Result<()> {
    for nodes in [1, 2] {
        let params = Params::new().with("nodes", Param::Count(nodes.into()));
        let game = Game { players: 2, nodes, patience: None };
        let measure = move |time| {
            check(game)?;
            events_per_second(time, |seed| game.world(SimConfig::seeded(seed)))
        };
        run.measure(params, EVENTS, Box::new(measure), None).await?;
    }
    Ok(())
}

/// The ball was passed as often as messages were handled: none was lost, none came twice.
fn check(game: Game) -> anyhow::Result<()> {
    let mut sim = game.world(SimConfig::seeded(0))?;
    let before = sim.trace().events();
    while sim.trace().events() < before + WORLD / 100 {
        sim.step_once()?;
    }
    let passes: Vec<u64> = sim.agents_of::<Player>().map(|(_, player)| player.passes).collect();
    ensure!(passes.len() == 2 && passes[0].abs_diff(passes[1]) == 1, "balls: {passes:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rally_goes_on_with_one_ball() {
        for nodes in [1, 2] {
            check(Game { players: 2, nodes, patience: None }).unwrap();
        }
    }
}
