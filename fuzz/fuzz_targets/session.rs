//! One session under an arbitrary driver and an arbitrary peer.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use dx_fuzz::node::{Node, hello};
use dx_fuzz::peer::{Peer, Say};
use dx_transport::id::SessionNonce;
use dx_transport::session::CloseCode;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step {
    Attach { has_channels: bool, is_same: bool },
    Detach,
    End,
    Send { lane: u8, len: u32 },
    Transmit,
    Hear { says: Vec<Say>, chunks: Vec<u16>, is_crossed: bool },
    Consume { lane: u8, share: u8 },
    Advance { ms: u16 },
    Idle { is_stuck: bool },
    GoAway,
    Close { reason: String },
}

struct World {
    node: Node,
    peer: Peer,
    nonce: u64,
}

fuzz_target!(|steps: Vec<Step>| {
    let lanes = dx_fuzz::lanes();
    let peer = Peer::new(lanes.len());
    let mut world = World { node: Node::new(1, lanes), peer, nonce: 7 << 32 };
    // Most inputs should begin with a link on which messages flow.
    world.attach(false, true);
    steps.iter().take(64).for_each(|step| world.step(step));
});

impl World {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Attach { has_channels, is_same } => self.attach(*has_channels, *is_same),
            Step::Detach => self.node.detach(),
            Step::End => self.node.end(),
            Step::Send { lane, len } => {
                let message = Bytes::from(vec![*lane; *len as usize % 310_000]);
                self.node.send(usize::from(lane % 3), message);
            }
            Step::Transmit => self.transmit(),
            Step::Hear { says, chunks, is_crossed } => self.hear(says, chunks, *is_crossed),
            Step::Consume { lane, share } => self.node.consume(usize::from(lane % 3), *share),
            Step::Advance { ms } => self.node.advance(Duration::from_millis(u64::from(*ms))),
            Step::Idle { is_stuck } => self.node.idle(*is_stuck),
            Step::GoAway => self.node.session.go_away(),
            Step::Close { reason } => self.node.session.close(CloseCode::Drained, reason),
        }
    }

    fn attach(&mut self, has_channels: bool, is_same: bool) {
        self.nonce += u64::from(!is_same);
        let peer = hello(2, SessionNonce(self.nonce), &self.node.lanes);
        if !self.node.attach(&peer, if has_channels { 3 } else { 1 }).resumed {
            self.peer.reset();
        }
        self.transmit();
    }

    fn transmit(&mut self) {
        for channel in 0..self.node.channels {
            let bytes = self.node.transmit(channel);
            self.peer.hear(&bytes);
        }
    }

    fn hear(&mut self, says: &[Say], chunks: &[u16], is_crossed: bool) {
        let mut channels = vec![Vec::new(); self.node.channels];
        for say in says.iter().take(64) {
            let last = channels.len() - 1;
            let channel = if is_crossed { last } else { say.channel().min(last) };
            channels[channel].extend(self.peer.say(say));
        }
        for (channel, bytes) in channels.iter().enumerate() {
            if self.node.read_all(channel, bytes, chunks).is_err() {
                return self.node.detach();
            }
        }
    }
}
