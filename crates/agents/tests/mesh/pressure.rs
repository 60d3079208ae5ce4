//! What holds when more comes than somebody takes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use dx_agents::runtime::{Heard, Port};
use dx_agents::{
    Agent, AgentId, Context, MailboxBounds, Placement, Refusal, RefusedBecause, Spawn, WhenFull,
};

use crate::kinds::{Flood, Gate, Say, number, registry_with};
use crate::nodes::{ALL, HANG, heard, pair, pair_with, said, spec};

/// Sends, and waits for room where there is none.
fn send(port: &Port, to: AgentId, say: &Say) {
    loop {
        match port.send(to, say.clone()) {
            Ok(()) => return,
            Err(RefusedBecause::Full) => assert!(matches!(heard(port), Heard::Writable(_))),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn messages_of_one_sender_arrive_in_their_order_over_every_transport() {
    for transport in ALL {
        let (one, two) = pair(transport, &[]);
        let (from, to) = (one.runtime().port(), two.runtime().port());
        let id = to.id();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..5000 {
                    send(&from, id, &number(n));
                    if n % 50 == 0 {
                        send(&from, id, &Say::Bulk(n, Bytes::from(vec![1; 20_000])));
                    }
                }
            });
            let (mut normal, mut bulk) = (0, 0);
            while normal < 5000 || bulk < 5000 {
                match said(&to).1 {
                    Say::Number(n, _) => {
                        assert_eq!(n, normal, "{transport}");
                        normal += 1;
                    }
                    Say::Bulk(n, _) => {
                        assert_eq!(n, bulk, "{transport}");
                        bulk += 50;
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        assert!(one.status().agents.dead_letters.keys().all(|reason| reason == "refused"));
        assert!(two.status().agents.dead_letters.is_empty());
    }
}

/// What one step says: numbers in all lanes by turns, with a message in between that is too long.
struct Speaker {
    to: AgentId,
    port: AgentId,
}

/// As many as may leave or wait before the receiver's node has said how much it takes.
const WORDS: u64 = 300;

impl Agent for Speaker {
    type Message = Say;

    fn message(&mut self, _: AgentId, _: Say, cx: &mut Context) {
        for n in 0..WORDS {
            cx.send(
                self.to,
                match n / 7 % 3 {
                    0 => number(n),
                    1 => Say::Bulk(n, Bytes::from(vec![1; 2_000])),
                    _ => Say::Urgent(n),
                },
            );
            if n % 100 == 50 {
                cx.send(self.to, Say::Number(n, Bytes::from(vec![0; 16 << 20])));
            }
        }
    }

    fn refused(&mut self, refusal: Refusal, cx: &mut Context) {
        assert!(matches!(refusal.why, RefusedBecause::TooLarge { .. }), "{refusal:?}");
        cx.send(self.port, number(refusal.count));
    }
}

#[test]
fn what_one_step_says_arrives_in_its_order_in_each_lane_over_every_transport() {
    for transport in ALL {
        let (one, two) = pair(transport, &[]);
        let (refusals, to) = (one.runtime().port(), two.runtime().port());
        let (to_id, port) = (to.id(), refusals.id());
        let make = move || Speaker { to: to_id, port };
        let speaker = one.runtime().spawn(&Spawn::new("speaker", make));
        refusals.send(speaker, number(0)).unwrap();
        assert_eq!(said(&refusals).1, number(3));
        let mut heard = [const { Vec::new() }; 3];
        for _ in 0..WORDS {
            match said(&to).1 {
                Say::Urgent(n) => heard[0].push(n),
                Say::Number(n, _) => heard[1].push(n),
                Say::Bulk(n, _) => heard[2].push(n),
                other => panic!("{other:?}"),
            }
        }
        for (lane, turn) in [(0, 2), (1, 0), (2, 1)] {
            let said = (0..WORDS).filter(|n| n / 7 % 3 == turn);
            assert!(said.eq(heard[lane].iter().copied()), "{transport}: lane {lane}");
        }
    }
}

#[test]
fn a_stalled_agent_with_a_full_mailbox_delays_no_other_pair() {
    let mut stalled = spec(20, "gate");
    stalled.options.placement = Placement::Thread { pin: None };
    stalled.options.mailbox = MailboxBounds { messages: 100, ..MailboxBounds::DEFAULT };
    let gate = Gate::default();
    let registry = registry_with(&gate);
    let (one, two) = pair_with("tcp", &[stalled, spec(21, "echo")], &registry);
    let (flooder, client) = (one.runtime().port(), one.runtime().port());
    let mut accepted = 0;
    while flooder.send(AgentId(20), number(accepted)).is_ok() {
        accepted += 1;
    }
    for n in 0..1000 {
        let answer = client.ask_blocking(AgentId(21), number(n), HANG).unwrap();
        assert_eq!(answer.open::<Say>().unwrap(), number(n));
    }
    // It is in its first step still, and holds exactly its bound.
    assert_eq!(gate.passed(), 0);
    let status = two.status();
    let stalled = status.agents.agents.iter().find(|agent| agent.id == AgentId(20)).unwrap();
    assert!(stalled.waiting <= 100, "{stalled:?}");
    gate.open();
    assert_eq!(heard_writable(&flooder), AgentId(20));
    send(&flooder, AgentId(20), &Say::Urgent(0));
    gate.wait_for(accepted + 1);
}

fn heard_writable(port: &Port) -> AgentId {
    match heard(port) {
        Heard::Writable(who) => who,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_that_is_too_long_is_refused_with_its_length() {
    let (one, _two) = pair("memory", &[spec(20, "echo")]);
    let port = one.runtime().port();
    let body = Bytes::from(vec![0; 16 << 20]);
    let error = port.send(AgentId(20), Say::Number(1, body)).unwrap_err();
    assert!(matches!(error, RefusedBecause::TooLarge { len: 0x0100_0000, .. }), "{error:?}");
    let longest = Bytes::from(vec![0; dx_agents::message::MAX_MESSAGE - 8]);
    let answer = port.ask_blocking(AgentId(20), Say::Number(1, longest.clone()), HANG).unwrap();
    assert!(answer.open::<Say>().unwrap() == Say::Number(1, longest));
}

#[test]
fn a_flood_stays_within_its_bounds_and_every_message_is_accounted_for() {
    const FLOOD: u64 = 400_000;
    for policy in [WhenFull::DropNewest, WhenFull::DropOldest, WhenFull::Refuse] {
        let mut flood = spec(10, "flood");
        flood.attr = serde_json::json!({ "to": 20, "count": FLOOD });
        flood.options.full = policy;
        let gate = Gate::default();
        let mut sink = spec(20, "gate");
        sink.options.placement = Placement::Thread { pin: None };
        let registry = registry_with(&gate);
        let (one, two) = pair_with("tcp", &[flood, sink], &registry);
        let port = one.runtime().port();
        // It stands still until all was sent, so that there is an overflow.
        port.ask_blocking(AgentId(10), Flood::Ended, HANG).unwrap();
        let status = one.status();
        let outbox = &status.links[0].outboxes[0];
        assert!(outbox.waiting <= dx_agents::mesh::MAX_WAITING, "{outbox:?}");
        assert!(outbox.out <= outbox.share, "{outbox:?}");
        let lost: u64 = status.agents.dead_letters.values().sum();
        let reason = if policy == WhenFull::Refuse { "refused" } else { "outbox-full" };
        assert_eq!(status.agents.dead_letters[reason], lost, "{policy:?}");
        assert!(lost > FLOOD / 2, "{policy:?}: {lost}");
        gate.open();
        gate.wait_for(FLOOD - lost);
        let status = two.status();
        assert!(status.agents.dead_letters.is_empty(), "{status:?}");
        assert_eq!(status.links[0].violations, 0);
    }
}

#[test]
fn an_agent_whose_steps_are_slow_leaves_the_io_thread_and_is_named() {
    let mut slow = spec(20, "sink");
    slow.attr = serde_json::json!({ "step_ms": 50 });
    let gate = Gate::default();
    let registry = registry_with(&gate);
    let (one, two) = pair_with("tcp", &[slow, spec(21, "echo")], &registry);
    let port = one.runtime().port();
    for n in 0..12 {
        port.send(AgentId(20), number(n)).unwrap();
    }
    let seen = Arc::clone(&gate.seen);
    let slow_steps = || {
        let status = two.status().agents;
        status.agents.iter().find(|agent| agent.id == AgentId(20)).unwrap().slow_steps
    };
    // Its third slow step is its last one on the I/O thread.
    while slow_steps() < 3 {
        std::thread::yield_now();
    }
    // From here on a question takes less than one of its steps, or at most one is under way when it
    // is asked: all of them together take less than its backlog.
    let before = seen.load(Ordering::Relaxed);
    for n in 0..200 {
        let answer = port.ask_blocking(AgentId(21), number(n), HANG).unwrap();
        assert_eq!(answer.open::<Say>().unwrap(), number(n));
    }
    let during = seen.load(Ordering::Relaxed) - before;
    assert!(during < 9, "200 questions waited for {during} slow steps");
    while seen.load(Ordering::Relaxed) < 12 {
        std::thread::yield_now();
    }
}
