//! Messages that reached nobody, counted by reason: nothing disappears in silence.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a message reached nobody.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The mailbox was full, and its policy dropped it or an older one.
    MailboxFull,
    /// The receiver had no room and the message went back to its sender.
    Refused,
    /// There is no such agent.
    NoSuchAgent,
    /// The receiver stopped before it came to it.
    Stopped,
    /// The receiver restarted before it came to it.
    Restarted,
    /// It is none of the receiver's messages.
    WrongType,
    /// It does not decode.
    Malformed,
    /// The receiver's shared state dropped it, or panicked over it.
    Filtered,
    /// An answer came after its deadline, or twice.
    LateAnswer,
    /// It is longer than a message may be, or cannot be encoded.
    Unsendable,
    /// What waits for a node without credit has reached its bound, and the policy dropped it.
    OutboxFull,
    /// A node spoke for an agent that is not one of its own.
    Forged,
    /// A life of its node had sent it of which a later one was heard of before.
    FormerLife,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 13] = [
        Self::MailboxFull,
        Self::Refused,
        Self::NoSuchAgent,
        Self::Stopped,
        Self::Restarted,
        Self::WrongType,
        Self::Malformed,
        Self::Filtered,
        Self::LateAnswer,
        Self::Unsendable,
        Self::OutboxFull,
        Self::Forged,
        Self::FormerLife,
    ];

    /// Its name in metrics and status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MailboxFull => "mailbox-full",
            Self::Refused => "refused",
            Self::NoSuchAgent => "no-such-agent",
            Self::Stopped => "stopped",
            Self::Restarted => "restarted",
            Self::WrongType => "wrong-type",
            Self::Malformed => "malformed",
            Self::Filtered => "filtered",
            Self::LateAnswer => "late-answer",
            Self::Unsendable => "unsendable",
            Self::OutboxFull => "outbox-full",
            Self::Forged => "forged",
            Self::FormerLife => "former-life",
        }
    }
}

/// A node's dead letters.
#[derive(Debug, Default)]
pub struct DeadLetters([AtomicU64; Reason::ALL.len()]);

impl DeadLetters {
    /// Counts `count` more.
    pub fn add(&self, reason: Reason, count: u64) {
        self.0[reason as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self, reason: Reason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }
}
