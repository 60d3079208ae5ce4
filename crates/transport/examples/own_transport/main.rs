//! A transport of one's own: Unix domain sockets, which this crate does not have. `unix.rs` is
//! all of it, in under 100 lines of code; a mesh takes it by `MeshConfig::transport` and gives it
//! everything that the built-in ones have. Here two nodes talk over it:
//!
//! ```text
//! cargo run --example own_transport      two nodes, a few messages, goodbye
//! cargo test --example own_transport     the conformance suite over it
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "examples talk to people")]

mod unix;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dx_transport::address::Address;
use dx_transport::credentials::Credentials;
use dx_transport::id::{Incarnation, NodeId};
use dx_transport::lane::Lane;
use dx_transport::mesh::{Mesh, MeshConfig};
use dx_transport::secret::ClusterSecret;
use unix::Unix;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match talk().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("own_transport: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn talk() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let secret = ClusterSecret::generate()?;
    let one = start(1, folder.path(), &secret).await?;
    let two = start(2, folder.path(), &secret).await?;
    let to_two = one.add_peer(two.node(), two.endpoints().to_vec())?;
    two.add_peer(one.node(), Vec::new())?;

    for text in ["hello", "over", "a Unix domain socket"] {
        to_two.send(Lane::DATA, text.as_bytes()).await?;
    }
    let mut count = 0;
    while count < 3 {
        let batch = two.recv(Lane::DATA).await;
        for message in &batch {
            println!("{} says: {}", batch.peer(), String::from_utf8_lossy(&message));
        }
        count += batch.count();
    }
    one.drain(Duration::from_secs(1)).await;
    two.drain(Duration::from_secs(1)).await;
    Ok(())
}

async fn start(node: u32, folder: &Path, secret: &ClusterSecret) -> Result<Mesh, Box<dyn Error>> {
    let socket = folder.join(format!("node-{node}.sock"));
    let credentials = Credentials { secret: Some(secret.clone()), ..Credentials::default() };
    let config = MeshConfig::new("example".parse()?, NodeId(node), Incarnation(1), credentials)
        .transport(Arc::new(Unix))
        .listen(Address::new("unix", &socket.to_string_lossy())?);
    Ok(Mesh::start(config).await?)
}

/// What every built-in transport is held to.
#[cfg(test)]
#[path = "../../tests/conformance/suite.rs"]
mod suite;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Unix;
    use super::suite;
    use super::suite::subject::Subject;

    fn unused_path() -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dx-own-transport-{}-{next}.sock", std::process::id());
        std::env::temp_dir().join(name).to_string_lossy().into_owned()
    }

    suite::conformance!(unix, Subject::new("unix", unused_path, |_| Arc::new(Unix)));
}
