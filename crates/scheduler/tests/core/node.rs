//! A runner and its shim that do as they should.

use std::collections::BTreeMap;

use dx_scheduler::end::{End, Finish};
use dx_scheduler::id::AttemptId;
use dx_scheduler::message::{Report, ToController, ToRunner, Waiting};

use crate::desk::{LEASE, ended, shim};

/// What a node has of an attempt.
#[derive(Clone, PartialEq)]
pub enum Held {
    Queued,
    Running,
    Ended(Finish),
}

/// Whose a slot is: see the runner's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slot {
    Own,
    Lent,
    Wanted,
}

/// A runner and its shim.
pub struct Node {
    pub id: u32,
    pub life: u64,
    pub cpus: u32,
    /// The session is up: what is said arrives.
    pub is_linked: bool,
    pub is_welcome: bool,
    /// Until when it may run anything.
    pub lease: u64,
    pub held: BTreeMap<AttemptId, Held>,
    /// Of what waits, or waited, for jobs: in which round, and whose its slot is.
    pub slots: BTreeMap<AttemptId, (u32, Slot)>,
    pub order: Vec<AttemptId>,
    /// Reports that are on their way.
    pub out: Vec<ToController>,
}

impl Node {
    pub fn hear(&mut self, said: Vec<ToRunner>) {
        for message in said {
            self.hear_one(message);
        }
    }

    fn hear_one(&mut self, message: ToRunner) {
        match message {
            ToRunner::Who { .. } => self.is_welcome = false,
            ToRunner::Welcome { shim: of, keep, .. } if of == shim(self.id, self.life) => {
                self.is_welcome = true;
                self.held.retain(|attempt, _| keep.contains(attempt));
                self.order.retain(|attempt| keep.contains(attempt));
                self.slots.retain(|attempt, _| keep.contains(attempt));
                let said = self.held.iter().filter_map(|(attempt, held)| match held {
                    Held::Queued => None,
                    Held::Running => Some(Report::Started(*attempt)),
                    Held::Ended(finish) => Some(Report::Ended(*attempt, finish.clone())),
                });
                let reports: Vec<Report> = said.collect();
                self.say(reports);
            }
            ToRunner::Fenced { shim: of, .. } if of == shim(self.id, self.life) => self.dies(),
            _ if !self.is_welcome => {}
            ToRunner::Granted { clock, .. } => self.lease = self.lease.max(clock + LEASE),
            ToRunner::Assign { runs, .. } => {
                for run in runs {
                    for index in run.first..run.first + run.count {
                        let attempt = run.job.task(index).attempt(run.number);
                        assert!(!self.held.contains_key(&attempt), "{attempt} came twice");
                        self.held.insert(attempt, Held::Queued);
                        self.order.push(attempt);
                    }
                }
            }
            ToRunner::Retract { attempts, .. } => {
                for attempt in attempts {
                    if self.held.get(&attempt) == Some(&Held::Queued) {
                        self.forget(attempt);
                        self.say(vec![Report::Returned(attempt)]);
                    }
                }
            }
            ToRunner::Kill { attempts, .. } => {
                for kill in attempts {
                    if matches!(self.held.get(&kill.attempt), Some(Held::Queued | Held::Running)) {
                        self.ends(kill.attempt, ended(End::Cancelled));
                    }
                }
            }
            ToRunner::Recorded { attempts, .. } => {
                for attempt in attempts {
                    self.forget(attempt);
                }
            }
            ToRunner::Waits { waits, .. } => waits.into_iter().for_each(|it| self.told(it)),
            ToRunner::Welcome { .. } | ToRunner::Fenced { .. } | ToRunner::DropLogs { .. } => {}
        }
    }

    pub fn slot(&self, attempt: AttemptId) -> (u32, Slot) {
        self.slots.get(&attempt).copied().unwrap_or((0, Slot::Own))
    }

    /// Something waits, or has waited: see the runner's.
    fn told(&mut self, Waiting { attempt, round, is_over }: Waiting) {
        if self.held.get(&attempt) != Some(&Held::Running) {
            return;
        }
        let (before, slot) = self.slot(attempt);
        match (slot, is_over) {
            (Slot::Own, false) if round > before => {
                self.slots.insert(attempt, (round, Slot::Lent));
            }
            (Slot::Own, true) if round == before => self.say(vec![Report::Resumed(attempt, round)]),
            (Slot::Own | Slot::Lent, true) if round >= before => {
                self.slots.insert(attempt, (round, Slot::Wanted));
            }
            _ => {}
        }
    }

    /// How many of what runs have, or want, a slot.
    fn with(&self, slot: Slot) -> usize {
        self.running().into_iter().filter(|it| self.slot(*it).1 == slot).count()
    }

    fn forget(&mut self, attempt: AttemptId) {
        self.slots.remove(&attempt);
        self.held.remove(&attempt);
        self.order.retain(|it| *it != attempt);
    }

    fn say(&mut self, reports: Vec<Report>) {
        if !reports.is_empty() {
            self.out.push(ToController::Reports { shim: shim(self.id, self.life), reports });
        }
    }

    pub fn running(&self) -> Vec<AttemptId> {
        let running = self.held.iter().filter(|(_, held)| **held == Held::Running);
        running.map(|(attempt, _)| *attempt).collect()
    }

    /// What is first starts, while there is room. Every task needs one processor.
    pub fn start(&mut self) {
        if self.lease == 0 || !self.is_welcome {
            return;
        }
        for attempt in self.order.clone() {
            let (round, slot) = self.slot(attempt);
            if slot == Slot::Wanted && self.with(Slot::Own) < self.cpus as usize {
                self.slots.insert(attempt, (round, Slot::Own));
                self.say(vec![Report::Resumed(attempt, round)]);
            }
        }
        for attempt in self.order.clone() {
            if self.with(Slot::Own) + self.with(Slot::Wanted) >= self.cpus as usize {
                return;
            }
            if self.held.get(&attempt) == Some(&Held::Queued) {
                self.held.insert(attempt, Held::Running);
                self.say(vec![Report::Starting(attempt), Report::Started(attempt)]);
            }
        }
    }

    pub fn ends(&mut self, attempt: AttemptId, finish: Finish) {
        self.held.insert(attempt, Held::Ended(finish.clone()));
        self.slots.remove(&attempt);
        if self.is_welcome {
            self.say(vec![Report::Ended(attempt, finish)]);
        }
    }

    /// Its shim has another life: what ran is lost, and ends are kept.
    pub fn dies(&mut self) {
        self.life += 1;
        (self.lease, self.is_welcome) = (0, false);
        self.out.clear();
        self.held.retain(|_, held| *held != Held::Queued);
        self.slots.clear();
        for held in self.held.values_mut() {
            if *held == Held::Running {
                *held = Held::Ended(ended(End::Lost));
            }
        }
        let held = &self.held;
        self.order.retain(|attempt| held.contains_key(attempt));
    }
}
