//! Five voters elect a leader for a term: at most one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dx_agents::{
    Agent, AgentId, AgentSpec, Context, Directory, Message, NodeId, Options, Registry, TimerKey,
};
use dx_sim::{Choices, Failure, Scenario, Sim, SimConfig};
use serde::{Deserialize, Serialize};

const VOTERS: u64 = 5;
const PATIENCE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    None,
    /// Whom it voted for is not written down.
    VoteInMemory,
    /// Half of them are enough.
    SmallQuorum,
    /// A vote that comes twice counts twice.
    CountsTwice,
    /// A vote counts in whatever term it comes.
    StaleVotes,
    /// Everybody who asks gets a vote.
    VotesAgain,
}

#[derive(Clone, Serialize, Deserialize)]
enum Say {
    Elect(u64),
    Vote(u64),
    Lead(u64),
}

impl Message for Say {
    const NAME: &'static str = "say";
}

struct Voter {
    bug: Bug,
    term: u64,
    voted: Option<AgentId>,
    votes: Vec<AgentId>,
    is_candidate: bool,
    leads: Option<u64>,
}

const PATIENCE_KEY: TimerKey = TimerKey(1);
const AGAIN_KEY: TimerKey = TimerKey(2);

impl Voter {
    fn wait(cx: &mut Context) {
        let more = cx.rng().below(PATIENCE.as_nanos() as u64);
        cx.set_timer(PATIENCE_KEY, PATIENCE + Duration::from_nanos(more));
    }

    fn all(cx: &mut Context, say: &Say) {
        let me = cx.me();
        let others: Vec<AgentId> = (1..=VOTERS).map(AgentId).filter(|id| *id != me).collect();
        cx.send_many(&others, say);
    }

    fn write(&self, cx: &mut Context) {
        let voted = self.voted.filter(|_| self.bug != Bug::VoteInMemory);
        cx.persist(serde_json::to_vec(&(self.term, voted)).unwrap());
    }

    fn enter(&mut self, term: u64) {
        self.term = term;
        self.voted = None;
        self.is_candidate = false;
        self.leads = None;
    }
}

impl Agent for Voter {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        if let Some(record) = cx.recovered().records.last() {
            (self.term, self.voted) = serde_json::from_slice(record).unwrap();
        }
        Self::wait(cx);
    }

    fn message(&mut self, from: AgentId, say: Say, cx: &mut Context) {
        match say {
            Say::Elect(term) => {
                if term > self.term {
                    self.enter(term);
                }
                let is_free = self.voted.is_none_or(|voted| voted == from);
                if term == self.term && (is_free || self.bug == Bug::VotesAgain) {
                    self.voted = Some(from);
                    self.write(cx);
                    cx.send(from, Say::Vote(term));
                    Self::wait(cx);
                }
            }
            Say::Vote(term) => {
                let counts = term == self.term || self.bug == Bug::StaleVotes;
                let is_new = !self.votes.contains(&from) || self.bug == Bug::CountsTwice;
                if !self.is_candidate || !counts || !is_new {
                    return;
                }
                self.votes.push(from);
                let quorum = if self.bug == Bug::SmallQuorum { VOTERS / 2 } else { VOTERS / 2 + 1 };
                if self.votes.len() as u64 >= quorum && self.leads.is_none() {
                    self.leads = Some(self.term);
                    Self::all(cx, &Say::Lead(self.term));
                }
            }
            Say::Lead(term) => {
                if term > self.term {
                    self.enter(term);
                    self.write(cx);
                }
                if term == self.term {
                    Self::wait(cx);
                }
            }
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        if key == PATIENCE_KEY && self.leads.is_none() {
            self.enter(self.term + 1);
            self.is_candidate = true;
            self.voted = Some(cx.me());
            self.votes = vec![cx.me()];
            self.write(cx);
        }
        if self.leads.is_none() && self.is_candidate {
            Self::all(cx, &Say::Elect(self.term));
            cx.set_timer(AGAIN_KEY, PATIENCE / 4);
        }
        if key == PATIENCE_KEY {
            if let Some(term) = self.leads {
                Self::all(cx, &Say::Lead(term));
                cx.set_timer(PATIENCE_KEY, PATIENCE / 3);
            } else {
                Self::wait(cx);
            }
        }
    }
}

fn make(bug: Bug) -> impl Fn(u64, Choices) -> Sim {
    move |seed, choices| {
        let registry = Registry::new().kind("voter", move |_, _| {
            let (voted, votes, leads) = (None, Vec::new(), None);
            Ok(Voter { bug, term: 0, voted, votes, is_candidate: false, leads })
        });
        let spec = |id| AgentSpec {
            id: AgentId(id),
            kind: "voter".to_owned(),
            node: NodeId(id as u32),
            attr: serde_json::Value::Null,
            options: Options::default(),
        };
        let config = SimConfig::seeded(seed);
        let directory = Directory::new((1..=VOTERS).map(spec));
        Sim::with_choices(config, directory, registry, choices).unwrap()
    }
}

fn one_leader(sim: &mut Sim) {
    let mut leaders: BTreeMap<u64, AgentId> = BTreeMap::new();
    sim.always("a term has one leader", move |sim| {
        for id in (1..=VOTERS).map(AgentId) {
            let Some(term) = sim.agent::<Voter>(id).and_then(|voter| voter.leads) else { continue };
            let first = *leaders.entry(term).or_insert(id);
            if first != id {
                return Err(format!("{first} and {id} lead in term {term}"));
            }
        }
        Ok(())
    });
}

fn play(sim: &mut Sim) -> Result<(), Failure> {
    one_leader(sim);
    sim.torment(Duration::from_secs(1), 2)?;
    sim.run_until("all follow one leader in the end", Duration::from_mins(2), |sim| {
        let voters: Vec<_> = sim.agents_of::<Voter>().map(|(_, voter)| voter).collect();
        let terms: BTreeSet<u64> = voters.iter().map(|voter| voter.term).collect();
        voters.len() as u64 == VOTERS
            && terms.len() == 1
            && voters.iter().any(|it| it.leads.is_some())
    })
}

#[test]
fn the_correct_election_raises_no_alarm_and_is_the_same_run_twice() {
    let scenario = Scenario { make: make(Bug::None), play };
    scenario.explore(0..super::QUIET).expect_none();
    scenario.determined(0..20).unwrap();
}

#[test]
fn every_bug_of_the_election_is_found() {
    let bugs =
        [Bug::VoteInMemory, Bug::SmallQuorum, Bug::CountsTwice, Bug::StaleVotes, Bug::VotesAgain];
    for bug in bugs {
        super::hunt(&format!("{bug:?}"), &Scenario { make: make(bug), play });
    }
}

/// A short run without faults, in which only the order of messages and timers is open.
fn elect(sim: &mut Sim) -> Result<(), Failure> {
    one_leader(sim);
    sim.run_for(5 * PATIENCE)
}

#[test]
fn bugs_that_need_an_order_are_found_by_search_and_by_priorities() {
    for bug in [Bug::SmallQuorum, Bug::CountsTwice, Bug::StaleVotes, Bug::VotesAgain] {
        let scenario = Scenario { make: make(bug), play: elect };
        super::prioritize(&format!("{bug:?}"), &scenario, 2 * PATIENCE);
    }
    let scenario = Scenario { make: make(Bug::VotesAgain), play: elect };
    super::search("VotesAgain", &scenario, 2 * PATIENCE);
}

#[test]
fn the_correct_election_holds_in_every_order() {
    super::hold_in_every_order(&Scenario { make: make(Bug::None), play: elect }, 2 * PATIENCE);
}
