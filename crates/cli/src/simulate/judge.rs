//! What is demanded of every run.
//!
//! While things break: no agent panics, no message is one that cannot be read, and what kinds
//! promise [always](crate::Program::always) holds. When all is mended: every node comes back, every
//! agent gets to the end of its mailbox, and what must [go on](crate::Program::progress) does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dx_agents::runtime::Reason;
use dx_agents::{AgentId, NodeId};
use dx_sim::{Failure, FaultPlan, Sim};

use super::World;
use super::rules::{Progress, Rule};

/// Dead letters that no fault explains: somebody sends what nobody can read.
const UNEXPECTED: [Reason; 4] =
    [Reason::WrongType, Reason::Malformed, Reason::Unsendable, Reason::Forged];

/// The rule that agents do not panic.
pub const NO_PANIC: &str = dx_sim::PANIC;

/// The rule about what cannot be read.
pub const READABLE: &str = "every message can be read by whom it reaches";

/// The rule that nodes come back.
pub const ALL_UP: &str = "when all is mended, every node comes up";

/// The rule against starvation, and against deadlocks.
pub const EMPTIED: &str = "when all is mended, every agent gets to the end of its mailbox";

/// Time for progress, beyond what nodes need to find each other again. A guess: ten times the
/// longest deadline of our own kinds.
const PATIENCE: Duration = Duration::from_mins(2);

impl World {
    /// Has a new world look at what must always hold.
    pub(super) fn judged(&self, sim: &mut Sim) {
        // Judged here, where agents are called what people call them.
        sim.allow_panics();
        sim.always(NO_PANIC, |sim| match sim.panicked() {
            None => Ok(()),
            Some((who, text)) => Err(format!("agent {}: {text}", crate::console::called(who))),
        });
        sim.always(READABLE, |sim| {
            match UNEXPECTED.into_iter().find(|reason| sim.dead_letters(*reason) > 0) {
                None => Ok(()),
                Some(reason) => Err(format!("there is a dead letter: {}", reason.name())),
            }
        });
        for rule in self.rules.of(&self.kinds()) {
            match rule {
                Rule::Always(name, begin) => sim.always(name.clone(), begin()),
                Rule::Sometimes(name, begin) => sim.sometimes_holds(name, begin()),
                Rule::Progress(_) => {}
            }
        }
    }

    /// Lets things break for their time, mends everything, and demands progress.
    ///
    /// # Errors
    /// What does not hold.
    pub fn play(&self, sim: &mut Sim) -> Result<(), Failure> {
        let setup = &self.setup;
        if !setup.faults.is_none() {
            // Drawn in full, so that a kind is in the same seeds whatever others are left out.
            let mut plan = FaultPlan::swarm(sim.choices_mut(), setup.lasts, setup.most_down);
            plan.kinds.retain(|kind| setup.faults.includes(*kind));
            sim.unleash(plan);
        }
        sim.run_for(setup.lasts)?;
        sim.heal();
        let timing = &setup.cluster.timing;
        let within = PATIENCE + timing.silence + 2 * setup.cluster.dialing.backoff_max;
        let nodes: Vec<NodeId> = setup.cluster.nodes.iter().map(|node| node.id).collect();
        sim.run_until(ALL_UP, within, |sim| nodes.iter().all(|node| sim.is_up(*node)))?;
        let mut busy: BTreeSet<AgentId> = setup.cluster.agents.iter().map(|it| it.id).collect();
        sim.run_until(EMPTIED, within, |sim| {
            busy.retain(|agent| sim.waiting(*agent) > 0);
            busy.is_empty()
        })?;
        for rule in self.rules.of(&self.kinds()) {
            if let Rule::Progress(progress) = rule {
                goes_on(sim, progress, within)?;
            }
        }
        Ok(())
    }
}

/// Every count becomes greater.
fn goes_on(sim: &mut Sim, progress: &Progress, within: Duration) -> Result<(), Failure> {
    let mut stuck: BTreeMap<AgentId, u64> = (progress.count)(sim);
    sim.run_until(&progress.name, within, |sim| {
        if stuck.is_empty() {
            return true;
        }
        let now = (progress.count)(sim);
        stuck.retain(|agent, before| now.get(agent).is_some_and(|now| now <= before));
        stuck.is_empty()
    })
}
