//! What nodes go through.

use std::sync::Arc;

use dx_agents::NodeId;

use crate::core::effect::Effects;
use crate::core::node::{Drained, Offer, Quarantine};
use crate::core::settle::FAULTS_IN_A_ROW;
use crate::core::state::State;
use crate::id::ShimId;
use crate::job::Resources;
use crate::processor::Certainty;

impl State {
    pub(super) fn joined(
        &mut self,
        shim: ShimId,
        capacity: &Arc<str>,
        kill: Certainty,
        memory: bool,
        out: &mut Effects,
    ) {
        let node = self.nodes.entry(shim.node).or_default();
        if let Some(before) = node.shim.replace(shim.incarnation)
            && before != shim.incarnation
        {
            node.gone = node.gone.max(before);
            // A node that was stopped in good order is drained.
            let has_died = node.drained.is_none() && node.open.values().any(|hold| hold.has_begun);
            node.faults = node.faults.saturating_add(u32::from(has_died));
            for attempt in node.open.keys() {
                let job = self.jobs.get_mut(&attempt.task.job).expect("the job is there");
                let row = job.row_mut(attempt.task.index).expect("it has an attempt");
                row.last.shim = shim.incarnation;
            }
        }
        let offered: Resources = serde_json::from_str(capacity).expect("it was checked");
        node.offer = Some(Offer { capacity: Arc::clone(capacity), kill, memory });
        node.recount((&offered).into());
        out.nodes = true;
    }

    pub(super) fn gave_up(&mut self, shim: ShimId, out: &mut Effects) {
        let node = self.nodes.entry(shim.node).or_default();
        node.gone = node.gone.max(shim.incarnation);
        if node.shim == Some(shim.incarnation) {
            node.shim = None;
        }
        out.nodes = true;
    }

    pub(super) fn drained(&mut self, node: NodeId, reason: Option<String>, out: &mut Effects) {
        let at = self.at;
        self.nodes.entry(node).or_default().drained = Some(Drained { at, reason });
        out.nodes = true;
    }

    pub(super) fn undrained(&mut self, node: NodeId, out: &mut Effects) {
        let node = self.nodes.entry(node).or_default();
        (node.drained, node.quarantine) = (None, None);
        (node.faults, node.rounds) = (0, 0);
        out.nodes = true;
    }

    pub(super) fn quarantined(
        &mut self,
        node: NodeId,
        until: u64,
        reason: &str,
        out: &mut Effects,
    ) {
        let node = self.nodes.entry(node).or_default();
        node.quarantine = Some(Quarantine { until, reason: reason.to_owned() });
        node.rounds = node.rounds.saturating_add(1);
        // Once it is over, one more is needed: those that came at once with the first do not count
        // against what was not tried since.
        node.faults = node.faults.min(FAULTS_IN_A_ROW - 1 + node.rounds);
        out.nodes = true;
    }
}
