//! What agents hear of it: as the agents' own driver over the mesh tells them.

use dx_agents::{AgentId, AskError, Down};
use dx_transport::session::Lost;

use super::Side;
use super::end::End;
use crate::network::Frame;
use crate::sim::Sim;

impl Sim {
    /// The peer can be reached, in the same session or another one.
    pub(super) fn is_met(&mut self, end: &mut End, side: Side, resumed: bool) {
        if !end.course.up(resumed) {
            return;
        }
        self.is_over(end, side, Down::SessionLost);
        self.begin(end, side);
    }

    /// The peer is in another life.
    pub(super) fn has_restarted(&mut self, end: &mut End, side: Side) {
        self.is_over(end, side, Down::Restarted);
        // What was granted to the earlier one is no longer owed.
        self.links.pairs[side.pair as usize].ways[1 - side.at].quotas.clear();
    }

    /// Messages are lost, and the session with them.
    pub(super) fn say_lost(&mut self, end: &mut End, side: Side, lost: &[Lost]) {
        for lost in lost {
            self.links.wires.tally.lost_messages += lost.to - lost.from;
            self.links.tally.lost += lost.to - lost.from;
            if end.course.lost(lost.direction) {
                self.tell_over(side, Down::SessionLost);
            }
        }
    }

    /// A session is over. Told once, whatever says so first.
    fn is_over(&mut self, end: &mut End, side: Side, why: Down) {
        if end.course.over() {
            self.tell_over(side, why);
        }
    }

    fn tell_over(&mut self, side: Side, why: Down) {
        let peer = self.nodes[side.peer as usize].id;
        for question in self.nodes[side.node as usize].asks.fail(peer) {
            self.fail_question(side.node, question, AskError::Down(why));
        }
        self.tell_watchers(side.pair, side.at, why);
    }

    /// A session begins: what is watched is watched again, and what is in doubt is asked.
    fn begin(&mut self, end: &mut End, side: Side) {
        end.course.begin();
        let direction = &mut self.links.pairs[side.pair as usize].ways[side.at];
        let watched: Vec<AgentId> = direction.watches.watched().collect();
        let (round, in_doubt) = direction.probe();
        for who in watched {
            self.leave(side.node, side.peer, Frame::Watch { who, is_on: true });
        }
        for to in in_doubt {
            self.leave(side.node, side.peer, Frame::Probe { to, round });
        }
    }
}
