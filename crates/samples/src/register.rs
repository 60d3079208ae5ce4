//! A register on several replicas that outlives a minority of them, without a leader (Attiya,
//! Bar-Noy, Dolev: "Sharing memory robustly in message-passing systems", JACM 1995; several
//! writers: Lynch and Shvartsman, FTCS 1997).
//!
//! Both reads and writes first ask a majority for what is newest. A write then stores something
//! newer at a majority. So does a read with what it found, unless a majority has it already, or a
//! later read could find something older.

use std::collections::BTreeSet;
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Message, Registry, TimerKey};
use dx_sim::history::{End, History};
use dx_sim::linear::{Register, RegisterInput, RegisterOutput, Verdict, check};
use dx_sim::{Failure, Sim};
use serde::{Deserialize, Serialize};

use crate::clients::{Diary, Historian};
use crate::journal;
use crate::sample::{DONE, PATIENCE, Planted, Sample, Size, Sizes, agent, attr};

/// The register.
pub const SAMPLE: Sample = Sample {
    name: "register",
    about: "a register on several replicas, read and written through majorities",
    bugs: &[
        Planted {
            name: "no-write-back",
            about: "a read answers what it found, and stores it nowhere",
            breaks: &[LINEARIZABLE],
        },
        Planted {
            name: "small-quorum",
            about: "half of the replicas are enough",
            breaks: &[LINEARIZABLE],
        },
        Planted {
            name: "replica-in-memory",
            about: "a replica acknowledges what it has not written down",
            breaks: &[LINEARIZABLE],
        },
        Planted {
            name: "last-arrival-wins",
            about: "a replica stores what comes, also if it is older than what it has",
            breaks: &[LINEARIZABLE],
        },
        Planted {
            name: "writers-alike",
            about: "two writers may give two values the same version",
            breaks: &[LINEARIZABLE],
        },
        Planted {
            name: "blind-writes",
            about: "a writer counts its own writes only, and does not ask what is newest",
            breaks: &[LINEARIZABLE],
        },
        Planted {
            name: "counts-twice",
            about: "a replica that answers twice counts as two",
            breaks: &[LINEARIZABLE],
        },
        Planted {
            name: "stale-answers",
            about: "an answer to an earlier question counts for the present one",
            breaks: &[LINEARIZABLE],
        },
    ],
    registry: || {
        Registry::new()
            .kind("replica", |spec, _| Ok(Replica { bug: attr(spec)?.bug, stored: NOTHING }))
            .kind("register-client", |spec, directory| {
                let attr = attr(spec)?;
                let replicas = directory.by_kind("replica").to_vec();
                Ok(Client::new(attr.bug, attr.operations, replicas))
            })
    },
    agents: |size| {
        let clients = (1..=size.members).map(AgentId);
        let clients = clients.map(|id| agent(id, "register-client", size.operations));
        let replicas = (11..=13).map(|id| agent(AgentId(id), "replica", 0));
        clients.chain(replicas).collect()
    },
    sizes: Sizes { least: Size::new(1, 1), most: Size::new(3, 12), small: Size::new(2, 2) },
    is_datagrams: false,
    workers: "register-client",
    watch,
    ends,
    torment: Duration::from_millis(300),
    small_torments: [Duration::from_micros(1600), Duration::from_millis(80)],
    most_down: 1,
};

const LINEARIZABLE: &str = "reads and writes are those of a single register";
const ALL_DONE: &str = "all reads and writes are answered in the end";

const DIFFERENT: &str = "replicas differ in what is newest";
const STALE: &str = "an answer comes to an earlier question";
const NEWER_STAYS: &str = "a replica is given something older than what it has";

/// Many times what an answer takes.
const RETRY: Duration = Duration::from_millis(20);
const RETRY_KEY: TimerKey = TimerKey(1);
/// The longest pause between two operations.
const THINKS: Duration = Duration::from_millis(2);
const NEXT_KEY: TimerKey = TimerKey(2);
/// The checker's steps: a thousand times as many as a history of this length usually takes.
const STEPS: u64 = 100_000;
const NOTHING: Stored = Stored { version: (0, AgentId(0), 0), value: 0 };

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bug {
    NoWriteBack,
    SmallQuorum,
    ReplicaInMemory,
    LastArrivalWins,
    WritersAlike,
    BlindWrites,
    CountsTwice,
    StaleAnswers,
}

/// A value and its version: a number, by whom, and in which life. Without the life, a writer that
/// crashed may give the version of what it began to write to something else (one in 9,000 seeds).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    version: (u64, AgentId, u64),
    value: u64,
}

/// `question` tells one phase of an operation from another.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Say {
    Query { question: u64 },
    Newest { question: u64, stored: Stored },
    Store { question: u64, stored: Stored },
    Ok { question: u64 },
}

impl Message for Say {
    const NAME: &'static str = "register";
}

struct Replica {
    bug: Option<Bug>,
    stored: Stored,
}

impl Agent for Replica {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        self.stored = journal::records(cx).pop().unwrap_or(NOTHING);
    }

    fn message(&mut self, from: AgentId, message: Say, cx: &mut Context) {
        match message {
            Say::Query { question } => {
                cx.send(from, Say::Newest { question, stored: self.stored });
            }
            Say::Store { question, stored } => {
                let is_newer = stored.version > self.stored.version;
                if is_newer || self.bug == Some(Bug::LastArrivalWins) {
                    self.stored = stored;
                    if self.bug != Some(Bug::ReplicaInMemory) {
                        cx.persist(journal::write(&stored));
                    }
                }
                if stored.version < self.stored.version {
                    cx.note(NEWER_STAYS, 1);
                }
                cx.send(from, Say::Ok { question });
            }
            Say::Newest { .. } | Say::Ok { .. } => {}
        }
    }
}

struct Client {
    bug: Option<Bug>,
    operations: u64,
    replicas: Vec<AgentId>,
    question: u64,
    /// Operations that were begun in any life, so that it ends at some time.
    begun: u64,
    /// Writes of this life.
    writes: u64,
    phase: Phase,
    answered_by: Vec<AgentId>,
    diary: Option<Diary<RegisterInput<u64>, RegisterOutput<u64>>>,
}

#[derive(Clone, Copy)]
enum Phase {
    Idle,
    /// Asks for the newest; to write this, or to read.
    Queries {
        found: Stored,
        write: Option<u64>,
        /// Whether all answers so far are the same.
        is_agreed: bool,
    },
    Stores {
        stored: Stored,
        is_read: bool,
    },
}

impl Client {
    fn new(bug: Option<Bug>, operations: u64, replicas: Vec<AgentId>) -> Self {
        Self {
            bug,
            operations,
            replicas,
            question: 0,
            begun: 0,
            writes: 0,
            phase: Phase::Idle,
            answered_by: Vec::new(),
            diary: None,
        }
    }

    fn begin(&mut self, cx: &mut Context) {
        cx.note(DONE, self.begun);
        if self.begun == self.operations {
            return;
        }
        self.begun += 1;
        cx.persist(journal::write(&self.begun));
        // Each operation asks twice at most, and is written down before it does: no life asks under a
        // number of an earlier one, whose answers must not pass for its own.
        self.question = 2 * self.begun;
        // No value is written twice, and small systems have both writers and readers.
        let me = cx.me().0;
        let is_write = if self.operations > 2 {
            cx.rng().below(2) == 0
        } else {
            (me + self.begun).is_multiple_of(2)
        };
        let write = is_write.then_some(me * 1000 + self.begun);
        let diary = self.diary.get_or_insert_with(|| Diary::new(cx));
        diary.ask(write.map_or(RegisterInput::Read, RegisterInput::Write));
        self.ask(Phase::Queries { found: NOTHING, write, is_agreed: true }, cx);
        if let (Some(value), Some(Bug::BlindWrites)) = (write, self.bug) {
            self.store(NOTHING, value, cx);
        }
    }

    fn ask(&mut self, phase: Phase, cx: &mut Context) {
        self.phase = phase;
        self.question += 1;
        self.answered_by.clear();
        self.send(cx);
    }

    fn send(&self, cx: &mut Context) {
        let question = self.question;
        let message = match self.phase {
            Phase::Idle => return,
            Phase::Queries { .. } => Say::Query { question },
            Phase::Stores { stored, .. } => Say::Store { question, stored },
        };
        cx.send_many(&self.replicas, &message);
        cx.set_timer(RETRY_KEY, RETRY);
    }

    fn store(&mut self, found: Stored, value: u64, cx: &mut Context) {
        self.writes += 1;
        let is_alike = self.bug == Some(Bug::WritersAlike);
        let (by, life) = if is_alike { (AgentId(0), 0) } else { (cx.me(), cx.incarnation().0) };
        let blind = self.bug == Some(Bug::BlindWrites);
        let number = if blind { self.writes } else { found.version.0 + 1 };
        let stored = Stored { version: (number, by, life), value };
        self.ask(Phase::Stores { stored, is_read: false }, cx);
    }

    fn has_quorum(&mut self, from: AgentId) -> bool {
        if !self.answered_by.contains(&from) || self.bug == Some(Bug::CountsTwice) {
            self.answered_by.push(from);
        }
        let half = self.replicas.len() / 2;
        let quorum = if self.bug == Some(Bug::SmallQuorum) { half } else { half + 1 };
        self.answered_by.len() >= quorum
    }

    fn end(&mut self, output: RegisterOutput<u64>, cx: &mut Context) {
        self.phase = Phase::Idle;
        cx.cancel(RETRY_KEY);
        if let Some(diary) = &mut self.diary {
            diary.answer(output);
        }
        let pause = cx.rng().below(THINKS.as_nanos() as u64);
        cx.set_timer(NEXT_KEY, Duration::from_nanos(pause));
    }

    fn newest(&mut self, from: AgentId, stored: Stored, cx: &mut Context) {
        let Phase::Queries { found, write, is_agreed } = self.phase else { return };
        let is_agreed = is_agreed && (self.answered_by.is_empty() || stored == found);
        if !is_agreed {
            cx.note(DIFFERENT, 1);
        }
        let found = if stored.version > found.version { stored } else { found };
        self.phase = Phase::Queries { found, write, is_agreed };
        if !self.has_quorum(from) {
            return;
        }
        match write {
            Some(value) => self.store(found, value, cx),
            // What a majority has, every later question finds.
            None if is_agreed || self.bug == Some(Bug::NoWriteBack) => {
                self.end(RegisterOutput::Value(found.value), cx);
            }
            None => self.ask(Phase::Stores { stored: found, is_read: true }, cx),
        }
    }
}

impl Agent for Client {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        self.begun = journal::records(cx).pop().unwrap_or(0);
        self.begin(cx);
    }

    fn message(&mut self, from: AgentId, message: Say, cx: &mut Context) {
        let counts = |question| question == self.question || self.bug == Some(Bug::StaleAnswers);
        match message {
            Say::Newest { question, stored } if counts(question) => {
                self.newest(from, stored, cx);
            }
            Say::Ok { question } if counts(question) => {
                let Phase::Stores { stored, is_read } = self.phase else { return };
                if self.has_quorum(from) {
                    let value = RegisterOutput::Value(stored.value);
                    self.end(if is_read { value } else { RegisterOutput::Written }, cx);
                }
            }
            _ => cx.note(STALE, 1),
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        if key == NEXT_KEY {
            self.begin(cx);
        } else {
            self.send(cx);
        }
    }
}

type Seen = History<RegisterInput<u64>, RegisterOutput<u64>>;

fn watch(sim: &mut Sim) {
    for point in [DIFFERENT, STALE, NEWER_STAYS] {
        sim.watch_note(point);
    }
    let clients = sim.directory().by_kind("register-client").to_vec();
    let mut historian = Historian::default();
    let mut checked = 0;
    sim.always(LINEARIZABLE, move |sim| {
        for id in &clients {
            if let Some(diary) = sim.agent::<Client>(*id).and_then(|it| it.diary.as_ref()) {
                historian.read(*id, diary, sim.now().0);
            }
        }
        if historian.answered() == checked {
            return Ok(());
        }
        checked = historian.answered();
        match check(&Register { initial: 0 }, &what_counts(historian.history()), STEPS) {
            Verdict::Linearizable(_) => Ok(()),
            Verdict::Violated(why) => Err(why.to_string()),
            Verdict::Undecided { .. } => Err(format!("not decided in {STEPS} steps")),
        }
    });
}

/// Without what was not answered and changed nothing that anybody saw: no order depends on it, and
/// clients that crash again and again leave many such operations.
fn what_counts(seen: &Seen) -> Seen {
    let read: BTreeSet<u64> = seen
        .iter()
        .filter_map(|(_, operation)| match operation.output() {
            Some(RegisterOutput::Value(value)) => Some(*value),
            _ => None,
        })
        .collect();
    let mut counts = seen.clone();
    for (id, operation) in seen.iter().filter(|(_, it)| matches!(it.end, End::Open)) {
        let is_seen = match &operation.input {
            RegisterInput::Write(value) => read.contains(value),
            RegisterInput::Read => false,
        };
        if !is_seen {
            counts.never(id);
        }
    }
    counts
}

fn ends(sim: &mut Sim) -> Result<(), Failure> {
    let count = sim.directory().by_kind("register-client").len();
    sim.run_until(ALL_DONE, PATIENCE, move |sim| {
        let clients = sim.agents_of::<Client>();
        let done = |it: &Client| it.begun == it.operations && matches!(it.phase, Phase::Idle);
        clients.filter(|(_, it)| done(it)).count() == count
    })
}
