//! Coming together, in any order and in any life.

use dx_transport::handshake::{HandshakeError, RejectCode};
use dx_transport::id::Incarnation;
use dx_transport::lane::Lane;
use dx_transport::mesh::{LinkError, PeerEvent};

use super::subject::{Subject, event, events, expect, introduce, peer, send, start, up};

fn small(_: u64) -> usize {
    100
}

pub async fn two_that_dial_each_other_end_with_one_session(subject: &Subject) {
    for _ in 0..10 {
        let (one, two) = subject.pair().await;
        tokio::join!(
            send(&one, 2, Lane::DATA, 0..50, small),
            expect(&two, Lane::DATA, 0..50, small)
        );
        tokio::join!(
            send(&two, 1, Lane::DATA, 0..50, small),
            expect(&one, Lane::DATA, 0..50, small)
        );
        for (mesh, other) in [(&one, 2), (&two, 1)] {
            assert_eq!(peer(mesh, other).status().sessions, 1);
            let left = events(mesh);
            let bad = left.iter().find(|event| !matches!(event, PeerEvent::Up { .. }));
            assert!(bad.is_none(), "{bad:?}");
        }
    }
}

pub async fn a_restarted_peer_begins_a_new_session(subject: &Subject) {
    let (one, two) = subject.pair().await;
    send(&two, 1, Lane::DATA, 0..50, small).await;
    expect(&one, Lane::DATA, 0..50, small).await;
    drop(two);
    let two = start(subject.config(2, 2)).await;
    introduce(&one, &two);
    let restarted = event(&one, |event| match event {
        PeerEvent::Restarted { old, new, .. } => Some((old, new)),
        PeerEvent::Up { .. } => panic!("up before the restart was told"),
        _ => None,
    });
    assert_eq!(restarted.await, (Incarnation(1), Incarnation(2)));
    assert!(!up(&one, 2).await, "a session was resumed across lives");
    tokio::join!(send(&two, 1, Lane::DATA, 0..50, small), expect(&one, Lane::DATA, 0..50, small));
    tokio::join!(send(&one, 2, Lane::DATA, 0..50, small), expect(&two, Lane::DATA, 0..50, small));
}

pub async fn a_stale_incarnation_is_turned_away(subject: &Subject) {
    let one = start(subject.config(1, 1)).await;
    let young = start(subject.config(2, 9)).await;
    introduce(&one, &young);
    up(&one, 2).await;
    let old = start(subject.config(2, 8)).await;
    old.add_peer(one.node(), one.endpoints().to_vec()).unwrap();
    let error = event(&old, |event| match event {
        PeerEvent::Refused { error, .. } => Some(error),
        _ => None,
    });
    match error.await {
        LinkError::Handshake(HandshakeError::Rejected { code, .. }) => {
            assert_eq!(code, RejectCode::StaleIncarnation);
        }
        other => panic!("{other}"),
    }
    tokio::join!(send(&one, 2, Lane::DATA, 0..50, small), expect(&young, Lane::DATA, 0..50, small));
}

pub async fn a_peer_that_comes_late_is_found(subject: &Subject) {
    let two = start(subject.config(2, 1)).await;
    let address = two.endpoints().to_vec();
    drop(two);
    let one = start(subject.config(1, 1)).await;
    one.add_peer(dx_transport::id::NodeId(2), address.clone()).unwrap();
    send(&one, 2, Lane::DATA, 0..50, small).await;
    let refused = event(&one, |event| match event {
        PeerEvent::Refused { .. } => Some(()),
        _ => None,
    });
    refused.await;
    // The port may linger in the hands of the one that was dropped: its release is awaited.
    let two = loop {
        let config = dx_transport::mesh::MeshConfig::new(
            "conformance".parse().unwrap(),
            dx_transport::id::NodeId(2),
            Incarnation(2),
            super::subject::credentials(2),
        );
        let config = config.transport(subject.transport(&super::subject::credentials(2)));
        match dx_transport::mesh::Mesh::start(config.listen(address[0].clone())).await {
            Ok(mesh) => break mesh,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    two.add_peer(one.node(), Vec::new()).unwrap();
    up(&one, 2).await;
    expect(&two, Lane::DATA, 0..50, small).await;
}
