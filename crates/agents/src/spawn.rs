//! Agents that are born at run time.

use std::fmt;
use std::sync::Arc;

use crate::agent::Agent;
use crate::erased::ErasedAgent;
use crate::spec::{MailboxBounds, Options, Placement, Restart, WhenFull};

/// Makes an agent, at its start and at each restart.
pub type Factory = Arc<dyn Fn() -> Box<dyn ErasedAgent> + Send + Sync>;

/// An agent to be spawned: what it is called, how it is made, how it runs. Clones share all of it,
/// and so do the agents that are made of it.
#[derive(Clone)]
pub struct Spawn(pub(crate) Arc<Plan>);

/// What agents that are alike have in common.
#[derive(Clone)]
pub(crate) struct Plan {
    /// For people: in status, logs and the flight recorder.
    pub kind: Arc<str>,
    /// How they run.
    pub options: Options,
    /// Makes one.
    pub factory: Factory,
}

impl Spawn {
    /// An agent of the kind `kind` that `make` makes, with default options.
    pub fn new<A: Agent>(
        kind: impl Into<Arc<str>>,
        make: impl Fn() -> A + Send + Sync + 'static,
    ) -> Self {
        let factory: Factory = Arc::new(move || Box::new(make()));
        Self(Arc::new(Plan { kind: kind.into(), options: Options::default(), factory }))
    }

    /// With these options.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        Arc::make_mut(&mut self.0).options = options;
        self
    }

    /// With this placement.
    #[must_use]
    pub fn placement(mut self, placement: Placement) -> Self {
        Arc::make_mut(&mut self.0).options.placement = placement;
        self
    }

    /// With these bounds of its mailbox.
    #[must_use]
    pub fn mailbox(mut self, mailbox: MailboxBounds) -> Self {
        Arc::make_mut(&mut self.0).options.mailbox = mailbox;
        self
    }

    /// With this policy for sends that find no room.
    #[must_use]
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        Arc::make_mut(&mut self.0).options.full = policy;
        self
    }

    /// With this policy for panics.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        Arc::make_mut(&mut self.0).options.restart = restart;
        self
    }

    /// With so many threads of its own for its shared state.
    #[must_use]
    pub fn shared(mut self, threads: usize) -> Self {
        Arc::make_mut(&mut self.0).options.shared = threads;
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// How it runs.
    #[must_use]
    pub fn how(&self) -> &Options {
        &self.0.options
    }

    /// Makes the agent.
    #[must_use]
    pub fn make(&self) -> Box<dyn ErasedAgent> {
        (self.0.factory)()
    }
}

impl fmt::Debug for Spawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawn").field("kind", &self.0.kind).finish_non_exhaustive()
    }
}
