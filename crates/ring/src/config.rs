//! What a ring is to be like.

use std::time::Duration;

use dx_agents::{AgentId, MailboxBounds};

/// The same for all members.
#[derive(Clone, Debug)]
pub struct RingConfig {
    /// Who may ever be a member; a majority always means one of these.
    pub members: Vec<AgentId>,
    /// Bytes of payload under way, of all origins together. Every member may have to keep so much,
    /// and its mailbox to take it.
    pub window: usize,
    /// A member is heard of at least so often.
    pub beat: Duration,
    /// Silence after which a member is suspected. It has eight beats to be heard.
    pub patience: Duration,
}

impl RingConfig {
    /// The default for these members.
    #[must_use]
    pub fn new(mut members: Vec<AgentId>) -> Self {
        members.sort_unstable();
        members.dedup();
        Self {
            members,
            window: 16 << 20,
            beat: Duration::from_millis(50),
            patience: Duration::from_millis(400),
        }
    }

    /// The mailbox that a member needs: all windows, and what members say beside.
    #[must_use]
    pub fn mailbox(&self) -> MailboxBounds {
        let messages = 16 * 1024;
        MailboxBounds { messages, bytes: 2 * self.window + (16 << 20), ..MailboxBounds::DEFAULT }
    }
}
