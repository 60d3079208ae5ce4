use dx_agents::AgentId;
use dx_sim::stuck::{Patience, Verdict};
use dx_sim::{Sim, SimConfig};

use crate::kinds::{Player, SECOND, spec, world};

/// Two players of which one serves; they play up to that ball.
fn match_up_to(balls: u64, seed: u64, events: u64) -> Sim {
    let mut server = spec(1, "player", 1);
    server.attr = serde_json::json!({ "serves": [2, balls] });
    let patience = Patience { events, ..Patience::default() };
    let config = SimConfig { patience, ..SimConfig::seeded(seed) };
    world(config, vec![server, spec(2, "player", 2)])
}

fn ball(sim: &Sim) -> u64 {
    sim.agents_of::<Player>().map(|(_, player)| player.balls).max().unwrap_or(0)
}

#[test]
fn to_and_fro_without_progress_is_a_livelock() {
    let mut sim = match_up_to(u64::MAX, 1, 10_000);
    let failure = sim.run_until("the match ends", 1000 * SECOND, |_| false).unwrap_err();
    assert!(failure.text.contains("livelock: no progress in 10000 events"), "{failure}");
    assert!(failure.text.contains("a1 took "), "{failure}");
    assert!(sim.now().0 < 1_000_000_000_000, "it did not wait for the time to be over");
}

#[test]
fn a_long_match_is_none_and_neither_is_one_whose_points_count() {
    let mut sim = match_up_to(3_000, 1, 20_000);
    sim.run_until("the match ends", 100 * SECOND, |sim| ball(sim) == 3_000).unwrap();
    let mut sim = match_up_to(u64::MAX, 1, 1_000);
    let mut seen = 0;
    sim.run_until("a long match goes on", 100 * SECOND, |sim| {
        if ball(sim) > seen {
            seen = ball(sim);
            sim.mark_progress();
        }
        seen == 10_000
    })
    .unwrap();
}

#[test]
fn time_that_is_over_amid_events_is_not_called_idle() {
    let mut sim = match_up_to(u64::MAX, 1, u64::MAX);
    let failure = sim.run_until("the match ends", SECOND, |_| false).unwrap_err();
    assert!(failure.text.contains("events happened in that time"), "{failure}");
    assert!(failure.text.contains("a1 took "), "{failure}");
    assert!(matches!(sim.stuck().verdict, Verdict::OutOfTime { events } if events > 1000));
    assert!(sim.agent::<Player>(AgentId(2)).is_some());
}
