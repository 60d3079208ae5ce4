//! Remote procedure calls that are carried out at most once, and answered with what they did, over
//! a network that loses, repeats and reorders (Birrell and Nelson: "Implementing remote procedure
//! calls", TOCS 1984; the durable table is that of Lee et al.: "Implementing linearizability at
//! large scale and low latency", SOSP 2015).
//!
//! A call appends to a list, and its answer is the place. A client writes down the number of a call
//! before it calls, and asks until it is answered. The server writes down each call that it carries
//! out, and with it all that it needs to answer again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Message, Registry, TimerKey};
use dx_sim::{Failure, Sim};
use serde::{Deserialize, Serialize};

use crate::journal;
use crate::sample::{DONE, PATIENCE, Planted, Sample, Size, Sizes, TORMENT, agent, attr};

/// The calls.
pub const SAMPLE: Sample = Sample {
    name: "rpc",
    about: "calls that are carried out at most once, by a server that knows what it answered",
    bugs: &[
        Planted {
            name: "table-in-memory",
            about: "after a crash the server knows what it did, and not for whom",
            breaks: &[AT_MOST_ONCE, TRUE_ANSWERS],
        },
        Planted {
            name: "table-of-one",
            about: "the server only knows whom it answered last",
            breaks: &[AT_MOST_ONCE, TRUE_ANSWERS],
        },
        Planted {
            name: "answers-with-present",
            about: "a call that comes again is answered with what the list is now",
            breaks: &[TRUE_ANSWERS],
        },
        Planted {
            name: "answers-before-sync",
            about: "the server answers, and writes down what it did a little later",
            breaks: &[AT_MOST_ONCE, TRUE_ANSWERS],
        },
        Planted {
            name: "retries-anew",
            about: "the client asks again under a new number",
            breaks: &[AT_MOST_ONCE],
        },
        Planted {
            name: "numbers-begin-again",
            about: "after a crash the client takes numbers that it has used",
            breaks: &[TRUE_ANSWERS, AT_MOST_ONCE, ALL_DONE],
        },
        Planted {
            name: "any-answer",
            about: "the client takes any answer for the one it waits for",
            breaks: &[TRUE_ANSWERS],
        },
    ],
    registry: || {
        Registry::new().kind("rpc-server", |spec, _| Ok(Server::new(attr(spec)?.bug))).kind(
            "rpc-client",
            |spec, _| {
                let attr = attr(spec)?;
                Ok(Client::new(attr.bug, attr.operations))
            },
        )
    },
    agents: |size| {
        let clients = (2..2 + size.members).map(AgentId);
        let clients = clients.map(|id| agent(id, "rpc-client", size.operations));
        clients.chain([agent(SERVER, "rpc-server", 0)]).collect()
    },
    sizes: Sizes { least: Size::new(1, 1), most: Size::new(2, 15), small: Size::new(2, 1) },
    is_datagrams: true,
    workers: "rpc-client",
    watch,
    ends,
    torment: TORMENT,
    small_torments: [Duration::from_micros(800), Duration::from_millis(80)],
    most_down: 1,
};

const AT_MOST_ONCE: &str = "no call is carried out twice";
const TRUE_ANSWERS: &str = "an answer says what its call did";
const ALL_DONE: &str = "all calls are answered in the end";

const REPEATED: &str = "a call that comes again is answered from the table";
const ECHOED: &str = "a call comes after its client has made another";
const CALLED_ANEW: &str = "a client makes the call again that it was at when it crashed";

const SERVER: AgentId = AgentId(1);
/// Many times what an answer takes.
const RETRY: Duration = Duration::from_millis(30);
const RETRY_KEY: TimerKey = TimerKey(1);
/// How long a server gathers records that has the bug.
const GATHER: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bug {
    TableInMemory,
    TableOfOne,
    AnswersWithPresent,
    AnswersBeforeSync,
    RetriesAnew,
    NumbersBeginAgain,
    AnyAnswer,
}

/// What is to be appended: which client's how many-th operation. Two calls are never the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Item {
    client: AgentId,
    operation: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Rpc {
    Call { number: u64, item: Item },
    Answer { number: u64, place: u64 },
}

impl Message for Rpc {
    const NAME: &'static str = "rpc";
}

struct Server {
    bug: Option<Bug>,
    list: Vec<Item>,
    /// The number of each client's last call, and where it put its item.
    table: BTreeMap<AgentId, (u64, u64)>,
    unwritten: Vec<(u64, Item)>,
}

impl Server {
    fn new(bug: Option<Bug>) -> Self {
        Self { bug, list: Vec::new(), table: BTreeMap::new(), unwritten: Vec::new() }
    }

    fn append(&mut self, number: u64, item: Item) -> u64 {
        self.list.push(item);
        let place = self.list.len() as u64;
        if self.bug == Some(Bug::TableOfOne) {
            self.table.clear();
        }
        self.table.insert(item.client, (number, place));
        place
    }

    fn write(&mut self, number: u64, item: Item, cx: &mut Context) {
        if self.bug == Some(Bug::AnswersBeforeSync) {
            self.unwritten.push((number, item));
            cx.set_timer(TimerKey(1), GATHER);
        } else {
            cx.persist(journal::write(&(number, item)));
        }
    }
}

impl Agent for Server {
    type Message = Rpc;

    fn start(&mut self, cx: &mut Context) {
        for (number, item) in journal::records(cx) {
            self.append(number, item);
        }
        if self.bug == Some(Bug::TableInMemory) {
            self.table.clear();
        }
    }

    fn message(&mut self, from: AgentId, message: Rpc, cx: &mut Context) {
        let Rpc::Call { number, item } = message else { return };
        let place = match self.table.get(&from) {
            // It has its answer, or it would not have made another call: an echo from long ago.
            Some((last, _)) if number < *last => {
                cx.note(ECHOED, 1);
                return;
            }
            Some((last, _)) if number == *last && self.bug == Some(Bug::AnswersWithPresent) => {
                self.list.len() as u64
            }
            Some((last, place)) if number == *last => {
                cx.note(REPEATED, 1);
                *place
            }
            _ => {
                let place = self.append(number, item);
                self.write(number, item, cx);
                place
            }
        };
        cx.send(from, Rpc::Answer { number, place });
    }

    fn timer(&mut self, _: TimerKey, cx: &mut Context) {
        for record in std::mem::take(&mut self.unwritten) {
            cx.persist(journal::write(&record));
        }
    }
}

/// A client writes a call before it makes it, and an answer when it has it.
#[derive(Serialize, Deserialize)]
enum Record {
    Calls { number: u64 },
    Answered { place: u64 },
}

struct Client {
    bug: Option<Bug>,
    operations: u64,
    number: u64,
    is_waiting: bool,
    /// Where each operation put its item.
    places: Vec<u64>,
}

impl Client {
    fn new(bug: Option<Bug>, operations: u64) -> Self {
        Self { bug, operations, number: 0, is_waiting: false, places: Vec::new() }
    }

    fn next(&mut self, cx: &mut Context) {
        cx.note(DONE, self.places.len() as u64);
        cx.cancel(RETRY_KEY);
        self.is_waiting = (self.places.len() as u64) < self.operations;
        if self.is_waiting {
            self.number += 1;
            cx.persist(journal::write(&Record::Calls { number: self.number }));
            self.call(cx);
        }
    }

    fn call(&self, cx: &mut Context) {
        let item = Item { client: cx.me(), operation: self.places.len() as u64 };
        cx.send(SERVER, Rpc::Call { number: self.number, item });
        cx.set_timer(RETRY_KEY, RETRY);
    }
}

impl Agent for Client {
    type Message = Rpc;

    fn start(&mut self, cx: &mut Context) {
        for record in journal::records(cx) {
            match record {
                Record::Calls { .. } if self.bug == Some(Bug::NumbersBeginAgain) => {
                    self.is_waiting = true;
                }
                Record::Calls { number } => (self.number, self.is_waiting) = (number, true),
                Record::Answered { place } => {
                    self.places.push(place);
                    self.is_waiting = false;
                }
            }
        }
        if self.is_waiting && self.number > 0 {
            cx.note(CALLED_ANEW, 1);
            self.call(cx);
        } else {
            self.next(cx);
        }
    }

    fn message(&mut self, _: AgentId, message: Rpc, cx: &mut Context) {
        let Rpc::Answer { number, place } = message else { return };
        let is_known = number == self.number || self.bug == Some(Bug::AnyAnswer);
        if self.is_waiting && is_known {
            self.places.push(place);
            cx.persist(journal::write(&Record::Answered { place }));
            self.next(cx);
        }
    }

    fn timer(&mut self, _: TimerKey, cx: &mut Context) {
        if self.bug == Some(Bug::RetriesAnew) {
            self.next(cx);
        } else {
            self.call(cx);
        }
    }
}

fn watch(sim: &mut Sim) {
    for point in [REPEATED, ECHOED, CALLED_ANEW] {
        sim.watch_note(point);
    }
    let mut checked = 0;
    sim.always(AT_MOST_ONCE, move |sim| {
        let Some(server) = sim.agent::<Server>(SERVER) else { return Ok(()) };
        if server.list.len() == checked {
            return Ok(());
        }
        checked = server.list.len();
        let mut seen = BTreeSet::new();
        match server.list.iter().find(|item| !seen.insert(**item)) {
            Some(twice) => Err(format!("{twice:?} is in the list twice")),
            None => Ok(()),
        }
    });
    let clients = sim.directory().by_kind("rpc-client").to_vec();
    sim.always(TRUE_ANSWERS, move |sim| {
        let Some(server) = sim.agent::<Server>(SERVER) else { return Ok(()) };
        for id in &clients {
            // Before it has read its journal it knows nothing, and nor does the server.
            let Some(client) = sim.agent::<Client>(*id).filter(|it| it.number > 0) else {
                continue;
            };
            let Some(place) = client.places.last() else { continue };
            let item = Item { client: *id, operation: client.places.len() as u64 - 1 };
            let is_true = server.list.get(*place as usize - 1) == Some(&item);
            if !is_true && !server.list.is_empty() {
                return Err(format!("{item:?} is not at {place}, as {id} was told"));
            }
        }
        Ok(())
    });
}

fn ends(sim: &mut Sim) -> Result<(), Failure> {
    let count = sim.directory().by_kind("rpc-client").len();
    sim.run_until(ALL_DONE, PATIENCE, move |sim| {
        let done = sim.agents_of::<Client>();
        done.filter(|(_, it)| it.places.len() as u64 == it.operations).count() == count
    })
}
