//! The outside world's way to agents: an agent's id for code that is not an agent.

use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant as Clock};

use rustc_hash::FxHashMap;

use crate::context::JournalState;
use crate::event::{Answer, AskError, Down, Envelope, Event, Refusal, RefusedBecause};
use crate::id::{AgentId, AskId, ReplyTo};
use crate::message::{BadMessage, Body, Message};
use crate::runtime::mailbox::{Discarded, Weighed};
use crate::runtime::shared::{Delivered, Letter, Shared};
use crate::spec::{MailboxBounds, WhenFull};

/// A counterpart of agents for REST servers, process launchers, command lines and tests: it sends
/// and receives as an agent does, from any thread, blocking or with `.await` on any executor.
///
/// Dropped, it is an agent that stopped.
pub struct Port {
    id: AgentId,
    node: Arc<Shared>,
    inlet: Arc<Inlet>,
    asked: AtomicU64,
}

/// What a port hears.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Received),
    /// An agent that it watches is down.
    Down(AgentId, Down),
    /// Something it sent came back later.
    Refused(Refusal),
    /// An agent that had no room has room again.
    Writable(AgentId),
}

/// A message that came to a port.
#[derive(Debug)]
pub struct Received(Weighed);

impl Received {
    /// Who sent it.
    #[must_use]
    pub fn from(&self) -> AgentId {
        self.0.envelope.from
    }

    /// Where its answer goes, if one is awaited.
    #[must_use]
    pub fn reply_to(&self) -> Option<ReplyTo> {
        self.0.envelope.reply_to()
    }

    /// The message as the type that was agreed on.
    ///
    /// # Errors
    /// If it is of another type, or malformed.
    pub fn open<M: Message>(self) -> Result<M, BadMessage> {
        self.0.envelope.body.open()
    }
}

impl Port {
    pub(crate) fn new(node: Arc<Shared>, id: AgentId, bounds: MailboxBounds) -> Option<Self> {
        let inlet = Arc::new(Inlet::new(bounds));
        let route = crate::runtime::routes::Route::Port(Arc::clone(&inlet));
        let asked = AtomicU64::new(0);
        node.routes.add(id, route).then(|| Self { id, node, inlet, asked })
    }

    /// Its address.
    #[must_use]
    pub fn id(&self) -> AgentId {
        self.id
    }

    /// How its node's journal is: what waits for a full disk cannot say so itself.
    #[must_use]
    pub fn journal(&self) -> JournalState {
        self.node.journal_state()
    }

    /// Sends `message` to `to`, without waiting.
    ///
    /// # Errors
    /// If there is no room for it, no such agent, or it cannot be encoded.
    pub fn send<M: Message>(&self, to: AgentId, message: M) -> Result<(), RefusedBecause> {
        self.post(to, None, message)
    }

    /// Asks `to` a question.
    ///
    /// # Errors
    /// If no answer comes `within` the time, or none can come.
    pub async fn ask<M: Message>(
        &self,
        to: AgentId,
        question: M,
        within: Duration,
    ) -> Result<Answer, AskError> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let ask = AskId(NonZeroU64::new(number).expect("one was added"));
        let _awaiting = self.inlet.expect(ask);
        self.node.set_deadline(self.id, ask, within);
        self.post(to, Some(ask), question).map_err(AskError::Refused)?;
        poll_fn(|cx| self.inlet.poll_answer(ask, cx)).await
    }

    /// The same, for a thread that may block.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn ask_blocking<M: Message>(
        &self,
        to: AgentId,
        question: M,
        within: Duration,
    ) -> Result<Answer, AskError> {
        block_on(self.ask(to, question, within))
    }

    /// Answers a question.
    pub fn reply<M: Message>(&self, to: ReplyTo, answer: M) {
        self.node.answer(self.id, to, Ok(Body::Typed(Box::new(answer))));
    }

    /// Wants to hear of the end of `who`.
    pub fn monitor(&self, who: AgentId) {
        let is_new = self.inlet.lock().watching.insert(who);
        if is_new {
            self.node.watch(self.id, who, true);
        }
    }

    /// What comes next. Cancel-safe.
    pub async fn recv(&self) -> Heard {
        let receiving = self.inlet.receive();
        let heard = poll_fn(|cx| self.inlet.poll_heard(receiving.number, cx)).await;
        drop(receiving);
        self.tell_of_room();
        heard
    }

    /// What is there, without waiting.
    #[must_use]
    pub fn try_recv(&self) -> Option<Heard> {
        let heard = self.inlet.lock().take();
        self.tell_of_room();
        heard
    }

    /// The same, for a thread that may block.
    #[must_use]
    pub fn recv_blocking(&self) -> Heard {
        block_on(self.recv())
    }

    /// The same, but for no longer than `within`.
    #[must_use]
    pub fn recv_within(&self, within: Duration) -> Option<Heard> {
        block_on_until(self.recv(), Clock::now().checked_add(within))
    }

    fn tell_of_room(&self) {
        let waiting = self.inlet.waiting();
        if !waiting.is_empty() {
            self.node.tell_writable(waiting, self.id);
        }
    }

    fn post<M: Message>(
        &self,
        to: AgentId,
        ask: Option<AskId>,
        message: M,
    ) -> Result<(), RefusedBecause> {
        let letter = Letter { from: self.id, to, ask, body: Body::Typed(Box::new(message)) };
        match self.node.post(letter, WhenFull::Refuse) {
            Delivered::No(_, why) => Err(why),
            Delivered::Yes | Delivered::WakeHere(_) => Ok(()),
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.node.routes.remove(self.id);
        let (discarded, watching) = self.inlet.close();
        for who in watching {
            self.node.watch(self.id, who, false);
        }
        for watcher in self.node.bury(self.id, discarded, Down::Stopped) {
            self.node.tell_down(watcher, self.id, Down::Stopped);
        }
    }
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Port").field(&self.id).finish()
    }
}

/// The end of a port at which things arrive.
pub struct Inlet {
    bounds: MailboxBounds,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    heard: VecDeque<Heard>,
    /// Messages in `heard`, and their bytes.
    messages: usize,
    bytes: usize,
    waiting: BTreeSet<AgentId>,
    watchers: BTreeSet<AgentId>,
    /// Whose end the port wants to hear of.
    watching: BTreeSet<AgentId>,
    /// Who waits to receive, and how they are woken.
    receivers: Vec<(u64, Waker)>,
    /// Numbers given to receivers.
    received: u64,
    answers: FxHashMap<AskId, Awaited>,
    /// Whether the port was dropped: workers may remember the way here.
    is_closed: bool,
    /// Whether the runtime has ended: no question will be answered any more.
    is_over: bool,
}

#[derive(Default)]
struct Awaited {
    answer: Option<Result<Answer, AskError>>,
    waker: Option<Waker>,
}

impl Inlet {
    pub fn new(bounds: MailboxBounds) -> Self {
        Self { bounds, state: Mutex::default() }
    }

    /// How much may wait.
    #[cfg(feature = "mesh")]
    pub fn bounds(&self) -> MailboxBounds {
        self.bounds
    }

    /// Lets a message in, if there is room or another node has credit for it.
    pub fn push(&self, envelope: Envelope) -> Delivered {
        // Both are code of others.
        let (lane, message) = (envelope.body.lane(), Weighed::of(envelope));
        let mut state = self.lock();
        if state.is_closed {
            return Delivered::No(lane, RefusedBecause::Unknown);
        }
        let is_full = state.messages >= self.bounds.messages
            || state.bytes + message.weight > self.bounds.bytes;
        if state.messages > 0 && is_full && !message.envelope.body.has_credit() {
            state.waiting.insert(message.envelope.from);
            return Delivered::No(lane, RefusedBecause::Full);
        }
        state.messages += 1;
        state.bytes += message.weight;
        state.hear(Heard::Message(Received(message)));
        Delivered::Yes
    }

    /// Lets in anything else. False if it is an answer that comes too late, or twice.
    pub fn push_system(&self, event: Event) -> bool {
        let mut state = self.lock();
        match event {
            Event::Reply(ask, answer) => return state.settle(ask, answer),
            Event::Deadline(ask) => drop(state.settle(ask, Err(AskError::Timeout))),
            Event::Down(who, why) => {
                if matches!(why, Down::Stopped | Down::Panicked | Down::Unknown) {
                    state.watching.remove(&who);
                }
                state.hear(Heard::Down(who, why));
            }
            Event::Refused(refusal) => state.hear(Heard::Refused(refusal)),
            Event::Writable(to) => state.hear(Heard::Writable(to)),
            // A port has no timers, jobs or journal, and is stopped by being dropped.
            Event::Start(_)
            | Event::Message(_)
            | Event::Timer { .. }
            | Event::Done(..)
            | Event::Durable { .. }
            | Event::SnapshotWanted
            | Event::Stopping { .. } => {}
        }
        true
    }

    /// Adds or removes one who is told of the port's end. False if it has ended.
    pub fn watch(&self, who: AgentId, is_on: bool) -> bool {
        let mut state = self.lock();
        if is_on && !state.is_closed {
            state.watchers.insert(who);
        } else {
            state.watchers.remove(&who);
        }
        !state.is_closed
    }

    /// The runtime has ended: so have all questions, and those that are still to be asked.
    pub fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        let asks: Vec<AskId> = state.answers.keys().copied().collect();
        for ask in asks {
            state.settle(ask, Err(AskError::Down(Down::Stopped)));
        }
    }

    /// Whether this question is open.
    pub fn awaits(&self, ask: AskId) -> bool {
        self.lock().answers.contains_key(&ask)
    }

    /// Closes it for good: what waits in it, and whose end was to be told.
    fn close(&self) -> (Discarded, BTreeSet<AgentId>) {
        let mut state = self.lock();
        state.is_closed = true;
        let heard = std::mem::take(&mut state.heard);
        let waiting = std::mem::take(&mut state.waiting);
        let watchers = std::mem::take(&mut state.watchers);
        let watching = std::mem::take(&mut state.watching);
        drop(state);
        let message = |heard| match heard {
            Heard::Message(Received(message)) => Some(message),
            Heard::Down(..) | Heard::Refused(_) | Heard::Writable(_) => None,
        };
        let messages = heard.into_iter().filter_map(message).collect();
        (Discarded { messages, waiting, watchers }, watching)
    }

    fn expect(&self, ask: AskId) -> Awaiting<'_> {
        let mut state = self.lock();
        let answer = state.is_over.then_some(Err(AskError::Down(Down::Stopped)));
        state.answers.insert(ask, Awaited { answer, waker: None });
        Awaiting { inlet: self, ask }
    }

    fn receive(&self) -> Receiving<'_> {
        let mut state = self.lock();
        state.received += 1;
        Receiving { inlet: self, number: state.received }
    }

    fn poll_answer(&self, ask: AskId, cx: &TaskContext<'_>) -> Poll<Result<Answer, AskError>> {
        let mut state = self.lock();
        let Some(awaited) = state.answers.get_mut(&ask) else {
            return Poll::Ready(Err(AskError::Timeout));
        };
        match awaited.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                awaited.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_heard(&self, receiver: u64, cx: &TaskContext<'_>) -> Poll<Heard> {
        let mut state = self.lock();
        if let Some(heard) = state.take() {
            return Poll::Ready(heard);
        }
        state.receivers.retain(|(number, _)| *number != receiver);
        state.receivers.push((receiver, cx.waker().clone()));
        Poll::Pending
    }

    /// Who was refused and can hear now that there is room.
    fn waiting(&self) -> BTreeSet<AgentId> {
        let mut state = self.lock();
        let is_half_empty =
            state.messages <= self.bounds.messages / 2 && state.bytes <= self.bounds.bytes / 2;
        if is_half_empty { std::mem::take(&mut state.waiting) } else { BTreeSet::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Option<Heard> {
        let heard = self.heard.pop_front()?;
        if let Heard::Message(Received(message)) = &heard {
            self.messages -= 1;
            self.bytes -= message.weight;
        }
        Some(heard)
    }

    fn hear(&mut self, heard: Heard) {
        self.heard.push_back(heard);
        // All of them: one that is woken may have given up waiting.
        for (_, waker) in self.receivers.drain(..) {
            waker.wake();
        }
    }

    /// False if it is settled already, or nobody waits any more.
    fn settle(&mut self, ask: AskId, answer: Result<Answer, AskError>) -> bool {
        match self.answers.get_mut(&ask) {
            Some(awaited) if awaited.answer.is_none() => {
                awaited.answer = Some(answer);
                if let Some(waker) = awaited.waker.take() {
                    waker.wake();
                }
                true
            }
            _ => false,
        }
    }
}

/// Forgets a question when its future ends, however it does.
struct Awaiting<'a> {
    inlet: &'a Inlet,
    ask: AskId,
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.inlet.lock().answers.remove(&self.ask);
    }
}

/// Forgets a receiver when its future ends, however it does.
struct Receiving<'a> {
    inlet: &'a Inlet,
    number: u64,
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.inlet.lock().receivers.retain(|(number, _)| *number != self.number);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    block_on_until(future, None).expect("without an end it waits until the future is ready")
}

/// Runs `future` on this thread; `None` if it is not ready by `end`.
fn block_on_until<T>(future: impl Future<Output = T>, end: Option<Clock>) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = TaskContext::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return Some(value);
        }
        match end.map(|end| end.saturating_duration_since(Clock::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
        }
    }
}
