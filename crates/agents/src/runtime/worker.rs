//! A worker: one thread's agents, taking turns.
//!
//! It owns its agents outright: no lock is held while one works. A turn handles what waits for an
//! agent, up to a budget, and carries out each step's effects before the next step. Where nothing
//! waits for anybody, what is said is heard next, past the mailbox.

#[cfg(feature = "mesh")]
mod arrivals;
mod carry_out;
mod events;
#[cfg(feature = "mesh")]
mod inbound;
mod lifecycle;
mod next;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dx_transport::time::Instant;

use crate::cell::Step;
use crate::context::Context;
use crate::event::{AskError, Down, Event};
use crate::id::AgentId;
use crate::runtime::alarms::{Alarm, Alarms};
use crate::runtime::dead_letters::Reason;
use crate::runtime::mailbox::{Home, Taken, Weighed};
use crate::runtime::recorder::{Recorder, What};
use crate::runtime::resident::Resident;
use crate::runtime::routes::RouteCache;
use crate::runtime::shared::Shared;
use crate::runtime::supervise::Condition;
use crate::runtime::worker_handle::{Arrival, Ending, Incoming, WorkerHandle};

#[cfg(feature = "mesh")]
pub use self::arrivals::AtOnce;
use self::next::Next;

/// Messages that an agent handles in one turn, at most, before it is the next one's.
pub const TURN: usize = 64;
/// Steps between two looks at the clock and at what others left, at least.
const CHECK_EVERY: usize = 64;
/// Messages of a turn between two looks at the clock where I/O is done: a turn of slow steps ends
/// after as many.
const LOOK_EVERY: u32 = 8;
/// A step that takes longer is slow: its agent has no place on a thread that does I/O.
pub const SLOW_STEP: Duration = Duration::from_millis(1);

/// See the module.
pub struct Worker {
    shared: Arc<Shared>,
    handle: Arc<WorkerHandle>,
    recorder: Arc<Recorder>,
    cx: Context,
    residents: Vec<Option<Box<Resident>>>,
    free: Vec<u32>,
    ready: VecDeque<u32>,
    next: Option<Next>,
    /// Whether agents take turns, and this worker does nothing else.
    takes_turns: bool,
    alarms: Alarms,
    routes: RouteCache,
    /// Kept between turns for its buffers.
    taken: Option<Box<Taken>>,
    /// Likewise.
    run: VecDeque<Weighed>,
    incoming: Incoming,
    /// When it last looked at the clock.
    now: Instant,
    steps_since: usize,
    /// Who had a turn since then.
    had_turns: Vec<u32>,
    /// Until when what arrives may be heard past mailboxes.
    #[cfg(feature = "mesh")]
    at_once_until: Instant,
    /// Steps taken so since something arrived.
    #[cfg(feature = "mesh")]
    at_once: usize,
    /// Where agents go that are too slow for this worker, if it does I/O.
    exile: Option<Arc<WorkerHandle>>,
    /// Whether it is one agent's own: others that this one spawns belong elsewhere.
    pub(super) is_own: bool,
    ends: bool,
}

/// What a worker says when it has run for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do.
    Again,
    /// Nothing until then, or until it is woken.
    Idle(Option<Instant>),
    /// It has ended; all its agents have.
    Ended,
}

impl Worker {
    /// A worker without agents. `exile` is where agents go whose steps are too slow for it.
    pub fn new(shared: Arc<Shared>, exile: Option<Arc<WorkerHandle>>) -> Self {
        let (handle, recorder) = shared.enlist();
        let cx = Context::new(shared.world());
        let now = shared.now();
        Self {
            shared,
            handle,
            recorder,
            cx,
            residents: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            next: None,
            takes_turns: false,
            alarms: Alarms::default(),
            routes: RouteCache::default(),
            taken: None,
            run: VecDeque::new(),
            incoming: Incoming::default(),
            now,
            steps_since: 0,
            had_turns: Vec::new(),
            #[cfg(feature = "mesh")]
            at_once_until: now,
            #[cfg(feature = "mesh")]
            at_once: 0,
            exile,
            is_own: false,
            ends: false,
        }
    }

    /// How others reach it.
    pub fn handle(&self) -> &Arc<WorkerHandle> {
        &self.handle
    }

    /// The time on its runtime's clock.
    pub fn clock(&self) -> Instant {
        self.shared.now()
    }

    /// Runs its agents for about `steps` steps.
    pub fn run(&mut self, steps: usize) -> Progress {
        let mut left = steps;
        if self.steps_since == 0 {
            // It may have slept: that time is nobody's step.
            self.now = self.shared.now();
        }
        loop {
            self.check();
            let before = self.steps_since;
            self.take_turns();
            let done = self.steps_since - before;
            left = left.saturating_sub(done.max(1));
            if self.ends && self.residents.iter().all(Option::is_none) {
                return Progress::Ended;
            }
            if self.ready.is_empty() && !self.handle.has_incoming() {
                self.check_clock();
                if self.ready.is_empty() {
                    return Progress::Idle(self.alarms.next());
                }
            }
            if left == 0 {
                // What is done before it is called again is nobody's step.
                self.check_clock();
                return Progress::Again;
            }
        }
    }

    /// Has agents take turns until it is time to look at the clock, or none is ready.
    fn take_turns(&mut self) {
        self.takes_turns = true;
        while self.steps_since < CHECK_EVERY {
            if let Some(next) = self.next.take() {
                self.turn_of(next);
            } else if let Some(slot) = self.ready.pop_front() {
                self.turn(slot);
            } else {
                break;
            }
        }
        self.takes_turns = false;
        self.leave_next();
    }

    /// Looks at the clock, at what is due, and at what others left.
    fn check(&mut self) {
        let mut incoming = std::mem::take(&mut self.incoming);
        let mut is_crowded = false;
        if self.handle.take(&mut incoming) {
            self.ready.extend(incoming.ready.drain(..));
            for Arrival { resident, alarms } in incoming.arriving.drain(..) {
                let id = resident.id();
                let slot = self.settle(resident);
                for (at, alarm) in alarms {
                    self.alarms.set(at, slot, id, alarm);
                }
            }
            for (at, port, ask) in incoming.deadlines.drain(..) {
                self.alarms.set(at, NO_SLOT, port, Alarm::Deadline(ask));
                // Most are answered before, and the port says nothing of it.
                is_crowded |= self.alarms.clear_one();
            }
            self.ends |= incoming.ending.is_some();
            if incoming.ending.take() == Some(Ending::Now) {
                self.kill_all();
            }
        }
        self.incoming = incoming;
        if is_crowded {
            self.clean_alarms(None);
        }
        self.check_clock();
    }

    fn check_clock(&mut self) {
        if self.steps_since == 0 && self.alarms.len() == 0 {
            return;
        }
        let now = self.shared.now();
        if now.since(self.now) > SLOW_STEP {
            self.suspect_all();
        }
        self.had_turns.clear();
        self.steps_since = 0;
        self.now = now;
        while let Some(entry) = self.alarms.due(now) {
            self.ring(entry.slot, entry.agent, entry.alarm);
        }
        // Last: an agent that starts anew may have asked.
        self.age_deadlines(now);
    }

    fn age_deadlines(&mut self, now: Instant) {
        let residents = &self.residents;
        self.alarms.age(now, |slot, agent, ask| match residents.get(slot as usize) {
            Some(Some(resident)) if resident.id() == agent => Some(resident.cell.has_asked(ask)),
            _ => None,
        });
    }

    /// Something since the last look took long: everybody who had a turn is timed from now on.
    fn suspect_all(&mut self) {
        for slot in self.had_turns.drain(..) {
            if let Some(Some(resident)) = self.residents.get_mut(slot as usize) {
                resident.is_suspect = true;
            }
        }
    }

    fn ring(&mut self, slot: u32, agent: AgentId, alarm: Alarm) {
        if slot == NO_SLOT {
            if let Alarm::Deadline(ask) = alarm {
                self.shared.tell(agent, Event::Deadline(ask));
            }
            return;
        }
        let Some(resident) =
            self.residents[slot as usize].take_if(|resident| resident.id() == agent)
        else {
            return;
        };
        let event = match alarm {
            Alarm::Timer(key, generation) => Event::Timer { key, generation },
            Alarm::Deadline(ask) => Event::Deadline(ask),
            Alarm::Restart => {
                self.revive(slot, resident);
                return;
            }
        };
        let pushed = resident.mailbox.push_system(event, Some(&self.handle));
        self.told(&pushed);
        self.residents[slot as usize] = Some(resident);
    }

    /// One turn of one agent.
    fn turn(&mut self, slot: u32) {
        let Some(mut resident) = self.residents.get_mut(slot as usize).and_then(Option::take)
        else {
            return;
        };
        let timed = resident.is_suspect.then(|| self.shared.now());
        self.begin_turn(&resident);
        let mut taken = self.taken.take().unwrap_or_default();
        resident.mailbox.take(resident.budget(TURN), &mut taken);
        let steps = resident.cell.steps();
        let was_blocked = resident.cell.is_blocked();
        let was_cut = self.hear(&mut resident, &mut taken);
        let may_go_on = was_cut || (was_blocked && !resident.cell.is_blocked());
        let more = taken.more || (may_go_on && resident.mailbox.wake());
        self.taken = Some(taken);
        self.count_turn(&resident, steps);
        let judged = timed.map(|began| self.judge(&mut resident, began));
        self.end_turn(slot, resident, more);
        if let Some(now) = judged {
            // It may be long until the next look.
            self.age_deadlines(now);
        }
    }

    #[inline]
    fn begin_turn(&mut self, resident: &Resident) {
        self.had_turns.push(resident.slot);
        self.handle.turn_of.store(resident.id().0, Ordering::Relaxed);
        self.handle.turn_since.store(self.now.0.max(1), Ordering::Relaxed);
    }

    /// Counts the steps of a turn, before which there were so many.
    #[inline]
    fn count_turn(&mut self, resident: &Resident, before: u64) {
        self.handle.turn_since.store(0, Ordering::Relaxed);
        let steps = resident.cell.steps();
        self.steps_since += ((steps - before) as usize).max(1);
        // Nobody else counts them: no need to add atomically.
        resident.mailbox.counts.steps.store(steps, Ordering::Relaxed);
    }

    /// Handles what was taken for one turn. True if the turn was cut short, since it takes long and
    /// this worker does I/O: the agent is timed from now on.
    fn hear(&mut self, resident: &mut Resident, taken: &mut Taken) -> bool {
        if taken.has_news {
            self.hear_news(resident, taken);
        }
        let mut heard = 0;
        while may_go_on(resident)
            && let Some(Weighed { envelope, .. }) = taken.messages.pop_front()
        {
            self.recorder.record(self.now.0, resident.id(), (What::Message, envelope.from.0));
            let step = resident.cell.hear(envelope, &mut self.cx);
            self.conclude(resident, step);
            heard += 1;
            if self.exile.is_some() && heard % LOOK_EVERY == 0 && self.is_late() {
                resident.is_suspect = true;
                break;
            }
        }
        let was_cut = resident.is_suspect && !taken.messages.is_empty();
        if !taken.system.is_empty() || !taken.messages.is_empty() {
            self.leave_unheard(resident, taken);
        }
        was_cut
    }

    /// What a turn begins with, if there is anything but messages.
    #[inline(never)]
    fn hear_news(&mut self, resident: &mut Resident, taken: &mut Taken) {
        if let Some(entries) = taken.durable.take() {
            self.step(resident, Event::Durable { entries });
        }
        if let Some(recovered) = taken.start.take() {
            self.recorder.record(self.now.0, resident.id(), (What::Start, 0));
            self.step(resident, Event::Start(recovered));
        }
        if !taken.writable.is_empty() {
            self.shared.tell_writable(std::mem::take(&mut taken.writable), resident.id());
        }
        while let Some(event) = taken.system.pop_front() {
            if !may_go_on(resident) {
                taken.system.push_front(event);
                break;
            }
            self.recorder.record(self.now.0, resident.id(), What::of(&event));
            self.step(resident, event);
        }
    }

    /// Whether somebody's step since the last look at the clock was slow.
    fn is_late(&self) -> bool {
        self.shared.now().since(self.now) > SLOW_STEP
    }

    /// One step, and its effects.
    fn step(&mut self, resident: &mut Resident, event: Event) {
        let is_reply = matches!(event, Event::Reply(..));
        if let Event::Down(who, why) = &event
            && why.is_final()
        {
            resident.forget(*who);
        }
        let step = resident.cell.step(event, &mut self.cx);
        if is_reply && matches!(step, Step::Stale) {
            // Of what comes too late only answers are somebody's message.
            self.shared.dead_letters.add(Reason::LateAnswer, 1);
        }
        self.finish(resident, step);
    }

    /// Carries out what came of a message.
    #[inline]
    fn conclude(&mut self, resident: &mut Resident, step: Step) {
        match step {
            Step::Ran => self.carry_out(resident),
            step => self.finish(resident, step),
        }
    }

    /// Carries out what came of a step.
    #[inline(never)]
    fn finish(&mut self, resident: &mut Resident, step: Step) {
        match step {
            Step::Ran | Step::Stale => {}
            Step::Rejected(bad) => self.shared.reject(&bad),
            Step::Panicked(text) => self.panicked(resident, &text),
        }
        self.carry_out(resident);
    }

    fn panicked(&mut self, resident: &mut Resident, text: &str) {
        let asked = self.cx.asked();
        self.failed(resident, text);
        if let (Some(to), Some(why)) = (asked, resident.condition.down()) {
            self.answer(resident.id(), to, Err(AskError::Down(why)));
        }
    }

    /// Ends a turn: the agent is put back, moved, or removed.
    fn end_turn(&mut self, slot: u32, mut resident: Box<Resident>, more: bool) {
        if resident.condition != Condition::Working && self.is_gone(&mut resident) {
            self.free.push(slot);
            return;
        }
        let is_slow = resident.mailbox.counts.slow_steps.load(Ordering::Relaxed) >= EXILED_AFTER;
        if is_slow && let Some(exile) = &self.exile {
            let is_open = |ask| resident.cell.has_asked(ask);
            let alarms = self.alarms.extract(resident.id(), self.shared.now(), is_open);
            self.free.push(slot);
            exile.order(|incoming| incoming.arriving.push(Arrival { resident, alarms }));
            return;
        }
        if more {
            self.ready.push_back(slot);
        }
        self.residents[slot as usize] = Some(resident);
    }

    /// Whether nothing is left of an agent that does not work.
    #[cold]
    fn is_gone(&mut self, resident: &mut Resident) -> bool {
        if resident.condition == Condition::Restarting && self.shared.is_stopping() {
            self.end(resident, Down::Stopped);
        }
        let is_gone =
            matches!(resident.condition, Condition::Lingering(_)) && !resident.cell.is_behind();
        if is_gone
            && let Some(journal) = &self.shared.journal
            && resident.cell.has_persisted()
        {
            journal.leave(&resident.mailbox);
        }
        is_gone
    }

    /// A timed turn has ended, now: whether its one step was slow.
    fn judge(&mut self, resident: &mut Resident, began: Instant) -> Instant {
        let now = self.shared.now();
        let took = now.since(began);
        let counts = &resident.mailbox.counts;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        counts.longest_step.fetch_max(nanos, Ordering::Relaxed);
        if took > SLOW_STEP {
            counts.slow_steps.fetch_add(1, Ordering::Relaxed);
        } else {
            resident.is_suspect = false;
        }
        now
    }

    /// Takes an agent in: a new one, or one from another worker.
    fn settle(&mut self, mut resident: Box<Resident>) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.residents.push(None);
            u32::try_from(self.residents.len() - 1)
                .expect("agents of a worker are counted in 32 bits")
        });
        resident.slot = slot;
        // Where I/O is done nobody's first step is trusted.
        resident.is_suspect |= self.exile.is_some() && resident.cell.steps() == 0;
        resident.mailbox.move_to(Home { worker: Arc::clone(&self.handle), slot });
        self.ready.push_back(slot);
        self.residents[slot as usize] = Some(resident);
        slot
    }
}

fn may_go_on(resident: &Resident) -> bool {
    resident.condition == Condition::Working && !resident.cell.is_blocked()
}

/// Stands for the place of a port, which is no worker's.
const NO_SLOT: u32 = u32::MAX;
/// Slow steps after which an agent leaves a thread that does I/O for good.
const EXILED_AFTER: u64 = 3;
