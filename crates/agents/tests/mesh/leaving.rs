//! Nodes that stop.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use dx_agents::mesh::{MAX_WAITING, Node, NodeStatus};
use dx_agents::{AgentId, NodeId};

use crate::kinds::{FAREWELLS, Gate, Say, number, registry_with};
use crate::nodes::{ALL, HANG, pair, pair_with, said, soon, spec};

#[test]
fn what_agents_said_before_they_stopped_is_delivered() {
    for transport in ALL {
        let (one, two) = pair(transport, &[spec(10, "farewell"), spec(20, "echo")]);
        // It hears of another one first: to this one nothing was sent yet.
        let (greeting, port) = (two.runtime().port(), two.runtime().port());
        greeting.send(AgentId(10), Say::Monitor(port.id())).unwrap();
        assert!(matches!(said(&greeting).1, Say::Heard(..)));
        let report = one.stop(HANG);
        assert!(report.is_complete(), "{transport}: {report:?}");
        for n in 0..FAREWELLS {
            assert_eq!(said(&port).1, number(n), "{transport}");
        }
        let report = two.stop(HANG);
        assert!(report.is_complete(), "{transport}: {report:?}");
    }
}

#[test]
fn what_could_not_be_done_in_time_is_reported() {
    let gate = Gate::default();
    let mut stalled = spec(20, "gate");
    stalled.options.placement = dx_agents::Placement::Thread { pin: None };
    let (one, _two) = pair_with("tcp", &[stalled], &registry_with(&gate));
    let port = one.runtime().port();
    // Until its share is announced, used up, and the outbox is full.
    let full = |one: &Node| {
        let outboxes = &one.status().links[0].outboxes;
        outboxes.iter().any(|outbox| outbox.share == 1024 && outbox.waiting == MAX_WAITING)
    };
    while !full(&one) {
        // Refused, it is tried again.
        let _ = port.send(AgentId(20), number(1));
    }
    drop(port);
    let report = one.stop(Duration::from_millis(200));
    assert_eq!(report.unsent, [(NodeId(2), MAX_WAITING)]);
    assert!(!report.is_complete());
    gate.open();
}

#[test]
fn a_node_that_left_is_down_for_the_others() {
    for transport in ALL {
        let (one, two) = pair(transport, &[]);
        let mut cx = Context::from_waker(Waker::noop());
        let mut left = pin!(one.down(NodeId(2)));
        assert!(left.as_mut().poll(&mut cx).is_pending(), "{transport}");
        assert!(two.stop(HANG).is_complete(), "{transport}");
        soon(left);
        assert!(pin!(one.down(NodeId(3))).poll(&mut cx).is_ready(), "{transport}: unknown");
    }
}

#[test]
fn a_status_can_be_sent_and_read_again() {
    let (one, _two) = pair("memory", &[spec(10, "echo"), spec(20, "echo")]);
    let port = one.runtime().port();
    port.ask_blocking(AgentId(20), number(1), HANG).unwrap();
    let status = one.status();
    assert!(status.missing.is_empty() && status.links[0].lanes.len() == 3);
    let metrics = one.metrics();
    for wanted in [
        "dx_peer_up{node=\"n1\",peer=\"n2\"} 1",
        "dx_agent_restarts_total{node=\"n1\",agent=\"a10\",kind=\"echo\"} 0",
        "dx_outbox_waiting_messages{node=\"n1\",peer=\"n2\",agent=\"a20\"} 0",
        "dx_node_open_asks{node=\"n1\"} 0",
    ] {
        assert!(metrics.lines().any(|line| line == wanted), "{wanted} is missing in\n{metrics}");
    }
    let json = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<NodeStatus>(&json).unwrap(), status);
}
