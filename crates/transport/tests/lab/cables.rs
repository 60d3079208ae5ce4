//! Cables that are cut, for longer or shorter than the detector waits, and in one way only.

use std::sync::atomic::{AtomicBool, Ordering};

use dx_lab::{Host, Lab};
use dx_transport::id::NodeId;
use dx_transport::lane::Lane;
use dx_transport::mesh::{DownReason, Mesh, PeerEvent, PeerState};
use dx_transport::session::{Direction, Timing};

use crate::hosts::{
    LostRange, NEVER, SOON, address, assert_unharmed, config, down, introduce, pair, restarted,
    start, timing, two_hosts, until, up_over,
};
use crate::subject::{event, events, expect, message, peer, send, soon, up};

over_each_transport!(
    a_cut_shorter_than_the_detector_is_no_event,
    a_cut_longer_than_the_detector_is_down_and_then_the_session_goes_on,
    a_cut_longer_than_the_session_lives_loses_what_both_sides_say,
    a_one_way_cut_is_noticed_by_both_sides,
    a_flapping_cable_loses_and_repeats_nothing,
    a_peer_whose_host_vanished_is_recognised_when_it_comes_back,
);

use crate::over_each_transport;

/// Cuts of a flapping cable.
const ROUNDS: u32 = 8;

fn small(number: u64) -> usize {
    100 + (number as usize % 7) * 300
}

async fn a_cut_shorter_than_the_detector_is_no_event(transport: &'static str) {
    let Some((lab, hosts)) = two_hosts("short-cut") else { return };
    let [one, two] = pair(transport, &hosts, NEVER).await;
    tokio::join!(send(&one, 2, Lane::DATA, 0..100, small), expect(&two, Lane::DATA, 0..100, small));

    lab.cut(&hosts[0], &hosts[1]).unwrap();
    send(&one, 2, Lane::DATA, 100..300, small).await;
    send(&two, 1, Lane::BULK, 0..200, small).await;
    until(|| lab.dropped(&hosts[0], &hosts[1]).unwrap() > 0).await;
    until(|| lab.dropped(&hosts[1], &hosts[0]).unwrap() > 0).await;
    lab.heal(&hosts[0], &hosts[1]).unwrap();

    tokio::join!(
        expect(&two, Lane::DATA, 100..300, small),
        expect(&one, Lane::BULK, 0..200, small)
    );
    for (mesh, other) in [(&one, 2), (&two, 1)] {
        let told = events(mesh);
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(peer(mesh, other).status().reconnects, 0);
        assert_unharmed(mesh, other);
    }
}

async fn a_cut_longer_than_the_detector_is_down_and_then_the_session_goes_on(
    transport: &'static str,
) {
    let Some((lab, hosts)) = two_hosts("long-cut") else { return };
    let [one, two] = pair(transport, &hosts, SOON).await;
    tokio::join!(send(&one, 2, Lane::DATA, 0..100, small), expect(&two, Lane::DATA, 0..100, small));

    lab.cut(&hosts[0], &hosts[1]).unwrap();
    send(&one, 2, Lane::DATA, 100..300, small).await;
    send(&two, 1, Lane::BULK, 0..200, small).await;
    let reasons = tokio::join!(down(&one, 2), down(&two, 1));
    assert_eq!(reasons, (DownReason::Silent, DownReason::Silent));
    send(&one, 2, Lane::DATA, 300..400, small).await;
    lab.heal(&hosts[0], &hosts[1]).unwrap();

    let both = tokio::join!(up_over(&one, 2), up_over(&two, 1));
    assert_eq!(both, ((true, transport), (true, transport)));
    tokio::join!(
        expect(&two, Lane::DATA, 100..400, small),
        expect(&one, Lane::BULK, 0..200, small)
    );
    for (mesh, other) in [(&one, 2), (&two, 1)] {
        assert!(peer(mesh, other).status().reconnects > 0);
        assert_unharmed(mesh, other);
    }
}

/// Messages that were sent in the old session and never came: the next session begins with the
/// first that was not sent.
async fn a_cut_longer_than_the_session_lives_loses_what_both_sides_say(transport: &'static str) {
    let Some((lab, hosts)) = two_hosts("longest-cut") else { return };
    let [one, two] = [1, 2].map(|node| {
        let timing = Timing { session_ttl: SOON, ..timing(SOON) };
        start(&hosts[node as usize - 1], config(transport, node, 1, SOON).timing(timing))
    });
    introduce(transport, &hosts, &one, &two).await;
    tokio::join!(send(&one, 2, Lane::DATA, 0..100, small), expect(&two, Lane::DATA, 0..100, small));
    let lane = || peer(&one, 2).status().lanes[Lane::DATA.index()].clone();
    until(|| lane().unacked_bytes == 0).await;

    lab.cut(&hosts[0], &hosts[1]).unwrap();
    send(&one, 2, Lane::DATA, 100..200, small).await;
    let (from, to, direction) = lost(&one).await;
    assert_eq!((from, direction), (100, Direction::Sent));
    lab.heal(&hosts[0], &hosts[1]).unwrap();

    let both = tokio::join!(up_over(&one, 2), up(&two, 1));
    assert_eq!(both, ((false, transport), false));
    assert_eq!(lost(&two).await, (100, to, Direction::Received));
    tokio::join!(
        send(&one, 2, Lane::DATA, 200..300, small),
        expect(&two, Lane::DATA, to..300, small)
    );
    assert_eq!(lane().lost_messages, to - 100);
}

async fn lost(mesh: &Mesh) -> (u64, u64, Direction) {
    event(mesh, |event| match event {
        PeerEvent::Lost { from, to, direction, .. } => Some((from, to, direction)),
        _ => None,
    })
    .await
}

async fn a_one_way_cut_is_noticed_by_both_sides(transport: &'static str) {
    let Some((lab, hosts)) = two_hosts("one-way-cut") else { return };
    let [one, two] = pair(transport, &hosts, SOON).await;

    lab.cut_one_way(&hosts[0], &hosts[1]).unwrap();
    send(&one, 2, Lane::DATA, 0..100, small).await;
    send(&two, 1, Lane::DATA, 0..100, small).await;
    let reasons = tokio::join!(down(&one, 2), down(&two, 1));
    assert_eq!(reasons, (DownReason::Silent, DownReason::Silent));
    assert!(lab.dropped(&hosts[0], &hosts[1]).unwrap() > 0);
    lab.heal(&hosts[0], &hosts[1]).unwrap();

    let both = tokio::join!(up_over(&one, 2), up_over(&two, 1));
    assert_eq!(both, ((true, transport), (true, transport)));
    tokio::join!(expect(&two, Lane::DATA, 0..100, small), expect(&one, Lane::DATA, 0..100, small));
    assert_unharmed(&one, 2);
    assert_unharmed(&two, 1);
}

/// Every kind of cut in turn under load, some shorter and some longer than the detector.
async fn a_flapping_cable_loses_and_repeats_nothing(transport: &'static str) {
    let Some((lab, hosts)) = two_hosts("flapping") else { return };
    let [one, two] = pair(transport, &hosts, SOON / 2).await;
    let is_over = AtomicBool::new(false);
    let flap = async {
        for round in 0..ROUNDS {
            flap(round, &lab, &hosts, &one).await;
            let (here, there) = (received(&one, 2), received(&two, 1));
            until(|| received(&one, 2) > here && received(&two, 1) > there).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let ((), sent_there, sent_here, there, here) = tokio::join!(
        flap,
        stream(&one, 2, &is_over),
        stream(&two, 1, &is_over),
        count(&two),
        count(&one)
    );
    assert_eq!((there, here), (sent_there, sent_here));
    assert!(peer(&one, 2).status().reconnects > 0);
    assert_unharmed(&one, 2);
    assert_unharmed(&two, 1);
}

/// Cuts and heals once.
async fn flap(round: u32, lab: &Lab, hosts: &[Host; 2], one: &Mesh) {
    let [a, b] = hosts;
    match round % 4 {
        0 => lab.cut(a, b).unwrap(),
        1 => lab.cut_one_way(a, b).unwrap(),
        2 => lab.cut_one_way(b, a).unwrap(),
        _ => b.isolate().unwrap(),
    }
    if round % 8 < 4 {
        until(|| peer(one, 2).status().state != PeerState::Up).await;
    } else if round % 4 < 3 {
        until(|| lab.dropped(a, b).unwrap() + lab.dropped(b, a).unwrap() > 0).await;
    }
    lab.heal_all().unwrap();
}

fn received(mesh: &Mesh, from: u32) -> u64 {
    peer(mesh, from).received(Lane::DATA).messages
}

/// Sends numbered messages until it is over; returns how many.
async fn stream(from: &Mesh, to: u32, is_over: &AtomicBool) -> u64 {
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        send(from, to, Lane::DATA, sent..sent + 10, small).await;
        sent += 10;
        tokio::task::yield_now().await;
    }
    peer(from, to).send(Lane::DATA, b"").await.unwrap();
    sent
}

/// Receives numbered messages, each once and in order, up to the empty one; returns how many.
async fn count(mesh: &Mesh) -> u64 {
    let mut next = 0;
    loop {
        for received in &soon(mesh.recv(Lane::DATA)).await {
            if received.is_empty() {
                return next;
            }
            assert!(*received == *message(next, small(next)), "message {next}");
            next += 1;
        }
    }
}

/// The link is half open for good: the host at its other end is gone and says nothing, and the
/// node lives on another one.
async fn a_peer_whose_host_vanished_is_recognised_when_it_comes_back(transport: &'static str) {
    let Some((lab, hosts)) = two_hosts("vanished") else { return };
    let [one, two] = pair(transport, &hosts, NEVER).await;
    tokio::join!(send(&one, 2, Lane::DATA, 0..100, small), expect(&two, Lane::DATA, 0..100, small));
    let lane = || peer(&one, 2).status().lanes[Lane::DATA.index()].clone();
    until(|| lane().unacked_bytes == 0).await;

    hosts[1].isolate().unwrap();
    drop(two);
    send(&one, 2, Lane::DATA, 100..200, small).await;
    until(|| lane().sent_messages > 100).await;
    let status = peer(&one, 2).status();
    assert_eq!((status.state, status.reconnects), (PeerState::Up, 0), "it has noticed already");

    let two = start(&lab.host("three").unwrap(), config(transport, 2, 2, NEVER));
    two.add_peer(NodeId(1), vec![address(transport, &hosts[0])]).unwrap();
    let (lives, lost) = restarted(&one, 2).await;
    assert_eq!(lives, (1, 2));
    let [LostRange { from: 100, to }] = lost[..] else { panic!("{lost:?}") };
    assert!(!up(&two, 1).await);
    // What had not left yet goes to the new life, and nothing else does.
    tokio::join!(
        send(&one, 2, Lane::DATA, 200..300, small),
        expect(&two, Lane::DATA, to..300, small)
    );
    assert_eq!(lane().lost_messages, to - 100);
}
