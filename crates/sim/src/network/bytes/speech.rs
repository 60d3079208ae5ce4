//! What a node says to another, until the session takes it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use dx_agents::Lane;
use dx_transport::outbox::{Outbox, Refusal};

/// See the module. In order within a lane.
#[derive(Default)]
pub(crate) struct Speech {
    /// By when it leaves: a step that takes long says what it says at its end.
    due: BTreeMap<(u64, u64), (Lane, Bytes)>,
    said: u64,
    /// What found no room in the session's queue.
    waiting: [VecDeque<Bytes>; 3],
    /// When the next turn of this side is, if one is asked for.
    pub turn: Option<u64>,
}

impl Speech {
    /// Something is said that leaves at `departs`.
    pub fn say(&mut self, departs: u64, lanes: &[Lane], frame: &Bytes) {
        for lane in lanes {
            self.said += 1;
            self.due.insert((departs, self.said), (*lane, frame.clone()));
        }
    }

    /// When the next of it is due.
    pub fn next_at(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Gives the session's queue what is due and fits.
    ///
    /// # Errors
    /// If the queue does not take a frame for another reason than want of room: nothing else is
    /// expected of a node that runs.
    pub fn give(&mut self, now: u64, outbox: &mut Outbox) -> Result<(), Refusal> {
        while let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= now) {
            let (lane, frame) = first.remove();
            self.waiting[lane as usize].push_back(frame);
        }
        for lane in Lane::ALL {
            let waiting = &mut self.waiting[lane as usize];
            while let Some(frame) = waiting.front() {
                match outbox.push_bytes(dx_transport::lane::Lane(lane as u8), frame.clone()) {
                    Ok(_) => drop(waiting.pop_front()),
                    Err(Refusal::Full { .. }) => break,
                    Err(refusal) => return Err(refusal),
                }
            }
        }
        Ok(())
    }
}
