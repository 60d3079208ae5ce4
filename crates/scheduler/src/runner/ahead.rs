//! Work that the shim has ahead of time: it begins in the room of what ends before it, while this
//! runner, and its controller, hear of that end.
//!
//! A task that takes as long as a message is not to wait for one. So of a job whose tasks end
//! quickly, the shim has some more than there is room for. It begins them in their order as others
//! of the same job end, which need the same. The shim tells ends in the order in which it counts
//! them: so here, too, the room of each goes over to the first that waits, and both sides agree at
//! any time, but for what is under way. What is ahead counts as waiting for the controller: it may
//! have it back. Only with a life of the shim its word is lost: what was ahead then may have begun.
//!
//! The shim knows nothing of tasks that wait, of who is to have his slot back, and of what this node
//! has. While room of a job is lent, anybody waits for his, or more is in use than there is, this
//! runner has back what it gave.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dx_agents::{Context, Instant};

use crate::end::End;
use crate::id::{AttemptId, JobId};
use crate::message::Report;
use crate::processor::{Call, Follow, Hello};

use super::Runner;
use super::held::{Holdings, Stage};
use super::room::Room;

/// As many of a job are ahead as have ended in the last whole window of this length. A guess: twice
/// as long as the shim gathers ends, and no time for whoever waits for another node.
const WINDOW: Duration = Duration::from_millis(40);

/// The most of a job that are ahead.
const MAX_AHEAD: usize = 256;

/// See the module.
#[derive(Default)]
pub struct Ahead {
    lanes: BTreeMap<JobId, Lane>,
    /// Those that the controller wants back, and the shim was told so.
    returning: BTreeSet<AttemptId>,
    /// Those that this runner wants back, and the shim was told so.
    recalled: BTreeSet<AttemptId>,
    /// The shim takes nothing, until it has another grant.
    pub is_refused: bool,
}

/// What is ahead of a job, and how fast its tasks end.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<AttemptId>,
    window: u64,
    /// Ends in this window, and the one before.
    ended: (usize, usize),
}

impl Ahead {
    /// It does not wait any more.
    pub fn remove(&mut self, attempt: AttemptId) {
        self.returning.remove(&attempt);
        self.recalled.remove(&attempt);
        if let Some(lane) = self.lanes.get_mut(&attempt.task.job) {
            lane.waiting.retain(|waiting| *waiting != attempt);
        }
    }

    /// Whether the shim was asked to give it back, and may have done so.
    fn is_asked_for(&self, attempt: AttemptId) -> bool {
        self.returning.contains(&attempt) || self.recalled.contains(&attempt)
    }

    /// All that wait.
    pub fn into_waiting(self) -> impl Iterator<Item = AttemptId> {
        self.lanes.into_values().flat_map(|lane| lane.waiting)
    }

    /// One of a job has ended: who has its room now.
    fn next(&mut self, job: JobId, now: Instant) -> Option<AttemptId> {
        // Of what has ended long ago nothing follows.
        self.lanes.retain(|it, lane| *it == job || !lane.is_idle(now));
        let lane = self.lanes.entry(job).or_default();
        lane.roll(now);
        lane.ended.0 += 1;
        let next = lane.waiting.pop_front()?;
        self.returning.remove(&next);
        self.recalled.remove(&next);
        Some(next)
    }

    /// How many more of a job may be ahead: none, or many at a time.
    fn room(&mut self, job: JobId, now: Instant) -> usize {
        let Some(lane) = self.lanes.get_mut(&job).filter(|_| !self.is_refused) else { return 0 };
        lane.roll(now);
        let most = lane.ended.0.max(lane.ended.1).min(MAX_AHEAD);
        if lane.waiting.len() * 2 <= most { most - lane.waiting.len() } else { 0 }
    }
}

impl Lane {
    fn roll(&mut self, now: Instant) {
        let window = now.0 / WINDOW.as_nanos() as u64;
        match window - self.window.min(window) {
            0 => {}
            1 => self.ended = (0, self.ended.0),
            _ => self.ended = (0, 0),
        }
        self.window = window;
    }

    fn is_idle(&mut self, now: Instant) -> bool {
        self.roll(now);
        self.waiting.is_empty() && self.ended == (0, 0)
    }
}

impl Runner {
    /// Gives the shim the first that wait, where others of their job end quickly.
    pub(super) fn give_ahead(&mut self, cx: &mut Context) {
        while let Some((first, held)) = self.held.first() {
            let job = first.task.job;
            // GPUs have numbers, which do not go over.
            let may = held.need.gpus == 0 && may_pass_room_on(job, &self.held, &self.room);
            let mut room = if may { self.ahead.room(job, cx.now()) } else { 0 };
            let wide = if room > 0 { self.held.with_room(job) } else { 0 };
            if wide == 0 {
                return;
            }
            let mut attempts = Vec::new();
            while let Some((attempt, _)) = self.held.first().filter(|(it, _)| it.task.job == job)
                && room > 0
            {
                room -= 1;
                self.held.send_first_ahead();
                attempts.push(attempt);
            }
            self.ahead.lanes.entry(job).or_default().waiting.extend(&attempts);
            self.follow(job, wide, attempts, cx);
        }
    }

    /// Has back what may not begin in the room of another any more.
    pub(super) fn recall_ahead(&mut self, cx: &mut Context) {
        let Ahead { lanes, returning, recalled, .. } = &mut self.ahead;
        let may = |job| may_pass_room_on(job, &self.held, &self.room);
        let barred = lanes.iter().filter(|(job, lane)| !lane.waiting.is_empty() && !may(**job));
        let ahead = barred.flat_map(|(_, lane)| &lane.waiting).copied();
        let back: Vec<AttemptId> =
            ahead.filter(|it| !returning.contains(it) && recalled.insert(*it)).collect();
        if !back.is_empty() {
            self.tell_shim(Call::Return(back), cx);
        }
    }

    /// Room was freed by others than those that they follow: it is first theirs.
    pub(super) fn start_ahead(&mut self, cx: &mut Context) {
        let jobs = self.ahead.lanes.iter().filter(|(_, lane)| !lane.waiting.is_empty());
        for job in jobs.map(|(job, _)| *job).collect::<Vec<_>>() {
            let mut is_wider = false;
            while let Some(&next) = self.ahead.lanes[&job].waiting.front()
                && !self.ahead.is_asked_for(next)
                && let Some(held) = self.held.get(next)
                && self.room.take(&held.need).is_some()
            {
                is_wider = true;
                self.ahead.remove(next);
                self.has_room_now(next);
            }
            if is_wider {
                let wide = self.held.with_room(job);
                self.follow(job, wide, Vec::new(), cx);
            }
        }
    }

    /// An attempt that had room has ended, and that room is free. What follows it has it now.
    pub(super) fn pass_room_on(&mut self, ended: AttemptId, now: Instant) {
        if let Some(next) = self.ahead.next(ended.task.job, now) {
            self.occupy_for(next);
        }
    }

    /// The shim says that it runs. By then it has its room, unless the shim is of another mind.
    pub(super) fn is_ahead_no_more(&mut self, attempt: AttemptId) {
        if self.is_ahead(attempt) {
            self.ahead.remove(attempt);
            self.occupy_for(attempt);
        }
    }

    /// The shim does not have it any more, and has not begun it.
    pub(super) fn came_back(&mut self, attempt: AttemptId) {
        if !self.is_ahead(attempt) {
            return;
        }
        if self.ahead.returning.contains(&attempt) {
            self.ahead.remove(attempt);
            self.held.remove(attempt);
            self.reports.add(Report::Returned(attempt));
        } else {
            self.ahead.is_refused |= !self.ahead.recalled.contains(&attempt);
            self.ahead.remove(attempt);
            self.held.requeue(attempt);
        }
    }

    /// The controller wants these back. They come back if they have not begun.
    pub(super) fn call_back(&mut self, attempts: Vec<AttemptId>, cx: &mut Context) {
        if !attempts.is_empty() {
            self.ahead.returning.extend(&attempts);
            self.tell_shim(Call::Return(attempts), cx);
        }
    }

    /// The shim has said how it is, and so has forgotten what was ahead, but for what it had begun.
    pub(super) fn take_back(&mut self, hello: &Hello, now: Instant) {
        let running: BTreeSet<AttemptId> = hello.running.iter().map(|it| it.attempt).collect();
        let ended: BTreeSet<AttemptId> = hello.ended.iter().copied().collect();
        let returning = std::mem::take(&mut self.ahead.returning);
        for attempt in std::mem::take(&mut self.ahead).into_waiting() {
            let Some(held) = self.held.get(attempt) else { continue };
            let (is_unwanted, is_killed) =
                (held.is_doomed || returning.contains(&attempt), held.kill.is_some());
            if running.contains(&attempt) {
                self.occupy_for(attempt);
            } else if ended.contains(&attempt) {
                self.held.set(attempt, Stage::Ended(None));
            } else if is_unwanted {
                // It is not joined with: the controller has it as one that came back.
                self.held.remove(attempt);
            } else if is_killed {
                self.end_here(attempt, End::Cancelled, now);
            } else {
                self.held.requeue(attempt);
            }
        }
    }

    fn is_ahead(&self, attempt: AttemptId) -> bool {
        self.held.get(attempt).is_some_and(|held| matches!(held.stage, Stage::Ahead(_)))
    }

    fn occupy_for(&mut self, attempt: AttemptId) {
        if let Some(held) = self.held.get(attempt) {
            self.room.occupy(&held.need, &[]);
            self.has_room_now(attempt);
        }
    }

    fn has_room_now(&mut self, attempt: AttemptId) {
        self.held.set(attempt, Stage::Given);
        self.given += 1;
        if self.held.get(attempt).is_some_and(|held| !held.is_doomed) {
            self.reports.add(Report::Starting(attempt));
        }
    }

    fn follow(&mut self, job: JobId, wide: u32, attempts: Vec<AttemptId>, cx: &mut Context) {
        let Some((shim, since)) = self.shim.as_ref().map(|it| (it.id.incarnation, it.hello)) else {
            return;
        };
        let Some(spec) = self.jobs.spec(job).map(Arc::clone) else { return };
        self.tell_shim(Call::Follow(Follow { job, wide, shim, since, spec, attempts }), cx);
    }
}

/// Whether the room of a job's attempts may go over to others of it as they end.
fn may_pass_room_on(job: JobId, held: &Holdings, room: &Room) -> bool {
    !held.has_wanting() && !held.has_lent(job) && !room.is_overfull()
}
