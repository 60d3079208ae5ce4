use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, Down, Message, NodeId, Options, Refusal,
    Registry, TimerKey,
};
use dx_sim::{Choices, Delay, Failure, FaultKind, FaultPlan, Scenario, Sim};
use serde::{Deserialize, Serialize};

use crate::{SEEDS, seeded};

const NODES: u64 = 4;
/// Numbers that are said at first, and again when something may be lost.
const FIRST: u64 = 120;
const MORE: u64 = 30;
const SECOND: Duration = Duration::from_secs(1);

/// A number of a sender's life.
#[derive(Clone, Serialize, Deserialize)]
struct Number(u64, u64);

impl Message for Number {
    const NAME: &'static str = "number";
}

/// Says numbers to all others, and notes what it hears.
#[derive(Default)]
struct Talker {
    life: u64,
    /// The next number for each, and the one at which it stops.
    next: BTreeMap<AgentId, (u64, u64)>,
    /// The last number of each sender's life.
    last: BTreeMap<(AgentId, u64), u64>,
    downs: BTreeMap<AgentId, Vec<Down>>,
    wrong: Vec<String>,
    /// Of whom something is missing.
    missed: BTreeSet<AgentId>,
}

impl Agent for Talker {
    type Message = Number;

    fn start(&mut self, cx: &mut Context) {
        self.life = cx.incarnation().0;
        let me = cx.me();
        for other in (1..=NODES).map(AgentId).filter(|id| *id != me) {
            cx.monitor(other);
            self.next.insert(other, (0, FIRST));
        }
        cx.set_timer(TimerKey(1), Duration::from_millis(1));
    }

    fn message(&mut self, from: AgentId, Number(life, number): Number, _: &mut Context) {
        let last = self.last.insert((from, life), number);
        match last {
            Some(last) if number <= last => {
                self.wrong.push(format!("{from} said {number} after {last}"));
            }
            Some(last) if number > last + 1 => drop(self.missed.insert(from)),
            // It may have started in the midst of it.
            _ => {}
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        let mut is_done = true;
        for (&to, (number, end)) in &mut self.next {
            if *number < *end {
                cx.send(to, Number(self.life, *number));
                *number += 1;
                is_done = false;
            }
        }
        if !is_done {
            cx.set_timer(key, Duration::from_millis(1));
        }
    }

    fn down(&mut self, who: AgentId, why: Down, cx: &mut Context) {
        self.downs.entry(who).or_default().push(why);
        if why != Down::NoConnection
            && let Some((number, end)) = self.next.get_mut(&who)
        {
            // Something may be lost: a few more, to see that it goes on.
            *end = (*number + MORE).max(*end);
            cx.set_timer(TimerKey(1), Duration::from_millis(1));
        }
    }

    fn refused(&mut self, refusal: Refusal, _: &mut Context) {
        // No more is ever said than may wait.
        self.wrong.push(format!("{refusal:?}"));
    }
}

impl Talker {
    fn was_told(&self, who: AgentId) -> bool {
        let downs = self.downs.get(&who).into_iter().flatten();
        downs.into_iter().any(|why| matches!(why, Down::SessionLost | Down::Restarted))
    }
}

pub fn make(seed: u64, choices: Choices) -> Sim {
    let registry = Registry::new().kind("talker", |_, _| Ok(Talker::default()));
    let spec = |id| AgentSpec {
        id: AgentId(id),
        kind: "talker".to_owned(),
        node: NodeId(id as u32),
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let directory = Directory::new((1..=NODES).map(spec));
    let mut sim = Sim::with_choices(seeded(seed), directory, registry, choices).unwrap();
    sim.always("what arrives does so once and in order", |sim| {
        let said = |(id, it)| {
            let it: &Talker = it;
            it.wrong.first().map(|wrong| format!("{id} heard that {wrong}"))
        };
        match sim.agents_of::<Talker>().find_map(said) {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    });
    sim
}

pub fn everybody_is_heard(sim: &mut Sim) -> Result<(), Failure> {
    sim.run_for(5 * SECOND)?;
    // Not before: the word that something was lost may come behind what follows the gap.
    sim.run_until("whoever misses something was told", Duration::ZERO, |sim| {
        sim.agents_of::<Talker>().all(|(_, it)| it.missed.iter().all(|who| it.was_told(*who)))
    })?;
    sim.run_until("everybody hears everybody to the end", Duration::from_mins(3), |sim| {
        let talkers: BTreeMap<AgentId, &Talker> = sim.agents_of().collect();
        let hears = |by: &Talker, from: AgentId, to: AgentId| {
            let (_, end) = talkers[&from].next.get(&to).copied().unwrap_or_default();
            end > 0 && by.last.get(&(from, talkers[&from].life)) == Some(&(end - 1))
        };
        talkers.len() as u64 == NODES
            && talkers.iter().all(|(me, it)| {
                talkers.keys().filter(|id| *id != me).all(|from| hears(it, *from, *me))
            })
    })
}

#[test]
fn sessions_keep_their_promises_under_every_mix_of_faults() {
    let play = |sim: &mut Sim| {
        sim.torment(2 * SECOND, 2)?;
        everybody_is_heard(sim)
    };
    let scenario = Scenario { make, play };
    scenario.explore(0..SEEDS).expect_none();
    scenario.determined(0..10).unwrap();
}

#[test]
fn every_kind_of_fault_happens_and_leaves_its_mark() {
    for kind in FaultKind::ALL {
        let plan = FaultPlan {
            lasts: SECOND,
            kinds: vec![kind],
            every: Duration::from_millis(50),
            mended_after: Duration::from_millis(50),
            most_down: 1,
            delay: Delay::Fixed(Duration::from_millis(1)),
            loss: 0.0,
        };
        let run = |kinds: Vec<FaultKind>| {
            let mut sim = make(1, Choices::seeded(1));
            sim.unleash(FaultPlan { kinds, ..plan.clone() });
            sim.run_for(2 * SECOND).unwrap();
            sim
        };
        let (calm, torn) = (run(Vec::new()), run(vec![kind]));
        assert_ne!(calm.trace().hash(), torn.trace().hash(), "{kind:?} changes nothing");
        let injected = torn.faults();
        assert_eq!(injected.len(), 1, "{kind:?}");
        assert!(injected[0].0 == kind && injected[0].1 > 3, "{injected:?}");
    }
}

#[test]
fn a_plan_keeps_to_its_budget_of_nodes_that_are_down() {
    let play = |sim: &mut Sim| {
        sim.always("no more than one node is down", |sim| {
            let down = (1..=NODES).filter(|id| !sim.is_up(NodeId(*id as u32))).count();
            // At the start all are.
            let is_early = sim.now().0 < 10_000_000;
            if down <= 1 || is_early { Ok(()) } else { Err(format!("{down} are")) }
        });
        sim.run_for(Duration::from_millis(10))?;
        sim.torment(2 * SECOND, 1).map(drop)
    };
    Scenario { make, play }.explore(0..30).expect_none();
}
