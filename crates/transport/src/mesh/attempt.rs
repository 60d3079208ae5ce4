//! From an address to a link whose handshake is done, and back to nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::handshake::{Handshake, Step};
use crate::hello::Hello;
use crate::id::{NodeId, SessionNonce};
use crate::linking::DialedBy;
use crate::mesh::arriving::Arriving;
use crate::mesh::converse;
use crate::mesh::event::LinkError;
use crate::mesh::peer::{PeerShared, Target};
use crate::mesh::shared::Shared;
use crate::patience::Patience;
use crate::transport::{DialError, Link};

/// A link whose handshake is done, on its way to the peer's task.
pub(crate) struct Candidate {
    pub link: Box<dyn Link>,
    pub hello: Hello,
    pub dialer: DialedBy,
    pub transport: &'static str,
    pub address: String,
    /// The nonce that this side's hello named.
    pub nonce: SessionNonce,
    /// Bytes of the session that came with the handshake.
    pub first: Vec<u8>,
    /// Holds back dialing until the task has decided.
    pub arriving: Option<Arriving>,
}

/// What came of dialing one address.
pub(crate) struct Attempt {
    pub address: String,
    /// `None` if there was a link before its turn came.
    pub result: Option<Result<Candidate, LinkError>>,
}

/// Dials `target` and carries out the handshake, unless there is a link by then.
///
/// It waits for one of the places that damp a storm. An attempt without answer gives its place up
/// after a while: hosts that are away must not keep others from being dialed.
pub(crate) async fn dial(
    mesh: Arc<Shared>,
    peer: Arc<PeerShared>,
    target: Target,
    nonce: SessionNonce,
) -> Attempt {
    let address = target.address.to_string();
    let place = mesh.dials.acquire().await.expect("the places are never closed");
    if mesh.is_linked(&peer) {
        return Attempt { address, result: None };
    }
    let mut connecting = std::pin::pin!(connect(&mesh, peer.node, &target, nonce));
    let in_time = Patience::new(mesh.config.dialing.next_address).wait(&mut connecting).await;
    drop(place);
    let result = if let Some(result) = in_time { result } else { connecting.await };
    let counter = match result {
        Ok(_) => &mesh.handshakes.dialed,
        Err(_) => &mesh.handshakes.dial_failures,
    };
    counter.fetch_add(1, Ordering::Relaxed);
    Attempt { address, result: Some(result) }
}

async fn connect(
    mesh: &Shared,
    peer: NodeId,
    target: &Target,
    nonce: SessionNonce,
) -> Result<Candidate, LinkError> {
    let mut patience = Patience::new(mesh.config.bounds.handshake_timeout);
    let dialing = target.transport.dial(target.address.endpoint(), peer, mesh.lanes.len());
    let no_answer = || DialError::Timeout(target.address.to_string());
    let link = patience.wait(dialing).await.ok_or_else(no_answer)??;
    let greeting = greet(mesh, peer, target, nonce, link);
    patience.wait(greeting).await.ok_or(LinkError::Timeout)?
}

async fn greet(
    mesh: &Shared,
    peer: NodeId,
    target: &Target,
    nonce: SessionNonce,
    mut link: Box<dyn Link>,
) -> Result<Candidate, LinkError> {
    let mut handshake = Handshake::dial(mesh.hello(Some(peer), nonce), mesh.auth(link.peer()));
    loop {
        if let (Step::Done(hello), bytes) = converse::step(&mut *link, &mut handshake).await? {
            return Ok(Candidate {
                link,
                hello,
                dialer: DialedBy::Us,
                transport: target.transport.name(),
                address: target.address.to_string(),
                nonce,
                first: bytes,
                arriving: None,
            });
        }
    }
}
