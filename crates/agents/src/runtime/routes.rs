//! Where each agent of this node is reached.

use std::sync::{Arc, PoisonError, RwLock};

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

/// All local agents.
#[derive(Default)]
pub struct Routes(RwLock<FxHashMap<AgentId, Route>>);

impl Routes {
    /// The route to `id`.
    pub fn find(&self, id: AgentId) -> Option<Route> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The bounds of an agent's mailbox, if it is there.
    #[cfg(feature = "mesh")]
    pub fn bounds(&self, id: AgentId) -> Option<crate::spec::MailboxBounds> {
        match self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id)? {
            Route::Agent(mailbox) => Some(*mailbox.bounds()),
            Route::Port(inlet) => Some(inlet.bounds()),
        }
    }

    /// Adds one. False, and nothing changes, if the id is taken.
    pub fn add(&self, id: AgentId, route: Route) -> bool {
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_free = !routes.contains_key(&id);
        if is_free {
            routes.insert(id, route);
        }
        is_free
    }

    /// Removes one.
    pub fn remove(&self, id: AgentId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Ends the questions of all ports: nobody is left to answer them.
    pub fn end_questions(&self) {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for route in routes.values() {
            if let Route::Port(inlet) = route {
                inlet.end();
            }
        }
    }

    /// All mailboxes, in the order of their agents' ids.
    pub fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mailbox = |route: &Route| match route {
            Route::Agent(mailbox) => Some(Arc::clone(mailbox)),
            Route::Port(_) => None,
        };
        let mut mailboxes: Vec<_> = routes.values().filter_map(mailbox).collect();
        mailboxes.sort_by_key(|mailbox| mailbox.id);
        mailboxes
    }
}

/// A worker's own view of the routes that it used: found without a lock.
///
/// Ids are never used twice, so a route never becomes wrong; that of an agent which ended leads to
/// a closed mailbox.
#[derive(Default)]
pub struct RouteCache {
    places: FxHashMap<AgentId, usize>,
    routes: Vec<Route>,
}

/// Routes that a worker remembers; beyond that it begins anew.
const MAX_CACHED: usize = 4096;

impl RouteCache {
    /// The route to `id`.
    #[inline]
    pub fn find(&mut self, id: AgentId, routes: &Routes) -> Option<&Route> {
        if let Some(&place) = self.places.get(&id) {
            return self.routes.get(place);
        }
        let route = routes.find(id)?;
        if self.routes.len() >= MAX_CACHED {
            self.places.clear();
            self.routes.clear();
        }
        self.places.insert(id, self.routes.len());
        self.routes.push(route);
        self.routes.last()
    }

    /// Forgets one that led to a closed mailbox.
    pub fn forget(&mut self, id: AgentId) {
        // Its route stays until the cache begins anew: places never move.
        self.places.remove(&id);
    }
}
