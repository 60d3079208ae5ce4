//! The parallel part of a heavyweight agent.

use std::any::Any;

use crate::event::{Envelope, Outcome};
use crate::id::AgentId;
use crate::message::Body;

/// What an agent lets many threads do at once: decoding and verifying what comes in, heavy work,
/// signing and encoding what goes out. The agent itself stays single-threaded.
///
/// It has neither clock nor randomness nor a way to send: it turns one thing into another. Order
/// is kept per source: messages of one sender reach the agent in the order in which they came,
/// and what the agent sends to one receiver leaves in the order in which it was sent.
///
/// A panic in it fails what it worked on, and nothing else.
pub trait SharedState: Send + Sync + 'static {
    /// Whether messages pass [`ingress`](Self::ingress) before they reach the agent.
    fn takes_ingress(&self) -> bool {
        false
    }

    /// Looks at a message before the agent does: passes it on, as it is or in another form, or
    /// drops it (counted).
    fn ingress(&self, message: Envelope) -> Option<Envelope> {
        Some(message)
    }

    /// Whether [`work`](Self::work) gains from several jobs at once. A panic then fails all of
    /// them.
    fn takes_batches(&self) -> bool {
        false
    }

    /// Carries out what the agent offloaded: one outcome for each job, in their order.
    fn work(&self, jobs: Vec<Job>) -> Vec<Outcome> {
        jobs.into_iter().map(|_| Outcome::Failed).collect()
    }

    /// Whether what the agent sends passes [`egress`](Self::egress).
    fn takes_egress(&self) -> bool {
        false
    }

    /// Finishes a message that leaves the agent.
    fn egress(&self, to: AgentId, body: Body) -> Body {
        let _ = to;
        body
    }
}

/// Offloaded work: data, so that a simulator can see and order it.
pub type Job = Box<dyn Any + Send>;
