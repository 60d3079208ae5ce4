//! How an agent comes into being on a worker.

use std::sync::Arc;

use crate::cell::Cell;
use crate::event::{Event, Recovered};
use crate::id::AgentId;
use crate::runtime::crew::Crew;
use crate::runtime::mailbox::{Home, Mailbox};
use crate::runtime::resident::Resident;
use crate::runtime::routes::Route;
use crate::runtime::shared::Shared;
use crate::runtime::stage::Stage;
use crate::runtime::supervise::Condition;
use crate::runtime::worker_handle::WorkerHandle;
use crate::spawn::Spawn;
use crate::spec::Restart;

/// An agent to be.
pub struct Birth {
    pub id: AgentId,
    pub spawn: Spawn,
    pub recovered: Recovered,
}

impl Birth {
    /// Makes the agent, for `worker` to take in; its first event waits in its mailbox. From now on
    /// it can be sent to. `None` if the id is taken.
    pub fn settle(self, node: &Arc<Shared>, worker: &Arc<WorkerHandle>) -> Option<Box<Resident>> {
        let Spawn(plan) = self.spawn;
        let agent = (plan.factory)();
        let stage = agent.shared_state().map(|state| {
            let crew = match plan.options.shared {
                0 => Arc::clone(&node.crew),
                size => Crew::new(size),
            };
            Arc::new(Stage::new(Arc::downgrade(node), state, crew))
        });
        let home = Home { worker: Arc::clone(worker), slot: 0 };
        let ingress = stage.clone().filter(|stage| stage.takes_ingress());
        let mailbox = Arc::new(Mailbox::new(self.id, Arc::clone(&plan), home, ingress));
        if let Some(stage) = &stage {
            stage.attach(&mailbox);
        }
        if !node.routes.add(self.id, Route::Agent(Arc::clone(&mailbox))) {
            return None;
        }
        if let Some(journal) = &node.journal
            && plan.options.restart != Restart::Never
            && !self.recovered.is_empty()
        {
            journal.keep(&mailbox, &self.recovered);
        }
        mailbox.begin(self.recovered);
        if let Some(&deadline) = node.stops.get() {
            // It can be sent to since before this look: either it is told here or by who stops.
            mailbox.push_system(Event::Stopping { deadline }, None);
        }
        Some(Box::new(Resident {
            slot: 0,
            cell: Cell::new(self.id, agent),
            mailbox,
            plan,
            stage,
            failures: None,
            condition: Condition::Working,
            is_suspect: false,
            watching: None,
        }))
    }
}
