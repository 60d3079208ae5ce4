//! Voters elect a leader for a term: at most one (Ongaro and Ousterhout: "In search of an
//! understandable consensus algorithm", ATC 2014, section 5.2, without the log).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Instant, Message, Registry, TimerKey};
use dx_sim::{Failure, Sim};
use serde::{Deserialize, Serialize};

use crate::journal;
use crate::sample::{DONE, PATIENCE, Planted, Sample, Size, Sizes, TORMENT, agent, attr};

/// The election.
pub const SAMPLE: Sample = Sample {
    name: "election",
    about: "voters elect a leader for a term, and elect another if it is not heard of",
    bugs: &[
        Planted {
            name: "vote-in-memory",
            about: "whom it voted for is not written down",
            breaks: &[ONE_LEADER],
        },
        Planted { name: "small-quorum", about: "half of them are enough", breaks: &[ONE_LEADER] },
        Planted {
            name: "counts-twice",
            about: "a vote that comes twice counts twice",
            breaks: &[ONE_LEADER],
        },
        Planted {
            name: "stale-votes",
            about: "a vote counts in whatever term it comes",
            breaks: &[ONE_LEADER],
        },
        Planted {
            name: "votes-again",
            about: "everybody who asks gets a vote",
            breaks: &[ONE_LEADER],
        },
        Planted {
            name: "patience-not-renewed",
            about: "a voter that hears of its leader does not wait anew",
            breaks: &[CALM, PATIENT],
        },
    ],
    registry: || {
        Registry::new().kind("voter", |spec, directory| {
            let voters = directory.by_kind("voter").to_vec();
            Ok(Voter::new(attr(spec)?.bug, voters))
        })
    },
    agents: |size| (1..=size.members).map(|id| agent(AgentId(id), "voter", 1)).collect(),
    sizes: Sizes { least: Size::new(3, 1), most: Size::new(5, 1), small: Size::new(3, 1) },
    is_datagrams: false,
    workers: "voter",
    watch,
    ends,
    torment: TORMENT,
    small_torments: [Duration::from_millis(40), Duration::from_millis(200)],
    most_down: 2,
};

const ONE_LEADER: &str = "a term has one leader";
const ALL_FOLLOW: &str = "all follow one leader in the end";
const CALM: &str = "a leader that is heard of stays";
const PATIENT: &str = "nobody stands who has just heard of a leader";

const HAS_VOTED: &str = "a voter is asked that has voted for another";
const STEPS_DOWN: &str = "a leader hears of a later term";
const STALE_VOTE: &str = "a vote comes from an earlier term";

/// Many times what a message takes.
const WAIT: Duration = Duration::from_millis(20);
/// Twice what nodes need to find each other again.
const SETTLED: Duration = Duration::from_secs(1);
const WAIT_KEY: TimerKey = TimerKey(1);
const AGAIN_KEY: TimerKey = TimerKey(2);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bug {
    VoteInMemory,
    SmallQuorum,
    CountsTwice,
    StaleVotes,
    VotesAgain,
    PatienceNotRenewed,
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
    bug: Option<Bug>,
    voters: Vec<AgentId>,
    term: u64,
    voted: Option<AgentId>,
    votes: Vec<AgentId>,
    is_candidate: bool,
    /// The term in which it leads.
    leads: Option<u64>,
    /// When it last heard of a leader.
    heard: Option<Instant>,
    /// How long it had not when it stood last.
    waited: Option<Duration>,
}

impl Voter {
    fn new(bug: Option<Bug>, voters: Vec<AgentId>) -> Self {
        Self {
            bug,
            voters,
            term: 0,
            voted: None,
            votes: Vec::new(),
            is_candidate: false,
            leads: None,
            heard: None,
            waited: None,
        }
    }

    fn wait(cx: &mut Context) {
        let more = cx.rng().below(WAIT.as_nanos() as u64);
        cx.set_timer(WAIT_KEY, WAIT + Duration::from_nanos(more));
    }

    fn tell_others(&self, cx: &mut Context, say: &Say) {
        let me = cx.me();
        let others: Vec<AgentId> = self.voters.iter().copied().filter(|id| *id != me).collect();
        cx.send_many(&others, say);
    }

    fn write(&self, cx: &mut Context) {
        let voted = self.voted.filter(|_| self.bug != Some(Bug::VoteInMemory));
        cx.persist(journal::write(&(self.term, voted)));
    }

    fn enter(&mut self, term: u64) {
        self.term = term;
        self.voted = None;
        self.is_candidate = false;
        self.leads = None;
    }

    fn asked_for_vote(&mut self, from: AgentId, term: u64, cx: &mut Context) {
        if term > self.term {
            if self.leads.is_some() {
                cx.note(STEPS_DOWN, 1);
            }
            self.enter(term);
        }
        let is_free = self.voted.is_none_or(|voted| voted == from);
        if term == self.term && (is_free || self.bug == Some(Bug::VotesAgain)) {
            self.voted = Some(from);
            self.write(cx);
            cx.send(from, Say::Vote(term));
            Self::wait(cx);
        } else if term == self.term {
            cx.note(HAS_VOTED, 1);
        }
    }

    fn given_vote(&mut self, from: AgentId, term: u64, cx: &mut Context) {
        let counts = term == self.term || self.bug == Some(Bug::StaleVotes);
        let is_new = !self.votes.contains(&from) || self.bug == Some(Bug::CountsTwice);
        if term < self.term {
            cx.note(STALE_VOTE, 1);
        }
        if !self.is_candidate || !counts || !is_new {
            return;
        }
        self.votes.push(from);
        let half = self.voters.len() / 2;
        let quorum = if self.bug == Some(Bug::SmallQuorum) { half } else { half + 1 };
        if self.votes.len() >= quorum && self.leads.is_none() {
            self.leads = Some(self.term);
            cx.note(DONE, 1);
            self.tell_others(cx, &Say::Lead(self.term));
            cx.set_timer(WAIT_KEY, WAIT / 3);
        }
    }

    fn told_of_leader(&mut self, term: u64, cx: &mut Context) {
        if term > self.term {
            self.enter(term);
            self.write(cx);
        }
        if term == self.term {
            cx.note(DONE, 1);
            self.heard = Some(cx.now());
            if self.bug != Some(Bug::PatienceNotRenewed) {
                Self::wait(cx);
            }
        }
    }
}

impl Agent for Voter {
    type Message = Say;

    fn start(&mut self, cx: &mut Context) {
        if let Some(last) = journal::records(cx).pop() {
            (self.term, self.voted) = last;
        }
        Self::wait(cx);
    }

    fn message(&mut self, from: AgentId, say: Say, cx: &mut Context) {
        match say {
            Say::Elect(term) => self.asked_for_vote(from, term, cx),
            Say::Vote(term) => self.given_vote(from, term, cx),
            Say::Lead(term) => self.told_of_leader(term, cx),
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        if let Some(term) = self.leads {
            if key == WAIT_KEY {
                self.tell_others(cx, &Say::Lead(term));
                cx.set_timer(WAIT_KEY, WAIT / 3);
            }
            return;
        }
        if key == WAIT_KEY {
            self.waited = self.heard.map(|heard| cx.now().since(heard));
            self.enter(self.term + 1);
            self.is_candidate = true;
            self.voted = Some(cx.me());
            self.votes = vec![cx.me()];
            self.write(cx);
            Self::wait(cx);
        }
        if self.is_candidate {
            self.tell_others(cx, &Say::Elect(self.term));
            cx.set_timer(AGAIN_KEY, WAIT / 4);
        }
    }
}

fn watch(sim: &mut Sim) {
    for point in [HAS_VOTED, STEPS_DOWN, STALE_VOTE] {
        sim.watch_note(point);
    }
    let mut leaders: BTreeMap<u64, AgentId> = BTreeMap::new();
    let voters = sim.directory().by_kind("voter").to_vec();
    sim.always(ONE_LEADER, move |sim| {
        for id in &voters {
            let Some(term) = sim.agent::<Voter>(*id).and_then(|voter| voter.leads) else {
                continue;
            };
            let first = *leaders.entry(term).or_insert(*id);
            if first != *id {
                return Err(format!("{first} and {id} lead in term {term}"));
            }
        }
        Ok(())
    });
    let voters = sim.directory().by_kind("voter").to_vec();
    sim.always(PATIENT, move |sim| {
        for id in &voters {
            let waited = sim.agent::<Voter>(*id).and_then(|voter| voter.waited);
            if let Some(waited) = waited.filter(|waited| *waited < WAIT) {
                return Err(format!("{id} stands, and heard of a leader {waited:?} before"));
            }
        }
        Ok(())
    });
}

fn ends(sim: &mut Sim) -> Result<(), Failure> {
    sim.run_until(ALL_FOLLOW, PATIENCE, |sim| follows(sim).is_some())?;
    // Nodes need up to half a second to find each other again, and may elect another meanwhile.
    sim.run_for(SETTLED)?;
    sim.run_until(ALL_FOLLOW, PATIENCE, |sim| follows(sim).is_some())?;
    let before = follows(sim);
    sim.run_for(10 * WAIT)?;
    sim.run_until(CALM, Duration::ZERO, |sim| follows(sim) == before)
}

/// The term of the leader whom all follow.
fn follows(sim: &Sim) -> Option<u64> {
    let voters: Vec<&Voter> = sim.agents_of::<Voter>().map(|(_, voter)| voter).collect();
    let terms: BTreeSet<u64> = voters.iter().map(|voter| voter.term).collect();
    let leads = voters.iter().any(|voter| voter.leads.is_some());
    let all = voters.first().is_some_and(|voter| voter.voters.len() == voters.len());
    terms.first().copied().filter(|_| all && terms.len() == 1 && leads)
}
