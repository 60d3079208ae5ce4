//! Where each agent of this node is reached.

use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Whether any of them has an id of another node: a port can have any.
    has_foreign: AtomicBool,
}

impl Routes {
    /// Those of `node`: none yet.
    pub fn of(node: NodeId) -> Self {
        Self { node, agents: RwLock::default(), has_foreign: AtomicBool::new(false) }
    }

    /// The route to `id`.
    pub fn find(&self, id: AgentId) -> Option<Route> {
        if self.is_foreign(id) && !self.has_foreign.load(Ordering::Acquire) {
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
            self.has_foreign.fetch_or(self.is_foreign(id), Ordering::Release);
            routes.insert(id, route);
        }
        is_free
    }

    fn is_foreign(&self, id: AgentId) -> bool {
        id.spawned_by().is_some_and(|node| node != self.node)
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
/// Agents' ids are never used twice, so a route to one never becomes wrong; that of an agent which
/// ended leads to a closed mailbox. Each id has one place: agents that were spawned one after the
/// other have places one after the other. There are more places once two want the same.
pub struct RouteCache {
    places: Box<[Option<(AgentId, Route)>]>,
}

/// Places at the beginning, and at most: 96 KiB.
const PLACES: (usize, usize) = (64, 4096);

impl Default for RouteCache {
    fn default() -> Self {
        Self { places: empty(PLACES.0) }
    }
}

impl RouteCache {
    /// The route to `id`.
    #[inline]
    pub fn find(&mut self, id: AgentId, routes: &Routes) -> Option<&Route> {
        let mut place = self.place(id);
        if self.places[place].as_ref().is_none_or(|(cached, _)| *cached != id) {
            self.fill(id, routes.find(id)?);
            place = self.place(id);
        }
        self.places[place].as_ref().map(|(_, route)| route)
    }

    #[cold]
    fn fill(&mut self, id: AgentId, route: Route) {
        while self.places[self.place(id)].is_some() && self.places.len() < PLACES.1 {
            let more = empty(2 * self.places.len());
            for (cached, route) in std::mem::replace(&mut self.places, more).into_iter().flatten() {
                self.places[self.place(cached)] = Some((cached, route));
            }
        }
        self.places[self.place(id)] = Some((id, route));
    }

    /// Forgets one that led to a closed mailbox.
    pub fn forget(&mut self, id: AgentId) {
        self.places[self.place(id)].take_if(|(cached, _)| *cached == id);
    }

    fn place(&self, id: AgentId) -> usize {
        // The count of places is a power of two.
        id.0 as usize & (self.places.len() - 1)
    }
}

fn empty(places: usize) -> Box<[Option<(AgentId, Route)>]> {
    (0..places).map(|_| None).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::MailboxBounds;

    const HERE: NodeId = NodeId(1);

    /// Routes to these.
    fn to(ids: &[AgentId]) -> Routes {
        let routes = Routes::of(HERE);
        for id in ids {
            let inlet = Arc::new(Inlet::new(MailboxBounds::DEFAULT));
            assert!(routes.add(*id, Route::Port(inlet)));
        }
        routes
    }

    fn leads_to(found: Option<&Route>, routes: &Routes, id: AgentId) -> bool {
        match (found, routes.find(id)) {
            (Some(Route::Port(found)), Some(Route::Port(inlet))) => Arc::ptr_eq(found, &inlet),
            _ => false,
        }
    }

    #[test]
    fn of_another_node_only_what_is_here_all_the_same_is_found() {
        let (own, foreign) = (AgentId::dynamic(HERE, 300), AgentId::dynamic(NodeId(2), 300));
        assert!(to(&[own]).find(foreign).is_none());
        assert!(to(&[own, foreign]).find(foreign).is_some());
    }

    #[test]
    fn each_id_leads_to_its_own_however_many_want_one_place() {
        let step = PLACES.1 as u64 / 4;
        let ids: Vec<AgentId> = (0..40).map(|at| AgentId(7 + at * step)).collect();
        let routes = to(&ids);
        let mut cache = RouteCache::default();
        for id in ids.iter().chain(&ids) {
            assert!(leads_to(cache.find(*id, &routes), &routes, *id), "{id}");
        }
        assert_eq!(cache.places.len(), PLACES.1);
        cache.forget(ids[39]);
        routes.remove(ids[39]);
        assert!(cache.find(ids[39], &routes).is_none());
    }

    #[test]
    fn who_talks_to_few_remembers_few() {
        let ids: Vec<AgentId> =
            (0..PLACES.0 as u64).map(|at| AgentId::dynamic(HERE, 256 + at as u32)).collect();
        let routes = to(&ids);
        let mut cache = RouteCache::default();
        assert!(ids.iter().all(|id| leads_to(cache.find(*id, &routes), &routes, *id)));
        assert_eq!(cache.places.len(), PLACES.0);
    }
}
