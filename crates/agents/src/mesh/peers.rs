//! What happens to other nodes, as agents hear of it.
//!
//! | the mesh says | agents hear |
//! |---|---|
//! | `Down` | monitors: `NoConnection`. Nothing is lost yet, and questions stay open |
//! | `Restarted` | monitors and questions: `Restarted` |
//! | `Lost`, or a new session with the same life | monitors and questions: `SessionLost` |
//! | `Up` of a new session | what is monitored is monitored in the new session, too |
//!
//! What waited in an outbox or in the transport's queue was never sent: it leaves in the new
//! session. Missing is only what had been sent and was not acknowledged.

use std::sync::Arc;

use dx_transport::id::{Incarnation, NodeId};
use dx_transport::mesh::{Mesh, PeerEvent, PeerState};
use dx_transport::session::Direction;

use crate::event::{AskError, Down, Event};
use crate::mesh::event::{News, NodeEvent};
use crate::mesh::link::Link;
use crate::mesh::links::Links;
use crate::mesh::wire::Frame;
use crate::remote::course::Course;
use crate::remote::watches::Watches;
use crate::runtime::shared::Shared;

/// See the module.
pub struct Peers {
    pub agents: Arc<Shared>,
    pub links: Arc<Links>,
    pub news: Arc<News>,
}

impl Peers {
    /// Deals with one event.
    pub fn hear(&self, event: PeerEvent, mesh: &Mesh) {
        match event {
            PeerEvent::Up { peer: node, incarnation, resumed, transport } => {
                self.up(node, incarnation, resumed);
                let transport = transport.to_owned();
                self.news.set_up(node, true);
                self.news.say(NodeEvent::Up { node, incarnation, resumed, transport });
            }
            PeerEvent::Down { peer: node, reason } => {
                // Before agents hear of it: who asks for the status then sees it, too.
                self.news.set_up(node, false);
                self.tell_watchers(node, Down::NoConnection);
                self.news.say(NodeEvent::Down { node, reason: reason.to_string() });
            }
            PeerEvent::Restarted { peer: node, old, new } => {
                self.over(node, Down::Restarted);
                self.news.say(NodeEvent::Restarted { node, old, new });
            }
            PeerEvent::Lost { peer: node, from, to, direction, .. } => {
                self.over_if(node, Down::SessionLost, |course| course.lost(direction));
                let inbound = direction == Direction::Received;
                self.news.say(NodeEvent::Lost { node, count: to - from, inbound });
            }
            PeerEvent::Refused { peer: node, address, error } => {
                self.news.say(NodeEvent::Refused { node, address, error: error.to_string() });
            }
            PeerEvent::SlowPeer { peer: node, .. } => self.news.say(NodeEvent::Slow { node }),
            PeerEvent::GoingAway { peer: node } => {
                if let Some(link) = self.links.find(node) {
                    link.goes_away();
                }
                self.news.say(NodeEvent::GoingAway { node });
            }
            PeerEvent::Missed(count) => {
                self.catch_up(mesh);
                self.news.say(NodeEvent::Missed(count));
            }
            // All nodes accept the same sizes, and sizes are checked before that.
            other => tracing::warn!(?other, "an event of the mesh that agents know nothing of"),
        }
    }

    fn up(&self, node: NodeId, life: Incarnation, resumed: bool) {
        let Some(link) = self.links.find(node) else { return };
        link.met(life);
        if !link.course().up(resumed) {
            return;
        }
        self.over(node, Down::SessionLost);
        self.begin_session(&link);
    }

    fn begin_session(&self, link: &Arc<Link>) {
        link.course().begin();
        {
            // Under the lock: whoever watches no longer is not asked for after that was said.
            let watches = self.links.watches();
            for who in watches.get(&link.node).into_iter().flat_map(Watches::watched) {
                link.say(&Frame::Watch(who));
            }
        }
        link.probe();
    }

    /// A session is over. Told once, whatever says so first.
    fn over(&self, node: NodeId, why: Down) {
        self.over_if(node, why, Course::over);
    }

    fn over_if(&self, node: NodeId, why: Down, is_over: impl FnOnce(&mut Course) -> bool) {
        let Some(link) = self.links.find(node) else { return };
        if !is_over(&mut link.course()) {
            return;
        }
        let failed = self.links.asks().fail(node);
        for question in failed {
            let event = Event::Reply(question.ask, Err(AskError::Down(why)));
            self.agents.tell(question.agent, event);
        }
        self.tell_watchers(node, why);
    }

    fn tell_watchers(&self, node: NodeId, why: Down) {
        let pairs: Vec<_> = {
            let watches = self.links.watches();
            watches.get(&node).into_iter().flat_map(Watches::pairs).collect()
        };
        for (me, who) in pairs {
            self.agents.tell(me, Event::Down(who, why));
        }
    }

    /// Events were missed: whatever may have happened is assumed to have.
    fn catch_up(&self, mesh: &Mesh) {
        for peer in mesh.status().peers {
            // Of one whose conversation goes on nothing more is said.
            let is_up = matches!(peer.state, PeerState::Up | PeerState::Relinking);
            self.news.set_up(peer.node, is_up);
            self.over(peer.node, Down::SessionLost);
            if let Some(link) = self.links.find(peer.node) {
                self.begin_session(&link);
            }
        }
    }
}
