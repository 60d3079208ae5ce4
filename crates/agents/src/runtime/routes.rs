//! Where each agent of this node is reached.

use std::sync::{Arc, PoisonError, RwLock};

use dx_transport::id::NodeId;
use rustc_hash::FxHashMap;

use crate::id::AgentId;
use crate::runtime::mailbox::Mailbox;
use crate::runtime::port::Inlet;

/// How a local agent is reached.
#[derive(Clone)]
pub enum Route {
    /// By its mailbox.
    Agent(Arc<Mailbox>),
    /// It is a port.
    Port(Arc<Inlet>),
}

/// All agents of a node.
pub struct Routes {
    node: NodeId,
    agents: RwLock<FxHashMap<AgentId, Route>>,
}

impl Routes {
    /// Those of `node`: none yet.
    pub fn of(node: NodeId) -> Self {
        Self { node, agents: RwLock::default() }
    }

    /// The route to `id`.
    pub fn find(&self, id: AgentId) -> Option<Route> {
        if id.spawned_by().is_some_and(|node| node != self.node) {
            return None;
        }
        self.agents.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The bounds of an agent's mailbox, if it is there.
    #[cfg(feature = "mesh")]
    pub fn bounds(&self, id: AgentId) -> Option<crate::spec::MailboxBounds> {
        match self.agents.read().unwrap_or_else(PoisonError::into_inner).get(&id)? {
            Route::Agent(mailbox) => Some(*mailbox.bounds()),
            Route::Port(inlet) => Some(inlet.bounds()),
        }
    }

    /// Adds one. False, and nothing changes, if the id is taken.
    pub fn add(&self, id: AgentId, route: Route) -> bool {
        let mut routes = self.agents.write().unwrap_or_else(PoisonError::into_inner);
        let is_free = !routes.contains_key(&id);
        if is_free {
            routes.insert(id, route);
        }
        is_free
    }

    /// Removes one.
    pub fn remove(&self, id: AgentId) {
        self.agents.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Ends the questions of all ports: nobody is left to answer them.
    pub fn end_questions(&self) {
        let routes = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        for route in routes.values() {
            if let Route::Port(inlet) = route {
                inlet.end();
            }
        }
    }

    /// All mailboxes, in the order of their agents' ids.
    pub fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        let routes = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        let mailbox = |route: &Route| match route {
            Route::Agent(mailbox) => Some(Arc::clone(mailbox)),
            Route::Port(_) => None,
        };
        let mut mailboxes: Vec<_> = routes.values().filter_map(mailbox).collect();
        mailboxes.sort_by_key(|mailbox| mailbox.id);
        mailboxes
    }
}

/// A worker's own view of the routes that it used last: found without a lock.
///
/// Ids are never used twice, so a route never becomes wrong; that of an agent which ended leads to
/// a closed mailbox. Each id has one place: agents that were spawned one after the other have
/// places one after the other.
pub struct RouteCache {
    places: Box<[Option<(AgentId, Route)>]>,
}

/// Routes that a worker remembers: 96 KiB, of which it touches what it uses.
const CACHED: usize = 4096;

impl Default for RouteCache {
    fn default() -> Self {
        Self { places: (0..CACHED).map(|_| None).collect() }
    }
}

impl RouteCache {
    /// The route to `id`.
    #[inline]
    pub fn find(&mut self, id: AgentId, routes: &Routes) -> Option<&Route> {
        let place = &mut self.places[place(id)];
        if place.as_ref().is_none_or(|(cached, _)| *cached != id) {
            Self::fill(place, id, routes)?;
        }
        place.as_ref().map(|(_, route)| route)
    }

    #[cold]
    fn fill(place: &mut Option<(AgentId, Route)>, id: AgentId, routes: &Routes) -> Option<()> {
        *place = Some((id, routes.find(id)?));
        Some(())
    }

    /// Forgets one that led to a closed mailbox.
    pub fn forget(&mut self, id: AgentId) {
        self.places[place(id)].take_if(|(cached, _)| *cached == id);
    }
}

fn place(id: AgentId) -> usize {
    id.0 as usize % CACHED
}
