//! Back-pressure: bounded memory, and no harm to others.

use dx_transport::lane::{Lane, LaneConfig};
use dx_transport::mesh::{Mesh, PeerEvent, SendError};

use super::subject::{Subject, event, expect, introduce, peer, send, soon, start, up};

const QUEUE: usize = 256 * 1024;
const WINDOW: usize = 512 * 1024;
const LEN: usize = 4_000;

fn small_lanes() -> Vec<LaneConfig> {
    let lane = |name| LaneConfig {
        queue_bytes: QUEUE,
        replay_bytes: WINDOW,
        window_bytes: WINDOW,
        ..LaneConfig::new(name, 1)
    };
    vec![lane("control"), lane("data"), lane("bulk")]
}

async fn small(subject: &Subject, node: u32) -> Mesh {
    start(subject.config(node, 1).lanes(small_lanes())).await
}

/// Fills the lane to `to` until nothing moves any more; returns how many were accepted.
async fn fill(from: &Mesh, to: u32, receiver: &Mesh, lane: Lane) -> u64 {
    let sender = peer(from, to);
    let mut accepted = 0;
    loop {
        match sender.try_send_bytes(lane, super::subject::message(accepted, LEN)) {
            Ok(()) => accepted += 1,
            Err(SendError::Full { .. }) if has_stalled(from, to, receiver, lane) => {
                return accepted;
            }
            Err(SendError::Full { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The lane's window is used up, and nothing is under way.
fn has_stalled(from: &Mesh, to: u32, receiver: &Mesh, lane: Lane) -> bool {
    let sender = &peer(from, to).status().lanes[lane.index()];
    let receiver = &peer(receiver, from.node().0).status().lanes[lane.index()];
    sender.credit_stalls > 0 && receiver.received_bytes == sender.sent_bytes
}

pub async fn a_stalled_reader_bounds_its_sender_and_hurts_nobody_else(subject: &Subject) {
    let (one, two, three) =
        (small(subject, 1).await, small(subject, 2).await, small(subject, 3).await);
    introduce(&one, &two);
    introduce(&one, &three);
    up(&two, 1).await;
    up(&three, 1).await;

    let accepted = soon(fill(&one, 2, &two, Lane::DATA)).await;
    let bound = QUEUE + 2 * WINDOW;
    assert!(accepted as usize * LEN <= bound, "{accepted} messages are more than the bounds hold");
    let held = peer(&two, 1).status().lanes[1].held_bytes;
    assert!(held as usize <= WINDOW, "{held} bytes are held, {WINDOW} were granted");

    // The stalled lane's neighbours, and the other peer, go on.
    tokio::join!(
        send(&one, 2, Lane::BULK, 0..300, |_| LEN),
        expect(&two, Lane::BULK, 0..300, |_| LEN)
    );
    tokio::join!(
        send(&one, 3, Lane::DATA, 0..300, |_| LEN),
        expect(&three, Lane::DATA, 0..300, |_| LEN)
    );

    expect(&two, Lane::DATA, 0..accepted, |_| LEN).await;
}

pub async fn a_full_lane_says_so_and_goes_on_when_there_is_room(subject: &Subject) {
    let (one, two) = (small(subject, 1).await, small(subject, 2).await);
    introduce(&one, &two);
    up(&two, 1).await;
    let accepted = soon(fill(&one, 2, &two, Lane::DATA)).await;
    let slow = event(&one, |event| match event {
        PeerEvent::SlowPeer { peer, lane } => Some((peer, lane)),
        _ => None,
    });
    assert_eq!(slow.await, (two.node(), Lane::DATA));
    let all = accepted + 200;
    tokio::join!(
        send(&one, 2, Lane::DATA, accepted..all, |_| LEN),
        expect(&two, Lane::DATA, 0..all, |_| LEN),
    );
}
