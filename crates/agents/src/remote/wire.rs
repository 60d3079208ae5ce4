//! What nodes say to each other about agents: one frame is one message of a transport lane.
//!
//! ```text
//! frame    := version:4 kind:4 fields
//! tell     := to from content             ask  := to from number content
//! reply    := to number from content      failed := to number from error
//! content  := tag:u32le body-length value body        (the value is what is left in between)
//! watch, unwatch := who                   down := who why
//! grant    := life to messages bytes share-messages share-bytes
//! probe    := to round                    held := life to round messages bytes
//! ```
//!
//! Numbers without a width are LEB128 of at most 64 bits in their shortest form. The transport
//! bounds a frame's length; nothing is allocated while one is read.

use std::num::NonZeroU64;

use dx_transport::id::Incarnation;

use crate::event::{AskError, Down, RefusedBecause};
use crate::id::{AgentId, AskId, ReplyTo};
pub use crate::remote::credit::Amount;

/// The version of this format: in every frame, so that none is misread.
pub const VERSION: u8 = 2;

/// The longest head before a message's value: kind, three numbers, tag, body length.
pub const MAX_HEAD: usize = 1 + 3 * MAX_NUMBER + 4 + MAX_NUMBER;
const MAX_NUMBER: usize = 10;

/// A frame, as it lies in a receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message to an agent, or an answer.
    Content(Head, Content<'a>),
    /// A question will have no answer.
    Failed {
        /// Which.
        to: ReplyTo,
        /// Who was asked.
        from: AgentId,
        /// Why.
        error: AskError,
    },
    /// The sender wants to be told of the end of this agent of the receiver.
    Watch(AgentId),
    /// No longer.
    Unwatch(AgentId),
    /// This agent of the sender is down.
    Down(AgentId, Down),
    /// Messages have left the mailbox of this agent of the sender.
    Grant {
        /// The life of the receiver that they were of: what waited for a way to it may arrive in the
        /// next one, which sent other messages.
        life: Incarnation,
        /// Which.
        to: AgentId,
        /// Since the last grant.
        freed: Amount,
        /// How much the receiver may have waiting there from now on.
        share: Amount,
    },
    /// A new session has begun: how much of the sender's still waits for this agent?
    Probe {
        /// Which.
        to: AgentId,
        /// Tells the questions of different sessions apart.
        round: u64,
    },
    /// The answer to probes in all lanes.
    Held {
        /// The life of the receiver that asked.
        life: Incarnation,
        /// Which.
        to: AgentId,
        /// Of these probes.
        round: u64,
        /// What waits.
        held: Amount,
    },
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// To an agent.
    Tell {
        /// The agent.
        to: AgentId,
        /// Who sent it.
        from: AgentId,
    },
    /// To an agent, which is to answer.
    Ask {
        /// The agent.
        to: AgentId,
        /// Who sent it.
        from: AgentId,
        /// Its number for the question.
        ask: AskId,
    },
    /// To a question.
    Reply {
        /// The question.
        to: ReplyTo,
        /// Who answers.
        from: AgentId,
    },
}

/// A message in its encoded form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// [`tag`](crate::message::tag) of its type.
    pub tag: u32,
    /// The value.
    pub value: &'a [u8],
    /// What travels beside it.
    pub body: &'a [u8],
}

/// Bytes that are no frame. Fault of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// It ends too early.
    #[error("a frame ends in the middle")]
    Truncated,
    /// Bytes follow its end.
    #[error("bytes follow the end of a frame")]
    Trailing,
    /// It is of another version.
    #[error("a frame of version {0}, and this node speaks version {VERSION}: update the older one")]
    Version(u8),
    /// There is no such kind, reason or number.
    #[error("{0} is not a valid {1}")]
    Invalid(u64, &'static str),
    /// A number is not in its shortest form, or has more than 64 bits.
    #[error("a number is not in its shortest form")]
    Number,
}

const TELL: u8 = 0;
const ASK: u8 = 1;
const REPLY: u8 = 2;
const FAILED: u8 = 3;
const WATCH: u8 = 4;
const UNWATCH: u8 = 5;
const DOWN: u8 = 6;
const GRANT: u8 = 7;
const PROBE: u8 = 8;
const HELD: u8 = 9;

impl Head {
    /// Begins a frame at the end of `out`; the encoded value and then the body must follow.
    pub fn write(&self, tag: u32, body: usize, out: &mut Vec<u8>) {
        match *self {
            Self::Tell { to, from } => put(out, TELL, &[to.0, from.0]),
            Self::Ask { to, from, ask } => put(out, ASK, &[to.0, from.0, ask.0.get()]),
            Self::Reply { to, from } => {
                put(out, REPLY, &[to.agent.0, to.ask.0.get(), from.0]);
            }
        }
        out.extend_from_slice(&tag.to_le_bytes());
        put_number(out, body as u64);
    }
}

impl<'a> Frame<'a> {
    /// Appends the frame to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Content(head, content) => {
                head.write(content.tag, content.body.len(), out);
                out.extend_from_slice(content.value);
                out.extend_from_slice(content.body);
            }
            Self::Failed { to, from, error } => {
                put(out, FAILED, &[to.agent.0, to.ask.0.get(), from.0]);
                put_error(out, error);
            }
            Self::Watch(who) => put(out, WATCH, &[who.0]),
            Self::Unwatch(who) => put(out, UNWATCH, &[who.0]),
            Self::Down(who, why) => put(out, DOWN, &[who.0, down_code(why)]),
            Self::Grant { life, to, freed, share } => {
                let (freed, share) = ([freed.messages, freed.bytes], [share.messages, share.bytes]);
                put(out, GRANT, &[life.0, to.0, freed[0], freed[1], share[0], share[1]]);
            }
            Self::Probe { to, round } => put(out, PROBE, &[to.0, round]),
            Self::Held { life, to, round, held } => {
                put(out, HELD, &[life.0, to.0, round, held.messages, held.bytes]);
            }
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// If `bytes` are not exactly one.
    pub fn read(bytes: &'a [u8]) -> Result<Self, BadFrame> {
        let mut rest = Rest(bytes);
        let first = rest.byte()?;
        if first >> 4 != VERSION {
            return Err(BadFrame::Version(first >> 4));
        }
        let frame = match first & 0xf {
            kind @ (TELL | ASK | REPLY) => {
                let head = rest.head(kind)?;
                return Ok(Self::Content(head, rest.content()?));
            }
            FAILED => {
                let to = ReplyTo { agent: rest.agent()?, ask: rest.ask()? };
                Self::Failed { to, from: rest.agent()?, error: rest.error()? }
            }
            WATCH => Self::Watch(rest.agent()?),
            UNWATCH => Self::Unwatch(rest.agent()?),
            DOWN => Self::Down(rest.agent()?, rest.down()?),
            GRANT => Self::Grant {
                life: rest.life()?,
                to: rest.agent()?,
                freed: rest.amount()?,
                share: rest.amount()?,
            },
            PROBE => Self::Probe { to: rest.agent()?, round: rest.number()? },
            HELD => Self::Held {
                life: rest.life()?,
                to: rest.agent()?,
                round: rest.number()?,
                held: rest.amount()?,
            },
            kind => return Err(BadFrame::Invalid(u64::from(kind), "kind of frame")),
        };
        if rest.0.is_empty() { Ok(frame) } else { Err(BadFrame::Trailing) }
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    #[inline]
    fn byte(&mut self) -> Result<u8, BadFrame> {
        let (&first, rest) = self.0.split_first().ok_or(BadFrame::Truncated)?;
        self.0 = rest;
        Ok(first)
    }

    #[inline]
    fn number(&mut self) -> Result<u64, BadFrame> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(BadFrame::Number);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                let is_shortest = byte != 0 || shift == 0;
                return if is_shortest { Ok(number) } else { Err(BadFrame::Number) };
            }
        }
        Err(BadFrame::Number)
    }

    fn agent(&mut self) -> Result<AgentId, BadFrame> {
        self.number().map(AgentId)
    }

    fn life(&mut self) -> Result<Incarnation, BadFrame> {
        self.number().map(Incarnation)
    }

    fn ask(&mut self) -> Result<AskId, BadFrame> {
        let number = self.number()?;
        NonZeroU64::new(number).map(AskId).ok_or(BadFrame::Invalid(0, "number of a question"))
    }

    fn amount(&mut self) -> Result<Amount, BadFrame> {
        Ok(Amount { messages: self.number()?, bytes: self.number()? })
    }

    #[inline]
    fn head(&mut self, kind: u8) -> Result<Head, BadFrame> {
        Ok(match kind {
            TELL => Head::Tell { to: self.agent()?, from: self.agent()? },
            ASK => Head::Ask { to: self.agent()?, from: self.agent()?, ask: self.ask()? },
            _ => {
                let to = ReplyTo { agent: self.agent()?, ask: self.ask()? };
                Head::Reply { to, from: self.agent()? }
            }
        })
    }

    #[inline]
    fn content(&mut self) -> Result<Content<'a>, BadFrame> {
        let (tag, rest) = self.0.split_first_chunk().ok_or(BadFrame::Truncated)?;
        self.0 = rest;
        let body = self.number()?;
        let body = usize::try_from(body).map_err(|_| BadFrame::Truncated)?;
        let at = self.0.len().checked_sub(body).ok_or(BadFrame::Truncated)?;
        let (value, body) = self.0.split_at(at);
        Ok(Content { tag: u32::from_le_bytes(*tag), value, body })
    }

    fn down(&mut self) -> Result<Down, BadFrame> {
        let code = self.number()?;
        let known = usize::try_from(code).ok().and_then(|code| DOWNS.get(code));
        known.copied().ok_or(BadFrame::Invalid(code, "reason of an end"))
    }

    fn error(&mut self) -> Result<AskError, BadFrame> {
        Ok(match self.number()? {
            0 => AskError::Timeout,
            1 => AskError::Down(self.down()?),
            2 => AskError::Refused(RefusedBecause::Full),
            3 => {
                let (len, limit) = (self.number()?, self.number()?);
                // Lengths are for people: one that this machine cannot express is as good as its
                // largest.
                let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
                AskError::Refused(RefusedBecause::TooLarge { len: size(len), limit: size(limit) })
            }
            4 => AskError::Refused(RefusedBecause::Unencodable),
            5 => AskError::Refused(RefusedBecause::Unknown),
            6 => AskError::Refused(RefusedBecause::Closing),
            code => return Err(BadFrame::Invalid(code, "reason of a failure")),
        })
    }
}

fn put(out: &mut Vec<u8>, kind: u8, numbers: &[u64]) {
    out.push(VERSION << 4 | kind);
    for &number in numbers {
        put_number(out, number);
    }
}

#[inline]
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A reason's place is its code.
const DOWNS: [Down; 6] = [
    Down::Stopped,
    Down::Panicked,
    Down::Restarted,
    Down::NoConnection,
    Down::SessionLost,
    Down::Unknown,
];

fn down_code(why: Down) -> u64 {
    match why {
        Down::Stopped => 0,
        Down::Panicked => 1,
        Down::Restarted => 2,
        Down::NoConnection => 3,
        Down::SessionLost => 4,
        Down::Unknown => 5,
    }
}

fn put_error(out: &mut Vec<u8>, error: AskError) {
    let numbers: &[u64] = match error {
        AskError::Timeout => &[0],
        AskError::Down(why) => &[1, down_code(why)],
        AskError::Refused(RefusedBecause::Full) => &[2],
        AskError::Refused(RefusedBecause::TooLarge { len, limit }) => {
            &[3, len as u64, limit as u64]
        }
        AskError::Refused(RefusedBecause::Unencodable) => &[4],
        AskError::Refused(RefusedBecause::Unknown) => &[5],
        AskError::Refused(RefusedBecause::Closing) => &[6],
    };
    for &number in numbers {
        put_number(out, number);
    }
}

#[cfg(test)]
mod tests;
