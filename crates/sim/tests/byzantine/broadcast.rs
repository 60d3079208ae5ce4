//! A sender tells five members a value, and all that are correct deliver the same one, although
//! one of the members, and be it the sender, is Byzantine: the echo broadcast of Bracha and Toueg
//! ("Asynchronous consensus and broadcast protocols", JACM 1985).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dx_agents::{Agent, AgentId, Context, Directory, Message, Registry};
use dx_sim::explore::{Bounds, Completeness, Outcome, Search, explore};
use dx_sim::{Choices, Failure, Hears, Scenario, Sim, SimConfig};
use serde::{Deserialize, Serialize};

use crate::kinds::spec;

pub const MEMBERS: u64 = 5;
pub const SENDER: AgentId = AgentId(1);
const ROUND: Duration = Duration::from_millis(5);

/// What is wrong with the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    None,
    /// A majority is enough, as if nobody lied: two of them have only the liar in common.
    Majority,
    /// What the sender says is delivered at once: nobody notices if it tells others otherwise.
    Unechoed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Say {
    /// To the sender: what to broadcast.
    Broadcast(u64),
    Initial(u64),
    Echo(u64),
}

impl Message for Say {
    const NAME: &'static str = "echo-broadcast";
}

pub struct Member {
    bug: Bug,
    has_echoed: bool,
    echoes: BTreeMap<u64, BTreeSet<AgentId>>,
    pub delivered: Option<u64>,
}

impl Member {
    fn all(cx: &mut Context, say: &Say) {
        let all: Vec<AgentId> = (1..=MEMBERS).map(AgentId).collect();
        cx.send_many(&all, say);
    }
}

impl Agent for Member {
    type Message = Say;

    fn start(&mut self, _: &mut Context) {}

    fn message(&mut self, from: AgentId, say: Say, cx: &mut Context) {
        match say {
            Say::Broadcast(value) => {
                // It broadcasts once, whatever it is asked for later.
                if !self.has_echoed {
                    Self::all(cx, &Say::Initial(value));
                }
            }
            Say::Initial(value) if from == SENDER && !self.has_echoed => {
                self.has_echoed = true;
                if self.bug == Bug::Unechoed {
                    self.delivered = Some(value);
                }
                Self::all(cx, &Say::Echo(value));
            }
            Say::Initial(_) => {}
            Say::Echo(value) => {
                let by = self.echoes.entry(value).or_default();
                by.insert(from);
                let quorum = match self.bug {
                    Bug::Majority => MEMBERS / 2 + 1,
                    // Any two quorums have a correct member in common: (n + f) / 2, rounded up.
                    Bug::None | Bug::Unechoed => 4,
                };
                if by.len() as u64 >= quorum && self.delivered.is_none() {
                    self.delivered = Some(value);
                }
            }
        }
    }
}

/// Members, of which one may be Byzantine, and that agree at all times.
pub fn world(bug: Bug, seed: u64, choices: Choices) -> Sim {
    let members = (1..=MEMBERS).map(|id| spec(id, "member", id as u32));
    let registry = Registry::new().kind("member", move |_, _| {
        Ok(Member { bug, has_echoed: false, echoes: BTreeMap::new(), delivered: None })
    });
    let config = SimConfig::seeded(seed);
    let directory = Directory::new(members);
    let mut sim = Sim::with_choices(config, directory, registry, choices).unwrap();
    sim.allow_byzantine(1);
    sim.always("correct members deliver the same", |sim| {
        let byzantine = sim.byzantine();
        let lies = |id: &AgentId| byzantine.liars.contains(id) || byzantine.twins.contains(id);
        let delivered: BTreeSet<u64> = sim
            .agents_of::<Member>()
            .filter(|(id, _)| !lies(id))
            .filter_map(|(_, member)| member.delivered)
            .collect();
        if delivered.len() > 1 { Err(format!("{delivered:?}")) } else { Ok(()) }
    });
    sim
}

/// Two clients each want another value to be broadcast.
fn propose(sim: &mut Sim) {
    for value in [1, 2] {
        let port = sim.port();
        sim.send(port, SENDER, Say::Broadcast(value)).unwrap();
    }
}

fn with_twins(bug: Bug) -> impl Fn(u64, Choices) -> Sim {
    move |seed, choices| {
        let mut sim = world(bug, seed, choices);
        sim.twin(SENDER, ROUND).unwrap();
        sim
    }
}

fn with_a_liar(bug: Bug) -> impl Fn(u64, Choices) -> Sim {
    move |seed, choices| {
        let mut sim = world(bug, seed, choices);
        let all: Vec<AgentId> = (1..=MEMBERS).map(AgentId).collect();
        sim.betray(&all).unwrap();
        sim
    }
}

fn play(sim: &mut Sim) -> Result<(), Failure> {
    propose(sim);
    sim.run_for(Duration::from_secs(1))
}

/// The members deal with each of the sender's twins in every possible way.
fn all_partitions(bug: Bug) -> Search {
    let search = explore(&Bounds::default(), |choices| {
        let seed = Choices::seeded(1);
        let mut sim = with_twins(bug)(1, seed);
        for member in 2..=MEMBERS {
            let hears = [Hears::First, Hears::Second, Hears::Both];
            let hears = *choices.pick("hears", &hears).unwrap();
            sim.set_hears(SENDER, dx_agents::NodeId(member as u32), hears);
        }
        propose_to_each(&mut sim);
        match sim.run_for(Duration::from_secs(1)) {
            Ok(()) => Outcome::Fine,
            Err(failure) => Outcome::Violated(failure.what),
        }
    });
    search.unwrap()
}

/// Each twin hears of another value only.
fn propose_to_each(sim: &mut Sim) {
    let hears = [Hears::First, Hears::Second];
    for (value, hears) in (1..).zip(hears) {
        let port = sim.port();
        let node = port.id().spawned_by().unwrap();
        sim.set_hears(SENDER, node, hears);
        sim.send(port, SENDER, Say::Broadcast(value)).unwrap();
    }
}

#[test]
fn twins_break_what_counts_majorities_or_believes_its_sender() {
    for bug in [Bug::Majority, Bug::Unechoed] {
        let scenario = Scenario { make: with_twins(bug), play };
        let report = scenario.explore(0..300);
        let Some(failure) = report.failures.first() else { panic!("{bug:?} was not found") };
        assert_eq!(failure.what, "correct members deliver the same");
        assert_eq!(scenario.replay(failure).1.as_ref(), Some(failure));
    }
}

#[test]
fn liars_break_what_believes_its_sender() {
    let scenario = Scenario { make: with_a_liar(Bug::Unechoed), play };
    let report = scenario.explore(0..300);
    let failure = report.failures.first().expect("it is found");
    assert_eq!(scenario.replay(failure).1.as_ref(), Some(failure));
}

#[test]
fn neither_twins_nor_liars_break_the_right_broadcast() {
    Scenario { make: with_twins(Bug::None), play }.explore(0..500).expect_none();
    Scenario { make: with_a_liar(Bug::None), play }.explore(0..500).expect_none();
}

#[test]
fn every_partition_of_a_small_world_with_twins_can_be_tried() {
    let right = all_partitions(Bug::None);
    assert_eq!((right.runs, right.completeness), (81, Completeness::All));
    for bug in [Bug::Majority, Bug::Unechoed] {
        let found = all_partitions(bug).found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        assert_eq!(found.what, "correct members deliver the same");
    }
}

#[test]
fn runs_with_liars_and_twins_are_the_same_twice() {
    Scenario { make: with_a_liar(Bug::None), play }.determined(0..20).unwrap();
    Scenario { make: with_twins(Bug::None), play }.determined(0..20).unwrap();
}
