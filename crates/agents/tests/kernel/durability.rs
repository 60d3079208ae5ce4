//! What a step persisted is durable before anything of it leaves, and what follows waits behind it.

use std::time::Duration;

use dx_agents::cell::{MAX_HELD, Step};
use dx_agents::effect::Effect;
use dx_agents::event::Event;
use dx_agents::{AgentId, Spawn, TimerKey};
use proptest::prelude::*;

use crate::desk::{Desk, Obeys, PEER, nothing, told, words};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_leaves_waits_for_the_journal_and_what_stays_does_not() {
    let mut desk = Desk::new();
    let effects = desk.run(|cx| {
        cx.send(PEER, nothing());
        cx.set_timer(TimerKey(1), SECOND);
        cx.offload(1_u8);
        cx.persist("record");
        let child = cx.spawn(Spawn::new("child", Obeys::default));
        cx.monitor(child);
        cx.ask(PEER, nothing(), SECOND);
        cx.note("depth", 1);
    });
    assert_eq!(words(&effects), ["timer 1 1", "job 1", "persist", "deadline 2", "note depth 1"]);
    let effects = desk.run(|cx| cx.send(AgentId(3), nothing()));
    assert_eq!(words(&effects), [""; 0]);
    let (step, effects) = desk.event(Event::Durable { entries: 1 });
    assert!(matches!(step, Step::Stale));
    let spawned = effects.iter().find_map(|effect| match effect {
        Effect::Spawn { id, .. } => Some(*id),
        _ => None,
    });
    let child = spawned.expect("the child is spawned now");
    let monitor = format!("monitor {child}");
    assert_eq!(words(&effects), ["send a2", "spawn", &monitor, "ask a2 2", "send a3"]);
    assert!(!desk.cell.is_behind());
    assert_eq!(words(&desk.run(|cx| cx.send(PEER, nothing()))), ["send a2"]);
}

#[test]
fn what_is_sent_ahead_waits_for_no_journal() {
    let mut desk = Desk::new();
    let effects = desk.run(|cx| {
        cx.send(PEER, nothing());
        cx.send_ahead(AgentId(3), nothing());
        cx.persist("record");
    });
    assert_eq!(words(&effects), ["persist", "send a3"]);
    let effects = desk.run(|cx| cx.send_ahead(AgentId(4), nothing()));
    assert_eq!(words(&effects), ["send a4"]);
    let (_, effects) = desk.event(Event::Durable { entries: 1 });
    assert_eq!(words(&effects), ["send a2"]);
}

#[test]
fn a_step_that_panics_persists_nothing_and_holds_nothing_back() {
    let mut desk = Desk::new();
    let (_, effects) = desk.event(told(|cx| {
        cx.send_ahead(PEER, nothing());
        cx.persist("record");
        panic!("as it is told");
    }));
    assert!(effects.is_empty());
    assert_eq!(words(&desk.run(|cx| cx.send(PEER, nothing()))), ["send a2"]);
}

#[test]
fn what_completed_steps_had_sent_leaves_even_after_a_restart() {
    let mut desk = Desk::new();
    desk.run(|cx| {
        cx.persist("record");
        cx.send(PEER, nothing());
    });
    assert_eq!(words(&desk.restart()), [""; 0]);
    assert_eq!(words(&desk.run(|cx| cx.send(AgentId(3), nothing()))), [""; 0]);
    let (_, effects) = desk.event(Event::Durable { entries: 1 });
    assert_eq!(words(&effects), ["send a2", "send a3"]);
}

#[test]
fn an_agent_that_holds_too_much_takes_no_step_until_the_journal_has_caught_up() {
    let mut desk = Desk::new();
    desk.run(|cx| {
        cx.persist("record");
        (1..MAX_HELD).for_each(|_| cx.send(PEER, nothing()));
    });
    assert!(!desk.cell.is_blocked());
    desk.run(|cx| cx.send(PEER, nothing()));
    assert!(desk.cell.is_blocked());
    let (_, effects) = desk.event(Event::Durable { entries: 1 });
    assert_eq!(effects.len(), MAX_HELD);
    assert!(!desk.cell.is_blocked());
}

#[derive(Clone, Debug)]
enum Op {
    /// A step: for each entry whether it persists or sends.
    Step(Vec<bool>),
    /// The journal has caught up by so many entries.
    Durable(u64),
}

proptest! {
    /// Against a model: each send, numbered, with the count of entries that must precede it.
    #[test]
    fn sends_leave_in_order_and_never_before_what_was_persisted(ops in prop::collection::vec(
        prop_oneof![
            2 => prop::collection::vec(prop::bool::weighted(0.3), 0..5).prop_map(Op::Step),
            1 => (0_u64..4).prop_map(Op::Durable),
        ],
        1..60,
    )) {
        let mut desk = Desk::new();
        let (mut persisted, mut durable, mut sent) = (0, 0, 0);
        let mut waiting: Vec<(u64, u64)> = Vec::new();
        for op in ops {
            let effects = match op {
                Op::Step(entries) => {
                    let first = sent;
                    let is_send = entries.iter().filter(|is_entry| !**is_entry).count() as u64;
                    persisted += entries.len() as u64 - is_send;
                    waiting.extend((sent..sent + is_send).map(|number| (persisted, number)));
                    sent += is_send;
                    desk.run(move |cx| {
                        let mut number = first;
                        for is_entry in entries {
                            if is_entry {
                                cx.persist("record");
                            } else {
                                cx.send(AgentId(number), nothing());
                                number += 1;
                            }
                        }
                    })
                }
                Op::Durable(more) => {
                    durable = persisted.min(durable + more);
                    desk.event(Event::Durable { entries: durable }).1
                }
            };
            let left: Vec<u64> = effects.iter().filter_map(|effect| match effect {
                Effect::Send { to, .. } => Some(to.0),
                _ => None,
            }).collect();
            let may_leave = waiting.iter().take_while(|(needs, _)| *needs <= durable).count();
            let expected: Vec<u64> = waiting.drain(..may_leave).map(|(_, number)| number).collect();
            prop_assert_eq!(left, expected);
            prop_assert_eq!(desk.cell.is_behind(), durable < persisted);
        }
    }
}
