//! tokio-rustls over a raw socket.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::bench::floor::certificate::{self, SERVER_NAME};
use crate::bench::floor::stream::Wire;

/// TLS 1.3 over TCP.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// With a certificate of its own.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let configs = certificate::configs()?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(configs.client)),
            acceptor: TlsAcceptor::from(Arc::new(configs.server)),
        })
    }
}

impl Wire for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn client(self, tcp: TcpStream) -> io::Result<Self::Stream> {
        let name = ServerName::try_from(SERVER_NAME).expect("the constant is a host name");
        Ok(TlsStream::Client(self.connector.connect(name, tcp).await?))
    }

    async fn server(self, tcp: TcpStream) -> io::Result<Self::Stream> {
        Ok(TlsStream::Server(self.acceptor.accept(tcp).await?))
    }
}
