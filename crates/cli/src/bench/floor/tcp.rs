//! Raw tokio: a socket and nothing on top.

use std::io;

use tokio::net::TcpStream;

use crate::bench::floor::stream::Wire;

/// TCP as it is.
#[derive(Clone)]
pub struct Plain;

impl Wire for Plain {
    type Stream = TcpStream;

    async fn client(self, tcp: TcpStream) -> io::Result<TcpStream> {
        Ok(tcp)
    }

    async fn server(self, tcp: TcpStream) -> io::Result<TcpStream> {
        Ok(tcp)
    }
}
