//! Ports: from any thread, and never a wait for what cannot come.

use std::time::Duration;

use dx_agents::runtime::Heard;
use dx_agents::{AskError, Down, RefusedBecause};

use crate::actors::{Counter, Gate, Hears, LONG, Number, agent, dead, number, runtime, until};

fn doubles(hears: Hears, cx: &mut dx_agents::Context) {
    if let (Hears::Message(_, number), Some(to)) = (hears, cx.asked()) {
        cx.reply(to, Number(2 * number));
    }
}

#[test]
fn questions_from_many_threads_get_their_own_answers() {
    let runtime = runtime(2);
    let port = runtime.port();
    let id = runtime.spawn(&agent(doubles));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let port = &port;
            scope.spawn(move || {
                for n in 0..200 {
                    let number = thread * 1000 + n;
                    let answer = port.ask_blocking(id, Number(number), LONG).unwrap();
                    assert_eq!(answer.open::<Number>().unwrap().0, 2 * number);
                }
            });
        }
    });
    assert_eq!(dead(&runtime, "late-answer"), 0);
}

#[test]
fn a_question_ends_at_its_deadline() {
    let runtime = runtime(1);
    let port = runtime.port();
    let id = runtime.spawn(&agent(|_, _| {}));
    for _ in 0..200 {
        let answer = port.ask_blocking(id, Number(1), Duration::from_micros(50));
        assert!(matches!(answer, Err(AskError::Timeout)), "{answer:?}");
    }
}

#[test]
fn a_question_to_nobody_ends_at_once() {
    let runtime = runtime(1);
    let port = runtime.port();
    let answer = port.ask_blocking(dx_agents::AgentId(99), Number(1), Duration::MAX);
    assert!(matches!(answer, Err(AskError::Refused(RefusedBecause::Unknown))), "{answer:?}");
}

/// Each of several threads that receive gets something, however few messages there are.
#[test]
fn several_threads_can_receive_from_one_port() {
    let runtime = runtime(1);
    let (port, sender) = (runtime.port(), runtime.port());
    let got = Counter::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    assert!(matches!(port.recv_blocking(), Heard::Message(_)));
                    got.count();
                }
            });
        }
        for n in 0..1000 {
            while sender.send(port.id(), Number(n)).is_err() {
                std::thread::yield_now();
            }
        }
    });
    assert_eq!(got.now(), 1000);
}

#[test]
fn a_wait_may_be_as_long_as_one_likes() {
    let runtime = runtime(1);
    let (port, sender) = (runtime.port(), runtime.port());
    sender.send(port.id(), Number(1)).unwrap();
    assert!(matches!(port.recv_within(Duration::MAX), Some(Heard::Message(_))));
    assert!(port.recv_within(Duration::from_millis(1)).is_none());
}

#[test]
fn what_waits_in_a_dropped_port_is_counted_and_answered() {
    let runtime = runtime(1);
    let (port, dropped) = (runtime.port(), runtime.port());
    let (to, gone) = (port.id(), dropped.id());
    runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Start => {
            cx.send(gone, Number(1));
            cx.ask(gone, Number(2), LONG);
            cx.send(to, Number(3));
        }
        Hears::Reply(_, Err(AskError::Down(Down::Stopped))) => cx.send(to, Number(4)),
        _ => {}
    }));
    assert_eq!(number(&port), 3);
    drop(dropped);
    assert_eq!(number(&port), 4);
    assert_eq!(dead(&runtime, "stopped"), 2);
}

#[test]
fn an_answer_after_its_deadline_wakes_nobody() {
    let (runtime, gate) = (runtime(1), Gate::default());
    let port = runtime.port();
    let at = gate.clone();
    let id = runtime.spawn(
        &agent(move |hears, cx| {
            if let (Hears::Message(_, number), Some(to)) = (hears, cx.asked()) {
                if number == 0 {
                    at.pass();
                }
                cx.reply(to, Number(number));
            }
        })
        .placement(dx_agents::Placement::Thread { pin: None }),
    );
    let answer = port.ask_blocking(id, Number(0), Duration::from_millis(1));
    assert!(matches!(answer, Err(AskError::Timeout)), "{answer:?}");
    gate.open();
    let answer = port.ask_blocking(id, Number(1), LONG).unwrap();
    assert_eq!(answer.open::<Number>().unwrap(), Number(1));
    until(|| dead(&runtime, "late-answer") == 1);
}
