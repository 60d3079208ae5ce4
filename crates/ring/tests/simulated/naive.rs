//! The model that promises nothing: the checks of the others find that it keeps nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use dx_agents::{AgentId, AgentSpec, Directory, NodeId, Options, Registry};
use dx_ring::run::{NaiveMember, Plan, Stage, Tally};
use dx_sim::{Sim, SimConfig};

fn world(seed: u64, count: u64, plan: &Plan) -> Sim {
    let members: Vec<AgentId> = (1..=count).map(AgentId).collect();
    let (plan, ids) = (plan.clone(), members.clone());
    let registry =
        Registry::new().kind("naive", move |_, _| Ok(NaiveMember::new(ids.clone(), plan.clone())));
    let spec = |id: AgentId| AgentSpec {
        id,
        kind: "naive".to_owned(),
        node: NodeId(id.0 as u32),
        attr: serde_json::Value::Null,
        options: Options::default(),
    };
    let directory = Directory::new(members.into_iter().map(spec));
    Sim::new(SimConfig::seeded(seed), directory, registry).unwrap()
}

fn results(sim: &Sim) -> Vec<Tally> {
    sim.agents_of::<NaiveMember>().filter_map(|(_, it)| it.result()).collect()
}

fn run(sim: &mut Sim, count: usize) -> Vec<Tally> {
    sim.run_until("all stop", Duration::from_mins(1), |sim| results(sim).len() == count).unwrap();
    results(sim)
}

fn plan() -> Plan {
    let ms = Duration::from_millis;
    Plan { send_for: ms(200), grace_for: ms(100), ..Plan::default() }
}

/// What is different among them.
fn different(tallies: &[Tally]) -> usize {
    let texts: BTreeSet<String> = tallies.iter().map(Tally::to_string).collect();
    texts.len()
}

#[test]
fn without_faults_all_come_to_the_same_and_each_has_sent_in_turn() {
    for count in [1, 2, 3, 5] {
        let mut sim = world(count, count, &plan());
        let tallies = run(&mut sim, count as usize);
        assert_eq!(different(&tallies), 1, "{tallies:?}");
        let sent: Vec<u64> = sim.agents_of::<NaiveMember>().map(|(_, it)| it.sent()).collect();
        assert_eq!(sent.iter().sum::<u64>(), tallies[0].count);
        assert!(tallies[0].count > 100);
        assert!(sent.iter().max().unwrap() - sent.iter().min().unwrap() <= 1, "{sent:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_tuple_whatever_the_network_does() {
    for senders in [1, 2, 4] {
        let plan = Plan { messages: Some(50), senders, ..plan() };
        let tallies = [1, 2, 3].map(|seed| run(&mut world(seed, 4, &plan), 4)[0]);
        assert_eq!(tallies[0].count, 50 * senders as u64);
        assert_eq!(different(&tallies), 1, "{tallies:?}");
    }
}

#[test]
fn it_is_caught_disagreeing_when_messages_are_lost_or_somebody_dies() {
    let (mut by_loss, mut by_death) = (0, 0);
    for seed in 0..20 {
        for dies in [false, true] {
            let mut sim = world(seed, 4, &plan());
            sim.run_until("they send", Duration::from_secs(10), |sim| {
                let mut members = sim.agents_of::<NaiveMember>();
                members.any(|(_, it)| it.stage() == Stage::Send && it.tally().count > 20 + seed)
            })
            .unwrap();
            if dies {
                sim.crash_node(NodeId(3));
                sim.restart_node(NodeId(3), Duration::from_millis(10));
            } else {
                sim.partition(&[&[1, 2].map(NodeId), &[3, 4].map(NodeId)]);
            }
            sim.run_for(Duration::from_secs(10)).unwrap();
            let tallies = results(&sim);
            let is_caught = tallies.len() < 4 || different(&tallies) > 1;
            *(if dies { &mut by_death } else { &mut by_loss }) += u32::from(is_caught);
        }
    }
    println!("of 20 runs each, caught by losses: {by_loss}, by a death: {by_death}");
    assert!(by_loss > 10 && by_death == 20);
}
