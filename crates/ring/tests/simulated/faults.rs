//! Everything goes wrong.

use std::ops::Range;
use std::time::Duration;

use dx_agents::{AgentId, NodeId};
use dx_ring::core::{Core, Standstill};
use dx_ring::view::{Standing, View};
use dx_ring::{Member, RingModel};
use dx_sim::{Choices, Delay, Failure, FaultKind, FaultPlan, SEED_VARIABLE, Sim, SimConfig};

use super::oracle::Shared;
use super::recorder::{Load, Recorder, flow, world};

/// Seeds that are tried; others with `DX_RING_SEEDS`, as `20000` or `20000..40000`.
pub fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("DX_RING_SEEDS") else { return 0..40 };
    let (first, end) = text.split_once("..").unwrap_or(("0", &text));
    let number = |text: &str| text.parse().expect("DX_RING_SEEDS is how many, or first..end");
    number(first)..number(end)
}

/// As many times as many of them, of what is quick.
pub fn seeds_times(times: u64) -> Range<u64> {
    let seeds = seeds();
    times * seeds.start..times * seeds.end
}

/// How many members a seed has.
fn members(seed: u64) -> usize {
    2 + (seed % 4) as usize
}

/// From few short messages to many long ones.
pub fn mixed(seed: u64) -> Load {
    Load {
        messages: 60 + seed % 100,
        every: Duration::from_micros([200, 3_000, 20_000][(seed / 3) as usize % 3]),
        longest: [64, 2_000, 150_000][(seed / 9) as usize % 3],
    }
}

/// A message now and then, as long as things go wrong.
pub fn sparse(_seed: u64) -> Load {
    Load { messages: 40, every: Duration::from_millis(40), longest: 64 }
}

/// A run of a seed: its world, and its oracle.
fn make(seed: u64, load: Load, model: fn() -> Box<dyn RingModel>) -> (Sim, Shared) {
    let oracle = Shared::default();
    let count = members(seed) as u64;
    let mut sim =
        world(SimConfig::seeded(seed), Choices::seeded(seed), count, load, &oracle, model);
    let watched = oracle.clone();
    sim.always("members agree", move |_| match &watched.lock().unwrap().wrong {
        None => Ok(()),
        Some(wrong) => Err(wrong.clone()),
    });
    sim.always("whoever gives up has to", move |sim| {
        let Some(id) = first_lost(sim) else { return Ok(()) };
        let remember = remembering(sim);
        if remember > count as usize / 2 {
            return Err(format!("{id} gives up, though {remember} of {count} remember"));
        }
        Ok(())
    });
    (sim, oracle)
}

/// Who says that the ring has lost its memory, if somebody does.
fn first_lost(sim: &Sim) -> Option<AgentId> {
    let now = sim.now();
    let mut members = sim.agents_of::<Member<Recorder>>();
    let lost = members
        .find(|(_, it)| it.core().is_some_and(|core| core.standstill(now) == Standstill::Lost));
    lost.map(|(id, _)| id)
}

/// How many members live the life in which they counted: in which they were in a view that took
/// effect, or a view that they installed says so. It is what they hear themselves, not what others
/// know of them.
fn remembering(sim: &Sim) -> usize {
    let counted = |(id, member): &(AgentId, &Member<Recorder>)| {
        let Some((_, life)) = member.replica().who() else { return false };
        let is_mine = |view: &View| view.seat(*id).filter(|seat| seat.life == life).copied();
        let installed = member.core().and_then(Core::view).and_then(is_mine);
        installed.is_some_and(|seat| seat.standing == Standing::Voter)
            || member.replica().views.iter().any(|view| is_mine(view).is_some())
    };
    sim.agents_of::<Member<Recorder>>().filter(counted).count()
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
    pub lost: u64,
    views: u64,
    messages: u64,
    events: u64,
    runs: u64,
}

impl Outcome {
    /// Whether views changed; of one seed that is seen again, none needs to.
    pub fn has_changes(&self) -> bool {
        self.runs == 1 || self.views > self.lost && self.views > self.messages / 10_000
    }
}

/// Whatever can go wrong does, for a while; then nothing does.
pub fn torment(sim: &mut Sim, oracle: &Shared, seed: u64) -> Result<bool, Failure> {
    let count = members(seed);
    sim.torment(Duration::from_secs(3), (count - 1) / 2)?;
    sim.run_until("everything is delivered everywhere", Duration::from_mins(3), |sim| {
        is_done(sim, oracle, count) || is_lost(sim, count)
    })?;
    Ok(is_lost(sim, count))
}

pub type Play = fn(&mut Sim, &Shared, u64) -> Result<bool, Failure>;

pub fn explore(
    seeds: impl Iterator<Item = u64>,
    model: fn() -> Box<dyn RingModel>,
    load: fn(u64) -> Load,
    play: Play,
) -> Outcome {
    let mut outcome = Outcome::default();
    let only = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok());
    let seeds: Vec<u64> = only.map_or_else(|| seeds.collect(), |seed| vec![seed]);
    for seed in seeds {
        let (mut sim, oracle) = make(seed, load(seed), model);
        match play(&mut sim, &oracle, seed) {
            Ok(lost) => outcome.lost += u64::from(lost),
            Err(failure) => panic!("{failure}\n{}", describe(&sim)),
        }
        let oracle = oracle.lock().unwrap();
        outcome.runs += 1;
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

/// Short, with little to say and much that goes wrong: crashes among partitions and lost sessions,
/// so that views follow each other before they are installed.
pub fn skirmish(sim: &mut Sim, oracle: &Shared, seed: u64) -> Result<bool, Failure> {
    use FaultKind::{Bridge, Clog, Crash, OneWay, Partition, SessionLoss};
    let count = members(seed);
    sim.run_for(Duration::from_millis(100))?;
    let mean = Duration::from_micros(200 << (seed % 5));
    sim.unleash(FaultPlan {
        lasts: Duration::from_secs(2),
        kinds: vec![Crash, Partition, Partition, OneWay, Bridge, Clog, Clog, SessionLoss],
        every: Duration::from_millis(30 << (seed / 5 % 4)),
        mended_after: Duration::from_millis(60 << (seed / 20 % 4)),
        most_down: 1,
        delay: Delay::Exponential { least: mean / 4, mean },
        loss: 0.0,
    });
    sim.run_for(Duration::from_secs(2))?;
    sim.heal();
    sim.run_until("everything is delivered everywhere", Duration::from_mins(3), |sim| {
        is_done(sim, oracle, count) || is_lost(sim, count)
    })?;
    Ok(is_lost(sim, count))
}

#[test]
fn views_that_chase_each_other_agree() {
    let outcome = explore(seeds_times(5), flow, sparse, skirmish);
    println!("{outcome:?}");
    assert!(outcome.has_changes());
}

/// Members crash one by one, each when the one before is back: at any moment of a view change.
pub fn one_by_one(sim: &mut Sim, oracle: &Shared, seed: u64) -> Result<bool, Failure> {
    let count = members(seed);
    for round in 0..6 {
        let pause = sim.now().0 % 7_001 * 100_000;
        sim.run_for(Duration::from_nanos(pause))?;
        let victim = NodeId(1 + (sim.now().0 % count as u64) as u32);
        sim.crash_node(victim);
        sim.restart_node(victim, Duration::from_millis(20 * round));
        sim.run_for(Duration::from_millis(50))?;
        sim.run_until("whoever restarted counts again", Duration::from_mins(1), |sim| {
            all_count(sim, count)
        })?;
    }
    sim.run_until("everything is delivered everywhere", Duration::from_mins(3), |sim| {
        is_done(sim, oracle, count)
    })?;
    Ok(false)
}

/// Whether a view works that has all members, and has admitted them.
fn all_count(sim: &Sim, count: usize) -> bool {
    let members: Vec<_> = sim.agents_of::<Member<Recorder>>().collect();
    members.len() == count
        && members.iter().all(|(_, member)| {
            let core = member.core().filter(|core| core.standstill(sim.now()) == Standstill::None);
            core.is_some_and(|core| {
                let is_in_effect = core.log().at().effect.as_ref() == core.view();
                is_in_effect && core.view().is_some_and(|view| view.len() == count)
            })
        })
}

#[test]
fn members_that_crash_one_by_one_are_admitted_again_and_the_ring_forgets_nothing() {
    // Of two, both are needed: then one that forgets is one too many.
    let outcome = explore(seeds().filter(|seed| seed % 4 > 0), flow, mixed, one_by_one);
    println!("{outcome:?}");
    assert_eq!(outcome.lost, 0);
}

#[test]
fn whatever_happens_members_deliver_one_order_and_go_on_when_they_can() {
    let outcome = explore(seeds(), flow, mixed, torment);
    println!("{outcome:?}");
    assert!(outcome.has_changes());
}
