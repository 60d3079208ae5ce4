//! What is sent arrives in order, or is counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dx_agents::runtime::{Heard, Port, Runtime, RuntimeConfig};
use dx_agents::{Agent, AgentId, Context, MailboxBounds, Message, RefusedBecause, Spawn, WhenFull};
use serde::{Deserialize, Serialize};

use crate::actors::{
    Alien, Gate, Hears, LONG, Number, agent, dead, number, numbers, runtime, teller, until,
};

#[test]
fn messages_of_one_sender_arrive_in_order() {
    const SENDERS: u64 = 6;
    const EACH: u64 = 2000;
    let runtime = runtime(3);
    let port = runtime.port();
    let to = port.id();
    let mut next = BTreeMap::<AgentId, u64>::new();
    let mut count = 0;
    let receiver = runtime.spawn(
        &agent(move |hears, cx| {
            if let Hears::Message(from, number) = hears {
                let next = next.entry(from).or_default();
                assert_eq!(number, *next, "from {from}");
                *next += 1;
                count += 1;
                if count == SENDERS * EACH {
                    cx.send(to, Number(count));
                }
            }
        })
        .mailbox(MailboxBounds { messages: 1 << 20, ..MailboxBounds::default() }),
    );
    for _ in 0..SENDERS {
        runtime.spawn(&agent(move |hears, cx| match hears {
            Hears::Start => cx.send(cx.me(), Number(0)),
            Hears::Message(_, done) if done < EACH => {
                (done..done + 10).for_each(|number| cx.send(receiver, Number(number)));
                cx.send(cx.me(), Number(done + 10));
            }
            _ => {}
        }));
    }
    assert_eq!(number(&port), SENDERS * EACH);
}

/// An agent that waits at `gate` in its first message, with so much room, and tells the port all
/// others. Returns when it waits.
fn busy(runtime: &Runtime, port: &Port, gate: &Gate, bounds: MailboxBounds) -> AgentId {
    let (to, at) = (port.id(), gate.clone());
    let mut is_first = true;
    let id = runtime.spawn(
        &agent(move |hears, cx| {
            if let Hears::Message(_, number) = hears {
                if std::mem::take(&mut is_first) {
                    at.pass();
                } else {
                    cx.send(to, Number(number));
                }
            }
        })
        .mailbox(bounds),
    );
    port.send(id, Number(u64::MAX)).unwrap();
    gate.await_waiting(1);
    id
}

#[test]
fn a_full_mailbox_follows_its_policy_and_the_counts_add_up() {
    let cases = [
        (WhenFull::Refuse, [0, 1, 2, 3], (0, 16), "refused"),
        (WhenFull::DropNewest, [0, 1, 2, 3], (16, 0), "mailbox-full"),
        (WhenFull::DropOldest, [16, 17, 18, 19], (16, 0), "mailbox-full"),
    ];
    for (full, kept, (dropped, refused), reason) in cases {
        for bounds in [
            MailboxBounds { messages: 4, full, ..MailboxBounds::default() },
            MailboxBounds { bytes: 4 * size_of::<Number>(), full, ..MailboxBounds::default() },
        ] {
            let (runtime, gate) = (runtime(1), Gate::default());
            let port = runtime.port();
            let id = busy(&runtime, &port, &gate, bounds);
            let sent = (0..20).map(|number| port.send(id, Number(number)));
            let came_back = sent.filter(|sent| *sent == Err(RefusedBecause::Full)).count();
            let status = &runtime.status().agents[0];
            assert_eq!((status.waiting, status.waiting_bytes), (4, 32), "{bounds:?}");
            assert_eq!((status.dropped, status.refused), (dropped, refused), "{bounds:?}");
            assert_eq!(came_back as u64, refused, "{bounds:?}");
            assert_eq!(dead(&runtime, reason), 16, "{bounds:?}");
            gate.open();
            assert_eq!(numbers(&port, 4), kept, "{bounds:?}");
        }
    }
}

#[test]
fn one_message_is_let_in_however_large() {
    for full in [WhenFull::Refuse, WhenFull::DropNewest, WhenFull::DropOldest] {
        let (runtime, gate) = (runtime(1), Gate::default());
        let port = runtime.port();
        let bounds = MailboxBounds { messages: 4, bytes: 1, full };
        let id = busy(&runtime, &port, &gate, bounds);
        let _ = port.send(id, Number(0));
        let _ = port.send(id, Number(1));
        assert_eq!(runtime.status().agents[0].waiting, 1, "{full:?}");
        gate.open();
        let kept = u64::from(full == WhenFull::DropOldest);
        assert_eq!(number(&port), kept, "{full:?}");
    }
}

#[test]
fn refused_is_heard_before_writable() {
    let (runtime, gate) = (runtime(2), Gate::default());
    let port = runtime.port();
    let bounds = MailboxBounds { messages: 3, ..MailboxBounds::default() };
    let receiver = busy(&runtime, &port, &gate, bounds);
    let to = port.id();
    let open = gate.clone();
    runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Start => (0..10).for_each(|number| cx.send(receiver, Number(number))),
        Hears::Refused(refusal) => {
            assert_eq!((refusal.to, refusal.why), (receiver, RefusedBecause::Full));
            cx.send(to, Number(100 + refusal.count));
            open.open();
        }
        Hears::Writable(who) => cx.send(to, Number(200 + u64::from(who == receiver))),
        _ => {}
    }));
    let mut heard = numbers(&port, 5);
    heard.retain(|number| *number >= 100);
    assert_eq!(heard, [107, 201]);
}

/// There is room again before the sender has come to hear that there was none.
#[test]
fn refused_is_heard_before_writable_even_if_both_wait() {
    let (runtime, full) = (runtime(2), Gate::default());
    let port = runtime.port();
    let bounds = MailboxBounds { messages: 1, ..MailboxBounds::default() };
    let receiver = busy(&runtime, &port, &full, bounds);
    port.send(receiver, Number(5)).unwrap();
    let (before, after, to) = (Gate::default(), Gate::default(), port.id());
    let (at_first, at_last) = (before.clone(), after.clone());
    let sender = runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Message(_, 0) => at_first.pass(),
        Hears::Message(_, 1) => cx.send(receiver, Number(6)),
        Hears::Message(..) => at_last.pass(),
        Hears::Refused(_) => cx.send(to, Number(100)),
        Hears::Writable(_) => cx.send(to, Number(200)),
        _ => {}
    }));
    port.send(sender, Number(0)).unwrap();
    before.await_waiting(1);
    // Both are taken for one turn: in the second the first's refusal waits already.
    port.send(sender, Number(1)).unwrap();
    port.send(sender, Number(2)).unwrap();
    before.open();
    after.await_waiting(1);
    full.open();
    let mut heard = vec![number(&port)];
    while heard.last() != Some(&5) {
        // The first step took long on a busy machine: its agent then has one message a turn.
        heard.push(number(&port));
    }
    // Before 5 was sent, the sender was told of room.
    after.open();
    heard.extend(numbers(&port, 3 - heard.len()));
    heard.retain(|number| *number != 5);
    assert_eq!(heard, [100, 200]);
}

/// Whoever waits for `writable` after `refused` gets everything across: none is lost or forgotten.
#[test]
fn a_sender_that_heeds_refusals_gets_everything_across() {
    const COUNT: u64 = 20_000;
    let runtime = runtime(2);
    let port = runtime.port();
    let to = port.id();
    let mut next = 0;
    let receiver = runtime.spawn(
        &agent(move |hears, cx| {
            if let Hears::Message(_, number) = hears {
                assert_eq!(number, next);
                next += 1;
                if next == COUNT {
                    cx.send(to, Number(next));
                }
            }
        })
        .mailbox(MailboxBounds { messages: 2, ..MailboxBounds::default() }),
    );
    let mut next = 0;
    let mut is_held_up = false;
    // Word of room may overtake what the sender tells itself: there must not be two of these.
    let mut is_prompted = true;
    runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Start => cx.send(cx.me(), Number(0)),
        Hears::Message(..) => {
            is_prompted = next < COUNT && !is_held_up;
            if is_prompted {
                cx.send(receiver, Number(next));
                next += 1;
                cx.send(cx.me(), Number(0));
            }
        }
        Hears::Refused(refusal) => {
            assert_eq!(refusal.count, 1);
            next -= 1;
            is_held_up = true;
        }
        Hears::Writable(_) if is_held_up => {
            is_held_up = false;
            if !is_prompted {
                is_prompted = true;
                cx.send(cx.me(), Number(0));
            }
        }
        _ => {}
    }));
    assert_eq!(number(&port), COUNT);
    assert_eq!(runtime.status().agents[0].refused, dead(&runtime, "refused"));
}

#[test]
fn what_is_no_message_of_the_receiver_is_counted_and_harmless() {
    let runtime = runtime(1);
    let port = runtime.port();
    let id = runtime.spawn(&teller(port.id()));
    port.send(id, Alien).unwrap();
    port.send(id, Number(1)).unwrap();
    assert_eq!(number(&port), 1);
    assert_eq!(dead(&runtime, "wrong-type"), 1);
}

#[test]
fn a_send_to_nobody_comes_back_and_is_counted() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    assert_eq!(port.send(AgentId(99), Number(1)), Err(RefusedBecause::Unknown));
    runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Start => cx.send(AgentId(99), Number(1)),
        Hears::Refused(refusal) if refusal.why == RefusedBecause::Unknown => {
            cx.send(to, Number(refusal.to.0));
        }
        _ => {}
    }));
    assert_eq!(number(&port), 99);
    assert_eq!(dead(&runtime, "no-such-agent"), 2);
}

/// A message with a part that does not survive its encoding, and a body that does.
#[derive(Debug, Serialize, Deserialize)]
struct Leaky {
    #[serde(skip)]
    lost: u64,
    kept: u64,
    #[serde(skip)]
    body: bytes::Bytes,
}

impl Message for Leaky {
    const NAME: &'static str = "leaky";

    fn body(&self) -> bytes::Bytes {
        self.body.clone()
    }

    fn set_body(&mut self, body: bytes::Bytes) {
        self.body = body;
    }
}

struct Sums(AgentId);

impl Agent for Sums {
    type Message = Leaky;

    fn message(&mut self, _: AgentId, leaky: Leaky, cx: &mut Context) {
        cx.send(self.0, Number(leaky.lost + leaky.kept + leaky.body.len() as u64));
    }
}

#[test]
fn the_round_trip_mode_passes_every_message_through_its_encoding() {
    for (round_trip, sum) in [(false, 111), (true, 110)] {
        let config = RuntimeConfig { pool: 1, round_trip, ..RuntimeConfig::default() };
        let runtime = Runtime::start(config).unwrap();
        let port = runtime.port();
        let to = port.id();
        let id = runtime.spawn(&Spawn::new("sums", move || Sums(to)));
        let leaky = || Leaky { lost: 1, kept: 10, body: bytes::Bytes::from(vec![0; 100]) };
        port.send(id, leaky()).unwrap();
        assert_eq!(number(&port), sum, "from a port, round trip {round_trip}");
        runtime.spawn(&agent(move |hears, cx| {
            if let Hears::Start = hears {
                cx.send(id, leaky());
            }
        }));
        assert_eq!(number(&port), sum, "from an agent, round trip {round_trip}");
    }
}

/// Cannot be encoded.
#[derive(Debug, Deserialize)]
struct Unsendable;

impl Serialize for Unsendable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("never"))
    }
}

impl Message for Unsendable {
    const NAME: &'static str = "unsendable";
}

#[test]
fn what_cannot_be_encoded_comes_back_in_round_trip_mode() {
    let config = RuntimeConfig { pool: 1, round_trip: true, ..RuntimeConfig::default() };
    let runtime = Runtime::start(config).unwrap();
    let port = runtime.port();
    let id = runtime.spawn(&teller(port.id()));
    assert_eq!(port.send(id, Unsendable), Err(RefusedBecause::Unencodable));
    assert_eq!(dead(&runtime, "unsendable"), 1);
}

#[test]
fn what_waits_for_an_agent_that_stops_is_counted() {
    let (runtime, gate) = (runtime(1), Gate::default());
    let port = runtime.port();
    let at = gate.clone();
    let id = runtime.spawn(&agent(move |hears, cx| {
        if let Hears::Message(..) = hears {
            at.pass();
            cx.stop();
        }
    }));
    (0..5).for_each(|number| port.send(id, Number(number)).unwrap());
    gate.await_waiting(1);
    (5..10).for_each(|number| port.send(id, Number(number)).unwrap());
    gate.open();
    until(|| dead(&runtime, "stopped") == 9);
}

#[test]
fn a_port_refuses_over_its_bound_and_tells_of_room() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    let bound = MailboxBounds::default().messages;
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let id = runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Start => (0..bound as u64 + 10).for_each(|number| cx.send(to, Number(number))),
        Hears::Refused(refusal) => {
            count.fetch_add(refusal.count as usize, Ordering::SeqCst);
        }
        Hears::Writable(_) => cx.send(to, Number(7)),
        _ => {}
    }));
    until(|| refused.load(Ordering::SeqCst) == 10);
    let all = numbers(&port, bound);
    assert!(all.iter().copied().eq(0..bound as u64));
    assert_eq!(number(&port), 7, "{id} heard of room");
    assert!(port.try_recv().is_none());
    assert!(!matches!(port.recv_within(std::time::Duration::ZERO), Some(Heard::Message(_))));
    let _ = LONG;
}

/// Says a last word when it is dropped.
#[derive(Serialize, Deserialize)]
struct Dying {
    #[serde(skip)]
    heir: Option<(Arc<Port>, AgentId)>,
}

impl Message for Dying {
    const NAME: &'static str = "dying";
}

impl Drop for Dying {
    fn drop(&mut self) {
        if let Some((port, to)) = self.heir.take() {
            // Refused or not: it has ended, and so may whoever made it.
            let _ = port.send(to, Number(9));
        }
    }
}

#[test]
fn what_is_dropped_for_want_of_room_may_send_to_where_there_was_none() {
    for full in [WhenFull::Refuse, WhenFull::DropNewest, WhenFull::DropOldest] {
        let (runtime, gate) = (runtime(1), Gate::default());
        let port = Arc::new(runtime.port());
        let at = gate.clone();
        let stalls = move |hears, _: &mut Context| {
            if let Hears::Message(..) = hears {
                at.pass();
            }
        };
        let room = MailboxBounds { messages: 1, full, ..MailboxBounds::default() };
        let id = runtime.spawn(&agent(stalls).mailbox(room));
        port.send(id, Number(1)).unwrap();
        gate.await_waiting(1);
        for _ in 0..3 {
            let _ = port.send(id, Dying { heir: Some((Arc::clone(&port), id)) });
        }
        gate.open();
    }
}
