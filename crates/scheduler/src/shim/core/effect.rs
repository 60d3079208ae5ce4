//! What the core wants done.

use std::sync::Arc;

use crate::id::AttemptId;
use crate::processor::{ReadLog, Told};
use crate::shim::work::Work;

use super::Ended;

/// A connection, as the driver numbers them.
pub type Caller = u64;

/// What the driver is to do. What has an answer says which.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a command: answered by [`started`](super::Core::started).
    Start(Start),
    /// Send this signal to the process group.
    Signal(AttemptId, i32),
    /// Kill whatever is left, and wait until nothing is, and all output is read: answered by
    /// [`exited`](super::Core::exited), if the command had not ended, and
    /// [`cleared`](super::Core::cleared).
    Clear(AttemptId),
    /// Nothing more is printed: bring the log to its end. Answered by
    /// [`closed`](super::Core::closed).
    Close {
        /// Whose.
        attempt: AttemptId,
        /// Keep nothing of it.
        drop: bool,
    },
    /// It has ended so: write that to the disk.
    Keep(AttemptId, Ended),
    /// The ends of these are not needed any more.
    Forget(Vec<AttemptId>),
    /// Tell it to everybody.
    Tell(Told),
    /// Tell it to one.
    Answer(Caller, Told),
    /// Tell one, or everybody, how the shim is, and all ends that are kept.
    Hello(Option<Caller>),
    /// Answer it from what is on disk.
    Read(Caller, ReadLog),
    /// Logs of these may go.
    DropLogs(Vec<AttemptId>),
    /// All is over in this life: begin another. Answered by [`begin`](super::Core::begin).
    NewLife,
    /// Nothing runs, all ends are kept: end.
    Exit,
}

/// A command to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// For which attempt.
    pub attempt: AttemptId,
    /// Its job.
    pub work: Arc<Work>,
    /// Which command, from 0.
    pub command: u32,
    /// The GPUs that are its own.
    pub gpus: Arc<[u32]>,
}
