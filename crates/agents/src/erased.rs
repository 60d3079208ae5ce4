//! An agent whose type only the registry knows.

use std::any::Any;
use std::sync::Arc;

use crate::agent::{Agent, Stopping};
use crate::context::Context;
use crate::event::Event;
use crate::message::BadMessage;
use crate::shared::SharedState;

/// What the kernel sees of an agent. Implemented for every [`Agent`].
pub trait ErasedAgent: Any + Send {
    /// Carries out one event.
    ///
    /// # Errors
    /// If a message is not one of the agent's; the agent was not called.
    fn handle(&mut self, event: Event, cx: &mut Context) -> Result<(), BadMessage>;

    /// [`Agent::shared`].
    fn shared_state(&self) -> Option<Arc<dyn SharedState>>;
}

impl<A: Agent> ErasedAgent for A {
    #[inline]
    fn handle(&mut self, event: Event, cx: &mut Context) -> Result<(), BadMessage> {
        match event {
            Event::Message(envelope) => {
                let from = envelope.from;
                self.message(from, envelope.body.open()?, cx);
            }
            Event::Start(_) => self.start(cx),
            Event::Timer { key, .. } => self.timer(key, cx),
            Event::Deadline(ask) => self.reply(ask, Err(crate::event::AskError::Timeout), cx),
            Event::Done(job, outcome) => self.done(job, outcome, cx),
            Event::Reply(ask, answer) => self.reply(ask, answer, cx),
            Event::Down(who, why) => self.down(who, why, cx),
            Event::Refused(refusal) => self.refused(refusal, cx),
            Event::Writable(to) => self.writable(to, cx),
            Event::SnapshotWanted => self.compact(cx),
            Event::Stopping { .. } => {
                if self.stopping(cx) == Stopping::Now {
                    cx.stop();
                }
            }
            Event::Durable { .. } => {}
        }
        Ok(())
    }

    fn shared_state(&self) -> Option<Arc<dyn SharedState>> {
        self.shared()
    }
}
