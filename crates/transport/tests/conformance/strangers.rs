//! Who does not belong is kept out, and nobody else notices.

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::time::Duration;

use bytes::Bytes;
use dx_transport::frame::{Header, Kind};
use dx_transport::handshake::{Auth, Handshake, HandshakeError, Step};
use dx_transport::hello::{Hello, LaneOffer};
use dx_transport::id::{Incarnation, NodeId, SessionNonce};
use dx_transport::lane::{Lane, LaneConfig};
use dx_transport::limits::MAX_FRAME;
use dx_transport::mesh::{Bounds, LinkError, Mesh, MeshConfig, PeerEvent};
use dx_transport::session::{SendQueue, Violation};
use dx_transport::transport::Link;

use super::subject::{Subject, credentials, event, expect, foreign_credentials, send, soon, start};

const LANES: usize = 3;

/// A link from node 9 to `mesh` that has said nothing yet.
async fn stranger(subject: &Subject, mesh: &Mesh) -> Box<dyn Link> {
    let transport = subject.transport(&credentials(9));
    let address = &mesh.endpoints()[0];
    soon(transport.dial(address.endpoint(), mesh.node(), LANES)).await.unwrap()
}

async fn write(link: &mut dyn Link, bytes: &[u8]) -> io::Result<()> {
    let mut queue = SendQueue::default();
    queue.push(Bytes::copy_from_slice(bytes));
    while !queue.is_empty() {
        poll_fn(|cx| link.poll_write(cx, 0, &mut queue)).await?;
    }
    poll_fn(|cx| link.poll_flush(cx, 0)).await
}

async fn read(link: &mut dyn Link, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        let rest = &mut bytes[filled..];
        match poll_fn(|cx| link.poll_read(cx, 0, &mut [IoSliceMut::new(rest)])).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(bytes)
}

/// Reads until the mesh closes the link.
async fn closed(link: &mut dyn Link) {
    soon(async { while read(link, 1).await.is_ok() {} }).await;
}

/// The two still talk.
async fn nobody_noticed(one: &Mesh, two: &Mesh, round: u64) {
    let numbers = round * 20..(round + 1) * 20;
    tokio::join!(
        send(one, 2, Lane::DATA, numbers.clone(), |_| 100),
        expect(two, Lane::DATA, numbers, |_| 100),
    );
    assert!(one.try_event().is_none_or(|event| matches!(event, PeerEvent::Refused { .. })));
}

async fn refusal(mesh: &Mesh) -> LinkError {
    event(mesh, |event| match event {
        PeerEvent::Refused { error, .. } => Some(error),
        _ => None,
    })
    .await
}

pub async fn another_clusters_node_is_refused_and_both_know_why(subject: &Subject) {
    let one = start(subject.config(1, 1)).await;
    let other =
        MeshConfig::new("other".parse().unwrap(), NodeId(2), Incarnation(1), credentials(2));
    let two = start(other.transport(subject.transport(&credentials(2)))).await;
    one.add_peer(NodeId(2), Vec::new()).unwrap();
    two.add_peer(NodeId(1), one.endpoints().to_vec()).unwrap();
    let (here, there) = tokio::join!(refusal(&one), refusal(&two));
    assert!(matches!(here, LinkError::Handshake(HandshakeError::Cluster { .. })), "{here}");
    assert!(there.to_string().contains("cluster"), "{there}");
}

pub async fn a_wrong_certificate_or_secret_is_refused(subject: &Subject) {
    let one = start(subject.config(1, 1)).await;
    let two = start(subject.config_with(2, 1, foreign_credentials(2))).await;
    one.add_peer(NodeId(2), Vec::new()).unwrap();
    two.add_peer(NodeId(1), one.endpoints().to_vec()).unwrap();
    let (here, there) = tokio::join!(refusal(&one), refusal(&two));
    let word = if subject.has_certificates() { "certificate" } else { "secret" };
    for error in [here, there] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

pub async fn an_unknown_version_is_answered_with_ours(subject: &Subject) {
    let (one, _two) = subject.pair().await;
    let mut link = stranger(subject, &one).await;
    write(&mut *link, b"DXM1\x01\x07\x09\0\x04\0\0\0abcd").await.unwrap();
    let preface = soon(read(&mut *link, 12)).await.unwrap();
    assert_eq!(preface[..7], *b"DXM1\x03\x01\x01");
    let body = soon(read(&mut *link, usize::from(preface[8]))).await.unwrap();
    let text = String::from_utf8_lossy(&body[1..]);
    assert!(text.contains("versions 7-9"), "{text}");
    closed(&mut *link).await;
}

pub async fn garbage_and_oversized_packets_cost_only_their_link(subject: &Subject) {
    let (one, two) = subject.pair().await;
    let garbage: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: dx\r\n\r\n",
        &[0xff; 64],
        b"DXM1\x01\x01\x01\0\xff\xff\xff\xff",
        b"DXM1\x01\x01\x01\0\x08\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    for (round, bytes) in (0..).zip(garbage) {
        let mut link = stranger(subject, &one).await;
        write(&mut *link, bytes).await.unwrap();
        closed(&mut *link).await;
        nobody_noticed(&one, &two, round).await;
    }
}

pub async fn an_oversized_frame_costs_only_its_link(subject: &Subject) {
    let (one, two) = subject.pair().await;
    one.add_peer(NodeId(9), Vec::new()).unwrap();
    let mut link = stranger(subject, &one).await;
    handshake(&mut *link).await;
    let mut header = Header::control(Kind::Data, MAX_FRAME).encode();
    header[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    write(&mut *link, &header).await.unwrap();
    let error = refusal(&one).await;
    assert!(matches!(error, LinkError::Violation(Violation::Header(_))), "{error}");
    closed(&mut *link).await;
    nobody_noticed(&one, &two, 0).await;
}

/// Does what node 9 would do, up to the first frame of the other side.
async fn handshake(link: &mut dyn Link) {
    let hello = Hello {
        features: 0,
        cluster: "conformance".parse().unwrap(),
        node: NodeId(9),
        incarnation: Incarnation(1),
        expects: Some(NodeId(1)),
        session: SessionNonce(9),
        lanes: LaneConfig::defaults().iter().map(LaneOffer::of).collect(),
        challenge: [9; 32],
    };
    let auth = Auth { secret: credentials(9).secret, proof: link.peer() };
    let mut handshake = Handshake::dial(hello, auth);
    loop {
        if let Some(output) = handshake.output() {
            write(link, &output).await.unwrap();
        }
        let bytes = soon(read(link, handshake.want())).await.unwrap();
        if let Step::Done(_) = handshake.input(&bytes).unwrap() {
            return;
        }
    }
}

pub async fn a_caller_that_says_nothing_loses_its_place(subject: &Subject) {
    let bounds = Bounds { handshake_timeout: Duration::from_millis(300), ..Bounds::default() };
    let one = start(subject.config(1, 1).bounds(bounds)).await;
    let two = start(subject.config(2, 1)).await;
    super::subject::introduce(&one, &two);
    super::subject::up(&one, 2).await;
    super::subject::up(&two, 1).await;
    let mut slow = stranger(subject, &one).await;
    write(&mut *slow, b"DX").await.unwrap();
    closed(&mut *slow).await;
    nobody_noticed(&one, &two, 0).await;
}
