//! What all tasks of a mesh share.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::address::Address;
use crate::buffer::BufferPool;
use crate::handshake::Auth;
use crate::hello::{Hello, LaneOffer};
use crate::id::{NodeId, SessionNonce};
use crate::lane::LaneConfig;
use crate::linking::{CROSSING, DialedBy, Situation};
use crate::mesh::clock::Clock;
use crate::mesh::config::MeshConfig;
use crate::mesh::datagrams::Datagrams;
use crate::mesh::error::AddPeerError;
use crate::mesh::event::{Events, LinkError, PeerEvent, Reported};
use crate::mesh::inbox::{Credit, Inbox};
use crate::mesh::peer::{LaneCounters, Orders, PeerShared, Sending, Target, View};
use crate::mesh::places::Places;
use crate::mesh::rate_limit::RateLimit;
use crate::mesh::runtime::Runtime;
use crate::mesh::status::HandshakeStatus;
use crate::mesh::task::PeerTask;
use crate::mesh::task_waker::TaskWaker;
use crate::mesh::waiters::{Waiters, lock};
use crate::outbox::Outbox;
use crate::proof::PeerProof;
use crate::session::{Session, SessionConfig};
use crate::time::Instant;
use crate::transport::{self, CreateError, Transport};

/// See the module.
pub(crate) struct Shared {
    pub config: MeshConfig,
    pub lanes: Arc<[LaneConfig]>,
    pub session: Arc<SessionConfig>,
    pub clock: Clock,
    pub runtime: Runtime,
    pub events: Arc<Events>,
    pub inbox: Arc<Inbox>,
    pub datagrams: Datagrams,
    pub dials: Semaphore,
    pub places: Arc<Places>,
    pub handshakes: Handshakes,
    pub is_draining: AtomicBool,
    peers: Mutex<BTreeMap<NodeId, Arc<PeerShared>>>,
    transports: Mutex<Vec<Arc<dyn Transport>>>,
    inbound: Mutex<RateLimit>,
    strangers: Mutex<Strangers>,
}

/// Counters of handshakes.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    pub dialed: AtomicU64,
    pub accepted: AtomicU64,
    pub dial_failures: AtomicU64,
    pub accept_failures: AtomicU64,
    pub limited: AtomicU64,
    pub displaced: AtomicU64,
    pub retried: AtomicU64,
}

/// What was reported of those who are no peers.
#[derive(Debug, Default)]
struct Strangers {
    reported: Reported,
    since: Instant,
}

/// How long the same reason is no news again.
const STRANGERS_MEMORY: Duration = Duration::from_mins(10);

impl Strangers {
    fn is_news(&mut self, now: Instant, address: &str, error: &LinkError) -> bool {
        if now.since(self.since) >= STRANGERS_MEMORY {
            *self = Self { since: now, ..Self::default() };
        }
        self.reported.is_news(address, error)
    }
}

impl Handshakes {
    /// Handshakes completed on either side.
    pub(crate) fn completed(&self) -> u64 {
        self.dialed.load(Ordering::Relaxed) + self.accepted.load(Ordering::Relaxed)
    }
}

impl Shared {
    pub(crate) fn new(config: MeshConfig, runtime: Runtime) -> Arc<Self> {
        let bounds = &config.bounds;
        let inbound = RateLimit::new(
            bounds.connections_per_second,
            bounds.connection_burst,
            bounds.tracked_addresses,
        );
        let session = SessionConfig {
            lanes: config.lanes.clone(),
            timing: config.timing.clone(),
            pool: BufferPool::new(bounds.pooled_bytes),
        };
        Arc::new(Self {
            lanes: config.lanes.clone().into(),
            session: Arc::new(session),
            clock: Clock::start(),
            runtime,
            events: Arc::new(Events::new(bounds.events)),
            inbox: Inbox::new(config.lanes.len()),
            datagrams: Datagrams::new(bounds.datagrams),
            dials: Semaphore::new(config.dialing.concurrent.max(1)),
            places: Places::new(bounds.pending_handshakes),
            handshakes: Handshakes::default(),
            is_draining: AtomicBool::new(false),
            peers: Mutex::default(),
            transports: Mutex::new(config.transports.clone()),
            inbound: Mutex::new(inbound),
            strangers: Mutex::default(),
            config,
        })
    }

    /// The transport of that name: the embedder's own, or a built-in one.
    pub(crate) fn transport(&self, name: &str) -> Result<Arc<dyn Transport>, CreateError> {
        let mut transports = lock(&self.transports);
        if let Some(known) = transports.iter().find(|transport| transport.name() == name) {
            return Ok(known.clone());
        }
        let created = transport::create(name, &self.config.credentials)?;
        transports.push(created.clone());
        Ok(created)
    }

    pub(crate) fn targets(&self, addresses: Vec<Address>) -> Result<Vec<Target>, CreateError> {
        let target = |address: Address| {
            let transport = self.transport(address.transport())?;
            Ok(Target { address, transport })
        };
        addresses.into_iter().map(target).collect()
    }

    pub(crate) fn peer(&self, node: NodeId) -> Option<Arc<PeerShared>> {
        lock(&self.peers).get(&node).cloned()
    }

    pub(crate) fn peers(&self) -> Vec<Arc<PeerShared>> {
        lock(&self.peers).values().cloned().collect()
    }

    /// The peer `node`, which is added if it is not known. `nonce` names its first session.
    pub(crate) fn add_peer(
        self: &Arc<Self>,
        node: NodeId,
        nonce: SessionNonce,
    ) -> Result<Arc<PeerShared>, AddPeerError> {
        let limit = self.config.bounds.peers;
        let mut peers = lock(&self.peers);
        if let Some(peer) = peers.get(&node) {
            return Ok(peer.clone());
        }
        if node == self.config.node {
            return Err(AddPeerError::OwnId(node));
        }
        if peers.len() >= limit {
            return Err(AddPeerError::TooMany { limit });
        }
        let peer = Arc::new(self.new_peer(node, nonce));
        let (mesh, shared) = (self.clone(), peer.clone());
        let task = async move { PeerTask::new(mesh, shared).await };
        if self.is_draining.load(Ordering::Acquire) || self.runtime.spawn(task).is_none() {
            return Err(AddPeerError::Closed);
        }
        peers.insert(node, peer.clone());
        Ok(peer)
    }

    pub(crate) fn remove_peer(&self, node: NodeId) -> bool {
        let Some(peer) = lock(&self.peers).remove(&node) else { return false };
        peer.close();
        peer.source.discard();
        peer.order(|orders| orders.remove = true);
        true
    }

    fn new_peer(&self, node: NodeId, nonce: SessionNonce) -> PeerShared {
        let driver = Arc::new(TaskWaker::default());
        let credit = Credit::new(&self.lanes, driver.clone());
        let sending = Sending { outbox: Outbox::new(&self.lanes), waiters: Waiters::default() };
        PeerShared {
            node,
            lanes: self.lanes.clone(),
            sending: Mutex::new(sending),
            session: Mutex::new(Session::new(self.session.clone(), nonce)),
            source: self.inbox.source(credit.clone()),
            driver,
            credit,
            counters: self.lanes.iter().map(|_| LaneCounters::default()).collect(),
            view: Mutex::new(View::default()),
            orders: Mutex::new(Orders::default()),
            has_orders: AtomicBool::new(false),
            arriving: Arc::default(),
            dropped_datagrams: AtomicU64::new(0),
            max_datagrams: self.config.bounds.datagrams,
            events: self.events.clone(),
        }
    }

    /// What this node says of itself to `expects`.
    pub(crate) fn hello(&self, expects: Option<NodeId>, session: SessionNonce) -> Hello {
        let mut challenge = [0; 32];
        getrandom::fill(&mut challenge).expect("the operating system's random numbers never fail");
        Hello {
            features: 0,
            cluster: self.config.cluster.clone(),
            node: self.config.node,
            incarnation: self.config.incarnation,
            expects,
            session,
            lanes: self.lanes.iter().map(LaneOffer::of).collect(),
            challenge,
        }
    }

    /// What a handshake over a link with such a proof goes by.
    pub(crate) fn auth(&self, proof: PeerProof) -> Auth {
        Auth { secret: self.config.credentials.secret.clone(), proof }
    }

    /// What there is to know about a new link between this node and `peer`.
    ///
    /// A link in use is a rival only while it is young. A peer that dials although it should have
    /// had the link for a while does not have it: the link is broken, or broken in one direction,
    /// and this end has not noticed yet.
    pub(crate) fn situation(
        &self,
        peer: &PeerShared,
        session: &Session,
        hello: &Hello,
        dialer: DialedBy,
    ) -> Situation {
        let is_quiet = self.is_quiet(session);
        let is_young = |since| self.clock.now().since(since) < CROSSING;
        let view = lock(&peer.view);
        let rival = view.rival.filter(|(_, since)| !is_quiet && is_young(*since));
        Situation {
            us: self.config.node,
            peer: peer.node,
            known: view.incarnation,
            rival: rival.map(|(dialer, _)| dialer),
            incarnation: hello.incarnation,
            dialer,
        }
    }

    /// Whether there is a link to `peer` that was heard lately.
    pub(crate) fn is_linked(&self, peer: &PeerShared) -> bool {
        let session = lock(&peer.session);
        session.is_attached() && !self.is_quiet(&session)
    }

    fn is_quiet(&self, session: &Session) -> bool {
        session.silence(self.clock.now()) >= self.config.timing.silence / 2
    }

    /// Whether handshakes are under way, on either side.
    pub(crate) fn is_meeting(&self) -> bool {
        self.dials.available_permits() < self.config.dialing.concurrent.max(1)
            || self.places.taken() > 0
    }

    /// Whether an address may connect now.
    pub(crate) fn may_connect(&self, from: Option<IpAddr>) -> bool {
        from.is_none_or(|from| lock(&self.inbound).allow(self.clock.now(), from))
    }

    /// Reports a failure of somebody who is no peer of ours, or not proven to be.
    pub(crate) fn report_stranger(&self, address: &str, peer: Option<NodeId>, error: LinkError) {
        if lock(&self.strangers).is_news(self.clock.now(), address, &error) {
            let address = address.to_owned();
            self.events.push(PeerEvent::Refused { peer, address, error });
        }
    }

    pub(crate) fn handshake_status(&self) -> HandshakeStatus {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HandshakeStatus {
            dialed: load(&self.handshakes.dialed),
            accepted: load(&self.handshakes.accepted),
            dial_failures: load(&self.handshakes.dial_failures),
            accept_failures: load(&self.handshakes.accept_failures),
            limited: load(&self.handshakes.limited),
            displaced: load(&self.handshakes.displaced),
            retried: load(&self.handshakes.retried),
            pending: self.places.taken() as u64,
        }
    }

    /// Tells all who send or wait that it is over.
    pub(crate) fn close_peers(&self) {
        let peers = std::mem::take(&mut *lock(&self.peers));
        for peer in peers.values() {
            peer.close();
        }
    }
}
