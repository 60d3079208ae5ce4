//! A node: its life, clock, cores and disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use dx_agents::context::{Context, DynamicIds, World};
use dx_agents::journal::SyncError;
use dx_agents::remote::asks::Asks;
use dx_agents::runtime::Reason;
use dx_agents::{Directory, Incarnation, Instant, JournalState, NodeId};

use crate::disk::SimDisk;
use crate::journaling::Journaling;
use crate::progress::Fairness;
use crate::schedule::Due;

/// See the module.
pub struct Node {
    pub id: NodeId,
    pub incarnation: Incarnation,
    /// Grows with every start and every crash: what is due for another one is not for this.
    pub life: u32,
    pub standing: Standing,
    pub cx: Context,
    pub clock: Clock,
    pub journal_state: Arc<AtomicU8>,
    pub idle_cores: u32,
    /// Agents that wait for a core.
    pub ready: VecDeque<u32>,
    /// The places of its agents.
    pub slots: Vec<u32>,
    /// How much slower than usual it is.
    pub slowness: u32,
    pub disk: SimDisk,
    pub journaling: Option<Box<Journaling>>,
    pub synced: Option<Result<(), SyncError>>,
    pub asks: Asks,
    pub dead_letters: [u64; Reason::ALL.len()],
    pub armed: Option<CrashPoint>,
    /// Whether all that are ready get their turn.
    pub fairness: Fairness,
    /// What was due while it stood still.
    pub late: Vec<Due>,
}

/// Whether a node works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Up,
    /// It has not started, or crashed.
    Down,
    /// Its process is stopped since then; its clock goes on.
    Paused(u64),
    /// The machine sleeps, and its clock shows this until it wakes.
    Suspended(u64),
}

/// Where in an agent's work its node crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPoint {
    /// Before the next handler is called.
    BeforeHandler,
    /// After a handler has returned, before any of its effects.
    AfterHandler,
    /// When so many more effects have been carried out: in the midst of a step's sends.
    AfterEffects(u32),
    /// After entries were written, before they were synced.
    BeforeSync,
    /// After the sync returned, before what waited for it leaves.
    AfterSync,
}

/// A node's monotonic clock.
#[derive(Clone, Debug)]
pub struct Clock {
    reading: Arc<AtomicU64>,
    /// What it is ahead of the world's, in nanoseconds; modulo 2^64 it may also be behind.
    pub ahead: u64,
    /// By how much it runs too fast, in millionths.
    pub drift_ppm: i32,
    /// The world's time from which the drift counts.
    pub since: u64,
}

impl Clock {
    fn new(now: u64) -> Self {
        Self { reading: Arc::default(), ahead: 0, drift_ppm: 0, since: now }
    }

    /// What it shows when it is `now` in the world.
    #[inline]
    pub fn at(&self, now: u64) -> u64 {
        let drifted = i128::from(now - self.since) * i128::from(self.drift_ppm) / 1_000_000;
        now.wrapping_add(self.ahead).wrapping_add((drifted as i64).cast_unsigned())
    }

    /// The world's time at which it will show `at`; now, if it does already.
    #[inline]
    pub fn when(&self, at: Instant, now: u64) -> u64 {
        let left = at.0.saturating_sub(self.at(now));
        if self.drift_ppm == 0 {
            return now.saturating_add(left);
        }
        let pace = 1_000_000 + i128::from(self.drift_ppm);
        // Rounded up, so that it does show it then.
        let left = (i128::from(left) * 1_000_000 + pace - 1) / pace;
        now.saturating_add(u64::try_from(left).unwrap_or(u64::MAX))
    }

    /// Shows the time to the agents.
    #[inline]
    pub fn show(&self, now: u64) {
        self.reading.store(self.at(now), Ordering::Relaxed);
    }

    /// It stood still, and goes on at `now` from what it shows.
    pub fn go_on(&mut self, shown: u64, now: u64) {
        self.ahead = shown.wrapping_sub(now);
        self.since = now;
    }

    /// It runs so much too fast from now on.
    pub fn drift(&mut self, ppm: i32, now: u64) {
        self.ahead = self.at(now).wrapping_sub(now);
        self.since = now;
        self.drift_ppm = ppm;
    }
}

impl Node {
    /// A node that has not started.
    pub fn new(id: NodeId, directory: &Arc<Directory>) -> Self {
        let incarnation = Incarnation(0);
        let clock = Clock::new(0);
        let journal_state = Arc::default();
        let cx = Context::new(world(id, incarnation, 0, directory, &clock, &journal_state));
        Self {
            id,
            incarnation,
            life: 0,
            standing: Standing::Down,
            cx,
            clock,
            journal_state,
            idle_cores: 0,
            ready: VecDeque::new(),
            slots: Vec::new(),
            slowness: 1,
            disk: SimDisk::default(),
            journaling: None,
            synced: None,
            asks: Asks::default(),
            dead_letters: [0; Reason::ALL.len()],
            armed: None,
            fairness: Fairness::default(),
            late: Vec::new(),
        }
    }

    /// It begins a life.
    pub fn begin(&mut self, seed: u64, directory: &Arc<Directory>, now: u64) {
        self.life += 1;
        // As on a real machine: the milliseconds of its clock, and never less than before.
        self.incarnation = Incarnation((self.incarnation.0 + 1).max(EPOCH_MS + now / 1_000_000));
        self.standing = Standing::Up;
        self.clock = Clock { ahead: self.clock.ahead, ..Clock::new(now) };
        self.journal_state = Arc::default();
        let (clock, journal) = (&self.clock, &self.journal_state);
        self.cx = Context::new(world(self.id, self.incarnation, seed, directory, clock, journal));
        self.asks = Asks::default();
    }

    /// Tells agents how the journal is.
    pub fn show_journal(&self) {
        let state = self.journaling.as_ref().map_or(JournalState::None, |log| log.state);
        self.journal_state.store(state as u8, Ordering::Relaxed);
    }

    pub fn is_up(&self) -> bool {
        self.standing != Standing::Down
    }

    pub fn is_running(&self) -> bool {
        self.standing == Standing::Up
    }

    /// Counts a message that reached nobody.
    pub fn bury(&mut self, reason: Reason, count: u64) {
        self.dead_letters[reason as usize] += count;
    }
}

/// When the world begins, in milliseconds since the Unix epoch: any number will do.
const EPOCH_MS: u64 = 1_800_000_000_000;

fn world(
    node: NodeId,
    incarnation: Incarnation,
    seed: u64,
    directory: &Arc<Directory>,
    clock: &Clock,
    journal: &Arc<AtomicU8>,
) -> World {
    let (reading, journal) = (Arc::clone(&clock.reading), Arc::clone(journal));
    let states = [JournalState::None, JournalState::Open, JournalState::Full, JournalState::Failed];
    World {
        node,
        incarnation,
        directory: Arc::clone(directory),
        ids: Arc::new(DynamicIds::new(node, incarnation)),
        seed: seed ^ incarnation.0,
        clock: Box::new(move || Instant(reading.load(Ordering::Relaxed))),
        journal: Box::new(move || states[journal.load(Ordering::Relaxed) as usize]),
    }
}
