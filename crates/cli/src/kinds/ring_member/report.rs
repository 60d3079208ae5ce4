//! What a member is asked, and what it answers: as JSON, so that versions understand each other.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use dx_agents::{AgentId, Message};
use dx_ring::run::{Stage, Tally};
use dx_ring::{Standstill, View};
use serde::{Deserialize, Serialize};

use super::part::Part;
use super::stages;

/// How long a member waits with its answer: until the run is there, or cannot get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// Not at all.
    Now,
    /// Members send.
    Send,
    /// The result is told.
    Stop,
}

/// What a member is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// When it is to answer.
    pub until: Until,
}

/// How a member stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which.
    pub member: u64,
    /// What the run is at: START, SEND, GRACE or STOP.
    pub stage: String,
    /// Whether it gets on.
    pub state: State,
    /// The number of its view; 0 before the first.
    pub view: u64,
    /// The members of its view.
    pub members: Vec<u64>,
    /// Numbers delivered so far.
    pub delivered: u64,
    /// The longest time between two deliveries, in microseconds: what a change of view cost.
    pub longest_gap_us: u64,
    /// What the run came to, once it is over.
    pub result: Option<Result>,
}

/// Whether a member gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does.
    Working,
    /// A view is being changed.
    Changing,
    /// It reaches no majority.
    Blocked,
    /// A majority has lost its memory.
    Lost,
}

/// What a run came to. A sum is its bits: no digit of it gets lost on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Result {
    /// Numbers.
    pub count: u64,
    /// The bits of the sum of `i` times the `i`th.
    pub sum_bits: u64,
    /// The hash of all that was delivered, in its order.
    pub hash: u64,
}

impl Until {
    pub(super) fn is_met(self, part: &Part) -> bool {
        match self {
            Self::Now => true,
            Self::Send => part.stage() >= Stage::Send,
            // Its result may need more time than STOP leaves.
            Self::Stop => part.result().is_some(),
        }
    }
}

impl FromStr for Until {
    type Err = UnknownStage;

    fn from_str(text: &str) -> std::result::Result<Self, UnknownStage> {
        match text {
            "now" => Ok(Self::Now),
            "send" => Ok(Self::Send),
            "stop" => Ok(Self::Stop),
            _ => Err(UnknownStage),
        }
    }
}

/// Nothing that can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a member can be asked `now`, or wait until `send` or `stop`")]
pub struct UnknownStage;

impl Question {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// As bytes.
    #[must_use]
    pub fn encode(self) -> Bytes {
        serde_json::to_vec(&self).expect("it is two words").into()
    }
}

impl Report {
    pub(super) fn new(me: AgentId, part: &Part, standstill: Standstill) -> Self {
        let view = part.view();
        let state = match standstill {
            Standstill::None => State::Working,
            Standstill::Changing => State::Changing,
            Standstill::Blocked => State::Blocked,
            Standstill::Lost => State::Lost,
        };
        Self {
            member: me.0,
            stage: stages::name(part.stage()).to_owned(),
            state,
            view: view.map_or(0, |view| view.id.number),
            members: view.into_iter().flat_map(View::members).map(|id| id.0).collect(),
            delivered: part.tally().count,
            longest_gap_us: u64::try_from(part.longest_gap().as_micros()).unwrap_or(u64::MAX),
            result: part.result().map(Result::from),
        }
    }
}

impl Result {
    /// The sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.sum_bits)
    }
}

impl fmt::Display for Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, sum_bits, hash } = self;
        write!(f, "({count}, {})  {sum_bits:016x}  {hash:016x}", self.sum())
    }
}

impl From<Tally> for Result {
    fn from(tally: Tally) -> Self {
        Self { count: tally.count, sum_bits: tally.sum.to_bits(), hash: tally.hash }
    }
}

/// A [`Report`] on its way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answered {
    #[serde(skip)]
    json: Bytes,
}

impl Answered {
    pub(super) fn new(report: &Report) -> Self {
        Self { json: serde_json::to_vec(report).expect("it has text keys only").into() }
    }

    /// The report.
    ///
    /// # Errors
    /// If a member of another version sent it.
    pub fn report(&self) -> std::result::Result<Report, serde_json::Error> {
        serde_json::from_slice(&self.json)
    }
}

impl Message for Answered {
    const NAME: &'static str = "dx.ring.report";

    fn body(&self) -> Bytes {
        self.json.clone()
    }

    fn set_body(&mut self, body: Bytes) {
        self.json = body;
    }
}
