//! Messages: what agents say to each other.

use std::any::Any;

use bytes::Bytes;
use dx_transport::codec::{self, DecodeError, EncodeError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::Credit;
use crate::lane::Lane;

/// The longest message that can leave a node: encoded value and body together, in bytes.
///
/// The transport's own bound for a message, less a header.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024 - 1024;

/// What an agent receives: usually one enum per kind of agent.
///
/// Within a process the value itself is handed over; to another node it is encoded once.
///
/// ```
/// use dx_agents::Message;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Serialize, Deserialize)]
/// enum Counting {
///     Add(u64),
///     Total,
/// }
/// impl Message for Counting {
///     const NAME: &'static str = "counting";
/// }
/// ```
pub trait Message: Serialize + DeserializeOwned + Send + 'static {
    /// The name by which nodes recognise the type: unique in the cluster, part of the protocol.
    const NAME: &'static str;

    /// The lane it travels in.
    fn lane(&self) -> Lane {
        Lane::Normal
    }

    /// Bytes that travel beside the encoded value and are never copied into it. For a field that
    /// serde skips; [`set_body`](Self::set_body) puts it back on arrival.
    fn body(&self) -> Bytes {
        Bytes::new()
    }

    /// The counterpart of [`body`](Self::body). Called on arrival if the body is not empty.
    fn set_body(&mut self, body: Bytes) {
        drop(body);
    }
}

/// The number that stands for a message's type on the wire: FNV-1a of its name.
#[must_use]
pub const fn tag(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let mut hash = 0x811c_9dc5_u32;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

/// A message in its encoded form.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// [`tag`] of the type's name.
    pub tag: u32,
    /// The lane the value chose.
    pub lane: Lane,
    /// The value.
    pub value: Bytes,
    /// What travels beside it.
    pub body: Bytes,
}

impl Encoded {
    /// Encodes `message`.
    ///
    /// # Errors
    /// If it is longer than [`MAX_MESSAGE`], or its `Serialize` fails.
    pub fn of<M: Message>(message: &M) -> Result<Self, EncodeError> {
        let body = message.body();
        let len = body.len();
        let room = MAX_MESSAGE
            .checked_sub(len)
            .ok_or(EncodeError::TooLarge { len, limit: MAX_MESSAGE })?;
        let value = codec::encode(message, room)?.into();
        Ok(Self { tag: const { tag(M::NAME) }, lane: message.lane(), value, body })
    }

    /// The message again.
    ///
    /// # Errors
    /// If it is of another type, or malformed.
    pub fn decode<M: Message>(&self) -> Result<M, BadMessage> {
        Raw { tag: self.tag, value: &self.value, body: self.body.clone() }.open()
    }

    /// The same where the encoding is needed no more: its body is handed over, which costs nothing.
    fn into_message<M: Message>(self) -> Result<M, BadMessage> {
        Raw { tag: self.tag, value: &self.value, body: self.body }.open()
    }

    /// Bytes it takes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.value.len() + self.body.len()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A message in its encoded form, where it lies in what arrived.
#[derive(Clone, Debug)]
pub struct Raw<'a> {
    /// [`tag`] of the type's name.
    pub tag: u32,
    /// The value.
    pub value: &'a [u8],
    /// What travels beside it.
    pub body: Bytes,
}

impl Raw<'_> {
    /// The message.
    ///
    /// # Errors
    /// If it is of another type, or malformed.
    #[inline]
    pub fn open<M: Message>(self) -> Result<M, BadMessage> {
        if self.tag != const { tag(M::NAME) } {
            return Err(BadMessage::WrongType { expected: M::NAME });
        }
        let mut message: M = codec::decode(self.value)?;
        if !self.body.is_empty() {
            message.set_body(self.body);
        }
        Ok(message)
    }
}

/// What arrived is not what the receiver takes. Fault of the sender.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    /// It is of another type.
    #[error("the message is no `{expected}`")]
    WrongType {
        /// What the receiver takes.
        expected: &'static str,
    },
    /// It does not decode.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// A message on its way: the value itself within a process, or its encoding.
pub enum Body {
    /// The value.
    Typed(Box<dyn AnyMessage>),
    /// Its encoding, from another node or by the round-trip mode.
    Wire(Box<Wire>),
}

/// A message in its encoded form, on its way.
#[derive(Debug)]
pub struct Wire {
    /// The encoding.
    pub encoded: Encoded,
    /// Given back to the sending node when the message is dropped, however it ended.
    pub credit: Option<Credit>,
}

impl From<Encoded> for Body {
    fn from(encoded: Encoded) -> Self {
        Self::Wire(Box::new(Wire { encoded, credit: None }))
    }
}

impl Body {
    /// Bytes that count against a mailbox: exact for encodings, a body's for values.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Typed(message) => message.weight(),
            Self::Wire(wire) => wire.encoded.len(),
        }
    }

    /// Whether its place in the mailbox was granted beforehand.
    #[must_use]
    #[inline]
    pub fn has_credit(&self) -> bool {
        matches!(self, Self::Wire(wire) if wire.credit.is_some())
    }

    /// The lane it travels in.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Typed(message) => message.any_lane(),
            Self::Wire(wire) => wire.encoded.lane,
        }
    }

    /// The value.
    ///
    /// # Errors
    /// If it is of another type, or malformed.
    #[inline]
    pub fn open<M: Message>(self) -> Result<M, BadMessage> {
        match self {
            Self::Wire(wire) => wire.encoded.into_message(),
            Self::Typed(message) => match (message as Box<dyn Any>).downcast::<M>() {
                Ok(message) => Ok(*message),
                Err(_) => Err(BadMessage::WrongType { expected: M::NAME }),
            },
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Typed(message) => f.debug_tuple("Typed").field(&message.name()).finish(),
            Self::Wire(wire) => f.debug_tuple("Wire").field(&wire.encoded.len()).finish(),
        }
    }
}

/// A message whose type is known only to sender and receiver. Implemented for every [`Message`].
pub trait AnyMessage: Any + Send {
    /// [`Message::NAME`].
    fn name(&self) -> &'static str;
    /// [`Message::lane`].
    fn any_lane(&self) -> Lane;
    /// Bytes of the value itself and of its body.
    fn weight(&self) -> usize;
    /// [`tag`] of its name.
    fn any_tag(&self) -> u32;
    /// [`Message::body`].
    fn any_body(&self) -> Bytes;
    /// Whether an encoding is one of a value of this type: so that a changed one can be told from
    /// a broken one.
    fn decodes(&self, encoded: &Encoded) -> bool;
    /// Its encoding.
    ///
    /// # Errors
    /// See [`Encoded::of`].
    fn encode(&self) -> Result<Encoded, EncodeError>;
    /// The encoding of the value alone, at the end of `out`.
    ///
    /// # Errors
    /// If it is longer than `limit`, or its `Serialize` fails; `out` is as it was.
    fn encode_into(&self, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError>;
    /// The value for people, in at most `limit` characters: see [`text`](crate::text).
    fn text(&self, limit: usize) -> String;
}

impl<M: Message> AnyMessage for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn any_lane(&self) -> Lane {
        self.lane()
    }

    fn weight(&self) -> usize {
        size_of::<M>() + self.body().len()
    }

    fn any_tag(&self) -> u32 {
        const { tag(M::NAME) }
    }

    fn any_body(&self) -> Bytes {
        self.body()
    }

    fn decodes(&self, encoded: &Encoded) -> bool {
        encoded.decode::<M>().is_ok()
    }

    fn encode(&self) -> Result<Encoded, EncodeError> {
        Encoded::of(self)
    }

    fn encode_into(&self, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        codec::encode_into(self, limit, out)
    }

    fn text(&self, limit: usize) -> String {
        crate::text::of(self, limit)
    }
}
