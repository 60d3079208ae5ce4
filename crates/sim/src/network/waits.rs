//! Who waits for whose credit.

use std::collections::BTreeMap;
use std::fmt;

use dx_agents::{AgentId, NodeId};

use crate::sim::Sim;

/// A node's messages to an agent that wait for credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditWait {
    /// Whose messages.
    pub node: NodeId,
    /// For whom.
    pub to: AgentId,
    /// On which node that one is.
    pub at: NodeId,
    /// How many.
    pub messages: usize,
}

impl fmt::Display for CreditWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, to, at, messages } = self;
        write!(f, "{messages} of {node} for {to} on {at}")
    }
}

impl Sim {
    /// All messages that wait for credit now.
    #[must_use]
    pub fn credit_waits(&self) -> Vec<CreditWait> {
        let mut waits = Vec::new();
        for pair in &self.links.pairs {
            for (way, direction) in pair.ways.iter().enumerate() {
                let ids = [pair.nodes[way], pair.nodes[1 - way]];
                let [node, at] = ids.map(|place| self.nodes[place as usize].id);
                for (&to, account) in &direction.accounts {
                    let messages = account.outbox.as_ref().map_or(0, |outbox| outbox.depth().0);
                    if messages > 0 {
                        waits.push(CreditWait { node, to, at, messages });
                    }
                }
            }
        }
        waits.sort_by_key(|wait| (wait.node, wait.to));
        waits
    }

    /// Nodes that wait for each other's credit in a circle; empty if there are none. Where nothing
    /// moves any more, that is a deadlock.
    #[must_use]
    pub fn credit_cycle(&self) -> Vec<CreditWait> {
        let waits = self.credit_waits();
        let mut next: BTreeMap<NodeId, Vec<CreditWait>> = BTreeMap::new();
        for wait in &waits {
            next.entry(wait.node).or_default().push(*wait);
        }
        for start in next.keys() {
            let mut path = Vec::new();
            let mut seen = std::collections::BTreeSet::new();
            if leads_back(*start, *start, &next, &mut seen, &mut path) {
                return path;
            }
        }
        Vec::new()
    }
}

fn leads_back(
    at: NodeId,
    start: NodeId,
    next: &BTreeMap<NodeId, Vec<CreditWait>>,
    seen: &mut std::collections::BTreeSet<NodeId>,
    path: &mut Vec<CreditWait>,
) -> bool {
    for wait in next.get(&at).into_iter().flatten() {
        path.push(*wait);
        if wait.at == start {
            return true;
        }
        if seen.insert(wait.at) && leads_back(wait.at, start, next, seen, path) {
            return true;
        }
        path.pop();
    }
    false
}
