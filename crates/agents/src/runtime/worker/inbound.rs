//! Letters that come to a worker's thread from other nodes: local agents get them without a
//! hand-over.

use std::collections::VecDeque;

use crate::event::{Envelope, RefusedBecause};
use crate::id::AgentId;
use crate::runtime::dead_letters::Reason;
use crate::runtime::mailbox::Weighed;
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

    /// Delivers messages of another node to one agent of this one, in their order. Those that it
    /// does not get are counted.
    pub fn deliver_run(&mut self, to: AgentId, run: &mut VecDeque<Weighed>) {
        if let Some(Route::Agent(mailbox)) = self.routes.find(to, &self.shared.routes) {
            let pushed = mailbox.push_run(run, Some(&self.handle));
            if let Delivered::WakeHere(slot) = self.shared.pushed(pushed) {
                self.ready.push_back(slot);
            }
        }
        for Weighed { envelope: Envelope { from, ask, body }, .. } in run.drain(..) {
            // Whoever tells is not told.
            let _ = self.deliver(Letter { from, to, ask, body });
        }
    }
}
