//! An agent whose type only the registry knows.

use std::any::Any;
use std::sync::Arc;

use crate::agent::{Agent, Stopping};
use crate::context::Context;
use crate::event::Event;
use crate::id::AgentId;
use crate::message::{BadMessage, Body, Encoded, Raw};
use crate::shared::SharedState;

/// What the kernel sees of an agent. Implemented for every [`Agent`].
pub trait ErasedAgent: Any + Send {
    /// Carries out a message.
    ///
    /// # Errors
    /// If it is not one of the agent's; the agent was not called.
    fn hear(&mut self, from: AgentId, body: Body, cx: &mut Context) -> Result<(), BadMessage>;

    /// Carries out a message that has just arrived, as [`hear`](Self::hear) does.
    ///
    /// # Errors
    /// If it is not one of the agent's; the agent was not called.
    fn hear_raw(&mut self, from: AgentId, raw: Raw<'_>, cx: &mut Context)
    -> Result<(), BadMessage>;

    /// Whether an encoding is one of a message that the agent takes.
    fn takes(&self, encoded: &Encoded) -> bool;

    /// Carries out any other event.
    fn handle(&mut self, event: Event, cx: &mut Context);

    /// [`Agent::shared`].
    fn shared_state(&self) -> Option<Arc<dyn SharedState>>;

    /// A message to it for people, in at most `limit` characters; `None` if it is not one of the
    /// agent's.
    fn text_of(&self, message: &Encoded, limit: usize) -> Option<String>;
}

impl<A: Agent> ErasedAgent for A {
    #[inline]
    fn hear(&mut self, from: AgentId, body: Body, cx: &mut Context) -> Result<(), BadMessage> {
        self.message(from, body.open()?, cx);
        Ok(())
    }

    #[inline]
    fn hear_raw(
        &mut self,
        from: AgentId,
        raw: Raw<'_>,
        cx: &mut Context,
    ) -> Result<(), BadMessage> {
        self.message(from, raw.open()?, cx);
        Ok(())
    }

    fn takes(&self, encoded: &Encoded) -> bool {
        encoded.decode::<A::Message>().is_ok()
    }

    fn handle(&mut self, event: Event, cx: &mut Context) {
        match event {
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
            // The kernel keeps these to itself.
            Event::Message(_) | Event::Durable { .. } => {}
        }
    }

    fn shared_state(&self) -> Option<Arc<dyn SharedState>> {
        self.shared()
    }

    fn text_of(&self, message: &Encoded, limit: usize) -> Option<String> {
        Some(crate::text::of(&message.decode::<A::Message>().ok()?, limit))
    }
}
