//! How agents begin, fail, begin anew and end.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::cell::panic_text;
use crate::event::{Down, Event, Recovered};
use crate::id::AgentId;
use crate::runtime::alarms::Alarm;
use crate::runtime::birth::Birth;
use crate::runtime::mailbox::{Discarded, Taken};
use crate::runtime::resident::Resident;
use crate::runtime::supervise::Condition;
use crate::runtime::thread;
use crate::runtime::worker::Worker;
use crate::spawn::Spawn;
use crate::spec::{Placement, Restart};

impl Worker {
    /// Starts an agent that another one spawned.
    pub(super) fn spawn(&mut self, id: AgentId, spawn: &Spawn) {
        let birth = Birth { id, spawn: spawn.clone(), recovered: Recovered::default() };
        // What makes it is not this worker's code, and other agents live here.
        let born = catch_unwind(AssertUnwindSafe(|| match spawn.0.options.placement {
            Placement::Thread { pin } => {
                thread::spawn_own(&self.shared, birth, pin);
            }
            // While the node stops the pool may have ended.
            Placement::Pool if self.is_own && !self.shared.is_stopping() => {
                let worker = self.shared.pool_worker();
                if let Some(resident) = birth.settle(&self.shared, worker) {
                    worker.order(|incoming| incoming.arriving.push(resident.into()));
                }
            }
            Placement::Pool => {
                if let Some(resident) = birth.settle(&self.shared, &self.handle) {
                    self.settle(resident);
                }
            }
        }));
        if let Err(panic) = born {
            let text = panic_text(&*panic);
            tracing::error!(agent = %id, kind = spawn.kind(), "an agent was not made: {text}");
        }
    }

    /// The agent panicked.
    pub(super) fn failed(&mut self, resident: &mut Resident, text: &str) {
        let (id, kind) = (resident.id(), &resident.plan.kind);
        let now = self.shared.now();
        let failures = resident.failures.get_or_insert_default();
        let wait = failures.failed(&resident.plan.options.restart, now);
        // A new one would not know that it is to stop.
        let wait = wait.filter(|_| !self.shared.is_stopping());
        let next = if wait.is_some() { "it starts anew" } else { "it stays down" };
        tracing::error!(agent = %id, %kind, "an agent panicked, {next}: {text}");
        match wait {
            None => self.end(resident, Down::Panicked),
            Some(wait) => self.restart_after(resident, wait),
        }
    }

    /// The agent stopped by itself.
    pub(super) fn stopped(&mut self, resident: &mut Resident) {
        if resident.condition != Condition::Working {
            // It said so twice in one step.
            return;
        }
        match resident.plan.options.restart {
            Restart::Always { backoff } if !self.shared.is_stopping() => {
                self.restart_after(resident, backoff);
            }
            _ => self.end(resident, Down::Stopped),
        }
    }

    fn restart_after(&mut self, resident: &mut Resident, wait: std::time::Duration) {
        resident.condition = Condition::Restarting;
        self.unwatch_all(resident);
        let discarded = resident.mailbox.discard();
        self.tell_all(resident.id(), discarded, Down::Restarted);
        let at = self.shared.now() + wait;
        self.alarms.set(at, resident.slot, resident.id(), Alarm::Restart);
    }

    /// The wait is over: a new agent takes the place of the one that failed.
    pub(super) fn revive(&mut self, slot: u32, mut resident: Box<Resident>) {
        let plan = Arc::clone(&resident.plan);
        let made = catch_unwind(AssertUnwindSafe(|| {
            let agent = (plan.factory)();
            let state = agent.shared_state();
            (agent, state)
        }));
        let (agent, state) = match made {
            Ok(made) => made,
            Err(panic) => {
                self.failed(&mut resident, &panic_text(&*panic));
                self.end_turn(slot, resident, false);
                return;
            }
        };
        if let (Some(stage), Some(state)) = (&resident.stage, state) {
            stage.restart(state);
        }
        resident.cell.restart(agent, self.cx.effects());
        self.carry_out(&mut resident);
        resident.condition = Condition::Working;
        resident.mailbox.counts.restarts.fetch_add(1, Ordering::Relaxed);
        let recovered = match &self.shared.journal {
            Some(journal) => journal.recall(resident.id()),
            None => Recovered::default(),
        };
        self.step(&mut resident, Event::Start(Box::new(recovered)));
        let more = resident.mailbox.wake();
        self.end_turn(slot, resident, more);
    }

    /// The agent has ended for good.
    pub(super) fn end(&mut self, resident: &mut Resident, why: Down) {
        resident.condition = Condition::Lingering(why);
        self.unwatch_all(resident);
        let discarded = resident.mailbox.close();
        self.shared.routes.remove(resident.id());
        self.routes.forget(resident.id());
        self.tell_all(resident.id(), discarded, why);
    }

    /// The time to stop is over: whoever is still there ends.
    pub(super) fn kill_all(&mut self) {
        for at in 0..self.residents.len() {
            // One that only waits for the journal has ended, and its watchers know.
            if let Some(mut resident) = self.residents[at].take()
                && !matches!(resident.condition, Condition::Lingering(_))
            {
                tracing::warn!(agent = %resident.id(), "an agent did not stop in time");
                self.end(&mut resident, Down::Stopped);
            }
        }
    }

    fn tell_all(&mut self, id: AgentId, discarded: Discarded, why: Down) {
        for watcher in self.shared.bury(id, discarded, why) {
            self.shared.tell_down(watcher, id, why);
        }
    }

    /// The agent wants to hear of the end of `who`.
    pub(super) fn watch(&self, resident: &mut Resident, who: AgentId) {
        if resident.condition == Condition::Working {
            resident.watching.get_or_insert_default().insert(who);
            self.shared.watch(resident.id(), who, true);
        }
    }

    /// It does not any more: it has ended, or a new one takes its place, which asks for itself.
    fn unwatch_all(&self, resident: &mut Resident) {
        for who in resident.watching.take().into_iter().flat_map(|watching| *watching) {
            self.shared.watch(resident.id(), who, false);
        }
    }

    /// The agent cannot go on in the middle of a turn. What it has not come to goes back to its
    /// mailbox if it only waits for the journal, and is given up if it failed or ended.
    pub(super) fn leave_unheard(&mut self, resident: &mut Resident, taken: &mut Taken) {
        let Some(why) = resident.condition.down() else {
            resident.mailbox.put_back(taken);
            return;
        };
        taken.system.clear();
        let messages = std::mem::take(&mut taken.messages);
        let discarded = Discarded { messages, waiting: BTreeSet::new(), watchers: BTreeSet::new() };
        self.shared.bury(resident.id(), discarded, why);
    }
}
