//! Who watches hears of every end, once.

use std::time::Duration;

use dx_agents::{AgentId, Down, RefusedBecause, Restart};

use crate::actors::{Hears, Number, agent, down, number, runtime, teller, until};

const STOPS: u64 = 1;
const PANICS: u64 = 2;

#[expect(clippy::needless_pass_by_value, reason = "scripts own what they hear")]
fn ends(hears: Hears, cx: &mut dx_agents::Context) {
    match hears {
        Hears::Message(_, STOPS) => cx.stop(),
        Hears::Message(_, PANICS) => panic!("as it is told"),
        _ => {}
    }
}

#[test]
fn a_monitor_tells_how_an_agent_ended() {
    let runtime = runtime(2);
    let port = runtime.port();
    let restart = Restart::Always { backoff: Duration::ZERO };
    for (order, spawn, why) in [
        (STOPS, agent(ends), Down::Stopped),
        (PANICS, agent(ends), Down::Panicked),
        (STOPS, agent(ends).restart(restart), Down::Restarted),
        (PANICS, agent(ends).restart(restart), Down::Restarted),
    ] {
        let id = runtime.spawn(&spawn);
        port.monitor(id);
        port.send(id, Number(order)).unwrap();
        assert_eq!(down(&port), (id, why));
    }
    port.monitor(AgentId(99));
    assert_eq!(down(&port), (AgentId(99), Down::Unknown));
}

#[test]
fn a_monitor_lasts_over_restarts_and_tells_of_each_end_once() {
    let runtime = runtime(1);
    let port = runtime.port();
    let policy =
        Restart::OnFailure { max: 3, within: Duration::from_hours(24), backoff: Duration::ZERO };
    let id = runtime.spawn(&agent(ends).restart(policy));
    (0..3).for_each(|_| port.monitor(id));
    for restarts in 1..=3 {
        port.send(id, Number(PANICS)).unwrap();
        assert_eq!(down(&port), (id, Down::Restarted));
        until(|| runtime.status().agents[0].restarts == restarts);
    }
    port.send(id, Number(PANICS)).unwrap();
    assert_eq!(down(&port), (id, Down::Panicked));
    let echo = runtime.spawn(&teller(port.id()));
    port.send(echo, Number(5)).unwrap();
    assert_eq!(number(&port), 5, "and nothing before it");
}

/// C watches B, B watches A and ends with it.
#[test]
fn the_watcher_of_a_watcher_hears_in_its_turn() {
    let runtime = runtime(2);
    let port = runtime.port();
    let a = runtime.spawn(&agent(ends));
    let b = runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Start => cx.monitor(a),
        Hears::Down(_, why) => panic!("{why}"),
        _ => {}
    }));
    port.monitor(b);
    port.send(a, Number(STOPS)).unwrap();
    assert_eq!(down(&port), (b, Down::Panicked));
}

#[test]
fn whoever_wants_to_hear_no_longer_hears_nothing() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    let a = runtime.spawn(&agent(ends));
    let b = runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Start => {
            cx.monitor(a);
            cx.demonitor(a);
        }
        Hears::Down(..) => cx.send(to, Number(99)),
        Hears::Message(_, number) => cx.send(to, Number(number)),
        _ => {}
    }));
    port.send(b, Number(1)).unwrap();
    assert_eq!(number(&port), 1);
    port.monitor(a);
    port.send(a, Number(STOPS)).unwrap();
    assert_eq!(down(&port), (a, Down::Stopped));
    port.send(b, Number(2)).unwrap();
    assert_eq!(number(&port), 2);
}

/// Only what the new life asks for itself is told.
#[test]
fn a_restarted_agent_watches_nobody() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    let a = runtime.spawn(&agent(ends));
    let b = runtime.spawn(
        &agent(move |hears, cx| match hears {
            Hears::Message(_, 0) => cx.monitor(a),
            Hears::Message(_, PANICS) => panic!("as it is told"),
            Hears::Message(_, number) => cx.send(to, Number(number)),
            Hears::Down(..) => cx.send(to, Number(99)),
            _ => {}
        })
        .restart(Restart::Always { backoff: Duration::ZERO }),
    );
    port.send(b, Number(0)).unwrap();
    port.send(b, Number(PANICS)).unwrap();
    until(|| runtime.status().agents[1].restarts == 1);
    port.monitor(a);
    port.send(a, Number(STOPS)).unwrap();
    assert_eq!(down(&port), (a, Down::Stopped));
    port.send(b, Number(1)).unwrap();
    assert_eq!(number(&port), 1);
}

#[test]
fn a_child_can_be_watched_in_the_step_that_spawns_it() {
    let runtime = runtime(2);
    let port = runtime.port();
    let to = port.id();
    runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Start => {
            let child = cx.spawn(agent(ends));
            cx.monitor(child);
            cx.send(child, Number(STOPS));
        }
        Hears::Down(_, why) => cx.send(to, Number(u64::from(why == Down::Stopped))),
        _ => {}
    }));
    assert_eq!(number(&port), 1);
}

#[test]
fn a_dropped_port_is_an_agent_that_stopped() {
    let runtime = runtime(1);
    let (port, other) = (runtime.port(), runtime.port());
    let (to, gone) = (port.id(), other.id());
    let id = runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Start => cx.monitor(gone),
        Hears::Message(_, number) => cx.send(gone, Number(number)),
        Hears::Refused(refusal) => {
            cx.send(to, Number(u64::from(refusal.why == RefusedBecause::Unknown)));
        }
        Hears::Down(_, why) => cx.send(to, Number(100 + u64::from(why == Down::Stopped))),
        _ => {}
    }));
    // Its worker knows the way now.
    port.send(id, Number(7)).unwrap();
    assert_eq!(number(&other), 7);
    drop(other);
    assert_eq!(number(&port), 101);
    port.send(id, Number(8)).unwrap();
    assert_eq!(number(&port), 1);
}
