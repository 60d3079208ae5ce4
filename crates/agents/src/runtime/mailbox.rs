//! What waits for an agent: messages in a bounded queue, everything else in one that is never
//! full. A sender learns at once whether its message was let in; nobody ever waits.

mod queue;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::queue::Weighed;
use self::queue::{Queue, weight_of};
use crate::event::{Envelope, Event, Recovered, Refusal, RefusedBecause};
use crate::id::AgentId;
use crate::lane::Lane;
use crate::runtime::stage::Stage;
use crate::runtime::worker_handle::WorkerHandle;
use crate::spawn::Plan;
use crate::spec::{MailboxBounds, WhenFull};

/// The mailbox of one agent; shared by its worker and all who send to it.
pub struct Mailbox {
    /// Whose.
    pub id: AgentId,
    plan: Arc<Plan>,
    /// Where messages go first, if the agent's shared state wants to see them.
    pub stage: Option<Arc<Stage>>,
    /// What happened so far.
    pub counts: Counts,
    queue: Mutex<Queue>,
}

/// What happened to an agent so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Steps taken.
    pub steps: AtomicU64,
    /// Messages dropped because there was no room.
    pub dropped: AtomicU64,
    /// Messages sent back because there was no room.
    pub refused: AtomicU64,
    /// Steps that took longer than [`SLOW_STEP`](super::SLOW_STEP).
    pub slow_steps: AtomicU64,
    /// The longest step, in nanoseconds.
    pub longest_step: AtomicU64,
    /// Restarts.
    pub restarts: AtomicU64,
}

/// Where an agent runs.
#[derive(Clone)]
pub struct Home {
    /// Its worker.
    pub worker: Arc<WorkerHandle>,
    /// Its place there.
    pub slot: u32,
}

/// How a push went.
pub enum Pushed {
    /// It is in, and its worker knows already.
    In,
    /// It is in; the agent is one of the caller's own worker, at this place, and must be run.
    WakeHere(u32),
    /// It is in, and with the agent's shared state.
    Staged,
    /// It is in, and its worker must be told.
    Wake(Home),
    /// There was no room; the receiver's policy is to refuse.
    Full(Lane),
    /// There was no room; the message was dropped.
    Dropped,
    /// The agent is gone.
    Closed(Lane),
}

/// A message's place in the mailbox while the shared state looks at it.
#[derive(Clone, Copy)]
pub struct Staged {
    weight: usize,
    life: u32,
}

/// How it went with a message that the shared state has looked at; its worker must be told if
/// there is a home.
pub enum Unstaged {
    /// It is in.
    In(Option<Home>),
    /// The shared state dropped it.
    Filtered(Option<Home>),
    /// It was meant for the agent before its restart.
    Restarted(Option<Home>),
    /// The agent is gone.
    Stopped,
}

impl Pushed {
    /// Whom to tell.
    fn home(self) -> Option<Home> {
        match self {
            Self::Wake(home) => Some(home),
            _ => None,
        }
    }
}

/// What a worker takes for one turn.
#[derive(Default)]
pub struct Taken {
    /// Entries that became durable.
    pub durable: Option<u64>,
    /// The agent begins, with this.
    pub start: Option<Box<Recovered>>,
    /// What comes first.
    pub system: VecDeque<Event>,
    /// Who hears that there is room again.
    pub writable: BTreeSet<AgentId>,
    /// Whether there may be any of these.
    pub has_news: bool,
    /// Messages, at most a turn's budget.
    pub messages: VecDeque<Weighed>,
    /// Whether more waits, and the agent is due for another turn.
    pub more: bool,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new(id: AgentId, plan: Arc<Plan>, home: Home, stage: Option<Arc<Stage>>) -> Self {
        let queue = Queue {
            messages: VecDeque::new(),
            bytes: 0,
            staged: 0,
            life: 0,
            system: VecDeque::new(),
            start: None,
            rare: None,
            is_scheduled: false,
            is_closed: false,
            home,
        };
        Self { id, plan, stage, counts: Counts::default(), queue: Mutex::new(queue) }
    }

    /// The agent's kind, for people.
    pub fn kind(&self) -> &str {
        &self.plan.kind
    }

    /// How much may wait.
    pub fn bounds(&self) -> &MailboxBounds {
        &self.plan.options.mailbox
    }

    /// Lets a message in, if there is room or another node has credit for it. Those that it drove
    /// out are then in `lost`.
    #[inline]
    pub fn push(
        &self,
        envelope: Envelope,
        here: Option<&Arc<WorkerHandle>>,
        lost: &mut Vec<Envelope>,
    ) -> Pushed {
        let weight = envelope.body.weight();
        let mut queue = self.lock();
        let has_room = queue.has_room(weight, self.bounds());
        if queue.is_closed || !has_room || self.stage.is_some() {
            return self.push_otherwise(queue, Weighed { envelope, weight }, here, lost);
        }
        queue.put(Weighed { envelope, weight });
        queue.schedule(here)
    }

    /// What is rarer than room in the mailbox of an agent that takes its messages as they are.
    #[cold]
    fn push_otherwise(
        &self,
        queue: MutexGuard<'_, Queue>,
        Weighed { envelope, weight }: Weighed,
        here: Option<&Arc<WorkerHandle>>,
        lost: &mut Vec<Envelope>,
    ) -> Pushed {
        // Let go of before the message, whose end and lane are code of others.
        let mut queue = queue;
        if queue.is_closed {
            drop(queue);
            return Pushed::Closed(envelope.body.lane());
        }
        if !queue.has_room(weight, self.bounds()) && !envelope.body.has_credit() {
            match self.bounds().full {
                WhenFull::Refuse => {
                    queue.rare().waiting.insert(envelope.from);
                    drop(queue);
                    self.counts.refused.fetch_add(1, Ordering::Relaxed);
                    return Pushed::Full(envelope.body.lane());
                }
                WhenFull::DropNewest => {
                    self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                    return Pushed::Dropped;
                }
                WhenFull::DropOldest => {
                    queue.make_room(weight, self.bounds(), lost);
                    // What its shared state looks at cannot be driven out.
                    let is_lost = !queue.has_room(weight, self.bounds());
                    let count = lost.len() as u64 + u64::from(is_lost);
                    self.counts.dropped.fetch_add(count, Ordering::Relaxed);
                    if is_lost {
                        return Pushed::Dropped;
                    }
                }
            }
        }
        if let Some(stage) = &self.stage {
            queue.bytes += weight;
            queue.staged += 1;
            let life = queue.life;
            drop(queue);
            stage.take_in(envelope, Staged { weight, life });
            return Pushed::Staged;
        }
        queue.put(Weighed { envelope, weight });
        queue.schedule(here)
    }

    /// Lets in messages from the front of `run`, while there is room. What is left is to be pushed
    /// one by one.
    pub fn push_run(
        &self,
        run: &mut VecDeque<Weighed>,
        here: Option<&Arc<WorkerHandle>>,
    ) -> Pushed {
        if self.stage.is_some() {
            return Pushed::In;
        }
        let bounds = self.bounds();
        let mut queue = self.lock();
        let before = queue.messages.len();
        while !queue.is_closed
            && let Some(first) = run.pop_front_if(|next| {
                queue.has_room(next.weight, bounds) || next.envelope.body.has_credit()
            })
        {
            queue.put(first);
        }
        if queue.messages.len() == before { Pushed::In } else { queue.schedule(here) }
    }

    /// Takes back a message that the shared state has looked at: `None` if it dropped it.
    pub fn unstage(&self, envelope: Option<Envelope>, staged: Staged) -> Unstaged {
        // Weighed, and let go of, without the lock: it is code of others.
        let mut message = envelope.map(Weighed::of);
        let mut queue = self.lock();
        queue.staged -= 1;
        queue.bytes -= staged.weight;
        if queue.is_closed {
            return Unstaged::Stopped;
        }
        let is_old = queue.life != staged.life;
        if !is_old && let Some(message) = message.take() {
            queue.put(message);
            return Unstaged::In(queue.schedule(None).home());
        }
        // Whoever waits for room hears of it in a turn, and there may be nothing else to cause one.
        let hear = queue.has_waiting() && queue.is_half_empty(self.bounds());
        let home = if hear { queue.schedule(None).home() } else { None };
        if is_old { Unstaged::Restarted(home) } else { Unstaged::Filtered(home) }
    }

    /// Lets in anything but a message: there is always room.
    pub fn push_system(&self, event: Event, here: Option<&Arc<WorkerHandle>>) -> Pushed {
        let mut queue = self.lock();
        if queue.is_closed {
            return Pushed::Closed(Lane::Normal);
        }
        queue.system.push_back(event);
        queue.schedule(here)
    }

    /// Notes that a send of this agent came back.
    pub fn push_refusal(
        &self,
        to: AgentId,
        lane: Lane,
        why: RefusedBecause,
        here: Option<&Arc<WorkerHandle>>,
    ) -> Pushed {
        let mut queue = self.lock();
        if queue.is_closed {
            return Pushed::Closed(Lane::Normal);
        }
        let same = |seen: &&mut Refusal| (seen.to, seen.lane, seen.why) == (to, lane, why);
        let refusals = &mut queue.rare().refusals;
        match refusals.iter_mut().find(same) {
            Some(seen) => seen.count += 1,
            None => refusals.push(Refusal { to, lane, why, count: 1 }),
        }
        queue.schedule(here)
    }

    /// Notes that entries are durable. Let in even when the agent is closed: what they hold back
    /// must still leave.
    pub fn push_durable(&self, entries: u64) -> Pushed {
        let mut queue = self.lock();
        let rare = queue.rare();
        rare.durable = rare.durable.max(Some(entries));
        queue.schedule(None)
    }

    /// Takes what one turn handles. `messages` is the budget; 0 for an agent that may only hear of
    /// the journal.
    #[inline]
    pub fn take(&self, messages: usize, taken: &mut Taken) {
        let mut queue = self.lock();
        if queue.messages.len() > messages || messages == 0 || !queue.has_only_messages() {
            self.take_otherwise(queue, messages, taken);
            return;
        }
        queue.hand_over(taken);
        (taken.has_news, taken.more) = (false, false);
        queue.is_scheduled = false;
    }

    /// The same where there is more than fits into the turn, or something else than messages.
    #[inline(never)]
    fn take_otherwise(&self, mut queue: MutexGuard<'_, Queue>, messages: usize, taken: &mut Taken) {
        taken.durable = queue.rare.as_mut().and_then(|rare| rare.durable.take());
        (taken.has_news, taken.more) = (true, false);
        if messages == 0 {
            // Whatever ends its waiting wakes it.
            queue.is_scheduled = false;
            return;
        }
        taken.start = queue.start.take();
        if !queue.system.is_empty() {
            std::mem::swap(&mut queue.system, &mut taken.system);
        }
        if let Some(rare) = &mut queue.rare {
            // Before the rest: whoever hears `Writable` after `Refused` goes on, and whoever heard
            // them the other way round would wait for ever.
            for refusal in rare.refusals.drain(..).rev() {
                taken.system.push_front(Event::Refused(refusal));
            }
        }
        if queue.messages.len() <= messages && queue.staged == 0 {
            queue.hand_over(taken);
        } else {
            let count = messages.min(queue.messages.len());
            taken.messages.extend(queue.messages.drain(..count));
            queue.bytes -= weight_of(&taken.messages);
        }
        if queue.has_waiting() && queue.is_half_empty(self.bounds()) {
            taken.writable = std::mem::take(&mut queue.rare().waiting);
        }
        // What comes from now on wakes the agent anew, also while it has this turn: it is run by
        // one worker only, so that is another turn.
        taken.more = !queue.messages.is_empty();
        queue.is_scheduled = taken.more;
    }

    /// The place of an agent of `here` for which nothing waits, if it takes its messages as they are.
    #[inline]
    pub fn idle_at(&self, here: &Arc<WorkerHandle>) -> Option<u32> {
        let queue = self.lock();
        let is_idle = queue.messages.is_empty() && queue.has_only_messages();
        let takes_all = self.stage.is_none() && !queue.is_closed;
        let is_here = Arc::ptr_eq(here, &queue.home.worker);
        (is_idle && takes_all && is_here).then_some(queue.home.slot)
    }

    /// Puts in what came when nothing waited, before all that came since: it has a place even if
    /// those have taken all.
    pub fn put_first(&self, event: Event, here: &Arc<WorkerHandle>) -> Pushed {
        let Event::Message(envelope) = event else {
            let mut queue = self.lock();
            queue.system.push_front(event);
            return queue.schedule(Some(here));
        };
        let message = Weighed::of(envelope);
        let mut queue = self.lock();
        queue.put_back(message);
        queue.schedule(Some(here))
    }

    /// Puts back, in front, what was taken and not come to.
    pub fn put_back(&self, taken: &mut Taken) {
        let mut queue = self.lock();
        while let Some(event) = taken.system.pop_back() {
            queue.system.push_front(event);
        }
        while let Some(message) = taken.messages.pop_back() {
            queue.put_back(message);
        }
    }

    /// Notes a number under a name.
    pub fn note(&self, name: Arc<str>, value: u64) {
        self.lock().rare().notes.insert(name, value);
    }

    /// What was noted.
    pub fn notes(&self) -> BTreeMap<Arc<str>, u64> {
        self.lock().rare.as_ref().map(|rare| rare.notes.clone()).unwrap_or_default()
    }

    /// Wakes the agent if anything waits, as after a wait of its own. True if its worker, which
    /// calls this, must run it.
    pub fn wake(&self) -> bool {
        let mut queue = self.lock();
        let has_refusals = queue.rare.as_ref().is_some_and(|rare| !rare.refusals.is_empty());
        let has_any = !queue.messages.is_empty() || !queue.system.is_empty() || has_refusals;
        has_any && !std::mem::replace(&mut queue.is_scheduled, true)
    }

    /// Discards all that waits, as at a restart: what it was.
    pub fn discard(&self) -> Discarded {
        // Dropped after the lock: the end of an answer is code of others.
        let mut system = VecDeque::new();
        let mut queue = self.lock();
        queue.life += 1;
        std::mem::swap(&mut queue.system, &mut system);
        let (waiting, watchers) = match &mut queue.rare {
            Some(rare) => {
                rare.refusals.clear();
                (std::mem::take(&mut rare.waiting), rare.watchers.clone())
            }
            None => Default::default(),
        };
        let messages = std::mem::take(&mut queue.messages);
        // What the shared state looks at takes its room until it is done.
        queue.bytes -= weight_of(&messages);
        Discarded { messages, waiting, watchers }
    }

    /// Closes it for good.
    pub fn close(&self) -> Discarded {
        self.lock().is_closed = true;
        self.discard()
    }

    /// Adds or removes one who is told of this agent's end. False if it has ended.
    pub fn watch(&self, who: AgentId, is_on: bool) -> bool {
        let mut queue = self.lock();
        if queue.is_closed {
            return false;
        }
        if is_on {
            queue.rare().watchers.insert(who);
        } else if let Some(rare) = &mut queue.rare {
            rare.watchers.remove(&who);
        }
        true
    }

    /// Puts the agent's first event in, before all that came since it can be sent to. Its worker
    /// is about to look.
    pub fn begin(&self, recovered: Recovered) {
        let mut queue = self.lock();
        queue.start = Some(Box::new(recovered));
        queue.is_scheduled = true;
    }

    /// Gives it another home, which is to look at it at once.
    pub fn move_to(&self, home: Home) {
        let mut queue = self.lock();
        queue.home = home;
        queue.is_scheduled = true;
    }

    /// Messages and bytes that wait.
    pub fn depth(&self) -> (usize, usize) {
        let queue = self.lock();
        (queue.messages.len() + queue.staged, queue.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code of others runs under the lock: it is never left half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waited in a mailbox that was emptied.
pub struct Discarded {
    /// The messages.
    pub messages: VecDeque<Weighed>,
    /// Who waited for room.
    pub waiting: BTreeSet<AgentId>,
    /// Who watches the agent.
    pub watchers: BTreeSet<AgentId>,
}
