//! Runs: whoever ends one ends it with the same tuple.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use dx_agents::{AgentId, AgentSpec, Directory, NodeId, Options, Registry};
use dx_ring::run::{Plan, Runner, Stage, Tally};
use dx_ring::{Member, RingConfig};
use dx_sim::{Choices, Delay, Sim, SimConfig};

use super::models::{Make, confirmed, lcr, lossy};
use super::recorder::flow;

fn world(config: SimConfig, choices: Choices, count: u64, plan: &Plan) -> Sim {
    world_of(config, choices, count, plan, flow)
}

fn world_of(config: SimConfig, choices: Choices, count: u64, plan: &Plan, model: Make) -> Sim {
    let ring = RingConfig::new((1..=count).map(AgentId).collect());
    let (mailbox, members) = (ring.mailbox(), ring.members.clone());
    let plan = plan.clone();
    let registry = Registry::new().kind("ring-member", move |_, _| {
        Ok(Member::new(ring.clone(), model(), Runner::new(plan.clone())))
    });
    let spec = |id: AgentId| AgentSpec {
        id,
        kind: "ring-member".to_owned(),
        node: NodeId(id.0 as u32),
        attr: serde_json::Value::Null,
        options: Options { mailbox, ..Options::default() },
    };
    Sim::with_choices(config, Directory::new(members.into_iter().map(spec)), registry, choices)
        .unwrap()
}

/// A plan that is quick to simulate.
fn plan(messages: u64) -> Plan {
    Plan { messages: Some(messages), grace_for: Duration::from_millis(100), ..Plan::default() }
}

/// All results that any life came to are one; returned is that one, by and by.
fn watch(sim: &mut Sim) -> Rc<RefCell<Option<Tally>>> {
    let result = Rc::new(RefCell::new(None));
    let watched = result.clone();
    sim.always("all results are one", move |sim| {
        for (id, member) in sim.agents_of::<Member<Runner>>() {
            let Some(tally) = member.replica().result() else { continue };
            let first = *watched.borrow_mut().get_or_insert(tally);
            if first != tally || first.sum.to_bits() != tally.sum.to_bits() {
                return Err(format!("{id} has {tally}, others {first}"));
            }
        }
        Ok(())
    });
    result
}

fn all_ended(sim: &Sim, count: u64) -> bool {
    let ended = sim.agents_of::<Member<Runner>>().filter(|(_, it)| it.replica().result().is_some());
    ended.count() as u64 == count
}

#[test]
fn one_sender_gives_the_same_tuple_in_every_run() {
    let tallies = [1, 2, 3].map(|seed| {
        let plan = Plan { senders: 1, ..plan(500) };
        let mut sim = world(SimConfig::seeded(seed), Choices::seeded(seed), 4, &plan);
        let result = watch(&mut sim);
        sim.run_until("it ends", Duration::from_secs(20), |sim| all_ended(sim, 4)).unwrap();
        result.take().unwrap()
    });
    assert_eq!(tallies[0].count, 500);
    assert!(tallies.iter().all(|it| *it == tallies[0]), "{tallies:?}");
    // Recomputed from nothing but the seed.
    let mut tally = Tally::default();
    for number in 1..=500 {
        let data = dx_ring::run::Command::data(0, AgentId(1), number);
        let dx_ring::run::Command::Data(value) = data else { unreachable!() };
        tally.add(AgentId(1), value, &data.encode(64));
    }
    assert_eq!(tally, tallies[0]);
}

#[test]
fn senders_send_until_their_time_is_over() {
    let plan = Plan { send_for: Duration::from_millis(20), ..Plan::default() };
    let mut sim = world(SimConfig::seeded(1), Choices::seeded(1), 3, &plan);
    let result = watch(&mut sim);
    sim.run_until("it ends", Duration::from_secs(20), |sim| all_ended(sim, 3)).unwrap();
    let sent: u64 = sim.agents_of::<Member<Runner>>().map(|(_, it)| it.replica().sent()).sum();
    let count = result.take().unwrap().count;
    assert!(count > 1000);
    assert_eq!(count, sent, "whatever was sent before FIN is in the result");
}

#[test]
fn a_run_goes_on_whoever_dies_and_when() {
    let stages = [Stage::Start, Stage::Send, Stage::Grace, Stage::Stop];
    let cases = (1..=3).flat_map(|victim| stages.map(|stage| (NodeId(victim), stage)));
    for (seed, (victim, stage)) in (0..5).flat_map(|seed| cases.clone().map(move |it| (seed, it))) {
        let mut sim = world(SimConfig::seeded(seed), Choices::seeded(seed), 3, &plan(300));
        let result = watch(&mut sim);
        sim.run_until("the stage is reached", Duration::from_secs(20), |sim| {
            let mut members = sim.agents_of::<Member<Runner>>();
            members.any(|(_, it)| it.replica().stage() >= stage && it.replica().view().is_some())
        })
        .unwrap();
        // A moment later: that of the crash is another one with each seed.
        sim.run_for(Duration::from_micros(100 * seed)).unwrap();
        sim.crash_node(victim);
        sim.restart_node(victim, Duration::from_millis(700));
        let ended = sim.run_until("it ends", Duration::from_mins(2), |sim| all_ended(sim, 3));
        ended.unwrap_or_else(|failure| panic!("{victim} dies in {stage:?}: {failure}"));
        assert!(result.take().unwrap().count >= 300);
    }
}

#[test]
fn the_token_gives_all_senders_their_turns_in_the_same_order_in_every_run() {
    for senders in [2, 4] {
        let plan = Plan { senders, ..plan(1000) };
        let tallies = [1, 2, 3, 4].map(|seed| {
            let mut config = SimConfig::seeded(seed);
            config.network.delay =
                Delay::Between(Duration::from_micros(50), Duration::from_micros(100 + 900 * seed));
            let mut sim = world_of(config, Choices::seeded(seed), 4, &plan, confirmed);
            let result = watch(&mut sim);
            sim.run_until("it ends", Duration::from_mins(1), |sim| all_ended(sim, 4)).unwrap();
            result.take().unwrap()
        });
        assert_eq!(tallies[0].count, 1000 * senders as u64);
        assert!(tallies.iter().all(|it| *it == tallies[0]), "{tallies:?}");
    }
}

#[test]
fn a_run_by_any_model_goes_on_whoever_dies() {
    for (at, model) in [confirmed as Make, lossy, lcr].into_iter().enumerate() {
        for (seed, victim) in (0..4).flat_map(|seed| (1..=3).map(move |it| (seed, NodeId(it)))) {
            let choices = Choices::seeded(seed);
            let mut sim = world_of(SimConfig::seeded(seed), choices, 3, &plan(300), model);
            let result = watch(&mut sim);
            sim.run_until("they send", Duration::from_secs(20), |sim| {
                let mut members = sim.agents_of::<Member<Runner>>();
                members.any(|(_, it)| it.replica().stage() >= Stage::Send)
            })
            .unwrap();
            sim.run_for(Duration::from_micros(150 * seed)).unwrap();
            sim.crash_node(victim);
            sim.restart_node(victim, Duration::from_millis(700));
            let ended = sim.run_until("it ends", Duration::from_mins(2), |sim| all_ended(sim, 3));
            ended.unwrap_or_else(|failure| panic!("model {at}, {victim} dies: {failure}"));
            assert!(result.take().unwrap().count >= 300);
        }
    }
}

#[test]
fn a_minority_has_no_result() {
    let plan = plan(300);
    let mut sim = world(SimConfig::seeded(1), Choices::seeded(1), 5, &plan);
    watch(&mut sim);
    sim.run_until("they send", Duration::from_secs(20), |sim| {
        let members = sim.agents_of::<Member<Runner>>();
        members.filter(|(_, it)| it.replica().tally().count > 10).count() == 5
    })
    .unwrap();
    let nodes = [1, 2, 3, 4, 5].map(NodeId);
    sim.partition(&[&nodes[..2], &nodes[2..]]);
    sim.run_for(Duration::from_secs(20)).unwrap();
    let ended: BTreeMap<AgentId, bool> = sim
        .agents_of::<Member<Runner>>()
        .map(|(id, it)| (id, it.replica().result().is_some()))
        .collect();
    let expected = [false, false, true, true, true];
    assert_eq!(ended.into_values().collect::<Vec<_>>(), expected);
    sim.mend_all();
    sim.run_until("they hear of it", Duration::from_secs(20), |sim| all_ended(sim, 5)).unwrap();
}
