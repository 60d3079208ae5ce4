//! Both roles of the handshake: against arbitrary bytes, and against each other on a link that
//! changes what passes.
#![no_main]

use std::collections::VecDeque;
use std::sync::Arc;

use arbitrary::Arbitrary;
use dx_fuzz::assert_printable;
use dx_fuzz::node::hello;
use dx_transport::PeerProof;
use dx_transport::handshake::{Auth, Handshake, HandshakeError, Step};
use dx_transport::hello::Hello;
use dx_transport::id::{NodeId, SessionNonce};
use dx_transport::limits::MAX_HANDSHAKE;
use dx_transport::secret::ClusterSecret;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input {
    /// One side against these bytes.
    Alone { is_dialer: bool, auth: Kind, bytes: Vec<u8> },
    /// One side against packets with a valid preface and these bodies.
    Packets { is_dialer: bool, auth: Kind, packets: Vec<(u8, Vec<u8>)> },
    /// Two sides, and what happens to the bytes between them.
    Together { auth: Kind, changes: Vec<Change> },
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Kind {
    Secret,
    Certificate,
    Nothing,
}

/// At a position of the stream of one direction.
#[derive(Arbitrary, Clone, Debug)]
struct Change {
    is_to_dialer: bool,
    at: u8,
    what: What,
}

#[derive(Arbitrary, Clone, Debug)]
enum What {
    Flip(u8),
    Insert(u8),
    Remove,
    Put([u8; 4]),
}

fuzz_target!(|input: Input| match input {
    Input::Alone { is_dialer, auth, bytes } => alone(is_dialer, auth, &bytes),
    Input::Packets { is_dialer, auth, packets } => {
        let bytes: Vec<u8> = packets.iter().flat_map(|(kind, body)| packet(*kind, body)).collect();
        alone(is_dialer, auth, &bytes);
    }
    Input::Together { auth, changes } => together(auth, &changes),
});

/// Whoever knows no secret is never let in.
fn alone(is_dialer: bool, auth: Kind, bytes: &[u8]) {
    let mut side = Side::new(if is_dialer { 1 } else { 2 }, auth);
    side.inbox.extend(bytes);
    while side.turn() {}
    let is_in = matches!(side.result, Some(Ok(_)));
    assert!(!is_in || auth == Kind::Certificate, "a stranger was let in");
}

/// Two sides that agree on having met have met each other. Where certificates prove who is there,
/// the bytes are the transport's to protect, so nothing is said of changed ones.
fn together(auth: Kind, changes: &[Change]) {
    let mut sides = [Side::new(1, auth), Side::new(2, auth)];
    let mut sent = [0, 0];
    for _ in 0..16 {
        for from in 0..2 {
            let Some(output) = sides[from].handshake.output() else { continue };
            assert!(output.len() <= 2 * (MAX_HANDSHAKE + 12));
            let here = changes.iter().filter(|change| change.is_to_dialer == (from == 1));
            let changed = apply(here, sent[from], &output);
            sent[from] += output.len();
            sides[1 - from].inbox.extend(changed);
        }
        let moved = [0, 1].map(|side| sides[side].turn());
        if matches!(sides[1].result, Some(Ok(_))) {
            // The acceptor's first frame, SYNC, follows.
            sides[0].inbox.extend([19, 0, 0, 0]);
        }
        if moved == [false, false] && sides[0].inbox.is_empty() {
            break;
        }
    }
    let [dialer, acceptor] = sides;
    if auth == Kind::Secret {
        if let Some(Ok(met)) = &acceptor.result {
            assert_eq!(*met, dialer.local, "the acceptor met another");
        }
        if let Some(Ok(met)) = &dialer.result {
            assert_eq!((met.node, met.session), (NodeId(2), SessionNonce(77)));
        }
    }
    if changes.is_empty() && auth != Kind::Nothing {
        assert!(matches!((dialer.result, acceptor.result), (Some(Ok(_)), Some(Ok(_)))));
    }
}

/// The `bytes`, which begin at position `start` of the stream, after those of `changes` that
/// fall into them.
fn apply<'a>(changes: impl Iterator<Item = &'a Change>, start: usize, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let Some(at) = usize::from(change.at).checked_sub(start) else { continue };
        if at >= bytes.len() {
            continue;
        }
        match change.what {
            What::Flip(mask) => bytes[at] ^= mask,
            What::Insert(byte) => bytes.insert(at, byte),
            What::Remove => drop(bytes.remove(at)),
            What::Put(word) => bytes.iter_mut().skip(at).zip(word).for_each(|(b, w)| *b = w),
        }
    }
    bytes
}

/// A packet with a valid preface.
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = b"DXM1".to_vec();
    packet.extend([1 + kind % 3, 1, 1, 0]);
    packet.extend((body.len() as u32).to_le_bytes());
    packet.extend_from_slice(body);
    packet
}

struct Side {
    handshake: Handshake,
    local: Hello,
    inbox: VecDeque<u8>,
    result: Option<Result<Hello, HandshakeError>>,
}

impl Side {
    /// Node 1 dials node 2.
    fn new(node: u32, auth: Kind) -> Self {
        let mut local = hello(node, SessionNonce(u64::from(node)), &dx_fuzz::lanes());
        local.expects = (node == 1).then_some(NodeId(2));
        let auth = match auth {
            Kind::Secret => {
                let secret = ClusterSecret::new(vec![9; 32]).expect("it has 32 bytes");
                Auth { secret: Some(secret), proof: PeerProof::None }
            }
            Kind::Certificate => {
                let peer = NodeId(3 - node);
                let proof = PeerProof::Certificate(Arc::new(move |claimed| claimed == peer));
                Auth { secret: None, proof }
            }
            Kind::Nothing => Auth { secret: None, proof: PeerProof::None },
        };
        let handshake = if node == 1 {
            Handshake::dial(local.clone(), auth)
        } else {
            Handshake::accept(local.clone(), auth)
        };
        Self { handshake, local, inbox: VecDeque::new(), result: None }
    }

    /// Passes what has come, if it is enough; whether it was.
    fn turn(&mut self) -> bool {
        let want = self.handshake.want();
        assert!(want <= MAX_HANDSHAKE);
        if want == 0 || self.inbox.len() < want || self.result.is_some() {
            return false;
        }
        let bytes: Vec<u8> = self.inbox.drain(..want).collect();
        match self.handshake.input(&bytes) {
            Ok(Step::More) => {}
            Ok(Step::PeerHello(_)) => self.handshake.reply(SessionNonce(77)),
            Ok(Step::Done(peer)) => self.result = Some(Ok(peer)),
            Err(error) => {
                assert_printable(&error.to_string());
                assert_eq!(self.handshake.want(), 0, "it goes on after a failure");
                self.result = Some(Err(error));
            }
        }
        true
    }
}
