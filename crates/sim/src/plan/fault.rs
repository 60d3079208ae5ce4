//! One fault: what a tape says of it, and how it is done.

use std::time::Duration;

use dx_agents::NodeId;

use super::{FaultKind, FaultPlan};
use crate::choices::Details;
use crate::node::CrashPoint;
use crate::number::{exp, ln, whole};
use crate::schedule::Act;
use crate::sim::{CLIENTS, Sim};

/// All of it is on the tape, and in numbers that mean the same whatever the plan is: so a fault
/// stays what it is when the plan becomes another.
#[derive(Clone, Debug)]
pub struct Fault {
    /// How long after its slot has begun, in nanoseconds.
    pub offset: u64,
    what: What,
    lasts: Duration,
}

#[derive(Clone, Debug)]
enum What {
    /// `None`: at once.
    Crash(NodeId, Option<CrashPoint>),
    Pause(NodeId),
    Suspend(NodeId),
    /// The nodes of the second group; and whether there is a bridge.
    Divide(Vec<NodeId>, bool),
    OneWay(NodeId, NodeId),
    Clog(NodeId, NodeId),
    SessionLoss(NodeId, NodeId),
    Slow(NodeId, u32),
    Drift(NodeId, i32),
    DiskFull(NodeId, usize),
    DiskFailure(NodeId),
}

/// Moments of a slot at which a fault may come.
const OFFSETS: u64 = 1 << 10;

/// What lasts, does so for so many microseconds at most: somewhat more than an hour.
const LONGEST: u64 = 1 << 32;

/// Drifts, in millionths: up to a fifth, much more than a quartz, and what a virtual machine can do.
const DRIFTS: u64 = 400_001;

impl Fault {
    pub fn draw(how: &mut Details, plan: &FaultPlan, slot: u64, nodes: &[NodeId]) -> Self {
        let offset = how.choose_by("offset", OFFSETS, &[0], |rng| rng.below(OFFSETS));
        let offset = slot / OFFSETS * offset;
        let kinds: Vec<u64> = plan.kinds.iter().map(|kind| *kind as u64).collect();
        let kind = how.choose_from("kind", FaultKind::ALL.len() as u64, &kinds);
        let micros = |nanos: u128| u64::try_from(nanos / 1000).unwrap_or(LONGEST);
        let mean = micros(plan.mended_after.as_nanos());
        // Where all is tried: for less than a slot, or for two.
        let few = [slot / 2000, slot / 500].map(|lasts| lasts.min(LONGEST - 1));
        let lasts = how
            .choose_by("micros", LONGEST, &few, |rng| whole(-ln(1.0 - rng.unit()) * mean as f64));
        let what = What::draw(how, FaultKind::ALL[kind as usize], nodes);
        Self { offset, what, lasts: Duration::from_micros(lasts) }
    }

    fn kind(&self) -> FaultKind {
        match &self.what {
            What::Crash(..) => FaultKind::Crash,
            What::Pause(_) => FaultKind::Pause,
            What::Suspend(_) => FaultKind::Suspend,
            What::Divide(_, false) => FaultKind::Partition,
            What::Divide(_, true) => FaultKind::Bridge,
            What::OneWay(..) => FaultKind::OneWay,
            What::Clog(..) => FaultKind::Clog,
            What::SessionLoss(..) => FaultKind::SessionLoss,
            What::Slow(..) => FaultKind::Slow,
            What::Drift(..) => FaultKind::Drift,
            What::DiskFull(..) => FaultKind::DiskFull,
            What::DiskFailure(_) => FaultKind::DiskFailure,
        }
    }
}

impl What {
    fn draw(how: &mut Details, kind: FaultKind, nodes: &[NodeId]) -> Self {
        if let FaultKind::Partition | FaultKind::Bridge = kind {
            let second = nodes.iter().filter(|_| how.choose("group", 2) == 1);
            return Self::Divide(second.copied().collect(), kind == FaultKind::Bridge);
        }
        let servers: Vec<NodeId> = nodes.iter().copied().filter(|id| id.0 < CLIENTS).collect();
        let count = servers.len() as u64;
        let one = how.choose("one", count) as usize;
        let mut other = || {
            // Another one, if there is.
            let after = 1 + how.choose("other", (count - 1).max(1)) as usize;
            servers[(one + after) % servers.len()]
        };
        let of = servers[one];
        match kind {
            FaultKind::Crash => Self::Crash(of, crash_point(how)),
            FaultKind::Pause => Self::Pause(of),
            FaultKind::Suspend => Self::Suspend(of),
            FaultKind::OneWay => Self::OneWay(of, other()),
            FaultKind::Clog => Self::Clog(of, other()),
            FaultKind::SessionLoss => Self::SessionLoss(of, other()),
            FaultKind::Slow => {
                let times = how.choose_by("slowness", 9_999, &[98], |rng| {
                    whole(exp(ln(10_000.0) * rng.unit())) - 1
                });
                Self::Slow(of, times as u32 + 2)
            }
            FaultKind::Drift => {
                let few = [0, DRIFTS - 1];
                // The plainest is none: from there it goes on both sides.
                let drift = how.choose_by("drift", DRIFTS, &few, |rng| rng.below(DRIFTS)) as i32;
                Self::Drift(of, if drift % 2 == 0 { drift / 2 } else { -(drift + 1) / 2 })
            }
            FaultKind::DiskFull => {
                let left = how.choose_by("room-left", 4096, &[0], |rng| rng.below(4096));
                Self::DiskFull(of, left as usize)
            }
            FaultKind::DiskFailure => Self::DiskFailure(of),
            FaultKind::Partition | FaultKind::Bridge => unreachable!("they are above"),
        }
    }
}

fn crash_point(how: &mut Details) -> Option<CrashPoint> {
    Some(match how.choose("crash-point", 6) {
        0 => return None,
        1 => CrashPoint::BeforeHandler,
        2 => CrashPoint::AfterHandler,
        3 => CrashPoint::AfterEffects(how.choose("effects", 4) as u32),
        4 => CrashPoint::BeforeSync,
        _ => CrashPoint::AfterSync,
    })
}

impl Sim {
    /// A fault comes, unless too many nodes are down.
    pub(super) fn inject(&mut self, number: u32) {
        let Some(fault) = self.storm.faults.get(number as usize).cloned() else { return };
        let kind = fault.kind();
        if !self.may_fall(kind) {
            return;
        }
        self.faults[kind as usize] += 1;
        let lasts = fault.lasts;
        match fault.what {
            What::Crash(one, point) => {
                match point {
                    Some(point) => self.crash_node_at(one, point),
                    None => self.crash_node(one),
                }
                self.restart_later(one, lasts);
            }
            What::Pause(one) => self.pause_node(one, lasts),
            What::Suspend(one) => self.suspend_node(one, lasts),
            What::Divide(second, has_bridge) => self.divide(&second, has_bridge, lasts),
            What::OneWay(one, other) => {
                self.cut(one, other);
                self.act_later(Act::MendAll, lasts);
            }
            What::Clog(one, other) => self.clog(one, other, lasts),
            What::SessionLoss(one, other) => self.lose_session(one, other),
            What::Slow(one, times) => {
                self.slow_node(one, times);
                self.put_right_later(one, lasts);
            }
            What::Drift(one, ppm) => {
                self.drift_clock(one, ppm);
                self.put_right_later(one, lasts);
            }
            What::DiskFull(one, left) => {
                self.fill_disk(one, left);
                self.put_right_later(one, lasts);
            }
            What::DiskFailure(one) => {
                self.fail_next_sync(one);
                self.restart_later(one, lasts);
            }
        }
    }

    /// Two groups; where there is a bridge, the first node of the first belongs to both.
    fn divide(&mut self, second: &[NodeId], has_bridge: bool, lasts: Duration) {
        let nodes = self.nodes.iter().map(|node| node.id);
        let first: Vec<NodeId> = nodes.filter(|id| !second.contains(id)).collect();
        let mut second = second.to_vec();
        if has_bridge {
            second.extend(first.first());
        }
        self.partition(&[&first, &second]);
        self.act_later(Act::MendAll, lasts);
    }
}
