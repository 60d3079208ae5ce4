//! How agents come into being.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use dx_agents::cell::Cell;
use dx_agents::registry::MakeError;
use dx_agents::runtime::{Condition, Failures};
use dx_agents::spawn::Factory;
use dx_agents::{AgentId, NodeId, Recovered, Spawn};

use super::{CLIENTS, Seat, Sim};
use crate::mailbox::Mailbox;
use crate::node::Node;
use crate::resident::{Plan, Resident};
use crate::stage::Stage;

/// A world cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewSimError {
    /// An agent's kind is unknown, or does not accept its attributes. Fault of the configuration.
    #[error("failed to make agent {agent}: {source}")]
    Make {
        /// The agent.
        agent: AgentId,
        /// Why.
        source: MakeError,
    },
    /// A node has a number that is a port's. Fault of the configuration.
    #[error(
        "node {0} has a number of {CLIENTS} or more: those are for ports, give it a smaller one"
    )]
    Node(NodeId),
}

impl Sim {
    /// Looks at every agent of the deployment once, and makes the nodes that they are on.
    pub(super) fn plan_agents(&mut self) -> Result<(), NewSimError> {
        let directory = Arc::clone(&self.directory);
        for spec in directory.agents() {
            if spec.node.0 >= CLIENTS {
                return Err(NewSimError::Node(spec.node));
            }
            let failed = |source| NewSimError::Make { agent: spec.id, source };
            self.registry.make(spec, &directory).map_err(failed)?;
            let (registry, again, known) =
                (self.registry.clone(), spec.clone(), Arc::clone(&directory));
            let factory: Factory = Arc::new(move || {
                registry.make(&again, &known).expect("a spec that was accepted once is accepted")
            });
            let is_datagram = self.config.datagram_kinds.contains(&spec.kind);
            let plan = Plan { options: spec.options.clone(), factory, is_datagram };
            self.plans.insert(spec.id, Arc::new(plan));
            self.node_place(spec.node);
        }
        Ok(())
    }

    /// The place of a node, which is made if there is none.
    pub(super) fn node_place(&mut self, id: NodeId) -> u32 {
        if let Some(place) = self.node_places.get(&id) {
            return *place;
        }
        let place = self.nodes.len() as u32;
        self.nodes.push(Node::new(id, &self.directory));
        self.node_places.insert(id, place);
        place
    }

    /// Makes an agent on a node that is up.
    pub(super) fn bear(&mut self, node: u32, id: AgentId, plan: Arc<Plan>, recovered: Recovered) {
        let slot = self.agents.len() as u32;
        // What makes it is not the simulator's code, and it is the agent's failure if it panics.
        let made = catch_unwind(AssertUnwindSafe(|| {
            let agent = (plan.factory)();
            let state = agent.shared_state();
            (agent, state)
        }));
        let Ok((agent, state)) = made else { return };
        let resident = Resident {
            node,
            cell: Cell::new(id, agent),
            mailbox: Mailbox::new(plan.options.mailbox, recovered),
            stage: state.map(|state| Box::new(Stage::new(state))),
            plan,
            failures: Failures::default(),
            condition: Condition::Working,
            is_scheduled: false,
            ready_since: 0,
            watching: BTreeSet::new(),
            watchers: BTreeSet::new(),
            notes: BTreeMap::new(),
        };
        self.agents.push(Some(Box::new(resident)));
        self.nodes[node as usize].slots.push(slot);
        self.settle(node, id, Seat::Agent(slot));
        self.wake(slot);
    }

    /// Makes an agent that another one spawned.
    pub(super) fn spawn(&mut self, node: u32, id: AgentId, spawn: &Spawn) {
        let made = spawn.clone();
        let plan = Plan {
            options: spawn.how().clone(),
            factory: Arc::new(move || made.make()),
            is_datagram: self.config.datagram_kinds.contains(spawn.kind()),
        };
        self.bear(node, id, Arc::new(plan), Recovered::default());
    }
}
