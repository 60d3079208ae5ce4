//! One node's side of its conversation with another: what a mesh's task for a peer owns.

use std::sync::Arc;

use dx_agents::remote::course::Course;
use dx_transport::id::{Incarnation, SessionNonce};
use dx_transport::lane::LaneConfig;
use dx_transport::linking::{DialedBy, Dialer, Dialing};
use dx_transport::outbox::Outbox;
use dx_transport::session::{SendQueue, Session, SessionConfig};
use dx_transport::time::Instant;

/// See the module.
pub(crate) struct End {
    /// The node's life that this belongs to.
    pub life: u32,
    pub session: Session,
    pub outbox: Outbox,
    pub dialer: Dialer,
    pub live: Option<Live>,
    /// Connections that this side dialed and whose handshake is under way.
    pub attempts: Vec<u32>,
    /// Connections that the peer dialed.
    pub callers: Vec<u32>,
    /// The incarnation of the peer that was attached last.
    pub known: Option<Incarnation>,
    /// The peer counts as reachable.
    pub is_up: bool,
    /// When it does no longer, if no link comes up before.
    pub down_at: Option<Instant>,
    /// How often dialing was put off since the last link.
    pub ways_given: u32,
    /// Bytes of credit given back so far, by lane.
    pub consumed: [u64; 3],
    /// What its agents were told.
    pub course: Course,
    /// The world's time at which it looks what is due.
    pub alarm: Option<u64>,
}

/// The link in use.
pub(crate) struct Live {
    pub wire: u32,
    pub since: Instant,
    pub dialed_by: DialedBy,
    /// By channel: what is still to be written, and whether the peer has written all that it will.
    pub channels: Vec<(SendQueue, bool)>,
}

impl End {
    /// `yields` for the smaller of the two nodes.
    pub fn new(
        life: u32,
        config: &Arc<SessionConfig>,
        nonce: SessionNonce,
        dialing: Dialing,
        yields: bool,
    ) -> Self {
        let lanes: &[LaneConfig] = &config.lanes;
        Self {
            life,
            session: Session::new(Arc::clone(config), nonce),
            outbox: Outbox::new(lanes),
            dialer: Dialer::new(dialing, yields),
            live: None,
            attempts: Vec::new(),
            callers: Vec::new(),
            known: None,
            is_up: false,
            down_at: None,
            ways_given: 0,
            consumed: [0; 3],
            course: Course::default(),
            alarm: None,
        }
    }

    /// Frames that it sent again, over all of its sessions.
    pub fn replayed_frames(&self) -> u64 {
        self.session.stats().lanes.iter().map(|lane| lane.replayed_frames).sum()
    }
}

impl Live {
    pub fn new(wire: u32, channels: usize, since: Instant, dialed_by: DialedBy) -> Self {
        let channels = (0..channels).map(|_| (SendQueue::default(), false)).collect();
        Self { wire, since, dialed_by, channels }
    }
}
