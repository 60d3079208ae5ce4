//! Everything goes wrong.

use std::time::Duration;

use dx_ring::core::Standstill;
use dx_ring::{Member, RingModel};
use dx_sim::{Choices, Failure, Sim, SimConfig};

use super::oracle::Shared;
use super::recorder::{Load, Recorder, flow, world};

/// Seeds that are tried; more with `DX_RING_SEEDS`.
fn seeds() -> std::ops::Range<u64> {
    let more = std::env::var("DX_RING_SEEDS").ok().and_then(|text| text.parse().ok());
    0..more.unwrap_or(300)
}

/// A run of a seed: its world, and its oracle.
fn make(seed: u64, choices: Choices, model: fn() -> Box<dyn RingModel>) -> (Sim, Shared) {
    let oracle = Shared::default();
    let load = Load {
        messages: 60 + seed % 100,
        every: Duration::from_micros([200, 3_000, 20_000][(seed / 3) as usize % 3]),
        longest: [64, 2_000, 150_000][(seed / 9) as usize % 3],
    };
    let count = 2 + seed % 4;
    let mut sim = world(SimConfig::seeded(seed), choices, count, load, &oracle, model);
    let watched = oracle.clone();
    sim.always("members agree", move |_| match &watched.lock().unwrap().wrong {
        None => Ok(()),
        Some(wrong) => Err(wrong.clone()),
    });
    (sim, oracle)
}

/// Whether all members are in one view, and have delivered all that any of them broadcast.
fn is_done(sim: &Sim, oracle: &Shared, count: usize) -> bool {
    let oracle = oracle.lock().unwrap();
    let members: Vec<_> = sim.agents_of::<Member<Recorder>>().collect();
    members.len() == count
        && members.iter().all(|(_, member)| {
            let replica = member.replica();
            let Some(who) = replica.who() else { return false };
            replica.is_done()
                && oracle.delivered_of(who) == replica.sent
                && replica.index == oracle.top()
        })
}

fn is_lost(sim: &Sim, count: usize) -> bool {
    let mut members = sim.agents_of::<Member<Recorder>>();
    let now = sim.now();
    members.all(|(_, it)| it.core().is_some_and(|it| it.standstill(now) == Standstill::Lost))
        && sim.agents_of::<Member<Recorder>>().count() == count
}

/// What came of a run.
#[derive(Default, Debug)]
pub struct Outcome {
    lost: u64,
    views: u64,
    messages: u64,
    events: u64,
}

fn play(sim: &mut Sim, oracle: &Shared, count: usize) -> Result<bool, Failure> {
    sim.torment(Duration::from_secs(3), (count - 1) / 2)?;
    sim.run_until("everything is delivered everywhere", Duration::from_mins(3), |sim| {
        is_done(sim, oracle, count) || is_lost(sim, count)
    })?;
    Ok(is_lost(sim, count))
}

fn explore(seeds: std::ops::Range<u64>, model: fn() -> Box<dyn RingModel>) -> Outcome {
    let mut outcome = Outcome::default();
    let only = std::env::var("DX_SIM_SEED").ok().and_then(|text| text.parse::<u64>().ok());
    for seed in only.map_or(seeds, |seed| seed..seed + 1) {
        let (mut sim, oracle) = make(seed, Choices::seeded(seed), model);
        let count = 2 + (seed % 4) as usize;
        match play(&mut sim, &oracle, count) {
            Ok(lost) => outcome.lost += u64::from(lost),
            Err(failure) => panic!("{failure}\n{}", describe(&sim)),
        }
        let oracle = oracle.lock().unwrap();
        outcome.views += oracle.views() as u64;
        outcome.messages += oracle.top();
        outcome.events += sim.trace().events();
    }
    outcome
}

fn describe(sim: &Sim) -> String {
    let now = sim.now();
    let members = sim.agents_of::<Member<Recorder>>().map(|(id, member)| {
        let (core, replica) = (member.core(), member.replica());
        let core = core.map(|core| {
            let view = core.view().map(|view| (view.id, view.members().collect::<Vec<_>>()));
            let log = core.log();
            let at = (log.at().seq, log.held(), log.end());
            format!("{:?}, {:?}, at {at:?}, {}", core.standstill(now), view, core.describe())
        });
        let core = core.map(|it| it.chars().take(700).collect::<String>());
        format!("{id}: sent {}, delivered {}, {core:?}", replica.sent, replica.index)
    });
    format!("faults {:?}\n{}", sim.faults(), members.collect::<Vec<_>>().join("\n"))
}

#[test]
fn whatever_happens_members_deliver_one_order_and_go_on_when_they_can() {
    let outcome = explore(seeds(), flow);
    println!("{outcome:?}"); // what the seeds came to
    assert!(outcome.views > outcome.messages / 10_000, "views change");
}
