//! Reads of logs that clients wait for.

use std::collections::BTreeMap;

use dx_agents::Context;
use dx_agents::id::ReplyTo;

use crate::processor::{Call, LogPart, MAX_LOG_PART, ReadLog};

use super::Runner;

/// The most reads under way: some watchers of each of some hundred tasks.
pub const MAX_READS: usize = 1024;

/// See the module. The oldest come first.
#[derive(Default)]
pub struct Reads {
    under_way: BTreeMap<u64, (ReplyTo, ReadLog)>,
    next: u64,
}

impl Runner {
    /// A client wants a part of a log.
    pub(super) fn read(&mut self, read: ReadLog, cx: &mut Context) {
        // Who does not await an answer has none.
        let Some(to) = cx.asked() else {
            self.tally.needless += 1;
            return;
        };
        if self.reads.under_way.len() >= MAX_READS {
            self.give_up_oldest(cx);
        }
        self.reads.next += 1;
        self.reads.under_way.insert(self.reads.next, (to, read));
        let call = forwarded(self.reads.next, read);
        self.tell_shim(call, cx);
    }

    /// The oldest has waited the longest: it hears that there is nothing more yet, and asks again.
    fn give_up_oldest(&mut self, cx: &mut Context) {
        let Some((_, (to, read))) = self.reads.under_way.pop_first() else { return };
        let ReadLog { ticket, attempt, from, .. } = read;
        let part = LogPart {
            ticket,
            attempt,
            pieces: Vec::new(),
            next: from,
            is_end: false,
            dropped: 0,
            is_known: true,
        };
        cx.reply(to, part);
    }

    /// The shim has it.
    pub(super) fn has_read(&mut self, part: LogPart, cx: &mut Context) {
        match self.reads.under_way.remove(&part.ticket) {
            Some((to, read)) => cx.reply(to, LogPart { ticket: read.ticket, ..part }),
            None => self.tally.needless += 1,
        }
    }

    /// What was asked may not have arrived, or its answer: once more.
    pub(super) fn read_again(&mut self, cx: &mut Context) {
        for (ticket, (_, read)) in &self.reads.under_way {
            cx.send(self.config.processor, forwarded(*ticket, *read));
        }
    }
}

fn forwarded(ticket: u64, read: ReadLog) -> Call {
    let max = read.max.min(u32::try_from(MAX_LOG_PART).expect("it is far less"));
    Call::Log(ReadLog { ticket, max, ..read })
}
