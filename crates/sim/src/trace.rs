//! What happened: as one number by which runs are compared, and on demand as a list to read.

use std::fmt;
use std::time::Duration;

use dx_agents::message::Body;
use dx_agents::{AgentId, NodeId};

use crate::story::Story;

/// The run so far, as a rolling hash, and its last events if they are kept.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    events: u64,
    kept: Option<Vec<Happened>>,
    story: Option<Box<Story>>,
    scratch: Vec<u8>,
}

/// One event of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When, in nanoseconds.
    pub at: u64,
    /// To which agent, or to which node if it is a fault.
    pub to: AgentId,
    /// What.
    pub what: What,
    /// More of it: the sender of a message, a timer's key.
    pub detail: u64,
    /// A hash of the message, if it is one.
    pub payload: u64,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum What {
    /// An agent starts.
    Start = 1,
    /// A message is handled.
    Message,
    /// A timer fires.
    Timer,
    /// A question's time is over.
    Deadline,
    /// Offloaded work has ended.
    Done,
    /// An answer is handled.
    Reply,
    /// A monitored agent is down.
    Down,
    /// A send came back.
    Refused,
    /// There is room again.
    Writable,
    /// Entries are durable.
    Durable,
    /// A snapshot is wanted.
    SnapshotWanted,
    /// The node stops.
    Stopping,
    /// The step panicked.
    Panicked,
    /// A parcel of another node arrived.
    Arrived,
    /// A port heard something.
    Port,
    /// A node started.
    Boot,
    /// A node crashed.
    Crash,
    /// Something else was done to the world.
    Fault,
    /// An agent lies to another, in one of the ways of [`Lie`](crate::Lie).
    Lied,
}

impl Trace {
    /// Keeps what happens from now on, to be read.
    pub fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// What was kept.
    #[must_use]
    pub fn kept(&self) -> &[Happened] {
        self.kept.as_deref().unwrap_or_default()
    }

    pub(crate) fn keep_story(&mut self) -> &mut Story {
        self.story.get_or_insert_default()
    }

    #[inline]
    pub(crate) fn story(&self) -> Option<&Story> {
        self.story.as_deref()
    }

    #[inline]
    pub(crate) fn story_mut(&mut self) -> Option<&mut Story> {
        self.story.as_deref_mut()
    }

    /// The run so far as one number.
    #[must_use]
    pub fn hash(&self) -> u64 {
        finish(self.hash)
    }

    /// Events so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Something happened.
    #[inline]
    pub(crate) fn note(&mut self, happened: Happened) {
        let Happened { at, to, what, detail, payload } = happened;
        self.events += 1;
        let hash = [at, to.0, what as u64, detail, payload].into_iter().fold(self.hash, fold);
        self.hash = hash;
        if let Some(kept) = &mut self.kept {
            kept.push(happened);
        }
    }

    /// A message as a number, and the bytes that it takes on the wire; `None` if it cannot be
    /// encoded within `limit`.
    #[inline]
    pub(crate) fn measure(&mut self, body: &Body, limit: usize) -> Result<Measured, Unsendable> {
        let (value, beside, len);
        match body {
            Body::Wire(wire) => {
                value = hash_of(&wire.encoded.value);
                beside = hash_of(&wire.encoded.body);
                len = wire.encoded.len();
            }
            Body::Typed(message) => {
                let body = message.any_body();
                let room = limit.saturating_sub(body.len());
                self.scratch.clear();
                if let Err(error) = message.encode_into(room, &mut self.scratch) {
                    return Err(match error {
                        dx_transport::codec::EncodeError::TooLarge { len, .. } => {
                            Unsendable::TooLarge(len + body.len())
                        }
                        dx_transport::codec::EncodeError::Value(_) => Unsendable::Unencodable,
                    });
                }
                value = hash_of(&self.scratch);
                beside = if body.is_empty() { 0 } else { hash_of(&body) };
                len = self.scratch.len() + body.len();
            }
        }
        Ok(Measured { hash: fold(value, beside), bytes: len as u64 })
    }
}

/// A message's hash, and its bytes on the wire.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub hash: u64,
    pub bytes: u64,
}

/// Why a message has no encoding.
pub(crate) enum Unsendable {
    TooLarge(usize),
    Unencodable,
}

/// One step of the rolling hash: a multiplication by an odd number (2^64 over the golden ratio)
/// and a fold of the upper half, in which every bit of the input has left its mark.
#[inline]
pub(crate) fn fold(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product ^ (product >> 32)).wrapping_add(1)
}

fn finish(hash: u64) -> u64 {
    fold(fold(hash, 0), 0)
}

#[inline]
fn hash_of(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let hash =
        words.iter().fold(bytes.len() as u64, |hash, word| fold(hash, u64::from_le_bytes(*word)));
    if rest.is_empty() {
        return hash;
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(hash, u64::from_le_bytes(last))
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Duration::from_nanos(self.at);
        write!(f, "{at:>14?} {} {:?}", self.to, self.what)?;
        match self.what {
            What::Message | What::Reply | What::Down | What::Writable | What::Refused => {
                write!(f, " from {}", AgentId(self.detail))
            }
            What::Lied => write!(f, " to {}", AgentId(self.detail)),
            What::Boot | What::Crash => write!(f, " node {}", NodeId(self.detail as u32)),
            _ => write!(f, " {}", self.detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_an_event_counts() {
        let base = Happened { at: 1, to: AgentId(2), what: What::Timer, detail: 3, payload: 4 };
        let hash = |happened| {
            let mut trace = Trace::default();
            trace.note(base);
            trace.note(happened);
            trace.hash()
        };
        let others = [
            Happened { at: 2, ..base },
            Happened { to: AgentId(3), ..base },
            Happened { what: What::Reply, ..base },
            Happened { detail: 4, ..base },
            Happened { payload: 5, ..base },
        ];
        assert!(others.iter().all(|other| hash(*other) != hash(base)));
    }

    #[test]
    fn bytes_of_another_length_are_another_hash() {
        assert_ne!(hash_of(&[0; 8]), hash_of(&[0; 9]));
        assert_ne!(hash_of(&[1, 0]), hash_of(&[1]));
    }
}
