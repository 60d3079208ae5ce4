//! What a core asks its driver for.

use std::time::Duration;

use bytes::Bytes;
use dx_agents::AgentId;

use crate::message::RingMessage;
use crate::view::{Life, View};

/// One thing to be done. In order.
#[derive(Debug)]
pub enum Output {
    /// Send.
    Send {
        /// To whom.
        to: Vec<AgentId>,
        /// What.
        message: RingMessage,
    },
    /// Write down that this member was in a ring: what is sent from now on waits until it is
    /// durable.
    Mark,
    /// Call [`Core::pace`](crate::Core::pace) after so long.
    Pace(Duration),
    /// Watch a member.
    Monitor(AgentId),
    /// A message is delivered.
    Deliver(Delivery),
    /// A view takes effect, at this place.
    View(u64, View),
    /// Hand a snapshot of the application to [`Core::snapshot`](crate::Core::snapshot).
    Snapshot,
    /// The application becomes what this snapshot says, which was taken in this view.
    Restore(Bytes, Option<View>),
    /// There is room again for [`Core::broadcast`](crate::Core::broadcast).
    Room,
}

/// A message in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The place of its batch, or of the one that its end came with.
    pub seq: u64,
    /// Its number among all messages, from 1.
    pub index: u64,
    /// Who broadcast it.
    pub origin: AgentId,
    /// In which life.
    pub life: Life,
    /// The message.
    pub payload: Bytes,
}
