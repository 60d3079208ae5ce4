//! What is delivered when links break.

use std::time::Duration;

use dx_transport::id::NodeId;
use dx_transport::lane::Lane;
use dx_transport::mesh::{DownReason, Io, Mesh, PeerEvent};
use dx_transport::session::{Direction, Timing};
use dx_transport::transport;

use crate::fragile::Cables;
use crate::nodes::{address, config, credentials, event, events, introduce, soon, start, up};

/// A node that listens over `transport`, whose cables these are, and over tcp.
async fn two_ways(id: u32, transport: &str, cables: &Cables, timing: Timing) -> Mesh {
    let wrapped = cables.wrap(transport::create(transport, &credentials(id)).unwrap());
    let config = config(id).timing(timing).transport(wrapped);
    start(config.listen(address(transport)).listen(address("tcp"))).await
}

/// Nodes 1 and 2, and the cables between them.
async fn cabled_pair(transport: &str, timing: Timing) -> (Mesh, Mesh, Cables) {
    let cables = Cables::default();
    let node = |id| {
        let wrapped = cables.wrap(transport::create(transport, &credentials(id)).unwrap());
        config(id).timing(timing.clone()).transport(wrapped).listen(address(transport))
    };
    let (one, two) = (start(node(1)).await, start(node(2)).await);
    introduce(&one, &two);
    (one, two, cables)
}

async fn send_numbers(mesh: &Mesh, to: NodeId, lane: Lane, count: u64) {
    let peer = mesh.peer(to).unwrap();
    for number in 0..count {
        let mut message = vec![0; 8 + usize::try_from(number % 97).unwrap() * 100];
        message[..8].copy_from_slice(&number.to_le_bytes());
        peer.send(lane, &message).await.unwrap();
    }
}

async fn expect_numbers(mesh: &Mesh, lane: Lane, count: u64) {
    let mut next = 0;
    while next < count {
        for message in &soon(mesh.recv(lane)).await {
            let number = u64::from_le_bytes(message[..8].try_into().unwrap());
            assert_eq!(number, next, "on {lane}");
            next += 1;
        }
    }
    assert!(mesh.try_recv(lane).is_none());
}

async fn survive(transport: &str, breaks: u32) {
    const COUNT: u64 = 20_000;
    let (one, two, cables) = cabled_pair(transport, Timing::default()).await;
    let mut breaking = 0;
    let breaker = async {
        while breaking < breaks {
            let received = || two.peer(NodeId(1)).unwrap().received(Lane::DATA).messages;
            let goal = COUNT * u64::from(breaking) / u64::from(breaks + 1);
            while received() < goal {
                tokio::task::yield_now().await;
            }
            cables.break_all();
            breaking += 1;
        }
    };
    soon(async {
        tokio::join!(
            breaker,
            send_numbers(&one, NodeId(2), Lane::DATA, COUNT),
            expect_numbers(&two, Lane::DATA, COUNT),
            send_numbers(&two, NodeId(1), Lane::BULK, COUNT / 4),
            expect_numbers(&one, Lane::BULK, COUNT / 4),
        )
    })
    .await;
    assert!(one.status().peers[0].reconnects >= 1, "no link was broken");
    for mesh in [&one, &two] {
        let ups = events(mesh).into_iter().filter(|event| matches!(event, PeerEvent::Up { .. }));
        assert_eq!(ups.count(), 1, "a broken link alone is no event");
    }
}

#[tokio::test]
async fn broken_links_lose_repeat_and_reorder_nothing_over_memory() {
    survive("memory", 50).await;
}

#[tokio::test]
async fn broken_links_lose_repeat_and_reorder_nothing_over_tcp() {
    survive("tcp", 50).await;
}

#[tokio::test]
async fn broken_links_lose_repeat_and_reorder_nothing_over_tls() {
    survive("tls", 50).await;
}

#[tokio::test]
async fn broken_links_lose_repeat_and_reorder_nothing_over_quic() {
    survive("quic", 50).await;
}

async fn down(mesh: &Mesh) -> DownReason {
    event(mesh, |event| match event {
        PeerEvent::Down { reason, .. } => Some(reason.clone()),
        _ => None,
    })
    .await
}

/// A detector that is quick enough for a test.
fn nervous() -> Timing {
    Timing {
        ping_interval: Duration::from_millis(100),
        silence: Duration::from_millis(300),
        ..Timing::default()
    }
}

#[tokio::test]
async fn a_broken_link_whose_peer_refuses_the_next_is_down_at_once() {
    // By silence alone it would take longer than the test.
    let timing = Timing { silence: Duration::from_secs(59), ..Timing::default() };
    let (one, two, cables) = cabled_pair("memory", timing).await;
    up(&one, 2).await;
    up(&two, 1).await;
    cables.forbid();
    cables.break_all();
    assert_eq!(down(&one).await, DownReason::Refused);
    assert_eq!(down(&two).await, DownReason::Refused);
}

#[tokio::test]
async fn a_cut_cable_is_noticed_by_both_and_a_healed_one_loses_nothing() {
    let (one, two, cables) = cabled_pair("tcp", nervous()).await;
    up(&one, 2).await;
    up(&two, 1).await;
    cables.cut();
    assert_eq!(down(&one).await, DownReason::Silent);
    assert_eq!(down(&two).await, DownReason::Silent);
    one.peer(NodeId(2)).unwrap().try_send(Lane::DATA, b"later").unwrap();
    cables.heal();
    assert!(up(&one, 2).await, "the session is resumed");
    assert!(up(&two, 1).await, "the session is resumed");
    assert_eq!(soon(two.recv(Lane::DATA)).await.iter().next().unwrap().as_slice(), b"later");
}

#[tokio::test]
async fn a_cut_cable_is_noticed_while_the_link_is_full() {
    const COUNT: u64 = 400;
    let (one, two, cables) = cabled_pair("memory", nervous()).await;
    up(&one, 2).await;
    let cut = async {
        let peer = two.peer(NodeId(1)).unwrap();
        while peer.received(Lane::DATA).messages < COUNT / 2 {
            tokio::task::yield_now().await;
        }
        cables.cut();
        assert_eq!(down(&one).await, DownReason::Silent);
        cables.heal();
    };
    soon(async {
        tokio::join!(
            cut,
            send_numbers(&one, NodeId(2), Lane::DATA, COUNT),
            expect_numbers(&two, Lane::DATA, COUNT),
        )
    })
    .await;
}

#[tokio::test]
async fn a_session_without_link_ends_and_says_what_may_be_lost() {
    let timing = Timing { session_ttl: Duration::from_millis(500), ..nervous() };
    let (one, two, cables) = cabled_pair("memory", timing).await;
    up(&one, 2).await;
    up(&two, 1).await;
    cables.cut();
    let peer = one.peer(NodeId(2)).unwrap();
    for _ in 0..3 {
        peer.try_send(Lane::DATA, b"never heard of").unwrap();
    }
    let lost = event(&one, |event| match event {
        PeerEvent::Lost { lane, from, to, direction, .. } => Some((*lane, *from, *to, *direction)),
        _ => None,
    });
    assert_eq!(lost.await, (Lane::DATA, 0, 3, Direction::Sent));
    cables.heal();
    assert!(!up(&one, 2).await, "a new session begins");
    peer.try_send(Lane::DATA, b"anew").unwrap();
    let batch = soon(two.recv(Lane::DATA)).await;
    assert_eq!((batch.first(), batch.iter().next().unwrap().as_slice()), (0, &b"anew"[..]));
}

#[tokio::test]
async fn an_attempt_that_is_older_than_the_end_of_the_session_begins_no_other() {
    let timing = Timing { session_ttl: Duration::from_millis(500), ..nervous() };
    let (one, two, cables) = cabled_pair("memory", timing).await;
    up(&one, 2).await;
    up(&two, 1).await;
    cables.cut();
    for mesh in [&one, &two] {
        mesh.peers()[0].try_send(Lane::DATA, b"never heard of").unwrap();
    }
    for mesh in [&one, &two] {
        let lost = |event: &PeerEvent| matches!(event, PeerEvent::Lost { .. }).then_some(());
        event(mesh, lost).await;
    }
    cables.heal();
    for mesh in [&one, &two] {
        mesh.peers()[0].try_send(Lane::DATA, b"anew").unwrap();
    }
    for mesh in [&one, &two] {
        soon(mesh.recv(Lane::DATA)).await;
        assert_eq!(mesh.status().peers[0].sessions, 2, "{:?}", events(mesh));
    }
}

#[tokio::test]
async fn a_message_larger_than_many_frames_arrives_whole() {
    let (one, two, _) = cabled_pair("tcp", Timing::default()).await;
    let message: Vec<u8> = (0..5_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    up(&one, 2).await;
    one.peer(NodeId(2)).unwrap().try_send(Lane::BULK, &message).unwrap();
    let batch = soon(two.recv(Lane::BULK)).await;
    assert_eq!(batch.count(), 1);
    assert!(batch.iter().next().unwrap().as_slice() == message);
}

#[tokio::test]
async fn a_session_moves_to_another_transport_before_anybody_is_down() {
    let cables = Cables::default();
    let one = two_ways(1, "quic", &cables, nervous()).await;
    let two = two_ways(2, "quic", &cables, nervous()).await;
    introduce(&one, &two);
    up(&one, 2).await;
    up(&two, 1).await;
    let transport = |mesh: &Mesh| mesh.status().peers[0].transport;
    assert_eq!(transport(&one), Some("quic"));
    cables.cut();
    one.peer(NodeId(2)).unwrap().try_send(Lane::DATA, b"over tcp").unwrap();
    assert_eq!(soon(two.recv(Lane::DATA)).await.iter().next().unwrap().as_slice(), b"over tcp");
    assert_eq!((transport(&one), transport(&two)), (Some("tcp"), Some("tcp")));
    for mesh in [&one, &two] {
        let told = events(mesh);
        let is_down = |event: &PeerEvent| matches!(event, PeerEvent::Down { .. });
        assert!(!told.iter().any(is_down), "{told:?}");
    }
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_joined_by_the_next() {
    let cables = Cables::default();
    cables.cut();
    let one = two_ways(1, "memory", &cables, Timing::default()).await;
    let two = two_ways(2, "memory", &cables, Timing::default()).await;
    introduce(&one, &two);
    let transport = event(&one, |event| match event {
        PeerEvent::Up { transport, .. } => Some(*transport),
        _ => None,
    });
    assert_eq!(transport.await, "tcp");
}

#[tokio::test]
async fn a_process_that_was_stopped_does_not_blame_its_peers() {
    let one = start(config(1).timing(nervous()).listen(address("tcp"))).await;
    let two = start(config(2).io(Io::Dedicated).listen(address("tcp"))).await;
    introduce(&one, &two);
    up(&one, 2).await;
    up(&two, 1).await;
    // Stops all that node 1 does, for longer than its detector waits.
    std::thread::sleep(nervous().silence * 3);
    one.peer(NodeId(2)).unwrap().try_send(Lane::DATA, b"where was I").unwrap();
    soon(two.recv(Lane::DATA)).await;
    two.peer(NodeId(1)).unwrap().try_send(Lane::DATA, b"away").unwrap();
    soon(one.recv(Lane::DATA)).await;
    assert!(events(&one).is_empty());
    assert_eq!(one.status().peers[0].reconnects, 0);
}
