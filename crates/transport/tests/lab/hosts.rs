//! Nodes that live on hosts of the laboratory.

use std::time::Duration;

use dx_lab::{Host, Lab, LabError, or_skip};
use dx_transport::address::Address;
use dx_transport::credentials::Credentials;
use dx_transport::id::NodeId;
use dx_transport::mesh::{Bounds, Dialing, DownReason, Io, Mesh, MeshConfig, PeerEvent, PeerState};
use dx_transport::session::{Direction, Timing};
use dx_transport::transport;

use crate::subject::{self, Subject, event, events, peer, soon};

/// Every node has its host to itself, and so can have this port.
const PORT: u16 = 7000;

/// A detector that does not strike while a test runs.
pub const NEVER: Duration = Duration::from_mins(5);

/// A detector that strikes soon, but not because the machine is busy.
pub const SOON: Duration = Duration::from_secs(1);

/// A laboratory with two hosts, where the machine has one.
pub fn two_hosts(rule: &str) -> Option<(Lab, [Host; 2])> {
    let build = || -> Result<_, LabError> {
        let lab = Lab::new(rule)?;
        let hosts = [lab.host("one")?, lab.host("two")?];
        Ok((lab, hosts))
    };
    or_skip(build())
}

/// A transport that listens on all of its host's addresses.
pub fn on_its_host(transport: &'static str) -> Subject {
    let endpoint = || format!("0.0.0.0:{PORT}");
    Subject::new(transport, endpoint, move |credentials: &Credentials| {
        transport::create(transport, credentials).unwrap()
    })
}

/// Where the node on `host` is reached.
pub fn address(transport: &str, host: &Host) -> Address {
    Address::new(transport, &format!("{}:{PORT}", host.address())).unwrap()
}

/// Node `node` in its `life`th incarnation, which takes a peer for silent after `silence` and
/// then finds it again quickly.
pub fn config(transport: &'static str, node: u32, life: u64, silence: Duration) -> MeshConfig {
    quick(on_its_host(transport).config(node, life), silence)
}

/// See [`config`].
pub fn quick(config: MeshConfig, silence: Duration) -> MeshConfig {
    let dialing = Dialing {
        backoff_min: Duration::from_millis(10),
        backoff_max: Duration::from_millis(200),
        grace: Duration::from_millis(50),
        ..Dialing::default()
    };
    let bounds = Bounds { handshake_timeout: Duration::from_secs(2), ..Bounds::default() };
    config.timing(timing(silence)).dialing(dialing).bounds(bounds).insecure(true)
}

/// A detector that strikes after `silence`; sessions live for as long as a test runs.
pub fn timing(silence: Duration) -> Timing {
    Timing { ping_interval: silence / 5, silence, session_ttl: NEVER, ..Timing::default() }
}

/// Starts a node on `host`, with a thread of its own there.
pub fn start(host: &Host, config: MeshConfig) -> Mesh {
    host.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Mesh::start(config.io(Io::Dedicated))).unwrap()
    })
}

/// Nodes 1 and 2 on their hosts, which know each other and are up.
pub async fn pair(transport: &'static str, hosts: &[Host; 2], silence: Duration) -> [Mesh; 2] {
    let one = start(&hosts[0], config(transport, 1, 1, silence));
    let two = start(&hosts[1], config(transport, 2, 1, silence));
    introduce(transport, hosts, &one, &two).await;
    [one, two]
}

/// Tells nodes 1 and 2 where the other one is, and waits until they are up.
pub async fn introduce(transport: &str, hosts: &[Host; 2], one: &Mesh, two: &Mesh) {
    one.add_peer(NodeId(2), vec![address(transport, &hosts[1])]).unwrap();
    two.add_peer(NodeId(1), vec![address(transport, &hosts[0])]).unwrap();
    subject::up(one, 2).await;
    subject::up(two, 1).await;
}

/// Waits for what is seen only by looking.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    let look = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    soon(look).await;
}

/// Waits until `node` is down; returns why.
pub async fn down(mesh: &Mesh, node: u32) -> DownReason {
    event(mesh, |event| match event {
        PeerEvent::Down { peer, reason } if peer.0 == node => Some(reason),
        PeerEvent::Lost { .. } => panic!("{event:?} before the peer is down"),
        _ => None,
    })
    .await
}

/// Waits until `node` is up; returns whether the session was resumed, and over what.
pub async fn up_over(mesh: &Mesh, node: u32) -> (bool, &'static str) {
    event(mesh, |event| match event {
        PeerEvent::Up { peer, resumed, transport, .. } if peer.0 == node => {
            Some((resumed, transport))
        }
        PeerEvent::Lost { .. } => panic!("{event:?} before the peer is up"),
        _ => None,
    })
    .await
}

/// The session with `node` is the first and only one, and has lost nothing.
pub fn assert_unharmed(mesh: &Mesh, node: u32) {
    let status = peer(mesh, node).status();
    assert_eq!((status.state, status.sessions, status.violations), (PeerState::Up, 1, 0));
    assert!(status.lanes.iter().all(|lane| lane.lost_messages == 0), "{status:?}");
    let left = events(mesh);
    let bad = left.iter().find(|event| {
        matches!(event, PeerEvent::Lost { .. } | PeerEvent::Restarted { .. })
            || matches!(event, PeerEvent::Up { resumed: false, .. })
    });
    assert!(bad.is_none(), "{bad:?}");
}

/// What was reported lost on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostRange {
    pub from: u64,
    pub to: u64,
}

/// Waits until `node` is up in another life: the lives, and what was lost of what was sent to it.
pub async fn restarted(mesh: &Mesh, node: u32) -> ((u64, u64), Vec<LostRange>) {
    let mut lives = None;
    let mut lost = Vec::new();
    event(mesh, |event| {
        match event {
            PeerEvent::Restarted { old, new, .. } => lives = Some((old.0, new.0)),
            PeerEvent::Lost { from, to, direction: Direction::Sent, .. } => {
                lost.push(LostRange { from, to });
            }
            PeerEvent::Up { peer, resumed, .. } if peer.0 == node && lives.is_some() => {
                assert!(!resumed, "a session was resumed across lives");
                return lives.map(|lives| (lives, std::mem::take(&mut lost)));
            }
            _ => {}
        }
        None
    })
    .await
}
