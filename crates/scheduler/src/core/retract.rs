//! What waits on a node comes back where it would run sooner elsewhere, or something goes before it.

use dx_agents::NodeId;

use super::Core;
use super::amounts::Amounts;
use super::node::Node;
use super::place::meets;
use super::queue::Class;
use crate::id::{AttemptId, ShimId};

/// A node with room, and nothing that waits on it.
struct Idle {
    id: NodeId,
    used: Amounts,
}

impl Core {
    pub(super) fn retract(&mut self) {
        let busy = |node: &Node| !node.ahead.is_empty();
        if !self.state.nodes.values().any(busy) {
            return;
        }
        let mut idle = self.idle();
        let mut back: Vec<(ShimId, AttemptId)> = Vec::new();
        for (id, node) in self.state.nodes.iter().filter(|(_, node)| busy(node)) {
            let Some(live) = self.live.nodes.get(id).filter(|live| live.is_here) else { continue };
            let Some(shim) = node.life(*id) else { continue };
            let is_out = node.drained.is_some() || node.is_quarantined(self.at);
            let higher = self.highest_that_could(*id, node);
            // The last to have come is the first to go.
            for attempt in node.ahead.values().rev() {
                if live.retracting.contains(attempt) {
                    continue;
                }
                let job = self.state.job(attempt.task.job).expect("what is open is of a job");
                let is_lower = higher.is_some_and(|priority| priority > job.priority);
                if !is_out && !is_lower && !self.fits_elsewhere(&Class::of(&job.spec), &mut idle) {
                    break;
                }
                back.push((shim, *attempt));
            }
        }
        for (shim, attempt) in back {
            self.effects.retract(shim, attempt);
        }
    }

    /// The nodes that take work and have room, and on which nothing waits.
    fn idle(&self) -> Vec<Idle> {
        let idle = |(id, node): (&NodeId, &Node)| {
            let is_here = self.live.nodes.get(id).is_some_and(|live| live.is_here);
            let takes = node.drained.is_none() && !node.is_quarantined(self.at);
            let is_idle = is_here && takes && node.ahead.is_empty() && node.shim.is_some();
            is_idle.then(|| Idle { id: *id, used: node.used.clone() })
        };
        self.state.nodes.iter().filter_map(idle).collect()
    }

    fn fits_elsewhere(&self, class: &Class, idle: &mut [Idle]) -> bool {
        let found = idle.iter_mut().find(|it| {
            let node = &self.state.nodes[&it.id];
            self.can_run(it.id, class) && it.used.leaves_room_for(&class.need, &node.capacity)
        });
        found.map(|it| it.used.add(&class.need)).is_some()
    }

    fn can_run(&self, id: NodeId, class: &Class) -> bool {
        let config = self.config.nodes.get(&id);
        config.is_some_and(|it| meets(&class.constraints, &it.name, &it.labels))
    }

    /// The highest priority of what waits and could run on a node.
    fn highest_that_could(&self, id: NodeId, node: &Node) -> Option<i32> {
        let classes = self.state.queue.classes().filter(|(class, _)| {
            self.can_run(id, class)
                && Amounts::default().leaves_room_for(&class.need, &node.capacity)
        });
        classes.filter_map(|(_, jobs)| jobs.first()).map(|turn| turn.0.0).max()
    }
}
