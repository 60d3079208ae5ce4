//! What an agent hears, besides messages.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use dx_transport::time::Instant;

use crate::id::{AgentId, AskId, JobId, ReplyTo, TimerKey};
use crate::lane::Lane;
use crate::message::{BadMessage, Body, Message};

/// A message on its way to an agent.
#[derive(Debug)]
pub struct Envelope {
    /// Who sent it: stamped by the runtime, and for other nodes by the authenticated session.
    pub from: AgentId,
    /// The question, if an answer is awaited.
    pub ask: Option<AskId>,
    /// The message.
    pub body: Body,
}

impl Envelope {
    /// Where its answer goes, if one is awaited.
    #[must_use]
    pub fn reply_to(&self) -> Option<ReplyTo> {
        self.ask.map(|ask| ReplyTo { agent: self.from, ask })
    }
}

/// A place in a mailbox that was granted to another node.
pub struct Credit {
    account: Arc<dyn Account>,
    bytes: usize,
}

/// Where a credit came from.
pub trait Account: Send + Sync {
    /// One message of so many bytes has left the mailbox.
    fn give_back(&self, bytes: usize);
}

impl Credit {
    /// A place for a message of `bytes` bytes.
    #[must_use]
    pub fn new(account: Arc<dyn Account>, bytes: usize) -> Self {
        Self { account, bytes }
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

impl std::fmt::Debug for Credit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Credit").field(&self.bytes).finish()
    }
}

/// What can happen to an agent; one step of it handles one event.
#[derive(Debug)]
pub enum Event {
    /// It starts, or starts anew, with what its journal holds.
    Start(Box<Recovered>),
    /// A message.
    Message(Envelope),
    /// A timer of it is due. Of an older generation than the key's, it was cancelled or replaced.
    Timer {
        /// Which.
        key: TimerKey,
        /// Which setting of it.
        generation: u64,
    },
    /// The deadline of a question has passed.
    Deadline(AskId),
    /// Offloaded work has ended.
    Done(JobId, Outcome),
    /// A question is answered.
    Reply(AskId, Result<Answer, AskError>),
    /// An agent that it monitors is down.
    Down(AgentId, Down),
    /// A send was refused.
    Refused(Refusal),
    /// An agent that refused a send has room again.
    Writable(AgentId),
    /// The journal holds so many of its entries durably.
    Durable {
        /// The count of its entries since the node's start.
        entries: u64,
    },
    /// Its log has grown beyond its bound.
    SnapshotWanted,
    /// The node stops.
    Stopping {
        /// When it will be stopped at the latest.
        deadline: Instant,
    },
}

/// What the journal holds of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The newest snapshot.
    pub snapshot: Option<Bytes>,
    /// The records since then, in their order.
    pub records: Vec<Bytes>,
}

impl Recovered {
    /// Whether there is nothing: a first start.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshot.is_none() && self.records.is_empty()
    }
}

/// The answer to a question.
#[derive(Debug)]
pub struct Answer {
    /// Who answered.
    pub from: AgentId,
    pub(crate) body: Body,
}

impl Answer {
    /// For drivers: the answer `body` of `from`.
    #[must_use]
    pub fn new(from: AgentId, body: Body) -> Self {
        Self { from, body }
    }

    /// The answer as the type that was agreed on.
    ///
    /// # Errors
    /// If it is of another type, or malformed.
    pub fn open<M: Message>(self) -> Result<M, BadMessage> {
        self.body.open()
    }
}

/// A question without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// None came in time. The question may have been handled all the same.
    #[error("no answer came in time")]
    Timeout,
    /// The question did not leave, or did not arrive.
    #[error("the question was refused: {0}")]
    Refused(RefusedBecause),
    /// Whoever was asked is down.
    #[error("who was asked is down: {0}")]
    Down(Down),
}

/// Why an agent that is monitored is down, or may be.
///
/// Not ordered with its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Down {
    /// It stopped.
    #[error("it stopped")]
    Stopped,
    /// It panicked, and stays down.
    #[error("it panicked")]
    Panicked,
    /// It, or its node, began a new life: what waited in its mailbox is gone.
    #[error("it restarted")]
    Restarted,
    /// Its node cannot be reached. Nothing is lost yet.
    #[error("its node cannot be reached")]
    NoConnection,
    /// The conversation with its node has ended: what was on its way may be missing.
    #[error("the session with its node has ended")]
    SessionLost,
    /// There is no such agent.
    #[error("there is no such agent")]
    Unknown,
}

impl Down {
    /// Whether this is the end: nothing follows it.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Stopped | Self::Panicked | Self::Unknown)
    }
}

/// Sends that came back. Several to one receiver, refused before the agent could hear of the
/// first, are told as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// To whom they were.
    pub to: AgentId,
    /// The lane.
    pub lane: Lane,
    /// Why.
    pub why: RefusedBecause,
    /// How many.
    pub count: u64,
}

/// Why a send came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedBecause {
    /// The receiver has no room; [`writable`](crate::Agent::writable) says when it has.
    #[error("the receiver has no room")]
    Full,
    /// The message is longer than a message may be.
    #[error("the message has {len} bytes, the limit is {limit}")]
    TooLarge {
        /// Its bytes.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The message cannot be encoded.
    #[error("the message cannot be encoded")]
    Unencodable,
    /// There is no such agent.
    #[error("there is no such agent")]
    Unknown,
    /// This node is stopping, or has given up the receiver's node.
    #[error("the way to the receiver's node is closed")]
    Closing,
}

/// How offloaded work ended.
pub enum Outcome {
    /// With this result.
    Done(Box<dyn Any + Send>),
    /// It panicked; nothing else did.
    Failed,
    /// Too much was under way; it was not begun.
    Refused,
}

impl Outcome {
    /// The result as the type that was agreed on; `None` if it failed or is of another type.
    #[must_use]
    pub fn get<T: 'static>(self) -> Option<T> {
        match self {
            Self::Done(result) => result.downcast().ok().map(|result| *result),
            Self::Failed | Self::Refused => None,
        }
    }
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "Done",
            Self::Failed => "Failed",
            Self::Refused => "Refused",
        })
    }
}
