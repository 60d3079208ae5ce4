//! Places for connections that have not proven who they are, shared out among the networks that
//! these come from.
//!
//! While there are places, whoever comes gets one. When there are none, a caller gets that of the
//! network which holds the most of them, unless that is its own: each has an equal share, and what
//! others do not use of theirs until they do. So one host cannot keep all others out, and the many
//! nodes of one host may use all places where nobody else wants any.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::mesh::rate_limit::network;
use crate::mesh::waiters::lock;

/// All places of a mesh.
#[derive(Debug)]
pub(crate) struct Places {
    capacity: usize,
    holders: Mutex<Holders>,
}

/// A place, until it is dropped or another caller gets it.
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    displaced: oneshot::Receiver<Infallible>,
}

/// Who has a place, by age: numbers grow.
#[derive(Debug, Default)]
struct Holders {
    next: u64,
    held: BTreeMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    network: Option<IpAddr>,
    /// Dropped to take the place away.
    _lease: oneshot::Sender<Infallible>,
}

impl Places {
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity: capacity.max(1), holders: Mutex::default() })
    }

    /// A place for a caller from `from`; those without an address count as one.
    pub(crate) fn take(self: &Arc<Self>, from: Option<IpAddr>) -> Option<Place> {
        let network = from.map(network);
        let mut holders = lock(&self.holders);
        if holders.held.len() >= self.capacity {
            let yields = holders.yields_to(network)?;
            holders.held.remove(&yields);
        }
        let (lease, displaced) = oneshot::channel();
        let number = holders.next;
        holders.next += 1;
        holders.held.insert(number, Holder { network, _lease: lease });
        Some(Place { places: self.clone(), number, displaced })
    }

    /// Places that are taken now.
    pub(crate) fn taken(&self) -> usize {
        lock(&self.holders).held.len()
    }

    /// Whether they run short: more than half of them are taken.
    pub(crate) fn are_short(&self) -> bool {
        self.taken() * 2 > self.capacity
    }
}

impl Holders {
    /// The oldest place of the network that holds the most, if that still holds no less than
    /// `network` when each has one of the two in question.
    fn yields_to(&self, network: Option<IpAddr>) -> Option<u64> {
        let mut counts = BTreeMap::<_, usize>::new();
        for holder in self.held.values() {
            *counts.entry(holder.network).or_default() += 1;
        }
        let own = counts.get(&network).copied().unwrap_or(0);
        let (greatest, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let oldest = || self.held.iter().find(|(_, holder)| holder.network == greatest);
        oldest().filter(|_| most > own + 1).map(|(number, _)| *number)
    }
}

impl Place {
    /// Ready when another caller has got the place.
    pub(crate) async fn displaced(&mut self) {
        // It never yields a value, only the end.
        let _ = (&mut self.displaced).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.places.holders).held.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &Arc<Places>, from: &str) -> Option<Place> {
        places.take(Some(from.parse().unwrap()))
    }

    fn is_displaced(place: &mut Place) -> bool {
        matches!(place.displaced.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn one_network_may_hold_all_places_until_another_one_calls() {
        let places = Places::new(4);
        let mut greedy: Vec<_> = (0..4).map(|_| take(&places, "192.0.2.1").unwrap()).collect();
        assert!(take(&places, "192.0.2.1").is_none());
        let mut modest: Vec<_> = (0..2).map(|_| take(&places, "192.0.2.2").unwrap()).collect();
        let displaced: Vec<_> = greedy.iter_mut().map(is_displaced).collect();
        assert_eq!(displaced, [true, true, false, false], "the oldest go first");
        assert!(take(&places, "192.0.2.2").is_none(), "both have their share");
        assert!(!modest.iter_mut().any(is_displaced));
        assert_eq!(places.taken(), 4);
    }

    #[test]
    fn a_64_bit_network_is_one_caller() {
        let places = Places::new(2);
        let _held = [take(&places, "2001:db8::1"), take(&places, "2001:db8::2")];
        assert!(take(&places, "2001:db8::3").is_none());
        assert!(take(&places, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn a_place_is_free_again_once_and_not_before_it_is_dropped() {
        let places = Places::new(2);
        let mut held: Vec<_> = (0..2).map(|_| take(&places, "192.0.2.1").unwrap()).collect();
        let other = places.take(None).unwrap();
        assert!(is_displaced(&mut held[0]));
        drop(held.remove(0));
        assert_eq!(places.taken(), 2, "it was given away already");
        drop(other);
        assert_eq!(places.taken(), 1);
    }

    #[test]
    fn places_are_short_when_more_than_half_are_taken() {
        let places = Places::new(4);
        let taken: Vec<_> = (0..3)
            .map(|_| {
                let place = places.take(None);
                (place, places.are_short())
            })
            .collect();
        let are_short: Vec<_> = taken.iter().map(|(_, are_short)| *are_short).collect();
        assert_eq!(are_short, [false, false, true]);
    }
}
