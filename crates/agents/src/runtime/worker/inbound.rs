//! What comes to a worker's thread from other nodes: local agents get it without a hand-over.

use crate::event::{Event, RefusedBecause};
use crate::id::AgentId;
use crate::runtime::dead_letters::Reason;
use crate::runtime::mailbox::Pushed;
use crate::runtime::routes::Route;
use crate::runtime::shared::{Delivered, Letter};
use crate::runtime::worker::Worker;

impl Worker {
    /// Delivers a letter to an agent of this node.
    ///
    /// # Errors
    /// If there is no such agent; the letter is counted.
    pub fn deliver(&mut self, letter: Letter) -> Result<(), RefusedBecause> {
        let to = letter.to;
        let Some(route) = self.routes.find(to, &self.shared.routes) else {
            self.shared.dead_letters.add(Reason::NoSuchAgent, 1);
            return Err(RefusedBecause::Unknown);
        };
        match self.shared.deliver(route, letter, Some(&self.handle)) {
            Delivered::Yes => Ok(()),
            Delivered::WakeHere(slot) => {
                self.ready.push_back(slot);
                Ok(())
            }
            Delivered::No(_, why) => {
                if why == RefusedBecause::Unknown {
                    self.routes.forget(to);
                }
                Err(why)
            }
        }
    }

    /// Gives an agent of this node an event. False if there is no such agent.
    pub fn tell(&mut self, to: AgentId, event: Event) -> bool {
        match self.routes.find(to, &self.shared.routes) {
            Some(Route::Agent(mailbox)) => {
                match mailbox.push_system(event, Some(&self.handle)) {
                    Pushed::WakeHere(slot) => self.ready.push_back(slot),
                    Pushed::Wake(home) => home.worker.schedule(home.slot),
                    Pushed::Closed(_) => {
                        self.routes.forget(to);
                        return false;
                    }
                    Pushed::In | Pushed::Staged | Pushed::Full(_) | Pushed::Dropped => {}
                }
                true
            }
            Some(Route::Port(inlet)) => {
                inlet.push_system(event);
                true
            }
            None => false,
        }
    }
}
