//! What goes wrong, and when: faults drawn from the run's choices.
//!
//! Not every run has every kind of fault. Each draws its own mix, and how often and how long, over
//! several powers of ten: a run with nothing but rare pauses finds what one with everything at
//! once hides (Groce et al., "Swarm testing", ISSTA 2012).
//!
//! The time is divided into slots that do not depend on the mix, and whether a slot has a fault is
//! an [event](Choices::event) of its own, with all that says how it is: so each can be left out of
//! a tape, and the others stay what they are and when they are.

mod fault;

use std::time::Duration;

use dx_agents::NodeId;
use serde::{Deserialize, Serialize};

use self::fault::Fault;
use crate::choices::Choices;
use crate::delay::Delay;
use crate::failure::Failure;
use crate::network::Pipes;
use crate::number::whole;
use crate::schedule::{Act, Due};
use crate::sim::{CLIENTS, Sim};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A node crashes at some point of its work, and restarts.
    Crash,
    /// A node's process stands still for a while.
    Pause,
    /// A node's machine sleeps for a while.
    Suspend,
    /// The nodes fall into two groups.
    Partition,
    /// One node does not reach another, which reaches it.
    OneWay,
    /// Two groups that only one node reaches both of.
    Bridge,
    /// Nothing passes from one node to another for a while.
    Clog,
    /// The session of two nodes ends.
    SessionLoss,
    /// A node is slow for a while.
    Slow,
    /// A node's clock runs at another speed for a while.
    Drift,
    /// A node's disk is full for a while.
    DiskFull,
    /// A node's disk fails once, and the node with it.
    DiskFailure,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Crash,
        Self::Pause,
        Self::Suspend,
        Self::Partition,
        Self::OneWay,
        Self::Bridge,
        Self::Clog,
        Self::SessionLoss,
        Self::Slow,
        Self::Drift,
        Self::DiskFull,
        Self::DiskFailure,
    ];

    /// Whether it only concerns what is between nodes.
    #[must_use]
    pub fn is_of_network(self) -> bool {
        use FaultKind::{Bridge, Clog, OneWay, Partition, SessionLoss};
        matches!(self, Partition | OneWay | Bridge | Clog | SessionLoss)
    }
}

/// What goes wrong in a run's first phase, the one for safety.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultPlan {
    /// How long it lasts.
    pub lasts: Duration,
    /// What may happen.
    pub kinds: Vec<FaultKind>,
    /// The mean time between two faults.
    pub every: Duration,
    /// The mean time until what was broken is mended.
    pub mended_after: Duration,
    /// Nodes that may be down or standing still at the same time.
    pub most_down: usize,
    /// How long a message takes meanwhile.
    pub delay: Delay,
    /// The chance that a datagram is lost.
    pub loss: f64,
}

/// Slots of a plan, in each of which there is a fault or none. As short as the shortest mean time
/// between two faults that a [mix](FaultPlan::swarm) has.
pub const SLOTS: u32 = 1000;

/// Slots of a plan where the order of what is due is a choice: few enough to try them all.
pub const FEW_SLOTS: u32 = 4;

/// What is planned, and how far it has come.
#[derive(Debug, Default)]
pub(crate) struct Storm {
    /// Which plan it is: what is due of an earlier one does not count.
    turn: u32,
    /// When it began.
    from: u64,
    /// How long a slot is, in nanoseconds.
    slot: u64,
    faults: Vec<Fault>,
}

impl FaultPlan {
    /// A mix of faults drawn from `choices`, for a run that lasts so long. At most `most_down`
    /// nodes are down at once.
    pub fn swarm(choices: &mut Choices, lasts: Duration, most_down: usize) -> Self {
        if choices.window().is_some() {
            return Self::every_kind(lasts, most_down);
        }
        let kinds =
            FaultKind::ALL.into_iter().filter(|_| choices.choose("kind-enabled", 2) == 1).collect();
        let (short, long) = (lasts.as_secs_f64() / f64::from(SLOTS), lasts.as_secs_f64() / 4.0);
        let seconds = |seconds: f64| Duration::from_nanos(whole(seconds * 1e9));
        let every = seconds(choices.log_uniform("fault-every", short, long));
        let mended_after = seconds(choices.log_uniform("mended-after", short, long));
        let mean = seconds(choices.log_uniform("mean-delay", 20e-6, 20e-3));
        let delay = Delay::Exponential { least: mean / 4, mean };
        let loss = if choices.choose("loss-enabled", 2) == 1 {
            choices.log_uniform("loss", 0.001, 0.3)
        } else {
            0.0
        };
        Self { lasts, kinds, every, mended_after, most_down, delay, loss }
    }

    /// All kinds, as often as not in each of [`FEW_SLOTS`]: what a systematic search begins with, and
    /// whoever wants to know more than a search can try names the kinds.
    fn every_kind(lasts: Duration, most_down: usize) -> Self {
        let slot = lasts / FEW_SLOTS;
        Self {
            lasts,
            kinds: FaultKind::ALL.to_vec(),
            every: 2 * slot,
            mended_after: slot,
            most_down,
            delay: crate::config::Network::default().delay,
            loss: 0.0,
        }
    }

    /// The length of a slot, in nanoseconds.
    fn slot(&self, slots: u32) -> u64 {
        // A plan that is longer than any mix is has more slots, not longer ones.
        let slot = (self.lasts / slots).min(self.every).max(Duration::from_micros(1));
        u64::try_from(slot.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Sim {
    /// Draws a [mix of faults](FaultPlan::swarm), lets it rage for its time, and mends everything:
    /// from then on progress can be demanded.
    ///
    /// # Errors
    /// If something that must [always](Self::always) hold does not.
    pub fn torment(&mut self, lasts: Duration, most_down: usize) -> Result<FaultPlan, Failure> {
        let plan = FaultPlan::swarm(&mut self.choices, lasts, most_down);
        self.unleash(plan.clone());
        self.run_for(lasts)?;
        self.heal();
        Ok(plan)
    }

    /// From now on things go wrong, as planned.
    pub fn unleash(&mut self, plan: FaultPlan) {
        self.config.network.delay = plan.delay;
        self.config.network.loss = plan.loss;
        if self.is_of_bytes() {
            self.config.network.pipes = Pipes::swarm(&mut self.choices);
        }
        self.faults_until = self.after(plan.lasts);
        let slots = if self.choices.window().is_some() { FEW_SLOTS } else { SLOTS };
        let (turn, from, slot) = (self.storm.turn + 1, self.now, plan.slot(slots));
        self.storm = Storm { turn, from, slot, faults: Vec::new() };
        self.plan = Some(plan);
        self.act_at(from, Act::Slot { turn, number: 0 });
    }

    /// Nothing goes wrong any more: all is mended, and all nodes are up or about to be. Messages take
    /// as long as they are configured to.
    pub fn heal(&mut self) {
        self.plan = None;
        self.storm.turn += 1;
        self.config.network.delay = self.calm;
        self.config.network.loss = 0.0;
        self.config.network.pipes = Pipes::default();
        self.mend_all();
        self.twins.join();
        for place in 0..self.nodes.len() as u32 {
            self.put_right(place);
            self.resume(place);
            let node = &mut self.nodes[place as usize];
            node.armed = None;
            if !node.is_up() {
                let id = node.id;
                self.restart_node(id, Duration::ZERO);
            }
        }
        self.unclog_all();
    }

    /// How often each kind of fault was injected.
    #[must_use]
    pub fn faults(&self) -> Vec<(FaultKind, u64)> {
        let counted = FaultKind::ALL.into_iter().zip(self.faults);
        counted.filter(|(_, count)| *count > 0).collect()
    }

    pub(crate) fn fault_due(&mut self, act: Act) {
        match act {
            Act::Slot { turn, number } if turn == self.storm.turn => self.open_slot(number),
            Act::Inject { turn, fault } if turn == self.storm.turn => self.inject(fault),
            Act::Slot { .. } | Act::Inject { .. } => {}
            Act::MendAll => self.mend_all(),
            Act::PutRight(place) => self.put_right(place),
        }
    }

    /// A slot begins: perhaps there is a fault in it.
    fn open_slot(&mut self, number: u32) {
        let Some(plan) = &self.plan else { return };
        let Storm { turn, from, slot, .. } = self.storm;
        let begins = from.saturating_add(slot.saturating_mul(u64::from(number)));
        let every = plan.every.as_nanos() as f64;
        let likely = if plan.kinds.is_empty() { 0.0 } else { slot as f64 / every.max(1.0) };
        // Asked also where it cannot be: what a tape has of later slots keeps its number.
        let likely = likely.clamp(f64::MIN_POSITIVE, 1.0);
        let nodes: Vec<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        let fault = self.choices.event("fault", likely, |how| Fault::draw(how, plan, slot, &nodes));
        if let Some(fault) = fault {
            let at = begins.saturating_add(fault.offset);
            self.storm.faults.push(fault);
            let fault = self.storm.faults.len() as u32 - 1;
            if at < self.faults_until {
                self.act_at(at, Act::Inject { turn, fault });
            }
        }
        let next = begins.saturating_add(slot);
        if next < self.faults_until {
            self.act_at(next, Act::Slot { turn, number: number + 1 });
        }
    }

    /// A node is as fast, as exact and as roomy as it was.
    fn put_right(&mut self, place: u32) {
        let now = self.now;
        let node = &mut self.nodes[place as usize];
        node.slowness = 1;
        node.clock.drift(0, now);
        node.disk.heal();
        self.pace_has_changed(place);
    }

    /// Whether one more node may be taken away.
    pub(crate) fn may_fall(&self, kind: FaultKind) -> bool {
        use FaultKind::{Crash, DiskFailure, Pause, Suspend};
        let most = self.plan.as_ref().map_or(0, |plan| plan.most_down);
        let servers = self.nodes.iter().filter(|node| node.id.0 < CLIENTS);
        let down = servers.filter(|node| !node.is_running() || node.armed.is_some()).count();
        !matches!(kind, Crash | Pause | Suspend | DiskFailure) || down < most
    }

    pub(crate) fn restart_later(&mut self, node: NodeId, lasts: Duration) {
        self.revive_at.insert(self.node_places[&node], lasts);
        let place = self.node_places[&node];
        if !self.nodes[place as usize].is_up() {
            self.revive_crashed(place);
        }
    }

    /// A node that crashed comes back, if it is meant to.
    pub(crate) fn revive_crashed(&mut self, place: u32) {
        if let Some(lasts) = self.revive_at.remove(&place) {
            let id = self.nodes[place as usize].id;
            self.restart_node(id, lasts);
        }
    }

    pub(crate) fn put_right_later(&mut self, node: NodeId, lasts: Duration) {
        self.act_later(Act::PutRight(self.node_places[&node]), lasts);
    }

    pub(crate) fn act_later(&mut self, act: Act, lasts: Duration) {
        self.act_at(self.after(lasts), act);
    }

    fn act_at(&mut self, at: u64, act: Act) {
        self.schedule.add(at, Due::Fault(act), &mut self.choices);
    }
}
