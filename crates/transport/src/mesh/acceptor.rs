//! Accepting: bounded in number, rate and time, so that strangers cost little.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::handshake::{Handshake, RejectCode, Step};
use crate::hello::Hello;
use crate::id::{NodeId, SessionNonce};
use crate::linking::{DialedBy, Verdict, arbitrate};
use crate::mesh::arriving::Arriving;
use crate::mesh::attempt::Candidate;
use crate::mesh::converse::{self, reject};
use crate::mesh::event::{LinkError, origin};
use crate::mesh::peer::PeerShared;
use crate::mesh::places::Place;
use crate::mesh::shared::Shared;
use crate::mesh::task::fresh_nonce;
use crate::mesh::waiters::lock;
use crate::patience::Patience;
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
    let must_prove = || must_prove(&mesh);
    loop {
        let accepted = listener.accept(&must_prove).await;
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

/// While places run short, nobody gets one by a forged address: that would cost a single packet.
fn must_prove(mesh: &Shared) -> bool {
    let are_short = mesh.places.are_short();
    mesh.handshakes.retried.fetch_add(u64::from(are_short), Ordering::Relaxed);
    are_short
}

/// A place among the pending handshakes, unless there is a reason to close the connection at
/// once. That costs next to nothing, which is the point.
fn admit(mesh: &Shared, transport: &str, incoming: &Incoming) -> Option<Place> {
    let from = incoming.from();
    let place = if mesh.may_connect(from) {
        mesh.places.take(from).ok_or(LinkError::Crowded)
    } else {
        Err(LinkError::RateLimited)
    };
    let refused = |error| {
        mesh.handshakes.limited.fetch_add(1, Ordering::Relaxed);
        mesh.report_stranger(&origin(transport, from), None, error);
    };
    place.map_err(refused).ok()
}

async fn welcome(mesh: Arc<Shared>, transport: &'static str, incoming: Incoming, mut place: Place) {
    let mut caller = Caller { transport, address: origin(transport, incoming.from()), node: None };
    let upgrade = incoming.upgrade(mesh.lanes.len());
    let greeting = async {
        tokio::select! {
            greeted = async { greet(&mesh, &mut caller, upgrade.await?).await } => greeted,
            () = place.displaced() => Err(LinkError::Displaced),
        }
    };
    let result = Patience::new(mesh.config.bounds.handshake_timeout).wait(greeting).await;
    drop(place);
    match result.unwrap_or(Err(LinkError::Timeout)) {
        Ok(()) => drop(mesh.handshakes.accepted.fetch_add(1, Ordering::Relaxed)),
        Err(LinkError::TurnedAway(RejectCode::Duplicate)) => {}
        Err(error) => {
            let is_displaced = matches!(error, LinkError::Displaced);
            mesh.handshakes.displaced.fetch_add(u64::from(is_displaced), Ordering::Relaxed);
            mesh.handshakes.accept_failures.fetch_add(1, Ordering::Relaxed);
            caller.report(&mesh, error);
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

impl Caller {
    /// Callers that just hang up are no news: they have found another link, or only looked
    /// whether somebody listens.
    fn report(&self, mesh: &Shared, error: LinkError) {
        match error {
            LinkError::Io(error) => tracing::debug!(%error, from = self.address, "caller hung up"),
            error => mesh.report_stranger(&self.address, self.node, error),
        }
    }
}

async fn greet(
    mesh: &Arc<Shared>,
    caller: &mut Caller,
    mut link: Box<dyn Link>,
) -> Result<(), LinkError> {
    let hello = mesh.hello(None, SessionNonce(0));
    let mut handshake = Handshake::accept(hello, mesh.auth(link.peer()));
    let mut seat = None;
    loop {
        match converse::step(&mut *link, &mut handshake).await?.0 {
            Step::More => {}
            Step::PeerHello(hello) => {
                caller.node = Some(hello.node);
                match Seat::find(mesh, &hello) {
                    Ok(found) => {
                        handshake.reply(found.nonce);
                        seat = Some(found);
                    }
                    Err(code) => {
                        handshake.reject(code);
                        converse::say_last(&mut *link, &mut handshake).await;
                        return Err(LinkError::TurnedAway(code));
                    }
                }
            }
            Step::Done(hello) => {
                let seat = seat.expect("a handshake is done only after the peer's hello");
                return seat.take(mesh, caller, link, hello).await;
            }
        }
    }
}

/// Where a caller belongs, if it is who it says it is.
struct Seat {
    /// `None` for a node that is not known yet: it is not added before it has proven itself.
    peer: Option<Arc<PeerShared>>,
    nonce: SessionNonce,
    arriving: Option<Arriving>,
}

impl Seat {
    /// Whoever would lose in the end is told now: nobody has proven anything yet, but a link that
    /// loses to itself is all that a liar gains.
    fn find(mesh: &Shared, hello: &Hello) -> Result<Self, RejectCode> {
        if mesh.is_draining.load(Ordering::Acquire) {
            return Err(RejectCode::Draining);
        }
        match mesh.peer(hello.node) {
            Some(peer) => {
                let session = lock(&peer.session);
                match arbitrate(&mesh.situation(&peer, &session, hello, DialedBy::Peer)) {
                    Verdict::Duplicate => return Err(RejectCode::Duplicate),
                    Verdict::Stale { .. } => return Err(RejectCode::StaleIncarnation),
                    Verdict::Accept | Verdict::Restarted { .. } => {}
                }
                let nonce = session.nonce();
                drop(session);
                let arriving = Some(Arriving::new(&peer.arriving));
                Ok(Self { peer: Some(peer), nonce, arriving })
            }
            None if mesh.config.accept_unknown => {
                Ok(Self { peer: None, nonce: fresh_nonce(), arriving: None })
            }
            None => Err(RejectCode::UnknownPeer),
        }
    }

    /// Hands the link to the peer's task, which decides about it.
    async fn take(
        self,
        mesh: &Arc<Shared>,
        caller: &Caller,
        link: Box<dyn Link>,
        hello: Hello,
    ) -> Result<(), LinkError> {
        let known = self.peer.ok_or(()).or_else(|()| mesh.add_peer(hello.node, self.nonce));
        let Ok(peer) = known else {
            reject(link, RejectCode::Busy).await;
            return Err(LinkError::TurnedAway(RejectCode::Busy));
        };
        let mut candidate = Some(Candidate {
            link,
            hello,
            dialer: DialedBy::Peer,
            transport: caller.transport,
            address: caller.address.clone(),
            nonce: self.nonce,
            first: Vec::new(),
            arriving: self.arriving,
        });
        peer.order(|orders| {
            if orders.links.len() < MAX_WAITING {
                orders.links.extend(candidate.take());
            }
        });
        match candidate {
            None => Ok(()),
            Some(candidate) => {
                reject(candidate.link, RejectCode::Busy).await;
                Err(LinkError::TurnedAway(RejectCode::Busy))
            }
        }
    }
}
