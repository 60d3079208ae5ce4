//! Two-phase commit with presumed abort (Gray: "Notes on data base operating systems", 1978; Mohan,
//! Lindsay, Obermarck: "Transaction management in the R* distributed database management system",
//! TODS 1986): all participants commit a transaction, or none does.
//!
//! A participant writes down that it is prepared before it votes for a transaction, and from then on
//! may not decide alone: it asks until it is told. The coordinator writes down what is committed
//! before it says so; what it has not written down and is not at work on is aborted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Message, Registry, TimerKey};
use dx_sim::{Failure, Sim};
use serde::{Deserialize, Serialize};

use crate::journal;
use crate::sample::{DONE, PATIENCE, Planted, Sample, Size, Sizes, TORMENT, agent, attr};

/// The transactions.
pub const SAMPLE: Sample = Sample {
    name: "commit",
    about: "transactions that all participants commit, or none",
    bugs: &[
        Planted {
            name: "decision-in-memory",
            about: "the coordinator tells a decision that it has not written down",
            breaks: &[ALIKE],
        },
        Planted {
            name: "prepared-in-memory",
            about: "a participant votes and does not write down that it did",
            breaks: &[ALIKE, UNANIMOUS],
        },
        Planted {
            name: "votes-before-sync",
            about: "a participant votes, and writes down that it did a little later",
            breaks: &[ALIKE, UNANIMOUS],
        },
        Planted {
            name: "decides-alone",
            about: "a participant that is not told a decision aborts",
            breaks: &[ALIKE],
        },
        Planted {
            name: "majority-commits",
            about: "the coordinator does not wait for all votes",
            breaks: &[ALIKE, UNANIMOUS],
        },
        Planted {
            name: "presumes-commit",
            about: "the coordinator takes what it does not know for committed",
            breaks: &[ALIKE, UNANIMOUS],
        },
        Planted {
            name: "aborts-while-voting",
            about: "the coordinator takes what it has not decided yet for aborted when it is asked",
            breaks: &[ALIKE],
        },
        Planted {
            name: "any-vote",
            about: "a vote counts for whatever is voted on when it comes",
            breaks: &[ALIKE, UNANIMOUS],
        },
        Planted {
            name: "asks-nobody",
            about: "a participant waits to be told a decision, and does not ask for it",
            breaks: &[ALL_DECIDED],
        },
    ],
    registry: || {
        Registry::new()
            .kind("coordinator", |spec, directory| {
                let attr = attr(spec)?;
                let participants = directory.by_kind("participant").to_vec();
                Ok(Coordinator::new(attr.bug, attr.operations, participants))
            })
            .kind("participant", |spec, _| Ok(Participant::new(attr(spec)?.bug)))
    },
    agents: |size| {
        let participants = (2..2 + size.members).map(AgentId);
        let participants = participants.map(|id| agent(id, "participant", 0));
        participants.chain([agent(COORDINATOR, "coordinator", size.operations)]).collect()
    },
    sizes: Sizes { least: Size::new(2, 1), most: Size::new(3, 40), small: Size::new(2, 1) },
    is_datagrams: false,
    workers: "coordinator",
    watch,
    ends,
    torment: TORMENT,
    small_torments: [Duration::from_micros(800), Duration::from_millis(80)],
    most_down: 2,
};

const ALIKE: &str = "no transaction is committed here and aborted there";
const UNANIMOUS: &str = "what is committed was prepared by all";
const ALL_DECIDED: &str = "nobody is in doubt in the end";

const NEVER_HEARD: &str = "a participant is told of a transaction that it never heard of";
const TOLD_COMMIT: &str = "a participant in doubt is told that all is committed";
const TOLD_ABORT: &str = "a participant in doubt is told that all is aborted";
const NO_VOTES: &str = "votes are missing when their time is over";
const STARTS_IN_DOUBT: &str = "a participant starts in doubt";

const COORDINATOR: AgentId = AgentId(1);
/// After which votes that are missing count as against. Many times what an answer takes.
const VOTING: Duration = Duration::from_millis(20);
const VOTING_KEY: TimerKey = TimerKey(1);
/// The longest pause between two transactions.
const PAUSE: Duration = Duration::from_millis(4);
const NEXT_KEY: TimerKey = TimerKey(2);
/// After which a participant in doubt asks.
const DOUBT: Duration = Duration::from_millis(15);
const DOUBT_KEY: TimerKey = TimerKey(3);
/// How long a participant gathers records that has the bug.
const GATHER: Duration = Duration::from_millis(5);
const GATHER_KEY: TimerKey = TimerKey(4);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bug {
    DecisionInMemory,
    PreparedInMemory,
    VotesBeforeSync,
    DecidesAlone,
    MajorityCommits,
    PresumesCommit,
    AbortsWhileVoting,
    AnyVote,
    AsksNobody,
}

/// A transaction: a life of the coordinator, and a number in it. Never used again.
type Id = (u64, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Decision {
    Commit,
    Abort,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Say {
    Prepare(Id),
    Vote {
        id: Id,
        is_for: bool,
    },
    Decided(Id, Decision),
    /// What has become of it?
    Asks(Id),
}

impl Message for Say {
    const NAME: &'static str = "commit";
}

/// A coordinator writes what begins, so that it ends at some time, and what is committed.
#[derive(Serialize, Deserialize)]
enum Record {
    Begun,
    Committed(Id),
}

struct Coordinator {
    bug: Option<Bug>,
    operations: u64,
    participants: Vec<AgentId>,
    begun: u64,
    committed: BTreeSet<Id>,
    voting: Option<Id>,
    votes: BTreeSet<AgentId>,
}

impl Coordinator {
    fn new(bug: Option<Bug>, operations: u64, participants: Vec<AgentId>) -> Self {
        let (committed, votes) = (BTreeSet::new(), BTreeSet::new());
        Self { bug, operations, participants, begun: 0, committed, voting: None, votes }
    }

    fn begin(&mut self, cx: &mut Context) {
        cx.note(DONE, self.begun);
        if self.begun == self.operations {
            return;
        }
        self.begun += 1;
        cx.persist(journal::write(&Record::Begun));
        let id = (cx.incarnation().0, self.begun);
        self.voting = Some(id);
        self.votes.clear();
        cx.send_many(&self.participants, &Say::Prepare(id));
        cx.set_timer(VOTING_KEY, VOTING);
    }

    fn decide(&mut self, id: Id, decision: Decision, cx: &mut Context) {
        self.voting = None;
        cx.cancel(VOTING_KEY);
        if decision == Decision::Commit {
            self.committed.insert(id);
            if self.bug != Some(Bug::DecisionInMemory) {
                cx.persist(journal::write(&Record::Committed(id)));
            }
        }
        cx.send_many(&self.participants, &Say::Decided(id, decision));
        let pause = cx.rng().below(PAUSE.as_nanos() as u64);
        cx.set_timer(NEXT_KEY, Duration::from_nanos(pause));
    }

    fn voted(&mut self, from: AgentId, id: Id, is_for: bool, cx: &mut Context) {
        let Some(current) = self.voting else { return };
        if id != current && self.bug != Some(Bug::AnyVote) {
            return;
        }
        if !is_for {
            return self.decide(current, Decision::Abort, cx);
        }
        self.votes.insert(from);
        let all = self.participants.len();
        let enough = if self.bug == Some(Bug::MajorityCommits) { all / 2 + 1 } else { all };
        if self.votes.len() >= enough {
            self.decide(current, Decision::Commit, cx);
        }
    }

    fn asked(&self, from: AgentId, id: Id, cx: &mut Context) {
        let is_voting = self.voting == Some(id) && self.bug != Some(Bug::AbortsWhileVoting);
        if is_voting {
            return;
        }
        let is_committed = self.committed.contains(&id) || self.bug == Some(Bug::PresumesCommit);
        let decision = if is_committed { Decision::Commit } else { Decision::Abort };
        cx.note(if is_committed { TOLD_COMMIT } else { TOLD_ABORT }, 1);
        cx.send(from, Say::Decided(id, decision));
    }
}

impl Agent for Coordinator {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        for record in journal::records(cx) {
            match record {
                Record::Begun => self.begun += 1,
                Record::Committed(id) => drop(self.committed.insert(id)),
            }
        }
        self.begin(cx);
    }

    fn message(&mut self, from: AgentId, message: Say, cx: &mut Context) {
        match message {
            Say::Vote { id, is_for } => self.voted(from, id, is_for, cx),
            Say::Asks(id) => self.asked(from, id, cx),
            Say::Prepare(_) | Say::Decided(..) => {}
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        match self.voting {
            Some(id) if key == VOTING_KEY => {
                cx.note(NO_VOTES, 1);
                self.decide(id, Decision::Abort, cx);
            }
            Some(_) => {}
            None => self.begin(cx),
        }
    }
}

/// What a participant knows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stand {
    Prepared,
    Ended(Decision),
}

struct Participant {
    bug: Option<Bug>,
    stands: BTreeMap<Id, Stand>,
    in_doubt: BTreeSet<Id>,
    unwritten: Vec<Id>,
}

impl Participant {
    fn new(bug: Option<Bug>) -> Self {
        Self { bug, stands: BTreeMap::new(), in_doubt: BTreeSet::new(), unwritten: Vec::new() }
    }

    fn know(&mut self, id: Id, stand: Stand) {
        self.stands.insert(id, stand);
        match stand {
            Stand::Prepared => self.in_doubt.insert(id),
            Stand::Ended(_) => self.in_doubt.remove(&id),
        };
    }

    fn prepare(&mut self, from: AgentId, id: Id, cx: &mut Context) {
        let is_known = self.stands.contains_key(&id);
        // As if there was no room: some transactions must fail.
        let is_for = !is_known && cx.rng().below(6) > 0;
        if is_for {
            self.know(id, Stand::Prepared);
            match self.bug {
                Some(Bug::PreparedInMemory) => {}
                Some(Bug::VotesBeforeSync) => {
                    self.unwritten.push(id);
                    cx.set_timer(GATHER_KEY, GATHER);
                }
                _ => cx.persist(journal::write(&(id, Stand::Prepared))),
            }
            if self.bug != Some(Bug::AsksNobody) {
                cx.set_timer(DOUBT_KEY, DOUBT);
            }
        } else if !is_known {
            self.end(id, Decision::Abort, cx);
        }
        cx.send(from, Say::Vote { id, is_for });
    }

    fn end(&mut self, id: Id, decision: Decision, cx: &mut Context) {
        self.know(id, Stand::Ended(decision));
        cx.persist(journal::write(&(id, Stand::Ended(decision))));
    }

    fn told(&mut self, id: Id, decision: Decision, cx: &mut Context) {
        match (self.stands.get(&id), decision) {
            (Some(Stand::Prepared), _) => self.end(id, decision, cx),
            // It never heard of it, so it has not voted for it, so it is aborted.
            (None, _) => {
                cx.note(NEVER_HEARD, 1);
                self.end(id, Decision::Abort, cx);
            }
            (Some(Stand::Ended(_)), _) => {}
        }
    }
}

impl Agent for Participant {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        for (id, stand) in journal::records(cx) {
            self.know(id, stand);
        }
        if !self.in_doubt.is_empty() {
            cx.note(STARTS_IN_DOUBT, 1);
        }
        if self.bug != Some(Bug::AsksNobody) {
            cx.set_timer(DOUBT_KEY, DOUBT);
        }
    }

    fn message(&mut self, from: AgentId, message: Say, cx: &mut Context) {
        match message {
            Say::Prepare(id) => self.prepare(from, id, cx),
            Say::Decided(id, decision) => self.told(id, decision, cx),
            Say::Vote { .. } | Say::Asks(_) => {}
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        if key == GATHER_KEY {
            for id in std::mem::take(&mut self.unwritten) {
                cx.persist(journal::write(&(id, self.stands[&id])));
            }
            return;
        }
        for id in self.in_doubt.clone() {
            if self.bug == Some(Bug::DecidesAlone) {
                self.end(id, Decision::Abort, cx);
            } else {
                cx.send(COORDINATOR, Say::Asks(id));
            }
        }
        if !self.in_doubt.is_empty() {
            cx.set_timer(DOUBT_KEY, DOUBT);
        }
    }
}

fn watch(sim: &mut Sim) {
    for point in [NEVER_HEARD, TOLD_COMMIT, TOLD_ABORT, NO_VOTES, STARTS_IN_DOUBT] {
        sim.watch_note(point);
    }
    let participants = sim.directory().by_kind("participant").to_vec();
    let all = participants.clone();
    let mut decided: BTreeMap<Id, (AgentId, Decision)> = BTreeMap::new();
    let mut lengths: BTreeMap<AgentId, (usize, usize)> = BTreeMap::new();
    sim.always(ALIKE, move |sim| {
        for who in &participants {
            let Some(participant) = sim.agent::<Participant>(*who) else { continue };
            let length = (participant.stands.len(), participant.in_doubt.len());
            if lengths.insert(*who, length) == Some(length) {
                continue;
            }
            for (id, stand) in &participant.stands {
                let Stand::Ended(decision) = *stand else { continue };
                let (other, first) = *decided.entry(*id).or_insert((*who, decision));
                if first != decision {
                    return Err(format!("{id:?}: {first:?} at {other}, {decision:?} at {who}"));
                }
            }
        }
        Ok(())
    });
    let mut prepared: BTreeSet<(AgentId, Id)> = BTreeSet::new();
    sim.always(UNANIMOUS, move |sim| {
        for who in &all {
            let Some(participant) = sim.agent::<Participant>(*who) else { continue };
            prepared.extend(participant.in_doubt.iter().map(|id| (*who, *id)));
        }
        let committed = sim.agent::<Coordinator>(COORDINATOR).map(|it| &it.committed);
        for id in committed.into_iter().flatten() {
            if let Some(who) = all.iter().find(|who| !prepared.contains(&(**who, *id))) {
                return Err(format!("{id:?} is committed, and {who} never was prepared"));
            }
        }
        Ok(())
    });
}

fn ends(sim: &mut Sim) -> Result<(), Failure> {
    let count = sim.directory().by_kind("participant").len();
    sim.run_until(ALL_DECIDED, PATIENCE, move |sim| {
        let done = sim.agent::<Coordinator>(COORDINATOR).is_some_and(|coordinator| {
            coordinator.begun == coordinator.operations && coordinator.voting.is_none()
        });
        let sure = sim.agents_of::<Participant>().filter(|(_, it)| it.in_doubt.is_empty());
        done && sure.count() == count
    })
}
