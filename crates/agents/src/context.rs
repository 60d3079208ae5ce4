//! What a step may look at, and where it leaves what it asks for.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dx_transport::id::{Incarnation, NodeId};
use dx_transport::time::Instant;

use crate::directory::Directory;
use crate::effect::Effect;
use crate::event::Recovered;
use crate::id::{AgentId, AskId, JobId, ReplyTo, TimerKey, WELL_KNOWN};
use crate::journal::Entry;
use crate::message::{Body, Message};
use crate::rng::Rng;
use crate::shared::Job;
use crate::spawn::Spawn;

/// The longest record, in bytes: as long as the longest message.
pub const MAX_ENTRY: usize = 16 << 20;

/// The longest snapshot, in bytes: the state of a controller that has run some millions of tasks.
pub const MAX_SNAPSHOT: usize = 128 << 20;

/// The world as one step of an agent sees it, and the buffer of its effects.
///
/// Nothing asked of it happens before the step returns, and nothing at all if the step panics.
pub struct Context {
    world: World,
    /// Frozen at the first look of the step.
    now: Option<Instant>,
    pub(crate) me: AgentId,
    pub(crate) restarts: u32,
    pub(crate) steps: u64,
    pub(crate) asked: Option<ReplyTo>,
    pub(crate) recovered: Recovered,
    /// The next number for a question or a job of this agent.
    pub(crate) next: u64,
    pub(crate) effects: Vec<Effect>,
    /// Sends that wait for no journal.
    pub(crate) ahead: Vec<Effect>,
    /// Whether `effects` has more than sends and answers, or there is something in `ahead`.
    pub(crate) is_special: bool,
    rng: Option<Rng>,
}

/// What all steps of a driver have in common.
pub struct World {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Who is in the deployment.
    pub directory: Arc<Directory>,
    /// Numbers for the agents that are spawned.
    pub ids: Arc<DynamicIds>,
    /// What random numbers are drawn from.
    pub seed: u64,
    /// What the time is: asked at most once in a step.
    pub clock: Box<dyn Fn() -> Instant + Send>,
    /// How the journal is.
    pub journal: Box<dyn Fn() -> JournalState + Send>,
}

impl World {
    fn journal(&self) -> JournalState {
        (self.journal)()
    }
}

/// How the node's journal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JournalState {
    /// There is none: nothing can be persisted.
    #[default]
    None,
    /// It takes entries.
    Open,
    /// The disk is full. Entries wait, and what depends on them.
    Full,
    /// The disk failed: nothing becomes durable any more, and the node stops.
    Failed,
}

/// The numbers of a node's dynamic agents.
#[derive(Debug)]
pub struct DynamicIds {
    node: NodeId,
    next: AtomicU32,
}

impl DynamicIds {
    /// Numbers that begin at a point that moves on by 1,000 a second of the incarnation's
    /// milliseconds, so that a restarted node does not soon give out the same ones again.
    #[must_use]
    pub fn new(node: NodeId, incarnation: Incarnation) -> Self {
        Self { node, next: AtomicU32::new(incarnation.0 as u32) }
    }

    /// For drivers: the next one.
    pub fn next(&self) -> AgentId {
        loop {
            let count = self.next.fetch_add(1, Ordering::Relaxed);
            if count >= WELL_KNOWN {
                return AgentId::dynamic(self.node, count);
            }
        }
    }
}

impl Context {
    /// A context for the steps of one driver.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self {
            world,
            now: None,
            me: AgentId::default(),
            restarts: 0,
            steps: 0,
            asked: None,
            recovered: Recovered::default(),
            next: 0,
            effects: Vec::new(),
            ahead: Vec::new(),
            is_special: false,
            rng: None,
        }
    }

    /// Begins a step.
    #[inline]
    pub(crate) fn begin(&mut self, me: AgentId, restarts: u32, steps: u64, next: u64) {
        self.now = None;
        self.me = me;
        self.restarts = restarts;
        self.steps = steps;
        self.next = next;
        self.asked = None;
        self.is_special = false;
        self.rng = None;
        if !self.recovered.is_empty() {
            // Another agent's, which did not ask for it.
            self.recovered = Recovered::default();
        }
    }

    /// Notes the question that the step is about to hear, if it is one.
    #[inline]
    pub(crate) fn hear(&mut self, asked: Option<ReplyTo>) {
        self.asked = asked;
    }

    /// The agent itself.
    #[must_use]
    pub fn me(&self) -> AgentId {
        self.me
    }

    /// The node it is on.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.world.node
    }

    /// The life of the node.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.world.incarnation
    }

    /// How often this agent was restarted in this life of the node.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The time: monotonic, read at the first call and the same for the rest of the step.
    pub fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(&self.world.clock)
    }

    /// Random numbers, the same for the same seed, agent and step.
    pub fn rng(&mut self) -> &mut Rng {
        let (seed, me, steps) = (self.world.seed, self.me.0, self.steps);
        self.rng.get_or_insert_with(|| {
            let mut agent = Rng::stream(seed, me);
            Rng::stream(agent.next_u64(), steps)
        })
    }

    /// The agents of the deployment.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.world.directory
    }

    /// What the journal holds of this agent. In [`start`](crate::Agent::start), and once: later
    /// calls give nothing.
    pub fn recovered(&mut self) -> Recovered {
        std::mem::take(&mut self.recovered)
    }

    /// Whether entries can be persisted now. While the disk is full they wait, with all that
    /// depends on them: refuse new work.
    #[must_use]
    pub fn journal(&self) -> JournalState {
        self.world.journal()
    }

    /// The message of this step awaits an answer, to be sent here. It can be kept for later.
    #[must_use]
    pub fn asked(&self) -> Option<ReplyTo> {
        self.asked
    }

    /// Sends `message` to `to`.
    ///
    /// At most once, in order per receiver and lane. It never blocks; if there is no room it comes
    /// back as [`refused`](crate::Agent::refused), or is dropped where the options say so.
    #[inline]
    pub fn send<M: Message>(&mut self, to: AgentId, message: M) {
        self.effects.push(Effect::Send { to, ask: None, body: Body::Typed(Box::new(message)) });
    }

    /// Sends `message` to `to` without waiting for the journal: it overtakes all that waits there,
    /// of this step and of earlier ones.
    ///
    /// Only for what says nothing that an entry makes true, such as that this agent is alive: the
    /// node may forget every entry that is not durable, and the message is out. Say all that is on
    /// one lane between two agents either so or otherwise; else its order is lost.
    pub fn send_ahead<M: Message>(&mut self, to: AgentId, message: M) {
        self.is_special = true;
        self.ahead.push(Effect::Send { to, ask: None, body: Body::Typed(Box::new(message)) });
    }

    /// Sends `message` to each of `to`. To other nodes it is encoded once for all.
    pub fn send_many<M: Message + Clone>(&mut self, to: &[AgentId], message: &M) {
        let node = self.world.node;
        let is_here = |to: AgentId| self.world.directory.node_of(to).is_none_or(|at| at == node);
        let is_remote = to.iter().any(|&to| !is_here(to));
        let encoded = is_remote.then(|| crate::message::Encoded::of(message).ok()).flatten();
        for &to in to {
            let body = match &encoded {
                Some(encoded) if !is_here(to) => encoded.clone().into(),
                _ => Body::Typed(Box::new(message.clone())),
            };
            self.effects.push(Effect::Send { to, ask: None, body });
        }
    }

    /// Asks `to` a question, whose answer or failure comes as [`reply`](crate::Agent::reply) with
    /// this id: without an answer [`AskError::Timeout`](crate::AskError::Timeout), at the first look
    /// at the clock after `within`.
    pub fn ask<M: Message>(&mut self, to: AgentId, question: M, within: Duration) -> AskId {
        let ask = AskId(self.number());
        self.special(Effect::SetDeadline { ask, within });
        let body = Body::Typed(Box::new(question));
        self.effects.push(Effect::Send { to, ask: Some(ask), body });
        ask
    }

    /// Answers a question.
    #[inline]
    pub fn reply<M: Message>(&mut self, to: ReplyTo, answer: M) {
        self.effects.push(Effect::Reply { to, body: Body::Typed(Box::new(answer)) });
    }

    /// Sets the timer `key` to fire after `delay`, in place of an earlier setting.
    pub fn set_timer(&mut self, key: TimerKey, delay: Duration) {
        let at = self.now() + delay;
        self.special(Effect::SetTimer { key, generation: 0, at });
    }

    /// Cancels the timer `key`. It will not fire, even if it is due already.
    pub fn cancel(&mut self, key: TimerKey) {
        self.special(Effect::ClearTimer { key, generation: 0 });
    }

    /// Hands `work` to the agent's [`SharedState`](crate::SharedState). The outcome comes as
    /// [`done`](crate::Agent::done). Jobs are finished in the order in which they were handed over.
    pub fn offload<J: std::any::Any + Send>(&mut self, work: J) -> JobId {
        self.offload_for(0, work)
    }

    /// The same, where only jobs of equal `source` are finished in order.
    pub fn offload_for<J: std::any::Any + Send>(&mut self, source: u64, work: J) -> JobId {
        let job = JobId(self.number().get());
        let work: Job = Box::new(work);
        self.special(Effect::Offload { job, source, work });
        job
    }

    /// Appends a record to the node's journal. What this step sends, and what later ones send,
    /// leaves only when the record is durable.
    ///
    /// ```
    /// # use dx_agents::{Agent, AgentId, Context, Message};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Add(u64);
    /// # impl Message for Add { const NAME: &'static str = "add"; }
    /// struct Sum(u64);
    ///
    /// impl Agent for Sum {
    ///     type Message = Add;
    ///
    ///     fn start(&mut self, cx: &mut Context) {
    ///         for record in cx.recovered().records {
    ///             let record = record[..].try_into().expect("records are of eight bytes");
    ///             self.0 += u64::from_le_bytes(record);
    ///         }
    ///     }
    ///
    ///     fn message(&mut self, _from: AgentId, Add(more): Add, cx: &mut Context) {
    ///         self.0 += more;
    ///         cx.persist(more.to_le_bytes().to_vec());
    ///     }
    /// }
    /// ```
    ///
    /// # Panics
    /// If the node has no journal: an agent that must not forget cannot run there. If the record
    /// is longer than [`MAX_ENTRY`].
    pub fn persist(&mut self, record: impl Into<Bytes>) {
        self.append(Entry::Record(record.into()));
    }

    /// Puts `state` in the place of all that this agent persisted before.
    ///
    /// # Panics
    /// If the node has no journal, or the state is longer than [`MAX_SNAPSHOT`].
    pub fn snapshot(&mut self, state: impl Into<Bytes>) {
        self.append(Entry::Snapshot(state.into()));
    }

    /// Asks to be told when `who` is [`down`](crate::Agent::down). Once for each agent.
    pub fn monitor(&mut self, who: AgentId) {
        self.special(Effect::Monitor { who });
    }

    /// Asks to be told no longer.
    pub fn demonitor(&mut self, who: AgentId) {
        self.special(Effect::Demonitor { who });
    }

    /// Starts a new agent on this node.
    pub fn spawn(&mut self, spawn: Spawn) -> AgentId {
        let id = self.world.ids.next();
        self.special(Effect::Spawn { id, spawn });
        id
    }

    /// Stops this agent after the step.
    pub fn stop(&mut self) {
        self.special(Effect::Stop);
    }

    /// Notes a number under a name, for status and histories.
    pub fn note(&mut self, name: impl Into<Arc<str>>, value: u64) {
        self.special(Effect::Note(name.into(), value));
    }

    /// For drivers: the effects of the step that ended, in order, to be carried out.
    pub fn effects(&mut self) -> &mut Vec<Effect> {
        &mut self.effects
    }

    /// For drivers: what all steps have in common.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    fn append(&mut self, entry: Entry<Bytes>) {
        assert!(
            self.world.journal() != JournalState::None,
            "this node has no journal, so nothing can be persisted: give it a state folder"
        );
        let len = entry.payload().len();
        let max = if matches!(entry, Entry::Snapshot(_)) { MAX_SNAPSHOT } else { MAX_ENTRY };
        assert!(len <= max, "an entry of {len} bytes is longer than {max}: split it");
        self.special(Effect::Persist(entry));
    }

    fn special(&mut self, effect: Effect) {
        self.is_special = true;
        self.effects.push(effect);
    }

    fn number(&mut self) -> NonZeroU64 {
        self.next += 1;
        NonZeroU64::new(self.next).expect("it was incremented")
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("me", &self.me).finish_non_exhaustive()
    }
}
