//! Cables that are cut, for longer or shorter than the detector waits, and in one way only.

use dx_transport::id::NodeId;
use dx_transport::lane::Lane;
use dx_transport::mesh::{DownReason, PeerState};

use crate::hosts::{
    LostRange, NEVER, SOON, address, assert_unharmed, config, down, pair, restarted, start,
    two_hosts, until, up_over,
};
use crate::subject::{events, expect, peer, send, up};

over_each_transport!(
    a_cut_shorter_than_the_detector_is_no_event,
    a_cut_longer_than_the_detector_is_down_and_then_the_session_goes_on,
    a_one_way_cut_is_noticed_by_both_sides,
    a_peer_whose_host_vanished_is_recognised_when_it_comes_back,
);

use crate::over_each_transport;

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
