//! A peer that breaks the rules, frame by frame.

use dx_transport::frame::{FLAG_FIRST, HEADER, Header, Kind, write_varint};
use dx_transport::lane::Delivery::Reliable;
use dx_transport::lane::{Lane, LaneConfig};
use dx_transport::limits::{FRAME_CREDIT, MAX_FRAME};
use dx_transport::session::Violation;

use crate::world::{World, small_lanes};

const MAX_MESSAGE: usize = 1000;

fn lanes() -> Vec<LaneConfig> {
    let lanes = small_lanes(&[Reliable, Reliable]);
    lanes.into_iter().map(|lane| LaneConfig { max_message: MAX_MESSAGE, ..lane }).collect()
}

fn linked() -> World {
    linked_over(&lanes())
}

/// With lanes that take messages of several frames.
fn widely_linked() -> World {
    linked_over(&small_lanes(&[Reliable, Reliable]))
}

fn linked_over(lanes: &[LaneConfig]) -> World {
    let mut world = World::new(lanes, 1);
    world.link();
    world.settle();
    world
}

/// The first frame of lane 1.
fn header(kind: Kind, extra: usize) -> Header {
    Header { kind, lane: 1, flags: 0, len: 0, seq: 0, extra: extra as u32 }
}

/// The first end says this frame; returns what the second one objects to.
fn say(world: &mut World, header: Header, body: &[u8]) -> Option<Violation> {
    let header = Header { len: body.len() as u32, ..header };
    world.pipes[0][0].bytes.extend(header.encode());
    world.pipes[0][0].bytes.extend(body);
    world.deliver(0, 0, usize::MAX);
    world.ends[1].violations.last().cloned()
}

/// A batch of one message of `len` bytes.
fn batch(len: usize) -> Vec<u8> {
    let mut prefix = [0; 3];
    let used = write_varint(len, &mut prefix);
    [&prefix[..used], &vec![7; len]].concat()
}

#[test]
fn a_batch_hides_no_message_over_the_limit() {
    let malformed = Violation::MalformedMessages(Lane(1));
    assert_eq!(say(&mut linked(), header(Kind::Batch, 1), &batch(MAX_MESSAGE)), None);
    let refused = say(&mut linked(), header(Kind::Batch, 1), &batch(MAX_MESSAGE + 1));
    assert_eq!(refused, Some(malformed));
}

#[test]
fn a_batch_holds_exactly_the_messages_it_claims() {
    let malformed = Violation::MalformedMessages(Lane(1));
    for (claimed, body) in
        [(0, &b""[..]), (0, b"\x01a"), (2, b"\x01a"), (1, b"\x01a\x01b"), (1, b"\x02a")]
    {
        let refused = say(&mut linked(), header(Kind::Batch, claimed), body);
        assert_eq!(refused.as_ref(), Some(&malformed), "{claimed} messages in {body:?}");
    }
}

#[test]
fn a_message_over_the_limit_is_refused_before_it_has_come() {
    let too_long = |len| Violation::MessageTooLong { lane: Lane(1), len, limit: MAX_MESSAGE };
    assert_eq!(say(&mut linked(), header(Kind::Data, 0), &[7; MAX_MESSAGE]), None);
    let refused = say(&mut linked(), header(Kind::Data, 0), &[7; MAX_MESSAGE + 1]);
    assert_eq!(refused, Some(too_long(MAX_MESSAGE + 1)));
    let first = Header { flags: FLAG_FIRST, ..header(Kind::Fragment, 1 << 30) };
    let mut world = linked();
    assert_eq!(say(&mut world, first, b"first piece"), Some(too_long(1 << 30)));
    assert_eq!(world.ends[1].session.stats().lanes[1].assembly_bytes, 0);
}

#[test]
fn more_than_was_granted_is_refused() {
    let mut world = linked();
    let mut seq = 0;
    let over = loop {
        let header = Header { seq, ..header(Kind::Data, 0) };
        if let Some(violation) = say(&mut world, header, &[7; MAX_MESSAGE]) {
            break violation;
        }
        seq += 1;
    };
    assert!(matches!(over, Violation::OverCredit { lane: Lane(1), .. }), "{over}");
    assert_eq!(seq as usize, 256 * 1024 / (MAX_MESSAGE + FRAME_CREDIT));
}

#[test]
fn tiny_frames_take_more_credit_than_their_bytes() {
    let mut world = linked();
    let mut frames = 0;
    while say(&mut world, Header { seq: frames, ..header(Kind::Batch, 1) }, &batch(0)).is_none() {
        frames += 1;
    }
    assert_eq!(frames as usize, 256 * 1024 / (1 + FRAME_CREDIT));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_refused() {
    let mut world = linked();
    world.send(1, 1, 10);
    world.transmit(1);
    let numbers = [2_u64, 1 << 20].into_iter().flat_map(u64::to_le_bytes);
    let body: Vec<u8> = [1].into_iter().chain(numbers).collect();
    let beyond = Violation::AckBeyondSent { lane: Lane(1), acked: 2, sent: 1 };
    assert_eq!(say(&mut world, Header::control(Kind::Ack, 0), &body), Some(beyond));
    assert!(!world.ends[1].session.is_drained(&world.ends[1].outbox));
}

#[test]
fn a_frame_that_comes_twice_counts_once() {
    let mut world = linked();
    for body in [&b"one"[..], b"two", b"one", b"two", b"three"] {
        let seq = if body == b"one" {
            0
        } else if body == b"two" {
            1
        } else {
            2
        };
        assert_eq!(say(&mut world, Header { seq, ..header(Kind::Data, 0) }, body), None);
    }
    let received: Vec<_> = world.ends[1].received[1].iter().map(|(n, m)| (*n, &m[..])).collect();
    assert_eq!(received, [(0, &b"one"[..]), (1, b"two"), (2, b"three")]);
    assert_eq!(world.ends[1].session.stats().lanes[1].duplicate_frames, 2);
}

#[test]
fn no_message_is_free_of_credit() {
    let malformed = Violation::MalformedMessages(Lane(1));
    assert_eq!(say(&mut linked(), header(Kind::Batch, 1), &batch(0)), None);
    assert_eq!(say(&mut linked(), header(Kind::Data, 0), &[]), Some(malformed));
}

#[test]
fn a_refused_fragment_leaves_nothing_behind() {
    let misplaced = Violation::MisplacedFragment(Lane(1));
    for (total, body) in [(0, &b""[..]), (5, b"cut"), (MAX_FRAME + 1, b"")] {
        let mut world = widely_linked();
        let header = Header { flags: FLAG_FIRST, ..header(Kind::Fragment, total) };
        assert_eq!(say(&mut world, header, body), Some(misplaced.clone()));
        world.send(0, 1, 10);
        world.settle();
        assert_eq!(world.ends[1].received[1].len(), 1);
    }
}

#[test]
fn a_fragment_cut_short_may_be_followed_by_something_else() {
    let mut world = widely_linked();
    let first = Header { flags: FLAG_FIRST, len: 5, ..header(Kind::Fragment, MAX_FRAME + 1) };
    world.pipes[0][0].bytes.extend(first.encode());
    world.deliver(0, 0, usize::MAX);
    world.link();
    world.send(0, 1, 10);
    world.settle();
    assert_eq!(world.ends[1].received[1].len(), 1);
    assert_eq!(world.ends[1].violations, []);
}

#[test]
fn a_claim_of_absurd_losses_overflows_no_counter() {
    let mut world = linked();
    world.ends[1].end_session();
    world.link();
    world.transmit(0);
    // The last numbers of a SYNC are the messages sent in the session before, per lane.
    let sync = &mut world.pipes[0][0].bytes;
    let len = HEADER + Header::decode(&std::array::from_fn(|at| sync[at])).unwrap().len as usize;
    sync.range_mut(len - 16..len).for_each(|byte| *byte = u8::MAX);
    world.deliver(0, 0, usize::MAX);
    world.settle();
    assert_eq!(world.ends[1].session.stats().lanes[1].lost_messages, u64::MAX);
    world.send(1, 1, 10);
    world.transmit(1);
    world.ends[1].end_session();
    assert_eq!(world.ends[1].session.stats().lanes[1].lost_messages, u64::MAX);
}
