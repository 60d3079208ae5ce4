//! One member's part in the ring, as a pure state machine: messages, timers and losses in,
//! [`Output`]s out.
//!
//! ```text
//! Seeking ──▶ Gathering ─┐                    another view is proposed: back to Waiting
//!    ▲  └───▶ Waiting ───┴▶ Installing ──▶ Working ──▶ (Gathering | Waiting)
//!    └─────────── nothing goes on ──┘
//! ```
//! Only in `Working` anything is acknowledged, given a place, or delivered.

mod change;
mod decide;
mod detector;
mod install;
mod within;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use dx_agents::{AgentId, Instant};

use self::change::Gathering;
use self::detector::Detector;
use self::install::{Installing, Served};
use self::within::Announced;
use crate::config::RingConfig;
use crate::log::Log;
use crate::marks::Marks;
use crate::message::RingMessage;
use crate::model::RingModel;
use crate::output::Output;
use crate::own::{BroadcastError, Own};
use crate::view::{Life, View, ViewId};

/// See the module.
pub struct Core {
    config: RingConfig,
    me: AgentId,
    life: Life,
    model: Box<dyn RingModel>,
    phase: Phase,
    /// When the phase began, or when it last got on.
    since: Instant,
    promised: ViewId,
    /// The largest number that was heard of.
    seen: u64,
    installed: Option<View>,
    marks: Marks,
    /// Whether deliveries count in the installed view. A founding view begins when all installed
    /// it; others at once.
    is_active: bool,
    is_marked: bool,
    log: Log,
    own: Own,
    detector: Detector,
    /// Since when another view is needed, and whether somebody's loss is why.
    trouble: Option<Instant>,
    /// A working view that others were heard of to be in.
    elsewhere: Option<(ViewId, Instant)>,
    /// What came for the promised view before it was installed here.
    ahead: Vec<(AgentId, RingMessage)>,
    served: Option<Served>,
    announced: Announced,
    /// Members whose outbox has no room.
    stuffed: BTreeSet<AgentId>,
    ticks: u64,
    ticked: Instant,
    traffic: Traffic,
    out: VecDeque<Output>,
}

/// What a member is at.
#[derive(Debug)]
enum Phase {
    /// In no view that works, and nobody changes that.
    Seeking,
    /// It proposes a view, and hears what others know.
    Gathering(Gathering),
    /// It has promised a view, and waits for the decision.
    Waiting,
    /// It fetches what it needs to install one.
    Installing(Box<Installing>),
    /// A view works.
    Working,
    /// The ring has lost its memory.
    Lost,
}

/// How a member is, for those who look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standstill {
    /// It works.
    None,
    /// A view is being changed, or the ring founded.
    Changing,
    /// It reaches no majority: nothing is delivered here until it does.
    Blocked,
    /// A majority has lost its memory: nothing will ever be delivered again.
    Lost,
}

/// What a member has sent, in bytes of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Of payload.
    pub payload: u64,
    /// Of all that keeps a view going: places, marks, receipts, beats.
    pub control: u64,
}

impl Core {
    /// A member that has just begun this life. `is_marked`: a former life of it was in a ring.
    #[must_use]
    pub fn new(
        config: RingConfig,
        me: AgentId,
        life: Life,
        is_marked: bool,
        model: Box<dyn RingModel>,
    ) -> Self {
        let own = Own::new(me, life, config.members.len().max(1), config.window);
        let detector = Detector::new(config.patience);
        Self {
            config,
            me,
            life,
            model,
            phase: Phase::Seeking,
            since: Instant(0),
            promised: ViewId::default(),
            seen: 0,
            installed: None,
            marks: Marks::default(),
            is_active: false,
            is_marked,
            log: Log::default(),
            own,
            detector,
            trouble: None,
            elsewhere: None,
            ahead: Vec::new(),
            served: None,
            announced: Announced::default(),
            stuffed: BTreeSet::new(),
            ticks: 0,
            ticked: Instant(0),
            traffic: Traffic::default(),
            out: VecDeque::new(),
        }
    }

    /// How often [`tick`](Self::tick) is to be called.
    #[must_use]
    pub fn tick_every(&self) -> Duration {
        self.config.beat / 2
    }

    /// The life begins.
    pub fn start(&mut self, now: Instant) {
        self.since = now;
        self.ticked = now;
        for id in self.others() {
            self.out.push_back(Output::Monitor(id));
        }
        self.seek(now);
    }

    /// A member said something.
    pub fn message(&mut self, from: AgentId, message: RingMessage, now: Instant) {
        if !self.config.members.contains(&from) {
            return;
        }
        if matches!(self.phase, Phase::Lost) {
            return self.tell_loss(from, &message);
        }
        self.detector.heard(from, now);
        match message {
            RingMessage::Request(_) => {}
            RingMessage::Beat { view } => self.on_beat(view, now),
            RingMessage::Seek { promised, .. } => self.on_seek(from, promised, now),
            RingMessage::Suspect { view, who } => self.on_suspect(view, who, now),
            RingMessage::Prepare { view } => self.on_prepare(from, view, now),
            RingMessage::Refuse { promised } => self.seen = self.seen.max(promised.number),
            RingMessage::Promise { view, report } => self.on_promise(from, view, *report, now),
            RingMessage::NewView(new) => self.on_new_view(from, *new, now),
            RingMessage::Fetch { view, ids } => self.on_fetch(from, view, ids),
            RingMessage::Fetched { view, batch } => self.on_fetched(view, batch, now),
            RingMessage::FetchState { view, from: offset } => {
                self.on_fetch_state(from, view, offset);
            }
            RingMessage::State { view, head, piece } => {
                self.on_state(from, view, *head, &piece, now);
            }
            RingMessage::Lost { .. } => self.on_lost(now),
            message @ (RingMessage::Held { .. } | RingMessage::Model { .. }) => {
                self.on_view_message(from, message, now);
            }
        }
        self.settle(now);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        let every = self.tick_every();
        let late = now.since(self.ticked).saturating_sub(every);
        if late > every {
            // This process stood still: that is nobody's silence.
            self.detector.discount(late, now);
            self.since = (self.since + late).min(now);
            self.trouble = self.trouble.map(|since| (since + late).min(now));
        }
        self.ticked = now;
        self.ticks += 1;
        match self.phase {
            Phase::Working => self.watch(now),
            Phase::Lost => return,
            _ => self.press_on(now),
        }
        self.settle(now);
    }

    /// The time that [`Output::Pace`] asked for has passed.
    pub fn pace(&mut self, now: Instant) {
        self.announced.due = None;
        self.settle(now);
    }

    /// Something was lost on the way from or to `who`, or may be.
    pub fn lost(&mut self, who: AgentId, now: Instant) {
        self.suspect(who, now);
        self.settle(now);
    }

    /// `who` has no room for what this member says.
    pub fn refused(&mut self, who: AgentId, now: Instant) {
        self.stuffed.insert(who);
        self.lost(who, now);
    }

    /// `who` has room again.
    pub fn writable(&mut self, who: AgentId) {
        self.stuffed.remove(&who);
    }

    /// A message for all. It leaves when [`flush`](Self::flush) is called.
    ///
    /// # Errors
    /// If it is too long, or too many wait.
    pub fn broadcast(&mut self, payload: Bytes) -> Result<(), BroadcastError> {
        self.own.push(payload)
    }

    /// Sends what can be sent.
    pub fn flush(&mut self, now: Instant) {
        self.settle(now);
    }

    /// The next thing to be done.
    pub fn output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// The view that it has installed.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        self.installed.as_ref()
    }

    /// The order as far as it knows it.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What it has sent.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Whether it works, and if not, why.
    #[must_use]
    pub fn standstill(&self, now: Instant) -> Standstill {
        match self.phase {
            Phase::Working => Standstill::None,
            Phase::Lost => Standstill::Lost,
            _ if self.reached(now) < crate::view::quorum(self.config.members.len()) => {
                Standstill::Blocked
            }
            _ => Standstill::Changing,
        }
    }

    /// What it is at, for whoever looks for a mistake.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { phase, promised, seen, marks, own, is_active, trouble, .. } = self;
        let ahead = self.ahead.len();
        format!(
            "{phase:?}, promised {promised}, seen {seen}, {marks:?}, flying {:?}, active {is_active}, trouble {trouble:?}, ahead {ahead}",
            own.flying().map(|it| it.id.sn).collect::<Vec<_>>()
        )
    }

    /// Members that were heard lately, and itself.
    fn reached(&self, now: Instant) -> usize {
        1 + self.others().iter().filter(|id| self.detector.is_there(**id, now)).count()
    }

    fn others(&self) -> Vec<AgentId> {
        self.config.members.iter().copied().filter(|id| *id != self.me).collect()
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.since = now;
    }

    fn send(&mut self, to: Vec<AgentId>, message: RingMessage) {
        if !to.is_empty() {
            self.traffic.count(to.len(), &message);
            self.out.push_back(Output::Send { to, message });
        }
    }
}

impl Traffic {
    fn count(&mut self, receivers: usize, message: &RingMessage) {
        use crate::message::ModelMessage::Bind;
        let (sum, bytes) = match message {
            RingMessage::Model { message: Bind { ids, .. }, .. } => {
                (&mut self.control, HEADER + PLACE * ids.len())
            }
            RingMessage::Model { message, .. } => match message.payload() {
                Some(payload) => {
                    (&mut self.payload, HEADER + payload.cuts.lens.len() + payload.bytes.len())
                }
                None => (&mut self.control, HEADER),
            },
            RingMessage::Held { .. } | RingMessage::Beat { .. } => (&mut self.control, HEADER),
            // What a change of view takes is no steady traffic.
            _ => return,
        };
        *sum += (receivers * bytes) as u64;
    }
}

/// Bytes of a message without payload, with the frame around it. Measured: 20 to 28, and a view's name
/// has 10 more since, for a life that counts milliseconds from 1970.
const HEADER: usize = 38;
/// Bytes of a place in a `Bind`.
const PLACE: usize = 6;
