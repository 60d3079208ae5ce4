//! Peers that are slower than their senders.

use bytes::Bytes;
use dx_transport::id::NodeId;
use dx_transport::lane::{Lane, LaneConfig, Overflow};
use dx_transport::limits::{MAX_FRAME, MIN_WINDOW};
use dx_transport::mesh::{Mesh, PeerEvent, SendError};

use crate::nodes::{address, config, event, events, introduce, soon, start, up};

const SMALL: usize = MIN_WINDOW;

fn small_lanes() -> Vec<LaneConfig> {
    let mut lanes = LaneConfig::defaults();
    for lane in &mut lanes {
        (lane.queue_bytes, lane.replay_bytes, lane.window_bytes) = (SMALL, SMALL, SMALL);
    }
    lanes
}

async fn small_pair() -> (Mesh, Mesh) {
    let one = start(config(1).lanes(small_lanes()).listen(address("tcp"))).await;
    let two = start(config(2).lanes(small_lanes()).listen(address("tcp"))).await;
    introduce(&one, &two);
    up(&one, 2).await;
    (one, two)
}

/// Sends until the lane has taken nothing more for a while; returns the messages taken.
async fn fill(one: &Mesh, two: &Mesh, message: &[u8]) -> u64 {
    let peer = one.peer(NodeId(2)).unwrap();
    let mut sent = 0;
    loop {
        match peer.try_send(Lane::DATA, message) {
            Ok(()) => sent += 1,
            Err(SendError::Full(_)) if is_stuck(one, two) => return sent,
            Err(SendError::Full(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Whether the receiver's window is all used, so that nothing will move.
fn is_stuck(one: &Mesh, two: &Mesh) -> bool {
    let sender = &one.status().peers[0].lanes[1];
    let receiver = &two.status().peers[0].lanes[1];
    sender.credit_stalls > 0 && receiver.held_bytes + 70_000 > SMALL as u64
}

#[tokio::test]
async fn a_consumer_that_stops_bounds_what_its_sender_can_send() {
    let (one, two) = small_pair().await;
    let message = [7; 1000];
    let sent = soon(fill(&one, &two, &message)).await;
    assert!(sent * 1000 <= 3 * SMALL as u64, "{sent} messages were taken");
    let slow = events(&one);
    let slow = slow.iter().filter(|event| matches!(event, PeerEvent::SlowPeer { .. }));
    assert!(slow.count() >= 1);
    let mut received = 0;
    while received < sent {
        received += soon(two.recv(Lane::DATA)).await.count();
    }
    let peer = one.peer(NodeId(2)).unwrap();
    soon(peer.send(Lane::DATA, &message)).await.unwrap();
    assert_eq!(soon(two.recv(Lane::DATA)).await.count(), 1);
}

#[tokio::test]
async fn a_full_lane_delays_no_other_lane() {
    let (one, two) = small_pair().await;
    soon(fill(&one, &two, &[7; 1000])).await;
    let peer = one.peer(NodeId(2)).unwrap();
    for lane in [Lane::CONTROL, Lane::BULK] {
        peer.try_send(lane, b"through").unwrap();
        assert_eq!(soon(two.recv(lane)).await.iter().next().unwrap().as_slice(), b"through");
    }
}

#[tokio::test]
async fn of_a_run_the_first_leave_and_none_that_finds_no_room() {
    let (one, two) = small_pair().await;
    let peer = one.peer(NodeId(2)).unwrap();
    let messages: Vec<[u8; 1000]> = (0..1000_u32)
        .map(|number| {
            let mut message = [0; 1000];
            message[..4].copy_from_slice(&number.to_le_bytes());
            message
        })
        .collect();
    let slices = || messages.iter().map(|message| &message[..]);
    let sent = peer.try_send_run(Lane::DATA, slices());
    assert!((1..messages.len()).contains(&sent), "{sent} were taken");
    assert_eq!(peer.try_send_run(Lane::DATA, slices()), 0);
    assert_eq!(peer.try_send(Lane::DATA, &messages[0]), Err(SendError::Full(Lane::DATA)));
    let is_slow = |event: &PeerEvent| matches!(event, PeerEvent::SlowPeer { lane: Lane::DATA, .. });
    assert_eq!(events(&one).iter().filter(|event| is_slow(event)).count(), 1);
    let mut received = Vec::new();
    while received.len() < sent {
        received.extend(soon(two.recv(Lane::DATA)).await.iter().map(|it| it.as_slice().to_vec()));
    }
    assert!(received.iter().eq(&messages[..sent]));
    assert_eq!(peer.try_send_run(Lane(9), slices()), 0);
}

#[tokio::test]
async fn a_broadcast_passes_over_the_slow_peer_and_says_so() {
    let (one, two) = small_pair().await;
    let three = start(config(3).lanes(small_lanes()).listen(address("tcp"))).await;
    introduce(&one, &three);
    up(&one, 3).await;
    soon(fill(&one, &two, &[7; 1000])).await;
    let refused = one.broadcast_all(Lane::DATA, &Bytes::from_static(&[7; 1000]));
    assert_eq!(refused, [(NodeId(2), SendError::Full(Lane::DATA))]);
    assert_eq!(soon(three.recv(Lane::DATA)).await.count(), 1);
    let slow = event(&one, |event| match event {
        PeerEvent::SlowPeer { peer, lane } => Some((*peer, *lane)),
        _ => None,
    });
    assert_eq!(slow.await, (NodeId(2), Lane::DATA));
}

#[tokio::test]
async fn a_sender_that_waits_goes_on_when_there_is_room() {
    let (one, two) = small_pair().await;
    let peer = one.peer(NodeId(2)).unwrap();
    let sending = async {
        for number in 0..5000_u64 {
            let mut message = [0; 500];
            message[..8].copy_from_slice(&number.to_le_bytes());
            peer.send(Lane::DATA, &message).await.unwrap();
        }
    };
    let receiving = async {
        let mut next = 0_u64;
        while next < 5000 {
            for message in &two.recv(Lane::DATA).await {
                assert_eq!(u64::from_le_bytes(message[..8].try_into().unwrap()), next);
                next += 1;
            }
        }
    };
    soon(async { tokio::join!(sending, receiving) }).await;
}

#[tokio::test]
async fn a_lane_that_ends_the_session_on_overflow_counts_what_it_drops_and_begins_anew() {
    let mut lanes = small_lanes();
    lanes[1].overflow = Overflow::EndSession;
    let one = start(config(1).lanes(lanes).listen(address("tcp"))).await;
    let two = start(config(2).lanes(small_lanes()).listen(address("tcp"))).await;
    introduce(&one, &two);
    up(&one, 2).await;
    up(&two, 1).await;
    let peer = one.peer(NodeId(2)).unwrap();
    soon(async {
        while one.status().peers[0].lanes[1].dropped_messages == 0 {
            peer.try_send(Lane::DATA, &[7; 1000]).unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    // What was sent may have been acknowledged or not: only the new session is certain.
    assert!(!up(&one, 2).await, "a new session begins");
    assert!(!up(&two, 1).await, "a new session begins");
}

#[tokio::test]
async fn a_lane_that_drops_the_oldest_keeps_the_newest() {
    let mut lanes = small_lanes();
    lanes[1].overflow = Overflow::DropOldest;
    let one = start(config(1).lanes(lanes).listen(address("tcp"))).await;
    let peer = one.add_peer(NodeId(2), Vec::new()).unwrap();
    for number in 0..1000_u64 {
        let mut message = [0; 1000];
        message[..8].copy_from_slice(&number.to_le_bytes());
        peer.try_send(Lane::DATA, &message).unwrap();
    }
    let dropped = one.status().peers[0].lanes[1].dropped_messages;
    assert!(dropped >= 1000 - SMALL as u64 / 1000, "{dropped} dropped");
    let two = start(config(2).lanes(small_lanes())).await;
    two.add_peer(NodeId(1), one.endpoints().to_vec()).unwrap();
    let mut next = dropped;
    while next < 1000 {
        for message in &soon(two.recv(Lane::DATA)).await {
            assert_eq!(u64::from_le_bytes(message[..8].try_into().unwrap()), next);
            next += 1;
        }
    }
}

#[tokio::test]
async fn the_smallest_window_stalls_no_size_of_message() {
    let (one, two) = small_pair().await;
    let peer = one.peer(NodeId(2)).unwrap();
    let sizes = [1, 4096, 4097, 30_000, MAX_FRAME - 1, MAX_FRAME, MAX_FRAME + 1, 500_000];
    let messages: Vec<Bytes> =
        sizes.iter().cycle().take(200).map(|size| Bytes::from(vec![7; *size])).collect();
    let sending = async {
        for message in &messages {
            peer.send_bytes(Lane::BULK, message.clone()).await.unwrap();
        }
    };
    let receiving = async {
        let mut expected = messages.iter();
        while expected.len() > 0 {
            for message in &two.recv(Lane::BULK).await {
                assert_eq!(message.len(), expected.next().unwrap().len());
            }
        }
    };
    soon(async { tokio::join!(sending, receiving) }).await;
}
