//! What a runner knows of its processor, and hears from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use dx_agents::Context;

use crate::end::{End, Finish};
use crate::id::{AttemptId, ShimId};
use crate::job::Resources;
use crate::message::{ControllerMessage, Report, ToController};
use crate::processor::{Call, Certainty, Hello, KillRun, Running, Told};

use super::Runner;
use super::ahead::Ahead;
use super::held::{Held, Stage};

/// A shim, in one of its lives.
pub struct Shim {
    pub id: ShimId,
    /// The number of its last hello.
    pub hello: u64,
    pub kill: Certainty,
    pub memory: bool,
    pub overran: Vec<AttemptId>,
    /// Whether it has a lease, as far as this runner knows: before, it runs nothing. A renewal may
    /// be lost as anything else, so each hello is a reason to doubt it.
    pub is_leased: bool,
}

impl Runner {
    pub(super) fn say_hello(&mut self, cx: &mut Context) {
        cx.send(self.config.processor, Call::Hello);
    }

    pub(super) fn tell_shim(&mut self, call: Call, cx: &mut Context) {
        cx.send(self.config.processor, call);
    }

    pub(super) fn processor_says(&mut self, told: Told, cx: &mut Context) {
        match told {
            Told::Hello(hello) => self.greeted(&hello, cx),
            Told::Beat { clock } => {
                // Also one that has overtaken the hello that it follows.
                self.beat = Some(clock);
                self.pass_beat_on(cx);
            }
            Told::Started { attempt, .. } => {
                let is_given = |stage: &Stage| matches!(stage, Stage::Given);
                self.is_ahead_no_more(attempt);
                let held = self.held.get(attempt);
                let Some(held) = held.filter(|held| is_given(&held.stage)) else { return };
                if !held.is_doomed {
                    self.reports.add(Report::Started(attempt));
                }
                self.held.set(attempt, Stage::Running);
            }
            Told::Progress { attempt, progress } => {
                if self.held.get(attempt).is_some_and(|held| !held.is_doomed) {
                    self.reports.add(Report::Progress(attempt, progress));
                }
            }
            Told::Ended { attempt, finish } => self.has_ended(attempt, finish, cx),
            Told::Log(part) => self.has_read(part, cx),
            Told::Usage(usage) => {
                if let Some(shim) = self.shim.as_ref().filter(|_| self.is_welcome()) {
                    let message = ToController::Usage { shim: shim.id, usage };
                    cx.send(self.config.controller, ControllerMessage::Runner(message));
                }
            }
            // It had no lease, or no room. It may have been given again since: so it is not for
            // others to run.
            Told::Unknown(attempt) => {
                self.came_back(attempt);
                if self.held.get(attempt).is_some_and(|it| matches!(it.stage, Stage::Given)) {
                    self.ungiven.insert(attempt);
                }
            }
            // Only for those who ask for it.
            Told::List { .. } => {}
        }
    }

    pub(super) fn pass_beat_on(&mut self, cx: &mut Context) {
        let Some(shim) = self.shim.as_ref().filter(|_| self.is_welcome()) else { return };
        let Some(clock) = self.beat else { return };
        let beat = ToController::Beat { shim: shim.id, clock };
        cx.send(self.config.controller, ControllerMessage::Runner(beat));
    }

    /// The shim's own word on what it has. What this runner has of it follows.
    fn greeted(&mut self, hello: &Hello, cx: &mut Context) {
        if self.shim.as_ref().is_some_and(|shim| shim.id != hello.shim) {
            self.leave_life(cx);
        }
        self.room.resize(self.config.offer.of(hello.machine));
        self.shim = Some(Shim {
            id: hello.shim,
            hello: hello.number,
            kill: hello.kill,
            memory: hello.memory,
            overran: hello.overran.clone(),
            is_leased: false,
        });
        self.take_back(hello, cx.now());
        self.let_misfits_go();
        self.compare(&hello.running, &hello.ended, cx);
        self.read_again(cx);
        self.retry.hello = false;
        self.join(cx);
    }

    /// The shim has begun another life. What of the one before had not started goes back; what had
    /// is over, and the shim knows of it what there is to know.
    fn leave_life(&mut self, cx: &mut Context) {
        self.beat = None;
        // What is ahead may have started: of that, nobody says that it goes back.
        self.ahead = Ahead::default();
        for attempt in self.held.let_queue_go() {
            self.reports.add(Report::Returned(attempt));
        }
        self.send_reports(cx);
        self.held.clear();
        self.room.clear();
        self.given = 0;
        self.ungiven.clear();
    }

    /// What waits and does not fit any more would bar the way for all behind it. It is not joined
    /// with, is assigned again for that, and goes back then.
    fn let_misfits_go(&mut self) {
        let is_misfit = |held: &Held| {
            matches!(held.stage, Stage::Queued(_)) && !self.room.could_fit(&held.need)
        };
        let misfits = self.held.iter().filter(|(_, held)| is_misfit(held));
        let misfits: Vec<AttemptId> = misfits.map(|(attempt, _)| attempt).collect();
        for attempt in misfits {
            self.held.remove(attempt);
        }
    }

    /// What both have of this life is made the same.
    fn compare(&mut self, running: &[Running], ended: &[AttemptId], cx: &mut Context) {
        for Running { attempt, resources, gpus } in running {
            if let Some(held) = self.held.get(*attempt) {
                // That it has started may have been said to nobody.
                if matches!(held.stage, Stage::Given) {
                    self.held.set(*attempt, Stage::Running);
                }
                continue;
            }
            // What is of a version that is not understood here is not to be crowded: nothing starts
            // beside it.
            let need: Resources =
                serde_json::from_str(resources).unwrap_or_else(|_| self.room.capacity().clone());
            self.room.occupy(&need, gpus);
            self.given += 1;
            self.held.add(*attempt, Arc::new(need), Stage::Running);
            if let Some(held) = self.held.get_mut(*attempt) {
                held.gpus.clone_from(gpus);
            }
        }
        for attempt in ended {
            if !self.held.contains(*attempt) {
                self.held.add(*attempt, Arc::default(), Stage::Ended(None));
            }
        }
        let known = running.iter().map(|it| it.attempt).chain(ended.iter().copied());
        let known: BTreeSet<AttemptId> = known.collect();
        let (mut kills, mut gone) = (Vec::new(), Vec::new());
        self.ungiven.clear();
        for (attempt, held) in self.held.iter().filter(|(_, held)| held.has_room()) {
            match (&held.stage, held.kill) {
                (_, None) if known.contains(&attempt) => {}
                (_, Some(now)) if known.contains(&attempt) => kills.push(KillRun { attempt, now }),
                (Stage::Given, _) => {
                    self.ungiven.insert(attempt);
                }
                _ => gone.push(attempt),
            }
        }
        for attempt in gone {
            self.tally.vanished += 1;
            self.end_here(attempt, End::Lost, cx.now());
        }
        if !kills.is_empty() {
            self.tell_shim(Call::Kill(kills), cx);
        }
    }

    /// Nothing of an attempt is left. Said again after each hello.
    fn has_ended(&mut self, attempt: AttemptId, finish: Finish, cx: &mut Context) {
        let held = self.held.get(attempt);
        let is_news = held.is_some_and(|held| !matches!(held.stage, Stage::Ended(Some(_))));
        if !is_news {
            self.tally.needless += 1;
        } else if self.end(attempt, finish, cx.now()) {
            self.unneeded.push(attempt);
        }
    }

    /// The shim need not keep the ends that nobody wants to hear of.
    pub(super) fn forget_unneeded(&mut self, cx: &mut Context) {
        if !self.unneeded.is_empty() {
            let unneeded = std::mem::take(&mut self.unneeded);
            self.tell_shim(Call::Forget(unneeded), cx);
        }
    }
}
