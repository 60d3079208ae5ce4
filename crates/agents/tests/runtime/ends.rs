//! The end of a runtime: asked for, waited for, or at once.

use std::time::Duration;

use dx_agents::{AskError, Context, Down, Placement, Restart};

use crate::actors::{
    Counter, Gate, Hears, LONG, Number, agent, down, number, reluctant, runtime, until,
};

const ALWAYS: Restart = Restart::Always { backoff: Duration::ZERO };
const OWN: Placement = Placement::Thread { pin: None };

#[test]
fn everybody_is_asked_to_stop_and_waited_for() {
    let runtime = runtime(2);
    let asked = Counter::default();
    for placement in [Placement::Pool, OWN] {
        for _ in 0..3 {
            let count = asked.clone();
            let script = move |hears, _: &mut Context| {
                if let Hears::Stopping = hears {
                    count.count();
                }
            };
            runtime.spawn(&agent(script).placement(placement));
        }
    }
    assert_eq!(runtime.stop(LONG), []);
    assert_eq!(asked.now(), 6);
}

#[test]
fn an_agent_that_needs_time_is_given_it() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    runtime.spawn(&reluctant(move |hears, cx| match hears {
        Hears::Stopping => cx.send(cx.me(), Number(3)),
        Hears::Message(_, 0) => {
            cx.send(to, Number(1));
            cx.stop();
        }
        Hears::Message(_, left) => cx.send(cx.me(), Number(left - 1)),
        _ => {}
    }));
    assert_eq!(runtime.stop(LONG), []);
    assert_eq!(number(&port), 1);
}

#[test]
fn an_agent_that_does_not_stop_is_stopped_at_the_deadline_and_named() {
    for placement in [Placement::Pool, OWN] {
        let runtime = runtime(2);
        let port = runtime.port();
        let id = runtime.spawn(&reluctant(|_, _| {}).placement(placement));
        let other = runtime.spawn(&agent(|_, _| {}));
        port.monitor(id);
        port.monitor(other);
        assert!(runtime.stop(Duration::from_millis(1)).contains(&id), "{placement:?}");
        let ends = [down(&port), down(&port)];
        assert!(ends.contains(&(id, Down::Stopped)) && ends.contains(&(other, Down::Stopped)));
    }
}

/// A new one would not know that it is to stop.
#[test]
fn an_agent_that_panics_while_its_node_stops_is_not_made_anew() {
    let runtime = runtime(1);
    let port = runtime.port();
    let id = runtime.spawn(
        &agent(|hears, _| assert!(!matches!(hears, Hears::Stopping), "as it is told"))
            .restart(ALWAYS),
    );
    port.monitor(id);
    assert_eq!(runtime.stop(LONG), []);
    assert_eq!(down(&port), (id, Down::Panicked));
}

#[test]
fn an_agent_that_waits_for_its_restart_stops_with_its_node() {
    let runtime = runtime(1);
    let port = runtime.port();
    let day = Duration::from_hours(24);
    let policy = Restart::Always { backoff: day };
    let id = runtime.spawn(&agent(|_, _| panic!("as it is told")).restart(policy));
    port.monitor(id);
    // Before the watch or after it: what it hears in the end is the same.
    until(|| runtime.status().agents[0].steps == 1);
    assert_eq!(runtime.stop(LONG), []);
    let mut end = down(&port);
    if end == (id, Down::Restarted) {
        end = down(&port);
    }
    assert_eq!(end, (id, Down::Stopped));
}

#[test]
fn an_agent_that_stops_in_stopping_ends_once() {
    let runtime = runtime(1);
    let port = runtime.port();
    let id = runtime.spawn(&agent(|hears, cx| {
        if let Hears::Stopping = hears {
            cx.stop();
        }
    }));
    port.monitor(id);
    assert_eq!(runtime.stop(LONG), []);
    assert_eq!(down(&port), (id, Down::Stopped));
    assert!(port.try_recv().is_none());
}

#[test]
fn an_agent_that_is_started_while_the_node_stops_is_told_too() {
    for placement in [Placement::Pool, OWN] {
        let runtime = runtime(1);
        let asked = Counter::default();
        let count = asked.clone();
        let child = move |hears, _: &mut Context| {
            if let Hears::Stopping = hears {
                count.count();
            }
        };
        runtime.spawn(&agent(move |hears, cx| {
            if let Hears::Stopping = hears {
                cx.spawn(agent(child.clone()).placement(placement));
            }
        }));
        assert_eq!(runtime.stop(LONG), [], "{placement:?}");
        assert_eq!(asked.now(), 1, "{placement:?}");
    }
}

#[test]
fn a_dropped_runtime_stops_everybody_at_once() {
    let runtime = runtime(2);
    let port = runtime.port();
    let ids = [Placement::Pool, OWN]
        .map(|placement| runtime.spawn(&reluctant(|_, _| {}).placement(placement)));
    for id in ids {
        port.monitor(id);
    }
    drop(runtime);
    let mut ends = [down(&port), down(&port)];
    ends.sort_by_key(|(id, _)| *id);
    assert_eq!(ends, ids.map(|id| (id, Down::Stopped)));
}

/// The deadlines of ports are kept by a worker, which ends with the runtime.
#[test]
fn a_question_of_a_port_ends_with_the_runtime() {
    let (runtime, gate) = (runtime(1), Gate::default());
    let port = runtime.port();
    let at = gate.clone();
    let id = runtime.spawn(&agent(move |hears, _| {
        if let Hears::Message(..) = hears {
            at.pass();
        }
    }));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| port.ask_blocking(id, Number(0), Duration::MAX));
        gate.await_waiting(1);
        drop(runtime);
        gate.open();
        let answer = asking.join().unwrap();
        assert!(matches!(answer, Err(AskError::Down(Down::Stopped))), "{answer:?}");
    });
    assert!(port.ask_blocking(id, Number(0), Duration::MAX).is_err());
}

/// The agents of the pool have ended, one on its own thread is asked a question.
#[test]
fn deadlines_of_ports_are_kept_while_the_node_stops() {
    let runtime = runtime(2);
    let port = runtime.port();
    let to = port.id();
    let id = runtime.spawn(
        &reluctant(move |hears, cx| match hears {
            Hears::Stopping => cx.send(to, Number(1)),
            Hears::Message(_, 2) => cx.stop(),
            _ => {}
        })
        .placement(OWN),
    );
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| runtime.stop(LONG));
        assert_eq!(number(&port), 1);
        let answer = port.ask_blocking(id, Number(0), Duration::from_millis(1));
        assert!(matches!(answer, Err(AskError::Timeout)), "{answer:?}");
        port.send(id, Number(2)).unwrap();
        assert_eq!(stopping.join().unwrap(), []);
    });
}
