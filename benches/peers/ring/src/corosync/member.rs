//! A member of the group: what it sends, and what it checks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{START, Shared};
use crate::cpg::{Group, Listener};

/// A member of the group.
pub struct Member {
    me: usize,
    shared: Arc<Shared>,
    group: Group<Ear>,
}

/// What a member knows of the others.
struct Ear {
    me: usize,
    shared: Arc<Shared>,
    /// The number of the last message of each.
    seen: Vec<u64>,
    present: usize,
    /// Somebody left: what was sent meanwhile is nobody's to expect.
    has_shrunk: bool,
}

const GROUP: &str = "dx-ring-peers";

/// How long a sender waits for room that nothing announces.
const ROOM: Duration = Duration::from_micros(200);

/// How long a listener waits before it looks whether it is over.
const IDLE: Duration = Duration::from_millis(20);

/// The time between two attempts to reach a corosync that starts.
const RETRY: Duration = Duration::from_millis(20);

impl Member {
    /// Joins by the corosync of this host, once that is there.
    pub fn join(me: usize, shared: Arc<Shared>) -> anyhow::Result<Self> {
        let end = Instant::now() + START;
        loop {
            let seen = vec![0; shared.members];
            let ear = Ear { me, shared: Arc::clone(&shared), seen, present: 0, has_shrunk: false };
            if let Some(group) = Group::join(GROUP, ear)? {
                return Ok(Self { me, shared, group });
            }
            ensure!(Instant::now() < end, "its corosync cannot be reached");
            sleep(RETRY);
        }
    }

    /// Until the ledger says that it is over.
    pub fn run(&mut self) -> anyhow::Result<()> {
        let done = self.take_part();
        if done.is_err() {
            // Nobody waits for what does not come.
            self.shared.ledger.stop();
        }
        done.with_context(|| format!("member {}", self.me + 1))
    }

    fn take_part(&mut self) -> anyhow::Result<()> {
        let sends = self.me < self.shared.senders;
        let mut message = vec![0x5a; self.shared.size];
        let (mut number, mut has_begun) = (1_u64, false);
        while !self.shared.ledger.has_stopped() {
            self.group.dispatch()?;
            has_begun |= self.group.listener().present == self.shared.members;
            if !(sends && has_begun) {
                self.group.wait(IDLE)?;
                continue;
            }
            message[..size_of::<u64>()].copy_from_slice(&number.to_le_bytes());
            if self.group.send(&message)? {
                number += 1;
            } else {
                self.group.wait(ROOM)?;
            }
        }
        Ok(())
    }
}

impl Listener for Ear {
    fn deliver(&mut self, node: u32, message: &[u8]) {
        let (me, from) = (self.me, node as usize - 1);
        let Some((number, _)) = message.split_first_chunk() else {
            return self.shared.ledger.accuse(format!("member {me} delivered what nobody sent"));
        };
        let (number, last) = (u64::from_le_bytes(*number), self.seen[from]);
        if number != last + 1 && !self.has_shrunk {
            let what = format!("member {me} delivered {number} of {from} after {last}");
            self.shared.ledger.accuse(what);
        }
        self.seen[from] = number;
        self.shared.ledger.delivered(me, from);
    }

    fn change(&mut self, members: usize, has_shrunk: bool) {
        self.present = members;
        if has_shrunk && !self.shared.ledger.has_stopped() {
            self.has_shrunk = true;
            self.shared.changes.fetch_add(1, Ordering::Relaxed);
        }
    }
}
