use std::sync::Arc;

use super::*;
use crate::id::Incarnation;
use crate::lane::LaneConfig;

fn hello(node: u32, expects: Option<u32>) -> Hello {
    Hello {
        features: 0,
        cluster: "test".parse().unwrap(),
        node: NodeId(node),
        incarnation: Incarnation(5),
        expects: expects.map(NodeId),
        session: SessionNonce(u64::from(node)),
        lanes: LaneConfig::defaults().iter().map(LaneOffer::of).collect(),
        challenge: [node as u8; 32],
    }
}

fn secret(byte: u8) -> Auth {
    let secret = Some(ClusterSecret::new(vec![byte; 32]).unwrap());
    Auth { secret, proof: PeerProof::None }
}

fn certificate(node: u32) -> Auth {
    let proof = PeerProof::Certificate(Arc::new(move |claimed| claimed == NodeId(node)));
    Auth { secret: None, proof }
}

/// The results of both sides, the dialer's first.
type Results = [Result<Hello, HandshakeError>; 2];

/// Runs a handshake to its end; `tamper` may change each packet on its way.
fn run(
    dialer: Handshake,
    acceptor: Handshake,
    mut tamper: impl FnMut(usize, &mut Vec<u8>),
) -> Results {
    let mut sides = [dialer, acceptor];
    let mut inboxes = [Vec::new(), Vec::new()];
    let mut results = [None, None];
    let mut packets = 0;
    for _ in 0..20 {
        for side in 0..2 {
            if let Some(output) = sides[side].output() {
                let mut bytes = output.to_vec();
                tamper(packets, &mut bytes);
                packets += 1;
                inboxes[1 - side].extend(bytes);
            }
            let want = sides[side].want();
            if results[side].is_some() || inboxes[side].len() < want || want == 0 {
                continue;
            }
            let bytes: Vec<u8> = inboxes[side].drain(..want).collect();
            match sides[side].input(&bytes) {
                Ok(Step::More) => {}
                Ok(Step::PeerHello(_)) => sides[side].reply(SessionNonce(77)),
                Ok(Step::Done(peer)) => {
                    results[side] = Some(Ok(peer));
                    // The acceptor's first frame follows.
                    inboxes[1 - side].extend([19, 0, 0, 0]);
                }
                Err(error) => results[side] = Some(Err(error)),
            }
        }
    }
    results.map(|result| result.unwrap_or(Err(HandshakeError::Malformed("hung".into()))))
}

fn dial(node: u32, expects: u32, auth: Auth) -> Handshake {
    Handshake::dial(hello(node, Some(expects)), auth)
}

fn accept(node: u32, auth: Auth) -> Handshake {
    Handshake::accept(hello(node, None), auth)
}

fn rejected(results: &Results, by: usize, code: RejectCode) {
    assert!(results[by].is_err(), "{results:?}");
    match &results[1 - by] {
        Err(HandshakeError::Rejected { code: found, reason }) => {
            assert_eq!((*found, reason.is_empty()), (code, false));
        }
        other => panic!("the other side learnt {other:?}"),
    }
}

#[test]
fn two_holders_of_the_secret_meet() {
    let results = run(dial(1, 2, secret(9)), accept(2, secret(9)), |_, _| {});
    assert_eq!(results[1], Ok(hello(1, Some(2))));
    let peer = results[0].as_ref().unwrap();
    assert_eq!((peer.node, peer.session), (NodeId(2), SessionNonce(77)));
}

#[test]
fn two_certificates_meet_without_a_secret() {
    let results = run(dial(1, 2, certificate(2)), accept(2, certificate(1)), |_, _| {});
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[test]
fn a_wrong_secret_is_refused_and_said() {
    let results = run(dial(1, 2, secret(8)), accept(2, secret(9)), |_, _| {});
    assert_eq!(results[0], Err(HandshakeError::WrongSecret));
    rejected(&results, 0, RejectCode::Unauthenticated);
}

#[test]
fn a_certificate_of_another_node_is_refused() {
    let results = run(dial(1, 2, certificate(2)), accept(2, certificate(3)), |_, _| {});
    assert_eq!(results[1], Err(HandshakeError::Certificate(NodeId(1))));
    rejected(&results, 1, RejectCode::Unauthenticated);
}

#[test]
fn without_certificate_or_secret_nobody_is_let_in() {
    let nothing = || Auth { secret: None, proof: PeerProof::None };
    let results = run(dial(1, 2, nothing()), accept(2, nothing()), |_, _| {});
    assert_eq!(results[1], Err(HandshakeError::NoSecret));
}

#[test]
fn clusters_nodes_and_lanes_must_agree() {
    let mut other = hello(1, Some(2));
    other.cluster = "other".parse().unwrap();
    let results = run(Handshake::dial(other, secret(9)), accept(2, secret(9)), |_, _| {});
    rejected(&results, 1, RejectCode::Cluster);

    let results = run(dial(1, 3, secret(9)), accept(2, secret(9)), |_, _| {});
    rejected(&results, 1, RejectCode::WrongNode);

    let results = run(dial(2, 2, secret(9)), accept(2, secret(9)), |_, _| {});
    assert_eq!(results[1], Err(HandshakeError::OwnId(NodeId(2))));

    let mut fewer = hello(1, Some(2));
    fewer.lanes.pop();
    let results = run(Handshake::dial(fewer, secret(9)), accept(2, secret(9)), |_, _| {});
    rejected(&results, 1, RejectCode::Lanes);
}

#[test]
fn versions_without_overlap_are_told_apart() {
    let newer = |packet: usize, bytes: &mut Vec<u8>| {
        if packet == 0 {
            bytes[5..7].copy_from_slice(&[7, 9]);
        }
    };
    let results = run(dial(1, 2, secret(9)), accept(2, secret(9)), newer);
    assert_eq!(results[1], Err(HandshakeError::Version { theirs: (7, 9) }));
    rejected(&results, 1, RejectCode::Version);
}

#[test]
fn every_changed_byte_of_a_hello_or_proof_is_noticed() {
    for packet in 0..3 {
        for at in PREFACE..PREFACE + 77 {
            let flip = |index: usize, bytes: &mut Vec<u8>| {
                if index == packet && at < bytes.len() {
                    bytes[at] ^= 1;
                }
            };
            let mut changed = false;
            let results = run(dial(1, 2, secret(9)), accept(2, secret(9)), |index, bytes| {
                changed |= index == packet && at < bytes.len();
                flip(index, bytes);
            });
            assert!(!changed || results[1].is_err(), "packet {packet}, byte {at}: {results:?}");
        }
    }
}

#[test]
fn a_proof_cannot_be_reflected() {
    // A stranger calls, and returns the acceptor's own proof as its own.
    let mut stranger = dial(1, 2, secret(8));
    let mut acceptor = accept(2, secret(9));
    let hello = stranger.output().unwrap();
    acceptor.input(&hello[..PREFACE]).unwrap();
    acceptor.input(&hello[PREFACE..]).unwrap();
    acceptor.reply(SessionNonce(77));
    let reply = acceptor.output().unwrap();
    let proof = &reply[reply.len() - PREFACE - PROOF_LEN..];
    acceptor.input(&proof[..PREFACE]).unwrap();
    assert_eq!(acceptor.input(&proof[PREFACE..]).unwrap_err(), HandshakeError::WrongSecret);
}

#[test]
fn garbage_and_oversize_end_at_once() {
    let mut side = accept(2, secret(9));
    assert_eq!(side.input(b"GET / HTTP/1").unwrap_err(), HandshakeError::NotDx);
    assert_eq!(side.output(), None);

    let mut side = accept(2, secret(9));
    let huge = [b'D', b'X', b'M', b'1', 1, 1, 1, 0, 255, 255, 255, 255];
    assert!(matches!(side.input(&huge), Err(HandshakeError::Malformed(_))));
    assert!(side.output().is_some());
    assert_eq!(side.want(), 0);
}

#[test]
fn a_rejection_cannot_write_control_characters() {
    let body = reject_packet(RejectCode::Busy, "a\x1b[2Jb");
    let HandshakeError::Rejected { reason, .. } = rejection(&body[PREFACE..]) else { panic!() };
    assert_eq!(reason, "a [2Jb");
}

#[test]
fn the_first_packet_is_the_golden_one() {
    let packet = dial(1, 2, secret(9)).output().unwrap();
    assert_eq!(packet[..PREFACE], [b'D', b'X', b'M', b'1', 1, 1, 1, 0, 77, 0, 0, 0]);
    let golden = [0, 4, b't', b'e', b's', b't', 1, 5, 1, 2, 1, 3];
    assert_eq!(packet[PREFACE..PREFACE + golden.len()], golden);
}

#[test]
fn a_rejection_is_the_golden_packet() {
    let codes = [
        RejectCode::Duplicate,
        RejectCode::StaleIncarnation,
        RejectCode::Draining,
        RejectCode::UnknownPeer,
        RejectCode::Busy,
        RejectCode::Version,
        RejectCode::Cluster,
        RejectCode::WrongNode,
        RejectCode::Lanes,
        RejectCode::Unauthenticated,
        RejectCode::Malformed,
    ];
    for (byte, code) in (1..).zip(codes) {
        let golden = [b'D', b'X', b'M', b'1', 3, 1, 1, 0, 4, 0, 0, 0, byte, b'w', b'h', b'y'];
        assert_eq!(*reject_packet(code, "why"), golden);
    }
}
