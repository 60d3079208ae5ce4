//! Restarts, and nodes that are not who they were.

use std::time::Duration;

use dx_transport::id::{Incarnation, NodeId};
use dx_transport::lane::Lane;
use dx_transport::mesh::{DownReason, LinkError, Mesh, MeshConfig, PeerEvent};
use dx_transport::session::Timing;

use crate::nodes::{address, config, event, events, introduce, life, pair, soon, start, up};

/// `Down` by silence alone would take longer than the test.
fn patient(config: MeshConfig) -> MeshConfig {
    let silence = Duration::from_secs(50);
    config.timing(Timing { silence, ..Timing::default() })
}

async fn down(mesh: &Mesh) -> DownReason {
    event(mesh, |event| match event {
        PeerEvent::Down { reason, .. } => Some(reason.clone()),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_peer_whose_process_is_gone_is_down_at_once() {
    for transport in ["memory", "tcp"] {
        let one = start(patient(config(1)).listen(address(transport))).await;
        let two = start(patient(config(2)).listen(address(transport))).await;
        introduce(&one, &two);
        up(&one, 2).await;
        drop(two);
        assert_eq!(down(&one).await, DownReason::Refused);
    }
}

#[tokio::test]
async fn a_restarted_peer_never_replays_its_old_session() {
    let (one, two) = pair("memory").await;
    up(&one, 2).await;
    let endpoint = two.endpoints()[0].clone();
    drop(two);
    let peer = one.peer(NodeId(2)).unwrap();
    down(&one).await;
    peer.try_send(Lane::DATA, b"for the new life").unwrap();
    let two = start(life(2, 3).listen(endpoint)).await;
    two.add_peer(NodeId(1), one.endpoints().to_vec()).unwrap();
    let (old, new) = event(&one, |event| match event {
        PeerEvent::Restarted { old, new, .. } => Some((*old, *new)),
        _ => None,
    })
    .await;
    assert_eq!((old, new), (Incarnation(2), Incarnation(3)));
    assert!(!up(&one, 2).await, "a new life begins a new session");
    let batch = soon(two.recv(Lane::DATA)).await;
    assert_eq!(batch.iter().next().unwrap().as_slice(), b"for the new life");
    assert_eq!((batch.first(), batch.incarnation()), (0, Incarnation(1)));
}

#[tokio::test]
async fn an_older_life_of_a_node_is_rejected_and_told_so() {
    let one = start(config(1).listen(address("memory"))).await;
    one.add_peer(NodeId(2), Vec::new()).unwrap();
    let two = start(config(2)).await;
    two.add_peer(NodeId(1), one.endpoints().to_vec()).unwrap();
    up(&one, 2).await;
    let stale = start(life(2, 1)).await;
    stale.add_peer(NodeId(1), one.endpoints().to_vec()).unwrap();
    let error = event(&stale, |event| match event {
        PeerEvent::Refused { error: LinkError::Handshake(error), .. } => Some(error.to_string()),
        _ => None,
    })
    .await;
    assert!(error.contains("incarnation") || error.contains("Incarnation"), "{error}");
    let told = events(&one);
    let is_refusal = |event: &PeerEvent| matches!(event, PeerEvent::Refused { .. });
    assert!(told.iter().all(is_refusal), "the newer life is not disturbed: {told:?}");
}
