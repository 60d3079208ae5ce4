//! The trait that users implement.

use std::sync::Arc;

use crate::context::Context;
use crate::event::{Answer, AskError, Down, Outcome, Refusal};
use crate::id::{AgentId, AskId, JobId, TimerKey};
use crate::message::Message;
use crate::shared::SharedState;

/// A synchronous state machine that gets messages and timers, and answers with effects.
///
/// Each call is one atomic step: what it asks of the [`Context`] is carried out after it returns,
/// and dropped if it panics. An agent reads no clock, draws no random number and touches neither
/// sockets nor threads except through the context; so the same code runs on threads, over a mesh
/// and in a simulator.
pub trait Agent: Send + 'static {
    /// What it receives: usually one enum.
    type Message: Message;

    /// Its first step, at every start: the first and each restart.
    /// [`Context::recovered`] gives what its journal holds.
    fn start(&mut self, cx: &mut Context) {
        let _ = cx;
    }

    /// A message came. `from` is vouched for by the runtime.
    fn message(&mut self, from: AgentId, message: Self::Message, cx: &mut Context);

    /// A timer is due. One that was cancelled or replaced never fires.
    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        let _ = (key, cx);
    }

    /// A question has its answer, or will have none. Called exactly once for each.
    fn reply(&mut self, ask: AskId, answer: Result<Answer, AskError>, cx: &mut Context) {
        let _ = (ask, answer, cx);
    }

    /// Offloaded work has ended. The state may have moved on since: check it again.
    fn done(&mut self, job: JobId, outcome: Outcome, cx: &mut Context) {
        let _ = (job, outcome, cx);
    }

    /// An agent that it monitors is down, or may be.
    fn down(&mut self, who: AgentId, why: Down, cx: &mut Context) {
        let _ = (who, why, cx);
    }

    /// A send came back.
    fn refused(&mut self, refusal: Refusal, cx: &mut Context) {
        let _ = (refusal, cx);
    }

    /// An agent that had no room for a send has room again.
    fn writable(&mut self, to: AgentId, cx: &mut Context) {
        let _ = (to, cx);
    }

    /// Its log has grown long: a good moment for [`Context::snapshot`].
    fn compact(&mut self, cx: &mut Context) {
        let _ = cx;
    }

    /// The node stops. An agent that needs time returns [`Stopping::Later`] and calls
    /// [`Context::stop`] when it is done; at the deadline it is stopped anyway.
    fn stopping(&mut self, cx: &mut Context) -> Stopping {
        let _ = cx;
        Stopping::Now
    }

    /// The part of it that many threads may use at once; asked for once, before the start.
    fn shared(&self) -> Option<Arc<dyn SharedState>> {
        None
    }
}

/// Whether an agent is ready to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// It is.
    Now,
    /// It will say so.
    Later,
}
