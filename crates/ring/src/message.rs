//! What members say to each other.

use bytes::Bytes;
use dx_agents::{AgentId, Lane, Message};
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, BatchId, Cuts, Entry};
use crate::log::Position;
use crate::view::{Life, View, ViewId};

/// What a member of a ring receives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RingMessage {
    /// From anybody: something for the [`Replica`](crate::Replica) of this member.
    Request(#[serde(skip)] Bytes),
    /// A member of a view is there.
    Beat {
        /// Its view.
        view: ViewId,
    },
    /// A member is in no working view, and wants to be.
    Seek {
        /// Its life.
        life: Life,
        /// The largest number that it promised.
        promised: u64,
    },
    /// To the coordinator: something is wrong with a member.
    Suspect {
        /// In which view.
        view: ViewId,
        /// Who.
        who: AgentId,
    },
    /// A coordinator proposes a view: promise to do nothing in lower ones.
    Prepare {
        /// Its id.
        view: ViewId,
    },
    /// The number was promised to another coordinator, or another life of this one, or a larger one was.
    Refuse {
        /// What was promised.
        promised: ViewId,
    },
    /// It is promised.
    Promise {
        /// The proposed view.
        view: ViewId,
        /// What the member knows.
        report: Box<Report>,
    },
    /// The coordinator has decided.
    NewView(Box<NewView>),
    /// Payload is missing for a new view.
    Fetch {
        /// Which view.
        view: ViewId,
        /// Whose payload.
        ids: Vec<BatchId>,
    },
    /// Here it is.
    Fetched {
        /// For which view.
        view: ViewId,
        /// The payload.
        batch: Batch,
    },
    /// All state is missing for a new view.
    FetchState {
        /// Which view.
        view: ViewId,
        /// Bytes of the snapshot that are there already.
        from: u64,
    },
    /// A piece of it.
    State {
        /// For which view.
        view: ViewId,
        /// What comes with the snapshot.
        head: Box<StateHead>,
        /// Bytes of the snapshot from where it was asked for.
        #[serde(skip)]
        piece: Bytes,
    },
    /// The sender has installed the view, and holds everything up to this place.
    Held {
        /// Which view.
        view: ViewId,
        /// The place.
        seq: u64,
    },
    /// What a model says within a view.
    Model {
        /// Which view.
        view: ViewId,
        /// What it says.
        message: ModelMessage,
    },
    /// A majority has lost its memory: the ring is at its end.
    Lost {
        /// The view that could not be.
        view: ViewId,
    },
}

/// What models say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ModelMessage {
    /// A batch on its way round the ring.
    Payload(Payload),
    /// Places from `first` on, for these batches of `(origin, sn)`. Who gives them holds all.
    Bind {
        /// The first place.
        first: u64,
        /// What has it and the next ones.
        ids: Vec<(AgentId, u64)>,
    },
    /// To the one before in the ring: so many bytes and batches of payload have come in all.
    Got {
        /// Bytes.
        bytes: u64,
        /// Batches.
        batches: u64,
    },
    /// Of `lcr`: a batch on its way round the ring, and what had passed its origin before it.
    Clocked {
        /// As which of all that this link of the ring carries in this view, from 1.
        nth: u64,
        /// The batch.
        payload: Payload,
        /// The latest batch of each member, in the order of the ring.
        clock: Vec<u64>,
    },
    /// Of `lcr`, on its way round the ring: all members have this batch.
    Stable {
        /// As which of all that this link of the ring carries in this view, from 1.
        nth: u64,
        /// Its origin.
        origin: AgentId,
        /// As which of its life.
        sn: u64,
    },
    /// Of `confirmed`: a batch, with its place.
    Placed {
        /// The place.
        seq: u64,
        /// The batch.
        payload: Payload,
    },
    /// Of `confirmed`, to the origin: what has this place is here.
    Receipt {
        /// The place.
        seq: u64,
    },
    /// Of `confirmed`: all members have confirmed what is the sender's up to this place.
    Approve {
        /// The place.
        seq: u64,
    },
    /// Of `confirmed`: what has the receiver approved? The answer may have been lost.
    Ask,
    /// Of `confirmed`: the sender would have the token, wherever it sleeps.
    Want,
    /// Of `confirmed`, from member to member: who has it gives places.
    Token(Token),
    /// Of `confirmed`: the token has come.
    TokenGot {
        /// By which hop.
        hop: u64,
    },
    /// Of `naive`: a number. From the left neighbour, it is the token as well.
    Number {
        /// Its index.
        index: u64,
        /// The number; with none it is only the token.
        #[serde(skip)]
        bytes: Bytes,
    },
}

/// The right to give places in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Hops that it has made in this view.
    pub hop: u64,
    /// The next place.
    pub next: u64,
    /// Everything up to this place is approved, by whomever.
    pub approved: u64,
    /// Hops since a member used it.
    pub idle: u64,
}

/// A batch on its way. Its origin's life is that of the view.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payload {
    /// Who made it.
    pub origin: AgentId,
    /// As which of its life.
    pub sn: u64,
    /// How it is divided.
    pub cuts: Cuts,
    /// The messages.
    #[serde(skip)]
    pub bytes: Bytes,
}

/// What a member knows when it promises a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its life.
    pub life: Life,
    /// It, or a former life of it, was part of a ring in which something counted.
    pub is_marked: bool,
    /// The view that it has installed.
    pub installed: Option<View>,
    /// Who has installed that view, as far as it knows.
    pub installers: Vec<AgentId>,
    /// Up to where it delivered.
    pub delivered: u64,
    /// The first place that not all hold, as far as it knows. Others may not have delivered what
    /// it has.
    pub first: u64,
    /// What has that place and the next ones.
    pub entries: Vec<Entry>,
    /// The payload that it holds.
    pub payload: Vec<BatchId>,
    /// What the model knows beside: clocks of messages without a place.
    pub pending: Vec<Pending>,
}

/// A batch without a place, and what its model orders it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The batch.
    pub id: BatchId,
    /// Its clock.
    pub clock: Vec<u64>,
}

/// What a coordinator decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewView {
    /// The view.
    pub view: View,
    /// The place of the first entry.
    pub first: u64,
    /// The order from there up to the view itself.
    pub entries: Vec<Entry>,
    /// Who has the payload of each.
    pub holders: Vec<AgentId>,
    /// Members that cannot have all from `first` on, and take state instead.
    pub needy: Vec<AgentId>,
    /// Whose.
    pub source: AgentId,
}

/// What comes with a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHead {
    /// What the order amounts to there.
    pub position: Position,
    /// Bytes of the snapshot in all.
    pub len: u64,
}

impl ModelMessage {
    /// The batch that it carries, if it does.
    #[must_use]
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Payload(payload)
            | Self::Clocked { payload, .. }
            | Self::Placed { payload, .. } => Some(payload),
            _ => None,
        }
    }

    fn body(&self) -> Option<&Bytes> {
        match self {
            Self::Number { bytes, .. } => Some(bytes),
            message => message.payload().map(|payload| &payload.bytes),
        }
    }

    fn body_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::Payload(payload)
            | Self::Clocked { payload, .. }
            | Self::Placed { payload, .. } => Some(&mut payload.bytes),
            Self::Number { bytes, .. } => Some(bytes),
            _ => None,
        }
    }
}

impl Message for RingMessage {
    const NAME: &'static str = "ring-member";

    /// Payload and what it is needed for have lanes of their own, so that they delay nothing else.
    fn lane(&self) -> Lane {
        match self {
            // What says that a batch is everywhere must not overtake another batch (see `lcr`).
            Self::Request(_) | Self::Model { message: ModelMessage::Stable { .. }, .. } => {
                Lane::Normal
            }
            Self::Model { message, .. } if message.body().is_some() => Lane::Normal,
            Self::Fetched { .. } | Self::State { .. } => Lane::Bulk,
            _ => Lane::Urgent,
        }
    }

    fn body(&self) -> Bytes {
        match self {
            Self::Request(bytes) => bytes.clone(),
            Self::Model { message, .. } => message.body().cloned().unwrap_or_default(),
            Self::Fetched { batch, .. } => batch.bytes.clone(),
            Self::State { piece, .. } => piece.clone(),
            _ => Bytes::new(),
        }
    }

    fn set_body(&mut self, body: Bytes) {
        match self {
            Self::Request(bytes) => *bytes = body,
            Self::Model { message, .. } => {
                if let Some(bytes) = message.body_mut() {
                    *bytes = body;
                }
            }
            Self::Fetched { batch, .. } => batch.bytes = body,
            Self::State { piece, .. } => *piece = body,
            _ => {}
        }
    }
}
