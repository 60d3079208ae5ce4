//! Floods: whatever comes, the bounds hold and the counts add up.

use dx_agents::{MailboxBounds, WhenFull};

use crate::actors::{Counter, Gate, Hears, Number, agent, dead, runtime, until};

/// Two agents flood a third one on another thread, with `count` messages each.
fn flood(full: WhenFull, count: u64) {
    const BATCH: u64 = 100;
    let bounds = MailboxBounds { messages: 64, bytes: 4096, full };
    let runtime = runtime(3);
    let (handled, came_back, gate) = (Counter::default(), Counter::default(), Gate::default());
    let hears_all = handled.clone();
    let receiver = runtime.spawn(
        &agent(move |hears, _| {
            if let Hears::Message(..) = hears {
                hears_all.count();
            }
        })
        .mailbox(bounds),
    );
    for _ in 0..2 {
        let (came_back, start) = (came_back.clone(), gate.clone());
        runtime.spawn(&agent(move |hears, cx| match hears {
            Hears::Start => {
                start.pass();
                cx.send(cx.me(), Number(0));
            }
            Hears::Message(_, sent) if sent < count => {
                (0..BATCH).for_each(|number| cx.send(receiver, Number(number)));
                cx.send(cx.me(), Number(sent + BATCH));
            }
            Hears::Refused(refusal) => came_back.add(refusal.count),
            _ => {}
        }));
    }
    gate.await_waiting(2);
    let before = resident_bytes();
    gate.open();
    let status = loop {
        let status = runtime.status().agents.into_iter().find(|agent| agent.id == receiver);
        let status = status.expect("the receiver lives");
        assert!(status.waiting <= 64 && status.waiting_bytes <= 4096, "{status:?}");
        if handled.now() + status.dropped + status.refused == 2 * count {
            break status;
        }
        std::thread::yield_now();
    };
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more after a flood over a mailbox of 4 KiB");
    until(|| came_back.now() == status.refused);
    assert_eq!(dead(&runtime, "mailbox-full"), status.dropped);
    assert_eq!(dead(&runtime, "refused"), status.refused);
    assert!(handled.now() > 0, "{full:?}");
}

/// Memory of this process that is in use.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_flood_stays_within_the_bounds_and_every_message_is_accounted_for() {
    for full in [WhenFull::Refuse, WhenFull::DropNewest, WhenFull::DropOldest] {
        flood(full, 50_000);
    }
}

#[test]
#[ignore = "takes long: 10 million messages for each policy"]
fn a_flood_of_millions_stays_within_the_bounds() {
    for full in [WhenFull::Refuse, WhenFull::DropNewest, WhenFull::DropOldest] {
        flood(full, 5_000_000);
    }
}
