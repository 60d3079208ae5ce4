//! Panics, restarts, and what a new life knows of the old one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Down, Restart, Spawn, TimerKey};

use crate::actors::{
    Counter, Hears, Number, agent, dead, down, number, numbers, runtime, teller, until,
};

const DAY: Duration = Duration::from_hours(24);
const ALWAYS: Restart = Restart::Always { backoff: Duration::ZERO };

#[test]
fn an_agent_that_panics_stays_down_unless_told_otherwise() {
    let runtime = runtime(1);
    let port = runtime.port();
    let id = runtime.spawn(&agent(|hears, _| {
        assert!(!matches!(hears, Hears::Message(..)), "as it is told");
    }));
    port.monitor(id);
    port.send(id, Number(1)).unwrap();
    assert_eq!(down(&port), (id, Down::Panicked));
    assert!(runtime.status().agents.is_empty());
}

#[test]
fn an_agent_starts_anew_until_it_fails_too_often() {
    let runtime = runtime(1);
    let port = runtime.port();
    let policy = Restart::OnFailure { max: 2, within: DAY, backoff: Duration::ZERO };
    let id = runtime.spawn(
        &agent(|hears, _| assert!(!matches!(hears, Hears::Message(..)), "as it is told"))
            .restart(policy),
    );
    port.monitor(id);
    for restarts in 1..=2 {
        port.send(id, Number(1)).unwrap();
        assert_eq!(down(&port), (id, Down::Restarted));
        until(|| runtime.status().agents[0].restarts == restarts);
    }
    port.send(id, Number(1)).unwrap();
    assert_eq!(down(&port), (id, Down::Panicked));
}

#[test]
fn an_agent_that_stops_by_itself_starts_anew_only_under_always() {
    for (policy, why) in [
        (Restart::Never, Down::Stopped),
        (Restart::OnFailure { max: 9, within: DAY, backoff: Duration::ZERO }, Down::Stopped),
        (ALWAYS, Down::Restarted),
    ] {
        let runtime = runtime(1);
        let port = runtime.port();
        let stops = |hears, cx: &mut Context| {
            if let Hears::Message(..) = hears {
                cx.stop();
            }
        };
        let id = runtime.spawn(&agent(stops).restart(policy));
        port.monitor(id);
        port.send(id, Number(1)).unwrap();
        assert_eq!(down(&port), (id, why), "{policy:?}");
    }
}

/// The wait doubles with each failure. Only that it is not shorter can be said for sure.
#[test]
fn a_restart_waits_for_its_backoff() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    let backoff = Duration::from_millis(10);
    let policy = Restart::OnFailure { max: 3, within: DAY, backoff };
    runtime.spawn(
        &agent(move |hears, cx| match hears {
            Hears::Start => {
                let now = cx.now().0;
                cx.send(to, Number(now));
                cx.send(cx.me(), Number(0));
            }
            _ => panic!("as it is told"),
        })
        .restart(policy),
    );
    let starts = numbers(&port, 4);
    for (failures, pair) in starts.windows(2).enumerate() {
        let waited = Duration::from_nanos(pair[1] - pair[0]);
        assert!(waited >= backoff * (1 << failures), "{failures}: {waited:?}");
    }
}

#[test]
fn a_step_that_panics_leaves_no_effect() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    let born = Counter::default();
    let count = born.clone();
    let id = runtime.spawn(
        &agent(move |hears, cx| match hears {
            Hears::Message(_, 1) => {
                let count = count.clone();
                cx.send(to, Number(1));
                cx.set_timer(TimerKey(1), Duration::ZERO);
                cx.monitor(to);
                cx.spawn(Spawn::new("never", move || {
                    count.count();
                    unreachable!("its parent panicked before it returned") as NeverBorn
                }));
                cx.ask(to, Number(1), DAY);
                cx.stop();
                panic!("as it is told");
            }
            Hears::Message(_, number) => cx.send(to, Number(number)),
            Hears::Timer(_) | Hears::Reply(..) | Hears::Down(..) => cx.send(to, Number(99)),
            _ => {}
        })
        .restart(ALWAYS),
    );
    port.send(id, Number(1)).unwrap();
    until(|| runtime.status().agents[0].restarts == 1);
    port.send(id, Number(2)).unwrap();
    assert_eq!(number(&port), 2);
    assert_eq!(born.now(), 0);
}

struct NeverBorn;

impl Agent for NeverBorn {
    type Message = Number;

    fn message(&mut self, _: AgentId, _: Number, _: &mut Context) {}
}

/// The old life's timer would come first.
#[test]
fn a_new_life_hears_no_timer_of_the_old_one() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    let lives = Counter::default();
    let id = runtime.spawn(
        &agent(move |hears, cx| match hears {
            Hears::Start if lives.count() == 0 => {
                (1..100).for_each(|key| cx.set_timer(TimerKey(key), Duration::from_millis(5)));
            }
            Hears::Start => cx.set_timer(TimerKey(100), Duration::from_millis(10)),
            Hears::Timer(key) => cx.send(to, Number(key.0)),
            Hears::Message(..) => panic!("as it is told"),
            _ => {}
        })
        .restart(ALWAYS),
    );
    // It panics before its timers are due or after: if after, they are told of in the first life.
    port.send(id, Number(0)).unwrap();
    let mut first = number(&port);
    while first != 100 {
        assert_eq!(runtime.status().agents[0].restarts, 0, "timer {first} of the old life");
        first = number(&port);
    }
}

#[test]
fn a_restart_discards_what_waits() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    let gate = crate::actors::Gate::default();
    let at = gate.clone();
    let id = runtime.spawn(
        &agent(move |hears, cx| match hears {
            Hears::Message(_, 0) => {
                at.pass();
                panic!("as it is told");
            }
            Hears::Message(_, number) => cx.send(to, Number(number)),
            _ => {}
        })
        .restart(ALWAYS),
    );
    port.monitor(id);
    (0..10).for_each(|number| port.send(id, Number(number)).unwrap());
    gate.await_waiting(1);
    (10..20).for_each(|number| port.send(id, Number(number)).unwrap());
    gate.open();
    assert_eq!(down(&port), (id, Down::Restarted));
    port.send(id, Number(20)).unwrap();
    assert_eq!(number(&port), 20);
    assert_eq!(dead(&runtime, "restarted"), 19);
}

#[test]
fn an_agent_that_stops_twice_in_a_step_ends_once() {
    let runtime = runtime(1);
    let port = runtime.port();
    let twice = |hears, cx: &mut Context| {
        if let Hears::Message(..) = hears {
            cx.stop();
            cx.stop();
        }
    };
    let id = runtime.spawn(&agent(twice));
    port.monitor(id);
    port.send(id, Number(0)).unwrap();
    assert_eq!(down(&port), (id, Down::Stopped));
    // What comes next is not a second end.
    let echo = runtime.spawn(&teller(port.id()));
    port.send(echo, Number(1)).unwrap();
    assert_eq!(number(&port), 1);
}

#[test]
fn an_agent_that_stops_twice_under_always_starts_anew_once() {
    let runtime = runtime(1);
    let port = runtime.port();
    let (starts, to) = (Counter::default(), port.id());
    let count = starts.clone();
    let id = runtime.spawn(
        &agent(move |hears, cx| match hears {
            Hears::Start => drop(count.count()),
            Hears::Message(_, 0) => {
                cx.stop();
                cx.stop();
            }
            // Whatever else was set to be due by now is before it.
            Hears::Message(..) => cx.set_timer(TimerKey(1), Duration::from_millis(5)),
            Hears::Timer(_) => cx.send(to, Number(starts.now())),
            _ => {}
        })
        .restart(ALWAYS),
    );
    port.monitor(id);
    port.send(id, Number(0)).unwrap();
    assert_eq!(down(&port), (id, Down::Restarted));
    port.send(id, Number(1)).unwrap();
    assert_eq!(number(&port), 2);
}

struct Fails;

impl Agent for Fails {
    type Message = Number;

    fn message(&mut self, _: AgentId, _: Number, _: &mut Context) {
        panic!("as it is told");
    }
}

#[test]
fn a_factory_that_panics_at_a_restart_harms_nobody_else() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    let is_made = Arc::new(AtomicBool::new(false));
    let again = Arc::clone(&is_made);
    let policy = Restart::OnFailure { max: 2, within: DAY, backoff: Duration::ZERO };
    let make = move || {
        assert!(!again.swap(true, Ordering::SeqCst), "it is made once only");
        Fails
    };
    let id = runtime.spawn(&Spawn::new("fails", make).restart(policy));
    let neighbour = runtime.spawn(&teller(to));
    port.monitor(id);
    port.send(id, Number(0)).unwrap();
    assert_eq!(down(&port), (id, Down::Restarted));
    assert_eq!(down(&port), (id, Down::Restarted));
    assert_eq!(down(&port), (id, Down::Panicked));
    port.send(neighbour, Number(1)).unwrap();
    assert_eq!(number(&port), 1);
}

#[test]
fn a_factory_that_panics_at_a_spawn_harms_nobody_else() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    let id = runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Message(..) => {
            let make = || -> NeverBorn { panic!("it cannot be made") };
            let child = cx.spawn(Spawn::new("never", make));
            cx.monitor(child);
        }
        Hears::Down(_, Down::Unknown) => cx.send(to, Number(1)),
        _ => {}
    }));
    port.send(id, Number(0)).unwrap();
    assert_eq!(number(&port), 1);
}
