//! A step is atomic.

use std::time::Duration;

use dx_agents::cell::{Cell, Step};
use dx_agents::event::{Event, Recovered};
use dx_agents::{Agent, AgentId, AskError, AskId, Context, JobId, Outcome, Spawn, TimerKey};

use crate::desk::{Desk, Do, Obeys, PEER, nothing, told, words};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_step_that_panics_leaves_no_effect() {
    let mut desk = Desk::new();
    let (step, effects) = desk.event(told(|cx| {
        cx.send(PEER, nothing());
        cx.ask(PEER, nothing(), SECOND);
        cx.set_timer(TimerKey(1), SECOND);
        cx.persist("record");
        cx.offload(1_u8);
        cx.spawn(Spawn::new("child", Obeys::default));
        cx.monitor(PEER);
        cx.note("name", 1);
        cx.stop();
        panic!("as it is told");
    }));
    assert!(matches!(step, Step::Panicked(text) if text == "as it is told"));
    assert_eq!(words(&effects), [""; 0]);
    assert!(!desk.cell.has_timer(TimerKey(1), 1) && !desk.cell.is_behind());
    assert_eq!(words(&desk.run(|cx| cx.send(PEER, nothing()))), ["send a2"]);
}

/// The timers and questions of earlier steps are no business of the one that panics.
#[test]
fn a_step_that_panics_takes_nothing_of_earlier_ones() {
    let mut desk = Desk::new();
    desk.run(|cx| {
        cx.set_timer(TimerKey(1), SECOND);
        cx.ask(PEER, nothing(), SECOND);
    });
    let panics = |cx: &mut Context| {
        cx.cancel(TimerKey(1));
        panic!("as it is told");
    };
    assert!(matches!(desk.event(told(panics)).0, Step::Panicked(_)));
    assert!(desk.cell.has_timer(TimerKey(1), 1));
    assert!(matches!(desk.event(Event::Timer { key: TimerKey(1), generation: 1 }).0, Step::Ran));
}

#[test]
fn effects_are_in_the_order_in_which_they_were_asked_for() {
    let mut desk = Desk::new();
    let effects = desk.run(|cx| {
        cx.send(PEER, nothing());
        cx.monitor(PEER);
        cx.set_timer(TimerKey(4), SECOND);
        cx.ask(PEER, nothing(), SECOND);
        cx.demonitor(PEER);
        cx.note("depth", 5);
        cx.stop();
        cx.send(PEER, nothing());
    });
    let expected = [
        "send a2",
        "monitor a2",
        "timer 4 1",
        "deadline 1",
        "ask a2 1",
        "demonitor a2",
        "note depth 5",
        "stop",
        "send a2",
    ];
    assert_eq!(words(&effects), expected);
}

#[test]
fn a_restart_forgets_timers_questions_and_jobs() {
    let mut desk = Desk::new();
    desk.run(|cx| {
        cx.set_timer(TimerKey(1), SECOND);
        let ask = cx.ask(PEER, nothing(), SECOND);
        let job = cx.offload(1_u8);
        assert_eq!((ask.0.get(), job.0), (1, 2));
    });
    assert_eq!(words(&desk.restart()), ["no timer 1 1", "no deadline 1"]);
    let ask = AskId(std::num::NonZeroU64::MIN);
    for old in [
        Event::Timer { key: TimerKey(1), generation: 1 },
        Event::Deadline(ask),
        Event::Reply(ask, Err(AskError::Timeout)),
        Event::Done(JobId(2), Outcome::Failed),
    ] {
        assert!(matches!(desk.event(old).0, Step::Stale));
    }
    // Nor is what the new life asks for taken for it.
    desk.run(|cx| {
        cx.set_timer(TimerKey(1), SECOND);
        assert_eq!(cx.ask(PEER, nothing(), SECOND).0.get(), 3);
        assert_eq!(cx.restarts(), 1);
    });
    assert!(matches!(desk.event(Event::Timer { key: TimerKey(1), generation: 1 }).0, Step::Stale));
    assert_eq!(desk.heard(), [""; 0]);
}

/// Asks for nothing.
struct Ignores;

impl Agent for Ignores {
    type Message = Do;

    fn message(&mut self, _: AgentId, _: Do, _: &mut Context) {}
}

#[test]
fn what_the_journal_holds_is_given_to_its_agent_and_to_nobody_else() {
    let mut desk = Desk::new();
    let recovered =
        Recovered { snapshot: Some("snapshot".into()), records: vec!["a".into(), "b".into()] };
    desk.event(Event::Start(Box::new(recovered.clone())));
    assert_eq!(desk.heard(), ["start true 2"]);
    // An agent that does not ask for it: another one of the same driver must not get it.
    let mut other = Cell::new(PEER, Box::new(Ignores));
    other.step(Event::Start(Box::new(recovered)), &mut desk.cx);
    desk.run(|cx| assert!(cx.recovered().is_empty()));
}
