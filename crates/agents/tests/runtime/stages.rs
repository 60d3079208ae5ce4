//! Shared states: many threads, and yet the order of each source, the bounds, and each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dx_agents::event::Envelope;
use dx_agents::message::Body;
use dx_agents::runtime::{Heard, Port};
use dx_agents::shared::Job;
use dx_agents::{
    AgentId, Context, Down, MailboxBounds, Outcome, RefusedBecause, Restart, SharedState, WhenFull,
};
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use crate::actors::{
    Gate, Hears, LONG, Number, agent, dead, down, number, numbers, runtime, until, with_shared,
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
    let waits = || (runtime.status().agents[0].waiting, runtime.status().agents[0].waiting_bytes);
    until(|| waits() == (0, 0));
    prompt.send(id, Number(3)).unwrap();
    assert_eq!(number(&port), 3, "nothing of before the restart came");
    until(|| dead(&runtime, "restarted") == 1);
}

/// Does what it is told with each job, and notes nothing: jobs and messages are their own order.
struct Works(Gate);

impl SharedState for Works {
    fn work(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        let work = |job: Job| match *job.downcast::<u64>().expect("jobs are numbers") {
            PANICS => panic!("as it is told"),
            HOLDS => {
                self.0.pass();
                Outcome::Done(Box::new(HOLDS))
            }
            number => Outcome::Done(Box::new(number)),
        };
        jobs.into_iter().map(work).collect()
    }
}

const PANICS: u64 = 1_000_001;
const HOLDS: u64 = 1_000_002;
const FAILED: u64 = 2_000_001;
const REFUSED: u64 = 2_000_002;

fn code(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Done(number) => *number.downcast::<u64>().expect("results are numbers"),
        Outcome::Failed => FAILED,
        Outcome::Refused => REFUSED,
    }
}

#[test]
fn a_panic_in_the_shared_state_fails_that_job_only() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    runtime.spawn(&with_shared(Arc::new(Works(Gate::default())), move |hears, cx| match hears {
        Hears::Start => {
            for job in [1, PANICS, 3, PANICS, 5] {
                cx.offload(job);
            }
        }
        Hears::Done(_, outcome) => cx.send(to, Number(code(outcome))),
        _ => {}
    }));
    assert_eq!(numbers(&port, 5), [1, FAILED, 3, FAILED, 5]);
}

#[test]
fn jobs_beyond_the_bound_are_refused_and_their_agent_hears_of_each() {
    const BOUND: u64 = 4096;
    let (runtime, gate) = (runtime(1), Gate::default());
    let port = runtime.port();
    let to = port.id();
    let mut ends = (0, 0);
    let state = Arc::new(Works(gate.clone()));
    runtime.spawn(&with_shared(state, move |hears, cx| match hears {
        Hears::Start => {
            for _ in 0..BOUND + 10 {
                cx.offload(HOLDS);
            }
        }
        Hears::Done(_, Outcome::Refused) => {
            ends.1 += 1;
            cx.send(to, Number(ends.1));
        }
        Hears::Done(..) => {
            ends.0 += 1;
            if ends.0 == BOUND {
                cx.send(to, Number(ends.0));
            }
        }
        _ => {}
    }));
    assert_eq!(numbers(&port, 10), (1..=10).collect::<Vec<_>>());
    gate.open();
    assert_eq!(number(&port), BOUND);
}

#[test]
fn an_agent_without_a_shared_state_hears_that_its_job_failed() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    runtime.spawn(&agent(move |hears, cx| match hears {
        Hears::Start => drop(cx.offload(1_u64)),
        Hears::Done(_, outcome) => cx.send(to, Number(code(outcome))),
        _ => {}
    }));
    assert_eq!(number(&port), FAILED);
}

/// Passes everything on, in both directions, after as many spins as a message's number says.
struct Spins;

impl SharedState for Spins {
    fn takes_ingress(&self) -> bool {
        true
    }

    fn ingress(&self, message: Envelope) -> Option<Envelope> {
        spin(message.from.0);
        Some(message)
    }

    fn work(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        let work = |job: Job| {
            let number = *job.downcast::<u64>().expect("jobs are numbers");
            spin(number);
            Outcome::Done(Box::new(number))
        };
        jobs.into_iter().map(work).collect()
    }

    fn takes_egress(&self) -> bool {
        true
    }

    fn egress(&self, to: AgentId, body: Body) -> Body {
        spin(to.0);
        body
    }
}

/// Differs from call to call: whoever comes later may well be done earlier.
fn spin(seed: u64) {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    for _ in 0..(seed.wrapping_mul(31).wrapping_add(call.wrapping_mul(17)) % 7) * 200 {
        std::hint::spin_loop();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Messages in, jobs and messages out: whatever several threads make of them, those of one
    /// source, or to one receiver, keep their order.
    #[test]
    fn the_order_of_each_source_is_kept(
        senders in 1_usize..4,
        crew in 1_usize..5,
        sources in 1_u64..4,
        count in 1_u64..300,
    ) {
        let runtime = runtime(2);
        let ports: Vec<_> = (0..senders).map(|_| runtime.port()).collect();
        let receivers: Vec<_> = ports.iter().map(Port::id).collect();
        let bounds = MailboxBounds { messages: 1 << 16, ..MailboxBounds::default() };
        let script = move |hears: Hears, cx: &mut Context| match hears {
            // In a job's number are who asked, and when.
            Hears::Message(from, number) => {
                let port = receivers.iter().position(|&port| port == from).expect("it is a port");
                cx.offload_for(number % sources, number * 8 + port as u64);
            }
            Hears::Done(_, outcome) => {
                let job: u64 = outcome.get().expect("no job fails");
                cx.send(receivers[(job % 8) as usize], Number(job / 8));
            }
            _ => {}
        };
        let id = runtime.spawn(&with_shared(Arc::new(Spins), script).mailbox(bounds).shared(crew));
        for number in 0..count {
            for port in &ports {
                port.send(id, Number(number)).unwrap();
            }
        }
        for port in &ports {
            let mut next: Vec<u64> = (0..sources).collect();
            for number in numbers(port, count as usize) {
                let source = (number % sources) as usize;
                prop_assert_eq!(number, next[source], "source {}", source);
                next[source] += sources;
            }
        }
    }
}

/// Each one's way out leads into the other, and back.
#[test]
fn two_agents_with_shared_states_do_not_wait_for_each_other() {
    const COUNT: u64 = 3000;
    let runtime = runtime(2);
    let port = runtime.port();
    let to = port.id();
    let bounds = MailboxBounds { messages: 64, ..MailboxBounds::default() };
    let echo = runtime.spawn(
        &with_shared(Arc::new(Spins), |hears, cx| {
            if let Hears::Message(from, number) = hears {
                cx.send(from, Number(number));
            }
        })
        .mailbox(bounds),
    );
    let mut heard = 0;
    runtime.spawn(
        &with_shared(Arc::new(Spins), move |hears, cx| match hears {
            Hears::Start => (0..32).for_each(|number| cx.send(echo, Number(number))),
            Hears::Message(_, number) => {
                assert_eq!(number, heard);
                heard += 1;
                if heard + 31 < COUNT {
                    cx.send(echo, Number(heard + 31));
                }
                if heard == COUNT {
                    cx.send(to, Number(heard));
                }
            }
            _ => {}
        })
        .mailbox(bounds),
    );
    assert_eq!(number(&port), COUNT);
}

/// Panics over what goes out to 7.
struct Rejects;

impl SharedState for Rejects {
    fn takes_egress(&self) -> bool {
        true
    }

    fn egress(&self, to: AgentId, body: Body) -> Body {
        assert_ne!(to, AgentId(7), "as it is told");
        body
    }
}

#[test]
fn a_panic_on_the_way_out_loses_that_message_only_and_it_is_counted() {
    let runtime = runtime(1);
    let port = runtime.port();
    let to = port.id();
    runtime.spawn(&with_shared(Arc::new(Rejects), move |hears, cx| {
        if let Hears::Start = hears {
            cx.send(AgentId(7), Number(1));
            cx.send(to, Number(2));
        }
    }));
    assert_eq!(number(&port), 2);
    until(|| dead(&runtime, "filtered") == 1);
}
