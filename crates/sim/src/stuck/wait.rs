//! A single wait, and what may stand in its way.

use std::fmt;
use std::time::Duration;

use dx_agents::{AgentId, NodeId};

use crate::network::CreditWait;

/// Somebody waits for something, or something is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A question without an answer.
    Answer {
        /// Who asked.
        who: AgentId,
        /// Whom.
        of: AgentId,
        /// When.
        since: Duration,
        /// When it gives up; never if `None`.
        until: Option<Duration>,
    },
    /// Messages without credit.
    Credit(CreditWait),
    /// Messages that their agent cannot come to.
    Mailbox {
        /// Whose.
        of: AgentId,
        /// How many.
        messages: usize,
        /// How many agents wait for room there.
        senders: usize,
        /// Why it does not take them.
        because: Hindrance,
    },
    /// A ready agent that is not picked.
    Turn {
        /// Who.
        who: AgentId,
        /// For how many rounds.
        rounds: u64,
    },
    /// A node does not work.
    Node(NodeId, Hindrance),
    /// A way between nodes is not free.
    Way {
        /// From which.
        from: NodeId,
        /// To which.
        to: NodeId,
        /// Why.
        because: Hindrance,
        /// Messages that are held there.
        held: usize,
    },
    /// An agent would be told of another's end.
    End {
        /// Who.
        who: AgentId,
        /// Whose.
        of: AgentId,
    },
}

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hindrance {
    /// The node is down.
    Down,
    /// The node's process is paused, or its machine suspended.
    StandsStill,
    /// The agent starts anew later.
    Restarts,
    /// Too much of the agent waits for the disk.
    Disk,
    /// The way is cut.
    Cut,
    /// The way is clogged.
    Clogged,
    /// The nodes have not found each other again.
    NoLink,
    /// A test holds it.
    ByHand,
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "is down",
            Self::StandsStill => "stands still",
            Self::Restarts => "is about to start anew",
            Self::Disk => "waits for its disk",
            Self::Cut => "is cut",
            Self::Clogged => "is clogged",
            Self::NoLink => "has no link",
            Self::ByHand => "is held by the test",
        })
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { who, of, since, until } => {
                write!(f, "{who} waits for an answer of {of} since {since:?}")?;
                match until {
                    Some(until) => write!(f, ", until {until:?}"),
                    None => write!(f, ", for ever"),
                }
            }
            Self::Credit(wait) => write!(f, "credit is missing for {wait}"),
            Self::Mailbox { of, messages, senders, because } => {
                write!(f, "{messages} messages wait for {of}, which {because}")?;
                if *senders > 0 {
                    write!(f, "; {senders} senders wait for room there")?;
                }
                Ok(())
            }
            Self::Turn { who, rounds } => {
                write!(f, "{who} is ready and was not picked in {rounds} rounds")
            }
            Self::Node(node, because) => write!(f, "{node} {because}"),
            Self::Way { from, to, because, held } => {
                write!(f, "the way from {from} to {to} {because}")?;
                if *held > 0 {
                    write!(f, " with {held} messages on it")?;
                }
                Ok(())
            }
            Self::End { who, of } => write!(f, "{who} watches {of}"),
        }
    }
}
