//! Agents that lie: wrappers around their effects, for no more agents than were allowed.
//!
//! The agent itself is honest and knows nothing. What it sends is left out, sent late, changed,
//! changed for some receivers only, or followed by something that it said before. What sessions
//! authenticate stays true: nobody lies about who he is. Each lie is an event of the run's choices,
//! so that shrinking leaves only those that matter.
//!
//! ```
//! use dx_agents::{Agent, AgentId, Context, Directory, Message, Registry};
//! use dx_sim::{Sim, SimConfig};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! enum Bid { Ask, Price(u64) }
//! impl Message for Bid { const NAME: &'static str = "bid"; }
//!
//! struct Seller;
//! impl Agent for Seller {
//!     type Message = Bid;
//!     fn start(&mut self, _: &mut Context) {}
//!     fn message(&mut self, from: AgentId, _: Bid, cx: &mut Context) { cx.send(from, Bid::Price(7)); }
//! }
//!
//! let agents = serde_json::from_str::<Vec<_>>(r#"[{ "id": 1, "kind": "seller", "node": 1 }]"#)?;
//! let registry = Registry::new().kind("seller", |_, _| Ok(Seller));
//! let mut sim = Sim::new(SimConfig::seeded(1), Directory::new(agents), registry)?;
//!
//! sim.allow_byzantine(1);
//! sim.corrupt(AgentId(1), |to, bid, _| match bid {
//!     Bid::Price(price) => vec![(to, Bid::Price(price * 10))],
//!     Bid::Ask => vec![(to, bid)],
//! })?;
//! let port = sim.port();
//! sim.send(port, AgentId(1), Bid::Ask)?;
//! sim.run_for(std::time::Duration::from_secs(1))?;
//! let Some(dx_sim::Heard::Message(heard)) = sim.heard(port) else { panic!("no price") };
//! assert!(matches!(heard.body.open()?, Bid::Price(70)));
//! assert_eq!(sim.byzantine().liars, [AgentId(1)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alteration;
mod wrapper;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use dx_agents::message::{Body, Encoded};
use dx_agents::{AgentId, AskId, Message};
use serde::{Deserialize, Serialize};

use crate::choices::Choices;
use crate::sim::Sim;
use crate::slab::Slab;

pub(crate) use wrapper::Late;

/// A way to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// It is not said.
    Silence,
    /// It is said later, and may be overtaken by what the agent says after it.
    Delay,
    /// Something that was said before is said again behind it, to the same agent or to this one.
    Replay,
    /// Something in it is changed, by its encoding; it still decodes.
    Corruption,
    /// It is changed as well, but one of two versions is told to each receiver: who hears the same
    /// version of a message hears the same lie.
    Equivocation,
    /// What a test's own wrapper makes of it: see [`Sim::corrupt`].
    Own,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Silence, Self::Delay, Self::Replay, Self::Corruption, Self::Equivocation, Self::Own];
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silence => "silence",
            Self::Delay => "delay",
            Self::Replay => "replay",
            Self::Corruption => "corruption",
            Self::Equivocation => "equivocation",
            Self::Own => "own",
        })
    }
}

/// How an agent lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// In which of these ways. [`Lie::Own`] is left out: it is not drawn, but has its wrapper.
    pub lies: Vec<Lie>,
    /// The chance of a lie, for each message and answer; 1: always.
    pub probability: f64,
    /// By how much something is late at most.
    pub latest: Duration,
}

impl Default for Behaviour {
    /// All ways, for one message in four, up to a second late.
    fn default() -> Self {
        let lies = Lie::ALL.into_iter().filter(|lie| *lie != Lie::Own).collect();
        Self { lies, probability: 0.25, latest: Duration::from_secs(1) }
    }
}

impl Behaviour {
    /// Says nothing any more.
    #[must_use]
    pub fn silent() -> Self {
        Self { lies: vec![Lie::Silence], probability: 1.0, ..Self::default() }
    }

    /// A mix drawn from `choices`: each way or not, and seldom or always.
    pub fn swarm(choices: &mut Choices) -> Self {
        let all = Self::default();
        let lies = all.lies.into_iter().filter(|_| choices.choose("lie-enabled", 2) == 1).collect();
        let probability = choices.log_uniform("lie-rate", 0.02, 1.0);
        let latest = Duration::from_secs_f64(choices.log_uniform("lie-latest", 0.001, 10.0));
        Self { lies, probability, latest }
    }
}

/// An agent cannot be made to lie. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByzantineError {
    /// There is none with this id in the deployment.
    #[error("agent {0} is not in the deployment: only its agents can be byzantine")]
    NoSuchAgent(AgentId),
    /// As many lie as may.
    #[error(
        "agent {agent} would be one more than the {most} that may be byzantine: `allow_byzantine` says how many"
    )]
    OverBudget {
        /// The agent.
        agent: AgentId,
        /// How many may.
        most: usize,
    },
    /// It has a twin already, or began without one.
    #[error("agent {0} has begun, or has a twin: declare one twin of it before the world runs")]
    HasBegun(AgentId),
}

/// Who lies in a world, and how often they did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Byzantine {
    /// How many agents may.
    pub most: usize,
    /// Those that have a wrapper, in the order of their ids.
    pub liars: Vec<AgentId>,
    /// Those that run twice.
    pub twins: Vec<AgentId>,
    /// Messages of twins or to them that their receiver was not to hear.
    pub unheard: u64,
    /// How often each way to lie was used, those of no use left out.
    pub lies: Vec<(Lie, u64)>,
}

/// What a world keeps of its liars.
#[derive(Default)]
pub(crate) struct Liars {
    most: usize,
    /// All that count against the budget.
    traitors: BTreeSet<AgentId>,
    pub by_id: BTreeMap<AgentId, Liar>,
    pub late: Slab<Late>,
    pub told: [u64; Lie::ALL.len()],
}

impl Liars {
    #[inline]
    pub fn are_any(&self) -> bool {
        !self.by_id.is_empty()
    }
}

/// One agent that lies.
#[derive(Default)]
pub(crate) struct Liar {
    behaviour: Option<Behaviour>,
    own: Option<Own>,
    /// What it said, to be said again.
    said: VecDeque<Said>,
}

/// A test's own wrapper: what is said instead, or the message itself if it is of another type.
type Own = Box<dyn FnMut(AgentId, Body, &mut Choices) -> Result<Vec<(AgentId, Body)>, Body>>;

/// What was said once.
struct Said {
    to: AgentId,
    ask: Option<AskId>,
    what: Encoded,
}

impl Sim {
    /// Allows up to `most` agents of the deployment to be Byzantine: to lie, or to run
    /// [twice](Self::twin). Without it nobody may.
    pub fn allow_byzantine(&mut self, most: usize) {
        self.liars.most = most;
    }

    /// From now on an agent lies so, also after restarts.
    ///
    /// # Errors
    /// If there is no such agent, or as many lie as may.
    pub fn make_byzantine(
        &mut self,
        agent: AgentId,
        mut behaviour: Behaviour,
    ) -> Result<(), ByzantineError> {
        self.spend_on(agent)?;
        behaviour.lies.retain(|lie| *lie != Lie::Own);
        self.liars.by_id.entry(agent).or_default().behaviour = Some(behaviour);
        Ok(())
    }

    /// From now on a wrapper of the test's decides what is sent in the place of an agent's messages
    /// and answers of type `M`: for each it gives what is said instead, and to whom. The first to
    /// the same receiver is still the question or the answer that it was.
    ///
    /// # Errors
    /// If there is no such agent, or as many lie as may.
    pub fn corrupt<M: Message>(
        &mut self,
        agent: AgentId,
        mut lie: impl FnMut(AgentId, M, &mut Choices) -> Vec<(AgentId, M)> + 'static,
    ) -> Result<(), ByzantineError> {
        self.spend_on(agent)?;
        let own: Own = Box::new(move |to, body, choices| {
            if !wrapper::is_a::<M>(&body) {
                return Err(body);
            }
            // What its own encoding does not survive is no message.
            let said = body.open().map(|message| lie(to, message, choices)).unwrap_or_default();
            let typed = |(to, message)| (to, Body::Typed(Box::new(message)));
            Ok(said.into_iter().map(typed).collect())
        });
        self.liars.by_id.entry(agent).or_default().own = Some(own);
        Ok(())
    }

    /// Draws traitors from `among`, as many as the budget still has room for or fewer, and for each
    /// a [mix of lies](Behaviour::swarm). Gives who they are.
    ///
    /// # Errors
    /// If one of them is not in the deployment; those before it lie.
    pub fn betray(&mut self, among: &[AgentId]) -> Result<Vec<AgentId>, ByzantineError> {
        let mut left = among.to_vec();
        let room = self.liars.most.saturating_sub(self.liars.traitors.len());
        for _ in 0..room.min(among.len()) {
            let bound = left.len() as u64;
            let who = self.choices.event("traitor", BETRAYS, |how| how.choose("who", bound));
            let Some(who) = who else { continue };
            let who = left.remove(who as usize);
            let behaviour = Behaviour::swarm(&mut self.choices);
            self.make_byzantine(who, behaviour)?;
        }
        Ok(among.iter().copied().filter(|who| !left.contains(who)).collect())
    }

    /// Who lies, and how often they did so far.
    #[must_use]
    pub fn byzantine(&self) -> Byzantine {
        let told = Lie::ALL.into_iter().zip(self.liars.told);
        Byzantine {
            most: self.liars.most,
            liars: self.liars.by_id.keys().copied().collect(),
            twins: self.twins.ids(),
            unheard: self.twins.unheard,
            lies: told.filter(|(_, count)| *count > 0).collect(),
        }
    }

    /// Counts an agent against the budget, once.
    pub(crate) fn spend_on(&mut self, agent: AgentId) -> Result<(), ByzantineError> {
        if self.directory.agent(agent).is_none() {
            return Err(ByzantineError::NoSuchAgent(agent));
        }
        let Liars { most, ref mut traitors, .. } = self.liars;
        if !traitors.contains(&agent) && traitors.len() >= most {
            return Err(ByzantineError::OverBudget { agent, most });
        }
        traitors.insert(agent);
        Ok(())
    }
}

/// The chance that a place for a traitor is taken. A guess: most runs have all, many fewer.
const BETRAYS: f64 = 0.75;
