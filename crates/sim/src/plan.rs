//! What goes wrong, and when: faults drawn from the run's choices.
//!
//! Not every run has every kind of fault. Each draws its own mix, and how often and how long, over
//! several powers of ten: a run with nothing but rare pauses finds what one with everything at
//! once hides (Groce et al., "Swarm testing", ISSTA 2012).

use std::time::Duration;

use dx_agents::NodeId;
use serde::{Deserialize, Serialize};

use crate::choices::Choices;
use crate::delay::Delay;
use crate::failure::Failure;
use crate::node::CrashPoint;
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

impl FaultPlan {
    /// A mix of faults drawn from `choices`, for a run that lasts so long. At most `most_down`
    /// nodes are down at once.
    pub fn swarm(choices: &mut Choices, lasts: Duration, most_down: usize) -> Self {
        let kinds =
            FaultKind::ALL.into_iter().filter(|_| choices.choose("kind-enabled", 2) == 1).collect();
        let (short, long) = (lasts.as_secs_f64() / 1000.0, lasts.as_secs_f64() / 4.0);
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
        self.faults_until = self.after(plan.lasts);
        self.plan = Some(plan);
        self.schedule_fault();
    }

    /// Nothing goes wrong any more: all is mended, and all nodes are up or about to be.
    pub fn heal(&mut self) {
        self.plan = None;
        self.config.network.delay = crate::config::Network::default().delay;
        self.config.network.loss = 0.0;
        self.mend_all();
        for place in 0..self.nodes.len() as u32 {
            self.put_right(place);
            let node = &mut self.nodes[place as usize];
            node.armed = None;
            if !node.is_up() {
                let id = node.id;
                self.restart_node(id, Duration::ZERO);
            }
        }
    }

    /// How often each kind of fault was injected.
    #[must_use]
    pub fn faults(&self) -> Vec<(FaultKind, u64)> {
        let counted = FaultKind::ALL.into_iter().zip(self.faults);
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn schedule_fault(&mut self) {
        let Some(plan) = &self.plan else { return };
        if plan.kinds.is_empty() {
            return;
        }
        let gap = Delay::Exponential { least: Duration::ZERO, mean: plan.every };
        let after = gap.draw(&mut self.choices);
        let at = self.after(after);
        if at < self.faults_until {
            self.schedule.add(at, Due::Fault(Act::Next), &mut self.choices);
        }
    }

    pub(crate) fn fault_due(&mut self, act: Act) {
        match act {
            Act::Next => {
                let kinds = self.plan.as_ref().map(|plan| plan.kinds.clone()).unwrap_or_default();
                if let Some(kind) = self.choices.pick("fault", &kinds).copied() {
                    self.inject(kind);
                    self.schedule_fault();
                }
            }
            Act::MendAll => self.mend_all(),
            Act::PutRight(place) => self.put_right(place),
        }
    }

    /// A node is as fast, as exact and as roomy as it was.
    fn put_right(&mut self, place: u32) {
        let now = self.now;
        let node = &mut self.nodes[place as usize];
        node.slowness = 1;
        node.clock.drift(0, now);
        node.disk.heal();
    }

    fn inject(&mut self, kind: FaultKind) {
        let mended_after = self.plan.as_ref().map_or(Duration::ZERO, |plan| plan.mended_after);
        let lasts = Delay::Exponential { least: Duration::ZERO, mean: mended_after };
        let lasts = lasts.draw(&mut self.choices);
        let servers = self.servers();
        let (Some(&one), Some(&other)) =
            (self.choices.pick("one", &servers), self.choices.pick("other", &servers))
        else {
            return;
        };
        if !self.may_fall(kind) {
            return;
        }
        self.faults[kind as usize] += 1;
        match kind {
            FaultKind::Crash => {
                let point = self.crash_point();
                match point {
                    Some(point) => self.crash_node_at(one, point),
                    None => self.crash_node(one),
                }
                self.restart_later(one, lasts);
            }
            FaultKind::Pause => self.pause_node(one, lasts),
            FaultKind::Suspend => self.suspend_node(one, lasts),
            FaultKind::Partition | FaultKind::Bridge => self.divide(kind, lasts),
            FaultKind::OneWay => {
                self.cut(one, other);
                self.act_later(Act::MendAll, lasts);
            }
            FaultKind::Clog => self.clog(one, other, lasts),
            FaultKind::SessionLoss => self.lose_session(one, other),
            FaultKind::Slow => {
                let times = whole(self.choices.log_uniform("slowness", 2.0, 10_000.0)) as u32;
                self.slow_node(one, times);
                self.put_right_later(one, lasts);
            }
            FaultKind::Drift => {
                // Up to a fifth: much more than a quartz, and what a virtual machine can do.
                let ppm = (self.choices.choose("drift", 400_001) as u32).cast_signed() - 200_000;
                self.drift_clock(one, ppm);
                self.put_right_later(one, lasts);
            }
            FaultKind::DiskFull => {
                let left = self.choices.choose("room-left", 4096) as usize;
                self.fill_disk(one, left);
                self.put_right_later(one, lasts);
            }
            FaultKind::DiskFailure => {
                self.fail_next_sync(one);
                self.restart_later(one, lasts);
            }
        }
    }

    /// The nodes of the deployment.
    fn servers(&self) -> Vec<NodeId> {
        let ids = self.nodes.iter().map(|node| node.id);
        ids.filter(|id| id.0 < CLIENTS).collect()
    }

    /// Whether one more node may be taken away.
    fn may_fall(&self, kind: FaultKind) -> bool {
        use FaultKind::{Crash, DiskFailure, Pause, Suspend};
        let most = self.plan.as_ref().map_or(0, |plan| plan.most_down);
        let servers = self.nodes.iter().filter(|node| node.id.0 < CLIENTS);
        let down = servers.filter(|node| !node.is_running() || node.armed.is_some()).count();
        !matches!(kind, Crash | Pause | Suspend | DiskFailure) || down < most
    }

    /// `None`: at once.
    fn crash_point(&mut self) -> Option<CrashPoint> {
        Some(match self.choices.choose("crash-point", 6) {
            0 => return None,
            1 => CrashPoint::BeforeHandler,
            2 => CrashPoint::AfterHandler,
            3 => CrashPoint::AfterEffects(self.choices.choose("effects", 4) as u32),
            4 => CrashPoint::BeforeSync,
            _ => CrashPoint::AfterSync,
        })
    }

    /// Two groups; where there is a bridge, the first node belongs to both.
    fn divide(&mut self, kind: FaultKind, lasts: Duration) {
        let nodes: Vec<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        let mut groups = [Vec::new(), Vec::new()];
        for node in nodes {
            groups[self.choices.choose("group", 2) as usize].push(node);
        }
        if kind == FaultKind::Bridge
            && let Some(bridge) = groups[0].first().copied()
        {
            groups[1].push(bridge);
        }
        self.partition(&[&groups[0], &groups[1]]);
        self.act_later(Act::MendAll, lasts);
    }

    fn restart_later(&mut self, node: NodeId, lasts: Duration) {
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

    fn put_right_later(&mut self, node: NodeId, lasts: Duration) {
        self.act_later(Act::PutRight(self.node_places[&node]), lasts);
    }

    fn act_later(&mut self, act: Act, lasts: Duration) {
        let at = self.after(lasts);
        self.schedule.add(at, Due::Fault(act), &mut self.choices);
    }
}
