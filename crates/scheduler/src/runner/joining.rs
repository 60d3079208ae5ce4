//! How a runner and its controller come to count with each other, and come back after either was
//! away.

use std::collections::BTreeSet;
use std::sync::Arc;

use dx_agents::Context;

use crate::id::{AttemptId, ShimId, Term};
use crate::message::{ControllerMessage, Join, Report, ToController};
use crate::processor::{Call, KillRun};

use super::held::Stage;
use super::{REJOIN, REJOIN_AFTER, Runner};

/// How a runner stands with its controller.
#[derive(Clone, Copy, Debug)]
pub enum Standing {
    /// There is nothing to join with, or nobody to join.
    Away,
    /// It has said what it holds.
    Joining,
    /// The controller counts with it.
    Welcome {
        /// In this term.
        term: Term,
        /// Leases are as long, in nanoseconds.
        lease: u64,
    },
}

impl Runner {
    /// How long a lease is, if this is said by the controller that counts with this node, and of
    /// the life that it counts with.
    pub(super) fn is_current(&mut self, term: Term, shim: Option<ShimId>) -> Option<u64> {
        let life = self.shim.as_ref().map(|shim| shim.id);
        let is_of_it = shim.is_none() || shim == life;
        match self.standing {
            Standing::Welcome { term: current, lease } if current == term && is_of_it => {
                Some(lease)
            }
            _ => {
                self.tally.stale += 1;
                None
            }
        }
    }

    /// Whether it is the answer to the latest join.
    pub(super) fn is_answer(&mut self, term: Term, join: u64, shim: ShimId) -> bool {
        let is_of_it = self.shim.as_ref().is_some_and(|it| it.id == shim);
        let is_awaited = matches!(self.standing, Standing::Joining) && join == self.joined;
        let is_answer = is_awaited && is_of_it && term >= self.term;
        self.tally.stale += u64::from(!is_answer);
        is_answer
    }

    /// Says what is here. From now on nothing is heeded but the answer.
    pub(super) fn join(&mut self, cx: &mut Context) {
        self.standing = Standing::Away;
        self.reports.clear();
        let Some(shim) = &self.shim else { return };
        self.standing = Standing::Joining;
        // Larger than in an earlier life of this agent, whose answers may still come.
        self.joined = cx.now().0.max(self.joined + 1);
        let holds = self.held.iter().filter(|(_, held)| !held.is_doomed);
        let capacity = serde_json::to_string(self.room.capacity()).expect("its keys are texts");
        let join = Join {
            number: self.joined,
            shim: shim.id,
            capacity: Arc::from(capacity),
            kill: shim.kill,
            memory: shim.memory,
            holds: holds.map(|(attempt, _)| attempt).collect(),
            overran: shim.overran.clone(),
        };
        cx.send(self.config.controller, ControllerMessage::Runner(ToController::Join(join)));
        let longer = 1_u32.checked_shl(self.retry.unanswered).unwrap_or(u32::MAX);
        cx.set_timer(REJOIN, REJOIN_AFTER.0.saturating_mul(longer).min(REJOIN_AFTER.1));
        self.retry.unanswered += 1;
    }

    /// The controller has not answered. It, or what carries messages to it, may have lost the join
    /// without a session that ended.
    pub(super) fn join_again(&mut self, cx: &mut Context) {
        if matches!(self.standing, Standing::Joining) {
            self.tally.unanswered += 1;
            self.join(cx);
        }
    }

    pub(super) fn asked_who(&mut self, term: Term, cx: &mut Context) {
        if term < self.term {
            self.tally.stale += 1;
            return;
        }
        self.term = term;
        self.join(cx);
    }

    /// The controller counts with this node, and with what it keeps. It hears all that it may have
    /// missed.
    pub(super) fn welcomed(&mut self, standing: Standing, keep: &[AttemptId], cx: &mut Context) {
        self.standing = standing;
        self.retry.unanswered = 0;
        cx.cancel(REJOIN);
        if let Standing::Welcome { term, .. } = standing {
            self.term = term;
        }
        let keep: BTreeSet<AttemptId> = keep.iter().copied().collect();
        let (kept, doomed): (Vec<AttemptId>, _) =
            self.held.iter().map(|(attempt, _)| attempt).partition(|it| keep.contains(it));
        self.doom(doomed, cx);
        for attempt in kept {
            let Some(held) = self.held.get(attempt) else { continue };
            match &held.stage {
                Stage::Given => self.reports.add(Report::Starting(attempt)),
                Stage::Running => self.reports.add(Report::Started(attempt)),
                Stage::Ended(Some(finish)) => {
                    self.reports.add(Report::Ended(attempt, (**finish).clone()));
                }
                Stage::Queued(_) | Stage::Ahead(_) | Stage::Ended(None) => {}
            }
        }
        // The shim's beat may have come too early to be passed on.
        self.pass_beat_on(cx);
    }

    /// Ends and forgets what the controller does not have.
    fn doom(&mut self, attempts: Vec<AttemptId>, cx: &mut Context) {
        let (mut kills, mut forgotten) = (Vec::new(), Vec::new());
        for attempt in attempts {
            let Some(held) = self.held.get_mut(attempt) else { continue };
            match held.stage {
                Stage::Ahead(_) | Stage::Given | Stage::Running => {
                    held.is_doomed = true;
                    held.kill = Some(true);
                    kills.push(KillRun { attempt, now: true });
                }
                Stage::Queued(_) | Stage::Ended(_) => {
                    self.held.remove(attempt);
                    forgotten.push(attempt);
                }
            }
        }
        if !kills.is_empty() {
            self.tell_shim(Call::Kill(kills), cx);
        }
        if !forgotten.is_empty() {
            self.tell_shim(Call::Forget(forgotten), cx);
        }
    }

    /// The controller gave this life up: what is left of it must end, and nothing of it may begin.
    pub(super) fn fenced(&mut self, term: Term, shim: ShimId, cx: &mut Context) {
        let is_of_it = self.shim.as_ref().is_some_and(|it| it.id == shim);
        if !is_of_it || term < self.term {
            self.tally.stale += 1;
            return;
        }
        self.term = term;
        self.standing = Standing::Away;
        self.reports.clear();
        self.held.let_queue_go();
        self.tell_shim(Call::Abandon { shim: shim.incarnation }, cx);
    }

    pub(super) fn granted(&mut self, term: Term, lease: u64, clock: u64, cx: &mut Context) {
        if let Some(shim) = &mut self.shim {
            shim.is_leased = true;
        }
        self.ahead.is_refused = false;
        self.tell_shim(Call::Renew { clock, lease, term }, cx);
        self.give_again(cx);
    }

    /// Says again what was not heard, to whoever can hear now.
    pub(super) fn say_again(&mut self, join: bool, hello: bool, cx: &mut Context) {
        if join && std::mem::take(&mut self.retry.join) {
            self.join(cx);
        }
        if hello && std::mem::take(&mut self.retry.hello) {
            self.say_hello(cx);
        }
    }
}
