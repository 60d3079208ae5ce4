//! Control frames with arbitrary bodies, before and after SYNC, and what they do to the session.
#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use dx_fuzz::node::{Node, hello};
use dx_fuzz::peer::control;
use dx_transport::frame::Kind;
use dx_transport::id::SessionNonce;
use libfuzzer_sys::fuzz_target;

const KINDS: [Kind; 7] = [
    Kind::Sync,
    Kind::Ack,
    Kind::Ping,
    Kind::Pong,
    Kind::GoAway,
    Kind::Close,
    Kind::Skippable(200),
];

#[derive(Arbitrary, Debug)]
struct Input {
    /// Links, each in a new session if the flag says so, and what the peer says on them.
    links: Vec<(bool, Vec<(u8, Body)>)>,
}

#[derive(Arbitrary, Debug)]
enum Body {
    Bytes(Vec<u8>),
    /// Numbers behind a count, as in SYNC, and three nonces or counters.
    Sync {
        lanes: [[u64; 5]; 3],
        ended: Option<[u64; 3]>,
    },
    /// Entries, as in ACK.
    Acks(Vec<(u8, u8, u64)>),
    Nonce(u64),
}

fuzz_target!(|input: Input| {
    let mut node = Node::new(1, dx_fuzz::lanes());
    let mut nonce = 2;
    for (is_new, frames) in input.links.iter().take(8) {
        let previous = (nonce, node.session.nonce().0);
        nonce += u64::from(*is_new);
        node.attach(&hello(2, SessionNonce(nonce), &node.lanes), 1);
        for lane in 0..3 {
            node.send(lane, Bytes::from_static(b"message"));
        }
        node.transmit(0);
        for (kind, body) in frames {
            let bytes = control(KINDS[usize::from(*kind) % KINDS.len()], &body.bytes(previous));
            if node.read_all(0, &bytes, &[]).is_err() {
                node.detach();
                break;
            }
            node.transmit(0);
        }
    }
});

impl Body {
    /// The body. `previous` are the nonces of the session before: the peer's and the node's.
    fn bytes(&self, previous: (u64, u64)) -> Vec<u8> {
        let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Nonce(nonce) => words(&[*nonce]),
            Self::Sync { lanes, ended } => {
                let mut body = vec![3];
                lanes.iter().for_each(|lane| body.extend::<Vec<u8>>(words(lane)));
                if let Some(sent) = ended {
                    body.extend::<Vec<u8>>(words(&[previous.0, previous.1]));
                    body.extend::<Vec<u8>>(words(sent));
                }
                body
            }
            Self::Acks(acks) => acks
                .iter()
                .flat_map(|(lane, frames, limit)| {
                    let numbers: Vec<u8> = words(&[u64::from(*frames), *limit]);
                    [lane % 4].into_iter().chain(numbers)
                })
                .collect(),
        }
    }
}
