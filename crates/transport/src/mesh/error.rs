//! Why a mesh does not start, or a peer is not added.

use std::io;

use crate::address::Address;
use crate::id::NodeId;
use crate::transport::{BindError, CreateError};

/// Why a mesh did not start. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The lanes cannot be as configured.
    #[error("lane `{lane}`: {reason}")]
    Lane {
        /// The lane's name.
        lane: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// There are no lanes, or too many.
    #[error("{0} lanes are configured: 1 to {max} are possible", max = crate::limits::MAX_LANES)]
    LaneCount(usize),
    /// The times contradict each other.
    #[error("timing: {0}")]
    Timing(&'static str),
    /// It would be open to the network, unencrypted.
    #[error("{0} is plain tcp beyond this host: use tls or quic, or allow it with `insecure`")]
    Insecure(Address),
    /// There is no such transport, or it cannot be used.
    #[error(transparent)]
    Transport(#[from] CreateError),
    /// It cannot listen where it should.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No runtime to do I/O on.
    #[error("no runtime for the mesh's I/O: {0}")]
    Runtime(#[from] io::Error),
}

/// Why a peer was not added. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddPeerError {
    /// A node has no session with itself.
    #[error("{0} is this node itself")]
    OwnId(NodeId),
    /// The bound on peers is reached.
    #[error("there are {limit} peers already: raise the bound, or remove some")]
    TooMany {
        /// The bound.
        limit: usize,
    },
    /// One of its addresses is unencrypted and beyond this host.
    #[error("{0} is plain tcp beyond this host: use tls or quic, or allow it with `insecure`")]
    Insecure(Address),
    /// One of its addresses is of no known transport.
    #[error(transparent)]
    Transport(#[from] CreateError),
    /// The mesh drains or is gone.
    #[error("the mesh is closing")]
    Closed,
}
