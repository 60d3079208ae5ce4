//! Draining, removing, dropping.

use std::time::Duration;

use dx_transport::id::NodeId;
use dx_transport::lane::Lane;
use dx_transport::mesh::{DownReason, PeerEvent, PeerState, SendError};
use dx_transport::session::CloseCode;
use dx_transport::transport;

use crate::nodes::{address, config, event, events, pair, soon, start, up};

#[tokio::test]
async fn a_drain_delivers_everything_that_was_accepted() {
    for transport in ["memory", "tcp"] {
        let (one, two) = pair(transport).await;
        let peer = one.peer(NodeId(2)).unwrap();
        up(&one, 2).await;
        for _ in 0..1000 {
            peer.try_send(Lane::BULK, &[7; 900]).unwrap();
        }
        let report = soon(one.drain(Duration::from_secs(50))).await;
        assert_eq!((report.drained.as_slice(), report.is_complete()), (&[NodeId(2)][..], true));
        assert_eq!(peer.try_send(Lane::BULK, b"late"), Err(SendError::Closed));
        let mut received = 0;
        while received < 1000 {
            received += soon(two.recv(Lane::BULK)).await.count();
        }
        event(&two, |event| matches!(event, PeerEvent::GoingAway { .. }).then_some(())).await;
        let reason = event(&two, |event| match event {
            PeerEvent::Down { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        let drained = DownReason::Closed { code: CloseCode::Drained, reason: String::new() };
        assert_eq!(reason.await, drained);
    }
}

/// Longer than any test may take.
const FOREVER: Duration = Duration::from_hours(1);

/// Shorter than a test that hangs, so that a drain which waits its time out says so itself.
const ENOUGH: Duration = Duration::from_secs(30);

#[tokio::test]
async fn two_that_drain_at_once_both_finish_and_lose_nothing() {
    for transport in transport::names() {
        // One of them may have nothing to say.
        for counts in [[1000, 1000], [1000, 0], [0, 1000], [0, 0]] {
            let (one, two) = pair(transport).await;
            up(&one, 2).await;
            up(&two, 1).await;
            for (mesh, count) in [(&one, counts[0]), (&two, counts[1])] {
                for _ in 0..count {
                    mesh.peers()[0].try_send(Lane::BULK, &[7; 900]).unwrap();
                }
            }
            let drained = soon(async { tokio::join!(one.drain(ENOUGH), two.drain(ENOUGH)) }).await;
            assert!(drained.0.is_complete() && drained.1.is_complete(), "{transport}: {drained:?}");
            for (mesh, count) in [(&two, counts[0]), (&one, counts[1])] {
                let batches = std::iter::from_fn(|| mesh.try_recv(Lane::BULK));
                assert_eq!(batches.map(|batch| batch.count()).sum::<u64>(), count, "{transport}");
                let told = events(mesh);
                let is_lost = |event: &PeerEvent| matches!(event, PeerEvent::Lost { .. });
                assert!(!told.iter().any(is_lost), "{transport}: {told:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_drained_node_does_not_wait_for_a_peer_that_it_takes_nothing_from() {
    let (one, two) = pair("tcp").await;
    up(&one, 2).await;
    up(&two, 1).await;
    let lost = async {
        let peer = &two.peers()[0];
        // As node 1 takes none of it, more than the window and the queue hold cannot be sent.
        while peer.status().lanes[Lane::BULK.index()].credit_stalls == 0 {
            let _ = peer.try_send(Lane::BULK, &[7; 4000]);
            tokio::task::yield_now().await;
        }
        let left = event(&two, |event| match event {
            PeerEvent::Down { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        let both = async { tokio::join!(one.drain(FOREVER), two.drain(FOREVER), left) };
        let (report, unsaid, reason) = both.await;
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(unsaid.unfinished.len(), 1, "there was more to send");
        assert!(unsaid.unfinished[0].is_down, "it left first: {unsaid:?}");
        let drained = DownReason::Closed { code: CloseCode::Drained, reason: String::new() };
        assert_eq!(reason, drained);
    };
    soon(lost).await;
}

#[tokio::test]
async fn a_drain_reports_what_could_not_be_delivered_in_time() {
    let one = start(config(1)).await;
    let peer = one.add_peer(NodeId(2), Vec::new()).unwrap();
    peer.try_send(Lane::DATA, b"nobody will ever read this").unwrap();
    one.add_peer(NodeId(3), Vec::new()).unwrap();
    let report = soon(one.drain(Duration::from_millis(1))).await;
    assert_eq!(report.unfinished.len(), 1);
    assert_eq!((report.unfinished[0].peer, report.unfinished[0].queued_messages), (NodeId(2), 1));
}

/// Each waits far less than it may, or `soon` would have given up.
#[tokio::test]
async fn a_drain_does_not_wait_for_a_peer_whose_process_is_gone() {
    let (one, two) = pair("tcp").await;
    up(&one, 2).await;
    drop(two);
    event(&one, |event| matches!(event, PeerEvent::Down { .. }).then_some(())).await;
    one.peers()[0].try_send(Lane::DATA, b"nobody will ever read this").unwrap();
    let report = soon(one.drain(FOREVER)).await;
    assert_eq!((report.drained.len(), report.unfinished.len()), (0, 1));
    assert!(report.unfinished[0].is_down, "{report:?}");
}

#[tokio::test]
async fn a_drain_waits_no_longer_for_a_peer_that_never_came_than_one_may_be_silent() {
    let one = start(config(1)).await;
    let unused = start(config(3).listen(address("tcp"))).await.endpoints().to_vec();
    for (node, addresses) in [(2, Vec::new()), (3, unused)] {
        let peer = one.add_peer(NodeId(node), addresses).unwrap();
        peer.try_send(Lane::DATA, b"nobody will ever read this").unwrap();
    }
    let report = soon(one.drain(FOREVER)).await;
    assert_eq!((report.drained.len(), report.unfinished.len()), (0, 2));
}

#[tokio::test]
async fn a_drained_mesh_has_let_go_of_its_port() {
    let one = start(config(1).listen(address("tcp"))).await;
    one.drain(Duration::from_secs(50)).await;
    start(config(1).listen(one.endpoints()[0].clone())).await;
}

#[tokio::test]
async fn a_dropped_mesh_with_a_thread_of_its_own_has_let_go_of_its_port() {
    let config = config(1).io(dx_transport::mesh::Io::Dedicated);
    let one = start(config.clone().listen(address("tcp"))).await;
    let endpoint = one.endpoints()[0].clone();
    drop(one);
    start(config.listen(endpoint)).await;
}

#[tokio::test]
async fn a_removed_peer_is_told_and_forgotten() {
    let (one, two) = pair("memory").await;
    up(&one, 2).await;
    up(&two, 1).await;
    let peer = one.peer(NodeId(2)).unwrap();
    assert!(one.remove_peer(NodeId(2)));
    assert!(!one.remove_peer(NodeId(2)));
    assert!(one.peer(NodeId(2)).is_none());
    assert_eq!(peer.try_send(Lane::DATA, b"late"), Err(SendError::Closed));
    let code = event(&two, |event| match event {
        PeerEvent::Down { reason: DownReason::Closed { code, .. }, .. } => Some(*code),
        _ => None,
    });
    assert_eq!(code.await, CloseCode::Removed);
    assert_eq!(two.status().peers[0].state, PeerState::Down);
}

#[tokio::test]
async fn a_removed_peer_may_be_added_again() {
    let (one, two) = pair("memory").await;
    up(&one, 2).await;
    one.remove_peer(NodeId(2));
    let peer = one.add_peer(NodeId(2), two.endpoints().to_vec()).unwrap();
    assert!(!up(&one, 2).await);
    peer.try_send(Lane::DATA, b"again").unwrap();
    assert_eq!(soon(two.recv(Lane::DATA)).await.iter().next().unwrap().as_slice(), b"again");
}

#[tokio::test]
async fn whoever_waits_for_room_is_told_that_the_mesh_is_gone() {
    let one = start(config(1)).await;
    let peer = one.add_peer(NodeId(2), Vec::new()).unwrap();
    while peer.try_send(Lane::DATA, &[0; 4000]).is_ok() {}
    let waiting = peer.send(Lane::DATA, &[0; 4000]);
    let dropping = async move { drop(one) };
    let (sent, ()) = soon(async { tokio::join!(waiting, dropping) }).await;
    assert_eq!(sent, Err(SendError::Closed));
}

#[tokio::test]
async fn a_dropped_mesh_leaves_no_task_behind() {
    for transport in transport::names() {
        let metrics = tokio::runtime::Handle::current().metrics();
        let before = metrics.num_alive_tasks();
        let (one, two) = pair(transport).await;
        up(&one, 2).await;
        let _ = one.add_peer(NodeId(3), vec![address("memory")]).unwrap();
        drop((one, two));
        soon(async {
            while metrics.num_alive_tasks() > before {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
