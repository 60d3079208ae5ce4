use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Directory, Lane, Message, NodeId, Registry, TimerKey};
use dx_sim::control::{ControlError, Held, Thing, Which};
use dx_sim::stuck::Hindrance;
use dx_sim::{Sim, SimConfig};
use serde::{Deserialize, Serialize};

use crate::kinds::{SECOND, Word, diaries, diary, spec, world};

/// Agents 1 and 2 have each sent three numbers to agent 3, and all is held.
fn held() -> Sim {
    let mut sim = world(SimConfig::seeded(1), diaries(&[1, 2, 3]));
    sim.run_for(SECOND).unwrap();
    sim.hold_all();
    for (id, node) in [(1, NodeId(1)), (2, NodeId(2))] {
        let port = sim.port_on(node);
        sim.send(port, AgentId(id), Word::Flood(AgentId(3), 3)).unwrap();
    }
    sim.run_for(SECOND).unwrap();
    sim
}

fn heard(sim: &Sim) -> Vec<(u64, u64)> {
    diary(sim, 3).numbers.iter().map(|(from, number)| (from.0, *number)).collect()
}

#[test]
fn a_test_delivers_in_the_order_that_it_wants() {
    let mut sim = held();
    assert!(heard(&sim).is_empty());
    let from = |id| move |held: &&Held| held.from == AgentId(id);
    let all = sim.held();
    assert_eq!(all.len(), 6);
    for held in all.iter().filter(from(2)).take(2).chain(all.iter().filter(from(1))) {
        sim.deliver_held(held.number).unwrap();
        sim.run_for(SECOND).unwrap();
    }
    assert_eq!(heard(&sim), [(2, 0), (2, 1), (1, 0), (1, 1), (1, 2)]);
    sim.release_all();
    sim.run_for(SECOND).unwrap();
    assert_eq!(heard(&sim).last(), Some(&(2, 2)));
}

#[test]
fn what_is_discarded_alone_is_missing() {
    let mut sim = held();
    let second = sim.held()[1];
    sim.discard_held(second.number).unwrap();
    assert_eq!(sim.discard_held(second.number), Err(ControlError::NotHeld(second.number)));
    sim.release_all();
    sim.run_for(SECOND).unwrap();
    let numbers: Vec<_> = heard(&sim).into_iter().filter(|(id, _)| *id == 1).collect();
    assert_eq!(numbers, [(1, 0), (1, 2)]);
    assert_eq!(heard(&sim).len(), 5);
}

#[test]
fn no_message_overtakes_another_of_its_sender() {
    let mut sim = held();
    let [first, second, ..] = sim.held()[..] else { panic!("too few are held") };
    let early = sim.deliver_held(second.number);
    assert_eq!(early, Err(ControlError::OutOfOrder(second.number, first.number)));
    assert_eq!(sim.held().len(), 6);
}

#[test]
fn only_what_is_meant_is_held_and_only_that_is_let_go() {
    let from = |id| Which::all().from(AgentId(id));
    let ways = [
        (Which::all().link(NodeId(1), NodeId(3)), vec![2, 2, 2]),
        (from(2).lane(Lane::Normal), vec![1, 1, 1]),
        (Which::all().lane(Lane::Bulk), vec![1, 1, 1, 2, 2, 2]),
        (Which::all().to(AgentId(3)).kind("diary"), vec![]),
        (Which::all().kind("player"), vec![1, 1, 1, 2, 2, 2]),
    ];
    for (which, passes) in ways {
        let mut sim = held();
        let rest = Which::all().link(NodeId(9), NodeId(9));
        sim.hold(which.clone());
        sim.hold(rest.clone());
        sim.unhold(&Which::all()).unwrap();
        assert_eq!(sim.held().len(), 6 - passes.len(), "at once");
        sim.run_for(SECOND).unwrap();
        let mut senders: Vec<u64> = heard(&sim).into_iter().map(|(from, _)| from).collect();
        senders.sort_unstable();
        assert_eq!(senders, passes, "{which:?}");
        assert_eq!(sim.held().len(), 6 - passes.len());
        sim.unhold(&which).unwrap();
        assert_eq!(sim.unhold(&which), Err(ControlError::NoSuchHold));
        sim.run_for(SECOND).unwrap();
        assert_eq!(heard(&sim).len(), 6);
        let first: Vec<_> = heard(&sim).into_iter().filter(|(from, _)| *from == 1).collect();
        assert_eq!(first, [(1, 0), (1, 1), (1, 2)], "in order");
    }
}

#[test]
fn a_message_is_found_by_what_it_says() {
    let mut sim = held();
    let number = |wanted| {
        move |held: &Held, word: &Word| held.from == AgentId(2) && *word == Word::Number(wanted)
    };
    let early = sim.deliver_where(number(1));
    assert!(matches!(early, Err(ControlError::OutOfOrder(..))), "{early:?}");
    sim.discard_where(number(0)).unwrap();
    sim.deliver_where(number(1)).unwrap();
    sim.run_for(Duration::ZERO).unwrap();
    assert_eq!(heard(&sim), [(2, 1)]);
    assert_eq!(sim.deliver_where(number(7)), Err(ControlError::NoneLike("word")));
    let other = sim.find_held(|_, _: &Tick| true);
    assert_eq!(other, Err(ControlError::NoneLike("tick")));
}

#[test]
fn what_cannot_arrive_is_not_delivered_and_says_why() {
    let mut sim = held();
    let first = sim.held()[0].number;
    let blocked = |sim: &mut Sim, because| {
        let expected = ControlError::Blocked { number: first, to: NodeId(3), because };
        assert_eq!(sim.deliver_held(first), Err(expected));
        assert_eq!(sim.held().len(), 6);
    };
    sim.cut(NodeId(1), NodeId(3));
    blocked(&mut sim, Hindrance::Cut);
    sim.mend_all();
    sim.pause_node(NodeId(3), SECOND);
    blocked(&mut sim, Hindrance::StandsStill);
    sim.run_for(2 * SECOND).unwrap();
    sim.deliver_held(first).unwrap();
    let second = sim.held()[0].number;
    sim.crash_node(NodeId(1));
    sim.run_for(SECOND).unwrap();
    assert_eq!(sim.deliver_held(second), Err(ControlError::Over(second)));
    sim.restart_node(NodeId(1), Duration::ZERO);
    sim.release_all();
    sim.run_for(5 * SECOND).unwrap();
    assert_eq!(heard(&sim).iter().filter(|(from, _)| *from == 1).count(), 1);
    assert_eq!(heard(&sim).iter().filter(|(from, _)| *from == 2).count(), 3);
}

#[test]
fn datagrams_come_in_any_order_and_twice_and_others_do_not() {
    let datagram_kinds = ["diary".to_owned()].into();
    let config = SimConfig { datagram_kinds, ..SimConfig::seeded(1) };
    let mut sim = world(config, diaries(&[1, 2]));
    sim.run_for(SECOND).unwrap();
    sim.hold_all();
    let port = sim.port_on(NodeId(1));
    sim.send(port, AgentId(1), Word::Flood(AgentId(2), 3)).unwrap();
    sim.run_for(SECOND).unwrap();
    let of = |number| move |_: &Held, word: &Word| *word == Word::Number(number);
    let last = sim.find_held(of(2)).unwrap();
    assert!(last.is_datagram);
    sim.duplicate_held(last.number).unwrap();
    for number in [2, 0, 2, 1] {
        sim.deliver_where(of(number)).unwrap();
        sim.run_for(Duration::ZERO).unwrap();
        sim.run_for(SECOND).unwrap();
    }
    let numbers: Vec<u64> = diary(&sim, 2).numbers.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, [2, 0, 2, 1]);
    assert_eq!(sim.tally().duplicated, 1);

    let mut sim = held();
    let first = sim.held()[0].number;
    assert_eq!(sim.duplicate_held(first), Err(ControlError::NotADatagram(first)));
}

#[derive(Serialize, Deserialize)]
struct Tick;

impl Message for Tick {
    const NAME: &'static str = "tick";
}

/// Sets two timers, and writes down when they fire.
#[derive(Default)]
struct Clock {
    fired: Vec<(u64, dx_agents::Instant)>,
}

impl Agent for Clock {
    type Message = Tick;

    fn start(&mut self, cx: &mut Context) {
        cx.set_timer(TimerKey(1), 10 * SECOND);
        cx.set_timer(TimerKey(2), 20 * SECOND);
    }

    fn message(&mut self, _: AgentId, _: Tick, _: &mut Context) {}

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        let now = cx.now();
        self.fired.push((key.0, now));
    }
}

fn clock() -> Sim {
    let registry = Registry::new().kind("clock", |_, _| Ok(Clock::default()));
    let directory = Directory::new([spec(1, "clock", 1)]);
    let mut sim = Sim::new(SimConfig::seeded(1), directory, registry).unwrap();
    sim.run_for(SECOND).unwrap();
    sim
}

#[test]
fn a_timer_fires_when_it_is_told_to_once_and_not_early_by_its_own_clock() {
    let mut sim = clock();
    let set = sim.timers(AgentId(1));
    assert_eq!(set.iter().map(|(key, _)| key.0).collect::<Vec<_>>(), [1, 2]);
    sim.fire_timer(AgentId(1), TimerKey(2)).unwrap();
    sim.run_for(Duration::ZERO).unwrap();
    let fired = sim.agent::<Clock>(AgentId(1)).unwrap().fired.clone();
    assert_eq!(fired.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [2]);
    assert!(fired[0].1 >= set[1].1);
    let key = TimerKey(2);
    let again = sim.fire_timer(AgentId(1), key);
    assert_eq!(again, Err(ControlError::NoTimer { agent: AgentId(1), key }));
    sim.run_for(60 * SECOND).unwrap();
    let fired = &sim.agent::<Clock>(AgentId(1)).unwrap().fired;
    assert_eq!(fired.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [2, 1]);
    sim.run_for(SECOND).unwrap();
    sim.crash_node(NodeId(1));
    let gone = sim.fire_timer(AgentId(1), TimerKey(1));
    assert!(matches!(gone, Err(ControlError::NoTimer { .. })));
}

#[test]
fn nobody_runs_on_a_node_that_stands_still() {
    let mut sim = clock();
    sim.pause_node(NodeId(1), 30 * SECOND);
    let fired = sim.fire_timer(AgentId(1), TimerKey(1));
    assert_eq!(fired, Err(ControlError::CannotRun(AgentId(1))));
    sim.run_for(40 * SECOND).unwrap();
    assert_eq!(sim.agent::<Clock>(AgentId(1)).unwrap().fired.len(), 2);
}

#[test]
fn time_is_moved_on_from_one_thing_to_the_next() {
    let mut sim = clock();
    let due = sim.next_at().unwrap();
    assert!(due.0 > 10_000_000_000);
    assert_eq!(sim.advance().unwrap(), Some(due));
    let mut last = due;
    while let Some(now) = sim.advance().unwrap() {
        assert!(now > last);
        last = now;
    }
    assert_eq!(sim.agent::<Clock>(AgentId(1)).unwrap().fired.len(), 2);
    assert_eq!(sim.next_at(), None);
}

#[test]
fn all_that_is_pending_can_be_read() {
    let sim = held();
    let pending = sim.pending();
    let held = pending.iter().filter(|it| it.at.is_none()).count();
    assert_eq!(held, 6);
    let first = pending[0].to_string();
    assert!(first.starts_with("held message "), "{first}");
    assert!(first.contains("from a1 on n1 to a3 on n3, normal"), "{first}");

    let mut sim = clock();
    sim.crash_node_at(NodeId(1), dx_sim::CrashPoint::BeforeHandler);
    let pending = sim.pending();
    let things: Vec<Thing> = pending.iter().map(|it| it.what).collect();
    let timer = |key| Thing::Timer(AgentId(1), TimerKey(key));
    assert_eq!(things, [Thing::Crash(NodeId(1)), timer(1), timer(2)]);
    assert!(pending.is_sorted_by_key(|it| it.at));
    let lines: Vec<String> = pending.iter().map(ToString::to_string).collect();
    assert!(lines[1].ends_with("timer 1 of a1"), "{lines:?}");
}

#[test]
fn what_is_healed_neither_stands_still_nor_is_clogged() {
    const HOUR: Duration = Duration::from_hours(1);
    let mut sim = world(SimConfig::seeded(1), diaries(&[1, 2, 3]));
    sim.run_for(SECOND).unwrap();
    for id in [1, 2] {
        sim.clog(NodeId(id), NodeId(3), HOUR);
        let port = sim.port_on(NodeId(id));
        sim.send(port, AgentId(id.into()), Word::Flood(AgentId(3), 3)).unwrap();
    }
    sim.run_for(SECOND).unwrap();
    sim.pause_node(NodeId(3), HOUR);
    sim.suspend_node(NodeId(2), HOUR);
    sim.run_for(SECOND).unwrap();
    assert!(heard(&sim).is_empty());
    sim.heal();
    sim.run_until("everything is heard", 10 * SECOND, |sim| heard(sim).len() == 6).unwrap();
}
