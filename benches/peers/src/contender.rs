//! What is compared: dx and its peers, behind one trait.

mod mesh;
pub mod nats;
mod tarpc;
mod tonic;
pub mod zenoh;

use clap::ValueEnum;
use dx::bench::subject::{BoxFuture, Flow, Window};
use dx::bench::transport::TransportName;

/// Two connected ends.
///
/// Dropped, they leave nothing running.
pub trait Contender: Send {
    /// Sends messages of `size` bytes one way as fast as they go, and counts at the receiver.
    fn one_way(&mut self, size: usize, window: Window) -> BoxFuture<'_, anyhow::Result<Flow>>;

    /// Sends 64 B there and back, one at a time; returns the median in microseconds.
    fn round_trip(&mut self, window: Window) -> BoxFuture<'_, anyhow::Result<Option<f64>>>;

    /// Keeps [`crate::load::IN_FLIGHT`] requests of 64 B under way; `None` where there are no
    /// requests.
    fn requests(&mut self, window: Window) -> Option<BoxFuture<'_, anyhow::Result<Flow>>>;
}

/// A peer over one of its transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// dx over TCP.
    DxTcp,
    /// dx over TLS.
    DxTls,
    /// dx over QUIC.
    DxQuic,
    /// zenoh over TCP.
    ZenohTcp,
    /// zenoh over QUIC.
    ZenohQuic,
    /// tarpc over TCP.
    Tarpc,
    /// tonic over TCP.
    Tonic,
    /// NATS over TCP.
    Nats,
}

impl Name {
    /// The peer.
    pub fn peer(self) -> &'static str {
        match self {
            Self::DxTcp | Self::DxTls | Self::DxQuic => "dx",
            Self::ZenohTcp | Self::ZenohQuic => "zenoh",
            Self::Tarpc => "tarpc",
            Self::Tonic => "tonic",
            Self::Nats => "nats",
        }
    }

    /// What it runs over.
    pub fn transport(self) -> &'static str {
        match self {
            Self::DxTls => "tls",
            Self::DxQuic | Self::ZenohQuic => "quic",
            Self::DxTcp | Self::ZenohTcp | Self::Tarpc | Self::Tonic | Self::Nats => "tcp",
        }
    }

    /// How it was measured, where that needs saying: what stands below the table.
    pub fn note(self) -> &'static str {
        match self {
            Self::DxTcp | Self::DxTls | Self::DxQuic => {
                "one process, two threads; tls and quic prove both ends' certificates; it has no \
                 calls: \"64 in flight\" are echoes, which come back in order and in batches"
            }
            Self::ZenohTcp | Self::ZenohQuic => {
                "two processes, because its runtimes belong to the process; peer mode, scouting \
                 off, congestion control Block; round trips are express"
            }
            Self::Tarpc => {
                "one process, two threads; bincode; one way are 64 calls in flight with \
                 one-byte replies, since it has no other"
            }
            Self::Tonic => {
                "one process, two threads; a codec that copies bytes, without protobuf; one way is \
                 a client stream; HTTP/2 windows of 4 MiB"
            }
            Self::Nats => {
                "brokered: two clients in one process, two threads, and nats-server in another; \
                 one way is held to what the subscriber keeps up with, since the broker would drop \
                 the rest; flushed every 256 KiB"
            }
        }
    }

    /// Starts and connects its two ends.
    ///
    /// # Errors
    /// If they do not start or do not connect.
    pub async fn start(self) -> anyhow::Result<Box<dyn Contender>> {
        Ok(match self {
            Self::DxTcp => Box::new(mesh::Mesh::start(TransportName::Tcp).await?),
            Self::DxTls => Box::new(mesh::Mesh::start(TransportName::Tls).await?),
            Self::DxQuic => Box::new(mesh::Mesh::start(TransportName::Quic).await?),
            Self::ZenohTcp => Box::new(zenoh::Zenoh::new(zenoh::Link::Tcp)?),
            Self::ZenohQuic => Box::new(zenoh::Zenoh::new(zenoh::Link::Quic)?),
            Self::Tarpc => Box::new(tarpc::Tarpc::start().await?),
            Self::Tonic => Box::new(tonic::Tonic::start().await?),
            Self::Nats => Box::new(nats::Nats::start().await?),
        })
    }

    /// Why it cannot be measured here, if so.
    pub fn missing(self) -> Option<String> {
        if self == Self::Nats { nats::missing() } else { None }
    }
}
