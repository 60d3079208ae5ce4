//! A member as an agent: the core, what it is replicated for, and the world's side of both.

use std::time::Duration;

use bytes::Bytes;
use dx_agents::id::ReplyTo;
use dx_agents::{
    Agent, AgentId, Context, Down, JournalState, Message, Refusal, RefusedBecause, TimerKey,
};

use crate::config::RingConfig;
use crate::core::{Core, Standstill};
use crate::message::RingMessage;
use crate::model::RingModel;
use crate::output::{Delivery, Output};
use crate::own::BroadcastError;
use crate::view::{Life, View};

/// What is replicated: it hears everything that any member broadcasts, in the one order.
pub trait Replica: Send + 'static {
    /// A message is delivered, here as at all members.
    fn deliver(&mut self, delivery: &Delivery, ring: &mut Ring<'_>);

    /// Its state, to be [restored](Self::restore) elsewhere.
    fn snapshot(&self) -> Bytes;

    /// It becomes what another one was. `view` was in effect there.
    fn restore(&mut self, snapshot: Bytes, view: Option<&View>, ring: &mut Ring<'_>);

    /// A view takes effect: at this place of the order, as at all members.
    fn view(&mut self, seq: u64, view: &View, ring: &mut Ring<'_>) {
        let _ = (seq, view, ring);
    }

    /// Somebody outside asks for something; [`Context::asked`] says whether an answer is awaited.
    fn request(&mut self, from: AgentId, request: Bytes, ring: &mut Ring<'_>) {
        let _ = (from, request, ring);
    }

    /// A timer of its own is due; see [`Ring::set_timer`].
    fn timer(&mut self, key: u32, ring: &mut Ring<'_>) {
        let _ = (key, ring);
    }

    /// There is room for a broadcast, after one was refused.
    fn room(&mut self, ring: &mut Ring<'_>) {
        let _ = ring;
    }
}

/// A replica's way to the ring, for the length of a call.
pub struct Ring<'a> {
    core: &'a mut Core,
    cx: &'a mut Context,
}

impl Ring<'_> {
    /// Sends `payload` to all members, this one among them. It is delivered everywhere or, if
    /// this member dies before a majority has it, perhaps nowhere.
    ///
    /// # Errors
    /// If it is too long, or too much waits: [`Replica::room`] is called when there is room.
    pub fn broadcast(&mut self, payload: impl Into<Bytes>) -> Result<(), BroadcastError> {
        self.core.broadcast(payload.into())
    }

    /// This member.
    #[must_use]
    pub fn me(&self) -> AgentId {
        self.cx.me()
    }

    /// This life of it.
    #[must_use]
    pub fn life(&self) -> Life {
        life(self.cx)
    }

    /// Calls [`Replica::timer`] after `delay`. An earlier setting of `key` does not count any more.
    pub fn set_timer(&mut self, key: u32, delay: Duration) {
        self.cx.set_timer(TimerKey(u64::from(key)), delay);
    }

    /// Answers a question.
    pub fn reply(&mut self, to: ReplyTo, answer: impl Message) {
        self.cx.reply(to, answer);
    }

    /// The agent's own context.
    pub fn context(&mut self) -> &mut Context {
        self.cx
    }
}

/// A member of a ring, with the replica `R`.
pub struct Member<R> {
    parts: Option<(RingConfig, Box<dyn RingModel>)>,
    core: Option<Core>,
    replica: R,
}

const TICK: TimerKey = TimerKey(1 << 40);
const PACE: TimerKey = TimerKey(2 << 40);

impl<R: Replica> Member<R> {
    /// One that has not begun.
    #[must_use]
    pub fn new(config: RingConfig, model: Box<dyn RingModel>, replica: R) -> Self {
        Self { parts: Some((config, model)), core: None, replica }
    }

    /// What is replicated.
    #[must_use]
    pub fn replica(&self) -> &R {
        &self.replica
    }

    /// Its part in the ring, once it has begun.
    #[must_use]
    pub fn core(&self) -> Option<&Core> {
        self.core.as_ref()
    }

    /// Whether it works.
    pub fn standstill(&self, cx: &mut Context) -> Standstill {
        let now = cx.now();
        self.core.as_ref().map_or(Standstill::Changing, |core| core.standstill(now))
    }

    /// Tells the core something, and does what follows.
    fn with_core(&mut self, cx: &mut Context, tell: impl FnOnce(&mut Core, dx_agents::Instant)) {
        let Some(core) = &mut self.core else { return };
        let now = cx.now();
        tell(core, now);
        loop {
            while let Some(output) = core.output() {
                carry_out(output, core, &mut self.replica, cx);
            }
            // What the replica broadcast meanwhile leaves in one go.
            core.flush(now);
            let Some(output) = core.output() else { return };
            carry_out(output, core, &mut self.replica, cx);
        }
    }

    /// Tells the replica something, and does what follows.
    fn with_replica(&mut self, cx: &mut Context, tell: impl FnOnce(&mut R, &mut Ring<'_>)) {
        if let Some(core) = &mut self.core {
            tell(&mut self.replica, &mut Ring { core, cx });
        }
        self.with_core(cx, |_, _| {});
    }
}

fn carry_out<R: Replica>(output: Output, core: &mut Core, replica: &mut R, cx: &mut Context) {
    match output {
        Output::Send { to, message } => match to[..] {
            [to] => cx.send(to, message),
            _ => cx.send_many(&to, &message),
        },
        // Without a journal, a later life is taken for a member that never was in the ring.
        Output::Mark if cx.journal() == JournalState::None => {}
        Output::Mark => cx.snapshot(&b"was in the ring"[..]),
        Output::Pace(after) => cx.set_timer(PACE, after),
        Output::Monitor(who) => cx.monitor(who),
        Output::Deliver(delivery) => replica.deliver(&delivery, &mut Ring { core, cx }),
        Output::View(seq, view) => replica.view(seq, &view, &mut Ring { core, cx }),
        Output::Snapshot => core.snapshot(replica.snapshot()),
        Output::Restore(snapshot, view) => {
            replica.restore(snapshot, view.as_ref(), &mut Ring { core, cx });
        }
        Output::Room => replica.room(&mut Ring { core, cx }),
    }
}

impl<R: Replica> Agent for Member<R> {
    type Message = RingMessage;

    fn start(&mut self, cx: &mut Context) {
        let is_marked = !cx.recovered().is_empty();
        let Some((config, model)) = self.parts.take() else { return };
        let core = Core::new(config, cx.me(), life(cx), is_marked, model);
        cx.set_timer(TICK, core.tick_every());
        self.core = Some(core);
        self.with_core(cx, Core::start);
    }

    fn message(&mut self, from: AgentId, message: RingMessage, cx: &mut Context) {
        match message {
            RingMessage::Request(bytes) => {
                self.with_replica(cx, |replica, ring| replica.request(from, bytes, ring));
            }
            message => self.with_core(cx, |core, now| core.message(from, message, now)),
        }
    }

    fn timer(&mut self, key: TimerKey, cx: &mut Context) {
        match key {
            TICK => {
                if let Some(core) = &self.core {
                    cx.set_timer(TICK, core.tick_every());
                }
                self.with_core(cx, Core::tick);
            }
            PACE => self.with_core(cx, Core::pace),
            TimerKey(key) => {
                self.with_replica(cx, |replica, ring| replica.timer(key as u32, ring));
            }
        }
    }

    fn down(&mut self, who: AgentId, why: Down, cx: &mut Context) {
        let is_final = matches!(why, Down::Stopped | Down::Panicked);
        self.with_core(cx, |core, now| {
            core.lost(who, now);
            if is_final {
                core.monitor(who);
            }
        });
    }

    fn refused(&mut self, refusal: Refusal, cx: &mut Context) {
        let is_full = refusal.why == RefusedBecause::Full;
        self.with_core(cx, |core, now| {
            if is_full {
                core.refused(refusal.to, now);
            } else {
                core.lost(refusal.to, now);
            }
        });
    }

    fn writable(&mut self, to: AgentId, cx: &mut Context) {
        self.with_core(cx, |core, _| core.writable(to));
    }
}

fn life(cx: &Context) -> Life {
    Life { node: cx.incarnation().0, restarts: cx.restarts() }
}
