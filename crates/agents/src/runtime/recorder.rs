//! The flight recorder: the last steps of each worker, always on, to be read after a crash or on
//! demand.

use crate::event::Event;
use crate::id::AgentId;
use crate::sync::atomic::{AtomicU64, Ordering, fence};

/// Steps that are kept per worker: 256 KiB.
pub const RECORDED_STEPS: usize = 8192;

/// One step, in 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Nanoseconds on the runtime's clock when the worker last looked at it: at most one turn
    /// before the step.
    pub at: u64,
    /// Whose step.
    pub agent: AgentId,
    /// What it handled.
    pub what: What,
    /// Who sent it, which timer, which question or which job.
    pub about: u64,
}

/// What a step handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "named as the events")]
#[repr(u8)]
pub enum What {
    Start,
    Message,
    Timer,
    Deadline,
    Done,
    Reply,
    Down,
    Refused,
    Writable,
    Durable,
    Compact,
    Stopping,
}

const WHATS: [What; 12] = [
    What::Start,
    What::Message,
    What::Timer,
    What::Deadline,
    What::Done,
    What::Reply,
    What::Down,
    What::Refused,
    What::Writable,
    What::Durable,
    What::Compact,
    What::Stopping,
];

impl What {
    /// What `event` is, and what it is about.
    #[must_use]
    #[inline]
    pub fn of(event: &Event) -> (Self, u64) {
        match event {
            Event::Start(_) => (Self::Start, 0),
            Event::Message(envelope) => (Self::Message, envelope.from.0),
            Event::Timer { key, .. } => (Self::Timer, key.0),
            Event::Deadline(ask) => (Self::Deadline, ask.0.get()),
            Event::Done(job, _) => (Self::Done, job.0),
            Event::Reply(ask, _) => (Self::Reply, ask.0.get()),
            Event::Down(who, _) => (Self::Down, who.0),
            Event::Refused(refusal) => (Self::Refused, refusal.to.0),
            Event::Writable(to) => (Self::Writable, to.0),
            Event::Durable { entries } => (Self::Durable, *entries),
            Event::SnapshotWanted => (Self::Compact, 0),
            Event::Stopping { deadline } => (Self::Stopping, deadline.0),
        }
    }
}

/// A ring of the last steps: one thread writes, any may read.
///
/// The fields of a step are written one by one; a reader leaves out the one that is being written.
pub struct Recorder<const STEPS: usize = RECORDED_STEPS> {
    ring: Box<[[AtomicU64; 4]]>,
    next: AtomicU64,
}

impl<const STEPS: usize> Default for Recorder<STEPS> {
    fn default() -> Self {
        let ring = (0..STEPS).map(|_| Default::default()).collect();
        Self { ring, next: AtomicU64::new(0) }
    }
}

impl<const STEPS: usize> Recorder<STEPS> {
    /// Records a step.
    #[inline]
    pub fn record(&self, at: u64, agent: AgentId, (what, about): (What, u64)) {
        let next = self.next.load(Ordering::Relaxed);
        let entry = &self.ring[next as usize % STEPS];
        // Who sees any of what follows sees the count before it, if it looks at that afterwards.
        fence(Ordering::Release);
        entry[0].store(at, Ordering::Relaxed);
        entry[1].store(agent.0, Ordering::Relaxed);
        entry[2].store(what as u64, Ordering::Relaxed);
        entry[3].store(about, Ordering::Relaxed);
        // Release: who sees the count sees the entry.
        self.next.store(next + 1, Ordering::Release);
    }

    /// The last steps, oldest first. The oldest entries may be overwritten while they are read:
    /// those are left out.
    #[must_use]
    pub fn last(&self) -> Vec<Recorded> {
        let end = self.next.load(Ordering::Acquire);
        let first = end.saturating_sub(STEPS as u64);
        let read: Vec<_> = (first..end).map(|number| self.read(number)).collect();
        // Whatever was begun meanwhile may have touched the same place of the ring. The fence
        // pairs with the one in `record`.
        fence(Ordering::Acquire);
        let begun = self.next.load(Ordering::Relaxed) + 1;
        let kept = begun.saturating_sub(STEPS as u64).saturating_sub(first);
        read.into_iter().skip(kept as usize).collect()
    }

    fn read(&self, number: u64) -> Recorded {
        let entry = &self.ring[number as usize % STEPS];
        let field = |at: usize| entry[at].load(Ordering::Relaxed);
        let what = WHATS[field(2) as usize % WHATS.len()];
        Recorded { at: field(0), agent: AgentId(field(1)), what, about: field(3) }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn the_last_steps_are_kept_and_older_ones_go() {
        let recorder: Recorder = Recorder::default();
        let steps = RECORDED_STEPS as u64 + 10;
        for step in 0..steps {
            recorder.record(step, AgentId(1), (What::Timer, step));
        }
        let last = recorder.last();
        assert_eq!(last.last().map(|step| step.about), Some(steps - 1));
        assert_eq!(last.len(), RECORDED_STEPS - 1);
        assert!(last.windows(2).all(|pair| pair[1].about == pair[0].about + 1));
    }
}

#[cfg(all(test, feature = "loom"))]
mod interleavings {
    use std::sync::Arc;

    use loom::thread;

    use super::*;

    #[test]
    fn a_reader_gets_whole_steps_in_order_while_they_are_overwritten() {
        crate::sync::model(|| {
            let recorder: Arc<Recorder<2>> = Arc::default();
            let read = Arc::clone(&recorder);
            let reader = thread::spawn(move || {
                let read = read.last();
                for step in &read {
                    let fields = (step.agent, step.what, step.about);
                    assert_eq!(fields, (AgentId(step.at), What::Timer, step.at), "a torn step");
                }
                assert!(read.windows(2).all(|pair| pair[1].at == pair[0].at + 1));
            });
            for step in 0..3 {
                recorder.record(step, AgentId(step), (What::Timer, step));
            }
            reader.join().unwrap();
        });
    }
}
