//! How nodes find each other.

use std::time::Duration;

use bytes::Bytes;
use dx_transport::id::NodeId;
use dx_transport::lane::Lane;
use dx_transport::mesh::{
    AddPeerError, DatagramError, Dialing, Io, LinkError, Mesh, PeerEvent, StartError,
};
use dx_transport::transport::{self, BindError, DialError};

use crate::nodes::{address, config, event, events, introduce, pair, soon, start, up};

async fn exchange(one: &Mesh, two: &Mesh) {
    one.peer(two.node()).unwrap().try_send(Lane::DATA, b"ping").unwrap();
    assert_eq!(soon(two.recv(Lane::DATA)).await.iter().next().unwrap().as_slice(), b"ping");
    two.peer(one.node()).unwrap().try_send(Lane::DATA, b"pong").unwrap();
    assert_eq!(soon(one.recv(Lane::DATA)).await.iter().next().unwrap().as_slice(), b"pong");
}

#[tokio::test]
async fn two_nodes_meet_and_talk_over_every_transport() {
    for transport in transport::names() {
        let (one, two) = pair(transport).await;
        assert!(!up(&one, 2).await);
        assert!(!up(&two, 1).await);
        exchange(&one, &two).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_may_run_beside_a_multi_threaded_runtime() {
    let (one, two) = pair("tcp").await;
    up(&one, 2).await;
    exchange(&one, &two).await;
}

#[tokio::test]
async fn a_mesh_may_have_a_thread_of_its_own() {
    let one = start(config(1).io(Io::Dedicated).listen(address("tcp"))).await;
    let two = start(config(2).io(Io::Dedicated).listen(address("tcp"))).await;
    introduce(&one, &two);
    exchange(&one, &two).await;
}

#[tokio::test]
async fn either_side_alone_may_know_the_address() {
    for knows in [1, 2] {
        let one = start(config(1).listen(address("tcp"))).await;
        let two = start(config(2).listen(address("tcp"))).await;
        let (knowing, known) = if knows == 1 { (&one, &two) } else { (&two, &one) };
        knowing.add_peer(known.node(), known.endpoints().to_vec()).unwrap();
        known.add_peer(knowing.node(), Vec::new()).unwrap();
        exchange(&one, &two).await;
    }
}

#[tokio::test]
async fn a_peer_that_starts_later_is_found() {
    let (early, late) = (address("memory"), address("memory"));
    let one = start(config(1).listen(early.clone())).await;
    let peer = one.add_peer(NodeId(2), vec![late.clone()]).unwrap();
    peer.try_send(Lane::DATA, b"waited").unwrap();
    let address = event(&one, |event| match event {
        PeerEvent::Refused {
            address,
            error: LinkError::Dial(DialError::Refused(_)),
            peer: Some(NodeId(2)),
        } => Some(address.clone()),
        _ => None,
    });
    assert_eq!(address.await, late.to_string());
    let two = start(config(2).listen(late)).await;
    two.add_peer(NodeId(1), vec![early]).unwrap();
    let batch = soon(two.recv(Lane::DATA)).await;
    assert_eq!(batch.iter().next().unwrap().as_slice(), b"waited");
}

#[tokio::test]
async fn an_unreachable_peer_is_reported_once_and_not_once_per_attempt() {
    let dialing = Dialing { backoff_max: Duration::from_millis(1), ..Dialing::default() };
    let dialing = Dialing { backoff_min: Duration::from_millis(1), ..dialing };
    let one = start(config(1).dialing(dialing)).await;
    one.add_peer(NodeId(2), vec![address("memory")]).unwrap();
    soon(async {
        while one.status().handshakes.dial_failures < 10 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(events(&one).len(), 1);
}

#[tokio::test]
async fn the_second_address_is_used_when_the_first_refuses() {
    let one = start(config(1)).await;
    let two = start(config(2).listen(address("tcp"))).await;
    two.add_peer(NodeId(1), Vec::new()).unwrap();
    let addresses = vec![address("memory"), two.endpoints()[0].clone()];
    one.add_peer(NodeId(2), addresses).unwrap();
    let transport = event(&one, |event| match event {
        PeerEvent::Up { transport, .. } => Some(*transport),
        _ => None,
    });
    assert_eq!(transport.await, "tcp");
}

#[tokio::test]
async fn many_nodes_meet_without_a_storm_of_duplicates() {
    const NODES: u32 = 24;
    let mut meshes = Vec::new();
    for node in 1..=NODES {
        meshes.push(start(config(node).listen(address("tcp"))).await);
    }
    for one in &meshes {
        for two in meshes.iter().filter(|two| two.node() != one.node()) {
            one.add_peer(two.node(), two.endpoints().to_vec()).unwrap();
        }
    }
    for mesh in &meshes {
        for _ in 1..NODES {
            event(mesh, |event| matches!(event, PeerEvent::Up { .. }).then_some(())).await;
        }
    }
    let completed: u64 = meshes.iter().map(|mesh| mesh.status().handshakes.accepted).sum();
    let pairs = u64::from(NODES * (NODES - 1) / 2);
    assert!((pairs..=pairs + pairs / 4).contains(&completed), "{completed} for {pairs} pairs");
}

#[tokio::test]
async fn a_broadcast_reaches_all_peers() {
    let hub = start(config(9).listen(address("memory"))).await;
    let mut spokes = Vec::new();
    for node in 1..4 {
        let spoke = start(config(node).listen(address("memory"))).await;
        introduce(&hub, &spoke);
        spokes.push(spoke);
    }
    for message in [Bytes::from_static(b"all"), Bytes::from(vec![7; 100_000])] {
        assert!(hub.broadcast_all(Lane::DATA, &message).is_empty());
        for spoke in &spokes {
            let batch = soon(spoke.recv(Lane::DATA)).await;
            assert_eq!(batch.iter().next().unwrap().as_slice(), &message);
        }
    }
}

#[tokio::test]
async fn datagrams_go_where_the_transport_has_them() {
    let (one, two) = pair("quic").await;
    up(&one, 2).await;
    up(&two, 1).await;
    let peer = one.peer(NodeId(2)).unwrap();
    let received = soon(async {
        loop {
            peer.datagram(Bytes::from_static(b"best effort")).unwrap();
            let wait = Duration::from_millis(100);
            if let Ok(received) = tokio::time::timeout(wait, two.recv_datagram()).await {
                return received;
            }
        }
    });
    assert_eq!(received.await, (NodeId(1), Bytes::from_static(b"best effort")));
    let large = Bytes::from(vec![0; 100_000]);
    assert!(matches!(peer.datagram(large), Err(DatagramError::TooLarge { .. })));
}

#[tokio::test]
async fn a_transport_without_datagrams_says_so() {
    let (one, _two) = pair("tcp").await;
    let peer = one.peer(NodeId(2)).unwrap();
    let datagram = Bytes::from_static(b"best effort");
    assert_eq!(peer.datagram(datagram.clone()), Err(DatagramError::NotConnected));
    up(&one, 2).await;
    assert_eq!(peer.datagram(datagram), Err(DatagramError::Unsupported("tcp")));
}

#[tokio::test]
async fn a_taken_port_is_said_at_the_start() {
    for transport in ["memory", "tcp", "quic"] {
        let one = start(config(1).listen(address(transport))).await;
        let second = Mesh::start(config(2).listen(one.endpoints()[0].clone())).await;
        assert!(matches!(second, Err(StartError::Bind(BindError::InUse { .. }))), "{second:?}");
    }
}

#[tokio::test]
async fn a_peer_with_an_address_of_no_transport_is_not_added() {
    let one = start(config(1)).await;
    let added = one.add_peer(NodeId(2), vec!["tpc://127.0.0.1:1".parse().unwrap()]);
    assert!(matches!(added, Err(AddPeerError::Transport(_))));
    assert!(one.peers().is_empty());
    assert!(matches!(one.add_peer(NodeId(1), Vec::new()), Err(AddPeerError::OwnId(_))));
}

#[tokio::test]
async fn links_that_cross_end_in_one_session_whoever_is_first() {
    let eager = Dialing { grace: Duration::ZERO, ..Dialing::default() };
    for _ in 0..20 {
        let node = |id| config(id).dialing(eager).listen(address("tcp"));
        let (one, two) = (start(node(1)).await, start(node(2)).await);
        introduce(&one, &two);
        exchange(&one, &two).await;
        for mesh in [&one, &two] {
            let told = events(mesh);
            let is_up = |event: &&PeerEvent| matches!(event, PeerEvent::Up { resumed: false, .. });
            assert_eq!(told.iter().filter(is_up).count(), told.len(), "{told:?}");
            assert_eq!(mesh.status().peers[0].sessions, 1);
        }
    }
}
