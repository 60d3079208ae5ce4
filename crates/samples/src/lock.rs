//! A lock that is lent for a time, so that whoever dies with it does not keep it (Gray and
//! Cheriton: "Leases", SOSP 1989), with a number for each loan by which the resource turns away who
//! comes too late (Burrows: "The Chubby lock service", OSDI 2006, sequencers; Kleppmann: "How to do
//! distributed locking", 2016).
//!
//! A holder counts from when it asked, and only so far that even the fastest of clocks at the
//! server and the slowest of its own agree. A machine that sleeps breaks this, since no clock of it
//! goes on; then the number must do.

use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Instant, Message, Registry, TimerKey};
use dx_sim::{Failure, FaultKind, Sim};
use serde::{Deserialize, Serialize};

use crate::journal;
use crate::sample::{DONE, PATIENCE, Planted, Sample, Size, Sizes, agent, attr};

/// The lock.
pub const SAMPLE: Sample = Sample {
    name: "lock",
    about: "a lock that is lent for a time, and a resource that turns away who comes too late",
    bugs: &[
        Planted {
            name: "no-fence",
            about: "the resource takes a write from whoever says to hold the lock",
            breaks: &[FENCED],
        },
        Planted {
            name: "tokens-in-memory",
            about: "after a crash the server numbers loans from the beginning",
            breaks: &[TOKEN_ONCE, ONE_HOLDER],
        },
        Planted {
            name: "forgets-loan",
            about: "after a crash the server lends at once what is still lent",
            breaks: &[ONE_HOLDER],
        },
        Planted {
            name: "counts-from-answer",
            about: "the holder counts its time from when it was granted, not from when it asked",
            breaks: &[ONE_HOLDER],
        },
        Planted {
            name: "no-margin",
            about: "the holder trusts that all clocks go alike",
            breaks: &[ONE_HOLDER],
        },
        Planted {
            name: "looks-once",
            about: "the holder does not look at its clock again before it writes",
            breaks: &[ONE_HOLDER],
        },
        Planted {
            name: "lends-by-rumour",
            about: "the server takes a holder for dead when it is only out of reach",
            breaks: &[ONE_HOLDER],
        },
    ],
    registry: || {
        Registry::new()
            .kind("lock", |spec, _| Ok(Lock::new(attr(spec)?.bug)))
            .kind("resource", |spec, _| {
                Ok(Resource { bug: attr(spec)?.bug, highest: 0, late: None })
            })
            .kind("holder", |spec, _| {
                let attr = attr(spec)?;
                Ok(Holder::new(attr.bug, attr.operations))
            })
    },
    agents: |size| {
        let servers = [agent(LOCK, "lock", 0), agent(RESOURCE, "resource", 0)];
        let holders = (3..3 + size.members).map(AgentId);
        let holders = holders.map(|id| agent(id, "holder", size.operations));
        servers.into_iter().chain(holders).collect()
    },
    sizes: Sizes { least: Size::new(1, 1), most: Size::new(3, 5), small: Size::new(2, 1) },
    is_datagrams: false,
    workers: "holder",
    watch,
    ends,
    torment: Duration::from_secs(4),
    small_torments: [Duration::from_millis(4), Duration::from_secs(2)],
    most_down: 2,
};

const FENCED: &str = "the resource takes nothing from an earlier holder after a later one";
const TOKEN_ONCE: &str = "no two loans have one number";
const ONE_HOLDER: &str = "nobody writes who has lost the lock, unless its machine slept";
const ALL_DONE: &str = "all writes are done in the end";

const RAN_OUT: &str = "a loan runs out without being given back";
const TURNED_AWAY: &str = "the resource turns away who comes too late";
const WAITED: &str = "the server waits for a loan of its former life";
const WOKE_LATE: &str = "a holder that stood still finds that its time is over";

const LOCK: AgentId = AgentId(1);
const RESOURCE: AgentId = AgentId(2);
/// For how long the lock is lent, by the server's clock.
/// Nodes that were apart need up to half a second to find each other.
const LEASE: Duration = Duration::from_millis(600);
/// Clocks run up to a fifth too fast or too slow: at worst 8 at the holder are 12 at the server.
const SAFE: Duration = Duration::from_millis(395);
/// From one write of a holder to its next.
const WRITE_EVERY: Duration = Duration::from_millis(25);
/// One in so many writes is a loan's last, if its time does not end before.
const WRITES: u64 = 24;
const RETRY: Duration = Duration::from_millis(15);
const KEY: TimerKey = TimerKey(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bug {
    NoFence,
    TokensInMemory,
    ForgetsLoan,
    CountsFromAnswer,
    NoMargin,
    LooksOnce,
    LendsByRumour,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Say {
    /// `attempt` tells one request from another.
    Acquire {
        attempt: u64,
    },
    Granted {
        attempt: u64,
        token: u64,
    },
    Release {
        token: u64,
    },
    Write {
        token: u64,
    },
}

impl Message for Say {
    const NAME: &'static str = "lock";
}

struct Lock {
    bug: Option<Bug>,
    /// The number of the last loan.
    token: u64,
    lent: Option<Loan>,
}

#[derive(Clone, Copy)]
struct Loan {
    to: AgentId,
    until: Instant,
}

impl Lock {
    fn new(bug: Option<Bug>) -> Self {
        Self { bug, token: 0, lent: None }
    }

    fn lend(&mut self, to: AgentId, attempt: u64, cx: &mut Context) {
        self.token += 1;
        cx.persist(journal::write(&self.token));
        self.lent = Some(Loan { to, until: cx.now() + LEASE });
        if self.bug == Some(Bug::LendsByRumour) {
            cx.monitor(to);
        }
        cx.send(to, Say::Granted { attempt, token: self.token });
    }
}

impl Agent for Lock {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        let last: Option<u64> = journal::records(cx).pop();
        if let Some(token) = last {
            if self.bug != Some(Bug::TokensInMemory) {
                self.token = token;
            }
            if self.bug != Some(Bug::ForgetsLoan) {
                // To whom and when it was lent is not written down: to nobody, for all of its time.
                cx.note(WAITED, 1);
                self.lent = Some(Loan { to: cx.me(), until: cx.now() + LEASE });
            }
        }
    }

    fn message(&mut self, from: AgentId, message: Say, cx: &mut Context) {
        match message {
            Say::Acquire { attempt } => {
                let now = cx.now();
                if self.lent.is_none_or(|loan| now >= loan.until) {
                    if self.lent.is_some() {
                        cx.note(RAN_OUT, 1);
                    }
                    self.lend(from, attempt, cx);
                }
            }
            Say::Release { token } if token == self.token => {
                self.lent = self.lent.filter(|loan| loan.to != from);
            }
            _ => {}
        }
    }

    fn down(&mut self, who: AgentId, _: dx_agents::Down, _: &mut Context) {
        self.lent = self.lent.filter(|loan| loan.to != who);
    }
}

struct Resource {
    bug: Option<Bug>,
    highest: u64,
    /// The highest number from before the last write, if that had a lower one.
    late: Option<u64>,
}

impl Agent for Resource {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        self.highest = journal::records(cx).pop().unwrap_or(0);
    }

    fn message(&mut self, _: AgentId, message: Say, cx: &mut Context) {
        let Say::Write { token } = message else { return };
        if token < self.highest && self.bug != Some(Bug::NoFence) {
            cx.note(TURNED_AWAY, 1);
            return;
        }
        self.late = Some(self.highest).filter(|highest| token < *highest);
        self.highest = token;
        cx.persist(journal::write(&token));
    }
}

struct Holder {
    bug: Option<Bug>,
    operations: u64,
    attempt: u64,
    asked: Instant,
    held: Option<Held>,
    /// Loans that it had.
    done: u64,
    /// The number under which it wrote last, and how often it has written in this life.
    wrote: (u64, u64),
}

#[derive(Clone, Copy)]
struct Held {
    /// By which request it came.
    attempt: u64,
    token: u64,
    until: Instant,
}

impl Holder {
    fn new(bug: Option<Bug>, operations: u64) -> Self {
        let (held, wrote) = (None, (0, 0));
        Self { bug, operations, attempt: 0, asked: Instant(0), held, done: 0, wrote }
    }

    fn acquire(&mut self, cx: &mut Context) {
        cx.note(DONE, self.done);
        if self.done < self.operations {
            // What was asked so long ago may have been lent and be over.
            if cx.now() >= self.asked + LEASE {
                self.attempt += 1;
                self.asked = cx.now();
            }
            cx.send(LOCK, Say::Acquire { attempt: self.attempt });
            let more = cx.rng().below(RETRY.as_nanos() as u64);
            cx.set_timer(KEY, RETRY + Duration::from_nanos(more));
        }
    }

    fn write(&mut self, held: Held, cx: &mut Context) {
        self.wrote = (held.token, self.wrote.1 + 1);
        cx.send(RESOURCE, Say::Write { token: held.token });
        if cx.rng().below(WRITES) > 0 {
            cx.set_timer(KEY, WRITE_EVERY);
        } else {
            cx.send(LOCK, Say::Release { token: held.token });
            self.give_up(cx);
        }
    }

    fn give_up(&mut self, cx: &mut Context) {
        if let Some(held) = self.held.take() {
            if cx.now() >= held.until + WRITE_EVERY {
                cx.note(WOKE_LATE, 1);
            }
            self.done += 1;
            cx.persist(journal::write(&self.done));
            self.attempt += 1;
            self.asked = cx.now();
        }
        self.acquire(cx);
    }
}

impl Agent for Holder {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        self.done = journal::records(cx).pop().unwrap_or(0);
        // Answers to an earlier life must not pass for answers to this one.
        self.attempt = cx.incarnation().0 << 16;
        self.asked = cx.now();
        self.acquire(cx);
    }

    fn message(&mut self, _: AgentId, message: Say, cx: &mut Context) {
        let Say::Granted { attempt, token } = message else { return };
        if attempt != self.attempt || self.held.is_some() {
            return;
        }
        let from = if self.bug == Some(Bug::CountsFromAnswer) { cx.now() } else { self.asked };
        let length = if self.bug == Some(Bug::NoMargin) { LEASE } else { SAFE };
        self.held = Some(Held { attempt, token, until: from + length });
        self.timer(KEY, cx);
    }

    fn timer(&mut self, _: TimerKey, cx: &mut Context) {
        let now = cx.now();
        match self.held {
            Some(held) if now < held.until || self.bug == Some(Bug::LooksOnce) => {
                self.write(held, cx);
            }
            _ => self.give_up(cx),
        }
    }
}

fn watch(sim: &mut Sim) {
    for point in [RAN_OUT, TURNED_AWAY, WAITED, WOKE_LATE] {
        sim.watch_note(point);
    }
    sim.always(FENCED, |sim| match sim.agent::<Resource>(RESOURCE) {
        Some(Resource { highest, late: Some(earlier), .. }) => {
            Err(format!("it took a write of loan {highest} after one of loan {earlier}"))
        }
        _ => Ok(()),
    });
    let mut owners = std::collections::BTreeMap::new();
    let holders = sim.directory().by_kind("holder").to_vec();
    let all = holders.clone();
    sim.always(TOKEN_ONCE, move |sim| {
        for id in &all {
            let held = sim.agent::<Holder>(*id).and_then(|holder| holder.held);
            let Some(held) = held else { continue };
            let loan = (*id, held.attempt);
            let first = *owners.entry(held.token).or_insert(loan);
            if first != loan {
                let (owner, token) = (first.0, held.token);
                return Err(format!("number {token} was lent to {owner}, and again to {id}"));
            }
        }
        Ok(())
    });
    let mut latest = 0;
    let mut seen = std::collections::BTreeMap::new();
    sim.always(ONE_HOLDER, move |sim| {
        for id in &holders {
            let Some(holder) = sim.agent::<Holder>(*id) else { continue };
            if seen.insert(*id, holder.wrote) == Some(holder.wrote) || holder.wrote.1 == 0 {
                continue;
            }
            let has_slept = sim.faults().iter().any(|(kind, _)| *kind == FaultKind::Suspend);
            if holder.wrote.0 < latest && !has_slept {
                let token = holder.wrote.0;
                return Err(format!("{id} writes under loan {token}, after loan {latest}"));
            }
            latest = latest.max(holder.wrote.0);
        }
        Ok(())
    });
}

fn ends(sim: &mut Sim) -> Result<(), Failure> {
    let count = sim.directory().by_kind("holder").len();
    sim.run_until(ALL_DONE, PATIENCE, move |sim| {
        let holders = sim.agents_of::<Holder>();
        holders.filter(|(_, it)| it.done >= it.operations).count() == count
    })
}
