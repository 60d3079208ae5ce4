//! Accepting: bounded in number, rate and time, so that strangers cost little.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::handshake::{Handshake, RejectCode, Step};
use crate::hello::Hello;
use crate::id::{NodeId, SessionNonce};
use crate::mesh::arbiter::Dialer;
use crate::mesh::arriving::Arriving;
use crate::mesh::attempt::{Candidate, reject};
use crate::mesh::converse;
use crate::mesh::event::{LinkError, origin};
use crate::mesh::peer::PeerShared;
use crate::mesh::shared::Shared;
use crate::mesh::task::fresh_nonce;
use crate::mesh::waiters::lock;
use crate::transport::{Incoming, Link, Listener};

/// Pause after the operating system refused to accept, most likely for want of file descriptors.
/// There is nothing to wait for that would say when there are some again.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// Finished links of one peer that wait for its task. More than two is a peer gone mad.
const MAX_WAITING: usize = 4;

/// Accepts what comes to `listener`, until it is aborted.
pub(crate) async fn accept(
    mesh: Arc<Shared>,
    transport: &'static str,
    mut listener: Box<dyn Listener>,
) {
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while handshakes.try_join_next().is_some() {}
        match accepted {
            Ok(incoming) => {
                if let Some(place) = admit(&mesh, transport, &incoming) {
                    handshakes.spawn(welcome(mesh.clone(), transport, incoming, place));
                }
            }
            Err(error) => {
                tracing::warn!(%error, transport, "accepting failed");
                sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

/// A place among the pending handshakes, unless there is a reason to close the connection at
/// once. That costs next to nothing, which is the point.
fn admit(mesh: &Shared, transport: &str, incoming: &Incoming) -> Option<OwnedSemaphorePermit> {
    let place = mesh.pending.clone().try_acquire_owned();
    let refusal = match &place {
        Ok(_) if mesh.may_connect(incoming.from) => None,
        Ok(_) => Some(LinkError::RateLimited),
        Err(_) => Some(LinkError::Crowded),
    };
    if let Some(error) = refusal {
        mesh.handshakes.limited.fetch_add(1, Ordering::Relaxed);
        mesh.report_stranger(&origin(transport, incoming.from), None, error);
        return None;
    }
    place.ok()
}

async fn welcome(
    mesh: Arc<Shared>,
    transport: &'static str,
    incoming: Incoming,
    place: OwnedSemaphorePermit,
) {
    let mut caller = Caller { transport, address: origin(transport, incoming.from), node: None };
    let upgrade = (incoming.upgrade)(mesh.lanes.len());
    let greeting = async { greet(&mesh, &mut caller, upgrade.await?).await };
    let result = timeout(mesh.config.bounds.handshake_timeout, greeting).await;
    drop(place);
    match result.unwrap_or(Err(LinkError::Timeout)) {
        Ok(()) => drop(mesh.handshakes.accepted.fetch_add(1, Ordering::Relaxed)),
        Err(error) => {
            mesh.handshakes.accept_failures.fetch_add(1, Ordering::Relaxed);
            mesh.report_stranger(&caller.address, caller.node, error);
        }
    }
}

/// What is known of whoever is at the other end.
struct Caller {
    transport: &'static str,
    address: String,
    /// Who it says it is.
    node: Option<NodeId>,
}

async fn greet(
    mesh: &Arc<Shared>,
    caller: &mut Caller,
    mut link: Box<dyn Link>,
) -> Result<(), LinkError> {
    let mut handshake = Handshake::accept(mesh.hello(None, SessionNonce(0)), mesh.auth(link.peer()));
    let mut place = None;
    loop {
        if let Some(packet) = handshake.output() {
            converse::send(&mut *link, packet).await?;
        }
        let bytes = converse::receive(&mut *link, handshake.want()).await?;
        match handshake.input(&bytes)? {
            Step::More => {}
            Step::PeerHello(hello) => {
                caller.node = Some(hello.node);
                place = Some(seat(mesh, &mut handshake, &hello)?);
            }
            Step::Done(hello) => return hand_over(mesh, caller, link, hello, place),
        }
    }
}
