//! A [`MeshStatus`] in Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write};

use crate::mesh::status::{LaneStatus, MeshStatus, PeerState, PeerStatus};

type Value<T> = fn(&T) -> u64;

/// Name without prefix, help, value. Names of counters end in `_total`.
const LANE_METRICS: &[(&str, &str, Value<LaneStatus>)] = &[
    ("sent_messages_total", "Messages given to links, each once.", |l| l.sent_messages),
    ("sent_bytes_total", "Bytes of their frames' bodies.", |l| l.sent_bytes),
    ("sent_frames_total", "Frames that carried them.", |l| l.sent_frames),
    ("received_messages_total", "Messages received, each once.", |l| l.received_messages),
    ("received_bytes_total", "Bytes of their frames' bodies.", |l| l.received_bytes),
    ("replayed_frames_total", "Frames sent again over a new link.", |l| l.replayed_frames),
    ("duplicate_frames_total", "Frames that came again.", |l| l.duplicate_frames),
    ("lost_messages_total", "Messages reported lost.", |l| l.lost_messages),
    ("dropped_messages_total", "Messages dropped by the lane's policy.", |l| l.dropped_messages),
    ("refused_messages_total", "Messages refused by a full queue.", |l| l.refused_messages),
    ("credit_stalls_total", "Stops for want of the peer's credit.", |l| l.credit_stalls),
    ("replay_stalls_total", "Stops at the replay bound.", |l| l.replay_stalls),
    ("queued_bytes", "Bytes that wait to be sent.", |l| l.queued_bytes),
    ("queued_messages", "Messages that wait to be sent.", |l| l.queued_messages),
    ("unacked_bytes", "Bytes sent and unacknowledged.", |l| l.unacked_bytes),
    ("held_bytes", "Bytes received and not taken by the application.", |l| l.held_bytes),
];

const PEER_METRICS: &[(&str, &str, Value<PeerStatus>)] = &[
    ("up", "Whether the peer is connected.", |p| u64::from(p.state == PeerState::Up)),
    ("rtt_microseconds", "Last round trip; 0 if unknown.", |p| p.rtt_us.unwrap_or(0)),
    ("path_rtt_microseconds", "Round trip by the transport; 0 if unknown.", |p| p.path_rtt_us),
    ("path_retransmits", "Packets that the link's transport sent again.", |p| p.retransmits),
    ("congestion_window_bytes", "Of the link's transport; 0 if unknown.", |p| p.congestion_window),
    ("reconnects_total", "Links that took an earlier one's place.", |p| p.reconnects),
    ("sessions_total", "Sessions that began.", |p| p.sessions),
    ("violations_total", "Links closed for breaking the protocol.", |p| p.violations),
    ("stalled_microseconds_total", "Own stalls, not held against it.", |p| p.stalled_us),
    ("dropped_datagrams_total", "Datagrams dropped for want of room.", |p| p.dropped_datagrams),
];

const MESH_METRICS: &[(&str, &str, Value<MeshStatus>)] = &[
    ("peers", "Peers that are known.", |m| m.peers.len() as u64),
    ("dialed_links_total", "Handshakes completed by dialing.", |m| m.handshakes.dialed),
    ("accepted_links_total", "Handshakes completed by accepting.", |m| m.handshakes.accepted),
    ("dial_failures_total", "Attempts to dial that failed.", |m| m.handshakes.dial_failures),
    ("accept_failures_total", "Inbound handshakes that failed.", |m| m.handshakes.accept_failures),
    ("limited_connections_total", "Connections over a limit.", |m| m.handshakes.limited),
    ("displaced_handshakes_total", "Places taken by other addresses.", |m| m.handshakes.displaced),
    ("retried_connections_total", "Callers told to prove their address.", |m| m.handshakes.retried),
    ("pending_handshakes", "Inbound handshakes under way.", |m| m.handshakes.pending),
    ("missed_events_total", "Events dropped, nobody took them.", |m| m.missed_events),
];

/// Writes `status` as Prometheus text.
pub(crate) fn prometheus(status: &MeshStatus) -> String {
    let mut text = String::new();
    for (name, help, value) in MESH_METRICS {
        family(&mut text, "dx_mesh_", name, help);
        line(&mut text, "dx_mesh_", name, &[("node", &status.node)], value(status));
    }
    for (name, help, value) in PEER_METRICS {
        family(&mut text, "dx_peer_", name, help);
        for peer in &status.peers {
            let labels: [(&str, &dyn Display); 2] = [("node", &status.node), ("peer", &peer.node)];
            line(&mut text, "dx_peer_", name, &labels, value(peer));
        }
    }
    for (name, help, value) in LANE_METRICS {
        family(&mut text, "dx_lane_", name, help);
        for (peer, lane) in status.peers.iter().flat_map(|p| p.lanes.iter().map(move |l| (p, l))) {
            let labels: [(&str, &dyn Display); 3] =
                [("node", &status.node), ("peer", &peer.node), ("lane", &lane.name)];
            line(&mut text, "dx_lane_", name, &labels, value(lane));
        }
    }
    text
}

fn family(text: &mut String, prefix: &str, name: &str, help: &str) {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    writeln!(text, "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {kind}")
        .expect("a String takes all");
}

fn line(text: &mut String, prefix: &str, name: &str, labels: &[(&str, &dyn Display)], value: u64) {
    let labels: Vec<String> =
        labels.iter().map(|(key, label)| format!("{key}=\"{}\"", escape(label))).collect();
    writeln!(text, "{prefix}{name}{{{}}} {value}", labels.join(",")).expect("a String takes all");
}

fn escape(label: &dyn Display) -> String {
    label.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, NodeId};
    use crate::mesh::status::HandshakeStatus;

    fn status(lane: &'static str) -> MeshStatus {
        let lane = LaneStatus {
            name: lane,
            sent_messages: 7,
            sent_bytes: 0,
            sent_frames: 0,
            received_messages: 0,
            received_bytes: 0,
            replayed_frames: 0,
            duplicate_frames: 0,
            lost_messages: 0,
            dropped_messages: 0,
            refused_messages: 0,
            credit_stalls: 0,
            replay_stalls: 0,
            queued_bytes: 11,
            queued_messages: 0,
            unacked_bytes: 0,
            held_bytes: 0,
        };
        let peer = PeerStatus {
            node: NodeId(2),
            state: PeerState::Up,
            incarnation: Some(Incarnation(5)),
            transport: Some("tcp"),
            rtt_us: None,
            path_rtt_us: 0,
            retransmits: 0,
            congestion_window: 0,
            reconnects: 3,
            sessions: 1,
            violations: 0,
            stalled_us: 0,
            dropped_datagrams: 0,
            lanes: vec![lane],
        };
        MeshStatus {
            cluster: "test".parse().unwrap(),
            node: NodeId(1),
            incarnation: Incarnation(1),
            endpoints: Vec::new(),
            handshakes: HandshakeStatus::default(),
            missed_events: 0,
            peers: vec![peer],
        }
    }

    #[test]
    fn every_family_has_help_and_type_before_its_samples() {
        let text = prometheus(&status("data"));
        let mut current = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                current = help.split(' ').next().unwrap().to_owned();
                let kind = if current.ends_with("_total") { "counter" } else { "gauge" };
                assert_eq!(lines.next().unwrap(), format!("# TYPE {current} {kind}"));
            } else {
                let (name, value) = line.split_once('{').unwrap();
                assert_eq!(name, current);
                value.rsplit_once("} ").unwrap().1.parse::<u64>().unwrap();
            }
        }
    }

    #[test]
    fn samples_carry_their_node_peer_and_lane() {
        let text = prometheus(&status("data"));
        let wanted = [
            "dx_mesh_peers{node=\"n1\"} 1",
            "dx_peer_up{node=\"n1\",peer=\"n2\"} 1",
            "dx_peer_reconnects_total{node=\"n1\",peer=\"n2\"} 3",
            "dx_lane_sent_messages_total{node=\"n1\",peer=\"n2\",lane=\"data\"} 7",
            "dx_lane_queued_bytes{node=\"n1\",peer=\"n2\",lane=\"data\"} 11",
        ];
        for line in wanted {
            assert!(text.lines().any(|other| other == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn labels_are_escaped() {
        let text = prometheus(&status("a\"b\\c\nd"));
        assert!(text.contains(r#"lane="a\"b\\c\nd""#), "{text}");
    }
}
