//! How an agent comes into being on a worker.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cell::Cell;
use crate::event::{Event, Recovered};
use crate::id::AgentId;
use crate::runtime::crew::Crew;
use crate::runtime::mailbox::{Home, Mailbox};
use crate::runtime::resident::{Condition, Plan, Resident};
use crate::runtime::routes::Route;
use crate::runtime::shared::Shared;
use crate::runtime::stage::Stage;
use crate::runtime::worker_handle::WorkerHandle;
use crate::spawn::Factory;
use crate::spec::{Options, Restart};

/// An agent to be.
pub struct Birth {
    pub id: AgentId,
    pub kind: Arc<str>,
    pub factory: Factory,
    pub options: Options,
    pub recovered: Recovered,
}

impl Birth {
    /// Makes the agent, for `worker` to take in; its first event waits in its mailbox. From now on
    /// it can be sent to. `None` if the id is taken.
    pub fn settle(self, node: &Arc<Shared>, worker: &Arc<WorkerHandle>) -> Option<Box<Resident>> {
        let agent = (self.factory)();
        let stage = agent.shared_state().map(|state| {
            let crew = match self.options.shared {
                0 => Arc::clone(&node.crew),
                size => Crew::new(size),
            };
            Arc::new(Stage::new(Arc::downgrade(node), state, crew))
        });
        let home = Home { worker: Arc::clone(worker), slot: 0 };
        let ingress = stage.clone().filter(|stage| stage.takes_ingress());
        let mailbox =
            Arc::new(Mailbox::new(self.id, self.kind, self.options.mailbox, home, ingress));
        if let Some(stage) = &stage {
            stage.attach(&mailbox);
        }
        if !node.routes.add(self.id, Route::Agent(Arc::clone(&mailbox))) {
            return None;
        }
        if let Some(journal) = &node.journal
            && self.options.restart != Restart::Never
            && !self.recovered.is_empty()
        {
            journal.keep(&mailbox, &self.recovered);
        }
        mailbox.begin(Event::Start(Box::new(self.recovered)));
        if let Some(&deadline) = node.stops.get() {
            // It can be sent to since before this look: either it is told here or by who stops.
            mailbox.push_system(Event::Stopping { deadline }, None);
        }
        let plan =
            Plan { factory: self.factory, restart: self.options.restart, full: self.options.full };
        Some(Box::new(Resident {
            slot: 0,
            cell: Cell::new(self.id, agent),
            mailbox,
            plan: Arc::new(plan),
            stage,
            failures: None,
            condition: Condition::Working,
            is_suspect: false,
            watching: BTreeSet::new(),
            alarms: Vec::new(),
        }))
    }
}
