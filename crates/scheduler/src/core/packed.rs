//! An attempt as it is kept for each task that has not ended: 88 bytes, none of them elsewhere. Rows
//! of tasks that have are [encoded](super::rows::encoded).

use dx_agents::NodeId;
use serde::{Deserialize, Serialize};

use crate::end::{AttemptRecord, End, Exit, Finish, NotStarted};
use crate::id::ShimId;

/// An attempt. Times are milliseconds since the Unix epoch, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    pub number: u32,
    pub node: u32,
    pub shim: u64,
    pub assigned: u64,
    pub started: u64,
    pub ended: u64,
    pub ran: u64,
    pub cpu: u64,
    pub max_rss: u64,
    pub printed: u64,
    pub kept: u64,
    /// The exit code or signal.
    pub code: i32,
    pub command: u16,
    /// One more than the [`End`]'s place; 0 while it has not ended.
    pub end: u8,
    /// What `code` is, and what the shim said beside.
    pub bits: u8,
}

const IS_CODE: u8 = 1;
const IS_SIGNAL: u8 = 1 << 1;
const YIELDED: u8 = 1 << 2;
const DETACHED: u8 = 1 << 3;
const TOLD: u8 = 1 << 4;
/// It came back before anything of it ran: it is no part of what happened to its task.
const RETURNED: u8 = 1 << 5;

const ENDS: [End; 6] =
    [End::Succeeded, End::Failed, End::TimedOut, End::Oom, End::Cancelled, End::Lost];

impl Packed {
    /// An attempt that is given to a node.
    pub fn new(number: u32, node: NodeId, shim: u64, assigned: u64) -> Self {
        Self { number, node: node.0, shim, assigned, ..Self::default() }
    }

    /// The life of the shim that it is on.
    pub fn life(&self) -> ShimId {
        ShimId { node: NodeId(self.node), incarnation: self.shim }
    }

    /// How it ended.
    pub fn end(&self) -> Option<End> {
        Some(ENDS[usize::from(self.end.checked_sub(1)?)])
    }

    /// Whether it is part of what happened.
    pub fn counts(&self) -> bool {
        self.number > 0 && self.bits & RETURNED == 0
    }

    /// It came back unused.
    pub fn give_back(&mut self) {
        self.bits |= RETURNED;
    }

    /// It ended so, at `at`; `finish` is what its shim said.
    pub fn finish(&mut self, at: u64, end: End, finish: Option<&Finish>) {
        self.ended = at.max(1);
        self.end = 1 + ENDS.iter().position(|it| *it == end).expect("all ends are in it") as u8;
        let Some(finish) = finish else { return };
        self.bits |= TOLD;
        for (is_set, bit) in [(finish.yielded, YIELDED), (finish.detached, DETACHED)] {
            self.bits |= if is_set { bit } else { 0 };
        }
        match finish.exit {
            Some(Exit::Code(code)) => (self.code, self.bits) = (code, self.bits | IS_CODE),
            Some(Exit::Signal(signal)) => (self.code, self.bits) = (signal, self.bits | IS_SIGNAL),
            None => {}
        }
        let Finish { ran, cpu, max_rss, printed, kept, .. } = *finish;
        let command = u16::try_from(finish.command).unwrap_or(u16::MAX);
        (self.ran, self.cpu, self.max_rss) = (ran, cpu, max_rss);
        (self.printed, self.kept, self.command) = (printed, kept, command);
        if self.started == 0 && finish.not_started.is_none() {
            // Its start was not heard of before its end.
            self.started = at.saturating_sub(ran / 1_000_000).max(self.assigned);
        }
    }

    /// What its process came to.
    pub fn exit(&self) -> Option<Exit> {
        match self.bits & (IS_CODE | IS_SIGNAL) {
            IS_CODE => Some(Exit::Code(self.code)),
            IS_SIGNAL => Some(Exit::Signal(self.code)),
            _ => None,
        }
    }

    /// The same as it is shown.
    pub fn record(&self, not_started: Option<&NotStarted>, note: Option<String>) -> AttemptRecord {
        let time = |at: u64| (at != 0).then_some(at);
        let finish = self.end().filter(|_| self.bits & TOLD != 0).map(|end| Finish {
            end,
            command: self.command.into(),
            exit: self.exit(),
            not_started: not_started.cloned(),
            yielded: self.bits & YIELDED != 0,
            detached: self.bits & DETACHED != 0,
            ran: self.ran,
            cpu: self.cpu,
            max_rss: self.max_rss,
            printed: self.printed,
            kept: self.kept,
        });
        AttemptRecord {
            number: self.number,
            node: NodeId(self.node),
            shim: self.shim,
            assigned: self.assigned,
            started: time(self.started),
            ended: time(self.ended),
            finish,
            end: self.end(),
            note,
        }
    }
}
