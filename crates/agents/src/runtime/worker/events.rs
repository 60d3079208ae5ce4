//! Events that a worker's thread has for agents of its node: its own get them without a hand-over.

use crate::event::{Answer, AskError, Event};
use crate::id::{AgentId, ReplyTo};
use crate::message::Body;
use crate::runtime::dead_letters::Reason;
use crate::runtime::mailbox::Pushed;
use crate::runtime::routes::Route;
use crate::runtime::worker::Worker;
use crate::runtime::worker::next::{Next, idle_place};

impl Worker {
    /// Gives an agent of this node an event. False if there is no such agent, or it is a port that
    /// does not wait for it.
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
            // The id of a port can be used again: whose it is now is looked up each time.
            Some(Route::Port(_)) => self.shared.tell(to, event),
            None => false,
        }
    }

    /// Answers a question, wherever it came from.
    pub(super) fn answer(&mut self, from: AgentId, to: ReplyTo, answer: Result<Body, AskError>) {
        let may_be_next = self.may_be_next();
        let Some(Route::Agent(mailbox)) = self.routes.find(to.agent, &self.shared.routes) else {
            // Who asked is a port, on another node, or gone.
            self.shared.answer(from, to, answer);
            return;
        };
        let event = Event::Reply(to.ask, answer.map(|body| Answer { from, body }));
        if may_be_next && let Some(slot) = idle_place(mailbox, &self.handle, &self.residents) {
            self.next = Some(Next { slot, event });
        } else if !self.tell(to.agent, event) {
            self.shared.dead_letters.add(Reason::LateAnswer, 1);
        }
    }
}
