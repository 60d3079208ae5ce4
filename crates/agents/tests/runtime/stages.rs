//! Shared states: many threads, and yet the order of each source, the bounds, and each other.

use std::sync::Arc;
use std::time::Duration;

use dx_agents::event::Envelope;
use dx_agents::runtime::Heard;
use dx_agents::{
    AgentId, Context, Down, MailboxBounds, RefusedBecause, Restart, SharedState, WhenFull,
};

use crate::actors::{
    Gate, Hears, LONG, Number, dead, down, number, numbers, runtime, until, with_shared,
};

/// Holds what comes in at a gate, then lets it pass or drops it.
struct Holds {
    gate: Gate,
    passes: bool,
}

impl SharedState for Holds {
    fn takes_ingress(&self) -> bool {
        true
    }

    fn ingress(&self, message: Envelope) -> Option<Envelope> {
        self.gate.pass();
        self.passes.then_some(message)
    }
}

fn bounds(messages: usize, full: WhenFull) -> MailboxBounds {
    MailboxBounds { messages, full, ..MailboxBounds::default() }
}

#[test]
fn what_the_shared_state_holds_counts_against_the_mailbox_under_every_policy() {
    for full in [WhenFull::Refuse, WhenFull::DropNewest, WhenFull::DropOldest] {
        let runtime = runtime(1);
        let port = runtime.port();
        let (gate, to) = (Gate::default(), port.id());
        let state = Arc::new(Holds { gate: gate.clone(), passes: true });
        let id = runtime.spawn(
            &with_shared(state, move |hears, cx| {
                if let Hears::Message(_, number) = hears {
                    cx.send(to, Number(number));
                }
            })
            .mailbox(bounds(4, full)),
        );
        let refused = (0..20).filter(|&n| port.send(id, Number(n)).is_err()).count();
        let status = &runtime.status().agents[0];
        assert_eq!(status.waiting, 4, "{full:?}");
        assert_eq!(status.dropped + status.refused, 16, "{full:?}");
        assert_eq!(refused as u64, status.refused, "{full:?}");
        gate.open();
        assert_eq!(numbers(&port, 4), [0, 1, 2, 3], "{full:?}");
        let name = if full == WhenFull::Refuse { "refused" } else { "mailbox-full" };
        assert_eq!(dead(&runtime, name), 16, "{full:?}");
    }
}

#[test]
fn a_refused_sender_hears_of_room_even_if_the_shared_state_drops_everything() {
    let runtime = runtime(1);
    let port = runtime.port();
    let gate = Gate::default();
    let state = Arc::new(Holds { gate: gate.clone(), passes: false });
    let id = runtime.spawn(&with_shared(state, |_, _| {}).mailbox(bounds(2, WhenFull::Refuse)));
    assert!(port.send(id, Number(0)).is_ok() && port.send(id, Number(1)).is_ok());
    assert_eq!(port.send(id, Number(2)), Err(RefusedBecause::Full));
    gate.open();
    assert!(matches!(port.recv_within(LONG), Some(Heard::Writable(who)) if who == id));
    until(|| dead(&runtime, "filtered") == 2);
}

/// Holds what comes in at a gate, unless it is from the agent 7.
struct HoldsOthers(Gate);

impl SharedState for HoldsOthers {
    fn takes_ingress(&self) -> bool {
        true
    }

    fn ingress(&self, message: Envelope) -> Option<Envelope> {
        if message.from != AgentId(7) {
            self.0.pass();
        }
        Some(message)
    }
}

/// What is under way in the shared state when the agent panics is neither the new agent's to hear
/// nor free of the mailbox's bound; those who asked are told.
#[test]
fn a_restart_drops_what_the_shared_state_took_in_before() {
    let runtime = runtime(1);
    let port = runtime.port();
    let (gate, to) = (Gate::default(), port.id());
    let script = move |hears: Hears, cx: &mut Context| match hears {
        Hears::Message(_, 0) => panic!("as it is told"),
        Hears::Message(_, number) => cx.send(to, Number(number)),
        _ => {}
    };
    let backoff = Duration::ZERO;
    let id = runtime.spawn(
        &with_shared(Arc::new(HoldsOthers(gate.clone())), script)
            .restart(Restart::Always { backoff })
            .mailbox(bounds(4, WhenFull::Refuse)),
    );
    port.monitor(id);
    let prompt = runtime.port_as(AgentId(7)).expect("7 is free");
    port.send(id, Number(1)).unwrap();
    prompt.send(id, Number(0)).unwrap();
    assert_eq!(down(&port), (id, Down::Restarted));
    until(|| runtime.status().agents[0].restarts == 1);
    let status = &runtime.status().agents[0];
    assert_eq!((status.waiting, status.waiting_bytes), (1, 8), "what is under way takes room");
    prompt.send(id, Number(2)).unwrap();
    assert_eq!(number(&port), 2);
    gate.open();
    until(|| dead(&runtime, "restarted") == 1);
    let status = &runtime.status().agents[0];
    assert_eq!((status.waiting, status.waiting_bytes), (0, 0));
    prompt.send(id, Number(3)).unwrap();
    assert_eq!(number(&port), 3, "nothing of before the restart came");
}
