//! What a cluster file may ask of a member.

use std::time::Duration;

use clap::ValueEnum;
use dx_agents::{AgentSpec, AttrError, Directory};
use dx_ring::RingModel;
use dx_ring::model::{Confirmed, Flow, Lcr, LossError, Lossy};
use dx_ring::run::{Command, Plan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KIND;
use crate::config::{forms, units};

/// The attributes of a member of a ring, which broadcasts numbers, and tells what all of them came
/// to. The same for all members of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Attr {
    /// How messages get round, and get their places.
    pub model: Model,
    /// What the numbers are drawn from.
    pub seed: u64,
    /// How long members send, unless `messages` is given.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "1ms", "x-greatest" = "1day"))]
    pub send_for: Duration,
    /// How long what is under way may take before the results are told.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration", extend("x-least" = "0s", "x-greatest" = "1day"))]
    pub grace_for: Duration,
    /// Each sender sends so many messages, however long that takes.
    pub messages: Option<u64>,
    /// The bytes of a message.
    #[serde(with = "units::size")]
    #[schemars(schema_with = "forms::size", extend("x-least" = "9B", "x-greatest" = "8MiB"))]
    pub size: usize,
    /// So many members send, those with the lowest ids; without it, all do.
    pub senders: Option<usize>,
    /// The share of messages between members that is lost on purpose, from 0 to 0.9. `confirmed`
    /// sends again, and `naive` disagrees; the others do not allow it.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub drop: f64,
    /// Between which members nothing gets through, and when.
    pub cuts: Vec<Cut>,
    /// Whether it tells each delivery of its own.
    pub tell_own: bool,
}

/// A time in which nothing gets through between two members. What they say to each other arrives
/// after it, as over a link that is back, unless it is more than a mailbox takes: then it is lost,
/// and who was to hear it is told so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// A member.
    pub one: u64,
    /// Another.
    pub other: u64,
    /// When it begins, after SEND.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration")]
    pub at: Duration,
    /// How long it lasts.
    #[serde(with = "units::duration")]
    #[schemars(schema_with = "forms::duration")]
    pub lasting: Duration,
}

/// How messages get round a ring.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// Payload on the ring, numbers beside it: as fast as the links.
    #[default]
    Flow,
    /// The textbook's: messages and receipts on the ring, ordered by vector clocks.
    Lcr,
    /// A token, a receipt for each message, and approval: slow, and sends again what gets lost.
    Confirmed,
    /// A token, and nothing else: whatever goes wrong, members disagree. To compare with.
    Naive,
}

impl Model {
    /// The name as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Lcr => "lcr",
            Self::Confirmed => "confirmed",
            Self::Naive => "naive",
        }
    }

    /// The model of a ring, of whose messages this share is lost; which, a seed says.
    ///
    /// # Errors
    /// If it does not send again what gets lost, or is in no ring.
    pub fn make(self, (share, seed): (f64, u64)) -> Result<Box<dyn RingModel>, AttrError> {
        let wrong = |error: LossError| AttrError::new("drop", error.to_string());
        Ok(match self {
            Self::Flow => Box::new(Flow::default()),
            Self::Lcr => Box::new(Lcr::default()),
            Self::Confirmed => {
                Box::new(Lossy::new(Confirmed::default(), share, seed).map_err(wrong)?)
            }
            Self::Naive => {
                let why = "naive members are in no ring: take flow, lcr or confirmed";
                return Err(AttrError::new("model", why));
            }
        })
    }

    /// Whether members agree, whatever goes wrong.
    #[must_use]
    pub fn guarantees_agreement(self) -> bool {
        self != Self::Naive
    }

    /// Whether messages of it may be lost on purpose: it sends them again, or is to be caught.
    #[must_use]
    pub fn allows_losses(self) -> bool {
        matches!(self, Self::Confirmed | Self::Naive)
    }
}

impl Default for Attr {
    fn default() -> Self {
        let Plan { seed, send_for, grace_for, messages, size, .. } = Plan::default();
        Self {
            model: Model::default(),
            seed,
            send_for,
            grace_for,
            messages,
            size,
            senders: None,
            drop: 0.0,
            cuts: Vec::new(),
            tell_own: false,
        }
    }
}

impl Attr {
    /// The run that it asks for.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let Self { seed, send_for, grace_for, messages, size, senders, .. } = *self;
        Plan { seed, send_for, grace_for, messages, size, senders: senders.unwrap_or(usize::MAX) }
    }

    /// Whether `spec`, which has these attributes, can be a member.
    pub(super) fn check(&self, spec: &AgentSpec, directory: &Directory) -> Result<(), AttrError> {
        if self.drop != 0.0 && !self.model.allows_losses() {
            let model = self.model.name();
            let why = format!("the model {model} counts on its links, and sends nothing again");
            return Err(AttrError::new("drop", why));
        }
        if self.size < Command::MIN_DATA {
            let why = format!("a message has at least {} bytes", Command::MIN_DATA);
            return Err(AttrError::new("size", why));
        }
        for (key, value) in
            [("messages", self.messages), ("senders", self.senders.map(|n| n as u64))]
        {
            if value == Some(0) {
                return Err(AttrError::new(key, "0 is none: leave it out, or give a number above"));
            }
        }
        let members = directory.by_kind(KIND);
        for cut in &self.cuts {
            let known = |id: u64| members.iter().any(|member| member.0 == id);
            if let Some(unknown) = [cut.one, cut.other].into_iter().find(|id| !known(*id)) {
                return Err(AttrError::new("cuts", format!("there is no member {unknown}")));
            }
        }
        let others = members.iter().filter(|id| **id != spec.id);
        for other in others.filter_map(|id| directory.agent(*id)) {
            if other.attr::<Self>().is_ok_and(|attr| attr != *self) {
                let other = other.id.0;
                let why = format!("it is not that of member {other}: all members need the same");
                return Err(AttrError::new("", why));
            }
        }
        Ok(())
    }
}
