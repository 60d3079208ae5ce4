//! A counter that is changed at most once by each request, however often it is asked: clients ask
//! again until they are answered, the server knows whom it answered last and what. Both survive
//! crashes.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Message, Registry, TimerKey};
use dx_sim::{Failure, Sim};
use serde::{Deserialize, Serialize};

use crate::journal;
use crate::sample::{DONE, PATIENCE, Planted, Sample, Size, Sizes, TORMENT, agent, attr};

/// The counter.
pub const SAMPLE: Sample = Sample {
    name: "counter",
    about: "a counter that counts each request once, also when it is asked again",
    bugs: &[
        Planted {
            name: "no-dedup",
            about: "every request counts, also one that is asked again",
            breaks: &[ONLY_ASKED, COUNTED],
        },
        Planted {
            name: "dedup-in-memory",
            about: "who was answered last is not written down",
            breaks: &[ONLY_ASKED, COUNTED],
        },
        Planted {
            name: "nothing-persisted",
            about: "the counter is not written down",
            breaks: &[COUNTED],
        },
        Planted {
            name: "snapshot-forgets",
            about: "a snapshot has the counter and not who was answered",
            breaks: &[ONLY_ASKED, COUNTED],
        },
        Planted { name: "no-retry", about: "the client asks once", breaks: &[ALL_DONE] },
        Planted {
            name: "any-answer",
            about: "the client takes any answer for the one it waits for",
            breaks: &[COUNTED],
        },
    ],
    registry: || {
        Registry::new().kind("counter", |spec, _| Ok(Counter::new(attr(spec)?.bug))).kind(
            "counter-client",
            |spec, _| {
                let attr = attr(spec)?;
                Ok(Client { bug: attr.bug, operations: attr.operations, current: 0 })
            },
        )
    },
    agents: |size| {
        let clients = (2..2 + size.members).map(AgentId);
        let clients = clients.map(|id| agent(id, "counter-client", size.operations));
        clients.chain([agent(SERVER, "counter", 0)]).collect()
    },
    sizes: Sizes { least: Size::new(1, 1), most: Size::new(2, 20), small: Size::new(1, 2) },
    is_datagrams: false,
    workers: "counter-client",
    watch,
    ends,
    torment: TORMENT,
    small_torments: [Duration::from_micros(800), Duration::from_millis(80)],
    most_down: 1,
};

const ONLY_ASKED: &str = "nothing is counted that nobody asked for";
const ALL_DONE: &str = "all operations are done in the end";
const COUNTED: &str = "what was answered is counted";

const REPEATED: &str = "a request comes that was counted already";
const SNAPSHOT_READ: &str = "the server starts from a snapshot";

const SERVER: AgentId = AgentId(1);
/// Many times what an answer takes.
const RETRY: Duration = Duration::from_millis(30);
const RETRY_KEY: TimerKey = TimerKey(1);
/// Records from one snapshot to the next: few, so that there are some in each run.
const SNAPSHOT_EVERY: u64 = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bug {
    NoDedup,
    DedupInMemory,
    NothingPersisted,
    SnapshotForgets,
    NoRetry,
    AnyAnswer,
}

#[derive(Clone, Serialize, Deserialize)]
enum Count {
    Add(u64),
    Done(u64),
}

impl Message for Count {
    const NAME: &'static str = "count";
}

struct Counter {
    bug: Option<Bug>,
    total: u64,
    /// The last request of each client.
    answered: BTreeMap<AgentId, u64>,
    since_snapshot: u64,
}

impl Counter {
    fn new(bug: Option<Bug>) -> Self {
        Self { bug, total: 0, answered: BTreeMap::new(), since_snapshot: 0 }
    }

    fn count(&mut self, from: AgentId, request: u64, cx: &mut Context) {
        self.total += 1;
        self.answered.insert(from, request);
        if self.bug == Some(Bug::NothingPersisted) {
            return;
        }
        cx.persist(journal::write(&(from, request)));
        self.since_snapshot += 1;
        if self.since_snapshot == SNAPSHOT_EVERY {
            self.since_snapshot = 0;
            let nobody = BTreeMap::new();
            let forgets = self.bug == Some(Bug::SnapshotForgets);
            let answered = if forgets { &nobody } else { &self.answered };
            cx.snapshot(journal::write(&(self.total, answered)));
        }
    }
}

impl Agent for Counter {
    type Message = Count;

    fn start(&mut self, cx: &mut Context) {
        let recovered = cx.recovered();
        if let Some(snapshot) = recovered.snapshot {
            cx.note(SNAPSHOT_READ, 1);
            (self.total, self.answered) = journal::read(&snapshot);
        }
        for record in recovered.records {
            let (from, request) = journal::read(&record);
            self.total += 1;
            if self.bug != Some(Bug::DedupInMemory) {
                self.answered.insert(from, request);
            }
        }
    }

    fn message(&mut self, from: AgentId, message: Count, cx: &mut Context) {
        let Count::Add(request) = message else { return };
        let is_new = self.answered.get(&from).is_none_or(|last| request > *last);
        if is_new || self.bug == Some(Bug::NoDedup) {
            self.count(from, request, cx);
        } else {
            cx.note(REPEATED, 1);
        }
        cx.send(from, Count::Done(request));
    }
}

struct Client {
    bug: Option<Bug>,
    operations: u64,
    /// The operation under way, from 1; 0 before the start.
    current: u64,
}

impl Client {
    fn ask(&self, cx: &mut Context) {
        cx.note(DONE, self.current - 1);
        if self.current > self.operations {
            cx.cancel(RETRY_KEY);
            return;
        }
        cx.send(SERVER, Count::Add(self.current));
        if self.bug != Some(Bug::NoRetry) {
            cx.set_timer(RETRY_KEY, RETRY);
        }
    }

    /// Operations that have begun.
    fn begun(&self) -> u64 {
        self.current.min(self.operations)
    }
}

impl Agent for Client {
    type Message = Count;

    fn start(&mut self, cx: &mut Context) {
        self.current = journal::records(cx).pop().unwrap_or(1);
        self.ask(cx);
    }

    fn message(&mut self, _: AgentId, message: Count, cx: &mut Context) {
        let Count::Done(request) = message else { return };
        let is_known = self.bug == Some(Bug::AnyAnswer) && self.current <= self.operations;
        if request == self.current || is_known {
            self.current += 1;
            cx.persist(journal::write(&self.current));
            self.ask(cx);
        }
    }

    fn timer(&mut self, _: TimerKey, cx: &mut Context) {
        self.ask(cx);
    }
}

fn watch(sim: &mut Sim) {
    sim.watch_note(REPEATED);
    sim.watch_note(SNAPSHOT_READ);
    let clients = clients(sim);
    sim.always(ONLY_ASKED, move |sim| {
        let mut begun = 0;
        for id in &clients {
            match sim.agent::<Client>(*id) {
                Some(client) if client.current > 0 => begun += client.begun(),
                // It is about to start, and does not know yet.
                _ => return Ok(()),
            }
        }
        let total = sim.agent::<Counter>(SERVER).map_or(0, |counter| counter.total);
        if total <= begun {
            return Ok(());
        }
        Err(format!("it counts {total}, and {begun} have begun"))
    });
}

fn ends(sim: &mut Sim) -> Result<(), Failure> {
    let clients = clients(sim);
    let count = clients.len();
    sim.run_until(ALL_DONE, PATIENCE, move |sim| {
        let done = sim.agents_of::<Client>().filter(|(_, it)| it.current > it.operations);
        done.count() == count
    })?;
    let asked = sim.agents_of::<Client>().map(|(_, client)| client.operations).sum();
    sim.run_until(COUNTED, Duration::from_secs(1), |sim| {
        sim.agent::<Counter>(SERVER).map(|counter| counter.total) == Some(asked)
    })
}

/// Those of the deployment, whether or not they are up.
fn clients(sim: &Sim) -> Vec<AgentId> {
    sim.directory().by_kind("counter-client").to_vec()
}
