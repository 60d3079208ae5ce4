//! Links that break, and nodes that begin another life.

use dx_agents::mesh::{Node, NodeEvent};
use dx_agents::runtime::Heard;
use dx_agents::{AgentId, AskError, Down, NodeId};

use crate::fragile::Cables;
use crate::kinds::{Gate, Say, number, registry, registry_with};
use crate::nodes::{HANG, config, credentials, heard, said, soon, spec, start};

/// Waits for an event of a node.
fn event(node: &mut dx_agents::mesh::NodeEvents, pick: impl Fn(&NodeEvent) -> bool) {
    soon(async {
        loop {
            let event = node.next().await.expect("the node lives");
            if pick(&event) {
                return;
            }
        }
    });
}

/// Nodes 1 and 2, both up, over links that break when the test says so.
fn fragile_pair(transport: &str) -> (Node, Node, Cables) {
    let cables = Cables::default();
    let specs = [spec(20, "echo")];
    let mut one = config(transport, 1, 1, &specs);
    let inner = dx_transport::transport::create(transport, &credentials(1)).unwrap();
    one.mesh = one.mesh.transport(cables.wrap(inner));
    let two = start(config(transport, 2, 1, &specs));
    one.peers = vec![(NodeId(2), two.endpoints().to_vec())];
    two.add_node(NodeId(1), Vec::new()).unwrap();
    let one = start(one);
    soon(one.ready());
    (one, two, cables)
}

#[test]
fn monitors_hear_that_a_node_cannot_be_reached() {
    let (one, _two, cables) = fragile_pair("tcp");
    let port = one.runtime().port();
    port.monitor(AgentId(20));
    port.ask_blocking(AgentId(20), number(1), HANG).unwrap();
    cables.forbid();
    cables.break_all();
    assert!(matches!(heard(&port), Heard::Down(AgentId(20), Down::NoConnection)));
    assert_eq!(one.status().missing, [NodeId(2)]);
}

#[test]
fn nothing_follows_the_news_that_a_node_is_unknown() {
    let (one, two) = (start(config("tcp", 1, 1, &[])), start(config("tcp", 2, 1, &[])));
    let (watching, watched) = (one.runtime().port(), two.runtime().port().id());
    watching.monitor(watched);
    assert!(matches!(heard(&watching), Heard::Down(_, Down::Unknown)));
    let mut events = one.events();
    two.add_node(NodeId(1), Vec::new()).unwrap();
    one.add_node(NodeId(2), two.endpoints().to_vec()).unwrap();
    event(&mut events, |event| matches!(event, NodeEvent::Up { .. }));
    drop(two);
    event(&mut events, |event| matches!(event, NodeEvent::Down { .. }));
    // The end of a node is heard before any message.
    one.runtime().port().send(watching.id(), number(1)).unwrap();
    assert!(matches!(heard(&watching), Heard::Message(_)));
}

#[test]
fn what_was_said_while_a_cable_was_cut_arrives_once_it_is_mended() {
    let (one, two, cables) = fragile_pair("tcp");
    let mut events = one.events();
    let (from, to) = (one.runtime().port(), two.runtime().port());
    from.monitor(to.id());
    cables.cut();
    for n in 0..200 {
        from.send(to.id(), number(n)).unwrap();
    }
    event(&mut events, |event| matches!(event, NodeEvent::Down { .. }));
    assert!(matches!(heard(&from), Heard::Down(_, Down::NoConnection)));
    cables.heal();
    for n in 0..200 {
        assert_eq!(said(&to), (from.id(), number(n)));
    }
    event(&mut events, |event| matches!(event, NodeEvent::Up { resumed: true, .. }));
    assert!(from.try_recv().is_none());
    assert!(to.try_recv().is_none());
}

#[test]
fn a_link_that_breaks_again_and_again_loses_and_repeats_nothing() {
    for transport in ["memory", "tcp", "tls", "quic"] {
        let (one, two, cables) = fragile_pair(transport);
        let mut events = one.events();
        let (from, to) = (one.runtime().port(), two.runtime().port());
        from.monitor(to.id());
        for n in 0..3000 {
            if n % 1000 == 500 {
                cables.break_all();
            }
            from.send(to.id(), number(n)).unwrap();
            assert_eq!(said(&to), (from.id(), number(n)), "{transport}");
        }
        while let Some(event) = events.try_next() {
            let is_lost = matches!(event, NodeEvent::Lost { .. } | NodeEvent::Restarted { .. });
            assert!(!is_lost, "{transport}: {event:?}");
        }
        assert!(one.status().links[0].reconnects >= 3);
        // Nothing was lost, so nobody hears of it.
        while let Some(heard) = from.try_recv() {
            assert!(matches!(heard, Heard::Down(_, Down::NoConnection)), "{heard:?}");
        }
    }
}

/// Node 2 in another life, at the address of the one before.
fn again(old: Node, life: u64, gate: &Gate) -> Node {
    let endpoint = old.endpoints()[0].clone();
    drop(old);
    let mut config = config("tcp", 2, life, &[spec(20, "gate"), spec(21, "echo")]);
    let cluster = "test".parse().unwrap();
    let mesh = dx_transport::mesh::MeshConfig::new(
        cluster,
        NodeId(2),
        dx_agents::Incarnation(life),
        credentials(2),
    );
    config.mesh = mesh.listen(endpoint);
    config.peers = vec![(NodeId(1), Vec::new())];
    Node::start(config, &registry_with(gate)).unwrap()
}

#[test]
fn a_node_that_restarts_is_heard_of_and_monitored_on() {
    let gate = Gate::default();
    let specs = [spec(20, "gate"), spec(21, "echo")];
    let mut first = config("tcp", 2, 1, &specs);
    first.peers = vec![(NodeId(1), Vec::new())];
    let two = Node::start(first, &registry_with(&gate)).unwrap();
    let mut one = config("tcp", 1, 1, &specs);
    one.peers = vec![(NodeId(2), two.endpoints().to_vec())];
    let one = Node::start(one, &registry().0).unwrap();
    soon(one.ready());
    let mut events = one.events();
    let port = one.runtime().port();
    port.monitor(AgentId(21));
    port.ask_blocking(AgentId(21), number(0), HANG).unwrap();
    let asking = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let asker = one.runtime().port();
            asker.ask_blocking(AgentId(21), Say::Monitor(AgentId(99)), HANG).unwrap_err()
        });
        // It is asked, and does not answer.
        while one.status().open_asks == 0 {
            std::thread::yield_now();
        }
        let two = again(two, 2, &gate);
        event(&mut events, |event| matches!(event, NodeEvent::Restarted { .. }));
        event(&mut events, |event| matches!(event, NodeEvent::Up { resumed: false, .. }));
        let error = asking.join().unwrap();
        (error, two)
    });
    let (error, two) = asking;
    assert_eq!(error, AskError::Down(Down::Restarted));
    let mut downs = Vec::new();
    while downs.last() != Some(&Down::Restarted) {
        match heard(&port) {
            Heard::Down(AgentId(21), why) => downs.push(why),
            other => panic!("{other:?}"),
        }
    }
    assert!(downs[..downs.len() - 1].iter().all(|why| *why == Down::NoConnection), "{downs:?}");
    // The monitor is one of the new life, too, and so is the agent.
    port.ask_blocking(AgentId(21), number(1), HANG).unwrap();
    port.send(AgentId(21), Say::Stop).unwrap();
    assert!(matches!(heard(&port), Heard::Down(AgentId(21), Down::Stopped)));
    drop(two);
    assert!(port.try_recv().is_none());
}

#[test]
fn a_flood_over_a_restart_repeats_nothing_and_never_sticks() {
    let gate = Gate::default();
    gate.open();
    let specs = [spec(20, "gate"), spec(21, "echo")];
    let mut first = config("tcp", 2, 1, &specs);
    first.peers = vec![(NodeId(1), Vec::new())];
    let mut two = Node::start(first, &registry_with(&gate)).unwrap();
    let mut one = config("tcp", 1, 1, &specs);
    one.peers = vec![(NodeId(2), two.endpoints().to_vec())];
    let one = Node::start(one, &registry().0).unwrap();
    soon(one.ready());
    let mut events = one.events();
    let port = one.runtime().port();
    let mut sent = 0;
    let mut fill = || {
        while port.send(AgentId(20), number(sent)).is_ok() {
            sent += 1;
        }
        while !matches!(heard(&port), Heard::Writable(_)) {}
    };
    for life in 2..5 {
        fill();
        two = again(two, life, &gate);
        event(&mut events, |event| matches!(event, NodeEvent::Up { resumed: false, .. }));
    }
    fill();
    // Credit was settled: what is sent from now on arrives.
    port.ask_blocking(AgentId(21), number(1), HANG).unwrap();
    let last = one.runtime().port();
    while last.send(AgentId(20), Say::Urgent(7)).is_err() {
        assert!(matches!(heard(&last), Heard::Writable(_)));
    }
    gate.wait_for_urgent();
    assert!(gate.passed() <= sent + 1);
    assert!(gate.is_in_order(), "a message came twice, or was overtaken");
    assert_eq!(two.status().links[0].violations, 0);
}
