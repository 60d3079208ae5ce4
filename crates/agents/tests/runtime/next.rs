//! What an agent tells another one of its thread may be heard next, past the mailbox. Nobody is to
//! notice.

use std::time::Duration;

use dx_agents::{Down, Restart};

use crate::actors::{Counter, Gate, Hears, Number, agent, down, number, runtime, teller};

#[test]
fn what_is_said_in_one_turn_is_heard_in_its_order() {
    const COUNT: u64 = 1000;
    let (runtime, gate) = (runtime(1), Gate::default());
    let port = runtime.port();
    let sink = runtime.spawn(&teller(port.id()));
    let at = gate.clone();
    let relay = runtime.spawn(&agent(move |hears, cx| {
        if let Hears::Message(_, number) = hears {
            at.pass();
            cx.send(sink, Number(number));
        }
    }));
    // All of it waits when the first of many turns begins.
    (0..COUNT).for_each(|n| port.send(relay, Number(n)).unwrap());
    gate.open();
    for n in 0..COUNT {
        assert_eq!(number(&port), n);
    }
}

#[test]
fn who_is_told_first_has_the_first_turn() {
    let runtime = runtime(1);
    let port = runtime.port();
    let [first, second] = [0; 2].map(|_| runtime.spawn(&teller(port.id())));
    let teller = runtime.spawn(&agent(move |hears, cx| {
        if let Hears::Message(_, number) = hears {
            cx.send(first, Number(number));
            cx.send(second, Number(number + 1));
        }
    }));
    for n in 0..100 {
        port.send(teller, Number(2 * n)).unwrap();
        assert_eq!([number(&port), number(&port)], [2 * n, 2 * n + 1]);
    }
}

#[test]
fn what_an_agent_of_its_thread_says_to_a_failed_one_waits_for_its_next_life() {
    let (runtime, lives) = (runtime(1), Counter::default());
    let port = runtime.port();
    let (to, of) = (port.id(), lives.clone());
    let backoff = Duration::from_millis(100);
    let fails = agent(move |hears, cx| match hears {
        Hears::Start => drop(of.count()),
        Hears::Message(_, 0) => panic!("as it is told"),
        Hears::Message(..) => cx.send(to, Number(of.now())),
        _ => {}
    });
    let policy = Restart::OnFailure { max: 1, within: Duration::from_hours(1), backoff };
    let fails = runtime.spawn(&fails.restart(policy));
    let relay = runtime.spawn(&teller(fails));
    port.monitor(fails);
    port.send(relay, Number(0)).unwrap();
    assert_eq!(down(&port), (fails, Down::Restarted));
    port.send(relay, Number(1)).unwrap();
    assert_eq!(number(&port), 2);
}
