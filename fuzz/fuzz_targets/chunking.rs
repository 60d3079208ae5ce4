//! What a session makes of a stream does not depend on where the reads cut it.
#![no_main]

use arbitrary::Arbitrary;
use dx_fuzz::node::{Node, hello};
use dx_fuzz::peer::{Peer, Say, Slip};
use dx_transport::id::SessionNonce;
use dx_transport::session::Violation;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    says: Vec<Say>,
    cuts: [Vec<u16>; 2],
}

fuzz_target!(|input: Input| {
    let mut peer = Peer::new(dx_fuzz::lanes().len());
    let sync = Say::Sync { slip: Slip::NONE, is_short: false, ended: None };
    let says = [sync].into_iter().chain(input.says).take(64);
    let bytes: Vec<u8> = says.flat_map(|say| peer.say(&say)).collect();
    let [one, other] = input.cuts.map(|cuts| read(&bytes, &cuts));
    assert_eq!(one.1, other.1);
    assert_eq!(one.0.signals, other.0.signals);
    assert!(one.0.received == other.0.received, "the messages differ");
    let counters = |node: &Node| node.session.stats().lanes;
    assert_eq!(counters(&one.0), counters(&other.0));
});

fn read(bytes: &[u8], cuts: &[u16]) -> (Node, Result<(), Violation>) {
    let mut node = Node::new(1, dx_fuzz::lanes());
    let peer = hello(2, SessionNonce(2), &node.lanes);
    node.attach(&peer, 1);
    node.transmit(0);
    // Cuts of a few bytes each would make a long stream slow.
    let cuts: Vec<u16> = cuts.iter().map(|cut| cut.max(&16) - u16::from(*cut < 64)).collect();
    let result = node.read_all(0, bytes, &cuts);
    (node, result)
}
