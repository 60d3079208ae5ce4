use std::collections::BTreeSet;
use std::time::Duration;

use dx_agents::{NodeId, RefusedBecause};
use dx_sim::{CrashPoint, Heard, Machine, PANIC, Port, Sim, SimConfig};

use crate::ledger::{LEDGER, Ledger, Page, SECOND, world};

const NODE: NodeId = NodeId(1);

/// Writes `numbers`, crashes at `point` amid of it, restarts. What was acknowledged, and what is
/// there then; `None` if an acknowledged number is gone.
fn crashed(seed: u64, kind: &str, point: CrashPoint) -> (BTreeSet<u64>, Vec<u64>) {
    let mut sim = world(SimConfig::seeded(seed), kind);
    sim.run_for(SECOND).unwrap();
    let port = sim.port();
    let mut heard = BTreeSet::new();
    for number in 0..30 {
        sim.send(port, LEDGER, Page::Write(number)).unwrap();
        if number == 20 {
            sim.crash_node_at(NODE, point);
        }
        sim.run_for(Duration::from_micros(40)).unwrap();
        listen(&mut sim, port, &mut heard);
    }
    sim.run_for(SECOND).unwrap();
    listen(&mut sim, port, &mut heard);
    assert!(!sim.is_up(NODE), "{point:?} never came");
    sim.restart_node(NODE, SECOND);
    sim.run_until("the ledger is back", 2 * SECOND, |sim| sim.agent::<Ledger>(LEDGER).is_some())
        .unwrap();
    sim.run_for(Duration::from_micros(500)).unwrap();
    let numbers = sim.agent::<Ledger>(LEDGER).unwrap().numbers.clone();
    (heard, numbers)
}

fn listen(sim: &mut Sim, port: Port, heard: &mut BTreeSet<u64>) {
    while let Some(next) = sim.heard(port) {
        if let Heard::Message(envelope) = next
            && let Page::Written(number) = envelope.body.open().unwrap()
        {
            heard.insert(number);
        }
    }
}

const POINTS: [CrashPoint; 6] = [
    CrashPoint::BeforeHandler,
    CrashPoint::AfterHandler,
    CrashPoint::AfterEffects(0),
    CrashPoint::AfterEffects(1),
    CrashPoint::BeforeSync,
    CrashPoint::AfterSync,
];

#[test]
fn what_was_acknowledged_is_there_after_a_crash_at_any_point() {
    for kind in ["careful", "tidy"] {
        for point in POINTS {
            for seed in 0..30 {
                let (heard, numbers) = crashed(seed, kind, point);
                let there: BTreeSet<u64> = numbers.iter().copied().collect();
                assert!(heard.is_subset(&there), "{kind}, {point:?}, seed {seed}: {numbers:?}");
                assert!(numbers.is_sorted(), "{kind}, {point:?}, seed {seed}: {numbers:?}");
                assert!(!heard.is_empty());
            }
        }
    }
}

#[test]
fn whoever_answers_before_it_persists_is_found_out() {
    let is_found = |seed| {
        let (heard, numbers) = crashed(seed, "careless", CrashPoint::AfterHandler);
        !heard.is_subset(&numbers.into_iter().collect())
    };
    assert!((0..3).any(is_found));
}

#[test]
fn crashes_leave_different_remains() {
    let remains = |seed| crashed(seed, "careful", CrashPoint::BeforeSync).1.len();
    let lengths: BTreeSet<usize> = (0..30).map(remains).collect();
    assert!(lengths.len() > 2, "{lengths:?}");
}

#[test]
fn a_full_disk_holds_answers_back_until_there_is_room() {
    let mut sim = world(SimConfig::seeded(1), "careful");
    sim.run_for(SECOND).unwrap();
    let port = sim.port();
    sim.fill_disk(NODE, 100);
    (0..20).for_each(|number| sim.send(port, LEDGER, Page::Write(number)).unwrap());
    sim.run_for(5 * SECOND).unwrap();
    let mut heard = BTreeSet::new();
    listen(&mut sim, port, &mut heard);
    assert!(heard.len() < 20, "{heard:?}");
    sim.empty_disk(NODE);
    sim.run_for(5 * SECOND).unwrap();
    listen(&mut sim, port, &mut heard);
    assert_eq!(heard.len(), 20);
}

#[test]
fn a_node_whose_sync_fails_stops() {
    let mut sim = world(SimConfig::seeded(1), "careful");
    sim.run_for(SECOND).unwrap();
    let port = sim.port();
    sim.fail_next_sync(NODE);
    sim.send(port, LEDGER, Page::Write(1)).unwrap();
    sim.run_for(SECOND).unwrap();
    assert!(!sim.is_up(NODE));
    assert!(sim.heard(port).is_none(), "nothing may be acknowledged");
}

#[test]
fn an_agent_that_restarts_in_its_life_begins_with_all_that_it_persisted() {
    let mut sim = world(SimConfig::seeded(1), "tidy");
    sim.allow_panics();
    sim.run_for(SECOND).unwrap();
    let port = sim.port();
    (0..40).for_each(|number| sim.send(port, LEDGER, Page::Write(number)).unwrap());
    sim.send(port, LEDGER, Page::Panic).unwrap();
    sim.run_for(SECOND).unwrap();
    assert_eq!(sim.agent::<Ledger>(LEDGER).unwrap().numbers, (0..40).collect::<Vec<_>>());
}

#[test]
fn without_a_disk_persisting_is_the_agents_mistake() {
    let machine = Machine { has_disk: false, ..Machine::default() };
    let mut sim = world(SimConfig { machine, ..SimConfig::seeded(1) }, "careful");
    let port = sim.port();
    sim.send(port, LEDGER, Page::Write(1)).unwrap();
    let failure = sim.run_for(SECOND).unwrap_err();
    assert_eq!(failure.what, PANIC);
    assert!(failure.text.contains("nothing can be persisted"), "{failure}");
    assert!(sim.heard(port).is_none());
}

#[test]
fn what_is_sent_to_a_node_that_is_down_waits_for_it() {
    let mut sim = world(SimConfig::seeded(1), "careful");
    sim.run_for(SECOND).unwrap();
    sim.crash_node(NODE);
    sim.run_for(10 * SECOND).unwrap();
    let port = sim.port();
    assert_eq!(sim.send(port, LEDGER, Page::Write(7)), Ok::<_, RefusedBecause>(()));
    sim.restart_node(NODE, SECOND);
    sim.run_for(5 * SECOND).unwrap();
    assert_eq!(sim.agent::<Ledger>(LEDGER).unwrap().numbers, [7]);
}
