//! What agents persist, on its way to their node's disk.

use bytes::Bytes;
use dx_agents::AgentId;
use dx_agents::event::Event;
use dx_agents::journal::{Entry, SyncError};
use dx_agents::runtime::RETRY_EVERY;

use super::{Seat, Sim};
use crate::journaling::{Commit, Committed};
use crate::node::CrashPoint;
use crate::schedule::Due;
use crate::trace::What;

impl Sim {
    pub(super) fn persist(&mut self, place: u32, agent: AgentId, entry: Entry<Bytes>) {
        self.tell_persisted(agent, &entry);
        let journaling = &mut self.nodes[place as usize].journaling;
        let journaling =
            journaling.as_mut().expect("without a journal `persist` panics in the step");
        if journaling.append(agent, entry) {
            self.schedule_commit(place, self.now);
        }
    }

    pub(super) fn leave_journal(&mut self, place: u32, agent: AgentId) {
        let Some(journaling) = &mut self.nodes[place as usize].journaling else { return };
        if journaling.leave(agent) {
            self.schedule_commit(place, self.now);
        }
    }

    fn schedule_commit(&mut self, node: u32, at: u64) {
        let due = Due::Commit { node, life: self.nodes[node as usize].life };
        self.schedule.add(at, due, &mut self.choices);
    }

    /// A commit starts, or returns.
    pub(super) fn commit(&mut self, place: u32, life: u32) {
        let node = &mut self.nodes[place as usize];
        if node.life != life {
            return;
        }
        let Some(journaling) = &mut node.journaling else { return };
        match journaling.commit {
            Commit::Idle => {}
            Commit::Wanted | Commit::Retry => {
                node.synced = Some(journaling.start());
                if self.crashes(place, CrashPoint::BeforeSync) {
                    return;
                }
                let took = self.config.machine.sync.draw(&mut self.choices);
                let at = self.after(took);
                self.schedule_commit(place, at);
            }
            Commit::UnderWay => {
                let synced = node.synced.take().unwrap_or(Ok(()));
                self.committed(place, &synced);
            }
        }
    }

    fn committed(&mut self, place: u32, synced: &Result<(), SyncError>) {
        let node = &mut self.nodes[place as usize];
        let Some(journaling) = &mut node.journaling else { return };
        let committed = journaling.returned(synced);
        let goes_on = journaling.commit == Commit::Wanted;
        node.show_journal();
        match committed {
            Committed::Durable(agents, wants_snapshot) => {
                for (agent, entries) in agents {
                    self.tell_durable(place, agent, entries);
                }
                for agent in wants_snapshot {
                    self.tell_on(place, agent, Event::SnapshotWanted);
                }
                if goes_on {
                    self.schedule_commit(place, self.now);
                }
            }
            Committed::Full => {
                let at = self.after(RETRY_EVERY);
                self.schedule_commit(place, at);
            }
            Committed::Failed => {
                // A node whose disk fails stops.
                self.note_node(place, What::Fault);
                let [id] = self.at([place]);
                self.tell_fault(&[id], || format!("the disk of {id} fails"));
                self.crash(place);
            }
        }
    }

    /// Also an agent that has ended hears of it: what its entries hold back must still leave.
    fn tell_durable(&mut self, place: u32, agent: AgentId, entries: u64) {
        let Some(Seat::Agent(slot)) = self.seat_on(place, agent) else { return };
        if let Some(resident) = self.resident_mut(slot) {
            resident.mailbox.durable(entries);
            self.wake(slot);
        }
    }
}
