//! The session under a hostile link: pure, no socket and no clock.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

#[path = "session/hostile.rs"]
mod hostile;
#[path = "session/world.rs"]
mod world;

use std::time::Duration;

use dx_transport::lane::Delivery::{AtMostOnce, Reliable};
use dx_transport::lane::{Lane, LaneConfig};
use dx_transport::limits::{FRAME_CREDIT, MAX_FRAME, MIN_WINDOW};
use dx_transport::session::{CloseCode, Direction, Lost, Signal, Timeout};
use proptest::prelude::*;
use world::{World, small_lanes};

fn two_reliable() -> Vec<LaneConfig> {
    small_lanes(&[Reliable, Reliable])
}

fn two_with_wide_windows() -> Vec<LaneConfig> {
    let wide = |lane| LaneConfig { window_bytes: 1 << 20, ..lane };
    two_reliable().into_iter().map(wide).collect()
}

/// Everything accepted on reliable lanes has arrived exactly once and in order.
fn assert_all_arrived(world: &World, lanes: &[LaneConfig]) {
    for end in 0..2 {
        for lane in 0..lanes.len() {
            let sent = &world.ends[end].sent[lane];
            let received = &world.ends[1 - end].received[lane];
            let payloads: Vec<_> = received.iter().map(|(_, payload)| payload.clone()).collect();
            assert!(payloads == *sent, "lane {lane}: {} of {} arrived", payloads.len(), sent.len());
            assert!(
                received.iter().enumerate().all(|(index, (number, _))| index as u64 == *number)
            );
        }
    }
}

#[test]
fn messages_arrive_in_order_and_whole() {
    for channels in [1, 2] {
        let mut world = World::new(&two_reliable(), channels);
        world.link();
        for len in [0, 1, 64, 4096, 4097, MAX_FRAME, MAX_FRAME + 1, 300_000] {
            assert!(world.send(0, 1, len));
            assert!(world.send(1, 0, len));
            world.settle();
        }
        assert_all_arrived(&world, &two_reliable());
        assert!(world.ends.iter().all(|end| end.lost.is_empty() && end.violations.is_empty()));
    }
}

#[test]
fn a_broken_link_loses_nothing_and_repeats_nothing() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    for round in 0..200 {
        world.send(0, round % 2, 1 + round * 797 % 90_000);
        world.transmit(0);
        world.transmit(1);
        world.deliver(1, 0, round * 13);
        world.deliver(0, 0, round * 541);
        world.consume(1, round % 2);
        if round % 7 == 0 {
            world.link();
        }
    }
    world.settle();
    assert_all_arrived(&world, &two_reliable());
    assert!(world.ends[0].session.stats().lanes[0].replayed_frames > 0);
    assert!(world.ends[0].attached.iter().skip(1).all(|attached| attached.resumed));
}

#[test]
fn a_slow_lane_stops_at_its_window_and_the_other_flows() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    while world.send(0, 1, 10_000) {
        world.transmit(0);
        world.deliver(0, 0, usize::MAX);
        world.transmit(1);
        world.deliver(1, 0, usize::MAX);
        let held = world.ends[1].held[1];
        assert!(held <= 256 * 1024, "{held} bytes are held");
    }
    assert!(world.ends[0].session.stats().lanes[1].credit_stalls > 0);
    assert!(world.send(0, 0, 100));
    world.transmit(0);
    world.deliver(0, 0, usize::MAX);
    assert_eq!(world.ends[1].received[0].len(), 1);
    world.settle();
    assert_all_arrived(&world, &two_reliable());
}

#[test]
fn a_peer_that_acknowledges_nothing_stops_its_sender_at_the_replay_bound() {
    let lanes = two_with_wide_windows();
    let mut world = World::new(&lanes, 1);
    world.link();
    world.settle();
    while world.send(0, 1, 10_000) {
        world.transmit(0);
    }
    let stats = world.ends[0].session.stats().lanes[1];
    assert!(stats.unacked_bytes <= 256 * 1024, "{} bytes are kept", stats.unacked_bytes);
    assert!(stats.replay_stalls > 0);
    world.settle();
    assert_all_arrived(&world, &lanes);
}

#[test]
fn a_peer_that_grants_credit_and_acknowledges_nothing_piles_up_no_tiny_frames() {
    let lanes = two_with_wide_windows();
    let mut world = World::new(&lanes, 1);
    world.link();
    world.settle();
    // A batch of one message of one byte has a body of two.
    let bound = 256 * 1024 / (2 + FRAME_CREDIT);
    for _ in 0..2 * bound {
        assert!(world.send(0, 1, 1));
        world.transmit(0);
    }
    let stats = world.ends[0].session.stats().lanes[1];
    assert_eq!((stats.sent_frames, stats.replay_stalls), (bound as u64, 1));
    world.settle();
    assert_all_arrived(&world, &lanes);
}

#[test]
fn a_small_frame_between_fragments_disturbs_neither() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    world.send(0, 1, 150_000);
    // One filling takes two fragments; what comes between them and the third is read with it.
    world.transmit(0);
    world.deliver(0, 0, 1000);
    world.send(0, 0, 10);
    world.transmit(0);
    while world.deliver(0, 0, usize::MAX) > 0 {}
    assert_all_arrived(&world, &two_reliable());
    assert_eq!(world.ends[1].violations, []);
}

#[test]
fn nothing_is_drained_before_it_is_acknowledged() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    let is_drained = |world: &World| world.ends[0].session.is_drained(&world.ends[0].outbox);
    assert!(is_drained(&world));
    world.send(0, 1, 10);
    assert!(!is_drained(&world));
    world.transmit(0);
    assert!(world.ends[0].outbox.is_empty() && !is_drained(&world));
    world.settle();
    assert!(is_drained(&world));
}

#[test]
fn the_least_window_never_blocks_for_good() {
    let least = |lane| LaneConfig { window_bytes: MIN_WINDOW, ..lane };
    let lanes: Vec<_> = two_reliable().into_iter().map(least).collect();
    for first in [1, 30_000, MIN_WINDOW / 2 - FRAME_CREDIT - 1] {
        let mut world = World::new(&lanes, 1);
        world.link();
        world.settle();
        world.send(0, 1, first);
        world.transmit(0);
        world.deliver(0, 0, usize::MAX);
        // Acknowledged first and taken later: too little to be worth a grant of its own.
        world.advance(Duration::from_millis(50));
        world.transmit(1);
        world.deliver(1, 0, usize::MAX);
        world.consume(1, 1);
        world.send(0, 1, MAX_FRAME);
        world.settle();
        assert_all_arrived(&world, &lanes);
    }
}

#[test]
fn control_overtakes_a_large_message_at_the_next_frame() {
    // Nothing but the order of lanes may stop the large message.
    let wide = |lane| LaneConfig { replay_bytes: 1 << 20, ..lane };
    let lanes: Vec<_> = two_with_wide_windows().into_iter().map(wide).collect();
    let mut world = World::new(&lanes, 1);
    world.link();
    world.settle();
    world.send(0, 1, 500_000);
    world.transmit(0);
    world.send(0, 0, 10);
    world.transmit(0);
    while world.deliver(0, 0, usize::MAX) > 0 {}
    let received: Vec<usize> = world.ends[1].received.iter().map(Vec::len).collect();
    assert_eq!(received, [1, 0], "the large message is still on its way");
    world.settle();
    assert_all_arrived(&world, &two_reliable());
}

#[test]
fn an_at_most_once_lane_reports_exactly_what_never_came() {
    let lanes = small_lanes(&[Reliable, AtMostOnce]);
    let mut world = World::new(&lanes, 1);
    world.link();
    world.settle();
    for _ in 0..3 {
        world.send(0, 1, 100);
        world.settle();
    }
    world.send(0, 1, 100);
    world.send(0, 1, 150_000);
    world.transmit(0);
    world.cut();
    world.send(0, 1, 100);
    world.settle();
    let numbers: Vec<u64> = world.ends[1].received[1].iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1, 2, 5]);
    let expected = Lost { lane: Lane(1), from: 3, to: 5, direction: Direction::Received };
    assert_eq!(world.ends[1].lost, [expected]);
}

#[test]
fn an_ended_session_reports_its_loss_on_both_sides_and_never_replays() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    world.send(0, 1, 100);
    world.settle();
    for _ in 0..4 {
        world.send(0, 1, 5000);
    }
    world.transmit(0);
    world.cut();
    world.ends[0].end_session();
    world.send(0, 1, 7);
    world.settle();
    let lost = |direction| Lost { lane: Lane(1), from: 1, to: 5, direction };
    assert_eq!(world.ends[0].lost, [lost(Direction::Sent)]);
    assert_eq!(world.ends[1].lost, [lost(Direction::Received)]);
    let received: Vec<_> = world.ends[1].received[1].iter().map(|(n, m)| (*n, m.len())).collect();
    assert_eq!(received, [(0, 100), (0, 7)]);
    assert!(!world.ends[1].attached.last().unwrap().resumed);
}

#[test]
fn whoever_hears_the_other_first_still_says_what_it_sent_before() {
    for breaks in [0, 1] {
        let mut world = World::new(&two_reliable(), 1);
        world.link();
        world.settle();
        world.send(0, 1, 5000);
        world.transmit(0);
        world.cut();
        world.ends[0].end_session();
        for _ in 0..breaks {
            // The peer's SYNC arrives, and ours is lost with the link.
            world.link();
            world.transmit(1);
            world.deliver(1, 0, usize::MAX);
            world.transmit(0);
        }
        world.link();
        world.transmit(1);
        world.deliver(1, 0, usize::MAX);
        world.settle();
        let lost = |direction| Lost { lane: Lane(1), from: 0, to: 1, direction };
        assert_eq!(world.ends[0].lost, [lost(Direction::Sent)]);
        assert_eq!(world.ends[1].lost, [lost(Direction::Received)], "after {breaks} broken links");
    }
}

#[test]
fn a_session_in_which_the_peer_never_spoke_does_not_hide_the_one_before() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    world.send(0, 1, 5000);
    world.transmit(0);
    world.cut();
    world.ends[0].end_session();
    world.link();
    world.cut();
    world.ends[1].end_session();
    world.settle();
    let lost = |direction| Lost { lane: Lane(1), from: 0, to: 1, direction };
    assert_eq!(world.ends[0].lost, [lost(Direction::Sent)]);
    assert_eq!(world.ends[1].lost, [lost(Direction::Received)]);
}

#[test]
fn a_receiver_that_got_nothing_of_a_session_reports_all_of_it() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    for _ in 0..2 {
        world.send(0, 1, 5000);
        world.transmit(0);
        world.cut();
        world.ends[0].end_session();
        world.settle();
    }
    let lost = Lost { lane: Lane(1), from: 0, to: 1, direction: Direction::Received };
    assert_eq!(world.ends[1].lost, [lost; 2]);
}

#[test]
fn a_peer_that_offers_no_replay_is_not_acknowledged_for_ever() {
    let lane = |lane: LaneConfig| LaneConfig { replay_bytes: 0, ..lane };
    let lanes: Vec<LaneConfig> = two_reliable().into_iter().map(lane).collect();
    let mut world = World::new(&lanes, 1);
    world.link();
    world.settle();
    assert!(!world.transmit(0) && !world.transmit(1), "there is always something to say");
}

#[test]
fn a_session_without_a_link_ends_after_its_time() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    world.send(0, 1, 10);
    world.transmit(0);
    world.cut();
    let nonce = world.ends[0].session.nonce();
    world.advance(Duration::from_secs(59));
    assert_eq!(world.ends[0].session.nonce(), nonce);
    world.advance(Duration::from_secs(2));
    assert_ne!(world.ends[0].session.nonce(), nonce);
    assert_eq!(world.ends[0].lost.len(), 1);
}

#[test]
fn silence_breaks_the_link_but_an_own_stall_does_not() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    world.advance(Duration::from_secs(30));
    assert!(world.is_linked, "the stall of this process was held against the peer");
    assert!(world.ends[0].session.stats().stalled >= Duration::from_secs(25));
    let mut steps = 0;
    while world.is_linked {
        world.transmit(0);
        world.transmit(1);
        world.pipes.iter_mut().flatten().for_each(world::Pipe::clear);
        world.advance(Duration::from_millis(50));
        steps += 1;
        assert!(steps < 100, "a silent link was never given up");
    }
    assert!(steps > 30, "given up after {steps} steps of 50 ms");
}

#[test]
fn a_peer_that_neither_reads_nor_talks_is_given_up_in_time() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    let start = world.now;
    while world.is_linked {
        // Its link takes no bytes, so nothing that is due can be done.
        world.advance(Duration::from_millis(10));
        assert!(world.now.since(start) < Duration::from_secs(4), "a silent link was not given up");
    }
}

#[test]
fn a_stall_does_not_put_off_the_end_of_a_later_silence() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    world.send(0, 1, 10);
    world.transmit(0);
    world.now = world.now + Duration::from_mins(1);
    world.deliver(0, 0, usize::MAX);
    let heard = world.now;
    while world.ends[1].session.on_timeout(world.now) != Timeout::LinkSilent {
        world.transmit(1);
        world.now = world.now + Duration::from_millis(10);
        assert!(world.now.since(heard) < Duration::from_secs(4), "a silent link was not given up");
    }
}

#[test]
fn idle_links_ping_and_measure_the_round_trip() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    for _ in 0..100 {
        world.advance(Duration::from_millis(40));
        world.transmit(0);
        world.transmit(1);
        world.now = world.now + Duration::from_millis(3);
        world.deliver(0, 0, usize::MAX);
        world.deliver(1, 0, usize::MAX);
    }
    assert!(world.is_linked);
    let rtt = world.ends.each_ref().map(|end| end.session.stats().rtt);
    assert!(rtt.iter().flatten().all(|rtt| (6..100).contains(&rtt.as_millis())), "{rtt:?}");
    assert!(rtt.iter().any(Option::is_some));
}

#[test]
fn no_message_follows_a_close_and_what_comes_is_still_acknowledged() {
    let mut world = World::new(&two_reliable(), 1);
    world.link();
    world.settle();
    world.send(0, 1, 100);
    for _ in 0..3 {
        world.ends[0].session.go_away();
        world.transmit(0);
    }
    world.ends[0].session.close(CloseCode::Drained, "bye");
    world.transmit(0);
    assert!(world.ends[0].session.is_closed());
    world.send(0, 1, 100);
    assert!(!world.transmit(0));
    world.deliver(0, 0, usize::MAX);
    let closed = Signal::Closed { code: CloseCode::Drained, reason: "bye".into() };
    assert_eq!(world.ends[1].signals[1..], [Signal::GoAway, closed]);
    assert_eq!(world.ends[1].received[1].len(), 1);

    world.send(1, 1, 100);
    world.transmit(1);
    world.deliver(1, 0, usize::MAX);
    world.advance(Duration::from_millis(20));
    assert!(world.transmit(0));
    world.deliver(0, 0, usize::MAX);
    assert!(world.ends[1].session.is_drained(&world.ends[1].outbox));
}

#[derive(Clone, Debug)]
enum Step {
    Send { end: usize, lane: usize, len: usize },
    Transmit { end: usize },
    Deliver { end: usize, channel: usize, count: usize },
    Consume { end: usize, lane: usize },
    Cut,
    Link,
    Duplicate { end: usize, channel: usize, index: usize },
    Swap { end: usize, channel: usize, index: usize },
    Advance { ms: u64 },
}

fn lens() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0usize..200,
        2 => 4000usize..4200,
        2 => MAX_FRAME - 8..MAX_FRAME + 8,
        1 => 0usize..200_000,
    ]
}

fn counts() -> impl Strategy<Value = usize> {
    prop_oneof![2 => 1usize..40, 2 => 1usize..70_000, 2 => Just(usize::MAX)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = || 0usize..2;
    let lane = || 0usize..3;
    let step = prop_oneof![
        6 => (end(), lane(), lens()).prop_map(|(end, lane, len)| Step::Send { end, lane, len }),
        6 => end().prop_map(|end| Step::Transmit { end }),
        8 => (end(), lane(), counts()).prop_map(|(end, channel, count)| Step::Deliver { end, channel, count }),
        3 => (end(), lane()).prop_map(|(end, lane)| Step::Consume { end, lane }),
        1 => Just(Step::Cut),
        2 => Just(Step::Link),
        1 => (end(), lane(), 0usize..8).prop_map(|(end, channel, index)| Step::Duplicate { end, channel, index }),
        1 => (end(), lane(), 0usize..8).prop_map(|(end, channel, index)| Step::Swap { end, channel, index }),
        2 => (1u64..300).prop_map(|ms| Step::Advance { ms }),
    ];
    proptest::collection::vec(step, 1..60)
}

fn run(world: &mut World, steps: &[Step]) {
    let channel_of = |channel: usize, world: &World| channel % world.channels;
    for step in steps {
        match *step {
            Step::Send { end, lane, len } => drop(world.send(end, lane, len)),
            Step::Transmit { end } => drop(world.transmit(end)),
            Step::Deliver { end, channel, count } => {
                let channel = channel_of(channel, world);
                world.deliver(end, channel, count);
            }
            Step::Consume { end, lane } => world.consume(end, lane),
            Step::Cut => world.cut(),
            Step::Link => world.link(),
            Step::Duplicate { end, channel, index } => {
                let channel = channel_of(channel, world);
                world.duplicate_frame(end, channel, index);
            }
            Step::Swap { end, channel, index } => {
                let channel = channel_of(channel, world);
                world.swap_frames(end, channel, index);
            }
            Step::Advance { ms } => world.advance(Duration::from_millis(ms)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, max_shrink_iters: 5000, ..ProptestConfig::default() })]

    #[test]
    fn reliable_lanes_deliver_everything_once_and_in_order(steps in steps(), channels in prop_oneof![Just(1usize), Just(3)]) {
        let lanes = small_lanes(&[Reliable, Reliable, Reliable]);
        let mut world = World::new(&lanes, channels);
        world.link();
        run(&mut world, &steps);
        world.settle();
        assert_all_arrived(&world, &lanes);
        for end in &world.ends {
            prop_assert!(end.lost.is_empty(), "{:?}", end.lost);
        }
    }

    #[test]
    fn at_most_once_lanes_deliver_in_order_and_report_every_gap(steps in steps(), channels in prop_oneof![Just(1usize), Just(3)]) {
        let lanes = small_lanes(&[AtMostOnce, AtMostOnce, AtMostOnce]);
        let mut world = World::new(&lanes, channels);
        world.link();
        run(&mut world, &steps);
        world.settle();
        // A link made at the end reports what the last one swallowed.
        world.link();
        world.settle();
        for end in 0..2 {
            for lane in 0..lanes.len() {
                let sent = &world.ends[end].sent[lane];
                let mut lost: Vec<u64> = Vec::new();
                for range in world.ends[1 - end].lost.iter().filter(|lost| lost.lane.index() == lane) {
                    prop_assert_eq!(range.direction, Direction::Received);
                    lost.extend(range.from..range.to);
                }
                let mut all: Vec<u64> = lost;
                for (number, payload) in &world.ends[1 - end].received[lane] {
                    prop_assert_eq!(payload, &sent[*number as usize]);
                    all.push(*number);
                }
                all.sort_unstable();
                prop_assert_eq!(all, (0..sent.len() as u64).collect::<Vec<_>>());
            }
        }
    }
}
