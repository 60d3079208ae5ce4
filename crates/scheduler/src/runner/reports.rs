//! Reports on their way: several in a message, and each at most a moment later.

use std::collections::BTreeMap;
use std::time::Duration;

use dx_agents::{Context, Instant};

use crate::id::AttemptId;
use crate::message::{ControllerMessage, Report, ToController};
use crate::processor::Progress;

use super::held::Stage;
use super::{FLUSH, Runner};

/// The most reports of one message: some 100 bytes each.
pub const MAX_REPORTS: usize = 4096;

/// How long reports wait for others, when [`BURST`] messages have left, or nothing depends on them.
/// A guess: far below what a process takes to start, and enough for a hundred of them in a message
/// where nothing is executed.
pub const TICK: Duration = Duration::from_millis(1);

/// How many messages leave within a [`TICK`] before reports wait. What begins and ends at once, and
/// that for which others wait, is two; a chain of such tasks is not to wait for a clock.
const BURST: u32 = 4;

/// See the module.
#[derive(Default)]
pub struct Reports {
    waiting: Vec<Report>,
    /// Only the newest of each attempt.
    progress: BTreeMap<AttemptId, Progress>,
    /// When the last tick began, and how many messages have left since.
    tick: Option<(Instant, u32)>,
    is_armed: bool,
}

impl Reports {
    pub fn add(&mut self, report: Report) {
        match report {
            Report::Progress(attempt, progress) => {
                self.progress.insert(attempt, progress);
            }
            report => self.waiting.push(report),
        }
    }

    /// What waits need not be said any more.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.progress.clear();
    }

    /// How long what waits has to wait.
    fn delay(&self, now: Instant) -> Option<Duration> {
        let rest = self.tick.and_then(|(began, left)| {
            let rest = (began + TICK).0.checked_sub(now.0).filter(|rest| *rest > 0)?;
            (left >= BURST).then_some(Duration::from_nanos(rest))
        });
        rest.or_else(|| self.can_wait().then_some(TICK))
    }

    /// That something was given to the shim is said with what comes of it, or a little later:
    /// nothing waits for that, and each message is a record that is synced.
    fn can_wait(&self) -> bool {
        let is_given = |report: &Report| matches!(report, Report::Starting(_));
        self.progress.is_empty() && self.waiting.iter().all(is_given)
    }

    /// A message leaves.
    fn leaves(&mut self, now: Instant) {
        match &mut self.tick {
            Some((began, left)) if now < *began + TICK => *left += 1,
            tick => *tick = Some((now, 1)),
        }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.progress.is_empty()
    }
}

impl Runner {
    /// Sends what waits, if its moment has come or it is the time `now`.
    pub(super) fn flush_reports(&mut self, now: bool, cx: &mut Context) {
        if now {
            self.reports.is_armed = false;
        }
        if self.reports.is_empty() {
            return;
        }
        let is_full = self.reports.waiting.len() >= MAX_REPORTS;
        match self.reports.delay(cx.now()).filter(|_| !now && !is_full) {
            None => self.send_reports(cx),
            Some(delay) => {
                if !std::mem::replace(&mut self.reports.is_armed, true) {
                    cx.set_timer(FLUSH, delay);
                }
            }
        }
    }

    /// Sends all that waits. Nobody is told who does not count with this node: at the next welcome
    /// all is said anew.
    pub(super) fn send_reports(&mut self, cx: &mut Context) {
        let mut waiting = std::mem::take(&mut self.reports.waiting);
        for (attempt, progress) in std::mem::take(&mut self.reports.progress) {
            let held = self.held.get(attempt);
            if held.is_some_and(|held| !matches!(held.stage, Stage::Ended(_))) {
                waiting.push(Report::Progress(attempt, progress));
            }
        }
        let Some(shim) = self.shim.as_ref().filter(|_| self.is_welcome()) else { return };
        self.reports.leaves(cx.now());
        let mut rest = waiting.into_iter().peekable();
        while rest.peek().is_some() {
            let reports = rest.by_ref().take(MAX_REPORTS).collect();
            let message = ToController::Reports { shim: shim.id, reports };
            cx.send(self.config.controller, ControllerMessage::Runner(message));
        }
    }
}
