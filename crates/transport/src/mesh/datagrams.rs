//! Datagrams that were received and not yet taken by the application.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;

use crate::id::NodeId;
use crate::lane::LaneSet;
use crate::mesh::waiters::{Awaited, Waiters, lock, wait_for, wake_all};

/// A bounded queue: datagrams are best effort, so that the oldest give way.
#[derive(Debug)]
pub(crate) struct Datagrams {
    state: Mutex<State>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(NodeId, Bytes)>,
    waiters: Waiters,
}

impl Awaited for State {
    fn waiters(&mut self) -> &mut Waiters {
        &mut self.waiters
    }
}

impl Datagrams {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), capacity: capacity.max(1) }
    }

    /// Appends a datagram; returns whether an older one was dropped for it.
    pub(crate) fn push(&self, from: NodeId, datagram: Bytes) -> bool {
        let mut woken = Vec::new();
        let is_over = {
            let mut state = lock(&self.state);
            state.queue.push_back((from, datagram));
            state.waiters.take(LaneSet::ALL, &mut woken);
            let is_over = state.queue.len() > self.capacity;
            if is_over {
                state.queue.pop_front();
            }
            is_over
        };
        wake_all(&mut woken);
        is_over
    }

    pub(crate) async fn recv(&self) -> (NodeId, Bytes) {
        wait_for(&self.state, LaneSet::ALL, |state| state.queue.pop_front()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_datagram_gives_way() {
        let datagrams = Datagrams::new(2);
        let dropped: Vec<bool> =
            (0..3).map(|from| datagrams.push(NodeId(from), Bytes::new())).collect();
        assert_eq!(dropped, [false, false, true]);
        let left: Vec<u32> = lock(&datagrams.state).queue.iter().map(|(from, _)| from.0).collect();
        assert_eq!(left, [1, 2]);
    }
}
