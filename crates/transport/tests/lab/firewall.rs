//! A firewall that drops UDP: QUIC is gone, and TCP takes over.

use std::process::Command;
use std::time::Duration;

use dx_lab::Host;
use dx_transport::id::NodeId;
use dx_transport::lane::Lane;
use dx_transport::mesh::{DownReason, Mesh};
use dx_transport::transport;

use crate::hosts::{
    SOON, address, assert_unharmed, config, down, start, two_hosts, until, up_over,
};
use crate::subject::{credentials, events, expect, peer, send};

fn small(_: u64) -> usize {
    500
}

/// Drops all UDP packets that come to `host` or leave it. The laboratory itself needs `nft`, so
/// it is there.
fn block_udp(host: &Host) {
    let rules = "table inet firewall {
        chain in { type filter hook input priority 0; meta l4proto udp drop; }
        chain out { type filter hook output priority 0; meta l4proto udp drop; }
    }";
    let ended = host.enter(|| Command::new("nft").arg(rules).status().unwrap());
    assert!(ended.success());
}

/// Nodes 1 and 2, which talk over quic and can talk over tls as well.
async fn pair(hosts: &[Host; 2], silence: Duration) -> [Mesh; 2] {
    let start_both = |host, node| {
        let tls = transport::create("tls", &credentials(node)).unwrap();
        let config = config("quic", node, 1, silence).transport(tls);
        start(host, config.listen("tls://0.0.0.0:7000".parse().unwrap()))
    };
    let (one, two) = (start_both(&hosts[0], 1), start_both(&hosts[1], 2));
    let reach = |host| vec![address("quic", host), address("tls", host)];
    one.add_peer(NodeId(2), reach(&hosts[1])).unwrap();
    two.add_peer(NodeId(1), reach(&hosts[0])).unwrap();
    assert_eq!(up_over(&one, 2).await, (false, "quic"));
    assert_eq!(up_over(&two, 1).await, (false, "quic"));
    [one, two]
}

#[tokio::test]
async fn a_session_that_quic_began_goes_on_over_tls_when_only_that_comes_back() {
    let Some((lab, hosts)) = two_hosts("quic-blocked") else { return };
    let [one, two] = pair(&hosts, SOON).await;
    send(&one, 2, Lane::DATA, 0..100, small).await;
    expect(&two, Lane::DATA, 0..100, small).await;

    lab.cut(&hosts[0], &hosts[1]).unwrap();
    send(&one, 2, Lane::DATA, 100..300, small).await;
    let reasons = tokio::join!(down(&one, 2), down(&two, 1));
    assert_eq!(reasons, (DownReason::Silent, DownReason::Silent));
    block_udp(&hosts[0]);
    lab.heal(&hosts[0], &hosts[1]).unwrap();

    let taken_over = tokio::join!(up_over(&one, 2), up_over(&two, 1));
    assert_eq!(taken_over, ((true, "tls"), (true, "tls")));
    expect(&two, Lane::DATA, 100..300, small).await;
    assert_unharmed(&one, 2);
    assert_unharmed(&two, 1);
}

/// A quiet link is reason enough to try the next address, and the application hears nothing.
#[tokio::test]
async fn tls_takes_over_from_blocked_quic_before_the_detector_strikes() {
    let Some((_lab, hosts)) = two_hosts("quic-quiet") else { return };
    let [one, two] = pair(&hosts, SOON * 4).await;

    block_udp(&hosts[0]);
    send(&one, 2, Lane::DATA, 0..200, small).await;
    expect(&two, Lane::DATA, 0..200, small).await;
    for (mesh, other) in [(&one, 2), (&two, 1)] {
        until(|| peer(mesh, other).status().transport == Some("tls")).await;
        let told = events(mesh);
        assert!(told.is_empty(), "{told:?}");
        assert_unharmed(mesh, other);
    }
}
