//! Links over QUIC: one stream per lane in each direction, both ends proven by certificates.

mod config;
mod endpoint;
mod failure;
mod link;
mod refusal_probe;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{
    BindError, BoxFuture, CreateError, DialError, Incoming, Link, Listener, MustProve, Transport,
    host,
};
use crate::id::NodeId;
use crate::identity::{NodeIdentity, dns_name};
use crate::limits;
use crate::patience::Patience;
use config::Configs;
use endpoint::{BoundEndpoint, Endpoints};
use link::QuicLink;

/// QUIC. An endpoint is `host:port`.
///
/// Sockets and timers run on the tokio runtime from which it is first used. Give them a thread of
/// their own where other tasks are busy: a runtime that stalls drops packets.
#[derive(Clone)]
pub struct Quic {
    configs: Arc<Configs>,
    endpoints: Arc<Endpoints>,
}

impl Quic {
    /// QUIC as `identity`.
    ///
    /// # Errors
    /// If the cryptography cannot be set up with it.
    pub fn new(identity: &NodeIdentity) -> Result<Self, CreateError> {
        Ok(Self { configs: Arc::new(Configs::new(identity)?), endpoints: Arc::default() })
    }

    async fn connect(
        &self,
        address: SocketAddr,
        peer: NodeId,
        lanes: usize,
    ) -> Result<Box<dyn Link>, DialError> {
        let config = self.configs.client(address.ip());
        let connecting = self.endpoints.connect(config, address, &dns_name(peer))?;
        tokio::select! {
            connected = connecting => {
                let connection = connected.map_err(|error| failure::handshake(address, &error))?;
                QuicLink::open(connection, lanes).await
            }
            refused = refusal_probe::refusal(address) => Err(host::dial_error(address, refused)),
        }
    }
}

impl Transport for Quic {
    fn name(&self) -> &'static str {
        "quic"
    }

    fn bind<'a>(
        &'a self,
        endpoint: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Listener>, BindError>> {
        Box::pin(async move {
            let resolved = host::resolve(endpoint).await;
            let addresses = resolved.map_err(|error| error.on_bind("quic", endpoint))?;
            let mut bound = Err(io::ErrorKind::AddrNotAvailable.into());
            for address in addresses {
                bound = self.endpoints.bind(address, self.configs.any_server()).await;
                if bound.is_ok() {
                    break;
                }
            }
            let bound = bound.map_err(|error| host::bind_error("quic", endpoint, error))?;
            Ok(Box::new(QuicListener { bound, configs: self.configs.clone() }) as Box<dyn Listener>)
        })
    }

    fn dial<'a>(
        &'a self,
        endpoint: &'a str,
        peer: NodeId,
        lanes: usize,
    ) -> BoxFuture<'a, Result<Box<dyn Link>, DialError>> {
        Box::pin(async move {
            let resolved = host::resolve(endpoint).await;
            let addresses = resolved.map_err(|error| error.on_dial("quic", endpoint))?;
            let share = limits::HANDSHAKE_TIMEOUT / u32::try_from(addresses.len()).unwrap_or(1);
            let mut errors = Vec::new();
            for address in addresses {
                match Patience::new(share).wait(self.connect(address, peer, lanes)).await {
                    Some(Ok(link)) => return Ok(link),
                    Some(Err(error)) => errors.push(error),
                    None => errors.push(DialError::Timeout(address.to_string())),
                }
            }
            Err(host::worst(errors))
        })
    }
}

struct QuicListener {
    bound: BoundEndpoint,
    configs: Arc<Configs>,
}

impl Listener for QuicListener {
    fn endpoint(&self) -> String {
        self.bound.address.to_string()
    }

    fn accept<'a>(
        &'a mut self,
        must_prove: &'a MustProve<'a>,
    ) -> BoxFuture<'a, io::Result<Incoming>> {
        Box::pin(async move {
            let incoming = loop {
                let accepted = self.bound.endpoint.accept().await;
                let incoming = accepted.ok_or(io::ErrorKind::NotConnected)?;
                if incoming.remote_address_validated() || !must_prove() {
                    break incoming;
                }
                incoming.retry().expect("whoever has not proven its address may be asked to");
            };
            let from = incoming.remote_address();
            let config = self.configs.server(from.ip());
            Ok(Incoming::new(Some(from.ip()), move |lanes| async move {
                let failed = |error| failure::handshake(from, &error);
                let connecting = incoming.accept_with(config).map_err(failed)?;
                QuicLink::open(connecting.await.map_err(failed)?, lanes).await
            }))
        })
    }
}
