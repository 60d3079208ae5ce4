//! A connection between two nodes: pipes in both directions, and the handshake of each end.

use dx_transport::PeerProof;
use dx_transport::handshake::{Auth, Handshake};
use dx_transport::hello::Hello;
use dx_transport::id::SessionNonce;

use super::pipe::Pipe;

/// See the module.
pub(super) struct Wire {
    pub pair: u32,
    /// The side that dialed.
    pub dialer: usize,
    /// What each side writes, by channel.
    pub pipes: [Vec<Pipe>; 2],
    /// The handshake of each side, while it is under way.
    pub greetings: [Option<Greeting>; 2],
    /// Each side still holds it.
    pub is_held: [bool; 2],
    /// The dialing side may write.
    pub is_open: bool,
    /// Nobody listens on the other.
    pub is_refused: bool,
    /// The next step of its opening, if something is in the way of that.
    pub opening: Option<Opening>,
}

/// How a connection comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The call comes to the other host.
    Call,
    /// The other host takes it,
    Taken,
    /// or refuses: nobody listens there.
    Refused,
}

/// A handshake under way.
pub(super) struct Greeting {
    pub handshake: Handshake,
    /// The half of the session's identity that it names.
    pub nonce: SessionNonce,
    /// When patience ends, in the world's time.
    pub until: u64,
    /// The acceptor knows who calls.
    pub is_known: bool,
}

impl Wire {
    pub fn new(pair: u32, dialer: usize, channels: usize) -> Self {
        let pipes = || (0..channels).map(|_| Pipe::default()).collect();
        Self {
            pair,
            dialer,
            pipes: [pipes(), pipes()],
            greetings: [None, None],
            is_held: [true; 2],
            is_open: false,
            is_refused: false,
            opening: None,
        }
    }

    /// Channels in each direction.
    pub fn channels(&self) -> usize {
        self.pipes[0].len()
    }
}

impl Greeting {
    pub fn dial(hello: Hello, until: u64) -> Self {
        let nonce = hello.session;
        Self { handshake: Handshake::dial(hello, auth()), nonce, until, is_known: false }
    }

    pub fn accept(hello: Hello, until: u64) -> Self {
        let nonce = hello.session;
        Self { handshake: Handshake::accept(hello, auth()), nonce, until, is_known: false }
    }
}

/// As after a handshake of TLS: who a host belongs to is beyond doubt, which is not what is tried
/// here.
fn auth() -> Auth {
    Auth { secret: None, proof: PeerProof::Certificate(std::sync::Arc::new(|_| true)) }
}
