//! Connections from those who do not belong here.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use dx_transport::PeerProof;
use dx_transport::address::Address;
use dx_transport::frame::{Header, Kind};
use dx_transport::handshake::{Auth, Handshake, HandshakeError, RejectCode, Step};
use dx_transport::hello::{Hello, LaneOffer};
use dx_transport::id::{Incarnation, NodeId, SessionNonce};
use dx_transport::lane::{Lane, LaneConfig};
use dx_transport::mesh::{AddPeerError, Bounds, Io, LinkError, Mesh, PeerEvent, StartError};

use tokio::net::{TcpSocket, UdpSocket};

use crate::nodes::{address, config, credentials, events, introduce, pair, soon, start, up};

fn connect(mesh: &Mesh) -> TcpStream {
    TcpStream::connect(mesh.endpoints()[0].endpoint()).unwrap()
}

async fn refusal(mesh: &Mesh) -> LinkError {
    soon(async {
        loop {
            if let PeerEvent::Refused { error, .. } = mesh.event().await {
                return error;
            }
        }
    })
    .await
}

/// Reads until the other end closes.
async fn closed(mut stream: TcpStream) {
    let read = move || {
        let mut rest = Vec::new();
        // A reset is as good an end as any.
        let _ = stream.read_to_end(&mut rest);
    };
    soon(tokio::task::spawn_blocking(read)).await.unwrap();
}

#[tokio::test]
async fn an_unknown_node_is_turned_away_and_told_so() {
    let one = start(config(1).listen(address("tcp"))).await;
    let two = start(config(2)).await;
    two.add_peer(NodeId(1), one.endpoints().to_vec()).unwrap();
    assert!(matches!(refusal(&two).await, LinkError::Handshake(_)));
    assert!(matches!(refusal(&one).await, LinkError::TurnedAway(_)));
    assert!(one.peers().is_empty());
}

#[tokio::test]
async fn an_unknown_node_is_accepted_where_the_configuration_says_so() {
    let one = start(config(1).listen(address("tcp")).accept_unknown(true)).await;
    let two = start(config(2)).await;
    two.add_peer(NodeId(1), one.endpoints().to_vec()).unwrap();
    up(&one, 2).await;
    one.peer(NodeId(2)).unwrap().try_send(Lane::DATA, b"welcome").unwrap();
    assert_eq!(soon(two.recv(Lane::DATA)).await.iter().next().unwrap().as_slice(), b"welcome");
}

#[tokio::test]
async fn garbage_costs_the_link_and_nobody_else_notices() {
    let (one, two) = pair("tcp").await;
    up(&one, 2).await;
    let mut stream = connect(&one);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").unwrap();
    closed(stream).await;
    assert!(matches!(refusal(&one).await, LinkError::Handshake(_)));
    two.peer(NodeId(1)).unwrap().try_send(Lane::DATA, b"still here").unwrap();
    soon(one.recv(Lane::DATA)).await;
}

#[tokio::test]
async fn a_caller_that_says_nothing_loses_its_place() {
    let bounds = Bounds { handshake_timeout: Duration::from_millis(50), ..Bounds::default() };
    let one = start(config(1).listen(address("tcp")).bounds(bounds)).await;
    let stream = connect(&one);
    closed(stream).await;
    assert!(matches!(refusal(&one).await, LinkError::Timeout));
    assert_eq!(one.status().handshakes.pending, 0);
}

/// Shakes hands with `mesh` as node 2, as any peer would, and leaves the rest to the test. `None`
/// if it is turned away.
fn impersonate(mesh: &Mesh) -> Option<TcpStream> {
    let hello = Hello {
        features: 0,
        cluster: "test".parse().unwrap(),
        node: NodeId(2),
        incarnation: Incarnation(2),
        expects: Some(mesh.node()),
        session: SessionNonce(7),
        lanes: LaneConfig::defaults().iter().map(LaneOffer::of).collect(),
        challenge: [9; 32],
    };
    let auth = Auth { secret: credentials(2).secret, proof: PeerProof::None };
    let mut handshake = Handshake::dial(hello, auth);
    let mut stream = connect(mesh);
    loop {
        if let Some(packet) = handshake.output() {
            stream.write_all(&packet).ok()?;
        }
        let mut bytes = vec![0; handshake.want()];
        // Who is shunned may see a reset before the packet that says so.
        stream.read_exact(&mut bytes).ok()?;
        match handshake.input(&bytes) {
            Ok(Step::Done(_)) => return Some(stream),
            Ok(_) => {}
            Err(HandshakeError::Rejected { code: RejectCode::Busy, .. }) => return None,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_loses_the_link_and_is_reported_once() {
    let one = Arc::new(start(config(1).listen(address("tcp")).io(Io::Dedicated)).await);
    one.add_peer(NodeId(2), Vec::new()).unwrap();
    let two = start(config(3).listen(address("tcp"))).await;
    introduce(&one, &two);
    up(&one, 3).await;
    while one.peer(NodeId(2)).unwrap().status().violations < 3 {
        let (mesh, garbage) = (one.clone(), [0xee; 64]);
        let misbehave = move || {
            let Some(mut stream) = impersonate(&mesh) else { return };
            // A reset is as good an end as any.
            let _ = stream.write_all(&garbage);
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
        };
        soon(tokio::task::spawn_blocking(misbehave)).await.unwrap();
    }
    let refused = |event: &PeerEvent| match event {
        PeerEvent::Refused { error: LinkError::Violation(_), .. } => Some(()),
        _ => None,
    };
    assert_eq!(events(&one).iter().filter_map(refused).count(), 1);
    two.peer(NodeId(1)).unwrap().try_send(Lane::DATA, b"still here").unwrap();
    soon(one.recv(Lane::DATA)).await;
}

#[tokio::test]
async fn a_link_that_a_newer_one_replaces_is_told_so() {
    let one = Arc::new(start(config(1).listen(address("tcp")).io(Io::Dedicated)).await);
    one.add_peer(NodeId(2), Vec::new()).unwrap();
    let mesh = one.clone();
    let meet_twice = move || {
        let mut first = impersonate(&mesh).unwrap();
        let _second = impersonate(&mesh).unwrap();
        let mut rest = Vec::new();
        first.read_to_end(&mut rest).unwrap();
        rest
    };
    let rest = soon(tokio::task::spawn_blocking(meet_twice)).await.unwrap();
    let close = [&Header::control(Kind::Close, 1).encode()[..], &[2]].concat();
    assert!(rest.ends_with(&close), "{rest:?}");
    assert_eq!(one.status().peers[0].sessions, 1);
}

#[tokio::test]
async fn more_callers_than_there_are_places_are_closed_at_once() {
    let bounds = Bounds { pending_handshakes: 2, ..Bounds::default() };
    let one = start(config(1).listen(address("tcp")).bounds(bounds)).await;
    let silent = [connect(&one), connect(&one)];
    closed(connect(&one)).await;
    assert!(matches!(refusal(&one).await, LinkError::Crowded));
    drop(silent);
}

#[tokio::test]
async fn an_address_that_takes_all_places_keeps_no_other_out() {
    let patient = Duration::from_hours(1);
    let bounds = Bounds { pending_handshakes: 4, handshake_timeout: patient, ..Bounds::default() };
    let one = start(config(1).listen(address("tcp")).bounds(bounds)).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mesh = one.endpoints()[0].endpoint().parse().unwrap();
        silent.push(soon(socket.connect(mesh)).await.unwrap());
    }
    soon(async {
        while one.status().handshakes.pending < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let two = start(config(2).listen(address("tcp"))).await;
    introduce(&one, &two);
    assert!(matches!(refusal(&one).await, LinkError::Displaced));
    up(&two, 1).await;
    let handshakes = one.status().handshakes;
    assert_eq!((handshakes.displaced, handshakes.limited, handshakes.pending), (1, 0, 3));
}

#[tokio::test]
async fn a_forged_address_holds_no_place_while_places_are_short() {
    let patient = Duration::from_hours(1);
    let bounds = Bounds { pending_handshakes: 4, handshake_timeout: patient, ..Bounds::default() };
    let listening = config(1).listen(address("tcp")).listen(address("quic"));
    let one = start(listening.bounds(bounds)).await;
    let quic: Address = one.endpoints()[1].clone();
    let _silent: Vec<TcpStream> = (0..3).map(|_| connect(&one)).collect();
    soon(async {
        while one.status().handshakes.pending < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    // The first packet of a caller who never gets the answer, as if its address were forged.
    let wire = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let two = start(config(2)).await;
    let astray = Address::new("quic", &wire.local_addr().unwrap().to_string()).unwrap();
    two.add_peer(NodeId(1), vec![astray]).unwrap();
    let mut packet = vec![0; 1 << 16];
    let mut len = 0;
    // An Initial has at least so many bytes (RFC 9000, section 14.1); before it a probe comes.
    while len < 1200 {
        len = soon(wire.recv_from(&mut packet)).await.unwrap().0;
    }
    let mesh = quic.endpoint().parse().unwrap();
    wire.send_to(&packet[..len], mesh).await.unwrap();
    // Node 2 goes on trying.
    while soon(wire.recv_from(&mut packet)).await.unwrap().1 != mesh {}
    assert_eq!(packet[0] >> 4, 0b1111, "a Retry (RFC 9000, section 17.2.5)");
    let handshakes = one.status().handshakes;
    assert_eq!((handshakes.retried, handshakes.pending), (1, 3));

    // Whoever is where it says calls again, and is let in.
    let three = start(config(3)).await;
    one.add_peer(NodeId(3), Vec::new()).unwrap();
    three.add_peer(NodeId(1), vec![quic]).unwrap();
    up(&three, 1).await;
    assert_eq!(one.status().handshakes.retried, 2);
}

#[tokio::test]
async fn an_address_that_calls_too_often_is_closed_at_once() {
    let bounds = Bounds { connection_burst: 2, connections_per_second: 1, ..Bounds::default() };
    let one = start(config(1).listen(address("tcp")).bounds(bounds)).await;
    let calls: Vec<TcpStream> = (0..3).map(|_| connect(&one)).collect();
    assert!(matches!(refusal(&one).await, LinkError::RateLimited));
    assert_eq!(one.status().handshakes.limited, 1);
    drop(calls);
}

#[tokio::test]
async fn plain_tcp_leaves_this_host_only_where_the_configuration_says_so() {
    let everywhere: Address = "tcp://0.0.0.0:0".parse().unwrap();
    let refused = Mesh::start(config(1).listen(everywhere.clone())).await;
    assert!(matches!(refused, Err(StartError::Insecure(address)) if address == everywhere));

    let one = start(config(1).listen(address("tcp"))).await;
    let refused = one.add_peer(NodeId(2), vec!["tcp://192.0.2.1:7".parse().unwrap()]);
    assert!(matches!(refused, Err(AddPeerError::Insecure(_))));

    start(config(3).listen(everywhere).insecure(true)).await;
}
