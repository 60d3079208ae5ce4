//! Letters that come to a worker's thread from other nodes: local agents get them without a
//! hand-over.

use crate::event::RefusedBecause;
use crate::runtime::dead_letters::Reason;
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
}
