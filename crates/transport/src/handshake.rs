//! The handshake: who is there, may they talk, and in which session. Sans-IO, like the session.
//!
//! ```text
//! dialer                             acceptor
//!   HELLO  ---------------------------->
//!          <---------------------------- HELLO, PROOF
//!   PROOF  ---------------------------->
//!          <---------------------------- first frame (SYNC): accepted
//! ```
//! Either side may answer with REJECT, a code and a text, instead of its next packet. Packets
//! begin with twelve bytes that every version keeps: magic `DXM1`, kind, oldest and newest
//! version, zero, length of the body.
//!
//! Where the transport has proven nothing, PROOF is HMAC-SHA256 (RFC 2104) of the cluster secret
//! over a label for the role and both HELLO bodies, each of which holds 32 fresh random bytes: it
//! can be neither replayed nor reflected. Where the peer has shown a certificate, PROOF is empty
//! and the certificate must be that of the node named in HELLO.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::codec;
use crate::hello::{Hello, LaneOffer, VERSIONS};
use crate::id::{ClusterId, NodeId, SessionNonce};
use crate::limits::{MAX_HANDSHAKE, MAX_LANES, MAX_REASON};
use crate::proof::PeerProof;
use crate::secret::ClusterSecret;

const MAGIC: [u8; 4] = *b"DXM1";
const PREFACE: usize = 12;
const PROOF_LEN: usize = 32;
const DIALER_LABEL: &[u8] = b"dx v1 dialer";
const ACCEPTOR_LABEL: &[u8] = b"dx v1 acceptor";

/// How this side and the peer authenticate each other on a link.
#[derive(Clone, Debug)]
pub struct Auth {
    /// The secret of the cluster; needed where `proof` is [`PeerProof::None`].
    pub secret: Option<ClusterSecret>,
    /// What the transport has proven.
    pub proof: PeerProof,
}

/// One side of a handshake.
///
/// Write what [`Self::output`] gives, read exactly [`Self::want`] bytes, pass them to
/// [`Self::input`], and so on until it says [`Step::Done`] or fails. After a failure there may be
/// a last output, which tells the peer.
#[derive(Debug)]
pub struct Handshake {
    role: Role,
    local: Hello,
    auth: Auth,
    expected: Expected,
    output: Option<Bytes>,
    /// The encoded bodies of both HELLOs: what the proofs are over.
    own_hello: Vec<u8>,
    peer_hello: Option<(Vec<u8>, Hello)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Dialer,
    Acceptor,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Preface {
        kind: PacketKind,
    },
    Body {
        kind: PacketKind,
        len: usize,
    },
    /// The beginning of a frame, or of a REJECT.
    First,
    RestOfRejection,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PacketKind {
    Hello,
    Proof,
    Reject,
}

/// How far a handshake has come.
#[derive(Debug)]
pub enum Step {
    /// It goes on.
    More,
    /// The acceptor knows who calls: it must [`reply`](Handshake::reply) or
    /// [`reject`](Handshake::reject).
    PeerHello(Hello),
    /// The peer is who it says. For the dialer, the bytes just passed in are the beginning of
    /// the link's first frame.
    Done(Hello),
}

/// Why a side refuses a link, as the other side reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectCode {
    /// Another link to the same peer is preferred. No error.
    Duplicate,
    /// A younger incarnation of the node is known.
    StaleIncarnation,
    /// It drains and takes no new links.
    Draining,
    /// It does not know the node.
    UnknownPeer,
    /// It has too many handshakes under way, or too many come from this address.
    Busy,
    /// No protocol version in common.
    Version,
    /// It belongs to another cluster.
    Cluster,
    /// It is not the node that was expected.
    WrongNode,
    /// The lanes differ.
    Lanes,
    /// The certificate or the proof of the secret is wrong.
    Unauthenticated,
    /// The packet could not be read.
    Malformed,
    /// A code of a later version.
    Other(u8),
}

impl RejectCode {
    fn to_byte(self) -> u8 {
        match self {
            Self::Duplicate => 1,
            Self::StaleIncarnation => 2,
            Self::Draining => 3,
            Self::UnknownPeer => 4,
            Self::Busy => 5,
            Self::Version => 6,
            Self::Cluster => 7,
            Self::WrongNode => 8,
            Self::Lanes => 9,
            Self::Unauthenticated => 10,
            Self::Malformed => 11,
            Self::Other(byte) => byte,
        }
    }

    fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Duplicate,
            2 => Self::StaleIncarnation,
            3 => Self::Draining,
            4 => Self::UnknownPeer,
            5 => Self::Busy,
            6 => Self::Version,
            7 => Self::Cluster,
            8 => Self::WrongNode,
            9 => Self::Lanes,
            10 => Self::Unauthenticated,
            11 => Self::Malformed,
            other => Self::Other(other),
        }
    }
}

/// Why a handshake failed. The link is to be closed; no session is touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The peer refused.
    #[error("the peer refused ({code:?}): {reason}")]
    Rejected {
        /// Its reason,
        code: RejectCode,
        /// and in words.
        reason: String,
    },
    /// What answered does not speak this protocol.
    #[error("what answers there is no dx node, or speaks another transport")]
    NotDx,
    /// No version in common.
    #[error("the peer speaks protocol versions {}-{}, this node {}-{}: upgrade the older one", theirs.0, theirs.1, VERSIONS.0, VERSIONS.1)]
    Version {
        /// The peer's oldest and newest.
        theirs: (u8, u8),
    },
    /// The packet could not be read.
    #[error("the peer sent a malformed handshake: {0}")]
    Malformed(String),
    /// The peer is of another cluster.
    #[error(
        "the peer belongs to cluster `{theirs}`, this node to `{ours}`: check the address and the cluster's name"
    )]
    Cluster {
        /// This node's.
        ours: ClusterId,
        /// The peer's.
        theirs: ClusterId,
    },
    /// Another node than the dialed one answered, or the caller meant another.
    #[error("expected node {expected}, found {found}: check the addresses in the cluster file")]
    WrongNode {
        /// Who was meant.
        expected: NodeId,
        /// Who it is.
        found: NodeId,
    },
    /// The peer goes by this node's own id.
    #[error(
        "the peer calls itself {0}, as this node does: two nodes have the same id, or a node dials itself"
    )]
    OwnId(NodeId),
    /// The lanes are not the same.
    #[error(
        "the peer's lanes differ ({theirs} against {ours} here, or reliable against at-most-once): configure both sides alike"
    )]
    Lanes {
        /// How many lanes this node has.
        ours: usize,
        /// How many the peer has.
        theirs: usize,
    },
    /// The peer's certificate is another node's.
    #[error(
        "the peer calls itself {0} but its certificate is not that node's: give it the right certificate"
    )]
    Certificate(NodeId),
    /// This side has no secret to prove.
    #[error(
        "the transport proves no identity and this node has no cluster secret: configure one, or use tls or quic"
    )]
    NoSecret,
    /// The peer's proof is wrong.
    #[error("the peer does not hold this cluster's secret: copy the secret's file to it")]
    WrongSecret,
    /// This side's introduction does not fit a packet.
    #[error("this node's introduction is too large: {0}")]
    OwnHello(String),
}

impl HandshakeError {
    /// What the peer is told.
    fn code(&self) -> Option<RejectCode> {
        Some(match self {
            Self::Rejected { .. } | Self::NotDx => return None,
            Self::Version { .. } => RejectCode::Version,
            Self::Malformed(_) | Self::OwnHello(_) => RejectCode::Malformed,
            Self::Cluster { .. } => RejectCode::Cluster,
            Self::WrongNode { .. } | Self::OwnId(_) => RejectCode::WrongNode,
            Self::Lanes { .. } => RejectCode::Lanes,
            Self::Certificate(_) | Self::NoSecret | Self::WrongSecret => {
                RejectCode::Unauthenticated
            }
        })
    }
}

impl Handshake {
    /// The side that dialed.
    #[must_use]
    pub fn dial(local: Hello, auth: Auth) -> Self {
        let mut handshake = Self::new(Role::Dialer, local, auth);
        // A HELLO that does not fit is found out by `input`, which can return the error.
        if let Ok(body) = encode_hello(&handshake.local) {
            handshake.output = Some(packet(PacketKind::Hello, &body));
            handshake.own_hello = body;
        }
        handshake
    }

    /// The side that accepted. The session nonce in `local` is replaced in [`Self::reply`].
    #[must_use]
    pub fn accept(local: Hello, auth: Auth) -> Self {
        Self::new(Role::Acceptor, local, auth)
    }

    fn new(role: Role, local: Hello, auth: Auth) -> Self {
        let expected = Expected::Preface { kind: PacketKind::Hello };
        Self { role, local, auth, expected, output: None, own_hello: Vec::new(), peer_hello: None }
    }

    /// What is to be written next, on channel 0.
    pub fn output(&mut self) -> Option<Bytes> {
        self.output.take()
    }

    /// How many bytes it needs next: at most [`MAX_HANDSHAKE`]; 0 when it is at its end.
    #[must_use]
    pub fn want(&self) -> usize {
        match self.expected {
            Expected::Preface { .. } => PREFACE,
            Expected::Body { len, .. } => len,
            Expected::First => MAGIC.len(),
            Expected::RestOfRejection => PREFACE - MAGIC.len(),
            Expected::Nothing => 0,
        }
    }

    /// Takes exactly the bytes it wanted.
    ///
    /// # Errors
    /// If the peer refused or is refused; then there may be a last [`Self::output`].
    pub fn input(&mut self, bytes: &[u8]) -> Result<Step, HandshakeError> {
        let result = self.step(bytes);
        if let Err(error) = &result {
            self.expected = Expected::Nothing;
            let reason = error.to_string();
            self.output = error.code().map(|code| reject_packet(code, &reason));
        }
        result
    }

    /// The acceptor goes on, with its half of the session's identity for this peer.
    pub fn reply(&mut self, nonce: SessionNonce) {
        self.local.session = nonce;
        let Some((peer_body, peer)) = &self.peer_hello else { return };
        self.local.expects = Some(peer.node);
        let Ok(own_body) = encode_hello(&self.local) else { return };
        let proof = self.prove(ACCEPTOR_LABEL, peer_body, &own_body);
        let mut output = packet(PacketKind::Hello, &own_body).to_vec();
        output.extend_from_slice(&packet(PacketKind::Proof, &proof));
        self.output = Some(output.into());
        self.own_hello = own_body;
        self.expected = Expected::Preface { kind: PacketKind::Proof };
    }

    /// The acceptor refuses.
    pub fn reject(&mut self, code: RejectCode) {
        self.output = Some(reject_packet(code, ""));
        self.expected = Expected::Nothing;
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Step, HandshakeError> {
        match self.expected {
            Expected::Preface { kind } => self.on_preface(kind, bytes),
            Expected::Body { kind: PacketKind::Hello, .. } => self.on_hello(bytes),
            Expected::Body { kind: PacketKind::Proof, .. } => self.on_proof(bytes),
            Expected::Body { kind: PacketKind::Reject, .. } => Err(rejection(bytes)),
            Expected::First if bytes == MAGIC => {
                self.expected = Expected::RestOfRejection;
                Ok(Step::More)
            }
            Expected::First => self.done(),
            Expected::RestOfRejection => {
                let mut preface = MAGIC.to_vec();
                preface.extend_from_slice(bytes);
                self.on_preface(PacketKind::Reject, &preface)
            }
            Expected::Nothing => Err(HandshakeError::Malformed("packet after the end".into())),
        }
    }

    fn on_preface(&mut self, expected: PacketKind, bytes: &[u8]) -> Result<Step, HandshakeError> {
        let short = || HandshakeError::Malformed("cut short".into());
        let bytes: &[u8; PREFACE] = bytes.try_into().map_err(|_| short())?;
        let [m0, m1, m2, m3, kind, oldest, newest, _, l0, l1, l2, l3] = *bytes;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(HandshakeError::NotDx);
        }
        let kind = match kind {
            1 => PacketKind::Hello,
            2 => PacketKind::Proof,
            3 => PacketKind::Reject,
            other => return Err(HandshakeError::Malformed(format!("packet of kind {other}"))),
        };
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if len > MAX_HANDSHAKE {
            let text = format!("packet of {len} bytes, at most {MAX_HANDSHAKE} are allowed");
            return Err(HandshakeError::Malformed(text));
        }
        if kind != PacketKind::Reject && (oldest > VERSIONS.1 || newest < VERSIONS.0) {
            return Err(HandshakeError::Version { theirs: (oldest, newest) });
        }
        if kind != expected && kind != PacketKind::Reject {
            return Err(HandshakeError::Malformed("packets out of order".into()));
        }
        self.expected = Expected::Body { kind, len };
        if len == 0 { self.step(&[]) } else { Ok(Step::More) }
    }

    fn on_hello(&mut self, body: &[u8]) -> Result<Step, HandshakeError> {
        if self.role == Role::Dialer && self.own_hello.is_empty() {
            let error = encode_hello(&self.local).expect_err("dial could not encode it");
            return Err(HandshakeError::OwnHello(error.to_string()));
        }
        let peer: Hello =
            codec::decode(body).map_err(|error| HandshakeError::Malformed(error.to_string()))?;
        self.check(&peer)?;
        self.peer_hello = Some((body.to_vec(), peer.clone()));
        match self.role {
            Role::Acceptor => {
                self.expected = Expected::Nothing;
                Ok(Step::PeerHello(peer))
            }
            Role::Dialer => {
                self.expected = Expected::Preface { kind: PacketKind::Proof };
                Ok(Step::More)
            }
        }
    }

    fn check(&self, peer: &Hello) -> Result<(), HandshakeError> {
        let local = &self.local;
        if peer.cluster != local.cluster {
            let (ours, theirs) = (local.cluster.clone(), peer.cluster.clone());
            return Err(HandshakeError::Cluster { ours, theirs });
        }
        if peer.node == local.node {
            return Err(HandshakeError::OwnId(local.node));
        }
        if let Some(expected) = local.expects.filter(|expected| *expected != peer.node) {
            return Err(HandshakeError::WrongNode { expected, found: peer.node });
        }
        if let Some(expected) = peer.expects.filter(|expected| *expected != local.node) {
            return Err(HandshakeError::WrongNode { expected, found: local.node });
        }
        if !lanes_agree(&local.lanes, &peer.lanes) {
            return Err(HandshakeError::Lanes {
                ours: local.lanes.len(),
                theirs: peer.lanes.len(),
            });
        }
        match &self.auth.proof {
            PeerProof::Certificate(is_of) if !is_of(peer.node) => {
                Err(HandshakeError::Certificate(peer.node))
            }
            PeerProof::None if self.auth.secret.is_none() => Err(HandshakeError::NoSecret),
            PeerProof::Certificate(_) | PeerProof::None => Ok(()),
        }
    }

    fn on_proof(&mut self, proof: &[u8]) -> Result<Step, HandshakeError> {
        let Some((peer_body, _)) = &self.peer_hello else {
            return Err(HandshakeError::Malformed("proof before introduction".into()));
        };
        let (dialer, acceptor) = match self.role {
            Role::Dialer => (&self.own_hello, peer_body),
            Role::Acceptor => (peer_body, &self.own_hello),
        };
        let label = if self.role == Role::Dialer { ACCEPTOR_LABEL } else { DIALER_LABEL };
        self.verify(label, dialer, acceptor, proof)?;
        if self.role == Role::Acceptor {
            return self.done();
        }
        let own = self.prove(DIALER_LABEL, dialer, acceptor);
        self.output = Some(packet(PacketKind::Proof, &own));
        self.expected = Expected::First;
        Ok(Step::More)
    }

    fn done(&mut self) -> Result<Step, HandshakeError> {
        self.expected = Expected::Nothing;
        match self.peer_hello.take() {
            Some((_, peer)) => Ok(Step::Done(peer)),
            None => Err(HandshakeError::Malformed("it ended before it began".into())),
        }
    }

    fn mac(&self, label: &[u8], dialer: &[u8], acceptor: &[u8]) -> Option<Hmac<Sha256>> {
        let PeerProof::None = self.auth.proof else { return None };
        let secret = self.auth.secret.as_ref()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).ok()?;
        for part in [label, dialer, acceptor] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        Some(mac)
    }

    fn prove(&self, label: &[u8], dialer: &[u8], acceptor: &[u8]) -> Vec<u8> {
        let mac = self.mac(label, dialer, acceptor);
        mac.map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default()
    }

    fn verify(
        &self,
        label: &[u8],
        dialer: &[u8],
        acceptor: &[u8],
        proof: &[u8],
    ) -> Result<(), HandshakeError> {
        if let PeerProof::Certificate(_) = self.auth.proof {
            return Ok(());
        }
        let mac = self.mac(label, dialer, acceptor).ok_or(HandshakeError::NoSecret)?;
        if proof.len() != PROOF_LEN {
            return Err(HandshakeError::WrongSecret);
        }
        mac.verify_slice(proof).map_err(|_| HandshakeError::WrongSecret)
    }
}

fn lanes_agree(ours: &[LaneOffer], theirs: &[LaneOffer]) -> bool {
    let same_kind =
        || ours.iter().zip(theirs).all(|(ours, theirs)| ours.reliable == theirs.reliable);
    theirs.len() <= MAX_LANES && ours.len() == theirs.len() && same_kind()
}

fn encode_hello(hello: &Hello) -> Result<Vec<u8>, codec::EncodeError> {
    codec::encode(hello, MAX_HANDSHAKE)
}

fn packet(kind: PacketKind, body: &[u8]) -> Bytes {
    let kind = match kind {
        PacketKind::Hello => 1,
        PacketKind::Proof => 2,
        PacketKind::Reject => 3,
    };
    let mut packet = MAGIC.to_vec();
    packet.extend_from_slice(&[kind, VERSIONS.0, VERSIONS.1, 0]);
    let len = u32::try_from(body.len()).expect("bodies are at most MAX_HANDSHAKE bytes");
    packet.extend_from_slice(&len.to_le_bytes());
    packet.extend_from_slice(body);
    packet.into()
}

/// The packet with which a side refuses a link, at any point before its first frame.
#[must_use]
pub fn reject_packet(code: RejectCode, reason: &str) -> Bytes {
    let mut body = vec![code.to_byte()];
    body.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)]);
    packet(PacketKind::Reject, &body)
}

fn rejection(body: &[u8]) -> HandshakeError {
    let (&code, reason) = body.split_first().unwrap_or((&0, &[]));
    let reason = &reason[..reason.len().min(MAX_REASON)];
    // Control characters would let a peer write on this node's terminal.
    let reason = String::from_utf8_lossy(reason).replace(char::is_control, " ");
    HandshakeError::Rejected { code: RejectCode::from_byte(code), reason }
}

#[cfg(test)]
#[path = "handshake/tests.rs"]
mod tests;
