//! Work: what is assigned, what of it starts, and what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dx_agents::{Context, Instant};
use serde::Deserialize;

use crate::end::{End, Fault, Finish, NotStarted};
use crate::id::{AttemptId, JobId};
use crate::job::Resources;
use crate::message::{Assigned, Report};
use crate::processor::{Call, KillRun, Run};

use super::held::{Slot, Stage};
use super::joining::Standing;
use super::{Runner, waits};

/// The most attempts that are held; what comes beyond goes back. Far more than a controller assigns
/// ahead of time; its list is the longest thing that a join carries.
pub const MAX_HELD: usize = 100_000;

/// The most attempts that the shim has at a time, whatever they need.
pub const MAX_GIVEN: usize = 8192;

/// How many of those that wait are looked at behind one that does not fit. A guess: what waits is
/// mostly of one kind.
const LOOK_BEHIND: usize = 256;

/// Jobs that are remembered though nothing of them is held: the next task of one of them comes
/// without its description.
const MAX_JOBS: usize = 1024;

/// The most attempts, and bytes of descriptions, of one call.
const MAX_RUNS: (usize, usize) = (256, 1 << 20);

/// Jobs that the controller has told of.
#[derive(Default)]
pub struct Jobs(BTreeMap<JobId, Job>);

struct Job {
    spec: Arc<str>,
    /// What a task of it needs, or why that is not understood here.
    need: Result<Arc<Resources>, String>,
}

/// All that a runner must understand of a job: other keys may be of a later version.
#[derive(Deserialize)]
struct Needs {
    #[serde(default)]
    resources: Resources,
}

impl Jobs {
    /// A job as its user described it.
    pub fn spec(&self, job: JobId) -> Option<&Arc<str>> {
        self.0.get(&job).map(|job| &job.spec)
    }

    fn learn(&mut self, job: JobId, spec: Arc<str>) {
        let need = serde_json::from_str(&spec);
        let need = need.map(|needs: Needs| Arc::new(needs.resources)).map_err(|it| it.to_string());
        self.0.insert(job, Job { spec, need });
    }
}

impl Runner {
    pub(super) fn assigned(
        &mut self,
        jobs: Vec<(JobId, Arc<str>)>,
        runs: &[Assigned],
        cx: &mut Context,
    ) {
        for (job, spec) in jobs {
            self.jobs.learn(job, spec);
        }
        let mut is_missing = false;
        for run in runs {
            match self.jobs.0.get(&run.job).map(|job| job.need.clone()) {
                None => is_missing = true,
                Some(need) => self.queue(*run, &need),
            }
        }
        if self.jobs.0.len() > MAX_JOBS {
            let held = &self.held;
            self.jobs.0.retain(|job, _| held.has_any_of(*job));
        }
        if is_missing {
            // It was told and let go again. After a welcome, all is told anew.
            self.join(cx);
        }
    }

    fn queue(&mut self, run: Assigned, need: &Result<Arc<Resources>, String>) {
        for index in run.first..run.first.saturating_add(run.count) {
            let attempt = run.job.task(index).attempt(run.number);
            if self.held.contains(attempt) {
                self.tally.needless += 1;
                continue;
            }
            match need {
                Ok(need) if self.room.could_fit(need) && self.held.len() < MAX_HELD => {
                    self.held.add(attempt, Arc::clone(need), Stage::Queued(0));
                }
                Ok(_) => self.reports.add(Report::Returned(attempt)),
                Err(why) => {
                    let reason = format!("this node does not understand the job: {why}");
                    let (fault, errno) = (Fault::Node, 0);
                    let not_started = Some(NotStarted { fault, errno, reason });
                    let finish = Finish { not_started, ..ended_here(End::Failed) };
                    self.held.add(
                        attempt,
                        Arc::default(),
                        Stage::Ended(Some(finish.clone().into())),
                    );
                    self.reports.add(Report::Ended(attempt, finish));
                }
            }
        }
    }

    /// Whether anything may start.
    pub(super) fn may_start(&self) -> bool {
        let is_leased = self.shim.as_ref().is_some_and(|shim| shim.is_leased);
        is_leased && matches!(self.standing, Standing::Welcome { .. })
    }

    /// What fits starts, in the order in which it was assigned: what is large is not overtaken by
    /// what is small, else it might wait for ever. Beside the room that the first waits for, others
    /// start: what waits for a GPU keeps nobody from the processors.
    pub(super) fn start_what_fits(&mut self, cx: &mut Context) {
        if !self.may_start() {
            return;
        }
        self.start_ahead(cx);
        let mut given = Vec::new();
        while let Some((attempt, held)) = self.held.first() {
            if self.given >= MAX_GIVEN {
                break;
            }
            let Some(gpus) = self.room.take(&held.need) else { break };
            self.start(attempt, gpus, &mut given);
        }
        if self.given < MAX_GIVEN {
            for (attempt, gpus) in self.beside_first() {
                self.start(attempt, gpus, &mut given);
            }
        }
        self.give(&given, cx);
        self.give_ahead(cx);
    }

    /// What waits and fits beside the room that the first waits for; that room is taken.
    fn beside_first(&mut self) -> Vec<(AttemptId, Vec<u32>)> {
        let Some((_, first)) = self.held.first() else { return Vec::new() };
        let first = Arc::clone(&first.need);
        let behind = self.held.behind_first().take(LOOK_BEHIND.min(MAX_GIVEN - self.given));
        let others = behind.filter(|(_, held)| held.need != first);
        others
            .filter_map(|(attempt, held)| {
                Some((attempt, self.room.take_beside(&held.need, &first)?))
            })
            .collect()
    }

    fn start(&mut self, attempt: AttemptId, gpus: Vec<u32>, given: &mut Vec<AttemptId>) {
        self.held.set(attempt, Stage::Given);
        self.given += 1;
        if let Some(held) = self.held.get_mut(attempt) {
            held.gpus = gpus;
        }
        self.reports.add(Report::Starting(attempt));
        given.push(attempt);
    }

    /// Gives attempts to the shim. Of those that it has already, nothing happens.
    pub(super) fn give(&mut self, attempts: &[AttemptId], cx: &mut Context) {
        let Some(shim) = self.shim.as_ref().map(|shim| shim.id.incarnation) else { return };
        let (mut runs, mut bytes) = (Vec::new(), 0);
        for &attempt in attempts {
            let held = self.held.get(attempt).filter(|held| matches!(held.stage, Stage::Given));
            let (Some(held), Some(job)) = (held, self.jobs.0.get(&attempt.task.job)) else {
                continue;
            };
            bytes += job.spec.len();
            runs.push(Run { attempt, shim, spec: Arc::clone(&job.spec), gpus: held.gpus.clone() });
            if runs.len() >= MAX_RUNS.0 || bytes >= MAX_RUNS.1 {
                cx.send(self.config.processor, Call::Run(std::mem::take(&mut runs)));
                bytes = 0;
            }
        }
        if !runs.is_empty() {
            cx.send(self.config.processor, Call::Run(runs));
        }
    }

    /// Gives to the shim what it did not get; also what is to end, so that it is the shim that says
    /// so: it may have got it after all.
    pub(super) fn give_again(&mut self, cx: &mut Context) {
        let ungiven: Vec<AttemptId> = std::mem::take(&mut self.ungiven).into_iter().collect();
        self.give(&ungiven, cx);
        let kill = |attempt: &AttemptId| {
            let now = self.held.get(*attempt)?.kill?;
            Some(KillRun { attempt: *attempt, now })
        };
        let kills: Vec<KillRun> = ungiven.iter().filter_map(kill).collect();
        if !kills.is_empty() {
            self.tell_shim(Call::Kill(kills), cx);
        }
    }

    /// What has not started goes back. Of the rest the controller hears as it ends.
    pub(super) fn retracted(&mut self, attempts: &[AttemptId], cx: &mut Context) {
        let mut ahead = Vec::new();
        for &attempt in attempts {
            match self.held.get(attempt).map(|held| &held.stage) {
                Some(Stage::Queued(_)) => {
                    self.held.remove(attempt);
                    self.reports.add(Report::Returned(attempt));
                }
                Some(Stage::Ahead(_)) => ahead.push(attempt),
                _ => {}
            }
        }
        self.call_back(ahead, cx);
    }

    pub(super) fn killed(&mut self, attempts: Vec<KillRun>, cx: &mut Context) {
        let mut calls = Vec::new();
        for kill in attempts {
            let Some(held) = self.held.get_mut(kill.attempt) else {
                self.tally.needless += 1;
                continue;
            };
            match held.stage {
                Stage::Queued(_) => self.end_here(kill.attempt, End::Cancelled, cx.now()),
                Stage::Ahead(_) | Stage::Given | Stage::Running => {
                    held.kill = Some(kill.now || held.kill == Some(true));
                    calls.push(kill);
                }
                Stage::Ended(_) => {}
            }
        }
        if !calls.is_empty() {
            self.tell_shim(Call::Kill(calls), cx);
        }
    }

    /// An attempt of which the shim has nothing to say has ended.
    pub(super) fn end_here(&mut self, attempt: AttemptId, end: End, now: Instant) {
        self.end(attempt, ended_here(end), now);
    }

    /// Nothing of an attempt is left: its room is free. Whether it may be forgotten at once.
    pub(super) fn end(&mut self, attempt: AttemptId, finish: Finish, now: Instant) -> bool {
        let Some(held) = self.held.get(attempt) else { return false };
        let is_doomed = held.is_doomed;
        if held.has_room() {
            waits::free(&mut self.room, held);
            self.given -= 1;
            self.pass_room_on(attempt, now);
        } else {
            self.ahead.remove(attempt);
        }
        if is_doomed {
            self.held.remove(attempt);
            return true;
        }
        self.held.set_slot(attempt, Slot::Own);
        self.held.set(attempt, Stage::Ended(Some(Box::new(finish.clone()))));
        self.reports.add(Report::Ended(attempt, finish));
        false
    }

    /// The controller has these ends for good.
    pub(super) fn recorded(&mut self, attempts: Vec<AttemptId>, cx: &mut Context) {
        let mut forgotten = attempts;
        forgotten.retain(|&attempt| {
            let held = self.held.get(attempt);
            let is_over = held.is_some_and(|held| matches!(held.stage, Stage::Ended(_)));
            if is_over {
                self.held.remove(attempt);
            } else {
                self.tally.needless += 1;
            }
            is_over
        });
        if !forgotten.is_empty() {
            self.tell_shim(Call::Forget(forgotten), cx);
        }
    }
}

/// What is said of an attempt that never came to the shim, or that the shim lost.
fn ended_here(end: End) -> Finish {
    Finish {
        end,
        command: 0,
        exit: None,
        not_started: None,
        yielded: false,
        detached: false,
        ran: 0,
        cpu: 0,
        max_rss: 0,
        printed: 0,
        kept: 0,
    }
}
