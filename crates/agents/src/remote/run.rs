//! Several messages to one agent, as frames one after the other.

use crate::lane::Lane;
use crate::message::Body;
use crate::remote::parcel;
use crate::remote::wire::Head;

/// Messages that are encoded at once, at most.
const MAX_MESSAGES: usize = 64;

/// Bytes after which no further message is encoded, and memory that is kept.
const MAX_BYTES: usize = 64 * 1024;

/// Frames of one lane, in memory that is used again.
#[derive(Debug, Default)]
pub struct Run {
    /// Their lane.
    pub lane: Lane,
    bytes: Vec<u8>,
    /// Where each ends, and what it costs.
    ends: Vec<(usize, u64)>,
}

impl Run {
    /// Takes in the first of `messages`, as far as they are of one lane and can be encoded. How many
    /// those are.
    pub fn fill<'a>(&mut self, head: Head, messages: impl Iterator<Item = &'a Body>) -> usize {
        self.clear();
        for body in messages.take(MAX_MESSAGES) {
            if self.ends.is_empty() {
                self.lane = body.lane();
            }
            if body.lane() != self.lane || self.bytes.len() > MAX_BYTES {
                break;
            }
            match parcel::write(head, body, &mut self.bytes) {
                Ok(cost) => self.ends.push((self.bytes.len(), cost)),
                // Whoever sends it alone says so.
                Err(_) => break,
            }
        }
        self.ends.len()
    }

    /// The frames.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        starts.zip(&self.ends).map(|(start, (end, _))| &self.bytes[start..*end])
    }

    /// What each takes of its receiver's mailbox.
    pub fn costs(&self) -> impl Iterator<Item = u64> {
        self.ends.iter().map(|(_, cost)| *cost)
    }

    /// Without frames, and without more memory than most need.
    pub fn clear(&mut self) {
        self.ends.clear();
        self.bytes.clear();
        self.bytes.shrink_to(MAX_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use std::iter::once;

    use bytes::Bytes;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::id::AgentId;
    use crate::message::{MAX_MESSAGE, Message};
    use crate::remote::wire::Frame;

    #[derive(Serialize, Deserialize)]
    struct Load(u64, Lane, #[serde(skip)] Bytes);

    impl Message for Load {
        const NAME: &'static str = "test.load";

        fn lane(&self) -> Lane {
            self.1
        }

        fn body(&self) -> Bytes {
            self.2.clone()
        }
    }

    const HEAD: Head = Head::Tell { to: AgentId(1), from: AgentId(2) };

    fn load(number: u64, lane: Lane, bytes: usize) -> Body {
        Body::Typed(Box::new(Load(number, lane, Bytes::from(vec![7; bytes]))))
    }

    fn filled<'a>(messages: impl IntoIterator<Item = &'a Body>) -> Run {
        let mut run = Run::default();
        run.fill(HEAD, messages.into_iter());
        run
    }

    #[test]
    fn each_message_is_a_frame_with_its_cost() {
        let messages = [0, 300, 5].map(|bytes| load(1, Lane::Bulk, bytes));
        let run = filled(&messages);
        assert_eq!(run.lane, Lane::Bulk);
        for (frame, (cost, bytes)) in run.iter().zip(run.costs().zip([0, 300, 5])) {
            let Ok(Frame::Content(HEAD, content)) = Frame::read(frame) else { panic!("{frame:?}") };
            assert_eq!(content.body.len(), bytes);
            assert_eq!(cost as usize, content.value.len() + bytes);
        }
        assert_eq!(run.iter().count(), 3);
    }

    #[test]
    fn a_run_ends_with_its_lane_its_room_or_what_has_no_frame() {
        let plain = |number| load(number, Lane::Normal, 0);
        let many: Vec<Body> = (0..100).map(plain).collect();
        assert_eq!(filled(&many).iter().count(), MAX_MESSAGES);
        let large: Vec<Body> = (0..9).map(|it| load(it, Lane::Normal, MAX_BYTES / 2)).collect();
        assert_eq!(filled(&large).iter().count(), 2);
        for last in [load(9, Lane::Urgent, 0), load(9, Lane::Normal, MAX_MESSAGE)] {
            assert_eq!(filled(many[..5].iter().chain(once(&last))).iter().count(), 5);
            assert!(filled(once(&last).chain(&many[..5])).iter().count() < 2);
        }
        assert_eq!(filled([]).iter().count(), 0);
    }

    #[test]
    fn nothing_of_one_run_is_in_the_next() {
        let mut run = Run::default();
        let large = load(1, Lane::Bulk, 1 << 20);
        assert_eq!(run.fill(HEAD, once(&large)), 1);
        let small = load(2, Lane::Urgent, 0);
        assert_eq!(run.fill(HEAD, once(&small)), 1);
        assert_eq!((run.lane, run.iter().count()), (Lane::Urgent, 1));
        assert!(run.bytes.capacity() <= MAX_BYTES);
    }
}
