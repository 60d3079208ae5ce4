//! The kernel: one agent, and what the runtime must remember of it. No thread, no clock, no
//! socket; every driver has it take the same steps.
//!
//! ```text
//! event -> stale? -> handler (one atomic step) -> effects: timers and questions numbered,
//!                                                 sends held while the journal is behind
//! ```

mod asks;
mod held;
mod timers;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use self::asks::Asks;
use self::held::Held;
use self::timers::Timers;
use crate::context::Context;
use crate::effect::Effect;
use crate::erased::ErasedAgent;
use crate::event::{Envelope, Event};
#[cfg(feature = "mesh")]
use crate::id::ReplyTo;
use crate::id::{AgentId, AskId, TimerKey};
#[cfg(feature = "mesh")]
use crate::message::Raw;
use crate::message::{BadMessage, Encoded};
use crate::shared::SharedState;

pub use self::held::{MAX_BEHIND, MAX_BEHIND_BYTES, MAX_HELD};

/// An agent at work.
pub struct Cell {
    id: AgentId,
    agent: Box<dyn ErasedAgent>,
    restarts: u32,
    steps: u64,
    /// The last number given to a question or a job. It never goes back, so that what comes late
    /// from before a restart is recognised.
    next: u64,
    /// What is under way; most agents have nothing.
    pending: Option<Box<Pending>>,
    held: Option<Box<Held>>,
}

/// What is under way and must end.
#[derive(Default)]
struct Pending {
    timers: Timers,
    asks: Asks,
    jobs: BTreeSet<u64>,
}

/// How a step went.
#[derive(Debug)]
pub enum Step {
    /// The handler ran; its effects are in the context.
    Ran,
    /// The event was cancelled or settled before. Nothing happened.
    Stale,
    /// The message is none of the agent's. Nothing happened.
    Rejected(BadMessage),
    /// The handler panicked, with this message. Its effects are dropped.
    Panicked(String),
}

impl Cell {
    /// The agent `agent` under the id `id`. Its first event is [`Event::Start`].
    #[must_use]
    pub fn new(id: AgentId, agent: Box<dyn ErasedAgent>) -> Self {
        Self { id, agent, restarts: 0, steps: 0, next: 0, pending: None, held: None }
    }

    /// The agent's id.
    #[must_use]
    pub fn id(&self) -> AgentId {
        self.id
    }

    /// How many steps it took.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How often it was restarted.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The agent itself, if it is a `T`: for invariants and tests.
    #[must_use]
    pub fn agent<T: 'static>(&self) -> Option<&T> {
        (&*self.agent as &dyn std::any::Any).downcast_ref()
    }

    /// Whether an encoding is one of a message that the agent takes.
    #[must_use]
    pub fn takes(&self, encoded: &Encoded) -> bool {
        self.agent.takes(encoded)
    }

    /// A message to it for people, in at most `limit` characters: see [`text`](crate::text).
    /// `None` if it is not one of the agent's.
    #[must_use]
    pub fn text_of(&self, message: &Encoded, limit: usize) -> Option<String> {
        self.agent.text_of(message, limit)
    }

    /// The part of it that many threads may use.
    #[must_use]
    pub fn shared_state(&self) -> Option<Arc<dyn SharedState>> {
        self.agent.shared_state()
    }

    /// Whether it may take no step but [`Event::Durable`]: too much waits for the journal.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.is_at_bound())
    }

    /// Whether it ever persisted anything.
    #[must_use]
    pub fn has_persisted(&self) -> bool {
        self.held.is_some()
    }

    /// Whether effects of it wait for the journal.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.is_behind())
    }

    /// Whether this setting of a timer still counts.
    #[must_use]
    pub fn has_timer(&self, key: TimerKey, generation: u64) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.timers.has(key, generation))
    }

    /// Whether this question is open.
    #[must_use]
    pub fn has_asked(&self, ask: AskId) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.asks.is_open(ask))
    }

    /// Puts a new agent in the place of one that failed. What was under way is forgotten; what
    /// completed steps had sent still leaves when it is durable.
    pub fn restart(&mut self, agent: Box<dyn ErasedAgent>, effects: &mut Vec<Effect>) {
        self.agent = agent;
        self.restarts += 1;
        let Some(mut pending) = self.pending.take() else { return };
        for (key, generation) in pending.timers.clear() {
            effects.push(Effect::ClearTimer { key, generation });
        }
        effects.extend(pending.asks.into_iter().map(|ask| Effect::ClearDeadline { ask }));
        // Generations go on, so that what was set before is not taken for what is set now.
        let timers = pending.timers;
        self.pending = Some(Box::new(Pending { timers, ..Pending::default() }));
    }

    /// Carries out one event. The effects are then in [`Context::effects`], to be carried out in
    /// their order and taken out before the next step.
    #[inline]
    pub fn step(&mut self, event: Event, cx: &mut Context) -> Step {
        let event = match event {
            Event::Message(envelope) => return self.hear(envelope, cx),
            event => event,
        };
        cx.begin(self.id, self.restarts, self.steps, self.next);
        match self.admit(event, cx) {
            None => Step::Stale,
            Some(event) => self.guarded(cx, |agent, cx| {
                agent.handle(event, cx);
                Ok(())
            }),
        }
    }

    /// Carries out a message, as [`step`](Self::step) does.
    #[inline]
    pub(crate) fn hear(&mut self, envelope: Envelope, cx: &mut Context) -> Step {
        cx.begin(self.id, self.restarts, self.steps, self.next);
        cx.hear(envelope.reply_to());
        let Envelope { from, body, .. } = envelope;
        self.guarded(cx, |agent, cx| agent.hear(from, body, cx))
    }

    /// Carries out a message that has just arrived, as [`step`](Self::step) does. `asked` is the
    /// question that it is, if it is one.
    #[cfg(feature = "mesh")]
    #[inline]
    pub(crate) fn hear_raw(
        &mut self,
        (from, asked): (AgentId, Option<ReplyTo>),
        raw: Raw<'_>,
        cx: &mut Context,
    ) -> Step {
        cx.begin(self.id, self.restarts, self.steps, self.next);
        cx.hear(asked);
        self.guarded(cx, |agent, cx| agent.hear_raw(from, raw, cx))
    }

    /// Runs a handler as one atomic step.
    #[inline]
    fn guarded(
        &mut self,
        cx: &mut Context,
        handler: impl FnOnce(&mut dyn ErasedAgent, &mut Context) -> Result<(), BadMessage>,
    ) -> Step {
        let settled = cx.effects.len();
        self.steps += 1;
        let agent = &mut *self.agent;
        // The state of an agent that panicked is dropped with it, never looked at again.
        match catch_unwind(AssertUnwindSafe(|| handler(agent, cx))) {
            Ok(Ok(())) => {}
            Ok(Err(bad)) => return Step::Rejected(bad),
            Err(panic) => {
                cx.effects.truncate(settled);
                cx.ahead.clear();
                return Step::Panicked(panic_text(&*panic));
            }
        }
        self.next = cx.next;
        if cx.is_special || self.held.is_some() {
            self.settle(settled, cx);
        }
        Step::Ran
    }

    /// Whether the event still holds; if so, as the handler is to hear it.
    fn admit(&mut self, event: Event, cx: &mut Context) -> Option<Event> {
        match event {
            Event::Timer { key, generation } => self
                .pending()?
                .timers
                .take(key, generation)
                .then_some(Event::Timer { key, generation }),
            Event::Deadline(ask) => self.pending()?.asks.close(ask).then_some(Event::Deadline(ask)),
            Event::Reply(ask, answer) => {
                if !self.pending()?.asks.close(ask) {
                    return None;
                }
                cx.effects.push(Effect::ClearDeadline { ask });
                Some(Event::Reply(ask, answer))
            }
            Event::Done(job, outcome) => {
                self.pending()?.jobs.remove(&job.0).then_some(Event::Done(job, outcome))
            }
            Event::Durable { entries } => {
                if let Some(held) = &mut self.held {
                    held.release(entries, &mut cx.effects);
                }
                None
            }
            Event::Start(recovered) => {
                cx.recovered = *recovered;
                Some(Event::Start(Box::default()))
            }
            other => Some(other),
        }
    }

    fn pending(&mut self) -> Option<&mut Pending> {
        self.pending.as_deref_mut()
    }

    /// Numbers timers, notes what is under way, and holds back what the journal must precede.
    fn settle(&mut self, from: usize, cx: &mut Context) {
        let mut entries = Vec::new();
        let mut replaced = Vec::new();
        let pending = self.pending.get_or_insert_default();
        for effect in &mut cx.effects[from..] {
            match effect {
                Effect::SetTimer { key, generation, .. } => {
                    let (current, earlier) = pending.timers.set(*key);
                    *generation = current;
                    replaced.extend(earlier.map(|generation| (*key, generation)));
                }
                Effect::ClearTimer { key, generation } => {
                    *generation = pending.timers.cancel(*key).unwrap_or(0);
                }
                Effect::SetDeadline { ask, .. } => pending.asks.open(*ask),
                Effect::Offload { job, .. } => drop(pending.jobs.insert(job.0)),
                Effect::Persist(entry) => entries.push(entry.payload().len()),
                _ => {}
            }
        }
        if !entries.is_empty() {
            self.held.get_or_insert_default().persisted(&entries);
        }
        if self.is_behind() {
            self.hold(from, cx);
        }
        cx.effects.append(&mut cx.ahead);
        let cleared = |(key, generation)| Effect::ClearTimer { key, generation };
        cx.effects.extend(replaced.into_iter().map(cleared));
    }

    /// Holds back what must not leave before the journal has caught up.
    fn hold(&mut self, from: usize, cx: &mut Context) {
        let Some(held) = &mut self.held else { return };
        for effect in cx.effects.split_off(from) {
            if effect.is_gated() {
                held.hold(effect);
            } else {
                cx.effects.push(effect);
            }
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
